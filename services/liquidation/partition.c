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
static const int64_t MARKS_MARGIN_MS = 2000;

/* ---- broadcast topics --------------------------------------------------------------------- */

static enum pl_err add_from_start(struct liquidation *service, enum pl_topic topic, int64_t *end)
{
    int64_t first = 0;
    if (pl_reader_position(service->broadcast, topic, 0) >= 0)
        return PL_OK; /* an earlier attempt got this far */
    enum pl_err err = pl_reader_watermarks(service->broadcast, topic, 0, QUERY_WAIT_MS, &first, end);
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

/* Marks older than their limit say nothing, so they are read from there on; how old that is, only
 * the parameters know. */
static enum pl_err add_marks(struct liquidation *service)
{
    int64_t from_ms = pl_now_ms() - mark_age_ms_max(service->parameters) - MARKS_MARGIN_MS;
    int64_t first = 0;
    enum pl_err err = pl_reader_watermarks(service->broadcast, PL_TOPIC_MARKS, 0, QUERY_WAIT_MS,
                                           &first, &service->marks_end);
    if (!err)
        err = pl_reader_offset_at(service->broadcast, PL_TOPIC_MARKS, 0, from_ms, QUERY_WAIT_MS,
                                  &service->marks_first_offset);
    if (!err)
        err = pl_reader_add(service->broadcast, PL_TOPIC_MARKS, 0, service->marks_first_offset);
    service->marks_added = !err;
    return err;
}

static enum pl_err follow_broadcast(struct liquidation *service)
{
    enum pl_err err = PL_OK;
    if (!service->parameters_added) {
        err = add_from_start(service, PL_TOPIC_CONTROL, &service->control_end);
        if (!err)
            err = add_from_start(service, PL_TOPIC_PARAMETERS, &service->parameters_end);
        if (!err)
            err = add_from_start(service, PL_TOPIC_CHAINS, &service->chains_end);
        service->parameters_added = !err;
        return err;
    }
    if (!service->marks_added) {
        if (service->has_parameters &&
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
    const struct pl_book_limits limits = {
        .accounts_max = (uint32_t)service->settings->accounts_max,
        .legs_max = (uint32_t)service->settings->accounts_max * 8,
        .applied_max = (uint32_t)service->settings->accounts_max * 2,
        .states_max = (uint32_t)service->settings->accounts_max,
    };
    int32_t number = partition->number;
    *partition = (struct partition){ .number = number, .readiness = PL_READINESS_LOADING };
    size_t touched_bytes = sizeof(uint32_t) * limits.accounts_max;
    size_t executions_bytes = sizeof(*partition->executions) * PL_EXECUTIONS_MAX;
    size_t dead_bytes = sizeof(*partition->dead) * (size_t)service->settings->batch_records_max;
    size_t book_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    partition->block_bytes = book_bytes + touched_bytes + executions_bytes + dead_bytes + 192;
    enum pl_err err = pl_memory_map(partition->block_bytes, &partition->block);
    if (err)
        return pl_err_note(err, "book of partition %d: lower book.accounts_max", (int)number);
    struct pl_arena arena;
    pl_arena_init(&arena, partition->block, partition->block_bytes);
    partition->book = pl_book_init(pl_arena_take(&arena, book_bytes, 64), &limits);
    partition->touched = pl_arena_take(&arena, touched_bytes, 64);
    partition->touched_capacity = limits.accounts_max;
    partition->executions = pl_arena_take(&arena, executions_bytes, 64);
    partition->dead = pl_arena_take(&arena, dead_bytes, 64);
    partition->dead_capacity = (uint32_t)service->settings->batch_records_max;
    partition->stage = STAGE_RESOLVING;
    pl_log(PL_LOG_INFO, "PARTITION_ASSIGNED", "loading", "partition", PL_LOG_INT(number), NULL);
    return PL_OK;
}

void partition_drop(struct liquidation *service, struct partition *partition)
{
    static const enum pl_topic topics[] = { PL_TOPIC_ACCOUNTS, PL_TOPIC_JOURNAL, PL_TOPIC_HOLDINGS,
                                            PL_TOPIC_EXECUTIONS };
    if (partition->stage == STAGE_FREE)
        return;
    for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        if (pl_reader_position(service->data, topics[i], partition->number) >= 0)
            (void)pl_reader_remove(service->data, topics[i], partition->number);
    pl_memory_unmap(partition->block, partition->block_bytes);
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
    bool first_start = service->settings->first_start;
    enum pl_err err = pl_start_offset(service->group, service->probe, PL_TOPIC_HOLDINGS,
                                      partition->number, first_start, RESOLVE_WAIT_MS,
                                      &partition->holdings_committed);
    if (!err)
        err = pl_start_offset(service->group, service->probe, PL_TOPIC_EXECUTIONS,
                              partition->number, first_start, RESOLVE_WAIT_MS,
                              &partition->executions_committed);
    return err;
}

static enum pl_err start_states(struct liquidation *service, struct partition *partition)
{
    int64_t accounts_first = 0, journal_first = 0, holdings_first = 0;
    int32_t number = partition->number;
    enum pl_err err = pl_reader_watermarks(service->probe, PL_TOPIC_ACCOUNTS, number, QUERY_WAIT_MS,
                                           &accounts_first, &partition->accounts_end);
    if (!err)
        err = pl_reader_watermarks(service->probe, PL_TOPIC_JOURNAL, number, QUERY_WAIT_MS,
                                   &journal_first, &partition->journal_end);
    if (!err)
        err = pl_reader_watermarks(service->probe, PL_TOPIC_HOLDINGS, number, QUERY_WAIT_MS,
                                   &holdings_first, &partition->holdings_end);
    if (!err)
        err = pl_reader_add(service->data, PL_TOPIC_ACCOUNTS, number, accounts_first);
    if (err)
        return err;
    int64_t tail = partition->journal_end - JOURNAL_TAIL_RECORDS;
    return pl_reader_add(service->data, PL_TOPIC_JOURNAL, number,
                         tail > journal_first ? tail : journal_first);
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

int64_t journal_offset(const struct pl_journal *journal, enum pl_topic topic)
{
    for (uint32_t i = 0; i < journal->vector_count; i++)
        if (journal->vector[i].topic == topic)
            return journal->vector[i].offset;
    return -1;
}

/* The journal's last entry was written by the transaction that committed the offsets. */
static enum pl_err check_tail(const struct liquidation *service, const struct partition *partition)
{
    if (!partition->has_entry) {
        if (partition->journal_end == 0)
            return PL_OK; /* a first start */
        return pl_err_set(PL_FATAL_DIVERGED, "journal partition %d has records but no entry",
                          (int)partition->number);
    }
    const struct pl_journal *last = &partition->last;
    if (last->partition_count != service->partition_count)
        return pl_err_set(PL_FATAL_CONFIG, "the journal was written with %d partitions and there are "
                          "%d now: accounts would change owners without their state; restore the "
                          "count or migrate to new topics", (int)last->partition_count,
                          (int)service->partition_count);
    if (journal_offset(last, PL_TOPIC_HOLDINGS) != partition->holdings_committed ||
        journal_offset(last, PL_TOPIC_EXECUTIONS) != partition->executions_committed)
        return pl_err_set(PL_FATAL_DIVERGED, "partition %d: journal entry %llu is at holdings %lld, "
                          "executions %lld, but the group has committed %lld, %lld",
                          (int)partition->number, (unsigned long long)last->sequence,
                          (long long)journal_offset(last, PL_TOPIC_HOLDINGS),
                          (long long)journal_offset(last, PL_TOPIC_EXECUTIONS),
                          (long long)partition->holdings_committed,
                          (long long)partition->executions_committed);
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

static enum pl_err follow_states(struct liquidation *service, struct partition *partition)
{
    int32_t number = partition->number;
    if (pl_reader_position(service->data, PL_TOPIC_ACCOUNTS, number) < partition->accounts_end ||
        pl_reader_position(service->data, PL_TOPIC_JOURNAL, number) < partition->journal_end)
        return PL_OK;
    enum pl_err err = check_tail(service, partition);
    if (!err)
        err = pl_reader_remove(service->data, PL_TOPIC_ACCOUNTS, number);
    if (!err)
        err = pl_reader_remove(service->data, PL_TOPIC_JOURNAL, number);
    return err ? err : start_holdings(service, partition);
}

static enum pl_err follow_holdings(struct liquidation *service, struct partition *partition)
{
    int32_t number = partition->number;
    int64_t position = pl_reader_position(service->data, PL_TOPIC_HOLDINGS, number);
    if (position < partition->holdings_end || position < partition->holdings_committed)
        return PL_OK;
    partition->executions_next = partition->executions_committed;
    enum pl_err err = pl_reader_add(service->data, PL_TOPIC_EXECUTIONS, number,
                                    partition->executions_committed);
    if (!err)
        err = pl_reader_pause(service->data, PL_TOPIC_EXECUTIONS, number);
    if (err)
        return err;
    partition->executions_paused = true;
    partition->decide_all = true;
    partition->stage = STAGE_LOADED;
    pl_log(PL_LOG_INFO, "PARTITION_LOADED", "book is complete", "partition", PL_LOG_INT(number),
           "accounts", PL_LOG_INT(pl_book_count(partition->book)), NULL);
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
    static const enum pl_topic broadcasts[] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS,
                                                PL_TOPIC_CHAINS, PL_TOPIC_MARKS };
    for (unsigned i = 0; partition->has_entry && i < 4; i++)
        if (pl_reader_position(service->broadcast, broadcasts[i], 0) <
            journal_offset(&partition->last, broadcasts[i]))
            return PL_READINESS_LOADING;
    int64_t age_ms = service->now_ms - partition->watermark.time_ms;
    if (age_ms > service->parameters->policy.watermark_age_ms_max)
        return PL_READINESS_WAITING;
    return PL_READINESS_DECIDING;
}
