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
 *
 * Where debts decide on haircuts no cash may be owed in the end (pl_within_cash): A is the lesser of the
 * excess and the cash then, which is concave, too.
 *
 * All of this holds at one limit price. Where a rung of the depth ladder ends, the whole order gets the
 * next rung's limit and A drops, so each rung has an interval of its own: rungs are searched one by one,
 * from the best.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/plan.h"

/* ---- execution at the limit ----------------------------------------------------------------- */

/*
 * Executes `lots` of one leg for a price, or takes them back if negative. Cash stays within 4 times the gross
 * value limit: a limit price is at most twice the mark (the discount is below one, and a tick is at
 * least one).
 */
static void execute(struct pl_leg *leg, struct pl_portfolio *portfolio, enum pl_side side,
                    int64_t lots, pl_i128 price_vu)
{
    int sign = side == PL_SIDE_SELL ? 1 : -1;
    leg->lots -= sign * lots;
    leg->final_lots -= sign * lots;
    portfolio->cash_vu += sign * price_vu;
    portfolio->final_cash_vu += sign * price_vu;
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

uint32_t pl_item_rung(const struct pl_item *item, int64_t units)
{
    uint32_t rung = 0;
    while (units > item->rung_units[rung])
        rung++;
    return rung;
}

static pl_i128 limit_of_rung(const struct pl_item *item, uint32_t rung)
{
    return (pl_i128)item->rung_ticks[rung] * item->multiplier;
}

pl_i128 pl_item_cost(const struct pl_item *item, int64_t units)
{
    return units * pl_abs(item->mark_vu - limit_of_rung(item, pl_item_rung(item, units)));
}

/* More or less of a leg at its present limit. */
static void move(struct pl_plan *plan, struct pl_item *item, int64_t units)
{
    execute(&plan->legs[item->leg], &plan->portfolio, item->side, units * item->unit_lots,
            units * item->limit_vu);
    item->units += units;
}

void pl_plan_set(struct pl_plan *plan, struct pl_item *item, int64_t units)
{
    uint32_t rung = pl_item_rung(item, units);
    if (item->limit_ticks != item->rung_ticks[rung]) {
        move(plan, item, -item->units);
        item->limit_ticks = item->rung_ticks[rung];
        item->limit_vu = limit_of_rung(item, rung);
    }
    move(plan, item, units - item->units);
}

pl_i128 pl_plan_excess(struct pl_plan *plan)
{
    pl_i128 excess;
    plan->evaluation_count++;
    if (plan->is_own)
        return pl_beyond_goal(plan->market, &plan->portfolio, &plan->goal);
    bool is_in_range = best_excess(plan->market, &plan->portfolio, plan->goal.tier,
                                   plan->is_certain, &excess);
    pl_assert(is_in_range); /* a sale only shrinks legs */
    return pl_within_cash(plan->market, &plan->portfolio, excess);
}

pl_i128 pl_plan_excess_with(struct pl_plan *plan, struct pl_item *item, int64_t units)
{
    pl_plan_set(plan, item, units);
    return pl_plan_excess(plan);
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
static bool limit_at(const struct pl_quote *quote, const struct pl_instrument *instrument,
                     enum pl_side side, int32_t discount_ppm, int64_t *limit_ticks)
{
    const int64_t whole = PL_PPM * instrument->multiplier;
    pl_i128 ticks = side == PL_SIDE_SELL
                        ? pl_div_floor((pl_i128)quote->lot_vu * (PL_PPM - discount_ppm), whole)
                        : pl_div_ceil((pl_i128)quote->short_lot_vu * (PL_PPM + discount_ppm), whole);
    if (ticks <= 0 || ticks > INT64_MAX)
        return false;
    *limit_ticks = (int64_t)ticks;
    return true;
}

bool pl_limit_of(const struct pl_quote *quote, const struct pl_instrument *instrument,
                 enum pl_side side, int64_t *limit_ticks)
{
    return limit_at(quote, instrument, side, instrument->sale_discount_ppm, limit_ticks);
}

/* Whole units for so much, as far as 64 bits go. */
static int64_t units_for(const struct pl_item *item, int64_t usd, bool is_up)
{
    pl_i128 value_vu = (pl_i128)usd * PL_USD_VU;
    return (int64_t)pl_min(INT64_MAX, is_up ? pl_div_ceil(value_vu, item->mark_vu)
                                            : pl_div_floor(value_vu, item->mark_vu));
}

/* Every rung's discount is at most the last one's, which is a price. */
bool pl_item_fill_rungs(const struct pl_quote *quote, const struct pl_instrument *instrument,
                        struct pl_item *item)
{
    uint32_t last = item->rung_count = instrument->depth_count;
    item->rung_units[last] = INT64_MAX;
    if (!pl_limit_of(quote, instrument, item->side, &item->rung_ticks[last]))
        return false;
    for (uint32_t i = 0; i < last; i++) {
        bool is_price = limit_at(quote, instrument, item->side,
                                 instrument->depth[i].discount_ppm, &item->rung_ticks[i]);
        pl_assert(is_price);
        item->rung_units[i] = units_for(item, instrument->depth[i].usd_max, false);
    }
    item->rung_count++;
    return true;
}

static int64_t least_order(const struct pl_item *item)
{
    return item->units_notional > 1 ? item->units_notional : 1;
}

/* No more than so many at once, though never less than the venue takes. */
static void cap(struct pl_item *item, pl_i128 units)
{
    item->units_max = (int64_t)pl_min(pl_max(units, least_order(item)), item->units_max);
}

/* The close factor's part, unless what it leaves is too little to be left. */
static void cap_part(const struct pl_policy *policy, int64_t left_min, struct pl_item *item)
{
    pl_i128 part = pl_div_ceil((pl_i128)item->units_whole * policy->close_factor_ppm, PL_PPM);
    part = pl_max(part, least_order(item));
    if (item->units_whole - part >= left_min)
        cap(item, part);
}

/* How much at once, and how little. False when the venue takes nothing so small. Slices and close factor
 * are the policy's, for forced sales. */
static bool fill_sizes(const struct pl_plan *plan, const struct pl_instrument *instrument,
                       int64_t lots, struct pl_item *item)
{
    const struct pl_policy *policy = &plan->market->parameters->policy;
    item->units_whole = item->units_max = lots / item->unit_lots;
    item->units_notional = units_for(item, instrument->min_notional_usd, true);
    if (item->units_whole == 0 || item->units_whole < item->units_notional)
        return false;
    item->units_left_min = item->units_notional;
    if (plan->is_own)
        return true;
    int64_t left_min = units_for(item, policy->close_leftover_usd_min, true);
    if (instrument->slice_usd_max > 0)
        cap(item, units_for(item, instrument->slice_usd_max, false));
    if (policy->close_factor_ppm > 0 && !plan->closes_whole &&
        item->units_whole >= units_for(item, policy->close_full_below_usd, true))
        cap_part(policy, left_min, item);
    if (left_min > item->units_left_min)
        item->units_left_min = left_min;
    return true;
}

/* No more than the brake leaves. Nothing is an item too: it is for another window. */
static void brake(struct pl_plan *plan, struct pl_item *item)
{
    if (!plan->market->left_lots || plan->is_own)
        return;
    int64_t units = plan->market->left_lots[item->instrument] / item->unit_lots;
    if (units >= item->units_max)
        return;
    item->units_max = units < item->units_notional ? 0 : units;
    plan->is_braked = true;
}

/* G4: only a leg with a live mark, of which only what is final. What the policy does not name is for the
 * account alone to sell, after all that it does. */
static bool item_of(const struct pl_plan *plan, const struct pl_leg *leg, struct pl_item *item)
{
    const struct pl_market *market = plan->market;
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    if (!instrument->is_listed || leg->is_unlisted_amount ||
        (instrument->sale_rank == 0 && !plan->is_own) ||
        quote->status != PL_MARK_LIVE || quote->is_stuck)
        return false;
    item->instrument = leg->instrument;
    item->rank = instrument->sale_rank > 0 ? instrument->sale_rank
                                           : PL_INSTRUMENTS_MAX + 1 + item->leg;
    item->side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY;
    item->unit_lots = instrument->lot_step > 0 ? instrument->lot_step : 1;
    int64_t lots = sellable_lots(leg);
    if (lots < item->unit_lots) /* so a unit is worth no more than the leg, whose value is in range */
        return false;
    item->multiplier = item->unit_lots * instrument->multiplier;
    item->mark_vu = (pl_i128)(item->side == PL_SIDE_SELL ? quote->lot_vu : quote->short_lot_vu) *
                    item->unit_lots;
    if (!pl_item_fill_rungs(quote, instrument, item) ||
        !fill_sizes(plan, instrument, lots, item))
        return false;
    item->limit_ticks = item->rung_ticks[0];
    item->limit_vu = limit_of_rung(item, 0);
    return true;
}

/* Keeps the first PL_SALE_LEGS_MAX by rank. */
static void insert_item(struct pl_plan *plan, const struct pl_item *item)
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

/* Whether the policy lets all of every leg be taken at once, so low is the health 1 + A / D. In doubt it
 * does not: the rest is the next revision's. A < 2^105 and D < 2^104, times 10^6 < 2^125. */
static bool is_health_low(const struct pl_plan *plan)
{
    const pl_i128 limit_ppm = plan->market->parameters->policy.close_full_below_health_ppm;
    pl_i128 excess;
    if (limit_ppm == 0 || !plan->is_certain ||
        !pl_evaluate(plan->market, plan->before, PL_TIER_MAINTENANCE, &excess))
        return false;
    pl_i128 debt = pl_weighted_debt(plan->market, plan->before);
    return debt > 0 && excess * PL_PPM < (limit_ppm - PL_PPM) * debt;
}

/* `goal` NULL: a forced sale. */
static void plan_init(struct pl_plan *plan, const struct pl_market *market,
                      const struct pl_portfolio *portfolio, const struct pl_goal *goal)
{
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    plan->market = market;
    plan->before = portfolio;
    plan->is_own = goal != NULL;
    plan->goal = goal ? *goal : (struct pl_goal){.tier = PL_TIER_END};
    plan->portfolio = *portfolio;
    pl_portfolio_pin(&plan->portfolio);
    plan->portfolio.legs = plan->legs;
    memcpy(plan->legs, portfolio->legs, portfolio->leg_count * sizeof plan->legs[0]);
    plan->is_certain = pl_portfolio_is_certain(market, portfolio);
    plan->closes_whole = is_health_low(plan);
    plan->item_count = 0;
    plan->has_more = plan->is_braked = plan->is_hopeless = false;
    plan->evaluation_count = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        struct pl_item item = {.leg = i};
        if (!item_of(plan, &portfolio->legs[i], &item))
            continue;
        brake(plan, &item);
        insert_item(plan, &item);
    }
}

/* ---- search --------------------------------------------------------------------------------- */

/* The least units at the limit of so many that a trim may go down to. */
static int64_t start_of_rung(const struct pl_item *item, int64_t units)
{
    uint32_t rung = pl_item_rung(item, units);
    int64_t start = rung > 0 ? item->rung_units[rung - 1] + 1 : 0;
    return start > item->units_min ? start : item->units_min;
}

/* The least units at the present limit that reach, where the present units do; sets them and returns the
 * excess. */
static pl_i128 lower_in_rung(struct pl_plan *plan, struct pl_item *item)
{
    int64_t low = start_of_rung(item, item->units), high = item->units;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (pl_plan_excess_with(plan, item, middle) >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return pl_plan_excess_with(plan, item, high);
}

/* The least units of low..high, all of one rung, that help most; sets them and returns the excess. Most
 * often it is the end: so that is looked at first. */
static pl_i128 move_to_best_of_rung(struct pl_plan *plan, struct pl_item *item, int64_t low,
                                    int64_t high)
{
    pl_i128 before = low < high ? pl_plan_excess_with(plan, item, high - 1) : 0;
    pl_i128 excess = pl_plan_excess_with(plan, item, high);
    if (low == high || excess > before)
        return excess;
    for (high--; low < high;) {
        int64_t middle = low + (high - low) / 2;
        if (pl_plan_excess_with(plan, item, middle + 1) > pl_plan_excess_with(plan, item, middle))
            low = middle + 1;
        else
            high = middle;
    }
    return pl_plan_excess_with(plan, item, high);
}

/* The least units of low..high that help most: of the first rung where they reach, else of all; sets them
 * and returns the excess. */
static pl_i128 move_to_best(struct pl_plan *plan, struct pl_item *item, int64_t low, int64_t high)
{
    int64_t best_units = low;
    pl_i128 best = -PL_EXCESS_UNBOUNDED;
    for (uint32_t rung = 0; rung < item->rung_count && best < 0; rung++) {
        int64_t end = item->rung_units[rung] < high ? item->rung_units[rung] : high;
        if (end < low) /* it has no unit of these */
            continue;
        pl_i128 excess = move_to_best_of_rung(plan, item, low, end);
        if (excess > best) {
            best = excess;
            best_units = item->units;
        }
        if (end == high)
            break;
        low = end + 1;
    }
    pl_plan_set(plan, item, best_units);
    return best;
}

/* Lowers an item whose present units reach to the least that do; false if that is what they are. In a rung
 * that reaches, no more than the units below need be tried: the quantities that reach are an interval. */
static bool lower_to_least(struct pl_plan *plan, struct pl_item *item)
{
    int64_t units = item->units, start = start_of_rung(item, units);
    bool is_lower = (start > item->units_min &&
                     move_to_best(plan, item, item->units_min, start - 1) >= 0) ||
                    (start < units && pl_plan_excess_with(plan, item, units - 1) >= 0);
    if (is_lower)
        lower_in_rung(plan, item);
    else
        pl_plan_set(plan, item, units);
    return is_lower;
}

/* The least of a leg that reaches or else the best. */
static pl_i128 raise(struct pl_plan *plan, struct pl_item *item)
{
    pl_i128 excess = move_to_best(plan, item, 0, item->units_max);
    return excess < 0 ? excess : lower_in_rung(plan, item);
}

/* Each leg in turn. */
static pl_i128 raise_in_order(struct pl_plan *plan, pl_i128 excess)
{
    for (uint32_t i = 0; i < plan->item_count && excess < 0; i++)
        excess = raise(plan, &plan->items[i]);
    return excess;
}

/* Everything sold, less what does not help even then: legs whose discount costs more than they ask
 * for. Returns the excess. */
static pl_i128 unwind_all(struct pl_plan *plan)
{
    for (uint32_t i = 0; i < plan->item_count; i++)
        pl_plan_set(plan, &plan->items[i], plan->items[i].units_max);
    pl_i128 excess = pl_plan_excess(plan);
    for (uint32_t i = plan->item_count; i-- > 0 && excess < 0;)
        excess = move_to_best(plan, &plan->items[i], 0, plan->items[i].units_max);
    return excess;
}

struct pl_point pl_plan_point(const struct pl_plan *plan)
{
    struct pl_point point = {0};
    for (uint32_t i = 0; i < plan->item_count; i++)
        point.units[i] = plan->items[i].units;
    return point;
}

/* Goes `step` of `step_count` steps from one point to another. */
static pl_i128 excess_between(struct pl_plan *plan, const struct pl_point *from, const struct pl_point *to,
                              int64_t step, int64_t step_count)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        pl_i128 way = (pl_i128)(to->units[i] - from->units[i]) * step / step_count;
        pl_plan_set(plan, &plan->items[i], from->units[i] + (int64_t)way);
    }
    return pl_plan_excess(plan);
}

/*
 * Pro-rata unwinding (RISK S4): moves from a point that does not reach towards one that does, and
 * stops where it begins to. Legs that hedge each other go together. Rounding to lots makes A waver
 * by a few lots' worth on the way, so this finds some point that reaches; trimming makes it the
 * least.
 */
pl_i128 pl_plan_unwind(struct pl_plan *plan, const struct pl_point *from,
                       const struct pl_point *to)
{
    int64_t step_count = 1;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        int64_t way = to->units[i] - from->units[i];
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

/* Half way back to so many units, or as far as the present limit holds: both ends reach at it. */
static int64_t half_way(const struct pl_item *item, int64_t units)
{
    int64_t half = item->units + (units - item->units) / 2;
    int64_t end = item->rung_units[pl_item_rung(item, item->units)];
    return half < end ? half : end;
}

/*
 * Lowers each leg in turn, the least liquid first, to the least that still reaches or, if asked,
 * only half way to it. True if some leg gave up a lot.
 */
static bool cut_each(struct pl_plan *plan, bool is_half_way)
{
    bool has_cut = false;
    for (uint32_t i = plan->item_count; i-- > 0;) {
        struct pl_item *item = &plan->items[i];
        int64_t units = item->units;
        if (units == item->units_min || !lower_to_least(plan, item))
            continue;
        has_cut = true;
        if (is_half_way)
            pl_plan_set(plan, item, half_way(item, units));
    }
    return has_cut;
}

/*
 * Goes on in the direction in which the last rounds went, from `from` to the present point, as far
 * as that reaches and no leg is below 0. True if it went at least half as far again.
 */
static bool cut_along(struct pl_plan *plan, const struct pl_point *from)
{
    struct pl_point here = pl_plan_point(plan), beyond;
    int64_t way_most = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (from->units[i] - here.units[i] > way_most)
            way_most = from->units[i] - here.units[i];
    pl_i128 step_most = INT64_MAX; /* a step is one lot of the leg that went farthest */
    for (uint32_t i = 0; i < plan->item_count; i++) {
        int64_t way = from->units[i] - here.units[i];
        if (way > 0)
            step_most = pl_min(step_most, (pl_i128)(here.units[i] - plan->items[i].units_min) *
                                              way_most / way);
    }
    for (uint32_t i = 0; i < plan->item_count; i++)
        beyond.units[i] = here.units[i] - (from->units[i] - here.units[i]);
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
static pl_i128 trim(struct pl_plan *plan)
{
    struct pl_point from = pl_plan_point(plan), next_from = from;
    uint32_t round = 0, round_of_renewal = 2;
    bool is_creeping = false;
    while (cut_each(plan, is_creeping) && plan->evaluation_count < PL_SALE_EVALUATIONS_MAX) {
        struct pl_point cut = pl_plan_point(plan);
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
    return pl_plan_excess(plan);
}

/* How much of an item its venue takes, at least what is needed. */
static int64_t fitting(const struct pl_item *item)
{
    if (item->units == 0)
        return 0;
    int64_t units = item->units < item->units_notional ? item->units_notional : item->units;
    int64_t left = item->units_whole - units;
    return left > 0 && left < item->units_left_min && item->units_max == item->units_whole
               ? item->units_whole : units;
}

/*
 * Makes legs as large as their venue wants them, in the order of liquidity, and cuts the others to what is
 * still needed; what was cut may be too small then, so again until nothing changes. A leg that costs more than it
 * brings may not be made larger: its order stays as it is, too small for the venue, since a target that is
 * reached is worth more than an order that is taken. What was made larger stays so: this ends.
 */
static pl_i128 fit(struct pl_plan *plan, pl_i128 excess)
{
    for (bool has_changed = true; has_changed;) {
        has_changed = false;
        for (uint32_t i = 0; i < plan->item_count; i++) {
            struct pl_item *item = &plan->items[i];
            int64_t units = item->units, wanted = fitting(item);
            if (wanted == units)
                continue;
            if (pl_plan_excess_with(plan, item, wanted) < 0) {
                pl_plan_set(plan, item, units);
                continue;
            }
            item->units_min = wanted;
            excess = trim(plan);
            has_changed = true;
        }
    }
    return excess;
}

/* From nothing sold; if that finds no way either, back to where it stood. */
static pl_i128 search_pairs(struct pl_plan *plan)
{
    const struct pl_point stood = pl_plan_point(plan);
    for (uint32_t i = 0; i < plan->item_count; i++)
        pl_plan_set(plan, &plan->items[i], 0);
    pl_i128 found = pl_plan_cheapest(plan, pl_plan_excess(plan));
    return found >= 0 ? found : excess_between(plan, &stood, &stood, 0, 1);
}

/*
 * Whether more than one revision may reach what this one does not: as much of every leg as helps, at the
 * limit of the least order that its venue takes, since ladder, slices, close factor and brake bind each
 * order, not all of them together.
 */
static bool do_revisions_reach(const struct pl_plan *plan)
{
    struct pl_plan later = *plan;
    later.portfolio.legs = later.legs;
    for (uint32_t i = 0; i < later.item_count; i++) {
        struct pl_item *item = &later.items[i];
        pl_plan_set(&later, item, 0);
        item->rung_ticks[0] = item->rung_ticks[pl_item_rung(item, least_order(item))];
        item->rung_units[0] = INT64_MAX;
        item->rung_count = 1;
        item->units_max = item->units_whole;
    }
    return unwind_all(&later) >= 0 || search_pairs(&later) >= 0;
}

/* Everything, whatever it brings: what is left may only lose. */
static pl_i128 close_all(struct pl_plan *plan)
{
    for (uint32_t i = 0; i < plan->item_count; i++)
        pl_plan_set(plan, &plan->items[i], plan->items[i].units_max);
    return pl_plan_excess(plan);
}

static pl_i128 search(struct pl_plan *plan, pl_i128 excess)
{
    if (plan->is_own || plan->market->parameters->policy.sale_objective == PL_SALE_LEAST_COST)
        excess = pl_plan_cheapest(plan, excess);
    excess = raise_in_order(plan, excess);
    if (excess < 0 && plan->item_count > 0) {
        struct pl_point raised = pl_plan_point(plan);
        pl_i128 unwound_excess = unwind_all(plan);
        struct pl_point unwound = pl_plan_point(plan);
        if (unwound_excess >= 0)
            excess = pl_plan_unwind(plan, &raised, &unwound);
        else if (unwound_excess > excess)
            excess = unwound_excess;
        else
            excess = excess_between(plan, &raised, &raised, 0, 1);
        if (excess < 0) /* hedges in a proportion of their own */
            excess = search_pairs(plan);
    }
    if (excess >= 0)
        return fit(plan, trim(plan));
    plan->is_hopeless = !plan->is_own && !do_revisions_reach(plan);
    return plan->is_hopeless && plan->market->parameters->policy.close_hopeless ? close_all(plan) : excess;
}

/* ---- the account's own choice --------------------------------------------------------------- */

/* A plan that was found, to come back to. */
struct found {
    bool reaches;
    pl_i128 cost_vu, excess;
    int64_t units[PL_SALE_LEGS_MAX], units_min[PL_SALE_LEGS_MAX];
};

static pl_i128 cost_of(const struct pl_plan *plan)
{
    pl_i128 cost = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        cost += pl_item_cost(&plan->items[i], plan->items[i].units);
    return cost;
}

static void restore(struct pl_plan *plan, const struct found *found)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        plan->items[i].units_min = found->units_min[i];
        pl_plan_set(plan, &plan->items[i], found->units[i]);
    }
}

/* Of equal costs the one that was found first stays. */
static void keep_cheaper(const struct pl_plan *plan, pl_i128 excess, struct found *best)
{
    pl_i128 cost_vu = cost_of(plan);
    if (excess < 0 || (best->reaches && cost_vu >= best->cost_vu))
        return;
    *best = (struct found){.reaches = true, .cost_vu = cost_vu, .excess = excess};
    for (uint32_t i = 0; i < plan->item_count; i++) {
        best->units[i] = plan->items[i].units;
        best->units_min[i] = plan->items[i].units_min;
    }
}

/* The least of one leg by itself. */
static pl_i128 search_alone(struct pl_plan *plan, struct pl_item *item)
{
    pl_i128 excess = raise(plan, item);
    return excess < 0 ? excess : fit(plan, excess);
}

/* As for a sale of least cost; and since what is found step by step may be dearer than one leg by itself,
 * where lots are large or nothing but that leg helps, each is looked at too. */
static pl_i128 search_own(struct pl_plan *plan, pl_i128 excess)
{
    static const struct found NOTHING = {0};
    struct found best = NOTHING;
    keep_cheaper(plan, search(plan, excess), &best);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        restore(plan, &NOTHING);
        keep_cheaper(plan, search_alone(plan, &plan->items[i]), &best);
    }
    restore(plan, &best);
    return best.reaches ? best.excess : excess;
}

/* ---- result --------------------------------------------------------------------------------- */

static void write_legs(struct pl_plan *plan, struct pl_sale *sale)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        struct pl_item *item = &plan->items[i];
        if (item->units == 0)
            continue;
        struct pl_sale_leg *leg = &sale->legs[sale->leg_count++];
        *leg = (struct pl_sale_leg){.instrument = item->instrument,
                                    .side = item->side,
                                    .lots = item->units * item->unit_lots,
                                    .limit_ticks = item->limit_ticks,
                                    .is_extended = item->units_min > 0};
        move(plan, item, -1);
        leg->one_lot_less = pl_plan_excess(plan);
        move(plan, item, 1);
        pl_i128 excess = pl_plan_excess(plan);
        pl_assert(excess == sale->end_after);
        pl_assert(!sale->reaches || leg->is_extended || leg->one_lot_less < 0 ||
                  plan->evaluation_count >= PL_SALE_EVALUATIONS_MAX); /* G9 */
    }
}

/* The gap is rounded up: the sale costs at most so much more than any other would. */
static void write_cost(const struct pl_plan *plan, struct pl_sale *sale)
{
    sale->cost_vu = cost_of(plan);
    sale->cost_bound_vu = pl_min(pl_plan_cost_bound(plan, sale->cost_vu), sale->cost_vu);
    if (sale->cost_vu > 0)
        sale->gap_ppm = (int32_t)pl_div_ceil((sale->cost_vu - sale->cost_bound_vu) * PL_PPM,
                                             sale->cost_vu);
}

bool pl_plan_trades(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    const struct pl_goal *goal, struct pl_sale *trades)
{
    struct pl_plan plan;
    *trades = (struct pl_sale){0};
    if (!pl_portfolio_is_certain(market, portfolio))
        return false;
    plan_init(&plan, market, portfolio, goal);
    trades->end_before = trades->end_after = pl_plan_excess(&plan);
    if (trades->end_before >= 0 || trades->end_before <= -PL_EXCESS_UNBOUNDED)
        return false;
    trades->end_after = search_own(&plan, trades->end_before);
    trades->reaches = trades->end_after >= 0;
    if (!trades->reaches)
        return false;
    write_legs(&plan, trades);
    write_cost(&plan, trades);
    trades->evaluation_count = plan.evaluation_count;
    return true;
}

void pl_plan_sale(const struct pl_market *market, const struct pl_names *names,
                  const struct pl_portfolio *portfolio, struct pl_sale *sale)
{
    (void)names; /* ranks are unique: no ids are needed to order legs */
    struct pl_plan plan;
    *sale = (struct pl_sale){0};
    plan_init(&plan, market, portfolio, NULL);
    if (!best_excess(market, portfolio, PL_TIER_END, plan.is_certain, &sale->end_before) ||
        !best_excess(market, portfolio, PL_TIER_MAINTENANCE, plan.is_certain,
                     &sale->maintenance_before))
        return;
    sale->end_after = sale->end_before;
    if (sale->end_before < 0)
        sale->end_after = search(&plan, sale->end_before);
    sale->reaches = sale->end_after >= 0;
    sale->is_braked = !sale->reaches && plan.is_braked;
    sale->is_bankrupt = plan.is_hopeless && !plan.has_more;
    write_legs(&plan, sale);
    if (sale->reaches)
        write_cost(&plan, sale);
    sale->evaluation_count = plan.evaluation_count;
}

bool pl_sale_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    enum pl_tier tier, const struct pl_sale_leg *legs, uint32_t leg_count,
                    pl_i128 *excess)
{
    struct pl_leg after[PL_LEGS_MAX];
    struct pl_portfolio sold = *portfolio;
    pl_portfolio_pin(&sold);
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
        execute(&after[i], &sold, legs[s].side, legs[s].lots,
                (pl_i128)legs[s].limit_ticks * multiplier * legs[s].lots);
    }
    if (!best_excess(market, &sold, tier, is_certain, excess))
        return false;
    if (tier == PL_TIER_END)
        *excess = pl_within_cash(market, &sold, *excess);
    return true;
}
