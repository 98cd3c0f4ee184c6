/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the modelled Kafka behave as the real one, in membership, reading and connections? Each
 * test states a behaviour that was measured on Apache Kafka (tests/integration/it_kafka.c asserts
 * most of them there), since a simulation on a kinder Kafka would prove nothing.
 */
#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "tests/chaos/sim/kafka_fixture.h"

/* ---- members --------------------------------------------------------------------------------- */

static void test_partitions_move_in_two_phases(void **state)
{
    struct member a, b;

    (void)state;
    join(&a, 1);
    assert_false(pl_group_joined(a.group));
    serve_both(&a, NULL);
    assert_true(pl_group_joined(a.group));
    assert_int_equal(a.owned, 0xf);
    join(&b, 2);
    serve_both(&a, &b);
    assert_int_equal(__builtin_popcount(a.owned), 2);
    assert_int_equal(a.owned | b.owned, 0xf);
    assert_int_equal(a.revoked, 2);
    assert_int_equal(b.assigned, 2);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(pl_group_owns(a.group, i), !pl_group_owns(b.group, i));

    /* Sticky: what a kept it keeps when b leaves, and gets the rest. */
    sim_kafka_process(2);
    pl_group_close(&b.group);
    serve_both(&a, NULL);
    assert_int_equal(a.owned, 0xf);
    assert_int_equal(a.lost, 0);
    assert_int_equal(a.revoked, 2);
}

static void test_nobody_gets_what_is_not_yet_given_up(void **state)
{
    struct member a, b;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    join(&b, 2);
    /* a lives but does not poll: its callback waits, so b joins and owns nothing. */
    for (int i = 0; i < 80; i++) {
        serve(&b);
        pass(100, 1 << 1);
    }
    assert_int_equal(b.owned, 0);
    for (int32_t i = 0; i < 4; i++)
        assert_true(pl_group_owns(a.group, i));
    serve_both(&a, &b);
    assert_int_equal(__builtin_popcount(b.owned), 2);
}

static void test_more_members_than_partitions(void **state)
{
    struct member members[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        join(&members[i], i + 1);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 5; i++)
            serve(&members[i]);
        pass(100, 0);
    }
    unsigned all = 0, spares = 0;
    for (int i = 0; i < 5; i++) {
        assert_true(pl_group_joined(members[i].group));
        all |= members[i].owned;
        spares += members[i].owned == 0;
    }
    assert_int_equal(all, 0xf);
    assert_int_equal(spares, 1);
}

/* Whoever polls when, and however often the group begins anew: nothing has two owners. */
static void test_ownership_is_never_shared(void **state)
{
    enum { MEMBERS = 3, STEPS = 6000 };
    const struct sim_kafka_faults faults = {.rebalance_permille = 300};
    struct member members[MEMBERS];
    unsigned moves = 0;

    (void)state;
    for (int i = 0; i < MEMBERS; i++)
        join(&members[i], i);
    for (int step = 0; step < STEPS; step++) {
        static const struct sim_kafka_faults healthy;
        int i = (int)test_random_below(&fixture_random, MEMBERS);
        unsigned owned = 0;

        sim_kafka_set_faults(step < STEPS - 500 ? &faults : &healthy);
        if (step < STEPS - 500 && test_random_below(&fixture_random, 10) == 0) {
            sim_kafka_process(i);
            moves += members[i].assigned;
            pl_group_close(&members[i].group);
            join(&members[i], i);
        }
        serve(&members[i]);
        pass((int64_t)test_random_below(&fixture_random, 200), (1 << MEMBERS) - 1);
        for (int j = 0; j < MEMBERS; j++) {
            assert_int_equal(owned & members[j].owned, 0);
            owned |= members[j].owned;
            assert_int_equal(members[j].lost, 0);
        }
        assert_true(step < STEPS - 1 || owned == 0xf);
    }
    assert_true(moves > 20);
}

static void test_a_standstill_loses_the_membership(void **state)
{
    struct member a, b;
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    join(&b, 2);
    serve_both(&a, &b);
    unsigned had = a.owned, revoked = a.revoked;
    assert_int_equal(__builtin_popcount(had), 2);
    for (int i = 0; i < 100; i++) { /* process 1 is stopped */
        serve(&b);
        pass(100, 0);
    }
    assert_int_equal(b.owned, 0xf);
    assert_int_equal(sim_kafka_owner("group", 0), 2);

    sim_kafka_process(1);
    assert_true(pl_group_owns(a.group, __builtin_ctz(had))); /* in good faith */
    pass(300, 1 << 1);
    assert_false(pl_group_owns(a.group, __builtin_ctz(had))); /* before any poll says so */
    assert_int_equal(pl_txn_capture_group(txn, a.group), PL_ABORT_REBALANCE);
    serve(&a);
    assert_int_equal(a.lost, 2);
    assert_int_equal(a.revoked, revoked);
    serve_both(&a, &b);
    assert_int_equal(__builtin_popcount(a.owned), 2);
}
/* ---- reading --------------------------------------------------------------------------------- */

static void append_holdings(const char *key, const char *value)
{
    sim_kafka_append(PL_TOPIC_HOLDINGS, 0, text(key), text(value), NULL, 0);
}

static void test_a_record_arrives_whole(void **state)
{
    const struct pl_header headers[] = {{"name", text("value")}, {"none", {NULL, 0}}};
    struct pl_reader *reader;
    struct pl_record record;
    bool found;
    const uint8_t *before;

    (void)state;
    sim_kafka_append(PL_TOPIC_HOLDINGS, 1, text("k"), text("v"), headers, 2);
    sim_kafka_append(PL_TOPIC_HOLDINGS, 1, (struct pl_bytes_view){NULL, 0},
                     (struct pl_bytes_view){NULL, 0}, NULL, 0);
    assert_ok(pl_reader_open(&reader, &fixture_settings, false));
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 1, 0));
    assert_ok(pl_reader_poll(reader, 0, &record, &found));
    assert_true(found);
    assert_int_equal(record.topic, PL_TOPIC_HOLDINGS);
    assert_int_equal(record.partition, 1);
    assert_int_equal(record.timestamp_ms, sim_kafka_clock_ms());
    assert_memory_equal(record.key.data, "k", 1);
    assert_memory_equal(record.value.data, "v", 1);
    assert_int_equal(record.header_count, 2);
    assert_string_equal(record.headers[0].name, "name");
    assert_memory_equal(record.headers[0].value.data, "value", 5);
    assert_null(record.headers[1].value.data);
    before = record.value.data;
    assert_ok(pl_reader_poll(reader, 0, &record, &found));
    assert_true(found);
    assert_null(record.key.data);
    assert_null(record.value.data);
    assert_int_not_equal(*before, 'v'); /* borrowed until the next poll, and no longer */
}

static void test_only_what_is_asked_for_is_delivered(void **state)
{
    struct sim_kafka_faults faults = {.empty_poll_permille = 100, .slow_fetch_permille = 100,
                                      .slow_fetch_ms_max = 50, .short_fetch_permille = 300,
                                      .retry_permille = 20};
    int64_t next[4] = {0};
    bool is_paused[4] = {false};
    struct pl_reader *reader;
    unsigned switches = 0;
    int32_t last = 0;

    (void)state;
    for (int i = 0; i < 4 * 50; i++)
        sim_kafka_append(PL_TOPIC_HOLDINGS, i % 4, text("k"), text("v"), NULL, 0);
    assert_ok(pl_reader_open(&reader, &fixture_settings, false));
    for (int32_t i = 0; i < 4; i++)
        assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, i, 0));
    sim_kafka_set_faults(&faults);
    for (int i = 0; i < 2000; i++) {
        struct pl_record record;
        bool found;
        int32_t p = (int32_t)test_random_below(&fixture_random, 4);

        if (i % 7 == 0) {
            is_paused[p] = !is_paused[p] && i < 1500;
            assert_ok((is_paused[p] ? pl_reader_pause : pl_reader_resume)(reader, PL_TOPIC_HOLDINGS,
                                                                          p));
        }
        enum pl_err err = pl_reader_poll(reader, 0, &record, &found);
        assert_true(err == PL_OK || err == PL_RETRY_TRANSPORT);
        fixture_mono_ms += 1;
        if (err || !found)
            continue;
        assert_false(is_paused[record.partition]);
        assert_int_equal(record.offset, next[record.partition]++);
        assert_int_equal(pl_reader_position(reader, PL_TOPIC_HOLDINGS, record.partition),
                         record.offset + 1);
        switches += record.partition != last;
        last = record.partition;
    }
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(next[i], 50);
    assert_true(switches > 40); /* partitions come out of step */
    assert_ok(pl_reader_remove(reader, PL_TOPIC_HOLDINGS, 2));
    assert_int_equal(pl_reader_position(reader, PL_TOPIC_HOLDINGS, 2), -1);
}

static void test_offsets_outside_the_log_are_fatal(void **state)
{
    static const struct { int64_t start; enum pl_err err; } rows[] = {
        {3, PL_FATAL_OFFSETS}, {5, PL_OK}, {8, PL_OK}, {9, PL_FATAL_OFFSETS}};
    struct pl_reader *reader;
    struct pl_record record;
    bool found;

    (void)state;
    for (int i = 0; i < 10; i++)
        append_holdings("k", "v");
    sim_kafka_trim(PL_TOPIC_HOLDINGS, 0, 5);
    sim_kafka_truncate(PL_TOPIC_HOLDINGS, 0, 8);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(pl_reader_open(&reader, &fixture_settings, false));
        assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, rows[i].start));
        assert_int_equal(pl_reader_poll(reader, 0, &record, &found), rows[i].err);
        if (rows[i].err)
            assert_non_null(strstr(pl_err_text(), "holdings[0]"));
        pl_reader_close(&reader);
    }
}

/* A reader that is overtaken by retention, and one whose log loses its tail, are told. */
static void test_a_reader_is_never_moved(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct pl_reader *reader;
        struct pl_record record;
        bool found;

        fixture_reset(state);
        append_holdings("k", "0");
        append_holdings("k", "1");
        assert_ok(pl_reader_open(&reader, &fixture_settings, false));
        assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 0));
        assert_int_equal(next_offset(reader), 0);
        assert_int_equal(next_offset(reader), 1);
        append_holdings("k", "2");
        append_holdings("k", "3");
        if (i == 0)
            sim_kafka_trim(PL_TOPIC_HOLDINGS, 0, 3);
        else
            sim_kafka_truncate(PL_TOPIC_HOLDINGS, 0, 1);
        assert_int_equal(pl_reader_poll(reader, 0, &record, &found), PL_FATAL_OFFSETS);
    }
}

static void test_compaction_keeps_the_last_of_each_key(void **state)
{
    struct pl_reader *reader;
    struct sim_cursor cursor = {.topic = PL_TOPIC_HOLDINGS};
    struct sim_record record;
    unsigned count = 0, removed = 0;

    (void)state;
    append_holdings("a", "a1");
    append_holdings("b", "b1");
    append_holdings("a", "a2");
    pass(2000, 0);
    append_holdings("b", "b2"); /* younger than the lag: neither goes nor lets anything go */
    append_holdings("a", "a3");
    append_holdings("c", "c1");
    pass(500, 0);
    sim_kafka_compact(PL_TOPIC_HOLDINGS, 0);
    assert_records(PL_TOPIC_HOLDINGS, "b1 a2 b2 a3 c1");
    while (sim_kafka_next_raw(&cursor, &record)) {
        count++;
        removed += record.is_removed;
    }
    assert_int_equal(count, 6);
    assert_int_equal(removed, 1);
    assert_ok(pl_reader_open(&reader, &fixture_settings, false));
    assert_ok(pl_reader_add(reader, PL_TOPIC_HOLDINGS, 0, 0));
    assert_int_equal(next_offset(reader), 1); /* offsets stay */
    assert_int_equal(pl_reader_position(reader, PL_TOPIC_HOLDINGS, 0), 2);
    pass(2000, 0);
    sim_kafka_compact(PL_TOPIC_HOLDINGS, 0);
    assert_records(PL_TOPIC_HOLDINGS, "b2 a3 c1");
}

static void test_questions_about_a_topic(void **state)
{
    struct pl_reader *reader;
    static const struct { int64_t time_ms, offset; } rows[] = {
        {0, 2}, {2500, 2}, {4000, 3}, {4001, 4}, {9000, 4}};
    int64_t first, end, offset;
    int32_t count;
    char setting[64];

    (void)state;
    for (int i = 0; i < 4; i++, fixture_mono_ms += 1000)
        append_holdings("k", "v"); /* at 1000, 2000, … */
    sim_kafka_trim(PL_TOPIC_HOLDINGS, 0, 2);
    assert_ok(pl_reader_open(&reader, &fixture_settings, false));
    assert_ok(pl_reader_partition_count(reader, PL_TOPIC_HOLDINGS, WAIT_MS, &count));
    assert_int_equal(count, 4);
    assert_int_equal(pl_reader_partition_count(reader, PL_TOPIC_ALERTS, WAIT_MS, &count),
                     PL_FATAL_CONFIG);
    assert_ok(pl_reader_watermarks(reader, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &first, &end));
    assert_int_equal(first, 2);
    assert_int_equal(end, 4);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(pl_reader_offset_at(reader, PL_TOPIC_HOLDINGS, 0,
                                      1700000000000 + rows[i].time_ms, WAIT_MS, &offset));
        assert_int_equal(offset, rows[i].offset);
    }
    assert_ok(pl_reader_topic_setting(reader, PL_TOPIC_ORDERS, "cleanup.policy", WAIT_MS,
                                      setting));
    assert_string_equal(setting, "delete");
    assert_int_equal(pl_reader_topic_setting(reader, PL_TOPIC_ORDERS, "no.such", WAIT_MS, setting),
                     PL_FATAL_CONFIG);
    assert_ok(pl_start_check_history(reader, PL_TOPIC_HOLDINGS, 7LL * 24 * 3600 * 1000));
    assert_ok(pl_start_check_history(reader, PL_TOPIC_ORDERS, 7LL * 24 * 3600 * 1000));
}

static void test_expired_offsets_are_none(void **state)
{
    struct member a;
    struct pl_txn *txn = open_slot(1, "slot");
    int64_t offset = 0;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, at(3), 1));
    sim_kafka_expire("group");
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, PL_OFFSET_NONE);
}
/* ---- connections ----------------------------------------------------------------------------- */

static void let_time_pass(void *context, enum sim_point point, int wait_ms)
{
    (void)context;
    if (point == SIM_POINT_WAITS)
        fixture_mono_ms += wait_ms;
    sim_kafka_tick();
}

static void test_a_cut(void **state)
{
    static const struct { int64_t ms; bool has_hook; enum pl_err commit; } rows[] = {
        {3000, true, PL_OK},
        {3000, false, PL_OK},
        {60000, true, PL_FATAL_UNKNOWN},
        {60000, false, PL_FATAL_UNKNOWN},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct member a;
        struct pl_txn *txn, *none;
        struct pl_reader *reader;
        struct pl_record record;
        struct pl_ownership_event event;
        unsigned count;
        int64_t first = 0, end = 0;
        bool found;

        fixture_reset(state);
        txn = open_slot(1, "slot");
        reader = read_orders(false);
        join(&a, 1);
        serve_both(&a, NULL);
        if (rows[i].has_hook)
            sim_kafka_set_hook(let_time_pass, NULL);
        begin(txn, &a);
        sim_kafka_cut(1, rows[i].ms);
        put_order(txn, "x");
        assert_int_equal(sim_kafka_end(PL_TOPIC_ORDERS, 0), 0);
        assert_int_equal(pl_reader_poll(reader, 0, &record, &found), PL_RETRY_TRANSPORT);
        assert_int_equal(pl_group_poll(a.group, 0, &event, 1, &count), PL_RETRY_TRANSPORT);
        assert_int_equal(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &first),
                         PL_RETRY_TRANSPORT);
        assert_int_equal(pl_reader_watermarks(reader, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end),
                         PL_RETRY_TRANSPORT);
        assert_int_equal(pl_txn_commit(txn, at(1), 1), rows[i].commit);
        assert_records(PL_TOPIC_ORDERS, rows[i].commit ? "" : "x");
        if (rows[i].commit) {
            assert_int_equal(pl_txn_open(&none, &fixture_settings, "slot", 100),
                             PL_RETRY_TRANSPORT);
            assert_null(none);
        }
    }
}

/* A member that hears of no broker for a session's time knows by itself that it is out. */
static void test_a_long_cut_loses_the_membership(void **state)
{
    struct member a;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    sim_kafka_cut(1, 30000);
    pass(5000, 1 << 1);
    assert_true(pl_group_owns(a.group, 0));
    pass(1500, 1 << 1);
    assert_false(pl_group_owns(a.group, 0));
}

static void test_records_in_flight_die_with_their_process(void **state)
{
    const struct sim_kafka_faults late = {.late_produce_permille = 1000};
    struct pl_producer *producer;
    unsigned failed;

    (void)state;
    sim_kafka_process(1);
    assert_ok(pl_producer_open(&producer, &fixture_settings));
    sim_kafka_set_faults(&late);
    assert_ok(pl_producer_send(producer, PL_TOPIC_ORDERS, -1, text("k"), text("1"), NULL, 0));
    assert_records(PL_TOPIC_ORDERS, "");
    assert_ok(pl_producer_flush(producer, WAIT_MS));
    assert_records(PL_TOPIC_ORDERS, "1");
    assert_ok(pl_producer_send(producer, PL_TOPIC_ORDERS, -1, text("k"), text("2"), NULL, 0));
    sim_kafka_kill(1);
    pass(100, 1 << 1);
    assert_records(PL_TOPIC_ORDERS, "1");

    const struct sim_kafka_faults lost = {.lost_produce_permille = 1000};
    struct pl_txn *txn = open_slot(2, "slot");
    assert_ok(pl_producer_open(&producer, &fixture_settings));
    sim_kafka_set_faults(&lost);
    assert_ok(pl_producer_send(producer, PL_TOPIC_ORDERS, -1, text("k"), text("3"), NULL, 0));
    assert_ok(pl_producer_poll(producer, &failed));
    assert_int_equal(failed, 1);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "4");
    assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_ABORT_TRANSACTION);
    assert_ok(pl_txn_abort(txn));
    assert_records(PL_TOPIC_ORDERS, "1");
}
/* ---- what the world needs -------------------------------------------------------------------- */

static void note_beat(void *context, enum sim_point point, int wait_ms)
{
    (void)wait_ms;
    if (point == SIM_POINT_BEAT)
        *(const char **)context = sim_kafka_stage();
}

static void test_a_beat_is_a_point(void **state)
{
    const char *stage = NULL;

    (void)state;
    sim_kafka_set_hook(note_beat, &stage);
    sim_kafka_process(1);
    pl_watchdog_beat("poll");
    assert_string_equal(stage, "poll");
    sim_kafka_process(2);
    fixture_mono_ms += 300;
    pl_watchdog_beat("publish");
    fixture_mono_ms += 200;
    assert_int_equal(pl_watchdog_age_ms(), 200);
    sim_kafka_process(1);
    assert_int_equal(pl_watchdog_age_ms(), 500);
}

/* ---- the N-th call --------------------------------------------------------------------------- */

/* A transaction from opening to commit, given up at the first error. */
static enum pl_err run_once(void)
{
    struct pl_txn *txn;
    struct pl_reader *reader;
    int64_t first, end;

    sim_kafka_process(1);
    enum pl_err err = pl_reader_open(&reader, &fixture_settings, false);
    if (!err)
        err = pl_reader_watermarks(reader, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end);
    if (!err)
        err = pl_txn_open(&txn, &fixture_settings, "slot", TIMEOUT_MS);
    if (!err)
        err = pl_txn_begin(txn);
    if (!err)
        err = pl_txn_produce(txn, PL_TOPIC_ORDERS, 0, text("k"), text("v"), NULL, 0);
    return err ? err : pl_txn_commit(txn, NULL, 0);
}

static void test_the_nth_call_fails(void **state)
{
    static const enum pl_err expected[][3] = {
        {PL_FATAL_SYSTEM, PL_FATAL_SYSTEM, PL_FATAL_SYSTEM},
        {PL_RETRY_TRANSPORT, PL_FATAL_CONFIG, PL_FATAL_CONFIG},
        {PL_RETRY_TRANSPORT, PL_FATAL_FENCED, PL_FATAL_FENCED},
        {PL_FATAL_FENCED, PL_FATAL_FENCED, PL_FATAL_FENCED},
        {PL_ABORT_TRANSACTION, PL_ABORT_TRANSACTION, PL_FATAL_FENCED},
        {PL_ABORT_TRANSACTION, PL_ABORT_TRANSACTION, PL_FATAL_UNKNOWN},
        {PL_OK, PL_OK, PL_OK},
    };

    for (unsigned n = 1; n <= 7; n++) {
        for (int kind = SIM_FAIL_RETRY; kind <= SIM_FAIL_FATAL; kind++) {
            fixture_reset(state);
            sim_kafka_fail_call(n, (enum sim_failure)kind);
            assert_int_equal(run_once(), expected[n - 1][kind]);
            assert_int_equal(sim_kafka_calls(), n < 6 ? n : 6);
        }
    }
}
/* ---- one seed, one history ------------------------------------------------------------------- */

static uint64_t mix(uint64_t digest, uint64_t value)
{
    return (digest ^ value) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Two processes under many faults; a digest of every answer. */
static uint64_t run_seed(uint64_t seed)
{
    const struct sim_kafka_faults faults = {
        .cut_permille = 5, .cut_ms_max = 2000, .retry_permille = 10, .empty_poll_permille = 50,
        .slow_fetch_permille = 50, .slow_fetch_ms_max = 200, .short_fetch_permille = 200,
        .late_produce_permille = 300, .lost_produce_permille = 10, .offsets_fail_permille = 20,
        .end_fail_permille = 20, .end_lost_permille = 20, .end_late_permille = 20,
        .end_late_ms_max = 2000, .late_marker_permille = 100, .late_marker_ms_max = 500,
        .rebalance_permille = 20, .compact_permille = 20};
    struct pl_txn *txns[2] = {NULL, NULL};
    struct member members[2];
    uint64_t digest = seed;

    fixture_reset(NULL);
    fixture_random.state = seed;
    for (int i = 0; i < 2; i++)
        join(&members[i], i);
    sim_kafka_set_faults(&faults);
    for (int step = 0; step < 500; step++) {
        int i = (int)test_random_below(&fixture_random, 2);
        struct pl_ownership_event events[8];
        unsigned count;

        sim_kafka_process(i);
        enum pl_err err = pl_group_poll(members[i].group, 0, events, 8, &count);
        if (!err && txns[i] == NULL)
            err = pl_txn_open(&txns[i], &fixture_settings, i == 0 ? "a" : "b", TIMEOUT_MS);
        if (!err)
            err = pl_txn_begin(txns[i]);
        if (!err)
            err = pl_txn_capture_group(txns[i], members[i].group);
        for (int j = 0; !err && j < 10; j++)
            err = pl_txn_produce(txns[i], PL_TOPIC_ORDERS, 0, text("k"), text("v"), NULL, 0);
        if (!err)
            err = pl_txn_commit(txns[i], at(step), 1);
        if (pl_err_action(err) == PL_ACTION_ABORT)
            err = pl_txn_abort(txns[i]);
        if (pl_err_action(err) == PL_ACTION_FATAL)
            pl_txn_close(&txns[i]);
        digest = mix(mix(digest, (uint64_t)err), count);
        fixture_mono_ms += (int64_t)test_random_below(&fixture_random, 50);
        sim_kafka_tick();
    }
    return mix(mix(digest, (uint64_t)sim_kafka_end(PL_TOPIC_ORDERS, 0)),
               (uint64_t)committed_offset());
}

static void test_a_seed_is_a_history(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t digest = run_seed(seed);

        assert_int_not_equal(run_seed(seed + 1000), digest);
        assert_true(run_seed(seed) == digest);
    }
}

int main(int count, char **arguments)
{
#define sim_test(function) cmocka_unit_test_setup(function, fixture_reset)
    const struct CMUnitTest tests[] = {
        sim_test(test_partitions_move_in_two_phases),
        sim_test(test_nobody_gets_what_is_not_yet_given_up),
        sim_test(test_more_members_than_partitions),
        sim_test(test_ownership_is_never_shared),
        sim_test(test_a_standstill_loses_the_membership),
        sim_test(test_a_record_arrives_whole),
        sim_test(test_only_what_is_asked_for_is_delivered),
        sim_test(test_offsets_outside_the_log_are_fatal),
        sim_test(test_a_reader_is_never_moved),
        sim_test(test_compaction_keeps_the_last_of_each_key),
        sim_test(test_questions_about_a_topic),
        sim_test(test_expired_offsets_are_none),
        sim_test(test_a_cut),
        sim_test(test_a_long_cut_loses_the_membership),
        sim_test(test_records_in_flight_die_with_their_process),
        sim_test(test_a_beat_is_a_point),
        sim_test(test_the_nth_call_fails),
        sim_test(test_a_seed_is_a_history),
    };

    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
