/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker of the other kind: the real position service in front of the liquidation service, opened and
 * turned in the order of its main. Its header and liquidation.h name alike what differs, so it has a
 * file of its own.
 */
#include <stdlib.h>

#include "lib/base/assert.h"
#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/process.h"
#include "services/position/position.h"
#include "tests/chaos/sim/world.h"

enum { WIRE_BYTES = 32 << 20, STAGE_BYTES = 32 << 20, OUTPUTS_MAX = 4096, RESTATE_MS = 20000 };

struct body {
    struct pl_position_settings settings;
    struct position_service service;
    bool has_memory;
};

void *positioner_body(void)
{
    struct body *body = calloc(1, sizeof(*body));
    pl_assert(body);
    return body;
}

static void configure(const struct worker *worker, struct body *body)
{
    body->settings = (struct pl_position_settings){
        .first_start = worker->first_start, .batch_records_max = 100, .poll_wait_ms = 0,
        .transaction_timeout_ms = world.swarm.transaction_timeout_ms,
        .accounts_max = WORLD_BOOK_ACCOUNTS_MAX, .restate_ms = RESTATE_MS };
    body->service = (struct position_service){ .settings = &body->settings };
    struct pl_kafka_settings *kafka = &body->service.kafka;
    kafka->brokers = "simulated";
    kafka->client_id = worker->instance;
    kafka->group_id = WORLD_POSITION_GROUP;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        kafka->topic_names[i] = pl_topic_default_name((enum pl_topic)i);
}

static void *memory(size_t size_bytes)
{
    void *block = NULL;
    enum pl_err err = pl_memory_map(size_bytes, &block);
    pl_assert(!err);
    return block;
}

static void open_memory(struct position_service *service)
{
    service->wire = memory(sizeof(*service->wire));
    service->names = memory(sizeof(*service->names));
    service->parameters = memory(sizeof(*service->parameters));
    service->parameters_spare = memory(sizeof(*service->parameters));
    service->partitions = memory(sizeof(*service->partitions) * PL_PARTITIONS_MAX);
    service->record = memory(sizeof(*service->record));
    service->event = memory(sizeof(*service->event));
    service->output_capacity = OUTPUTS_MAX;
    service->outputs = memory(sizeof(*service->outputs) * OUTPUTS_MAX);
    pl_wire_init(service->wire, memory(WIRE_BYTES), WIRE_BYTES);
    pl_arena_init(&service->stage, memory(STAGE_BYTES), STAGE_BYTES);
    pl_names_init(service->names);
}

static enum pl_err open_kafka(struct position_service *service, const char *instance)
{
    static const enum pl_topic by_account[] = { PL_TOPIC_POSITIONS, PL_TOPIC_HOLDINGS };
    enum pl_err err = PL_OK;
    if (!service->probe)
        err = pl_reader_open(&service->probe, &service->kafka, true);
    if (!err && service->partition_count == 0)
        err = pl_start_check_partitions(service->probe, by_account, 2, &service->partition_count);
    for (int32_t i = 0; !err && i < service->partition_count; i++)
        service->partitions[i].number = i;
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

enum pl_err positioner_turn(struct worker *worker)
{
    struct body *body = worker->body;
    struct position_service *service = &body->service;
    if (worker->stage == WORKER_RUNNING)
        return position_step(service);
    if (!body->has_memory) {
        configure(worker, body);
        open_memory(service);
        body->has_memory = true;
    }
    pl_watchdog_beat("open");
    enum pl_err err = open_kafka(service, worker->instance);
    if (!err)
        worker->stage = WORKER_RUNNING;
    else if (pl_err_action(err) == PL_ACTION_RETRY)
        service->partition_count = 0;
    return err;
}

void positioner_leave(struct worker *worker)
{
    struct position_service *service = &((struct body *)worker->body)->service;
    pl_group_close(&service->group);
    pl_txn_close(&service->txn);
    pl_reader_close(&service->data);
    pl_reader_close(&service->broadcast);
    pl_reader_close(&service->probe);
}

void positioner_bury(struct worker *worker)
{
    struct body *body = worker->body;
    body->has_memory = false;
}
