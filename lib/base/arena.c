/* SPDX-License-Identifier: Apache-2.0 */
/* The bump arena. */
#include "lib/base/arena.h"

#include "lib/base/assert.h"

void pl_arena_init(struct pl_arena *arena, void *block, size_t size_bytes)
{
    pl_assert(block || size_bytes == 0);
    *arena = (struct pl_arena){.block = block, .size_bytes = size_bytes};
}

void *pl_arena_take(struct pl_arena *arena, size_t size_bytes, size_t align_bytes)
{
    pl_assert(!arena->is_frozen);
    pl_assert(align_bytes > 0 && (align_bytes & (align_bytes - 1)) == 0);
    /* The block itself may be aligned to less: what counts is the address. */
    uintptr_t next = (uintptr_t)arena->block + arena->used_bytes;
    size_t gap = (size_t)(-next & (align_bytes - 1));
    size_t room = arena->size_bytes - arena->used_bytes;
    if (!arena->block || gap > room || size_bytes > room - gap)
        return NULL;
    void *taken = arena->block + arena->used_bytes + gap;
    arena->used_bytes += gap + size_bytes;
    if (arena->used_bytes > arena->used_bytes_max)
        arena->used_bytes_max = arena->used_bytes;
    return taken;
}

void pl_arena_reset(struct pl_arena *arena)
{
    pl_assert(!arena->is_frozen);
    arena->used_bytes = 0;
}

void pl_arena_freeze(struct pl_arena *arena)
{
    arena->is_frozen = true;
}
