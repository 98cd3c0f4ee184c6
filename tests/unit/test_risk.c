/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Risk figures: the published values of the risk model (distances of RISK 3.3, tail of RISK 2.8), and
 * small books whose figures are worked out by hand beside them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "tests/support/build.h"

enum { TICK_DECIMALS = 6, LOT_DECIMALS = 6, COINS = 3, ROWS = 10 };

static struct build build;
static struct pl_stressed stressed;
static struct pl_direction direction;
static uint32_t coins[COINS];
static struct pl_leg legs[COINS];
static struct pl_portfolio portfolio;

static struct pl_outlook outlook_of(void)
{
    return (struct pl_outlook){.market = &build.market, .names = &build.names,
                               .marks = build.marks, .portfolio = &portfolio};
}

/* Three coins at 1,000 USD without any haircut, worth what RISK 3.3 exposes; equity 9,000 USD. */
static void set_up_exposures(void)
{
    static const char *const ids[COINS] = {"A", "B", "C"};
    static const int64_t units[COINS] = {120, -40, 15};
    build_init(&build);
    memset(&stressed, 0, sizeof stressed);
    memset(&direction, 0, sizeof direction);
    for (unsigned i = 0; i < COINS; i++) {
        coins[i] = build_instrument(&build, ids[i], PL_INSTRUMENT_SPOT, LOT_DECIMALS,
                                    TICK_DECIMALS);
        legs[i] = build_leg(coins[i], units[i] * 1000000);
    }
    build_finish(&build);
    for (unsigned i = 0; i < COINS; i++)
        build_price(&build, coins[i], 1000 * (int64_t)1000000);
    build_update(&build);
    portfolio = build_portfolio(legs, COINS, -86000 * BUILD_USD);
}

static void weigh(int32_t a, int32_t b, int32_t c)
{
    direction.weight_ppm[coins[0]] = a;
    direction.weight_ppm[coins[1]] = b;
    direction.weight_ppm[coins[2]] = c;
}

static struct pl_distance distance_of(int64_t step_max)
{
    struct pl_outlook outlook = outlook_of();
    struct pl_distance distance;
    pl_distance_of(&stressed, &outlook, &direction, step_max, &distance);
    return distance;
}

static void against(int64_t step)
{
    struct pl_outlook outlook = outlook_of();
    pl_direction_against(&stressed, &outlook, step, &direction);
}

/* ---- netting -------------------------------------------------------------------------------- */

/* 10 of A and -8 of B at 1,000 USD, 2 % each and 10 % on one factor: alone 1,200 and 960, together 2 % of
 * 18,000 and 10 % of 2,000. Cash, owed or not, asks for nothing. */
static void a_hedge_is_spared(void **state)
{
    (void)state;
    struct pl_netting netting;
    build_init(&build);
    uint32_t factor = build_factor(&build, "MARKET");
    for (unsigned i = 0; i < 2; i++) {
        coins[i] = build_instrument(&build, i == 0 ? "A" : "B", PL_INSTRUMENT_PERP, LOT_DECIMALS,
                                    TICK_DECIMALS);
        build_haircuts(&build, coins[i], build_flat(20000), build_flat(20000));
        build_load(&build, coins[i], factor, build_flat(100000));
        legs[i] = build_leg(coins[i], i == 0 ? 10000000 : -8000000);
    }
    build_finish(&build);
    for (unsigned i = 0; i < 2; i++)
        build_price(&build, coins[i], 1000 * (int64_t)1000000);
    build_update(&build);
    portfolio = build_portfolio(legs, 2, -500 * BUILD_USD);
    assert_true(pl_netting_of(&build.market, &portfolio, PL_TIER_MAINTENANCE, &netting));
    build_assert_i128(netting.requirement, 560 * BUILD_EXCESS_USD, "together");
    build_assert_i128(netting.gross_requirement, 2160 * BUILD_EXCESS_USD, "alone");
    assert_int_equal(netting.efficiency_ppm, 740740); /* 1600 / 2160, down */
    portfolio.leg_count = 1;
    assert_true(pl_netting_of(&build.market, &portfolio, PL_TIER_MAINTENANCE, &netting));
    assert_int_equal(netting.efficiency_ppm, 0);
    portfolio.leg_count = 0;
    assert_true(pl_netting_of(&build.market, &portfolio, PL_TIER_MAINTENANCE, &netting));
    assert_true(netting.gross_requirement == 0 && netting.efficiency_ppm == 0);
    portfolio.final_cash_vu--;
    assert_false(pl_netting_of(&build.market, &portfolio, PL_TIER_MAINTENANCE, &netting));
}

/* ---- prices --------------------------------------------------------------------------------- */

static void prices_move_to_the_nearest_tick(void **state)
{
    (void)state;
    static const struct {
        int64_t mantissa;
        int32_t exponent;
        uint32_t decimals;
        int64_t move_e12, ticks; /* 0: out of range */
    } rows[] = {
        {1000, 0, 0, 1000000000, 1001},          /* + 0.1 % */
        {1000, 0, 0, 500000000, 1000},           /* 1000.5: to even */
        {1001, 0, 0, 500000000, 1002},           /* 1001.5005 */
        {1001, 0, 0, -500000000, 1000},          /* 1000.4995 */
        {3, 0, 0, -500000000000, 2},             /* 1.5: to even */
        {5, 0, 0, -500000000000, 2},             /* 2.5: to even */
        {2400, 0, 4, -1, 24000000},              /* 24000000 - 0.000024: half-even of one product */
        {2400, 0, 4, -20833333334, 23500000},
        {1, -6, 6, -999999999999, 1},            /* never less than a tick */
        {1000, 0, 0, -1000000000000, 1},
        {INT64_MAX, 0, 0, 0, INT64_MAX},
        {INT64_MAX, 0, 0, 1000000000000, 0},
        {1, -38, 0, 0, 0},                       /* twelve more decimals than there are */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ticks = 0;
        bool is_moved = pl_price_move(rows[i].mantissa, rows[i].exponent, rows[i].decimals,
                                      rows[i].move_e12, &ticks);
        assert_int_equal(is_moved, rows[i].ticks != 0);
        if (is_moved)
            assert_int_equal(ticks, rows[i].ticks);
    }
}

/* A moved market is the market of moved marks: intervals and status go with the price. */
static void intervals_and_doubts_move_along(void **state)
{
    (void)state;
    set_up_exposures();
    struct pl_outlook outlook = outlook_of();
    build_interval(&build, coins[0], 990 * 1000000, 1010 * (int64_t)1000000);
    build_status(&build, coins[1], PL_MARK_HALTED);
    weigh(PL_PPM, PL_PPM, 0);
    pl_stress(&stressed, &outlook, &direction, -100000);
    const struct pl_quote *quotes = stressed.market.quotes;
    assert_int_equal(quotes[coins[0]].ticks, 900 * 1000000);
    assert_int_equal(quotes[coins[0]].low_lot_vu, 891 * 1000000);
    assert_int_equal(quotes[coins[0]].high_lot_vu, 909 * 1000000);
    assert_int_equal(quotes[coins[1]].status, PL_MARK_HALTED);
    assert_int_equal(quotes[coins[1]].ticks, 900 * 1000000);
    assert_int_equal(quotes[coins[2]].ticks, 1000 * 1000000);
    assert_int_equal(quotes[coins[2]].status, PL_MARK_LIVE);
    pl_stress(&stressed, &outlook, &direction, 0); /* and back */
    assert_int_equal(stressed.market.quotes[coins[0]].ticks, 1000 * 1000000);
}

/* ---- distance ------------------------------------------------------------------------------- */

/* RISK 3.3: e = (120000, -40000, 15000), A = 9000. */
static void distances_of_the_risk_model(void **state)
{
    (void)state;
    static const struct {
        int32_t weights[COINS];
        int64_t probe, step_max, step; /* probe 0: as it stands */
        enum pl_distance_kind kind;
    } rows[] = {
        {{1000000, 1000000, 1000000}, 10000, 1000000, 51428, PL_DISTANCE_REACHED}, /* 5.142857 % */
        {{35000, 45000, 60000}, 250000, 10000000, 1304347, PL_DISTANCE_REACHED}, /* 1.304348 */
        {{-1000000, -1000000, -1000000}, 0, 1000000, 94736, PL_DISTANCE_REACHED}, /* 9000 / 95000 */
        {{1000000, 1000000, 1000000}, 0, 5000000, 5000000, PL_DISTANCE_NEVER},
        {{0, 1000000, 0}, 0, 1000000, 225000, PL_DISTANCE_REACHED}, /* 9000 / 40000, exactly 0 there */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up_exposures();
        weigh(rows[i].weights[0], rows[i].weights[1], rows[i].weights[2]);
        if (rows[i].probe)
            against(rows[i].probe);
        struct pl_distance distance = distance_of(rows[i].step_max);
        assert_int_equal(distance.kind, rows[i].kind);
        assert_int_equal(distance.step, rows[i].step);
        assert_true(distance.excess >= 0);
        assert_true(rows[i].kind == PL_DISTANCE_NEVER || distance.excess_beyond < 0);
    }
}

static void each_price_turns_against_the_account(void **state)
{
    (void)state;
    set_up_exposures();
    weigh(PL_PPM, PL_PPM, PL_PPM);
    against(10000);
    assert_int_equal(direction.weight_ppm[coins[0]], -PL_PPM);
    assert_int_equal(direction.weight_ppm[coins[1]], PL_PPM);
    assert_int_equal(direction.weight_ppm[coins[2]], -PL_PPM);
    portfolio.leg_count = 2; /* the third is nobody's business then */
    weigh(PL_PPM, PL_PPM, PL_PPM);
    against(10000);
    assert_int_equal(direction.weight_ppm[coins[2]], 0);
}

static void a_probe_is_one_price_alone(void **state)
{
    (void)state;
    set_up_exposures();
    struct pl_outlook outlook = outlook_of();
    struct pl_probe probe;
    assert_true(pl_probe_price(&stressed, &outlook, coins[0], 10000000000, &probe));
    build_assert_i128(probe.up, 10200 * BUILD_EXCESS_USD, "up 1 %");
    build_assert_i128(probe.down, 7800 * BUILD_EXCESS_USD, "down 1 %");
    build_status(&build, coins[2], PL_MARK_NONE);
    assert_false(pl_probe_price(&stressed, &outlook, coins[2], 10000000000, &probe));
}

static void distances_that_are_none(void **state)
{
    (void)state;
    set_up_exposures();
    weigh(-PL_PPM, -PL_PPM, -PL_PPM);
    portfolio = build_portfolio(legs, COINS, -95001 * BUILD_USD);
    struct pl_distance distance = distance_of(1000000);
    assert_int_equal(distance.kind, PL_DISTANCE_BELOW);
    assert_int_equal(distance.step, 0);
    build_assert_i128(distance.excess, -BUILD_EXCESS_USD, "excess");

    portfolio = build_portfolio(legs, COINS, -95000 * BUILD_USD); /* exactly on the line */
    distance = distance_of(1000000);
    assert_int_equal(distance.kind, PL_DISTANCE_REACHED);
    assert_int_equal(distance.step, 0);
    build_assert_i128(distance.excess, 0, "on the line");

    legs[0] = build_leg(coins[0], (int64_t)600 * 1000000 * 1000000); /* 6 * 10^11 USD */
    portfolio = build_portfolio(legs, 1, 0);
    weigh(PL_PPM, 0, 0);
    distance = distance_of(5000000);
    assert_int_equal(distance.kind, PL_DISTANCE_UNKNOWN); /* 10^12 USD is the bound */
    assert_int_equal(distance.step, 666666);
}

/* With a bad mark the lower bound is what is looked at. */
static void doubt_shortens_a_distance(void **state)
{
    (void)state;
    set_up_exposures();
    portfolio = build_portfolio(legs, COINS, -76000 * BUILD_USD); /* equity 19,000 */
    weigh(-PL_PPM, 0, 0);
    assert_int_equal(distance_of(1000000).step, 158333); /* 19000 / 120000 */
    build_status(&build, coins[2], PL_MARK_STALE);       /* 15,000 may be nothing */
    assert_int_equal(distance_of(1000000).step, 33333);  /* 4000 / 120000 */
}

/* ---- tail ----------------------------------------------------------------------------------- */

/* RISK 2.8, scenario by scenario through the marks: n = (+150000, -47500). */
static void tail_of_the_risk_model(void **state)
{
    (void)state;
    static const int32_t moves[ROWS][2] = {{-50000, -49800}, {20000, 20100}, {-120000, -121000},
                                           {35000, 34000}, {-10000, -9000}, {60000, 61000},
                                           {-80000, -79000}, {5000, 5200}, {-30000, -30500},
                                           {90000, 88000}};
    pl_i128 losses[ROWS];
    struct pl_tail tail;
    set_up_exposures();
    legs[0] = build_leg(coins[0], 150 * 1000000);
    legs[1] = build_leg(coins[1], -47500000);
    portfolio = build_portfolio(legs, 2, 0);
    struct pl_outlook outlook = outlook_of();
    for (unsigned i = 0; i < ROWS; i++) {
        struct pl_verdict verdict;
        weigh(moves[i][0], moves[i][1], 0);
        pl_stress(&stressed, &outlook, &direction, PL_PPM);
        pl_verdict_of(&stressed.market, &build.names, &portfolio, &verdict);
        losses[i] = 102500 * BUILD_USD - verdict.equity_vu.low;
    }
    pl_tail_of(losses, ROWS, 800000, &tail);
    assert_int_equal(tail.rank, 2);
    build_assert_i128(tail.exposure_vu, 8247500000000000, "PFE 8247.5");
    build_assert_i128(tail.shortfall_vu, 10250 * BUILD_USD, "ES");
}

static void tails_round_as_they_say(void **state)
{
    (void)state;
    static const struct {
        pl_i128 losses[4];
        uint32_t count;
        int32_t confidence_ppm;
        uint32_t rank;
        int64_t exposure, shortfall, deviation;
    } rows[] = {
        {{1, 2, 3, 4}, 4, 500000, 2, 3, 3, 3},        /* mean 3.5 down; root of 7.5 up */
        {{4, 3, 2, 1}, 4, 500001, 2, 3, 3, 3},        /* rank 1.999996 up */
        {{4, 1, 3, 2}, 4, 499999, 3, 2, 3, 3},        /* rank 2.000004 up */
        {{-1, -2, -4, -4}, 4, 250000, 3, -4, -3, 4},  /* mean -7/3 down; root of 9.25 up */
        {{7, 0, 0, 0}, 1, 999999, 1, 7, 7, 7},
        {{0, 0, 0, 0}, 4, 990000, 1, 0, 0, 0},
        {{3, 4, 0, 0}, 2, 990000, 1, 4, 4, 4},        /* root of 12.5 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pl_i128 losses[4];
        struct pl_tail tail;
        memcpy(losses, rows[i].losses, sizeof losses);
        pl_tail_of(losses, rows[i].count, rows[i].confidence_ppm, &tail);
        assert_int_equal(tail.rank, rows[i].rank);
        build_assert_i128(tail.exposure_vu, rows[i].exposure, "exposure");
        build_assert_i128(tail.shortfall_vu, rows[i].shortfall, "shortfall");
        build_assert_i128(tail.deviation_vu, rows[i].deviation, "deviation");
    }
}

/* Beyond 57 bits sizes are counted by twos, up: 2^57 + 1 is 2^57 + 2, and 2^57 - 3 beside 2^57, which has 58
 * bits, 2^57 - 2. The mean of those squares is a little above (2^57 - 1)^2, its root up by twos 2^57. */
static void large_losses_are_counted_by_twos(void **state)
{
    (void)state;
    const pl_i128 most = (pl_i128)1 << 57;
    pl_i128 losses[2] = {-most - 1, 0};
    struct pl_tail tail;
    pl_tail_of(losses, 1, 990000, &tail);
    build_assert_i128(tail.deviation_vu, most + 2, "2^57 + 1");
    losses[0] = most;
    losses[1] = 3 - most;
    pl_tail_of(losses, 2, 990000, &tail);
    build_assert_i128(tail.deviation_vu, most, "2^57 and 3 less");
}

/*
 * RISK 3.3's ellipsoid: sigma (3.5, 4.5, 6 %), rho (.85, .7, .75), e as above gives a deviation of
 * 3420.526275 USD and k* = 9000 / 3420.526275 = 2.631174. The rows are +- sqrt(3) times the columns of
 * the Cholesky factor, in ppm, so their mean square is that covariance up to the rounding to ppm:
 *   L = (.035, 0, 0) (.03825, .0237052, 0) (.042, .0176543, .0390426)
 */
static void deviation_of_the_risk_model(void **state)
{
    (void)state;
    static const int32_t columns[COINS][COINS] = {
        {60622, 66251, 72746}, {0, 41059, 30578}, {0, 0, 67624}};
    static const int64_t exposures_usd[COINS] = {120000, -40000, 15000};
    pl_i128 losses[2 * COINS];
    struct pl_tail tail;
    for (unsigned row = 0; row < COINS; row++) {
        pl_i128 loss = 0;
        for (unsigned i = 0; i < COINS; i++)
            loss -= exposures_usd[i] * BUILD_USD / PL_PPM * columns[row][i];
        losses[2 * row] = loss;
        losses[2 * row + 1] = -loss;
    }
    pl_tail_of(losses, 2 * COINS, 990000, &tail);
    pl_i128 off = tail.deviation_vu - (pl_i128)3420526275 * 1000000;
    assert_true(pl_abs(off) < BUILD_USD / 5); /* of 3,420 USD: what rounding to ppm can do */
    assert_in_range((int64_t)(9000 * BUILD_USD * PL_PPM / tail.deviation_vu), 2631000, 2631350);
}

/* ---- book ----------------------------------------------------------------------------------- */

/* RISK 2.8's sale: 10 ETH against 20,000 USD, mm 20 %, end 25 %, 1 %: 347,222,223 lots at 2,400. */
static void a_book_is_summed(void **state)
{
    (void)state;
    struct pl_stress_sum sum = {0};
    build_init(&build);
    uint32_t eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    build_haircuts(&build, eth, build_tiers(250000, 250000, 250000, 200000), build_flat(0));
    build_sellable(&build, eth, 10000);
    build_finish(&build);
    build_price(&build, eth, 24000000);
    build_update(&build);
    const struct pl_leg leg = build_leg(eth, 1000000000);
    static const int64_t cash_usd[] = {-20000, -19200, -18000, -25000};
    for (unsigned i = 0; i < 4; i++) {
        const struct pl_portfolio account = build_portfolio(&leg, 1, cash_usd[i] * BUILD_USD);
        pl_stress_add(&sum, &build.market, &build.names, &account);
    }
    assert_int_equal(sum.account_count, 4);
    assert_int_equal(sum.below_count, 2); /* 19,200 is exactly on the line */
    assert_int_equal(sum.bankrupt_count, 1);
    assert_int_equal(sum.debt_count, 1);
    assert_int_equal(sum.uncertain_count, 0);
    build_assert_i128(sum.sold_vu, (pl_i128)(347222223 + 1000000000) * 2400 * 10000, "sold");
    build_assert_i128(sum.lacking, (800 + 5800) * BUILD_EXCESS_USD, "lacking");
    build_assert_i128(sum.debt_vu, 1000 * BUILD_USD, "bad debt");

    struct pl_stress_sum even = {0};
    const struct pl_portfolio owes_all = build_portfolio(&leg, 1, -24000 * BUILD_USD);
    pl_stress_add(&even, &build.market, &build.names, &owes_all);
    assert_int_equal(even.below_count, 1);
    assert_int_equal(even.debt_count, 0); /* equity is 0, not below it */

    build_status(&build, eth, PL_MARK_STALE); /* worth 0 to 48,000: nobody is certainly below */
    build_update(&build);
    const struct pl_portfolio unsure = build_portfolio(&leg, 1, -20000 * BUILD_USD);
    const struct pl_leg huge = build_leg(eth, INT64_MAX);
    const struct pl_portfolio beyond = build_portfolio(&huge, 1, 0);
    pl_stress_add(&sum, &build.market, &build.names, &unsure);
    pl_stress_add(&sum, &build.market, &build.names, &beyond);
    assert_int_equal(sum.account_count, 6);
    assert_int_equal(sum.uncertain_count, 1);
    assert_int_equal(sum.out_of_range_count, 1);
    assert_int_equal(sum.below_count, 2);
}

static enum pl_standing standing_of(const struct pl_leg *leg, int64_t debt_usd)
{
    struct pl_verdict verdict;
    const struct pl_portfolio account = build_portfolio(leg, 1, -debt_usd * BUILD_USD);
    pl_verdict_of(&build.market, &build.names, &account, &verdict);
    return pl_standing_of(&verdict);
}

static void standing_is_the_last_tier_below(void **state)
{
    (void)state;
    build_init(&build);
    uint32_t eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    build_haircuts(&build, eth, build_tiers(400000, 300000, 200000, 100000), build_flat(0));
    build_finish(&build);
    build_price(&build, eth, 10000000);
    build_update(&build);
    const struct pl_leg leg = build_leg(eth, 1000000000); /* 10,000 USD */
    const struct pl_leg huge = build_leg(eth, INT64_MAX);
    static const struct { int64_t debt_usd; enum pl_standing standing; } rows[] = {
        {6000, PL_STANDING_WHOLE}, {6001, PL_STANDING_ALERT}, {7000, PL_STANDING_ALERT},
        {7001, PL_STANDING_INITIAL}, {8000, PL_STANDING_INITIAL}, {8001, PL_STANDING_END},
        {9000, PL_STANDING_END}, {9001, PL_STANDING_MAINTENANCE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(standing_of(&leg, rows[i].debt_usd), rows[i].standing);
    assert_int_equal(standing_of(&huge, 0), PL_STANDING_OUT_OF_RANGE);
    build_status(&build, eth, PL_MARK_HALTED);
    build_update(&build);
    assert_int_equal(standing_of(&leg, 6000), PL_STANDING_UNCERTAIN);
    assert_int_equal(standing_of(&leg, 20001), PL_STANDING_MAINTENANCE); /* even at twice the price */
}

static void the_largest_holders_are_kept_in_order(void **state)
{
    (void)state;
    static struct pl_gross gross;
    memset(&gross, 0, sizeof gross);
    assert_int_equal(pl_gross_share_ppm(&gross, 1), 0);
    for (unsigned i = 0; i < 15; i++) { /* 7 i mod 15: every value once */
        struct pl_id id;
        char name[8] = {'a', (char)('a' + i), '\0'};
        assert_int_equal(pl_id_set(&id, name, 2), PL_OK);
        pl_gross_add(&gross, &id, 7 * i % 15, i == 3 ? 5 : 0);
    }
    build_assert_i128(gross.long_vu, 105, "long");
    build_assert_i128(gross.short_vu, 5, "short");
    assert_int_equal(gross.holder_count, 14);
    assert_int_equal(gross.top_count, PL_HOLDERS_MAX);
    for (unsigned i = 0; i < PL_HOLDERS_MAX; i++)
        build_assert_i128(gross.top[i].long_vu, 14 - i, "place");
    assert_int_equal(pl_gross_share_ppm(&gross, 1), 133333); /* 14 / 105, down */
    assert_int_equal(pl_gross_share_ppm(&gross, 2), 257142); /* 27 / 105, down */
    struct pl_id first, second;
    static struct pl_gross falling;
    memset(&falling, 0, sizeof falling);
    for (int i = 0; i < 15; i++) /* each comes last */
        pl_gross_add(&falling, &gross.top[0].account, 15 - i, 0);
    assert_int_equal(falling.top_count, PL_HOLDERS_MAX);
    build_assert_i128(falling.top[PL_HOLDERS_MAX - 1].long_vu, 6, "last place");
    assert_int_equal(pl_id_set(&second, "y", 1), PL_OK);
    assert_int_equal(pl_id_set(&first, "x", 1), PL_OK);
    pl_gross_add(&gross, &second, 100, 0); /* equals are in order of id, however they come */
    pl_gross_add(&gross, &first, 100, 0);
    assert_string_equal(gross.top[0].account.text, "x");
    assert_string_equal(gross.top[1].account.text, "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hedge_is_spared),
        cmocka_unit_test(prices_move_to_the_nearest_tick),
        cmocka_unit_test(intervals_and_doubts_move_along),
        cmocka_unit_test(distances_of_the_risk_model),
        cmocka_unit_test(each_price_turns_against_the_account),
        cmocka_unit_test(a_probe_is_one_price_alone),
        cmocka_unit_test(distances_that_are_none),
        cmocka_unit_test(doubt_shortens_a_distance),
        cmocka_unit_test(tail_of_the_risk_model),
        cmocka_unit_test(tails_round_as_they_say),
        cmocka_unit_test(large_losses_are_counted_by_twos),
        cmocka_unit_test(deviation_of_the_risk_model),
        cmocka_unit_test(a_book_is_summed),
        cmocka_unit_test(standing_is_the_last_tier_below),
        cmocka_unit_test(the_largest_holders_are_kept_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
