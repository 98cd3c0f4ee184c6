/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the modelled Kafka's transactions behave as the real one's? What becomes visible when, who is
 * fenced, which offsets have no answer yet, and what a reply that does not come leaves behind
 * (tests/integration/it_txn.c asserts most of it on Apache Kafka).
 */
#include "tests/chaos/sim/kafka_fixture.h"

/* ---- transactions ---------------------------------------------------------------------------- */

static void test_outputs_and_offsets_are_one(void **state)
{
    struct member a;
    int64_t offset = 0;
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, PL_OFFSET_NONE);
    begin(txn, &a);
    put_order(txn, "one");
    put_order(txn, "two");
    assert_int_equal(sim_kafka_end(PL_TOPIC_ORDERS, 0), 2);
    assert_records(PL_TOPIC_ORDERS, "");
    assert_ok(pl_txn_commit(txn, at(7), 1));
    assert_records(PL_TOPIC_ORDERS, "one two");
    assert_int_equal(sim_kafka_end(PL_TOPIC_ORDERS, 0), 3); /* the marker */
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 7);

    /* An abort leaves nothing but offsets taken. */
    begin(txn, &a);
    put_order(txn, "never");
    assert_ok(pl_txn_abort(txn));
    assert_records(PL_TOPIC_ORDERS, "one two");
    assert_int_equal(committed_offset(), 7);
    /* Nothing at all, and only offsets. */
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, NULL, 0));
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, at(8), 1));
    assert_int_equal(committed_offset(), 8);
    assert_int_equal(sim_kafka_end(PL_TOPIC_ORDERS, 0), 5);
}

static void test_calls_in_the_wrong_order(void **state)
{
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    assert_int_equal(pl_txn_abort(txn), PL_FATAL_KAFKA);
    assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_FATAL_KAFKA);
    assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ORDERS, 0, text("k"), text("v"), NULL, 0),
                     PL_ABORT_TRANSACTION);
    assert_ok(pl_txn_begin(txn));
    assert_int_equal(pl_txn_begin(txn), PL_FATAL_KAFKA);
    assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ALERTS, 0, text("k"), text("v"), NULL, 0),
                     PL_FATAL_CONFIG);
    assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ORDERS, 1, text("k"), text("v"), NULL, 0),
                     PL_FATAL_CONFIG);
}

static void test_an_open_transaction_holds_the_stable_offset(void **state)
{
    struct pl_txn *txn = open_slot(1, "slot");
    struct pl_reader *committed = read_orders(false), *all = read_orders(true);
    int64_t first, end;

    (void)state;
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), -1);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "0");
    assert_ok(pl_txn_commit(txn, NULL, 0)); /* 0 record, 1 marker */
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "2");
    assert_ok(pl_txn_abort(txn)); /* 2 record, 3 marker */
    assert_int_equal(next_offset(committed), 0);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 1);
    assert_int_equal(next_offset(committed), -1);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 4);
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), 4);
    assert_int_equal(next_offset(all), 0);
    assert_int_equal(next_offset(all), 2);

    assert_ok(pl_txn_begin(txn));
    put_order(txn, "4");
    sim_kafka_append(PL_TOPIC_ORDERS, 0, text("k"), text("5"), NULL, 0);
    assert_int_equal(next_offset(all), 4);
    assert_int_equal(next_offset(all), 5);
    assert_int_equal(next_offset(committed), -1);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 4);
    assert_int_equal(pl_reader_end_cached(committed, PL_TOPIC_ORDERS, 0), 6);
    assert_ok(pl_reader_watermarks(committed, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end));
    assert_int_equal(end, 4);
    assert_ok(pl_reader_watermarks(all, PL_TOPIC_ORDERS, 0, WAIT_MS, &first, &end));
    assert_int_equal(end, 6);
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_int_equal(next_offset(committed), 4);
    assert_int_equal(next_offset(committed), 5);
    assert_int_equal(next_offset(committed), -1);
    assert_int_equal(pl_reader_position(committed, PL_TOPIC_ORDERS, 0), 7);
}

/* A lost tail takes an open transaction's records with it; its marker comes all the same. */
static void test_truncation_under_a_transaction(void **state)
{
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    sim_kafka_append(PL_TOPIC_ORDERS, 0, text("k"), text("0"), NULL, 0);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "1");
    sim_kafka_truncate(PL_TOPIC_ORDERS, 0, 1);
    sim_kafka_append(PL_TOPIC_ORDERS, 0, text("k"), text("other"), NULL, 0);
    assert_int_equal(sim_kafka_stable(PL_TOPIC_ORDERS, 0), 2);
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_records(PL_TOPIC_ORDERS, "0 other");
    assert_int_equal(sim_kafka_end(PL_TOPIC_ORDERS, 0), 3);
}

static void test_a_younger_twin_fences(void **state)
{
    struct member a;
    struct pl_txn *older = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    begin(older, &a);
    put_order(older, "lost");
    struct pl_txn *younger = open_slot(2, "slot");
    sim_kafka_process(1);
    assert_int_equal(pl_txn_commit(older, at(5), 1), PL_FATAL_FENCED);
    assert_int_equal(pl_txn_begin(older), PL_FATAL_FENCED);
    assert_records(PL_TOPIC_ORDERS, "");
    assert_int_equal(committed_offset(), PL_OFFSET_NONE);
    begin(younger, &a);
    put_order(younger, "kept");
    assert_ok(pl_txn_commit(younger, at(6), 1));
    assert_records(PL_TOPIC_ORDERS, "kept");
    assert_int_equal(committed_offset(), 6);
}

static void test_a_transaction_times_out(void **state)
{
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "late");
    pass(TIMEOUT_MS - 500, 0);
    assert_int_equal(sim_kafka_stable(PL_TOPIC_ORDERS, 0), 0);
    pass(2000, 0);
    assert_int_equal(sim_kafka_stable(PL_TOPIC_ORDERS, 0), 2);
    assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_FATAL_FENCED); /* T5 */
    assert_records(PL_TOPIC_ORDERS, "");
}
/* ---- offsets that are pending (T1) ----------------------------------------------------------- */

static void test_pending_offsets_have_no_answer(void **state)
{
    struct member a, b;
    struct pl_txn *txn = open_slot(1, "slot");
    int64_t offset = -7;

    (void)state;
    join(&a, 1);
    join(&b, 2);
    serve_both(&a, &b);
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, at(3), 1));
    commit_and_die(txn, &a, SIM_POINT_BEFORE_END);

    sim_kafka_process(2);
    assert_int_equal(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset),
                     PL_RETRY_UNSTABLE);
    assert_int_equal(offset, -7);
    assert_non_null(strstr(pl_err_text(), "holdings[0]"));
    /* Its neighbours are not held. */
    assert_ok(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 1, WAIT_MS, &offset));
    assert_int_equal(offset, PL_OFFSET_NONE);
    pass(TIMEOUT_MS + 1500, 1 << 2);
    assert_ok(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 3);
    assert_records(PL_TOPIC_ORDERS, "");
}

/* The next holder of the slot settles at once what the dead one left: as decided, if it was. */
static void test_the_same_slot_settles(void **state)
{
    static const struct {
        enum sim_point point;
        int64_t offset;
        const char *orders;
    } rows[] = {
        {SIM_POINT_BEFORE_OFFSETS, PL_OFFSET_NONE, ""},
        {SIM_POINT_BEFORE_END, PL_OFFSET_NONE, ""},
        {SIM_POINT_ENDED, 9, "dead"},
        {SIM_POINT_COMMITTED, 9, "dead"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct member a, b;
        struct pl_txn *txn;
        int64_t offset = -7;

        fixture_reset(state);
        txn = open_slot(1, "slot");
        join(&a, 1);
        serve_both(&a, NULL);
        commit_and_die(txn, &a, rows[i].point);
        (void)open_slot(2, "slot");
        join(&b, 2);
        assert_ok(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
        assert_int_equal(offset, rows[i].offset);
        assert_records(PL_TOPIC_ORDERS, rows[i].orders);
    }
}

static void test_a_dead_member_is_waited_for(void **state)
{
    struct member a, b;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    sim_kafka_kill(1);
    join(&b, 2);
    for (int i = 0; i < 50; i++) {
        serve(&b);
        pass(100, 0);
    }
    assert_int_equal(b.owned, 0);
    for (int i = 0; i < 30; i++) {
        serve(&b);
        pass(100, 0);
    }
    assert_int_equal(b.owned, 0xf);
}
/* ---- generations ----------------------------------------------------------------------------- */

static void test_a_stale_generation_commits_nothing(void **state)
{
    struct member a, b;
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    begin(txn, &a);
    put_order(txn, "stale");
    join(&b, 2);
    pass(3000, 1 << 1 | 1 << 2); /* the group moves on in the background */
    sim_kafka_process(1);
    assert_int_equal(pl_txn_commit(txn, at(4), 1), PL_ABORT_REBALANCE);
    assert_ok(pl_txn_abort(txn));
    assert_records(PL_TOPIC_ORDERS, "");
    assert_int_equal(committed_offset(), PL_OFFSET_NONE);

    serve_both(&a, &b);
    begin(txn, &a);
    put_order(txn, "fresh");
    assert_ok(pl_txn_commit(txn, at(4), 1));
    assert_records(PL_TOPIC_ORDERS, "fresh");
}

/* From the expulsion on, though the generation is still the old one: its other member has yet to
 * join the next. */
static void test_an_expelled_member_commits_nothing(void **state)
{
    struct member a, b;
    struct pl_txn *txn;

    (void)state;
    sim_kafka_process(1);
    assert_ok(pl_txn_open(&txn, &fixture_settings, "slot", 20000));
    join(&a, 1);
    join(&b, 2);
    serve_both(&a, &b);
    begin(txn, &a);
    sim_kafka_process(2); /* and 1 is stopped */
    pass(5000, 0);
    serve(&b);
    sim_kafka_cut(2, 3000);
    fixture_mono_ms += 1100;
    sim_kafka_tick();
    assert_int_equal(pl_txn_commit(txn, at(4), 1), PL_ABORT_REBALANCE);
    assert_non_null(strstr(pl_err_text(), "unknown member"));
}

/* What a zombie sent before it was stopped is settled when it wakes up, however late; what it sends
 * afterwards is refused. */
static struct member *s_peer;

static void stop_past_the_session(void *context, enum sim_point point, int wait_ms)
{
    const enum sim_point *where = context;

    (void)wait_ms;
    if (point != *where)
        return;
    sim_kafka_set_hook(NULL, NULL);
    for (int i = 0; i < 75; i++) {
        serve(s_peer);
        fixture_mono_ms += 100;
        sim_kafka_tick();
    }
    assert_int_equal(s_peer->owned, 0xf);
}

static void test_a_zombie(void **state)
{
    static const struct { enum sim_point point; enum pl_err err; } rows[] = {
        {SIM_POINT_BEFORE_OFFSETS, PL_ABORT_REBALANCE},
        {SIM_POINT_BEFORE_END, PL_OK},
    };

    for (unsigned i = 0; i < 2; i++) {
        struct member a, b;
        struct pl_txn *txn;
        enum sim_point point = rows[i].point;

        fixture_reset(state);
        sim_kafka_process(1);
        assert_ok(pl_txn_open(&txn, &fixture_settings, "slot", 20000));
        join(&a, 1);
        join(&b, 2);
        serve_both(&a, &b);
        begin(txn, &a);
        put_order(txn, "old");
        s_peer = &b;
        sim_kafka_set_hook(stop_past_the_session, &point);
        assert_int_equal(pl_txn_commit(txn, at(4), 1), rows[i].err);
        assert_int_equal(sim_kafka_current(), 1);
        assert_records(PL_TOPIC_ORDERS, rows[i].err ? "" : "old");
        assert_int_equal(committed_offset(), rows[i].err ? PL_OFFSET_NONE : 4);
    }
}

/* The trap: a current member may commit what another member owns. */
static void test_foreign_partitions_are_accepted(void **state)
{
    struct member a, b;
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    join(&b, 2);
    serve_both(&a, &b);
    const struct pl_offset foreign = {PL_TOPIC_HOLDINGS, __builtin_ctz(b.owned), 11};
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, &foreign, 1));
    assert_int_equal(sim_kafka_committed("group", PL_TOPIC_HOLDINGS, foreign.partition, NULL), 11);
}
/* ---- replies that do not come (T6) ----------------------------------------------------------- */

/* Lost with the request or after it: the next holder of the slot finds one of the two, and
 * nobody can tell before. */
static void test_an_unknown_outcome_is_one_of_two(void **state)
{
    unsigned committed = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        const struct sim_kafka_faults faults = {.end_lost_permille = 1000};
        struct pl_txn *txn;

        fixture_reset(state);
        fixture_random.state = seed;
        txn = open_slot(1, "slot");
        assert_ok(pl_txn_begin(txn));
        put_order(txn, "x");
        sim_kafka_set_faults(&faults);
        assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_FATAL_UNKNOWN);
        bool was_decided = sim_kafka_stable(PL_TOPIC_ORDERS, 0) > 0;
        (void)open_slot(2, "slot");
        assert_int_equal(sim_kafka_stable(PL_TOPIC_ORDERS, 0), 2);
        assert_records(PL_TOPIC_ORDERS, was_decided ? "x" : "");
        committed += was_decided;
    }
    assert_in_range(committed, 10, 30);
}

/* A request that is late: without a new holder it decides, with one it is refused, and a
 * producer that went on meanwhile has its next transaction torn. */
static void test_a_late_end(void **state)
{
    static const struct {
        enum { LEAVES, REOPENS, GOES_ON } client;
        const char *orders;
    } rows[] = {{LEAVES, "first"}, {REOPENS, ""}, {GOES_ON, "second"}};

    for (unsigned i = 0; i < 3; i++) {
        static const struct sim_kafka_faults healthy;
        const struct sim_kafka_faults late = {.end_late_permille = 1000, .end_late_ms_max = 1000};
        struct pl_txn *txn;

        fixture_reset(state);
        txn = open_slot(1, "slot");
        assert_ok(pl_txn_begin(txn));
        put_order(txn, "first");
        sim_kafka_set_faults(&late);
        assert_int_equal(pl_txn_commit(txn, NULL, 0), PL_FATAL_UNKNOWN);
        sim_kafka_set_faults(&healthy);
        if (rows[i].client == REOPENS) {
            (void)open_slot(2, "slot");
        } else if (rows[i].client == GOES_ON) {
            assert_ok(pl_txn_abort(txn));
            assert_ok(pl_txn_begin(txn));
            put_order(txn, "second");
        }
        pass(1100, 0);
        assert_records(PL_TOPIC_ORDERS, rows[i].orders);
    }
}

/* The same request twice is one; twice with a transaction in between it is not. */
static void test_a_repeated_end(void **state)
{
    const struct sim_kafka_faults repeated = {.end_repeated_permille = 1000};
    const struct sim_kafka_faults torn = {.end_torn_permille = 1000, .end_late_ms_max = 1000};
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    sim_kafka_set_faults(&repeated);
    for (int i = 0; i < 2; i++) {
        assert_ok(pl_txn_begin(txn));
        put_order(txn, i == 0 ? "a" : "b");
        assert_ok(i == 0 ? pl_txn_commit(txn, NULL, 0) : pl_txn_abort(txn));
    }
    assert_records(PL_TOPIC_ORDERS, "a");
    sim_kafka_set_faults(&torn);
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "c");
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "half");
    pass(1100, 0);
    assert_records(PL_TOPIC_ORDERS, "a c half");
}

static void test_markers_come_late(void **state)
{
    const struct sim_kafka_faults faults = {.late_marker_permille = 1000,
                                            .late_marker_ms_max = 500};
    struct member a;
    struct sim_txn_info info;
    int64_t offset = -7;
    struct pl_txn *txn = open_slot(1, "slot");

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    sim_kafka_set_faults(&faults);
    begin(txn, &a);
    put_order(txn, "x");
    assert_ok(pl_txn_commit(txn, at(2), 1));
    assert_records(PL_TOPIC_ORDERS, "");
    assert_int_equal(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset),
                     PL_RETRY_UNSTABLE);
    assert_true(sim_kafka_txn(1, &info));
    assert_int_equal(info.state, SIM_TXN_COMMITTED);
    assert_false(info.is_complete);
    pass(600, 1 << 1);
    assert_records(PL_TOPIC_ORDERS, "x");
    assert_ok(pl_group_committed(a.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 2);

    /* The next transaction of the slot waits for them. */
    begin(txn, &a);
    put_order(txn, "y");
    assert_ok(pl_txn_commit(txn, at(3), 1));
    begin(txn, &a);
    put_order(txn, "z");
    assert_records(PL_TOPIC_ORDERS, "x y");
    assert_int_equal(committed_offset(), 3);
}

/* An older commit that is settled later does not put the offset back. */
static void test_the_newer_commit_stays(void **state)
{
    struct member a;
    struct pl_txn *one = open_slot(1, "one"), *two = open_slot(1, "two");
    const struct sim_kafka_faults late = {.late_marker_permille = 1000,
                                          .late_marker_ms_max = 1000};
    static const struct sim_kafka_faults healthy;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    sim_kafka_set_faults(&late);
    begin(one, &a);
    assert_ok(pl_txn_commit(one, at(3), 1));
    sim_kafka_set_faults(&healthy);
    begin(two, &a);
    assert_ok(pl_txn_commit(two, at(5), 1));
    assert_int_equal(committed_offset(), 5);
    pass(1100, 1 << 1);
    assert_int_equal(committed_offset(), 5);
}
/* ---- bugs on purpose ----------------------------------------------------------------------- */

/* Each bug on purpose does what it says. */
static void test_bugs_on_purpose(void **state)
{
    const struct sim_kafka_faults pending = {.bug_takes_pending_offsets = true},
                                  none = {.bug_takes_error_for_none = true},
                                  twins = {.bug_twins_unfenced = true},
                                  unchecked = {.bug_generation_unchecked = true};
    struct member a, b;
    struct pl_txn *txn = open_slot(1, "slot"), *other = open_slot(1, "other");
    int64_t offset = -7;

    (void)state;
    join(&a, 1);
    serve_both(&a, NULL);
    begin(txn, &a);
    assert_ok(pl_txn_commit(txn, at(3), 1));
    begin(other, &a);
    join(&b, 2);
    serve_both(&a, &b);
    sim_kafka_set_faults(&unchecked);
    assert_ok(pl_txn_commit(other, at(4), 1));

    commit_and_die(txn, &a, SIM_POINT_BEFORE_END);
    sim_kafka_process(2);
    sim_kafka_set_faults(&pending);
    assert_ok(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, 4);
    sim_kafka_set_faults(&none);
    assert_ok(pl_group_committed(b.group, PL_TOPIC_HOLDINGS, 0, WAIT_MS, &offset));
    assert_int_equal(offset, PL_OFFSET_NONE);

    txn = open_slot(2, "slot");
    sim_kafka_set_faults(&twins);
    other = open_slot(3, "slot");
    assert_ok(pl_txn_begin(txn));
    put_order(txn, "twin");
    assert_ok(pl_txn_commit(txn, NULL, 0));
    assert_records(PL_TOPIC_ORDERS, "twin");
}

int main(int count, char **arguments)
{
#define sim_test(function) cmocka_unit_test_setup(function, fixture_reset)
    const struct CMUnitTest tests[] = {
        sim_test(test_outputs_and_offsets_are_one),
        sim_test(test_calls_in_the_wrong_order),
        sim_test(test_an_open_transaction_holds_the_stable_offset),
        sim_test(test_truncation_under_a_transaction),
        sim_test(test_a_younger_twin_fences),
        sim_test(test_a_transaction_times_out),
        sim_test(test_pending_offsets_have_no_answer),
        sim_test(test_the_same_slot_settles),
        sim_test(test_a_dead_member_is_waited_for),
        sim_test(test_a_stale_generation_commits_nothing),
        sim_test(test_an_expelled_member_commits_nothing),
        sim_test(test_a_zombie),
        sim_test(test_foreign_partitions_are_accepted),
        sim_test(test_an_unknown_outcome_is_one_of_two),
        sim_test(test_a_late_end),
        sim_test(test_a_repeated_end),
        sim_test(test_markers_come_late),
        sim_test(test_the_newer_commit_stays),
        sim_test(test_bugs_on_purpose),
    };

    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
