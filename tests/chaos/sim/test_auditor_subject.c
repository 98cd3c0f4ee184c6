/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One log and one of its entries: feeding it to the auditor, finding a place for damage, and
 * changing records so that nothing else becomes wrong.
 */
#include "tests/chaos/sim/test_auditor.h"

struct auditor *test_auditor;

/* ---- one log --------------------------------------------------------------------------------- */

static uint64_t txn_of(const struct subject *subject, int32_t partition, uint64_t sequence,
                       const struct pl_record *record)
{
    uint64_t txn = (uint64_t)(partition + 1) * 1000000 + sequence;
    return record && record == subject->stranger ? txn + 500000 : txn;
}

const Plimsoll__V1__JournalEntry *unpack_entry(const struct pl_record *record)
{
    return plimsoll__v1__journal_entry__unpack(NULL, record->value.size_bytes, record->value.data);
}

void free_entry(const Plimsoll__V1__JournalEntry *entry)
{
    plimsoll__v1__journal_entry__free_unpacked((Plimsoll__V1__JournalEntry *)(uintptr_t)entry,
                                               NULL);
}

Plimsoll__V1__JournalEntry__Coordinate *coordinate(const Plimsoll__V1__JournalEntry *entry,
                                                   enum pl_topic topic)
{
    for (size_t i = 0; i < entry->n_vector; i++)
        if (strcmp(entry->vector[i]->topic, pl_topic_word(topic)) == 0)
            return entry->vector[i];
    fail_msg("no coordinate of %s", pl_topic_word(topic));
    return NULL;
}

bool entry_of(const struct pl_record *record, int32_t *partition, uint64_t *sequence)
{
    return pl_wire_journal_of(record->headers, record->header_count, partition, sequence);
}

static void feed_offset(enum pl_topic topic, int32_t partition, int64_t offset, uint64_t txn)
{
    const struct pl_offset committed = {topic, partition, offset};
    auditor_offsets(test_auditor, &committed, txn);
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
            feed_offset(PL_TOPIC_HOLDINGS, journal->partition,
                        coordinate(entry, PL_TOPIC_HOLDINGS)->offset +
                            (is_ours ? subject->offset_wrong : 0),
                        txn);
        if (is_ours && subject->offset_goes_back)
            feed_offset(PL_TOPIC_HOLDINGS, journal->partition,
                        coordinate(entry, PL_TOPIC_HOLDINGS)->offset - 1, txn + 1);
        if (!is_ours || !subject->has_no_commit)
            feed_offset(PL_TOPIC_EXECUTIONS, journal->partition,
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
            auditor_aborted(test_auditor, record);
        if (record != subject->late)
            auditor_feed(test_auditor, record, txn);
        if (record == subject->aborted && !subject->is_aborted_first)
            auditor_aborted(test_auditor, record);
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
        auditor_router(test_auditor, &event);
        plimsoll__v1__forced_sale_order__free_unpacked(order, NULL);
    }
}

const struct auditor_finding *audit(struct subject *subject)
{
    subject->options.partition_count = subject->log.partition_count;
    subject->options.may_diverge = !subject->must_not_diverge;
    auditor_reset(test_auditor, &subject->options);
    for (unsigned i = 0; i < subject->log.stream_count; i++)
        feed_stream(subject, &subject->log.streams[i]);
    for (int32_t p = 0; p < subject->log.partition_count; p++)
        feed_offsets(subject, audit_log_stream(&subject->log, PL_TOPIC_JOURNAL, p));
    if (subject->extra)
        auditor_offsets(test_auditor, subject->extra, subject->extra_txn);
    feed_router(subject);
    const struct auditor_finding *finding = auditor_check(test_auditor);
    if (!finding && subject->late) {
        auditor_feed(test_auditor, subject->late, 0);
        finding = auditor_check(test_auditor);
    }
    return !finding && subject->ends ? auditor_end(test_auditor, &subject->facts) : finding;
}

/* Two partitions where much goes wrong, or one with one coin and nothing but prices. */
struct audit_log_options options_of(uint64_t seed, unsigned accounts, bool is_small)
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

/* ---- finding a place for the damage ---------------------------------------------------------- */

struct pl_record *output_of(const struct subject *subject, enum pl_topic topic, int nth,
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
void look_at(struct subject *subject, int32_t partition, size_t at)
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

void repack(struct pl_record *record, const ProtobufCMessage *message)
{
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size_bytes + 1);
    assert_non_null(bytes);
    protobuf_c_message_pack(message, bytes);
    audit_log_set_value(record, (struct pl_bytes_view){bytes, size_bytes});
    free(bytes);
}

struct pl_record *first_of(const struct subject *subject, enum pl_topic topic)
{
    struct audit_stream *stream;
    size_t at;
    return output_of(subject, topic, 0, &stream, &at);
}

/* Removes an output, and from the entry's count. */
void remove_output(struct subject *subject, enum pl_topic topic, int nth)
{
    struct audit_stream *stream;
    size_t at;
    assert_non_null(output_of(subject, topic, nth, &stream, &at));
    audit_log_remove(stream, at);
    EDIT_ENTRY(subject, entry->output_count--);
}

struct pl_bytes_view heap_copy(const void *bytes, size_t size_bytes)
{
    uint8_t *copy = bytes ? malloc(size_bytes + 1) : NULL;
    if (copy)
        memcpy(copy, bytes, size_bytes);
    return (struct pl_bytes_view){copy, size_bytes};
}

/* A record of its own at an offset that no other has. */
void insert(struct audit_stream *stream, int64_t offset, const struct pl_record *like,
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
void seal_inputs(struct subject *subject)
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
struct pl_record *newest_input(const struct subject *subject, enum pl_topic topic)
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

bool is_first_sale(const struct subject *subject)
{
    bool is_first = false;
    if (subject->orders > 0)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_first = order->revision == 1 &&
                        order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL);
    return is_first;
}

/* An offset that the entry has passed and no record of the holdings has: a marker's. */
bool find_hole(const struct subject *subject, int64_t *offset)
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

/* Cuts what the last entry of a partition has not read. */
void cut(struct audit_log *log, int32_t partition)
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
