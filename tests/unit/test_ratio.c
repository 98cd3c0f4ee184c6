/* SPDX-License-Identifier: Apache-2.0 */
/* Ratios and requirements: by hand, at the roundings, and where inputs are in doubt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t asset, debt;
static struct pl_verdict verdict;
static struct pl_ratios ratios;

enum { NONE = INT32_MAX };

/* A: haircuts 20 / 15 / 12 / 10 %. B: premiums 40 / 30 / 25 / 20 % of what is owed. Prices of 100
 * USD; a bad mark may lie between half and twice. */
static int set_up(void **state)
{
    (void)state;
    build_init(&build);
    asset = build_instrument(&build, "A", PL_INSTRUMENT_SPOT, 0, 0);
    debt = build_instrument(&build, "B", PL_INSTRUMENT_SPOT, 0, 0);
    build_haircuts(&build, asset, build_tiers(200000, 150000, 120000, 100000), build_flat(0));
    build_haircuts(&build, debt, build_flat(0), build_tiers(400000, 300000, 250000, 200000));
    for (uint32_t i = 0; i < 2; i++) {
        build.parameters.instruments[i].price_rules.bad_mark_low_ppm = 500000;
        build.parameters.instruments[i].price_rules.bad_mark_high_ppm = 2000000;
    }
    build_finish(&build);
    build_price(&build, asset, 100);
    build_price(&build, debt, 100);
    build_update(&build);
    return 0;
}

static void evaluate(int64_t assets, int64_t debts, pl_i128 cash_vu)
{
    const struct pl_leg legs[] = {build_leg(asset, assets), build_leg(debt, -debts)};
    const struct pl_portfolio portfolio = build_portfolio(legs, 2, cash_vu);
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    pl_ratios_of(&build.market, &portfolio, &verdict, &ratios);
}

static void assert_ratio(const struct pl_ratio *ratio, int64_t expected_ppm, const char *what)
{
    pl_i128 ppm = NONE;
    bool has_one = pl_ratio_ppm(ratio, &ppm);
    assert_int_equal(has_one, expected_ppm != NONE);
    build_assert_i128(ppm, expected_ppm, what);
}

static void assert_ratios(int64_t collateral_ppm, int64_t over_ppm, int64_t health_ppm)
{
    assert_ratio(&ratios.collateral, collateral_ppm, "collateral");
    assert_ratio(&ratios.over, over_ppm, "over-collateral");
    assert_ratio(&ratios.health, health_ppm, "health");
}

/* 3000 against 1000 of B and 500 of cash: 2; health 2700 / (1200 + 500). */
static void ratios_by_hand(void **state)
{
    (void)state;
    evaluate(30, 10, -500 * BUILD_USD);
    build_assert_i128(ratios.collateral_vu, 3000 * BUILD_USD, "V+");
    build_assert_i128(ratios.debt_vu, 1500 * BUILD_USD, "V-");
    assert_ratios(2000000, 1000000, 1588235);
    static const int64_t requirements[] = {600 + 400, 450 + 300, 360 + 250, 300 + 200};
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        build_assert_i128(ratios.requirement[t], requirements[t] * BUILD_EXCESS_USD, "R");
        build_assert_i128(ratios.shortfall[t], 0, "shortfall");
        build_assert_i128(ratios.top_up_vu[t], 0, "top-up");
    }
    evaluate(30, 10, 500 * BUILD_USD); /* cash above 0 is collateral */
    assert_ratios(3500000, 2500000, 2666666);
}

static void no_debt_no_ratio(void **state)
{
    (void)state;
    evaluate(30, 0, 0);
    build_assert_i128(ratios.debt_vu, 0, "V-");
    assert_ratios(NONE, NONE, NONE);
}

/* 10 / 3, less 1, and 9 / 3.6: down, also below 0. */
static void ratios_round_down(void **state)
{
    (void)state;
    evaluate(10, 3, 0);
    assert_ratios(3333333, 2333333, 2500000);
    evaluate(1, 3, 0);
    assert_ratios(333333, -666667, 250000);
    evaluate(0, 3, 0);
    assert_ratios(0, -1000000, 0);
}

/* 2700 = 1200 + 1500: on the line a health is 1, one VU below it is not. */
static void health_is_one_on_the_line(void **state)
{
    (void)state;
    evaluate(30, 10, -1500 * BUILD_USD);
    build_assert_i128(verdict.excess[PL_TIER_MAINTENANCE].low, 0, "A");
    assert_ratio(&ratios.health, 1000000, "health");
    build_assert_i128(ratios.top_up_vu[PL_TIER_MAINTENANCE], 0, "top-up");
    evaluate(30, 10, -1500 * BUILD_USD - 1);
    assert_ratio(&ratios.health, 999999, "health");
    build_assert_i128(ratios.top_up_vu[PL_TIER_MAINTENANCE], 1, "top-up");
    build_assert_i128(ratios.shortfall[PL_TIER_MAINTENANCE], PL_PPM, "shortfall");
}

/* A shortfall of 10^-18 USD takes a whole VU; what a factor asks for is the collateral's. */
static void top_ups_round_up(void **state)
{
    (void)state;
    uint32_t fine = build_instrument(&build, "FINE", PL_INSTRUMENT_SPOT, 12, 0);
    uint32_t factor = build_factor(&build, "F");
    build_haircuts(&build, fine, build_flat(1), build_flat(0));
    build_load(&build, asset, factor, build_flat(100000));
    build_finish(&build);
    for (uint32_t i = 0; i < 2; i++)
        build_price(&build, i, 100);
    build_price(&build, fine, 1);
    build_update(&build);
    const struct pl_leg dust = build_leg(fine, 1);
    const struct pl_portfolio portfolio = build_portfolio(&dust, 1, -1);
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    pl_ratios_of(&build.market, &portfolio, &verdict, &ratios);
    build_assert_i128(ratios.shortfall[PL_TIER_INITIAL], 1, "shortfall");
    build_assert_i128(ratios.top_up_vu[PL_TIER_INITIAL], 1, "top-up");
    assert_ratios(1000000, 0, 999999);
    evaluate(30, 10, 0); /* 2700 less 300 over 1200 */
    assert_ratio(&ratios.health, 2000000, "health");
}

static void doubts_leave_lower_bounds(void **state)
{
    (void)state;
    build_status(&build, asset, PL_MARK_STALE); /* worth 0 to 6000 */
    build_update(&build);
    evaluate(30, 10, 0);
    build_assert_i128(ratios.collateral_vu, 0, "V+");
    assert_ratios(0, -1000000, 0);
    build_status(&build, asset, PL_MARK_LIVE);
    build_status(&build, debt, PL_MARK_STALE); /* owes 500 to 2000 */
    build_update(&build);
    evaluate(30, 10, 0); /* 3000 / 2000; A is 300 at least: 1 + 300 / 2400 */
    build_assert_i128(ratios.debt_vu, 2000 * BUILD_USD, "V-");
    assert_ratios(1500000, 500000, 1125000);
    evaluate(20, 10, 0); /* A is -600 at least, D 600: below any other reading */
    assert_ratios(1000000, 0, 0);
}

static void what_nothing_bounds_is_absent(void **state)
{
    (void)state;
    build_status(&build, debt, PL_MARK_NONE);
    build_update(&build);
    evaluate(30, 10, 0);
    build_assert_i128(ratios.collateral_vu, 3000 * BUILD_USD, "V+");
    build_assert_i128(ratios.debt_vu, PL_EXCESS_UNBOUNDED, "V-");
    assert_ratios(NONE, NONE, NONE);
    build_assert_i128(ratios.requirement[PL_TIER_END], PL_EXCESS_UNBOUNDED, "R");
    build_assert_i128(ratios.shortfall[PL_TIER_END], PL_EXCESS_UNBOUNDED, "shortfall");
    build_assert_i128(ratios.top_up_vu[PL_TIER_END], PL_EXCESS_UNBOUNDED, "top-up");
    build_status(&build, debt, PL_MARK_LIVE);
    build_update(&build);
    evaluate(INT64_MAX, 10, 0);
    assert_int_equal(verdict.certainty, PL_OUT_OF_RANGE);
    assert_ratios(NONE, NONE, NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ratios_by_hand, set_up),
        cmocka_unit_test_setup(no_debt_no_ratio, set_up),
        cmocka_unit_test_setup(ratios_round_down, set_up),
        cmocka_unit_test_setup(health_is_one_on_the_line, set_up),
        cmocka_unit_test_setup(top_ups_round_up, set_up),
        cmocka_unit_test_setup(doubts_leave_lower_bounds, set_up),
        cmocka_unit_test_setup(what_nothing_bounds_is_absent, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
