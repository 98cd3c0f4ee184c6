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

struct pl_item {
    uint32_t leg; /* index in the portfolio */
    uint32_t instrument, rank;
    enum pl_side side;
    int64_t lots_max, lots; /* magnitudes */
    int64_t limit_ticks;
    pl_i128 mark_vu, limit_vu; /* of one lot */
};

struct pl_plan {
    const struct pl_market *market;
    const struct pl_portfolio *before;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio; /* after the items' present lots are executed */
    bool is_certain;
    uint32_t item_count;
    bool has_more;                          /* sellable legs that do not fit */
    struct pl_item items[PL_SALE_LEGS_MAX]; /* by rank */
    uint32_t evaluation_count;
};

struct pl_point {
    int64_t lots[PL_SALE_LEGS_MAX];
};

/* Executes more of an item at its limit, or takes some back. */
void pl_plan_set_lots(struct pl_plan *plan, struct pl_item *item, int64_t lots);
struct pl_point pl_plan_point(const struct pl_plan *plan);
/* The end tier's excess (upper bound where inputs are in doubt) with the items as they stand. */
pl_i128 pl_plan_excess(struct pl_plan *plan);
pl_i128 pl_plan_excess_with(struct pl_plan *plan, struct pl_item *item, int64_t lots);
/* Moves from a point that does not reach towards one that does, and stops where it begins to; the
 * excess there. */
pl_i128 pl_plan_unwind(struct pl_plan *plan, const struct pl_point *from,
                       const struct pl_point *to);
/* What the limit gives up against the mark. */
pl_i128 pl_item_cost(const struct pl_item *item, int64_t lots);

/* Raises items by steps that gain most for what they cost (cheapest.c). The excess, which is below 0 if
 * this finds no way; then nothing is raised. */
pl_i128 pl_plan_cheapest(struct pl_plan *plan, pl_i128 excess);

/* What every sale that reaches must cost, in VU (certificate.c); 0 where nothing is known. The items stand
 * at the sale that was found, which costs cost_vu: a bound that is close to it is good enough. */
pl_i128 pl_plan_cost_bound(const struct pl_plan *plan, pl_i128 cost_vu);

#endif
