/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loss waterfall: who bears what a bankrupt account cannot pay. Beside the event's path, for the
 * desk: nothing is sold or decided here. Whatever is divided is divided exactly, to the VU, and what
 * comes out depends on ids and amounts only, never on the order in which accounts are given (G2).
 */
#include "lib/base/assert.h"
#include "lib/base/sort.h"
#include "lib/plimsoll.h"

/* ---- exact parts ----------------------------------------------------------------------------- */

/*
 * a * b / c, rounded down, and the rest. The product has up to 254 bits, so it is made and divided bit
 * by bit, from the top of a: quotient and rest of (what was read of a) * b.
 * 0 <= a, 0 <= b <= c, c < 2^126: the quotient is at most a.
 */
static pl_i128 divide_product(pl_i128 a, pl_i128 b, pl_i128 c, pl_i128 *rest)
{
    pl_assert(a >= 0 && b >= 0 && b <= c && c > 0 && c >> 126 == 0);
    pl_i128 quotient = 0;
    *rest = 0;
    for (int bit = 126; bit >= 0; bit--) {
        quotient *= 2;
        *rest *= 2; /* < 2^127 */
        if (*rest >= c) {
            *rest -= c;
            quotient++;
        }
        if (!(a >> bit & 1))
            continue;
        *rest += b;
        if (*rest >= c) {
            *rest -= c;
            quotient++;
        }
    }
    return quotient;
}

static int by_rest(const void *left, const void *right, const void *context)
{
    const struct pl_share *a = left, *b = right;
    (void)context;
    if (a->rest != b->rest)
        return a->rest > b->rest ? -1 : 1;
    return pl_id_compare(&a->account, &b->account);
}

static int by_account(const void *left, const void *right, const void *context)
{
    const struct pl_share *a = left, *b = right;
    (void)context;
    return pl_id_compare(&a->account, &b->account);
}

bool pl_divide(pl_i128 total_vu, struct pl_share *shares, uint32_t count)
{
    pl_i128 weight = 0, left_vu = total_vu;
    pl_assert(total_vu >= 0);
    for (uint32_t i = 0; i < count; i++) {
        pl_assert(shares[i].weight >= 0);
        if (pl_add_overflows(weight, shares[i].weight, &weight) || weight >> 126 != 0)
            return false;
    }
    if (weight == 0)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        shares[i].amount_vu = divide_product(total_vu, shares[i].weight, weight, &shares[i].rest);
        left_vu -= shares[i].amount_vu;
    }
    /* The rests add up to left_vu times the weight, each is below it: fewer are left than shares that
     * have a rest, so nobody without a weight gets one. */
    pl_sort(shares, count, sizeof(shares[0]), by_rest, NULL);
    for (uint32_t i = 0; i < left_vu; i++)
        shares[i].amount_vu++;
    pl_sort(shares, count, sizeof(shares[0]), by_account, NULL);
    return true;
}

/* ---- deleveraging ---------------------------------------------------------------------------- */

static pl_i128 part_ppm(pl_i128 part, pl_i128 whole)
{
    pl_i128 scaled;
    if (whole <= 0 || pl_mul_overflows(part, PL_PPM, &scaled))
        return PL_SCORE_PART_PPM_MAX;
    return pl_min(scaled / whole, PL_SCORE_PART_PPM_MAX);
}

pl_i128 pl_winner_score(const struct pl_winner *winner)
{
    pl_assert(winner->profit_vu > 0 && winner->gross_vu >= 0);
    return part_ppm(winner->profit_vu, pl_abs(winner->cost_vu)) *
           part_ppm(winner->gross_vu, winner->equity_vu);
}

static int by_score(const void *left, const void *right, const void *context)
{
    const struct pl_winner *a = left, *b = right;
    (void)context;
    pl_i128 score_a = pl_winner_score(a), score_b = pl_winner_score(b);
    if (score_a != score_b)
        return score_a > score_b ? -1 : 1;
    return pl_id_compare(&a->account, &b->account);
}

void pl_rank_winners(struct pl_winner *winners, uint32_t count)
{
    pl_sort(winners, count, sizeof(winners[0]), by_score, NULL);
}

pl_i128 pl_deleverage(struct pl_winner *winners, uint32_t count, int64_t lots, pl_i128 debt_vu)
{
    pl_i128 left_vu = debt_vu;
    pl_assert(lots != 0 && lots != INT64_MIN && debt_vu >= 0);
    int64_t open = lots > 0 ? lots : -lots;
    for (uint32_t i = 0; i < count && open > 0 && left_vu > 0; i++) {
        struct pl_winner *winner = &winners[i];
        pl_i128 rest;
        pl_assert(lots > 0 ? winner->lots < 0 && winner->lots > INT64_MIN : winner->lots > 0);
        int64_t size = winner->lots > 0 ? winner->lots : -winner->lots, held = size - winner->closed;
        int64_t closed = held < open ? held : open;
        pl_i128 most_vu = divide_product(winner->profit_vu, closed, size, &rest);
        pl_i128 charge_vu = pl_min(most_vu, left_vu);
        winner->closed += closed;
        winner->charge_vu += charge_vu;
        open -= closed;
        left_vu -= charge_vu;
    }
    return debt_vu - left_vu;
}
