/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uncertain is not a shield, and not a guess: bounds hold whatever the bad inputs turn out to be,
 * are never looser than plain interval arithmetic, and close to a point when nothing is open (G4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/world.h"

enum { MARKS_PER_WORLD = 8, PORTFOLIOS_PER_MARKS = 8, SAMPLES = 6 };

static struct world world;
static struct model_box box;
static struct model_sheet sheet;
static struct model_terms terms;
static struct {
    uint64_t portfolios, open, unbounded, straddling, certainly_below, climbed, growing, doubtful,
        kept;
} met;

#define fail_with(...) world_fail(&world, __VA_ARGS__)

/* What stands for a number that may be beyond all bounds. */
static pl_i128 bounded(const mpz_t number)
{
    if (model_compare_i128(number, PL_EXCESS_UNBOUNDED) >= 0)
        return PL_EXCESS_UNBOUNDED;
    if (model_compare_i128(number, -PL_EXCESS_UNBOUNDED) <= 0)
        return -PL_EXCESS_UNBOUNDED;
    return model_get_i128(number);
}

/* Points of the box: its corners among them, most often. */
static void sample(void)
{
    model_sheet_corner(&sheet, &box, test_random_u64(&world.random));
    if (world_chance(&world, 3))
        return;
    for (uint32_t i = 0; i < box.leg_count; i++)
        if (world_chance(&world, 2))
            model_sheet_place(&sheet, i, (uint32_t)test_random_u64(&world.random));
}

static void check_sample(enum pl_tier tier, const struct pl_bounds *bounds)
{
    sample();
    model_box_take(&box, world_chance(&world, 2));
    model_evaluate(&sheet, tier, &terms);
    model_box_take(&box, true);
    pl_i128 excess = bounded(terms.excess);
    if (excess < bounds->low || excess > bounds->high)
        fail_with("tier %d: a point has %s, outside %s .. %s", tier, world_text(terms.excess),
                  world_text_i128(bounds->low), world_text_i128(bounds->high));
}

/* The best point that climbing finds: what an upper bound is for. */
static void check_best(enum pl_tier tier, const struct pl_bounds *bounds)
{
    mpz_t best;
    mpz_init(best);
    sample();
    model_box_climb(&box, tier, &sheet, best);
    if (bounded(best) > bounds->high)
        fail_with("tier %d: the best point has %s, above %s", tier, world_text(best),
                  world_text_i128(bounds->high));
    mpz_clear(best);
    met.climbed++;
}

/* A stuck leg that was never priced adds nothing however much it is worth: the top is finite then, and
 * the library says that it has no bound. */
static bool is_left_open(enum pl_tier tier)
{
    bool has_stuck = false;
    for (uint32_t i = 0; i < box.leg_count; i++)
        has_stuck |= box.legs[i].halt[1][tier] > 0;
    return box.is_unbounded && has_stuck;
}

/* Where more of every open leg is better the bounds are values that the excess really takes. */
static void check_growing(enum pl_tier tier, const struct pl_bounds *bounds)
{
    for (int end = 0; end < 2; end++) {
        model_box_take(&box, end);
        model_sheet_corner(&sheet, &box, end ? UINT64_MAX : 0);
        model_evaluate(&sheet, tier, &terms);
        if (end && bounds->high == PL_EXCESS_UNBOUNDED && is_left_open(tier))
            continue;
        if (bounded(terms.excess) != (end ? bounds->high : bounds->low))
            fail_with("tier %d: bounds %s .. %s, but the %s of the box has %s", tier,
                      world_text_i128(bounds->low), world_text_i128(bounds->high),
                      end ? "top" : "bottom", world_text(terms.excess));
    }
    met.growing++;
}

static void check_tier(enum pl_tier tier, const struct pl_bounds *bounds)
{
    mpz_t low, high;
    mpz_inits(low, high, NULL);
    if (bounds->low > bounds->high)
        fail_with("tier %d: low %s above high %s", tier, world_text_i128(bounds->low),
                  world_text_i128(bounds->high));
    model_box_take(&box, false);
    model_box_minimum(&box, tier, low);
    if (bounded(low) < bounds->low)
        fail_with("tier %d: the least is %s, below %s", tier, world_text(low),
                  world_text_i128(bounds->low));
    model_box_bounds(&box, tier, low, high);
    if (bounds->high > bounded(high))
        fail_with("tier %d: a shield: high %s, interval arithmetic has %s", tier,
                  world_text_i128(bounds->high), world_text(high));
    if (bounds->low < bounded(low))
        fail_with("tier %d: low %s, interval arithmetic has %s", tier, world_text_i128(bounds->low),
                  world_text(low));
    if (!box.is_open && bounds->low != bounds->high)
        fail_with("tier %d: bounds of a certain portfolio differ", tier);
    if (model_box_grows(&box, tier))
        check_growing(tier, bounds);
    for (int i = 0; i < SAMPLES; i++)
        check_sample(tier, bounds);
    if (box.is_open && world_chance(&world, 12))
        check_best(tier, bounds);
    mpz_clears(low, high, NULL);
}

static bool is_open(const struct pl_leg *leg)
{
    return !world.parameters.instruments[leg->instrument].is_listed || leg->is_unlisted_amount ||
           world.market.quotes[leg->instrument].status != PL_MARK_LIVE ||
           leg->lots != leg->final_lots;
}

/* Doubts name open legs only, each once, in the order of ids, and none is left out but for room. */
static void check_doubts(const struct pl_verdict *verdict)
{
    uint32_t open = 0, named = 0;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        open += is_open(&world.legs[i]) && world.legs[i].lots && world.legs[i].final_lots;
    if (verdict->doubt_count > PL_DOUBTS_MAX)
        fail_with("%u doubts", verdict->doubt_count);
    for (uint32_t i = 0; i < verdict->doubt_count; i++) {
        uint32_t instrument = verdict->doubts[i].instrument;
        if (instrument == UINT32_MAX)
            continue;
        const struct pl_leg *leg = NULL;
        for (uint32_t j = 0; j < world.portfolio.leg_count; j++)
            if (world.legs[j].instrument == instrument)
                leg = &world.legs[j];
        if (!leg || !is_open(leg))
            fail_with("doubt about instrument %u, which is certain", instrument);
        bool is_repeated = i > 0 && verdict->doubts[i - 1].instrument == instrument;
        if (i > 0 && !is_repeated && verdict->doubts[i - 1].instrument != UINT32_MAX &&
            pl_id_compare(&world.names.ids[verdict->doubts[i - 1].instrument],
                          &world.names.ids[instrument]) > 0)
            fail_with("doubts are not in the order of ids");
        named += !is_repeated && leg->lots && leg->final_lots;
    }
    if (verdict->doubt_count < PL_DOUBTS_MAX && named != open)
        fail_with("%u of %u open legs are named", named, open);
}

static void check_verdict(const struct pl_bounds bounds[PL_TIER_COUNT])
{
    struct pl_verdict verdict;
    pl_verdict_of(&world.market, &world.names, &world.portfolio, &verdict);
    if (verdict.certainty == PL_OUT_OF_RANGE)
        fail_with("out of range, although each tier has bounds");
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (verdict.excess[t].low != bounds[t].low || verdict.excess[t].high != bounds[t].high)
            fail_with("tier %d: the verdict has other bounds", t);
    bool straddles = bounds[PL_TIER_MAINTENANCE].low < 0 && bounds[PL_TIER_MAINTENANCE].high >= 0;
    if ((verdict.certainty == PL_UNCERTAIN) != straddles)
        fail_with("certainty %d, maintenance %s .. %s", verdict.certainty,
                  world_text_i128(bounds[PL_TIER_MAINTENANCE].low),
                  world_text_i128(bounds[PL_TIER_MAINTENANCE].high));
    met.straddling += straddles;
    met.certainly_below += box.is_open && bounds[PL_TIER_MAINTENANCE].high < 0;
    mpz_t low, high;
    mpz_inits(low, high, NULL);
    model_box_equity(&box, low, high);
    if (verdict.equity_vu.low != bounded(low) || verdict.equity_vu.high != bounded(high))
        fail_with("equity %s .. %s, not %s .. %s", world_text_i128(verdict.equity_vu.low),
                  world_text_i128(verdict.equity_vu.high), world_text(low), world_text(high));
    mpz_clears(low, high, NULL);
    check_doubts(&verdict);
}

/* What an account shows people sums to the bound that decides about it. */
static void check_terms(enum pl_tier tier, const struct pl_bounds *bounds)
{
    static struct pl_term shown[PL_TERMS_MAX];
    if (bounds->high >= PL_EXCESS_UNBOUNDED || box.is_unbounded)
        return;
    uint32_t count = pl_explain(&world.market, &world.portfolio, tier, shown, PL_TERMS_MAX);
    pl_i128 sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += shown[i].amount;
    if (sum != bounds->high)
        fail_with("tier %d: terms sum to %s, not to the upper bound %s", tier, world_text_i128(sum),
                  world_text_i128(bounds->high));
}

/* An asset that nobody lists is worth nothing: holding it changes no bound and hides no deficit. */
static void check_worthless(const struct pl_bounds bounds[PL_TIER_COUNT])
{
    if (world.portfolio.leg_count >= PL_LEGS_MAX)
        return;
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
        if (world.legs[i].instrument == world.unlisted[0])
            return;
    struct pl_leg *leg = &world.legs[world.portfolio.leg_count++];
    *leg = (struct pl_leg){
        .instrument = world.unlisted[0], .lots = INT64_MAX, .final_lots = INT64_MAX};
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        struct pl_bounds with;
        if (!pl_evaluate_bounds(&world.market, &world.portfolio, (enum pl_tier)t, &with) ||
            with.low != bounds[t].low || with.high != bounds[t].high)
            fail_with("tier %d: an unlisted asset changes the bounds", t);
    }
    world.portfolio.leg_count--;
}

static void check_portfolio(void)
{
    model_box_fill(&box, &world.market, &world.portfolio);
    enum model_range range = model_box_range(&box);
    struct pl_bounds bounds[PL_TIER_COUNT];
    bool is_answered = true;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        is_answered = pl_evaluate_bounds(&world.market, &world.portfolio, (enum pl_tier)t,
                                         &bounds[t]) &&
                      is_answered;
    met.portfolios++;
    met.open += box.is_open;
    met.unbounded += box.is_unbounded;
    for (uint32_t i = 0; i < box.leg_count; i++)
        met.doubtful += box.legs[i].is_option && !box.legs[i].option.is_live;
    if (is_answered && range == MODEL_OUTSIDE)
        fail_with("answered out of range");
    if (!is_answered && range == MODEL_INSIDE)
        fail_with("refused in range");
    if (!is_answered)
        return;
    if (!box.is_open != pl_portfolio_is_certain(&world.market, &world.portfolio)) {
        bool has_empty_leg = false; /* an open leg of no lots may be called either */
        for (uint32_t i = 0; i < world.portfolio.leg_count; i++)
            has_empty_leg = has_empty_leg || !world.legs[i].lots;
        if (!has_empty_leg)
            fail_with("certain: %d", !box.is_open);
    }
    enum pl_tier tier = (enum pl_tier)world_below(&world, PL_TIER_COUNT);
    check_tier(tier, &bounds[tier]);
    check_tier(PL_TIER_MAINTENANCE, &bounds[PL_TIER_MAINTENANCE]);
    check_terms(tier, &bounds[tier]);
    check_verdict(bounds);
    check_worthless(bounds);
}

/* Cash that puts the upper bound near 0, where bounds decide. */
static void level(void)
{
    mpz_t low, high;
    mpz_inits(low, high, NULL);
    model_box_fill(&box, &world.market, &world.portfolio);
    model_box_bounds(&box, PL_TIER_MAINTENANCE, low, high);
    const mpz_t *target = world_chance(&world, 2) && !box.is_unbounded ? &low : &high;
    pl_i128 excess = bounded(*target);
    if (excess < PL_VALUE_VU_MAX * PL_PPM && excess > -PL_VALUE_VU_MAX * PL_PPM) {
        pl_i128 shift = excess / PL_PPM + world_between(&world, -2, 2);
        world.portfolio.cash_vu -= shift;
        world.portfolio.final_cash_vu -= shift;
    }
    mpz_clears(low, high, NULL);
}

/* Whether what is said of `feed` is about the portfolio: it holds it, or an option on it. */
static bool hangs_on(uint32_t feed)
{
    for (uint32_t i = 0; i < world.portfolio.leg_count; i++) {
        const uint32_t held = world.legs[i].instrument;
        const struct pl_instrument *rules = &world.parameters.instruments[held];
        if (held == feed ||
            (rules->kind == PL_INSTRUMENT_OPTION && rules->option.underlying == feed))
            return true;
    }
    return false;
}

/* One more feed goes bad: who does not hang on it is what he was. The mark is given back. */
static void check_others(void)
{
    struct pl_verdict before, after;
    const uint32_t feed = world.instruments[world_below(&world, world.instrument_count)];
    struct pl_mark *mark = &world.marks[feed], good = *mark;
    if (hangs_on(feed))
        return;
    pl_verdict_of(&world.market, &world.names, &world.portfolio, &before);
    mark->status = world_chance(&world, 2) ? PL_MARK_STALE : PL_MARK_HALTED;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
    pl_verdict_of(&world.market, &world.names, &world.portfolio, &after);
    if (memcmp(&before, &after, sizeof before) != 0)
        fail_with("a bad mark of instrument %u, which is not held, changes the verdict", feed);
    *mark = good;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
    met.kept++;
}

static void bounds_hold_whatever_is_open(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20200312).state;
    uint64_t worlds = world_runs(24000) / MARKS_PER_WORLD / PORTFOLIOS_PER_MARKS;
    for (uint64_t w = 0; w < worlds; w++) {
        world.options.has_options = w % 3 == 2;
        world.options.bad_marks = w % 4 == 3 ? 0 : (uint32_t)(1 + w % 8);
        world_begin(&world, seed + w);
        for (int m = 0; m < MARKS_PER_WORLD; m++) {
            world_mark(&world);
            for (int p = 0; p < PORTFOLIOS_PER_MARKS; p++) {
                world_hold(&world);
                if (world.options.bad_marks || world_chance(&world, 2))
                    world_open(&world);
                if (world.options.bad_marks && !world_chance(&world, 3))
                    level();
                if (world.portfolio.leg_count <= 60)
                    check_portfolio();
                if (world_chance(&world, 4))
                    check_others();
            }
        }
    }
    printf("portfolios=%" PRIu64 " open=%" PRIu64 " unbounded=%" PRIu64 " straddling=%" PRIu64
           " certainly_below=%" PRIu64 " climbed=%" PRIu64 " growing=%" PRIu64
           " doubtful_options=%" PRIu64 " kept=%" PRIu64 "\n",
           met.portfolios, met.open, met.unbounded, met.straddling, met.certainly_below,
           met.climbed, met.growing, met.doubtful, met.kept);
    assert_true(met.open > met.portfolios / 3 && met.straddling > met.portfolios / 50);
    assert_true(met.certainly_below > met.portfolios / 50 && met.climbed > 100);
    assert_true(met.doubtful > met.portfolios / 50 && met.kept > 100);
}

int main(void)
{
    model_box_init(&box);
    model_sheet_init(&sheet);
    model_terms_init(&terms);
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounds_hold_whatever_is_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
