/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every sale that reaches the target must cost at least (RISK 4, S5), so that an order can say how far
 * it is from the cheapest. It proves nothing about the sale itself, whose need and size are proved by
 * evaluation; it says what else there could have been.
 *
 * Each term of the requirement is a maximum of linear forms, so that any one of them, or any mean of them,
 * is at most the term:
 *
 *   |F_k|         >=  t_k F_k                     for any t_k in [-1, 1]
 *   conc_i(v)     >=  r_i v - (r_i T - conc_i(T)) for any rate r_i up to the top one, with T the threshold
 *                                                 from which on more than r_i is charged
 *   max_d L_d, 0  >=  sum_d w_d L_d               for any w >= 0 with sum <= 1
 *   SR_g          >=  sum_s -v_s k_s gain_s + v_m minimum owed    likewise for any v, of each group
 *
 * An option's value and gains are linear in its lots on the side of 0 where the leg is, and no sale crosses
 * that. With some choice of t, r, w and v the excess after a sale y is at most a linear form l(y) - 10^6 C(y), for
 * every y. A sale that reaches therefore has l(y) >= 10^6 C(y) >= 0, and by weak duality its cost is, for
 * any price mu >= 0 of excess, at least
 *
 *   min over 0 <= y <= y_max of  C(y) - mu (l(y) - 10^6 C(y))
 *
 * which falls apart into legs. Whatever t, r, w and mu are, the bound is valid; the search below only
 * makes it good. Terms that this file does not know would only lower the excess further, as long as they are
 * requirements: another kind of value has to be told of here, and until then `is_known` refuses.
 *
 * Numbers: slopes are kept per whole leg in VU * ppm, rounded up, which only weakens the bound; below 2^107
 * (a health of at most 8 makes a debt so many times as heavy).
 * mu = numerator / 2^shift with 19 bits of numerator at most.
 */
#include "lib/base/assert.h"
#include "lib/exposure/plan.h"

enum { HEALTH_PPM_MAX = 8 * PL_PPM, MU_BITS = 18, HALVINGS = 20, TRIALS = 400, CLOSE_PPM = 500,
       GROUPS_MAX = 8, PIECES_MAX = 4, /* no more are looked at: what they ask for counts 0 then */
       NUMBERS_MAX = PL_FACTORS_MAX + PL_DEPENDENCIES_MAX + PL_LEGS_MAX + GROUPS_MAX * PIECES_MAX };

/* Some of what a group's charge is the largest of: rows of the scenario table, or the minimum. */
struct pieces {
    uint32_t group, count;
    uint32_t rows[PIECES_MAX];            /* PL_SHORT_MINIMUM                         */
    int32_t shares[PIECES_MAX];           /* of what those before leave of the whole: any are allowed */
};

/* One choice of linear forms, in ppm. */
struct forms {
    int32_t signs[PL_FACTORS_MAX];        /* t_k                                      */
    int32_t weights[PL_DEPENDENCIES_MAX]; /* w_d                                      */
    int32_t rates[PL_LEGS_MAX];           /* r of each leg                            */
    uint32_t group_count;
    struct pieces groups[GROUPS_MAX];
};

/* l(y) - 10^6 C(y): what is there without a sale, and what all of each part adds. A part is what one rung
 * holds of an item: its cost is convex, hence at most that of an order, which pays its last rung for all. */
enum { PARTS_MAX = PL_SALE_LEGS_MAX * (PL_DEPTH_MAX + 1) };
struct line {
    pl_i128 start;
    uint32_t part_count;
    pl_i128 gains[PARTS_MAX], costs[PARTS_MAX];
};

/* ---- the linear form ------------------------------------------------------------------------- */

static enum pl_tier tier_of(const struct pl_plan *plan)
{
    return plan->goal.health_ppm > 0 ? PL_TIER_MAINTENANCE : plan->goal.tier;
}

/* What one VU of a debt weighs beside its own weight, and one of cash. A goal of health h asks for (h - 1)
 * times the weighted debt on top: max(0, -cash) is no less than -cash, nor than 0. */
static int64_t debt_ppm(const struct pl_plan *plan)
{
    return plan->goal.health_ppm > 0 ? plan->goal.health_ppm : PL_PPM;
}

static int64_t cash_ppm(const struct pl_plan *plan)
{
    return plan->portfolio.cash_vu < 0 ? debt_ppm(plan) : PL_PPM;
}

/* r T - conc(T). A leg without brackets has rate 0. */
static pl_i128 cum_of(const struct pl_instrument *instrument, enum pl_tier tier, int32_t rate)
{
    pl_i128 cum = 0;
    int32_t below = 0;
    for (uint32_t b = 0; b < instrument->bracket_count && below < rate; b++) {
        int32_t next = instrument->brackets[b].rate.at[tier];
        int32_t part = (next < rate ? next : rate) - below;
        cum += (pl_i128)instrument->brackets[b].threshold_usd * PL_USD_VU * part;
        below = next;
    }
    return cum;
}

/* v of each piece: at least 0, and together no more than the whole. */
static void weigh(const struct pieces *pieces, int32_t weights[PIECES_MAX])
{
    int64_t left = PL_PPM;
    for (uint32_t k = 0; k < pieces->count; k++) {
        weights[k] = (int32_t)(left * pieces->shares[k] / PL_PPM);
        left -= weights[k];
    }
}

static const struct pieces *pieces_of(const struct forms *forms, uint32_t group)
{
    for (uint32_t g = 0; g < forms->group_count; g++)
        if (forms->groups[g].group == group)
            return &forms->groups[g];
    return NULL;
}

/* What a group's pieces add to the slope of a leg that moves with the underlying, against what we claim: up
 * of a long, down of a short. */
static int64_t scenario_slope(const struct pl_plan *plan, const struct forms *forms, uint32_t group,
                              bool is_long)
{
    const struct pl_parameters *parameters = plan->market->parameters;
    const struct pieces *pieces = group > 0 ? pieces_of(forms, group) : NULL;
    int32_t weights[PIECES_MAX];
    pl_i128 sum = 0;
    if (!pieces)
        return 0;
    weigh(pieces, weights);
    for (uint32_t k = 0; k < pieces->count; k++)
        if (pieces->rows[k] != PL_SHORT_MINIMUM) {
            const struct pl_option_scenario *row = &parameters->scenarios[pieces->rows[k]];
            sum += (pl_i128)weights[k] * row->weight.at[tier_of(plan)] * row->move_ppm;
        }
    return (int64_t)(is_long ? pl_div_ceil(sum, PL_PPM) : pl_div_floor(sum, PL_PPM));
}

/* What the pieces add to l for so many lots more of an option, on the side of 0 where the leg is; rounded
 * up. All lots of it are worth less than 2^83 in any scenario (pl_options_are_in_range), and weights are
 * 2^40 together. */
static pl_i128 option_share(const struct pl_plan *plan, const struct forms *forms, uint32_t leg,
                            int64_t lots)
{
    const struct pl_parameters *parameters = plan->market->parameters;
    const uint32_t index = plan->before->legs[leg].instrument;
    const struct pl_instrument *instrument = &parameters->instruments[index];
    const struct pl_option_values *values = &plan->market->options[instrument->option_slot];
    const struct pieces *pieces = pieces_of(forms, instrument->group);
    const bool is_short = plan->before->legs[leg].lots < 0;
    const int64_t *side = is_short ? values->high : values->low;
    int32_t weights[PIECES_MAX];
    pl_i128 sum = 0;
    if (!pieces)
        return 0;
    weigh(pieces, weights);
    for (uint32_t k = 0; k < pieces->count; k++) {
        const uint32_t row = pieces->rows[k];
        if (row != PL_SHORT_MINIMUM)
            sum += (pl_i128)lots * (side[1 + row] - side[0]) *
                   ((int64_t)weights[k] * parameters->scenarios[row].weight.at[tier_of(plan)]);
        else if (is_short)
            sum += (pl_i128)lots * values->notional_lot_vu *
                   ((int64_t)weights[k] * parameters->short_minimum.at[tier_of(plan)]);
    }
    return pl_div_ceil(sum, PL_PPM);
}

static bool is_option(const struct pl_plan *plan, uint32_t leg)
{
    const uint32_t index = plan->before->legs[leg].instrument;
    return plan->market->parameters->instruments[index].kind == PL_INSTRUMENT_OPTION;
}

/* What one VU of a leg's value adds to l, in ppm * ppm, as it is long or short. */
static int64_t slope_of(const struct pl_plan *plan, const struct forms *forms, uint32_t leg)
{
    uint32_t index = plan->before->legs[leg].instrument;
    const struct pl_instrument *instrument = &plan->market->parameters->instruments[index];
    const enum pl_tier tier = tier_of(plan);
    const struct pl_weights own = pl_weights_of(plan->market, plan->before, index, tier, END_HIGH),
                            *weights = &own;
    bool is_long = plan->before->legs[leg].lots > 0;
    int64_t slope = is_long ? (int64_t)weights->own_long * PL_PPM
                            : weights->own_short * debt_ppm(plan);
    for (uint32_t k = 0; k < weights->load_count; k++)
        slope -= (int64_t)forms->signs[weights->factors[k]] * weights->loads[k];
    slope -= (int64_t)(is_long ? forms->rates[leg] : -forms->rates[leg]) * PL_PPM;
    for (uint32_t k = 0; is_long && k < instrument->loss_count; k++)
        slope -= (int64_t)forms->weights[instrument->losses[k].dependency] *
                 instrument->losses[k].loss.at[tier];
    return instrument->kind == PL_INSTRUMENT_OPTION
               ? slope : slope + scenario_slope(plan, forms, instrument->group, is_long);
}

/* value * slope / 10^6, rounded up: a value is below 2^80 and a slope below 2^46. */
static pl_i128 scale(pl_i128 value, int64_t slope)
{
    return pl_div_ceil(value * slope, PL_PPM);
}

/* `cash`: what one VU of cash adds, in ppm. */
static void add_parts(struct line *line, const struct pl_plan *plan, const struct forms *forms,
                      const struct pl_item *item, int64_t cash)
{
    const int64_t slope = slope_of(plan, forms, item->leg);
    const int64_t whole = cash * PL_PPM;
    int64_t from = 0;
    for (uint32_t r = 0; r < item->rung_count && from < item->units_max; r++) {
        int64_t to = item->rung_units[r] < item->units_max ? item->rung_units[r] : item->units_max;
        pl_i128 limit_vu = (pl_i128)item->rung_ticks[r] * item->multiplier;
        uint32_t part = line->part_count;
        if (to <= from)
            continue;
        line->costs[part] = (to - from) * pl_abs(item->mark_vu - limit_vu);
        line->gains[part] = scale((to - from) * item->mark_vu,
                                  item->side == PL_SIDE_SELL ? whole - slope : slope - whole) -
                            cash * line->costs[part];
        if (is_option(plan, item->leg))
            line->gains[part] += option_share(plan, forms, item->leg,
                                              (item->side == PL_SIDE_SELL ? from - to : to - from) *
                                                  item->unit_lots);
        line->part_count++;
        from = to;
    }
}

static void make_line(const struct pl_plan *plan, const struct forms *forms, struct line *line)
{
    const struct pl_portfolio *before = plan->before;
    const int64_t cash = cash_ppm(plan);
    line->start = before->cash_vu * cash;
    for (uint32_t i = 0; i < before->leg_count; i++) {
        const struct pl_leg *leg = &before->legs[i];
        const struct pl_quote *quote = &plan->market->quotes[leg->instrument];
        pl_i128 value = (pl_i128)leg->lots * (leg->lots < 0 ? quote->short_lot_vu : quote->lot_vu);
        if (is_option(plan, i))
            line->start += option_share(plan, forms, i, leg->lots);
        line->start += scale(value, slope_of(plan, forms, i)) +
                       cum_of(&plan->market->parameters->instruments[leg->instrument],
                              tier_of(plan), forms->rates[i]);
    }
    line->part_count = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        add_parts(line, plan, forms, &plan->items[i], cash);
}

/* ---- the bound of one line ------------------------------------------------------------------- */

struct price { int64_t numerator; unsigned shift; };

/* cost / gain with MU_BITS of the numerator, rounded down; a gain is > 0 and below 2^107. */
static struct price price_of(pl_i128 cost, pl_i128 gain)
{
    struct price price = {.shift = 0};
    while (price.shift < 100 && cost < (pl_i128)1 << 125 && cost / gain < (pl_i128)1 << MU_BITS) {
        cost *= 2;
        price.shift++;
    }
    pl_i128 numerator = cost / gain;
    price.numerator = numerator >> (MU_BITS + 1) ? ((int64_t)1 << (MU_BITS + 1)) - 1
                                                 : (int64_t)numerator;
    return price;
}

/* mu * amount, rounded down or up. */
static pl_i128 priced(struct price mu, pl_i128 amount, bool is_up)
{
    pl_i128 product = amount * mu.numerator; /* < 2^107 * 2^19 */
    bool has_rest = ((pl_u128)product & (((pl_u128)1 << mu.shift) - 1)) != 0;
    return (product >> mu.shift) + (is_up && has_rest);
}

/* min over y of C(y) - mu l(y), rounded down. */
static pl_i128 bound_at(const struct line *line, struct price mu)
{
    pl_i128 bound = priced(mu, -line->start, false);
    for (uint32_t i = 0; i < line->part_count; i++)
        bound += pl_min(0, line->costs[i] - priced(mu, line->gains[i], true));
    return bound;
}

/* Whether part a comes before b in the merit order, as far as prices tell. */
static bool is_dearer(struct price a, struct price b)
{
    /* Numerators have 19 bits at most: a shift by more than 40 decides alone. */
    if (a.shift > b.shift + 40) return false;
    if (b.shift > a.shift + 40) return a.numerator > 0;
    return a.shift > b.shift ? a.numerator > b.numerator << (a.shift - b.shift)
                             : a.numerator << (b.shift - a.shift) > b.numerator;
}

/* The price at which the fractional knapsack of the line is full: that of the part that fills it. */
static pl_i128 bound_of(const struct line *line)
{
    struct price prices[PARTS_MAX];
    uint32_t order[PARTS_MAX], count = 0;
    if (line->start >= 0)
        return 0;
    for (uint32_t i = 0; i < line->part_count; i++) {
        if (line->gains[i] <= 0)
            continue;
        prices[i] = price_of(line->costs[i], line->gains[i]);
        uint32_t place = count++;
        for (; place > 0 && is_dearer(prices[order[place - 1]], prices[i]); place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
    pl_i128 reached = line->start;
    uint32_t at = 0;
    while (at < count && reached < 0)
        reached += line->gains[order[at++]];
    return at == 0 ? 0 : pl_max(0, bound_at(line, prices[order[at - 1]]));
}

static pl_i128 bound_with(const struct pl_plan *plan, const struct forms *forms)
{
    struct line line;
    make_line(plan, forms, &line);
    return bound_of(&line);
}

/* ---- the choice of forms --------------------------------------------------------------------- */

/* The numbers of the forms that matter to the legs, and between which two they may be. */
struct numbers {
    uint32_t count;
    int32_t *at[NUMBERS_MAX], low[NUMBERS_MAX], high[NUMBERS_MAX];
};

static void add_number(struct numbers *numbers, int32_t *at, int32_t low, int32_t high)
{
    for (uint32_t i = 0; i < numbers->count; i++)
        if (numbers->at[i] == at)
            return;
    numbers->at[numbers->count] = at;
    numbers->low[numbers->count] = low;
    numbers->high[numbers->count++] = high;
}

static void collect(const struct pl_plan *plan, struct forms *forms, struct numbers *numbers)
{
    const enum pl_tier tier = tier_of(plan);
    numbers->count = 0;
    for (uint32_t i = 0; i < plan->before->leg_count; i++) {
        const struct pl_instrument *instrument =
            &plan->market->parameters->instruments[plan->before->legs[i].instrument];
        for (uint32_t k = 0; k < instrument->load_count; k++)
            add_number(numbers, &forms->signs[instrument->loads[k].factor], -PL_PPM, PL_PPM);
        for (uint32_t k = 0; k < instrument->loss_count; k++)
            add_number(numbers, &forms->weights[instrument->losses[k].dependency], 0, PL_PPM);
        if (instrument->bracket_count > 0)
            add_number(numbers, &forms->rates[i], 0,
                       instrument->brackets[instrument->bracket_count - 1].rate.at[tier]);
    }
    for (uint32_t g = 0; g < forms->group_count; g++)
        for (uint32_t k = 0; k < forms->groups[g].count; k++)
            add_number(numbers, &forms->groups[g].shares[k], 0, PL_PPM);
}

/* Takes up the piece that asks for most in a portfolio, of those that ask for something and are not there
 * yet. */
static void add_piece(struct pieces *pieces, const pl_i128 charges[], uint32_t scenario_count)
{
    uint32_t worst = 0;
    pl_i128 most = 0;
    for (uint32_t s = 0; s <= scenario_count; s++) {
        const uint32_t row = s < scenario_count ? s : PL_SHORT_MINIMUM;
        bool is_there = false;
        for (uint32_t k = 0; k < pieces->count; k++)
            is_there |= pieces->rows[k] == row;
        if (is_there || charges[s] <= most)
            continue;
        most = charges[s];
        worst = row;
    }
    if (most <= 0)
        return;
    pieces->rows[pieces->count] = worst;
    pieces->shares[pieces->count++] = PL_PPM; /* of what is left: nothing, unless the first gives way */
}

/* The worst after the sale has all of it to begin with; those next to it and the worst before the sale may
 * take from it. */
static void begin_groups(const struct pl_plan *plan, struct forms *forms)
{
    const uint32_t scenario_count = plan->market->parameters->scenario_count;
    const enum pl_tier tier = tier_of(plan);
    pl_i128 charges[PL_OPTION_SCENARIOS_MAX + 1];
    uint64_t rest = pl_groups_of(plan->market, plan->before);
    for (; rest != 0 && forms->group_count < GROUPS_MAX; rest &= rest - 1) {
        struct pieces *pieces = &forms->groups[forms->group_count++];
        *pieces = (struct pieces){.group = 1 + (uint32_t)__builtin_ctzll(rest)};
        pl_scenario_pieces(plan->market, &plan->portfolio, tier, pieces->group, charges);
        while (pieces->count < PIECES_MAX - 1) {
            const uint32_t count = pieces->count;
            add_piece(pieces, charges, scenario_count);
            if (pieces->count == count)
                break;
        }
        pl_scenario_pieces(plan->market, plan->before, tier, pieces->group, charges);
        add_piece(pieces, charges, scenario_count);
    }
}

/* The forms that are active at the sale: what stands at the items' present lots. */
static void begin_at_sale(const struct pl_plan *plan, struct forms *forms)
{
    const struct pl_parameters *parameters = plan->market->parameters;
    const enum pl_tier tier = tier_of(plan);
    pl_i128 factors[PL_FACTORS_MAX] = {0}, losses[PL_DEPENDENCIES_MAX] = {0};
    *forms = (struct forms){0};
    for (uint32_t i = 0; i < plan->portfolio.leg_count; i++) {
        const struct pl_leg *leg = &plan->portfolio.legs[i];
        const struct pl_instrument *instrument = &parameters->instruments[leg->instrument];
        pl_i128 value = (pl_i128)leg->lots * plan->market->quotes[leg->instrument].lot_vu;
        for (uint32_t k = 0; k < instrument->load_count; k++)
            factors[instrument->loads[k].factor] +=
                value * instrument->loads[k].load.at[tier];
        for (uint32_t k = 0; value > 0 && k < instrument->loss_count; k++)
            losses[instrument->losses[k].dependency] +=
                value * instrument->losses[k].loss.at[tier];
        for (uint32_t b = 0; b < instrument->bracket_count; b++)
            if (pl_abs(value) > (pl_i128)instrument->brackets[b].threshold_usd * PL_USD_VU)
                forms->rates[i] = instrument->brackets[b].rate.at[tier];
    }
    uint32_t worst = 0;
    for (uint32_t k = 0; k < parameters->factor_count; k++)
        forms->signs[k] = factors[k] > 0 ? PL_PPM : factors[k] < 0 ? -PL_PPM : 0;
    for (uint32_t d = 1; d < parameters->dependency_count; d++)
        if (losses[d] > losses[worst])
            worst = d;
    if (parameters->dependency_count > 0 && losses[worst] > 0)
        forms->weights[worst] = PL_PPM;
    begin_groups(plan, forms);
}

static bool is_allowed(const struct pl_plan *plan, const struct forms *forms)
{
    int64_t sum = 0;
    for (uint32_t d = 0; d < plan->market->parameters->dependency_count; d++)
        sum += forms->weights[d];
    return sum <= PL_PPM;
}

/* The best value of one number with all others as they are; the bound is concave in it but for
 * rounding. */
static pl_i128 improve(const struct pl_plan *plan, struct forms *forms, int32_t *number,
                       int32_t low, int32_t high, pl_i128 bound)
{
    int32_t best = *number;
    for (unsigned i = 0; i < HALVINGS && low < high; i++) {
        int32_t middle = low + (high - low) / 2;
        *number = middle;
        pl_i128 here = bound_with(plan, forms);
        *number = middle + 1;
        pl_i128 next = is_allowed(plan, forms) ? bound_with(plan, forms) : here;
        *number = middle;
        if (pl_max(here, next) > bound && is_allowed(plan, forms)) {
            bound = pl_max(here, next);
            best = next > here ? middle + 1 : middle;
        }
        if (next > here)
            low = middle + 1;
        else
            high = middle;
    }
    *number = best;
    return bound;
}

/* A fixed sequence of directions: the same for everybody and always (G2). */
static int32_t next_direction(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (int32_t)(*state % 9) - 4;
}

/* Several numbers at once, since on the bound's ridges no single one leads on: steps that grow where they
 * lead up and shrink where they do not. */
static pl_i128 climb(const struct pl_plan *plan, struct forms *forms, const struct numbers *numbers,
                     pl_i128 bound, pl_i128 cost)
{
    uint64_t state = 88172645463325252u;
    int64_t size_ppm = PL_PPM / 4;
    for (unsigned i = 0; i < TRIALS && size_ppm > 0; i++) {
        if ((cost - bound) * PL_PPM <= cost * CLOSE_PPM)
            break;
        struct forms kept = *forms;
        for (uint32_t k = 0; k < numbers->count; k++) {
            int64_t range = (int64_t)numbers->high[k] - numbers->low[k];
            int64_t moved = *numbers->at[k] + range * size_ppm / PL_PPM * next_direction(&state) / 4;
            *numbers->at[k] = (int32_t)(moved < numbers->low[k]    ? numbers->low[k]
                                        : moved > numbers->high[k] ? numbers->high[k] : moved);
        }
        pl_i128 other = is_allowed(plan, forms) ? bound_with(plan, forms) : 0;
        if (other > bound) {
            bound = other;
            size_ppm = size_ppm * 2 < PL_PPM ? size_ppm * 2 : PL_PPM;
        } else {
            *forms = kept;
            size_ppm -= size_ppm / 8 + 1;
        }
    }
    return bound;
}

/* Whether the excess is known term by term, and within 128 bits. Of options it is by tiers alone: what they
 * weigh as debts is not for this file. */
static bool is_known(const struct pl_plan *plan)
{
    if (plan->goal.health_ppm > HEALTH_PPM_MAX)
        return false;
    for (uint32_t i = 0; i < plan->before->leg_count; i++)
        if (plan->goal.health_ppm > 0 && is_option(plan, i))
            return false;
    return plan->is_certain && !plan->has_more; /* what does not fit might be cheaper */
}

pl_i128 pl_plan_cost_bound(const struct pl_plan *plan, pl_i128 cost_vu)
{
    struct forms forms;
    struct numbers numbers;
    if (!is_known(plan))
        return 0;
    begin_at_sale(plan, &forms);
    collect(plan, &forms, &numbers);
    pl_i128 bound = bound_with(plan, &forms);
    for (uint32_t i = 0; i < numbers.count; i++)
        bound = improve(plan, &forms, numbers.at[i], numbers.low[i], numbers.high[i], bound);
    return climb(plan, &forms, &numbers, bound, cost_vu);
}
