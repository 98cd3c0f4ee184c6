/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base times ratio. Path: marks topic -> here -> marks topic. Carries G4: one venue's print is one
 * input of at least three, and without enough of them the mark says so. Integers only.
 */
#include "lib/price/peg.h"

#include <string.h>

#include "lib/base/assert.h"

enum { INPUTS_MAX = PL_PEG_MARKETS_MAX + 1, INPUTS_NEEDED = 3 };

static const int64_t YEAR_MS = (int64_t)365 * 86400 * 1000;
static const int64_t YEARS_MAX = 100; /* of growth, so that nothing overflows */

static pl_i128 divide(pl_i128 dividend, pl_i128 divisor, enum pl_rounding rounding)
{
    return rounding == PL_ROUND_CEIL ? pl_div_ceil(dividend, divisor)
                                     : pl_div_floor(dividend, divisor);
}

/* ---- averages over time ---------------------------------------------------------------------- */

/* Rounded up: all buckets together are at least the window. */
static int64_t bucket_width_ms(int64_t window_ms)
{
    return (window_ms - 1) / PL_TWAP_BUCKETS + 1;
}

static void cover(struct pl_twap *twap, int64_t width_ms, int64_t from_ms, int64_t until_ms)
{
    /* What is older than all buckets would be overwritten anyway. */
    if (until_ms - from_ms > width_ms * PL_TWAP_BUCKETS)
        from_ms = until_ms - width_ms * PL_TWAP_BUCKETS;
    while (from_ms < until_ms) {
        const int64_t number = from_ms / width_ms;
        struct pl_twap_bucket *bucket = &twap->buckets[number % PL_TWAP_BUCKETS];
        const int64_t end_ms = (int64_t)pl_min((number + 1) * width_ms, until_ms);
        if (bucket->number != number)
            *bucket = (struct pl_twap_bucket){.number = number};
        bucket->covered_ms += end_ms - from_ms;
        bucket->sum += (pl_i128)twap->ratio_e12 * (end_ms - from_ms);
        from_ms = end_ms;
    }
}

void pl_twap_see(struct pl_twap *twap, int64_t window_ms, int64_t hold_ms, int64_t ratio_e12,
                 int64_t at_ms)
{
    pl_assert(window_ms > 0 && ratio_e12 >= 0 && ratio_e12 <= PL_PEG_RATIO_E12_MAX);
    if (at_ms < twap->at_ms || at_ms <= 0)
        return;
    if (twap->ratio_e12 > 0)
        cover(twap, bucket_width_ms(window_ms), twap->at_ms,
              twap->at_ms + (int64_t)pl_min(at_ms - twap->at_ms, hold_ms));
    twap->at_ms = at_ms;
    twap->ratio_e12 = ratio_e12;
}

bool pl_twap_value(const struct pl_twap *twap, int64_t window_ms, int64_t now_ms,
                   enum pl_rounding rounding, int64_t *ratio_e12)
{
    const int64_t last = now_ms / bucket_width_ms(window_ms);
    int64_t covered_ms = 0;
    pl_i128 sum = 0;
    for (int i = 0; i < PL_TWAP_BUCKETS; i++) {
        const struct pl_twap_bucket *bucket = &twap->buckets[i];
        if (bucket->number > last || bucket->number <= last - PL_TWAP_BUCKETS)
            continue;
        covered_ms += bucket->covered_ms;
        sum += bucket->sum;
    }
    if (covered_ms == 0 || covered_ms < window_ms - covered_ms)
        return false;
    *ratio_e12 = (int64_t)divide(sum, covered_ms, rounding);
    return true;
}

/* ---- a set's pegs ---------------------------------------------------------------------------- */

/* What was known before of the same inputs. */
static void carry_over(struct pl_peg_state *state, const struct pl_peg_state *before)
{
    if (before->peg.base == state->peg.base)
        state->base = before->base;
    if (before->peg.redemption == state->peg.redemption)
        state->redemption = before->redemption;
    for (uint32_t i = 0; i < state->peg.market_count; i++)
        for (uint32_t k = 0; k < before->peg.market_count; k++) {
            if (before->peg.base != state->peg.base ||
                before->peg.markets[k].instrument != state->peg.markets[i].instrument ||
                before->peg.markets[k].window_ms != state->peg.markets[i].window_ms)
                continue;
            state->markets[i] = before->markets[k];
            state->twaps[i] = before->twaps[k];
        }
}

static struct pl_peg_state *find(struct pl_pegs *pegs, uint32_t instrument)
{
    for (uint32_t i = 0; i < pegs->count; i++)
        if (pegs->states[i].instrument == instrument)
            return &pegs->states[i];
    return NULL;
}

/* States keep their places; one that is no longer pegged gives its place to the last. */
void pl_pegs_follow(struct pl_pegs *pegs, const struct pl_parameters *parameters)
{
    for (uint32_t i = 0; i < pegs->count;) {
        const struct pl_instrument *rules = &parameters->instruments[pegs->states[i].instrument];
        if (rules->is_listed && rules->peg.is_present)
            i++;
        else
            pegs->states[i] = pegs->states[--pegs->count];
    }
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *rules = &parameters->instruments[i];
        if (!rules->is_listed || !rules->peg.is_present)
            continue;
        struct pl_peg_state *state = find(pegs, i), next = {.instrument = i, .peg = rules->peg};
        if (state)
            carry_over(&next, state);
        else
            state = &pegs->states[pegs->count++];
        pl_assert(pegs->count <= PL_PEGS_MAX);
        *state = next;
    }
}

/* LIVE, young enough by its own rules, in the ticks of its own rules. */
static bool is_good(const struct pl_mark *mark, const struct pl_instrument *rules, int64_t now_ms)
{
    return rules->is_listed && mark->status == PL_MARK_LIVE &&
           mark->exponent == -(int32_t)rules->tick_decimals &&
           now_ms - mark->event_time_ms <= rules->price_rules.age_ms_max;
}

/* mark / base in 10^-12; 0 where one of them is not good or the ratio is out of range. */
static int64_t ratio_to_base(const struct pl_parameters *parameters,
                             const struct pl_peg_state *state, uint32_t market, int64_t at_ms)
{
    const struct pl_instrument *base = &parameters->instruments[state->peg.base];
    const struct pl_instrument *rules =
        &parameters->instruments[state->peg.markets[market].instrument];
    const enum pl_rounding rounding = state->peg.rounds_up ? PL_ROUND_CEIL : PL_ROUND_FLOOR;
    pl_i128 dividend;
    if (!is_good(&state->base, base, at_ms) || !is_good(&state->markets[market], rules, at_ms))
        return 0;
    /* ticks / 10^own * 10^12 / (ticks / 10^base's), with at most 12 decimals each. */
    const pl_i128 divisor = state->base.mantissa;
    if (pl_mul_overflows(state->markets[market].mantissa,
                         pl_pow10(12 + base->tick_decimals - rules->tick_decimals), &dividend))
        return 0;
    const pl_i128 ratio = divide(dividend, divisor, rounding);
    return ratio > 0 && ratio <= PL_PEG_RATIO_E12_MAX ? (int64_t)ratio : 0;
}

static bool take_mark(struct pl_mark *last, const struct pl_mark *mark)
{
    if (last->status != PL_MARK_NONE && !pl_mark_is_newer(mark, last))
        return false;
    *last = *mark;
    return true;
}

static bool see(struct pl_peg_state *state, const struct pl_parameters *parameters,
                uint32_t instrument, const struct pl_mark *mark, int64_t at_ms)
{
    const struct pl_peg *peg = &state->peg;
    const bool is_base = peg->base == instrument && take_mark(&state->base, mark);
    bool is_input = is_base;
    if (peg->redemption == instrument)
        is_input |= take_mark(&state->redemption, mark);
    for (uint32_t i = 0; i < peg->market_count; i++) {
        const bool is_own = peg->markets[i].instrument == instrument &&
                            take_mark(&state->markets[i], mark);
        const int64_t hold_ms =
            parameters->instruments[peg->markets[i].instrument].price_rules.age_ms_max;
        if (is_own || is_base)
            pl_twap_see(&state->twaps[i], peg->markets[i].window_ms, hold_ms,
                        ratio_to_base(parameters, state, i, at_ms), at_ms);
        is_input |= is_own;
    }
    return is_input;
}

uint32_t pl_pegs_see(struct pl_pegs *pegs, const struct pl_parameters *parameters,
                     uint32_t instrument, const struct pl_mark *mark, int64_t at_ms,
                     uint32_t moved[PL_PEGS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pegs->count; i++)
        if (see(&pegs->states[i], parameters, instrument, mark, at_ms))
            moved[count++] = pegs->states[i].instrument;
    return count;
}

/* ---- the ratio ------------------------------------------------------------------------------- */

/* In order of size. */
struct inputs {
    uint32_t count;
    int64_t ratios_e12[INPUTS_MAX];
};

static void add_input(struct inputs *inputs, int64_t ratio_e12)
{
    uint32_t place = inputs->count++;
    for (; place > 0 && inputs->ratios_e12[place - 1] > ratio_e12; place--)
        inputs->ratios_e12[place] = inputs->ratios_e12[place - 1];
    inputs->ratios_e12[place] = ratio_e12;
}

static int64_t median_of(const struct inputs *inputs, enum pl_rounding rounding)
{
    const int64_t upper = inputs->ratios_e12[inputs->count / 2];
    if (inputs->count % 2 == 1)
        return upper;
    const pl_i128 lower = inputs->ratios_e12[inputs->count / 2 - 1];
    return (int64_t)divide(lower + upper, 2, rounding);
}

/* 0: none. A ratio is at most 2^50, the growth of a hundred years at most 10^9 times 2^42: below 2^123. */
static int64_t cap_at(const struct pl_peg *peg, int64_t now_ms, enum pl_rounding rounding)
{
    const int64_t since_ms = (int64_t)pl_min(pl_max(0, (pl_i128)now_ms - peg->cap_since_ms),
                                             YEARS_MAX * YEAR_MS);
    const pl_i128 grown = (pl_i128)peg->cap_ratio_e12 * peg->cap_growth_ppm * since_ms;
    return peg->cap_ratio_e12 +
           (int64_t)divide(grown, (pl_i128)PL_PPM * YEAR_MS, rounding);
}

/* What the redemption says, while anybody is there to redeem; 0: nothing. */
static int64_t redemption_of(const struct pl_peg_state *state,
                             const struct pl_parameters *parameters, int64_t now_ms)
{
    const struct pl_instrument *rules = &parameters->instruments[state->peg.redemption];
    if (state->peg.has_issuer_failed || !is_good(&state->redemption, rules, now_ms))
        return 0;
    const pl_i128 ratio = state->redemption.mantissa * pl_pow10(12 - rules->tick_decimals);
    return ratio <= PL_PEG_RATIO_E12_MAX ? (int64_t)ratio : 0;
}

/* False where there are too few inputs. */
static bool find_ratio(const struct pl_peg_state *state, const struct pl_parameters *parameters,
                       int64_t now_ms, int64_t *ratio_e12, uint32_t *input_count)
{
    const struct pl_peg *peg = &state->peg;
    const enum pl_rounding rounding = peg->rounds_up ? PL_ROUND_CEIL : PL_ROUND_FLOOR;
    const int64_t redemption = redemption_of(state, parameters, now_ms);
    struct inputs inputs = {0};
    if (redemption > 0)
        add_input(&inputs, redemption);
    for (uint32_t i = 0; i < peg->market_count; i++) {
        const struct pl_price_rules *rules =
            &parameters->instruments[peg->markets[i].instrument].price_rules;
        struct pl_twap twap = state->twaps[i]; /* with what has been so since its newest sample */
        int64_t average = 0;
        pl_twap_see(&twap, peg->markets[i].window_ms, rules->age_ms_max, twap.ratio_e12, now_ms);
        if (pl_twap_value(&twap, peg->markets[i].window_ms, now_ms, rounding, &average))
            add_input(&inputs, average);
    }
    *input_count = inputs.count;
    if (inputs.count < (peg->market_count > 0 ? INPUTS_NEEDED : 1))
        return false;
    int64_t ratio = median_of(&inputs, rounding);
    const int64_t floor_e12 =
        (int64_t)divide((pl_i128)redemption * peg->floor_ppm, PL_PPM, rounding);
    ratio = ratio < floor_e12 ? floor_e12 : ratio;
    const int64_t cap_e12 = cap_at(peg, now_ms, rounding);
    *ratio_e12 = peg->cap_ratio_e12 > 0 && ratio > cap_e12 ? cap_e12 : ratio;
    return true;
}

/* ---- the mark -------------------------------------------------------------------------------- */

/* base ticks * ratio in the instrument's ticks; 0 where that is no price. */
static int64_t times_ratio(int64_t base_ticks, int64_t ratio_e12, unsigned base_decimals,
                           unsigned decimals, enum pl_rounding rounding)
{
    pl_i128 product;
    if (pl_mul_overflows((pl_i128)base_ticks * ratio_e12, pl_pow10(decimals), &product))
        return 0;
    const pl_i128 ticks = divide(product, pl_pow10(12 + base_decimals), rounding);
    return ticks <= PL_PRICE_TICKS_MAX ? (int64_t)ticks : 0;
}

/* LIVE, or false where a price leaves its range. */
static bool fill_live(const struct pl_peg_state *state, const struct pl_parameters *parameters,
                      int64_t ratio_e12, struct pl_mark *mark)
{
    const unsigned base = parameters->instruments[state->peg.base].tick_decimals;
    const unsigned own = parameters->instruments[state->instrument].tick_decimals;
    const int64_t price = times_ratio(state->base.mantissa, ratio_e12, base, own,
                                      state->peg.rounds_up ? PL_ROUND_CEIL : PL_ROUND_FLOOR);
    const int64_t low = times_ratio(state->base.low_mantissa, ratio_e12, base, own, PL_ROUND_FLOOR);
    const int64_t high = times_ratio(state->base.high_mantissa, ratio_e12, base, own, PL_ROUND_CEIL);
    if (price == 0 || high == 0)
        return false;
    mark->status = PL_MARK_LIVE;
    mark->mantissa = price;
    mark->low_mantissa = (int64_t)pl_max(1, low);
    mark->high_mantissa = high;
    mark->exponent = -(int32_t)own;
    mark->event_time_ms = state->base.event_time_ms;
    if (state->base.source_offset >= mark->source_offset) {
        mark->source_offset = state->base.source_offset;
        mark->source_partition = state->base.source_partition;
    }
    pl_assert(mark->low_mantissa <= price && price <= high);
    return true;
}

static void derive(const struct pl_peg_state *state, const struct pl_parameters *parameters,
                   int64_t now_ms, struct pl_mark *mark)
{
    int64_t ratio_e12 = 0;
    const bool has_base =
        is_good(&state->base, &parameters->instruments[state->peg.base], now_ms);
    const bool has_ratio = find_ratio(state, parameters, now_ms, &ratio_e12, &mark->source_count);
    if (has_base && has_ratio && fill_live(state, parameters, ratio_e12, mark))
        return;
    if (mark->status == PL_MARK_NONE)
        return;
    const bool is_halted = state->base.status == PL_MARK_HALTED || state->peg.has_issuer_failed ||
                           (has_base && has_ratio);
    mark->status = is_halted ? PL_MARK_HALTED : PL_MARK_STALE; /* G4 */
}

bool pl_peg_mark(const struct pl_pegs *pegs, const struct pl_parameters *parameters,
                 uint32_t instrument, struct pl_aggregate *aggregate, int64_t now_ms, bool restate)
{
    struct pl_mark next = aggregate->mark;
    for (uint32_t i = 0; i < pegs->count; i++)
        if (pegs->states[i].instrument == instrument)
            derive(&pegs->states[i], parameters, now_ms, &next);
    return pl_aggregate_take(aggregate, &next, now_ms, restate);
}
