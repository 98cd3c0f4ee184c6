/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition's life: assigned, resolved, loaded, ready, given up (DESIGN section 5, "When a partition
 * may decide" and "Restart and rebalance"). Everything is incremental and happens in the loop, so
 * that partitions which are ready go on deciding while another one loads.
 *
 *   RESOLVING  the group's committed offsets, once they are stable (T1)
 *   STATES     accounts and the journal's tail, up to the high watermark that an uncommitted reader
 *              sees: a dead worker's transaction may still be open below it
 *   HOLDINGS   holdings from 25 hours before the committed offset to the high watermark at
 *              assignment; the position service restates every account at least daily
 *   LOADED     from here the book is a function of the topics, and only freshness decides whether it
 *              may be acted on (G4)
 */
#include "services/liquidation/liquidation.h"

#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/start.h"
#include "lib/service/log.h"
#include "lib/service/process.h"

enum {
    RESOLVE_WAIT_MS = 300,      /* of one attempt: healthy partitions wait this long at most       */
    RESOLVE_PAUSE_MS = 700,
    QUERY_WAIT_MS = 2000,
    JOURNAL_TAIL_RECORDS = 2000,
    OWNERSHIP_EVENTS_MAX = 64,
};

static const int64_t RESTORE_WINDOW_MS = 25LL * 3600 * 1000;
static const int64_t MARKS_MARGIN_MS = 2000, CLOCK_MARGIN_MS = 10000;

/* ---- broadcast topics --------------------------------------------------------------------- */

static enum pl_err add_from_start(struct liquidation *service, unsigned broadcast, int64_t *end)
{
    enum pl_topic topic = broadcasts[broadcast];
    struct input_log *log = &service->inputs[broadcast];
    int64_t first = 0;
    if (pl_reader_position(service->broadcast, topic, 0) >= 0)
        return PL_OK; /* an earlier attempt got this far */
    enum pl_err err = pl_reader_watermarks(service->broadcast, topic, 0, QUERY_WAIT_MS, &first, end);
    if (!err)
        input_log_begin(log, first);
    return err ? err : pl_reader_add(service->broadcast, topic, 0, first);
}

static bool broadcast_reached(const struct liquidation *service, enum pl_topic topic, int64_t end)
{
    return pl_reader_position(service->broadcast, topic, 0) >= end;
}

static int64_t mark_age_ms_max(const struct pl_parameters *parameters)
{
    int64_t age_ms = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *instrument = &parameters->instruments[i];
        if (instrument->is_listed && instrument->price_rules.age_ms_max > age_ms)
            age_ms = instrument->price_rules.age_ms_max;
    }
    return age_ms;
}

int64_t partition_input_life(const struct liquidation *service)
{
    int64_t age_ms = mark_age_ms_max(service->venue.parameters);
    int64_t watermark_age_ms = service->venue.parameters->policy.watermark_age_ms_max;
    return (age_ms > watermark_age_ms ? age_ms : watermark_age_ms) + CLOCK_MARGIN_MS;
}

/* Marks older than their limit say nothing, so they are read from there on; how old that is, only
 * the parameters know. */
static enum pl_err add_marks(struct liquidation *service)
{
    int64_t from_ms = pl_now_ms() - mark_age_ms_max(service->venue.parameters) - MARKS_MARGIN_MS;
    int64_t first = 0;
    enum pl_err err = pl_reader_watermarks(service->broadcast, PL_TOPIC_MARKS, 0, QUERY_WAIT_MS,
                                           &first, &service->marks_end);
    if (!err)
        err = pl_reader_offset_at(service->broadcast, PL_TOPIC_MARKS, 0, from_ms, QUERY_WAIT_MS,
                                  &service->marks_first_offset);
    if (!err)
        input_log_begin(&service->inputs[BROADCASTS - 1], service->marks_first_offset);
    if (!err)
        err = pl_reader_add(service->broadcast, PL_TOPIC_MARKS, 0, service->marks_first_offset);
    service->marks_added = !err;
    return err;
}

static enum pl_err follow_broadcast(struct liquidation *service)
{
    enum pl_err err = PL_OK;
    if (!service->parameters_added) {
        int64_t *const ends[] = { &service->control_end, &service->parameters_end,
                                  &service->chains_end };
        for (unsigned i = 0; !err && i < 3; i++)
            err = add_from_start(service, i, ends[i]);
        service->parameters_added = !err;
        return err;
    }
    if (!service->marks_added) {
        if (service->venue.has_parameters &&
            broadcast_reached(service, PL_TOPIC_PARAMETERS, service->parameters_end))
            err = add_marks(service);
        return err;
    }
    if (!service->broadcast_loaded)
        service->broadcast_loaded =
            broadcast_reached(service, PL_TOPIC_CONTROL, service->control_end) &&
            broadcast_reached(service, PL_TOPIC_CHAINS, service->chains_end) &&
            broadcast_reached(service, PL_TOPIC_MARKS, service->marks_end);
    return PL_OK;
}

/* ---- taking a partition -------------------------------------------------------------------- */

static enum pl_err take(struct liquidation *service, struct partition *partition)
{
    if (partition->stage != STAGE_FREE)
        return PL_OK;
    const struct pl_book_limits limits =
        ledger_book_limits((uint32_t)service->settings->accounts_max);
    int32_t number = partition->number;
    *partition = (struct partition){ .number = number, .readiness = PL_READINESS_LOADING };
    struct ledger *ledger = &partition->ledger;
    *ledger = (struct ledger){
        .number = number, .partition_count = service->partition_count,
        .touched_capacity = limits.accounts_max, .execution_capacity = PL_EXECUTIONS_MAX,
        .dead_capacity = (uint32_t)service->settings->batch_records_max + PL_BAD_BROADCASTS_MAX,
        .letters = &service->letters };
    size_t touched_bytes = sizeof(*ledger->touched) * ledger->touched_capacity;
    size_t executions_bytes = sizeof(*ledger->executions) * ledger->execution_capacity;
    size_t dead_bytes = sizeof(*ledger->dead) * ledger->dead_capacity;
    size_t book_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    partition->block_bytes = book_bytes + touched_bytes + executions_bytes + dead_bytes + 192;
    enum pl_err err = pl_memory_map(partition->block_bytes, &partition->block);
    if (err)
        return pl_err_note(err, "book of partition %d: lower book.accounts_max", (int)number);
    err = pl_inputs_digest_begin(&partition->holdings_read);
    if (!err)
        err = pl_inputs_digest_begin(&partition->executions_read);
    if (err)
        return err;
    struct pl_arena arena;
    pl_arena_init(&arena, partition->block, partition->block_bytes);
    ledger->book = pl_book_init(pl_arena_take(&arena, book_bytes, 64), &limits);
    ledger->touched = pl_arena_take(&arena, touched_bytes, 64);
    ledger->executions = pl_arena_take(&arena, executions_bytes, 64);
    ledger->dead = pl_arena_take(&arena, dead_bytes, 64);
    partition->stage = STAGE_RESOLVING;
    pl_log(PL_LOG_INFO, "PARTITION_ASSIGNED", "loading", "partition", PL_LOG_INT(number), NULL);
    return PL_OK;
}

/* An attempt that failed half way is repeated. */
static enum pl_err start_reading(struct liquidation *service, enum pl_topic topic, int32_t number,
                                 int64_t offset)
{
    if (pl_reader_position(service->data, topic, number) >= 0)
        return PL_OK;
    return pl_reader_add(service->data, topic, number, offset);
}

static enum pl_err stop_reading(struct liquidation *service, enum pl_topic topic, int32_t number)
{
    if (pl_reader_position(service->data, topic, number) < 0)
        return PL_OK;
    return pl_reader_remove(service->data, topic, number);
}

void partition_drop(struct liquidation *service, struct partition *partition)
{
    static const enum pl_topic topics[] = { PL_TOPIC_ACCOUNTS, PL_TOPIC_JOURNAL, PL_TOPIC_HOLDINGS,
                                            PL_TOPIC_EXECUTIONS };
    if (partition->stage == STAGE_FREE)
        return;
    for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        (void)stop_reading(service, topics[i], partition->number);
    pl_memory_unmap(partition->block, partition->block_bytes);
    pl_inputs_digest_end(&partition->holdings_read);
    pl_inputs_digest_end(&partition->executions_read);
    int32_t number = partition->number;
    *partition = (struct partition){ .number = number };
    pl_log(PL_LOG_INFO, "PARTITION_DROPPED", "no longer ours", "partition", PL_LOG_INT(number),
           NULL);
}

static enum pl_err follow_group(struct liquidation *service)
{
    struct pl_ownership_event events[OWNERSHIP_EVENTS_MAX];
    unsigned count = 0;
    enum pl_err err = pl_group_poll(service->group, 0, events, OWNERSHIP_EVENTS_MAX, &count);
    for (unsigned i = 0; !err && i < count; i++) {
        struct partition *partition = &service->partitions[events[i].partition];
        if (events[i].kind == PL_OWNERSHIP_ASSIGNED)
            err = take(service, partition);
        else
            partition_drop(service, partition);
    }
    return err;
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Where to go on of both inputs, once nothing is pending on them. */
static enum pl_err resolve_offsets(struct liquidation *service, struct partition *partition)
{
    bool first_start = service->settings->first_start, executions_first = false;
    enum pl_err err = pl_start_offset(service->group, service->probe, PL_TOPIC_HOLDINGS,
                                      partition->number, first_start, RESOLVE_WAIT_MS,
                                      &partition->holdings_committed, &partition->is_first_start);
    if (!err)
        err = pl_start_offset(service->group, service->probe, PL_TOPIC_EXECUTIONS,
                              partition->number, first_start, RESOLVE_WAIT_MS,
                              &partition->executions_committed, &executions_first);
    if (!err && executions_first != partition->is_first_start)
        return pl_err_set(PL_FATAL_OFFSETS, "partition %d has a committed offset for only one of "
                          "holdings and executions: restore the group's offsets, see the runbook",
                          (int)partition->number);
    return err;
}

static enum pl_err start_tail(struct liquidation *service, struct partition *partition,
                              int64_t records)
{
    int64_t from = partition->journal_end - records;
    partition->journal_from = from > partition->journal_first ? from : partition->journal_first;
    return start_reading(service, PL_TOPIC_JOURNAL, partition->number, partition->journal_from);
}

static enum pl_err start_states(struct liquidation *service, struct partition *partition)
{
    int64_t accounts_first = 0, holdings_first = 0;
    int32_t number = partition->number;
    enum pl_err err = pl_reader_watermarks(service->probe, PL_TOPIC_ACCOUNTS, number, QUERY_WAIT_MS,
                                           &accounts_first, &partition->accounts_end);
    if (!err)
        err = pl_reader_watermarks(service->probe, PL_TOPIC_JOURNAL, number, QUERY_WAIT_MS,
                                   &partition->journal_first, &partition->journal_end);
    if (!err)
        err = pl_reader_watermarks(service->probe, PL_TOPIC_HOLDINGS, number, QUERY_WAIT_MS,
                                   &holdings_first, &partition->holdings_end);
    if (!err)
        err = start_reading(service, PL_TOPIC_ACCOUNTS, number, accounts_first);
    return err ? err : start_tail(service, partition, JOURNAL_TAIL_RECORDS);
}

static enum pl_err resolve(struct liquidation *service, struct partition *partition)
{
    if (pl_mono_ms() < partition->retry_at_ms)
        return PL_OK;
    enum pl_err err = resolve_offsets(service, partition);
    if (!err)
        err = start_states(service, partition);
    if (pl_err_action(err) == PL_ACTION_RETRY) {
        partition->retry_at_ms = pl_mono_ms() + RESOLVE_PAUSE_MS;
        pl_log(PL_LOG_INFO, "PARTITION_WAITS", pl_err_text(), "partition",
               PL_LOG_INT(partition->number), NULL);
        return PL_OK;
    }
    if (!err)
        partition->stage = STAGE_STATES;
    return err;
}

int64_t partition_journaled(const struct partition *partition, enum pl_topic topic)
{
    const struct pl_coordinate *coordinate =
        partition->has_entry ? journal_coordinate(&partition->last, topic) : NULL;
    return coordinate ? coordinate->offset : -1;
}

/* The journal's last entry was written by the transaction that committed the offsets and the states.
 * Anything else means that a log lost its tail, and to go on would sell twice. */
static enum pl_err check_tail(const struct liquidation *service, const struct partition *partition)
{
    int32_t number = partition->number;
    if (!partition->has_entry) {
        /* Aborted first transactions leave a journal that is not empty, but commit no offset. */
        if (partition->is_first_start)
            return PL_OK;
        return pl_err_set(PL_FATAL_DIVERGED, "partition %d has committed offsets but no journal entry "
                          "that says what was decided up to there", (int)number);
    }
    const struct pl_journal *last = &partition->last;
    unsigned long long sequence = last->sequence;
    if (last->partition_count != service->partition_count)
        return pl_err_set(PL_FATAL_CONFIG, "the journal was written with %d partitions and there are "
                          "%d now: accounts would change owners without their state; restore the "
                          "count or migrate to new topics", (int)last->partition_count,
                          (int)service->partition_count);
    int64_t holdings = partition_journaled(partition, PL_TOPIC_HOLDINGS);
    int64_t executions = partition_journaled(partition, PL_TOPIC_EXECUTIONS);
    if (holdings != partition->holdings_committed || executions != partition->executions_committed)
        return pl_err_set(PL_FATAL_DIVERGED, "partition %d: journal entry %llu is at holdings %lld, "
                          "executions %lld, but the group has committed %lld, %lld", (int)number,
                          sequence, (long long)holdings, (long long)executions,
                          (long long)partition->holdings_committed,
                          (long long)partition->executions_committed);
    if (!pl_digest_equal(last->settled_digest, pl_book_states_digest(partition->ledger.book)))
        return pl_err_set(PL_FATAL_DIVERGED, "partition %d: the account states on the accounts topic "
                          "are not those that journal entry %llu left; a record is missing or "
                          "changed: run plimsoll verify", (int)number, sequence);
    return PL_OK;
}

static enum pl_err start_holdings(struct liquidation *service, struct partition *partition)
{
    int64_t from = 0, end = 0;
    enum pl_err err = pl_reader_watermarks(service->probe, PL_TOPIC_HOLDINGS, partition->number,
                                           QUERY_WAIT_MS, &from, &end);
    if (!err && partition->has_entry) {
        int64_t at = 0;
        err = pl_reader_offset_at(service->probe, PL_TOPIC_HOLDINGS, partition->number,
                                  partition->last.clock_ms - RESTORE_WINDOW_MS, QUERY_WAIT_MS, &at);
        if (at > partition->holdings_committed)
            at = partition->holdings_committed;
        if (at > from)
            from = at;
    }
    if (!err)
        err = pl_reader_add(service->data, PL_TOPIC_HOLDINGS, partition->number, from);
    if (!err)
        partition->stage = STAGE_HOLDINGS;
    return err;
}

/* What was read to its end and removed by an earlier attempt has no position any more. */
static bool is_reading(const struct liquidation *service, enum pl_topic topic, int32_t number,
                       int64_t end)
{
    int64_t position = pl_reader_position(service->data, topic, number);
    return position >= 0 && position < end;
}

/* Whether the group has committed since we asked: another worker went on while we were held up, and the
 * tail is of its doing. That we have lost the partition we may hear only later. */
static bool has_moved_on(struct liquidation *service, const struct partition *partition)
{
    int64_t holdings = 0, executions = 0;
    int32_t number = partition->number;
    enum pl_err err = pl_group_committed(service->group, PL_TOPIC_HOLDINGS, number, RESOLVE_WAIT_MS,
                                         &holdings);
    if (!err)
        err = pl_group_committed(service->group, PL_TOPIC_EXECUTIONS, number, RESOLVE_WAIT_MS,
                                 &executions);
    if (err) /* UNSTABLE: somebody is about to */
        return pl_err_action(err) == PL_ACTION_RETRY;
    return holdings != partition->holdings_committed || executions != partition->executions_committed;
}

static enum pl_err load_anew(struct liquidation *service, struct partition *partition)
{
    pl_log(PL_LOG_INFO, "PARTITION_MOVED_ON", "another worker committed while this one loaded",
           "partition", PL_LOG_INT(partition->number), NULL);
    partition_drop(service, partition);
    return take(service, partition);
}

static enum pl_err follow_states(struct liquidation *service, struct partition *partition)
{
    if (is_reading(service, PL_TOPIC_ACCOUNTS, partition->number, partition->accounts_end) ||
        is_reading(service, PL_TOPIC_JOURNAL, partition->number, partition->journal_end))
        return PL_OK;
    enum pl_err err = PL_OK;
    /* Nothing but aborted entries in the tail: a worker that could not commit was started again and
     * again. */
    if (!partition->has_entry && partition->journal_from > partition->journal_first) {
        int64_t records = 8 * (partition->journal_end - partition->journal_from);
        err = stop_reading(service, PL_TOPIC_JOURNAL, partition->number);
        return err ? err : start_tail(service, partition, records);
    }
    err = check_tail(service, partition);
    if (err == PL_FATAL_DIVERGED && has_moved_on(service, partition))
        return load_anew(service, partition);
    partition->ledger.news_from = partition->holdings_committed;
    /* What the self-audit stopped stays stopped, whoever owns it next. */
    partition->has_diverged = partition->last.readiness == PL_READINESS_DIVERGED;
    partition->diverged_epoch = partition->last.control_epoch;
    if (!err)
        err = stop_reading(service, PL_TOPIC_ACCOUNTS, partition->number);
    if (!err)
        err = stop_reading(service, PL_TOPIC_JOURNAL, partition->number);
    return err ? err : start_holdings(service, partition);
}

static enum pl_err follow_holdings(struct liquidation *service, struct partition *partition)
{
    int32_t number = partition->number;
    int64_t position = pl_reader_position(service->data, PL_TOPIC_HOLDINGS, number);
    if (position < partition->holdings_end || position < partition->holdings_committed)
        return PL_OK;
    partition->holdings_next = partition->holdings_committed;
    partition->executions_next = partition->executions_committed;
    enum pl_err err = start_reading(service, PL_TOPIC_EXECUTIONS, number,
                                    partition->executions_committed);
    if (!err)
        err = pl_reader_pause(service->data, PL_TOPIC_EXECUTIONS, number);
    if (err)
        return err;
    partition->executions_paused = true;
    partition->ledger.decide_all = true;
    partition->audit_mono_ms = pl_mono_ms();
    partition->shadow = (struct shadow_sweep){ .mono_ms = pl_mono_ms() };
    partition->stage = STAGE_LOADED;
    if (number == BROADCAST_WRITER)
        service->bad.adopted = 0;
    pl_log(PL_LOG_INFO, "PARTITION_LOADED", "book is complete", "partition", PL_LOG_INT(number),
           "accounts", PL_LOG_INT(pl_book_count(partition->ledger.book)), NULL);
    return PL_OK;
}

static enum pl_err follow_partition(struct liquidation *service, struct partition *partition)
{
    switch (partition->stage) {
    case STAGE_RESOLVING:
        return resolve(service, partition);
    case STAGE_STATES:
        return follow_states(service, partition);
    case STAGE_HOLDINGS:
        return follow_holdings(service, partition);
    case STAGE_FREE:
    case STAGE_LOADED:
        break;
    }
    return PL_OK;
}

enum pl_err liquidation_follow(struct liquidation *service)
{
    enum pl_err err = follow_broadcast(service);
    if (pl_err_action(err) != PL_ACTION_FATAL)
        err = follow_group(service);
    for (int32_t i = 0; !err && i < service->partition_count; i++)
        err = follow_partition(service, &service->partitions[i]);
    return err;
}

/* ---- readiness ------------------------------------------------------------------------------- */

enum pl_readiness partition_readiness(const struct liquidation *service,
                                      const struct partition *partition)
{
    if (partition->stage != STAGE_LOADED || !service->broadcast_loaded)
        return PL_READINESS_LOADING;
    for (unsigned i = 0; i < BROADCASTS; i++)
        if (pl_reader_position(service->broadcast, broadcasts[i], 0) <
            partition_journaled(partition, broadcasts[i]))
            return PL_READINESS_LOADING;
    if (partition->has_diverged && service->venue.control_epoch <= partition->diverged_epoch)
        return PL_READINESS_DIVERGED;
    return ledger_readiness(&partition->ledger, &service->venue, service->now_ms);
}
