/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sale of least cost (RISK 4, S2 and S3): again and again the step that gains most for what it
 * gives up against the mark, until the target is reached. A step sells some of one leg, or some of a long
 * and buys back as much of a short: legs that hedge each other help only together. Where legs are
 * independent this is the merit order of a linear program, whose optimum it is but for the last step;
 * else it is a good sale whose distance from the best is told (certificate.c). What it finds is trimmed
 * by plan.c like any other sale, so nothing here has to be exact, only the same every time (G2).
 */
#include "lib/base/assert.h"
#include "lib/exposure/plan.h"

/* Deficits are mended by selling some 5 to 20 times as much, in so many steps of a quarter of it; if that
 * is not enough the steps grow. */
enum { STEPS_MAX = 512, STEPS_OF_ONE_SIZE = 64, SIZE_DIVISOR = 4 };

/* Some more of one item or of two. */
struct step {
    struct pl_item *items[2];
    unsigned item_count;
    int64_t units[2]; /* what is added */
    pl_i128 merit;   /* gain per cost */
};

/* As many units as are worth `value`, at least one, at most what is left. */
static int64_t units_worth(const struct pl_item *item, pl_i128 value)
{
    int64_t left = item->units_max - item->units;
    pl_i128 units = pl_max(1, value / pl_max(1, item->mark_vu));
    return units < left ? (int64_t)units : left;
}

static void add(struct pl_plan *plan, const struct step *step, int sign)
{
    for (unsigned i = 0; i < step->item_count; i++)
        pl_plan_set(plan, step->items[i], step->items[i]->units + sign * step->units[i]);
}

static pl_i128 cost_of(const struct step *step)
{
    pl_i128 cost = 0;
    for (unsigned i = 0; i < step->item_count; i++)
        cost += pl_item_cost(step->items[i], step->items[i]->units);
    return cost;
}

/* False when it is no step or does not help. A gain is below 2^105 and a cost below 2^84: their whole
 * quotient has digits enough to compare by. */
static bool try(struct pl_plan *plan, struct step *step, pl_i128 excess, pl_i128 value)
{
    for (unsigned i = 0; i < step->item_count; i++) {
        step->units[i] = units_worth(step->items[i], value);
        if (step->units[i] == 0)
            return false;
    }
    pl_i128 cost = -cost_of(step);
    add(plan, step, 1);
    pl_i128 gain = pl_plan_excess(plan) - excess;
    cost += cost_of(step);
    add(plan, step, -1);
    step->merit = gain / pl_max(1, cost);
    return gain > 0;
}

/* Of equal merits the one that was considered first stays. */
static void consider(struct pl_plan *plan, struct step step, pl_i128 excess, pl_i128 value,
                     struct step *best)
{
    if (try(plan, &step, excess, value) && (best->item_count == 0 || step.merit > best->merit))
        *best = step;
}

/* Single legs in the order of liquidity, then pairs. Without items: nothing helps. */
static struct step find_best(struct pl_plan *plan, pl_i128 excess, pl_i128 value)
{
    struct step best = {.item_count = 0};
    struct pl_item *items = plan->items;
    for (uint32_t i = 0; i < plan->item_count; i++)
        consider(plan, (struct step){.items = {&items[i]}, .item_count = 1}, excess, value, &best);
    for (uint32_t i = 0; i < plan->item_count; i++)
        for (uint32_t k = 0; k < plan->item_count; k++)
            if (items[i].side == PL_SIDE_SELL && items[k].side == PL_SIDE_BUY)
                consider(plan, (struct step){.items = {&items[i], &items[k]}, .item_count = 2},
                         excess, value, &best);
    return best;
}

pl_i128 pl_plan_cheapest(struct pl_plan *plan, pl_i128 excess)
{
    const struct pl_point start = pl_plan_point(plan);
    const pl_i128 excess_at_start = excess;
    pl_i128 value = pl_max(1, -excess / PL_PPM / SIZE_DIVISOR);
    for (unsigned i = 1; i <= STEPS_MAX && excess < 0; i++) {
        const struct pl_point from = pl_plan_point(plan);
        const struct step step = find_best(plan, excess, value);
        if (step.item_count == 0)
            break;
        add(plan, &step, 1);
        excess = pl_plan_excess(plan);
        if (excess >= 0) {
            const struct pl_point to = pl_plan_point(plan);
            excess = pl_plan_unwind(plan, &from, &to);
        }
        if (i % STEPS_OF_ONE_SIZE == 0)
            value *= 2;
    }
    if (excess >= 0)
        return excess;
    for (uint32_t i = 0; i < plan->item_count; i++)
        pl_plan_set(plan, &plan->items[i], start.units[i]);
    return excess_at_start;
}
