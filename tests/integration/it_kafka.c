/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership and reading on a real Kafka: who owns a partition, and which records come from where.
 * One process plays all parts:
 *
 *   member a, member b ── group ──┐
 *   reader ◄── topics ◄── admin ──┤ Kafka at PLIMSOLL_TEST_KAFKA
 *
 * Each test makes its own topics and group; nothing is deleted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/kafka/settings.h"
#include "lib/kafka/txn.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_world.h"

/* ---- members --------------------------------------------------------------------------------- */

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
    serve_until_joined(&a, &b, &b);
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
        pause_ms(100);
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

static void seed_random(void)
{
    const char *text_of_seed = getenv("PLIMSOLL_SEED");
    unsigned seed = text_of_seed != NULL ? (unsigned)strtoul(text_of_seed, NULL, 10)
                                         : (unsigned)time(NULL);

    printf("seed=%u\n", seed);
    srand(seed);
}

static void fill_holdings(struct world *world, int32_t partitions, int32_t records)
{
    struct pl_producer *producer;

    make_topic(world, PL_TOPIC_HOLDINGS, partitions);
    assert_ok(pl_producer_open(&producer, &world->settings));
    for (int32_t i = 0; i < partitions * records; i++)
        assert_ok(pl_producer_send(producer, PL_TOPIC_HOLDINGS, i % partitions, text("k"),
                                   text("v"), NULL, 0));
    assert_ok(pl_producer_flush(producer, WAIT_MS));
    pl_producer_close(&producer);
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
    unsigned delivered = 0;

    seed_random();
    fill_holdings(world, PARTITIONS, RECORDS);

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

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        world_test(test_cooperative_members),
        world_test(test_eager_members),
        world_test(test_a_spare_has_joined),
        world_test(test_a_standstill_loses_ownership),
        world_test(test_a_group_fetches_nothing),
        world_test(test_a_record_arrives_whole),
        world_test(test_only_what_is_asked_for_is_delivered),
        world_test(test_offsets_outside_the_log_are_fatal),
        world_test(test_questions_about_a_topic),
        world_test(test_the_largest_values_pass),
        world_test(test_partitioners_agree),
    };

    kafka_admin_brokers();
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
