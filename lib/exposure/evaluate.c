/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact margin excess (RISK 1.5). Stop 4 of the event's path. Integers only, and no rounding but
 * that of an option group's finished charge, so the result is the same in any order of legs, on any
 * machine (G2), and it alone decides (G3). What is not certain is evaluated in verdict.c, by bounds
 * (G4).
 */
#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

/* Loss of the account if a dependency fails, by dependency; only those in `used` are set. */
struct failures {
    uint64_t used;
    pl_i128 losses[PL_DEPENDENCIES_MAX];
};

static_assert(PL_DEPENDENCIES_MAX <= 64, "failures are marked in 64 bits");

static void add_losses(struct failures *failures, const struct pl_instrument *instrument,
                       enum pl_tier tier, pl_i128 value)
{
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        const struct pl_loss *loss = &instrument->losses[k];
        uint64_t bit = (uint64_t)1 << loss->dependency;
        if (!(failures->used & bit))
            failures->losses[loss->dependency] = 0;
        failures->used |= bit;
        failures->losses[loss->dependency] += value * loss->loss.at[tier];
    }
}

/* max(0, the largest loss). */
static pl_i128 worst_loss(const struct failures *failures)
{
    pl_i128 worst = 0;
    for (uint64_t rest = failures->used; rest != 0; rest &= rest - 1)
        worst = pl_max(worst, failures->losses[__builtin_ctzll(rest)]);
    return worst;
}

/* The terms that few instruments have: brackets and dependency losses. Returns the charge. */
static __attribute__((noinline)) pl_i128 add_steps(struct failures *failures,
                                                   const struct pl_instrument *instrument,
                                                   enum pl_tier tier, pl_i128 value)
{
    if (value > 0)
        add_losses(failures, instrument, tier, value);
    return pl_concentration(instrument, tier, pl_abs(value));
}

enum outcome { OUTCOME_EXACT, OUTCOME_OUT_OF_RANGE, OUTCOME_TOO_WIDE };

/* Takes the charges of the option groups off the excess. */
static __attribute__((noinline)) enum outcome
charge_scenarios(const struct pl_market *market, const struct pl_portfolio *portfolio,
                 enum pl_tier tier, uint64_t groups, pl_i128 *excess)
{
    if (!pl_options_are_in_range(market, portfolio))
        return OUTCOME_OUT_OF_RANGE;
    for (; groups != 0; groups &= groups - 1)
        *excess -= pl_scenario_charge(market, portfolio, tier,
                                      (uint32_t)__builtin_ctzll(groups) + 1, END_HIGH).charge;
    return OUTCOME_EXACT;
}

/* The variants that are compiled of the one loop below. */
struct variant {
    bool charges_doubt; /* the tier has unc */
    bool is_narrow;     /* no leg is worth 2^63 VU (9.2 million USD) or more */
};

/*
 * A = 10^6 (cash - unc) + sum n_i own_i - sum_k |F_k| - conc - dep - sum_g SR_g, where own folds the value of a
 * leg, its haircut and its confidence charge into one weight.
 *
 * Bounds: |lots| <= 2^63 and lot_vu < 2^63, so a first product is at most 2^126 and is looked at
 * before anything is built on it; from there on every sum is below 2^105 (terms.h). Narrow legs
 * need no look at their sum, since 2^7 legs below 2^63 stay below PL_VALUE_VU_MAX > 2^79, and each
 * of their products is one multiplication of machine words: most accounts are narrow, which halves
 * the time. A leg that is too wide sends the account to the other variant.
 */
static inline __attribute__((always_inline)) enum outcome
evaluate(const struct pl_market *market, const struct pl_portfolio *portfolio, enum pl_tier tier,
         struct variant variant, pl_i128 *excess)
{
    const struct pl_parameters *parameters = market->parameters;
    pl_i128 factors[PL_FACTORS_MAX];
    for (uint32_t k = 0; k < parameters->factor_count; k++)
        factors[k] = 0;
    struct failures failures;
    failures.used = 0;
    uint64_t groups = 0; /* bit 0: legs of none */

    pl_i128 own = 0, gross = 0, steps = 0, doubt = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const struct pl_quote *quote = &market->quotes[leg->instrument];
        const struct pl_weights *weights = &market->weights[tier][leg->instrument];
        pl_assert(pl_leg_is_certain(leg, quote));

        bool is_short = leg->lots < 0;
        /* A mask, for which side a leg is on no processor can predict. */
        const int64_t lot_vu =
            quote->lot_vu + (-(int64_t)is_short & (quote->short_lot_vu - quote->lot_vu));
        pl_i128 value;
        if (variant.is_narrow) {
            int64_t narrow;
            if (__builtin_mul_overflow(leg->lots, lot_vu, &narrow))
                return OUTCOME_TOO_WIDE;
            value = narrow;
        } else {
            value = (pl_i128)leg->lots * lot_vu;
            gross += pl_abs(value);
            if (gross > PL_VALUE_VU_MAX)
                return OUTCOME_OUT_OF_RANGE;
        }
        own += value * (is_short ? weights->own_short : weights->own_long);
        for (uint32_t k = 0; k < weights->load_count; k++)
            factors[weights->factors[k]] += value * weights->loads[k];
        /* unc: lots (lot - low) of a long, |lots| (high - lot) = lots (lot - high) of a short. */
        if (variant.charges_doubt)
            doubt += (pl_i128)leg->lots *
                     (quote->lot_vu - (is_short ? quote->high_lot_vu : quote->low_lot_vu));
        if (weights->has_steps) {
            const struct pl_instrument *instrument = &parameters->instruments[leg->instrument];
            steps += add_steps(&failures, instrument, tier, value);
            groups |= (uint64_t)1 << instrument->group;
        }
    }

    pl_i128 result = (portfolio->cash_vu - doubt) * PL_PPM + own - steps;
    for (uint32_t k = 0; k < parameters->factor_count; k++)
        result -= pl_abs(factors[k]);
    if (failures.used)
        result -= worst_loss(&failures);
    if (pl_has_mode(market, portfolio))
        result += pl_mode_charge(market, portfolio, tier);
    *excess = result;
    return groups > 1 ? charge_scenarios(market, portfolio, tier, groups >> 1, excess)
                      : OUTCOME_EXACT;
}

static_assert(PL_LEGS_MAX <= 1 << 7, "narrow legs stay in range");

/* The wide variants, out of the way of the narrow ones. */
static __attribute__((noinline)) bool evaluate_wide(const struct pl_market *market,
                                                    const struct pl_portfolio *portfolio,
                                                    enum pl_tier tier, pl_i128 *excess)
{
    return (pl_tier_charges_doubt(tier)
                ? evaluate(market, portfolio, tier, (struct variant){true, false}, excess)
                : evaluate(market, portfolio, tier, (struct variant){false, false}, excess)) ==
           OUTCOME_EXACT;
}

bool pl_evaluate(const struct pl_market *market, const struct pl_portfolio *portfolio,
                 enum pl_tier tier, pl_i128 *excess)
{
    pl_assert(portfolio->cash_vu == portfolio->final_cash_vu);
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    if (pl_abs(portfolio->cash_vu) > PL_CASH_VU_MAX)
        return false;
    enum outcome outcome = pl_tier_charges_doubt(tier)
                               ? evaluate(market, portfolio, tier, (struct variant){true, true},
                                          excess)
                               : evaluate(market, portfolio, tier, (struct variant){false, true},
                                          excess);
    return outcome == OUTCOME_EXACT ||
           (outcome == OUTCOME_TOO_WIDE && evaluate_wide(market, portfolio, tier, excess));
}

bool pl_portfolio_is_certain(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    if (portfolio->cash_vu != portfolio->final_cash_vu)
        return false;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        pl_assert(leg->instrument < PL_INSTRUMENTS_MAX);
        if (!pl_leg_is_certain(leg, &market->quotes[leg->instrument]))
            return false;
    }
    return true;
}
