/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts over inputs that may be bad: lower and upper bounds of the excess (G4), the same terms
 * as evaluate.c for people, and the doubts that an account has. Uncertain is not a shield: whoever
 * is below the line at the upper bound is below it for certain.
 *
 * Each leg's value n lies in an interval. The excess A is a sum of terms, and two facts bound it:
 *
 *  1. If A cannot fall as n grows, whatever else is held, then its least value over the interval is
 *     taken at the low end and its greatest at the high end: the bound is an exact evaluation there.
 *     The slope of A in n is at least own_long - sum |loads| - largest loss - top rate for n > 0, and
 *     own_short - sum |loads| for n < 0 (moving toward 0 only relieves brackets). V3 says that it is
 *     never negative for spot; a derivative may ask for more than its value.
 *  2. Otherwise each term takes its own extreme over the interval, which may be too far, never too
 *     near.
 *
 * The upper bound stays concave in the lots that a sale takes from a leg, so plan.c may bisect on
 * it: a sale shifts both ends of the leg's interval by the same amount, and over a shifted interval
 * the greatest value of a concave function (own) is concave in the shift, while the distance of 0
 * from it (factors, brackets, losses at their least) is convex.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

struct scope {
    const struct pl_market *market;
    const struct pl_portfolio *portfolio;
    struct reach reaches[PL_LEGS_MAX];
};

/* ---- what is open --------------------------------------------------------------------------- */

bool pl_leg_is_unlisted(const struct pl_market *market, const struct pl_leg *leg)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    return leg->is_unlisted_amount || !instrument->is_listed ||
           instrument->kind >= PL_INSTRUMENT_VOLATILITY;
}

/* unc of so many lots. */
static pl_i128 unc_of(const struct pl_quote *quote, int64_t lots)
{
    return (pl_i128)lots * (quote->lot_vu - (lots < 0 ? quote->high_lot_vu : quote->low_lot_vu));
}

/* A product of lots and the value of one lot is at most 2^126. */
struct reach pl_reach_of(const struct pl_market *market, const struct pl_leg *leg)
{
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    int64_t least = leg->lots < leg->final_lots ? leg->lots : leg->final_lots;
    int64_t most = leg->lots < leg->final_lots ? leg->final_lots : leg->lots;
    struct reach reach = {0};
    if (pl_leg_is_unlisted(market, leg)) {
        reach.value.has_no_low = least < 0;
    } else if (quote->ticks == 0) {
        reach.value.has_no_low = least < 0;
        reach.value.has_no_high = most > 0;
    } else if (quote->status == PL_MARK_LIVE) {
        reach.value.low = (pl_i128)least * (least < 0 ? quote->short_lot_vu : quote->lot_vu);
        reach.value.high = (pl_i128)most * (most < 0 ? quote->short_lot_vu : quote->lot_vu);
        reach.unc_low = unc_of(quote, least);
        reach.unc_high = unc_of(quote, most);
    } else {
        /* An asset may be worth nothing. The interval of a bad mark says no more than the bounds
         * that already stand for it, so there is no unc. */
        int64_t best_lot_vu = most < 0 ? quote->bad_low_lot_vu : quote->bad_high_lot_vu;
        reach.value.low = least < 0 ? (pl_i128)least * quote->bad_high_lot_vu : 0;
        reach.value.high = (pl_i128)most * best_lot_vu;
    }
    return reach;
}

/* False when a bounded end leaves the range of exact evaluation. */
static bool scope_init(struct scope *scope, const struct pl_market *market,
                       const struct pl_portfolio *portfolio)
{
    pl_assert(portfolio->leg_count <= PL_LEGS_MAX);
    scope->market = market;
    scope->portfolio = portfolio;
    if (pl_abs(portfolio->cash_vu) > PL_CASH_VU_MAX ||
        pl_abs(portfolio->final_cash_vu) > PL_CASH_VU_MAX)
        return false;
    pl_i128 gross = 0;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        pl_assert(portfolio->legs[i].instrument < PL_INSTRUMENTS_MAX);
        struct reach *reach = &scope->reaches[i];
        *reach = pl_reach_of(market, &portfolio->legs[i]);
        gross += pl_max(pl_abs(reach->value.low), pl_abs(reach->value.high));
        if (gross > PL_VALUE_VU_MAX)
            return false;
    }
    return pl_options_are_in_range(market, portfolio);
}

/* ---- one end of the excess ------------------------------------------------------------------ */

static int32_t top_rate(const struct pl_instrument *instrument, enum pl_tier tier)
{
    return instrument->bracket_count == 0
               ? 0
               : instrument->brackets[instrument->bracket_count - 1].rate.at[tier];
}

/* Fact 1 of the file's comment, on the sides of 0 where the leg may be. The charge for the price
 * interval of a live long leg takes lot - low of each lot's value away again, 10^6 fold. What holds
 * for n > 0 holds below, as own_short >= own_long (V1). */
static bool grows_by(const struct pl_market *market, const struct pl_portfolio *portfolio,
                     const struct pl_leg *leg, enum pl_tier tier, enum end end, int64_t scenario_load)
{
    const struct pl_weights own = pl_weights_of(market, portfolio, leg->instrument, tier, end),
                            *weights = &own;
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    if (pl_leg_is_unlisted(market, leg))
        return true;
    int64_t loads = 0, loss = 0;
    for (uint32_t k = 0; k < weights->load_count; k++)
        loads += weights->loads[k] < 0 ? -(int64_t)weights->loads[k] : weights->loads[k];
    for (uint32_t k = 0; k < instrument->loss_count; k++)
        if (instrument->losses[k].loss.at[tier] > loss)
            loss = instrument->losses[k].loss.at[tier];
    if (leg->lots <= 0 && leg->final_lots <= 0)
        return weights->own_short >= loads + scenario_load;
    bool is_charged = pl_tier_charges_doubt(tier) && quote->status == PL_MARK_LIVE;
    int64_t lot_vu = is_charged ? quote->lot_vu : 1;
    int64_t gap_vu = is_charged ? quote->lot_vu - quote->low_lot_vu : 0;
    pl_i128 long_slope = weights->own_long - loads - loss - top_rate(instrument, tier) -
                         scenario_load;
    return long_slope * lot_vu >= (pl_i128)gap_vu * PL_PPM;
}

/* Without what the leg's scenarios may ask: they take their own ends then (options.c). */
static bool grows_with_value(const struct scope *scope, uint32_t i, enum pl_tier tier, enum end end)
{
    return grows_by(scope->market, scope->portfolio, &scope->portfolio->legs[i], tier, end, 0);
}

bool pl_grows_in_scenarios(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           const struct pl_leg *leg, enum pl_tier tier, enum end end)
{
    return grows_by(market, portfolio, leg, tier, end, pl_scenario_load(market->parameters, tier));
}

static bool is_point(struct span span)
{
    return span.low == span.high && !span.has_no_low && !span.has_no_high;
}

/* Where the value of leg `i` lies as far as this end of the excess is concerned. */
static struct span span_at(const struct scope *scope, uint32_t i, enum pl_tier tier, enum end end)
{
    struct span span = scope->reaches[i].value;
    if (is_point(span) || !grows_with_value(scope, i, tier, end))
        return span;
    return end == END_HIGH
               ? (struct span){.low = span.high, .high = span.high, .has_no_high = span.has_no_high}
               : (struct span){.low = span.low, .high = span.low, .has_no_low = span.has_no_low};
}

/* own(n): value less haircut and confidence charge, two lines that meet in 0. */
static pl_i128 own_at(const struct pl_weights *weights, pl_i128 value)
{
    return value * (value < 0 ? weights->own_short : weights->own_long);
}

/* Whether own() has no bound at this end. */
static bool own_is_unbounded(const struct pl_weights *weights, struct span span, enum end end)
{
    return end == END_HIGH ? (span.has_no_high && weights->own_long > 0) ||
                                 (span.has_no_low && weights->own_short < 0)
                           : (span.has_no_high && weights->own_long < 0) ||
                                 (span.has_no_low && weights->own_short > 0);
}

/* The value in `span` with the least or greatest own(). It is concave (V1): least at an end,
 * greatest at an end or in 0. */
static pl_i128 extreme_value(const struct pl_weights *weights, struct span span, enum end end)
{
    pl_i128 own_low = own_at(weights, span.low), own_high = own_at(weights, span.high);
    if (end == END_LOW)
        return own_low < own_high ? span.low : span.high;
    if (span.low < 0 && span.high > 0 && pl_max(own_low, own_high) < 0)
        return 0;
    return own_low > own_high ? span.low : span.high;
}

/* Where |x| over a span helps the excess least or most: at its farthest end, or nearest to 0. */
static pl_i128 extreme_size(struct span span, enum end end)
{
    if (end == END_LOW)
        return pl_max(pl_abs(span.low), pl_abs(span.high));
    pl_i128 above = span.has_no_low ? 0 : span.low, below = span.has_no_high ? 0 : -span.high;
    return pl_max(0, pl_max(above, below));
}

static pl_i128 extreme_unc(const struct reach *reach, struct span span, enum end end)
{
    if (is_point(span))
        return end == END_HIGH ? reach->unc_high : reach->unc_low;
    if (end == END_LOW)
        return pl_max(reach->unc_low, reach->unc_high);
    return span.low < 0 && span.high > 0 ? 0 : pl_min(reach->unc_low, reach->unc_high);
}

/* One end of the excess at one tier, added up term by term; keeps the terms it has room for. */
struct tally {
    const struct scope *scope;
    enum pl_tier tier;
    enum end end;
    pl_i128 excess;
    struct span factors[PL_FACTORS_MAX];
    pl_i128 losses[PL_DEPENDENCIES_MAX + 1];
    struct pl_term *terms;
    uint32_t capacity, count;
    bool is_unbounded;
    uint32_t unbounded_instrument; /* the first one that makes it so */
};

static void lose_bound(struct tally *tally, uint32_t instrument)
{
    if (!tally->is_unbounded)
        tally->unbounded_instrument = instrument;
    tally->is_unbounded = true;
}

static void add_term(struct tally *tally, enum pl_term_kind kind, uint32_t index, pl_i128 amount)
{
    tally->excess += amount;
    if (amount != 0 && tally->count < tally->capacity)
        tally->terms[tally->count++] = (struct pl_term){
            .kind = kind, .index = index, .amount = amount};
}

/* What the leg adds to sums over legs. */
static void add_shares(struct tally *tally, uint32_t index, struct span span)
{
    const struct pl_weights *weights = &tally->scope->market->weights[tally->tier][index];
    const struct pl_instrument *instrument = &tally->scope->market->parameters->instruments[index];
    for (uint32_t k = 0; k < weights->load_count; k++) {
        struct span *factor = &tally->factors[weights->factors[k]];
        int32_t load = weights->loads[k];
        factor->low += load * (load < 0 ? span.high : span.low);
        factor->high += load * (load < 0 ? span.low : span.high);
        factor->has_no_low |= load != 0 && (load < 0 ? span.has_no_high : span.has_no_low);
        factor->has_no_high |= load != 0 && (load < 0 ? span.has_no_low : span.has_no_high);
        if (tally->end == END_LOW && (factor->has_no_low || factor->has_no_high))
            lose_bound(tally, index);
    }
    pl_i128 at_risk = pl_max(0, tally->end == END_HIGH ? span.low : span.high);
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        int32_t loss = instrument->losses[k].loss.at[tally->tier];
        tally->losses[instrument->losses[k].dependency] += at_risk * loss;
        if (tally->end == END_LOW && span.has_no_high && loss > 0)
            lose_bound(tally, index);
    }
}

static void add_leg(struct tally *tally, uint32_t i)
{
    const struct scope *scope = tally->scope;
    uint32_t index = scope->portfolio->legs[i].instrument;
    const struct pl_instrument *instrument = &scope->market->parameters->instruments[index];
    enum pl_tier tier = tally->tier;
    if (pl_leg_is_unlisted(scope->market, &scope->portfolio->legs[i])) {
        if (tally->end == END_LOW && scope->reaches[i].value.has_no_low)
            lose_bound(tally, index);
        return; /* an asset counts 0, and so does a debt at best */
    }

    const struct sides sides = pl_sides_of(scope->market, scope->portfolio, index, tier, tally->end);
    const struct pl_weights own = pl_weights_of(scope->market, scope->portfolio, index, tier, tally->end),
                            *weights = &own;
    struct span span = span_at(scope, i, tier, tally->end);
    bool has_open_size = tally->end == END_LOW && (span.has_no_low || span.has_no_high);
    if (own_is_unbounded(weights, span, tally->end) ||
        (has_open_size && top_rate(instrument, tier) > 0))
        lose_bound(tally, index);
    pl_i128 value = extreme_value(weights, span, tally->end);
    add_term(tally, PL_TERM_VALUE, index, value * PL_PPM);
    add_term(tally, PL_TERM_HAIRCUT, index,
             value < 0 ? value * sides.haircut_short : -value * sides.haircut_long);
    add_term(tally, PL_TERM_HALT, index, -pl_max(value, 0) * sides.halt);
    add_term(tally, PL_TERM_CONCENTRATION, index,
             -pl_concentration(instrument, tier, extreme_size(span, tally->end)));
    if (pl_tier_charges_doubt(tier))
        add_term(tally, PL_TERM_CONFIDENCE, index,
                 -pl_abs(value) * instrument->confidence_ppm -
                     extreme_unc(&scope->reaches[i], span, tally->end) * PL_PPM);
    add_shares(tally, index, span);
}

static void add_scenarios(struct tally *tally)
{
    const struct pl_market *market = tally->scope->market;
    const struct pl_portfolio *portfolio = tally->scope->portfolio;
    for (uint64_t rest = pl_groups_of(market, portfolio); rest != 0; rest &= rest - 1) {
        const uint32_t place = (uint32_t)__builtin_ctzll(rest);
        const uint32_t underlying = market->parameters->groups[place];
        const struct scenario_charge worst =
            pl_scenario_charge(market, portfolio, tally->tier, place + 1, tally->end);
        if (worst.is_unbounded)
            lose_bound(tally, underlying);
        add_term(tally, PL_TERM_SCENARIO, underlying, -worst.charge);
        struct pl_term *last = tally->count > 0 ? &tally->terms[tally->count - 1] : NULL;
        if (last && last->kind == PL_TERM_SCENARIO && last->index == underlying)
            last->scenario = worst.scenario;
    }
}

static void add_up(struct tally *tally)
{
    const struct pl_portfolio *portfolio = tally->scope->portfolio;
    const struct pl_parameters *parameters = tally->scope->market->parameters;
    pl_i128 cash_vu = tally->end == END_HIGH ? pl_max(portfolio->cash_vu, portfolio->final_cash_vu)
                                             : pl_min(portfolio->cash_vu, portfolio->final_cash_vu);
    add_term(tally, PL_TERM_VALUE, UINT32_MAX, cash_vu * PL_PPM);
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        add_leg(tally, i);
    for (uint32_t k = 0; k < parameters->factor_count; k++)
        add_term(tally, PL_TERM_FACTOR, k, -extreme_size(tally->factors[k], tally->end));
    uint32_t worst = 0;
    for (uint32_t d = 1; d < parameters->dependency_count; d++)
        if (tally->losses[d] > tally->losses[worst])
            worst = d;
    add_term(tally, PL_TERM_DEPENDENCY, worst, -tally->losses[worst]);
    add_scenarios(tally);
}

static void tally_init(struct tally *tally, const struct scope *scope, enum pl_tier tier,
                       enum end end)
{
    const struct pl_parameters *parameters = scope->market->parameters;
    tally->scope = scope;
    tally->tier = tier;
    tally->end = end;
    tally->excess = 0;
    tally->terms = NULL;
    tally->capacity = tally->count = 0;
    tally->is_unbounded = false;
    memset(tally->factors, 0, parameters->factor_count * sizeof tally->factors[0]);
    /* There is a first one even where there are none. */
    memset(tally->losses, 0, (parameters->dependency_count + 1) * sizeof tally->losses[0]);
}

static pl_i128 bound_at(const struct scope *scope, enum pl_tier tier, enum end end)
{
    struct tally tally;
    tally_init(&tally, scope, tier, end);
    add_up(&tally);
    if (tally.is_unbounded)
        return end == END_HIGH ? PL_EXCESS_UNBOUNDED : -PL_EXCESS_UNBOUNDED;
    return tally.excess;
}

bool pl_evaluate_bounds(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        enum pl_tier tier, struct pl_bounds *excess)
{
    struct scope scope;
    if (!scope_init(&scope, market, portfolio))
        return false;
    excess->low = bound_at(&scope, tier, END_LOW);
    excess->high = bound_at(&scope, tier, END_HIGH);
    pl_assert(excess->low <= excess->high);
    return true;
}

uint32_t pl_explain(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    enum pl_tier tier, struct pl_term *terms, uint32_t capacity)
{
    struct scope scope;
    if (!scope_init(&scope, market, portfolio))
        return 0;
    struct tally tally;
    tally_init(&tally, &scope, tier, END_HIGH);
    tally.terms = terms;
    tally.capacity = capacity;
    add_up(&tally);
    if (tally.is_unbounded) {
        tally.count = 0;
        add_term(&tally, PL_TERM_VALUE, tally.unbounded_instrument, PL_EXCESS_UNBOUNDED);
    }
    return tally.count;
}

/* ---- verdict -------------------------------------------------------------------------------- */

static bool find_doubt(const struct pl_market *market, const struct pl_leg *leg,
                       enum pl_doubt_reason *reason)
{
    const struct pl_quote *quote = &market->quotes[leg->instrument];
    if (pl_leg_is_certain(leg, quote))
        return false;
    if (pl_leg_is_unlisted(market, leg))
        *reason = PL_DOUBT_UNLISTED;
    else if (quote->ticks == 0)
        *reason = PL_DOUBT_NO_MARK;
    else if (quote->status == PL_MARK_STALE)
        *reason = PL_DOUBT_STALE;
    else if (quote->status == PL_MARK_HALTED)
        *reason = PL_DOUBT_HALTED;
    else
        *reason = PL_DOUBT_UNFINALISED;
    return true;
}

/* Keeps the first PL_DOUBTS_MAX in the order of instrument ids (G2). */
static void insert_doubt(const struct pl_names *names, struct pl_doubt doubt,
                         struct pl_verdict *verdict)
{
    const struct pl_id *id = &names->ids[doubt.instrument];
    uint32_t place = verdict->doubt_count;
    while (place > 0 && pl_id_compare(id, &names->ids[verdict->doubts[place - 1].instrument]) < 0)
        place--;
    if (place == PL_DOUBTS_MAX)
        return;
    if (verdict->doubt_count < PL_DOUBTS_MAX)
        verdict->doubt_count++;
    for (uint32_t i = verdict->doubt_count - 1; i > place; i--)
        verdict->doubts[i] = verdict->doubts[i - 1];
    verdict->doubts[place] = doubt;
}

static void collect_doubts(const struct pl_market *market, const struct pl_names *names,
                           const struct pl_portfolio *portfolio, struct pl_verdict *verdict)
{
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        struct pl_doubt doubt = {.instrument = portfolio->legs[i].instrument};
        if (find_doubt(market, &portfolio->legs[i], &doubt.reason))
            insert_doubt(names, doubt, verdict);
    }
    if (portfolio->cash_vu != portfolio->final_cash_vu && verdict->doubt_count < PL_DOUBTS_MAX)
        verdict->doubts[verdict->doubt_count++] = (struct pl_doubt){.instrument = UINT32_MAX,
                                                                    .reason = PL_DOUBT_UNFINALISED};
}

static int64_t lot_vu_of(const struct pl_quote *quote, const struct pl_leg *leg)
{
    return leg->lots < 0 ? quote->short_lot_vu : quote->lot_vu;
}

/* At the marks, bad ones at their last. Stops at the first sum beyond the range, below 2^127. */
static pl_i128 gross_of(const struct pl_market *market, const struct pl_portfolio *portfolio)
{
    pl_i128 gross = 0;
    for (uint32_t i = 0; i < portfolio->leg_count && gross <= PL_VALUE_VU_MAX; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        if (!pl_leg_is_unlisted(market, leg))
            gross += pl_abs((pl_i128)leg->lots * lot_vu_of(&market->quotes[leg->instrument], leg));
    }
    return gross;
}

static struct pl_bounds equity_of(const struct scope *scope)
{
    const struct pl_portfolio *portfolio = scope->portfolio;
    struct pl_bounds equity = {.low = pl_min(portfolio->cash_vu, portfolio->final_cash_vu),
                               .high = pl_max(portfolio->cash_vu, portfolio->final_cash_vu)};
    bool has_no_low = false, has_no_high = false;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        equity.low += scope->reaches[i].value.low;
        equity.high += scope->reaches[i].value.high;
        has_no_low |= scope->reaches[i].value.has_no_low;
        has_no_high |= scope->reaches[i].value.has_no_high;
    }
    if (has_no_low)
        equity.low = -PL_EXCESS_UNBOUNDED;
    if (has_no_high)
        equity.high = PL_EXCESS_UNBOUNDED;
    return equity;
}

static void bound_all(const struct scope *scope, struct pl_verdict *verdict)
{
    bool is_certain = pl_portfolio_is_certain(scope->market, scope->portfolio);
    verdict->equity_vu = equity_of(scope);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        struct pl_bounds *excess = &verdict->excess[tier];
        if (is_certain) {
            bool is_in_range = pl_evaluate(scope->market, scope->portfolio, tier, &excess->low);
            pl_assert(is_in_range);
            excess->high = excess->low;
        } else {
            excess->low = bound_at(scope, tier, END_LOW);
            excess->high = bound_at(scope, tier, END_HIGH);
        }
    }
    const struct pl_bounds *maintenance = &verdict->excess[PL_TIER_MAINTENANCE];
    bool is_open = maintenance->low < 0 && maintenance->high >= 0;
    bool is_known = pl_mode_is_known(scope->market->parameters, scope->portfolio->mode);
    verdict->certainty = is_open || !is_known ? PL_UNCERTAIN : PL_CERTAIN;
}

void pl_verdict_of(const struct pl_market *market, const struct pl_names *names,
                   const struct pl_portfolio *portfolio, struct pl_verdict *verdict)
{
    struct scope scope;
    *verdict = (struct pl_verdict){.gross_vu = gross_of(market, portfolio)};
    collect_doubts(market, names, portfolio, verdict);
    if (scope_init(&scope, market, portfolio)) {
        bound_all(&scope, verdict);
        return;
    }
    const struct pl_bounds anything = {.low = -PL_EXCESS_UNBOUNDED, .high = PL_EXCESS_UNBOUNDED};
    verdict->certainty = PL_OUT_OF_RANGE;
    verdict->equity_vu = anything;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        verdict->excess[tier] = anything;
}
