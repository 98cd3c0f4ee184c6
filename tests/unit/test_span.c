/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPAN's published examples (RISK 2.3, 2.4), reckoned as SPAN does (support/span.h), and by the evaluator's
 * own means, a verification and no mode of it: sixteen scenarios are a table of moves and layers whose
 * grid has the published array's values at its nodes, so that a scan is the worst scenario, and an
 * inter-commodity credit is a common factor (RISK 1.5). Where there are no spreads both are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/build.h"
#include "tests/support/span.h"

static struct build build;
static struct pl_option_grid grid;
static uint32_t future, vol, call;

/* One published USD is 2,400,000,000 VU: a range of 10,000 is 24 USD, a quarter of the price of
 * 96. */
static const int64_t UNIT = 2400000000, BASE = 100000000000000;

/* McMillan, Options as a Strategic Investment, pages 668 to 670: the S&P future and a call on it in
 * thirds of its range, with volatility up and down; at twice the range 35 % count. */
static const struct span_contract FUTURE = {
    .gain = {0, 0, 3330, 3330, -3330, -3330, 6670, 6670, -6670, -6670, 10000, 10000, -10000, -10000,
             7000, -7000},
    .delta_e6 = 1000000};
static const struct span_contract CALL = {
    .gain = {460, -610, 2640, 1730, -1270, -2340, 5210, 4540, -2540, -3430, 8060, 7640, -3380, -3990,
             3130, -1500},
    .delta_e6 = 500000};

/* Scenarios 1 to 14 by two: ppm, each just enough for the node. */
static const struct { int32_t move; int node; } MOVES[] = {
    {0, 8}, {83334, 9}, {-83333, 7}, {166667, 10}, {-166666, 6}, {250000, 11}, {-250000, 5}};

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

static void set_up(int32_t short_minimum_ppm)
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
    for (int s = 0; s < 14; s++) {
        const enum pl_layer layer = s % 2 ? PL_LAYER_DOWN : PL_LAYER_UP;
        /* Nodes of the list above: 96 is the ninth. */
        fill_node(layer, MOVES[s / 2].node, CALL.gain[s] * UNIT);
        add_scenario(MOVES[s / 2].move, layer, PL_PPM);
    }
    fill_node(PL_LAYER_UP, 13, CALL.gain[14] * UNIT * 20 / 7);
    fill_node(PL_LAYER_UP, 0, CALL.gain[15] * UNIT * 20 / 7);
    add_scenario(500000, PL_LAYER_UP, 350000);
    add_scenario(-500000, PL_LAYER_UP, 350000);
    assert_int_equal(build.parameters.scenario_count, SPAN_SCENARIOS);
    build.parameters.short_minimum = build_flat(short_minimum_ppm);
    build_finish(&build);
    build_price(&build, future, 96);
    build_price(&build, call, 100);
    build.marks[call].grid = &grid;
    build_update(&build);
}

/* What SPAN asks for, and what it says is the worst of. */
static struct span_requirement require(const struct span_position *positions, uint32_t count)
{
    const struct span_commodity commodity = {.positions = positions, .position_count = count};
    struct span_requirement requirement;
    span_require(&commodity, 1, NULL, 0, &requirement);
    return requirement;
}

static void assert_scan(int64_t futures, int64_t calls, int64_t expected, uint32_t active)
{
    const struct span_position positions[] = {{&FUTURE, futures}, {&CALL, calls}};
    const struct span_requirement requirement = require(positions, 2);
    assert_int_equal(requirement.total, expected);
    assert_int_equal(requirement.active, active);
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
    set_up(0);
    assert_scan(1, 0, 10000, 13);
    assert_scan(-1, 0, 10000, 11);
    assert_scan(0, 1, 3990, 14);
    assert_scan(0, -1, 8060, 11);
    assert_scan(1, -1, 6620, 13); /* a covered write */
    assert_scan(2, -3, 9860, 13);
}

/* ---- the same as the library ------------------------------------------------------------------- */

/* The arrays of the library's own moves, in VU. An extreme value at its node is short of 20/7 of the
 * array's by less than one VU, so what counts of it, 35 %, is, too; everything else is exact. */
static void fill_arrays(struct span_contract *in_future, struct span_contract *in_call,
                        int32_t short_minimum_ppm)
{
    *in_future = FUTURE;
    *in_call = CALL;
    for (int s = 0; s < SPAN_SCENARIOS; s++) {
        const struct pl_option_scenario *row = &build.parameters.scenarios[s];
        in_future->gain[s] =
            (int64_t)(96 * BUILD_USD * row->move_ppm / PL_PPM * row->weight.at[0] / PL_PPM);
        in_call->gain[s] *= UNIT;
    }
    in_call->option_value = BASE;
    in_call->short_minimum = (int64_t)(96 * BUILD_USD * short_minimum_ppm / PL_PPM);
}

/* Futures are settled, so equity is what the calls are worth; SPAN's total is what lacks of it. */
static void assert_same(const struct span_contract *in_future, const struct span_contract *in_call,
                        int64_t futures, int64_t calls, bool seen[2])
{
    const struct span_position positions[] = {{in_future, futures}, {in_call, calls}};
    const struct span_requirement requirement = require(positions, 2);
    const struct pl_leg legs[] = {build_leg(future, futures), build_leg(call, calls)};
    const struct pl_portfolio portfolio = build_portfolio(legs, 2, -futures * 96 * BUILD_USD);
    pl_i128 excess = 0;
    assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
    const bool is_exact = requirement.active <= 14 || requirement.required != requirement.scan;
    const pl_i128 error_max = is_exact ? 0 : pl_abs(calls) * PL_PPM;
    const pl_i128 charge = (pl_i128)calls * BASE * PL_PPM - excess;
    if (pl_abs(charge - (pl_i128)requirement.required * PL_PPM) > error_max)
        build_assert_i128(charge, (pl_i128)requirement.required * PL_PPM, "charge");
    if (pl_abs(pl_max(-excess, 0) - (pl_i128)requirement.total * PL_PPM) > error_max)
        build_assert_i128(pl_max(-excess, 0), (pl_i128)requirement.total * PL_PPM, "lacks");
    seen[is_exact] = true;
}

/* Every position of up to twelve futures and twelve calls, without a minimum, and with one of 22.5 % of the
 * price, 9,000 a call, more than the scan of any but a few. */
static void same_as_evaluated(void **state)
{
    (void)state;
    static const int32_t minima_ppm[] = {0, 225000};
    bool seen[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        struct span_contract in_future, in_call;
        set_up(minima_ppm[i]);
        fill_arrays(&in_future, &in_call, minima_ppm[i]);
        for (int64_t futures = -12; futures <= 12; futures++)
            for (int64_t calls = -12; calls <= 12; calls++)
                assert_same(&in_future, &in_call, futures, calls, seen);
    }
    assert_true(seen[false] && seen[true]);
}

/* ---- spreads ------------------------------------------------------------------------------------ */

/* A future whose gain is its range times the move, of the extreme move 35 % of two. */
static struct span_contract future_of(int64_t range, uint32_t month)
{
    static const int64_t SIXTHS[SPAN_SCENARIOS] = {0, 0, 2, 2, -2, -2, 4, 4, -4, -4, 6, 6, -6, -6};
    struct span_contract contract = {.delta_e6 = 1000000, .month = month};
    for (int s = 0; s < 14; s++)
        contract.gain[s] = range * SIXTHS[s] / 6;
    contract.gain[14] = range * 7 / 10;
    contract.gain[15] = -contract.gain[14];
    return contract;
}

/* CME: months at 500, 500 and 750; a spread of the first two costs 200, of first and third 50, of the last
 * two nothing. |m1 - m2| + charge: 200, 300, 250. */
static void intra_commodity(void **state)
{
    (void)state;
    const struct span_contract months[] = {future_of(500, 0), future_of(500, 1), future_of(750, 2)};
    static const struct span_intra spreads[] = {
        {{2, 0}, {1, 1}, 50}, {{0, 1}, {1, 1}, 200}, {{1, 2}, {1, 1}, 0}};
    /* The last: 750 are short, and the first spread leaves nothing for the second. */
    static const struct { int64_t quantities[3], intra, total; } rows[] = {
        {{1, -1, 0}, 200, 200}, {{1, 0, -1}, 50, 300}, {{0, 1, -1}, 0, 250}, {{-1, 1, 0}, 200, 200},
        {{1, 1, 0}, 0, 1000},   {{3, -2, 0}, 400, 900}, {{1, -1, -1}, 50, 800}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span_position positions[3];
        for (int month = 0; month < 3; month++)
            positions[month] = (struct span_position){&months[month], rows[i].quantities[month]};
        const struct span_commodity commodity = {positions, 3, spreads, 3, 0};
        struct span_requirement requirement;
        span_require(&commodity, 1, NULL, 0, &requirement);
        assert_int_equal(requirement.intra, rows[i].intra);
        assert_int_equal(requirement.total, rows[i].total);
    }
}

/* R |L - S| + c min(L, S) = R (L + S) - (2R - c) min(L, S): convex, and so a factor, while c <= 2R (RISK
 * 1.10). Three long and two short at 500 with 200: 500 + 400 = 2,500 - 800 * 2. */
static void spread_as_a_factor(void **state)
{
    (void)state;
    const struct span_contract near = future_of(500, 0), far = future_of(500, 1);
    static const struct span_intra spread = {{0, 1}, {1, 1}, 200};
    build_init(&build);
    const uint32_t family = build_factor(&build, "family");
    const uint32_t months[] = {build_instrument(&build, "NEAR", PL_INSTRUMENT_FUTURE, 0, 0),
                               build_instrument(&build, "FAR", PL_INSTRUMENT_FUTURE, 0, 0)};
    for (int month = 0; month < 2; month++) {
        /* Of their own c / 2 each, the rest in common. */
        build_haircuts(&build, months[month], build_flat(10000), build_flat(10000));
        build_load(&build, months[month], family, build_flat(40000));
    }
    build_finish(&build);
    build_price(&build, months[0], 10000);
    build_price(&build, months[1], 10000);
    build_update(&build);
    for (int64_t first = -3; first <= 3; first++)
        for (int64_t second = -3; second <= 3; second++) {
            const struct span_position positions[] = {{&near, first}, {&far, second}};
            const struct span_commodity commodity = {positions, 2, &spread, 1, 0};
            struct span_requirement requirement;
            span_require(&commodity, 1, NULL, 0, &requirement);
            const struct pl_leg legs[] = {build_leg(months[0], first), build_leg(months[1], second)};
            const struct pl_portfolio portfolio =
                build_portfolio(legs, 2, -(first + second) * 10000 * BUILD_USD);
            pl_i128 excess = 0;
            assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
            build_assert_i128(-excess, requirement.total * BUILD_EXCESS_USD, "calendar spread");
        }
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
    static const struct span_inter spread = {{0, 1}, {2, 1}, 550000};
    const struct span_contract in_corn = future_of(1750, 0), in_soy = future_of(2500, 0);
    for (int i = 0; i < 4; i++) {
        const struct span_position of_corn = {&in_corn, rows[i].corn}, of_soy = {&in_soy, rows[i].soy};
        const struct span_commodity commodities[] = {{&of_corn, 1, NULL, 0, 0}, {&of_soy, 1, NULL, 0, 0}};
        struct span_requirement requirements[2];
        span_require(commodities, 2, &spread, 1, requirements);
        assert_int_equal(requirements[0].credit, i ? 0 : 1925);
        assert_int_equal(requirements[1].credit, i ? 0 : 1375);
        assert_int_equal(requirements[0].total + requirements[1].total, rows[i].expected);
        const struct pl_leg legs[] = {build_leg(corn, rows[i].corn), build_leg(soy, rows[i].soy)};
        const struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
        pl_i128 excess = 0;
        assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
        build_assert_i128((rows[i].corn + rows[i].soy) * 10000 * BUILD_EXCESS_USD - excess,
                          rows[i].expected * BUILD_EXCESS_USD, "spread");
    }
}

/* ---- the order of the steps --------------------------------------------------------------------- */

/*
 * Three covered writes, the calls worth 4,000 each and a month nearer, against two futures of 1,000
 * elsewhere; 400001 ppm of WPR:
 *   scan      3 * 6,620 = 19,860, scenario 13
 *   intra     1.5 spreads at 33: 49.5, up to 50
 *   delivery  1.5 deltas of the near month at 101: 151.5, up to 152
 *   credit    price risk 3 * ((6,620 + 6,010) / 2 + (-460 + 610) / 2) = 19,170: 14 is the pair of 13, and
 *             scenarios 1 and 2 gain 75 on average; WPR 19,170 / 1.5 = 12,780 a delta of the net 3 - 1.5;
 *             1.5 of them count 7,668.02, down to 7,668; of the others 1.5 * 1,000 * 0.400001, down to 600
 *   required  19,860 + 50 + 152 - 7,668 = 12,394; the others 2,000 - 600 = 1,400
 *   total     with the 12,000 that are owed for the calls 24,394
 * A minimum of 5,000 a call, 15,000, stands above what the credit left, and then the calls are owed on top.
 */
static void steps(void **state)
{
    (void)state;
    struct span_contract cover = FUTURE, sold = CALL;
    const struct span_contract other = future_of(1000, 0);
    cover.month = 1;
    sold.option_value = 4000;
    const struct span_position covered[] = {{&cover, 3}, {&sold, -3}}, against = {&other, -2};
    static const struct span_intra calendar = {{0, 1}, {1, 1}, 33};
    const struct span_commodity commodities[] = {{covered, 2, &calendar, 1, 101},
                                                 {&against, 1, NULL, 0, 0}};
    /* The second finds nothing of the covered writes left. */
    static const struct span_inter spreads[] = {{{0, 1}, {1, 1}, 400001}, {{0, 1}, {1, 1}, 400001}};
    struct span_requirement requirements[2];
    span_require(commodities, 2, spreads, 2, requirements);
    assert_int_equal(requirements[0].scan, 19860);
    assert_int_equal(requirements[0].active, 13);
    assert_int_equal(requirements[0].credit, 7668);
    assert_int_equal(requirements[1].credit, 600);
    assert_int_equal(requirements[0].intra, 50);
    assert_int_equal(requirements[0].delivery, 152);
    assert_int_equal(requirements[0].required, 12394);
    assert_int_equal(requirements[0].total, 24394);
    assert_int_equal(requirements[1].total, 1400);
    sold.short_minimum = 5000;
    span_require(commodities, 2, spreads, 2, requirements);
    assert_int_equal(requirements[0].required, 15000);
    assert_int_equal(requirements[0].total, 27000);
}

/* What a long call is worth covers what it may lose, and no more than that. */
static void option_value(void **state)
{
    (void)state;
    struct span_contract bought = CALL;
    const struct span_position position = {&bought, 2};
    bought.option_value = 3000;
    assert_int_equal(require(&position, 1).required, 7980);
    assert_int_equal(require(&position, 1).total, 1980);
    bought.option_value = 4000;
    assert_int_equal(require(&position, 1).total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),
        cmocka_unit_test(same_as_evaluated),
        cmocka_unit_test(intra_commodity),
        cmocka_unit_test(spread_as_a_factor),
        cmocka_unit_test(inter_commodity_credit),
        cmocka_unit_test(steps),
        cmocka_unit_test(option_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
