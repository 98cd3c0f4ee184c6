/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why this plan: the legs that were taken with their proof that no lot less would do (G9), and what
 * became of every other leg. Alternatives are asked of the planner itself: a leg alone is a plan
 * under a liquidity order that names nothing else.
 *
 *   plan       sequence, clock_ms, episode, revision, reaches_target, bankrupt,
 *              end_excess_before_usd, end_excess_after_usd, maintenance_excess_before_usd,
 *              evaluations, cost_usd, cost_bound_usd, gap_ppm: null unless it reaches the target;
 *              objective (liquidity_order or least_cost)
 *   legs[]     order_id, instrument, side, quantity, limit_price, end_excess_one_lot_less_usd, extended
 *              (where the venue takes no less), and protocol_call {chain, contract, rule, takes, debt,
 *              repays, close_factor_ppm, bonus_ppm} where a smart contract holds it
 *   choices[]  in the liquidity order, then the legs outside of it: instrument, rank, ordered,
 *              skipped (why it could not be sold, or null), alone {reaches_target, quantity,
 *              end_excess_after_usd} or null, and note
 *   pro_rata   the same part of every leg that may be sold: share_ppm that is enough (null: not
 *              even all of it), all_sold_excess_usd
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/explain.h"

/* What the limits of a sale give up against the marks; nothing is said of one that does not reach. */
void explain_sale_cost(const struct pl_sale *sale, json_t *facts)
{
    bool reaches = sale->reaches;
    json_object_set_new(facts, "cost_usd",
                        reaches ? explain_decimal(sale->cost_vu, 12) : json_null());
    json_object_set_new(facts, "cost_bound_usd",
                        reaches ? explain_decimal(sale->cost_bound_vu, 12) : json_null());
    json_object_set_new(facts, "gap_ppm", reaches ? json_integer(sale->gap_ppm) : json_null());
}

static json_t *call_facts(const struct pl_names *names, const struct pl_parameters *parameters,
                          uint32_t collateral, const struct pl_call *call)
{
    static const char *const rules[] = { [PL_CONTRACT_AAVE_V3] = "aave_v3",
                                         [PL_CONTRACT_COMPOUND_V3] = "compound_v3",
                                         [PL_CONTRACT_MORPHO] = "morpho" };
    const struct pl_contract *contract = &parameters->contracts[call->contract];
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:I}", "chain", contract->chain.text, "contract",
        contract->id.text, "rule", rules[contract->rule], "takes",
        explain_decimal(call->collateral_lots, parameters->instruments[collateral].lot_decimals),
        "debt", names->ids[call->debt].text, "repays",
        explain_decimal(call->debt_lots, parameters->instruments[call->debt].lot_decimals),
        "close_factor_ppm", (json_int_t)call->close_factor_ppm, "bonus_ppm",
        (json_int_t)call->bonus_ppm);
}

json_t *explain_sale_leg(const struct pl_names *names, const struct pl_market *market,
                         const struct pl_portfolio *held, const struct pl_sale_leg *leg)
{
    const struct pl_parameters *parameters = market->parameters;
    const struct pl_instrument *instrument = &parameters->instruments[leg->instrument];
    struct pl_call call;
    json_t *facts = json_pack(
        "{s:s, s:s, s:o, s:o, s:o}", "instrument", names->ids[leg->instrument].text, "side",
        leg->side == PL_SIDE_SELL ? "sell" : "buy", "quantity",
        explain_decimal(leg->lots, instrument->lot_decimals), "limit_price",
        explain_decimal(leg->limit_ticks, instrument->tick_decimals),
        "end_excess_one_lot_less_usd", explain_bound(leg->one_lot_less, 18));
    if (leg->is_extended)
        json_object_set_new(facts, "extended", json_true());
    if (pl_call_of(market, held, leg, &call))
        json_object_set_new(facts, "protocol_call",
                            call_facts(names, parameters, leg->instrument, &call));
    return facts;
}

/* ---- what may be sold ----------------------------------------------------------------------- */

/* The part of a leg that is counted and final, as pl_plan_sale says. */
static int64_t sellable_lots(const struct pl_leg *leg)
{
    if (leg->lots > 0 && leg->final_lots > 0) {
        int64_t held = leg->lots < leg->final_lots ? leg->lots : leg->final_lots;
        return held > leg->credited_lots ? held - leg->credited_lots : 0;
    }
    if (leg->lots < 0 && leg->final_lots < 0) {
        int64_t nearest = leg->lots > leg->final_lots ? leg->lots : leg->final_lots;
        return nearest == INT64_MIN ? INT64_MAX : -nearest;
    }
    return 0;
}

/* The limit against us; 0 where it is no price. */
static int64_t limit_ticks(const struct pl_market *market, const struct pl_leg *leg)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    pl_i128 ticks = market->quotes[leg->instrument].ticks;
    ticks = leg->lots > 0 ? pl_div_floor(ticks * (PL_PPM - instrument->sale_discount_ppm), PL_PPM)
                          : pl_div_ceil(ticks * (PL_PPM + instrument->sale_discount_ppm), PL_PPM);
    return ticks > INT64_MAX ? 0 : (int64_t)ticks;
}

/* Why a leg cannot be sold; NULL when it can. */
static const char *skipped(const struct explain_view *view, uint32_t i)
{
    static const char *const marks[] = { "it has no mark", "", "its mark is stale",
                                         "its mark is halted" };
    const struct pl_market *market = view->scene->venue->market;
    const struct pl_leg *leg = &view->legs[i];
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    enum pl_mark_status status = market->quotes[leg->instrument].status;
    if (!instrument->is_listed || leg->is_unlisted_amount)
        return "it is not listed";
    if (leg->lots == 0)
        return pl_book_legs(view->scene->ledger->book, view->row)[i].lots != 0
                   ? "all of it is pending already" : "nothing of it is held";
    if (instrument->sale_rank == 0)
        return "it is not in the liquidity order";
    if (status != PL_MARK_LIVE)
        return marks[status];
    if (market->quotes[leg->instrument].is_stuck)
        return "its chain or bridge is halted";
    if (sellable_lots(leg) == 0)
        return "nothing of it is final";
    return limit_ticks(market, leg) == 0 ? "its limit would be no price" : NULL;
}

/* ---- alternatives --------------------------------------------------------------------------- */

/* A market like the scene's whose liquidity order can be changed. */
struct other {
    struct pl_parameters parameters;
    struct pl_market market;
};

static struct other *copy_market(const struct explain_view *view)
{
    static struct other other; /* 8 MB */
    other.parameters = *view->scene->venue->parameters;
    other.market = *view->scene->venue->market;
    other.market.parameters = &other.parameters;
    return &other;
}

/* The plan if the liquidity order named this leg only. */
static json_t *alone_facts(const struct explain_view *view, struct other *other,
                           const struct pl_leg *leg)
{
    static struct pl_sale sale;
    for (uint32_t i = 0; i < view->portfolio.leg_count; i++)
        other->parameters.instruments[view->legs[i].instrument].sale_rank = 0;
    other->parameters.instruments[leg->instrument].sale_rank = 1;
    pl_plan_sale(&other->market, view->scene->venue->names, &view->portfolio, &sale);
    const struct pl_instrument *instrument =
        &view->scene->venue->parameters->instruments[leg->instrument];
    int64_t lots = sale.leg_count > 0 ? sale.legs[0].lots : 0;
    return json_pack("{s:b, s:o, s:o}", "reaches_target", sale.reaches, "quantity",
                     explain_decimal(lots, instrument->lot_decimals), "end_excess_after_usd",
                     explain_bound(sale.end_after, 18));
}

static const struct pl_sale_leg *ordered_leg(const struct pl_sale *sale, uint32_t instrument)
{
    for (uint32_t i = 0; i < sale->leg_count; i++)
        if (sale->legs[i].instrument == instrument)
            return &sale->legs[i];
    return NULL;
}

static const char *note_of(const struct pl_sale *sale, enum pl_sale_objective objective,
                           bool is_ordered, const json_t *alone)
{
    bool reaches_alone = json_is_true(json_object_get(alone, "reaches_target"));
    if (objective == PL_SALE_LEAST_COST && sale->reaches)
        return is_ordered ? "of the cheapest sale that was found"
               : reaches_alone ? "would reach the target too, at more cost"
                               : "not needed: the others reach the target at less cost";
    if (is_ordered)
        return sale->leg_count == 1 && reaches_alone
                   ? "first in the liquidity order that may be sold, and enough"
                   : "taken in its turn";
    if (!sale->reaches)
        return "selling it does not help";
    return reaches_alone ? "would reach the target too, but stands later in the liquidity order"
                         : "not needed: what stands before it reaches the target";
}

static json_t *choice_facts(const struct explain_view *view, struct other *other, uint32_t i)
{
    const struct pl_leg *leg = &view->legs[i];
    const struct venue *venue = view->scene->venue;
    const struct pl_sale *sale = &view->decision.sale;
    const char *why_not = skipped(view, i);
    bool is_ordered = ordered_leg(sale, leg->instrument) != NULL;
    json_t *alone = why_not ? json_null() : alone_facts(view, other, leg);
    return json_pack("{s:s, s:I, s:b, s:s?, s:s, s:o}", "instrument",
                     venue->names->ids[leg->instrument].text, "rank",
                     (json_int_t)venue->parameters->instruments[leg->instrument].sale_rank,
                     "ordered", is_ordered, "skipped", why_not, "note",
                     why_not ? "skipped"
                             : note_of(sale, venue->parameters->policy.sale_objective, is_ordered,
                                       alone),
                     "alone", alone);
}

static uint32_t rank_of(const struct explain_view *view, uint32_t i)
{
    uint32_t rank =
        view->scene->venue->parameters->instruments[view->legs[i].instrument].sale_rank;
    return rank == 0 ? UINT32_MAX : rank;
}

/* Legs by rank; equal ones, outside of the liquidity order, as they come: by id. */
static uint32_t order_legs(const struct explain_view *view, uint32_t order[PL_LEGS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->portfolio.leg_count; i++) {
        uint32_t place = count++;
        for (; place > 0 && rank_of(view, i) < rank_of(view, order[place - 1]); place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
    return count;
}

/* ---- pro rata ------------------------------------------------------------------------------- */

/* The end excess after `share` ppm of each of these legs is sold. */
static pl_i128 excess_of_share(const struct explain_view *view, const struct pl_sale_leg *whole,
                               uint32_t count, int64_t share)
{
    struct pl_sale_leg legs[PL_SALE_LEGS_MAX];
    pl_i128 excess = 0;
    for (uint32_t i = 0; i < count; i++) {
        legs[i] = whole[i];
        legs[i].lots = (int64_t)pl_div_floor((pl_i128)whole[i].lots * share, PL_PPM);
    }
    bool is_in_range = pl_sale_excess(view->scene->venue->market, &view->portfolio, PL_TIER_END,
                                      legs, count, &excess);
    pl_assert(is_in_range);
    return excess;
}

/* The fallback of the planner (RISK S4): every leg that may be sold, in proportion. */
static json_t *pro_rata_facts(const struct explain_view *view, const uint32_t *order,
                              uint32_t leg_count)
{
    struct pl_sale_leg whole[PL_SALE_LEGS_MAX];
    const struct pl_market *market = view->scene->venue->market;
    uint32_t count = 0;
    for (uint32_t k = 0; k < leg_count && count < PL_SALE_LEGS_MAX; k++) {
        const struct pl_leg *leg = &view->legs[order[k]];
        if (!skipped(view, order[k]))
            whole[count++] = (struct pl_sale_leg){
                .instrument = leg->instrument, .lots = sellable_lots(leg),
                .side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY,
                .limit_ticks = limit_ticks(market, leg) };
    }
    pl_i128 all_sold = excess_of_share(view, whole, count, PL_PPM);
    int64_t low = 0, high = PL_PPM; /* where the whole reaches: it is concave but for whole lots */
    while (all_sold >= 0 && low < high) {
        int64_t middle = low + (high - low) / 2;
        if (excess_of_share(view, whole, count, middle) >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return json_pack("{s:o, s:o}", "share_ppm", all_sold >= 0 ? json_integer(high) : json_null(),
                     "all_sold_excess_usd", explain_bound(all_sold, 18));
}

/* ---- plan ----------------------------------------------------------------------------------- */

static json_t *sold_facts(const struct explain_view *view)
{
    const struct pl_sale *sale = &view->decision.sale;
    const struct venue *venue = view->scene->venue;
    const struct pl_book *book = view->scene->ledger->book;
    const struct pl_pending *ordered =
        &view->state.pending[view->state.pending_count - sale->leg_count];
    const struct pl_portfolio held = pl_book_portfolio(book, view->row);
    json_t *legs = json_array();
    for (uint32_t i = 0; i < sale->leg_count; i++) {
        char order_id[PL_UUID_TEXT_BYTES];
        json_t *leg = explain_sale_leg(venue->names, venue->market, &held, &sale->legs[i]);
        pl_uuid_print(ordered[i].order_id, order_id);
        json_object_set_new(leg, "order_id", json_string(order_id));
        json_array_append_new(legs, leg);
    }
    json_t *facts = json_pack(
        "{s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o, s:o, s:I, s:s, s:o}", "sequence",
        (json_int_t)view->scene->entry->sequence, "clock_ms",
        (json_int_t)view->scene->entry->clock_ms, "episode", (json_int_t)view->state.episode,
        "revision", (json_int_t)view->state.revision, "reaches_target", sale->reaches, "bankrupt",
        sale->is_bankrupt, "maintenance_excess_before_usd",
        explain_bound(sale->maintenance_before, 18), "end_excess_before_usd",
        explain_bound(sale->end_before, 18), "end_excess_after_usd",
        explain_bound(sale->end_after, 18), "evaluations", (json_int_t)sale->evaluation_count,
        "objective", venue->parameters->policy.sale_objective == PL_SALE_LEAST_COST
                         ? "least_cost" : "liquidity_order", "legs", legs);
    explain_sale_cost(sale, facts);
    return facts;
}

json_t *explain_plan(const struct explain_view *view)
{
    uint32_t order[PL_LEGS_MAX];
    if (!view->decision.has_sale)
        return json_null();
    json_t *plan = sold_facts(view);
    json_t *choices = json_array();
    struct other *other = copy_market(view);
    uint32_t count = order_legs(view, order);
    for (uint32_t k = 0; k < count; k++)
        json_array_append_new(choices, choice_facts(view, other, order[k]));
    json_object_set_new(plan, "choices", choices);
    json_object_set_new(plan, "pro_rata", pro_rata_facts(view, order, count));
    return plan;
}
