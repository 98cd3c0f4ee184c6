/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one account could do to reach a goal, and what it could take out and still be there, from a
 * scene. Single legs are asked of lib/exposure/cure.c and put in order of cost, several together of
 * lib/exposure/plan.c.
 *
 *   goal           "alert", "initial", "end", "maintenance", or a health factor
 *   reached        null where the verdict is not certain: then nothing else is said either
 *   top_up[], repay[], reduce[], swap[]
 *                  each by itself reaches the goal, cheapest first; of equal cost by instrument:
 *                  instrument, quantity, price, cost_usd; swap also sold, sold_quantity, sold_price
 *   together       trades of several legs at least cost, as found by the program of forced sales; null where
 *                  trades alone do not reach the goal: legs[] with side, instrument, quantity, price;
 *                  cost_usd, and cost_bound_usd: no trades that reach it cost less; gap_ppm
 *   withdrawals[]  instrument or cash, quantity, value_usd; each by itself, none where not reached
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/explain.h"

enum { CURES_MAX = PL_LEGS_MAX * PL_LEGS_MAX + 1 };

struct found {
    uint32_t count;
    struct pl_cure cures[CURES_MAX];
};

/* qsort has no context. */
static const struct pl_names *s_names;

static int by_id(uint32_t a, uint32_t b)
{
    if (a == UINT32_MAX || b == UINT32_MAX)
        return a == b ? 0 : a == UINT32_MAX ? -1 : 1;
    return pl_id_compare(&s_names->ids[a], &s_names->ids[b]);
}

static int by_cost(const void *left, const void *right)
{
    const struct pl_cure *a = left, *b = right;
    if (a->cost_vu != b->cost_vu)
        return a->cost_vu < b->cost_vu ? -1 : 1;
    int order = by_id(a->instrument, b->instrument);
    return order != 0 || a->kind != PL_CURE_SWAP ? order : by_id(a->sold, b->sold);
}

static void find_by_leg(const struct explain_view *view, enum pl_cure_kind kind,
                        struct found *found)
{
    const struct explain_scene *scene = view->scene;
    const struct pl_market *market = scene->venue->market;
    for (uint32_t i = 0; i < view->portfolio.leg_count; i++)
        found->count += pl_cure_by(market, &view->portfolio, scene->goal, kind, i,
                                   &found->cures[found->count]);
}

static void find_swaps(const struct explain_view *view, struct found *found)
{
    const struct explain_scene *scene = view->scene;
    for (uint32_t i = 0; i < view->portfolio.leg_count; i++)
        for (uint32_t j = 0; j < view->portfolio.leg_count; j++)
            found->count += pl_cure_by_swap(scene->venue->market, &view->portfolio, scene->goal, i,
                                            j, &found->cures[found->count]);
}

static json_t *cures_facts(const struct explain_view *view, enum pl_cure_kind kind)
{
    static struct found found;
    const struct explain_scene *scene = view->scene;
    const struct venue *venue = scene->venue;
    found.count = 0;
    if (kind == PL_CURE_ADD)
        found.count = pl_cure_by(venue->market, &view->portfolio, scene->goal, kind, UINT32_MAX,
                                 &found.cures[0]);
    if (kind == PL_CURE_SWAP)
        find_swaps(view, &found);
    else
        find_by_leg(view, kind, &found);
    s_names = venue->names;
    qsort(found.cures, found.count, sizeof(found.cures[0]), by_cost);
    json_t *array = json_array();
    for (uint32_t i = 0; i < found.count; i++)
        json_array_append_new(array,
                              explain_cure(venue->names, venue->parameters, &found.cures[i]));
    return array;
}

static json_t *together_facts(const struct explain_view *view)
{
    static struct pl_sale trades;
    const struct venue *venue = view->scene->venue;
    if (!pl_plan_trades(venue->market, &view->portfolio, view->scene->goal, &trades))
        return json_null();
    json_t *legs = json_array();
    for (uint32_t i = 0; i < trades.leg_count; i++) {
        const struct pl_sale_leg *leg = &trades.legs[i];
        const struct pl_instrument *instrument = &venue->parameters->instruments[leg->instrument];
        json_array_append_new(
            legs, json_pack("{s:s, s:s, s:o, s:o}", "side",
                            leg->side == PL_SIDE_SELL ? "sell" : "buy", "instrument",
                            venue->names->ids[leg->instrument].text, "quantity",
                            explain_decimal(leg->lots, instrument->lot_decimals), "price",
                            explain_decimal(leg->limit_ticks, instrument->tick_decimals)));
    }
    return json_pack("{s:o, s:o, s:o, s:i}", "legs", legs, "cost_usd",
                     explain_decimal(trades.cost_vu, 12), "cost_bound_usd",
                     explain_decimal(trades.cost_bound_vu, 12), "gap_ppm", trades.gap_ppm);
}

static json_t *withdrawal_facts(const struct explain_view *view)
{
    const struct venue *venue = view->scene->venue;
    json_t *array = json_array();
    pl_i128 cash = pl_withdrawable(venue->market, &view->portfolio, view->scene->goal, UINT32_MAX);
    if (cash > 0)
        json_array_append_new(array, json_pack("{s:s, s:o, s:o}", "instrument", "cash", "quantity",
                                               explain_decimal(cash, 12), "value_usd",
                                               explain_decimal(cash, 12)));
    /* Legs stand in the order of their ids, as in the record. */
    for (uint32_t i = 0; i < view->portfolio.leg_count; i++) {
        uint32_t index = view->legs[i].instrument;
        pl_i128 lots = pl_withdrawable(venue->market, &view->portfolio, view->scene->goal, i);
        if (lots > 0)
            json_array_append_new(
                array,
                json_pack("{s:s, s:o, s:o}", "instrument", venue->names->ids[index].text,
                          "quantity",
                          explain_decimal(lots, venue->parameters->instruments[index].lot_decimals),
                          "value_usd",
                          explain_decimal(lots * venue->market->quotes[index].lot_vu, 12)));
    }
    return array;
}

static bool is_reached(const struct explain_view *view)
{
    const struct pl_goal *goal = view->scene->goal;
    const struct pl_verdict *verdict = &view->decision.verdict;
    struct pl_ratios ratios;
    pl_i128 ppm;
    if (goal->health_ppm == 0)
        return verdict->excess[goal->tier].low >= 0;
    pl_ratios_of(view->scene->venue->market, &view->portfolio, verdict, &ratios);
    /* Without debt there is no ratio, and no line but the excess. */
    return pl_ratio_ppm(&ratios.health, &ppm) ? ppm >= goal->health_ppm
                                              : verdict->excess[PL_TIER_MAINTENANCE].low >= 0;
}

json_t *optimise_facts(const struct explain_view *view)
{
    const struct explain_scene *scene = view->scene;
    bool is_certain = view->decision.verdict.certainty == PL_CERTAIN &&
                      pl_portfolio_is_certain(scene->venue->market, &view->portfolio);
    json_t *goal = scene->goal->health_ppm > 0 ? explain_decimal(scene->goal->health_ppm, 6)
                                               : json_string(explain_tier_name(scene->goal->tier));
    if (!is_certain)
        return json_pack("{s:o, s:n, s:[], s:[], s:[], s:[], s:n, s:[]}", "goal", goal, "reached",
                         "top_up", "repay", "reduce", "swap", "together", "withdrawals");
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "goal", goal, "reached",
                     is_reached(view), "top_up", cures_facts(view, PL_CURE_ADD), "repay",
                     cures_facts(view, PL_CURE_REPAY), "reduce", cures_facts(view, PL_CURE_REDUCE),
                     "swap", cures_facts(view, PL_CURE_SWAP), "together",
                     together_facts(view), "withdrawals", withdrawal_facts(view));
}
