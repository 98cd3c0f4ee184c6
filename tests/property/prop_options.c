/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options against a naive model, in integers of any size, written from what plimsoll.h and RISK 1.4
 * say: the same excess; concave in holdings, stricter tiers never higher, a deposit of the
 * underlying never hurts; and bounds that hold whatever a bad mark turns out to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gmp.h>
#include <inttypes.h>
#include <string.h>

#include "lib/price/price.h"
#include "tests/support/build.h"
#include "tests/support/random.h"

enum { OPTIONS = 4, LEGS = OPTIONS + 3, ROUNDS = 20000 };

static struct build build, truth;
static struct test_random chance;
static struct pl_option_grid grids[OPTIONS], true_grids[OPTIONS];
static uint32_t eth, perp, cash_coin, vol, options[OPTIONS];
static struct pl_leg legs[LEGS];
static pl_i128 cash_vu;

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(&chance, (uint64_t)(most - least + 1));
}

static struct pl_tier_ppm nested(int32_t most)
{
    struct pl_tier_ppm ppm;
    int32_t value = (int32_t)between(0, most);
    for (int t = 0; t < PL_TIER_COUNT; t++)
        ppm.at[t] = value = (int32_t)between(value / 2, value);
    return ppm;
}

/* ---- a random world ------------------------------------------------------------------------- */

/* Grids of their own size and place; the price is often outside. Values by a random volatility keep
 * below the underlying, or the strike. */
static void fill_grid(uint32_t k, struct pl_option_grid *grid, int64_t around)
{
    const struct pl_instrument *row = &build.parameters.instruments[options[k]];
    const struct pl_instrument *under = &build.parameters.instruments[row->option.underlying];
    const uint32_t bits = (uint32_t)between(1, PL_GRID_BITS);
    const uint32_t octave = 63 - (uint32_t)__builtin_clzll((uint64_t)around);
    grid->grid = (struct pl_grid){.bits = bits,
                                  .first_cell = ((octave - (uint32_t)between(1, 4)) << bits) +
                                                (uint32_t)between(0, (1 << bits) - 1),
                                  .node_count = (uint32_t)between(3, 5 << bits)};
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++) {
        const struct pl_bracket_terms terms = {
            .type = row->option.type, .strike_ticks = row->option.strike_ticks,
            .tick_decimals = under->tick_decimals, .lot_decimals = row->lot_decimals,
            .forward_ratio = 1, .volatility = (double)between(0, 300) / 100,
            .years = (double)between(0, 500) / 1000};
        assert_int_equal(pl_bracket_fill(&grid->grid, &terms, grid->low[layer], grid->high[layer]),
                         PL_OK);
    }
}

static void draw_set(void)
{
    struct pl_parameters *set = &build.parameters;
    const uint32_t under_decimals = (uint32_t)between(2, 4);
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, (uint32_t)between(0, 8),
                           under_decimals);
    perp = build_instrument(&build, "PERP", PL_INSTRUMENT_PERP, 3, 2);
    cash_coin = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 6, 4);
    vol = build_instrument(&build, "VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    build_haircuts(&build, eth, nested(100000), nested(100000));
    build_haircuts(&build, cash_coin, nested(50000), nested(50000));
    set->instruments[eth].has_scenarios = set->instruments[perp].has_scenarios = true;
    set->instruments[eth].scenario_underlying = set->instruments[perp].scenario_underlying = eth;
    for (uint32_t k = 0; k < OPTIONS; k++) {
        static const char *const ids[] = {"O0", "O1", "O2", "O3"};
        options[k] = build_instrument(&build, ids[k], PL_INSTRUMENT_OPTION,
                                      (uint32_t)between(0, 8), (uint32_t)between(0, 4));
        struct pl_instrument *row = &set->instruments[options[k]];
        row->option = (struct pl_option_terms){
            .type = k % 2 ? PL_OPTION_PUT : PL_OPTION_CALL, .volatility = vol,
            .underlying = k == 3 ? perp : eth, .strike_ticks = between(50000, 600000),
            .expiry_ms = 1};
        row->has_scenarios = true;
        row->scenario_underlying = row->option.underlying;
    }
    set->scenario_count = (uint32_t)between(1, 33);
    for (uint32_t s = 0; s < set->scenario_count; s++)
        set->scenarios[s] = (struct pl_option_scenario){
            .move_ppm = (int32_t)between(-800000, 800000),
            .layer = (enum pl_layer)between(PL_LAYER_UP, PL_LAYER_DOWN),
            .weight = nested(PL_PPM)};
    if (between(0, 1))
        set->scenarios[0].move_ppm = 5000000, set->scenarios[0].weight = nested(32000);
    set->short_minimum = nested(200000);
    build_finish(&build);
}

static void price_all(void)
{
    build_price(&build, eth, between(60000, 900000));
    build_price(&build, perp, between(60000, 900000));
    build_price(&build, cash_coin, 10000);
    for (uint32_t k = 0; k < OPTIONS; k++) {
        const struct pl_instrument *row = &build.parameters.instruments[options[k]];
        build_price(&build, options[k], 1);
        fill_grid(k, &grids[k], build.marks[row->option.underlying].mantissa);
        build.marks[options[k]].grid = &grids[k];
    }
    build_update(&build);
}

static void hold(void)
{
    const uint32_t held[LEGS] = {eth, perp, cash_coin, options[0], options[1], options[2],
                                 options[3]};
    for (uint32_t i = 0; i < LEGS; i++) {
        const struct pl_instrument *row = &build.parameters.instruments[held[i]];
        const int64_t unit = (int64_t)pl_pow10(row->lot_decimals);
        legs[i] = build_leg(held[i], between(0, 3) ? between(-20, 20) * unit + between(-9, 9) : 0);
    }
    cash_vu = between(-100000, 100000) * BUILD_USD;
}

/* ---- the naive model ------------------------------------------------------------------------ */

static void node_price(const struct pl_grid *grid, uint32_t node, mpz_t price)
{
    const uint32_t cell = grid->first_cell + node, octave = cell >> grid->bits;
    mpz_set_ui(price, (1u << grid->bits) + (cell & ((1u << grid->bits) - 1)));
    mpz_mul_2exp(price, price, octave - grid->bits);
}

/* The exact line at `price`, rounded to the side that is asked for. */
static void line_at(const struct pl_grid *grid, const int64_t *nodes, const mpz_t price, bool is_up,
                    mpz_t value)
{
    mpz_t from, to, part;
    mpz_inits(from, to, part, NULL);
    uint32_t node = grid->node_count - 2;
    for (node_price(grid, node, from); node > 0 && mpz_cmp(from, price) > 0;
         node_price(grid, node, from))
        node--;
    node_price(grid, node + 1, to);
    mpz_sub(part, to, price);
    mpz_mul_si(value, part, nodes[node]);
    mpz_sub(part, price, from);
    mpz_mul_si(part, part, nodes[node + 1]);
    mpz_add(value, value, part);
    mpz_sub(to, to, from);
    if (is_up)
        mpz_cdiv_q(value, value, to);
    else
        mpz_fdiv_q(value, value, to);
    if (mpz_sgn(value) < 0)
        mpz_set_ui(value, 0);
    mpz_clears(from, to, part, NULL);
}

/* What an option leg is worth in scenario `s`, or now (-1). */
static void option_value(const struct build *of, const struct pl_leg *leg, int s, mpz_t value)
{
    const struct pl_parameters *set = &of->parameters;
    const struct pl_option_grid *grid = of->marks[leg->instrument].grid;
    const uint32_t underlying = set->instruments[leg->instrument].option.underlying;
    const enum pl_layer layer = s < 0 ? PL_LAYER_MARK : set->scenarios[s].layer;
    mpz_t price, low;
    mpz_init_set_si(price, of->marks[underlying].mantissa);
    mpz_init(low);
    if (s >= 0) {
        mpz_mul_si(price, price, PL_PPM + set->scenarios[s].move_ppm);
        mpz_fdiv_q_ui(price, price, PL_PPM);
    }
    line_at(&grid->grid, grid->low[layer], price, false, low);
    line_at(&grid->grid, grid->high[layer], price, true, value);
    if (leg->lots >= 0 || mpz_cmp(value, low) < 0)
        mpz_set(value, low);
    mpz_mul_si(value, value, leg->lots);
    mpz_clears(price, low, NULL);
}

static void add_group(const struct build *of, uint32_t underlying, enum pl_tier tier, mpz_t excess)
{
    const struct pl_parameters *set = &of->parameters;
    mpz_t worst, gain, part, owed;
    mpz_inits(worst, gain, part, owed, NULL);
    for (int s = 0; s < (int)set->scenario_count; s++) {
        mpz_set_ui(gain, 0);
        for (uint32_t i = 0; i < LEGS; i++) {
            const struct pl_instrument *row = &set->instruments[legs[i].instrument];
            if (!row->has_scenarios || row->scenario_underlying != underlying)
                continue;
            if (row->kind != PL_INSTRUMENT_OPTION) {
                mpz_set_si(part, legs[i].lots);
                mpz_mul_si(part, part, of->marks[legs[i].instrument].mantissa);
                mpz_mul_si(part, part, row->multiplier);
                mpz_mul_si(part, part, set->scenarios[s].move_ppm);
                mpz_add(gain, gain, part);
                continue;
            }
            option_value(of, &legs[i], s, part);
            mpz_addmul_ui(gain, part, PL_PPM);
            option_value(of, &legs[i], -1, part);
            mpz_submul_ui(gain, part, PL_PPM);
        }
        mpz_mul_si(gain, gain, -(int64_t)set->scenarios[s].weight.at[tier]);
        if (mpz_cmp(gain, worst) > 0)
            mpz_set(worst, gain);
    }
    mpz_cdiv_q_ui(worst, worst, PL_PPM);
    for (uint32_t i = 0; i < LEGS; i++) {
        const struct pl_instrument *row = &set->instruments[legs[i].instrument];
        if (row->kind != PL_INSTRUMENT_OPTION || row->option.underlying != underlying ||
            legs[i].lots >= 0)
            continue;
        mpz_set_si(part, -legs[i].lots);
        mpz_mul_si(part, part, of->marks[underlying].mantissa);
        for (uint32_t d = row->lot_decimals + set->instruments[underlying].tick_decimals; d < 12;
             d++)
            mpz_mul_ui(part, part, 10);
        mpz_addmul_ui(owed, part, (unsigned long)set->short_minimum.at[tier]);
    }
    mpz_sub(excess, excess, mpz_cmp(owed, worst) > 0 ? owed : worst);
    mpz_clears(worst, gain, part, owed, NULL);
}

static void naive(const struct build *of, enum pl_tier tier, mpz_t excess)
{
    const struct pl_parameters *set = &of->parameters;
    mpz_t part;
    mpz_init(part);
    mpz_set_si(excess, (int64_t)(cash_vu / BUILD_USD));
    for (int i = 0; i < 12; i++)
        mpz_mul_ui(excess, excess, 10);
    mpz_mul_ui(excess, excess, PL_PPM);
    for (uint32_t i = 0; i < LEGS; i++) {
        const struct pl_instrument *row = &set->instruments[legs[i].instrument];
        int64_t weight = PL_PPM + (legs[i].lots < 0 ? row->haircut_short.at[tier]
                                                    : -row->haircut_long.at[tier]);
        if (row->kind == PL_INSTRUMENT_OPTION) {
            option_value(of, &legs[i], -1, part);
        } else {
            mpz_set_si(part, legs[i].lots);
            mpz_mul_si(part, part, of->marks[legs[i].instrument].mantissa);
            mpz_mul_si(part, part, row->multiplier);
        }
        mpz_addmul_ui(excess, part, (unsigned long)weight);
    }
    add_group(of, eth, tier, excess);
    add_group(of, perp, tier, excess);
    mpz_clear(part);
}

static bool is_equal(const mpz_t number, pl_i128 value)
{
    char naive_text[128], text[PL_I128_TEXT_BYTES];
    mpz_get_str(naive_text, 10, number);
    pl_i128_print(value, text);
    return strcmp(naive_text, text) == 0;
}

/* ---- laws ----------------------------------------------------------------------------------- */

static pl_i128 excess_of(const struct build *of, enum pl_tier tier)
{
    const struct pl_portfolio portfolio = build_portfolio(legs, LEGS, cash_vu);
    pl_i128 excess = 0;
    assert_true(pl_evaluate(&of->market, &portfolio, tier, &excess));
    return excess;
}

static void same_as_naive(void **state)
{
    (void)state;
    mpz_t excess;
    mpz_init(excess);
    for (int round = 0; round < ROUNDS / 10; round++) {
        if (round % 8 == 0)
            draw_set();
        price_all();
        hold();
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
            naive(&build, tier, excess);
            if (!is_equal(excess, excess_of(&build, tier))) {
                char text[PL_I128_TEXT_BYTES];
                pl_i128_print(excess_of(&build, tier), text);
                gmp_printf("naive %Zd\n", excess);
                fail_msg("round %d tier %d: %s", round, tier, text);
            }
        }
    }
    mpz_clear(excess);
}

/* 2 A(q) >= A(q + d) + A(q - d), up to the charge's rounding, once a group. */
static void concave_and_nested(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 32 == 0)
            draw_set();
        if (round % 4 == 0)
            price_all();
        hold();
        int64_t step[LEGS];
        pl_i128 middle[PL_TIER_COUNT], ends[PL_TIER_COUNT] = {0};
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            middle[tier] = excess_of(&build, tier);
        for (uint32_t i = 0; i < LEGS; i++)
            step[i] = between(0, 1) ? between(-2 * legs[i].lots * (legs[i].lots < 0 ? -1 : 1) - 3,
                                              2 * legs[i].lots * (legs[i].lots < 0 ? -1 : 1) + 3)
                                    : 0;
        for (int sign = 1; sign >= -1; sign -= 2) {
            for (uint32_t i = 0; i < LEGS; i++)
                legs[i].lots = legs[i].final_lots += sign * step[i];
            for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
                ends[tier] += excess_of(&build, tier);
            for (uint32_t i = 0; i < LEGS; i++)
                legs[i].lots = legs[i].final_lots -= sign * step[i];
        }
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
            assert_true(2 * middle[tier] + 2 >= ends[tier]);
            assert_true(tier == 0 || middle[tier - 1] <= middle[tier]);
        }
        legs[0].lots = legs[0].final_lots += between(1, 1000000);
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            assert_true(excess_of(&build, tier) >= middle[tier] - 1);
    }
}

/* Options with a bad mark may be worth what any other grid says; what is not final may be there. */
static void bounds_hold(void **state)
{
    (void)state;
    int64_t open = 0;
    for (int round = 0; round < ROUNDS / 20; round++) {
        if (round % 32 == 0)
            draw_set();
        price_all();
        hold();
        truth = build;
        struct pl_leg held[LEGS];
        for (uint32_t k = 0; k < OPTIONS; k++) {
            if (between(0, 1))
                continue;
            build_status(&build, options[k], PL_MARK_STALE);
            const uint32_t under = truth.parameters.instruments[options[k]].option.underlying;
            fill_grid(k, &true_grids[k], truth.marks[under].mantissa);
            /* A fine grid around the price: its bounds stay below underlying or strike. */
            true_grids[k].grid = pl_grid_around(truth.marks[under].mantissa);
            const struct pl_option_inputs inputs = {.ticks = truth.marks[under].mantissa,
                                                    .volatility = (double)between(0, 200) / 100};
            assert_int_equal(pl_option_grid_fill(&truth.parameters, options[k], &inputs,
                                                 &true_grids[k]), PL_OK);
            truth.marks[options[k]].grid = &true_grids[k];
        }
        build_update(&build);
        truth.market.parameters = NULL;
        build_update(&truth);
        for (uint32_t i = 0; i < LEGS; i++)
            if (!between(0, 3))
                legs[i].final_lots += between(-1000, 1000000);
        const struct pl_portfolio portfolio = build_portfolio(legs, LEGS, cash_vu);
        memcpy(held, legs, sizeof held);
        struct pl_bounds bounds[PL_TIER_COUNT];
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            assert_true(pl_evaluate_bounds(&build.market, &portfolio, tier, &bounds[tier]));
        for (int sample = 0; sample < 4; sample++) {
            for (uint32_t i = 0; i < LEGS; i++) {
                const int64_t a = held[i].lots, b = held[i].final_lots;
                legs[i].lots = legs[i].final_lots = sample < 2 ? (sample ? a : b)
                                                    : a < b    ? between(a, b) : between(b, a);
            }
            for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
                const pl_i128 excess = excess_of(&truth, tier);
                assert_true(bounds[tier].low <= excess && excess <= bounds[tier].high);
                open += bounds[tier].low < bounds[tier].high;
            }
        }
    }
    assert_true(open > ROUNDS / 4);
}

int main(void)
{
    chance = test_random_start(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_naive),
        cmocka_unit_test(concave_and_nested),
        cmocka_unit_test(bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
