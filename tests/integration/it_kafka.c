/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/kafka against a real Kafka (G1): who owns a partition, where it resumes, what becomes visible
 * when, and what is an error. One process plays all parts:
 *
 *   member a, member b ── group ──┐
 *   reader ◄── topics ◄── txn ────┤ Kafka at PLIMSOLL_TEST_KAFKA
 *   admin (own librdkafka handle) ┘
 *
 * Each test makes its own topics and group; nothing is deleted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/kafka/settings.h"
#include "lib/kafka/txn.h"
#include "tests/support/kafka_admin.h"

enum { WAIT_MS = 30000, TXN_TIMEOUT_MS = 10000 };

/* ---- the world ------------------------------------------------------------------------------- */

struct world {
    struct pl_kafka_settings settings;
};

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    char name[64];

    kafka_admin_unique("it", name);
    kafka_admin_settings(&world->settings, name, name);
    *state = world;
    return 0;
}

static int free_world(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        free((void *)(uintptr_t)world->settings.topic_names[i]);
    free((void *)(uintptr_t)world->settings.group_id);
    free(world);
    return 0;
}

static const char *make_topic(struct world *world, enum pl_topic topic, int partitions)
{
    kafka_admin_create(world->settings.topic_names[topic], partitions, NULL);
    return world->settings.topic_names[topic];
}

static void override(struct world *world, const char *name, const char *value)
{
    unsigned i = world->settings.override_count++;

    world->settings.overrides[i].name = name;
    world->settings.overrides[i].value = value;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct pl_bytes_view text(const char *string)
{
    return (struct pl_bytes_view){(const uint8_t *)string, strlen(string)};
}

#define assert_ok(call) \
    do { \
        enum pl_err assert_ok_err = (call); \
        if (assert_ok_err) \
            fail_msg("%s: %d %s", #call, (int)assert_ok_err, pl_err_text()); \
    } while (0)

static bool equals(struct pl_bytes_view view, const char *expected)
{
    return view.size_bytes == strlen(expected) &&
           memcmp(view.data, expected, view.size_bytes) == 0;
}

/* ---- members --------------------------------------------------------------------------------- */

struct member {
    struct pl_group *group;
    unsigned owned;    /* bit per partition, from the events alone */
    unsigned revoked_count, lost_count, assigned_count;
};

static void join(struct member *member, struct world *world)
{
    *member = (struct member){0};
    assert_ok(pl_group_open(&member->group, &world->settings, PL_TOPIC_HOLDINGS));
}

/* Polls until there is no more news; the events must be a history that makes sense. */
static void serve(struct member *member)
{
    struct pl_ownership_event events[3]; /* fewer than partitions */
    unsigned count;

    if (member->group == NULL)
        return;
    do {
        assert_ok(pl_group_poll(member->group, 20, events, 3, &count));
        for (unsigned i = 0; i < count; i++) {
            unsigned bit = 1U << events[i].partition;
            bool was_owned = (member->owned & bit) != 0;

            assert_int_equal(was_owned, events[i].kind != PL_OWNERSHIP_ASSIGNED);
            member->owned ^= bit;
            member->assigned_count += events[i].kind == PL_OWNERSHIP_ASSIGNED;
            member->revoked_count += events[i].kind == PL_OWNERSHIP_REVOKED;
            member->lost_count += events[i].kind == PL_OWNERSHIP_LOST;
        }
    } while (count == 3);
}

static unsigned bits(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

/* Serves both until they own this many; at no time may both own a partition. */
static void serve_until(struct member *a, unsigned a_count, struct member *b, unsigned b_count)
{
    int64_t deadline_ms = now_ms() + WAIT_MS;
    int calm = 0;

    while (calm < 20) { /* some polls more, to see it settle */
        serve(a);
        if (b != NULL)
            serve(b);
        if (b != NULL)
            assert_int_equal(a->owned & b->owned, 0);
        bool is_there = bits(a->owned) == a_count && (b == NULL || bits(b->owned) == b_count);
        calm = is_there ? calm + 1 : 0;
        if (now_ms() > deadline_ms)
            fail_msg("ownership did not settle: %x %x", a->owned, b != NULL ? b->owned : 0);
    }
}

static void partitions_move_between_members(struct world *world)
{
    struct member a, b;

    make_topic(world, PL_TOPIC_HOLDINGS, 4);
    join(&a, world);
    assert_false(pl_group_joined(a.group));
    serve_until(&a, 4, NULL, 0);
    assert_true(pl_group_joined(a.group));
    for (int32_t i = 0; i < 4; i++)
        assert_true(pl_group_owns(a.group, i));
    assert_false(pl_group_owns(a.group, 4));

    join(&b, world);
    serve_until(&a, 2, &b, 2);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(pl_group_owns(a.group, i), !pl_group_owns(b.group, i));
    assert_int_equal(a.lost_count + b.lost_count, 0);

    pl_group_close(&b.group);
    assert_null(b.group);
    serve_until(&a, 4, NULL, 0);
    pl_group_close(&a.group);
}

static void test_cooperative_members(void **state)
{
    partitions_move_between_members(*state);
}

static void test_eager_members(void **state)
{
    override(*state, "consumer.partition.assignment.strategy", "range");
    partitions_move_between_members(*state);
}

/* More members than partitions: the spare has joined and owns nothing, until it is needed. */
static void test_a_spare_has_joined(void **state)
{
    struct member a, b;

    make_topic(*state, PL_TOPIC_HOLDINGS, 1);
    join(&a, *state);
    serve_until(&a, 1, NULL, 0);
    join(&b, *state);
    for (int64_t end_ms = now_ms() + WAIT_MS; !pl_group_joined(b.group) && now_ms() < end_ms;) {
        serve(&a);
        serve(&b);
    }
    assert_true(pl_group_joined(b.group));
    serve_until(&a, 1, &b, 0);
    pl_group_close(&a.group);
    serve_until(&b, 1, NULL, 0);
    pl_group_close(&b.group);
}

/* A member that stands still too long loses its partitions, learns it, and comes back. */
static void test_a_standstill_loses_ownership(void **state)
{
    struct pl_txn *txn;
    struct member a;
    struct world *world = *state;

    override(world, "consumer.max.poll.interval.ms", "6000");
    make_topic(world, PL_TOPIC_HOLDINGS, 2);
    join(&a, world);
    serve_until(&a, 2, NULL, 0);
    assert_ok(pl_txn_open(&txn, &world->settings, world->settings.group_id, TXN_TIMEOUT_MS));
    for (int64_t end_ms = now_ms() + WAIT_MS; pl_group_owns(a.group, 0) && now_ms() < end_ms;)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_false(pl_group_owns(a.group, 0)); /* before any poll says so */
    /* While it is no member it cannot lend its metadata: nobody would check such a commit. */
    assert_int_equal(pl_txn_capture_group(txn, a.group), PL_ABORT_REBALANCE);
    assert_int_equal(a.lost_count, 0);
    while (a.lost_count < 2)
        serve(&a);
    serve_until(&a, 2, NULL, 0);
    assert_int_equal(a.lost_count, 2);
    assert_int_equal(a.revoked_count, 0);
    assert_ok(pl_txn_capture_group(txn, a.group));
    pl_txn_close(&txn);
    pl_group_close(&a.group);
}

static unsigned s_fetch_count; /* written by librdkafka's threads; read when they are gone */

static void count_fetches(int level, const char *facility, const char *line)
{
    (void)level;
    if (strcmp(facility, "FETCH") == 0 && strstr(line, "Fetch topic ") != NULL)
        __atomic_add_fetch(&s_fetch_count, 1, __ATOMIC_RELAXED);
}

/* Ownership costs no traffic: the group's handle never asks for a record (and so never meets an
 * offset that it would have to choose, T1). */
static void test_a_group_fetches_nothing(void **state)
{
    struct world *world = *state;
    const char *name = make_topic(world, PL_TOPIC_HOLDINGS, 2);
    struct pl_reader *reader;
    struct pl_record record;
    struct member a;
    bool found = false;

    for (int i = 0; i < 20; i++)
        kafka_admin_put(name, i % 2, "k", "v");
    override(world, "debug", "fetch");
    pl_kafka_set_log(count_fetches);
    s_fetch_count = 0;
    join(&a, world);
    serve_until(&a, 2, NULL, 0);
    for (int i = 0; i < 20; i++)
        kafka_admin_put(name, i % 2, "k", "v");
    for (int i = 0; i < 50; i++)
        serve(&a);
    pl_group_close(&a.group);
    assert_int_equal(s_fetch_count, 0);

    /* The same eyes do see a reader fetch. */
    assert_ok(pl_reader_open(&reader, &world->settings, false));
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 0));
    while (!found)
        assert_ok(pl_reader_poll(reader, 100, &record, &found));
    pl_reader_close(&reader);
    pl_kafka_set_log(NULL);
    assert_true(s_fetch_count > 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The next record; fails when none comes. */
static struct pl_record next_record(struct pl_reader *reader)
{
    struct pl_record record;
    int64_t deadline_ms = now_ms() + WAIT_MS;
    bool found = false;

    while (!found) {
        assert_ok(pl_reader_poll(reader, 100, &record, &found));
        if (now_ms() > deadline_ms)
            fail_msg("no record came");
    }
    return record;
}

/* Polls for a while and expects nothing. */
static void expect_silence(struct pl_reader *reader, int64_t span_ms)
{
    struct pl_record record;
    bool found;

    for (int64_t end_ms = now_ms() + span_ms; now_ms() < end_ms;) {
        assert_ok(pl_reader_poll(reader, 20, &record, &found));
        assert_false(found);
    }
}

static void drain_to(struct pl_reader *reader, enum pl_topic topic, int64_t position)
{
    struct pl_record record;
    int64_t deadline_ms = now_ms() + WAIT_MS;
    bool found;

    while (pl_reader_position(reader, topic, 0) < position) {
        assert_ok(pl_reader_poll(reader, 20, &record, &found));
        if (now_ms() > deadline_ms)
            fail_msg("position %lld, not %lld",
                     (long long)pl_reader_position(reader, topic, 0), (long long)position);
    }
}

/* Everything of a record arrives: none, empty and binary keys and values, headers, time. */
static void test_a_record_arrives_whole(void **state)
{
    struct world *world = *state;
    const char *name = make_topic(world, PL_TOPIC_PRICES, 1);
    static const uint8_t binary[] = {0, 255, 10, 0};
    struct pl_header headers[PL_HEADERS_MAX + 2];
    const struct pl_bytes_view none = {NULL, 0}, empty = {binary, 0}, bytes = {binary, 4};
    struct pl_reader *reader;

    for (unsigned i = 0; i < PL_HEADERS_MAX + 2; i++)
        headers[i] = (struct pl_header){i == 0 ? "first" : "same", i == 1 ? none : bytes};
    kafka_admin_produce(name, 0, bytes, bytes, headers, PL_HEADERS_MAX + 2, 1234567890123);
    kafka_admin_produce(name, 0, none, none, NULL, 0, 0);
    kafka_admin_produce(name, 0, empty, empty, NULL, 0, 0);

    assert_ok(pl_reader_open(&reader, &world->settings, false));
    assert_ok(pl_reader_add(reader, PL_TOPIC_PRICES, 0, 0));
    struct pl_record record = next_record(reader);
    assert_int_equal(record.topic, PL_TOPIC_PRICES);
    assert_int_equal(record.partition, 0);
    assert_int_equal(record.offset, 0);
    assert_int_equal(record.timestamp_ms, 1234567890123);
    assert_int_equal(record.key.size_bytes, 4);
    assert_memory_equal(record.key.data, binary, 4);
    assert_int_equal(record.value.size_bytes, 4);
    assert_memory_equal(record.value.data, binary, 4);
    assert_int_equal(record.header_count, PL_HEADERS_MAX);
    assert_string_equal(record.headers[0].name, "first");
    assert_memory_equal(record.headers[0].value.data, binary, 4);
    assert_null(record.headers[1].value.data);

    record = next_record(reader);
    assert_null(record.key.data);
    assert_null(record.value.data);
    assert_int_equal(record.header_count, 0);
    record = next_record(reader);
    assert_non_null(record.key.data);
    assert_non_null(record.value.data);
    assert_int_equal(record.key.size_bytes + record.value.size_bytes, 0);
    pl_reader_close(&reader);
}

/* Adding, removing, pausing and resuming at random, with plenty queued inside: each partition's
 * records come in order from where it was asked for, and never while they must not. */
static void test_only_what_is_asked_for_is_delivered(void **state)
{
    enum { PARTITIONS = 3, RECORDS = 2000, ROUNDS = 300 };
    struct world *world = *state;
    int64_t next[PARTITIONS] = {0};
    bool is_reading[PARTITIONS] = {false}, is_paused[PARTITIONS] = {false};
    struct pl_reader *reader;
    struct pl_producer *producer;
    unsigned delivered = 0;
    const char *seed_text = getenv("PLIMSOLL_SEED");
    unsigned seed = seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 10)
                                      : (unsigned)time(NULL);

    make_topic(world, PL_TOPIC_HOLDINGS, PARTITIONS);
    printf("seed=%u\n", seed);
    srand(seed);
    assert_ok(pl_producer_open(&producer, &world->settings));
    for (int32_t i = 0; i < PARTITIONS * RECORDS; i++)
        assert_ok(pl_producer_send(producer, PL_TOPIC_HOLDINGS, i % PARTITIONS, text("k"),
                                   text("v"), NULL, 0));
    assert_ok(pl_producer_flush(producer, WAIT_MS));
    pl_producer_close(&producer);

    assert_ok(pl_reader_open(&reader, &world->settings, false));
    /* A partition that is removed while paused is added as if it were new. */
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 0));
    assert_ok(pl_reader_pause(reader, PL_TOPIC_HOLDINGS, 0));
    assert_ok(pl_reader_remove(reader, PL_TOPIC_HOLDINGS, 0));
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 7));
    assert_int_equal(next_record(reader).offset, 7);
    assert_ok(pl_reader_remove(reader, PL_TOPIC_HOLDINGS, 0));
    for (int round = 0; round < ROUNDS; round++) {
        int32_t p = rand() % PARTITIONS;

        if (!is_reading[p]) {
            next[p] = rand() % RECORDS;
            assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, p, next[p]));
            is_reading[p] = true;
            is_paused[p] = false;
            assert_int_equal(pl_reader_position(reader, PL_TOPIC_HOLDINGS, p), next[p]);
        } else if (rand() % 2 == 0) {
            is_paused[p] = !is_paused[p];
            assert_ok((is_paused[p] ? pl_reader_pause : pl_reader_resume)(
                reader, PL_TOPIC_HOLDINGS, p));
        } else {
            assert_ok(pl_reader_remove(reader, PL_TOPIC_HOLDINGS, p));
            is_reading[p] = false;
        }
        for (int polls = rand() % 200; polls > 0; polls--) {
            struct pl_record record;
            bool found;

            assert_ok(pl_reader_poll(reader, polls % 50 == 0 ? 10 : 0, &record, &found));
            if (!found)
                continue;
            assert_true(is_reading[record.partition] && !is_paused[record.partition]);
            assert_int_equal(record.offset, next[record.partition]);
            next[record.partition]++;
            delivered++;
        }
    }
    /* In the end everything that is asked for comes. */
    for (int32_t p = 0; p < PARTITIONS; p++) {
        if (!is_reading[p])
            assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, p, next[p]));
        else
            assert_ok(pl_reader_resume(reader, PL_TOPIC_HOLDINGS, p));
    }
    while (next[0] + next[1] + next[2] < PARTITIONS * RECORDS) {
        struct pl_record record = next_record(reader);

        assert_int_equal(record.offset, next[record.partition]);
        next[record.partition]++;
        delivered++;
    }
    pl_reader_close(&reader);
    assert_true(delivered > ROUNDS);
}

/* Offsets that the log does not hold are never silently replaced (I1). */
static void test_offsets_outside_the_log_are_fatal(void **state)
{
    struct world *world = *state;
    const char *name = make_topic(world, PL_TOPIC_HOLDINGS, 2);
    static const int64_t starts[] = {3, 11};
    struct pl_record record;
    bool found;

    for (int i = 0; i < 10; i++)
        kafka_admin_put(name, 0, "k", "v");
    kafka_admin_trim(name, 0, 5);
    for (unsigned i = 0; i < 2; i++) {
        struct pl_reader *reader;
        enum pl_err err = PL_OK;

        assert_ok(pl_reader_open(&reader, &world->settings, false));
        assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 1, 0)); /* a healthy neighbour */
        assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, starts[i]));
        for (int64_t end_ms = now_ms() + WAIT_MS; !err && now_ms() < end_ms;) {
            err = pl_reader_poll(reader, 100, &record, &found);
            assert_false(found);
        }
        assert_int_equal(err, PL_FATAL_OFFSETS);
        assert_non_null(strstr(pl_err_text(), name));
        pl_reader_close(&reader);
    }
    /* The first offset that is left is fine. */
    struct pl_reader *reader;
    assert_ok(pl_reader_open(&reader, &world->settings, false));
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 5));
    assert_int_equal(next_record(reader).offset, 5);
    pl_reader_close(&reader);
}

static void test_questions_about_a_topic(void **state)
{
    struct world *world = *state;
    const char *name = make_topic(world, PL_TOPIC_MARKS, 3);
    const struct pl_bytes_view value = text("v");
    struct pl_reader *reader;
    int64_t first, end, offset;
    int32_t count;
    char setting[64];

    for (int i = 0; i < 10; i++)
        kafka_admin_produce(name, 1, value, value, NULL, 0, 1000000 + 1000 * i);
    kafka_admin_trim(name, 1, 2);
    assert_ok(pl_reader_open(&reader, &world->settings, false));
    assert_ok(pl_reader_partition_count(reader, PL_TOPIC_MARKS, WAIT_MS, &count));
    assert_int_equal(count, 3);
    assert_int_equal(pl_reader_partition_count(reader, PL_TOPIC_ALERTS, 3000, &count),
                     PL_FATAL_CONFIG);
    assert_non_null(strstr(pl_err_text(), world->settings.topic_names[PL_TOPIC_ALERTS]));

    assert_ok(pl_reader_watermarks(reader, PL_TOPIC_MARKS, 1, WAIT_MS, &first, &end));
    assert_int_equal(first, 2);
    assert_int_equal(end, 10);
    assert_ok(pl_reader_watermarks(reader, PL_TOPIC_MARKS, 0, WAIT_MS, &first, &end));
    assert_int_equal(first + end, 0);
    assert_ok(pl_reader_offset_at(reader, PL_TOPIC_MARKS, 1, 1004500, WAIT_MS, &offset));
    assert_int_equal(offset, 5);
    assert_ok(pl_reader_offset_at(reader, PL_TOPIC_MARKS, 1, 1005000, WAIT_MS, &offset));
    assert_int_equal(offset, 5);
    assert_ok(pl_reader_offset_at(reader, PL_TOPIC_MARKS, 1, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 2);
    assert_ok(pl_reader_offset_at(reader, PL_TOPIC_MARKS, 1, 2000000, WAIT_MS, &offset));
    assert_int_equal(offset, 10);

    assert_ok(pl_reader_topic_setting(reader, PL_TOPIC_MARKS, "cleanup.policy", WAIT_MS, setting));
    assert_string_equal(setting, "delete");
    assert_int_equal(pl_reader_topic_setting(reader, PL_TOPIC_MARKS, "no.such", WAIT_MS, setting),
                     PL_FATAL_CONFIG);
    assert_int_equal(pl_reader_topic_setting(reader, PL_TOPIC_ALERTS, "cleanup.policy", WAIT_MS,
                                             setting), PL_FATAL_CONFIG);
    pl_reader_close(&reader);
}

/* The largest value of the table passes, both ways. */
static void test_the_largest_values_pass(void **state)
{
    static const char *const large[] = {"max.message.bytes", "6291456", NULL};
    static const enum pl_topic topics[] = {PL_TOPIC_PARAMETERS, PL_TOPIC_DEADLETTER};
    struct world *world = *state;
    struct pl_producer *producer;
    struct pl_reader *reader;
    uint8_t *bytes = calloc(1, 5 * 1024 * 1024);

    assert_ok(pl_producer_open(&producer, &world->settings));
    assert_ok(pl_reader_open(&reader, &world->settings, false));
    for (unsigned i = 0; i < 2; i++) {
        const struct pl_bytes_view value = {bytes, pl_topic_value_bytes_max(topics[i])};

        kafka_admin_create(world->settings.topic_names[topics[i]], 1, large);
        assert_ok(pl_producer_send(producer, topics[i], 0, text("k"), value, NULL, 0));
        assert_ok(pl_producer_flush(producer, WAIT_MS));
        assert_ok(pl_reader_add(reader, topics[i], 0, 0));
        assert_int_equal(next_record(reader).value.size_bytes, value.size_bytes);
    }
    pl_reader_close(&reader);
    pl_producer_close(&producer);
    free(bytes);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static struct pl_txn *open_slot(struct world *world, int timeout_ms)
{
    struct pl_txn *txn;

    assert_ok(pl_txn_open(&txn, &world->settings, world->settings.group_id, timeout_ms));
    return txn;
}

static void put_order(struct pl_txn *txn, const char *value)
{
    assert_ok(pl_txn_produce(txn, PL_TOPIC_ORDERS, 0, text("account"), text(value), NULL, 0));
}

static const struct pl_offset *at(int64_t offset)
{
    static struct pl_offset next;

    next = (struct pl_offset){.topic = PL_TOPIC_HOLDINGS, .partition = 0, .offset = offset};
    return &next;
}

/* How many orders there are for a reader that sees committed records, or all. */
static size_t count_orders(struct world *world, bool committed)
{
    struct pl_record *rows;
    size_t count =
        kafka_admin_read(world->settings.topic_names[PL_TOPIC_ORDERS], committed, &rows);

    kafka_admin_free(rows, count);
    return count;
}

static int64_t committed_of(struct world *world)
{
    return kafka_admin_committed(world->settings.group_id,
                                 world->settings.topic_names[PL_TOPIC_HOLDINGS], 0);
}

static void make_pipeline(struct world *world, struct member *a, struct pl_txn **txn)
{
    make_topic(world, PL_TOPIC_HOLDINGS, 1);
    make_topic(world, PL_TOPIC_ORDERS, 1);
    join(a, world);
    serve_until(a, 1, NULL, 0);
    *txn = open_slot(world, TXN_TIMEOUT_MS);
}

/* G1: outputs and offsets appear together, and not before the commit. */
static void test_outputs_and_offsets_are_one(void **state)
{
    struct world *world = *state;
    struct pl_txn *txn;
    struct member a;
    int64_t offset = 0;

    make_pipeline(world, &a, &txn);
    assert_string_equal(pl_txn_id(txn), world->settings.group_id);
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, PL_OFFSET_NONE);

    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_capture_group(txn, a.group));
    put_order(txn, "one");
    put_order(txn, "two");
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* they are in the log by now */
    assert_int_equal(count_orders(world, false), 2);
    assert_int_equal(count_orders(world, true), 0);
    assert_int_equal(committed_of(world), PL_OFFSET_NONE);
    assert_ok(pl_txn_commit(txn, at(7), 1));
    assert_int_equal(count_orders(world, true), 2);
    assert_int_equal(committed_of(world), 7);
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 7);

    /* Without offsets, and with nothing at all. */
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "three");
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_int_equal(count_orders(world, true), 3);
    assert_int_equal(committed_of(world), 7);
    pl_txn_close(&txn);
    pl_group_close(&a.group);
}

/* G1, I7: what was aborted is never seen, and the next transaction is whole. */
static void test_an_abort_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct pl_txn *txn;
    struct member a;

    make_pipeline(world, &a, &txn);
    for (int round = 0; round < 3; round++) {
        assert_ok(pl_txn_begin(txn));
        assert_ok(pl_txn_capture_group(txn, a.group));
        put_order(txn, "never");
        if (round > 0) /* both with the record on its way and in the log */
            nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        assert_ok(pl_txn_abort(txn));
    }
    assert_int_equal(count_orders(world, true), 0);
    assert_int_equal(committed_of(world), PL_OFFSET_NONE);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "once");
    assert_ok(pl_txn_commit(txn, at(1), 1));
    assert_int_equal(count_orders(world, true), 1);
    pl_txn_close(&txn);
    pl_group_close(&a.group);
}

/* The reader's position and end across markers, aborted records and an open transaction (T8). */
static void test_positions_pass_markers(void **state)
{
    struct world *world = *state;
    struct pl_reader *committed, *all;
    struct pl_txn *txn;
    struct member a;
    int64_t first, end;

    make_pipeline(world, &a, &txn);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "0");
    assert_ok(pl_txn_commit(txn, NULL, 0)); /* 0 record, 1 marker */
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "2");
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_ok(pl_txn_abort(txn)); /* 2 record, 3 marker */

    assert_ok(pl_reader_open(&committed, &world->settings, false));
    assert_ok(pl_reader_open(&all, &world->settings, true));
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), -1);
    assert_ok(pl_reader_add(committed, PL_TOPIC_ORDERS, 0, 0));
    assert_ok(pl_reader_add(all, PL_TOPIC_ORDERS, 0, 0));
    assert_true(equals(next_record(committed).value, "0"));
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 1);
    drain_to(committed, PL_TOPIC_ORDERS, 4);
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), 4);
    assert_int_equal(next_record(all).offset, 0);
    assert_int_equal(next_record(all).offset, 2);
    drain_to(all, PL_TOPIC_ORDERS, 4);

    /* An open transaction: the committed end stays before it, the other passes it. */
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "4");
    assert_int_equal(next_record(all).offset, 4);
    expect_silence(committed, 300);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 4);
    assert_ok(pl_reader_watermarks(committed, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end));
    assert_int_equal(end, 4);
    assert_ok(pl_reader_watermarks(all, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end));
    assert_int_equal(end, 5);
    assert_int_equal(pl_reader_end_cached(all, PL_TOPIC_ORDERS, 0), 5);
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), 5);
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_true(equals(next_record(committed).value, "4"));
    drain_to(committed, PL_TOPIC_ORDERS, 6);
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), 6);
    drain_to(all, PL_TOPIC_ORDERS, 6);

    /* Pausing at the end does not lose the position. */
    assert_ok(pl_reader_pause(committed, PL_TOPIC_ORDERS, 0));
    assert_ok(pl_reader_resume(committed, PL_TOPIC_ORDERS, 0));
    expect_silence(committed, 200);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 6);
    pl_reader_close(&all);
    pl_reader_close(&committed);
    pl_txn_close(&txn);
    pl_group_close(&a.group);
}

/* One slot, two processes: the older one may do nothing more (I2). */
static void test_a_younger_twin_fences(void **state)
{
    struct world *world = *state;
    struct pl_txn *older, *younger;
    struct member a;

    make_pipeline(world, &a, &older);
    assert_ok(pl_txn_begin(older));
    assert_ok(pl_txn_capture_group(older, a.group));
    put_order(older, "lost");
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    younger = open_slot(world, TXN_TIMEOUT_MS);
    assert_int_equal(pl_txn_commit(older, at(5), 1), PL_FATAL_FENCED);
    pl_txn_close(&older);
    assert_int_equal(count_orders(world, true), 0);
    assert_int_equal(committed_of(world), PL_OFFSET_NONE);

    assert_ok(pl_txn_begin(younger));
    assert_ok(pl_txn_capture_group(younger, a.group));
    put_order(younger, "kept");
    assert_ok(pl_txn_commit(younger, at(6), 1));
    assert_int_equal(count_orders(world, true), 1);
    assert_int_equal(committed_of(world), 6);
    pl_txn_close(&younger);
    pl_group_close(&a.group);
}

/* Safe assign (T1, T3): while a dead worker's transaction holds the offsets nobody is told a
 * number, and then the one from before it. */
static void pending_offsets(struct world *world, int timeout_ms, bool same_slot)
{
    const char *holdings = world->settings.topic_names[PL_TOPIC_HOLDINGS];
    struct pl_txn *txn;
    struct member a;
    int64_t offset = 0;
    enum pl_err err;

    make_pipeline(world, &a, &txn);
    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_capture_group(txn, a.group));
    assert_ok(pl_txn_commit(txn, at(3), 1));
    pl_txn_close(&txn);
    kafka_admin_leave_pending(world->settings.group_id, world->settings.group_id, holdings, 0, 9,
                              timeout_ms);

    int64_t started_ms = now_ms();
    err = pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, 1000, &offset);
    assert_int_equal(err, PL_RETRY_UNSTABLE);
    assert_int_equal(offset, 0); /* untouched */
    if (same_slot)
        txn = open_slot(world, timeout_ms);
    do {
        err = pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, 1000, &offset);
        assert_true(err == PL_OK || err == PL_RETRY_UNSTABLE);
        assert_true(now_ms() - started_ms < WAIT_MS);
    } while (err);
    printf("stable after %lld ms\n", (long long)(now_ms() - started_ms));
    assert_int_equal(offset, 3);
    if (same_slot)
        assert_true(now_ms() - started_ms < timeout_ms / 2);
    pl_txn_close(&txn);
    pl_group_close(&a.group);
}

static void test_pending_offsets_settled_by_the_same_slot(void **state)
{
    pending_offsets(*state, TXN_TIMEOUT_MS, true);
}

static void test_pending_offsets_settled_by_time(void **state)
{
    pending_offsets(*state, 2000, false);
}

/* A generation that is over commits nothing (G1): captured, then the group moved on. */
static void test_a_stale_generation_aborts(void **state)
{
    struct world *world = *state;
    struct pl_txn *txn;
    struct member a, b;

    make_pipeline(world, &a, &txn);
    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_capture_group(txn, a.group));
    put_order(txn, "stale");
    join(&b, world);
    for (int64_t end_ms = now_ms() + WAIT_MS; !pl_group_joined(b.group) && now_ms() < end_ms;) {
        serve(&a);
        serve(&b);
    }
    assert_int_equal(pl_txn_commit(txn, at(4), 1), PL_ABORT_REBALANCE);
    assert_ok(pl_txn_abort(txn));
    assert_int_equal(count_orders(world, true), 0);
    assert_int_equal(committed_of(world), PL_OFFSET_NONE);

    /* With the new generation the same step succeeds. */
    serve_until(&a, bits(a.owned), &b, bits(b.owned));
    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_capture_group(txn, a.owned ? a.group : b.group));
    put_order(txn, "fresh");
    assert_ok(pl_txn_commit(txn, at(4), 1));
    assert_int_equal(count_orders(world, true), 1);
    assert_int_equal(committed_of(world), 4);
    pl_txn_close(&txn);
    pl_group_close(&b.group);
    pl_group_close(&a.group);
}

/* A record that the broker refuses, and a topic that is not there: only an operator can help, so
 * the loop must not abort and decide for ever. */
static void test_what_only_an_operator_can_mend(void **state)
{
    static const char *const small[] = {"max.message.bytes", "1000", NULL};
    struct world *world = *state;
    struct pl_producer *producer;
    struct pl_txn *txn;
    unsigned failed = 0;
    uint8_t bytes[4000] = {0};
    const struct pl_bytes_view value = {bytes, sizeof(bytes)};
    enum pl_err err = PL_OK;

    kafka_admin_create(world->settings.topic_names[PL_TOPIC_ORDERS], 1, small);
    txn = open_slot(world, TXN_TIMEOUT_MS);
    assert_ok(pl_txn_begin(txn));
    assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ALERTS, 0, text("k"), value, NULL, 0),
                     PL_FATAL_CONFIG);
    assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ORDERS, 3, text("k"), value, NULL, 0),
                     PL_FATAL_CONFIG);
    assert_ok(pl_txn_produce(txn, PL_TOPIC_ORDERS, 0, text("k"), value, NULL, 0));
    assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_FATAL_CONFIG);
    assert_non_null(strstr(pl_err_text(), "too large"));
    pl_txn_close(&txn);

    assert_ok(pl_producer_open(&producer, &world->settings));
    assert_ok(pl_producer_send(producer, PL_TOPIC_ORDERS, 0, text("k"), value, NULL, 0));
    for (int64_t end_ms = now_ms() + WAIT_MS; failed == 0 && now_ms() < end_ms;)
        err = pl_producer_poll(producer, &failed);
    assert_int_equal(failed, 1);
    assert_int_equal(err, PL_FATAL_CONFIG);
    assert_ok(pl_producer_poll(producer, &failed));
    assert_int_equal(failed, 0);
    pl_producer_close(&producer);
}

/* T16: our hash, librdkafka's partitioner and so Java's agree on every key. */
static void test_partitioners_agree(void **state)
{
    enum { PARTITIONS = 7, KEYS = 64 };
    struct world *world = *state;
    const char *name = make_topic(world, PL_TOPIC_POSITIONS, PARTITIONS);
    struct pl_producer *producer;
    struct pl_record *rows;
    uint8_t key[KEYS + 1];

    assert_ok(pl_producer_open(&producer, &world->settings));
    for (size_t size = 1; size <= KEYS; size++) {
        const struct pl_bytes_view view = {key, size};

        for (size_t i = 0; i < size; i++)
            key[i] = (uint8_t)(i * 37 + size * 101);
        assert_ok(pl_producer_send(producer, PL_TOPIC_POSITIONS, -1, view, view, NULL, 0));
    }
    assert_ok(pl_producer_flush(producer, WAIT_MS));
    pl_producer_close(&producer);
    size_t count = kafka_admin_read(name, true, &rows);
    assert_int_equal(count, KEYS);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rows[i].partition, pl_key_partition(rows[i].key.data,
                                                             rows[i].key.size_bytes, PARTITIONS));
    kafka_admin_free(rows, count);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, make_world, free_world)

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        world_test(test_partitioners_agree),
        world_test(test_a_record_arrives_whole),
        world_test(test_only_what_is_asked_for_is_delivered),
        world_test(test_offsets_outside_the_log_are_fatal),
        world_test(test_questions_about_a_topic),
        world_test(test_the_largest_values_pass),
        world_test(test_cooperative_members),
        world_test(test_eager_members),
        world_test(test_a_spare_has_joined),
        world_test(test_a_group_fetches_nothing),
        world_test(test_outputs_and_offsets_are_one),
        world_test(test_an_abort_leaves_nothing),
        world_test(test_positions_pass_markers),
        world_test(test_a_younger_twin_fences),
        world_test(test_pending_offsets_settled_by_the_same_slot),
        world_test(test_pending_offsets_settled_by_time),
        world_test(test_a_stale_generation_aborts),
        world_test(test_what_only_an_operator_can_mend),
        world_test(test_a_standstill_loses_ownership),
    };

    kafka_admin_brokers();
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
