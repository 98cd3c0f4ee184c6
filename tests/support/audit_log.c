/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded venue's log (audit_log.h). Two halves: the world, which publishes inputs and plays the order
 * router, and the workers, which do what services/liquidation does between Kafka's poll and commit.
 */
#include "tests/support/audit_log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/workspace.h"
#include "tests/support/random.h"

enum { COINS_MAX = 16, APPLIED_MAX = 8, DUE_MAX = 4096, LOT_DECIMALS = 8, TICK_DECIMALS = 4,
       INPUTS = 6, BROADCASTS = 4, WATERMARK_AGE_MS_MAX = 20000, MARK_AGE_MS_MAX = 120000,
       POLL_MAX = 64 };
static const size_t WIRE_BYTES = (size_t)64 << 20;
static const int64_t START_MS = 1700000000000;
/* In the order in which a step drains them; a partition's own topics come after. */
static const enum pl_topic input_topics[INPUTS] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS,
                                                    PL_TOPIC_CHAINS, PL_TOPIC_MARKS,
                                                    PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS };
enum { MARKS = 3, HOLDINGS = 4, EXECUTIONS = 5 };

/* What an account really holds. Cash is in 10^-12 USD, so are lots times ticks. */
struct account {
    struct pl_id id;
    int32_t partition;
    uint64_t version, sequence;
    int64_t lots[COINS_MAX];
    pl_i128 cash_vu;          /* less the cost of the perp                                        */
    int64_t entry;            /* price                                                            */
    bool has_gap;
    uint32_t applied_count;
    struct { uint8_t order_id[PL_ORDER_ID_BYTES]; int64_t lots; } applied[APPLIED_MAX];
};

/* An answer of the router that is due at a step: first the report or first the holdings. */
struct due { unsigned step, account; struct pl_order order; int64_t lots; const char *status;
             bool has_report, has_holdings; };

struct worker {
    struct workspace memory;
    size_t at[INPUTS];         /* next record of each input                                     */
    int64_t position[INPUTS];  /* next offset                                                   */
    bool has_entry;
    struct pl_journal last;
    uint8_t last_hash[PL_HASH_BYTES];
    enum pl_readiness readiness;
    int64_t marks_first_offset;
    unsigned restarts, quiet_steps;
    uint8_t *screen_marks;
    struct ledger_execution executions[64 * POLL_MAX];
};

struct world {
    struct audit_log *log;
    const struct audit_log_options *options;
    struct test_random random;
    struct pl_wire wire;
    void *wire_block;
    int64_t now_ms;
    unsigned step;
    uint64_t epoch, control_epoch, tick;
    bool is_halted;
    unsigned stale_until, crash_until; /* steps */
    int64_t price[COINS_MAX];  /* ticks */
    unsigned silent_until[COINS_MAX]; /* steps */
    struct account *accounts;
    unsigned opened_count;
    unsigned due_count;
    struct due *due;
    struct worker *workers;
};

static void must(enum pl_err err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "audit_log: %s: %s\n", what, pl_err_text());
    abort();
}

static void *allocate(size_t count, size_t size_bytes)
{
    void *block = calloc(count ? count : 1, size_bytes);
    if (!block)
        abort();
    return block;
}

/* ---- the log -------------------------------------------------------------------------------- */

static struct pl_bytes_view copy_of(struct pl_bytes_view view)
{
    if (!view.data)
        return view;
    uint8_t *bytes = allocate(view.size_bytes, 1);
    memcpy(bytes, view.data, view.size_bytes);
    return (struct pl_bytes_view){ bytes, view.size_bytes };
}

static struct pl_bytes_view text_view(const char *text)
{
    return (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) };
}

static void free_view(struct pl_bytes_view view)
{
    free((void *)(uintptr_t)view.data);
}

static void free_record(struct pl_record *record)
{
    free_view(record->key);
    free_view(record->value);
    for (unsigned i = 0; i < record->header_count; i++) {
        free((void *)(uintptr_t)record->headers[i].name);
        free_view(record->headers[i].value);
    }
}

struct audit_stream *audit_log_stream(const struct audit_log *log, enum pl_topic topic,
                                      int32_t partition)
{
    for (unsigned i = 0; i < log->stream_count; i++)
        if (log->streams[i].topic == topic && log->streams[i].partition == partition)
            return &log->streams[i];
    fprintf(stderr, "audit_log: no %s partition %d\n", pl_topic_word(topic), (int)partition);
    abort();
}

/* A reader keeps so many headers of a record, and so does this log. */
static void append(struct world *world, struct pl_record record)
{
    struct audit_stream *stream = audit_log_stream(world->log, record.topic, record.partition);
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 16;
        stream->records = realloc(stream->records, stream->capacity * sizeof(*stream->records));
        if (!stream->records)
            abort();
    }
    record.offset = stream->end++;
    record.timestamp_ms = world->now_ms;
    record.key = copy_of(record.key);
    record.value = copy_of(record.value);
    for (unsigned i = 0; i < record.header_count; i++)
        record.headers[i] = (struct pl_header){ strdup(record.headers[i].name),
                                                copy_of(record.headers[i].value) };
    stream->records[stream->count++] = record;
}

static void publish(struct world *world, enum pl_topic topic, int32_t partition,
                    struct pl_bytes_view key, struct pl_bytes_view value)
{
    append(world, (struct pl_record){ .topic = topic, .partition = partition, .key = key,
                                      .value = value });
}

/* A transaction's marker takes an offset that no record has. */
static void mark_commit(struct world *world, enum pl_topic topic, int32_t partition)
{
    audit_log_stream(world->log, topic, partition)->end++;
}

static void publish_json(struct world *world, enum pl_topic topic, int32_t partition,
                         const char *key, json_t *json)
{
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (!json)
        abort();
    must(pl_json_encode(topic, json, &bytes, &size_bytes), pl_topic_word(topic));
    publish(world, topic, partition, text_view(key), (struct pl_bytes_view){ bytes, size_bytes });
    free(bytes);
    json_decref(json);
}

static void open_streams(struct audit_log *log, int32_t partition_count)
{
    *log = (struct audit_log){ .partition_count = partition_count };
    log->streams = allocate(PL_TOPIC_COUNT * (size_t)partition_count, sizeof(*log->streams));
    for (unsigned topic = PL_TOPIC_MARKS; topic < PL_TOPIC_COUNT; topic++) {
        bool is_single = topic == PL_TOPIC_MARKS || topic == PL_TOPIC_PARAMETERS ||
                         topic == PL_TOPIC_CHAINS || topic == PL_TOPIC_CONTROL;
        for (int32_t i = 0; i < (is_single ? 1 : partition_count); i++)
            log->streams[log->stream_count++] =
                (struct audit_stream){ .topic = (enum pl_topic)topic, .partition = i };
    }
}

void audit_log_free(struct audit_log *log)
{
    for (unsigned i = 0; i < log->stream_count; i++) {
        for (size_t j = 0; j < log->streams[i].count; j++)
            free_record(&log->streams[i].records[j]);
        free(log->streams[i].records);
    }
    free(log->streams);
    *log = (struct audit_log){ 0 };
}

uint8_t *audit_log_bytes(struct pl_bytes_view view)
{
    return (uint8_t *)(uintptr_t)view.data;
}

void audit_log_set_value(struct pl_record *record, struct pl_bytes_view bytes)
{
    struct pl_bytes_view copy = copy_of(bytes);
    free_view(record->value);
    record->value = copy;
}

void audit_log_remove(struct audit_stream *stream, size_t at)
{
    free_record(&stream->records[at]);
    stream->count--;
    memmove(&stream->records[at], &stream->records[at + 1],
            (stream->count - at) * sizeof(stream->records[0]));
}

void audit_log_swap_values(struct audit_stream *stream, size_t a, size_t b)
{
    struct pl_record *left = &stream->records[a], *right = &stream->records[b];
    const struct pl_record kept = *left;
    *left = *right;
    left->offset = kept.offset;
    left->timestamp_ms = kept.timestamp_ms;
    int64_t offset = right->offset, timestamp_ms = right->timestamp_ms;
    *right = kept;
    right->offset = offset;
    right->timestamp_ms = timestamp_ms;
}

struct bundle *audit_log_bundle(const struct audit_log *log)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    must(bundle_create(&writer, NULL, log->partition_count), "bundle");
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        for (size_t j = 0; j < stream->count; j++)
            must(bundle_append(writer, &stream->records[j]), "bundle");
        must(bundle_bound(writer, stream->topic, stream->partition, 0, stream->end), "bundle");
    }
    must(bundle_finish(&writer, &bundle), "bundle");
    return bundle;
}

/* ---- the world: chance ---------------------------------------------------------------------- */

static uint64_t below(struct world *world, uint64_t bound)
{
    return test_random_below(&world->random, bound);
}

static bool chance(struct world *world, unsigned times)
{
    return below(world, times) == 0;
}

/* Once in so many steps, where anything may go wrong. */
static bool mishap(struct world *world, unsigned times)
{
    return !world->options->is_calm && !world->options->is_quiet && chance(world, times);
}

static const char *coin_name(unsigned coin, char name[16])
{
    snprintf(name, 16, "COIN%02u", coin); /* in the order of their numbers */
    return name;
}

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    must(pl_id_set(&id, text, strlen(text)), text);
    return id;
}

/* ---- the world: broadcasts ------------------------------------------------------------------ */

static bool is_perp(const struct world *world, unsigned coin)
{
    return world->options->has_perp && coin == world->options->coin_count - 1;
}

static int print_instrument(const struct world *world, char *text, size_t size_bytes,
                            const char *name, unsigned coin)
{
    return snprintf(text, size_bytes,
                    "%s{\"instrument\":\"%s\",\"kind\":\"%s\",\"lot_decimals\":%d,"
                    "\"tick_decimals\":%d,\"haircut_long\":{\"alert\":150000,\"initial\":120000,"
                    "\"end\":100000,\"maintenance\":80000},\"haircut_short\":{\"alert\":90000,"
                    "\"initial\":80000,\"end\":70000,\"maintenance\":60000},\"factors\":[{\"factor\":"
                    "\"f%u\",\"load\":{\"alert\":100000,\"initial\":80000,\"end\":60000,"
                    "\"maintenance\":40000}}],\"brackets\":[{\"threshold_usd\":50000,\"rate\":"
                    "{\"alert\":40000,\"initial\":30000,\"end\":20000,\"maintenance\":10000}}],"
                    "\"confidence_ppm\":2000,\"sale_discount_ppm\":20000,"
                    "\"depth\":[{\"usd_max\":20000,\"discount_ppm\":20000}],\"price_rules\":"
                    "{\"sources\":[\"a\"],\"quorum\":1,\"age_ms_max\":%d,\"band_ppm\":900000,"
                    "\"bad_mark_low_ppm\":0,\"bad_mark_high_ppm\":1500000}}", coin ? "," : "", name,
                    is_perp(world, coin) ? "KIND_PERP" : "KIND_SPOT", LOT_DECIMALS, TICK_DECIMALS, coin % 2, MARK_AGE_MS_MAX);
}

static json_t *parameter_set(struct world *world)
{
    static char text[1 << 16];
    char name[16];
    const bool is_braked = world->epoch % 2 == 1;
    int used = snprintf(text, sizeof(text),
                        "{\"epoch\":%llu,\"factors\":[{\"factor\":\"f0\"},{\"factor\":\"f1\"}],"
                        "\"sources\":[{\"source\":\"venue\",\"settlement\":\"SETTLEMENT_APPLIED\"}],"
                        "\"policies\":[{\"policy\":\"default\",\"order_valid_ms\":%lld,"
                        "\"order_overdue_ms\":%lld,\"revision_pause_ms\":%lld,"
                        "\"restricted_hold_ms\":%lld,\"alert_hysteresis_ppm\":%llu,"
                        "\"watermark_age_ms_max\":%d,\"brake_window_ms\":%lld,"
                        "\"brake_depth_ppm\":%d,\"liquidity_order\":[",
                        (unsigned long long)world->epoch, (long long)world->options->step_ms * 4,
                        (long long)world->options->step_ms * 3, (long long)world->options->step_ms,
                        (long long)world->options->step_ms * 5,
                        (unsigned long long)(5000 + world->epoch % 7 * 1000), WATERMARK_AGE_MS_MAX,
                        is_braked ? (long long)world->options->step_ms * 3 : 0, is_braked ? 500000 : 0);
    for (unsigned i = 0; i < world->options->coin_count; i++)
        if (!is_perp(world, i))
            used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\"%s\"", i ? "," : "",
                             coin_name(i, name));
    used += snprintf(text + used, sizeof(text) - (size_t)used, "]}],\"instruments\":[");
    for (unsigned i = 0; i < world->options->coin_count; i++)
        used += print_instrument(world, text + used, sizeof(text) - (size_t)used, coin_name(i, name), i);
    snprintf(text + used, sizeof(text) - (size_t)used, "]}");
    return json_loads(text, 0, NULL);
}

static void publish_parameters(struct world *world)
{
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    struct pl_bytes_view effective;
    world->epoch++;
    json_t *json = parameter_set(world);
    if (!json)
        abort();
    must(pl_json_encode(PL_TOPIC_PARAMETERS, json, &bytes, &size_bytes), "parameters");
    const struct pl_bytes_view base = { bytes, size_bytes };
    publish(world, PL_TOPIC_PARAMETERS, 0, text_view("base"), base);
    pl_wire_reset(&world->wire);
    must(pl_wire_parameters_effective(&world->wire, base, NULL, NULL, &effective),
         "effective set");
    publish(world, PL_TOPIC_PARAMETERS, 0, text_view("effective"), effective);
    free(bytes);
    json_decref(json);
}

static void publish_mark(struct world *world, unsigned coin, enum pl_mark_status status)
{
    char name[16];
    const struct pl_id id = id_of(coin_name(coin, name));
    struct pl_bytes_view value;
    int64_t price = world->price[coin];
    const struct pl_mark mark = { .status = status, .source_offset = world->step,
                                  .tick = ++world->tick, .mantissa = price,
                                  .low_mantissa = price - price / 1000,
                                  .high_mantissa = price + price / 1000,
                                  .exponent = -TICK_DECIMALS, .event_time_ms = world->now_ms,
                                  .source_count = 1 };
    pl_wire_reset(&world->wire);
    must(pl_wire_mark_encode(&world->wire, &id, &mark, &value), "mark");
    publish(world, PL_TOPIC_MARKS, 0, text_view(name), value);
}

/* A random walk, with crashes that last a few steps and pull back. */
static void move_prices(struct world *world)
{
    if (world->step > 5 && !world->options->is_quiet && chance(world, 25))
        world->crash_until = world->step + 2 + (unsigned)below(world, 5);
    for (unsigned i = 0; i < world->options->coin_count; i++) {
        int64_t price = world->price[i], span = world->options->is_quiet ? 2 : 12;
        bool has_crash = world->step < world->crash_until && i % 2 == world->crash_until % 2;
        price += price * ((int64_t)below(world, (uint64_t)(2 * span + 1)) - span) / 1000;
        if (world->step > 0 && world->step == world->options->gap_step)
            price /= 2;
        else if (has_crash)
            price -= price * (int64_t)(20 + below(world, 50)) / 1000;
        else if (price < 500000 && !world->options->is_quiet)
            price += price * 30 / 1000;
        world->price[i] = price > 10000 ? price : 10000;
        if (mishap(world, 60)) /* a feed dies, for longer than any mark is good */
            world->silent_until[i] = world->step + 30;
        if (world->step >= world->silent_until[i] && !mishap(world, 8))
            publish_mark(world, i, mishap(world, 40)   ? PL_MARK_HALTED
                                   : mishap(world, 40) ? PL_MARK_STALE
                                                       : PL_MARK_LIVE);
    }
    if (mishap(world, 30))
        publish(world, PL_TOPIC_MARKS, 0, text_view("COIN00"), text_view("no mark"));
}

static void publish_control(struct world *world)
{
    struct pl_bytes_view key, value;
    struct pl_control control = { .is_halt = !world->is_halted, .epoch = ++world->control_epoch,
                                  .created_ms = world->now_ms, .actor = "auditor",
                                  .reason = "drill" };
    if (!world->is_halted && chance(world, 2))
        control.account = world->accounts[below(world, world->opened_count)].id;
    else
        world->is_halted = control.is_halt;
    pl_wire_reset(&world->wire);
    must(pl_wire_control_encode(&world->wire, &control, &key, &value), "control");
    publish(world, PL_TOPIC_CONTROL, 0, key, value);
}

static void publish_chain(struct world *world)
{
    publish_json(world, PL_TOPIC_CHAINS, 0, "chain",
                 json_pack("{s:s, s:I, s:I, s:s, s:I}", "chain", "chain", "head_height",
                           (json_int_t)world->step + 10, "finalised_height",
                           (json_int_t)world->step, "condition", "CONDITION_LIVE", "event_time_ms",
                           (json_int_t)world->now_ms));
}

static void disturb_broadcasts(struct world *world)
{
    if (mishap(world, 20))
        publish_chain(world);
    if (mishap(world, 60))
        publish(world, PL_TOPIC_CHAINS, 0, text_view("chain"), text_view("no chain"));
    if (mishap(world, 35) || (world->is_halted && mishap(world, 6)))
        publish_control(world);
    if (mishap(world, 120)) {
        publish(world, PL_TOPIC_CONTROL, 0, text_view("all"), text_view("no control"));
        world->is_halted = true; /* which is what everybody makes of it */
    }
    if (mishap(world, 45))
        publish_parameters(world);
    if (mishap(world, 90))
        publish(world, PL_TOPIC_PARAMETERS, 0, text_view("effective"), text_view("no set"));
}

/* ---- the world: accounts -------------------------------------------------------------------- */

static void publish_watermarks(struct world *world)
{
    struct pl_bytes_view value;
    const struct pl_watermark watermark = { .positions_offset = world->step,
                                            .time_ms = world->now_ms };
    if (mishap(world, 40))
        world->stale_until =
            world->step + (unsigned)(WATERMARK_AGE_MS_MAX / world->options->step_ms) + 3;
    if (world->step < world->stale_until)
        return;
    for (int32_t i = 0; i < world->options->partition_count; i++) {
        pl_wire_reset(&world->wire);
        must(pl_wire_watermark_encode(&world->wire, &watermark, &value), "watermark");
        publish(world, PL_TOPIC_HOLDINGS, i, text_view(PL_WATERMARK_KEY), value);
        mark_commit(world, PL_TOPIC_HOLDINGS, i);
    }
}

static void publish_holdings(struct world *world, struct account *account)
{
    static struct pl_record_holdings record; /* 100 KB */
    struct pl_bytes_view value;
    record.account = account->id;
    record.version = ++account->version;
    record.positions_offset = account->version;
    record.written_ms = world->now_ms;
    record.source_count = 1;
    record.sources[0] = (struct pl_record_source){
        .id = id_of("venue"), .sequence = ++account->sequence, .event_time_ms = world->now_ms,
        .has_gap = account->has_gap, .cash = { .mantissa = account->cash_vu, .exponent = -12 } };
    record.leg_count = 0;
    for (unsigned i = 0; i < world->options->coin_count; i++) {
        char name[16];
        if (account->lots[i] == 0)
            continue;
        record.legs[record.leg_count++] = (struct pl_record_leg){
            .instrument = id_of(coin_name(i, name)),
            .quantity = { .mantissa = account->lots[i], .exponent = -LOT_DECIMALS },
            .has_lots = true, .lot_decimals = LOT_DECIMALS, .lots = account->lots[i],
            .settled_lots = account->lots[i] };
        if (!is_perp(world, i))
            continue;
        pl_i128 cost_vu = (pl_i128)account->lots[i] * account->entry;
        record.legs[record.leg_count - 1].cost = (struct pl_amount){ cost_vu, -12 };
        record.sources[0].cash.mantissa += cost_vu;
    }
    record.applied_count = account->applied_count;
    for (uint32_t i = 0; i < account->applied_count; i++) {
        memcpy(record.applied[i].order_id, account->applied[i].order_id, PL_ORDER_ID_BYTES);
        record.applied[i].cumulative = (struct pl_amount){ account->applied[i].lots, -LOT_DECIMALS };
    }
    pl_wire_reset(&world->wire);
    must(pl_wire_record_encode(&world->wire, &record, &value), "holdings");
    publish(world, PL_TOPIC_HOLDINGS, account->partition, text_view(account->id.text), value);
}

/* Some own coins and owe dollars, some own dollars and owe a coin; all begin above their lines. */
static void open_account(struct world *world, unsigned i)
{
    struct account *account = &world->accounts[i];
    char name[32];
    /* Every fourth is an isolated bucket of the account before it. */
    if (i % 4 == 3)
        snprintf(name, sizeof(name), "account-%u~iso", i - 1);
    else
        snprintf(name, sizeof(name), "account-%u", i);
    account->id = id_of(name);
    account->partition = pl_account_partition(&account->id, world->options->partition_count);
    unsigned legs = 1 + (unsigned)below(world, 4);
    bool is_short = chance(world, 4);
    pl_i128 value = 0;
    for (unsigned k = 0; k < legs; k++) {
        unsigned coin = (unsigned)below(world, world->options->coin_count);
        int64_t lots = (int64_t)below(world, 2000000000) + 1000;
        account->lots[coin] = is_short ? -lots : lots;
    }
    for (unsigned k = 0; k < world->options->coin_count; k++)
        value += (pl_i128)account->lots[k] * world->price[k];
    int64_t share = is_short ? 1150 + (int64_t)below(world, 500) : 300 + (int64_t)below(world, 420);
    account->cash_vu = -value * share / 1000;
    account->entry = world->price[world->options->coin_count - 1];
    publish_holdings(world, account);
}

/* The same account brought back to where it began, so that a long day does not run out of people. */
static void refill(struct world *world, struct account *account)
{
    pl_i128 value = 0;
    bool is_short = false;
    for (unsigned k = 0; k < world->options->coin_count; k++) {
        value += (pl_i128)account->lots[k] * world->price[k];
        is_short |= account->lots[k] < 0;
    }
    int64_t share = is_short ? 1150 + (int64_t)below(world, 500) : 300 + (int64_t)below(world, 420);
    if (value != 0)
        account->cash_vu = -value * share / 1000;
    else
        account->lots[0] = 500000000;
    publish_holdings(world, account);
}

static void disturb_holdings(struct world *world)
{
    struct account *account = &world->accounts[below(world, world->opened_count)];
    int32_t partition = account->partition;
    if (world->step < world->stale_until)
        return; /* the position service is down */
    if (world->opened_count < world->options->account_count && chance(world, 8))
        open_account(world, world->opened_count++);
    if (chance(world, 3) && !world->options->is_quiet)
        refill(world, account);
    if (mishap(world, 30))
        publish(world, PL_TOPIC_HOLDINGS, partition, text_view(account->id.text),
                text_view("no holdings"));
    if (mishap(world, 50))
        publish(world, PL_TOPIC_HOLDINGS, partition, (struct pl_bytes_view){ NULL, 0 },
                text_view("no key"));
    if (mishap(world, 25)) {
        account->has_gap = !account->has_gap;
        publish_holdings(world, account);
    }
    if (mishap(world, 40) && account->version > 1) {
        account->version--; /* a restatement by someone who is behind: late, and not the same */
        publish_holdings(world, account);
    }
    for (int32_t i = 0; i < world->options->partition_count; i++)
        mark_commit(world, PL_TOPIC_HOLDINGS, i);
}

/* ---- the world: the order router ------------------------------------------------------------ */

static unsigned account_of(const struct world *world, const struct pl_id *id)
{
    unsigned i = (unsigned)strtoul(id->text + strlen("account-"), NULL, 10);
    return i < world->options->account_count ? i : 0;
}

static void take_order(struct world *world, const struct output *output)
{
    struct due due = { .status = "STATUS_FILLED", .has_report = true, .has_holdings = true };
    must(pl_wire_order_decode(&world->wire, output->key, output->value, &due.order), "order");
    if (world->due_count == DUE_MAX)
        return; /* silence is an answer too */
    due.account = account_of(world, &due.order.account);
    due.step = world->step + 1 + (unsigned)below(world, 3);
    due.lots = due.order.lots;
    uint64_t kind = world->options->is_calm ? 0 : below(world, 10);
    if (kind == 1 || kind == 2) {
        due.lots = due.order.lots / 2;
        due.status = "STATUS_CANCELED";
    } else if (kind == 3) {
        due.lots = 0;
        due.status = "STATUS_REJECTED";
    } else if (kind == 4) {
        due.step += 20; /* after the deadline */
    }
    world->due[world->due_count++] = due;
}

static void report(struct world *world, const struct due *due)
{
    char order_id[PL_UUID_TEXT_BYTES], lots[24];
    pl_uuid_print(due->order.order_id, order_id);
    snprintf(lots, sizeof(lots), "%lld", (long long)due->lots);
    const struct account *account = &world->accounts[due->account];
    char name[sizeof(account->id.text)];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(account->id.text, "~"), account->id.text);
    publish_json(world, PL_TOPIC_EXECUTIONS, account->partition, name,
                 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:i}, s:I}", "order_id", order_id,
                           "execution_id", order_id, "account", name, "bucket",
                           pl_bucket_part(&account->id), "instrument",
                           due->order.instrument.text, "status", due->status,
                           "cumulative_quantity", "mantissa", lots, "exponent", -LOT_DECIMALS,
                           "event_time_ms", (json_int_t)world->now_ms));
    mark_commit(world, PL_TOPIC_EXECUTIONS, account->partition);
}

static void settle_fill(struct world *world, const struct due *due)
{
    struct account *account = &world->accounts[due->account];
    unsigned coin = (unsigned)strtoul(due->order.instrument.text + strlen("COIN"), NULL, 10);
    bool is_sell = due->order.side == PL_SIDE_SELL;
    if (due->lots == 0)
        return;
    account->lots[coin] += is_sell ? -due->lots : due->lots;
    account->cash_vu += (is_sell ? 1 : -1) * (pl_i128)due->lots * due->order.limit_mantissa;
    if (account->applied_count == APPLIED_MAX) {
        account->applied_count--;
        memmove(&account->applied[0], &account->applied[1],
                sizeof(account->applied[0]) * account->applied_count);
    }
    memcpy(account->applied[account->applied_count].order_id, due->order.order_id,
           PL_ORDER_ID_BYTES);
    account->applied[account->applied_count++].lots = due->lots;
    publish_holdings(world, account);
}

/* Report and holdings come in either order, in one step or in two. */
static void answer_orders(struct world *world)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < world->due_count; i++) {
        struct due *due = &world->due[i];
        bool is_due = due->step <= world->step;
        if (is_due && due->has_report && !chance(world, 3)) {
            report(world, due);
            due->has_report = false;
        }
        if (is_due && due->has_holdings && world->step >= world->stale_until && !chance(world, 3)) {
            settle_fill(world, due);
            due->has_holdings = false;
        }
        if (due->has_report || due->has_holdings)
            world->due[kept++] = *due;
    }
    world->due_count = kept;
    if (mishap(world, 40) && world->step >= world->stale_until) {
        const struct account *account =
            &world->accounts[below(world, world->opened_count)];
        publish(world, PL_TOPIC_EXECUTIONS, account->partition, text_view(account->id.text),
                text_view("no report"));
    }
}

/* ---- a worker: reading ---------------------------------------------------------------------- */

static int32_t number_of(const struct worker *worker)
{
    return worker->memory.ledger.number;
}

static struct audit_stream *input_of(const struct world *world, const struct worker *worker,
                                     unsigned input)
{
    return audit_log_stream(world->log, input_topics[input],
                            input < BROADCASTS ? 0 : number_of(worker));
}

static int64_t journaled(const struct worker *worker, unsigned input)
{
    return worker->has_entry ? journal_coordinate(&worker->last, input_topics[input])->offset : 0;
}

static void apply(const struct worker *worker, struct worker *to, unsigned input,
                  const struct pl_record *record)
{
    struct ledger *ledger = &to->memory.ledger;
    struct venue_news news;
    bool is_told;
    enum pl_err err;
    if (input < BROADCASTS) {
        err = venue_apply(&to->memory.venue, record, &news);
        is_told = number_of(worker) != BROADCAST_WRITER || record->offset < journaled(worker, input);
        ledger->decide_all |= news.kind == VENUE_CONTROL;
    } else {
        err = ledger_apply(ledger, &to->memory.venue, record);
        is_told = ledger_is_told(ledger, record, err);
    }
    if (pl_err_action(err) != PL_ACTION_REJECT)
        must(err, "apply");
    else if (!is_told)
        ledger_reject(ledger, record, err);
}

/* Up to `count` records; at the end the position passes markers too. */
static void poll(const struct world *world, struct worker *worker, unsigned input, size_t count)
{
    const struct audit_stream *stream = input_of(world, worker, input);
    for (; count > 0 && worker->at[input] < stream->count; count--) {
        const struct pl_record *record = &stream->records[worker->at[input]++];
        apply(worker, worker, input, record);
        worker->position[input] = record->offset + 1;
    }
    if (worker->at[input] == stream->count)
        worker->position[input] = stream->end;
}

static size_t place_of(const struct audit_stream *stream, int64_t offset)
{
    size_t at = 0;
    while (at < stream->count && stream->records[at].offset < offset)
        at++;
    return at;
}

/* What a new process does before it may decide. */
static void load(struct world *world, struct worker *worker, int32_t number)
{
    const struct audit_log_options *options = world->options;
    struct workspace *memory = &worker->memory;
    struct ledger *ledger = &memory->ledger;
    uint32_t accounts_max = options->account_count + 16;
    workspace_close(memory);
    must(workspace_open(memory, number, options->partition_count, accounts_max), "memory");
    ledger->touched = memory->scratch;
    ledger->touched_capacity = accounts_max;
    ledger->executions = worker->executions;
    ledger->execution_capacity = sizeof(worker->executions) / sizeof(worker->executions[0]);
    if (!worker->screen_marks)
        worker->screen_marks = allocate(accounts_max, 1);
    memset(worker->at, 0, sizeof(worker->at));
    worker->readiness = PL_READINESS_LOADING;
    const struct audit_stream *states = audit_log_stream(world->log, PL_TOPIC_ACCOUNTS, number);
    for (size_t i = 0; i < states->count; i++)
        must(ledger_apply(ledger, &memory->venue, &states->records[i]), "state");
    const struct audit_stream *marks = input_of(world, worker, MARKS);
    while (worker->at[MARKS] < marks->count &&
           marks->records[worker->at[MARKS]].timestamp_ms < world->now_ms - MARK_AGE_MS_MAX)
        worker->at[MARKS]++;
    worker->marks_first_offset = worker->at[MARKS] < marks->count
                                     ? marks->records[worker->at[MARKS]].offset
                                     : marks->end;
    ledger->news_from = journaled(worker, HOLDINGS);
    poll(world, worker, HOLDINGS, place_of(input_of(world, worker, HOLDINGS), ledger->news_from));
    worker->position[HOLDINGS] = ledger->news_from;
    worker->position[EXECUTIONS] = journaled(worker, EXECUTIONS);
    worker->at[EXECUTIONS] =
        place_of(input_of(world, worker, EXECUTIONS), worker->position[EXECUTIONS]);
    for (unsigned i = 0; i < BROADCASTS; i++)
        poll(world, worker, i, SIZE_MAX);
    ledger->decide_all = true;
    worker->restarts++;
}

static void poll_all(struct world *world, struct worker *worker)
{
    bool is_calm = world->options->is_calm;
    for (unsigned i = 0; i < BROADCASTS; i++)
        poll(world, worker, i, SIZE_MAX);
    poll(world, worker, HOLDINGS, is_calm || chance(world, 3) ? SIZE_MAX : below(world, POLL_MAX));
    if (worker->readiness == PL_READINESS_DECIDING) /* else they are paused */
        poll(world, worker, EXECUTIONS, below(world, POLL_MAX));
}

/* ---- a worker: deciding and publishing ------------------------------------------------------ */

static void decide(struct worker *worker, const struct writer *writer)
{
    struct workspace *memory = &worker->memory;
    struct ledger *ledger = &memory->ledger;
    struct pl_market *market = memory->venue.market;
    ledger->decide_all |= market->parameters_changed;
    ledger->changed_mask |= market->changed_mask;
    market->changed_mask = ledger->decide_all ? UINT64_MAX : ledger->changed_mask;
    uint32_t count = pl_screen(market, ledger->book, ledger->touched, ledger->touched_count,
                               memory->rows, worker->screen_marks);
    must(ledger_decide(ledger, &memory->venue, memory->rows, count, writer, &memory->staging, NULL,
                       NULL), "decide");
}

static void build_vector(const struct world *world, const struct worker *worker,
                         struct pl_journal *entry)
{
    struct pl_inputs_digest digest;
    must(pl_inputs_digest_begin(&digest), "digest");
    for (unsigned i = 0; i < INPUTS; i++) {
        const struct audit_stream *stream = input_of(world, worker, i);
        int64_t first = journaled(worker, i);
        if (i == MARKS && worker->marks_first_offset > first)
            first = worker->marks_first_offset;
        bool is_held = i == EXECUTIONS && entry->readiness != PL_READINESS_DECIDING;
        struct pl_coordinate *coordinate = &entry->vector[entry->vector_count++];
        *coordinate = (struct pl_coordinate){
            .topic = input_topics[i], .partition = stream->partition, .first_offset = first,
            .offset = is_held ? first : worker->position[i] };
        pl_inputs_digest_reset(&digest);
        for (size_t j = place_of(stream, first);
             j < stream->count && stream->records[j].offset < coordinate->offset; j++) {
            const struct pl_record *record = &stream->records[j];
            uint8_t hash[PL_HASH_BYTES];
            pl_wire_input_hash(record->offset, record->key, record->value, hash);
            pl_inputs_digest_add(&digest, hash);
        }
        pl_inputs_digest_read(&digest, coordinate->digest);
    }
    pl_inputs_digest_end(&digest);
}

static void digest_outputs(const struct staging *staging, struct pl_journal *entry)
{
    struct pl_outputs_digest digest;
    must(pl_outputs_digest_begin(&digest), "digest");
    for (uint32_t i = 0; i < staging->output_count; i++)
        pl_outputs_digest_add(&digest, staging->outputs[i].topic, staging->outputs[i].key,
                              staging->outputs[i].value);
    pl_outputs_digest_end(&digest, entry->outputs_digest);
    entry->output_count = staging->output_count;
}

static void publish_entry(struct world *world, struct worker *worker, struct pl_journal *entry)
{
    char key[16];
    uint8_t signature[PL_SIGNATURE_BYTES];
    struct pl_record record = { .topic = PL_TOPIC_JOURNAL, .partition = number_of(worker) };
    snprintf(key, sizeof(key), "%d", (int)number_of(worker));
    record.key = text_view(key);
    must(pl_wire_journal_encode(worker->memory.venue.wire, entry, &record.value), "entry");
    if (world->options->key) {
        must(pl_key_sign(world->options->key, record.value, signature), "signature");
        record.headers[record.header_count++] =
            (struct pl_header){ PL_SIGNATURE_HEADER, { signature, sizeof(signature) } };
    }
    pl_wire_hash(record.value, worker->last_hash);
    append(world, record);
    mark_commit(world, PL_TOPIC_JOURNAL, number_of(worker));
}

static void publish_outputs(struct world *world, const struct worker *worker)
{
    const struct staging *staging = &worker->memory.staging;
    for (uint32_t i = 0; i < staging->output_count; i++) {
        const struct output *output = &staging->outputs[i];
        struct pl_record record = { .topic = output->topic, .partition = output->partition,
                                    .key = output->key, .value = output->value };
        record.header_count =
            output->header_count < PL_HEADERS_MAX ? output->header_count : PL_HEADERS_MAX;
        memcpy(record.headers, output->headers, record.header_count * sizeof(record.headers[0]));
        if (output->topic == PL_TOPIC_DEADLETTER)
            record.partition = output->key.data
                                   ? pl_key_partition(output->key.data, output->key.size_bytes,
                                                      world->options->partition_count)
                                   : (int32_t)below(world, (uint64_t)world->options->partition_count);
        append(world, record);
        if (output->topic == PL_TOPIC_ORDERS)
            take_order(world, output);
    }
    static const enum pl_topic written[] = { PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS };
    for (unsigned i = 0; staging->output_count > 0 && i < 3; i++)
        mark_commit(world, written[i], number_of(worker));
}

/* The transaction of a step, which succeeds. */
static void commit(struct world *world, struct worker *worker, enum pl_readiness readiness,
                   const struct writer *writer)
{
    struct workspace *memory = &worker->memory;
    struct pl_journal entry = {
        .partition = number_of(worker), .partition_count = world->options->partition_count,
        .sequence = writer->sequence, .readiness = readiness,
        .kind = readiness != worker->readiness        ? PL_JOURNAL_READINESS
                : memory->staging.output_count > 0 ? PL_JOURNAL_STEP
                                                   : PL_JOURNAL_HEARTBEAT,
        .clock_ms = world->now_ms, .parameter_epoch = memory->venue.parameters->epoch,
        .control_epoch = memory->venue.control_epoch,
        .book_digest = pl_book_digest(memory->ledger.book),
        .settled_digest = ledger_settled_digest(&memory->ledger, memory->staging.states,
                                                memory->staging.state_count),
        .marks_first_offset = worker->marks_first_offset };
    snprintf(entry.slot, sizeof(entry.slot), "%s", writer->slot);
    snprintf(entry.build, sizeof(entry.build), "%s", writer->build);
    if (worker->has_entry)
        memcpy(entry.previous_hash, worker->last_hash, PL_HASH_BYTES);
    build_vector(world, worker, &entry);
    digest_outputs(&memory->staging, &entry);
    publish_outputs(world, worker);
    publish_entry(world, worker, &entry);
    must(ledger_settle(&memory->ledger, memory->staging.states, memory->staging.state_count),
         "settle");
    worker->last = entry;
    worker->has_entry = true;
    worker->readiness = readiness;
    worker->quiet_steps = 0;
    ledger_forget_dead(&memory->ledger, readiness == PL_READINESS_DECIDING);
}

/* The self-audit finds something that is not there, now and then. */
static enum pl_readiness readiness_of(struct world *world, const struct worker *worker)
{
    const struct venue *venue = &worker->memory.venue;
    bool stays = worker->has_entry && worker->last.readiness == PL_READINESS_DIVERGED &&
                 venue->control_epoch <= worker->last.control_epoch;
    if (stays || mishap(world, 100))
        return PL_READINESS_DIVERGED;
    return ledger_readiness(&worker->memory.ledger, venue, world->now_ms);
}

static void step_worker(struct world *world, struct worker *worker)
{
    static const char *topic_names[PL_TOPIC_COUNT];
    struct workspace *memory = &worker->memory;
    char slot[32];
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        topic_names[topic] = pl_topic_default_name((enum pl_topic)topic);
    if (mishap(world, 30))
        load(world, worker, number_of(worker));
    snprintf(slot, sizeof(slot), "worker-%u", worker->restarts % 3);
    workspace_begin_step(memory);
    poll_all(world, worker);
    const struct writer writer = { .slot = slot, .build = "test", .topic_names = topic_names,
                                   .sequence = worker->has_entry ? worker->last.sequence + 1 : 1 };
    venue_update(&memory->venue, world->now_ms);
    enum pl_readiness readiness = readiness_of(world, worker);
    if (readiness == PL_READINESS_DECIDING)
        decide(worker, &writer);
    else
        memory->ledger.decide_all = true;
    must(ledger_stage_dead_letters(&memory->ledger, &memory->venue,
                                   readiness == PL_READINESS_DECIDING, &writer, &memory->staging),
         "dead letters");
    if (memory->staging.output_count > 0 || readiness != worker->readiness ||
        ++worker->quiet_steps >= world->options->heartbeat_steps)
        commit(world, worker, readiness, &writer);
    if (readiness == PL_READINESS_DECIDING)
        ledger_forget_causes(&memory->ledger);
}

/* ---- all together --------------------------------------------------------------------------- */

static void begin_world(struct world *world)
{
    const struct audit_log_options *options = world->options;
    world->now_ms = START_MS;
    world->accounts = allocate(options->account_count, sizeof(*world->accounts));
    world->due = allocate(DUE_MAX, sizeof(*world->due));
    world->workers = allocate((size_t)options->partition_count, sizeof(*world->workers));
    must(pl_memory_map(WIRE_BYTES, &world->wire_block), "memory");
    pl_wire_init(&world->wire, world->wire_block, WIRE_BYTES);
    publish_parameters(world);
    for (unsigned i = 0; i < options->coin_count; i++) {
        world->price[i] = 1000000 + (int64_t)below(world, 1000000); /* 100 to 200 USD */
        publish_mark(world, i, PL_MARK_LIVE);
    }
    /* Some come later. */
    unsigned late = options->is_calm || options->is_quiet ? 0 : options->account_count / 3;
    while (world->opened_count < options->account_count - late)
        open_account(world, world->opened_count++);
    publish_watermarks(world);
    for (int32_t i = 0; i < options->partition_count; i++)
        load(world, &world->workers[i], i);
}

static void end_world(struct world *world)
{
    for (int32_t i = 0; i < world->options->partition_count; i++) {
        workspace_close(&world->workers[i].memory);
        free(world->workers[i].screen_marks);
    }
    pl_memory_unmap(world->wire_block, WIRE_BYTES);
    free(world->workers);
    free(world->accounts);
    free(world->due);
}

void audit_log_build(struct audit_log *log, const struct audit_log_options *options)
{
    struct world world = { .log = log, .options = options, .random = { options->seed } };
    if (options->coin_count > COINS_MAX || options->partition_count < 1)
        abort();
    open_streams(log, options->partition_count);
    begin_world(&world);
    for (world.step = 1; world.step <= options->step_count; world.step++) {
        world.now_ms += options->step_ms;
        disturb_broadcasts(&world);
        move_prices(&world);
        disturb_holdings(&world);
        answer_orders(&world);
        publish_watermarks(&world);
        for (int32_t i = 0; i < options->partition_count; i++)
            step_worker(&world, &world.workers[i]);
    }
    end_world(&world);
}
