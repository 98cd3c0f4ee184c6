/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read, hashed for the journal: an auditor must be able to tell that the inputs he has are the
 * ones that were decided on. A broadcast record is hashed once, and its hash counts in the next entry of
 * each partition.
 */
#include "lib/base/assert.h"
#include "lib/service/process.h"
#include "services/liquidation/liquidation.h"

static const uint32_t CAPACITY[BROADCASTS] = { 1 << 16, 1 << 16, 1 << 16, 1 << 20 };

enum pl_err inputs_open(struct liquidation *service)
{
    for (unsigned i = 0; i < BROADCASTS; i++) {
        struct input_log *log = &service->inputs[i];
        void *block = NULL;
        enum pl_err err = pl_memory_map(sizeof(*log->ring) * CAPACITY[i], &block);
        if (err)
            return err;
        *log = (struct input_log){ .ring = block, .capacity = CAPACITY[i] };
    }
    return pl_inputs_digest_begin(&service->broadcast_read);
}

void input_log_begin(struct input_log *log, int64_t first_offset)
{
    log->first_offset = first_offset;
    log->first = 0;
    log->count = 0;
}

static struct input_hash *input_at(const struct input_log *log, uint32_t at)
{
    return &log->ring[(log->first + at) % log->capacity];
}

void input_log_add(struct input_log *log, const struct pl_record *record)
{
    if (log->count == log->capacity) {
        log->first_offset = input_at(log, 0)->offset + 1;
        log->first = (log->first + 1) % log->capacity;
        log->count--;
    }
    struct input_hash *input = input_at(log, log->count++);
    input->offset = record->offset;
    pl_wire_input_hash(record->offset, record->key, record->value, input->hash);
}

/* Number of inputs below `offset`. */
static uint32_t count_below(const struct input_log *log, int64_t offset)
{
    uint32_t low = 0, high = log->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (input_at(log, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct pl_coordinate inputs_broadcast(struct liquidation *service,
                                      const struct partition *partition, unsigned broadcast,
                                      int64_t offset)
{
    const struct input_log *log = &service->inputs[broadcast];
    struct pl_inputs_digest *digest = &service->broadcast_read;
    int64_t journaled = partition_journaled(partition, broadcasts[broadcast]);
    struct pl_coordinate coordinate = {
        .topic = broadcasts[broadcast], .offset = offset,
        .first_offset = journaled > log->first_offset ? journaled : log->first_offset };
    pl_assert(coordinate.first_offset <= offset);
    pl_inputs_digest_reset(digest);
    for (uint32_t i = count_below(log, coordinate.first_offset); i < log->count; i++) {
        pl_assert(input_at(log, i)->offset < offset);
        pl_inputs_digest_add(digest, input_at(log, i)->hash);
    }
    pl_inputs_digest_read(digest, coordinate.digest);
    return coordinate;
}
