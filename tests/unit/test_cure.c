/* SPDX-License-Identifier: Apache-2.0 */
/* Cures and withdrawals by hand: least lots, limits, costs, ties, goals by health. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/build.h"

enum { LONG_LEG, SHORT_LEG, OTHER_LEG };

static struct build build;
static uint32_t asset, debt, other;
static struct pl_leg legs[3];
static struct pl_portfolio portfolio;
static const struct pl_goal initial = {.tier = PL_TIER_INITIAL};

/* A and C at 100 USD, 20 % off at the initial tier, 10 % at maintenance; B at 50 USD, owed at 120 and
 * 110 %. Limits give up 2 % of A and C and 1 % of B; nothing stands in the liquidity order. */
static int set_up(void **state)
{
    (void)state;
    build_init(&build);
    asset = build_instrument(&build, "A", PL_INSTRUMENT_SPOT, 2, 2);
    debt = build_instrument(&build, "B", PL_INSTRUMENT_SPOT, 2, 2);
    other = build_instrument(&build, "C", PL_INSTRUMENT_SPOT, 2, 2);
    struct pl_tier_ppm tiers = build_tiers(200000, 200000, 150000, 100000);
    for (uint32_t i = 0; i < 3; i++) {
        build_haircuts(&build, i, tiers, tiers);
        build.parameters.instruments[i].sale_discount_ppm = i == debt ? 10000 : 20000;
    }
    build_finish(&build);
    build_price(&build, asset, 10000);
    build_price(&build, debt, 5000);
    build_price(&build, other, 10000);
    build_update(&build);
    return 0;
}

/* In units, and USD. */
static void hold(int64_t assets, int64_t debts, int64_t others, int64_t cash_usd)
{
    legs[LONG_LEG] = build_leg(asset, assets * 100);
    legs[SHORT_LEG] = build_leg(debt, -debts * 100);
    legs[OTHER_LEG] = build_leg(other, others * 100);
    portfolio = build_portfolio(legs, 3, cash_usd * BUILD_USD);
}

static void assert_cure(enum pl_cure_kind kind, uint32_t leg, int64_t lots, int64_t ticks,
                        double cost_usd)
{
    struct pl_cure cure;
    assert_true(pl_cure_by(&build.market, &portfolio, &initial, kind, leg, &cure));
    assert_int_equal(cure.kind, kind);
    assert_int_equal(cure.lots, lots);
    assert_int_equal(cure.ticks, ticks);
    assert_int_equal(cure.instrument, leg == UINT32_MAX ? leg : legs[leg].instrument);
    build_assert_i128(cure.cost_vu, (pl_i128)(cost_usd * 10000 + .5) * (BUILD_USD / 10000), "cost");
}

static void assert_none(enum pl_cure_kind kind, uint32_t leg)
{
    struct pl_cure cure;
    assert_false(pl_cure_by(&build.market, &portfolio, &initial, kind, leg, &cure));
}

/* 1000 of A at 80 % against 20 of B at 60 each less 300 of cash: 100 short. */
static void each_kind_takes_the_least(void **state)
{
    (void)state;
    hold(10, 20, 0, 300);
    assert_cure(PL_CURE_ADD, UINT32_MAX, 0, 0, 100);
    assert_cure(PL_CURE_ADD, LONG_LEG, 125, 10000, 125);       /* 100 / 80                     */
    assert_cure(PL_CURE_REPAY, SHORT_LEG, 1053, 5050, 5.265);  /* 100 / (60 - 50.50) = 10.5263 */
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 556, 9800, 11.12);   /* 100 / (98 - 80) = 5.5556     */
    assert_none(PL_CURE_REPAY, LONG_LEG);
    assert_none(PL_CURE_REDUCE, SHORT_LEG);
    assert_none(PL_CURE_ADD, SHORT_LEG);
    assert_none(PL_CURE_ADD, OTHER_LEG); /* nothing of it is held */
}

static void what_cannot_reach_is_none(void **state)
{
    static struct pl_sale trades;
    struct pl_cure cure;
    (void)state;
    hold(10, 20, 0, 200); /* 200 short: 18 * 10 and 9.5 * 20 do not do */
    assert_none(PL_CURE_REDUCE, LONG_LEG);
    assert_none(PL_CURE_REPAY, SHORT_LEG);
    assert_cure(PL_CURE_ADD, UINT32_MAX, 0, 0, 200);
    hold(10, 20, 0, 400); /* nothing to cure */
    assert_none(PL_CURE_ADD, UINT32_MAX);
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_false(pl_plan_trades(&build.market, &portfolio, &initial, &trades));
    hold(10, 20, 0, 220); /* all of A, exactly */
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 1000, 9800, 20);
}

/* Half of |A + B| is asked for as well. 10 A hedge 16 B but for 200: selling 2 A helps by 68 each, 50
 * of it from the factor, and every further one hurts by 32. All of A would not cure, 1.62 do. */
static void more_than_the_best_is_worse(void **state)
{
    (void)state;
    uint32_t factor = build_factor(&build, "F");
    build_load(&build, asset, factor, build_flat(500000));
    build_load(&build, debt, factor, build_flat(500000));
    build_finish(&build);
    build_update(&build);
    hold(10, 16, 0, 150);
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 162, 9800, 3.24); /* 110 / 68 = 1.6176 */
    hold(10, 16, 0, 123);
    assert_none(PL_CURE_REDUCE, LONG_LEG); /* 137 short, 136 at best */
}

/* Sell at 98, buy at 50.50: 1 of B for 0.5154 of A frees 60 - 41.23 and what the lot rounds. */
static void a_swap_pays_for_itself(void **state)
{
    (void)state;
    struct pl_cure cure;
    hold(10, 20, 0, 300);
    assert_true(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_int_equal(cure.kind, PL_CURE_SWAP);
    assert_int_equal(cure.instrument, debt);
    assert_int_equal(cure.sold, asset);
    assert_int_equal(cure.lots, 532); /* 5.32 * 50.50 = 268.66; 2.75 A bring 269.50 and cost 220 */
    assert_int_equal(cure.sold_lots, 275);
    build_assert_i128(cure.cost_vu, (pl_i128)8160000 * (BUILD_USD / 1000000), "2.66 + 5.50");
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, LONG_LEG, SHORT_LEG, &cure));
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, OTHER_LEG, &cure));
}

/* 1 A fetches 98, which pays for 1.94 of B, not for 1.95: that would take 1.01 A. With B owed at 150 % and A
 * at 100 % it would bring 22.5 cents more, so that an A too many would reach where none does. */
static void a_swap_sells_no_more_than_there_is(void **state)
{
    (void)state;
    struct pl_cure cure;
    build_haircuts(&build, asset, build_flat(200000), build_flat(0));
    build_haircuts(&build, debt, build_flat(200000), build_flat(500000));
    build_finish(&build);
    build_update(&build);
    hold(1, 20, 0, 0);
    /* After 1.94: 18.06 of B at 75, and 3 cents left of 98. */
    portfolio.cash_vu = portfolio.final_cash_vu = 135447 * (BUILD_USD / 100);
    assert_true(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_int_equal(cure.lots, 194);
    assert_int_equal(cure.sold_lots, 100);
    portfolio.cash_vu = portfolio.final_cash_vu -= 1;
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
}

/* 2^81 VU is the largest power of two that cash may be: a debt of it is cured by just as much. */
static void cash_is_found_to_the_end_of_its_range(void **state)
{
    (void)state;
    struct pl_cure cure;
    const pl_i128 most = (pl_i128)1 << 81;
    portfolio = build_portfolio(legs, 0, -most);
    assert_true(pl_cure_by(&build.market, &portfolio, &initial, PL_CURE_ADD, UINT32_MAX, &cure));
    build_assert_i128(cure.cost_vu, most, "cash");
}

/* Up to 300 USD of A give up 0.5 %, up to 500 1 %; up to 100 of B 0.2 %. */
static void give_depth(void)
{
    struct pl_instrument *rows = build.parameters.instruments;
    rows[asset].depth[0] = (struct pl_rung){300, 5000};
    rows[asset].depth[1] = (struct pl_rung){500, 10000};
    rows[asset].depth_count = 2;
    rows[debt].depth[0] = (struct pl_rung){100, 2000};
    rows[debt].depth_count = 1;
    build_finish(&build);
    build_update(&build);
}

/* An A sold brings 19.50, 19 or 18 by its rung, a B bought back 9.90 or 9.50: who needs little, trades
 * little at a good limit. Where a rung ends just before the goal, the next one takes more than its own
 * first lots. */
static void the_least_is_at_the_limit_of_its_rung(void **state)
{
    (void)state;
    give_depth();
    hold(10, 20, 0, 345);
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 283, 9950, 1.415); /* 55 / 19.50 = 2.8205 */
    hold(10, 20, 0, 320);
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 422, 9900, 4.22);  /* 80 / 19 = 4.2105    */
    hold(10, 20, 0, 303);
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 539, 9800, 10.78); /* 5 of 98 are not 97; 97 / 18 = 5.3889 */
    hold(10, 20, 0, 385);
    assert_cure(PL_CURE_REPAY, SHORT_LEG, 152, 5010, 0.152); /* 15 / 9.90 = 1.5152  */
    hold(10, 20, 0, 380);
    assert_cure(PL_CURE_REPAY, SHORT_LEG, 211, 5050, 1.055); /* 2 bring 19.80; 20 / 9.50 = 2.1053 */
}

/* A swap of n lots of B for s of A brings 60 n - 50.10 n + (99.50 - 80) s, with 50.50 beyond 2 B. For 30:
 * 1.52 B, paid for by 0.77 A (15.048 + 15.015); 1.51 bring 29.964. For 100: 5.15 B at 50.50, which is
 * deeper than the 2.62 A that pay for them go. */
static void a_swap_has_two_ladders(void **state)
{
    (void)state;
    struct pl_cure cure;
    give_depth();
    hold(10, 20, 0, 370);
    assert_true(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_int_equal(cure.lots, 152);
    assert_int_equal(cure.ticks, 5010);
    assert_int_equal(cure.sold_lots, 77);
    assert_int_equal(cure.sold_ticks, 9950);
    build_assert_i128(cure.cost_vu, 537 * BUILD_USD / 1000, "0.152 + 0.385");
    hold(10, 20, 0, 300);
    assert_true(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_int_equal(cure.lots, 515);
    assert_int_equal(cure.ticks, 5050);
    assert_int_equal(cure.sold_lots, 262);
    assert_int_equal(cure.sold_ticks, 9950);
}

/* Of equal cost the first id, however the legs are listed. */
static void the_cheapest_are_named(void **state)
{
    (void)state;
    struct pl_cure cures[PL_CURES_MAX];
    for (int turn = 0; turn < 2; turn++) {
        hold(10, 20, 10, -500);
        struct pl_leg first = legs[LONG_LEG];
        if (turn == 1) {
            legs[LONG_LEG] = legs[OTHER_LEG];
            legs[OTHER_LEG] = first;
        }
        assert_int_equal(pl_cures_of(&build.market, &build.names, &portfolio, &initial, cures), 3);
        assert_int_equal(cures[0].kind, PL_CURE_ADD);
        assert_int_equal(cures[1].kind, PL_CURE_REPAY);
        assert_int_equal(cures[2].kind, PL_CURE_REDUCE);
        assert_int_equal(cures[2].instrument, asset);
        build_assert_i128(cures[2].cost_vu, (pl_i128)1112 * (BUILD_USD / 100), "cost");
    }
    build_status(&build, other, PL_MARK_STALE);
    build_update(&build);
    assert_int_equal(pl_cures_of(&build.market, &build.names, &portfolio, &initial, cures), 0);
}

/* 900 and 200 of cash over 20 * 55: health 1. To 1.25 it takes 275 of cash. */
static void a_health_is_a_goal_too(void **state)
{
    (void)state;
    const struct pl_goal goal = {.health_ppm = 1250000};
    struct pl_cure cure;
    hold(10, 20, 0, 200);
    assert_true(pl_cure_by(&build.market, &portfolio, &goal, PL_CURE_ADD, UINT32_MAX, &cure));
    build_assert_i128(cure.cost_vu, 275 * BUILD_USD, "cash");
    /* 1100 - 50.50 y >= 1.25 (1100 - 55 y): 275 / 18.25 */
    assert_true(pl_cure_by(&build.market, &portfolio, &goal, PL_CURE_REPAY, SHORT_LEG, &cure) ==
                false); /* y is 15.07, and beyond 3.96 it is paid with debt: worse */
    hold(10, 20, 0, 1000);
    const struct pl_goal more = {.health_ppm = 2000000};
    /* 1900 - 50.50 y >= 2 (1100 - 55 y) at y = 300 / 59.50 = 5.042 */
    assert_true(pl_cure_by(&build.market, &portfolio, &more, PL_CURE_REPAY, SHORT_LEG, &cure));
    assert_int_equal(cure.lots, 505);
}

/* D is 1000001, a millionth of it 1.000001: an excess of 1 does not do. A lot of GRAIN is worth 1 VU
 * of which 1 ppm counts, one of DUST is owed at 1000001 ppm. */
static void a_health_is_not_rounded(void **state)
{
    (void)state;
    const struct pl_goal goal = {.health_ppm = 1000001};
    uint32_t grain = build_instrument(&build, "GRAIN", PL_INSTRUMENT_SPOT, 12, 0);
    uint32_t dust = build_instrument(&build, "DUST", PL_INSTRUMENT_SPOT, 12, 0);
    build_haircuts(&build, grain, build_flat(999999), build_flat(0));
    build_haircuts(&build, dust, build_flat(0), build_flat(1));
    build_finish(&build);
    build_price(&build, grain, 1);
    build_price(&build, dust, 1);
    build_update(&build);
    struct pl_cure cure;
    legs[0] = build_leg(grain, 1);
    legs[1] = build_leg(dust, -1);
    portfolio = build_portfolio(legs, 2, 1); /* 10^6 + 1 - 1000001 = 0 */
    assert_true(pl_cure_by(&build.market, &portfolio, &goal, PL_CURE_ADD, 0, &cure));
    assert_int_equal(cure.lots, 2);
}

/* 20 of A count 1600 and 20 of B 1200: -200 with 600 owed. A B bought back at 50.50 brings 9.50 and gives up
 * 0.50, an A sold at 98 brings 18 and gives up 2: B first, all 20, then 10 / 18 of A. By themselves A
 * takes 11.12 and gives up 22.24, and B does not do. */
static void a_combination_is_cheaper_than_each(void **state)
{
    (void)state;
    static struct pl_sale sale;
    hold(20, 20, 0, -600);
    assert_cure(PL_CURE_REDUCE, LONG_LEG, 1112, 9800, 22.24);
    build.parameters.policy.close_factor_ppm = 100000; /* binds others only */
    build.parameters.instruments[debt].slice_usd_max = 1;
    assert_true(pl_plan_trades(&build.market, &portfolio, &initial, &sale));
    assert_int_equal(sale.leg_count, 2);
    assert_int_equal(sale.legs[0].instrument, asset);
    assert_int_equal(sale.legs[0].side, PL_SIDE_SELL);
    assert_int_equal(sale.legs[0].lots, 56);
    assert_int_equal(sale.legs[0].limit_ticks, 9800);
    assert_int_equal(sale.legs[1].instrument, debt);
    assert_int_equal(sale.legs[1].side, PL_SIDE_BUY);
    assert_int_equal(sale.legs[1].lots, 2000);
    assert_int_equal(sale.legs[1].limit_ticks, 5050);
    const pl_i128 cent = BUILD_USD / 100 * PL_PPM;
    build_assert_i128(sale.end_before, -20000 * cent, "before");
    build_assert_i128(sale.end_after, 8 * cent, "after");
    build_assert_i128(sale.legs[0].one_lot_less, -10 * cent, "A");
    build_assert_i128(sale.legs[1].one_lot_less, -3 * cent / 2, "B");
    build_assert_i128(sale.cost_vu, 1112 * BUILD_USD / 100, "cost");
    /* Of parts of lots 100/9 USD would do: the bound is that, but for its price's rounding. */
    assert_true(sale.cost_bound_vu <= 100 * BUILD_USD / 9);
    assert_true(sale.cost_bound_vu > 1111 * BUILD_USD / 100);
    assert_int_equal(sale.gap_ppm, pl_div_ceil((sale.cost_vu - sale.cost_bound_vu) * PL_PPM,
                                               sale.cost_vu));
}

/* 800 beyond debts of 1100, of which a health of 2 asks 1100: a B brings 4.50 and 55 less of them, an A
 * sold 8. So it is B, and 300 / 59.50 of it: 2.5211 USD at least. */
static void a_combination_reaches_a_health(void **state)
{
    (void)state;
    const struct pl_goal goal = {.health_ppm = 2000000};
    static struct pl_sale sale;
    hold(10, 20, 0, 1000);
    assert_true(pl_plan_trades(&build.market, &portfolio, &goal, &sale));
    assert_int_equal(sale.leg_count, 1);
    assert_int_equal(sale.legs[0].instrument, debt);
    assert_int_equal(sale.legs[0].lots, 505);
    build_assert_i128(sale.end_before, -300 * BUILD_USD * PL_PPM, "before");
    build_assert_i128(sale.cost_vu, 2525 * BUILD_USD / 1000, "cost");
    assert_true(sale.cost_bound_vu <= 25211 * BUILD_USD / 10000);
    assert_true(sale.cost_bound_vu > 25205 * BUILD_USD / 10000);
    const struct pl_goal reached = {.health_ppm = PL_PPM};
    assert_false(pl_plan_trades(&build.market, &portfolio, &reached, &sale)); /* it is */
}

/* One B closed gains 60 and costs 1, one A 100 and costs 1.80: step by step it is two B for 2, though one A
 * alone reaches the line exactly, and one of C as well for as much. 100 lack: 28,472 less 9,390 for 10 B and
 * 18,982 for 10 A; C counts nothing until it is held. */
static void one_leg_alone_may_be_cheaper(void **state)
{
    (void)state;
    static struct pl_sale sale;
    for (uint32_t i = 0; i < 3; i++) {
        const bool is_b = i == debt;
        build_haircuts(&build, i, build_flat(is_b ? 61000 : 50900), build_flat(0));
        build.parameters.instruments[i].sale_discount_ppm = is_b ? 1000 : 900;
        build.parameters.instruments[i].lot_step = 100;
    }
    build_finish(&build);
    for (uint32_t i = 0; i < 3; i++)
        build_price(&build, i, i == debt ? 100000 : 200000);
    build_update(&build);
    hold(10, -10, 0, -28472);
    for (int turn = 0; turn < 2; turn++) {
        assert_true(pl_plan_trades(&build.market, &portfolio, &initial, &sale));
        assert_int_equal(sale.leg_count, 1);
        assert_int_equal(sale.legs[0].instrument, asset);
        assert_int_equal(sale.legs[0].lots, 100);
        build_assert_i128(sale.end_before, -100 * BUILD_EXCESS_USD, "before");
        build_assert_i128(sale.end_after, 0, "after");
        build_assert_i128(sale.cost_vu, 18 * BUILD_USD / 10, "cost");
        hold(10, -10, 10, -28472 - 18982); /* C is as good, and was found later */
    }
}

static void withdrawals_stop_at_the_line(void **state)
{
    (void)state;
    hold(10, 20, 0, 500); /* 100 over: 1.25 of A, 100 of cash */
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 125, "A");
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, SHORT_LEG), 0, "B");
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, UINT32_MAX),
                      100 * BUILD_USD, "cash");
    portfolio.cash_vu = portfolio.final_cash_vu += BUILD_USD / 2; /* half a unit less than a lot */
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 125, "A");
    hold(10, 0, 0, 500);
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 1000, "A");
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, UINT32_MAX),
                      500 * BUILD_USD, "cash"); /* what there is, though A would back more */
    hold(10, 20, 0, 399);
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 0, "A");
    build_haircuts(&build, other, build_flat(1000000), build_flat(0)); /* backs nothing */
    build_finish(&build);
    build_update(&build);
    hold(10, 20, 5, 400); /* on the line */
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 0, "A");
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, OTHER_LEG), 500, "C");
}

/* What is credited before it is final backs the account, and is neither sold nor taken out. */
static void what_is_credited_stays(void **state)
{
    (void)state;
    struct pl_cure cure;
    hold(10, 20, 0, 300);
    legs[LONG_LEG].credited_lots = 725; /* a swap sells 2.75 of A */
    assert_true(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_int_equal(cure.sold_lots, 275);
    legs[LONG_LEG].credited_lots = 727; /* 2.73 of A fetch 267.54, which pay for 5.29 of B */
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    hold(10, 20, 0, 500);
    legs[LONG_LEG].credited_lots = 900;
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 100, "A");
    legs[LONG_LEG].credited_lots = 1000;
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 0, "A");
}

/* What is on a halted chain can be neither traded nor moved. */
static void what_is_stuck_does_nothing(void **state)
{
    (void)state;
    struct pl_cure cure;
    hold(10, 20, 0, 300);
    build.market.quotes[asset].is_stuck = true;
    assert_none(PL_CURE_REDUCE, LONG_LEG);
    assert_none(PL_CURE_ADD, LONG_LEG);
    assert_false(pl_cure_by_swap(&build.market, &portfolio, &initial, SHORT_LEG, LONG_LEG, &cure));
    assert_cure(PL_CURE_ADD, UINT32_MAX, 0, 0, 100);
    build.market.quotes[debt].is_stuck = true;
    assert_none(PL_CURE_REPAY, SHORT_LEG);
    hold(10, 20, 0, 500);
    build_assert_i128(pl_withdrawable(&build.market, &portfolio, &initial, LONG_LEG), 0, "A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_kind_takes_the_least, set_up),
        cmocka_unit_test_setup(what_cannot_reach_is_none, set_up),
        cmocka_unit_test_setup(more_than_the_best_is_worse, set_up),
        cmocka_unit_test_setup(a_swap_pays_for_itself, set_up),
        cmocka_unit_test_setup(a_swap_sells_no_more_than_there_is, set_up),
        cmocka_unit_test_setup(cash_is_found_to_the_end_of_its_range, set_up),
        cmocka_unit_test_setup(one_leg_alone_may_be_cheaper, set_up),
        cmocka_unit_test_setup(the_least_is_at_the_limit_of_its_rung, set_up),
        cmocka_unit_test_setup(a_swap_has_two_ladders, set_up),
        cmocka_unit_test_setup(the_cheapest_are_named, set_up),
        cmocka_unit_test_setup(a_health_is_a_goal_too, set_up),
        cmocka_unit_test_setup(a_health_is_not_rounded, set_up),
        cmocka_unit_test_setup(a_combination_is_cheaper_than_each, set_up),
        cmocka_unit_test_setup(a_combination_reaches_a_health, set_up),
        cmocka_unit_test_setup(withdrawals_stop_at_the_line, set_up),
        cmocka_unit_test_setup(what_is_credited_stays, set_up),
        cmocka_unit_test_setup(what_is_stuck_does_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
