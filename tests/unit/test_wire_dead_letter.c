/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a dead letter: Kafka Connect's, Spring's and ours, byte for byte, and the origin's. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

enum { HEADERS_MAX = 8 + PL_DEAD_LETTER_HEADERS_MAX };

static const struct pl_dead_letter letter = {
    .topic = PL_TOPIC_POSITIONS, .topic_name = "plimsoll.positions.v1", .partition = 258,
    .offset = 4294967298, .timestamp_ms = 1621432800000, .err = PL_REJECT_RANGE,
    .text = "field sequence: 0 is outside 1..2", .service = "position", .slot = "position-1",
    .build = "0.1.0", .timestamp_type = "CreateTime" };

static const struct pl_header *find(const struct pl_header *headers, unsigned count,
                                    const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return &headers[i];
    return NULL;
}

static void the_facts_stand_in_both_dialects(void **state)
{
    static const struct { const char *name, *bytes; size_t size_bytes; } expected[] = {
        { "__connect.errors.topic", "plimsoll.positions.v1", 21 },
        { "__connect.errors.partition", "258", 3 },
        { "__connect.errors.offset", "4294967298", 10 },
        { "__connect.errors.connector.name", "position", 8 },
        { "__connect.errors.task.id", "position-1", 10 },
        { "__connect.errors.stage", "VALUE_CONVERTER", 15 },
        { "__connect.errors.class.name", "position", 8 },
        { "__connect.errors.exception.class.name", "REJECT_RANGE", 12 },
        { "__connect.errors.exception.message", "field sequence: 0 is outside 1..2", 33 },
        { "kafka_dlt-original-topic", "plimsoll.positions.v1", 21 },
        { "kafka_dlt-original-partition", "\0\0\1\2", 4 },
        { "kafka_dlt-original-offset", "\0\0\0\1\0\0\0\2", 8 },
        { "kafka_dlt-original-timestamp", "\0\0\1\x79\x84\xed\x13\0", 8 },
        { "kafka_dlt-original-timestamp-type", "CreateTime", 10 },
        { "kafka_dlt-exception-fqcn", "REJECT_RANGE", 12 },
        { "kafka_dlt-exception-message", "field sequence: 0 is outside 1..2", 33 },
        { "plimsoll.error.code", "REJECT_RANGE", 12 },
        { "plimsoll.code.version", "0.1.0", 5 },
    };
    struct pl_header headers[HEADERS_MAX];
    unsigned count = 0;
    (void)state;
    assert_int_equal(pl_wire_dead_letter_headers(test_wire(), &letter, NULL, 0, headers, &count),
                     PL_OK);
    assert_int_equal(count, TEST_COUNT(expected));
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(headers[i].name, expected[i].name);
        assert_int_equal(headers[i].value.size_bytes, expected[i].size_bytes);
        assert_memory_equal(headers[i].value.data, expected[i].bytes, expected[i].size_bytes);
    }
}

/* The origin's headers come first and untouched; those of an earlier refusal give way. */
static void the_origin_keeps_its_headers(void **state)
{
    const struct pl_header origin[] = {
        { "traceparent", { (const uint8_t *)"00-abc", 6 } },
        { "kafka_dlt-original-offset", { (const uint8_t *)"old", 3 } },
        { "null", { NULL, 0 } },
        { "__connect.errors.topic", { (const uint8_t *)"old", 3 } },
        { "plimsoll.error.code", { (const uint8_t *)"old", 3 } },
    };
    struct pl_header headers[TEST_COUNT(origin) + PL_DEAD_LETTER_HEADERS_MAX];
    unsigned count = 0;
    (void)state;
    assert_int_equal(pl_wire_dead_letter_headers(test_wire(), &letter, origin, TEST_COUNT(origin),
                                                 headers, &count), PL_OK);
    assert_int_equal(count, 2 + 18);
    /* Last: a reader that keeps only so many headers must see what was wrong with which record. */
    assert_memory_equal(&headers[count - 2], &origin[0], sizeof(origin[0]));
    assert_memory_equal(&headers[count - 1], &origin[2], sizeof(origin[2]));
    assert_int_equal(find(headers, count, "kafka_dlt-original-offset")->value.size_bytes, 8);
}

static void what_is_not_known_has_no_header(void **state)
{
    static const struct { enum pl_err err; const char *stage; } stages[] = {
        { PL_REJECT_KEY, "KEY_CONVERTER" },         { PL_REJECT_PARTITION, "KEY_CONVERTER" },
        { PL_REJECT_MALFORMED, "VALUE_CONVERTER" }, { PL_REJECT_MISSING, "VALUE_CONVERTER" },
        { PL_REJECT_SIZE, "VALUE_CONVERTER" },      { PL_REJECT_STALE, "TASK_PUT" },
        { PL_REJECT_CAPACITY, "TASK_PUT" },
    };
    struct pl_dead_letter bare = letter;
    struct pl_header headers[HEADERS_MAX];
    unsigned count = 0;
    (void)state;
    bare.slot = bare.build = bare.timestamp_type = NULL;
    bare.partition = -1;
    assert_int_equal(pl_wire_dead_letter_headers(test_wire(), &bare, NULL, 0, headers, &count),
                     PL_OK);
    assert_int_equal(count, 15);
    assert_null(find(headers, count, "kafka_dlt-original-timestamp-type"));
    const struct pl_header *partition = find(headers, count, "kafka_dlt-original-partition");
    assert_memory_equal(partition->value.data, "\xff\xff\xff\xff", 4);
    for (unsigned i = 0; i < TEST_COUNT(stages); i++) {
        bare.err = stages[i].err;
        assert_int_equal(pl_wire_dead_letter_headers(test_wire(), &bare, NULL, 0, headers, &count),
                         PL_OK);
        const struct pl_header *stage = find(headers, count, "__connect.errors.stage");
        assert_memory_equal(stage->value.data, stages[i].stage, strlen(stages[i].stage));
    }
}

/* The text at hand is usually the last error's, which the next one overwrites. */
static void the_text_outlives_the_error(void **state)
{
    struct pl_dead_letter said = letter;
    struct pl_header headers[HEADERS_MAX];
    unsigned count = 0;
    (void)state;
    said.err = pl_err_set(PL_REJECT_RANGE, "first");
    said.text = pl_err_text();
    assert_int_equal(pl_wire_dead_letter_headers(test_wire(), &said, NULL, 0, headers, &count),
                     PL_OK);
    (void)pl_err_set(PL_REJECT_RANGE, "other");
    assert_memory_equal(find(headers, count, "kafka_dlt-exception-message")->value.data, "first",
                        5);
    assert_memory_equal(find(headers, count, "__connect.errors.exception.message")->value.data,
                        "first", 5);
}

static void full_memory_is_said(void **state)
{
    static _Alignas(16) uint8_t block[32];
    static struct pl_wire wire;
    struct pl_header headers[HEADERS_MAX];
    unsigned count = 0;
    (void)state;
    pl_wire_init(&wire, block, sizeof(block));
    assert_int_equal(pl_wire_dead_letter_headers(&wire, &letter, NULL, 0, headers, &count),
                     PL_REJECT_CAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_stand_in_both_dialects),
        cmocka_unit_test(the_origin_keeps_its_headers),
        cmocka_unit_test(what_is_not_known_has_no_header),
        cmocka_unit_test(the_text_outlives_the_error),
        cmocka_unit_test(full_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
