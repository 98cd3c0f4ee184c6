/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: the real liquidation service. It is opened and turned in the order of its main; what main
 * itself does besides (configuration, probes, signals) stays outside.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/watchdog.h"
#include "services/liquidation/liquidation.h"
#include "tests/chaos/sim/world.h"

enum { PAUSE_MS = 500, AUDIT_SWEEP_S = 5, SHADOW_SWEEP_S = 3 };

struct body {
    struct pl_liquidation_settings settings;
    struct liquidation service;
    bool has_memory;
};

void worker_born(struct worker *worker, enum worker_kind kind)
{
    if (!worker->bodies[kind])
        worker->bodies[kind] =
            kind == WORKER_POSITION ? positioner_body() : calloc(1, sizeof(struct body));
    worker->kind = kind;
    worker->body = worker->bodies[kind];
    pl_assert(worker->body);
}

static void configure(const struct worker *worker, struct body *body)
{
    body->settings = (struct pl_liquidation_settings){
        .first_start = worker->first_start, .batch_records_max = 200, .poll_wait_ms = 0,
        .heartbeat_ms = world.swarm.heartbeat_ms, .freshness_ms = 1000,
        .transaction_timeout_ms = world.swarm.transaction_timeout_ms,
        .accounts_max = WORLD_BOOK_ACCOUNTS_MAX, .audit_window_hours = 24,
        .audit_sweep_s = AUDIT_SWEEP_S, .shadow_sweep_s = SHADOW_SWEEP_S };
    body->service = (struct liquidation){ .settings = &body->settings };
    struct pl_kafka_settings *kafka = &body->service.kafka;
    kafka->brokers = "simulated";
    kafka->client_id = worker->instance;
    kafka->group_id = WORLD_GROUP;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        kafka->topic_names[i] = pl_topic_default_name((enum pl_topic)i);
}

static enum pl_err open_worker(struct worker *worker)
{
    /* Records of bad input are kept whole: there must be room for the largest that a topic takes. */
    static const struct liquidation_sizes sizes = { .wire_bytes = 64 << 20, .stage_bytes = 16 << 20,
                                                    .letters_bytes = 64 << 20 };
    struct body *body = worker->body;
    enum pl_err err = PL_OK;
    if (!body->has_memory) {
        configure(worker, body);
        err = liquidation_open_memory(&body->service, &sizes);
        body->has_memory = !err;
        body->service.cache = cache_connect(worker->number);
    }
    pl_watchdog_beat("open");
    if (!err)
        err = liquidation_open_kafka(&body->service, worker->instance);
    if (!err)
        worker->stage = WORKER_RUNNING;
    else if (pl_err_action(err) == PL_ACTION_RETRY)
        body->service.partition_count = 0;
    return err;
}

static enum pl_err turn(struct worker *worker)
{
    struct body *body = worker->body;
    if (worker->kind == WORKER_POSITION)
        return positioner_turn(worker);
    if (worker->stage == WORKER_OPENING)
        return open_worker(worker);
    pl_watchdog_beat("follow");
    enum pl_err err = liquidation_follow(&body->service);
    return err ? err : liquidation_step(&body->service);
}

enum pl_err worker_turn(struct worker *worker)
{
    enum pl_err err = turn(worker);
    if (pl_err_action(err) != PL_ACTION_RETRY)
        return err;
    worker->pause_ms = PAUSE_MS;
    return PL_OK;
}

void worker_leave(struct worker *worker)
{
    struct body *body = worker->body;
    if (worker->kind == WORKER_POSITION)
        positioner_leave(worker);
    else
        liquidation_close_kafka(&body->service);
}

void worker_bury(struct worker *worker)
{
    if (worker->kind == WORKER_POSITION) {
        positioner_bury(worker);
        return;
    }
    struct body *body = worker->body;
    struct liquidation *service = &body->service;
    for (int32_t i = 0; body->has_memory && i < service->partition_count; i++) {
        pl_inputs_digest_end(&service->partitions[i].holdings_read);
        pl_inputs_digest_end(&service->partitions[i].executions_read);
    }
    if (body->has_memory)
        pl_inputs_digest_end(&service->broadcast_read);
    body->has_memory = false;
}
