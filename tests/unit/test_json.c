/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schemas' JSON form: what may be written, and what is said about what may not. That the bytes
 * are protobuf's own is test_wire.c's, which compares every record with another implementation's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static void spellings_are_alike(void **state)
{
    static const struct { enum pl_topic topic; const char *a, *b; } rows[] = {
        /* lowerCamelCase, numbers and text, null for absence. */
        { PL_TOPIC_PRICES, "{'eventTimeMs':5,'sourceSequence':7}",
          "{'event_time_ms':'5','source_sequence':'7','bid':null}" },
        { PL_TOPIC_MARKS, "{'volatilityFastPpm':'9','low':{'exponent':'-2'}}",
          "{'volatility_fast_ppm':9,'low':{'exponent':-2}}" },
        { PL_TOPIC_HOLDINGS, "{'legs':[{'settledLots':-3}],'sources':null}",
          "{'legs':[{'settled_lots':'-3'}],'sources':[]}" },
        { PL_TOPIC_PARAMETERS, "{'instruments':[{'priceRules':{'ageMsMax':1}}]}",
          "{'instruments':[{'price_rules':{'age_ms_max':1}}]}" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        struct pl_bytes_view a = test_encode(rows[i].topic, test_json(rows[i].a));
        struct pl_bytes_view b = test_encode(rows[i].topic, test_json(rows[i].b));
        assert_true(a.size_bytes > 0 && a.size_bytes == b.size_bytes);
        assert_memory_equal(a.data, b.data, a.size_bytes);
    }
}

static void numbers_keep_every_digit(void **state)
{
    static const char *const rows[] = {
        "{'epoch':'18446744073709551615'}",
        "{'instruments':[{'brackets':[{'threshold_usd':'-9223372036854775808'}]}]}",
        "{'instruments':[{'confidence_ppm':-2147483648}]}",
        "{'instruments':[{'lot_decimals':4294967295}]}",
        "{'epoch':'0'}",
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *expected = test_json(rows[i]), *json = NULL;
        struct pl_bytes_view bytes = test_encode(PL_TOPIC_PARAMETERS, test_json(rows[i]));
        assert_int_equal(pl_json_decode(PL_TOPIC_PARAMETERS, bytes, &json), PL_OK);
        assert_true(json_equal(json, expected));
        json_decref(json);
        json_decref(expected);
    }
}

static void bytes_are_base64(void **state)
{
    static const struct { const char *text; size_t size_bytes; const char *bytes; } rows[] = {
        { "", 0, "" }, { "AA==", 1, "\0" }, { "/+8=", 2, "\xff\xef" }, { "YWJj", 3, "abc" } };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = json_pack("{s:s}", "previous_hash", rows[i].text), *back = NULL;
        struct pl_bytes_view value = test_encode(PL_TOPIC_JOURNAL, json_incref(json));
        assert_int_equal(value.size_bytes, rows[i].size_bytes + 2);
        assert_memory_equal(value.data + 2, rows[i].bytes, rows[i].size_bytes);
        assert_int_equal(pl_json_decode(PL_TOPIC_JOURNAL, value, &back), PL_OK);
        assert_true(json_equal(json, back));
        json_decref(json);
        json_decref(back);
    }
}

static void mistakes_are_named_with_a_cure(void **state)
{
    static const struct {
        enum pl_topic topic;
        const char *json;
        enum pl_err err;
        const char *text;
    } rows[] = {
        { PL_TOPIC_POSITIONS, "{'legs':[{'quantitty':{}}]}", PL_REJECT_UNKNOWN,
          "field legs[0].quantitty is unknown; did you mean quantity?" },
        { PL_TOPIC_PRICES, "{'instument':'x'}", PL_REJECT_UNKNOWN, "did you mean instrument?" },
        { PL_TOPIC_PRICES, "{'sorce':'x'}", PL_REJECT_UNKNOWN, "did you mean source?" },
        { PL_TOPIC_PRICES, "{'Xbid':'x'}", PL_REJECT_UNKNOWN, "did you mean bid?" },
        { PL_TOPIC_PRICES, "{'event_tiem_ms':1}", PL_REJECT_UNKNOWN,
          "did you mean event_time_ms?" },
        { PL_TOPIC_PRICES, "{'colour':'x'}", PL_REJECT_UNKNOWN,
          "field colour is unknown; Price has no such field" },
        { PL_TOPIC_PRICES,
          "{'a_name_that_is_longer_than_any_field_of_any_schema_and_also_than_the_guess':1}",
          PL_REJECT_UNKNOWN, "Price has no such field" },
        { PL_TOPIC_PRICES, "{'event_time_ms':1,'eventTimeMs':1}", PL_REJECT_CONFLICT,
          "field event_time_ms: given twice" },
        { PL_TOPIC_PRICES, "{'price':5}", PL_REJECT_MALFORMED,
          "field price: not an object; write { ... }" },
        { PL_TOPIC_PRICES, "[]", PL_REJECT_MALFORMED, "field Price: not an object" },
        { PL_TOPIC_PRICES, "{'price':{'mantissa':1.5}}", PL_REJECT_MALFORMED,
          "field price.mantissa: not an integer" },
        { PL_TOPIC_PRICES, "{'price':{'mantissa':'1e5'}}", PL_REJECT_MALFORMED, "not an integer" },
        { PL_TOPIC_PRICES, "{'price':{'mantissa':true}}", PL_REJECT_MALFORMED, "not an integer" },
        { PL_TOPIC_PRICES, "{'price':{'mantissa':'9223372036854775808'}}", PL_REJECT_RANGE,
          "field price.mantissa: does not fit" },
        { PL_TOPIC_PRICES, "{'price':{'exponent':2147483648}}", PL_REJECT_RANGE, "does not fit" },
        { PL_TOPIC_PRICES, "{'source_sequence':-1}", PL_REJECT_RANGE,
          "field source_sequence: does not fit" },
        { PL_TOPIC_PRICES, "{'instrument':5}", PL_REJECT_MALFORMED,
          "field instrument: not a text; write it in quotes" },
        { PL_TOPIC_PRICES, "{'instrument':'a\\u0000b'}", PL_REJECT_MALFORMED, "not a text" },
        { PL_TOPIC_PARAMETERS, "{'instruments':{}}", PL_REJECT_MALFORMED,
          "field instruments: not a list; write [ ... ]" },
        { PL_TOPIC_PARAMETERS, "{'instruments':[5]}", PL_REJECT_MALFORMED,
          "field instruments[0]: not an object" },
        { PL_TOPIC_PARAMETERS, "{'policies':[{'liquidity_order':['A',5]}]}", PL_REJECT_MALFORMED,
          "field policies[0].liquidity_order[1]: not a text" },
        { PL_TOPIC_PARAMETERS, "{'instruments':[{'price_rules':{'sources':[null]}}]}",
          PL_REJECT_MALFORMED, "field instruments[0].price_rules.sources[0]: not a text" },
        { PL_TOPIC_CONTROL, "{'action':'HALT'}", PL_REJECT_UNKNOWN,
          "write one of ACTION_HALT, ACTION_RESUME" },
        { PL_TOPIC_CONTROL, "{'action':1}", PL_REJECT_UNKNOWN, "field action" },
        { PL_TOPIC_HOLDINGS, "{'legs':[{'unfinalised':[{'mended_gap':'yes'}]}]}",
          PL_REJECT_MALFORMED, "field legs[0].unfinalised[0].mended_gap: not true or false" },
        { PL_TOPIC_JOURNAL, "{'slot':'s','previous_hash':'AAA'}", PL_REJECT_MALFORMED, "base64" },
        { PL_TOPIC_JOURNAL, "{'previous_hash':'A==='}", PL_REJECT_MALFORMED, "base64" },
        { PL_TOPIC_JOURNAL, "{'previous_hash':'AA=A'}", PL_REJECT_MALFORMED, "base64" },
        { PL_TOPIC_JOURNAL, "{'previous_hash':'AA-_'}", PL_REJECT_MALFORMED, "base64" },
        { PL_TOPIC_JOURNAL, "{'previous_hash':5}", PL_REJECT_MALFORMED, "base64" },
        { PL_TOPIC_DEADLETTER, "{}", PL_REJECT_UNKNOWN, "deadletter has no schema" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = test_json(rows[i].json);
        uint8_t *value = NULL;
        size_t size_bytes = 0;
        enum pl_err err = pl_json_encode(rows[i].topic, json, &value, &size_bytes);
        if (err != rows[i].err || !strstr(pl_err_text(), rows[i].text))
            fail_msg("%s gave %s \"%s\"", rows[i].json, pl_err_name(err), err ? pl_err_text() : "");
        assert_null(value);
        json_decref(json);
    }
}

static void what_does_not_fit_the_topic_is_refused(void **state)
{
    json_t *json = test_json(test_records[TEST_RECORD_PRICES].json);
    char text[5000];
    uint8_t *value = NULL;
    size_t size_bytes = 0;
    (void)state;
    memset(text, 'a', sizeof(text));
    size_t rest = test_bytes_of(TEST_RECORD_PRICES).size_bytes - 3 - 1; /* all but the text */
    json_object_set_new(json, "instrument", json_stringn(text, 4096 - rest - 2));
    assert_int_equal(pl_json_encode(PL_TOPIC_PRICES, json, &value, &size_bytes), PL_OK);
    assert_int_equal(size_bytes, 4096);
    free(value);
    json_object_set_new(json, "instrument", json_stringn(text, 4096 - rest - 1));
    assert_int_equal(pl_json_encode(PL_TOPIC_PRICES, json, &value, &size_bytes), PL_REJECT_SIZE);
    json_decref(json);
    json = json_object();
    json_t *legs = json_array();
    for (unsigned i = 0; i < 100000; i++)
        json_array_append_new(legs, json_object());
    json_object_set_new(json, "legs", legs);
    assert_int_equal(pl_json_encode(PL_TOPIC_POSITIONS, json, &value, &size_bytes), PL_REJECT_SIZE);
    json_decref(json);
}

static void bytes_that_are_no_record_give_no_json(void **state)
{
    json_t *json = NULL;
    (void)state;
    assert_int_equal(pl_json_decode(PL_TOPIC_PRICES, test_hex("0a05"), &json), PL_REJECT_MALFORMED);
    /* instrument = one byte that is no UTF-8 */
    assert_int_equal(pl_json_decode(PL_TOPIC_PRICES, test_hex("0a01ff"), &json),
                     PL_REJECT_MALFORMED);
    assert_non_null(strstr(pl_err_text(), "UTF-8"));
    assert_int_equal(pl_json_decode(PL_TOPIC_DEADLETTER, test_hex("00"), &json), PL_REJECT_UNKNOWN);
    assert_null(json);
    /* An enum value of a newer schema is shown as its number. */
    assert_int_equal(pl_json_decode(PL_TOPIC_CONTROL, test_hex("1009"), &json), PL_OK);
    assert_int_equal(json_integer_value(json_object_get(json, "action")), 9);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_are_alike),
        cmocka_unit_test(numbers_keep_every_digit),
        cmocka_unit_test(bytes_are_base64),
        cmocka_unit_test(mistakes_are_named_with_a_cure),
        cmocka_unit_test(what_does_not_fit_the_topic_is_refused),
        cmocka_unit_test(bytes_that_are_no_record_give_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
