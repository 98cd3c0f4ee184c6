/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of pegged instruments: the median and its bounds, averages over time, rounding, what is too few
 * inputs, and the day on which one venue's book was no price (RISK 1.5, 5.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/price/peg.h"
#include "tests/support/build.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, WINDOW = 30 * MINUTE };
static const int64_t YEAR = (int64_t)365 * 24 * 60 * MINUTE;

static struct build build;
static struct pl_pegs pegs;
static struct pl_aggregate aggregate;
static uint32_t eth, rate, venues[3], wbeth;
static uint64_t tick;

static struct pl_peg *peg(void)
{
    return &build.parameters.instruments[wbeth].peg;
}

static uint32_t instrument(const char *id, uint32_t tick_decimals)
{
    uint32_t index = build_instrument(&build, id, PL_INSTRUMENT_SPOT, 4, tick_decimals);
    struct pl_price_rules *rules = &build.parameters.instruments[index].price_rules;
    rules->age_ms_max = 5 * SECOND;
    rules->sources[0] = build.names.ids[index];
    return index;
}

/* wBETH follows ETH by the contract's rate and three venues; prices in cents, the rate in 10^-8. */
static void set_up(void)
{
    build_init(&build);
    memset(&pegs, 0, sizeof pegs);
    memset(&aggregate, 0, sizeof aggregate);
    tick = 0;
    eth = instrument("ETH", 2);
    rate = instrument("WBETH-RATE", 8);
    build.parameters.instruments[rate].price_rules.age_ms_max = 2 * 24 * 60 * MINUTE;
    venues[0] = instrument("WBETH@A", 2);
    venues[1] = instrument("WBETH@B", 3);
    venues[2] = instrument("WBETH@C", 2);
    wbeth = instrument("WBETH", 2);
    *peg() = (struct pl_peg){.is_present = true, .base = eth, .redemption = rate,
                             .market_count = 2, .markets = {{venues[0], WINDOW}, {venues[1], WINDOW}}};
}

static void begin(void)
{
    build_finish(&build);
    pl_pegs_follow(&pegs, &build.parameters);
}

static void say(uint32_t index, enum pl_mark_status status, int64_t ticks)
{
    uint32_t moved[PL_PEGS_MAX];
    const struct pl_mark mark = {
        .status = status, .source_offset = 7, .tick = ++tick, .mantissa = ticks,
        .low_mantissa = ticks, .high_mantissa = ticks, .event_time_ms = build.now_ms,
        .exponent = -(int32_t)build.parameters.instruments[index].tick_decimals};
    (void)pl_pegs_see(&pegs, &build.parameters, index, &mark, build.now_ms, moved);
}

static const struct pl_mark *derived(void)
{
    (void)pl_peg_mark(&pegs, &build.parameters, wbeth, &aggregate, build.now_ms, true);
    return &aggregate.mark;
}

static void assert_mark(enum pl_mark_status status, int64_t ticks)
{
    const struct pl_mark *mark = derived();
    if (mark->status != status || mark->mantissa != ticks)
        fail_msg("status %d at %lld, not %d at %lld", (int)mark->status,
                 (long long)mark->mantissa, (int)status, (long long)ticks);
}

/* Marks are restated every second; a venue at 0 says nothing. */
static void pass(int64_t span_ms, int64_t eth_ticks, int64_t a_ticks, int64_t b_ticks)
{
    for (int64_t end_ms = build.now_ms + span_ms; build.now_ms < end_ms;) {
        build.now_ms += SECOND;
        say(eth, PL_MARK_LIVE, eth_ticks);
        if (a_ticks > 0)
            say(venues[0], PL_MARK_LIVE, a_ticks);
        if (b_ticks > 0)
            say(venues[1], PL_MARK_LIVE, b_ticks);
    }
}

/* ---- one venue's book ------------------------------------------------------------------------ */

/* 2025-10-10, 21:36 to 22:16: wBETH at $430, 88 % below, on one venue; elsewhere it was worth what it is
 * redeemed for. The mark of the venue's own book would have sold every loan against it. */
static void one_venue_moves_nothing(void **state)
{
    (void)state;
    set_up();
    begin();
    say(rate, PL_MARK_LIVE, 108000000);
    pass(40 * MINUTE, 358333, 386900, 3869000);
    assert_mark(PL_MARK_LIVE, 386899); /* 3869.00 / 3583.33 of 3583.33, down twice */
    pass(40 * MINUTE, 358333, 43000, 3869000);
    assert_mark(PL_MARK_LIVE, 386899); /* the median of 0.12, 1.0797 and 1.08 */
    assert_int_equal(aggregate.mark.source_count, 3);
    /* Both venues: then it is the market, as fast as the averages say. */
    pass(15 * MINUTE, 358333, 43000, 430000);
    assert_true(derived()->mantissa < 220000 && derived()->mantissa > 210000);
    pass(20 * MINUTE, 358333, 43000, 430000);
    assert_mark(PL_MARK_LIVE, 42999);
}

/* The same evening, USDe at 0.65 on one venue, 0.97 and 1.00 on others. */
static void four_inputs_have_a_mean_in_the_middle(void **state)
{
    (void)state;
    set_up();
    peg()->market_count = 3;
    peg()->markets[2].instrument = venues[2];
    peg()->markets[2].window_ms = WINDOW;
    begin();
    say(rate, PL_MARK_LIVE, 100000000);
    for (int i = 0; i < 2400; i++) {
        pass(SECOND, 100000, 65000, 970000);
        say(venues[2], PL_MARK_LIVE, 100000);
    }
    assert_mark(PL_MARK_LIVE, 98500); /* of 0.65, 0.97, 1, 1 */
    peg()->market_count = 2; /* one market less: the median is of 0.65, 0.97 and 1 */
    begin();
    assert_mark(PL_MARK_LIVE, 97000);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void growth_has_a_cap(void **state)
{
    (void)state;
    set_up();
    peg()->market_count = 0;
    peg()->cap_ratio_e12 = PL_RATIO_ONE_E12;
    peg()->cap_growth_ppm = 50000;
    peg()->cap_since_ms = build.now_ms + YEAR / 2;
    begin();
    for (int half = 0; half < 4; half++) {
        static const int64_t expected[] = {100000, 100000, 102500, 105000};
        say(eth, PL_MARK_LIVE, 100000);
        say(rate, PL_MARK_LIVE, 900000000);
        assert_mark(PL_MARK_LIVE, expected[half]);
        build.now_ms += YEAR / 2;
    }
    /* A ratio under the cap is what it is. */
    say(eth, PL_MARK_LIVE, 100000);
    say(rate, PL_MARK_LIVE, 106000000);
    assert_mark(PL_MARK_LIVE, 106000);
    /* After a hundred years it has grown enough, and nothing overflows. */
    build.now_ms += 300 * YEAR;
    say(eth, PL_MARK_LIVE, 100000);
    say(rate, PL_MARK_LIVE, 900000000);
    assert_mark(PL_MARK_LIVE, 600000);
}

static void redemption_is_a_floor_until_the_issuer_fails(void **state)
{
    (void)state;
    set_up();
    peg()->market_count = 3;
    peg()->markets[2].instrument = venues[2];
    peg()->markets[2].window_ms = WINDOW;
    peg()->floor_ppm = 900000;
    begin();
    say(rate, PL_MARK_LIVE, 100000000);
    for (int i = 0; i < 2400; i++) {
        pass(SECOND, 100000, 50000, 400000);
        say(venues[2], PL_MARK_LIVE, 30000);
    }
    assert_mark(PL_MARK_LIVE, 90000);
    peg()->cap_ratio_e12 = 800000000000; /* the cap is the last word */
    begin();
    assert_mark(PL_MARK_LIVE, 80000);
    peg()->cap_ratio_e12 = 0;
    peg()->has_issuer_failed = true; /* what the markets say, and nothing else */
    begin();
    assert_mark(PL_MARK_LIVE, 40000);
    pass(31 * MINUTE, 100000, 50000, 400000); /* one of three has nothing to say any more */
    assert_mark(PL_MARK_HALTED, 40000);
}

/* ---- whether there is a mark ----------------------------------------------------------------- */

static void too_few_inputs_are_no_price(void **state)
{
    (void)state;
    set_up();
    begin();
    assert_int_equal(derived()->status, PL_MARK_NONE);
    say(rate, PL_MARK_LIVE, 100000000);
    pass(14 * MINUTE, 100000, 100000, 1000000);
    assert_int_equal(derived()->status, PL_MARK_NONE); /* less than half a window */
    pass(2 * MINUTE, 100000, 100000, 1000000);
    assert_mark(PL_MARK_LIVE, 100000);
    pass(16 * MINUTE, 110000, 110000, 0); /* one venue falls silent: its average lapses */
    assert_mark(PL_MARK_STALE, 100000);
    pass(16 * MINUTE, 120000, 120000, 1200000);
    assert_mark(PL_MARK_LIVE, 120000);
    build.now_ms += 5 * SECOND; /* as long as the underlying is young enough */
    assert_mark(PL_MARK_LIVE, 120000);
    build.now_ms += 1;
    assert_mark(PL_MARK_STALE, 120000);
    say(eth, PL_MARK_HALTED, 120000);
    assert_mark(PL_MARK_HALTED, 120000);
    say(eth, PL_MARK_LIVE, 125000);
    assert_mark(PL_MARK_LIVE, 125000);
    say(rate, PL_MARK_STALE, 100000000);
    assert_mark(PL_MARK_STALE, 125000);
}

/* A halted venue's last print is not averaged on. */
static void bad_marks_are_not_averaged(void **state)
{
    (void)state;
    set_up();
    begin();
    say(rate, PL_MARK_LIVE, 100000000);
    pass(20 * MINUTE, 100000, 90000, 950000);
    assert_mark(PL_MARK_LIVE, 95000);
    for (int i = 0; i < 20 * 60; i++) {
        build.now_ms += SECOND;
        say(eth, PL_MARK_LIVE, 100000);
        say(venues[0], PL_MARK_HALTED, 90000);
        say(venues[1], PL_MARK_LIVE, 950000);
    }
    assert_mark(PL_MARK_STALE, 95000);
}

static void rounding_is_against_the_holder(void **state)
{
    static const struct { int64_t base, rate, down, up; } rows[] = {
        {100001, 100000001, 100001, 100002}, {3, 50000000, 1, 2}, {1000000, 100000000, 1000000, 1000000},
        {199, 99999999, 198, 199},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int up = 0; up < 2; up++) {
            set_up();
            peg()->market_count = 0;
            peg()->rounds_up = up;
            begin();
            say(eth, PL_MARK_LIVE, rows[i].base);
            say(rate, PL_MARK_LIVE, rows[i].rate);
            assert_mark(PL_MARK_LIVE, up ? rows[i].up : rows[i].down);
            /* The interval is the underlying's, outward. */
            assert_int_equal(aggregate.mark.low_mantissa, rows[i].down);
            assert_int_equal(aggregate.mark.high_mantissa, rows[i].up);
            assert_int_equal(aggregate.mark.exponent, -2);
        }
    /* What leaves the range of prices is none. */
    set_up();
    peg()->market_count = 0;
    begin();
    say(eth, PL_MARK_LIVE, 1);
    say(rate, PL_MARK_LIVE, 100000000);
    assert_mark(PL_MARK_LIVE, 1);
    say(rate, PL_MARK_LIVE, 99999999);
    assert_mark(PL_MARK_HALTED, 1);
    say(eth, PL_MARK_LIVE, PL_PRICE_TICKS_MAX);
    say(rate, PL_MARK_LIVE, 100000001);
    assert_mark(PL_MARK_HALTED, 1);
}

/* A mean of two, an average and a cap that do not come out even: each is rounded on its own. */
static void each_step_rounds(void **state)
{
    struct pl_twap twap = {0};
    int64_t ratio = 0;
    (void)state;
    pl_twap_see(&twap, 60, 60, 100, 1000);
    pl_twap_see(&twap, 60, 60, 101, 1020);
    pl_twap_see(&twap, 60, 60, 0, 1060);
    assert_true(pl_twap_value(&twap, 60, 1059, PL_ROUND_FLOOR, &ratio));
    assert_int_equal(ratio, 100); /* 100.67 */
    assert_true(pl_twap_value(&twap, 60, 1059, PL_ROUND_CEIL, &ratio));
    assert_int_equal(ratio, 101);
    assert_true(pl_twap_value(&twap, 60, 1089, PL_ROUND_CEIL, &ratio)); /* 30 of 60 are left */
    assert_int_equal(ratio, 101);
    assert_false(pl_twap_value(&twap, 60, 1090, PL_ROUND_CEIL, &ratio));
    /* Silence counts as long as a mark holds: 29 of 60, then 30. */
    for (int64_t hold_ms = 29; hold_ms < 31; hold_ms++) {
        memset(&twap, 0, sizeof twap);
        pl_twap_see(&twap, 60, hold_ms, 100, 1000);
        pl_twap_see(&twap, 60, hold_ms, 0, 1050);
        assert_true(pl_twap_value(&twap, 60, 1050, PL_ROUND_CEIL, &ratio) == (hold_ms == 30));
    }
    for (int up = 0; up < 2; up++) {
        set_up();
        peg()->market_count = 0;
        peg()->rounds_up = up;
        peg()->cap_ratio_e12 = 1;
        peg()->cap_growth_ppm = 500000;
        peg()->cap_since_ms = build.now_ms - YEAR;
        begin();
        say(eth, PL_MARK_LIVE, 1000000000000000);
        say(rate, PL_MARK_LIVE, 100000000);
        assert_mark(PL_MARK_LIVE, up ? 2000 : 1000); /* a cap of 1.5 * 10^-12 */
        peg()->cap_ratio_e12 = peg()->cap_growth_ppm = 0;
        peg()->market_count = 3;
        peg()->markets[2].instrument = venues[2];
        peg()->markets[2].window_ms = WINDOW;
        begin();
        for (int i = 0; i < 1200; i++) { /* 0.5 and 1 around 0.9 and 0.9 + 10^-12 */
            build.now_ms += SECOND;
            say(eth, PL_MARK_LIVE, 1000000000000000);
            say(venues[0], PL_MARK_LIVE, 500000000000000);
            say(venues[1], PL_MARK_LIVE, 9000000000000000);
            say(venues[2], PL_MARK_LIVE, 900000000001000);
        }
        assert_mark(PL_MARK_LIVE, up ? 900000000001000 : 900000000000000);
        peg()->floor_ppm = 999999;
        begin();
        say(rate, PL_MARK_LIVE, 100000001); /* 0.99999900999999 of it is not even either */
        assert_mark(PL_MARK_LIVE, up ? 999999010000000 : 999999009999000);
    }
}

/* A market's ratio moves with the underlying, too: 1 for a second, 1/2 for four; and 1/3, rounded. */
static void an_average_follows_the_underlying(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        int64_t ratio = 0;
        set_up();
        peg()->markets[0].window_ms = 5 * SECOND;
        peg()->rounds_up = up;
        begin();
        say(eth, PL_MARK_LIVE, 100000);
        say(venues[0], PL_MARK_LIVE, 100000);
        build.now_ms += SECOND;
        say(eth, PL_MARK_LIVE, 200000);
        build.now_ms += 4 * SECOND;
        say(venues[0], PL_MARK_LIVE, 100000);
        assert_true(pl_twap_value(&pegs.states[0].twaps[0], 5 * SECOND, build.now_ms - 1,
                                  PL_ROUND_FLOOR, &ratio));
        assert_int_equal(ratio, 600000000000);
        say(eth, PL_MARK_LIVE, 300000);
        assert_int_equal(pegs.states[0].twaps[0].ratio_e12, up ? 333333333334 : 333333333333);
    }
}

/* ---- taking over, new sets ------------------------------------------------------------------- */

static void averages_are_a_function_of_the_topic(void **state)
{
    static struct pl_pegs first;
    (void)state;
    set_up();
    begin();
    for (int times = 0; times < 2; times++) {
        build.now_ms = 1700000000000;
        tick = 0;
        say(rate, PL_MARK_LIVE, 100000000);
        pass(17 * MINUTE, 100000, 99000, 970000);
        build.now_ms += 40 * SECOND; /* nobody wrote: counted for 5 s */
        pass(4 * MINUTE, 101000, 98000, 960000);
        if (times == 0)
            first = pegs;
        else
            assert_memory_equal(&first, &pegs, sizeof pegs);
        memset(&pegs, 0, sizeof pegs);
        begin();
    }
    /* Another set: the same market goes on at another place, another window begins anew. */
    pegs = first;
    peg()->markets[0] = peg()->markets[1];
    peg()->markets[1].instrument = venues[0];
    peg()->markets[1].window_ms = WINDOW + 1;
    begin();
    assert_memory_equal(&pegs.states[0].twaps[0], &first.states[0].twaps[1],
                        sizeof first.states[0].twaps[1]);
    assert_int_equal(pegs.states[0].twaps[1].at_ms, 0);
    peg()->is_present = false;
    begin();
    assert_int_equal(pegs.count, 0);
    assert_false(pl_peg_mark(&pegs, &build.parameters, wbeth, &aggregate, build.now_ms, true));
}

/* ---- sets that are refused ------------------------------------------------------------------- */

static struct pl_price_rules *rules(uint32_t index)
{
    return &build.parameters.instruments[index].price_rules;
}

static void lone(void) { peg()->market_count = 1; }
static void five(void) { peg()->market_count = 5; }
static void window(void) { peg()->markets[1].window_ms = 0; }
static void day(void) { peg()->markets[0].window_ms = 86400001; }
static void cap(void) { peg()->cap_ratio_e12 = PL_PEG_RATIO_E12_MAX + 1; }
static void since(void) { peg()->cap_since_ms = -1; }
static void growth(void) { peg()->cap_growth_ppm = 1; }
static void shrinking(void) { peg()->cap_ratio_e12 = 1; peg()->cap_growth_ppm = -1; }
static void high_floor(void) { peg()->floor_ppm = 1000001; }
static void no_base(void) { peg()->base = 4095; }
static void itself(void) { peg()->base = wbeth; }
static void base_again(void) { peg()->markets[0].instrument = eth; }
static void rate_again(void) { peg()->markets[0].instrument = rate; }
static void same_rate(void) { peg()->redemption = eth; }
static void twice(void) { peg()->markets[1].instrument = venues[0]; }
static void one_voice(void) { rules(venues[1])->sources[0] = rules(venues[0])->sources[0]; }
static void voice_of_rate(void) { rules(rate)->sources[0] = rules(venues[1])->sources[0]; }

static void bad_pegs_are_refused(void **state)
{
    static const struct { void (*apply)(void); const char *text; } rows[] = {
        {lone, "instrument WBETH peg.markets: 1 is outside 2..4"},
        {five, "instrument WBETH peg.markets: 5 is outside 2..4"},
        {window, "instrument WBETH peg.markets.window_ms: 0 is outside 1..86400000"},
        {day, "instrument WBETH peg.markets.window_ms: 86400001 is outside 1..86400000"},
        {cap, "instrument WBETH peg.cap_ratio: 1000000000000001 is outside 0..1000000000000000"},
        {since, "instrument WBETH peg.cap_since_ms: -1 is below 0"},
        {growth, "instrument WBETH peg.cap_ratio: 0 is outside 1..1000000000000000"},
        {shrinking, "instrument WBETH peg.cap_growth_ppm_per_year: -1 is outside 0..10000000"},
        {high_floor, "instrument WBETH peg.floor_ppm: 1000001 is outside 0..1000000"},
        {no_base, "instrument WBETH peg: instrument 4095 is not listed"},
        {itself, "instrument WBETH peg: an instrument it names is pegged itself"},
        {base_again, "instrument WBETH peg: the underlying is no input of the ratio"},
        {rate_again, "instrument WBETH peg: the redemption is a ratio and no market"},
        {same_rate, "instrument WBETH peg: the underlying is no input of the ratio"},
        {twice, "instrument WBETH peg: one price source alone speaks for two of the inputs"},
        {one_voice, "instrument WBETH peg: one price source alone speaks for two of the inputs"},
        {voice_of_rate, "instrument WBETH peg: one price source alone speaks for two of the inputs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        rows[i].apply();
        assert_int_equal(pl_parameters_finish(&build.parameters, &build.names),
                         PL_REJECT_PARAMETERS);
        if (strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
    /* Sources that must agree are more than one voice: two windows of one market then. */
    set_up();
    twice();
    rules(venues[0])->sources[1] = build.names.ids[eth];
    rules(venues[0])->source_count = rules(venues[0])->quorum = 2;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_venue_moves_nothing),
        cmocka_unit_test(four_inputs_have_a_mean_in_the_middle),
        cmocka_unit_test(growth_has_a_cap),
        cmocka_unit_test(redemption_is_a_floor_until_the_issuer_fails),
        cmocka_unit_test(too_few_inputs_are_no_price),
        cmocka_unit_test(bad_marks_are_not_averaged),
        cmocka_unit_test(rounding_is_against_the_holder),
        cmocka_unit_test(each_step_rounds),
        cmocka_unit_test(an_average_follows_the_underlying),
        cmocka_unit_test(averages_are_a_function_of_the_topic),
        cmocka_unit_test(bad_pegs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
