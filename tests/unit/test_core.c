/* SPDX-License-Identifier: Apache-2.0 */
/* What replay relies on in services/liquidation/core.h: the order in which topics were read, and when,
 * shows nowhere in what is published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/cli/workspace.h"
#include "tests/support/wire.h"

enum { PARTITIONS = 1, ACCOUNTS = 64 };

static struct workspace space;
static const char *topic_names[PL_TOPIC_COUNT];
static const struct writer writer = { .slot = "w-0", .build = "test", .topic_names = topic_names,
                                      .sequence = 7 };

static int open_space(void **state)
{
    static struct ledger_execution executions[16];
    (void)state;
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        topic_names[topic] = pl_topic_default_name((enum pl_topic)topic);
    memset(&space, 0, sizeof(space));
    assert_int_equal(workspace_open(&space, 0, PARTITIONS, ACCOUNTS), PL_OK);
    space.ledger.executions = executions;
    space.ledger.execution_capacity = 16;
    return 0;
}

static int close_space(void **state)
{
    (void)state;
    workspace_close(&space);
    return 0;
}

static struct pl_bytes_view bytes(const char *text)
{
    return (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) };
}

static struct pl_record garbage(enum pl_topic topic, int64_t offset)
{
    return (struct pl_record){ .topic = topic, .offset = offset, .timestamp_ms = 1,
                               .key = bytes("alice"), .value = bytes("\xff\xff garbage") };
}

/* Applies as the service does: what is rejected and not yet told is kept. */
static void apply(const struct pl_record *record)
{
    enum pl_err err = ledger_apply(&space.ledger, &space.venue, record);
    if (pl_err_action(err) == PL_ACTION_REJECT && !ledger_is_told(&space.ledger, record, err))
        ledger_reject(&space.ledger, record, err);
}

static uint32_t stage_dead_letters(bool is_deciding)
{
    workspace_begin_step(&space);
    assert_int_equal(ledger_stage_dead_letters(&space.ledger, &space.venue, is_deciding, &writer,
                                               &space.staging), PL_OK);
    return space.staging.output_count;
}

static const char *offset_of(uint32_t output)
{
    static char text[32];
    const struct output *dead = &space.staging.outputs[output];
    for (unsigned i = 0; i < dead->header_count; i++)
        if (strcmp(dead->headers[i].name, "__connect.errors.offset") == 0) {
            snprintf(text, sizeof(text), "%.*s", (int)dead->headers[i].value.size_bytes,
                     (const char *)dead->headers[i].value.data);
            return text;
        }
    return "";
}

static void dead_letters_come_in_one_order(void **state)
{
    (void)state;
    struct pl_record records[] = { garbage(PL_TOPIC_EXECUTIONS, 4), garbage(PL_TOPIC_HOLDINGS, 9),
                                   garbage(PL_TOPIC_EXECUTIONS, 3), garbage(PL_TOPIC_HOLDINGS, 10) };
    for (unsigned i = 0; i < 4; i++)
        apply(&records[i]);
    assert_int_equal(stage_dead_letters(true), 4);
    const char *const expected[] = { "9", "10", "3", "4" };
    for (uint32_t i = 0; i < 4; i++)
        assert_string_equal(offset_of(i), expected[i]);
}

/* A reader keeps only the first PL_HEADERS_MAX headers, and a dead letter has more. */
static void a_dead_letter_names_its_entry_first(void **state)
{
    (void)state;
    struct pl_record record = garbage(PL_TOPIC_HOLDINGS, 5);
    int32_t partition = -1;
    uint64_t sequence = 0;
    record.headers[0] = (struct pl_header){ PL_JOURNAL_HEADER, bytes("0/3") }; /* somebody lies */
    record.header_count = 1;
    apply(&record);
    assert_int_equal(stage_dead_letters(true), 1);
    const struct output *dead = &space.staging.outputs[0];
    assert_true(dead->header_count > PL_HEADERS_MAX);
    assert_true(pl_wire_journal_of(dead->headers, PL_HEADERS_MAX, &partition, &sequence));
    assert_int_equal(partition, 0);
    assert_int_equal(sequence, 7);
    assert_true(pl_wire_journal_of(dead->headers, dead->header_count, &partition, &sequence));
    assert_int_equal(sequence, 7);
}

/* The journal's vector counts reports once they are decided on; telling of one before would tell it
 * twice after a restart. */
static void rejected_reports_wait_for_a_decision(void **state)
{
    (void)state;
    struct pl_record report = garbage(PL_TOPIC_EXECUTIONS, 4);
    struct pl_record holdings = garbage(PL_TOPIC_HOLDINGS, 9);
    apply(&report);
    apply(&holdings);
    assert_int_equal(stage_dead_letters(false), 1);
    assert_string_equal(offset_of(0), "9");
    ledger_forget_dead(&space.ledger, false);
    assert_int_equal(stage_dead_letters(true), 1);
    assert_string_equal(offset_of(0), "4");
    ledger_forget_dead(&space.ledger, true);
    assert_int_equal(stage_dead_letters(true), 0);
}

/* Whether the account has a row yet depends on which topic was read first. */
static void a_report_of_an_unknown_account_is_void(void **state)
{
    (void)state;
    struct pl_record record = garbage(PL_TOPIC_EXECUTIONS, 4);
    record.key = bytes(test_records[TEST_RECORD_EXECUTIONS].key);
    record.value = test_bytes_of(TEST_RECORD_EXECUTIONS);
    apply(&record);
    assert_int_equal(space.ledger.dead_count, 0);
    assert_int_equal(space.ledger.execution_count, 0);
}

/* G4: whatever is wrong with the last word on an account, it is in doubt. */
static void bad_holdings_taint_the_account(void **state)
{
    (void)state;
    struct pl_record records[] = { garbage(PL_TOPIC_HOLDINGS, 1), garbage(PL_TOPIC_HOLDINGS, 2),
                                   garbage(PL_TOPIC_HOLDINGS, 3) };
    const char *const keys[] = { "alice", "bob", "carol" };
    records[1].value = (struct pl_bytes_view){ NULL, 0 }; /* a tombstone */
    records[2].value = bytes("");
    for (unsigned i = 0; i < 3; i++) {
        struct pl_id account;
        uint32_t row = 0;
        records[i].key = bytes(keys[i]);
        apply(&records[i]);
        assert_int_equal(pl_id_set(&account, records[i].key.data, records[i].key.size_bytes), PL_OK);
        assert_true(pl_book_find(space.ledger.book, &account, &row));
        assert_true(pl_book_at(space.ledger.book, row)->is_tainted);
    }
    assert_int_equal(space.ledger.dead_count, 3);
}

/* A row of a reserved id would put a state on Kafka that no restart can read. */
static void bad_holdings_of_a_reserved_id_make_no_account(void **state)
{
    (void)state;
    struct pl_record record = garbage(PL_TOPIC_HOLDINGS, 1);
    record.key = bytes("~alice");
    apply(&record);
    assert_int_equal(pl_book_count(space.ledger.book), 0);
    assert_int_equal(space.ledger.dead_count, 1);
}

static void bad_holdings_of_before_are_not_told_again(void **state)
{
    (void)state;
    space.ledger.news_from = 10;
    struct pl_record old = garbage(PL_TOPIC_HOLDINGS, 9), news = garbage(PL_TOPIC_HOLDINGS, 10);
    apply(&old);
    assert_int_equal(space.ledger.dead_count, 0);
    apply(&news);
    assert_int_equal(space.ledger.dead_count, 1);
}

/* G8 */
static void unreadable_control_halts_until_everything_is_resumed(void **state)
{
    (void)state;
    struct venue_news news;
    struct pl_control resume = { .epoch = 3, .created_ms = 1, .actor = "ops", .reason = "over" };
    struct pl_id alice, bob;
    assert_int_equal(pl_id_set(&alice, (const uint8_t *)"alice", 5), PL_OK);
    assert_int_equal(pl_id_set(&bob, (const uint8_t *)"bob", 3), PL_OK);
    struct pl_record record = garbage(PL_TOPIC_CONTROL, 0);
    assert_false(venue_halts(&space.venue, &alice));
    assert_true(venue_apply(&space.venue, &record, &news) != PL_OK);
    assert_true(venue_halts(&space.venue, &alice));
    resume.account = alice;
    assert_int_equal(pl_wire_control_encode(space.venue.wire, &resume, &record.key, &record.value),
                     PL_OK);
    assert_int_equal(venue_apply(&space.venue, &record, &news), PL_OK);
    assert_true(venue_halts(&space.venue, &alice));
    resume.account = (struct pl_id){ 0 };
    assert_int_equal(pl_wire_control_encode(space.venue.wire, &resume, &record.key, &record.value),
                     PL_OK);
    assert_int_equal(venue_apply(&space.venue, &record, &news), PL_OK);
    assert_int_equal(news.kind, VENUE_CONTROL);
    assert_false(venue_halts(&space.venue, &alice));
    resume.account = bob;
    resume.is_halt = true;
    assert_int_equal(pl_wire_control_encode(space.venue.wire, &resume, &record.key, &record.value),
                     PL_OK);
    assert_int_equal(venue_apply(&space.venue, &record, &news), PL_OK);
    assert_true(venue_halts(&space.venue, &bob));
    assert_false(venue_halts(&space.venue, &alice));
}

/* G4: a watermark that claims the future would keep the partition fresh until then. */
static void positions_must_be_young_on_either_side(void **state)
{
    static const struct {
        int64_t watermark_ms;
        enum pl_readiness expected;
    } cases[] = {
        { 99, PL_READINESS_WAITING }, { 100, PL_READINESS_DECIDING },
        { 1000, PL_READINESS_DECIDING }, { 1900, PL_READINESS_DECIDING },
        { 1901, PL_READINESS_WAITING }, { INT64_MAX, PL_READINESS_WAITING },
    };
    static struct pl_parameters parameters = { .policy.watermark_age_ms_max = 900 };
    (void)state;
    struct venue venue = { .parameters = &parameters };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        space.ledger.watermark.time_ms = cases[i].watermark_ms;
        assert_int_equal(ledger_readiness(&space.ledger, &venue, 1000), cases[i].expected);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_space, close_space)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(dead_letters_come_in_one_order),
        CASE(a_dead_letter_names_its_entry_first),
        CASE(rejected_reports_wait_for_a_decision),
        CASE(a_report_of_an_unknown_account_is_void),
        CASE(bad_holdings_taint_the_account),
        CASE(bad_holdings_of_a_reserved_id_make_no_account),
        CASE(bad_holdings_of_before_are_not_told_again),
        CASE(unreadable_control_halts_until_everything_is_resumed),
        CASE(positions_must_be_young_on_either_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
