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

static void tell_reject(const struct liquidation *service, const struct pl_record *record,
                        enum pl_err err)
{
    pl_log(PL_LOG_WARN, "RECORD_REJECTED", pl_err_text(), "topic",
           PL_LOG_TEXT(service->kafka.topic_names[record->topic]), "partition",
           PL_LOG_INT(record->partition), "offset", PL_LOG_INT(record->offset), "reason",
           PL_LOG_TEXT(pl_err_name(err)), NULL);
    pl_metric_add_labelled(PL_METRIC_REJECTED, (unsigned)record->topic, 1);
}

/* Of the broker's clock, as long as topics carry its time. */
static void see_time(struct liquidation *service, const struct pl_record *record)
{
    if (record->timestamp_ms > service->newest_record_ms)
        service->newest_record_ms = record->timestamp_ms;
}

static enum pl_err apply_journal(struct liquidation *service, struct partition *partition,
                                 const struct pl_record *record)
{
    enum pl_err err = pl_wire_journal_decode(service->venue.wire, record->value, &partition->last);
    if (err)
        return pl_err_note(PL_FATAL_DIVERGED, "journal partition %d offset %lld, written by this "
                           "service, cannot be read", (int)record->partition,
                           (long long)record->offset);
    pl_wire_hash(record->value, partition->last_hash);
    partition->has_entry = true;
    return PL_OK;
}

/* What the next entry accounts for: all that was read and not accounted for before. */
static void hash_input(struct partition *partition, const struct pl_record *record)
{
    uint8_t hash[PL_HASH_BYTES];
    bool is_execution = record->topic == PL_TOPIC_EXECUTIONS;
    if (!is_execution && record->offset < partition->ledger.news_from)
        return;
    pl_wire_input_hash(record->offset, record->key, record->value, hash);
    pl_inputs_digest_add(is_execution ? &partition->executions_read : &partition->holdings_read,
                         hash);
}

static enum pl_err partition_record(struct liquidation *service, const struct pl_record *record)
{
    struct partition *partition = &service->partitions[record->partition];
    if (partition->stage == STAGE_FREE)
        return PL_OK;
    see_time(service, record);
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    if (record->topic == PL_TOPIC_JOURNAL)
        return apply_journal(service, partition, record);
    if (record->topic != PL_TOPIC_ACCOUNTS)
        hash_input(partition, record);
    enum pl_err err = ledger_apply(&partition->ledger, &service->venue, record);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    if (!ledger_is_told(&partition->ledger, record, err)) {
        tell_reject(service, record, err);
        ledger_reject(&partition->ledger, record, err);
    }
    return PL_OK;
}

/* Keeps a bad broadcast record for partition 0. A process that never owns it would keep them forever:
 * by the time there is no room its owner has told of them. */
static bool has_room_for_bad(const struct bad_broadcasts *bad)
{
    return bad->count < PL_BAD_BROADCASTS_MAX &&
           bad->arena.size_bytes - bad->arena.used_bytes >
               2 * (size_t)pl_topic_value_bytes_max(PL_TOPIC_DEADLETTER);
}

static void forget_bad_broadcasts(struct bad_broadcasts *bad)
{
    bad->count = 0;
    bad->adopted = 0;
    pl_arena_reset(&bad->arena);
}

static void keep_bad_broadcast(struct bad_broadcasts *bad, const struct pl_record *record,
                               enum pl_err err)
{
    if (!has_room_for_bad(bad))
        forget_bad_broadcasts(bad);
    dead_letter_keep(&bad->letters[bad->count++], &bad->arena, record, err, pl_err_text());
}

static void tell_news(struct liquidation *service, const struct venue_news *news)
{
    const struct pl_control *control = &news->control;
    if (news->kind == VENUE_MARK) {
        const struct pl_mark *mark = &service->venue.marks[news->instrument];
        if (mark->event_time_ms > service->cause_ms)
            service->cause_ms = mark->event_time_ms;
        pl_cache_put_mark(service->cache, &service->venue.names->ids[news->instrument], mark);
    } else if (news->kind == VENUE_PARAMETERS) {
        service->input_life_ms = partition_input_life(service);
        pl_log(PL_LOG_INFO, "PARAMETERS", "a new set is in force", "epoch",
               PL_LOG_INT((int64_t)service->venue.parameters->epoch), NULL);
    } else if (news->kind == VENUE_CONTROL) {
        for (int32_t i = 0; i < service->partition_count; i++)
            service->partitions[i].ledger.decide_all = true; /* a halt's end makes sales due */
        pl_log(PL_LOG_WARN, control->is_halt ? "HALT" : "RESUME", control->reason, "actor",
               PL_LOG_TEXT(control->actor), "epoch", PL_LOG_INT((int64_t)control->epoch), NULL);
    }
}

static unsigned broadcast_index(enum pl_topic topic)
{
    unsigned i = 0;
    while (broadcasts[i] != topic)
        i++;
    return i;
}

static enum pl_err broadcast_record(struct liquidation *service, const struct pl_record *record)
{
    struct venue_news news;
    see_time(service, record);
    input_log_add(&service->inputs[broadcast_index(record->topic)], record);
    enum pl_err err = venue_apply(&service->venue, record, &news);
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    tell_news(service, &news);
    shadow_see(service, record);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    tell_reject(service, record, err);
    keep_bad_broadcast(&service->bad, record, err);
    return PL_OK;
}

static bool is_drained(const struct liquidation *service, const int64_t ends[BROADCASTS])
{
    if (service->partitions[BROADCAST_WRITER].stage == STAGE_LOADED &&
        !has_room_for_bad(&service->bad))
        return true; /* ours to tell before more are read */
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
        const struct ledger *ledger = &service->partitions[i].ledger;
        if (service->partitions[i].stage != STAGE_FREE &&
            (ledger->execution_count == ledger->execution_capacity ||
             ledger->dead_count >= (uint32_t)service->settings->batch_records_max))
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
    if (!service->venue.has_parameters)
        return; /* nothing can be decided, and what is believed of the wall clock is not known yet */
    int64_t now_ms = pl_now_ms(), latest_ms = service->newest_record_ms + service->input_life_ms;
    pl_metric_set(PL_METRIC_CLOCK_AHEAD,
                  now_ms > latest_ms ? (double)(now_ms - latest_ms) / 1000.0 : 0);
    if (now_ms > latest_ms)
        now_ms = latest_ms;
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
    service->staging.output_count = 0;
    service->staging.state_count = 0;
    pl_arena_reset(&service->stage);
    pl_wire_reset(service->venue.wire);
    for (int32_t i = 0; i < service->partition_count; i++) {
        service->partitions[i].output_count = 0;
        service->partitions[i].staged_count = 0;
        service->partitions[i].is_published = false;
    }
}

static struct pl_exposure exposure_of(const struct liquidation *service,
                                      const struct partition *partition, uint32_t index,
                                      const struct pl_account_state *state,
                                      const struct pl_verdict *verdict,
                                      const struct pl_ratios *ratios)
{
    const struct pl_account *account = pl_book_at(partition->ledger.book, index);
    struct pl_exposure exposure = {
        .account = account->id, .partition = partition->number,
        .sequence = partition->has_entry ? partition->last.sequence + 1 : 1,
        .clock_ms = service->now_ms, .holdings_version = account->version,
        .parameter_epoch = service->venue.parameters->epoch, .state = state->state,
        .is_uncertain = verdict->certainty != PL_CERTAIN || state->doubt_count > 0,
        .is_out_of_range = verdict->certainty == PL_OUT_OF_RANGE, .ratios = *ratios,
        .equity_vu = verdict->equity_vu.low, .gross_vu = verdict->gross_vu,
        .pending_count = state->pending_count };
    for (unsigned tier = 0; tier < PL_TIER_COUNT; tier++)
        exposure.excess[tier] = verdict->excess[tier].low;
    return exposure;
}

/* An account that was evaluated and needed nothing can be looked up at once: nothing of it waits for
 * a commit. Without a cause, as while an episode waits, there is no news to show. */
struct onlooker { struct liquidation *service; const struct partition *partition; };
static void show_unchanged(void *context, const struct pl_decision *decision)
{
    const struct onlooker *onlooker = context;
    const struct ledger *ledger = &onlooker->partition->ledger;
    if (ledger->touched_count == 0 && ledger->changed_mask == 0)
        return;
    static struct pl_leg legs[PL_LEGS_MAX]; /* scratch */
    const struct pl_market *market = onlooker->service->venue.market;
    struct pl_portfolio portfolio;
    struct pl_ratios ratios;
    pl_effective_portfolio(ledger->book, decision->index, &decision->state, market, legs,
                           &portfolio);
    pl_ratios_of(market, &portfolio, &decision->verdict, &ratios);
    const struct pl_exposure exposure =
        exposure_of(onlooker->service, onlooker->partition, decision->index, &decision->state,
                    &decision->verdict, &ratios);
    pl_cache_put_exposure(onlooker->service->cache, &exposure);
}

/* Reports of orders that are not pending: of a released one, or of nobody's. */
static void count_unmatched(const struct ledger *ledger)
{
    static struct pl_account_state state; /* scratch */
    for (uint32_t i = 0; i < ledger->execution_count; i++) {
        pl_book_state(ledger->book, ledger->executions[i].index, &state);
        if (!pl_state_apply_execution(&state, &ledger->executions[i].report))
            pl_metric_add(PL_METRIC_REPORTS_UNMATCHED, 1);
    }
}

static uint32_t find_candidates(struct liquidation *service, struct ledger *ledger)
{
    struct pl_market *market = service->venue.market;
    uint64_t changed_mask = market->changed_mask;
    if (market->parameters_changed)
        ledger->decide_all = true;
    ledger->changed_mask |= changed_mask;
    market->changed_mask = ledger->decide_all ? UINT64_MAX : ledger->changed_mask;
    uint32_t count = pl_screen(market, ledger->book, ledger->touched, ledger->touched_count,
                               service->candidates, service->candidate_marks);
    market->changed_mask = changed_mask;
    return count;
}

static struct writer writer_of(const struct liquidation *service, const struct partition *partition)
{
    return (struct writer){
        .slot = pl_txn_id(service->txn), .build = pl_version,
        .topic_names = service->kafka.topic_names,
        .sequence = partition->has_entry ? partition->last.sequence + 1 : 1 };
}

static enum pl_err decide_partition(struct liquidation *service, struct partition *partition,
                                    const struct writer *writer)
{
    struct onlooker onlooker = { service, partition };
    count_unmatched(&partition->ledger);
    uint32_t count = find_candidates(service, &partition->ledger);
    pl_metric_add(PL_METRIC_EVALUATED, count);
    return ledger_decide(&partition->ledger, &service->venue, service->candidates, count, writer,
                         &service->staging, show_unchanged, &onlooker);
}

/* What is bad on the broadcast topics is told in partition 0's journal, by whoever owns it, unless a
 * journaled vector has passed it. */
static void adopt_bad_broadcasts(struct liquidation *service, struct partition *partition)
{
    struct bad_broadcasts *bad = &service->bad;
    if (partition->number != BROADCAST_WRITER)
        return;
    for (; bad->adopted < bad->count; bad->adopted++) {
        const struct dead_letter *dead = &bad->letters[bad->adopted];
        if (dead->offset >= partition_journaled(partition, dead->topic))
            partition->ledger.dead[partition->ledger.dead_count++] = *dead;
    }
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

static enum pl_err stage_partition(struct liquidation *service, struct partition *partition,
                                   enum pl_readiness *readiness)
{
    const struct writer writer = writer_of(service, partition);
    struct staging *staging = &service->staging;
    enum pl_err err = PL_OK;
    if (*readiness == PL_READINESS_LOADING)
        return PL_OK;
    adopt_bad_broadcasts(service, partition);
    if (*readiness == PL_READINESS_DECIDING) {
        err = decide_partition(service, partition, &writer);
        partition->staged_count = staging->state_count - partition->staged_first;
        if (!err && !audit_partition(service, partition)) {
            *readiness = PL_READINESS_DIVERGED;
            staging->output_count = partition->output_first;
            staging->state_count = partition->staged_first;
        }
    }
    return err ? err
               : ledger_stage_dead_letters(&partition->ledger, &service->venue,
                                           *readiness == PL_READINESS_DECIDING, &writer, staging);
}

static enum pl_err decide_partitions(struct liquidation *service)
{
    pl_watchdog_beat("decide");
    venue_update(&service->venue, service->now_ms);
    enum pl_err err = PL_OK;
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_LOADED || !service->venue.has_parameters)
            continue;
        enum pl_readiness readiness = partition_readiness(service, partition);
        partition->output_first = service->staging.output_count;
        partition->staged_first = service->staging.state_count;
        err = stage_partition(service, partition, &readiness);
        if (readiness != PL_READINESS_DECIDING)
            partition->ledger.decide_all = true; /* what passes undecided now is decided then */
        if (!err)
            err = pause_executions(service, partition, readiness != PL_READINESS_DECIDING);
        partition->entry.readiness = readiness;
        partition->output_count = service->staging.output_count - partition->output_first;
        partition->staged_count = service->staging.state_count - partition->staged_first;
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

static enum pl_err digest_outputs(const struct liquidation *service,
                                  const struct partition *partition, struct pl_journal *entry)
{
    struct pl_outputs_digest digest;
    enum pl_err err = pl_outputs_digest_begin(&digest);
    for (uint32_t i = 0; !err && i < partition->output_count; i++) {
        const struct output *output = &service->staging.outputs[partition->output_first + i];
        pl_outputs_digest_add(&digest, output->topic, output->key, output->value);
    }
    entry->output_count = partition->output_count;
    if (!err)
        pl_outputs_digest_end(&digest, entry->outputs_digest);
    return err;
}

/* How far each input was read, and the digest of what was read since the entry before. */
static void build_vector(struct liquidation *service, struct partition *partition,
                         struct pl_journal *entry)
{
    const struct pl_reader *data = service->data, *broadcast = service->broadcast;
    bool is_deciding = entry->readiness == PL_READINESS_DECIDING;
    struct pl_coordinate holdings = {
        .topic = PL_TOPIC_HOLDINGS, .partition = partition->number,
        .first_offset = partition->holdings_next,
        .offset = pl_reader_position(data, PL_TOPIC_HOLDINGS, partition->number) };
    /* Reports that wait undecided are not behind us. */
    struct pl_coordinate executions = {
        .topic = PL_TOPIC_EXECUTIONS, .partition = partition->number,
        .first_offset = partition->executions_next,
        .offset = is_deciding
                      ? pl_reader_position(data, PL_TOPIC_EXECUTIONS, partition->number)
                      : partition->executions_next };
    pl_inputs_digest_read(&partition->holdings_read, holdings.digest);
    if (is_deciding)
        pl_inputs_digest_read(&partition->executions_read, executions.digest);
    else
        pl_wire_hash((struct pl_bytes_view){ NULL, 0 }, executions.digest);
    entry->vector[entry->vector_count++] = holdings;
    entry->vector[entry->vector_count++] = executions;
    for (unsigned i = 0; i < BROADCASTS; i++)
        entry->vector[entry->vector_count++] = inputs_broadcast(
            service, partition, i, pl_reader_position(broadcast, broadcasts[i], 0));
    static_assert(2 + BROADCASTS <= PL_VECTOR_MAX);
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
        .clock_ms = service->now_ms, .parameter_epoch = service->venue.parameters->epoch,
        .control_epoch = service->venue.control_epoch,
        .book_digest = pl_book_digest(partition->ledger.book),
        .settled_digest = ledger_settled_digest(
            &partition->ledger, &service->staging.states[partition->staged_first],
            partition->staged_count),
        .marks_first_offset = service->marks_first_offset };
    if (last)
        memcpy(entry->previous_hash, partition->last_hash, PL_HASH_BYTES);
    build_vector(service, partition, entry);
    strncpy(entry->slot, pl_txn_id(service->txn), PL_SLOT_BYTES_MAX);
    strncpy(entry->build, pl_version, PL_SLOT_BYTES_MAX);
    return digest_outputs(service, partition, entry);
}

static enum pl_err produce_entry(struct liquidation *service, struct partition *partition)
{
    struct pl_bytes_view value;
    char key[16];
    int size = snprintf(key, sizeof(key), "%d", (int)partition->number);
    enum pl_err err = pl_wire_journal_encode(service->venue.wire, &partition->entry, &value);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "journal entry");
    pl_wire_hash(value, partition->entry_hash);
    uint8_t signature[PL_SIGNATURE_BYTES];
    const struct pl_header header = { PL_SIGNATURE_HEADER, { signature, sizeof(signature) } };
    if (service->key)
        err = pl_key_sign(service->key, value, signature);
    return err ? err
               : pl_txn_produce(service->txn, PL_TOPIC_JOURNAL, partition->number,
                                (struct pl_bytes_view){ (const uint8_t *)key, (size_t)size }, value,
                                &header, service->key ? 1 : 0);
}

static enum pl_err produce_partition(struct liquidation *service, struct partition *partition)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < partition->output_count; i++) {
        const struct output *output = &service->staging.outputs[partition->output_first + i];
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
        offsets[count++] = (struct pl_offset){
            PL_TOPIC_HOLDINGS, i, journal_coordinate(&partition->entry, PL_TOPIC_HOLDINGS)->offset };
        offsets[count++] = (struct pl_offset){
            PL_TOPIC_EXECUTIONS, i, journal_coordinate(&partition->entry, PL_TOPIC_EXECUTIONS)->offset };
    }
    return err ? err : pl_txn_commit(service->txn, offsets, count);
}

/* What was staged becomes the state; what led to it is accounted for. */
static enum pl_err settle(struct liquidation *service, struct partition *partition)
{
    const struct staged_state *states = &service->staging.states[partition->staged_first];
    enum pl_err err = ledger_settle(&partition->ledger, states, partition->staged_count);
    if (err)
        return err;
    for (uint32_t i = 0; i < partition->staged_count; i++) {
        if (states[i].budget)
            continue;
        pl_metric_add(PL_METRIC_BRAKED, states[i].state.braked_ms > 0);
        const struct pl_exposure exposure =
            exposure_of(service, partition, states[i].index, &states[i].state, &states[i].verdict,
                        &states[i].ratios);
        pl_cache_put_exposure(service->cache, &exposure);
    }
    partition->holdings_next = journal_coordinate(&partition->entry, PL_TOPIC_HOLDINGS)->offset;
    pl_inputs_digest_reset(&partition->holdings_read);
    if (partition->entry.readiness == PL_READINESS_DECIDING) {
        partition->executions_next =
            journal_coordinate(&partition->entry, PL_TOPIC_EXECUTIONS)->offset;
        pl_inputs_digest_reset(&partition->executions_read);
    }
    partition->readiness = partition->entry.readiness;
    partition->last = partition->entry;
    memcpy(partition->last_hash, partition->entry_hash, PL_HASH_BYTES);
    partition->has_entry = true;
    partition->last_entry_mono_ms = pl_mono_ms();
    ledger_forget_dead(&partition->ledger, partition->readiness == PL_READINESS_DECIDING);
    return PL_OK;
}

static void count_outputs(const struct liquidation *service, const struct partition *partition)
{
    for (uint32_t i = 0; i < partition->output_count; i++) {
        const struct output *output = &service->staging.outputs[partition->output_first + i];
        pl_metric_add_labelled(PL_METRIC_PUBLISHED, (unsigned)output->topic, 1);
        if (output->topic == PL_TOPIC_ORDERS && service->cause_ms > 0)
            pl_metric_observe(PL_METRIC_PRICE_TO_ORDER,
                              (double)(pl_now_ms() - service->cause_ms) / 1000.0);
    }
}

/* Aborted: outputs and offsets of what we lost go; the rest is published again while it is fresh. An
 * ABORT answer means that the last attempt has been aborted too. */
static enum pl_err transact_until_settled(struct liquidation *service)
{
    enum pl_err err = PL_OK;
    for (int i = 0; i <= REPUBLISH_MAX; i++) {
        err = transact(service);
        if (pl_err_action(err) != PL_ACTION_ABORT)
            return err;
        pl_log(PL_LOG_WARN, "TRANSACTION_ABORTED", pl_err_text(), NULL);
        pl_metric_add(PL_METRIC_ABORTS, 1);
        enum pl_err next = pl_txn_abort(service->txn);
        if (!next)
            next = liquidation_follow(service);
        if (next)
            return next;
        if (pl_now_ms() - service->now_ms > service->settings->freshness_ms)
            break;
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
        return PL_OK; /* stale: the next step decides anew, with a new clock */
    for (int32_t i = 0; !err && i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_LOADED)
            continue;
        if (partition->is_published) {
            count_outputs(service, partition);
            err = settle(service, partition);
        }
        if (partition->entry.readiness == PL_READINESS_DECIDING)
            ledger_forget_causes(&partition->ledger);
    }
    if (!err && is_due)
        pl_metric_add(PL_METRIC_COMMITS, 1);
    return err;
}

static void release_letters(struct liquidation *service)
{
    const struct partition *teller = &service->partitions[BROADCAST_WRITER];
    if (teller->stage == STAGE_LOADED && teller->ledger.dead_count == 0 &&
        service->bad.adopted == service->bad.count)
        forget_bad_broadcasts(&service->bad); /* all are told */
    for (int32_t i = 0; i < service->partition_count; i++)
        if (service->partitions[i].stage != STAGE_FREE && service->partitions[i].ledger.dead_count > 0)
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
    if (!err)
        shadow_evaluate(service);           /* in the background; decides nothing */
    release_letters(service);
    service->cause_ms = 0;
    return err;
}
