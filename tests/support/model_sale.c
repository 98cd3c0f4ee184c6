/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model of quotes and forced sales: what may be sold, at which limit, what is left
 * afterwards, and, by trying everything, whether any sale reaches the target.
 */
#include "tests/support/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"

bool model_ticks(int64_t mantissa, int32_t exponent, const struct pl_instrument *rules,
                 int64_t *ticks)
{
    int shift = exponent + (int)rules->tick_decimals;
    mpz_t number, power, rest;
    mpz_inits(number, power, rest, NULL);
    mpz_set_si(number, mantissa);
    mpz_ui_pow_ui(power, 10, (unsigned)(shift < 0 ? -shift : shift));
    if (shift >= 0) {
        mpz_mul(number, number, power);
    } else {
        mpz_fdiv_qr(number, rest, number, power);
        mpz_mul_2exp(rest, rest, 1);
        int side = mpz_cmp(rest, power);
        if (side > 0 || (side == 0 && mpz_odd_p(number)))
            mpz_add_ui(number, number, 1);
    }
    bool fits = mpz_sgn(number) > 0 && mpz_fits_slong_p(number);
    if (fits) {
        *ticks = mpz_get_si(number);
        mpz_ui_pow_ui(power, 10, 12 - rules->lot_decimals - rules->tick_decimals);
        mpz_mul(number, number, power);
        fits = mpz_fits_slong_p(number);
    }
    mpz_clears(number, power, rest, NULL);
    return fits;
}

uint32_t model_rank(const struct pl_parameters *parameters, uint32_t instrument)
{
    for (uint32_t i = 0; i < parameters->policy.liquidity_count; i++)
        if (parameters->policy.liquidity_order[i] == instrument)
            return i + 1;
    return 0;
}

/* The value of a lot that such an order is about: of an option what is owned and what is owed differ. */
static int64_t lot_vu(const struct pl_market *market, uint32_t instrument, enum pl_side side)
{
    const struct pl_quote *quote = &market->quotes[instrument];
    return side == PL_SIDE_SELL ? quote->lot_vu : quote->short_lot_vu;
}

/* lot_vu (1 - discount) of a sale, (1 + discount) of a purchase, in ticks, against us. */
void model_limit(const struct pl_market *market, uint32_t instrument, enum pl_side side,
                 int32_t discount_ppm, mpz_t limit)
{
    const struct pl_instrument *rules = &market->parameters->instruments[instrument];
    mpz_t whole;
    mpz_init(whole);
    mpz_set_si(limit, lot_vu(market, instrument, side));
    mpz_mul_si(limit, limit, side == PL_SIDE_SELL ? PL_PPM - discount_ppm : PL_PPM + discount_ppm);
    mpz_ui_pow_ui(whole, 10, 18 - rules->lot_decimals - rules->tick_decimals);
    if (side == PL_SIDE_SELL)
        mpz_fdiv_q(limit, limit, whole);
    else
        mpz_cdiv_q(limit, limit, whole);
    mpz_clear(whole);
}

static int64_t size_of(int64_t lots)
{
    return lots < 0 ? -lots : lots;
}

int64_t model_step(const struct pl_instrument *rules)
{
    return rules->lot_step == 0 ? 1 : rules->lot_step;
}

/* The mark's value of so many lots against so much. */
static int compare_usd(const struct pl_market *market, uint32_t instrument, int64_t lots,
                       int64_t usd)
{
    mpz_t value, least;
    mpz_inits(value, least, NULL);
    mpz_set_si(value, market->quotes[instrument].lot_vu);
    mpz_mul_si(value, value, lots);
    mpz_ui_pow_ui(least, 10, 12);
    mpz_mul_si(least, least, usd);
    int order = mpz_cmp(value, least);
    mpz_clears(value, least, NULL);
    return order;
}

/* The discount of the first rung that holds so many lots. */
int32_t model_discount(const struct pl_market *market, uint32_t instrument, int64_t lots)
{
    const struct pl_instrument *rules = &market->parameters->instruments[instrument];
    for (uint32_t i = 0; i < rules->depth_count; i++)
        if (compare_usd(market, instrument, lots, rules->depth[i].usd_max) <= 0)
            return rules->depth[i].discount_ppm;
    return rules->sale_discount_ppm;
}

int64_t model_saleable_lots(const struct pl_market *market, const struct pl_leg *leg)
{
    int64_t halt[PL_TIER_COUNT];
    if (!market->parameters->instruments[leg->instrument].is_listed || leg->is_unlisted_amount ||
        model_rank(market->parameters, leg->instrument) == 0 ||
        market->quotes[leg->instrument].status != PL_MARK_LIVE ||
        model_halt(market, &market->parameters->instruments[leg->instrument], halt))
        return 0;
    if ((leg->lots > 0) != (leg->final_lots > 0) || leg->lots == 0 || leg->final_lots == 0)
        return 0;
    mpz_t limit;
    mpz_init(limit);
    model_limit(market, leg->instrument, leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY,
                market->parameters->instruments[leg->instrument].sale_discount_ppm, limit);
    bool is_price = mpz_sgn(limit) > 0 && mpz_fits_slong_p(limit);
    mpz_clear(limit);
    int64_t counted = size_of(leg->lots), final = size_of(leg->final_lots);
    int64_t most = counted < final ? counted : final;
    if (leg->lots > 0)
        most = most > leg->credited_lots ? most - leg->credited_lots : 0;
    const struct pl_instrument *rules = &market->parameters->instruments[leg->instrument];
    int64_t step = model_step(rules);
    most = most / step * step;
    bool is_small = compare_usd(market, leg->instrument, most, rules->min_notional_usd) < 0;
    return is_price && !is_small ? most : 0;
}

/* Cash that a sale leg brings (sell) or costs (buy), in VU. */
static void sale_cash(const struct pl_market *market, const struct pl_sale_leg *sold, mpz_t cash)
{
    const struct pl_instrument *rules = &market->parameters->instruments[sold->instrument];
    mpz_t multiplier;
    mpz_init(multiplier);
    mpz_ui_pow_ui(multiplier, 10, 12 - rules->lot_decimals - rules->tick_decimals);
    mpz_set_si(cash, sold->limit_ticks);
    mpz_mul_si(cash, cash, sold->lots);
    mpz_mul(cash, cash, multiplier);
    if (sold->side == PL_SIDE_BUY)
        mpz_neg(cash, cash);
    mpz_clear(multiplier);
}

void model_sell(const struct pl_market *market, const struct pl_portfolio *portfolio,
                const struct pl_sale_leg *sale, uint32_t sale_count, struct pl_leg *legs,
                struct pl_portfolio *after)
{
    memmove(legs, portfolio->legs, portfolio->leg_count * sizeof legs[0]);
    *after = *portfolio;
    after->legs = legs;
    mpz_t cash, brought;
    mpz_inits(cash, brought, NULL);
    for (uint32_t s = 0; s < sale_count; s++) {
        int64_t change = sale[s].side == PL_SIDE_SELL ? -sale[s].lots : sale[s].lots;
        for (uint32_t i = 0; i < after->leg_count; i++) {
            if (legs[i].instrument == sale[s].instrument) {
                legs[i].lots += change;
                legs[i].final_lots += change;
            }
        }
        sale_cash(market, &sale[s], brought);
        mpz_add(cash, cash, brought);
    }
    model_set_i128(brought, portfolio->cash_vu);
    mpz_add(brought, brought, cash);
    after->cash_vu = model_get_i128(brought);
    model_set_i128(brought, portfolio->final_cash_vu);
    mpz_add(brought, brought, cash);
    after->final_cash_vu = model_get_i128(brought);
    mpz_clears(cash, brought, NULL);
}

/* The limit of an order for so many lots. */
static void set_limit(const struct pl_market *market, struct pl_sale_leg *sold, int64_t lots)
{
    mpz_t limit;
    mpz_init(limit);
    model_limit(market, sold->instrument, sold->side,
                model_discount(market, sold->instrument, lots), limit);
    pl_assert(mpz_fits_slong_p(limit));
    sold->limit_ticks = mpz_get_si(limit);
    mpz_clear(limit);
}

uint32_t model_unwind(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      struct pl_sale_leg *sale)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        int64_t lots = model_saleable_lots(market, leg);
        if (!lots)
            continue;
        struct pl_sale_leg *sold = &sale[count++];
        memset(sold, 0, sizeof *sold);
        sold->instrument = leg->instrument;
        sold->side = leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY;
        sold->lots = lots;
        set_limit(market, sold, lots);
    }
    return count;
}

void model_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                  enum pl_tier tier, mpz_t excess)
{
    static struct model_box box;
    static struct model_sheet sheet;
    static struct model_terms terms;
    static bool is_ready;
    if (!is_ready) {
        model_box_init(&box);
        model_sheet_init(&sheet);
        model_terms_init(&terms);
        is_ready = true;
    }
    model_box_fill(&box, market, portfolio);
    pl_assert(!box.is_open);
    model_sheet_corner(&sheet, &box, 0);
    model_evaluate(&sheet, tier, &terms);
    mpz_set(excess, terms.excess);
}

__attribute__((format(printf, 2, 3))) static const char *fault(char text[MODEL_TEXT_BYTES],
                                                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, MODEL_TEXT_BYTES, format, arguments);
    va_end(arguments);
    return text;
}

static const struct pl_leg *leg_of(const struct pl_portfolio *portfolio, uint32_t instrument)
{
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        if (portfolio->legs[i].instrument == instrument)
            return &portfolio->legs[i];
    return NULL;
}

/* 1 + A / D below so many ppm, of a certain portfolio that owes something. */
static bool is_health_below(const struct pl_market *market, const struct pl_portfolio *portfolio,
                            int32_t limit_ppm)
{
    mpz_t debt, value, excess;
    bool is_below = false;
    if (limit_ppm == 0 || !pl_portfolio_is_certain(market, portfolio))
        return false;
    mpz_inits(debt, value, excess, NULL);
    model_set_i128(debt, portfolio->cash_vu < 0 ? -portfolio->cash_vu : 0);
    mpz_mul_ui(debt, debt, PL_PPM);
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        struct pl_instrument rules = market->parameters->instruments[leg->instrument];
        model_apply_mode(portfolio, market->parameters, leg->instrument, true, &rules);
        mpz_set_si(value, leg->lots < 0 ? leg->lots : 0);
        mpz_mul_si(value, value, market->quotes[leg->instrument].lot_vu);
        mpz_mul_si(value, value, PL_PPM + rules.haircut_short.at[PL_TIER_MAINTENANCE]);
        mpz_sub(debt, debt, value);
    }
    model_excess(market, portfolio, PL_TIER_MAINTENANCE, excess);
    mpz_add(excess, excess, debt);
    mpz_mul_ui(excess, excess, PL_PPM);
    mpz_mul_si(value, debt, limit_ppm);
    is_below = mpz_sgn(debt) > 0 && mpz_cmp(excess, value) < 0;
    mpz_clears(debt, value, excess, NULL);
    return is_below;
}

/* From `low` to `high` the fewest steps that the venue takes as an order; `high` where it takes none of them. */
static int64_t orderable_steps(const struct pl_market *market, uint32_t instrument, int64_t low,
                               int64_t high)
{
    const struct pl_instrument *rules = &market->parameters->instruments[instrument];
    int64_t step = model_step(rules);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_usd(market, instrument, middle * step, rules->min_notional_usd) >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

/* What may not be left of a leg. */
static bool is_scrap(const struct pl_market *market, uint32_t instrument, int64_t lots)
{
    return lots > 0 &&
           (compare_usd(market, instrument, lots,
                        market->parameters->instruments[instrument].min_notional_usd) < 0 ||
            compare_usd(market, instrument, lots,
                        market->parameters->policy.close_leftover_usd_min) < 0);
}

/* Steps that one order may have of so many by the close factor; all of them where it does not bind. */
static int64_t close_steps(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           uint32_t instrument, int64_t size)
{
    const struct pl_policy *policy = &market->parameters->policy;
    const struct pl_instrument *rules = &market->parameters->instruments[instrument];
    int64_t step = model_step(rules), whole = size / step;
    if (policy->close_factor_ppm == 0 ||
        compare_usd(market, instrument, size, policy->close_full_below_usd) < 0 ||
        is_health_below(market, portfolio, policy->close_full_below_health_ppm))
        return whole;
    int64_t steps = (int64_t)(((pl_i128)whole * policy->close_factor_ppm + PL_PPM - 1) / PL_PPM);
    int64_t high = orderable_steps(market, instrument, steps > 0 ? steps : 1, whole);
    bool leaves_enough = compare_usd(market, instrument, (whole - high) * step,
                                     policy->close_leftover_usd_min) >= 0;
    return leaves_enough ? high : whole;
}

int64_t model_fitting_lots(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           const struct pl_sale_leg *sold)
{
    const struct pl_instrument *rules = &market->parameters->instruments[sold->instrument];
    int64_t step = model_step(rules);
    int64_t size = model_saleable_lots(market, leg_of(portfolio, sold->instrument));
    int64_t lots = step * orderable_steps(market, sold->instrument, sold->lots / step, size / step);
    bool may_be_whole =
        (rules->slice_usd_max == 0 ||
         compare_usd(market, sold->instrument, size, rules->slice_usd_max) <= 0) &&
        close_steps(market, portfolio, sold->instrument, size) == size / step &&
        (!market->left_lots || market->left_lots[sold->instrument] >= size);
    return may_be_whole && is_scrap(market, sold->instrument, size - lots) ? size : lots;
}

static const char *sale_leg_fault(const struct pl_market *market,
                                  const struct pl_portfolio *portfolio,
                                  const struct pl_sale_leg *sold, char text[MODEL_TEXT_BYTES])
{
    const struct pl_leg *leg = leg_of(portfolio, sold->instrument);
    if (!leg)
        return fault(text, "instrument %u is not held", sold->instrument);
    int64_t size = model_saleable_lots(market, leg);
    if (!size)
        return fault(text, "instrument %u may not be sold", sold->instrument);
    if (sold->side != (leg->lots > 0 ? PL_SIDE_SELL : PL_SIDE_BUY))
        return fault(text, "instrument %u: wrong side", sold->instrument);
    const struct pl_instrument *rules = &market->parameters->instruments[sold->instrument];
    int64_t step = model_step(rules);
    if (sold->lots % step != 0)
        return fault(text, "instrument %u: %" PRId64 " lots in steps of %" PRId64,
                     sold->instrument, sold->lots, step);
    /* A slice may be what the venue takes at least, or one step. */
    if (rules->slice_usd_max > 0 && sold->lots > step &&
        compare_usd(market, sold->instrument, sold->lots, rules->slice_usd_max) > 0 &&
        compare_usd(market, sold->instrument, sold->lots - step, rules->min_notional_usd) >= 0)
        return fault(text, "instrument %u: more than a slice", sold->instrument);
    if (sold->lots / step > close_steps(market, portfolio, sold->instrument, size))
        return fault(text, "instrument %u: more than the close factor", sold->instrument);
    if (market->left_lots && sold->lots > market->left_lots[sold->instrument])
        return fault(text, "instrument %u: more than the brake leaves", sold->instrument);
    /* Extended: one step less is too little for the venue, or would leave it too little. */
    int64_t left = size - (sold->lots - step);
    bool is_least = compare_usd(market, sold->instrument, sold->lots - step,
                                rules->min_notional_usd) < 0;
    bool leaves_dust = sold->lots == size && is_scrap(market, sold->instrument, left);
    if (sold->is_extended && !is_least && !leaves_dust)
        return fault(text, "instrument %u: extended without a reason", sold->instrument);
    if (sold->lots <= 0 || sold->lots > size)
        return fault(text, "instrument %u: %" PRId64 " of %" PRId64 " lots", sold->instrument,
                     sold->lots, size);
    mpz_t limit;
    mpz_init(limit);
    model_limit(market, sold->instrument, sold->side,
                model_discount(market, sold->instrument, sold->lots), limit);
    bool is_equal = mpz_fits_slong_p(limit) && mpz_get_si(limit) == sold->limit_ticks;
    const char *text_or_null = NULL;
    if (!is_equal)
        text_or_null = fault(text, "instrument %u: limit %" PRId64 " of ticks %" PRId64,
                             sold->instrument, sold->limit_ticks,
                             market->quotes[sold->instrument].ticks);
    mpz_clear(limit);
    return text_or_null;
}

const char *model_sale_fault(const struct pl_market *market, const struct pl_portfolio *portfolio,
                             const struct pl_sale *sale, char text[MODEL_TEXT_BYTES])
{
    if (sale->leg_count > PL_SALE_LEGS_MAX)
        return fault(text, "%u legs", sale->leg_count);
    uint32_t last_rank = 0;
    for (uint32_t i = 0; i < sale->leg_count; i++) {
        const char *wrong = sale_leg_fault(market, portfolio, &sale->legs[i], text);
        if (wrong)
            return wrong;
        uint32_t rank = model_rank(market->parameters, sale->legs[i].instrument);
        if (rank <= last_rank)
            return fault(text, "leg %u: rank %u after %u", i, rank, last_rank);
        last_rank = rank;
    }
    if (sale->reaches != (sale->end_after >= 0))
        return fault(text, "reaches is %d", sale->reaches);
    if (sale->reaches && sale->is_bankrupt)
        return fault(text, "it reaches and is called bankrupt");
    return NULL;
}

/* Against the mark; in these small worlds it fits. */
pl_i128 model_sale_cost(const struct pl_market *market, const struct pl_sale_leg *sold)
{
    const struct pl_instrument *rules = &market->parameters->instruments[sold->instrument];
    pl_i128 limit_vu = sold->limit_ticks;
    for (unsigned i = rules->lot_decimals + rules->tick_decimals; i < 12; i++)
        limit_vu *= 10;
    const pl_i128 cost = (lot_vu(market, sold->instrument, sold->side) - limit_vu) * sold->lots;
    return cost < 0 ? -cost : cost;
}

int model_find_sale(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    uint64_t limit, bool is_in_parts, struct pl_sale_leg *sale, uint32_t *sale_count,
                    pl_i128 *cost_vu)
{
    static struct pl_sale_leg whole[PL_LEGS_MAX], tried[PL_LEGS_MAX];
    static struct pl_leg legs[PL_LEGS_MAX];
    uint32_t count = model_unwind(market, portfolio, whole);
    uint64_t combinations = 1, steps[PL_LEGS_MAX];
    int64_t least[PL_LEGS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        int64_t step = model_step(&market->parameters->instruments[whole[i].instrument]);
        steps[i] = (uint64_t)(whole[i].lots / step);
        least[i] = step * orderable_steps(market, whole[i].instrument, 1, whole[i].lots / step);
        if (steps[i] >= limit)
            return -1;
        combinations *= steps[i] + 1;
        if (combinations > limit)
            return -1;
    }
    mpz_t excess;
    mpz_init(excess);
    int found = 0;
    for (uint64_t choice = 0; choice < combinations; choice++) {
        uint64_t rest = choice;
        struct pl_portfolio after;
        pl_i128 cost = 0;
        memcpy(tried, whole, count * sizeof tried[0]);
        for (uint32_t i = 0; i < count; i++) {
            tried[i].lots = (int64_t)(rest % (steps[i] + 1)) * (whole[i].lots / (int64_t)steps[i]);
            rest /= steps[i] + 1;
            set_limit(market, &tried[i], is_in_parts ? least[i] : tried[i].lots);
            cost += model_sale_cost(market, &tried[i]);
        }
        if (found && cost >= *cost_vu)
            continue;
        model_sell(market, portfolio, tried, count, legs, &after);
        model_excess(market, &after, PL_TIER_END, excess);
        if (mpz_sgn(excess) < 0 || model_within_cash(&after, market->parameters, 1) < 0)
            continue;
        found = 1;
        *cost_vu = cost;
        memcpy(sale, tried, count * sizeof sale[0]);
    }
    *sale_count = count;
    mpz_clear(excess);
    return found;
}
