/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Risk figures against the naive model on random worlds: moved prices by rational arithmetic, excess,
 * equity and sums by the model at those prices. A distance is what it says (harmless at its step, not
 * one step further, nor at any place looked at before), each price is turned the way that hurts, and
 * tails are those of a sorted list in numbers of any size.
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

enum { MARKS_PER_WORLD = 3, PORTFOLIOS_PER_MARKS = 4, LOSSES_MAX = 200 };

static struct world world;
static struct pl_stressed stressed;
static struct pl_direction direction, turned;
static struct { uint64_t moves, kinds[5], turned[3], tails, below, debts, halts; } met;

static struct pl_outlook outlook_of(void)
{
    return (struct pl_outlook){.market = &world.market, .names = &world.names,
                               .marks = world.marks, .portfolio = &world.portfolio};
}

/* ---- prices --------------------------------------------------------------------------------- */

/* mantissa * 10^exponent * (1 + move * 10^-12) in ticks, half to even, at least 1. */
static void naive_ticks(mpz_t ticks, const struct pl_mark *mark, uint32_t decimals, int64_t move)
{
    mpz_t divisor, rest;
    mpz_inits(divisor, rest, NULL);
    mpz_set_si(ticks, 1000000000000);
    mpz_set_si(rest, move);
    mpz_add(ticks, ticks, rest);
    mpz_mul_si(ticks, ticks, mark->mantissa);
    int scale = mark->exponent + (int)decimals - 12;
    mpz_ui_pow_ui(divisor, 10, (unsigned)abs(scale));
    if (scale >= 0) {
        mpz_mul(ticks, ticks, divisor);
    } else {
        mpz_fdiv_qr(ticks, rest, ticks, divisor);
        mpz_mul_ui(rest, rest, 2);
        int side = mpz_cmp(rest, divisor);
        if (side > 0 || (side == 0 && mpz_odd_p(ticks)))
            mpz_add_ui(ticks, ticks, 1);
    }
    if (mpz_cmp_ui(ticks, 1) < 0)
        mpz_set_ui(ticks, 1);
    mpz_clears(divisor, rest, NULL);
}

static int64_t naive_move(int32_t weight, int64_t step)
{
    __extension__ __int128 move = (__int128)weight * step;
    if (move < -1000000000000)
        return -1000000000000;
    return move > PL_MOVE_E12_MAX ? PL_MOVE_E12_MAX : (int64_t)move;
}

/* Every listed quote of the stressed market is that of its price moved. */
static void check_prices(int64_t step)
{
    mpz_t ticks;
    mpz_init(ticks);
    for (uint32_t k = 0; k < world.instrument_count; k++) {
        uint32_t i = world.instruments[k];
        const struct pl_quote *quote = &stressed.market.quotes[i];
        int64_t move = naive_move(direction.weight_ppm[i], step);
        if (world.marks[i].status == PL_MARK_NONE || move == 0 || quote->ticks == 0)
            continue; /* out of range: what depends on it is not certain */
        naive_ticks(ticks, &world.marks[i], world.parameters.instruments[i].tick_decimals, move);
        if (mpz_cmp_si(ticks, quote->ticks) != 0)
            world_fail(&world, "instrument %u moved by %" PRId64 " e-12 is %s ticks, not %" PRId64,
                       i, move, world_text(ticks), quote->ticks);
        met.moves++;
    }
    mpz_clear(ticks);
}

static void draw_direction(void)
{
    memset(&direction, 0, sizeof direction);
    int shape = (int)world_below(&world, 4);
    for (uint32_t k = 0; k < world.instrument_count; k++)
        direction.weight_ppm[world.instruments[k]] =
            shape == 0   ? -PL_PPM
            : shape == 1 ? PL_PPM
            : shape == 2 ? (int32_t)world_between(&world, 0, 200000)
                         : (int32_t)world_between(&world, -PL_PPM, PL_PPM);
}

/* ---- distance ------------------------------------------------------------------------------- */

/* By the model; false where the moved world is not certain or not in range. */
static bool excess_at(const struct pl_direction *along, int64_t step, pl_i128 *excess)
{
    static struct model_box box;
    static bool is_made;
    static struct model_sheet sheet;
    struct pl_outlook outlook = outlook_of();
    if (!is_made) {
        model_box_init(&box);
        model_sheet_init(&sheet);
        is_made = true;
    }
    pl_stress(&stressed, &outlook, along, step);
    if (!pl_portfolio_is_certain(&stressed.market, &world.portfolio))
        return false;
    model_box_fill(&box, &stressed.market, &world.portfolio);
    model_sheet_corner(&sheet, &box, 0);
    if (!model_is_in_range(&sheet))
        return false;
    mpz_t number;
    mpz_init(number);
    model_excess(&stressed.market, &world.portfolio, PL_TIER_MAINTENANCE, number);
    *excess = model_get_i128(number);
    mpz_clear(number);
    return true;
}

static void check_distance(const struct pl_direction *along, int64_t step_max)
{
    struct pl_outlook outlook = outlook_of();
    struct pl_distance distance;
    pl_i128 excess = 0;
    pl_distance_of(&stressed, &outlook, along, step_max, &distance);
    met.kinds[distance.kind]++;
    bool is_known = excess_at(along, distance.step, &excess);
    if (is_known && excess != distance.excess && distance.kind != PL_DISTANCE_UNKNOWN)
        world_fail(&world, "the excess at step %" PRId64 " is %s, not %s", distance.step,
                   world_text_i128(excess), world_text_i128(distance.excess));
    if (is_known && (excess < 0) != (distance.kind == PL_DISTANCE_BELOW))
        world_fail(&world, "kind %d, but the excess at its step is %s", distance.kind,
                   world_text_i128(excess));
    if (distance.kind == PL_DISTANCE_NEVER)
        assert_true(distance.step == step_max);
    if (distance.kind == PL_DISTANCE_REACHED && excess_at(along, distance.step + 1, &excess) &&
        (excess >= 0 || excess != distance.excess_beyond))
        world_fail(&world, "one step beyond %" PRId64 " the excess is %s", distance.step,
                   world_text_i128(excess));
    for (int64_t part = 1; part < PL_DISTANCE_PARTS; part += 1 + (int64_t)world_below(&world, 16)) {
        int64_t step = step_max * part / PL_DISTANCE_PARTS;
        if (step <= distance.step && excess_at(along, step, &excess) && excess < 0)
            world_fail(&world, "step %" PRId64 " is before %" PRId64 " and below", step,
                       distance.step);
    }
}

/* Of the two ways of one price the one that is chosen leaves no more than the other. */
static void check_turned(int64_t step)
{
    struct pl_outlook outlook = outlook_of();
    turned = direction;
    pl_direction_against(&stressed, &outlook, step, &turned);
    for (uint32_t k = 0; k < world.instrument_count; k++) {
        static struct pl_direction single;
        uint32_t i = world.instruments[k];
        pl_i128 same = 0, other = 0, rest = 0;
        memset(&single, 0, sizeof single);
        if (!excess_at(&single, 0, &rest))
            return;
        single.weight_ppm[i] = turned.weight_ppm[i] ? turned.weight_ppm[i]
                                                    : direction.weight_ppm[i];
        if (!excess_at(&single, step, &same) || !excess_at(&single, -step, &other))
            continue;
        if (abs(turned.weight_ppm[i]) != abs(direction.weight_ppm[i]) && turned.weight_ppm[i])
            world_fail(&world, "the weight of instrument %u changed its size", i);
        if (turned.weight_ppm[i] ? same > other || same >= rest : same < rest || other < rest)
            world_fail(&world, "instrument %u turned to %d: %s with it, %s against it, %s at rest",
                       i, turned.weight_ppm[i], world_text_i128(same), world_text_i128(other),
                       world_text_i128(rest));
        met.turned[1 + (turned.weight_ppm[i] > 0) - (turned.weight_ppm[i] < 0)]++;
    }
}

/* ---- tail ----------------------------------------------------------------------------------- */

static int by_size(const void *left, const void *right)
{
    const pl_i128 *a = left, *b = right;
    return *a > *b ? -1 : *a < *b;
}

static void check_tail(void)
{
    static pl_i128 losses[LOSSES_MAX], sorted[LOSSES_MAX];
    uint32_t count = 1 + (uint32_t)world_below(&world, LOSSES_MAX);
    int32_t confidence = (int32_t)world_between(&world, 1, PL_PPM - 1);
    struct pl_tail tail;
    mpz_t sum, number, square;
    mpz_inits(sum, number, square, NULL);
    for (uint32_t i = 0; i < count; i++) {
        pl_i128 size = world_magnitude(&world, 62);
        losses[i] = (world_chance(&world, 2) ? -size : size) * (world_chance(&world, 3) ? 1 << 17 : 1);
        model_set_i128(number, losses[i]);
        mpz_addmul(square, number, number);
    }
    memcpy(sorted, losses, sizeof sorted);
    qsort(sorted, count, sizeof sorted[0], by_size);
    pl_tail_of(losses, count, confidence, &tail);
    assert_memory_equal(losses, sorted, count * sizeof sorted[0]);
    /* The least rank that is at least the asked part of all. */
    assert_true((int64_t)tail.rank * PL_PPM >= (int64_t)(PL_PPM - confidence) * count);
    assert_true((int64_t)(tail.rank - 1) * PL_PPM < (int64_t)(PL_PPM - confidence) * count);
    assert_true(tail.exposure_vu == sorted[tail.rank - 1]);
    for (uint32_t i = 0; i < tail.rank; i++) {
        model_set_i128(number, sorted[i]);
        mpz_add(sum, sum, number);
    }
    mpz_fdiv_q_ui(sum, sum, tail.rank);
    assert_int_equal(model_compare_i128(sum, tail.shortfall_vu), 0);
    /* The root is not below the true one, nor above it by more than 2^-40 of it. */
    mpz_t low;
    mpz_init(low);
    model_set_i128(number, tail.deviation_vu);
    model_set_i128(low, tail.deviation_vu - tail.deviation_vu / ((pl_i128)1 << 40) - 2);
    mpz_mul(number, number, number);
    mpz_mul_ui(number, number, count);
    assert_true(mpz_cmp(number, square) >= 0);
    if (mpz_sgn(low) > 0) {
        mpz_mul(low, low, low);
        mpz_mul_ui(low, low, count);
        assert_true(mpz_cmp(low, square) < 0);
    }
    mpz_clears(sum, number, square, low, NULL);
    met.tails++;
}

/* ---- sums ----------------------------------------------------------------------------------- */

/* One account at the world's prices. */
static void check_sums(void)
{
    static const struct pl_direction nowhere;
    struct pl_stress_sum sum = {0};
    struct pl_sale sale;
    pl_i128 excess = 0, sold = 0;
    if (!excess_at(&nowhere, 0, &excess))
        return;
    pl_stress_add(&sum, &world.market, &world.names, &world.portfolio);
    assert_int_equal(sum.account_count, 1);
    assert_int_equal(sum.uncertain_count + sum.out_of_range_count, 0);
    assert_int_equal(sum.below_count, excess < 0);
    assert_true(sum.lacking == (excess < 0 ? -excess : 0));
    pl_plan_sale(&world.market, &world.names, &world.portfolio, &sale);
    for (uint32_t i = 0; excess < 0 && i < sale.leg_count; i++)
        sold += (pl_i128)sale.legs[i].lots * world.market.quotes[sale.legs[i].instrument].lot_vu;
    assert_true(sum.sold_vu == sold);
    pl_i128 equity = world.portfolio.cash_vu;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        equity += (pl_i128)world.legs[i].lots * world.market.quotes[world.legs[i].instrument].lot_vu;
    assert_int_equal(sum.debt_count, equity < 0);
    assert_true(sum.debt_vu == (equity < 0 ? -equity : 0));
    met.below += sum.below_count;
    met.debts += sum.debt_count;
}

/* Halts the chain of some instrument, now and then. */
static void halt_a_chain(void)
{
    uint32_t i = world.instruments[world_below(&world, world.instrument_count)];
    const struct pl_id *chain = &world.parameters.instruments[i].chain;
    if (pl_id_is_none(chain) || world_chance(&world, 2))
        return;
    world.halts[0] = (struct pl_chain_halt){.chain = *chain, .since_ms = world.now_ms - 1000};
    world.market.halts = world.halts;
    world.market.halt_count = 1;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
    met.halts += world.market.quotes[i].is_stuck;
}

/* Without a move everything is as it is, halts too. */
static void check_rest(void)
{
    struct pl_outlook outlook = outlook_of();
    pl_stress(&stressed, &outlook, &direction, 0);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        pl_i128 still = 0, present = 0;
        if (pl_evaluate(&world.market, &world.portfolio, tier, &present) &&
            (!pl_evaluate(&stressed.market, &world.portfolio, tier, &still) || still != present))
            world_fail(&world, "tier %d at rest: %s, as it is: %s", tier, world_text_i128(still),
                       world_text_i128(present));
    }
}

static void check_portfolio(void)
{
    struct pl_outlook outlook = outlook_of();
    int64_t step = world_between(&world, -PL_PPM, 3 * PL_PPM);
    world_hold(&world);
    if (world_chance(&world, 2)) /* near the line, where figures matter */
        world_level(&world, PL_TIER_MAINTENANCE, -(pl_i128)world_magnitude(&world, 50));
    draw_direction();
    check_rest();
    pl_stress(&stressed, &outlook, &direction, step);
    check_prices(step);
    check_distance(&direction, world_chance(&world, 2) ? PL_PPM : 100 * PL_PPM);
    check_turned(10000);
    check_distance(&turned, PL_PPM);
    check_tail();
    check_sums();
}

static void figures_are_those_of_the_model(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20260105).state;
    uint64_t worlds = world_runs(1500) / MARKS_PER_WORLD;
    for (uint64_t w = 0; w < worlds; w++) {
        world.options = (struct world_options){.instrument_count_max = 12};
        world_begin(&world, seed + w);
        memset(&stressed, 0, sizeof stressed); /* another set */
        for (int m = 0; m < MARKS_PER_WORLD; m++) {
            world_mark(&world);
            halt_a_chain();
            for (int p = 0; p < PORTFOLIOS_PER_MARKS; p++)
                check_portfolio();
        }
    }
    printf("moves=%" PRIu64 " reached=%" PRIu64 " below=%" PRIu64 " never=%" PRIu64
           " unknown=%" PRIu64 " turned=%" PRIu64 "/%" PRIu64 "/%" PRIu64 " tails=%" PRIu64
           " under=%" PRIu64 " debts=%" PRIu64 "\n", met.moves, met.kinds[PL_DISTANCE_REACHED],
           met.kinds[PL_DISTANCE_BELOW], met.kinds[PL_DISTANCE_NEVER],
           met.kinds[PL_DISTANCE_UNKNOWN], met.turned[0], met.turned[1], met.turned[2], met.tails,
           met.below, met.debts);
    for (int kind = PL_DISTANCE_REACHED; kind <= PL_DISTANCE_NEVER; kind++)
        assert_true(met.kinds[kind] > 0);
    assert_true(met.moves > 0 && met.turned[0] > 0 && met.turned[2] > 0);
    assert_true(met.below > 0 && met.halts > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
