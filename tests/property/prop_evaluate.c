/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict is exact: on random portfolios, at every tier, the library and the naive model agree
 * to the last unit, on what is out of range too, and the terms shown sum to the excess (G3).
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

enum { MARKS_PER_WORLD = 10, PORTFOLIOS_PER_MARKS = 20 };

static struct world world;
static struct model_box box;
static struct model_sheet sheet;
static struct model_terms terms[PL_TIER_COUNT];

/* What the run met, so that a generator that went blind is noticed. */
static struct {
    uint64_t portfolios, outside, zero, one_short, options, charged,
        by_minimum, healthy[PL_TIER_COUNT];
} met;

#define fail_with(...) world_fail(&world, __VA_ARGS__)

/* The interval may be rounded to nearest or outwards, which is the same up to a tick. */
static void check_end(uint32_t instrument, int64_t mantissa, int64_t lot_vu, int outwards)
{
    const struct pl_instrument *rules = &world.parameters.instruments[instrument];
    const struct pl_mark *mark = &world.marks[instrument];
    int64_t ticks = 0;
    if (!model_ticks(mantissa, mark->exponent, rules, &ticks))
        fail_with("instrument %u: an interval out of range is used", instrument);
    int64_t excess = (lot_vu - ticks * rules->multiplier) * outwards;
    bool is_exact = mark->exponent + (int)rules->tick_decimals >= 0;
    if (excess < 0 || excess > (is_exact ? 0 : rules->multiplier))
        fail_with("instrument %u: an end of the interval is %" PRId64 ", not %" PRId64 " ticks",
                  instrument, lot_vu, ticks);
}

/* What is read off an option's grid, now and in each scenario. */
static void check_option(uint32_t instrument)
{
    static struct model_option option;
    const struct pl_quote *quote = &world.market.quotes[instrument];
    const uint32_t slot = world.parameters.instruments[instrument].option_slot;
    const struct pl_option_values *values = &world.market.options[slot];
    const bool has_value = model_option_value(&world.market, instrument, &option);
    const enum pl_mark_status status = !has_value       ? PL_MARK_HALTED
                                       : option.is_live ? PL_MARK_LIVE
                                                        : quote->status;
    if (quote->status != status || (quote->ticks > 0) != has_value ||
        (quote->status == PL_MARK_LIVE) != option.is_live)
        fail_with("option %u: status %d ticks %" PRId64 ", has a value: %d", instrument,
                  quote->status, quote->ticks, has_value);
    if (quote->lot_vu != option.now[0] || quote->short_lot_vu != option.now[1] ||
        quote->bad_low_lot_vu != 0 || quote->bad_high_lot_vu != option.bound ||
        values->notional_lot_vu != option.notional || values->peak_lot_vu != option.peak)
        fail_with("option %u: %" PRId64 " and %" PRId64 ", not %" PRId64 " and %" PRId64,
                  instrument, quote->lot_vu, quote->short_lot_vu, option.now[0], option.now[1]);
    for (uint32_t s = 0; has_value && s < world.parameters.scenario_count; s++)
        if (values->low[1 + s] != option.then[0][s] || values->high[1 + s] != option.then[1][s])
            fail_with("option %u scenario %u: %" PRId64 " and %" PRId64, instrument, s,
                      values->low[1 + s], values->high[1 + s]);
    met.options += has_value;
}

static void check_quote(uint32_t instrument)
{
    const struct pl_instrument *rules = &world.parameters.instruments[instrument];
    if (rules->kind == PL_INSTRUMENT_OPTION) {
        check_option(instrument);
        return;
    }
    const struct pl_mark *mark = &world.marks[instrument];
    const struct pl_quote *quote = &world.market.quotes[instrument];
    int64_t ticks = 0, multiplier = 1;
    for (uint32_t i = rules->lot_decimals + rules->tick_decimals; i < PL_DECIMALS_MAX; i++)
        multiplier *= 10;
    if (!model_ticks(mark->mantissa, mark->exponent, rules, &ticks))
        fail_with("instrument %u: the generator made a mark out of range", instrument);
    if (quote->status != PL_MARK_LIVE || quote->ticks != ticks ||
        quote->lot_vu != ticks * multiplier || rules->multiplier != multiplier)
        fail_with("instrument %u: status %d ticks %" PRId64 " lot %" PRId64 ", not ticks %" PRId64,
                  instrument, quote->status, quote->ticks, quote->lot_vu, ticks);
    check_end(instrument, mark->low_mantissa, quote->low_lot_vu, -1);
    check_end(instrument, mark->high_mantissa, quote->high_lot_vu, 1);
    if (quote->low_lot_vu > quote->lot_vu || quote->high_lot_vu < quote->lot_vu)
        fail_with("instrument %u: the interval excludes the mark", instrument);
}

/* Makes a mark bad in one way, or good only just; returns the status it must get, NONE
 * where that hangs on rounding. */
static enum pl_mark_status worsen(struct pl_mark *mark, const struct pl_instrument *rules)
{
    int64_t age_ms = rules->price_rules.age_ms_max;
    bool is_exact = mark->exponent + (int)rules->tick_decimals >= 0;
    mark->tick++;
    switch (world_below(&world, 10)) {
    case 0:
        mark->status = PL_MARK_STALE;
        return PL_MARK_STALE;
    case 1:
        mark->status = PL_MARK_HALTED;
        return PL_MARK_HALTED;
    case 2:
        mark->event_time_ms = world.now_ms - age_ms - 1;
        return PL_MARK_STALE;
    case 3:
        mark->event_time_ms = world.now_ms + age_ms + 1;
        return PL_MARK_STALE;
    case 4:
        mark->event_time_ms = world.now_ms - age_ms;
        return PL_MARK_LIVE;
    case 5:
        mark->event_time_ms = world.now_ms + age_ms;
        return PL_MARK_LIVE;
    case 6: /* no tick is left after rounding: half of one goes to the even 0 */
        mark->mantissa = mark->low_mantissa = mark->high_mantissa = 5;
        mark->exponent = -(int32_t)rules->tick_decimals - 1;
        return PL_MARK_HALTED;
    case 7: /* a lot of 2^63 VU or more */
        mark->mantissa = mark->low_mantissa = mark->high_mantissa = INT64_MAX;
        mark->exponent = 1;
        return PL_MARK_HALTED;
    case 8:
        mark->high_mantissa = mark->mantissa * PL_INTERVAL_TIMES_MAX;
        return is_exact ? PL_MARK_LIVE : PL_MARK_NONE;
    default:
        mark->high_mantissa = mark->mantissa * PL_INTERVAL_TIMES_MAX + 1;
        return is_exact ? PL_MARK_HALTED : PL_MARK_NONE;
    }
}

static void check_worsened(uint32_t instrument)
{
    const struct pl_instrument *rules = &world.parameters.instruments[instrument];
    const struct pl_quote *quote = &world.market.quotes[instrument];
    struct pl_mark *mark = &world.marks[instrument], good = *mark;
    struct pl_quote before = *quote;
    enum pl_mark_status status = worsen(mark, rules);
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
    if (status != PL_MARK_NONE && quote->status != status)
        fail_with("instrument %u is %d, should be %d", instrument, quote->status, status);
    bool is_kept = quote->ticks == before.ticks && quote->lot_vu == before.lot_vu;
    bool is_gone = quote->ticks == 0 && quote->lot_vu == 0 && quote->status == PL_MARK_HALTED;
    bool is_other = mark->mantissa != good.mantissa || mark->exponent != good.exponent ||
                    mark->high_mantissa != good.high_mantissa;
    bool may_go = is_other && status != PL_MARK_LIVE, must_go = is_other && status == PL_MARK_HALTED;
    if (must_go ? !is_gone : !is_kept && !(may_go && is_gone))
        fail_with("instrument %u: the quote of a bad mark moves", instrument);
    mpz_t bound;
    mpz_init_set_si(bound, quote->lot_vu);
    mpz_mul_ui(bound, bound, (unsigned long)rules->price_rules.bad_mark_low_ppm);
    mpz_fdiv_q_ui(bound, bound, PL_PPM);
    bool is_bounded = mpz_cmp_si(bound, quote->bad_low_lot_vu) == 0;
    mpz_set_si(bound, quote->lot_vu);
    mpz_mul_ui(bound, bound, (unsigned long)rules->price_rules.bad_mark_high_ppm);
    mpz_cdiv_q_ui(bound, bound, PL_PPM);
    is_bounded = is_bounded && mpz_cmp_si(bound, quote->bad_high_lot_vu) == 0;
    mpz_clear(bound);
    if (!is_bounded)
        fail_with("instrument %u: bad bounds %" PRId64 " .. %" PRId64, instrument,
                  quote->bad_low_lot_vu, quote->bad_high_lot_vu);
    bool has_changed = memcmp(&before, quote, sizeof before) != 0;
    if (world.market.changed_mask != (has_changed ? 1ull << instrument % 64 : 0))
        fail_with("instrument %u: changed %d, mask %#" PRIx64, instrument, has_changed,
                  world.market.changed_mask);
    *mark = good;
    mark->tick++;
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
}

/* G4: what is not good is not LIVE; its own price, where it has one in range, is kept for bounds. */
static void quotes_follow_marks(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20190902).state, worlds = world_runs(400);
    for (uint64_t w = 0; w < worlds; w++) {
        world_begin(&world, seed + w);
        for (int m = 0; m < 4; m++) {
            world_mark(&world);
            for (uint32_t i = 0; i < world.instrument_count; i++) {
                check_quote(world.instruments[i]);
                check_worsened(world.instruments[i]);
            }
        }
    }
}

static void check_terms(enum pl_tier tier)
{
    static struct pl_term shown[PL_TERMS_MAX];
    uint32_t count = pl_explain(&world.market, &world.portfolio, tier, shown, PL_TERMS_MAX);
    mpz_t by_kind[MODEL_KINDS], amount;
    mpz_init(amount);
    for (int kind = 0; kind < MODEL_KINDS; kind++)
        mpz_init(by_kind[kind]);
    if (count > PL_TERMS_MAX)
        fail_with("%u terms", count);
    for (uint32_t i = 0; i < count; i++) {
        if ((unsigned)shown[i].kind >= MODEL_KINDS)
            fail_with("term of kind %d", shown[i].kind);
        met.by_minimum += shown[i].kind == PL_TERM_SCENARIO &&
                          shown[i].scenario == PL_SHORT_MINIMUM;
        model_set_i128(amount, shown[i].amount);
        mpz_add(by_kind[shown[i].kind], by_kind[shown[i].kind], amount);
    }
    for (int kind = 0; kind < MODEL_KINDS; kind++) {
        if (mpz_cmp(by_kind[kind], terms[tier].by_kind[kind]) != 0)
            fail_with("tier %d: terms of kind %d sum to %s, not %s", tier, kind,
                      world_text(by_kind[kind]), world_text(terms[tier].by_kind[kind]));
        mpz_clear(by_kind[kind]);
    }
    mpz_clear(amount);
}

static void check_verdict(bool is_inside)
{
    struct pl_verdict verdict;
    memset(&verdict, 0xa5, sizeof verdict);
    pl_verdict_of(&world.market, &world.names, &world.portfolio, &verdict);
    if ((verdict.certainty == PL_OUT_OF_RANGE) == is_inside)
        fail_with("the verdict is %d, in range: %d", verdict.certainty, is_inside);
    if (!is_inside)
        return;
    if (verdict.certainty != PL_CERTAIN || verdict.doubt_count != 0)
        fail_with("a certain portfolio is %d with %u doubts", verdict.certainty,
                  verdict.doubt_count);
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (model_compare_i128(terms[t].excess, verdict.excess[t].low) != 0 ||
            model_compare_i128(terms[t].excess, verdict.excess[t].high) != 0)
            fail_with("tier %d: verdict %s..%s, not %s", t, world_text_i128(verdict.excess[t].low),
                      world_text_i128(verdict.excess[t].high), world_text(terms[t].excess));
    mpz_t value, gross;
    mpz_inits(value, gross, NULL);
    model_equity(&sheet, value);
    if (model_compare_i128(value, verdict.equity_vu.low) != 0 ||
        model_compare_i128(value, verdict.equity_vu.high) != 0)
        fail_with("equity %s, not %s", world_text_i128(verdict.equity_vu.low), world_text(value));
    for (uint32_t i = 0; i < box.leg_count; i++) {
        model_value(&box.legs[i], sheet.x[i], value);
        mpz_abs(value, value);
        mpz_add(gross, gross, value);
    }
    if (model_compare_i128(gross, verdict.gross_vu) != 0)
        fail_with("gross %s, not %s", world_text_i128(verdict.gross_vu), world_text(gross));
    mpz_clears(value, gross, NULL);
}

static void check_portfolio(void)
{
    if (!pl_portfolio_is_certain(&world.market, &world.portfolio))
        fail_with("a certain portfolio is called uncertain");
    model_box_fill(&box, &world.market, &world.portfolio);
    model_sheet_corner(&sheet, &box, 0);
    bool is_inside = model_is_in_range(&sheet);
    for (int t = 0; t < PL_TIER_COUNT; t++) {
        pl_i128 excess = 0;
        bool is_answered = pl_evaluate(&world.market, &world.portfolio, (enum pl_tier)t, &excess);
        model_evaluate(&sheet, (enum pl_tier)t, &terms[t]);
        if (is_answered != is_inside)
            fail_with("tier %d: answered %d, in range: %d", t, is_answered, is_inside);
        if (is_inside && model_compare_i128(terms[t].excess, excess) != 0)
            fail_with("tier %d: excess %s, not %s", t, world_text_i128(excess),
                      world_text(terms[t].excess));
        met.healthy[t] += is_inside && excess >= 0;
        met.zero += is_inside && excess == 0 && world.portfolio.leg_count > 1;
        met.one_short += is_inside && excess == -1;
        met.charged += mpz_sgn(terms[t].by_kind[PL_TERM_SCENARIO]) < 0;
    }
    met.portfolios++;
    met.outside += !is_inside;
    if (is_inside && world_chance(&world, 4))
        check_terms((enum pl_tier)world_below(&world, PL_TIER_COUNT));
    if (world_chance(&world, 4))
        check_verdict(is_inside);
}

static void check_worlds(uint64_t portfolios)
{
    uint64_t seed = test_random_start(20210519).state;
    uint64_t worlds = portfolios / MARKS_PER_WORLD / PORTFOLIOS_PER_MARKS;
    memset(&met, 0, sizeof met);
    for (uint64_t w = 0; w < worlds; w++) {
        world_begin(&world, seed + w);
        for (int m = 0; m < MARKS_PER_WORLD; m++) {
            world_mark(&world);
            for (uint32_t i = 0; i < world.instrument_count; i++)
                check_quote(world.instruments[i]);
            for (int p = 0; p < PORTFOLIOS_PER_MARKS; p++) {
                world_hold(&world);
                check_portfolio();
            }
        }
    }
    printf("portfolios=%" PRIu64 " outside=%" PRIu64 " zero=%" PRIu64 " one_short=%" PRIu64
           " options=%" PRIu64 " charged=%" PRIu64 " by_minimum=%" PRIu64 " healthy=%" PRIu64
           "/%" PRIu64 "/%" PRIu64 "/%" PRIu64 "\n",
           met.portfolios, met.outside, met.zero, met.one_short, met.options, met.charged,
           met.by_minimum, met.healthy[0], met.healthy[1], met.healthy[2], met.healthy[3]);
    assert_true(met.portfolios >= portfolios);
    assert_true(met.outside > met.portfolios / 1000 && met.zero > met.portfolios / 100 &&
                met.one_short > met.portfolios / 100);
    assert_true(met.healthy[PL_TIER_ALERT] > met.portfolios / 10 &&
                met.healthy[PL_TIER_MAINTENANCE] < met.portfolios * 9 / 10);
}

#ifdef __SANITIZE_ADDRESS__ /* takes five times as long */
enum { PORTFOLIOS = 200000 };
#else
enum { PORTFOLIOS = 1000000 };
#endif

static void verdicts_are_those_of_the_model(void **state)
{
    (void)state;
    world.options.has_options = false;
    check_worlds(world_runs(PORTFOLIOS));
}

/* A long run has a million of these alone. */
static void with_options_too(void **state)
{
    (void)state;
    world.options.has_options = true;
    check_worlds(world_runs(20000) > 20000 ? 1000000 : 20000);
    assert_true(met.options > met.portfolios / 10 && met.charged > met.portfolios);
    assert_true(met.by_minimum > met.portfolios / 50);
}

int main(void)
{
    model_box_init(&box);
    model_sheet_init(&sheet);
    for (int t = 0; t < PL_TIER_COUNT; t++)
        model_terms_init(&terms[t]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_follow_marks),
        cmocka_unit_test(verdicts_are_those_of_the_model),
        cmocka_unit_test(with_options_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
