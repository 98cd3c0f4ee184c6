/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an account could do to reach a goal by itself: bring in, buy back, sell, swap; and what it
 * could take out and still be there. For alerts and people: nothing is sold by it.
 *
 * At one limit the excess is concave in the lots of one leg (plan.c), so the quantities that reach the
 * goal form an interval, and bisection finds its least lot exactly. That holds of a health too:
 * A - (h - 1) D is concave for h >= 1, since D is convex. A ladder of depth has a limit per rung: they are
 * searched from the shallowest, and the first in which a quantity reaches has the least.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/plan.h"

/* The portfolio with so many lots moved. */
struct trial {
    const struct pl_market *market;
    const struct pl_portfolio *before;
    struct pl_goal goal;
    struct pl_portfolio after;
    struct pl_leg legs[PL_LEGS_MAX];

    enum pl_cure_kind kind;
    uint32_t leg, sold; /* indexes in the portfolio */
    struct pl_item item, sold_item; /* their rungs, in lots */
    int64_t lots_max;
    int64_t ticks, sold_ticks;       /* of the rung that is looked at */
    pl_i128 price_vu, sold_price_vu; /* of one lot */
};

/* ---- the goal ------------------------------------------------------------------------------- */

pl_i128 pl_beyond_goal(const struct pl_market *market, const struct pl_portfolio *portfolio,
                       const struct pl_goal *goal)
{
    pl_i128 excess;
    enum pl_tier tier = goal->health_ppm > 0 ? PL_TIER_MAINTENANCE : goal->tier;
    if (!pl_evaluate(market, portfolio, tier, &excess))
        return -PL_EXCESS_UNBOUNDED;
    if (goal->health_ppm == 0)
        return pl_within_cash(market, portfolio, excess);
    pl_assert(goal->health_ppm >= PL_PPM && goal->health_ppm <= 100 * PL_PPM);
    pl_i128 debt = pl_weighted_debt(market, portfolio), part = goal->health_ppm - PL_PPM;
    excess -= part * (debt / PL_PPM) + pl_div_ceil(part * (debt % PL_PPM), PL_PPM);
    return pl_within_cash(market, portfolio, excess);
}

/* ---- trials --------------------------------------------------------------------------------- */

static void trial_init(struct trial *trial, const struct pl_market *market,
                       const struct pl_portfolio *portfolio, const struct pl_goal *goal)
{
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    trial->market = market;
    trial->before = portfolio;
    trial->goal = *goal;
    trial->after = *portfolio;
    pl_portfolio_pin(&trial->after);
    trial->after.legs = trial->legs;
    memcpy(trial->legs, portfolio->legs, portfolio->leg_count * sizeof trial->legs[0]);
}

static void move_leg(struct trial *trial, uint32_t leg, int64_t lots)
{
    trial->legs[leg].lots = trial->before->legs[leg].lots + lots;
    trial->legs[leg].final_lots = trial->legs[leg].lots;
}

/* How many lots of the long leg pay for so many of the short one, rounded up. */
static int64_t lots_to_sell(const struct trial *trial, int64_t lots)
{
    return (int64_t)pl_div_ceil(lots * trial->price_vu, trial->sold_price_vu);
}

static pl_i128 beyond_with(struct trial *trial, int64_t lots)
{
    pl_i128 cash = 0;
    switch (trial->kind) {
    case PL_CURE_ADD:
        move_leg(trial, trial->leg, lots);
        break;
    case PL_CURE_REPAY:
        move_leg(trial, trial->leg, lots);
        cash = -lots * trial->price_vu;
        break;
    case PL_CURE_REDUCE:
        move_leg(trial, trial->leg, -lots);
        cash = lots * trial->price_vu;
        break;
    case PL_CURE_SWAP:
        move_leg(trial, trial->leg, lots);
        move_leg(trial, trial->sold, -lots_to_sell(trial, lots));
        cash = lots_to_sell(trial, lots) * trial->sold_price_vu - lots * trial->price_vu;
        break;
    }
    trial->after.cash_vu = trial->after.final_cash_vu = trial->before->cash_vu + cash;
    return pl_beyond_goal(trial->market, &trial->after, &trial->goal);
}

/* The lots that help most. */
static int64_t best_lots(struct trial *trial, int64_t low, int64_t high)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (beyond_with(trial, middle + 1) > beyond_with(trial, middle))
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* The least lots at one limit that reach the goal, more than `from`; 0 where none do. */
static int64_t least_between(struct trial *trial, int64_t from, int64_t to)
{
    int64_t low = from, high = to;
    if (beyond_with(trial, high) < 0)
        high = best_lots(trial, from + 1, to);
    if (beyond_with(trial, high) < 0)
        return 0;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (beyond_with(trial, middle) >= 0)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static void take_limit(const struct pl_item *item, uint32_t rung, int64_t *ticks, pl_i128 *price_vu)
{
    *ticks = item->rung_ticks[rung];
    *price_vu = (pl_i128)*ticks * item->multiplier;
}

/* Takes the limits of one lot more than `from`; the most lots that they hold for, `from` where nothing pays
 * for one more. Whoever buys more sells more, so that both ladders are gone down in turn. */
static int64_t take_limits(struct trial *trial, int64_t from)
{
    if (trial->kind == PL_CURE_ADD)
        return trial->lots_max;
    const struct pl_item *sold = &trial->sold_item;
    const uint32_t rung = pl_item_rung(&trial->item, from + 1);
    const pl_i128 to = pl_min(trial->lots_max, trial->item.rung_units[rung]);
    take_limit(&trial->item, rung, &trial->ticks, &trial->price_vu);
    if (trial->kind != PL_CURE_SWAP)
        return (int64_t)to;
    for (uint32_t i = 0; i < sold->rung_count; i++) {
        take_limit(sold, i, &trial->sold_ticks, &trial->sold_price_vu);
        const pl_i128 paid = pl_min(sold->rung_units[i], sold->units_whole) * trial->sold_price_vu /
                             trial->price_vu;
        if (paid > from)
            return (int64_t)pl_min(to, paid);
    }
    return from;
}

/* The least lots that reach the goal; 0 where none do. No lots do not: that was looked at before. */
static int64_t least_lots(struct trial *trial)
{
    int64_t lots = 0;
    for (int64_t from = 0, to; lots == 0 && from < trial->lots_max; from = to) {
        to = take_limits(trial, from);
        if (to == from)
            break;
        lots = least_between(trial, from, to);
    }
    return lots;
}

/* ---- one leg -------------------------------------------------------------------------------- */

/* What is credited before it is final cannot be delivered. */
static int64_t tradable_lots(const struct pl_leg *leg)
{
    if (leg->lots < 0)
        return leg->lots == INT64_MIN ? INT64_MAX : -leg->lots;
    return leg->lots > leg->credited_lots ? leg->lots - leg->credited_lots : 0;
}

/* What a short or long leg is traded at, by how much of it. False when its limit is no price. */
static bool fill_item(const struct pl_market *market, const struct pl_leg *leg, struct pl_item *item)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    *item = (struct pl_item){.side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY, .unit_lots = 1,
                             .units_whole = tradable_lots(leg), .multiplier = instrument->multiplier};
    item->mark_vu = item->side == PL_SIDE_SELL ? quote->lot_vu : quote->short_lot_vu;
    return pl_item_fill_rungs(quote, instrument, item);
}

/* So many lots as keep the account in range: what is beyond does not count as reached. */
static int64_t room_for(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        const struct pl_leg *leg)
{
    pl_i128 room = PL_VALUE_VU_MAX;
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        room -= pl_abs((pl_i128)portfolio->legs[i].lots *
                       market->quotes[portfolio->legs[i].instrument].short_lot_vu);
    pl_i128 lots = pl_max(0, room) / market->quotes[leg->instrument].lot_vu;
    return (int64_t)pl_min(lots, INT64_MAX - leg->lots);
}

static bool cash_cure(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      const struct pl_goal *goal, struct pl_cure *cure)
{
    struct pl_portfolio after = *portfolio;
    pl_portfolio_pin(&after);
    pl_i128 low = 0, high = 1;
    /* Cash below 0 is debt, so a health does not rise in one line with it: looked for like lots. */
    while (high <= PL_CASH_VU_MAX) {
        after.cash_vu = after.final_cash_vu = portfolio->cash_vu + high;
        if (pl_beyond_goal(market, &after, goal) >= 0)
            break;
        low = high;
        high *= 2;
    }
    if (high > PL_CASH_VU_MAX)
        return false;
    while (high - low > 1) {
        pl_i128 middle = low + (high - low) / 2;
        after.cash_vu = after.final_cash_vu = portfolio->cash_vu + middle;
        if (pl_beyond_goal(market, &after, goal) >= 0)
            high = middle;
        else
            low = middle;
    }
    *cure = (struct pl_cure){.kind = PL_CURE_ADD, .instrument = UINT32_MAX, .cost_vu = high};
    return true;
}

/* Fills kind, leg, price or rungs and room of the trial; false when the kind does not suit the leg. */
static bool aim(struct trial *trial, enum pl_cure_kind kind, uint32_t leg)
{
    const struct pl_market *market = trial->market;
    const struct pl_leg *held = &trial->before->legs[leg];
    const struct pl_quote *quote = &market->quotes[held->instrument];
    trial->kind = kind;
    trial->leg = leg;
    if (quote->is_stuck || held->lots == 0 ||
        (held->lots < 0) != (kind == PL_CURE_REPAY || kind == PL_CURE_SWAP))
        return false;
    if (kind == PL_CURE_ADD) {
        if (market->parameters->instruments[held->instrument].kind != PL_INSTRUMENT_SPOT)
            return false;
        trial->ticks = quote->ticks;
        trial->price_vu = quote->lot_vu;
        trial->lots_max = room_for(market, trial->before, held);
        return true;
    }
    trial->lots_max = tradable_lots(held);
    return fill_item(market, held, &trial->item);
}

bool pl_cure_by(const struct pl_market *market, const struct pl_portfolio *portfolio,
                const struct pl_goal *goal, enum pl_cure_kind kind, uint32_t leg,
                struct pl_cure *cure)
{
    struct trial trial;
    pl_i128 now = pl_beyond_goal(market, portfolio, goal);
    pl_assert(kind != PL_CURE_SWAP && (leg < portfolio->leg_count || leg == UINT32_MAX));
    if (now >= 0 || now <= -PL_EXCESS_UNBOUNDED)
        return false;
    if (leg == UINT32_MAX)
        return kind == PL_CURE_ADD && cash_cure(market, portfolio, goal, cure);
    trial_init(&trial, market, portfolio, goal);
    if (!aim(&trial, kind, leg))
        return false;
    int64_t lots = least_lots(&trial);
    if (lots == 0)
        return false;
    uint32_t instrument = portfolio->legs[leg].instrument;
    const struct pl_quote *quote = &market->quotes[instrument];
    pl_i128 mark_vu = kind == PL_CURE_REPAY ? quote->short_lot_vu : quote->lot_vu;
    pl_i128 cost_vu = kind == PL_CURE_ADD     ? mark_vu
                      : kind == PL_CURE_REPAY ? trial.price_vu - mark_vu
                                              : mark_vu - trial.price_vu;
    *cure = (struct pl_cure){.kind = kind, .instrument = instrument, .lots = lots, .ticks = trial.ticks,
                             .cost_vu = lots * cost_vu};
    return true;
}

bool pl_cure_by_swap(const struct pl_market *market, const struct pl_portfolio *portfolio,
                     const struct pl_goal *goal, uint32_t leg, uint32_t sold,
                     struct pl_cure *cure)
{
    struct trial trial;
    pl_assert(leg < portfolio->leg_count && sold < portfolio->leg_count);
    const struct pl_leg *held = &portfolio->legs[sold];
    pl_i128 now = pl_beyond_goal(market, portfolio, goal);
    trial_init(&trial, market, portfolio, goal);
    if (now >= 0 || now <= -PL_EXCESS_UNBOUNDED || held->lots <= 0 ||
        market->quotes[held->instrument].is_stuck ||
        !aim(&trial, PL_CURE_SWAP, leg) || !fill_item(market, held, &trial.sold_item))
        return false;
    trial.sold = sold;
    int64_t lots = least_lots(&trial);
    if (lots == 0)
        return false;
    int64_t sold_lots = lots_to_sell(&trial, lots);
    uint32_t bought = portfolio->legs[leg].instrument;
    *cure = (struct pl_cure){
        .kind = PL_CURE_SWAP, .instrument = bought, .lots = lots, .ticks = trial.ticks,
        .sold = held->instrument, .sold_lots = sold_lots, .sold_ticks = trial.sold_ticks,
        .cost_vu = lots * (trial.price_vu - market->quotes[bought].short_lot_vu) +
                   sold_lots * (market->quotes[held->instrument].lot_vu - trial.sold_price_vu)};
    return true;
}

/* ---- the cheapest --------------------------------------------------------------------------- */

static bool is_cheaper(const struct pl_names *names, const struct pl_cure *a,
                       const struct pl_cure *b)
{
    if (a->cost_vu != b->cost_vu)
        return a->cost_vu < b->cost_vu;
    return pl_id_compare(&names->ids[a->instrument], &names->ids[b->instrument]) < 0;
}

uint32_t pl_cures_of(const struct pl_market *market, const struct pl_names *names,
                     const struct pl_portfolio *portfolio, const struct pl_goal *goal,
                     struct pl_cure cures[PL_CURES_MAX])
{
    static const enum pl_cure_kind kinds[] = {PL_CURE_REPAY, PL_CURE_REDUCE};
    uint32_t count = 0;
    if (!pl_portfolio_is_certain(market, portfolio))
        return 0;
    if (pl_cure_by(market, portfolio, goal, PL_CURE_ADD, UINT32_MAX, &cures[0]))
        count = 1;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        bool has_one = false;
        for (uint32_t i = 0; i < portfolio->leg_count; i++) {
            struct pl_cure cure;
            if (!pl_cure_by(market, portfolio, goal, kinds[k], i, &cure) ||
                (has_one && !is_cheaper(names, &cure, &cures[count])))
                continue;
            cures[count] = cure;
            has_one = true;
        }
        count += has_one;
    }
    pl_assert(count <= PL_CURES_MAX);
    return count;
}

/* ---- what may be taken out ------------------------------------------------------------------ */

pl_i128 pl_withdrawable(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        const struct pl_goal *goal, uint32_t leg)
{
    struct pl_portfolio after = *portfolio;
    pl_portfolio_pin(&after);
    struct pl_leg legs[PL_LEGS_MAX];
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    pl_assert(leg < portfolio->leg_count || leg == UINT32_MAX);
    if (!pl_portfolio_is_certain(market, portfolio) || pl_beyond_goal(market, portfolio, goal) < 0)
        return 0;
    memcpy(legs, portfolio->legs, portfolio->leg_count * sizeof legs[0]);
    after.legs = legs;
    bool is_cash = leg == UINT32_MAX;
    pl_i128 held = is_cash ? portfolio->cash_vu : portfolio->legs[leg].lots;
    pl_i128 most = is_cash || held < 0 ? held : tradable_lots(&portfolio->legs[leg]);
    if (!is_cash && (market->quotes[legs[leg].instrument].is_stuck ||
                     market->parameters->instruments[legs[leg].instrument].kind !=
                         PL_INSTRUMENT_SPOT))
        return 0; /* a derivative is closed, not taken out */
    pl_i128 low = 0, high = pl_max(0, most); /* low is safe */
    while (low < high) {
        pl_i128 middle = high - (high - low) / 2;
        if (is_cash)
            after.cash_vu = after.final_cash_vu = held - middle;
        else
            legs[leg].lots = legs[leg].final_lots = (int64_t)(held - middle);
        if (pl_beyond_goal(market, &after, goal) >= 0)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
