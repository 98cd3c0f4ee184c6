/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll report: what happened, from the topics alone. Who was called, who was sold, how much and at
 * what price against the mark, how fast, and in which state the accounts are now. Finds an order id
 * that was published twice and says so: that is exit status 1.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli.h"

enum { LATENCIES_MAX = 1 << 20 };

/* Sums of one instrument, in doubles: figures for people, nothing is decided on them. */
struct traded {
    char instrument[PL_ID_BYTES_MAX + 1];
    unsigned orders, fills;
    double ordered, filled, filled_usd, mark_usd;
};

struct report {
    struct pl_wire *wire;
    struct pl_reader *reader;
    json_t *orders;  /* order id → the order, with its mark    */
    json_t *called;  /* state → accounts that entered it       */
    json_t *states;  /* account → newest state record          */
    json_t *fills;   /* order id → newest report               */
    unsigned duplicates, uncertain, overdue, alerts;
    unsigned latency_count, traded_count;
    int64_t *latencies;
    struct traded traded[PL_INSTRUMENTS_MAX];
};

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static int64_t number_of(const json_t *value)
{
    return json_is_integer(value) ? json_integer_value(value)
                                  : json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
                                                          : 0;
}

static double decimal_of(const json_t *decimal)
{
    double value = json_is_string(json_object_get(decimal, "mantissa"))
                       ? strtod(text_of(decimal, "mantissa"), NULL)
                       : (double)number_of(json_object_get(decimal, "mantissa"));
    for (int64_t e = number_of(json_object_get(decimal, "exponent")); e < 0; e++)
        value /= 10;
    return value;
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct traded *traded_of(struct report *report, const char *instrument)
{
    unsigned at = 0;
    while (at < report->traded_count && strcmp(report->traded[at].instrument, instrument) != 0)
        at++;
    if (at == report->traded_count && at + 1 < PL_INSTRUMENTS_MAX) {
        snprintf(report->traded[at].instrument, sizeof(report->traded[at].instrument), "%s",
                 instrument);
        report->traded_count++;
    }
    return &report->traded[at];
}

static double lots_to_units(const json_t *order)
{
    double units = (double)number_of(json_object_get(order, "lots"));
    for (int64_t d = number_of(json_object_get(order, "lot_decimals")); d > 0; d--)
        units /= 10;
    return units;
}

static enum pl_err see_order(void *context, const struct pl_record *record)
{
    struct report *report = context;
    json_t *order = NULL;
    size_t index;
    const json_t *price;
    int64_t newest_ms = 0;
    enum pl_err err = pl_json_decode(PL_TOPIC_ORDERS, record->value, &order);
    if (err)
        return err;
    const char *id = text_of(order, "order_id"), *instrument = text_of(order, "instrument");
    if (json_object_get(report->orders, id))
        report->duplicates++;
    json_array_foreach(json_object_get(order, "prices"), index, price) {
        int64_t time_ms = number_of(json_object_get(price, "event_time_ms"));
        newest_ms = time_ms > newest_ms ? time_ms : newest_ms;
        if (strcmp(text_of(price, "instrument"), instrument) == 0)
            json_object_set(order, "mark", json_object_get(price, "price"));
    }
    if (newest_ms > 0 && report->latency_count < LATENCIES_MAX)
        report->latencies[report->latency_count++] = record->timestamp_ms - newest_ms;
    struct traded *traded = traded_of(report, instrument);
    traded->orders++;
    traded->ordered += lots_to_units(order);
    json_object_set_new(report->orders, id, order);
    return PL_OK;
}

static enum pl_err see_execution(void *context, const struct pl_record *record)
{
    struct report *report = context;
    json_t *fill = NULL;
    enum pl_err err = pl_json_decode(PL_TOPIC_EXECUTIONS, record->value, &fill);
    if (!err)
        json_object_set_new(report->fills, text_of(fill, "order_id"), fill);
    return err;
}

static enum pl_err see_alert(void *context, const struct pl_record *record)
{
    struct report *report = context;
    json_t *alert = NULL;
    enum pl_err err = pl_json_decode(PL_TOPIC_ALERTS, record->value, &alert);
    if (err)
        return err;
    const char *kind = text_of(alert, "kind"), *entered = text_of(alert, "entered");
    report->alerts++;
    report->uncertain += strcmp(kind, "KIND_UNCERTAIN") == 0;
    report->overdue += strcmp(kind, "KIND_ORDER_OVERDUE") == 0;
    if (strcmp(kind, "KIND_STATE") == 0) {
        json_t *accounts = json_object_get(report->called, entered);
        if (!accounts)
            json_object_set_new(report->called, entered, accounts = json_object());
        json_object_set_new(accounts, text_of(alert, "account"), json_true());
    }
    json_decref(alert);
    return PL_OK;
}

static enum pl_err see_state(void *context, const struct pl_record *record)
{
    struct report *report = context;
    json_t *state = NULL;
    if (pl_wire_is_budget(record->key))
        return PL_OK;
    enum pl_err err = pl_json_decode(PL_TOPIC_ACCOUNTS, record->value, &state);
    if (!err)
        json_object_set_new(report->states, text_of(state, "account"), state);
    return err;
}

static enum pl_err read_all(struct report *report)
{
    static const struct { enum pl_topic topic; cli_handle *handle; } topics[] = {
        { PL_TOPIC_ORDERS, see_order }, { PL_TOPIC_EXECUTIONS, see_execution },
        { PL_TOPIC_ALERTS, see_alert }, { PL_TOPIC_ACCOUNTS, see_state } };
    int32_t partitions = 0;
    enum pl_err err = pl_reader_partition_count(report->reader, PL_TOPIC_ORDERS, 10000, &partitions);
    for (unsigned t = 0; t < 4; t++)
        for (int32_t i = 0; !err && i < partitions; i++)
            err = cli_read(report->reader, topics[t].topic, i, topics[t].handle, report);
    return err;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void add_fills(struct report *report)
{
    const char *id;
    json_t *fill;
    json_object_foreach(report->fills, id, fill) {
        const json_t *order = json_object_get(report->orders, id);
        double units = decimal_of(json_object_get(fill, "cumulative_quantity"));
        if (!order || units <= 0)
            continue;
        struct traded *traded = traded_of(report, text_of(order, "instrument"));
        traded->fills++;
        traded->filled += units;
        traded->filled_usd += units * decimal_of(json_object_get(fill, "average_price"));
        traded->mark_usd += units * decimal_of(json_object_get(order, "mark"));
    }
}

static int by_number(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct traded *)left)->instrument,
                  ((const struct traded *)right)->instrument);
}

static void print_latency(struct report *report)
{
    unsigned count = report->latency_count;
    if (count == 0)
        return;
    qsort(report->latencies, count, sizeof(*report->latencies), by_number);
    printf("latency, price event to order record: p50 %lld ms, p90 %lld ms, p99 %lld ms\n",
           (long long)report->latencies[count / 2], (long long)report->latencies[count * 9 / 10],
           (long long)report->latencies[count * 99 / 100]);
}

static void print_traded(struct report *report)
{
    qsort(report->traded, report->traded_count, sizeof(report->traded[0]), by_name);
    printf("%-10s %7s %16s %7s %16s %14s %9s\n", "instrument", "orders", "ordered", "fills",
           "filled", "USD", "vs mark");
    for (unsigned i = 0; i < report->traded_count; i++) {
        const struct traded *t = &report->traded[i];
        printf("%-10s %7u %16.6f %7u %16.6f %14.2f ", t->instrument, t->orders, t->ordered,
               t->fills, t->filled, t->filled_usd);
        if (t->mark_usd > 0)
            printf("%+8.2f%%\n", (t->filled_usd / t->mark_usd - 1) * 100);
        else
            printf("%9s\n", "-");
    }
}

static void print_states(const struct report *report)
{
    static const struct { const char *name, *said; } states[] = {
        { "STATE_OK", "ok" }, { "STATE_ALERT", "alert" }, { "STATE_RESTRICTED", "restricted" },
        { "STATE_LIQUIDATING", "liquidating" }, { "STATE_BANKRUPT", "bankrupt" } };
    printf("called:");
    for (unsigned i = 1; i < 5; i++)
        printf(" %zu entered %s,", json_object_size(json_object_get(report->called, states[i].name)),
               states[i].said);
    printf(" %u uncertain, %u orders overdue\n", report->uncertain, report->overdue);
    printf("now:   ");
    for (unsigned i = 0; i < 5; i++) {
        unsigned count = 0;
        const char *account;
        const json_t *state;
        json_object_foreach(report->states, account, state)
            count += strcmp(text_of(state, "state"), states[i].name) == 0;
        printf(" %u %s%s", count, states[i].said, i < 4 ? "," : "");
    }
    printf("  (of accounts that ever left ok)\n");
}

static void print_pending(const struct report *report)
{
    size_t pending = 0, episodes = 0;
    const char *account;
    const json_t *state;
    json_object_foreach(report->states, account, state) {
        pending += json_array_size(json_object_get(state, "pending"));
        episodes += (size_t)number_of(json_object_get(state, "episode"));
    }
    printf("episodes: %zu opened, %zu orders still pending, %u order ids published twice\n", episodes,
           pending, report->duplicates);
}

static const char USAGE[] =
    "usage: plimsoll report [OPTIONS]\n"
    "  Sums up alerts, orders, executions and account states.\n" CLI_KAFKA_USAGE;

int cli_report(int argc, char **argv)
{
    static const struct option options[] = { CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    static struct report report;
    struct cli_kafka kafka;
    cli_kafka_init(&kafka, "plimsoll-cli");
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1)
        if (!cli_kafka_option(&kafka, option, optarg)) {
            fputs(USAGE, option == 'h' ? stdout : stderr);
            return option == 'h' ? CLI_OK : CLI_USAGE;
        }
    report.wire = cli_wire();
    report.latencies = cli_memory(sizeof(*report.latencies) * LATENCIES_MAX);
    report.orders = json_object();
    report.called = json_object();
    report.states = json_object();
    report.fills = json_object();
    enum pl_err err = pl_reader_open(&report.reader, &kafka.settings, false);
    if (!err)
        err = read_all(&report);
    pl_reader_close(&report.reader);
    if (err)
        return cli_fail(err, "report");
    add_fills(&report);
    print_states(&report);
    print_traded(&report);
    print_pending(&report);
    print_latency(&report);
    return report.duplicates ? CLI_FINDING : CLI_OK;
}
