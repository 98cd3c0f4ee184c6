/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's record keeping: what was fed, in order per topic partition, and which outputs
 * belong to which journal entry. What holds for records alone is checked as they come (I2, I7);
 * an entry is judged once, when all that it wrote is visible (auditor_entry.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

const enum pl_topic auditor_inputs[AUDITOR_COORDINATES] = {PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS,
                                                           PL_TOPIC_CONTROL,  PL_TOPIC_PARAMETERS,
                                                           PL_TOPIC_CHAINS,   PL_TOPIC_MARKS};

/* ---- life ------------------------------------------------------------------------------------ */

void auditor_open(struct auditor **auditor)
{
    *auditor = auditor_allocate(NULL, sizeof(**auditor));
    memset(*auditor, 0, sizeof(**auditor));
    auditor_margin_open();
    auditor_portfolio_init(&(*auditor)->portfolio);
    auditor_portfolio_init(&(*auditor)->trial);
}

static void partition_free(struct partition *partition)
{
    for (int i = 0; i < partition->account_capacity; i++) {
        auditor_verdict_clear(partition->accounts[i]->verdict);
        free(partition->accounts[i]->verdict);
        free(partition->accounts[i]);
    }
    free(partition->accounts);
    struct list *const lists[] = {
        &partition->outputs, &partition->entry_txns, &partition->commits, &partition->executions,
        &partition->bad,     &partition->decisions,  &partition->letters, &partition->chains};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        free(lists[i]->items);
}

void auditor_close(struct auditor **auditor)
{
    if (!*auditor)
        return;
    for (int t = 0; t < PL_TOPIC_COUNT; t++)
        for (int p = 0; p < AUDITOR_PARTITIONS_MAX; p++) {
            free((*auditor)->streams[t][p].items);
            free((*auditor)->streams[t][p].gone);
        }
    for (int p = 0; p < AUDITOR_PARTITIONS_MAX; p++)
        partition_free(&(*auditor)->partitions[p]);
    free((*auditor)->orders.items);
    free((*auditor)->events.items);
    auditor_portfolio_clear(&(*auditor)->portfolio);
    auditor_portfolio_clear(&(*auditor)->trial);
    auditor_margin_close();
    auditor_memory_free(&(*auditor)->memory);
    auditor_hash_close();
    free(*auditor);
    *auditor = NULL;
}

static void partition_reset(struct partition *partition, int32_t number)
{
    struct partition kept = *partition;
    memset(partition, 0, sizeof(*partition));
    partition->number = number;
    partition->accounts = kept.accounts;
    partition->account_capacity = kept.account_capacity;
    const struct {
        struct list *to, *from;
    } lists[] = {{&partition->outputs, &kept.outputs}, {&partition->entry_txns, &kept.entry_txns},
                 {&partition->commits, &kept.commits}, {&partition->executions, &kept.executions},
                 {&partition->bad, &kept.bad},         {&partition->decisions, &kept.decisions},
                 {&partition->letters, &kept.letters}, {&partition->chains, &kept.chains}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        *lists[i].to = (struct list){lists[i].from->items, 0, lists[i].from->capacity};
    for (int i = 0; i < AUDITOR_COORDINATES; i++)
        partition->vector[i] = -1;
    partition->committed[0] = partition->committed[1] = -1;
}

void auditor_reset(struct auditor *auditor, const struct auditor_options *options)
{
    pl_assert(options->partition_count > 0 && options->partition_count <= AUDITOR_PARTITIONS_MAX);
    auditor->options = *options;
    auditor_memory_reset(&auditor->memory);
    auditor->names.count = 0;
    for (int t = 0; t < PL_TOPIC_COUNT; t++)
        for (int p = 0; p < AUDITOR_PARTITIONS_MAX; p++) {
            struct stream *stream = &auditor->streams[t][p];
            stream->count = stream->gone_count = stream->removed_count = 0;
        }
    for (int32_t p = 0; p < options->partition_count; p++)
        partition_reset(&auditor->partitions[p], p);
    auditor->orders.count = auditor->events.count = 0;
    auditor->counts = (struct auditor_counts){0};
    auditor->finding = (struct auditor_finding){0};
    snprintf(auditor->finding.text, sizeof(auditor->finding.text), "seed %" PRIu64 ": ",
             options->seed);
}

void auditor_counts(const struct auditor *auditor, struct auditor_counts *counts)
{
    *counts = auditor->counts;
}

/* ---- streams --------------------------------------------------------------------------------- */

static struct stream *stream_of(struct auditor *auditor, enum pl_topic topic, int32_t partition)
{
    pl_assert(partition >= 0 && partition < AUDITOR_PARTITIONS_MAX);
    return &auditor->streams[topic][partition];
}

static int input_of(enum pl_topic topic)
{
    for (int i = 0; i < AUDITOR_COORDINATES; i++)
        if (auditor_inputs[i] == topic)
            return i;
    return -1;
}

struct stream *auditor_input_stream(struct auditor *auditor, int input, int32_t partition)
{
    return stream_of(auditor, auditor_inputs[input], input >= CONTROL ? 0 : partition);
}

static bool is_gone(const struct stream *stream, int64_t offset)
{
    for (size_t i = 0; i < stream->gone_count; i++)
        if (stream->gone[i] == offset)
            return true;
    return false;
}

static void add_gone(struct stream *stream, int64_t offset)
{
    if (stream->gone_count == stream->gone_capacity) {
        stream->gone_capacity = stream->gone_capacity ? 2 * stream->gone_capacity : 64;
        stream->gone = auditor_allocate(stream->gone,
                                        sizeof(*stream->gone) * stream->gone_capacity);
    }
    stream->gone[stream->gone_count++] = offset;
}

/* From the newest, where what is asked for mostly is. */
static struct seen *seen_at(const struct stream *stream, int64_t offset)
{
    for (size_t i = stream->count; i > 0 && stream->items[i - 1].offset >= offset; i--)
        if (stream->items[i - 1].offset == offset)
            return &stream->items[i - 1];
    return NULL;
}

void auditor_aborted(struct auditor *auditor, const struct pl_record *record)
{
    struct stream *stream = stream_of(auditor, record->topic, record->partition);
    if (seen_at(stream, record->offset))
        auditor_find(&auditor->finding, I7,
                     "%s partition %d offset %" PRId64
                     " was visible and its transaction was aborted",
                     pl_topic_word(record->topic), (int)record->partition, record->offset);
    add_gone(stream, record->offset);
}

void auditor_removed(struct auditor *auditor, enum pl_topic topic, int32_t partition,
                     int64_t offset)
{
    struct stream *stream = stream_of(auditor, topic, partition);
    struct seen *seen = seen_at(stream, offset);
    if (seen)
        seen->is_removed = true;
    stream->removed_count++;
}

void auditor_truncated(struct auditor *auditor, enum pl_topic topic, int32_t partition, int64_t end)
{
    struct stream *stream = stream_of(auditor, topic, partition);
    while (stream->count > 0 && stream->items[stream->count - 1].offset >= end)
        stream->count--;
    for (size_t i = stream->gone_count; i-- > 0;)
        if (stream->gone[i] >= end)
            stream->gone[i] = stream->gone[--stream->gone_count];
    int input = input_of(topic);
    for (int32_t p = 0; input >= 0 && p < auditor->options.partition_count; p++) {
        struct partition *reader = &auditor->partitions[p];
        if ((input >= CONTROL || p == partition) && reader->next[input] > stream->count)
            reader->next[input] = stream->count;
    }
}

/* ---- feeding: inputs ------------------------------------------------------------------------- */

static void hash_input(struct seen *seen)
{
    uint8_t place[8];
    for (unsigned i = 0; i < 8; i++)
        place[i] = (uint8_t)((uint64_t)seen->offset >> (56 - 8 * i));
    struct hash *hash = auditor_hash_begin();
    auditor_hash_add(hash, place, sizeof(place));
    auditor_hash_part(hash, seen->key);
    auditor_hash_part(hash, seen->value);
    auditor_hash_end(hash, seen->hash);
}

/* Whether the newest set before this record is followed by it. */
static void read_parameters(const struct reader *reader, const struct pl_record *record,
                            const struct stream *stream, struct seen *seen)
{
    static const char effective[] = "effective";
    const struct set *last = stream->count > 0 ? stream->items[stream->count - 1].set : NULL;
    seen->set = last;
    if (record->key.size_bytes != strlen(effective) || !record->key.data ||
        memcmp(record->key.data, effective, strlen(effective)) != 0)
        return; /* base and shadow sets are nothing to us */
    struct set *set = auditor_read_set(reader, record);
    seen->is_bad = !set || !auditor_set_follows(last, set);
    if (!seen->is_bad)
        seen->set = seen->facts = set;
}

static void read_holdings(const struct reader *reader, const struct pl_record *record,
                          struct seen *seen)
{
    if (auditor_is_watermark(record->key)) {
        seen->time_ms = -1;
        seen->is_bad = !auditor_read_watermark(reader, record, &seen->time_ms);
    } else if (!auditor_is_at_home(reader, record)) {
        seen->is_bad = true;
    } else {
        seen->facts = auditor_read_holdings(reader, record);
        seen->is_bad = !seen->facts;
    }
}

static void read_input(struct auditor *auditor, const struct pl_record *record,
                       const struct stream *stream, struct seen *seen)
{
    const struct reader reader = {&auditor->memory, &auditor->names,
                                  auditor->options.partition_count};
    switch (input_of(record->topic)) {
    case HOLDINGS:
        read_holdings(&reader, record, seen);
        break;
    case EXECUTIONS:
        seen->facts = auditor_is_at_home(&reader, record) ? auditor_read_execution(&reader, record)
                                                          : NULL;
        seen->is_bad = !seen->facts;
        break;
    case CONTROL:
        seen->facts = auditor_read_control(&reader, record);
        seen->is_bad = !seen->facts;
        break;
    case PARAMETERS:
        read_parameters(&reader, record, stream, seen);
        break;
    case CHAINS:
        seen->facts = auditor_read_chain(&reader, record);
        seen->is_bad = !seen->facts;
        break;
    default:
        seen->facts = auditor_read_mark(&reader, record);
        seen->is_bad = !seen->facts;
    }
    hash_input(seen);
}

/* What becomes visible below a vector was passed over. */
static void check_not_late(struct auditor *auditor, const struct seen *seen, int input)
{
    for (int32_t p = 0; p < auditor->options.partition_count; p++) {
        const struct partition *partition = &auditor->partitions[p];
        if ((input >= CONTROL || p == seen->partition) && seen->offset < partition->vector[input])
            auditor_find(&auditor->finding, I1,
                         "%s partition %d offset %" PRId64 " becomes visible "
                         "below %" PRId64 ", which entry %" PRIu64 " of partition %d has accounted "
                         "for",
                         pl_topic_word(seen->topic), (int)seen->partition, seen->offset,
                         partition->vector[input], partition->sequence, (int)p);
    }
}

/* ---- feeding: outputs ------------------------------------------------------------------------ */

const struct pl_header *auditor_header(const struct seen *seen, const char *name)
{
    for (unsigned i = seen->header_count; i-- > 0;)
        if (strcmp(seen->headers[i].name, name) == 0 && seen->headers[i].value.data)
            return &seen->headers[i];
    return NULL;
}

/* Header text as a number; -1 where it is none. */
static int64_t number_in(const uint8_t *text, size_t size_bytes)
{
    int64_t number = 0;
    if (size_bytes == 0 || size_bytes > 18)
        return -1;
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

static int64_t header_number(const struct seen *seen, const char *name)
{
    const struct pl_header *header = auditor_header(seen, name);
    return header ? number_in(header->value.data, header->value.size_bytes) : -1;
}

static int64_t header_binary(const struct seen *seen, const char *name, size_t size_bytes)
{
    const struct pl_header *header = auditor_header(seen, name);
    uint64_t number = 0;
    if (!header || header->value.size_bytes != size_bytes)
        return -1;
    for (size_t i = 0; i < size_bytes; i++)
        number = number << 8 | header->value.data[i];
    return (int64_t)number;
}

static bool header_is(const struct seen *seen, const char *name, const char *text)
{
    const struct pl_header *header = auditor_header(seen, name);
    return header && header->value.size_bytes == strlen(text) &&
           memcmp(header->value.data, text, strlen(text)) == 0;
}

/* "<partition>/<sequence>"; false where there is none. */
static bool entry_of(const struct seen *seen, int64_t *partition, int64_t *sequence)
{
    const struct pl_header *header = auditor_header(seen, "plimsoll-journal");
    const uint8_t *slash = header ? memchr(header->value.data, '/', header->value.size_bytes)
                                  : NULL;
    if (!slash)
        return false;
    size_t before = (size_t)(slash - header->value.data);
    *partition = number_in(header->value.data, before);
    *sequence = number_in(slash + 1, header->value.size_bytes - before - 1);
    return *partition >= 0 && *sequence > 0;
}

static bool read_origin(struct seen *seen)
{
    seen->origin_partition = (int32_t)header_number(seen, "__connect.errors.partition");
    seen->origin_offset = header_number(seen, "__connect.errors.offset");
    for (int topic = 0; topic < PL_TOPIC_COUNT; topic++) {
        const char *name = pl_topic_default_name((enum pl_topic)topic);
        seen->origin_topic = (enum pl_topic)topic;
        if (header_is(seen, "__connect.errors.topic", name))
            return header_is(seen, "kafka_dlt-original-topic", name) &&
                   header_binary(seen, "kafka_dlt-original-partition", 4) ==
                       seen->origin_partition &&
                   header_binary(seen, "kafka_dlt-original-offset", 8) == seen->origin_offset;
    }
    return false;
}

static void add_order(struct auditor *auditor, const struct seen *seen)
{
    const Plimsoll__V1__ForcedSaleOrder *message = seen->facts;
    struct known_order *order = auditor_take(&auditor->memory, sizeof(*order));
    if (!message || !auditor_read_uuid(message->order_id, order->order_id) ||
        !auditor_read_uuid(message->plan_id, order->plan_id) || !message->instrument) {
        auditor_find(&auditor->finding, V_ORDER,
                     "orders partition %d offset %" PRId64 " cannot be read", (int)seen->partition,
                     seen->offset);
        return;
    }
    order->seen = seen;
    order->message = message;
    for (size_t i = 0; i < auditor->orders.count; i++) {
        const struct known_order *known = auditor->orders.items[i];
        if (memcmp(known->order_id, order->order_id, PL_ORDER_ID_BYTES) == 0)
            auditor_find(
                &auditor->finding, I2,
                "order %s stands on orders partition %d at offsets %" PRId64 " and %" PRId64,
                message->order_id, (int)seen->partition, known->seen->offset, seen->offset);
        if (memcmp(known->plan_id, order->plan_id, PL_ORDER_ID_BYTES) == 0 &&
            known->seen->sequence != seen->sequence && known->seen->sequence != 0)
            auditor_find(&auditor->finding, I3,
                         "plan %s has orders in two entries, at offsets %" PRId64 " and %" PRId64
                         " of orders partition %d",
                         message->plan_id, known->seen->offset, seen->offset, (int)seen->partition);
    }
    auditor_list_add(&auditor->orders, order);
    auditor->counts.orders++;
}

static const ProtobufCMessageDescriptor *descriptor_of(enum pl_topic topic)
{
    return topic == PL_TOPIC_ORDERS     ? &plimsoll__v1__forced_sale_order__descriptor
           : topic == PL_TOPIC_ALERTS   ? &plimsoll__v1__margin_call__descriptor
           : topic == PL_TOPIC_ACCOUNTS ? &plimsoll__v1__account_state__descriptor
           : topic == PL_TOPIC_JOURNAL  ? &plimsoll__v1__journal_entry__descriptor
                                        : NULL;
}

/* An output waits with the others of its entry. */
static void feed_output(struct auditor *auditor, struct seen *seen)
{
    int64_t partition = -1, sequence = 0;
    bool is_letter = seen->topic == PL_TOPIC_DEADLETTER;
    const ProtobufCMessageDescriptor *descriptor = descriptor_of(seen->topic);
    if (descriptor)
        seen->facts = auditor_unpack(&auditor->memory, descriptor, seen->value);
    if (!entry_of(seen, &partition, &sequence)) {
        if (is_letter && !header_is(seen, "__connect.errors.connector.name", "liquidation"))
            return; /* another service's */
        auditor_find(&auditor->finding, I6,
                     "%s partition %d offset %" PRId64 " names no journal entry",
                     pl_topic_word(seen->topic), (int)seen->partition, seen->offset);
        return;
    }
    if (partition >= auditor->options.partition_count ||
        (!is_letter && partition != seen->partition)) {
        auditor_find(&auditor->finding, I6,
                     "%s partition %d offset %" PRId64 " names an entry of partition %" PRId64,
                     pl_topic_word(seen->topic), (int)seen->partition, seen->offset, partition);
        return;
    }
    struct partition *owner = &auditor->partitions[partition];
    seen->sequence = (uint64_t)sequence;
    if (owner->has_entry && seen->sequence <= owner->sequence)
        auditor_find(&auditor->finding, I6,
                     "%s partition %d offset %" PRId64 " names entry %" PRId64
                     " of partition %" PRId64 ", which was complete without it",
                     pl_topic_word(seen->topic), (int)seen->partition, seen->offset, sequence,
                     partition);
    if (seen->topic == PL_TOPIC_ORDERS)
        add_order(auditor, seen);
    if (is_letter && !read_origin(seen))
        auditor_find(&auditor->finding, I1,
                     "deadletter partition %d offset %" PRId64 ": the headers "
                     "do not agree on its origin",
                     (int)seen->partition, seen->offset);
    auditor_list_add(&owner->outputs, seen);
    if (seen->topic == PL_TOPIC_ALERTS)
        auditor->counts.alerts++;
    else if (seen->topic == PL_TOPIC_ACCOUNTS)
        auditor->counts.states++;
    else if (is_letter)
        auditor->counts.dead_letters++;
}

static struct seen *append(struct stream *stream, const struct pl_record *record, uint64_t txn)
{
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 64;
        stream->items = auditor_allocate(stream->items, sizeof(*stream->items) * stream->capacity);
    }
    struct seen *seen = &stream->items[stream->count];
    *seen = (struct seen){.topic = record->topic,
                          .partition = record->partition,
                          .offset = record->offset,
                          .txn = txn,
                          .key = record->key,
                          .value = record->value};
    return seen;
}

/* Outputs are pointed at: they live with the seed, not in the stream, which may move. */
static struct seen *keep(struct auditor *auditor, const struct pl_record *record, uint64_t txn)
{
    struct seen *seen = auditor_take(&auditor->memory, sizeof(*seen));
    struct pl_header *headers = auditor_take(&auditor->memory,
                                             sizeof(*headers) * (record->header_count + 1));
    memcpy(headers, record->headers, sizeof(*headers) * record->header_count);
    *seen = (struct seen){.topic = record->topic,
                          .partition = record->partition,
                          .offset = record->offset,
                          .txn = txn,
                          .key = record->key,
                          .value = record->value,
                          .headers = headers,
                          .header_count = record->header_count};
    return seen;
}

void auditor_feed(struct auditor *auditor, const struct pl_record *record, uint64_t txn)
{
    if (record->topic == PL_TOPIC_PRICES || record->topic == PL_TOPIC_POSITIONS)
        return;
    struct stream *stream = stream_of(auditor, record->topic, record->partition);
    auditor->counts.records++;
    if (is_gone(stream, record->offset))
        auditor_find(&auditor->finding, I7,
                     "%s partition %d offset %" PRId64
                     " is visible though its transaction was aborted",
                     pl_topic_word(record->topic), (int)record->partition, record->offset);
    struct seen *seen = append(stream, record, txn);
    int input = input_of(record->topic);
    if (input >= 0) {
        struct pl_header *headers = auditor_take(&auditor->memory,
                                                 sizeof(*headers) * (record->header_count + 1));
        memcpy(headers, record->headers, sizeof(*headers) * record->header_count);
        seen->headers = headers;
        seen->header_count = record->header_count;
        read_input(auditor, record, stream, seen);
        check_not_late(auditor, seen, input);
    } else if (record->topic == PL_TOPIC_JOURNAL) {
        seen->facts = auditor_unpack(&auditor->memory, descriptor_of(PL_TOPIC_JOURNAL),
                                     record->value);
    } else {
        feed_output(auditor, keep(auditor, record, txn));
    }
    stream->count++;
}

/* ---- offsets --------------------------------------------------------------------------------- */

static void match_commit(struct auditor *auditor, const struct partition *partition,
                         struct commit *commit, struct entry_mark *entry)
{
    if (commit->txn != entry->txn || commit->is_matched || entry->is_matched[commit->topic])
        return;
    commit->is_matched = entry->is_matched[commit->topic] = true;
    if (commit->offset != entry->offsets[commit->topic])
        auditor_find(&auditor->finding, I6,
                     "partition %d entry %" PRIu64 " is at %s %" PRId64
                     " and its transaction committed %" PRId64,
                     (int)partition->number, entry->sequence,
                     pl_topic_word(auditor_inputs[commit->topic]), entry->offsets[commit->topic],
                     commit->offset);
}

void auditor_offsets(struct auditor *auditor, const struct pl_offset *offset, uint64_t txn)
{
    int input = input_of(offset->topic);
    if ((input != HOLDINGS && input != EXECUTIONS) ||
        offset->partition >= auditor->options.partition_count)
        return;
    struct partition *partition = &auditor->partitions[offset->partition];
    if (txn != 0 && offset->offset < partition->committed[input])
        auditor_find(&auditor->finding, I6,
                     "the committed offset of %s partition %d goes back from %" PRId64
                     " to %" PRId64,
                     pl_topic_word(offset->topic), (int)offset->partition,
                     partition->committed[input], offset->offset);
    partition->committed[input] = offset->offset;
    if (txn == 0)
        return;
    struct commit *commit = auditor_take(&auditor->memory, sizeof(*commit));
    *commit = (struct commit){.txn = txn, .topic = input, .offset = offset->offset};
    auditor_list_add(&partition->commits, commit);
    for (size_t i = partition->entry_txns.count; i-- > 0;)
        match_commit(auditor, partition, commit, partition->entry_txns.items[i]);
}

void auditor_match_entry(struct auditor *auditor, struct partition *partition,
                         const struct seen *journal)
{
    if (journal->txn == 0)
        return;
    struct entry_mark *entry = auditor_take(&auditor->memory, sizeof(*entry));
    *entry = (struct entry_mark){
        .txn = journal->txn,
        .sequence = partition->sequence,
        .offsets = {partition->vector[HOLDINGS], partition->vector[EXECUTIONS]}};
    auditor_list_add(&partition->entry_txns, entry);
    for (size_t i = partition->commits.count; i-- > 0;)
        match_commit(auditor, partition, partition->commits.items[i], entry);
}

/* ---- the router ------------------------------------------------------------------------------ */

struct event {
    struct auditor_router_event event;
    uint8_t order_id[PL_ORDER_ID_BYTES];
};

void auditor_router(struct auditor *auditor, const struct auditor_router_event *event)
{
    struct event *kept = auditor_take(&auditor->memory, sizeof(*kept));
    kept->event = *event;
    if (!auditor_read_uuid(event->order_id, kept->order_id))
        auditor_find(&auditor->finding, V_ORDER, "the router has an order without an id");
    auditor_list_add(&auditor->events, kept);
}

static void check_event(struct auditor *auditor, const struct event *kept)
{
    const struct known_order *order = NULL;
    for (size_t i = 0; !order && i < auditor->orders.count; i++) {
        const struct known_order *known = auditor->orders.items[i];
        if (memcmp(known->order_id, kept->order_id, PL_ORDER_ID_BYTES) == 0)
            order = known;
    }
    if (!order) {
        auditor_find(&auditor->finding, I7, "the router has seen an order that is not visible");
        return;
    }
    if (kept->event.kind != AUDITOR_ROUTER_EXECUTED)
        return;
    const Plimsoll__V1__ForcedSaleOrder *message = order->message;
    if (kept->event.now_ms > message->valid_until_ms)
        auditor_find(&auditor->finding, I5,
                     "order %s was executed at %" PRId64 " and valid until %" PRId64,
                     message->order_id, kept->event.now_ms, message->valid_until_ms);
    if (kept->event.lots < 0 || (uint64_t)kept->event.lots > message->lots)
        auditor_find(&auditor->finding, I2,
                     "order %s over %" PRIu64 " lots was executed for %" PRId64, message->order_id,
                     message->lots, kept->event.lots);
}

/* ---- check and end --------------------------------------------------------------------------- */

static const struct auditor_finding *result(const struct auditor *auditor)
{
    return auditor->finding.invariant[0] ? &auditor->finding : NULL;
}

/* All of its outputs are visible; also true when it cannot be read or has too many. */
static bool is_complete(const struct partition *partition, const struct seen *journal)
{
    const Plimsoll__V1__JournalEntry *entry = journal->facts;
    return !entry || auditor_count_outputs(partition, entry->sequence) >= entry->output_count;
}

static bool has_too_many(struct auditor *auditor, const struct partition *partition,
                         const struct seen *journal)
{
    const Plimsoll__V1__JournalEntry *entry = journal->facts;
    size_t count = entry ? auditor_count_outputs(partition, entry->sequence) : 0;
    if (!entry || count <= entry->output_count)
        return false;
    return !auditor_fail(auditor, partition, I6, "%zu outputs name entry %" PRIu64 ", which has %u",
                         count, entry->sequence, entry->output_count);
}

const struct auditor_finding *auditor_check(struct auditor *auditor)
{
    for (int32_t p = 0; p < auditor->options.partition_count && !result(auditor); p++) {
        struct partition *partition = &auditor->partitions[p];
        const struct stream *stream = stream_of(auditor, PL_TOPIC_JOURNAL, p);
        while (!result(auditor) && partition->next_entry < stream->count) {
            const struct seen *journal = &stream->items[partition->next_entry];
            if (has_too_many(auditor, partition, journal) || !is_complete(partition, journal) ||
                !auditor_judge_entry(auditor, partition, journal))
                break;
            partition->next_entry++;
        }
    }
    for (size_t i = 0; i < auditor->events.count && !result(auditor); i++)
        check_event(auditor, auditor->events.items[i]);
    auditor->events.count = 0;
    return result(auditor);
}

/* Everything that is visible fits together. */
static void check_wholeness(struct auditor *auditor, const struct partition *partition)
{
    const struct stream *stream = stream_of(auditor, PL_TOPIC_JOURNAL, partition->number);
    if (partition->next_entry < stream->count)
        auditor_fail(auditor, partition, I6, "only %zu of its outputs are visible",
                     auditor_count_outputs(partition, partition->sequence + 1));
    if (partition->outputs.count > 0) {
        const struct seen *seen = partition->outputs.items[0];
        auditor_fail(
            auditor, partition, I6,
            "%s partition %d offset %" PRId64 " names entry %" PRIu64 ", which is not there",
            pl_topic_word(seen->topic), (int)seen->partition, seen->offset, seen->sequence);
    }
    for (size_t i = 0; i < partition->commits.count; i++) {
        const struct commit *commit = partition->commits.items[i];
        if (!commit->is_matched)
            auditor_fail(auditor, partition, I6,
                         "%s %" PRId64 " was committed by a transaction without an "
                         "entry",
                         pl_topic_word(auditor_inputs[commit->topic]), commit->offset);
    }
    for (size_t i = 0; i < partition->entry_txns.count; i++) {
        const struct entry_mark *entry = partition->entry_txns.items[i];
        if (!entry->is_matched[0] || !entry->is_matched[1])
            auditor_fail(auditor, partition, I6,
                         "entry %" PRIu64 " was written without committing its offsets",
                         entry->sequence);
    }
    for (int i = 0; i < 2; i++)
        if (partition->has_entry && partition->committed[i] >= 0 &&
            partition->committed[i] != partition->vector[i])
            auditor_fail(auditor, partition, I6,
                         "the newest entry is at %s %" PRId64 " and %" PRId64 " is committed",
                         pl_topic_word(auditor_inputs[i]), partition->vector[i],
                         partition->committed[i]);
}

const struct auditor_finding *auditor_end(struct auditor *auditor,
                                          const struct auditor_facts *facts)
{
    (void)auditor_check(auditor);
    int32_t count = facts->is_calm ? auditor->options.partition_count : 0;
    for (int32_t p = 0; p < count && !result(auditor); p++)
        check_wholeness(auditor, &auditor->partitions[p]);
    for (int32_t p = 0; p < count && !result(auditor); p++)
        auditor_check_liveness(auditor, &auditor->partitions[p], facts);
    return result(auditor);
}
