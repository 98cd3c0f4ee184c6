/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a smart contract is called to execute a forced sale of what it holds: the amounts by the
 * rules of Aave v3, Compound v3 and Morpho Blue. Between the plan (step 5 of the event's path),
 * which knows a discount only, and the order. Pure; the bounds of RISK 1.1 keep every product below
 * 2^127.
 */
#include "lib/exposure/terms.h"

enum { MORPHO_GAIN_PPM_MAX = 1150000 };

struct holding { int64_t lots, lot_vu; };

static int64_t maintenance_haircut(const struct pl_instrument *instrument)
{
    return instrument->haircut.is_present ? instrument->haircut.base.at[PL_TIER_MAINTENANCE]
                                          : instrument->haircut_long.at[PL_TIER_MAINTENANCE];
}

int32_t pl_call_morpho_bonus_ppm(const struct pl_instrument *collateral)
{
    const int64_t haircut = maintenance_haircut(collateral);
    const int64_t taken = haircut > 0 ? 3 * haircut / 10 : 0;
    const int64_t gain = (int64_t)PL_PPM * PL_PPM / (PL_PPM - taken);
    return (int32_t)((gain < MORPHO_GAIN_PPM_MAX ? gain : MORPHO_GAIN_PPM_MAX) - PL_PPM);
}

/* What the account has in the contract, where it has a price. */
static bool is_within(const struct pl_market *market, const struct pl_leg *leg, uint32_t contract)
{
    return market->parameters->instruments[leg->instrument].contract == contract &&
           market->quotes[leg->instrument].status == PL_MARK_LIVE && !leg->is_unlisted_amount;
}

/* The largest debt by value; false where there is none. */
static bool find_debt(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      uint32_t contract, uint32_t *instrument, struct holding *debt)
{
    pl_i128 most = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const int64_t lot_vu = market->quotes[leg->instrument].lot_vu;
        const pl_i128 value = -(pl_i128)leg->lots * lot_vu;
        if (!is_within(market, leg, contract) || value <= most)
            continue;
        most = value;
        *instrument = leg->instrument;
        const int64_t lots = leg->lots == INT64_MIN ? INT64_MAX : -leg->lots;
        *debt = (struct holding){ lots, lot_vu };
    }
    return most > 0;
}

static int64_t held_lots(const struct pl_portfolio *portfolio, uint32_t instrument)
{
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        if (portfolio->legs[i].instrument == instrument)
            return portfolio->legs[i].lots;
    return 0;
}

/* Whether the contract's own health factor is below `limit_ppm`. */
static bool is_health_below(const struct pl_market *market, const struct pl_portfolio *portfolio,
                            uint32_t contract, int64_t limit_ppm)
{
    pl_i128 collateral = 0, debt = 0; /* VU ppm */
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const struct pl_instrument *instrument =
            &market->parameters->instruments[leg->instrument];
        if (!is_within(market, leg, contract))
            continue;
        const struct pl_mode_weight *weight =
            pl_mode_weight_of(market->parameters, portfolio->mode, leg->instrument);
        const pl_i128 value = (pl_i128)leg->lots * market->quotes[leg->instrument].lot_vu;
        if (value >= 0)
            collateral += value * (PL_PPM - (weight ? weight->haircut_long.at[PL_TIER_MAINTENANCE]
                                                    : maintenance_haircut(instrument)));
        else
            debt -= value * (PL_PPM + (weight ? weight->haircut_short
                                              : instrument->haircut_short).at[PL_TIER_MAINTENANCE]);
    }
    return collateral * PL_PPM < debt * limit_ppm;
}

static bool is_small(const struct holding *holding, int64_t small_usd)
{
    return (pl_i128)holding->lots * holding->lot_vu < (pl_i128)small_usd * PL_USD_VU;
}

/* Lots of `to` worth as much as `lots` of `from` times up / down, both at most 2^21. */
static pl_i128 exchange(const struct holding *from, int64_t lots, const struct holding *to,
                        int64_t up, int64_t down, bool rounds_up)
{
    const pl_i128 above = (pl_i128)lots * from->lot_vu * up, below = (pl_i128)to->lot_vu * down;
    return rounds_up ? pl_div_ceil(above, below) : pl_div_floor(above, below);
}

static int64_t smaller(pl_i128 a, int64_t b)
{
    return a < b ? (int64_t)a : b;
}

/* What repays the sale's value without the bonus, as much of it as may be repaid, and what that
 * pays for. Rounded up it pays for all of the sale, unless it was too much. */
static void repay(const struct pl_sale_leg *sale, const struct holding *held,
                  const struct holding *debt, bool rounds_up, struct pl_call *call)
{
    const int64_t gain = PL_PPM + call->bonus_ppm;
    const int64_t most =
        (int64_t)pl_div_floor((pl_i128)debt->lots * call->close_factor_ppm, PL_PPM);
    call->debt_lots = smaller(exchange(held, sale->lots, debt, PL_PPM, gain, rounds_up), most);
    call->collateral_lots =
        smaller(exchange(debt, call->debt_lots, held, gain, PL_PPM, false), sale->lots);
}

bool pl_call_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                const struct pl_sale_leg *sale, struct pl_call *call)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[sale->instrument];
    const struct pl_quote *quote = &market->quotes[sale->instrument];
    const struct holding held = { held_lots(portfolio, sale->instrument), quote->lot_vu };
    struct holding debt = { 0, 0 };
    *call = (struct pl_call){ 0 };
    if (sale->side != PL_SIDE_SELL || instrument->contract == 0 || held.lots <= 0 ||
        quote->status != PL_MARK_LIVE ||
        !find_debt(market, portfolio, instrument->contract, &call->debt, &debt))
        return false;
    call->contract = instrument->contract - 1;
    const struct pl_contract *contract = &market->parameters->contracts[call->contract];
    const struct pl_mode_weight *weight =
        pl_mode_weight_of(market->parameters, portfolio->mode, sale->instrument);
    call->bonus_ppm = instrument->bonus_ppm;
    call->close_factor_ppm = PL_PPM;
    switch (contract->rule) {
    case PL_CONTRACT_AAVE_V3:
        if (weight)
            call->bonus_ppm = weight->bonus_ppm;
        if (!is_small(&debt, contract->small_usd) && !is_small(&held, contract->small_usd) &&
            !is_health_below(market, portfolio, instrument->contract, contract->full_below_ppm))
            call->close_factor_ppm = contract->close_factor_ppm;
        repay(sale, &held, &debt, false, call);
        break;
    case PL_CONTRACT_COMPOUND_V3:
        call->debt_lots = debt.lots;
        call->collateral_lots = held.lots;
        break;
    case PL_CONTRACT_MORPHO:
        call->bonus_ppm = pl_call_morpho_bonus_ppm(instrument);
        repay(sale, &held, &debt, true, call);
        break;
    }
    return call->collateral_lots > 0; /* so is what repays it */
}
