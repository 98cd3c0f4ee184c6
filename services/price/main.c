/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll-price: opens everything in one order, runs the step, closes in reverse. A fatal error
 * ends the process without closing anything (crash-only): everything needed to go on is in the
 * topics.
 */
#include <stdio.h>

#include "lib/kafka/watchdog.h"
#include "lib/service/http.h"
#include "lib/service/lifecycle.h"
#include "lib/service/process.h"
#include "services/price/metrics.h"
#include "services/price/price.h"

static const size_t WIRE_BYTES = (size_t)128 << 20;

/* Of the probes: the loop writes the two atomics in it, the HTTP thread reads them. */
static struct price_service service;
static struct pl_price_settings settings;

/* ---- probes ---------------------------------------------------------------------------------- */

static bool loop_turns(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    const int64_t age_ms = pl_watchdog_age_ms();
    if (settings.common.watchdog_ms == 0 || age_ms < settings.common.watchdog_ms)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "the loop has not turned for %lld ms",
             (long long)age_ms);
    return false;
}

/* G11 */
static bool partitions_advance(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    const int32_t stalled = atomic_load(&service.stalled_partition);
    if (stalled < 0)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "partition %d of prices has records and stands still",
             (int)stalled);
    return false;
}

static bool is_running(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    const enum price_condition condition =
        (enum price_condition)atomic_load(&service.condition);
    if (condition == PL_CONDITION_READY)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "%s", price_condition_text(condition));
    return false;
}

/* Says a change of condition once; retries speak for themselves. */
static void set_condition(enum price_condition condition)
{
    if (atomic_exchange(&service.condition, (int)condition) != (int)condition)
        pl_log(PL_LOG_INFO, "CONDITION", price_condition_text(condition), NULL);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void *memory(size_t size_bytes, enum pl_err *err)
{
    void *block = NULL;
    if (!*err)
        *err = pl_memory_map(size_bytes, &block);
    return block;
}

static enum pl_err open_memory(void)
{
    enum pl_err err = PL_OK;
    service.wire = memory(sizeof(*service.wire), &err);
    void *wire_block = memory(WIRE_BYTES, &err);
    service.names = memory(sizeof(*service.names), &err);
    struct parameters *parameters = &service.parameters;
    parameters->effective = memory(sizeof(*parameters->effective), &err);
    parameters->base = memory(sizeof(*parameters->base), &err);
    parameters->spare = memory(sizeof(*parameters->spare), &err);
    parameters->derived = memory(sizeof(*parameters->derived), &err);
    parameters->effective_block = memory(pl_topic_value_bytes_max(PL_TOPIC_PARAMETERS), &err);
    parameters->base_block = memory(pl_topic_value_bytes_max(PL_TOPIC_PARAMETERS), &err);
    if (err)
        return err;
    pl_wire_init(service.wire, wire_block, WIRE_BYTES);
    pl_names_init(service.names);
    return PL_OK;
}

static enum pl_err open_http(struct pl_http **http)
{
    uint16_t port = 0;
    /* Borrowed for the life of the server. */
    static struct pl_http_settings server = {
        .live = {2, {{"loop", loop_turns}, {"partitions", partitions_advance}}},
        .ready = {1, {{"service", is_running}}},
    };
    server.address = settings.common.http_address;
    server.port = (uint16_t)settings.common.http_port;
    server.port_file = settings.common.http_port_file;
    return pl_http_open(http, &server, &port);
}

/* Called until it is done; a part that is open stays open. */
static enum pl_err open_kafka(void)
{
    enum pl_err err = PL_OK;
    if (!service.reader)
        err = pl_reader_open(&service.reader, &service.kafka, false);
    if (!err)
        err = price_check_topics(&service);
    if (!err && !service.producer)
        err = pl_producer_open(&service.producer, &service.kafka);
    if (!err && !service.group)
        err = pl_group_open(&service.group, &service.kafka, PL_TOPIC_PRICES);
    return err;
}

/* ---- running --------------------------------------------------------------------------------- */

static enum pl_err open_until_done(void)
{
    enum pl_err err = PL_OK;
    while (!pl_process_should_stop()) {
        pl_watchdog_beat("open");
        err = open_kafka();
        if (pl_err_action(err) != PL_ACTION_RETRY)
            return err;
        set_condition(PL_CONDITION_NO_BROKER);
        pl_service_pause(err);
    }
    return PL_OK;
}

static enum pl_err run(void)
{
    while (!pl_process_should_stop()) {
        pl_watchdog_beat("step");
        const enum pl_err err = price_step(&service);
        if (err && pl_err_action(err) != PL_ACTION_RETRY)
            return err;
        set_condition(err ? PL_CONDITION_NO_BROKER : price_condition_of(&service));
        if (err)
            pl_service_pause(err);
        pl_notify_alive();
    }
    return PL_OK;
}

int main(int argc, char **argv)
{
    static struct pl_service process = {
        .name = "plimsoll-price",
        .purpose = "Turns quotes of several sources into one mark per instrument.",
        .settings = &settings.common, .metrics = price_metrics, .metric_count = PL_METRIC_COUNT};
    struct pl_http *http = NULL;
    int status = 0;
    process.own_table = pl_price_settings_table(&settings);
    if (!pl_service_begin(&process, argc, argv, &status))
        return status;
    service.settings = &settings;
    service.kafka = process.kafka;
    atomic_store(&service.stalled_partition, -1);
    enum pl_err err = open_memory();
    if (!err)
        err = open_http(&http);
    if (!err)
        err = pl_watchdog_start(settings.common.watchdog_ms);
    if (!err)
        err = open_until_done();
    if (!err) {
        pl_notify_ready();
        err = run();
    }
    if (err)
        pl_service_leave(err);
    pl_notify_stopping();
    pl_group_close(&service.group);
    pl_producer_close(&service.producer);
    pl_reader_close(&service.reader);
    pl_http_close(&http);
    pl_log_flush();
    return 0;
}
