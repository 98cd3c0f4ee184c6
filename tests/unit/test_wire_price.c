/* SPDX-License-Identifier: Apache-2.0 */
/* Prices and marks: the golden record's values, each reject, and the way there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static void a_price_says_what_it_says(void **state)
{
    struct pl_price price;
    (void)state;
    assert_int_equal(pl_wire_price_decode(test_wire(), test_key("ETH"),
                                          test_bytes_of(TEST_RECORD_PRICES), &price), PL_OK);
    assert_string_equal(price.instrument.text, "ETH");
    assert_string_equal(price.source.text, "kraken");
    assert_int_equal(price.mantissa, 251234);
    assert_int_equal(price.exponent, -2);
    assert_true(price.has_confidence && price.has_book);
    assert_int_equal(price.confidence_mantissa, 50);
    assert_int_equal(price.confidence_exponent, -2);
    assert_int_equal(price.bid_mantissa, 251200);
    assert_int_equal(price.bid_exponent, -2);
    assert_int_equal(price.ask_mantissa, 251300);
    assert_int_equal(price.ask_exponent, -2);
    assert_int_equal(price.event_time_ms, 1621432800000);
    assert_int_equal(price.source_sequence, 77);
}

static void a_price_may_be_bare(void **state)
{
    struct pl_price price;
    struct pl_bytes_view value = test_encode(PL_TOPIC_PRICES, test_json(
        "{'instrument':'ETH','source':'s','price':{'mantissa':-3,'exponent':38},"
        "'eventTimeMs':0,'sourceSequence':'18446744073709551615'}"));
    (void)state;
    assert_int_equal(pl_wire_price_decode(test_wire(), test_key("ETH"), value, &price), PL_OK);
    assert_false(price.has_confidence || price.has_book);
    assert_int_equal(price.mantissa, -3); /* lib/price drops it and says why */
    assert_int_equal(price.exponent, 38);
    assert_true(price.source_sequence == UINT64_MAX);
}

static void doubt_may_be_nothing(void **state)
{
    json_t *json = test_changed(TEST_RECORD_PRICES, "confidence.mantissa", "0");
    (void)state;
    assert_int_equal(test_decoder(TEST_RECORD_PRICES)(test_key("ETH"),
                                                      test_encode(PL_TOPIC_PRICES, json)), PL_OK);
}

static void bad_prices_are_refused(void **state)
{
    static const char *const required[] = { "instrument", "source", "price", "price.mantissa",
                                            "price.exponent", "bid", "ask", "confidence.mantissa",
                                            "event_time_ms", "source_sequence" };
    static const char *const optional[] = { "confidence", "depth" };
    static const struct test_reject rejects[] = {
        { "instrument", "''", PL_REJECT_KEY, "field instrument: id is empty" },
        { "instrument", "'E TH'", PL_REJECT_RANGE, "field instrument: id has byte 0x20 at 1" },
        { "source", "'\\u00e9'", PL_REJECT_RANGE, "field source: id has byte 0xc3 at 0" },
        { "source", "'0123456789012345678901234567890123456789012345678901234567890123x'",
          PL_REJECT_KEY, "field source: id has 65 bytes" },
        { "price.exponent", "39", PL_REJECT_RANGE, "field price.exponent: 39 is outside -38..38" },
        { "price.exponent", "-39", PL_REJECT_RANGE, "field price.exponent: -39" },
        { "confidence.mantissa", "-1", PL_REJECT_RANGE, "field confidence: negative" },
        { "bid.exponent", "100", PL_REJECT_RANGE, "field bid.exponent" },
        { "ask.exponent", "100", PL_REJECT_RANGE, "field ask.exponent" },
        { "event_time_ms", "-1", PL_REJECT_RANGE, "field event_time_ms: -1 is outside 0.." },
        { "source_sequence", "0", PL_REJECT_RANGE, "0 is outside 1..18446744073709551615" },
    };
    (void)state;
    test_required(TEST_RECORD_PRICES, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_PRICES, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_PRICES, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_PRICES);
}

static void a_mark_goes_there_and_back(void **state)
{
    struct pl_mark mark;
    uint32_t index = 77, again = 77;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_MARKS), value;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    (void)state;
    assert_int_equal(pl_wire_mark_decode(wire, names, test_key("ETH"), bytes, &index, &mark),
                     PL_OK);
    assert_int_equal(index, 0);
    assert_string_equal(names->ids[0].text, "ETH");
    assert_int_equal(mark.status, PL_MARK_LIVE);
    assert_int_equal(mark.source_offset, 9001);
    assert_int_equal(mark.source_partition, 3);
    assert_int_equal(mark.tick, 12);
    assert_int_equal(mark.mantissa, 251234);
    assert_int_equal(mark.low_mantissa, 251100);
    assert_int_equal(mark.high_mantissa, 251400);
    assert_int_equal(mark.exponent, -2);
    assert_int_equal(mark.event_time_ms, 1621432800000);
    assert_int_equal(mark.source_count, 3);
    assert_int_equal(mark.volatility_fast_ppm, 91000);
    assert_int_equal(mark.volatility_slow_ppm, 64000);
    assert_int_equal(pl_wire_mark_encode(wire, &names->ids[0], &mark, &value), PL_OK);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
    /* The same name is the same number. */
    assert_int_equal(pl_wire_mark_decode(wire, names, test_key("ETH"), value, &again, &mark),
                     PL_OK);
    assert_int_equal(again, 0);
    assert_int_equal(names->count, 1);
}

static void bad_marks_are_refused(void **state)
{
    static const char *const required[] = {
        "instrument", "source_offset", "source_partition", "tick", "status", "price", "low", "high",
        "price.mantissa", "low.exponent", "event_time_ms", "source_count" };
    static const char *const optional[] = { "volatility_fast_ppm", "volatility_slow_ppm" };
    static const struct test_reject rejects[] = {
        { "status", "'STATUS_UNSPECIFIED'", PL_REJECT_UNKNOWN,
          "field status: 0 is no value of it; write one of STATUS_LIVE, STATUS_STALE, "
          "STATUS_HALTED" },
        { "source_offset", "'9223372036854775808'", PL_REJECT_RANGE, "field source_offset" },
        { "source_partition", "-1", PL_REJECT_RANGE, "field source_partition: -1" },
        { "low.mantissa", "0", PL_REJECT_RANGE, "field low: not above zero" },
        { "low.mantissa", "251235", PL_REJECT_RANGE, "field price: not between low and high" },
        { "high.mantissa", "251233", PL_REJECT_RANGE, "field price: not between low and high" },
        { "high.exponent", "-3", PL_REJECT_RANGE, "field high: exponent -3 is not the price's" },
        { "event_time_ms", "-5", PL_REJECT_RANGE, "field event_time_ms" },
    };
    (void)state;
    test_required(TEST_RECORD_MARKS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_MARKS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_MARKS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_MARKS);
}

/* An enum value of a newer schema is not guessed at. */
static void an_undeclared_status_is_refused(void **state)
{
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_MARKS);
    uint8_t changed[128];
    (void)state;
    memcpy(changed, bytes.data, bytes.size_bytes);
    uint8_t *status = memmem(changed, bytes.size_bytes, "\x28\x01", 2); /* field 5 = 1 */
    assert_non_null(status);
    status[1] = 9;
    struct pl_bytes_view value = { changed, bytes.size_bytes };
    assert_int_equal(test_decoder(TEST_RECORD_MARKS)(test_key("ETH"), value), PL_REJECT_UNKNOWN);
    assert_non_null(strstr(pl_err_text(), "9 is no value"));
}

/* Four layers of three nodes; `down` is the last. */
#define GRID(bits, cell, down)                                                                    \
    "{'bits':" bits ",'first_cell':" cell ",'mark':{'low':['1','2','3'],'high':['1','2','4']},"      \
    "'up':{'low':['5','6','7'],'high':['8','9','4611686018427387903']},"                           \
    "'mid':{'low':['0','0','0'],'high':['0','0','0']},'down':{" down "}}"
#define DOWN(low, high) "'low':[" low "],'high':[" high "]"
#define GOOD DOWN("'10','11','12'", "'10','11','13'")

static struct pl_bytes_view mark_with(const char *grid)
{
    json_t *mark = test_changed(TEST_RECORD_MARKS, "status", "'STATUS_LIVE'");
    json_object_set_new(mark, "grid", test_json(grid));
    return test_encode(PL_TOPIC_MARKS, mark);
}

static void an_option_has_a_grid(void **state)
{
    (void)state;
    struct pl_mark mark, again;
    uint32_t index = 0;
    struct pl_bytes_view value = mark_with(GRID("6", "1000", GOOD));
    assert_int_equal(pl_wire_mark_decode(test_wire(), test_names(), test_key("ETH"), value, &index,
                                         &mark), PL_OK);
    static struct pl_option_grid grid;
    assert_non_null(mark.grid);
    grid = *mark.grid;
    assert_int_equal(grid.grid.bits, 6);
    assert_int_equal(grid.grid.first_cell, 1000);
    assert_int_equal(grid.grid.node_count, 3);
    assert_int_equal(grid.high[PL_LAYER_MARK][2], 4);
    assert_int_equal(grid.high[PL_LAYER_UP][2], INT64_C(4611686018427387903));
    assert_int_equal(grid.low[PL_LAYER_DOWN][1], 11);
    json_t *json = NULL;
    assert_int_equal(pl_json_decode(PL_TOPIC_MARKS, value, &json), PL_OK);
    const json_t *down = json_object_get(json_object_get(json_object_get(json, "grid"), "down"),
                                         "high");
    assert_string_equal(json_string_value(json_array_get(down, 2)), "13");
    json_decref(json);
    mark.grid = &grid;
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, "ETH", 3), PL_OK);
    assert_int_equal(pl_wire_mark_encode(test_wire(), &id, &mark, &value), PL_OK);
    assert_int_equal(pl_wire_mark_decode(test_wire(), test_names(), test_key("ETH"), value, &index,
                                         &again), PL_OK);
    assert_memory_equal(again.grid->low[PL_LAYER_UP], grid.low[PL_LAYER_UP], 3 * sizeof(int64_t));
    assert_memory_equal(again.grid->high[PL_LAYER_DOWN], grid.high[PL_LAYER_DOWN],
                        3 * sizeof(int64_t));
}

static void bad_grids_are_refused(void **state)
{
    static const struct test_reject rejects[] = {
        { "grid", GRID("0", "1000", GOOD), PL_REJECT_RANGE, "field grid.bits" },
        { "grid", GRID("9", "9000", GOOD), PL_REJECT_RANGE, "field grid.bits" },
        { "grid", GRID("6", "383", GOOD), PL_REJECT_RANGE, "field grid.first_cell" },
        { "grid", GRID("6", "3501", GOOD), PL_REJECT_RANGE, "field grid.first_cell" },
        { "grid", GRID("6", "1000", DOWN("'1','2'", "'1','2'")), PL_REJECT_SIZE, "grid.down.low" },
        { "grid", GRID("6", "1000", DOWN("'1','2','3'", "'1','2','2'")), PL_REJECT_RANGE,
          "V4 node 2" },
        { "grid", GRID("6", "1000", DOWN("'-1','2','3'", "'1','2','3'")), PL_REJECT_RANGE,
          "V4 node 0" },
        { "grid", GRID("6", "1000", DOWN("'1','2','3'", "'1','4611686018427387904','3'")),
          PL_REJECT_RANGE, "V4 node 1" },
        { "grid", "{'bits':6,'first_cell':1000,'mark':{'low':['1','2'],'high':['1','2']}}",
          PL_REJECT_SIZE, "fewer than 3 nodes" },
        { "grid", "{'bits':6,'first_cell':1000}", PL_REJECT_MISSING, "grid.mark" },
    };
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(rejects); i++) {
        assert_int_equal(test_decoder(TEST_RECORD_MARKS)(test_key("ETH"),
                                                         mark_with(rejects[i].value)),
                         rejects[i].err);
        assert_non_null(strstr(pl_err_text(), rejects[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_has_a_grid),
        cmocka_unit_test(bad_grids_are_refused),
        cmocka_unit_test(a_price_says_what_it_says),
        cmocka_unit_test(a_price_may_be_bare),
        cmocka_unit_test(doubt_may_be_nothing),
        cmocka_unit_test(bad_prices_are_refused),
        cmocka_unit_test(a_mark_goes_there_and_back),
        cmocka_unit_test(bad_marks_are_refused),
        cmocka_unit_test(an_undeclared_status_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
