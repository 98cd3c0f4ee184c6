/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parameter set is refused if and only if it breaks a rule, and the rule that is named is one
 * that it breaks: valid random sets, spoiled in no to three places, against the model's own reading
 * of V1, V2, V3, V6, V7 and the ranges of fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/world.h"

static struct world world;
static struct pl_instrument *chosen; /* the instrument being spoiled */

static int32_t nudge(int32_t ppm)
{
    static const int32_t STEPS[] = {-1, 1, -1000, 1000, -PL_PPM, PL_PPM};
    if (world_chance(&world, 24))
        return world_chance(&world, 2) ? INT32_MIN : INT32_MAX;
    int64_t moved = (int64_t)ppm + STEPS[world_below(&world, sizeof STEPS / sizeof STEPS[0])];
    return moved > INT32_MAX ? INT32_MAX : moved < INT32_MIN ? INT32_MIN : (int32_t)moved;
}

/* One tier, or all of them alike. */
static void nudge_tiers(struct pl_tier_ppm *ppm)
{
    uint64_t tier = world_below(&world, PL_TIER_COUNT);
    ppm->at[tier] = nudge(ppm->at[tier]);
    for (int t = 0; t < PL_TIER_COUNT && world_chance(&world, 4); t++)
        ppm->at[t] = ppm->at[tier];
}

static void spoil_haircut(void)
{
    nudge_tiers(world_chance(&world, 2) ? &chosen->haircut_long : &chosen->haircut_short);
}

/* V1 at its edge: the two haircuts cancel, or miss it by one. */
static void spoil_signs(void)
{
    int32_t change = (int32_t)world_between(&world, -1, 1);
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (chosen->haircut_long.at[t] > -PL_PPM * 1000)
            chosen->haircut_short.at[t] = change - chosen->haircut_long.at[t];
}

static void spoil_load(void)
{
    if (chosen->load_count)
        nudge_tiers(&chosen->loads[world_below(&world, chosen->load_count)].load);
}

static void spoil_loss(void)
{
    if (chosen->loss_count)
        nudge_tiers(&chosen->losses[world_below(&world, chosen->loss_count)].loss);
}

static void spoil_threshold(void)
{
    if (!chosen->bracket_count)
        return;
    uint64_t b = world_below(&world, chosen->bracket_count);
    int64_t *threshold = &chosen->brackets[b].threshold_usd;
    switch (world_below(&world, 4)) {
    case 0:
        *threshold += world_between(&world, -1, 1);
        break;
    case 1:
        *threshold = b ? chosen->brackets[b - 1].threshold_usd : 1;
        break;
    case 2:
        *threshold = b ? chosen->brackets[b - 1].threshold_usd + 1 : 0;
        break;
    default:
        *threshold = -*threshold;
        break;
    }
}

static void spoil_rate(void)
{
    if (chosen->bracket_count)
        nudge_tiers(&chosen->brackets[world_below(&world, chosen->bracket_count)].rate);
}

static void spoil_confidence(void)
{
    chosen->confidence_ppm = nudge(chosen->confidence_ppm);
}

/* V3 and V7 to the unit: the long side is filled up to the line, or one beyond. */
static void spoil_sum(void)
{
    int64_t most = chosen->kind == PL_INSTRUMENT_SPOT ? PL_PPM : 1 << 23;
    int64_t loss = 0, sum = chosen->confidence_ppm;
    for (uint32_t i = 0; i < chosen->load_count; i++) {
        int32_t load = chosen->loads[i].load.at[PL_TIER_ALERT];
        sum += load < 0 ? -(int64_t)load : load;
    }
    for (uint32_t i = 0; i < chosen->loss_count; i++)
        if (chosen->losses[i].loss.at[PL_TIER_ALERT] > loss)
            loss = chosen->losses[i].loss.at[PL_TIER_ALERT];
    if (chosen->bracket_count)
        sum += chosen->brackets[chosen->bracket_count - 1].rate.at[PL_TIER_ALERT];
    chosen->haircut_long.at[PL_TIER_ALERT] = (int32_t)(most - sum - loss +
                                                       world_between(&world, 0, 1));
    if (world_chance(&world, 4))
        chosen->kind = PL_INSTRUMENT_PERP;
}

static void spoil_decimals(void)
{
    chosen->tick_decimals = PL_DECIMALS_MAX - chosen->lot_decimals + 1;
    if (world_chance(&world, 3))
        chosen->tick_decimals--;
    if (world_chance(&world, 6))
        chosen->lot_decimals = UINT32_MAX;
}

/* The other spoilers walk the arrays. */
static bool has_true_counts(const struct pl_instrument *rules)
{
    return rules->load_count <= PL_LOADS_MAX && rules->loss_count <= PL_LOSSES_MAX &&
           rules->bracket_count <= PL_BRACKETS_MAX;
}

static void spoil_count(void)
{
    switch (world_below(&world, 3)) {
    case 0:
        chosen->load_count = PL_LOADS_MAX + 1;
        break;
    case 1:
        chosen->loss_count = PL_LOSSES_MAX + 1;
        break;
    default:
        chosen->bracket_count = PL_BRACKETS_MAX + 1;
        break;
    }
}

static void spoil_reference(void)
{
    if (chosen->load_count && world_chance(&world, 2))
        chosen->loads[0].factor = world.parameters.factor_count;
    else if (chosen->loss_count)
        chosen->losses[0].dependency = world.parameters.dependency_count;
}

static void spoil_discount(void)
{
    static const int32_t DISCOUNTS[] = {-1, 0, 999999, PL_PPM, INT32_MIN, INT32_MAX};
    chosen->sale_discount_ppm = DISCOUNTS[world_below(&world, 6)];
}

static void spoil_price_rules(void)
{
    struct pl_price_rules *rules = &chosen->price_rules;
    switch (world_below(&world, 8)) {
    case 0:
        rules->quorum = 0;
        break;
    case 1:
        rules->quorum = rules->source_count + 1;
        break;
    case 2:
        rules->age_ms_max = world_between(&world, -1, 1);
        break;
    case 3:
        rules->band_ppm = (int32_t)world_between(&world, -1, 1);
        break;
    case 4:
        rules->bad_mark_low_ppm = (int32_t)world_between(&world, -1, 0);
        break;
    case 5:
        rules->bad_mark_low_ppm = PL_PPM + (int32_t)world_between(&world, 0, 1);
        break;
    case 6:
        rules->bad_mark_high_ppm = PL_PPM + (int32_t)world_between(&world, -1, 0);
        break;
    default:
        rules->source_count = PL_PRICE_SOURCES_MAX + 1;
        break;
    }
}

static void spoil_kind(void)
{
    chosen->kind = (enum pl_instrument_kind)world_below(&world, 5);
}

static void spoil_order(void)
{
    struct pl_policy *policy = &world.parameters.policy;
    if (policy->liquidity_count < 2)
        return;
    uint64_t place = 1 + world_below(&world, policy->liquidity_count - 1);
    policy->liquidity_order[place] = world_chance(&world, 2) ? world.unlisted[0]
                                                             : policy->liquidity_order[0];
}

static void spoil_ids(void)
{
    struct pl_parameters *set = &world.parameters;
    if (set->factor_count >= 2 && world_chance(&world, 2))
        set->factors[set->factor_count - 1] = set->factors[0];
    else if (set->dependency_count >= 2)
        set->dependencies[1] = set->dependencies[0];
}

static struct pl_tier_ppm rising_tiers(int32_t least)
{
    struct pl_tier_ppm tiers;
    for (int t = PL_TIER_COUNT; t-- > 0;)
        tiers.at[t] = least += (int32_t)world_below(&world, 1000);
    return tiers;
}

/* A haircut that follows volatility: mostly one that may, often beyond what V3 leaves for it. */
static void give_model(void)
{
    struct pl_policy *policy = &world.parameters.policy;
    struct pl_haircut_model *model = &chosen->haircut_model;
    policy->haircut_rise_ppm_per_hour = policy->haircut_fall_ppm_per_day = 10000;
    policy->haircut_hold_ms = policy->haircut_interval_ms = 60000;
    *model = (struct pl_haircut_model){
        .is_present = true, .multiple = rising_tiers(0), .horizon = rising_tiers(1),
        .cap_ppm = 1 + (int32_t)world_below(&world, world_chance(&world, 2) ? PL_PPM : 100000)};
    if (world_chance(&world, 2))
        model->venue_usd = model->daily_volume_usd = model->participation_ppm = 1000;
    if (world_chance(&world, 2))
        model->reference_usd = model->daily_volume_usd = model->impact_ppm = 1000;
}

static void spoil_model(void)
{
    struct pl_policy *policy = &world.parameters.policy;
    struct pl_haircut_model *model = &chosen->haircut_model;
    give_model();
    switch (world_below(&world, 9)) {
    case 0: model->cap_ppm = world_chance(&world, 2) ? 0 : PL_PPM + 1; break;
    case 1: model->multiple.at[PL_TIER_MAINTENANCE] = -1; break;
    case 2: model->horizon.at[world_below(&world, PL_TIER_COUNT)] = 0; break;
    case 3: model->multiple.at[PL_TIER_END] = 100000; break;
    case 4: model->daily_volume_usd = 0; break;
    case 5: model->participation_ppm = model->impact_ppm = 0; break;
    case 6: policy->haircut_rise_ppm_per_hour = 0; break;
    case 7: policy->haircut_fall_ppm_per_day = -1; break;
    case 8: policy->haircut_hold_ms = -1; break;
    }
}

static void (*const SPOILS[])(void) = {
    give_model,     give_model,        spoil_model,
    spoil_haircut,  spoil_haircut,     spoil_signs,    spoil_load,  spoil_load,
    spoil_loss,     spoil_threshold,   spoil_rate,     spoil_rate,  spoil_confidence,
    spoil_sum,      spoil_sum,         spoil_decimals, spoil_count, spoil_reference,
    spoil_discount, spoil_price_rules, spoil_kind,     spoil_order, spoil_ids,
};

static void check_derived(void)
{
    for (uint32_t i = 0; i < world.instrument_count; i++) {
        uint32_t index = world.instruments[i];
        const struct pl_instrument *rules = &world.parameters.instruments[index];
        int64_t multiplier = 1;
        for (uint32_t d = rules->lot_decimals + rules->tick_decimals; d < PL_DECIMALS_MAX; d++)
            multiplier *= 10;
        assert_int_equal(rules->multiplier, multiplier);
        assert_int_equal(rules->sale_rank, model_rank(&world.parameters, index));
    }
}

/* The rule that a refusal names, as the model numbers them; -1 for a text that names none. */
static int named_rule(const char *text)
{
    if (text[0] == 'V' && text[1] >= '1' && text[1] <= '9' && text[2] == ' ')
        return text[1] - '0';
    return text[0] ? 0 : -1;
}

static void check_set(uint64_t accepted_and_refused[2], uint64_t named[16])
{
    struct model_faults faults;
    model_rules(&world.parameters, &faults);
    (void)pl_err_set(PL_OK, "%s", "");
    enum pl_err err = pl_parameters_finish(&world.parameters, &world.names);
    if (!err) {
        if (faults.must)
            world_fail(&world, "accepted, breaks %#x", faults.must);
        check_derived();
        accepted_and_refused[0]++;
        return;
    }
    int rule = named_rule(pl_err_text());
    if (err != PL_REJECT_PARAMETERS)
        world_fail(&world, "refused with %d", err);
    if (!faults.may)
        world_fail(&world, "refused, breaks nothing: %s", pl_err_text());
    if (rule < 0 || !(faults.may >> rule & 1))
        world_fail(&world, "refused as \"%s\", breaks %#x", pl_err_text(), faults.may);
    accepted_and_refused[1]++;
    named[rule]++;
}

static void sets_are_refused_for_the_rule_they_break(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20230311).state, sets = world_runs(40000);
    uint64_t met[2] = {0}, named[16] = {0};
    for (uint64_t s = 0; s < sets; s++) {
        world_fill_parameters(&world, seed + s);
        uint64_t spoils = world_below(&world, 4);
        for (uint64_t i = 0; i < spoils; i++) {
            uint32_t at = (uint32_t)world_below(&world, world.instrument_count);
            chosen = &world.parameters.instruments[world.instruments[at]];
            if (has_true_counts(chosen))
                SPOILS[world_below(&world, sizeof SPOILS / sizeof SPOILS[0])]();
        }
        check_set(met, named);
    }
    printf("accepted=%" PRIu64 " refused=%" PRIu64 " for fields=%" PRIu64 " V1=%" PRIu64
           " V2=%" PRIu64 " V3=%" PRIu64 " V6=%" PRIu64 " V7=%" PRIu64 "\n",
           met[0], met[1], named[0], named[1], named[2], named[3], named[6], named[7]);
    assert_true(met[0] > sets / 10 && met[1] > sets / 10);
    assert_true(named[0] && named[1] && named[2] && named[3] && named[6] && named[7]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sets_are_refused_for_the_rule_they_break)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
