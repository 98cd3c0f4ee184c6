/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: their values at a market, and what the legs on one underlying ask for together (RISK
 * 1.4, 1.5). A grid is interpolated once per price of the underlying, for everybody: an account
 * then adds lots times values, exactly, so that in positions the excess is concave without a
 * rounding.
 *
 *   gain_s  = sum q (V_s - V_0) + x_s sum n_i / 10^6    options, and what moves with the underlying
 *   SR      = max(0, max_s -k_s gain_s, minimum * underlying value of the options owed)
 *
 * where V is the lower bound of what is owned and the upper bound of what is owed. Each -k_s gain_s
 * together with the equity's own q V_0 is (10^6 - k_s) V_0 + k_s V_s: with k_s <= 10^6 (V10) and
 * low <= high (V4) concave in q, and so is the least of them.
 *
 * Where something is not certain each scenario takes it at the end that is asked for. An option at
 * an open number of lots: the sum above does not fall as they grow, in any scenario, so it is at
 * its ends. An option in doubt lies between 0 and its bound, which moves no faster than the
 * underlying: at best it gains and at worst it costs what so much of the underlying would.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

/* ---- values at a market --------------------------------------------------------------------- */

static const int64_t VALUE_VU_MAX = INT64_MAX / 2;
static const int64_t PRICE_TICKS_MAX = INT64_C(1) << 60;

/* Bounds of one lot's value at a price, rounded outward. The end lines of a grid may leave what can
 * be: no value is below 0. */
static bool value_at(const struct pl_option_grid *grid, enum pl_layer layer, int64_t ticks,
                     int64_t *low, int64_t *high)
{
    const struct pl_grid_place place = pl_grid_place(&grid->grid, ticks);
    const int64_t *lows = &grid->low[layer][place.node], *highs = &grid->high[layer][place.node];
    const pl_i128 least = pl_max(0, pl_grid_interpolate(lows[0], lows[1], place));
    const pl_i128 most = -pl_grid_interpolate(-(pl_i128)highs[0], -(pl_i128)highs[1], place);
    if (least > VALUE_VU_MAX || most > VALUE_VU_MAX)
        return false;
    *low = (int64_t)least;
    *high = (int64_t)pl_max(least, most);
    return true;
}

static bool value_all(const struct pl_parameters *parameters, const struct pl_option_grid *grid,
                      int64_t ticks, struct pl_option_values *values)
{
    if (!value_at(grid, PL_LAYER_MARK, ticks, &values->low[0], &values->high[0]))
        return false;
    values->peak_lot_vu = values->high[0];
    for (uint32_t s = 0; s < parameters->scenario_count; s++) {
        const struct pl_option_scenario *scenario = &parameters->scenarios[s];
        const pl_i128 moved =
            pl_div_floor((pl_i128)ticks * (PL_PPM + scenario->move_ppm), PL_PPM);
        if (moved > PRICE_TICKS_MAX ||
            !value_at(grid, scenario->layer, (int64_t)moved, &values->low[1 + s],
                      &values->high[1 + s]))
            return false;
        if (values->high[1 + s] > values->peak_lot_vu)
            values->peak_lot_vu = values->high[1 + s];
    }
    return true;
}

/* price * ppm in whole ticks, rounded up, times what a tick of the underlying makes of a lot. */
static bool bound_of(int64_t ticks, int32_t ppm, int64_t lot_multiplier, int64_t *vu)
{
    const pl_i128 bound = pl_div_ceil((pl_i128)ticks * ppm, PL_PPM) * lot_multiplier;
    if (bound > VALUE_VU_MAX)
        return false;
    *vu = (int64_t)bound;
    return true;
}

/* False when the option has no value that means anything. */
static bool price_option(const struct pl_market *market, const struct pl_instrument *instrument,
                         const struct pl_mark *mark, struct pl_quote *quote,
                         struct pl_option_values *values)
{
    const struct pl_parameters *parameters = market->parameters;
    const struct pl_option_terms *terms = &instrument->option;
    const struct pl_instrument *underlying = &parameters->instruments[terms->underlying];
    const struct pl_quote *under = &market->quotes[terms->underlying];
    const int64_t lot_multiplier = (int64_t)pl_pow10(
        PL_DECIMALS_MAX - instrument->lot_decimals - underlying->tick_decimals);
    int64_t notional, bound;
    if (!mark->grid || under->ticks == 0 ||
        !value_all(parameters, mark->grid, under->ticks, values) ||
        !bound_of(under->ticks, PL_PPM, lot_multiplier, &values->notional_lot_vu) ||
        !bound_of(under->ticks, underlying->price_rules.bad_mark_high_ppm, lot_multiplier,
                  &notional))
        return false;
    bound = notional;
    if (terms->type == PL_OPTION_PUT &&
        !bound_of(terms->strike_ticks, instrument->price_rules.bad_mark_high_ppm, lot_multiplier,
                  &bound))
        return false;
    *quote = (struct pl_quote){
        .ticks = values->low[0] / instrument->multiplier,
        .lot_vu = values->low[0], .short_lot_vu = values->high[0],
        .low_lot_vu = values->low[0], .high_lot_vu = values->low[0],
        .bad_high_lot_vu = bound, .status = mark->status};
    if (quote->ticks == 0)
        quote->ticks = 1; /* worth less than a tick is not without a price */
    if (mark->status == PL_MARK_LIVE &&
        !pl_mark_is_fresh(mark->event_time_ms, market->now_ms, instrument->price_rules.age_ms_max))
        quote->status = PL_MARK_STALE;
    if (quote->status == PL_MARK_LIVE)
        quote->status = under->status;
    if (quote->status != PL_MARK_LIVE)
        values->notional_lot_vu = notional;
    if (values->notional_lot_vu > values->peak_lot_vu)
        values->peak_lot_vu = values->notional_lot_vu;
    return true;
}

void pl_options_update(struct pl_market *market, const struct pl_mark *marks)
{
    for (uint32_t k = 0; k < market->listed_count; k++) {
        const uint32_t i = market->listed[k];
        const struct pl_instrument *instrument = &market->parameters->instruments[i];
        if (instrument->kind != PL_INSTRUMENT_OPTION)
            continue;
        struct pl_option_values values = {0};
        struct pl_quote quote = {.status = PL_MARK_NONE};
        if (marks[i].status != PL_MARK_NONE &&
            !price_option(market, instrument, &marks[i], &quote, &values)) {
            quote = (struct pl_quote){.status = PL_MARK_HALTED};
            values = (struct pl_option_values){0};
        }
        struct pl_option_values *last = &market->options[instrument->option_slot];
        if (pl_quotes_are_equal(&quote, &market->quotes[i]) &&
            memcmp(&values, last, sizeof values) == 0)
            continue;
        market->quotes[i] = quote;
        *last = values;
        market->changed_mask |= (uint64_t)1 << (i % 64); /* G3 */
    }
}

/* ---- what a group asks for ------------------------------------------------------------------ */

struct sums {
    pl_i128 now, then[PL_OPTION_SCENARIOS_MAX]; /* options */
    /* What moves with the underlying, counted where that rises and where it falls. */
    pl_i128 rising, falling;
    bool has_no_rising, has_no_falling; /* without bound */
    pl_i128 owed; /* underlying value of the options owed */
};

static void add_option(struct sums *sums, const struct pl_market *market,
                       const struct pl_instrument *instrument, int64_t lots)
{
    const struct pl_option_values *values = &market->options[instrument->option_slot];
    const int64_t *side = lots < 0 ? values->high : values->low;
    const uint32_t count = market->parameters->scenario_count;
    sums->now += (pl_i128)lots * side[0];
    for (uint32_t s = 0; s < count; s++)
        sums->then[s] += (pl_i128)lots * side[1 + s];
    if (lots < 0)
        sums->owed -= (pl_i128)lots * values->notional_lot_vu;
}

static void add_doubtful_option(struct sums *sums, const struct pl_market *market,
                                const struct pl_leg *leg, enum end end)
{
    const struct reach reach = pl_reach_of(market, leg);
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    const int64_t least = leg->lots < leg->final_lots ? leg->lots : leg->final_lots;
    sums->rising += end == END_HIGH ? reach.value.high : reach.value.low;
    sums->has_no_rising |= end == END_HIGH ? reach.value.has_no_high : reach.value.has_no_low;
    if (end == END_LOW && least < 0)
        sums->owed -= (pl_i128)least * market->options[instrument->option_slot].notional_lot_vu;
}

/* Where the excess grows with the leg, as with all spot (V3), the leg is at the end asked for in
 * every scenario; else each scenario takes its own. */
static void add_linear(struct sums *sums, const struct pl_market *market,
                       const struct pl_portfolio *portfolio, const struct pl_leg *leg,
                       enum pl_tier tier, enum end end)
{
    struct span span = pl_reach_of(market, leg).value;
    const bool is_open = span.low != span.high || span.has_no_low || span.has_no_high;
    if (is_open && pl_grows_in_scenarios(market, portfolio, leg, tier, end)) {
        if (end == END_HIGH)
            span = (struct span){span.high, span.high, span.has_no_high, span.has_no_high};
        else
            span = (struct span){span.low, span.low, span.has_no_low, span.has_no_low};
    }
    sums->rising += end == END_HIGH ? span.high : span.low;
    sums->falling += end == END_HIGH ? span.low : span.high;
    sums->has_no_rising |= end == END_HIGH ? span.has_no_high : span.has_no_low;
    sums->has_no_falling |= end == END_HIGH ? span.has_no_low : span.has_no_high;
}

static void add_leg(struct sums *sums, const struct pl_market *market,
                    const struct pl_portfolio *portfolio, const struct pl_leg *leg, enum pl_tier tier,
                    enum end end)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    if (instrument->kind != PL_INSTRUMENT_OPTION) {
        add_linear(sums, market, portfolio, leg, tier, end);
    } else if (market->quotes[leg->instrument].status != PL_MARK_LIVE) {
        add_doubtful_option(sums, market, leg, end);
    } else {
        const bool is_final = (leg->final_lots < leg->lots) == (end == END_LOW);
        add_option(sums, market, instrument, is_final ? leg->final_lots : leg->lots);
    }
}

/*
 * In VU ppm^2: a group's options are at most 2^83 VU each way (pl_options_are_in_range), what moves
 * with the underlying 2^80, moves 2^23 ppm, weights 2^20 ppm: below 2^126. The charge is rounded up
 * to VU ppm, once.
 */
static struct scenario_charge worst_of(const struct sums *sums,
                                       const struct pl_parameters *parameters, enum pl_tier tier,
                                       enum end end)
{
    struct scenario_charge worst = {.scenario = 0};
    pl_i128 most = 0;
    for (uint32_t s = 0; s < parameters->scenario_count; s++) {
        const struct pl_option_scenario *scenario = &parameters->scenarios[s];
        const int32_t move = scenario->move_ppm, weight = scenario->weight.at[tier];
        const bool is_open = (move > 0 && sums->has_no_rising) ||
                             (move < 0 && sums->has_no_falling);
        if (is_open && end == END_LOW && weight > 0)
            worst.is_unbounded = true;
        if (is_open)
            continue;
        const pl_i128 gain = (sums->then[s] - sums->now) * PL_PPM +
                             (move > 0 ? sums->rising : sums->falling) * move;
        if (-gain * weight > most) {
            most = -gain * weight;
            worst.scenario = s;
        }
    }
    worst.charge = pl_div_ceil(most, PL_PPM);
    const pl_i128 minimum = sums->owed * parameters->short_minimum.at[tier];
    if (minimum > worst.charge) {
        worst.charge = minimum;
        worst.scenario = PL_SHORT_MINIMUM;
    }
    return worst;
}

static void add_group(struct sums *sums, const struct pl_market *market,
                      const struct pl_portfolio *portfolio, enum pl_tier tier, uint32_t group,
                      enum end end)
{
    const struct pl_parameters *parameters = market->parameters;
    sums->now = sums->rising = sums->falling = sums->owed = 0;
    sums->has_no_rising = sums->has_no_falling = false;
    for (uint32_t s = 0; s < parameters->scenario_count; s++)
        sums->then[s] = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        if (parameters->instruments[leg->instrument].group == group &&
            !pl_leg_is_unlisted(market, leg))
            add_leg(sums, market, portfolio, leg, tier, end);
    }
}

struct scenario_charge pl_scenario_charge(const struct pl_market *market,
                                          const struct pl_portfolio *portfolio, enum pl_tier tier,
                                          uint32_t group, enum end end)
{
    struct sums sums;
    add_group(&sums, market, portfolio, tier, group, end);
    return worst_of(&sums, market->parameters, tier, end);
}

void pl_scenario_pieces(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        enum pl_tier tier, uint32_t group,
                        pl_i128 pieces[PL_OPTION_SCENARIOS_MAX + 1])
{
    const struct pl_parameters *parameters = market->parameters;
    struct sums sums;
    add_group(&sums, market, portfolio, tier, group, END_HIGH);
    for (uint32_t s = 0; s < parameters->scenario_count; s++) {
        const struct pl_option_scenario *scenario = &parameters->scenarios[s];
        const pl_i128 gain =
            (sums.then[s] - sums.now) * PL_PPM + sums.rising * scenario->move_ppm;
        pieces[s] = -gain * scenario->weight.at[tier];
    }
    pieces[parameters->scenario_count] = sums.owed * parameters->short_minimum.at[tier] * PL_PPM;
}

/* ---- what the rest needs to know ------------------------------------------------------------ */

bool pl_options_are_in_range(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    const struct pl_parameters *parameters = market->parameters;
    pl_i128 peak = 0;
    if (parameters->option_count == 0)
        return true;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const struct pl_instrument *instrument = &parameters->instruments[leg->instrument];
        if (instrument->kind != PL_INSTRUMENT_OPTION || leg->is_unlisted_amount)
            continue;
        const pl_i128 lots = pl_max(pl_abs(leg->lots), pl_abs(leg->final_lots));
        peak += lots * market->options[instrument->option_slot].peak_lot_vu;
        if (peak > 8 * PL_VALUE_VU_MAX)
            return false;
    }
    return true;
}

uint64_t pl_groups_of(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    static_assert(PL_OPTION_GROUPS_MAX < 64, "groups are marked in 64 bits, from 1 up");
    uint64_t groups = 0;
    if (market->parameters->group_count == 0)
        return 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        groups |= (uint64_t)1
                  << market->parameters->instruments[portfolio->legs[i].instrument].group;
    return groups >> 1;
}

int64_t pl_scenario_load(const struct pl_parameters *parameters, enum pl_tier tier)
{
    int64_t most = 0;
    for (uint32_t s = 0; s < parameters->scenario_count; s++) {
        const struct pl_option_scenario *scenario = &parameters->scenarios[s];
        const int64_t size = scenario->move_ppm < 0 ? -(int64_t)scenario->move_ppm
                                                    : scenario->move_ppm;
        const int64_t load =
            (int64_t)pl_div_ceil((pl_i128)size * scenario->weight.at[tier], PL_PPM);
        if (load > most)
            most = load;
    }
    return most;
}
