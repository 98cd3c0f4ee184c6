/* SPDX-License-Identifier: Apache-2.0 */
/* Journal entries there and back, each reject; hashes against values computed elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static void an_entry_goes_there_and_back(void **state)
{
    static struct pl_journal entry;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_JOURNAL), value;
    struct pl_wire *wire = test_wire();
    (void)state;
    assert_int_equal(pl_wire_journal_decode(wire, bytes, &entry), PL_OK);
    assert_int_equal(entry.partition, 2);
    assert_int_equal(entry.partition_count, 6);
    assert_int_equal(entry.sequence, 99);
    assert_int_equal(entry.kind, PL_JOURNAL_STEP);
    assert_int_equal(entry.readiness, PL_READINESS_DECIDING);
    assert_int_equal(entry.clock_ms, 1621432800000);
    assert_int_equal(entry.vector_count, 2);
    assert_int_equal(entry.vector[0].topic, PL_TOPIC_HOLDINGS);
    assert_int_equal(entry.vector[0].partition, 2);
    assert_int_equal(entry.vector[0].offset, 1235);
    assert_int_equal(entry.vector[1].topic, PL_TOPIC_MARKS);
    assert_int_equal(entry.parameter_epoch, 5);
    assert_int_equal(entry.control_epoch, 3);
    assert_int_equal(entry.output_count, 4);
    assert_int_equal(entry.marks_first_offset, 87000);
    assert_int_equal(entry.previous_hash[31], 31);
    assert_int_equal(entry.outputs_digest[0], 32);
    assert_true(entry.book_digest.high == UINT64_C(0x4041424344454647));
    assert_true(entry.book_digest.low == UINT64_C(0x48494a4b4c4d4e4f));
    assert_string_equal(entry.slot, "liquidation-0");
    assert_string_equal(entry.build, "0.1.0");
    assert_int_equal(pl_wire_journal_encode(wire, &entry, &value), PL_OK);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
}

static void bad_entries_are_refused(void **state)
{
    static const char *const required[] = {
        "partition", "sequence", "previous_hash", "kind", "clock_ms", "vector.0.topic",
        "vector.0.partition", "vector.1.offset", "parameter_epoch", "partition_count", "readiness",
        "output_count", "outputs_digest", "book_digest", "slot", "build", "control_epoch",
        "marks_first_offset" };
    static const char *const optional[] = { "vector" };
    static const struct test_reject rejects[] = {
        { "partition", "6", PL_REJECT_RANGE, "field partition: 6 is outside 0..5" },
        { "partition", "-1", PL_REJECT_RANGE, "field partition: -1" },
        { "partition_count", "0", PL_REJECT_RANGE, "field partition_count" },
        { "sequence", "0", PL_REJECT_RANGE, "field sequence: 0" },
        { "previous_hash", "'AAAA'", PL_REJECT_RANGE,
          "field previous_hash: 3 bytes instead of 32" },
        { "outputs_digest", "''", PL_REJECT_RANGE, "field outputs_digest: 0 bytes instead of 32" },
        { "book_digest", "'AAAA'", PL_REJECT_RANGE, "field book_digest: 3 bytes instead of 16" },
        { "kind", "'KIND_UNSPECIFIED'", PL_REJECT_UNKNOWN, "KIND_HEARTBEAT" },
        { "readiness", "'READINESS_UNSPECIFIED'", PL_REJECT_UNKNOWN, "READINESS_WAITING" },
        { "vector.1.topic", "'mark'", PL_REJECT_UNKNOWN, "field vector[1].topic: no topic has" },
        { "vector.1.offset", "-1", PL_REJECT_RANGE, "field vector[1].offset: -1" },
        { "vector", "+{'topic':'marks','partition':0,'offset':5}", PL_REJECT_CONFLICT,
          "field vector[2].topic: vector[1] is of the same partition" },
        { "slot", "'01234567890123456789012345678901234567890123456789012345678901234'",
          PL_REJECT_RANGE, "field slot: 65 bytes, 64 are allowed" },
    };
    (void)state;
    test_required(TEST_RECORD_JOURNAL, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_JOURNAL, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_JOURNAL, rejects, TEST_COUNT(rejects));
}

static void the_vector_is_bounded(void **state)
{
    json_t *json = test_json(test_records[TEST_RECORD_JOURNAL].json);
    json_t *vector = json_object_get(json, "vector");
    (void)state;
    for (int i = 2; i <= PL_VECTOR_MAX; i++)
        json_array_append_new(vector, json_pack("{s:s,s:i,s:i}", "topic", "prices", "partition", i,
                                                "offset", 1));
    assert_int_equal(test_decoder(TEST_RECORD_JOURNAL)(test_key("2"),
                                                       test_encode(PL_TOPIC_JOURNAL, json)),
                     PL_REJECT_SIZE);
}

static void assert_hash(const uint8_t hash[PL_HASH_BYTES], const char *hex)
{
    assert_memory_equal(hash, test_hex(hex).data, PL_HASH_BYTES);
}

static void hashes_are_what_others_compute(void **state)
{
    uint8_t hash[PL_HASH_BYTES];
    (void)state;
    pl_wire_hash(test_key("abc"), hash);
    assert_hash(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pl_wire_hash((struct pl_bytes_view){ NULL, 0 }, hash);
    assert_hash(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void outputs_are_hashed_with_their_borders(void **state)
{
    /* By Python's hashlib over length-prefixed topic words, keys and values. */
    static const char expected[] =
        "bf9ddf4a80b9c436e50c22b11c96b74f2f43156e1dc7e34a341ec5a94d338fa0";
    struct pl_outputs_digest digest;
    uint8_t hash[PL_HASH_BYTES], other[PL_HASH_BYTES];
    (void)state;
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    assert_int_equal(pl_outputs_digest_end(&digest, hash), PL_OK);
    assert_hash(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    assert_int_equal(pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("alice"),
                                           test_key("abc")), PL_OK);
    assert_int_equal(pl_outputs_digest_add(&digest, PL_TOPIC_ACCOUNTS, test_key("alice"),
                                           test_key("")), PL_OK);
    assert_int_equal(pl_outputs_digest_add(&digest, PL_TOPIC_DEADLETTER,
                                           (struct pl_bytes_view){ NULL, 0 }, test_key("x")),
                     PL_OK);
    assert_int_equal(digest.count, 3);
    assert_int_equal(pl_outputs_digest_end(&digest, hash), PL_OK);
    assert_null(digest.context);
    assert_hash(hash, expected);
    /* A byte that moves from a key to its value is another step. */
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    assert_int_equal(pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("ab"), test_key("c")),
                     PL_OK);
    assert_int_equal(pl_outputs_digest_end(&digest, hash), PL_OK);
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    assert_int_equal(pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("a"), test_key("bc")),
                     PL_OK);
    assert_int_equal(pl_outputs_digest_end(&digest, other), PL_OK);
    assert_memory_not_equal(hash, other, PL_HASH_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_goes_there_and_back),
        cmocka_unit_test(bad_entries_are_refused),
        cmocka_unit_test(the_vector_is_bounded),
        cmocka_unit_test(hashes_are_what_others_compute),
        cmocka_unit_test(outputs_are_hashed_with_their_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
