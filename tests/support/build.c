/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must(enum pl_err err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "build: %s: %s\n", what, pl_err_text());
    abort();
}

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    must(pl_id_set(&id, text, strlen(text)), text);
    return id;
}

void build_init(struct build *build)
{
    memset(build, 0, sizeof *build);
    pl_names_init(&build->names);
    build->now_ms = 1700000000000;
    build->parameters.policy = (struct pl_policy){
        .order_valid_ms = 5000,
        .order_overdue_ms = 10000,
        .revision_pause_ms = 1000,
        .restricted_hold_ms = 60000,
        .alert_hysteresis_ppm = 10000,
        .watermark_age_ms_max = 5000,
    };
}

uint32_t build_factor(struct build *build, const char *id)
{
    build->parameters.factors[build->parameters.factor_count] = id_of(id);
    return build->parameters.factor_count++;
}

uint32_t build_dependency(struct build *build, const char *id)
{
    build->parameters.dependencies[build->parameters.dependency_count] = id_of(id);
    return build->parameters.dependency_count++;
}

uint32_t build_source(struct build *build, const char *id, bool settles_by_time)
{
    build->parameters.sources[build->parameters.source_count] = (struct pl_source){
        .id = id_of(id), .settles_by_time = settles_by_time};
    return build->parameters.source_count++;
}

uint32_t build_instrument(struct build *build, const char *id, enum pl_instrument_kind kind,
                          uint32_t lot_decimals, uint32_t tick_decimals)
{
    struct pl_id name = id_of(id);
    uint32_t index;
    must(pl_names_intern(&build->names, &name, &index), id);
    struct pl_instrument *instrument = &build->parameters.instruments[index];
    if (!instrument->is_listed)
        build->parameters.instrument_count++;
    *instrument = (struct pl_instrument){
        .is_listed = true,
        .kind = kind,
        .lot_decimals = lot_decimals,
        .tick_decimals = tick_decimals,
        .price_rules =
            {
                .sources = {id_of("feed")},
                .source_count = 1,
                .quorum = 1,
                .age_ms_max = 60000,
                .band_ppm = 500000,
                .bad_mark_low_ppm = 0,
                .bad_mark_high_ppm = 2 * PL_PPM,
            },
    };
    return index;
}

struct pl_tier_ppm build_tiers(int32_t alert, int32_t initial, int32_t end, int32_t maintenance)
{
    return (struct pl_tier_ppm){{[PL_TIER_ALERT] = alert,
                                 [PL_TIER_INITIAL] = initial,
                                 [PL_TIER_END] = end,
                                 [PL_TIER_MAINTENANCE] = maintenance}};
}

struct pl_tier_ppm build_flat(int32_t ppm)
{
    return build_tiers(ppm, ppm, ppm, ppm);
}

void build_haircuts(struct build *build, uint32_t instrument, struct pl_tier_ppm haircut_long,
                    struct pl_tier_ppm haircut_short)
{
    build->parameters.instruments[instrument].haircut_long = haircut_long;
    build->parameters.instruments[instrument].haircut_short = haircut_short;
}

void build_load(struct build *build, uint32_t instrument, uint32_t factor, struct pl_tier_ppm load)
{
    struct pl_instrument *row = &build->parameters.instruments[instrument];
    row->loads[row->load_count++] = (struct pl_load){.factor = factor, .load = load};
}

void build_bracket(struct build *build, uint32_t instrument, int64_t threshold_usd,
                   struct pl_tier_ppm rate)
{
    struct pl_instrument *row = &build->parameters.instruments[instrument];
    row->brackets[row->bracket_count++] = (struct pl_bracket){.threshold_usd = threshold_usd,
                                                              .rate = rate};
}

void build_loss(struct build *build, uint32_t instrument, uint32_t dependency,
                struct pl_tier_ppm loss)
{
    struct pl_instrument *row = &build->parameters.instruments[instrument];
    row->losses[row->loss_count++] = (struct pl_loss){.dependency = dependency, .loss = loss};
}

void build_scenarios(struct build *build)
{
    struct pl_parameters *set = &build->parameters;
    set->scenario_count = 33;
    for (int32_t s = 0; s < 33; s++)
        set->scenarios[s] = (struct pl_option_scenario){
            .move_ppm = (s / 3 - 5) * 32000, .layer = (enum pl_layer)(PL_LAYER_UP + s % 3),
            .weight = build_tiers(1000000, 900000, 800000, 700000)};
    set->short_minimum = build_flat(1000);
}

void build_sellable(struct build *build, uint32_t instrument, int32_t discount_ppm)
{
    struct pl_policy *policy = &build->parameters.policy;
    policy->liquidity_order[policy->liquidity_count++] = instrument;
    build->parameters.instruments[instrument].sale_discount_ppm = discount_ppm;
}

void build_finish(struct build *build)
{
    build->parameters.epoch++;
    must(pl_parameters_finish(&build->parameters, &build->names), "parameters");
}

void build_price(struct build *build, uint32_t instrument, int64_t ticks)
{
    struct pl_mark *mark = &build->marks[instrument];
    mark->status = PL_MARK_LIVE;
    mark->tick++;
    mark->mantissa = mark->low_mantissa = mark->high_mantissa = ticks;
    mark->exponent = -(int32_t)build->parameters.instruments[instrument].tick_decimals;
    mark->event_time_ms = build->now_ms;
    mark->source_count = 1;
}

void build_interval(struct build *build, uint32_t instrument, int64_t low_ticks, int64_t high_ticks)
{
    build->marks[instrument].low_mantissa = low_ticks;
    build->marks[instrument].high_mantissa = high_ticks;
}

void build_status(struct build *build, uint32_t instrument, enum pl_mark_status status)
{
    build->marks[instrument].status = status;
}

void build_update(struct build *build)
{
    pl_market_update(&build->market, &build->parameters, build->marks, build->now_ms);
}

struct pl_leg build_leg(uint32_t instrument, int64_t lots)
{
    return (struct pl_leg){.instrument = instrument, .lots = lots, .final_lots = lots};
}

struct pl_portfolio build_portfolio(const struct pl_leg *legs, uint32_t leg_count, pl_i128 cash_vu)
{
    return (struct pl_portfolio){
        .legs = legs, .leg_count = leg_count, .cash_vu = cash_vu, .final_cash_vu = cash_vu};
}

void build_assert_i128(pl_i128 value, pl_i128 expected, const char *what)
{
    char a[PL_I128_TEXT_BYTES], b[PL_I128_TEXT_BYTES];
    pl_i128_print(value, a);
    pl_i128_print(expected, b);
    if (value != expected)
        fail_msg("%s: %s, expected %s", what, a, b);
}
