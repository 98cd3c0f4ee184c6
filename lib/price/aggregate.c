/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotes of several sources become one mark per instrument. Path: wire/price -> here -> wire/mark.
 * The rules stand in price.h. Carries G4: a mark is LIVE only while a quorum of fresh sources
 * agrees, whatever one source alone may say. All arithmetic is exact and all of it is integer.
 */
#include <assert.h>
#include <string.h>

#include "lib/base/amount.h"
#include "lib/base/assert.h"
#include "lib/price/price.h"

static_assert(PL_PRICE_SOURCES_MAX <= UINT8_MAX, "a source's place fits a byte");

static const char *const drop_names[] = {
    [PL_DROP_NONE] = "none",
    [PL_DROP_ZERO] = "zero",
    [PL_DROP_CROSSED] = "crossed",
    [PL_DROP_DUPLICATE] = "duplicate",
    [PL_DROP_LATE] = "late",
    [PL_DROP_FUTURE] = "future",
    [PL_DROP_UNKNOWN_SOURCE] = "unknown_source",
    [PL_DROP_UNLISTED] = "unlisted",
    [PL_DROP_OUT_OF_BAND] = "out_of_band",
    [PL_DROP_OUT_OF_RANGE] = "out_of_range",
};
static_assert(sizeof drop_names / sizeof drop_names[0] == PL_DROP_COUNT, "a name for each reason");

const char *pl_drop_name(enum pl_drop drop)
{
    pl_assert((unsigned)drop < PL_DROP_COUNT);
    return drop_names[drop];
}

/* ---- fresh quotes, their median, and the band --------------------------------------------- */

/* The fresh quotes in order of price. */
struct fresh {
    struct pl_source_quote *quotes[PL_PRICE_SOURCES_MAX];
    uint32_t count;
};

static bool is_fresh(const struct pl_source_quote *quote, const struct pl_instrument *rules,
                     int64_t now_ms)
{
    return quote->is_present && now_ms - quote->event_time_ms <= rules->price_rules.age_ms_max;
}

static void collect_fresh(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                          int64_t now_ms, struct fresh *fresh)
{
    fresh->count = 0;
    for (uint32_t i = 0; i < rules->price_rules.source_count; i++) {
        struct pl_source_quote *quote = &aggregate->quotes[i];
        if (!is_fresh(quote, rules, now_ms))
            continue;
        uint32_t place = fresh->count++;
        for (; place > 0 && fresh->quotes[place - 1]->ticks > quote->ticks; place--)
            fresh->quotes[place] = fresh->quotes[place - 1];
        fresh->quotes[place] = quote;
    }
}

/* The middle of a sorted list, or the mean of the middle two rounded half-even. */
static int64_t median_ticks(const struct fresh *list)
{
    const int64_t upper = list->quotes[list->count / 2]->ticks;
    if (list->count % 2 == 1)
        return upper;
    const int64_t lower = list->quotes[list->count / 2 - 1]->ticks;
    return (int64_t)pl_div_even((pl_i128)lower + upper, 2);
}

static bool is_within(int64_t ticks, int64_t reference_ticks, int32_t band_ppm)
{
    /* Both below 2^63 and the band below 2^31: the products stay below 2^94. */
    return pl_abs((pl_i128)ticks - reference_ticks) * PL_PPM <=
           (pl_i128)reference_ticks * band_ppm;
}

/* A mark in other ticks (before the instrument was listed anew) can be compared with nothing. */
static bool has_last(const struct pl_aggregate *aggregate, const struct pl_instrument *rules)
{
    return aggregate->mark.status != PL_MARK_NONE &&
           aggregate->mark.exponent == -(int32_t)rules->tick_decimals;
}

/* The last LIVE mark is nobody's any more and the lone source has said the same often enough. */
static bool is_jump_believed(const struct pl_aggregate *aggregate,
                             const struct pl_instrument *rules, int64_t now_ms)
{
    return aggregate->jump.count >= PL_PRICE_CONFIRMATIONS &&
           now_ms - aggregate->mark.event_time_ms > rules->price_rules.age_ms_max;
}

static bool agrees_with(const struct fresh *fresh, int64_t median, int32_t band_ppm)
{
    for (uint32_t i = 0; i < fresh->count; i++) {
        if (!is_within(fresh->quotes[i]->ticks, median, band_ppm))
            return false;
    }
    return true;
}

/* What the band is measured from (price.h). Of two that contradict each other neither is within the
 * band of their median, so without a mark to decide nobody is believed. */
static int64_t reference_ticks(const struct pl_aggregate *aggregate,
                               const struct pl_instrument *rules, const struct fresh *fresh,
                               int64_t now_ms)
{
    const int64_t median = median_ticks(fresh);
    if (fresh->count >= 3 || !has_last(aggregate, rules))
        return median;
    if (fresh->count == 2 && agrees_with(fresh, median, rules->price_rules.band_ppm))
        return median;
    /* The lone quote is the end of its run: one that disagreed would have begun another. */
    if (fresh->count == 1 && is_jump_believed(aggregate, rules, now_ms))
        return median;
    return aggregate->mark.mantissa;
}

/* Tests every fresh quote anew and keeps those in band in `accepted`, still in order of price. */
static void test_band(const struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                      const struct fresh *fresh, int64_t now_ms, struct fresh *accepted)
{
    accepted->count = 0;
    if (fresh->count == 0)
        return;
    const int64_t reference = reference_ticks(aggregate, rules, fresh, now_ms);
    for (uint32_t i = 0; i < fresh->count; i++) {
        struct pl_source_quote *quote = fresh->quotes[i];
        quote->is_out_of_band = !is_within(quote->ticks, reference, rules->price_rules.band_ppm);
        if (!quote->is_out_of_band)
            accepted->quotes[accepted->count++] = quote;
    }
}

/* ---- taking a quote in -------------------------------------------------------------------- */

/* Place of the source in the rules; PL_PRICE_SOURCES_MAX when they do not name it. */
static uint32_t find_source(const struct pl_price_rules *rules, const struct pl_id *source)
{
    for (uint32_t i = 0; i < rules->source_count; i++) {
        if (pl_id_equal(&rules->sources[i], source))
            return i;
    }
    return PL_PRICE_SOURCES_MAX;
}

static bool is_crossed(const struct pl_price *price)
{
    const struct pl_amount bid = {price->bid_mantissa, price->bid_exponent};
    const struct pl_amount ask = {price->ask_mantissa, price->ask_exponent};
    return pl_amount_compare(&bid, &ask) > 0;
}

/* Price to ticks half-even, confidence up: doubt is never rounded away. */
static enum pl_drop convert(const struct pl_price *price, const struct pl_instrument *rules,
                            struct pl_source_quote *quote)
{
    if (price->mantissa <= 0)
        return PL_DROP_ZERO;
    if (pl_rescale(price->mantissa, price->exponent, rules->tick_decimals, PL_ROUND_EVEN,
                   &quote->ticks) ||
        quote->ticks > PL_PRICE_TICKS_MAX)
        return PL_DROP_OUT_OF_RANGE;
    if (quote->ticks == 0)
        return PL_DROP_ZERO;
    if (price->has_book && (price->bid_mantissa <= 0 || price->ask_mantissa <= 0))
        return PL_DROP_ZERO;
    if (price->has_book && is_crossed(price))
        return PL_DROP_CROSSED;
    if (!price->has_confidence)
        return PL_DROP_NONE;
    if (price->confidence_mantissa < 0 ||
        pl_rescale(price->confidence_mantissa, price->confidence_exponent, rules->tick_decimals,
                   PL_ROUND_CEIL, &quote->confidence_ticks) ||
        quote->confidence_ticks > PL_PRICE_TICKS_MAX)
        return PL_DROP_OUT_OF_RANGE;
    return PL_DROP_NONE;
}

static enum pl_drop check_order(const struct pl_source_quote *last,
                                const struct pl_instrument *rules, const struct pl_price *price,
                                int64_t now_ms)
{
    if (price->event_time_ms - now_ms > PL_PRICE_AHEAD_MS_MAX)
        return PL_DROP_FUTURE;
    const bool is_sequence_known = is_fresh(last, rules, now_ms) ||
        (last->is_present && price->event_time_ms <= last->event_time_ms);
    if (is_sequence_known && price->source_sequence == last->sequence)
        return PL_DROP_DUPLICATE;
    if (is_sequence_known && price->source_sequence < last->sequence)
        return PL_DROP_LATE;
    if (now_ms - price->event_time_ms > rules->price_rules.age_ms_max)
        return PL_DROP_LATE;
    return PL_DROP_NONE;
}

/* A lone source's quote outside the band of the last mark begins a run, or continues one if it
 * agrees with all of it; a quote back in band, or a second fresh source, ends it. */
static void follow_jump(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                        const struct pl_source_quote *quote, uint32_t fresh_count)
{
    struct pl_jump *jump = &aggregate->jump;
    const int32_t band_ppm = rules->price_rules.band_ppm;
    if (fresh_count != 1 || !has_last(aggregate, rules) ||
        is_within(quote->ticks, aggregate->mark.mantissa, band_ppm)) {
        jump->count = 0;
        return;
    }
    const bool agrees = jump->count > 0 && is_within(quote->ticks, jump->low_ticks, band_ppm) &&
                        is_within(quote->ticks, jump->high_ticks, band_ppm);
    if (!agrees)
        *jump = (struct pl_jump){0, quote->ticks, quote->ticks};
    jump->count += jump->count < PL_PRICE_CONFIRMATIONS;
    jump->low_ticks = (int64_t)pl_min(jump->low_ticks, quote->ticks);
    jump->high_ticks = (int64_t)pl_max(jump->high_ticks, quote->ticks);
}

enum pl_drop pl_aggregate_quote(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                                const struct pl_price *price, int64_t now_ms, uint64_t offset,
                                int32_t partition)
{
    if (!rules->is_listed)
        return PL_DROP_UNLISTED;
    const uint32_t place = find_source(&rules->price_rules, &price->source);
    if (place == PL_PRICE_SOURCES_MAX)
        return PL_DROP_UNKNOWN_SOURCE;
    struct pl_source_quote *last = &aggregate->quotes[place];
    struct pl_source_quote quote = {
        .is_present = true, .has_confidence = price->has_confidence,
        .sequence = price->source_sequence, .event_time_ms = price->event_time_ms,
        .offset = offset, .partition = partition,
    };
    enum pl_drop drop = convert(price, rules, &quote);
    if (drop == PL_DROP_NONE)
        drop = check_order(last, rules, price, now_ms);
    if (drop != PL_DROP_NONE)
        return drop;

    *last = quote;
    struct fresh fresh, accepted;
    collect_fresh(aggregate, rules, now_ms, &fresh);
    follow_jump(aggregate, rules, last, fresh.count);
    test_band(aggregate, rules, &fresh, now_ms, &accepted);
    return last->is_out_of_band ? PL_DROP_OUT_OF_BAND : PL_DROP_NONE;
}

/* ---- deriving the mark -------------------------------------------------------------------- */

/* Mean or middle of the confidences of those that state one, rounded up; 0 when nobody does. */
static int64_t median_confidence(const struct fresh *accepted)
{
    int64_t sorted[PL_PRICE_SOURCES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < accepted->count; i++) {
        const struct pl_source_quote *quote = accepted->quotes[i];
        if (!quote->has_confidence)
            continue;
        uint32_t place = count++;
        for (; place > 0 && sorted[place - 1] > quote->confidence_ticks; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = quote->confidence_ticks;
    }
    if (count == 0)
        return 0;
    const pl_i128 upper = sorted[count / 2];
    return (int64_t)(count % 2 == 1 ? upper : pl_div_ceil(upper + sorted[count / 2 - 1], 2));
}

/* Event time of the quorum-th youngest quote: a mark is as old as what it needs. */
static int64_t quorum_time_ms(const struct fresh *accepted, uint32_t quorum)
{
    int64_t sorted[PL_PRICE_SOURCES_MAX];
    for (uint32_t i = 0; i < accepted->count; i++) {
        const int64_t time_ms = accepted->quotes[i]->event_time_ms;
        uint32_t place = i;
        for (; place > 0 && sorted[place - 1] < time_ms; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = time_ms;
    }
    return sorted[quorum - 1];
}

/* The youngest record behind the mark, unless its number would fall (price.h). */
static void raise_offset(const struct fresh *accepted, struct pl_mark *mark)
{
    for (uint32_t i = 0; i < accepted->count; i++) {
        const struct pl_source_quote *quote = accepted->quotes[i];
        if (quote->offset < mark->source_offset)
            continue;
        mark->source_offset = quote->offset;
        mark->source_partition = quote->partition;
    }
}

static void fill_live(const struct fresh *accepted, const struct pl_instrument *rules,
                      struct pl_mark *mark)
{
    /* Both terms are at most PL_PRICE_TICKS_MAX = 2^62: the sum fits. A price is never 0, so the
     * lower end stops at the smallest price there is. */
    const int64_t price = median_ticks(accepted);
    const int64_t confidence = median_confidence(accepted);
    const int64_t lowest = accepted->quotes[0]->ticks;
    const int64_t highest = accepted->quotes[accepted->count - 1]->ticks;
    mark->status = PL_MARK_LIVE;
    mark->mantissa = price;
    mark->low_mantissa = (int64_t)pl_max(1, pl_min(lowest, price - confidence));
    mark->high_mantissa = (int64_t)pl_max(highest, price + confidence);
    mark->exponent = -(int32_t)rules->tick_decimals;
    mark->event_time_ms = quorum_time_ms(accepted, rules->price_rules.quorum);
    pl_assert(mark->low_mantissa <= price && price <= mark->high_mantissa);
}

/* The next mark but for its tick and volatilities. */
static void derive(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                   int64_t now_ms, struct pl_mark *mark)
{
    const uint32_t quorum = rules->price_rules.quorum;
    struct fresh fresh, accepted;
    collect_fresh(aggregate, rules, now_ms, &fresh);
    test_band(aggregate, rules, &fresh, now_ms, &accepted);
    mark->source_count = accepted.count;
    if (accepted.count >= quorum) {
        fill_live(&accepted, rules, mark);
        raise_offset(&accepted, mark);
    } else if (mark->status != PL_MARK_NONE) {
        mark->status = fresh.count >= quorum ? PL_MARK_HALTED : PL_MARK_STALE; /* G4 */
    }
}

bool pl_aggregate_take(struct pl_aggregate *aggregate, const struct pl_mark *derived,
                       int64_t now_ms, bool restate)
{
    const struct pl_mark *last = &aggregate->mark;
    struct pl_mark next = *derived;
    if (next.status == PL_MARK_NONE)
        return false;
    if (next.status == PL_MARK_LIVE) {
        pl_volatility_update(&aggregate->volatility, next.mantissa, now_ms);
        next.volatility_fast_ppm = pl_volatility_fast_ppm(&aggregate->volatility);
        next.volatility_slow_ppm = pl_volatility_slow_ppm(&aggregate->volatility);
    }
    const bool has_changed = next.status != last->status || next.mantissa != last->mantissa ||
                             next.low_mantissa != last->low_mantissa ||
                             next.high_mantissa != last->high_mantissa ||
                             next.exponent != last->exponent;
    if (!has_changed && !restate)
        return false;
    next.tick = last->tick + 1;
    if (now_ms > 0 && next.tick < (uint64_t)now_ms)
        next.tick = (uint64_t)now_ms;
    pl_assert(pl_mark_is_newer(&next, last));
    aggregate->mark = next;
    return true;
}

bool pl_aggregate_mark(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                       int64_t now_ms, bool restate)
{
    pl_assert(rules->is_listed && rules->price_rules.quorum > 0);
    struct pl_mark next = aggregate->mark;
    derive(aggregate, rules, now_ms, &next);
    return pl_aggregate_take(aggregate, &next, now_ms, restate);
}

/* ---- taking over, new rules --------------------------------------------------------------- */

void pl_aggregate_recover(struct pl_aggregate *aggregate, const struct pl_mark *mark)
{
    if (aggregate->mark.status != PL_MARK_NONE && !pl_mark_is_newer(mark, &aggregate->mark))
        return;
    if (mark->tick > INT64_MAX)
        return;
    aggregate->mark = *mark;
    pl_volatility_recover(&aggregate->volatility, mark);
}

void pl_aggregate_forget(struct pl_aggregate *aggregate)
{
    memset(aggregate->quotes, 0, sizeof aggregate->quotes);
    aggregate->jump = (struct pl_jump){0};
}

void pl_aggregate_follow(struct pl_aggregate *aggregate, const struct pl_instrument *before,
                         const struct pl_instrument *after)
{
    struct pl_source_quote quotes[PL_PRICE_SOURCES_MAX];
    memcpy(quotes, aggregate->quotes, sizeof quotes);
    pl_aggregate_forget(aggregate);
    if (before->is_listed && after->is_listed && before->tick_decimals != after->tick_decimals)
        aggregate->volatility = (struct pl_volatility){0};
    if (!before->is_listed || !after->is_listed || before->tick_decimals != after->tick_decimals)
        return;
    for (uint32_t i = 0; i < before->price_rules.source_count; i++) {
        const uint32_t place =
            find_source(&after->price_rules, &before->price_rules.sources[i]);
        if (place != PL_PRICE_SOURCES_MAX)
            aggregate->quotes[place] = quotes[i];
    }
}
