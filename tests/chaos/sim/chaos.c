/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that come from outside the services' own calls, each kind by a clock of its own. Those that
 * strike inside a call wait for a call of a chosen kind, since the rare ones are the dangerous ones.
 */
#include "lib/base/assert.h"
#include "tests/chaos/sim/world.h"

static struct {
    int64_t at_ms[FAULT_COUNT];
    enum sim_point kill_at, stop_at; /* SIM_POINT_COUNT: not now */
} s_chaos;

static void plan(enum world_fault fault)
{
    int32_t every_ms = world.swarm.every_ms[fault];
    s_chaos.at_ms[fault] = every_ms > 0 ? world.mono_ms + world_between(1, 2 * every_ms) : INT64_MAX;
}

void chaos_begin(void)
{
    s_chaos.kill_at = s_chaos.stop_at = SIM_POINT_COUNT;
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        plan((enum world_fault)i);
}

static enum world_fault soonest(void)
{
    unsigned best = 0;
    for (unsigned i = 1; i < FAULT_COUNT; i++)
        if (s_chaos.at_ms[i] < s_chaos.at_ms[best])
            best = i;
    return (enum world_fault)best;
}

int64_t chaos_next_ms(void)
{
    return s_chaos.at_ms[soonest()];
}

static int64_t some_stop_ms(void)
{
    return world.swarm.stops_long ? world_between(4000, 16000) : world_between(50, 4000);
}

static struct worker *some_worker(void)
{
    return &world.workers[world_below(world.worker_count)];
}

static void jump(struct worker *worker)
{
    int64_t far_ms = 3600 * 1000;
    if (world_below(3) == 0)
        worker->wall_offset_ms = 0;
    else if (world.swarm.clock_jumps_far)
        worker->wall_offset_ms = world_below(2) ? far_ms : -far_ms;
    else
        worker->wall_offset_ms = world_between(-4000, 4000);
    world_note("clock of worker %d is off by %lld ms", worker->number,
               (long long)worker->wall_offset_ms);
}

/* Holdings are cleaned only where everything that is old enough has been accounted for and nothing
 * unreadable can be the last of its key, as a lag of days and daily restatements ensure. */
static bool may_compact_holdings(int32_t partition)
{
    struct sim_cursor cursor = { .topic = PL_TOPIC_HOLDINGS, .partition = partition };
    struct sim_record record;
    cursor.next = sim_kafka_committed(WORLD_GROUP, PL_TOPIC_HOLDINGS, partition, NULL);
    if (cursor.next < 0 || world.swarm.every_ms[FAULT_GARBAGE] > 0)
        return false;
    return !sim_kafka_next_raw(&cursor, &record) ||
           sim_kafka_clock_ms() - record.record.timestamp_ms < 4000;
}

static void compact(void)
{
    int32_t partition = (int32_t)world_below(world.swarm.partition_count);
    enum pl_topic topic = world_below(2) ? PL_TOPIC_ACCOUNTS : PL_TOPIC_HOLDINGS;
    if (topic == PL_TOPIC_HOLDINGS && !may_compact_holdings(partition))
        return;
    world_note("compaction of %s %d", pl_topic_word(topic), (int)partition);
    sim_kafka_compact(topic, partition);
    check_compacted(topic, partition);
}

static void add_twin(void)
{
    const struct worker *worker = some_worker();
    if (world.worker_count < WORLD_WORKERS_MAX)
        world_add_worker(worker->kind, worker->slot, true);
}

/* ---- disasters: rows 18 to 20 ------------------------------------------------------------------- */

/* Where the last entry that read holdings begins, with the heartbeats after it: without those alone a
 * journal looks as if it had ended a little earlier, and nothing was decided in them. -1: none. */
static int64_t last_step(int32_t partition)
{
    static struct pl_journal entry;
    struct sim_cursor cursor = { .topic = PL_TOPIC_JOURNAL, .partition = partition };
    struct sim_record record;
    int64_t begin = -1, holdings = -1;
    while (sim_kafka_next_committed(&cursor, &record)) {
        enum pl_err err = pl_wire_journal_decode(records_wire(), record.record.value, &entry);
        pl_assert(!err && entry.vector[0].topic == PL_TOPIC_HOLDINGS);
        if (entry.vector[0].offset != holdings)
            begin = record.record.offset;
        holdings = entry.vector[0].offset;
    }
    return begin;
}

static int64_t last_record(enum pl_topic topic, int32_t partition)
{
    struct sim_cursor cursor = { .topic = topic, .partition = partition };
    struct sim_record record = { .record.offset = -1 };
    while (sim_kafka_next_committed(&cursor, &record))
        ;
    return record.record.offset;
}

/* An unclean election while all workers are down: the newest records of a log were never there. */
static bool truncate_log(enum pl_topic topic, int32_t partition)
{
    int64_t end = topic == PL_TOPIC_JOURNAL ? last_step(partition) : last_record(topic, partition);
    if (end < 0)
        return false;
    for (unsigned i = 0; i < world.worker_count; i++)
        world_kill(&world.workers[i]);
    sim_kafka_truncate(topic, partition, end);
    check_truncated(topic, partition, end);
    return true;
}

/* Retention passes what was not read. */
static bool trim_unread(int32_t partition)
{
    bool is_pending = false;
    int64_t committed = sim_kafka_committed(WORLD_GROUP, PL_TOPIC_EXECUTIONS, partition, &is_pending);
    int64_t stable = sim_kafka_stable(PL_TOPIC_EXECUTIONS, partition);
    if (is_pending || committed < 0 || stable <= committed)
        return false;
    for (unsigned i = 0; i < world.worker_count; i++)
        world_kill(&world.workers[i]);
    sim_kafka_trim(PL_TOPIC_EXECUTIONS, partition, stable);
    world.struck_executions = committed;
    return true;
}

/* Offsets expire; not while a transaction holds some that it is about to commit. */
static bool expire_offsets(void)
{
    bool is_pending = false;
    for (int32_t i = 0; i < world.swarm.partition_count; i++) {
        (void)sim_kafka_committed(WORLD_GROUP, PL_TOPIC_HOLDINGS, i, &is_pending);
        if (is_pending)
            return false;
    }
    for (unsigned i = 0; i < world.worker_count; i++)
        world_kill(&world.workers[i]);
    sim_kafka_expire(WORLD_GROUP);
    return true;
}

/* What the brokers promised is gone. Whoever needs it must stop, not go on without. */
static void strike(void)
{
    int32_t partition = (int32_t)world_below(world.swarm.partition_count);
    bool is_struck = false;
    if (world.had_disaster || !world_group_is_known(WORKER_LIQUIDATION))
        return;
    world.struck_executions = -1;
    switch (world_below(4)) {
    case 0:
        is_struck = expire_offsets();
        break;
    case 1:
        is_struck = trim_unread(partition);
        break;
    case 2:
        is_struck = truncate_log(PL_TOPIC_JOURNAL, partition);
        break;
    default:
        is_struck = truncate_log(PL_TOPIC_ACCOUNTS, partition);
        break;
    }
    if (!is_struck)
        return;
    world_note("disaster on partition %d", (int)partition);
    world.had_disaster = true;
    world.struck_partition = partition;
    world.struck_journal_end = sim_kafka_end(PL_TOPIC_JOURNAL, partition);
}

static void happen(enum world_fault fault)
{
    struct worker *worker = some_worker();
    world.counts.faults[fault]++;
    switch (fault) {
    case FAULT_KILL:
        world_kill(worker);
        break;
    case FAULT_KILL_IN_CALL:
        s_chaos.kill_at = (enum sim_point)world_below(SIM_POINT_WAITS);
        break;
    case FAULT_STOP:
        worker->next_ms = world.mono_ms + some_stop_ms();
        world_note("worker %d is stopped", worker->number);
        break;
    case FAULT_STOP_IN_CALL:
        s_chaos.stop_at = (enum sim_point)world_below(SIM_POINT_WAITS);
        break;
    case FAULT_TERMINATE:
        worker->is_stopping = worker->stage == WORKER_OPENING || worker->stage == WORKER_RUNNING;
        break;
    case FAULT_TWIN:
        add_twin();
        break;
    case FAULT_CLOCK:
        jump(worker);
        break;
    case FAULT_BROKER_CLOCK:
        world_skew_brokers(world_between(-5000, 5000));
        break;
    case FAULT_REBALANCE:
        sim_kafka_rebalance(worker->kind == WORKER_POSITION ? WORLD_POSITION_GROUP : WORLD_GROUP);
        break;
    case FAULT_CUT:
        sim_kafka_cut(world_below(3) ? worker->number : SIM_ALL_PROCESSES, world_between(100, 8000));
        break;
    case FAULT_COMPACT:
        compact();
        break;
    case FAULT_DISASTER:
        strike();
        break;
    case FAULT_CRASH:
    case FAULT_CONTROL:
    case FAULT_PARAMETERS:
    case FAULT_MARK:
    case FAULT_GARBAGE:
    case FAULT_HOLDINGS:
    case FAULT_WATERMARK:
        feeds_fault(fault);
        break;
    case FAULT_COUNT:
        break;
    }
}

void chaos_run(void)
{
    enum world_fault fault = soonest();
    plan(fault);
    happen(fault);
}

enum chaos_mercy chaos_in_call(enum sim_point point, int64_t *stop_ms)
{
    if (point == s_chaos.kill_at) {
        s_chaos.kill_at = SIM_POINT_COUNT;
        return CHAOS_KILL;
    }
    if (point == s_chaos.stop_at) {
        s_chaos.stop_at = SIM_POINT_COUNT;
        *stop_ms = some_stop_ms();
        world_note("worker %d is stopped inside a call", world.current->number);
        return CHAOS_STOP;
    }
    return CHAOS_NOTHING;
}
