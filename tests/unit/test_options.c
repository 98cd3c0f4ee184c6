/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options in the exposure library, worked by hand: ETH at 100 USD, a call on it with a coarse grid
 * of USD 16 around there, two scenarios. Values, requirement, netting against the underlying,
 * minimum, roundings, bounds while a mark is bad, limits of a sale, what a set is refused for, and the
 * average at which an option settles.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/price/price.h"
#include "tests/support/build.h"

static struct build build;
static struct pl_option_grid grid;
static uint32_t eth, call, put, vol, fine;

/* USD per lot at 64, 80, 96, 112, 128, 160 USD; owed is one more. */
static const int64_t PLAIN[] = {1, 2, 6, 14, 28, 60}, UP[] = {2, 4, 9, 18, 32, 64};

static void fill_layer(enum pl_layer layer, const int64_t values[6])
{
    for (int i = 0; i < 6; i++) {
        grid.low[layer][i] = values[i] * (int64_t)BUILD_USD;
        grid.high[layer][i] = (values[i] + 1) * (int64_t)BUILD_USD;
    }
}

static uint32_t list_option(const char *id, enum pl_option_type type)
{
    uint32_t option = build_instrument(&build, id, PL_INSTRUMENT_OPTION, 0, 0);
    struct pl_instrument *row = &build.parameters.instruments[option];
    row->option = (struct pl_option_terms){.type = type, .underlying = eth, .volatility = vol,
                                           .strike_ticks = 100, .expiry_ms = 1};
    row->has_scenarios = true;
    row->scenario_underlying = eth;
    return option;
}

static void list(void)
{
    struct pl_parameters *set = &build.parameters;
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 0, 0);
    fine = build_instrument(&build, "FINE", PL_INSTRUMENT_PERP, 12, 0);
    vol = build_instrument(&build, "VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    call = list_option("C", PL_OPTION_CALL);
    put = list_option("P", PL_OPTION_PUT);
    for (uint32_t i = eth; i <= fine; i++) {
        set->instruments[i].has_scenarios = true;
        set->instruments[i].scenario_underlying = eth;
    }
    set->scenario_count = 2;
    set->scenarios[0] = (struct pl_option_scenario){120000, PL_LAYER_UP, build_flat(800000)};
    set->scenarios[1] = (struct pl_option_scenario){-200000, PL_LAYER_MID, build_flat(800000)};
    set->short_minimum = build_tiers(100000, 50000, 50000, 50000);
}

static void price(void)
{
    grid.grid = (struct pl_grid){.bits = 2, .first_cell = 6 << 2, .node_count = 6};
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        fill_layer(layer, layer == PL_LAYER_UP ? UP : PLAIN);
    build_finish(&build);
    for (uint32_t i = 0; i < build.names.count; i++)
        build_price(&build, i, 100);
    build.marks[call].grid = build.marks[put].grid = &grid;
    build_update(&build);
}

static void assert_excess(const struct pl_leg *legs, uint32_t count, enum pl_tier tier,
                          pl_i128 expected, const char *what)
{
    struct pl_portfolio portfolio = build_portfolio(legs, count, 0);
    struct pl_bounds bounds;
    pl_i128 excess = 0;
    assert_true(pl_evaluate(&build.market, &portfolio, tier, &excess));
    build_assert_i128(excess, expected, what);
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, tier, &bounds));
    build_assert_i128(bounds.low, expected, what);
    build_assert_i128(bounds.high, expected, what);
}

/* 100 is a quarter on from 96: worth 6 + 8 / 4 = 8, owed 9. Up 12 % at volatility up 18 and 19,
 * down 20 % 2 and 3. */
static void long_and_short(void **state)
{
    (void)state;
    list();
    price();
    assert_int_equal(build.market.quotes[call].status, PL_MARK_LIVE);
    struct pl_leg leg = build_leg(call, 10);
    assert_excess(&leg, 1, PL_TIER_MAINTENANCE, (80 - 48) * BUILD_EXCESS_USD, "10 long: 0.8 * 60");
    leg.lots = leg.final_lots = -10;
    assert_excess(&leg, 1, PL_TIER_MAINTENANCE, (-90 - 80) * BUILD_EXCESS_USD,
                  "10 short: 0.8 * 100");
    assert_excess(&leg, 1, PL_TIER_ALERT, (-90 - 100) * BUILD_EXCESS_USD,
                  "the minimum, 10 % of 1,000, is more");
}

/* Covered: 10 ETH and 10 calls owed lose 140 where ETH alone loses 200. */
static void covered(void **state)
{
    (void)state;
    list();
    price();
    struct pl_leg legs[] = {build_leg(eth, 10), build_leg(call, -10)};
    assert_excess(legs, 1, PL_TIER_MAINTENANCE, (1000 - 160) * BUILD_EXCESS_USD, "ETH: 0.8 * 200");
    assert_excess(legs, 2, PL_TIER_MAINTENANCE, (910 - 112) * BUILD_EXCESS_USD, "0.8 * 140");
    struct pl_term terms[PL_TERMS_MAX];
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 0);
    uint32_t count = pl_explain(&build.market, &portfolio, PL_TIER_MAINTENANCE, terms,
                                PL_TERMS_MAX);
    assert_true(count > 0 && terms[count - 1].kind == PL_TERM_SCENARIO);
    assert_int_equal(terms[count - 1].index, eth);
    assert_int_equal(terms[count - 1].scenario, 1);
}

/*
 * What covers an option counts for it. Values are what would be paid, so each figure is a payoff: ETH at
 * 100; falls of 20 and 36 % to 80 and 64, rises of 12 and 60 % to 112 and 160, all of which counts. Ten of
 * each, in USD:
 *               now   at 64   80   112   160
 *   call 96       4       0    0    16    64
 *   call 112      0       0    0     0    48
 *   put 112      12      48   32     0     0
 *   put 96        0      32   16     0     0
 *
 * For a call 96 sold alone 40 are owed and 600 lost. Covered by ETH it costs nothing: 960 less 320, at 64
 * where it ends worthless, is the 640 of ETH alone. For a put 112 sold 120 are owed and 360 lost; 480 in
 * cash, what it pays at 64, are just enough. With its strike in cash, 1,120, it has the 640 of ETH under a
 * call 112 sold (put-call parity). Spreads sold need their width of 16 and no more: of calls 40 are owed and
 * 120 lost wherever both pay, of puts 120 and 40. Spreads bought need nothing beyond what they are worth,
 * 40 and 120. Only the short minimum, here 5 % at the alert tier, knows no cover: 50 where 40 would be lost.
 */
static void credit_for_cover(void **state)
{
    (void)state;
    static struct pl_option_grid grids[4];
    static const struct { enum pl_option_type type; int64_t strike, pays[6]; } options[] = {
        {PL_OPTION_CALL, 96, {0, 0, 0, 16, 32, 64}}, {PL_OPTION_CALL, 112, {0, 0, 0, 0, 16, 48}},
        {PL_OPTION_PUT, 112, {48, 32, 16, 0, 0, 0}}, {PL_OPTION_PUT, 96, {32, 16, 0, 0, 0, 0}}};
    static const int32_t moves_ppm[] = {-360000, -200000, 120000, 600000};
    static const struct { const char *what; int64_t lots[5], cash, excess; } rows[] = {
        {"call sold", {0, -10, 0, 0, 0}, 0, -640},
        {"ETH", {10, 0, 0, 0, 0}, 0, 640},
        {"covered call", {10, -10, 0, 0, 0}, 0, 640},
        {"covered call 112", {10, 0, -10, 0, 0}, 0, 640},
        {"put sold", {0, 0, 0, -10, 0}, 0, -480},
        {"just secured put", {0, 0, 0, -10, 0}, 480, 0},
        {"cash-secured put", {0, 0, 0, -10, 0}, 1120, 640},
        {"call spread sold", {0, -10, 10, 0, 0}, 0, -160},
        {"put spread sold", {0, 0, 0, -10, 10}, 0, -160},
        {"call spread bought", {0, 10, -10, 0, 0}, 0, 0},
        {"put spread bought", {0, 0, 0, 10, -10}, 0, 0}};
    uint32_t held[5];
    list();
    struct pl_parameters *set = &build.parameters;
    set->short_minimum = build_tiers(50000, 0, 0, 0);
    set->scenario_count = 4;
    for (int s = 0; s < 4; s++)
        set->scenarios[s] =
            (struct pl_option_scenario){moves_ppm[s], PL_LAYER_MID, build_flat(PL_PPM)};
    held[0] = eth;
    for (int i = 0; i < 4; i++) {
        held[1 + i] = list_option((const char *[]){"C96", "C112", "P112", "P96"}[i], options[i].type);
        set->instruments[held[1 + i]].option.strike_ticks = options[i].strike;
    }
    price();
    for (int i = 0; i < 4; i++) {
        grids[i].grid = grid.grid;
        for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
            for (int node = 0; node < 6; node++)
                grids[i].low[layer][node] = grids[i].high[layer][node] =
                    options[i].pays[node] * (int64_t)BUILD_USD;
        build.marks[held[1 + i]].grid = &grids[i];
    }
    build_update(&build);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_leg legs[5];
        for (int k = 0; k < 5; k++)
            legs[k] = build_leg(held[k], rows[i].lots[k]);
        const struct pl_portfolio portfolio = build_portfolio(legs, 5, rows[i].cash * BUILD_USD);
        pl_i128 excess = 0;
        assert_true(pl_evaluate(&build.market, &portfolio, PL_TIER_MAINTENANCE, &excess));
        build_assert_i128(excess, rows[i].excess * BUILD_EXCESS_USD, rows[i].what);
    }
    const struct pl_leg bought[] = {build_leg(held[1], 10), build_leg(held[2], -10)};
    assert_excess(bought, 2, PL_TIER_ALERT, -10 * BUILD_EXCESS_USD, "the minimum");
}

/* The value's floor and ceiling, and the charge's: a third of a VU ppm counts whole. */
static void roundings(void **state)
{
    (void)state;
    list();
    build.parameters.scenarios[1].move_ppm = -200001;
    build.parameters.scenarios[1].weight = build_flat(333333);
    price();
    struct pl_leg leg = build_leg(fine, 1); /* worth 100 VU: 100 * 0.200001 * 0.333333 * 10^6 */
    assert_excess(&leg, 1, PL_TIER_MAINTENANCE, 100 * PL_PPM - 6666694, "rounded up");
    grid.low[PL_LAYER_MARK][3]++;
    grid.high[PL_LAYER_MARK][3]++;
    build.marks[call].tick++;
    build_update(&build);
    build_assert_i128(build.market.quotes[call].lot_vu, 8 * BUILD_USD, "a quarter VU is lost");
    build_assert_i128(build.market.quotes[call].short_lot_vu, 9 * BUILD_USD + 1, "or owed whole");
    grid.low[PL_LAYER_MARK][3] += 2 * (int64_t)BUILD_USD;
    build.marks[call].tick++;
    build_update(&build);
    build_assert_i128(build.market.quotes[call].lot_vu, 17 * BUILD_USD / 2, "8.50 USD");
    assert_int_equal(build.market.quotes[call].ticks, 8);
}

/* A stale call is worth 0 to 200, at most twice ETH; whoever owes it owes up to that, and a rise of
 * 12 % on top: 0.8 * 0.12 * 2,000. */
static void bad_mark(void **state)
{
    (void)state;
    list();
    price();
    build_status(&build, call, PL_MARK_STALE);
    build_status(&build, put, PL_MARK_HALTED);
    build_update(&build);
    static const struct { int64_t lots; pl_i128 low, high; } rows[] = {
        {10, 0, 2000}, {-10, -2192, 0}};
    for (int i = 0; i < 2; i++) {
        struct pl_leg leg = build_leg(call, rows[i].lots);
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, 0);
        struct pl_bounds bounds;
        assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
        build_assert_i128(bounds.low, rows[i].low * BUILD_EXCESS_USD, "low");
        build_assert_i128(bounds.high, rows[i].high * BUILD_EXCESS_USD, "high");
    }
    struct pl_leg leg = build_leg(put, -1); /* owed: at most twice the strike */
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, 0);
    struct pl_verdict verdict;
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    build_assert_i128(verdict.equity_vu.low, -200 * BUILD_USD, "a put's bound");
    assert_int_equal(verdict.doubts[0].reason, PL_DOUBT_HALTED);
}

/* Uncertain is not a shield: an ETH that is not final leaves the calls' requirement standing,
 * except for what it could cover. */
static void open_cover(void **state)
{
    (void)state;
    list();
    price();
    struct pl_leg legs[] = {build_leg(eth, 0), build_leg(call, -10)};
    legs[0].final_lots = 1;
    struct pl_portfolio portfolio = build_portfolio(legs, 2, 100 * BUILD_USD);
    struct pl_bounds bounds;
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
    build_assert_i128(bounds.high, ((100 + 100 - 90) * PL_PPM - 800000 * (100 - 12)) * BUILD_USD,
                      "at best it is there and rises by 12");
    build_assert_i128(bounds.low, (100 - 90 - 80) * BUILD_EXCESS_USD, "at worst there is none");
}

/* What is not final counts at its ends; of a perp that asks for more than its value each scenario
 * takes its own end: 10 at the fall, none of its value. */
static void open_linear(void **state)
{
    (void)state;
    list();
    const uint32_t perp = build_instrument(&build, "PERP", PL_INSTRUMENT_PERP, 0, 0);
    build_haircuts(&build, perp, build_flat(900000), build_flat(0));
    build.parameters.instruments[perp].has_scenarios = true;
    build.parameters.instruments[perp].scenario_underlying = eth;
    price();
    static const struct { int64_t low, high; } rows[] = {{0, 840}, {-160, 100}};
    for (int i = 0; i < 2; i++) {
        struct pl_leg leg = build_leg(i ? perp : eth, 0);
        leg.final_lots = 10;
        struct pl_portfolio portfolio = build_portfolio(&leg, 1, 0);
        struct pl_bounds bounds;
        assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
        build_assert_i128(bounds.low, rows[i].low * BUILD_EXCESS_USD, "low");
        build_assert_i128(bounds.high, rows[i].high * BUILD_EXCESS_USD, "high");
    }
}

/* An ETH that was never priced adds what it is worth, or nothing; it takes nothing away. */
static void unpriced_linear(void **state)
{
    (void)state;
    list();
    price();
    build.marks[eth].status = PL_MARK_NONE;
    build_update(&build);
    struct pl_leg leg = build_leg(eth, 10);
    struct pl_portfolio portfolio = build_portfolio(&leg, 1, 0);
    struct pl_bounds bounds;
    assert_true(pl_evaluate_bounds(&build.market, &portfolio, PL_TIER_MAINTENANCE, &bounds));
    build_assert_i128(bounds.low, 0, "low");
    build_assert_i128(bounds.high, PL_EXCESS_UNBOUNDED, "high");
}

/* 150.0001 USD may be 151. */
static void bounds_round_outward(void **state)
{
    (void)state;
    list();
    build.parameters.instruments[eth].price_rules.bad_mark_high_ppm = 1500001;
    price();
    build_status(&build, call, PL_MARK_STALE);
    build_update(&build);
    build_assert_i128(build.market.quotes[call].bad_high_lot_vu, 151 * BUILD_USD, "a call's bound");
}

static void underlying_moves(void **state)
{
    (void)state;
    list();
    price();
    build_update(&build);
    assert_int_equal(build.market.changed_mask, 0);
    build_price(&build, eth, 101);
    build_update(&build);
    assert_true(build.market.changed_mask >> call & 1);
    build_status(&build, eth, PL_MARK_STALE);
    build_update(&build);
    assert_int_equal(build.market.quotes[call].status, PL_MARK_STALE);
    build.marks[call].grid = NULL;
    build_update(&build);
    assert_int_equal(build.market.quotes[call].status, PL_MARK_HALTED);
    assert_int_equal(build.market.quotes[call].ticks, 0);
}

/* Bought back at 9 and 1 %, rounded up to the tick; a volatility is held by nobody. */
static void sale_and_volatility(void **state)
{
    (void)state;
    list();
    build_sellable(&build, call, 10000);
    price();
    struct pl_leg legs[] = {build_leg(call, -10), build_leg(vol, 5)};
    struct pl_portfolio portfolio = build_portfolio(legs, 1, 120 * BUILD_USD);
    struct pl_sale sale;
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    assert_int_equal(sale.leg_count, 1);
    assert_int_equal(sale.legs[0].limit_ticks, 10);
    portfolio = build_portfolio(legs + 1, 1, 0);
    struct pl_verdict verdict;
    pl_verdict_of(&build.market, &build.names, &portfolio, &verdict);
    build_assert_i128(verdict.equity_vu.high, 0, "counts nothing");
    assert_int_equal(verdict.doubts[0].reason, PL_DOUBT_UNLISTED);
}

static void assert_refused(const char *text)
{
    build.parameters.epoch++;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_REJECT_PARAMETERS);
    if (!strstr(pl_err_text(), text))
        fail_msg("\"%s\" is not in: %s", text, pl_err_text());
}

static void refusals(void **state)
{
    (void)state;
    struct pl_parameters *set = &build.parameters;
    list();
    set->scenarios[0].move_ppm = -PL_PPM;
    assert_refused("scenarios[0]: V9 move_ppm");
    list();
    set->scenarios[1].weight.at[PL_TIER_ALERT] = PL_PPM + 1;
    assert_refused("scenarios[1]: V10 weight alert");
    list();
    set->scenarios[1].weight.at[PL_TIER_MAINTENANCE] = 800001;
    assert_refused("V6 weight");
    list();
    set->scenario_count = 0;
    assert_refused("option.scenarios");
    list();
    set->instruments[call].confidence_ppm = 1;
    assert_refused("its scenarios are all");
    list();
    set->instruments[call].option.volatility = eth;
    assert_refused("not listed as a volatility");
    list();
    build_haircuts(&build, eth, build_flat(840001), build_flat(0)); /* and 0.8 * 0.2 */
    assert_refused("V3 instrument ETH haircut_long");
    list();
    price();
    static struct pl_parameters next;
    next = *set;
    next.epoch++;
    assert_int_equal(pl_parameters_follow(set, &next, &build.names), PL_OK);
    next.instruments[call].option.strike_ticks++;
    assert_int_equal(pl_parameters_follow(set, &next, &build.names), PL_REJECT_CONFLICT);
    next = *set;
    next.epoch++;
    next.instruments[call].option.averaging_ms++;
    assert_int_equal(pl_parameters_follow(set, &next, &build.names), PL_REJECT_CONFLICT);
    list();
    set->instruments[call].option.averaging_ms = 2; /* begins before there is time */
    assert_refused("option.averaging_ms");
}

/* ---- the bound of a sale's cost --------------------------------------------------------------- */

static struct pl_option_grid second;
static struct pl_sale sale;

static void level(struct pl_option_grid *of, int64_t now_vu, int64_t first_vu, int64_t second_vu)
{
    const int64_t values[] = {[PL_LAYER_MARK] = now_vu, [PL_LAYER_UP] = first_vu,
                              [PL_LAYER_MID] = second_vu, [PL_LAYER_DOWN] = now_vu};
    of->grid = grid.grid;
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (uint32_t i = 0; i < grid.grid.node_count; i++)
            of->low[layer][i] = of->high[layer][i] = values[layer];
}

/* Calls and puts are owed at 10 VU a lot and bought back at 11; in the first scenario calls cost 5 more, in
 * the second puts. 400001 ppm count. GRAIN counts 1 VU ppm a lot, and FINE is at 100 VU. */
static void sell_straddles(int32_t first_move_ppm, int32_t second_move_ppm, int64_t fine_lots,
                           int64_t puts, pl_i128 cash_vu)
{
    list();
    struct pl_parameters *set = &build.parameters;
    const uint32_t grain = build_instrument(&build, "GRAIN", PL_INSTRUMENT_SPOT, 12, 0);
    build_haircuts(&build, grain, build_flat(999999), build_flat(0));
    for (uint32_t i = call; i <= put; i++) {
        set->instruments[i].lot_decimals = 12;
        build_sellable(&build, i, 100000);
    }
    set->short_minimum = build_flat(0);
    set->scenarios[0] = (struct pl_option_scenario){first_move_ppm, PL_LAYER_UP, build_flat(400001)};
    set->scenarios[1] = (struct pl_option_scenario){second_move_ppm, PL_LAYER_MID, build_flat(400001)};
    price();
    build_price(&build, grain, 1);
    level(&grid, 10, 15, 10);
    level(&second, 10, 10, 15);
    build.marks[put].grid = &second;
    build_update(&build);
    const struct pl_leg legs[] = {build_leg(grain, 30), build_leg(call, -11), build_leg(put, -puts),
                                  build_leg(fine, fine_lots)};
    struct pl_portfolio portfolio = build_portfolio(legs, fine_lots ? 4 : 3, cash_vu);
    pl_plan_sale(&build.market, &build.names, &portfolio, &sale);
    build_assert_i128(sale.end_before, -25, "end before");
    assert_true(sale.reaches && sale.leg_count == 2);
    assert_int_equal(sale.legs[0].lots, 5);
    assert_int_equal(sale.legs[1].lots, 5);
    build_assert_i128(sale.cost_vu, 10, "cost");
}

/*
 * To buy one back gives up 1 VU and brings nothing by itself; a pair brings 5 * 400001 VU ppm less 2 VU, 5 VU
 * ppm. 25 lack: five pairs, 10 VU. The bound takes half of either scenario: all 11 calls bring 11 *
 * (1000002.5 - 10^6) = 27.5, 28 up, as do the puts, and what lacks is 25 less twice the half that 27.5 is
 * rounded by: 24 * 11 / 28 = 9.4. Down it would be 26 * 11 / 27 = 10.6, more than it costs.
 */
static void bound_of_a_straddle(void **state)
{
    (void)state;
    sell_straddles(120000, -200000, 0, 11, 242);
    build_assert_i128(sale.cost_bound_vu, 9, "bound");
}

/*
 * 5 * 10^6 VU of FINE that lose a fifth in the first scenario and 5 VU more in the second, which a put less
 * makes good. Half of either is 400001 * 400001 / 2 ppm^2: the half that is rounded, against the bound, is
 * 2.5 VU ppm of such a leg, so 22 lack with the half of the calls': 22 * 11 / 28 = 8.6. With the other sign 27
 * would, 10.6. Likewise where FINE is owed and rises.
 */
static void bound_of_a_covered_straddle(void **state)
{
    (void)state;
    /* 5 * 10^12 - 210 * 10^6 - 400001 * 1000055 and 30, less cash */
    sell_straddles(-200000, -200001, 50000, 10, -4599767);
    build_assert_i128(sale.cost_bound_vu, 8, "bound of a long");
    sell_straddles(200000, 200001, -50000, 10, 5400233);
    build_assert_i128(sale.cost_bound_vu, 8, "bound of a short");
}

/* ---- the average at expiry ------------------------------------------------------------------ */

static struct pl_settlement settlement;
static uint64_t mark_number;

static void see(int64_t at_ms, int64_t ticks, enum pl_mark_status status)
{
    const struct pl_mark mark = {.status = status, .mantissa = ticks, .low_mantissa = ticks,
                                 .high_mantissa = ticks, .source_offset = ++mark_number};
    pl_settlement_see(&settlement, &build.parameters, call, &mark, at_ms);
}

static bool split_at(int64_t now_ms, struct pl_settlement_split *split)
{
    return pl_settlement_split_at(&settlement, &build.parameters, call, now_ms, split);
}

static void begin_window(int64_t averaging_ms, int64_t hold_ms)
{
    list();
    build.parameters.instruments[call].option.expiry_ms = 1000000;
    build.parameters.instruments[call].option.averaging_ms = averaging_ms;
    build.parameters.instruments[eth].price_rules.age_ms_max = hold_ms;
    build_finish(&build);
    settlement = (struct pl_settlement){0};
}

/*
 * Ten seconds until 1,000,000; a mark counts for four:
 *   988,000 100    covers 990,000 to 992,000, for before is no part of the window
 *   993,000 106    until the next, 995,000, which is none
 *   996,000 108    to the end
 * 8 of 10 seconds: (2 * 100 + 2 * 106 + 4 * 108) / 8 = 105.5 -> 106, half to even. At 995,500 5.5 of them
 * are over, 4 covered at 103: 56.65 is fixed.
 */
static void settlement_average(void **state)
{
    (void)state;
    struct pl_settlement_split split;
    int64_t ticks = 0;
    begin_window(10000, 4000);
    assert_true(split_at(990000, &split) && split.passed == 0 && split.fixed_ticks == 0);
    assert_false(split_at(990001, &split));
    see(988000, 100, PL_MARK_LIVE);
    assert_true(split_at(992000, &split));
    assert_true(fabs(split.passed - .2) < 1e-12 && fabs(split.fixed_ticks - 20) < 1e-9);
    see(993000, 106, PL_MARK_LIVE);
    see(992500, 1000, PL_MARK_LIVE); /* time does not go back */
    mark_number -= 2;
    see(994000, 1000, PL_MARK_LIVE); /* nor do numbers */
    mark_number++;
    see(995000, 107, PL_MARK_STALE);
    assert_true(split_at(995500, &split));
    assert_true(fabs(split.passed - .55) < 1e-12 && fabs(split.fixed_ticks - 56.65) < 1e-9);
    see(996000, 108, PL_MARK_LIVE);
    assert_true(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
    assert_int_equal(ticks, 106);
    see(1000500, 500, PL_MARK_LIVE); /* what comes after is no part of it */
    assert_true(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
    assert_int_equal(ticks, 106);
}

/* Half of it must be known, and is enough; 100.5 goes down to the even 100. */
static void settlement_gaps(void **state)
{
    (void)state;
    struct pl_settlement_split split;
    int64_t ticks = 0;
    begin_window(10000, 2500);
    see(990000, 100, PL_MARK_LIVE);
    assert_true(split_at(995000, &split) && fabs(split.fixed_ticks - 50) < 1e-9);
    assert_false(split_at(995001, &split));
    assert_false(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
    see(997500, 101, PL_MARK_LIVE);
    assert_true(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
    assert_int_equal(ticks, 100);
    see(999000, 101, PL_MARK_LIVE);
    see(1000500, 102, PL_MARK_LIVE); /* the last one stands longer, but not in the window */
    assert_true(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
    assert_int_equal(ticks, 100);
    begin_window(10000, 2500);
    see(990000, 100, PL_MARK_LIVE);
    see(997501, 101, PL_MARK_LIVE);
    assert_false(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
}

/* A mark finer than the ticks of the option's underlying counts in whole ones, halves to even. */
static void settlement_ticks(void **state)
{
    (void)state;
    static const int64_t rows[][2] = {{1004, 100}, {1005, 100}, {1006, 101}, {1014, 101}, {1015, 102}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pl_mark mark = {.status = PL_MARK_LIVE, .mantissa = rows[i][0], .exponent = -1,
                                     .low_mantissa = rows[i][0], .high_mantissa = rows[i][0],
                                     .source_offset = ++mark_number};
        int64_t ticks = 0;
        begin_window(10000, 10000);
        pl_settlement_see(&settlement, &build.parameters, call, &mark, 990000);
        assert_true(pl_settlement_average(&settlement, &build.parameters, call, &ticks));
        assert_int_equal(ticks, rows[i][1]);
    }
}

/* 100 is a quarter on from 96: 5.50 is shown as 5, 7.50 as 8, and 6 between them. What lies less than a VU
 * below 6 is shown as 5. */
static void shown_prices(void **state)
{
    (void)state;
    struct pl_mark mark = {.grid = &grid};
    list();
    price();
    const struct pl_instrument *row = &build.parameters.instruments[call];
    int64_t *low = &grid.low[PL_LAYER_MARK][2], *high = &grid.high[PL_LAYER_MARK][2];
    low[0] = low[1] = 55 * (int64_t)BUILD_USD / 10;
    high[0] = high[1] = 75 * (int64_t)BUILD_USD / 10;
    pl_option_mark_prices(row, 100, &mark);
    assert_int_equal(mark.low_mantissa, 5);
    assert_int_equal(mark.mantissa, 6);
    assert_int_equal(mark.high_mantissa, 8);
    low[0] = 6 * (int64_t)BUILD_USD;
    low[1] = low[0] - 1;
    high[0] = 8 * (int64_t)BUILD_USD;
    high[1] = high[0] + 1;
    pl_option_mark_prices(row, 100, &mark);
    assert_int_equal(mark.low_mantissa, 5);
    assert_int_equal(mark.high_mantissa, 9);
}

/* What is fixed no longer moves: at 55 % of the window and 56.65, at 104 the average is to be 56.65 + 0.45 *
 * 104 = 103.45, and the call at 100 without volatility is worth 3.45; at no price at all the put 43.35. */
static void settlement_grid(void **state)
{
    (void)state;
    static struct pl_option_grid split;
    struct pl_option_inputs inputs = {.ticks = 104, .now_ms = 995500,
                                      .split = {.fixed_ticks = 56.65, .passed = .55}};
    begin_window(10000, 4000);
    build.parameters.instruments[put].option.expiry_ms = 1000000;
    for (int type = 0; type < 2; type++) {
        const int64_t at = type ? 0 : 104, worth = type ? 43350000000000 : 3450000000000;
        assert_int_equal(pl_option_grid_fill(&build.parameters, type ? put : call, &inputs, &split),
                         PL_OK);
        const struct pl_grid_place place = pl_grid_place(&split.grid, at);
        const int64_t *low = &split.low[0][place.node], *high = &split.high[0][place.node];
        assert_true(pl_grid_interpolate(low[0], low[1], place) <= worth);
        assert_true(pl_grid_interpolate(high[0], high[1], place) >= worth - 1);
        assert_true(type || pl_grid_interpolate(high[0], high[1], place) < worth + BUILD_USD / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_and_short),      cmocka_unit_test(covered),
        cmocka_unit_test(credit_for_cover),
        cmocka_unit_test(roundings),           cmocka_unit_test(bad_mark),
        cmocka_unit_test(open_cover),          cmocka_unit_test(open_linear),
        cmocka_unit_test(unpriced_linear),     cmocka_unit_test(bounds_round_outward),
        cmocka_unit_test(underlying_moves),    cmocka_unit_test(sale_and_volatility),
        cmocka_unit_test(refusals),            cmocka_unit_test(settlement_average),
        cmocka_unit_test(settlement_gaps),     cmocka_unit_test(settlement_grid),
        cmocka_unit_test(settlement_ticks),    cmocka_unit_test(shown_prices),
        cmocka_unit_test(bound_of_a_straddle), cmocka_unit_test(bound_of_a_covered_straddle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
