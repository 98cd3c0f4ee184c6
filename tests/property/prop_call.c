/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of contracts, for random accounts and sales: amounts are those of a naive model in
 * fractions, and what must hold whatever the rule: nobody takes more than is sold (but Compound,
 * which takes all), repays more than is owed or allowed, or pays less than what he takes is worth
 * without his bonus, by less than a lot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gmp.h>

#include "tests/support/build.h"
#include "tests/support/random.h"

enum { ROUNDS = 20000, COINS = 5 };

static struct build build;
static struct pl_leg legs[COINS];
static struct pl_portfolio portfolio = {.legs = legs, .leg_count = COINS};
static struct pl_sale_leg sale;
static struct test_random rng;
static unsigned called[4], capped, whole, none;

static int64_t below(int64_t bound)
{
    return (int64_t)test_random_below(&rng, (uint64_t)bound);
}

/* Of any size: few and many digits alike. */
static int64_t some(int64_t most)
{
    int64_t bound = 2;
    for (int64_t digits = below(14); digits > 0 && bound < most / 10; digits--)
        bound *= 10;
    return below(bound);
}

static void make_world(void)
{
    static const unsigned lots[COINS] = { 2, 4, 8, 0, 6 }, ticks[COINS] = { 4, 2, 4, 9, 6 };
    static const char *const names[COINS] = { "A", "B", "C", "D", "E" };
    static const struct pl_id pool = { 1, "p" }, chain = { 1, "c" };
    build_init(&build);
    build.parameters.contract_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct pl_contract *contract = &build.parameters.contracts[i];
        *contract = (struct pl_contract){ .id = pool, .chain = chain };
        contract->id.text[0] = (char)('p' + i);
        contract->rule = (enum pl_contract_rule)(1 + below(3));
        if (contract->rule != PL_CONTRACT_AAVE_V3)
            continue;
        contract->close_factor_ppm = 1 + (int32_t)below(PL_PPM);
        contract->full_below_ppm = (int32_t)below(PL_PPM + 1);
        contract->small_usd = some(100000);
    }
    for (unsigned i = 0; i < COINS; i++) {
        uint32_t coin = build_instrument(&build, names[i], PL_INSTRUMENT_SPOT, lots[i], ticks[i]);
        struct pl_instrument *rules = &build.parameters.instruments[coin];
        build_haircuts(&build, coin, build_flat((int32_t)below(PL_PPM + 1)),
                       build_flat((int32_t)below(200000)));
        rules->sale_discount_ppm = 600000;
        rules->contract = (uint32_t)below(8) ? 1 : (uint32_t)below(3);
        if (rules->contract != 0 &&
            build.parameters.contracts[rules->contract - 1].rule != PL_CONTRACT_MORPHO)
            rules->bonus_ppm = (int32_t)below(PL_PPM / (1 + below(20)));
    }
    /* Mode 1 has the first coins in its way, mode 2 none. */
    build.parameters.modes[1] = (struct pl_mode){true, 0, (uint32_t)below(COINS)};
    build.parameters.modes[2] = (struct pl_mode){true, 0, 0};
    for (uint32_t i = 0; i < build.parameters.modes[1].count; i++) {
        const struct pl_instrument *rules = &build.parameters.instruments[i];
        build.parameters.mode_weights[i] = (struct pl_mode_weight){
            i, build_flat((int32_t)below(PL_PPM + 1)), build_flat((int32_t)below(200000)),
            rules->contract == 0 || build.parameters.contracts[rules->contract - 1].rule == PL_CONTRACT_MORPHO
                ? 0 : (int32_t)below(PL_PPM / (1 + below(20)))};
        build.parameters.mode_weight_count++;
    }
    portfolio.mode = (uint32_t)below(3);
    build_finish(&build);
    for (uint32_t i = 0; i < COINS; i++) {
        build_price(&build, i, 1 + some(10000000));
        if (below(20) == 0)
            build_status(&build, i, PL_MARK_STALE);
        legs[i] = build_leg(i, below(2) ? some(1000000000000) : -some(1000000000000));
    }
    build_update(&build);
    sale = (struct pl_sale_leg){ .instrument = (uint32_t)below(COINS), .side = PL_SIDE_SELL };
    sale.lots = legs[sale.instrument].lots > 1 ? 1 + below(legs[sale.instrument].lots) : 1;
}

/* ---- the model: everything a fraction until the last step ---------------------------------------- */

struct model { bool is_there; uint32_t debt; int64_t bonus, close; mpz_t repays, takes; };

static mpq_t value[COINS], a, b;

static int64_t haircut_of(const struct pl_tier_ppm *tiers)
{
    return tiers->at[PL_TIER_MAINTENANCE];
}

static const struct pl_mode_weight *weight_of(uint32_t i)
{
    return portfolio.mode == 1 && i < build.parameters.modes[1].count ? &build.parameters.mode_weights[i] : NULL;
}

static bool counts(uint32_t i, uint32_t contract)
{
    return build.parameters.instruments[i].contract == contract &&
           build.market.quotes[i].status == PL_MARK_LIVE;
}

static bool is_full(const struct pl_contract *contract, uint32_t number, uint32_t debt)
{
    mpq_set_si(b, contract->small_usd, 1);
    mpq_neg(a, value[debt]);
    if (mpq_cmp(a, b) < 0 || mpq_cmp(value[sale.instrument], b) < 0)
        return true;
    mpq_t health, owed;
    mpq_inits(health, owed, NULL);
    for (uint32_t i = 0; i < COINS; i++) {
        const struct pl_instrument *rules = &build.parameters.instruments[i];
        if (!counts(i, number))
            continue;
        bool is_debt = mpq_sgn(value[i]) < 0;
        const struct pl_mode_weight *weight = weight_of(i);
        mpq_set_si(a, is_debt ? PL_PPM + haircut_of(weight ? &weight->haircut_short : &rules->haircut_short)
                              : PL_PPM - haircut_of(weight ? &weight->haircut_long : &rules->haircut_long),
                   PL_PPM);
        mpq_canonicalize(a);
        mpq_mul(a, a, value[i]);
        mpq_add(is_debt ? owed : health, is_debt ? owed : health, a);
    }
    mpq_neg(owed, owed);
    mpq_set_si(a, contract->full_below_ppm, PL_PPM);
    mpq_canonicalize(a);
    mpq_mul(owed, owed, a);
    bool is_below = mpq_cmp(health, owed) < 0;
    mpq_clears(health, owed, NULL);
    return is_below;
}

/* `lots` of one coin in lots of another, times up / down. */
static void exchanged(uint32_t from, const mpz_t lots, uint32_t to, int64_t up, int64_t down)
{
    mpq_set_z(a, lots);
    mpq_set_si(b, build.market.quotes[from].lot_vu, 1);
    mpq_mul(a, a, b);
    mpq_set_si(b, up, (unsigned long)down);
    mpq_canonicalize(b);
    mpq_mul(a, a, b);
    mpq_set_si(b, build.market.quotes[to].lot_vu, 1);
    mpq_div(a, a, b);
}

static void amounts(const struct pl_contract *contract, struct model *model)
{
    const uint32_t held = sale.instrument, debt = model->debt;
    const int64_t gain = PL_PPM + model->bonus;
    mpz_t owed, sold;
    mpz_init_set_si(owed, -legs[debt].lots);
    mpz_init_set_si(sold, sale.lots);
    exchanged(held, sold, debt, PL_PPM, gain);
    if (contract->rule == PL_CONTRACT_MORPHO)
        mpz_cdiv_q(model->repays, mpq_numref(a), mpq_denref(a));
    else
        mpz_fdiv_q(model->repays, mpq_numref(a), mpq_denref(a));
    bool is_sold = contract->rule == PL_CONTRACT_MORPHO && mpz_cmp(model->repays, owed) <= 0;
    mpz_mul_si(owed, owed, model->close);
    mpz_fdiv_q_ui(owed, owed, PL_PPM);
    if (mpz_cmp(model->repays, owed) > 0) {
        mpz_set(model->repays, owed);
        capped++;
    }
    exchanged(debt, model->repays, held, gain, PL_PPM);
    mpz_fdiv_q(model->takes, mpq_numref(a), mpq_denref(a));
    if (is_sold || mpz_cmp(model->takes, sold) > 0)
        mpz_set(model->takes, sold);
    if (contract->rule == PL_CONTRACT_COMPOUND_V3) {
        mpz_set_si(model->repays, -legs[debt].lots);
        mpz_set_si(model->takes, legs[held].lots);
    }
    mpz_clears(owed, sold, NULL);
}

static void reckon(struct model *model)
{
    const struct pl_instrument *rules = &build.parameters.instruments[sale.instrument];
    model->is_there = rules->contract != 0 && legs[sale.instrument].lots > 0 &&
                      counts(sale.instrument, rules->contract);
    bool has_debt = false;
    for (uint32_t i = 0; i < COINS; i++) {
        mpq_set_si(value[i], legs[i].lots, 1);
        mpq_set_si(a, build.market.quotes[i].lot_vu, 1000000000000);
        mpq_canonicalize(a);
        mpq_mul(value[i], value[i], a);
        if (!counts(i, rules->contract) || mpq_sgn(value[i]) >= 0 ||
            (has_debt && mpq_cmp(value[i], value[model->debt]) >= 0))
            continue;
        has_debt = true;
        model->debt = i;
    }
    model->is_there &= has_debt;
    if (!model->is_there)
        return;
    const struct pl_contract *contract = &build.parameters.contracts[rules->contract - 1];
    model->bonus = contract->rule == PL_CONTRACT_AAVE_V3 && weight_of(sale.instrument)
                       ? weight_of(sale.instrument)->bonus_ppm : rules->bonus_ppm;
    model->close = PL_PPM;
    if (contract->rule == PL_CONTRACT_MORPHO) {
        int64_t gain = 1000000000000 / (PL_PPM - haircut_of(&rules->haircut_long) * 3 / 10);
        model->bonus = (gain < 1150000 ? gain : 1150000) - PL_PPM;
    }
    if (contract->rule == PL_CONTRACT_AAVE_V3 && !is_full(contract, rules->contract, model->debt))
        model->close = contract->close_factor_ppm;
    whole += contract->rule == PL_CONTRACT_AAVE_V3 && model->close == PL_PPM;
    amounts(contract, model);
    model->is_there = mpz_sgn(model->repays) > 0 && mpz_sgn(model->takes) > 0;
}

/* ---- the laws ----------------------------------------------------------------------------------- */

/* Value repaid is at least value taken / (1 + bonus), less a lot of the debt where it was cut. */
static void check_laws(const struct pl_call *call, enum pl_contract_rule rule)
{
    assert_true(call->debt_lots > 0 && call->debt_lots <= -legs[call->debt].lots);
    assert_true(call->collateral_lots > 0 &&
                call->collateral_lots <= legs[sale.instrument].lots);
    if (rule == PL_CONTRACT_COMPOUND_V3)
        return;
    assert_true(call->collateral_lots <= sale.lots);
    pl_i128 taken = (pl_i128)call->collateral_lots * build.market.quotes[sale.instrument].lot_vu;
    pl_i128 repaid = (pl_i128)call->debt_lots * build.market.quotes[call->debt].lot_vu;
    assert_true(taken * PL_PPM <= repaid * (PL_PPM + call->bonus_ppm));
}

static void calls_are_the_model_s(void **state)
{
    (void)state;
    struct model model;
    mpq_inits(a, b, NULL);
    mpz_inits(model.repays, model.takes, NULL);
    for (unsigned i = 0; i < COINS; i++)
        mpq_init(value[i]);
    rng = test_random_start(11);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pl_call call;
        make_world();
        reckon(&model);
        bool is_there = pl_call_of(&build.market, &portfolio, &sale, &call);
        assert_int_equal(is_there, model.is_there);
        none += !is_there;
        if (!is_there)
            continue;
        enum pl_contract_rule rule = build.parameters.contracts[call.contract].rule;
        called[rule]++;
        assert_int_equal(call.debt, model.debt);
        assert_int_equal(call.bonus_ppm, model.bonus);
        assert_int_equal(call.close_factor_ppm, model.close);
        assert_int_equal(mpz_cmp_si(model.repays, call.debt_lots), 0);
        assert_int_equal(mpz_cmp_si(model.takes, call.collateral_lots), 0);
        check_laws(&call, rule);
    }
    mpq_clears(a, b, NULL);
    mpz_clears(model.repays, model.takes, NULL);
    for (unsigned i = 0; i < COINS; i++)
        mpq_clear(value[i]);
    printf("calls: %u, %u, %u by rule; %u limited, %u of all, %u none\n", called[1], called[2],
           called[3], capped, whole, none);
    assert_true(called[1] > 1000 && called[2] > 1000 && called[3] > 1000 && capped > 1000 &&
                whole > 500 && none > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(calls_are_the_model_s) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
