/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is judged: after every step the auditor gets what became visible; at the end of a seed it says
 * whether everything came right, and the committed logs, put into an audit bundle in memory, are
 * verified and replayed as any auditor would (I8, I12).
 */
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/replay.h"
#include "services/cli/verify.h"
#include "tests/chaos/sim/auditor.h"
#include "tests/chaos/sim/world.h"

enum { COMMITS_WAITING_MAX = 4096, SILENT_MS_MAX = 6000 };

static struct {
    struct auditor *auditor;
    struct sim_cursor cursors[PL_TOPIC_COUNT][WORLD_PARTITIONS_MAX];
    uint64_t commit_next;
    unsigned waiting_count;
    uint64_t waiting[COMMITS_WAITING_MAX]; /* offsets whose transaction is not decided yet          */
    uint64_t replayed;
} s_check;

void check_open(void)
{
    auditor_open(&s_check.auditor);
}

void check_close(void)
{
    auditor_close(&s_check.auditor);
}

void check_begin(void)
{
    const struct auditor_options options = { .partition_count = world.swarm.partition_count,
                                             .accounts_max = WORLD_BOOK_ACCOUNTS_MAX,
                                             .seed = world.seed };
    auditor_reset(s_check.auditor, &options);
    for (enum pl_topic topic = 0; topic < PL_TOPIC_COUNT; topic++)
        for (int32_t i = 0; i < WORLD_PARTITIONS_MAX; i++)
            s_check.cursors[topic][i] = (struct sim_cursor){ .topic = topic, .partition = i };
    s_check.commit_next = 0;
    s_check.waiting_count = 0;
    s_check.replayed = 0;
}

void check_counts(struct check_counts *counts)
{
    struct auditor_counts seen;
    auditor_counts(s_check.auditor, &seen);
    *counts = (struct check_counts){
        .records = seen.records, .entries = seen.entries, .heartbeats = seen.heartbeats,
        .orders = seen.orders, .alerts = seen.alerts, .states = seen.states,
        .dead_letters = seen.dead_letters, .evaluations = seen.evaluations, .below = seen.below,
        .calls = seen.calls, .braked = seen.braked, .replayed = s_check.replayed };
}

/* ---- after every step --------------------------------------------------------------------------- */

static void feed_log(struct sim_cursor *cursor)
{
    int64_t stable = sim_kafka_stable(cursor->topic, cursor->partition);
    struct sim_record record;
    while (cursor->next < stable && sim_kafka_next_raw(cursor, &record)) {
        if (record.fate == SIM_COMMITTED)
            auditor_feed(s_check.auditor, &record.record, record.txn);
        else if (record.fate == SIM_ABORTED)
            auditor_aborted(s_check.auditor, &record.record);
    }
}

static bool feed_offset(uint64_t index)
{
    struct sim_commit commit;
    bool is_there = sim_kafka_commit_at(index, &commit);
    pl_assert(is_there);
    if (commit.fate == SIM_OPEN)
        return false;
    if (commit.fate == SIM_COMMITTED && strcmp(commit.group_id, WORLD_GROUP) == 0)
        auditor_offsets(s_check.auditor, &commit.offset, commit.txn);
    return true;
}

static void feed_offsets(void)
{
    struct sim_commit commit;
    unsigned kept = 0;
    for (unsigned i = 0; i < s_check.waiting_count; i++)
        if (!feed_offset(s_check.waiting[i]))
            s_check.waiting[kept++] = s_check.waiting[i];
    s_check.waiting_count = kept;
    for (; sim_kafka_commit_at(s_check.commit_next, &commit); s_check.commit_next++)
        if (!feed_offset(s_check.commit_next)) {
            pl_assert(s_check.waiting_count < COMMITS_WAITING_MAX);
            s_check.waiting[s_check.waiting_count++] = s_check.commit_next;
        }
}

static void judge(const struct auditor_finding *finding)
{
    if (finding)
        world_fail(finding->invariant, "%s", finding->text);
}

static void feed_all(void)
{
    for (enum pl_topic topic = PL_TOPIC_MARKS; topic < PL_TOPIC_COUNT; topic++)
        for (int32_t i = 0; i < sim_kafka_partition_count(topic); i++)
            feed_log(&s_check.cursors[topic][i]);
    feed_offsets();
}

void check_step(void)
{
    feed_all();
    judge(auditor_check(s_check.auditor));
}

void check_compacted(enum pl_topic topic, int32_t partition)
{
    struct sim_cursor cursor = { .topic = topic, .partition = partition };
    struct sim_record record;
    while (sim_kafka_next_raw(&cursor, &record))
        if (record.is_removed)
            auditor_removed(s_check.auditor, topic, partition, record.record.offset);
}

void check_truncated(enum pl_topic topic, int32_t partition, int64_t end)
{
    struct sim_cursor *cursor = &s_check.cursors[topic][partition];
    if (cursor->next > end)
        cursor->next = end;
    auditor_truncated(s_check.auditor, topic, partition, end);
}

void check_order(const uint8_t order_id[PL_ORDER_ID_BYTES], int kind, int64_t lots)
{
    char id[PL_UUID_TEXT_BYTES];
    pl_uuid_print(order_id, id);
    const struct auditor_router_event event = { .kind = (enum auditor_router_kind)kind, .order_id = id,
                                                .lots = lots, .now_ms = world_now_ms() };
    auditor_router(s_check.auditor, &event);
}

/* ---- at the end --------------------------------------------------------------------------------- */

/* What an auditor would have exported had he done so every moment: every committed record. */
static void fill_bundle(struct bundle_writer *writer)
{
    enum pl_err err = PL_OK;
    for (enum pl_topic topic = PL_TOPIC_MARKS; !err && topic < PL_TOPIC_COUNT; topic++)
        for (int32_t i = 0; !err && i < sim_kafka_partition_count(topic); i++) {
            struct sim_cursor cursor = { .topic = topic, .partition = i };
            struct sim_record record;
            int64_t stable = sim_kafka_stable(topic, i);
            while (!err && cursor.next < stable && sim_kafka_next_raw(&cursor, &record))
                if (record.fate == SIM_COMMITTED)
                    err = bundle_append(writer, &record.record);
            if (!err)
                err = bundle_bound(writer, topic, i, 0, stable);
        }
    pl_assert(!err);
}

static void verify_all(const struct bundle *bundle)
{
    static const struct verify_options options;
    struct verify *verify = NULL;
    struct verify_report report;
    enum pl_err err = verify_open(&verify, bundle, &options);
    for (int32_t i = 0; !err && i < world.swarm.partition_count; i++)
        if (sim_kafka_stable(PL_TOPIC_JOURNAL, i) > 0)
            err = verify_partition(verify, i, &report);
    if (err) {
        const struct verify_finding *finding = verify_finding(verify);
        world_fail("I12 verify", "%s: %s", finding ? finding->what : pl_err_name(err),
                   finding ? finding->text : pl_err_text());
    }
    verify_close(&verify);
}

static void replay_one(const struct bundle *bundle, int32_t partition)
{
    static const struct replay_limits limits = { .accounts_max = WORLD_BOOK_ACCOUNTS_MAX };
    struct replay *replay = NULL;
    bool found = true;
    enum pl_err err = replay_open(&replay, bundle, partition, &limits);
    while (!err && found)
        err = replay_next(replay, &found);
    if (err) {
        const struct replay_difference *difference = replay ? replay_difference(replay) : NULL;
        world_fail("I8 replay", "%s: %s", difference && difference->what ? difference->what
                                                                          : pl_err_name(err),
                   difference && difference->what ? difference->text : pl_err_text());
    } else {
        s_check.replayed += replay_counts(replay).entries;
    }
    replay_close(&replay);
}

static void check_bundle(void)
{
    struct bundle_writer *writer = NULL;
    struct bundle *bundle = NULL;
    enum pl_err err = bundle_create(&writer, NULL, world.swarm.partition_count);
    pl_assert(!err);
    fill_bundle(writer);
    err = bundle_finish(&writer, &bundle);
    pl_assert(!err);
    verify_all(bundle);
    for (int32_t i = 0; !world.has_failed && i < world.swarm.partition_count; i++)
        if (sim_kafka_stable(PL_TOPIC_JOURNAL, i) > 0)
            replay_one(bundle, i);
    bundle_close(&bundle);
}

/* ---- positions: everything that was told is in the holdings, once --------------------------------- */

static bool is_of(const struct pl_record *record, const struct world_account *account)
{
    return record->key.size_bytes == account->id.size_bytes &&
           memcmp(record->key.data, account->id.text, account->id.size_bytes) == 0;
}

/* Versions count the records of an account: one that is missing was never told. */
static bool newest_holdings(const struct world_account *account, struct pl_record_holdings *holdings)
{
    struct sim_cursor cursor = { .topic = PL_TOPIC_HOLDINGS, .partition = account->partition };
    struct sim_record record;
    int64_t stable = sim_kafka_stable(PL_TOPIC_HOLDINGS, account->partition);
    uint64_t version = 0;
    while (cursor.next < stable && sim_kafka_next_raw(&cursor, &record)) {
        if (record.fate != SIM_COMMITTED || !is_of(&record.record, account))
            continue;
        enum pl_err err = pl_wire_record_decode(records_wire(), record.record.key,
                                                record.record.value, holdings);
        pl_assert(!err);
        if (holdings->version != ++version)
            world_fail("I1 positions", "account %s: version %llu of its holdings follows %llu",
                       account->id.text, (unsigned long long)holdings->version,
                       (unsigned long long)version - 1);
        version = holdings->version;
    }
    return version > 0;
}

static int64_t lots_of(const struct pl_record_holdings *holdings, unsigned instrument)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < holdings->leg_count; i++) {
        const struct pl_record_leg *leg = &holdings->legs[i];
        if (pl_id_equal(&leg->instrument, &world_instruments[instrument].id))
            sum += (int64_t)leg->quantity.mantissa; /* whole lots, as told */
    }
    return sum;
}

/* A retraction that finality has overtaken is refused, and the source says so (G4). */
static bool is_overtaken(const struct world_account *account,
                         const struct pl_record_holdings *holdings)
{
    return account->has_retracted && holdings->source_count > 1 && holdings->sources[1].has_gap;
}

static void check_positions(void)
{
    static struct pl_record_holdings holdings;
    for (unsigned i = 0; i < world.swarm.account_count; i++) {
        const struct world_account *account = &world_accounts[i];
        if (!newest_holdings(account, &holdings) || holdings.is_tainted || holdings.tail_count > 0) {
            world_fail("I1 positions", "account %s: holdings are absent, tainted or not final",
                       account->id.text);
            return;
        }
        if (holdings.mode != account->mode)
            world_fail("I1 positions", "account %s is in mode %u by the holdings, %u by the events",
                       account->id.text, holdings.mode, account->mode);
        for (unsigned k = 0; k < WORLD_INSTRUMENTS_MAX; k++) {
            int64_t expected = account->lots[k] + (k == 0 ? account->custody_lots : 0);
            if (k == 0 && is_overtaken(account, &holdings))
                continue;
            if (lots_of(&holdings, k) != expected)
                world_fail("I1 positions", "account %s holds %lld lots of %s by the holdings, %lld by "
                           "the events", account->id.text, (long long)lots_of(&holdings, k),
                           world_instruments[k].id.text, (long long)expected);
        }
        const struct pl_record_source *venue = &holdings.sources[0];
        if (venue->has_gap || venue->cash.mantissa != account->cash_vu)
            world_fail("I1 positions", "account %s: cash or gap is not what the events tell",
                       account->id.text);
    }
}

/* A process that ends again and again though nothing is wrong any more. */
static void check_workers(void)
{
    for (unsigned i = 0; i < world.worker_count; i++) {
        const struct worker *worker = &world.workers[i];
        if (!worker->is_twin && worker->stage != WORKER_RUNNING)
            world_fail("I11 liveness", "worker %d does not run after %d s of calm: %s", worker->number,
                       (int)(world.swarm.calm_ms / 1000), worker->last_words);
    }
}

/* Where input or history is gone nothing more may be decided. */
static void check_halted(void)
{
    struct sim_cursor cursor = { .topic = PL_TOPIC_JOURNAL, .partition = world.struck_partition,
                                 .next = world.struck_journal_end };
    struct sim_record record;
    int64_t passed = sim_kafka_committed(WORLD_GROUP, PL_TOPIC_EXECUTIONS, world.struck_partition, NULL);
    if (world.struck_executions >= 0) {
        if (passed != world.struck_executions)
            world_fail("I1 goes on", "partition %d has passed reports %lld to %lld, which it never read",
                       (int)world.struck_partition, (long long)world.struck_executions,
                       (long long)passed);
    } else if (sim_kafka_next_committed(&cursor, &record))
        world_fail("I1 goes on", "partition %d goes on at journal offset %lld though history is gone",
                   (int)world.struck_partition, (long long)record.record.offset);
}

void check_end(void)
{
    check_step();
    if (world.had_disaster)
        check_halted();
    const struct auditor_facts facts = { .is_calm = !world.had_disaster, .now_ms = world_now_ms(),
                                         .silent_ms_max = SILENT_MS_MAX };
    if (!world.had_disaster)
        check_workers();
    if (!world.has_failed && world.swarm.position_slot_count > 0)
        check_positions();
    if (!world.has_failed)
        judge(auditor_end(s_check.auditor, &facts));
    if (!world.has_failed && !world.had_disaster)
        check_bundle();
}
