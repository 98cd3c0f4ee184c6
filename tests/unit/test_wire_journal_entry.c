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
    assert_int_equal(entry.vector[0].first_offset, 1200);
    assert_int_equal(entry.vector[0].digest[31], 0x6f);
    assert_int_equal(entry.vector[1].topic, PL_TOPIC_MARKS);
    assert_int_equal(entry.vector[1].digest[0], 0x70);
    assert_int_equal(entry.parameter_epoch, 5);
    assert_int_equal(entry.control_epoch, 3);
    assert_int_equal(entry.output_count, 4);
    assert_int_equal(entry.marks_first_offset, 87000);
    assert_int_equal(entry.previous_hash[31], 31);
    assert_int_equal(entry.outputs_digest[0], 32);
    assert_true(entry.book_digest.high == UINT64_C(0x4041424344454647));
    assert_true(entry.book_digest.low == UINT64_C(0x48494a4b4c4d4e4f));
    assert_true(entry.settled_digest.high == UINT64_C(0x9091929394959697));
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
        "marks_first_offset", "settled_digest", "vector.0.first_offset", "vector.1.digest" };
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
        { "readiness", "'READINESS_UNSPECIFIED'", PL_REJECT_UNKNOWN, "READINESS_DIVERGED" },
        { "vector.1.topic", "'mark'", PL_REJECT_UNKNOWN, "field vector[1].topic: no topic has" },
        { "vector.1.offset", "-1", PL_REJECT_RANGE, "field vector[1].offset: -1" },
        { "vector.1.first_offset", "'88002'", PL_REJECT_RANGE,
          "field vector[1].first_offset: 88002" },
        { "vector.0.digest", "'AAAA'", PL_REJECT_RANGE,
          "field vector[0].digest: 3 bytes instead of 32" },
        { "vector",
          "+{'topic':'marks','partition':0,'offset':5,'first_offset':5,"
          "'digest':'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='}", PL_REJECT_CONFLICT,
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
    pl_outputs_digest_end(&digest, hash);
    assert_hash(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("alice"),
                                           test_key("abc"));
    pl_outputs_digest_add(&digest, PL_TOPIC_ACCOUNTS, test_key("alice"),
                                           test_key(""));
    pl_outputs_digest_add(&digest, PL_TOPIC_DEADLETTER,
                                           (struct pl_bytes_view){ NULL, 0 }, test_key("x"));
    assert_int_equal(digest.count, 3);
    pl_outputs_digest_end(&digest, hash);
    assert_null(digest.context);
    assert_hash(hash, expected);
    /* A byte that moves from a key to its value is another step. */
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("ab"), test_key("c"));
    pl_outputs_digest_end(&digest, hash);
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    pl_outputs_digest_add(&digest, PL_TOPIC_ORDERS, test_key("a"), test_key("bc"));
    pl_outputs_digest_end(&digest, other);
    assert_memory_not_equal(hash, other, PL_HASH_BYTES);
}

static void inputs_are_hashed_with_their_place(void **state)
{
    /* By Python's hashlib: see the schema's comment on Coordinate.digest. */
    static const char record[] = "40501e939c3ea641c14915a7db1f9f3f532d7567f1193883abdaf158005bbda5";
    static const char both[] = "5ee10642271337a1303f13b3c40923c00e16eae5dc7b5ef38d034c7dd222707e";
    struct pl_inputs_digest digest;
    uint8_t hash[PL_HASH_BYTES], other[PL_HASH_BYTES], read[PL_HASH_BYTES];
    (void)state;
    pl_wire_input_hash(258, test_key("alice"), (struct pl_bytes_view){ NULL, 0 }, hash);
    assert_hash(hash, record);
    pl_wire_input_hash(259, test_key("alice"), test_key("abc"), other);
    assert_int_equal(pl_inputs_digest_begin(&digest), PL_OK);
    pl_inputs_digest_read(&digest, read);
    assert_hash(read, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    pl_inputs_digest_add(&digest, hash);
    pl_inputs_digest_read(&digest, read); /* reading does not end it */
    pl_inputs_digest_add(&digest, other);
    pl_inputs_digest_read(&digest, read);
    assert_hash(read, both);
    pl_inputs_digest_reset(&digest);
    pl_inputs_digest_read(&digest, read);
    assert_hash(read, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    pl_inputs_digest_end(&digest);
}

static void the_journal_header_has_one_form(void **state)
{
    char text[PL_JOURNAL_TEXT_BYTES];
    static const char *const wrong[] = { "", "1", "1/", "/1", "1/0", "01/1", "1/01", "1/2x", "x1/2",
                                         "-1/2", "1/-2", "2147483648/1", "1/18446744073709551616" };
    int32_t partition = 0;
    uint64_t sequence = 0;
    struct pl_header header = pl_wire_journal_header(1023, UINT64_MAX, text);
    (void)state;
    assert_true(pl_wire_journal_of(&header, 1, &partition, &sequence));
    assert_int_equal(partition, 1023);
    assert_true(sequence == UINT64_MAX);
    for (unsigned i = 0; i < TEST_COUNT(wrong); i++) {
        header.value = test_key(wrong[i]);
        if (pl_wire_journal_of(&header, 1, &partition, &sequence))
            fail_msg("%s passed", wrong[i]);
    }
    assert_false(pl_wire_journal_of(NULL, 0, &partition, &sequence));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_goes_there_and_back),
        cmocka_unit_test(bad_entries_are_refused),
        cmocka_unit_test(the_vector_is_bounded),
        cmocka_unit_test(hashes_are_what_others_compute),
        cmocka_unit_test(outputs_are_hashed_with_their_borders),
        cmocka_unit_test(inputs_are_hashed_with_their_place),
        cmocka_unit_test(the_journal_header_has_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
