/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and outputs of each service (see nth_scene.h). */
#include "tests/chaos/nth_scene.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/lenders.h"

/* The coin's price at first, and when it has fallen. */
enum { BEFORE_USD = 4000, AFTER_USD = 2000 };

/*
 * Owes dollars against ten coins. Healthy at 4000; at 2000 the alert tier is below 0 from a debt of
 * 13000 on, the initial tier from 14000, the end tier from 15000 and maintenance from 16000. The
 * last one borrows when the price has fallen already.
 */
static const struct debtor {
    const char *name;
    int64_t debt_usd, later_debt_usd; /* later: 0 for no change */
    unsigned alerts;                  /* and states             */
} debtors[] = {
    { "calm", 12500, 0, 0 },      { "restricted", 14500, 0, 1 }, { "sold-1", 17000, 0, 1 },
    { "sold-2", 18000, 0, 1 },    { "sold-later", 10000, 18500, 1 },
};
enum { DEBTORS = sizeof(debtors) / sizeof(debtors[0]), SOLD_FIRST = 2, SOLD = 3 };

/* ---- common ---------------------------------------------------------------------------------- */

const char *topic_of(const struct world *world, enum pl_topic topic, char name[256])
{
    const struct scene *scene = &nth_scenes[world->service];

    for (unsigned i = 0; i < scene->topic_count; i++) {
        if (scene->topics[i] == topic) {
            snprintf(name, 256, "%s.%s.v1", world->name, pl_topic_word(topic));
            return name;
        }
    }
    return pipeline_topic(world->pipeline, topic, name);
}

static struct pl_bytes_view view(const char *text)
{
    return (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) };
}

static void put(struct world *world, enum pl_topic topic, const char *key,
                struct pl_bytes_view value)
{
    char name[256];

    kafka_admin_produce(topic_of(world, topic, name), 0, view(key), value, NULL, 0, 0);
    pl_wire_reset(world->pipeline->wire);
}

static void must(enum pl_err err)
{
    if (!err)
        return;
    fprintf(stderr, "nth: %s\n", pl_err_text());
    abort();
}

static void set_id(struct pl_id *id, const char *text)
{
    must(pl_id_set(id, (const uint8_t *)text, strlen(text)));
}

void nth_share(struct pipeline *pipeline)
{
    char name[256];
    struct pl_record *rows = NULL;
    struct pl_bytes_view effective;

    lenders_parameters(pipeline, 1);
    size_t count =
        kafka_admin_read(pipeline_topic(pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    must(pl_wire_parameters_effective(pipeline->wire, rows[count - 1].value, NULL, NULL,
                                      &effective));
    kafka_admin_produce(name, 0, view("effective"), effective, NULL, 0, 0);
    kafka_admin_free(rows, count);
    pl_wire_reset(pipeline->wire);
}

/* What nobody can read is told of once. */
static void put_damaged(struct world *world, enum pl_topic topic)
{
    put(world, topic, "nobody", view("\xff no record"));
}

static size_t count_of(const struct world *world, enum pl_topic topic)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(topic_of(world, topic, name), true, &rows), counted = 0;

    for (size_t i = 0; i < count; i++)
        counted += !pl_wire_is_watermark(rows[i].key);
    kafka_admin_free(rows, count);
    return counted;
}

struct rows {
    struct pl_record *at;
    size_t count;
};

static struct rows read_rows(struct world *world, enum pl_topic topic)
{
    struct rows rows = { 0 };
    char name[256];

    rows.count = kafka_admin_read(topic_of(world, topic, name), true, &rows.at);
    for (size_t i = 0; i < rows.count; i++) {
        check_secrets(world, name, rows.at[i].key.data, rows.at[i].key.size_bytes);
        check_secrets(world, name, rows.at[i].value.data, rows.at[i].value.size_bytes);
        for (unsigned k = 0; k < rows.at[i].header_count; k++)
            check_secrets(world, name, rows.at[i].headers[k].value.data,
                          rows.at[i].headers[k].value.size_bytes);
    }
    return rows;
}

static bool is_of(const struct pl_record *row, const char *account)
{
    return row->key.size_bytes == strlen(account) &&
           memcmp(row->key.data, account, row->key.size_bytes) == 0;
}

static unsigned rows_of(const struct rows *rows, const char *account)
{
    unsigned count = 0;
    for (size_t i = 0; i < rows->count; i++)
        count += is_of(&rows->at[i], account);
    return count;
}

/* Every expected record of the account once; the number of all records is checked by the caller. */
static void check_count(struct world *world, const struct rows *rows, const char *what,
                        const char *account, unsigned expected)
{
    unsigned count = rows_of(rows, account);
    if (count != expected)
        complain(world, "%u %s of %s instead of %u", count, what, account, expected);
}

static size_t check_dead_letters(struct world *world)
{
    struct rows rows = read_rows(world, PL_TOPIC_DEADLETTER);
    size_t count = rows.count;

    if (count != 1)
        complain(world, "%zu dead letters instead of one", count);
    kafka_admin_free(rows.at, rows.count);
    return count;
}

/* ---- liquidation ----------------------------------------------------------------------------- */

static const enum pl_topic liquidation_topics[] = {
    PL_TOPIC_MARKS, PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS, PL_TOPIC_ORDERS, PL_TOPIC_ALERTS,
    PL_TOPIC_ACCOUNTS, PL_TOPIC_JOURNAL, PL_TOPIC_DEADLETTER };

static void put_mark(struct world *world, const char *instrument, int64_t usd, uint64_t number)
{
    const int64_t ticks = usd * 10000;
    const struct pl_mark mark = { .status = PL_MARK_LIVE, .source_offset = number, .tick = 1,
                                  .mantissa = ticks, .low_mantissa = ticks, .high_mantissa = ticks,
                                  .exponent = -LENDERS_PRICE_DECIMALS,
                                  .event_time_ms = pl_now_ms(), .source_count = 3 };
    struct pl_bytes_view value;
    struct pl_id id;

    set_id(&id, instrument);
    must(pl_wire_mark_encode(world->pipeline->wire, &id, &mark, &value));
    put(world, PL_TOPIC_MARKS, instrument, value);
}

static void set_leg(struct pl_record_leg *leg, const char *instrument, int64_t units)
{
    set_id(&leg->instrument, instrument);
    leg->quantity = (struct pl_amount){ .mantissa = units };
    leg->has_lots = true;
    leg->lot_decimals = 8;
    leg->lots = leg->settled_lots = units * 100000000;
}

static void put_holdings(struct world *world, const char *account, int64_t debt_usd,
                         uint64_t version)
{
    static struct pl_record_holdings record;
    struct pl_bytes_view value;

    memset(&record, 0, sizeof(record));
    set_id(&record.account, account);
    record.version = version;
    record.written_ms = pl_now_ms();
    record.source_count = 1;
    set_id(&record.sources[0].id, "venue");
    record.sources[0].sequence = version;
    record.sources[0].event_time_ms = pl_now_ms();
    record.leg_count = 2;
    set_leg(&record.legs[0], "COIN0", LENDERS_COIN_UNITS);
    set_leg(&record.legs[1], "USD-T", -debt_usd);
    must(pl_wire_record_encode(world->pipeline->wire, &record, &value));
    put(world, PL_TOPIC_HOLDINGS, account, value);
}

/* "Everything is in": without it nobody is sold. It must be young, so it is said again while
 * waiting. */
static void put_watermark(struct world *world)
{
    const struct pl_watermark watermark = { .positions_offset = 100, .time_ms = pl_now_ms() };
    struct pl_bytes_view value;

    must(pl_wire_watermark_encode(world->pipeline->wire, &watermark, &value));
    put(world, PL_TOPIC_HOLDINGS, PL_WATERMARK_KEY, value);
}

static void feed_liquidation(struct world *world, unsigned round)
{
    for (unsigned i = 0; round != 1 && i < DEBTORS; i++) {
        if (round == 0)
            put_holdings(world, debtors[i].name, debtors[i].debt_usd, 1);
        else if (debtors[i].later_debt_usd > 0)
            put_holdings(world, debtors[i].name, debtors[i].later_debt_usd, 2);
    }
    if (round == 0) {
        put_mark(world, "USD-T", 1, 1);
        put_mark(world, "COIN0", BEFORE_USD, 2);
    }
    if (round == 1) {
        put_mark(world, "COIN0", AFTER_USD, 3);
        put_damaged(world, PL_TOPIC_EXECUTIONS);
    }
    put_watermark(world);
}

static bool liquidation_is_answered(struct world *world, unsigned round)
{
    return count_of(world, PL_TOPIC_ORDERS) >= (round == 1 ? SOLD_FIRST : SOLD) &&
           (round > 1 || count_of(world, PL_TOPIC_DEADLETTER) > 0);
}

static size_t check_orders(struct world *world)
{
    struct rows rows = read_rows(world, PL_TOPIC_ORDERS);
    struct pl_order order;

    for (unsigned i = 0; i < DEBTORS; i++) {
        int64_t debt = debtors[i].later_debt_usd ? debtors[i].later_debt_usd : debtors[i].debt_usd;
        check_count(world, &rows, "orders", debtors[i].name,
                    lenders_expected_lots(AFTER_USD, debt) > 0);
        for (size_t k = 0; k < rows.count; k++) {
            if (!is_of(&rows.at[k], debtors[i].name))
                continue;
            must(pl_wire_order_decode(world->pipeline->wire, rows.at[k].key, rows.at[k].value,
                                      &order));
            if (order.lots != lenders_expected_lots(AFTER_USD, debt) ||
                order.side != PL_SIDE_SELL || strcmp(order.instrument.text, "COIN0") != 0)
                complain(world, "order of %s: %lld lots of %s", debtors[i].name,
                         (long long)order.lots, order.instrument.text);
        }
    }
    if (rows.count != SOLD)
        complain(world, "%zu orders instead of %d", rows.count, SOLD);
    kafka_admin_free(rows.at, rows.count);
    return rows.count;
}

/* Alerts and states: one each for who was touched. */
static size_t check_told(struct world *world, enum pl_topic topic)
{
    static struct pl_names names;
    static struct pl_account_state state;
    struct rows rows = read_rows(world, topic);
    unsigned expected = 0;

    for (unsigned i = 0; i < DEBTORS; i++) {
        check_count(world, &rows, pl_topic_word(topic), debtors[i].name, debtors[i].alerts);
        expected += debtors[i].alerts;
    }
    if (rows.count != expected)
        complain(world, "%zu %s instead of %u", rows.count, pl_topic_word(topic), expected);
    pl_names_init(&names);
    for (size_t i = 0; topic == PL_TOPIC_ACCOUNTS && i < rows.count; i++) {
        must(pl_wire_state_decode(world->pipeline->wire, &names, rows.at[i].key, rows.at[i].value,
                                  &state));
        bool is_sold = !is_of(&rows.at[i], "restricted");
        if (state.state != (is_sold ? PL_STATE_LIQUIDATING : PL_STATE_RESTRICTED) ||
            state.pending_count != is_sold || state.episode != is_sold)
            complain(world, "state %d of %.*s with %u pending", (int)state.state,
                     (int)rows.at[i].key.size_bytes, (const char *)rows.at[i].key.data,
                     state.pending_count);
    }
    kafka_admin_free(rows.at, rows.count);
    return rows.count;
}

static void check_committed(struct world *world, const struct pl_journal *last)
{
    char name[256];

    for (uint32_t i = 0; i < last->vector_count; i++) {
        enum pl_topic topic = last->vector[i].topic;
        if (topic != PL_TOPIC_HOLDINGS && topic != PL_TOPIC_EXECUTIONS)
            continue;
        int64_t committed = kafka_admin_committed(world->group, topic_of(world, topic, name), 0);
        if (committed != last->vector[i].offset)
            complain(world, "%s: the journal is at %lld, the group at %lld", pl_topic_word(topic),
                     (long long)last->vector[i].offset, (long long)committed);
    }
}

/* The chain holds, nothing is missing, and it accounts for as many outputs as there are. */
static void check_journal(struct world *world, size_t output_count)
{
    static struct pl_journal entry;
    struct rows rows = read_rows(world, PL_TOPIC_JOURNAL);
    uint8_t hash[PL_HASH_BYTES] = { 0 };
    size_t accounted = 0;

    for (size_t i = 0; i < rows.count; i++) {
        must(pl_wire_journal_decode(world->pipeline->wire, rows.at[i].value, &entry));
        if (entry.sequence != i + 1)
            complain(world, "journal record %zu has sequence %llu", i + 1,
                     (unsigned long long)entry.sequence);
        if (memcmp(entry.previous_hash, hash, sizeof(hash)) != 0)
            complain(world, "the journal's chain breaks at %zu", i + 1);
        pl_wire_hash(rows.at[i].value, hash);
        accounted += entry.output_count;
    }
    if (accounted != output_count)
        complain(world, "the journal accounts for %zu outputs of %zu", accounted, output_count);
    if (rows.count == 0)
        complain(world, "there is no journal");
    else
        check_committed(world, &entry);
    kafka_admin_free(rows.at, rows.count);
}

/* A look-up may be missing, but what is there is of the account that it is under (T25). */
static void check_redis(struct world *world)
{
    const char *redis = getenv("PLIMSOLL_TEST_REDIS");
    char host[128], key[256];

    if (!redis)
        return;
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(redis, ":"), redis);
    redisContext *context = redisConnect(host, atoi(strchr(redis, ':') + 1));
    for (unsigned i = 0; context && !context->err && i < DEBTORS; i++) {
        snprintf(key, sizeof(key), "%s:exposure:%s", world->group, debtors[i].name);
        redisReply *reply = redisCommand(context, "HGET %s account", key);
        if (reply && reply->type == REDIS_REPLY_STRING &&
            strcmp(reply->str, debtors[i].name) != 0)
            complain(world, "%s holds %s", key, reply->str);
        if (reply)
            freeReplyObject(reply);
        reply = redisCommand(context, "DEL %s", key);
        if (reply)
            freeReplyObject(reply);
    }
    if (context)
        redisFree(context);
}

static void check_liquidation(struct world *world)
{
    size_t outputs = check_orders(world) + check_told(world, PL_TOPIC_ALERTS) +
                     check_told(world, PL_TOPIC_ACCOUNTS) + check_dead_letters(world);
    check_journal(world, outputs);
    check_redis(world);
}

/* ---- position -------------------------------------------------------------------------------- */

static const enum pl_topic position_topics[] = { PL_TOPIC_POSITIONS, PL_TOPIC_HOLDINGS,
                                                 PL_TOPIC_DEADLETTER };

static void put_position(struct world *world, const char *account, bool is_snapshot,
                         int64_t debt_usd, unsigned sequence)
{
    uint8_t *value = NULL;
    size_t size = 0;
    char units[16], dollars[32];

    snprintf(units, sizeof(units), "%d", is_snapshot ? LENDERS_COIN_UNITS : 0);
    snprintf(dollars, sizeof(dollars), "%lld", (long long)-debt_usd);
    json_t *json = json_pack(
        "{s:s,s:s,s:i,s:i,s:s,s:I,s:[{s:s,s:{s:s,s:i}},{s:s,s:{s:s,s:i}}]}", "account", account,
        "source", "venue", "sequence", sequence, "previous_sequence", sequence - 1, "kind",
        is_snapshot ? "KIND_SNAPSHOT" : "KIND_DELTA", "event_time_ms", (json_int_t)pl_now_ms(),
        "legs", "instrument", "COIN0", "quantity", "mantissa", units, "exponent", 0, "instrument",
        "USD-T", "quantity", "mantissa", dollars, "exponent", 0);

    must(json ? pl_json_encode(PL_TOPIC_POSITIONS, json, &value, &size) : PL_FATAL_SYSTEM);
    json_decref(json);
    put(world, PL_TOPIC_POSITIONS, account, (struct pl_bytes_view){ value, size });
    free(value);
}

static void feed_position(struct world *world, unsigned round)
{
    for (unsigned i = 0; i < DEBTORS; i++) {
        int64_t more_usd = debtors[i].later_debt_usd - debtors[i].debt_usd;
        if (round == i % 2)
            put_position(world, debtors[i].name, true, debtors[i].debt_usd, 1);
        if (round == 2 && debtors[i].later_debt_usd > 0)
            put_position(world, debtors[i].name, false, more_usd, 2);
    }
    if (round == 1)
        put_damaged(world, PL_TOPIC_POSITIONS);
}

static bool position_is_answered(struct world *world, unsigned round)
{
    return count_of(world, PL_TOPIC_HOLDINGS) >= (round == 1 ? DEBTORS : DEBTORS + 1) &&
           (round > 1 || count_of(world, PL_TOPIC_DEADLETTER) > 0);
}

/* Versions count from 1 without gap; the last one holds what the events add up to. */
static void check_position(struct world *world)
{
    static struct pl_record_holdings record;
    struct rows rows = read_rows(world, PL_TOPIC_HOLDINGS);
    char name[256];

    check_dead_letters(world);
    for (unsigned i = 0; i < DEBTORS; i++) {
        unsigned versions = debtors[i].later_debt_usd ? 2 : 1, at = 0;
        int64_t debt = 0;
        check_count(world, &rows, "holdings", debtors[i].name, versions);
        for (size_t k = 0; k < rows.count; k++) {
            if (!is_of(&rows.at[k], debtors[i].name))
                continue;
            must(pl_wire_record_decode(world->pipeline->wire, rows.at[k].key, rows.at[k].value,
                                       &record));
            if (record.version != ++at || record.leg_count != 2)
                complain(world, "holdings %u of %s: version %llu, %u legs", at, debtors[i].name,
                         (unsigned long long)record.version, record.leg_count);
            debt = -record.legs[1].lots / 100000000;
        }
        int64_t expected =
            debtors[i].later_debt_usd ? debtors[i].later_debt_usd : debtors[i].debt_usd;
        if (debt != expected)
            complain(world, "%s owes %lld instead of %lld", debtors[i].name, (long long)debt,
                     (long long)expected);
    }
    kafka_admin_free(rows.at, rows.count);
    int64_t committed =
        kafka_admin_committed(world->group, topic_of(world, PL_TOPIC_POSITIONS, name), 0);
    if (committed != DEBTORS + 2)
        complain(world, "positions: %lld committed of %d", (long long)committed, DEBTORS + 2);
}

/* ---- price ----------------------------------------------------------------------------------- */

static const enum pl_topic price_topics[] = { PL_TOPIC_PRICES, PL_TOPIC_MARKS, PL_TOPIC_PARAMETERS,
                                              PL_TOPIC_DEADLETTER };
/* Of the coin after each round. */
static const int64_t prices_usd[] = { BEFORE_USD, AFTER_USD, AFTER_USD / 2 };
enum { ROUNDS = sizeof(prices_usd) / sizeof(prices_usd[0]) };

static void put_price(struct world *world, const char *instrument, const char *source, int64_t usd,
                      unsigned sequence)
{
    uint8_t *value = NULL;
    size_t size = 0;
    json_t *json = json_pack("{s:s,s:s,s:{s:I,s:i},s:I,s:i}", "instrument", instrument, "source",
                             source, "price", "mantissa", (json_int_t)usd, "exponent", 0,
                             "event_time_ms", (json_int_t)pl_now_ms(), "source_sequence",
                             (int)sequence);

    must(json ? pl_json_encode(PL_TOPIC_PRICES, json, &value, &size) : PL_FATAL_SYSTEM);
    json_decref(json);
    put(world, PL_TOPIC_PRICES, instrument, (struct pl_bytes_view){ value, size });
    free(value);
}

/* The base set, from which this service makes the one in force. */
static void copy_parameters(struct world *world)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(
        pipeline_topic(world->pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);

    put(world, PL_TOPIC_PARAMETERS, "base", rows[0].value);
    kafka_admin_free(rows, count);
}

static void feed_price(struct world *world, unsigned round)
{
    static const char *const sources[] = { "a", "b", "c" };

    for (unsigned i = 0; i < 3; i++) {
        put_price(world, "COIN0", sources[i], prices_usd[round], round + 1);
        if (round == 0)
            put_price(world, "USD-T", sources[i], 1, 1);
    }
    if (round == 0)
        copy_parameters(world);
    if (round == 1)
        put_damaged(world, PL_TOPIC_PRICES);
}

/* The newest mark of the coin. */
static bool read_mark(struct world *world, struct pl_mark *mark)
{
    static struct pl_names names;
    struct rows rows = read_rows(world, PL_TOPIC_MARKS);
    struct pl_mark next = { 0 };
    uint32_t instrument = 0;

    *mark = next;
    pl_names_init(&names);
    for (size_t i = 0; i < rows.count; i++) {
        must(pl_wire_mark_decode(world->pipeline->wire, &names, rows.at[i].key, rows.at[i].value,
                                 &instrument, &next));
        bool is_known = false;
        for (unsigned k = 0; k < ROUNDS; k++)
            is_known |= next.mantissa == prices_usd[k] * 10000;
        if (!is_of(&rows.at[i], "COIN0"))
            continue;
        if (!is_known)
            complain(world, "a mark of %lld ticks", (long long)next.mantissa);
        if (pl_mark_is_newer(&next, mark))
            *mark = next;
    }
    kafka_admin_free(rows.at, rows.count);
    return mark->status == PL_MARK_LIVE;
}

static bool price_is_answered(struct world *world, unsigned round)
{
    struct pl_mark mark;

    return read_mark(world, &mark) && mark.mantissa == prices_usd[round] * 10000 &&
           (round != 1 || count_of(world, PL_TOPIC_DEADLETTER) > 0);
}

/* Without transactions a restart may say again what it cannot read; it may not leave it out. */
static void check_price(struct world *world)
{
    struct rows rows = read_rows(world, PL_TOPIC_DEADLETTER);
    struct pl_mark mark;

    if (rows.count < 1 || rows.count > 1u + (unsigned)world->restarts ||
        rows_of(&rows, "nobody") != rows.count)
        complain(world, "%zu dead letters after %d restarts", rows.count, world->restarts);
    kafka_admin_free(rows.at, rows.count);
    if (!read_mark(world, &mark) || mark.mantissa != prices_usd[ROUNDS - 1] * 10000)
        complain(world, "the last mark is %lld ticks, status %d", (long long)mark.mantissa,
                 (int)mark.status);
}

/* ---- all ------------------------------------------------------------------------------------- */

#define TOPICS(list) list, sizeof(list) / sizeof(list[0])

const struct scene nth_scenes[NTH_SERVICES] = {
    { "liquidation", TOPICS(liquidation_topics), true, feed_liquidation, liquidation_is_answered,
      put_watermark, check_liquidation },
    { "position", TOPICS(position_topics), true, feed_position, position_is_answered, NULL,
      check_position },
    { "price", TOPICS(price_topics), false, feed_price, price_is_answered, NULL, check_price },
};
