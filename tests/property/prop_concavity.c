/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the excess, on which minimal sales, bounds and the screen rest: concave in holdings,
 * homogeneous but for brackets, more collateral never hurts, stricter tiers never higher (G3, G9); and by
 * how much a price can move it. Options and factors together, too: a group's finished charge is rounded up
 * to VU ppm once, and by so much may laws about several excesses be off, a unit a group. The library is
 * held against itself, for every parameter set that it accepts; the model says only which haircuts count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/world.h"

enum { MARKS_PER_WORLD = 10, PORTFOLIOS_PER_MARKS = 20 };

static struct world world;

#define fail_with(...) world_fail(&world, __VA_ARGS__)

static bool evaluate(const struct pl_portfolio *portfolio, pl_i128 excess[PL_TIER_COUNT])
{
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (!pl_evaluate(&world.market, portfolio, (enum pl_tier)t, &excess[t]))
            return false;
    return true;
}

/* The holding `portfolio + factor * step`, leg by leg; false when lots leave their range. */
static bool shift(const struct pl_portfolio *step, int64_t factor, struct pl_leg *legs,
                  struct pl_portfolio *shifted)
{
    *shifted = world.portfolio;
    shifted->legs = legs;
    for (uint32_t i = 0; i < shifted->leg_count; i++) {
        legs[i] = world.portfolio.legs[i];
        int64_t change = 0;
        if (__builtin_mul_overflow(step->legs[i].lots, factor, &change) ||
            __builtin_add_overflow(legs[i].lots, change, &legs[i].lots))
            return false;
        legs[i].final_lots = legs[i].lots;
    }
    shifted->cash_vu += step->cash_vu * factor;
    shifted->final_cash_vu = shifted->cash_vu;
    return true;
}

/* 2 A(q) >= A(q + d) + A(q - d) for any d: P2. Twice a charge that is rounded up is at most 1 above the
 * sum of two that are. */
static bool check_concave(const pl_i128 excess[PL_TIER_COUNT])
{
    static struct pl_leg steps[PL_LEGS_MAX], legs[2][PL_LEGS_MAX];
    struct pl_portfolio step = {.legs = steps}, ends[2];
    pl_i128 end_excess[2][PL_TIER_COUNT];
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        int64_t lots = world.legs[i].lots;
        int64_t size = lots < 0 ? -lots : lots;
        /* Often through zero, where the terms have their kinks. */
        int64_t reach = size < INT64_MAX / 4 ? size * 2 + 1 : size / 2;
        steps[i].lots = world_chance(&world, 3) ? 0 : world_between(&world, -reach, reach);
        if (world_chance(&world, 4))
            steps[i].lots = lots;
    }
    step.cash_vu = world_between(&world, -INT64_MAX, INT64_MAX);
    if (!shift(&step, 1, legs[0], &ends[0]) || !shift(&step, -1, legs[1], &ends[1]) ||
        !evaluate(&ends[0], end_excess[0]) || !evaluate(&ends[1], end_excess[1]))
        return false;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (2 * excess[t] + world.parameters.group_count < end_excess[0][t] + end_excess[1][t])
            fail_with("tier %d: midpoint %s below the mean of %s and %s", t,
                      world_text_i128(excess[t]), world_text_i128(end_excess[0][t]),
                      world_text_i128(end_excess[1][t]));
    return true;
}

/* A(k q) = k A(q) where there are no brackets: P3. k times a charge that was rounded up is by less than k
 * above the charge on k times as much. */
static bool check_homogeneous(const pl_i128 excess[PL_TIER_COUNT])
{
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio times;
    pl_i128 times_excess[PL_TIER_COUNT];
    int64_t factor = world_between(&world, 2, 1000);
    struct pl_portfolio step = world.portfolio;
    if (!shift(&step, factor - 1, legs, &times) || !evaluate(&times, times_excess))
        return false;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (times_excess[t] < factor * excess[t] ||
            times_excess[t] > factor * excess[t] + (factor - 1) * world.parameters.group_count)
            fail_with("tier %d: %" PRId64 " times the portfolio has %s, once it has %s", t, factor,
                      world_text_i128(times_excess[t]), world_text_i128(excess[t]));
    return true;
}

/* More of a spot asset never lowers the excess: P4. At the tiers that charge the price interval
 * this is a rule about the coefficients and the interval together, so there it must be empty. */
static bool check_deposit(const pl_i128 excess[PL_TIER_COUNT])
{
    static struct pl_leg legs[PL_LEGS_MAX];
    if (!world.portfolio.leg_count)
        return false;
    uint32_t chosen = (uint32_t)world_below(&world, world.portfolio.leg_count);
    const struct pl_leg *leg = &world.legs[chosen];
    const struct pl_quote *quote = &world.market.quotes[leg->instrument];
    if (world.parameters.instruments[leg->instrument].kind != PL_INSTRUMENT_SPOT)
        return false;
    memcpy(legs, world.legs, sizeof legs);
    struct pl_portfolio more = world.portfolio;
    pl_i128 more_excess[PL_TIER_COUNT];
    more.legs = legs;
    int64_t deposit = world_magnitude(&world, 40);
    if (__builtin_add_overflow(legs[chosen].lots, deposit, &legs[chosen].lots))
        return false;
    legs[chosen].final_lots = legs[chosen].lots;
    if (!evaluate(&more, more_excess))
        return false;
    bool has_interval = quote->low_lot_vu != quote->lot_vu || quote->high_lot_vu != quote->lot_vu;
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        bool charges_interval = t == PL_TIER_ALERT || t == PL_TIER_INITIAL;
        if (more_excess[t] < excess[t] && !(has_interval && charges_interval))
            fail_with("tier %d: %" PRId64 " more of instrument %u: %s, before %s", t, deposit,
                      leg->instrument, world_text_i128(more_excess[t]), world_text_i128(excess[t]));
    }
    return true;
}

static pl_i128 value_of(const struct pl_leg *leg, const struct pl_quote *quote)
{
    return (pl_i128)leg->lots * (leg->lots < 0 ? quote->short_lot_vu : quote->lot_vu);
}

/* ALERT <= INITIAL <= END <= MAINTENANCE <= 10^6 E: the screen looks at the lowest only (G3). */
static void check_nested(const pl_i128 excess[PL_TIER_COUNT])
{
    pl_i128 equity = world.portfolio.cash_vu;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        equity += value_of(&world.legs[i], &world.market.quotes[world.legs[i].instrument]);
    for (int t = 1; t < PL_TIER_COUNT; t++)
        if (excess[t - 1] > excess[t])
            fail_with("tier %d has %s, tier %d only %s", t - 1, world_text_i128(excess[t - 1]), t,
                      world_text_i128(excess[t]));
    if (excess[PL_TIER_MAINTENANCE] > equity * PL_PPM)
        fail_with("maintenance %s exceeds the equity %s",
                  world_text_i128(excess[PL_TIER_MAINTENANCE]), world_text_i128(equity * PL_PPM));
}

/* ---- prices ------------------------------------------------------------------------------------- */

/* Between which two numbers a change lies. */
struct reach { pl_i128 low, high; };

static void widen(struct reach *reach, pl_i128 change, int64_t slope_low, int64_t slope_high)
{
    reach->low += change * (change < 0 ? slope_high : slope_low);
    reach->high += change * (change < 0 ? slope_low : slope_high);
}

/* What a leg's value can move the excess by, ppm of the move: its own weight is certain; factors go either
 * way, as do scenarios; brackets and the largest loss take up to their whole from what is owned, and
 * brackets from what is owed. */
static void reach_of_leg(struct reach *reach, const struct pl_leg *leg, enum pl_tier tier, pl_i128 change)
{
    struct pl_instrument rules = world.parameters.instruments[leg->instrument];
    const bool charges_doubt = tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL, is_short = leg->lots < 0;
    int64_t halt[PL_TIER_COUNT], either = 0, top = 0, loss = 0;
    model_apply_mode(&world.portfolio, &world.parameters, leg->instrument, true, &rules);
    (void)model_halt(&world.market, &rules, halt);
    for (uint32_t k = 0; k < rules.load_count; k++)
        either += labs(rules.loads[k].load.at[tier]);
    if (rules.has_scenarios)
        either += model_scenario_load(&world.parameters, tier);
    if (rules.bracket_count > 0)
        top = rules.brackets[rules.bracket_count - 1].rate.at[tier];
    for (uint32_t k = 0; k < rules.loss_count && !is_short; k++)
        loss = rules.losses[k].loss.at[tier] > loss ? rules.losses[k].loss.at[tier] : loss;
    int64_t own = is_short ? rules.haircut_short.at[tier] : rules.haircut_long.at[tier] + halt[tier];
    own += charges_doubt ? rules.confidence_ppm : 0;
    if (is_short)
        widen(reach, change, PL_PPM + own - either, PL_PPM + own + either + top);
    else
        widen(reach, change, PL_PPM - own - either - top - loss, PL_PPM - own + either);
}

/* An option counts with its value now, and in a group by what it gains in the worst scenario, or by the
 * underlying value of what is owed. */
static void reach_of_option(struct reach *reach, const struct pl_leg *leg, enum pl_tier tier,
                            const struct pl_option_values *before, const struct pl_option_values *after)
{
    const struct pl_parameters *set = &world.parameters;
    const bool is_short = leg->lots < 0;
    const int64_t *was = is_short ? before->high : before->low, *is = is_short ? after->high : after->low;
    const pl_i128 now = (pl_i128)leg->lots * is[0] - (pl_i128)leg->lots * was[0];
    pl_i128 most = 0;
    for (uint32_t s = 0; s < set->scenario_count; s++) {
        const pl_i128 then = (pl_i128)leg->lots * is[1 + s] - (pl_i128)leg->lots * was[1 + s];
        most = pl_max(most, pl_abs(then - now) * set->scenarios[s].weight.at[tier]);
    }
    if (is_short)
        most += pl_abs((pl_i128)leg->lots * (after->notional_lot_vu - before->notional_lot_vu)) *
                set->short_minimum.at[tier];
    reach->low += now * PL_PPM - most;
    reach->high += now * PL_PPM + most;
}

/* What is charged for a price's interval, beside everything else. */
static pl_i128 interval_charge(const struct pl_leg *leg, const struct pl_quote *quote)
{
    const int64_t far = leg->lots < 0 ? quote->high_lot_vu : quote->low_lot_vu;
    return world.parameters.instruments[leg->instrument].kind == PL_INSTRUMENT_OPTION
               ? 0
               : (pl_i128)leg->lots * (quote->lot_vu - far) * PL_PPM;
}

static void move_price(uint32_t instrument)
{
    struct pl_mark *mark = &world.marks[instrument];
    const int64_t room = INT64_MAX / 16, size = mark->mantissa;
    const int64_t step = world_chance(&world, 2) ? size / 50 + 1 : size < room ? size * 4 : size / 2;
    mark->mantissa = world_between(&world, size > step ? size - step : 1, size + step);
    mark->low_mantissa = world_between(&world, mark->mantissa - mark->mantissa / 100, mark->mantissa);
    mark->high_mantissa = world_between(&world, mark->mantissa, mark->mantissa + mark->mantissa / 100);
    mark->tick++;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
}

/* One price moves the excess by no more than its legs' coefficients times what it moves them by: P5. The
 * price is then as it was. */
static bool check_lipschitz(const pl_i128 excess[PL_TIER_COUNT])
{
    static struct pl_quote quotes[PL_LEGS_MAX];
    static struct pl_option_values values[PL_LEGS_MAX];
    if (!world.portfolio.leg_count)
        return false;
    const uint32_t moved = world.legs[world_below(&world, world.portfolio.leg_count)].instrument;
    const struct pl_mark mark = world.marks[moved];
    if (world.parameters.instruments[moved].kind == PL_INSTRUMENT_OPTION)
        return false;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        const struct pl_instrument *rules = &world.parameters.instruments[world.legs[i].instrument];
        quotes[i] = world.market.quotes[world.legs[i].instrument];
        if (rules->kind == PL_INSTRUMENT_OPTION)
            values[i] = world.market.options[rules->option_slot];
    }
    move_price(moved);
    pl_i128 after[PL_TIER_COUNT];
    const bool is_exact = pl_portfolio_is_certain(&world.market, &world.portfolio) &&
                          evaluate(&world.portfolio, after);
    for (int t = 0; t < PL_TIER_COUNT && is_exact; t++) {
        struct reach reach = {-(pl_i128)world.parameters.group_count, world.parameters.group_count};
        for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
            const struct pl_leg *leg = &world.legs[i];
            const struct pl_instrument *rules = &world.parameters.instruments[leg->instrument];
            const struct pl_quote *was = &quotes[i], *is = &world.market.quotes[leg->instrument];
            if (rules->kind == PL_INSTRUMENT_OPTION && rules->option.underlying == moved)
                reach_of_option(&reach, leg, (enum pl_tier)t, &values[i],
                                &world.market.options[rules->option_slot]);
            if (leg->instrument != moved)
                continue;
            reach_of_leg(&reach, leg, (enum pl_tier)t, value_of(leg, is) - value_of(leg, was));
            if (t == PL_TIER_ALERT || t == PL_TIER_INITIAL) {
                reach.low -= interval_charge(leg, is) - interval_charge(leg, was);
                reach.high -= interval_charge(leg, is) - interval_charge(leg, was);
            }
        }
        if (after[t] - excess[t] < reach.low || after[t] - excess[t] > reach.high)
            fail_with("tier %d: price of %u moved the excess by %s, not within %s and %s", t, moved,
                      world_text_i128(after[t] - excess[t]), world_text_i128(reach.low),
                      world_text_i128(reach.high));
    }
    world.marks[moved] = mark;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
    return is_exact;
}

/* ------------------------------------------------------------------------------------------------ */

/* Loads that the generator of valid sets does not make: zero at maintenance, others at will. The
 * library may refuse the set, but what it accepts must be nested. */
static bool begin_with_odd_loads(uint64_t seed)
{
    world_fill_parameters(&world, seed);
    if (!world.parameters.factor_count)
        return false;
    for (uint32_t i = 0; i < world.instrument_count; i++) {
        struct pl_instrument *rules = &world.parameters.instruments[world.instruments[i]];
        memset(&rules->haircut_long, 0, sizeof rules->haircut_long);
        memset(&rules->haircut_short, 0, sizeof rules->haircut_short);
        rules->bracket_count = rules->loss_count = 0;
        rules->confidence_ppm = 0;
        rules->load_count = 1;
        rules->loads[0].factor = 0;
        int32_t load = 0, unit = world_chance(&world, 2) ? 1 : -1;
        for (int t = PL_TIER_MAINTENANCE; t >= PL_TIER_ALERT; t--) {
            load += (int32_t)world_below(&world, 2) * 1000;
            rules->loads[0].load.at[t] = load * unit;
        }
    }
    return pl_parameters_finish(&world.parameters, &world.names) == PL_OK;
}

/* Options in the account, and legs of them or others that load on factors. */
static bool has_both(void)
{
    bool has_options = false, has_factors = false;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        const struct pl_instrument *rules = &world.parameters.instruments[world.legs[i].instrument];
        has_options |= rules->kind == PL_INSTRUMENT_OPTION;
        has_factors |= rules->load_count > 0;
    }
    return has_options && has_factors;
}

enum { CONCAVE, HOMOGENEOUS, DEPOSITS, NESTED, PRICES, WITH_BOTH, MET_COUNT };

static void hold_and_check(uint64_t met[MET_COUNT])
{
    pl_i128 excess[PL_TIER_COUNT];
    world_hold(&world);
    if (!evaluate(&world.portfolio, excess))
        return;
    check_nested(excess);
    met[CONCAVE] += check_concave(excess);
    if (world.options.no_brackets)
        met[HOMOGENEOUS] += check_homogeneous(excess);
    met[DEPOSITS] += check_deposit(excess);
    met[PRICES] += check_lipschitz(excess);
    met[NESTED]++;
    met[WITH_BOTH] += has_both();
}

static void the_excess_has_its_shape(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20251010).state, met[MET_COUNT] = {0};
    uint64_t worlds = world_runs(100000) / MARKS_PER_WORLD / PORTFOLIOS_PER_MARKS;
    for (uint64_t w = 0; w < worlds; w++) {
        world.options = (struct world_options){.no_brackets = w % 2, .has_options = w / 2 % 2};
        world_begin(&world, seed + w);
        for (int m = 0; m < MARKS_PER_WORLD; m++) {
            world_mark(&world);
            for (int p = 0; p < PORTFOLIOS_PER_MARKS; p++)
                hold_and_check(met);
        }
    }
    printf("concave=%" PRIu64 " homogeneous=%" PRIu64 " deposits=%" PRIu64 " nested=%" PRIu64
           " prices=%" PRIu64 " options and factors=%" PRIu64 "\n",
           met[CONCAVE], met[HOMOGENEOUS], met[DEPOSITS], met[NESTED], met[PRICES], met[WITH_BOTH]);
    assert_true(met[CONCAVE] > met[NESTED] / 2 && met[HOMOGENEOUS] > met[NESTED] / 4 &&
                met[DEPOSITS] > met[NESTED] / 4 && met[PRICES] > met[NESTED] / 4 &&
                met[WITH_BOTH] > met[NESTED] / 16);
}

/* V6 asks for proportional loads so that the tiers are nested. */
static void tiers_are_nested_for_every_accepted_set(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20220509).state, met[MET_COUNT] = {0}, accepted = 0;
    uint64_t worlds = world_runs(4000);
    for (uint64_t w = 0; w < worlds; w++) {
        world.options = (struct world_options){.instrument_count_max = 3};
        if (!begin_with_odd_loads(seed + w))
            continue;
        accepted++;
        world_mark(&world);
        for (int p = 0; p < 10; p++)
            hold_and_check(met);
    }
    printf("accepted=%" PRIu64 " nested=%" PRIu64 "\n", accepted, met[NESTED]);
    assert_true(accepted > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_excess_has_its_shape),
        cmocka_unit_test(tiers_are_nested_for_every_accepted_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
