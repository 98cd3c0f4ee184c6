/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter sets made of protocols' own files, by small files made by hand: every direction of
 * rounding, what is bounded and what is said about it. That real files make sets which judge as the
 * protocols do is it_import.c's. A number of a file is one that its protocol could have; the
 * arithmetic is in comments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/import.h"
#include "tests/support/wire.h"

enum { TEXT_BYTES_MAX = 1 << 14 };

static const char TEMPLATE[] =
    "{'sources':[{'source':'venue','settlement':'SETTLEMENT_APPLIED'}],'policies':[{'policy':'default',"
    "'order_valid_ms':10000,'order_overdue_ms':20000,'revision_pause_ms':2000,"
    "'restricted_hold_ms':5000,'alert_hysteresis_ppm':10000,'watermark_age_ms_max':15000}],"
    "'instrument':{'lot_decimals':6,'tick_decimals':6,'confidence_ppm':0,'sale_discount_ppm':10000,"
    "'price_rules':{'sources':['a'],'quorum':1,'age_ms_max':10000,'band_ppm':300000,"
    "'bad_mark_low_ppm':0,'bad_mark_high_ppm':1500000}},"
    "'end_share_ppm':250000,'alert_premium_ppm':100000}";

static json_t *set, *notes, *template, *document;
static struct import_request request;

/* Numbers as the command reads them: as text. */
static json_t *parsed(const char *text)
{
    static char quoted[TEXT_BYTES_MAX];
    json_t *json = NULL;
    size_t size_bytes = strlen(text);
    assert_true(size_bytes < sizeof(quoted));
    for (size_t i = 0; i <= size_bytes; i++)
        quoted[i] = text[i] == '\'' ? '"' : text[i];
    if (import_parse(quoted, size_bytes, &json))
        fail_msg("%s: %s", text, pl_err_text());
    return json;
}

static enum pl_err try_import(const char *protocol, const char *text)
{
    json_decref(set);
    json_decref(notes);
    json_decref(document);
    if (!template)
        template = test_json(TEMPLATE);
    document = parsed(text);
    request.protocol = protocol;
    request.epoch = 7;
    request.document = document;
    request.template = template;
    return import_set(&request, &set, &notes);
}

/* The set, which is valid. */
static void import(const char *protocol, const char *text)
{
    static struct pl_parameters parameters;
    if (try_import(protocol, text))
        fail_msg("%s", pl_err_text());
    struct pl_bytes_view bytes = test_encode(PL_TOPIC_PARAMETERS, json_incref(set));
    if (pl_wire_parameters_decode(test_wire(), test_names(), bytes, &parameters))
        fail_msg("%s", pl_err_text());
    assert_int_equal(parameters.epoch, 7);
}

static const json_t *instrument(const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(set, "instruments"), i, one)
        if (strcmp(json_string_value(json_object_get(one, "instrument")), name) == 0)
            return one;
    fail_msg("there is no instrument %s", name);
    return NULL;
}

static long long number(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static void expect_tiers(const json_t *tiers, const int ppm[4])
{
    static const char *const names[] = { "alert", "initial", "end", "maintenance" };
    for (unsigned i = 0; i < 4; i++)
        if (number(tiers, names[i]) != ppm[i])
            fail_msg("%s is %lld, not %d", names[i], number(tiers, names[i]), ppm[i]);
}

#define EXPECT(name, field, ...)                                                                   \
    expect_tiers(json_object_get(instrument(name), field), (const int[4]){ __VA_ARGS__ })

static void expect_bracket(const char *name, unsigned i, long long from_usd, const int ppm[4])
{
    const json_t *bracket = json_array_get(json_object_get(instrument(name), "brackets"), i);
    char text[32];
    snprintf(text, sizeof(text), "%lld", from_usd);
    assert_string_equal(json_string_value(json_object_get(bracket, "threshold_usd")), text);
    expect_tiers(json_object_get(bracket, "rate"), ppm);
}

#define BRACKET(name, i, from_usd, ...) expect_bracket(name, i, from_usd, (const int[4]){ __VA_ARGS__ })

static bool is_noted(const char *of, const char *text)
{
    size_t i;
    json_t *list, *name;
    const char *key;
    json_object_foreach(notes, key, list)
        json_array_foreach(list, i, name)
            if (strstr(key, text) && strcmp(json_string_value(name), of) == 0)
                return true;
    return false;
}

/* ---- lending -------------------------------------------------------------------------------- */

#define AAVE(...) "{'protocol':'aave-v2','chain':'ethereum','reserves':{" __VA_ARGS__ "}}"
#define RESERVE(name, ltv, threshold, bonus, ...)                                                  \
    "'" name "':{'ltv_bps':" #ltv ",'liquidation_threshold_bps':" #threshold                       \
    ",'liquidation_bonus_bps':" #bonus __VA_ARGS__ "}"

static void aave_counts_what_its_health_factor_counts(void **state)
{
    (void)state;
    import("aave-v2", AAVE(RESERVE("WETH", 8000, 8250, 10500, ",'decimals':18") ","
                           RESERVE("USDT", 0, 0, 0, ",'decimals':6")));
    /* end: 175000 + 25000 / 4; alert: 200000 * 1.1 */
    EXPECT("WETH", "haircut_long", 220000, 200000, 181250, 175000);
    EXPECT("WETH", "haircut_short", 0, 0, 0, 0);
    EXPECT("USDT", "haircut_long", 1000000, 1000000, 1000000, 1000000);
    assert_int_equal(number(instrument("WETH"), "sale_discount_ppm"), 47620); /* 1 - 1 / 1.05, up */
    assert_int_equal(number(instrument("USDT"), "sale_discount_ppm"), 10000); /* the template's */
    assert_string_equal(json_string_value(json_object_get(instrument("WETH"), "chain")), "ethereum");
    json_t *policy = json_array_get(json_object_get(set, "policies"), 0);
    json_t *order = json_object_get(policy, "liquidity_order");
    assert_int_equal(json_array_size(order), 1);
    assert_string_equal(json_string_value(json_array_get(order, 0)), "WETH");
    assert_true(is_noted("USDT", "never sold"));
    assert_null(json_object_get(instrument("WETH"), "is_kept"));
}

static void aave_rounds_against_the_account(void **state)
{
    (void)state;
    import("aave-v2", AAVE(RESERVE("A", 8000.015, 8250.005, 10000.005, ",'decimals':18")));
    /* ltv 800001.5, threshold 825000.5, both down; end 175000 + 24999 / 4 up, alert 199999 * 1.1 up;
     * bonus 1.0000005 up to 1.000001 */
    EXPECT("A", "haircut_long", 219999, 199999, 181250, 175000);
    assert_int_equal(number(instrument("A"), "sale_discount_ppm"), 1);
    /* Decimals are whole; of others lots are no finer than they say. */
    import("aave-v2", AAVE(RESERVE("A", 8000, 8250, 10000, ",'decimals':3.9")));
    assert_int_equal(number(instrument("A"), "lot_decimals"), 3);
}

static void what_breaks_a_rule_is_bounded_and_said(void **state)
{
    (void)state;
    import("aave-v2", AAVE(RESERVE("NARROW", 500, 1000, 11000, ",'decimals':18") ","
                           RESERVE("INSIDE-OUT", 8000, 7500, 10500, ",'decimals':18")));
    EXPECT("NARROW", "haircut_long", 1000000, 950000, 912500, 900000);
    assert_true(is_noted("NARROW", "V3 haircut_long: alert is more than the whole"));
    EXPECT("INSIDE-OUT", "haircut_long", 275000, 250000, 250000, 250000);
    assert_true(is_noted("INSIDE-OUT", "V6 haircut_long: initial 200000 is below maintenance 250000"));
}

#define AAVE_3(...) "{'protocol':'aave-v3','chains':{'one':{'chain_id':1,'emodes':{'1':{'label':'x',"   \
                    "'ltv_bps':9000,'liquidation_threshold_bps':9300,'liquidation_bonus_bps':10100}},'reserves':{"   \
                    __VA_ARGS__ "}},'two':{'reserves':{}}}}"

static void a_chain_s_reserves_say_more(void **state)
{
    (void)state;
    request.chain = "one";
    import("aave-v3",
           AAVE_3(RESERVE("ETH", 8050, 8300, 10500, ",'decimals':18,'oracle_price_usd':1816.85,"
                          "'supply_cap':5,'emode_category':1,'surprise':1") ","
                  RESERVE("CENT", 100, 200, 10500, ",'decimals':2,'oracle_price_usd':1.5e-5") ","
                  RESERVE("HOUSE", 100, 200, 10500, ",'decimals':18,'oracle_price_usd':1234567890") ","
                  RESERVE("NOT", 8000, 8500, 10500, ",'decimals':18,'usage_as_collateral':false") ","
                  RESERVE("STOP", 8000, 8500, 10500, ",'decimals':18,'is_paused':true")));
    static const struct { const char *name; int lot, tick; } rows[] = {
        { "ETH", 9, 3 },   /* seven digits of 1816.85       */
        { "CENT", 1, 11 }, /* of 0.000015, four zeros first */
        { "HOUSE", 10, 2 }, { "NOT", 6, 6 },
    };
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        assert_int_equal(number(instrument(rows[i].name), "lot_decimals"), rows[i].lot);
        assert_int_equal(number(instrument(rows[i].name), "tick_decimals"), rows[i].tick);
    }
    EXPECT("NOT", "haircut_long", 1000000, 1000000, 1000000, 1000000);
    EXPECT("STOP", "haircut_long", 220000, 200000, 162500, 150000);
    assert_true(is_noted("STOP", "never sold"));
    assert_true(is_noted("ETH", "supply_cap: left out"));
    assert_true(is_noted("ETH", "surprise: not known here, left out"));
    /* Mode 1 has ETH alone: 93 % lent at maintenance, 90 % at first. */
    const json_t *modes = json_object_get(set, "modes"), *mode = json_array_get(modes, 0);
    const json_t *weights = json_object_get(mode, "weights"), *weight = json_array_get(weights, 0);
    assert_int_equal(json_array_size(modes), 1);
    assert_int_equal(json_integer_value(json_object_get(mode, "mode")), 1);
    assert_int_equal(json_array_size(weights), 1);
    assert_string_equal(json_string_value(json_object_get(weight, "instrument")), "ETH");
    const json_t *lines = json_object_get(weight, "haircut_long");
    assert_int_equal(json_integer_value(json_object_get(lines, "maintenance")), 70000);
    assert_int_equal(json_integer_value(json_object_get(lines, "end")), 77500);
    assert_int_equal(json_integer_value(json_object_get(lines, "initial")), 100000);
    assert_int_equal(json_integer_value(json_object_get(lines, "alert")), 110000);
    assert_null(json_object_get(weight, "bonus_ppm")); /* no contract, no calls */
    request.chain = NULL;
}

#define COMPOUND(...) "{'protocol':'compound-v3 (Comet)','markets':{'mainnet':{'usdc':{'baseToken':'USDC',"  \
                      "'assets':{" __VA_ARGS__ "}}}}}"
#define ASSET(name, borrow, liquidate, factor)                                                      \
    "'" name "':{'decimals':'18','borrowCF':" #borrow ",'liquidateCF':" #liquidate                  \
    ",'liquidationFactor':" #factor "}"

static void compound_lends_one_coin(void **state)
{
    (void)state;
    import("compound-v3", COMPOUND(ASSET("WETH", 0.78, 0.85, 0.95) ","
                                   ASSET("FINE", 0.7800009, 0.8500009, 0.9500009) ","
                                   ASSET("NONE", 0, 0, 0)));
    EXPECT("WETH", "haircut_long", 242000, 220000, 167500, 150000);
    EXPECT("FINE", "haircut_long", 242000, 220000, 167500, 150000); /* factors down */
    EXPECT("USDC", "haircut_long", 0, 0, 0, 0);
    EXPECT("USDC", "haircut_short", 0, 0, 0, 0);
    assert_int_equal(number(instrument("WETH"), "sale_discount_ppm"), 50000);
    assert_int_equal(number(instrument("FINE"), "sale_discount_ppm"), 50000);
    assert_true(is_noted("NONE", "never sold") && is_noted("USDC", "never sold"));
}

#define MANGO(...) "{'protocol':'mango-v4','chain':'solana','launch_tokens':{" __VA_ARGS__               \
                   "},'launch_perps':{'BTC-PERP':{'initBaseAssetWeight':0.95,"                           \
                   "'maintBaseAssetWeight':0.975,'initBaseLiabWeight':1.05,'maintBaseLiabWeight':1.025," \
                   "'baseLiquidationFee':0.0125,'initOverallAssetWeight':0}}}"
#define TOKEN(name, asset_init, asset_maint, liab_init, liab_maint, fee)                            \
    "'" name "':{'initAssetWeight':" #asset_init ",'maintAssetWeight':" #asset_maint                \
    ",'initLiabWeight':" #liab_init ",'maintLiabWeight':" #liab_maint ",'liquidationFee':" #fee "}"

static void mango_ends_at_its_initial_weights(void **state)
{
    (void)state;
    import("mango-v4", MANGO(TOKEN("SOL", 0.8, 0.9, 1.2, 1.1, 0.05) ","
                             TOKEN("FINE", 0.8000009, 0.9000009, 1.2000001, 1.1000001, 0.0500001)));
    EXPECT("SOL", "haircut_long", 220000, 200000, 200000, 100000);
    EXPECT("SOL", "haircut_short", 220000, 200000, 200000, 100000);
    EXPECT("FINE", "haircut_long", 220000, 200000, 200000, 100000); /* assets down */
    EXPECT("FINE", "haircut_short", 220002, 200001, 200001, 100001); /* debts up   */
    EXPECT("BTC-PERP", "haircut_long", 55000, 50000, 50000, 25000);
    EXPECT("BTC-PERP", "haircut_short", 55000, 50000, 50000, 25000);
    assert_string_equal(json_string_value(json_object_get(instrument("BTC-PERP"), "kind")), "KIND_PERP");
    assert_int_equal(number(instrument("SOL"), "sale_discount_ppm"), 47620);
    assert_int_equal(number(instrument("BTC-PERP"), "sale_discount_ppm"), 12346); /* 1 - 1 / 1.0125 */
    assert_true(is_noted("BTC-PERP", "initOverallAssetWeight: left out"));
}

/* A fee rounds up: 1 / 1.000001 leaves 1 ppm, 1 / 1.0000001 would leave none. */
static void mango_fees_round_up(void **state)
{
    (void)state;
    import("mango-v4", MANGO(TOKEN("X", 0.8, 0.9, 1.2, 1.1, 0.0000001)));
    assert_int_equal(number(instrument("X"), "sale_discount_ppm"), 1);
}

static int64_t threshold(const json_t *brackets, size_t i)
{
    const json_t *text = json_object_get(json_array_get(brackets, i), "threshold_usd");
    return text ? strtoll(json_string_value(text), NULL, 10) : INT64_MAX;
}

/* ---- venues --------------------------------------------------------------------------------- */

#define BINANCE(...) "{'protocol':'binance-usdm-futures','symbols':{" __VA_ARGS__ "}}"
#define TIER(from, to, mmr, leverage, cum)                                                          \
    "{'min_notional':" #from ",'max_notional':" #to ",'mmr':" #mmr ",'max_leverage':" #leverage      \
    ",'cum':" #cum "}"

static void binance_tiers_become_brackets(void **state)
{
    (void)state;
    import("binance-usdm",
           BINANCE("'BTC/USDT:USDT':[" TIER(0.0, 50000.0, 0.004, 125.0, 0.0) ","
                   TIER(50000.0, 250000.0, 0.005, 100.0, 50.0) ","
                   TIER(250000.0, 9223372036854775807, 0.01, 50.0, 1300.0) "],"
                   "'BTC/USDT:USDT-241227':[" TIER(0, 5000, 0.0040001, 3, 0) "],"
                   "'ETH/BTC:BTC':[]"));
    /* Initial: at 50,000 USD 100 times are allowed, 500 USD: 10000 ppm from 0 on. At 250,000 USD 50
     * times, 5,000 USD: 4,500 more over 200,000 USD are 22500 ppm. */
    EXPECT("BTC/USDT:USDT", "haircut_long", 11000, 10000, 5500, 4000);
    EXPECT("BTC/USDT:USDT", "haircut_short", 11000, 10000, 5500, 4000);
    BRACKET("BTC/USDT:USDT", 0, 50000, 13750, 12500, 3875, 1000);
    BRACKET("BTC/USDT:USDT", 1, 250000, 13750, 12500, 7625, 6000);
    assert_true(is_noted("BTC/USDT:USDT", "V2 brackets rate: the initial requirement jumps"));
    assert_true(is_noted("ETH/BTC:BTC", "left out"));
    EXPECT("BTC/USDT:USDT-241227", "haircut_long", 366668, 333334, 86335, 4001); /* both up */
    assert_string_equal(json_string_value(json_object_get(instrument("BTC/USDT:USDT-241227"), "kind")),
                        "KIND_FUTURE");
    assert_false(is_noted("BTC/USDT:USDT-241227", "jumps"));
    assert_false(is_noted("BTC/USDT:USDT", "cum is not"));
}

/* From 10,000 USD on half must be there, 5,000 USD; until then 3,333.34 were: the slope is up. A cum
 * that does not fit its tiers is not used. */
static void binance_jumps_round_up(void **state)
{
    (void)state;
    import("binance-usdm", BINANCE("'X/USD:USD':[" TIER(0, 7000, 0.01, 4, 0) ","
                                   TIER(7000, 10000, 0.02, 3, 71) "," TIER(10000, 20000, 0.02, 2, 70) "]"));
    /* 7000 * 333334 / 7000; then (10000 * 500000 - 7000 * 333334) / 3000 = 888887.33 */
    EXPECT("X/USD:USD", "haircut_long", 366668, 333334, 90834, 10000);
    BRACKET("X/USD:USD", 0, 7000, 611110, 555554, 146389, 10000);
    assert_true(is_noted("X/USD:USD", "cum is not that of tiers that meet"));
}

/* Thresholds down, leverage down, and a cum finer than all that is no contradiction. */
static void binance_fractions_round_against_the_account(void **state)
{
    (void)state;
    import("binance-usdm", BINANCE("'X/USD:USD':[" TIER(0, 7000.9, 0.01, 0.5000005, 0) ","
                                   TIER(7000.9, 20000, 0.02, 0.4, 70.0000001) "]"));
    assert_int_equal(number(json_object_get(instrument("X/USD:USD"), "haircut_long"), "initial"), 2500000);
    assert_int_equal(threshold(json_object_get(instrument("X/USD:USD"), "brackets"), 0), 7000);
    assert_false(is_noted("X/USD:USD", "cum is not"));
    import("binance-usdm", BINANCE("'X/USD:USD':[" TIER(0, 7000, 0.01, 0.5000005, 0) "]"));
    assert_int_equal(number(json_object_get(instrument("X/USD:USD"), "haircut_long"), "initial"), 2000000);
}

static void more_steps_than_room_are_one(void **state)
{
    (void)state;
    char text[TEXT_BYTES_MAX], *end = text;
    end += sprintf(end, "{'protocol':'binance-usdm','symbols':{'X/USD:USD':[");
    for (int i = 0; i < PL_BRACKETS_MAX + 4; i++)
        end += sprintf(end, "%s{'min_notional':%d,'max_notional':%d,'mmr':0.%02d,'max_leverage':1,"
                       "'cum':%d}", i ? "," : "", 1000 * i, 1000 * (i + 1), i + 1, 5 * i * (i + 1));
    sprintf(end, "]}}");
    import("binance-usdm", text);
    const int last = PL_BRACKETS_MAX - 1;
    assert_int_equal(json_array_size(json_object_get(instrument("X/USD:USD"), "brackets")),
                     PL_BRACKETS_MAX);
    /* Initial is all of it from the first tier on, so that a bracket would add to maintenance alone. */
    BRACKET("X/USD:USD", last - 1, 1000 * last, 11000 * last, 10000 * last, 10000 * last, 10000 * last);
    BRACKET("X/USD:USD", last, 1000 * (last + 1), 165000, 150000, 150000, 150000);
    assert_true(is_noted("X/USD:USD", "V6 brackets rate: initial 0 is below maintenance 10000"));
    assert_true(is_noted("X/USD:USD", "brackets: 15, of which the last 4 became one, from 12000 USD"));
}

#define DYDX(initial, fraction, base) DYDX_OF(initial, fraction, base, -9)
#define DYDX_OF(initial, fraction, base, resolution)                                                \
    "{'protocol':'dydx-v4','chain_id':'dydx','liquidity_tiers':[{'id':2,'name':'Long-Tail',"        \
    "'initial_margin_ppm':" #initial ",'maintenance_fraction_ppm':" #fraction                       \
    ",'base_position_notional':" #base "}],'perpetuals':[{'ticker':'ETH-USD','market_id':1,"        \
    "'atomic_resolution':" #resolution ",'liquidity_tier':2}],"                                     \
    "'genesis_prices':[{'id':0,'price':1,'exponent':0},"                                            \
    "{'id':1,'price':1800000000,'exponent':-6}],'liquidations_config':"                             \
    "{'max_liquidation_fee_ppm':14999.5}}"

static void dydx_roots_become_chords(void **state)
{
    (void)state;
    import("dydx-v4", DYDX(200000, 500000, 100001000000));
    EXPECT("ETH-USD", "haircut_long", 220000, 200000, 125000, 100000);
    /* From 100001 to 9/4 of it: 0.2 * 19 / 10; from there to 4 times: 0.2 * 37 / 14 = 528571.43. */
    BRACKET("ETH-USD", 0, 100001, 198000, 180000, 112500, 90000);
    BRACKET("ETH-USD", 1, 225002, 361430, 328572, 205358, 164286);
    assert_int_equal(number(instrument("ETH-USD"), "sale_discount_ppm"), 15000);
    assert_int_equal(number(instrument("ETH-USD"), "lot_decimals"), 9);
    assert_int_equal(number(instrument("ETH-USD"), "tick_decimals"), 3);
    import("dydx-v4", DYDX(200001, 500000, 100000000000));
    EXPECT("ETH-USD", "haircut_long", 220002, 200001, 125001, 100001); /* half of it up */
    import("dydx-v4", DYDX(200000.5, 499999.5, 1999999.5));
    EXPECT("ETH-USD", "haircut_long", 220002, 200001, 125001, 100001); /* both up */
    assert_int_equal(threshold(json_object_get(instrument("ETH-USD"), "brackets"), 0), 1);
}

/* At 30 % all of it is asked at k = 6.67, so the nodes are 2, 3, 4, 6 and 7: the last chord begins at 9 times
 * the base with 0.3 * (36 + 42 + 49) / 26 = 1.46538462, 1165385 ppm up beyond the first 300000; half of it
 * is 732692.3, 582693 up beyond 150000. What is whole in the protocol and not in the file counts down: -8.1
 * is 9 decimals. */
static void dydx_ends_at_the_whole_position(void **state)
{
    (void)state;
    import("dydx-v4", DYDX(300000, 500000, 100000000000));
    const json_t *brackets = json_object_get(instrument("ETH-USD"), "brackets");
    const json_t *rate = json_object_get(json_array_get(brackets, 3), "rate");
    assert_int_equal(json_array_size(brackets), 4);
    assert_int_equal(threshold(brackets, 3), 900000);
    assert_int_equal(number(rate, "initial"), 1165385);
    assert_int_equal(number(rate, "maintenance"), 582693);
    import("dydx-v4", DYDX_OF(300000, 500000, 100000000000, -8.1));
    assert_int_equal(number(instrument("ETH-USD"), "lot_decimals"), 9);
}

/* What the set asks of a position, in USD. */
static long double asked(const char *tier, int64_t notional)
{
    const json_t *one = instrument("ETH-USD"), *brackets = json_object_get(one, "brackets"), *bracket;
    long double ppm = (long double)notional * number(json_object_get(one, "haircut_long"), tier);
    size_t i;
    json_array_foreach(brackets, i, bracket) {
        int64_t from = threshold(brackets, i), to = threshold(brackets, i + 1);
        if (notional > from)
            ppm += (long double)((notional < to ? notional : to) - from) *
                   number(json_object_get(bracket, "rate"), tier);
    }
    return ppm / PL_PPM;
}

/* Chords are nowhere below the curve, and not far above it where it is still one. */
static void dydx_chords_are_above_the_curve(void **state)
{
    (void)state;
    import("dydx-v4", DYDX(50000, 600000, 1000000000000));
    for (int64_t notional = 1000; notional < 1000000000; notional += notional / 97 + 1) {
        long double root = sqrtl((long double)notional / 1000000);
        long double share = 0.05L * (root > 1 ? root : 1);
        long double curve = notional * (share < 1 ? share : 1);
        curve -= curve * 1e-15L; /* of the root itself */
        assert_true(asked("initial", notional) >= curve);
        assert_true(asked("maintenance", notional) >= 0.6L * curve);
        if (share < 1)
            assert_true(asked("initial", notional) <= 1.07L * curve + 1);
    }
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void expect_contract(const char *text)
{
    json_t *expected = test_json(text), *contracts = json_object_get(set, "contracts");
    assert_int_equal(json_array_size(contracts), 1);
    if (!json_equal(json_array_get(contracts, 0), expected))
        fail_msg("%s", json_dumps(contracts, 0));
    json_decref(expected);
}

#define CATEGORY(bonus)                                                                             \
    "{'protocol':'aave-v3','close_factor':{'default_bps':5000,'full_close_if_hf_below':'0.95'},"       \
    "'chains':{'one':{'emodes':{'1':{'ltv_bps':9000,'liquidation_threshold_bps':9300,"                 \
    "'liquidation_bonus_bps':" #bonus "}},'reserves':{"                                                \
    RESERVE("ETH", 8050, 8300, 10500, ",'decimals':18,'emode_category':1") "}}}}"

/* A category's bonus counts where its contract can be called, and is covered by the reserve's discount. */
static void categories_have_a_bonus(void **state)
{
    (void)state;
    json_decref(template);
    template = test_json(TEMPLATE);
    json_object_set_new(template, "contract", json_string("0xpool"));
    const struct { const char *text; int bonus_ppm; } rows[] = {
        { CATEGORY(10100), 10000 }, { CATEGORY(10050.005), 5001 }, { CATEGORY(10000), 0 },
        { CATEGORY(10500), 50000 }, { CATEGORY(10600), 50000 },
    };
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        import("aave-v3", rows[i].text);
        const json_t *mode = json_array_get(json_object_get(set, "modes"), 0);
        const json_t *weight = json_array_get(json_object_get(mode, "weights"), 0);
        assert_int_equal(number(weight, "bonus_ppm"), rows[i].bonus_ppm);
    }
    assert_true(is_noted("ETH", "a mode's bonus 60000 is above its own, bounded at 50000"));
    json_decref(template);
    template = test_json(TEMPLATE);
}

/* The template alone knows where a protocol's contract is. */
static void contracts_say_how_they_are_called(void **state)
{
    (void)state;
    static const char aave_3[] =
        "{'protocol':'aave-v3','close_factor':{'default_bps':5000,'full_close_if_hf_below':'0.95'},"
        "'chains':{'one':{'reserves':{" RESERVE("ETH", 8050, 8300, 10500, ",'decimals':18,"
        "'address':'0xeth'") "}}}}";
    import("aave-v3", aave_3);
    assert_null(json_object_get(set, "contracts"));
    assert_true(is_noted("aave-v3", "contract, close factor and addresses: left out"));
    json_decref(template);
    template = test_json(TEMPLATE);
    json_object_set_new(template, "contract", json_string("0xpool"));
    import("aave-v3", aave_3);
    expect_contract("{'contract':'0xpool','chain':'one','rule':'RULE_AAVE_V3',"
                    "'close_factor_ppm':500000,'full_below_ppm':950000,"
                    "'assets':[{'instrument':'ETH','token':'0xeth','bonus_ppm':50000}]}");
    import("aave-v2", "{'protocol':'aave-v2','chain':'one','close_factor_bps':5000.005,'reserves':{"
                      RESERVE("ETH", 8050, 8300, 10500.005, ",'decimals':18") "}}"); /* down, and up */
    expect_contract("{'contract':'0xpool','chain':'one','rule':'RULE_AAVE_V3',"
                    "'close_factor_ppm':500000,'assets':[{'instrument':'ETH','bonus_ppm':50001}]}");
    import("compound-v3", COMPOUND(ASSET("WETH", 0.78, 0.85, 0.93) "," ASSET("NONE", 0, 0, 0)));
    expect_contract("{'contract':'0xpool','chain':'mainnet','rule':'RULE_COMPOUND_V3','assets':"
                    "[{'instrument':'USDC','bonus_ppm':0},{'instrument':'WETH','bonus_ppm':75268},"
                    "{'instrument':'NONE','bonus_ppm':0}]}"); /* 1 / 0.93 = 1.0752688, down */
    import("mango-v4", MANGO(TOKEN("SOL", 0.8, 0.9, 1.2, 1.1, 0.05)));
    assert_null(json_object_get(set, "contracts"));
    assert_true(is_noted("0xpool", "its calls are not known"));
    assert_int_equal(try_import("aave-v3", AAVE_3()), PL_REJECT_MISSING);
    json_decref(template);
    template = NULL;
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void mistakes_are_refused_by_name(void **state)
{
    static const struct { const char *protocol, *chain, *market, *text; enum pl_err err; const char *says; }
    rows[] = {
        { "aave-v9", NULL, NULL, "{}", PL_REJECT_UNKNOWN, "aave-v9 is none of aave-v2" },
        { "aave-v2", NULL, NULL, "{'protocol':'aave-v3'}", PL_REJECT_CONFLICT, "is of protocol aave-v3" },
        { "aave-v2", NULL, NULL, "{}", PL_REJECT_CONFLICT, "is of protocol (none)" },
        { "aave-v2", "polygon", NULL, AAVE(), PL_REJECT_UNKNOWN, "the file is of chain ethereum" },
        { "aave-v2", NULL, NULL, AAVE("'X':{'ltv_bps':1}"), PL_REJECT_MISSING,
          "X: there is no liquidation_threshold_bps" },
        { "aave-v2", NULL, NULL, AAVE(RESERVE("X", 10001, 1, 1)), PL_REJECT_RANGE, "X: ltv_bps: " },
        { "aave-v2", NULL, NULL, AAVE(RESERVE("X", -1, 1, 1)), PL_REJECT_RANGE, "X: ltv_bps: " },
        { "aave-v2", NULL, NULL, AAVE(RESERVE("X", 'a', 1, 1)), PL_REJECT_MALFORMED, "X: ltv_bps: " },
        { "aave-v2", NULL, NULL, AAVE(RESERVE("X", [], 1, 1)), PL_REJECT_MALFORMED, "not a number" },
        { "aave-v2", NULL, NULL, AAVE(RESERVE("X", 1e99999, 1, 1)), PL_REJECT_RANGE, "exponent" },
        { "aave-v3", NULL, NULL, AAVE_3(), PL_REJECT_MISSING, "--chain is needed, one of one two" },
        { "aave-v3", "three", NULL, AAVE_3(), PL_REJECT_UNKNOWN, "--chain three: the file has one two" },
        { "compound-v3", NULL, "dai", COMPOUND(), PL_REJECT_UNKNOWN, "--market dai: the file has usdc" },
        { "compound-v3", NULL, NULL, COMPOUND("'X':{'borrowCF':1.1}"), PL_REJECT_RANGE, "X: borrowCF" },
        { "mango-v4", NULL, NULL, MANGO(TOKEN("X", 1, 1, 0.9, 1, 0)), PL_REJECT_RANGE,
          "X: initLiabWeight" },
        { "binance-usdm", "ethereum", NULL, BINANCE(), PL_REJECT_UNKNOWN, "a venue is on no chain" },
        { "binance-usdm", NULL, NULL, BINANCE("'X/USD:USD':[]"), PL_REJECT_CONFLICT, "no part from 0" },
        { "binance-usdm", NULL, NULL, BINANCE("'X/USD:USD':[" TIER(5, 9, 0.1, 1, 0) "]"),
          PL_REJECT_CONFLICT, "no part from 0" },
        { "binance-usdm", NULL, NULL,
          BINANCE("'X/USD:USD':[" TIER(0, 9, 0.1, 1, 0) "," TIER(10, 20, 0.2, 1, 0) "]"),
          PL_REJECT_CONFLICT, "begins at 10, the last one ends at 9" },
        { "binance-usdm", NULL, NULL,
          BINANCE("'X/USD:USD':[" TIER(0, 9, 0.2, 1, 0) "," TIER(9, 20, 0.1, 1, 0) "]"),
          PL_REJECT_CONFLICT, "part 2 does not follow" },
        { "dydx-v4", NULL, NULL, DYDX(0, 1, 1000000), PL_REJECT_RANGE, "ETH-USD: initial_margin_ppm" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        request.chain = rows[i].chain;
        request.market = rows[i].market;
        enum pl_err err = try_import(rows[i].protocol, rows[i].text);
        if (err != rows[i].err || !strstr(pl_err_text(), rows[i].says))
            fail_msg("row %u: %s: %s", i, pl_err_name(err), pl_err_text());
        assert_null(set);
        assert_null(notes);
    }
    request.chain = request.market = NULL;
}

static void templates_say_the_rest(void **state)
{
    static const struct { const char *field, *value; enum pl_err err; } rows[] = {
        { "end_share_ppm", "1000001", PL_REJECT_RANGE }, { "alert_premium_ppm", "-1", PL_REJECT_RANGE },
        { "sources", "{}", PL_REJECT_MISSING },          { "instrument", NULL, PL_REJECT_MISSING },
        { "surprise", "1", PL_REJECT_UNKNOWN },          { "instruments", "[]", PL_REJECT_MISSING },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_decref(template);
        template = test_json(TEMPLATE);
        if (rows[i].value)
            json_object_set_new(template, rows[i].field, test_json(rows[i].value));
        else
            json_object_del(template, rows[i].field);
        assert_int_equal(try_import("aave-v2", AAVE()), rows[i].err);
        assert_non_null(strstr(pl_err_text(), "template: "));
    }
    json_decref(template);
    template = test_json(TEMPLATE);
    json_object_set_new(template, "instruments", test_json("{'A':{'confidence_ppm':5},'B':{}}"));
    import("aave-v2", AAVE(RESERVE("A", 8000, 8250, 10500, ",'decimals':18")));
    assert_int_equal(number(instrument("A"), "confidence_ppm"), 5);
    assert_true(is_noted("B", "named by the template, not by the file"));
    json_decref(template);
    template = NULL;
}

static void texts_keep_every_digit(void **state)
{
    static const struct { const char *text; enum pl_err err; } rows[] = {
        { "{'x':1,}", PL_REJECT_MALFORMED }, { "{'x':'1", PL_REJECT_MALFORMED },
        { "{'x':'a\\", PL_REJECT_MALFORMED }, { "{'x':-", PL_REJECT_MALFORMED },
        { "{'x':1,'x':2}", PL_REJECT_MALFORMED }, { "", PL_REJECT_MALFORMED },
    };
    (void)state;
    json_t *json = parsed("{'a':0.1000000000000000055,'b':-12e-3,'c':'7\\\\','d':[true,null,1E6],'e':{'f':5}}");
    json_t *same = test_json("{'a':'0.1000000000000000055','b':'-12e-3','c':'7\\\\','d':[true,null,'1E6'],"
                             "'e':{'f':'5'}}");
    assert_true(json_equal(json, same));
    json_decref(json);
    json_decref(same);
    for (unsigned i = 0; i < TEST_COUNT(rows); i++)
        assert_int_equal(import_parse(rows[i].text, strlen(rows[i].text), &json), rows[i].err);
    json = parsed("{'b':-12e-3,'c':0.000123E+6}");
    struct pl_amount amount;
    assert_int_equal(import_amount(json, "x", "b", &amount), PL_OK);
    assert_true(amount.mantissa == -12 && amount.exponent == -3);
    int64_t units = 0;
    static const struct import_range range = { 0, PL_ROUND_FLOOR, 0, 1000 };
    assert_int_equal(import_number(json, "x", "c", range, &units), PL_OK);
    assert_int_equal(units, 123);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aave_counts_what_its_health_factor_counts),
        cmocka_unit_test(aave_rounds_against_the_account),
        cmocka_unit_test(what_breaks_a_rule_is_bounded_and_said),
        cmocka_unit_test(a_chain_s_reserves_say_more),
        cmocka_unit_test(compound_lends_one_coin),
        cmocka_unit_test(mango_ends_at_its_initial_weights),
        cmocka_unit_test(mango_fees_round_up),
        cmocka_unit_test(binance_tiers_become_brackets),
        cmocka_unit_test(binance_jumps_round_up),
        cmocka_unit_test(binance_fractions_round_against_the_account),
        cmocka_unit_test(more_steps_than_room_are_one),
        cmocka_unit_test(dydx_roots_become_chords),
        cmocka_unit_test(dydx_ends_at_the_whole_position),
        cmocka_unit_test(dydx_chords_are_above_the_curve),
        cmocka_unit_test(categories_have_a_bonus),
        cmocka_unit_test(contracts_say_how_they_are_called),
        cmocka_unit_test(mistakes_are_refused_by_name),
        cmocka_unit_test(templates_say_the_rest),
        cmocka_unit_test(texts_keep_every_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
