/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll-position: opens everything in one order, runs the step, closes in reverse. A fatal error
 * ends the process without closing anything (crash-only).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/http.h"
#include "lib/service/lifecycle.h"
#include "lib/service/process.h"
#include "services/position/metrics.h"
#include "services/position/position.h"

enum { GAUGES_MS = 1000 };
static const size_t WIRE_BYTES = (size_t)2 << 30, STAGE_BYTES = (size_t)1 << 30;

/* What the HTTP thread reads; the loop writes it. */
static struct {
    _Atomic bool is_connected, has_joined, has_parameters, is_running;
} probe;

static const struct pl_position_settings *live_settings;

/* ---- probes ---------------------------------------------------------------------------------- */

static bool loop_turns(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    int64_t age_ms = pl_watchdog_age_ms();
    if (live_settings->common.watchdog_ms == 0 || age_ms < live_settings->common.watchdog_ms)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "the loop has not turned for %lld ms", (long long)age_ms);
    return false;
}

static bool broker_answers(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    if (probe.is_connected)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "no broker of %.200s answers",
             live_settings->common.brokers);
    return false;
}

static bool partitions_run(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    if (probe.has_joined && probe.is_running)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "%s",
             !probe.has_parameters ? "there is no effective parameter set: plimsoll parameters put "
                                     "FILE"
             : !probe.has_joined   ? "the group has not answered yet"
                                   : "partitions are being restored");
    return false;
}

static void set_gauges(const struct position_service *service)
{
    for (int32_t i = 0; i < service->partition_count; i++) {
        const struct partition *partition = &service->partitions[i];
        if (partition->stage == STAGE_RUNNING)
            pl_metric_set_labelled(PL_METRIC_ACCOUNTS, (unsigned)i, store_count(partition->store));
        else
            pl_metric_clear_labelled(PL_METRIC_ACCOUNTS, (unsigned)i);
    }
    probe.has_joined = pl_group_joined(service->group);
    probe.has_parameters = service->has_parameters;
    probe.is_running = position_is_running(service);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void *memory(size_t size_bytes, enum pl_err *err)
{
    void *block = NULL;
    if (!*err)
        *err = pl_memory_map(size_bytes, &block);
    return block;
}

static enum pl_err open_memory(struct position_service *service)
{
    enum pl_err err = PL_OK;
    service->wire = memory(sizeof(*service->wire), &err);
    void *wire_block = memory(WIRE_BYTES, &err);
    void *stage_block = memory(STAGE_BYTES, &err);
    service->names = memory(sizeof(*service->names), &err);
    service->parameters = memory(sizeof(*service->parameters), &err);
    service->parameters_spare = memory(sizeof(*service->parameters), &err);
    service->partitions = memory(sizeof(*service->partitions) * PL_PARTITIONS_MAX, &err);
    service->record = memory(sizeof(*service->record), &err);
    service->event = memory(sizeof(*service->event), &err);
    /* A step's events, each with a dead letter and a taint at worst, a sweep and a watermark of every
     * partition, and the broadcasts' dead letters. */
    service->output_capacity = 1u << 20;
    service->outputs = memory(sizeof(*service->outputs) * service->output_capacity, &err);
    if (err)
        return err;
    pl_wire_init(service->wire, wire_block, WIRE_BYTES);
    pl_arena_init(&service->stage, stage_block, STAGE_BYTES);
    pl_names_init(service->names);
    return PL_OK;
}

static enum pl_err check_topics(struct position_service *service)
{
    static const enum pl_topic by_account[] = { PL_TOPIC_POSITIONS, PL_TOPIC_HOLDINGS };
    enum pl_err err = pl_start_check_partitions(service->probe, by_account, 2,
                                                &service->partition_count);
    if (!err && service->partition_count > PL_PARTITIONS_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "%d partitions; at most %d are supported",
                          (int)service->partition_count, PL_PARTITIONS_MAX);
    for (int32_t i = 0; i < service->partition_count; i++)
        service->partitions[i].number = i;
    return err;
}

/* Called until it is done; a part that is open stays open. */
static enum pl_err open_kafka(struct position_service *service, const char *instance)
{
    enum pl_err err = PL_OK;
    if (!service->probe)
        err = pl_reader_open(&service->probe, &service->kafka, true);
    if (!err && service->partition_count == 0)
        err = check_topics(service);
    if (!err && !service->broadcast)
        err = pl_reader_open(&service->broadcast, &service->kafka, false);
    if (!err && !service->data)
        err = pl_reader_open(&service->data, &service->kafka, false);
    if (!err && !service->txn)
        err = pl_txn_open(&service->txn, &service->kafka, instance,
                          service->settings->transaction_timeout_ms);
    if (!err && !service->group)
        err = pl_group_open(&service->group, &service->kafka, PL_TOPIC_POSITIONS);
    return err;
}

static enum pl_err open_until_done(struct position_service *service, const char *instance)
{
    enum pl_err err = PL_OK;
    while (!pl_process_should_stop()) {
        pl_watchdog_beat("open");
        err = open_kafka(service, instance);
        if (pl_err_action(err) != PL_ACTION_RETRY)
            break;
        service->partition_count = 0;
        pl_service_pause(err);
    }
    probe.is_connected = !err;
    return err;
}

static enum pl_err open_http(const struct pl_settings *settings, struct pl_http **http)
{
    uint16_t port = 0;
    /* Borrowed for the life of the server. */
    static struct pl_http_settings server = {
        .live = { 1, { { "loop", loop_turns } } },
        .ready = { 2, { { "broker", broker_answers }, { "partitions", partitions_run } } } };
    server.address = settings->http_address;
    server.port = (uint16_t)settings->http_port;
    server.port_file = settings->http_port_file;
    return pl_http_open(http, &server, &port);
}

/* ---- running --------------------------------------------------------------------------------- */

static enum pl_err run(struct position_service *service)
{
    int64_t gauges_mono_ms = 0;
    while (!pl_process_should_stop()) {
        int64_t begin_ns = pl_mono_ns();
        enum pl_err err = position_step(service);
        if (err && pl_err_action(err) != PL_ACTION_RETRY)
            return err;
        probe.is_connected = !err;
        if (err)
            pl_service_pause(err);
        pl_metrics_count_loop((double)(pl_mono_ns() - begin_ns) / 1e9);
        pl_notify_alive();
        if (pl_mono_ms() - gauges_mono_ms >= GAUGES_MS) {
            gauges_mono_ms = pl_mono_ms();
            set_gauges(service);
        }
    }
    return PL_OK;
}

int main(int argc, char **argv)
{
    static struct pl_position_settings settings;
    static struct position_service service = { .settings = &settings };
    static struct pl_service process = {
        .name = "plimsoll-position",
        .purpose = "Turns position events into absolute holdings, exactly once.",
        .settings = &settings.common, .metrics = position_metrics,
        .metric_count = PL_METRIC_COUNT };
    struct pl_http *http = NULL;
    int status = 0;
    process.own_table = pl_position_settings_table(&settings);
    if (!pl_service_begin(&process, argc, argv, &status))
        return status;
    live_settings = &settings;
    service.kafka = process.kafka;
    enum pl_err err = open_memory(&service);
    if (!err)
        err = open_http(&settings.common, &http);
    if (!err)
        err = pl_watchdog_start(settings.common.watchdog_ms);
    if (!err)
        err = open_until_done(&service, process.instance);
    if (!err) {
        pl_notify_ready();
        err = run(&service);
    }
    if (err)
        pl_service_leave(err);
    pl_notify_stopping();
    pl_group_close(&service.group);
    pl_txn_close(&service.txn);
    pl_reader_close(&service.data);
    pl_reader_close(&service.broadcast);
    pl_reader_close(&service.probe);
    pl_http_close(&http);
    pl_log_flush();
    return 0;
}
