/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter sets: the golden set's values, each reject by its place, the largest set's memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static const struct pl_parameters *result(void)
{
    size_t size_bytes;
    return test_result(TEST_RECORD_PARAMETERS, &size_bytes);
}

static void a_set_says_what_it_says(void **state)
{
    const struct pl_parameters *set = result();
    (void)state;
    enum pl_err err = test_decoder(TEST_RECORD_PARAMETERS)(test_key("base"),
                                                           test_bytes_of(TEST_RECORD_PARAMETERS));
    if (err)
        fail_msg("%s", pl_err_text());
    assert_int_equal(set->epoch, 5);
    assert_int_equal(set->instrument_count, 2);
    const struct pl_instrument *eth = &set->instruments[0], *btc = &set->instruments[1];
    assert_true(eth->is_listed && btc->is_listed && !set->instruments[2].is_listed);
    assert_int_equal(eth->kind, PL_INSTRUMENT_SPOT);
    assert_int_equal(btc->kind, PL_INSTRUMENT_PERP);
    assert_int_equal(eth->lot_decimals, 5);
    assert_int_equal(eth->tick_decimals, 2);
    assert_int_equal(eth->multiplier, 100000);
    assert_int_equal(eth->haircut_long.at[PL_TIER_ALERT], 60000);
    assert_int_equal(eth->haircut_long.at[PL_TIER_INITIAL], 50000);
    assert_int_equal(eth->haircut_long.at[PL_TIER_END], 40000);
    assert_int_equal(eth->haircut_long.at[PL_TIER_MAINTENANCE], 30000);
    assert_int_equal(eth->haircut_short.at[PL_TIER_MAINTENANCE], 40000);
    assert_int_equal(btc->loads[0].load.at[PL_TIER_ALERT], -60000);
    assert_int_equal(eth->bracket_count, 2);
    assert_int_equal(eth->brackets[1].threshold_usd, 5000000);
    assert_int_equal(eth->brackets[1].rate.at[PL_TIER_END], 40000);
    assert_int_equal(eth->losses[0].loss.at[PL_TIER_INITIAL], 8000);
    assert_int_equal(eth->confidence_ppm, 1500);
    assert_int_equal(eth->sale_discount_ppm, 5000);
    assert_int_equal(eth->sale_rank, 2);
    assert_int_equal(btc->sale_rank, 1);
    assert_string_equal(eth->price_rules.sources[1].text, "coinbase");
    assert_int_equal(eth->price_rules.quorum, 2);
    assert_int_equal(eth->price_rules.age_ms_max, 5000);
    assert_int_equal(eth->price_rules.bad_mark_high_ppm, 1500000);
    assert_string_equal(eth->chain.text, "ethereum");
    assert_int_equal(btc->chain.size_bytes, 0);
    assert_string_equal(set->factors[0].text, "market");
    assert_string_equal(set->dependencies[0].text, "lido");
    assert_false(set->sources[0].settles_by_time);
    assert_true(set->sources[1].settles_by_time);
    assert_int_equal(set->policy.order_valid_ms, 30000);
    assert_int_equal(set->policy.watermark_age_ms_max, 10000);
    assert_int_equal(set->policy.alert_hysteresis_ppm, 10000);
    /* A set that says nothing of margin calls switches off what one before it asked for. */
    assert_int_equal(set->policy.call_interval_ms_min, 0);
    assert_int_equal(set->policy.grace_ms, 0);
}

/* Absent, a size is any; and a set without confirmations credits nothing. */
static void instruments_may_credit_what_is_not_final(void **state)
{
    static struct pl_parameters set;
    struct pl_names *names = test_names();
    uint32_t index = 0;
    struct pl_id id;
    (void)state;
    json_t *json = test_changed(TEST_RECORD_PARAMETERS, "instruments.0.confirmations",
                                "[{'blocks':12,'lots_max':'500','weight_ppm':1000000},"
                                "{'blocks':2,'weight_ppm':500000}]");
    const char *name = json_string_value(json_object_get(
        json_array_get(json_object_get(json, "instruments"), 0), "instrument"));
    assert_int_equal(pl_id_set(&id, name, strlen(name)), PL_OK);
    assert_int_equal(pl_wire_parameters_decode(test_wire(), names,
                                               test_encode(PL_TOPIC_PARAMETERS, json), &set),
                     PL_OK);
    assert_true(pl_names_find(names, &id, &index));
    const struct pl_instrument *instrument = &set.instruments[index];
    assert_int_equal(instrument->confirmation_count, 2);
    assert_int_equal(instrument->confirmations[0].blocks, 12);
    assert_true(instrument->confirmations[0].lots_max == 500);
    assert_true(instrument->confirmations[1].lots_max == INT64_MAX);
    assert_int_equal(instrument->confirmations[1].weight_ppm, 500000);
}

static void instruments_may_say_how_their_venue_trades(void **state)
{
    static struct pl_parameters set;
    struct pl_names *names = test_names();
    uint32_t index = 0;
    struct pl_id id;
    (void)state;
    json_t *json = test_changed(TEST_RECORD_PARAMETERS, "instruments.0.depth",
                                "[{'usd_max':'500','discount_ppm':100},"
                                "{'usd_max':'5000','discount_ppm':200}]");
    json_t *instrument = json_array_get(json_object_get(json, "instruments"), 0);
    json_object_set_new(instrument, "lot_step", json_string("10"));
    json_object_set_new(instrument, "min_notional_usd", json_string("5"));
    json_object_set_new(instrument, "slice_usd_max", json_string("9000"));
    const char *name = json_string_value(json_object_get(instrument, "instrument"));
    assert_int_equal(pl_id_set(&id, name, strlen(name)), PL_OK);
    assert_int_equal(pl_wire_parameters_decode(test_wire(), names,
                                               test_encode(PL_TOPIC_PARAMETERS, json), &set),
                     PL_OK);
    assert_true(pl_names_find(names, &id, &index));
    const struct pl_instrument *read = &set.instruments[index];
    assert_int_equal(read->depth_count, 2);
    assert_true(read->depth[1].usd_max == 5000 && read->depth[1].discount_ppm == 200);
    assert_true(read->lot_step == 10 && read->min_notional_usd == 5);
    assert_true(read->slice_usd_max == 9000);
}

static void calls_may_have_an_interval_and_a_grace(void **state)
{
    static struct pl_parameters set;
    (void)state;
    json_t *json = test_changed(TEST_RECORD_PARAMETERS, "policies.0.grace_ms", "'60000'");
    json_t *policy = json_array_get(json_object_get(json, "policies"), 0);
    json_object_set_new(policy, "call_interval_ms_min", json_string("5000"));
    assert_int_equal(pl_wire_parameters_decode(test_wire(), test_names(),
                                               test_encode(PL_TOPIC_PARAMETERS, json), &set),
                     PL_OK);
    assert_int_equal(set.policy.call_interval_ms_min, 5000);
    assert_int_equal(set.policy.grace_ms, 60000);
    assert_int_equal(set.policy.bad_debt_dust_usd, 0);
}

static json_t *list_of(json_t *set, const char *name)
{
    if (!json_object_get(set, name))
        json_object_set_new(set, name, json_array());
    return json_object_get(set, name);
}

/* ETH over lido to ethereum and over both to their joint failure, half of it covered at the first edge. */
static json_t *with_exposures(void)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    const char *tiers = "{'alert':500000,'initial':400000,'end':300000,'maintenance':200000}";
    json_array_append_new(list_of(json, "dependencies"), test_json("{'dependency':'ethereum'}"));
    json_array_append_new(list_of(json, "dependencies"), test_json("{'dependency':'both'}"));
    json_array_append_new(list_of(json, "exposures"),
                          json_pack("{s:s, s:s, s:o, s:i}", "instrument", "ETH", "to", "ethereum",
                                    "loss", test_json(tiers), "coverage_ppm", 500000));
    json_array_append_new(list_of(json, "exposures"),
                          json_pack("{s:s, s:s, s:o}", "from", "lido", "to", "ethereum", "loss",
                                    test_json(tiers)));
    json_array_append_new(list_of(json, "joint_failures"),
                          json_pack("{s:s, s:[s, s], s:o}", "dependency", "both", "members", "lido",
                                    "ethereum", "loss", test_json(tiers)));
    return json;
}

static void exposures_become_losses(void **state)
{
    static struct pl_parameters set;
    (void)state;
    struct pl_names *names = test_names();
    enum pl_err err = pl_wire_parameters_decode(
        test_wire(), names, test_encode(PL_TOPIC_PARAMETERS, with_exposures()), &set);
    if (err)
        fail_msg("%s", pl_err_text());
    assert_int_equal(set.edge_count, 4);
    uint32_t eth = 0;
    const struct pl_id id = {.size_bytes = 3, .text = "ETH"};
    assert_true(pl_names_find(names, &id, &eth));
    static const int32_t expected[3][2] = {{6000, 9000}, {100000, 250000}, {20000, 125000}};
    assert_int_equal(set.instruments[eth].loss_count, 3);
    for (uint32_t k = 0; k < 3; k++) {
        const struct pl_loss *loss = &set.instruments[eth].losses[k];
        assert_int_equal(loss->dependency, k);
        assert_int_equal(loss->loss.at[PL_TIER_MAINTENANCE], expected[k][0]);
        assert_int_equal(loss->loss.at[PL_TIER_ALERT], expected[k][1]);
    }
}

static void bad_exposures_are_refused(void **state)
{
    static const struct { const char *list, *element; enum pl_err err; const char *text; } rows[] = {
        {"exposures", "{}", PL_REJECT_MISSING, "field exposures[2].from is missing"},
        {"exposures", "{'from':'lido'}", PL_REJECT_MISSING, "field exposures[2].to is missing"},
        {"exposures", "{'from':'lido','to':'both'}", PL_REJECT_MISSING,
         "field exposures[2].loss is missing"},
        {"exposures", "{'from':'x','to':'both'}", PL_REJECT_UNKNOWN,
         "field exposures[2].from: x is not declared in the set"},
        {"exposures", "{'from':'lido','to':'y'}", PL_REJECT_UNKNOWN,
         "field exposures[2].to: y is not declared in the set"},
        {"exposures", "{'instrument':'SOL','to':'both'}", PL_REJECT_UNKNOWN,
         "field exposures[2].instrument: SOL is not among the instruments"},
        {"exposures", "{'instrument':'ETH','from':'lido','to':'both'}", PL_REJECT_CONFLICT,
         "field exposures[2].from: there is an instrument already"},
        {"exposures", "{'from':'ethereum','to':'lido','loss':{'alert':1,'initial':1,'end':1,"
         "'maintenance':1}}", PL_REJECT_PARAMETERS,
         "exposures: lido to ethereum to lido is a cycle"},
        {"joint_failures", "{'members':['lido']}", PL_REJECT_MISSING,
         "field joint_failures[1].dependency is missing"},
        {"joint_failures", "{'dependency':'both','members':['lido']}", PL_REJECT_MISSING,
         "field joint_failures[1].loss is missing"},
        {"joint_failures", "{'dependency':'both','loss':{'alert':1,'initial':1,'end':1,"
         "'maintenance':1}}", PL_REJECT_MISSING, "field joint_failures[1].members is missing"},
        {"joint_failures", "{'dependency':'both','members':['z'],'loss':{'alert':1,'initial':1,"
         "'end':1,'maintenance':1}}", PL_REJECT_UNKNOWN,
         "field joint_failures[1].members: z is not declared in the set"},
    };
    static struct pl_parameters set;
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = with_exposures();
        json_array_append_new(list_of(json, rows[i].list), test_json(rows[i].element));
        enum pl_err err = pl_wire_parameters_decode(
            test_wire(), test_names(), test_encode(PL_TOPIC_PARAMETERS, json), &set);
        if (err != rows[i].err || strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
}

#define WEIGHT "{'instrument':'ETH','haircut_long':{'alert':4,'initial':3,'end':2,'maintenance':1}}"

#define BONUS(ppm) "{'instrument':'ETH','bonus_ppm':" #ppm ",'haircut_long':{'alert':4,'initial':3,"   \
                   "'end':2,'maintenance':1}}"

static enum pl_err decode_modes(const char *modes, struct pl_parameters *set)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    json_object_set_new(json, "modes", test_json(modes));
    return pl_wire_parameters_decode(test_wire(), test_names(), test_encode(PL_TOPIC_PARAMETERS, json),
                                     set);
}

static void modes_are_read(void **state)
{
    static struct pl_parameters set;
    (void)state;
    if (decode_modes("[{'debt':'ETH','weights':[" WEIGHT "]},{'mode':255,'weights':[" WEIGHT "]},"
                     "{'mode':3}]", &set))
        fail_msg("%s", pl_err_text());
    const struct pl_mode_weight *weight = &set.mode_weights[set.modes[255].first];
    const struct pl_instrument *eth = &set.instruments[weight->instrument];
    assert_int_equal(set.mode_weight_count, 2);
    assert_int_equal(set.modes[255].count, 1);
    assert_true(set.modes[3].is_present && set.modes[3].count == 0 && !set.modes[4].is_present);
    assert_int_equal(weight->haircut_long.at[PL_TIER_ALERT], 4);
    assert_int_equal(weight->haircut_long.at[PL_TIER_MAINTENANCE], 1);
    assert_memory_equal(&weight->haircut_short, &eth->haircut_short, sizeof eth->haircut_short);
    assert_true(eth->lent_on.is_present && eth->lent_on.count == 1 && set.has_debt_modes);
}

/* The sale's discount, 5000, has to cover it: 1 / 0.995 is 1.00502512. */
static void a_mode_s_bonus_is_its_own_or_the_asset_s(void **state)
{
    static const struct { const char *weight; enum pl_err err; int64_t bonus_ppm; } rows[] = {
        {WEIGHT, PL_OK, 3000}, {BONUS(0), PL_OK, 0}, {BONUS(5025), PL_OK, 5025},
        {BONUS(5026), PL_REJECT_PARAMETERS, 0}, {BONUS(-1), PL_REJECT_PARAMETERS, 0},
    };
    static struct pl_parameters set;
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
        json_t *mode = test_json("[{'mode':1,'weights':[]}]");
        json_array_append_new(json_object_get(json_array_get(mode, 0), "weights"),
                              test_json(rows[i].weight));
        json_object_set_new(json, "modes", mode);
        json_object_set_new(json, "contracts",
                            test_json("[{'contract':'0xpool','chain':'ethereum','rule':'RULE_AAVE_V3',"
                                      "'close_factor_ppm':500000,'assets':[{'instrument':'ETH',"
                                      "'bonus_ppm':3000}]}]"));
        enum pl_err err = pl_wire_parameters_decode(test_wire(), test_names(),
                                                    test_encode(PL_TOPIC_PARAMETERS, json), &set);
        if (err != rows[i].err)
            fail_msg("%s: %s", rows[i].weight, err ? pl_err_text() : "nothing");
        if (!err)
            assert_int_equal(set.mode_weights[0].bonus_ppm, rows[i].bonus_ppm);
    }
}

static void bad_modes_are_refused(void **state)
{
    static struct pl_parameters set;
    static const struct { const char *modes; enum pl_err err; const char *text; } rows[] = {
        {"[{'weights':[]}]", PL_REJECT_CONFLICT, "field modes[0].mode: a mode has a number or a debt"},
        {"[{'mode':1,'debt':'ETH'}]", PL_REJECT_CONFLICT, "field modes[0].mode: a mode has a number"},
        {"[{'mode':0}]", PL_REJECT_RANGE, "field modes[0].mode: 0 is outside 1..255"},
        {"[{'mode':256}]", PL_REJECT_RANGE, "field modes[0].mode: 256 is outside 1..255"},
        {"[{'mode':1},{'mode':1}]", PL_REJECT_CONFLICT, "field modes[1].mode: it is there twice"},
        {"[{'debt':'ETH'},{'debt':'ETH'}]", PL_REJECT_CONFLICT, "field modes[1].debt: it is there twice"},
        {"[{'debt':'SOL'}]", PL_REJECT_UNKNOWN, "field modes[0].debt: SOL is not among"},
        {"[{'debt':'BTC-PERP'}]", PL_REJECT_PARAMETERS, "mode of debt BTC-PERP: it is no listed spot"},
        {"[{'mode':1,'weights':[{'instrument':'SOL'}]}]", PL_REJECT_UNKNOWN,
         "field modes[0].weights[0].instrument: SOL is not among"},
        {"[{'mode':1,'weights':[{'instrument':'ETH'}]}]", PL_REJECT_MISSING,
         "field modes[0].weights[0].haircut_long"},
        {"[{'mode':1,'weights':[" WEIGHT "," WEIGHT "]}]", PL_REJECT_PARAMETERS,
         "mode 1: weight of ETH: it is there twice"},
        {"[{'debt':'ETH','weights':[{'instrument':'ETH','haircut_long':{'alert':1,'initial':1,'end':1,"
         "'maintenance':1},'haircut_short':{'alert':1,'initial':1,'end':1,'maintenance':1}}]}]",
         PL_REJECT_CONFLICT, "field modes[0].weights[0].haircut_short: what a debt is lent on"},
        {"[{'mode':1,'weights':[" BONUS(1) "]}]", PL_REJECT_CONFLICT,
         "field modes[0].weights[0].bonus_ppm: no contract holds ETH"},
        {"[{'debt':'ETH','weights':[" BONUS(1) "]}]", PL_REJECT_CONFLICT,
         "field modes[0].weights[0].bonus_ppm: what a debt is lent on"},
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        enum pl_err err = decode_modes(rows[i].modes, &set);
        if (err != rows[i].err || strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, err ? pl_err_text() : "nothing");
    }
}

/* ETH after BTC-PERP, whose mark is not a ratio, but a set does not know that. */
static json_t *with_peg(const char *change)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    json_t *instruments = json_object_get(json, "instruments");
    json_t *rate = json_deep_copy(json_array_get(instruments, 1));
    json_t *peg = test_json("{'underlying':'BTC-PERP','redemption':'RATE','cap_ratio':{'mantissa':"
                            "'12345','exponent':-4},'cap_since_ms':'1700000000000',"
                            "'cap_growth_ppm_per_year':50000,'floor_ppm':900000,"
                            "'issuer':'ISSUER_GOOD','rounding':'ROUNDING_UP'}");
    json_object_set_new(rate, "instrument", json_string("RATE"));
    json_object_set_new(json_object_get(rate, "price_rules"), "sources", test_json("['contract']"));
    json_array_append_new(instruments, rate);
    json_object_update_new(peg, test_json(change));
    json_object_set_new(json_array_get(instruments, 0), "peg", peg);
    return json;
}

static void a_peg_is_read(void **state)
{
    static struct pl_parameters set;
    (void)state;
    struct pl_names *names = test_names();
    enum pl_err err = pl_wire_parameters_decode(
        test_wire(), names, test_encode(PL_TOPIC_PARAMETERS, with_peg("{}")), &set);
    if (err)
        fail_msg("%s", pl_err_text());
    const struct pl_id id = {.size_bytes = 3, .text = "ETH"};
    uint32_t eth = 0;
    assert_true(pl_names_find(names, &id, &eth));
    const struct pl_peg *peg = &set.instruments[eth].peg;
    assert_true(peg->is_present && peg->rounds_up && !peg->has_issuer_failed);
    assert_string_equal(names->ids[peg->base].text, "BTC-PERP");
    assert_string_equal(names->ids[peg->redemption].text, "RATE");
    assert_int_equal(peg->cap_ratio_e12, 1234500000000);
    assert_int_equal(peg->cap_since_ms, 1700000000000);
    assert_int_equal(peg->cap_growth_ppm, 50000);
    assert_int_equal(peg->floor_ppm, 900000);
    assert_false(set.instruments[peg->base].peg.is_present);
    err = pl_wire_parameters_decode(
        test_wire(), names,
        test_encode(PL_TOPIC_PARAMETERS, with_peg("{'issuer':'ISSUER_FAILED','rounding':"
                                                  "'ROUNDING_DOWN'}")), &set);
    assert_int_equal(err, PL_OK);
    assert_true(peg->has_issuer_failed && !peg->rounds_up);
}

static void bad_pegs_are_refused(void **state)
{
    static const struct { const char *change; enum pl_err err; const char *text; } rows[] = {
        {"{'underlying':'SOL'}", PL_REJECT_UNKNOWN,
         "instruments[0] ETH: field peg.underlying: SOL is not among the instruments"},
        {"{'redemption':''}", PL_REJECT_KEY, "instruments[0] ETH: field peg.redemption"},
        {"{'markets':[{}]}", PL_REJECT_MISSING,
         "instruments[0] ETH: field peg.markets[0].instrument is missing"},
        {"{'markets':[{'instrument':'RATE'}]}", PL_REJECT_MISSING,
         "instruments[0] ETH: field peg.markets[0].window_ms is missing"},
        {"{'markets':[{},{},{},{},{}]}", PL_REJECT_SIZE, "instruments[0] ETH: field peg.markets: 5"},
        {"{'cap_ratio':{'mantissa':0,'exponent':0}}", PL_REJECT_RANGE,
         "instruments[0] ETH: field peg.cap_ratio: not above zero"},
        {"{'cap_ratio':{'mantissa':1,'exponent':-13}}", PL_REJECT_RANGE,
         "instruments[0] ETH: field peg.cap_ratio: not above zero"},
        {"{'cap_ratio':{'mantissa':1,'exponent':8}}", PL_REJECT_OVERFLOW, "instruments[0] ETH"},
        {"{'issuer':'ISSUER_UNSPECIFIED'}", PL_REJECT_UNKNOWN,
         "instruments[0] ETH: field peg.issuer: 0 is no value of it"},
        {"{'rounding':'ROUNDING_UNSPECIFIED'}", PL_REJECT_UNKNOWN,
         "instruments[0] ETH: field peg.rounding: 0 is no value of it"},
        {"{'underlying':'ETH'}", PL_REJECT_PARAMETERS,
         "instrument ETH peg: an instrument it names is pegged itself"},
    };
    static struct pl_parameters set;
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        enum pl_err err = pl_wire_parameters_decode(
            test_wire(), test_names(),
            test_encode(PL_TOPIC_PARAMETERS, with_peg(rows[i].change)), &set);
        if (err != rows[i].err || strncmp(pl_err_text(), rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("expected %s, got %s", rows[i].text, pl_err_text());
    }
}

static void bad_sets_are_refused(void **state)
{
    static const struct { const char *path, *text; } required[] = {
        { "epoch", "field epoch is missing" },
        { "instruments.0.instrument", "field instruments[0].instrument is missing" },
        { "instruments.1.kind", "instruments[1] BTC-PERP: field kind is missing" },
        { "instruments.1.lot_decimals", "instruments[1] BTC-PERP: field lot_decimals is missing" },
        { "instruments.0.tick_decimals", "instruments[0] ETH: field tick_decimals is missing" },
        { "instruments.0.haircut_long", "instruments[0] ETH: field haircut_long is missing" },
        { "instruments.0.haircut_long.end",
          "instruments[0] ETH: field haircut_long.end is missing" },
        { "instruments.0.haircut_short.alert", "field haircut_short.alert is missing" },
        { "instruments.0.factors.0.factor", "field factors[0].factor is missing" },
        { "instruments.0.factors.0.load.initial", "field factors[0].load.initial is missing" },
        { "instruments.0.brackets.1.threshold_usd", "field brackets[1].threshold_usd is missing" },
        { "instruments.0.brackets.1.rate.maintenance",
          "field brackets[1].rate.maintenance is missing" },
        { "instruments.0.dependencies.0.loss", "field dependencies[0].loss is missing" },
        { "instruments.0.confidence_ppm", "field confidence_ppm is missing" },
        { "instruments.0.sale_discount_ppm", "field sale_discount_ppm is missing" },
        { "instruments.0.price_rules", "field price_rules is missing" },
        { "instruments.0.price_rules.quorum", "field price_rules.quorum is missing" },
        { "instruments.0.price_rules.age_ms_max", "field price_rules.age_ms_max is missing" },
        { "instruments.0.price_rules.band_ppm", "field price_rules.band_ppm is missing" },
        { "instruments.0.price_rules.bad_mark_low_ppm", "bad_mark_low_ppm is missing" },
        { "instruments.0.price_rules.bad_mark_high_ppm", "bad_mark_high_ppm is missing" },
        { "factors.0.factor", "field factors[0].factor is missing" },
        { "dependencies.0.dependency", "field dependencies[0].dependency is missing" },
        { "sources.1.source", "field sources[1].source is missing" },
        { "sources.1.settlement", "field sources[1].settlement is missing" },
        { "policies.0.policy", "field policies[0].policy is missing" },
        { "policies.0.order_valid_ms", "field policies[0].order_valid_ms is missing" },
        { "policies.0.order_overdue_ms", "field policies[0].order_overdue_ms is missing" },
        { "policies.0.revision_pause_ms", "field policies[0].revision_pause_ms is missing" },
        { "policies.0.restricted_hold_ms", "field policies[0].restricted_hold_ms is missing" },
        { "policies.0.alert_hysteresis_ppm", "field policies[0].alert_hysteresis_ppm is missing" },
        { "policies.0.watermark_age_ms_max", "field policies[0].watermark_age_ms_max is missing" },
    };
    static const struct test_reject rejects[] = {
        { "epoch", "0", PL_REJECT_RANGE, "field epoch: 0 is outside 1.." },
        { "instruments.1.instrument", "'ETH'", PL_REJECT_CONFLICT,
          "field instruments[1].instrument: ETH is listed twice" },
        { "instruments.0.kind", "'KIND_UNSPECIFIED'", PL_REJECT_UNKNOWN,
          "instruments[0] ETH: field kind: 0 is no value of it; write one of KIND_SPOT" },
        { "instruments.0.factors.0.factor", "'weather'", PL_REJECT_UNKNOWN,
          "instruments[0] ETH: field factors[0].factor: weather is not declared in the set" },
        { "instruments.0.dependencies.0.dependency", "'x'", PL_REJECT_UNKNOWN,
          "field dependencies[0].dependency: x is not declared" },
        { "instruments.0.price_rules.age_ms_max", "-1", PL_REJECT_RANGE, "age_ms_max: -1" },
        { "instruments.0.price_rules.sources.1", "''", PL_REJECT_KEY, "price_rules.sources" },
        { "instruments.0.chain", "'a b'", PL_REJECT_RANGE, "instruments[0] ETH: field chain" },
        { "policies", "[]", PL_REJECT_PARAMETERS, "write one named \"default\"" },
        { "policies.0.policy", "'strict'", PL_REJECT_PARAMETERS, "one named \"default\"" },
        { "policies.0.liquidity_order.0", "'SOL'", PL_REJECT_UNKNOWN,
          "field policies[0].liquidity_order[0]: SOL is not among the instruments" },
        { "policies.0.order_valid_ms", "-1", PL_REJECT_RANGE, "order_valid_ms" },
        { "policies.0.call_interval_ms_min", "-1", PL_REJECT_RANGE, "call_interval_ms_min" },
        { "policies.0.grace_ms", "-1", PL_REJECT_RANGE, "grace_ms" },
        { "instruments.0.confirmations", "[{'weight_ppm':1}]", PL_REJECT_MISSING,
          "confirmations[0].blocks" },
        { "instruments.0.confirmations", "[{'blocks':0,'weight_ppm':1}]", PL_REJECT_RANGE, "blocks" },
        { "instruments.0.confirmations", "[{'blocks':1,'lots_max':'0','weight_ppm':1}]",
          PL_REJECT_RANGE, "lots_max" },
        { "instruments.0.confirmations", "[{},{},{},{},{}]", PL_REJECT_SIZE, "confirmations" },
        /* The rules themselves are lib/exposure's; one row shows that they are asked. */
        { "instruments.0.haircut_long.maintenance", "50001", PL_REJECT_PARAMETERS, "V6" },
        { "instruments.0.lot_decimals", "18", PL_REJECT_PARAMETERS, "V7" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(required); i++) {
        const struct test_reject row = { required[i].path, NULL, PL_REJECT_MISSING,
                                         required[i].text };
        test_rejects(TEST_RECORD_PARAMETERS, &row, 1);
    }
    test_rejects(TEST_RECORD_PARAMETERS, rejects, TEST_COUNT(rejects));
}

static void lists_are_bounded(void **state)
{
    static const struct { const char *path, *element; unsigned max; } lists[] = {
        { "factors", "+{'factor':'market'}", PL_FACTORS_MAX },
        { "dependencies", "+{'dependency':'lido'}", PL_DEPENDENCIES_MAX },
        { "sources", "+{'source':'s','settlement':'SETTLEMENT_APPLIED'}", PL_SOURCES_MAX },
        { "instruments.0.factors", "+{}", PL_LOADS_MAX },
        { "instruments.0.brackets", "+{}", PL_BRACKETS_MAX },
        { "instruments.0.dependencies", "+{}", PL_LOSSES_MAX },
        { "instruments.0.price_rules.sources", "+'s'", PL_PRICE_SOURCES_MAX },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(lists); i++) {
        json_t *json = test_changed(TEST_RECORD_PARAMETERS, lists[i].path, lists[i].element);
        json_t *list = strchr(lists[i].path, '.')
                           ? json_array_get(json_object_get(json, "instruments"), 0)
                           : json_object_get(json, lists[i].path);
        if (strstr(lists[i].path, "price_rules"))
            list = json_object_get(list, "price_rules");
        if (strchr(lists[i].path, '.'))
            list = json_object_get(list, strrchr(lists[i].path, '.') + 1);
        while (json_array_size(list) <= lists[i].max)
            json_array_append(list, json_array_get(list, json_array_size(list) - 1));
        assert_int_equal(test_decoder(TEST_RECORD_PARAMETERS)(
                             test_key("base"), test_encode(PL_TOPIC_PARAMETERS, json)),
                         PL_REJECT_SIZE);
        assert_non_null(strstr(pl_err_text(), "are allowed"));
    }
}

/* An instrument with every list full; the factors and dependencies are declared in `set`. */
static json_t *full_instrument(json_t *set)
{
    json_t *instrument = json_array_get(json_object_get(set, "instruments"), 0);
    json_t *loads = json_object_get(instrument, "factors");
    json_t *brackets = json_object_get(instrument, "brackets");
    json_t *losses = json_object_get(instrument, "dependencies");
    for (int i = 1; i < PL_LOADS_MAX; i++) {
        json_array_append_new(json_object_get(set, "factors"),
                              json_pack("{s:o}", "factor", json_sprintf("f%d", i)));
        json_array_append_new(loads, json_deep_copy(json_array_get(loads, 0)));
        json_object_set_new(json_array_get(loads, (size_t)i), "factor", json_sprintf("f%d", i));
    }
    for (int i = 2; i < PL_BRACKETS_MAX; i++) {
        json_array_append_new(brackets, json_deep_copy(json_array_get(brackets, 1)));
        json_object_set_new(json_array_get(brackets, (size_t)i), "threshold_usd",
                            json_integer(10000000 * i));
    }
    for (int i = 1; i < PL_LOSSES_MAX; i++) {
        json_array_append_new(json_object_get(set, "dependencies"),
                              json_pack("{s:o}", "dependency", json_sprintf("d%d", i)));
        json_array_append_new(losses, json_deep_copy(json_array_get(losses, 0)));
        json_object_set_new(json_array_get(losses, (size_t)i), "dependency",
                            json_sprintf("d%d", i));
    }
    return instrument;
}

/* As many full instruments as there can be: they fit the limit and the cap of unpacking. */
static void the_largest_set_fits(void **state)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    json_t *instrument = full_instrument(json);
    (void)state;
    for (unsigned i = 2; i < PL_INSTRUMENTS_MAX; i++) {
        json_t *copy = json_copy(instrument);
        json_object_set_new(copy, "instrument", json_sprintf("TOKEN-%u", i));
        json_array_append_new(json_object_get(json, "instruments"), copy);
    }
    struct pl_bytes_view value = test_encode(PL_TOPIC_PARAMETERS, json);
    assert_true(value.size_bytes > 2000000);
    struct pl_wire *wire = test_wire();
    static struct pl_parameters parameters;
    enum pl_err err = pl_wire_parameters_decode(wire, test_names(), value, &parameters);
    if (err)
        fail_msg("%s", pl_err_text());
    assert_int_equal(parameters.instrument_count, PL_INSTRUMENTS_MAX);
    assert_true(wire->decode.used_bytes_max < 8 * (size_t)(4 << 20));
    print_message("%zu bytes took %zu of the arena\n", value.size_bytes,
                  wire->decode.used_bytes_max);
}

static void an_effective_set_names_its_base(void **state)
{
    struct pl_bytes_view effective;
    json_t *json = NULL;
    (void)state;
    assert_int_equal(pl_wire_parameters_effective(test_wire(),
                                                  test_bytes_of(TEST_RECORD_PARAMETERS), NULL,
                                                  NULL, &effective), PL_OK);
    assert_int_equal(pl_json_decode(PL_TOPIC_PARAMETERS, effective, &json), PL_OK);
    json_t *expected = test_changed(TEST_RECORD_PARAMETERS, "base_epoch", "'5'");
    assert_true(json_equal(json, expected));
    json_decref(json);
    json_decref(expected);
}

#define TIERS(a, i, e, m)                                                                          \
    "{'alert':" #a ",'initial':" #i ",'end':" #e ",'maintenance':" #m "}"

/* A base set with one model, as the desk writes it. */
static json_t *base_with_model(void)
{
    json_t *json = test_json(test_records[TEST_RECORD_PARAMETERS].json);
    json_t *policy = json_array_get(json_object_get(json, "policies"), 0);
    json_t *eth = json_array_get(json_object_get(json, "instruments"), 0);
    json_t *rates = test_json("{'haircut_rise_ppm_per_hour':10000,'haircut_hold_ms':'86400000',"
                              "'haircut_fall_ppm_per_day':5000,'haircut_interval_ms':'60000'}");
    json_object_del(json, "base_epoch");
    json_object_update(policy, rates);
    json_decref(rates);
    json_object_set_new(eth, "haircut_model", test_json(
        "{'multiple':" TIERS(9, 8, 7, 6) ",'horizon':" TIERS(5, 4, 3, 2) ",'venue_usd':'11',"
        "'daily_volume_usd':'12','participation_ppm':13,'reference_usd':'14','impact_ppm':15,"
        "'half_spread_ppm':16,'buffer_ppm':17,'stress_volatility_ppm':18,"
        "'floor_volatility_ppm':19,'addition_ppm':20,'cap_ppm':400000}"));
    return json;
}

static const char haircut_json[] =
    "{'base_haircut':" TIERS(60000, 50000, 40000, 30000) ",'target':"
    TIERS(120000, 110000, 100000, 90000) ",'target_at_ms':'1700000000000',"
    "'end':{'from_ppm':40000,'since_ms':'1699999999999'},"
    "'maintenance':{'from_ppm':30000,'since_ms':'1699999999998'},"
    "'volatility_fast_ppm':50000,'volatility_slow_ppm':40000,"
    "'close_out':" TIERS(8, 7, 6, 5) ",'buffer':" TIERS(9, 8, 7, 6) ",'stress':"
    TIERS(10, 9, 8, 7) ",'floor':" TIERS(11, 10, 9, 8) ",'liquidity_ppm':21,"
    "'day':{'since_ms':'5','low_ppm':22,'high_ppm':23,'before_low_ppm':24,'before_high_ppm':25,"
    "'rise_ppm':26},'year':{'since_ms':'6','low_ppm':27,'high_ppm':28,'before_low_ppm':29,"
    "'before_high_ppm':30,'rise_ppm':31}}";

/* Every field of the model and of what was derived, there and back; and the base set again. */
static void a_derived_set_contains_its_base(void **state)
{
    struct pl_bytes_view value, base;
    static struct pl_parameters derived, set;
    json_t *json = NULL;
    static uint8_t kept[4096];
    (void)state;
    struct pl_bytes_view desk = test_encode(PL_TOPIC_PARAMETERS, base_with_model());
    memcpy(kept, desk.data, desk.size_bytes);
    desk.data = kept;
    struct pl_names *names = test_names();
    assert_int_equal(pl_wire_parameters_decode(test_wire(), names, desk, &derived), PL_OK);
    const struct pl_haircut_model *model = &derived.instruments[0].haircut_model;
    assert_true(model->is_present && !derived.instruments[1].haircut_model.is_present);
    assert_int_equal(model->multiple.at[PL_TIER_END], 7);
    assert_int_equal(model->horizon.at[PL_TIER_MAINTENANCE], 2);
    const int64_t numbers[] = {
        model->venue_usd, model->daily_volume_usd, model->participation_ppm, model->reference_usd,
        model->impact_ppm, model->half_spread_ppm, model->buffer_ppm, model->stress_volatility_ppm,
        model->floor_volatility_ppm, model->addition_ppm};
    for (unsigned i = 0; i < TEST_COUNT(numbers); i++)
        assert_int_equal(numbers[i], 11 + i);
    assert_int_equal(derived.policy.haircut_fall_ppm_per_day, 5000);
    assert_int_equal(derived.policy.haircut_hold_ms, 86400000);

    struct pl_instrument *eth = &derived.instruments[0];
    derived.epoch = 9;
    eth->haircut_long = (struct pl_tier_ppm){{120000, 110000, 42500, 32500}};
    eth->haircut = (struct pl_haircut){
        .is_present = true, .base = {{60000, 50000, 40000, 30000}},
        .target = {{120000, 110000, 100000, 90000}}, .target_at_ms = 1700000000000,
        .moves = {[PL_TIER_END] = {40000, 1699999999999},
                  [PL_TIER_MAINTENANCE] = {30000, 1699999999998}},
        .volatility_fast_ppm = 50000, .volatility_slow_ppm = 40000, .close_out = {{8, 7, 6, 5}},
        .buffer = {{9, 8, 7, 6}}, .stress = {{10, 9, 8, 7}}, .floor = {{11, 10, 9, 8}},
        .liquidity_ppm = 21,
        .windows = {[PL_HAIRCUT_DAY] = {5, 22, 23, 24, 25, 26},
                    [PL_HAIRCUT_YEAR] = {6, 27, 28, 29, 30, 31}}};
    assert_int_equal(pl_wire_parameters_effective(test_wire(), desk, names, &derived, &value),
                     PL_OK);
    assert_int_equal(pl_json_decode(PL_TOPIC_PARAMETERS, value, &json), PL_OK);
    json_t *expected = test_json(haircut_json);
    json_t *shown = json_array_get(json_object_get(json, "instruments"), 0);
    assert_true(json_equal(json_object_get(shown, "haircut"), expected));
    assert_string_equal(json_string_value(json_object_get(json, "base_epoch")), "5");
    assert_string_equal(json_string_value(json_object_get(json, "epoch")), "9");
    json_decref(expected);
    json_decref(json);

    static uint8_t bytes[4096];
    memcpy(bytes, value.data, value.size_bytes);
    value.data = bytes;
    assert_int_equal(pl_wire_parameters_decode(test_wire(), names, value, &set), PL_OK);
    assert_int_equal(set.base_epoch, 5);
    assert_memory_equal(&set.instruments[0].haircut, &eth->haircut, sizeof(eth->haircut));
    assert_int_equal(set.instruments[0].haircut_long.at[PL_TIER_END], 42500);
    assert_int_equal(pl_wire_parameters_base(test_wire(), value, &base), PL_OK);
    assert_int_equal(base.size_bytes, desk.size_bytes);
    assert_memory_equal(base.data, desk.data, desk.size_bytes);
}

/* What a model needs and what it may leave out. */
static void models_may_be_sparse(void **state)
{
    static const char *const needed[] = {"multiple", "horizon", "cap_ppm"};
    static const char *const spare[] = {"half_spread_ppm", "buffer_ppm", "stress_volatility_ppm",
                                        "floor_volatility_ppm", "addition_ppm"};
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(needed) + TEST_COUNT(spare); i++) {
        const bool is_needed = i < TEST_COUNT(needed);
        json_t *json = base_with_model();
        json_t *eth = json_array_get(json_object_get(json, "instruments"), 0);
        json_object_del(json_object_get(eth, "haircut_model"),
                        is_needed ? needed[i] : spare[i - TEST_COUNT(needed)]);
        assert_int_equal(test_decoder(TEST_RECORD_PARAMETERS)(
                             test_key("base"), test_encode(PL_TOPIC_PARAMETERS, json)),
                         is_needed ? PL_REJECT_MISSING : PL_OK);
        if (is_needed)
            assert_non_null(strstr(pl_err_text(), "field haircut_model."));
    }
}

/*
 * The set with options that is shipped has the default table (RISK 1.4): nine moves in three layers, and
 * eight tails with volatility up of which 0.16 / |move| counts, so that what a short of the underlying
 * loses in one is no more than in the largest of the nine. Of a weight maintenance asks for 80 % and the
 * end for 90 %, rounded up: 0.16 / 0.66 = 0.24242424.. is 242425, 218182 and 193940.
 */
static void the_shipped_option_table(void **state)
{
    static const int32_t moves[] = {0,      40000,  -40000,  80000, -80000,
                                    120000, -120000, 160000, -160000};
    static const struct { int32_t move, initial, end, maintenance; } tails[] = {
        {-660000, 242425, 218182, 193940}, {-330000, 484849, 436364, 387879},
        {500000, 320000, 288000, 256000},  {1000000, 160000, 144000, 128000},
        {2000000, 80000, 72000, 64000},    {3000000, 53334, 48000, 42667},
        {4000000, 40000, 36000, 32000},    {5000000, 32000, 28800, 25600}};
    static struct pl_parameters set;
    (void)state;
    json_t *json = json_load_file(PL_SOURCE_DIR "/deploy/demo/options.json", 0, NULL);
    assert_non_null(json);
    if (pl_wire_parameters_decode(test_wire(), test_names(), test_encode(PL_TOPIC_PARAMETERS, json), &set))
        fail_msg("%s", pl_err_text());
    assert_int_equal(set.scenario_count, 35);
    for (uint32_t s = 0; s < 35; s++) {
        const struct pl_option_scenario *row = &set.scenarios[s];
        const bool is_tail = s >= 27;
        assert_int_equal(row->move_ppm, is_tail ? tails[s - 27].move : moves[s / 3]);
        assert_int_equal(row->layer, is_tail ? PL_LAYER_UP : PL_LAYER_UP + s % 3);
        assert_int_equal(row->weight.at[PL_TIER_ALERT], is_tail ? tails[s - 27].initial : 1000000);
        assert_int_equal(row->weight.at[PL_TIER_INITIAL], is_tail ? tails[s - 27].initial : 1000000);
        assert_int_equal(row->weight.at[PL_TIER_END], is_tail ? tails[s - 27].end : 900000);
        assert_int_equal(row->weight.at[PL_TIER_MAINTENANCE],
                         is_tail ? tails[s - 27].maintenance : 800000);
    }
    assert_int_equal(set.option_shock.up_ppm, 500000);
    assert_int_equal(set.option_shock.down_ppm, 250000);
    assert_int_equal(set.option_shock.floor_ppm, 500000);
    assert_int_equal(set.option_shock.power_short_ppm, 300000);
    assert_int_equal(set.option_shock.power_long_ppm, 130000);
    assert_true(set.option_count == 3 && set.group_count == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_says_what_it_says),
        cmocka_unit_test(instruments_may_say_how_their_venue_trades),
        cmocka_unit_test(instruments_may_credit_what_is_not_final),
        cmocka_unit_test(calls_may_have_an_interval_and_a_grace),
        cmocka_unit_test(exposures_become_losses),
        cmocka_unit_test(bad_exposures_are_refused),
        cmocka_unit_test(modes_are_read),
        cmocka_unit_test(a_mode_s_bonus_is_its_own_or_the_asset_s),
        cmocka_unit_test(bad_modes_are_refused),
        cmocka_unit_test(a_peg_is_read),
        cmocka_unit_test(bad_pegs_are_refused),
        cmocka_unit_test(bad_sets_are_refused),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(the_largest_set_fits),
        cmocka_unit_test(an_effective_set_names_its_base),
        cmocka_unit_test(a_derived_set_contains_its_base),
        cmocka_unit_test(models_may_be_sparse),
        cmocka_unit_test(the_shipped_option_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
