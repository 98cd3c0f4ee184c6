/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes: haircuts that hold together, as lending protocols have them (RISK 1.5). Stop 4 of the event's path,
 * beside the evaluation of everybody else: an account in no mode, under parameters without modes of debts,
 * pays for none of this. Given the mode the excess is what it would be with other haircuts, so all that is
 * proved of it holds.
 */
#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

void pl_portfolio_pin(struct pl_portfolio *portfolio)
{
    if (portfolio->held)
        return;
    portfolio->held = portfolio->legs;
    portfolio->held_count = portfolio->leg_count;
    portfolio->held_owes_cash = portfolio->cash_vu < 0 && portfolio->final_cash_vu < 0;
    portfolio->held_may_owe_cash = portfolio->cash_vu < 0 || portfolio->final_cash_vu < 0;
}

bool pl_mode_is_known(const struct pl_parameters *parameters, uint32_t mode)
{
    pl_assert(mode < PL_MODES_MAX);
    return mode == 0 || parameters->modes[mode].is_present;
}

/* NULL: the mode does not name it. */
static const struct pl_mode_weight *find(const struct pl_parameters *parameters,
                                         const struct pl_mode *mode, uint32_t instrument)
{
    for (uint32_t i = 0; i < mode->count; i++)
        if (parameters->mode_weights[mode->first + i].instrument == instrument)
            return &parameters->mode_weights[mode->first + i];
    return NULL;
}

const struct pl_mode_weight *pl_mode_weight_of(const struct pl_parameters *parameters, uint32_t mode,
                                               uint32_t instrument)
{
    return mode == 0 ? NULL : find(parameters, &parameters->modes[mode], instrument);
}

/* Of holdings that are final only in part, more than one set of debts may come true. */
struct lent {
    bool is_certain, may_be;      /* is there a debt for certain, or perhaps */
    bool is_barred, may_be_barred; /* of which one does not name the collateral */
    int32_t certain_most;         /* the largest haircut that one asks for, of those for certain, */
    int32_t least, most;          /* the least and the largest of those that may be there */
};

static void lend(struct lent *lent, bool is_certain, const struct pl_mode_weight *weight, enum pl_tier tier)
{
    lent->is_barred |= is_certain && !weight;
    lent->may_be_barred |= !weight;
    if (!weight)
        return;
    const int32_t haircut = weight->haircut_long.at[tier];
    if (is_certain && (!lent->is_certain || haircut > lent->certain_most))
        lent->certain_most = haircut;
    if (!lent->may_be || haircut < lent->least)
        lent->least = haircut;
    if (!lent->may_be || haircut > lent->most)
        lent->most = haircut;
    lent->is_certain |= is_certain;
    lent->may_be = true;
}

static bool is_owed(const struct pl_parameters *parameters, const struct pl_leg *leg)
{
    const struct pl_instrument *instrument = &parameters->instruments[leg->instrument];
    const bool is_loan = !instrument->is_listed || instrument->kind == PL_INSTRUMENT_SPOT;
    return is_loan && (leg->lots < 0 || leg->final_lots < 0);
}

pl_i128 pl_within_cash(const struct pl_market *market, const struct pl_portfolio *portfolio, pl_i128 excess)
{
    const struct pl_parameters *parameters = market->parameters;
    bool is_lent = false;
    if (portfolio->mode != 0 || !parameters->has_debt_modes || !portfolio->held || portfolio->held_may_owe_cash)
        return excess;
    for (uint32_t i = 0; i < portfolio->held_count && !is_lent; i++)
        is_lent = is_owed(parameters, &portfolio->held[i]) &&
                  parameters->instruments[portfolio->held[i].instrument].lent_on.is_present;
    return is_lent ? pl_min(excess, pl_min(portfolio->cash_vu, portfolio->final_cash_vu) * PL_PPM) : excess;
}

static struct lent lent_on(const struct pl_parameters *parameters, const struct pl_portfolio *pinned,
                           uint32_t instrument, enum pl_tier tier)
{
    struct lent lent = {.is_barred = pinned->held_owes_cash, .may_be_barred = pinned->held_may_owe_cash};
    for (uint32_t i = 0; i < pinned->held_count && !lent.is_barred; i++) {
        const struct pl_leg *leg = &pinned->held[i];
        const struct pl_mode *mode = &parameters->instruments[leg->instrument].lent_on;
        if (is_owed(parameters, leg))
            lend(&lent, leg->lots < 0 && leg->final_lots < 0, find(parameters, mode, instrument), tier);
    }
    return lent;
}

/* The largest that any debt asks for, its own where one does not name the collateral, or there is none; of
 * all debts that may come true those with which the collateral counts most, or least. */
static int32_t haircut_by_debts(const struct pl_parameters *parameters,
                                const struct pl_portfolio *portfolio, uint32_t instrument,
                                enum pl_tier tier, enum end end)
{
    struct pl_portfolio pinned = *portfolio;
    pl_portfolio_pin(&pinned);
    const int32_t own = parameters->instruments[instrument].haircut_long.at[tier];
    const struct lent lent = lent_on(parameters, &pinned, instrument, tier);
    if (lent.is_barred || !lent.may_be)
        return own;
    const bool may_be_own = lent.may_be_barred || !lent.is_certain;
    if (end == END_LOW)
        return may_be_own && own > lent.most ? own : lent.most;
    const int32_t least = lent.is_certain ? lent.certain_most : lent.least;
    return may_be_own && own < least ? own : least;
}

struct sides pl_sides_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                         uint32_t index, enum pl_tier tier, enum end end)
{
    const struct pl_parameters *parameters = market->parameters;
    const struct pl_instrument *instrument = &parameters->instruments[index];
    struct sides sides = {instrument->haircut_long.at[tier], instrument->haircut_short.at[tier],
                          market->halt_haircuts[index].at[tier]};
    if (portfolio->mode != 0) {
        const struct pl_mode_weight *weight = pl_mode_weight_of(parameters, portfolio->mode, index);
        if (!weight)
            return sides;
        sides.haircut_long = weight->haircut_long.at[tier];
        sides.haircut_short = weight->haircut_short.at[tier];
    } else if (parameters->has_debt_modes) {
        sides.haircut_long = haircut_by_debts(parameters, portfolio, index, tier, end);
    } else {
        return sides;
    }
    sides.halt = market->quotes[index].is_stuck
                     ? pl_halt_haircut(parameters, instrument, sides.haircut_long, tier,
                                       market->halt_steps[index])
                     : 0;
    return sides;
}

int32_t pl_haircut_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      uint32_t instrument, enum pl_tier tier, bool is_long)
{
    const struct sides sides = pl_sides_of(market, portfolio, instrument, tier, END_HIGH);
    return is_long ? sides.haircut_long : sides.haircut_short;
}

struct pl_weights pl_weights_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                                uint32_t index, enum pl_tier tier, enum end end)
{
    struct pl_weights weights = market->weights[tier][index];
    if (!pl_has_mode(market, portfolio))
        return weights;
    const struct pl_instrument *instrument = &market->parameters->instruments[index];
    const struct sides sides = pl_sides_of(market, portfolio, index, tier, end);
    weights.own_long += instrument->haircut_long.at[tier] + market->halt_haircuts[index].at[tier] -
                        sides.haircut_long - sides.halt;
    weights.own_short += sides.haircut_short - instrument->haircut_short.at[tier];
    return weights;
}

pl_i128 pl_mode_charge(const struct pl_market *market, const struct pl_portfolio *portfolio,
                       enum pl_tier tier)
{
    pl_i128 charge = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const struct pl_quote *quote = &market->quotes[leg->instrument];
        const struct pl_weights *own = &market->weights[tier][leg->instrument];
        const struct pl_weights other = pl_weights_of(market, portfolio, leg->instrument, tier, END_HIGH);
        charge += (pl_i128)leg->lots * (leg->lots < 0 ? quote->short_lot_vu : quote->lot_vu) *
                  (leg->lots < 0 ? other.own_short - own->own_short : other.own_long - own->own_long);
    }
    return charge;
}
