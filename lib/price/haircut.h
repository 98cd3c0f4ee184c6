/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volatility-adjusted haircuts (RISK 1.6): from the volatilities that marks carry to the haircut_long
 * of an effective parameter set. Path: marks topic -> price service, owner of prices-0 -> parameters
 * topic. Pure: the clock is an argument, and all that is remembered stands in the last effective set.
 *
 * Two halves. The chain says where the haircut belongs now (the target); one exp and one sqrt are
 * floating point, as upstream volatility is, and what they yield is a published integer: no decision
 * and no replay reckons it anew. The release says how fast the haircut may go there; it is integers
 * only, a function of the time passed and not of how often anybody asked.
 */
#ifndef PL_PRICE_HAIRCUT_H
#define PL_PRICE_HAIRCUT_H

#include "lib/plimsoll.h"

/* Derived haircuts are multiples of this, or a base set's or cap's own number. */
enum { PL_HAIRCUT_GRID_PPM = 2500 };

/* One tier's chain, each step in ppm, rounded up against the account unless said otherwise. */
struct pl_haircut_terms {
    int32_t close_out;  /* c: 1 - exp(-multiple sigma sqrt(H))                                   */
    int32_t buffer;     /* B: (1 + buffer) c of the slow volatility; 0 without the option        */
    int32_t stress;     /* c of the stress volatility; likewise                                  */
    int32_t floor;      /* c of the floor volatility; likewise                                   */
    int32_t liquidity;  /* half spread + impact; the impact rounded down, 1 ppm, before the sum is
                           rounded up to the grid                                                */
    int32_t target;     /* the whole, up to the grid, at most cap                                */
};

/*
 * sigma is the larger of the two daily volatilities, in ppm; `model` a valid one. The buffered core is
 *   min((1 + buffer) c, max(c, B))    and/or    0.75 c + 0.25 stress    and/or    max(c, floor),
 * the largest of the options that the model gives, c without any.
 */
void pl_haircut_chain(const struct pl_haircut_model *model, enum pl_tier tier, uint32_t fast_ppm,
                      uint32_t slow_ppm, struct pl_haircut_terms *terms);

/* floor(impact sigma isqrt(reference 10^12 / volume) / 10^6), and at most PPM. */
int32_t pl_haircut_impact_ppm(const struct pl_haircut_model *model, uint32_t sigma_ppm);

/*
 * Open-interest scaling (RISK 1.6): what the venue as a whole has in a thing makes it harder to get out of.
 * ppm of a haircut `ppm` (at most PPM for an asset or margin), rounded up, never below it; figures and
 * bounds in USD, > 0.
 *   asset   PPM - floor((PPM - ppm) min(1, from / figure))                    what is deposited
 *   debt    ceil((PPM + ppm) max(1, figure / from)) - PPM, at most INT32_MAX  what is borrowed
 *   margin  ppm + ceil((PPM - ppm) (figure - from) / (to - from)), ppm .. PPM open interest
 */
int32_t pl_haircut_scaled_asset(int32_t ppm, int64_t figure_usd, int64_t from_usd);
int32_t pl_haircut_scaled_debt(int32_t ppm, int64_t figure_usd, int64_t from_usd);
int32_t pl_haircut_scaled_margin(int32_t ppm, int64_t figure_usd, int64_t from_usd, int64_t to_usd);

/* What a derivation goes by, besides the instrument. */
struct pl_haircut_news {
    const struct pl_policy *policy;      /* the base set's                                       */
    uint32_t fast_ppm, slow_ppm;         /* of the newest mark; both 0: not known                */
    int64_t now_ms;
    int64_t figures_usd[PL_SCALES];      /* of the newest LIVE marks, rounded up; 0: not known   */
};

/*
 * Derives haircut_long and haircut of `next`, which begins as a copy of the base set's instrument with
 * a model. `last` is the same instrument of the effective set in force; NULL, unlisted or without a
 * derived haircut: the way begins at the base. An unknown volatility leaves the last known one in
 * force, or counts 0 (stress and floor options still count).
 *
 *   - target: the chain's, and at the alert and initial tiers what scales make of the base set's haircut,
 *     on the grid; not below the base set's haircut, not above cap, nested over the tiers.
 *   - alert and initial rise to it at once; end and maintenance rise from where they stood when the
 *     target passed them by haircut_rise_ppm_per_hour, on the grid, rounded down: never faster.
 *   - a tier falls after its target was below it for haircut_hold_ms at every derivation, and then from
 *     where it stood by haircut_fall_ppm_per_day, on the grid, rounded up: never faster.
 *   - the desk's own hand is obeyed at once: not below the new base, not above the new cap.
 *   - maintenance <= end <= initial <= alert always: a lower tier lifts the ones above.
 *
 *   - haircut_short, with_short: the base set's plus what haircut_long is above its own; at the alert and
 *     initial tiers not below what `borrows` makes of it, on the grid; not above the larger of base and
 *     cap, and nested. It has no way of its own: it rises and falls with what it follows.
 *
 * An unknown figure leaves the last known one in force.
 *
 * Returns whether anything that people were told changed: a haircut, a target or a base. If not, the
 * set in force says it all (a move begins only together with a new target).
 */
bool pl_haircut_derive(const struct pl_instrument *last, const struct pl_haircut_news *news,
                       struct pl_instrument *next);

#endif
