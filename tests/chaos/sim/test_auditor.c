/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor of the simulation finds what is broken, and nothing else: the logs of seeded venues
 * pass, and each of them with one thing damaged is reported under the name of the invariant that
 * it breaks.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plimsoll/v1/mark.pb-c.h"
#include "tests/chaos/sim/auditor.h"
#include "tests/chaos/sim/auditor_parts.h"
#include "tests/support/audit_log.h"
#include "tests/support/random.h"
#include "tests/support/records.h"
#include "tests/support/wire.h"

enum { SEEDS = 16, TRIES = 60 };

static struct auditor *s_auditor;

/* ---- one log --------------------------------------------------------------------------------- */

/* A log, one entry of it, and how it is fed. */
struct subject {
    struct audit_log log;
    int32_t partition;
    struct audit_stream *journal;
    size_t at; /* of the entry in the journal                               */
    uint64_t sequence;
    int orders, alerts, states, letters;
    bool is_deciding;

    const struct pl_record *stranger; /* written by another transaction             */
    const struct pl_record *aborted, *late;
    int64_t offset_wrong; /* added to the entry's committed offset       */
    bool offset_goes_back, has_no_commit, is_executed_late, is_executed_twice, is_invisible_order;
    bool must_not_diverge, is_aborted_first, has_no_order_id;
    const struct pl_offset *extra; /* one more committed offset, and who sent it */
    uint64_t extra_txn;
    bool ends; /* the finding is that of the end              */
    struct auditor_options options;
    struct auditor_facts facts;
};

static uint64_t txn_of(const struct subject *subject, int32_t partition, uint64_t sequence,
                       const struct pl_record *record)
{
    uint64_t txn = (uint64_t)(partition + 1) * 1000000 + sequence;
    return record && record == subject->stranger ? txn + 500000 : txn;
}

static const Plimsoll__V1__JournalEntry *unpack_entry(const struct pl_record *record)
{
    return plimsoll__v1__journal_entry__unpack(NULL, record->value.size_bytes, record->value.data);
}

static void free_entry(const Plimsoll__V1__JournalEntry *entry)
{
    plimsoll__v1__journal_entry__free_unpacked((Plimsoll__V1__JournalEntry *)(uintptr_t)entry,
                                               NULL);
}

static Plimsoll__V1__JournalEntry__Coordinate *coordinate(const Plimsoll__V1__JournalEntry *entry,
                                                          enum pl_topic topic)
{
    for (size_t i = 0; i < entry->n_vector; i++)
        if (strcmp(entry->vector[i]->topic, pl_topic_word(topic)) == 0)
            return entry->vector[i];
    fail_msg("no coordinate of %s", pl_topic_word(topic));
    return NULL;
}

static bool entry_of(const struct pl_record *record, int32_t *partition, uint64_t *sequence)
{
    return pl_wire_journal_of(record->headers, record->header_count, partition, sequence);
}

static void feed_offset(const struct subject *subject, enum pl_topic topic, int32_t partition,
                        int64_t offset, uint64_t txn)
{
    const struct pl_offset committed = {topic, partition, offset};
    (void)subject;
    auditor_offsets(s_auditor, &committed, txn);
}

/* The offsets that each entry's transaction committed. */
static void feed_offsets(const struct subject *subject, const struct audit_stream *journal)
{
    for (size_t i = 0; i < journal->count; i++) {
        const Plimsoll__V1__JournalEntry *entry = unpack_entry(&journal->records[i]);
        if (!entry)
            continue;
        bool is_ours = journal == subject->journal && i == subject->at;
        uint64_t txn = txn_of(subject, journal->partition, entry->sequence, NULL);
        if (!is_ours || !subject->has_no_commit)
            feed_offset(subject, PL_TOPIC_HOLDINGS, journal->partition,
                        coordinate(entry, PL_TOPIC_HOLDINGS)->offset +
                            (is_ours ? subject->offset_wrong : 0),
                        txn);
        if (is_ours && subject->offset_goes_back)
            feed_offset(subject, PL_TOPIC_HOLDINGS, journal->partition,
                        coordinate(entry, PL_TOPIC_HOLDINGS)->offset - 1, txn + 1);
        if (!is_ours || !subject->has_no_commit)
            feed_offset(subject, PL_TOPIC_EXECUTIONS, journal->partition,
                        coordinate(entry, PL_TOPIC_EXECUTIONS)->offset, txn);
        free_entry(entry);
    }
}

static void feed_stream(const struct subject *subject, const struct audit_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct pl_record *record = &stream->records[i];
        int32_t partition = stream->partition;
        uint64_t sequence = 0, txn = 0;
        if (stream->topic == PL_TOPIC_JOURNAL) {
            const Plimsoll__V1__JournalEntry *entry = unpack_entry(record);
            txn = entry ? txn_of(subject, partition, entry->sequence, record) : 0;
            if (entry)
                free_entry(entry);
        } else if (entry_of(record, &partition, &sequence)) {
            txn = txn_of(subject, partition, sequence, record);
        }
        if (record == subject->aborted && subject->is_aborted_first)
            auditor_aborted(s_auditor, record);
        if (record != subject->late)
            auditor_feed(s_auditor, record, txn);
        if (record == subject->aborted && !subject->is_aborted_first)
            auditor_aborted(s_auditor, record);
    }
}

static void feed_router(const struct subject *subject)
{
    const struct audit_stream *orders = audit_log_stream(&subject->log, PL_TOPIC_ORDERS,
                                                         subject->partition);
    for (size_t i = 0; i < orders->count; i++) {
        const struct pl_record *record = &orders->records[i];
        Plimsoll__V1__ForcedSaleOrder *order = plimsoll__v1__forced_sale_order__unpack(
            NULL, record->value.size_bytes, record->value.data);
        if (!order)
            continue;
        struct auditor_router_event event = {.kind = AUDITOR_ROUTER_EXECUTED,
                                             .order_id = order->order_id,
                                             .lots = (int64_t)order->lots,
                                             .now_ms = order->valid_until_ms};
        if (subject->is_executed_late && i == 0)
            event.now_ms++;
        if (subject->is_executed_twice && i == 0)
            event.lots *= 2;
        if (subject->is_invisible_order && i == 0)
            event.order_id = "00000000-0000-8000-8000-000000000000";
        if (subject->has_no_order_id && i == 0)
            event.order_id = "none";
        auditor_router(s_auditor, &event);
        plimsoll__v1__forced_sale_order__free_unpacked(order, NULL);
    }
}

static const struct auditor_finding *audit(struct subject *subject)
{
    subject->options.partition_count = subject->log.partition_count;
    subject->options.may_diverge = !subject->must_not_diverge;
    auditor_reset(s_auditor, &subject->options);
    for (unsigned i = 0; i < subject->log.stream_count; i++)
        feed_stream(subject, &subject->log.streams[i]);
    for (int32_t p = 0; p < subject->log.partition_count; p++)
        feed_offsets(subject, audit_log_stream(&subject->log, PL_TOPIC_JOURNAL, p));
    if (subject->extra)
        auditor_offsets(s_auditor, subject->extra, subject->extra_txn);
    feed_router(subject);
    const struct auditor_finding *finding = auditor_check(s_auditor);
    if (!finding && subject->late) {
        auditor_feed(s_auditor, subject->late, 0);
        finding = auditor_check(s_auditor);
    }
    return !finding && subject->ends ? auditor_end(s_auditor, &subject->facts) : finding;
}

/* Two partitions where much goes wrong, or one with one coin and nothing but prices. */
static struct audit_log_options options_of(uint64_t seed, unsigned accounts, bool is_small)
{
    return (struct audit_log_options){.seed = seed,
                                      .partition_count = is_small ? 1 : 2,
                                      .account_count = accounts,
                                      .coin_count = is_small ? 1 : 3,
                                      .step_count = 70,
                                      .heartbeat_steps = 2,
                                      .step_ms = 1000,
                                      .is_calm = is_small};
}

/* ---- logs that are right --------------------------------------------------------------------- */

static void test_right_logs_pass(void **state)
{
    (void)state;
    struct auditor_counts sum = {0}, counts;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct subject subject = {.options = {.seed = seed}};
        const struct audit_log_options options = options_of(seed, 6 + 2 * (unsigned)seed, false);
        audit_log_build(&subject.log, &options);
        const struct auditor_finding *finding = audit(&subject);
        if (finding)
            fail_msg("%s: %s", finding->invariant, finding->text);
        auditor_counts(s_auditor, &counts);
        sum.entries += counts.entries;
        sum.heartbeats += counts.heartbeats;
        sum.orders += counts.orders;
        sum.dead_letters += counts.dead_letters;
        sum.episodes += counts.episodes;
        sum.below += counts.below;
        sum.evaluations += counts.evaluations;
        audit_log_free(&subject.log);
    }
    /* What was never there was not checked. */
    assert_true(sum.entries > 500 && sum.heartbeats > 100 && sum.orders > 50);
    assert_true(sum.dead_letters > 50 && sum.episodes > 20 && sum.below > 50);
    assert_true(sum.evaluations > 1000);
}

/* Cuts what the last entry of a partition has not read. */
static void cut(struct audit_log *log, int32_t partition)
{
    static const enum pl_topic topics[] = {PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS};
    const struct audit_stream *journal = audit_log_stream(log, PL_TOPIC_JOURNAL, partition);
    const Plimsoll__V1__JournalEntry *entry = unpack_entry(&journal->records[journal->count - 1]);
    for (size_t i = 0; i < TEST_COUNT(topics); i++) {
        struct audit_stream *stream = audit_log_stream(log, topics[i], partition);
        while (stream->count > 0 &&
               stream->records[stream->count - 1].offset >= coordinate(entry, topics[i])->offset)
            audit_log_remove(stream, stream->count - 1);
    }
    free_entry(entry);
}

/* Offsets and liveness are right at the end of a log that ends well. */
static void test_right_end_passes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct subject subject = {.options = {.seed = seed}, .ends = true};
        const struct audit_log_options options = options_of(seed, 8, true);
        audit_log_build(&subject.log, &options);
        const struct audit_stream *journal = audit_log_stream(&subject.log, PL_TOPIC_JOURNAL, 0);
        const Plimsoll__V1__JournalEntry *entry = unpack_entry(
            &journal->records[journal->count - 1]);
        cut(&subject.log, 0);
        subject.facts = (struct auditor_facts){
            .is_calm = true, .now_ms = entry->clock_ms + 10, .silent_ms_max = 10};
        free_entry(entry);
        const struct auditor_finding *finding = audit(&subject);
        if (finding)
            fail_msg("%s: %s", finding->invariant, finding->text);
        audit_log_free(&subject.log);
    }
}

/* ---- finding a place for the damage ---------------------------------------------------------- */

static struct pl_record *output_of(const struct subject *subject, enum pl_topic topic, int nth,
                                   struct audit_stream **stream, size_t *at)
{
    for (unsigned i = 0; i < subject->log.stream_count; i++) {
        *stream = &subject->log.streams[i];
        for (*at = 0; (*stream)->topic == topic && *at < (*stream)->count; ++*at) {
            struct pl_record *record = &(*stream)->records[*at];
            int32_t partition = -1;
            uint64_t sequence = 0;
            if (entry_of(record, &partition, &sequence) && partition == subject->partition &&
                sequence == subject->sequence && nth-- == 0)
                return record;
        }
    }
    return NULL;
}

static int count_of(const struct subject *subject, enum pl_topic topic)
{
    struct audit_stream *stream;
    size_t at;
    int count = 0;
    while (output_of(subject, topic, count, &stream, &at))
        count++;
    return count;
}

/* Makes entry `at` of partition p the subject's. */
static void look_at(struct subject *subject, int32_t partition, size_t at)
{
    *subject = (struct subject){.log = subject->log,
                                .partition = partition,
                                .at = at,
                                .options = {.seed = subject->options.seed}};
    subject->journal = audit_log_stream(&subject->log, PL_TOPIC_JOURNAL, partition);
    const Plimsoll__V1__JournalEntry *entry = unpack_entry(&subject->journal->records[at]);
    subject->sequence = entry->sequence;
    subject->is_deciding = entry->readiness ==
                           PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING;
    free_entry(entry);
    subject->orders = count_of(subject, PL_TOPIC_ORDERS);
    subject->alerts = count_of(subject, PL_TOPIC_ALERTS);
    subject->states = count_of(subject, PL_TOPIC_ACCOUNTS);
    subject->letters = count_of(subject, PL_TOPIC_DEADLETTER);
}

/* ---- changing records ------------------------------------------------------------------------ */

static void repack(struct pl_record *record, const ProtobufCMessage *message)
{
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size_bytes + 1);
    assert_non_null(bytes);
    protobuf_c_message_pack(message, bytes);
    audit_log_set_value(record, (struct pl_bytes_view){bytes, size_bytes});
    free(bytes);
}

#define EDIT(record, type, name, change)                                                           \
    do {                                                                                           \
        struct pl_record *edited = (record);                                                       \
        type *name = (type *)protobuf_c_message_unpack(                                            \
            DESCRIPTOR(name), NULL, edited->value.size_bytes, edited->value.data);                 \
        assert_non_null(name);                                                                     \
        change;                                                                                    \
        repack(edited, &name->base);                                                               \
        protobuf_c_message_free_unpacked(&name->base, NULL);                                       \
    } while (0)
#define DESCRIPTOR(name)                                                                           \
    _Generic((name), Plimsoll__V1__ForcedSaleOrder *                                               \
             : &plimsoll__v1__forced_sale_order__descriptor, Plimsoll__V1__MarginCall *            \
             : &plimsoll__v1__margin_call__descriptor, Plimsoll__V1__AccountState *                \
             : &plimsoll__v1__account_state__descriptor, Plimsoll__V1__JournalEntry *              \
             : &plimsoll__v1__journal_entry__descriptor, Plimsoll__V1__Mark *                      \
             : &plimsoll__v1__mark__descriptor)
#define EDIT_ENTRY(subject, change)                                                                \
    EDIT(&(subject)->journal->records[(subject)->at], Plimsoll__V1__JournalEntry, entry, change)

static struct pl_record *first_of(const struct subject *subject, enum pl_topic topic)
{
    struct audit_stream *stream;
    size_t at;
    return output_of(subject, topic, 0, &stream, &at);
}

/* Removes an output, and from the entry's count. */
static void remove_output(struct subject *subject, enum pl_topic topic, int nth)
{
    struct audit_stream *stream;
    size_t at;
    assert_non_null(output_of(subject, topic, nth, &stream, &at));
    audit_log_remove(stream, at);
    EDIT_ENTRY(subject, entry->output_count--);
}

static struct pl_bytes_view heap_copy(const void *bytes, size_t size_bytes)
{
    uint8_t *copy = bytes ? malloc(size_bytes + 1) : NULL;
    if (copy)
        memcpy(copy, bytes, size_bytes);
    return (struct pl_bytes_view){copy, size_bytes};
}

/* A record of its own at an offset that no other has. */
static void insert(struct audit_stream *stream, int64_t offset, const struct pl_record *like,
                   struct pl_bytes_view value)
{
    struct pl_record record = *like;
    record.offset = offset;
    record.topic = stream->topic;
    record.partition = stream->partition;
    record.key = heap_copy(like->key.data, like->key.size_bytes);
    record.value = heap_copy(value.data, value.size_bytes);
    for (unsigned i = 0; i < record.header_count; i++) {
        record.headers[i].name = strdup(like->headers[i].name);
        record.headers[i].value = heap_copy(like->headers[i].value.data,
                                            like->headers[i].value.size_bytes);
    }
    stream->capacity = stream->count + 1;
    stream->records = realloc(stream->records, stream->capacity * sizeof(*stream->records));
    assert_non_null(stream->records);
    size_t at = stream->count++;
    for (; at > 0 && stream->records[at - 1].offset > offset; at--)
        stream->records[at] = stream->records[at - 1];
    stream->records[at] = record;
}

/* Makes the digests of what the entry has read those of the records that are there now. */
static void seal_inputs(struct subject *subject)
{
    struct pl_inputs_digest digest;
    assert_int_equal(pl_inputs_digest_begin(&digest), PL_OK);
    EDIT_ENTRY(
        subject, for (size_t i = 0; i < entry->n_vector; i++) {
            Plimsoll__V1__JournalEntry__Coordinate *at = entry->vector[i];
            enum pl_topic topic = PL_TOPIC_COUNT;
            assert_true(pl_topic_from_word(at->topic, &topic));
            const struct audit_stream *stream = audit_log_stream(&subject->log, topic,
                                                                 at->partition);
            pl_inputs_digest_reset(&digest);
            for (size_t j = 0; j < stream->count; j++) {
                const struct pl_record *record = &stream->records[j];
                uint8_t hash[PL_HASH_BYTES];
                if (record->offset < at->first_offset || record->offset >= at->offset)
                    continue;
                pl_wire_input_hash(record->offset, record->key, record->value, hash);
                pl_inputs_digest_add(&digest, hash);
            }
            pl_inputs_digest_read(&digest, at->digest.data);
        });
    pl_inputs_digest_end(&digest);
}

/* The newest record of an input that the entry was the first to account for; NULL: it read none. */
static struct pl_record *newest_input(const struct subject *subject, enum pl_topic topic)
{
    const struct audit_stream *stream = audit_log_stream(
        &subject->log, topic, topic == PL_TOPIC_HOLDINGS ? subject->partition : 0);
    const Plimsoll__V1__JournalEntry *entry = unpack_entry(&subject->journal->records[subject->at]);
    const Plimsoll__V1__JournalEntry__Coordinate *at = coordinate(entry, topic);
    struct pl_record *found = NULL;
    for (size_t i = 0; i < stream->count; i++)
        if (stream->records[i].offset >= at->first_offset && stream->records[i].offset < at->offset)
            found = &stream->records[i];
    free_entry(entry);
    return found;
}

static bool is_first_sale(const struct subject *subject)
{
    bool is_first = false;
    if (subject->orders > 0)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_first = order->revision == 1 &&
                        order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL);
    return is_first;
}

/* ---- the damage: each false where the entry gives no occasion -------------------------------- */

#define EDIT_ORDER(subject, change)                                                                \
    if ((subject)->orders == 0)                                                                    \
        return false;                                                                              \
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order, change);        \
    return true

static bool no_dead_letter(struct subject *subject)
{
    if (subject->letters == 0)
        return false;
    remove_output(subject, PL_TOPIC_DEADLETTER, 0);
    return true;
}

static bool dead_letter_changed(struct subject *subject)
{
    struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    if (!letter || letter->value.size_bytes == 0)
        return false;
    audit_log_bytes(letter->value)[0] ^= 1;
    return true;
}

static bool dead_letter_of_another(struct subject *subject)
{
    struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    for (unsigned i = 0; letter && i < letter->header_count; i++)
        if (strcmp(letter->headers[i].name, "kafka_dlt-original-offset") == 0)
            audit_log_bytes(letter->headers[i].value)[7] ^= 1;
    return letter;
}

static bool dead_letter_twice(struct subject *subject)
{
    const struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    if (!letter)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_DEADLETTER,
                                                   letter->partition);
    insert(stream, stream->end, letter, letter->value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool input_passed_over(struct subject *subject)
{
    if (subject->at == 0 || !newest_input(subject, PL_TOPIC_HOLDINGS))
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_HOLDINGS)->first_offset++);
    return true;
}

/* An offset that the entry has passed and no record of the holdings has: a marker's. */
static bool find_hole(const struct subject *subject, int64_t *offset)
{
    const struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_HOLDINGS,
                                                         subject->partition);
    const struct pl_record *last = newest_input(subject, PL_TOPIC_HOLDINGS);
    if (!last)
        return false;
    *offset = last->offset + 1;
    for (size_t i = 0; i < stream->count; i++)
        if (stream->records[i].offset == *offset)
            return false;
    const Plimsoll__V1__JournalEntry *entry = unpack_entry(&subject->journal->records[subject->at]);
    bool is_passed = *offset < coordinate(entry, PL_TOPIC_HOLDINGS)->offset;
    free_entry(entry);
    return is_passed;
}

static bool input_comes_late(struct subject *subject)
{
    static struct pl_record late;
    int64_t offset = 0;
    if (!find_hole(subject, &offset))
        return false;
    late = *newest_input(subject, PL_TOPIC_HOLDINGS);
    late.offset = offset;
    subject->late = &late;
    return true;
}

static bool order_twice(struct subject *subject)
{
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (!order)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ORDERS,
                                                   subject->partition);
    insert(stream, stream->end, order, order->value);
    return true;
}

static bool plan_id_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->plan_id[0] = order->plan_id[0] == '0' ? '1' : '0');
}

static bool order_id_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->order_id[0] = order->order_id[0] == '0' ? '1' : '0');
}

static bool revision_skipped(struct subject *subject)
{
    EDIT_ORDER(subject, order->revision++);
}

static bool clock_goes_back(struct subject *subject)
{
    if (subject->at == 0)
        return false;
    EDIT_ENTRY(subject, entry->clock_ms -= 3600000);
    return true;
}

static bool sold_on_a_stale_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->event_time_ms -= 3600000);
    seal_inputs(subject);
    return true;
}

static bool sold_on_a_halted_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message,
         message->status = PLIMSOLL__V1__MARK__STATUS__STATUS_HALTED);
    seal_inputs(subject);
    return true;
}

static bool sold_while_tainted(struct subject *subject)
{
    static const char garbage[] = "garbage";
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    int64_t offset = 0;
    if (!order || !find_hole(subject, &offset))
        return false;
    const struct pl_record like = {.key = order->key};
    insert(audit_log_stream(&subject->log, PL_TOPIC_HOLDINGS, subject->partition), offset, &like,
           (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    seal_inputs(subject);
    return true;
}

static bool decides_on_old_positions(struct subject *subject)
{
    if (!subject->is_deciding)
        return false;
    EDIT_ENTRY(subject, entry->clock_ms += 3600000);
    return true;
}

static bool valid_for_longer(struct subject *subject)
{
    EDIT_ORDER(subject, order->valid_until_ms++);
}

static bool executed_late(struct subject *subject)
{
    subject->is_executed_late = subject->orders > 0;
    return subject->is_executed_late;
}

static bool executed_twice(struct subject *subject)
{
    subject->is_executed_twice = subject->orders > 0;
    return subject->is_executed_twice;
}

static bool executed_invisible(struct subject *subject)
{
    subject->is_invisible_order = subject->orders > 0;
    return subject->is_invisible_order;
}

static bool output_of_another_transaction(struct subject *subject)
{
    subject->stranger = first_of(subject, PL_TOPIC_ORDERS);
    return subject->stranger;
}

static bool output_missing(struct subject *subject)
{
    struct audit_stream *stream;
    size_t at;
    if (!output_of(subject, PL_TOPIC_ALERTS, 0, &stream, &at))
        return false;
    audit_log_remove(stream, at);
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool output_without_entry(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (!order)
        return false;
    audit_log_bytes(order->headers[0].value)[0] = 'x';
    return true;
}

static bool output_too_many(struct subject *subject)
{
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (!alert)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ALERTS,
                                                   subject->partition);
    insert(stream, stream->end, alert, alert->value);
    return true;
}

static bool committed_elsewhere(struct subject *subject)
{
    subject->offset_wrong = -1;
    return subject->at == 0;
}

static bool committed_goes_back(struct subject *subject)
{
    subject->offset_goes_back = true;
    return true;
}

static bool committed_never(struct subject *subject)
{
    subject->has_no_commit = true;
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool vector_goes_back(struct subject *subject)
{
    if (subject->at == 0)
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_MARKS)->offset = 0;
               coordinate(entry, PL_TOPIC_MARKS)->first_offset = 0);
    return true;
}

static bool aborted_is_visible(struct subject *subject)
{
    subject->aborted = first_of(subject, PL_TOPIC_ORDERS);
    return subject->aborted;
}

static bool older_holdings(struct subject *subject)
{
    EDIT_ORDER(subject, order->holdings_version--);
}

static bool too_many_accounts(struct subject *subject)
{
    subject->options.accounts_max = 2;
    return true;
}

static bool too_many_outputs(struct subject *subject)
{
    subject->options.outputs_max = 2;
    return true;
}

/* The log ends with the last entry, and the world is calm. */
static void end_calmly(struct subject *subject, int64_t silent_ms_max)
{
    for (int32_t p = 0; p < subject->log.partition_count; p++)
        cut(&subject->log, p);
    subject->ends = true;
    EDIT_ENTRY(subject, subject->facts = ((struct auditor_facts){.is_calm = true,
                                                                 .now_ms = entry->clock_ms + 5000,
                                                                 .silent_ms_max = silent_ms_max}));
}

static bool silent(struct subject *subject)
{
    if (subject->at != subject->journal->count - 1 || !subject->is_deciding)
        return false;
    end_calmly(subject, 4999);
    return true;
}

static bool undecided_at_last(struct subject *subject)
{
    if (subject->at != subject->journal->count - 1 || subject->is_deciding)
        return false;
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool output_of_no_entry(struct subject *subject)
{
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    char text[PL_JOURNAL_TEXT_BYTES];
    if (!alert)
        return false;
    struct pl_record like = *alert;
    like.headers[0] = pl_wire_journal_header(subject->partition, 1000000, text);
    like.header_count = 1;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ALERTS,
                                                   subject->partition);
    insert(stream, stream->end, &like, alert->value);
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool committed_by_nobody(struct subject *subject)
{
    static struct pl_offset extra;
    extra = (struct pl_offset){PL_TOPIC_HOLDINGS, subject->partition, INT64_MAX};
    subject->extra = &extra;
    subject->extra_txn = 99999999;
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool committed_by_an_operator(struct subject *subject)
{
    bool is_done = committed_by_nobody(subject);
    subject->extra_txn = 0;
    return is_done;
}

static bool output_of_another_partition(struct subject *subject)
{
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->headers[0].value)[0] = subject->partition == 0 ? '1' : '0';
    return order;
}

static bool output_comes_late(struct subject *subject)
{
    static struct pl_record late;
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (!alert)
        return false;
    late = *alert;
    late.offset = audit_log_stream(&subject->log, PL_TOPIC_ALERTS, subject->partition)->end;
    subject->late = &late;
    return true;
}

static bool aborted_becomes_visible(struct subject *subject)
{
    subject->aborted = first_of(subject, PL_TOPIC_ORDERS);
    subject->is_aborted_first = true;
    return subject->aborted;
}

static bool router_without_id(struct subject *subject)
{
    subject->has_no_order_id = subject->orders > 0;
    return subject->has_no_order_id;
}

static bool order_unreadable(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->value)[order->value.size_bytes - 1] ^= 0x80;
    return order;
}

/* The plan of the partition's first order, once more. */
static bool plan_twice(struct subject *subject)
{
    const struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ORDERS,
                                                         subject->partition);
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    int32_t partition = 0;
    uint64_t sequence = 0;
    if (!order || !entry_of(&stream->records[0], &partition, &sequence) ||
        sequence == subject->sequence)
        return false;
    char plan_id[PL_UUID_TEXT_BYTES];
    EDIT(&stream->records[0], Plimsoll__V1__ForcedSaleOrder, message,
         snprintf(plan_id, sizeof(plan_id), "%s", message->plan_id));
    EDIT(order, Plimsoll__V1__ForcedSaleOrder, message,
         snprintf(message->plan_id, sizeof(plan_id), "%s", plan_id));
    return true;
}

static bool no_parameters(struct subject *subject)
{
    const struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_PARAMETERS, 0);
    if (subject->at > 0)
        return false;
    for (size_t i = 0; i < stream->count; i++)
        audit_log_bytes(stream->records[i].key)[0] = 'x';
    seal_inputs(subject);
    return true;
}

static bool never_read(struct subject *subject)
{
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_HOLDINGS,
                                                   subject->partition);
    const struct pl_record like = stream->records[stream->count - 1];
    if (subject->at != subject->journal->count - 1 || !subject->is_deciding)
        return false;
    insert(stream, stream->end + 10, &like, like.value);
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool previous_hash_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->previous_hash.data[7] ^= 1);
    return true;
}

static bool entry_removed(struct subject *subject)
{
    if (subject->orders + subject->alerts + subject->states + subject->letters > 0 ||
        subject->at + 1 >= subject->journal->count)
        return false;
    audit_log_remove(subject->journal, subject->at);
    return true;
}

static bool entry_unreadable(struct subject *subject)
{
    static const char garbage[] = "garbage";
    audit_log_set_value(&subject->journal->records[subject->at],
                        (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    return true;
}

static bool entry_under_another_key(struct subject *subject)
{
    audit_log_bytes(subject->journal->records[subject->at].key)[0] = '9';
    return true;
}

static bool coordinate_missing(struct subject *subject)
{
    EDIT_ENTRY(subject, memcpy(coordinate(entry, PL_TOPIC_CHAINS)->topic, "prices", 6));
    return true;
}

static bool reports_passed_undecided(struct subject *subject)
{
    if (subject->is_deciding)
        return false;
    subject->has_no_commit = true; /* which would tell as well, and first */
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_EXECUTIONS)->offset++);
    return true;
}

static bool first_input_passed_over(struct subject *subject)
{
    const struct pl_record *record = newest_input(subject, PL_TOPIC_HOLDINGS);
    if (subject->at > 0 || !record)
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_HOLDINGS)->first_offset = record->offset + 1);
    return true;
}

static bool self_audit_diverges(struct subject *subject)
{
    subject->must_not_diverge = true;
    bool is_stopped = false;
    EDIT_ENTRY(subject, is_stopped = entry->readiness ==
                                     PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED);
    return is_stopped;
}

/* Two decisions of one alert and one state each change places. */
static bool decisions_swapped(struct subject *subject)
{
    static const enum pl_topic topics[] = {PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS};
    const struct pl_record *records[2][2];
    struct audit_stream *stream;
    size_t at[2];
    if (subject->orders > 0 || subject->alerts != 2 || subject->states != 2)
        return false;
    for (size_t i = 0; i < 2; i++)
        for (int nth = 0; nth < 2; nth++)
            records[i][nth] = output_of(subject, topics[i], nth, &stream, &at[0]);
    for (int nth = 0; nth < 2; nth++)
        if (records[0][nth]->key.size_bytes != records[1][nth]->key.size_bytes ||
            memcmp(records[0][nth]->key.data, records[1][nth]->key.data,
                   records[0][nth]->key.size_bytes) != 0)
            return false;
    for (size_t i = 0; i < 2; i++) {
        output_of(subject, topics[i], 0, &stream, &at[0]);
        output_of(subject, topics[i], 1, &stream, &at[1]);
        audit_log_swap_values(stream, at[0], at[1]);
    }
    return true;
}

static bool waits_for_nothing(struct subject *subject)
{
    if (!subject->is_deciding)
        return false;
    EDIT_ENTRY(subject,
               entry->readiness = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_WAITING);
    return true;
}

static bool goes_on_after_divergence(struct subject *subject)
{
    static const Plimsoll__V1__JournalEntry__Readiness diverged =
        PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED;
    bool is_stopped = subject->at > 0;
    if (is_stopped)
        EDIT(&subject->journal->records[subject->at - 1], Plimsoll__V1__JournalEntry, entry,
             is_stopped = entry->readiness == diverged);
    if (!is_stopped)
        return false;
    EDIT_ENTRY(subject, is_stopped = entry->readiness == diverged;
               if (is_stopped)
                   entry->readiness = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING);
    return is_stopped;
}

/* A decision stands with an entry that may not decide. */
static bool decided_undecided(struct subject *subject)
{
    struct audit_stream *states = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    char text[PL_JOURNAL_TEXT_BYTES];
    if (subject->is_deciding || states->count == 0)
        return false;
    struct pl_record like = states->records[0];
    const struct pl_header header = pl_wire_journal_header(subject->partition, subject->sequence,
                                                           text);
    like.headers[0] = header;
    like.header_count = 1;
    insert(states, states->end, &like, like.value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool kind_wrong(struct subject *subject)
{
    bool is_taken = false;
    EDIT_ENTRY(subject, is_taken = entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP;
               if (is_taken) entry->kind = PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_HEARTBEAT);
    return is_taken;
}

static bool readiness_untold(struct subject *subject)
{
    bool is_taken = false;
    EDIT_ENTRY(subject,
               is_taken = subject->at > 0 && entry->output_count > 0 &&
                          entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_READINESS);
    if (is_taken)
        EDIT(&subject->journal->records[subject->at - 1], Plimsoll__V1__JournalEntry, entry,
             is_taken = entry->readiness !=
                        PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING);
    is_taken = is_taken && subject->is_deciding;
    if (is_taken)
        EDIT_ENTRY(subject, entry->kind = PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP);
    return is_taken;
}

static bool epoch_of_another(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->parameter_epoch++);
    return true;
}

static bool outputs_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->outputs_digest.data[31] ^= 1);
    return true;
}

static bool book_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->book_digest.data[0] ^= 1);
    return true;
}

static bool states_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->settled_digest.data[15] ^= 1);
    return true;
}

static bool input_bit_flipped(struct subject *subject)
{
    const struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark)
        return false;
    audit_log_bytes(mark->value)[mark->value.size_bytes - 1] ^= 1;
    return true;
}

static bool sold_above_the_line(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->price->mantissa *= 2;
         message->low->mantissa *= 2; message->high->mantissa *= 2);
    seal_inputs(subject);
    return true;
}

/* Removes everything that the entry published for an account. */
static void remove_all_of(struct subject *subject, struct pl_bytes_view key)
{
    static const enum pl_topic topics[] = {PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS};
    for (size_t i = 0; i < TEST_COUNT(topics); i++) {
        struct audit_stream *stream;
        size_t at;
        const struct pl_record *record;
        for (int nth = 0; (record = output_of(subject, topics[i], nth, &stream, &at));)
            if (record->key.size_bytes == key.size_bytes &&
                memcmp(record->key.data, key.data, key.size_bytes) == 0)
                remove_output(subject, topics[i], nth);
            else
                nth++;
    }
}

static bool account_skipped(struct subject *subject)
{
    if (!is_first_sale(subject))
        return false;
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    struct pl_bytes_view key = heap_copy(order->key.data, order->key.size_bytes);
    remove_all_of(subject, key);
    free((void *)(uintptr_t)key.data);
    return true;
}

/* Nobody has had a state yet, and a price falls by seven eighths. */
static bool nobody_looked(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    const struct audit_stream *states = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS, 0);
    int32_t partition = 0;
    uint64_t sequence = 0;
    bool is_idle = states->count > 0 && subject->is_deciding &&
                   entry_of(&states->records[0], &partition, &sequence) &&
                   subject->sequence < sequence;
    if (!mark || !is_idle)
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->price->mantissa /= 8;
         message->low->mantissa /= 8; message->high->mantissa /= 8);
    seal_inputs(subject);
    return true;
}

static bool one_lot_too_many(struct subject *subject)
{
    bool is_taken = false;
    if (is_first_sale(subject) && subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = order->reason ==
                        PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE;
             order->lots += is_taken);
    return is_taken;
}

static bool one_lot_too_few(struct subject *subject)
{
    bool is_taken = false;
    if (is_first_sale(subject) && subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = order->reason ==
                        PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE;
             order->lots -= is_taken);
    return is_taken;
}

static bool more_than_there_is(struct subject *subject)
{
    EDIT_ORDER(subject, order->lots = INT64_MAX);
}

static bool limit_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->limit_price->mantissa++);
}

static bool proof_wrong(struct subject *subject)
{
    EDIT_ORDER(subject, order->proof->end_after->mantissa[0] =
                            order->proof->end_after->mantissa[0] == '1' ? '2' : '1');
}

static bool epoch_of_order(struct subject *subject)
{
    EDIT_ORDER(subject, order->control_epoch++);
}

static bool leg_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->leg++);
}

static bool side_wrong(struct subject *subject)
{
    EDIT_ORDER(subject,
               order->side = order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL
                                 ? PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_BUY
                                 : PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL);
}

static void turn_reason(Plimsoll__V1__ForcedSaleOrder *order)
{
    static const Plimsoll__V1__ForcedSaleOrder__Reason
        below = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE,
        bankrupt = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;
    order->reason = order->reason == below ? bankrupt : below;
}

static bool turn_reasons(struct subject *subject, bool of_bankrupt)
{
    bool is_taken = false;
    if (subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = (order->reason ==
                         PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT) == of_bankrupt;
             if (is_taken) turn_reason(order));
    return is_taken;
}

static bool called_bankrupt(struct subject *subject)
{
    return turn_reasons(subject, false);
}

static bool not_called_bankrupt(struct subject *subject)
{
    return turn_reasons(subject, true);
}

/* The orders of a plan of two legs, as records. */
static bool two_legs(const struct subject *subject, struct pl_record *legs[2], size_t at[2])
{
    struct audit_stream *stream;
    bool is_plan = true;
    for (int i = 0; i < 2; i++) {
        legs[i] = output_of(subject, PL_TOPIC_ORDERS, i, &stream, &at[i]);
        if (!legs[i])
            return false;
        EDIT(legs[i], Plimsoll__V1__ForcedSaleOrder, order,
             is_plan = is_plan && order->leg_count == 2 && order->leg == (uint32_t)i + 1);
    }
    return is_plan;
}

static bool reasons_differ(struct subject *subject)
{
    struct pl_record *legs[2];
    size_t at[2];
    if (!two_legs(subject, legs, at))
        return false;
    EDIT(legs[1], Plimsoll__V1__ForcedSaleOrder, order, turn_reason(order));
    return true;
}

static bool legs_swapped(struct subject *subject)
{
    struct pl_record *legs[2];
    size_t at[2];
    if (!two_legs(subject, legs, at))
        return false;
    audit_log_swap_values(audit_log_stream(&subject->log, PL_TOPIC_ORDERS, subject->partition),
                          at[0], at[1]);
    for (uint32_t i = 0; i < 2; i++)
        EDIT(legs[i], Plimsoll__V1__ForcedSaleOrder, order, order->leg = i + 1);
    return true;
}

/* An order for what the account does not hold, under the id that it would have. */
static bool sells_what_is_not_held(struct subject *subject)
{
    uint8_t plan_id[PL_ORDER_ID_BYTES], order_id[PL_ORDER_ID_BYTES];
    EDIT_ORDER(subject, order->instrument[0] = 'X';
               auditor_plan_id(order->account, order->episode, order->revision, plan_id);
               auditor_order_id(plan_id, order->instrument, order_id);
               pl_uuid_print(order_id, order->order_id));
}

/* A price so low that even what a bad mark may hope for is below the line. */
static bool sells_on_a_stale_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject) || subject->orders != 1)
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->event_time_ms -= 3600000;
         message->price->mantissa /= 4; message->low->mantissa /= 4; message->high->mantissa /= 4);
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
         order->prices[0]->event_time_ms -= 3600000;
         order->prices[0]->price->mantissa /= 4);
    seal_inputs(subject);
    return true;
}

static bool price_too_many(struct subject *subject)
{
    struct pl_record *record = first_of(subject, PL_TOPIC_ORDERS);
    if (!record)
        return false;
    Plimsoll__V1__ForcedSaleOrder *twin = plimsoll__v1__forced_sale_order__unpack(
        NULL, record->value.size_bytes, record->value.data);
    EDIT(record, Plimsoll__V1__ForcedSaleOrder, order,
         order->prices = realloc(order->prices, (order->n_prices + 1) * sizeof(*order->prices));
         order->prices[order->n_prices++] = twin->prices[0]; twin->prices[0] = NULL);
    plimsoll__v1__forced_sale_order__free_unpacked(twin, NULL);
    return true;
}

static bool price_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->prices[0]->tick++);
}

static bool sold_after_a_halt(struct subject *subject)
{
    struct pl_bytes_view key, value;
    static struct pl_wire *wire;
    const struct pl_control halt = {
        .is_halt = true, .epoch = 1000, .actor = "test", .reason = "test"};
    if (subject->orders == 0)
        return false;
    wire = test_wire();
    assert_int_equal(pl_wire_control_encode(wire, &halt, &key, &value), PL_OK);
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_CONTROL, 0);
    int64_t offset = 0;
    EDIT_ENTRY(subject, offset = coordinate(entry, PL_TOPIC_CONTROL)->offset);
    if (stream->count > 0 && stream->records[stream->count - 1].offset >= offset)
        return false; /* not at the end */
    struct pl_record like = {.key = key};
    insert(stream, offset, &like, value);
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_CONTROL)->offset++; entry->control_epoch = 1000);
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
         order->control_epoch = 1000);
    seal_inputs(subject);
    return true;
}

static bool state_wrong(struct subject *subject)
{
    if (subject->states == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->since_ms--);
    return true;
}

/* A change that nobody was told of: no sale was due. */
static bool change_unpublished(struct subject *subject)
{
    if (subject->orders > 0 || subject->states < 2)
        return false;
    const struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    struct pl_bytes_view key = heap_copy(state->key.data, state->key.size_bytes);
    remove_all_of(subject, key);
    free((void *)(uintptr_t)key.data);
    return true;
}

static bool episode_skipped(struct subject *subject)
{
    if (subject->states == 0 || subject->orders > 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->episode += 2);
    return true;
}

static bool version_skipped(struct subject *subject)
{
    if (subject->states == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->version++);
    return true;
}

/* The newest state of an account that this entry leaves alone, with one version more. */
static bool nothing_changed(struct subject *subject)
{
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    char text[PL_JOURNAL_TEXT_BYTES];
    size_t last = stream->count;
    int32_t partition = 0;
    uint64_t sequence = 0;
    for (size_t i = 0; i < stream->count; i++)
        if (entry_of(&stream->records[i], &partition, &sequence) && sequence < subject->sequence)
            last = i;
    if (!subject->is_deciding || subject->states == 0 || last == stream->count)
        return false;
    struct pl_record like = stream->records[last];
    for (size_t i = last + 1; i < stream->count; i++)
        if (stream->records[i].key.size_bytes == like.key.size_bytes &&
            memcmp(stream->records[i].key.data, like.key.data, like.key.size_bytes) == 0 &&
            entry_of(&stream->records[i], &partition, &sequence) && sequence == subject->sequence)
            return false;
    like.headers[0] = pl_wire_journal_header(subject->partition, subject->sequence, text);
    like.header_count = 1;
    int64_t offset = stream->end;
    insert(stream, offset, &like, like.value);
    EDIT(&stream->records[stream->count - 1], Plimsoll__V1__AccountState, message,
         message->version++);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool state_unreadable(struct subject *subject)
{
    static const char garbage[] = "garbage";
    struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state)
        return false;
    audit_log_set_value(state, (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    return true;
}

static bool state_of_nobody(struct subject *subject)
{
    struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state || subject->orders + subject->alerts > 0)
        return false;
    audit_log_bytes(state->key)[0] = 'x';
    EDIT(state, Plimsoll__V1__AccountState, message, message->account[0] = 'x');
    return true;
}

static bool state_twice(struct subject *subject)
{
    const struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    insert(stream, stream->end, state, state->value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool order_under_another_key(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->key)[0] = 'x';
    return order;
}

static bool alert_under_another_key(struct subject *subject)
{
    struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (alert)
        audit_log_bytes(alert->key)[0] = 'x';
    return alert;
}

static bool timer_wrong(struct subject *subject)
{
    bool has_timer = false;
    if (subject->states > 0)
        EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
             has_timer = message->has_whole_since_ms;
             message->whole_since_ms--);
    return has_timer;
}

/* A reservation is given up before the holdings show it. */
static bool released_early(struct subject *subject)
{
    bool is_taken = false;
    if (subject->states > 0 && subject->orders == 0)
        EDIT(
            first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
            is_taken = message->n_pending > 0;
            if (is_taken) {
                protobuf_c_message_free_unpacked(&message->pending[--message->n_pending]->base,
                                                 NULL);
            });
    return is_taken;
}

static bool alert_missing(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    remove_output(subject, PL_TOPIC_ALERTS, 0);
    return true;
}

static bool alert_of_another_kind(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
         alert->kind = PLIMSOLL__V1__MARGIN_CALL__KIND__KIND_OUT_OF_RANGE);
    return true;
}

static bool alert_of_another_time(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert, alert->created_ms--);
    return true;
}

static bool alert_numbers_wrong(struct subject *subject)
{
    bool has_numbers = false;
    if (subject->alerts > 0)
        EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
             has_numbers = alert->excess_end;
             if (has_numbers) alert->excess_end->mantissa[0] = alert->excess_end->mantissa[0] == '1'
                                                                   ? '2'
                                                                   : '1');
    return has_numbers;
}

static const struct damage {
    const char *name, *invariant;
    bool (*apply)(struct subject *subject);
    bool is_small;    /* log                                       */
    const char *text; /* part of the finding's; NULL: it may be any */
} damages[] = {
    {"a dead letter is missing", "I1 ", no_dead_letter, false, "has no dead letter"},
    {"a dead letter's bytes are not the record's", "I1 ", dead_letter_changed, false,
     "not as the record was"},
    {"a dead letter's headers contradict each other", "I1 ", dead_letter_of_another, false,
     "do not agree"},
    {"a dead letter stands twice", "I1 ", dead_letter_twice, false, "was told before"},
    {"an input is passed over", "I1 ", input_passed_over, false, "the entry before ended"},
    {"an input becomes visible below the vector", "I1 ", input_comes_late, false,
     "becomes visible below"},
    {"an order stands twice", "I2 ", order_twice, false, NULL},
    {"more is executed than was ordered", "I2 ", executed_twice, false, NULL},
    {"a plan's id is another's", "I3 ", plan_id_of_another, false, "plan id"},
    {"an order's id is another's", "I3 ", order_id_of_another, false, "order id"},
    {"a revision is skipped", "I3 ", revision_skipped, false, "revision"},
    {"the clock goes back", "I4 ", clock_goes_back, false, NULL},
    {"sold on a stale mark", "I4 ", sold_on_a_stale_mark, true, NULL},
    {"sold on a halted mark", "I4 ", sold_on_a_halted_mark, true, NULL},
    {"sold while tainted", "I4 ", sold_while_tainted, true, "tainted"},
    {"decided on old positions", "I4 ", decides_on_old_positions, false, "positions are known"},
    {"valid for longer than the policy says", "I5 ", valid_for_longer, false, NULL},
    {"executed after its end", "I5 ", executed_late, false, NULL},
    {"an output of another transaction", "I6 ", output_of_another_transaction, false,
     "another transaction"},
    {"an output is missing", "I6 ", output_missing, false, "outputs are visible"},
    {"an output without an entry", "I6 ", output_without_entry, false, "names no journal"},
    {"an output too many", "I6 ", output_too_many, false, "outputs name entry"},
    {"the committed offset is not the vector's", "I6 ", committed_elsewhere, false,
     "its transaction committed"},
    {"the committed offset goes back", "I6 ", committed_goes_back, false, "goes back"},
    {"an entry whose offsets were never committed", "I6 ", committed_never, false,
     "without committing"},
    {"the vector goes back", "I6 ", vector_goes_back, false, "goes back"},
    {"an aborted order is visible", "I7 ", aborted_is_visible, false, "was visible"},
    {"an order that nobody can see is executed", "I7 ", executed_invisible, false, NULL},
    {"an order saw older holdings", "I9 ", older_holdings, false, NULL},
    {"more accounts than there is room", "I10 ", too_many_accounts, false, NULL},
    {"more outputs than there is room", "I10 ", too_many_outputs, false, NULL},
    {"the newest entry is old", "I11 ", silent, true, "ms old"},
    {"holdings are not read", "I11 ", never_read, true, "are not read"},
    {"the previous hash is wrong", "I12 ", previous_hash_wrong, false, "previous hash"},
    {"an entry is gone", "I12 ", entry_removed, false, "the sequence is"},
    {"the outputs' digest is wrong", "I12 ", outputs_digest_wrong, false, "outputs' digest"},
    {"the book's digest is wrong", "I12 ", book_digest_wrong, false, "book's digest"},
    {"the states' digest is wrong", "I12 ", states_digest_wrong, false, "states' digest"},
    {"a bit of an input is flipped", "I12 ", input_bit_flipped, false,
     "digest is not that of the records"},
    {"an entry cannot be read", "I12 ", entry_unreadable, false, "cannot be read"},
    {"an entry under another key", "I12 ", entry_under_another_key, false, "another's"},
    {"a coordinate is missing", "I1 ", coordinate_missing, false, "no coordinate"},
    {"reports are passed undecided", "I1 ", reports_passed_undecided, false, "passed while"},
    {"the first input is passed over", "I1 ", first_input_passed_over, false, "is before it"},
    {"it waits for nothing", "I11 ", waits_for_nothing, false, "waits though"},
    {"it goes on after a divergence", "I4 ", goes_on_after_divergence, false, "nobody resumed"},
    {"decided where nothing may be", "I4 ", decided_undecided, false, "accounts are decided"},
    {"a step is called a heartbeat", "I12 ", kind_wrong, false, "kind"},
    {"a change of readiness is not told", "I12 ", readiness_untold, false, "readiness changes"},
    {"parameters of another epoch", "I12 ", epoch_of_another, false, "parameter epoch"},
    {"an episode is skipped", "I3 ", episode_skipped, false, "episode"},
    {"a version is skipped", "V state", version_skipped, false, "version"},
    {"a state is published for nothing", "V state", nothing_changed, false, "nothing changed"},
    {"a state cannot be read", "V state", state_unreadable, false, "cannot be read"},
    {"a state of nobody", "V state", state_of_nobody, false, "never heard of"},
    {"a state stands twice", "V state", state_twice, false, "two states"},
    {"an order under another key", "V order", order_under_another_key, false,
     "no state of its account"},
    {"an alert under another key", "V alert", alert_under_another_key, false,
     "no state of its account"},
    {"it does not decide in the end", "I11 ", undecided_at_last, false, "does not decide"},
    {"an output of an entry that is not there", "I6 ", output_of_no_entry, true, "is not there"},
    {"offsets committed without an entry", "I6 ", committed_by_nobody, true, "without an entry"},
    {"offsets committed by an operator", "I6 ", committed_by_an_operator, true, "is committed"},
    {"an output of another partition's entry", "I6 ", output_of_another_partition, false,
     "an entry of partition"},
    {"an output becomes visible late", "I6 ", output_comes_late, false, "complete without it"},
    {"an aborted order becomes visible", "I7 ", aborted_becomes_visible, false, "is visible"},
    {"the router has no id", "V order", router_without_id, false, "without an id"},
    {"an order cannot be read", "V order", order_unreadable, false, "cannot be read"},
    {"a plan in two entries", "I3 ", plan_twice, false, "two entries"},
    {"decided without parameters", "I4 ", no_parameters, true, "no parameters"},
    {"sold above the line", "V sold above", sold_above_the_line, true, NULL},
    {"an account below the line is skipped", "V missed", account_skipped, false, NULL},
    {"a heartbeat while somebody is below the line", "V missed", nobody_looked, true, NULL},
    {"one lot more than is needed", "V smallest", one_lot_too_many, false, NULL},
    {"one lot less than is needed", "V smallest", one_lot_too_few, false, NULL},
    {"more is sold than is held", "V pending", more_than_there_is, false, NULL},
    {"another limit", "V order", limit_of_another, false, "limit is not"},
    {"another proof", "V order", proof_wrong, false, "proof"},
    {"another price", "V order", price_of_another, false, "price"},
    {"an order under another control epoch", "V order", epoch_of_order, false, "control epoch"},
    {"a leg is numbered otherwise", "V order", leg_of_another, false, "leg 2 of"},
    {"another side", "V order", side_wrong, false, "wrong side"},
    {"called bankrupt", "V order", called_bankrupt, false, "called bankrupt"},
    {"not called bankrupt", "V order", not_called_bankrupt, false, "not called bankrupt"},
    {"two reasons for one plan", "V order", reasons_differ, false, "another reason"},
    {"legs in another order", "V order", legs_swapped, false, "liquidity order"},
    {"something is sold that is not held", "V order", sells_what_is_not_held, true, "not held"},
    {"a leg with a stale mark is sold", "I4 ", sells_on_a_stale_mark, true, "is not live"},
    {"a price too many", "V order", price_too_many, false, "prices, expected"},
    {"sold after a halt", "V no order after a halt", sold_after_a_halt, true, NULL},
    {"a change is not published", "V state", change_unpublished, false, "nothing was published"},
    {"another state", "V state", state_wrong, false, NULL},
    {"another timer", "V state", timer_wrong, false, NULL},
    {"a reservation is released early", "V state", released_early, false, NULL},
    {"an alert is missing", "V alert", alert_missing, false, "alerts, expected"},
    {"an alert of another kind", "V alert", alert_of_another_kind, false, "is of kind"},
    {"an alert of another time", "V alert", alert_of_another_time, false, "clock"},
    {"an alert has other numbers", "V alert", alert_numbers_wrong, false, "other numbers"},
    {"the self-audit finds a difference", "V state", self_audit_diverges, false, "self-audit"},
    {"decisions stand in another order", "V order", decisions_swapped, false, "stands before"},
};

/* Looks for the first entry that gives occasion, damages it, and hears what the auditor says. */
static bool try_damage(const struct damage *damage, uint64_t seed)
{
    const struct audit_log_options options = options_of(seed, 10, damage->is_small);
    struct subject subject = {.options = {.seed = seed}};
    bool is_done = false;
    audit_log_build(&subject.log, &options);
    int32_t partition = options.partition_count - 1;
    size_t count = audit_log_stream(&subject.log, PL_TOPIC_JOURNAL, partition)->count;
    for (size_t at = 0; !is_done && at < count; at++) {
        look_at(&subject, partition, at);
        is_done = damage->apply(&subject);
    }
    const struct auditor_finding *finding = is_done ? audit(&subject) : NULL;
    bool is_named = finding &&
                    strncmp(finding->invariant, damage->invariant, strlen(damage->invariant)) ==
                        0 &&
                    (!damage->text || strstr(finding->text, damage->text));
    if (is_done && !is_named)
        fail_msg("%s (seed %" PRIu64 ", entry %zu): expected %s, found %s: %s", damage->name, seed,
                 subject.at, damage->invariant, finding ? finding->invariant : "nothing",
                 finding ? finding->text : "");
    audit_log_free(&subject.log);
    return is_done;
}

static void test_damage_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(damages); i++) {
        bool is_done = false;
        for (uint64_t seed = 1; !is_done && seed <= TRIES; seed++)
            is_done = try_damage(&damages[i], seed);
        if (!is_done)
            fail_msg("%s: no log gave occasion", damages[i].name);
    }
}

/* ---- where only bounds are known ------------------------------------------------------------- */

/* A perp that asks for more than its value, badly marked: the excess falls as its value grows, so
 * what the services take for the bounds is not known, only where they lie. */
static void test_bounds_are_enough(void **state)
{
    (void)state;
    static struct portfolio portfolio, trial;
    static struct verdict verdict;
    struct rules rules = {
        .is_listed = true, .kind = PL_INSTRUMENT_PERP, .multiplier = 1000000, .rank = 1};
    for (int t = 0; t < PL_TIER_COUNT; t++)
        rules.haircut_long.at[t] = 1500000;
    const struct set set = {.epoch = 1, .rule_count = 1, .rules = &rules};
    const struct quote quote = {.status = PL_MARK_STALE,
                                .is_priced = true,
                                .ticks = 1000,
                                .lot_vu = 1000000000,
                                .low_vu = 1000000000,
                                .high_vu = 1000000000,
                                .bad_high_vu = 1500000000};
    struct leg leg = {.lots = 10, .final_lots = 10};
    struct holdings holdings = {.account = "a", .version = 1, .leg_count = 1, .legs = &leg};
    struct account account = {.id = "a", .holdings = &holdings, .verdict = &verdict};
    static char id[] = "order";
    const Plimsoll__V1__ForcedSaleOrder order = {.order_id = id}, *orders[] = {&order};
    const uint64_t never = 0;
    struct names names = {0};
    struct auditor_counts counts = {0};
    struct auditor_finding finding;
    const struct scene scene = {.names = &names,
                                .set = &set,
                                .quotes = &quote,
                                .quote_changed = &never,
                                .stamp = 1,
                                .now_ms = 1,
                                .portfolio = &portfolio,
                                .trial = &trial,
                                .counts = &counts,
                                .finding = &finding};
    static const struct {
        pl_i128 cash_vu;
        int order_count;
        bool is_halted;
        const char *expect; /* NULL: nothing is certainly wrong */
    } cases[] = {
        {0, 0, false, NULL},                       /* maybe whole: nothing is sold              */
        {0, 1, false, "I4 "},                      /* maybe whole, and sold                     */
        {-1000000000, 1, false, NULL},             /* below at both ends, and sold              */
        {-1000000000, 1, true, "V no order"},      /* the same after a halt                     */
        {-1000000000, 0, false, NULL},             /* another reading may find it whole         */
        {-1000000000000000, 0, false, "V missed"}, /* lost however it is read, and left alone   */
    };
    auditor_portfolio_init(&portfolio);
    auditor_portfolio_init(&trial);
    auditor_verdict_init(&verdict);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct decision decision = {
            .account = &account, .orders = orders, .order_count = cases[i].order_count};
        holdings.cash_vu = holdings.final_cash_vu = cases[i].cash_vu;
        account.is_dirty = true;
        finding = (struct auditor_finding){0};
        bool is_right = auditor_judge(&scene, &account, cases[i].is_halted, &decision);
        if (is_right != !cases[i].expect ||
            (!is_right &&
             strncmp(finding.invariant, cases[i].expect, strlen(cases[i].expect)) != 0))
            fail_msg("case %zu: %s: %s", i, finding.invariant, finding.text);
        assert_true(verdict.is_loose);
    }
    assert_int_equal(counts.uncertain, TEST_COUNT(cases));
    auditor_portfolio_clear(&portfolio);
    auditor_portfolio_clear(&trial);
    auditor_verdict_clear(&verdict);
}

/* A deficit is sold once: not what is pending already, and not before the pause is over. */
static void test_nothing_is_sold_twice(void **state)
{
    (void)state;
    static struct verdict verdict = {.is_certain = true};
    struct holdings holdings = {.account = "a", .version = 1};
    const struct account account = {.id = "a", .holdings = &holdings, .verdict = &verdict};
    static char id[] = "order";
    const Plimsoll__V1__ForcedSaleOrder order = {.order_id = id}, *orders[] = {&order};
    const struct decision decision = {.orders = orders, .order_count = 1};
    struct auditor_finding finding;
    const struct scene scene = {.now_ms = 1000, .finding = &finding};
    static const struct {
        int maintenance, end, pending_count;
        int64_t revision_after_ms;
        const char *expect;
    } cases[] = {
        {-1, -1, 0, 1000, NULL},      {-1, -1, 1, 1000, NULL}, {-1, -1, 0, 1001, "V pend"},
        {-1, -1, 1, 1001, "V pend"},  {0, -1, 1, 0, "V pend"}, {0, -1, 0, 0, NULL},
        {0, 0, 0, 0, "V sold above"},
    };
    auditor_verdict_init(&verdict);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const struct state before = {.state = PL_STATE_LIQUIDATING,
                                     .episode = 1,
                                     .pending_count = cases[i].pending_count,
                                     .revision_after_ms = cases[i].revision_after_ms};
        mpz_set_si(verdict.high[PL_TIER_MAINTENANCE], cases[i].maintenance);
        mpz_set_si(verdict.high[PL_TIER_END], cases[i].end);
        finding = (struct auditor_finding){0};
        bool may_be = auditor_may_be_sold(&scene, &account, &verdict, &before, false, &decision);
        if (may_be != !cases[i].expect ||
            (!may_be && strncmp(finding.invariant, cases[i].expect, strlen(cases[i].expect)) != 0))
            fail_msg("case %zu: %s: %s", i, finding.invariant, finding.text);
    }
    auditor_verdict_clear(&verdict);
}

/* ---- the auditor reads as the services do ---------------------------------------------------- */

static bool services_take(const struct pl_record *record)
{
    static struct pl_parameters parameters;
    static struct pl_holdings holdings;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    struct pl_mark mark;
    struct pl_execution execution;
    struct pl_control control;
    struct pl_chain_status chain;
    uint32_t instrument;
    if (record->topic == PL_TOPIC_MARKS)
        return !pl_wire_mark_decode(wire, names, record->key, record->value, &instrument, &mark);
    if (record->topic == PL_TOPIC_HOLDINGS)
        return !pl_wire_holdings_decode(wire, names, record->key, record->value, &holdings);
    if (record->topic == PL_TOPIC_EXECUTIONS)
        return !pl_wire_execution_decode(wire, record->key, record->value, &execution);
    if (record->topic == PL_TOPIC_CONTROL)
        return !pl_wire_control_decode(wire, record->key, record->value, &control);
    if (record->topic == PL_TOPIC_CHAINS)
        return !pl_wire_chain_decode(wire, record->key, record->value, &chain);
    return !pl_wire_parameters_decode(wire, names, record->value, &parameters);
}

static bool auditor_takes(const struct reader *reader, const struct pl_record *record)
{
    return record->topic == PL_TOPIC_MARKS        ? auditor_read_mark(reader, record) != NULL
           : record->topic == PL_TOPIC_HOLDINGS   ? auditor_read_holdings(reader, record) != NULL
           : record->topic == PL_TOPIC_EXECUTIONS ? auditor_read_execution(reader, record) != NULL
           : record->topic == PL_TOPIC_CONTROL    ? auditor_read_control(reader, record) != NULL
           : record->topic == PL_TOPIC_CHAINS     ? auditor_read_chain(reader, record)
                                                  : auditor_read_set(reader, record) != NULL;
}

/* Changes a byte or two, cuts or doubles a part. */
static size_t mutate(struct test_random *random, uint8_t *bytes, size_t size_bytes)
{
    size_t at = test_random_below(random, size_bytes);
    switch (test_random_below(random, 4)) {
    case 0:
        return at;
    case 1:
        bytes[at] ^= (uint8_t)(1u << test_random_below(random, 8));
        return size_bytes;
    case 2:
        bytes[at] = (uint8_t)test_random_u64(random);
        bytes[test_random_below(random, size_bytes)] = (uint8_t)test_random_u64(random);
        return size_bytes;
    default:
        memmove(bytes + size_bytes, bytes + at, size_bytes - at);
        return 2 * size_bytes - at;
    }
}

static void test_reads_as_the_services_do(void **state)
{
    (void)state;
    static const enum test_record_kind kinds[] = {TEST_RECORD_MARKS,      TEST_RECORD_HOLDINGS,
                                                  TEST_RECORD_EXECUTIONS, TEST_RECORD_CONTROL,
                                                  TEST_RECORD_CHAINS,     TEST_RECORD_PARAMETERS};
    static uint8_t bytes[1 << 14];
    static struct names names;
    struct memory memory = {0};
    struct test_random random = test_random_start(7);
    unsigned good = 0, bad = 0;
    for (unsigned round = 0; round < 12000; round++) {
        enum test_record_kind kind = kinds[round % TEST_COUNT(kinds)];
        const struct pl_bytes_view value = test_bytes_of(kind);
        assert_true(2 * value.size_bytes < sizeof(bytes));
        memcpy(bytes, value.data, value.size_bytes);
        size_t size_bytes = round < 6 ? value.size_bytes : mutate(&random, bytes, value.size_bytes);
        const struct pl_record record = {.topic = test_records[kind].topic,
                                         .key = test_key(test_records[kind].key),
                                         .value = {bytes, size_bytes}};
        auditor_memory_reset(&memory);
        names.count = 0;
        const struct reader reader = {&memory, &names, 1};
        bool is_taken = services_take(&record);
        if (is_taken != auditor_takes(&reader, &record))
            fail_msg("round %u, %s: the services %s it, the auditor does not (%s)", round,
                     pl_topic_word(record.topic), is_taken ? "take" : "refuse",
                     is_taken ? "" : pl_err_text());
        good += is_taken;
        bad += !is_taken;
    }
    assert_true(good > 1000 && bad > 1000);
    auditor_memory_free(&memory);
}

static int open_auditor(void **state)
{
    (void)state;
    auditor_open(&s_auditor);
    return 0;
}

static int close_auditor(void **state)
{
    (void)state;
    auditor_close(&s_auditor);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_logs_pass),
        cmocka_unit_test(test_right_end_passes),
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_bounds_are_enough),
        cmocka_unit_test(test_nothing_is_sold_twice),
        cmocka_unit_test(test_reads_as_the_services_do),
    };
    return cmocka_run_group_tests(tests, open_auditor, close_auditor);
}
