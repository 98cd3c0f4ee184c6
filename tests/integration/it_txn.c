/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions on a real Kafka (G1): what becomes visible when, who is fenced, where a successor
 * resumes, and which errors are whose.
 *
 *   member a, member b ── group ──┐
 *   reader ◄── orders ◄── txn ────┤ Kafka at PLIMSOLL_TEST_KAFKA
 *   admin (own librdkafka handle) ┘
 *
 * Each test makes its own topics, group and slot; nothing is deleted.
 */
#include <stdio.h>
#include <string.h>

#include "lib/kafka/txn.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_world.h"

static bool equals(struct pl_bytes_view view, const char *expected)
{
    return view.size_bytes == strlen(expected) &&
           memcmp(view.data, expected, view.size_bytes) == 0;
}

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
    pause_ms(300); /* they are in the log by now */
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
            pause_ms(200);
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
    pause_ms(200);
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
    pause_ms(200);
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
    serve_until_joined(&a, &b, &b);
    assert_int_equal(pl_txn_commit(txn, at(4), 1), PL_ABORT_REBALANCE);
    assert_ok(pl_txn_abort(txn));
    assert_int_equal(count_orders(world, true), 0);
    assert_int_equal(committed_of(world), PL_OFFSET_NONE);

    /* With the new generation the same step succeeds. */
    serve_until(&a, a.owned != 0, &b, b.owned != 0);
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

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        world_test(test_outputs_and_offsets_are_one),
        world_test(test_an_abort_leaves_nothing),
        world_test(test_positions_pass_markers),
        world_test(test_a_younger_twin_fences),
        world_test(test_pending_offsets_settled_by_the_same_slot),
        world_test(test_pending_offsets_settled_by_time),
        world_test(test_a_stale_generation_aborts),
        world_test(test_what_only_an_operator_can_mend),
    };

    kafka_admin_brokers();
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
