/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EWMA volatility of a mark on 5-minute bars, fast and slow (RISK 1.6). Path: aggregate to mark.
 *
 * The one place of the pure library with floating point and libm. What it yields is published as
 * whole ppm inside the mark and is an input of whatever follows, like a price: replay reads it and
 * never computes it again, so it carries no guarantee of bit-equality (G2) and needs none.
 */
#include <math.h>

#include "lib/price/price.h"

enum { BARS_PER_DAY = 24 * 60 * 60 * 1000 / PL_PRICE_BAR_MS };

/* A published estimate counts as one that has forgotten its beginning. */
enum { BARS_RIPE = 1 << 24 };

/* lambda per bar = 2^(-bar / half-life): half-lives of 1 day and of 11.2023 days (0.94 a day). */
static const double FAST_LAMBDA = 0.9975961328836203;
static const double SLOW_LAMBDA = 0.9997851779257679;

double pl_volatility_step(double variance, double lambda, double square)
{
    return lambda * variance + (1 - lambda) * square;
}

/* base^count by squaring: libm's pow is not worth another symbol. */
static double power(double base, uint64_t count)
{
    double result = 1;
    for (; count != 0; count >>= 1) {
        if (count & 1)
            result *= base;
        base *= base;
    }
    return result;
}

/* Folds `bars` bars of equal variance `square` into an estimate that rests on `seen` bars. While
 * seen / (seen + bars) is below lambda^bars the step is that of the plain mean. */
static double fold(double variance, double lambda, double square, uint64_t bars, uint64_t seen)
{
    const double forget = power(lambda, bars);
    const double mean = (double)seen / (double)(seen + bars);
    return pl_volatility_step(variance, mean < forget ? mean : forget, square);
}

void pl_volatility_update(struct pl_volatility *volatility, int64_t ticks, int64_t now_ms)
{
    const int64_t start_ms = now_ms - now_ms % PL_PRICE_BAR_MS;
    if (volatility->bar_start_ms != 0) {
        if (start_ms <= volatility->bar_start_ms)
            return;
        const uint64_t bars =
            (uint64_t)((start_ms - volatility->bar_start_ms) / PL_PRICE_BAR_MS);
        const uint64_t seen = volatility->bar_count;
        const double move = log((double)ticks / (double)volatility->bar_ticks);
        const double square = move * move / (double)bars;
        volatility->fast_variance =
            fold(volatility->fast_variance, FAST_LAMBDA, square, bars, seen);
        volatility->slow_variance =
            fold(volatility->slow_variance, SLOW_LAMBDA, square, bars, seen);
        volatility->bar_count = seen + bars < BARS_RIPE ? (uint32_t)(seen + bars) : BARS_RIPE;
    }
    volatility->bar_start_ms = start_ms;
    volatility->bar_ticks = ticks;
}

static double variance_of(uint32_t daily_ppm)
{
    const double daily = (double)daily_ppm / PL_PPM;
    return daily * daily / BARS_PER_DAY;
}

void pl_volatility_recover(struct pl_volatility *volatility, const struct pl_mark *mark)
{
    const bool is_known = mark->volatility_fast_ppm != 0 || mark->volatility_slow_ppm != 0;
    volatility->fast_variance = variance_of(mark->volatility_fast_ppm);
    volatility->slow_variance = variance_of(mark->volatility_slow_ppm);
    volatility->bar_count = is_known ? BARS_RIPE : 0;
    /* The mark stands for the start of its bar: at most one bar of movement is attributed to it. */
    volatility->bar_start_ms = mark->event_time_ms - mark->event_time_ms % PL_PRICE_BAR_MS;
    volatility->bar_ticks = mark->mantissa;
}

static uint32_t daily_ppm(double variance)
{
    /* A millionth of a ppm is noise: without it a recovered estimate would grow by one ppm. */
    const double ppm = sqrt(variance * BARS_PER_DAY) * PL_PPM - 1e-6;
    if (ppm <= 0)
        return 0;
    if (ppm >= (double)UINT32_MAX)
        return UINT32_MAX;
    const uint32_t whole = (uint32_t)ppm;
    return (double)whole < ppm ? whole + 1 : whole;
}

uint32_t pl_volatility_fast_ppm(const struct pl_volatility *volatility)
{
    return daily_ppm(volatility->fast_variance);
}

uint32_t pl_volatility_slow_ppm(const struct pl_volatility *volatility)
{
    return daily_ppm(volatility->slow_variance);
}
