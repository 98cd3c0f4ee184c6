/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From quotes of several sources to one mark per instrument (DESIGN section 4). Pure: the clock is
 * an argument. Path: prices topic -> aggregate -> marks topic.
 *
 * A quote is dropped when it is zero or negative, crossed (bid > ask), late or a duplicate by its
 * source's sequence, older than age_ms_max, from the future, of a source that the parameters do not
 * name, or out of band. What is dropped says why, as a counter. (A service also sends to dead
 * letter what nobody can ever use: an unlisted instrument, an unknown source, a price out of
 * range.)
 *
 * Out of band is what lies further than band_ppm from the reference. The reference is
 *   - the median of all fresh quotes, if there are three or more, or two that agree with it;
 *   - otherwise, with a lone source or two that contradict each other, the last LIVE mark;
 *   - for a lone source that was never marked, its own quote.
 * Quotes out of band stay among the fresh ones and the test is made anew for all of them whenever
 * one arrives or ages: a quorum of sources that all moved is believed at once, however far they
 * moved, and one source alone is not.
 *
 * A lone source must not halt its instrument for good. Its jump out of band is HALTED, with the
 * last LIVE price, until its quotes return into the band, or until both the last LIVE mark is older
 * than age_ms_max (whoever needs it has stopped trusting it anyway) and PL_PRICE_CONFIRMATIONS
 * consecutive quotes lie within the band of each other: then the new level is the reference.
 *
 * The mark is the median of the fresh, in-band sources, exactly: for an even number the mean of the
 * middle two rounded half-even to ticks. With at least `quorum` of them it is LIVE; else, with the
 * price, interval and event time of the last LIVE one, it is HALTED if enough sources are fresh but
 * contradict, and STALE if too few are fresh. low/high are the widest of the price -/+ the median
 * confidence and the span between the lowest and highest fresh, in-band quote.
 */
#ifndef PL_PRICE_PRICE_H
#define PL_PRICE_PRICE_H

#include "lib/plimsoll.h"

enum {
    PL_PRICE_AHEAD_MS_MAX = 1000,  /* a source's clock may run ahead of ours by this much         */
    PL_PRICE_CONFIRMATIONS = 3,    /* agreeing quotes that make a lone source's jump believed     */
    PL_PRICE_BAR_MS = 5 * 60 * 1000,
};
/* Prices and confidences above this are out of range, so that no interval overflows. */
static const int64_t PL_PRICE_TICKS_MAX = INT64_MAX / 2;

/* A decoded Price record. */
struct pl_price {
    struct pl_id instrument, source;
    int64_t mantissa;
    int32_t exponent;
    bool has_confidence, has_book;
    int64_t confidence_mantissa, bid_mantissa, ask_mantissa;
    int32_t confidence_exponent, bid_exponent, ask_exponent;
    int64_t event_time_ms;
    uint64_t source_sequence;
};

enum pl_drop {
    PL_DROP_NONE, PL_DROP_ZERO, PL_DROP_CROSSED, PL_DROP_DUPLICATE, PL_DROP_LATE, PL_DROP_FUTURE,
    PL_DROP_UNKNOWN_SOURCE, PL_DROP_UNLISTED, PL_DROP_OUT_OF_BAND, PL_DROP_OUT_OF_RANGE,
    PL_DROP_COUNT
};
/* "zero", "crossed", …: the metric's label. */
const char *pl_drop_name(enum pl_drop drop);

/* Newest quote of one source. */
struct pl_source_quote {
    bool is_present, is_out_of_band, has_confidence;
    uint64_t sequence;
    int64_t ticks, confidence_ticks;
    int64_t event_time_ms;
    uint64_t offset;             /* of its record                                                 */
    int32_t partition;
};

/* Consecutive quotes of a lone source that are out of band and agree with each other. */
struct pl_jump {
    uint32_t count;
    int64_t low_ticks, high_ticks;
};

/* Daily variance by EWMA, fast (half-life 1 day) and slow (11.2023 days), on bars of 5 minutes. */
struct pl_volatility {
    int64_t bar_start_ms;        /* 0: no bar yet                                                 */
    int64_t bar_ticks;           /* mark at the start of the bar                                  */
    uint32_t bar_count;          /* bars folded in so far, see pl_volatility_update               */
    double fast_variance, slow_variance; /* per bar                                               */
};

/* State of one instrument; zeroed to begin with. */
struct pl_aggregate {
    struct pl_source_quote quotes[PL_PRICE_SOURCES_MAX]; /* in the order of the rules' sources    */
    struct pl_jump jump;
    struct pl_mark mark;         /* last published; status NONE: never had a price                */
    struct pl_volatility volatility;
};

/*
 * Takes a quote in, or says why not. The mark does not change until pl_aggregate_mark. OUT_OF_BAND
 * is an answer about this moment: the quote is kept and may be believed when others follow.
 *
 * A source's sequence counts as long as its last quote is fresh; after that any quote with a later
 * event time begins a new sequence, so that an adapter which counts from 1 again is heard again
 * after age_ms_max, and nothing old is: what is older than age_ms_max is late whatever its
 * sequence.
 */
enum pl_drop pl_aggregate_quote(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                                const struct pl_price *price, int64_t now_ms, uint64_t offset,
                                int32_t partition);

/*
 * Derives the mark at now_ms. True when it is to be published: price, interval or status changed,
 * or `restate` is set and there ever was a price. `mark` is the aggregate's own.
 *
 * Its number is above every earlier one: source_offset is the highest offset among the quotes
 * behind it but never falls, and the tick always rises, to now_ms at least. Therefore numbers also
 * go on above a predecessor's marks that recovery did not see, and above those of a partition whose
 * offsets began anew.
 */
bool pl_aggregate_mark(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                       int64_t now_ms, bool restate);

/* What pl_aggregate_mark does with the mark it has derived, for one that comes about otherwise (peg.h):
 * volatilities and number are set here. False as there, and for status NONE. */
bool pl_aggregate_take(struct pl_aggregate *aggregate, const struct pl_mark *derived,
                       int64_t now_ms, bool restate);

/* Takes up where another stopped: a mark read from the topic. Ignored unless its number is above
 * the last, and if its tick is above 2^63 - 1, which nobody could raise; the volatility goes on
 * from the published one. */
void pl_aggregate_recover(struct pl_aggregate *aggregate, const struct pl_mark *mark);

/* New rules: quotes of sources that both sets name move to their new places, others are forgotten.
 * If the tick's size changed (an instrument unlisted and listed again), all quotes are. */
void pl_aggregate_follow(struct pl_aggregate *aggregate, const struct pl_instrument *before,
                         const struct pl_instrument *after);

/* Forgets the quotes, not the mark: the partition went to somebody else. */
void pl_aggregate_forget(struct pl_aggregate *aggregate);

/* ---- options (option_mark.c) ---------------------------------------------------------------- */

/*
 * The average at which an option settles, as far as its window (expiry - averaging, expiry] has passed:
 * the underlying's marks weighted by time. A mark counts from its append time until the next one's, at most
 * for the underlying's age_ms_max, and only while it is LIVE. Fed with the marks topic in its order, so
 * that a successor that reads it from the window's beginning has the same. Zeroed to begin with.
 */
struct pl_settlement {
    struct pl_mark last;         /* newest seen                                                    */
    int64_t at_ms, ticks;        /* when, and its price; 0: none that counts                       */
    int64_t covered_ms;          /* of the window, up to at_ms                                     */
    pl_i128 sum;                 /* ticks * ms over what is covered                                */
};

/* What of the average is known: at any price P of the underlying the forward of the average is
 * fixed_ticks + (1 - passed) times that of P (RISK 1.4: fixed and variable part). */
struct pl_settlement_split {
    double fixed_ticks;
    double passed;               /* part of the window that is over, 0..1                          */
};

/* A mark of the underlying, appended at at_ms; ignored unless its number is above the last one's. */
void pl_settlement_see(struct pl_settlement *settlement, const struct pl_parameters *parameters,
                       uint32_t option, const struct pl_mark *mark, int64_t at_ms);
/* All 0 before the window, and without one. What was not covered counts at the average of what was; false
 * where that is less than half. */
bool pl_settlement_split_at(const struct pl_settlement *settlement,
                            const struct pl_parameters *parameters, uint32_t option,
                            int64_t now_ms, struct pl_settlement_split *split);
/* The average of the whole window, in ticks, half to even; false where less than half is covered. */
bool pl_settlement_average(const struct pl_settlement *settlement,
                           const struct pl_parameters *parameters, uint32_t option, int64_t *ticks);

/* What an option's value follows from besides its terms and the set. */
struct pl_option_inputs {
    int64_t ticks;               /* of the underlying, 1..2^60: the grid is around it              */
    double volatility;           /* a year, 0.6 is 60 %                                            */
    int64_t now_ms;
    struct pl_settlement_split split; /* all 0 but within an averaging window                      */
};

/* What the mark of a volatility says. */
double pl_option_volatility(const struct pl_mark *mark);
/* All layers of the option's grid: at the volatility and time left, and after the set's look-ahead at
 * its shocked volatilities. REJECT_RANGE as pl_bracket_fill. */
enum pl_err pl_option_grid_fill(const struct pl_parameters *parameters, uint32_t option,
                                const struct pl_option_inputs *inputs, struct pl_option_grid *grid);
/* The grid of an option that pays what it does at `ticks`, wherever the underlying goes from there.
 * False where that leaves 2^62 VU. */
bool pl_option_settle(const struct pl_parameters *parameters, uint32_t option, int64_t ticks,
                      struct pl_option_grid *grid);
bool pl_option_is_settled(const struct pl_option_grid *grid);
/* Price, low and high of a mark with a grid, for people. */
void pl_option_mark_prices(const struct pl_instrument *instrument, int64_t ticks,
                           struct pl_mark *mark);

/*
 * Feeds the EWMA with the mark's ticks at now_ms (ln returns). A return over n bars, because there
 * was no mark in between, counts as n bars of the same variance. Until there are enough bars the
 * estimate is their plain mean: an EWMA begun at one return would be that return for days.
 *
 * Floating point, and libm's log and sqrt, here only: volatilities are published measurements that
 * become parameters upstream of every decision; no decision computes them anew.
 */
void pl_volatility_update(struct pl_volatility *volatility, int64_t ticks, int64_t now_ms);
/* Goes on from a published mark as if the estimate were ripe. */
void pl_volatility_recover(struct pl_volatility *volatility, const struct pl_mark *mark);
/* One step: lambda * variance + (1 - lambda) * square, the return's square. */
double pl_volatility_step(double variance, double lambda, double square);
/* Daily volatility in ppm, rounded up. */
uint32_t pl_volatility_fast_ppm(const struct pl_volatility *volatility);
uint32_t pl_volatility_slow_ppm(const struct pl_volatility *volatility);

#endif
