/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll-liquidation: opens everything in one order, runs the step, closes in reverse. A fatal error
 * ends the process without closing anything (crash-only): what is open on the broker is settled by the
 * next start of the same slot.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/http.h"
#include "lib/service/lifecycle.h"
#include "lib/service/process.h"
#include "services/liquidation/liquidation.h"
#include "services/liquidation/metrics.h"

enum { GAUGES_MS = 1000 };

/* What the HTTP thread reads; the loop writes it. */
static struct {
    _Atomic bool is_connected, is_open, has_joined, has_parameters, broadcast_loaded;
    _Atomic int loading, waiting, deciding, diverged;
} probe;

/* ---- probes ---------------------------------------------------------------------------------- */

static const struct pl_liquidation_settings *live_settings;

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
    if (probe.is_open && probe.is_connected)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, "no broker of %.200s answers",
             live_settings->common.brokers);
    return false;
}

static bool broadcasts_are_read(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    if (probe.broadcast_loaded)
        return true;
    snprintf(reason, PL_HTTP_REASON_BYTES, probe.has_parameters
             ? "marks, control and chains are being read"
             : "there is no effective parameter set: plimsoll parameters put FILE");
    return false;
}

static bool partitions_decide(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    if (probe.has_joined && probe.loading == 0 && probe.waiting == 0 && probe.diverged == 0)
        return true; /* a spare with no partition is ready */
    snprintf(reason, PL_HTTP_REASON_BYTES, probe.has_joined
             ? "%d partitions load, %d wait for the position service, %d decide, %d were stopped by the "
               "self-audit"
             : "the group has not answered yet",
             probe.loading, probe.waiting, probe.deciding, probe.diverged);
    return false;
}

static void set_gauges(const struct liquidation *service)
{
    int loading = 0, waiting = 0, deciding = 0, diverged = 0;
    for (int32_t i = 0; i < service->partition_count; i++) {
        const struct partition *partition = &service->partitions[i];
        if (partition->stage == STAGE_FREE) {
            pl_metric_clear_labelled(PL_METRIC_ACCOUNTS, (unsigned)i);
            pl_metric_clear_labelled(PL_METRIC_READINESS, (unsigned)i);
            continue;
        }
        enum pl_readiness readiness = partition_readiness(service, partition);
        loading += readiness == PL_READINESS_LOADING;
        waiting += readiness == PL_READINESS_WAITING;
        diverged += readiness == PL_READINESS_DIVERGED;
        deciding += readiness == PL_READINESS_DECIDING;
        pl_metric_set_labelled(PL_METRIC_ACCOUNTS, (unsigned)i, pl_book_count(partition->ledger.book));
        pl_metric_set_labelled(PL_METRIC_READINESS, (unsigned)i, readiness);
    }
    probe.loading = loading;
    probe.waiting = waiting;
    probe.deciding = deciding;
    probe.diverged = diverged;
    probe.has_joined = pl_group_joined(service->group);
    probe.has_parameters = service->venue.has_parameters;
    probe.broadcast_loaded = service->broadcast_loaded;
    pl_metric_set(PL_METRIC_HALTED, service->venue.is_halted || service->venue.control_damaged);
    if (service->venue.has_parameters)
        pl_metric_set(PL_METRIC_PARAMETER_EPOCH, (double)service->venue.parameters->epoch);
    struct pl_cache_counts counts;
    pl_cache_counts(service->cache, &counts);
    pl_metric_set_labelled(PL_METRIC_CACHE, PL_CACHE_WRITTEN, (double)counts.written);
    pl_metric_set_labelled(PL_METRIC_CACHE, PL_CACHE_DROPPED, (double)counts.dropped);
    pl_metric_set_labelled(PL_METRIC_CACHE, PL_CACHE_REFUSED, (double)counts.refused);
    pl_metric_set_labelled(PL_METRIC_CACHE, PL_CACHE_FAILED, (double)counts.failed);
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum pl_err open_key(const struct pl_liquidation_settings *settings, struct pl_key **key)
{
    return settings->journal_key_file[0] ? pl_key_open_private(key, settings->journal_key_file)
                                         : PL_OK;
}

static enum pl_err open_http(const struct pl_settings *settings, struct pl_http **http)
{
    uint16_t port = 0;
    /* Borrowed for the life of the server. */
    static struct pl_http_settings server = {
        .live = { 1, { { "loop", loop_turns } } },
        .ready = { 3, { { "broker", broker_answers }, { "broadcasts", broadcasts_are_read },
                        { "partitions", partitions_decide } } } };
    server.address = settings->http_address;
    server.port = (uint16_t)settings->http_port;
    server.port_file = settings->http_port_file;
    return pl_http_open(http, &server, &port);
}

static enum pl_err open_cache(const struct pl_settings *settings, struct pl_cache **cache)
{
    const struct pl_cache_settings redis = {
        .host = settings->redis_host, .port = (uint16_t)settings->redis_port,
        .password = settings->redis_password, .prefix = settings->redis_prefix,
        .timeout_ms = settings->redis_timeout_ms, .ttl_s = settings->redis_ttl_s };
    return pl_cache_open(cache, &redis);
}

/* ---- running --------------------------------------------------------------------------------- */

static enum pl_err open_until_done(struct liquidation *service, const char *instance)
{
    enum pl_err err = PL_OK;
    while (!pl_process_should_stop()) {
        pl_watchdog_beat("open");
        err = liquidation_open_kafka(service, instance);
        if (pl_err_action(err) != PL_ACTION_RETRY)
            break;
        service->partition_count = 0;
        pl_service_pause(err);
    }
    probe.is_open = !err;
    probe.is_connected = !err;
    return err;
}

static enum pl_err run(struct liquidation *service)
{
    int64_t gauges_mono_ms = 0;
    while (!pl_process_should_stop()) {
        int64_t begin_ns = pl_mono_ns();
        pl_watchdog_beat("follow");
        enum pl_err err = liquidation_follow(service);
        if (!err)
            err = liquidation_step(service);
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
    static struct pl_liquidation_settings settings;
    static struct liquidation service = { .settings = &settings };
    static struct pl_service process = {
        .name = "plimsoll-liquidation",
        .purpose = "Evaluates accounts and publishes margin calls and forced-sale orders.",
        .settings = &settings.common, .metrics = liquidation_metrics,
        .metric_count = PL_METRIC_COUNT };
    struct pl_http *http = NULL;
    int status = 0;
    process.own_table = pl_liquidation_settings_table(&settings);
    if (!pl_service_begin(&process, argc, argv, &status))
        return status;
    live_settings = &settings;
    service.kafka = process.kafka;
    enum pl_err err = open_key(&settings, &service.key);
    if (!err)
        err = liquidation_open_memory(&service, &(struct liquidation_sizes){ 0 });
    if (!err)
        err = open_http(&settings.common, &http);
    if (!err)
        err = open_cache(&settings.common, &service.cache);
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
    liquidation_close_kafka(&service);
    pl_cache_close(&service.cache);
    pl_key_close(&service.key);
    pl_http_close(&http);
    pl_log_flush();
    return 0;
}
