/* SPDX-License-Identifier: Apache-2.0 */
/* lib/price/option.h: Black's formula against published values, a published margin case made of it,
 * and the grid's exact vectors. That brackets enclose is property.bracket's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/price/option.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static const enum pl_option_type CALL = PL_OPTION_CALL, PUT = PL_OPTION_PUT;
static const double YEAR_SECONDS = 31536000;

static void assert_near(double value, double expect, double tolerance)
{
    if (!(fabs(value - expect) <= tolerance))
        fail_msg("%.15g is not %.15g", value, expect);
}

/* Haug (1998), page 24: strike 100, rate 10 %, forwards 90, 100, 110. Printed to four places, one
 * of them off by half a unit more. */
static void black76_haug(void **state)
{
    (void)state;
    static const struct {
        enum pl_option_type type;
        double years, volatility, prices[3];
    } rows[] = {
        {CALL, .1, .15, {.0205, 1.8734, 9.9413}},  {CALL, .1, .25, {.3150, 3.1217, 10.3556}},
        {CALL, .1, .35, {.9474, 4.3693, 11.1381}}, {CALL, .5, .15, {.8069, 4.0232, 10.5769}},
        {CALL, .5, .25, {2.7026, 6.6997, 12.7857}}, {CALL, .5, .35, {4.9329, 9.3679, 15.3086}},
        {PUT, .1, .15, {9.9210, 1.8734, .0408}},   {PUT, .1, .25, {10.2155, 3.1217, .4551}},
        {PUT, .1, .35, {10.8479, 4.3693, 1.2376}}, {PUT, .5, .15, {10.3192, 4.0232, 1.0646}},
        {PUT, .5, .25, {12.2149, 6.6997, 3.2734}}, {PUT, .5, .35, {14.4452, 9.3679, 5.7963}},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int f = 0; f < 3; f++) {
            const struct pl_black76 option = {
                rows[i].type, 90 + 10 * f, 100, rows[i].volatility, rows[i].years, .10};
            assert_near(pl_black76(&option).price, rows[i].prices[f], 6e-5);
        }
}

/* Full precision from an independent implementation (QuantLib's BlackCalculator). */
static void black76_full_precision(void **state)
{
    (void)state;
    static const struct {
        struct pl_black76 option;
        double price, delta, gamma, vega;
    } rows[] = {
        {{CALL, 100, 100, .25, .5, .10},
         6.699696963531, .509113197068, .0213832576107155, 26.7290720134},
        {{PUT, 110, 100, .35, .5, .10},
         5.796305516073, -.290531095118, .0122468088971945, 25.9326178398},
        {{CALL, 95776.67392708939, 100000, .453803924321583, 794852 / YEAR_SECONDS, .15},
         1186.418569458766, .285663767060, 4.91577203573068e-05, 5157.7364689372},
        {{CALL, 113016.475233965, 100000, .7772805240184925, 794852 / YEAR_SECONDS, .15},
         14072.426426081696, .850674774875, 1.63643669167991e-05, 4094.8705360200},
        {{PUT, 3000, 2400, .80, 7. / 365, 0},
         2.427036902197, -.019247544067, .000141010717269302, 19.4710689051},
        {{CALL, 3000, 3000, .60, 30. / 365, .05},
         204.774949096113, .532078580065, .000767065233278449, 340.4508706606},
        {{CALL, .5, 1, 2, 1, 0}, .282570843324, .743259291248, .32225195525728, .1611259776},
        {{PUT, 60000, 150000, .5, 1. / 365, 0}, 90000, -1, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct pl_black76_value value = pl_black76(&rows[i].option);
        assert_near(value.price, rows[i].price, 1e-12 * (1 + rows[i].option.forward));
        assert_near(value.delta, rows[i].delta, 1e-12);
        assert_near(value.gamma, rows[i].gamma, 1e-12);
        assert_near(value.vega, rows[i].vega, 1e-10 * (1 + rows[i].vega));
    }
}

/* Haug's greeks, of options on a stock: by the spot's forward. */
static void black76_haug_greeks(void **state)
{
    (void)state;
    const struct pl_black76 call = {CALL, 105, 100, .36, .5, .10};
    const struct pl_black76 put = {PUT, 105, 100, .36, .5, .10};
    assert_near(pl_black76(&call).delta, .5946, 5e-5);
    assert_near(pl_black76(&put).delta, -.3566, 5e-5);
    const double growth = exp(.10 * .75);
    const struct pl_black76 stock = {CALL, 55 * growth, 60, .30, .75, .10};
    assert_near(pl_black76(&stock).gamma * growth * growth, .0278, 5e-5);
    assert_near(pl_black76(&stock).vega, 18.9358, 5e-5);
}

/*
 * His theta, of a put on a stock that pays 5 %: -31.1924 a year. It follows from the other values, as the
 * price solves Black's equation, theta = r V - (r - q) S delta - sigma^2 S^2 gamma / 2 with S delta =
 * F delta_F; and from the price itself an instant earlier and later, as layers look ahead.
 */
static void black76_haug_theta(void **state)
{
    (void)state;
    const double rate = .07, growth = .07 - .05, years = 1. / 12, instant = 1e-5;
    const double forward = 430 * exp(growth * years);
    const struct pl_black76 put = {PUT, forward, 405, .20, years, rate};
    const struct pl_black76_value value = pl_black76(&put);
    assert_near(rate * value.price - growth * forward * value.delta -
                    .20 * .20 * forward * forward * value.gamma / 2, -31.1924, 5e-5);
    struct pl_black76 earlier = put, later = put;
    earlier.years += instant;
    earlier.forward = 430 * exp(growth * earlier.years);
    later.years -= instant;
    later.forward = 430 * exp(growth * later.years);
    assert_near((pl_black76(&later).price - pl_black76(&earlier).price) / (2 * instant), -31.1924, 5e-5);
}

static void black76_without_time(void **state)
{
    (void)state;
    static const struct { struct pl_black76 option; double price, delta; } rows[] = {
        {{CALL, 110, 100, .5, 0, .1}, 10, 1}, {{CALL, 90, 100, .5, 0, .1}, 0, 0},
        {{CALL, 100, 100, .5, 0, .1}, 0, 1},  {{PUT, 90, 100, .5, 0, .1}, 10, -1},
        {{PUT, 110, 100, .5, 0, .1}, 0, 0},   {{PUT, 90, 100, 0, 0, 0}, 10, -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct pl_black76_value value = pl_black76(&rows[i].option);
        assert_near(value.price, rows[i].price, 0);
        assert_near(value.delta, rows[i].delta, 0);
        assert_near(value.gamma, 0, 0);
        assert_near(value.vega, 0, 0);
    }
    const struct pl_black76 still = {CALL, 110, 100, 0, 1, .1};
    assert_near(pl_black76(&still).price, 10 * exp(-.1), 1e-12);
}

/* A published portfolio (Lyra/Derive PMRM_2, case 12): short one call, revalued over moves of the
 * forward and shocks of volatility. A shocked value held short counts 1.0038 times. */
static void black76_margin_case(void **state)
{
    (void)state;
    const double loss = 1.0037878445554764;
    const double days = 794852 / 86400., volatility = .453803924321583;
    const struct pl_volatility_shock shock = {.5, .275, .45, 1, .3, .13};
    const double up = pl_volatility_up(&shock, volatility, days);
    const double down = pl_volatility_down(&shock, volatility, days);
    assert_near(up / volatility, 1.712811375927374, 1e-14);
    assert_near(down / volatility, .6079537432399443, 1e-14);
    const struct { double move, volatility, weight, profit; } rows[] = {
        {.18, up, 1, -12939.312020},       {.135, down, 1, -7569.803984},
        {.135, volatility, 1, -7978.264376}, {.135, up, 1, -9430.612502},
        {.09, down, 1, -3595.672340},      {.09, volatility, 1, -4456.996722},
        {.09, up, 1, -6342.011085},        {.045, down, 1, -605.237460},
        {.045, volatility, 1, -1731.931878}, {.045, up, 1, -3778.999279},
        {0, down, 1, 819.139481},         {0, volatility, 1, -4.493969},
        {0, up, 1, -1808.933553},          {-.045, down, 1, 1154.179248},
        {-.045, volatility, 1, 829.214343}, {-.045, up, 1, -433.880971},
        {-.09, down, 1, 1185.468292},      {-.09, volatility, 1, 1113.630542},
        {-.09, up, 1, 418.408722},         {-.135, down, 1, 1186.411211},
        {-.135, volatility, 1, 1177.181792}, {-.135, up, 1, 875.932367},
        {-.18, up, 1, 1082.697694},        {-.66, up, .036 / .66, 64.713740},
        {-.33, up, .036 / .33, 129.384515}, {.5, up, .036 / .5, -3058.966962},
        {1, up, .036, -3253.209462},       {2, up, .036 / 2, -3350.584858},
        {3, up, .036 / 3, -3383.043326},
    };
    const struct pl_black76 now = {
        CALL, 95776.67392708939, 100000, volatility, 794852 / YEAR_SECONDS, .15};
    const double value = pl_black76(&now).price;
    double worst = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pl_black76 then = now;
        then.forward *= 1 + rows[i].move;
        then.volatility = rows[i].volatility;
        const double profit = rows[i].weight * (value - loss * pl_black76(&then).price);
        assert_near(profit, rows[i].profit, 1e-6);
        worst = fmin(worst, profit);
    }
    const double spot = 95663.50604855;
    assert_near(.8 * worst - .003 * spot - value, -11824.858703959073, 1e-6);
    assert_near(worst - .005 * spot - value, -14604.048120144837, 1e-6);
}

/* Case 18 of the same: short a call, long one above it, worst at + 18 % with volatility up. */
static void black76_spread_case(void **state)
{
    (void)state;
    static const double loss = 1.0037878445554764, spot = 2681.60298509999;
    const struct pl_volatility_shock shock = {.5, .275, .45, 1, .3, .13};
    const double days = 794852 / 86400.;
    const struct { double lots, strike, volatility; } legs[] = {
        {-1, 4000, .8795543651099665}, {1, 4200, .8833255402190362}};
    double value = 0, then_value = 0;
    for (size_t i = 0; i < COUNT(legs); i++) {
        struct pl_black76 option = {CALL, 2682.9997436016715, legs[i].strike, legs[i].volatility,
                                    794852 / YEAR_SECONDS, .15};
        value += legs[i].lots * pl_black76(&option).price;
        option.forward *= 1.18;
        option.volatility = pl_volatility_up(&shock, option.volatility, days);
        then_value += legs[i].lots * pl_black76(&option).price;
    }
    const double worst = loss * then_value - value;
    assert_near(worst, -22.155960, 1e-6);
    assert_near(.8 * worst - .003 * spot + value, -25.96404757080802, 1e-9);
    assert_near(worst - .005 * spot + value, -35.75844560967082, 1e-9);
}

/* Case 13: short two calls against one coin, worst at - 18 %. The coin counts in a stable coin that
 * stands above a dollar; 2 % and 3 % of it are asked for beside, 0.3 % and 0.5 % for each naked call. */
static void black76_covered_case(void **state)
{
    (void)state;
    static const double loss = 1.0037878445554764, spot = 95663.50604855;
    const double coin = spot / 1.00019088635, volatility = .453803924321583;
    const struct pl_volatility_shock shock = {.5, .275, .45, 1, .3, .13};
    struct pl_black76 option = {CALL, 95776.67392708939, 100000, volatility, 794852 / YEAR_SECONDS,
                                .15};
    const double value = -2 * pl_black76(&option).price;
    option.forward *= .82;
    option.volatility = pl_volatility_up(&shock, volatility, 794852 / 86400.);
    const double worst = loss * -2 * pl_black76(&option).price - value - .18 * coin;
    assert_near(worst, -15050.749373, 1e-6);
    assert_near(.8 * worst - .006 * spot - .02 * coin + value + coin, 78744.92602874589, 1e-7);
    assert_near(worst - .01 * spot - .03 * coin + value + coin, 74395.66964312585, 1e-7);
}

static void volatility_shock_limits(void **state)
{
    (void)state;
    const struct pl_volatility_shock shock = {.5, 1.5, .4, 1, .3, .13};
    assert_near(pl_volatility_up(&shock, .1, 30), .4, 0);        /* the floor */
    assert_near(pl_volatility_up(&shock, .6, 30), .9, 1e-15);
    assert_near(pl_volatility_down(&shock, .6, 30), 0, 0);       /* never below 0 */
    assert_near(pl_volatility_up(&shock, .6, 0), pl_volatility_up(&shock, .6, 1), 0);
    assert_near(pl_volatility_up(&shock, .6, 60), .6 * (1 + .5 * pow(.5, .13)), 1e-15);
}

static void grid_places(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits;
        int64_t ticks;
        uint32_t cell, shift;
        int64_t offset, ticks_here, ticks_next;
    } rows[] = {
        {5, 30000000, 793, 19, 115584, 29884416, 30408704},
        {5, 30000001, 793, 19, 115585, 29884416, 30408704},
        {5, 64, 192, 1, 0, 64, 66},
        {5, 65, 192, 1, 1, 64, 66},
        {6, 30000000, 1586, 18, 115584, 29884416, 30146560},
        {6, 64, 384, 0, 0, 64, 65},
        {6, 127, 447, 0, 0, 127, 128},
        {6, INT64_C(1) << 60, 3840, 54, 0, INT64_C(1) << 60, INT64_C(65) << 54},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        /* From the lowest cell there is, so that the place names the cell. */
        const uint32_t first = rows[i].bits == 5 ? 192 : 384;
        const struct pl_grid grid = {.bits = rows[i].bits, .first_cell = first, .node_count = 4000};
        const struct pl_grid_place place = pl_grid_place(&grid, rows[i].ticks);
        assert_int_equal(place.node, rows[i].cell - first);
        assert_int_equal(place.shift, rows[i].shift);
        assert_int_equal(place.offset, rows[i].offset);
        assert_int_equal(pl_grid_ticks(&grid, place.node), rows[i].ticks_here);
        assert_int_equal(pl_grid_ticks(&grid, place.node + 1), rows[i].ticks_next);
    }
}

/* Rounds down, whatever the signs: the published vectors of the cell at 30,000,000. */
static void grid_interpolates(void **state)
{
    (void)state;
    const struct pl_grid grid = {.bits = 5, .first_cell = 793, .node_count = 3};
    const struct pl_grid_place place = pl_grid_place(&grid, 30000000);
    assert_true(pl_grid_interpolate(1000, 1700, place) == 1154);
    assert_true(pl_grid_interpolate(1700, 1000, place) == 1545);
    assert_true(pl_grid_interpolate(-5, -9, place) == -6);
    /* An account at its bound, at the far end of a wide cell. */
    const pl_i128 most = PL_VALUE_VU_MAX;
    const struct pl_grid_place wide = {.shift = 45, .offset = (INT64_C(1) << 45) - 1};
    assert_true(pl_grid_interpolate(-most, most, wide) == most - ((2 * most) >> 45) - 1);
}

/* Outside the grid the end cell's line goes on, down to a price of 0. */
static void grid_extends(void **state)
{
    (void)state;
    const struct pl_grid grid = {.bits = 6, .first_cell = 448, .node_count = 3};
    assert_int_equal(pl_grid_ticks(&grid, 0), 128);
    struct pl_grid_place place = pl_grid_place(&grid, 0);
    assert_int_equal(place.node, 0);
    assert_int_equal(place.offset, -128);
    assert_true(pl_grid_interpolate(1000, 1003, place) == 1000 - 192);
    place = pl_grid_place(&grid, 127);
    assert_true(pl_grid_interpolate(1000, 1003, place) == 998);
    place = pl_grid_place(&grid, 133);
    assert_int_equal(place.node, 1);
    assert_int_equal(place.offset, 3);
    assert_true(pl_grid_interpolate(1000, 1003, place) == 1004);
}

static void grid_reach(void **state)
{
    (void)state;
    static const int64_t prices[] = {1, 5, 64, 383, 384, 400, 9566350, 30000000, 33554431,
                                     INT64_C(1) << 50, INT64_C(1) << 60};
    for (size_t i = 0; i < COUNT(prices); i++) {
        const struct pl_grid grid = pl_grid_around(prices[i]);
        assert_in_range(grid.node_count, 3, PL_GRID_NODES_MAX);
        const int64_t first = pl_grid_ticks(&grid, 0);
        assert_true(first == 64 || first <= prices[i] / PL_GRID_REACH);
        assert_true(pl_grid_ticks(&grid, grid.node_count - 1) / PL_GRID_REACH >= prices[i]);
    }
}

static void bracket_refuses(void **state)
{
    (void)state;
    const struct pl_bracket_terms good = {CALL, 300000, 2, 8, 1, .6, .1, .05, 0};
    const struct pl_grid grid = pl_grid_around(300000);
    int64_t low[PL_GRID_NODES_MAX], high[PL_GRID_NODES_MAX];
    assert_int_equal(pl_bracket_fill(&grid, &good, low, high), PL_OK);
    struct pl_bracket_terms bad[15];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].type = 0;
    bad[1].strike_ticks = 0;
    bad[2].tick_decimals = 5;
    bad[3].tick_decimals = 13;
    bad[4].forward_ratio = 0;
    bad[5].forward_ratio = NAN;
    bad[6].volatility = -.01;
    bad[7].volatility = INFINITY;
    bad[8].years = -1e-9;
    bad[9].rate = NAN;
    bad[10].rate = 11;
    bad[12].fixed_ticks = -1;
    bad[13].fixed_ticks = 0x1p61;
    bad[14].fixed_ticks = 1; /* so that a ratio of 0 is good, and this one is not */
    bad[14].forward_ratio = -1e-9;
    /* 18 million USD in VU a lot of one whole unit: more than 2^63. */
    bad[11] = (struct pl_bracket_terms){PUT, 18000000, 0, 0, 1, .6, .1, .05, 0};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(pl_bracket_fill(&grid, &bad[i], low, high), PL_REJECT_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(black76_haug),       cmocka_unit_test(black76_full_precision),
        cmocka_unit_test(black76_haug_greeks), cmocka_unit_test(black76_haug_theta),
        cmocka_unit_test(black76_without_time),
        cmocka_unit_test(black76_margin_case), cmocka_unit_test(black76_spread_case), cmocka_unit_test(black76_covered_case),
        cmocka_unit_test(volatility_shock_limits),
        cmocka_unit_test(grid_places),        cmocka_unit_test(grid_interpolates),
        cmocka_unit_test(grid_extends),       cmocka_unit_test(grid_reach),
        cmocka_unit_test(bracket_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
