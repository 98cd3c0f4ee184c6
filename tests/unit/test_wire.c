/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for every topic: bytes of another implementation are read and written back as they
 * are, damaged ones are refused, memory is bounded, and the schemas keep the rules that this rests
 * on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire/fields.h"
#include "tests/support/wire.h"

static bool has_decoder(enum test_record_kind kind)
{
    return test_decoder(kind) != NULL;
}

static enum pl_err decode(enum test_record_kind kind, struct pl_bytes_view value)
{
    return test_decoder(kind)(test_key(test_records[kind].key), value);
}

static struct pl_bytes_view joined(struct pl_bytes_view a, struct pl_bytes_view b)
{
    static uint8_t bytes[1 << 16];
    memcpy(bytes, a.data, a.size_bytes);
    memcpy(bytes + a.size_bytes, b.data, b.size_bytes);
    return (struct pl_bytes_view){ bytes, a.size_bytes + b.size_bytes };
}

static void foreign_bytes_are_read_and_written_alike(void **state)
{
    (void)state;
    for (enum test_record_kind kind = 0; kind < TEST_RECORD_COUNT; kind++) {
        const struct test_record *record = &test_records[kind];
        struct pl_bytes_view bytes = test_bytes_of(kind);
        json_t *expected = test_json(record->json), *json = NULL;
        assert_int_equal(pl_json_decode(record->topic, bytes, &json), PL_OK);
        assert_true(json_equal(json, expected));
        json_decref(json);
        struct pl_bytes_view written = test_encode(record->topic, expected);
        assert_int_equal(written.size_bytes, bytes.size_bytes);
        assert_memory_equal(written.data, bytes.data, bytes.size_bytes);
        if (has_decoder(kind) && decode(kind, bytes) != PL_OK)
            fail_msg("%s: %s", pl_topic_word(record->topic), pl_err_text());
    }
}

static void every_prefix_is_refused_or_complete(void **state)
{
    (void)state;
    for (enum test_record_kind kind = 0; kind < TEST_RECORD_COUNT; kind++) {
        struct pl_bytes_view bytes = test_bytes_of(kind);
        for (size_t size = 0; has_decoder(kind) && size < bytes.size_bytes; size++) {
            uint8_t *exact = malloc(size + 1); /* so that reading on is seen */
            memcpy(exact, bytes.data, size);
            enum pl_err err = decode(kind, (struct pl_bytes_view){ exact, size });
            assert_true(err == PL_OK || pl_err_action(err) == PL_ACTION_REJECT);
            free(exact);
        }
        assert_true(!has_decoder(kind) ||
                    decode(kind, (struct pl_bytes_view){ bytes.data, 0 }) != PL_OK);
    }
}

static void a_field_given_twice_is_refused(void **state)
{
    (void)state;
    for (enum test_record_kind kind = 0; kind < TEST_RECORD_COUNT; kind++) {
        struct pl_bytes_view bytes = test_bytes_of(kind);
        /* Two of each field is what two records in a row are. */
        if (has_decoder(kind) && kind != TEST_RECORD_WATERMARK)
            assert_int_equal(decode(kind, joined(bytes, bytes)), PL_REJECT_MALFORMED);
    }
    /* A message in two pieces is put together by readers: { positions_offset } + { time_ms }. */
    struct pl_bytes_view pieces = test_hex("4203" "08940a" "4202" "1001");
    assert_int_equal(decode(TEST_RECORD_WATERMARK, pieces), PL_REJECT_MALFORMED);
    assert_int_equal(decode(TEST_RECORD_WATERMARK, test_hex("4205" "08940a" "1001")), PL_OK);
}

static void two_readings_of_one_text_or_number_are_refused(void **state)
{
    static const char *const values[] = {
        "4206" "08948a00" "1001",   /* 1300 with padding   */
        "4207" "08948a8000" "1001", /* with more of it     */
        "c20005" "08940a" "1001",   /* padding in the tag  */
        "428500" "08940a" "1001",   /* ... in the length   */
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(values); i++)
        assert_int_equal(decode(TEST_RECORD_WATERMARK, test_hex(values[i])), PL_REJECT_MALFORMED);
    /* "ethereum" with a NUL in it: a C string ends there. */
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_CHAINS);
    uint8_t cut[256];
    memcpy(cut, bytes.data, bytes.size_bytes);
    cut[6] = '\0';
    assert_int_equal(decode(TEST_RECORD_CHAINS, (struct pl_bytes_view){ cut, bytes.size_bytes }),
                     PL_REJECT_MALFORMED);
}

static void unknown_fields_pass(void **state)
{
    static uint8_t before[12 << 20];
    (void)state;
    for (enum test_record_kind kind = 0; kind < TEST_RECORD_COUNT; kind++) {
        if (!has_decoder(kind))
            continue;
        size_t size_bytes = 0;
        assert_int_equal(decode(kind, test_bytes_of(kind)), PL_OK);
        const void *result = test_result(kind, &size_bytes);
        assert_true(size_bytes <= sizeof(before));
        memcpy(before, result, size_bytes);
        /* Field 1000 as a varint, 1001 as bytes. */
        struct pl_bytes_view newer = joined(test_bytes_of(kind), test_hex("c03e05" "ca3e026162"));
        assert_int_equal(decode(kind, newer), PL_OK);
        assert_memory_equal(before, test_result(kind, &size_bytes), size_bytes);
    }
}

static void sizes_are_checked_before_anything_else(void **state)
{
    (void)state;
    for (enum test_record_kind kind = 0; kind < TEST_RECORD_COUNT; kind++) {
        size_t max = pl_topic_value_bytes_max(test_records[kind].topic);
        if (!has_decoder(kind))
            continue;
        uint8_t *zeroes = calloc(1, max + 1);
        assert_int_equal(decode(kind, (struct pl_bytes_view){ zeroes, max + 1 }), PL_REJECT_SIZE);
        assert_int_equal(decode(kind, (struct pl_bytes_view){ zeroes, max }), PL_REJECT_MALFORMED);
        assert_int_equal(decode(kind, (struct pl_bytes_view){ NULL, 0 }), PL_REJECT_MALFORMED);
        free(zeroes);
    }
}

/* T23: a value full of empty legs takes fifty times its size; it is refused in bounded memory. */
static void amplification_is_refused(void **state)
{
    static uint8_t legs[64 * 1024];
    static _Alignas(16) uint8_t block[2 * 8 * 64 * 1024];
    static struct pl_position_event event;
    static struct pl_wire wire;
    (void)state;
    for (size_t i = 0; i + 2 <= sizeof(legs); i += 2)
        legs[i] = 0x4a; /* field 9, length 0 */
    pl_wire_init(&wire, block, sizeof(block));
    struct pl_bytes_view value = { legs, sizeof(legs) };
    assert_int_equal(pl_wire_position_decode(&wire, test_key("alice"), value, &event),
                     PL_REJECT_SIZE);
    assert_non_null(strstr(pl_err_text(), "8 times"));
    assert_true(wire.decode.used_bytes_max <= 8 * 64 * 1024);
    /* The same by the cap alone, with all memory of the world. */
    assert_int_equal(decode(TEST_RECORD_POSITIONS, value), PL_REJECT_SIZE);
}

/* Depth of a schema, counting messages; fails on a cycle, on floats, and on int32, whose negative
 * values have two encodings of different size (pl_wire_unpack relies on there being none). */
static unsigned depth_of(const ProtobufCMessageDescriptor *descriptor, unsigned above)
{
    unsigned deepest = 0;
    if (above > 8)
        fail_msg("%s is recursive", descriptor->name);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_DOUBLE || field->type == PROTOBUF_C_TYPE_FLOAT ||
            field->type == PROTOBUF_C_TYPE_INT32)
            fail_msg("%s.%s has a type that the schemas do without", descriptor->name, field->name);
        if (field->label == PROTOBUF_C_LABEL_REQUIRED || field->default_value)
            fail_msg("%s.%s is required or has a default", descriptor->name, field->name);
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            unsigned depth = depth_of(field->descriptor, above + 1);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest + 1;
}

static void schemas_are_flat_and_exact(void **state)
{
    (void)state;
    for (enum pl_topic topic = 0; topic < PL_TOPIC_COUNT; topic++) {
        const ProtobufCMessageDescriptor *descriptor = pl_wire_descriptor(topic);
        assert_true((descriptor == NULL) == (topic == PL_TOPIC_DEADLETTER));
        if (descriptor)
            assert_in_range(depth_of(descriptor, 0), 1, 5);
    }
}

static void a_full_encoder_says_so(void **state)
{
    static _Alignas(16) uint8_t block[64];
    static struct pl_wire wire;
    struct pl_bytes_view value;
    (void)state;
    pl_wire_init(&wire, block, sizeof(block));
    const struct pl_watermark watermark = { .positions_offset = 5, .time_ms = 6 };
    enum pl_err err = PL_OK;
    unsigned count = 0;
    for (; !err && count < 100; count++)
        err = pl_wire_watermark_encode(&wire, &watermark, &value);
    assert_int_equal(err, PL_REJECT_CAPACITY);
    assert_int_equal(count, 32 / 6 + 1);
    pl_wire_reset(&wire);
    assert_int_equal(pl_wire_watermark_encode(&wire, &watermark, &value), PL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_bytes_are_read_and_written_alike),
        cmocka_unit_test(every_prefix_is_refused_or_complete),
        cmocka_unit_test(a_field_given_twice_is_refused),
        cmocka_unit_test(two_readings_of_one_text_or_number_are_refused),
        cmocka_unit_test(unknown_fields_pass),
        cmocka_unit_test(sizes_are_checked_before_anything_else),
        cmocka_unit_test(amplification_is_refused),
        cmocka_unit_test(schemas_are_flat_and_exact),
        cmocka_unit_test(a_full_encoder_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
