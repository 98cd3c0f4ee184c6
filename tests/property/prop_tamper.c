/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is done to a log, verify finds it and names the place: every bit of every key and value
 * and of the headers that tie records to entries is flipped, every record is removed, doubled and
 * swapped with the one after it. The log is what the services' own step code makes of a small
 * seeded venue: two partitions, workers that restart, orders and fills, halts, new parameters,
 * records that nobody can read. Nothing but hashes, sequences and signatures is there to find it: a
 * bundle in memory has no checksums.
 *
 * What may be changed unseen: timestamps, headers that say nothing of records, inputs that nothing
 * has read yet or that nobody ever will, and the order of dead letters of different journals.
 * Nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/damage.h"

/* Instrumented code is slow: there every 23rd bit is enough to find a wrong access. */
#if defined(__SANITIZE_ADDRESS__)
enum { BIT_STEP = 23, FLIPS_MIN = 5000 };
#else
enum { BIT_STEP = 1, FLIPS_MIN = 100000 };
#endif

static struct damage test;

static int set_up(void **state)
{
    (void)state;
    damage_open(&test);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    damage_close(&test);
    return 0;
}

/* The partition whose journal speaks of a stream; -1: any. */
static int32_t first_partition(const struct bundle_stream *stream)
{
    bool is_own = stream->topic != PL_TOPIC_MARKS && stream->topic != PL_TOPIC_CONTROL &&
                  stream->topic != PL_TOPIC_PARAMETERS && stream->topic != PL_TOPIC_CHAINS &&
                  stream->topic != PL_TOPIC_DEADLETTER;
    return is_own ? stream->partition : -1;
}

static void a_log_that_nobody_changed_is_clean(void **state)
{
    struct verify_options by_key = { .keys = { test.other_key, test.key }, .key_count = 2 };
    (void)state;
    damage_assert_none(test.bundle, &(struct verify_options){ 0 });
    damage_assert_none(test.bundle, &test.by_heads);
    damage_assert_none(test.bundle, &by_key);
    for (uint64_t seed = test.seed; seed < test.seed + 50; seed++) {
        struct audit_log log;
        damage_build(&log, seed, NULL);
        struct bundle *bundle = audit_log_bundle(&log);
        damage_assert_none(bundle, &(struct verify_options){ 0 });
        bundle_close(&bundle);
        audit_log_free(&log);
    }
}

/* Every record of the log in turn, as it lies in the bundle's memory. */
typedef void visit(const struct bundle_stream *stream, const struct pl_record *record,
                   const struct pl_record *next);

static void visit_all(visit *see)
{
    uint64_t passed = 0;
    for (unsigned i = 0; i < bundle_stream_count(test.bundle); i++) {
        struct bundle_cursor cursor = { .stream = bundle_stream_at(test.bundle, i) };
        struct pl_record record, next;
        bool found = false, has_next = false;
        assert_int_equal(bundle_next(&cursor, &record, &found), PL_OK);
        for (; found; record = next, found = has_next) {
            assert_int_equal(bundle_next(&cursor, &next, &has_next), PL_OK);
            if (!damage_is_covered(&test, &record))
                passed++;
            else
                see(cursor.stream, &record, has_next ? &next : NULL);
        }
    }
    printf("not accounted for: %llu records\n", (unsigned long long)passed);
}

/* ---- bits ----------------------------------------------------------------------------------- */

static uint64_t flips;

/* One bit of the log is another one, and verify must say where, and `what` if that is not NULL. */
static void check_bit(const struct bundle_stream *stream, const struct pl_record *record,
                      uint8_t *byte, unsigned bit, const char *what)
{
    struct verify_finding finding;
    *byte ^= (uint8_t)(1u << bit);
    bool is_found = damage_is_found(test.bundle, &test.by_heads, first_partition(stream), &finding);
    *byte ^= (uint8_t)(1u << bit);
    flips++;
    if (is_found && (!what || strcmp(finding.what, what) == 0) &&
        damage_is_named(&finding, stream->topic, stream->partition, record->offset, record->offset))
        return;
    if (is_found)
        damage_print(&finding);
    fail_msg("%s partition %d offset %lld: a flipped bit %u of 0x%02x is %s",
             pl_topic_word(stream->topic), (int)stream->partition, (long long)record->offset, bit,
             (unsigned)*byte, is_found ? "found somewhere else" : "not found");
}

static void check_bits(const struct bundle_stream *stream, const struct pl_record *record,
                       struct pl_bytes_view view, const char *what)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)view.data;
    for (size_t i = 0; i < 8 * view.size_bytes; i += BIT_STEP)
        check_bit(stream, record, bytes + i / 8, i % 8, what);
}

static void check_record_bits(const struct bundle_stream *stream, const struct pl_record *record,
                              const struct pl_record *next)
{
    (void)next;
    check_bits(stream, record, record->key, NULL);
    check_bits(stream, record, record->value, NULL);
}

static void every_bit_of_keys_and_values_counts(void **state)
{
    (void)state;
    flips = 0;
    visit_all(check_record_bits);
    printf("keys and values: %llu bits flipped\n", (unsigned long long)flips);
    assert_true(flips > FLIPS_MIN);
}

/* The header that ties an output to its entry, and those that tie a dead letter to its input. */
static bool is_binding(const char *name)
{
    return strcmp(name, PL_JOURNAL_HEADER) == 0 ||
           strcmp(name, "__connect.errors.partition") == 0 ||
           strcmp(name, "__connect.errors.offset") == 0;
}

static void check_header_bits(const struct bundle_stream *stream, const struct pl_record *record,
                              const struct pl_record *next)
{
    (void)next;
    for (unsigned i = 0; i < record->header_count; i++) {
        const struct pl_header *header = &record->headers[i];
        if (stream->topic < PL_TOPIC_ORDERS || !is_binding(header->name))
            continue;
        const struct pl_bytes_view name = { (const uint8_t *)header->name, strlen(header->name) };
        bool is_journal = strcmp(header->name, PL_JOURNAL_HEADER) == 0;
        check_bits(stream, record, header->value, NULL);
        check_bits(stream, record, name, is_journal ? "header" : "dead letter");
    }
}

static void every_bit_of_the_headers_that_bind_counts(void **state)
{
    (void)state;
    flips = 0;
    visit_all(check_header_bits);
    printf("headers: %llu bits flipped\n", (unsigned long long)flips);
    assert_true(flips > FLIPS_MIN / 100);
}

/* ---- records -------------------------------------------------------------------------------- */

enum change { REMOVED, DOUBLED, SWAPPED };
static const char *const change_names[] = { "removed", "doubled", "swapped with the next" };

/* The log with one record changed. What comes after a doubled one keeps its offset where there is
 * room, as after a transaction's marker; else all move up, as in a log that somebody has written
 * anew. */
static struct bundle *change_log(const struct bundle_stream *changed, int64_t at,
                                 enum change change)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, DAMAGE_PARTITIONS), PL_OK);
    for (unsigned i = 0; i < test.log.stream_count; i++) {
        const struct audit_stream *stream = &test.log.streams[i];
        bool is_it = stream->topic == changed->topic && stream->partition == changed->partition;
        int64_t moved = 0, last = -1;
        for (size_t j = 0; j < stream->count; j++) {
            struct pl_record record = stream->records[j];
            bool is_here = is_it && record.offset == at;
            if (is_here && change == REMOVED)
                continue;
            if (is_it && change == SWAPPED && (is_here || (j > 0 && last == at))) {
                record = stream->records[is_here ? j + 1 : j - 1];
                record.offset = stream->records[j].offset;
            }
            last = stream->records[j].offset;
            record.offset += moved;
            assert_int_equal(bundle_append(writer, &record), PL_OK);
            record.offset++;
            if (!is_here || change != DOUBLED)
                continue;
            assert_int_equal(bundle_append(writer, &record), PL_OK);
            moved = (j + 1 < stream->count ? stream->records[j + 1].offset : stream->end) <=
                    record.offset;
        }
        assert_int_equal(bundle_bound(writer, stream->topic, stream->partition, 0,
                                      stream->end + moved), PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}

static uint64_t changes;

static void check_change(const struct bundle_stream *stream, const struct pl_record *record,
                         const struct pl_record *next, enum change change)
{
    struct verify_finding finding;
    struct bundle *bundle = change_log(stream, record->offset, change);
    bool is_found = damage_is_found(bundle, &test.by_heads, first_partition(stream), &finding);
    bundle_close(&bundle);
    changes++;
    if (is_found && damage_is_named(&finding, stream->topic, stream->partition, record->offset,
                          next ? next->offset : stream->end))
        return;
    if (is_found)
        damage_print(&finding);
    fail_msg("%s partition %d offset %lld %s is %s", pl_topic_word(stream->topic),
             (int)stream->partition, (long long)record->offset, change_names[change],
             is_found ? "found somewhere else" : "not found");
}

static bool are_equal(const struct pl_record *a, const struct pl_record *b)
{
    bool is_equal = a->header_count == b->header_count && a->key.size_bytes == b->key.size_bytes &&
                    a->value.size_bytes == b->value.size_bytes;
    return is_equal && memcmp(a->key.data, b->key.data, a->key.size_bytes) == 0 &&
           memcmp(a->value.data, b->value.data, a->value.size_bytes) == 0;
}

/* Dead letters of two journals stand in one partition of their topic in whatever order those two
 * committed; nothing speaks of that order. */
static bool are_unordered(const struct pl_record *a, const struct pl_record *b)
{
    int32_t partition_a = 0, partition_b = 0;
    uint64_t sequence = 0;
    return a->topic == PL_TOPIC_DEADLETTER &&
           pl_wire_journal_of(a->headers, a->header_count, &partition_a, &sequence) &&
           pl_wire_journal_of(b->headers, b->header_count, &partition_b, &sequence) &&
           partition_a != partition_b;
}

static void check_record(const struct bundle_stream *stream, const struct pl_record *record,
                         const struct pl_record *next)
{
    struct pl_record twin = *record;
    twin.offset++;
    check_change(stream, record, next, REMOVED);
    if (next || damage_is_covered(&test, &twin)) /* else it is one more that nothing has read yet */
        check_change(stream, record, next, DOUBLED);
    if (next && damage_is_covered(&test, next) && !are_equal(record, next) &&
        !are_unordered(record, next))
        check_change(stream, record, next, SWAPPED);
}

static void every_record_counts_once_and_in_its_place(void **state)
{
    (void)state;
    changes = 0;
    visit_all(check_record);
    printf("records: %llu removed, doubled or swapped\n", (unsigned long long)changes);
    assert_true(changes > 500);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_nobody_changed_is_clean),
        cmocka_unit_test(every_bit_of_keys_and_values_counts),
        cmocka_unit_test(every_bit_of_the_headers_that_bind_counts),
        cmocka_unit_test(every_record_counts_once_and_in_its_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
