/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cures are the least and withdrawals the most: on small portfolios every quantity of every leg is
 * tried by the naive model; on large ones the quantity named reaches the goal and one lot less does
 * not, and where none is named none of many does. Ratios and requirements are the model's, rounded
 * against the account; with inputs in doubt no reading of them is below the bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/world.h"

enum { TRIES = 24, ADD_LOTS_MAX = 60, COMBINATIONS_MAX = 2000 };

static struct world world;
static struct model_box box;
static struct model_sheet sheet;
static struct model_terms terms;
static struct {
    uint64_t tried, cured[PL_CURE_SWAP + 1], shallow, none;
    uint64_t withdrawn, by_health, ratios, no_ratio, negative;
    uint64_t traded, several, untraded, enumerated, optimal, within_a_lot, close;
} met;

#define fail_with(...) world_fail(&world, __VA_ARGS__)

/* ---- the model ------------------------------------------------------------------------------ */

/* Sum of (10^6 + premium) |n| over what is owed at maintenance, cash too. */
static void weighted_debt(const struct model_sheet *from, mpz_t debt)
{
    mpz_t value;
    mpz_init(value);
    mpz_set_ui(debt, 0);
    if (mpz_sgn(from->cash) < 0)
        mpz_submul_ui(debt, from->cash, PL_PPM);
    for (uint32_t i = 0; i < from->box->leg_count; i++) {
        const struct model_leg *leg = &from->box->legs[i];
        int64_t weight = PL_PPM + (leg->rules ? leg->rules->haircut_short.at[PL_TIER_MAINTENANCE]
                                              : 0);
        model_value(leg, from->x[i], value);
        if (mpz_sgn(value) < 0 && weight > 0)
            mpz_submul_ui(debt, value, (unsigned long)weight);
    }
    mpz_clear(value);
}

/* Whether a certain portfolio is at the goal: A >= 0, or 10^6 (D + A) >= h D. Out of range: no. */
static bool is_there(const struct pl_portfolio *portfolio, const struct pl_goal *goal)
{
    model_box_fill(&box, &world.market, portfolio);
    model_sheet_corner(&sheet, &box, 0);
    if (!model_is_in_range(&sheet) || model_within_cash(portfolio, &world.parameters, 1) < 0)
        return false;
    model_evaluate(&sheet, goal->health_ppm > 0 ? PL_TIER_MAINTENANCE : goal->tier, &terms);
    if (goal->health_ppm == 0)
        return mpz_sgn(terms.excess) >= 0;
    mpz_t debt, left;
    mpz_inits(debt, left, NULL);
    weighted_debt(&sheet, debt);
    mpz_add(left, debt, terms.excess);
    mpz_mul_ui(left, left, PL_PPM);
    mpz_submul_ui(left, debt, (unsigned long)goal->health_ppm);
    bool is_there = mpz_sgn(left) >= 0;
    mpz_clears(debt, left, NULL);
    return is_there;
}

/* ticks * (10^6 -/+ discount) / 10^6, against us; 0: no price. */
static int64_t limit_at(uint32_t instrument, enum pl_side side, int32_t discount_ppm)
{
    mpz_t limit;
    mpz_init(limit);
    model_limit(&world.market, instrument, side, discount_ppm, limit);
    int64_t ticks = mpz_fits_slong_p(limit) && mpz_sgn(limit) > 0 ? mpz_get_si(limit) : 0;
    mpz_clear(limit);
    return ticks;
}

/* What so many lots are traded at. */
static int64_t limit_of(uint32_t instrument, enum pl_side side, int64_t lots)
{
    return limit_at(instrument, side, model_discount(&world.market, instrument, lots));
}

/* Any quantity has a price. */
static bool is_priced(uint32_t instrument, enum pl_side side)
{
    return limit_at(instrument, side, world.parameters.instruments[instrument].sale_discount_ppm) > 0;
}

/* Whether the goal is reached after so many lots of one leg. */
static bool is_there_with(const struct pl_goal *goal, enum pl_cure_kind kind, uint32_t i,
                          int64_t lots)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio after = world.portfolio;
    const struct pl_leg *leg = &world.portfolio.legs[i];
    if (kind == PL_CURE_ADD) {
        memcpy(legs, world.portfolio.legs, after.leg_count * sizeof legs[0]);
        legs[i].lots = legs[i].final_lots = leg->lots + lots;
        after.legs = legs;
    } else {
        enum pl_side side = kind == PL_CURE_REDUCE ? PL_SIDE_SELL : PL_SIDE_BUY;
        const struct pl_sale_leg sale = {.instrument = leg->instrument, .side = side, .lots = lots,
                                         .limit_ticks = limit_of(leg->instrument, side, lots)};
        model_sell(&world.market, &world.portfolio, &sale, 1, legs, &after);
    }
    return is_there(&after, goal);
}

/* ---- cures ---------------------------------------------------------------------------------- */

static bool suits(enum pl_cure_kind kind, const struct pl_leg *leg)
{
    const struct pl_instrument *rules = &world.parameters.instruments[leg->instrument];
    if (world.market.quotes[leg->instrument].is_stuck)
        return false;
    if (kind == PL_CURE_ADD)
        return leg->lots > 0 && rules->kind == PL_INSTRUMENT_SPOT;
    if (kind == PL_CURE_REPAY)
        return leg->lots < 0 && is_priced(leg->instrument, PL_SIDE_BUY);
    return leg->lots > 0 && is_priced(leg->instrument, PL_SIDE_SELL);
}

static void check_figures(enum pl_cure_kind kind, const struct pl_leg *leg,
                          const struct pl_cure *cure)
{
    const struct pl_quote *quote = &world.market.quotes[leg->instrument];
    enum pl_side side = kind == PL_CURE_REPAY ? PL_SIDE_BUY : PL_SIDE_SELL;
    int64_t ticks = kind == PL_CURE_ADD ? quote->ticks : limit_of(leg->instrument, side, cure->lots);
    met.shallow += kind != PL_CURE_ADD && model_discount(&world.market, leg->instrument, cure->lots) <
                   world.parameters.instruments[leg->instrument].sale_discount_ppm;
    mpz_t cost;
    mpz_init(cost);
    mpz_set_si(cost, kind == PL_CURE_ADD ? ticks : ticks - quote->ticks);
    mpz_abs(cost, cost);
    mpz_mul_si(cost, cost, world.parameters.instruments[leg->instrument].multiplier);
    mpz_mul_si(cost, cost, cure->lots);
    if (cure->kind != kind || cure->instrument != leg->instrument || cure->ticks != ticks ||
        model_compare_i128(cost, cure->cost_vu) != 0)
        fail_with("cure %d of instrument %u at %" PRId64 " costs %s, not %s at %" PRId64, kind,
                  leg->instrument, cure->ticks, world_text_i128(cure->cost_vu), world_text(cost),
                  ticks);
    mpz_clear(cost);
}

/* The most lots that a rung holds. */
static int64_t end_of_rung(uint32_t instrument, uint32_t rung)
{
    const pl_i128 usd = world.parameters.instruments[instrument].depth[rung].usd_max;
    const pl_i128 lots = usd * 1000000000000 / world.market.quotes[instrument].lot_vu;
    return (int64_t)pl_min(lots, INT64_MAX);
}

/* All quantities where they are few, else some, and those where a limit is at its best. */
static void check_least(const struct pl_goal *goal, enum pl_cure_kind kind, uint32_t i,
                        int64_t least)
{
    const struct pl_leg *leg = &world.portfolio.legs[i];
    int64_t most = kind == PL_CURE_ADD ? ADD_LOTS_MAX : leg->lots < 0 ? -leg->lots : leg->lots;
    int64_t below = least > 0 && least - 1 < most ? least - 1 : most;
    bool has_few = below <= ADD_LOTS_MAX;
    for (int64_t t = 0; t < (has_few ? below : TRIES); t++) {
        int64_t lots = has_few ? t + 1 : world_between(&world, 1, below);
        if (is_there_with(goal, kind, i, lots))
            fail_with("cure %d of leg %u: %" PRId64 " lots, but %" PRId64 " do", kind, i, least,
                      lots);
    }
    for (uint32_t k = 0; k < world.parameters.instruments[leg->instrument].depth_count; k++) {
        int64_t lots = end_of_rung(leg->instrument, k);
        if (lots > 0 && lots <= below && is_there_with(goal, kind, i, lots))
            fail_with("cure %d of leg %u: %" PRId64 " lots, but %" PRId64 " of rung %u do", kind, i, least,
                      lots, k);
    }
    if (least > 0 && (!is_there_with(goal, kind, i, least) ||
                      (least > 1 && is_there_with(goal, kind, i, least - 1))))
        fail_with("cure %d of leg %u: %" PRId64 " lots are not the least that do", kind, i, least);
}

static void check_cure(const struct pl_goal *goal, enum pl_cure_kind kind, uint32_t i)
{
    const struct pl_leg *leg = &world.portfolio.legs[i];
    struct pl_cure cure = {0};
    bool is_cured = pl_cure_by(&world.market, &world.portfolio, goal, kind, i, &cure);
    bool may_be = suits(kind, leg) && !is_there(&world.portfolio, goal);
    met.tried++;
    met.cured[kind] += is_cured;
    met.none += !is_cured && may_be;
    if (is_cured && !may_be)
        fail_with("cure %d of leg %u is none", kind, i);
    if (is_cured)
        check_figures(kind, leg, &cure);
    if (may_be)
        check_least(goal, kind, i, cure.lots);
}

static bool is_there_with_cash(const struct pl_goal *goal, pl_i128 change)
{
    struct pl_portfolio after = world.portfolio;
    after.cash_vu = after.final_cash_vu += change;
    return is_there(&after, goal);
}

static void check_cash(const struct pl_goal *goal)
{
    struct pl_cure cure = {0};
    if (!pl_cure_by(&world.market, &world.portfolio, goal, PL_CURE_ADD, UINT32_MAX, &cure)) {
        if (!is_there(&world.portfolio, goal) && is_there_with_cash(goal, PL_VALUE_VU_MAX))
            fail_with("cash would cure");
        return;
    }
    met.cured[PL_CURE_ADD]++;
    if (is_there(&world.portfolio, goal) || !is_there_with_cash(goal, cure.cost_vu) ||
        is_there_with_cash(goal, cure.cost_vu - 1))
        fail_with("cash of %s is not the least", world_text_i128(cure.cost_vu));
}

static void check_swap(const struct pl_goal *goal, uint32_t i, uint32_t j)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_cure cure;
    struct pl_portfolio after;
    if (!pl_cure_by_swap(&world.market, &world.portfolio, goal, i, j, &cure))
        return;
    met.cured[PL_CURE_SWAP]++;
    struct pl_sale_leg trade[2] = {
        {.instrument = cure.sold, .side = PL_SIDE_SELL, .lots = cure.sold_lots,
         .limit_ticks = limit_of(cure.sold, PL_SIDE_SELL, cure.sold_lots)},
        {.instrument = cure.instrument, .side = PL_SIDE_BUY, .lots = cure.lots,
         .limit_ticks = limit_of(cure.instrument, PL_SIDE_BUY, cure.lots)}};
    model_sell(&world.market, &world.portfolio, trade, 2, legs, &after);
    bool pays = after.cash_vu >= world.portfolio.cash_vu;
    if (!is_there(&after, goal) || !pays || cure.ticks != trade[1].limit_ticks ||
        cure.sold_ticks != trade[0].limit_ticks || cure.sold_lots > world.portfolio.legs[j].lots ||
        cure.lots > -world.portfolio.legs[i].lots)
        fail_with("swapping %" PRId64 " lots for %" PRId64 " does not do", cure.sold_lots,
                  cure.lots);
    trade[0].lots--;
    trade[0].limit_ticks = limit_of(cure.sold, PL_SIDE_SELL, trade[0].lots);
    model_sell(&world.market, &world.portfolio, trade, 2, legs, &after);
    if (after.cash_vu >= world.portfolio.cash_vu)
        fail_with("%" PRId64 " lots sold are more than pay", cure.sold_lots);
}

/* ---- withdrawals ---------------------------------------------------------------------------- */

static void check_withdrawal(const struct pl_goal *goal, uint32_t i)
{
    const struct pl_leg *leg = &world.portfolio.legs[i];
    bool is_spot = world.parameters.instruments[leg->instrument].kind == PL_INSTRUMENT_SPOT;
    pl_i128 lots = pl_withdrawable(&world.market, &world.portfolio, goal, i);
    bool is_stuck = world.market.quotes[leg->instrument].is_stuck;
    if (leg->lots <= 0 || !is_spot || is_stuck || !is_there(&world.portfolio, goal)) {
        if (lots != 0)
            fail_with("leg %u: %s lots may be taken out", i, world_text_i128(lots));
        return;
    }
    met.withdrawn += lots > 0;
    if (lots < 0 || lots > leg->lots || !is_there_with(goal, PL_CURE_ADD, i, -(int64_t)lots) ||
        (lots < leg->lots && is_there_with(goal, PL_CURE_ADD, i, -(int64_t)lots - 1)))
        fail_with("leg %u: %s lots are not the most", i, world_text_i128(lots));
}

static void check_cash_withdrawal(const struct pl_goal *goal)
{
    pl_i128 most = pl_withdrawable(&world.market, &world.portfolio, goal, UINT32_MAX);
    pl_i128 held = pl_max(0, world.portfolio.cash_vu);
    bool may_be = is_there(&world.portfolio, goal);
    if (most < 0 || most > held || (!may_be && most != 0) ||
        (may_be && !is_there_with_cash(goal, -most)) ||
        (may_be && most < held && is_there_with_cash(goal, -most - 1)))
        fail_with("cash of %s is not the most", world_text_i128(most));
}

/* ---- trades ---------------------------------------------------------------------------------- */

/* What may be traded of each leg at all, in steps; 0 where that is nothing. */
static uint32_t tradable(struct pl_sale_leg *whole)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        const struct pl_leg *leg = &world.portfolio.legs[i];
        const struct pl_instrument *rules = &world.parameters.instruments[leg->instrument];
        const struct pl_quote *quote = &world.market.quotes[leg->instrument];
        enum pl_side side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY;
        if (!rules->is_listed || quote->status != PL_MARK_LIVE || quote->is_stuck ||
            !is_priced(leg->instrument, side))
            continue;
        int64_t lots = leg->lots > 0 ? leg->lots - leg->credited_lots : -leg->lots;
        if (lots > 0)
            whole[count++] = (struct pl_sale_leg){.instrument = leg->instrument, .side = side,
                                                  .lots = lots};
    }
    return count;
}

static bool is_there_after(const struct pl_goal *goal, const struct pl_sale_leg *traded, uint32_t count)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio after;
    model_sell(&world.market, &world.portfolio, traded, count, legs, &after);
    return is_there(&after, goal);
}

/* Every combination of lots: the least cost of those that reach the goal. -1: too many, 0: none. */
static int cheapest_of_all(const struct pl_goal *goal, const struct pl_sale_leg *whole, uint32_t count,
                           pl_i128 *least_vu)
{
    struct pl_sale_leg tried[PL_LEGS_MAX];
    uint64_t combinations = 1;
    int found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (whole[i].lots >= COMBINATIONS_MAX ||
            (combinations *= (uint64_t)whole[i].lots + 1) > COMBINATIONS_MAX)
            return -1;
    }
    for (uint64_t choice = 0; choice < combinations; choice++) {
        uint64_t rest = choice;
        pl_i128 cost = 0;
        for (uint32_t i = 0; i < count; i++) {
            tried[i] = whole[i];
            tried[i].lots = (int64_t)(rest % ((uint64_t)whole[i].lots + 1));
            rest /= (uint64_t)whole[i].lots + 1;
            tried[i].limit_ticks = limit_of(whole[i].instrument, whole[i].side, tried[i].lots);
            cost += model_sale_cost(&world.market, &tried[i]);
        }
        if ((found && cost >= *least_vu) || !is_there_after(goal, tried, count))
            continue;
        found = 1;
        *least_vu = cost;
    }
    return found;
}

static pl_i128 dearest_lot(const struct pl_sale_leg *whole, uint32_t count)
{
    pl_i128 most = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pl_sale_leg one = whole[i];
        one.lots = 1;
        one.limit_ticks = limit_of(one.instrument, one.side, one.lots);
        most = pl_max(most, model_sale_cost(&world.market, &one));
    }
    return most;
}

/* What one leg does by itself is a combination too: none is dearer, and no bound above it, nor above a
 * swap's cost. */
static void check_against_cures(const struct pl_goal *goal, bool is_found, const struct pl_sale *trades)
{
    struct pl_cure cure;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        for (enum pl_cure_kind kind = PL_CURE_REPAY; kind <= PL_CURE_REDUCE; kind++)
            if (pl_cure_by(&world.market, &world.portfolio, goal, kind, i, &cure) &&
                (!is_found || cure.cost_vu < trades->cost_vu))
                fail_with("leg %u by itself does for %s", i, world_text_i128(cure.cost_vu));
        for (uint32_t j = 0; is_found && j < world.portfolio.leg_count; j++)
            if (pl_cure_by_swap(&world.market, &world.portfolio, goal, i, j, &cure) &&
                cure.cost_vu < trades->cost_bound_vu)
                fail_with("swapping leg %u for %u costs less than anything: %s", j, i,
                          world_text_i128(cure.cost_vu));
    }
}

/* The combination reaches, no leg of it can be cut by a lot, it costs what it says, and never less than its
 * bound; where all can be tried, the bound is below the optimum. */
static void check_trades(const struct pl_goal *goal)
{
    static struct pl_sale_leg whole[PL_LEGS_MAX];
    static struct pl_sale trades;
    uint32_t count = tradable(whole);
    pl_i128 cost = 0, least_vu = 0;
    bool is_found = pl_plan_trades(&world.market, &world.portfolio, goal, &trades);
    if (is_there(&world.portfolio, goal) && is_found)
        fail_with("trades for a goal that is reached");
    if (is_there(&world.portfolio, goal))
        return;
    if (world.portfolio.leg_count <= 8)
        check_against_cures(goal, is_found, &trades);
    int exists = cheapest_of_all(goal, whole, count, &least_vu);
    if (is_found && exists == 0)
        fail_with("no trades reach the goal, but some are told");
    met.untraded += !is_found && exists == 1;
    if (!is_found)
        return;
    if (!is_there_after(goal, trades.legs, trades.leg_count))
        fail_with("the trades do not reach the goal");
    for (uint32_t i = 0; i < trades.leg_count; i++) {
        struct pl_sale_leg *leg = &trades.legs[i];
        if (leg->limit_ticks != limit_of(leg->instrument, leg->side, leg->lots) ||
            leg->lots <= 0)
            fail_with("leg %u: %" PRId64 " lots at %" PRId64, i, leg->lots, leg->limit_ticks);
        cost += model_sale_cost(&world.market, leg);
        leg->lots--;
        if (is_there_after(goal, trades.legs, trades.leg_count))
            fail_with("leg %u: one lot less is enough", i);
        leg->lots++;
    }
    if (cost != trades.cost_vu || trades.cost_bound_vu > cost || trades.cost_bound_vu < 0)
        fail_with("cost %s, bound %s", world_text_i128(trades.cost_vu),
                  world_text_i128(trades.cost_bound_vu));
    met.traded++;
    met.several += trades.leg_count > 1;
    if (exists < 0)
        return;
    met.enumerated++;
    met.optimal += cost == least_vu;
    met.within_a_lot += cost <= least_vu + dearest_lot(whole, count);
    met.close += 10 * trades.cost_bound_vu >= 9 * least_vu;
    if (trades.cost_bound_vu > least_vu)
        fail_with("no trades cost less than %s, it says, but some cost %s",
                  world_text_i128(trades.cost_bound_vu), world_text_i128(least_vu));
}

/* ---- runs ----------------------------------------------------------------------------------- */

static struct pl_goal draw_goal(void)
{
    struct pl_goal goal = {.tier = (enum pl_tier)world_below(&world, PL_TIER_COUNT)};
    if (world_chance(&world, 3)) {
        goal.health_ppm = (int32_t)world_between(&world, PL_PPM, 3 * PL_PPM);
        met.by_health++;
    }
    return goal;
}

static void check_all(void)
{
    const struct pl_goal goal = draw_goal();
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        for (enum pl_cure_kind kind = PL_CURE_ADD; kind <= PL_CURE_REDUCE; kind++)
            check_cure(&goal, kind, i);
        for (uint32_t j = 0; j < world.portfolio.leg_count && world.portfolio.leg_count <= 8; j++)
            check_swap(&goal, i, j);
        check_withdrawal(&goal, i);
    }
    check_cash(&goal);
    check_cash_withdrawal(&goal);
    if (!world.options.venues) /* a trade is in steps of lots, a cure is not */
        check_trades(&goal);
}

static bool is_small(void)
{
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        if (pl_abs(world.portfolio.legs[i].lots) >= INT64_MAX)
            return false;
    return pl_abs(world.portfolio.cash_vu) <= PL_VALUE_VU_MAX &&
           model_within_cash(&world.portfolio, &world.parameters, 1) >= 0;
}

static void run(struct world_options options, uint64_t seed, uint64_t worlds)
{
    world.options = options;
    for (uint64_t w = 0; w < worlds; w++) {
        world_begin(&world, seed + w);
        world_mark(&world);
        for (int i = 0; i < 4; i++) {
            world_hold(&world);
            if (!world.portfolio.leg_count || !is_small())
                continue;
            pl_i128 ignored;
            if (!pl_evaluate(&world.market, &world.portfolio, PL_TIER_END, &ignored))
                continue;
            /* Near a line, on either side. */
            pl_i128 lacking = options.coarse ? world_between(&world, -400000, 1200000) *
                                                   (pl_i128)1000000000000
                                             : world_magnitude(&world, 60) *
                                                   (pl_i128)world_between(&world, -1, 2);
            world_level(&world, (enum pl_tier)world_below(&world, PL_TIER_COUNT), lacking);
            if (is_small())
                check_all();
        }
    }
}

static void cures_are_the_least(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20220613).state;
    run((struct world_options){.coarse = true, .instrument_count_max = 5}, seed, world_runs(3000));
    run((struct world_options){0}, seed, world_runs(600));
    run((struct world_options){.venues = 1, .coarse = true, .instrument_count_max = 5}, seed,
        world_runs(1500));
    run((struct world_options){.venues = 1}, seed, world_runs(600));
    printf("tried=%" PRIu64 " add=%" PRIu64 " repay=%" PRIu64 " reduce=%" PRIu64 " swap=%" PRIu64
           " shallow=%" PRIu64 " none=%" PRIu64 " withdrawn=%" PRIu64 " by_health=%" PRIu64 "\n",
           met.tried, met.cured[PL_CURE_ADD], met.cured[PL_CURE_REPAY], met.cured[PL_CURE_REDUCE],
           met.cured[PL_CURE_SWAP], met.shallow, met.none, met.withdrawn, met.by_health);
    printf("traded=%" PRIu64 " several=%" PRIu64 " untraded=%" PRIu64 " enumerated=%" PRIu64
           " optimal=%" PRIu64 " within_a_lot=%" PRIu64 " close=%" PRIu64 "\n", met.traded, met.several,
           met.untraded, met.enumerated, met.optimal, met.within_a_lot, met.close);
    for (int kind = PL_CURE_ADD; kind <= PL_CURE_SWAP; kind++)
        assert_true(met.cured[kind] > 100);
    assert_true(met.shallow > 100 && met.none > 100 && met.withdrawn > 100 && met.by_health > 100);
}

/* ---- ratios --------------------------------------------------------------------------------- */

/* Values on each side of 0 at one reading. */
static void sides(const struct model_sheet *from, mpz_t collateral, mpz_t debt)
{
    mpz_t value;
    mpz_init(value);
    mpz_set_ui(collateral, 0);
    mpz_set_ui(debt, 0);
    for (uint32_t i = 0; i <= from->box->leg_count; i++) {
        if (i < from->box->leg_count)
            mpz_mul(value, from->x[i], from->box->legs[i].lot);
        else
            mpz_set(value, from->cash);
        if (mpz_sgn(value) > 0)
            mpz_add(collateral, collateral, value);
        else
            mpz_sub(debt, debt, value);
    }
    mpz_clear(value);
}

/* `is_exact`: the ratio is a / b itself, else at most that. */
static void check_ratio(const struct pl_ratio *ratio, const mpz_t a, const mpz_t b, bool is_exact,
                        const char *what)
{
    pl_i128 ppm = 0;
    bool has_one = pl_ratio_ppm(ratio, &ppm);
    mpz_t expected;
    mpz_init(expected);
    if (mpz_sgn(b) > 0) {
        mpz_mul_ui(expected, a, PL_PPM);
        mpz_fdiv_q(expected, expected, b);
    }
    bool is_absent = mpz_sgn(b) <= 0;
    met.ratios += has_one;
    met.no_ratio += !has_one;
    met.negative += has_one && ppm < 0;
    if (is_exact && has_one == is_absent)
        fail_with("%s ratio: there is %d, without debt %d", what, has_one, is_absent);
    int side = has_one && !is_absent ? model_compare_i128(expected, ppm) : 0;
    if (side < 0 || (is_exact && side != 0))
        fail_with("%s ratio is %s, the model's %s", what, world_text_i128(ppm),
                  world_text(expected));
    mpz_clear(expected);
}

static void check_reading(const struct pl_ratios *ratios, bool is_exact)
{
    mpz_t collateral, debt, weighted, left;
    mpz_inits(collateral, debt, weighted, left, NULL);
    sides(&sheet, collateral, debt);
    weighted_debt(&sheet, weighted);
    model_evaluate(&sheet, PL_TIER_MAINTENANCE, &terms);
    if (model_compare_i128(collateral, ratios->collateral_vu) < 0 ||
        model_compare_i128(debt, ratios->debt_vu) > 0)
        fail_with("V+ %s V- %s are no bounds", world_text_i128(ratios->collateral_vu),
                  world_text_i128(ratios->debt_vu));
    check_ratio(&ratios->collateral, collateral, debt, is_exact, "collateral");
    mpz_sub(left, collateral, debt);
    check_ratio(&ratios->over, left, debt, is_exact, "over-collateral");
    mpz_add(left, weighted, terms.excess);
    check_ratio(&ratios->health, left, weighted, is_exact, "health");
    mpz_clears(collateral, debt, weighted, left, NULL);
}

static void check_requirements(const struct pl_verdict *verdict, const struct pl_ratios *ratios)
{
    mpz_t number;
    mpz_init(number);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        model_evaluate(&sheet, tier, &terms);
        model_equity(&sheet, number);
        mpz_mul_ui(number, number, PL_PPM);
        mpz_sub(number, number, terms.excess);
        if (model_compare_i128(number, ratios->requirement[tier]) != 0)
            fail_with("tier %d requires %s, not %s", tier,
                      world_text_i128(ratios->requirement[tier]), world_text(number));
        mpz_neg(number, terms.excess);
        if (mpz_sgn(number) < 0)
            mpz_set_ui(number, 0);
        mpz_cdiv_q_ui(number, number, PL_PPM);
        if (model_compare_i128(number, ratios->top_up_vu[tier]) != 0 ||
            ratios->shortfall[tier] != pl_max(0, -verdict->excess[tier].low))
            fail_with("tier %d: top-up %s, not %s", tier, world_text_i128(ratios->top_up_vu[tier]),
                      world_text(number));
    }
    mpz_clear(number);
}

static void check_ratios(void)
{
    struct pl_verdict verdict;
    struct pl_ratios ratios;
    pl_verdict_of(&world.market, &world.names, &world.portfolio, &verdict);
    pl_ratios_of(&world.market, &world.portfolio, &verdict, &ratios);
    model_box_fill(&box, &world.market, &world.portfolio);
    if (verdict.certainty == PL_OUT_OF_RANGE || box.is_unbounded)
        return;
    bool is_exact = !box.is_open;
    for (int i = 0; i < (is_exact ? 1 : TRIES); i++) {
        uint64_t corner = i == 0 ? 0 : i == 1 ? UINT64_MAX : test_random_u64(&world.random);
        model_sheet_corner(&sheet, &box, corner);
        check_reading(&ratios, is_exact);
    }
    if (is_exact)
        check_requirements(&verdict, &ratios);
}

static void ratios_are_those_of_the_model(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20221108).state, worlds = world_runs(1500);
    for (uint64_t w = 0; w < worlds; w++) {
        world.options = (struct world_options){.bad_marks = w % 2 ? 4 : 0};
        world_begin(&world, seed + w);
        world_mark(&world);
        for (int i = 0; i < 20; i++) {
            world_hold(&world);
            if (w % 2 == 0 && world_chance(&world, 2))
                world_level(&world, (enum pl_tier)world_below(&world, PL_TIER_COUNT),
                            world_between(&world, -3, 3));
            if (w % 2)
                world_open(&world);
            check_ratios();
        }
    }
    printf("ratios=%" PRIu64 " none=%" PRIu64 " negative=%" PRIu64 "\n", met.ratios, met.no_ratio,
           met.negative);
    assert_true(met.ratios > worlds && met.no_ratio > worlds / 10 && met.negative > worlds / 10);
}

int main(void)
{
    model_box_init(&box);
    model_sheet_init(&sheet);
    model_terms_init(&terms);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cures_are_the_least),
        cmocka_unit_test(ratios_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
