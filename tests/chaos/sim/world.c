/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual time, the scheduler, and the life of workers. One event happens at a time: a turn of a
 * worker's loop, a record of a feed, an answer of the router, a fault. A worker whose call waits, or
 * that stands still inside a call, lets the others go on meanwhile, so that whatever can happen between
 * two calls of a real process happens between two calls here.
 *
 * A worker that is killed inside a call leaves it by longjmp, out of the modelled Kafka's hook: nothing
 * of its memory is ever looked at again.
 */
#include "tests/chaos/sim/world.h"

#include <stdarg.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/base/hash.h"
#include "lib/kafka/watchdog.h"

enum {
    ADVANCE_MS_MAX = 500,       /* below the session timeout: a tick at least so often            */
    RESTART_MS_MAX = 1500,
    WATCHDOG_MS = 30000,
    QUIET_MS = 700,             /* besides a heartbeat: then all input has been accounted for     */
    NOTES = 4096, NOTE_BYTES = 112,
};
static const int64_t BEGIN_MS = 100000, BEGIN_WALL_MS = 1700000000000;

struct world world;

static struct { uint64_t count; int64_t ms[NOTES]; char texts[NOTES][NOTE_BYTES]; } s_notes;

/* ---- helpers ------------------------------------------------------------------------------------ */

int64_t world_now_ms(void)
{
    return world.wall_ms + world.mono_ms;
}

int64_t world_below(int64_t bound)
{
    return (int64_t)test_random_below(&world.chance, (uint64_t)bound);
}

int64_t world_between(int64_t least, int64_t most)
{
    return least + world_below(most - least + 1);
}

void world_print_notes(FILE *file, unsigned count)
{
    uint64_t first = s_notes.count > count ? s_notes.count - count : 0;
    for (uint64_t i = first; i < s_notes.count; i++)
        fprintf(file, "%9lld ms %s\n", (long long)s_notes.ms[i % NOTES], s_notes.texts[i % NOTES]);
}

void world_note(const char *format, ...)
{
    s_notes.ms[s_notes.count % NOTES] = world.mono_ms;
    char *text = s_notes.texts[s_notes.count++ % NOTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, NOTE_BYTES, format, list);
    va_end(list);
    sim_kafka_note(text, 0, 0);
}

void world_fail(const char *name, const char *format, ...)
{
    if (world.has_failed)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(world.failure_text, sizeof(world.failure_text), format, list);
    va_end(list);
    snprintf(world.failure, sizeof(world.failure), "%s", name);
    world.has_failed = true;
}

uint64_t world_fingerprint(void)
{
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    for (enum pl_topic topic = 0; topic < PL_TOPIC_COUNT; topic++)
        for (int32_t i = 0; i < sim_kafka_partition_count(topic); i++) {
            struct sim_cursor cursor = { .topic = topic, .partition = i };
            struct sim_record record;
            while (sim_kafka_next_raw(&cursor, &record)) {
                const int64_t facts[] = { record.record.offset, record.record.timestamp_ms,
                                          record.fate, record.process, (int64_t)record.txn };
                XXH3_64bits_update(&hash, facts, sizeof(facts));
                XXH3_64bits_update(&hash, record.record.key.data, record.record.key.size_bytes);
                XXH3_64bits_update(&hash, record.record.value.data, record.record.value.size_bytes);
            }
        }
    XXH3_64bits_update(&hash, &world.mono_ms, sizeof(world.mono_ms));
    XXH3_64bits_update(&hash, &world.counts.turns, sizeof(world.counts.turns));
    return XXH3_64bits_digest(&hash);
}

/* ---- workers: life and death --------------------------------------------------------------------- */

static const struct { const char *group; enum pl_topic topic; } s_kinds[WORKER_KINDS] = {
    [WORKER_LIQUIDATION] = { WORLD_GROUP, PL_TOPIC_HOLDINGS },
    [WORKER_POSITION] = { WORLD_POSITION_GROUP, PL_TOPIC_POSITIONS } };

bool world_group_is_known(enum worker_kind kind)
{
    for (int32_t i = 0; i < world.swarm.partition_count; i++)
        if (sim_kafka_committed(s_kinds[kind].group, s_kinds[kind].topic, i, NULL) == PL_OFFSET_NONE)
            return false;
    return true;
}

static void start(struct worker *worker)
{
    worker->stage = WORKER_OPENING;
    worker->is_doomed = worker->is_stopping = false;
    /* As an operator does it: until every partition has been committed once. */
    worker->first_start = !world.had_disaster && !world_group_is_known(worker->kind);
    worker->starts++;
    world.counts.starts++;
    worker->next_ms = world.mono_ms + world_between(1, 50);
}

static void die(struct worker *worker, const char *why)
{
    world_note("worker %d (%s) ends: %s", worker->number, worker->instance, why);
    snprintf(worker->last_words, sizeof(worker->last_words), "%s", why);
    sim_kafka_kill(worker->number);
    worker_bury(worker);
    platform_free(worker);
    worker->stage = worker->is_twin ? WORKER_GONE : WORKER_DOWN;
    worker->next_ms = world.mono_ms + world_between(50, RESTART_MS_MAX);
    world.counts.deaths++;
}

void world_kill(struct worker *worker)
{
    if (worker->stage != WORKER_OPENING && worker->stage != WORKER_RUNNING)
        return;
    if (worker->is_entered)
        worker->is_doomed = true; /* it dies where it stands, once its turn comes back to it */
    else
        die(worker, "killed");
}

void world_add_worker(enum worker_kind kind, int slot, bool is_twin)
{
    pl_assert(world.worker_count < WORLD_WORKERS_MAX);
    struct worker *worker = &world.workers[world.worker_count];
    worker_born(worker, kind);
    worker->number = (int)world.worker_count++;
    worker->slot = slot;
    worker->is_twin = is_twin;
    snprintf(worker->instance, sizeof(worker->instance), "%s.%d", s_kinds[kind].group, slot);
    worker->stage = WORKER_DOWN;
    worker->next_ms = world.mono_ms + world_between(0, is_twin ? 50 : 1500);
}

/* Which ends are no answer to anything that has happened. */
static void judge_end(const struct worker *worker, enum pl_err err, const char *text)
{
    bool may_diverge = world.had_disaster || world.swarm.has_torn_ends;
    if (pl_err_action(err) != PL_ACTION_FATAL) {
        world_fail("I10 way out", "worker %d left its loop by %s", worker->number, text);
        return;
    }
    world.counts.fatal[err - PL_FATAL_CONFIG]++;
    if (err == PL_FATAL_CONFIG || err == PL_FATAL_SYSTEM)
        world_fail("I10 way out", "worker %d ends by %s", worker->number, text);
    else if ((err == PL_FATAL_DIVERGED || err == PL_FATAL_OFFSETS) && !may_diverge)
        world_fail("I6 state and journal", "worker %d ends by %s", worker->number, text);
}

static void end_turn(struct worker *worker, enum pl_err err)
{
    if (err) {
        char text[160];
        snprintf(text, sizeof(text), "%s %.120s", pl_err_name(err), pl_err_text());
        judge_end(worker, err, text);
        die(worker, text);
    } else if (worker->is_stopping) {
        die(worker, "terminated");
        worker->next_ms += 500;
    } else {
        worker->next_ms = world.mono_ms + worker->pause_ms +
                          world_between(1, world.is_calm ? 100 : world.swarm.turn_ms_max);
    }
}

static void run_worker(struct worker *worker)
{
    if (worker->stage == WORKER_DOWN) {
        start(worker);
        return;
    }
    struct worker *outer = world.current;
    enum pl_err err = PL_OK;
    bool is_dead = false;
    world.current = worker;
    worker->is_entered = true;
    worker->pause_ms = 0;
    sim_kafka_process(worker->number);
    if (setjmp(worker->grave) == 0) {
        err = worker_turn(worker);
        if (!err && worker->is_stopping)
            worker_leave(worker);
    } else {
        err = PL_OK;
        is_dead = true;
    }
    world.current = outer;
    worker->is_entered = false;
    world.counts.turns++;
    if (is_dead) {
        world.counts.kills_in_calls++;
        die(worker, "killed inside a call");
    } else {
        end_turn(worker, err);
    }
    check_step();
}

/* ---- time --------------------------------------------------------------------------------------- */

static void advance(int64_t to_ms)
{
    while (world.mono_ms < to_ms) {
        int64_t next_ms = sim_kafka_next_ms();
        int64_t at_ms = to_ms < world.mono_ms + ADVANCE_MS_MAX ? to_ms
                                                                : world.mono_ms + ADVANCE_MS_MAX;
        if (next_ms < at_ms)
            at_ms = next_ms > world.mono_ms ? next_ms : world.mono_ms + 1;
        world.mono_ms = at_ms;
        sim_kafka_tick();
    }
}

void world_skew_brokers(int64_t skew_ms)
{
    sim_kafka_skew(skew_ms - world.broker_skew_ms);
    world.broker_skew_ms = skew_ms;
}

/* Faults end, clocks are set right, what was stopped goes on. */
static void begin_calm(void)
{
    static const struct sim_kafka_faults none;
    world.is_calm = true;
    world_note("calm begins");
    sim_kafka_set_faults(&none);
    sim_kafka_cut(SIM_ALL_PROCESSES, 0);
    world_skew_brokers(0);
    for (unsigned i = 0; i < world.worker_count; i++) {
        struct worker *worker = &world.workers[i];
        worker->wall_offset_ms = 0;
        if (worker->next_ms > world.mono_ms + RESTART_MS_MAX)
            worker->next_ms = world.mono_ms + world_between(1, RESTART_MS_MAX);
        if (worker->is_twin)
            world_kill(worker);
    }
    feeds_calm();
}

struct event { int64_t at_ms; void (*run)(void); struct worker *worker; };

static void consider(struct event *event, int64_t at_ms, void (*run)(void), struct worker *worker)
{
    if (at_ms < event->at_ms)
        *event = (struct event){ at_ms, run, worker };
}

static struct event next_event(void)
{
    struct event event = { INT64_MAX, NULL, NULL };
    if (!world.is_calm) {
        consider(&event, world.calm_from_ms, begin_calm, NULL);
        consider(&event, chaos_next_ms(), chaos_run, NULL);
    }
    consider(&event, feeds_next_ms(), feeds_run, NULL);
    consider(&event, router_next_ms(), router_run, NULL);
    for (unsigned i = 0; i < world.worker_count; i++) {
        struct worker *worker = &world.workers[i];
        bool is_quiet = worker->kind == WORKER_POSITION && world.mono_ms >= world.quiet_from_ms;
        if (!worker->is_entered && worker->stage != WORKER_GONE && !is_quiet)
            consider(&event, worker->next_ms, NULL, worker);
    }
    return event;
}

static void run_until(int64_t until_ms)
{
    while (!world.has_failed) {
        struct event event = next_event();
        if (event.at_ms > until_ms)
            break;
        advance(event.at_ms);
        if (event.worker)
            run_worker(event.worker);
        else
            event.run();
    }
    if (!world.has_failed)
        advance(until_ms);
}

/* ---- inside a call ------------------------------------------------------------------------------ */

static void let_pass(struct worker *worker, int64_t ms, bool is_stop)
{
    int64_t until_ms = world.mono_ms + ms;
    world.current = NULL;
    /* A stop ends when calm comes; a wait is the call's own. */
    while (world.mono_ms < until_ms && !world.has_failed && !(is_stop && world.is_calm)) {
        int64_t slice_ms = world.mono_ms + ADVANCE_MS_MAX;
        run_until(slice_ms < until_ms ? slice_ms : until_ms);
    }
    world.current = worker;
    sim_kafka_process(worker->number);
}

static void on_point(void *context, enum sim_point point, int wait_ms)
{
    struct worker *worker = world.current;
    int64_t stop_ms = 0;
    (void)context;
    if (!worker || world.has_failed)
        return;
    if (point == SIM_POINT_WAITS) {
        let_pass(worker, wait_ms, false);
    } else if (point == SIM_POINT_ABORTED) {
        let_pass(worker, world_between(1, 20), false); /* or it could abort for ever at once */
    } else if (!world.is_calm) {
        switch (chaos_in_call(point, &stop_ms)) {
        case CHAOS_KILL:
            worker->is_doomed = true;
            break;
        case CHAOS_STOP:
            let_pass(worker, stop_ms, true);
            break;
        case CHAOS_NOTHING:
            break;
        }
    }
    if (pl_watchdog_age_ms() > WATCHDOG_MS) {
        world_note("the watchdog ends worker %d in %s", worker->number, sim_kafka_stage());
        worker->is_doomed = true;
    }
    if (worker->is_doomed)
        longjmp(worker->grave, 1);
}

/* ---- a seed ------------------------------------------------------------------------------------- */

static struct test_random stream(uint64_t number)
{
    struct test_random random = { world.seed * UINT64_C(0x9e3779b97f4a7c15) + number };
    return (struct test_random){ test_random_u64(&random) };
}

static void create_topics(void)
{
    static const bool is_keyed[PL_TOPIC_COUNT] = {
        [PL_TOPIC_POSITIONS] = true, [PL_TOPIC_HOLDINGS] = true, [PL_TOPIC_EXECUTIONS] = true,
        [PL_TOPIC_ORDERS] = true, [PL_TOPIC_ALERTS] = true, [PL_TOPIC_ACCOUNTS] = true,
        [PL_TOPIC_JOURNAL] = true };
    static const bool is_compacted[PL_TOPIC_COUNT] = {
        [PL_TOPIC_HOLDINGS] = true, [PL_TOPIC_PARAMETERS] = true, [PL_TOPIC_CHAINS] = true,
        [PL_TOPIC_CONTROL] = true, [PL_TOPIC_ACCOUNTS] = true };
    for (enum pl_topic topic = 0; topic < PL_TOPIC_COUNT; topic++)
        sim_kafka_create(&(struct sim_topic){
            .topic = topic, .partition_count = is_keyed[topic] ? world.swarm.partition_count : 1,
            .is_compacted = is_compacted[topic],
            .lag_ms = topic == PL_TOPIC_ACCOUNTS || topic == PL_TOPIC_HOLDINGS ? 5000 : 0 });
}

void world_end(void)
{
    for (unsigned i = 0; i < world.worker_count; i++)
        if (world.workers[i].stage == WORKER_OPENING || world.workers[i].stage == WORKER_RUNNING) {
            sim_kafka_kill((int)i);
            worker_bury(&world.workers[i]);
            platform_free(&world.workers[i]);
            world.workers[i].stage = WORKER_GONE;
        }
}

static void begin(uint64_t seed, bool uses_cache)
{
    world_end();
    for (unsigned i = 0; i < WORLD_WORKERS_MAX; i++) {
        struct worker *worker = &world.workers[i];
        *worker = (struct worker){ .bodies = { worker->bodies[0], worker->bodies[1] } };
    }
    world.seed = seed;
    world.chance = stream(1);
    world.feed_chance = stream(2);
    world.kafka_chance = stream(3);
    world.router_chance = stream(4);
    world.cache_chance = stream(5);
    world.mono_ms = BEGIN_MS;
    world.wall_ms = BEGIN_WALL_MS;
    world.is_calm = world.had_disaster = world.has_failed = false;
    s_notes.count = 0;
    world.current = NULL;
    world.broker_skew_ms = 0;
    world.worker_count = 0;
    memset(&world.counts, 0, sizeof(world.counts));
    world_choose(&world.swarm, &world.chance);
    world.uses_cache = uses_cache && world.swarm.has_cache;
    world.calm_from_ms = BEGIN_MS + world.swarm.faults_ms;
    world.quiet_from_ms = world.calm_from_ms + world.swarm.calm_ms;
    world.end_ms = world.quiet_from_ms + world.swarm.heartbeat_ms + QUIET_MS;
    sim_kafka_reset(&world.kafka_chance);
    sim_kafka_set_faults(&world.swarm.kafka);
    create_topics();
    sim_kafka_set_hook(on_point, NULL);
}

void world_run(uint64_t seed, bool uses_cache)
{
    begin(seed, uses_cache);
    check_begin();
    records_begin();
    cache_begin();
    feeds_begin();
    router_begin();
    chaos_begin();
    for (unsigned i = 0; i < world.swarm.slot_count; i++)
        world_add_worker(WORKER_LIQUIDATION, (int)i, false);
    for (unsigned i = 0; i < world.swarm.position_slot_count; i++)
        world_add_worker(WORKER_POSITION, (int)i, false);
    run_until(world.end_ms);
    if (!world.has_failed)
        check_end();
    /* T6: a request that arrives in a later transaction tears it, and no client can help it. That it
     * is noticed is what can be asked for (row 12). */
    if (world.has_failed && world.swarm.has_torn_ends && strncmp(world.failure, "I5", 2) != 0 &&
        strncmp(world.failure, "I10", 3) != 0) {
        world.has_failed = false;
        world.counts.torn++;
    }
}
