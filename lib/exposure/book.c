/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of one partition (step 3 of the event's path). A book is a function of the records
 * applied to it: the newest holdings and the decided state of each account.
 *
 * One block of the caller's: header, hash table, account rows, states, then two pools. Legs
 * and applied fills lie in pools; an account owns a run of a power of two, freed runs wait in a list for
 * their size, so that replacing records with longer ones cannot eat the pool bit by bit.
 */
#include "lib/plimsoll.h"

#include <string.h>

#include "lib/base/assert.h"

enum { CLASSES = 9 }; /* runs of 1, 2, … 256 */
static const uint32_t NONE = UINT32_MAX;

struct pool {
    uint32_t capacity, used;
    uint32_t free_run[CLASSES]; /* first element of the first free run + 1; 0: none */
};

struct pl_book {
    struct pl_book_limits limits;
    struct pl_map map;
    uint32_t count;
    uint32_t state_count;
    struct pool leg_pool, applied_pool;
    struct pl_digest digest;
    struct pl_account *accounts;
    struct pl_leg *legs;
    struct pl_applied *applied;
    struct pl_account_state *states;
    uint32_t *state_rows; /* row of the account that owns each state */
};

/* ---- pools ---------------------------------------------------------------------------------- */

static unsigned class_of(uint32_t count)
{
    unsigned class = 0;
    while ((1u << class) < count)
        class++;
    pl_assert(class < CLASSES);
    return class;
}

/* First element of a run for `count` elements, NONE when the pool is exhausted. The link of a free
 * run stands in its first element. */
static uint32_t take_run(struct pool *pool, uint8_t *elements, size_t size_bytes, uint32_t count)
{
    if (count == 0)
        return 0;
    unsigned class = class_of(count);
    uint32_t first = pool->free_run[class];
    if (first) {
        memcpy(&pool->free_run[class], elements + (size_t)(first - 1) * size_bytes,
               sizeof(uint32_t));
        return first - 1;
    }
    if (pool->capacity - pool->used < (1u << class))
        return NONE;
    first = pool->used;
    pool->used += 1u << class;
    return first;
}

static void free_run(struct pool *pool, uint8_t *elements, size_t size_bytes, uint32_t first,
                     uint32_t count)
{
    if (count == 0)
        return;
    unsigned class = class_of(count);
    memcpy(elements + (size_t)first * size_bytes, &pool->free_run[class], sizeof(uint32_t));
    pool->free_run[class] = first + 1;
}

/* ---- memory --------------------------------------------------------------------------------- */

static size_t aligned(size_t size_bytes) { return (size_bytes + 63) & ~(size_t)63; }

size_t pl_book_bytes(const struct pl_book_limits *limits)
{
    return aligned(sizeof(struct pl_book)) + aligned(PL_MAP_BYTES(limits->accounts_max)) +
           aligned(sizeof(struct pl_account) * limits->accounts_max) +
           aligned(sizeof(struct pl_leg) * limits->legs_max) +
           aligned(sizeof(struct pl_applied) * limits->applied_max) +
           aligned(sizeof(struct pl_account_state) * limits->states_max) +
           aligned(sizeof(uint32_t) * limits->states_max);
}

struct pl_book *pl_book_init(void *block, const struct pl_book_limits *limits)
{
    uint8_t *next = block;
    struct pl_book *book = block;
    pl_assert((uintptr_t)block % 64 == 0 && limits->accounts_max > 0);
    book->limits = *limits;
    next += aligned(sizeof(*book));
    void *table = next;
    next += aligned(PL_MAP_BYTES(limits->accounts_max));
    book->accounts = (struct pl_account *)(void *)next;
    next += aligned(sizeof(struct pl_account) * limits->accounts_max);
    book->legs = (struct pl_leg *)(void *)next;
    next += aligned(sizeof(struct pl_leg) * limits->legs_max);
    book->applied = (struct pl_applied *)(void *)next;
    next += aligned(sizeof(struct pl_applied) * limits->applied_max);
    book->states = (struct pl_account_state *)(void *)next;
    next += aligned(sizeof(struct pl_account_state) * limits->states_max);
    book->state_rows = (uint32_t *)(void *)next;
    book->leg_pool.capacity = limits->legs_max;
    book->applied_pool.capacity = limits->applied_max;
    pl_map_init(&book->map, table, limits->accounts_max, &book->accounts[0].id,
                sizeof(struct pl_account));
    return book;
}

size_t pl_book_used_bytes(const struct pl_book *book)
{
    return sizeof(*book) + PL_MAP_BYTES(book->limits.accounts_max) +
           sizeof(struct pl_account) * book->count + sizeof(struct pl_leg) * book->leg_pool.used +
           sizeof(struct pl_applied) * book->applied_pool.used +
           (sizeof(struct pl_account_state) + sizeof(uint32_t)) * book->state_count;
}

/* ---- accounts ------------------------------------------------------------------------------- */

uint32_t pl_book_count(const struct pl_book *book) { return book->count; }

bool pl_book_find(const struct pl_book *book, const struct pl_id *id, uint32_t *index)
{
    return pl_map_find(&book->map, id, index);
}

const struct pl_account *pl_book_at(const struct pl_book *book, uint32_t index)
{
    pl_assert(index < book->count);
    return &book->accounts[index];
}

const struct pl_leg *pl_book_legs(const struct pl_book *book, uint32_t index)
{
    return &book->legs[pl_book_at(book, index)->leg_first];
}

const struct pl_applied *pl_book_applied(const struct pl_book *book, uint32_t index)
{
    return &book->applied[pl_book_at(book, index)->applied_first];
}

enum pl_err pl_book_account(struct pl_book *book, const struct pl_id *id, uint32_t *index)
{
    if (pl_book_find(book, id, index))
        return PL_OK;
    if (book->count == book->limits.accounts_max)
        return pl_err_set(PL_REJECT_CAPACITY, "more than %u accounts in one partition: raise "
                          "book.accounts_max or the number of partitions",
                          book->limits.accounts_max);
    *index = book->count++;
    book->accounts[*index] = (struct pl_account){ .id = *id, .state_index = NONE };
    return pl_map_insert(&book->map, *index);
}

/* ---- holdings ------------------------------------------------------------------------------- */

/* New runs for legs and fills, before anything of the account is touched. */
static enum pl_err take_runs(struct pl_book *book, const struct pl_holdings *holdings,
                             uint32_t *leg_first, uint32_t *applied_first)
{
    *leg_first = take_run(&book->leg_pool, (uint8_t *)book->legs, sizeof(struct pl_leg),
                          holdings->leg_count);
    if (*leg_first == NONE)
        return pl_err_set(PL_REJECT_CAPACITY, "more than %u legs in one partition: raise "
                          "book.accounts_max or the number of partitions", book->limits.legs_max);
    *applied_first = take_run(&book->applied_pool, (uint8_t *)book->applied,
                              sizeof(struct pl_applied), holdings->applied_count);
    if (*applied_first != NONE)
        return PL_OK;
    free_run(&book->leg_pool, (uint8_t *)book->legs, sizeof(struct pl_leg), *leg_first,
             holdings->leg_count);
    return pl_err_set(PL_REJECT_CAPACITY, "more than %u order fills in one partition: raise "
                      "book.accounts_max or the number of partitions", book->limits.applied_max);
}

static void free_runs(struct pl_book *book, const struct pl_account *account)
{
    free_run(&book->leg_pool, (uint8_t *)book->legs, sizeof(struct pl_leg), account->leg_first,
             account->leg_count);
    free_run(&book->applied_pool, (uint8_t *)book->applied, sizeof(struct pl_applied),
             account->applied_first, account->applied_count);
}

static void replace(struct pl_book *book, struct pl_account *account,
                    const struct pl_holdings *holdings)
{
    memcpy(&book->legs[account->leg_first], holdings->legs,
           sizeof(struct pl_leg) * holdings->leg_count);
    memcpy(&book->applied[account->applied_first], holdings->applied,
           sizeof(struct pl_applied) * holdings->applied_count);
    account->leg_count = holdings->leg_count;
    account->applied_count = holdings->applied_count;
    account->has_holdings = true;
    account->has_gap = holdings->has_gap;
    account->is_tainted = false;
    account->version = holdings->version;
    account->event_time_ms = holdings->event_time_ms;
    account->cash_vu = holdings->cash_vu;
    account->final_cash_vu = holdings->final_cash_vu;
    account->instrument_mask = 0;
    for (uint32_t i = 0; i < holdings->leg_count; i++)
        account->instrument_mask |= (uint64_t)1 << (holdings->legs[i].instrument % 64);
    /* Out with the old row, in with the new: exclusive or is its own inverse (G2). */
    pl_digest_xor(&book->digest, account->digest);
    pl_digest_xor(&book->digest, holdings->digest);
    account->digest = holdings->digest;
}

enum pl_err pl_book_apply_holdings(struct pl_book *book, const struct pl_holdings *holdings,
                                   uint32_t *index)
{
    uint32_t leg_first = 0, applied_first = 0;
    pl_assert(holdings->leg_count <= PL_LEGS_MAX && holdings->applied_count <= PL_APPLIED_MAX);
    enum pl_err err = pl_book_account(book, &holdings->account, index);
    if (err)
        return err;
    struct pl_account *account = &book->accounts[*index];
    if (account->has_holdings && holdings->version <= account->version) {
        if (holdings->version == account->version &&
            pl_digest_equal(holdings->digest, account->digest))
            return PL_OK;
        return pl_err_set(PL_REJECT_STALE, "version %llu is not above %llu",
                          (unsigned long long)holdings->version,
                          (unsigned long long)account->version);
    }
    err = take_runs(book, holdings, &leg_first, &applied_first);
    if (err)
        return err;
    free_runs(book, account);
    account->leg_first = leg_first;
    account->applied_first = applied_first;
    replace(book, account, holdings);
    return PL_OK;
}

enum pl_err pl_book_taint(struct pl_book *book, const struct pl_id *account, uint32_t *index)
{
    enum pl_err err = pl_book_account(book, account, index);
    if (!err)
        book->accounts[*index].is_tainted = true;
    return err;
}

struct pl_digest pl_book_digest(const struct pl_book *book) { return book->digest; }

/* ---- decided states ------------------------------------------------------------------------- */

bool pl_book_has_state(const struct pl_book *book, uint32_t index)
{
    return pl_book_at(book, index)->state_index != NONE;
}

void pl_book_state(const struct pl_book *book, uint32_t index, struct pl_account_state *state)
{
    uint32_t at = pl_book_at(book, index)->state_index;
    if (at == NONE) {
        memset(state, 0, sizeof(*state));
        state->state = PL_STATE_OK;
        state->whole_since_ms = -1;
        return;
    }
    *state = book->states[at];
}

enum pl_err pl_book_set_state(struct pl_book *book, uint32_t index,
                              const struct pl_account_state *state)
{
    struct pl_account *account = &book->accounts[index];
    pl_assert(index < book->count);
    if (account->state_index == NONE) {
        if (book->state_count == book->limits.states_max)
            return pl_err_set(PL_REJECT_CAPACITY, "more than %u accounts with a state in one "
                              "partition: raise book.accounts_max or the number of partitions",
                              book->limits.states_max);
        account->state_index = book->state_count++;
        book->state_rows[account->state_index] = index;
    }
    book->states[account->state_index] = *state;
    return PL_OK;
}

uint32_t pl_book_state_count(const struct pl_book *book) { return book->state_count; }

uint32_t pl_book_state_row(const struct pl_book *book, uint32_t at)
{
    pl_assert(at < book->state_count);
    return book->state_rows[at];
}

const struct pl_account_state *pl_book_state_view(const struct pl_book *book, uint32_t at)
{
    pl_assert(at < book->state_count);
    return &book->states[at];
}
