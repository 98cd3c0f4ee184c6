/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What margin calls have to say, and when: the timers of a call, alerts that are held back, ratios
 * and cures (RISK 1.7, 1.11, the texts of pl_decide, pl_ratios and pl_cures_of). Quotients are
 * compared by multiplication; a cure is searched for again, for every leg there is.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

/* ---- timers ---------------------------------------------------------------------------------- */

void auditor_call(const struct scene *scene, enum pl_state left, struct state *next)
{
    bool was_called = left == PL_STATE_RESTRICTED || left == PL_STATE_LIQUIDATING ||
                      left == PL_STATE_BANKRUPT;
    bool is_called = next->state == PL_STATE_RESTRICTED || next->state == PL_STATE_LIQUIDATING ||
                     next->state == PL_STATE_BANKRUPT;
    if (!is_called)
        next->called_ms = next->due_ms = 0;
    if (is_called && !was_called && scene->set->grace_ms > 0) {
        next->called_ms = scene->now_ms;
        next->due_ms = auditor_later(scene->now_ms, scene->set->grace_ms);
    }
}

int64_t auditor_expire(const struct scene *scene, const struct account *account,
                       const struct verdict *verdict, struct state *next)
{
    int64_t due_ms = next->due_ms;
    if (due_ms == 0 || scene->now_ms < due_ms || auditor_is_blind(scene, account, verdict) ||
        !auditor_is_below(verdict, PL_TIER_INITIAL))
        return 0;
    next->due_ms = 0;
    return due_ms;
}

bool auditor_tell(const struct scene *scene, const struct state *prior, struct state *next,
                  enum pl_state *left, int64_t *since_ms)
{
    const struct told_state *last = prior->told_count ? &prior->told[prior->told_count - 1] : NULL;
    int64_t interval_ms = scene->set->call_interval_ms_min;
    *left = last ? last->state : prior->state;
    *since_ms = *left == prior->state ? prior->since_ms : last->told_ms;
    if (next->state == *left)
        return false;
    int same = -1;
    for (int i = 0; i < prior->told_count; i++)
        if (prior->told[i].state == next->state)
            same = i;
    bool is_urgent = next->state == PL_STATE_LIQUIDATING || next->state == PL_STATE_BANKRUPT;
    if (same >= 0 && !is_urgent &&
        scene->now_ms < auditor_later(prior->told[same].told_ms, interval_ms))
        return false;
    next->told_count = 0;
    for (int i = 0; i < prior->told_count && interval_ms > 0; i++)
        if (i != same)
            next->told[next->told_count++] = prior->told[i];
    if (interval_ms > 0)
        next->told[next->told_count++] = (struct told_state){next->state, scene->now_ms};
    return true;
}

/* ---- ratios ---------------------------------------------------------------------------------- */

/* floor(10^6 a / b) is what is told: 0 <= 10^6 a - told b < b. */
static bool is_ratio(const Plimsoll__V1__Amount *amount, const mpz_t a, const mpz_t b)
{
    mpz_t told, rest;
    pl_i128 mantissa = 0;
    int exponent = 0;
    if (!amount || !auditor_read_amount(amount, &mantissa, &exponent) || exponent != -6)
        return false;
    mpz_inits(told, rest, NULL);
    auditor_set_i128(told, mantissa);
    mpz_mul_ui(rest, a, PL_PPM);
    mpz_submul(rest, told, b);
    bool is_right = mpz_sgn(rest) >= 0 && mpz_cmp(rest, b) < 0;
    mpz_clears(told, rest, NULL);
    return is_right;
}

static bool is_bound(const Plimsoll__V1__Amount *amount, const mpz_t bound, int exponent)
{
    return auditor_is_unbounded(bound) ? !amount : auditor_is_amount(amount, bound, exponent);
}

static bool is_health_right(const struct verdict *verdict, const Plimsoll__V1__Amount *health)
{
    const mpz_t *low = &verdict->low[PL_TIER_MAINTENANCE];
    const mpz_t *debt = mpz_sgn(*low) < 0 ? &verdict->weighted_low : &verdict->weighted_high;
    if (auditor_is_unbounded(*low) || auditor_is_unbounded(*debt) || mpz_sgn(*debt) == 0)
        return !health;
    mpz_t left; /* of the collateral */
    mpz_init(left);
    mpz_add(left, *debt, *low);
    bool is_right = is_ratio(health, left, *debt);
    mpz_clear(left);
    return is_right;
}

static bool are_requirements_right(const struct verdict *verdict,
                                   const Plimsoll__V1__MarginCall *alert)
{
    const Plimsoll__V1__Amount *told[PL_TIER_COUNT] = {
        alert->requirement_alert, alert->requirement_initial, alert->requirement_end,
        alert->requirement_maintenance};
    bool is_right = true;
    mpz_t number;
    mpz_init(number);
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        bool is_open = auditor_is_unbounded(verdict->low[t]) ||
                       auditor_is_unbounded(verdict->equity_low);
        mpz_mul_ui(number, verdict->equity_low, PL_PPM);
        mpz_sub(number, number, verdict->low[t]);
        is_right = is_right &&
                   (is_open ? !told[t] : auditor_is_amount(told[t], number, -18));
    }
    mpz_neg(number, verdict->low[PL_TIER_INITIAL]);
    if (mpz_sgn(number) < 0)
        mpz_set_ui(number, 0);
    if (!auditor_is_unbounded(number))
        mpz_cdiv_q_ui(number, number, PL_PPM);
    is_right = is_right && is_bound(alert->top_up, number, -12);
    mpz_clear(number);
    return is_right;
}

bool auditor_are_ratios_right(const struct verdict *verdict, const Plimsoll__V1__MarginCall *alert)
{
    if (verdict->is_out_of_range)
        return !alert->collateral && !alert->debt && !alert->collateral_ratio &&
               !alert->over_collateral_ratio && !alert->health_factor && !alert->top_up &&
               !alert->requirement_alert && !alert->requirement_initial &&
               !alert->requirement_end && !alert->requirement_maintenance;
    bool has_ratio = mpz_sgn(verdict->debt_high) > 0 && !auditor_is_unbounded(verdict->debt_high);
    mpz_t over;
    mpz_init(over);
    mpz_sub(over, verdict->collateral_low, verdict->debt_high);
    bool is_right =
        is_bound(alert->collateral, verdict->collateral_low, -12) &&
        is_bound(alert->debt, verdict->debt_high, -12) &&
        (has_ratio ? is_ratio(alert->collateral_ratio, verdict->collateral_low,
                              verdict->debt_high) &&
                         is_ratio(alert->over_collateral_ratio, over, verdict->debt_high)
                   : !alert->collateral_ratio && !alert->over_collateral_ratio);
    mpz_clear(over);
    return is_right && is_health_right(verdict, alert->health_factor) &&
           are_requirements_right(verdict, alert);
}

/* ---- cures ----------------------------------------------------------------------------------- */

/* Initial margin with so many lots of one leg traded at its limit; takes them back again. */
static int sign_with(struct portfolio *trial, const struct leg *leg, bool is_sell, int64_t lots,
                     int64_t limit, mpz_t excess)
{
    auditor_execute(trial, leg->instrument, is_sell, lots, limit);
    bool is_known = auditor_upper_within_cash(trial, PL_TIER_INITIAL, excess);
    pl_assert(is_known);
    auditor_execute(trial, leg->instrument, is_sell, -lots, limit);
    return mpz_sgn(excess);
}

/* Whether one lot more helps. */
static bool rises_at(struct portfolio *trial, const struct leg *leg, bool is_sell, int64_t lots,
                     int64_t limit)
{
    mpz_t here, next;
    mpz_inits(here, next, NULL);
    sign_with(trial, leg, is_sell, lots, limit, here);
    sign_with(trial, leg, is_sell, lots + 1, limit, next);
    bool rises = mpz_cmp(next, here) > 0;
    mpz_clears(here, next, NULL);
    return rises;
}

/* The least lots of a leg that cure at one limit, from `least` to `most`; 0: none do. */
static int64_t least_at(struct portfolio *trial, const struct leg *leg, int64_t least, int64_t most,
                        int64_t limit)
{
    bool is_sell = leg->lots > 0;
    int64_t low = least, top = most;
    mpz_t excess;
    mpz_init(excess);
    while (low < top) {
        int64_t middle = low + (top - low) / 2;
        if (rises_at(trial, leg, is_sell, middle, limit))
            low = middle + 1;
        else
            top = middle;
    }
    bool cures = sign_with(trial, leg, is_sell, top, limit, excess) >= 0;
    for (low = least - 1; cures && top - low > 1;) {
        int64_t middle = low + (top - low) / 2;
        if (sign_with(trial, leg, is_sell, middle, limit, excess) >= 0)
            top = middle;
        else
            low = middle;
    }
    mpz_clear(excess);
    return cures ? top : 0;
}

/* The most lots that have the limit of `least`. */
static int64_t most_at(const struct portfolio *trial, const struct leg *leg, int64_t least, int64_t most,
                       int64_t limit)
{
    while (least < most) {
        int64_t middle = most - (most - least) / 2;
        if (auditor_limit(trial, leg->instrument, leg->lots > 0, middle) == limit)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

/* The least lots of a leg that cure, and their limit, which is worse for more of them; 0: none do. */
static int64_t least_lots(struct portfolio *trial, const struct leg *leg, int64_t most, int64_t *limit)
{
    int64_t lots = 0;
    for (int64_t least = 1; lots == 0 && least <= most;) {
        *limit = auditor_limit(trial, leg->instrument, leg->lots > 0, least);
        int64_t end = most_at(trial, leg, least, most, *limit);
        lots = least_at(trial, leg, least, end, *limit);
        least = end + 1;
    }
    return lots;
}

struct best {
    int instrument;
    int64_t lots, limit;
    mpz_t cost;
};

/* The cheapest trade of one side that cures. False: there is none. */
static bool find_best(const struct scene *scene, struct portfolio *trial, bool is_sell,
                      struct best *best)
{
    bool has_one = false;
    mpz_t cost;
    mpz_init(cost);
    for (int i = 0; i < trial->leg_count; i++) {
        const struct leg leg = trial->legs[i];
        const struct rules *rules = auditor_rules_of(trial->set, leg.instrument);
        int64_t limit = 0, most = 0;
        if ((leg.lots > 0) == is_sell)
            most = auditor_tradable(trial, &leg, &limit);
        int64_t lots = most > 0 ? least_lots(trial, &leg, most, &limit) : 0;
        if (lots == 0)
            continue;
        const struct quote *quote = &trial->quotes[leg.instrument];
        mpz_set_si(cost, limit);
        mpz_mul_si(cost, cost, -rules->multiplier);
        mpz_add_ui(cost, cost, (unsigned long)(is_sell ? quote->lot_vu : quote->short_vu));
        mpz_abs(cost, cost);
        mpz_mul_si(cost, cost, lots);
        int order = has_one ? mpz_cmp(cost, best->cost) : -1;
        if (order > 0 || (order == 0 && strcmp(scene->names->text[leg.instrument],
                                               scene->names->text[best->instrument]) > 0))
            continue;
        has_one = true;
        best->instrument = leg.instrument;
        best->lots = lots;
        best->limit = limit;
        mpz_set(best->cost, cost);
    }
    mpz_clear(cost);
    return has_one;
}

static bool is_trade(const struct scene *scene, const struct portfolio *portfolio,
                     const struct best *best, const Plimsoll__V1__MarginCall__Cure *cure)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, best->instrument);
    return cure->instrument &&
           strcmp(cure->instrument, scene->names->text[best->instrument]) == 0 &&
           cure->lots == (uint64_t)best->lots && cure->lot_decimals == rules->lot_decimals &&
           cure->limit_price && cure->limit_price->mantissa == best->limit &&
           cure->limit_price->exponent == -(int)rules->tick_decimals &&
           auditor_is_amount(cure->cost, best->cost, -12);
}

static const Plimsoll__V1__MarginCall__Cure *cure_of(const Plimsoll__V1__MarginCall *alert,
                                                     Plimsoll__V1__MarginCall__Cure__Kind kind)
{
    for (size_t i = 0; i < alert->n_cures; i++)
        if (alert->cures[i]->kind == kind)
            return alert->cures[i];
    return NULL;
}

static bool is_side_right(const struct scene *scene, const Plimsoll__V1__MarginCall *alert,
                          bool is_sell)
{
    const Plimsoll__V1__MarginCall__Cure *cure =
        cure_of(alert, is_sell ? PLIMSOLL__V1__MARGIN_CALL__CURE__KIND__KIND_REDUCE
                               : PLIMSOLL__V1__MARGIN_CALL__CURE__KIND__KIND_REPAY);
    struct best best;
    mpz_init(best.cost);
    bool is_right = find_best(scene, scene->portfolio, is_sell, &best)
                        ? cure && is_trade(scene, scene->portfolio, &best, cure) : !cure;
    mpz_clear(best.cost);
    return is_right;
}

bool auditor_are_cures_right(const struct scene *scene, const struct account *account,
                             const struct verdict *verdict, const struct state *state,
                             const Plimsoll__V1__MarginCall *alert)
{
    if (verdict->is_out_of_range || !verdict->is_certain ||
        !auditor_is_below(verdict, PL_TIER_INITIAL))
        return alert->n_cures == 0;
    auditor_fill(scene, account, state, scene->portfolio);
    mpz_t cash;
    mpz_init(cash);
    bool is_known = auditor_upper_within_cash(scene->portfolio, PL_TIER_INITIAL, cash);
    pl_assert(is_known);
    mpz_neg(cash, cash);
    mpz_cdiv_q_ui(cash, cash, PL_PPM);
    const Plimsoll__V1__MarginCall__Cure *add =
        cure_of(alert, PLIMSOLL__V1__MARGIN_CALL__CURE__KIND__KIND_ADD);
    bool is_right = add && !add->instrument && !add->has_lots && !add->limit_price &&
                    auditor_is_amount(add->cost, cash, -12);
    mpz_clear(cash);
    return is_right && is_side_right(scene, alert, false) && is_side_right(scene, alert, true);
}
