/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ratios and requirements of one account, from its verdict (RISK 1.11): for alerts, look-ups and
 * people. Quotients stay exact until somebody asks for parts per million, which are rounded against
 * the account. Where the verdict is not certain every figure is a lower bound (G4).
 */
#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

/* Collateral, debt and weighted debt, each at the end that is asked for. */
struct balance {
    pl_i128 collateral_low, debt_high;
    pl_i128 weighted_low, weighted_high; /* D */
    bool has_no_high_debt;
};

/* Bounds: the values of an account in range sum to 2^80 at most and an own weight to 2^23 + 10^6
 * (V7); the cash to 2^82 at the weight 10^6 < 2^20: D < 2^104. */
static void add_leg(struct balance *sides, const struct pl_market *market,
                    const struct pl_portfolio *portfolio, const struct pl_leg *leg)
{
    const struct reach reach = pl_reach_of(market, leg);
    pl_i128 weight = pl_max(0, pl_weights_of(market, portfolio, leg->instrument, PL_TIER_MAINTENANCE,
                                             END_HIGH).own_short); /* no debt moves that of another */
    pl_i128 debt_least = reach.value.has_no_high ? 0 : pl_max(0, -reach.value.high);
    pl_i128 debt_most = pl_max(0, -reach.value.low);
    sides->collateral_low += pl_max(0, reach.value.low);
    sides->debt_high += debt_most;
    sides->weighted_low += debt_least * weight;
    sides->weighted_high += debt_most * weight;
    sides->has_no_high_debt |= reach.value.has_no_low;
}

static struct balance sides_of(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    pl_i128 least = pl_min(portfolio->cash_vu, portfolio->final_cash_vu);
    pl_i128 most = pl_max(portfolio->cash_vu, portfolio->final_cash_vu);
    struct balance sides = {.collateral_low = pl_max(0, least),
                          .debt_high = pl_max(0, -least),
                          .weighted_low = pl_max(0, -most) * PL_PPM,
                          .weighted_high = pl_max(0, -least) * PL_PPM};
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        add_leg(&sides, market, portfolio, &portfolio->legs[i]);
    return sides;
}

pl_i128 pl_weighted_debt(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    const struct balance sides = sides_of(market, portfolio);
    pl_assert(sides.weighted_low == sides.weighted_high);
    return sides.weighted_low;
}

/* 1 + A / D: least at the least A, and at the D that brings it nearest to 0 from above, or farthest
 * from it below. */
static struct pl_ratio health_of(const struct balance *sides, pl_i128 excess_low)
{
    pl_i128 debt = excess_low >= 0 ? sides->weighted_high : sides->weighted_low;
    if (excess_low <= -PL_EXCESS_UNBOUNDED || debt <= 0 ||
        (excess_low >= 0 && sides->has_no_high_debt))
        return (struct pl_ratio){0};
    return (struct pl_ratio){.numerator = debt + excess_low, .denominator = debt};
}

static void set_tier(const struct pl_verdict *verdict, enum pl_tier tier, struct pl_ratios *ratios)
{
    pl_i128 equity = verdict->equity_vu.low, excess = verdict->excess[tier].low;
    bool is_bounded = excess > -PL_EXCESS_UNBOUNDED;
    ratios->requirement[tier] = is_bounded && equity > -PL_EXCESS_UNBOUNDED
                                    ? equity * PL_PPM - excess
                                    : PL_EXCESS_UNBOUNDED;
    ratios->shortfall[tier] = is_bounded ? pl_max(0, -excess) : PL_EXCESS_UNBOUNDED;
    ratios->top_up_vu[tier] = is_bounded ? pl_div_ceil(ratios->shortfall[tier], PL_PPM)
                                         : PL_EXCESS_UNBOUNDED;
}

void pl_ratios_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                  const struct pl_verdict *verdict, struct pl_ratios *ratios)
{
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    *ratios = (struct pl_ratios){.debt_vu = PL_EXCESS_UNBOUNDED};
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        set_tier(verdict, tier, ratios);
    if (verdict->certainty == PL_OUT_OF_RANGE)
        return;
    const struct balance sides = sides_of(market, portfolio);
    ratios->collateral_vu = sides.collateral_low;
    ratios->health = health_of(&sides, verdict->excess[PL_TIER_MAINTENANCE].low);
    if (sides.has_no_high_debt)
        return;
    ratios->debt_vu = sides.debt_high;
    if (sides.debt_high == 0)
        return;
    ratios->collateral = (struct pl_ratio){sides.collateral_low, sides.debt_high};
    ratios->over = (struct pl_ratio){sides.collateral_low - sides.debt_high, sides.debt_high};
}

/* |N| <= D + |A| < 2^104 + 2^105 < 2^106, and 10^6 < 2^20. */
bool pl_ratio_ppm(const struct pl_ratio *ratio, pl_i128 *ppm)
{
    pl_assert(ratio->denominator >= 0);
    if (ratio->denominator == 0)
        return false;
    *ppm = pl_div_floor(ratio->numerator * PL_PPM, ratio->denominator);
    return true;
}
