/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2020-03-12 with its genuine bad tick (a venue's LINK low of 0.0001 USD, on a day when LINK really
 * fell by a fifth) through Apache Kafka and the services. The other sources quote the closes; the
 * third quotes the bad low as it came, first against one, then against two of them. Nobody may be
 * sold for it; then the real fall that followed sells exactly those whose line it crosses; and at
 * last the same price from all three sources sells everybody, which shows that the tick would have
 * (G4).
 *
 *   prices of 3 sources ─► price ─► marks ─► liquidation ◄─ holdings ◄─ position ◄─ LINK lenders
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/pipeline.h"
#include "tests/support/real_data.h"

enum {
    ACCOUNTS = 40, ORDERS_MAX = 4096, ROWS_MAX = 64,
    THRESHOLD_PPM = 750000,   /* Aave's of LINK: haircut 25 % */
    COLLATERAL = 1000,        /* LINK */
    PAUSE_US = 400000,
};
static const int64_t FROM_MS = 1583996400000; /* 2020-03-12T07:00:00Z */
static const int64_t TO_MS = 1584028800000;   /* 16:00                */
static const int64_t MICRO = 1000000;
__extension__ typedef __int128 wide;

static struct candle { int64_t time_ms, close, low; } candles[ROWS_MAX]; /* USD * 10^6 */
static unsigned candle_count, bad;                                       /* index of the bad one */
static int64_t debts[ACCOUNTS];                                          /* USD * 10^6 */
static struct pl_order orders[ORDERS_MAX];
static bool is_good = true;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            is_good = false;                                                                       \
            printf("FAILED: " __VA_ARGS__);                                                        \
            puts("");                                                                              \
        }                                                                                          \
    } while (0)

/* ---- the day --------------------------------------------------------------------------------- */

static void read_candles(void)
{
    struct csv csv;
    csv_open(&csv, "prices_2020-03-12_black_thursday.csv");
    while (csv_next(&csv)) {
        int64_t time_ms = csv_integer(&csv, "ts_ms");
        if (strcmp(csv_text(&csv, "asset"), "LINK") != 0 ||
            csv_integer(&csv, "interval_s") != 1800 || time_ms < FROM_MS || time_ms > TO_MS ||
            candle_count == ROWS_MAX)
            continue;
        candles[candle_count] = (struct candle){
            time_ms, llroundl(csv_number(&csv, "price") * 1e6L),
            llroundl(csv_number(&csv, "low") * 1e6L) };
        if (candles[candle_count].low * 10 < candles[candle_count].close)
            bad = candle_count;
        candle_count++;
    }
    if (bad == 0 || bad + 4 > candle_count)
        printf("the bad tick is not in the file\n"), exit(1);
}

static int64_t lowest_close(unsigned from, unsigned to)
{
    int64_t lowest = INT64_MAX;
    for (unsigned i = from; i < to; i++)
        if (candles[i].close < lowest)
            lowest = candles[i].close;
    return lowest;
}

/* ---- the book: lines in steps of 1 % from just below the last true price before the real fall  */

static void make_book(void)
{
    int64_t close = lowest_close(0, bad + 1);
    for (int i = 0; i < ACCOUNTS; i++) {
        int64_t line = close * (995 - 5 * i) / 1000;
        debts[i] = (int64_t)((wide)COLLATERAL * line * THRESHOLD_PPM / MICRO);
    }
}

static bool is_below(int account, int64_t ticks)
{
    return (wide)COLLATERAL * ticks * THRESHOLD_PPM < (wide)debts[account] * MICRO;
}

static void publish_book(struct pipeline *pipeline)
{
    static char text[ACCOUNTS * 512];
    size_t used = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        used += (size_t)snprintf(
            text + used, sizeof(text) - used,
            "{\"topic\":\"positions\",\"value\":{\"account\":\"lender-%d\",\"source\":\"chain\","
            "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\","
            "\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":\"LINK\",\"quantity\":{"
            "\"mantissa\":\"%d\",\"exponent\":0}},{\"instrument\":\"USDC\",\"quantity\":{"
            "\"mantissa\":\"%lld\",\"exponent\":-6}}]}}\n", i, (long long)pl_now_ms(), COLLATERAL,
            (long long)-debts[i]);
    pipeline_publish(pipeline, text);
}

static void publish_parameters(struct pipeline *pipeline)
{
    static const char rules[] =
        "\"haircut_short\":{\"alert\":0,\"initial\":0,\"end\":0,\"maintenance\":0},"
        "\"confidence_ppm\":0,\"sale_discount_ppm\":90000,\"price_rules\":{\"sources\":[\"a\","
        "\"b\",\"c\"],\"quorum\":2,\"age_ms_max\":60000,\"band_ppm\":300000,\"bad_mark_low_ppm\":0,"
        "\"bad_mark_high_ppm\":1500000}}";
    char path[256];
    int maintenance = (int)MICRO - THRESHOLD_PPM;
    snprintf(path, sizeof(path), "%s/parameters.json", pipeline->dir);
    FILE *file = fopen(path, "w");
    fprintf(file, "{\"epoch\":1,\"sources\":[{\"source\":\"chain\",\"settlement\":"
            "\"SETTLEMENT_APPLIED\"},{\"source\":\"simulated-fills\",\"settlement\":"
            "\"SETTLEMENT_APPLIED\"}],\"policies\":[{\"policy\":\"default\",\"liquidity_order\":["
            "\"LINK\"],\"order_valid_ms\":60000,\"order_overdue_ms\":60000,"
            "\"revision_pause_ms\":500,\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":10000,"
            "\"watermark_age_ms_max\":20000}],\"instruments\":[{\"instrument\":\"LINK\","
            "\"kind\":\"KIND_SPOT\","
            "\"lot_decimals\":6,\"tick_decimals\":6,\"haircut_long\":{\"alert\":%d,\"initial\":%d,"
            "\"end\":%d,\"maintenance\":%d},%s,{\"instrument\":\"USDC\",\"kind\":\"KIND_SPOT\","
            "\"lot_decimals\":6,\"tick_decimals\":6,\"haircut_long\":{\"alert\":0,\"initial\":0,"
            "\"end\":0,\"maintenance\":0},%s]}\n", maintenance + 50000, maintenance + 50000,
            maintenance + 10000, maintenance, rules, rules);
    fclose(file);
    pipeline_run(pipeline, NULL, (const char *const[]){ "parameters", "put", path, NULL });
}

/* ---- quotes ---------------------------------------------------------------------------------- */

static void quote(struct pipeline *pipeline, const char *instrument, const char *source,
                  int64_t ticks)
{
    static uint64_t sequence;
    char text[512];
    snprintf(text, sizeof(text), "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s\","
             "\"source\":\"%s\",\"price\":{\"mantissa\":\"%lld\",\"exponent\":-6},"
             "\"event_time_ms\":\"%lld\",\"source_sequence\":\"%llu\"}}\n", instrument,
             source, (long long)ticks, (long long)pl_now_ms(), (unsigned long long)++sequence);
    pipeline_publish(pipeline, text);
}

/* One moment: LINK by each source (0: it is silent), and the dollar. */
static void quote_all(struct pipeline *pipeline, int64_t a, int64_t b, int64_t c)
{
    static const char *const sources[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        quote(pipeline, "USDC", sources[i], MICRO);
    const int64_t ticks[] = { a, b, c };
    for (int i = 0; i < 3; i++)
        if (ticks[i] > 0)
            quote(pipeline, "LINK", sources[i], ticks[i]);
    usleep(PAUSE_US);
}

/* ---- what the services made of it ------------------------------------------------------------ */

/* Quotes out of band so far, as the price service counts them. */
static double out_of_band(const struct process *price)
{
    const char *row = strstr(pipeline_get(price, "/metrics"),
                             "plimsoll_quotes_total{result=\"out_of_band\"}");
    return row ? strtod(strchr(row, '}') + 1, NULL) : -1;
}

/* Lowest and newest published mark of LINK. */
struct marks { int64_t lowest, newest; unsigned count; enum pl_mark_status status; };

static struct marks read_marks(struct pipeline *pipeline)
{
    static struct pl_names names;
    char name[256];
    struct pl_record *rows = NULL;
    struct marks marks = { INT64_MAX, 0, 0, PL_MARK_NONE };
    pl_names_init(&names);
    size_t count = kafka_admin_read(pipeline_topic(pipeline, PL_TOPIC_MARKS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        struct pl_mark mark;
        uint32_t instrument;
        if (rows[i].key.size_bytes != 4 || memcmp(rows[i].key.data, "LINK", 4) != 0 ||
            pl_wire_mark_decode(pipeline->wire, &names, rows[i].key, rows[i].value, &instrument,
                                &mark))
            continue;
        marks.count++;
        marks.newest = mark.mantissa;
        marks.status = mark.status;
        if (mark.mantissa < marks.lowest)
            marks.lowest = mark.mantissa;
    }
    kafka_admin_free(rows, count);
    return marks;
}

static unsigned orders_of(unsigned count, int account)
{
    char name[32];
    unsigned found = 0;
    snprintf(name, sizeof(name), "lender-%d", account);
    for (unsigned i = 0; i < count; i++)
        found += strcmp(orders[i].account.text, name) == 0;
    return found;
}

/* Those whose line is above `lowest`, the lowest true price so far, are sold and nobody else. */
static void check_sold(struct pipeline *pipeline, const char *when, int64_t lowest)
{
    unsigned expected = 0, sold = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        expected += is_below(i, lowest);
    unsigned count = pipeline_wait_orders(pipeline, orders, ORDERS_MAX, expected, 10);
    for (int i = 0; i < ACCOUNTS; i++) {
        unsigned found = orders_of(count, i);
        sold += found > 0;
        CHECK((found > 0) == is_below(i, lowest), "%s: lender-%d has %u orders at %lld", when, i,
              found, (long long)lowest);
    }
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            CHECK(memcmp(orders[i].order_id, orders[j].order_id, PL_ORDER_ID_BYTES) != 0,
                  "%s: an order is there twice", when);
    printf("%-44s lowest close %.4f: %u of %d sold, %u expected, %u orders\n", when,
           (double)lowest / 1e6, sold, ACCOUNTS, expected, count);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The bad quote is dropped and `expected` goes on as the mark, in this status. */
static void check_mark(struct pipeline *pipeline, const struct process *price, const char *when,
                       int64_t expected, enum pl_mark_status status)
{
    usleep(1000000);
    struct marks marks = read_marks(pipeline);
    printf("%-44s %.0f quotes dropped as out of band; of %u marks the lowest %.4f, the newest %.4f "
           "%s\n", when, out_of_band(price), marks.count, (double)marks.lowest / 1e6,
           (double)marks.newest / 1e6, marks.status == PL_MARK_LIVE ? "LIVE" : "not LIVE");
    CHECK(marks.newest == expected && marks.lowest > candles[bad].close / 2 &&
          marks.status == status, "%s: the mark is not as expected", when);
}

/* The bad low while the second source is silent: one against one, so nobody is believed. */
static void bad_tick_of_two(struct pipeline *pipeline, const struct process *price)
{
    static const char when[] = "bad tick, two sources";
    const int64_t before = candles[bad - 1].close;
    for (int i = 0; i < 3; i++)
        quote_all(pipeline, before, 0, candles[bad].low);
    check_mark(pipeline, price, when, before, PL_MARK_HALTED);
    check_sold(pipeline, when, lowest_close(0, bad));
}

/* First while the others are still at the old price, then with their new one, for a while. */
static void bad_tick_of_three(struct pipeline *pipeline, const struct process *price)
{
    static const char when[] = "bad tick, three sources";
    const struct candle *before = &candles[bad - 1], *at = &candles[bad];
    double dropped = out_of_band(price);
    quote_all(pipeline, before->close, before->close, at->low);
    for (int i = 0; i < 5; i++)
        quote_all(pipeline, at->close, at->close, at->low);
    check_mark(pipeline, price, when, at->close, PL_MARK_LIVE);
    CHECK(out_of_band(price) - dropped >= 6, "at least 6 quotes out of band were expected");
    check_sold(pipeline, when, lowest_close(0, bad + 1));
}

int main(void)
{
    static struct pipeline pipeline;
    static const char *const first_start[] = { "first_start=yes", NULL };
    read_candles();
    make_book();
    if (!pipeline_open(&pipeline, "black-thursday", 4))
        return 77;
    publish_parameters(&pipeline);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    publish_book(&pipeline);
    quote_all(&pipeline, candles[0].close, 0, candles[0].close);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    pipeline_start_fills(&pipeline, NULL);

    for (unsigned i = 1; i < bad; i++)
        quote_all(&pipeline, candles[i].close, 0, candles[i].close);
    bad_tick_of_two(&pipeline, price);
    bad_tick_of_three(&pipeline, price);
    for (unsigned i = bad + 1; i < candle_count; i++)
        quote_all(&pipeline, candles[i].close, candles[i].close, candles[i].close);
    check_sold(&pipeline, "after the fall that followed", lowest_close(0, candle_count));
    CHECK(is_below(0, lowest_close(0, candle_count)), "the fall was to cross a line");
    for (int i = 0; i < 3; i++)
        quote_all(&pipeline, candles[bad].low, candles[bad].low, candles[bad].low);
    check_sold(&pipeline, "after the bad price by all three sources", candles[bad].low);
    pipeline_audit(&pipeline);
    pipeline_close(&pipeline);
    puts(is_good ? "passed" : "FAILED");
    return is_good ? 0 : 1;
}
