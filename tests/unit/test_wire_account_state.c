/* SPDX-License-Identifier: Apache-2.0 */
/* Account states: the golden record there and back, the default's neighbours, each reject. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/wire.h"

static void a_state_goes_there_and_back(void **state)
{
    static struct pl_account_state decided;
    struct pl_bytes_view bytes = test_bytes_of(TEST_RECORD_ACCOUNTS), value;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    struct pl_id account;
    (void)state;
    assert_int_equal(pl_id_set(&account, "alice", 5), PL_OK);
    assert_int_equal(pl_wire_state_decode(wire, names, test_key("alice"), bytes, &decided), PL_OK);
    assert_int_equal(decided.state, PL_STATE_LIQUIDATING);
    assert_int_equal(decided.since_ms, 1621432800000);
    assert_int_equal(decided.episode, 3);
    assert_int_equal(decided.revision, 1);
    assert_int_equal(decided.whole_since_ms, 1621432799995);
    assert_int_equal(decided.revision_after_ms, 1621432802000);
    assert_int_equal(decided.version, 11);
    assert_int_equal(decided.doubt_count, 2);
    assert_string_equal(names->ids[decided.doubts[0].instrument].text, "ETH");
    assert_int_equal(decided.doubts[0].reason, PL_DOUBT_STALE);
    assert_int_equal(decided.doubts[1].instrument, UINT32_MAX);
    assert_int_equal(decided.doubts[1].reason, PL_DOUBT_GAP);
    assert_int_equal(decided.pending_count, 2);
    const struct pl_pending *open = &decided.pending[0], *done = &decided.pending[1];
    assert_string_equal(names->ids[open->instrument].text, "BTC-PERP");
    assert_int_equal(open->side, PL_SIDE_SELL);
    assert_int_equal(open->progress, PL_PROGRESS_OPEN);
    assert_int_equal(open->reported_ms, 0);
    assert_int_equal(done->side, PL_SIDE_BUY);
    assert_int_equal(done->progress, PL_PROGRESS_TERMINAL);
    assert_int_equal(done->ordered_lots, 120000);
    assert_int_equal(done->executed_lots, 70000);
    assert_int_equal(done->applied_lots, 50000);
    assert_int_equal(done->lot_decimals, 5);
    assert_int_equal(done->limit_ticks, 252491);
    assert_int_equal(done->limit_exponent, -2);
    assert_int_equal(done->valid_until_ms, 1621432830000);
    assert_int_equal(done->reported_ms, 1621432800900);
    assert_int_equal(pl_wire_state_encode(wire, names, &account, &decided, &value), PL_OK);
    assert_int_equal(value.size_bytes, bytes.size_bytes);
    assert_memory_equal(value.data, bytes.data, bytes.size_bytes);
}

static void absent_is_not_zero(void **state)
{
    static const struct pl_account_state decided = { .state = PL_STATE_ALERT, .version = 1,
                                                     .whole_since_ms = -1 };
    static const struct pl_account_state since_0 = { .state = PL_STATE_RESTRICTED, .version = 2 };
    static struct pl_account_state back;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    struct pl_bytes_view value;
    struct pl_id account;
    (void)state;
    assert_int_equal(pl_id_set(&account, "alice", 5), PL_OK);
    assert_int_equal(pl_wire_state_encode(wire, names, &account, &decided, &value), PL_OK);
    assert_int_equal(pl_wire_state_decode(wire, names, test_key("alice"), value, &back), PL_OK);
    assert_memory_equal(&back, &decided, sizeof(back));
    assert_int_equal(pl_wire_state_encode(wire, names, &account, &since_0, &value), PL_OK);
    assert_int_equal(pl_wire_state_decode(wire, names, test_key("alice"), value, &back), PL_OK);
    assert_int_equal(back.whole_since_ms, 0);
}

/* What margin calls told comes back in its order. */
static void calls_go_there_and_back(void **state)
{
    static const struct pl_account_state decided = {
        .state = PL_STATE_RESTRICTED, .version = 3, .whole_since_ms = -1, .called_ms = 5,
        .due_ms = 65, .bad_debt_vu = 1, .told_count = 2,
        .told = { { PL_STATE_OK, 3 }, { PL_STATE_RESTRICTED, 5 } } };
    static struct pl_account_state back;
    struct pl_wire *wire = test_wire();
    struct pl_bytes_view value;
    struct pl_id account;
    (void)state;
    assert_int_equal(pl_id_set(&account, "alice", 5), PL_OK);
    assert_int_equal(pl_wire_state_encode(wire, test_names(), &account, &decided, &value), PL_OK);
    assert_int_equal(pl_wire_state_decode(wire, test_names(), test_key("alice"), value, &back),
                     PL_OK);
    assert_memory_equal(&back, &decided, sizeof(back));
}

static void bad_states_are_refused(void **state)
{
    static const char *const required[] = {
        "account", "state", "since_ms", "episode", "revision", "revision_after_ms", "version",
        "doubts.0.reason", "pending.0.order_id", "pending.1.instrument", "pending.0.side",
        "pending.0.ordered_lots", "pending.1.executed_lots", "pending.0.applied_lots",
        "pending.0.lot_decimals", "pending.1.limit_price", "pending.0.limit_price.exponent",
        "pending.0.progress", "pending.1.valid_until_ms" };
    static const char *const optional[] = { "doubts", "doubts.0.instrument", "whole_since_ms",
                                            "pending", "pending.1.reported_ms" };
    static const struct test_reject rejects[] = {
        { "account", "'~budget'", PL_REJECT_KEY, "reserved" },
        { "state", "'STATE_UNSPECIFIED'", PL_REJECT_UNKNOWN, "STATE_OK, STATE_ALERT" },
        { "version", "0", PL_REJECT_RANGE, "field version" },
        { "since_ms", "-1", PL_REJECT_RANGE, "field since_ms" },
        { "whole_since_ms", "-1", PL_REJECT_RANGE, "field whole_since_ms" },
        { "doubts.1.reason", "'REASON_UNSPECIFIED'", PL_REJECT_UNKNOWN, "field doubts[1].reason" },
        { "pending.0.side", "'SIDE_UNSPECIFIED'", PL_REJECT_UNKNOWN, "field pending[0].side" },
        { "pending.0.ordered_lots", "'9223372036854775808'", PL_REJECT_RANGE,
          "field pending[0].ordered_lots" },
        { "pending.0.lot_decimals", "13", PL_REJECT_RANGE, "field pending[0].lot_decimals: 13" },
        { "pending.0.limit_price.exponent", "1", PL_REJECT_RANGE, "field pending[0].limit_price" },
        { "pending.0.limit_price.exponent", "-13", PL_REJECT_RANGE,
          "field pending[0].limit_price" },
        { "pending.0.limit_price.mantissa", "-1", PL_REJECT_RANGE, "field pending[0].limit_price" },
        { "called_ms", "-1", PL_REJECT_RANGE, "field called_ms" },
        { "due_ms", "-1", PL_REJECT_RANGE, "field due_ms" },
        { "bad_debt", "{'mantissa':'0','exponent':-12}", PL_REJECT_RANGE, "field bad_debt" },
        { "bad_debt", "{'mantissa':'5','exponent':-6}", PL_REJECT_RANGE, "field bad_debt" },
        { "told", "[{'state':'STATE_OK'}]", PL_REJECT_MISSING, "field told[0].told_ms is missing" },
        { "told", "[{'told_ms':'1'}]", PL_REJECT_MISSING, "field told[0].state is missing" },
        { "told", "[{},{},{},{},{},{}]", PL_REJECT_SIZE, "told" },
        { "pending.1.progress", "'PROGRESS_UNSPECIFIED'", PL_REJECT_UNKNOWN, "PROGRESS_OVERDUE" },
    };
    (void)state;
    test_required(TEST_RECORD_ACCOUNTS, required, TEST_COUNT(required));
    test_optional(TEST_RECORD_ACCOUNTS, optional, TEST_COUNT(optional));
    test_rejects(TEST_RECORD_ACCOUNTS, rejects, TEST_COUNT(rejects));
    test_key_is_checked(TEST_RECORD_ACCOUNTS);
}

/* A sale at any price, of the coarsest and the finest ticks. */
static void limits_may_touch_their_bounds(void **state)
{
    static const struct { const char *field, *value; } rows[] = {
        { "pending.0.limit_price.mantissa", "0" },
        { "pending.0.limit_price.exponent", "0" },
        { "pending.0.limit_price.exponent", "-12" },
        { "pending.0.lot_decimals", "12" },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        json_t *json = test_changed(TEST_RECORD_ACCOUNTS, rows[i].field, rows[i].value);
        assert_int_equal(test_decoder(TEST_RECORD_ACCOUNTS)(test_key("alice"),
                                                            test_encode(PL_TOPIC_ACCOUNTS, json)),
                         PL_OK);
    }
}

static void lists_are_bounded(void **state)
{
    static const struct { const char *path; unsigned max; } lists[] = {
        { "doubts", PL_DOUBTS_MAX }, { "pending", PL_PENDING_MAX } };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(lists); i++) {
        json_t *json = test_json(test_records[TEST_RECORD_ACCOUNTS].json);
        json_t *list = json_object_get(json, lists[i].path);
        while (json_array_size(list) <= lists[i].max)
            json_array_append(list, json_array_get(list, 0));
        assert_int_equal(test_decoder(TEST_RECORD_ACCOUNTS)(test_key("alice"),
                                                            test_encode(PL_TOPIC_ACCOUNTS, json)),
                         PL_REJECT_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_goes_there_and_back),
        cmocka_unit_test(absent_is_not_zero),
        cmocka_unit_test(calls_go_there_and_back),
        cmocka_unit_test(bad_states_are_refused),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(limits_may_touch_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
