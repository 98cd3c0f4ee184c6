/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long from a raw price appended to the order readable by a read_committed consumer, through the
 * real services, beside what a bare transaction of one record takes in the same minute on the same
 * broker (begin, produce, commit, readable). One JSON line.
 *
 *   bench_latency [SAMPLES]      default 40; each sample lowers the price by a dollar, which pushes
 *                                exactly one more account below its line
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/kafka/txn.h"
#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/lenders.h"

enum { PARTITIONS = 4, SAMPLES_MAX = 1000, FIRST_USD = 2399, WAIT_MS = 10000, WARM_UP = 3 };

static struct pipeline pipeline;
static struct pl_kafka_settings settings;
static char names[PL_TOPIC_COUNT][256];
static struct pl_producer *producer;
static struct pl_reader *reader;
static struct pl_txn *txn;

static void must(enum pl_err err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "bench_latency: %s: %s\n", what, pl_err_text());
    pipeline_close(&pipeline);
    exit(1);
}

static struct pl_bytes_view view(const char *text)
{
    return (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) };
}

static void quote(const char *source, int64_t usd)
{
    static uint64_t sequence;
    char json[512];
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (sequence == 0)
        sequence = (uint64_t)pl_now_ms() * 1000;
    snprintf(json, sizeof(json), "{\"instrument\":\"COIN0\",\"source\":\"%s\",\"price\":{"
             "\"mantissa\":%lld,\"exponent\":0},\"event_time_ms\":%lld,\"source_sequence\":%llu}",
             source, (long long)usd, (long long)pl_now_ms(), (unsigned long long)++sequence);
    json_t *value = json_loads(json, 0, NULL);
    must(pl_json_encode(PL_TOPIC_PRICES, value, &bytes, &size_bytes), "price");
    json_decref(value);
    must(pl_producer_send(producer, PL_TOPIC_PRICES, -1, view("COIN0"),
                          (struct pl_bytes_view){ bytes, size_bytes }, NULL, 0), "send");
    must(pl_producer_flush(producer, WAIT_MS), "flush");
    free(bytes);
}

/* Milliseconds until `account` (or any record of the dead-letter topic) is readable; -1: too late. */
static double wait_for(enum pl_topic topic, const char *key, int64_t begin_ns)
{
    while (pl_mono_ns() - begin_ns < (int64_t)WAIT_MS * 1000000) {
        struct pl_record record;
        bool found = false;
        must(pl_reader_poll(reader, 20, &record, &found), "poll");
        if (found && record.topic == topic && record.key.size_bytes == strlen(key) &&
            memcmp(record.key.data, key, record.key.size_bytes) == 0)
            return (double)(pl_mono_ns() - begin_ns) / 1e6;
    }
    return -1;
}

static double sample_order(unsigned i)
{
    char account[32];
    int64_t usd = FIRST_USD - (int64_t)i;
    quote("a", usd);
    int64_t begin_ns = pl_mono_ns();
    quote("b", usd); /* two of three: the median moves */
    double ms = wait_for(PL_TOPIC_ORDERS, lenders_account(0, i, account), begin_ns);
    quote("c", usd);
    return ms;
}

static double sample_bare(unsigned i)
{
    char key[32];
    snprintf(key, sizeof(key), "bare-%u", i);
    int64_t begin_ns = pl_mono_ns();
    must(pl_txn_begin(txn), "begin");
    must(pl_txn_produce(txn, PL_TOPIC_DEADLETTER, 0, view(key), view("x"), NULL, 0), "produce");
    must(pl_txn_commit(txn, NULL, 0), "commit");
    return wait_for(PL_TOPIC_DEADLETTER, key, begin_ns);
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void open_handles(void)
{
    settings = (struct pl_kafka_settings){ .brokers = pipeline.brokers, .client_id = "bench",
                                           .group_id = "bench" };
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        settings.topic_names[topic] =
            pipeline_topic(&pipeline, (enum pl_topic)topic, names[topic]);
    must(pl_producer_open(&producer, &settings), "producer");
    must(pl_reader_open(&reader, &settings, false), "reader");
    must(pl_txn_open(&txn, &settings, names[PL_TOPIC_ORDERS], 10000), "transaction");
    for (int32_t i = 0; i < PARTITIONS; i++)
        must(pl_reader_add(reader, PL_TOPIC_ORDERS, i, 0), "orders");
    must(pl_reader_add(reader, PL_TOPIC_DEADLETTER, 0, 0), "deadletter");
}

int main(int argc, char **argv)
{
    static double order_ms[SAMPLES_MAX], bare_ms[SAMPLES_MAX];
    static const char *const first_start[] = { "first_start=yes", NULL };
    unsigned samples = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 40, count = 0, late = 0;
    if (samples > SAMPLES_MAX - WARM_UP)
        samples = SAMPLES_MAX - WARM_UP;
    if (!pipeline_open(&pipeline, "latency", PARTITIONS))
        return 77;
    lenders_parameters(&pipeline, 1);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    open_handles();
    for (const char *source = "abc"; *source; source++)
        quote((const char[]){ *source, '\0' }, FIRST_USD + 1);
    /* Account i owes 8 p + 4 dollars: below its line exactly from price p = FIRST_USD - i on. */
    lenders_positions(&pipeline, 0, samples + WARM_UP, 8 * FIRST_USD + 4, -8);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    sleep(2);
    for (unsigned i = 0; i < samples + WARM_UP; i++) {
        double order = sample_order(i), bare = sample_bare(i);
        if (i < WARM_UP)
            continue;
        late += order < 0 || bare < 0;
        if (order < 0 || bare < 0)
            continue;
        order_ms[count] = order;
        bare_ms[count++] = bare;
    }
    pipeline_close(&pipeline);
    qsort(order_ms, count, sizeof(double), by_size);
    qsort(bare_ms, count, sizeof(double), by_size);
    if (count == 0)
        return 1;
    printf("{\"bench\":\"latency\",\"samples\":%u,\"late\":%u,\"price_to_order_ms\":{\"p50\":%.1f,"
           "\"p99\":%.1f},\"bare_transaction_ms\":{\"p50\":%.1f,\"p99\":%.1f},\"ratio\":{\"p50\":"
           "%.2f,\"p99\":%.2f}}\n", count, late, order_ms[count / 2], order_ms[count * 99 / 100],
           bare_ms[count / 2], bare_ms[count * 99 / 100], order_ms[count / 2] / bare_ms[count / 2],
           order_ms[count * 99 / 100] / bare_ms[count * 99 / 100]);
    return late ? 1 : 0;
}
