/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What-if and scenarios where prices hang together, worked by hand: ETH at 2000.00, stETH pegged to it at
 * 2200.01, and a call on ETH that follows a volatility of 60 %.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/price/price.h"
#include "services/cli/decimal.h"
#include "services/cli/derived.h"
#include "services/cli/risk.h"
#include "services/cli/what_if.h"
#include "tests/support/build.h"

static const int64_t DAY_MS = 86400000;

static struct build build;
static struct pl_option_grid grid;
static struct pl_journal entry;
static struct venue venue;
static struct ledger ledger;
static struct moment moment;
static struct pl_id account;
static uint32_t eth, rate, steth, vol, call;

static void list(void)
{
    struct pl_parameters *set = &build.parameters;
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 0, 2);
    rate = build_instrument(&build, "STETH-RATE", PL_INSTRUMENT_SPOT, 0, 8);
    steth = build_instrument(&build, "STETH", PL_INSTRUMENT_SPOT, 0, 2);
    vol = build_instrument(&build, "ETH-VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    call = build_instrument(&build, "ETH-CALL", PL_INSTRUMENT_OPTION, 0, 2);
    set->instruments[steth].peg = (struct pl_peg){ .is_present = true, .base = eth, .redemption = rate };
    set->instruments[call].option = (struct pl_option_terms){
        .type = PL_OPTION_CALL, .underlying = eth, .volatility = vol, .strike_ticks = 200000,
        .expiry_ms = build.now_ms + 30 * DAY_MS };
    set->instruments[call].has_scenarios = set->instruments[eth].has_scenarios = true;
    set->instruments[call].scenario_underlying = set->instruments[eth].scenario_underlying = eth;
    build_scenarios(&build);
}

static void price(void)
{
    const struct pl_option_inputs inputs = { .ticks = 200000, .volatility = 0.6,
                                             .now_ms = build.now_ms };
    build_price(&build, eth, 200000);
    build_price(&build, rate, 110000500);
    build_price(&build, steth, 220001);
    build_price(&build, vol, 6000);
    build_price(&build, call, 1);
    assert_int_equal(pl_option_grid_fill(&build.parameters, call, &inputs, &grid), PL_OK);
    build.marks[call].grid = &grid;
    build_update(&build);
}

/* An account with one leg, at the moment that is asked about. */
static void hold(uint32_t instrument, int64_t lots)
{
    const struct pl_book_limits limits = { 1, 2 * PL_LEGS_MAX, 2 * PL_APPLIED_MAX, 1 };
    static struct pl_holdings holdings;
    uint32_t row = 0;
    build_finish(&build);
    price();
    assert_int_equal(pl_id_set(&account, "alice", 5), PL_OK);
    holdings = (struct pl_holdings){ .account = account, .version = 1, .leg_count = 1 };
    holdings.legs[0] = build_leg(instrument, lots);
    const size_t size_bytes = (pl_book_bytes(&limits) + 63) / 64 * 64;
    void *block = aligned_alloc(64, size_bytes);
    memset(block, 0, size_bytes);
    ledger = (struct ledger){ .partition_count = 1, .book = pl_book_init(block, &limits) };
    assert_int_equal(pl_book_apply_holdings(ledger.book, &holdings, &row), PL_OK);
    venue = (struct venue){ .names = &build.names, .parameters = &build.parameters,
                            .marks = build.marks, .market = &build.market, .has_parameters = true };
    moment = (struct moment){ .entry = &entry, .venue = &venue, .ledger = &ledger };
}

static void let_go(void)
{
    free(ledger.book);
}

static pl_i128 vu_of(const json_t *amount)
{
    struct pl_amount parsed;
    pl_i128 vu = 0;
    const char *text = json_string_value(amount);
    assert_non_null(text);
    assert_int_equal(decimal_parse(text, strlen(text), &parsed), PL_OK);
    assert_int_equal(pl_rescale_wide(parsed.mantissa, parsed.exponent, 12, PL_ROUND_FLOOR, &vu), PL_OK);
    return vu;
}

/* Equity after these prices. */
static pl_i128 equity_at(const char *first, const char *second)
{
    const struct what_if_change changes[] = { { WHAT_IF_PRICE, first }, { WHAT_IF_PRICE, second } };
    const struct what_if asked = { .changes = changes, .change_count = second ? 2 : 1 };
    json_t *document = NULL;
    if (what_if_answer(&moment, &account, &asked, &document))
        fail_msg("%s: %s", first, pl_err_text());
    const json_t *verdict = json_object_get(json_object_get(document, "after"), "verdict");
    const pl_i128 equity = vu_of(json_object_get(verdict, "equity_usd"));
    json_decref(document);
    return equity;
}

static void assert_equity(const char *first, const char *second, pl_i128 cents)
{
    build_assert_i128(equity_at(first, second), cents * BUILD_USD / 100, first);
}

/* What the account loses in the scenario of these moves. */
static enum pl_err lose(const char *moves, pl_i128 *loss_vu)
{
    json_t *scenarios = json_pack("[{s:s, s:o}]", "scenario", "crash", "moves_ppm",
                                  json_loads(moves, 0, NULL));
    const struct risk_options options = { .scenarios = scenarios, .confidence_ppm = 990000 };
    json_t *document = NULL;
    enum pl_err err = risk_account(&moment, &account, &options, &document);
    if (!err)
        *loss_vu = vu_of(json_object_get(json_object_get(json_object_get(document, "tail"), "worst"),
                                         "loss_usd"));
    json_decref(document);
    json_decref(scenarios);
    return err;
}

static void assert_loss(const char *moves, pl_i128 cents)
{
    pl_i128 loss_vu = 0;
    if (lose(moves, &loss_vu))
        fail_msg("%s: %s", moves, pl_err_text());
    build_assert_i128(loss_vu, cents * BUILD_USD / 100, moves);
}

/* ---- pegs ------------------------------------------------------------------------------------ */

/* 2200.01 * 1000 / 2000 = 1100.005, down; * 1999.99 / 2000 = 2199.99 (and 0.9 of a cent, let go). */
static void a_base_moves_what_is_pegged(void **state)
{
    (void)state;
    list();
    hold(steth, 10);
    assert_equity("ETH=1000", NULL, 1100000);
    assert_equity("ETH=-50%", NULL, 1100000);
    assert_equity("ETH=1999.99", NULL, 2199990);
    assert_equity("ETH=2000", NULL, 2200010);
    assert_equity("ETH=+0%", NULL, 2200010);
    let_go();
}

/* What is owed is rounded up: 1100.01. */
static void what_is_owed_rounds_up(void **state)
{
    (void)state;
    list();
    build.parameters.instruments[steth].peg.rounds_up = true;
    hold(steth, -10);
    assert_equity("ETH=1000", NULL, -1100010);
    let_go();
}

static void what_is_stated_stands(void **state)
{
    (void)state;
    list();
    hold(steth, 10);
    assert_equity("STETH=2100", "ETH=1000", 2100000);
    assert_equity("ETH=1000", "STETH=+0%", 2200010);
    let_go();
}

/* Moved marks, and what follows. */
static const struct pl_mark *follow(uint32_t moved, const struct pl_mark *to)
{
    static struct pl_mark marks[PL_INSTRUMENTS_MAX];
    static struct pl_option_grid grids[PL_OPTIONS_MAX];
    static const bool none[PL_INSTRUMENTS_MAX];
    memcpy(marks, build.marks, sizeof marks);
    marks[moved] = *to;
    derived_follow(&build.parameters, build.now_ms, build.marks, none, marks, grids);
    return marks;
}

/* The interval is the base's, times the ratio and outward: 1650.0075 and 2420.011; a bad mark stays bad. */
static void the_interval_is_that_of_the_base(void **state)
{
    (void)state;
    list();
    hold(steth, 10);
    build_status(&build, steth, PL_MARK_STALE);
    struct pl_mark to = build.marks[eth];
    to.low_mantissa = 150000;
    to.high_mantissa = 220000;
    to.event_time_ms += 7;
    const struct pl_mark *mark = &follow(eth, &to)[steth];
    assert_int_equal(mark->mantissa, 220001);
    assert_int_equal(mark->low_mantissa, 165000);
    assert_int_equal(mark->high_mantissa, 242002);
    assert_int_equal(mark->event_time_ms, to.event_time_ms);
    assert_int_equal(mark->status, PL_MARK_STALE);
    let_go();
}

/* ---- options --------------------------------------------------------------------------------- */

/* The value of one call by a grid of its own. */
static pl_i128 value_at(int64_t ticks, double volatility)
{
    static struct pl_option_grid other;
    const struct pl_option_inputs inputs = { .ticks = ticks, .volatility = volatility,
                                             .now_ms = build.now_ms };
    assert_int_equal(pl_option_grid_fill(&build.parameters, call, &inputs, &other), PL_OK);
    const struct pl_grid_place place = pl_grid_place(&other.grid, ticks);
    return pl_grid_interpolate(other.low[0][place.node], other.low[0][place.node + 1], place);
}

/* At the money 2000 (2 N(v sqrt(T) / 2) - 1), T = 30 / 365: 137.1 at 60 %, 205.3 at 90 %, 68.6 at 30 %. */
static void a_volatility_moves_its_options(void **state)
{
    (void)state;
    list();
    hold(call, 1);
    const pl_i128 now = equity_at("STETH=2200", NULL);
    assert_true(now > 136 * BUILD_USD && now < 138 * BUILD_USD);
    const pl_i128 higher = equity_at("ETH-VOL=0.9", NULL);
    assert_true(higher > 204 * BUILD_USD && higher < 206 * BUILD_USD);
    build_assert_i128(higher, value_at(200000, 0.9), "by a grid at 90 %");
    build_assert_i128(equity_at("ETH-VOL=-50%", NULL), value_at(200000, 0.3), "by a grid at 30 %");
    build_assert_i128(equity_at("ETH-VOL=+0%", NULL), now, "nothing moved");
    let_go();
}

/* 16000 lies beyond the grid around 2000: worth 14000 and hardly more. */
static void an_underlying_moves_its_options(void **state)
{
    (void)state;
    list();
    hold(call, 1);
    const pl_i128 far = equity_at("ETH=16000", NULL);
    assert_true(far > 13999 * BUILD_USD && far < 14001 * BUILD_USD);
    build_assert_i128(far, value_at(1600000, 0.6), "by a grid around it");
    build_assert_i128(equity_at("ETH=2500", "ETH-VOL=0.9"), value_at(250000, 0.9), "both");
    let_go();
}

/* An option on what is pegged follows the base by way of it: 2200.01 / 2. */
static void an_option_on_what_is_pegged(void **state)
{
    (void)state;
    list();
    build.parameters.instruments[call].option.underlying = steth;
    build.parameters.instruments[call].scenario_underlying = steth;
    build.parameters.instruments[steth].has_scenarios = true;
    build.parameters.instruments[steth].scenario_underlying = steth;
    hold(call, 1);
    build_assert_i128(equity_at("ETH=1000", NULL), value_at(110000, 0.6), "at 1100.00");
    let_go();
}

/* Settled, or within the averaging window, of which the newest marks alone do not tell. */
static void what_has_settled_stays(void **state)
{
    (void)state;
    list();
    build.parameters.instruments[call].option.expiry_ms = build.now_ms;
    hold(call, 1);
    assert_true(pl_option_settle(&build.parameters, call, 230000, &grid));
    build_update(&build);
    assert_equity("ETH=1000", "ETH-VOL=2", 30000);
    let_go();
}

/* What leaves its range, or hangs on what has no price, is in doubt and not as it was: 10^10 USD are
 * 10^22 VU, more than 2^62. A volatility that has grown old makes its options old. */
static void what_cannot_be_derived_is_in_doubt(void **state)
{
    (void)state;
    list();
    hold(call, 1);
    struct pl_mark to = build.marks[eth];
    to.mantissa = to.low_mantissa = to.high_mantissa = 1000000000000;
    assert_null(follow(eth, &to)[call].grid);
    to.mantissa = 0;
    assert_null(follow(eth, &to)[call].grid);
    assert_int_equal(follow(eth, &to)[steth].mantissa, 0);
    to = build.marks[vol];
    to.event_time_ms -= build.parameters.instruments[vol].price_rules.age_ms_max;
    assert_int_equal(follow(vol, &to)[call].status, PL_MARK_LIVE);
    assert_int_equal(follow(vol, &to)[call].event_time_ms, build.now_ms);
    to.event_time_ms--;
    assert_int_equal(follow(vol, &to)[call].status, PL_MARK_STALE);
    let_go();
}

static void the_price_of_an_option_is_refused(void **state)
{
    static const char cure[] = "an option's value is derived; change its underlying ETH or its "
                               "volatility ETH-VOL";
    const struct what_if_change change = { WHAT_IF_PRICE, "ETH-CALL=150" };
    const struct what_if asked = { .changes = &change, .change_count = 1 };
    json_t *document = NULL;
    pl_i128 loss_vu = 0;
    (void)state;
    list();
    hold(call, 1);
    assert_int_equal(what_if_answer(&moment, &account, &asked, &document), PL_REJECT_CONFLICT);
    assert_non_null(strstr(pl_err_text(), "--price ETH-CALL"));
    assert_non_null(strstr(pl_err_text(), cure));
    assert_int_equal(lose("{\"ETH\": 1, \"ETH-CALL\": -100000}", &loss_vu), PL_REJECT_CONFLICT);
    assert_non_null(strstr(pl_err_text(), "scenario crash: ETH-CALL"));
    assert_non_null(strstr(pl_err_text(), cure));
    let_go();
}

/* ---- scenarios ------------------------------------------------------------------------------- */

/* Half of ETH takes half of 22000.10; who names stETH as well says where it goes. */
static void scenarios_move_what_follows(void **state)
{
    pl_i128 loss_vu = 0;
    (void)state;
    list();
    hold(steth, 10);
    assert_loss("{\"ETH\": -500000}", 1100010);
    assert_loss("{\"ETH\": -500000, \"STETH\": 0}", 0);
    assert_loss("{\"ETH\": -500000, \"STETH\": -100000}", 220000);
    let_go();
    list();
    hold(call, -1);
    const pl_i128 owed = value_at(200000, 0.6);
    assert_int_equal(lose("{\"ETH-VOL\": 500000}", &loss_vu), PL_OK);
    assert_true(loss_vu > 67 * BUILD_USD && loss_vu < 70 * BUILD_USD); /* 205.3 - 137.1 */
    assert_int_equal(lose("{\"ETH\": 7000000}", &loss_vu), PL_OK);
    assert_true(loss_vu > 13999 * BUILD_USD - owed && loss_vu < 14001 * BUILD_USD - owed);
    let_go();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_moves_what_is_pegged),
        cmocka_unit_test(what_is_owed_rounds_up),
        cmocka_unit_test(what_is_stated_stands),
        cmocka_unit_test(the_interval_is_that_of_the_base),
        cmocka_unit_test(a_volatility_moves_its_options),
        cmocka_unit_test(an_underlying_moves_its_options),
        cmocka_unit_test(an_option_on_what_is_pegged),
        cmocka_unit_test(what_has_settled_stays),
        cmocka_unit_test(what_cannot_be_derived_is_in_doubt),
        cmocka_unit_test(the_price_of_an_option_is_refused),
        cmocka_unit_test(scenarios_move_what_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
