/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the accounts to decide (step 4 of the event's path). May select too many, never too few (G3):
 * whoever is left out was not touched, has no timer due, and either holds nothing whose quote changed
 * or is in the default state with an exact alert excess that is not negative. The alert tier asks
 * most, so then every tier is whole and no decision could change anything.
 */
#include "lib/plimsoll.h"

#include "lib/base/assert.h"

/* ---- who -------------------------------------------------------------------------------------- */

static bool is_timer_due(const struct pl_market *market, const struct pl_account_state *state)
{
    const struct pl_policy *policy = &market->parameters->policy;
    if (state->state == PL_STATE_LIQUIDATING || state->state == PL_STATE_BANKRUPT)
        return true; /* a pause that ends, a halt that ends, a sale that has become possible */
    if (state->state == PL_STATE_RESTRICTED && state->whole_since_ms >= 0 &&
        market->now_ms - state->whole_since_ms >= policy->restricted_hold_ms)
        return true;
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (state->pending[i].progress != PL_PROGRESS_TERMINAL &&
            state->pending[i].progress != PL_PROGRESS_OVERDUE &&
            market->now_ms > state->pending[i].valid_until_ms + policy->order_overdue_ms)
            return true;
    return false;
}

/* Exactly, or by the lower bound where some leg is uncertain: with that at or above 0 no tier can be
 * below its line and no doubt decides anything. */
static bool is_safe(const struct pl_market *market, const struct pl_book *book, uint32_t index)
{
    const struct pl_account *account = pl_book_at(book, index);
    const struct pl_portfolio portfolio = { .legs = pl_book_legs(book, index),
                                            .leg_count = account->leg_count,
                                            .cash_vu = account->cash_vu,
                                            .final_cash_vu = account->final_cash_vu };
    pl_i128 excess = 0;
    struct pl_bounds bounds = { -1, -1 };
    if (account->has_gap || account->is_tainted)
        return false;
    if (account->cash_vu == account->final_cash_vu && pl_portfolio_is_certain(market, &portfolio))
        return pl_evaluate(market, &portfolio, PL_TIER_ALERT, &excess) && excess >= 0;
    return pl_evaluate_bounds(market, &portfolio, PL_TIER_ALERT, &bounds) && bounds.low >= 0;
}

/* ---- order ------------------------------------------------------------------------------------ */

static bool is_before(const struct pl_book *book, uint32_t a, uint32_t b)
{
    return pl_id_compare(&pl_book_at(book, a)->id, &pl_book_at(book, b)->id) < 0;
}

static void sift(const struct pl_book *book, uint32_t *rows, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && is_before(book, rows[child], rows[child + 1]))
            child++;
        if (!is_before(book, rows[root], rows[child]))
            return;
        uint32_t row = rows[root];
        rows[root] = rows[child];
        rows[child] = row;
    }
}

/* Heap sort: no memory, no recursion, and n log n whatever comes. */
static void sort_by_id(const struct pl_book *book, uint32_t *rows, uint32_t count)
{
    for (uint32_t root = count / 2; root-- > 0;)
        sift(book, rows, root, count);
    for (uint32_t left = count; left-- > 1;) {
        uint32_t row = rows[0];
        rows[0] = rows[left];
        rows[left] = row;
        sift(book, rows, 0, left);
    }
}

/* ---- the search ------------------------------------------------------------------------------- */

struct selection {
    uint32_t *rows, count;
    uint8_t *marks;
};

static void select_row(struct selection *selection, uint32_t index)
{
    if (selection->marks[index])
        return;
    selection->marks[index] = 1;
    selection->rows[selection->count++] = index;
}

/* Holders of what changed. The mask folds 4096 instruments into 64 bits: it may say yes for nothing,
 * never no for something. */
static void select_holders(const struct pl_market *market, const struct pl_book *book,
                           struct selection *selection)
{
    bool is_everyone = market->changed_mask == UINT64_MAX;
    for (uint32_t i = 0; i < pl_book_count(book); i++) {
        const struct pl_account *account = pl_book_at(book, i);
        if (!is_everyone && (account->instrument_mask & market->changed_mask) == 0)
            continue;
        if (pl_book_has_state(book, i) || !is_safe(market, book, i))
            select_row(selection, i);
    }
}

uint32_t pl_screen(const struct pl_market *market, const struct pl_book *book,
                   const uint32_t *touched, uint32_t touched_count, uint32_t *candidates,
                   uint8_t *marks)
{
    struct selection selection = { .rows = candidates, .marks = marks };
    for (uint32_t i = 0; i < touched_count; i++) {
        pl_assert(touched[i] < pl_book_count(book));
        select_row(&selection, touched[i]);
    }
    for (uint32_t i = 0; i < pl_book_state_count(book); i++)
        if (is_timer_due(market, pl_book_state_view(book, i)))
            select_row(&selection, pl_book_state_row(book, i));
    if (market->changed_mask != 0)
        select_holders(market, book, &selection);
    for (uint32_t i = 0; i < selection.count; i++)
        marks[candidates[i]] = 0;
    sort_by_id(book, candidates, selection.count);
    return selection.count;
}
