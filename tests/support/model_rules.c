/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model of parameter validity: V1, V2, V3, V6, V7 and the ranges of fields, each read
 * straight from its sentence and all of them collected, where the library stops at the first.
 */
#include "tests/support/model.h"

enum { RULE_FIELD = 0, RULE_V1 = 1, RULE_V2 = 2, RULE_V3 = 3, RULE_V6 = 6, RULE_V7 = 7 };

enum { COEFFICIENTS_MAX = 1 << 23 };

static void must(struct model_faults *faults, int rule, bool is_broken)
{
    if (is_broken) {
        faults->must |= 1u << rule;
        faults->may |= 1u << rule;
    }
}

static void may(struct model_faults *faults, int rule, bool is_broken)
{
    if (is_broken)
        faults->may |= 1u << rule;
}

static int64_t size_of(int32_t ppm)
{
    return ppm < 0 ? -(int64_t)ppm : ppm;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Tiers from the least demanding to the most. */
static const enum pl_tier TIERS[PL_TIER_COUNT] = {
    PL_TIER_MAINTENANCE,
    PL_TIER_END,
    PL_TIER_INITIAL,
    PL_TIER_ALERT,
};

static bool is_nested(const struct pl_tier_ppm *ppm)
{
    for (int t = 1; t < PL_TIER_COUNT; t++)
        if (ppm->at[TIERS[t]] < ppm->at[TIERS[t - 1]])
            return false;
    return true;
}

static bool is_nested_in_size(const struct pl_tier_ppm *ppm)
{
    for (int t = 1; t < PL_TIER_COUNT; t++)
        if (size_of(ppm->at[TIERS[t]]) < size_of(ppm->at[TIERS[t - 1]]))
            return false;
    return true;
}

static void check_fields(const struct pl_parameters *set, const struct pl_instrument *rules,
                         struct model_faults *faults)
{
    must(faults, RULE_FIELD,
         rules->kind != PL_INSTRUMENT_SPOT && rules->kind != PL_INSTRUMENT_PERP &&
             rules->kind != PL_INSTRUMENT_FUTURE);
    may(faults, RULE_FIELD,
        rules->lot_decimals > PL_DECIMALS_MAX || rules->tick_decimals > PL_DECIMALS_MAX);
    must(faults, RULE_FIELD, rules->load_count > PL_LOADS_MAX);
    must(faults, RULE_FIELD, rules->loss_count > PL_LOSSES_MAX);
    must(faults, RULE_FIELD, rules->bracket_count > PL_BRACKETS_MAX);
    for (uint32_t i = 0; i < rules->load_count && i < PL_LOADS_MAX; i++)
        must(faults, RULE_FIELD, rules->loads[i].factor >= set->factor_count);
    for (uint32_t i = 0; i < rules->loss_count && i < PL_LOSSES_MAX; i++) {
        must(faults, RULE_FIELD, rules->losses[i].dependency >= set->dependency_count);
        for (int t = 0; t < PL_TIER_COUNT; t++) {
            /* A negative loss would make the requirement concave: no search could be trusted. */
            must(faults, RULE_FIELD, rules->losses[i].loss.at[t] < 0);
            may(faults, RULE_FIELD, rules->losses[i].loss.at[t] > PL_PPM);
        }
    }
    for (int t = 0; t < PL_TIER_COUNT; t++)
        may(faults, RULE_FIELD, rules->haircut_long.at[t] < 0 || rules->haircut_short.at[t] < 0);
    must(faults, RULE_FIELD, rules->confidence_ppm < 0);
    may(faults, RULE_FIELD, rules->confidence_ppm > PL_PPM);
    must(faults, RULE_FIELD, rules->sale_discount_ppm < 0 || rules->sale_discount_ppm >= PL_PPM);
    const struct pl_price_rules *price = &rules->price_rules;
    must(faults, RULE_FIELD, price->source_count > PL_PRICE_SOURCES_MAX);
    must(faults, RULE_FIELD, price->quorum < 1 || price->quorum > price->source_count);
    must(faults, RULE_FIELD, price->age_ms_max <= 0 || price->band_ppm <= 0);
    must(faults, RULE_FIELD, price->bad_mark_low_ppm < 0 || price->bad_mark_low_ppm > PL_PPM);
    must(faults, RULE_FIELD, price->bad_mark_high_ppm < PL_PPM);
}

/* A haircut that follows volatility: what it is reckoned from, and how fast it moves. */
static void check_model(const struct pl_policy *policy, const struct pl_haircut_model *model,
                        struct model_faults *faults)
{
    if (!model->is_present)
        return;
    must(faults, RULE_FIELD, model->cap_ppm < 1 || model->cap_ppm > PL_PPM);
    must(faults, RULE_FIELD, model->multiple.at[PL_TIER_MAINTENANCE] < 0);
    must(faults, RULE_FIELD, model->horizon.at[PL_TIER_MAINTENANCE] < 1);
    must(faults, RULE_V6, !is_nested(&model->multiple) || !is_nested(&model->horizon));
    must(faults, RULE_FIELD, model->venue_usd < 0 || model->reference_usd < 0);
    must(faults, RULE_FIELD, model->daily_volume_usd < 0 || model->participation_ppm < 0 ||
                                 model->participation_ppm > PL_PPM);
    must(faults, RULE_FIELD, model->venue_usd > 0 && (model->daily_volume_usd == 0 ||
                                                      model->participation_ppm == 0));
    must(faults, RULE_FIELD, model->reference_usd > 0 && (model->daily_volume_usd == 0 ||
                                                          model->impact_ppm == 0));
    must(faults, RULE_FIELD, policy->haircut_rise_ppm_per_hour < 1 ||
                                 policy->haircut_fall_ppm_per_day < 1 ||
                                 policy->haircut_hold_ms < 0 || policy->haircut_interval_ms < 1);
}

/* What the haircut is, or may become without anybody writing a new base set. */
static int64_t highest_haircut(const struct pl_instrument *rules, enum pl_tier tier)
{
    const int64_t cap = rules->haircut_model.is_present ? rules->haircut_model.cap_ppm : INT32_MIN;
    return larger(rules->haircut_long.at[tier], cap);
}

/* haircut_long + sum |loads| + largest loss + top bracket rate, each part in all its readings. */
static void check_sums(const struct pl_instrument *rules, enum pl_tier tier,
                       struct model_faults *faults)
{
    int64_t loads = 0, loss_top = 0, loss_sum = 0, rate_top = 0, rate_sum = 0;
    for (uint32_t i = 0; i < rules->load_count; i++)
        loads += size_of(rules->loads[i].load.at[tier]);
    for (uint32_t i = 0; i < rules->loss_count; i++) {
        loss_top = larger(loss_top, rules->losses[i].loss.at[tier]);
        loss_sum += size_of(rules->losses[i].loss.at[tier]);
    }
    for (uint32_t i = 0; i < rules->bracket_count; i++) {
        rate_top = larger(rate_top, rules->brackets[i].rate.at[tier]);
        rate_sum += size_of(rules->brackets[i].rate.at[tier]);
    }
    int64_t confidence = size_of(rules->confidence_ppm);
    bool is_charged = tier == PL_TIER_INITIAL || tier == PL_TIER_ALERT;
    int64_t held = highest_haircut(rules, tier) + loads + loss_top + rate_top;
    if (rules->kind == PL_INSTRUMENT_SPOT) {
        must(faults, RULE_V3, held + (is_charged ? confidence : 0) > PL_PPM);
        may(faults, RULE_V3, held + confidence > PL_PPM);
    }
    int64_t size_long = larger(size_of(rules->haircut_long.at[tier]), highest_haircut(rules, tier));
    int64_t size_short = size_of(rules->haircut_short.at[tier]);
    must(faults, RULE_V7,
         larger(size_long, size_short) + loads + loss_top + rate_top +
                 (is_charged ? confidence : 0) >
             COEFFICIENTS_MAX);
    may(faults, RULE_V7,
        size_long + size_short + loads + loss_sum + rate_sum + confidence + 2 * PL_PPM >
            COEFFICIENTS_MAX);
}

static void check_instrument(const struct pl_parameters *set, const struct pl_instrument *rules,
                             struct model_faults *faults)
{
    check_fields(set, rules, faults);
    check_model(&set->policy, &rules->haircut_model, faults);
    if (rules->load_count > PL_LOADS_MAX || rules->loss_count > PL_LOSSES_MAX ||
        rules->bracket_count > PL_BRACKETS_MAX)
        return;
    uint64_t decimals = (uint64_t)rules->lot_decimals + rules->tick_decimals;
    must(faults, RULE_V7, decimals > PL_DECIMALS_MAX);
    must(faults, RULE_V6, !is_nested(&rules->haircut_long) || !is_nested(&rules->haircut_short));
    for (uint32_t i = 0; i < rules->load_count; i++)
        must(faults, RULE_V6, !is_nested_in_size(&rules->loads[i].load));
    for (uint32_t i = 0; i < rules->loss_count; i++)
        must(faults, RULE_V6, !is_nested(&rules->losses[i].loss));
    for (uint32_t i = 0; i < rules->bracket_count; i++) {
        const struct pl_bracket *bracket = &rules->brackets[i];
        must(faults, RULE_V6, !is_nested(&bracket->rate));
        must(faults, RULE_V2, i == 0 && bracket->threshold_usd < 0);
        must(faults, RULE_V2, bracket->threshold_usd > 1000000000000);
        must(faults, RULE_V2, i > 0 && bracket->threshold_usd <= bracket[-1].threshold_usd);
        for (int t = 0; t < PL_TIER_COUNT; t++)
            must(faults, RULE_V2, bracket->rate.at[t] < (i > 0 ? bracket[-1].rate.at[t] : 0));
    }
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        must(faults, RULE_V1, (int64_t)rules->haircut_long.at[t] + rules->haircut_short.at[t] < 0);
        check_sums(rules, (enum pl_tier)t, faults);
    }
}

/* Loads of one factor grow alike from tier to tier: a[t] b[u] = b[t] a[u]. */
static void check_loads_of(const struct pl_tier_ppm *a, const struct pl_tier_ppm *b,
                           struct model_faults *faults)
{
    for (int t = 0; t < PL_TIER_COUNT; t++)
        for (int u = 0; u < PL_TIER_COUNT; u++) {
            bool is_broken = (int64_t)a->at[t] * b->at[u] != (int64_t)b->at[t] * a->at[u];
            must(faults, RULE_V6, is_broken);
        }
}

static void check_loads(const struct pl_instrument *a, const struct pl_instrument *b,
                        struct model_faults *faults)
{
    for (uint32_t i = 0; i < a->load_count && i < PL_LOADS_MAX; i++)
        for (uint32_t j = 0; j < b->load_count && j < PL_LOADS_MAX; j++)
            if (a->loads[i].factor == b->loads[j].factor)
                check_loads_of(&a->loads[i].load, &b->loads[j].load, faults);
}

static bool has_twins(const struct pl_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (pl_id_equal(&ids[i], &ids[j]))
                return true;
    return false;
}

static void check_set(const struct pl_parameters *set, struct model_faults *faults)
{
    must(faults, RULE_FIELD, has_twins(set->factors, set->factor_count));
    must(faults, RULE_FIELD, has_twins(set->dependencies, set->dependency_count));
    for (uint32_t i = 0; i < set->source_count; i++)
        for (uint32_t j = 0; j < i; j++)
            must(faults, RULE_FIELD, pl_id_equal(&set->sources[i].id, &set->sources[j].id));
    for (uint32_t i = 0; i < set->policy.liquidity_count; i++) {
        uint32_t named = set->policy.liquidity_order[i];
        must(faults, RULE_FIELD, named >= PL_INSTRUMENTS_MAX || !set->instruments[named].is_listed);
        for (uint32_t j = 0; j < i; j++)
            must(faults, RULE_FIELD, set->policy.liquidity_order[j] == named);
    }
}

void model_rules(const struct pl_parameters *parameters, struct model_faults *faults)
{
    faults->must = 0;
    faults->may = 0;
    check_set(parameters, faults);
    uint32_t listed[PL_INSTRUMENTS_MAX], listed_count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        if (!parameters->instruments[i].is_listed)
            continue;
        check_instrument(parameters, &parameters->instruments[i], faults);
        for (uint32_t j = 0; j < listed_count; j++)
            check_loads(&parameters->instruments[i], &parameters->instruments[listed[j]], faults);
        listed[listed_count++] = i;
    }
}
