/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the accounts that a step must decide. Stop 4 of the event's path. It may name too
 * many, never too few (G3): whoever is left out is shown here to be above every line with nothing
 * of it in motion, by the same exact evaluation that decides.
 */
#include "lib/base/assert.h"
#include "lib/base/sort.h"
#include "lib/exposure/terms.h"

/* ---- timers --------------------------------------------------------------------------------- */

/* Whether time alone could change the state: an account that is being sold waits for a pause, a
 * halt or a deadline to be over, and of halts the screen knows nothing. */
static bool is_due(const struct pl_market *market, const struct pl_account_state *state)
{
    if (state->state >= PL_STATE_LIQUIDATING || state->pending_count > 0) return true;
    if (state->due_ms > 0 && market->now_ms >= state->due_ms) return true;
    if (state->told_count > 0 && state->told[state->told_count - 1].state != state->state &&
        !pl_is_told_lately(market, state))
        return true;
    return state->state == PL_STATE_RESTRICTED && state->whole_since_ms >= 0 &&
           market->now_ms - state->whole_since_ms >= market->parameters->policy.restricted_hold_ms;
}

/* ---- prices --------------------------------------------------------------------------------- */

/* In the state that everybody begins in, whatever was before: nothing in doubt, nothing pending. */
static bool is_at_rest(const struct pl_book *book, uint32_t index)
{
    uint32_t at = pl_book_at(book, index)->state_index;
    if (at == UINT32_MAX) return true;
    const struct pl_account_state *state = pl_book_state_view(book, at);
    return state->state == PL_STATE_OK && state->doubt_count == 0 && state->pending_count == 0;
}

/*
 * Whether an account at rest stays so. The tiers are nested (V6): with an exact alert excess >= 0
 * all are. Where bounds stand in, the true excess of every tier is >= 0 whatever the truth is,
 * hence no upper bound is below 0 and no line is crossed; that the maintenance tier's bounds do not
 * straddle is looked at too, since a bound of one tier may be looser than that of a stricter one.
 */
static bool is_whole(const struct pl_market *market, const struct pl_book *book, uint32_t index)
{
    const struct pl_account *account = pl_book_at(book, index);
    const struct pl_portfolio portfolio = pl_book_portfolio(book, index);
    if (!account->has_holdings || account->has_gap || account->is_tainted ||
        !pl_mode_is_known(market->parameters, account->mode))
        return false;
    if (pl_portfolio_is_certain(market, &portfolio)) {
        pl_i128 excess;
        return pl_evaluate(market, &portfolio, PL_TIER_ALERT, &excess) && excess >= 0;
    }
    struct pl_bounds alert, maintenance;
    return pl_evaluate_bounds(market, &portfolio, PL_TIER_ALERT, &alert) && alert.low >= 0 &&
           pl_evaluate_bounds(market, &portfolio, PL_TIER_MAINTENANCE, &maintenance) &&
           maintenance.low >= 0;
}

static bool may_move(const struct pl_market *market, const struct pl_book *book, uint32_t index)
{
    return !is_at_rest(book, index) || !is_whole(market, book, index);
}

/* ---- order by id ---------------------------------------------------------------------------- */

static int by_id(const void *left, const void *right, const void *book)
{
    const uint32_t *a = left, *b = right;
    return pl_id_compare(&pl_book_at(book, *a)->id, &pl_book_at(book, *b)->id);
}

/* ---- screen --------------------------------------------------------------------------------- */

/* Adds a row once. */
static void add(uint32_t row, uint32_t *candidates, uint32_t *count, uint8_t *marks)
{
    if (marks[row]) return;
    marks[row] = 1;
    candidates[(*count)++] = row;
}

uint32_t pl_screen(const struct pl_market *market, const struct pl_book *book,
                   const uint32_t *touched, uint32_t touched_count,
                   uint32_t *candidates, uint8_t *marks)
{
    uint32_t count = 0, row_count = pl_book_count(book);
    uint32_t state_count = pl_book_state_count(book);
    for (uint32_t i = 0; i < touched_count; i++) {
        pl_assert(touched[i] < row_count);
        add(touched[i], candidates, &count, marks);
    }
    for (uint32_t i = 0; i < state_count; i++) {
        if (is_due(market, pl_book_state_view(book, i)))
            add(pl_book_state_row(book, i), candidates, &count, marks);
    }
    /* When everything may have changed an account without legs is looked at too. */
    bool is_all = market->changed_mask == UINT64_MAX;
    for (uint32_t row = 0; market->changed_mask != 0 && row < row_count; row++)
        if ((is_all || (pl_book_at(book, row)->instrument_mask & market->changed_mask)) &&
            !marks[row] && may_move(market, book, row))
            add(row, candidates, &count, marks);
    pl_sort(candidates, count, sizeof(candidates[0]), by_id, book);
    for (uint32_t i = 0; i < count; i++)
        marks[candidates[i]] = 0;
    return count;
}
