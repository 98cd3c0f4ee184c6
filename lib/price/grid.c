/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dyadic grid of underlying prices: cells by leading zeros, exact (RISK 1.4). Path: wherever an
 * option's published arrays are read; integers only.
 */
#include "lib/price/option.h"

#include "lib/base/assert.h"

/* (m << bits) | the `bits` bits after the leading one. */
static uint32_t cell_of(int64_t ticks, uint32_t bits)
{
    const uint32_t m = 63 - (uint32_t)__builtin_clzll((uint64_t)ticks);
    const uint64_t part = (uint64_t)ticks >> (m - bits) & ((UINT64_C(1) << bits) - 1);
    return m << bits | (uint32_t)part;
}

static uint32_t shift_of(uint32_t cell, uint32_t bits)
{
    return (cell >> bits) - bits;
}

static int64_t ticks_of(uint32_t cell, uint32_t bits)
{
    const uint64_t part = cell & ((UINT32_C(1) << bits) - 1);
    return (int64_t)((UINT64_C(1) << bits | part) << shift_of(cell, bits));
}

struct pl_grid pl_grid_around(int64_t ticks)
{
    pl_assert(ticks > 0 && ticks <= INT64_C(1) << 60);
    const int64_t lowest = INT64_C(1) << PL_GRID_BITS;
    const int64_t low = ticks / PL_GRID_REACH;
    const int64_t high = ticks * PL_GRID_REACH;
    const uint32_t first = cell_of(low > lowest ? low : lowest, PL_GRID_BITS);
    uint32_t last = cell_of(high > lowest ? high : lowest, PL_GRID_BITS);
    if (last == first)
        last++; /* brackets look at the neighbour of an end cell */
    const struct pl_grid grid = {
        .bits = PL_GRID_BITS, .first_cell = first, .node_count = last - first + 2,
    };
    pl_assert(grid.node_count <= PL_GRID_NODES_MAX);
    return grid;
}

int64_t pl_grid_ticks(const struct pl_grid *grid, uint32_t node)
{
    return ticks_of(grid->first_cell + node, grid->bits);
}

struct pl_grid_place pl_grid_place(const struct pl_grid *grid, int64_t ticks)
{
    pl_assert(ticks >= 0 && grid->first_cell >> grid->bits >= grid->bits);
    uint32_t cell = grid->first_cell;
    const uint32_t last = cell + grid->node_count - 2;
    if (ticks >= ticks_of(cell, grid->bits))
        cell = cell_of(ticks, grid->bits);
    if (cell > last)
        cell = last;
    return (struct pl_grid_place){
        .node = cell - grid->first_cell,
        .shift = shift_of(cell, grid->bits),
        .offset = ticks - ticks_of(cell, grid->bits),
    };
}
