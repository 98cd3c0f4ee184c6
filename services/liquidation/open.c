/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the liquidation service: memory once and for all, then Kafka in one order, checked before
 * anything is read. The simulation opens its workers by the same functions.
 */
#include <stdint.h>

#include "lib/kafka/start.h"
#include "lib/service/process.h"
#include "services/liquidation/liquidation.h"

static const size_t WIRE_BYTES = (size_t)2 << 30, STAGE_BYTES = (size_t)4 << 30,
                    LETTERS_BYTES = (size_t)1 << 30;

static void *memory(size_t size_bytes, enum pl_err *err)
{
    void *block = NULL;
    if (!*err)
        *err = pl_memory_map(size_bytes, &block);
    return block;
}

enum pl_err liquidation_open_memory(struct liquidation *service,
                                    const struct liquidation_sizes *sizes)
{
    struct venue *venue = &service->venue;
    size_t wire_bytes = sizes->wire_bytes ? sizes->wire_bytes : WIRE_BYTES;
    size_t stage_bytes = sizes->stage_bytes ? sizes->stage_bytes : STAGE_BYTES;
    size_t letters_bytes = sizes->letters_bytes ? sizes->letters_bytes : LETTERS_BYTES;
    enum pl_err err = PL_OK;
    size_t accounts_max = (size_t)service->settings->accounts_max;
    venue->wire = memory(sizeof(*venue->wire), &err);
    void *wire_block = memory(wire_bytes, &err);
    void *stage_block = memory(stage_bytes, &err);
    void *letters_block = memory(letters_bytes, &err);
    venue->names = memory(sizeof(*venue->names), &err);
    venue->parameters = memory(sizeof(*venue->parameters), &err);
    venue->parameters_spare = memory(sizeof(*venue->parameters), &err);
    venue->marks = memory(sizeof(*venue->marks) * PL_INSTRUMENTS_MAX, &err);
    venue->grids = memory(sizeof(*venue->grids) * PL_INSTRUMENTS_MAX, &err);
    venue->market = memory(sizeof(*venue->market), &err);
    service->partitions = memory(sizeof(*service->partitions) * PL_PARTITIONS_MAX, &err);
    service->candidates = memory(sizeof(*service->candidates) * accounts_max, &err);
    service->candidate_marks = memory(accounts_max, &err);
    struct staging *staging = &service->staging;
    staging->arena = &service->stage;
    staging->state_capacity = (uint32_t)accounts_max * 4;
    staging->states = memory(sizeof(*staging->states) * staging->state_capacity, &err);
    staging->output_capacity = (uint32_t)accounts_max * 64 + PL_BAD_BROADCASTS_MAX;
    staging->outputs = memory(sizeof(*staging->outputs) * staging->output_capacity, &err);
    service->bad.letters = memory(sizeof(*service->bad.letters) * PL_BAD_BROADCASTS_MAX, &err);
    void *bad_block = memory(letters_bytes, &err);
    if (err)
        return err;
    pl_wire_init(venue->wire, wire_block, wire_bytes);
    pl_arena_init(&service->stage, stage_block, stage_bytes);
    pl_arena_init(&service->letters, letters_block, letters_bytes);
    pl_arena_init(&service->bad.arena, bad_block, letters_bytes);
    pl_names_init(venue->names);
    err = shadow_open(&service->shadow);
    return err ? err : inputs_open(service);
}

/* Everything is checked before anything is read: what is wrong now is wrong for good. */
static enum pl_err check_topics(struct liquidation *service)
{
    static const enum pl_topic by_account[] = { PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS,
                                                PL_TOPIC_ORDERS, PL_TOPIC_ALERTS,
                                                PL_TOPIC_ACCOUNTS, PL_TOPIC_JOURNAL };
    static const enum pl_topic kept[] = { PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS, PL_TOPIC_MARKS,
                                          PL_TOPIC_PARAMETERS, PL_TOPIC_CHAINS, PL_TOPIC_CONTROL,
                                          PL_TOPIC_ACCOUNTS, PL_TOPIC_JOURNAL };
    int64_t window_ms = ((int64_t)service->settings->audit_window_hours + 24) * 3600 * 1000;
    enum pl_err err = pl_start_check_partitions(service->probe, by_account, 6,
                                                &service->partition_count);
    if (!err && service->partition_count > PL_PARTITIONS_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "%d partitions; at most %d are supported",
                          (int)service->partition_count, PL_PARTITIONS_MAX);
    for (unsigned i = 0; !err && i < sizeof(kept) / sizeof(kept[0]); i++)
        err = pl_start_check_history(service->probe, kept[i], window_ms);
    for (int32_t i = 0; i < service->partition_count; i++)
        service->partitions[i].number = i;
    return err;
}

enum pl_err liquidation_open_kafka(struct liquidation *service, const char *instance)
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
        err = pl_group_open(&service->group, &service->kafka, PL_TOPIC_HOLDINGS);
    return err;
}

void liquidation_close_kafka(struct liquidation *service)
{
    pl_group_close(&service->group);
    pl_txn_close(&service->txn);
    pl_reader_close(&service->data);
    pl_reader_close(&service->broadcast);
    pl_reader_close(&service->probe);
}
