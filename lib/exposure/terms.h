/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the exact evaluation and the evaluation by bounds share: when a leg is certain, which tiers
 * charge doubt about prices, and the concentration term. Private to lib/exposure.
 */
#ifndef PL_EXPOSURE_TERMS_H
#define PL_EXPOSURE_TERMS_H

#include "lib/plimsoll.h"

/* One USD in VU. */
static const int64_t PL_USD_VU = 1000000000000;

/*
 * Limits of one account, RISK 1.1. With a gross value of at most V = 10^24 VU (< 2^80),
 * coefficients that sum to at most 2^23 per leg (V7), and unc at most (PL_INTERVAL_TIMES_MAX - 1)
 * V:
 *
 *   |A| <= 10^6 (4 V + V) + 2^23 V + 7 * 10^6 V  <  2.1 * 10^31  <  2^105
 *
 * where unc and a cash of 4 V (only after a sale, which is evaluated at tiers without unc) never
 * meet, which leaves 2^104. Either way a pl_i128 has 22 bits to spare.
 */
static const pl_i128 PL_CASH_VU_MAX = 4 * (pl_i128)1000000000000 * 1000000000000;

static inline bool pl_tier_charges_doubt(enum pl_tier tier)
{
    return tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL;
}

/* LIVE implies listed: pl_market_update gives no quote to what the parameters do not name. */
static inline bool pl_leg_is_certain(const struct pl_leg *leg, const struct pl_quote *quote)
{
    return quote->status == PL_MARK_LIVE && leg->lots == leg->final_lots &&
           !leg->is_unlisted_amount;
}

/*
 * conc(v) = sum over brackets of rate_b (min(v, T_b+1) - T_b)+, summed by slopes: each threshold
 * that is passed adds the step of its rate to all that lies above it. Convex, since no rate
 * decreases. A threshold is below 2^63 * 10^12 < 2^103 and `size` below 2^80.
 */
static inline pl_i128 pl_concentration(const struct pl_instrument *instrument, enum pl_tier tier,
                                       pl_i128 size)
{
    pl_i128 charge = 0;
    int32_t rate_below = 0;
    for (uint32_t b = 0; b < instrument->bracket_count; b++) {
        const struct pl_bracket *bracket = &instrument->brackets[b];
        pl_i128 above = size - (pl_i128)bracket->threshold_usd * PL_USD_VU;
        if (above <= 0)
            break;
        charge += above * (bracket->rate.at[tier] - rate_below);
        rate_below = bracket->rate.at[tier];
    }
    return charge;
}

/* Which end of an excess is asked for; where all is certain both are it. */
enum end { END_LOW, END_HIGH };

/* An interval; a side without bound counts as 0 in its number. */
struct span {
    pl_i128 low, high;
    bool has_no_low, has_no_high;
};

/* What is open about a leg: its value in VU, and the charge for its price interval at both ends. */
struct reach {
    struct span value;
    pl_i128 unc_low, unc_high;
};

bool pl_leg_is_unlisted(const struct pl_market *market, const struct pl_leg *leg); /* verdict.c */
/* Whether more of a leg with scenarios never lowers the excess, whatever else is held (verdict.c). */
bool pl_grows_in_scenarios(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           const struct pl_leg *leg, enum pl_tier tier, enum end end);
struct reach pl_reach_of(const struct pl_market *market, const struct pl_leg *leg); /* verdict.c */

/* The limit price of a sale or purchase, rounded against us; false when it is no price: below one
 * tick, or beyond all ticks (plan.c). */
bool pl_limit_of(const struct pl_quote *quote, const struct pl_instrument *instrument,
                 enum pl_side side, int64_t *limit_ticks);

bool pl_mark_is_fresh(int64_t event_time_ms, int64_t now_ms, int64_t age_ms_max); /* market.c */
bool pl_quotes_are_equal(const struct pl_quote *a, const struct pl_quote *b);

/* ---- options (options.c) ---- */

/* Quotes and values of all options, after those of all else; sets bits of changed_mask. */
void pl_options_update(struct pl_market *market, const struct pl_mark *marks);

/* What the legs of one group ask for: the worst scenario or the minimum for options owed. */
struct scenario_charge {
    pl_i128 charge;              /* VU ppm, >= 0, rounded up                                       */
    uint32_t scenario;           /* row, or PL_SHORT_MINIMUM                                       */
    bool is_unbounded;
};

/* Of the legs whose instruments are of `group` (1 and up), at one end of the excess: END_HIGH the
 * least it may be, END_LOW the most. The account is in range (pl_options_are_in_range). */
struct scenario_charge pl_scenario_charge(const struct pl_market *market,
                                          const struct pl_portfolio *portfolio, enum pl_tier tier,
                                          uint32_t group, enum end end);
/* All that the charge of a group of a certain portfolio is the largest of, besides 0: each
 * scenario by its row, then the minimum; VU ppm^2. */
void pl_scenario_pieces(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        enum pl_tier tier, uint32_t group,
                        pl_i128 pieces[PL_OPTION_SCENARIOS_MAX + 1]);
/* Whether the options are small enough for exact sums. */
bool pl_options_are_in_range(const struct pl_market *market, const struct pl_portfolio *portfolio);
/* Groups that the portfolio has legs of, one bit each: 1 << (group - 1). */
uint64_t pl_groups_of(const struct pl_market *market, const struct pl_portfolio *portfolio);
/* Largest weight * |move| of the table at a tier, ppm, rounded up. */
int64_t pl_scenario_load(const struct pl_parameters *parameters, enum pl_tier tier);

/* D of pl_ratios, of a certain portfolio (ratio.c). */
pl_i128 pl_weighted_debt(const struct pl_market *market, const struct pl_portfolio *portfolio);

/* Whether an alert of this state would come too soon after the last one of the same (decide.c). */
bool pl_is_told_lately(const struct pl_market *market, const struct pl_account_state *state);

/*
 * At least 0 where the goal is reached within cash (pl_within_cash); far below it where a number leaves the
 * exact range. A health
 * of h needs A >= (h - 1) D; A is whole, so the right side may be rounded up. D < 2^104, and its two
 * parts by 10^6 times h - 1 < 2^27 stay below 2^112.
 */
pl_i128 pl_beyond_goal(const struct pl_market *market, const struct pl_portfolio *portfolio,
                       const struct pl_goal *goal);

/* ---- modes (modes.c) ------------------------------------------------------------------------- */

/* Haircuts of one leg at one tier; halt on top of haircut_long. Where debts that are not final decide, those
 * at one end of the excess. */
struct sides { int32_t haircut_long, haircut_short, halt; };
/* Whether any leg may have others than its instrument's. */
static inline bool pl_has_mode(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    return portfolio->mode != 0 || market->parameters->has_debt_modes;
}
/* What an account's mode says of the instrument; NULL: nothing. */
const struct pl_mode_weight *pl_mode_weight_of(const struct pl_parameters *parameters, uint32_t mode,
                                               uint32_t instrument);
struct sides pl_sides_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                         uint32_t instrument, enum pl_tier tier, enum end end);
/* The instrument's weights with these. */
struct pl_weights pl_weights_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                                uint32_t instrument, enum pl_tier tier, enum end end);
/* What modes make of the excess of a certain portfolio. */
pl_i128 pl_mode_charge(const struct pl_market *market, const struct pl_portfolio *portfolio,
                       enum pl_tier tier);
/* A halt's haircut at one tier on top of `haircut`, at so many steps of the ramp (market.c). */
int32_t pl_halt_haircut(const struct pl_parameters *parameters, const struct pl_instrument *instrument,
                        int32_t haircut, enum pl_tier tier, int64_t steps);

#endif
