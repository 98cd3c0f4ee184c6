/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks of pegged instruments: staked, wrapped and interest-bearing ones (RISK 1.5, pricing of pegged
 * assets). Pure: the clock is an argument.
 *
 *   p = base * min(cap(t), max(floor, median(redemption, averages of markets over time)))
 *
 * All inputs are marks of other instruments, so that every worker reads them, whoever publishes them,
 * and a successor has the same averages from the tail of the topic: feed them in the topic's order, with
 * its append times. Ratios are in units of the base, times 10^12:
 *   - redemption's mark is the ratio itself, what the issuer or the contract pays for one;
 *   - a market's mark is a price in USD, as venues print it; divided by the base's mark of the moment it
 *     is averaged over its window, weighted by time. A mark counts until the next one, at most for its
 *     own age_ms_max, and only while it and the base are LIVE. The average is an input while at least half
 *     of the window is covered;
 *   - cap(t) = cap_ratio (1 + growth (t - since) / 365 days), not below cap_ratio;
 *   - floor = redemption * floor_ppm while there is a redemption.
 * Where the issuer has failed the redemption is neither an input nor a floor.
 *
 * At least three inputs are needed, or the redemption where the peg has no markets: the median of three
 * lies between the other two, whatever one says. The mark is LIVE only with them and a LIVE base; else,
 * with its last price, HALTED if the base is or the issuer has failed, STALE otherwise. It is as old as
 * the base's. Its interval is the base's, times the ratio.
 *
 * Rounded against the holder at each step: ratio and price down, for what is owed up.
 */
#ifndef PL_PRICE_PEG_H
#define PL_PRICE_PEG_H

#include "lib/price/price.h"

enum { PL_TWAP_BUCKETS = 60 };
static const int64_t PL_RATIO_ONE_E12 = 1000000000000;

/* A ratio's average over a window, in PL_TWAP_BUCKETS parts of it; zeroed to begin with. */
struct pl_twap {
    int64_t at_ms;               /* of the newest sample                                          */
    int64_t ratio_e12;           /* since then; 0: unknown                                        */
    struct pl_twap_bucket {
        int64_t number;          /* time / width                                                  */
        int64_t covered_ms;
        pl_i128 sum;             /* ratio * ms                                                    */
    } buckets[PL_TWAP_BUCKETS];
};

/* From at_ms the ratio is this one (0: unknown); the one before counts up to then, at most hold_ms. Times
 * do not fall; one that does is ignored. window_ms > 0. */
void pl_twap_see(struct pl_twap *twap, int64_t window_ms, int64_t hold_ms, int64_t ratio_e12,
                 int64_t at_ms);
/* The average over the window before now_ms, rounded as asked; false where less than half is known. */
bool pl_twap_value(const struct pl_twap *twap, int64_t window_ms, int64_t now_ms,
                   enum pl_rounding rounding, int64_t *ratio_e12);

/* The pegged instruments of a set and what is known of their inputs. Zeroed to begin with; 2 MB. */
struct pl_pegs {
    uint32_t count;
    struct pl_peg_state {
        uint32_t instrument;
        struct pl_peg peg;
        struct pl_mark base, redemption, markets[PL_PEG_MARKETS_MAX];
        struct pl_twap twaps[PL_PEG_MARKETS_MAX];
    } states[PL_PEGS_MAX];
};

/* A new set: an average goes on if base, market and window are as they were, and begins anew else. */
void pl_pegs_follow(struct pl_pegs *pegs, const struct pl_parameters *parameters);

/* A mark of any instrument, appended to its topic at at_ms; ignored unless its number is above the last.
 * Returns how many pegged instruments it may move, and which. */
uint32_t pl_pegs_see(struct pl_pegs *pegs, const struct pl_parameters *parameters,
                     uint32_t instrument, const struct pl_mark *mark, int64_t at_ms,
                     uint32_t moved[PL_PEGS_MAX]);

/* As pl_aggregate_mark, for a pegged instrument: `aggregate` keeps its mark and volatility. */
bool pl_peg_mark(const struct pl_pegs *pegs, const struct pl_parameters *parameters,
                 uint32_t instrument, struct pl_aggregate *aggregate, int64_t now_ms, bool restate);

#endif
