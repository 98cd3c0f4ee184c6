/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the excess, on which minimal sales, bounds and the screen rest: concave in holdings,
 * homogeneous but for brackets, more collateral never hurts, stricter tiers never higher (G3, G9).
 * No model here: the library is held against itself, for every parameter set that it accepts.
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

/* 2 A(q) >= A(q + d) + A(q - d) for any d: P2. */
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
        if (2 * excess[t] < end_excess[0][t] + end_excess[1][t])
            fail_with("tier %d: midpoint %s below the mean of %s and %s", t,
                      world_text_i128(excess[t]), world_text_i128(end_excess[0][t]),
                      world_text_i128(end_excess[1][t]));
    return true;
}

/* A(k q) = k A(q) where there are no brackets: P3. */
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
        if (times_excess[t] != factor * excess[t])
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

/* ALERT <= INITIAL <= END <= MAINTENANCE <= 10^6 E: the screen looks at the lowest only (G3). */
static void check_nested(const pl_i128 excess[PL_TIER_COUNT])
{
    pl_i128 equity = world.portfolio.cash_vu;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        equity += (pl_i128)world.legs[i].lots *
                  world.market.quotes[world.legs[i].instrument].lot_vu;
    for (int t = 1; t < PL_TIER_COUNT; t++)
        if (excess[t - 1] > excess[t])
            fail_with("tier %d has %s, tier %d only %s", t - 1, world_text_i128(excess[t - 1]), t,
                      world_text_i128(excess[t]));
    if (excess[PL_TIER_MAINTENANCE] > equity * PL_PPM)
        fail_with("maintenance %s exceeds the equity %s",
                  world_text_i128(excess[PL_TIER_MAINTENANCE]), world_text_i128(equity * PL_PPM));
}

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

static void hold_and_check(uint64_t met[4])
{
    pl_i128 excess[PL_TIER_COUNT];
    world_hold(&world);
    if (!evaluate(&world.portfolio, excess))
        return;
    check_nested(excess);
    met[0] += check_concave(excess);
    if (world.options.no_brackets)
        met[1] += check_homogeneous(excess);
    met[2] += check_deposit(excess);
    met[3]++;
}

static void the_excess_has_its_shape(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20251010).state, met[4] = {0};
    uint64_t worlds = world_runs(100000) / MARKS_PER_WORLD / PORTFOLIOS_PER_MARKS;
    for (uint64_t w = 0; w < worlds; w++) {
        world.options = (struct world_options){.no_brackets = w % 2};
        world_begin(&world, seed + w);
        for (int m = 0; m < MARKS_PER_WORLD; m++) {
            world_mark(&world);
            for (int p = 0; p < PORTFOLIOS_PER_MARKS; p++)
                hold_and_check(met);
        }
    }
    printf("concave=%" PRIu64 " homogeneous=%" PRIu64 " deposits=%" PRIu64 " nested=%" PRIu64 "\n",
           met[0], met[1], met[2], met[3]);
    assert_true(met[0] > met[3] / 2 && met[1] > met[3] / 4 && met[2] > met[3] / 4);
}

/* V6 asks for proportional loads so that the tiers are nested. */
static void tiers_are_nested_for_every_accepted_set(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20220509).state, met[4] = {0}, accepted = 0;
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
    printf("accepted=%" PRIu64 " nested=%" PRIu64 "\n", accepted, met[3]);
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
