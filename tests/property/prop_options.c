/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options on grids that follow from volatilities (prop_evaluate has grids of any kind, against the naive
 * model): the excess is concave in holdings, stricter tiers are never higher, a deposit of the underlying
 * never hurts; and bounds hold whatever a bad mark turns out to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "lib/price/price.h"
#include "tests/support/build.h"
#include "tests/support/random.h"

enum { OPTIONS = 4, LEGS = OPTIONS + 3, ROUNDS = 20000 };

static struct build build, truth;
static struct test_random chance;
static struct pl_option_grid grids[OPTIONS], true_grids[OPTIONS];
static uint32_t eth, perp, cash_coin, vol, options[OPTIONS];
static struct pl_leg legs[LEGS];
static pl_i128 cash_vu;

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(&chance, (uint64_t)(most - least + 1));
}

static struct pl_tier_ppm nested(int32_t most)
{
    struct pl_tier_ppm ppm;
    int32_t value = (int32_t)between(0, most);
    for (int t = 0; t < PL_TIER_COUNT; t++)
        ppm.at[t] = value = (int32_t)between(value / 2, value);
    return ppm;
}

/* ---- a random world ------------------------------------------------------------------------- */

/* Grids of their own size and place; the price is often outside. Values by a random volatility keep
 * below the underlying, or the strike. */
static void fill_grid(uint32_t k, struct pl_option_grid *grid, int64_t around)
{
    const struct pl_instrument *row = &build.parameters.instruments[options[k]];
    const struct pl_instrument *under = &build.parameters.instruments[row->option.underlying];
    const uint32_t bits = (uint32_t)between(1, PL_GRID_BITS);
    const uint32_t octave = 63 - (uint32_t)__builtin_clzll((uint64_t)around);
    grid->grid = (struct pl_grid){.bits = bits,
                                  .first_cell = ((octave - (uint32_t)between(1, 4)) << bits) +
                                                (uint32_t)between(0, (1 << bits) - 1),
                                  .node_count = (uint32_t)between(3, 5 << bits)};
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++) {
        const struct pl_bracket_terms terms = {
            .type = row->option.type, .strike_ticks = row->option.strike_ticks,
            .tick_decimals = under->tick_decimals, .lot_decimals = row->lot_decimals,
            .forward_ratio = 1, .volatility = (double)between(0, 300) / 100,
            .years = (double)between(0, 500) / 1000};
        assert_int_equal(pl_bracket_fill(&grid->grid, &terms, grid->low[layer], grid->high[layer]),
                         PL_OK);
    }
}

static void draw_set(void)
{
    struct pl_parameters *set = &build.parameters;
    const uint32_t under_decimals = (uint32_t)between(2, 4);
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, (uint32_t)between(0, 8),
                           under_decimals);
    perp = build_instrument(&build, "PERP", PL_INSTRUMENT_PERP, 3, 2);
    cash_coin = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 6, 4);
    vol = build_instrument(&build, "VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    build_haircuts(&build, eth, nested(100000), nested(100000));
    build_haircuts(&build, cash_coin, nested(50000), nested(50000));
    set->instruments[eth].has_scenarios = set->instruments[perp].has_scenarios = true;
    set->instruments[eth].scenario_underlying = set->instruments[perp].scenario_underlying = eth;
    for (uint32_t k = 0; k < OPTIONS; k++) {
        static const char *const ids[] = {"O0", "O1", "O2", "O3"};
        options[k] = build_instrument(&build, ids[k], PL_INSTRUMENT_OPTION,
                                      (uint32_t)between(0, 8), (uint32_t)between(0, 4));
        struct pl_instrument *row = &set->instruments[options[k]];
        row->option = (struct pl_option_terms){
            .type = k % 2 ? PL_OPTION_PUT : PL_OPTION_CALL, .volatility = vol,
            .underlying = k == 3 ? perp : eth, .strike_ticks = between(50000, 600000),
            .expiry_ms = 1};
        row->has_scenarios = true;
        row->scenario_underlying = row->option.underlying;
    }
    set->scenario_count = (uint32_t)between(1, 33);
    for (uint32_t s = 0; s < set->scenario_count; s++)
        set->scenarios[s] = (struct pl_option_scenario){
            .move_ppm = (int32_t)between(-800000, 800000),
            .layer = (enum pl_layer)between(PL_LAYER_UP, PL_LAYER_DOWN),
            .weight = nested(PL_PPM)};
    if (between(0, 1))
        set->scenarios[0].move_ppm = 5000000, set->scenarios[0].weight = nested(32000);
    set->short_minimum = nested(200000);
    build_finish(&build);
}

static void price_all(void)
{
    build_price(&build, eth, between(60000, 900000));
    build_price(&build, perp, between(60000, 900000));
    build_price(&build, cash_coin, 10000);
    for (uint32_t k = 0; k < OPTIONS; k++) {
        const struct pl_instrument *row = &build.parameters.instruments[options[k]];
        build_price(&build, options[k], 1);
        fill_grid(k, &grids[k], build.marks[row->option.underlying].mantissa);
        build.marks[options[k]].grid = &grids[k];
    }
    build_update(&build);
}

static void hold(void)
{
    const uint32_t held[LEGS] = {eth, perp, cash_coin, options[0], options[1], options[2],
                                 options[3]};
    for (uint32_t i = 0; i < LEGS; i++) {
        const struct pl_instrument *row = &build.parameters.instruments[held[i]];
        const int64_t unit = (int64_t)pl_pow10(row->lot_decimals);
        legs[i] = build_leg(held[i], between(0, 3) ? between(-20, 20) * unit + between(-9, 9) : 0);
    }
    cash_vu = between(-100000, 100000) * BUILD_USD;
}

/* ---- laws ----------------------------------------------------------------------------------- */

static pl_i128 excess_of(const struct build *of, enum pl_tier tier)
{
    const struct pl_portfolio portfolio = build_portfolio(legs, LEGS, cash_vu);
    pl_i128 excess = 0;
    assert_true(pl_evaluate(&of->market, &portfolio, tier, &excess));
    return excess;
}

/* 2 A(q) >= A(q + d) + A(q - d), up to the charge's rounding, once a group. */
static void concave_and_nested(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 32 == 0)
            draw_set();
        if (round % 4 == 0)
            price_all();
        hold();
        int64_t step[LEGS];
        pl_i128 middle[PL_TIER_COUNT], ends[PL_TIER_COUNT] = {0};
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            middle[tier] = excess_of(&build, tier);
        for (uint32_t i = 0; i < LEGS; i++)
            step[i] = between(0, 1) ? between(-2 * legs[i].lots * (legs[i].lots < 0 ? -1 : 1) - 3,
                                              2 * legs[i].lots * (legs[i].lots < 0 ? -1 : 1) + 3)
                                    : 0;
        for (int sign = 1; sign >= -1; sign -= 2) {
            for (uint32_t i = 0; i < LEGS; i++)
                legs[i].lots = legs[i].final_lots += sign * step[i];
            for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
                ends[tier] += excess_of(&build, tier);
            for (uint32_t i = 0; i < LEGS; i++)
                legs[i].lots = legs[i].final_lots -= sign * step[i];
        }
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
            assert_true(2 * middle[tier] + 2 >= ends[tier]);
            assert_true(tier == 0 || middle[tier - 1] <= middle[tier]);
        }
        legs[0].lots = legs[0].final_lots += between(1, 1000000);
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            assert_true(excess_of(&build, tier) >= middle[tier] - 1);
    }
}

/* Options with a bad mark may be worth what any other grid says; what is not final may be there. */
static void bounds_hold(void **state)
{
    (void)state;
    int64_t open = 0;
    for (int round = 0; round < ROUNDS / 20; round++) {
        if (round % 32 == 0)
            draw_set();
        price_all();
        hold();
        truth = build;
        struct pl_leg held[LEGS];
        for (uint32_t k = 0; k < OPTIONS; k++) {
            if (between(0, 1))
                continue;
            build_status(&build, options[k], PL_MARK_STALE);
            const uint32_t under = truth.parameters.instruments[options[k]].option.underlying;
            fill_grid(k, &true_grids[k], truth.marks[under].mantissa);
            /* A fine grid around the price: its bounds stay below underlying or strike. */
            true_grids[k].grid = pl_grid_around(truth.marks[under].mantissa);
            const struct pl_option_inputs inputs = {.ticks = truth.marks[under].mantissa,
                                                    .volatility = (double)between(0, 200) / 100};
            assert_int_equal(pl_option_grid_fill(&truth.parameters, options[k], &inputs,
                                                 &true_grids[k]), PL_OK);
            truth.marks[options[k]].grid = &true_grids[k];
        }
        build_update(&build);
        truth.market.parameters = NULL;
        build_update(&truth);
        for (uint32_t i = 0; i < LEGS; i++)
            if (!between(0, 3))
                legs[i].final_lots += between(-1000, 1000000);
        const struct pl_portfolio portfolio = build_portfolio(legs, LEGS, cash_vu);
        memcpy(held, legs, sizeof held);
        struct pl_bounds bounds[PL_TIER_COUNT];
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            assert_true(pl_evaluate_bounds(&build.market, &portfolio, tier, &bounds[tier]));
        for (int sample = 0; sample < 4; sample++) {
            for (uint32_t i = 0; i < LEGS; i++) {
                const int64_t a = held[i].lots, b = held[i].final_lots;
                legs[i].lots = legs[i].final_lots = sample < 2 ? (sample ? a : b)
                                                    : a < b    ? between(a, b) : between(b, a);
            }
            for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
                const pl_i128 excess = excess_of(&truth, tier);
                assert_true(bounds[tier].low <= excess && excess <= bounds[tier].high);
                open += bounds[tier].low < bounds[tier].high;
            }
        }
    }
    assert_true(open > ROUNDS / 4);
}

int main(void)
{
    chance = test_random_start(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concave_and_nested),
        cmocka_unit_test(bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
