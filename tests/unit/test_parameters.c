/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter sets: a valid one is finished, and each rule and each field refuses by its name. Every
 * row breaks one thing of a valid set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t eth, usd, perp;

/* ETH uses all there is and leaves 10,000 ppm of V3 at the alert tier: 400,000 haircut, 150,000 and
 * 40,000 loads, 200,000 loss, 150,000 top rate, 50,000 confidence. */
static void set_up(void)
{
    build_init(&build);
    uint32_t market = build_factor(&build, "MARKET"), family = build_factor(&build, "FAMILY");
    uint32_t bridge = build_dependency(&build, "BRIDGE"), issuer = build_dependency(&build, "LIDO");
    build_source(&build, "chain-1", false);
    build_source(&build, "venue", true);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    usd = build_instrument(&build, "USD", PL_INSTRUMENT_SPOT, 6, 6);
    perp = build_instrument(&build, "ETH-PERP", PL_INSTRUMENT_PERP, 8, 2);
    build_haircuts(&build, eth, build_tiers(400000, 300000, 250000, 200000),
                   build_tiers(50000, 40000, 30000, 20000));
    build_load(&build, eth, market, build_tiers(150000, 120000, 90000, 60000));
    build_load(&build, eth, family, build_tiers(40000, 30000, 20000, 10000));
    build_load(&build, perp, market, build_tiers(-300000, -240000, -180000, -120000));
    build_loss(&build, eth, bridge, build_tiers(200000, 150000, 100000, 50000));
    build_loss(&build, eth, issuer, build_tiers(100000, 100000, 100000, 100000));
    build_bracket(&build, eth, 0, build_tiers(10000, 10000, 5000, 0));
    build_bracket(&build, eth, 1000000, build_tiers(150000, 150000, 100000, 50000));
    build.parameters.instruments[eth].confidence_ppm = 50000;
    build_sellable(&build, usd, 1000);
    build_sellable(&build, eth, 20000);
}

static struct pl_instrument *row(uint32_t index)
{
    return &build.parameters.instruments[index];
}

/* Two rungs; the discount beyond them is 20,000. */
static void deepen(int64_t near_usd, int32_t discount_ppm, int64_t deeper_usd, int32_t deeper_ppm)
{
    row(eth)->depth_count = 2;
    row(eth)->depth[0] = (struct pl_rung){near_usd, discount_ppm};
    row(eth)->depth[1] = (struct pl_rung){deeper_usd, deeper_ppm};
}

static void credit_eth(uint32_t blocks, int64_t lots_max, int32_t weight_ppm)
{
    row(eth)->confirmation_count = 1;
    row(eth)->confirmations[0] = (struct pl_confirmations){blocks, lots_max, weight_ppm};
}

static struct pl_policy *policy(void)
{
    return &build.parameters.policy;
}

/* USD's haircut follows the markets; the desk's is the floor. */
static void give_model(void)
{
    set_up();
    policy()->haircut_rise_ppm_per_hour = 10000;
    policy()->haircut_hold_ms = 86400000;
    policy()->haircut_fall_ppm_per_day = 10000;
    policy()->haircut_interval_ms = 60000;
    row(usd)->haircut_model = (struct pl_haircut_model){
        .is_present = true, .multiple = build_tiers(5, 4, 3, 3), .horizon = build_tiers(4, 3, 2, 1),
        .venue_usd = 5, .daily_volume_usd = 100, .participation_ppm = 1, .reference_usd = 7,
        .impact_ppm = 1, .cap_ppm = PL_PPM};
}

/* The effective set that follows: between 0 and the cap. */
static void give_haircut(void)
{
    give_model();
    build.parameters.base_epoch = 1;
    row(usd)->haircut_model.cap_ppm = 300000;
    row(usd)->haircut_long = build_tiers(250000, 250000, 20000, 10000);
    row(usd)->haircut = (struct pl_haircut){.is_present = true, .target = build_flat(250000)};
    row(usd)->haircut.moves[PL_TIER_END] = (struct pl_haircut_move){10000, 5};
}

static void a_valid_set_is_finished(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    assert_int_equal(row(eth)->multiplier, 1);
    assert_int_equal(row(usd)->multiplier, 1);
    assert_int_equal(row(perp)->multiplier, 100);
    assert_int_equal(row(usd)->sale_rank, 1);
    assert_int_equal(row(eth)->sale_rank, 2);
    assert_int_equal(row(perp)->sale_rank, 0);
    /* Finishing again is the same. */
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    assert_int_equal(row(eth)->sale_rank, 2);
}

static void edges_are_valid(void **state)
{
    (void)state;
    set_up();
    row(eth)->haircut_long.at[PL_TIER_ALERT] = 410000; /* V3 met exactly */
    row(perp)->haircut_long = build_flat(-20000);      /* V1 met exactly */
    row(perp)->haircut_short = build_flat(20000);
    row(perp)->sale_discount_ppm = 999999;
    row(perp)->confidence_ppm = (1 << 23) - 20000 - 300000; /* V7 met exactly */
    row(eth)->brackets[0].threshold_usd = 5; /* below the first threshold the rate is 0 */
    row(eth)->brackets[1].threshold_usd = 1000000000000; /* V2 met exactly */
    row(usd)->price_rules.bad_mark_high_ppm = PL_PPM;
    row(usd)->price_rules.bad_mark_low_ppm = PL_PPM;
    policy()->alert_hysteresis_ppm = 0;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
}

/* ---- what breaks, one function per row ------------------------------------------------------ */

#define BREAK(name, statement)                                                                     \
    static void name(void)                                                                         \
    {                                                                                              \
        statement;                                                                                 \
    }

BREAK(v1, row(perp)->haircut_long.at[PL_TIER_MAINTENANCE] = -1)
BREAK(v2_threshold, row(eth)->brackets[1].threshold_usd = 0)
BREAK(v2_negative_threshold, row(eth)->brackets[0].threshold_usd = -1)
BREAK(v2_high_threshold, row(eth)->brackets[1].threshold_usd = 1000000000001)
BREAK(v2_rate, row(eth)->brackets[1].rate.at[PL_TIER_END] = 4999)
BREAK(v2_negative_rate, row(eth)->brackets[0].rate.at[PL_TIER_MAINTENANCE] = -1)
BREAK(v3, row(eth)->haircut_long.at[PL_TIER_ALERT] = 410001)
BREAK(v3_load, row(eth)->loads[1].load = build_tiers(-50001, -30000, -20000, -10000))
BREAK(v3_loss, row(eth)->losses[0].loss.at[PL_TIER_ALERT] = 210001)
BREAK(v3_rate, row(eth)->brackets[1].rate.at[PL_TIER_ALERT] = 160001)
BREAK(v3_confidence, row(eth)->confidence_ppm = 60001)
BREAK(v6_long, row(perp)->haircut_long.at[PL_TIER_MAINTENANCE] = 30000;
      row(perp)->haircut_long.at[PL_TIER_END] = 20000)
BREAK(v6_short, row(eth)->haircut_short.at[PL_TIER_ALERT] = 39999)
BREAK(v6_load, row(perp)->loads[0].load = build_tiers(-300000, -240000, -180000, -180001))
BREAK(v6_loss, row(eth)->losses[1].loss.at[PL_TIER_MAINTENANCE] = 100001)
BREAK(v6_rate, row(eth)->brackets[0].rate.at[PL_TIER_INITIAL] = 4999)
BREAK(v6_proportional, row(perp)->loads[0].load.at[PL_TIER_END] = -180001)
BREAK(v6_proportional_above, build_load(&build, usd, 1, build_tiers(5, 3, 2, 1)))
BREAK(v6_proportional_zero, build_load(&build, usd, 1, build_tiers(4, 3, 2, 0)))
BREAK(v7_decimals, row(perp)->lot_decimals = 11)
BREAK(v7_decimals_wrap, row(perp)->lot_decimals = UINT32_MAX)
BREAK(v7_sum, row(perp)->haircut_long = build_flat((1 << 23) - 300000 + 1))
BREAK(v7_sum_short, row(perp)->haircut_short = build_flat((1 << 23) - 300000 + 1))
BREAK(kind, row(usd)->kind = (enum pl_instrument_kind)7)
BREAK(load_count, row(usd)->load_count = PL_LOADS_MAX + 1)
BREAK(bracket_count, row(usd)->bracket_count = PL_BRACKETS_MAX + 1)
BREAK(loss_count, row(usd)->loss_count = PL_LOSSES_MAX + 1)
BREAK(confidence, row(usd)->confidence_ppm = -1)
BREAK(discount, row(usd)->sale_discount_ppm = 1000000)
BREAK(discount_negative, row(usd)->sale_discount_ppm = -1)
BREAK(no_source, row(usd)->price_rules.source_count = 0)
BREAK(sources_many, row(usd)->price_rules.source_count = PL_PRICE_SOURCES_MAX + 1)
BREAK(source_twice, row(usd)->price_rules.sources[1] = row(usd)->price_rules.sources[0];
      row(usd)->price_rules.source_count = 2)
BREAK(source_none, row(usd)->price_rules.source_count = 2)
BREAK(quorum, row(usd)->price_rules.quorum = 2)
BREAK(quorum_zero, row(usd)->price_rules.quorum = 0)
BREAK(age, row(usd)->price_rules.age_ms_max = 0)
BREAK(band, row(usd)->price_rules.band_ppm = 0)
BREAK(bad_low, row(usd)->price_rules.bad_mark_low_ppm = PL_PPM + 1)
BREAK(bad_low_negative, row(usd)->price_rules.bad_mark_low_ppm = -1)
BREAK(bad_high, row(usd)->price_rules.bad_mark_high_ppm = PL_PPM - 1)
BREAK(factor_unknown, row(eth)->loads[0].factor = 2)
BREAK(factor_twice, row(eth)->loads[1].factor = 0)
BREAK(dependency_unknown, row(eth)->losses[0].dependency = 2)
BREAK(dependency_twice, row(eth)->losses[1].dependency = 0)
BREAK(loss_negative, row(eth)->losses[0].loss.at[PL_TIER_MAINTENANCE] = -1)
BREAK(factors_many, build.parameters.factor_count = PL_FACTORS_MAX + 1)
BREAK(factors_same, build.parameters.factors[1] = build.parameters.factors[0])
BREAK(factors_none, build.parameters.factor_count = 3)
BREAK(dependencies_many, build.parameters.dependency_count = PL_DEPENDENCIES_MAX + 1)
BREAK(dependencies_same, build.parameters.dependencies[1] = build.parameters.dependencies[0])
BREAK(set_sources_many, build.parameters.source_count = PL_SOURCES_MAX + 1)
BREAK(set_sources_same, build.parameters.sources[1].id = build.parameters.sources[0].id)
BREAK(instrument_twice, build.parameters.instrument_count = 4)
BREAK(order_unknown, policy()->liquidity_order[1] = PL_INSTRUMENTS_MAX)
BREAK(order_unlisted, row(usd)->is_listed = false; build.parameters.instrument_count = 2)
BREAK(order_twice, policy()->liquidity_order[1] = usd)
BREAK(order_many, policy()->liquidity_count = PL_INSTRUMENTS_MAX + 1)
BREAK(no_policy, *policy() = (struct pl_policy){0})
BREAK(order_valid, policy()->order_valid_ms = 0)
BREAK(order_overdue, policy()->order_overdue_ms = -1)
BREAK(revision_pause, policy()->revision_pause_ms = -1)
BREAK(restricted_hold, policy()->restricted_hold_ms = -1)
BREAK(call_interval, policy()->call_interval_ms_min = -1)
BREAK(grace, policy()->grace_ms = -1)
BREAK(close_factor, policy()->close_factor_ppm = PL_PPM + 1)
BREAK(close_full, policy()->close_full_below_usd = -1)
BREAK(close_health, (policy()->close_factor_ppm = 1, policy()->close_full_below_health_ppm = PL_PPM + 1))
BREAK(close_health_alone, policy()->close_full_below_health_ppm = 1)
BREAK(close_leftover, policy()->close_leftover_usd_min = -1)
BREAK(brake_window, policy()->brake_window_ms = PL_BRAKE_WINDOW_MS_MAX + 1)
BREAK(brake_nothing, policy()->brake_window_ms = 1000)
BREAK(brake_never, policy()->brake_depth_ppm = 1)
BREAK(lot_step, row(eth)->lot_step = PL_LOT_STEP_MAX + 1)
BREAK(min_notional, row(eth)->min_notional_usd = -1)
BREAK(slice, row(eth)->slice_usd_max = -1)
BREAK(depth_many, row(eth)->depth_count = PL_DEPTH_MAX + 1)
BREAK(depth_flat, deepen(100, 100, 100, 200))
BREAK(depth_cheaper, deepen(100, 300, 200, 200))
BREAK(depth_dearer, deepen(100, 300, 200, 20001))
BREAK(depth_zero, deepen(0, 300, 200, 300))
BREAK(credit_weight, credit_eth(1, 1, PL_PPM + 1))
BREAK(credit_blocks, credit_eth(0, 1, 1))
BREAK(credit_lots, credit_eth(1, 0, 1))
BREAK(credits_many, row(eth)->confirmation_count = PL_CONFIRMATIONS_MAX + 1)
BREAK(dust, policy()->bad_debt_dust_usd = PL_DUST_USD_MAX + 1)
BREAK(hysteresis, policy()->alert_hysteresis_ppm = PL_PPM + 1)
BREAK(watermark, policy()->watermark_age_ms_max = 0)

static void each_rule_refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        void (*apply)(void);
        const char *text; /* the refusal, or how it begins */
    } rows[] = {
        {v1, "V1 instrument ETH-PERP haircut_long: maintenance -1 and haircut_short 0 are below 0"},
        {v2_threshold, "V2 instrument ETH brackets: bracket 1: threshold_usd 0 is not above 0"},
        {v2_high_threshold, "V2 instrument ETH brackets: bracket 1: threshold_usd 1000000000001 is above"},
        {v2_negative_threshold, "V2 instrument ETH brackets: bracket 0: threshold_usd -1"},
        {v2_rate, "V2 instrument ETH brackets: bracket 1: rate end 4999 is below 5000"},
        {v2_negative_rate, "V2 instrument ETH brackets: bracket 0: rate maintenance -1 is below 0"},
        {v3, "V3 instrument ETH haircut_long: alert: with factors, dependencies, brackets, scenarios "
             "and confidence 1000001 is above 1000000"},
        {v3_load, "V3 instrument ETH"},
        {v3_loss, "V3 instrument ETH"},
        {v3_rate, "V3 instrument ETH"},
        {v3_confidence, "V3 instrument ETH"},
        {v6_long, "V6 instrument ETH-PERP haircut_long: end 20000 is below maintenance 30000"},
        {v6_short, "V6 instrument ETH haircut_short: alert 39999 is below initial 40000"},
        {v6_load, "V6 instrument ETH-PERP factor MARKET: end -180000 is below maintenance -180001"},
        {v6_loss, "V6 instrument ETH dependency LIDO: end 100000 is below maintenance 100001"},
        {v6_rate, "V6 instrument ETH brackets: bracket 0 rate: initial 4999 is below end 5000"},
        {v6_proportional,
         "V6 instrument ETH-PERP factor MARKET: tiers are not proportional to those of ETH"},
        {v6_proportional_above, "V6 instrument USD factor FAMILY"},
        {v6_proportional_zero, "V6 instrument USD factor FAMILY"},
        {v7_decimals, "V7 instrument ETH-PERP lot_decimals: 11 and tick_decimals 2 are above 12"},
        {v7_decimals_wrap, "V7 instrument ETH-PERP lot_decimals"},
        {v7_sum, "V7 instrument ETH-PERP coefficients alert: sum 8388609 is above 8388608"},
        {v7_sum_short, "V7 instrument ETH-PERP coefficients alert: sum 8388609"},
        {kind, "instrument USD kind: 7 is outside 1..6"},
        {load_count, "instrument USD factors: 5 is outside 0..4"},
        {bracket_count, "instrument USD brackets: 13 is outside 0..12"},
        {loss_count, "instrument USD dependencies: 17 is outside 0..16"},
        {confidence, "instrument USD confidence_ppm: -1 is below 0"},
        {discount, "instrument USD sale_discount_ppm: 1000000 is outside 0..999999"},
        {discount_negative, "instrument USD sale_discount_ppm: -1 is outside 0..999999"},
        {no_source, "instrument USD price_rules.sources: 0 is outside 1..8"},
        {sources_many, "instrument USD price_rules.sources: 9 is outside 1..8"},
        {source_twice, "instrument USD price_rules.sources: feed is there twice"},
        {source_none, "instrument USD price_rules.sources: entry 1 has no id"},
        {quorum, "instrument USD price_rules.quorum: 2 is outside 1..1"},
        {quorum_zero, "instrument USD price_rules.quorum: 0 is outside 1..1"},
        {age, "instrument USD price_rules.age_ms_max: 0 is below 1"},
        {band, "instrument USD price_rules.band_ppm: 0 is below 1"},
        {bad_low, "instrument USD price_rules.bad_mark_low_ppm: 1000001 is outside 0..1000000"},
        {bad_low_negative, "instrument USD price_rules.bad_mark_low_ppm: -1 is outside"},
        {bad_high, "instrument USD price_rules.bad_mark_high_ppm: 999999 is below 1000000"},
        {factor_unknown, "instrument ETH factors: unknown factor 2"},
        {factor_twice, "instrument ETH factors: MARKET is there twice"},
        {dependency_unknown, "instrument ETH dependencies: unknown dependency 2"},
        {dependency_twice, "instrument ETH dependencies: BRIDGE is there twice"},
        {loss_negative, "instrument ETH dependency BRIDGE: -1 is below 0"},
        {factors_many, "factors: 33 is outside 0..32"},
        {factors_same, "factors: MARKET is there twice"},
        {factors_none, "factors: entry 2 has no id"},
        {dependencies_many, "dependencies: 65 is outside 0..64"},
        {dependencies_same, "dependencies: BRIDGE is there twice"},
        {set_sources_many, "sources: 65 is outside 0..64"},
        {set_sources_same, "sources: chain-1 is there twice"},
        {instrument_twice, "instruments: 4 are there, 3 differ"},
        {order_unknown, "policy default liquidity_order: unknown instrument ?"},
        {order_unlisted, "policy default liquidity_order: unknown instrument USD"},
        {order_twice, "policy default liquidity_order: USD is there twice"},
        {order_many, "policy default liquidity_order: 4097 is outside 0..4096"},
        {no_policy, "policy default order_valid_ms: 0 is below 1"},
        {order_valid, "policy default order_valid_ms: 0 is below 1"},
        {order_overdue, "policy default order_overdue_ms: -1 is below 0"},
        {revision_pause, "policy default revision_pause_ms: -1 is below 0"},
        {restricted_hold, "policy default restricted_hold_ms: -1 is below 0"},
        {call_interval, "policy default call_interval_ms_min: -1 is below 0"},
        {grace, "policy default grace_ms: -1 is below 0"},
        {close_factor, "policy default close_factor_ppm: 1000001 is outside 0..1000000"},
        {close_full, "policy default close_full_below_usd: -1 is below 0"},
        {close_health, "policy default close_full_below_health_ppm: 1000001 is outside 0..1000000"},
        {close_health_alone, "policy default close_full_below_health_ppm: 1 is outside 0..0"},
        {close_leftover, "policy default close_leftover_usd_min: -1 is below 0"},
        {brake_window, "policy default brake_window_ms: 86400001 is outside 0..86400000"},
        {brake_nothing, "policy default brake_depth_ppm: 0 is outside 1..1000000000"},
        {brake_never, "policy default brake_depth_ppm: 1 is outside 0..0"},
        {lot_step, "instrument ETH lot_step: 1000001 is outside 0..1000000"},
        {min_notional, "instrument ETH min_notional_usd: -1 is outside 0..1000000"},
        {slice, "instrument ETH slice_usd_max: -1 is below 0"},
        {depth_many, "instrument ETH depth: 5 is outside 0..4"},
        {depth_flat, "instrument ETH depth: rung 2: usd_max rises"},
        {depth_cheaper, "instrument ETH depth: rung 2: usd_max rises"},
        {depth_dearer, "instrument ETH depth: rung 2: usd_max rises"},
        {depth_zero, "instrument ETH depth: rung 1: usd_max rises"},
        {credit_weight, "instrument ETH confirmations: 1000001 is outside 1..1000000"},
        {credit_blocks, "instrument ETH confirmations: blocks and lots_max are above 0"},
        {credit_lots, "instrument ETH confirmations: blocks and lots_max are above 0"},
        {credits_many, "instrument ETH confirmations: 5 is outside 0..4"},
        {dust, "policy default bad_debt_dust_usd: 1000001 is outside 0..1000000"},
        {hysteresis, "policy default alert_hysteresis_ppm: 1000001 is outside 0..1000000"},
        {watermark, "policy default watermark_age_ms_max: 0 is below 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        rows[i].apply();
        enum pl_err err = pl_parameters_finish(&build.parameters, &build.names);
        if (err != PL_REJECT_PARAMETERS)
            fail_msg("not refused: %s", rows[i].text);
        if (strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
}

static void rise(void) { policy()->haircut_rise_ppm_per_hour = 0; }
static void hold(void) { policy()->haircut_hold_ms = -1; }
static void fall(void) { policy()->haircut_fall_ppm_per_day = 0; }
static void interval(void) { policy()->haircut_interval_ms = 0; }
static void multiple(void) { row(usd)->haircut_model.multiple.at[PL_TIER_MAINTENANCE] = -1; }
static void multiple_nest(void) { row(usd)->haircut_model.multiple.at[PL_TIER_END] = 5; }
static void horizon(void) { row(usd)->haircut_model.horizon.at[PL_TIER_MAINTENANCE] = 0; }
static void horizon_nest(void) { row(usd)->haircut_model.horizon.at[PL_TIER_ALERT] = 2; }
static void venue(void) { row(usd)->haircut_model.venue_usd = -1; }
static void reference(void) { row(usd)->haircut_model.reference_usd = -1; }
static void volume(void) { row(usd)->haircut_model.daily_volume_usd = 0; }
static void participation(void) { row(usd)->haircut_model.participation_ppm = 0; }
static void impact(void) { row(usd)->haircut_model.impact_ppm = 0; }
static void spread(void) { row(usd)->haircut_model.half_spread_ppm = -1; }
static void buffer(void) { row(usd)->haircut_model.buffer_ppm = PL_PPM + 1; }
static void stress(void) { row(usd)->haircut_model.stress_volatility_ppm = -1; }
static void floor_volatility(void) { row(usd)->haircut_model.floor_volatility_ppm = -1; }
static void addition(void) { row(usd)->haircut_model.addition_ppm = -1; }
static void cap_none(void) { row(usd)->haircut_model.cap_ppm = 0; }
static void cap_v3(void) { row(usd)->confidence_ppm = 1; }

static void each_rule_of_a_haircut_model_refuses_by_name(void **state)
{
    (void)state;
    static const struct { void (*apply)(void); const char *text; } rows[] = {
        {rise, "instrument USD haircut_model needs policy default haircut_rise_ppm_per_hour: 0 is"},
        {hold, "instrument USD haircut_model needs policy default haircut_hold_ms: -1 is below 0"},
        {fall, "instrument USD haircut_model needs policy default haircut_fall_ppm_per_day: 0 is"},
        {interval, "instrument USD haircut_model needs policy default haircut_interval_ms: 0 is"},
        {multiple, "instrument USD haircut_model.multiple: -1 is below 0"},
        {multiple_nest, "V6 instrument USD haircut_model.multiple: initial 4 is below end 5"},
        {horizon, "instrument USD haircut_model.horizon: 0 is below 1"},
        {horizon_nest, "V6 instrument USD haircut_model.horizon: alert 2 is below initial 3"},
        {venue, "instrument USD haircut_model.venue_usd: -1 is below 0"},
        {reference, "instrument USD haircut_model.reference_usd: -1 is below 0"},
        {volume, "instrument USD haircut_model.daily_volume_usd: 0 is below 1"},
        {participation, "instrument USD haircut_model.participation_ppm: 0 is outside 1..1000000"},
        {impact, "instrument USD haircut_model.impact_ppm: 0 is outside 1..100000000"},
        {spread, "instrument USD haircut_model.half_spread_ppm: -1 is outside 0..1000000"},
        {buffer, "instrument USD haircut_model.buffer_ppm: 1000001 is outside 0..1000000"},
        {stress, "instrument USD haircut_model.stress_volatility_ppm: -1 is below 0"},
        {floor_volatility, "instrument USD haircut_model.floor_volatility_ppm: -1 is below 0"},
        {addition, "instrument USD haircut_model.addition_ppm: -1 is outside 0..1000000"},
        {cap_none, "instrument USD haircut_model.cap_ppm: 0 is outside 1..1000000"},
        {cap_v3, "V3 instrument USD haircut_model.cap_ppm: alert: with factors, dependencies, "
                 "brackets, scenarios and confidence 1000001 is above 1000000"},
    };
    give_model();
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        give_model();
        rows[i].apply();
        if (pl_parameters_finish(&build.parameters, &build.names) != PL_REJECT_PARAMETERS)
            fail_msg("not refused: %s", rows[i].text);
        if (strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
}

static void no_base(void) { build.parameters.base_epoch = 0; }
static void no_model(void) { row(usd)->haircut_model.is_present = false; }
static void below_base(void) { row(usd)->haircut.base.at[PL_TIER_MAINTENANCE] = 10001; }
static void above_cap(void) { row(usd)->haircut_model.cap_ppm = 249999; }
static void target_low(void) { row(usd)->haircut.target.at[PL_TIER_END] = -1; }
static void from_high(void) { row(usd)->haircut.moves[PL_TIER_END].from_ppm = 300001; }

static void window_low(void) { row(usd)->haircut.windows[PL_HAIRCUT_DAY].low_ppm = 1; }
static void window_far(void) { row(usd)->haircut.windows[PL_HAIRCUT_YEAR].before_low_ppm = INT32_MIN; }

static void a_derived_haircut_lies_between_base_and_cap(void **state)
{
    (void)state;
    static const struct { void (*apply)(void); const char *text; } rows[] = {
        {no_base, "instrument USD haircut: only an effective set"},
        {no_model, "instrument USD haircut: only an effective set"},
        {below_base, "instrument USD haircut maintenance: 10000 is outside 10001..300000"},
        {above_cap, "instrument USD haircut alert: 250000 is outside 0..249999"},
        {target_low, "instrument USD haircut end: -1 is outside 0..300000"},
        {window_low, "instrument USD haircut windows: 1 is outside -8388608..0"},
        {window_far, "instrument USD haircut windows: -2147483648 is outside -8388608..0"},
        {from_high, "instrument USD haircut end: 300001 is outside 0..300000"},
    };
    give_haircut();
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        give_haircut();
        rows[i].apply();
        if (pl_parameters_finish(&build.parameters, &build.names) != PL_REJECT_PARAMETERS)
            fail_msg("not refused: %s", rows[i].text);
        if (strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
}

/* A twin that has not seen the newest base set may number high: nobody takes its set. */
static void a_set_of_an_older_base_does_not_follow(void **state)
{
    (void)state;
    static struct pl_parameters last;
    static const struct { uint64_t last, next; enum pl_err err; } rows[] = {
        {4, 4, PL_OK}, {4, 5, PL_OK}, {4, 3, PL_REJECT_STALE}, {0, 3, PL_OK}, {4, 0, PL_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        last = build.parameters;
        last.epoch = 7;
        last.base_epoch = rows[i].last;
        build.parameters.epoch = 100;
        build.parameters.base_epoch = rows[i].next;
        assert_int_equal(pl_parameters_follow(&last, &build.parameters, &build.names),
                         rows[i].err);
    }
}

/* Derivatives may ask for more than their value. */
static void v3_is_for_spot_only(void **state)
{
    (void)state;
    set_up();
    row(eth)->kind = PL_INSTRUMENT_FUTURE;
    row(eth)->haircut_long = build_flat(2000000);
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
}

static void a_set_follows_with_a_larger_epoch_and_the_same_units(void **state)
{
    (void)state;
    static struct pl_parameters last;
    static const struct {
        uint64_t epoch;
        uint32_t lot_decimals, tick_decimals;
        bool was_listed;
        enum pl_err err;
    } rows[] = {
        {8, 8, 4, true, PL_OK},
        {7, 8, 4, true, PL_REJECT_STALE},
        {6, 8, 4, true, PL_REJECT_STALE},
        {8, 7, 4, true, PL_REJECT_CONFLICT},
        {8, 8, 3, true, PL_REJECT_CONFLICT},
        {8, 7, 3, false, PL_OK}, /* newly listed */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        last = build.parameters;
        last.epoch = 7;
        last.instruments[eth].is_listed = rows[i].was_listed;
        build.parameters.epoch = rows[i].epoch;
        row(eth)->lot_decimals = rows[i].lot_decimals;
        row(eth)->tick_decimals = rows[i].tick_decimals;
        enum pl_err err = pl_parameters_follow(&last, &build.parameters, &build.names);
        if (err != rows[i].err)
            fail_msg("row %zu: %s", i, pl_err_name(err));
        if (err == PL_REJECT_CONFLICT)
            assert_non_null(strstr(pl_err_text(), "instrument ETH:"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_set_is_finished),
        cmocka_unit_test(edges_are_valid),
        cmocka_unit_test(each_rule_refuses_by_name),
        cmocka_unit_test(each_rule_of_a_haircut_model_refuses_by_name),
        cmocka_unit_test(a_derived_haircut_lies_between_base_and_cap),
        cmocka_unit_test(a_set_of_an_older_base_does_not_follow),
        cmocka_unit_test(v3_is_for_spot_only),
        cmocka_unit_test(a_set_follows_with_a_larger_epoch_and_the_same_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
