/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of smart contracts for forced sales, by hand: ETH at 2000 USD (lots of 0.0001) against DAI
 * and USDC (lots of 0.01) at 1 USD. And what a set may say of contracts. That any order of any
 * account has the call it must have is the simulation's and prop_call.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/support/build.h"
#include "tests/support/wire.h"

static struct build build;
static uint32_t dai, eth, usdc, perp;
static struct pl_leg legs[4];
static struct pl_portfolio held = {.legs = legs, .leg_count = 3};
static struct pl_call call;

static struct pl_instrument *row(uint32_t index)
{
    return &build.parameters.instruments[index];
}

static struct pl_contract *contract(void)
{
    return &build.parameters.contracts[0];
}

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

/* A threshold of 82.5 %, a bonus of 5 %; half of a debt may be repaid, all of it below 0.95 or where
 * one side is worth less than 2000 USD. */
static void set_up(enum pl_contract_rule rule)
{
    build_init(&build);
    dai = build_instrument(&build, "DAI", PL_INSTRUMENT_SPOT, 2, 4);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 4, 2);
    usdc = build_instrument(&build, "USDC", PL_INSTRUMENT_SPOT, 2, 4);
    perp = build_instrument(&build, "ETH-PERP", PL_INSTRUMENT_PERP, 4, 2);
    build_haircuts(&build, eth, build_tiers(250000, 200000, 180000, 175000), build_flat(0));
    build_sellable(&build, eth, 150000);
    build.parameters.contract_count = 1;
    *contract() = (struct pl_contract){ .id = id_of("0xpool"), .chain = id_of("ethereum"),
                                        .rule = rule };
    row(dai)->contract = row(eth)->contract = row(usdc)->contract = 1;
    if (rule == PL_CONTRACT_AAVE_V3) {
        contract()->close_factor_ppm = 500000;
        contract()->full_below_ppm = 950000;
        contract()->small_usd = 2000;
    }
    if (rule != PL_CONTRACT_MORPHO)
        row(eth)->bonus_ppm = 50000;
    build_finish(&build);
    build_price(&build, dai, 10000);
    build_price(&build, eth, 200000);
    build_price(&build, usdc, 10000);
    build_update(&build);
}

/* In lots; by id: DAI, ETH, USDC. */
static bool ask(int64_t dai_lots, int64_t eth_lots, int64_t usdc_lots, int64_t sold)
{
    const struct pl_sale_leg sale = { .instrument = eth, .side = PL_SIDE_SELL, .lots = sold };
    legs[0] = build_leg(dai, dai_lots);
    legs[1] = build_leg(eth, eth_lots);
    legs[2] = build_leg(usdc, usdc_lots);
    return pl_call_of(&build.market, &held, &sale, &call);
}

static void expect(uint32_t debt, int64_t repays, int64_t takes, int32_t close_factor_ppm)
{
    assert_int_equal(call.contract, 0);
    assert_int_equal(call.debt, debt);
    assert_int_equal(call.debt_lots, repays);
    assert_int_equal(call.collateral_lots, takes);
    assert_int_equal(call.close_factor_ppm, close_factor_ppm);
}

/* 2000 / 1.05 = 1904.76 DAI and a bit, which is left; they take 1999.998 USD, 0.9999 ETH and a bit. */
static void aave_repays_what_the_sale_is_worth(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    assert_true(ask(-1670000, 100000, 0, 10000));
    expect(dai, 190476, 9999, 500000);
    assert_int_equal(call.bonus_ppm, 50000);
    /* Of 16,700.01 half is 8,350 and half a lot; they take 4.38375 ETH. */
    assert_true(ask(-1670001, 100000, 0, 90000));
    expect(dai, 835000, 43837, 500000);
}

/* 16,500 / 17,368.42 is 0.95 and a bit; with a lot more of debt it is below. */
static void aave_repays_all_of_what_is_far_below(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    assert_true(ask(-1736842, 100000, 0, 90000));
    expect(dai, 868421, 45592, 500000);
    assert_true(ask(-1736843, 100000, 0, 90000));
    expect(dai, 1714285, 89999, PL_PPM);
    assert_true(ask(-3300000, 190000, 0, 90000)); /* 0.95 itself */
    assert_int_equal(call.close_factor_ppm, 500000);
    assert_true(ask(-3300001, 190000, 0, 90000));
    assert_int_equal(call.close_factor_ppm, PL_PPM);
    /* Both debts count, and a premium on one; a haircut that volatility raised does not. */
    assert_true(ask(-1000000, 100000, -736842, 90000));
    assert_int_equal(call.close_factor_ppm, 500000);
    assert_true(ask(-1000000, 100000, -736843, 90000));
    assert_int_equal(call.close_factor_ppm, PL_PPM);
    row(usdc)->haircut_short = build_flat(1);
    assert_true(ask(-1000000, 100000, -736842, 90000));
    assert_int_equal(call.close_factor_ppm, PL_PPM);
    row(usdc)->haircut_short = build_flat(0);
    row(eth)->haircut.is_present = true;
    row(eth)->haircut.base = row(eth)->haircut_long;
    row(eth)->haircut_long = build_flat(300000);
    assert_true(ask(-1000000, 100000, -736842, 90000));
    assert_int_equal(call.close_factor_ppm, 500000);
}

/* In category 1 ether lends 90 % and gives a bonus of 1 %: 18,000 / 18,947.36 is 0.95 and a bit. In category 2, of
 * which there is nothing, as in none; volatility has no say in either. */
static void aave_s_categories_have_lines_and_a_bonus(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    build.parameters.modes[1] = (struct pl_mode){true, 0, 1};
    build.parameters.modes[2] = (struct pl_mode){true, 1, 0};
    build.parameters.mode_weight_count = 1;
    build.parameters.mode_weights[0] = (struct pl_mode_weight){
        eth, build_tiers(150000, 130000, 110000, 100000), build_flat(0), 10000};
    row(eth)->haircut.is_present = true;
    row(eth)->haircut.base = row(eth)->haircut_long;
    row(eth)->haircut_long = build_flat(300000);
    held.mode = 1;
    assert_true(ask(-1894736, 100000, 0, 90000));
    expect(dai, 947368, 47842, 500000);
    assert_int_equal(call.bonus_ppm, 10000);
    assert_true(ask(-1894737, 100000, 0, 90000));
    expect(dai, 1782178, 89999, PL_PPM);
    held.mode = 2;
    assert_true(ask(-1736842, 100000, 0, 90000));
    expect(dai, 868421, 45592, 500000);
    assert_int_equal(call.bonus_ppm, 50000);
    held.mode = 0;
}

static void aave_repays_all_of_what_is_small(void **state)
{
    static const struct { int64_t debt, held; int32_t close_factor_ppm; } rows[] = {
        { 199999, 12000, PL_PPM }, { 200000, 12200, 500000 },
        { 164000, 9999, PL_PPM },  { 200000, 10000, 500000 }, /* the threshold's 0.825 is not 0.95 */
    };
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    contract()->full_below_ppm = 0;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        assert_true(ask(-rows[i].debt, rows[i].held, 0, 5000));
        assert_int_equal(call.close_factor_ppm, rows[i].close_factor_ppm);
    }
}

static void compound_takes_the_account(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_COMPOUND_V3);
    assert_true(ask(-1670000, 100000, 0, 10000));
    expect(dai, 1670000, 100000, PL_PPM);
    assert_int_equal(call.bonus_ppm, 50000);
}

/* 1 / (1 - 0.3 * 0.14) = 1.043841…; 2000 / 1.043841 = 1916.0006 is rounded up. */
static void morpho_takes_any_part(void **state)
{
    static const struct { int32_t haircut_ppm, bonus_ppm; } rows[] = {
        { 140000, 43841 }, { 140001, 43841 }, { 600000, 150000 }, { 434784, 150000 },
        { 434783, 149998 }, { 0, 0 }, { -5, 0 }, { 3, 0 }, { 4, 1 },
    };
    (void)state;
    set_up(PL_CONTRACT_MORPHO);
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        row(eth)->haircut_long = build_flat(rows[i].haircut_ppm);
        assert_int_equal(pl_call_morpho_bonus_ppm(row(eth)), rows[i].bonus_ppm);
    }
    row(eth)->haircut_long = build_flat(140000);
    assert_true(ask(-1670000, 100000, 0, 10000));
    expect(dai, 191601, 10000, PL_PPM);
    assert_int_equal(call.bonus_ppm, 43841);
    assert_true(ask(-100000, 100000, 0, 10000)); /* more than is owed: 1043.841 / 2000 */
    expect(dai, 100000, 5219, PL_PPM);
    assert_true(ask(-191601, 100000, 0, 10000)); /* just what is owed */
    expect(dai, 191601, 10000, PL_PPM);
}

static void the_largest_debt_is_repaid(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    assert_true(ask(-800000, 100000, -800001, 100));
    assert_int_equal(call.debt, usdc);
    assert_true(ask(-800000, 100000, -800000, 100));
    assert_int_equal(call.debt, dai);
    build_price(&build, usdc, 10001);
    build_update(&build);
    assert_true(ask(-800000, 100000, -800000, 100));
    assert_int_equal(call.debt, usdc);
    build_status(&build, usdc, PL_MARK_STALE);
    build_update(&build);
    assert_true(ask(-800000, 100000, -900000, 100));
    assert_int_equal(call.debt, dai);
}

static void not_every_leg_is_a_contract_s(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    struct pl_sale_leg sale = { .instrument = eth, .side = PL_SIDE_BUY, .lots = 100 };
    assert_false(ask(0, 100000, 0, 10000));         /* no debt                          */
    assert_false(ask(10, 100000, 10, 10000));
    assert_true(ask(-1670000, 100000, 0, 10000));
    assert_false(pl_call_of(&build.market, &held, &sale, &call)); /* bought back      */
    assert_false(ask(-1670000, 0, 0, 10000));       /* not held                         */
    assert_false(ask(-1, 100000, 0, 10000));        /* half a lot of debt               */
    row(dai)->contract = 0;                         /* the debt is elsewhere            */
    assert_false(ask(-1670000, 100000, 0, 10000));
    row(dai)->contract = 1;
    row(eth)->contract = 0;
    assert_false(ask(-1670000, 100000, 0, 10000));
    row(eth)->contract = 1;
    build_status(&build, eth, PL_MARK_STALE);
    build_update(&build);
    assert_false(ask(-1670000, 100000, 0, 10000));
}

/* ---- sets ----------------------------------------------------------------------------------- */

static void no_chain(void) { contract()->chain = (struct pl_id){ 0 }; }
static void no_id(void) { contract()->id = (struct pl_id){ 0 }; }
static void rule_none(void) { contract()->rule = (enum pl_contract_rule)0; }
static void rule_beyond(void) { contract()->rule = (enum pl_contract_rule)4; }
static void factor_none(void) { contract()->close_factor_ppm = 0; }
static void factor_beyond(void) { contract()->close_factor_ppm = PL_PPM + 1; }
static void full_beyond(void) { contract()->full_below_ppm = PL_PPM + 1; }
static void small_negative(void) { contract()->small_usd = -1; }
static void small_beyond(void) { contract()->small_usd = PL_CONTRACT_SMALL_USD_MAX + 1; }
static void of_another_rule(void) { contract()->rule = PL_CONTRACT_COMPOUND_V3; }
static void many(void) { build.parameters.contract_count = PL_CONTRACTS_MAX + 1; }
static void twice(void) { build.parameters.contracts[build.parameters.contract_count++] = *contract(); }
static void unknown(void) { row(eth)->contract = 2; }
static void elsewhere(void) { row(eth)->chain = id_of("polygon"); }
static void not_spot(void) { row(perp)->contract = 1; }
static void bonus_negative(void) { row(eth)->bonus_ppm = -1; }
static void bonus_beyond(void) { row(eth)->bonus_ppm = PL_PPM + 1; }
static void uncovered(void) { row(eth)->sale_discount_ppm = 47619; }

static void each_rule_of_a_contract_refuses_by_name(void **state)
{
    static const struct { void (*apply)(void); const char *text; } rows[] = {
        { no_chain, "contracts: entry 0 has no id or no chain" },
        { no_id, "contracts: entry 0 has no id or no chain" },
        { rule_none, "contract 0xpool rule: 0 is outside 1..3" },
        { rule_beyond, "contract 0xpool rule: 4 is outside 1..3" },
        { factor_none, "contract 0xpool close_factor_ppm: 0 is outside 1..1000000" },
        { factor_beyond, "contract 0xpool close_factor_ppm: 1000001 is outside 1..1000000" },
        { full_beyond, "contract 0xpool full_below_ppm: 1000001 is outside 0..1000000" },
        { small_negative, "contract 0xpool small_usd: -1 is outside 0.." },
        { small_beyond, "contract 0xpool small_usd: 1000000000001 is outside 0.." },
        { of_another_rule, "contract 0xpool close_factor_ppm: 500000 is outside 0..0" },
        { many, "contracts: 65 is outside 0..64" },
        { twice, "contract 0xpool is there twice" },
        { unknown, "instrument ETH contract: unknown contract 2" },
        { elsewhere, "instrument ETH contract 0xpool: it is on polygon, the contract is on ethereum" },
        { not_spot, "instrument ETH-PERP contract 0xpool: it is not spot" },
        { bonus_negative, "instrument ETH bonus_ppm: -1 is outside 0..1000000" },
        { bonus_beyond, "instrument ETH bonus_ppm: 1000001 is outside 0..1000000" },
        { uncovered, "instrument ETH sale_discount_ppm: 47619 does not cover the contract's bonus 50000" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        set_up(PL_CONTRACT_AAVE_V3);
        rows[i].apply();
        assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_REJECT_PARAMETERS);
        if (strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
    set_up(PL_CONTRACT_AAVE_V3);
    row(eth)->sale_discount_ppm = 47620; /* 952380 * 1050000 < 10^12 */
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    set_up(PL_CONTRACT_MORPHO); /* 1 / (1 - 0.3 * 0.175) = 1.055408 */
    row(eth)->sale_discount_ppm = 52500;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_OK);
    row(eth)->sale_discount_ppm = 52498;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_REJECT_PARAMETERS);
    set_up(PL_CONTRACT_MORPHO);
    row(eth)->bonus_ppm = 1;
    assert_int_equal(pl_parameters_finish(&build.parameters, &build.names), PL_REJECT_PARAMETERS);
}

/* ---- the wire ------------------------------------------------------------------------------- */

static json_t *set_with(const char *contract_text)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    json_t *contracts = json_array();
    json_array_append_new(contracts, test_json(contract_text));
    json_object_set_new(json, "contracts", contracts);
    return json;
}

static void sets_say_contracts(void **state)
{
    static const struct { const char *text; enum pl_err err; const char *says; } rows[] = {
        { "{'contract':'0xp','chain':'ethereum','rule':'RULE_AAVE_V3','close_factor_ppm':500000,"
          "'small_usd':'2000','assets':[{'instrument':'ETH','token':'0xeth','bonus_ppm':5000}]}",
          PL_OK, NULL },
        { "{'chain':'ethereum'}", PL_REJECT_MISSING, "field contracts[0].contract is missing" },
        { "{'contract':'0xp'}", PL_REJECT_MISSING, "field contracts[0].chain is missing" },
        { "{'contract':'0xp','chain':'ethereum'}", PL_REJECT_MISSING,
          "field contracts[0].rule is missing" },
        { "{'contract':'0xp','chain':'ethereum','rule':'RULE_MORPHO','assets':[{}]}",
          PL_REJECT_MISSING, "field contracts[0].assets[0].instrument is missing" },
        { "{'contract':'0xp','chain':'ethereum','rule':'RULE_MORPHO','assets':[{'instrument':'X'}]}",
          PL_REJECT_UNKNOWN, "X is not among the instruments" },
        { "{'contract':'0xp','chain':'ethereum','rule':'RULE_MORPHO','assets':[{'instrument':'ETH'},"
          "{'instrument':'ETH'}]}", PL_REJECT_CONFLICT, "ETH is in a contract already" },
        { "{'contract':'0xp','chain':'polygon','rule':'RULE_COMPOUND_V3',"
          "'assets':[{'instrument':'ETH'}]}", PL_REJECT_PARAMETERS, "the contract is on polygon" },
    };
    static struct pl_parameters set;
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        struct pl_names *names = test_names();
        enum pl_err err = pl_wire_parameters_decode(
            test_wire(), names, test_encode(PL_TOPIC_PARAMETERS, set_with(rows[i].text)), &set);
        if (err != rows[i].err || (err && !strstr(pl_err_text(), rows[i].says)))
            fail_msg("row %u: %s %s", i, pl_err_name(err), pl_err_text());
        if (err)
            continue;
        assert_int_equal(set.contract_count, 1);
        assert_int_equal(set.contracts[0].rule, PL_CONTRACT_AAVE_V3);
        assert_int_equal(set.contracts[0].close_factor_ppm, 500000);
        assert_int_equal(set.contracts[0].full_below_ppm, 0);
        assert_int_equal(set.contracts[0].small_usd, 2000);
        assert_int_equal(set.instruments[0].contract, 1);
        assert_int_equal(set.instruments[0].bonus_ppm, 5000);
        assert_string_equal(set.instruments[0].token.text, "0xeth");
        assert_int_equal(set.instruments[1].contract, 0);
    }
}

static struct pl_decision decision;
static struct pl_account account;

static json_t *order_of(const char *name, bool has_tokens)
{
    struct pl_bytes_view value;
    json_t *json = NULL;
    row(eth)->token = has_tokens ? id_of("0xeth") : (struct pl_id){ 0 };
    account = (struct pl_account){ .id = id_of(name), .version = 1, .leg_count = 3 };
    decision = (struct pl_decision){ .has_sale = true };
    decision.sale.leg_count = 1;
    decision.sale.legs[0] = (struct pl_sale_leg){ .instrument = eth, .side = PL_SIDE_SELL,
                                                  .lots = 10000, .limit_ticks = 190000 };
    const struct pl_wire_context context = { .names = &build.names, .market = &build.market,
                                             .marks = build.marks, .account = &account,
                                             .legs = legs };
    assert_int_equal(pl_wire_order_encode(test_wire(), &context, &decision, 0, &value), PL_OK);
    assert_int_equal(pl_json_decode(PL_TOPIC_ORDERS, value, &json), PL_OK);
    return json;
}

static void orders_say_calls(void **state)
{
    (void)state;
    set_up(PL_CONTRACT_AAVE_V3);
    assert_true(ask(-1670000, 100000, 0, 10000));
    json_t *order = order_of("0xuser~bucket", true);
    json_t *expected = test_json(
        "{'chain':'ethereum','contract':'0xpool','rule':'RULE_AAVE_V3','position':'0xuser',"
        "'collateral':'ETH','collateral_token':'0xeth','collateral_amount':{'mantissa':'9999',"
        "'exponent':-4},'debt':'DAI','debt_amount':{'mantissa':'190476','exponent':-2},"
        "'close_factor_ppm':500000,'bonus_ppm':50000}");
    if (!json_equal(json_object_get(order, "protocol_call"), expected))
        fail_msg("%s", json_dumps(json_object_get(order, "protocol_call"), 0));
    json_decref(order);
    json_decref(expected);
    (void)ask(0, 100000, 0, 10000);
    order = order_of("0xuser", false);
    assert_null(json_object_get(order, "protocol_call"));
    json_decref(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aave_repays_what_the_sale_is_worth),
        cmocka_unit_test(aave_repays_all_of_what_is_far_below),
        cmocka_unit_test(aave_s_categories_have_lines_and_a_bonus),
        cmocka_unit_test(aave_repays_all_of_what_is_small),
        cmocka_unit_test(compound_takes_the_account),
        cmocka_unit_test(morpho_takes_any_part),
        cmocka_unit_test(the_largest_debt_is_repaid),
        cmocka_unit_test(not_every_leg_is_a_contract_s),
        cmocka_unit_test(each_rule_of_a_contract_refuses_by_name),
        cmocka_unit_test(sets_say_contracts),
        cmocka_unit_test(orders_say_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
