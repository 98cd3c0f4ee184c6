/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll export on the real pipeline and Apache Kafka. What is in a bundle is compared, record by
 * record, with what a plain reader sees on the topics and a naive rule says should be there: all of
 * it, a range of it, one account of it. Then with logs that retention has cut and that a dead
 * writer holds.
 *
 *   services ─► 11 topics ─► plimsoll export DIR ─► bundle ─┐
 *                     └────► kafka_admin_read ──────────────┴─► this test
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/kafka/txn.h"
#include "lib/service/process.h"
#include "services/cli/bundle.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/lenders.h"

enum { ACCOUNTS = 24, PARTITIONS = 3, ORDERS_MAX = 256, BEFORE_USD = 2400, AFTER_USD = 2000,
       LATER_USD = 1900, FIRST_DEBT_USD = 14000, STEP_USD = 200, PATH_BYTES = 512 };

static struct pipeline pipeline;
static struct pl_order orders[ORDERS_MAX];

/* ---- the log -------------------------------------------------------------------------------- */

/* Records that nobody can read: they become dead letters of the liquidation service. */
static void publish_garbage(void)
{
    char name[256];
    kafka_admin_put(pipeline_topic(&pipeline, PL_TOPIC_EXECUTIONS, name), 0, "nobody", "garbage");
    kafka_admin_put(pipeline_topic(&pipeline, PL_TOPIC_EXECUTIONS, name), 1, NULL, "no key");
    kafka_admin_put(pipeline_topic(&pipeline, PL_TOPIC_HOLDINGS, name), -1, "g0-2", "garbage");
    kafka_admin_put(pipeline_topic(&pipeline, PL_TOPIC_MARKS, name), 0, "COIN0", "garbage");
}

/* A crash, a fall, a restart of the worker in between; then everything stands still. */
static void make_log(void)
{
    static const char *const first_start[] = { "first_start=yes", NULL };
    lenders_parameters(&pipeline, 1);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    pipeline_price(&pipeline, "COIN0", BEFORE_USD, 0);
    struct process *worker = pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, worker, 60);
    lenders_positions(&pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    pipeline_start_fills(&pipeline, NULL);
    sleep(2);
    publish_garbage();
    pipeline_price(&pipeline, "COIN0", AFTER_USD, 0);
    unsigned count = pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, 1, 30);
    assert_true(count > 0);
    pipeline_end(worker, SIGTERM);
    worker = pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, worker, 60);
    lenders_borrow(&pipeline, 0, ACCOUNTS, 10, 2);
    pipeline_price(&pipeline, "COIN0", LATER_USD, 0);
    assert_true(pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, count + 1, 30) > count);
    sleep(2);
    for (unsigned i = pipeline.process_count; i-- > 0;)
        pipeline_end(&pipeline.processes[i], SIGTERM);
}

/* ---- what the topics have ------------------------------------------------------------------- */

static struct { struct pl_record *rows; size_t count; } topics[PL_TOPIC_COUNT];

static void read_topics(void)
{
    char name[256];
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        topics[i].count = kafka_admin_read(pipeline_topic(&pipeline, (enum pl_topic)i, name), true,
                                           &topics[i].rows);
}

static void free_topics(void)
{
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        kafka_admin_free(topics[i].rows, topics[i].count);
}

/* The entry of a partition with this sequence; 0: the last. False when there is none. */
static bool entry_of(int32_t partition, uint64_t sequence, struct pl_journal *entry)
{
    bool is_found = false;
    for (size_t i = 0; i < topics[PL_TOPIC_JOURNAL].count; i++) {
        const struct pl_record *row = &topics[PL_TOPIC_JOURNAL].rows[i];
        struct pl_journal journal;
        if (row->partition != partition)
            continue;
        assert_int_equal(pl_wire_journal_decode(pipeline.wire, row->value, &journal), PL_OK);
        if (sequence == 0 || journal.sequence == sequence) {
            *entry = journal;
            is_found = true;
        }
    }
    return is_found;
}

static int64_t vector_of(const struct pl_journal *entry, enum pl_topic topic)
{
    for (uint32_t i = 0; i < entry->vector_count; i++)
        if (entry->vector[i].topic == topic)
            return entry->vector[i].offset;
    fail_msg("no coordinate of %s", pl_topic_word(topic));
    return 0;
}

/* Of which entry of its own partition a record is an output; 0: of none. */
static uint64_t sequence_of(const struct pl_record *row, int32_t *partition)
{
    uint64_t sequence = 0;
    bool is_output =
        pl_wire_journal_of(row->headers, row->header_count, partition, &sequence);
    return is_output ? sequence : 0;
}

/* ---- naive rules ---------------------------------------------------------------------------- */

/* A range of entries of each partition: after `base` (0: from the first) up to `last`. */
struct expected {
    const char *account; /* NULL: all */
    int only;            /* partition, or -1 */
    uint64_t base[PARTITIONS], last[PARTITIONS];
};

static bool is_in_range(const struct expected *expected, int32_t partition, uint64_t sequence)
{
    bool is_wanted = expected->only < 0 || expected->only == partition;
    return is_wanted && sequence > expected->base[partition] &&
           sequence <= expected->last[partition];
}

static bool has_key(const struct pl_record *row, const char *key)
{
    return row->key.data && row->key.size_bytes == strlen(key) &&
           memcmp(row->key.data, key, row->key.size_bytes) == 0;
}

static bool same_key(const struct pl_record *left, const struct pl_record *right)
{
    return left->key.data && right->key.data && left->partition == right->partition &&
           left->key.size_bytes == right->key.size_bytes &&
           memcmp(left->key.data, right->key.data, left->key.size_bytes) == 0;
}

static bool is_readable(const struct pl_record *row)
{
    static struct pl_record_holdings holdings;
    struct pl_watermark watermark;
    if (pl_wire_is_watermark(row->key))
        return pl_wire_watermark_decode(pipeline.wire, row->value, &watermark) == PL_OK;
    return pl_wire_record_decode(pipeline.wire, row->key, row->value, &holdings) == PL_OK;
}

/* Below the base's vector only what no later good record below it replaces. */
static unsigned replaced_count; /* of accounts: without any the test proves nothing */

static bool is_holdings_expected(const struct expected *expected, size_t at)
{
    const struct pl_record *rows = topics[PL_TOPIC_HOLDINGS].rows, *row = &rows[at];
    struct pl_journal base, last;
    int64_t from = 0;
    assert_true(entry_of(row->partition, expected->last[row->partition], &last));
    if (expected->base[row->partition] > 0) {
        assert_true(entry_of(row->partition, expected->base[row->partition], &base));
        from = vector_of(&base, PL_TOPIC_HOLDINGS);
    }
    if (row->offset >= vector_of(&last, PL_TOPIC_HOLDINGS))
        return false;
    for (size_t i = at + 1; row->offset < from && i < topics[PL_TOPIC_HOLDINGS].count; i++)
        if (same_key(row, &rows[i]) && rows[i].offset < from && is_readable(&rows[i])) {
            replaced_count += !pl_wire_is_watermark(row->key);
            return false;
        }
    return true;
}

static bool is_state_expected(const struct expected *expected, size_t at)
{
    const struct pl_record *rows = topics[PL_TOPIC_ACCOUNTS].rows, *row = &rows[at];
    int32_t partition = 0;
    uint64_t base = expected->base[row->partition], sequence = sequence_of(row, &partition);
    if (sequence > base || expected->account)
        return sequence <= expected->last[row->partition];
    for (size_t i = at + 1; i < topics[PL_TOPIC_ACCOUNTS].count; i++)
        if (same_key(row, &rows[i]) && sequence_of(&rows[i], &partition) <= base)
            return false;
    return true;
}

/* Inputs that everybody reads: to the furthest vector; marks from the first that any worker
 * read. */
static bool is_broadcast_expected(const struct expected *expected, const struct pl_record *row)
{
    int64_t from = INT64_MAX, to = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct pl_journal last;
        if (expected->only >= 0 && expected->only != i)
            continue;
        assert_true(entry_of(i, expected->last[i], &last));
        to = vector_of(&last, row->topic) > to ? vector_of(&last, row->topic) : to;
        for (uint64_t s = expected->base[i] ? expected->base[i] : 1; s <= expected->last[i]; s++) {
            struct pl_journal entry;
            assert_true(entry_of(i, s, &entry));
            from = entry.marks_first_offset < from ? entry.marks_first_offset : from;
        }
    }
    return row->offset < to && (row->topic != PL_TOPIC_MARKS || row->offset >= from);
}

static bool is_of_others(const struct expected *expected, const struct pl_record *row)
{
    return expected->account && !has_key(row, expected->account) &&
           !pl_wire_is_watermark(row->key);
}

static bool is_expected(const struct expected *expected, size_t at, const struct pl_record *row)
{
    int32_t partition = 0;
    struct pl_journal entry;
    uint64_t sequence = sequence_of(row, &partition);
    bool is_broadcast = row->topic == PL_TOPIC_CONTROL || row->topic == PL_TOPIC_PARAMETERS ||
                        row->topic == PL_TOPIC_CHAINS || row->topic == PL_TOPIC_MARKS;
    if (is_broadcast)
        return is_broadcast_expected(expected, row);
    if (row->topic == PL_TOPIC_DEADLETTER)
        return sequence > 0 && is_in_range(expected, partition, sequence);
    if (row->topic == PL_TOPIC_PRICES || row->topic == PL_TOPIC_POSITIONS ||
        (expected->only >= 0 && expected->only != row->partition))
        return false;
    if (row->topic == PL_TOPIC_JOURNAL) {
        assert_int_equal(pl_wire_journal_decode(pipeline.wire, row->value, &entry), PL_OK);
        return entry.sequence == expected->base[row->partition] ||
               is_in_range(expected, row->partition, entry.sequence);
    }
    if (is_of_others(expected, row))
        return false;
    if (row->topic == PL_TOPIC_HOLDINGS)
        return is_holdings_expected(expected, at);
    if (row->topic == PL_TOPIC_ACCOUNTS)
        return is_state_expected(expected, at);
    if (row->topic == PL_TOPIC_EXECUTIONS) {
        assert_true(entry_of(row->partition, expected->last[row->partition], &entry));
        int64_t to = vector_of(&entry, PL_TOPIC_EXECUTIONS), from = 0;
        if (expected->base[row->partition]) {
            assert_true(entry_of(row->partition, expected->base[row->partition], &entry));
            from = vector_of(&entry, PL_TOPIC_EXECUTIONS);
        }
        return row->offset >= from && row->offset < to;
    }
    return sequence <= expected->last[row->partition] &&
           (expected->account || is_in_range(expected, row->partition, sequence));
}

/* ---- comparing ------------------------------------------------------------------------------ */

static void same_view(struct pl_bytes_view left, struct pl_bytes_view right)
{
    assert_int_equal(left.data == NULL, right.data == NULL);
    assert_int_equal(left.size_bytes, right.size_bytes);
    if (left.data)
        assert_memory_equal(left.data, right.data, left.size_bytes);
}

static void same_record(const struct pl_record *left, const struct pl_record *right)
{
    assert_int_equal(left->timestamp_ms, right->timestamp_ms);
    same_view(left->key, right->key);
    same_view(left->value, right->value);
    assert_int_equal(left->header_count, right->header_count);
    for (unsigned i = 0; i < left->header_count; i++) {
        assert_string_equal(left->headers[i].name, right->headers[i].name);
        same_view(left->headers[i].value, right->headers[i].value);
    }
}

/* Every row that is expected is the bundle's next of its stream, and there is nothing else. */
static size_t check_topic(const struct bundle *bundle, enum pl_topic topic,
                          const struct expected *expected)
{
    static struct bundle_cursor cursors[PL_PARTITIONS_MAX];
    struct pl_record record;
    bool found = false;
    size_t count = 0;
    for (int32_t i = 0; i < PL_PARTITIONS_MAX; i++)
        cursors[i] = (struct bundle_cursor){ .stream = bundle_find(bundle, topic, i) };
    for (size_t i = 0; i < topics[topic].count; i++) {
        struct pl_record *row = &topics[topic].rows[i];
        row->topic = topic;
        if (!is_expected(expected, i, row))
            continue;
        assert_int_equal(bundle_next(&cursors[row->partition], &record, &found), PL_OK);
        if (!found || record.offset != row->offset)
            fail_msg("%s partition %d offset %lld is not in the bundle, but %lld",
                     pl_topic_word(topic), (int)row->partition, (long long)row->offset,
                     found ? (long long)record.offset : -1);
        same_record(&record, row);
        count++;
    }
    for (int32_t i = 0; i < PL_PARTITIONS_MAX; i++) {
        assert_int_equal(bundle_next(&cursors[i], &record, &found), PL_OK);
        if (found)
            fail_msg("%s partition %d offset %lld is in the bundle", pl_topic_word(topic), (int)i,
                     (long long)record.offset);
    }
    return count;
}

static const char *directory_of(const char *name)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", pipeline.dir, name);
    return path;
}

/* Runs the export with further arguments; the bundle is the caller's. */
static struct bundle *export_to(const char *name, const char *const *arguments)
{
    struct bundle *bundle = NULL;
    const char *line[16] = { "export", directory_of(name) };
    for (unsigned i = 0; arguments && arguments[i]; i++)
        line[i + 2] = arguments[i];
    int64_t from_ms = pl_mono_ms();
    const char *text = pipeline_run(&pipeline, NULL, line);
    print_message("export %s: %lld ms\n", name, (long long)(pl_mono_ms() - from_ms));
    assert_non_null(strstr(text, "manifest "));
    assert_int_equal(bundle_open(&bundle, directory_of(name)), PL_OK);
    assert_int_equal(bundle_check_files(bundle), PL_OK);
    assert_int_equal(bundle_partition_count(bundle), PARTITIONS);
    assert_int_not_equal(access(directory_of("spool"), F_OK), 0);
    return bundle;
}

static void check_bundle(struct bundle *bundle, const struct expected *expected)
{
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        print_message("  %s %zu\n", pl_topic_word((enum pl_topic)topic),
                      check_topic(bundle, (enum pl_topic)topic, expected));
    bundle_close(&bundle);
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* The bundle says by itself that it is whole (G2, G3): the commands read nothing else. */
static void audit(const char *name, const char *partition)
{
    static const char *const commands[] = { "verify", "replay" };
    for (unsigned i = 0; i < 2; i++) {
        const char *line[] = { commands[i], "--bundle", directory_of(name),
                               partition ? "--partition" : NULL, partition, NULL };
        const char *text = pipeline_run(&pipeline, NULL, line);
        assert_non_null(strstr(text, i == 0 ? "verified" : "identical"));
    }
}

static struct expected everything(void)
{
    struct expected expected = { .only = -1 };
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct pl_journal last;
        assert_true(entry_of(i, 0, &last));
        expected.last[i] = last.sequence;
    }
    return expected;
}

static void test_everything(void **state)
{
    (void)state;
    const struct expected expected = everything();
    struct bundle *bundle = export_to("all", NULL);
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        if (topic != PL_TOPIC_PRICES && topic != PL_TOPIC_POSITIONS && topic != PL_TOPIC_CONTROL &&
            topic != PL_TOPIC_CHAINS && check_topic(bundle, (enum pl_topic)topic, &expected) == 0)
            fail_msg("no %s: the test proves nothing", pl_topic_word((enum pl_topic)topic));
    check_bundle(bundle, &expected);
    audit("all", NULL);
}

static void test_one_partition_by_sequence(void **state)
{
    (void)state;
    struct expected expected = everything();
    char from[32], to[32], partition[8];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        expected.only = i;
        expected.base[i] = 2 * expected.last[i] / 3;
        expected.last[i] -= 2;
        snprintf(from, sizeof(from), "sequence=%llu", (unsigned long long)expected.base[i] + 1);
        snprintf(to, sizeof(to), "sequence=%llu", (unsigned long long)expected.last[i]);
        snprintf(partition, sizeof(partition), "%d", (int)i);
        char name[16];
        snprintf(name, sizeof(name), "sequence%d", (int)i);
        const char *const arguments[] = { "--partition", partition, "--from", from, "--to", to,
                                          NULL };
        check_bundle(export_to(name, arguments), &expected);
        audit(name, partition);
    }
    assert_true(replaced_count > 0);
}

/* The entry in force at a time is the newest whose clock is not after it. */
static uint64_t in_force(int32_t partition, int64_t time_ms)
{
    struct pl_journal entry;
    uint64_t sequence = 0;
    while (entry_of(partition, sequence + 1, &entry) && entry.clock_ms <= time_ms)
        sequence++;
    return sequence;
}

static void test_middle_by_time(void **state)
{
    (void)state;
    struct expected expected = everything();
    struct pl_journal first, last;
    char from[32], to[32];
    assert_true(entry_of(0, 1, &first) && entry_of(0, 0, &last));
    int64_t span_ms = last.clock_ms - first.clock_ms;
    int64_t from_ms = first.clock_ms + span_ms / 3, to_ms = first.clock_ms + 4 * span_ms / 5;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        uint64_t sequence = in_force(i, from_ms);
        expected.base[i] = sequence > 0 ? sequence - 1 : 0;
        expected.last[i] = in_force(i, to_ms);
    }
    snprintf(from, sizeof(from), "%lld", (long long)from_ms);
    snprintf(to, sizeof(to), "@%lld", (long long)to_ms);
    check_bundle(export_to("time", (const char *const[]){ "--from", from, "--to", to, NULL }),
                 &expected);
    audit("time", NULL);
}

static void test_one_account(void **state)
{
    (void)state;
    struct expected expected = everything();
    struct pl_order *order = &orders[0];
    expected.account = order->account.text;
    expected.only = pl_key_partition((const uint8_t *)order->account.text,
                                     order->account.size_bytes, PARTITIONS);
    struct bundle *bundle =
        export_to("account", (const char *const[]){ "--account", order->account.text, NULL });
    assert_true(check_topic(bundle, PL_TOPIC_ORDERS, &expected) > 0);
    check_bundle(bundle, &expected);
}

/* What a user may get wrong, and what is said. The directory stays as it was. */
static void refused(const char *name, int expected_status, const char *says,
                    const char *const *arguments)
{
    char path[PATH_BYTES], text[4096];
    const char *line[16] = { "export", directory_of(name) };
    int status = 0;
    for (unsigned i = 0; arguments[i]; i++)
        line[i + 2] = arguments[i];
    pipeline_run(&pipeline, &status, line);
    snprintf(path, sizeof(path), "%s/command.err", pipeline.dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    if (status != expected_status || !strstr(text, says))
        fail_msg("%s: exit status %d, \"%s\" and not \"%s\"", name, status, text, says);
    if (strcmp(name, "all") != 0 && access(directory_of(name), F_OK) == 0)
        assert_int_equal(rmdir(directory_of(name)), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("bad", 2, "that is no time", (const char *const[]){ "--from", "soon", NULL });
    refused("bad", 2, "--from is after --to",
            (const char *const[]){ "--from", "now", "--to", "-1h", NULL });
    refused("bad", 2, "say --partition", (const char *const[]){ "--from", "sequence=3", NULL });
    refused("bad", 2, "numbered from 0", (const char *const[]){ "--partition", "3", NULL });
    refused("bad", 2, "no entry at or before 2001-01-01",
            (const char *const[]){ "--to", "2001-01-01T00:00:00Z", NULL });
    refused("all", 2, "is not empty", (const char *const[]){ "--from", "-1h", NULL });
    refused("bad", 2, "/nowhere.pem", (const char *const[]){ "--key", "/nowhere.pem", NULL });
}

/* Somebody died in a transaction with records in the middle of the outputs: all that was
 * committed is there once the wait is over, and what is open is not. */
static void test_open_transaction(void **state)
{
    (void)state;
    struct pl_kafka_settings settings = { .brokers = pipeline.brokers, .client_id = "test",
                                          .group_id = "test" };
    static char names[PL_TOPIC_COUNT][256];
    struct pl_txn *txn;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        settings.topic_names[i] = pipeline_topic(&pipeline, (enum pl_topic)i, names[i]);
    assert_int_equal(pl_txn_open(&txn, &settings, pipeline.prefix, 60000), PL_OK);
    assert_int_equal(pl_txn_begin(txn), PL_OK);
    const struct pl_bytes_view value = { (const uint8_t *)"open", 4 };
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(pl_txn_produce(txn, PL_TOPIC_ALERTS, i, value, value, NULL, 0), PL_OK);
    sleep(2); /* on its way */
    const struct expected expected = everything();
    check_bundle(export_to("open", NULL), &expected);
    assert_int_equal(pl_txn_abort(txn), PL_OK);
    pl_txn_close(&txn);
}

/* Deletes the records of a partition before the one at `nth` of its rows; returns that offset. */
static int64_t trim(enum pl_topic topic, int32_t partition, size_t nth)
{
    char name[256];
    size_t seen = 0;
    for (size_t i = 0; i < topics[topic].count; i++) {
        const struct pl_record *row = &topics[topic].rows[i];
        if (row->partition != partition || seen++ < nth)
            continue;
        kafka_admin_trim(pipeline_topic(&pipeline, topic, name), partition, row->offset);
        return row->offset;
    }
    fail_msg("%s partition %d has not that many records", pl_topic_word(topic), (int)partition);
    return 0;
}

/* What is gone is named, with the offset at which the log begins now. A later range does
 * without. */
static void test_retention(void **state)
{
    (void)state;
    static const struct { enum pl_topic topic; int32_t partition; size_t nth; } cases[] = {
        { PL_TOPIC_EXECUTIONS, 0, 2 },
        { PL_TOPIC_ORDERS, 1, 1 },
        { PL_TOPIC_ALERTS, 2, 1 },
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char says[128], partition[8], name[16];
        int64_t offset = trim(cases[i].topic, cases[i].partition, cases[i].nth);
        snprintf(says, sizeof(says), "%s partition %d begins at offset %lld",
                 pl_topic_word(cases[i].topic), (int)cases[i].partition, (long long)offset);
        snprintf(partition, sizeof(partition), "%d", (int)cases[i].partition);
        refused("cut", 3, says, (const char *const[]){ "--partition", partition, NULL });
        snprintf(name, sizeof(name), "cut%u", i);
        struct bundle *bundle = export_to(
            name, (const char *const[]){ "--partition", partition, "--from", "now", NULL });
        bundle_close(&bundle);
    }
}

/* Marks from before the range are needed to replay it, but not to verify it. */
static void test_retention_of_marks(void **state)
{
    (void)state;
    char path[PATH_BYTES], text[4096], says[64];
    int64_t offset = trim(PL_TOPIC_MARKS, 0, topics[PL_TOPIC_MARKS].count / 2);
    struct bundle *bundle = export_to("marks", (const char *const[]){ "--from", "now", NULL });
    assert_int_equal(bundle_find(bundle, PL_TOPIC_MARKS, 0)->complete_from, offset);
    bundle_close(&bundle);
    snprintf(path, sizeof(path), "%s/command.err", pipeline.dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "can be verified, but not replayed"));
    snprintf(says, sizeof(says), "marks partition 0 begins at offset %lld", (long long)offset);
    refused("cut", 3, says, (const char *const[]){ "--to", "now", NULL });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_one_partition_by_sequence),
        cmocka_unit_test(test_middle_by_time),
        cmocka_unit_test(test_one_account),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_open_transaction),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_retention_of_marks),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.export needs Apache Kafka: PLIMSOLL_TEST_KAFKA is "
                "not set\n");
        return 77;
    }
    if (!pipeline_open(&pipeline, "export", PARTITIONS))
        return 77;
    make_log();
    read_topics();
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    free_topics();
    pipeline_close(&pipeline);
    return failures;
}
