/* SPDX-License-Identifier: Apache-2.0 */
/* Look-through of dependencies: chains, several paths, rounding, coverage, the path that is named, and
 * graphs that are refused. Random graphs are in prop_lookthrough.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static uint32_t eth, lido, beacon, issuer;

static void set_up(void)
{
    build_init(&build);
    eth = build_instrument(&build, "wstETH", PL_INSTRUMENT_SPOT, 8, 4);
    lido = build_dependency(&build, "lido");
    beacon = build_dependency(&build, "beacon");
    issuer = build_dependency(&build, "issuer");
}

static struct pl_edge *last(void)
{
    return &build.parameters.edges[build.parameters.edge_count - 1];
}

static void expose(uint32_t instrument, uint32_t to, int32_t loss)
{
    build.parameters.edges[build.parameters.edge_count++] =
        (struct pl_edge){.instrument = instrument, .to = to, .loss = build_flat(loss)};
}

static void join(uint32_t from, uint32_t to, int32_t loss)
{
    expose(UINT32_MAX, to, loss);
    last()->from = from;
}

static int32_t loss_of(uint32_t instrument, uint32_t dependency, enum pl_tier tier)
{
    const struct pl_instrument *row = &build.parameters.instruments[instrument];
    for (uint32_t k = 0; k < row->loss_count; k++)
        if (row->losses[k].dependency == dependency)
            return row->losses[k].loss.at[tier];
    return -1;
}

/* "lido beacon" */
static void assert_path(uint32_t dependency, enum pl_tier tier, const char *expected)
{
    uint32_t path[PL_LOSSES_MAX];
    char text[256] = "";
    uint32_t count = pl_dependency_path(&build.parameters.instruments[eth], dependency, tier, path);
    for (uint32_t i = 0; i < count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, build.parameters.dependencies[path[i]].text);
    }
    assert_string_equal(text, expected);
}

static void losses_multiply_and_round_up(void **state)
{
    (void)state;
    set_up();
    join(lido, beacon, 500000);
    expose(eth, lido, 600001);
    build_finish(&build);
    assert_int_equal(build.parameters.instruments[eth].loss_count, 2);
    assert_int_equal(loss_of(eth, lido, PL_TIER_ALERT), 600001);
    assert_int_equal(loss_of(eth, beacon, PL_TIER_MAINTENANCE), 300001); /* 300000.5 */
    assert_int_equal(loss_of(eth, issuer, PL_TIER_ALERT), -1);
    /* A millionth of a millionth is still something that may fail. */
    set_up();
    expose(eth, lido, 1);
    join(lido, beacon, 1);
    build_finish(&build);
    assert_int_equal(loss_of(eth, beacon, PL_TIER_END), 1);
}

static void coverage_is_taken_off(void **state)
{
    static const struct { int32_t loss, coverage, expected; } rows[] = {
        {333333, 500000, 166667}, {1000000, 1, 999999}, {1, 999999, 1}, {1000000, 1000000, -1},
        {250000, 0, 250000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        expose(eth, lido, rows[i].loss);
        last()->coverage_ppm = rows[i].coverage;
        build_finish(&build);
        assert_int_equal(loss_of(eth, lido, PL_TIER_INITIAL), rows[i].expected);
    }
}

/* Tier by tier: the direct way costs more at the strict ones, the way over lido at the others. */
static void worst_path_counts(void **state)
{
    (void)state;
    set_up();
    build_loss(&build, eth, beacon, build_tiers(900000, 500000, 100, 0));
    build_loss(&build, eth, lido, build_flat(800000));
    join(lido, beacon, 500000);
    join(lido, issuer, 100000);
    join(issuer, beacon, 1000000);
    for (int times = 0; times < 2; times++) { /* finishing again is the same */
        build_finish(&build);
        assert_int_equal(loss_of(eth, beacon, PL_TIER_ALERT), 900000);
        assert_int_equal(loss_of(eth, beacon, PL_TIER_INITIAL), 500000);
        assert_int_equal(loss_of(eth, beacon, PL_TIER_END), 400000);
        assert_int_equal(loss_of(eth, beacon, PL_TIER_MAINTENANCE), 400000);
        assert_path(beacon, PL_TIER_INITIAL, "beacon");
        assert_path(beacon, PL_TIER_END, "lido beacon");
        assert_path(issuer, PL_TIER_END, "lido issuer");
        assert_path(lido, PL_TIER_END, "lido");
    }
    build.parameters.edges[0].loss = build_flat(90000); /* now the longest way is the worst */
    build.parameters.instruments[eth].loss_count = 0;
    build_loss(&build, eth, lido, build_flat(800000));
    build_finish(&build);
    assert_path(beacon, PL_TIER_ALERT, "lido issuer beacon");
    assert_path(3, PL_TIER_ALERT, "");
}

/* RISK 1.5: $4 M weETH on another chain and $6 M wstETH, in thousands of dollars per dependency; then
 * both staking protocols at once as a joint failure. */
static void two_staked_assets(void **state)
{
    enum { BRIDGE, CHAIN, LIDO, ETHER_FI, BEACON, EIGENLAYER, STAKING, COUNT };
    static const char *const ids[COUNT] = {"bridge", "chain", "lido", "ether.fi", "beacon",
                                           "eigenlayer", "staking"};
    static const int64_t expected[COUNT] = {4000, 4000, 3000, 2400, 1000, 800, 4320};
    (void)state;
    build_init(&build);
    uint32_t weeth = build_instrument(&build, "weETH@Arbitrum", PL_INSTRUMENT_SPOT, 8, 4);
    uint32_t wsteth = build_instrument(&build, "wstETH", PL_INSTRUMENT_SPOT, 8, 4);
    for (int i = 0; i < COUNT; i++)
        (void)build_dependency(&build, ids[i]);
    expose(weeth, BRIDGE, 1000000);
    join(BRIDGE, CHAIN, 1000000);
    expose(weeth, ETHER_FI, 600000);
    join(ETHER_FI, EIGENLAYER, 333333); /* rounded up: 200000 of weETH */
    expose(weeth, BEACON, 100000);
    join(EIGENLAYER, BEACON, 100000);   /* 20000 that way: less */
    expose(wsteth, LIDO, 500000);
    join(LIDO, BEACON, 200000);
    join(LIDO, STAKING, 800000);
    join(ETHER_FI, STAKING, 800000);
    build_finish(&build);
    for (uint32_t d = 0; d < COUNT; d++) {
        int64_t of_weeth = loss_of(weeth, d, PL_TIER_INITIAL);
        int64_t of_wsteth = loss_of(wsteth, d, PL_TIER_INITIAL);
        assert_int_equal((4000 * (of_weeth > 0 ? of_weeth : 0) +
                          6000 * (of_wsteth > 0 ? of_wsteth : 0)) / PL_PPM,
                         expected[d]);
    }
    /* The charge is that of the largest one alone, as an account of both is evaluated. */
    build_price(&build, weeth, 40000000);
    build_price(&build, wsteth, 60000000);
    build_update(&build);
    struct pl_leg legs[] = {build_leg(weeth, 1000 * (int64_t)100000000),
                            build_leg(wsteth, 1000 * (int64_t)100000000)};
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
    static struct pl_term terms[PL_TERMS_MAX];
    uint32_t count = pl_explain(&build.market, &portfolio, PL_TIER_MAINTENANCE, terms,
                                PL_TERMS_MAX);
    assert_int_equal(terms[count - 1].kind, PL_TERM_DEPENDENCY);
    assert_int_equal(terms[count - 1].index, STAKING);
    build_assert_i128(terms[count - 1].amount, -4320000 * BUILD_EXCESS_USD, "joint failure");
}

/* A stated loss may be above all that there is, where V3 does not ask. */
static void large_losses_do_not_overflow(void **state)
{
    (void)state;
    set_up();
    uint32_t perp = build_instrument(&build, "PERP", PL_INSTRUMENT_PERP, 8, 2);
    build_loss(&build, perp, lido, build_flat(1 << 23));
    join(lido, beacon, 999999);
    build_finish(&build);
    assert_int_equal(loss_of(perp, beacon, PL_TIER_ALERT), 8388600); /* 8388599.6 up */
}

static void cycle(void)
{
    expose(eth, lido, 1);
    join(issuer, lido, 1);
    join(lido, beacon, 1);
    join(beacon, issuer, 1);
}
static void loop(void) { join(lido, lido, 1); }
static void behind(void) { join(beacon, issuer, 1); join(lido, beacon, 1); join(beacon, lido, 1); }
static void above(void) { expose(eth, lido, 1000001); }
static void negative(void) { join(lido, beacon, -1); }
static void unnested(void) { expose(eth, lido, 5); last()->loss.at[PL_TIER_ALERT] = 4; }
static void covered_twice(void) { expose(eth, lido, 5); last()->coverage_ppm = 1000001; }
static void uncovered(void) { expose(eth, lido, 5); last()->coverage_ppm = -1; }
static void end(void) { expose(eth, 3, 5); }
static void start(void) { join(3, lido, 5); }
static void unlisted(void) { expose(4095, lido, 5); }
static void v3(void)
{
    build.parameters.instruments[eth].haircut_long = build_flat(1);
    expose(eth, lido, 1000000);
}
/* What a worse path makes of a loss does not hide that it was stated wrongly. */
static void hidden(void)
{
    build_loss(&build, eth, beacon, build_tiers(5, 5, 4, 5));
    expose(eth, beacon, 6);
}
static void many(void)
{
    for (int i = 3; i <= PL_LOSSES_MAX; i++) {
        build.parameters.dependencies[i] = (struct pl_id){.size_bytes = 1, .text = {(char)('a' + i)}};
        join((uint32_t)i - 1, (uint32_t)i, 1000000);
    }
    build.parameters.dependency_count = PL_LOSSES_MAX + 1;
    join(0, 1, 1000000);
    join(1, 2, 1000000);
    expose(eth, 0, 1000000);
}
static void edges(void) { build.parameters.edge_count = PL_EDGES_MAX + 1; }

static void bad_graphs_are_refused(void **state)
{
    static const struct { void (*apply)(void); const char *text; } rows[] = {
        {cycle, "exposures: issuer to lido to beacon to issuer is a cycle"},
        {loop, "exposures: lido to lido is a cycle"},
        {behind, "exposures: lido to beacon to lido is a cycle"},
        {above, "exposure wstETH to lido: loss alert: 1000001 is outside 0..1000000"},
        {negative, "exposure lido to beacon: loss alert: -1 is outside 0..1000000"},
        {unnested, "exposure wstETH to lido: V6 loss: alert 4 is below initial 5"},
        {covered_twice, "exposure wstETH to lido: coverage_ppm: 1000001 is outside 0..1000000"},
        {uncovered, "exposure wstETH to lido: coverage_ppm: -1 is outside 0..1000000"},
        {end, "exposure 0: unknown dependency"},
        {start, "exposure 0: unknown dependency"},
        {unlisted, "exposure 0: unknown instrument"},
        {v3, "V3 instrument wstETH haircut_long: alert: with factors, dependencies, brackets, scenarios and "
             "confidence 1000001 is above 1000000"},
        {hidden, "V6 instrument wstETH dependency beacon: end 4 is below maintenance 5"},
        {many, "instrument wstETH dependencies: more than 16, with what lies behind them"},
        {edges, "exposures: 1025 is outside 0..1024"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up();
        rows[i].apply();
        enum pl_err err = pl_parameters_finish(&build.parameters, &build.names);
        assert_int_equal(err, PL_REJECT_PARAMETERS);
        assert_string_equal(pl_err_text(), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_multiply_and_round_up), cmocka_unit_test(coverage_is_taken_off),
        cmocka_unit_test(worst_path_counts),            cmocka_unit_test(two_staked_assets),
        cmocka_unit_test(large_losses_do_not_overflow), cmocka_unit_test(bad_graphs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
