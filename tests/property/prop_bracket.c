/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The integer arrays of an option enclose its value: interpolated low is never above, interpolated
 * high never below, at any price, inside the grid and outside, long and short, rounding included.
 * The value is computed here, in long double (64 bits of mantissa) and written from the formula; it
 * errs by 10^-19 of forward and strike where the arrays allow 10^-14.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/price/option.h"
#include "tests/support/random.h"

static struct test_random seeded;

static double uniform(double low, double high)
{
    return low + (high - low) * ((double)(test_random_u64(&seeded) >> 11) * 0x1p-53);
}

static uint64_t below(uint64_t bound) { return test_random_below(&seeded, bound); }

static long double normal(long double x) { return erfcl(-x / sqrtl(2)) / 2; }

/* Of one lot in VU, at a price in ticks. */
static long double value_vu(const struct pl_bracket_terms *terms, int64_t ticks)
{
    const long double tick = powl(10, -(long double)terms->tick_decimals);
    const long double lot = powl(10, 12 - (long double)terms->lot_decimals);
    const long double forward = (ticks * (long double)terms->forward_ratio + terms->fixed_ticks) * tick;
    const long double strike = terms->strike_ticks * tick;
    const long double discount = expl(-(long double)terms->rate * terms->years);
    const long double deviation = terms->volatility * sqrtl(terms->years);
    const int sign = terms->type == PL_OPTION_CALL ? 1 : -1;
    if (deviation == 0 || forward == 0)
        return discount * lot * fmaxl(0, sign * (forward - strike));
    const long double d1 = logl(forward / strike) / deviation + deviation / 2;
    const long double d2 = d1 - deviation;
    /* Never below 0; where both products all but vanish their difference may be, by noise. */
    return discount * lot *
           fmaxl(0, sign * (forward * normal(sign * d1) - strike * normal(sign * d2)));
}

struct bracket {
    struct pl_grid grid;
    struct pl_bracket_terms terms;
    int64_t low[PL_GRID_NODES_MAX], high[PL_GRID_NODES_MAX];
};

/* Ordinary options, and ones about to expire, without volatility, far from the money, in coarse
 * ticks and in lots that are worth a few VU. */
static void make(struct bracket *bracket, int64_t *price)
{
    struct pl_bracket_terms *terms = &bracket->terms;
    terms->type = below(2) ? PL_OPTION_CALL : PL_OPTION_PUT;
    terms->tick_decimals = (uint32_t)below(7);
    terms->lot_decimals = (uint32_t)below(PL_DECIMALS_MAX + 1 - terms->tick_decimals);
    *price = (int64_t)(1 + below(UINT64_C(1) << (4 + below(20))));
    const double strike = (double)*price * (below(4) ? uniform(.7, 1.4) : uniform(.01, 12));
    terms->strike_ticks = strike < 1 ? 1 : (int64_t)strike;
    terms->forward_ratio = below(3) ? uniform(.95, 1.05) : below(2) ? uniform(.2, 5) : 1;
    terms->volatility = below(8) ? uniform(.02, 2.5) : 0;
    terms->years = below(8) ? pow(10, uniform(-5, .5)) : 0;
    terms->rate = below(3) ? uniform(-.05, .2) : 0;
    terms->fixed_ticks = 0;
    if (below(3) == 0) { /* inside an averaging window, at times at its very end */
        const double passed = below(4) ? uniform(0, 1) : 1 - pow(10, uniform(-8, -1));
        terms->fixed_ticks = (double)*price * uniform(.8, 1.2) * passed;
        terms->forward_ratio *= 1 - passed;
    }
    if (terms->fixed_ticks <= 0 && terms->forward_ratio < 1e-3)
        terms->forward_ratio = 1;
    bracket->grid = pl_grid_around(*price);
}

static void fail_at(const struct bracket *bracket, int64_t ticks, int64_t lots)
{
    const struct pl_bracket_terms *terms = &bracket->terms;
    fail_msg("%s strike %" PRId64 " decimals %u/%u ratio %.17g fixed %.17g volatility %.17g years %.17g rate "
             "%.17g: not enclosed at %" PRId64 " for %" PRId64 " lots",
             terms->type == PL_OPTION_CALL ? "call" : "put", terms->strike_ticks,
             terms->tick_decimals, terms->lot_decimals, terms->forward_ratio, terms->fixed_ticks,
             terms->volatility,
             terms->years, terms->rate, ticks, lots);
}

static void check(const struct bracket *bracket, int64_t ticks, int64_t lots)
{
    const struct pl_grid_place place = pl_grid_place(&bracket->grid, ticks);
    const int64_t *side = lots > 0 ? bracket->low : bracket->high;
    const pl_i128 bound = pl_grid_interpolate((pl_i128)lots * side[place.node],
                                              (pl_i128)lots * side[place.node + 1], place);
    if ((long double)bound > lots * value_vu(&bracket->terms, ticks))
        fail_at(bracket, ticks, lots);
}

static int64_t some_price(const struct bracket *bracket, int64_t price)
{
    const uint32_t node = (uint32_t)below(bracket->grid.node_count);
    switch (below(6)) {
    case 0:
        return (int64_t)(pl_grid_ticks(&bracket->grid, node) - (int64_t)below(2));
    case 1: /* where it bends most */
        return (int64_t)fmin(1e15, fmax(0, ((double)bracket->terms.strike_ticks -
                                            bracket->terms.fixed_ticks) /
                                               bracket->terms.forward_ratio *
                                               uniform(.95, 1.05)));
    case 2:
        return bracket->terms.strike_ticks;
    case 3:
        return (int64_t)below(UINT64_C(1) << (1 + below(40)));
    default:
        return (int64_t)((double)price * uniform(0, 6.5));
    }
}

static void arrays_enclose(void **state)
{
    (void)state;
    static struct bracket bracket;
    const int options = getenv("PLIMSOLL_LONG") ? 100000 : 2000;
    for (int i = 0; i < options; i++) {
        int64_t price = 0;
        make(&bracket, &price);
        if (pl_bracket_fill(&bracket.grid, &bracket.terms, bracket.low, bracket.high))
            continue; /* a whole unit of something dear in one lot: no int64 */
        for (uint32_t c = 0; c < bracket.grid.node_count; c++)
            if (bracket.low[c] < 0 || bracket.low[c] > bracket.high[c])
                fail_at(&bracket, pl_grid_ticks(&bracket.grid, c), 0);
        for (int p = 0; p < 50; p++) {
            const int64_t ticks = some_price(&bracket, price);
            const int64_t lots = (int64_t)(1 + below(UINT64_C(1) << below(30)));
            check(&bracket, ticks, lots);
            check(&bracket, ticks, -lots);
            check(&bracket, ticks, 1);
            check(&bracket, ticks, -1);
        }
    }
}

/* Six minutes before expiry, every tick about the strike: the one cell in which the value bends has
 * straight neighbours, so a node must be lowered for the cell before it and not only for its own. */
static void arrays_enclose_beside_the_bend(void **state)
{
    (void)state;
    static struct bracket bracket = {.terms = {
        PL_OPTION_CALL, 371063, 4, 3, 0.95277600704749477, 1.5213369653177951,
        1.0756319450675985e-05, -0.026184164347653124, 0}};
    bracket.grid = pl_grid_around(371063);
    for (int type = PL_OPTION_CALL; type <= PL_OPTION_PUT; type++) {
        bracket.terms.type = (enum pl_option_type)type;
        assert_int_equal(
            pl_bracket_fill(&bracket.grid, &bracket.terms, bracket.low, bracket.high), PL_OK);
        for (int64_t ticks = 380000; ticks < 400000; ticks++) {
            check(&bracket, ticks, 1);
            check(&bracket, ticks, -1);
        }
    }
}

/* What the enclosure costs: the widest bracket over all prices, for ETH at 3000 and 60 %. */
static void arrays_are_narrow(void **state)
{
    (void)state;
    static struct bracket bracket;
    static const struct { double days, widest_usd; } rows[] = {{7, .34}, {1, .73}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bracket.grid = pl_grid_around(30000000);
        bracket.terms = (struct pl_bracket_terms){
            PL_OPTION_CALL, 30000000, 4, 8, 1, .6, rows[i].days / 365, 0, 0};
        assert_int_equal(
            pl_bracket_fill(&bracket.grid, &bracket.terms, bracket.low, bracket.high), PL_OK);
        int64_t widest = 0;
        for (uint32_t c = 0; c < bracket.grid.node_count; c++)
            if (bracket.high[c] - bracket.low[c] > widest)
                widest = bracket.high[c] - bracket.low[c];
        assert_true((double)widest / 1e4 < rows[i].widest_usd);
    }
}

int main(void)
{
    seeded = test_random_start(1976);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_enclose),
        cmocka_unit_test(arrays_enclose_beside_the_bend),
        cmocka_unit_test(arrays_are_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
