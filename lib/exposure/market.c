/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks to quotes: the last step before evaluation. Outside prices become ticks here (half-even,
 * one of the two roundings there are) and whatever cannot be trusted loses its LIVE status (G4).
 * Weights are folded once per parameter set, so that evaluating a leg touches one quote and one
 * half cache line instead of a whole instrument.
 */
#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

/* ---- weights: once per parameter set -------------------------------------------------------- */

static void fold_weights(const struct pl_instrument *instrument, enum pl_tier tier,
                         struct pl_weights *weights)
{
    int32_t confidence = pl_tier_charges_doubt(tier) ? instrument->confidence_ppm : 0;
    *weights = (struct pl_weights){
        /* |sum| <= 10^6 + 2^23 by V7. */
        .own_long = PL_PPM - instrument->haircut_long.at[tier] - confidence,
        .own_short = PL_PPM + instrument->haircut_short.at[tier] + confidence,
        .load_count = (uint8_t)instrument->load_count,
        .has_steps = instrument->bracket_count > 0 || instrument->loss_count > 0 ||
                     instrument->group > 0,
    };
    for (uint32_t k = 0; k < instrument->load_count; k++) {
        weights->loads[k] = instrument->loads[k].load.at[tier];
        weights->factors[k] = (uint8_t)instrument->loads[k].factor;
    }
}

static void lay_out(struct pl_market *market, const struct pl_parameters *parameters)
{
    static_assert(PL_FACTORS_MAX <= UINT8_MAX && PL_LOADS_MAX <= UINT8_MAX);
    market->parameters = parameters;
    market->epoch = parameters->epoch;
    market->listed_count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *instrument = &parameters->instruments[i];
        /* The lots and ticks of the old set mean nothing under the new one. */
        market->quotes[i] = (struct pl_quote){.status = PL_MARK_NONE};
        market->halt_haircuts[i] = (struct pl_tier_ppm){0};
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            market->weights[tier][i] = (struct pl_weights){0};
        if (!instrument->is_listed)
            continue;
        market->listed[market->listed_count++] = i;
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            fold_weights(instrument, tier, &market->weights[tier][i]);
    }
    pl_assert(market->listed_count == parameters->instrument_count);
}

/* ---- halted chains and bridges -------------------------------------------------------------- */

enum { RAMP_STEPS = 1000 };

/* Since when the instrument cannot be moved. */
static bool is_stuck(const struct pl_market *market, const struct pl_instrument *instrument,
                     int64_t *since_ms)
{
    bool is_found = false;
    for (uint32_t k = 0; k < market->halt_count; k++) {
        const struct pl_chain_halt *halt = &market->halts[k];
        bool is_its = pl_id_equal(&halt->chain, &instrument->chain) &&
                      (pl_id_is_none(&halt->bridge) ||
                       pl_id_equal(&halt->bridge, &instrument->bridge));
        if (is_its && (!is_found || halt->since_ms < *since_ms))
            *since_ms = halt->since_ms;
        is_found |= is_its;
    }
    return is_found && instrument->kind == PL_INSTRUMENT_SPOT;
}

/* What a haircut may be without the rest making it more than all (V3), at the tier that asks most. */
static int32_t whole_haircut(const struct pl_parameters *parameters,
                             const struct pl_instrument *instrument)
{
    int64_t rest = instrument->confidence_ppm, loss = 0;
    for (uint32_t k = 0; k < instrument->load_count; k++) {
        int32_t load = instrument->loads[k].load.at[PL_TIER_ALERT];
        rest += load < 0 ? -load : load;
    }
    for (uint32_t k = 0; k < instrument->loss_count; k++)
        if (instrument->losses[k].loss.at[PL_TIER_ALERT] > loss)
            loss = instrument->losses[k].loss.at[PL_TIER_ALERT];
    rest += loss;
    if (instrument->group > 0)
        rest += pl_scenario_load(parameters, PL_TIER_ALERT);
    if (instrument->bracket_count > 0)
        rest += instrument->brackets[instrument->bracket_count - 1].rate.at[PL_TIER_ALERT];
    pl_assert(rest <= PL_PPM);
    return (int32_t)(PL_PPM - rest);
}

/* In steps, so that holders are looked at a thousand times and not at every millisecond. */
static int64_t steps_of_ramp(const struct pl_market *market, int64_t since_ms)
{
    int64_t ramp_ms = market->parameters->policy.halt_ramp_ms;
    pl_i128 passed_ms = (pl_i128)market->now_ms - since_ms;
    if (ramp_ms == 0 || passed_ms <= 0)
        return 0;
    pl_i128 steps = pl_div_ceil(passed_ms * RAMP_STEPS, ramp_ms);
    return steps < RAMP_STEPS ? (int64_t)steps : RAMP_STEPS;
}

int32_t pl_halt_haircut(const struct pl_parameters *parameters, const struct pl_instrument *instrument,
                        int32_t haircut, enum pl_tier tier, int64_t steps)
{
    const int32_t missing = whole_haircut(parameters, instrument) - haircut;
    pl_assert(missing >= 0);
    bool is_at_once = tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL;
    return is_at_once ? missing : (int32_t)pl_div_ceil((pl_i128)missing * steps, RAMP_STEPS);
}

static struct pl_tier_ppm halt_haircut(const struct pl_market *market,
                                       const struct pl_instrument *instrument, int64_t steps)
{
    struct pl_tier_ppm result;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        result.at[tier] = pl_halt_haircut(market->parameters, instrument,
                                          instrument->haircut_long.at[tier], tier, steps);
    return result;
}

/* True when anything changed. */
static bool apply_halt(struct pl_market *market, uint32_t i, bool *is_now_stuck)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[i];
    struct pl_tier_ppm haircut = { 0 };
    int64_t since_ms = 0;
    bool has_changed = false;
    *is_now_stuck = is_stuck(market, instrument, &since_ms);
    if (*is_now_stuck) {
        const int64_t steps = steps_of_ramp(market, since_ms);
        haircut = halt_haircut(market, instrument, steps);
        has_changed = market->halt_steps[i] != steps; /* a mode may hide it from the haircut below */
        market->halt_steps[i] = (uint16_t)steps;
    }
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int32_t *last = &market->halt_haircuts[i].at[tier];
        market->weights[tier][i].own_long += *last - haircut.at[tier];
        has_changed |= *last != haircut.at[tier];
        *last = haircut.at[tier];
    }
    return has_changed;
}

/* ---- quotes: every step --------------------------------------------------------------------- */

static bool ticks_of(int64_t mantissa, const struct pl_mark *mark, uint32_t tick_decimals,
                     int64_t *ticks)
{
    return pl_rescale(mantissa, mark->exponent, tick_decimals, PL_ROUND_EVEN, ticks) == PL_OK;
}

/* False when a price leaves the exact range. Half-even rounding keeps low <= ticks <= high. */
static bool price_quote(const struct pl_instrument *instrument, const struct pl_mark *mark,
                        struct pl_quote *quote)
{
    int64_t ticks, low_ticks, high_ticks;
    if (!ticks_of(mark->mantissa, mark, instrument->tick_decimals, &ticks) ||
        !ticks_of(mark->low_mantissa, mark, instrument->tick_decimals, &low_ticks) ||
        !ticks_of(mark->high_mantissa, mark, instrument->tick_decimals, &high_ticks))
        return false;
    if (ticks <= 0 || low_ticks < 0 || low_ticks > ticks || high_ticks < ticks ||
        high_ticks > (pl_i128)ticks * PL_INTERVAL_TIMES_MAX)
        return false;

    const struct pl_price_rules *rules = &instrument->price_rules;
    pl_i128 lot_vu = (pl_i128)ticks * instrument->multiplier;
    pl_i128 high_lot_vu = (pl_i128)high_ticks * instrument->multiplier;
    pl_i128 bad_low = pl_div_floor(lot_vu * rules->bad_mark_low_ppm, PL_PPM);
    pl_i128 bad_high = pl_div_ceil(lot_vu * rules->bad_mark_high_ppm, PL_PPM);
    if (high_lot_vu > INT64_MAX || bad_high > INT64_MAX)
        return false;

    quote->ticks = ticks;
    quote->lot_vu = quote->short_lot_vu = (int64_t)lot_vu;
    quote->low_lot_vu = low_ticks * instrument->multiplier;
    quote->high_lot_vu = (int64_t)high_lot_vu;
    quote->bad_low_lot_vu = (int64_t)bad_low;
    quote->bad_high_lot_vu = (int64_t)bad_high;
    return true;
}

/* A time that is as far ahead as another is too old is no more to be trusted. */
bool pl_mark_is_fresh(int64_t event_time_ms, int64_t now_ms, int64_t age_ms_max)
{
    pl_i128 age_ms = (pl_i128)now_ms - event_time_ms;
    return pl_abs(age_ms) <= age_ms_max;
}

static struct pl_quote derive_quote(const struct pl_instrument *instrument,
                                    const struct pl_mark *mark, int64_t now_ms)
{
    struct pl_quote quote = {.status = PL_MARK_NONE};
    if (mark->status == PL_MARK_NONE)
        return quote;
    if (!price_quote(instrument, mark, &quote))
        return (struct pl_quote){.status = PL_MARK_HALTED};
    quote.status = mark->status;
    if (mark->status == PL_MARK_LIVE &&
        !pl_mark_is_fresh(mark->event_time_ms, now_ms, instrument->price_rules.age_ms_max))
        quote.status = PL_MARK_STALE; /* G4 */
    return quote;
}

bool pl_quotes_are_equal(const struct pl_quote *a, const struct pl_quote *b)
{
    return a->ticks == b->ticks && a->lot_vu == b->lot_vu &&
           a->short_lot_vu == b->short_lot_vu && a->low_lot_vu == b->low_lot_vu &&
           a->high_lot_vu == b->high_lot_vu && a->bad_low_lot_vu == b->bad_low_lot_vu &&
           a->bad_high_lot_vu == b->bad_high_lot_vu && a->status == b->status &&
           a->is_stuck == b->is_stuck;
}

bool pl_mark_is_newer(const struct pl_mark *mark, const struct pl_mark *last)
{
    if (mark->source_offset != last->source_offset)
        return mark->source_offset > last->source_offset;
    return mark->tick > last->tick;
}

void pl_market_update(struct pl_market *market, const struct pl_parameters *parameters,
                      const struct pl_mark *marks, int64_t now_ms)
{
    pl_assert(parameters != NULL);
    market->now_ms = now_ms;
    market->parameters_changed = market->parameters != parameters ||
                                 market->epoch != parameters->epoch;
    market->changed_mask = market->parameters_changed ? UINT64_MAX : 0;
    if (market->parameters_changed)
        lay_out(market, parameters);

    bool looks_at_halts = market->halt_count > 0 || market->has_stuck;
    market->has_stuck = false;
    for (uint32_t k = 0; k < market->listed_count; k++) {
        uint32_t i = market->listed[k];
        if (parameters->instruments[i].kind >= PL_INSTRUMENT_OPTION)
            continue; /* options follow; a volatility is nothing that anybody has */
        struct pl_quote quote = derive_quote(&parameters->instruments[i], &marks[i], now_ms);
        bool has_changed = looks_at_halts && apply_halt(market, i, &quote.is_stuck);
        market->has_stuck |= quote.is_stuck;
        if (!has_changed && pl_quotes_are_equal(&quote, &market->quotes[i]))
            continue;
        market->quotes[i] = quote;
        market->changed_mask |= (uint64_t)1 << (i % 64); /* G3 */
    }
    if (parameters->option_count > 0)
        pl_options_update(market, marks);
}
