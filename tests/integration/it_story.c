/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One account through everything, on Apache Kafka: ETH on its own chain, bitcoin that came over a bridge,
 * a staked token priced by its peg, a perp and an option sold short. On the way a reorganisation, a halted
 * bridge, one venue's broken book; then a fall: alert, restricted, forced sale, fills, cured. Every figure
 * is worked by hand:
 *
 *   held               at first    alert  initial    end  maintenance     (haircuts, %)
 *    10   ETH            20,000      40       30     25       20           2,000 a piece
 *     0.4 HOP-BTC        20,000      50       40     35       30          50,000
 *     5   STETH          11,000      40       30     25       20           1.1 ETH a piece
 *    -4   PERP           -8,000      20       15   12.5       10           sold at 2,000: cost -8,000
 *    -0.1 CALL               -o       its scenario: s                      strike 2,500, a month, 60 %
 *         cash          -26,500
 *
 * The equity is 20,000 + 20,000 + 11,000 - 26,500 = 24,500, less o; a perp is worth what it has won, 0. Required are
 * alert 8,000 + 10,000 + 4,400 + 1,600 = 24,000, initial 6,000 + 8,000 + 3,300 + 1,200 = 18,500, end 5,000 +
 * 7,000 + 2,750 + 1,000 = 15,750, maintenance 4,000 + 6,000 + 2,200 + 800 = 13,000, and s. What the option
 * takes, o + s, is read from the account's terms, where it stands by itself; all else is exact:
 *
 *                              alert   initial       end  maintenance
 *   at first                     500     6,000     8,750       11,500
 *   + 2 ETH, two blocks deep, half of them counted: 2,000 less the haircut
 *                              1,700     7,400    10,250       13,100
 *   taken back by the chain      500     6,000     8,750       11,500
 *   bridge halted: HOP-BTC lends nothing at alert and initial, as before below
 *                             -9,500    -6,000     8,750       11,500     restricted, nobody sold
 *   one venue has STETH at 264 instead of 2,200, from now on: the median of three inputs does not move
 *   all at 95 %                 -450     4,775     7,387.5     10,000     alert
 *   all at 75 %               -4,250      -125     1,937.5      4,000     restricted
 *   all at 60 %               -7,100    -3,800    -2,150         -500     liquidating
 *
 * with the perp in profit by 400, 2,000 and 3,200. A lot of ETH (0.0001) at 1,200, sold at 1,188, brings
 * 0.1188 in cash for 0.09 of margin: 0.0288. So ceil((2,150 + o + s) / 0.0288) lots are sold, and no more.
 * A deposit of 10,000 cures it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/pipeline.h"

enum { PARTITIONS = 2, ORDERS_MAX = 8, LIMIT_CENTS = 118800, LOTS_A_UNIT = 10000 };

static struct pipeline pipeline;
static int64_t eth_cents = 200000, btc_cents = 5000000, venue_cents[2] = {220000, 220000};
static unsigned venue_sequence, chain_sequence;
static char text[16384];

/* ---- the set ------------------------------------------------------------------------------------ */

#define TIERS(a, i, e, m)                                                                          \
    "{\"alert\":" #a ",\"initial\":" #i ",\"end\":" #e ",\"maintenance\":" #m "}"
#define RULES(sources, quorum, age)                                                                \
    "\"price_rules\":{\"sources\":[" sources "],\"quorum\":" #quorum ",\"age_ms_max\":" #age       \
    ",\"band_ppm\":990000,\"bad_mark_low_ppm\":0,\"bad_mark_high_ppm\":1500000}"
#define INSTRUMENT(name, kind, decimals, haircut_long, haircut_short, rules, more)                 \
    "{\"instrument\":\"" name "\",\"kind\":\"KIND_" kind "\",\"lot_decimals\":4,\"tick_decimals\":" \
    #decimals ",\"haircut_long\":" haircut_long ",\"haircut_short\":" haircut_short                \
    ",\"confidence_ppm\":0,\"sale_discount_ppm\":10000," rules more "}"
#define ZERO TIERS(0, 0, 0, 0)
#define ALL TIERS(1000000, 1000000, 1000000, 1000000)
#define ABC RULES("\"a\",\"b\",\"c\"", 2, 60000)
#define VENUE(name)                                                                                \
    INSTRUMENT("STETH-" name, "SPOT", 2, ALL, ZERO, RULES("\"venue-" name "\"", 1, 60000), "")

static const char policy[] =
    "{\"epoch\":1,\"sources\":[{\"source\":\"venue\",\"settlement\":\"SETTLEMENT_APPLIED\"},"
    "{\"source\":\"indexer\",\"settlement\":\"SETTLEMENT_APPLIED\"}],"
    "\"policies\":[{\"policy\":\"default\",\"liquidity_order\":[\"ETH\",\"HOP-BTC\",\"STETH\","
    "\"PERP\"],\"order_valid_ms\":60000,\"order_overdue_ms\":60000,\"revision_pause_ms\":30000,"
    "\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":1000,\"watermark_age_ms_max\":20000}],"
    "\"dependencies\":[{\"dependency\":\"staker\"}],"
    "\"scenarios\":[{\"move_ppm\":160000,\"layer\":\"LAYER_UP\",\"weight\":"
    TIERS(500000, 500000, 500000, 500000) "}],\"instruments\":[";
static const char held[] =
    INSTRUMENT("ETH", "SPOT", 2, TIERS(400000, 300000, 250000, 200000), ZERO, ABC,
               ",\"chain\":\"ethereum\",\"confirmations\":[{\"blocks\":2,\"weight_ppm\":500000}]")
    "," INSTRUMENT("HOP-BTC", "SPOT", 2, TIERS(500000, 400000, 350000, 300000), ZERO, ABC,
                   ",\"chain\":\"arbitrum\",\"bridge\":\"hop\"")
    "," INSTRUMENT("STETH", "SPOT", 2, TIERS(400000, 300000, 250000, 200000), ZERO,
                   RULES("\"none\"", 1, 60000),
                   ",\"dependencies\":[{\"dependency\":\"staker\",\"loss\":" ZERO "}],"
                   "\"peg\":{\"underlying\":\"ETH\",\"redemption\":\"STETH-RATE\",\"markets\":["
                   "{\"instrument\":\"STETH-A\",\"window_ms\":1000},{\"instrument\":\"STETH-B\","
                   "\"window_ms\":1000}],\"cap_ratio\":{\"mantissa\":11,\"exponent\":-1},"
                   "\"cap_since_ms\":1700000000000}")
    ",";
static const char others[] =
    INSTRUMENT("STETH-RATE", "SPOT", 2, ALL, ZERO, RULES("\"contract\"", 1, 60000), "")
    "," VENUE("A") "," VENUE("B")
    "," INSTRUMENT("PERP", "PERP", 2, ZERO, TIERS(200000, 150000, 125000, 100000), ABC, "")
    "," INSTRUMENT("VOL", "VOLATILITY", 4, ZERO, ZERO, RULES("\"a\"", 1, 60000), "")
    "," INSTRUMENT("CALL", "OPTION", 2, ZERO, ZERO, RULES("\"a\"", 1, 1800000),
                   ",\"option\":{\"type\":\"TYPE_CALL\",\"underlying\":\"ETH\",\"volatility\":"
                   "\"VOL\",\"strike_ticks\":250000,\"expiry_ms\":%lld}") "]}\n";

static void put_parameters(const char *set)
{
    char path[256];
    snprintf(path, sizeof path, "%s/parameters.json", pipeline.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(set, file) >= 0);
    assert_int_equal(fclose(file), 0);
    pipeline_run(&pipeline, NULL, (const char *const[]){"parameters", "put", path, NULL});
}

/* ---- what the world says ------------------------------------------------------------------------ */

static void quote(const char *instrument, const char *source, int64_t mantissa, int exponent)
{
    static uint64_t sequence;
    if (sequence == 0)
        sequence = (uint64_t)pl_now_ms() * 1000;
    snprintf(text, sizeof text,
             "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s\",\"source\":\"%s\",\"price\":"
             "{\"mantissa\":\"%lld\",\"exponent\":%d},\"event_time_ms\":\"%lld\","
             "\"source_sequence\":\"%llu\"}}\n", instrument, source, (long long)mantissa, exponent,
             (long long)pl_now_ms(), (unsigned long long)++sequence);
    pipeline_publish(&pipeline, text);
}

/* One after the other with so much time between: marks of different instruments have no order. */
static void quote_all(unsigned pause_ms)
{
    pipeline_price(&pipeline, "HOP-BTC", btc_cents, -2);
    quote("STETH-RATE", "contract", 110, -2);
    quote("VOL", "a", 6000, -4);
    usleep(pause_ms * 1000);
    pipeline_price(&pipeline, "PERP", eth_cents, -2);
    usleep(pause_ms * 1000);
    pipeline_price(&pipeline, "ETH", eth_cents, -2);
    usleep(pause_ms * 1000);
    quote("STETH-A", "venue-A", venue_cents[0], -2);
    quote("STETH-B", "venue-B", venue_cents[1], -2);
}

/* Prices at so much of those at first: ETH comes late and the venue last, so that no line is crossed before
 * STETH has followed. */
static void fall_to(int percent)
{
    eth_cents = 2000 * percent;
    btc_cents = 50000 * percent;
    venue_cents[1] = 2200 * percent; /* the other one's book stays broken */
    quote_all(800);
}

static void say_chains(unsigned head, unsigned final, const char *bridge)
{
    snprintf(text, sizeof text,
             "{\"topic\":\"chains\",\"value\":{\"chain\":\"ethereum\",\"head_height\":%u,"
             "\"finalised_height\":%u,\"condition\":\"CONDITION_LIVE\",\"event_time_ms\":\"%lld\"}}\n"
             "{\"topic\":\"chains\",\"value\":{\"chain\":\"arbitrum\",\"head_height\":9,"
             "\"finalised_height\":9,\"condition\":\"CONDITION_LIVE\",\"bridges\":[{\"bridge\":\"hop\","
             "\"condition\":\"CONDITION_%s\"}],\"event_time_ms\":\"%lld\"}}\n", head, final,
             (long long)pl_now_ms(), bridge, (long long)pl_now_ms());
    pipeline_publish(&pipeline, text);
}

/* One event of a source; `more` are its other fields. */
static void say_position(const char *source, unsigned *sequence, const char *kind, const char *more)
{
    snprintf(text, sizeof text,
             "{\"topic\":\"positions\",\"value\":{\"account\":\"story\",\"source\":\"%s\","
             "\"sequence\":%u,\"previous_sequence\":%u,\"kind\":\"KIND_%s\",\"event_time_ms\":"
             "\"%lld\",%s}}\n", source, *sequence + 1, *sequence, kind, (long long)pl_now_ms(), more);
    ++*sequence;
    pipeline_publish(&pipeline, text);
}

#define LEG(name, mantissa, exponent)                                                              \
    "{\"instrument\":\"" name "\",\"quantity\":{\"mantissa\":\"" mantissa "\",\"exponent\":" exponent "}}"

static void open_account(void)
{
    say_position("indexer", &chain_sequence, "SNAPSHOT",
                 "\"chain\":\"ethereum\",\"block_height\":50,\"legs\":[" LEG("ETH", "10", "0") "]");
    say_position("venue", &venue_sequence, "SNAPSHOT",
                 "\"legs\":[" LEG("HOP-BTC", "4", "-1") "," LEG("STETH", "5", "0") ","
                 "{\"instrument\":\"PERP\",\"quantity\":{\"mantissa\":\"-4\",\"exponent\":0},"
                 "\"cost\":{\"mantissa\":\"-8000\",\"exponent\":0}},"
                 LEG("CALL", "-1", "-1") "],\"cash\":{\"mantissa\":\"-26500\",\"exponent\":0}");
}

/* ---- what is made of it ------------------------------------------------------------------------- */

/* "-12.5" in 10^-18 USD. */
static pl_i128 parse(const char *decimal)
{
    pl_i128 value = 0;
    unsigned digits = 0;
    bool has_point = false;
    for (const char *at = decimal + (*decimal == '-'); *at; at++)
        if (*at == '.')
            has_point = true;
        else {
            assert_in_range(*at, '0', '9');
            value = value * 10 + (*at - '0');
            digits += has_point;
        }
    assert_true(digits <= 18);
    value *= pl_pow10(18 - digits);
    return *decimal == '-' ? -value : value;
}

static pl_i128 number(const json_t *object, const char *field)
{
    const char *value = json_string_value(json_object_get(object, field));
    return value ? parse(value) : 0;
}

struct station { char state[16], doubts[256]; bool is_known; pl_i128 linear[4], option[4]; };

static void read_tier(const json_t *tier, pl_i128 *linear, pl_i128 *option)
{
    const json_t *term;
    size_t i;
    *option = 0;
    json_array_foreach(json_object_get(tier, "terms"), i, term)
        if (strcmp(json_string_value(json_object_get(term, "of")), "CALL") == 0 ||
            strcmp(json_string_value(json_object_get(term, "term")), "scenario") == 0)
            *option += number(term, "excess_usd");
    *linear = number(tier, "excess_usd") - *option;
}

/* The account at its partition's newest journal entry. */
static struct station look(void)
{
    struct station station = {.is_known = false};
    int status = 0;
    const char *said = pipeline_run(&pipeline, &status,
                                    (const char *const[]){"explain", "story", "--json", NULL});
    json_t *document = json_loads(said, 0, NULL);
    const json_t *verdict = json_object_get(document, "verdict");
    const json_t *state = json_object_get(document, "state");
    if (json_is_object(verdict) && json_is_object(state)) {
        snprintf(station.state, sizeof station.state, "%s",
                 json_string_value(json_object_get(state, "state")));
        char *doubts = json_dumps(json_object_get(verdict, "doubts"), JSON_COMPACT);
        snprintf(station.doubts, sizeof station.doubts, "%s", doubts);
        free(doubts);
        station.is_known = true;
        for (size_t i = 0; i < 4; i++)
            read_tier(json_array_get(json_object_get(verdict, "tiers"), i), &station.linear[i],
                      &station.option[i]);
    }
    json_decref(document);
    return station;
}

/* Waits until all but the option's part of each tier is what was worked out, in thousandths of a dollar. */
static struct station wait_for(const char *state, const int64_t thousandths[4])
{
    struct station station = {.is_known = false};
    for (int i = 0; i < 60; i++) {
        station = look();
        bool is_there = station.is_known && strcmp(station.state, state) == 0;
        for (unsigned t = 0; t < 4; t++)
            is_there = is_there && station.linear[t] == thousandths[t] * pl_pow10(15);
        if (is_there)
            return station;
        usleep(300000);
    }
    char is[4][64];
    fputs(pipeline_run(&pipeline, NULL, (const char *const[]){"explain", "story", NULL}), stderr);
    for (unsigned t = 0; t < 4; t++)
        pl_decimal_print(station.linear[t], 18, is[t]);
    fail_msg("%s: it is %s, %s, %s, %s, %s, in doubt %s", state, station.state, is[0], is[1], is[2],
             is[3], station.doubts);
    return station;
}

/* Changes of state, told in this order and no others. */
static void check_alerts(const char *const *expected, size_t count)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t said = 0, row_count = kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_ALERTS, name),
                                                  true, &rows);
    for (size_t i = 0; i < row_count; i++) {
        json_t *alert = NULL;
        char change[64];
        assert_int_equal(pl_json_decode(PL_TOPIC_ALERTS, rows[i].value, &alert), PL_OK);
        assert_string_equal(json_string_value(json_object_get(alert, "kind")), "KIND_STATE");
        snprintf(change, sizeof change, "%s %s",
                 json_string_value(json_object_get(alert, "left")) + strlen("STATE_"),
                 json_string_value(json_object_get(alert, "entered")) + strlen("STATE_"));
        assert_true(said < count);
        assert_string_equal(change, expected[said++]);
        json_decref(alert);
    }
    assert_int_equal(said, count);
    kafka_admin_free(rows, row_count);
}

/* ---- the story ---------------------------------------------------------------------------------- */

static const int64_t at_first[4] = {500000, 6000000, 8750000, 11500000};

static void start(void)
{
    static const char *const first_start[] = {"first_start=yes", NULL};
    char set[16384];
    int used = snprintf(set, sizeof set, "%s%s", policy, held);
    snprintf(set + used, sizeof set - (size_t)used, others, (long long)pl_now_ms() + INT64_C(2592000000));
    put_parameters(set);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    say_chains(100, 90, "LIVE");
    for (int i = 0; i < 5; i++) { /* a second, so that the peg's averages know enough */
        quote_all(0);
        usleep(300000);
    }
    struct process *liquidation = pipeline_start(&pipeline, "liquidation", 0, first_start, NULL,
                                                 NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    quote_all(0);
    open_account();
}

static void inflow_is_credited_and_taken_back(const struct station *before)
{
    static const int64_t credited[4] = {1700000, 7400000, 10250000, 13100000};
    say_position("indexer", &chain_sequence, "DELTA",
                 "\"chain\":\"ethereum\",\"block_height\":101,\"legs\":[" LEG("ETH", "2", "0") "]");
    say_chains(101, 90, "LIVE"); /* one block deep: nothing yet */
    sleep(2);
    wait_for("ok", at_first);
    say_chains(102, 90, "LIVE");
    wait_for("ok", credited);
    snprintf(text, sizeof text, "\"chain\":\"ethereum\",\"block_height\":101,\"retracts\":%u",
             chain_sequence);
    char retraction[256];
    memcpy(retraction, text, sizeof retraction);
    say_position("indexer", &chain_sequence, "RETRACTION", retraction);
    struct station after = wait_for("ok", at_first);
    assert_memory_equal(after.linear, before->linear, sizeof after.linear);
}

static void a_halted_bridge_sells_nobody(void)
{
    static const int64_t halted[4] = {-9500000, -6000000, 8750000, 11500000};
    static struct pl_order orders[ORDERS_MAX];
    say_chains(103, 90, "HALTED");
    wait_for("restricted", halted);
    say_chains(104, 90, "LIVE");
    wait_for("ok", at_first);
    assert_int_equal(pipeline_orders(&pipeline, orders, ORDERS_MAX), 0);
}

static void one_venue_moves_nothing(void)
{
    venue_cents[0] = 26400;
    for (int i = 0; i < 6; i++) {
        quote_all(0);
        usleep(300000);
    }
    wait_for("ok", at_first);
}

/* Sells what was worked out; the fill is shown by the chain, in a block that is final. */
static void sale_is_the_least(const struct station *station)
{
    static struct pl_order orders[ORDERS_MAX];
    assert_int_equal(pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, 1, 30), 1);
    const pl_i128 lacking = -station->linear[2] - station->option[2];
    const int64_t lots = (int64_t)pl_div_ceil(lacking, 288 * pl_pow10(14)); /* 0.0288 each */
    assert_string_equal(orders[0].instrument.text, "ETH");
    assert_int_equal(orders[0].side, PL_SIDE_SELL);
    assert_int_equal(orders[0].limit_mantissa, LIMIT_CENTS);
    assert_int_equal(orders[0].lots, lots);
    assert_true(station->option[2] <= 0 && lots >= 74653); /* 2,150 / 0.0288, and the option's part */

    char order_id[PL_UUID_TEXT_BYTES], fill[1024];
    pl_uuid_print(orders[0].order_id, order_id);
    say_chains(120, 120, "LIVE");
    sleep(1);
    snprintf(text, sizeof text,
             "{\"topic\":\"executions\",\"value\":{\"order_id\":\"%s\",\"execution_id\":\"1\","
             "\"account\":\"story\",\"instrument\":\"ETH\",\"status\":\"STATUS_FILLED\","
             "\"cumulative_quantity\":{\"mantissa\":\"%lld\",\"exponent\":-4},\"event_time_ms\":"
             "\"%lld\"}}\n", order_id, (long long)lots, (long long)pl_now_ms());
    pipeline_publish(&pipeline, text);
    snprintf(fill, sizeof fill,
             "\"chain\":\"ethereum\",\"block_height\":110,\"legs\":[{\"instrument\":\"ETH\","
             "\"quantity\":{\"mantissa\":\"%lld\",\"exponent\":-4}}],\"cash\":{\"mantissa\":\"%lld\","
             "\"exponent\":-6},\"applied\":[{\"order_id\":\"%s\",\"cumulative_quantity\":"
             "{\"mantissa\":\"%lld\",\"exponent\":-4}}]", (long long)-lots,
             (long long)lots * LIMIT_CENTS, order_id, (long long)lots);
    say_position("indexer", &chain_sequence, "DELTA", fill);
    for (int i = 0; i < 60 && strcmp(look().state, "restricted") != 0; i++)
        usleep(300000);
    struct station sold = look();
    const pl_i128 end = sold.linear[2] + sold.option[2];
    assert_string_equal(sold.state, "restricted");
    assert_true(end >= 0 && end < 288 * pl_pow10(14)); /* restored, and no lot too many */
}

/* At first: 10 ETH and 5 STETH, on chains or by an issuer, and what came over the bridge. */
static void the_book_is_concentrated(void)
{
    static const struct {
        const char *group, *of;
        int64_t usd;
    } rows[] = {{"assets", "ETH", 20000},     {"assets", "STETH", 11000},  {"chains", "ethereum", 20000},
                {"chains", "arbitrum", 20000}, {"bridges", "hop", 20000}, {"dependencies", "staker", 11000}};
    json_t *document = json_loads(
        pipeline_run(&pipeline, NULL, (const char *const[]){"risk", "book", "--json", NULL}), 0, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const json_t *row;
        size_t k;
        bool is_there = false;
        json_array_foreach(json_object_get(document, rows[i].group), k, row)
            is_there |= strcmp(json_string_value(json_object_get(row, "of")), rows[i].of) == 0 &&
                        number(row, "long_usd") == rows[i].usd * pl_pow10(18) &&
                        json_integer_value(json_object_get(row, "holders")) == 1;
        if (!is_there)
            fail_msg("not %lld USD in %s %s", (long long)rows[i].usd, rows[i].group, rows[i].of);
    }
    json_decref(document);
}

static void an_account_goes_through_everything(void **state)
{
    static const int64_t alert[4] = {-450000, 4775000, 7387500, 10000000};
    static const int64_t restricted[4] = {-4250000, -125000, 1937500, 4000000};
    static const int64_t liquidating[4] = {-7100000, -3800000, -2150000, -500000};
    static const char *const changes[] = {
        "OK RESTRICTED", "RESTRICTED OK", "OK ALERT", "ALERT RESTRICTED",
        "RESTRICTED LIQUIDATING", "LIQUIDATING RESTRICTED", "RESTRICTED OK"};
    (void)state;
    start();
    const struct station first = wait_for("ok", at_first);
    for (unsigned t = 0; t < 4; t++) /* a tenth of a call worth some 14 dollars, and its scenario */
        assert_true(first.option[t] < 0 && first.option[t] > -20 * pl_pow10(18));
    the_book_is_concentrated();
    inflow_is_credited_and_taken_back(&first);
    a_halted_bridge_sells_nobody();
    one_venue_moves_nothing();
    pipeline_price(&pipeline, "PERP", 190000, -2); /* else bitcoin alone would do, and the perp undo it */
    usleep(800000);
    fall_to(95);
    wait_for("alert", alert);
    fall_to(75);
    wait_for("restricted", restricted);
    fall_to(60);
    const struct station low = wait_for("liquidating", liquidating);
    sale_is_the_least(&low);
    say_position("venue", &venue_sequence, "DELTA", "\"cash\":{\"mantissa\":\"10000\",\"exponent\":0}");
    for (int i = 0; i < 60 && strcmp(look().state, "ok") != 0; i++)
        usleep(300000);
    check_alerts(changes, sizeof changes / sizeof changes[0]);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER), 0);
    pipeline_audit(&pipeline);
}

/* ---- a contract ---------------------------------------------------------------------------------- */

/*
 * The same account has a million dollars, and in an isolated bucket what a contract lends on: 10 WETH at
 * 2,000 against 15,000 USDC. To haircuts of 30, 20, 15 and 10 % come the 10 % that the bridge's failure would
 * take by look-through (its custodian's 50 %, of which 20 % are covered, are 4 %): of 20,000 count
 *
 *   initial 14,000    -1,000   restricted at once; the call expires after a second
 *   at 1,800, maintenance 14,400   -600   liquidating; end 13,500   -1,500
 *
 * A WETH sold at 1,782 brings 432: 3.4723 are wanted, and the close factor lets a quarter go, 2.5. The
 * contract repays floor(4,500 / 1.01) = 4,455.4455 USDC for it, and takes 1.01 times as much, 2.4999 WETH.
 * What is left owes 10,544.5545 on 7.5001: end 10,125.135, -419.4195, and 0.9709 more of them are sold, for
 * floor(1,747.62 / 1.01) = 1,730.3168 USDC. The million is of no use to the bucket.
 */
static const char contract_set[] =
    "{\"epoch\":1,\"sources\":[{\"source\":\"indexer\",\"settlement\":\"SETTLEMENT_APPLIED\"}],"
    "\"policies\":[{\"policy\":\"default\",\"liquidity_order\":[\"WETH\"],\"order_valid_ms\":60000,"
    "\"order_overdue_ms\":60000,\"revision_pause_ms\":500,\"restricted_hold_ms\":1000,"
    "\"alert_hysteresis_ppm\":1000,\"watermark_age_ms_max\":20000,\"grace_ms\":1000,"
    "\"close_factor_ppm\":250000}],\"dependencies\":[{\"dependency\":\"bridge\"},{\"dependency\":"
    "\"custodian\"}],\"exposures\":[{\"instrument\":\"WETH\",\"to\":\"bridge\",\"loss\":"
    TIERS(100000, 100000, 100000, 100000) "},{\"from\":\"bridge\",\"to\":\"custodian\",\"loss\":"
    TIERS(500000, 500000, 500000, 500000) ",\"coverage_ppm\":200000}],\"contracts\":[{\"contract\":\"0xpool\","
    "\"chain\":\"ethereum\",\"rule\":\"RULE_AAVE_V3\",\"close_factor_ppm\":500000,\"assets\":["
    "{\"instrument\":\"WETH\",\"token\":\"0xweth\",\"bonus_ppm\":10000},{\"instrument\":\"USDC\"}]}],"
    "\"instruments\":["
    INSTRUMENT("WETH", "SPOT", 2, TIERS(300000, 200000, 150000, 100000), ZERO, ABC,
               ",\"chain\":\"ethereum\"")
    "," INSTRUMENT("USDC", "SPOT", 2, ZERO, ZERO, ABC, ",\"chain\":\"ethereum\"") "]}\n";

/* The order's field, as its JSON says it. */
static void says(const json_t *order, const char *field, const char *expected)
{
    char *is = json_dumps(json_object_get(order, field), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(is);
    assert_string_equal(is, expected);
    free(is);
}

/* Waits for so many orders; the newest, a new reference. */
static json_t *newest_order(unsigned count)
{
    static struct pl_order orders[ORDERS_MAX];
    char name[256];
    struct pl_record *rows = NULL;
    json_t *order = NULL;
    assert_int_equal(pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, count, 30), count);
    size_t row_count = kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_ORDERS, name), true, &rows);
    assert_int_equal(row_count, count);
    assert_int_equal(pl_json_decode(PL_TOPIC_ORDERS, rows[count - 1].value, &order), PL_OK);
    kafka_admin_free(rows, row_count);
    says(order, "account", "\"story\"");
    says(order, "bucket", "\"aave\"");
    return order;
}

static unsigned count_alerts(const char *kind)
{
    char name[256];
    struct pl_record *rows = NULL;
    unsigned count = 0;
    size_t row_count = kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_ALERTS, name), true, &rows);
    for (size_t i = 0; i < row_count; i++) {
        json_t *alert = NULL;
        assert_int_equal(pl_json_decode(PL_TOPIC_ALERTS, rows[i].value, &alert), PL_OK);
        count += strcmp(json_string_value(json_object_get(alert, "kind")), kind) == 0;
        json_decref(alert);
    }
    kafka_admin_free(rows, row_count);
    return count;
}

/* What the contract did of an order: it is over, and the chain shows the rest. */
static void call_is_executed(const json_t *order, const char *taken, const char *legs)
{
    const char *order_id = json_string_value(json_object_get(order, "order_id"));
    char more[1024];
    snprintf(text, sizeof text,
             "{\"topic\":\"executions\",\"value\":{\"order_id\":\"%s\",\"execution_id\":\"1\",\"account\":"
             "\"story\",\"bucket\":\"aave\",\"instrument\":\"WETH\",\"status\":\"STATUS_CANCELED\","
             "\"cumulative_quantity\":{\"mantissa\":\"%s\",\"exponent\":-4},\"event_time_ms\":\"%lld\"}}\n",
             order_id, taken, (long long)pl_now_ms());
    pipeline_publish(&pipeline, text);
    snprintf(more, sizeof more, "\"bucket\":\"aave\",\"legs\":[%s],\"applied\":[{\"order_id\":\"%s\","
             "\"cumulative_quantity\":{\"mantissa\":\"%s\",\"exponent\":-4}}]", legs, order_id, taken);
    say_position("indexer", &chain_sequence, "DELTA", more);
}

static void a_contract_is_called_in_parts(void **state)
{
    static const char *const first_start[] = {"first_start=yes", NULL};
    static const char *const services[] = {"price", "position", "liquidation"};
    unsigned cross_sequence = 0;
    (void)state;
    put_parameters(contract_set);
    for (unsigned i = 0; i < 3; i++)
        pipeline_wait_ready(&pipeline, pipeline_start(&pipeline, services[i], 0, i > 0 ? first_start : NULL,
                                                      NULL, NULL), 60);
    pipeline_price(&pipeline, "WETH", 200000, -2);
    pipeline_price(&pipeline, "USDC", 100, -2);
    chain_sequence = 0;
    say_position("indexer", &cross_sequence, "SNAPSHOT", "\"legs\":[" LEG("USDC", "1000000", "0") "]");
    say_position("indexer", &chain_sequence, "SNAPSHOT",
                 "\"bucket\":\"aave\",\"legs\":[" LEG("WETH", "10", "0") "," LEG("USDC", "-15000", "0") "]");
    for (int i = 0; i < 60 && count_alerts("KIND_CALL_EXPIRED") == 0; i++)
        usleep(300000);
    assert_int_equal(count_alerts("KIND_CALL_EXPIRED"), 1);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ORDERS), 0);

    pipeline_price(&pipeline, "WETH", 180000, -2);
    json_t *order = newest_order(1);
    says(order, "lots", "\"25000\"");
    says(order, "limit_price", "{\"exponent\":-2,\"mantissa\":\"178200\"}");
    says(order, "protocol_call",
         "{\"bonus_ppm\":10000,\"chain\":\"ethereum\",\"close_factor_ppm\":500000,\"collateral\":\"WETH\","
         "\"collateral_amount\":{\"exponent\":-4,\"mantissa\":\"24999\"},\"collateral_token\":\"0xweth\","
         "\"contract\":\"0xpool\",\"debt\":\"USDC\",\"debt_amount\":{\"exponent\":-4,\"mantissa\":"
         "\"44554455\"},\"position\":\"story\",\"rule\":\"RULE_AAVE_V3\"}");
    call_is_executed(order, "24999", LEG("WETH", "-24999", "-4") "," LEG("USDC", "44554455", "-4"));
    json_decref(order);
    order = newest_order(2);
    says(order, "lots", "\"9709\"");
    says(json_object_get(order, "protocol_call"), "debt_amount",
         "{\"exponent\":-4,\"mantissa\":\"17303168\"}");
    json_decref(order);
    assert_int_equal(count_alerts("KIND_STATE"), 2); /* restricted, liquidating: and of the bucket alone */
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER), 0);
    pipeline_audit(&pipeline);
}

static int open_pipeline(void **stem)
{
    return pipeline_open(&pipeline, *stem, PARTITIONS) ? 0 : -1;
}

static int close_pipeline(void **stem)
{
    (void)stem;
    pipeline_close(&pipeline);
    return 0;
}

#define TEST(name, stem)                                                                           \
    cmocka_unit_test_prestate_setup_teardown(name, open_pipeline, close_pipeline, (char[]){stem})

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_account_goes_through_everything, "story"),
        TEST(a_contract_is_called_in_parts, "contract"),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.story needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not "
                "set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
