/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump arena over a block that the caller owns. Taking is cheap and never frees; everything goes
 * at once by reset. Three states as in BearSSL and TigerBeetle: filled at start-up, frozen, gone.
 */
#ifndef PL_BASE_ARENA_H
#define PL_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct pl_arena {
    uint8_t *block;
    size_t size_bytes;
    size_t used_bytes;
    size_t used_bytes_max; /* high-water mark over all resets */
    bool is_frozen;
};

/* Borrows `block` for the life of the arena. A size of 0 makes an arena that is always exhausted. */
void pl_arena_init(struct pl_arena *arena, void *block, size_t size_bytes);

/* `size_bytes` bytes (may be 0) aligned to `align_bytes`, a power of two; contents as the block has
 * them. NULL when the arena is exhausted; nothing is then taken. */
void *pl_arena_take(struct pl_arena *arena, size_t size_bytes, size_t align_bytes);

/* Takes everything back. Not on a frozen arena. */
void pl_arena_reset(struct pl_arena *arena);

/* From here on taking and resetting are assertions. */
void pl_arena_freeze(struct pl_arena *arena);

#endif
