/* SPDX-License-Identifier: Apache-2.0 */
/* Holdings: the golden record and its watermark there and back, limits, and each reject. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static const struct pl_record_holdings *result(void)
{
    size_t size_bytes;
    return test_result(TEST_RECORD_HOLDINGS, &size_bytes);
}

static void a_record_goes_there_and_back(void **state)
{
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_HOLDINGS), value;
    const struct pl_record_holdings *record = result();
    (void)state;
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"), bytes), PL_OK);
    assert_int_equal(record->version, 7);
    assert_int_equal(record->positions_offset, 1234);
    assert_int_equal(record->written_ms, 1621432800002);
    assert_int_equal(record->leg_count, 3);
    assert_int_equal(record->source_count, 2);
    assert_int_equal(record->legs[0].source, 0);
    assert_true(record->legs[0].cost.mantissa == 98000);
    assert_int_equal(record->legs[0].lots, 2500);
    assert_int_equal(record->legs[0].lot_decimals, 3);
    assert_int_equal(record->legs[1].source, 1);
    assert_int_equal(record->legs[1].lots, -150000);
    assert_int_equal(record->legs[1].settled_lots, -100000);
    assert_false(record->legs[2].has_lots);
    assert_false(record->sources[0].has_gap || record->sources[0].settles_by_time);
    assert_true(record->sources[0].cash.mantissa == -1234567);
    assert_true(record->sources[1].has_gap && record->sources[1].settles_by_time);
    assert_string_equal(record->sources[1].chain.text, "ethereum");
    assert_int_equal(record->applied_count, 1);
    assert_int_equal(pl_wire_record_encode(test_wire(), record, &value), PL_OK);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
}

static void a_taint_goes_there_and_back(void **state)
{
    struct pl_bytes_view value, tainted;
    (void)state;
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"),
                                                        test_bytes_of(TEST_RECORD_HOLDINGS)),
                     PL_OK);
    assert_false(result()->is_tainted);
    tainted = test_encode(PL_TOPIC_HOLDINGS, test_changed(TEST_RECORD_HOLDINGS, "tainted", "true"));
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"), tainted), PL_OK);
    assert_true(result()->is_tainted);
    assert_int_equal(result()->mode, 0);
    tainted = test_encode(PL_TOPIC_HOLDINGS, test_changed(TEST_RECORD_HOLDINGS, "mode", "7"));
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"), tainted), PL_OK);
    assert_int_equal(result()->mode, 7);
    assert_int_equal(pl_wire_record_encode(test_wire(), result(), &value), PL_OK);
    assert_int_equal(value.size_bytes, tainted.size_bytes);
    assert_memory_equal(value.data, tainted.data, value.size_bytes);
}

/* The tail comes back by source and sequence, whatever leg a change belongs to. */
static void the_tail_is_put_in_order(void **state)
{
    const struct pl_record_holdings *record = result();
    (void)state;
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"),
                                                        test_bytes_of(TEST_RECORD_HOLDINGS)),
                     PL_OK);
    assert_int_equal(record->tail_count, 3);
    assert_int_equal(record->tail[0].sequence, 41);
    assert_int_equal(record->tail[0].instrument.size_bytes, 0);
    assert_true(record->tail[0].mended_gap && record->tail[0].quantity.mantissa == 7);
    assert_int_equal(record->tail[1].sequence, 41);
    assert_string_equal(record->tail[1].instrument.text, "ETH");
    assert_false(record->tail[1].mended_gap);
    assert_int_equal(record->tail[1].block_height, 100);
    assert_int_equal(record->tail[2].sequence, 42);
    assert_true(record->tail[2].mended_gap && record->tail[2].cost.mantissa == 5);
    /* Said to be false is as good as not said. */
    json_t *json = test_changed(TEST_RECORD_HOLDINGS, "legs.1.unfinalised.1.mended_gap", "false");
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"),
                                                        test_encode(PL_TOPIC_HOLDINGS, json)),
                     PL_OK);
    assert_false(record->tail[2].mended_gap);
}

static void bad_records_are_refused(void **state)
{
    static const char *const required[] = {
        "account", "version", "positions_offset", "written_ms", "legs.0.instrument",
        "legs.1.source", "legs.2.quantity", "legs.0.lots", "legs.0.settled_lots",
        "legs.0.lot_decimals", "legs.0.cost.exponent", "legs.1.unfinalised.0.sequence",
        "legs.1.unfinalised.1.block_height", "legs.1.unfinalised.0.quantity",
        "sources.0.source", "sources.1.sequence", "sources.0.event_time_ms",
        "sources.0.continuity", "sources.1.settlement", "sources.0.cash.mantissa",
        "sources.1.unfinalised_cash.0.cash", "sources.1.unfinalised_cash.0.sequence",
        "applied.0.order_id", "applied.0.cumulative_quantity" };
    static const char *const optional[] = { "legs.0.cost", "sources.0.cash", "sources.1.chain",
                                            "legs.1.unfinalised", "legs", "applied" };
    static const struct test_reject rejects[] = {
        { "account", "'~alice'", PL_REJECT_KEY, "'~', which is reserved" },
        { "version", "0", PL_REJECT_RANGE, "field version: 0 is outside 1.." },
        { "positions_offset", "'9223372036854775808'", PL_REJECT_RANGE, "field positions_offset" },
        { "written_ms", "-1", PL_REJECT_RANGE, "field written_ms" },
        { "watermark", "{'positions_offset':1,'time_ms':2}", PL_REJECT_CONFLICT,
          "only the record under the key ~watermark" },
        { "sources.1.source", "'venue-1'", PL_REJECT_CONFLICT,
          "field sources[1].source: sources[0] has it too" },
        { "sources.0.continuity", "'CONTINUITY_UNSPECIFIED'", PL_REJECT_UNKNOWN,
          "field sources[0].continuity: 0 is no value of it" },
        { "legs.0.source", "'venue-2'", PL_REJECT_UNKNOWN, "field legs[0].source: not one of" },
        { "legs.1.instrument", "'BTC'", PL_REJECT_CONFLICT,
          "field legs[1].instrument: not after the leg before" },
        { "legs.0.credited_lots", "'9223372036854773308'", PL_REJECT_RANGE, "credited_lots" },
        { "legs.2.settled_lots", "5", PL_REJECT_MISSING, "field legs[2].lots is missing" },
        { "legs.2.lot_decimals", "5", PL_REJECT_MISSING, "field legs[2].lots is missing" },
        { "legs.0.lot_decimals", "13", PL_REJECT_RANGE, "field legs[0].lot_decimals: 13" },
        { "legs.1.unfinalised.1.quantity.mantissa", "'1.5'", PL_REJECT_MALFORMED,
          "field legs[1].unfinalised[1].quantity.mantissa: not a decimal integer" },
        { "sources.1.unfinalised_cash.0.sequence", "0", PL_REJECT_RANGE,
          "field sources[1].unfinalised_cash[0].sequence: 0" },
        { "applied.0.cumulative_quantity.mantissa", "'-15'", PL_REJECT_RANGE, "negative" },
        { "applied", "+{'order_id':'64058feb-5083-8c7c-921e-589c974efbb4',"
          "'cumulative_quantity':{'mantissa':'15','exponent':-1}}", PL_REJECT_CONFLICT,
          "field applied[1].order_id" },
    };
    (void)state;
    test_required(TEST_RECORD_HOLDINGS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_HOLDINGS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_HOLDINGS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_HOLDINGS);
}

static void the_same_pair_twice_is_refused(void **state)
{
    json_t *json = test_json(test_records[TEST_RECORD_HOLDINGS].json);
    json_t *legs = json_object_get(json, "legs");
    (void)state;
    json_array_insert(legs, 1, json_array_get(legs, 0));
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"),
                                                        test_encode(PL_TOPIC_HOLDINGS, json)),
                     PL_REJECT_CONFLICT);
}

static struct pl_id id_of(const char *prefix, unsigned number)
{
    char text[PL_ID_BYTES_MAX + 1];
    struct pl_id id;
    int size = snprintf(text, sizeof(text), "%s%0*u", prefix,
                        PL_ID_BYTES_MAX - (int)strlen(prefix), number);
    assert_int_equal(pl_id_set(&id, text, (size_t)size), PL_OK);
    return id;
}

/* Every list full and every name and number as long as it gets: it fits the topic's limit. */
static void the_largest_record_fits(void **state)
{
    static struct pl_record_holdings record;
    struct pl_bytes_view value, again;
    const struct pl_amount amount = { -(((pl_i128)1 << 126) - 1 + ((pl_i128)1 << 126)),
                                      PL_EXPONENT_MIN };
    (void)state;
    record = (struct pl_record_holdings){
        .account = id_of("a", 1), .version = UINT64_MAX, .positions_offset = INT64_MAX,
        .written_ms = INT64_MAX, .leg_count = PL_LEGS_MAX, .source_count = PL_RECORD_SOURCES_MAX,
        .tail_count = PL_RECORD_TAIL_MAX, .applied_count = PL_APPLIED_MAX };
    for (unsigned i = 0; i < PL_RECORD_SOURCES_MAX; i++)
        record.sources[i] = (struct pl_record_source){
            .id = id_of("s", i), .chain = id_of("c", i), .sequence = UINT64_MAX, .has_gap = true,
            .event_time_ms = INT64_MAX, .settles_by_time = true, .cash = amount };
    for (unsigned i = 0; i < PL_LEGS_MAX; i++)
        record.legs[i] = (struct pl_record_leg){
            .instrument = id_of("i", i), .source = i % PL_RECORD_SOURCES_MAX, .quantity = amount,
            .cost = amount, .has_lots = true, .lot_decimals = 12, .lots = INT64_MIN,
            .settled_lots = INT64_MIN, .credited_lots = INT64_MAX };
    for (unsigned i = 0; i < PL_RECORD_TAIL_MAX; i++)
        record.tail[i] = (struct pl_record_tail){
            .source = i / 16, .instrument = record.legs[i / 16].instrument,
            .sequence = UINT64_MAX - 16 + i % 16, .block_height = UINT64_MAX, .quantity = amount,
            .cost = amount, .mended_gap = true };
    for (unsigned i = 0; i < PL_APPLIED_MAX; i++) {
        record.applied[i].order_id[0] = (uint8_t)i;
        record.applied[i].cumulative = (struct pl_amount){ -amount.mantissa, PL_EXPONENT_MIN };
    }
    struct pl_wire *wire = test_wire();
    assert_int_equal(pl_wire_record_encode(wire, &record, &value), PL_OK);
    const struct pl_bytes_view key = { (const uint8_t *)record.account.text, PL_ID_BYTES_MAX };
    if (pl_wire_record_decode(wire, key, value, &wire->record))
        fail_msg("%s", pl_err_text());
    assert_int_equal(wire->record.tail_count, PL_RECORD_TAIL_MAX);
    assert_memory_equal(&wire->record.tail[17], &record.tail[17], sizeof(record.tail[17]));
    assert_int_equal(pl_wire_record_encode(wire, &wire->record, &again), PL_OK);
    assert_int_equal(again.size_bytes, value.size_bytes);
    assert_memory_equal(again.data, value.data, value.size_bytes);
}

static void the_tail_is_bounded(void **state)
{
    json_t *json = test_json(test_records[TEST_RECORD_HOLDINGS].json);
    json_t *tail = json_object_get(json_array_get(json_object_get(json, "legs"), 1), "unfinalised");
    (void)state;
    for (unsigned i = 0; i < PL_RECORD_TAIL_MAX; i++)
        json_array_append(tail, json_array_get(tail, 0));
    assert_int_equal(test_decoder(TEST_RECORD_HOLDINGS)(test_key("alice"),
                                                        test_encode(PL_TOPIC_HOLDINGS, json)),
                     PL_REJECT_SIZE);
    assert_non_null(
        strstr(pl_err_text(), "field legs[1].unfinalised[255].sequence: more than 256"));
}

static void a_watermark_goes_there_and_back(void **state)
{
    struct pl_watermark watermark;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_WATERMARK), value;
    static const char *const required[] = { "watermark.positions_offset", "watermark.time_ms" };
    static const struct test_reject rejects[] = {
        { "account", "'alice'", PL_REJECT_CONFLICT, "a watermark and nothing else" },
        { "legs", "[{}]", PL_REJECT_CONFLICT, "a watermark and nothing else" },
        { "sources", "[{}]", PL_REJECT_CONFLICT, "a watermark and nothing else" },
        { "applied", "[{}]", PL_REJECT_CONFLICT, "a watermark and nothing else" },
        { "watermark", "null", PL_REJECT_MISSING, "field watermark is missing" },
        { "watermark.time_ms", "-1", PL_REJECT_RANGE, "field watermark.time_ms" },
    };
    (void)state;
    assert_int_equal(pl_wire_watermark_decode(test_wire(), bytes, &watermark), PL_OK);
    assert_int_equal(watermark.positions_offset, 1300);
    assert_int_equal(watermark.time_ms, 1621432800003);
    assert_int_equal(pl_wire_watermark_encode(test_wire(), &watermark, &value), PL_OK);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
    test_required(TEST_RECORD_WATERMARK, required, TEST_COUNT(required));
    test_rejects(TEST_RECORD_WATERMARK, rejects, TEST_COUNT(rejects));
    assert_true(pl_wire_is_watermark(test_key("~watermark")));
    assert_false(pl_wire_is_watermark(test_key("~watermarks")));
    assert_false(pl_wire_is_watermark(test_key("~watermar")));
    assert_false(pl_wire_is_watermark((struct pl_bytes_view){ NULL, 10 }));
}

static void a_key_alone_names_an_account(void **state)
{
    struct pl_id account;
    (void)state;
    assert_int_equal(pl_wire_key_account(test_key("alice"), &account), PL_OK);
    assert_string_equal(account.text, "alice");
    assert_int_equal(pl_wire_key_account(test_key("~alice"), &account), PL_REJECT_KEY);
    assert_true(pl_id_is_none(&account));
    assert_int_equal(pl_wire_key_account(test_key("al ice"), &account), PL_REJECT_RANGE);
    assert_int_equal(pl_wire_key_account((struct pl_bytes_view){ NULL, 0 }, &account),
                     PL_REJECT_KEY);
}

/* What the liquidation service takes: derived by lib/position, with a digest of key and value. */
static void holdings_carry_a_digest_of_key_and_value(void **state)
{
    static struct pl_holdings holdings, other;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_HOLDINGS);
    (void)state;
    enum pl_err err = pl_wire_holdings_decode(test_wire(), test_names(), test_key("alice"), bytes,
                                              &holdings);
    if (err)
        fail_msg("%s", pl_err_text());
    assert_string_equal(holdings.account.text, "alice");
    assert_int_equal(holdings.version, 7);
    assert_int_equal(holdings.leg_count, 3);
    assert_true(holdings.has_gap);
    /* XXH3-128 of the value with XXH3-64 of the key as its seed, computed elsewhere. */
    assert_true(holdings.digest.high == UINT64_C(0x45cebf716e7cec0a));
    assert_true(holdings.digest.low == UINT64_C(0x9fb42f42b44b091d));
    json_t *changed = test_changed(TEST_RECORD_HOLDINGS, "version", "8");
    assert_int_equal(pl_wire_holdings_decode(test_wire(), test_names(), test_key("alice"),
                                             test_encode(PL_TOPIC_HOLDINGS, changed), &other),
                     PL_OK);
    assert_false(pl_digest_equal(holdings.digest, other.digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_goes_there_and_back),
        cmocka_unit_test(a_taint_goes_there_and_back),
        cmocka_unit_test(the_tail_is_put_in_order),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(a_key_alone_names_an_account),
        cmocka_unit_test(the_same_pair_twice_is_refused),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(the_tail_is_bounded),
        cmocka_unit_test(a_watermark_goes_there_and_back),
        cmocka_unit_test(holdings_carry_a_digest_of_key_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
