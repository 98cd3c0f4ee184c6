/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPAN as it is published (RISK 1.10, 2.3, 2.4), to hold the library's figures against: a verification
 * only, which shares no arithmetic with the library and is no mode of it. Money is in whole units of
 * whatever the caller counts in; deltas and spreads are in millionths, of one future and of one spread.
 *
 * Each combined commodity, in this order:
 *   scan      the largest loss over the 16 scenarios, at least 0
 *   intra     spreads between its months, by priority: charge a spread
 *   delivery  a charge a delta of the month that delivers
 *   credit    spreads with other commodities, by priority: of each leg
 *               WPR * deltas * rate,   WPR = price risk / |net delta|
 *               price risk = mean(active, paired) - mean(scenario 1, scenario 2)
 *   required  max(scan + intra + delivery - credit, short minimum)
 *   total     required - available net option value: what is owed counts whole, what is owned as far
 *             as something is required
 * Charges are rounded up and credits down, each once.
 */
#ifndef PL_TESTS_SUPPORT_SPAN_H
#define PL_TESTS_SUPPORT_SPAN_H

#include <stdint.h>

enum { SPAN_SCENARIOS = 16, SPAN_MONTHS_MAX = 4, SPAN_COMMODITIES_MAX = 4 };

/* Gains of one long: scenarios 1 to 14 are moves of 0, 1/3, -1/3, 2/3, -2/3, 1, -1 of the range, each with
 * volatility up and then down; 15 and 16 are the extreme moves up and down, of which a part counts. */
struct span_contract {
    int64_t gain[SPAN_SCENARIOS];
    int64_t delta_e6;
    uint32_t month;
    int64_t option_value;        /* of an option; else 0                                           */
    int64_t short_minimum;       /* of a short option; else 0                                      */
};

struct span_position { const struct span_contract *contract; int64_t quantity; };

/* One side long and the other short, so many whole deltas of each to a spread. */
struct span_intra { uint32_t months[2]; int64_t deltas[2]; int64_t charge; };
struct span_inter { uint32_t commodities[2]; int64_t deltas[2]; int64_t rate_e6; };

struct span_commodity {
    const struct span_position *positions;
    uint32_t position_count;
    const struct span_intra *spreads; /* in order of priority                                      */
    uint32_t spread_count;
    int64_t delivery_charge;     /* a delta of month 0                                             */
};

struct span_requirement {
    uint32_t active;             /* scenario of the largest loss, from 1; of equal ones the first  */
    int64_t scan, intra, delivery, credit, short_minimum, required, option_value, total;
};

/* One requirement for each commodity. */
void span_require(const struct span_commodity *commodities, uint32_t count,
                  const struct span_inter *spreads, uint32_t spread_count,
                  struct span_requirement *requirements);

#endif
