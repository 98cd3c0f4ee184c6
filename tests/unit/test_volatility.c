/* SPDX-License-Identifier: Apache-2.0 */
/* lib/price/volatility.c: the EWMA's published examples, bars, gaps, warm-up and recovery. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/price/price.h"

enum { BAR = PL_PRICE_BAR_MS, DAY = 24 * 60 * 60 * 1000 };

static void assert_near(double value, double expect, double tolerance)
{
    if (fabs(value - expect) > tolerance)
        fail_msg("%.12f is not %.12f", value, expect);
}

/* Hull's example: lambda 0.90, volatility 1 %, a move of 2 %. */
static void step_hull(void **state)
{
    (void)state;
    const double variance = pl_volatility_step(0.0001, 0.90, 0.02 * 0.02);
    assert_near(variance, 0.00013, 1e-15);
    assert_near(sqrt(variance), 0.0114018, 5e-8);
    /* His covariance example: lambda 0.95, 1 % and 2 % with a correlation of 0.6, moves of 0.5 % and 2.5
     * %. A covariance takes the product of the moves where a variance takes a square. */
    const double first = sqrt(pl_volatility_step(0.0001, 0.95, 0.005 * 0.005));
    const double second = sqrt(pl_volatility_step(0.0004, 0.95, 0.025 * 0.025));
    const double covariance = pl_volatility_step(0.6 * 0.01 * 0.02, 0.95, 0.005 * 0.025);
    assert_near(first, 0.00981071, 5e-9);
    assert_near(second, 0.02027930, 5e-9);
    assert_near(covariance, 0.00012025, 1e-15);
    assert_near(covariance / (first * second), 0.604410, 5e-7);
}

/* Ten returns from 2 %, lambda 0.94: the series that another implementation gives. */
static void step_series(void **state)
{
    (void)state;
    static const struct { double move, expect; } rows[] = {
        {.010, .019544820286}, {-.020, .019572429589}, {.030, .020349329227},
        {-.015, .020068619484}, {.005, .019495756429}, {-.040, .021290360438},
        {.025, .021530970269}, {.000, .020875050177}, {.012, .020451446323},
        {-.006, .019882805569},
    };
    double variance = 0.02 * 0.02;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        variance = pl_volatility_step(variance, 0.94, rows[i].move * rows[i].move);
        assert_near(sqrt(variance), rows[i].expect, 1e-12);
    }
}

/* The fast estimate loses half of its past in a day of quiet bars, the slow one 6 %. */
static void update_half_life(void **state)
{
    (void)state;
    struct pl_volatility volatility = {
        .bar_start_ms = DAY, .bar_ticks = 1000, .bar_count = 1 << 24,
        .fast_variance = 4e-6, .slow_variance = 4e-6,
    };
    for (int64_t now_ms = DAY; now_ms <= 2 * (int64_t)DAY; now_ms += BAR / 3)
        pl_volatility_update(&volatility, 1000, now_ms);
    assert_near(volatility.fast_variance, 2e-6, 1e-12);
    assert_near(volatility.slow_variance, 0.94 * 4e-6, 1e-12);
}

/* The first mark of a bar counts, later ones of the same bar do not, nor does a clock going
 * back. */
static void update_once_a_bar(void **state)
{
    (void)state;
    struct pl_volatility volatility = {0};
    pl_volatility_update(&volatility, 1000, DAY + 7);
    assert_int_equal(pl_volatility_fast_ppm(&volatility), 0);
    pl_volatility_update(&volatility, 5000, DAY + BAR - 1);
    pl_volatility_update(&volatility, 9000, DAY - BAR);
    assert_int_equal(volatility.bar_count, 0);
    pl_volatility_update(&volatility, 1010, DAY + BAR);
    assert_int_equal(volatility.bar_count, 1);
    const double move = log(1.01);
    assert_near(volatility.fast_variance, move * move, 1e-15);
    assert_near(volatility.slow_variance, move * move, 1e-15);
    /* 1 % in five minutes is sqrt(288) times as much a day, in ppm and rounded up. */
    assert_int_equal(pl_volatility_fast_ppm(&volatility), (uint32_t)ceil(move * sqrt(288) * 1e6));
}

/* A move over a gap of n bars leaves the same estimate as n bars of equal variance. */
static void update_gap(void **state)
{
    (void)state;
    const struct pl_volatility ripe = {
        .bar_start_ms = DAY, .bar_ticks = 1000, .bar_count = 1 << 24,
        .fast_variance = 1e-6, .slow_variance = 2e-6,
    };
    struct pl_volatility gap = ripe;
    pl_volatility_update(&gap, 1331, DAY + 3 * (int64_t)BAR);
    const double square = pow(log(1.331), 2) / 3;
    double fast = 1e-6, slow = 2e-6;
    for (int bar = 0; bar < 3; bar++) {
        fast = pl_volatility_step(fast, pow(2, -5.0 / 1440), square);
        slow = pl_volatility_step(slow, pow(0.94, 1.0 / 288), square);
    }
    assert_near(gap.fast_variance, fast, 1e-12);
    assert_near(gap.slow_variance, slow, 1e-12);
}

/* Before it has enough bars the estimate is the plain mean of what it saw. */
static void update_warm_up(void **state)
{
    (void)state;
    struct pl_volatility volatility = {0};
    static const int64_t ticks[] = {1000, 1020, 1000, 1000, 1050};
    double sum = 0;
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        pl_volatility_update(&volatility, ticks[i], DAY + (int64_t)i * BAR);
        if (i > 0)
            sum += pow(log((double)ticks[i] / (double)ticks[i - 1]), 2);
    }
    assert_near(volatility.slow_variance, sum / 4, 1e-15);
}

/* What a mark published is what a successor publishes; it does not creep by rounding up again. */
static void recover_round_trip(void **state)
{
    (void)state;
    static const uint32_t rows[] = {1, 999, 20000, 41234, 1234567, 40000000};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pl_mark mark = {.status = PL_MARK_LIVE, .mantissa = 1000, .tick = 1,
                                     .event_time_ms = DAY + 1,
                                     .volatility_fast_ppm = rows[i],
                                     .volatility_slow_ppm = rows[i] + 1};
        struct pl_volatility volatility = {0};
        pl_volatility_recover(&volatility, &mark);
        assert_int_equal(pl_volatility_fast_ppm(&volatility), rows[i]);
        assert_int_equal(pl_volatility_slow_ppm(&volatility), rows[i] + 1);
        assert_int_equal(volatility.bar_start_ms, DAY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_hull),
        cmocka_unit_test(step_series),
        cmocka_unit_test(update_half_life),
        cmocka_unit_test(update_once_a_bar),
        cmocka_unit_test(update_gap),
        cmocka_unit_test(update_warm_up),
        cmocka_unit_test(recover_round_trip),
    };
    return cmocka_run_group_tests_name("volatility", tests, NULL, NULL);
}
