/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map from ids to rows. Removal shifts the entries behind the hole back toward their homes, so
 * there are no tombstones and a probe never gets longer than the entries make it.
 */
#include "lib/base/map.h"

#include <string.h>

#include "lib/base/assert.h"
#include "lib/base/hash.h"

static uint32_t tag_of(const struct pl_id *key)
{
    return (uint32_t)pl_hash64(key->text, key->size_bytes);
}

static const struct pl_id *key_at(const struct pl_map *map, uint32_t row)
{
    return (const struct pl_id *)(const void *)(map->keys + (row - 1) * map->stride_bytes);
}

/* The slot of `key`, or the free slot where it would go. A quarter of the slots is always free, so
 * this ends. */
static uint32_t probe(const struct pl_map *map, const struct pl_id *key, uint32_t tag)
{
    uint32_t slot = tag & map->slot_mask;
    while (map->slots[slot].row != 0) {
        if (map->slots[slot].tag == tag && pl_id_equal(key_at(map, map->slots[slot].row), key))
            break;
        slot = (slot + 1) & map->slot_mask;
    }
    return slot;
}

void pl_map_init(struct pl_map *map, void *table, uint32_t capacity, const struct pl_id *keys,
                 size_t stride_bytes)
{
    pl_assert(capacity >= 1 && capacity <= (uint32_t)1 << 30);
    pl_assert(table && keys && stride_bytes >= sizeof *keys);
    *map = (struct pl_map){
        .slots = table,
        .keys = (const uint8_t *)keys,
        .stride_bytes = stride_bytes,
        .slot_mask = (uint32_t)(PL_MAP_SLOTS(capacity) - 1),
        .capacity = capacity,
    };
}

bool pl_map_find(const struct pl_map *map, const struct pl_id *key, uint32_t *index)
{
    uint32_t row = map->slots[probe(map, key, tag_of(key))].row;
    if (row == 0)
        return false;
    *index = row - 1;
    return true;
}

enum pl_err pl_map_insert(struct pl_map *map, uint32_t index)
{
    pl_assert(index < UINT32_MAX);
    const struct pl_id *key = key_at(map, index + 1);
    uint32_t tag = tag_of(key);
    uint32_t slot = probe(map, key, tag);
    if (map->slots[slot].row != 0)
        return pl_err_set(PL_REJECT_CONFLICT, "id %s is already there", key->text);
    if (map->count >= map->capacity)
        return pl_err_set(PL_REJECT_CAPACITY, "id %s has no room, %u are allowed", key->text,
                          map->capacity);
    map->slots[slot] = (struct pl_map_slot){.tag = tag, .row = index + 1};
    map->count++;
    return PL_OK;
}

bool pl_map_remove(struct pl_map *map, const struct pl_id *key)
{
    uint32_t hole = probe(map, key, tag_of(key));
    if (map->slots[hole].row == 0)
        return false;
    for (uint32_t slot = (hole + 1) & map->slot_mask; map->slots[slot].row != 0;
         slot = (slot + 1) & map->slot_mask) {
        /* An entry may move back to the hole if that is not before its home, both seen from the
         * slot it stands in, around the end of the table. */
        uint32_t from_home = (slot - map->slots[slot].tag) & map->slot_mask;
        uint32_t from_hole = (slot - hole) & map->slot_mask;
        if (from_home >= from_hole) {
            map->slots[hole] = map->slots[slot];
            hole = slot;
        }
    }
    map->slots[hole] = (struct pl_map_slot){0};
    pl_assert(map->count > 0);
    map->count--;
    return true;
}

void pl_map_reset(struct pl_map *map)
{
    memset(map->slots, 0, ((size_t)map->slot_mask + 1) * sizeof *map->slots);
    map->count = 0;
}
