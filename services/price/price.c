/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass of the price service, in the order it runs: poll, decode, aggregate, publish.
 *
 * Prices of one pass are conflated: an instrument gets at most one mark for all of them. Whatever
 * is lost on the way out, because a queue is full or a broker is gone, is healed by the next
 * restatement. Carries G4 (a mark is LIVE only by its rules, price.h of lib/price) and G7 (what
 * can't be applied goes to dead letter with reason and origin).
 */
#include "services/price/price.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/log.h"
#include "lib/service/process.h"
#include "lib/service/version.h"
#include "services/price/metrics.h"

enum {
    POLL_WAIT_MS = 20,    /* for the first record of a pass                                    */
    RECORDS_MAX = 2000,   /* of a pass                                                         */
    SWEEP_MS = 100,       /* how late a mark may be in turning stale                           */
    FLUSH_WAIT_MS = 100,
};

/* ---- records that can't be applied ---------------------------------------------------------- */

/* Sends the record to dead letter; waits while the local queue is full or no broker answers, as the record
 * has been read and nobody restates it (G7). */
static enum pl_err bury(struct price_service *service, const struct pl_record *record,
                        enum pl_err reason)
{
    char text[PL_ERR_TEXT_BYTES_MAX]; /* a full queue sets a text of its own */
    snprintf(text, sizeof text, "%s", pl_err_text());
    const struct pl_dead_letter dead = {
        .topic = record->topic, .topic_name = service->kafka.topic_names[record->topic],
        .partition = record->partition, .offset = record->offset,
        .timestamp_ms = record->timestamp_ms, .err = reason, .text = text,
        .service = "plimsoll-price", .slot = service->settings->common.slot, .build = pl_version};
    struct pl_header headers[PL_HEADERS_MAX + PL_DEAD_LETTER_HEADERS_MAX];
    /* A value beyond every limit cannot be sent anywhere: its origin says where it is. */
    const bool is_huge = record->value.size_bytes > pl_topic_value_bytes_max(PL_TOPIC_DEADLETTER);
    const struct pl_bytes_view value = is_huge ? (struct pl_bytes_view){0} : record->value;
    unsigned count = 0;
    enum pl_err err = pl_wire_dead_letter_headers(service->wire, &dead, record->headers,
                                                  record->header_count, headers, &count);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "dead letter's headers");
    while (pl_err_action(err = pl_producer_send(service->producer, PL_TOPIC_DEADLETTER, -1,
                                                record->key, value, headers, count)) ==
               PL_ACTION_RETRY &&
           !pl_process_should_stop()) {
        pl_watchdog_beat("wait for room for a dead letter");
        (void)pl_producer_flush(service->producer, FLUSH_WAIT_MS);
    }
    pl_metric_add(PL_METRIC_DEAD_LETTERS, err == PL_OK);
    return err;
}

static enum pl_err reject(struct price_service *service, const struct pl_record *record,
                          enum pl_err reason)
{
    pl_log(PL_LOG_WARN, "RECORD_REJECTED", pl_err_text(), "topic",
           PL_LOG_TEXT(service->kafka.topic_names[record->topic]), "partition",
           PL_LOG_INT(record->partition), "offset", PL_LOG_INT(record->offset), "reason",
           PL_LOG_TEXT(pl_err_name(reason)), NULL);
    pl_metric_add_labelled(PL_METRIC_REJECTED, (unsigned)record->topic, 1);
    /* What everybody reads is buried by one of us. */
    if (record->topic != PL_TOPIC_PRICES && !pl_group_owns(service->group, 0))
        return PL_OK;
    return bury(service, record, reason);
}

/* ---- prices and marks ----------------------------------------------------------------------- */

static void touch(struct price_service *service, uint32_t index, int64_t cause_ms)
{
    struct instrument *instrument = &service->instruments[index];
    if (instrument->is_touched)
        return;
    instrument->is_touched = true;
    instrument->cause_ms = cause_ms;
    service->touched[service->touched_count++] = index;
}

/* Of the quotes that are dropped, those that nobody can ever use are refused aloud. */
static enum pl_err judge_drop(const struct price_service *service, const struct pl_price *price,
                              enum pl_drop drop)
{
    const unsigned long long epoch = service->parameters.has_effective ? service->parameters.effective->epoch : 0;
    if (drop == PL_DROP_UNLISTED)
        return pl_err_set(PL_REJECT_UNKNOWN, "instrument %s is not listed in parameter epoch %llu",
                          price->instrument.text, epoch);
    if (drop == PL_DROP_UNKNOWN_SOURCE)
        return pl_err_set(PL_REJECT_UNKNOWN, "%s is no price source of %s in parameter epoch %llu",
                          price->source.text, price->instrument.text, epoch);
    if (drop == PL_DROP_OUT_OF_RANGE)
        return pl_err_set(PL_REJECT_RANGE, "the price of %s or its confidence cannot be expressed "
                          "in ticks", price->instrument.text);
    return PL_OK;
}

static enum pl_err apply_price(struct price_service *service, const struct pl_record *record)
{
    struct pl_price price;
    enum pl_err err = pl_key_check(record->key, record->value, record->partition,
                                   service->partition_count, "instrument");
    if (!err)
        err = pl_wire_price_decode(service->wire, record->key, record->value, &price);
    if (err)
        return err;
    uint32_t index = 0;
    enum pl_drop drop = PL_DROP_UNLISTED;
    const bool is_named = pl_names_find(service->names, &price.instrument, &index);
    const struct pl_instrument *instrument = &service->parameters.effective->instruments[index];
    if (is_named && instrument->peg.is_present)
        return pl_err_set(PL_REJECT_CONFLICT, "%s is pegged: its mark follows from those of others, "
                          "so quote the peg's inputs", price.instrument.text);
    if (is_named && instrument->kind == PL_INSTRUMENT_OPTION)
        return pl_err_set(PL_REJECT_UNKNOWN, "%s is an option: its mark follows from those of its "
                          "underlying and its volatility", price.instrument.text);
    if (is_named)
        drop = pl_aggregate_quote(&service->instruments[index].aggregate,
                                  &service->parameters.effective->instruments[index], &price,
                                  service->now_ms, (uint64_t)record->offset, record->partition);
    pl_metric_add_labelled(PL_METRIC_QUOTES, drop, 1);
    if (drop == PL_DROP_NONE || drop == PL_DROP_OUT_OF_BAND)
        touch(service, index, record->timestamp_ms);
    return judge_drop(service, &price, drop);
}

/* A mark of a predecessor, of another worker, or our own come back: the newest counts. */
static enum pl_err apply_mark(struct price_service *service, const struct pl_record *record)
{
    uint32_t index = 0, moved[PL_PEGS_MAX];
    struct pl_mark mark;
    enum pl_err err = pl_wire_mark_decode(service->wire, service->names, record->key,
                                          record->value, &index, &mark);
    if (err)
        return err;
    price_see_mark(service, index, &mark, record->timestamp_ms);
    mark.grid = NULL; /* the next record's room */
    pl_aggregate_recover(&service->instruments[index].aggregate, &mark);
    /* Pegs rest on what the topic says, whoever wrote it: so has a successor the same averages. */
    const uint32_t count = pl_pegs_see(&service->pegs, service->parameters.effective, index, &mark,
                                       record->timestamp_ms, moved);
    for (uint32_t i = 0; i < count; i++)
        touch(service, moved[i], 0);
    return PL_OK;
}

/* ---- poll ------------------------------------------------------------------------------------ */

static enum pl_err apply_record(struct price_service *service, const struct pl_record *record)
{
    enum pl_err err = PL_OK;
    pl_metric_add_labelled(PL_METRIC_CONSUMED, (unsigned)record->topic, 1);
    if (record->topic == PL_TOPIC_PRICES)
        err = apply_price(service, record);
    else if (record->topic == PL_TOPIC_MARKS)
        err = apply_mark(service, record);
    else
        err = price_apply_parameters(service, record);
    pl_wire_reset(service->wire);
    return pl_err_action(err) == PL_ACTION_REJECT ? reject(service, record, err) : err;
}

static enum pl_err read_batch(struct price_service *service)
{
    int wait_ms = POLL_WAIT_MS;
    for (uint32_t i = 0; i < RECORDS_MAX; i++) {
        struct pl_record record;
        bool found = false;
        const int64_t begin_ns = wait_ms != 0 ? pl_mono_ns() : 0;
        enum pl_err err = pl_reader_poll(service->reader, wait_ms, &record, &found);
        if (wait_ms != 0) {
            service->waited_ns = pl_mono_ns() - begin_ns;
            service->now_ms = pl_now_ms();
            service->mono_ms = pl_mono_ms();
        }
        wait_ms = 0;
        if (!err && found)
            err = apply_record(service, &record);
        if (err || !found)
            return err;
    }
    return PL_OK;
}

/* ---- publish --------------------------------------------------------------------------------- */

/* Instruments get their partition when their name is first seen, whoever named them. */
static void place_instruments(struct price_service *service)
{
    for (; service->instrument_count < service->names->count; service->instrument_count++) {
        const struct pl_id *id = &service->names->ids[service->instrument_count];
        service->instruments[service->instrument_count].partition = pl_key_partition(
            (const uint8_t *)id->text, id->size_bytes, service->partition_count);
    }
}

static bool is_published_here(const struct price_service *service, uint32_t index)
{
    return service->parameters.effective->instruments[index].is_listed &&
           service->parameters.effective->instruments[index].kind != PL_INSTRUMENT_OPTION &&
           service->partitions[service->instruments[index].partition].stage == STAGE_RUNNING;
}

static enum pl_err send_mark(struct price_service *service, uint32_t index)
{
    struct instrument *instrument = &service->instruments[index];
    const struct pl_id *id = &service->names->ids[index];
    struct pl_bytes_view value;
    enum pl_err err = pl_wire_mark_encode(service->wire, id, &instrument->aggregate.mark, &value);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "mark of %s", id->text);
    err = pl_producer_send(service->producer, PL_TOPIC_MARKS, 0,
                           (struct pl_bytes_view){(const uint8_t *)id->text, id->size_bytes},
                           value, NULL, 0);
    pl_wire_reset(service->wire);
    if (err == PL_RETRY_QUEUE_FULL) {
        instrument->restate_mono_ms = 0; /* the next sweep says it again, as it is then */
        pl_metric_add(PL_METRIC_DEFERRED, 1);
        return PL_OK;
    }
    instrument->restate_mono_ms = service->mono_ms + service->settings->restate_ms;
    pl_metric_add(PL_METRIC_MARKS, 1);
    return err;
}

static enum pl_err publish_mark(struct price_service *service, uint32_t index)
{
    struct instrument *instrument = &service->instruments[index];
    const bool restate = service->mono_ms >= instrument->restate_mono_ms;
    const struct pl_parameters *set = service->parameters.effective;
    const bool is_changed =
        set->instruments[index].peg.is_present
            ? pl_peg_mark(&service->pegs, set, index, &instrument->aggregate, service->now_ms,
                          restate)
            : pl_aggregate_mark(&instrument->aggregate, &set->instruments[index], service->now_ms,
                                restate);
    if (!is_changed)
        return PL_OK;
    if (instrument->is_touched && instrument->cause_ms > 0)
        pl_metric_observe(PL_METRIC_LATENCY,
                          (double)(service->now_ms - instrument->cause_ms) / 1000);
    return send_mark(service, index);
}

/* Looks at everything that is ours: what is due for restatement, and what has aged in silence. */
static enum pl_err sweep(struct price_service *service)
{
    uint32_t by_status[PL_MARK_HALTED + 1] = {0};
    service->sweep_mono_ms = service->mono_ms + SWEEP_MS;
    for (uint32_t i = 0; i < service->instrument_count; i++) {
        if (!is_published_here(service, i))
            continue;
        enum pl_err err = publish_mark(service, i);
        if (err)
            return err;
        by_status[service->instruments[i].aggregate.mark.status]++;
    }
    for (unsigned i = 0; i <= PL_MARK_HALTED; i++)
        pl_metric_set_labelled(PL_METRIC_INSTRUMENTS, i, by_status[i]);
    price_check_progress(service);
    return PL_OK;
}

static enum pl_err publish_marks(struct price_service *service)
{
    enum pl_err err = PL_OK;
    if (!service->is_open)
        return PL_OK;
    place_instruments(service);
    for (uint32_t i = 0; i < service->touched_count; i++) {
        const uint32_t index = service->touched[i];
        if (!err && is_published_here(service, index))
            err = publish_mark(service, index);
        service->instruments[index].is_touched = false;
    }
    service->touched_count = 0;
    if (!err && service->mono_ms >= service->sweep_mono_ms)
        err = sweep(service);
    return err;
}

static enum pl_err serve_producer(struct price_service *service)
{
    unsigned failed = 0;
    enum pl_err err = pl_producer_poll(service->producer, &failed);
    if (failed > 0) {
        pl_metric_add(PL_METRIC_UNDELIVERED, failed);
        pl_log(PL_LOG_WARN, "RECORDS_UNDELIVERED", "the brokers did not take records in time; "
               "marks are restated", "count", PL_LOG_INT(failed), NULL);
    }
    return err;
}

enum pl_err price_step(struct price_service *service)
{
    const int64_t begin_ns = pl_mono_ns();
    service->waited_ns = 0;
    enum pl_err err = price_follow(service);         /* what is ours, and how far it is loaded  */
    if (!err) err = read_batch(service);             /* poll, decode, aggregate                 */
    if (!err) err = price_publish_parameters(service);
    if (!err) err = publish_marks(service);          /* conflated; restated; aged               */
    if (!err) err = price_publish_grids(service);
    if (!err) err = serve_producer(service);
    pl_metrics_count_loop((double)(pl_mono_ns() - begin_ns - service->waited_ns) / 1e9);
    return err;
}
