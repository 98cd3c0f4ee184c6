/* SPDX-License-Identifier: Apache-2.0 */
/* Control, chain status and execution reports: golden values, ways there and back, each reject. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static void a_halt_goes_there_and_back(void **state)
{
    struct pl_control control;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_CONTROL), key, value;
    struct pl_wire *wire = test_wire();
    (void)state;
    assert_int_equal(pl_wire_control_decode(wire, test_key("account=alice"), bytes, &control),
                     PL_OK);
    assert_string_equal(control.account.text, "alice");
    assert_true(control.is_halt);
    assert_int_equal(control.epoch, 3);
    assert_string_equal(control.actor, "desk-2");
    assert_string_equal(control.reason, "feed under repair");
    assert_int_equal(control.created_ms, 1621432800000);
    assert_int_equal(pl_wire_control_encode(wire, &control, &key, &value), PL_OK);
    assert_int_equal(key.size_bytes, strlen("account=alice"));
    assert_memory_equal(key.data, "account=alice", key.size_bytes);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
}

static void all_has_no_account(void **state)
{
    struct pl_control control = { .epoch = 9, .created_ms = 1, .actor = "a", .reason = "" }, back;
    struct pl_bytes_view key, value;
    struct pl_wire *wire = test_wire();
    (void)state;
    assert_int_equal(pl_wire_control_encode(wire, &control, &key, &value), PL_OK);
    assert_int_equal(key.size_bytes, 3);
    assert_memory_equal(key.data, "all", 3);
    assert_int_equal(pl_wire_control_decode(wire, key, value, &back), PL_OK);
    assert_int_equal(back.account.size_bytes, 0);
    assert_false(back.is_halt);
    assert_int_equal(back.epoch, 9);
}

static void bad_controls_are_refused(void **state)
{
    static const char *const required[] = { "scope", "action", "epoch", "actor", "reason",
                                            "created_ms" };
    static const struct test_reject rejects[] = {
        { "scope", "'account=bob'", PL_REJECT_KEY, "key is not the scope" },
        { "action", "'ACTION_UNSPECIFIED'", PL_REJECT_UNKNOWN, "ACTION_HALT, ACTION_RESUME" },
        { "epoch", "0", PL_REJECT_RANGE, "field epoch" },
        { "actor", "'0123456789012345678901234567890123456789012345678901234567890123x'",
          PL_REJECT_RANGE, "field actor: 65 bytes, 64 are allowed" },
        { "reason", "'two\\nlines'", PL_REJECT_RANGE, "field reason: byte 0x0a at 3" },
        { "created_ms", "-1", PL_REJECT_RANGE, "field created_ms" },
    };
    static const struct { const char *scope; enum pl_err err; const char *text; } scopes[] = {
        { "instrument=ETH", PL_REJECT_UNKNOWN, "write \"all\" or \"account=ID\"" },
        { "", PL_REJECT_UNKNOWN, "field scope" },
        { "ALL", PL_REJECT_UNKNOWN, "field scope" },
        { "account=", PL_REJECT_KEY, "field scope: id is empty" },
        { "account=~watermark", PL_REJECT_KEY, "reserved" },
    };
    (void)state;
    test_required(TEST_RECORD_CONTROL, required, TEST_COUNT(required));
    test_rejects(TEST_RECORD_CONTROL, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_CONTROL);
    for (unsigned i = 0; i < TEST_COUNT(scopes); i++) {
        json_t *json = test_json(test_records[TEST_RECORD_CONTROL].json);
        json_object_set_new(json, "scope", json_string(scopes[i].scope));
        assert_int_equal(test_decoder(TEST_RECORD_CONTROL)(test_key(scopes[i].scope),
                                                           test_encode(PL_TOPIC_CONTROL, json)),
                         scopes[i].err);
        assert_non_null(strstr(pl_err_text(), scopes[i].text));
    }
}

static void a_chain_says_what_it_says(void **state)
{
    struct pl_chain_status status;
    static const char *const required[] = { "chain", "head_height", "finalised_height",
                                            "condition", "event_time_ms", "bridges.0.bridge",
                                            "bridges.0.condition" };
    static const struct test_reject rejects[] = {
        { "finalised_height", "12465011", PL_REJECT_RANGE, "outside 0..12465010" },
        { "condition", "'CONDITION_UNSPECIFIED'", PL_REJECT_UNKNOWN, "field condition" },
        { "bridges.0.condition", "'CONDITION_UNSPECIFIED'", PL_REJECT_UNKNOWN,
          "field bridges[0].condition" },
        { "halted_since_ms", "7", PL_REJECT_CONFLICT, "field halted_since_ms: only what is" },
        { "bridges.0.halted_since_ms", "-1", PL_REJECT_RANGE, "field bridges[0].halted_since_ms" },
        { "bridges", "+{'bridge':'hop','condition':'CONDITION_LIVE'}",
          PL_REJECT_CONFLICT, "bridges[0] has it too" },
    };
    (void)state;
    assert_int_equal(pl_wire_chain_decode(test_wire(), test_key("ethereum"),
                                          test_bytes_of(TEST_RECORD_CHAINS), &status), PL_OK);
    assert_string_equal(status.chain.text, "ethereum");
    assert_int_equal(status.head_height, 12465010);
    assert_int_equal(status.finalised_height, 12464946);
    assert_false(status.is_halted);
    assert_int_equal(status.event_time_ms, 1621432800000);
    json_t *halted = test_changed(TEST_RECORD_CHAINS, "condition", "'CONDITION_HALTED'");
    assert_int_equal(pl_wire_chain_decode(test_wire(), test_key("ethereum"),
                                          test_encode(PL_TOPIC_CHAINS, halted), &status), PL_OK);
    assert_true(status.is_halted);
    assert_int_equal(status.halted_since_ms, 1621432800000);
    halted = test_changed(TEST_RECORD_CHAINS, "bridges.0.condition", "'CONDITION_HALTED'");
    json_object_set_new(json_array_get(json_object_get(halted, "bridges"), 0), "halted_since_ms",
                        json_integer(1234));
    assert_int_equal(pl_wire_chain_decode(test_wire(), test_key("ethereum"),
                                          test_encode(PL_TOPIC_CHAINS, halted), &status), PL_OK);
    assert_true(!status.is_halted && status.bridges[0].is_halted);
    assert_int_equal(status.bridges[0].halted_since_ms, 1234);
    test_required(TEST_RECORD_CHAINS, required, TEST_COUNT(required));
    test_rejects(TEST_RECORD_CHAINS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_CHAINS);
}

static void bad_executions_are_refused(void **state)
{
    static const char *const required[] = { "account", "order_id", "status", "cumulative_quantity",
                                            "cumulative_quantity.exponent", "event_time_ms" };
    static const char *const optional[] = { "execution_id", "instrument", "last_quantity",
                                            "last_price", "average_price", "fee_usd", "venue",
                                            "venue_order_id", "text" };
    static const struct test_reject rejects[] = {
        { "account", "'~alice'", PL_REJECT_KEY, "reserved" },
        { "order_id", "'64058feb50838c7c921e589c974efbb4'", PL_REJECT_MALFORMED, "not a UUID" },
        { "order_id", "'64058feb-5083-8c7c-921e-589c974efbb'", PL_REJECT_MALFORMED, "not a UUID" },
        { "order_id", "'64058feb-5083-8c7c-921e_589c974efbb4'", PL_REJECT_MALFORMED, "not a UUID" },
        { "order_id", "'g4058feb-5083-8c7c-921e-589c974efbb4'", PL_REJECT_MALFORMED, "not a UUID" },
        { "status", "'STATUS_UNSPECIFIED'", PL_REJECT_UNKNOWN, "STATUS_NEW" },
        { "cumulative_quantity.mantissa", "'-15'", PL_REJECT_RANGE, "negative" },
        { "cumulative_quantity.mantissa", "'9223372036854775808'", PL_REJECT_RANGE, "63 bits" },
        { "event_time_ms", "-1", PL_REJECT_RANGE, "field event_time_ms" },
    };
    (void)state;
    test_required(TEST_RECORD_EXECUTIONS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_EXECUTIONS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_EXECUTIONS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_EXECUTIONS);
}

static void quantities_are_narrowed_exactly(void **state)
{
    static const struct { const char *mantissa; int exponent; int64_t expected; int at; } rows[] = {
        { "15", -1, 15, -1 },
        { "0", 0, 0, 0 },
        { "1500", -1, 1500, -1 }, /* what fits stays as it is */
        { "9223372036854775807", 0, INT64_MAX, 0 },
        { "9223372036854775810", -18, 922337203685477581, -17 },
        { "150000000000000000000000000000", -29, 1500000000000000000, -18 },
    };
    static const char *const statuses[] = { "STATUS_NEW", "STATUS_PARTIALLY_FILLED",
                                            "STATUS_FILLED", "STATUS_CANCELED", "STATUS_REJECTED",
                                            "STATUS_EXPIRED" };
    struct pl_execution execution;
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = test_json(test_records[TEST_RECORD_EXECUTIONS].json);
        json_object_set_new(json, "cumulative_quantity",
                            json_pack("{s:s,s:i}", "mantissa", rows[i].mantissa, "exponent",
                                      rows[i].exponent));
        assert_int_equal(pl_wire_execution_decode(test_wire(), test_key("alice"),
                                                  test_encode(PL_TOPIC_EXECUTIONS, json),
                                                  &execution), PL_OK);
        assert_int_equal(execution.cumulative_mantissa, rows[i].expected);
        assert_int_equal(execution.cumulative_exponent, rows[i].at);
    }
    for (unsigned i = 0; i < TEST_COUNT(statuses); i++) {
        json_t *json = test_json(test_records[TEST_RECORD_EXECUTIONS].json);
        json_object_set_new(json, "status", json_string(statuses[i]));
        assert_int_equal(pl_wire_execution_decode(test_wire(), test_key("alice"),
                                                  test_encode(PL_TOPIC_EXECUTIONS, json),
                                                  &execution), PL_OK);
        assert_int_equal(execution.is_terminal, i >= 2);
    }
    /* 38 zeros and the exponent at its end: nothing is left to strip into. */
    json_t *json = test_json(test_records[TEST_RECORD_EXECUTIONS].json);
    json_object_set_new(json, "cumulative_quantity",
                        json_pack("{s:s,s:i}", "mantissa", "10000000000000000000", "exponent", 38));
    assert_int_equal(pl_wire_execution_decode(test_wire(), test_key("alice"),
                                              test_encode(PL_TOPIC_EXECUTIONS, json), &execution),
                     PL_REJECT_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_halt_goes_there_and_back),
        cmocka_unit_test(all_has_no_account),
        cmocka_unit_test(bad_controls_are_refused),
        cmocka_unit_test(a_chain_says_what_it_says),
        cmocka_unit_test(bad_executions_are_refused),
        cmocka_unit_test(quantities_are_narrowed_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
