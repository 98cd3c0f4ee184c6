/* SPDX-License-Identifier: Apache-2.0 */
/* Marks that follow from other marks (derived.h). */
#include "services/cli/derived.h"

#include "lib/price/price.h"

/* ---- options --------------------------------------------------------------------------------- */

/* A price that a grid can be around. */
static bool ticks_of(const struct pl_mark *mark, const struct pl_instrument *rules, int64_t *ticks)
{
    return mark->status != PL_MARK_NONE &&
           !pl_rescale(mark->mantissa, mark->exponent, rules->tick_decimals, PL_ROUND_EVEN, ticks) &&
           *ticks >= 1 && *ticks <= INT64_C(1) << 60;
}

bool derived_option(const struct pl_parameters *parameters, uint32_t option, const struct pl_mark *marks,
                    int64_t now_ms, struct pl_option_grid *grid, struct pl_mark *mark)
{
    const struct pl_instrument *instruments = parameters->instruments;
    const struct pl_option_terms *terms = &instruments[option].option;
    const struct pl_mark *volatility = &marks[terms->volatility];
    const int64_t age_ms_max = instruments[terms->volatility].price_rules.age_ms_max;
    struct pl_option_inputs inputs = { .now_ms = now_ms };
    int64_t unused;
    if (!ticks_of(volatility, &instruments[terms->volatility], &unused) ||
        !ticks_of(&marks[terms->underlying], &instruments[terms->underlying], &inputs.ticks))
        return false;
    inputs.volatility = pl_option_volatility(volatility);
    if (pl_option_grid_fill(parameters, option, &inputs, grid))
        return false;
    const bool is_live = volatility->status == PL_MARK_LIVE &&
                         pl_abs((pl_i128)now_ms - volatility->event_time_ms) <= age_ms_max;
    *mark = (struct pl_mark){ .status = volatility->status,
                              .event_time_ms = is_live ? now_ms : volatility->event_time_ms,
                              .grid = grid };
    if (!is_live && mark->status == PL_MARK_LIVE)
        mark->status = PL_MARK_STALE; /* too old by its own rules, whatever the option's are */
    pl_option_mark_prices(&instruments[option], inputs.ticks, mark);
    return true;
}

static bool has_moved(const struct pl_mark *before, const struct pl_mark *after)
{
    return before->status != after->status || before->mantissa != after->mantissa ||
           before->low_mantissa != after->low_mantissa ||
           before->high_mantissa != after->high_mantissa || before->exponent != after->exponent ||
           before->event_time_ms != after->event_time_ms;
}

/* ---- pegs ------------------------------------------------------------------------------------ */

/* mantissa * after / before; 0, which is no price, where it leaves the range. */
static int64_t in_proportion(int64_t mantissa, int64_t after, int64_t before, bool rounds_up)
{
    const pl_i128 product = (pl_i128)mantissa * after;
    const pl_i128 moved = rounds_up ? pl_div_ceil(product, before) : pl_div_floor(product, before);
    return moved <= PL_PRICE_TICKS_MAX ? (int64_t)moved : 0;
}

/* False where a base has no price to reckon with. */
static bool base_ticks(const struct pl_mark *mark, uint32_t decimals, int64_t *ticks, int64_t *low,
                       int64_t *high)
{
    return mark->status != PL_MARK_NONE &&
           !pl_rescale(mark->mantissa, mark->exponent, decimals, PL_ROUND_EVEN, ticks) &&
           !pl_rescale(mark->low_mantissa, mark->exponent, decimals, PL_ROUND_EVEN, low) &&
           !pl_rescale(mark->high_mantissa, mark->exponent, decimals, PL_ROUND_EVEN, high) &&
           *ticks > 0;
}

/* Base times ratio, where the ratio is that of the two marks before. */
static void follow_base(const struct pl_mark *before, const struct pl_mark *after, uint32_t decimals,
                        bool rounds_up, struct pl_mark *mark)
{
    int64_t from, to, low, high;
    const int64_t price = mark->mantissa;
    mark->mantissa = 0; /* no price: the market takes it for HALTED */
    if (!base_ticks(before, decimals, &from, &low, &high) ||
        !base_ticks(after, decimals, &to, &low, &high))
        return;
    mark->mantissa = in_proportion(price, to, from, rounds_up);
    mark->low_mantissa = (int64_t)pl_max(1, in_proportion(price, low, from, false));
    mark->high_mantissa = in_proportion(price, high, from, true);
    if (after->event_time_ms != before->event_time_ms)
        mark->event_time_ms = after->event_time_ms; /* it is as old as its base's */
}

/* ---- together -------------------------------------------------------------------------------- */

void derived_follow(const struct pl_parameters *parameters, int64_t now_ms,
                    const struct pl_mark before[PL_INSTRUMENTS_MAX],
                    const bool is_stated[PL_INSTRUMENTS_MAX],
                    struct pl_mark marks[PL_INSTRUMENTS_MAX],
                    struct pl_option_grid grids[PL_OPTIONS_MAX])
{
    const struct pl_instrument *instruments = parameters->instruments;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) { /* before options, which may be on these */
        const struct pl_peg *peg = &instruments[i].peg;
        if (instruments[i].is_listed && peg->is_present && !is_stated[i] &&
            marks[i].status != PL_MARK_NONE && has_moved(&before[peg->base], &marks[peg->base]))
            follow_base(&before[peg->base], &marks[peg->base], instruments[peg->base].tick_decimals,
                        peg->rounds_up, &marks[i]);
    }
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_option_terms *terms = &instruments[i].option;
        if (!instruments[i].is_listed || instruments[i].kind != PL_INSTRUMENT_OPTION ||
            now_ms >= terms->expiry_ms - terms->averaging_ms ||
            (!has_moved(&before[terms->underlying], &marks[terms->underlying]) &&
             !has_moved(&before[terms->volatility], &marks[terms->volatility])))
            continue;
        if (!derived_option(parameters, i, marks, now_ms, &grids[instruments[i].option_slot], &marks[i]))
            marks[i].grid = NULL; /* no value: the market takes it for HALTED */
    }
}

enum pl_err derived_check(const struct pl_parameters *parameters, const struct pl_names *names,
                          uint32_t instrument)
{
    const struct pl_instrument *rules = &parameters->instruments[instrument];
    if (rules->kind != PL_INSTRUMENT_OPTION)
        return PL_OK;
    return pl_err_set(PL_REJECT_CONFLICT, "an option's value is derived; change its underlying %s or its "
                      "volatility %s", names->ids[rules->option.underlying].text,
                      names->ids[rules->option.volatility].text);
}
