/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model: slow, obvious, in integers without bounds. Each function is one formula of the
 * specification written down a second time, in another shape than the library's where there is one.
 */
#include "tests/support/model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"

/* ==== numbers ================================================================================ */

void model_set_i128(mpz_t number, pl_i128 value)
{
    pl_u128 size = value < 0 ? -(pl_u128)value : (pl_u128)value;
    mpz_set_ui(number, (unsigned long)(size >> 64));
    mpz_mul_2exp(number, number, 64);
    mpz_add_ui(number, number, (unsigned long)size);
    if (value < 0)
        mpz_neg(number, number);
}

int model_compare_i128(const mpz_t number, pl_i128 value)
{
    mpz_t other;
    mpz_init(other);
    model_set_i128(other, value);
    int sign = mpz_cmp(number, other);
    mpz_clear(other);
    return sign;
}

pl_i128 model_get_i128(const mpz_t number)
{
    pl_assert(mpz_sizeinbase(number, 2) <= 126);
    uint64_t words[2] = {0, 0};
    mpz_export(words, NULL, -1, sizeof words[0], 0, 0, number);
    pl_i128 size = (pl_i128)((pl_u128)words[1] << 64 | words[0]);
    return mpz_sgn(number) < 0 ? -size : size;
}

static void set_power(mpz_t number, unsigned exponent)
{
    mpz_ui_pow_ui(number, 10, exponent);
}

/* ==== what is known and what is open ========================================================= */

/* Stands for "no bound", in VU. */
static void set_unbounded(mpz_t number)
{
    set_power(number, 60);
}

void model_box_init(struct model_box *box)
{
    memset(box, 0, sizeof *box);
    for (uint32_t i = 0; i < PL_LEGS_MAX; i++) {
        struct model_leg *leg = &box->legs[i];
        mpz_inits(leg->x[0], leg->x[1], leg->lot, leg->fall, leg->rise, leg->charge[0],
                  leg->charge[1], leg->short_lot, leg->least_lots, NULL);
    }
    mpz_inits(box->cash[0], box->cash[1], box->peak, NULL);
}

void model_box_deinit(struct model_box *box)
{
    for (uint32_t i = 0; i < PL_LEGS_MAX; i++) {
        struct model_leg *leg = &box->legs[i];
        mpz_clears(leg->x[0], leg->x[1], leg->lot, leg->fall, leg->rise, leg->charge[0],
                   leg->charge[1], leg->short_lot, leg->least_lots, NULL);
    }
    mpz_clears(box->cash[0], box->cash[1], box->peak, NULL);
}

/* unc at position x. */
static void charge_at(const struct model_leg *leg, const mpz_t x, mpz_t charge)
{
    if (mpz_sgn(x) >= 0) {
        mpz_mul(charge, x, leg->fall);
    } else {
        mpz_mul(charge, x, leg->rise);
        mpz_neg(charge, charge);
    }
}

/* An asset that nobody lists is worth nothing; a debt that nobody lists may be any. */
static void fill_unlisted(struct model_leg *leg, const struct pl_leg *given)
{
    bool is_debt = given->lots < 0;
    leg->rules = NULL;
    mpz_set_ui(leg->x[0], 0);
    mpz_set_ui(leg->x[1], 0);
    if (is_debt) {
        set_unbounded(leg->x[0]);
        mpz_neg(leg->x[0], leg->x[0]);
    }
    mpz_set_ui(leg->lot, 1);
    mpz_set_ui(leg->fall, 0);
    mpz_set_ui(leg->rise, 0);
}

static void fill_priced(struct model_leg *leg, const struct pl_leg *given,
                        const struct pl_quote *quote)
{
    mpz_set_si(leg->x[0], given->lots);
    mpz_set_si(leg->x[1], given->final_lots);
    mpz_set_si(leg->lot, quote->lot_vu);
    mpz_set_si(leg->fall, quote->lot_vu - quote->low_lot_vu);
    mpz_set_si(leg->rise, quote->high_lot_vu - quote->lot_vu);
    charge_at(leg, leg->x[0], leg->charge[0]);
    charge_at(leg, leg->x[1], leg->charge[1]);
    if (mpz_cmp(leg->charge[0], leg->charge[1]) > 0)
        mpz_swap(leg->charge[0], leg->charge[1]);
    if (given->lots < 0 && given->final_lots > 0)
        mpz_set_ui(leg->charge[0], 0);
}

/* lots * value of a lot, where the value lies between `least` and `greatest`. */
static void widen(struct model_leg *leg, int64_t lots, const mpz_t least, const mpz_t greatest)
{
    mpz_t worth;
    mpz_init(worth);
    for (int end = 0; end < 2; end++) {
        mpz_mul_si(worth, end == 0 ? least : greatest, lots);
        if (mpz_cmp(worth, leg->x[0]) < 0)
            mpz_set(leg->x[0], worth);
        if (mpz_cmp(worth, leg->x[1]) > 0)
            mpz_set(leg->x[1], worth);
    }
    mpz_clear(worth);
}

static void fill_badly_priced(struct model_leg *leg, const struct pl_leg *given,
                              const struct pl_quote *quote)
{
    mpz_t zero, least, greatest;
    mpz_inits(zero, least, greatest, NULL);
    bool was_priced = quote->ticks > 0;
    mpz_set_si(least, was_priced ? quote->bad_low_lot_vu : 0);
    mpz_set_si(greatest, quote->bad_high_lot_vu);
    if (!was_priced)
        set_unbounded(greatest);
    /* Start from an end that is inside, then widen by the other three. */
    mpz_mul_si(leg->x[0], greatest, given->lots);
    mpz_set(leg->x[1], leg->x[0]);
    widen(leg, given->lots, given->lots >= 0 ? zero : least, greatest);
    widen(leg, given->final_lots, given->final_lots >= 0 ? zero : least, greatest);
    mpz_set_ui(leg->lot, 1);
    mpz_set_ui(leg->fall, 0);
    mpz_set_ui(leg->rise, 0);

    /* The interval of a bad mark means little: charge nothing at best, the whole value at worst. */
    mpz_set_ui(leg->charge[0], 0);
    mpz_set(leg->charge[1], mpz_cmpabs(leg->x[0], leg->x[1]) > 0 ? leg->x[0] : leg->x[1]);
    mpz_abs(leg->charge[1], leg->charge[1]);
    if (was_priced) {
        int64_t width = quote->high_lot_vu - quote->low_lot_vu;
        mpz_set_si(least, given->lots);
        mpz_set_si(greatest, given->final_lots);
        mpz_set(least, mpz_cmpabs(least, greatest) > 0 ? least : greatest);
        mpz_mul_si(least, least, width);
        mpz_abs(least, least);
        mpz_add(leg->charge[1], leg->charge[1], least);
    }
    mpz_clears(zero, least, greatest, NULL);
}

/* Between 0 and its bound whichever side: what it was says nothing. */
static void fill_option(struct model_box *box, struct model_leg *leg, const struct pl_leg *given,
                        const struct pl_market *market)
{
    struct pl_quote bad = {.status = PL_MARK_STALE};
    leg->is_option = true;
    if (model_option_value(market, given->instrument, &leg->option)) {
        bad.ticks = 1;
        bad.bad_high_lot_vu = leg->option.bound;
    }
    mpz_set_ui(leg->fall, 0);
    mpz_set_ui(leg->rise, 0);
    if (!leg->option.is_live)
        fill_badly_priced(leg, given, &bad);
    mpz_set_ui(leg->short_lot, 1);
    model_option_leg(box, leg, given);
}

void model_box_fill(struct model_box *box, const struct pl_market *market,
                    const struct pl_portfolio *portfolio)
{
    box->set = market->parameters;
    mpz_set_ui(box->peak, 0);
    box->leg_count = portfolio->leg_count;
    box->is_unbounded = false;
    model_set_i128(box->cash[0], portfolio->cash_vu);
    model_set_i128(box->cash[1], portfolio->final_cash_vu);
    box->is_open = portfolio->cash_vu != portfolio->final_cash_vu;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *given = &portfolio->legs[i];
        const struct pl_quote *quote = &market->quotes[given->instrument];
        struct model_leg *leg = &box->legs[i];
        for (int taken = 0; taken < 2; taken++) {
            leg->taken = taken;
            leg->rules = &leg->own[taken];
            leg->own[taken] = market->parameters->instruments[given->instrument];
            model_apply_mode(portfolio, market->parameters, given->instrument, taken, &leg->own[taken]);
            (void)model_halt(market, leg->rules, leg->halt[taken]);
        }
        mpz_set_ui(leg->charge[0], 0);
        mpz_set_ui(leg->charge[1], 0);
        bool is_listed = leg->rules->is_listed && !given->is_unlisted_amount &&
                         leg->rules->kind < PL_INSTRUMENT_VOLATILITY;
        bool is_option = is_listed && leg->rules->kind == PL_INSTRUMENT_OPTION;
        leg->group = is_listed && leg->rules->has_scenarios ? leg->rules->scenario_underlying
                                                            : UINT32_MAX;
        leg->is_option = false;
        if (is_option)
            fill_option(box, leg, given, market);
        bool is_live = is_option ? leg->option.is_live : quote->status == PL_MARK_LIVE;
        if (!is_listed)
            fill_unlisted(leg, given);
        else if (is_option)
            ;
        else if (is_live)
            fill_priced(leg, given, quote);
        else
            fill_badly_priced(leg, given, quote);
        if (!is_listed || !is_live || given->lots != given->final_lots)
            box->is_open = true;
        if (mpz_sizeinbase(leg->x[0], 10) > 50 || mpz_sizeinbase(leg->x[1], 10) > 50)
            box->is_unbounded = true;
    }
}

static const struct pl_mode_weight *weight_of(const struct pl_parameters *set, const struct pl_mode *mode,
                                              uint32_t instrument)
{
    const struct pl_mode_weight *found = NULL;
    for (uint32_t i = mode->first; i < mode->first + mode->count; i++)
        if (set->mode_weights[i].instrument == instrument)
            found = &set->mode_weights[i];
    return found;
}

/* What some of the debts ask for, all in all: nothing, all of what the instrument has itself, or so much. */
struct asked {
    enum { ASKS_NOTHING, ASKS_OWN, ASKS_THIS } kind;
    int32_t haircut;
};

/* One debt more, of which the collateral has this weight or none, for certain or perhaps. */
static uint32_t ask(struct asked ways[2 * PL_LEGS_MAX + 4], uint32_t count, bool is_certain,
                    const int32_t *haircut)
{
    struct asked next[2 * PL_LEGS_MAX + 4];
    uint32_t next_count = 0;
    for (uint32_t i = 0; i < 2 * count; i++) {
        struct asked way = ways[i / 2];
        if (i % 2 == 0 && is_certain) /* without it */
            continue;
        if (i % 2 == 1 && (!haircut || way.kind == ASKS_OWN))
            way = (struct asked){.kind = ASKS_OWN};
        else if (i % 2 == 1 && (way.kind == ASKS_NOTHING || *haircut > way.haircut))
            way = (struct asked){.kind = ASKS_THIS, .haircut = *haircut};
        bool is_known = false;
        for (uint32_t k = 0; k < next_count; k++)
            is_known |= next[k].kind == way.kind && next[k].haircut == way.haircut;
        if (!is_known)
            next[next_count++] = way;
    }
    memcpy(ways, next, next_count * sizeof ways[0]);
    return next_count;
}

/* RISK 1.5: the smallest weight among what is owed, dropped if anything that is owed has none; of all sets of
 * debts that may come true, the best or the worst. */
static int32_t haircut_by_debts(const struct pl_portfolio *portfolio, const struct pl_parameters *set,
                                uint32_t instrument, enum pl_tier tier, bool is_best)
{
    const struct pl_leg *held = portfolio->held ? portfolio->held : portfolio->legs;
    const uint32_t held_count = portfolio->held ? portfolio->held_count : portfolio->leg_count;
    const bool owes = portfolio->held ? portfolio->held_owes_cash
                                      : portfolio->cash_vu < 0 && portfolio->final_cash_vu < 0;
    const bool may_owe = portfolio->held ? portfolio->held_may_owe_cash
                                         : portfolio->cash_vu < 0 || portfolio->final_cash_vu < 0;
    const int32_t own = set->instruments[instrument].haircut_long.at[tier];
    struct asked ways[2 * PL_LEGS_MAX + 4] = {{.kind = ASKS_NOTHING}};
    uint32_t count = 1;
    if (owes || may_owe)
        count = ask(ways, count, owes, NULL);
    for (uint32_t i = 0; i < held_count; i++) {
        const struct pl_instrument *debt = &set->instruments[held[i].instrument];
        bool is_derivative = debt->is_listed && debt->kind != PL_INSTRUMENT_SPOT;
        if (is_derivative || (held[i].lots >= 0 && held[i].final_lots >= 0))
            continue;
        const struct pl_mode_weight *weight = weight_of(set, &debt->lent_on, instrument);
        count = ask(ways, count, held[i].lots < 0 && held[i].final_lots < 0,
                    weight ? &weight->haircut_long.at[tier] : NULL);
    }
    int32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        int32_t haircut = ways[i].kind == ASKS_THIS ? ways[i].haircut : own;
        if (i == 0 || (is_best ? haircut < chosen : haircut > chosen))
            chosen = haircut;
    }
    return chosen;
}

void model_apply_mode(const struct pl_portfolio *portfolio, const struct pl_parameters *set,
                      uint32_t instrument, bool is_best, struct pl_instrument *rules)
{
    if (portfolio->mode > 0) {
        const struct pl_mode_weight *weight = weight_of(set, &set->modes[portfolio->mode], instrument);
        if (weight) {
            rules->haircut_long = weight->haircut_long;
            rules->haircut_short = weight->haircut_short;
        }
        return;
    }
    for (int t = 0; t < PL_TIER_COUNT; t++)
        rules->haircut_long.at[t] = haircut_by_debts(portfolio, set, instrument, (enum pl_tier)t, is_best);
}

pl_i128 model_within_cash(const struct pl_portfolio *portfolio, const struct pl_parameters *set, pl_i128 excess)
{
    uint32_t lent = 0;
    for (uint32_t i = 0; portfolio->held && i < portfolio->held_count; i++) {
        const struct pl_leg *held = &portfolio->held[i];
        const struct pl_instrument *debt = &set->instruments[held->instrument];
        lent += debt->is_listed && debt->lent_on.is_present && (held->lots < 0 || held->final_lots < 0);
    }
    pl_i128 cash = portfolio->cash_vu < portfolio->final_cash_vu ? portfolio->cash_vu : portfolio->final_cash_vu;
    bool is_free = portfolio->mode > 0 || lent == 0 || portfolio->held_owes_cash || portfolio->held_may_owe_cash;
    return is_free || excess < cash * PL_PPM ? excess : cash * PL_PPM;
}

void model_box_take(struct model_box *box, bool is_best)
{
    for (uint32_t i = 0; i < box->leg_count; i++) {
        struct model_leg *leg = &box->legs[i];
        leg->taken = is_best;
        if (leg->rules)
            leg->rules = &leg->own[is_best];
    }
}

bool model_halt(const struct pl_market *market, const struct pl_instrument *rules,
                int64_t halt[PL_TIER_COUNT])
{
    int64_t since_ms = INT64_MAX, others = 0;
    bool is_stuck = false;
    memset(halt, 0, sizeof(halt[0]) * PL_TIER_COUNT);
    for (uint32_t i = 0; i < market->halt_count; i++) {
        const struct pl_chain_halt *one = &market->halts[i];
        if (!rules->is_listed || rules->kind != PL_INSTRUMENT_SPOT ||
            strcmp(one->chain.text, rules->chain.text) != 0 ||
            (one->bridge.size_bytes > 0 && strcmp(one->bridge.text, rules->bridge.text) != 0))
            continue;
        is_stuck = true;
        if (one->since_ms < since_ms)
            since_ms = one->since_ms;
    }
    if (!is_stuck)
        return false;
    for (uint32_t k = 0; k < rules->load_count; k++)
        others += llabs(rules->loads[k].load.at[PL_TIER_ALERT]);
    int64_t worst = 0;
    for (uint32_t k = 0; k < rules->loss_count; k++)
        worst = rules->losses[k].loss.at[PL_TIER_ALERT] > worst
                    ? rules->losses[k].loss.at[PL_TIER_ALERT]
                    : worst;
    others += worst + rules->confidence_ppm;
    if (rules->bracket_count > 0)
        others += rules->brackets[rules->bracket_count - 1].rate.at[PL_TIER_ALERT];
    if (rules->has_scenarios)
        others += model_scenario_load(market->parameters, PL_TIER_ALERT);
    mpz_t part;
    mpz_init(part);
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        int64_t ramp_ms = market->parameters->policy.halt_ramp_ms;
        bool is_at_once = t == PL_TIER_ALERT || t == PL_TIER_INITIAL;
        mpz_set_si(part, market->now_ms);
        mpz_sub_ui(part, part, (unsigned long)since_ms);
        mpz_mul_ui(part, part, 1000);
        if (is_at_once)
            mpz_set_ui(part, 1000);
        else if (ramp_ms == 0 || mpz_sgn(part) < 0)
            mpz_set_ui(part, 0);
        else
            mpz_cdiv_q_ui(part, part, (unsigned long)ramp_ms);
        if (mpz_cmp_ui(part, 1000) > 0)
            mpz_set_ui(part, 1000);
        mpz_mul_si(part, part, PL_PPM - others - rules->haircut_long.at[t]);
        mpz_cdiv_q_ui(part, part, 1000);
        halt[t] = mpz_get_si(part);
    }
    mpz_clear(part);
    return true;
}

void model_sheet_init(struct model_sheet *sheet)
{
    sheet->box = NULL;
    for (uint32_t i = 0; i < PL_LEGS_MAX; i++)
        mpz_init(sheet->x[i]);
    mpz_init(sheet->cash);
}

void model_sheet_deinit(struct model_sheet *sheet)
{
    for (uint32_t i = 0; i < PL_LEGS_MAX; i++)
        mpz_clear(sheet->x[i]);
    mpz_clear(sheet->cash);
}

void model_sheet_corner(struct model_sheet *sheet, const struct model_box *box, uint64_t mask)
{
    sheet->box = box;
    sheet->choice = mask;
    for (uint32_t i = 0; i < box->leg_count; i++)
        mpz_set(sheet->x[i], box->legs[i].x[mask >> (i % 63) & 1]);
    mpz_set(sheet->cash, box->cash[mask >> 63]);
}

void model_sheet_place(struct model_sheet *sheet, uint32_t leg, uint32_t part)
{
    const struct model_leg *range = &sheet->box->legs[leg];
    mpz_sub(sheet->x[leg], range->x[1], range->x[0]);
    mpz_mul_ui(sheet->x[leg], sheet->x[leg], part);
    mpz_fdiv_q_2exp(sheet->x[leg], sheet->x[leg], 32);
    mpz_add(sheet->x[leg], sheet->x[leg], range->x[0]);
}

/* ==== evaluation ============================================================================= */

void model_terms_init(struct model_terms *terms)
{
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        mpz_init(terms->by_kind[kind]);
    mpz_init(terms->excess);
}

void model_terms_deinit(struct model_terms *terms)
{
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        mpz_clear(terms->by_kind[kind]);
    mpz_clear(terms->excess);
}

/* number += coefficient * factor */
static void add_product(mpz_t number, int64_t coefficient, const mpz_t factor)
{
    if (coefficient >= 0)
        mpz_addmul_ui(number, factor, (unsigned long)coefficient);
    else
        mpz_submul_ui(number, factor, -(unsigned long)coefficient);
}

void model_value(const struct model_leg *leg, const mpz_t x, mpz_t value)
{
    mpz_mul(value, x, leg->is_option && mpz_sgn(x) < 0 ? leg->short_lot : leg->lot);
}

/* side(n) = haircut_long n for n >= 0, haircut_short (-n) below. */
static void side(const struct pl_instrument *rules, enum pl_tier tier, const mpz_t n, mpz_t charge)
{
    if (mpz_sgn(n) >= 0)
        mpz_mul_si(charge, n, rules->haircut_long.at[tier]);
    else
        mpz_mul_si(charge, n, -(int64_t)rules->haircut_short.at[tier]);
}

/* halt n for n >= 0. */
static void stuck(const struct model_leg *leg, enum pl_tier tier, const mpz_t n, mpz_t charge)
{
    mpz_set_ui(charge, 0);
    if (mpz_sgn(n) > 0)
        add_product(charge, leg->halt[leg->taken][tier], n);
}

/* conc(v) = sum over brackets of rate_b (min(v, T_b+1) - T_b)+ */
static void concentration(const struct pl_instrument *rules, enum pl_tier tier, const mpz_t n,
                          mpz_t charge)
{
    mpz_t size, from, slice;
    mpz_inits(size, from, slice, NULL);
    mpz_abs(size, n);
    mpz_set_ui(charge, 0);
    for (uint32_t b = 0; b < rules->bracket_count; b++) {
        set_power(from, 12);
        mpz_mul_si(from, from, rules->brackets[b].threshold_usd);
        mpz_set(slice, size);
        if (b + 1 < rules->bracket_count) {
            mpz_t until;
            mpz_init(until);
            set_power(until, 12);
            mpz_mul_si(until, until, rules->brackets[b + 1].threshold_usd);
            if (mpz_cmp(until, size) < 0)
                mpz_set(slice, until);
            mpz_clear(until);
        }
        mpz_sub(slice, slice, from);
        if (mpz_sgn(slice) > 0)
            add_product(charge, rules->brackets[b].rate.at[tier], slice);
    }
    mpz_clears(size, from, slice, NULL);
}

static bool charges_confidence(enum pl_tier tier)
{
    return tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL;
}

static void evaluate_leg(const struct model_leg *leg, enum pl_tier tier, const mpz_t x,
                         struct model_terms *terms)
{
    mpz_t n, charge;
    mpz_inits(n, charge, NULL);
    model_value(leg, x, n);
    add_product(terms->by_kind[PL_TERM_VALUE], PL_PPM, n);
    if (leg->rules) {
        side(leg->rules, tier, n, charge);
        mpz_sub(terms->by_kind[PL_TERM_HAIRCUT], terms->by_kind[PL_TERM_HAIRCUT], charge);
        stuck(leg, tier, n, charge);
        mpz_sub(terms->by_kind[PL_TERM_HALT], terms->by_kind[PL_TERM_HALT], charge);
        concentration(leg->rules, tier, n, charge);
        mpz_sub(terms->by_kind[PL_TERM_CONCENTRATION], terms->by_kind[PL_TERM_CONCENTRATION],
                charge);
        if (charges_confidence(tier)) {
            mpz_abs(n, n);
            add_product(terms->by_kind[PL_TERM_CONFIDENCE], -(int64_t)leg->rules->confidence_ppm,
                        n);
            charge_at(leg, x, charge);
            add_product(terms->by_kind[PL_TERM_CONFIDENCE], -(int64_t)PL_PPM, charge);
        }
    }
    mpz_clears(n, charge, NULL);
}

/* sum_i load_ik n_i of factor k. */
static void factor_sum(const struct model_sheet *sheet, enum pl_tier tier, uint32_t factor,
                       mpz_t sum)
{
    mpz_t n;
    mpz_init(n);
    mpz_set_ui(sum, 0);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++) {
        const struct model_leg *leg = &sheet->box->legs[i];
        for (uint32_t l = 0; leg->rules && l < leg->rules->load_count; l++) {
            if (leg->rules->loads[l].factor != factor)
                continue;
            model_value(leg, sheet->x[i], n);
            add_product(sum, leg->rules->loads[l].load.at[tier], n);
        }
    }
    mpz_clear(n);
}

/* sum_i loss_id max(n_i, 0) of dependency d. */
static void dependency_sum(const struct model_sheet *sheet, enum pl_tier tier, uint32_t dependency,
                           mpz_t sum)
{
    mpz_t n;
    mpz_init(n);
    mpz_set_ui(sum, 0);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++) {
        const struct model_leg *leg = &sheet->box->legs[i];
        for (uint32_t l = 0; leg->rules && l < leg->rules->loss_count; l++) {
            if (leg->rules->losses[l].dependency != dependency || mpz_sgn(sheet->x[i]) <= 0)
                continue;
            model_value(leg, sheet->x[i], n);
            add_product(sum, leg->rules->losses[l].loss.at[tier], n);
        }
    }
    mpz_clear(n);
}

/* Which factors (or dependencies) some leg names: the others contribute nothing. */
static uint64_t factors_named(const struct model_box *box)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < box->leg_count; i++)
        for (uint32_t l = 0; box->legs[i].rules && l < box->legs[i].rules->load_count; l++)
            mask |= 1ull << box->legs[i].rules->loads[l].factor;
    return mask;
}

static uint64_t dependencies_named(const struct model_box *box)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < box->leg_count; i++)
        for (uint32_t l = 0; box->legs[i].rules && l < box->legs[i].rules->loss_count; l++)
            mask |= 1ull << box->legs[i].rules->losses[l].dependency;
    return mask;
}

void model_evaluate(const struct model_sheet *sheet, enum pl_tier tier, struct model_terms *terms)
{
    mpz_t sum, worst;
    mpz_inits(sum, worst, NULL);
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        mpz_set_ui(terms->by_kind[kind], 0);
    add_product(terms->by_kind[PL_TERM_VALUE], PL_PPM, sheet->cash);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++)
        evaluate_leg(&sheet->box->legs[i], tier, sheet->x[i], terms);
    uint64_t named = factors_named(sheet->box);
    for (uint32_t k = 0; k < PL_FACTORS_MAX; k++) {
        if (!(named >> k & 1))
            continue;
        factor_sum(sheet, tier, k, sum);
        mpz_abs(sum, sum);
        mpz_sub(terms->by_kind[PL_TERM_FACTOR], terms->by_kind[PL_TERM_FACTOR], sum);
    }
    named = dependencies_named(sheet->box);
    for (uint32_t d = 0; d < PL_DEPENDENCIES_MAX; d++) {
        if (!(named >> d & 1))
            continue;
        dependency_sum(sheet, tier, d, sum);
        if (mpz_cmp(sum, worst) > 0)
            mpz_set(worst, sum);
    }
    mpz_neg(terms->by_kind[PL_TERM_DEPENDENCY], worst);
    model_scenario_charge(sheet, tier, sum);
    mpz_neg(terms->by_kind[PL_TERM_SCENARIO], sum);
    mpz_set_ui(terms->excess, 0);
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        mpz_add(terms->excess, terms->excess, terms->by_kind[kind]);
    mpz_clears(sum, worst, NULL);
}

void model_equity(const struct model_sheet *sheet, mpz_t equity)
{
    mpz_t n;
    mpz_init(n);
    mpz_set(equity, sheet->cash);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++) {
        model_value(&sheet->box->legs[i], sheet->x[i], n);
        mpz_add(equity, equity, n);
    }
    mpz_clear(n);
}

static bool is_beyond(const mpz_t size, pl_i128 limit)
{
    return model_compare_i128(size, limit) > 0 || model_compare_i128(size, -limit) < 0;
}

/* Gross value of the legs at a sheet; a leg without bound counts nothing there. */
static void gross_at(const struct model_sheet *sheet, mpz_t gross)
{
    mpz_t n;
    mpz_init(n);
    mpz_set_ui(gross, 0);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++) {
        model_value(&sheet->box->legs[i], sheet->x[i], n);
        mpz_abs(n, n);
        if (mpz_sizeinbase(n, 10) <= 50)
            mpz_add(gross, gross, n);
    }
    mpz_clear(n);
}

bool model_is_in_range(const struct model_sheet *sheet)
{
    mpz_t gross;
    mpz_init(gross);
    gross_at(sheet, gross);
    bool is_inside = !is_beyond(gross, PL_VALUE_VU_MAX) &&
                     !is_beyond(sheet->cash, PL_VALUE_VU_MAX * 4) &&
                     !is_beyond(sheet->box->peak, PL_VALUE_VU_MAX * 8);
    mpz_clear(gross);
    return is_inside;
}

/* ==== bounds ================================================================================= */

/* The end of [a, b] that is larger in size. */
static void size_max(const mpz_t a, const mpz_t b, mpz_t size)
{
    mpz_abs(size, mpz_cmpabs(a, b) >= 0 ? a : b);
}

/* The least size in [a, b], a <= b. */
static void size_min(const mpz_t a, const mpz_t b, mpz_t size)
{
    if (mpz_sgn(a) <= 0 && mpz_sgn(b) >= 0)
        mpz_set_ui(size, 0);
    else
        mpz_abs(size, mpz_cmpabs(a, b) <= 0 ? a : b);
}

enum model_range model_box_range(const struct model_box *box)
{
    struct model_sheet sheet;
    mpz_t n[2], most;
    mpz_inits(n[0], n[1], most, NULL);
    model_sheet_init(&sheet);
    model_sheet_corner(&sheet, box, 0);
    bool ends_are_inside = model_is_in_range(&sheet);
    model_sheet_corner(&sheet, box, UINT64_MAX);
    ends_are_inside = ends_are_inside && model_is_in_range(&sheet);
    for (uint32_t i = 0; i < box->leg_count; i++) {
        const struct model_leg *leg = &box->legs[i];
        for (int end = 0; end < 2; end++) {
            model_value(leg, leg->x[end], n[end]);
            if (mpz_sizeinbase(n[end], 10) > 50)
                mpz_set_ui(n[end], 0);
        }
        size_max(n[0], n[1], n[0]);
        mpz_add(most, most, n[0]);
    }
    bool all_is_inside = ends_are_inside && !is_beyond(most, PL_VALUE_VU_MAX);
    model_sheet_deinit(&sheet);
    mpz_clears(n[0], n[1], most, NULL);
    return all_is_inside ? MODEL_INSIDE : ends_are_inside ? MODEL_EITHER : MODEL_OUTSIDE;
}

void model_box_minimum(const struct model_box *box, enum pl_tier tier, mpz_t least)
{
    struct model_sheet sheet;
    struct model_terms terms;
    model_sheet_init(&sheet);
    model_terms_init(&terms);
    uint32_t open[PL_LEGS_MAX], open_count = 0;
    for (uint32_t i = 0; i < box->leg_count; i++)
        if (mpz_cmp(box->legs[i].x[0], box->legs[i].x[1]) != 0)
            open[open_count++] = i;
    pl_assert(open_count <= 12 && box->leg_count <= 63);
    for (uint32_t choice = 0; choice < 1u << open_count; choice++) {
        uint64_t mask = 0;
        for (uint32_t i = 0; i < open_count; i++)
            mask |= (uint64_t)(choice >> i & 1) << open[i];
        model_sheet_corner(&sheet, box, mask);
        sheet.choice = 0;
        model_evaluate(&sheet, tier, &terms);
        if (choice == 0 || mpz_cmp(terms.excess, least) < 0)
            mpz_set(least, terms.excess);
    }
    model_terms_deinit(&terms);
    model_sheet_deinit(&sheet);
}

/* Ternary search: the excess is concave in each x, so it is flat only at its top. */
static void climb_leg(const struct model_box *box, enum pl_tier tier, struct model_sheet *sheet,
                      uint32_t leg, struct model_terms *terms)
{
    mpz_t low, high, third, at_low;
    mpz_inits(low, high, third, at_low, NULL);
    mpz_set(low, box->legs[leg].x[0]);
    mpz_set(high, box->legs[leg].x[1]);
    while (mpz_cmp(low, high) < 0) {
        mpz_sub(third, high, low);
        mpz_fdiv_q_ui(third, third, 3);
        mpz_add(sheet->x[leg], low, third);
        model_evaluate(sheet, tier, terms);
        mpz_set(at_low, terms->excess);
        mpz_sub(sheet->x[leg], high, third);
        if (mpz_sgn(third) == 0)
            mpz_add_ui(sheet->x[leg], low, 1);
        model_evaluate(sheet, tier, terms);
        if (mpz_cmp(at_low, terms->excess) < 0) {
            mpz_add(low, low, third);
            mpz_add_ui(low, low, 1);
        } else if (mpz_sgn(third) == 0) {
            mpz_set(high, low);
        } else {
            mpz_sub(high, high, third);
        }
    }
    mpz_set(sheet->x[leg], low);
    mpz_clears(low, high, third, at_low, NULL);
}

void model_box_climb(const struct model_box *box, enum pl_tier tier, struct model_sheet *sheet,
                     mpz_t best)
{
    struct model_terms terms;
    model_terms_init(&terms);
    mpz_set(sheet->cash, box->cash[1]);
    sheet->choice = UINT64_MAX;
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < box->leg_count; i++)
            if (mpz_cmp(box->legs[i].x[0], box->legs[i].x[1]) != 0)
                climb_leg(box, tier, sheet, i, &terms);
    model_evaluate(sheet, tier, &terms);
    mpz_set(best, terms.excess);
    model_terms_deinit(&terms);
}

/* Least and greatest of a charge that is convex in n and smallest at 0. */
static void charge_range(const mpz_t n[2], const mpz_t at[2], mpz_t least, mpz_t greatest)
{
    bool spans = mpz_sgn(n[0]) <= 0 && mpz_sgn(n[1]) >= 0;
    bool first_is_less = mpz_cmp(at[0], at[1]) < 0;
    mpz_set(least, at[first_is_less ? 0 : 1]);
    mpz_set(greatest, at[first_is_less ? 1 : 0]);
    if (spans && mpz_sgn(least) > 0)
        mpz_set_ui(least, 0);
    if (spans && mpz_sgn(greatest) < 0)
        mpz_set_ui(greatest, 0);
}

/* All terms of one leg but factors and dependencies, which legs share. */
static void leg_bounds(const struct model_leg *leg, enum pl_tier tier, mpz_t low, mpz_t high)
{
    mpz_t n[2], at[2], least, greatest;
    mpz_inits(n[0], n[1], at[0], at[1], least, greatest, NULL);
    model_value(leg, leg->x[0], n[0]);
    model_value(leg, leg->x[1], n[1]);
    add_product(low, PL_PPM, n[0]);
    add_product(high, PL_PPM, n[1]);
    if (leg->rules) {
        for (int end = 0; end < 2; end++) {
            side(leg->rules, tier, n[end], at[end]);
            stuck(leg, tier, n[end], least);
            mpz_add(at[end], at[end], least);
        }
        charge_range(n, at, least, greatest);
        mpz_sub(low, low, greatest);
        mpz_sub(high, high, least);
        for (int end = 0; end < 2; end++)
            concentration(leg->rules, tier, n[end], at[end]);
        charge_range(n, at, least, greatest);
        mpz_sub(low, low, greatest);
        mpz_sub(high, high, least);
    }
    if (leg->rules && charges_confidence(tier)) {
        size_min(n[0], n[1], least);
        size_max(n[0], n[1], greatest);
        add_product(low, -(int64_t)leg->rules->confidence_ppm, greatest);
        add_product(high, -(int64_t)leg->rules->confidence_ppm, least);
        add_product(low, -(int64_t)PL_PPM, leg->charge[1]);
        add_product(high, -(int64_t)PL_PPM, leg->charge[0]);
    }
    mpz_clears(n[0], n[1], at[0], at[1], least, greatest, NULL);
}

/* Interval of sum_i load_ik n_i. */
static void factor_bounds(const struct model_box *box, enum pl_tier tier, uint32_t factor,
                          mpz_t sum[2])
{
    mpz_t n[2];
    mpz_inits(n[0], n[1], NULL);
    mpz_set_ui(sum[0], 0);
    mpz_set_ui(sum[1], 0);
    for (uint32_t i = 0; i < box->leg_count; i++) {
        const struct model_leg *leg = &box->legs[i];
        for (uint32_t l = 0; leg->rules && l < leg->rules->load_count; l++) {
            if (leg->rules->loads[l].factor != factor)
                continue;
            int32_t load = leg->rules->loads[l].load.at[tier];
            for (int end = 0; end < 2; end++) {
                model_value(leg, leg->x[end], n[end]);
                add_product(sum[load >= 0 ? end : 1 - end], load, n[end]);
            }
        }
    }
    mpz_clears(n[0], n[1], NULL);
}

/* By the haircuts that are taken. */
static void bounds_of(const struct model_box *box, enum pl_tier tier, mpz_t low, mpz_t high)
{
    mpz_t sum[2], size, worst[2];
    mpz_inits(sum[0], sum[1], size, worst[0], worst[1], NULL);
    mpz_mul_ui(low, box->cash[0], PL_PPM);
    mpz_mul_ui(high, box->cash[1], PL_PPM);
    for (uint32_t i = 0; i < box->leg_count; i++)
        leg_bounds(&box->legs[i], tier, low, high);
    uint64_t named = factors_named(box);
    for (uint32_t k = 0; k < PL_FACTORS_MAX; k++) {
        if (!(named >> k & 1))
            continue;
        factor_bounds(box, tier, k, sum);
        size_max(sum[0], sum[1], size);
        mpz_sub(low, low, size);
        size_min(sum[0], sum[1], size);
        mpz_sub(high, high, size);
    }
    struct model_sheet sheet;
    model_sheet_init(&sheet);
    named = dependencies_named(box);
    for (int end = 0; end < 2; end++) {
        model_sheet_corner(&sheet, box, end == 0 ? 0 : UINT64_MAX);
        for (uint32_t d = 0; d < PL_DEPENDENCIES_MAX; d++) {
            if (!(named >> d & 1))
                continue;
            dependency_sum(&sheet, tier, d, size);
            if (mpz_cmp(size, worst[end]) > 0)
                mpz_set(worst[end], size);
        }
    }
    mpz_sub(low, low, worst[1]);
    mpz_sub(high, high, worst[0]);
    model_scenario_range(box, tier, worst);
    mpz_sub(low, low, worst[1]);
    mpz_sub(high, high, worst[0]);
    model_sheet_deinit(&sheet);
    mpz_clears(sum[0], sum[1], size, worst[0], worst[1], NULL);
}

void model_box_bounds(struct model_box *box, enum pl_tier tier, mpz_t low, mpz_t high)
{
    mpz_t other;
    mpz_init(other);
    model_box_take(box, false);
    bounds_of(box, tier, low, other);
    model_box_take(box, true);
    bounds_of(box, tier, other, high);
    mpz_clear(other);
}

bool model_box_grows(const struct model_box *box, enum pl_tier tier)
{
    for (uint32_t i = 0; i < box->leg_count; i++) {
        const struct model_leg *leg = &box->legs[i];
        if (mpz_cmp(leg->x[0], leg->x[1]) == 0 || !leg->rules)
            continue;
        bool has_interval = mpz_sgn(leg->fall) != 0 || mpz_sgn(leg->rise) != 0;
        if ((leg->rules->kind != PL_INSTRUMENT_SPOT && !leg->is_option) || (has_interval && charges_confidence(tier)))
            return false;
    }
    return true;
}

void model_box_equity(const struct model_box *box, mpz_t low, mpz_t high)
{
    struct model_sheet sheet;
    model_sheet_init(&sheet);
    model_sheet_corner(&sheet, box, 0);
    model_equity(&sheet, low);
    model_sheet_corner(&sheet, box, UINT64_MAX);
    model_equity(&sheet, high);
    model_sheet_deinit(&sheet);
}
