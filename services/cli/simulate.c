/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll simulate-fills: plays router, venue and custodian for every order. SIMULATED: no market is
 * asked. For each order it writes execution reports and the position event by which holdings come to
 * show the fill (with `applied`), both in one transaction, so that the pipeline's loop closes.
 *
 * Idempotent by order id: what was answered before is read back from the executions topic at start,
 * and an order that comes twice is answered once. The outcome is drawn from the order id, so that two
 * runs over the same orders agree: full, partial with the rest canceled, late, rejected, silent.
 * A fill is at the middle between the mark that the order quotes and its limit.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/service/process.h"
#include "services/cli/cli.h"

enum { DUE_MAX = 1 << 16, COMMIT_ROWS_MAX = 200, PARTIAL_FILL_PERCENT = 60 };
static const char SOURCE[] = "simulated-fills";

enum outcome { OUTCOME_FULL, OUTCOME_PARTIAL, OUTCOME_LATE, OUTCOME_REJECTED, OUTCOME_SILENT };

/* One answer that waits for its time. */
struct due {
    int64_t at_ms;
    struct pl_order order;
    int64_t mark_mantissa; /* at the order's limit exponent */
    enum outcome outcome;
};

struct simulator {
    struct cli_kafka kafka;
    struct pl_reader *reader;
    struct pl_txn *txn;
    struct pl_wire *wire;
    json_t *answered;  /* order id → true        */
    json_t *sequences; /* account → last sequence of our source */
    int percent_partial, percent_late, percent_rejected, percent_silent;
    int64_t delay_ms, late_ms, idle_ms;
    uint32_t due_count;
    struct due *due;
    unsigned counts[OUTCOME_SILENT + 1], answered_count;
};

/* ---- what was answered before --------------------------------------------------------------- */

static enum pl_err see_execution(void *context, const struct pl_record *record)
{
    struct simulator *simulator = context;
    struct pl_execution report;
    char id[PL_UUID_TEXT_BYTES];
    if (pl_wire_execution_decode(simulator->wire, record->key, record->value, &report))
        return PL_OK; /* somebody else's damage is somebody else's dead letter */
    pl_uuid_print(report.order_id, id);
    json_object_set_new(simulator->answered, id, json_true());
    return PL_OK;
}

static enum pl_err see_position(void *context, const struct pl_record *record)
{
    static struct pl_position_event event;
    struct simulator *simulator = context;
    if (pl_wire_position_decode(simulator->wire, record->key, record->value, &event) == PL_OK &&
        strcmp(event.source.text, SOURCE) == 0)
        json_object_set_new(simulator->sequences, event.account.text,
                            json_integer((json_int_t)event.sequence));
    return PL_OK;
}

static enum pl_err remember(struct simulator *simulator)
{
    int32_t partitions = 0;
    enum pl_err err = pl_reader_partition_count(simulator->reader, PL_TOPIC_ORDERS, 10000,
                                                &partitions);
    for (int32_t i = 0; !err && i < partitions; i++) {
        err = cli_read(simulator->reader, PL_TOPIC_EXECUTIONS, i, see_execution, simulator);
        if (!err)
            err = cli_read(simulator->reader, PL_TOPIC_POSITIONS, i, see_position, simulator);
    }
    for (int32_t i = 0; !err && i < partitions; i++) {
        int64_t first = 0, end = 0;
        err = pl_reader_watermarks(simulator->reader, PL_TOPIC_ORDERS, i, 10000, &first, &end);
        if (!err)
            err = pl_reader_add(simulator->reader, PL_TOPIC_ORDERS, i, first);
    }
    return err;
}

/* ---- answering ------------------------------------------------------------------------------ */

static json_t *amount(pl_i128 mantissa, int exponent)
{
    char text[PL_I128_TEXT_BYTES];
    pl_i128_print(mantissa, text);
    return json_pack("{s:s, s:i}", "mantissa", text, "exponent", exponent);
}

static struct pl_bytes_view account_key(const struct pl_id *id)
{
    return pl_account_part((struct pl_bytes_view){ (const uint8_t *)id->text, id->size_bytes });
}

static enum pl_err produce(struct simulator *simulator, enum pl_topic topic,
                           const struct pl_id *id, json_t *json)
{
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    enum pl_err err = pl_json_encode(topic, json, &bytes, &size_bytes);
    json_decref(json);
    if (!err)
        err = pl_txn_produce(simulator->txn, topic, -1, account_key(id),
                             (struct pl_bytes_view){ bytes, size_bytes }, NULL, 0);
    free(bytes);
    return err;
}

/* What a router and a custodian write is keyed by account and names the bucket. */
static void set_account(json_t *json, const struct pl_id *id)
{
    const struct pl_bytes_view account = account_key(id);
    json_object_set_new(json, "account",
                        json_stringn((const char *)account.data, account.size_bytes));
    if (*pl_bucket_part(id))
        json_object_set_new(json, "bucket", json_string(pl_bucket_part(id)));
}

static int64_t fill_price(const struct due *due)
{
    return due->order.limit_mantissa + (due->mark_mantissa - due->order.limit_mantissa) / 2;
}

static enum pl_err report(struct simulator *simulator, const struct due *due, const char *status,
                          int64_t cumulative_lots)
{
    char id[PL_UUID_TEXT_BYTES], execution_id[PL_UUID_TEXT_BYTES + 8];
    int exponent = -(int)due->order.lot_decimals;
    pl_uuid_print(due->order.order_id, id);
    snprintf(execution_id, sizeof(execution_id), "%s/%c%c", id, status[7], status[8]);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:I}", "order_id", id, "execution_id", execution_id,
        "instrument", due->order.instrument.text, "status", status, "cumulative_quantity",
        amount(cumulative_lots, exponent), "venue", "SIMULATED", "text", "simulated fill",
        "event_time_ms", (json_int_t)pl_now_ms());
    set_account(json, &due->order.account);
    if (cumulative_lots > 0)
        json_object_set_new(json, "average_price",
                            json_pack("{s:I, s:i}", "mantissa", (json_int_t)fill_price(due),
                                      "exponent", (int)due->order.limit_exponent));
    return produce(simulator, PL_TOPIC_EXECUTIONS, &due->order.account, json);
}

/* The fill as the custodian tells it: the instrument goes, the money comes (or the other way). */
static enum pl_err settle(struct simulator *simulator, const struct due *due, int64_t lots)
{
    const struct pl_order *order = &due->order;
    char id[PL_UUID_TEXT_BYTES];
    int exponent = -(int)order->lot_decimals;
    int64_t sign = order->side == PL_SIDE_SELL ? 1 : -1;
    const char *account = order->account.text;
    json_int_t last = json_integer_value(json_object_get(simulator->sequences, account));
    pl_uuid_print(order->order_id, id);
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:[{s:s, s:o}], s:o, s:[{s:s, s:o}]}", "source", SOURCE, "sequence", last + 1, "previous_sequence", last, "kind", "KIND_DELTA",
        "event_time_ms", (json_int_t)pl_now_ms(), "legs", "instrument", order->instrument.text,
        "quantity", amount(-sign * lots, exponent), "cash",
        amount((pl_i128)sign * lots * fill_price(due), exponent + order->limit_exponent), "applied",
        "order_id", id, "cumulative_quantity", amount(lots, exponent));
    set_account(json, &order->account);
    json_object_set_new(simulator->sequences, account, json_integer(last + 1));
    return produce(simulator, PL_TOPIC_POSITIONS, &order->account, json);
}

static enum pl_err answer(struct simulator *simulator, const struct due *due)
{
    int64_t lots = due->order.lots;
    if (pl_now_ms() > due->order.valid_until_ms)
        return report(simulator, due, "STATUS_EXPIRED", 0);
    enum pl_err err = PL_OK;
    switch (due->outcome) {
    case OUTCOME_REJECTED:
        return report(simulator, due, "STATUS_REJECTED", 0);
    case OUTCOME_PARTIAL:
        lots = lots * PARTIAL_FILL_PERCENT / 100;
        err = lots > 0 ? settle(simulator, due, lots) : PL_OK;
        return err ? err : report(simulator, due, "STATUS_CANCELED", lots);
    case OUTCOME_FULL:
    case OUTCOME_LATE:
        err = settle(simulator, due, lots);
        return err ? err : report(simulator, due, "STATUS_FILLED", lots);
    case OUTCOME_SILENT:
        break;
    }
    return PL_OK;
}

static enum pl_err answer_due(struct simulator *simulator)
{
    int64_t now_ms = pl_now_ms();
    uint32_t kept = 0, answered = 0;
    bool has_begun = false;
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; i < simulator->due_count; i++) {
        struct due *due = &simulator->due[i];
        if (err || due->at_ms > now_ms || answered == COMMIT_ROWS_MAX) {
            simulator->due[kept++] = *due;
            continue;
        }
        if (!has_begun)
            err = pl_txn_begin(simulator->txn);
        has_begun = true;
        if (!err)
            err = answer(simulator, due);
        answered++;
    }
    simulator->due_count = kept;
    simulator->answered_count += answered;
    return err || !has_begun ? err : pl_txn_commit(simulator->txn, NULL, 0);
}

/* ---- orders --------------------------------------------------------------------------------- */

static enum outcome draw(const struct simulator *simulator, const struct pl_order *order)
{
    struct pl_digest digest = pl_hash128(order->order_id, PL_ORDER_ID_BYTES);
    int percent = (int)(digest.low % 100);
    if ((percent -= simulator->percent_partial) < 0)
        return OUTCOME_PARTIAL;
    if ((percent -= simulator->percent_late) < 0)
        return OUTCOME_LATE;
    if ((percent -= simulator->percent_rejected) < 0)
        return OUTCOME_REJECTED;
    return percent - simulator->percent_silent < 0 ? OUTCOME_SILENT : OUTCOME_FULL;
}

static int64_t quoted_mark(const struct pl_record *record, const struct pl_order *order)
{
    json_t *json = NULL;
    int64_t mantissa = order->limit_mantissa;
    size_t index;
    const json_t *price;
    if (pl_json_decode(PL_TOPIC_ORDERS, record->value, &json))
        return mantissa;
    json_array_foreach(json_object_get(json, "prices"), index, price) {
        const json_t *value = json_object_get(json_object_get(price, "price"), "mantissa");
        const char *name = json_string_value(json_object_get(price, "instrument"));
        if (name && strcmp(name, order->instrument.text) == 0 && json_is_string(value))
            mantissa = strtoll(json_string_value(value), NULL, 10);
    }
    json_decref(json);
    return mantissa;
}

static enum pl_err take_order(struct simulator *simulator, const struct pl_record *record)
{
    struct due due = { 0 };
    char id[PL_UUID_TEXT_BYTES];
    enum pl_err err =
        pl_wire_order_decode(simulator->wire, record->key, record->value, &due.order);
    if (err)
        return err;
    pl_uuid_print(due.order.order_id, id);
    if (json_object_get(simulator->answered, id))
        return PL_OK;
    if (simulator->due_count == DUE_MAX)
        return pl_err_set(PL_FATAL_SYSTEM, "more than %d orders wait for an answer", DUE_MAX);
    json_object_set_new(simulator->answered, id, json_true());
    due.mark_mantissa = quoted_mark(record, &due.order);
    due.outcome = draw(simulator, &due.order);
    due.at_ms = pl_now_ms() +
                (due.outcome == OUTCOME_LATE ? simulator->late_ms : simulator->delay_ms);
    simulator->counts[due.outcome]++;
    if (due.outcome != OUTCOME_SILENT)
        simulator->due[simulator->due_count++] = due;
    return PL_OK;
}

static enum pl_err run(struct simulator *simulator)
{
    int64_t active_ms = pl_mono_ms();
    enum pl_err err = PL_OK;
    while (!err && !pl_process_should_stop()) {
        struct pl_record record;
        bool found = false;
        err = pl_reader_poll(simulator->reader, 5, &record, &found);
        if (pl_err_action(err) == PL_ACTION_RETRY)
            err = PL_OK;
        if (!err && found)
            err = take_order(simulator, &record);
        if (!err && (!found || simulator->due_count > COMMIT_ROWS_MAX))
            err = answer_due(simulator);
        if (found || simulator->due_count > 0)
            active_ms = pl_mono_ms();
        if (simulator->idle_ms > 0 && pl_mono_ms() - active_ms > simulator->idle_ms)
            break;
    }
    return err;
}

/* ---- the command ---------------------------------------------------------------------------- */

static const char USAGE[] =
    "usage: plimsoll simulate-fills [OPTIONS]\n"
    "  Answers every order with SIMULATED fills until SIGTERM.\n"
    "  --partial PERCENT     of orders are filled by 60 % and the rest canceled (default 0)\n"
    "  --late PERCENT        are filled after --late-ms\n"
    "  --rejected PERCENT    are rejected\n"
    "  --silent PERCENT      are never answered\n"
    "  --delay-ms MS         before an answer (default 50)\n"
    "  --late-ms MS          before a late answer (default 3000)\n"
    "  --until-idle MS       end after so long without anything to do\n" CLI_KAFKA_USAGE;

static bool parse(int argc, char **argv, struct simulator *simulator)
{
    static const struct option options[] = {
        { "partial", required_argument, NULL, 'p' }, { "late", required_argument, NULL, 'l' },
        { "rejected", required_argument, NULL, 'r' }, { "silent", required_argument, NULL, 's' },
        { "delay-ms", required_argument, NULL, 'd' }, { "late-ms", required_argument, NULL, 'L' },
        { "until-idle", required_argument, NULL, 'i' }, CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        long number = optarg ? strtol(optarg, NULL, 10) : 0;
        switch (option) {
        case 'p': simulator->percent_partial = (int)number; break;
        case 'l': simulator->percent_late = (int)number; break;
        case 'r': simulator->percent_rejected = (int)number; break;
        case 's': simulator->percent_silent = (int)number; break;
        case 'd': simulator->delay_ms = number; break;
        case 'L': simulator->late_ms = number; break;
        case 'i': simulator->idle_ms = number; break;
        default:
            if (!cli_kafka_option(&simulator->kafka, option, optarg))
                return false;
        }
    }
    return optind == argc;
}

int cli_simulate_fills(int argc, char **argv)
{
    static struct simulator simulator = { .delay_ms = 50, .late_ms = 3000 };
    char transactional_id[PL_TOPIC_NAME_BYTES_MAX + 32];
    cli_kafka_init(&simulator.kafka, "plimsoll-simulate-fills");
    if (!parse(argc, argv, &simulator)) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    /* One simulator for an orders topic: a second of it takes over, one of another is let be. */
    snprintf(transactional_id, sizeof(transactional_id), "%s-simulate-fills",
             simulator.kafka.settings.topic_names[PL_TOPIC_ORDERS]);
    simulator.wire = cli_wire();
    simulator.answered = json_object();
    simulator.sequences = json_object();
    simulator.due = cli_memory(sizeof(*simulator.due) * DUE_MAX);
    enum pl_err err = pl_process_init(false);
    if (!err)
        err = pl_reader_open(&simulator.reader, &simulator.kafka.settings, false);
    if (!err) /* first of all: it settles what a predecessor left open */
        err = pl_txn_open(&simulator.txn, &simulator.kafka.settings, transactional_id, 10000);
    if (!err)
        err = remember(&simulator);
    if (!err)
        err = run(&simulator);
    if (err)
        return cli_fail(err, "simulate-fills"); /* no close after a failure: the restart settles it */
    pl_txn_close(&simulator.txn);
    pl_reader_close(&simulator.reader);
    fprintf(stderr, "plimsoll simulate-fills: SIMULATED %u answers (%u full, %u partial, %u late, %u "
            "rejected), %u silent\n", simulator.answered_count, simulator.counts[OUTCOME_FULL],
            simulator.counts[OUTCOME_PARTIAL], simulator.counts[OUTCOME_LATE],
            simulator.counts[OUTCOME_REJECTED], simulator.counts[OUTCOME_SILENT]);
    return CLI_OK;
}
