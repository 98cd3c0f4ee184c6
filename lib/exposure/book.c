/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book of one partition: what every account holds and what was decided about it. Stop 3 of the
 * event's path. The book is a function of the records applied, in whatever order accounts came; its
 * digest says so (G2). One block of memory, in this order: the book, the accounts, the map of their
 * ids, the list of states, and one heap of units.
 *
 * The heap holds all that varies in size: an account's legs, its applied fills, its state, each as
 * a block behind a header that names its owner. A block that is given up joins a free list of its
 * exact size; a new one is taken from there, else from the end of the heap. When the end comes, or
 * when too much lies free, the live blocks are squeezed together. So a record is refused exactly if
 * the book's contents would exceed its limits, never for how they came about.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/plimsoll.h"

/* ---- layout --------------------------------------------------------------------------------- */

/* The heap's unit, 16 bytes: what the alignment of an amount asks for. */
struct unit {
    _Alignas(16) uint8_t bytes[16];
};

enum block_kind { BLOCK_FREE, BLOCK_LEGS, BLOCK_APPLIED, BLOCK_STATE };

/* The first unit of a block. */
struct block {
    uint32_t row;                /* of the account that owns it                                   */
    uint32_t next_free;          /* unit of the next free block of this size, plus 1              */
    uint16_t unit_count;         /* with this header                                              */
    uint16_t kind;
};

struct state_place {
    uint32_t row;
    uint32_t first;
    struct pl_digest digest;
};

enum {
    UNIT_BYTES = sizeof(struct unit),
    LEGS_BYTES_MAX = PL_LEGS_MAX * sizeof(struct pl_leg),
    APPLIED_BYTES_MAX = PL_APPLIED_MAX * sizeof(struct pl_applied),
    CONTENT_BYTES_MAX = LEGS_BYTES_MAX > APPLIED_BYTES_MAX ? LEGS_BYTES_MAX : APPLIED_BYTES_MAX,
    BLOCK_UNITS_MAX = 1 + CONTENT_BYTES_MAX / UNIT_BYTES,
    STATE_UNITS_MAX = 1 + (sizeof(struct pl_account_state) + UNIT_BYTES - 1) / UNIT_BYTES,
    FREE_UNITS_MIN = 4096,       /* less than this lying free is never worth a squeeze            */
};

static_assert(sizeof(struct block) <= UNIT_BYTES, "a header is one unit");
static_assert(CONTENT_BYTES_MAX % UNIT_BYTES == 0 && STATE_UNITS_MAX <= BLOCK_UNITS_MAX &&
              BLOCK_UNITS_MAX <= UINT16_MAX, "sizes of blocks");

struct pl_book {
    struct pl_book_limits limits;
    struct pl_map map;
    struct pl_account *accounts;
    struct state_place *states;  /* dense: the last one takes the place of one that goes          */
    struct unit *units;
    uint32_t account_count, state_count;
    uint32_t leg_count, applied_count;           /* of all accounts                               */
    uint32_t unit_count, unit_end, units_live;   /* room; used so far, with free blocks; without  */
    uint32_t free[BLOCK_UNITS_MAX + 1];          /* by size: unit of the first free block, plus 1 */
    struct pl_digest digest, states_digest, budget_digest;
    struct pl_budget budget;
};

/* Units that hold all contents the limits allow, and one eighth so that squeezing is rare. */
static uint64_t units_of(const struct pl_book_limits *limits)
{
    uint64_t bytes = (uint64_t)limits->legs_max * sizeof(struct pl_leg) +
                     (uint64_t)limits->applied_max * sizeof(struct pl_applied);
    /* A header and a rounded end for each block of legs and of applied fills. */
    uint64_t units = bytes / UNIT_BYTES + 4 * (uint64_t)limits->accounts_max +
                     (uint64_t)limits->states_max * STATE_UNITS_MAX;
    return units + units / 8 + BLOCK_UNITS_MAX;
}

/* Offsets of the parts in the block. */
struct layout {
    size_t accounts, table, states, units, end;
};

static size_t aligned(size_t offset)
{
    return (offset + 63) & ~(size_t)63;
}

static struct layout layout_of(const struct pl_book_limits *limits)
{
    pl_assert(limits->accounts_max >= 1);
    pl_assert(units_of(limits) < UINT32_MAX);
    struct layout layout;
    layout.accounts = aligned(sizeof(struct pl_book));
    layout.table = aligned(layout.accounts + limits->accounts_max * sizeof(struct pl_account));
    layout.states = aligned(layout.table + PL_MAP_BYTES(limits->accounts_max));
    layout.units = aligned(layout.states + limits->states_max * sizeof(struct state_place));
    layout.end = aligned(layout.units + (size_t)units_of(limits) * UNIT_BYTES);
    return layout;
}

size_t pl_book_bytes(const struct pl_book_limits *limits)
{
    return layout_of(limits).end;
}

struct pl_book *pl_book_init(void *block, const struct pl_book_limits *limits)
{
    pl_assert(((uintptr_t)block & 63) == 0);
    const struct layout layout = layout_of(limits);
    uint8_t *bytes = block;
    struct pl_book *book = block;
    book->limits = *limits;
    book->accounts = (void *)(bytes + layout.accounts);
    book->states = (void *)(bytes + layout.states);
    book->units = (void *)(bytes + layout.units);
    book->unit_count = (uint32_t)units_of(limits);
    pl_map_init(&book->map, bytes + layout.table, limits->accounts_max, &book->accounts[0].id,
                sizeof book->accounts[0]);
    return book;
}

/* ---- heap ----------------------------------------------------------------------------------- */

static struct block *block_at(const struct pl_book *book, uint32_t unit)
{
    return (struct block *)(void *)&book->units[unit];
}

/* The owner's note of where its block's contents are; 0 where it has none, since unit 0 is a
 * header. */
static uint32_t *place_of(struct pl_book *book, const struct block *block)
{
    struct pl_account *account = &book->accounts[block->row];
    switch ((enum block_kind)block->kind) {
    case BLOCK_LEGS: return &account->leg_first;
    case BLOCK_APPLIED: return &account->applied_first;
    case BLOCK_STATE: return &book->states[account->state_index].first;
    case BLOCK_FREE: break;
    }
    pl_assert_failed("a free block has no owner", __FILE__, __LINE__);
}

/* Moves the live blocks down over the free ones. */
static void squeeze(struct pl_book *book)
{
    uint32_t to = 0;
    for (uint32_t from = 0; from < book->unit_end;) {
        const struct block *block = block_at(book, from);
        uint32_t unit_count = block->unit_count;
        if (block->kind != BLOCK_FREE) {
            uint32_t *place = place_of(book, block);
            pl_assert(*place == from + 1);
            *place = to + 1;
            memmove(&book->units[to], &book->units[from], (size_t)unit_count * UNIT_BYTES);
            to += unit_count;
        }
        from += unit_count;
    }
    pl_assert(to == book->units_live);
    book->unit_end = to;
    memset(book->free, 0, sizeof book->free);
}

static void give_up(struct pl_book *book, uint32_t first)
{
    struct block *block = block_at(book, first - 1);
    pl_assert(block->kind != BLOCK_FREE);
    block->kind = BLOCK_FREE;
    block->next_free = book->free[block->unit_count];
    book->free[block->unit_count] = first;
    book->units_live -= block->unit_count;
}

static uint32_t take(struct pl_book *book, uint32_t unit_count)
{
    uint32_t first = book->free[unit_count];
    if (first != 0) {
        book->free[unit_count] = block_at(book, first - 1)->next_free;
    } else {
        uint32_t units_free = book->unit_end - book->units_live;
        if (unit_count > book->unit_count - book->unit_end ||
            units_free > book->units_live / 2 + FREE_UNITS_MIN)
            squeeze(book);
        pl_assert(unit_count <= book->unit_count - book->unit_end);
        first = book->unit_end + 1;
        book->unit_end += unit_count;
    }
    book->units_live += unit_count;
    return first;
}

/* Puts contents in place of those at `first` (0: none). Returns where they are; any other block may
 * have moved. */
static uint32_t put(struct pl_book *book, const struct block *header, uint32_t first,
                    const void *contents, size_t size_bytes)
{
    if (first != 0) give_up(book, first);
    if (size_bytes == 0) return 0;
    uint32_t unit_count = 1 + (uint32_t)((size_bytes + UNIT_BYTES - 1) / UNIT_BYTES);
    pl_assert(unit_count <= BLOCK_UNITS_MAX);
    first = take(book, unit_count);
    struct block *block = block_at(book, first - 1);
    *block = *header;
    block->unit_count = (uint16_t)unit_count;
    memcpy(&book->units[first], contents, size_bytes);
    return first;
}

/* ---- accounts ------------------------------------------------------------------------------- */

bool pl_book_find(const struct pl_book *book, const struct pl_id *id, uint32_t *index)
{
    return pl_map_find(&book->map, id, index);
}

enum pl_err pl_book_account(struct pl_book *book, const struct pl_id *id, uint32_t *index)
{
    pl_assert(!pl_id_is_none(id));
    if (pl_book_find(book, id, index)) return PL_OK;
    if (book->account_count == book->limits.accounts_max)
        return pl_err_set(PL_REJECT_CAPACITY, "account %s: the book has its %u accounts", id->text,
                          book->limits.accounts_max);
    struct pl_account *account = &book->accounts[book->account_count];
    *account = (struct pl_account){.id = *id, .state_index = UINT32_MAX};
    enum pl_err err = pl_map_insert(&book->map, book->account_count);
    if (err) return err;
    *index = book->account_count++;
    return PL_OK;
}

enum pl_err pl_book_taint(struct pl_book *book, const struct pl_id *id, uint32_t *index)
{
    enum pl_err err = pl_book_account(book, id, index);
    if (!err) book->accounts[*index].is_tainted = true;
    return err;
}

/* ---- holdings ------------------------------------------------------------------------------- */

static const struct pl_account no_account;

/* Whether the record may take the place of what `last` shows. */
static enum pl_err check_version(const struct pl_account *last, const struct pl_holdings *holdings,
                                 bool *is_restatement)
{
    *is_restatement = false;
    if (!last->has_holdings || holdings->version > last->version) return PL_OK;
    *is_restatement = holdings->version == last->version &&
                      pl_digest_equal(holdings->digest, last->digest);
    if (*is_restatement) return PL_OK;
    return pl_err_set(PL_REJECT_STALE, "account %s: version %llu is not above %llu",
                      holdings->account.text, (unsigned long long)holdings->version,
                      (unsigned long long)last->version);
}

/* Everything is checked before anything is changed. */
static enum pl_err check_room(const struct pl_book *book, const struct pl_account *last,
                              const struct pl_holdings *holdings)
{
    const char *id = holdings->account.text;
    uint32_t leg_room = book->limits.legs_max - (book->leg_count - last->leg_count);
    uint32_t applied_room = book->limits.applied_max - (book->applied_count - last->applied_count);
    if (holdings->leg_count > leg_room)
        return pl_err_set(PL_REJECT_CAPACITY, "account %s: %u legs, and room for %u of the %u of "
                          "the book", id, holdings->leg_count, leg_room, book->limits.legs_max);
    if (holdings->applied_count > applied_room)
        return pl_err_set(PL_REJECT_CAPACITY, "account %s: %u applied fills, and room for %u of "
                          "the %u of the book", id, holdings->applied_count, applied_room,
                          book->limits.applied_max);
    return PL_OK;
}

static uint64_t mask_of(const struct pl_holdings *holdings)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < holdings->leg_count; i++) {
        pl_assert(holdings->legs[i].instrument < PL_INSTRUMENTS_MAX);
        mask |= (uint64_t)1 << (holdings->legs[i].instrument % 64);
    }
    return mask;
}

static void replace(struct pl_book *book, uint32_t row, const struct pl_holdings *holdings)
{
    struct pl_account *account = &book->accounts[row];
    book->leg_count += holdings->leg_count - account->leg_count;
    book->applied_count += holdings->applied_count - account->applied_count;
    pl_digest_xor(&book->digest, account->digest);
    pl_digest_xor(&book->digest, holdings->digest);

    account->leg_first = put(book, &(struct block){.row = row, .kind = BLOCK_LEGS},
                             account->leg_first, holdings->legs,
                             holdings->leg_count * sizeof holdings->legs[0]);
    account->applied_first = put(book, &(struct block){.row = row, .kind = BLOCK_APPLIED},
                                 account->applied_first, holdings->applied,
                                 holdings->applied_count * sizeof holdings->applied[0]);
    account->leg_count = holdings->leg_count;
    account->applied_count = holdings->applied_count;
    account->has_holdings = true;
    account->has_gap = holdings->has_gap;
    account->is_tainted = false;
    account->version = holdings->version;
    account->event_time_ms = holdings->event_time_ms;
    account->mode = holdings->mode;
    account->cash_vu = holdings->cash_vu;
    account->final_cash_vu = holdings->final_cash_vu;
    account->instrument_mask = mask_of(holdings);
    account->digest = holdings->digest;
}

enum pl_err pl_book_apply_holdings(struct pl_book *book, const struct pl_holdings *holdings,
                                   uint32_t *index)
{
    pl_assert(holdings->leg_count <= PL_LEGS_MAX && holdings->applied_count <= PL_APPLIED_MAX);
    bool is_known = pl_book_find(book, &holdings->account, index);
    const struct pl_account *last = is_known ? &book->accounts[*index] : &no_account;
    bool is_restatement;
    enum pl_err err = check_version(last, holdings, &is_restatement);
    if (!err && is_restatement) return PL_OK;
    if (!err) err = check_room(book, last, holdings);
    if (!err) err = pl_book_account(book, &holdings->account, index);
    if (!err) replace(book, *index, holdings);
    return err;
}

/* ---- states --------------------------------------------------------------------------------- */

static bool is_default(const struct pl_account_state *state)
{
    return state->state == PL_STATE_OK && state->since_ms == 0 && state->episode == 0 &&
           state->revision == 0 && state->revision_after_ms == 0 && state->version == 0 &&
           state->doubt_count == 0 && state->pending_count == 0;
}

/* Only the orders that there are take room. */
static size_t stored_bytes(const struct pl_account_state *state)
{
    return offsetof(struct pl_account_state, pending) +
           state->pending_count * sizeof state->pending[0];
}

static void drop_state(struct pl_book *book, struct pl_account *account)
{
    struct state_place *place = &book->states[account->state_index];
    pl_digest_xor(&book->states_digest, place->digest);
    give_up(book, place->first);
    *place = book->states[--book->state_count];
    book->accounts[place->row].state_index = account->state_index;
    account->state_index = UINT32_MAX;
}

enum pl_err pl_book_set_state(struct pl_book *book, uint32_t index,
                              const struct pl_account_state *state, struct pl_digest digest)
{
    pl_assert(index < book->account_count);
    pl_assert(state->pending_count <= PL_PENDING_MAX && state->doubt_count <= PL_DOUBTS_MAX);
    struct pl_account *account = &book->accounts[index];
    bool has_state = account->state_index != UINT32_MAX;
    if (is_default(state)) {
        if (has_state) drop_state(book, account);
        return PL_OK;
    }
    if (!has_state) {
        if (book->state_count == book->limits.states_max)
            return pl_err_set(PL_REJECT_CAPACITY, "account %s: the book has its %u states",
                              account->id.text, book->limits.states_max);
        account->state_index = book->state_count++;
        book->states[account->state_index] = (struct state_place){.row = index};
    }
    struct state_place *place = &book->states[account->state_index];
    place->first = put(book, &(struct block){.row = index, .kind = BLOCK_STATE}, place->first,
                       state, stored_bytes(state));
    pl_digest_xor(&book->states_digest, place->digest);
    pl_digest_xor(&book->states_digest, digest);
    place->digest = digest;
    return PL_OK;
}

uint32_t pl_book_state_count(const struct pl_book *book)
{
    return book->state_count;
}

uint32_t pl_book_state_row(const struct pl_book *book, uint32_t at)
{
    pl_assert(at < book->state_count);
    return book->states[at].row;
}

const struct pl_account_state *pl_book_state_view(const struct pl_book *book, uint32_t at)
{
    pl_assert(at < book->state_count);
    return (const void *)&book->units[book->states[at].first];
}

void pl_book_state(const struct pl_book *book, uint32_t index, struct pl_account_state *state)
{
    uint32_t at = pl_book_at(book, index)->state_index;
    if (at != UINT32_MAX) {
        const struct pl_account_state *stored = pl_book_state_view(book, at);
        memcpy(state, stored, stored_bytes(stored));
        return;
    }
    memset(state, 0, offsetof(struct pl_account_state, pending));
    state->state = PL_STATE_OK;
    state->whole_since_ms = -1;
}

bool pl_book_has_state(const struct pl_book *book, uint32_t index)
{
    pl_assert(index < book->account_count);
    return book->accounts[index].state_index != UINT32_MAX;
}

const struct pl_budget *pl_book_budget(const struct pl_book *book)
{
    return &book->budget;
}

void pl_book_set_budget(struct pl_book *book, const struct pl_budget *budget,
                        struct pl_digest digest)
{
    book->budget = *budget;
    pl_digest_xor(&book->states_digest, book->budget_digest);
    pl_digest_xor(&book->states_digest, digest);
    book->budget_digest = digest;
}

/* ---- reading -------------------------------------------------------------------------------- */

uint32_t pl_book_count(const struct pl_book *book)
{
    return book->account_count;
}

const struct pl_account *pl_book_at(const struct pl_book *book, uint32_t index)
{
    pl_assert(index < book->account_count);
    return &book->accounts[index];
}

const struct pl_leg *pl_book_legs(const struct pl_book *book, uint32_t index)
{
    return (const void *)&book->units[pl_book_at(book, index)->leg_first];
}

struct pl_portfolio pl_book_portfolio(const struct pl_book *book, uint32_t index)
{
    const struct pl_account *account = pl_book_at(book, index);
    struct pl_portfolio portfolio = {.legs = pl_book_legs(book, index), .leg_count = account->leg_count,
                                     .cash_vu = account->cash_vu,
                                     .final_cash_vu = account->final_cash_vu, .mode = account->mode};
    pl_portfolio_pin(&portfolio);
    return portfolio;
}

const struct pl_applied *pl_book_applied(const struct pl_book *book, uint32_t index)
{
    return (const void *)&book->units[pl_book_at(book, index)->applied_first];
}

struct pl_digest pl_book_digest(const struct pl_book *book)
{
    return book->digest;
}

struct pl_digest pl_book_states_digest(const struct pl_book *book)
{
    return book->states_digest;
}

struct pl_digest pl_book_state_digest(const struct pl_book *book, uint32_t index)
{
    uint32_t at = pl_book_at(book, index)->state_index;
    return at == UINT32_MAX ? (struct pl_digest){0} : book->states[at].digest;
}

struct pl_digest pl_book_budget_digest(const struct pl_book *book)
{
    return book->budget_digest;
}

size_t pl_book_used_bytes(const struct pl_book *book)
{
    return sizeof *book + PL_MAP_BYTES(book->limits.accounts_max) +
           book->account_count * sizeof book->accounts[0] +
           book->state_count * sizeof book->states[0] + (size_t)book->unit_end * UNIT_BYTES;
}
