/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is done to a log, verify finds it and names the place: every bit of every key and value and of
 * the headers that tie records to entries is flipped, every record is removed, doubled and swapped with
 * the one after it. The log is what the services' own step code makes of a small seeded venue: two
 * partitions, workers that restart, orders and fills, halts, new parameters, records that nobody can
 * read. Nothing but hashes, sequences and signatures is there to find it: a bundle in memory has no
 * checksums.
 *
 * What may be changed unseen is listed by may_change: nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/cli/verify.h"
#include "tests/support/audit_log.h"
#include "tests/support/random.h"

enum { PARTITIONS = 2, ENTRIES_MAX = 256, HEADS = PARTITIONS };

static const uint64_t SEED = 23;

/* Any Ed25519 key will do: this is the one of RFC 8032's first test. */
static const char PRIVATE_KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char OTHER_KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

static struct {
    uint64_t seed;
    struct pl_key *key, *other_key;
    struct audit_log log;
    struct bundle *bundle;
    struct verify_head heads[HEADS]; /* the newest entries, noted by somebody */
    struct verify_options by_heads;  /* nothing but the log and those */
    int32_t entry_count;
    struct pl_journal entries[ENTRIES_MAX];
    struct pl_wire wire;
} test;

/* ---- the log -------------------------------------------------------------------------------- */

static struct pl_key *open_key(const char *pem)
{
    char path[] = "/tmp/plimsoll-tamper-XXXXXX";
    struct pl_key *key = NULL;
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, pem, strlen(pem)) == (ssize_t)strlen(pem));
    close(file);
    assert_int_equal(pl_key_open_private(&key, path), PL_OK);
    unlink(path);
    return key;
}

static void read_entries(const struct audit_log *log)
{
    test.entry_count = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        const struct audit_stream *journal = audit_log_stream(log, PL_TOPIC_JOURNAL, i);
        for (size_t j = 0; j < journal->count; j++) {
            assert_true(test.entry_count < ENTRIES_MAX);
            assert_int_equal(pl_wire_journal_decode(&test.wire, journal->records[j].value,
                                                    &test.entries[test.entry_count++]), PL_OK);
        }
        assert_true(journal->count > 0);
        test.heads[i].partition = i;
        test.heads[i].sequence = test.entries[test.entry_count - 1].sequence;
        pl_wire_hash(journal->records[journal->count - 1].value, test.heads[i].hash);
    }
}

static void build_log(struct audit_log *log, uint64_t seed, const struct pl_key *key)
{
    const struct audit_log_options options = { .seed = seed, .partition_count = PARTITIONS,
                                               .account_count = 6, .coin_count = 2,
                                               .step_count = 26, .heartbeat_steps = 3,
                                               .step_ms = 5000, .key = key };
    audit_log_build(log, &options);
}

/* The log must have something of everything, or the test would prove less than it says. */
static bool has_everything(const struct audit_log *log)
{
    static const enum pl_topic topics[] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS, PL_TOPIC_CHAINS,
                                            PL_TOPIC_MARKS };
    static const enum pl_topic outputs[] = { PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS,
                                             PL_TOPIC_EXECUTIONS };
    size_t letters = 0, restarts = 0;
    for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        if (audit_log_stream(log, topics[i], 0)->count == 0)
            return false;
    for (unsigned i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
        if (audit_log_stream(log, outputs[i], 0)->count < 2 &&
            audit_log_stream(log, outputs[i], 1)->count < 2)
            return false;
    for (int32_t i = 0; i < PARTITIONS; i++)
        letters += audit_log_stream(log, PL_TOPIC_DEADLETTER, i)->count;
    for (int32_t i = 1; i < test.entry_count; i++)
        restarts += test.entries[i].sequence > 1 &&
                    test.entries[i].marks_first_offset != test.entries[i - 1].marks_first_offset;
    return letters >= 2 && restarts > 0;
}

static int set_up(void **state)
{
    static uint8_t block[8 << 20];
    (void)state;
    test.seed = test_random_start(SEED).state;
    pl_wire_init(&test.wire, block, sizeof(block));
    test.key = open_key(PRIVATE_KEY);
    test.other_key = open_key(OTHER_KEY);
    build_log(&test.log, test.seed, test.key);
    read_entries(&test.log);
    while (!getenv("PLIMSOLL_SEED") && !has_everything(&test.log)) {
        audit_log_free(&test.log);
        build_log(&test.log, ++test.seed, test.key);
        read_entries(&test.log);
    }
    test.by_heads = (struct verify_options){ .heads = test.heads, .head_count = HEADS };
    test.bundle = audit_log_bundle(&test.log);
    for (unsigned i = 0; i < test.log.stream_count; i++)
        printf("%s-%d: %zu\n", pl_topic_word(test.log.streams[i].topic),
               (int)test.log.streams[i].partition, test.log.streams[i].count);
    printf("built with seed %llu, %d entries\n", (unsigned long long)test.seed, test.entry_count);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bundle_close(&test.bundle);
    audit_log_free(&test.log);
    pl_key_close(&test.key);
    pl_key_close(&test.other_key);
    return 0;
}

/* ---- verifying ------------------------------------------------------------------------------ */

/* The partitions whose journal speaks of a stream. */
static int32_t first_partition(const struct bundle_stream *stream)
{
    bool is_own = stream->topic != PL_TOPIC_MARKS && stream->topic != PL_TOPIC_CONTROL &&
                  stream->topic != PL_TOPIC_PARAMETERS && stream->topic != PL_TOPIC_CHAINS &&
                  stream->topic != PL_TOPIC_DEADLETTER;
    return is_own ? stream->partition : -1;
}

/* Verifies one partition, or all (-1). True if there was a finding. */
static bool finds(const struct bundle *bundle, const struct verify_options *options,
                  int32_t partition, struct verify_finding *finding)
{
    struct verify *verify = NULL;
    enum pl_err err = verify_open(&verify, bundle, options);
    assert_int_equal(err, PL_OK);
    for (int32_t i = 0; !err && i < PARTITIONS; i++) {
        struct verify_report report;
        if (partition < 0 || partition == i)
            err = verify_partition(verify, i, &report);
    }
    *finding = *verify_finding(verify);
    if (err)
        assert_int_equal(err, PL_FATAL_DIVERGED);
    verify_close(&verify);
    return err != PL_OK;
}

static bool names(const struct verify_finding *finding, enum pl_topic topic, int32_t partition,
                  int64_t first, int64_t last)
{
    for (unsigned i = 0; i < finding->suspect_count; i++) {
        const struct verify_range *range = &finding->suspects[i];
        if (range->topic == topic && range->partition == partition && range->first <= last &&
            range->last >= first)
            return true;
    }
    return false;
}

static void print_finding(const struct verify_finding *finding)
{
    print_message("finding: %s: %s (partition %d entry %llu)\n", finding->what, finding->text,
                  (int)finding->partition, (unsigned long long)finding->sequence);
    for (unsigned i = 0; i < finding->suspect_count; i++)
        print_message("  %s-%d %lld..%lld\n", pl_topic_word(finding->suspects[i].topic),
                      (int)finding->suspects[i].partition,
                      (long long)finding->suspects[i].first, (long long)finding->suspects[i].last);
    print_message("  expected %s\n  found    %s\n", finding->expected, finding->found);
}

static void assert_clean(const struct bundle *bundle, const struct verify_options *options)
{
    struct verify_finding finding;
    if (!finds(bundle, options, -1, &finding))
        return;
    print_finding(&finding);
    fail_msg("a log that nobody changed has a finding");
}

static void a_log_that_nobody_changed_is_clean(void **state)
{
    struct verify_options by_key = { .keys = { test.other_key, test.key }, .key_count = 2 };
    (void)state;
    assert_clean(test.bundle, &(struct verify_options){ 0 });
    assert_clean(test.bundle, &test.by_heads);
    assert_clean(test.bundle, &by_key);
    for (uint64_t seed = test.seed; seed < test.seed + 50; seed++) {
        struct audit_log log;
        build_log(&log, seed, NULL);
        struct bundle *bundle = audit_log_bundle(&log);
        assert_clean(bundle, &(struct verify_options){ 0 });
        bundle_close(&bundle);
        audit_log_free(&log);
    }
}

/* ---- what may change unseen ----------------------------------------------------------------- */

/* Whether some entry accounts for an input: its digest covers [first_offset, offset). The book covers
 * holdings from before that, but for those that another one has replaced and watermarks. */
static bool is_accounted(const struct pl_record *record)
{
    for (int32_t i = 0; i < test.entry_count; i++)
        for (uint32_t j = 0; j < test.entries[i].vector_count; j++) {
            const struct pl_coordinate *coordinate = &test.entries[i].vector[j];
            if (coordinate->topic == record->topic &&
                coordinate->partition == record->partition &&
                record->offset >= coordinate->first_offset && record->offset < coordinate->offset)
                return true;
        }
    return false;
}

/* Nothing has read it yet, or nobody ever did: inputs after the newest entries, and marks from before the
 * first worker began to read them. */
static bool may_change(const struct pl_record *record)
{
    bool is_input = record->topic == PL_TOPIC_MARKS || record->topic == PL_TOPIC_CONTROL ||
                    record->topic == PL_TOPIC_PARAMETERS || record->topic == PL_TOPIC_CHAINS ||
                    record->topic == PL_TOPIC_HOLDINGS || record->topic == PL_TOPIC_EXECUTIONS;
    return is_input && !is_accounted(record);
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
            if (may_change(&record))
                passed++;
            else
                see(cursor.stream, &record, has_next ? &next : NULL);
        }
    }
    printf("not accounted for: %llu records\n", (unsigned long long)passed);
}

/* ---- bits ----------------------------------------------------------------------------------- */

static uint64_t flips;

/* One bit of the log is another one, and verify must say where. */
static void check_bit(const struct bundle_stream *stream, const struct pl_record *record,
                      uint8_t *byte, unsigned bit)
{
    struct verify_finding finding;
    *byte ^= (uint8_t)(1u << bit);
    bool is_found = finds(test.bundle, &test.by_heads, first_partition(stream), &finding);
    *byte ^= (uint8_t)(1u << bit);
    flips++;
    if (is_found && names(&finding, stream->topic, stream->partition, record->offset,
                          record->offset))
        return;
    if (is_found)
        print_finding(&finding);
    fail_msg("%s partition %d offset %lld: a flipped bit %u of 0x%02x is %s",
             pl_topic_word(stream->topic), (int)stream->partition, (long long)record->offset, bit,
             (unsigned)*byte, is_found ? "found somewhere else" : "not found");
}

static void check_bits(const struct bundle_stream *stream, const struct pl_record *record,
                       struct pl_bytes_view view)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)view.data;
    for (size_t i = 0; i < view.size_bytes; i++)
        for (unsigned bit = 0; bit < 8; bit++)
            check_bit(stream, record, bytes + i, bit);
}

static void check_record_bits(const struct bundle_stream *stream, const struct pl_record *record,
                              const struct pl_record *next)
{
    (void)next;
    check_bits(stream, record, record->key);
    check_bits(stream, record, record->value);
}

static void every_bit_of_keys_and_values_counts(void **state)
{
    (void)state;
    flips = 0;
    visit_all(check_record_bits);
    printf("keys and values: %llu bits flipped\n", (unsigned long long)flips);
    assert_true(flips > 100000);
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
        check_bits(stream, record, header->value);
        check_bits(stream, record, (struct pl_bytes_view){ (const uint8_t *)header->name,
                                                           strlen(header->name) });
    }
}

static void every_bit_of_the_headers_that_bind_counts(void **state)
{
    (void)state;
    flips = 0;
    visit_all(check_header_bits);
    printf("headers: %llu bits flipped\n", (unsigned long long)flips);
    assert_true(flips > 1000);
}

/* ---- records -------------------------------------------------------------------------------- */

enum change { REMOVED, DOUBLED, SWAPPED };
static const char *const change_names[] = { "removed", "doubled", "swapped with the next" };

/* The log with one record changed. What comes after a doubled one keeps its offset where there is room, as
 * after a transaction's marker; else all move up, as in a log that somebody has written anew. */
static struct bundle *change_log(const struct bundle_stream *changed, int64_t at,
                                 enum change change)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, PARTITIONS), PL_OK);
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
    bool is_found = finds(bundle, &test.by_heads, first_partition(stream), &finding);
    bundle_close(&bundle);
    changes++;
    if (is_found && names(&finding, stream->topic, stream->partition, record->offset,
                          next ? next->offset : stream->end))
        return;
    if (is_found)
        print_finding(&finding);
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
    if (next || !may_change(&twin)) /* else it is one more that nothing has read yet */
        check_change(stream, record, next, DOUBLED);
    if (next && !may_change(next) && !are_equal(record, next) && !are_unordered(record, next))
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
/* ---- signatures and noted heads ------------------------------------------------------------- */

/* The log with a part of it left out. */
typedef bool keep(const struct audit_stream *stream, const struct pl_record *record, int64_t *from);

static struct bundle *cut_log(const struct audit_log *log, keep *is_kept)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, PARTITIONS), PL_OK);
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        int64_t complete_from = 0;
        for (size_t j = 0; j < stream->count; j++)
            if (is_kept(stream, &stream->records[j], &complete_from))
                assert_int_equal(bundle_append(writer, &stream->records[j]), PL_OK);
        assert_int_equal(bundle_bound(writer, stream->topic, stream->partition, complete_from,
                                      stream->end), PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}

static void signatures_are_of_their_entries(void **state)
{
    const struct verify_options by_key = { .keys = { test.key }, .key_count = 1 };
    const struct verify_options by_other = { .keys = { test.other_key }, .key_count = 1 };
    struct verify_finding finding;
    (void)state;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct bundle_cursor cursor = { .stream = bundle_find(test.bundle, PL_TOPIC_JOURNAL, i) };
        struct pl_record record;
        bool found = false;
        assert_true(finds(test.bundle, &by_other, i, &finding));
        assert_string_equal(finding.what, "signature");
        while (!bundle_next(&cursor, &record, &found) && found) {
            assert_int_equal(record.header_count, 1);
            const struct pl_header *header = &record.headers[0];
            assert_int_equal(header->value.size_bytes, PL_SIGNATURE_BYTES);
            uint8_t *bytes = (uint8_t *)(uintptr_t)header->value.data;
            for (unsigned bit = 0; bit < 8 * PL_SIGNATURE_BYTES; bit += record.offset == 0 ? 1 : 37) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_true(finds(test.bundle, &by_key, i, &finding));
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_string_equal(finding.what, "signature");
                assert_true(names(&finding, PL_TOPIC_JOURNAL, i, record.offset, record.offset));
            }
        }
    }
}

/* Nothing links to the newest entry: its signature covers it. */
static void every_bit_of_a_signed_head_counts(void **state)
{
    const struct verify_options by_key = { .keys = { test.key }, .key_count = 1 };
    struct pl_record record, last = { 0 };
    struct bundle_cursor cursor = { .stream = bundle_find(test.bundle, PL_TOPIC_JOURNAL, 1) };
    bool found = false;
    (void)state;
    while (!bundle_next(&cursor, &record, &found) && found)
        last = record;
    const struct pl_bytes_view views[] = {
        last.value, { (const uint8_t *)last.headers[0].name, strlen(last.headers[0].name) } };
    for (unsigned i = 0; i < 2; i++)
        for (unsigned bit = 0; bit < 8 * views[i].size_bytes; bit++) {
            struct verify_finding finding;
            uint8_t *byte = (uint8_t *)(uintptr_t)views[i].data + bit / 8;
            *byte ^= (uint8_t)(1u << bit % 8);
            bool is_found = finds(test.bundle, &by_key, 1, &finding);
            *byte ^= (uint8_t)(1u << bit % 8);
            assert_true(is_found);
            assert_string_equal(finding.what, "signature");
            assert_true(names(&finding, PL_TOPIC_JOURNAL, 1, last.offset, last.offset));
        }
}

/* Everything up to the entry before the newest, and nothing of that. */
static bool is_before_head(const struct audit_stream *stream, const struct pl_record *record,
                           int64_t *from)
{
    static struct pl_journal entry;
    int32_t partition = 0;
    uint64_t sequence = 0;
    (void)from;
    if (stream->topic == PL_TOPIC_JOURNAL) {
        assert_int_equal(pl_wire_journal_decode(&test.wire, record->value, &entry), PL_OK);
        return entry.sequence < test.heads[entry.partition].sequence;
    }
    return !pl_wire_journal_of(record->headers, record->header_count, &partition, &sequence) ||
           sequence < test.heads[partition].sequence;
}

static void a_tail_that_was_cut_off_is_missed_by_who_noted_it(void **state)
{
    const struct verify_options by_key = { .keys = { test.key }, .key_count = 1 };
    struct verify_finding finding;
    (void)state;
    struct bundle *bundle = cut_log(&test.log, is_before_head);
    assert_clean(bundle, &by_key);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assert_true(finds(bundle, &test.by_heads, i, &finding));
        assert_string_equal(finding.what, "head");
        assert_non_null(strstr(finding.text, "cut off"));
    }
    bundle_close(&bundle);
    test.heads[1].hash[5] ^= 1;
    assert_true(finds(test.bundle, &test.by_heads, 1, &finding));
    test.heads[1].hash[5] ^= 1;
    assert_string_equal(finding.what, "head");
}

/* ---- a log that does not reach back --------------------------------------------------------- */

static struct pl_journal bases[PARTITIONS];

static int64_t base_offset(const struct audit_stream *stream)
{
    int64_t offset = INT64_MAX;
    for (int32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t j = 0; j < bases[i].vector_count; j++)
            if (bases[i].vector[j].topic == stream->topic &&
                bases[i].vector[j].partition == stream->partition &&
                bases[i].vector[j].offset < offset)
                offset = bases[i].vector[j].offset;
    return offset;
}

/* Below the limit only the newest record of each key is kept. */
static bool is_newest(const struct audit_stream *stream, const struct pl_record *record,
                      int64_t limit)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct pl_record *other = &stream->records[i];
        if (other->offset > record->offset && other->offset < limit &&
            other->key.size_bytes == record->key.size_bytes &&
            memcmp(other->key.data, record->key.data, record->key.size_bytes) == 0)
            return false;
    }
    return true;
}

static int64_t first_after_base(const struct audit_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct pl_record *record = &stream->records[i];
        int32_t partition = 0;
        uint64_t sequence = 0;
        assert_true(pl_wire_journal_of(record->headers, record->header_count, &partition,
                                       &sequence));
        if (sequence > bases[partition].sequence)
            return record->offset;
    }
    return stream->end;
}

/* As an export does it: a checkpoint of holdings and states, and what came after. */
static bool is_exported(const struct audit_stream *stream, const struct pl_record *record,
                        int64_t *from)
{
    static struct pl_journal entry;
    if (stream->topic == PL_TOPIC_JOURNAL) {
        assert_int_equal(pl_wire_journal_decode(&test.wire, record->value, &entry), PL_OK);
        if (entry.sequence == bases[entry.partition].sequence)
            *from = record->offset;
        return entry.sequence >= bases[entry.partition].sequence;
    }
    bool is_output = stream->topic == PL_TOPIC_ORDERS || stream->topic == PL_TOPIC_ALERTS ||
                     stream->topic == PL_TOPIC_ACCOUNTS || stream->topic == PL_TOPIC_DEADLETTER;
    *from = is_output ? first_after_base(stream) : base_offset(stream);
    return record->offset >= *from ||
           (stream->topic != PL_TOPIC_ORDERS && stream->topic != PL_TOPIC_ALERTS &&
            stream->topic != PL_TOPIC_DEADLETTER && is_newest(stream, record, *from));
}

static void assert_found(const struct bundle *bundle, const struct bundle_stream *stream)
{
    struct verify_finding finding;
    assert_true(finds(bundle, &(struct verify_options){ 0 }, stream->partition, &finding));
    assert_true(names(&finding, stream->topic, stream->partition, 0, stream->end));
}

/* Each bit of each record of the checkpoint that the base entry's digests speak of. */
static uint64_t check_checkpoint(const struct bundle *bundle, enum pl_topic topic)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct bundle_cursor cursor = { .stream = bundle_find(bundle, topic, i) };
        struct pl_record record;
        bool found = false;
        assert_non_null(cursor.stream);
        while (!bundle_next(&cursor, &record, &found) && found &&
               record.offset < cursor.stream->complete_from) {
            if (pl_wire_is_watermark(record.key))
                continue;
            for (size_t bit = 0; bit < 8 * record.value.size_bytes; bit++, count++) {
                uint8_t *byte = (uint8_t *)(uintptr_t)record.value.data + bit / 8;
                *byte ^= (uint8_t)(1u << bit % 8);
                assert_found(bundle, cursor.stream);
                *byte ^= (uint8_t)(1u << bit % 8);
            }
        }
    }
    return count;
}

static const struct pl_record *removed;

static bool is_exported_and_stays(const struct audit_stream *stream, const struct pl_record *record,
                                  int64_t *from)
{
    return is_exported(stream, record, from) && record != removed;
}

static void a_checkpoint_is_tied_to_the_journal(void **state)
{
    const struct audit_log_options options = { .seed = SEED, .partition_count = PARTITIONS,
                                               .account_count = 8, .coin_count = 2,
                                               .step_count = 70, .heartbeat_steps = 3,
                                               .step_ms = 5000, .is_calm = true };
    struct audit_log log;
    uint64_t removals = 0;
    (void)state;
    audit_log_build(&log, &options);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        const struct audit_stream *journal = audit_log_stream(&log, PL_TOPIC_JOURNAL, i);
        assert_int_equal(pl_wire_journal_decode(&test.wire,
                                                journal->records[2 * journal->count / 3].value,
                                                &bases[i]), PL_OK);
        assert_true(bases[i].sequence > 1);
    }
    struct bundle *bundle = cut_log(&log, is_exported);
    assert_clean(bundle, &(struct verify_options){ 0 });
    uint64_t holdings_bits = check_checkpoint(bundle, PL_TOPIC_HOLDINGS);
    uint64_t states_bits = check_checkpoint(bundle, PL_TOPIC_ACCOUNTS);
    for (unsigned i = 0; i < bundle_stream_count(bundle); i++) {
        const struct bundle_stream *cut = bundle_stream_at(bundle, i);
        const struct audit_stream *stream = audit_log_stream(&log, cut->topic, cut->partition);
        for (size_t j = 0; j < stream->count; j++) {
            int64_t from = 0;
            removed = &stream->records[j];
            if ((cut->topic != PL_TOPIC_HOLDINGS && cut->topic != PL_TOPIC_ACCOUNTS) ||
                removed->offset >= cut->complete_from || pl_wire_is_watermark(removed->key) ||
                !is_exported(stream, removed, &from))
                continue;
            struct bundle *changed = cut_log(&log, is_exported_and_stays);
            assert_found(changed, cut);
            bundle_close(&changed);
            removals++;
        }
    }
    printf("checkpoint: %llu + %llu bits flipped, %llu records removed\n",
           (unsigned long long)holdings_bits, (unsigned long long)states_bits,
           (unsigned long long)removals);
    assert_true(holdings_bits > 1000 && states_bits > 200 && removals > 8);
    bundle_close(&bundle);
    audit_log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_nobody_changed_is_clean),
        cmocka_unit_test(every_bit_of_keys_and_values_counts),
        cmocka_unit_test(every_bit_of_the_headers_that_bind_counts),
        cmocka_unit_test(every_record_counts_once_and_in_its_place),
        cmocka_unit_test(signatures_are_of_their_entries),
        cmocka_unit_test(every_bit_of_a_signed_head_counts),
        cmocka_unit_test(a_tail_that_was_cut_off_is_missed_by_who_noted_it),
        cmocka_unit_test(a_checkpoint_is_tied_to_the_journal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
