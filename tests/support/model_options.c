/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model of options: what the specification (RISK 1.4, 1.5; lib/plimsoll.h) says of grids that
 * are given as integers, the table of scenarios, and the minimum for what is owed. Each line of a grid is
 * an exact rational that is rounded once.
 */
#include "tests/support/model.h"

#include "lib/base/assert.h"

static const struct pl_mark *followed;

void model_options_follow(const struct pl_mark *marks)
{
    followed = marks;
}

/* ==== values ================================================================================= */

/* (2^bits + rest of the cell) * 2^(octave - bits) */
static void node_price(const struct pl_grid *grid, uint32_t node, mpz_t price)
{
    const uint32_t cell = grid->first_cell + node, octave = cell >> grid->bits;
    mpz_set_ui(price, (1u << grid->bits) + cell % (1u << grid->bits));
    mpz_mul_2exp(price, price, octave - grid->bits);
}

/* The line through the two nodes around `price`, or the two at the end that is nearer. */
static void line_at(const struct pl_grid *grid, const int64_t *nodes, const mpz_t price, mpq_t value)
{
    mpz_t from, to;
    mpq_t part, slope;
    mpz_inits(from, to, NULL);
    mpq_inits(part, slope, NULL);
    uint32_t node = 0;
    for (node_price(grid, 1, to); node + 2 < grid->node_count && mpz_cmp(to, price) <= 0;
         node_price(grid, node + 1, to))
        node++;
    node_price(grid, node, from);
    mpz_sub(mpq_denref(part), to, from);
    mpz_sub(mpq_numref(part), price, from);
    mpq_canonicalize(part);
    mpq_set_si(slope, nodes[node + 1], 1);
    mpq_set_si(value, nodes[node], 1);
    mpq_sub(slope, slope, value);
    mpq_mul(slope, slope, part);
    mpq_add(value, value, slope);
    mpz_clears(from, to, NULL);
    mpq_clears(part, slope, NULL);
}

/* Whole VU of what is owned (down) and owed (up); false beyond what a value may be. */
static bool value_at(const struct pl_option_grid *grid, enum pl_layer layer, const mpz_t price,
                     int64_t *low, int64_t *high)
{
    mpq_t value;
    mpz_t whole[2];
    mpq_init(value);
    mpz_inits(whole[0], whole[1], NULL);
    line_at(&grid->grid, grid->low[layer], price, value);
    mpz_fdiv_q(whole[0], mpq_numref(value), mpq_denref(value));
    line_at(&grid->grid, grid->high[layer], price, value);
    mpz_cdiv_q(whole[1], mpq_numref(value), mpq_denref(value));
    if (mpz_sgn(whole[0]) < 0)
        mpz_set_ui(whole[0], 0);
    bool fits = mpz_sizeinbase(price, 2) <= 60 || mpz_scan1(price, 0) == 60;
    for (int side = 0; side < 2; side++)
        fits = fits && (mpz_sgn(whole[side]) <= 0 || mpz_sizeinbase(whole[side], 2) <= 62);
    if (mpz_cmp(whole[1], whole[0]) < 0)
        mpz_set(whole[1], whole[0]);
    *low = mpz_get_si(whole[0]);
    *high = mpz_get_si(whole[1]);
    mpq_clear(value);
    mpz_clears(whole[0], whole[1], NULL);
    return fits;
}

/* price * ppm / 10^6 in whole ticks, rounded up, in VU of a lot; false where that is no value. */
static bool bound_at(int64_t price, int64_t ppm, uint32_t decimals, int64_t *bound)
{
    mpz_t vu;
    mpz_init_set_si(vu, price);
    mpz_mul_si(vu, vu, ppm);
    mpz_cdiv_q_ui(vu, vu, PL_PPM);
    for (uint32_t i = decimals; i < PL_DECIMALS_MAX; i++)
        mpz_mul_ui(vu, vu, 10);
    const bool fits = mpz_sizeinbase(vu, 2) <= 62;
    *bound = mpz_get_si(vu);
    mpz_clear(vu);
    return fits;
}

static void peak(struct model_option *option, int64_t value)
{
    if (value > option->peak)
        option->peak = value;
}

static bool value_of(const struct pl_market *market, uint32_t index, struct model_option *option)
{
    const struct pl_parameters *set = market->parameters;
    const struct pl_instrument *rules = &set->instruments[index];
    const struct pl_instrument *under = &set->instruments[rules->option.underlying];
    const struct pl_quote *spot = &market->quotes[rules->option.underlying];
    const struct pl_option_grid *grid = followed ? followed[index].grid : NULL;
    const uint32_t decimals = rules->lot_decimals + under->tick_decimals;
    *option = (struct model_option){0};
    if (!grid || spot->ticks == 0 || followed[index].status == PL_MARK_NONE)
        return false;
    mpz_t price;
    mpz_init_set_si(price, spot->ticks);
    bool fits = value_at(grid, PL_LAYER_MARK, price, &option->now[0], &option->now[1]);
    peak(option, option->now[1]);
    for (uint32_t s = 0; fits && s < set->scenario_count; s++) {
        mpz_set_si(price, spot->ticks);
        mpz_mul_si(price, price, PL_PPM + (int64_t)set->scenarios[s].move_ppm);
        mpz_fdiv_q_ui(price, price, PL_PPM);
        fits = value_at(grid, set->scenarios[s].layer, price, &option->then[0][s],
                        &option->then[1][s]);
        peak(option, option->then[1][s]);
    }
    mpz_clear(price);
    int64_t high;
    fits = fits && bound_at(spot->ticks, PL_PPM, decimals, &option->notional) &&
           bound_at(spot->ticks, under->price_rules.bad_mark_high_ppm, decimals, &high);
    if (!fits)
        return false;
    option->bound = high;
    if (rules->option.type == PL_OPTION_PUT &&
        !bound_at(rules->option.strike_ticks, rules->price_rules.bad_mark_high_ppm, decimals,
                  &option->bound))
        return false;
    const int64_t age_ms = market->now_ms - followed[index].event_time_ms;
    option->is_live = followed[index].status == PL_MARK_LIVE && spot->status == PL_MARK_LIVE &&
                      age_ms <= rules->price_rules.age_ms_max &&
                      -age_ms <= rules->price_rules.age_ms_max;
    if (!option->is_live)
        option->notional = high;
    peak(option, option->notional);
    return true;
}

bool model_option_value(const struct pl_market *market, uint32_t index, struct model_option *option)
{
    const bool has_value = value_of(market, index, option);
    if (!has_value)
        *option = (struct model_option){0};
    return has_value;
}

/* ==== what a leg is part of ================================================================== */

/* Gross of the options at their peaks, over all legs: at most 8 times the range. */
static void add_peak(struct model_box *box, const struct model_leg *leg, const struct pl_leg *given)
{
    mpz_t lots, final;
    mpz_inits(lots, final, NULL);
    mpz_set_si(lots, given->lots);
    mpz_set_si(final, given->final_lots);
    mpz_set(lots, mpz_cmpabs(lots, final) > 0 ? lots : final);
    mpz_abs(lots, lots);
    mpz_mul_si(lots, lots, leg->option.peak);
    mpz_add(box->peak, box->peak, lots);
    mpz_clears(lots, final, NULL);
}

void model_option_leg(struct model_box *box, struct model_leg *leg, const struct pl_leg *given)
{
    add_peak(box, leg, given);
    mpz_set_si(leg->least_lots, given->lots < given->final_lots ? given->lots : given->final_lots);
    if (!leg->option.is_live)
        return;
    mpz_set_si(leg->x[0], given->lots);
    mpz_set_si(leg->x[1], given->final_lots);
    mpz_set_si(leg->lot, leg->option.now[0]);
    mpz_set_si(leg->short_lot, leg->option.now[1]);
}

/* ==== a group ================================================================================ */

/* Some number that is a function of all of these, below 2^32. */
static uint64_t mix(uint64_t choice, uint64_t leg, uint64_t scenario)
{
    uint64_t state = choice + leg * 0x9e3779b97f4a7c15u + scenario * 0xd1342543de82ef95u;
    state = (state ^ state >> 31) * 0xbf58476d1ce4e5b9u;
    return (state ^ state >> 29) >> 32;
}

/* Of 2^32, how much an option in doubt gains of what it may. */
static uint64_t part_of(uint64_t choice, uint32_t leg, uint32_t scenario)
{
    const uint64_t part = mix(choice, leg, scenario);
    if (choice == 0 || choice == UINT64_MAX)
        return choice == 0 ? 0 : (uint64_t)1 << 32;
    return part % 3 == 0 ? 0 : part % 3 == 1 ? (uint64_t)1 << 32 : part;
}

/* How far what a leg is worth in scenario s may be, in VU ppm. An option in doubt is worth between 0 and
 * its bound, which rises with the underlying and does not fall below what it is. */
static void reach_then(const struct model_leg *leg, int32_t move_ppm, mpz_t reach[2])
{
    for (int end = 0; end < 2; end++)
        mpz_mul_si(reach[end], leg->x[end], PL_PPM + (int64_t)(move_ppm > 0 ? move_ppm : 0));
}

/* 10^6 times what the leg gains in scenario s when it is at x. */
static void gain_at(const struct model_sheet *sheet, uint32_t i, uint32_t s, const mpz_t x,
                    mpz_t gain)
{
    const struct model_leg *leg = &sheet->box->legs[i];
    const int32_t move_ppm = sheet->box->set->scenarios[s].move_ppm;
    mpz_t now;
    mpz_init(now);
    model_value(leg, x, now);
    if (!leg->is_option) {
        mpz_mul_si(gain, now, move_ppm);
    } else if (leg->option.is_live) {
        mpz_mul_si(gain, x, leg->option.then[mpz_sgn(x) < 0][s]);
        mpz_sub(gain, gain, now);
        mpz_mul_ui(gain, gain, PL_PPM);
    } else {
        mpz_t reach[2];
        mpz_inits(reach[0], reach[1], NULL);
        reach_then(leg, move_ppm, reach);
        mpz_sub(gain, reach[1], reach[0]);
        mpz_mul_ui(gain, gain, part_of(sheet->choice, i, s));
        mpz_fdiv_q_2exp(gain, gain, 32);
        mpz_add(gain, gain, reach[0]);
        mpz_submul_ui(gain, now, PL_PPM);
        mpz_clears(reach[0], reach[1], NULL);
    }
    mpz_clear(now);
}

/* Underlying value of what is owed at x. */
static void owed_at(const struct model_sheet *sheet, uint32_t i, const mpz_t x, mpz_t owed)
{
    const struct model_leg *leg = &sheet->box->legs[i];
    const bool is_doubtful = !leg->option.is_live;
    const mpz_t *lots = is_doubtful ? &leg->least_lots : (const mpz_t *)x;
    mpz_set_ui(owed, 0);
    if (!leg->is_option || mpz_sgn(*lots) >= 0)
        return;
    mpz_mul_si(owed, *lots, leg->option.notional);
    mpz_neg(owed, owed);
    if (is_doubtful) {
        mpz_mul_ui(owed, owed, ((uint64_t)1 << 32) - part_of(sheet->choice, i, UINT32_MAX));
        mpz_fdiv_q_2exp(owed, owed, 32);
    }
}

/* max(0, max_s -weight gain_s / 10^6 rounded up, minimum owed) */
struct worst { mpz_t charge, part; };

static void worst_init(struct worst *worst)
{
    mpz_inits(worst->charge, worst->part, NULL);
}

static void worst_deinit(struct worst *worst)
{
    mpz_clears(worst->charge, worst->part, NULL);
}

static void worst_scenario(struct worst *worst, const mpz_t gain, int32_t weight_ppm)
{
    mpz_mul_si(worst->part, gain, -(int64_t)weight_ppm);
    mpz_cdiv_q_ui(worst->part, worst->part, PL_PPM);
    if (mpz_cmp(worst->part, worst->charge) > 0)
        mpz_set(worst->charge, worst->part);
}

static void worst_owed(struct worst *worst, const mpz_t owed, int32_t minimum_ppm)
{
    mpz_mul_si(worst->part, owed, minimum_ppm);
    if (mpz_cmp(worst->part, worst->charge) > 0)
        mpz_set(worst->charge, worst->part);
}

static bool is_first_of_group(const struct model_box *box, uint32_t leg)
{
    for (uint32_t i = 0; i < leg; i++)
        if (box->legs[i].group == box->legs[leg].group)
            return false;
    return box->legs[leg].group != UINT32_MAX;
}

static void charge_group(const struct model_sheet *sheet, enum pl_tier tier, uint32_t group,
                         mpz_t charge)
{
    const struct model_box *box = sheet->box;
    struct worst worst;
    mpz_t sum, part;
    mpz_inits(sum, part, NULL);
    worst_init(&worst);
    for (uint32_t s = 0; s <= box->set->scenario_count; s++) {
        const bool is_minimum = s == box->set->scenario_count;
        mpz_set_ui(sum, 0);
        for (uint32_t i = 0; i < box->leg_count; i++) {
            if (box->legs[i].group != group)
                continue;
            if (is_minimum)
                owed_at(sheet, i, sheet->x[i], part);
            else
                gain_at(sheet, i, s, sheet->x[i], part);
            mpz_add(sum, sum, part);
        }
        if (is_minimum)
            worst_owed(&worst, sum, box->set->short_minimum.at[tier]);
        else
            worst_scenario(&worst, sum, box->set->scenarios[s].weight.at[tier]);
    }
    mpz_set(charge, worst.charge);
    worst_deinit(&worst);
    mpz_clears(sum, part, NULL);
}

void model_scenario_charge(const struct model_sheet *sheet, enum pl_tier tier, mpz_t charge)
{
    mpz_t one;
    mpz_init(one);
    mpz_set_ui(charge, 0);
    for (uint32_t i = 0; i < sheet->box->leg_count; i++) {
        if (!is_first_of_group(sheet->box, i))
            continue;
        charge_group(sheet, tier, sheet->box->legs[i].group, one);
        mpz_add(charge, charge, one);
    }
    mpz_clear(one);
}

/* ==== by intervals =========================================================================== */

/* The least and greatest of a leg's gain (s below the count) or of what is owed, over all that is open:
 * both are straight lines on either side of 0. */
static void leg_range(struct model_sheet *sheet, uint32_t i, uint32_t s, mpz_t range[2])
{
    const struct model_leg *leg = &sheet->box->legs[i];
    mpz_t one, zero;
    mpz_inits(one, zero, NULL);
    bool has_any = false;
    for (int place = 0; place < 3; place++) {
        if (place == 2 && (mpz_sgn(leg->x[0]) > 0 || mpz_sgn(leg->x[1]) < 0))
            continue;
        const mpz_t *x = place == 2 ? (const mpz_t *)&zero : &leg->x[place];
        for (int top = 0; top < 2; top++) {
            sheet->choice = top ? UINT64_MAX : 0;
            if (s < sheet->box->set->scenario_count)
                gain_at(sheet, i, s, *x, one);
            else
                owed_at(sheet, i, *x, one);
            if (!has_any || mpz_cmp(one, range[0]) < 0)
                mpz_set(range[0], one);
            if (!has_any || mpz_cmp(one, range[1]) > 0)
                mpz_set(range[1], one);
            has_any = true;
        }
    }
    mpz_clears(one, zero, NULL);
}

static void range_of_group(struct model_sheet *sheet, enum pl_tier tier, uint32_t group,
                           mpz_t charge[2])
{
    const struct model_box *box = sheet->box;
    struct worst worst[2];
    mpz_t sum[2], part[2];
    mpz_inits(sum[0], sum[1], part[0], part[1], NULL);
    worst_init(&worst[0]);
    worst_init(&worst[1]);
    for (uint32_t s = 0; s <= box->set->scenario_count; s++) {
        mpz_set_ui(sum[0], 0);
        mpz_set_ui(sum[1], 0);
        for (uint32_t i = 0; i < box->leg_count; i++) {
            if (box->legs[i].group != group)
                continue;
            leg_range(sheet, i, s, part);
            mpz_add(sum[0], sum[0], part[0]);
            mpz_add(sum[1], sum[1], part[1]);
        }
        for (int end = 0; end < 2; end++) {
            if (s == box->set->scenario_count)
                worst_owed(&worst[end], sum[end], box->set->short_minimum.at[tier]);
            else
                worst_scenario(&worst[end], sum[1 - end], box->set->scenarios[s].weight.at[tier]);
        }
    }
    mpz_set(charge[0], worst[0].charge);
    mpz_set(charge[1], worst[1].charge);
    worst_deinit(&worst[0]);
    worst_deinit(&worst[1]);
    mpz_clears(sum[0], sum[1], part[0], part[1], NULL);
}

void model_scenario_range(const struct model_box *box, enum pl_tier tier, mpz_t charge[2])
{
    struct model_sheet sheet;
    mpz_t one[2];
    mpz_inits(one[0], one[1], NULL);
    model_sheet_init(&sheet);
    sheet.box = box;
    mpz_set_ui(charge[0], 0);
    mpz_set_ui(charge[1], 0);
    for (uint32_t i = 0; i < box->leg_count; i++) {
        if (!is_first_of_group(box, i))
            continue;
        range_of_group(&sheet, tier, box->legs[i].group, one);
        mpz_add(charge[0], charge[0], one[0]);
        mpz_add(charge[1], charge[1], one[1]);
    }
    model_sheet_deinit(&sheet);
    mpz_clears(one[0], one[1], NULL);
}

int64_t model_scenario_load(const struct pl_parameters *set, enum pl_tier tier)
{
    int64_t most = 0;
    for (uint32_t s = 0; s < set->scenario_count; s++) {
        const int64_t move = set->scenarios[s].move_ppm;
        const int64_t product = (move < 0 ? -move : move) * set->scenarios[s].weight.at[tier];
        const int64_t load = product / PL_PPM + (product % PL_PPM != 0);
        most = load > most ? load : most;
    }
    return most;
}
