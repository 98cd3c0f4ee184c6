/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs changed by somebody who knows how verify works: signatures, entries cut off at the end, a
 * chain made anew so that its hashes fit, dead letters in another order, and the checkpoint that a
 * log begins with when it does not reach back. What a damaged log gives away is prop_tamper's
 * question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/damage.h"

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

/* ---- signatures and noted heads ------------------------------------------------------------- */

static void signatures_are_of_their_entries(void **state)
{
    const struct verify_options by_key = { .keys = { test.key }, .key_count = 1 };
    const struct verify_options by_other = { .keys = { test.other_key }, .key_count = 1 };
    struct verify_finding finding;
    (void)state;
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
        struct bundle_cursor cursor = { .stream = bundle_find(test.bundle, PL_TOPIC_JOURNAL, i) };
        struct pl_record record;
        bool found = false;
        assert_true(damage_is_found(test.bundle, &by_other, i, &finding));
        assert_string_equal(finding.what, "signature");
        while (!bundle_next(&cursor, &record, &found) && found) {
            assert_int_equal(record.header_count, 1);
            const struct pl_header *header = &record.headers[0];
            assert_int_equal(header->value.size_bytes, PL_SIGNATURE_BYTES);
            uint8_t *bytes = (uint8_t *)(uintptr_t)header->value.data;
            unsigned stride = record.offset == 0 ? 1 : 37;
            for (unsigned bit = 0; bit < 8 * PL_SIGNATURE_BYTES; bit += stride) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_true(damage_is_found(test.bundle, &by_key, i, &finding));
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_string_equal(finding.what, "signature");
                assert_true(damage_is_named(&finding, PL_TOPIC_JOURNAL, i, record.offset,
                                            record.offset));
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
            bool is_found = damage_is_found(test.bundle, &by_key, 1, &finding);
            *byte ^= (uint8_t)(1u << bit % 8);
            assert_true(is_found);
            assert_string_equal(finding.what, "signature");
            assert_true(damage_is_named(&finding, PL_TOPIC_JOURNAL, 1, last.offset, last.offset));
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
    struct bundle *bundle = damage_cut(&test.log, is_before_head);
    damage_assert_none(bundle, &by_key);
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
        assert_true(damage_is_found(bundle, &test.by_heads, i, &finding));
        assert_string_equal(finding.what, "head");
        assert_non_null(strstr(finding.text, "cut off"));
    }
    bundle_close(&bundle);
    test.heads[1].hash[5] ^= 1;
    assert_true(damage_is_found(test.bundle, &test.by_heads, 1, &finding));
    test.heads[1].hash[5] ^= 1;
    assert_string_equal(finding.what, "head");
}

/* The journal as it was before the newest entry that has outputs, and these still there. */
static uint64_t cut_from[DAMAGE_PARTITIONS];

static bool is_output_or_before(const struct audit_stream *stream, const struct pl_record *record,
                                int64_t *from)
{
    static struct pl_journal entry;
    (void)from;
    if (stream->topic != PL_TOPIC_JOURNAL)
        return true;
    assert_int_equal(pl_wire_journal_decode(&test.wire, record->value, &entry), PL_OK);
    return entry.sequence < cut_from[entry.partition];
}

static void outputs_without_an_entry_are_found(void **state)
{
    struct verify_finding finding;
    (void)state;
    for (int32_t i = 0; i < test.entry_count; i++)
        if (test.entries[i].output_count > 0)
            cut_from[test.entries[i].partition] = test.entries[i].sequence;
    struct bundle *bundle = damage_cut(&test.log, is_output_or_before);
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
        assert_true(cut_from[i] > 1);
        assert_true(damage_is_found(bundle, &(struct verify_options){ 0 }, i, &finding));
        assert_string_equal(finding.what, "header");
    }
    bundle_close(&bundle);
}

/* Outputs of a partition stand in the order of entries. */
static void an_output_that_names_an_earlier_entry_is_found(void **state)
{
    static const enum pl_topic topics[] = { PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS };
    char text[PL_JOURNAL_TEXT_BYTES];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct verify_finding finding;
        const struct audit_stream *stream = audit_log_stream(&test.log, topics[i], 0);
        struct pl_record *record = &stream->records[stream->count - 1];
        const struct pl_header kept = record->headers[0];
        record->headers[0] = pl_wire_journal_header(0, 1, text);
        struct bundle *bundle = audit_log_bundle(&test.log);
        record->headers[0] = kept;
        assert_true(damage_is_found(bundle, &(struct verify_options){ 0 }, 0, &finding));
        assert_string_equal(finding.what, "header");
        assert_int_equal(finding.suspects[0].first, record->offset);
        assert_int_equal(finding.suspects[0].last, record->offset);
        bundle_close(&bundle);
    }
}

/* ---- a chain that was made anew ------------------------------------------------------------- */

/* Somebody who can write the whole journal makes its hashes fit again; records still do not. */
typedef void forge(struct pl_journal *entry);

static struct bundle *rechain(const struct audit_log *log, int32_t partition, uint64_t sequence,
                              forge *change)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    uint8_t hash[PL_HASH_BYTES] = { 0 };
    assert_int_equal(bundle_create(&writer, NULL, DAMAGE_PARTITIONS), PL_OK);
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        for (size_t j = 0; j < stream->count; j++) {
            static struct pl_journal entry;
            struct pl_record record = stream->records[j];
            if (stream->topic == PL_TOPIC_JOURNAL && stream->partition == partition) {
                pl_wire_reset(&test.wire);
                assert_int_equal(pl_wire_journal_decode(&test.wire, record.value, &entry), PL_OK);
                if (entry.sequence == sequence)
                    change(&entry);
                memcpy(entry.previous_hash, hash, PL_HASH_BYTES);
                assert_int_equal(pl_wire_journal_encode(&test.wire, &entry, &record.value), PL_OK);
                pl_wire_hash(record.value, hash);
            }
            assert_int_equal(bundle_append(writer, &record), PL_OK);
        }
        assert_int_equal(bundle_bound(writer, stream->topic, stream->partition, 0, stream->end),
                         PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}

static void change_nothing(struct pl_journal *entry) { (void)entry; }
static void change_sequence(struct pl_journal *entry) { entry->sequence++; }
static void change_partition(struct pl_journal *entry) { entry->partition ^= 1; }
static void change_partition_count(struct pl_journal *entry) { entry->partition_count++; }
static void change_vector(struct pl_journal *entry) { entry->vector_count--; }
static void change_book(struct pl_journal *entry) { entry->book_digest.low ^= 1; }
static void change_states(struct pl_journal *entry) { entry->settled_digest.high ^= 1; }
static void change_outputs(struct pl_journal *entry) { entry->outputs_digest[31] ^= 1; }
static void change_output_count(struct pl_journal *entry) { entry->output_count++; }
static void change_input(struct pl_journal *entry) { entry->vector[3].digest[0] ^= 1; }

/* As if what came in had been read by somebody before, whom nobody knows. */
static void skip_inputs(struct pl_journal *entry)
{
    struct pl_coordinate *coordinate = &entry->vector[3];
    assert_int_equal(coordinate->topic, PL_TOPIC_MARKS);
    assert_true(coordinate->first_offset < coordinate->offset);
    coordinate->first_offset = coordinate->offset;
    pl_wire_hash((struct pl_bytes_view){ NULL, 0 }, coordinate->digest);
}

static void a_chain_made_anew_is_held_against_the_records(void **state)
{
    static const struct { forge *change; const char *what; } rows[] = {
        { change_sequence, "sequence" },     { change_partition, "entry" },
        { change_partition_count, "entry" }, { change_vector, "entry" },
        { change_book, "book" },             { change_states, "states" },
        { change_outputs, "outputs" },       { change_output_count, "outputs" },
        { change_input, "inputs" },          { skip_inputs, "inputs" },
    };
    struct verify_finding finding;
    (void)state;
    struct bundle *bundle = rechain(&test.log, 0, 5, change_nothing);
    damage_assert_none(bundle, &(struct verify_options){ 0 });
    bundle_close(&bundle);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bundle = rechain(&test.log, 0, 5, rows[i].change);
        assert_true(damage_is_found(bundle, &(struct verify_options){ 0 }, 0, &finding));
        assert_string_equal(finding.what, rows[i].what);
        bundle_close(&bundle);
    }
}

/* ---- dead letters --------------------------------------------------------------------------- */

/* The record after it, if both are of one entry. */
static const struct pl_record *twin_letter(const struct audit_stream *stream, size_t at)
{
    const struct pl_record *a = &stream->records[at], *b = a + 1;
    int32_t partition_a = 0, partition_b = 0;
    uint64_t sequence_a = 0, sequence_b = 0;
    bool are_twins = at + 1 < stream->count &&
                     pl_wire_journal_of(a->headers, a->header_count, &partition_a, &sequence_a) &&
                     pl_wire_journal_of(b->headers, b->header_count, &partition_b, &sequence_b) &&
                     partition_a == partition_b && sequence_a == sequence_b;
    return are_twins ? b : NULL;
}

/* Their digest is over the order of origins, so it cannot tell in which order they stand. */
static void dead_letters_of_one_entry_stand_in_their_order(void **state)
{
    unsigned pairs = 0;
    (void)state;
    for (uint64_t seed = test.seed; seed < test.seed + 400 && pairs < 3; seed++) {
        struct audit_log log;
        damage_build(&log, seed, NULL);
        for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
            struct audit_stream *stream = audit_log_stream(&log, PL_TOPIC_DEADLETTER, i);
            for (size_t j = 0; j + 1 < stream->count; j++) {
                struct verify_finding finding;
                if (!twin_letter(stream, j))
                    continue;
                audit_log_swap_values(stream, j, j + 1);
                struct bundle *bundle = audit_log_bundle(&log);
                assert_true(damage_is_found(bundle, &(struct verify_options){ 0 }, -1, &finding));
                assert_string_equal(finding.what, "dead letter");
                assert_true(damage_is_named(&finding, PL_TOPIC_DEADLETTER, i,
                                            stream->records[j].offset,
                                            stream->records[j + 1].offset));
                bundle_close(&bundle);
                audit_log_swap_values(stream, j, j + 1);
                pairs++;
            }
        }
        audit_log_free(&log);
    }
    printf("dead letters: %u pairs swapped\n", pairs);
    assert_true(pairs > 0);
}

static struct pl_bytes_view view_of(const char *text)
{
    return (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) };
}

/* The dead letter of `origin` that the first entry of its partition tells of, by what verify
 * reads. */
static struct pl_record letter_of(const struct pl_record *origin)
{
    static char journal[PL_JOURNAL_TEXT_BYTES], partition[16], offset[24];
    struct pl_record letter = *origin;
    letter.topic = PL_TOPIC_DEADLETTER;
    letter.offset = 0;
    snprintf(partition, sizeof(partition), "%d", (int)origin->partition);
    snprintf(offset, sizeof(offset), "%lld", (long long)origin->offset);
    letter.header_count = 3;
    letter.headers[0] = pl_wire_journal_header(origin->partition, 1, journal);
    letter.headers[1] = (struct pl_header){ "__connect.errors.partition", view_of(partition) };
    letter.headers[2] = (struct pl_header){ "__connect.errors.offset", view_of(offset) };
    return letter;
}

/* As if the service had had no room for the record: its book goes without, and it says so. */
static struct pl_bytes_view refuse(struct pl_journal *entry, const struct pl_record *refused)
{
    struct pl_outputs_digest digest;
    struct pl_bytes_view value;
    pl_digest_xor(&entry->book_digest, pl_wire_digest(refused->key, refused->value));
    assert_int_equal(pl_outputs_digest_begin(&digest), PL_OK);
    pl_outputs_digest_add(&digest, PL_TOPIC_DEADLETTER, refused->key, refused->value);
    entry->output_count = digest.count;
    pl_outputs_digest_end(&digest, entry->outputs_digest);
    pl_wire_reset(&test.wire);
    assert_int_equal(pl_wire_journal_encode(&test.wire, entry, &value), PL_OK);
    return value;
}

/* A log of one entry: inputs, the entry and the dead letter. */
static void what_the_book_had_no_room_for_is_not_in_it(void **state)
{
    static struct pl_journal entry;
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    const struct pl_record *first = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 1)->records;
    const struct pl_record *refused = audit_log_stream(&test.log, PL_TOPIC_HOLDINGS, 1)->records;
    (void)state;
    assert_int_equal(pl_wire_journal_decode(&test.wire, first->value, &entry), PL_OK);
    assert_true(entry.output_count == 0 && !pl_wire_is_watermark(refused->key));
    struct pl_record record = *first, letter = letter_of(refused);
    record.value = refuse(&entry, refused);
    assert_int_equal(bundle_create(&writer, NULL, DAMAGE_PARTITIONS), PL_OK);
    assert_int_equal(bundle_append(writer, &record), PL_OK);
    assert_int_equal(bundle_append(writer, &letter), PL_OK);
    for (unsigned i = 0; i < test.log.stream_count; i++) {
        const struct audit_stream *stream = &test.log.streams[i];
        for (size_t j = 0; stream->topic < PL_TOPIC_ORDERS && j < stream->count; j++)
            assert_int_equal(bundle_append(writer, &stream->records[j]), PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    damage_assert_none(bundle, &(struct verify_options){ 0 });
    bundle_close(&bundle);
}

/* ---- a log that does not reach back --------------------------------------------------------- */

static struct pl_journal bases[DAMAGE_PARTITIONS];

static int64_t base_offset(const struct audit_stream *stream)
{
    int64_t offset = INT64_MAX;
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++)
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

/* From the entry after so many thirds of the journal. */
static struct bundle *export_from(const struct audit_log *log, unsigned thirds)
{
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
        const struct audit_stream *journal = audit_log_stream(log, PL_TOPIC_JOURNAL, i);
        const struct pl_record *record = &journal->records[thirds * journal->count / 3];
        assert_int_equal(pl_wire_journal_decode(&test.wire, record->value, &bases[i]), PL_OK);
    }
    return damage_cut(log, is_exported);
}

static void assert_found(const struct bundle *bundle, const struct bundle_stream *stream)
{
    struct verify_finding finding;
    assert_true(damage_is_found(bundle, &(struct verify_options){ 0 }, stream->partition,
                                &finding));
    assert_true(damage_is_named(&finding, stream->topic, stream->partition, 0, stream->end));
}

/* Each bit of each record of the checkpoint that the base entry's digests speak of. */
static uint64_t check_checkpoint(const struct bundle *bundle, enum pl_topic topic)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
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
    const struct audit_log_options options = { .seed = 23, .partition_count = DAMAGE_PARTITIONS,
                                               .account_count = 8, .coin_count = 2,
                                               .step_count = 70, .heartbeat_steps = 3,
                                               .step_ms = 5000, .is_calm = true };
    struct audit_log log;
    uint64_t removals = 0;
    (void)state;
    audit_log_build(&log, &options);
    struct bundle *bundle = export_from(&log, 0); /* sequence 1, without what that one read */
    damage_assert_none(bundle, &(struct verify_options){ 0 });
    bundle_close(&bundle);
    bundle = export_from(&log, 2);
    damage_assert_none(bundle, &(struct verify_options){ 0 });
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
            struct bundle *changed = damage_cut(&log, is_exported_and_stays);
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
        cmocka_unit_test(signatures_are_of_their_entries),
        cmocka_unit_test(every_bit_of_a_signed_head_counts),
        cmocka_unit_test(a_tail_that_was_cut_off_is_missed_by_who_noted_it),
        cmocka_unit_test(outputs_without_an_entry_are_found),
        cmocka_unit_test(an_output_that_names_an_earlier_entry_is_found),
        cmocka_unit_test(a_chain_made_anew_is_held_against_the_records),
        cmocka_unit_test(dead_letters_of_one_entry_stand_in_their_order),
        cmocka_unit_test(what_the_book_had_no_room_for_is_not_in_it),
        cmocka_unit_test(a_checkpoint_is_tied_to_the_journal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
