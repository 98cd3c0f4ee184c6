/* SPDX-License-Identifier: Apache-2.0 */
/* Memory to decide in (workspace.h). Address space costs nothing until it is used. */
#include "services/cli/workspace.h"

#include "lib/base/assert.h"
#include "lib/service/process.h"

enum { OUTPUTS_PER_ACCOUNT_MAX = PL_SALE_LEGS_MAX + PL_DECISION_ALERTS_MAX + 1, PARTS_MAX = 32 };
static const size_t WIRE_BYTES = (size_t)512 << 20;

struct sizes {
    struct pl_book_limits book;
    size_t book_bytes, stage_bytes, letter_bytes, outputs;
};

/* As the live service does: what it had room for there is room for here. */
static struct sizes sizes_of(uint32_t accounts_max)
{
    size_t accounts = accounts_max, letters = WORKSPACE_LETTERS_MAX;
    size_t headers = PL_HEADERS_MAX + PL_DEAD_LETTER_HEADERS_MAX + 2;
    struct sizes sizes = {.book = ledger_book_limits(accounts_max)};
    sizes.book_bytes = pl_book_bytes(&sizes.book);
    sizes.stage_bytes = (sizeof(struct pl_decision) + sizeof(void *) + 64) * (accounts + 2) +
                        sizeof(struct pl_budget) + 64 +
                        (sizeof(struct pl_header) * headers + PL_JOURNAL_TEXT_BYTES + 64) * letters;
    sizes.letter_bytes = (sizeof(struct pl_header) * PL_HEADERS_MAX + PL_ERR_TEXT_BYTES_MAX + 64) *
                         letters;
    sizes.outputs = accounts * OUTPUTS_PER_ACCOUNT_MAX + 1 + letters;
    return sizes;
}

static size_t total_bytes(const struct sizes *sizes)
{
    size_t accounts = sizes->book.accounts_max;
    return sizes->book_bytes + sizes->stage_bytes + sizes->letter_bytes + WIRE_BYTES +
           sizeof(struct pl_wire) + sizeof(struct pl_names) + 2 * sizeof(struct pl_parameters) +
           (sizeof(struct pl_mark) + sizeof(struct pl_option_grid)) * PL_INSTRUMENTS_MAX +
           sizeof(struct pl_market) +
           sizeof(struct output) * sizes->outputs + sizeof(struct staged_state) * (accounts + 1) +
           sizeof(struct dead_letter) * WORKSPACE_LETTERS_MAX + 2 * sizeof(uint32_t) * accounts +
           64 * PARTS_MAX;
}

static void carve_venue(struct venue *venue, struct pl_arena *arena)
{
    *venue = (struct venue){0};
    venue->wire = pl_arena_take(arena, sizeof(*venue->wire), 64);
    venue->names = pl_arena_take(arena, sizeof(*venue->names), 64);
    venue->parameters = pl_arena_take(arena, sizeof(*venue->parameters), 64);
    venue->parameters_spare = pl_arena_take(arena, sizeof(*venue->parameters), 64);
    venue->marks = pl_arena_take(arena, sizeof(*venue->marks) * PL_INSTRUMENTS_MAX, 64);
    venue->grids = pl_arena_take(arena, sizeof(*venue->grids) * PL_INSTRUMENTS_MAX, 64);
    venue->market = pl_arena_take(arena, sizeof(*venue->market), 64);
    pl_wire_init(venue->wire, pl_arena_take(arena, WIRE_BYTES, 64), WIRE_BYTES);
    pl_names_init(venue->names);
}

static void carve_ledger(struct workspace *workspace, const struct sizes *sizes,
                         struct pl_arena *arena)
{
    struct ledger *ledger = &workspace->ledger;
    struct staging *staging = &workspace->staging;
    uint32_t accounts = sizes->book.accounts_max;
    ledger->dead_capacity = WORKSPACE_LETTERS_MAX;
    ledger->letters = &workspace->letters;
    ledger->book = pl_book_init(pl_arena_take(arena, sizes->book_bytes, 64), &sizes->book);
    ledger->dead = pl_arena_take(arena, sizeof(*ledger->dead) * ledger->dead_capacity, 64);
    *staging = (struct staging){.arena = &workspace->stage,
                                .output_capacity = (uint32_t)sizes->outputs,
                                .state_capacity = accounts + 1};
    staging->outputs = pl_arena_take(arena, sizeof(*staging->outputs) * sizes->outputs, 64);
    staging->states = pl_arena_take(arena, sizeof(*staging->states) * (accounts + 1), 64);
    pl_arena_init(&workspace->stage, pl_arena_take(arena, sizes->stage_bytes, 64),
                  sizes->stage_bytes);
    pl_arena_init(&workspace->letters, pl_arena_take(arena, sizes->letter_bytes, 64),
                  sizes->letter_bytes);
    workspace->rows = pl_arena_take(arena, sizeof(uint32_t) * accounts, 64);
    workspace->scratch = pl_arena_take(arena, sizeof(uint32_t) * accounts, 64);
    pl_assert(workspace->scratch);
}

enum pl_err workspace_open(struct workspace *workspace, int32_t partition, int32_t partition_count,
                           uint32_t accounts_max)
{
    const struct sizes sizes = sizes_of(accounts_max);
    struct pl_arena arena;
    *workspace = (struct workspace){.block_bytes = total_bytes(&sizes)};
    enum pl_err err = pl_memory_map(workspace->block_bytes, &workspace->block);
    if (err)
        return pl_err_note(err, "memory to decide in, for %u accounts", accounts_max);
    pl_arena_init(&arena, workspace->block, workspace->block_bytes);
    workspace->ledger = (struct ledger){.number = partition, .partition_count = partition_count};
    carve_venue(&workspace->venue, &arena);
    carve_ledger(workspace, &sizes, &arena);
    return PL_OK;
}

void workspace_close(struct workspace *workspace)
{
    pl_memory_unmap(workspace->block, workspace->block_bytes);
    *workspace = (struct workspace){0};
}

void workspace_begin_step(struct workspace *workspace)
{
    pl_wire_reset(workspace->venue.wire);
    pl_arena_reset(&workspace->stage);
    if (workspace->ledger.dead_count == 0)
        pl_arena_reset(&workspace->letters);
    workspace->staging.output_count = 0;
    workspace->staging.state_count = 0;
}
