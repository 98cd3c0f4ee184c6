/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay says "identical" of what the step code did, whatever happened to it (G2, G3), and names
 * what is not: the logs are those of whole seeded venues (tests/support/audit_log.h) with crashes,
 * fills, restarts, halts and broken records; then one field of one record is changed, a record is
 * dropped or doubled, an entry lies, and replay must say which, in which entry, of which account.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/service/process.h"
#include "services/liquidation/confirm.h"
#include "services/cli/replay.h"
#include "tests/support/audit_log.h"
#include "tests/support/random.h"

enum { ACCOUNTS = 24, PARTITIONS = 2, WORLDS = 25 };
static const struct replay_limits limits = {.accounts_max = ACCOUNTS + 16};

static struct {
    struct pl_wire wire;
    struct audit_log log; /* of the mutations */
} test;

static struct audit_log_options options_of(uint64_t seed)
{
    return (struct audit_log_options){.seed = seed,
                                      .partition_count = PARTITIONS,
                                      .account_count = ACCOUNTS,
                                      .coin_count = 4,
                                      .step_count = 250,
                                      .heartbeat_steps = 4,
                                      .step_ms = 5000};
}

/* From the beginning until something differs. */
static enum pl_err run_bundle(const struct bundle *bundle, int32_t partition,
                              struct replay_difference *difference, struct replay_counts *counts)
{
    struct replay *replay = NULL;
    bool found = true;
    enum pl_err err = replay_open(&replay, bundle, partition, &limits);
    while (!err && found)
        err = replay_next(replay, &found);
    *difference = *replay_difference(replay);
    *counts = replay_counts(replay);
    replay_close(&replay);
    return err;
}

static enum pl_err run(const struct audit_log *log, int32_t partition,
                       struct replay_difference *difference)
{
    struct replay_counts counts;
    struct bundle *bundle = audit_log_bundle(log);
    enum pl_err err = run_bundle(bundle, partition, difference, &counts);
    bundle_close(&bundle);
    return err;
}

/* ---- identical ------------------------------------------------------------------------------ */

static void worlds_are_identical(void **state)
{
    (void)state;
    struct test_random random = test_random_start(20);
    const char *longer = getenv("PLIMSOLL_LONG");
    uint64_t worlds = longer ? 10 * WORLDS : WORLDS;
    struct replay_counts sum = {0};
    for (uint64_t i = 0; i < worlds; i++) {
        struct audit_log log;
        const struct audit_log_options options = options_of(i == 0 ? random.state
                                                                   : test_random_u64(&random));
        audit_log_build(&log, &options);
        struct bundle *bundle = audit_log_bundle(&log);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct replay_difference difference;
            struct replay_counts counts;
            if (run_bundle(bundle, p, &difference, &counts))
                fail_msg("world seed=%llu: %s", (unsigned long long)options.seed, pl_err_text());
            assert_int_equal(counts.entries, audit_log_stream(&log, PL_TOPIC_JOURNAL, p)->count);
            assert_int_equal(counts.orders, audit_log_stream(&log, PL_TOPIC_ORDERS, p)->count);
            sum.orders += counts.orders;
            sum.outputs += counts.outputs;
            sum.heartbeats += counts.heartbeats;
        }
        bundle_close(&bundle);
        audit_log_free(&log);
    }
    /* A world where nothing happens would prove nothing. */
    assert_true(sum.orders > 10 * worlds && sum.outputs > 500 * worlds && sum.heartbeats > 0);
}

/* Wherever a replay begins, it comes to the same end. */
static void any_entry_is_a_beginning(void **state)
{
    (void)state;
    struct replay *replay = NULL;
    bool found = false;
    struct bundle *bundle = audit_log_bundle(&test.log);
    uint64_t count = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 0)->count;
    assert_int_equal(replay_open(&replay, bundle, 0, &limits), PL_OK);
    for (uint64_t from = 0; from <= count; from += 1 + from / 4) {
        if (replay_seek(replay, from))
            fail_msg("entry %llu: %s", (unsigned long long)from, pl_err_text());
        assert_int_equal(replay_entry(replay)->sequence, from);
        uint64_t sequence = from;
        do {
            if (replay_enter(replay, &found) || replay_next(replay, &found))
                fail_msg("from %llu: %s", (unsigned long long)from, pl_err_text());
        } while (found && replay_entry(replay)->sequence == ++sequence);
        assert_false(found);
        assert_int_equal(sequence, count);
    }
    assert_int_equal(replay_seek(replay, count + 1), PL_REJECT_UNKNOWN);
    replay_close(&replay);
    bundle_close(&bundle);
}

/* ---- a bundle that begins later ------------------------------------------------------------- */

static uint64_t sequence_of(const struct pl_record *record)
{
    int32_t partition = 0;
    uint64_t sequence = 0;
    assert_true(pl_wire_journal_of(record->headers, record->header_count, &partition, &sequence));
    return sequence;
}

static bool is_newest_before(const struct audit_stream *stream, size_t at, int64_t offset)
{
    const struct pl_record *record = &stream->records[at];
    for (size_t i = at + 1; i < stream->count && stream->records[i].offset < offset; i++)
        if (stream->records[i].key.size_bytes == record->key.size_bytes &&
            memcmp(stream->records[i].key.data, record->key.data, record->key.size_bytes) == 0)
            return false;
    return true;
}

/* Copies a stream from an offset on; of compacted topics, the newest of each key before it as
 * well. */
static void copy_stream(struct bundle_writer *writer, const struct audit_stream *stream,
                        int64_t complete_from, bool is_compacted)
{
    for (size_t i = 0; i < stream->count; i++)
        if (stream->records[i].offset >= complete_from ||
            (is_compacted && is_newest_before(stream, i, complete_from)))
            assert_int_equal(bundle_append(writer, &stream->records[i]), PL_OK);
    assert_int_equal(
        bundle_bound(writer, stream->topic, stream->partition, complete_from, stream->end), PL_OK);
}

static struct bundle *tail_of(const struct audit_log *log, const struct pl_journal *entry,
                              size_t entry_at)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, log->partition_count), PL_OK);
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        const struct pl_coordinate *read = journal_coordinate(entry, stream->topic);
        int64_t from = stream->topic == PL_TOPIC_MARKS ? entry->marks_first_offset
                       : read                          ? read->offset
                                                       : stream->end;
        if (stream->topic == PL_TOPIC_JOURNAL)
            from = stream->records[entry_at].offset;
        else if (!read) /* outputs */
            for (size_t j = stream->count;
                 j > 0 && sequence_of(&stream->records[j - 1]) > entry->sequence; j--)
                from = stream->records[j - 1].offset;
        copy_stream(writer, stream, from,
                    stream->topic != PL_TOPIC_MARKS && stream->topic != PL_TOPIC_JOURNAL &&
                        (read || stream->topic == PL_TOPIC_ACCOUNTS));
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}

/* One partition, since each entry cuts the broadcasts elsewhere; calm, since a broken record hides
 * the one before it from a checkpoint. */
static void a_checkpoint_is_a_beginning(void **state)
{
    (void)state;
    struct audit_log log;
    struct audit_log_options options = options_of(7);
    options.partition_count = 1;
    options.is_calm = true;
    audit_log_build(&log, &options);
    const struct audit_stream *journal = audit_log_stream(&log, PL_TOPIC_JOURNAL, 0);
    for (size_t at = 0; at < journal->count; at += 1 + at / 2) {
        struct pl_journal entry;
        struct replay_difference difference;
        struct replay_counts counts;
        assert_int_equal(pl_wire_journal_decode(&test.wire, journal->records[at].value, &entry),
                         PL_OK);
        struct bundle *bundle = tail_of(&log, &entry, at);
        if (run_bundle(bundle, 0, &difference, &counts))
            fail_msg("from entry %zu: %s", at + 1, pl_err_text());
        assert_int_equal(counts.entries, journal->count - at - 1);
        bundle_close(&bundle);
    }
    audit_log_free(&log);
}

/* ---- a bundle of one account ---------------------------------------------------------------- */

static bool is_of(const struct pl_record *record, const struct pl_id *account)
{
    return pl_wire_is_watermark(record->key) ||
           (record->key.size_bytes == account->size_bytes &&
            memcmp(record->key.data, account->text, account->size_bytes) == 0);
}

/* Of the journal only one entry, of the topics by account only one account. */
static struct bundle *part_of(const struct audit_log *log, const struct pl_id *account, size_t at)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, log->partition_count), PL_OK);
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        bool is_by_account = stream->topic != PL_TOPIC_JOURNAL &&
                             stream->topic != PL_TOPIC_CONTROL && stream->topic != PL_TOPIC_MARKS &&
                             stream->topic != PL_TOPIC_CHAINS &&
                             stream->topic != PL_TOPIC_PARAMETERS;
        for (size_t j = 0; j < stream->count; j++)
            if (stream->topic == PL_TOPIC_JOURNAL
                    ? stream->partition == 0 && j == at
                    : !is_by_account || is_of(&stream->records[j], account))
                assert_int_equal(bundle_append(writer, &stream->records[j]), PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}

static void decide_at(const struct bundle *bundle, const struct replay_limits *how,
                      const struct pl_id *account, uint64_t sequence, struct pl_decision *decision)
{
    struct replay *replay = NULL;
    uint32_t row = 0;
    bool found = false;
    if (replay_open(&replay, bundle, 0, how) || replay_seek(replay, sequence - 1) ||
        replay_enter(replay, &found))
        fail_msg("entry %llu: %s", (unsigned long long)sequence, pl_err_text());
    assert_true(found && replay_entry(replay)->sequence == sequence);
    assert_true(pl_book_find(replay_ledger(replay)->book, account, &row));
    ledger_decide_account(replay_ledger(replay), replay_venue(replay), row, decision);
    replay_close(&replay);
}

/* Explain needs no more of a log than its account. */
static void one_account_is_enough_to_look_at(void **state)
{
    (void)state;
    static struct pl_decision whole, part;
    const struct replay_limits partial = {.accounts_max = 16, .is_partial = true};
    const struct audit_stream *states = audit_log_stream(&test.log, PL_TOPIC_ACCOUNTS, 0);
    struct bundle *bundle = audit_log_bundle(&test.log);
    for (size_t i = 0; i < states->count; i += 1 + states->count / 12) {
        const struct pl_record *record = &states->records[i];
        struct pl_id account;
        assert_int_equal(pl_id_set(&account, record->key.data, record->key.size_bytes), PL_OK);
        struct bundle *own = part_of(&test.log, &account, sequence_of(record) - 1);
        decide_at(bundle, &limits, &account, sequence_of(record), &whole);
        decide_at(own, &partial, &account, sequence_of(record), &part);
        assert_true(whole.has_changed && part.has_changed);
        assert_int_equal(whole.state.state, part.state.state);
        assert_int_equal(whole.state.version, part.state.version);
        assert_int_equal(whole.sale.leg_count, part.sale.leg_count);
        assert_memory_equal(whole.verdict.excess, part.verdict.excess, sizeof(part.verdict.excess));
        bundle_close(&own);
    }
    bundle_close(&bundle);
}

/* ---- one field ------------------------------------------------------------------------------ */

/* The member at a path of names and numbers, "pending/0/executed_lots"; NULL when there is none. */
static json_t *member_of(json_t *json, const char *path, char last[64])
{
    char step[64];
    for (;;) {
        const char *slash = strchr(path, '/');
        if (!slash) {
            snprintf(last, 64, "%s", path);
            return json_object_get(json, path) ? json : NULL;
        }
        snprintf(step, sizeof(step), "%.*s", (int)(slash - path), path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atol(step))
                                   : json_object_get(json, step);
        path = slash + 1;
    }
}

/* Another value of the same kind: texts are numbers here. */
static json_t *changed(const json_t *value, const char *to)
{
    char text[64];
    if (to)
        return json_string(to);
    if (json_is_integer(value))
        return json_integer(json_integer_value(value) + 1);
    snprintf(text, sizeof(text), "%s", json_string_value(value));
    char *last = &text[strlen(text) - 1];
    *last = *last == '1' ? '2' : '1';
    return json_string(text);
}

/* Changes one field of a record; false where the record has no such field or it has that value. */
static bool change_field(struct pl_record *record, enum pl_topic topic, const char *path,
                         const char *to)
{
    json_t *json = NULL;
    char last[64];
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (pl_json_decode(topic, record->value, &json))
        return false;
    json_t *parent = member_of(json, path, last);
    json_t *value = parent ? changed(json_object_get(parent, last), to) : NULL;
    bool is_changed = value && !json_equal(value, json_object_get(parent, last));
    if (is_changed) {
        json_object_set(parent, last, value);
        assert_int_equal(pl_json_encode(topic, json, &bytes, &size_bytes), PL_OK);
        audit_log_set_value(record, (struct pl_bytes_view){bytes, size_bytes});
        free(bytes);
    }
    json_decref(value);
    json_decref(json);
    return is_changed;
}

/* What replay has to say. */
struct expectation {
    const char *what, *term;
    uint64_t sequence;
    struct pl_bytes_view account;
};

static void expect(const char *name, const struct expectation *expected)
{
    struct replay_difference difference;
    enum pl_err err = run(&test.log, 0, &difference);
    if (err != PL_FATAL_DIVERGED)
        fail_msg("%s: not found (%s)", name, err ? pl_err_text() : "identical");
    bool is_account = expected->account.size_bytes == 0 ||
                      (expected->account.size_bytes == difference.account.size_bytes &&
                       memcmp(expected->account.data, difference.account.text,
                              expected->account.size_bytes) == 0);
    if (strcmp(difference.what, expected->what) != 0 || !is_account ||
        (expected->sequence && difference.sequence != expected->sequence) ||
        (expected->term && strcmp(difference.term, expected->term) != 0))
        fail_msg("%s: expected %s %s of %.*s in entry %llu, was told: %s (%s)", name,
                 expected->what, expected->term ? expected->term : "",
                 (int)expected->account.size_bytes,
                 expected->account.data ? (const char *)expected->account.data : "nobody",
                 (unsigned long long)expected->sequence, difference.text, difference.term);
    assert_true(strlen(difference.text) > 40);
}

struct field_case {
    enum pl_topic topic;
    const char *what, *path, *to, *term;
};

static void changed_fields_are_named(void **state)
{
    (void)state;
    static const struct field_case cases[] = {
        {PL_TOPIC_ORDERS, "order", "lots", NULL, "lots"},
        {PL_TOPIC_ORDERS, "order", "side", "SIDE_BUY", "side"},
        {PL_TOPIC_ORDERS, "order", "limit_price/mantissa", NULL, "limit_price"},
        {PL_TOPIC_ORDERS, "order", "instrument", "COIN9", "instrument"},
        {PL_TOPIC_ORDERS, "order", "order_id", "00000000-0000-8000-8000-000000000000", "order_id"},
        {PL_TOPIC_ORDERS, "order", "valid_until_ms", NULL, "valid_until_ms"},
        {PL_TOPIC_ORDERS, "order", "proof/end_after/mantissa", NULL, "proof.end_after"},
        {PL_TOPIC_ORDERS, "order", "prices/0/tick", NULL, "prices[0].tick"},
        {PL_TOPIC_ALERTS, "alert", "kind", "KIND_CERTAIN", "kind"},
        {PL_TOPIC_ALERTS, "alert", "shortfall/mantissa", NULL, "shortfall"},
        {PL_TOPIC_ALERTS, "alert", "excess_end/mantissa", NULL, "excess_end"},
        {PL_TOPIC_ALERTS, "alert", "entered", "STATE_BANKRUPT", "entered"},
        {PL_TOPIC_ACCOUNTS, "state", "state", "STATE_BANKRUPT", "state"},
        {PL_TOPIC_ACCOUNTS, "state", "since_ms", NULL, "since_ms"},
        {PL_TOPIC_ACCOUNTS, "state", "version", NULL, "version"},
        {PL_TOPIC_ACCOUNTS, "state", "episode", NULL, "episode"},
        {PL_TOPIC_ACCOUNTS, "state", "pending/0/executed_lots", NULL, "pending[0].executed_lots"},
        {PL_TOPIC_ACCOUNTS, "state", "pending/0/progress", "PROGRESS_OVERDUE",
         "pending[0].progress"},
        {PL_TOPIC_ACCOUNTS, "state", "doubts/0/reason", "REASON_GAP", "doubts[0].reason"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct field_case *row = &cases[i];
        struct audit_stream *stream = audit_log_stream(&test.log, row->topic, 0);
        unsigned done = 0;
        for (size_t at = 0; at < stream->count && done < 2; at += 1 + done * stream->count / 2) {
            struct pl_record *record = &stream->records[at];
            const struct pl_record kept = *record;
            uint8_t *copy = malloc(kept.value.size_bytes);
            assert_non_null(copy);
            memcpy(copy, kept.value.data, kept.value.size_bytes);
            if (change_field(record, row->topic, row->path, row->to)) {
                done++;
                expect(row->path, &(struct expectation){row->what, row->term, sequence_of(record),
                                                        record->key});
                audit_log_set_value(record, (struct pl_bytes_view){copy, kept.value.size_bytes});
            }
            free(copy);
        }
        if (done == 0)
            fail_msg("%s: no record has it", row->path);
    }
}

/* ---- outputs too few and too many ----------------------------------------------------------- */

static struct pl_record take_record(struct audit_stream *stream, size_t at)
{
    struct pl_record record = stream->records[at];
    stream->count--;
    memmove(&stream->records[at], &stream->records[at + 1], (stream->count - at) * sizeof(record));
    return record;
}

static void put_record(struct audit_stream *stream, size_t at, struct pl_record record)
{
    memmove(&stream->records[at + 1], &stream->records[at], (stream->count - at) * sizeof(record));
    stream->records[at] = record;
    stream->count++;
}

static const struct {
    enum pl_topic topic;
    const char *what;
} outputs[] = {
    {PL_TOPIC_ORDERS, "order"}, {PL_TOPIC_ALERTS, "alert"}, {PL_TOPIC_ACCOUNTS, "state"}};

/* The first, a middle and the last one. */
static size_t place(const struct audit_stream *stream, size_t i)
{
    return i * (stream->count - 1) / 2;
}

static void dropped_outputs_are_missed(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(outputs) / sizeof(outputs[0]); t++) {
        struct audit_stream *stream = audit_log_stream(&test.log, outputs[t].topic, 0);
        for (size_t i = 0; i < 3; i++) {
            size_t at = place(stream, i);
            struct pl_record record = take_record(stream, at);
            expect("dropped",
                   &(struct expectation){outputs[t].what, NULL, sequence_of(&record), record.key});
            put_record(stream, at, record);
        }
    }
}

/* Puts another value in place of a header's and expects that the letter is missed. */
static void expect_other_header(struct pl_record *record, const char *name, uint64_t sequence)
{
    for (unsigned i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].name, name) != 0)
            continue;
        const struct pl_header kept = record->headers[i];
        record->headers[i].value = (struct pl_bytes_view){(const uint8_t *)"99", 2};
        expect(name, &(struct expectation){"dead letter", NULL, sequence, {NULL, 0}});
        record->headers[i] = kept;
        return;
    }
    fail_msg("no header %s", name);
}

static void dead_letters_are_compared(void **state)
{
    (void)state;
    unsigned done = 0;
    for (int32_t p = 0; p < PARTITIONS; p++) {
        struct audit_stream *stream = audit_log_stream(&test.log, PL_TOPIC_DEADLETTER, p);
        for (size_t at = 0; at < stream->count; at++) {
            int32_t partition = 0;
            uint64_t sequence = 0;
            struct pl_record *record = &stream->records[at];
            if (!pl_wire_journal_of(record->headers, record->header_count, &partition, &sequence) ||
                partition != 0)
                continue;
            expect_other_header(record, "__connect.errors.offset", sequence);
            expect_other_header(record, "__connect.errors.exception.class.name", sequence);
            struct pl_record taken = take_record(stream, at);
            expect("dead letter", &(struct expectation){"dead letter", NULL, sequence, {NULL, 0}});
            put_record(stream, at, taken);
            done++;
        }
    }
    assert_true(done > 2);
}

/* A second copy stands behind the first, and belongs to the same entry. */
static void doubled_outputs_are_one_too_many(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(outputs) / sizeof(outputs[0]); t++) {
        struct audit_stream *stream = audit_log_stream(&test.log, outputs[t].topic, 0);
        size_t at = stream->count / 2;
        while (at + 1 < stream->count &&
               stream->records[at].offset + 1 >= stream->records[at + 1].offset)
            at++; /* up to a transaction's marker, whose offset is free */
        struct pl_record record = stream->records[at];
        record.offset++;
        assert_true(stream->count < stream->capacity);
        put_record(stream, at + 1, record);
        expect("doubled",
               &(struct expectation){outputs[t].what, NULL, sequence_of(&record), record.key});
        (void)take_record(stream, at + 1);
    }
}

/* Nobody needs an order that says it belongs to a heartbeat. */
static void forged_outputs_are_extra(void **state)
{
    (void)state;
    struct audit_stream *stream = audit_log_stream(&test.log, PL_TOPIC_ORDERS, 0);
    struct pl_record *record = &stream->records[0];
    const struct pl_header kept = record->headers[0];
    assert_string_equal(kept.name, PL_JOURNAL_HEADER);
    record->headers[0].value = (struct pl_bytes_view){(const uint8_t *)"0/1", 3};
    expect("forged", &(struct expectation){"order", NULL, 1, record->key});
    record->headers[0].value = (struct pl_bytes_view){(const uint8_t *)"nothing", 7};
    expect("nameless", &(struct expectation){"order", NULL, 1, record->key});
    record->headers[0] = kept;
}

/* ---- inputs --------------------------------------------------------------------------------- */

/* The first entry of partition 0 that had read the record. */
static uint64_t reader_of(const struct pl_record *record)
{
    const struct audit_stream *journal = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 0);
    for (size_t i = 0; i < journal->count; i++) {
        struct pl_journal entry;
        assert_int_equal(pl_wire_journal_decode(&test.wire, journal->records[i].value, &entry),
                         PL_OK);
        if (journal_coordinate(&entry, record->topic)->offset > record->offset)
            return entry.sequence;
    }
    return 0;
}

static void inputs_are_those_of_the_step(void **state)
{
    (void)state;
    static const enum pl_topic topics[] = {PL_TOPIC_MARKS,      PL_TOPIC_HOLDINGS,
                                           PL_TOPIC_EXECUTIONS, PL_TOPIC_CONTROL,
                                           PL_TOPIC_PARAMETERS, PL_TOPIC_CHAINS};
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++) {
        struct audit_stream *stream = audit_log_stream(&test.log, topics[t], 0);
        for (size_t i = 0; i < 2; i++) {
            size_t at = place(stream, i);
            struct pl_record *record = &stream->records[at];
            const struct expectation expected = {
                "inputs", pl_topic_word(topics[t]), reader_of(record), {NULL, 0}};
            assert_true(expected.sequence > 0);
            uint8_t *last = audit_log_bytes(record->value) + record->value.size_bytes - 1;
            *last ^= 1;
            expect("changed input", &expected);
            *last ^= 1;
            struct pl_record taken = take_record(stream, at);
            expect("dropped input", &expected);
            put_record(stream, at, taken);
        }
    }
}

/* ---- entries that lie ----------------------------------------------------------------------- */

typedef void lie(struct pl_journal *entry);

static void lie_clock(struct pl_journal *entry)
{
    entry->clock_ms += 1;
}
static void lie_clock_back(struct pl_journal *entry)
{
    entry->clock_ms -= 1000000;
}
static void lie_book(struct pl_journal *entry)
{
    entry->book_digest.low ^= 1;
}
static void lie_settled(struct pl_journal *entry)
{
    entry->settled_digest.high ^= 1;
}
static void lie_outputs(struct pl_journal *entry)
{
    entry->outputs_digest[31] ^= 1;
}
static void lie_count(struct pl_journal *entry)
{
    entry->output_count++;
}
static void lie_epoch(struct pl_journal *entry)
{
    entry->parameter_epoch++;
}
static void lie_control(struct pl_journal *entry)
{
    entry->control_epoch++;
}
static void lie_readiness(struct pl_journal *entry)
{
    entry->readiness = PL_READINESS_WAITING;
}
static void lie_kind(struct pl_journal *entry)
{
    entry->kind = PL_JOURNAL_HEARTBEAT;
}
static void lie_sequence(struct pl_journal *entry)
{
    entry->sequence++;
}
static void lie_partition(struct pl_journal *entry)
{
    entry->partition = 1;
}
static void lie_previous(struct pl_journal *entry)
{
    entry->previous_hash[0] ^= 1;
}
static void lie_input(struct pl_journal *entry)
{
    entry->vector[3].digest[0] ^= 1;
}
static void lie_first(struct pl_journal *entry)
{
    entry->vector[4].first_offset--;
}

/* An entry that decides and has outputs, an alert among them, like the one before it: far from any
 * change of readiness. */
static size_t busy_entry(const struct audit_stream *journal)
{
    enum pl_readiness last = PL_READINESS_LOADING;
    const struct audit_stream *alerts = audit_log_stream(&test.log, PL_TOPIC_ALERTS, 0);
    for (size_t i = 0; i < journal->count; i++) {
        struct pl_journal entry;
        bool has_alert = false;
        assert_int_equal(pl_wire_journal_decode(&test.wire, journal->records[i].value, &entry),
                         PL_OK);
        for (size_t a = 0; a < alerts->count; a++)
            has_alert |= sequence_of(&alerts->records[a]) == entry.sequence;
        if (i > journal->count / 3 && has_alert && entry.kind == PL_JOURNAL_STEP &&
            last == PL_READINESS_DECIDING)
            return i;
        last = entry.readiness;
    }
    fail_msg("no such entry");
    return 0;
}

static void lying_entries_are_found(void **state)
{
    (void)state;
    static const struct {
        lie *lie;
        const char *what, *term;
    } cases[] = {
        {lie_clock, "alert", "created_ms"},
        {lie_clock_back, "clock", NULL},
        {lie_book, "book", NULL},
        {lie_settled, "digest", NULL},
        {lie_outputs, "digest", NULL},
        {lie_count, "digest", "output_count"},
        {lie_epoch, "epoch", "parameter_epoch"},
        {lie_control, "epoch", "control_epoch"},
        {lie_readiness, "readiness", NULL},
        {lie_kind, "journal", "kind"},
        {lie_sequence, "journal", "sequence"},
        {lie_partition, "journal", "partition"},
        {lie_previous, "journal", NULL},
        {lie_input, "inputs", "marks"},
        {lie_first, "inputs", "holdings"},
    };
    struct audit_stream *journal = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 0);
    size_t at = busy_entry(journal);
    const struct pl_record kept = journal->records[at];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pl_journal entry;
        struct expectation expected = {cases[i].what, cases[i].term, 0, {NULL, 0}};
        assert_int_equal(pl_wire_journal_decode(&test.wire, kept.value, &entry), PL_OK);
        cases[i].lie(&entry);
        expected.sequence = entry.sequence;
        pl_wire_reset(&test.wire);
        assert_int_equal(pl_wire_journal_encode(&test.wire, &entry, &journal->records[at].value),
                         PL_OK);
        /* Whatever says first what time it is. */
        if (cases[i].lie == lie_clock) {
            struct replay_difference difference;
            assert_int_equal(run(&test.log, 0, &difference), PL_FATAL_DIVERGED);
            assert_int_equal(difference.sequence, entry.sequence);
            assert_true(difference.term[0] && difference.account.size_bytes > 0);
        } else {
            expect("lie", &expected);
        }
        journal->records[at] = kept;
    }
}

/* What the self-audit stopped goes on only after a control record (G8). */
static void a_stopped_partition_stays_stopped(void **state)
{
    (void)state;
    struct audit_stream *journal = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 0);
    struct pl_journal last = {0};
    unsigned done = 0;
    for (size_t at = 0; at < journal->count; at++) {
        struct pl_journal entry;
        const struct pl_record kept = journal->records[at];
        assert_int_equal(pl_wire_journal_decode(&test.wire, kept.value, &entry), PL_OK);
        if (last.readiness == PL_READINESS_DIVERGED && entry.readiness == PL_READINESS_DIVERGED &&
            entry.control_epoch == last.control_epoch) {
            entry.readiness = PL_READINESS_DECIDING;
            entry.kind = PL_JOURNAL_READINESS;
            pl_wire_reset(&test.wire);
            assert_int_equal(
                pl_wire_journal_encode(&test.wire, &entry, &journal->records[at].value), PL_OK);
            expect("stopped", &(struct expectation){"readiness", NULL, entry.sequence, {NULL, 0}});
            journal->records[at] = kept;
            done++;
        }
        last = entry;
        last.readiness = done > 0 ? PL_READINESS_LOADING : entry.readiness; /* one is enough */
    }
    assert_true(done > 0);
}

/* What has no effect on this entry is found by the hash in the next. */
static void hidden_lies_break_the_chain(void **state)
{
    (void)state;
    struct audit_stream *journal = audit_log_stream(&test.log, PL_TOPIC_JOURNAL, 0);
    size_t at = busy_entry(journal);
    const struct pl_record kept = journal->records[at];
    struct pl_journal entry;
    assert_int_equal(pl_wire_journal_decode(&test.wire, kept.value, &entry), PL_OK);
    snprintf(entry.build, sizeof(entry.build), "another");
    pl_wire_reset(&test.wire);
    assert_int_equal(pl_wire_journal_encode(&test.wire, &entry, &journal->records[at].value),
                     PL_OK);
    expect("build", &(struct expectation){"journal", NULL, entry.sequence + 1, {NULL, 0}});
    journal->records[at] = kept;
    struct pl_record record = take_record(journal, at);
    expect("dropped entry",
           &(struct expectation){"journal", "sequence", entry.sequence + 1, {NULL, 0}});
    put_record(journal, at, record);
}

/* ---- verdicts ------------------------------------------------------------------------------- */

/* The fast evaluator's folded weights are wrong by one part per million: fewer than would change
 * anything that is published, and the plain one notices (G3). Those who are well have this tier
 * confirmed every few entries. */
static enum pl_err replay_with_wrong_weights(struct replay *replay, enum pl_tier tier)
{
    enum pl_err err = replay_seek(replay, 0);
    bool found = true;
    for (unsigned i = 0; !err && found && i < 4 * CONFIRM_TURNS; i++) {
        err = replay_enter(replay, &found);
        struct pl_market *market = replay_venue(replay)->market;
        for (uint32_t k = 0; k < market->listed_count; k++) {
            market->weights[tier][market->listed[k]].own_long += 1;
            market->weights[tier][market->listed[k]].own_short += 1;
        }
        if (!err)
            err = replay_next(replay, &found);
    }
    return err;
}

static void wrong_weights_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"alert", "initial", "end", "maintenance"};
    struct replay *replay = NULL;
    bool found = true;
    struct bundle *bundle = audit_log_bundle(&test.log);
    assert_int_equal(replay_open(&replay, bundle, 0, &limits), PL_OK);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        if (replay_with_wrong_weights(replay, tier) != PL_FATAL_DIVERGED)
            fail_msg("%s: not found", names[tier]);
        const struct replay_difference *difference = replay_difference(replay);
        if (strcmp(difference->what, "verdict") != 0 ||
            strcmp(difference->term, names[tier]) != 0 || difference->account.size_bytes == 0 ||
            difference->instrument.size_bytes == 0)
            fail_msg("%s: told %s", names[tier], difference->text);
        assert_int_equal(replay_next(replay, &found), PL_FATAL_DIVERGED); /* it goes no further */
    }
    replay_close(&replay);
    bundle_close(&bundle);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    struct replay *replay = NULL;
    struct bundle *bundle = audit_log_bundle(&test.log);
    assert_int_equal(replay_open(&replay, bundle, PARTITIONS, &limits), PL_FATAL_CONFIG);
    replay_close(&replay);
    replay_close(&replay);
    bundle_close(&bundle);
}

static int set_up(void **state)
{
    void *block = NULL;
    const size_t size_bytes = (size_t)64 << 20;
    const struct audit_log_options options = options_of(3);
    (void)state;
    if (pl_memory_map(size_bytes, &block))
        return -1;
    pl_wire_init(&test.wire, block, size_bytes);
    audit_log_build(&test.log, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    audit_log_free(&test.log);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worlds_are_identical),
        cmocka_unit_test(any_entry_is_a_beginning),
        cmocka_unit_test(a_checkpoint_is_a_beginning),
        cmocka_unit_test(one_account_is_enough_to_look_at),
        cmocka_unit_test(changed_fields_are_named),
        cmocka_unit_test(dropped_outputs_are_missed),
        cmocka_unit_test(dead_letters_are_compared),
        cmocka_unit_test(doubled_outputs_are_one_too_many),
        cmocka_unit_test(forged_outputs_are_extra),
        cmocka_unit_test(inputs_are_those_of_the_step),
        cmocka_unit_test(lying_entries_are_found),
        cmocka_unit_test(a_stopped_partition_stays_stopped),
        cmocka_unit_test(hidden_lies_break_the_chain),
        cmocka_unit_test(wrong_weights_are_found),
        cmocka_unit_test(what_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
