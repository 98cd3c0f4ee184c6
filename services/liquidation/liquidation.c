/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the liquidation service (DESIGN section 5), top to bottom in the order it runs: poll,
 * decode and apply, find, decide, publish. A step is one Kafka transaction: orders, alerts, states and
 * the journal entry become visible with the input offsets that caused them, or not at all (G1).
 *
 * What was applied stays applied: marks, holdings and parameters are functions of the topics. What is
 * decided is staged, and becomes the state only when the commit has succeeded.
 */
#include "services/liquidation/liquidation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/log.h"
#include "lib/service/process.h"
#include "lib/service/version.h"
#include "services/liquidation/metrics.h"

enum { REPUBLISH_MAX = 3 };

/* ---- 1, 2, 3: poll, decode, apply ----------------------------------------------------------- */

static struct pl_bytes_view keep(struct pl_arena *arena, struct pl_bytes_view bytes)
{
    if (!bytes.data)
        return bytes;
    uint8_t *copy = pl_arena_take(arena, bytes.size_bytes + 1, 1);
    if (!copy)
        return (struct pl_bytes_view){ NULL, 0 };
    memcpy(copy, bytes.data, bytes.size_bytes);
    return (struct pl_bytes_view){ copy, bytes.size_bytes };
}

static const char *keep_text(struct pl_arena *arena, const char *text)
{
    struct pl_bytes_view copy =
        keep(arena, (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) + 1 });
    return copy.data ? (const char *)copy.data : "";
}

/* Keeps a bad record until the step's transaction (G7). */
static void reject(struct liquidation *service, struct partition *partition,
                   const struct pl_record *record, enum pl_err err)
{
    const char *name = service->kafka.topic_names[record->topic];
    pl_log(PL_LOG_WARN, "RECORD_REJECTED", pl_err_text(), "topic", PL_LOG_TEXT(name), "partition",
           PL_LOG_INT(record->partition), "offset", PL_LOG_INT(record->offset), "reason",
           PL_LOG_TEXT(pl_err_name(err)), NULL);
    pl_metric_add_labelled(PL_METRIC_REJECTED, (unsigned)record->topic, 1);
    if (!partition)
        return; /* a broadcast, and the owner of partition 0 writes it */
    pl_assert(partition->dead_count < partition->dead_capacity);
    struct dead_letter *dead = &partition->dead[partition->dead_count++];
    struct pl_arena *arena = &service->letters;
    struct pl_header *headers = pl_arena_take(arena, sizeof(*headers) * PL_HEADERS_MAX, 8);
    unsigned count = headers ? record->header_count : 0;
    for (unsigned i = 0; i < count; i++)
        headers[i] = (struct pl_header){ keep_text(arena, record->headers[i].name),
                                         keep(arena, record->headers[i].value) };
    *dead = (struct dead_letter){
        .origin = { .topic = record->topic, .topic_name = name, .partition = record->partition,
                    .offset = record->offset, .timestamp_ms = record->timestamp_ms, .err = err,
                    .text = keep_text(arena, pl_err_text()), .service = "liquidation",
                    .slot = pl_txn_id(service->txn), .build = pl_version,
                    .timestamp_type = "LogAppendTime" },
        .key = keep(arena, record->key), .value = keep(arena, record->value),
        .headers = headers, .header_count = count };
}

static void touch(struct partition *partition, uint32_t index)
{
    if (partition->touched_count == partition->touched_capacity)
        partition->decide_all = true; /* more than there are accounts: look at all of them */
    else
        partition->touched[partition->touched_count++] = index;
}

/* The last word on this account could not be read: nobody is sold on what came before it. */
static void taint(struct partition *partition, const struct pl_record *record)
{
    struct pl_id account;
    uint32_t index = 0;
    if (pl_id_set(&account, record->key.data, record->key.size_bytes))
        return;
    if (!pl_book_taint(partition->book, &account, &index))
        touch(partition, index);
}

static enum pl_err apply_holdings(struct liquidation *service, struct partition *partition,
                                  const struct pl_record *record)
{
    static struct pl_holdings holdings; /* 6 KB of scratch */
    if (pl_wire_is_watermark(record->key))
        return pl_wire_watermark_decode(service->wire, record->value, &partition->watermark);
    bool is_live = record->offset >= partition->holdings_committed;
    enum pl_err err = pl_key_check(record->key, record->value, record->partition,
                                   service->partition_count, "account id");
    if (err)
        return err;
    uint32_t index = 0;
    err = pl_wire_holdings_decode(service->wire, service->names, record->key, record->value,
                                  &holdings);
    if (!err)
        err = pl_book_apply_holdings(partition->book, &holdings, &index);
    if (!err && is_live)
        touch(partition, index);
    if (err && err != PL_REJECT_STALE)
        taint(partition, record);
    return err;
}

static enum pl_err apply_execution(struct liquidation *service, struct partition *partition,
                                   const struct pl_record *record)
{
    enum pl_err err = pl_key_check(record->key, record->value, record->partition,
                                   service->partition_count, "account id");
    if (err)
        return err;
    struct pl_execution report;
    uint32_t index = 0;
    err = pl_wire_execution_decode(service->wire, record->key, record->value, &report);
    if (!err && !pl_book_find(partition->book, &report.account, &index))
        err = pl_err_set(PL_REJECT_UNKNOWN, "no account %.*s: it never had an order",
                         (int)report.account.size_bytes, report.account.text);
    if (err)
        return err;
    partition->executions[partition->execution_count].report = report;
    partition->executions[partition->execution_count++].index = index;
    touch(partition, index);
    return PL_OK;
}

static enum pl_err apply_state(struct liquidation *service, struct partition *partition,
                               const struct pl_record *record)
{
    static struct pl_account_state state;
    struct pl_id account;
    uint32_t index = 0;
    enum pl_err err = pl_id_set(&account, record->key.data, record->key.size_bytes);
    if (!err)
        err = pl_wire_state_decode(service->wire, service->names, record->key, record->value,
                                   &state);
    if (!err)
        err = pl_book_account(partition->book, &account, &index);
    if (!err)
        err = pl_book_set_state(partition->book, index, &state);
    if (err)
        return pl_err_note(PL_FATAL_DIVERGED, "accounts partition %d offset %lld, written by this "
                           "service, cannot be restored", (int)record->partition,
                           (long long)record->offset);
    return PL_OK;
}

static enum pl_err apply_journal(struct liquidation *service, struct partition *partition,
                                 const struct pl_record *record)
{
    enum pl_err err = pl_wire_journal_decode(service->wire, record->value, &partition->last);
    if (err)
        return pl_err_note(PL_FATAL_DIVERGED, "journal partition %d offset %lld, written by this "
                           "service, cannot be read", (int)record->partition,
                           (long long)record->offset);
    pl_wire_hash(record->value, partition->last_hash);
    partition->has_entry = true;
    return PL_OK;
}

enum pl_err partition_record(struct liquidation *service, const struct pl_record *record)
{
    struct partition *partition = &service->partitions[record->partition];
    if (partition->stage == STAGE_FREE)
        return PL_OK;
    enum pl_err err = PL_OK;
    if (record->topic == PL_TOPIC_HOLDINGS)
        err = apply_holdings(service, partition, record);
    else if (record->topic == PL_TOPIC_EXECUTIONS)
        err = apply_execution(service, partition, record);
    else if (record->topic == PL_TOPIC_ACCOUNTS)
        err = apply_state(service, partition, record);
    else if (record->topic == PL_TOPIC_JOURNAL)
        err = apply_journal(service, partition, record);
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    /* What lies below the committed offset was rejected, and said so, by whoever committed it. A
     * duplicate version is what a restarted position service may write: no damage. */
    bool is_news = record->topic == PL_TOPIC_EXECUTIONS ||
                   record->offset >= partition->holdings_committed;
    if (is_news && err != PL_REJECT_STALE)
        reject(service, partition, record, err);
    return PL_OK;
}

static bool is_halted_account(const struct liquidation *service, const struct pl_id *account,
                              uint32_t *place)
{
    for (uint32_t i = 0; i < service->halted_count; i++)
        if (pl_id_equal(&service->halted[i], account)) {
            *place = i;
            return true;
        }
    return false;
}

/* G8: whatever cannot be understood halts; only a readable resume of everything ends that. */
static enum pl_err apply_control(struct liquidation *service, const struct pl_record *record)
{
    struct pl_control control;
    uint32_t place = 0;
    enum pl_err err = pl_wire_control_decode(service->wire, record->key, record->value, &control);
    if (err) {
        service->control_damaged = true;
        return err;
    }
    if (control.epoch > service->control_epoch)
        service->control_epoch = control.epoch;
    if (control.account.size_bytes == 0) {
        service->is_halted = control.is_halt;
        if (!control.is_halt)
            service->control_damaged = false;
    } else if (control.is_halt && !is_halted_account(service, &control.account, &place)) {
        if (service->halted_count == PL_HALTED_ACCOUNTS_MAX)
            service->control_damaged = true;
        else
            service->halted[service->halted_count++] = control.account;
    } else if (!control.is_halt && is_halted_account(service, &control.account, &place)) {
        service->halted[place] = service->halted[--service->halted_count];
    }
    for (int32_t i = 0; i < service->partition_count; i++)
        service->partitions[i].decide_all = true; /* what a halt held back is due when it ends */
    pl_log(PL_LOG_WARN, control.is_halt ? "HALT" : "RESUME", control.reason, "actor",
           PL_LOG_TEXT(control.actor), "epoch", PL_LOG_INT((int64_t)control.epoch), NULL);
    return PL_OK;
}

static enum pl_err apply_parameters(struct liquidation *service, const struct pl_record *record)
{
    static const char effective[] = "effective";
    if (record->key.size_bytes != sizeof(effective) - 1 ||
        memcmp(record->key.data, effective, sizeof(effective) - 1) != 0)
        return PL_OK; /* base and shadow sets are the price service's business */
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
    pl_log(PL_LOG_INFO, "PARAMETERS", "a new set is in force", "epoch",
           PL_LOG_INT((int64_t)accepted->epoch), NULL);
    return PL_OK;
}

static enum pl_err apply_mark(struct liquidation *service, const struct pl_record *record)
{
    uint32_t instrument = 0;
    struct pl_mark mark;
    enum pl_err err = pl_wire_mark_decode(service->wire, service->names, record->key, record->value,
                                          &instrument, &mark);
    if (err || !pl_mark_is_newer(&mark, &service->marks[instrument]))
        return err;
    service->marks[instrument] = mark;
    if (mark.event_time_ms > service->cause_ms)
        service->cause_ms = mark.event_time_ms;
    pl_cache_put_mark(service->cache, &service->names->ids[instrument], &mark);
    return PL_OK;
}

enum pl_err broadcast_record(struct liquidation *service, const struct pl_record *record)
{
    enum pl_err err = PL_OK;
    struct pl_chain_status chain;
    if (record->topic == PL_TOPIC_CONTROL)
        err = apply_control(service, record);
    else if (record->topic == PL_TOPIC_PARAMETERS)
        err = apply_parameters(service, record);
    else if (record->topic == PL_TOPIC_MARKS)
        err = apply_mark(service, record);
    else if (record->topic == PL_TOPIC_CHAINS)
        err = pl_wire_chain_decode(service->wire, record->key, record->value, &chain);
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    /* Everybody reads it, the owner of partition 0 tells of it, and only if no journaled vector has
     * passed it before. */
    struct partition *writer = &service->partitions[0];
    bool is_writer = writer->stage == STAGE_LOADED && writer->dead_count < writer->dead_capacity &&
                     record->offset >= journal_offset(&writer->last, record->topic);
    reject(service, is_writer ? writer : NULL, record, err);
    return PL_OK;
}

static const enum pl_topic broadcasts[] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS,
                                            PL_TOPIC_CHAINS, PL_TOPIC_MARKS };
enum { BROADCASTS = sizeof(broadcasts) / sizeof(broadcasts[0]) };

static bool is_drained(const struct liquidation *service, const int64_t ends[BROADCASTS])
{
    for (unsigned i = 0; i < BROADCASTS; i++)
        if (pl_reader_position(service->broadcast, broadcasts[i], 0) < ends[i])
            return false;
    return true;
}

/* Drains the broadcasts to the ends seen now, control among them: only the newest mark counts, so a
 * backlog costs intermediate ticks, never memory, and what comes meanwhile waits for the next step.
 * Waits for the first record if there is nothing at all to do. */
static enum pl_err poll_broadcast(struct liquidation *service)
{
    int64_t ends[BROADCASTS];
    int wait_ms = service->settings->poll_wait_ms;
    for (unsigned i = 0; i < BROADCASTS; i++)
        ends[i] = pl_reader_end_cached(service->broadcast, broadcasts[i], 0);
    do {
        struct pl_record record;
        bool found = false;
        enum pl_err err = pl_reader_poll(service->broadcast, wait_ms, &record, &found);
        if (!err && found)
            err = broadcast_record(service, &record);
        if (err || !found)
            return err;
        wait_ms = 0;
    } while (!is_drained(service, ends));
    return PL_OK;
}

static bool has_room(const struct liquidation *service)
{
    size_t left_bytes = service->letters.size_bytes - service->letters.used_bytes;
    if (left_bytes < 4 * (size_t)pl_topic_value_bytes_max(PL_TOPIC_DEADLETTER))
        return false; /* bad records are published before more are read */
    for (int32_t i = 0; i < service->partition_count; i++) {
        const struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_FREE &&
            (partition->execution_count == PL_EXECUTIONS_MAX ||
             partition->dead_count == partition->dead_capacity))
            return false;
    }
    return true;
}

static enum pl_err poll_data(struct liquidation *service)
{
    for (int i = 0; i < service->settings->batch_records_max && has_room(service); i++) {
        struct pl_record record;
        bool found = false;
        enum pl_err err = pl_reader_poll(service->data, 0, &record, &found);
        if (!err && found)
            err = partition_record(service, &record);
        if (err || !found)
            return err;
    }
    return PL_OK;
}

static enum pl_err poll_batch(struct liquidation *service)
{
    pl_watchdog_beat("poll");
    enum pl_err err = poll_broadcast(service);
    return err ? err : poll_data(service);
}

/* ---- 4, 5: find, decide, stage --------------------------------------------------------------- */

/* The clock is read once, never goes back, and is an input from here on. */
static void read_clock(struct liquidation *service)
{
    int64_t now_ms = pl_now_ms();
    if (now_ms > service->now_ms)
        service->now_ms = now_ms;
    for (int32_t i = 0; i < service->partition_count; i++) {
        const struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_FREE && partition->has_entry &&
            partition->last.clock_ms > service->now_ms)
            service->now_ms = partition->last.clock_ms;
    }
}

static void forget_staged(struct liquidation *service)
{
    service->output_count = 0;
    service->staged_count = 0;
    pl_arena_reset(&service->stage);
    pl_wire_reset(service->wire);
    for (int32_t i = 0; i < service->partition_count; i++) {
        service->partitions[i].output_count = 0;
        service->partitions[i].staged_count = 0;
        service->partitions[i].is_published = false;
    }
}

static struct output *add_output(struct liquidation *service, enum pl_topic topic, int32_t partition)
{
    pl_assert(service->output_count < service->output_capacity);
    struct output *output = &service->outputs[service->output_count++];
    *output = (struct output){ .topic = topic, .partition = partition };
    return output;
}

/* Ids come from the cause: account, bucket, episode, revision, instrument (G1, G5). */
static void name_orders(const struct liquidation *service, const struct pl_account *account,
                        struct pl_decision *decision)
{
    static const uint8_t unnamed[PL_ORDER_ID_BYTES];
    struct pl_account_state *state = &decision->state;
    struct pl_plan_id plan_id;
    pl_plan_id(&account->id, "", state->episode, state->revision, &plan_id);
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (memcmp(state->pending[i].order_id, unnamed, sizeof(unnamed)) == 0)
            pl_order_id(&plan_id, &service->names->ids[state->pending[i].instrument],
                        state->pending[i].order_id);
}

static enum pl_err encode_decision(struct liquidation *service, const struct partition *partition,
                                   const struct pl_decision *decision)
{
    const struct pl_account *account = pl_book_at(partition->book, decision->index);
    const struct pl_bytes_view key = { (const uint8_t *)account->id.text, account->id.size_bytes };
    const struct pl_wire_context context = {
        .names = service->names, .market = service->market, .marks = service->marks,
        .account = account, .legs = pl_book_legs(partition->book, decision->index),
        .control_epoch = service->control_epoch };
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && decision->has_sale && i < decision->sale.leg_count; i++) {
        struct output *order = add_output(service, PL_TOPIC_ORDERS, partition->number);
        order->key = key;
        err = pl_wire_order_encode(service->wire, &context, decision, i, &order->value);
    }
    for (uint32_t i = 0; !err && i < decision->alert_count; i++) {
        struct output *alert = add_output(service, PL_TOPIC_ALERTS, partition->number);
        alert->key = key;
        err = pl_wire_alert_encode(service->wire, &context, decision, i, &alert->value);
    }
    if (!err) {
        struct output *state = add_output(service, PL_TOPIC_ACCOUNTS, partition->number);
        state->key = key;
        err = pl_wire_state_encode(service->wire, service->names, &account->id, &decision->state,
                                   &state->value);
    }
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "outputs of account %.*s", (int)account->id.size_bytes,
                           account->id.text);
    return PL_OK;
}

static struct pl_exposure exposure_of(const struct liquidation *service,
                                      const struct partition *partition,
                                      const struct pl_decision *decision)
{
    const struct pl_account *account = pl_book_at(partition->book, decision->index);
    const struct pl_verdict *verdict = &decision->verdict;
    struct pl_exposure exposure = {
        .account = account->id, .partition = partition->number,
        .sequence = partition->has_entry ? partition->last.sequence + 1 : 1,
        .clock_ms = service->now_ms, .holdings_version = account->version,
        .parameter_epoch = service->parameters->epoch, .state = decision->state.state,
        .is_uncertain = verdict->certainty != PL_CERTAIN || decision->state.doubt_count > 0,
        .equity_vu = verdict->equity_vu.low, .gross_vu = verdict->gross_vu,
        .pending_count = decision->state.pending_count };
    for (unsigned tier = 0; tier < PL_TIER_COUNT; tier++)
        exposure.excess[tier] = verdict->excess[tier].low;
    return exposure;
}

static void stage_state(struct liquidation *service, const struct partition *partition,
                        const struct pl_decision *decision)
{
    pl_assert(service->staged_count < service->staged_capacity);
    service->staged[service->staged_count++] = (struct staged_state){
        .index = decision->index, .state = decision->state,
        .exposure = exposure_of(service, partition, decision) };
}

/* An account that was evaluated and needed nothing can be looked up at once: nothing of it waits for
 * a commit. Without a cause, as while an episode waits, there is no news to show. */
static void show_unchanged(struct liquidation *service, const struct partition *partition,
                           const struct pl_decision *decision)
{
    bool has_cause = partition->touched_count > 0 || partition->changed_mask != 0;
    const struct pl_exposure exposure = exposure_of(service, partition, decision);
    if (has_cause)
        pl_cache_put_exposure(service->cache, &exposure);
}

static int by_expected_loss(const void *left, const void *right)
{
    const struct pl_decision *a = *(const struct pl_decision *const *)left;
    const struct pl_decision *b = *(const struct pl_decision *const *)right;
    pl_i128 loss_a = a->has_sale ? a->sale.maintenance_before : 0;
    pl_i128 loss_b = b->has_sale ? b->sale.maintenance_before : 0;
    if (loss_a != loss_b)
        return loss_a < loss_b ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank; /* order of account id */
}

static bool is_halted_for(const struct liquidation *service, const struct pl_account *account)
{
    uint32_t place = 0;
    return service->is_halted || service->control_damaged ||
           is_halted_account(service, &account->id, &place);
}

/* Executions of one account, folded into a copy of its committed state. */
static void fold_executions(const struct partition *partition, uint32_t index,
                            struct pl_account_state *state)
{
    for (uint32_t i = 0; i < partition->execution_count; i++)
        if (partition->executions[i].index == index &&
            !pl_state_apply_execution(state, &partition->executions[i].report))
            pl_metric_add(PL_METRIC_REPORTS_UNMATCHED, 1);
}

static struct pl_decision *decide_account(struct liquidation *service,
                                          const struct partition *partition, uint32_t index)
{
    static struct pl_account_state committed, prior;
    struct pl_decision *decision = pl_arena_take(&service->stage, sizeof(*decision), 16);
    pl_assert(decision);
    pl_book_state(partition->book, index, &committed);
    prior = committed;
    fold_executions(partition, index, &prior);
    const struct pl_account *account = pl_book_at(partition->book, index);
    pl_decide(service->market, service->names, partition->book, index, &committed, &prior,
              is_halted_for(service, account), decision);
    if (decision->has_sale)
        name_orders(service, account, decision);
    return decision;
}

static enum pl_err stage_decisions(struct liquidation *service, struct partition *partition,
                                   struct pl_decision **changed, uint32_t count)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < count; i++) {
        err = encode_decision(service, partition, changed[i]);
        stage_state(service, partition, changed[i]);
    }
    return err;
}

static enum pl_err stage_dead_letters(struct liquidation *service,
                                      const struct partition *partition)
{
    for (uint32_t i = 0; i < partition->dead_count; i++) {
        const struct dead_letter *dead = &partition->dead[i];
        struct pl_header *headers = pl_arena_take(
            &service->stage, sizeof(*headers) * (PL_HEADERS_MAX + PL_DEAD_LETTER_HEADERS_MAX), 8);
        struct output *output = add_output(service, PL_TOPIC_DEADLETTER, -1);
        pl_assert(headers);
        output->key = dead->key;
        output->value = dead->value;
        output->headers = headers;
        enum pl_err err = pl_wire_dead_letter_headers(service->wire, &dead->origin, dead->headers,
                                                      dead->header_count, headers,
                                                      &output->header_count);
        if (err)
            return pl_err_note(PL_FATAL_SYSTEM, "dead letter headers");
    }
    return PL_OK;
}

static uint32_t find_candidates(struct liquidation *service, struct partition *partition)
{
    if (service->market->parameters_changed)
        partition->decide_all = true;
    partition->changed_mask |= service->market->changed_mask;
    service->market->changed_mask = partition->decide_all ? UINT64_MAX : partition->changed_mask;
    return pl_screen(service->market, partition->book, partition->touched,
                     partition->touched_count, service->candidates, service->candidate_marks);
}

static enum pl_err decide_partition(struct liquidation *service, struct partition *partition)
{
    uint64_t changed_mask = service->market->changed_mask;
    uint32_t count = find_candidates(service, partition);
    service->market->changed_mask = changed_mask;
    struct pl_decision **changed = pl_arena_take(&service->stage, sizeof(*changed) * count + 1, 16);
    uint32_t changed_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pl_decision *decision = decide_account(service, partition, service->candidates[i]);
        decision->rank = i; /* candidates come in order of account id */
        if (decision->has_changed)
            changed[changed_count++] = decision;
        else
            show_unchanged(service, partition, decision);
    }
    pl_metric_add(PL_METRIC_EVALUATED, count);
    qsort(changed, changed_count, sizeof(*changed), by_expected_loss);
    enum pl_err err = stage_decisions(service, partition, changed, changed_count);
    return err ? err : stage_dead_letters(service, partition);
}

/* While a partition may not decide, its reports wait in the topic and its rejects are still told. */
static enum pl_err pause_executions(struct liquidation *service, struct partition *partition,
                                    bool pause)
{
    if (partition->executions_paused == pause)
        return PL_OK;
    partition->executions_paused = pause;
    return pause ? pl_reader_pause(service->data, PL_TOPIC_EXECUTIONS, partition->number)
                 : pl_reader_resume(service->data, PL_TOPIC_EXECUTIONS, partition->number);
}

static enum pl_err decide_partitions(struct liquidation *service)
{
    pl_watchdog_beat("decide");
    if (service->has_parameters)
        pl_market_update(service->market, service->parameters, service->marks, service->now_ms);
    enum pl_err err = PL_OK;
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_LOADED || !service->has_parameters)
            continue;
        enum pl_readiness readiness = partition_readiness(service, partition);
        if (readiness != PL_READINESS_DECIDING)
            partition->decide_all = true; /* what passes undecided now is decided then */
        err = pause_executions(service, partition, readiness != PL_READINESS_DECIDING);
        partition->entry.readiness = readiness;
        partition->output_first = service->output_count;
        partition->staged_first = service->staged_count;
        if (!err && readiness == PL_READINESS_DECIDING)
            err = decide_partition(service, partition);
        else if (!err && readiness == PL_READINESS_WAITING)
            err = stage_dead_letters(service, partition);
        partition->output_count = service->output_count - partition->output_first;
        partition->staged_count = service->staged_count - partition->staged_first;
    }
    return err;
}

/* ---- 6: publish ------------------------------------------------------------------------------ */

static bool is_entry_due(const struct liquidation *service, const struct partition *partition)
{
    if (partition->stage != STAGE_LOADED || !service->broadcast_loaded ||
        partition->entry.readiness == PL_READINESS_LOADING)
        return false;
    return partition->output_count > 0 || partition->readiness != partition->entry.readiness ||
           pl_mono_ms() - partition->last_entry_mono_ms >= service->settings->heartbeat_ms;
}

static void coordinate(struct pl_journal *entry, enum pl_topic topic, int32_t partition,
                       int64_t offset)
{
    pl_assert(entry->vector_count < PL_VECTOR_MAX);
    entry->vector[entry->vector_count++] = (struct pl_coordinate){ topic, partition, offset };
}

static enum pl_err digest_outputs(const struct liquidation *service,
                                  const struct partition *partition, struct pl_journal *entry)
{
    struct pl_outputs_digest digest;
    enum pl_err err = pl_outputs_digest_begin(&digest);
    for (uint32_t i = 0; !err && i < partition->output_count; i++) {
        const struct output *output = &service->outputs[partition->output_first + i];
        err = pl_outputs_digest_add(&digest, output->topic, output->key, output->value);
    }
    entry->output_count = partition->output_count;
    return err ? err : pl_outputs_digest_end(&digest, entry->outputs_digest);
}

static enum pl_err build_entry(struct liquidation *service, struct partition *partition)
{
    struct pl_journal *entry = &partition->entry;
    const struct pl_journal *last = partition->has_entry ? &partition->last : NULL;
    enum pl_readiness readiness = entry->readiness;
    *entry = (struct pl_journal){
        .partition = partition->number, .partition_count = service->partition_count,
        .sequence = last ? last->sequence + 1 : 1, .readiness = readiness,
        .kind = readiness != partition->readiness ? PL_JOURNAL_READINESS
                : partition->output_count > 0     ? PL_JOURNAL_STEP
                                                  : PL_JOURNAL_HEARTBEAT,
        .clock_ms = service->now_ms, .parameter_epoch = service->parameters->epoch,
        .control_epoch = service->control_epoch, .book_digest = pl_book_digest(partition->book),
        .marks_first_offset = service->marks_first_offset };
    if (last)
        memcpy(entry->previous_hash, partition->last_hash, PL_HASH_BYTES);
    partition->holdings_next =
        pl_reader_position(service->data, PL_TOPIC_HOLDINGS, partition->number);
    /* Reports that wait undecided are not behind us. */
    partition->executions_staged =
        readiness == PL_READINESS_DECIDING
            ? pl_reader_position(service->data, PL_TOPIC_EXECUTIONS, partition->number)
            : partition->executions_next;
    coordinate(entry, PL_TOPIC_HOLDINGS, partition->number, partition->holdings_next);
    coordinate(entry, PL_TOPIC_EXECUTIONS, partition->number, partition->executions_staged);
    for (unsigned i = 0; i < BROADCASTS; i++)
        coordinate(entry, broadcasts[i], 0, pl_reader_position(service->broadcast, broadcasts[i], 0));
    strncpy(entry->slot, pl_txn_id(service->txn), PL_SLOT_BYTES_MAX);
    strncpy(entry->build, pl_version, PL_SLOT_BYTES_MAX);
    return digest_outputs(service, partition, entry);
}

static enum pl_err produce_entry(struct liquidation *service, struct partition *partition)
{
    struct pl_bytes_view value;
    char key[16];
    int size = snprintf(key, sizeof(key), "%d", (int)partition->number);
    enum pl_err err = pl_wire_journal_encode(service->wire, &partition->entry, &value);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "journal entry");
    pl_wire_hash(value, partition->entry_hash);
    return pl_txn_produce(service->txn, PL_TOPIC_JOURNAL, partition->number,
                          (struct pl_bytes_view){ (const uint8_t *)key, (size_t)size }, value,
                          NULL, 0);
}

static enum pl_err produce_partition(struct liquidation *service, struct partition *partition)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < partition->output_count; i++) {
        const struct output *output = &service->outputs[partition->output_first + i];
        err = pl_txn_produce(service->txn, output->topic, output->partition, output->key,
                             output->value, output->headers, output->header_count);
    }
    return err ? err : produce_entry(service, partition);
}

/* One transaction: outputs, entries and offsets of every partition that is still ours. */
static enum pl_err transact(struct liquidation *service)
{
    struct pl_offset offsets[2 * PL_PARTITIONS_MAX];
    unsigned count = 0;
    pl_watchdog_beat("publish");
    enum pl_err err = pl_txn_begin(service->txn);
    if (!err)
        err = pl_txn_capture_group(service->txn, service->group);
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (!partition->is_published || !pl_group_owns(service->group, i))
            continue;
        err = produce_partition(service, partition);
        offsets[count++] = (struct pl_offset){ PL_TOPIC_HOLDINGS, i, partition->holdings_next };
        offsets[count++] = (struct pl_offset){ PL_TOPIC_EXECUTIONS, i, partition->executions_staged };
    }
    return err ? err : pl_txn_commit(service->txn, offsets, count);
}

/* What was staged becomes the state; what led to it is accounted for. */
static enum pl_err settle(struct liquidation *service, struct partition *partition)
{
    for (uint32_t i = 0; i < partition->staged_count; i++) {
        const struct staged_state *staged = &service->staged[partition->staged_first + i];
        enum pl_err err = pl_book_set_state(partition->book, staged->index, &staged->state);
        if (err)
            return pl_err_note(PL_FATAL_SYSTEM, "raise book.accounts_max");
        pl_cache_put_exposure(service->cache, &staged->exposure);
    }
    partition->executions_next = partition->executions_staged;
    partition->readiness = partition->entry.readiness;
    partition->last = partition->entry;
    memcpy(partition->last_hash, partition->entry_hash, PL_HASH_BYTES);
    partition->has_entry = true;
    partition->last_entry_mono_ms = pl_mono_ms();
    partition->dead_count = 0;
    return PL_OK;
}

static void count_outputs(const struct liquidation *service, const struct partition *partition)
{
    for (uint32_t i = 0; i < partition->output_count; i++) {
        const struct output *output = &service->outputs[partition->output_first + i];
        pl_metric_add_labelled(PL_METRIC_PUBLISHED, (unsigned)output->topic, 1);
        if (output->topic == PL_TOPIC_ORDERS && service->cause_ms > 0)
            pl_metric_observe(PL_METRIC_PRICE_TO_ORDER,
                              (double)(pl_now_ms() - service->cause_ms) / 1000.0);
    }
}

static void forget_causes(struct partition *partition)
{
    if (partition->entry.readiness != PL_READINESS_DECIDING)
        return;
    partition->touched_count = 0;
    partition->execution_count = 0;
    partition->changed_mask = 0;
    partition->decide_all = false;
}

/* Aborted: outputs and offsets of what we lost go; the rest is published again while it is fresh. */
static enum pl_err transact_until_settled(struct liquidation *service)
{
    enum pl_err err = transact(service);
    for (int i = 0; i < REPUBLISH_MAX && pl_err_action(err) == PL_ACTION_ABORT; i++) {
        pl_log(PL_LOG_WARN, "TRANSACTION_ABORTED", pl_err_text(), NULL);
        pl_metric_add(PL_METRIC_ABORTS, 1);
        enum pl_err aborted = pl_txn_abort(service->txn);
        if (aborted)
            return aborted;
        enum pl_err followed = liquidation_follow(service);
        if (followed)
            return followed;
        if (pl_now_ms() - service->now_ms > service->settings->freshness_ms)
            return err;
        err = transact(service);
    }
    return err;
}

static enum pl_err publish(struct liquidation *service)
{
    bool is_due = false;
    enum pl_err err = PL_OK;
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        partition->is_published = is_entry_due(service, partition);
        is_due |= partition->is_published;
        if (partition->is_published)
            err = build_entry(service, partition);
    }
    if (!err && is_due)
        err = transact_until_settled(service);
    if (pl_err_action(err) == PL_ACTION_ABORT)
        return pl_txn_abort(service->txn); /* stale: the next step decides anew, with a new clock */
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_LOADED)
            continue;
        if (partition->is_published) {
            count_outputs(service, partition);
            err = settle(service, partition);
        }
        forget_causes(partition);
    }
    if (!err && is_due)
        pl_metric_add(PL_METRIC_COMMITS, 1);
    return err;
}

static void release_letters(struct liquidation *service)
{
    for (int32_t i = 0; i < service->partition_count; i++)
        if (service->partitions[i].stage != STAGE_FREE && service->partitions[i].dead_count > 0)
            return;
    pl_arena_reset(&service->letters);
}

enum pl_err liquidation_step(struct liquidation *service)
{
    forget_staged(service);
    enum pl_err err = poll_batch(service);  /* 1, 2, 3: the only call that may answer RETRY */
    if (err)
        return err;
    read_clock(service);
    err = decide_partitions(service);       /* 4, 5 */
    if (!err)
        err = publish(service);             /* 6 */
    release_letters(service);
    service->cause_ms = 0;
    return err;
}
