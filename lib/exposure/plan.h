/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the planner share: the legs that may be sold and how far they are sold at the
 * moment. Private to lib/exposure.
 *
 *   plan.c         what may be sold, the sale in liquidity order, the trim to the least, the result
 *   cheapest.c     the sale of least cost
 *   certificate.c  what any sale must cost at least
 */
#ifndef PL_EXPOSURE_PLAN_H
#define PL_EXPOSURE_PLAN_H

#include "lib/exposure/terms.h"

/* A leg that may be sold. Quantities are counted in units, the multiples of lots that its venue takes. */
struct pl_item {
    uint32_t leg; /* index in the portfolio */
    uint32_t instrument, rank;
    enum pl_side side;
    int64_t unit_lots;
    int64_t units, units_max; /* sold at the moment; at most, in one order                    */
    int64_t units_min;        /* no trim goes below: what the venue takes at least            */
    int64_t units_whole;      /* all of the leg                                               */
    int64_t units_notional;   /* the least that is worth the venue's minimum                  */
    int64_t units_left_min;   /* the least that may be left of the leg, if any                */
    uint32_t rung_count;      /* >= 1; the last one has no end                                */
    int64_t rung_units[PL_DEPTH_MAX + 1], rung_ticks[PL_DEPTH_MAX + 1];
    int64_t multiplier;       /* VU of a tick of a unit                                       */
    int64_t limit_ticks;      /* of the present units                                         */
    pl_i128 mark_vu, limit_vu; /* of one unit                                                 */
};

struct pl_plan {
    const struct pl_market *market;
    const struct pl_portfolio *before;
    struct pl_goal goal;   /* of a forced sale the end tier                               */
    bool is_own;           /* the account's own trades, not a forced sale                 */
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio; /* after the items' present lots are executed */
    bool is_certain;
    bool closes_whole;                      /* the close factor does not bind: low health */
    uint32_t item_count;
    bool has_more;                          /* sellable legs that do not fit */
    bool is_braked;                         /* the brake lowers some units_max */
    bool is_hopeless;                       /* not even many revisions reach */
    struct pl_item items[PL_SALE_LEGS_MAX]; /* by rank */
    uint32_t evaluation_count;
};

struct pl_point {
    int64_t units[PL_SALE_LEGS_MAX];
};

/* Executes more of an item at its limit, or takes some back. */
void pl_plan_set(struct pl_plan *plan, struct pl_item *item, int64_t units);
struct pl_point pl_plan_point(const struct pl_plan *plan);
/* The goal's excess (upper bound where inputs are in doubt) with the items as they stand. */
pl_i128 pl_plan_excess(struct pl_plan *plan);
pl_i128 pl_plan_excess_with(struct pl_plan *plan, struct pl_item *item, int64_t units);
/* Moves from a point that does not reach towards one that does, and stops where it begins to; the
 * excess there. */
pl_i128 pl_plan_unwind(struct pl_plan *plan, const struct pl_point *from,
                       const struct pl_point *to);
/* Ends and limits of the rungs of an item whose side, unit and mark are set. False where the last limit is
 * no price. */
bool pl_item_fill_rungs(const struct pl_quote *quote, const struct pl_instrument *instrument,
                        struct pl_item *item);
/* The rung that holds so many units. */
uint32_t pl_item_rung(const struct pl_item *item, int64_t units);
/* What the limits of so many units give up against the mark, all of them at that of their rung. */
pl_i128 pl_item_cost(const struct pl_item *item, int64_t units);

/* Raises items by steps that gain most for what they cost (cheapest.c). The excess, which is below 0 if
 * this finds no way; then nothing is raised. */
pl_i128 pl_plan_cheapest(struct pl_plan *plan, pl_i128 excess);

/* What every sale that reaches must cost, in VU (certificate.c); 0 where nothing is known. The items stand
 * at the sale that was found, which costs cost_vu: a bound that is close to it is good enough. */
pl_i128 pl_plan_cost_bound(const struct pl_plan *plan, pl_i128 cost_vu);

#endif
