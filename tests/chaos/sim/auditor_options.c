/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's options (RISK 1.4, 1.5, the texts of pl_market_update, OptionGrid and Scenario):
 * what a set says of them, their values on a grid, and what the legs on one underlying ask for
 * together; a node's price by its definition, a line by its two-point form, numbers without bounds.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

/* ---- sets ------------------------------------------------------------------------------------ */

static bool read_tiers(const Plimsoll__V1__ParameterSet__TierPpm *from, struct tiers *tiers)
{
    if (!from || !from->has_alert || !from->has_initial || !from->has_end || !from->has_maintenance)
        return false;
    tiers->at[PL_TIER_ALERT] = from->alert;
    tiers->at[PL_TIER_INITIAL] = from->initial;
    tiers->at[PL_TIER_END] = from->end;
    tiers->at[PL_TIER_MAINTENANCE] = from->maintenance;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (tiers->at[t] < 0 || tiers->at[t] > PL_PPM || (t > 0 && tiers->at[t] > tiers->at[t - 1]))
            return false; /* V6, V10 */
    return true;
}

static_assert(PL_TIER_ALERT == 0 && PL_TIER_MAINTENANCE == 3, "from the strictest down");

bool auditor_read_scenarios(const Plimsoll__V1__ParameterSet *from, struct set *set)
{
    if (from->n_scenarios > AUDITOR_SCENARIOS_MAX ||
        (from->short_option_minimum &&
         !read_tiers(from->short_option_minimum, &set->short_minimum)))
        return false;
    set->scenario_count = (int)from->n_scenarios;
    for (int s = 0; s < set->scenario_count; s++) {
        const Plimsoll__V1__ParameterSet__Scenario *one = from->scenarios[s];
        struct scenario *to = &set->scenarios[s];
        if (!one->has_move_ppm || one->move_ppm <= -PL_PPM || one->move_ppm > 8 * PL_PPM ||
            !auditor_is_enum(one->has_layer, (int)one->layer,
                             &plimsoll__v1__parameter_set__scenario__layer__descriptor) ||
            !read_tiers(one->weight, &to->weight))
            return false;
        to->move = one->move_ppm;
        to->layer = (int)one->layer;
        for (int t = 0; t < PL_TIER_COUNT; t++) {
            const int64_t size = to->move < 0 ? -to->move : to->move;
            const int64_t load = (size * to->weight.at[t] + PL_PPM - 1) / PL_PPM;
            if (load > set->scenario_load.at[t])
                set->scenario_load.at[t] = load;
        }
    }
    return true;
}

bool auditor_read_option(const struct reader *reader,
                         const Plimsoll__V1__ParameterSet__Instrument *from, struct rules *rules)
{
    const Plimsoll__V1__ParameterSet__Option *option = from->option;
    const bool is_option = rules->kind == PL_INSTRUMENT_OPTION;
    rules->underlying = -1;
    if (is_option != (option != NULL) || (option && from->scenario_underlying))
        return false;
    if (from->scenario_underlying) {
        if (!auditor_is_id(from->scenario_underlying))
            return false;
        rules->underlying = auditor_name(reader->names, from->scenario_underlying);
    }
    if (!option)
        return true;
    if (!auditor_is_id(option->underlying) || !auditor_is_id(option->volatility) ||
        !auditor_is_enum(option->has_type, (int)option->type,
                         &plimsoll__v1__parameter_set__option__type__descriptor) ||
        !option->has_strike_ticks || option->strike_ticks < 1 || !option->has_expiry_ms ||
        option->expiry_ms < 1 || option->averaging_ms < 0 ||
        option->averaging_ms > option->expiry_ms || option->averaging_ms > 24 * 3600 * 1000 ||
        from->n_factors || from->n_brackets || from->n_dependencies ||
        rules->confidence != 0 || from->haircut_model || rules->chain)
        return false;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (rules->haircut_long.at[t] != 0 || rules->haircut_short.at[t] != 0)
            return false;
    rules->underlying = auditor_name(reader->names, option->underlying);
    rules->volatility = auditor_name(reader->names, option->volatility);
    rules->is_put = option->type == PLIMSOLL__V1__PARAMETER_SET__OPTION__TYPE__TYPE_PUT;
    rules->strike = option->strike_ticks;
    rules->expiry_ms = option->expiry_ms;
    rules->averaging_ms = option->averaging_ms;
    return true;
}

static bool is_linear(const struct set *set, int instrument)
{
    const struct rules *rules = auditor_rules_of(set, instrument);
    return rules && rules->kind <= PL_INSTRUMENT_FUTURE;
}

bool auditor_options_are_valid(const struct set *set)
{
    for (int i = 0; i < set->rule_count; i++) {
        const struct rules *rules = auditor_rules_of(set, i);
        if (!rules || rules->underlying < 0)
            continue;
        if (!is_linear(set, rules->underlying))
            return false;
        if (rules->kind != PL_INSTRUMENT_OPTION && rules->kind > PL_INSTRUMENT_FUTURE)
            return false;
        if (rules->kind != PL_INSTRUMENT_OPTION)
            continue;
        const struct rules *volatility = auditor_rules_of(set, rules->volatility);
        if (set->scenario_count == 0 || !volatility ||
            volatility->kind != PL_INSTRUMENT_VOLATILITY ||
            rules->lot_decimals + set->rules[rules->underlying].tick_decimals > 12)
            return false;
    }
    return true;
}

/* ---- grids ----------------------------------------------------------------------------------- */

static int64_t node_price(const struct grid *grid, int node)
{
    const int64_t cell = grid->first + node, one = INT64_C(1) << grid->bits;
    return (one + cell % one) << (cell / one - grid->bits);
}

struct grid *auditor_read_grid(const struct reader *reader, const Plimsoll__V1__OptionGrid *from)
{
    const Plimsoll__V1__OptionGrid__Layer *layers[] = { from->mark, from->up, from->mid,
                                                        from->down };
    if (!from->has_bits || from->bits < 1 || from->bits > 8 || !from->has_first_cell ||
        from->first_cell < from->bits << from->bits ||
        from->first_cell > (60u << from->bits) - PL_GRID_NODES_MAX || !from->mark ||
        from->mark->n_low < 3 || from->mark->n_low > PL_GRID_NODES_MAX)
        return NULL;
    struct grid *grid = auditor_take(reader->memory, sizeof(*grid));
    grid->bits = (int)from->bits;
    grid->first = (int)from->first_cell;
    grid->count = (int)from->mark->n_low;
    for (int l = 0; l < 4; l++) {
        if (!layers[l] || layers[l]->n_low != from->mark->n_low ||
            layers[l]->n_high != from->mark->n_low)
            return NULL;
        for (int i = 0; i < grid->count; i++)
            if (layers[l]->low[i] < 0 || layers[l]->low[i] > layers[l]->high[i] ||
                layers[l]->high[i] >= INT64_C(1) << 62)
                return NULL; /* V4 */
        grid->low[l] = layers[l]->low;
        grid->high[l] = layers[l]->high;
    }
    return grid;
}

/* On the line through the nodes around a price, or of the end cell; false beyond 2^62. */
static bool value_at(const struct grid *grid, const int64_t *nodes, int64_t price, bool round_up,
                     int64_t *value)
{
    int node = 0;
    while (node + 2 < grid->count && node_price(grid, node + 1) <= price)
        node++;
    const int64_t from = node_price(grid, node), to = node_price(grid, node + 1);
    mpz_t line, width;
    mpz_init_set_si(line, nodes[node]);
    mpz_init_set_si(width, to - from);
    mpz_mul_si(line, line, to - price);
    mpz_t other;
    mpz_init_set_si(other, nodes[node + 1]);
    mpz_mul_si(other, other, price - from);
    mpz_add(line, line, other);
    if (round_up)
        mpz_cdiv_q(line, line, width);
    else
        mpz_fdiv_q(line, line, width);
    const bool fits = mpz_cmp_si(line, INT64_MAX / 2) <= 0;
    *value = mpz_sgn(line) < 0 ? 0 : fits ? mpz_get_si(line) : 0;
    mpz_clears(line, width, other, NULL);
    return fits;
}

static bool bound_of(int64_t ticks, int64_t ppm, int64_t lot, int64_t *vu)
{
    mpz_t number;
    mpz_init_set_si(number, ticks);
    mpz_mul_si(number, number, ppm);
    mpz_cdiv_q_ui(number, number, PL_PPM);
    mpz_mul_si(number, number, lot);
    const bool fits = mpz_cmp_si(number, INT64_MAX / 2) <= 0;
    *vu = fits ? mpz_get_si(number) : 0;
    mpz_clear(number);
    return fits;
}

static bool price_all(const struct set *set, const struct grid *grid, int64_t ticks,
                      struct quote *quote)
{
    for (int s = 0; s <= set->scenario_count; s++) {
        const int layer = s == 0 ? 0 : set->scenarios[s - 1].layer;
        int64_t price = ticks;
        if (s > 0) {
            mpz_t moved;
            mpz_init_set_si(moved, ticks);
            mpz_mul_si(moved, moved, PL_PPM + set->scenarios[s - 1].move);
            mpz_fdiv_q_ui(moved, moved, PL_PPM);
            const bool fits = mpz_cmp_si(moved, INT64_C(1) << 60) <= 0;
            price = mpz_get_si(moved);
            mpz_clear(moved);
            if (!fits)
                return false;
        }
        if (!value_at(grid, grid->low[layer], price, false, &quote->low[s]) ||
            !value_at(grid, grid->high[layer], price, true, &quote->high[s]))
            return false;
        if (quote->high[s] < quote->low[s])
            quote->high[s] = quote->low[s];
        if (quote->high[s] > quote->peak_vu)
            quote->peak_vu = quote->high[s];
    }
    return true;
}

struct quote auditor_option_quote(const struct set *set, const struct rules *rules,
                                  const struct mark *mark, const struct quote *under)
{
    const struct rules *base = auditor_rules_of(set, rules->underlying);
    struct quote quote = { .status = PL_MARK_NONE };
    int64_t lot = 1, cap = 0;
    if (!mark->is_given)
        return quote;
    for (unsigned i = rules->lot_decimals + base->tick_decimals; i < 12; i++)
        lot *= 10;
    if (!mark->grid || !under->is_priced || !price_all(set, mark->grid, under->ticks, &quote) ||
        !bound_of(under->ticks, PL_PPM, lot, &quote.notional_vu) ||
        !bound_of(under->ticks, base->bad_high, lot, &quote.doubtful_notional_vu) ||
        (rules->is_put && !bound_of(rules->strike, rules->bad_high, lot, &cap)))
        return (struct quote){ .status = PL_MARK_HALTED };
    quote.status = mark->status;
    quote.is_priced = true;
    quote.ticks = quote.low[0] / rules->multiplier ? quote.low[0] / rules->multiplier : 1;
    quote.lot_vu = quote.low_vu = quote.high_vu = quote.low[0];
    quote.short_vu = quote.high[0];
    quote.bad_high_vu = rules->is_put ? cap : quote.doubtful_notional_vu;
    return quote;
}

/* ---- what a group asks for ------------------------------------------------------------------- */

/* What the legs on `underlying` gain in one scenario, times 10^6, at one end. */
static void gain_of(const struct portfolio *portfolio, int underlying, int s, int tier, int end,
                    const struct ends ends[], mpz_t gain)
{
    const struct scenario *scenario = &portfolio->set->scenarios[s];
    mpz_t part;
    mpz_init(part);
    mpz_set_ui(gain, 0);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct leg *leg = &portfolio->legs[i];
        const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
        const struct quote *quote = &portfolio->quotes[leg->instrument];
        if (!rules || leg->is_unlisted || rules->underlying != underlying)
            continue;
        const bool is_option = rules->kind == PL_INSTRUMENT_OPTION;
        if (is_option && quote->status == PL_MARK_LIVE) {
            const int64_t lots = (end == 1) == (leg->lots > leg->final_lots) ? leg->lots
                                                                           : leg->final_lots;
            mpz_set_si(part, lots < 0 ? quote->high[s + 1] - quote->high[0]
                                      : quote->low[s + 1] - quote->low[0]);
            mpz_mul_si(part, part, lots);
            mpz_mul_ui(part, part, PL_PPM);
        } else if (scenario->move > 0) {
            mpz_mul_si(part, ends[i].value[end], scenario->move);
        } else if (!is_option) {
            const bool has_one_end =
                auditor_grows(portfolio, leg, tier, portfolio->set->scenario_load.at[tier]);
            mpz_mul_si(part, ends[i].value[has_one_end ? end : 1 - end], scenario->move);
        } else {
            mpz_set_ui(part, 0); /* an option in doubt gains and costs by rises alone */
        }
        mpz_add(gain, gain, part);
    }
    mpz_clear(part);
}

static void owed_of(const struct portfolio *portfolio, int underlying, int end, mpz_t owed)
{
    mpz_t part;
    mpz_init(part);
    mpz_set_ui(owed, 0);
    for (int i = 0; i < portfolio->leg_count; i++) {
        const struct leg *leg = &portfolio->legs[i];
        const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
        const struct quote *quote = &portfolio->quotes[leg->instrument];
        const bool is_live = quote->status == PL_MARK_LIVE;
        if (!rules || leg->is_unlisted || rules->underlying != underlying ||
            rules->kind != PL_INSTRUMENT_OPTION || (!is_live && end == 1))
            continue;
        const int64_t lots = (end == 1) == (leg->lots > leg->final_lots) ? leg->lots
                                                                       : leg->final_lots;
        mpz_set_si(part, is_live ? quote->notional_vu : quote->doubtful_notional_vu);
        mpz_mul_si(part, part, lots);
        if (lots < 0)
            mpz_sub(owed, owed, part);
    }
    mpz_clear(part);
}

void auditor_scenario_charge(const struct portfolio *portfolio, int tier, int end,
                             const struct ends ends[], mpz_t charge)
{
    const struct set *set = portfolio->set;
    mpz_t loss, worst;
    mpz_inits(loss, worst, NULL);
    mpz_set_ui(charge, 0);
    for (int u = 0; u < set->rule_count; u++) {
        mpz_set_ui(worst, 0);
        bool is_used = false;
        for (int i = 0; i < portfolio->leg_count; i++) {
            const struct rules *rules = auditor_rules_of(set, portfolio->legs[i].instrument);
            is_used |= rules && rules->underlying == u && !portfolio->legs[i].is_unlisted;
        }
        for (int s = 0; is_used && s < set->scenario_count; s++) {
            gain_of(portfolio, u, s, tier, end, ends, loss);
            mpz_mul_si(loss, loss, -set->scenarios[s].weight.at[tier]);
            if (mpz_cmp(loss, worst) > 0)
                mpz_set(worst, loss);
        }
        mpz_cdiv_q_ui(worst, worst, PL_PPM);
        if (is_used) {
            owed_of(portfolio, u, end, loss);
            mpz_mul_si(loss, loss, set->short_minimum.at[tier]);
            if (mpz_cmp(loss, worst) > 0)
                mpz_set(worst, loss);
        }
        mpz_add(charge, charge, worst);
    }
    mpz_clears(loss, worst, NULL);
}

bool auditor_options_are_in_range(const struct portfolio *portfolio)
{
    mpz_t sum, part;
    mpz_inits(sum, part, NULL);
    bool is_inside = true;
    for (int i = 0; i < portfolio->leg_count && is_inside; i++) {
        const struct leg *leg = &portfolio->legs[i];
        const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
        const struct quote *quote = &portfolio->quotes[leg->instrument];
        if (!rules || leg->is_unlisted || rules->kind != PL_INSTRUMENT_OPTION || !quote->is_priced)
            continue;
        const int64_t notional = quote->status == PL_MARK_LIVE ? quote->notional_vu
                                                               : quote->doubtful_notional_vu;
        const int64_t a = leg->lots < 0 ? -leg->lots : leg->lots;
        const int64_t b = leg->final_lots < 0 ? -leg->final_lots : leg->final_lots;
        mpz_set_si(part, a > b ? a : b);
        mpz_mul_si(part, part, quote->peak_vu > notional ? quote->peak_vu : notional);
        mpz_add(sum, sum, part);
        mpz_ui_pow_ui(part, 10, 24);
        mpz_mul_ui(part, part, 8);
        is_inside = mpz_cmp(sum, part) <= 0;
    }
    mpz_clears(sum, part, NULL);
    return is_inside;
}
