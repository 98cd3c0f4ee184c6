/* SPDX-License-Identifier: Apache-2.0 */
/* Marks to quotes: rounding, range, freshness, the bounds of bad marks, and what counts as
 * change. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t eth, btc;

static void set_up(void)
{
    build_init(&build);
    build_instrument(&build, "padding", PL_INSTRUMENT_SPOT, 8, 2);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 6, 2); /* multiplier 10^4 */
    btc = build_instrument(&build, "BTC", PL_INSTRUMENT_SPOT, 8, 2);
    build_finish(&build);
}

/* ETH's quote for one mark, made anew. */
static struct pl_quote quote_of(struct pl_mark mark)
{
    set_up();
    mark.event_time_ms = build.now_ms;
    build.marks[eth] = mark;
    build_update(&build);
    return build.market.quotes[eth];
}

static void prices_become_ticks_half_even(void **state)
{
    (void)state;
    static const struct {
        int64_t mantissa;
        int32_t exponent;
        int64_t ticks; /* 0: outside the exact range */
    } rows[] = {
        {250000, -2, 250000},
        {2500, 0, 250000},
        {25, 2, 250000},
        {123, -4, 1}, /* 1.23 ticks */
        {150, -4, 2}, /* a tie goes to the even tick: 1.5, */
        {250, -4, 2}, /* 2.5, */
        {350, -4, 4}, /* 3.5 */
        {251, -4, 3},
        {50, -4, 0}, /* 0.5 goes to 0, which is no price */
        {51, -4, 1},
        {461168601842738, -2, 461168601842738},
        {461168601842739, -2, 0}, /* the upper bound of a bad mark, twice this, leaves 63 bits */
        {9223372036854775807, 30, 0},
        {1, -38, 0},
        {1, -39, 0}, /* no exponent of ours */
        {-5, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_quote quote = quote_of((struct pl_mark){.status = PL_MARK_LIVE,
                                                          .mantissa = rows[i].mantissa,
                                                          .low_mantissa = rows[i].mantissa,
                                                          .high_mantissa = rows[i].mantissa,
                                                          .exponent = rows[i].exponent});
        if (quote.ticks != rows[i].ticks)
            fail_msg("row %zu: %" PRId64 " ticks", i, quote.ticks);
        assert_int_equal(quote.lot_vu, rows[i].ticks * 10000);
        assert_int_equal(quote.status, rows[i].ticks ? PL_MARK_LIVE : PL_MARK_HALTED);
    }
}

static void intervals_become_values_of_a_lot(void **state)
{
    (void)state;
    static const struct {
        int64_t low, mantissa, high;
        bool is_in_range;
    } rows[] = {
        {90, 100, 110, true},   {100, 100, 100, true}, {1, 100, 800, true},
        {1, 100, 801, false}, /* the interval reaches above 8 times the mark */
        {101, 100, 110, false}, {90, 100, 99, false},  {90, 100, INT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_quote quote = quote_of((struct pl_mark){.status = PL_MARK_LIVE,
                                                          .mantissa = rows[i].mantissa,
                                                          .low_mantissa = rows[i].low,
                                                          .high_mantissa = rows[i].high,
                                                          .exponent = -2});
        if ((quote.status == PL_MARK_LIVE) != rows[i].is_in_range)
            fail_msg("row %zu: status %d", i, quote.status);
        assert_int_equal(quote.lot_vu, rows[i].is_in_range ? rows[i].mantissa * 10000 : 0);
        assert_int_equal(quote.low_lot_vu, rows[i].is_in_range ? rows[i].low * 10000 : 0);
        assert_int_equal(quote.high_lot_vu, rows[i].is_in_range ? rows[i].high * 10000 : 0);
    }
}

static void bounds_of_a_bad_mark_round_outward(void **state)
{
    (void)state;
    set_up();
    struct pl_price_rules *rules = &build.parameters.instruments[eth].price_rules;
    rules->bad_mark_low_ppm = 333333;
    rules->bad_mark_high_ppm = 1000001;
    build_finish(&build);
    build_price(&build, eth, 1); /* 10^4 VU a lot */
    build_update(&build);
    assert_int_equal(build.market.quotes[eth].bad_low_lot_vu, 3333);
    assert_int_equal(build.market.quotes[eth].bad_high_lot_vu, 10001);
}

static void only_fresh_marks_are_live(void **state)
{
    (void)state;
    static const struct {
        enum pl_mark_status published;
        int64_t age_ms;
        enum pl_mark_status status;
    } rows[] = {
        {PL_MARK_LIVE, 0, PL_MARK_LIVE},
        {PL_MARK_LIVE, 60000, PL_MARK_LIVE},
        {PL_MARK_LIVE, 60001, PL_MARK_STALE},
        {PL_MARK_LIVE, -60000, PL_MARK_LIVE},
        {PL_MARK_LIVE, -60001, PL_MARK_STALE}, /* from the future */
        {PL_MARK_LIVE, INT64_MIN / 2, PL_MARK_STALE},
        {PL_MARK_STALE, 0, PL_MARK_STALE},
        {PL_MARK_HALTED, 0, PL_MARK_HALTED},
        {PL_MARK_HALTED, 60001, PL_MARK_HALTED},
        {PL_MARK_NONE, 0, PL_MARK_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        build_price(&build, eth, 250000);
        build.marks[eth].status = rows[i].published;
        build.marks[eth].event_time_ms = build.now_ms - rows[i].age_ms;
        build_update(&build);
        const struct pl_quote *quote = &build.market.quotes[eth];
        if (quote->status != rows[i].status)
            fail_msg("row %zu: status %d", i, quote->status);
        assert_int_equal(quote->ticks, rows[i].published == PL_MARK_NONE ? 0 : 250000);
    }
    set_up();
    build_price(&build, eth, 250000);
    build.marks[eth].event_time_ms = INT64_MIN; /* the difference of the times does not fit */
    build_update(&build);
    assert_int_equal(build.market.quotes[eth].status, PL_MARK_STALE);
}

static void a_mark_out_of_range_halts_and_has_no_price(void **state)
{
    (void)state;
    set_up();
    build_price(&build, eth, 250000);
    build_update(&build);
    build_price(&build, eth, INT64_MAX);
    build_update(&build);
    assert_int_equal(build.market.quotes[eth].status, PL_MARK_HALTED);
    /* A process that never read the mark before must see the same (G2). */
    assert_int_equal(build.market.quotes[eth].ticks, 0);
    assert_int_equal(build.market.quotes[eth].lot_vu, 0);
    assert_int_equal(build.market.quotes[eth].bad_high_lot_vu, 0);
}

static void every_difference_is_flagged(void **state)
{
    (void)state;
    set_up();
    uint64_t eth_bit = (uint64_t)1 << eth;
    build_price(&build, eth, 250000);
    build_update(&build);
    assert_true(build.market.parameters_changed);
    assert_true(build.market.changed_mask == UINT64_MAX);

    build_update(&build);
    assert_false(build.market.parameters_changed);
    assert_true(build.market.changed_mask == 0);
    build_price(&build, eth, 250000); /* the same again, under a new number */
    build_update(&build);
    assert_true(build.market.changed_mask == 0);

    build_price(&build, eth, 250001);
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    build_interval(&build, eth, 250000, 250001);
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    build_interval(&build, eth, 250000, 250002);
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    build_status(&build, eth, PL_MARK_HALTED);
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    build_status(&build, eth, PL_MARK_LIVE);
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    build.now_ms += 60001; /* it goes stale by time alone */
    build_update(&build);
    assert_true(build.market.changed_mask == eth_bit);
    assert_int_equal(build.market.now_ms, build.now_ms);

    build_price(&build, eth, 250001);
    build_price(&build, btc, 6000000);
    build_update(&build);
    assert_true(build.market.changed_mask == (eth_bit | (uint64_t)1 << btc));

    build_finish(&build);
    build_update(&build);
    assert_true(build.market.parameters_changed);
    assert_true(build.market.changed_mask == UINT64_MAX);
}

static void the_first_set_counts_whatever_its_epoch(void **state)
{
    (void)state;
    set_up();
    build.parameters.epoch = 0;
    build_price(&build, eth, 250000);
    build_update(&build);
    assert_true(build.market.parameters_changed);
    assert_int_equal(build.market.quotes[eth].ticks, 250000);
}

static void what_is_not_listed_has_no_quote(void **state)
{
    (void)state;
    set_up();
    build_price(&build, eth, 250000);
    build_update(&build);
    build.parameters.instruments[eth].is_listed = false;
    build.parameters.instrument_count--;
    build_finish(&build);
    build_update(&build);
    assert_int_equal(build.market.quotes[eth].status, PL_MARK_NONE);
    assert_int_equal(build.market.quotes[eth].ticks, 0);
}

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

/* ETH came to chain "far" by bridge "span"; BTC is native there. */
static void set_up_far(int64_t ramp_ms)
{
    set_up();
    struct pl_instrument *bridged = &build.parameters.instruments[eth];
    uint32_t factor = build_factor(&build, "market"), issuer = build_dependency(&build, "issuer");
    bridged->chain = build.parameters.instruments[btc].chain = id_of("far");
    bridged->bridge = id_of("span");
    bridged->confidence_ppm = 1000;
    build_haircuts(&build, eth, build_tiers(100000, 90000, 80001, 50003), build_flat(0));
    build_load(&build, eth, factor, build_tiers(-40000, -20000, -20000, -10000));
    build_bracket(&build, eth, 5, build_tiers(9000, 8000, 7000, 7000));
    build_loss(&build, eth, issuer, build_tiers(60000, 60000, 60000, 50000));
    build.parameters.policy.halt_ramp_ms = ramp_ms;
    build_finish(&build);
}

/* 10^6 - 1000 - 40000 - 9000 - 60000 is what its haircut may be at most. */
enum { WHOLE = 890000 };

static void what_is_stuck_lends_nothing(void **state)
{
    const struct pl_chain_halt bridge = { id_of("far"), id_of("span"), 1000 };
    (void)state;
    static const struct { int64_t ramp_ms, passed_ms, thousandths; } rows[] = {
        { 0, 100000, 0 },    { 5000, 0, 0 },       { 5000, -7, 0 },        { 5000, 1, 1 },
        { 5000, 5, 1 },      { 5000, 6, 2 },       { 5000, 2500, 500 },    { 5000, 4995, 999 },
        { 5000, 4996, 1000 }, { 5000, 5000, 1000 }, { 5000, 1000000, 1000 }, { INT64_MAX, 9, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up_far(rows[i].ramp_ms);
        build.market.halts = &bridge;
        build.market.halt_count = 1;
        build.now_ms = 1000 + rows[i].passed_ms;
        build_price(&build, eth, 100);
        build_update(&build);
        const int32_t *halt = build.market.halt_haircuts[eth].at;
        assert_true(build.market.quotes[eth].is_stuck);
        assert_false(build.market.quotes[btc].is_stuck);
        assert_int_equal(halt[PL_TIER_ALERT], WHOLE - 100000);
        assert_int_equal(halt[PL_TIER_INITIAL], WHOLE - 90000);
        assert_int_equal(halt[PL_TIER_END], (((WHOLE - 80001) * rows[i].thousandths) + 999) / 1000);
        assert_int_equal(halt[PL_TIER_MAINTENANCE],
                         (((WHOLE - 50003) * rows[i].thousandths) + 999) / 1000);
        assert_int_equal(build.market.weights[PL_TIER_INITIAL][eth].own_long, PL_PPM - WHOLE - 1000);
    }
}

static void a_halt_is_of_its_chain_and_bridge_and_ends(void **state)
{
    (void)state;
    const struct { struct pl_chain_halt halt; bool eth, btc; } rows[] = {
        { { id_of("far"), { 0 }, 5 }, true, true },
        { { id_of("far"), id_of("span"), 5 }, true, false },
        { { id_of("far"), id_of("other"), 5 }, false, false },
        { { id_of("near"), { 0 }, 5 }, false, false },
        { { id_of("near"), id_of("span"), 5 }, false, false } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up_far(0);
        build_update(&build);
        int32_t before = build.market.weights[PL_TIER_ALERT][eth].own_long;
        build.market.halts = &rows[i].halt;
        build.market.halt_count = 1;
        build_update(&build);
        assert_int_equal(build.market.quotes[eth].is_stuck, rows[i].eth);
        assert_int_equal(build.market.quotes[btc].is_stuck, rows[i].btc);
        bool is_flagged = build.market.changed_mask >> (eth % 64) & 1;
        assert_int_equal(is_flagged, rows[i].eth); /* holders are looked at: G3 */
        build.market.halt_count = 0;
        build_update(&build);
        assert_false(build.market.quotes[eth].is_stuck);
        assert_int_equal(build.market.weights[PL_TIER_ALERT][eth].own_long, before);
        is_flagged = build.market.changed_mask >> (eth % 64) & 1;
        assert_int_equal(is_flagged, rows[i].eth);
    }
}

static void newer_marks_are_above_in_offset_then_tick(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, tick, last_offset, last_tick;
        bool is_newer;
    } rows[] = {
        {5, 0, 4, 9, true},  {4, 9, 5, 0, false}, {5, 2, 5, 1, true},
        {5, 1, 5, 1, false}, {5, 1, 5, 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_mark mark = {.source_offset = rows[i].offset, .tick = rows[i].tick};
        struct pl_mark last = {.source_offset = rows[i].last_offset, .tick = rows[i].last_tick};
        if (pl_mark_is_newer(&mark, &last) != rows[i].is_newer)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_become_ticks_half_even),
        cmocka_unit_test(intervals_become_values_of_a_lot),
        cmocka_unit_test(bounds_of_a_bad_mark_round_outward),
        cmocka_unit_test(only_fresh_marks_are_live),
        cmocka_unit_test(a_mark_out_of_range_halts_and_has_no_price),
        cmocka_unit_test(every_difference_is_flagged),
        cmocka_unit_test(the_first_set_counts_whatever_its_epoch),
        cmocka_unit_test(what_is_not_listed_has_no_quote),
        cmocka_unit_test(what_is_stuck_lends_nothing),
        cmocka_unit_test(a_halt_is_of_its_chain_and_bridge_and_ends),
        cmocka_unit_test(newer_marks_are_above_in_offset_then_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
