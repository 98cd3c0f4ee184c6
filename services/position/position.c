/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the position service, in the order it runs: follow the group, read, apply, publish.
 *
 * The store holds what was applied; outputs wait until the transaction that carries them and the
 * input offsets has committed. An abort changes neither: the same outputs are published again, unless
 * their partition has been lost, in which case its new owner reads the same input again.
 */
#include "services/position/position.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/log.h"
#include "lib/service/process.h"
#include "lib/service/version.h"
#include "services/position/metrics.h"

enum {
    RESOLVE_WAIT_MS = 300,       /* of one attempt: partitions that run wait this long at most */
    RESOLVE_PAUSE_MS = 700,
    QUERY_WAIT_MS = 2000,
    OWNERSHIP_EVENTS_MAX = 64,
    SWEEP_ROWS_MAX = 200,        /* looked at in one step                            */
    VALUE_BYTES_MEAN = 4096,     /* address space for the records of one account     */
    WATERMARK_MS = 1000,
};

/* ---- partitions ----------------------------------------------------------------------------- */

static enum pl_err take(struct position_service *service, struct partition *partition)
{
    if (partition->stage != STAGE_FREE)
        return PL_OK;
    uint32_t accounts_max = (uint32_t)service->settings->accounts_max;
    size_t values_bytes = (size_t)accounts_max * VALUE_BYTES_MEAN;
    *partition = (struct partition){ .number = partition->number, .stage = STAGE_RESOLVING };
    size_t book_bytes = store_bytes(accounts_max, values_bytes);
    partition->block_bytes = book_bytes + accounts_max;
    enum pl_err err = pl_memory_map(partition->block_bytes, &partition->block);
    if (err)
        return pl_err_note(err, "store of partition %d: lower book.accounts_max",
                           (int)partition->number);
    partition->store = store_init(partition->block, accounts_max, values_bytes);
    partition->may_wait = (uint8_t *)partition->block + book_bytes;
    pl_log(PL_LOG_INFO, "PARTITION_ASSIGNED", "loading", "partition",
           PL_LOG_INT(partition->number), NULL);
    return PL_OK;
}

static void drop(struct position_service *service, struct partition *partition)
{
    static const enum pl_topic topics[] = { PL_TOPIC_POSITIONS, PL_TOPIC_HOLDINGS };
    if (partition->stage == STAGE_FREE)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (pl_reader_position(service->data, topics[i], partition->number) >= 0)
            (void)pl_reader_remove(service->data, topics[i], partition->number);
    pl_memory_unmap(partition->block, partition->block_bytes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < service->output_count; i++)
        if (service->outputs[i].source != partition->number)
            service->outputs[kept++] = service->outputs[i];
    service->output_count = kept;
    *partition = (struct partition){ .number = partition->number };
    pl_log(PL_LOG_INFO, "PARTITION_DROPPED", "no longer ours", "partition",
           PL_LOG_INT(partition->number), NULL);
}

static enum pl_err follow_group(struct position_service *service)
{
    struct pl_ownership_event events[OWNERSHIP_EVENTS_MAX];
    unsigned count = 0;
    enum pl_err err = pl_group_poll(service->group, 0, events, OWNERSHIP_EVENTS_MAX, &count);
    for (unsigned i = 0; !err && i < count; i++) {
        struct partition *partition = &service->partitions[events[i].partition];
        if (events[i].kind == PL_OWNERSHIP_ASSIGNED)
            err = take(service, partition);
        else
            drop(service, partition);
    }
    return err;
}

static enum pl_err resolve(struct position_service *service, struct partition *partition)
{
    int64_t first = 0;
    bool is_first_start = false;
    if (pl_mono_ms() < partition->retry_at_ms)
        return PL_OK;
    enum pl_err err = pl_start_offset(service->group, service->probe, PL_TOPIC_POSITIONS,
                                      partition->number, service->settings->first_start,
                                      RESOLVE_WAIT_MS, &partition->positions_committed,
                                      &is_first_start);
    if (!err)
        err = pl_reader_watermarks(service->probe, PL_TOPIC_HOLDINGS, partition->number,
                                   QUERY_WAIT_MS, &first, &partition->holdings_end);
    if (!err)
        err = pl_reader_add(service->data, PL_TOPIC_HOLDINGS, partition->number, first);
    if (pl_err_action(err) == PL_ACTION_RETRY) {
        partition->retry_at_ms = pl_mono_ms() + RESOLVE_PAUSE_MS;
        pl_log(PL_LOG_INFO, "PARTITION_WAITS", pl_err_text(), "partition",
               PL_LOG_INT(partition->number), NULL);
        return PL_OK;
    }
    if (!err)
        partition->stage = STAGE_RESTORING;
    return err;
}

/* Our own output, up to what any of our predecessors wrote, is the state. */
static enum pl_err restore(struct position_service *service, struct partition *partition)
{
    if (pl_reader_position(service->data, PL_TOPIC_HOLDINGS, partition->number) <
        partition->holdings_end)
        return PL_OK;
    enum pl_err err = pl_reader_remove(service->data, PL_TOPIC_HOLDINGS, partition->number);
    if (!err)
        err = pl_reader_add(service->data, PL_TOPIC_POSITIONS, partition->number,
                            partition->positions_committed);
    if (err)
        return err;
    partition->stage = STAGE_RUNNING;
    partition->sweep_all = true; /* parameters and finality may have moved on without us */
    pl_log(PL_LOG_INFO, "PARTITION_LOADED", "running", "partition", PL_LOG_INT(partition->number),
           "accounts", PL_LOG_INT(store_count(partition->store)), NULL);
    return PL_OK;
}

static enum pl_err add_broadcast(struct position_service *service, enum pl_topic topic,
                                 int64_t *end)
{
    int64_t first = 0;
    if (pl_reader_position(service->broadcast, topic, 0) >= 0)
        return PL_OK; /* an earlier attempt got this far */
    enum pl_err err =
        pl_reader_watermarks(service->broadcast, topic, 0, QUERY_WAIT_MS, &first, end);
    return err ? err : pl_reader_add(service->broadcast, topic, 0, first);
}

static enum pl_err follow_broadcast(struct position_service *service)
{
    if (service->broadcast_added)
        return PL_OK;
    enum pl_err err = add_broadcast(service, PL_TOPIC_PARAMETERS, &service->parameters_end);
    if (!err)
        err = add_broadcast(service, PL_TOPIC_CHAINS, &service->chains_end);
    service->broadcast_added = !err;
    return err;
}

static bool broadcast_is_read(const struct position_service *service)
{
    return service->has_parameters &&
           pl_reader_position(service->broadcast, PL_TOPIC_PARAMETERS, 0) >=
               service->parameters_end &&
           pl_reader_position(service->broadcast, PL_TOPIC_CHAINS, 0) >= service->chains_end;
}

static enum pl_err follow(struct position_service *service)
{
    enum pl_err err = follow_broadcast(service);
    if (!err)
        err = follow_group(service);
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage == STAGE_RESOLVING && broadcast_is_read(service))
            err = resolve(service, partition);
        else if (partition->stage == STAGE_RESTORING)
            err = restore(service, partition);
    }
    return err;
}

bool position_is_running(const struct position_service *service)
{
    for (int32_t i = 0; i < service->partition_count; i++)
        if (service->partitions[i].stage != STAGE_FREE &&
            service->partitions[i].stage != STAGE_RUNNING)
            return false;
    return service->has_parameters;
}

/* ---- outputs -------------------------------------------------------------------------------- */

static struct output *add_output(struct position_service *service, enum pl_topic topic,
                                 const struct partition *partition)
{
    pl_assert(service->output_count < service->output_capacity);
    struct output *output = &service->outputs[service->output_count++];
    *output = (struct output){ .topic = topic, .source = partition->number };
    return output;
}

static struct pl_bytes_view keep(struct position_service *service, const void *data, size_t size)
{
    uint8_t *copy = pl_arena_take(&service->stage, size + 1, 1);
    pl_assert(copy); /* sized for a full batch of the largest records */
    if (size)
        memcpy(copy, data, size);
    return (struct pl_bytes_view){ copy, size };
}

static enum pl_err reject(struct position_service *service, const struct partition *partition,
                          const struct pl_record *record, enum pl_err err)
{
    const char *name = service->kafka.topic_names[record->topic];
    pl_log(PL_LOG_WARN, "RECORD_REJECTED", pl_err_text(), "topic", PL_LOG_TEXT(name), "partition",
           PL_LOG_INT(record->partition), "offset", PL_LOG_INT(record->offset), "reason",
           PL_LOG_TEXT(pl_err_name(err)), NULL);
    pl_metric_add_labelled(PL_METRIC_REJECTED, (unsigned)record->topic, 1);
    const struct pl_dead_letter dead = {
        .topic = record->topic, .topic_name = name, .partition = record->partition,
        .offset = record->offset, .timestamp_ms = record->timestamp_ms, .err = err,
        .text = pl_err_text(), .service = "position", .slot = pl_txn_id(service->txn),
        .build = pl_version, .timestamp_type = "LogAppendTime" };
    struct pl_header *headers =
        pl_arena_take(&service->stage, sizeof(*headers) * PL_DEAD_LETTER_HEADERS_MAX +
                                           sizeof(*headers) * PL_HEADERS_MAX, 16);
    struct pl_header origin[PL_HEADERS_MAX];
    pl_assert(headers);
    for (unsigned i = 0; i < record->header_count; i++)
        origin[i] = (struct pl_header){
            (const char *)keep(service, record->headers[i].name,
                               strlen(record->headers[i].name) + 1).data,
            keep(service, record->headers[i].value.data, record->headers[i].value.size_bytes) };
    struct output *output = add_output(service, PL_TOPIC_DEADLETTER, partition);
    if (record->key.data)
        output->key = keep(service, record->key.data, record->key.size_bytes);
    if (record->value.data)
        output->value = keep(service, record->value.data, record->value.size_bytes);
    output->headers = headers;
    err = pl_wire_dead_letter_headers(service->wire, &dead, origin, record->header_count, headers,
                                      &output->header_count);
    return err ? pl_err_note(PL_FATAL_SYSTEM, "dead letter headers") : PL_OK;
}

/* Publishes the account at hand as its next version and makes it the state. */
static enum pl_err restate(struct position_service *service, struct partition *partition,
                           uint64_t positions_offset)
{
    struct pl_record_holdings *record = service->record;
    struct pl_bytes_view value;
    enum pl_err err = pl_record_convert(record, service->names, service->parameters,
                                        service->heads, service->chain_count);
    if (err)
        return err;
    record->version++;
    record->positions_offset = positions_offset;
    record->written_ms = pl_now_ms();
    err = pl_wire_record_encode(service->wire, record, &value);
    if (!err)
        err = store_put(partition->store, &record->account, value);
    if (err)
        return err;
    uint32_t row = 0;
    bool is_there = store_find(partition->store, &record->account, &row);
    pl_assert(is_there);
    partition->may_wait[row] = record->tail_count > 0;
    const struct pl_id *account = store_account(partition->store, row);
    struct output *output = add_output(service, PL_TOPIC_HOLDINGS, partition);
    output->key = (struct pl_bytes_view){ (const uint8_t *)account->text, account->size_bytes };
    output->value = value;
    return PL_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The account's record at hand: the last one, or a new one. */
static enum pl_err load(struct position_service *service, const struct partition *partition,
                        const struct pl_id *account, bool *is_known)
{
    uint32_t row = 0;
    *is_known = store_find(partition->store, account, &row);
    if (!*is_known) {
        memset(service->record, 0, sizeof(*service->record));
        service->record->account = *account;
        return PL_OK;
    }
    struct pl_bytes_view key = { (const uint8_t *)account->text, account->size_bytes };
    enum pl_err err = pl_wire_record_decode(service->wire, key, store_at(partition->store, row),
                                            service->record);
    return err ? pl_err_note(PL_FATAL_DIVERGED, "a record of our own cannot be read") : PL_OK;
}

static enum pl_err apply_event(struct position_service *service, struct partition *partition,
                               const struct pl_record *record)
{
    bool is_known = false;
    enum pl_err err = pl_account_key_check(record->key, record->value, record->partition,
                                           service->partition_count);
    if (!err)
        err = pl_wire_position_decode(service->wire, record->key, record->value, service->event);
    if (!err)
        err = load(service, partition, &service->event->account, &is_known);
    if (err)
        return err;
    err = pl_record_apply(service->record, service->event);
    if (err == PL_REJECT_STALE)
        return err;
    /* A conflict changes one thing, the gap, and that has to be known downstream. */
    enum pl_err restated = restate(service, partition, (uint64_t)record->offset);
    return err ? err : restated;
}

static enum pl_err taint_row(struct position_service *service, struct partition *partition,
                             uint32_t row, uint64_t positions_offset)
{
    bool is_known = false;
    enum pl_err err = load(service, partition, store_account(partition->store, row), &is_known);
    if (err || service->record->is_tainted)
        return err;
    service->record->is_tainted = true;
    return restate(service, partition, positions_offset);
}

/* Something was said about this account that could not be read, and in which bucket is not known: nobody
 * is sold on what came before. */
static enum pl_err taint(struct position_service *service, struct partition *partition,
                         const struct pl_record *record)
{
    const struct pl_bytes_view account = pl_account_part(record->key);
    enum pl_err err = PL_OK;
    for (uint32_t row = 0; !err && row < store_count(partition->store); row++) {
        const struct pl_id *id = store_account(partition->store, row);
        const struct pl_bytes_view part =
            pl_account_part((struct pl_bytes_view){ (const uint8_t *)id->text, id->size_bytes });
        if (part.size_bytes == account.size_bytes &&
            memcmp(part.data, account.data, part.size_bytes) == 0)
            err = taint_row(service, partition, row, (uint64_t)record->offset);
    }
    return err;
}

static enum pl_err position_record(struct position_service *service, struct partition *partition,
                                   const struct pl_record *record)
{
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    if (record->timestamp_ms > partition->newest_input_ms)
        partition->newest_input_ms = record->timestamp_ms;
    enum pl_err err = apply_event(service, partition, record);
    if (err == PL_REJECT_STALE) {
        pl_metric_add(PL_METRIC_DUPLICATES, 1);
        return PL_OK;
    }
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    bool is_ours = err != PL_REJECT_KEY && err != PL_REJECT_PARTITION;
    enum pl_err rejected = reject(service, partition, record, err);
    bool is_said = err == PL_REJECT_CONFLICT || err == PL_REJECT_SIZE; /* by the gap */
    if (!rejected && is_ours && !is_said)
        rejected = taint(service, partition, record);
    return rejected;
}

static enum pl_err holdings_record(struct partition *partition, const struct pl_record *record)
{
    struct pl_id account;
    if (pl_wire_is_watermark(record->key))
        return PL_OK;
    enum pl_err err = pl_wire_key_account(record->key, &account);
    uint32_t row = 0;
    if (!err)
        err = store_put(partition->store, &account, record->value);
    if (!err && store_find(partition->store, &account, &row))
        partition->may_wait[row] = true; /* until it is looked at */
    return err ? pl_err_note(PL_FATAL_DIVERGED, "holdings partition %d offset %lld, written by "
                             "this service, cannot be restored", (int)record->partition,
                             (long long)record->offset)
               : PL_OK;
}

static void sweep_everyone(struct position_service *service)
{
    for (int32_t i = 0; i < service->partition_count; i++) {
        service->partitions[i].sweep_all = true;
        service->partitions[i].sweep_next = 0;
    }
}

/* A head moved: whoever has an inflow that is not final may be credited more, or less. */
static void note_head(struct position_service *service)
{
    for (int32_t i = 0; i < service->partition_count; i++)
        service->partitions[i].head_moved = true;
}

static bool has_confirmations(const struct pl_parameters *parameters)
{
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
        if (parameters->instruments[i].is_listed &&
            parameters->instruments[i].confirmation_count > 0)
            return true;
    return false;
}

static enum pl_err parameters_record(struct position_service *service,
                                     const struct pl_record *record)
{
    static const char effective[] = "effective";
    if (record->key.size_bytes != sizeof(effective) - 1 ||
        memcmp(record->key.data, effective, sizeof(effective) - 1) != 0)
        return PL_OK;
    enum pl_err err = pl_wire_parameters_decode(service->wire, service->names, record->value,
                                                service->parameters_spare);
    if (!err && service->has_parameters)
        err = pl_parameters_follow(service->parameters, service->parameters_spare,
                                   service->names);
    if (err)
        return err;
    struct pl_parameters *accepted = service->parameters_spare;
    service->parameters_spare = service->parameters;
    service->parameters = accepted;
    service->has_parameters = true;
    service->has_confirmations = has_confirmations(accepted);
    sweep_everyone(service);
    return PL_OK;
}

static enum pl_err chain_record(struct position_service *service, const struct pl_record *record)
{
    struct pl_chain_status status;
    enum pl_err err = pl_wire_chain_decode(service->wire, record->key, record->value, &status);
    uint32_t at = 0;
    if (err)
        return err;
    while (at < service->chain_count && !pl_id_equal(&service->chains[at].chain, &status.chain))
        at++;
    if (at == PL_CHAINS_MAX)
        return pl_err_set(PL_REJECT_CAPACITY, "more than %d chains", PL_CHAINS_MAX);
    struct pl_chain_head *head = &service->heads[at];
    uint64_t last = head->height;
    *head = (struct pl_chain_head){ .chain = status.chain, .height = status.head_height };
    bool is_new = at == service->chain_count;
    if (is_new)
        service->chain_count++;
    if (is_new || status.finalised_height > service->chains[at].finalised_height) {
        service->chains[at] = status; /* finality never goes back, while a head may */
        sweep_everyone(service);
    } else if (head->height != last && service->has_confirmations) {
        note_head(service);
    }
    return PL_OK;
}

static enum pl_err poll_broadcast(struct position_service *service)
{
    bool found = true;
    enum pl_err err = PL_OK;
    while (!err && found) {
        struct pl_record record;
        err = pl_reader_poll(service->broadcast, 0, &record, &found);
        if (err || !found)
            break;
        err = record.topic == PL_TOPIC_CHAINS ? chain_record(service, &record)
                                              : parameters_record(service, &record);
        struct partition *writer = &service->partitions[0];
        if (pl_err_action(err) != PL_ACTION_REJECT)
            continue;
        /* Broadcasts are told of once, by the owner of partition 0; parameters by their own service. */
        bool is_told = writer->stage == STAGE_RUNNING && record.topic == PL_TOPIC_CHAINS;
        err = is_told ? reject(service, writer, &record, err) : PL_OK;
    }
    return err;
}

static enum pl_err poll_data(struct position_service *service)
{
    int wait_ms = service->settings->poll_wait_ms;
    for (int i = 0; i < service->settings->batch_records_max; i++, wait_ms = 0) {
        struct pl_record record;
        bool found = false;
        enum pl_err err = pl_reader_poll(service->data, wait_ms, &record, &found);
        if (err || !found)
            return err;
        struct partition *partition = &service->partitions[record.partition];
        if (record.topic == PL_TOPIC_HOLDINGS && partition->stage == STAGE_RESTORING)
            err = holdings_record(partition, &record);
        else if (record.topic == PL_TOPIC_POSITIONS && partition->stage == STAGE_RUNNING)
            err = position_record(service, partition, &record);
        if (err)
            return err;
    }
    return PL_OK;
}

/* ---- restatement ---------------------------------------------------------------------------- */

/* Same lots, same finality, and written lately: nothing to say. */
static bool has_news(struct position_service *service)
{
    static struct pl_record_holdings before;
    struct pl_record_holdings *record = service->record;
    bool is_old = pl_now_ms() - record->written_ms >= service->settings->restate_ms;
    before = *record;
    bool is_final = false;
    for (uint32_t i = 0; i < service->chain_count; i++)
        is_final |= pl_record_finalise(record, &service->chains[i].chain,
                                       service->chains[i].finalised_height);
    if (pl_record_convert(record, service->names, service->parameters, service->heads,
                          service->chain_count))
        return false; /* it cannot be expressed now, and was said so when it came */
    bool is_changed = record->leg_count != before.leg_count;
    for (uint32_t i = 0; !is_changed && i < record->leg_count; i++)
        is_changed = record->legs[i].has_lots != before.legs[i].has_lots ||
                     record->legs[i].lots != before.legs[i].lots ||
                     record->legs[i].settled_lots != before.legs[i].settled_lots ||
                     record->legs[i].credited_lots != before.legs[i].credited_lots;
    for (uint32_t i = 0; !is_changed && i < record->source_count; i++)
        is_changed = record->sources[i].settles_by_time != before.sources[i].settles_by_time;
    return is_old || is_final || is_changed;
}

/* A little in every step: everybody at least daily, and everybody soon after a change that may
 * concern him. */
static enum pl_err look_at(struct position_service *service, struct partition *partition,
                           uint32_t row)
{
    bool is_known = false;
    struct pl_id account = *store_account(partition->store, row);
    enum pl_err err = load(service, partition, &account, &is_known);
    bool is_news = !err && has_news(service);
    partition->may_wait[row] = service->record->tail_count > 0;
    if (is_news)
        err = restate(service, partition, service->record->positions_offset);
    return pl_err_action(err) == PL_ACTION_FATAL ? err : PL_OK;
}

/* Those who wait for their chain, once for each time that heads have moved. */
static enum pl_err sweep_waiting(struct position_service *service, struct partition *partition)
{
    uint32_t count = store_count(partition->store), looked = 0;
    enum pl_err err = PL_OK;
    if (partition->waiting_next >= count && partition->head_moved) {
        partition->waiting_next = 0;
        partition->head_moved = false;
    }
    for (; !err && partition->waiting_next < count && looked < SWEEP_ROWS_MAX;
         partition->waiting_next++)
        if (partition->may_wait[partition->waiting_next]) {
            looked++;
            err = look_at(service, partition, partition->waiting_next);
        }
    return err;
}

static enum pl_err sweep(struct position_service *service, struct partition *partition)
{
    uint32_t count = store_count(partition->store);
    uint32_t rows_max = partition->sweep_all ? SWEEP_ROWS_MAX : 1;
    for (uint32_t i = 0; i < rows_max && partition->sweep_next < count; i++) {
        enum pl_err err = look_at(service, partition, partition->sweep_next++);
        if (err)
            return err;
    }
    if (partition->sweep_next >= count) {
        partition->sweep_next = 0;
        partition->sweep_all = false;
    }
    return PL_OK;
}

/* "All positions below this offset are in": as of now when we have read everything there is, as of
 * the newest record read otherwise. */
static enum pl_err add_watermark(struct position_service *service, struct partition *partition)
{
    int64_t position =
        pl_reader_position(service->data, PL_TOPIC_POSITIONS, partition->number);
    int64_t end = pl_reader_end_cached(service->data, PL_TOPIC_POSITIONS, partition->number);
    bool is_caught_up = position >= end && end >= 0;
    const struct pl_watermark watermark = {
        .positions_offset = (uint64_t)position,
        .time_ms = is_caught_up ? pl_now_ms() : partition->newest_input_ms };
    struct output *output = add_output(service, PL_TOPIC_HOLDINGS, partition);
    static const char key[] = PL_WATERMARK_KEY;
    output->key = (struct pl_bytes_view){ (const uint8_t *)key, sizeof(key) - 1 };
    partition->watermark_mono_ms = pl_mono_ms();
    return pl_wire_watermark_encode(service->wire, &watermark, &output->value);
}

static enum pl_err maintain(struct position_service *service)
{
    enum pl_err err = PL_OK;
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_RUNNING)
            continue;
        err = sweep(service, partition);
        if (!err)
            err = sweep_waiting(service, partition);
        if (!err && pl_mono_ms() - partition->watermark_mono_ms >= WATERMARK_MS)
            err = add_watermark(service, partition);
    }
    return err;
}

/* ---- publishing ----------------------------------------------------------------------------- */

static enum pl_err transact(struct position_service *service)
{
    struct pl_offset offsets[PL_PARTITIONS_MAX];
    unsigned count = 0;
    pl_watchdog_beat("publish");
    enum pl_err err = pl_txn_begin(service->txn);
    if (!err)
        err = pl_txn_capture_group(service->txn, service->group);
    for (uint32_t i = 0; !err && i < service->output_count; i++) {
        const struct output *output = &service->outputs[i];
        int32_t to = output->topic == PL_TOPIC_HOLDINGS ? output->source : -1;
        if (!output->key.data)
            to = 0;
        err = pl_txn_produce(service->txn, output->topic, to, output->key, output->value,
                             output->headers, output->header_count);
    }
    for (int32_t i = 0; i < service->partition_count; i++)
        if (service->partitions[i].stage == STAGE_RUNNING)
            offsets[count++] = (struct pl_offset){
                PL_TOPIC_POSITIONS, i,
                pl_reader_position(service->data, PL_TOPIC_POSITIONS, i) };
    return err ? err : pl_txn_commit(service->txn, offsets, count);
}

/* Until it is committed or nothing of it is ours any more. Outputs are functions of the input alone,
 * so there is nothing to decide again. */
static enum pl_err publish(struct position_service *service)
{
    enum pl_err err = service->output_count ? transact(service) : PL_OK;
    while (pl_err_action(err) == PL_ACTION_ABORT) {
        pl_log(PL_LOG_WARN, "TRANSACTION_ABORTED", pl_err_text(), NULL);
        pl_metric_add(PL_METRIC_ABORTS, 1);
        err = pl_txn_abort(service->txn);
        if (!err)
            err = follow(service);
        if (!err && service->output_count)
            err = transact(service);
    }
    for (uint32_t i = 0; !err && i < service->output_count; i++)
        pl_metric_add_labelled(PL_METRIC_PUBLISHED, (unsigned)service->outputs[i].topic, 1);
    if (!err) {
        service->output_count = 0;
        pl_arena_reset(&service->stage);
        pl_wire_reset(service->wire);
    }
    return err;
}

enum pl_err position_step(struct position_service *service)
{
    pl_watchdog_beat("poll");
    enum pl_err err = follow(service);
    if (!err)
        err = poll_broadcast(service);
    if (!err)
        err = poll_data(service);
    if (!err)
        err = maintain(service);
    if (pl_err_action(err) == PL_ACTION_FATAL)
        return err;
    /* What was applied before the broker went away is still to be told. */
    enum pl_err published = publish(service);
    return published ? published : err;
}
