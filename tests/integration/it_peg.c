/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One venue's book breaks, as on 2025-10-10, and nobody is sold; the market moves, and somebody is.
 *
 *   prices of ETH, the rate and three venues ─► two plimsoll-price ─► marks ─► plimsoll-liquidation ─► orders
 *                                                     ▲                 │
 *                                                     └─── averages ────┘
 *
 * WBETH is ETH times the median of its redemption (1.08) and three venues' averages over 8 s. ETH is at
 * 3,583.33 and the venues at 3,870.00, so WBETH is at 3,869.99: 1.079999888... rounded down, of ETH, down
 * again. The account holds 10 and owes 30,000; at a haircut of 20 % it needs 3,750. One venue at $430 (-88 %)
 * moves the mark not at all: the two in the middle are as before. Services that leave meanwhile
 * leave averages that their successor reads. Then a second venue falls to 3,500: the median is the mean of it and of
 * the third, 3,685, as fast as the average forgets, and the account is sold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/pipeline.h"

enum { PARTITIONS = 2, ORDERS_MAX = 16, WINDOW_S = 8, WORTH_CENTS = 386999 };

static struct pipeline pipeline;
static struct pl_names names;
static int64_t venues[3] = {387000, 387000, 387000};

#define FLAT(ppm) "{\"alert\":" #ppm ",\"initial\":" #ppm ",\"end\":" #ppm ",\"maintenance\":" #ppm "}"
#define INSTRUMENT(name, decimals, haircut, sources, quorum, more)                                 \
    "{\"instrument\":\"" name "\",\"kind\":\"KIND_SPOT\",\"lot_decimals\":4,\"tick_decimals\":"    \
    #decimals ",\"haircut_long\":" haircut ",\"haircut_short\":" FLAT(0) ",\"confidence_ppm\":0,"  \
    "\"sale_discount_ppm\":10000,\"price_rules\":{\"sources\":[" sources "],\"quorum\":" #quorum   \
    ",\"age_ms_max\":60000,\"band_ppm\":950000,\"bad_mark_low_ppm\":0,"                            \
    "\"bad_mark_high_ppm\":1500000}" more "}"
#define VENUE(name) INSTRUMENT("WBETH-" name, 2, FLAT(1000000), "\"venue-" name "\"", 1, "")
#define MARKET(name) "{\"instrument\":\"WBETH-" name "\",\"window_ms\":8000}"

static const char parameters[] =
    "{\"epoch\":1,\"sources\":[{\"source\":\"venue\",\"settlement\":\"SETTLEMENT_APPLIED\"}],"
    "\"policies\":[{\"policy\":\"default\",\"liquidity_order\":[\"WBETH\"],"
    "\"order_valid_ms\":60000,\"order_overdue_ms\":60000,\"revision_pause_ms\":60000,"
    "\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":10000,\"watermark_age_ms_max\":20000}],"
    "\"instruments\":["
    INSTRUMENT("ETH", 2, FLAT(200000), "\"a\",\"b\",\"c\"", 2, "") ","
    INSTRUMENT("WBETH-RATE", 8, FLAT(1000000), "\"contract\"", 1, "") ","
    VENUE("A") "," VENUE("B") "," VENUE("C") ","
    INSTRUMENT("WBETH", 2, FLAT(200000), "\"none\"", 1,
               ",\"peg\":{\"underlying\":\"ETH\",\"redemption\":\"WBETH-RATE\",\"markets\":["
               MARKET("A") "," MARKET("B") "," MARKET("C") "],\"cap_ratio\":{\"mantissa\":12,"
               "\"exponent\":-1},\"cap_since_ms\":1700000000000}") ","
    INSTRUMENT("USD-T", 4, FLAT(0), "\"a\",\"b\",\"c\"", 2, "") "]}\n";

static void put_parameters(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/parameters.json", pipeline.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(parameters, file) >= 0 && fclose(file) == 0);
    pipeline_run(&pipeline, NULL, (const char *const[]){"parameters", "put", path, NULL});
}

static void quote(const char *instrument, const char *source, int64_t mantissa, int exponent)
{
    static uint64_t sequence;
    char text[512];
    if (sequence == 0)
        sequence = (uint64_t)pl_now_ms() * 1000;
    snprintf(text, sizeof text,
             "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s\",\"source\":\"%s\",\"price\":"
             "{\"mantissa\":\"%lld\",\"exponent\":%d},\"event_time_ms\":\"%lld\","
             "\"source_sequence\":\"%llu\"}}\n", instrument, source, (long long)mantissa, exponent,
             (long long)pl_now_ms(), (unsigned long long)++sequence);
    pipeline_publish(&pipeline, text);
}

/* What the venues say now, for so long. */
static void pass(int seconds)
{
    const int64_t deadline_ms = pl_mono_ms() + seconds * 1000;
    while (pl_mono_ms() < deadline_ms) {
        pipeline_price(&pipeline, "ETH", 358333, -2);
        quote("WBETH-RATE", "contract", 108, -2);
        quote("WBETH-A", "venue-A", venues[0], -2);
        quote("WBETH-B", "venue-B", venues[1], -2);
        quote("WBETH-C", "venue-C", venues[2], -2);
        usleep(300000);
    }
}

/* Every mark of WBETH so far; each number is above the one before, from the first LIVE one on. */
struct seen { unsigned count; int64_t least, last; enum pl_mark_status worst, status; };

static struct seen read_marks(void)
{
    char name[256];
    struct pl_record *rows = NULL;
    struct seen seen = {.least = INT64_MAX, .worst = PL_MARK_LIVE};
    struct pl_mark before = {0};
    size_t count = kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_MARKS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        struct pl_mark mark;
        uint32_t index = 0;
        pl_wire_reset(pipeline.wire);
        assert_int_equal(pl_wire_mark_decode(pipeline.wire, &names, rows[i].key, rows[i].value,
                                             &index, &mark), PL_OK);
        if (strcmp(names.ids[index].text, "WBETH") != 0)
            continue;
        if (!pl_mark_is_newer(&mark, &before))
            continue; /* of a twin that was being replaced: nobody takes it */
        before = mark;
        seen.count++;
        seen.least = mark.mantissa < seen.least ? mark.mantissa : seen.least;
        seen.last = mark.mantissa;
        seen.status = mark.status;
        if (mark.status != PL_MARK_LIVE)
            seen.worst = mark.status;
    }
    kafka_admin_free(rows, count);
    return seen;
}

static void wait_mark(int64_t cents)
{
    for (int i = 0; i < 30; i++) {
        const struct seen seen = read_marks();
        if (seen.count > 0 && seen.last == cents && seen.status == PL_MARK_LIVE)
            return;
        pass(1);
    }
    fail_msg("WBETH is not at %lld but %lld", (long long)cents, (long long)read_marks().last);
}

static void put_position(void)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"topic\":\"positions\",\"value\":{\"account\":\"loop\",\"source\":\"venue\","
             "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\","
             "\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":\"WBETH\",\"quantity\":"
             "{\"mantissa\":\"10\",\"exponent\":0}},{\"instrument\":\"USD-T\",\"quantity\":"
             "{\"mantissa\":\"-30000\",\"exponent\":0}}]}}\n", (long long)pl_now_ms());
    pipeline_publish(&pipeline, text);
}

static void one_venue_sells_nobody(void **state)
{
    static const char *const first_start[] = {"first_start=yes", NULL};
    static struct pl_order orders[ORDERS_MAX];
    (void)state;
    put_parameters();
    struct process *prices[2];
    for (int i = 0; i < 2; i++)
        prices[i] = pipeline_start(&pipeline, "price", i, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    for (int i = 0; i < 2; i++)
        pipeline_wait_ready(&pipeline, prices[i], 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    wait_mark(WORTH_CENTS);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    put_position();

    venues[0] = 43000;
    pass(WINDOW_S);
    for (int i = 0; i < 2; i++) /* whichever has WBETH */
        pipeline_end(prices[i], SIGTERM);
    prices[0] = pipeline_start(&pipeline, "price", 2, NULL, NULL, NULL);
    pipeline_wait_ready(&pipeline, prices[0], 60);
    pass(WINDOW_S / 2 - 1); /* less than an average needs from nothing */
    struct seen seen = read_marks();
    assert_int_equal(seen.least, WORTH_CENTS);
    assert_int_equal(seen.last, WORTH_CENTS);
    assert_int_equal(seen.worst, PL_MARK_LIVE);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ALERTS), 0);
    assert_int_equal(pipeline_orders(&pipeline, orders, ORDERS_MAX), 0);

    venues[1] = 350000;
    pass(WINDOW_S);
    wait_mark(368499); /* (350000 + 387000) / 2, down */
    assert_true(pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, 1, 60) >= 1);
    assert_string_equal(orders[0].account.text, "loop");
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER), 0);
    quote("WBETH", "none", 387000, -2); /* what is pegged is not quoted */
    sleep(2);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER), 1);
    pipeline_audit(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_venue_sells_nobody),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.peg needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not "
                "set\n");
        return 77;
    }
    pl_names_init(&names);
    if (!pipeline_open(&pipeline, "peg", PARTITIONS))
        return 77;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pipeline_close(&pipeline);
    return failed;
}
