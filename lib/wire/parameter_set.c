/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic parameters: one whole set of risk parameters. Names become numbers here (factors and
 * dependencies by place in the set, instruments by lib/exposure's table); whether the numbers make
 * sense is pl_parameters_finish's to say, by the rules V1 to V10. A set is read whole or refused.
 */
#include "plimsoll/v1/parameter_set.pb-c.h"

#include <assert.h>
#include <string.h>

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

enum { DECIMALS_READ_MAX = 255 }; /* beyond this a sum could wrap; V7 refuses most of it by name */

static_assert((int)PL_INSTRUMENT_SPOT ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__INSTRUMENT__KIND__KIND_SPOT &&
                  (int)PL_INSTRUMENT_PERP ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__INSTRUMENT__KIND__KIND_PERP &&
                  (int)PL_INSTRUMENT_FUTURE ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__INSTRUMENT__KIND__KIND_FUTURE &&
                  (int)PL_INSTRUMENT_VOLATILITY ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__INSTRUMENT__KIND__KIND_VOLATILITY &&
                  (int)PL_INSTRUMENT_STATISTIC ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__INSTRUMENT__KIND__KIND_STATISTIC,
              "instrument kind");
static_assert((int)PL_OPTION_PUT == (int)PLIMSOLL__V1__PARAMETER_SET__OPTION__TYPE__TYPE_PUT,
              "option type");
static_assert((int)PL_LAYER_UP == (int)PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP &&
                  (int)PL_LAYER_DOWN ==
                      (int)PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_DOWN,
              "scenario layer");

static enum pl_err read_ppm(const struct pl_place *place, struct pl_scalar field, int32_t *ppm)
{
    return pl_field_i32(place, field, INT32_MIN, INT32_MAX, ppm);
}

static enum pl_err read_tiers(const struct pl_place *parent, const char *name,
                              const Plimsoll__V1__ParameterSet__TierPpm *from,
                              struct pl_tier_ppm *tiers)
{
    const struct pl_place place = {parent, name, -1};
    if (!from)
        return pl_field_missing(parent, name);
    enum pl_err err = read_ppm(&place, PL_SCALAR(from, alert), &tiers->at[PL_TIER_ALERT]);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, initial), &tiers->at[PL_TIER_INITIAL]);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, end), &tiers->at[PL_TIER_END]);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, maintenance), &tiers->at[PL_TIER_MAINTENANCE]);
    return err;
}

/* Place of a name among the ids that the set declares. */
static enum pl_err find_declared(const struct pl_place *place, const char *field, const char *text,
                                 const struct pl_id *ids, uint32_t count, uint32_t *index)
{
    struct pl_id id;
    enum pl_err err = pl_field_id(place, field, text, &id);
    if (err)
        return err;
    for (*index = 0; *index < count; ++*index)
        if (pl_id_equal(&ids[*index], &id))
            return PL_OK;
    return pl_field_fail(PL_REJECT_UNKNOWN, place, field, ": %s is not declared in the set",
                         id.text);
}

static enum pl_err read_loads(const Plimsoll__V1__ParameterSet__Instrument *from,
                              const struct pl_parameters *parameters,
                              struct pl_instrument *instrument)
{
    enum pl_err err = pl_field_count(NULL, "factors", from->n_factors, PL_LOADS_MAX,
                                     &instrument->load_count);
    for (uint32_t i = 0; !err && i < instrument->load_count; i++) {
        const struct pl_place place = {NULL, "factors", (int)i};
        struct pl_load *load = &instrument->loads[i];
        err = find_declared(&place, "factor", from->factors[i]->factor, parameters->factors,
                            parameters->factor_count, &load->factor);
        if (!err)
            err = read_tiers(&place, "load", from->factors[i]->load, &load->load);
    }
    return err;
}

static enum pl_err read_brackets(const Plimsoll__V1__ParameterSet__Instrument *from,
                                 struct pl_instrument *instrument)
{
    enum pl_err err = pl_field_count(NULL, "brackets", from->n_brackets, PL_BRACKETS_MAX,
                                     &instrument->bracket_count);
    for (uint32_t i = 0; !err && i < instrument->bracket_count; i++) {
        const struct pl_place place = {NULL, "brackets", (int)i};
        struct pl_bracket *bracket = &instrument->brackets[i];
        err = pl_field_i64(&place, PL_SCALAR(from->brackets[i], threshold_usd), INT64_MIN,
                           INT64_MAX, &bracket->threshold_usd);
        if (!err)
            err = read_tiers(&place, "rate", from->brackets[i]->rate, &bracket->rate);
    }
    return err;
}

static enum pl_err read_losses(const Plimsoll__V1__ParameterSet__Instrument *from,
                               const struct pl_parameters *parameters,
                               struct pl_instrument *instrument)
{
    enum pl_err err = pl_field_count(NULL, "dependencies", from->n_dependencies, PL_LOSSES_MAX,
                                     &instrument->loss_count);
    for (uint32_t i = 0; !err && i < instrument->loss_count; i++) {
        const struct pl_place place = {NULL, "dependencies", (int)i};
        struct pl_loss *loss = &instrument->losses[i];
        err = find_declared(&place, "dependency", from->dependencies[i]->dependency,
                            parameters->dependencies, parameters->dependency_count,
                            &loss->dependency);
        if (!err)
            err = read_tiers(&place, "loss", from->dependencies[i]->loss, &loss->loss);
    }
    return err;
}

static enum pl_err read_price_rules(const Plimsoll__V1__ParameterSet__PriceRules *from,
                                    struct pl_price_rules *rules)
{
    const struct pl_place place = {NULL, "price_rules", -1};
    if (!from)
        return pl_field_missing(NULL, "price_rules");
    enum pl_err err = pl_field_count(&place, "sources", from->n_sources, PL_PRICE_SOURCES_MAX,
                                     &rules->source_count);
    for (uint32_t i = 0; !err && i < rules->source_count; i++)
        err = pl_field_id(&place, "sources", from->sources[i], &rules->sources[i]);
    if (!err)
        err = pl_field_u32(&place, PL_SCALAR(from, quorum), 0, UINT32_MAX, &rules->quorum);
    if (!err)
        err = pl_field_time(&place, PL_SCALAR(from, age_ms_max), &rules->age_ms_max);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, band_ppm), &rules->band_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, bad_mark_low_ppm), &rules->bad_mark_low_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, bad_mark_high_ppm), &rules->bad_mark_high_ppm);
    return err;
}

/* A field that may be absent: 0 then. */
static enum pl_err read_ppm_or_none(const struct pl_place *place, struct pl_scalar field,
                                    int32_t *ppm)
{
    return field.is_present ? read_ppm(place, field, ppm) : PL_OK;
}

static enum pl_err read_i64_or_none(const struct pl_place *place, struct pl_scalar field,
                                    int64_t *value)
{
    return field.is_present ? pl_field_i64(place, field, INT64_MIN, INT64_MAX, value) : PL_OK;
}

static enum pl_err read_scale(const struct pl_place *parent, const char *name,
                              const Plimsoll__V1__ParameterSet__HaircutModel__Scale *from,
                              struct pl_names *names, struct pl_haircut_scale *scale)
{
    const struct pl_place place = {parent, name, -1};
    struct pl_id id;
    if (!from)
        return PL_OK;
    enum pl_err err = pl_field_id(&place, "figure", from->figure, &id);
    if (!err)
        err = pl_names_intern(names, &id, &scale->figure);
    if (!err)
        err = pl_field_i64(&place, PL_SCALAR(from, from_usd), 0, INT64_MAX, &scale->from_usd);
    return err ? err : read_i64_or_none(&place, PL_SCALAR(from, to_usd), &scale->to_usd);
}

static enum pl_err read_scales(const struct pl_place *place,
                               const Plimsoll__V1__ParameterSet__HaircutModel *from,
                               struct pl_names *names, struct pl_haircut_model *model)
{
    struct pl_haircut_scale *scales = model->scales;
    enum pl_err err = read_scale(place, "deposits", from->deposits, names,
                                 &scales[PL_SCALE_DEPOSITS]);
    if (!err)
        err = read_scale(place, "borrows", from->borrows, names, &scales[PL_SCALE_BORROWS]);
    if (!err)
        err = read_scale(place, "open_interest", from->open_interest, names,
                         &scales[PL_SCALE_OPEN_INTEREST]);
    model->with_short = from->has_with_short && from->with_short;
    return err;
}

static enum pl_err read_haircut_model(const Plimsoll__V1__ParameterSet__HaircutModel *from,
                                      struct pl_names *names, struct pl_haircut_model *model)
{
    const struct pl_place place = {NULL, "haircut_model", -1};
    enum pl_err err = read_tiers(&place, "multiple", from->multiple, &model->multiple);
    model->is_present = true;
    if (!err)
        err = read_tiers(&place, "horizon", from->horizon, &model->horizon);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, venue_usd), &model->venue_usd);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, daily_volume_usd),
                               &model->daily_volume_usd);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, participation_ppm),
                               &model->participation_ppm);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, reference_usd), &model->reference_usd);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, impact_ppm), &model->impact_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, half_spread_ppm), &model->half_spread_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, buffer_ppm), &model->buffer_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, stress_volatility_ppm),
                               &model->stress_volatility_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, floor_volatility_ppm),
                               &model->floor_volatility_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, addition_ppm), &model->addition_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, cap_ppm), &model->cap_ppm);
    return err ? err : read_scales(&place, from, names, model);
}

static enum pl_err read_move(const struct pl_place *parent, const char *name,
                             const Plimsoll__V1__ParameterSet__Haircut__Move *from,
                             struct pl_haircut_move *move)
{
    const struct pl_place place = {parent, name, -1};
    if (!from)
        return PL_OK;
    enum pl_err err = read_ppm(&place, PL_SCALAR(from, from_ppm), &move->from_ppm);
    return err ? err : pl_field_i64(&place, PL_SCALAR(from, since_ms), 1, INT64_MAX,
                                    &move->since_ms);
}

static enum pl_err read_window(const struct pl_place *parent, const char *name,
                               const Plimsoll__V1__ParameterSet__Haircut__Window *from,
                               struct pl_haircut_window *window)
{
    const struct pl_place place = {parent, name, -1};
    if (!from)
        return PL_OK;
    enum pl_err err = pl_field_i64(&place, PL_SCALAR(from, since_ms), 1, INT64_MAX,
                                   &window->since_ms);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, low_ppm), &window->low_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, high_ppm), &window->high_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, before_low_ppm), &window->before_low_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, before_high_ppm), &window->before_high_ppm);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, rise_ppm), &window->rise_ppm);
    return err;
}

static enum pl_err read_haircut(const Plimsoll__V1__ParameterSet__Haircut *from,
                                struct pl_haircut *haircut)
{
    const struct pl_place place = {NULL, "haircut", -1};
    enum pl_err err = read_tiers(&place, "base_haircut", from->base_haircut, &haircut->base);
    haircut->is_present = true;
    if (!err)
        err = read_tiers(&place, "target", from->target, &haircut->target);
    if (!err && from->has_target_at_ms)
        err = pl_field_time(&place, PL_SCALAR(from, target_at_ms), &haircut->target_at_ms);
    if (!err)
        err = read_move(&place, "alert", from->alert, &haircut->moves[PL_TIER_ALERT]);
    if (!err)
        err = read_move(&place, "initial", from->initial, &haircut->moves[PL_TIER_INITIAL]);
    if (!err)
        err = read_move(&place, "end", from->end, &haircut->moves[PL_TIER_END]);
    if (!err)
        err = read_move(&place, "maintenance", from->maintenance,
                        &haircut->moves[PL_TIER_MAINTENANCE]);
    if (!err)
        err = pl_field_u32(&place, PL_SCALAR(from, volatility_fast_ppm), 0, UINT32_MAX,
                           &haircut->volatility_fast_ppm);
    if (!err)
        err = pl_field_u32(&place, PL_SCALAR(from, volatility_slow_ppm), 0, UINT32_MAX,
                           &haircut->volatility_slow_ppm);
    if (!err)
        err = read_tiers(&place, "close_out", from->close_out, &haircut->close_out);
    if (!err)
        err = read_tiers(&place, "buffer", from->buffer, &haircut->buffer);
    if (!err)
        err = read_tiers(&place, "stress", from->stress, &haircut->stress);
    if (!err)
        err = read_tiers(&place, "floor", from->floor, &haircut->floor);
    if (!err)
        err = read_ppm(&place, PL_SCALAR(from, liquidity_ppm), &haircut->liquidity_ppm);
    if (!err)
        err = read_window(&place, "day", from->day, &haircut->windows[PL_HAIRCUT_DAY]);
    if (!err)
        err = read_window(&place, "month", from->month, &haircut->windows[PL_HAIRCUT_MONTH]);
    if (!err)
        err = read_window(&place, "year", from->year, &haircut->windows[PL_HAIRCUT_YEAR]);
    haircut->has_short = from->base_short != NULL;
    if (!err && from->base_short)
        err = read_tiers(&place, "base_short", from->base_short, &haircut->base_short);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, deposits_usd),
                               &haircut->figures_usd[PL_SCALE_DEPOSITS]);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, borrows_usd),
                               &haircut->figures_usd[PL_SCALE_BORROWS]);
    if (!err)
        err = read_i64_or_none(&place, PL_SCALAR(from, open_interest_usd),
                               &haircut->figures_usd[PL_SCALE_OPEN_INTEREST]);
    return err;
}

/* What a sale at its venue is like; all of it may be absent. */
static enum pl_err read_venue(const Plimsoll__V1__ParameterSet__Instrument *from,
                              struct pl_instrument *instrument)
{
    enum pl_err err = pl_field_count(NULL, "depth", from->n_depth, PL_DEPTH_MAX,
                                     &instrument->depth_count);
    for (uint32_t i = 0; !err && i < instrument->depth_count; i++) {
        const struct pl_place place = {NULL, "depth", (int)i};
        const Plimsoll__V1__ParameterSet__Rung *rung = from->depth[i];
        err = pl_field_i64(&place, PL_SCALAR(rung, usd_max), INT64_MIN, INT64_MAX,
                           &instrument->depth[i].usd_max);
        if (!err)
            err = read_ppm(&place, PL_SCALAR(rung, discount_ppm),
                           &instrument->depth[i].discount_ppm);
    }
    if (!err)
        err = read_i64_or_none(NULL, PL_SCALAR(from, min_notional_usd),
                               &instrument->min_notional_usd);
    if (!err)
        err = read_i64_or_none(NULL, PL_SCALAR(from, lot_step), &instrument->lot_step);
    if (!err)
        err = read_i64_or_none(NULL, PL_SCALAR(from, slice_usd_max), &instrument->slice_usd_max);
    return err;
}

static enum pl_err read_confirmations(const Plimsoll__V1__ParameterSet__Instrument *from,
                                      struct pl_instrument *instrument)
{
    enum pl_err err = pl_field_count(NULL, "confirmations", from->n_confirmations,
                                     PL_CONFIRMATIONS_MAX, &instrument->confirmation_count);
    for (uint32_t i = 0; !err && i < instrument->confirmation_count; i++) {
        const struct pl_place place = {NULL, "confirmations", (int)i};
        const Plimsoll__V1__ParameterSet__Confirmations *row = from->confirmations[i];
        struct pl_confirmations *to = &instrument->confirmations[i];
        to->lots_max = INT64_MAX;
        err = pl_field_u32(&place, PL_SCALAR(row, blocks), 1, UINT32_MAX, &to->blocks);
        if (!err && row->has_lots_max)
            err = pl_field_i64(&place, PL_SCALAR(row, lots_max), 1, INT64_MAX, &to->lots_max);
        if (!err)
            err = read_ppm(&place, PL_SCALAR(row, weight_ppm), &to->weight_ppm);
    }
    return err;
}

/* The instrument that a field names, listed or not: whether it is, finish says. */
static enum pl_err read_name(const struct pl_place *place, const char *field, const char *text,
                             struct pl_names *names, uint32_t *index)
{
    struct pl_id id;
    enum pl_err err = pl_field_id(place, field, text, &id);
    return err ? err : pl_names_intern(names, &id, index);
}

static enum pl_err read_option(const Plimsoll__V1__ParameterSet__Option *from,
                               struct pl_names *names, struct pl_instrument *instrument)
{
    const struct pl_place place = {NULL, "option", -1};
    struct pl_option_terms *option = &instrument->option;
    uint32_t type = 0;
    enum pl_err err = pl_field_enum(&place, PL_SCALAR(from, type),
                                    &plimsoll__v1__parameter_set__option__type__descriptor, &type);
    option->type = (enum pl_option_type)type;
    if (!err)
        err = read_name(&place, "underlying", from->underlying, names, &option->underlying);
    if (!err)
        err = read_name(&place, "volatility", from->volatility, names, &option->volatility);
    if (!err)
        err = pl_field_i64(&place, PL_SCALAR(from, strike_ticks), INT64_MIN, INT64_MAX,
                           &option->strike_ticks);
    if (!err)
        err = pl_field_time(&place, PL_SCALAR(from, expiry_ms), &option->expiry_ms);
    option->averaging_ms = from->has_averaging_ms ? from->averaging_ms : 0;
    instrument->has_scenarios = true;
    instrument->scenario_underlying = option->underlying;
    return err;
}

static enum pl_err read_participation(const Plimsoll__V1__ParameterSet__Instrument *from,
                                      struct pl_names *names, struct pl_instrument *instrument)
{
    const bool is_option = instrument->kind == PL_INSTRUMENT_OPTION;
    if (is_option && !from->option)
        return pl_field_missing(NULL, "option");
    if (from->option && from->scenario_underlying)
        return pl_field_fail(PL_REJECT_CONFLICT, NULL, "scenario_underlying",
                             ": an option's is its own underlying");
    enum pl_err err = from->option ? read_option(from->option, names, instrument) : PL_OK;
    if (!err && from->scenario_underlying) {
        instrument->has_scenarios = true;
        err = read_name(NULL, "scenario_underlying", from->scenario_underlying, names,
                        &instrument->scenario_underlying);
    }
    return err;
}

static enum pl_err read_instrument(const Plimsoll__V1__ParameterSet__Instrument *from,
                                   struct pl_names *names, const struct pl_parameters *parameters,
                                   struct pl_instrument *instrument)
{
    uint32_t kind = 0;
    enum pl_err err = pl_field_enum(NULL, PL_SCALAR(from, kind),
                                    &plimsoll__v1__parameter_set__instrument__kind__descriptor,
                                    &kind);
    instrument->kind = (enum pl_instrument_kind)kind;
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, lot_decimals), 0, DECIMALS_READ_MAX,
                           &instrument->lot_decimals);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, tick_decimals), 0, DECIMALS_READ_MAX,
                           &instrument->tick_decimals);
    if (!err)
        err = read_tiers(NULL, "haircut_long", from->haircut_long, &instrument->haircut_long);
    if (!err)
        err = read_tiers(NULL, "haircut_short", from->haircut_short, &instrument->haircut_short);
    if (!err)
        err = read_loads(from, parameters, instrument);
    if (!err)
        err = read_brackets(from, instrument);
    if (!err)
        err = read_losses(from, parameters, instrument);
    if (!err)
        err = read_ppm(NULL, PL_SCALAR(from, confidence_ppm), &instrument->confidence_ppm);
    if (!err)
        err = read_ppm(NULL, PL_SCALAR(from, sale_discount_ppm), &instrument->sale_discount_ppm);
    if (!err)
        err = read_price_rules(from->price_rules, &instrument->price_rules);
    if (!err)
        err = pl_field_id_or_none(NULL, "chain", from->chain, &instrument->chain);
    if (!err)
        err = pl_field_id_or_none(NULL, "bridge", from->bridge, &instrument->bridge);
    if (!err)
        err = read_venue(from, instrument);
    if (!err)
        err = read_confirmations(from, instrument);
    if (!err && from->haircut_model)
        err = read_haircut_model(from->haircut_model, names, &instrument->haircut_model);
    if (!err && from->haircut)
        err = read_haircut(from->haircut, &instrument->haircut);
    if (!err)
        err = read_participation(from, names, instrument);
    return err;
}

static enum pl_err read_instruments(const Plimsoll__V1__ParameterSet *from, struct pl_names *names,
                                    struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "instruments", from->n_instruments, PL_INSTRUMENTS_MAX,
                                     &parameters->instrument_count);
    for (uint32_t i = 0; !err && i < parameters->instrument_count; i++) {
        const struct pl_place place = {NULL, "instruments", (int)i};
        struct pl_id id;
        uint32_t index = 0;
        err = pl_field_id(&place, "instrument", from->instruments[i]->instrument, &id);
        if (!err)
            err = pl_names_intern(names, &id, &index);
        if (err)
            return err;
        struct pl_instrument *instrument = &parameters->instruments[index];
        if (instrument->is_listed)
            return pl_field_fail(PL_REJECT_CONFLICT, &place, "instrument", ": %s is listed twice",
                                 id.text);
        instrument->is_listed = true;
        err = read_instrument(from->instruments[i], names, parameters, instrument);
        if (err)
            return pl_err_note(err, "instruments[%u] %s", i, id.text);
    }
    return err;
}

/* ---- pegs ------------------------------------------------------------------------------------ */

/* An instrument of the set, named by another. */
static enum pl_err find_listed(const struct pl_place *place, const char *field, const char *text,
                               const struct pl_names *names,
                               const struct pl_parameters *parameters, uint32_t *index)
{
    struct pl_id id;
    enum pl_err err = pl_field_id(place, field, text, &id);
    if (!err && (!pl_names_find(names, &id, index) || !parameters->instruments[*index].is_listed))
        err = pl_field_fail(PL_REJECT_UNKNOWN, place, field, ": %s is not among the instruments",
                            id.text);
    return err;
}

static enum pl_err read_peg_inputs(const Plimsoll__V1__ParameterSet__Peg *from,
                                   const struct pl_names *names,
                                   const struct pl_parameters *parameters, struct pl_peg *peg)
{
    const struct pl_place place = {NULL, "peg", -1};
    enum pl_err err = find_listed(&place, "underlying", from->underlying, names, parameters,
                                  &peg->base);
    if (!err)
        err = find_listed(&place, "redemption", from->redemption, names, parameters,
                          &peg->redemption);
    if (!err)
        err = pl_field_count(&place, "markets", from->n_markets, PL_PEG_MARKETS_MAX,
                             &peg->market_count);
    for (uint32_t i = 0; !err && i < peg->market_count; i++) {
        const struct pl_place market = {&place, "markets", (int)i};
        err = find_listed(&market, "instrument", from->markets[i]->instrument, names, parameters,
                          &peg->markets[i].instrument);
        if (!err)
            err = pl_field_time(&market, PL_SCALAR(from->markets[i], window_ms),
                                &peg->markets[i].window_ms);
    }
    return err;
}

/* The cap is rounded down, below what is meant. */
static enum pl_err read_peg_cap(const struct pl_place *place,
                                const Plimsoll__V1__ParameterSet__Peg *from, struct pl_peg *peg)
{
    int64_t mantissa = 0;
    int32_t exponent = 0;
    enum pl_err err = pl_field_decimal(place, "cap_ratio", from->cap_ratio, &mantissa, &exponent);
    if (!err)
        err = pl_rescale(mantissa, exponent, 12, PL_ROUND_FLOOR, &peg->cap_ratio_e12);
    if (!err && peg->cap_ratio_e12 < 1)
        err = pl_field_fail(PL_REJECT_RANGE, place, "cap_ratio", ": not above zero");
    return err ? err : pl_field_time(place, PL_SCALAR(from, cap_since_ms), &peg->cap_since_ms);
}

static enum pl_err read_peg(const Plimsoll__V1__ParameterSet__Peg *from,
                            const struct pl_names *names, const struct pl_parameters *parameters,
                            struct pl_peg *peg)
{
    const struct pl_place place = {NULL, "peg", -1};
    uint32_t issuer = 0, rounding = 0;
    peg->is_present = true;
    enum pl_err err = read_peg_inputs(from, names, parameters, peg);
    if (!err && from->cap_ratio)
        err = read_peg_cap(&place, from, peg);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, cap_growth_ppm_per_year),
                               &peg->cap_growth_ppm);
    if (!err)
        err = read_ppm_or_none(&place, PL_SCALAR(from, floor_ppm), &peg->floor_ppm);
    if (!err && from->has_issuer)
        err = pl_field_enum(&place, PL_SCALAR(from, issuer),
                            &plimsoll__v1__parameter_set__peg__issuer__descriptor, &issuer);
    if (!err && from->has_rounding)
        err = pl_field_enum(&place, PL_SCALAR(from, rounding),
                            &plimsoll__v1__parameter_set__peg__rounding__descriptor, &rounding);
    peg->has_issuer_failed = issuer == PLIMSOLL__V1__PARAMETER_SET__PEG__ISSUER__ISSUER_FAILED;
    peg->rounds_up = rounding == PLIMSOLL__V1__PARAMETER_SET__PEG__ROUNDING__ROUNDING_UP;
    return err;
}

/* When all instruments have their numbers. */
static enum pl_err read_pegs(const Plimsoll__V1__ParameterSet *from, const struct pl_names *names,
                             struct pl_parameters *parameters)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < parameters->instrument_count; i++) {
        const struct pl_place place = {NULL, "instruments", (int)i};
        uint32_t index = 0;
        if (!from->instruments[i]->peg)
            continue;
        err = find_listed(&place, "instrument", from->instruments[i]->instrument, names, parameters,
                          &index);
        if (!err)
            err = read_peg(from->instruments[i]->peg, names, parameters,
                           &parameters->instruments[index].peg);
        if (err)
            err = pl_err_note(err, "instruments[%u] %s", i, from->instruments[i]->instrument);
    }
    return err;
}

static enum pl_err read_weight(const struct pl_place *place,
                               const Plimsoll__V1__ParameterSet__Mode__Weight *from,
                               const struct pl_names *names, const struct pl_parameters *parameters,
                               struct pl_mode_weight *weight)
{
    enum pl_err err = find_listed(place, "instrument", from->instrument, names, parameters,
                                  &weight->instrument);
    if (!err)
        err = read_tiers(place, "haircut_long", from->haircut_long, &weight->haircut_long);
    if (!err)
        weight->haircut_short = parameters->instruments[weight->instrument].haircut_short;
    if (!err && from->haircut_short)
        err = read_tiers(place, "haircut_short", from->haircut_short, &weight->haircut_short);
    if (!err)
        weight->bonus_ppm = parameters->instruments[weight->instrument].bonus_ppm;
    if (!err && from->has_bonus_ppm && parameters->instruments[weight->instrument].contract == 0)
        err = pl_field_fail(PL_REJECT_CONFLICT, place, "bonus_ppm", ": no contract holds %s",
                            from->instrument);
    if (!err && from->has_bonus_ppm)
        err = read_ppm_or_none(place, PL_SCALAR(from, bonus_ppm), &weight->bonus_ppm);
    return err;
}

/* Where the mode's weights go: to its number, or to the debt that lends by them. */
static enum pl_err find_mode(const struct pl_place *place, const Plimsoll__V1__ParameterSet__Mode *from,
                             const struct pl_names *names, struct pl_parameters *parameters,
                             struct pl_mode **mode)
{
    uint32_t number = 0;
    enum pl_err err = PL_OK;
    if ((from->has_mode != 0) == (from->debt != NULL))
        return pl_field_fail(PL_REJECT_CONFLICT, place, "mode", ": a mode has a number or a debt, and not "
                             "both");
    if (from->debt)
        err = find_listed(place, "debt", from->debt, names, parameters, &number);
    else
        err = pl_field_u32(place, PL_SCALAR(from, mode), 1, PL_MODES_MAX - 1, &number);
    if (err)
        return err;
    *mode = from->debt ? &parameters->instruments[number].lent_on : &parameters->modes[number];
    if ((*mode)->is_present)
        return pl_field_fail(PL_REJECT_CONFLICT, place, from->debt ? "debt" : "mode",
                             ": it is there twice");
    return PL_OK;
}

/* When all instruments have their numbers. */
static enum pl_err read_modes(const Plimsoll__V1__ParameterSet *from, const struct pl_names *names,
                              struct pl_parameters *parameters)
{
    for (size_t i = 0; i < from->n_modes; i++) {
        const struct pl_place place = {NULL, "modes", (int)i};
        const Plimsoll__V1__ParameterSet__Mode *stated = from->modes[i];
        struct pl_mode *mode = NULL;
        enum pl_err err = find_mode(&place, stated, names, parameters, &mode);
        if (!err && stated->n_weights > PL_MODE_WEIGHTS_MAX - parameters->mode_weight_count)
            err = pl_field_fail(PL_REJECT_SIZE, &place, "weights", ": more than %d in all",
                                PL_MODE_WEIGHTS_MAX);
        if (err)
            return err;
        *mode = (struct pl_mode){true, parameters->mode_weight_count, (uint32_t)stated->n_weights};
        for (size_t k = 0; k < stated->n_weights; k++) {
            const struct pl_place weight = {&place, "weights", (int)k};
            if (stated->debt && (stated->weights[k]->haircut_short || stated->weights[k]->has_bonus_ppm))
                return pl_field_fail(PL_REJECT_CONFLICT, &weight,
                                     stated->weights[k]->haircut_short ? "haircut_short" : "bonus_ppm",
                                     ": what a debt is lent on changes nothing but haircut_long");
            err = read_weight(&weight, stated->weights[k], names, parameters,
                              &parameters->mode_weights[parameters->mode_weight_count++]);
            if (err)
                return err;
        }
    }
    return PL_OK;
}

static enum pl_err read_ids(const Plimsoll__V1__ParameterSet *from,
                            struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "factors", from->n_factors, PL_FACTORS_MAX,
                                     &parameters->factor_count);
    for (uint32_t i = 0; !err && i < parameters->factor_count; i++)
        err = pl_field_id(&(struct pl_place){NULL, "factors", (int)i}, "factor",
                          from->factors[i]->factor, &parameters->factors[i]);
    if (!err)
        err = pl_field_count(NULL, "dependencies", from->n_dependencies, PL_DEPENDENCIES_MAX,
                             &parameters->dependency_count);
    for (uint32_t i = 0; !err && i < parameters->dependency_count; i++)
        err = pl_field_id(&(struct pl_place){NULL, "dependencies", (int)i}, "dependency",
                          from->dependencies[i]->dependency, &parameters->dependencies[i]);
    return err;
}

/* ---- exposures ------------------------------------------------------------------------------ */

static enum pl_err read_dependency(const struct pl_place *place, const char *field,
                                   const char *text, const struct pl_parameters *parameters,
                                   uint32_t *index)
{
    return find_declared(place, field, text, parameters->dependencies,
                         parameters->dependency_count, index);
}

static enum pl_err read_start(const struct pl_place *place,
                              const Plimsoll__V1__ParameterSet__Exposure *from,
                              const struct pl_names *names, const struct pl_parameters *parameters,
                              struct pl_edge *edge)
{
    edge->instrument = UINT32_MAX;
    if (from->instrument && from->from)
        return pl_field_fail(PL_REJECT_CONFLICT, place, "from",
                             ": there is an instrument already; an edge has one start");
    if (!from->instrument)
        return read_dependency(place, "from", from->from, parameters, &edge->from);
    return find_listed(place, "instrument", from->instrument, names, parameters,
                       &edge->instrument);
}

static enum pl_err read_exposures(const Plimsoll__V1__ParameterSet *from,
                                  const struct pl_names *names, struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "exposures", from->n_exposures, PL_EDGES_MAX,
                                     &parameters->edge_count);
    for (uint32_t i = 0; !err && i < parameters->edge_count; i++) {
        const struct pl_place place = {NULL, "exposures", (int)i};
        struct pl_edge *edge = &parameters->edges[i];
        err = read_start(&place, from->exposures[i], names, parameters, edge);
        if (!err)
            err = read_dependency(&place, "to", from->exposures[i]->to, parameters, &edge->to);
        if (!err)
            err = read_tiers(&place, "loss", from->exposures[i]->loss, &edge->loss);
        if (!err)
            err = read_ppm_or_none(&place, PL_SCALAR(from->exposures[i], coverage_ppm),
                                   &edge->coverage_ppm);
    }
    return err;
}

/* An edge from each member, behind the exposures. */
static enum pl_err read_joint_failure(const struct pl_place *place,
                                      const Plimsoll__V1__ParameterSet__JointFailure *from,
                                      struct pl_parameters *parameters)
{
    struct pl_edge edge = {.instrument = UINT32_MAX};
    uint32_t count = 0;
    enum pl_err err = read_dependency(place, "dependency", from->dependency, parameters, &edge.to);
    if (!err)
        err = read_tiers(place, "loss", from->loss, &edge.loss);
    if (!err)
        err = pl_field_count(place, "members", from->n_members,
                             PL_EDGES_MAX - parameters->edge_count, &count);
    if (!err && count == 0)
        err = pl_field_missing(place, "members");
    for (uint32_t i = 0; !err && i < count; i++) {
        err = read_dependency(place, "members", from->members[i], parameters, &edge.from);
        parameters->edges[parameters->edge_count++] = edge;
    }
    return err;
}

static enum pl_err read_joint_failures(const Plimsoll__V1__ParameterSet *from,
                                       struct pl_parameters *parameters)
{
    uint32_t count = 0;
    enum pl_err err = pl_field_count(NULL, "joint_failures", from->n_joint_failures,
                                     PL_DEPENDENCIES_MAX, &count);
    for (uint32_t i = 0; !err && i < count; i++)
        err = read_joint_failure(&(struct pl_place){NULL, "joint_failures", (int)i},
                                 from->joint_failures[i], parameters);
    return err;
}

/* ---- the set -------------------------------------------------------------------------------- */

static enum pl_err read_sources(const Plimsoll__V1__ParameterSet *from,
                                struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "sources", from->n_sources, PL_SOURCES_MAX,
                                     &parameters->source_count);
    for (uint32_t i = 0; !err && i < parameters->source_count; i++) {
        const struct pl_place place = {NULL, "sources", (int)i};
        struct pl_source *source = &parameters->sources[i];
        uint32_t settlement = 0;
        err = pl_field_id(&place, "source", from->sources[i]->source, &source->id);
        if (!err)
            err = pl_field_enum(&place, PL_SCALAR(from->sources[i], settlement),
                                &plimsoll__v1__parameter_set__source__settlement__descriptor,
                                &settlement);
        source->settles_by_time =
            settlement == PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_BY_TIME;
    }
    return err;
}

static enum pl_err read_assets(const struct pl_place *place,
                               const Plimsoll__V1__ParameterSet__Contract *from, uint32_t contract,
                               const struct pl_names *names, struct pl_parameters *parameters)
{
    enum pl_err err = PL_OK;
    for (size_t i = 0; !err && i < from->n_assets; i++) {
        const struct pl_place asset = {place, "assets", (int)i};
        struct pl_id id;
        uint32_t index = 0;
        err = pl_field_id(&asset, "instrument", from->assets[i]->instrument, &id);
        if (err)
            return err;
        if (!pl_names_find(names, &id, &index) || !parameters->instruments[index].is_listed)
            return pl_field_fail(PL_REJECT_UNKNOWN, &asset, "instrument",
                                 ": %s is not among the instruments", id.text);
        struct pl_instrument *instrument = &parameters->instruments[index];
        if (instrument->contract != 0)
            return pl_field_fail(PL_REJECT_CONFLICT, &asset, "instrument",
                                 ": %s is in a contract already", id.text);
        instrument->contract = contract + 1;
        err = pl_field_id_or_none(&asset, "token", from->assets[i]->token, &instrument->token);
        if (!err)
            err = read_ppm_or_none(&asset, PL_SCALAR(from->assets[i], bonus_ppm),
                                   &instrument->bonus_ppm);
    }
    return err;
}

static enum pl_err read_contract(const struct pl_place *place,
                                 const Plimsoll__V1__ParameterSet__Contract *from,
                                 struct pl_contract *contract)
{
    uint32_t rule = 0;
    enum pl_err err = pl_field_id(place, "contract", from->contract, &contract->id);
    if (!err)
        err = pl_field_id(place, "chain", from->chain, &contract->chain);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, rule),
                            &plimsoll__v1__parameter_set__contract__rule__descriptor, &rule);
    contract->rule = (enum pl_contract_rule)rule;
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, close_factor_ppm),
                               &contract->close_factor_ppm);
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, full_below_ppm), &contract->full_below_ppm);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, small_usd), &contract->small_usd);
    return err;
}

static enum pl_err read_contracts(const Plimsoll__V1__ParameterSet *from,
                                  const struct pl_names *names, struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "contracts", from->n_contracts, PL_CONTRACTS_MAX,
                                     &parameters->contract_count);
    for (uint32_t i = 0; !err && i < parameters->contract_count; i++) {
        const struct pl_place place = {NULL, "contracts", (int)i};
        err = read_contract(&place, from->contracts[i], &parameters->contracts[i]);
        if (!err)
            err = read_assets(&place, from->contracts[i], i, names, parameters);
    }
    return err;
}

static enum pl_err read_liquidity_order(const struct pl_place *place,
                                        const Plimsoll__V1__ParameterSet__Policy *from,
                                        const struct pl_names *names,
                                        const struct pl_parameters *parameters,
                                        struct pl_policy *policy)
{
    enum pl_err err = pl_field_count(place, "liquidity_order", from->n_liquidity_order,
                                     PL_INSTRUMENTS_MAX, &policy->liquidity_count);
    for (uint32_t i = 0; !err && i < policy->liquidity_count; i++) {
        struct pl_id id;
        err = pl_field_id(place, "liquidity_order", from->liquidity_order[i], &id);
        uint32_t *index = &policy->liquidity_order[i];
        if (!err &&
            (!pl_names_find(names, &id, index) || !parameters->instruments[*index].is_listed))
            err = pl_field_fail(PL_REJECT_UNKNOWN, place, "liquidity_order",
                                "[%u]: %s is not among the instruments", i, id.text);
    }
    return err;
}

static enum pl_err read_objective(const struct pl_place *place,
                                  const Plimsoll__V1__ParameterSet__Policy *from,
                                  struct pl_policy *policy)
{
    uint32_t objective = 0;
    policy->sale_objective = PL_SALE_LIQUIDITY_ORDER;
    if (!from->has_objective)
        return PL_OK;
    enum pl_err err = pl_field_enum(place, PL_SCALAR(from, objective),
                                    &plimsoll__v1__parameter_set__policy__objective__descriptor,
                                    &objective);
    if (objective == PLIMSOLL__V1__PARAMETER_SET__POLICY__OBJECTIVE__OBJECTIVE_LEAST_COST)
        policy->sale_objective = PL_SALE_LEAST_COST;
    return err;
}

static enum pl_err read_policy(const struct pl_place *place,
                               const Plimsoll__V1__ParameterSet__Policy *from,
                               const struct pl_names *names, const struct pl_parameters *parameters,
                               struct pl_policy *policy)
{
    enum pl_err err = read_liquidity_order(place, from, names, parameters, policy);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, order_valid_ms), &policy->order_valid_ms);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, order_overdue_ms), &policy->order_overdue_ms);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, revision_pause_ms), &policy->revision_pause_ms);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, restricted_hold_ms),
                            &policy->restricted_hold_ms);
    if (!err)
        err = read_ppm(place, PL_SCALAR(from, alert_hysteresis_ppm), &policy->alert_hysteresis_ppm);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, watermark_age_ms_max),
                            &policy->watermark_age_ms_max);
    if (!err && from->has_halt_ramp_ms)
        err = pl_field_time(place, PL_SCALAR(from, halt_ramp_ms), &policy->halt_ramp_ms);
    if (!err)
        err = read_objective(place, from, policy);
    policy->close_hopeless = from->has_close_hopeless && from->close_hopeless;
    policy->call_interval_ms_min = policy->grace_ms = policy->bad_debt_dust_usd = 0;
    if (!err && from->has_call_interval_ms_min)
        err = pl_field_time(place, PL_SCALAR(from, call_interval_ms_min),
                            &policy->call_interval_ms_min);
    if (!err && from->has_grace_ms)
        err = pl_field_time(place, PL_SCALAR(from, grace_ms), &policy->grace_ms);
    policy->close_factor_ppm = 0;
    policy->close_full_below_usd = 0;
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, close_factor_ppm), &policy->close_factor_ppm);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, close_full_below_usd),
                               &policy->close_full_below_usd);
    policy->close_full_below_health_ppm = 0;
    policy->close_leftover_usd_min = 0;
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, close_full_below_health_ppm),
                               &policy->close_full_below_health_ppm);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, close_leftover_usd_min),
                               &policy->close_leftover_usd_min);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, bad_debt_dust_usd),
                               &policy->bad_debt_dust_usd);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, brake_window_ms), &policy->brake_window_ms);
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, brake_depth_ppm), &policy->brake_depth_ppm);
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, haircut_rise_ppm_per_hour),
                               &policy->haircut_rise_ppm_per_hour);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, haircut_hold_ms), &policy->haircut_hold_ms);
    if (!err)
        err = read_ppm_or_none(place, PL_SCALAR(from, haircut_fall_ppm_per_day),
                               &policy->haircut_fall_ppm_per_day);
    if (!err)
        err = read_i64_or_none(place, PL_SCALAR(from, haircut_interval_ms),
                               &policy->haircut_interval_ms);
    return err;
}

/* One policy for every account today; a set that asks for more is not silently given less. */
static enum pl_err read_policies(const Plimsoll__V1__ParameterSet *from,
                                 const struct pl_names *names, struct pl_parameters *parameters)
{
    const struct pl_place place = {NULL, "policies", 0};
    if (from->n_policies == 0)
        return pl_err_set(PL_REJECT_PARAMETERS, "no policy: write one named \"default\"");
    const Plimsoll__V1__ParameterSet__Policy *policy = from->policies[0];
    if (!policy->policy)
        return pl_field_missing(&place, "policy");
    if (from->n_policies > 1 || strcmp(policy->policy, "default") != 0)
        return pl_err_set(PL_REJECT_PARAMETERS, "policies: one named \"default\" is supported, "
                                                "nothing else");
    return read_policy(&place, policy, names, parameters, &parameters->policy);
}

static enum pl_err read_shock(const Plimsoll__V1__ParameterSet__OptionShock *from,
                              struct pl_option_shock *shock)
{
    const struct pl_place place = {NULL, "option_shock", -1};
    const struct { struct pl_scalar field; int32_t least, most, *to; } fields[] = {
        {PL_SCALAR(from, up_ppm), 0, INT32_MAX, &shock->up_ppm},
        {PL_SCALAR(from, down_ppm), 0, INT32_MAX, &shock->down_ppm},
        {PL_SCALAR(from, floor_ppm), 0, 100 * PL_PPM, &shock->floor_ppm},
        {PL_SCALAR(from, days_floor_ppm), 1, INT32_MAX, &shock->days_floor_ppm},
        {PL_SCALAR(from, power_short_ppm), 0, PL_PPM, &shock->power_short_ppm},
        {PL_SCALAR(from, power_long_ppm), 0, PL_PPM, &shock->power_long_ppm},
        {PL_SCALAR(from, rate_ppm), 0, PL_PPM, &shock->rate_ppm},
    };
    enum pl_err err = PL_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && !err; i++)
        err = pl_field_i32(&place, fields[i].field, fields[i].least, fields[i].most, fields[i].to);
    return err ? err : pl_field_time(&place, PL_SCALAR(from, look_ahead_ms),
                                     &shock->look_ahead_ms);
}

static enum pl_err read_scenarios(const Plimsoll__V1__ParameterSet *from,
                                  struct pl_parameters *parameters)
{
    enum pl_err err = pl_field_count(NULL, "scenarios", from->n_scenarios, PL_OPTION_SCENARIOS_MAX,
                                     &parameters->scenario_count);
    for (uint32_t i = 0; !err && i < parameters->scenario_count; i++) {
        const struct pl_place place = {NULL, "scenarios", (int)i};
        struct pl_option_scenario *scenario = &parameters->scenarios[i];
        uint32_t layer = 0;
        err = read_ppm(&place, PL_SCALAR(from->scenarios[i], move_ppm), &scenario->move_ppm);
        if (!err)
            err = pl_field_enum(&place, PL_SCALAR(from->scenarios[i], layer),
                                &plimsoll__v1__parameter_set__scenario__layer__descriptor, &layer);
        scenario->layer = (enum pl_layer)layer;
        if (!err)
            err = read_tiers(&place, "weight", from->scenarios[i]->weight, &scenario->weight);
    }
    if (!err && from->short_option_minimum)
        err = read_tiers(NULL, "short_option_minimum", from->short_option_minimum,
                         &parameters->short_minimum);
    if (!err && from->option_shock)
        err = read_shock(from->option_shock, &parameters->option_shock);
    return err;
}

enum pl_err pl_wire_parameters_decode(struct pl_wire *wire, struct pl_names *names,
                                      struct pl_bytes_view value, struct pl_parameters *parameters)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__ParameterSet *from = pl_wire_unpack(&wire->decode, PL_TOPIC_PARAMETERS,
                                                            value, &err);
    if (!from)
        return err;
    memset(parameters, 0, sizeof(*parameters));
    err = pl_field_u64(NULL, PL_SCALAR(from, epoch), 1, UINT64_MAX, &parameters->epoch);
    if (!err && from->has_base_epoch)
        err = pl_field_u64(NULL, PL_SCALAR(from, base_epoch), 1, UINT64_MAX,
                           &parameters->base_epoch);
    if (!err)
        err = read_ids(from, parameters);
    if (!err)
        err = read_sources(from, parameters);
    if (!err)
        err = read_scenarios(from, parameters);
    if (!err)
        err = read_instruments(from, names, parameters);
    if (!err)
        err = read_contracts(from, names, parameters);
    if (!err)
        err = read_pegs(from, names, parameters);
    if (!err)
        err = read_modes(from, names, parameters);
    if (!err)
        err = read_exposures(from, names, parameters);
    if (!err)
        err = read_joint_failures(from, parameters);
    if (!err)
        err = read_policies(from, names, parameters);
    return err ? err : pl_parameters_finish(parameters, names);
}
