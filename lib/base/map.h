/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one hash map: from an id to the index of the caller's row. Open addressing with linear probing
 * over memory that the caller lends. Keys are not copied: they stand in the caller's rows, at most
 * one per row, at a fixed stride, and must not change or move while they are in the map.
 *
 * There is no iteration: nothing can come to depend on the order of hashes (G2). Walk the rows.
 */
#ifndef PL_BASE_MAP_H
#define PL_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/id.h"

struct pl_map_slot {
    uint32_t tag;       /* low half of the key's hash: saves most comparisons, and gives the home   */
    uint32_t row;       /* index + 1; 0 for a free slot, so that zeroed memory is an empty table    */
};

/* Slots for `capacity` entries: a power of two of which at most three quarters are used. */
#define PL_MAP_SLOTS(capacity) \
    ((size_t)1 << (64 - __builtin_clzll((unsigned long long)(capacity) * 4 / 3)))

/* Bytes of table that `capacity` entries (1..2^30) need; a constant for a constant. */
#define PL_MAP_BYTES(capacity) (PL_MAP_SLOTS(capacity) * sizeof(struct pl_map_slot))

struct pl_map {
    struct pl_map_slot *slots;
    const uint8_t *keys;
    size_t stride_bytes;
    uint32_t slot_mask;
    uint32_t capacity;
    uint32_t count;
};

/*
 * An empty map of at most `capacity` (1..2^30) entries. `table` has PL_MAP_BYTES(capacity) zeroed
 * bytes aligned to 4; pages of it that are never used are never touched. `keys` is the key of row 0;
 * that of row i stands i * stride_bytes further on. Both are borrowed for the life of the map.
 */
void pl_map_init(struct pl_map *map, void *table, uint32_t capacity, const struct pl_id *keys,
                 size_t stride_bytes);

/* Index of the row whose key is `key`; false when there is none. */
bool pl_map_find(const struct pl_map *map, const struct pl_id *key, uint32_t *index);

/* Enters row `index` under the key that stands in it. REJECT_CAPACITY when the map is full,
 * REJECT_CONFLICT when some row already has this key; the map is then unchanged. */
enum pl_err pl_map_insert(struct pl_map *map, uint32_t index);

/* Removes the entry of `key`; false when there was none. The row is the caller's. */
bool pl_map_remove(struct pl_map *map, const struct pl_id *key);

/* Forgets every entry. Touches the whole table. */
void pl_map_reset(struct pl_map *map);

#endif
