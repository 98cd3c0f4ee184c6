/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A haircut alone calls an account, and its announced ramp sells another: no price moves.
 *
 *   marks (volatility) ─► plimsoll-price ─► parameters, effective epochs ─► plimsoll-liquidation ─► alerts
 *                                                                                                    orders
 *
 * 10 coins at 2,400 are 24,000. By the desk's set (alert 35 %, initial 30 %, end 25 %, maintenance 20 %)
 * up to 15,600 may be owed without an alert. At 15 % a day the model asks 1 - exp(-4 * 0.15) = 45.12 %,
 * up to 452,500 ppm, of the alert and initial tiers at once: 13,140 may be owed. And 1 - exp(-3 * 0.15) =
 * 36.24 %, up to 362,500 ppm, of end and maintenance by ramp, 10,000 ppm a second: 15,300 in the end.
 *   "called" owes 14,000: restricted, never sold.
 *   "sold" owes 15,400: restricted, and below maintenance once that is above 35.83 %. Then the least y with
 *   (10 - y) 2400 * 0.6375 + 0.99 y 2400 >= 15400: y = 100 / 846, 11,820,331 lots of 10^-8 (end got to its
 *   362,500 five seconds before).
 * Before that somebody lends more: LENT is what of USD-T is borrowed in all. From 1,000,000 on a debt weighs
 * more at the alert and initial tiers; 1,030,000 make 15,400 into 15,862: above 15,600, an alert.
 * G2: replay decides the same at every one of the epochs.
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

enum { PARTITIONS = 2, ORDERS_MAX = 16, WAIT_MS = 60000 };

static struct pipeline pipeline;
static struct pl_names names;
static char text[16384];

#define TIERS(a, i, e, m)                                                                          \
    "{\"alert\":" #a ",\"initial\":" #i ",\"end\":" #e ",\"maintenance\":" #m "}"
#define INSTRUMENT(name, haircut, model)                                                           \
    "{\"instrument\":\"" name "\",\"kind\":\"KIND_SPOT\",\"lot_decimals\":8,\"tick_decimals\":4,"  \
    "\"haircut_long\":" haircut ",\"haircut_short\":" TIERS(0, 0, 0, 0) ",\"confidence_ppm\":0,"   \
    "\"sale_discount_ppm\":10000,\"price_rules\":{\"sources\":[\"a\",\"b\",\"c\"],\"quorum\":2,"   \
    "\"age_ms_max\":3600000,\"band_ppm\":900000,\"bad_mark_low_ppm\":0,"                           \
    "\"bad_mark_high_ppm\":1500000}" model "}"

static const char parameters[] =
    "{\"epoch\":1,\"sources\":[{\"source\":\"venue\",\"settlement\":\"SETTLEMENT_APPLIED\"},"
    "{\"source\":\"simulated-fills\",\"settlement\":\"SETTLEMENT_APPLIED\"}],"
    "\"policies\":[{\"policy\":\"default\",\"liquidity_order\":[\"COIN\"],"
    "\"order_valid_ms\":60000,\"order_overdue_ms\":60000,\"revision_pause_ms\":60000,"
    "\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":10000,\"watermark_age_ms_max\":20000,"
    "\"haircut_rise_ppm_per_hour\":36000000,\"haircut_hold_ms\":86400000,"
    "\"haircut_fall_ppm_per_day\":10000,\"haircut_interval_ms\":100}],\"instruments\":["
    INSTRUMENT("COIN", TIERS(350000, 300000, 250000, 200000), ",\"haircut_model\":{\"multiple\":"
    TIERS(4000000, 4000000, 3000000, 3000000) ",\"horizon\":"
    TIERS(1000000, 1000000, 1000000, 1000000) ",\"cap_ppm\":900000}") ","
    INSTRUMENT("USD-T", TIERS(0, 0, 0, 0), ",\"haircut_model\":{\"multiple\":" TIERS(0, 0, 0, 0)
    ",\"horizon\":" TIERS(1000000, 1000000, 1000000, 1000000) ",\"cap_ppm\":900000,\"borrows\":"
    "{\"figure\":\"LENT\",\"from_usd\":1000000}}") ","
    "{\"instrument\":\"LENT\",\"kind\":\"KIND_STATISTIC\",\"lot_decimals\":12,\"tick_decimals\":0,"
    "\"haircut_long\":" TIERS(0, 0, 0, 0) ",\"haircut_short\":" TIERS(0, 0, 0, 0) ",\"confidence_ppm\":0,"
    "\"sale_discount_ppm\":0,\"price_rules\":{\"sources\":[\"a\",\"b\",\"c\"],\"quorum\":2,"
    "\"age_ms_max\":3600000,\"band_ppm\":900000,\"bad_mark_low_ppm\":0,"
    "\"bad_mark_high_ppm\":1500000}}]}\n";

static void put_parameters(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/parameters.json", pipeline.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(parameters, file) >= 0 && fclose(file) == 0);
    pipeline_run(&pipeline, NULL, (const char *const[]){"parameters", "put", path, NULL});
}

static void put_position(const char *account, int debt_usd)
{
    snprintf(text, sizeof text,
             "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":\"venue\","
             "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\","
             "\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":\"COIN\",\"quantity\":"
             "{\"mantissa\":\"10\",\"exponent\":0}},{\"instrument\":\"USD-T\",\"quantity\":"
             "{\"mantissa\":\"%d\",\"exponent\":0}}]}}\n", account, (long long)pl_now_ms(),
             -debt_usd);
    pipeline_publish(&pipeline, text);
}

/* The mark as it is, with another volatility, as a worker would publish whose estimate moved. */
static void put_volatility(uint32_t daily_ppm)
{
    char name[256];
    struct pl_id id;
    struct pl_bytes_view value;
    const int64_t now_ms = pl_now_ms();
    const struct pl_mark mark = {
        .status = PL_MARK_LIVE, .source_offset = 1000000, .tick = (uint64_t)now_ms + 2000,
        .mantissa = 24000000, .low_mantissa = 24000000, .high_mantissa = 24000000, .exponent = -4,
        .event_time_ms = now_ms, .source_count = 3, .volatility_fast_ppm = daily_ppm,
        .volatility_slow_ppm = daily_ppm / 3};
    pl_wire_reset(pipeline.wire);
    assert_int_equal(pl_id_set(&id, "COIN", 4), PL_OK);
    assert_int_equal(pl_wire_mark_encode(pipeline.wire, &id, &mark, &value), PL_OK);
    kafka_admin_produce(pipeline_topic(&pipeline, PL_TOPIC_MARKS, name), 0,
                        (struct pl_bytes_view){(const uint8_t *)"COIN", 4}, value, NULL, 0, 0);
}

/* The newest effective set; number of them. */
static unsigned read_sets(struct pl_parameters *set, uint32_t *coin)
{
    char name[256];
    struct pl_record *rows = NULL;
    struct pl_id id;
    unsigned found = 0;
    size_t count =
        kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        pl_wire_reset(pipeline.wire);
        if (strcmp((const char *)rows[i].key.data, "effective") != 0)
            continue;
        assert_int_equal(pl_wire_parameters_decode(pipeline.wire, &names, rows[i].value, set),
                         PL_OK);
        found++;
    }
    kafka_admin_free(rows, count);
    assert_int_equal(pl_id_set(&id, "COIN", 4), PL_OK);
    return pl_names_find(&names, &id, coin) ? found : 0;
}

static int32_t wait_maintenance(int32_t ppm, struct pl_parameters *set)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    uint32_t coin = 0;
    while (read_sets(set, &coin) == 0 ||
           set->instruments[coin].haircut_long.at[PL_TIER_MAINTENANCE] < ppm) {
        assert_true(pl_mono_ms() < deadline_ms);
        usleep(200000);
    }
    return set->instruments[coin].haircut.target.at[PL_TIER_MAINTENANCE];
}

/* Of a debt at the initial tier; that of the end tier. */
static int32_t wait_premium(int32_t ppm, struct pl_parameters *set)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    uint32_t coin = 0, usd = 0;
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, "USD-T", 5), PL_OK);
    while (read_sets(set, &coin) == 0 || !pl_names_find(&names, &id, &usd) ||
           set->instruments[usd].haircut_short.at[PL_TIER_INITIAL] != ppm) {
        assert_true(pl_mono_ms() < deadline_ms);
        usleep(200000);
    }
    return set->instruments[usd].haircut_short.at[PL_TIER_END];
}

static bool has_entered(const char *account, const char *state)
{
    char name[256];
    struct pl_record *rows = NULL;
    bool is_found = false;
    size_t count = kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_ALERTS, name), true, &rows);
    for (size_t i = 0; i < count && !is_found; i++) {
        json_t *json = NULL;
        if (strcmp((const char *)rows[i].key.data, account) != 0)
            continue;
        assert_int_equal(pl_json_decode(PL_TOPIC_ALERTS, rows[i].value, &json), PL_OK);
        const char *entered = json_string_value(json_object_get(json, "entered"));
        is_found = entered && strcmp(entered, state) == 0;
        json_decref(json);
    }
    kafka_admin_free(rows, count);
    return is_found;
}

static void wait_entered(const char *account, const char *state)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    while (!has_entered(account, state)) {
        if (pl_mono_ms() > deadline_ms)
            fail_msg("%s never entered %s", account, state);
        usleep(200000);
    }
}

static void a_haircut_calls_and_its_ramp_sells(void **state)
{
    static const char *const first_start[] = {"first_start=yes", NULL};
    static struct pl_parameters set;
    static struct pl_order orders[ORDERS_MAX];
    (void)state;
    put_parameters();
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    pipeline_price(&pipeline, "COIN", 2400, 0);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    put_position("called", 14000);
    put_position("sold", 15400);
    sleep(3);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ALERTS), 0);

    pipeline_price(&pipeline, "LENT", 1030000, 0);
    wait_entered("sold", "STATE_ALERT");
    assert_int_equal(wait_premium(30000, &set), 0);
    pipeline_price(&pipeline, "LENT", 990000, 0);
    wait_premium(0, &set);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ALERTS), 1);

    put_volatility(150000);
    wait_entered("called", "STATE_RESTRICTED");
    wait_entered("sold", "STATE_RESTRICTED");
    assert_int_equal(wait_maintenance(210000, &set), 362500); /* announced long before it is felt */
    assert_int_equal(pipeline_orders(&pipeline, orders, ORDERS_MAX), 0);
    const char *shown =
        pipeline_run(&pipeline, NULL, (const char *const[]){"parameters", "show", NULL});
    assert_non_null(strstr(shown, "\"target_at_ms\""));
    assert_non_null(strstr(shown, "362500"));

    const unsigned count = pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, 1, 60);
    assert_int_equal(count, 1);
    assert_string_equal(orders[0].account.text, "sold");
    assert_int_equal(orders[0].lots, 11820331);
    wait_maintenance(362500, &set);
    uint32_t coin = 0;
    assert_true(read_sets(&set, &coin) >= 60); /* 65 steps of 2,500 */
    assert_int_equal(set.base_epoch, 1);
    assert_int_equal(set.instruments[coin].haircut.target_at_ms, 0);
    assert_false(has_entered("called", "STATE_LIQUIDATING"));
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER), 0);
    pipeline_audit(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_haircut_calls_and_its_ramp_sells),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.haircuts needs Apache Kafka: PLIMSOLL_TEST_KAFKA is "
                "not set\n");
        return 77;
    }
    pl_names_init(&names);
    if (!pipeline_open(&pipeline, "haircuts", PARTITIONS))
        return 77;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pipeline_close(&pipeline);
    return failed;
}
