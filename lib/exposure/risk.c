/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Risk figures: the evaluation asked again at other prices. Beside the event's path, for the desk:
 * nothing is decided here. Marks are moved and go through pl_market_update like any others, so what
 * holds of a decision (which inputs are good, what a value is, how it is rounded) holds of a figure.
 */
#include "lib/base/assert.h"
#include "lib/base/sort.h"
#include "lib/plimsoll.h"

static const int64_t ONE_E12 = 1000000000000;

/* ---- other prices --------------------------------------------------------------------------- */

bool pl_price_move(int64_t mantissa, int32_t exponent, uint32_t tick_decimals, int64_t move_e12,
                   int64_t *ticks)
{
    pl_assert(move_e12 >= -ONE_E12 && move_e12 <= PL_MOVE_E12_MAX);
    /* < 2^63 * 2^54. One rounding: the move's twelve decimals are part of the exponent. */
    pl_i128 moved = (pl_i128)mantissa * (ONE_E12 + move_e12);
    if (pl_rescale(moved, exponent - 12, tick_decimals, PL_ROUND_EVEN, ticks))
        return false;
    if (*ticks < 1)
        *ticks = 1;
    return true;
}

/* weight * step within what a price may move. */
static int64_t move_of(int32_t weight_ppm, int64_t step)
{
    pl_i128 move = (pl_i128)weight_ppm * step;
    return (int64_t)pl_min(pl_max(move, -ONE_E12), PL_MOVE_E12_MAX);
}

static void move_mark(struct pl_mark *mark, uint32_t tick_decimals, int64_t move_e12)
{
    int64_t *const prices[] = {&mark->mantissa, &mark->low_mantissa, &mark->high_mantissa};
    bool is_moved = true;
    for (unsigned i = 0; i < sizeof(prices) / sizeof(prices[0]); i++)
        is_moved = is_moved && pl_price_move(*prices[i], mark->exponent, tick_decimals, move_e12,
                                             prices[i]);
    mark->exponent = -(int32_t)tick_decimals;
    if (!is_moved)
        mark->mantissa = 0; /* no price: pl_market_update takes it for HALTED */
}

void pl_market_inherit(struct pl_market *market, const struct pl_market *from)
{
    market->halts = from->halts;
    market->halt_count = from->halt_count;
}

/* The market of the marks as they were moved. */
static void update(struct pl_stressed *stressed, const struct pl_outlook *outlook)
{
    pl_market_inherit(&stressed->market, outlook->market);
    pl_market_update(&stressed->market, outlook->market->parameters, stressed->marks,
                     outlook->market->now_ms);
}

void pl_stress(struct pl_stressed *stressed, const struct pl_outlook *outlook,
               const struct pl_direction *direction, int64_t step)
{
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *instrument = &outlook->market->parameters->instruments[i];
        if (!instrument->is_listed)
            continue;
        stressed->marks[i] = outlook->marks[i];
        int64_t move_e12 = move_of(direction->weight_ppm[i], step);
        if (move_e12 != 0 && stressed->marks[i].status != PL_MARK_NONE)
            move_mark(&stressed->marks[i], instrument->tick_decimals, move_e12);
    }
    update(stressed, outlook);
}

/* ---- distance ------------------------------------------------------------------------------- */

/* Lower bound of the maintenance excess; false out of range. */
static bool least_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                         pl_i128 *excess)
{
    if (pl_portfolio_is_certain(market, portfolio))
        return pl_evaluate(market, portfolio, PL_TIER_MAINTENANCE, excess);
    struct pl_bounds bounds;
    if (!pl_evaluate_bounds(market, portfolio, PL_TIER_MAINTENANCE, &bounds))
        return false;
    *excess = bounds.low;
    return true;
}

static bool excess_after(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                         const struct pl_direction *direction, int64_t step, pl_i128 *excess)
{
    pl_stress(stressed, outlook, direction, step);
    return least_excess(&stressed->market, outlook->portfolio, excess);
}

/* Between a harmless place (`distance`) and one that is below or out of range. */
static void bisect(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                   const struct pl_direction *direction, int64_t beyond,
                   struct pl_distance *distance)
{
    while (distance->step + 1 < beyond) {
        int64_t middle = distance->step + (beyond - distance->step) / 2;
        pl_i128 excess = 0;
        bool is_known = excess_after(stressed, outlook, direction, middle, &excess);
        if (is_known && excess >= 0) {
            distance->step = middle;
            distance->excess = excess;
        } else {
            beyond = middle;
            distance->kind = is_known ? PL_DISTANCE_REACHED : PL_DISTANCE_UNKNOWN;
            distance->excess_beyond = excess;
        }
    }
}

void pl_distance_of(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                    const struct pl_direction *direction, int64_t step_max,
                    struct pl_distance *distance)
{
    pl_assert(step_max > 0);
    *distance = (struct pl_distance){.kind = PL_DISTANCE_NEVER};
    for (int64_t part = 0; part <= PL_DISTANCE_PARTS; part++) {
        int64_t step = (int64_t)((pl_i128)step_max * part / PL_DISTANCE_PARTS);
        pl_i128 excess = 0;
        bool is_known = excess_after(stressed, outlook, direction, step, &excess);
        if (is_known && excess >= 0) {
            distance->step = step;
            distance->excess = excess;
            continue;
        }
        distance->kind = is_known ? PL_DISTANCE_REACHED : PL_DISTANCE_UNKNOWN;
        distance->excess_beyond = excess;
        if (step > 0)
            bisect(stressed, outlook, direction, step, distance);
        else if (is_known)
            *distance = (struct pl_distance){.kind = PL_DISTANCE_BELOW, .excess = excess};
        break;
    }
}

/* ---- against the account -------------------------------------------------------------------- */

/* A copy of one mark instead of all of them: the others stand as pl_stress left them. */
static bool probe_one(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                      uint32_t instrument, int64_t move_e12, pl_i128 *excess)
{
    stressed->marks[instrument] = outlook->marks[instrument];
    if (move_e12 != 0)
        move_mark(&stressed->marks[instrument],
                  outlook->market->parameters->instruments[instrument].tick_decimals, move_e12);
    update(stressed, outlook);
    return least_excess(&stressed->market, outlook->portfolio, excess);
}

/* `stressed` is at the outlook's own marks, before and after. */
static bool probe_from_rest(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                            uint32_t instrument, int64_t move_e12, struct pl_probe *probe)
{
    pl_i128 rest = 0;
    int64_t down_e12 = -move_e12 < -ONE_E12 ? -ONE_E12 : -move_e12;
    bool is_up = probe_one(stressed, outlook, instrument, move_e12, &probe->up);
    bool is_down = probe_one(stressed, outlook, instrument, down_e12, &probe->down);
    return probe_one(stressed, outlook, instrument, 0, &rest) && is_up && is_down;
}

static void stand_still(struct pl_stressed *stressed, const struct pl_outlook *outlook)
{
    static const struct pl_direction nowhere; /* all 0 */
    pl_stress(stressed, outlook, &nowhere, 0);
}

bool pl_probe_price(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                    uint32_t instrument, int64_t move_e12, struct pl_probe *probe)
{
    stand_still(stressed, outlook);
    if (outlook->marks[instrument].status == PL_MARK_NONE) {
        probe->up = probe->down = 0;
        return false;
    }
    return probe_from_rest(stressed, outlook, instrument, move_e12, probe);
}

/* The way that leaves less: 1 up, -1 down, 0 neither. */
static int worse_way(const struct pl_probe *probe, pl_i128 excess)
{
    if (probe->up < probe->down && probe->up < excess)
        return 1;
    return probe->down < excess ? -1 : 0;
}

void pl_direction_against(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                          int64_t step, struct pl_direction *direction)
{
    pl_i128 excess = 0;
    stand_still(stressed, outlook);
    bool is_known = least_excess(&stressed->market, outlook->portfolio, &excess);
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        int32_t weight_ppm = direction->weight_ppm[i];
        struct pl_probe probe;
        if (weight_ppm == 0)
            continue;
        direction->weight_ppm[i] = 0;
        if (is_known && outlook->market->parameters->instruments[i].is_listed &&
            outlook->marks[i].status != PL_MARK_NONE &&
            probe_from_rest(stressed, outlook, i, move_of(weight_ppm, step), &probe))
            direction->weight_ppm[i] = weight_ppm * worse_way(&probe, excess);
    }
}

/* ---- netting -------------------------------------------------------------------------------- */

/* 10^6 E - A: both are below 2^105. */
static bool requirement_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           enum pl_tier tier, pl_i128 *requirement)
{
    pl_i128 equity = portfolio->cash_vu, excess;
    if (!pl_evaluate(market, portfolio, tier, &excess))
        return false;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        const struct pl_quote *quote = &market->quotes[leg->instrument];
        equity += (pl_i128)leg->lots * (leg->lots < 0 ? quote->short_lot_vu : quote->lot_vu);
    }
    *requirement = equity * PL_PPM - excess;
    return true;
}

/* Requirements of single legs sum to less than 2^23 times the gross value, 2^103. */
bool pl_netting_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                   enum pl_tier tier, struct pl_netting *netting)
{
    pl_i128 alone;
    *netting = (struct pl_netting){0};
    if (!pl_portfolio_is_certain(market, portfolio) ||
        !requirement_of(market, portfolio, tier, &netting->requirement))
        return false;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        struct pl_portfolio one = *portfolio;
        pl_portfolio_pin(&one);
        one.legs = &portfolio->legs[i];
        one.leg_count = 1;
        one.cash_vu = one.final_cash_vu = 0;
        if (!requirement_of(market, &one, tier, &alone))
            return false;
        netting->gross_requirement += alone;
    }
    pl_i128 gross = netting->gross_requirement;
    if (gross > 0)
        netting->efficiency_ppm =
            (int32_t)pl_div_floor((gross - netting->requirement) * PL_PPM, gross);
    return true;
}

/* ---- tail ----------------------------------------------------------------------------------- */

/* Equal losses are the same number: nothing is left open. */
static int by_loss(const void *left, const void *right, const void *context)
{
    const pl_i128 *a = left, *b = right;
    (void)context;
    return *a > *b ? -1 : *a < *b;
}

/* Least root whose square is not below `square`. */
static pl_i128 root_ceil(pl_i128 square)
{
    pl_i128 low = -1, high = (pl_i128)1 << 63;
    while (low + 1 < high) {
        pl_i128 middle = low + (high - low) / 2;
        if (middle * middle < square)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Squares of 57 bits leave room for PL_SCENARIOS_MAX of them. */
static pl_i128 deviation_of(const pl_i128 *losses, uint32_t count)
{
    pl_i128 largest = 0, sum = 0, unit = 1;
    for (uint32_t i = 0; i < count; i++)
        largest = pl_max(largest, pl_abs(losses[i]));
    while (largest / unit >= (pl_i128)1 << 57)
        unit *= 2;
    for (uint32_t i = 0; i < count; i++) {
        pl_i128 size = pl_div_ceil(pl_abs(losses[i]), unit);
        sum += size * size;
    }
    return root_ceil(pl_div_ceil(sum, count)) * unit;
}

static_assert(PL_SCENARIOS_MAX <= 1 << 12, "a sum of squares fits");

void pl_tail_of(pl_i128 *losses_vu, uint32_t count, int32_t confidence_ppm, struct pl_tail *tail)
{
    pl_assert(count > 0 && count <= PL_SCENARIOS_MAX);
    pl_assert(confidence_ppm > 0 && confidence_ppm < PL_PPM);
    pl_sort(losses_vu, count, sizeof(losses_vu[0]), by_loss, NULL);
    /* Up: a tail holds at least the part of the scenarios that was asked for. */
    tail->rank = (uint32_t)pl_div_ceil((pl_i128)(PL_PPM - confidence_ppm) * count, PL_PPM);
    tail->exposure_vu = losses_vu[tail->rank - 1];
    pl_i128 sum = 0;
    for (uint32_t i = 0; i < tail->rank; i++)
        sum += losses_vu[i];
    tail->shortfall_vu = pl_div_floor(sum, tail->rank);
    tail->deviation_vu = deviation_of(losses_vu, count);
}

/* ---- book ----------------------------------------------------------------------------------- */

static void add_below(struct pl_stress_sum *sum, const struct pl_market *market,
                      const struct pl_names *names, const struct pl_portfolio *portfolio)
{
    struct pl_sale sale;
    pl_plan_sale(market, names, portfolio, &sale);
    for (uint32_t i = 0; i < sale.leg_count; i++) {
        const struct pl_quote *quote = &market->quotes[sale.legs[i].instrument];
        sum->sold_vu += (pl_i128)sale.legs[i].lots *
                        (sale.legs[i].side == PL_SIDE_BUY ? quote->short_lot_vu : quote->lot_vu);
    }
    sum->bankrupt_count += sale.is_bankrupt;
}

/* A value is below 2^80 VU and an excess below 2^104: room for 2^22 accounts that each lack the most
 * that an account may hold, 10^12 USD. */
void pl_stress_add(struct pl_stress_sum *sum, const struct pl_market *market,
                   const struct pl_names *names, const struct pl_portfolio *portfolio)
{
    struct pl_verdict verdict;
    pl_verdict_of(market, names, portfolio, &verdict);
    pl_i128 excess = verdict.excess[PL_TIER_MAINTENANCE].high;
    sum->account_count++;
    if (verdict.certainty == PL_OUT_OF_RANGE) {
        sum->out_of_range_count++;
        return;
    }
    sum->uncertain_count += verdict.certainty == PL_UNCERTAIN;
    if (excess < 0) {
        sum->below_count++;
        sum->lacking -= excess;
        add_below(sum, market, names, portfolio);
    }
    if (verdict.equity_vu.high < 0) {
        sum->debt_count++;
        sum->debt_vu -= verdict.equity_vu.high;
    }
}

enum pl_standing pl_standing_of(const struct pl_verdict *verdict)
{
    static const enum pl_standing below[PL_TIER_COUNT] = {
        [PL_TIER_ALERT] = PL_STANDING_ALERT, [PL_TIER_INITIAL] = PL_STANDING_INITIAL,
        [PL_TIER_END] = PL_STANDING_END, [PL_TIER_MAINTENANCE] = PL_STANDING_MAINTENANCE};
    enum pl_standing standing = PL_STANDING_WHOLE;
    if (verdict->certainty != PL_CERTAIN)
        return verdict->certainty == PL_UNCERTAIN ? PL_STANDING_UNCERTAIN
                                                  : PL_STANDING_OUT_OF_RANGE;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        if (verdict->excess[tier].high < 0)
            standing = below[tier];
    return standing;
}

static bool is_larger(const struct pl_holder *a, const struct pl_holder *b)
{
    return a->long_vu != b->long_vu ? a->long_vu > b->long_vu
                                    : pl_id_compare(&a->account, &b->account) < 0;
}

void pl_gross_add(struct pl_gross *gross, const struct pl_id *account, pl_i128 long_vu,
                  pl_i128 short_vu)
{
    pl_assert(long_vu >= 0 && short_vu >= 0);
    gross->long_vu += long_vu;
    gross->short_vu += short_vu;
    if (long_vu == 0)
        return;
    gross->holder_count++;
    const struct pl_holder holder = {.account = *account, .long_vu = long_vu};
    uint32_t at = gross->top_count;
    while (at > 0 && is_larger(&holder, &gross->top[at - 1]))
        at--;
    if (at == PL_HOLDERS_MAX)
        return;
    if (gross->top_count < PL_HOLDERS_MAX)
        gross->top_count++;
    for (uint32_t i = gross->top_count - 1; i > at; i--)
        gross->top[i] = gross->top[i - 1];
    gross->top[at] = holder;
}

int32_t pl_gross_share_ppm(const struct pl_gross *gross, uint32_t count)
{
    pl_i128 held = 0;
    for (uint32_t i = 0; i < count && i < gross->top_count; i++)
        held += gross->top[i].long_vu;
    return gross->long_vu == 0 ? 0 : (int32_t)(held * PL_PPM / gross->long_vu);
}
