/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPAN's published examples by the evaluator's own means, a verification and no mode of it. Sixteen
 * scenarios are a table of moves and layers whose grid has the published array's values at its
 * nodes: a scan is then the worst scenario. An inter-commodity credit is a common factor (RISK 1.5,
 * 2.3, 2.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/build.h"

static struct build build;
static struct pl_option_grid grid;
static uint32_t future, vol, call;

/* One published USD is 2,400,000,000 VU: a range of 10,000 is 24 USD, a quarter of the price of
 * 96. */
static const int64_t UNIT = 2400000000, BASE = 100000000000000;

/* McMillan, Options as a Strategic Investment, pages 668 to 670: a call on the S&P future in thirds
 * of its range, with volatility up and down; at twice the range 35 % count. */
static const struct {
    int32_t up_move, down_move;  /* ppm; each just enough for the node */
    int node_above, node_below;
    int64_t above[2], below[2];  /* volatility up, down */
} MOVES[] = {
    {0, 0, 8, 8, {460, -610}, {460, -610}},
    {83334, -83333, 9, 7, {2640, 1730}, {-1270, -2340}},
    {166667, -166666, 10, 6, {5210, 4540}, {-2540, -3430}},
    {250000, -250000, 11, 5, {8060, 7640}, {-3380, -3990}},
};

static void add_scenario(int32_t move, enum pl_layer layer, int32_t weight)
{
    struct pl_parameters *set = &build.parameters;
    set->scenarios[set->scenario_count++] =
        (struct pl_option_scenario){move, layer, build_flat(weight)};
}

static void fill_node(enum pl_layer layer, int node, int64_t value)
{
    grid.low[layer][node] = grid.high[layer][node] = BASE + value;
}

static void set_up(void)
{
    build_init(&build);
    future = build_instrument(&build, "F", PL_INSTRUMENT_FUTURE, 0, 0);
    vol = build_instrument(&build, "V", PL_INSTRUMENT_VOLATILITY, 0, 4);
    call = build_instrument(&build, "C", PL_INSTRUMENT_OPTION, 0, 0);
    struct pl_instrument *row = &build.parameters.instruments[call];
    row->option = (struct pl_option_terms){.type = PL_OPTION_CALL, .underlying = future,
                                           .volatility = vol, .strike_ticks = 96, .expiry_ms = 1};
    row->has_scenarios = build.parameters.instruments[future].has_scenarios = true;
    row->scenario_underlying = build.parameters.instruments[future].scenario_underlying = future;
    /* 48 52 56 60, 64 72 .. 120, 128 144 160 */
    grid.grid = (struct pl_grid){.bits = 3, .first_cell = 44, .node_count = 15};
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (int i = 0; i < 15; i++)
            fill_node(layer, i, 0);
    for (int i = 0; i < 4; i++)
        for (int down = 0; down < 2; down++) {
            const enum pl_layer layer = down ? PL_LAYER_DOWN : PL_LAYER_UP;
            /* Nodes of the list above: 96 is the ninth. */
            fill_node(layer, MOVES[i].node_above, MOVES[i].above[down] * UNIT);
            fill_node(layer, MOVES[i].node_below, MOVES[i].below[down] * UNIT);
            add_scenario(MOVES[i].up_move, layer, PL_PPM);
            if (i > 0)
                add_scenario(MOVES[i].down_move, layer, PL_PPM);
        }
    fill_node(PL_LAYER_UP, 13, 3130 * UNIT * 20 / 7);
    fill_node(PL_LAYER_UP, 0, -1500 * UNIT * 20 / 7);
    add_scenario(500000, PL_LAYER_UP, 350000);
    add_scenario(-500000, PL_LAYER_UP, 350000);
    assert_int_equal(build.parameters.scenario_count, 16);
    build_finish(&build);
    build_price(&build, future, 96);
    build_price(&build, call, 100);
    build.marks[call].grid = &grid;
    build_update(&build);
}

static void assert_scan(int64_t futures, int64_t calls, int64_t expected)
{
    const struct pl_leg legs[] = {build_leg(future, futures), build_leg(call, calls)};
    const struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
    pl_i128 excess = 0;
    assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
    const pl_i128 equity = futures * 96 * BUILD_USD + (pl_i128)calls * BASE;
    build_assert_i128(equity * PL_PPM - excess, (pl_i128)expected * UNIT * PL_PPM, "scan");
}

static void scans(void **state)
{
    (void)state;
    set_up();
    assert_scan(1, 0, 10000);
    assert_scan(-1, 0, 10000);
    assert_scan(0, 1, 3990);
    assert_scan(0, -1, 8060);
    assert_scan(1, -1, 6620); /* a covered write */
    assert_scan(2, -3, 9860);
}

/* CME: two corn at 1,750 against one soybean at 2,500 with a credit of 55 %: 6,000 - 3,300 = 2,700.
 * As a factor of 825 a corn, twice that a soybean, and 925 and 850 of their own. */
static void inter_commodity_credit(void **state)
{
    (void)state;
    build_init(&build);
    const uint32_t agricultural = build_factor(&build, "agricultural");
    const uint32_t corn = build_instrument(&build, "CORN", PL_INSTRUMENT_FUTURE, 0, 0);
    const uint32_t soy = build_instrument(&build, "SOY", PL_INSTRUMENT_FUTURE, 0, 0);
    build_haircuts(&build, corn, build_flat(92500), build_flat(92500));
    build_haircuts(&build, soy, build_flat(85000), build_flat(85000));
    build_load(&build, corn, agricultural, build_flat(82500));
    build_load(&build, soy, agricultural, build_flat(165000));
    build_finish(&build);
    build_price(&build, corn, 10000);
    build_price(&build, soy, 10000);
    build_update(&build);
    static const struct { int64_t corn, soy, expected; } rows[] = {
        {2, -1, 2700}, {1, 0, 1750}, {0, -1, 2500}, {2, 1, 6000}};
    for (int i = 0; i < 4; i++) {
        const struct pl_leg legs[] = {build_leg(corn, rows[i].corn), build_leg(soy, rows[i].soy)};
        const struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
        pl_i128 excess = 0;
        assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
        build_assert_i128((rows[i].corn + rows[i].soy) * 10000 * BUILD_EXCESS_USD - excess,
                          rows[i].expected * BUILD_EXCESS_USD, "spread");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),
        cmocka_unit_test(inter_commodity_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
