/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as other services write them, appended to the modelled Kafka: marks, parameters, control,
 * chains, holdings, execution reports; and bytes that are no record of anything.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "plimsoll/v1/chain_status.pb-c.h"
#include "plimsoll/v1/execution_report.pb-c.h"
#include "plimsoll/v1/parameter_set.pb-c.h"
#include "plimsoll/v1/position.pb-c.h"
#include "tests/chaos/sim/world.h"

enum { RECORDS_SCENARIOS = 8, RECORDS_MODE_WEIGHTS = 6, WIRE_BYTES = 8 << 20, PACKED_BYTES = 16 << 10, TOO_LARGE_BYTES = 257 << 10 };

/* In the order of ids, as holdings list them. */
const struct world_instrument world_instruments[WORLD_INSTRUMENTS_MAX] = {
    { { 3, "BTC" }, 5, 2, PL_INSTRUMENT_SPOT, 6000000 },
    { { 8, "BTC-PERP" }, 3, 1, PL_INSTRUMENT_PERP, 600500 },
    { { 3, "ETH" }, 4, 2, PL_INSTRUMENT_SPOT, 300000 },
    { { 3, "SOL" }, 2, 3, PL_INSTRUMENT_SPOT, 150000 },
    { { 4, "USDC" }, 2, 4, PL_INSTRUMENT_SPOT, 10000 },
    /* An option's base price is that of its underlying: it is traded by the amount underneath. */
    { { 5, "X-ETH" }, 2, 2, PL_INSTRUMENT_OPTION, 300000 },
    { { 5, "Y-ETH" }, 3, 2, PL_INSTRUMENT_OPTION, 300000 },
    { { 5, "Z-VOL" }, 0, 4, PL_INSTRUMENT_VOLATILITY, 8000 },
};

/* What the sets differ in. */
static const struct set_choice {
    bool lists[WORLD_INSTRUMENTS_MAX], sells[WORLD_INSTRUMENTS_MAX];
    bool has_factor, has_brackets, has_losses, has_graph, settles_by_time;
    int32_t confidence_ppm, discount_ppm;
    int64_t age_ms_max, valid_ms, overdue_ms, pause_ms, hold_ms, watermark_ms_max;
    int64_t ramp_ms, call_interval_ms, grace_ms, dust_usd; /* 0: the set says nothing of it */
    Plimsoll__V1__ParameterSet__Contract__Rule rule; /* 0: no contract holds anything */
    int32_t bonus_ppm;
    int64_t brake_ms; /* 0: no brake */
    int32_t brake_ppm;
    bool has_modes;
} s_choices[WORLD_SETS] = {
    { { 1, 0, 1, 0, 1 }, { 1, 0, 1, 0, 1 }, false, false, false, false, false, 0, 5000, 3000, 2500, 1500, 1000,
      3000, 4000, 0, 0, 0, 0, 0, 0, 0, 0, false },
    { { 1, 1, 1, 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1, 1 }, true, true, true, true, false, 1500, 10000, 2500, 3000, 2000, 1500,
      4000, 5000, 6000, 2500, 3000, 100000,
      PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_MORPHO, 0, 3000, 2000001,
      true },
    { { 1, 1, 1, 0, 1 }, { 1, 1, 1, 0, 0 }, true, false, false, false, true, 0, 8000, 3000, 2000, 1000, 800,
      2000, 6000, 0, 6000, 0, 300, PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_AAVE_V3,
      8000, 0, 0, true },
    { { 1, 1, 1, 1, 1, 1, 0, 1 }, { 1, 1, 1, 1, 0, 1 }, false, true, false, true, false, 1000, 3000, 4000, 4000, 2500, 2000,
      5000, 4500, 1500, 0, 1200, 0,
      PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_COMPOUND_V3, 3000, 700,
      1500001, false },
};

static struct {
    struct pl_wire *wire;
    struct pl_names names[WORLD_SETS];
    struct pl_parameters *sets[WORLD_SETS];
    uint8_t packed[PACKED_BYTES], large[TOO_LARGE_BYTES];
} s_records;

typedef Plimsoll__V1__ParameterSet__TierPpm tiers;

/* ---- parameters --------------------------------------------------------------------------------- */

struct set_message {
    Plimsoll__V1__ParameterSet set;
    Plimsoll__V1__ParameterSet__Instrument instruments[WORLD_INSTRUMENTS_MAX], *instrument_list[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__PriceRules rules[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__FactorLoad loads[WORLD_INSTRUMENTS_MAX], *load_lists[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Bracket brackets[WORLD_INSTRUMENTS_MAX], *bracket_lists[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__DependencyLoss losses[WORLD_INSTRUMENTS_MAX], *loss_lists[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__HaircutModel models[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Haircut haircuts[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Haircut__Move moves[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Option options[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Scenario scenarios[RECORDS_SCENARIOS], *scenario_list[RECORDS_SCENARIOS];
    tiers scenario_tiers[RECORDS_SCENARIOS], short_minimum;
    tiers bases_short[WORLD_INSTRUMENTS_MAX], bases[WORLD_INSTRUMENTS_MAX], targets[WORLD_INSTRUMENTS_MAX], multiples, horizons, none;
    tiers haircuts_long[WORLD_INSTRUMENTS_MAX], haircuts_short[WORLD_INSTRUMENTS_MAX], load_tiers[WORLD_INSTRUMENTS_MAX], bracket_tiers[WORLD_INSTRUMENTS_MAX], loss_tiers[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__ParameterSet__Factor factor, *factors[1];
    Plimsoll__V1__ParameterSet__Mode modes[4], *mode_list[4];
    Plimsoll__V1__ParameterSet__Mode__Weight mode_weights[RECORDS_MODE_WEIGHTS], *weight_list[5 * RECORDS_MODE_WEIGHTS];
    tiers mode_tiers[RECORDS_MODE_WEIGHTS], mode_tiers_short[RECORDS_MODE_WEIGHTS];
    Plimsoll__V1__ParameterSet__Dependency dependencies[5], *dependency_list[5];
    Plimsoll__V1__ParameterSet__Exposure exposures[7], *exposure_list[7];
    Plimsoll__V1__ParameterSet__JointFailure joint, *joints[1];
    tiers exposure_tiers[7], joint_tiers;
    Plimsoll__V1__ParameterSet__Peg peg;
    Plimsoll__V1__ParameterSet__Source source, *sources[1];
    Plimsoll__V1__ParameterSet__Policy policy, *policies[1];
    Plimsoll__V1__ParameterSet__Confirmations credits[2], *credit_list[2];
    Plimsoll__V1__ParameterSet__Rung rungs[WORLD_INSTRUMENTS_MAX][2], *rung_lists[WORLD_INSTRUMENTS_MAX][2];
    Plimsoll__V1__ParameterSet__Contract contract, *contracts[1];
    Plimsoll__V1__ParameterSet__Contract__Asset assets[WORLD_INSTRUMENTS_MAX], *asset_list[5];
    char *order[WORLD_INSTRUMENTS_MAX], *price_sources[1], *members[2];
};

#define PUT(message, field, what) ((message)->has_##field = 1, (message)->field = (what))

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal; /* protobuf-c has no const strings and writes to none */
}

static tiers *fill_tiers(tiers *to, int32_t unit)
{
    plimsoll__v1__parameter_set__tier_ppm__init(to);
    PUT(to, alert, 12 * unit);
    PUT(to, initial, 10 * unit);
    PUT(to, end, 8 * unit);
    PUT(to, maintenance, 6 * unit);
    return to;
}

static void raise(tiers *to, int32_t strict, int32_t mild)
{
    to->alert += strict;
    to->initial += strict;
    to->end += mild;
    to->maintenance += mild;
}

enum { HAIRCUT_CAP_PPM = 300000 };

static tiers *scale(tiers *to, tiers from, int32_t quarters)
{
    *to = from;
    to->alert = from.alert * quarters / 4;
    to->initial = from.initial * quarters / 4;
    to->end = from.end * quarters / 4;
    to->maintenance = from.maintenance * quarters / 4;
    return to;
}

/* As the price service derives them; what they were derived from is nobody's business here. */
static void fill_haircut(struct set_message *to, unsigned i, const struct records_haircuts *haircuts)
{
    Plimsoll__V1__ParameterSet__Instrument *instrument = &to->instruments[i];
    Plimsoll__V1__ParameterSet__HaircutModel *model = &to->models[i];
    Plimsoll__V1__ParameterSet__Haircut *haircut = &to->haircuts[i];
    plimsoll__v1__parameter_set__haircut_model__init(model);
    model->multiple = fill_tiers(&to->multiples, 400000);
    model->horizon = fill_tiers(&to->horizons, 100000);
    PUT(model, cap_ppm, HAIRCUT_CAP_PPM);
    plimsoll__v1__parameter_set__haircut__init(haircut);
    to->bases[i] = to->targets[i] = to->haircuts_long[i];
    raise(&to->targets[i], haircuts->raised[i], haircuts->raised[i]);
    raise(&to->haircuts_long[i], haircuts->raised[i], haircuts->climbed[i]);
    haircut->base_haircut = &to->bases[i];
    haircut->target = &to->targets[i];
    if (haircuts->climbed[i] < haircuts->raised[i]) {
        plimsoll__v1__parameter_set__haircut__move__init(&to->moves[i]);
        PUT(&to->moves[i], from_ppm, to->bases[i].end);
        PUT(&to->moves[i], since_ms, world_now_ms());
        haircut->end = haircut->maintenance = &to->moves[i];
    }
    PUT(haircut, volatility_fast_ppm, 50000);
    PUT(haircut, volatility_slow_ppm, 40000);
    fill_tiers(&to->none, 0);
    haircut->close_out = haircut->buffer = haircut->stress = haircut->floor = &to->none;
    PUT(haircut, liquidity_ppm, 0);
    if (i % 2 == 0) { /* debts follow */
        PUT(model, with_short, true);
        to->bases_short[i] = to->haircuts_short[i];
        raise(&to->haircuts_short[i], haircuts->raised[i], haircuts->climbed[i]);
        haircut->base_short = &to->bases_short[i];
    }
    if (haircuts->is_beyond_cap)
        to->haircuts_long[i].alert = HAIRCUT_CAP_PPM + 1;
    instrument->haircut_model = model;
    instrument->haircut = haircut;
}

static void fill_weights(struct set_message *to, unsigned i, const struct set_choice *choice)
{
    Plimsoll__V1__ParameterSet__Instrument *instrument = &to->instruments[i];
    if (world_instruments[i].kind >= PL_INSTRUMENT_OPTION) {
        instrument->haircut_long = instrument->haircut_short = fill_tiers(&to->haircuts_long[i], 0);
        return;
    }
    instrument->haircut_long = fill_tiers(&to->haircuts_long[i], i == 4 ? 500 : 5000);
    instrument->haircut_short = fill_tiers(&to->haircuts_short[i], i == 4 ? 600 : 6000);
    if (choice->has_factor && i < 3) {
        plimsoll__v1__parameter_set__factor_load__init(&to->loads[i]);
        to->loads[i].factor = text("market");
        to->loads[i].load = fill_tiers(&to->load_tiers[i], i == 2 ? 12000 : 9000);
        to->load_lists[i] = &to->loads[i];
        instrument->n_factors = 1;
        instrument->factors = &to->load_lists[i];
    }
    if (choice->has_brackets && (i == 0 || i == 3)) {
        plimsoll__v1__parameter_set__bracket__init(&to->brackets[i]);
        PUT(&to->brackets[i], threshold_usd, 20000);
        to->brackets[i].rate = fill_tiers(&to->bracket_tiers[i], 2000);
        to->bracket_lists[i] = &to->brackets[i];
        instrument->n_brackets = 1;
        instrument->brackets = &to->bracket_lists[i];
    }
    if (choice->has_losses && i == 4) {
        plimsoll__v1__parameter_set__dependency_loss__init(&to->losses[i]);
        to->losses[i].dependency = text("issuer");
        to->losses[i].loss = fill_tiers(&to->loss_tiers[i], 1000);
        to->loss_lists[i] = &to->losses[i];
        instrument->n_dependencies = 1;
        instrument->dependencies = &to->loss_lists[i];
    }
}

/* Half of what is coming in at once, all of what is not much when two more blocks are there. */
static void fill_confirmations(struct set_message *to,
                               Plimsoll__V1__ParameterSet__Instrument *instrument)
{
    for (unsigned i = 0; i < 2; i++) {
        plimsoll__v1__parameter_set__confirmations__init(&to->credits[i]);
        PUT(&to->credits[i], blocks, i == 0 ? 1 : 3);
        PUT(&to->credits[i], weight_ppm, i == 0 ? 500001 : PL_PPM);
        to->credit_list[i] = &to->credits[i];
    }
    PUT(&to->credits[1], lots_max, 20000);
    instrument->n_confirmations = 2;
    instrument->confirmations = to->credit_list;
}

/* Ladders for all, steps, least orders and slices for some. */
static void fill_venue(struct set_message *to, unsigned i, const struct set_choice *choice,
                       Plimsoll__V1__ParameterSet__Instrument *instrument)
{
    for (unsigned k = 0; k < 2; k++) {
        plimsoll__v1__parameter_set__rung__init(&to->rungs[i][k]);
        PUT(&to->rungs[i][k], usd_max, k == 0 ? 3000 : 20000);
        /* Little better where a contract takes its bonus (fill_contract). */
        PUT(&to->rungs[i][k], discount_ppm,
            choice->discount_ppm - choice->discount_ppm / (i % 2 == 0 ? 400 : 2) * (2 - (int)k) / 2);
        to->rung_lists[i][k] = &to->rungs[i][k];
    }
    instrument->n_depth = 2;
    instrument->depth = to->rung_lists[i];
    if (i % 2 == 0)
        PUT(instrument, lot_step, 3);
    if (i % 3 == 0)
        PUT(instrument, min_notional_usd, 200);
    if (i == 2)
        PUT(instrument, slice_usd_max, 15000);
}

/* A call above the price, a put below it; what they are worth is the feeds' to say. */
static void fill_option(struct set_message *to, unsigned i)
{
    Plimsoll__V1__ParameterSet__Option *option = &to->options[i];
    plimsoll__v1__parameter_set__option__init(option);
    PUT(option, type, i == WORLD_CALL ? PLIMSOLL__V1__PARAMETER_SET__OPTION__TYPE__TYPE_CALL
                                      : PLIMSOLL__V1__PARAMETER_SET__OPTION__TYPE__TYPE_PUT);
    option->underlying = text(world_instruments[WORLD_UNDERLYING].id.text);
    option->volatility = text(world_instruments[WORLD_VOLATILITY].id.text);
    PUT(option, strike_ticks, records_strike(i));
    PUT(option, expiry_ms, INT64_MAX / 2);
    if (i == WORLD_CALL)
        PUT(option, averaging_ms, 1800000);
    to->instruments[i].option = option;
}

/* The same for all sets; weights fall from the strictest tier. */
static void fill_scenarios(struct set_message *to)
{
    static const struct {
        int32_t move_ppm, weight_ppm;
        Plimsoll__V1__ParameterSet__Scenario__Layer layer;
    } rows[RECORDS_SCENARIOS] = {
        { 0, 900000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP },
        { 0, 900000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_DOWN },
        { 100001, 800000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP },
        { -100001, 800000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_DOWN },
        { 160000, 700000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_MID },
        { -160000, 700000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP },
        { 5000000, 32000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP },
        { -660000, 240000, PLIMSOLL__V1__PARAMETER_SET__SCENARIO__LAYER__LAYER_UP },
    };
    for (unsigned s = 0; s < RECORDS_SCENARIOS; s++) {
        plimsoll__v1__parameter_set__scenario__init(&to->scenarios[s]);
        PUT(&to->scenarios[s], move_ppm, rows[s].move_ppm);
        PUT(&to->scenarios[s], layer, rows[s].layer);
        to->scenarios[s].weight = fill_tiers(&to->scenario_tiers[s], rows[s].weight_ppm / 12);
        to->scenario_list[s] = &to->scenarios[s];
    }
    to->set.n_scenarios = RECORDS_SCENARIOS;
    to->set.scenarios = to->scenario_list;
    to->set.short_option_minimum = fill_tiers(&to->short_minimum, 1500);
}

static void fill_instrument(struct set_message *to, unsigned i, const struct set_choice *choice)
{
    Plimsoll__V1__ParameterSet__Instrument *instrument = &to->instruments[i];
    Plimsoll__V1__ParameterSet__PriceRules *rules = &to->rules[i];
    plimsoll__v1__parameter_set__instrument__init(instrument);
    instrument->instrument = text(world_instruments[i].id.text);
    PUT(instrument, kind, (Plimsoll__V1__ParameterSet__Instrument__Kind)world_instruments[i].kind);
    PUT(instrument, lot_decimals, world_instruments[i].lot_decimals);
    PUT(instrument, tick_decimals, world_instruments[i].tick_decimals);
    fill_weights(to, i, choice);
    PUT(instrument, confidence_ppm,
        world_instruments[i].kind == PL_INSTRUMENT_OPTION ? 0 : choice->confidence_ppm);
    if (world_instruments[i].kind == PL_INSTRUMENT_OPTION)
        fill_option(to, i);
    else if (i == WORLD_UNDERLYING && choice->lists[WORLD_CALL])
        instrument->scenario_underlying = text(world_instruments[i].id.text);
    PUT(instrument, sale_discount_ppm, choice->discount_ppm);
    plimsoll__v1__parameter_set__price_rules__init(rules);
    to->price_sources[0] = text("venue");
    rules->n_sources = 1;
    rules->sources = to->price_sources;
    PUT(rules, quorum, 1);
    PUT(rules, age_ms_max, choice->age_ms_max);
    PUT(rules, band_ppm, 100000);
    PUT(rules, bad_mark_low_ppm, 700000);
    PUT(rules, bad_mark_high_ppm, 1200000);
    instrument->price_rules = rules;
    if (i % 2 == 0 && i < 5) /* the others live on no chain */
        instrument->chain = text("chain");
    if (i == 2)
        instrument->bridge = text("bridge");
    if (i == 0 && choice->grace_ms > 0)
        fill_confirmations(to, instrument);
    if (choice->has_brackets)
        fill_venue(to, i, choice, instrument);
    if (i == 3 && choice->has_graph) { /* its marks come from whoever writes marks: nobody may mind */
        plimsoll__v1__parameter_set__peg__init(&to->peg);
        to->peg.underlying = text("ETH");
        to->peg.redemption = text("USDC");
        PUT(&to->peg, floor_ppm, 900000);
        instrument->peg = &to->peg;
    }
}

/* The way to "chain" that costs most is another one for each instrument; what fails together is worse
 * than each member for none of them. The order of names is no order of the edges. */
static void fill_dependencies(struct set_message *to, const struct set_choice *choice)
{
    static const char *const names[] = { "chain", "issuer", "together", "custody", "bridge" };
    static const struct {
        unsigned instrument;
        const char *from, *to;
        int32_t unit, coverage;
    } edges[] = {
        { 2, NULL, "bridge", 3001, 0 },      { 0, NULL, "chain", 2000, 250001 },
        { 4, NULL, "custody", 800, 0 },      { 2, NULL, "chain", 500, 0 },
        { 0, "bridge", "chain", 83331, 0 },  { 0, "custody", "issuer", 70001, 0 },
        { 0, "issuer", "chain", 50003, 333333 },
    };
    const unsigned name_count = choice->has_graph ? sizeof(names) / sizeof(names[0]) : 2;
    for (unsigned i = 0; i < name_count; i++) {
        plimsoll__v1__parameter_set__dependency__init(&to->dependencies[i]);
        to->dependencies[i].dependency = text(names[i]);
        to->dependency_list[i] = &to->dependencies[i];
    }
    to->set.n_dependencies = name_count;
    to->set.dependencies = to->dependency_list;
    for (unsigned i = 0; choice->has_graph && i < sizeof(edges) / sizeof(edges[0]); i++) {
        Plimsoll__V1__ParameterSet__Exposure *exposure = &to->exposures[i];
        plimsoll__v1__parameter_set__exposure__init(exposure);
        exposure->from = edges[i].from ? text(edges[i].from) : NULL;
        if (!edges[i].from)
            exposure->instrument = text(world_instruments[edges[i].instrument].id.text);
        exposure->to = text(edges[i].to);
        exposure->loss = fill_tiers(&to->exposure_tiers[i], edges[i].unit);
        if (edges[i].coverage > 0)
            PUT(exposure, coverage_ppm, edges[i].coverage);
        to->exposure_list[to->set.n_exposures++] = exposure;
    }
    to->set.exposures = to->exposure_list;
    if (!choice->has_graph)
        return;
    plimsoll__v1__parameter_set__joint_failure__init(&to->joint);
    to->joint.dependency = text("together");
    to->members[0] = text("bridge");
    to->members[1] = text("custody");
    to->joint.n_members = 2;
    to->joint.members = to->members;
    to->joint.loss = fill_tiers(&to->joint_tiers, 83333);
    to->joints[0] = &to->joint;
    to->set.n_joint_failures = 1;
    to->set.joint_failures = to->joints;
}

static void fill_policy(struct set_message *to, const struct set_choice *choice)
{
    Plimsoll__V1__ParameterSet__Policy *policy = &to->policy;
    plimsoll__v1__parameter_set__policy__init(policy);
    policy->policy = text("default");
    policy->liquidity_order = to->order;
    /* From the last to the first: neither by id nor by number. */
    for (unsigned i = WORLD_INSTRUMENTS_MAX; i-- > 0;)
        if (choice->lists[i] && choice->sells[i] && i != WORLD_VOLATILITY)
            to->order[policy->n_liquidity_order++] = text(world_instruments[i].id.text);
    PUT(policy, order_valid_ms, choice->valid_ms);
    PUT(policy, order_overdue_ms, choice->overdue_ms);
    PUT(policy, revision_pause_ms, choice->pause_ms);
    PUT(policy, restricted_hold_ms, choice->hold_ms);
    PUT(policy, alert_hysteresis_ppm, 5000);
    PUT(policy, watermark_age_ms_max, choice->watermark_ms_max);
    if (choice->ramp_ms > 0)
        PUT(policy, halt_ramp_ms, choice->ramp_ms);
    if (choice->call_interval_ms > 0)
        PUT(policy, call_interval_ms_min, choice->call_interval_ms);
    if (choice->grace_ms > 0)
        PUT(policy, grace_ms, choice->grace_ms);
    if (choice->has_factor)
        PUT(policy, objective,
            PLIMSOLL__V1__PARAMETER_SET__POLICY__OBJECTIVE__OBJECTIVE_LEAST_COST);
    if (choice->has_losses)
        PUT(policy, close_hopeless, true);
    if (choice->settles_by_time) {
        PUT(policy, close_factor_ppm, 400001);
        PUT(policy, close_full_below_usd, 5000);
        PUT(policy, close_full_below_health_ppm, 970000);
        PUT(policy, close_leftover_usd_min, 6000);
    }
    if (choice->brake_ms > 0) {
        PUT(policy, brake_window_ms, choice->brake_ms);
        PUT(policy, brake_depth_ppm, choice->brake_ppm);
    }
    if (choice->dust_usd > 0)
        PUT(policy, bad_debt_dust_usd, choice->dust_usd);
    PUT(policy, haircut_rise_ppm_per_hour, 10000);
    PUT(policy, haircut_hold_ms, 86400000);
    PUT(policy, haircut_fall_ppm_per_day, 10000);
    PUT(policy, haircut_interval_ms, 1000);
}

/* It holds what is on its chain. */
static void fill_contract(struct set_message *to, const struct set_choice *choice)
{
    if (choice->rule == 0)
        return;
    Plimsoll__V1__ParameterSet__Contract *contract = &to->contract;
    plimsoll__v1__parameter_set__contract__init(contract);
    contract->contract = text("0xpool");
    contract->chain = text("chain");
    PUT(contract, rule, choice->rule);
    if (choice->rule == PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_AAVE_V3) {
        PUT(contract, close_factor_ppm, 500000);
        PUT(contract, full_below_ppm, 950000);
        PUT(contract, small_usd, 2000);
    }
    contract->assets = to->asset_list;
    for (unsigned i = 0; i < WORLD_CALL; i += 2) { /* spot */
        Plimsoll__V1__ParameterSet__Contract__Asset *asset = &to->assets[i];
        plimsoll__v1__parameter_set__contract__asset__init(asset);
        asset->instrument = text(world_instruments[i].id.text);
        if (i == 0)
            asset->token = text("0xbtc");
        if (choice->bonus_ppm > 0)
            PUT(asset, bonus_ppm, choice->bonus_ppm);
        to->asset_list[contract->n_assets++] = asset;
    }
    to->contracts[0] = contract;
    to->set.n_contracts = 1;
    to->set.contracts = to->contracts;
}

/* Mode 1 makes less of all haircuts, and debts dearer; mode 2 names one instrument. What is lent against a
 * debt of the last spot is worth more, and against one of the first still more, but not of everything. */
static void fill_modes(struct set_message *to, const struct set_choice *choice)
{
    static const struct {
        unsigned mode; /* from WORLD_MODES_MAX on: what is owed */
        unsigned instrument;
        int32_t part; /* of its own haircut, in quarters */
    } weights[RECORDS_MODE_WEIGHTS] = {
        { 1, 0, 2 }, { 1, 2, 1 }, { 2, 0, 3 },
        { 3, 0, 3 }, { 3, 2, 2 }, { 4, 2, 1 },
    };
    for (unsigned m = 1; m <= 4; m++) {
        Plimsoll__V1__ParameterSet__Mode *mode = &to->modes[to->set.n_modes];
        plimsoll__v1__parameter_set__mode__init(mode);
        if (m <= 2)
            PUT(mode, mode, m);
        else
            mode->debt = text(world_instruments[m == 3 ? 4 : 0].id.text);
        mode->weights = &to->weight_list[RECORDS_MODE_WEIGHTS * m];
        for (unsigned i = 0; i < RECORDS_MODE_WEIGHTS; i++) {
            const unsigned at = weights[i].instrument;
            if (weights[i].mode != m || !choice->lists[at])
                continue;
            Plimsoll__V1__ParameterSet__Mode__Weight *weight = &to->mode_weights[i];
            plimsoll__v1__parameter_set__mode__weight__init(weight);
            weight->instrument = text(world_instruments[at].id.text);
            weight->haircut_long = scale(&to->mode_tiers[i], to->haircuts_long[at], weights[i].part);
            if (m == 1)
                weight->haircut_short = scale(&to->mode_tiers_short[i], to->haircuts_short[at], 6);
            if (m == 1 && choice->rule != 0 && choice->bonus_ppm > 0)
                PUT(weight, bonus_ppm, choice->bonus_ppm / 4);
            mode->weights[mode->n_weights++] = weight;
        }
        to->mode_list[to->set.n_modes++] = mode;
    }
    to->set.modes = to->mode_list;
}

static void fill_set(struct set_message *to, const struct set_choice *choice, uint64_t epoch,
                     const struct records_haircuts *haircuts)
{
    memset(to, 0, sizeof(*to));
    plimsoll__v1__parameter_set__init(&to->set);
    PUT(&to->set, epoch, epoch);
    PUT(&to->set, base_epoch, haircuts->base_epoch);
    to->set.instruments = to->instrument_list;
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++) {
        if (!choice->lists[i])
            continue;
        fill_instrument(to, i, choice);
        if (haircuts->raised[i] > 0 && i < 5)
            fill_haircut(to, i, haircuts);
        to->instrument_list[to->set.n_instruments++] = &to->instruments[i];
    }
    plimsoll__v1__parameter_set__factor__init(&to->factor);
    to->factor.factor = text("market");
    to->factors[0] = &to->factor;
    to->set.n_factors = 1;
    to->set.factors = to->factors;
    fill_dependencies(to, choice);
    plimsoll__v1__parameter_set__source__init(&to->source);
    to->source.source = text("venue");
    PUT(&to->source, settlement,
        choice->settles_by_time
            ? PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_BY_TIME
            : PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_APPLIED);
    to->sources[0] = &to->source;
    to->set.n_sources = 1;
    to->set.sources = to->sources;
    fill_contract(to, choice);
    if (choice->has_modes)
        fill_modes(to, choice);
    if (choice->lists[WORLD_CALL])
        fill_scenarios(to);
    fill_policy(to, choice);
    to->policies[0] = &to->policy;
    to->set.n_policies = 1;
    to->set.policies = to->policies;
}

int64_t records_strike(unsigned instrument)
{
    return instrument == WORLD_CALL ? 310000 : 290000;
}

static struct pl_bytes_view pack_set(unsigned set, uint64_t epoch,
                                     const struct records_haircuts *haircuts)
{
    static struct set_message message;
    fill_set(&message, &s_choices[set], epoch, haircuts);
    size_t size = plimsoll__v1__parameter_set__get_packed_size(&message.set);
    pl_assert(size <= PACKED_BYTES);
    plimsoll__v1__parameter_set__pack(&message.set, s_records.packed);
    return (struct pl_bytes_view){ s_records.packed, size };
}

static void *memory(size_t size_bytes)
{
    void *block = calloc(1, size_bytes);
    pl_assert(block);
    return block;
}

/* Sets are read once per program: they differ by epoch only from what workers read. */
static void read_sets(void)
{
    static const struct records_haircuts none = { .base_epoch = 1 };
    for (unsigned i = 0; i < WORLD_SETS; i++) {
        s_records.sets[i] = memory(sizeof(*s_records.sets[i]));
        pl_names_init(&s_records.names[i]);
        enum pl_err err = pl_wire_parameters_decode(s_records.wire, &s_records.names[i],
                                                    pack_set(i, 1, &none), s_records.sets[i]);
        if (err) {
            fprintf(stderr, "parameter set %u: %s\n", i, pl_err_text());
            abort();
        }
    }
}

void records_begin(void)
{
    if (!s_records.wire) {
        s_records.wire = memory(sizeof(*s_records.wire));
        pl_wire_init(s_records.wire, memory(WIRE_BYTES), WIRE_BYTES);
        read_sets();
    }
    pl_wire_reset(s_records.wire);
}

struct pl_wire *records_wire(void)
{
    return s_records.wire;
}

const struct pl_parameters *records_set(unsigned set, const struct pl_names **names)
{
    *names = &s_records.names[set];
    return s_records.sets[set];
}

/* ---- appending ---------------------------------------------------------------------------------- */

static struct pl_bytes_view bytes(const void *data, size_t size_bytes)
{
    return (struct pl_bytes_view){ data, size_bytes };
}

static struct pl_bytes_view key_of(const struct pl_id *id)
{
    return bytes(id->text, id->size_bytes);
}

/* What others write is keyed by account, whichever bucket it is of. */
static struct pl_bytes_view account_of(const struct pl_id *id)
{
    return pl_account_part(key_of(id));
}

/* The fields `account` and `bucket` of an event or report. */
static void name_account(const struct pl_id *id, char room[PL_ID_BYTES_MAX + 1], char **account,
                         char **bucket)
{
    const struct pl_bytes_view part = account_of(id);
    snprintf(room, PL_ID_BYTES_MAX + 1, "%.*s", (int)part.size_bytes, (const char *)part.data);
    *account = room;
    if (*pl_bucket_part(id))
        *bucket = text(pl_bucket_part(id));
}

static void append(enum pl_topic topic, int32_t partition, struct pl_bytes_view key,
                   struct pl_bytes_view value)
{
    sim_kafka_append(topic, partition, key, value, NULL, 0);
    pl_wire_reset(s_records.wire);
}

void records_parameters(unsigned set, uint64_t epoch, const struct records_haircuts *haircuts)
{
    append(PL_TOPIC_PARAMETERS, 0, bytes("effective", 9), pack_set(set, epoch, haircuts));
}

/* A draft for the dry run; without a set it is taken back, and a broken one is no set either. */
void records_shadow(const unsigned *set, uint64_t epoch)
{
    const struct records_haircuts none = { 0 };
    struct pl_bytes_view value = { NULL, 0 };
    append(PL_TOPIC_PARAMETERS, 0, bytes("shadow", 6), set ? pack_set(*set, epoch, &none) : value);
}

void records_mark(unsigned instrument, const struct pl_mark *mark)
{
    struct pl_bytes_view value;
    const struct pl_id *id = &world_instruments[instrument].id;
    enum pl_err err = pl_wire_mark_encode(s_records.wire, id, mark, &value);
    pl_assert(!err);
    append(PL_TOPIC_MARKS, 0, key_of(id), value);
}

void records_control(const struct pl_id *account, bool is_halt, uint64_t epoch)
{
    struct pl_control control = { .is_halt = is_halt, .epoch = epoch, .created_ms = world_now_ms(),
                                  .actor = "desk", .reason = "simulated" };
    struct pl_bytes_view key, value;
    if (account) { /* a halt is of an account and all its buckets */
        const struct pl_bytes_view part = account_of(account);
        (void)pl_id_set(&control.account, part.data, part.size_bytes);
    }
    enum pl_err err = pl_wire_control_encode(s_records.wire, &control, &key, &value);
    pl_assert(!err);
    append(PL_TOPIC_CONTROL, 0, key, value);
}

static const Plimsoll__V1__ChainStatus__Condition
    CHAIN_LIVE = PLIMSOLL__V1__CHAIN_STATUS__CONDITION__CONDITION_LIVE,
    CHAIN_HALTED = PLIMSOLL__V1__CHAIN_STATUS__CONDITION__CONDITION_HALTED;

void records_chain(uint64_t height, uint64_t finalised, const int64_t halted_since_ms[2])
{
    Plimsoll__V1__ChainStatus to = PLIMSOLL__V1__CHAIN_STATUS__INIT;
    Plimsoll__V1__ChainStatus__Bridge bridge = PLIMSOLL__V1__CHAIN_STATUS__BRIDGE__INIT;
    Plimsoll__V1__ChainStatus__Bridge *bridges[] = { &bridge };
    to.chain = text("chain");
    bridge.bridge = text("bridge");
    to.n_bridges = 1;
    to.bridges = bridges;
    PUT(&to, head_height, height);
    PUT(&to, finalised_height, finalised);
    PUT(&to, condition, halted_since_ms[0] ? CHAIN_HALTED : CHAIN_LIVE);
    PUT(&bridge, condition, halted_since_ms[1] ? CHAIN_HALTED : CHAIN_LIVE);
    if (halted_since_ms[0] > 0)
        PUT(&to, halted_since_ms, halted_since_ms[0]);
    if (halted_since_ms[1] > 0)
        PUT(&bridge, halted_since_ms, halted_since_ms[1]);
    PUT(&to, event_time_ms, world_now_ms());
    size_t size = plimsoll__v1__chain_status__pack(&to, s_records.packed);
    append(PL_TOPIC_CHAINS, 0, bytes("chain", 5), bytes(s_records.packed, size));
}

/* ---- holdings ----------------------------------------------------------------------------------- */

static void fill_leg(const struct world_account *account, unsigned i, uint64_t version,
                     struct pl_record_holdings *record)
{
    const struct world_instrument *instrument = &world_instruments[i];
    int64_t unfinal = i == 0 ? account->unfinal_lots : 0;
    struct pl_record_leg *leg = &record->legs[record->leg_count++];
    *leg = (struct pl_record_leg){
        .instrument = instrument->id,
        .quantity = { account->lots[i] + unfinal, -(int32_t)instrument->lot_decimals },
        .has_lots = s_choices[feeds_set()].lists[i], .lot_decimals = instrument->lot_decimals,
        .lots = account->lots[i] + unfinal, .settled_lots = account->lots[i] };
    /* What is coming in is credited in part, a different one each time. */
    leg->credited_lots = unfinal > 0 ? unfinal * (int64_t)(version % 4) / 3 : 0;
    if (!leg->has_lots)
        leg->lots = leg->settled_lots = leg->credited_lots = leg->lot_decimals = 0;
    if (unfinal != 0)
        record->tail[record->tail_count++] = (struct pl_record_tail){
            .instrument = instrument->id, .sequence = account->sequence, .block_height = 1,
            .quantity = { unfinal, -(int32_t)instrument->lot_decimals } };
}

void records_holdings(const struct world_account *account, uint64_t version)
{
    static struct pl_record_holdings record;
    struct pl_bytes_view value;
    record.account = account->id;
    record.version = version;
    record.positions_offset = account->sequence;
    record.written_ms = account->written_ms;
    record.mode = account->mode;
    record.leg_count = record.tail_count = 0;
    record.source_count = 1;
    record.sources[0] = (struct pl_record_source){
        .id = { 5, "venue" }, .sequence = account->sequence, .event_time_ms = account->event_ms,
        .has_gap = account->has_gap, .settles_by_time = s_choices[world.swarm.set].settles_by_time,
        .cash = { account->cash_vu, -12 } };
    if (account->unfinal_lots != 0)
        record.sources[0].chain = (struct pl_id){ 5, "chain" };
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++)
        if (account->lots[i] != 0 || (i == 0 && account->unfinal_lots != 0))
            fill_leg(account, i, version, &record);
    record.applied_count = account->applied_count;
    memcpy(record.applied, account->applied, sizeof(record.applied[0]) * account->applied_count);
    enum pl_err err = pl_wire_record_encode(s_records.wire, &record, &value);
    pl_assert(!err);
    append(PL_TOPIC_HOLDINGS, account->partition, key_of(&account->id), value);
}

void records_watermark(int32_t partition, uint64_t offset, int64_t time_ms)
{
    const struct pl_watermark watermark = { .positions_offset = offset, .time_ms = time_ms };
    struct pl_bytes_view value;
    enum pl_err err = pl_wire_watermark_encode(s_records.wire, &watermark, &value);
    pl_assert(!err);
    append(PL_TOPIC_HOLDINGS, partition, bytes(PL_WATERMARK_KEY, sizeof(PL_WATERMARK_KEY) - 1), value);
}

bool records_name_orders(void)
{
    return !s_choices[world.swarm.set].settles_by_time;
}

bool records_has_modes(unsigned set)
{
    return s_choices[set].has_modes;
}

/* ---- positions ---------------------------------------------------------------------------------- */

enum { TEXTS_MAX = WORLD_INSTRUMENTS_MAX + PL_APPLIED_MAX + 1 };

struct event_message {
    char account[PL_ID_BYTES_MAX + 1];
    Plimsoll__V1__PositionEvent event;
    Plimsoll__V1__PositionEvent__Leg legs[WORLD_INSTRUMENTS_MAX], *leg_list[WORLD_INSTRUMENTS_MAX];
    Plimsoll__V1__PositionEvent__Applied applied[PL_APPLIED_MAX], *applied_list[PL_APPLIED_MAX];
    Plimsoll__V1__Amount amounts[TEXTS_MAX];
    char numbers[TEXTS_MAX][PL_I128_TEXT_BYTES], ids[PL_APPLIED_MAX][PL_UUID_TEXT_BYTES];
    unsigned amount_count;
};

static Plimsoll__V1__Amount *amount(struct event_message *to, pl_i128 mantissa, int32_t exponent)
{
    unsigned at = to->amount_count++;
    plimsoll__v1__amount__init(&to->amounts[at]);
    pl_i128_print(mantissa, to->numbers[at]);
    to->amounts[at].mantissa = to->numbers[at];
    PUT(&to->amounts[at], exponent, exponent);
    return &to->amounts[at];
}

static void add_leg(struct event_message *to, unsigned i, int64_t lots)
{
    Plimsoll__V1__PositionEvent__Leg *leg = &to->legs[to->event.n_legs];
    plimsoll__v1__position_event__leg__init(leg);
    leg->instrument = text(world_instruments[i].id.text);
    leg->quantity = amount(to, lots, -(int32_t)world_instruments[i].lot_decimals);
    to->leg_list[to->event.n_legs++] = leg;
    to->event.legs = to->leg_list;
}

static void add_applied(struct event_message *to, const struct pl_position_applied *from)
{
    size_t at = to->event.n_applied++;
    plimsoll__v1__position_event__applied__init(&to->applied[at]);
    pl_uuid_print(from->order_id, to->ids[at]);
    to->applied[at].order_id = to->ids[at];
    to->applied[at].cumulative_quantity =
        amount(to, from->cumulative.mantissa, from->cumulative.exponent);
    to->applied_list[at] = &to->applied[at];
    to->event.applied = to->applied_list;
}

static struct event_message *begin_event(const struct world_account *account, const char *source,
                                         uint64_t sequence, uint64_t previous)
{
    static struct event_message to;
    to.amount_count = 0;
    plimsoll__v1__position_event__init(&to.event);
    name_account(&account->id, to.account, &to.event.account, &to.event.bucket);
    to.event.source = text(source);
    PUT(&to.event, sequence, sequence);
    PUT(&to.event, previous_sequence, previous);
    PUT(&to.event, event_time_ms, account->event_ms);
    return &to;
}

static void send_event(const struct world_account *account, const struct event_message *event)
{
    size_t size = plimsoll__v1__position_event__get_packed_size(&event->event);
    pl_assert(size <= PACKED_BYTES);
    plimsoll__v1__position_event__pack(&event->event, s_records.packed);
    append(PL_TOPIC_POSITIONS, account->partition, account_of(&account->id),
           bytes(s_records.packed, size));
}

void records_snapshot(const struct world_account *account, uint64_t sequence)
{
    struct event_message *to = begin_event(account, "venue", sequence, sequence - 1);
    PUT(&to->event, kind, PLIMSOLL__V1__POSITION_EVENT__KIND__KIND_SNAPSHOT);
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++)
        if (account->lots[i] != 0)
            add_leg(to, i, account->lots[i]);
    to->event.cash = amount(to, account->cash_vu, -12);
    PUT(&to->event, mode, account->mode);
    for (uint32_t i = 0; i < account->applied_count; i++)
        add_applied(to, &account->applied[i]);
    send_event(account, to);
}

void records_custody(const struct world_account *account, enum records_change kind, int64_t lots,
                     uint64_t previous, uint64_t retracts)
{
    struct event_message *to = begin_event(account, "custody", account->custody_sequence, previous);
    PUT(&to->event, kind, (Plimsoll__V1__PositionEvent__Kind)kind);
    to->event.chain = text("chain");
    PUT(&to->event, block_height, account->custody_height);
    if (kind == RECORDS_DELTA)
        add_leg(to, 0, lots);
    else
        PUT(&to->event, retracts, retracts);
    send_event(account, to);
}

void records_gap(const struct world_account *account, uint64_t sequence)
{
    struct event_message *to = begin_event(account, "venue", sequence, sequence - 1);
    PUT(&to->event, kind, PLIMSOLL__V1__POSITION_EVENT__KIND__KIND_DELTA);
    send_event(account, to);
}

/* ---- executions --------------------------------------------------------------------------------- */

void records_report(const struct pl_order *order, enum records_status status,
                    int64_t cumulative_lots)
{
    Plimsoll__V1__ExecutionReport to = PLIMSOLL__V1__EXECUTION_REPORT__INIT;
    Plimsoll__V1__Amount cumulative = PLIMSOLL__V1__AMOUNT__INIT;
    char id[PL_UUID_TEXT_BYTES], quantity[PL_I128_TEXT_BYTES], account[PL_ID_BYTES_MAX + 1];
    pl_uuid_print(order->order_id, id);
    pl_i128_print(cumulative_lots, quantity);
    cumulative.mantissa = quantity;
    PUT(&cumulative, exponent, -(int32_t)order->lot_decimals);
    to.order_id = id;
    to.execution_id = text("e");
    name_account(&order->account, account, &to.account, &to.bucket);
    to.instrument = text(order->instrument.text);
    PUT(&to, status, (Plimsoll__V1__ExecutionReport__Status)status);
    to.cumulative_quantity = &cumulative;
    PUT(&to, event_time_ms, world_now_ms());
    size_t size = plimsoll__v1__execution_report__pack(&to, s_records.packed);
    append(PL_TOPIC_EXECUTIONS, -1, account_of(&order->account), bytes(s_records.packed, size));
    world.counts.reports++;
}

/* ---- garbage ------------------------------------------------------------------------------------ */

void records_garbage(enum pl_topic topic, int32_t partition, const char *key,
                     struct test_random *random)
{
    struct pl_bytes_view name = bytes(key, key ? strlen(key) : 0);
    uint8_t noise[48];
    size_t size = 1 + test_random_below(random, sizeof(noise));
    for (size_t i = 0; i < size; i++)
        noise[i] = (uint8_t)test_random_u64(random);
    switch (test_random_below(random, 12)) {
    case 0:
        append(topic, partition, name, bytes(NULL, 0)); /* a tombstone */
        return;
    case 1:
        append(topic, partition, name, bytes(noise, 0)); /* empty: every field is missing */
        return;
    case 2:
        append(topic, partition, bytes(NULL, 0), bytes(noise, size)); /* no key */
        return;
    case 3:
        append(topic, partition, bytes(noise, size), bytes(noise, size)); /* a key that is no id */
        return;
    case 4:
        if (test_random_below(random, 8) == 0) {
            append(topic, partition, name, bytes(s_records.large, TOO_LARGE_BYTES));
            return;
        }
        break;
    default:
        break;
    }
    append(topic, partition, name, bytes(noise, size));
}
