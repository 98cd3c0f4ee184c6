/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolated buckets (lib/wire/topics.h): one account, several books of its own. What arrives for a
 * bucket ends in its row and in no other, a halt of the account stops them all, and whatever happens
 * in one bucket leaves every number of the others as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/cli/workspace.h"
#include "tests/support/random.h"
#include "tests/support/wire.h"

enum { ACCOUNTS = 64, ROUNDS = 500 };

static struct workspace space;

static int open_space(void **state)
{
    static struct ledger_execution executions[4];
    (void)state;
    memset(&space, 0, sizeof(space));
    assert_int_equal(workspace_open(&space, 0, 1, ACCOUNTS), PL_OK);
    space.ledger.executions = executions;
    space.ledger.execution_capacity = 4;
    return 0;
}

static int close_space(void **state)
{
    (void)state;
    workspace_close(&space);
    return 0;
}

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

static uint32_t row_of(const char *text)
{
    const struct pl_id id = id_of(text);
    uint32_t row = 0;
    assert_true(pl_book_find(space.ledger.book, &id, &row));
    return row;
}

static void apply(enum pl_topic topic, const char *key, struct pl_bytes_view value)
{
    static int64_t offset;
    struct venue_news news;
    const struct pl_record record = { .topic = topic, .offset = offset++, .timestamp_ms = 1,
                                      .key = test_key(key), .value = value };
    bool is_ledgers = topic == PL_TOPIC_HOLDINGS || topic == PL_TOPIC_EXECUTIONS;
    enum pl_err err = is_ledgers ? ledger_apply(&space.ledger, &space.venue, &record)
                                 : venue_apply(&space.venue, &record, &news);
    if (err)
        fail_msg("%s", pl_err_text());
}

static void apply_record(enum test_record_kind kind, enum pl_topic topic, const char *key)
{
    apply(topic, key, test_bytes_of(kind));
}

/* ---- names ---------------------------------------------------------------------------------- */

static void an_id_has_two_parts(void **state)
{
    static const struct { const char *id, *account, *bucket; } rows[] = {
        { "alice", "alice", "" }, { "alice~eth", "alice", "eth" }, { "a~b", "a", "b" } };
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        const struct pl_id id = id_of(rows[i].id), account = id_of(rows[i].account);
        const struct pl_bytes_view part = pl_account_part(test_key(rows[i].id));
        assert_int_equal(part.size_bytes, strlen(rows[i].account));
        assert_memory_equal(part.data, rows[i].account, part.size_bytes);
        assert_string_equal(pl_bucket_part(&id), rows[i].bucket);
        for (int32_t count = 1; count < 50; count++)
            assert_int_equal(pl_account_partition(&id, count),
                             pl_key_partition((const uint8_t *)account.text, account.size_bytes,
                                              count));
    }
}

static void keys_that_name_nobody(void **state)
{
    static const char *const bad[] = { "~", "~alice", "alice~", "alice~eth~", "a~b~c", "~watermark" };
    struct pl_id id;
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        assert_int_equal(pl_wire_key_account(test_key(bad[i]), &id), PL_REJECT_KEY);
        assert_true(pl_id_is_none(&id));
    }
    assert_int_equal(pl_wire_key_account(test_key("alice~eth"), &id), PL_OK);
    assert_string_equal(id.text, "alice~eth");
}

/* Others key by account, we by the whole id; the value names both parts. */
static void each_topic_has_its_key(void **state)
{
    static const struct { enum test_record_kind kind; enum pl_topic topic; const char *key, *other; }
    rows[] = {
        { TEST_RECORD_POSITIONS, PL_TOPIC_POSITIONS, "alice", "alice~eth" },
        { TEST_RECORD_EXECUTIONS, PL_TOPIC_EXECUTIONS, "alice", "alice~eth" },
        { TEST_RECORD_HOLDINGS, PL_TOPIC_HOLDINGS, "alice~eth", "alice" },
        { TEST_RECORD_ORDERS, PL_TOPIC_ORDERS, "alice~eth", "alice" },
        { TEST_RECORD_ACCOUNTS, PL_TOPIC_ACCOUNTS, "alice~eth", "alice" } };
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_decode *decode = test_decoder(rows[i].kind);
        const struct pl_bytes_view value =
            test_encode(rows[i].topic, test_changed(rows[i].kind, "bucket", "'eth'"));
        assert_int_equal(decode(test_key(rows[i].key), value), PL_OK);
        assert_int_equal(decode(test_key(rows[i].other), value), PL_REJECT_KEY);
        const struct pl_bytes_view bad =
            test_encode(rows[i].topic, test_changed(rows[i].kind, "bucket", "'e~h'"));
        assert_int_equal(decode(test_key(rows[i].key), bad), PL_REJECT_KEY);
        assert_non_null(strstr(pl_err_text(), "field bucket: contains '~', which is reserved"));
    }
}

static void both_parts_have_room_in_one_id(void **state)
{
    char bucket[80] = "'";
    const char *key = "alice";
    (void)state;
    for (unsigned size = 1; size <= PL_ID_BYTES_MAX; size++) {
        memset(bucket + 1, 'b', size);
        strcpy(bucket + 1 + size, "'");
        enum pl_err err = test_decoder(TEST_RECORD_POSITIONS)(
            test_key(key), test_encode(PL_TOPIC_POSITIONS,
                                       test_changed(TEST_RECORD_POSITIONS, "bucket", bucket)));
        assert_int_equal(err, size + strlen(key) + 1 <= PL_ID_BYTES_MAX ? PL_OK : PL_REJECT_SIZE);
    }
}

static void holdings_of_a_bucket_go_there_and_back(void **state)
{
    (void)state;
    const struct pl_bytes_view value =
        test_encode(PL_TOPIC_HOLDINGS, test_changed(TEST_RECORD_HOLDINGS, "bucket", "'eth'"));
    struct pl_record_holdings *record = &test_wire()->record;
    static struct pl_record_holdings copy;
    struct pl_bytes_view again;
    assert_int_equal(pl_wire_record_decode(test_wire(), test_key("alice~eth"), value, record), PL_OK);
    assert_string_equal(record->account.text, "alice~eth");
    copy = *record;
    assert_int_equal(pl_wire_record_encode(test_wire(), &copy, &again), PL_OK);
    assert_int_equal(pl_wire_record_decode(test_wire(), test_key("alice~eth"), again, record), PL_OK);
    assert_string_equal(record->account.text, "alice~eth");
}

/* ---- in the service's step ------------------------------------------------------------------- */

static void a_halt_of_the_account_stops_its_buckets(void **state)
{
    struct pl_control control = { .is_halt = true, .epoch = 1, .account = id_of("alice"),
                                  .actor = "desk", .reason = "test" };
    struct pl_record record = { .topic = PL_TOPIC_CONTROL };
    struct venue_news news;
    (void)state;
    assert_int_equal(pl_wire_control_encode(space.venue.wire, &control, &record.key, &record.value),
                     PL_OK);
    assert_int_equal(venue_apply(&space.venue, &record, &news), PL_OK);
    const struct { const char *id; bool is_halted; } rows[] = {
        { "alice", true }, { "alice~eth", true }, { "alice2", false }, { "alic~e", false } };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        const struct pl_id id = id_of(rows[i].id);
        assert_int_equal(venue_halts(&space.venue, &id), rows[i].is_halted);
    }
}

static void put_holdings(const char *key, const char *bucket, uint64_t version, int64_t lots)
{
    char text[64];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
    json_t *json = test_changed(TEST_RECORD_HOLDINGS, "version", text);
    if (bucket)
        json_object_set_new(json, "bucket", json_string(bucket));
    json_t *leg = json_array_get(json_object_get(json, "legs"), 0);
    json_object_set_new(leg, "lots", json_integer(lots));
    json_object_set_new(leg, "settled_lots", json_integer(lots));
    apply(PL_TOPIC_HOLDINGS, key, test_encode(PL_TOPIC_HOLDINGS, json));
}

static void decide(const char *id, struct pl_decision *decision)
{
    venue_update(&space.venue, 1621432800000);
    ledger_decide_account(&space.ledger, &space.venue, row_of(id), decision);
}

static void a_report_finds_its_bucket(void **state)
{
    (void)state;
    put_holdings("alice", NULL, 1, 5);
    put_holdings("alice~eth", "eth", 1, 5);
    apply(PL_TOPIC_EXECUTIONS, "alice",
          test_encode(PL_TOPIC_EXECUTIONS, test_changed(TEST_RECORD_EXECUTIONS, "bucket", "'eth'")));
    apply_record(TEST_RECORD_EXECUTIONS, PL_TOPIC_EXECUTIONS, "alice");
    assert_int_equal(space.ledger.execution_count, 2);
    assert_int_equal(space.ledger.executions[0].index, row_of("alice~eth"));
    assert_int_equal(space.ledger.executions[1].index, row_of("alice"));
}

static void a_bucket_is_its_own_world(void **state)
{
    static struct pl_decision before, after;
    struct test_random random = test_random_start(5);
    (void)state;
    apply_record(TEST_RECORD_PARAMETERS, PL_TOPIC_PARAMETERS, "effective");
    apply_record(TEST_RECORD_MARKS, PL_TOPIC_MARKS, "ETH");
    put_holdings("alice", NULL, 1, 5);
    put_holdings("alice~eth", "eth", 1, 7);
    decide("alice~eth", &before);
    for (uint64_t version = 2; version < ROUNDS; version++) {
        bool is_cross = test_random_below(&random, 2) == 0;
        int64_t lots = (int64_t)test_random_below(&random, 2000000) - 1000000;
        if (is_cross)
            put_holdings("alice", NULL, version, lots);
        else
            put_holdings("alice~btc", "btc", version, lots);
        decide("alice~eth", &after);
        assert_memory_equal(&before.verdict.excess, &after.verdict.excess,
                            sizeof(before.verdict.excess));
        assert_int_equal(before.state.state, after.state.state);
        assert_int_equal(before.state.doubt_count, after.state.doubt_count);
        assert_true(before.verdict.gross_vu == after.verdict.gross_vu);
    }
}

#define IN_SPACE(test) cmocka_unit_test_setup_teardown(test, open_space, close_space)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_has_two_parts),
        cmocka_unit_test(keys_that_name_nobody),
        cmocka_unit_test(each_topic_has_its_key),
        cmocka_unit_test(both_parts_have_room_in_one_id),
        cmocka_unit_test(holdings_of_a_bucket_go_there_and_back),
        IN_SPACE(a_halt_of_the_account_stops_its_buckets),
        IN_SPACE(a_report_finds_its_bucket),
        IN_SPACE(a_bucket_is_its_own_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
