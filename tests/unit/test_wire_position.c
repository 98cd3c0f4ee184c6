/* SPDX-License-Identifier: Apache-2.0 */
/* Position events: the golden record's values, the shapes of each kind, and each reject. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static enum pl_err decode(json_t *json)
{
    return test_decoder(TEST_RECORD_POSITIONS)(test_key("alice"),
                                               test_encode(PL_TOPIC_POSITIONS, json));
}

static const struct pl_position_event *result(void)
{
    size_t size_bytes;
    return test_result(TEST_RECORD_POSITIONS, &size_bytes);
}

static void an_event_says_what_it_says(void **state)
{
    static const uint8_t order_id[PL_ORDER_ID_BYTES] = { 0x64, 0x05, 0x8f, 0xeb, 0x50, 0x83, 0x8c,
                                                         0x7c, 0x92, 0x1e, 0x58, 0x9c, 0x97, 0x4e,
                                                         0xfb, 0xb4 };
    const struct pl_position_event *event = result();
    (void)state;
    assert_int_equal(test_decoder(TEST_RECORD_POSITIONS)(test_key("alice"),
                                                         test_bytes_of(TEST_RECORD_POSITIONS)),
                     PL_OK);
    assert_string_equal(event->account.text, "alice");
    assert_string_equal(event->source.text, "venue-1");
    assert_string_equal(event->chain.text, "ethereum");
    assert_int_equal(event->sequence, 42);
    assert_int_equal(event->previous_sequence, 41);
    assert_int_equal(event->block_height, 12465000);
    assert_int_equal(event->kind, PL_POSITION_DELTA);
    assert_int_equal(event->event_time_ms, 1621432800000);
    assert_int_equal(event->leg_count, 2);
    assert_string_equal(event->legs[0].instrument.text, "ETH");
    assert_true(event->legs[0].quantity.mantissa == -1500000000000000000);
    assert_int_equal(event->legs[0].quantity.exponent, -18);
    assert_true(event->legs[0].cost.mantissa == 0);
    assert_true(event->legs[1].cost.mantissa == -98000);
    assert_true(event->has_cash && event->cash.mantissa == -1234567);
    assert_int_equal(event->cash.exponent, -2);
    assert_int_equal(event->applied_count, 1);
    assert_memory_equal(event->applied[0].order_id, order_id, sizeof(order_id));
    assert_true(event->applied[0].cumulative.mantissa == 15);
}

static void kinds_have_their_shapes(void **state)
{
    (void)state;
    assert_int_equal(decode(test_json("{'account':'alice','source':'s','kind':'KIND_SNAPSHOT',"
                                      "'sequence':1,'event_time_ms':5}")), PL_OK);
    assert_false(result()->has_cash);
    assert_false(result()->has_mode);
    assert_int_equal(result()->chain.size_bytes, 0);
    assert_int_equal(decode(test_json("{'account':'alice','source':'s','kind':'KIND_DELTA',"
                                      "'sequence':1,'previous_sequence':0,'event_time_ms':5}")),
                     PL_OK);
    assert_int_equal(decode(test_json("{'account':'alice','source':'s','kind':'KIND_RETRACTION',"
                                      "'sequence':9,'previous_sequence':8,'retracts':8,"
                                      "'chain':'c','block_height':0,'event_time_ms':5}")), PL_OK);
    assert_int_equal(result()->retracts, 8);
    assert_int_equal(decode(test_json("{'account':'alice','source':'s','kind':'KIND_RETRACTION',"
                                      "'sequence':9,'previous_sequence':8,'event_time_ms':5}")),
                     PL_REJECT_MISSING);
    assert_string_equal(pl_err_text(), "field retracts is missing");
    assert_int_equal(decode(test_json("{'account':'alice','source':'s','kind':'KIND_RETRACTION',"
                                      "'sequence':9,'previous_sequence':8,'retracts':7,"
                                      "'cash':{'mantissa':'1','exponent':0},'event_time_ms':5}")),
                     PL_REJECT_CONFLICT);
}

static void bad_events_are_refused(void **state)
{
    static const char *const required[] = {
        "account", "source", "sequence", "previous_sequence", "kind", "chain", "block_height",
        "event_time_ms", "legs.0.instrument", "legs.1.quantity", "legs.1.quantity.mantissa",
        "legs.0.quantity.exponent", "legs.1.cost.mantissa", "cash.exponent", "applied.0.order_id",
        "applied.0.cumulative_quantity" };
    static const char *const optional[] = { "legs", "legs.1.cost", "cash", "applied" };
    static const struct test_reject rejects[] = {
        { "account", "'~alice'", PL_REJECT_KEY, "field account: contains '~', which is reserved" },
        { "kind", "'KIND_UNSPECIFIED'", PL_REJECT_UNKNOWN, "KIND_SNAPSHOT, KIND_DELTA" },
        { "sequence", "0", PL_REJECT_RANGE, "field sequence: 0 is outside 1.." },
        { "previous_sequence", "42", PL_REJECT_RANGE,
          "field previous_sequence: 42 is outside 0..41" },
        { "retracts", "41", PL_REJECT_CONFLICT,
          "field retracts: only an event of KIND_RETRACTION" },
        { "chain", "''", PL_REJECT_MISSING, "field chain is missing" },
        { "event_time_ms", "-1", PL_REJECT_RANGE, "field event_time_ms" },
        { "mode", "256", PL_REJECT_RANGE, "field mode: 256 is outside 0..255" },
        { "legs.1.instrument", "'ETH'", PL_REJECT_CONFLICT,
          "field legs[1].instrument: legs[0] has it too; write one leg per instrument" },
        { "legs.1.quantity.mantissa", "'12x'", PL_REJECT_MALFORMED,
          "field legs[1].quantity.mantissa: not a decimal integer; write e.g. \"-1500\"" },
        { "legs.1.quantity.mantissa", "'007'", PL_REJECT_MALFORMED, "not a decimal integer" },
        { "legs.1.quantity.mantissa", "'-0'", PL_REJECT_MALFORMED, "not a decimal integer" },
        { "legs.1.quantity.mantissa", "'+5'", PL_REJECT_MALFORMED, "not a decimal integer" },
        { "legs.1.quantity.mantissa", "''", PL_REJECT_MALFORMED, "not a decimal integer" },
        { "legs.1.quantity.mantissa", "'170141183460469231731687303715884105728'",
          PL_REJECT_OVERFLOW, "field legs[1].quantity.mantissa: outside 128 bits" },
        { "legs.1.quantity.exponent", "39", PL_REJECT_RANGE,
          "field legs[1].quantity.exponent: 39" },
        { "cash.exponent", "-39", PL_REJECT_RANGE, "field cash.exponent: -39" },
        { "applied.0.order_id", "'64058FEB-5083-8c7c-921e-589c974efbb4'", PL_REJECT_MALFORMED,
          "field applied[0].order_id: not a UUID in lower case" },
        { "applied.0.cumulative_quantity.mantissa", "'-1'", PL_REJECT_RANGE,
          "field applied[0].cumulative_quantity: negative" },
        { "applied", "+{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4',"
          "'cumulative_quantity':{'mantissa':'15','exponent':-1}}", PL_REJECT_CONFLICT,
          "field applied[1].order_id: applied[0] has it too" },
    };
    (void)state;
    test_required(TEST_RECORD_POSITIONS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_POSITIONS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_POSITIONS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_POSITIONS);
}

/* Fits exactly, and one more does not. */
static void counts_are_bounded(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        json_t *event = test_json("{'account':'alice','source':'s','kind':'KIND_SNAPSHOT',"
                                  "'sequence':1,'event_time_ms':5}");
        json_t *legs = json_array(), *applied = json_array();
        for (unsigned i = 0; i < PL_LEGS_MAX + extra; i++)
            json_array_append_new(legs, json_pack("{s:o,s:{s:s,s:i}}", "instrument",
                                                  json_sprintf("I%u", i), "quantity", "mantissa",
                                                  "1", "exponent", 0));
        for (unsigned i = 0; i < PL_APPLIED_MAX; i++)
            json_array_append_new(
                applied, json_pack("{s:o,s:{s:s,s:i}}", "order_id",
                                   json_sprintf("00000000-0000-8000-8000-%012u", i),
                                   "cumulative_quantity", "mantissa", "1", "exponent", 0));
        json_object_set_new(event, "legs", legs);
        json_object_set_new(event, "applied", applied);
        enum pl_err err = decode(event);
        assert_int_equal(err, extra ? PL_REJECT_SIZE : PL_OK);
        assert_true(!extra || strstr(pl_err_text(), "field legs: 129 elements, 128 are allowed"));
    }
    assert_int_equal(decode(test_changed(TEST_RECORD_POSITIONS, "legs", "[]")), PL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_says_what_it_says),
        cmocka_unit_test(kinds_have_their_shapes),
        cmocka_unit_test(bad_events_are_refused),
        cmocka_unit_test(counts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
