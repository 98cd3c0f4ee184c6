/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes (RISK 1.5): a lending protocol's own health factor, to the unit. Aave's categories are chosen by the
 * account; by marginfi's rule a collateral counts by the least that anything owed lends on it, and by its
 * own weight once something owed does not name it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t weth, wsteth, usdc, sol, jito, msol;

static void add_weight(struct pl_mode *mode, uint32_t instrument, struct pl_tier_ppm haircut_long)
{
    struct pl_parameters *set = &build.parameters;
    if (!mode->is_present)
        *mode = (struct pl_mode){true, set->mode_weight_count, 0};
    set->mode_weights[set->mode_weight_count++] = (struct pl_mode_weight){
        instrument, haircut_long, set->instruments[instrument].haircut_short, 0};
    mode->count++;
}

static int begin(void **state)
{
    (void)state;
    build_init(&build);
    weth = build_instrument(&build, "WETH", PL_INSTRUMENT_SPOT, 4, 2);
    wsteth = build_instrument(&build, "wstETH", PL_INSTRUMENT_SPOT, 4, 2);
    usdc = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 2, 4);
    sol = build_instrument(&build, "SOL", PL_INSTRUMENT_SPOT, 4, 2);
    jito = build_instrument(&build, "JitoSOL", PL_INSTRUMENT_SPOT, 4, 2);
    msol = build_instrument(&build, "mSOL", PL_INSTRUMENT_SPOT, 4, 2);
    return 0;
}

static void finish(void)
{
    build_finish(&build);
    build_price(&build, weth, 200000);
    build_price(&build, wsteth, 230000);
    build_price(&build, usdc, 10000);
    build_price(&build, sol, 10000);
    build_price(&build, jito, 11000);
    build_price(&build, msol, 12000);
    build_update(&build);
}

static pl_i128 excess(const struct pl_portfolio *portfolio, enum pl_tier tier)
{
    pl_i128 result = 0;
    struct pl_bounds bounds;
    assert_true(pl_evaluate(&build.market, portfolio, tier, &result));
    assert_true(pl_evaluate_bounds(&build.market, portfolio, tier, &bounds));
    assert_true(bounds.low == result && bounds.high == result);
    static struct pl_term terms[PL_TERMS_MAX];
    pl_i128 sum = 0;
    uint32_t count = pl_explain(&build.market, portfolio, tier, terms, PL_TERMS_MAX);
    for (uint32_t i = 0; i < count; i++)
        sum += terms[i].amount;
    assert_true(sum == result);
    return result;
}

/* Aave v3 on Ethereum: wstETH lends 80 %, in category 1 ("ETH correlated") 93 %. 10 wstETH at 2,300 against 9.5
 * WETH at 2,000: 23,000 * 0.80 = 18,400 is below the debt of 19,000, 23,000 * 0.93 = 21,390 is above it. USDC, which
 * is in no category, lends its own 76 %. */
static void a_category_is_chosen(void **state)
{
    (void)state;
    build_haircuts(&build, wsteth, build_tiers(220000, 215000, 210000, 200000), build_flat(0));
    build_haircuts(&build, usdc, build_flat(240000), build_flat(0));
    add_weight(&build.parameters.modes[1], wsteth, build_tiers(110000, 100000, 85000, 70000));
    add_weight(&build.parameters.modes[1], weth, build_flat(70000));
    finish();
    const struct pl_leg legs[] = {build_leg(weth, -95000), build_leg(wsteth, 100000),
                                  build_leg(usdc, 100000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), -600 * BUILD_EXCESS_USD, "none");
    portfolio.mode = 1;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), 2390 * BUILD_EXCESS_USD, "chosen");
    build_assert_i128(excess(&portfolio, PL_TIER_INITIAL), 1700 * BUILD_EXCESS_USD, "initial");
    assert_int_equal(pl_haircut_of(&build.market, &portfolio, wsteth, PL_TIER_MAINTENANCE, true), 70000);
    portfolio.leg_count = 3;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), (2390 + 760) * BUILD_EXCESS_USD, "beside");
    /* The protocol's health factor: 21390 / 19000 without USDC. */
    portfolio.leg_count = 2;
    struct pl_verdict verdict;
    struct pl_ratios ratios;
    pl_i128 ppm = 0;
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    pl_ratios_of(&build.market, &portfolio, &verdict, &ratios);
    assert_true(pl_ratio_ppm(&ratios.health, &ppm));
    assert_int_equal(ppm, 1125789);
    assert_int_equal(pl_standing_of(&verdict), PL_STANDING_WHOLE);
    portfolio.mode = 2; /* which nobody has described */
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    assert_int_equal(pl_standing_of(&verdict), PL_STANDING_UNCERTAIN);
    portfolio.mode = 1;
    assert_true(pl_mode_is_known(&build.parameters, 1));
    assert_false(pl_mode_is_known(&build.parameters, 2));
}

/* SOL lends against JitoSOL 90 %, against mSOL 85 %; USDC names neither. Own weights are 70 %. */
static void debts_decide(void **state)
{
    (void)state;
    build_haircuts(&build, jito, build_flat(300000), build_flat(0));
    build_haircuts(&build, msol, build_flat(300000), build_flat(0));
    add_weight(&build.parameters.instruments[sol].lent_on, jito, build_flat(100000));
    add_weight(&build.parameters.instruments[sol].lent_on, msol, build_flat(150000));
    add_weight(&build.parameters.instruments[weth].lent_on, jito, build_flat(250000));
    finish();
    /* 100 JitoSOL are 11,000, 100 mSOL 12,000; 100 SOL 10,000, one WETH 2,000, 1,000 USDC. */
    struct pl_leg legs[] = {build_leg(jito, 1000000), build_leg(msol, 1000000),
                            build_leg(sol, -1000000), build_leg(weth, 0), build_leg(usdc, 0)};
    struct pl_portfolio portfolio = build_portfolio(legs, 5, 0);
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE),
                      (9900 + 10200 - 10000) * BUILD_EXCESS_USD, "one debt");
    legs[3].lots = legs[3].final_lots = -10000; /* WETH names JitoSOL alone, and asks for more */
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE),
                      (8250 + 8400 - 12000) * BUILD_EXCESS_USD, "two debts");
    legs[4].lots = legs[4].final_lots = -100000;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE),
                      (7700 + 8400 - 13000) * BUILD_EXCESS_USD, "one that names nothing");
    legs[4].lots = legs[4].final_lots = 0;
    portfolio.cash_vu = portfolio.final_cash_vu = -BUILD_USD;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE),
                      (7700 + 8400 - 12001) * BUILD_EXCESS_USD, "cash names nothing");
    /* In thought the mode stays what it was: a debt that is repaid lifts nothing at once. */
    portfolio.cash_vu = portfolio.final_cash_vu = 0;
    struct pl_leg held[5];
    memcpy(held, legs, sizeof held);
    portfolio.held = held;
    portfolio.held_count = 5;
    legs[3].lots = legs[3].final_lots = 0;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE),
                      (8250 + 8400 - 10000) * BUILD_EXCESS_USD, "repaid in thought");
}

/* 10 WETH are 20,000, of which 14,000 count by own weights and 19,000 against USDC. A debt in SOL that is not
 * final, and names nothing, may end that; 15,000 USDC are owed for certain, and SOL for 100 or none. */
static void debts_that_may_come_true_decide_both_ways(void **state)
{
    (void)state;
    build_haircuts(&build, weth, build_flat(300000), build_flat(0));
    add_weight(&build.parameters.instruments[usdc].lent_on, weth, build_flat(50000));
    finish();
    struct pl_leg legs[] = {build_leg(weth, 100000), build_leg(usdc, -1500000), build_leg(sol, -10000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 3, 0);
    struct pl_verdict verdict;
    struct pl_bounds bounds;
    legs[2].final_lots = 0;
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
    build_assert_i128(bounds.high, 4000 * BUILD_EXCESS_USD, "without it");
    build_assert_i128(bounds.low, -1100 * BUILD_EXCESS_USD, "with it");
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    assert_int_equal(verdict.certainty, PL_UNCERTAIN);

    /* The debt that lets it count more is the one that is open, or cash is. */
    legs[1].final_lots = 0;
    legs[2].lots = 0;
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
    build_assert_i128(bounds.high, 19000 * BUILD_EXCESS_USD, "the debt decides, and is paid");
    build_assert_i128(bounds.low, -1000 * BUILD_EXCESS_USD, "it does not, and is owed");
    legs[1].final_lots = legs[1].lots;
    portfolio.cash_vu = -BUILD_USD;
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
    build_assert_i128(bounds.high, 4000 * BUILD_EXCESS_USD, "no cash is owed");
    build_assert_i128(bounds.low, -1001 * BUILD_EXCESS_USD, "a dollar is");
}

/* 10 WETH count 19,000 against USDC, 17,900 of which are owed at 10 % more: 690 lack. USDC comes first, and a
 * dollar of it brings 9 cents for 1.01 of cash; but there is none, and owed it would be a debt that names
 * nothing. So 627.27 are looked for, where what lacks is what would be owed; 7.9194 WETH, at 1,980, bring the
 * other 633.5457 at 80 a piece and pay for it; that is 63 hundredths of a cent too much, for 7 cents of USDC. */
static void nothing_is_bought_back_with_cash_that_is_not_there(void **state)
{
    (void)state;
    build_haircuts(&build, weth, build_flat(300000), build_flat(0));
    build_haircuts(&build, usdc, build_flat(0), build_flat(100000));
    build_sellable(&build, usdc, 10000);
    build_sellable(&build, weth, 10000);
    add_weight(&build.parameters.instruments[usdc].lent_on, weth, build_flat(50000));
    finish();
    const struct pl_leg legs[] = {build_leg(weth, 100000), build_leg(usdc, -1790000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
    struct pl_sale sale;
    struct pl_cure cure;
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 2);
    assert_int_equal(sale.legs[0].instrument, usdc);
    assert_int_equal(sale.legs[0].lots, 62720);
    assert_int_equal(sale.legs[1].lots, 79194);
    portfolio.held = legs;
    portfolio.held_count = 2;
    assert_false(pl_cure_by(&build.market, &portfolio, &(struct pl_goal){.tier = PL_TIER_END},
                            PL_CURE_REPAY, 1, &cure));
}

/* A perpetual that is sold is no loan. */
static void a_short_derivative_is_no_debt(void **state)
{
    (void)state;
    build_haircuts(&build, weth, build_flat(300000), build_flat(0));
    add_weight(&build.parameters.instruments[usdc].lent_on, weth, build_flat(50000));
    build.parameters.instruments[sol].kind = PL_INSTRUMENT_PERP;
    finish();
    const struct pl_leg legs[] = {build_leg(weth, 100000), build_leg(usdc, -1500000),
                                  build_leg(sol, -10000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 3, 100 * BUILD_USD);
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), 4000 * BUILD_EXCESS_USD, "loan of USDC");
}

/* A halt leads from a mode's haircut to the same whole, at the same pace: half way after half of the ramp. */
static void halts_ramp_from_the_modes_haircut(void **state)
{
    static const struct pl_chain_halt halt = {.chain = {8, "ethereum"}, .since_ms = 0};
    struct pl_chain_halt halts[1] = {halt};
    (void)state;
    build_haircuts(&build, wsteth, build_tiers(220000, 215000, 210000, 200000), build_flat(0));
    build.parameters.instruments[wsteth].chain = halt.chain;
    build.parameters.policy.halt_ramp_ms = 1000;
    add_weight(&build.parameters.modes[1], wsteth, build_tiers(110000, 100000, 85000, 70000));
    build_finish(&build);
    halts[0].since_ms = build.now_ms - 500;
    build.market.halts = halts;
    build.market.halt_count = 1;
    build_price(&build, wsteth, 230000);
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(wsteth, 100000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 1, 0);
    /* 0.2 + 0.8 / 2 of 23,000, or 0.07 + 0.93 / 2: 9,200 and 10,695 are left. */
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), 9200 * BUILD_EXCESS_USD, "none");
    build_assert_i128(excess(&portfolio, PL_TIER_INITIAL), 0, "none, initial");
    portfolio.mode = 1;
    build_assert_i128(excess(&portfolio, PL_TIER_MAINTENANCE), 10695 * BUILD_EXCESS_USD, "mode");
    build_assert_i128(excess(&portfolio, PL_TIER_INITIAL), 0, "mode, initial");
}

static void refused(const char *why)
{
    build.parameters.epoch++;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_REJECT_PARAMETERS);
    if (!strstr(pl_err_text(), why))
        fail_msg("\"%s\" does not say \"%s\"", pl_err_text(), why);
}

static void weights_obey_the_rules(void **state)
{
    struct pl_mode_weight *weights = build.parameters.mode_weights;
    (void)state;
    build_haircuts(&build, wsteth, build_flat(200000), build_flat(10000));
    add_weight(&build.parameters.modes[7], wsteth, build_flat(70000));
    add_weight(&build.parameters.modes[7], usdc, build_flat(50000));
    finish();
    weights[0].haircut_long.at[PL_TIER_END] = 60000;
    refused("mode 7: V6 instrument wstETH haircut_long: end 60000 is below maintenance 70000");
    weights[0].haircut_long = build_flat(1000001);
    refused("mode 7: V3 instrument wstETH");
    weights[0].haircut_long = build_flat(-10001);
    refused("mode 7: V1 instrument wstETH");
    weights[0].haircut_long = build_flat(70000);
    weights[1].instrument = wsteth;
    refused("mode 7: weight of wstETH: it is there twice");
    weights[1].instrument = usdc;
    build.parameters.instruments[usdc].kind = PL_INSTRUMENT_PERP;
    refused("mode 7: weight of USDC: it is no listed spot");
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_category_is_chosen), TEST(debts_decide),
        TEST(debts_that_may_come_true_decide_both_ways), TEST(a_short_derivative_is_no_debt),
        TEST(nothing_is_bought_back_with_cash_that_is_not_there), TEST(halts_ramp_from_the_modes_haircut),
        TEST(weights_obey_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
