/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's margin arithmetic (RISK 1.3, 1.5, the text of pl_evaluate and
 * pl_evaluate_bounds): numbers without bounds, term by term. Its memory is kept from account to
 * account, for it evaluates every one at every entry.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

/* Scratch of one evaluation. */
static struct {
    bool is_open;
    struct ends ends[PL_LEGS_MAX];
    mpz_t value_max, cash_max, usd, unbounded;
    mpz_t sum, worst, size, part, other, total;
    mpz_t cash[2];
    mpz_t factors[PL_FACTORS_MAX], losses[PL_DEPENDENCIES_MAX];
} scratch;

void auditor_margin_open(void)
{
    if (scratch.is_open)
        return;
    scratch.is_open = true;
    for (int i = 0; i < PL_LEGS_MAX; i++)
        mpz_inits(scratch.ends[i].value[0], scratch.ends[i].value[1], scratch.ends[i].charge[0],
                  scratch.ends[i].charge[1], NULL);
    for (int i = 0; i < PL_FACTORS_MAX; i++)
        mpz_init(scratch.factors[i]);
    for (int i = 0; i < PL_DEPENDENCIES_MAX; i++)
        mpz_init(scratch.losses[i]);
    mpz_inits(scratch.value_max, scratch.cash_max, scratch.usd, scratch.unbounded, scratch.sum,
              scratch.worst, scratch.size, scratch.part, scratch.other, scratch.total,
              scratch.cash[0], scratch.cash[1], NULL);
    mpz_ui_pow_ui(scratch.value_max, 10, 24);
    mpz_mul_ui(scratch.cash_max, scratch.value_max, 4);
    mpz_ui_pow_ui(scratch.usd, 10, 12);
    mpz_ui_pow_ui(scratch.unbounded, 10, 60);
}

void auditor_margin_close(void)
{
    if (!scratch.is_open)
        return;
    scratch.is_open = false;
    for (int i = 0; i < PL_LEGS_MAX; i++)
        mpz_clears(scratch.ends[i].value[0], scratch.ends[i].value[1], scratch.ends[i].charge[0],
                   scratch.ends[i].charge[1], NULL);
    for (int i = 0; i < PL_FACTORS_MAX; i++)
        mpz_clear(scratch.factors[i]);
    for (int i = 0; i < PL_DEPENDENCIES_MAX; i++)
        mpz_clear(scratch.losses[i]);
    mpz_clears(scratch.value_max, scratch.cash_max, scratch.usd, scratch.unbounded, scratch.sum,
               scratch.worst, scratch.size, scratch.part, scratch.other, scratch.total,
               scratch.cash[0], scratch.cash[1], NULL);
}

void auditor_portfolio_init(struct portfolio *portfolio)
{
    mpz_inits(portfolio->cash, portfolio->final_cash, NULL);
}

void auditor_portfolio_clear(struct portfolio *portfolio)
{
    mpz_clears(portfolio->cash, portfolio->final_cash, NULL);
}

void auditor_verdict_init(struct verdict *verdict)
{
    for (int t = 0; t < PL_TIER_COUNT; t++)
        mpz_inits(verdict->low[t], verdict->high[t], verdict->loose_high[t], NULL);
    mpz_inits(verdict->equity_low, verdict->equity_high, verdict->gross, verdict->collateral_low, verdict->debt_high,
              verdict->weighted_low, verdict->weighted_high, NULL);
}

void auditor_verdict_clear(struct verdict *verdict)
{
    for (int t = 0; t < PL_TIER_COUNT; t++)
        mpz_clears(verdict->low[t], verdict->high[t], verdict->loose_high[t], NULL);
    mpz_clears(verdict->equity_low, verdict->equity_high, verdict->gross, verdict->collateral_low, verdict->debt_high,
               verdict->weighted_low, verdict->weighted_high, NULL);
}

void auditor_set_i128(mpz_t number, pl_i128 value)
{
    pl_u128 size = value < 0 ? -(pl_u128)value : (pl_u128)value;
    mpz_set_ui(number, (unsigned long)(size >> 64));
    mpz_mul_2exp(number, number, 64);
    mpz_add_ui(number, number, (unsigned long)size);
    if (value < 0)
        mpz_neg(number, number);
}

/* No real number of ours has 50 digits. */
bool auditor_is_unbounded(const mpz_t number)
{
    return mpz_sizeinbase(number, 2) > 166;
}

/* ---- prices ---------------------------------------------------------------------------------- */

/* floor(mantissa * 10^shift), or half to even; false where it does not fit 64 bits. */
static bool scale(const mpz_t mantissa, int shift, bool half_even, int64_t *result)
{
    mpz_t number, power, rest;
    mpz_inits(number, power, rest, NULL);
    mpz_ui_pow_ui(power, 10, (unsigned)(shift < 0 ? -shift : shift));
    if (shift >= 0) {
        mpz_mul(number, mantissa, power);
    } else {
        mpz_fdiv_qr(number, rest, mantissa, power);
        mpz_mul_ui(rest, rest, 2);
        int side = mpz_cmp(rest, power);
        if (half_even && (side > 0 || (side == 0 && mpz_odd_p(number))))
            mpz_add_ui(number, number, 1);
    }
    bool fits = mpz_fits_slong_p(number);
    if (fits)
        *result = mpz_get_si(number);
    mpz_clears(number, power, rest, NULL);
    return fits;
}

int64_t auditor_lots(pl_i128 mantissa, int exponent, unsigned decimals)
{
    int64_t lots = 0;
    mpz_t number;
    mpz_init(number);
    auditor_set_i128(number, mantissa);
    if (!scale(number, exponent + (int)decimals, false, &lots))
        lots = INT64_MAX;
    mpz_clear(number);
    return lots;
}

static bool ticks_of(int64_t mantissa, int shift, int64_t *ticks)
{
    mpz_t number;
    mpz_init_set_si(number, mantissa);
    bool fits = scale(number, shift, true, ticks);
    mpz_clear(number);
    return fits;
}

/* lots of value: ticks * multiplier * ppm / 10^6, rounded outward. */
static bool scaled_vu(const struct rules *rules, int64_t ticks, int64_t ppm, bool round_up,
                      int64_t *vu)
{
    mpz_t number;
    mpz_init_set_si(number, ticks);
    mpz_mul_si(number, number, rules->multiplier);
    mpz_mul_si(number, number, ppm);
    if (round_up)
        mpz_cdiv_q_ui(number, number, PL_PPM);
    else
        mpz_fdiv_q_ui(number, number, PL_PPM);
    bool fits = mpz_fits_slong_p(number);
    if (fits)
        *vu = mpz_get_si(number);
    mpz_clear(number);
    return fits;
}

struct quote auditor_quote(const struct rules *rules, const struct mark *mark)
{
    struct quote quote = {.status = PL_MARK_NONE};
    int64_t low = 0, high = 0;
    if (!rules || rules->kind >= PL_INSTRUMENT_VOLATILITY || !mark->is_given)
        return quote;
    int shift = mark->exponent + (int)rules->tick_decimals;
    bool is_price = ticks_of(mark->mantissa, shift, &quote.ticks) &&
                    ticks_of(mark->low, shift, &low) && ticks_of(mark->high, shift, &high) &&
                    quote.ticks > 0 &&
                    (pl_i128)high <= (pl_i128)quote.ticks * PL_INTERVAL_TIMES_MAX;
    is_price = is_price && scaled_vu(rules, quote.ticks, PL_PPM, false, &quote.lot_vu) &&
               scaled_vu(rules, low, PL_PPM, false, &quote.low_vu) &&
               scaled_vu(rules, high, PL_PPM, false, &quote.high_vu) &&
               scaled_vu(rules, quote.ticks, rules->bad_low, false, &quote.bad_low_vu) &&
               scaled_vu(rules, quote.ticks, rules->bad_high, true, &quote.bad_high_vu);
    if (!is_price)
        return (struct quote){.status = PL_MARK_HALTED};
    quote.is_priced = true;
    quote.short_vu = quote.lot_vu;
    quote.status = mark->status;
    return quote;
}

bool auditor_is_fresh(const struct rules *rules, const struct mark *mark, int64_t now_ms)
{
    pl_i128 age_ms = (pl_i128)now_ms - mark->event_time_ms;
    return age_ms <= rules->age_ms_max && -age_ms <= rules->age_ms_max;
}

/* ---- orders ---------------------------------------------------------------------------------- */

void auditor_value_at(mpz_t value, int64_t lots, int64_t mantissa, int exponent, int lot_decimals)
{
    int shift = 12 + exponent - lot_decimals;
    mpz_set_si(value, lots);
    mpz_mul_si(value, value, mantissa);
    for (; shift > 0; shift--)
        mpz_mul_ui(value, value, 10);
}

static struct leg *leg_of(struct portfolio *portfolio, int instrument)
{
    for (int i = 0; i < portfolio->leg_count; i++)
        if (portfolio->legs[i].instrument == instrument)
            return &portfolio->legs[i];
    return NULL;
}

void auditor_execute(struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots,
                     int64_t limit_ticks)
{
    struct leg *leg = leg_of(portfolio, instrument);
    const struct rules *rules = auditor_rules_of(portfolio->set, instrument);
    int64_t change = is_sell ? -lots : lots;
    leg->lots += change;
    leg->final_lots += change;
    mpz_set_si(scratch.part, -change);
    mpz_mul_si(scratch.part, scratch.part, limit_ticks);
    mpz_mul_si(scratch.part, scratch.part, rules->multiplier);
    mpz_add(portfolio->cash, portfolio->cash, scratch.part);
    mpz_add(portfolio->final_cash, portfolio->final_cash, scratch.part);
}

/* The mark's value of so many lots against whole dollars. */
static int compare_usd(const struct portfolio *portfolio, int instrument, bool is_sell,
                       int64_t lots, int64_t usd)
{
    mpz_t value, other;
    mpz_inits(value, other, NULL);
    const struct quote *quote = &portfolio->quotes[instrument];
    mpz_set_si(value, is_sell ? quote->lot_vu : quote->short_vu);
    mpz_mul_si(value, value, lots);
    mpz_ui_pow_ui(other, 10, 12);
    mpz_mul_si(other, other, usd);
    int order = mpz_cmp(value, other);
    mpz_clears(value, other, NULL);
    return order;
}

static int64_t limit_at(const struct portfolio *portfolio, int instrument, bool is_sell,
                        int64_t discount)
{
    const struct quote *quote = &portfolio->quotes[instrument];
    mpz_set_si(scratch.part, is_sell ? quote->lot_vu : quote->short_vu);
    mpz_mul_si(scratch.part, scratch.part, is_sell ? PL_PPM - discount : PL_PPM + discount);
    mpz_set_si(scratch.other, auditor_rules_of(portfolio->set, instrument)->multiplier);
    mpz_mul_si(scratch.other, scratch.other, PL_PPM);
    if (is_sell)
        mpz_fdiv_q(scratch.part, scratch.part, scratch.other);
    else
        mpz_cdiv_q(scratch.part, scratch.part, scratch.other);
    return mpz_sgn(scratch.part) <= 0 || !mpz_fits_slong_p(scratch.part)
               ? 0 : mpz_get_si(scratch.part);
}

int64_t auditor_limit(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, instrument);
    int64_t discount = rules->discount;
    for (int i = rules->rung_count - 1; i >= 0; i--)
        if (compare_usd(portfolio, instrument, is_sell, lots, rules->rungs[i].usd_max) <= 0)
            discount = rules->rungs[i].discount;
    return limit_at(portfolio, instrument, is_sell, discount);
}

int64_t auditor_slice(const struct portfolio *portfolio, int instrument, bool is_sell,
                      int64_t whole)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, instrument);
    const struct set *set = portfolio->set;
    int64_t steps = 0, most = whole / rules->step;
    /* The most steps that are worth no more than the slice. */
    for (int64_t size = INT64_C(1) << 62; rules->slice_usd > 0 && size > 0; size /= 2)
        if (size <= most - steps &&
            compare_usd(portfolio, instrument, is_sell, (steps + size) * rules->step,
                        rules->slice_usd) <= 0)
            steps += size;
    if (rules->slice_usd == 0)
        steps = most;
    if (set->close_factor > 0 && !portfolio->is_health_low &&
        compare_usd(portfolio, instrument, is_sell, whole, set->close_full_usd) >= 0) {
        mpz_set_si(scratch.part, most);
        mpz_mul_si(scratch.part, scratch.part, set->close_factor);
        mpz_cdiv_q_ui(scratch.part, scratch.part, PL_PPM);
        int64_t part = mpz_get_si(scratch.part);
        while (part < most && (part == 0 || auditor_is_small(portfolio, instrument, is_sell,
                                                             part * rules->step)))
            part++;
        /* Where it leaves too little it is no limit. */
        if (part < steps && compare_usd(portfolio, instrument, is_sell, (most - part) * rules->step,
                                        set->close_left_usd) >= 0)
            steps = part;
    }
    /* Or the least that the venue takes. */
    if (steps == 0)
        steps = 1;
    while (steps < most && auditor_is_small(portfolio, instrument, is_sell, steps * rules->step))
        steps++;
    if (portfolio->left && portfolio->left[instrument] / rules->step < steps) {
        steps = portfolio->left[instrument] / rules->step;
        if (auditor_is_small(portfolio, instrument, is_sell, steps * rules->step))
            steps = 0;
    }
    return steps * rules->step;
}

bool auditor_is_small(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots)
{
    return compare_usd(portfolio, instrument, is_sell, lots,
                       auditor_rules_of(portfolio->set, instrument)->notional_usd) < 0;
}

bool auditor_is_scrap(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots)
{
    return auditor_is_small(portfolio, instrument, is_sell, lots) ||
           compare_usd(portfolio, instrument, is_sell, lots, portfolio->set->close_left_usd) < 0;
}

int64_t auditor_saleable(const struct portfolio *portfolio, const struct leg *leg,
                         int64_t *limit_ticks)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
    int64_t lots = rules && rules->rank != 0 ? auditor_tradable(portfolio, leg, limit_ticks) : 0;
    if (lots == 0)
        return 0;
    lots = lots / rules->step * rules->step;
    if (lots == 0 || auditor_is_small(portfolio, leg->instrument, leg->lots > 0, lots))
        return 0;
    *limit_ticks = auditor_limit(portfolio, leg->instrument, leg->lots > 0, lots);
    return lots;
}

int64_t auditor_tradable(const struct portfolio *portfolio, const struct leg *leg,
                         int64_t *limit_ticks)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
    const struct quote *quote = &portfolio->quotes[leg->instrument];
    if (!rules || leg->is_unlisted || quote->status != PL_MARK_LIVE || quote->is_stuck ||
        leg->lots == 0 || leg->final_lots == 0 || (leg->lots > 0) != (leg->final_lots > 0))
        return 0;
    bool is_sell = leg->lots > 0;
    *limit_ticks = limit_at(portfolio, leg->instrument, is_sell, rules->discount);
    if (*limit_ticks == 0)
        return 0;
    int64_t counted = is_sell ? leg->lots : -leg->lots;
    int64_t final = is_sell ? leg->final_lots : -leg->final_lots;
    int64_t most = counted < final ? counted : final;
    int64_t credited = is_sell ? leg->credited : 0;
    return most > credited ? most - credited : 0;
}

static bool is_charged(int tier)
{
    return tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL;
}

/* ---- halts ----------------------------------------------------------------------------------- */

void auditor_halt(const struct set *set, const struct rules *rules, int64_t since_ms,
                  int64_t now_ms, struct quote *quote)
{
    quote->is_stuck = rules && rules->kind == PL_INSTRUMENT_SPOT && since_ms >= 0;
    memset(&quote->halt_haircut, 0, sizeof(quote->halt_haircut));
    if (!quote->is_stuck)
        return;
    /* All that a dollar of it may cost at the strictest tier, its haircut left out. */
    int64_t others = rules->confidence, loss = 0;
    for (int i = 0; i < rules->load_count; i++)
        others += llabs(rules->loads[i].load.at[PL_TIER_ALERT]);
    for (int i = 0; i < rules->loss_count; i++)
        loss = rules->losses[i].loss.at[PL_TIER_ALERT] > loss
                   ? rules->losses[i].loss.at[PL_TIER_ALERT]
                   : loss;
    if (rules->bracket_count > 0)
        others += rules->brackets[rules->bracket_count - 1].rate.at[PL_TIER_ALERT];
    if (rules->underlying >= 0)
        others += set->scenario_load.at[PL_TIER_ALERT];
    quote->halt_whole = PL_PPM - others - loss;
    for (int tier = 0; tier < PL_TIER_COUNT; tier++) {
        int64_t missing = quote->halt_whole - rules->haircut_long.at[tier];
        int64_t thousandths = is_charged(tier) ? 1000 : 0;
        if (!is_charged(tier) && set->halt_ramp_ms > 0 && now_ms > since_ms) {
            mpz_set_si(scratch.part, now_ms - since_ms);
            mpz_mul_ui(scratch.part, scratch.part, 1000);
            mpz_cdiv_q_ui(scratch.part, scratch.part, (unsigned long)set->halt_ramp_ms);
            thousandths = mpz_cmp_ui(scratch.part, 1000) > 0 ? 1000 : mpz_get_si(scratch.part);
        }
        quote->halt_thousandths[tier] = thousandths;
        quote->halt_haircut.at[tier] = (missing * thousandths + 999) / 1000;
    }
}

static bool is_unlisted(const struct portfolio *portfolio, const struct leg *leg)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
    return leg->is_unlisted || !rules || rules->kind >= PL_INSTRUMENT_VOLATILITY;
}

/* ---- modes ----------------------------------------------------------------------------------- */

const struct mode_weight *auditor_mode_weight(const struct set *set, int mode, int debt,
                                              int instrument)
{
    for (int i = 0; i < set->mode_weight_count; i++) {
        const struct mode_weight *weight = &set->mode_weights[i];
        if (weight->mode == mode && weight->debt == debt && weight->instrument == instrument)
            return weight;
    }
    return NULL;
}

/* The worst that any debt asks for if all name the collateral, or its own: with all debts that are there for
 * certain, and those of the others that `choice` has a bit for. */
static int64_t haircut_with(const struct portfolio *portfolio, int instrument, int tier, uint32_t choice)
{
    const int64_t own = auditor_rules_of(portfolio->set, instrument)->haircut_long.at[tier];
    int64_t worst = INT64_MIN;
    for (int i = 0; i < portfolio->held_count; i++) {
        const struct leg *leg = &portfolio->held[i];
        const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
        if ((rules && rules->kind != PL_INSTRUMENT_SPOT) || (leg->lots >= 0 && leg->final_lots >= 0))
            continue;
        bool is_open = leg->lots >= 0 || leg->final_lots >= 0, is_chosen = choice & 1;
        choice >>= is_open;
        if (is_open && !is_chosen)
            continue;
        const struct mode_weight *weight = auditor_mode_weight(portfolio->set, 0, leg->instrument, instrument);
        if (!weight)
            return own;
        if (weight->haircut_long.at[tier] > worst)
            worst = weight->haircut_long.at[tier];
    }
    bool owes_cash = portfolio->owes_cash || (portfolio->may_owe_cash && (choice & 1));
    return worst == INT64_MIN || owes_cash ? own : worst;
}

/* Of what is owned or owed: the mode's, or that by debts. Where these are open, the least of all that they may
 * make of it for an upper end (1), the most for a lower one (0). */
static int64_t haircut_of(const struct portfolio *portfolio, int instrument, int tier, bool is_long, int end)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, instrument);
    int64_t own = is_long ? rules->haircut_long.at[tier] : rules->haircut_short.at[tier], extreme = 0;
    if (portfolio->mode > 0) {
        const struct mode_weight *weight = auditor_mode_weight(portfolio->set, portfolio->mode, -1, instrument);
        return !weight ? own : is_long ? weight->haircut_long.at[tier] : weight->haircut_short.at[tier];
    }
    if (!is_long || portfolio->set->mode_weight_count == 0)
        return own;
    int open = portfolio->may_owe_cash && !portfolio->owes_cash;
    for (int i = 0; i < portfolio->held_count; i++)
        open += (portfolio->held[i].lots < 0) != (portfolio->held[i].final_lots < 0);
    for (uint32_t choice = 0; choice < UINT32_C(1) << open; choice++) {
        int64_t haircut = haircut_with(portfolio, instrument, tier, choice);
        if (choice == 0 || (end == 1 ? haircut < extreme : haircut > extreme))
            extreme = haircut;
    }
    return extreme;
}

static int64_t halt_of(const struct portfolio *portfolio, int instrument, int tier, int end)
{
    const struct quote *quote = &portfolio->quotes[instrument];
    if (!quote->is_stuck)
        return 0;
    int64_t missing = quote->halt_whole - haircut_of(portfolio, instrument, tier, true, end);
    return (missing * quote->halt_thousandths[tier] + 999) / 1000;
}

/* ---- where a leg may be ---------------------------------------------------------------------- */

static void charge_for(mpz_t charge, int64_t lots, const struct quote *quote)
{
    mpz_set_si(charge, lots < 0 ? quote->high_vu - quote->lot_vu : quote->low_vu - quote->lot_vu);
    mpz_mul_si(charge, charge, lots);
    mpz_abs(charge, charge);
}

/* True when the leg is a point. */
static bool fill_ends(const struct portfolio *portfolio, const struct leg *leg, struct ends *ends)
{
    const struct quote *quote = &portfolio->quotes[leg->instrument];
    int64_t least = leg->lots < leg->final_lots ? leg->lots : leg->final_lots;
    int64_t most = leg->lots < leg->final_lots ? leg->final_lots : leg->lots;
    for (int e = 0; e < 2; e++) {
        mpz_set_ui(ends->value[e], 0);
        mpz_set_ui(ends->charge[e], 0);
    }
    if (is_unlisted(portfolio, leg)) {
        if (least < 0)
            mpz_neg(ends->value[0], scratch.unbounded);
        return false;
    }
    if (quote->is_priced && quote->status == PL_MARK_LIVE) {
        for (int e = 0; e < 2; e++) {
            mpz_set_si(ends->value[e], e ? most : least);
            mpz_mul_si(ends->value[e], ends->value[e],
                       mpz_sgn(ends->value[e]) < 0 ? quote->short_vu : quote->lot_vu);
            charge_for(ends->charge[e], e ? most : least, quote);
        }
        return least == most;
    }
    if (!quote->is_priced) {
        if (least < 0)
            mpz_neg(ends->value[0], scratch.unbounded);
        if (most > 0)
            mpz_set(ends->value[1], scratch.unbounded);
        return false;
    }
    if (least < 0) {
        mpz_set_si(ends->value[0], least);
        mpz_mul_si(ends->value[0], ends->value[0], quote->bad_high_vu);
    }
    mpz_set_si(ends->value[1], most);
    mpz_mul_si(ends->value[1], ends->value[1], most < 0 ? quote->bad_low_vu : quote->bad_high_vu);
    return false;
}

/* Whether the excess cannot fall as the leg's value grows, whatever else is held. */
static bool grows(const struct portfolio *portfolio, const struct leg *leg, int tier)
{
    return auditor_grows(portfolio, leg, tier, 0);
}

bool auditor_grows(const struct portfolio *portfolio, const struct leg *leg, int tier,
                   int64_t scenarios)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
    const struct quote *quote = &portfolio->quotes[leg->instrument];
    if (!rules || leg->is_unlisted)
        return true;
    int64_t confidence = is_charged(tier) ? rules->confidence : 0, loads = 0, loss = 0;
    for (int i = 0; i < rules->load_count; i++)
        loads += rules->loads[i].load.at[tier] < 0 ? -rules->loads[i].load.at[tier]
                                                   : rules->loads[i].load.at[tier];
    for (int i = 0; i < rules->loss_count; i++)
        if (rules->losses[i].loss.at[tier] > loss)
            loss = rules->losses[i].loss.at[tier];
    int64_t rate = rules->bracket_count ? rules->brackets[rules->bracket_count - 1].rate.at[tier]
                                        : 0;
    if (leg->lots <= 0 && leg->final_lots <= 0)
        return PL_PPM + haircut_of(portfolio, leg->instrument, tier, false, 0) + confidence >=
               loads + scenarios;
    pl_i128 slope = PL_PPM - haircut_of(portfolio, leg->instrument, tier, true, 0) -
                    halt_of(portfolio, leg->instrument, tier, 0) - confidence - loads - loss - rate - scenarios;
    if (is_charged(tier) && quote->status == PL_MARK_LIVE)
        return slope * quote->lot_vu >= (pl_i128)PL_PPM * (quote->lot_vu - quote->low_vu);
    return slope >= 0;
}

/* ---- the formula ----------------------------------------------------------------------------- */

static void add_times(mpz_t sum, const mpz_t number, int64_t coefficient)
{
    if (coefficient >= 0)
        mpz_addmul_ui(sum, number, (unsigned long)coefficient);
    else
        mpz_submul_ui(sum, number, -(unsigned long)coefficient);
}

/* conc(v) = sum over brackets of rate_b (min(v, T_b+1) - T_b)+, off the sum. */
static void charge_brackets(const struct rules *rules, int tier, const mpz_t size)
{
    for (int b = 0; b < rules->bracket_count; b++) {
        mpz_mul_si(scratch.part, scratch.usd, rules->brackets[b].threshold_usd);
        if (mpz_cmp(size, scratch.part) <= 0)
            return;
        mpz_sub(scratch.part, size, scratch.part);
        if (b + 1 < rules->bracket_count) {
            mpz_mul_si(scratch.other, scratch.usd,
                       rules->brackets[b + 1].threshold_usd - rules->brackets[b].threshold_usd);
            if (mpz_cmp(scratch.part, scratch.other) > 0)
                mpz_set(scratch.part, scratch.other);
        }
        add_times(scratch.sum, scratch.part, -rules->brackets[b].rate.at[tier]);
    }
}

/* The terms of one leg of its own; what it adds to factors and dependencies is kept. */
static void add_leg(const struct portfolio *portfolio, const struct leg *leg, int tier, int end, const mpz_t n,
                    const mpz_t charge, uint64_t *factors, uint64_t *losses)
{
    const struct rules *rules = leg->is_unlisted ? NULL
                                                 : auditor_rules_of(portfolio->set, leg->instrument);
    add_times(scratch.sum, n, PL_PPM);
    if (!rules)
        return;
    mpz_abs(scratch.size, n);
    add_times(scratch.sum, scratch.size,
              -haircut_of(portfolio, leg->instrument, tier, mpz_sgn(n) >= 0, end));
    if (mpz_sgn(n) > 0)
        add_times(scratch.sum, n, -halt_of(portfolio, leg->instrument, tier, end));
    charge_brackets(rules, tier, scratch.size);
    if (is_charged(tier)) {
        add_times(scratch.sum, scratch.size, -rules->confidence);
        add_times(scratch.sum, charge, -(int64_t)PL_PPM);
    }
    for (int i = 0; i < rules->load_count; i++) {
        int factor = rules->loads[i].factor;
        if (!(*factors >> factor & 1))
            mpz_set_ui(scratch.factors[factor], 0);
        *factors |= UINT64_C(1) << factor;
        add_times(scratch.factors[factor], n, rules->loads[i].load.at[tier]);
    }
    for (int i = 0; i < rules->loss_count && mpz_sgn(n) > 0; i++) {
        int dependency = rules->losses[i].dependency;
        if (!(*losses >> dependency & 1))
            mpz_set_ui(scratch.losses[dependency], 0);
        *losses |= UINT64_C(1) << dependency;
        add_times(scratch.losses[dependency], n, rules->losses[i].loss.at[tier]);
    }
}

/* The excess with every open leg, and the cash, at the same end. */
static void excess_at(const struct portfolio *portfolio, int tier, int end, mpz_t excess)
{
    uint64_t factors = 0, losses = 0;
    mpz_set_ui(scratch.sum, 0);
    add_times(scratch.sum, scratch.cash[end], PL_PPM);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct leg *leg = &portfolio->legs[i];
        add_leg(portfolio, leg, tier, end, scratch.ends[i].value[end], scratch.ends[i].charge[end], &factors,
                &losses);
    }
    for (int k = 0; k < PL_FACTORS_MAX; k++)
        if (factors >> k & 1) {
            mpz_abs(scratch.part, scratch.factors[k]);
            mpz_sub(scratch.sum, scratch.sum, scratch.part);
        }
    mpz_set_ui(scratch.worst, 0);
    for (int d = 0; d < PL_DEPENDENCIES_MAX; d++)
        if ((losses >> d & 1) && mpz_cmp(scratch.losses[d], scratch.worst) > 0)
            mpz_set(scratch.worst, scratch.losses[d]);
    mpz_sub(excess, scratch.sum, scratch.worst);
    if (portfolio->set->scenario_count > 0) {
        auditor_scenario_charge(portfolio, tier, end, scratch.ends, scratch.part);
        mpz_sub(excess, excess, scratch.part);
    }
}

/* Fills the ends of all legs; false when the account leaves the exact range. */
static bool fill_scene(const struct portfolio *portfolio, bool *is_certain)
{
    mpz_set(scratch.cash[0], portfolio->cash);
    mpz_set(scratch.cash[1], portfolio->final_cash);
    *is_certain = mpz_cmp(portfolio->cash, portfolio->final_cash) == 0;
    mpz_set_ui(scratch.total, 0);
    for (int i = 0; i < portfolio->leg_count; i++) {
        struct ends *ends = &scratch.ends[i];
        if (!fill_ends(portfolio, &portfolio->legs[i], ends))
            *is_certain = false;
        bool has_low = !auditor_is_unbounded(ends->value[0]);
        bool has_high = !auditor_is_unbounded(ends->value[1]);
        if (has_low && (!has_high || mpz_cmpabs(ends->value[0], ends->value[1]) >= 0)) {
            mpz_abs(scratch.part, ends->value[0]);
            mpz_add(scratch.total, scratch.total, scratch.part);
        } else if (has_high) {
            mpz_abs(scratch.part, ends->value[1]);
            mpz_add(scratch.total, scratch.total, scratch.part);
        }
    }
    return !portfolio->is_beyond && auditor_options_are_in_range(portfolio) && mpz_cmp(scratch.total, scratch.value_max) <= 0 &&
           mpz_cmpabs(scratch.cash[0], scratch.cash_max) <= 0 &&
           mpz_cmpabs(scratch.cash[1], scratch.cash_max) <= 0;
}

static bool is_point(const struct ends *ends)
{
    return mpz_cmp(ends->value[0], ends->value[1]) == 0 &&
           mpz_cmp(ends->charge[0], ends->charge[1]) == 0;
}

/* All open legs grow: then the ends of the box are the ends of the excess. */
static bool is_exact(const struct portfolio *portfolio, int tier)
{
    for (int i = 0; i < portfolio->leg_count; i++)
        if (!is_point(&scratch.ends[i]) && !grows(portfolio, &portfolio->legs[i], tier))
            return false;
    return true;
}

/* A long that was never priced has no upper bound, even where factors and losses would eat up every
 * dollar of it: what its own weight leaves counts as open. */
static void open_high(const struct portfolio *portfolio, int tier, mpz_t excess)
{
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct leg *leg = &portfolio->legs[i];
        const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
        if (!rules || leg->is_unlisted || !auditor_is_unbounded(scratch.ends[i].value[1]))
            continue;
        if (haircut_of(portfolio, leg->instrument, tier, true, 1) +
                (is_charged(tier) ? rules->confidence : 0) +
                halt_of(portfolio, leg->instrument, tier, 1) < PL_PPM)
            mpz_set(excess, scratch.unbounded);
    }
}

/* The loosest upper bound: everything that is owned counts whole, nothing is required. */
static void loose_high(const struct portfolio *portfolio, mpz_t excess)
{
    mpz_mul_ui(excess, scratch.cash[1], PL_PPM);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const mpz_t *value = scratch.ends[i].value;
        add_times(excess, value[1], PL_PPM);
        /* A negative haircut pays. */
        const struct rules *rules = auditor_rules_of(portfolio->set, portfolio->legs[i].instrument);
        for (int e = 0; rules && e < 2; e++) {
            mpz_abs(scratch.part, value[e]);
            mpz_mul_ui(scratch.part, scratch.part, 9);
            add_times(excess, scratch.part, PL_PPM);
        }
    }
}

/* ---- verdict --------------------------------------------------------------------------------- */

static bool doubt_of(const struct portfolio *portfolio, const struct leg *leg,
                     enum pl_doubt_reason *reason)
{
    const struct quote *quote = &portfolio->quotes[leg->instrument];
    if (is_unlisted(portfolio, leg))
        *reason = PL_DOUBT_UNLISTED;
    else if (!quote->is_priced)
        *reason = PL_DOUBT_NO_MARK;
    else if (quote->status == PL_MARK_STALE)
        *reason = PL_DOUBT_STALE;
    else if (quote->status == PL_MARK_HALTED)
        *reason = PL_DOUBT_HALTED;
    else
        *reason = PL_DOUBT_UNFINALISED;
    return *reason != PL_DOUBT_UNFINALISED || leg->lots != leg->final_lots;
}

/* Legs stand in the order of their ids, as in the record. */
static void collect_doubts(const struct portfolio *portfolio, struct verdict *verdict)
{
    verdict->doubt_count = 0;
    for (int i = 0; i < portfolio->leg_count && verdict->doubt_count < PL_DOUBTS_MAX; i++) {
        struct pl_doubt doubt = {.instrument = (uint32_t)portfolio->legs[i].instrument};
        if (doubt_of(portfolio, &portfolio->legs[i], &doubt.reason))
            verdict->doubts[verdict->doubt_count++] = doubt;
    }
    if (mpz_cmp(portfolio->cash, portfolio->final_cash) != 0 &&
        verdict->doubt_count < PL_DOUBTS_MAX)
        verdict->doubts[verdict->doubt_count++] = (struct pl_doubt){.instrument = UINT32_MAX,
                                                                    .reason = PL_DOUBT_UNFINALISED};
}

static void collect_totals(const struct portfolio *portfolio, struct verdict *verdict)
{
    mpz_set_ui(verdict->gross, 0);
    mpz_set(verdict->equity_low, scratch.cash[0]);
    mpz_set(verdict->equity_high, scratch.cash[1]);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct leg *leg = &portfolio->legs[i];
        mpz_add(verdict->equity_low, verdict->equity_low, scratch.ends[i].value[0]);
        mpz_add(verdict->equity_high, verdict->equity_high, scratch.ends[i].value[1]);
        if (is_unlisted(portfolio, leg))
            continue;
        mpz_set_si(scratch.part, leg->lots);
        const struct quote *quote = &portfolio->quotes[leg->instrument];
        mpz_mul_si(scratch.part, scratch.part, leg->lots < 0 ? quote->short_vu : quote->lot_vu);
        mpz_abs(scratch.part, scratch.part);
        mpz_add(verdict->gross, verdict->gross, scratch.part);
    }
}

/* A value, or the cash, on the side of 0 where it stands. */
static void add_side(struct verdict *verdict, const mpz_t low, const mpz_t high, int64_t weight)
{
    if (mpz_sgn(low) > 0)
        mpz_add(verdict->collateral_low, verdict->collateral_low, low);
    if (mpz_sgn(low) < 0) {
        mpz_sub(verdict->debt_high, verdict->debt_high, low);
        add_times(verdict->weighted_high, low, -weight);
    }
    if (mpz_sgn(high) < 0)
        add_times(verdict->weighted_low, high, -weight);
}

static void collect_sides(const struct portfolio *portfolio, struct verdict *verdict)
{
    mpz_set_ui(verdict->collateral_low, 0);
    mpz_set_ui(verdict->debt_high, 0);
    mpz_set_ui(verdict->weighted_low, 0);
    mpz_set_ui(verdict->weighted_high, 0);
    add_side(verdict, scratch.cash[0], scratch.cash[1], PL_PPM);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct rules *rules = auditor_rules_of(portfolio->set,
                                                     portfolio->legs[i].instrument);
        int64_t weight = PL_PPM + (rules ? haircut_of(portfolio, portfolio->legs[i].instrument,
                                                      PL_TIER_MAINTENANCE, false, 0) : 0);
        add_side(verdict, scratch.ends[i].value[0], scratch.ends[i].value[1],
                 weight > 0 ? weight : 0);
    }
}

void auditor_evaluate(const struct portfolio *portfolio, struct verdict *verdict)
{
    verdict->is_loose = false;
    verdict->is_out_of_range = !fill_scene(portfolio, &verdict->is_certain);
    collect_doubts(portfolio, verdict);
    collect_totals(portfolio, verdict);
    collect_sides(portfolio, verdict);
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        if (verdict->is_out_of_range) {
            mpz_neg(verdict->low[t], scratch.unbounded);
            mpz_set(verdict->high[t], scratch.unbounded);
            continue;
        }
        excess_at(portfolio, t, 0, verdict->low[t]);
        if (verdict->is_certain)
            mpz_set(verdict->high[t], verdict->low[t]);
        else
            excess_at(portfolio, t, 1, verdict->high[t]);
        if (!verdict->is_certain)
            open_high(portfolio, t, verdict->high[t]);
        if (verdict->is_certain || is_exact(portfolio, t))
            continue;
        verdict->is_loose = true; /* both ends are possible, whichever is the better one */
        if (mpz_cmp(verdict->low[t], verdict->high[t]) > 0)
            mpz_swap(verdict->low[t], verdict->high[t]);
        loose_high(portfolio, verdict->loose_high[t]);
    }
}

bool auditor_upper(const struct portfolio *portfolio, enum pl_tier tier, mpz_t excess)
{
    bool is_certain;
    if (!fill_scene(portfolio, &is_certain))
        return false;
    excess_at(portfolio, (int)tier, is_certain ? 0 : 1, excess);
    if (!is_certain)
        open_high(portfolio, (int)tier, excess);
    return is_certain || is_exact(portfolio, (int)tier);
}
