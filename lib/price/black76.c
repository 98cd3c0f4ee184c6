/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Black's formula of 1976 and the shocks to its volatility (RISK 1.4). Path: upstream of grids.
 *
 * Floating point and libm, as in volatility.c: what comes of it is published as integers that
 * enclose the true value, and no decision computes it anew (G2).
 */
#include <math.h>

#include "lib/price/option.h"

static const double SQRT_HALF = 0.70710678118654752440;
static const double INV_SQRT_2PI = 0.39894228040143267794;

/* By erfc: exact to the last digits in both tails, where 1 - N(x) would be noise. */
static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * SQRT_HALF);
}

static struct pl_black76_value intrinsic(const struct pl_black76 *option, double discount)
{
    const bool is_call = option->type == PL_OPTION_CALL;
    const double above = option->forward - option->strike;
    if ((above >= 0) != is_call)
        return (struct pl_black76_value){0};
    return (struct pl_black76_value){
        .price = discount * (is_call ? above : -above),
        .delta = is_call ? discount : -discount,
    };
}

struct pl_black76_value pl_black76(const struct pl_black76 *option)
{
    const double discount = exp(-option->rate * option->years);
    const double root = sqrt(option->years);
    const double deviation = option->volatility * root;
    if (deviation <= 0)
        return intrinsic(option, discount);
    const double sign = option->type == PL_OPTION_CALL ? 1 : -1;
    const double d1 = log(option->forward / option->strike) / deviation + deviation / 2;
    const double d2 = d1 - deviation;
    const double in_forward = normal_cdf(sign * d1);
    const double in_strike = normal_cdf(sign * d2);
    const double density = discount * INV_SQRT_2PI * exp(-d1 * d1 / 2);
    const double price =
        discount * sign * (option->forward * in_forward - option->strike * in_strike);
    return (struct pl_black76_value){
        .price = price > 0 ? price : 0, /* deep out of the money it may be noise */
        .delta = discount * sign * in_forward,
        .gamma = density / (option->forward * deviation),
        .vega = option->forward * density * root,
    };
}

static double shock_factor(const struct pl_volatility_shock *shock, double days)
{
    const double power = days < 30 ? shock->power_short : shock->power_long;
    return pow(30 / (days > shock->days_floor ? days : shock->days_floor), power);
}

double pl_volatility_up(const struct pl_volatility_shock *shock, double volatility, double days)
{
    const double up = volatility * (1 + shock->up * shock_factor(shock, days));
    return up > shock->floor ? up : shock->floor;
}

double pl_volatility_down(const struct pl_volatility_shock *shock, double volatility, double days)
{
    const double down = volatility * (1 - shock->down * shock_factor(shock, days));
    return down > 0 ? down : 0;
}
