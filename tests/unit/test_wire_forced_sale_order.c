/* SPDX-License-Identifier: Apache-2.0 */
/* Ids against values computed elsewhere; orders and alerts of a decision, byte for byte; rejects.
 * */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

static void ids_are_what_others_compute(void **state)
{
    /* By Python's hashlib: sha256(b"plimsoll.plan.v1" + parts), parts after their big-endian
     * lengths; sha256(plan + instrument); both cut to 16 bytes with version 8 and variant 2. */
    static const struct {
        const char *account, *bucket;
        uint64_t episode;
        uint32_t revision;
        const char *plan, *eth, *btc;
    } rows[] = {
        { "alice", "", 3, 1, "26e8ef8d-2efb-8eaf-8df8-1691159bec22",
          "64058feb-5083-8c7c-921e-589c974efbb4", "13463e7a-f5f5-859b-a667-1f1d8319b299" },
        { "a", "", 1, 1, "21f8ae0d-8420-88e4-bbec-4f42216e9e36",
          "2d6fc116-2f42-8271-afdd-af19e62ceb29", "832e4fcf-e622-87a0-8a4b-ce676bc3ffce" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", UINT64_MAX,
          UINT32_MAX, "351afbcf-5d9d-8395-a18f-d27731773165",
          "2f4b473c-cd60-8727-abba-7bac64abb30e", "7c00691c-36c7-8c7b-9c0f-a72224d4dfe1" },
        { "alice", "eth", 3, 1, "c1541df0-2c9c-87c5-840e-839f9c2f5a6b",
          "fe6973b7-1ee4-8506-8ebc-4a005a6b9984", "be82b9eb-d221-82e6-a282-187eda09b529" },
    };
    const struct pl_id eth = id_of("ETH"), btc = id_of("BTC-PERP");
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        char whole[2 * PL_ID_BYTES_MAX];
        snprintf(whole, sizeof(whole), "%s%s%s", rows[i].account, *rows[i].bucket ? "~" : "",
                 rows[i].bucket);
        const struct pl_id id = id_of(whole);
        struct pl_plan_id plan;
        uint8_t order[PL_ORDER_ID_BYTES];
        char text[PL_UUID_TEXT_BYTES];
        pl_plan_id(&id, rows[i].episode, rows[i].revision, &plan);
        pl_uuid_print(plan.bytes, text);
        assert_string_equal(text, rows[i].plan);
        pl_order_id(&plan, &eth, order);
        pl_uuid_print(order, text);
        assert_string_equal(text, rows[i].eth);
        pl_order_id(&plan, &btc, order);
        pl_uuid_print(order, text);
        assert_string_equal(text, rows[i].btc);
        assert_int_equal(pl_uuid_parse(text, plan.bytes), PL_OK);
        assert_memory_equal(plan.bytes, order, sizeof(order));
    }
}

/* ---- a decision ---- */

enum { BTC, ETH, SOL };
static const int64_t NOW_MS = 1621432800000;

static struct pl_parameters parameters;
static struct pl_market market;
static struct pl_mark marks[PL_INSTRUMENTS_MAX];
static struct pl_account account;
static struct pl_leg legs[PL_LEGS_MAX];
static struct pl_decision decision;

static struct pl_wire_context context_of(struct pl_names *names)
{
    static const char *const ids[] = { "BTC-PERP", "ETH", "SOL" };
    uint32_t index = 0;
    for (unsigned i = 0; i < TEST_COUNT(ids); i++) {
        const struct pl_id id = id_of(ids[i]);
        assert_int_equal(pl_names_intern(names, &id, &index), PL_OK);
    }
    parameters = (struct pl_parameters){ .epoch = 5, .policy.order_valid_ms = 30000 };
    parameters.instruments[ETH] = (struct pl_instrument){ .lot_decimals = 5, .tick_decimals = 2 };
    market = (struct pl_market){ .parameters = &parameters, .now_ms = NOW_MS };
    memset(marks, 0, sizeof(marks));
    marks[BTC] = (struct pl_mark){ .status = PL_MARK_LIVE, .source_offset = 8999, .tick = 11,
                                   .mantissa = 391234, .exponent = -1,
                                   .event_time_ms = NOW_MS - 500 };
    marks[ETH] = (struct pl_mark){ .status = PL_MARK_STALE, .source_offset = 9001, .tick = 12,
                                   .mantissa = 251234, .exponent = -2,
                                   .event_time_ms = NOW_MS - 250 };
    /* SOL is held and never had a price: it has no coordinate. */
    legs[0].instrument = BTC;
    legs[1].instrument = ETH;
    legs[2].instrument = SOL;
    account = (struct pl_account){ .id = id_of("alice"), .version = 7, .leg_count = 3 };
    return (struct pl_wire_context){ .names = names, .market = &market, .marks = marks,
                                     .account = &account, .legs = legs, .control_epoch = 3 };
}

static void decide(void)
{
    const pl_i128 usd = (pl_i128)1000000000 * 1000000000;
    decision = (struct pl_decision){ .has_sale = true };
    decision.state.episode = 3;
    decision.state.revision = 1;
    decision.state.doubt_count = 2;
    decision.state.doubts[0] = (struct pl_doubt){ ETH, PL_DOUBT_STALE };
    decision.state.doubts[1] = (struct pl_doubt){ UINT32_MAX, PL_DOUBT_GAP };
    decision.sale = (struct pl_sale){
        .leg_count = 2, .reaches = true, .maintenance_before = -1000 * usd,
        .end_before = -2000 * usd - 1, .end_after = 0, .cost_vu = 15000000000,
        .cost_bound_vu = 14999000000, .gap_ppm = 67 };
    decision.sale.legs[1] = (struct pl_sale_leg){ .instrument = ETH, .side = PL_SIDE_BUY,
                                                  .lots = 120000, .limit_ticks = 252491,
                                                  .one_lot_less = -3 };
    decision.alert_count = 1;
    decision.alerts[0] = (struct pl_alert){ .kind = PL_ALERT_STATE, .left = PL_STATE_ALERT,
                                            .entered = PL_STATE_LIQUIDATING,
                                            .since_ms = NOW_MS - 60000 };
    struct pl_verdict *verdict = &decision.verdict;
    verdict->equity_vu.low = (pl_i128)12345000000000000;
    verdict->excess[PL_TIER_ALERT].low = -4000 * usd;
    verdict->excess[PL_TIER_INITIAL].low = -3000 * usd;
    verdict->excess[PL_TIER_END].low = -2000 * usd - 1;
    verdict->excess[PL_TIER_MAINTENANCE].low = -1000 * usd;
    /* 30000.000000000001 over 17655.000000000001; -1/3 is rounded down too. */
    const pl_i128 collateral = (pl_i128)30000000000000001, debt = (pl_i128)17655000000000001;
    decision.ratios = (struct pl_ratios){
        .collateral_vu = collateral, .debt_vu = debt, .collateral = { collateral, debt },
        .over = { collateral - debt, debt }, .health = { -1, 3 },
        .requirement = { 16345 * usd, 15345 * usd, 14345 * usd + 1, 13345 * usd } };
    decision.ratios.top_up_vu[PL_TIER_INITIAL] = (pl_i128)3000000000000000;
    decision.cure_count = 2;
    decision.cures[0] = (struct pl_cure){ .kind = PL_CURE_ADD, .instrument = UINT32_MAX,
                                          .cost_vu = (pl_i128)3000000000000000 };
    decision.cures[1] = (struct pl_cure){ .kind = PL_CURE_REPAY, .instrument = ETH,
                                          .lots = 120000, .ticks = 252491,
                                          .cost_vu = 15000000000 };
    decision.state.called_ms = NOW_MS - 60000;
    decision.alerts[0].due_ms = NOW_MS + 60000;
}

static void assert_record(struct pl_bytes_view value, enum test_record_kind kind)
{
    struct pl_bytes_view expected = test_bytes_of(kind);
    assert_int_equal(value.size_bytes, expected.size_bytes);
    assert_memory_equal(value.data, expected.data, expected.size_bytes);
}

static void an_order_is_these_bytes(void **state)
{
    struct pl_bytes_view value;
    struct pl_wire *wire = test_wire();
    const struct pl_wire_context context = context_of(test_names());
    struct pl_order order;
    char text[PL_UUID_TEXT_BYTES];
    (void)state;
    decide();
    assert_int_equal(pl_wire_order_encode(wire, &context, &decision, 1, &value), PL_OK);
    assert_record(value, TEST_RECORD_ORDERS);
    assert_int_equal(pl_wire_order_decode(wire, test_key("alice"), value, &order), PL_OK);
    pl_uuid_print(order.order_id, text);
    assert_string_equal(text, "64058feb-5083-8c7c-921e-589c974efbb4");
    pl_uuid_print(order.plan_id, text);
    assert_string_equal(text, "26e8ef8d-2efb-8eaf-8df8-1691159bec22");
    assert_string_equal(order.account.text, "alice");
    assert_string_equal(order.instrument.text, "ETH");
    assert_int_equal(order.episode, 3);
    assert_int_equal(order.revision, 1);
    assert_int_equal(order.leg, 2);
    assert_int_equal(order.leg_count, 2);
    assert_int_equal(order.side, PL_SIDE_BUY);
    assert_int_equal(order.lots, 120000);
    assert_int_equal(order.lot_decimals, 5);
    assert_int_equal(order.limit_mantissa, 252491);
    assert_int_equal(order.limit_exponent, -2);
    assert_int_equal(order.created_ms, NOW_MS);
    assert_int_equal(order.valid_until_ms, NOW_MS + 30000);
    assert_false(order.is_bankrupt);
    assert_int_equal(order.holdings_version, 7);
    assert_int_equal(order.parameter_epoch, 5);
    decision.sale.is_bankrupt = true;
    assert_int_equal(pl_wire_order_encode(wire, &context, &decision, 1, &value), PL_OK);
    assert_int_equal(pl_wire_order_decode(wire, test_key("alice"), value, &order), PL_OK);
    assert_true(order.is_bankrupt);
    parameters.policy.order_valid_ms = INT64_MAX;
    assert_int_equal(pl_wire_order_encode(wire, &context, &decision, 1, &value), PL_OK);
    assert_int_equal(pl_wire_order_decode(wire, test_key("alice"), value, &order), PL_OK);
    assert_true(order.valid_until_ms == INT64_MAX);
}

/* The sale of leg 5 against the debt of leg 6, both in a contract, with the longest names. */
static void call_a_contract(void)
{
    const struct pl_id longest = account.id;
    parameters.contract_count = 1;
    parameters.contracts[0] = (struct pl_contract){ .id = longest, .chain = longest,
                                                    .rule = PL_CONTRACT_COMPOUND_V3 };
    for (unsigned i = 5; i <= 6; i++) {
        struct pl_instrument *instrument = &parameters.instruments[legs[i].instrument];
        instrument->contract = 1;
        instrument->bonus_ppm = PL_PPM;
        instrument->token = longest;
        market.quotes[legs[i].instrument] =
            (struct pl_quote){ .status = PL_MARK_LIVE, .lot_vu = 1 };
        legs[i].lots = i == 5 ? INT64_MAX : -INT64_MAX;
    }
    decision.sale.legs[1].side = PL_SIDE_SELL;
}

/* 128 legs with the longest names and numbers: the proof of need still fits its topic. */
static void the_largest_order_fits(void **state)
{
    struct pl_bytes_view value;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    struct pl_wire_context context = context_of(names);
    char text[PL_ID_BYTES_MAX + 1];
    (void)state;
    decide();
    for (unsigned i = 0; i < PL_LEGS_MAX; i++) {
        snprintf(text, sizeof(text), "%064u", i);
        const struct pl_id id = id_of(text);
        assert_int_equal(pl_names_intern(names, &id, &legs[i].instrument), PL_OK);
        marks[legs[i].instrument] = (struct pl_mark){
            .status = PL_MARK_LIVE, .source_offset = INT64_MAX, .tick = UINT64_MAX,
            .mantissa = INT64_MAX, .exponent = -12, .event_time_ms = INT64_MAX };
    }
    account.leg_count = PL_LEGS_MAX;
    snprintf(text, sizeof(text), "%064u", 999);
    account.id = id_of(text);
    decision.sale.legs[1].instrument = legs[5].instrument;
    call_a_contract();
    assert_int_equal(pl_wire_order_encode(wire, &context, &decision, 1, &value), PL_OK);
    json_t *json = NULL;
    assert_int_equal(pl_json_decode(PL_TOPIC_ORDERS, value, &json), PL_OK);
    assert_non_null(json_object_get(json, "protocol_call"));
    json_decref(json);
    assert_in_range(value.size_bytes, 14000, pl_topic_value_bytes_max(PL_TOPIC_ORDERS) - 500);
}

static void bad_orders_are_refused(void **state)
{
    static const char *const required[] = {
        "order_id", "plan_id", "account", "episode", "revision", "leg", "leg_count", "instrument",
        "side", "lots", "lot_decimals", "limit_price", "limit_price.mantissa", "created_ms",
        "valid_until_ms", "reason", "holdings_version", "parameter_epoch" };
    static const char *const optional[] = { "bucket", "prices", "proof", "control_epoch" };
    static const struct test_reject rejects[] = {
        { "leg", "0", PL_REJECT_RANGE, "field leg: 0 is outside 1..2" },
        { "leg", "3", PL_REJECT_RANGE, "field leg: 3 is outside 1..2" },
        { "leg_count", "17", PL_REJECT_RANGE, "field leg_count: 17" },
        { "lots", "0", PL_REJECT_RANGE, "field lots" },
        { "lots", "'9223372036854775808'", PL_REJECT_RANGE, "field lots" },
        { "lot_decimals", "13", PL_REJECT_RANGE, "field lot_decimals: 13" },
        { "side", "'SIDE_UNSPECIFIED'", PL_REJECT_UNKNOWN, "SIDE_SELL, SIDE_BUY" },
        { "limit_price.mantissa", "-1", PL_REJECT_RANGE, "field limit_price: negative" },
        { "reason", "'REASON_UNSPECIFIED'", PL_REJECT_UNKNOWN, "field reason" },
        { "episode", "0", PL_REJECT_RANGE, "field episode" },
        { "plan_id", "'x'", PL_REJECT_MALFORMED, "field plan_id: not a UUID" },
    };
    (void)state;
    test_required(TEST_RECORD_ORDERS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_ORDERS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_ORDERS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_ORDERS);
}

/* ---- alerts ---- */

static json_t *alert_of(const struct pl_wire_context *context)
{
    struct pl_bytes_view value;
    json_t *json = NULL;
    assert_int_equal(pl_wire_alert_encode(test_wire(), context, &decision, 0, &value), PL_OK);
    assert_int_equal(pl_json_decode(PL_TOPIC_ALERTS, value, &json), PL_OK);
    return json;
}

static const char *mantissa_of(json_t *json, const char *field)
{
    return json_string_value(json_object_get(json_object_get(json, field), "mantissa"));
}

static void an_alert_is_these_bytes(void **state)
{
    struct pl_bytes_view value;
    const struct pl_wire_context context = context_of(test_names());
    (void)state;
    decide();
    assert_int_equal(pl_wire_alert_encode(test_wire(), &context, &decision, 0, &value), PL_OK);
    assert_record(value, TEST_RECORD_ALERTS);
}

static void alerts_say_only_what_is_known(void **state)
{
    const struct pl_wire_context context = context_of(test_names());
    (void)state;
    decide();
    /* Whole initial margin is no shortfall; what has no bound has no number. */
    decision.verdict.excess[PL_TIER_INITIAL].low = 5;
    decision.verdict.excess[PL_TIER_ALERT].low = -PL_EXCESS_UNBOUNDED;
    decision.alerts[0] = (struct pl_alert){ .kind = PL_ALERT_ORDER_OVERDUE, .order_id = { 1 } };
    decision.ratios.debt_vu = decision.ratios.requirement[PL_TIER_END] = PL_EXCESS_UNBOUNDED;
    decision.ratios.collateral.denominator = decision.state.called_ms = 0;
    json_t *json = alert_of(&context);
    assert_null(json_object_get(json, "debt"));
    assert_null(json_object_get(json, "requirement_end"));
    assert_non_null(json_object_get(json, "requirement_initial"));
    assert_null(json_object_get(json, "collateral_ratio"));
    assert_non_null(json_object_get(json, "health_factor"));
    assert_null(json_object_get(json, "called_ms"));
    assert_null(json_object_get(json, "due_ms"));
    assert_string_equal(mantissa_of(json, "shortfall"), "0");
    assert_string_equal(mantissa_of(json, "excess_initial"), "5");
    assert_null(json_object_get(json, "excess_alert"));
    assert_null(json_object_get(json, "left"));
    assert_string_equal(json_string_value(json_object_get(json, "order_id")),
                        "01000000-0000-0000-0000-000000000000");
    json_decref(json);
    decision.verdict.excess[PL_TIER_INITIAL].low = -PL_EXCESS_UNBOUNDED;
    json = alert_of(&context);
    assert_null(json_object_get(json, "shortfall"));
    json_decref(json);
    decision.verdict.certainty = PL_OUT_OF_RANGE;
    json = alert_of(&context);
    assert_null(json_object_get(json, "equity"));
    assert_null(json_object_get(json, "excess_end"));
    assert_null(json_object_get(json, "collateral"));
    assert_null(json_object_get(json, "cures"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_what_others_compute),
        cmocka_unit_test(an_order_is_these_bytes),
        cmocka_unit_test(the_largest_order_fits),
        cmocka_unit_test(bad_orders_are_refused),
        cmocka_unit_test(an_alert_is_these_bytes),
        cmocka_unit_test(alerts_say_only_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
