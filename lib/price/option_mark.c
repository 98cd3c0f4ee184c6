/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grid of an option as its terms, the set's shocks and the newest prices make it (RISK 1.4).
 * Path: upstream; the grid is published as the option's mark.
 *
 * Floating point, as in black76.c.
 */
#include <math.h>

#include "lib/base/assert.h"
#include "lib/price/price.h"

static const double YEAR_MS = 365.0 * 86400 * 1000;
static const double ONE_PPM = 1e-6;

static double years_until(int64_t expiry_ms, int64_t now_ms)
{
    const double left_ms = (double)expiry_ms - (double)now_ms;
    return left_ms > 0 ? left_ms / YEAR_MS : 0;
}

double pl_option_volatility(const struct pl_mark *mark)
{
    return (double)mark->mantissa * pow(10, mark->exponent);
}

/* ---- the average at expiry ------------------------------------------------------------------ */

/* How much of the window the newest mark covers until now. */
static int64_t running_ms(const struct pl_settlement *settlement,
                          const struct pl_parameters *parameters, uint32_t option, int64_t now_ms)
{
    const struct pl_option_terms *terms = &parameters->instruments[option].option;
    const int64_t hold_ms = parameters->instruments[terms->underlying].price_rules.age_ms_max;
    const int64_t begin_ms = terms->expiry_ms - terms->averaging_ms;
    pl_i128 from_ms = pl_max(settlement->at_ms, begin_ms);
    pl_i128 until_ms = pl_min(now_ms, terms->expiry_ms);
    until_ms = pl_min(until_ms, (pl_i128)settlement->at_ms + hold_ms);
    return settlement->ticks > 0 && until_ms > from_ms ? (int64_t)(until_ms - from_ms) : 0;
}

void pl_settlement_see(struct pl_settlement *settlement, const struct pl_parameters *parameters,
                       uint32_t option, const struct pl_mark *mark, int64_t at_ms)
{
    const struct pl_option_terms *terms = &parameters->instruments[option].option;
    const struct pl_instrument *underlying = &parameters->instruments[terms->underlying];
    pl_assert(terms->averaging_ms > 0);
    if (!pl_mark_is_newer(mark, &settlement->last) || at_ms < settlement->at_ms)
        return;
    const int64_t passed_ms = running_ms(settlement, parameters, option, at_ms);
    settlement->sum += (pl_i128)settlement->ticks * passed_ms;
    settlement->covered_ms += passed_ms;
    settlement->last = *mark;
    settlement->last.grid = NULL;
    settlement->at_ms = at_ms;
    if (mark->status != PL_MARK_LIVE ||
        pl_rescale(mark->mantissa, mark->exponent, underlying->tick_decimals, PL_ROUND_EVEN,
                   &settlement->ticks) ||
        settlement->ticks < 0 || settlement->ticks > INT64_C(1) << 60)
        settlement->ticks = 0;
}

/* Sum and cover at now_ms; false where less than half of what has passed is covered. */
static bool settlement_at(struct pl_settlement *settlement, const struct pl_parameters *parameters,
                          uint32_t option, int64_t now_ms, int64_t *passed_ms)
{
    const struct pl_option_terms *terms = &parameters->instruments[option].option;
    const int64_t more_ms = running_ms(settlement, parameters, option, now_ms);
    const int64_t until_ms = now_ms < terms->expiry_ms ? now_ms : terms->expiry_ms;
    settlement->sum += (pl_i128)settlement->ticks * more_ms;
    settlement->covered_ms += more_ms;
    *passed_ms = until_ms - (terms->expiry_ms - terms->averaging_ms);
    return settlement->covered_ms > 0 && settlement->covered_ms >= *passed_ms - *passed_ms / 2;
}

bool pl_settlement_split_at(const struct pl_settlement *settlement,
                            const struct pl_parameters *parameters, uint32_t option,
                            int64_t now_ms, struct pl_settlement_split *split)
{
    const struct pl_option_terms *terms = &parameters->instruments[option].option;
    struct pl_settlement now = *settlement;
    int64_t passed_ms;
    *split = (struct pl_settlement_split){0};
    if (terms->averaging_ms == 0 || now_ms <= terms->expiry_ms - terms->averaging_ms)
        return true;
    if (!settlement_at(&now, parameters, option, now_ms, &passed_ms))
        return false;
    split->passed = (double)passed_ms / (double)terms->averaging_ms;
    split->fixed_ticks = (double)now.sum / (double)now.covered_ms * split->passed;
    return true;
}

bool pl_settlement_average(const struct pl_settlement *settlement,
                           const struct pl_parameters *parameters, uint32_t option, int64_t *ticks)
{
    struct pl_settlement now = *settlement;
    int64_t passed_ms;
    if (!settlement_at(&now, parameters, option, parameters->instruments[option].option.expiry_ms,
                       &passed_ms))
        return false;
    const pl_i128 twice = 2 * (now.sum % now.covered_ms);
    *ticks = (int64_t)(now.sum / now.covered_ms);
    *ticks += twice > now.covered_ms || (twice == now.covered_ms && *ticks % 2 == 1);
    return true;
}

/* ---- the grid ------------------------------------------------------------------------------- */

static double volatility_of(const struct pl_parameters *parameters, enum pl_layer layer,
                            double volatility, double years)
{
    const struct pl_option_shock *from = &parameters->option_shock;
    const struct pl_volatility_shock shock = {
        .up = from->up_ppm * ONE_PPM, .down = from->down_ppm * ONE_PPM,
        .floor = from->floor_ppm * ONE_PPM, .days_floor = from->days_floor_ppm * ONE_PPM,
        .power_short = from->power_short_ppm * ONE_PPM,
        .power_long = from->power_long_ppm * ONE_PPM};
    const double days = years * 365;
    if (from->days_floor_ppm == 0 || layer == PL_LAYER_MARK || layer == PL_LAYER_MID)
        return volatility;
    return layer == PL_LAYER_UP ? pl_volatility_up(&shock, volatility, days)
                                : pl_volatility_down(&shock, volatility, days);
}

enum pl_err pl_option_grid_fill(const struct pl_parameters *parameters, uint32_t option,
                                const struct pl_option_inputs *inputs, struct pl_option_grid *grid)
{
    const struct pl_instrument *instrument = &parameters->instruments[option];
    const struct pl_option_terms *terms = &instrument->option;
    const struct pl_instrument *underlying = &parameters->instruments[terms->underlying];
    const double rate = parameters->option_shock.rate_ppm * ONE_PPM;
    pl_assert(instrument->kind == PL_INSTRUMENT_OPTION && inputs->ticks > 0);
    enum pl_err err = PL_OK;
    grid->grid = pl_grid_around(inputs->ticks);
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT && !err; layer++) {
        const int64_t ahead_ms =
            layer == PL_LAYER_MARK ? 0 : parameters->option_shock.look_ahead_ms;
        const double years = years_until(terms->expiry_ms, inputs->now_ms + ahead_ms);
        const struct pl_bracket_terms bracket = {
            .type = terms->type, .strike_ticks = terms->strike_ticks,
            .tick_decimals = underlying->tick_decimals, .lot_decimals = instrument->lot_decimals,
            /* What is bought for cash is carried at the rate; a perp or future costs nothing to
             * hold. */
            .forward_ratio = (underlying->kind == PL_INSTRUMENT_SPOT ? exp(rate * years) : 1) *
                             (1 - inputs->split.passed),
            .fixed_ticks = inputs->split.fixed_ticks,
            .volatility = volatility_of(parameters, layer, inputs->volatility, years),
            .years = years, .rate = rate};
        err = pl_bracket_fill(&grid->grid, &bracket, grid->low[layer], grid->high[layer]);
    }
    return err;
}

bool pl_option_settle(const struct pl_parameters *parameters, uint32_t option, int64_t ticks,
                      struct pl_option_grid *grid)
{
    const struct pl_instrument *instrument = &parameters->instruments[option];
    const struct pl_option_terms *terms = &instrument->option;
    const pl_i128 lot_multiplier =
        pl_pow10(PL_DECIMALS_MAX - instrument->lot_decimals -
                 parameters->instruments[terms->underlying].tick_decimals);
    const pl_i128 beyond = terms->type == PL_OPTION_CALL ? (pl_i128)ticks - terms->strike_ticks
                                                         : (pl_i128)terms->strike_ticks - ticks;
    const pl_i128 value = pl_max(0, beyond) * lot_multiplier;
    if (value >= (pl_i128)1 << 62)
        return false;
    grid->grid = pl_grid_around(ticks);
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (uint32_t i = 0; i < grid->grid.node_count; i++)
            grid->low[layer][i] = grid->high[layer][i] = (int64_t)value;
    return true;
}

bool pl_option_is_settled(const struct pl_option_grid *grid)
{
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (uint32_t i = 0; i < grid->grid.node_count; i++)
            if (grid->low[layer][i] != grid->low[0][0] || grid->high[layer][i] != grid->low[0][0])
                return false;
    return true;
}

void pl_option_mark_prices(const struct pl_instrument *instrument, int64_t ticks,
                           struct pl_mark *mark)
{
    const struct pl_option_grid *grid = mark->grid;
    const struct pl_grid_place place = pl_grid_place(&grid->grid, ticks);
    const pl_i128 low = pl_grid_interpolate(grid->low[0][place.node], grid->low[0][place.node + 1],
                                            place);
    const pl_i128 high = -pl_grid_interpolate(-(pl_i128)grid->high[0][place.node],
                                              -(pl_i128)grid->high[0][place.node + 1], place);
    mark->low_mantissa = (int64_t)pl_max(1, low / instrument->multiplier);
    mark->high_mantissa =
        (int64_t)pl_max(mark->low_mantissa, pl_div_ceil(high, instrument->multiplier));
    mark->mantissa = mark->low_mantissa + (mark->high_mantissa - mark->low_mantissa) / 2;
    mark->exponent = -(int32_t)instrument->tick_decimals;
}
