/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modelled Kafka as a whole: processes and their connections, faults by chance and by number,
 * time, the trace, and the auditor's view of the logs. What Kafka does is in broker.c and
 * kafka_group.c, what librdkafka makes of it in client.c and kafka_txn.c.
 */
#include <string.h>

#include "lib/kafka/settings.h"
#include "lib/kafka/watchdog.h"
#include "tests/chaos/sim/kafka_broker.h"

enum { TRACE_LINES = 4096 };

struct sim_kafka_faults sim_faults;
struct test_random *sim_random;

static struct {
    int process;
    int64_t cut_until_ms[SIM_PROCESSES_MAX];
    int64_t beat_ms[SIM_PROCESSES_MAX];
    sim_kafka_hook *hook;
    void *hook_context;
    const char *stage;
    uint64_t call_count, failing_call;
    enum sim_failure failure;
    uint64_t line_count;
    struct sim_line lines[TRACE_LINES];
} s_kafka;

/* ---- life ------------------------------------------------------------------------------------ */

void sim_kafka_reset(struct test_random *random)
{
    sim_random = random;
    sim_faults = (struct sim_kafka_faults){0};
    s_kafka.process = 0;
    memset(s_kafka.cut_until_ms, 0, sizeof(s_kafka.cut_until_ms));
    memset(s_kafka.beat_ms, 0, sizeof(s_kafka.beat_ms));
    s_kafka.hook = NULL;
    s_kafka.stage = "";
    s_kafka.call_count = 0;
    s_kafka.failing_call = 0;
    s_kafka.line_count = 0;
    client_reset();
    txn_client_reset();
    broker_reset();
    group_reset();
}

void sim_kafka_set_faults(const struct sim_kafka_faults *faults)
{
    sim_faults = *faults;
}

void sim_kafka_process(int process)
{
    pl_assert(process >= 0 && process < SIM_PROCESSES_MAX);
    s_kafka.process = process;
    client_serve(process);
    txn_client_serve(process);
}

int sim_kafka_current(void)
{
    return s_kafka.process;
}

void sim_kafka_kill(int process)
{
    sim_trace(process, "killed", NULL, -1, 0, 0);
    client_kill(process);
    txn_client_kill(process);
}

void sim_kafka_tick(void)
{
    int64_t now_ms = sim_mono_ms();

    broker_tick(now_ms);
    group_tick(now_ms);
}

int64_t sim_kafka_next_ms(void)
{
    int64_t broker_ms = broker_next_ms(), group_ms = group_next_ms();

    return broker_ms < group_ms ? broker_ms : group_ms;
}

int64_t sim_kafka_clock_ms(void)
{
    return sim_mono_ms() + sim_broker.clock_offset_ms;
}

void sim_kafka_skew(int64_t by_ms)
{
    sim_broker.clock_offset_ms += by_ms;
    sim_trace(-1, "the broker's clock jumps", NULL, -1, by_ms, 0);
}

/* ---- connections ----------------------------------------------------------------------------- */

void sim_kafka_cut(int process, int64_t ms)
{
    for (int i = 0; i < SIM_PROCESSES_MAX; i++) {
        if (process == SIM_ALL_PROCESSES || process == i)
            s_kafka.cut_until_ms[i] = sim_mono_ms() + ms;
    }
    sim_trace(process, "cut off for ms", NULL, -1, ms, 0);
}

bool sim_is_cut(int process)
{
    return s_kafka.cut_until_ms[process] > sim_mono_ms();
}

void sim_kafka_set_hook(sim_kafka_hook *hook, void *context)
{
    s_kafka.hook = hook;
    s_kafka.hook_context = context;
}

void sim_point(enum sim_point point, int wait_ms)
{
    int process = s_kafka.process;

    if (s_kafka.hook == NULL)
        return;
    s_kafka.hook(s_kafka.hook_context, point, wait_ms);
    if (s_kafka.process != process)
        sim_kafka_process(process);
}

bool sim_wait_connected(int process, int timeout_ms)
{
    enum { SLICE_MS = 1000 };
    int64_t deadline_ms = sim_mono_ms() + timeout_ms;

    while (sim_is_cut(process)) {
        int64_t now_ms = sim_mono_ms(), until_ms = s_kafka.cut_until_ms[process];
        int64_t wait_ms = until_ms - now_ms < SLICE_MS ? until_ms - now_ms : SLICE_MS;

        if (now_ms >= deadline_ms)
            return false;
        sim_point(SIM_POINT_WAITS, (int)wait_ms);
        client_serve(process);
        if (sim_mono_ms() == now_ms) /* nobody lets time pass */
            return until_ms <= deadline_ms;
    }
    return true;
}

void sim_wait_reply(void)
{
    if (sim_chance(sim_faults.late_reply_permille))
        sim_point(SIM_POINT_WAITS, (int)sim_some_ms(sim_faults.late_reply_ms_max));
}

/* ---- faults by number and chance ------------------------------------------------------------- */

void sim_kafka_fail_call(uint64_t n, enum sim_failure kind)
{
    s_kafka.failing_call = n;
    s_kafka.failure = kind;
}

uint64_t sim_kafka_calls(void)
{
    return s_kafka.call_count;
}

/* The class asked for, else the next worse, else the worst that the call knows. */
static enum pl_err failure_of(const struct sim_may *may)
{
    const enum pl_err errs[] = {may->retry, may->abort, may->fatal};
    unsigned kind = s_kafka.failure == SIM_FAIL_ANY ? (unsigned)test_random_below(sim_random, 3)
                                                    : (unsigned)s_kafka.failure;

    for (unsigned i = kind; i < 3; i++) {
        if (errs[i])
            return errs[i];
    }
    return may->abort ? may->abort : may->retry;
}

enum pl_err sim_gate(int process, const struct sim_may *may)
{
    pl_assert(process >= 0 && process < SIM_PROCESSES_MAX);
    s_kafka.call_count++;
    if (sim_chance(sim_faults.cut_permille) && !sim_is_cut(process))
        sim_kafka_cut(process, sim_some_ms(sim_faults.cut_ms_max));
    client_serve(process);

    enum pl_err err = PL_OK;
    if (s_kafka.call_count == s_kafka.failing_call)
        err = failure_of(may);
    else if (may->retry && sim_chance(sim_faults.retry_permille))
        err = may->retry;
    if (err) {
        sim_trace_err(process, may->call, err);
        return pl_err_set(err, "%s: simulated failure of call %llu", may->call,
                          (unsigned long long)s_kafka.call_count);
    }
    return PL_OK;
}

/* ---- lib/kafka/watchdog.h, settings.h -------------------------------------------------------- */

const char *sim_kafka_stage(void)
{
    return s_kafka.stage;
}

void pl_watchdog_beat(const char *stage)
{
    s_kafka.stage = stage;
    s_kafka.beat_ms[s_kafka.process] = sim_mono_ms();
    sim_point(SIM_POINT_BEAT, 0);
}

int64_t pl_watchdog_age_ms(void)
{
    return sim_mono_ms() - s_kafka.beat_ms[s_kafka.process];
}

enum pl_err pl_watchdog_start(int limit_ms)
{
    (void)limit_ms;
    return PL_OK;
}

void pl_kafka_set_log(pl_kafka_log_sink *sink)
{
    (void)sink;
}

enum pl_err pl_kafka_check(const struct pl_kafka_settings *settings)
{
    (void)settings;
    return PL_OK;
}

/* ---- logs: the world's and the auditor's side ------------------------------------------------ */

static struct sim_log *log_of(enum pl_topic topic, int32_t partition)
{
    struct sim_log *log = broker_log(topic, partition);

    pl_assert(log != NULL);
    return log;
}

int64_t sim_kafka_append(enum pl_topic topic, int32_t partition, struct pl_bytes_view key,
                         struct pl_bytes_view value, const struct pl_header *headers,
                         unsigned header_count)
{
    const struct sim_entry entry = broker_copy(key, value, headers, header_count);

    if (partition < 0)
        partition = pl_key_partition(key.data, key.size_bytes, sim_kafka_partition_count(topic));
    return broker_append(log_of(topic, partition), &entry);
}

void sim_kafka_trim(enum pl_topic topic, int32_t partition, int64_t first)
{
    struct sim_log *log = log_of(topic, partition);
    int64_t stable = broker_stable(log);

    first = first < stable ? first : stable;
    if (first > log->first)
        log->first = first;
    sim_trace(-1, "retention: log starts at", pl_topic_word(topic), partition, log->first, 0);
}

void sim_kafka_truncate(enum pl_topic topic, int32_t partition, int64_t end)
{
    struct sim_log *log = log_of(topic, partition);
    int index = broker_log_index(log);

    if (end >= log->end)
        return;
    log->end = end < 0 ? 0 : end;
    log->first = log->first < log->end ? log->first : log->end;
    for (int i = 0; i < sim_broker.slot_count; i++) {
        struct sim_slot *slot = &sim_broker.slots[i];

        if (slot->first_offset[index] >= log->end)
            slot->first_offset[index] = INT64_MAX;
    }
    sim_trace(-1, "truncated: log ends at", pl_topic_word(topic), partition, log->end, 0);
}

void sim_kafka_compact(enum pl_topic topic, int32_t partition)
{
    broker_clean(log_of(topic, partition));
}

int64_t sim_kafka_first(enum pl_topic topic, int32_t partition)
{
    return log_of(topic, partition)->first;
}

int64_t sim_kafka_stable(enum pl_topic topic, int32_t partition)
{
    return broker_stable(log_of(topic, partition));
}

int64_t sim_kafka_end(enum pl_topic topic, int32_t partition)
{
    return log_of(topic, partition)->end;
}

static void fill(const struct sim_log *log, int64_t offset, struct sim_record *record)
{
    const struct sim_entry *entry = &log->entries[offset];
    unsigned headers = entry->header_count < PL_HEADERS_MAX ? entry->header_count : PL_HEADERS_MAX;

    record->record.topic = log->topic;
    record->record.partition = log->partition;
    record->record.offset = offset;
    record->record.timestamp_ms = entry->timestamp_ms;
    record->record.key = entry->key;
    record->record.value = entry->value;
    for (unsigned i = 0; i < headers; i++)
        record->record.headers[i] = entry->headers[i];
    record->record.header_count = headers;
    record->fate = broker_fate(entry);
    record->is_removed = entry->is_cleaned || offset < log->first;
    record->slot = entry->txn != 0 ? sim_broker.txns[entry->txn].info.slot : -1;
    record->process = entry->process;
    record->txn = entry->txn;
}

bool sim_kafka_next_raw(struct sim_cursor *cursor, struct sim_record *record)
{
    const struct sim_log *log = log_of(cursor->topic, cursor->partition);

    if (cursor->next >= log->end)
        return false;
    fill(log, cursor->next++, record);
    return true;
}

bool sim_kafka_next_committed(struct sim_cursor *cursor, struct sim_record *record)
{
    const struct sim_log *log = log_of(cursor->topic, cursor->partition);
    int64_t stable = broker_stable(log);

    if (cursor->next < log->first)
        cursor->next = log->first;
    while (cursor->next < stable) {
        const struct sim_entry *entry = &log->entries[cursor->next];

        if (!entry->is_cleaned && broker_fate(entry) == SIM_COMMITTED) {
            fill(log, cursor->next++, record);
            return true;
        }
        cursor->next++;
    }
    return false;
}

const char *sim_kafka_slot_name(int slot)
{
    return slot >= 0 && slot < sim_broker.slot_count ? sim_broker.slots[slot].name : NULL;
}

bool sim_kafka_txn(uint64_t txn, struct sim_txn_info *info)
{
    if (txn == 0 || txn >= sim_broker.txn_count)
        return false;
    *info = sim_broker.txns[txn].info;
    return true;
}

/* ---- trace ----------------------------------------------------------------------------------- */

static struct sim_line *add_line(int process, const char *what)
{
    struct sim_line *line = &s_kafka.lines[s_kafka.line_count++ % TRACE_LINES];

    *line = (struct sim_line){.mono_ms = sim_mono_ms(), .process = process, .what = what,
                              .partition = -1};
    return line;
}

void sim_trace(int process, const char *what, const char *about, int32_t partition, int64_t a,
               int64_t b)
{
    struct sim_line *line = add_line(process, what);

    line->about = about;
    line->partition = partition;
    line->a = a;
    line->b = b;
}

void sim_trace_err(int process, const char *what, enum pl_err err)
{
    add_line(process, what)->err = err;
}

void sim_kafka_note(const char *text, int64_t a, int64_t b)
{
    sim_trace(s_kafka.process, text, NULL, -1, a, b);
}

static void print_line(FILE *file, const struct sim_line *line)
{
    fprintf(file, "%9lld ms ", (long long)line->mono_ms);
    if (line->process >= 0)
        fprintf(file, "process %-2d ", line->process);
    else
        fprintf(file, "broker     ");
    fputs(line->what, file);
    if (line->about != NULL)
        fprintf(file, " %s", line->about);
    if (line->partition >= 0)
        fprintf(file, "[%d]", (int)line->partition);
    if (line->err)
        fprintf(file, " -> %s\n", pl_err_name(line->err));
    else
        fprintf(file, " %lld %lld\n", (long long)line->a, (long long)line->b);
}

void sim_kafka_print_trace(FILE *file, unsigned count)
{
    uint64_t kept = s_kafka.line_count < TRACE_LINES ? s_kafka.line_count : TRACE_LINES;

    for (uint64_t left = count < kept ? count : kept; left > 0; left--)
        print_line(file, &s_kafka.lines[(s_kafka.line_count - left) % TRACE_LINES]);
}
