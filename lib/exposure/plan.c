/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forced sale: the least that brings the end tier back to its line (G9). Stop 5 of the event's
 * path. A pure function of market and portfolio: legs are taken in the policy's liquidity order, in
 * which no two have the same rank, so nothing depends on how the caller lists them (G2).
 *
 * Let A(y) be the end tier's excess after y_i lots of each leg are executed at their limits. A is
 * concave in y: equity is linear, every requirement is a maximum of linear forms, and the upper
 * bound that stands in for inputs in doubt is concave too (verdict.c). It is exact at each point.
 * Hence, along any one leg, A rises to its maximum and then falls; the quantities that reach A >= 0
 * form an interval; and bisection on either finds the least lot, not an approximation.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

struct item {
    uint32_t leg; /* index in the portfolio */
    uint32_t instrument, rank;
    enum pl_side side;
    int64_t lots_max, lots; /* magnitudes */
    int64_t limit_ticks;
    pl_i128 limit_vu; /* of one lot */
};

struct plan {
    const struct pl_market *market;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio; /* after the items' present lots are executed */
    bool is_certain;
    uint32_t item_count;
    bool has_more;                       /* sellable legs that do not fit */
    struct item items[PL_SALE_LEGS_MAX]; /* by rank */
    uint32_t evaluation_count;
};

/* ---- execution at the limit ----------------------------------------------------------------- */

/*
 * Executes `lots` of one leg, or takes them back if negative. Cash stays within 4 times the gross
 * value limit: a limit price is at most twice the mark (the discount is below one, and a tick is at
 * least one).
 */
static void execute(struct pl_leg *leg, struct pl_portfolio *portfolio, enum pl_side side,
                    pl_i128 limit_vu, int64_t lots)
{
    int64_t sold = side == PL_SIDE_SELL ? lots : -lots;
    leg->lots -= sold;
    leg->final_lots -= sold;
    portfolio->cash_vu += sold * limit_vu;
    portfolio->final_cash_vu += sold * limit_vu;
}

/* The excess, or its upper bound where inputs are in doubt. */
static bool best_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        enum pl_tier tier, bool is_certain, pl_i128 *excess)
{
    if (is_certain)
        return pl_evaluate(market, portfolio, tier, excess);
    struct pl_bounds bounds;
    if (!pl_evaluate_bounds(market, portfolio, tier, &bounds))
        return false;
    *excess = bounds.high;
    return true;
}

static void set_lots(struct plan *plan, struct item *item, int64_t lots)
{
    execute(&plan->legs[item->leg], &plan->portfolio, item->side, item->limit_vu,
            lots - item->lots);
    item->lots = lots;
}

static pl_i128 excess_of(struct plan *plan)
{
    pl_i128 excess;
    bool is_in_range = best_excess(plan->market, &plan->portfolio, PL_TIER_END, plan->is_certain,
                                   &excess);
    pl_assert(is_in_range); /* a sale only shrinks legs */
    plan->evaluation_count++;
    return excess;
}

static pl_i128 excess_with(struct plan *plan, struct item *item, int64_t lots)
{
    set_lots(plan, item, lots);
    return excess_of(plan);
}

/* ---- what may be sold ----------------------------------------------------------------------- */

/* The part of a leg that is counted and final. */
static int64_t sellable_lots(const struct pl_leg *leg)
{
    bool has_one_sign = (leg->lots > 0 && leg->final_lots > 0) ||
                        (leg->lots < 0 && leg->final_lots < 0);
    if (!has_one_sign)
        return 0;
    if (leg->lots > 0) {
        int64_t held = leg->lots < leg->final_lots ? leg->lots : leg->final_lots;
        return held > leg->credited_lots ? held - leg->credited_lots : 0;
    }
    int64_t nearest = leg->lots > leg->final_lots ? leg->lots : leg->final_lots;
    return nearest == INT64_MIN ? INT64_MAX : -nearest;
}

/* Limit price against us, the second of the two roundings there are. False when it is no price:
 * below one tick, or beyond all ticks. */
bool pl_limit_of(const struct pl_quote *quote, const struct pl_instrument *instrument,
                 enum pl_side side, int64_t *limit_ticks)
{
    const int64_t whole = PL_PPM * instrument->multiplier;
    const int32_t discount = instrument->sale_discount_ppm;
    pl_i128 ticks = side == PL_SIDE_SELL
                        ? pl_div_floor((pl_i128)quote->lot_vu * (PL_PPM - discount), whole)
                        : pl_div_ceil((pl_i128)quote->short_lot_vu * (PL_PPM + discount), whole);
    if (ticks <= 0 || ticks > INT64_MAX)
        return false;
    *limit_ticks = (int64_t)ticks;
    return true;
}

/* G4: only a leg with a live mark, of which only what is final. */
static bool item_of(const struct pl_market *market, const struct pl_leg *leg, struct item *item)
{
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    if (!instrument->is_listed || leg->is_unlisted_amount || instrument->sale_rank == 0 ||
        quote->status != PL_MARK_LIVE || quote->is_stuck)
        return false;
    item->instrument = leg->instrument;
    item->rank = instrument->sale_rank;
    item->side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY;
    item->lots = 0;
    item->lots_max = sellable_lots(leg);
    if (item->lots_max == 0 || !pl_limit_of(quote, instrument, item->side, &item->limit_ticks))
        return false;
    item->limit_vu = (pl_i128)item->limit_ticks * instrument->multiplier;
    return true;
}

/* Keeps the first PL_SALE_LEGS_MAX by rank. */
static void insert_item(struct plan *plan, const struct item *item)
{
    uint32_t place = plan->item_count;
    while (place > 0 && item->rank < plan->items[place - 1].rank)
        place--;
    if (plan->item_count == PL_SALE_LEGS_MAX)
        plan->has_more = true;
    else
        plan->item_count++;
    for (uint32_t i = plan->item_count - 1; i > place; i--)
        plan->items[i] = plan->items[i - 1];
    if (place < PL_SALE_LEGS_MAX)
        plan->items[place] = *item;
}

static void plan_init(struct plan *plan, const struct pl_market *market,
                      const struct pl_portfolio *portfolio)
{
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    plan->market = market;
    plan->portfolio = *portfolio;
    plan->portfolio.legs = plan->legs;
    memcpy(plan->legs, portfolio->legs, portfolio->leg_count * sizeof plan->legs[0]);
    plan->is_certain = pl_portfolio_is_certain(market, portfolio);
    plan->item_count = 0;
    plan->has_more = false;
    plan->evaluation_count = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        struct item item = {.leg = i};
        if (item_of(market, &portfolio->legs[i], &item))
            insert_item(plan, &item);
    }
}

/* ---- search --------------------------------------------------------------------------------- */

/* The least lots <= item->lots that reach, where item->lots does; sets them and returns the
 * excess. */
static pl_i128 lower_to_least(struct plan *plan, struct item *item)
{
    int64_t low = 0, high = item->lots;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (excess_with(plan, item, middle) >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return excess_with(plan, item, high);
}

/* The least lots that help most; sets them and returns the excess. */
static pl_i128 move_to_best(struct plan *plan, struct item *item)
{
    int64_t low = 0, high = item->lots_max;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (excess_with(plan, item, middle + 1) > excess_with(plan, item, middle))
            low = middle + 1;
        else
            high = middle;
    }
    return excess_with(plan, item, high);
}

/* Each leg in turn to the least that reaches or else to the best. */
static pl_i128 raise_in_order(struct plan *plan, pl_i128 excess)
{
    for (uint32_t i = 0; i < plan->item_count && excess < 0; i++) {
        struct item *item = &plan->items[i];
        excess = excess_with(plan, item, item->lots_max);
        if (excess < 0)
            excess = move_to_best(plan, item);
        if (excess >= 0)
            excess = lower_to_least(plan, item);
    }
    return excess;
}

/* Everything sold, less what does not help even then: legs whose discount costs more than they ask
 * for. Returns the excess. */
static pl_i128 unwind_all(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->item_count; i++)
        set_lots(plan, &plan->items[i], plan->items[i].lots_max);
    pl_i128 excess = excess_of(plan);
    for (uint32_t i = plan->item_count; i-- > 0 && excess < 0;)
        excess = move_to_best(plan, &plan->items[i]);
    return excess;
}

struct point {
    int64_t lots[PL_SALE_LEGS_MAX];
};

static struct point point_of(const struct plan *plan)
{
    struct point point = {0};
    for (uint32_t i = 0; i < plan->item_count; i++)
        point.lots[i] = plan->items[i].lots;
    return point;
}

/* Goes `step` of `step_count` steps from one point to another. */
static pl_i128 excess_between(struct plan *plan, const struct point *from, const struct point *to,
                              int64_t step, int64_t step_count)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        pl_i128 way = (pl_i128)(to->lots[i] - from->lots[i]) * step / step_count;
        set_lots(plan, &plan->items[i], from->lots[i] + (int64_t)way);
    }
    return excess_of(plan);
}

/*
 * Pro-rata unwinding (RISK S4): moves from a point that does not reach towards one that does, and
 * stops where it begins to. Legs that hedge each other go together. Rounding to lots makes A waver
 * by a few lots' worth on the way, so this finds some point that reaches; trimming makes it the
 * least.
 */
static pl_i128 unwind_pro_rata(struct plan *plan, const struct point *from, const struct point *to)
{
    int64_t step_count = 1;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        int64_t way = to->lots[i] - from->lots[i];
        if (way < 0)
            way = -way;
        if (way > step_count)
            step_count = way;
    }
    int64_t low = 0, high = step_count; /* low does not reach, high does */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (excess_between(plan, from, to, middle, step_count) >= 0)
            high = middle;
        else
            low = middle;
    }
    return excess_between(plan, from, to, high, step_count);
}

/*
 * Lowers each leg in turn, the least liquid first, to the least that still reaches or, if asked,
 * only half way to it. True if some leg gave up a lot.
 */
static bool cut_each(struct plan *plan, bool is_half_way)
{
    bool has_cut = false;
    for (uint32_t i = plan->item_count; i-- > 0;) {
        struct item *item = &plan->items[i];
        int64_t lots = item->lots;
        if (lots == 0)
            continue;
        if (excess_with(plan, item, lots - 1) >= 0) {
            lower_to_least(plan, item);
            if (is_half_way)
                set_lots(plan, item, item->lots + (lots - item->lots) / 2);
            has_cut = true;
        } else {
            set_lots(plan, item, lots);
        }
    }
    return has_cut;
}

/*
 * Goes on in the direction in which the last rounds went, from `from` to the present point, as far
 * as that reaches and no leg is below 0. True if it went at least half as far again.
 */
static bool cut_along(struct plan *plan, const struct point *from)
{
    struct point here = point_of(plan), beyond;
    int64_t way_most = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (from->lots[i] - here.lots[i] > way_most)
            way_most = from->lots[i] - here.lots[i];
    pl_i128 step_most = INT64_MAX; /* a step is one lot of the leg that went farthest */
    for (uint32_t i = 0; i < plan->item_count; i++) {
        int64_t way = from->lots[i] - here.lots[i];
        if (way > 0)
            step_most = pl_min(step_most, (pl_i128)here.lots[i] * way_most / way);
    }
    for (uint32_t i = 0; i < plan->item_count; i++)
        beyond.lots[i] = here.lots[i] - (from->lots[i] - here.lots[i]);
    int64_t low = 0, high = (int64_t)step_most; /* low reaches */
    while (low < high) {
        int64_t middle = high - (high - low) / 2;
        if (excess_between(plan, &here, &beyond, middle, way_most) >= 0)
            low = middle;
        else
            high = middle - 1;
    }
    excess_between(plan, &here, &beyond, low, way_most);
    return low >= way_most / 2;
}

/*
 * Cuts until no leg can give up a lot (G9). Without hedges one round does it and the next one
 * proves it. Where legs hedge each other, one leg's cut allows another one's, and rounds of cuts
 * creep down a narrow ridge. So after each round goes a leap along the way of the last ones: of all
 * since the last leap, or, while leaps fail, of twice as many each time, since the way of a few
 * lots is a poor direction. From the third round on cuts go half way only: on the ridge's edge a
 * leap would fall off by rounding. Each round but the last takes lots away, so this ends; leaps
 * make it end soon: in 300,000 random books made to creep (up to 16 legs, weights down to 1 ppm
 * beside loads of 400,000, lots of very different worth) the mean is about 10^3 evaluations and the
 * worst below 4 * 10^5. A sale that is not done after PL_SALE_EVALUATIONS_MAX stays as it is, safe
 * but perhaps not smallest.
 */
static pl_i128 trim(struct plan *plan)
{
    struct point from = point_of(plan), next_from = from;
    uint32_t round = 0, round_of_renewal = 2;
    bool is_creeping = false;
    while (cut_each(plan, is_creeping) && plan->evaluation_count < PL_SALE_EVALUATIONS_MAX) {
        struct point cut = point_of(plan);
        is_creeping = is_creeping || round > 0;
        if (cut_along(plan, &from)) {
            from = next_from = cut;
            round = 0;
            round_of_renewal = 2;
        } else if (++round == round_of_renewal) {
            from = next_from;
            next_from = cut;
            round_of_renewal *= 2;
        }
    }
    return excess_of(plan);
}

static pl_i128 search(struct plan *plan, pl_i128 excess)
{
    excess = raise_in_order(plan, excess);
    if (excess < 0 && plan->item_count > 0) {
        struct point raised = point_of(plan);
        pl_i128 unwound_excess = unwind_all(plan);
        struct point unwound = point_of(plan);
        if (unwound_excess >= 0)
            excess = unwind_pro_rata(plan, &raised, &unwound);
        else if (unwound_excess > excess)
            excess = unwound_excess;
        else
            excess = excess_between(plan, &raised, &raised, 0, 1);
    }
    return excess >= 0 ? trim(plan) : excess;
}

/* ---- result --------------------------------------------------------------------------------- */

static void write_legs(struct plan *plan, struct pl_sale *sale)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        struct item *item = &plan->items[i];
        if (item->lots == 0)
            continue;
        struct pl_sale_leg *leg = &sale->legs[sale->leg_count++];
        *leg = (struct pl_sale_leg){.instrument = item->instrument,
                                    .side = item->side,
                                    .lots = item->lots,
                                    .limit_ticks = item->limit_ticks};
        leg->one_lot_less = excess_with(plan, item, item->lots - 1);
        pl_i128 excess = excess_with(plan, item, leg->lots);
        pl_assert(excess == sale->end_after);
        pl_assert(!sale->reaches || leg->one_lot_less < 0 ||
                  plan->evaluation_count >= PL_SALE_EVALUATIONS_MAX); /* G9 */
    }
}

void pl_plan_sale(const struct pl_market *market, const struct pl_names *names,
                  const struct pl_portfolio *portfolio, struct pl_sale *sale)
{
    (void)names; /* ranks are unique: no ids are needed to order legs */
    struct plan plan;
    *sale = (struct pl_sale){0};
    plan_init(&plan, market, portfolio);
    if (!best_excess(market, portfolio, PL_TIER_END, plan.is_certain, &sale->end_before) ||
        !best_excess(market, portfolio, PL_TIER_MAINTENANCE, plan.is_certain,
                     &sale->maintenance_before))
        return;
    sale->end_after = sale->end_before;
    if (sale->end_before < 0)
        sale->end_after = search(&plan, sale->end_before);
    sale->reaches = sale->end_after >= 0;
    sale->is_bankrupt = !sale->reaches && !plan.has_more;
    write_legs(&plan, sale);
    sale->evaluation_count = plan.evaluation_count;
}

bool pl_sale_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    enum pl_tier tier, const struct pl_sale_leg *legs, uint32_t leg_count,
                    pl_i128 *excess)
{
    struct pl_leg after[PL_LEGS_MAX];
    struct pl_portfolio sold = *portfolio;
    bool is_certain = pl_portfolio_is_certain(market, portfolio);
    /* In range before, so that the products below are. */
    if (!best_excess(market, portfolio, tier, is_certain, excess))
        return false;
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX && leg_count <= PL_SALE_LEGS_MAX);
    memcpy(after, portfolio->legs, portfolio->leg_count * sizeof after[0]);
    sold.legs = after;
    for (uint32_t s = 0; s < leg_count; s++) {
        uint32_t i = 0;
        while (i < sold.leg_count && after[i].instrument != legs[s].instrument)
            i++;
        pl_assert(i < sold.leg_count && legs[s].lots <= sellable_lots(&after[i]));
        pl_assert(legs[s].side == (after[i].lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY));
        int64_t multiplier = market->parameters->instruments[legs[s].instrument].multiplier;
        execute(&after[i], &sold, legs[s].side, (pl_i128)legs[s].limit_ticks * multiplier,
                legs[s].lots);
    }
    return best_excess(market, &sold, tier, is_certain, excess);
}
