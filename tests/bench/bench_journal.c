/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the journal and its digests cost the live step. A seeded venue's log is stepped through again
 * with the live service's code: apply, search, decide, encode; beside it, timed apart, what exists only
 * for the auditor: hashing each input, the outputs' digest, building, encoding, hashing and (told apart)
 * signing the entry. With PLIMSOLL_TEST_KAFKA a step's outputs are also committed on the broker, with
 * and without the journal record in turn. One JSON line.
 *
 *   bench_journal [ACCOUNTS [STEPS [TRANSACTIONS]]]      default 20000 200 200
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/kafka/txn.h"
#include "lib/service/process.h"
#include "lib/service/version.h"
#include "services/cli/workspace.h"
#include "tests/support/audit_log.h"
#include "tests/support/kafka_admin.h"

enum { INPUTS = 6 };
static const enum pl_topic inputs[INPUTS] = { PL_TOPIC_CONTROL,    PL_TOPIC_PARAMETERS,
                                              PL_TOPIC_CHAINS,     PL_TOPIC_MARKS,
                                              PL_TOPIC_EXECUTIONS, PL_TOPIC_HOLDINGS };

static struct workspace space;
static struct audit_log venue_log;
static size_t places[INPUTS];
static struct pl_inputs_digest digests[INPUTS];
static struct pl_journal entry;
static uint8_t previous_hash[PL_HASH_BYTES], *marks;
static int64_t decide_ns, journal_ns, sign_ns;
static uint64_t step_count, input_count, output_count, journal_bytes, output_bytes;

static void must(enum pl_err err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "bench_journal: %s: %s\n", what, pl_err_text());
    exit(1);
}

static void apply(const struct pl_record *record)
{
    struct venue_news news;
    bool is_data = record->topic == PL_TOPIC_HOLDINGS || record->topic == PL_TOPIC_EXECUTIONS;
    (void)!(is_data ? ledger_apply(&space.ledger, &space.venue, record)
                    : venue_apply(&space.venue, record, &news));
}

/* All that the entry saw: applied and timed, then hashed and timed. */
static void read_inputs(void)
{
    for (unsigned i = 0; i < INPUTS; i++) {
        const struct audit_stream *stream = audit_log_stream(&venue_log, inputs[i], 0);
        int64_t end = journal_coordinate(&entry, inputs[i])->offset;
        size_t first = places[i], last = first;
        while (stream && last < stream->count && stream->records[last].offset < end)
            last++;
        int64_t begin_ns = pl_mono_ns();
        for (size_t at = first; at < last; at++)
            apply(&stream->records[at]);
        int64_t middle_ns = pl_mono_ns();
        uint8_t hash[PL_HASH_BYTES];
        for (size_t at = first; at < last; at++) {
            const struct pl_record *record = &stream->records[at];
            pl_wire_input_hash(record->offset, record->key, record->value, hash);
            pl_inputs_digest_add(&digests[i], hash);
        }
        decide_ns += middle_ns - begin_ns;
        journal_ns += pl_mono_ns() - middle_ns;
        input_count += last - first;
        places[i] = last;
    }
}

static void decide(void)
{
    static const char *names[PL_TOPIC_COUNT];
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        names[topic] = pl_topic_default_name((enum pl_topic)topic);
    const struct writer writer = { .slot = entry.slot, .build = entry.build, .topic_names = names,
                                   .sequence = entry.sequence };
    struct ledger *ledger = &space.ledger;
    int64_t begin_ns = pl_mono_ns();
    venue_update(&space.venue, entry.clock_ms);
    if (entry.readiness == PL_READINESS_DECIDING) {
        struct pl_market *market = space.venue.market;
        if (market->parameters_changed || ledger->decide_all)
            market->changed_mask = UINT64_MAX;
        uint32_t count = pl_screen(market, ledger->book, ledger->touched, ledger->touched_count,
                                   space.rows, marks);
        must(ledger_decide(ledger, &space.venue, space.rows, count, &writer, &space.staging, NULL,
                           NULL), "decide");
        ledger_forget_causes(ledger);
    }
    decide_ns += pl_mono_ns() - begin_ns;
}

static struct pl_bytes_view journal(const struct pl_key *key)
{
    struct pl_outputs_digest digest;
    struct pl_bytes_view value;
    uint8_t signature[PL_SIGNATURE_BYTES];
    int64_t begin_ns = pl_mono_ns();
    must(pl_outputs_digest_begin(&digest), "digest");
    for (uint32_t i = 0; i < space.staging.output_count; i++)
        pl_outputs_digest_add(&digest, space.staging.outputs[i].topic, space.staging.outputs[i].key,
                              space.staging.outputs[i].value);
    pl_outputs_digest_end(&digest, entry.outputs_digest);
    for (unsigned i = 0; i < INPUTS; i++) {
        struct pl_coordinate *coordinate =
            (struct pl_coordinate *)(uintptr_t)journal_coordinate(&entry, inputs[i]);
        pl_inputs_digest_read(&digests[i], coordinate->digest);
        pl_inputs_digest_reset(&digests[i]);
    }
    entry.settled_digest = ledger_settled_digest(&space.ledger, space.staging.states,
                                                 space.staging.state_count);
    entry.book_digest = pl_book_digest(space.ledger.book);
    memcpy(entry.previous_hash, previous_hash, PL_HASH_BYTES);
    must(pl_wire_journal_encode(space.venue.wire, &entry, &value), "entry");
    pl_wire_hash(value, previous_hash);
    int64_t middle_ns = pl_mono_ns();
    must(pl_key_sign(key, value, signature), "sign");
    journal_ns += middle_ns - begin_ns;
    sign_ns += pl_mono_ns() - middle_ns;
    return value;
}

static void step(const struct pl_record *record, const struct pl_key *key)
{
    workspace_begin_step(&space);
    pl_wire_reset(space.venue.wire);
    must(pl_wire_journal_decode(space.venue.wire, record->value, &entry), "journal");
    read_inputs();
    decide();
    journal_bytes += journal(key).size_bytes;
    for (uint32_t i = 0; i < space.staging.output_count; i++)
        output_bytes += space.staging.outputs[i].value.size_bytes;
    output_count += space.staging.output_count;
    must(ledger_settle(&space.ledger, space.staging.states, space.staging.state_count), "settle");
    step_count++;
}

/* ---- the transaction -------------------------------------------------------------------------- */

static struct pl_txn *txn;

static double commit_ns(bool with_journal, uint64_t outputs, uint64_t bytes, uint64_t entry_bytes)
{
    static uint8_t block[1 << 16];
    const struct pl_bytes_view key = { (const uint8_t *)"account", 7 };
    int64_t begin_ns = pl_mono_ns();
    must(pl_txn_begin(txn), "begin");
    for (uint64_t i = 0; i < outputs; i++)
        must(pl_txn_produce(txn, i % 2 ? PL_TOPIC_ORDERS : PL_TOPIC_ACCOUNTS, 0, key,
                            (struct pl_bytes_view){ block, bytes / outputs }, NULL, 0), "produce");
    if (with_journal)
        must(pl_txn_produce(txn, PL_TOPIC_JOURNAL, 0, key,
                            (struct pl_bytes_view){ block, entry_bytes }, NULL, 0), "produce");
    must(pl_txn_commit(txn, NULL, 0), "commit");
    return (double)(pl_mono_ns() - begin_ns);
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Medians, in microseconds, of transactions without and with the journal's record. */
static bool transact(unsigned count, double medians_us[2])
{
    static struct pl_kafka_settings settings;
    static double ns[2][10000];
    char prefix[64];
    uint64_t outputs = (output_count + step_count - 1) / step_count;
    if (!getenv("PLIMSOLL_TEST_KAFKA"))
        return false;
    if (count > 10000)
        count = 10000;
    kafka_admin_unique("bench-journal", prefix);
    kafka_admin_settings(&settings, prefix, prefix);
    kafka_admin_create(settings.topic_names[PL_TOPIC_ORDERS], 1, NULL);
    kafka_admin_create(settings.topic_names[PL_TOPIC_ACCOUNTS], 1, NULL);
    kafka_admin_create(settings.topic_names[PL_TOPIC_JOURNAL], 1, NULL);
    must(pl_txn_open(&txn, &settings, prefix, 10000), "transaction");
    if (outputs == 0)
        outputs = 1;
    for (unsigned i = 0; i < 2 * count + 20; i++) {
        double took_ns = commit_ns(i % 2, outputs, output_bytes / step_count + outputs,
                                   journal_bytes / step_count);
        usleep(2000); /* apart, as steps are: back to back the broker is still busy with the last */
        if (i >= 20)
            ns[i % 2][(i - 20) / 2] = took_ns;
    }
    for (unsigned with = 0; with < 2; with++) {
        qsort(ns[with], count, sizeof(double), by_size);
        medians_us[with] = ns[with][count / 2] / 1e3;
    }
    pl_txn_close(&txn);
    return true;
}

/* Any key will do: the first test vector of RFC 8032. */
static struct pl_key *make_key(void)
{
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                              "-----END PRIVATE KEY-----\n";
    char path[64] = "/tmp/plimsoll-bench-key.XXXXXX";
    struct pl_key *key = NULL;
    int file = mkstemp(path);
    if (file < 0 || write(file, pem, sizeof(pem) - 1) != (ssize_t)sizeof(pem) - 1)
        exit(1);
    close(file);
    must(pl_key_open_private(&key, path), "key");
    unlink(path);
    return key;
}

int main(int argc, char **argv)
{
    unsigned accounts = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;
    unsigned steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200;
    unsigned transactions = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 200;
    static struct ledger_execution executions[1 << 16];
    double medians_us[2] = { 0 };
    audit_log_build(&venue_log, &(struct audit_log_options){
        .seed = 1, .partition_count = 1, .account_count = accounts, .coin_count = 8,
        .step_count = steps, .heartbeat_steps = 1, .step_ms = 1000, .is_calm = true });
    must(workspace_open(&space, 0, 1, accounts + 16), "workspace");
    marks = calloc(accounts + 16, 1);
    space.ledger.executions = executions;
    space.ledger.execution_capacity = sizeof(executions) / sizeof(executions[0]);
    space.ledger.decide_all = true;
    for (unsigned i = 0; i < INPUTS; i++)
        must(pl_inputs_digest_begin(&digests[i]), "digest");
    struct pl_key *key = make_key();
    const struct audit_stream *stream = audit_log_stream(&venue_log, PL_TOPIC_JOURNAL, 0);
    for (size_t i = 0; i < stream->count; i++) {
        if (i == 2) /* loading the book is no step */
            decide_ns = journal_ns = sign_ns = 0, step_count = input_count = output_count =
                journal_bytes = output_bytes = 0;
        step(&stream->records[i], key);
    }
    double step_us = (double)decide_ns / 1e3 / (double)step_count;
    double journal_us = (double)journal_ns / 1e3 / (double)step_count;
    double sign_us = (double)sign_ns / 1e3 / (double)step_count;
    bool has_broker = transact(transactions, medians_us);
    printf("{\"bench\":\"journal\",\"accounts\":%u,\"steps\":%llu,\"inputs_per_step\":%.1f,"
           "\"outputs_per_step\":%.1f,\"entry_bytes\":%llu,\"step_us\":%.1f,\"journal_us\":%.1f,"
           "\"sign_us\":%.1f,\"journal_of_step\":%.3f", accounts, (unsigned long long)step_count,
           (double)input_count / (double)step_count, (double)output_count / (double)step_count,
           (unsigned long long)(journal_bytes / step_count), step_us, journal_us, sign_us,
           journal_us / step_us);
    if (has_broker)
        printf(",\"transaction_us\":%.0f,\"transaction_with_journal_us\":%.0f,"
               "\"journal_of_live_step\":%.3f", medians_us[0], medians_us[1],
               (journal_us + sign_us + medians_us[1] - medians_us[0]) / (step_us + medians_us[0]));
    printf("}\n");
    return 0;
}
