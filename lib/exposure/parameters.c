/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validity of a parameter set (RISK 1.8): what is proved about evaluation and sales (G3, G9) holds
 * under these rules only, so a set that breaks one is pl_refused whole and the old one stays.
 */
#include "lib/base/assert.h"
#include "lib/exposure/lookthrough.h"
#include "lib/exposure/parameters.h"

/* From the least demanding tier to the most. */
static const enum pl_tier tiers[PL_TIER_COUNT] = {PL_TIER_MAINTENANCE, PL_TIER_END, PL_TIER_INITIAL,
                                                  PL_TIER_ALERT};
const char *const pl_tier_names[PL_TIER_COUNT] = {
    [PL_TIER_ALERT] = "alert",
    [PL_TIER_INITIAL] = "initial",
    [PL_TIER_END] = "end",
    [PL_TIER_MAINTENANCE] = "maintenance",
};

/* Puts "V6 instrument ETH field name" in front of a refusal; rule and name may be "". */
enum pl_err pl_refused(enum pl_err err, const struct pl_checked *checked, const char *rule,
                       const char *field, const char *name)
{
    if (!err)
        return PL_OK;
    return pl_err_note(err, "%s%sinstrument %s %s%s%s", rule, rule[0] ? " " : "", checked->id,
                       field, name[0] ? " " : "", name);
}

static int64_t size_of(int64_t ppm)
{
    return ppm < 0 ? -ppm : ppm;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- ranges and ids ------------------------------------------------------------------------- */

enum pl_err pl_check_range(int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high)
        return PL_OK;
    if (high == INT64_MAX || high == INT32_MAX)
        return pl_err_set(PL_REJECT_PARAMETERS, "%lld is below %lld", (long long)value,
                          (long long)low);
    return pl_err_set(PL_REJECT_PARAMETERS, "%lld is outside %lld..%lld", (long long)value,
                      (long long)low, (long long)high);
}

/* Nested by size: for haircuts the values themselves count, for loads their magnitudes. */
enum pl_err pl_check_nested(const struct pl_tier_ppm *ppm, bool is_magnitude)
{
    for (int t = 1; t < PL_TIER_COUNT; t++) {
        int64_t below = ppm->at[tiers[t - 1]], above = ppm->at[tiers[t]];
        if (is_magnitude ? size_of(above) < size_of(below) : above < below)
            return pl_err_set(PL_REJECT_PARAMETERS, "%s %lld is below %s %lld",
                              pl_tier_names[tiers[t]], (long long)above, pl_tier_names[tiers[t - 1]],
                              (long long)below);
    }
    return PL_OK;
}

/* Ids at a fixed stride: none empty, none twice. */
static enum pl_err check_ids(const struct pl_id *first, size_t stride_bytes, uint32_t count)
{
    const uint8_t *bytes = (const uint8_t *)first;
    for (uint32_t i = 0; i < count; i++) {
        const struct pl_id *id = (const void *)(bytes + i * stride_bytes);
        if (pl_id_is_none(id))
            return pl_err_set(PL_REJECT_PARAMETERS, "entry %u has no id", i);
        for (uint32_t j = 0; j < i; j++)
            if (pl_id_equal(id, (const void *)(bytes + j * stride_bytes)))
                return pl_err_set(PL_REJECT_PARAMETERS, "%s is there twice", id->text);
    }
    return PL_OK;
}

/* A ladder that costs more the deeper it goes. */
static enum pl_err check_depth(const struct pl_instrument *instrument)
{
    int64_t usd = 0;
    int32_t discount_ppm = 0;
    for (uint32_t i = 0; i < instrument->depth_count; i++) {
        const struct pl_rung *rung = &instrument->depth[i];
        if (rung->usd_max <= usd || rung->discount_ppm < discount_ppm ||
            rung->discount_ppm > instrument->sale_discount_ppm)
            return pl_err_set(PL_REJECT_PARAMETERS, "rung %u: usd_max rises from above 0, and "
                              "discount_ppm does not fall and is at most sale_discount_ppm", i + 1);
        usd = rung->usd_max;
        discount_ppm = rung->discount_ppm;
    }
    return PL_OK;
}

static enum pl_err check_instrument_ranges(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    const struct pl_price_rules *rules = &instrument->price_rules;
    const struct pl_range ranges[] = {
        {"kind", instrument->kind, PL_INSTRUMENT_SPOT, PL_INSTRUMENT_STATISTIC},
        {"factors", instrument->load_count, 0, PL_LOADS_MAX},
        {"brackets", instrument->bracket_count, 0, PL_BRACKETS_MAX},
        {"dependencies", instrument->loss_count, 0, PL_LOSSES_MAX},
        {"confirmations", instrument->confirmation_count, 0, PL_CONFIRMATIONS_MAX},
        {"confidence_ppm", instrument->confidence_ppm, 0, INT32_MAX},
        {"sale_discount_ppm", instrument->sale_discount_ppm, 0, PL_PPM - 1},
        {"depth", instrument->depth_count, 0, PL_DEPTH_MAX},
        {"lot_step", instrument->lot_step, 0, PL_LOT_STEP_MAX},
        {"min_notional_usd", instrument->min_notional_usd, 0, PL_DUST_USD_MAX},
        {"slice_usd_max", instrument->slice_usd_max, 0, INT64_MAX},
        {"price_rules.sources", rules->source_count, 1, PL_PRICE_SOURCES_MAX},
        {"price_rules.quorum", rules->quorum, 1, rules->source_count},
        {"price_rules.age_ms_max", rules->age_ms_max, 1, INT64_MAX},
        {"price_rules.band_ppm", rules->band_ppm, 1, INT32_MAX},
        {"price_rules.bad_mark_low_ppm", rules->bad_mark_low_ppm, 0, PL_PPM},
        {"price_rules.bad_mark_high_ppm", rules->bad_mark_high_ppm, PL_PPM, INT32_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_refused(err, checked, "", ranges[i].field, "");
    }
    enum pl_err depth = check_depth(instrument);
    if (depth)
        return pl_refused(depth, checked, "", "depth", "");
    for (uint32_t i = 0; i < instrument->confirmation_count; i++) {
        const struct pl_confirmations *credit = &instrument->confirmations[i];
        enum pl_err err = pl_check_range(credit->weight_ppm, 1, PL_PPM);
        if (!err && (credit->blocks == 0 || credit->lots_max <= 0))
            err = pl_err_set(PL_REJECT_PARAMETERS, "blocks and lots_max are above 0");
        if (err)
            return pl_refused(err, checked, "", "confirmations", "");
    }
    if (!pl_id_is_none(&instrument->bridge) && pl_id_is_none(&instrument->chain))
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "there is no chain that it ends on"), checked,
                       "", "bridge", "");
    enum pl_err err = check_ids(rules->sources, sizeof rules->sources[0], rules->source_count);
    return pl_refused(err, checked, "", "price_rules.sources", "");
}

/* Factors and dependencies are named by index: each known, none twice. */
static enum pl_err check_references(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    uint64_t seen = 0;
    for (uint32_t k = 0; k < instrument->load_count; k++) {
        uint32_t factor = instrument->loads[k].factor;
        if (factor >= checked->parameters->factor_count)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "unknown factor %u", factor), checked,
                           "", "factors", "");
        if (seen >> factor & 1)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%s is there twice",
                                      checked->parameters->factors[factor].text),
                           checked, "", "factors", "");
        seen |= (uint64_t)1 << factor;
    }
    seen = 0;
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        uint32_t dependency = instrument->losses[k].dependency;
        if (dependency >= checked->parameters->dependency_count)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "unknown dependency %u", dependency),
                           checked, "", "dependencies", "");
        if (seen >> dependency & 1)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%s is there twice",
                                      checked->parameters->dependencies[dependency].text),
                           checked, "", "dependencies", "");
        seen |= (uint64_t)1 << dependency;
    }
    return PL_OK;
}

/* A negative loss would make the requirement concave. */
static enum pl_err check_losses(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        const struct pl_loss *loss = &instrument->losses[k];
        const char *name = checked->parameters->dependencies[loss->dependency].text;
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
            enum pl_err err = pl_check_range(loss->loss.at[tier], 0, INT32_MAX);
            if (err)
                return pl_refused(err, checked, "", "dependency", name);
        }
        /* As stated: paths of more weight must not hide it. */
        enum pl_err err = pl_check_nested(&loss->loss, false);
        if (err)
            return pl_refused(err, checked, "V6", "dependency", name);
    }
    return PL_OK;
}

/* ---- rules V1, V2, V3, V7 ------------------------------------------------------------------- */

static enum pl_err check_v1(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int64_t sum = (int64_t)instrument->haircut_long.at[tier] +
                      instrument->haircut_short.at[tier];
        if (sum < 0)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS,
                                      "%s %d and haircut_short %d are below 0", pl_tier_names[tier],
                                      instrument->haircut_long.at[tier],
                                      instrument->haircut_short.at[tier]),
                           checked, "V1", "haircut_long", "");
    }
    return PL_OK;
}

static enum pl_err check_bracket(const struct pl_bracket *bracket, const struct pl_bracket *last)
{
    if (bracket->threshold_usd < 0)
        return pl_err_set(PL_REJECT_PARAMETERS, "threshold_usd %lld is below 0",
                          (long long)bracket->threshold_usd);
    if (bracket->threshold_usd > PL_BRACKET_USD_MAX)
        return pl_err_set(PL_REJECT_PARAMETERS, "threshold_usd %lld is above %lld, more than an account has",
                          (long long)bracket->threshold_usd, (long long)PL_BRACKET_USD_MAX);
    if (last && bracket->threshold_usd <= last->threshold_usd)
        return pl_err_set(PL_REJECT_PARAMETERS, "threshold_usd %lld is not above %lld",
                          (long long)bracket->threshold_usd, (long long)last->threshold_usd);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int32_t least = last ? last->rate.at[tier] : 0;
        if (bracket->rate.at[tier] < least)
            return pl_err_set(PL_REJECT_PARAMETERS, "rate %s %d is below %d", pl_tier_names[tier],
                              bracket->rate.at[tier], least);
    }
    return PL_OK;
}

static enum pl_err check_v2(const struct pl_checked *checked)
{
    const struct pl_bracket *brackets = checked->instrument->brackets;
    for (uint32_t b = 0; b < checked->instrument->bracket_count; b++) {
        enum pl_err err = check_bracket(&brackets[b], b > 0 ? &brackets[b - 1] : NULL);
        if (err)
            return pl_refused(pl_err_note(err, "bracket %u", b), checked, "V2", "brackets", "");
    }
    return PL_OK;
}

/* What haircut_long may become: derived haircuts stay below the model's cap. */
static int64_t highest_haircut(const struct pl_instrument *instrument, enum pl_tier tier)
{
    int64_t haircut = instrument->haircut_long.at[tier];
    return instrument->haircut_model.is_present
               ? larger(haircut, instrument->haircut_model.cap_ppm)
               : haircut;
}

/* sum |loads| + largest loss + top bracket rate + confidence: all that may be asked of a leg
 * besides its haircut. Confidence counts at each tier, as it does at the strictest. */
static int64_t charges_of(const struct pl_instrument *instrument, enum pl_tier tier)
{
    int64_t loads = 0, loss = 0, rate = 0;
    for (uint32_t k = 0; k < instrument->load_count; k++)
        loads += size_of(instrument->loads[k].load.at[tier]);
    for (uint32_t k = 0; k < instrument->loss_count; k++)
        loss = larger(loss, instrument->losses[k].loss.at[tier]);
    if (instrument->bracket_count > 0)
        rate = instrument->brackets[instrument->bracket_count - 1].rate.at[tier];
    return loads + loss + rate + instrument->confidence_ppm;
}

/* What the scenarios may ask of what takes part in them. */
static int64_t scenario_charge_of(const struct pl_checked *checked, enum pl_tier tier)
{
    return checked->instrument->has_scenarios ? pl_scenario_load(checked->parameters, tier) : 0;
}

static enum pl_err check_v3(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    if (instrument->kind != PL_INSTRUMENT_SPOT)
        return PL_OK;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int64_t sum = highest_haircut(instrument, tier) + charges_of(instrument, tier) +
                      scenario_charge_of(checked, tier);
        if (sum > PL_PPM)
            return pl_refused(
                pl_err_set(PL_REJECT_PARAMETERS,
                           "%s: with factors, dependencies, brackets, scenarios and confidence %lld "
                           "is above 1000000",
                           pl_tier_names[tier], (long long)sum),
                checked, "V3",
                highest_haircut(instrument, tier) > instrument->haircut_long.at[tier]
                    ? "haircut_model.cap_ppm" : "haircut_long", "");
    }
    return PL_OK;
}

static enum pl_err check_v7(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    uint64_t decimals = (uint64_t)instrument->lot_decimals + instrument->tick_decimals;
    if (decimals > PL_DECIMALS_MAX)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%u and tick_decimals %u are above %d",
                                  instrument->lot_decimals, instrument->tick_decimals,
                                  PL_DECIMALS_MAX),
                       checked, "V7", "lot_decimals", "");
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int64_t sum = larger(larger(size_of(instrument->haircut_long.at[tier]),
                                    highest_haircut(instrument, tier)),
                             larger(size_of(instrument->haircut_short.at[tier]),
                                    instrument->haircut_model.is_present
                                        ? instrument->haircut_model.cap_ppm : 0)) +
                      charges_of(instrument, tier) + scenario_charge_of(checked, tier);
        if (sum > PL_COEFFICIENTS_PPM_MAX)
            return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "sum %lld is above %d", (long long)sum,
                                      PL_COEFFICIENTS_PPM_MAX),
                           checked, "V7", "coefficients", pl_tier_names[tier]);
    }
    return PL_OK;
}

/* ---- rule V6 -------------------------------------------------------------------------------- */

static enum pl_err check_v6(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    enum pl_err err = pl_refused(pl_check_nested(&instrument->haircut_long, false), checked, "V6",
                              "haircut_long", "");
    if (!err)
        err = pl_refused(pl_check_nested(&instrument->haircut_short, false), checked, "V6",
                      "haircut_short", "");
    for (uint32_t k = 0; k < instrument->load_count && !err; k++)
        err = pl_refused(pl_check_nested(&instrument->loads[k].load, true), checked, "V6", "factor",
                      checked->parameters->factors[instrument->loads[k].factor].text);
    for (uint32_t b = 0; b < instrument->bracket_count && !err; b++) {
        err = pl_check_nested(&instrument->brackets[b].rate, false);
        if (err)
            err = pl_refused(pl_err_note(err, "bracket %u rate", b), checked, "V6", "brackets", "");
    }
    return err;
}

bool pl_is_zero(const struct pl_tier_ppm *ppm)
{
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        if (ppm->at[tier] != 0)
            return false;
    return true;
}

static bool are_proportional(const struct pl_tier_ppm *a, const struct pl_tier_ppm *b)
{
    for (enum pl_tier t = 0; t < PL_TIER_COUNT; t++)
        for (enum pl_tier u = 0; u < t; u++)
            if ((int64_t)a->at[t] * b->at[u] != (int64_t)b->at[t] * a->at[u])
                return false;
    return true;
}

/* The first load of each factor that is not 0: all others are compared with it. Being proportional
 * to the same vector is being proportional to each other. */
struct first_loads {
    const struct pl_tier_ppm *load[PL_FACTORS_MAX];
    const char *id[PL_FACTORS_MAX];
};

static enum pl_err check_proportional(const struct pl_checked *checked, struct first_loads *firsts)
{
    for (uint32_t k = 0; k < checked->instrument->load_count; k++) {
        const struct pl_load *load = &checked->instrument->loads[k];
        if (pl_is_zero(&load->load))
            continue;
        if (!firsts->load[load->factor]) {
            firsts->load[load->factor] = &load->load;
            firsts->id[load->factor] = checked->id;
        }
        if (!are_proportional(&load->load, firsts->load[load->factor]))
            return pl_refused(
                pl_err_set(PL_REJECT_PARAMETERS, "tiers are not proportional to those of %s",
                           firsts->id[load->factor]),
                checked, "V6", "factor", checked->parameters->factors[load->factor].text);
    }
    return PL_OK;
}

/* ---- the set -------------------------------------------------------------------------------- */

static enum pl_err check_set(const struct pl_parameters *parameters)
{
    const struct pl_policy *policy = &parameters->policy;
    const struct pl_range ranges[] = {
        {"factors", parameters->factor_count, 0, PL_FACTORS_MAX},
        {"dependencies", parameters->dependency_count, 0, PL_DEPENDENCIES_MAX},
        {"sources", parameters->source_count, 0, PL_SOURCES_MAX},
        {"exposures", parameters->edge_count, 0, PL_EDGES_MAX},
        {"policy default liquidity_order", policy->liquidity_count, 0, PL_INSTRUMENTS_MAX},
        {"policy default order_valid_ms", policy->order_valid_ms, 1, INT64_MAX},
        {"policy default order_overdue_ms", policy->order_overdue_ms, 0, INT64_MAX},
        {"policy default revision_pause_ms", policy->revision_pause_ms, 0, INT64_MAX},
        {"policy default restricted_hold_ms", policy->restricted_hold_ms, 0, INT64_MAX},
        {"policy default alert_hysteresis_ppm", policy->alert_hysteresis_ppm, 0, PL_PPM},
        {"policy default watermark_age_ms_max", policy->watermark_age_ms_max, 1, INT64_MAX},
        {"policy default halt_ramp_ms", policy->halt_ramp_ms, 0, INT64_MAX},
        {"policy default call_interval_ms_min", policy->call_interval_ms_min, 0, INT64_MAX},
        {"policy default grace_ms", policy->grace_ms, 0, INT64_MAX},
        {"policy default close_factor_ppm", policy->close_factor_ppm, 0, PL_PPM},
        {"policy default close_full_below_usd", policy->close_full_below_usd, 0, INT64_MAX},
        {"policy default close_full_below_health_ppm", policy->close_full_below_health_ppm, 0,
         policy->close_factor_ppm > 0 ? PL_PPM : 0},
        {"policy default close_leftover_usd_min", policy->close_leftover_usd_min, 0, INT64_MAX},
        {"policy default bad_debt_dust_usd", policy->bad_debt_dust_usd, 0, PL_DUST_USD_MAX},
        {"policy default brake_window_ms", policy->brake_window_ms, 0, PL_BRAKE_WINDOW_MS_MAX},
        {"policy default brake_depth_ppm", policy->brake_depth_ppm, policy->brake_window_ms > 0,
         policy->brake_window_ms > 0 ? PL_BRAKE_DEPTH_PPM_MAX : 0},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_err_note(err, "%s", ranges[i].field);
    }
    enum pl_err err = check_ids(parameters->factors, sizeof parameters->factors[0],
                                parameters->factor_count);
    if (err)
        return pl_err_note(err, "factors");
    err = check_ids(parameters->dependencies, sizeof parameters->dependencies[0],
                    parameters->dependency_count);
    if (err)
        return pl_err_note(err, "dependencies");
    err = check_ids(&parameters->sources[0].id, sizeof parameters->sources[0],
                    parameters->source_count);
    if (err)
        return pl_err_note(err, "sources");
    err = pl_check_contracts(parameters);
    return err ? err : pl_check_scenarios(parameters);
}

static enum pl_err check_exposure(const struct pl_edge *edge)
{
    enum pl_err err = pl_check_range(edge->coverage_ppm, 0, PL_PPM);
    if (err)
        return pl_err_note(err, "coverage_ppm");
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        err = pl_check_range(edge->loss.at[tier], 0, PL_PPM);
        if (err)
            return pl_err_note(err, "loss %s", pl_tier_names[tier]);
    }
    err = pl_check_nested(&edge->loss, false);
    return err ? pl_err_note(err, "V6 loss") : PL_OK;
}

/* Both ends are known, so that a refusal can name them. */
static enum pl_err check_exposures(const struct pl_parameters *parameters,
                                   const struct pl_names *names)
{
    for (uint32_t i = 0; i < parameters->edge_count; i++) {
        const struct pl_edge *edge = &parameters->edges[i];
        const bool is_between = edge->instrument == UINT32_MAX;
        if (edge->to >= parameters->dependency_count ||
            (is_between && edge->from >= parameters->dependency_count))
            return pl_err_set(PL_REJECT_PARAMETERS, "exposure %u: unknown dependency", i);
        if (!is_between && (edge->instrument >= names->count ||
                            !parameters->instruments[edge->instrument].is_listed))
            return pl_err_set(PL_REJECT_PARAMETERS, "exposure %u: unknown instrument", i);
        enum pl_err err = check_exposure(edge);
        if (err)
            return pl_err_note(err, "exposure %s to %s",
                               is_between ? parameters->dependencies[edge->from].text
                                          : names->ids[edge->instrument].text,
                               parameters->dependencies[edge->to].text);
    }
    return PL_OK;
}

/* As stated: what may be looked at before losses are known. */
static enum pl_err check_statements(const struct pl_checked *checked)
{
    enum pl_err err = check_instrument_ranges(checked);
    if (!err)
        err = check_references(checked);
    if (!err)
        err = check_losses(checked);
    if (!err)
        err = pl_check_haircut_model(checked);
    return err ? err : pl_check_participation(checked);
}

static enum pl_err check_rules(const struct pl_checked *checked, struct first_loads *firsts)
{
    enum pl_err err = check_v1(checked);
    if (!err)
        err = check_v2(checked);
    if (!err)
        err = check_v3(checked);
    if (!err)
        err = check_v6(checked);
    if (!err)
        err = check_proportional(checked, firsts);
    if (!err)
        err = check_v7(checked);
    if (!err) /* by V3 a haircut is at most all of it */
        err = pl_check_asset(checked);
    return err;
}

static enum pl_err check_all_statements(const struct pl_parameters *parameters,
                                        const struct pl_names *names)
{
    uint32_t listed_count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        if (!parameters->instruments[i].is_listed)
            continue;
        pl_assert(i < names->count);
        struct pl_checked checked = {.parameters = parameters,
                                  .instrument = &parameters->instruments[i],
                                  .id = names->ids[i].text};
        enum pl_err err = check_statements(&checked);
        if (err)
            return err;
        listed_count++;
    }
    if (listed_count != parameters->instrument_count)
        return pl_err_set(PL_REJECT_PARAMETERS,
                          "instruments: %u are there, %u differ: one is twice",
                          parameters->instrument_count, listed_count);
    return PL_OK;
}

static enum pl_err check_all_rules(const struct pl_parameters *parameters,
                                   const struct pl_names *names)
{
    struct first_loads firsts = {0};
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        if (!parameters->instruments[i].is_listed)
            continue;
        struct pl_checked checked = {.parameters = parameters,
                                  .instrument = &parameters->instruments[i],
                                  .id = names->ids[i].text};
        enum pl_err err = check_rules(&checked, &firsts);
        if (err)
            return err;
    }
    return PL_OK;
}

/* A mode's weights are those of instruments with other haircuts: the same rules hold of them. */
static enum pl_err check_weight(const struct pl_parameters *parameters, const struct pl_names *names,
                                const struct pl_mode_weight *weight, bool is_of_debt)
{
    static struct pl_instrument as_weighted; /* scratch */
    const char *id = names->ids[weight->instrument].text;
    const struct pl_instrument *instrument = &parameters->instruments[weight->instrument];
    const struct pl_checked checked = {parameters, &as_weighted, id};
    if (!instrument->is_listed || instrument->kind != PL_INSTRUMENT_SPOT)
        return pl_err_set(PL_REJECT_PARAMETERS, "weight of %s: it is no listed spot", id);
    as_weighted = *instrument;
    if (!is_of_debt)
        as_weighted.bonus_ppm = weight->bonus_ppm;
    enum pl_err err = pl_check_asset(&checked);
    as_weighted.haircut_model = (struct pl_haircut_model){0};
    as_weighted.haircut_long = weight->haircut_long;
    if (!is_of_debt)
        as_weighted.haircut_short = weight->haircut_short;
    if (!err)
        err = check_v1(&checked);
    if (!err)
        err = check_v3(&checked);
    if (!err)
        err = check_v6(&checked);
    return err ? err : check_v7(&checked);
}

static enum pl_err check_mode(const struct pl_parameters *parameters, const struct pl_names *names,
                              const struct pl_mode *mode, bool is_of_debt)
{
    for (uint32_t i = 0; i < mode->count; i++) {
        const struct pl_mode_weight *weight = &parameters->mode_weights[mode->first + i];
        enum pl_err err = check_weight(parameters, names, weight, is_of_debt);
        for (uint32_t k = 0; !err && k < i; k++)
            if (parameters->mode_weights[mode->first + k].instrument == weight->instrument)
                err = pl_err_set(PL_REJECT_PARAMETERS, "weight of %s: it is there twice",
                                 names->ids[weight->instrument].text);
        if (err)
            return err;
    }
    return PL_OK;
}

static enum pl_err check_modes(struct pl_parameters *parameters, const struct pl_names *names)
{
    parameters->has_debt_modes = false;
    for (uint32_t i = 0; i < PL_MODES_MAX; i++) {
        enum pl_err err = check_mode(parameters, names, &parameters->modes[i], false);
        if (err)
            return pl_err_note(err, "mode %u", i);
    }
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *debt = &parameters->instruments[i];
        if (!debt->lent_on.is_present)
            continue;
        enum pl_err err = debt->is_listed && debt->kind == PL_INSTRUMENT_SPOT
                              ? check_mode(parameters, names, &debt->lent_on, true)
                              : pl_err_set(PL_REJECT_PARAMETERS, "it is no listed spot");
        if (err)
            return pl_err_note(err, "mode of debt %s", names->ids[i].text);
        parameters->has_debt_modes = true;
    }
    return PL_OK;
}

/* Gives each instrument its place in the liquidity order; a place that is taken is a duplicate. */
static enum pl_err rank_sales(struct pl_parameters *parameters, const struct pl_names *names)
{
    const struct pl_policy *policy = &parameters->policy;
    for (uint32_t k = 0; k < policy->liquidity_count; k++) {
        uint32_t index = policy->liquidity_order[k];
        if (index >= names->count || !parameters->instruments[index].is_listed)
            return pl_err_set(PL_REJECT_PARAMETERS,
                              "policy default liquidity_order: unknown instrument %s",
                              index < names->count ? names->ids[index].text : "?");
        if (parameters->instruments[index].sale_rank != 0)
            return pl_err_set(PL_REJECT_PARAMETERS,
                              "policy default liquidity_order: %s is there twice",
                              names->ids[index].text);
        parameters->instruments[index].sale_rank = k + 1;
    }
    return PL_OK;
}

static bool are_same_terms(const struct pl_instrument *a, const struct pl_instrument *b)
{
    return (a->kind == PL_INSTRUMENT_OPTION) == (b->kind == PL_INSTRUMENT_OPTION) &&
           a->option.type == b->option.type && a->option.underlying == b->option.underlying &&
           a->option.strike_ticks == b->option.strike_ticks &&
           a->option.expiry_ms == b->option.expiry_ms &&
           a->option.averaging_ms == b->option.averaging_ms;
}

enum pl_err pl_parameters_finish(struct pl_parameters *parameters, const struct pl_names *names)
{
    enum pl_err err = check_set(parameters);
    if (!err)
        err = check_all_statements(parameters, names);
    if (!err)
        err = check_exposures(parameters, names);
    if (!err)
        err = pl_check_pegs(parameters, names);
    if (!err)
        err = pl_lookthrough(parameters, names);
    if (!err)
        err = check_all_rules(parameters, names);
    if (!err)
        err = check_modes(parameters, names);
    if (err)
        return err;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        struct pl_instrument *instrument = &parameters->instruments[i];
        instrument->sale_rank = 0;
        if (instrument->is_listed)
            instrument->multiplier = (int64_t)pl_pow10(PL_DECIMALS_MAX - instrument->lot_decimals -
                                                       instrument->tick_decimals);
    }
    err = pl_place_options(parameters, names);
    return err ? err : rank_sales(parameters, names);
}

/* ---- succession ----------------------------------------------------------------------------- */

enum pl_err pl_parameters_follow(const struct pl_parameters *last, const struct pl_parameters *next,
                                 const struct pl_names *names)
{
    if (next->epoch <= last->epoch)
        return pl_err_set(PL_REJECT_STALE,
                          "epoch %llu is not above %llu, which is in force: number the new set "
                          "higher",
                          (unsigned long long)next->epoch, (unsigned long long)last->epoch);
    if (next->base_epoch != 0 && next->base_epoch < last->base_epoch)
        return pl_err_set(PL_REJECT_STALE,
                          "it was derived from base epoch %llu, and the set in force from %llu",
                          (unsigned long long)next->base_epoch,
                          (unsigned long long)last->base_epoch);
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *before = &last->instruments[i];
        const struct pl_instrument *after = &next->instruments[i];
        if (before->is_listed && after->is_listed &&
            (before->lot_decimals != after->lot_decimals ||
             before->tick_decimals != after->tick_decimals))
            return pl_err_set(PL_REJECT_CONFLICT,
                              "instrument %s: lot and tick decimals were %u and %u and would be "
                              "%u and %u: amounts on their way are in these units, so list the "
                              "instrument under a new id",
                              names->ids[i].text, before->lot_decimals, before->tick_decimals,
                              after->lot_decimals, after->tick_decimals);
        if (before->is_listed && after->is_listed && !are_same_terms(before, after))
            return pl_err_set(PL_REJECT_CONFLICT,
                              "instrument %s: an option's terms stay what they are: published grids "
                              "are of them, so list the instrument under a new id",
                              names->ids[i].text);
    }
    return PL_OK;
}
