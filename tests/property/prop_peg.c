/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random marks of an underlying, its redemption and its markets, with silences, halts and old ones: the
 * pegged mark is the one that a naive walk over everything ever said comes to, in GMP rationals rounded
 * once per step, as lib/price/peg.h says. The walk remembers all samples and adds up milliseconds.
 */
#include <gmp.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/price/peg.h"
#include "tests/support/build.h"
#include "tests/support/random.h"
#include "tests/support/world.h"

enum { MARKETS = PL_PEG_MARKETS_MAX, INPUTS = MARKETS + 2, EVENTS_MAX = 400, BASE = 0, RATE = 1 };

static struct build build;
static struct pl_pegs pegs;
static struct pl_aggregate aggregate;
static struct test_random source;
static uint32_t inputs[INPUTS], pegged;
static uint64_t seed_now;

/* All that was said: of which input, and when. */
static struct { uint32_t input; struct pl_mark mark; int64_t at_ms; } said[EVENTS_MAX];
static uint32_t said_count;

static int64_t between(int64_t low, int64_t high)
{
    return low + (int64_t)(test_random_below(&source, (uint64_t)(high - low + 1)));
}

static const struct pl_instrument *rules_of(uint32_t index)
{
    return &build.parameters.instruments[index];
}

static struct pl_peg *peg(void)
{
    return &build.parameters.instruments[pegged].peg;
}

/* ---- the naive walk -------------------------------------------------------------------------- */

/* Rounded to an integer, in place. */
static void round_to(mpq_t value)
{
    mpz_t whole;
    mpz_init(whole);
    (peg()->rounds_up ? mpz_cdiv_q : mpz_fdiv_q)(whole, mpq_numref(value), mpq_denref(value));
    mpq_set_z(value, whole);
    mpz_clear(whole);
}

/* 10^exponent times value. */
static void shift(mpq_t value, int exponent)
{
    mpq_t ten;
    mpq_init(ten);
    mpq_set_ui(ten, 10, 1);
    for (int i = 0; i < abs(exponent); i++)
        (exponent < 0 ? mpq_div : mpq_mul)(value, value, ten);
    mpq_clear(ten);
}

/* What an input last said before event `count`; NULL: nothing. */
static const struct pl_mark *last_of(uint32_t input, uint32_t count)
{
    while (count-- > 0)
        if (said[count].input == input)
            return &said[count].mark;
    return NULL;
}

static bool is_good(uint32_t input, uint32_t count, int64_t at_ms)
{
    const struct pl_mark *mark = last_of(input, count);
    return mark && mark->status == PL_MARK_LIVE &&
           at_ms - mark->event_time_ms <= rules_of(inputs[input])->price_rules.age_ms_max;
}

/* A market's ratio after event `count - 1`; false: unknown. */
static bool ratio_at(uint32_t input, uint32_t count, int64_t at_ms, mpq_t ratio)
{
    if (!is_good(BASE, count, at_ms) || !is_good(input, count, at_ms))
        return false;
    mpq_t divisor;
    mpq_init(divisor);
    mpq_set_si(ratio, last_of(input, count)->mantissa, 1);
    shift(ratio, 12 + last_of(input, count)->exponent);
    mpq_set_si(divisor, last_of(BASE, count)->mantissa, 1);
    shift(divisor, last_of(BASE, count)->exponent);
    mpq_div(ratio, ratio, divisor);
    round_to(ratio);
    mpq_clear(divisor);
    return mpq_sgn(ratio) > 0;
}

/* Adds [from, until) less what lies before `first`. */
static void count_span(int64_t from_ms, int64_t until_ms, int64_t first_ms, const mpq_t ratio,
                       mpq_t sum, int64_t *covered_ms)
{
    mpq_t part;
    from_ms = from_ms < first_ms ? first_ms : from_ms;
    if (until_ms <= from_ms)
        return;
    mpq_init(part);
    mpq_set_si(part, until_ms - from_ms, 1);
    mpq_mul(part, part, ratio);
    mpq_add(sum, sum, part);
    *covered_ms += until_ms - from_ms;
    mpq_clear(part);
}

/* Over the window's sixty parts, the one that has begun among them. */
static bool average_of(uint32_t market, mpq_t average)
{
    const int64_t window_ms = peg()->markets[market].window_ms, width_ms = (window_ms + 59) / 60;
    const int64_t first_ms = (build.now_ms / width_ms - 59) * width_ms;
    const int64_t hold_ms = rules_of(inputs[market + 2])->price_rules.age_ms_max;
    int64_t covered_ms = 0;
    mpq_t ratio;
    mpq_init(ratio);
    mpq_set_ui(average, 0, 1);
    for (uint32_t i = 0; i < said_count; i++) {
        if (said[i].input != BASE && said[i].input != market + 2)
            continue;
        int64_t until_ms = build.now_ms;
        for (uint32_t k = said_count; k-- > i + 1;)
            if (said[k].input == BASE || said[k].input == market + 2)
                until_ms = said[k].at_ms;
        if (until_ms > said[i].at_ms + hold_ms)
            until_ms = said[i].at_ms + hold_ms;
        if (ratio_at(market + 2, i + 1, said[i].at_ms, ratio))
            count_span(said[i].at_ms, until_ms, first_ms, ratio, average, &covered_ms);
    }
    if (covered_ms > 0) {
        mpq_set_si(ratio, covered_ms, 1);
        mpq_div(average, average, ratio);
        round_to(average);
    }
    mpq_clear(ratio);
    return covered_ms > 0 && 2 * covered_ms >= window_ms;
}

static int by_size(const void *left, const void *right)
{
    return mpq_cmp(*(const mpq_t *)left, *(const mpq_t *)right);
}

/* Median of sorted[0..count). */
static void median_of(mpq_t *sorted, uint32_t count, mpq_t median)
{
    mpq_add(median, sorted[(count - 1) / 2], sorted[count / 2]);
    mpq_div_2exp(median, median, 1);
    round_to(median);
}

static void bound(const mpq_t redemption, mpq_t ratio)
{
    mpq_t line, part;
    mpq_inits(line, part, NULL);
    mpq_set_si(line, peg()->floor_ppm, PL_PPM);
    mpq_mul(line, line, redemption);
    round_to(line);
    if (mpq_cmp(ratio, line) < 0)
        mpq_set(ratio, line);
    int64_t since_ms = build.now_ms - peg()->cap_since_ms;
    mpq_set_si(part, since_ms > 0 ? since_ms : 0, 1);
    mpq_set_si(line, peg()->cap_growth_ppm, PL_PPM);
    mpq_mul(line, line, part);
    mpq_set_si(part, (int64_t)365 * 24 * 3600 * 1000, 1);
    mpq_div(line, line, part);
    mpq_set_si(part, peg()->cap_ratio_e12, 1);
    mpq_mul(line, line, part);
    mpq_add(line, line, part);
    round_to(line);
    if (peg()->cap_ratio_e12 > 0 && mpq_cmp(ratio, line) > 0)
        mpq_set(ratio, line);
    mpq_clears(line, part, NULL);
}

/* The price in ticks; 0: there is none. */
static int64_t naive_price(void)
{
    mpq_t sorted[MARKETS + 1], ratio, redemption;
    uint32_t count = 0;
    int64_t price = 0;
    mpq_inits(ratio, redemption, NULL);
    for (int i = 0; i <= MARKETS; i++)
        mpq_init(sorted[i]);
    if (!peg()->has_issuer_failed && is_good(RATE, said_count, build.now_ms)) {
        mpq_set_si(redemption, last_of(RATE, said_count)->mantissa, 1);
        shift(redemption, 12 + last_of(RATE, said_count)->exponent);
        mpq_set(sorted[count++], redemption);
    }
    for (uint32_t i = 0; i < peg()->market_count; i++)
        count += average_of(i, sorted[count]);
    if (is_good(BASE, said_count, build.now_ms) && count >= (peg()->market_count ? 3 : 1)) {
        qsort(sorted, count, sizeof sorted[0], by_size);
        median_of(sorted, count, ratio);
        bound(redemption, ratio);
        mpq_set_si(redemption, last_of(BASE, said_count)->mantissa, 1);
        mpq_mul(ratio, ratio, redemption);
        shift(ratio, -12 + last_of(BASE, said_count)->exponent +
                         (int)rules_of(pegged)->tick_decimals);
        round_to(ratio);
        price = mpz_get_si(mpq_numref(ratio));
    }
    for (int i = 0; i <= MARKETS; i++)
        mpq_clear(sorted[i]);
    mpq_clears(ratio, redemption, NULL);
    return price;
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static void begin(uint64_t seed)
{
    static const char *const ids[] = {"BASE", "RATE", "M0", "M1", "M2", "M3"};
    seed_now = seed;
    source.state = seed * 0xd1342543de82ef95u + 1;
    build_init(&build);
    build.now_ms = 1700000000000 + between(0, 100000);
    memset(&pegs, 0, sizeof pegs);
    memset(&aggregate, 0, sizeof aggregate);
    said_count = 0;
    for (uint32_t i = 0; i < INPUTS; i++) {
        inputs[i] = build_instrument(&build, ids[i], PL_INSTRUMENT_SPOT, 2,
                                     (uint32_t)between(2, 8));
        struct pl_price_rules *rules = &build.parameters.instruments[inputs[i]].price_rules;
        rules->sources[0] = build.names.ids[inputs[i]];
        rules->age_ms_max = between(1, 4000);
    }
    pegged = build_instrument(&build, "PEGGED", PL_INSTRUMENT_SPOT, 2, (uint32_t)between(2, 8));
    *peg() = (struct pl_peg){
        .is_present = true, .base = inputs[BASE], .redemption = inputs[RATE],
        .rounds_up = between(0, 1), .has_issuer_failed = between(0, 7) == 0,
        .market_count = (uint32_t)between(1, MARKETS)};
    peg()->market_count -= peg()->market_count == 1; /* none, or two and more */
    for (uint32_t i = 0; i < peg()->market_count; i++) {
        peg()->markets[i].instrument = inputs[i + 2];
        peg()->markets[i].window_ms = between(1, between(0, 1) ? 200 : 20000);
    }
    if (between(0, 1)) {
        peg()->cap_ratio_e12 = between(1, 2 * PL_RATIO_ONE_E12);
        peg()->cap_growth_ppm = (int32_t)between(0, 10 * PL_PPM);
        peg()->cap_since_ms = build.now_ms - between(-1000000, 1000000000000);
    }
    peg()->floor_ppm = between(0, 1) ? (int32_t)between(0, PL_PPM) : 0;
    build_finish(&build);
    pl_pegs_follow(&pegs, &build.parameters);
}

static void say_something(void)
{
    uint32_t moved[PL_PEGS_MAX];
    const uint32_t input = (uint32_t)between(0, (int64_t)peg()->market_count + 1);
    const uint32_t decimals = rules_of(inputs[input])->tick_decimals;
    int64_t price = between(50, 150); /* ratios around 1 */
    for (uint32_t i = 2; i < decimals; i++)
        price = price * 10 + between(0, 9);
    const struct pl_mark mark = {
        .status = between(0, 9) ? PL_MARK_LIVE : PL_MARK_HALTED, .tick = said_count + 1,
        .mantissa = price, .low_mantissa = price, .high_mantissa = price,
        .exponent = -(int32_t)decimals, .event_time_ms = build.now_ms - between(0, 500)};
    said[said_count].input = input;
    said[said_count].mark = mark;
    said[said_count++].at_ms = build.now_ms;
    (void)pl_pegs_see(&pegs, &build.parameters, inputs[input], &mark, build.now_ms, moved);
}

/* Whether there is a price now. */
static bool check(void)
{
    const int64_t expected = naive_price();
    (void)pl_peg_mark(&pegs, &build.parameters, pegged, &aggregate, build.now_ms, true);
    const bool is_live = aggregate.mark.status == PL_MARK_LIVE;
    if (is_live != (expected > 0) || (is_live && aggregate.mark.mantissa != expected))
        fail_msg("seed=%" PRIu64 " event %u: status %d at %" PRId64 ", not %" PRId64, seed_now,
                 said_count, (int)aggregate.mark.status, aggregate.mark.mantissa, expected);
    return is_live;
}

static void marks_are_those_of_a_naive_walk(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20251010).state, worlds = world_runs(10000);
    uint64_t live_count = 0, none_count = 0;
    for (uint64_t w = 0; w < worlds; w++) {
        begin(seed + w);
        const int64_t pause_ms = between(0, 1) ? 20 : 1500;
        const uint32_t events = (uint32_t)between(1, between(0, 9) ? 60 : EVENTS_MAX);
        while (said_count < events) {
            say_something();
            build.now_ms += between(0, pause_ms);
            if (between(0, 3) == 0)
                check() ? live_count++ : none_count++;
        }
    }
    printf("live=%" PRIu64 " none=%" PRIu64 "\n", live_count, none_count);
    assert_true(live_count > worlds && none_count > worlds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(marks_are_those_of_a_naive_walk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
