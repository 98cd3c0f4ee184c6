/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds and verdicts: both ends of what each kind of bad input leaves open, certainty, doubts,
 * gross and equity (G4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t asset_a, asset_b;

/* ---- bounds --------------------------------------------------------------------------------- */

enum flaw { FLAW_NONE, FLAW_STALE, FLAW_HALTED, FLAW_UNPRICED, FLAW_UNLISTED, FLAW_UNKNOWN_SIZE };

/*
 * A of 100 USD with haircuts 10 % and 5 %, 20 % of the common factor and 30 % loss; B of 100 USD
 * with 20 % of the same factor. A bad mark may lie between half and twice. Then derivatives that ask
 * for more than their value: PERP for 150 % long and 10 % short, 20 % of the factor and 10 % above
 * 1,000 USD; LOADED for 150 % of the factor; LOSING for 150 % in case of a loss; STEPPED for 150 %
 * by brackets.
 */
static uint32_t perp_c, loaded, losing, stepped;

static void set_up_bounds(enum flaw flaw, uint32_t *flawed)
{
    build_init(&build);
    uint32_t f = build_factor(&build, "F"), d = build_dependency(&build, "D");
    asset_a = build_instrument(&build, "A", PL_INSTRUMENT_SPOT, 0, 0);
    asset_b = build_instrument(&build, "B", PL_INSTRUMENT_SPOT, 0, 0);
    perp_c = build_instrument(&build, "PERP", PL_INSTRUMENT_PERP, 0, 0);
    build_haircuts(&build, asset_a, build_flat(100000), build_flat(50000));
    build_haircuts(&build, perp_c, build_flat(1500000), build_flat(100000));
    loaded = build_instrument(&build, "LOADED", PL_INSTRUMENT_PERP, 0, 0);
    losing = build_instrument(&build, "LOSING", PL_INSTRUMENT_PERP, 0, 0);
    stepped = build_instrument(&build, "STEPPED", PL_INSTRUMENT_PERP, 0, 0);
    build_load(&build, loaded, f, build_flat(1500000));
    build_loss(&build, losing, d, build_flat(1500000));
    build_bracket(&build, stepped, 0, build_flat(1500000));
    build_load(&build, asset_a, f, build_flat(200000));
    build_load(&build, asset_b, f, build_flat(200000));
    build_load(&build, perp_c, f, build_flat(200000));
    build_loss(&build, asset_a, d, build_flat(300000));
    build_bracket(&build, perp_c, 1000, build_flat(100000));
    for (uint32_t i = 0; i < build.names.count; i++)
        build.parameters.instruments[i].price_rules.bad_mark_low_ppm = 500000;
    build_finish(&build);
    for (uint32_t i = 0; i < build.names.count; i++) {
        build_price(&build, i, 100);
        build_interval(&build, i, 90, 120);
    }
    if (flaw == FLAW_STALE)
        build.marks[*flawed].event_time_ms -= 60001;
    if (flaw == FLAW_HALTED)
        build_status(&build, *flawed, PL_MARK_HALTED);
    if (flaw == FLAW_UNPRICED)
        build_status(&build, *flawed, PL_MARK_NONE);
    if (flaw == FLAW_UNLISTED) {
        build.parameters.instruments[*flawed].is_listed = false;
        build.parameters.instrument_count--;
        build_finish(&build);
    }
    build_update(&build);
}

static const int64_t OPEN = INT64_MAX; /* no bound */

static void assert_bound(pl_i128 bound, int64_t expected_usd, int sign, const char *what)
{
    build_assert_i128(
        bound, expected_usd == OPEN ? sign * PL_EXCESS_UNBOUNDED : expected_usd * BUILD_EXCESS_USD,
        what);
}

static void bad_inputs_leave_these_bounds(void **state)
{
    (void)state;
    enum { A, B, PERP, LOADED, LOSING, STEPPED, LEGS };
    enum { INITIAL = PL_TIER_INITIAL, END = PL_TIER_END };
    enum { UNFINAL = PL_DOUBT_UNFINALISED, NO_MARK = PL_DOUBT_NO_MARK };
    enum { STALE = PL_DOUBT_STALE, HALTED = PL_DOUBT_HALTED, UNLISTED = PL_DOUBT_UNLISTED };
    static const struct {
        const char *what;
        enum flaw flaw;
        int flawed;
        int64_t lots[LEGS], final_lots[LEGS];
        int tier;
        int64_t low_usd, high_usd; /* of the excess */
        int reason;                /* 0: no doubt */
    } rows[] = {
        {"certain", FLAW_NONE, A, {10}, {10}, END, 400, 400, 0},
        {"no lots", FLAW_NONE, A, {0}, {0}, END, 0, 0, 0},
        /* Worth nothing, or 2000 less 10 % haircut, 20 % factor, 30 % loss; no interval is charged
         * on a bad mark. */
        {"stale long", FLAW_STALE, A, {10}, {10}, END, 0, 800, STALE},
        {"halted long", FLAW_HALTED, A, {10}, {10}, END, 0, 800, HALTED},
        {"stale at first", FLAW_STALE, A, {10}, {10}, INITIAL, 0, 800, STALE},
        /* Owes 2000 or 500, and 25 %. */
        {"stale short", FLAW_STALE, A, {-10}, {-10}, END, -2500, -625, STALE},
        /* -1000 of B and what hedges it: worth nothing, 200 of factor are left; worth 2000, the
         * factor is 200 the other way. */
        {"stale hedge", FLAW_STALE, A, {10, -10}, {10, -10}, END, -1200, 0, STALE},
        {"unpriced long", FLAW_UNPRICED, A, {10}, {10}, END, 0, OPEN, NO_MARK},
        {"unpriced short", FLAW_UNPRICED, A, {-10}, {-10}, END, OPEN, 0, NO_MARK},
        {"unlisted long", FLAW_UNLISTED, A, {10}, {10}, END, 0, 0, UNLISTED},
        {"unlisted short", FLAW_UNLISTED, A, {-10}, {-10}, END, OPEN, 0, UNLISTED},
        {"unknown asset", FLAW_UNKNOWN_SIZE, A, {1}, {1}, END, 0, 0, UNLISTED},
        {"unknown debt", FLAW_UNKNOWN_SIZE, A, {-1}, {-1}, END, OPEN, 0, UNLISTED},
        /* An outflow that may be undone: 40 USD a lot, 10 less where the interval counts. */
        {"outflow", FLAW_NONE, A, {10}, {15}, END, 400, 600, UNFINAL},
        {"outflow at first", FLAW_NONE, A, {10}, {15}, INITIAL, 300, 450, UNFINAL},
        /* From owing 1000 and 25 % to holding 500; with a bad mark from owing 2000 to holding
         * 1000. */
        {"across 0", FLAW_NONE, A, {-10}, {5}, END, -1250, 200, UNFINAL},
        {"across 0, stale", FLAW_STALE, A, {-10}, {5}, END, -2500, 400, STALE},
        /* More long PERP costs more than it is worth (-50 % and 20 %), so each term takes its
         * worst. Value 0 .. 2000: own 0 .. -1000, factor 0 .. 400, bracket 0 .. 100. Short it owes
         * 10 % more and the factor, which grows with the value as always, also against B's. */
        {"perp long", FLAW_STALE, PERP, {0, 0, 10}, {0, 0, 10}, END, -1500, 0, STALE},
        {"perp short", FLAW_STALE, PERP, {0, 0, -10}, {0, 0, -10}, END, -2700, -650, STALE},
        {"perp hedge", FLAW_STALE, PERP, {0, 10, -10}, {0, 10, -10}, END, -1500, 350, STALE},
        /* Own is greatest in 0, inside the interval; B's factor may be hedged or doubled. */
        {"perp mix", FLAW_NONE, PERP, {0, 10, -10}, {0, 10, 10}, END, -500, 1000, UNFINAL},
        {"perp unpriced", FLAW_UNPRICED, PERP, {0, 10, 10}, {0, 10, 10}, END, OPEN, 800, NO_MARK},
        /* A factor of 2,000 by B less 750 .. 3,000: the best is inside, so each term by itself. */
        {"loaded", FLAW_STALE, LOADED, {0, 100, 0, -10}, {0, 100, 0, -10}, END, 6750, 9500, STALE},
        /* Debt without bound may hedge B wholly; an asset without bound may cost any factor. */
        {"loaded debt",
         FLAW_UNPRICED,
         LOADED,
         {0, 100, 0, -1},
         {0, 100, 0, -1},
         END,
         OPEN,
         10000,
         NO_MARK},
        {"loaded asset",
         FLAW_UNPRICED,
         LOADED,
         {0, 0, 0, 1},
         {0, 0, 0, 1},
         END,
         OPEN,
         OPEN,
         NO_MARK},
        {"losing",
         FLAW_UNPRICED,
         LOSING,
         {0, 0, 0, 0, 1},
         {0, 0, 0, 0, 1},
         END,
         OPEN,
         OPEN,
         NO_MARK},
        {"stepped",
         FLAW_UNPRICED,
         STEPPED,
         {0, 0, 0, 0, 0, 1},
         {0, 0, 0, 0, 0, 1},
         END,
         OPEN,
         OPEN,
         NO_MARK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t flawed = (uint32_t)rows[i].flawed;
        set_up_bounds(rows[i].flaw, &flawed);
        struct pl_leg legs[LEGS];
        uint32_t leg_count = 0;
        for (uint32_t l = 0; l < LEGS; l++) {
            if (rows[i].lots[l] == 0 && rows[i].final_lots[l] == 0)
                continue;
            legs[leg_count] = build_leg(l, rows[i].lots[l]);
            legs[leg_count].is_unlisted_amount = rows[i].flaw == FLAW_UNKNOWN_SIZE && l == flawed;
            legs[leg_count++].final_lots = rows[i].final_lots[l];
        }
        struct pl_portfolio portfolio = build_portfolio(legs, leg_count, 0);
        struct pl_bounds bounds;
        enum pl_tier tier = (enum pl_tier)rows[i].tier;
        assert_true(pl_evaluate_bounds(&build.market, &portfolio, tier, &bounds));
        assert_bound(bounds.low, rows[i].low_usd, -1, rows[i].what);
        assert_bound(bounds.high, rows[i].high_usd, 1, rows[i].what);
        assert_int_equal(pl_portfolio_is_certain(&build.market, &portfolio), rows[i].reason == 0);

        struct pl_verdict verdict;
        pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
        assert_int_equal(verdict.doubt_count, rows[i].reason != 0);
        if (rows[i].reason) {
            assert_int_equal(verdict.doubts[0].reason, rows[i].reason);
            assert_int_equal(verdict.doubts[0].instrument, flawed);
        }
        assert_bound(verdict.excess[tier].high, rows[i].high_usd, 1, rows[i].what);
    }
}

/*
 * A counts 30 % of its value and 30 % of F: what it brings beyond that is 0, and it never takes. So the most is
 * at its own end, twice its 100 USD or, owed, 0: 0.3 n - |0.3 n - 30| is 30 there, and 0.3 n - |0.3 n + 30|
 * is -30. Term by term it could be 60 and 0, the factor at 0 and A at its end.
 */
static void what_never_takes_is_at_its_end(void **state)
{
    (void)state;
    struct pl_bounds bounds;
    build_init(&build);
    const uint32_t f = build_factor(&build, "F");
    asset_a = build_instrument(&build, "A", PL_INSTRUMENT_PERP, 0, 0);
    asset_b = build_instrument(&build, "B", PL_INSTRUMENT_PERP, 0, 0);
    build_load(&build, asset_a, f, build_flat(300000));
    build_load(&build, asset_b, f, build_flat(300000));
    for (int sign = 1; sign >= -1; sign -= 2) {
        build_haircuts(&build, asset_a, build_flat(700000), build_flat(sign > 0 ? 0 : -700000));
        build_finish(&build);
        build_price(&build, asset_a, 100);
        build_price(&build, asset_b, 100);
        build_status(&build, asset_a, PL_MARK_STALE);
        build_update(&build);
        const struct pl_leg legs[] = {build_leg(asset_a, sign), build_leg(asset_b, -sign)};
        const struct pl_portfolio portfolio = build_portfolio(legs, 2, sign * 100 * BUILD_USD);
        assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_END, &bounds));
        build_assert_i128(bounds.high, sign * 30 * BUILD_EXCESS_USD, "high");
    }
}

static void cash_that_is_not_final_is_open(void **state)
{
    (void)state;
    set_up_bounds(FLAW_NONE, NULL);
    struct pl_portfolio portfolio = build_portfolio(NULL, 0, -5 * BUILD_USD);
    portfolio.final_cash_vu = 3 * BUILD_USD;
    assert_false(pl_portfolio_is_certain(&build.market, &portfolio));
    struct pl_verdict verdict;
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    assert_int_equal(verdict.certainty, PL_UNCERTAIN);
    build_assert_i128(verdict.excess[PL_TIER_MAINTENANCE].low, -5 * BUILD_EXCESS_USD, "low");
    build_assert_i128(verdict.excess[PL_TIER_MAINTENANCE].high, 3 * BUILD_EXCESS_USD, "high");
    build_assert_i128(verdict.equity_vu.low, -5 * BUILD_USD, "equity low");
    build_assert_i128(verdict.equity_vu.high, 3 * BUILD_USD, "equity high");
    assert_int_equal(verdict.doubt_count, 1);
    assert_int_equal(verdict.doubts[0].instrument, UINT32_MAX);
    assert_int_equal(verdict.doubts[0].reason, PL_DOUBT_UNFINALISED);
}

/* ---- verdict -------------------------------------------------------------------------------- */

/* Uncertain is not a shield: what a doubtful leg can not change is certain (G4). */
static void doubt_counts_only_where_it_can_change_the_verdict(void **state)
{
    (void)state;
    static const struct {
        int64_t cash_usd;
        enum pl_certainty certainty;
    } rows[] = {
        {0, PL_CERTAIN}, /* 0 .. 800: not below the line even at worst */
        {-1, PL_UNCERTAIN},
        {-800, PL_UNCERTAIN},
        {-801, PL_CERTAIN}, /* below it even at best */
    };
    uint32_t flawed = 0;
    set_up_bounds(FLAW_STALE, &flawed);
    const struct pl_leg leg = build_leg(asset_a, 10);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, rows[i].cash_usd * BUILD_USD);
        struct pl_verdict verdict;
        pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
        if (verdict.certainty != rows[i].certainty)
            fail_msg("row %zu: %d", i, verdict.certainty);
        build_assert_i128(verdict.equity_vu.low, rows[i].cash_usd * BUILD_USD, "equity low");
        build_assert_i128(verdict.equity_vu.high, (rows[i].cash_usd + 2000) * BUILD_USD,
                          "equity high");
        build_assert_i128(verdict.gross_vu, 1000 * BUILD_USD, "gross, at the last mark");
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            build_assert_i128(verdict.excess[tier].high,
                              (800 + rows[i].cash_usd) * BUILD_EXCESS_USD, "high");
    }
}

static void gross_is_what_counts_at_the_marks(void **state)
{
    (void)state;
    uint32_t flawed = 0;
    set_up_bounds(FLAW_UNPRICED, &flawed);
    struct pl_leg legs[] = {build_leg(asset_a, 10), build_leg(asset_b, -7), build_leg(perp_c, 3)};
    legs[1].final_lots = -5;
    struct pl_portfolio portfolio = build_portfolio(legs, 3, -100000 * BUILD_USD);
    struct pl_verdict verdict;
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    build_assert_i128(verdict.gross_vu, 1000 * BUILD_USD, "gross");
    build_assert_i128(verdict.equity_vu.high, PL_EXCESS_UNBOUNDED, "equity high");
    build_assert_i128(verdict.equity_vu.low, -100400 * BUILD_USD, "equity low");
}

/* Whatever the order of legs and the numbers of names, doubts come by id, the first eight. */
static void doubts_come_in_the_order_of_ids(void **state)
{
    (void)state;
    static const char *const ids[] = {"M", "C", "K", "A", "J", "B", "I", "H", "D", "L"};
    static const char *const sorted[] = {"A", "B", "C", "D", "H", "I", "J", "K"};
    enum { COUNT = sizeof ids / sizeof ids[0] };
    build_init(&build);
    struct pl_leg legs[COUNT], reversed[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        legs[i] = build_leg(build_instrument(&build, ids[i], PL_INSTRUMENT_SPOT, 0, 0), 1);
    for (uint32_t i = 0; i < COUNT; i++)
        reversed[i] = legs[COUNT - 1 - i];
    build_finish(&build);
    build_update(&build);
    for (int turn = 0; turn < 2; turn++) {
        struct pl_portfolio portfolio = build_portfolio(turn ? reversed : legs, COUNT, 0);
        portfolio.final_cash_vu = 1; /* a doubt of the whole account finds no room */
        struct pl_verdict verdict;
        pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
        assert_int_equal(verdict.doubt_count, PL_DOUBTS_MAX);
        for (uint32_t i = 0; i < PL_DOUBTS_MAX; i++)
            assert_string_equal(build.names.ids[verdict.doubts[i].instrument].text, sorted[i]);
    }
}

/* ---- explanation ---------------------------------------------------------------------------- */

static void an_uncertain_account_is_explained_at_its_best(void **state)
{
    (void)state;
    struct pl_term terms[PL_TERMS_MAX];
    uint32_t flawed = 0;
    set_up_bounds(FLAW_STALE, &flawed);
    const struct pl_leg leg = build_leg(asset_a, 10);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, 0);
    uint32_t count = pl_explain(&build.market, &portfolio, PL_TIER_END, terms, PL_TERMS_MAX);
    pl_i128 sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += terms[i].amount;
    build_assert_i128(sum, 800 * BUILD_EXCESS_USD, "sum");

    set_up_bounds(FLAW_UNPRICED, &flawed);
    assert_int_equal(pl_explain(&build.market, &portfolio, PL_TIER_END, terms, PL_TERMS_MAX), 1);
    assert_int_equal(terms[0].kind, PL_TERM_VALUE);
    assert_int_equal(terms[0].index, asset_a);
    build_assert_i128(terms[0].amount, PL_EXCESS_UNBOUNDED, "amount");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_inputs_leave_these_bounds),
        cmocka_unit_test(what_never_takes_is_at_its_end),
        cmocka_unit_test(cash_that_is_not_final_is_open),
        cmocka_unit_test(doubt_counts_only_where_it_can_change_the_verdict),
        cmocka_unit_test(gross_is_what_counts_at_the_marks),
        cmocka_unit_test(doubts_come_in_the_order_of_ids),
        cmocka_unit_test(an_uncertain_account_is_explained_at_its_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
