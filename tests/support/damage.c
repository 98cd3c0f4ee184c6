/* SPDX-License-Identifier: Apache-2.0 */
/* The log that is damaged (damage.h). The seeds' logs are looked at until one has something of
 * everything: a test over less would prove less than it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/damage.h"
#include "tests/support/random.h"

static const uint64_t SEED = 1282;
static const size_t WIRE_BYTES = (size_t)8 << 20;

/* Any Ed25519 key will do: this is the one of RFC 8032's first test. */
static const char PRIVATE_KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char OTHER_KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

static struct pl_key *open_key(const char *pem)
{
    char path[] = "/tmp/plimsoll-tamper-XXXXXX";
    struct pl_key *key = NULL;
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, pem, strlen(pem)) == (ssize_t)strlen(pem));
    close(file);
    assert_int_equal(pl_key_open_private(&key, path), PL_OK);
    unlink(path);
    return key;
}

static void read_entries(struct damage *damage)
{
    damage->entry_count = 0;
    for (int32_t i = 0; i < DAMAGE_PARTITIONS; i++) {
        const struct audit_stream *journal = audit_log_stream(&damage->log, PL_TOPIC_JOURNAL, i);
        assert_true(journal->count > 0);
        for (size_t j = 0; j < journal->count; j++) {
            assert_true(damage->entry_count < DAMAGE_ENTRIES_MAX);
            assert_int_equal(pl_wire_journal_decode(&damage->wire, journal->records[j].value,
                                                    &damage->entries[damage->entry_count++]),
                             PL_OK);
        }
        damage->heads[i].partition = i;
        damage->heads[i].sequence = damage->entries[damage->entry_count - 1].sequence;
        pl_wire_hash(journal->records[journal->count - 1].value, damage->heads[i].hash);
    }
}

void damage_build(struct audit_log *log, uint64_t seed, const struct pl_key *key)
{
    const struct audit_log_options options = { .seed = seed, .partition_count = DAMAGE_PARTITIONS,
                                               .account_count = 6, .coin_count = 2,
                                               .step_count = 26, .heartbeat_steps = 3,
                                               .step_ms = 5000, .key = key };
    audit_log_build(log, &options);
}

static size_t count_of(const struct damage *damage, enum pl_topic topic, int32_t partition)
{
    return audit_log_stream(&damage->log, topic, partition)->count;
}

static bool has_everything(const struct damage *damage)
{
    static const enum pl_topic shared[] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS, PL_TOPIC_CHAINS,
                                            PL_TOPIC_MARKS };
    static const enum pl_topic own[] = { PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS,
                                         PL_TOPIC_EXECUTIONS };
    bool has_all = count_of(damage, PL_TOPIC_DEADLETTER, 0) +
                       count_of(damage, PL_TOPIC_DEADLETTER, 1) >= 2;
    size_t restarts = 0;
    for (unsigned i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        has_all = has_all && count_of(damage, shared[i], 0) > 0;
    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        has_all = has_all && (count_of(damage, own[i], 0) >= 2 || count_of(damage, own[i], 1) >= 2);
    for (int32_t i = 1; i < damage->entry_count; i++)
        restarts += damage->entries[i].sequence > 1 &&
                    damage->entries[i].marks_first_offset !=
                        damage->entries[i - 1].marks_first_offset;
    return has_all && restarts > 0;
}

void damage_open(struct damage *damage)
{
    void *block = malloc(WIRE_BYTES);
    assert_non_null(block);
    damage->seed = test_random_start(SEED).state;
    pl_wire_init(&damage->wire, block, WIRE_BYTES);
    damage->key = open_key(PRIVATE_KEY);
    damage->other_key = open_key(OTHER_KEY);
    damage_build(&damage->log, damage->seed, damage->key);
    read_entries(damage);
    while (!getenv("PLIMSOLL_SEED") && !has_everything(damage)) {
        audit_log_free(&damage->log);
        damage_build(&damage->log, ++damage->seed, damage->key);
        read_entries(damage);
    }
    damage->by_heads = (struct verify_options){ .heads = damage->heads,
                                                .head_count = DAMAGE_PARTITIONS };
    damage->bundle = audit_log_bundle(&damage->log);
    printf("built with seed %llu: %d entries", (unsigned long long)damage->seed,
           damage->entry_count);
    for (unsigned i = 0; i < damage->log.stream_count; i++)
        printf(", %s-%d %zu", pl_topic_word(damage->log.streams[i].topic),
               (int)damage->log.streams[i].partition, damage->log.streams[i].count);
    printf("\n");
}

void damage_close(struct damage *damage)
{
    bundle_close(&damage->bundle);
    audit_log_free(&damage->log);
    pl_key_close(&damage->key);
    pl_key_close(&damage->other_key);
    free(damage->wire.decode.block);
}

static bool is_in_vector(const struct pl_journal *entry, const struct pl_record *record)
{
    for (uint32_t i = 0; i < entry->vector_count; i++) {
        const struct pl_coordinate *coordinate = &entry->vector[i];
        if (coordinate->topic == record->topic && coordinate->partition == record->partition &&
            record->offset >= coordinate->first_offset && record->offset < coordinate->offset)
            return true;
    }
    return false;
}

bool damage_is_covered(const struct damage *damage, const struct pl_record *record)
{
    bool is_input = record->topic == PL_TOPIC_MARKS || record->topic == PL_TOPIC_CONTROL ||
                    record->topic == PL_TOPIC_PARAMETERS || record->topic == PL_TOPIC_CHAINS ||
                    record->topic == PL_TOPIC_HOLDINGS || record->topic == PL_TOPIC_EXECUTIONS;
    for (int32_t i = 0; is_input && i < damage->entry_count; i++)
        if (is_in_vector(&damage->entries[i], record))
            return true;
    return !is_input;
}

bool damage_is_found(const struct bundle *bundle, const struct verify_options *options,
                     int32_t partition, struct verify_finding *finding)
{
    struct verify *verify = NULL;
    enum pl_err err = verify_open(&verify, bundle, options);
    assert_int_equal(err, PL_OK);
    for (int32_t i = 0; !err && i < DAMAGE_PARTITIONS; i++) {
        struct verify_report report;
        if (partition == i || (partition < 0 && bundle_find(bundle, PL_TOPIC_JOURNAL, i)))
            err = verify_partition(verify, i, &report);
    }
    *finding = *verify_finding(verify);
    if (err)
        assert_int_equal(err, PL_FATAL_DIVERGED);
    verify_close(&verify);
    return err != PL_OK;
}

bool damage_is_named(const struct verify_finding *finding, enum pl_topic topic, int32_t partition,
                     int64_t first, int64_t last)
{
    for (unsigned i = 0; i < finding->suspect_count; i++) {
        const struct verify_range *range = &finding->suspects[i];
        if (range->topic == topic && range->partition == partition && range->first <= last &&
            range->last >= first)
            return true;
    }
    return false;
}

void damage_print(const struct verify_finding *finding)
{
    print_message("finding: %s: %s (partition %d entry %llu)\n", finding->what, finding->text,
                  (int)finding->partition, (unsigned long long)finding->sequence);
    for (unsigned i = 0; i < finding->suspect_count; i++)
        print_message("  %s-%d %lld..%lld\n", pl_topic_word(finding->suspects[i].topic),
                      (int)finding->suspects[i].partition,
                      (long long)finding->suspects[i].first, (long long)finding->suspects[i].last);
    print_message("  expected %s\n  found    %s\n", finding->expected, finding->found);
}

void damage_assert_none(const struct bundle *bundle, const struct verify_options *options)
{
    struct verify_finding finding;
    if (!damage_is_found(bundle, options, -1, &finding))
        return;
    damage_print(&finding);
    fail_msg("a log that nobody changed has a finding");
}

struct bundle *damage_cut(const struct audit_log *log, damage_keep *is_kept)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    assert_int_equal(bundle_create(&writer, NULL, DAMAGE_PARTITIONS), PL_OK);
    for (unsigned i = 0; i < log->stream_count; i++) {
        const struct audit_stream *stream = &log->streams[i];
        int64_t complete_from = 0;
        for (size_t j = 0; j < stream->count; j++)
            if (is_kept(stream, &stream->records[j], &complete_from))
                assert_int_equal(bundle_append(writer, &stream->records[j]), PL_OK);
        assert_int_equal(bundle_bound(writer, stream->topic, stream->partition, complete_from,
                                      stream->end), PL_OK);
    }
    assert_int_equal(bundle_finish(&writer, &bundle), PL_OK);
    return bundle;
}
