/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the last record of each account (see store.h). */
#include "services/position/store.h"

#include <string.h>

#include "lib/base/assert.h"
#include "lib/base/map.h"

enum { CLASS_MIN = 7, CLASS_COUNT = 32 }; /* blocks from 128 bytes */

struct row {
    struct pl_id account;
    uint8_t class;
    uint32_t size_bytes;
    uint64_t offset; /* in values */
};

struct store {
    struct pl_map map;
    uint32_t count, capacity;
    size_t values_used_bytes, values_size_bytes;
    uint64_t free_offset[CLASS_COUNT]; /* offset + 1 of the first free block; 0: none */
    struct row *rows;
    uint8_t *values;
};

static size_t aligned(size_t size_bytes) { return (size_bytes + 63) & ~(size_t)63; }

size_t store_bytes(uint32_t accounts_max, size_t value_bytes_max)
{
    return aligned(sizeof(struct store)) + aligned(PL_MAP_BYTES(accounts_max)) +
           aligned(sizeof(struct row) * accounts_max) + aligned(value_bytes_max);
}

struct store *store_init(void *block, uint32_t accounts_max, size_t value_bytes_max)
{
    uint8_t *next = block;
    struct store *store = block;
    next += aligned(sizeof(*store));
    void *table = next;
    next += aligned(PL_MAP_BYTES(accounts_max));
    store->rows = (struct row *)(void *)next;
    next += aligned(sizeof(struct row) * accounts_max);
    store->values = next;
    store->values_size_bytes = value_bytes_max;
    store->capacity = accounts_max;
    pl_map_init(&store->map, table, accounts_max, &store->rows[0].account, sizeof(struct row));
    return store;
}

uint32_t store_count(const struct store *store) { return store->count; }

bool store_find(const struct store *store, const struct pl_id *account, uint32_t *row)
{
    return pl_map_find(&store->map, account, row);
}

struct pl_bytes_view store_at(const struct store *store, uint32_t row)
{
    pl_assert(row < store->count);
    const struct row *at = &store->rows[row];
    return (struct pl_bytes_view){ store->values + at->offset, at->size_bytes };
}

const struct pl_id *store_account(const struct store *store, uint32_t row)
{
    pl_assert(row < store->count);
    return &store->rows[row].account;
}

static unsigned class_of(size_t size_bytes)
{
    unsigned class = CLASS_MIN;
    while (((size_t)1 << class) < size_bytes)
        class++;
    return class;
}

static bool take_block(struct store *store, unsigned class, uint64_t *offset)
{
    size_t block_bytes = (size_t)1 << class;
    if (store->free_offset[class]) {
        *offset = store->free_offset[class] - 1;
        memcpy(&store->free_offset[class], store->values + *offset, sizeof(uint64_t));
        return true;
    }
    if (store->values_size_bytes - store->values_used_bytes < block_bytes)
        return false;
    *offset = store->values_used_bytes;
    store->values_used_bytes += block_bytes;
    return true;
}

static void free_block(struct store *store, unsigned class, uint64_t offset)
{
    memcpy(store->values + offset, &store->free_offset[class], sizeof(uint64_t));
    store->free_offset[class] = offset + 1;
}

static enum pl_err row_of(struct store *store, const struct pl_id *account, uint32_t *row,
                          bool *is_new)
{
    *is_new = !store_find(store, account, row);
    if (!*is_new)
        return PL_OK;
    if (store->count == store->capacity)
        return pl_err_set(PL_REJECT_CAPACITY, "more than %u accounts in one partition: raise "
                          "book.accounts_max or the number of partitions", store->capacity);
    *row = store->count;
    store->rows[*row] = (struct row){ .account = *account };
    return PL_OK;
}

enum pl_err store_put(struct store *store, const struct pl_id *account, struct pl_bytes_view value)
{
    uint32_t index = 0;
    bool is_new = false;
    uint64_t offset = 0;
    enum pl_err err = row_of(store, account, &index, &is_new);
    if (err)
        return err;
    struct row *row = &store->rows[index];
    unsigned class = class_of(value.size_bytes);
    pl_assert(class < CLASS_COUNT);
    if (is_new || row->class != class) {
        if (!take_block(store, class, &offset))
            return pl_err_set(PL_REJECT_CAPACITY, "holdings of one partition exceed %zu bytes: "
                              "raise book.accounts_max or the number of partitions",
                              store->values_size_bytes);
        if (!is_new)
            free_block(store, row->class, row->offset);
        row->class = (uint8_t)class;
        row->offset = offset;
    }
    memcpy(store->values + row->offset, value.data, value.size_bytes);
    row->size_bytes = (uint32_t)value.size_bytes;
    if (!is_new)
        return PL_OK;
    store->count++;
    return pl_map_insert(&store->map, index);
}
