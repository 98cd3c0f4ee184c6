/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forced sale: the golden one to the lot, and one case for each way in which legs are chosen,
 * left alone, sold in pairs or trimmed. Every plan is checked lot by lot through pl_sale_excess (G9).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static struct pl_sale sale;

static pl_i128 excess_after(const struct pl_portfolio *portfolio, const struct pl_sale_leg *legs)
{
    pl_i128 excess;
    assert_true(
        pl_sale_excess(&build.market, portfolio, PL_TIER_END, legs, sale.leg_count, &excess));
    return excess;
}

/* Plans, and proves what the plan says of itself. */
static void plan(const struct pl_portfolio *portfolio)
{
    pl_plan_sale(&build.market, &build.names, portfolio, &sale);
    assert_int_equal(sale.reaches, sale.end_after >= 0);
    assert_false(sale.reaches && sale.is_bankrupt);
    build_assert_i128(excess_after(portfolio, sale.legs), sale.end_after, "end after");
    for (uint32_t i = 0; i < sale.leg_count; i++) {
        struct pl_sale_leg legs[PL_SALE_LEGS_MAX];
        for (uint32_t k = 0; k < sale.leg_count; k++)
            legs[k] = sale.legs[k];
        assert_true(legs[i].lots > 0);
        legs[i].lots--;
        build_assert_i128(excess_after(portfolio, legs), sale.legs[i].one_lot_less, "one lot less");
        assert_true(!sale.reaches || sale.legs[i].one_lot_less < 0); /* G9 */
    }
}

static void assert_leg(uint32_t i, uint32_t instrument, enum pl_side side, int64_t lots,
                       int64_t limit_ticks)
{
    assert_true(i < sale.leg_count);
    assert_int_equal(sale.legs[i].instrument, instrument);
    assert_int_equal(sale.legs[i].side, side);
    assert_int_equal(sale.legs[i].lots, lots);
    assert_int_equal(sale.legs[i].limit_ticks, limit_ticks);
}

/* ---- one leg -------------------------------------------------------------------------------- */

static uint32_t set_up_eth(int32_t discount_ppm)
{
    build_init(&build);
    uint32_t eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    build_haircuts(&build, eth, build_tiers(250000, 250000, 250000, 200000), build_flat(0));
    build_sellable(&build, eth, discount_ppm);
    build_finish(&build);
    build_price(&build, eth, 24000000);
    build_update(&build);
    return eth;
}

/* 10 ETH at 2,400 against 20,000 USD: 3.47222223 ETH, and not a lot less. */
static void golden_minimal_sale(void **state)
{
    (void)state;
    uint32_t eth = set_up_eth(10000);
    const struct pl_leg leg = build_leg(eth, 1000000000);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, -20000 * BUILD_USD);
    plan(&portfolio);
    assert_true(sale.reaches);
    build_assert_i128(sale.maintenance_before, -800 * BUILD_EXCESS_USD, "maintenance");
    build_assert_i128(sale.end_before, -2000 * BUILD_EXCESS_USD, "end before");
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, eth, PL_SIDE_SELL, 347222223, 23760000);
    build_assert_i128(sale.end_after, (pl_i128)4480000000000, "end after");
    build_assert_i128(sale.legs[0].one_lot_less, (pl_i128)-1280000000000, "one lot less");
    assert_true(sale.evaluation_count > 0 && sale.evaluation_count < 70);
}

static void a_healthy_account_sells_nothing(void **state)
{
    (void)state;
    uint32_t eth = set_up_eth(10000);
    const struct pl_leg leg = build_leg(eth, 1000000000);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, -18000 * BUILD_USD); /* exactly 0 */
    plan(&portfolio);
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 0);
    assert_int_equal(sale.evaluation_count, 0); /* nothing is looked for */
    build_assert_i128(sale.end_after, 0, "end after");
}

/* A limit is rounded against us, and one that is no price leaves the leg alone. */
static void limits_round_against_us(void **state)
{
    (void)state;
    static const struct {
        int64_t lots, ticks;
        int32_t discount_ppm;
        int64_t limit_ticks; /* 0: not sold */
    } rows[] = {
        {100, 1000, 10000, 990},   {100, 1001, 10000, 990},   {100, 1099, 10000, 1088},
        {-100, 1000, 10000, 1010}, {-100, 1001, 10000, 1012}, {-100, 1, 1, 2},
        {100, 1000, 0, 1000},      {-100, 1000, 0, 1000},     {100, 1, 1, 0},
        {100, 99, 999999, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t eth = set_up_eth(rows[i].discount_ppm);
        /* A derivative that asks for ten times its value: any sale helps. */
        build.parameters.instruments[eth].kind = PL_INSTRUMENT_PERP;
        build_haircuts(&build, eth, build_flat(8000000), build_flat(8000000));
        build_finish(&build);
        build_price(&build, eth, rows[i].ticks);
        build_update(&build);
        const struct pl_leg leg = build_leg(eth, rows[i].lots);
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, -rows[i].lots * rows[i].ticks);
        plan(&portfolio);
        assert_int_equal(sale.leg_count, rows[i].limit_ticks != 0);
        if (rows[i].limit_ticks)
            assert_leg(0, eth, rows[i].lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY, sale.legs[0].lots,
                       rows[i].limit_ticks);
    }
}

/* ---- several legs --------------------------------------------------------------------------- */

/* Lots of one USD: stablecoin at 1 USD, and the rest at 100 USD. Discounts 1 %. */
static uint32_t usd, btc, eth_perp, sol;

static void set_up_several(void)
{
    build_init(&build);
    sol = build_instrument(&build, "SOL", PL_INSTRUMENT_SPOT, 0, 2);
    eth_perp = build_instrument(&build, "ETH-PERP", PL_INSTRUMENT_PERP, 0, 2);
    usd = build_instrument(&build, "USD", PL_INSTRUMENT_SPOT, 0, 2);
    btc = build_instrument(&build, "BTC", PL_INSTRUMENT_SPOT, 0, 2);
    build_haircuts(&build, usd, build_flat(0), build_flat(50000));
    build_haircuts(&build, btc, build_tiers(200000, 200000, 200000, 150000), build_flat(100000));
    build_haircuts(&build, sol, build_tiers(400000, 400000, 400000, 300000), build_flat(200000));
    build_haircuts(&build, eth_perp, build_flat(100000), build_flat(100000));
    build_sellable(&build, usd, 0);
    build_sellable(&build, btc, 10000);
    build_sellable(&build, eth_perp, 10000);
    build_sellable(&build, sol, 10000);
    build_finish(&build);
    for (uint32_t i = 0; i < build.names.count; i++)
        build_price(&build, i, i == usd ? 100 : 10000);
    build_update(&build);
}

/* BTC first: all of it, which brings 19 USD a lot; then SOL, which brings 39. */
static void legs_are_sold_in_liquidity_order(void **state)
{
    (void)state;
    set_up_several();
    /* 100 BTC, 100 SOL: 8,000 + 6,000 of margin; 16,500 of debt. 1,900 by BTC, 600 by SOL. */
    const struct pl_leg legs[] = {build_leg(sol, 100), build_leg(btc, 100)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, -16500 * BUILD_USD);
    plan(&portfolio);
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 2);
    /* ceil(600 / 39) = 16 SOL is 24 too much: trimming gives one BTC back. */
    assert_leg(0, btc, PL_SIDE_SELL, 99, 9900);
    assert_leg(1, sol, PL_SIDE_SELL, 16, 9900);
    build_assert_i128(sale.end_after, (99 * 19 + 16 * 39 - 2500) * BUILD_EXCESS_USD, "end after");

    /* With 5 more of debt it is 19 too much, one BTC to the VU: that one is given back, too. */
    portfolio.cash_vu = portfolio.final_cash_vu = -16505 * BUILD_USD;
    plan(&portfolio);
    assert_leg(0, btc, PL_SIDE_SELL, 99, 9900);
    assert_leg(1, sol, PL_SIDE_SELL, 16, 9900);
    build_assert_i128(sale.end_after, 0, "end after");
    portfolio.cash_vu = portfolio.final_cash_vu = -16500 * BUILD_USD;
    plan(&portfolio);

    /* In any order of legs. */
    const struct pl_leg swapped[] = {legs[1], legs[0]};
    struct pl_sale first = sale;
    portfolio.legs = swapped;
    plan(&portfolio);
    assert_memory_equal(&first, &sale, sizeof sale);
}

/* 1,000 USD of debt cost 50 of margin and nothing to buy back; a perp of either sign is closed. */
static void debts_and_derivatives_are_closed(void **state)
{
    (void)state;
    set_up_several();
    const struct pl_leg debt[] = {build_leg(usd, -1000), build_leg(sol, 20)};
    struct pl_portfolio portfolio = build_portfolio(debt, 2, -180 * BUILD_USD); /* lacks 30 */
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, usd, PL_SIDE_BUY, 600, 100);
    build_assert_i128(sale.end_after, 0, "end after");

    const struct pl_leg short_perp = build_leg(eth_perp, -10);
    portfolio = build_portfolio(&short_perp, 1, 1090 * BUILD_USD); /* lacks 10; 9 a lot */
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, eth_perp, PL_SIDE_BUY, 2, 10100);

    const struct pl_leg long_perp = build_leg(eth_perp, 10);
    portfolio = build_portfolio(&long_perp, 1, -910 * BUILD_USD); /* lacks 10 */
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, eth_perp, PL_SIDE_SELL, 2, 9900);
}

/* A leg whose discount costs as much as its haircut frees, or more, is left alone, though it is
 * first. */
static void what_does_not_help_is_left_alone(void **state)
{
    (void)state;
    for (int32_t discount_ppm = 0; discount_ppm <= 5000; discount_ppm += 5000) {
        set_up_several();
        build.parameters.instruments[usd].sale_discount_ppm = discount_ppm; /* haircut 0 */
        build_finish(&build);
        build_update(&build);
        const struct pl_leg legs[] = {build_leg(usd, 1000), build_leg(btc, 10)};
        struct pl_portfolio portfolio = build_portfolio(legs, 2, -1850 * BUILD_USD); /* lacks 50 */
        plan(&portfolio);
        assert_true(sale.reaches);
        assert_int_equal(sale.leg_count, 1);
        assert_leg(0, btc, PL_SIDE_SELL, 3, 9900);

        portfolio = build_portfolio(legs, 2, -9000 * BUILD_USD);
        plan(&portfolio);
        assert_true(sale.is_bankrupt);
        assert_int_equal(sale.leg_count, 1);
        assert_leg(0, btc, PL_SIDE_SELL, 10, 9900);
    }
}

/* G4: no sale on a mark that is not live, of a leg that is not final, or that nobody named. */
static void doubtful_legs_are_not_sold(void **state)
{
    (void)state;
    enum { BTC_STALE = 1, BTC_HALTED, BTC_IN_PART, BTC_TURNING, BTC_UNNAMED, BTC_UNKNOWN_SIZE };
    for (int flaw = BTC_STALE; flaw <= BTC_UNKNOWN_SIZE; flaw++) {
        set_up_several();
        struct pl_leg legs[] = {build_leg(btc, 10), build_leg(sol, 100)};
        if (flaw == BTC_STALE)
            build.marks[btc].event_time_ms -= 60001;
        if (flaw == BTC_HALTED)
            build_status(&build, btc, PL_MARK_HALTED);
        if (flaw == BTC_IN_PART)
            legs[0].lots = 4;
        if (flaw == BTC_TURNING)
            legs[0].lots = -4;
        if (flaw == BTC_UNNAMED) {
            build.parameters.policy.liquidity_order[1] = sol;
            build.parameters.policy.liquidity_count = 2;
            build_finish(&build);
        }
        legs[0].is_unlisted_amount = flaw == BTC_UNKNOWN_SIZE;
        build_update(&build);
        struct pl_portfolio portfolio = build_portfolio(legs, 2, -9017 * BUILD_USD);
        plan(&portfolio);
        assert_true(sale.reaches);
        if (flaw == BTC_IN_PART) {
            assert_int_equal(sale.leg_count, 2);
            assert_leg(0, btc, PL_SIDE_SELL, 4, 9900);
        } else {
            assert_int_equal(sale.leg_count, 1);
        }
        assert_int_equal(sale.legs[sale.leg_count - 1].instrument, sol);
        /* The target is reached at the upper bound, which is what makes the need certain. */
        struct pl_bounds bounds;
        assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_END, &bounds));
        build_assert_i128(bounds.high, sale.end_before, "upper bound");
    }
}

/* Of a leg that is final in part the part that is counted and final may be sold. */
static void the_smaller_of_counted_and_final_is_sold(void **state)
{
    (void)state;
    static const struct {
        int64_t lots, final_lots, sold;
        enum pl_side side;
    } rows[] = {
        {4, 10, 4, PL_SIDE_SELL},
        {10, 4, 4, PL_SIDE_SELL},
        {-10, -4, 4, PL_SIDE_BUY},
        {-4, -10, 4, PL_SIDE_BUY},
        {-4, 10, 0, 0},
        {0, 10, 0, 0},
        {-10, 0, 0, 0},
        {10, 10, 10, PL_SIDE_SELL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up_several();
        struct pl_leg leg = build_leg(btc, rows[i].lots);
        leg.final_lots = rows[i].final_lots;
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, -9000 * BUILD_USD);
        plan(&portfolio);
        assert_true(sale.is_bankrupt);
        assert_int_equal(sale.leg_count, rows[i].sold != 0);
        if (rows[i].sold) {
            assert_int_equal(sale.legs[0].lots, rows[i].sold);
            assert_int_equal(sale.legs[0].side, rows[i].side);
        }
    }
}

/* ---- the line -------------------------------------------------------------------------------- */

/* What ends at 0 exactly has reached: nothing more is sold though the policy closes the hopeless. */
static void on_the_line_is_reached(void **state)
{
    (void)state;
    set_up_several();
    const struct pl_leg debt[] = {build_leg(usd, -1000), build_leg(sol, 20)};
    struct pl_portfolio portfolio = build_portfolio(debt, 2, -180 * BUILD_USD); /* 600 lack 0.05 */
    build.parameters.policy.close_hopeless = true;
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, usd, PL_SIDE_BUY, 600, 100);
    build_assert_i128(sale.end_after, 0, "end after");

    /* 10 BTC fetch 990, the debt: no slice of two does, but all of them do, so nobody is bankrupt. */
    build.parameters.policy.close_hopeless = false;
    build.parameters.instruments[btc].slice_usd_max = 200;
    const struct pl_leg leg = build_leg(btc, 10);
    portfolio = build_portfolio(&leg, 1, -990 * BUILD_USD);
    plan(&portfolio);
    assert_false(sale.reaches || sale.is_bankrupt);
    assert_leg(0, btc, PL_SIDE_SELL, 2, 9900);
    portfolio.cash_vu = --portfolio.final_cash_vu;
    plan(&portfolio);
    assert_true(sale.is_bankrupt);
}

/* Beyond 900 USD BTC costs 5 % more, and each lot sold gives up 1 USD: the first one brings 4, each further
 * one takes 1. 2 lack, so one would do; the venue takes three, after which nothing is left over. */
static void an_order_may_grow_down_to_the_line(void **state)
{
    (void)state;
    set_up_several();
    build_haircuts(&build, btc, build_flat(0), build_flat(0));
    build_bracket(&build, btc, 900, build_flat(50000));
    build.parameters.instruments[btc].min_notional_usd = 300;
    build_finish(&build);
    build_update(&build);
    const struct pl_leg leg = build_leg(btc, 10);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, -997 * BUILD_USD); /* 1000 - 5 - 997 */
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    assert_true(sale.reaches && sale.leg_count == 1);
    assert_leg(0, btc, PL_SIDE_SELL, 3, 9900);
    assert_true(sale.legs[0].is_extended);
    build_assert_i128(sale.end_before, -2 * BUILD_EXCESS_USD, "end before");
    build_assert_i128(sale.end_after, 0, "end after");
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int64_t btc_sold(int64_t lots, int64_t cash_usd)
{
    const struct pl_leg leg = build_leg(btc, lots);
    const struct pl_portfolio portfolio = build_portfolio(&leg, 1, cash_usd * BUILD_USD);
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    assert_int_equal(sale.leg_count, 1);
    return sale.legs[0].lots;
}

/* No more than a slice, a rung, the steps of a leg or the brake hold: what is not whole is left out. BTC are
 * at 100 USD, and 1,000,000 of debt takes all there are. */
static void parts_are_never_more_than_the_whole(void **state)
{
    (void)state;
    static int64_t left_lots[PL_INSTRUMENTS_MAX];
    set_up_several();
    struct pl_instrument *row = &build.parameters.instruments[btc];
    row->slice_usd_max = 299;
    assert_int_equal(btc_sold(10, -1000000), 2);
    row->slice_usd_max = 300;
    assert_int_equal(btc_sold(10, -1000000), 3);
    row->slice_usd_max = 0;
    row->min_notional_usd = 300; /* which three lots are */
    assert_int_equal(btc_sold(3, -1000000), 3);
    row->min_notional_usd = 0;
    build.parameters.policy.close_factor_ppm = 500000;
    build.parameters.policy.close_full_below_usd = 1000; /* which ten lots are not */
    assert_int_equal(btc_sold(10, -1000000), 5);
    assert_int_equal(btc_sold(9, -1000000), 9);
    build.parameters.policy.close_factor_ppm = 0;

    row->lot_step = 4; /* 10 lots are two steps and a half */
    build_finish(&build);
    build_update(&build);
    assert_int_equal(btc_sold(10, -1000000), 8);
    left_lots[btc] = 7; /* one step and three quarters */
    build.market.left_lots = left_lots;
    assert_int_equal(btc_sold(10, -1000000), 4);
    build.market.left_lots = NULL;
    row->lot_step = 0;

    /* 299 USD go at 0.5 % below the mark, so two lots do, which bring 19.50 each; more bring 19. 10 BTC count
     * 800: against 838 two are needed, against 856 three at 19, though at 19.50 they would leave more. */
    row->depth[0] = (struct pl_rung){299, 5000};
    row->depth_count = 1;
    build_finish(&build);
    build_update(&build);
    assert_int_equal(btc_sold(10, -838), 2);
    assert_int_equal(sale.legs[0].limit_ticks, 9950);
    assert_int_equal(btc_sold(10, -856), 3);
    assert_int_equal(sale.legs[0].limit_ticks, 9900);
}

/* ---- hedges --------------------------------------------------------------------------------- */

/* 15 % of the common factor, own risk 1 % and discount 0.2 %: a single leg's sale opens the hedge. */
static uint32_t spot, hedge;

static void set_up_hedge(int32_t own_ppm, int32_t discount_ppm)
{
    build_init(&build);
    uint32_t market = build_factor(&build, "MARKET");
    spot = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 6, 2);
    hedge = build_instrument(&build, "ETH-PERP", PL_INSTRUMENT_PERP, 6, 2);
    build_haircuts(&build, spot, build_flat(own_ppm), build_flat(own_ppm));
    build_haircuts(&build, hedge, build_flat(own_ppm), build_flat(own_ppm));
    build_load(&build, spot, market, build_flat(150000));
    build_load(&build, hedge, market, build_flat(150000));
    build_sellable(&build, hedge, discount_ppm);
    build_sellable(&build, spot, discount_ppm);
    build_finish(&build);
    build_price(&build, spot, 250000);
    build_price(&build, hedge, 250000);
    build_update(&build);
}

/* 10 ETH and -10 perp: 500 USD of own risk; 40 a unit come back by unwinding a pair. */
static void hedged_legs_are_unwound_together(void **state)
{
    (void)state;
    set_up_hedge(10000, 2000);
    const struct pl_leg legs[] = {build_leg(spot, 10000000), build_leg(hedge, -10000000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 400 * BUILD_USD); /* lacks 100 */
    plan(&portfolio);
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, hedge, PL_SIDE_BUY, 2500000, 250500);
    assert_leg(1, spot, PL_SIDE_SELL, 2500000, 249500);
    build_assert_i128(sale.end_after, 0, "end after");
}

/* The pair reaches, all legs do not: 100,000 of USD would cost 1,000 to sell and free nothing. */
static void unwinding_leaves_out_what_does_not_help(void **state)
{
    (void)state;
    set_up_hedge(10000, 2000);
    uint32_t cash_like = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 6, 6);
    build_sellable(&build, cash_like, 10000);
    build_finish(&build);
    build_price(&build, cash_like, 1000000);
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(spot, 10000000), build_leg(hedge, -10000000),
                                  build_leg(cash_like, 100000000000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 3, (400 - 100000) * BUILD_USD);
    plan(&portfolio); /* lacks 100 */
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, hedge, PL_SIDE_BUY, 2500000, 250500);
    assert_leg(1, spot, PL_SIDE_SELL, 2500000, 249500);
}

/* Ten pairs at 100 USD, of which each gives up 2; while there are more than 5 of the long it asks 6 more. 10 lack:
 * three pairs bring 12. All ten end at 0 exactly, from which no leg alone could be cut. */
static void unwinding_ends_where_it_first_reaches(void **state)
{
    (void)state;
    build_init(&build);
    uint32_t market = build_factor(&build, "MARKET");
    spot = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 0, 2);
    hedge = build_instrument(&build, "ETH-PERP", PL_INSTRUMENT_PERP, 0, 2);
    build_load(&build, spot, market, build_flat(150000));
    build_load(&build, hedge, market, build_flat(150000));
    build_bracket(&build, spot, 500, build_flat(60000));
    build_sellable(&build, spot, 10000);
    build_sellable(&build, hedge, 10000);
    build_finish(&build);
    build_price(&build, spot, 10000);
    build_price(&build, hedge, 10000);
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(spot, 10), build_leg(hedge, -10)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 20 * BUILD_USD);
    plan(&portfolio);
    build_assert_i128(sale.end_before, -10 * BUILD_EXCESS_USD, "end before");
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, spot, PL_SIDE_SELL, 3, 9900);
    assert_leg(1, hedge, PL_SIDE_BUY, 3, 10100);
    build_assert_i128(sale.end_after, 2 * BUILD_EXCESS_USD, "end after");
}

/* What is not hedged goes first, then pairs, whatever the two sizes are. */
static void an_uneven_hedge_is_evened_first(void **state)
{
    (void)state;
    set_up_hedge(10000, 2000);
    const struct pl_leg legs[] = {build_leg(spot, 10000000), build_leg(hedge, -13000000)};
    /* Own 575, factor 1,125; evening gains 395 a unit of 3, a pair then 40 a unit. */
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 7500 * BUILD_USD + 415 * BUILD_USD);
    plan(&portfolio); /* lacks 1,285 = 1,185 + 100 */
    assert_true(sale.reaches);
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, hedge, PL_SIDE_BUY, 5500000, 250500);
    assert_leg(1, spot, PL_SIDE_SELL, 2500000, 249500);
    build_assert_i128(sale.end_after, 0, "end after");
}

/*
 * Books from a random search in which cuts of single legs creep for more than 10^6 evaluations: the
 * first without leaps, the second where each cut goes all the way. Flat tiers, two factors.
 */
static void narrow_ridges_are_not_crept_along(void **state)
{
    (void)state;
    enum { LEGS = 7 };
    static const struct {
        int64_t cash_vu;
        struct {
            int64_t lots, ticks;
            int32_t haircut_long, haircut_short, loads[2], discount_ppm;
        } legs[LEGS];
    } books[] = {
        {-1329908356628594217,
         {{38047619197, 41655315, 0, 23, {390361, -240812}, 16},
          {-36910844259, 40791299, 16, 11, {369978, 0}, 14},
          {39569704322, 32442934, 12, 23, {226589, 0}, 8}}},
        {72756622118698,
         {{2698, 17179869191, 6421, 1349, {363630, 0}, 3631},
          {-196846, 134217729, 2182, 5322, {166805, 144288}, 3361},
          {294019358326, 134, 670, 4704, {348765, -175849}, 3339},
          {-502111834, 65542, 974, 926, {397163, -287975}, 622},
          {55, 1099511627778, 7828, 4974, {306307, 0}, 3856},
          {-36468204, 2097159, 6591, 8141, {109073, -1452}, 4006},
          {-2293083, 33554436, 5197, 7556, {307842, -256380}, 1568}}},
    };
    for (size_t book = 0; book < sizeof books / sizeof books[0]; book++) {
        build_init(&build);
        build_factor(&build, "F");
        build_factor(&build, "G");
        struct pl_leg legs[LEGS];
        uint32_t count = 0;
        for (; count < LEGS && books[book].legs[count].lots != 0; count++) {
            char id[8];
            snprintf(id, sizeof id, "I%u", count);
            uint32_t i = build_instrument(&build, id, PL_INSTRUMENT_PERP, 8, 4);
            build_haircuts(&build, i, build_flat(books[book].legs[count].haircut_long),
                           build_flat(books[book].legs[count].haircut_short));
            build_load(&build, i, 0, build_flat(books[book].legs[count].loads[0]));
            build_load(&build, i, 1, build_flat(books[book].legs[count].loads[1]));
            build_sellable(&build, i, books[book].legs[count].discount_ppm);
            legs[count] = build_leg(i, books[book].legs[count].lots);
        }
        build_finish(&build);
        for (uint32_t i = 0; i < count; i++)
            build_price(&build, i, books[book].legs[i].ticks);
        build_update(&build);
        struct pl_portfolio portfolio = build_portfolio(legs, count, books[book].cash_vu);
        plan(&portfolio);
        assert_true(sale.reaches);
        assert_true(sale.evaluation_count < 10000);
    }
}

/* ---- what cannot be reached ----------------------------------------------------------------- */

static void a_bankrupt_account_sells_all_that_helps(void **state)
{
    (void)state;
    set_up_several();
    build.parameters.instruments[usd].sale_discount_ppm = 5000;
    build_finish(&build);
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(usd, 1000), build_leg(btc, 10), build_leg(sol, -5)};
    struct pl_portfolio portfolio = build_portfolio(legs, 3, -3000 * BUILD_USD);
    plan(&portfolio);
    assert_false(sale.reaches);
    assert_true(sale.is_bankrupt);
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, btc, PL_SIDE_SELL, 10, 9900);
    assert_leg(1, sol, PL_SIDE_BUY, 5, 10100);
    build_assert_i128(sale.end_after, (1000 + 990 - 505 - 3000) * BUILD_EXCESS_USD, "end after");

    /* A hedged pair helps only together. */
    set_up_hedge(10000, 2000);
    const struct pl_leg pair[] = {build_leg(spot, 10000000), build_leg(hedge, -10000000)};
    portfolio = build_portfolio(pair, 2, 99 * BUILD_USD); /* the unwinding costs 100 */
    plan(&portfolio);
    assert_true(sale.is_bankrupt);
    assert_int_equal(sale.leg_count, 2);
    build_assert_i128(sale.end_after, -1 * BUILD_EXCESS_USD, "end after");
    portfolio = build_portfolio(pair, 2, 100 * BUILD_USD);
    plan(&portfolio);
    assert_true(sale.reaches);
    build_assert_i128(sale.end_after, 0, "end after");
    assert_int_equal(sale.legs[0].lots, 10000000);
    assert_int_equal(sale.legs[1].lots, 10000000);
}

/* More legs than a plan holds: the first 16 by rank; the rest is for the next revision. */
static void a_plan_takes_the_most_liquid_legs(void **state)
{
    (void)state;
    enum { LEGS = PL_SALE_LEGS_MAX + 4 };
    build_init(&build);
    struct pl_leg legs[LEGS];
    for (uint32_t i = 0; i < LEGS; i++) {
        char id[8];
        snprintf(id, sizeof id, "A%u", i);
        uint32_t index = build_instrument(&build, id, PL_INSTRUMENT_SPOT, 0, 0);
        build_haircuts(&build, index, build_flat(500000), build_flat(0));
        legs[i] = build_leg(index, 10);
    }
    for (uint32_t i = 0; i < LEGS; i++)
        build_sellable(&build, LEGS - 1 - i, 0);
    build_finish(&build);
    for (uint32_t i = 0; i < LEGS; i++)
        build_price(&build, i, 10);
    build_update(&build);
    /* Each leg brings 50 USD; 1,000 of margin. */
    struct pl_portfolio portfolio = build_portfolio(legs, LEGS, -1800 * BUILD_USD);
    plan(&portfolio);
    assert_int_equal(sale.leg_count, PL_SALE_LEGS_MAX);
    for (uint32_t i = 0; i < PL_SALE_LEGS_MAX; i++)
        assert_leg(i, LEGS - 1 - i, PL_SIDE_SELL, 10, 10);
    assert_true(sale.reaches);

    portfolio = build_portfolio(legs, LEGS, -1801 * BUILD_USD);
    plan(&portfolio);
    assert_int_equal(sale.leg_count, PL_SALE_LEGS_MAX);
    assert_false(sale.reaches);
    assert_false(sale.is_bankrupt); /* four more legs may be sold */

    portfolio = build_portfolio(legs, PL_SALE_LEGS_MAX, -1601 * BUILD_USD);
    plan(&portfolio);
    assert_false(sale.reaches);
    assert_true(sale.is_bankrupt);
}

static void an_account_out_of_range_sells_nothing(void **state)
{
    (void)state;
    uint32_t eth = set_up_eth(10000);
    const struct pl_leg leg = build_leg(eth, INT64_MAX);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, -20000 * BUILD_USD);
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    assert_int_equal(sale.leg_count, 0);
    assert_false(sale.reaches);
    assert_false(sale.is_bankrupt);
    pl_i128 excess;
    assert_false(pl_sale_excess(&build.market, &portfolio, PL_TIER_END, NULL, 0, &excess));
}

static int64_t lots_sold(const struct pl_portfolio *portfolio)
{
    pl_plan_sale(&build.market, &build.names, portfolio, &sale);
    assert_int_equal(sale.leg_count, 1);
    assert_int_equal(sale.legs[0].is_extended, sale.legs[0].lots == 1000000000);
    return sale.legs[0].lots;
}

/* The golden sale: 3.47222223 ETH of 10, of which an order takes a fifth. At maintenance 19,200 USD count: of
 * 20,000 that is a health of 0.96, of a speck more one below it. A fifth leaves 19,200 USD, and the sale
 * that is needed 15,666.67. */
static void a_close_factor_ends_at_a_low_health(void **state)
{
    (void)state;
    uint32_t eth = set_up_eth(10000);
    const struct pl_leg leg = build_leg(eth, 1000000000);
    struct pl_policy *policy = &build.parameters.policy;
    struct pl_portfolio sound = build_portfolio(&leg, 1, -20000 * BUILD_USD);
    struct pl_portfolio low = build_portfolio(&leg, 1, -20000 * BUILD_USD - 1), doubtful = low;
    doubtful.final_cash_vu--;
    policy->close_factor_ppm = 200000;
    assert_int_equal(lots_sold(&low), 200000000);
    const struct pl_leg odd = build_leg(eth, 1000000001); /* a fifth of it, up */
    const struct pl_portfolio more = build_portfolio(&odd, 1, -20000 * BUILD_USD);
    assert_int_equal(lots_sold(&more), 200000001);
    policy->close_full_below_health_ppm = 960000;
    assert_int_equal(lots_sold(&sound), 200000000);
    assert_int_equal(lots_sold(&low), 347222223);
    assert_int_equal(lots_sold(&doubtful), 200000000);
    policy->close_leftover_usd_min = 15666;
    assert_int_equal(lots_sold(&low), 347222223);
    policy->close_leftover_usd_min = 15667;
    assert_int_equal(lots_sold(&low), 1000000000);
    policy->close_leftover_usd_min = 19200;
    assert_int_equal(lots_sold(&sound), 200000000);
    policy->close_leftover_usd_min = 19201;
    assert_int_equal(lots_sold(&sound), 1000000000);
    /* A fifth leaves 800,041,666 lots: 19,200.999984 USD. */
    const struct pl_leg edge = build_leg(eth, 1000052083);
    const struct pl_portfolio rest = build_portfolio(&edge, 1, -20000 * BUILD_USD);
    pl_plan_sale(&build.market, &build.names, &rest, &sale);
    assert_int_equal(sale.legs[0].lots, 1000052083);
}

/* 1 ETH at 2,400 against 2,000 USD needs 0.34722223 ETH. Two halves are two orders of 1,200 USD; of more than
 * that only one can be made, and what it leaves is for nobody. */
static void the_least_order_may_leave_too_little(void **state)
{
    static const struct { int64_t least_usd, lots; bool is_extended; } rows[] = {
        {833, 34722223, false}, {834, 34750000, true}, {1200, 50000000, true}, {1201, 100000000, true},
        {2400, 100000000, true},
    };
    (void)state;
    uint32_t eth = set_up_eth(10000);
    const struct pl_leg leg = build_leg(eth, 100000000);
    const struct pl_portfolio portfolio = build_portfolio(&leg, 1, -2000 * BUILD_USD);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        build.parameters.instruments[eth].min_notional_usd = rows[i].least_usd;
        pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
        assert_int_equal(sale.leg_count, 1);
        assert_int_equal(sale.legs[0].lots, rows[i].lots);
        assert_int_equal(sale.legs[0].is_extended, rows[i].is_extended);
    }
}

/* 500 ETH at 2,000, of which the end tier counts 1,800; sold at 1,998 while they are no more than 50. */
static uint32_t set_up_ladder(int32_t beyond_ppm)
{
    build_init(&build);
    uint32_t eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    build_haircuts(&build, eth, build_tiers(100000, 100000, 100000, 90000), build_flat(0));
    build_sellable(&build, eth, beyond_ppm);
    build.parameters.instruments[eth].depth_count = 1;
    build.parameters.instruments[eth].depth[0] = (struct pl_rung){100000, 1000};
    build_finish(&build);
    build_price(&build, eth, 20000000);
    build_update(&build);
    return eth;
}

/* 8,000 are lacking, and at 1,998 an ETH brings 198: 40.40404041 ETH. Beyond the rung it is 80 at 1,900,
 * which bring 100 each; or at 1,760 none, which bring 40 less than they count for. */
static void fewer_lots_are_sold_at_a_better_rung(void **state)
{
    (void)state;
    static const int32_t beyond_ppm[] = {50000, 120000};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t eth = set_up_ladder(beyond_ppm[i]);
        const struct pl_leg leg = build_leg(eth, 50000000000);
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, -908000 * BUILD_USD);
        plan(&portfolio);
        assert_int_equal(sale.leg_count, 1);
        assert_leg(0, eth, PL_SIDE_SELL, 4040404041, 19980000);
    }
    /* All 50 of the rung bring 9,900: a dollar more takes the next, 99.01 ETH at 1,900. */
    uint32_t eth = set_up_ladder(50000);
    const struct pl_leg leg = build_leg(eth, 50000000000);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, -909901 * BUILD_USD);
    plan(&portfolio);
    assert_leg(0, eth, PL_SIDE_SELL, 9901000000, 19000000);
}

/* 20,000 are lacking: 50 ETH bring 9,900 at 1,998, and at 1,760 none brings anything. Three orders do, so
 * nothing is closed. */
static void who_needs_several_orders_is_not_bankrupt(void **state)
{
    (void)state;
    static const int64_t slice_usd[] = {0, 100000};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t eth = set_up_ladder(120000);
        build.parameters.instruments[eth].slice_usd_max = slice_usd[i];
        build.parameters.policy.close_hopeless = true;
        const struct pl_leg leg = build_leg(eth, 50000000000);
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, -920000 * BUILD_USD);
        plan(&portfolio);
        assert_false(sale.reaches);
        assert_false(sale.is_bankrupt);
        assert_int_equal(sale.leg_count, 1);
        assert_leg(0, eth, PL_SIDE_SELL, 5000000000, 19980000);
        portfolio = build_portfolio(&leg, 1, -999001 * BUILD_USD); /* 500 at 1,998 are 999,000 */
        plan(&portfolio);
        assert_true(sale.is_bankrupt);
    }
}

/* 5,000 are lacking, and an ETH brings 380: 13.2 of them, of which a slice is 5. All that may be sold has
 * 1,900,000 of a coin in it, which counts whole and loses 1 % where it is sold. */
static void what_does_not_help_makes_nobody_bankrupt(void **state)
{
    (void)state;
    build_init(&build);
    uint32_t eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    uint32_t coin = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 2, 4);
    build_haircuts(&build, eth, build_tiers(200000, 200000, 200000, 152000), build_flat(0));
    build_sellable(&build, coin, 10000);
    build_sellable(&build, eth, 10000);
    build.parameters.instruments[eth].slice_usd_max = 10000;
    build.parameters.policy.close_hopeless = true;
    build_finish(&build);
    build_price(&build, eth, 20000000);
    build_price(&build, coin, 10000);
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(eth, 5000000000), build_leg(coin, 190000000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, -1985000 * BUILD_USD);
    plan(&portfolio);
    assert_false(sale.is_bankrupt);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, eth, PL_SIDE_SELL, 500000000, 19800000);
}

/* ---- least cost ------------------------------------------------------------------------------ */

/* At 100 USD a lot of A asks 10 USD more than its limit gives up, 50 while there are more than 5 of them, one of
 * B 31. Both give up 1. 10 of A and 100 of B count 690 and 6,800. */
static uint32_t dear, cheap;

static void set_up_least_cost(void)
{
    build_init(&build);
    cheap = build_instrument(&build, "A", PL_INSTRUMENT_SPOT, 0, 2);
    dear = build_instrument(&build, "B", PL_INSTRUMENT_SPOT, 0, 2);
    build_haircuts(&build, cheap, build_flat(110000), build_flat(0));
    build_bracket(&build, cheap, 500, build_flat(400000));
    build_haircuts(&build, dear, build_flat(320000), build_flat(0));
    build_sellable(&build, cheap, 10000);
    build_sellable(&build, dear, 10000);
    build.parameters.policy.sale_objective = PL_SALE_LEAST_COST;
    build_finish(&build);
    build_price(&build, cheap, 10000);
    build_price(&build, dear, 10000);
    build_update(&build);
}

/* Steps are whole lots worth a quarter of what lacks, rounded down. By two lots A goes first twice, at 50
 * each; a third time two more would bring 60, and two of B bring 62. By three it would go to 6. */
static void a_step_is_no_more_than_its_quarter(void **state)
{
    (void)state;
    set_up_least_cost();
    const struct pl_leg legs[] = {build_leg(cheap, 10), build_leg(dear, 100)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, -8490 * BUILD_USD); /* 1,000 lack: 250 */
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 2);
    assert_leg(0, cheap, PL_SIDE_SELL, 4, 9900);
    assert_leg(1, dear, PL_SIDE_SELL, 26, 9900); /* 800 / 31 */
    portfolio = build_portfolio(legs, 2, -8690 * BUILD_USD + 1); /* 1 VU less than 1,200: not quite 300 */
    plan(&portfolio);
    assert_leg(0, cheap, PL_SIDE_SELL, 4, 9900);
    assert_leg(1, dear, PL_SIDE_SELL, 33, 9900); /* 1,000 / 31 */
    portfolio.cash_vu = --portfolio.final_cash_vu;
    plan(&portfolio);
    assert_leg(0, cheap, PL_SIDE_SELL, 5, 9900); /* of 6 one is given back: 21 are too much */
    assert_leg(1, dear, PL_SIDE_SELL, 31, 9900); /* 940 / 31 */
}

/* What a step brings for each VU that it gives up is compared in whole numbers, rounded down: 2 and 2.000004
 * are equal, and of these the first stays. */
static void merits_are_whole_numbers(void **state)
{
    (void)state;
    set_up_least_cost();
    build.parameters.instruments[cheap].bracket_count = 0;
    build_haircuts(&build, cheap, build_flat(500001), build_flat(0));
    build_haircuts(&build, dear, build_flat(500000), build_flat(0));
    build.parameters.instruments[cheap].sale_discount_ppm = 500000;
    build.parameters.instruments[dear].sale_discount_ppm = 499999;
    build_finish(&build);
    build_price(&build, cheap, 1000000);
    build_price(&build, dear, 1000000);
    build_update(&build);
    /* 499,999 and 500,000 ppm of 10 lots of 10,000 USD: 99,999.90, of which 0.01 USD lacks. */
    const struct pl_leg legs[] = {build_leg(cheap, 10), build_leg(dear, 10)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, -9999991 * (BUILD_USD / 100));
    plan(&portfolio);
    assert_int_equal(sale.leg_count, 1);
    assert_leg(0, cheap, PL_SIDE_SELL, 1, 500000);
}

/* ---- the bound of the cost ------------------------------------------------------------------- */

/* A lot of GRAIN is 1 VU of which 1 ppm counts; nobody sells it. The others are in VU, too. */
static uint32_t grain;

static uint32_t in_vu(const char *id, int32_t haircut_long, int32_t haircut_short)
{
    uint32_t index = build_instrument(&build, id, PL_INSTRUMENT_SPOT, 12, 0);
    build_haircuts(&build, index, build_flat(haircut_long), build_flat(haircut_short));
    return index;
}

/*
 * Two lots of 5 VU bring 5 VU ppm each for 1 VU, ten of 2 VU bring 2 for 1. 14 lack: in liquidity order that
 * is 7 lots of the dear one; 4 VU is the least, both cheap ones and two dear ones. At the price of 1/2 a VU
 * ppm the bound is 14 / 2 less what the cheap ones bring beyond their cost, 2.5 - 1 each. 2.5 counts as 3,
 * against the bound, which is 7 - 2 - 2; as 2 it would be 5, more than the least.
 */
static void a_bound_is_no_more_than_the_least(void **state)
{
    (void)state;
    build_init(&build);
    grain = in_vu("GRAIN", 999999, 0);
    const uint32_t dears = in_vu("DEAR", 500001, 0), one = in_vu("ONE", 200001, 0),
                   two = in_vu("TWO", 200001, 0);
    build_sellable(&build, dears, 500000);
    build_sellable(&build, one, 200000);
    build_sellable(&build, two, 200000);
    build_finish(&build);
    build_price(&build, grain, 1);
    build_price(&build, dears, 2);
    build_price(&build, one, 5);
    build_price(&build, two, 5);
    build_update(&build);
    /* 10 * 2 * 499,999 + 2 * 5 * 799,999 + 16 less 18 * 10^6 */
    const struct pl_leg legs[] = {build_leg(grain, 16), build_leg(dears, 10), build_leg(one, 1),
                                  build_leg(two, 1)};
    struct pl_portfolio portfolio = build_portfolio(legs, 4, -18);
    plan(&portfolio);
    build_assert_i128(sale.end_before, -14, "end before");
    build_assert_i128(sale.cost_vu, 7, "cost");
    build_assert_i128(sale.cost_bound_vu, 3, "bound");
    assert_int_equal(sale.gap_ppm, 571429); /* 4 / 7 up */
}

/*
 * 11 lots of 5 VU against as many that are owed, with 1 ppm of their difference on top. A lot sold or bought
 * back alone brings nothing; together 5 VU ppm for 4 and 4 VU. 25 lack: five pairs, 40 VU. The bound counts
 * a half of the factor on either side: all 11 bring 27.5 each, 28 up, and what lacks is 25 less twice
 * the half that 27.5 is rounded up by: 24 * 44 / 28 = 37.7. Down it would be 26 * 44 / 27 = 42.4.
 */
static void a_bound_of_a_hedge_rounds_against_itself(void **state)
{
    (void)state;
    build_init(&build);
    grain = in_vu("GRAIN", 999999, 0);
    const uint32_t held = in_vu("HELD", 800000, 0), owed = in_vu("OWED", 0, 800001),
                   factor = build_factor(&build, "F");
    build_load(&build, held, factor, build_flat(1));
    build_load(&build, owed, factor, build_flat(1));
    build_sellable(&build, held, 800000);
    build_sellable(&build, owed, 800000);
    build_finish(&build);
    build_price(&build, grain, 1);
    build_price(&build, held, 5);
    build_price(&build, owed, 5);
    build_update(&build);
    /* 55 * 200,000 + 30 + 88 * 10^6 less 55 * 1,800,001 */
    const struct pl_leg legs[] = {build_leg(grain, 30), build_leg(held, 11), build_leg(owed, -11)};
    struct pl_portfolio portfolio = build_portfolio(legs, 3, 88);
    plan(&portfolio);
    build_assert_i128(sale.end_before, -25, "end before");
    assert_leg(0, held, PL_SIDE_SELL, 5, 1);
    assert_leg(1, owed, PL_SIDE_BUY, 5, 9);
    build_assert_i128(sale.cost_vu, 40, "cost");
    build_assert_i128(sale.cost_bound_vu, 37, "bound");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_minimal_sale),
        cmocka_unit_test(a_healthy_account_sells_nothing),
        cmocka_unit_test(limits_round_against_us),
        cmocka_unit_test(legs_are_sold_in_liquidity_order),
        cmocka_unit_test(debts_and_derivatives_are_closed),
        cmocka_unit_test(what_does_not_help_is_left_alone),
        cmocka_unit_test(doubtful_legs_are_not_sold),
        cmocka_unit_test(the_smaller_of_counted_and_final_is_sold),
        cmocka_unit_test(on_the_line_is_reached),
        cmocka_unit_test(an_order_may_grow_down_to_the_line),
        cmocka_unit_test(parts_are_never_more_than_the_whole),
        cmocka_unit_test(hedged_legs_are_unwound_together),
        cmocka_unit_test(unwinding_leaves_out_what_does_not_help),
        cmocka_unit_test(unwinding_ends_where_it_first_reaches),
        cmocka_unit_test(an_uneven_hedge_is_evened_first),
        cmocka_unit_test(narrow_ridges_are_not_crept_along),
        cmocka_unit_test(a_bankrupt_account_sells_all_that_helps),
        cmocka_unit_test(a_plan_takes_the_most_liquid_legs),
        cmocka_unit_test(an_account_out_of_range_sells_nothing),
        cmocka_unit_test(the_least_order_may_leave_too_little),
        cmocka_unit_test(a_close_factor_ends_at_a_low_health),
        cmocka_unit_test(fewer_lots_are_sold_at_a_better_rung),
        cmocka_unit_test(who_needs_several_orders_is_not_bankrupt),
        cmocka_unit_test(what_does_not_help_makes_nobody_bankrupt),
        cmocka_unit_test(a_step_is_no_more_than_its_quarter),
        cmocka_unit_test(merits_are_whole_numbers),
        cmocka_unit_test(a_bound_is_no_more_than_the_least),
        cmocka_unit_test(a_bound_of_a_hedge_rounds_against_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
