/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds. The shapes aim at where exact arithmetic breaks first: the ends of ranges, equal
 * values, books that hedge to nothing, quantities on a bracket's edge, an excess of exactly zero.
 */
#include "tests/support/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"

/* ==== randomness ============================================================================= */

uint64_t world_runs(uint64_t usual)
{
    const char *text = getenv("PLIMSOLL_LONG");
    return text && *text && strcmp(text, "0") != 0 ? usual * 10 : usual;
}

uint64_t world_below(struct world *world, uint64_t limit)
{
    return limit ? test_random_below(&world->random, limit) : 0;
}

int64_t world_between(struct world *world, int64_t least, int64_t most)
{
    return least >= most ? least
                         : (int64_t)((uint64_t)least +
                                     world_below(world, (uint64_t)most - (uint64_t)least + 1));
}

bool world_chance(struct world *world, uint32_t times)
{
    return world_below(world, times) == 0;
}

int64_t world_magnitude(struct world *world, unsigned bits)
{
    unsigned top = (unsigned)world_below(world, bits);
    return (int64_t)(1ull << top | world_below(world, 1ull << top));
}

/* ==== parameters ============================================================================= */

/* Falls from `top` at the alert tier to maintenance, never below 0. */
struct pl_tier_ppm world_nested(struct world *world, int64_t top)
{
    struct pl_tier_ppm ppm;
    int64_t value = top;
    for (int t = PL_TIER_ALERT; t <= PL_TIER_MAINTENANCE; t++) {
        ppm.at[t] = (int32_t)value;
        if (!world_chance(world, 3))
            value = world_chance(world, 12) ? 0 : world_between(world, value * 3 / 4, value);
    }
    return ppm;
}

static int64_t take_share(struct world *world, int64_t *budget)
{
    int64_t share = world_chance(world, 5) ? 0 : world_between(world, 0, *budget);
    if (world_chance(world, 3))
        share = share / 10000 * 10000;
    *budget -= share;
    return share;
}

/* One growth from tier to tier for all loads of a factor, so that they stay proportional (V6). */
static void fill_growth(struct world *world, int32_t growth[PL_TIER_COUNT])
{
    int32_t value = (int32_t)world_below(world, 4);
    for (int t = PL_TIER_MAINTENANCE; t >= PL_TIER_ALERT; t--) {
        growth[t] = value;
        value += (int32_t)world_below(world, 3);
    }
    if (growth[PL_TIER_ALERT] == 0)
        growth[PL_TIER_ALERT] = 1;
}

static void fill_loads(struct world *world, struct pl_instrument *rules, int64_t *budget,
                       int32_t growth[PL_FACTORS_MAX][PL_TIER_COUNT])
{
    uint32_t count = world->parameters.factor_count;
    uint32_t first = (uint32_t)world_below(world, count);
    uint32_t most = count < PL_LOADS_MAX ? count : PL_LOADS_MAX;
    rules->load_count = (uint32_t)world_below(world, most + 1);
    for (uint32_t l = 0; l < rules->load_count; l++) {
        struct pl_load *load = &rules->loads[l];
        load->factor = (first + l) % count;
        const int32_t *grown = growth[load->factor];
        int64_t share = take_share(world, budget);
        int64_t unit = share / grown[PL_TIER_ALERT];
        *budget += share - unit * grown[PL_TIER_ALERT];
        if (world_chance(world, 4))
            unit = -unit;
        for (int t = 0; t < PL_TIER_COUNT; t++)
            load->load.at[t] = (int32_t)(unit * grown[t]);
    }
}

static void fill_brackets(struct world *world, struct pl_instrument *rules, int64_t *budget)
{
    if (world->options.no_brackets || world_chance(world, 3)) {
        rules->bracket_count = 0;
        return;
    }
    struct pl_tier_ppm top = world_nested(world, take_share(world, budget));
    rules->bracket_count = 1 + (uint32_t)world_below(world, PL_BRACKETS_MAX);
    int64_t threshold = 0, part = 0;
    bool is_small = world_chance(world, 2);
    for (uint32_t b = 0; b < rules->bracket_count; b++) {
        struct pl_bracket *bracket = &rules->brackets[b];
        part = b + 1 == rules->bracket_count ? 1000 : world_between(world, part, 1000);
        if (b == 0 && world_chance(world, 2))
            part = 0;
        bracket->threshold_usd = threshold;
        for (int t = 0; t < PL_TIER_COUNT; t++)
            bracket->rate.at[t] = (int32_t)(top.at[t] * part / 1000);
        threshold += world_magnitude(world, is_small ? 8 : 34);
    }
}

static void fill_losses(struct world *world, struct pl_instrument *rules, int64_t *budget)
{
    uint32_t count = world->parameters.dependency_count;
    uint32_t first = (uint32_t)world_below(world, count);
    uint32_t most = count < PL_LOSSES_MAX ? count : PL_LOSSES_MAX;
    rules->loss_count = (uint32_t)world_below(world, most + 1);
    int64_t top = rules->loss_count ? take_share(world, budget) : 0;
    for (uint32_t l = 0; l < rules->loss_count; l++) {
        rules->losses[l].dependency = (first + l) % count;
        rules->losses[l].loss = world_nested(world, world_between(world, top / 4, top));
    }
}

void world_fill_price_rules(struct world *world, struct pl_price_rules *rules)
{
    rules->source_count = 1;
    rules->quorum = 1;
    rules->age_ms_max = world_between(world, 1, 100000);
    rules->band_ppm = 100000;
    rules->bad_mark_low_ppm = (int32_t)world_between(world, 0, PL_PPM);
    rules->bad_mark_high_ppm = PL_PPM + (int32_t)world_below(world, 2 * PL_PPM);
    if (world_chance(world, 4)) {
        rules->bad_mark_low_ppm = 0;
        rules->bad_mark_high_ppm = PL_PPM;
    }
}

static void fill_decimals(struct world *world, struct pl_instrument *rules)
{
    static const uint32_t USUAL[][2] = {{8, 2}, {8, 4}, {6, 6}, {0, 12}, {12, 0}, {0, 0}, {2, 2}};
    if (world_chance(world, 2)) {
        uint32_t row = (uint32_t)world_below(world, sizeof USUAL / sizeof USUAL[0]);
        rules->lot_decimals = USUAL[row][0];
        rules->tick_decimals = USUAL[row][1];
    } else {
        rules->lot_decimals = (uint32_t)world_below(world, 13);
        rules->tick_decimals = (uint32_t)world_below(world, 13 - rules->lot_decimals);
    }
}

static int32_t draw_discount(struct world *world)
{
    if (world->options.no_discount || world_chance(world, 6))
        return 0;
    if (world_chance(world, 20))
        return 999999;
    return (int32_t)world_between(world, 0, world_chance(world, 8) ? 999999 : 50000);
}

struct pl_id world_named(struct world *world, const char *prefix, uint32_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%s%04x%u", prefix, (unsigned)world_below(world, 1 << 16), number);
    struct pl_id id;
    enum pl_err err = pl_id_set(&id, text, strlen(text));
    pl_assert(!err);
    return id;
}

/* The same each time, so that what is halted is what something lives on. */
static struct pl_id plainly_named(const char *prefix, uint64_t number)
{
    struct pl_id id;
    char text[32];
    snprintf(text, sizeof text, "%s%u", prefix, (unsigned)number);
    enum pl_err err = pl_id_set(&id, text, strlen(text));
    pl_assert(!err);
    return id;
}

/* Ladders, steps, least and largest orders, of sizes that matter to holdings of a world. */
static void fill_venue(struct world *world, struct pl_instrument *rules)
{
    rules->depth_count = (uint32_t)world_below(world, PL_DEPTH_MAX + 1);
    for (uint32_t i = 0; i < rules->depth_count; i++) {
        int64_t below = i > 0 ? rules->depth[i - 1].usd_max : 0;
        int32_t least = i > 0 ? rules->depth[i - 1].discount_ppm : 0;
        rules->depth[i].usd_max = below + 1 + world_between(world, 0, world_magnitude(world, 24));
        rules->depth[i].discount_ppm =
            (int32_t)world_between(world, least, rules->sale_discount_ppm);
    }
    if (world_chance(world, 3))
        rules->lot_step = world_between(world, 1, 12);
    if (world->options.venues > 1 && world_chance(world, 4))
        rules->min_notional_usd = world_between(world, 0, 1000);
    if (world->options.venues > 1 && world_chance(world, 4))
        rules->slice_usd_max = 1 + world_between(world, 0, world_magnitude(world, 30));
}

static void fill_instrument(struct world *world, struct pl_instrument *rules,
                            int32_t growth[PL_FACTORS_MAX][PL_TIER_COUNT])
{
    memset(rules, 0, sizeof *rules);
    rules->is_listed = true;
    uint64_t kind = world_below(world, 8);
    rules->kind = kind < 5   ? PL_INSTRUMENT_SPOT
                  : kind < 7 ? PL_INSTRUMENT_PERP
                             : PL_INSTRUMENT_FUTURE;
    fill_decimals(world, rules);
    /* V3 allows a long spot 10^6 in all; a derivative may have more, up to V7's 2^23. */
    int64_t budget = world_between(world, 0, world_chance(world, 3) ? 200000 : PL_PPM);
    int64_t short_top = world_between(world, 0, 300000);
    if (world_chance(world, 8))
        budget = PL_PPM;
    if (rules->kind != PL_INSTRUMENT_SPOT && world_chance(world, 10))
        budget = short_top = 2 * PL_PPM;
    rules->haircut_short = world_nested(world, short_top);
    for (uint64_t turn = world_below(world, 5), i = 0; i < 5; i++) {
        switch ((turn + i) % 5) {
        case 0:
            rules->haircut_long = world_nested(world, take_share(world, &budget));
            break;
        case 1:
            fill_loads(world, rules, &budget, growth);
            break;
        case 2:
            fill_brackets(world, rules, &budget);
            break;
        case 3:
            fill_losses(world, rules, &budget);
            break;
        default:
            rules->confidence_ppm = (int32_t)take_share(world, &budget);
            break;
        }
    }
    rules->sale_discount_ppm = draw_discount(world);
    if (world->options.venues > 0)
        fill_venue(world, rules);
    world_fill_price_rules(world, &rules->price_rules);
    if (world_chance(world, 2))
        rules->chain = plainly_named("c", world_below(world, 2));
    if (rules->chain.size_bytes > 0 && world_chance(world, 2))
        rules->bridge = plainly_named("b", world_below(world, 2));
}

static void fill_dust(struct world *world, struct pl_instrument *rules)
{
    memset(rules, 0, sizeof *rules);
    rules->is_listed = true;
    rules->kind = PL_INSTRUMENT_SPOT;
    rules->lot_decimals = 6;
    rules->tick_decimals = 6;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        rules->haircut_long.at[t] = 1;
    world_fill_price_rules(world, &rules->price_rules);
}

uint32_t world_intern(struct world *world, const char *prefix, uint32_t number)
{
    struct pl_id id = world_named(world, prefix, number);
    uint32_t index = 0;
    enum pl_err err = pl_names_intern(&world->names, &id, &index);
    pl_assert(!err && index < PL_INSTRUMENTS_MAX);
    return index;
}

static void fill_policy(struct world *world)
{
    struct pl_policy *policy = &world->parameters.policy;
    memset(policy, 0, sizeof *policy);
    policy->order_valid_ms = 30000;
    policy->order_overdue_ms = 60000;
    policy->revision_pause_ms = 1000;
    policy->restricted_hold_ms = 1000;
    policy->alert_hysteresis_ppm = 10000;
    policy->watermark_age_ms_max = 5000;
    policy->halt_ramp_ms = world_chance(world, 2) ? world_between(world, 1, 5000) : 0;
    for (uint32_t i = 0; i < world->instrument_count; i++)
        if (world->options.all_sellable || !world_chance(world, 5))
            policy->liquidity_order[policy->liquidity_count++] = world->instruments[i];
    for (uint32_t i = policy->liquidity_count; i > 1; i--) {
        uint32_t j = (uint32_t)world_below(world, i);
        uint32_t swap = policy->liquidity_order[i - 1];
        policy->liquidity_order[i - 1] = policy->liquidity_order[j];
        policy->liquidity_order[j] = swap;
    }
}

/* Forgets the last world's instruments; the rest of the arrays is still zero. */
static void clear(struct world *world)
{
    for (uint32_t i = 0; i < world->names.count; i++) {
        memset(&world->parameters.instruments[i], 0, sizeof world->parameters.instruments[i]);
        memset(&world->marks[i], 0, sizeof world->marks[i]);
    }
    memset(&world->market, 0, sizeof world->market);
    world->portfolio.leg_count = 0;
    pl_names_init(&world->names);
}

void world_fill_parameters(struct world *world, uint64_t seed)
{
    clear(world);
    world->seed = seed;
    world->random.state = seed * 0xd1342543de82ef95u + 1;
    world->now_ms = 1700000000000;
    struct pl_parameters *set = &world->parameters;
    set->epoch++;
    set->factor_count = (uint32_t)world_below(world,
                                              world_chance(world, 6) ? PL_FACTORS_MAX + 1 : 4);
    set->dependency_count = (uint32_t)world_below(
        world, world_chance(world, 6) ? PL_DEPENDENCIES_MAX + 1 : 4);
    set->source_count = 1;
    set->edge_count = 0;
    memset(set->modes, 0, sizeof set->modes);
    set->mode_weight_count = 0;
    int32_t growth[PL_FACTORS_MAX][PL_TIER_COUNT];
    for (uint32_t i = 0; i < set->factor_count; i++) {
        set->factors[i] = world_named(world, "f", i);
        fill_growth(world, growth[i]);
    }
    for (uint32_t i = 0; i < set->dependency_count; i++)
        set->dependencies[i] = world_named(world, "d", i);
    memset(set->sources, 0, sizeof set->sources[0]);
    set->sources[0].id = world_named(world, "s", 0);

    uint32_t usual = world_chance(world, 20) ? WORLD_INSTRUMENTS_MAX : 12;
    if (world->options.instrument_count_max)
        usual = world->options.instrument_count_max;
    world->instrument_count = 1 + (uint32_t)world_below(world, usual);
    for (uint32_t i = 0; i < WORLD_UNLISTED; i++)
        world->unlisted[i] = world_intern(world, "u", i);
    for (uint32_t i = 0; i < world->instrument_count; i++) {
        world->instruments[i] = world_intern(world, "i", i);
        struct pl_instrument *rules = &set->instruments[world->instruments[i]];
        fill_instrument(world, rules, growth);
        rules->price_rules.sources[0] = world_named(world, "p", i);
        world->is_never_priced[i] = world->options.bad_marks && world_chance(world, 16);
    }
    world->dust = world_intern(world, "z", 0);
    fill_dust(world, &set->instruments[world->dust]);
    set->instruments[world->dust].price_rules.sources[0] = world_named(world, "p", 99);
    world_fill_options(world);
    set->instrument_count = world->instrument_count + 1 + (set->scenario_count > 0);
    fill_policy(world);
}

enum { REACHED = 4 }; /* dependencies that edges lead to: there is room for them behind the stated */

static struct pl_edge *add_exposure(struct world *world, uint32_t instrument, uint32_t to)
{
    struct pl_edge *edge = &world->parameters.edges[world->parameters.edge_count++];
    *edge = (struct pl_edge){.instrument = instrument, .to = to};
    if (world_chance(world, 3))
        edge->coverage_ppm = (int32_t)world_between(world, 0, PL_PPM);
    return edge;
}

void world_expose(struct world *world)
{
    struct pl_parameters *set = &world->parameters;
    const uint32_t count = set->dependency_count, reached = count < REACHED ? count : REACHED;
    const bool is_down = world_chance(world, 2); /* edges may lead to lower numbers, or to higher */
    uint32_t edges = count ? (uint32_t)world_below(world, 12) : 0;
    set->edge_count = 0;
    for (uint32_t i = 0; i < world->instrument_count; i++)
        if (set->instruments[world->instruments[i]].loss_count > PL_LOSSES_MAX - REACHED)
            return;
    while (edges-- > 0) {
        uint32_t to = count - 1 - (uint32_t)world_below(world, reached);
        uint32_t index = world->instruments[world_below(world, world->instrument_count)];
        const struct pl_instrument *rules = &set->instruments[index];
        /* Not above what is stated, which is within V3. */
        if (world_chance(world, 3) && rules->loss_count > 0 &&
            rules->losses[0].loss.at[PL_TIER_ALERT] <= PL_PPM)
            add_exposure(world, index, is_down ? count - 1 - to : to)->loss = rules->losses[0].loss;
        else if (to > 0) {
            uint32_t from = (uint32_t)world_below(world, to);
            struct pl_edge *edge = add_exposure(world, UINT32_MAX,
                                                    is_down ? count - 1 - to : to);
            edge->from = is_down ? count - 1 - from : from;
            edge->loss = world_nested(world, world_chance(world, 3) ? PL_PPM
                                                                   : world_between(world, 0, PL_PPM));
        }
    }
}

/* A failed assertion of the library ends the process: say first what it was about. */
static const struct world *asserting;

static void print_assertion(const char *expression, const char *file, int line)
{
    printf("%s:%d: assertion failed: %s\n", file, line, expression);
    if (asserting)
        world_print(asserting);
}

/* Weights of some spots at a part of their own haircuts, which is valid where these are. */
static void fill_mode(struct world *world, struct pl_mode *mode)
{
    struct pl_parameters *set = &world->parameters;
    *mode = (struct pl_mode){true, set->mode_weight_count, 0};
    for (uint32_t i = 0; i < world->instrument_count; i++) {
        const uint32_t at = world->instruments[i];
        const struct pl_instrument *rules = &set->instruments[at];
        if (rules->kind != PL_INSTRUMENT_SPOT || world_chance(world, 4) ||
            set->mode_weight_count == PL_MODE_WEIGHTS_MAX)
            continue;
        struct pl_mode_weight *weight = &set->mode_weights[set->mode_weight_count++];
        const int64_t part = world_between(world, 0, PL_PPM);
        *weight = (struct pl_mode_weight){at, rules->haircut_long, rules->haircut_short, 0};
        for (int t = 0; t < PL_TIER_COUNT; t++)
            if (rules->haircut_long.at[PL_TIER_MAINTENANCE] >= 0 &&
                rules->haircut_short.at[PL_TIER_MAINTENANCE] >= 0)
                weight->haircut_long.at[t] = (int32_t)(rules->haircut_long.at[t] * part / PL_PPM);
        mode->count++;
    }
}

static void world_modes(struct world *world)
{
    struct pl_parameters *set = &world->parameters;
    if (world_chance(world, 2))
        return;
    fill_mode(world, &set->modes[1]);
    fill_mode(world, &set->modes[PL_MODES_MAX - 1]);
    for (uint32_t i = 0; i < world->instrument_count; i++) {
        struct pl_instrument *rules = &set->instruments[world->instruments[i]];
        if (rules->kind == PL_INSTRUMENT_SPOT && !world_chance(world, 3))
            fill_mode(world, &rules->lent_on);
    }
}

void world_begin(struct world *world, uint64_t seed)
{
    asserting = world;
    pl_assert_set_handler(print_assertion);
    world_fill_parameters(world, seed);
    world_expose(world);
    world_modes(world);
    enum pl_err err = pl_parameters_finish(&world->parameters, &world->names);
    if (err) {
        printf("seed=%" PRIu64 ": a valid set is refused: %s\n", seed, pl_err_text());
        abort();
    }
}

/* ==== marks ================================================================================== */

static int64_t power_of_10(uint32_t exponent)
{
    int64_t power = 1;
    while (exponent--)
        power *= 10;
    return power;
}

static int64_t multiplier_of(const struct pl_instrument *rules)
{
    return power_of_10(12 - rules->lot_decimals - rules->tick_decimals);
}

/* A price whose lot stays below 2^61 VU, so that every interval around it is still exact. */
static int64_t draw_ticks(struct world *world, const struct pl_instrument *rules)
{
    int64_t most = ((int64_t)1 << 59) / multiplier_of(rules) / 10;
    unsigned bits = 1;
    while (bits < 58 && (int64_t)1 << bits < most)
        bits++;
    int64_t ticks = world_magnitude(world, bits);
    if (world_chance(world, 3))
        ticks = power_of_10((uint32_t)world_below(world, 10));
    if (world_chance(world, 2)) /* the usual case: a price in cents to ten thousands of USD */
        ticks = world_between(world, 1, 100000) * power_of_10(rules->tick_decimals) / 100;
    return ticks < 1 ? 1 : ticks > most ? most : ticks;
}

static void draw_mark(struct world *world, const struct pl_instrument *rules, struct pl_mark *mark)
{
    int64_t ticks = draw_ticks(world, rules);
    int64_t below = 0, above = 0;
    if (!world_chance(world, 3)) {
        int64_t width = world_chance(world, 6) ? ticks : ticks / 50;
        below = world_between(world, 0, width < ticks ? width : ticks - 1);
        above = world_between(world, 0, width);
        if (world_chance(world, 24))
            above = world_between(world, 0, (PL_INTERVAL_TIMES_MAX - 1) * ticks);
    }
    mark->status = PL_MARK_LIVE;
    mark->mantissa = ticks;
    mark->low_mantissa = ticks - below;
    mark->high_mantissa = ticks + above;
    mark->exponent = -(int32_t)rules->tick_decimals;
    int64_t rest = 0;
    if (ticks - below > 1 && ticks < INT64_MAX / 8 / 1000 && world_chance(world, 4)) {
        /* Finer than a tick: rounding decides, to even at the half. */
        rest = world_chance(world, 2) ? 500 : world_between(world, -500, 500);
        if (ticks + above < INT64_MAX / 8 / 1000 && ticks * 1000 + rest > 0) {
            mark->mantissa = ticks * 1000 + rest;
            mark->low_mantissa = mark->mantissa - below * 1000;
            mark->high_mantissa = mark->mantissa + above * 1000;
            mark->exponent -= 3;
        }
    }
    while (mark->mantissa % 10 == 0 && mark->low_mantissa % 10 == 0 &&
           mark->high_mantissa % 10 == 0 && world_chance(world, 2)) {
        mark->mantissa /= 10;
        mark->low_mantissa /= 10;
        mark->high_mantissa /= 10;
        mark->exponent++;
    }
}

static void spoil_mark(struct world *world, const struct pl_instrument *rules, struct pl_mark *mark)
{
    switch (world_below(world, 4)) {
    case 0:
        mark->status = PL_MARK_STALE;
        break;
    case 1:
        mark->status = PL_MARK_HALTED;
        break;
    case 2:
        mark->event_time_ms = world->now_ms + rules->price_rules.age_ms_max + 1;
        break;
    default:
        mark->event_time_ms = world->now_ms - rules->price_rules.age_ms_max - 1;
        break;
    }
    mark->tick++;
}

/* Mostly nothing stands still. */
static void halt_chains(struct world *world)
{
    world->market.halts = world->halts;
    world->market.halt_count = 0;
    while (world_chance(world, 4) && world->market.halt_count < WORLD_HALTS_MAX)
        world->halts[world->market.halt_count++] = (struct pl_chain_halt){
            .chain = plainly_named("c", world_below(world, 2)),
            .bridge = world_chance(world, 2) ? plainly_named("b", world_below(world, 2))
                                             : (struct pl_id){0},
            .since_ms = world->now_ms - world_between(world, -10, 6000)};
}

void world_mark(struct world *world)
{
    world->now_ms += 1 + world_between(world, 0, 1000);
    halt_chains(world);
    for (uint32_t i = 0; i <= world->instrument_count; i++) {
        uint32_t index = i < world->instrument_count ? world->instruments[i] : world->dust;
        const struct pl_instrument *rules = &world->parameters.instruments[index];
        struct pl_mark *mark = &world->marks[index];
        if (index != world->dust && world->is_never_priced[i])
            continue;
        if (rules->kind == PL_INSTRUMENT_OPTION) {
            world_mark_option(world, index, mark);
        } else if (index == world->dust) {
            mark->status = PL_MARK_LIVE;
            mark->mantissa = mark->low_mantissa = mark->high_mantissa = 1;
            mark->exponent = -6;
        } else {
            draw_mark(world, rules, mark);
        }
        mark->source_offset++;
        mark->source_count = 1;
        /* Exactly as old as is allowed, or new. */
        mark->event_time_ms = world->now_ms -
                              (world_chance(world, 2) ? rules->price_rules.age_ms_max : 0);
    }
    model_options_follow(world->marks);
    pl_market_update(&world->market, &world->parameters, world->marks, world->now_ms);
    if (!world->options.bad_marks)
        return;
    for (uint32_t i = 0; i < world->instrument_count; i++) {
        uint32_t index = world->instruments[i];
        if (!world->is_never_priced[i] && world_below(world, 16) < world->options.bad_marks)
            spoil_mark(world, &world->parameters.instruments[index], &world->marks[index]);
    }
    pl_market_update(&world->market, &world->parameters, world->marks, world->now_ms);
}

/* ==== portfolios ============================================================================= */

static struct pl_leg *add_leg(struct world *world, uint32_t instrument, int64_t lots)
{
    struct pl_leg *leg = &world->legs[world->portfolio.leg_count++];
    memset(leg, 0, sizeof *leg);
    leg->instrument = instrument;
    leg->lots = leg->final_lots = lots;
    return leg;
}

/* Lots of an instrument worth about `worth` VU. */
static int64_t lots_worth(const struct world *world, uint32_t instrument, pl_i128 worth)
{
    int64_t lot_vu = world->market.quotes[instrument].lot_vu;
    pl_i128 lots = lot_vu > 0 ? worth / lot_vu : 1;
    return lots > INT64_MAX ? INT64_MAX : lots < -INT64_MAX ? -INT64_MAX : (int64_t)lots;
}

/* A value in VU: most often as people have, at times a speck, at times nearly all there may be. */
static pl_i128 draw_worth(struct world *world)
{
    if (world->options.coarse)
        return world_between(world, 1, 1000000) * (pl_i128)1000000000000;
    pl_i128 worth = (pl_i128)world_magnitude(world, 40) * 1000000000 + world_magnitude(world, 30);
    if (world_chance(world, 12))
        worth = world_magnitude(world, 40);
    if (world_chance(world, 24))
        worth = PL_VALUE_VU_MAX / world_between(world, 1, 100);
    return worth;
}

static pl_i128 edge_of(struct world *world, uint32_t instrument)
{
    const struct pl_instrument *rules = &world->parameters.instruments[instrument];
    if (!rules->bracket_count)
        return draw_worth(world);
    uint64_t b = world_below(world, rules->bracket_count);
    return (pl_i128)rules->brackets[b].threshold_usd * 1000000000000;
}

/* A grid may say nothing that is a value. */
static bool has_value(const struct world *world, uint32_t instrument)
{
    return world->market.quotes[instrument].status == PL_MARK_LIVE;
}

static void hold_legs(struct world *world, uint32_t count)
{
    static const char *const SHAPES[] = {"mixed", "hedged", "equal", "edges", "specks"};
    uint64_t shape = world_below(world, sizeof SHAPES / sizeof SHAPES[0]);
    world->shape = SHAPES[shape];
    pl_i128 common = draw_worth(world), last = common;
    uint32_t first = (uint32_t)world_below(world, world->instrument_count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t instrument = world->instruments[(first + i) % world->instrument_count];
        if (!world->options.bad_marks && !has_value(world, instrument))
            continue;
        pl_i128 worth = draw_worth(world);
        if (shape == 1)
            worth = i % 2 ? -last : common / world_between(world, 1, 4);
        if (shape == 2)
            worth = common;
        if (shape == 3)
            worth = edge_of(world, instrument);
        bool is_short = shape == 1                ? false
                        : !world_chance(world, 3) ? world_chance(world, 4)
                                                  : world_chance(world, 2);
        last = worth = is_short ? -worth : worth;
        int64_t lots = lots_worth(world, instrument, worth);
        if (world->options.coarse && lots > 12)
            lots = world_between(world, 1, 12);
        if (world->options.coarse && lots < -12)
            lots = -world_between(world, 1, 12);
        if (shape == 3 && lots < INT64_MAX && lots > -INT64_MAX)
            lots += world_between(world, -1, 1);
        if (shape == 4)
            lots = world_between(world, -3, 3);
        if (lots == 0 && !world_chance(world, 8))
            lots = worth < 0 ? -1 : 1;
        add_leg(world, instrument, lots);
    }
}

/* Fills the gross value up to the limit, one VU short of it, or one beyond. */
static void hold_the_limit(struct world *world)
{
    world->shape = "limit";
    pl_i128 room = PL_VALUE_VU_MAX;
    for (uint32_t i = 0; i < world->instrument_count && i < 4; i++) {
        uint32_t instrument = world->instruments[i];
        if (!has_value(world, instrument))
            continue;
        int64_t lots = lots_worth(world, instrument, room);
        if (i == 0 && world_chance(world, 2))
            lots /= 2;
        room -= (pl_i128)lots * world->market.quotes[instrument].lot_vu;
        if (lots)
            add_leg(world, instrument, world_chance(world, 3) ? -lots : lots);
    }
    if (room < INT64_MAX)
        add_leg(world, world->dust, (int64_t)room + world_between(world, -1, 1));
    world->portfolio.cash_vu = world_chance(world, 2) ? 0 : world_between(world, -2, 2);
    world->portfolio.final_cash_vu = world->portfolio.cash_vu;
}

void world_level(struct world *world, enum pl_tier tier, pl_i128 lacking_vu)
{
    mpz_t excess;
    mpz_init(excess);
    world->portfolio.cash_vu = world->portfolio.final_cash_vu = 0;
    model_excess(&world->market, &world->portfolio, tier, excess);
    mpz_fdiv_q_ui(excess, excess, PL_PPM);
    mpz_neg(excess, excess);
    pl_i128 cash = model_compare_i128(excess, PL_VALUE_VU_MAX * 16) < 0 &&
                           model_compare_i128(excess, -PL_VALUE_VU_MAX * 16) > 0
                       ? model_get_i128(excess)
                       : 0;
    world->portfolio.cash_vu = world->portfolio.final_cash_vu = cash - lacking_vu;
    mpz_clear(excess);
}

/* Adds dust so that the excess is exactly `excess` (0 or -1): lots of dust count 10^6 - 1 each. */
static void level_exactly(struct world *world, enum pl_tier tier, int wanted)
{
    mpz_t excess;
    mpz_init(excess);
    world->portfolio.cash_vu = world->portfolio.final_cash_vu = 0;
    model_excess(&world->market, &world->portfolio, tier, excess);
    int64_t lots = (int64_t)mpz_fdiv_ui(excess, PL_PPM) - wanted;
    mpz_clear(excess);
    if (lots)
        add_leg(world, world->dust, lots);
    world_level(world, tier, 0);
    world->shape = wanted ? "one unit short" : "exactly zero";
    if (wanted) { /* one VU of cash below the least excess that is not negative ... */
        mpz_init(excess);
        model_excess(&world->market, &world->portfolio, tier, excess);
        if (mpz_cmp_ui(excess, PL_PPM - 1) == 0) /* ... which is 10^6 - 1: this makes it -1 */
            world->portfolio.final_cash_vu = --world->portfolio.cash_vu;
        mpz_clear(excess);
    }
}

static void hold_something(struct world *world)
{
    world->portfolio = (struct pl_portfolio){.legs = world->legs};
    if (!world->options.coarse && world_chance(world, 24) && !world->options.bad_marks) {
        hold_the_limit(world);
        return;
    }
    uint32_t most = world->instrument_count < 6 || world_chance(world, 8) ? world->instrument_count
                                                                          : 6;
    hold_legs(world, (uint32_t)world_below(world, most + 1));
    if (world->options.bad_marks)
        return;
    enum pl_tier tier = (enum pl_tier)world_below(world, PL_TIER_COUNT);
    switch (world_below(world, 6)) {
    case 0:
        level_exactly(world, tier, 0);
        break;
    case 1:
        level_exactly(world, tier, -1);
        break;
    case 2:
        world_level(world, tier, world_between(world, -2, 2));
        break;
    case 3:
        world_level(world, tier, draw_worth(world) / 64);
        break;
    default:
        world->portfolio.cash_vu = world_chance(world, 2) ? draw_worth(world) : -draw_worth(world);
        if (!world->options.coarse && world_chance(world, 64)) /* beyond anything that is right */
            world->portfolio.cash_vu = test_random_i128(&world->random);
        world->portfolio.final_cash_vu = world->portfolio.cash_vu;
        break;
    }
}

/* In a mode or in none; whatever is done to the portfolio from here on, what decides on modes stands. */
void world_hold(struct world *world)
{
    struct pl_portfolio *portfolio = &world->portfolio;
    hold_something(world);
    if (world->parameters.modes[1].is_present && world_chance(world, 3))
        portfolio->mode = world_chance(world, 2) ? 1 : PL_MODES_MAX - 1;
    portfolio->held = world->legs;
    portfolio->held_count = portfolio->leg_count;
    portfolio->held_owes_cash = portfolio->held_may_owe_cash = world_chance(world, 2) &&
                                                               portfolio->cash_vu < 0;
}

void world_open(struct world *world)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < world->portfolio.leg_count; i++) {
        struct pl_leg *leg = &world->legs[i];
        if (world_chance(world, 8))
            leg->credited_lots = world_between(world, 0, leg->lots > 0 ? leg->lots : 9);
        bool is_bad = world->market.quotes[leg->instrument].status != PL_MARK_LIVE;
        if (is_bad && ++open > 6)
            leg->lots = leg->final_lots = 0;
        if (open >= 6 || !world_chance(world, 8))
            continue;
        open += !is_bad;
        if (world_chance(world, 6)) {
            leg->is_unlisted_amount = true;
            leg->lots = leg->final_lots = leg->lots < 0 ? -1 : 1;
        } else if (leg->lots < INT64_MAX / 4 && leg->lots > -INT64_MAX / 4) {
            int64_t size = leg->lots < 0 ? -leg->lots : leg->lots;
            leg->final_lots = leg->lots + 1 + world_between(world, 0, size * 3);
        }
    }
    if (world_chance(world, 6) && open < 6)
        add_leg(world, world->unlisted[world_below(world, WORLD_UNLISTED)],
                world_chance(world, 4) ? -5 : 7);
    if (world_chance(world, 6)) {
        world->portfolio.final_cash_vu += draw_worth(world) / 8;
        world->portfolio.held_may_owe_cash |= world_chance(world, 2);
    }
}

/* ==== messages =============================================================================== */

static void print_ppm(const char *name, const struct pl_tier_ppm *ppm)
{
    printf(" %s=%d/%d/%d/%d", name, ppm->at[0], ppm->at[1], ppm->at[2], ppm->at[3]);
}

static void print_leg(const struct world *world, const struct pl_leg *leg)
{
    const struct pl_instrument *rules = &world->parameters.instruments[leg->instrument];
    const struct pl_quote *quote = &world->market.quotes[leg->instrument];
    printf("leg %u lots=%" PRId64 " final=%" PRId64 "%s", leg->instrument, leg->lots,
           leg->final_lots, leg->is_unlisted_amount ? " unlisted amount" : "");
    if (!rules->is_listed) {
        printf(" unlisted\n");
        return;
    }
    printf(" kind=%d decimals=%u/%u rank=%u discount=%d confidence=%d\n  quote status=%d "
           "ticks=%" PRId64 " lot=%" PRId64 " low=%" PRId64 " high=%" PRId64 " bad=%" PRId64
           "..%" PRId64 "\n  ppm alert/initial/end/maintenance:",
           rules->kind, rules->lot_decimals, rules->tick_decimals, rules->sale_rank,
           rules->sale_discount_ppm, rules->confidence_ppm, quote->status, quote->ticks,
           quote->lot_vu, quote->low_lot_vu, quote->high_lot_vu, quote->bad_low_lot_vu,
           quote->bad_high_lot_vu);
    print_ppm("long", &rules->haircut_long);
    print_ppm("short", &rules->haircut_short);
    for (uint32_t i = 0; i < rules->load_count; i++) {
        printf(" factor%u", rules->loads[i].factor);
        print_ppm("", &rules->loads[i].load);
    }
    for (uint32_t i = 0; i < rules->loss_count; i++) {
        printf(" dependency%u", rules->losses[i].dependency);
        print_ppm("", &rules->losses[i].loss);
    }
    for (uint32_t i = 0; i < rules->bracket_count; i++) {
        printf(" from %" PRId64, rules->brackets[i].threshold_usd);
        print_ppm("", &rules->brackets[i].rate);
    }
    printf("\n");
}

void world_print(const struct world *world)
{
    char cash[PL_I128_TEXT_BYTES], final[PL_I128_TEXT_BYTES];
    pl_i128_print(world->portfolio.cash_vu, cash);
    pl_i128_print(world->portfolio.final_cash_vu, final);
    printf("seed=%" PRIu64 " shape=%s cash=%s final=%s\n", world->seed,
           world->shape ? world->shape : "?", cash, final);
    for (uint32_t i = 0; i < world->portfolio.leg_count; i++)
        print_leg(world, &world->legs[i]);
    for (uint32_t i = 0; !world->portfolio.leg_count && i < world->instrument_count; i++) {
        struct pl_leg leg = {.instrument = world->instruments[i]};
        print_leg(world, &leg);
    }
    fflush(stdout);
}

void world_fail(const struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    world_print(world);
    fail();
    abort();
}

const char *world_text(const mpz_t number)
{
    static char text[8][160];
    static unsigned next;
    char *chosen = text[next++ % 8];
    gmp_snprintf(chosen, sizeof text[0], "%Zd", number);
    return chosen;
}

const char *world_text_i128(pl_i128 value)
{
    static char text[8][PL_I128_TEXT_BYTES];
    static unsigned next;
    char *chosen = text[next++ % 8];
    pl_i128_print(value, chosen);
    return chosen;
}
