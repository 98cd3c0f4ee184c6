/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain and the release of haircut.h. Path: volatility of a mark to effective parameter set.
 * Floating point only in close_out(), which is upstream of every decision (see volatility.c).
 */
#include "lib/price/haircut.h"

#include <math.h>

#include "lib/base/assert.h"

static const int64_t HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * 60 * 60 * 1000;
static const int64_t STRESS_SHARE_PPM = 250000;

/* From the least demanding tier to the most. */
static const enum pl_tier upward[PL_TIER_COUNT] = {PL_TIER_MAINTENANCE, PL_TIER_END,
                                                   PL_TIER_INITIAL, PL_TIER_ALERT};

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int64_t grid_up(int64_t ppm)
{
    return (int64_t)pl_div_ceil(ppm, PL_HAIRCUT_GRID_PPM) * PL_HAIRCUT_GRID_PPM;
}

static int64_t grid_down(int64_t ppm)
{
    return (int64_t)pl_div_floor(ppm, PL_HAIRCUT_GRID_PPM) * PL_HAIRCUT_GRID_PPM;
}

/* ---- the chain ------------------------------------------------------------------------------ */

/* Days to get out, and what may be lost of a price in them. */
static int32_t close_out(const struct pl_haircut_model *model, enum pl_tier tier,
                         uint32_t sigma_ppm)
{
    double days = (double)model->horizon.at[tier] / PL_PPM;
    if (model->venue_usd > 0) {
        const double share = (double)model->participation_ppm / PL_PPM;
        const double needed = (double)model->venue_usd / (share * (double)model->daily_volume_usd);
        days = needed > days ? needed : days;
    }
    const double move = (double)model->multiple.at[tier] / PL_PPM * (double)sigma_ppm / PL_PPM *
                        sqrt(days);
    /* A millionth of a ppm is noise: without it 0 could be rounded up to 1. */
    const double ppm = (1 - exp(-move)) * PL_PPM - 1e-6;
    if (ppm <= 0)
        return 0;
    const int32_t whole = (int32_t)ppm;
    return (double)whole < ppm ? whole + 1 : whole;
}

/* Largest root with root^2 <= square. */
static int64_t integer_root(pl_i128 square)
{
    int64_t root = 0;
    for (int bit = 52; bit >= 0; bit--) {
        const int64_t trial = root | (int64_t)1 << bit;
        if ((pl_i128)trial * trial <= square)
            root = trial;
    }
    return root;
}

int32_t pl_haircut_impact_ppm(const struct pl_haircut_model *model, uint32_t sigma_ppm)
{
    if (model->reference_usd == 0)
        return 0;
    /* Below 2^63 * 10^12 < 2^103; its root below 2^52; times sigma and impact below 2^111. */
    const int64_t root = integer_root((pl_i128)model->reference_usd * ((int64_t)PL_PPM * PL_PPM) /
                                      model->daily_volume_usd);
    const pl_i128 ppm = (pl_i128)root * sigma_ppm * model->impact_ppm / ((int64_t)PL_PPM * PL_PPM);
    return ppm < PL_PPM ? (int32_t)ppm : PL_PPM;
}

static int32_t with_share(int32_t ppm, int64_t share_ppm)
{
    return (int32_t)pl_div_ceil((pl_i128)ppm * share_ppm, PL_PPM);
}

static int32_t buffered(const struct pl_haircut_model *model, const struct pl_haircut_terms *terms)
{
    const int32_t c = terms->close_out;
    int32_t core = c;
    if (model->buffer_ppm > 0)
        core = larger(core, smaller(with_share(c, (int64_t)PL_PPM + model->buffer_ppm),
                                    larger(c, terms->buffer)));
    if (model->stress_volatility_ppm > 0) {
        const pl_i128 mixed = (pl_i128)c * (PL_PPM - STRESS_SHARE_PPM) +
                              (pl_i128)terms->stress * STRESS_SHARE_PPM;
        const int32_t weighted = (int32_t)pl_div_ceil(mixed, PL_PPM);
        /* Alone it may lie below c, in times worse than the stress. */
        core = model->buffer_ppm > 0 || model->floor_volatility_ppm > 0 ? larger(core, weighted)
                                                                        : weighted;
    }
    return larger(core, terms->floor);
}

void pl_haircut_chain(const struct pl_haircut_model *model, enum pl_tier tier, uint32_t fast_ppm,
                      uint32_t slow_ppm, struct pl_haircut_terms *terms)
{
    const uint32_t sigma_ppm = fast_ppm > slow_ppm ? fast_ppm : slow_ppm;
    pl_assert(model->is_present);
    terms->close_out = close_out(model, tier, sigma_ppm);
    terms->buffer = 0;
    if (model->buffer_ppm > 0)
        terms->buffer = with_share(close_out(model, tier, slow_ppm),
                                   (int64_t)PL_PPM + model->buffer_ppm);
    terms->stress = close_out(model, tier, (uint32_t)model->stress_volatility_ppm);
    terms->floor = close_out(model, tier, (uint32_t)model->floor_volatility_ppm);
    terms->liquidity = model->half_spread_ppm + pl_haircut_impact_ppm(model, sigma_ppm);
    const int64_t whole = grid_up((int64_t)buffered(model, terms) + terms->liquidity +
                                  model->addition_ppm);
    terms->target = whole < model->cap_ppm ? (int32_t)whole : model->cap_ppm;
}

/* ---- scales --------------------------------------------------------------------------------- */

int32_t pl_haircut_scaled_asset(int32_t ppm, int64_t figure_usd, int64_t from_usd)
{
    pl_assert(ppm <= PL_PPM && figure_usd > 0 && from_usd > 0);
    if (figure_usd <= from_usd)
        return ppm;
    const pl_i128 weight = (pl_i128)(PL_PPM - ppm) * from_usd / figure_usd;
    return PL_PPM - (int32_t)weight;
}

int32_t pl_haircut_scaled_debt(int32_t ppm, int64_t figure_usd, int64_t from_usd)
{
    pl_assert(ppm >= -PL_PPM && figure_usd > 0 && from_usd > 0);
    if (figure_usd <= from_usd)
        return ppm;
    const pl_i128 scaled = pl_div_ceil((pl_i128)(PL_PPM + (int64_t)ppm) * figure_usd, from_usd) - PL_PPM;
    return scaled < INT32_MAX ? (int32_t)scaled : INT32_MAX;
}

int32_t pl_haircut_scaled_margin(int32_t ppm, int64_t figure_usd, int64_t from_usd, int64_t to_usd)
{
    pl_assert(ppm <= PL_PPM && figure_usd > 0 && from_usd >= 0 && to_usd > from_usd);
    if (figure_usd <= from_usd)
        return ppm;
    if (figure_usd >= to_usd)
        return PL_PPM;
    return ppm + (int32_t)pl_div_ceil((pl_i128)(PL_PPM - ppm) * (figure_usd - from_usd),
                                      to_usd - from_usd);
}

static bool has_scale(const struct pl_instrument *next, enum pl_scale_kind kind)
{
    const struct pl_haircut_scale *scale = &next->haircut_model.scales[kind];
    return (scale->from_usd > 0 || scale->to_usd > 0) && next->haircut.figures_usd[kind] > 0;
}

static bool is_scaled(enum pl_tier tier)
{
    return tier == PL_TIER_ALERT || tier == PL_TIER_INITIAL;
}

/* On the grid, but the base's own number where it is not raised. */
static int32_t raised(int32_t base, int32_t ppm, int32_t cap)
{
    const int64_t whole = ppm > base ? grid_up(ppm) : base;
    return larger(base, whole < cap ? (int32_t)whole : cap);
}

/* What deposits and open interest make of the base set's haircut of a long. */
static int32_t scaled_long(const struct pl_instrument *next, enum pl_tier tier)
{
    const struct pl_haircut *haircut = &next->haircut;
    const struct pl_haircut_scale *scales = next->haircut_model.scales;
    const int32_t base = haircut->base.at[tier];
    int32_t ppm = base;
    if (!is_scaled(tier) || base > PL_PPM)
        return base;
    if (has_scale(next, PL_SCALE_DEPOSITS))
        ppm = larger(ppm, pl_haircut_scaled_asset(base, haircut->figures_usd[PL_SCALE_DEPOSITS],
                                                  scales[PL_SCALE_DEPOSITS].from_usd));
    if (has_scale(next, PL_SCALE_OPEN_INTEREST))
        ppm = larger(ppm, pl_haircut_scaled_margin(base, haircut->figures_usd[PL_SCALE_OPEN_INTEREST],
                                                   scales[PL_SCALE_OPEN_INTEREST].from_usd,
                                                   scales[PL_SCALE_OPEN_INTEREST].to_usd));
    return raised(base, ppm, next->haircut_model.cap_ppm);
}

/* When haircut_long stands. */
static void set_short(struct pl_instrument *next)
{
    const struct pl_haircut_model *model = &next->haircut_model;
    struct pl_haircut *haircut = &next->haircut;
    int32_t below = INT32_MIN;
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        const enum pl_tier tier = upward[i];
        const int32_t base = haircut->base_short.at[tier];
        int32_t ppm = base;
        if (model->with_short)
            ppm += next->haircut_long.at[tier] - haircut->base.at[tier];
        ppm = larger(base, smaller(ppm, model->cap_ppm));
        if (is_scaled(tier) && base >= -PL_PPM && has_scale(next, PL_SCALE_BORROWS))
            ppm = larger(ppm, raised(base,
                                     pl_haircut_scaled_debt(base, haircut->figures_usd[PL_SCALE_BORROWS],
                                                            model->scales[PL_SCALE_BORROWS].from_usd),
                                     model->cap_ppm));
        below = larger(below, ppm);
        next->haircut_short.at[tier] = below;
    }
}

/* ---- the release ---------------------------------------------------------------------------- */

/* ppm that `rate` per `unit_ms` makes of the time; none for a clock that went back. */
static int64_t progress(int64_t rate, int64_t unit_ms, int64_t passed_ms)
{
    if (passed_ms <= 0)
        return 0;
    const pl_i128 ppm = (pl_i128)rate * passed_ms / unit_ms;
    return ppm < PL_PPM ? (int64_t)ppm : PL_PPM;
}

struct step {
    const struct pl_haircut_news *news;
    int32_t current, target;
    bool was_rising, is_instant; /* the move in hand; the tier rises at once                     */
};

static int32_t rise(const struct step *step, struct pl_haircut_move *move)
{
    if (step->is_instant)
        return step->target;
    if (move->since_ms == 0 || !step->was_rising)
        *move = (struct pl_haircut_move){step->current, step->news->now_ms};
    const int64_t line =
        move->from_ppm + progress(step->news->policy->haircut_rise_ppm_per_hour, HOUR_MS,
                                  step->news->now_ms - move->since_ms);
    return line < step->target ? larger(step->current, (int32_t)grid_down(line)) : step->target;
}

static int32_t fall(const struct step *step, struct pl_haircut_move *move)
{
    const struct pl_policy *policy = step->news->policy;
    if (move->since_ms == 0 || step->was_rising)
        *move = (struct pl_haircut_move){step->current, step->news->now_ms};
    const int64_t passed_ms = step->news->now_ms - move->since_ms;
    /* In this order nothing overflows: a hold is any number above 0. */
    const int64_t falling_ms = passed_ms > policy->haircut_hold_ms
                                   ? passed_ms - policy->haircut_hold_ms : 0;
    const int64_t line =
        move->from_ppm - progress(policy->haircut_fall_ppm_per_day, DAY_MS, falling_ms);
    return line > step->target ? smaller(step->current, (int32_t)grid_up(line)) : step->target;
}

static int32_t release(const struct step *step, struct pl_haircut_move *move)
{
    if (step->target > step->current)
        return rise(step, move);
    return step->target < step->current ? fall(step, move) : step->target;
}

/* ---- deriving ------------------------------------------------------------------------------- */

static void set_targets(struct pl_instrument *next)
{
    struct pl_haircut *haircut = &next->haircut;
    int32_t below = INT32_MIN;
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        const enum pl_tier tier = upward[i];
        struct pl_haircut_terms terms;
        pl_haircut_chain(&next->haircut_model, tier, haircut->volatility_fast_ppm,
                         haircut->volatility_slow_ppm, &terms);
        haircut->close_out.at[tier] = terms.close_out;
        haircut->buffer.at[tier] = terms.buffer;
        haircut->stress.at[tier] = terms.stress;
        haircut->floor.at[tier] = terms.floor;
        haircut->liquidity_ppm = terms.liquidity;
        below = larger(below, larger(terms.target, scaled_long(next, tier)));
        haircut->target.at[tier] = below;
    }
}

/* A number of the set in force within what the desk now allows: base to cap. */
static int32_t allowed(const struct pl_instrument *next, enum pl_tier tier, int32_t ppm)
{
    return larger(next->haircut.base.at[tier], smaller(ppm, next->haircut_model.cap_ppm));
}

/* Where a tier stands and moves before this derivation; at the base where nothing was derived yet. */
static int32_t standing(const struct pl_instrument *last, const struct pl_instrument *next,
                        enum pl_tier tier, struct pl_haircut_move *move)
{
    *move = (struct pl_haircut_move){0};
    if (!last)
        return next->haircut.base.at[tier];
    *move = last->haircut.moves[tier];
    if (move->since_ms != 0)
        move->from_ppm = allowed(next, tier, move->from_ppm);
    return allowed(next, tier, last->haircut_long.at[tier]);
}

static bool is_rising(const struct pl_instrument *last, enum pl_tier tier)
{
    return last && last->haircut.target.at[tier] > last->haircut_long.at[tier];
}

/* When the tier will be at its target; 0: it is. */
static int64_t arrival_ms(const struct pl_policy *policy, const struct pl_haircut_move *move,
                          int32_t target)
{
    if (move->since_ms == 0)
        return 0;
    const bool is_up = target > move->from_ppm;
    const int64_t unit_ms = is_up ? HOUR_MS : DAY_MS;
    const int64_t rate = is_up ? policy->haircut_rise_ppm_per_hour
                               : policy->haircut_fall_ppm_per_day;
    const pl_i128 way = is_up ? target - move->from_ppm : move->from_ppm - target;
    const pl_i128 at_ms = (pl_i128)move->since_ms + (is_up ? 0 : policy->haircut_hold_ms) +
                          pl_div_ceil(way * unit_ms, rate);
    return at_ms < INT64_MAX ? (int64_t)at_ms : INT64_MAX;
}

static void move_tiers(const struct pl_instrument *last, const struct pl_haircut_news *news,
                       struct pl_instrument *next)
{
    struct pl_haircut *haircut = &next->haircut;
    int32_t below = INT32_MIN;
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        const enum pl_tier tier = upward[i];
        struct pl_haircut_move *move = &haircut->moves[tier];
        const struct step step = {
            .news = news, .current = standing(last, next, tier, move),
            .target = haircut->target.at[tier], .was_rising = is_rising(last, tier),
            .is_instant = tier == PL_TIER_INITIAL || tier == PL_TIER_ALERT};
        below = larger(below, release(&step, move));
        next->haircut_long.at[tier] = below;
        /* Only there is it at rest: a tier that the one below holds up goes on falling underneath. */
        if (below == step.target)
            *move = (struct pl_haircut_move){0};
        const int64_t at_ms = arrival_ms(news->policy, move, step.target);
        if (at_ms > haircut->target_at_ms)
            haircut->target_at_ms = at_ms;
    }
}

/* ---- how procyclical it is ------------------------------------------------------------------ */

/* `stood` is what held since the last derivation that was published: haircuts change with a set only. */
static void follow_window(struct pl_haircut_window *window, int64_t length_ms, int32_t stood,
                          int32_t value, int64_t now_ms)
{
    if (window->since_ms == 0)
        *window = (struct pl_haircut_window){now_ms, stood, stood, stood, stood, 0};
    const int64_t spans = now_ms > window->since_ms ? (now_ms - window->since_ms) / length_ms : 0;
    if (spans > 0) {
        window->before_low_ppm = spans == 1 ? window->low_ppm : stood;
        window->before_high_ppm = spans == 1 ? window->high_ppm : stood;
        window->low_ppm = window->high_ppm = stood;
        window->since_ms += spans * length_ms;
    }
    window->low_ppm = smaller(window->low_ppm, value);
    window->high_ppm = larger(window->high_ppm, value);
    window->rise_ppm = value - smaller(window->low_ppm, window->before_low_ppm);
}

static void follow_windows(const struct pl_instrument *last, int64_t now_ms,
                           struct pl_instrument *next)
{
    const int64_t lengths_ms[PL_HAIRCUT_SPANS] = {
        [PL_HAIRCUT_DAY] = DAY_MS, [PL_HAIRCUT_MONTH] = 30 * DAY_MS,
        [PL_HAIRCUT_YEAR] = 365 * DAY_MS};
    const int32_t value = next->haircut_long.at[PL_TIER_INITIAL];
    const int32_t stood = last ? last->haircut_long.at[PL_TIER_INITIAL] : value;
    for (int i = 0; i < PL_HAIRCUT_SPANS; i++) {
        next->haircut.windows[i] = last ? last->haircut.windows[i] : (struct pl_haircut_window){0};
        follow_window(&next->haircut.windows[i], lengths_ms[i], stood, value, now_ms);
    }
}

static bool differ(const struct pl_tier_ppm *a, const struct pl_tier_ppm *b)
{
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        if (a->at[tier] != b->at[tier])
            return true;
    return false;
}

bool pl_haircut_derive(const struct pl_instrument *last, const struct pl_haircut_news *news,
                       struct pl_instrument *next)
{
    struct pl_haircut *haircut = &next->haircut;
    const bool is_known = news->fast_ppm != 0 || news->slow_ppm != 0;
    pl_assert(next->haircut_model.is_present && news->now_ms > 0);
    if (last && !(last->is_listed && last->haircut.is_present))
        last = NULL;
    *haircut = (struct pl_haircut){.is_present = true, .base = next->haircut_long};
    if (is_known || last) {
        haircut->volatility_fast_ppm = is_known ? news->fast_ppm : last->haircut.volatility_fast_ppm;
        haircut->volatility_slow_ppm = is_known ? news->slow_ppm : last->haircut.volatility_slow_ppm;
    }
    for (int i = 0; i < PL_SCALES; i++)
        haircut->figures_usd[i] = news->figures_usd[i] > 0 ? news->figures_usd[i]
                                  : last                   ? last->haircut.figures_usd[i] : 0;
    haircut->has_short = next->haircut_model.with_short ||
                         next->haircut_model.scales[PL_SCALE_BORROWS].from_usd > 0;
    haircut->base_short = next->haircut_short;
    set_targets(next);
    move_tiers(last, news, next);
    if (haircut->has_short)
        set_short(next);
    follow_windows(last, news->now_ms, next);
    return !last || differ(&next->haircut_long, &last->haircut_long) ||
           differ(&next->haircut_short, &last->haircut_short) ||
           differ(&haircut->target, &last->haircut.target) ||
           differ(&haircut->base, &last->haircut.base);
}
