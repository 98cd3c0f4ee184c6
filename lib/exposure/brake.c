/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brake on cascades: how much of an instrument may be sold by force within a window. Stop 5 of the
 * event's path, between the plans of several accounts. Windows do not slide: what was used of one is then a
 * handful of numbers that anyone can add up from the orders.
 */
#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

int64_t pl_brake_window(const struct pl_policy *policy, int64_t now_ms)
{
    pl_assert(policy->brake_window_ms > 0 && now_ms >= 0);
    return now_ms - now_ms % policy->brake_window_ms;
}

void pl_budget_begin(const struct pl_market *market, const struct pl_budget *last,
                     struct pl_budget *budget)
{
    int64_t start_ms = pl_brake_window(&market->parameters->policy, market->now_ms);
    *budget = last->window_start_ms >= start_ms ? *last : (struct pl_budget){0};
    budget->window_start_ms = start_ms;
}

/* What the venue takes at least in one order, in lots: of an option, whose two sides have two values, that
 * of the side that needs more. */
static pl_i128 least_lots(const struct pl_instrument *instrument, const struct pl_quote *quote)
{
    pl_i128 step = instrument->lot_step > 0 ? instrument->lot_step : 1;
    pl_i128 least_vu = instrument->min_notional_usd * (pl_i128)PL_USD_VU;
    int64_t lot_vu = quote->lot_vu > 0 ? quote->lot_vu : quote->short_lot_vu;
    return pl_max(1, pl_div_ceil(least_vu, lot_vu * step)) * step;
}

static int64_t budget_lots(const struct pl_market *market, int32_t partition_count,
                           uint32_t instrument_index)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[instrument_index];
    const struct pl_quote *quote = &market->quotes[instrument_index];
    if (instrument->depth_count == 0)
        return INT64_MAX;
    if (quote->status != PL_MARK_LIVE || quote->short_lot_vu == 0)
        return 0;
    pl_i128 depth_usd = instrument->depth[instrument->depth_count - 1].usd_max;
    pl_i128 budget_vu = depth_usd * market->parameters->policy.brake_depth_ppm *
                        (PL_USD_VU / PL_PPM); /* below 2^63 * 2^30 * 2^20 */
    pl_i128 lots = pl_div_floor(budget_vu, (pl_i128)partition_count * quote->short_lot_vu);
    return (int64_t)pl_min(INT64_MAX, pl_max(lots, least_lots(instrument, quote)));
}

void pl_budget_left(const struct pl_market *market, int32_t partition_count,
                    const struct pl_budget *budget, int64_t left_lots[PL_INSTRUMENTS_MAX])
{
    pl_assert(partition_count > 0);
    for (uint32_t i = 0; i < market->listed_count; i++) {
        uint32_t at = market->listed[i];
        int64_t lots = budget_lots(market, partition_count, at);
        bool is_free = market->parameters->instruments[at].depth_count == 0;
        left_lots[at] = is_free ? lots : lots > budget->used_lots[at] ? lots - budget->used_lots[at] : 0;
    }
}

bool pl_budget_allows(const int64_t left_lots[PL_INSTRUMENTS_MAX], const struct pl_sale *sale)
{
    for (uint32_t i = 0; i < sale->leg_count; i++)
        if (sale->legs[i].lots > left_lots[sale->legs[i].instrument])
            return false;
    return true;
}

bool pl_budget_take(const struct pl_sale *sale, struct pl_budget *budget,
                    int64_t left_lots[PL_INSTRUMENTS_MAX])
{
    bool has_budget = false;
    pl_assert(pl_budget_allows(left_lots, sale));
    for (uint32_t i = 0; i < sale->leg_count; i++) {
        const struct pl_sale_leg *leg = &sale->legs[i];
        if (left_lots[leg->instrument] == INT64_MAX)
            continue;
        left_lots[leg->instrument] -= leg->lots;
        budget->used_lots[leg->instrument] += leg->lots;
        has_budget = true;
    }
    return has_budget;
}
