/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options in random worlds. Grids are given as integers that are between 0 and 2^61 and low <= high, and
 * otherwise whatever they like: nothing that is decided needs them to follow from a volatility.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/world.h"

static const int64_t NODE_VU_MAX = INT64_C(1) << 60;

/* ==== parameters ============================================================================= */

static void fill_scenarios(struct world *world)
{
    struct pl_parameters *set = &world->parameters;
    const bool is_heavy = world_chance(world, 3);
    set->scenario_count =
        1 + (uint32_t)world_below(world, world_chance(world, 8) ? PL_OPTION_SCENARIOS_MAX : 9);
    for (uint32_t s = 0; s < set->scenario_count; s++) {
        struct pl_option_scenario *scenario = &set->scenarios[s];
        const bool is_tail = world_chance(world, 6);
        scenario->move_ppm =
            (int32_t)(is_tail ? world_between(world, 1 - PL_PPM, 8 * PL_PPM)
                              : world_between(world, -200000, 200000) / (is_heavy ? 1 : 4));
        scenario->layer = (enum pl_layer)world_between(world, PL_LAYER_UP, PL_LAYER_DOWN);
        /* A tail counts for a part: 16 % or 4 % of what the underlying is worth. */
        const int64_t size = llabs(scenario->move_ppm) + 1;
        const int64_t most = (is_heavy ? 160000 : 40000) * (int64_t)PL_PPM / size;
        scenario->weight = world_nested(
            world, world_between(world, 0, most < PL_PPM ? most : PL_PPM));
    }
    set->short_minimum = world_nested(world, world_between(world, 0, 100000));
}

/* What is left of V3 and V7 for scenarios. */
static bool has_room(const struct pl_parameters *set, const struct pl_instrument *rules)
{
    int64_t sum = rules->confidence_ppm, loss = 0;
    const int64_t side = rules->haircut_short.at[0] > rules->haircut_long.at[0]
                             ? rules->haircut_short.at[0]
                             : rules->haircut_long.at[0];
    for (uint32_t k = 0; k < rules->load_count; k++)
        sum += llabs(rules->loads[k].load.at[0]);
    for (uint32_t k = 0; k < rules->loss_count; k++)
        loss = rules->losses[k].loss.at[0] > loss ? rules->losses[k].loss.at[0] : loss;
    if (rules->bracket_count > 0)
        sum += rules->brackets[rules->bracket_count - 1].rate.at[0];
    sum += loss + model_scenario_load(set, PL_TIER_ALERT);
    return rules->kind == PL_INSTRUMENT_SPOT ? sum + rules->haircut_long.at[0] <= PL_PPM
                                             : sum + side <= 3 * PL_PPM;
}

static void fill_option(struct world *world, struct pl_instrument *rules, uint32_t volatility,
                        uint32_t underlying)
{
    const struct pl_instrument *under = &world->parameters.instruments[underlying];
    memset(rules, 0, sizeof *rules);
    rules->is_listed = rules->has_scenarios = true;
    rules->kind = PL_INSTRUMENT_OPTION;
    rules->lot_decimals = (uint32_t)world_below(world, 13 - under->tick_decimals);
    rules->tick_decimals = (uint32_t)world_below(world, 13 - rules->lot_decimals);
    rules->scenario_underlying = underlying;
    rules->option = (struct pl_option_terms){
        .type = world_chance(world, 2) ? PL_OPTION_CALL : PL_OPTION_PUT,
        .underlying = underlying, .volatility = volatility,
        .strike_ticks = world_magnitude(world, 30), .expiry_ms = 1};
    rules->sale_discount_ppm =
        world->options.no_discount ? 0 : (int32_t)world_between(world, 0, 50000);
    world_fill_price_rules(world, &rules->price_rules);
}

static uint32_t add_volatility(struct world *world)
{
    const uint32_t index = world_intern(world, "v", 0);
    struct pl_instrument *rules = &world->parameters.instruments[index];
    memset(rules, 0, sizeof *rules);
    rules->is_listed = true;
    rules->kind = PL_INSTRUMENT_VOLATILITY;
    rules->tick_decimals = 4;
    world_fill_price_rules(world, &rules->price_rules);
    rules->price_rules.sources[0] = world_named(world, "p", 98);
    return index;
}

/* Some of what may also moves with one of the underlyings; others move with something else. */
static void join_groups(struct world *world, uint32_t linear_count)
{
    for (uint32_t i = 0; i < linear_count; i++) {
        struct pl_instrument *rules =
            &world->parameters.instruments[world->instruments[i]];
        if (!has_room(&world->parameters, rules) || world_chance(world, 3))
            continue;
        rules->has_scenarios = true;
        rules->scenario_underlying =
            world_chance(world, 4) ? world->instruments[world_below(world, linear_count)]
                                   : world->instruments[0];
    }
}

void world_fill_options(struct world *world)
{
    struct pl_parameters *set = &world->parameters;
    const uint32_t linear_count = world->instrument_count;
    set->scenario_count = world->option_count = 0;
    set->short_minimum = (struct pl_tier_ppm){0};
    if (!world->options.has_options ||
        world->instrument_count + WORLD_OPTIONS_MAX > WORLD_INSTRUMENTS_MAX)
        return;
    fill_scenarios(world);
    const uint32_t volatility = add_volatility(world);
    uint32_t count = 1 + (uint32_t)world_below(world, WORLD_OPTIONS_MAX);
    while (count-- > 0) {
        const uint32_t underlying =
            world->instruments[world_chance(world, 4) ? world_below(world, linear_count) : 0];
        const uint32_t place = world->instrument_count++;
        const uint32_t index = world_intern(world, "o", place);
        fill_option(world, &set->instruments[index], volatility, underlying);
        set->instruments[index].price_rules.sources[0] = world_named(world, "p", place);
        world->instruments[place] = index;
        world->is_never_priced[place] = world->options.bad_marks && world_chance(world, 16);
        world->option_count++;
    }
    join_groups(world, linear_count);
}

/* ==== marks ================================================================================== */

/* Cells around the price, or at times beside it. */
static void draw_place(struct world *world, int64_t ticks, struct pl_grid *grid)
{
    uint32_t octave = 0;
    while (octave < 60 && ticks >> (octave + 1))
        octave++;
    grid->bits = 1 + (uint32_t)world_below(world, PL_GRID_BITS);
    const uint32_t below = (uint32_t)world_below(world, 3);
    octave = octave > grid->bits + below ? octave - below : grid->bits;
    grid->first_cell = (octave << grid->bits) + (uint32_t)world_below(world, 1u << grid->bits);
    const uint32_t most = ((62 - octave) << grid->bits) - grid->first_cell % (1u << grid->bits);
    grid->node_count = 3 + (uint32_t)world_below(world, 20);
    if (grid->node_count > most)
        grid->node_count = most < 3 ? 3 : most;
}

static int64_t draw_value(struct world *world, int64_t notional)
{
    if (world_chance(world, 6))
        return world_chance(world, 2) ? 0 : world_magnitude(world, 40);
    return world_between(world, 0, notional);
}

static void draw_values(struct world *world, int64_t notional, struct pl_option_grid *grid)
{
    const bool is_tight = world_chance(world, 2); /* as brackets are */
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (uint32_t i = 0; i < grid->grid.node_count; i++) {
            int64_t *low = &grid->low[layer][i], *high = &grid->high[layer][i];
            *low = is_tight && i > 0 ? grid->low[layer][i - 1] : draw_value(world, notional);
            if (is_tight)
                *low += world_between(world, 0, notional / 64);
            if (is_tight && layer > 0 && i == 0)
                *low = grid->low[0][0];
            *high = *low + (world_chance(world, 4) ? 0 : world_between(world, 0, is_tight
                                                             ? notional / 256 : notional));
            *low = *low < NODE_VU_MAX ? *low : NODE_VU_MAX;
            *high = *high < NODE_VU_MAX ? *high : NODE_VU_MAX;
        }
}

void world_mark_option(struct world *world, uint32_t index, struct pl_mark *mark)
{
    const struct pl_instrument *rules = &world->parameters.instruments[index];
    const struct pl_instrument *under = &world->parameters.instruments[rules->option.underlying];
    const struct pl_mark *spot = &world->marks[rules->option.underlying];
    struct pl_option_grid *grid = NULL;
    uint32_t place = 0;
    for (uint32_t i = 0; i < world->instrument_count; i++)
        if (world->instruments[i] == index)
            place = i - (world->instrument_count - world->option_count);
    int64_t ticks = 1, notional;
    if (spot->status == PL_MARK_NONE ||
        !model_ticks(spot->mantissa, spot->exponent, under, &ticks))
        ticks = 1;
    notional = ticks < NODE_VU_MAX / 4 ? ticks : NODE_VU_MAX / 4;
    for (uint32_t d = rules->lot_decimals + under->tick_decimals; d < PL_DECIMALS_MAX; d++)
        notional = notional < NODE_VU_MAX / 40 ? notional * 10 : NODE_VU_MAX / 4;
    grid = &world->grids[place];
    draw_place(world, ticks, &grid->grid);
    draw_values(world, notional, grid);
    mark->status = PL_MARK_LIVE;
    mark->mantissa = mark->low_mantissa = mark->high_mantissa = 1;
    mark->exponent = 0;
    mark->grid = world_chance(world, 200) ? NULL : grid;
}
