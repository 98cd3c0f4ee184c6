/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plimsoll explain says of a scene: the whole text of a sale, the first line and the reason of
 * every other situation, the document's fields, and its numbers against the naive model.
 *
 * The account: 10 ETH (1000 lots of 0.01), 0.2 BTC and 20000 USD of debt; haircuts of 30, 25, 20
 * and 10 %; a sale gives up 1 %. With BTC at 30000 and ETH at 1600, equity is 16000 + 6000 - 20000
 * = 2000, maintenance asks for 2200 and the end tier for 4400: 2400 are missing. A whole ETH sold
 * brings 1584 - 1280 = 304 of it, so 7.90 ETH are sold (2401.60) and not 7.89 (2398.56); 0.2 BTC
 * bring 0.2 * (29700 - 24000) = 1140 and do not reach. In proportion 58.4 % of both are needed:
 * 5.84 ETH and, in whole lots, 0.11 BTC bring 2402.36; with 58.3999 % 5.83 ETH bring 3.04 less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/explain.h"
#include "tests/support/build.h"
#include "tests/support/model.h"

enum { SEQUENCE = 7, OFFSET = 9 };
static const size_t WIRE_BYTES = (size_t)1 << 20;

static struct build build;
static struct pl_wire wire;
static struct venue venue;
static struct ledger ledger;
static struct pl_journal entry;
static struct pl_holdings holdings;
static struct pl_record_holdings record;
static struct explain_scene scene;
static struct explain_view view;
static uint32_t eth, btc, row;
static void *book_block, *wire_block;

/* ---- the scene ------------------------------------------------------------------------------ */

static void hold(uint32_t at, uint32_t instrument, int64_t lots)
{
    holdings.legs[at] = build_leg(instrument, lots);
    if (at >= holdings.leg_count)
        holdings.leg_count = at + 1;
}

static void hold_cash(int64_t usd)
{
    holdings.cash_vu = holdings.final_cash_vu = usd * BUILD_USD;
}

static void publish(void)
{
    holdings.version++;
    holdings.event_time_ms = build.now_ms - 500;
    assert_int_equal(pl_book_apply_holdings(ledger.book, &holdings, &row), PL_OK);
    record.version = holdings.version;
}

static void price(uint32_t instrument, int64_t usd)
{
    build_price(&build, instrument, usd * 100);
}

static void begin_record(void)
{
    record = (struct pl_record_holdings){ .account = holdings.account, .source_count = 1 };
    record.sources[0] = (struct pl_record_source){ .sequence = 4,
                                                   .event_time_ms = build.now_ms - 500 };
    assert_int_equal(pl_id_set(&record.sources[0].id, "venue", 5), PL_OK);
}

static void begin_market(void)
{
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 2, 2);
    btc = build_instrument(&build, "BTC", PL_INSTRUMENT_SPOT, 2, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct pl_tier_ppm tiers = build_tiers(300000, 250000, 200000, 100000);
        build_haircuts(&build, i, tiers, tiers);
        build_sellable(&build, i, 10000);
    }
    build_finish(&build);
    price(eth, 1600);
    price(btc, 30000);
}

static void begin_book(void)
{
    static const struct pl_book_limits limits = { 4, 64, 64, 4 };
    size_t size_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    book_block = aligned_alloc(64, size_bytes);
    wire_block = malloc(WIRE_BYTES);
    assert_true(book_block && wire_block);
    memset(book_block, 0, size_bytes);
    pl_wire_init(&wire, wire_block, WIRE_BYTES);
    venue = (struct venue){ .wire = &wire, .names = &build.names, .parameters = &build.parameters,
                            .marks = build.marks, .market = &build.market, .has_parameters = true,
                            .control_epoch = 2 };
    ledger = (struct ledger){ .number = 3, .partition_count = 8,
                              .book = pl_book_init(book_block, &limits) };
    ledger.watermark.time_ms = build.now_ms - 1200;
}

static int begin(void **state)
{
    (void)state;
    begin_market();
    begin_book();
    memset(&holdings, 0, sizeof(holdings));
    assert_int_equal(pl_id_set(&holdings.account, "acct-1", 6), PL_OK);
    begin_record();
    hold(0, btc, 20);
    hold(1, eth, 1000);
    hold_cash(-20000);
    publish();
    entry = (struct pl_journal){ .partition = 3, .partition_count = 8, .sequence = SEQUENCE,
                                 .kind = PL_JOURNAL_STEP, .readiness = PL_READINESS_DECIDING,
                                 .clock_ms = build.now_ms, .output_count = 3,
                                 .parameter_epoch = 1, .control_epoch = 2, .slot = "liquidation-0",
                                 .build = "test" };
    scene = (struct explain_scene){ .account = holdings.account, .entry = &entry,
                                    .journal_offset = OFFSET, .venue = &venue, .ledger = &ledger,
                                    .record = &record };
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(book_block);
    free(wire_block);
    return 0;
}

static void wait_ms(int64_t span_ms)
{
    build.now_ms += span_ms;
    entry.clock_ms = build.now_ms;
    entry.sequence++;
    ledger.watermark.time_ms = build.now_ms - 1200;
    for (uint32_t i = 0; i < 2; i++)
        build.marks[i].event_time_ms = build.now_ms;
}

static json_t *document(void)
{
    venue_update(&venue, build.now_ms);
    json_t *made = explain_document(&scene);
    assert_non_null(made);
    return made;
}

/* Makes what the present entry decides the state, as its commit does. */
static void settle(void)
{
    venue_update(&venue, build.now_ms);
    assert_true(explain_look(&scene, &view));
    assert_int_equal(pl_book_set_state(ledger.book, row, &view.decision.state,
                                       (struct pl_digest){ 1, 1 }), PL_OK);
}

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "(none)";
}

/* The document's text by way of a file in memory. */
static const char *print(const json_t *made)
{
    static char text[1 << 16];
    FILE *file = fmemopen(text, sizeof(text), "w");
    assert_non_null(file);
    explain_print(file, made);
    fclose(file);
    return text;
}

/* ---- every situation by its first line ------------------------------------------------------ */

static void sell_before(void)
{
    settle();
    wait_ms(500);
}

static void healthy(void)
{
    price(eth, 1700);
}

static void too_old(void)
{
    build.marks[eth].event_time_ms -= 75000;
}

static void halted_mark(void)
{
    build_status(&build, eth, PL_MARK_HALTED);
    build_status(&build, btc, PL_MARK_HALTED);
}

static void set_halt(unsigned at, const char *actor, const char *reason)
{
    struct pl_control *control = &scene.halts[at].control;
    scene.halts[at].is_set = true;
    *control = (struct pl_control){ .is_halt = true, .epoch = 2,
                                    .created_ms = build.now_ms - 3600000 };
    snprintf(control->actor, sizeof(control->actor), "%s", actor);
    snprintf(control->reason, sizeof(control->reason), "%s", reason);
}

static void all_halted(void)
{
    venue.is_halted = true;
    set_halt(0, "ann", "drill");
}

static void account_halted(void)
{
    venue.halted[venue.halted_count++] = holdings.account;
    set_halt(1, "ben", "court order");
}

static void control_damaged(void)
{
    venue.control_damaged = true;
    scene.halts[0] = (struct explain_halt){ .is_set = true,
                                            .control.created_ms = build.now_ms - 1000 };
}

/* A halt holds nothing back where nothing is due. */
static void healthy_and_halted(void)
{
    healthy();
    all_halted();
}

static void pending(void)
{
    sell_before();
}

static void paused(void)
{
    sell_before();
    price(eth, 1000);
}

static void overdue(void)
{
    sell_before();
    price(eth, 1000);
    wait_ms(60000);
}

static void bankrupt(void)
{
    price(eth, 1000);
}

static void has_gap(void)
{
    holdings.has_gap = record.sources[0].has_gap = true;
    publish();
}

static void tainted(void)
{
    assert_int_equal(pl_book_taint(ledger.book, &holdings.account, &row), PL_OK);
}

static void healthy_with_a_gap(void)
{
    healthy();
    has_gap();
}

static void nothing_to_sell(void)
{
    build.parameters.policy.liquidity_count = 0;
    build.parameters.instruments[eth].sale_rank = 0;
    build.parameters.instruments[btc].sale_rank = 0;
}

/* As many orders as there are places, which are not enough. */
static void no_room(void)
{
    struct pl_account_state state = { .state = PL_STATE_LIQUIDATING, .episode = 1, .revision = 1,
                                      .since_ms = build.now_ms - 2000, .whole_since_ms = -1,
                                      .version = 1, .pending_count = PL_PENDING_MAX };
    for (uint32_t i = 0; i < PL_PENDING_MAX; i++)
        state.pending[i] = (struct pl_pending){
            .order_id = { (uint8_t)(i + 1) }, .instrument = eth, .side = PL_SIDE_SELL,
            .progress = PL_PROGRESS_OPEN, .lot_decimals = 2, .ordered_lots = 1,
            .limit_ticks = 158400, .limit_exponent = -2, .valid_until_ms = build.now_ms + 3000 };
    assert_int_equal(pl_book_set_state(ledger.book, row, &state, (struct pl_digest){ 1, 1 }),
                     PL_OK);
}

static void out_of_range(void)
{
    hold(1, eth, INT64_MAX / 4);
    publish();
}

static void waiting(void)
{
    entry.readiness = PL_READINESS_WAITING;
    ledger.watermark.time_ms = build.now_ms - 9000;
}

static void loading(void)
{
    entry.readiness = PL_READINESS_LOADING;
}

static void diverged(void)
{
    entry.readiness = PL_READINESS_DIVERGED;
}

static void no_parameters(void)
{
    venue.has_parameters = false;
}

static void unknown(void)
{
    assert_int_equal(pl_id_set(&scene.account, "acct-2", 6), PL_OK);
}

static const struct situation {
    const char *name;
    void (*set)(void);
    const char *reason, *answer; /* after "acct-1 was " and the time, which are as they are */
} situations[] = {
    { "sold", NULL, "sold",
      "liquidated at %: its maintenance excess was -200 USD; ordered: sell 7.9 ETH at 1584 or "
      "better." },
    { "healthy", healthy, "healthy",
      "not liquidated at %: its maintenance excess was +700 USD." },
    { "stale", too_old, "uncertain",
      "not liquidated at % because its ETH mark was stale, 75 s old (at most 60 s), and the "
      "verdict uncertain: its maintenance excess was between -14600 USD and +14200 USD." },
    { "halted marks", halted_mark, "uncertain",
      "not liquidated at % because its BTC mark was halted, 0 s old (at most 60 s), 1 more in "
      "doubt, and the verdict uncertain: its maintenance excess was between -20000 USD and +19600 USD." },
    { "halted", all_halted, "halted",
      "not liquidated at % because everything was halted by ann since 2023-11-14T21:13:20.000Z "
      "(drill); its maintenance excess was -200 USD." },
    { "halted account", account_halted, "halted",
      "not liquidated at % because the account was halted by ben since 2023-11-14T21:13:20.000Z "
      "(court order); its maintenance excess was -200 USD." },
    { "damaged control", control_damaged, "halted",
      "not liquidated at % because everything was halted by a control record that cannot be read, "
      "since 2023-11-14T22:13:19.000Z; its maintenance excess was -200 USD." },
    { "healthy and halted", healthy_and_halted, "healthy",
      "not liquidated at %: its maintenance excess was +700 USD." },
    { "pending", pending, "orders_pending",
      "not liquidated at % because orders for the deficit are pending: sell 7.9 ETH at 1584 or "
      "better; its end excess was +1.6 USD." },
    { "paused", paused, "revision_pause",
      "not liquidated at % because after revision 1 the next one waits until "
      "2023-11-14T22:13:21.000Z; its maintenance excess was -196.4 USD." },
    { "overdue", overdue, "order_overdue",
      "not liquidated at % because an order of it is overdue, and what became of it is not known: "
      "sell 7.9 ETH at 1584 or better; its maintenance excess was -196.4 USD." },
    { "bankrupt", bankrupt, "sold",
      "liquidated at %: its maintenance excess was -5600 USD; ordered: sell 10 ETH at 990 or "
      "better, sell 0.2 BTC at 29700 or better; all that may be sold does not reach the end "
      "tier's line." },
    { "gap", has_gap, "holdings",
      "not liquidated at % because its holdings have a gap: events are missing from venue; its "
      "maintenance excess was -200 USD." },
    { "tainted", tainted, "holdings",
      "not liquidated at % because a record of its holdings could not be read; its maintenance "
      "excess was -200 USD." },
    { "healthy with a gap", healthy_with_a_gap, "healthy",
      "not liquidated at %: its maintenance excess was +700 USD, as far as its holdings are "
      "known." },
    { "nothing to sell", nothing_to_sell, "nothing_to_sell",
      "not liquidated at % because nothing of it may be sold; its maintenance excess was -200 "
      "USD." },
    { "no room", no_room, "no_room",
      "not liquidated at % because its 16 pending orders leave too few places for the plan's; its "
      "maintenance excess was -176.96 USD." },
    { "out of range", out_of_range, "out_of_range",
      "not liquidated at % because a number of it left the exact range." },
    { "waiting", waiting, "not_deciding",
      "not liquidated at % because partition 3 was WAITING: its positions were in up to 9 s "
      "before, at most 5 s is allowed." },
    { "loading", loading, "not_deciding",
      "not liquidated at % because partition 3 was LOADING." },
    { "diverged", diverged, "not_deciding",
      "not liquidated at % because partition 3 was DIVERGED: its self-audit had found a "
      "difference." },
    { "no parameters", no_parameters, "no_parameters",
      "not liquidated at % because no parameters were in force." },
    { "unknown", unknown, "unknown",
      "unknown at %: partition 3 had read no holdings and no state of it." },
};

/* The answer with the account and the entry's time put in. */
static const char *expected_answer(const char *answer)
{
    static char text[EXPLAIN_ANSWER_BYTES];
    char time[WHEN_TIME_BYTES];
    const char *mark = strchr(answer, '%');
    snprintf(text, sizeof(text), "%s was %.*s%s%s", scene.account.text, (int)(mark - answer),
             answer, when_print_time(entry.clock_ms, time), mark + 1);
    return text;
}

static void test_the_first_line_says_why_or_why_not(void **state)
{
    for (size_t i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
        const struct situation *situation = &situations[i];
        if (i > 0)
            begin(state);
        if (situation->set)
            situation->set();
        json_t *made = document();
        const char *expected = expected_answer(situation->answer);
        if (strcmp(word(made, "answer"), expected) != 0)
            fail_msg("%s:\n  %s\ninstead of\n  %s", situation->name, word(made, "answer"),
                     expected);
        assert_string_equal(word(made, "reason"), situation->reason);
        const char *text = print(made);
        assert_memory_equal(text, expected, strlen(expected));
        assert_int_equal(text[strlen(expected)], '\n');
        json_decref(made);
        if (i + 1 < sizeof(situations) / sizeof(situations[0]))
            end(state);
    }
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* Digits of a decimal as a number of 10^-18, exactly. */
static void read_decimal(const char *decimal, mpz_t number)
{
    char digits[128];
    size_t used = 0;
    for (const char *at = decimal; *at; at++)
        if (*at != '.')
            digits[used++] = *at;
    digits[used] = '\0';
    assert_non_null(strchr(decimal, '.'));
    assert_int_equal(strlen(strchr(decimal, '.')), 19);
    assert_int_equal(mpz_set_str(number, digits, 10), 0);
}

static enum pl_term_kind kind_of(const char *name)
{
    for (enum pl_term_kind kind = PL_TERM_VALUE; kind <= PL_TERM_HALT; kind++)
        if (strcmp(explain_term_name(kind), name) == 0)
            return kind;
    fail_msg("no term is called %s", name);
    return PL_TERM_VALUE;
}

/* What the document says of one tier, summed by kind of term, is what the model says of it. */
static void check_tier(const json_t *facts, const struct model_terms *model)
{
    mpz_t sums[PL_TERM_HALT + 1], number, sum;
    const json_t *term;
    size_t i;
    mpz_inits(number, sum, NULL);
    for (unsigned k = 0; k <= PL_TERM_HALT; k++)
        mpz_init(sums[k]);
    json_array_foreach(json_object_get(facts, "terms"), i, term) {
        enum pl_term_kind kind = kind_of(word(term, "term"));
        read_decimal(word(term, "excess_usd"), number);
        mpz_add(sums[kind], sums[kind], number);
        mpz_add(sum, sum, number);
    }
    for (unsigned k = 0; k <= PL_TERM_HALT; k++) {
        if (mpz_cmp(sums[k], model->by_kind[k]) != 0)
            fail_msg("%s at tier %s", explain_term_name(k), word(facts, "tier"));
        mpz_clear(sums[k]);
    }
    read_decimal(word(facts, "excess_usd"), number);
    assert_int_equal(mpz_cmp(number, sum), 0);
    assert_int_equal(mpz_cmp(number, model->excess), 0);
    read_decimal(word(facts, "equity_usd"), sum);
    mpz_sub(sum, sum, number);
    read_decimal(word(facts, "requirement_usd"), number);
    assert_int_equal(mpz_cmp(number, sum), 0);
    mpz_clears(number, sum, NULL);
}

/* Every kind of term at once: factors, brackets, dependencies, confidence, an interval, a short. */
static void begin_all_terms(void)
{
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 2, 2);
    btc = build_instrument(&build, "BTC", PL_INSTRUMENT_PERP, 2, 2);
    uint32_t market = build_factor(&build, "market"), chain = build_dependency(&build, "chain");
    uint32_t bridge = build_dependency(&build, "bridge");
    /* Whatever the bridge costs, its chain does: the first of the set is named, with the way to it. */
    build.parameters.edges[build.parameters.edge_count++] = (struct pl_edge){
        .instrument = UINT32_MAX, .from = bridge, .to = chain, .loss = build_flat(1000000)};
    build_haircuts(&build, eth, build_tiers(90000, 80000, 70000, 60000), build_flat(0));
    build_haircuts(&build, btc, build_flat(10000), build_tiers(20000, 17000, 13000, 11000));
    build_load(&build, eth, market, build_tiers(200000, 150000, 100000, 50000));
    build_load(&build, btc, market, build_tiers(200000, 150000, 100000, 50000));
    build_bracket(&build, eth, 1000, build_tiers(40000, 30000, 20000, 10000));
    build_bracket(&build, btc, 500, build_tiers(4000, 3000, 2000, 1000));
    build_loss(&build, btc, bridge, build_tiers(4000, 3000, 2000, 1000));
    build_loss(&build, eth, bridge, build_tiers(400000, 300000, 200000, 100000));
    build.parameters.instruments[eth].confidence_ppm = 1234;
    build_sellable(&build, eth, 10000);
    build_finish(&build);
    price(eth, 1600);
    price(btc, 30000);
    build_interval(&build, eth, 159900, 160300);
    build_interval(&build, btc, 2990000, 3001000);
    hold(0, btc, -31);
    hold(1, eth, 1000);
    hold_cash(-3333);
    publish();
}

static void test_terms_are_those_of_the_model_and_add_up(void **state)
{
    struct model_box box;
    struct model_sheet sheet;
    struct model_terms terms;
    (void)state;
    model_box_init(&box);
    model_sheet_init(&sheet);
    model_terms_init(&terms);
    for (unsigned round = 0; round < 2; round++) {
        if (round == 1)
            begin_all_terms();
        json_t *made = document();
        assert_true(explain_look(&scene, &view));
        model_box_fill(&box, &build.market, &view.portfolio);
        model_sheet_corner(&sheet, &box, 0);
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
            const json_t *facts = json_array_get(
                json_object_get(json_object_get(made, "verdict"), "tiers"), tier);
            assert_string_equal(word(facts, "tier"), explain_tier_name(tier));
            model_evaluate(&sheet, tier, &terms);
            check_tier(facts, &terms);
        }
        json_decref(made);
    }
    model_terms_deinit(&terms);
    model_sheet_deinit(&sheet);
    model_box_deinit(&box);
}

/* ---- terms by hand --------------------------------------------------------------------------- */

/* The term of a tier, or NULL. */
static const json_t *term_of(const json_t *made, enum pl_tier tier, const char *kind, const char *of)
{
    const json_t *tiers = json_object_get(json_object_get(made, "verdict"), "tiers"), *term;
    size_t i;
    json_array_foreach(json_object_get(json_array_get(tiers, tier), "terms"), i, term)
        if (strcmp(word(term, "term"), kind) == 0 && strcmp(word(term, "of"), of) == 0)
            return term;
    return NULL;
}

static void assert_term(const json_t *made, enum pl_tier tier, const char *kind, const char *of,
                        const char *usd)
{
    const json_t *term = term_of(made, tier, kind, of);
    if (!term)
        fail_msg("%s: no %s of %s", explain_tier_name(tier), kind, of);
    assert_memory_equal(word(term, "excess_usd"), usd, strlen(usd));
    assert_string_equal(word(term, "excess_usd") + strlen(usd), ".000000000000000000");
}

static void halt_ethereum(int64_t since_ms)
{
    struct pl_instrument *rules = &build.parameters.instruments[eth];
    assert_int_equal(pl_id_set(&rules->chain, "ethereum", 8), PL_OK);
    build.parameters.policy.halt_ramp_ms = 100000;
    build_finish(&build);
    venue.chain_halts[0] = (struct pl_chain_halt){ .chain = rules->chain, .since_ms = since_ms };
    venue.chain_halt_count = 1;
}

/* ETH at 16000 USD cannot be moved: at once all of it is taken off at the alert and initial tiers, 70 and
 * 75 % on top of the haircuts, and by and by at the others, a quarter of 80 and of 90 % after a quarter of
 * the ramp. */
static void test_a_halt_is_a_term_of_its_own(void **state)
{
    (void)state;
    halt_ethereum(build.now_ms - 25000);
    json_t *made = document();
    assert_term(made, PL_TIER_ALERT, "haircut", "ETH", "-4800");
    assert_term(made, PL_TIER_ALERT, "halt", "ETH", "-11200");
    assert_term(made, PL_TIER_INITIAL, "halt", "ETH", "-12000");
    assert_term(made, PL_TIER_END, "halt", "ETH", "-3200");
    assert_term(made, PL_TIER_MAINTENANCE, "haircut", "ETH", "-1600");
    assert_term(made, PL_TIER_MAINTENANCE, "halt", "ETH", "-3600");
    assert_null(term_of(made, PL_TIER_MAINTENANCE, "halt", "BTC"));
    const char *text = print(made);
    assert_non_null(strstr(text, "  halt           ETH "));
    assert_non_null(strstr(text, "its chain or bridge is halted"));
    json_decref(made);
    end(state);
    begin(state);
    halt_ethereum(build.now_ms); /* the ramp has not begun */
    made = document();
    assert_term(made, PL_TIER_INITIAL, "halt", "ETH", "-12000");
    assert_null(term_of(made, PL_TIER_END, "halt", "ETH"));
    assert_null(term_of(made, PL_TIER_MAINTENANCE, "halt", "ETH"));
    json_decref(made);
}

/* In mode 1 ETH counts for 95 % at maintenance; BTC, which the mode does not name, for 90 % as ever. */
static void test_a_mode_is_told_with_its_rates(void **state)
{
    (void)state;
    struct pl_parameters *set = &build.parameters;
    set->modes[1] = (struct pl_mode){ true, set->mode_weight_count, 1 };
    set->mode_weights[set->mode_weight_count++] = (struct pl_mode_weight){
        eth, build_tiers(80000, 70000, 60000, 50000), set->instruments[eth].haircut_short, 0 };
    build_finish(&build);
    holdings.mode = 1;
    publish();
    json_t *made = document();
    assert_int_equal(json_integer_value(json_object_get(json_object_get(made, "holdings"), "mode")), 1);
    assert_term(made, PL_TIER_MAINTENANCE, "haircut", "ETH", "-800");
    assert_term(made, PL_TIER_MAINTENANCE, "haircut", "BTC", "-600");
    const json_t *term = term_of(made, PL_TIER_MAINTENANCE, "haircut", "ETH");
    assert_int_equal(json_integer_value(json_object_get(term, "rate_ppm")), 50000);
    term = term_of(made, PL_TIER_MAINTENANCE, "haircut", "BTC");
    assert_int_equal(json_integer_value(json_object_get(term, "rate_ppm")), 100000);
    assert_non_null(strstr(print(made), "in mode 1\n"));
    json_decref(made);
    holdings.mode = 0;
    publish();
    made = document();
    assert_null(json_object_get(json_object_get(made, "holdings"), "mode"));
    assert_term(made, PL_TIER_MAINTENANCE, "haircut", "ETH", "-1600");
    assert_null(strstr(print(made), "in mode"));
    json_decref(made);
}

/* ETH at 100 USD, a call worth 8 (owed 9) there; up 12 % at higher volatility 18 (19), down 20 % 2 (3). */
static void begin_options(void)
{
    static const int64_t plain[] = { 1, 2, 6, 14, 28, 60 }, up[] = { 2, 4, 9, 18, 32, 64 };
    static struct pl_option_grid grid;
    struct pl_parameters *set = &build.parameters;
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 0, 0);
    uint32_t vol = build_instrument(&build, "VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    btc = build_instrument(&build, "CALL", PL_INSTRUMENT_OPTION, 0, 0);
    set->instruments[btc].option = (struct pl_option_terms){
        .type = PL_OPTION_CALL, .underlying = eth, .volatility = vol, .strike_ticks = 100, .expiry_ms = 1 };
    for (uint32_t i = 0; i < 3; i++)
        if (i != vol) {
            set->instruments[i].has_scenarios = true;
            set->instruments[i].scenario_underlying = eth;
        }
    set->scenario_count = 2;
    set->scenarios[0] = (struct pl_option_scenario){ 120000, PL_LAYER_UP, build_flat(800000) };
    set->scenarios[1] = (struct pl_option_scenario){ -200000, PL_LAYER_MID, build_flat(800000) };
    set->short_minimum = build_tiers(100000, 50000, 50000, 50000);
    grid.grid = (struct pl_grid){ .bits = 2, .first_cell = 6 << 2, .node_count = 6 };
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (int i = 0; i < 6; i++) {
            const int64_t usd = layer == PL_LAYER_UP ? up[i] : plain[i];
            grid.low[layer][i] = usd * (int64_t)BUILD_USD;
            grid.high[layer][i] = (usd + 1) * (int64_t)BUILD_USD;
        }
    build_finish(&build);
    for (uint32_t i = 0; i < 3; i++)
        build_price(&build, i, 100);
    build.marks[btc].grid = &grid;
}

static json_t *document_of_calls(int64_t lots)
{
    holdings.leg_count = 0;
    hold(0, btc, lots);
    hold_cash(1000);
    publish();
    return document();
}

/* 10 owned lose 60 where ETH falls, 48 of it is asked for; 10 owed lose 100 where it rises, 80 of it, but
 * at the alert tier the minimum, 10 % of 1000, is more. */
static void test_the_worst_scenario_is_named(void **state)
{
    (void)state;
    begin_options();
    json_t *made = document_of_calls(10);
    assert_term(made, PL_TIER_MAINTENANCE, "scenario", "ETH", "-48");
    const json_t *worst = json_object_get(term_of(made, PL_TIER_MAINTENANCE, "scenario", "ETH"), "worst");
    assert_int_equal(json_integer_value(json_object_get(worst, "scenario")), 1);
    assert_int_equal(json_integer_value(json_object_get(worst, "move_ppm")), -200000);
    assert_string_equal(word(worst, "volatility"), "mid");
    assert_non_null(strstr(print(made), "scenario 1: -20"));
    assert_non_null(strstr(print(made), "volatility mid\n"));
    json_decref(made);
    made = document_of_calls(-10);
    assert_term(made, PL_TIER_MAINTENANCE, "scenario", "ETH", "-80");
    worst = json_object_get(term_of(made, PL_TIER_MAINTENANCE, "scenario", "ETH"), "worst");
    assert_int_equal(json_integer_value(json_object_get(worst, "scenario")), 0);
    assert_int_equal(json_integer_value(json_object_get(worst, "move_ppm")), 120000);
    assert_string_equal(word(worst, "volatility"), "up");
    assert_term(made, PL_TIER_ALERT, "scenario", "ETH", "-100");
    assert_string_equal(word(term_of(made, PL_TIER_ALERT, "scenario", "ETH"), "worst"),
                        "short option minimum");
    assert_non_null(strstr(print(made), "  short option minimum\n"));
    json_decref(made);
}

/* ---- choices -------------------------------------------------------------------------------- */

static const json_t *choice_of(const json_t *made, const char *instrument)
{
    const json_t *choice;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(made, "plan"), "choices"), i, choice)
        if (strcmp(word(choice, "instrument"), instrument) == 0)
            return choice;
    fail_msg("no choice %s", instrument);
    return NULL;
}

/* A third leg that cannot be sold, each time for another reason. */
static void choice_unranked(void)
{
    build.parameters.instruments[btc].sale_rank = 0;
}

static void choice_stale(void)
{
    build.marks[btc].event_time_ms -= 61000;
    price(eth, 1000);
    hold_cash(-40000);
    publish();
}

static void choice_not_final(void)
{
    holdings.legs[0].final_lots = -1; /* counted or final, it may be either side of 0 */
    hold_cash(-40000);
    publish();
}

static void choice_unlisted(void)
{
    holdings.legs[0].is_unlisted_amount = true;
    publish();
}

static void choice_no_price(void)
{
    build.parameters.instruments[btc].sale_discount_ppm = 999999;
    struct pl_mark *mark = &build.marks[btc];
    mark->mantissa = mark->low_mantissa = mark->high_mantissa = 999;
}

static void choice_pending(void)
{
    struct pl_account_state pending_state = { .state = PL_STATE_LIQUIDATING, .episode = 1,
                                              .revision = 1, .since_ms = build.now_ms - 2000,
                                              .whole_since_ms = -1, .version = 1,
                                              .pending_count = 1 };
    pending_state.pending[0] = (struct pl_pending){
        .order_id = { 1 }, .instrument = btc, .side = PL_SIDE_SELL, .progress = PL_PROGRESS_OPEN,
        .lot_decimals = 2, .ordered_lots = 20, .limit_ticks = 2970000, .limit_exponent = -2,
        .valid_until_ms = build.now_ms + 3000 };
    price(eth, 1500);
    assert_int_equal(pl_book_set_state(ledger.book, row, &pending_state,
                                       (struct pl_digest){ 1, 1 }), PL_OK);
}

static void test_legs_that_cannot_be_sold_say_why(void **state)
{
    static const struct { void (*set)(void); const char *skipped; } cases[] = {
        { choice_unranked, "it is not in the liquidity order" },
        { choice_stale, "its mark is stale" },
        { choice_not_final, "nothing of it is final" },
        { choice_unlisted, "it is not listed" },
        { choice_no_price, "its limit would be no price" },
        { choice_pending, "all of it is pending already" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i > 0)
            begin(state);
        cases[i].set();
        json_t *made = document();
        if (strcmp(word(made, "reason"), "sold") != 0)
            fail_msg("%s: %s", cases[i].skipped, word(made, "answer"));
        assert_string_equal(word(choice_of(made, "BTC"), "skipped"), cases[i].skipped);
        assert_true(json_is_null(json_object_get(choice_of(made, "BTC"), "alone")));
        assert_true(json_is_true(json_object_get(choice_of(made, "ETH"), "ordered")));
        assert_non_null(strstr(print(made), cases[i].skipped));
        json_decref(made);
        if (i + 1 < sizeof(cases) / sizeof(cases[0]))
            end(state);
    }
}

/*
 * Either leg alone would do: the liquidity order decides. With the end tier at 15 % and 0.5 BTC,
 * equity is 3000 and the end tier lacks 1650; an ETH brings 1584 - 1360 = 224 of it, a BTC 29700 -
 * 25500 = 4200.
 */
static void test_the_liquidity_order_decides_between_equals(void **state)
{
    (void)state;
    build.parameters.instruments[eth].haircut_long.at[PL_TIER_END] = 150000;
    build.parameters.instruments[btc].haircut_long.at[PL_TIER_END] = 150000;
    hold(0, btc, 50);
    hold_cash(-28000);
    publish();
    json_t *made = document();
    const json_t *taken = choice_of(made, "ETH"), *left = choice_of(made, "BTC");
    const json_t *alone = json_object_get(left, "alone");
    assert_true(json_is_true(json_object_get(taken, "ordered")));
    assert_string_equal(word(json_object_get(taken, "alone"), "quantity"), "7.37");
    assert_false(json_is_true(json_object_get(left, "ordered")));
    assert_string_equal(word(left, "note"),
                        "would reach the target too, but stands later in the liquidity order");
    assert_true(json_is_true(json_object_get(alone, "reaches_target")));
    assert_string_equal(word(alone, "quantity"), "0.40");
    assert_string_equal(word(alone, "end_excess_after_usd"), "30.000000000000000000");
    json_decref(made);
}

/* ---- what could be done --------------------------------------------------------------------- */

/* -3500 at the initial tier: 384 for each ETH sold at 1584 of which 75 % counted. */
static void test_ways_to_a_goal(void **state)
{
    static const struct pl_goal initial = { .tier = PL_TIER_INITIAL };
    static const struct pl_goal health = { .health_ppm = 1250000 };
    (void)state;
    json_t *plain = document();
    assert_null(json_object_get(plain, "optimise"));
    json_decref(plain);
    scene.goal = &initial;
    json_t *made = document();
    const json_t *answer = json_object_get(made, "optimise");
    const json_t *cash = json_array_get(json_object_get(answer, "top_up"), 0);
    const json_t *sale = json_array_get(json_object_get(answer, "reduce"), 0);
    assert_string_equal(word(answer, "goal"), "initial");
    assert_true(json_is_false(json_object_get(answer, "reached")));
    assert_string_equal(word(cash, "instrument"), "cash");
    assert_string_equal(word(cash, "cost_usd"), "3500.000000000000");
    assert_string_equal(word(sale, "instrument"), "ETH");
    assert_string_equal(word(sale, "quantity"), "9.12");
    assert_string_equal(word(sale, "price"), "1584.00");
    assert_string_equal(word(sale, "cost_usd"), "145.920000000000");
    /* The same leg again; 3500 / 384 ETH would cost 16 USD each, and that is what is proved. */
    const json_t *together = json_object_get(answer, "together");
    const json_t *leg = json_array_get(json_object_get(together, "legs"), 0);
    assert_int_equal(json_array_size(json_object_get(together, "legs")), 1);
    assert_string_equal(word(leg, "side"), "sell");
    assert_string_equal(word(leg, "instrument"), "ETH");
    assert_string_equal(word(leg, "quantity"), "9.12");
    assert_string_equal(word(leg, "price"), "1584.00");
    assert_string_equal(word(together, "cost_usd"), "145.920000000000");
    assert_string_equal(word(together, "cost_bound_usd"), "145.832984799199"); /* mu has 19 bits */
    assert_int_equal(json_array_size(json_object_get(answer, "withdrawals")), 0);
    json_decref(made);
    scene.goal = &health;
    made = document(); /* 19800 and so much cash over 20000 of debt, at first less of it */
    answer = json_object_get(made, "optimise");
    assert_string_equal(word(answer, "goal"), "1.250000");
    assert_string_equal(word(json_array_get(json_object_get(answer, "top_up"), 0), "cost_usd"),
                        "4160.000000000000"); /* 19800 = 1.25 (20000 - 4160) */
    json_decref(made);
    hold_cash(-10000);
    publish();
    made = document();
    answer = json_object_get(made, "optimise");
    assert_true(json_is_true(json_object_get(answer, "reached")));
    assert_true(json_array_size(json_object_get(answer, "withdrawals")) > 0);
    assert_int_equal(json_array_size(json_object_get(answer, "top_up")), 0);
    json_decref(made);
    scene.goal = NULL;
}

/* ---- golden --------------------------------------------------------------------------------- */

/* A file of tests/unit/explain/: what a risk desk and a program read. */
static const char *golden(const char *name)
{
    static char text[1 << 16];
    char path[512];
    snprintf(path, sizeof(path), PL_SOURCE_DIR "/tests/unit/explain/%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* The document and its text are those of NAME.json and NAME.txt. */
static void check_golden(const json_t *made, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "%s.txt", name);
    assert_string_equal(print(made), golden(path));
    snprintf(path, sizeof(path), "%s.json", name);
    char *text = json_dumps(made, JSON_INDENT(1));
    json_t *expected = json_loads(golden(path), 0, NULL);
    assert_non_null(expected);
    if (!json_equal(made, expected))
        fail_msg("not %s:\n%s", path, text);
    json_decref(expected);
    free(text);
}

static void test_a_sale_is_told_whole(void **state)
{
    (void)state;
    json_t *made = document();
    check_golden(made, "sold");
    json_decref(made);
}

/* Everything that is there only sometimes, at once: the field names are a promise. */
static void test_everything_has_its_field(void **state)
{
    (void)state;
    record.legs[record.leg_count++] = (struct pl_record_leg){
        .instrument = build.names.ids[btc], .quantity = { .mantissa = 2, .exponent = 3 } };
    record.tail[record.tail_count++] = (struct pl_record_tail){
        .instrument = build.names.ids[eth], .sequence = 4, .block_height = 77,
        .quantity = { .mantissa = -15, .exponent = -1 } };
    assert_int_equal(pl_id_set(&record.sources[0].chain, "ethereum", 8), PL_OK);
    begin_all_terms();
    hold_cash(-3700);
    publish();
    json_t *first = document();
    scene.plan = json_object_get(first, "plan");
    scene.sale_sequence = SEQUENCE;
    sell_before();
    all_halted();
    too_old();
    holdings.legs[1].final_lots = 1500;
    holdings.final_cash_vu += BUILD_USD;
    publish();
    json_t *history = json_pack(
        "[{s:i, s:I, s:s, s:s, s:i, s:i, s:i, s:i, s:i}]", "sequence", 3, "time_ms",
        (json_int_t)(build.now_ms - 5000), "left", "ok", "entered", "alert", "episode", 0,
        "revision", 0, "version", 1, "pending_count", 0, "doubt_count", 0);
    json_t *alerts = json_pack("[{s:i, s:I, s:s, s:s, s:s, s:n}]", "sequence", 3, "time_ms",
                               (json_int_t)(build.now_ms - 5000), "kind", "state", "left", "ok",
                               "entered", "alert", "order_id");
    scene.history = history;
    scene.alerts = alerts;
    json_t *made = document();
    check_golden(made, "everything");
    json_decref(made);
    json_decref(first);
    json_decref(history);
    json_decref(alerts);
}

/* A plan of an earlier entry is told for as long as its episode is open, and no longer. */
static void test_an_open_episode_tells_its_last_plan(void **state)
{
    (void)state;
    json_t *first = document();
    scene.plan = json_object_get(first, "plan");
    scene.sale_sequence = SEQUENCE;
    sell_before();
    json_t *later = document();
    assert_string_equal(word(later, "reason"), "orders_pending");
    assert_true(json_equal(json_object_get(later, "plan"), scene.plan));
    assert_non_null(strstr(print(later), "plan        of entry 7 at "));
    json_decref(later);
    entry.sequence++;
    struct pl_account_state whole = { .state = PL_STATE_OK, .whole_since_ms = -1, .version = 2 };
    assert_int_equal(pl_book_set_state(ledger.book, row, &whole, (struct pl_digest){ 2, 2 }),
                     PL_OK);
    healthy();
    later = document();
    assert_true(json_is_null(json_object_get(later, "plan")));
    json_decref(later);
    json_decref(first);
}

/* ---- orders in flight ----------------------------------------------------------------------- */

static void test_what_may_still_be_executed_is_reserved(void **state)
{
    static const struct {
        enum pl_progress progress;
        int64_t executed, applied, reserved;
    } rows[] = {
        { PL_PROGRESS_OPEN, 0, 0, 100 },           { PL_PROGRESS_ACKNOWLEDGED, 30, 0, 100 },
        { PL_PROGRESS_ACKNOWLEDGED, 30, 20, 80 },  { PL_PROGRESS_OVERDUE, 30, 30, 70 },
        { PL_PROGRESS_TERMINAL, 30, 20, 10 },      { PL_PROGRESS_TERMINAL, 0, 0, 0 },
        { PL_PROGRESS_ACKNOWLEDGED, 130, 20, 110 } /* more than was ordered */,
        { PL_PROGRESS_TERMINAL, 100, 120, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct pl_pending order = { .progress = rows[i].progress, .ordered_lots = 100,
                                          .executed_lots = rows[i].executed,
                                          .applied_lots = rows[i].applied };
        assert_int_equal(explain_reserved_lots(&order), rows[i].reserved);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_first_line_says_why_or_why_not, begin, end),
        cmocka_unit_test_setup_teardown(test_terms_are_those_of_the_model_and_add_up, begin, end),
        cmocka_unit_test_setup_teardown(test_a_halt_is_a_term_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(test_a_mode_is_told_with_its_rates, begin, end),
        cmocka_unit_test_setup_teardown(test_the_worst_scenario_is_named, begin, end),
        cmocka_unit_test_setup_teardown(test_legs_that_cannot_be_sold_say_why, begin, end),
        cmocka_unit_test_setup_teardown(test_the_liquidity_order_decides_between_equals, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_an_open_episode_tells_its_last_plan, begin, end),
        cmocka_unit_test_setup_teardown(test_ways_to_a_goal, begin, end),
        cmocka_unit_test_setup_teardown(test_a_sale_is_told_whole, begin, end),
        cmocka_unit_test_setup_teardown(test_everything_has_its_field, begin, end),
        cmocka_unit_test(test_what_may_still_be_executed_is_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
