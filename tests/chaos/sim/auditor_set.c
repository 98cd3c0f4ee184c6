/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's own reading of parameter sets, by the rules V1 to V7 of plimsoll.h: in force, or
 * bad.
 */
#include <string.h>

#include "tests/chaos/sim/auditor_graph.h"

bool auditor_read_tiers(const Plimsoll__V1__ParameterSet__TierPpm *from, struct tiers *tiers)
{
    if (!from || !from->has_alert || !from->has_initial || !from->has_end || !from->has_maintenance)
        return false;
    tiers->at[PL_TIER_ALERT] = from->alert;
    tiers->at[PL_TIER_INITIAL] = from->initial;
    tiers->at[PL_TIER_END] = from->end;
    tiers->at[PL_TIER_MAINTENANCE] = from->maintenance;
    return true;
}

static int64_t size_of(int64_t number)
{
    return number < 0 ? -number : number;
}

/* V6: what raises a requirement is nested. */
bool auditor_is_nested(const struct tiers *tiers)
{
    return size_of(tiers->at[PL_TIER_ALERT]) >= size_of(tiers->at[PL_TIER_INITIAL]) &&
           size_of(tiers->at[PL_TIER_INITIAL]) >= size_of(tiers->at[PL_TIER_END]) &&
           size_of(tiers->at[PL_TIER_END]) >= size_of(tiers->at[PL_TIER_MAINTENANCE]);
}

static bool is_not_negative(const struct tiers *tiers)
{
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (tiers->at[t] < 0)
            return false;
    return true;
}

static int place_of_factor(const Plimsoll__V1__ParameterSet *set, const char *name)
{
    for (size_t i = 0; name && i < set->n_factors; i++)
        if (strcmp(set->factors[i]->factor, name) == 0)
            return (int)i;
    return -1;
}

int auditor_place_of(const Plimsoll__V1__ParameterSet *set, const char *name)
{
    for (size_t i = 0; name && i < set->n_dependencies; i++)
        if (strcmp(set->dependencies[i]->dependency, name) == 0)
            return (int)i;
    return -1;
}

static bool read_weights(const Plimsoll__V1__ParameterSet *set,
                         const Plimsoll__V1__ParameterSet__Instrument *from, struct rules *rules)
{
    if (from->n_factors > PL_LOADS_MAX || from->n_brackets > PL_BRACKETS_MAX ||
        from->n_dependencies > PL_LOSSES_MAX ||
        !auditor_read_tiers(from->haircut_long, &rules->haircut_long) ||
        !auditor_read_tiers(from->haircut_short, &rules->haircut_short))
        return false;
    rules->load_count = (int)from->n_factors;
    rules->bracket_count = (int)from->n_brackets;
    rules->loss_count = (int)from->n_dependencies;
    for (int i = 0; i < rules->load_count; i++) {
        rules->loads[i].factor = place_of_factor(set, from->factors[i]->factor);
        if (rules->loads[i].factor < 0 ||
            !auditor_read_tiers(from->factors[i]->load, &rules->loads[i].load) ||
            !auditor_is_nested(&rules->loads[i].load))
            return false;
        for (int j = 0; j < i; j++)
            if (rules->loads[j].factor == rules->loads[i].factor)
                return false;
    }
    for (int i = 0; i < rules->loss_count; i++) {
        rules->losses[i].dependency = auditor_place_of(set, from->dependencies[i]->dependency);
        if (rules->losses[i].dependency < 0 ||
            !auditor_read_tiers(from->dependencies[i]->loss, &rules->losses[i].loss) ||
            !auditor_is_nested(&rules->losses[i].loss) || !is_not_negative(&rules->losses[i].loss))
            return false;
        for (int j = 0; j < i; j++)
            if (rules->losses[j].dependency == rules->losses[i].dependency)
                return false;
    }
    for (int i = 0; i < rules->bracket_count; i++) {
        if (!from->brackets[i]->has_threshold_usd ||
            !auditor_read_tiers(from->brackets[i]->rate, &rules->brackets[i].rate))
            return false;
        rules->brackets[i].threshold_usd = from->brackets[i]->threshold_usd;
        int64_t least = i ? rules->brackets[i - 1].threshold_usd + 1 : 0;
        if (rules->brackets[i].threshold_usd < least || !auditor_is_nested(&rules->brackets[i].rate))
            return false; /* V2, V6 */
        for (int t = 0; t < PL_TIER_COUNT; t++)
            if (rules->brackets[i].rate.at[t] < (i ? rules->brackets[i - 1].rate.at[t] : 0))
                return false; /* V2 */
    }
    return true;
}

static bool read_price_rules(const Plimsoll__V1__ParameterSet__PriceRules *from,
                             struct rules *rules)
{
    if (!from || from->n_sources > PL_PRICE_SOURCES_MAX || !from->has_quorum || from->quorum < 1 ||
        from->quorum > from->n_sources || !from->has_age_ms_max || from->age_ms_max <= 0 ||
        !from->has_band_ppm || from->band_ppm <= 0 || !from->has_bad_mark_low_ppm ||
        from->bad_mark_low_ppm < 0 || from->bad_mark_low_ppm > PL_PPM ||
        !from->has_bad_mark_high_ppm || from->bad_mark_high_ppm < PL_PPM)
        return false;
    for (size_t i = 0; i < from->n_sources; i++) {
        if (!auditor_is_id(from->sources[i]))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(from->sources[i], from->sources[j]) == 0)
                return false;
    }
    rules->age_ms_max = from->age_ms_max;
    rules->bad_low = from->bad_mark_low_ppm;
    rules->bad_high = from->bad_mark_high_ppm;
    return true;
}

static bool is_ordered(const struct tiers *tiers)
{
    return tiers->at[PL_TIER_ALERT] >= tiers->at[PL_TIER_INITIAL] &&
           tiers->at[PL_TIER_INITIAL] >= tiers->at[PL_TIER_END] &&
           tiers->at[PL_TIER_END] >= tiers->at[PL_TIER_MAINTENANCE];
}

static bool is_between(bool is_present, int64_t value, int64_t least, int64_t most)
{
    return !is_present || (value >= least && value <= most);
}

/* What a figure of the venue has to have beside its name; that it is a statistic is_scaled_by_statistics
 * says. */
static bool is_scale(const Plimsoll__V1__ParameterSet__HaircutModel__Scale *from, bool is_range)
{
    if (!from)
        return true;
    return auditor_is_id(from->figure) && from->has_from_usd &&
           (is_range ? from->from_usd >= 0 && from->to_usd > from->from_usd
                     : from->from_usd > 0 && from->to_usd == 0);
}

/* Where a haircut may follow volatility: numbers in range, and what they need beside them. */
static bool read_model(const Plimsoll__V1__ParameterSet__HaircutModel *from, struct rules *rules)
{
    struct tiers multiple, horizon;
    if (!auditor_read_tiers(from->multiple, &multiple) || !auditor_read_tiers(from->horizon, &horizon) ||
        !is_ordered(&multiple) || !is_ordered(&horizon) || multiple.at[PL_TIER_MAINTENANCE] < 0 ||
        horizon.at[PL_TIER_MAINTENANCE] < 1 || !from->has_cap_ppm ||
        !is_between(true, from->cap_ppm, 1, PL_PPM))
        return false;
    rules->cap = from->cap_ppm;
    const bool has_venue = from->has_venue_usd && from->venue_usd != 0;
    const bool has_reference = from->has_reference_usd && from->reference_usd != 0;
    return is_between(from->has_venue_usd, from->venue_usd, 0, INT64_MAX) &&
           is_between(from->has_reference_usd, from->reference_usd, 0, INT64_MAX) &&
           is_between(has_venue || has_reference || from->has_daily_volume_usd,
                      from->daily_volume_usd, has_venue || has_reference, INT64_MAX) &&
           is_between(has_venue || from->has_participation_ppm, from->participation_ppm, has_venue,
                      PL_PPM) &&
           is_between(has_reference || from->has_impact_ppm, from->impact_ppm, has_reference,
                      100 * PL_PPM) &&
           is_between(from->has_half_spread_ppm, from->half_spread_ppm, 0, PL_PPM) &&
           is_between(from->has_buffer_ppm, from->buffer_ppm, 0, PL_PPM) &&
           is_between(from->has_stress_volatility_ppm, from->stress_volatility_ppm, 0, INT32_MAX) &&
           is_between(from->has_floor_volatility_ppm, from->floor_volatility_ppm, 0, INT32_MAX) &&
           is_between(from->has_addition_ppm, from->addition_ppm, 0, PL_PPM) &&
           is_scale(from->deposits, false) && is_scale(from->borrows, false) &&
           is_scale(from->open_interest, true);
}

static bool is_window(const Plimsoll__V1__ParameterSet__Haircut__Window *from)
{
    return !from || (from->has_since_ms && from->since_ms > 0 && from->has_low_ppm &&
                     from->has_high_ppm && from->has_before_low_ppm && from->has_before_high_ppm &&
                     from->has_rise_ppm && from->low_ppm >= -(1 << 23) &&
                     from->low_ppm <= from->high_ppm && from->before_low_ppm >= -(1 << 23) &&
                     from->before_low_ppm <= from->before_high_ppm);
}

/* What was derived lies between the base set's haircut and the cap, and so does where it goes. */
static bool is_derived_well(const Plimsoll__V1__ParameterSet__Haircut *from,
                            const struct rules *rules)
{
    struct tiers base, target, unused, base_short;
    const Plimsoll__V1__ParameterSet__Haircut__Move *moves[PL_TIER_COUNT] = {
        [PL_TIER_ALERT] = from->alert, [PL_TIER_INITIAL] = from->initial,
        [PL_TIER_END] = from->end, [PL_TIER_MAINTENANCE] = from->maintenance};
    if (rules->cap == 0 || !auditor_read_tiers(from->base_haircut, &base) ||
        !auditor_read_tiers(from->target, &target) || !is_ordered(&base) ||
        !from->has_volatility_fast_ppm || !from->has_volatility_slow_ppm ||
        !auditor_read_tiers(from->close_out, &unused) || !auditor_read_tiers(from->buffer, &unused) ||
        !auditor_read_tiers(from->stress, &unused) || !auditor_read_tiers(from->floor, &unused) ||
        !from->has_liquidity_ppm || !is_window(from->day) || !is_window(from->month) ||
        !is_window(from->year) || !is_between(from->has_target_at_ms, from->target_at_ms, 0,
                                                INT64_MAX))
        return false;
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        const int64_t most = rules->cap > base.at[t] ? rules->cap : base.at[t];
        if (!is_between(true, rules->haircut_long.at[t], base.at[t], most) ||
            !is_between(true, target.at[t], base.at[t], most))
            return false;
        if (moves[t] && (!moves[t]->has_from_ppm || !moves[t]->has_since_ms ||
                         moves[t]->since_ms < 1 ||
                         !is_between(true, moves[t]->from_ppm, base.at[t], most)))
            return false;
    }
    if (from->base_short && (!auditor_read_tiers(from->base_short, &base_short) || !is_ordered(&base_short)))
        return false;
    for (int t = 0; from->base_short && t < PL_TIER_COUNT; t++)
        if (!is_between(true, rules->haircut_short.at[t], base_short.at[t],
                        rules->cap > base_short.at[t] ? rules->cap : base_short.at[t]))
            return false;
    return true;
}

/* V1, V3, V6 and V7 of one instrument at one tier. A haircut may come to its cap. */
static bool is_valid_at(const struct rules *rules, int t, int64_t scenarios)
{
    int64_t loads = 0, loss = 0, rate = 0;
    for (int i = 0; i < rules->load_count; i++)
        loads += size_of(rules->loads[i].load.at[t]);
    for (int i = 0; i < rules->loss_count; i++)
        if (rules->losses[i].loss.at[t] > loss)
            loss = rules->losses[i].loss.at[t];
    if (rules->bracket_count > 0)
        rate = rules->brackets[rules->bracket_count - 1].rate.at[t];
    int64_t haircut = rules->haircut_long.at[t] > rules->cap ? rules->haircut_long.at[t]
                                                             : rules->cap;
    int64_t held = (rules->cap > 0 ? haircut : rules->haircut_long.at[t]) + loads + loss + rate +
                   scenarios + rules->confidence;
    return rules->haircut_long.at[t] + rules->haircut_short.at[t] >= 0 &&
           (rules->kind != PL_INSTRUMENT_SPOT || held <= PL_PPM) && held <= 1 << 23 &&
           (size_of(rules->haircut_short.at[t]) > rules->cap ? size_of(rules->haircut_short.at[t])
                                                             : rules->cap) +
                   loads + loss + rate + scenarios + rules->confidence <= 1 << 23;
}

/* How its venue takes orders. */
static bool read_venue(const Plimsoll__V1__ParameterSet__Instrument *from, struct rules *rules)
{
    if (from->n_depth > PL_DEPTH_MAX || from->lot_step < 0 || from->lot_step > PL_LOT_STEP_MAX ||
        from->min_notional_usd < 0 || from->min_notional_usd > PL_DUST_USD_MAX ||
        from->slice_usd_max < 0)
        return false;
    rules->step = from->lot_step > 0 ? from->lot_step : 1;
    rules->notional_usd = from->min_notional_usd;
    rules->slice_usd = from->slice_usd_max;
    rules->rung_count = (int)from->n_depth;
    for (int i = 0; i < rules->rung_count; i++) {
        const Plimsoll__V1__ParameterSet__Rung *rung = from->depth[i];
        if (!rung->has_usd_max || !rung->has_discount_ppm || rung->usd_max <= 0 ||
            rung->discount_ppm < 0 || rung->discount_ppm > from->sale_discount_ppm ||
            (i > 0 && (rung->usd_max <= rules->rungs[i - 1].usd_max ||
                       rung->discount_ppm < rules->rungs[i - 1].discount)))
            return false;
        rules->rungs[i] = (struct rung){rung->usd_max, rung->discount_ppm};
    }
    return true;
}

static bool has_confirmations(const Plimsoll__V1__ParameterSet__Instrument *from)
{
    bool is_good = from->n_confirmations <= PL_CONFIRMATIONS_MAX;
    for (size_t i = 0; is_good && i < from->n_confirmations; i++) {
        const Plimsoll__V1__ParameterSet__Confirmations *row = from->confirmations[i];
        is_good = row->has_blocks && row->blocks > 0 && (!row->has_lots_max || row->lots_max > 0) &&
                  row->has_weight_ppm && row->weight_ppm > 0 && row->weight_ppm <= PL_PPM;
    }
    return is_good;
}

static bool read_instrument(const struct reader *reader, const Plimsoll__V1__ParameterSet *set,
                            const Plimsoll__V1__ParameterSet__Instrument *from,
                            const struct tiers *scenario_load, struct rules *rules)
{
    if (!auditor_is_enum(from->has_kind, (int)from->kind,
                         &plimsoll__v1__parameter_set__instrument__kind__descriptor) ||
        !from->has_lot_decimals || !from->has_tick_decimals || from->lot_decimals > 12 ||
        from->tick_decimals > 12 || from->lot_decimals + from->tick_decimals > 12 ||
        !from->has_confidence_ppm || from->confidence_ppm < 0 || !from->has_sale_discount_ppm ||
        from->sale_discount_ppm < 0 || from->sale_discount_ppm >= PL_PPM ||
        !has_confirmations(from) ||
        (from->chain && *from->chain && !auditor_is_id(from->chain)) ||
        (from->bridge && *from->bridge &&
         (!auditor_is_id(from->bridge) || !from->chain || !*from->chain)))
        return false;
    *rules = (struct rules){.is_listed = true,
                            .kind = (int)from->kind,
                            .lot_decimals = from->lot_decimals,
                            .tick_decimals = from->tick_decimals,
                            .multiplier = 1,
                            .confidence = from->confidence_ppm,
                            .chain = from->chain && *from->chain ? from->chain : NULL,
                            .bridge = from->bridge && *from->bridge ? from->bridge : NULL,
                            .discount = from->sale_discount_ppm};
    for (unsigned i = from->lot_decimals + from->tick_decimals; i < 12; i++)
        rules->multiplier *= 10;
    if (!read_venue(from, rules))
        return false;
    if (!read_weights(set, from, rules) || !auditor_look_through(from->instrument, rules) ||
        !read_price_rules(from->price_rules, rules) ||
        !is_ordered(&rules->haircut_long) || !is_ordered(&rules->haircut_short) ||
        (from->haircut_model && !read_model(from->haircut_model, rules)) ||
        (from->haircut && (!set->has_base_epoch || !is_derived_well(from->haircut, rules))) ||
        !auditor_read_option(reader, from, rules))
        return false;
    rules->own_haircut = from->haircut ? from->haircut->base_haircut->maintenance
                                       : from->haircut_long->maintenance;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (!is_valid_at(rules, t, rules->underlying >= 0 ? scenario_load->at[t] : 0))
            return false;
    return true;
}

static const Plimsoll__V1__ParameterSet__Instrument *find_instrument(
    const Plimsoll__V1__ParameterSet *set, const char *name)
{
    for (size_t i = 0; name && i < set->n_instruments; i++)
        if (strcmp(set->instruments[i]->instrument, name) == 0)
            return set->instruments[i];
    return NULL;
}

/* A source that each of both believes alone. */
static bool have_one_voice(const Plimsoll__V1__ParameterSet__PriceRules *a,
                           const Plimsoll__V1__ParameterSet__PriceRules *b)
{
    for (size_t i = 0; a->quorum == 1 && b->quorum == 1 && i < a->n_sources; i++)
        for (size_t k = 0; k < b->n_sources; k++)
            if (strcmp(a->sources[i], b->sources[k]) == 0)
                return true;
    return false;
}

/* What a peg rests on: listed, not pegged, not twice the same thing. Nothing here reckons with it. */
static bool is_peg(const Plimsoll__V1__ParameterSet *set,
                   const Plimsoll__V1__ParameterSet__Peg *peg)
{
    const Plimsoll__V1__ParameterSet__Instrument *inputs[6] = {
        find_instrument(set, peg->underlying), find_instrument(set, peg->redemption)};
    if (peg->n_markets == 1 || peg->n_markets > 4 || (peg->has_floor_ppm &&
                                                      !is_between(true, peg->floor_ppm, 0, PL_PPM)) ||
        !is_between(peg->has_cap_growth_ppm_per_year, peg->cap_growth_ppm_per_year, 0,
                    peg->cap_ratio ? 10 * PL_PPM : 0) ||
        (peg->cap_ratio && !auditor_is_time(peg->has_cap_since_ms, peg->cap_since_ms)) ||
        (peg->has_issuer && peg->issuer != 1 && peg->issuer != 2) ||
        (peg->has_rounding && peg->rounding != 1 && peg->rounding != 2))
        return false;
    for (size_t i = 0; i < peg->n_markets; i++) {
        inputs[i + 2] = find_instrument(set, peg->markets[i]->instrument);
        if (!peg->markets[i]->has_window_ms ||
            !is_between(true, peg->markets[i]->window_ms, 1, 86400000))
            return false;
    }
    for (size_t i = 0; i < peg->n_markets + 2; i++) {
        if (!inputs[i] || inputs[i]->peg || (i > 0 && inputs[i] == inputs[0]) ||
            (i > 1 && inputs[i] == inputs[1]))
            return false;
        for (size_t k = 1; i > 0 && k < i; k++)
            if (have_one_voice(inputs[i]->price_rules, inputs[k]->price_rules))
                return false;
    }
    return true;
}

/* V6 across instruments: loads of one factor are proportional from tier to tier. */
static bool are_proportional(const struct set *set)
{
    for (int a = 0; a < set->rule_count; a++)
        for (int b = 0; b < a; b++)
            for (int i = 0; i < set->rules[a].load_count; i++)
                for (int j = 0; j < set->rules[b].load_count; j++) {
                    if (set->rules[a].loads[i].factor != set->rules[b].loads[j].factor)
                        continue;
                    const int64_t *x = set->rules[a].loads[i].load.at;
                    const int64_t *y = set->rules[b].loads[j].load.at;
                    for (int t = 0; t < PL_TIER_COUNT; t++)
                        for (int u = 0; u < t; u++)
                            if (x[t] * y[u] != y[t] * x[u])
                                return false;
                }
    return true;
}

static bool are_declared_once(const Plimsoll__V1__ParameterSet *from)
{
    if (from->n_factors > PL_FACTORS_MAX || from->n_dependencies > PL_DEPENDENCIES_MAX ||
        from->n_sources > PL_SOURCES_MAX)
        return false;
    for (size_t i = 0; i < from->n_factors; i++)
        if (!auditor_is_id(from->factors[i]->factor) ||
            place_of_factor(from, from->factors[i]->factor) != (int)i)
            return false;
    for (size_t i = 0; i < from->n_dependencies; i++)
        if (!auditor_is_id(from->dependencies[i]->dependency) ||
            auditor_place_of(from, from->dependencies[i]->dependency) != (int)i)
            return false;
    for (size_t i = 0; i < from->n_sources; i++) {
        if (!auditor_is_id(from->sources[i]->source) ||
            !auditor_is_enum(from->sources[i]->has_settlement, (int)from->sources[i]->settlement,
                             &plimsoll__v1__parameter_set__source__settlement__descriptor))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(from->sources[i]->source, from->sources[j]->source) == 0)
                return false;
    }
    return true;
}

/* Rates of moving haircuts, where there are any that may move. */
static bool has_haircut_rates(const Plimsoll__V1__ParameterSet *from)
{
    const Plimsoll__V1__ParameterSet__Policy *policy = from->policies[0];
    for (size_t i = 0; i < from->n_instruments; i++)
        if (from->instruments[i]->haircut_model &&
            (policy->haircut_rise_ppm_per_hour < 1 || policy->haircut_hold_ms < 0 ||
             policy->haircut_fall_ppm_per_day < 1 || policy->haircut_interval_ms < 1))
            return false;
    return true;
}

static bool read_policy(const struct reader *reader, const Plimsoll__V1__ParameterSet *from,
                        struct set *set)
{
    if (from->n_policies != 1)
        return false;
    const Plimsoll__V1__ParameterSet__Policy *policy = from->policies[0];
    if (!policy->policy || strcmp(policy->policy, "default") != 0 ||
        !auditor_is_time(policy->has_order_valid_ms, policy->order_valid_ms) ||
        !auditor_is_time(policy->has_order_overdue_ms, policy->order_overdue_ms) ||
        !auditor_is_time(policy->has_revision_pause_ms, policy->revision_pause_ms) ||
        !auditor_is_time(policy->has_restricted_hold_ms, policy->restricted_hold_ms) ||
        !policy->has_alert_hysteresis_ppm || policy->alert_hysteresis_ppm < 0 ||
        !auditor_is_time(policy->has_watermark_age_ms_max, policy->watermark_age_ms_max) ||
        (policy->has_halt_ramp_ms && policy->halt_ramp_ms < 0) || !has_haircut_rates(from) ||
        policy->call_interval_ms_min < 0 || policy->grace_ms < 0 || /* may be absent: 0 */
        policy->bad_debt_dust_usd < 0 || policy->bad_debt_dust_usd > PL_DUST_USD_MAX)
        return false;
    set->halt_ramp_ms = policy->has_halt_ramp_ms ? policy->halt_ramp_ms : 0;
    set->order_valid_ms = policy->order_valid_ms;
    set->order_overdue_ms = policy->order_overdue_ms;
    set->revision_pause_ms = policy->revision_pause_ms;
    set->restricted_hold_ms = policy->restricted_hold_ms;
    set->hysteresis = policy->alert_hysteresis_ppm;
    set->watermark_age_ms_max = policy->watermark_age_ms_max;
    set->call_interval_ms_min = policy->call_interval_ms_min;
    set->grace_ms = policy->grace_ms;
    set->bad_debt_dust_usd = policy->bad_debt_dust_usd;
    set->brake_window_ms = policy->brake_window_ms;
    set->brake_depth = policy->brake_depth_ppm;
    if (set->brake_window_ms < 0 || set->brake_window_ms > PL_BRAKE_WINDOW_MS_MAX ||
        set->brake_depth < 0 || set->brake_depth > PL_BRAKE_DEPTH_PPM_MAX ||
        (set->brake_window_ms > 0) != (set->brake_depth > 0))
        return false;
    set->closes_hopeless = policy->close_hopeless;
    set->close_factor = policy->close_factor_ppm;
    set->close_full_usd = policy->close_full_below_usd;
    set->close_full_health = policy->close_full_below_health_ppm;
    set->close_left_usd = policy->close_leftover_usd_min;
    if (set->close_factor < 0 || set->close_factor > PL_PPM || set->close_full_usd < 0 ||
        set->close_full_health < 0 || set->close_left_usd < 0 ||
        set->close_full_health > (set->close_factor > 0 ? PL_PPM : 0))
        return false;
    for (size_t i = 0; i < policy->n_liquidity_order; i++) {
        if (!auditor_is_id(policy->liquidity_order[i]))
            return false;
        int instrument = auditor_name(reader->names, policy->liquidity_order[i]);
        struct rules *rules = instrument < set->rule_count ? &set->rules[instrument] : NULL;
        if (!rules || !rules->is_listed || rules->rank != 0)
            return false;
        rules->rank = (int)i + 1;
    }
    return true;
}

/* Weights of modes; that they are valid by themselves is what their tests say. */
static bool read_modes(const struct reader *reader, const Plimsoll__V1__ParameterSet *from,
                       struct set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < from->n_modes; i++)
        count += from->modes[i]->n_weights;
    set->mode_weights = auditor_take(reader->memory, sizeof(*set->mode_weights) * (count + 1));
    for (size_t i = 0; i < from->n_modes; i++) {
        const Plimsoll__V1__ParameterSet__Mode *mode = from->modes[i];
        if ((mode->has_mode != 0) == (mode->debt != NULL) || (mode->has_mode && mode->mode >= PL_MODES_MAX))
            return false;
        if (mode->has_mode)
            set->modes[mode->mode] = true;
        for (size_t k = 0; k < mode->n_weights; k++) {
            const Plimsoll__V1__ParameterSet__Mode__Weight *weight = mode->weights[k];
            struct mode_weight *to = &set->mode_weights[set->mode_weight_count++];
            int instrument = auditor_name(reader->names, weight->instrument);
            const struct rules *rules = auditor_rules_of(set, instrument);
            if (!rules || !auditor_read_tiers(weight->haircut_long, &to->haircut_long))
                return false;
            to->mode = mode->has_mode ? (int)mode->mode : 0;
            to->debt = mode->debt ? auditor_name(reader->names, mode->debt) : -1;
            to->instrument = instrument;
            to->haircut_short = rules->haircut_short;
            to->bonus = weight->has_bonus_ppm ? weight->bonus_ppm : rules->bonus;
            if (weight->haircut_short && !auditor_read_tiers(weight->haircut_short, &to->haircut_short))
                return false;
        }
    }
    return true;
}

struct set *auditor_read_set(const struct reader *reader, const struct pl_record *record)
{
    const Plimsoll__V1__ParameterSet *from = auditor_unpack_within(
        reader, &plimsoll__v1__parameter_set__descriptor, record->value, 4 << 20);
    if (!from || !from->has_epoch || from->epoch == 0 ||
        (from->has_base_epoch && from->base_epoch == 0) || !are_declared_once(from) ||
        !auditor_read_graph(from))
        return NULL;
    struct set *set = auditor_take(reader->memory, sizeof(*set));
    set->epoch = from->epoch;
    set->base_epoch = from->has_base_epoch ? from->base_epoch : 0;
    if (!auditor_read_scenarios(from, set))
        return NULL;
    for (size_t i = 0; i < from->n_instruments; i++) {
        if (!auditor_is_id(from->instruments[i]->instrument))
            return NULL;
        int number = auditor_name(reader->names, from->instruments[i]->instrument);
        if (number >= set->rule_count)
            set->rule_count = number + 1;
    }
    set->rules = auditor_take(reader->memory, sizeof(*set->rules) * ((size_t)set->rule_count + 1));
    for (size_t i = 0; i < from->n_instruments; i++) {
        int number = auditor_name(reader->names, from->instruments[i]->instrument);
        if (set->rules[number].is_listed ||
            !read_instrument(reader, from, from->instruments[i], &set->scenario_load,
                             &set->rules[number]))
            return NULL;
    }
    for (size_t i = 0; i < from->n_instruments; i++)
        if (from->instruments[i]->peg && !is_peg(from, from->instruments[i]->peg))
            return NULL;
    return are_proportional(set) && auditor_options_are_valid(set) &&
                   auditor_read_contracts(reader, from, set) && read_modes(reader, from, set) &&
                   read_policy(reader, from, set)
               ? set
               : NULL;
}

const struct rules *auditor_rules_of(const struct set *set, int instrument)
{
    return instrument < set->rule_count && set->rules[instrument].is_listed
               ? &set->rules[instrument]
               : NULL;
}

bool auditor_set_follows(const struct set *last, const struct set *next)
{
    if (!last)
        return true;
    for (int i = 0; i < next->rule_count; i++) {
        const struct rules *before = auditor_rules_of(last, i), *after = auditor_rules_of(next, i);
        if (before && after &&
            (before->lot_decimals != after->lot_decimals ||
             before->tick_decimals != after->tick_decimals ||
             (before->kind == PL_INSTRUMENT_OPTION) != (after->kind == PL_INSTRUMENT_OPTION)))
            return false;
        if (before && after && before->kind == PL_INSTRUMENT_OPTION &&
            (before->underlying != after->underlying || before->is_put != after->is_put ||
             before->strike != after->strike || before->expiry_ms != after->expiry_ms ||
             before->averaging_ms != after->averaging_ms))
            return false;
    }
    /* Nothing derived from an older base set than the one in force comes from. */
    const bool is_older = next->base_epoch != 0 && next->base_epoch < last->base_epoch;
    return next->epoch > last->epoch && !is_older;
}
