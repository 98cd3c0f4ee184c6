/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/kafka/consumer.h on the modelled Kafka: what librdkafka and our own handle make of the
 * brokers' answers. A membership lives in background threads, so it moves on whenever its process
 * runs, while rebalance callbacks wait for pl_group_poll; a reader fetches per partition, each at
 * its own pace, and its position passes markers and gaps when a partition's end is met.
 */
#include <inttypes.h>
#include <string.h>

#include "tests/chaos/sim/kafka_broker.h"

enum { READERS_MAX = 128, GROUP_HANDLES_MAX = 64, NEWS_DELAY_MS_MAX = 200, SHORT_FETCH_MAX = 4 };

struct pl_group {
    bool is_used;
    int process;
    const char *topic_names[PL_TOPIC_COUNT];
    struct sim_group *group;
    uint32_t member; /* as the client believes; 0: none */
    int32_t generation;
    int64_t heard_ms, next_beat_ms;
    int64_t expelled_news_ms; /* when the client hears that it is out; 0: it is not */
    /* What the last answer brought and callbacks have not served yet. */
    bool is_lost, has_assignment, wants_rejoin, has_joined;
    uint64_t revoking, adding;
    /* What the caller was told or is to be told, by partition. */
    uint64_t owned, reported, revoked, lost;
};

struct reading {
    bool is_reading, is_paused, is_at_end;
    int64_t position;             /* as the caller sees it                        */
    int64_t fetch, fetched_end;   /* what was fetched and is not delivered        */
    int64_t high;                 /* -1 before the first answer                   */
    int64_t slow_until_ms;
};

struct pl_reader {
    bool is_used, is_uncommitted;
    int process;
    const char *topic_names[PL_TOPIC_COUNT];
    unsigned reading_count;
    uint8_t reading_logs[SIM_PARTITIONS_MAX]; /* that are being read, in order of adding */
    struct reading readings[SIM_PARTITIONS_MAX];
    uint8_t *copy; /* of the last record's key and value: overwritten by the next poll */
    size_t copy_bytes, copy_capacity;
};

static struct {
    struct pl_group groups[GROUP_HANDLES_MAX];
    unsigned group_count; /* handles beyond were never used in this seed */
    struct pl_reader readers[READERS_MAX];
    unsigned reader_count;
} s_client;

void client_reset(void)
{
    for (unsigned i = 0; i < s_client.group_count; i++)
        s_client.groups[i].is_used = false;
    for (unsigned i = 0; i < s_client.reader_count; i++)
        s_client.readers[i].is_used = false;
    s_client.group_count = s_client.reader_count = 0;
}

void client_kill(int process)
{
    for (unsigned i = 0; i < s_client.group_count; i++) {
        if (s_client.groups[i].process == process)
            s_client.groups[i].is_used = false;
    }
    for (unsigned i = 0; i < s_client.reader_count; i++) {
        if (s_client.readers[i].process == process)
            s_client.readers[i].is_used = false;
    }
}

static void copy_names(const char *names[PL_TOPIC_COUNT], const struct pl_kafka_settings *settings)
{
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        names[i] = settings->topic_names[i] != NULL ? settings->topic_names[i]
                                                    : pl_topic_word((enum pl_topic)i);
}

static enum pl_err unreachable(void)
{
    return pl_err_set(PL_RETRY_TRANSPORT, "no Kafka broker is reachable: simulated");
}

/* ---- membership: the background -------------------------------------------------------------- */

static void lose(struct pl_group *handle)
{
    sim_trace(handle->process, "membership lost", handle->group->name, -1, handle->member, 0);
    handle->member = 0;
    handle->is_lost = true;
    handle->expelled_news_ms = 0;
    handle->has_assignment = handle->wants_rejoin = false;
    handle->revoking = handle->adding = 0;
}

static void take_assignment(struct pl_group *handle, uint64_t target)
{
    handle->generation = handle->group->generation;
    handle->revoking = handle->owned & ~target;
    handle->adding = target & ~handle->owned;
    handle->has_assignment = true;
}

/* The news that we are out takes its time: until then the client goes on in good faith. */
static void meet_expulsion(struct pl_group *handle, int64_t now_ms)
{
    if (handle->expelled_news_ms == 0)
        handle->expelled_news_ms = now_ms + sim_some_ms(NEWS_DELAY_MS_MAX);
    if (now_ms >= handle->expelled_news_ms)
        lose(handle);
}

/* A member learns of a rebalance by its next heartbeat, and joins once no callback is owed. */
static void heartbeat(struct pl_group *handle, struct sim_member *member, int64_t now_ms)
{
    bool is_due = now_ms >= handle->next_beat_ms;
    bool hears = is_due && handle->group->is_preparing && !member->has_joined;

    member->heard_ms = handle->heard_ms = now_ms;
    if (is_due)
        handle->next_beat_ms = now_ms + sim_some_ms(SIM_HEARTBEAT_MS);
    if (handle->has_assignment || (!hears && !handle->wants_rejoin))
        return;
    handle->wants_rejoin = false;
    group_rejoin(handle->group, member, handle->owned);
}

static void serve_group(struct pl_group *handle)
{
    int64_t now_ms = sim_mono_ms();

    if (sim_is_cut(handle->process)) {
        if (handle->member != 0 && now_ms - handle->heard_ms > SIM_SESSION_TIMEOUT_MS)
            lose(handle);
        return;
    }
    if (handle->member == 0) {
        if (handle->is_lost || sim_kafka_partition_count(handle->group->topic) == 0)
            return;
        handle->member = group_join(handle->group, handle->process);
        handle->generation = -1;
    }
    struct sim_member *member = group_member(handle->group, handle->member);
    if (member == NULL) {
        meet_expulsion(handle, now_ms);
        return;
    }
    heartbeat(handle, member, now_ms);
    /* A round that it has joined is still going on; otherwise the last generation counts it in. */
    bool is_settled = !handle->group->is_preparing || !member->has_joined;
    if (is_settled && !handle->has_assignment && handle->generation != handle->group->generation)
        take_assignment(handle, member->target);
}

void client_serve(int process)
{
    for (unsigned i = 0; i < s_client.group_count; i++) {
        struct pl_group *handle = &s_client.groups[i];

        if (handle->is_used && handle->process == process)
            serve_group(handle);
    }
}

enum pl_err client_membership(struct pl_group *handle, struct sim_membership *membership)
{
    if (handle->member == 0)
        return pl_err_set(PL_ABORT_REBALANCE, "this process is no member of its group now");
    *membership =
        (struct sim_membership){handle->group, handle->member, handle->generation};
    return PL_OK;
}

/* ---- membership: the caller's side ----------------------------------------------------------- */

enum pl_err pl_group_open(struct pl_group **group, const struct pl_kafka_settings *settings,
                          enum pl_topic topic)
{
    static const struct sim_may may = {.call = "group open", .fatal = PL_FATAL_SYSTEM};
    int process = sim_kafka_current();

    *group = NULL;
    if (settings->group_id == NULL)
        return pl_err_set(PL_FATAL_CONFIG, "a group needs a group id");
    enum pl_err err = sim_gate(process, &may);
    if (err)
        return err;
    unsigned i = 0;
    while (i < s_client.group_count && s_client.groups[i].is_used)
        i++;
    pl_assert(i < GROUP_HANDLES_MAX);
    if (i == s_client.group_count)
        s_client.group_count++;
    struct pl_group *handle = &s_client.groups[i];
    *handle = (struct pl_group){.is_used = true, .process = process, .heard_ms = sim_mono_ms(),
                                .group = group_find(settings->group_id, true)};
    copy_names(handle->topic_names, settings);
    handle->group->topic = topic;
    handle->next_beat_ms = sim_mono_ms() + sim_some_ms(SIM_HEARTBEAT_MS);
    *group = handle;
    return PL_OK;
}

void pl_group_close(struct pl_group **group)
{
    if (*group == NULL)
        return;
    if (!sim_is_cut((*group)->process))
        group_leave((*group)->group, (*group)->member);
    (*group)->is_used = false;
    *group = NULL;
}

static void give_up(struct pl_group *handle, uint64_t partitions, uint64_t *how)
{
    handle->owned &= ~partitions;
    *how |= partitions;
}

/* One callback, as one poll of librdkafka serves: a loss, or what is revoked, or what is
 * assigned. */
static void serve_callback(struct pl_group *handle)
{
    if (handle->is_lost) {
        give_up(handle, handle->owned, &handle->lost);
        handle->is_lost = false;
    } else if (handle->revoking != 0) {
        give_up(handle, handle->revoking, &handle->revoked);
        handle->revoking = 0;
        handle->wants_rejoin = true;
    } else if (handle->has_assignment) {
        handle->owned |= handle->adding;
        handle->adding = 0;
        handle->has_assignment = false;
        handle->has_joined = true;
    }
}

static void tell(struct pl_group *handle, const struct pl_ownership_event *event)
{
    static const char *const what[] = {[PL_OWNERSHIP_NONE] = "?",
                                       [PL_OWNERSHIP_ASSIGNED] = "assigned",
                                       [PL_OWNERSHIP_REVOKED] = "revoked",
                                       [PL_OWNERSHIP_LOST] = "lost"};

    sim_trace(handle->process, what[event->kind], handle->group->name, event->partition,
              handle->generation, 0);
}

/* All ends first: what is gone may be another member's already. What came and went unseen is
 * none. */
static unsigned collect_news(struct pl_group *handle, struct pl_ownership_event *events,
                             unsigned capacity)
{
    unsigned count = 0;

    handle->lost &= handle->reported;
    handle->revoked &= handle->reported;
    for (uint64_t ends; count < capacity && (ends = handle->lost | handle->revoked) != 0;) {
        uint64_t bit = ends & -ends;

        events[count++] = (struct pl_ownership_event){
            (handle->lost & bit) != 0 ? PL_OWNERSHIP_LOST : PL_OWNERSHIP_REVOKED,
            __builtin_ctzll(bit)};
        handle->lost &= ~bit;
        handle->revoked &= ~bit;
        handle->reported &= ~bit;
    }
    for (uint64_t news; count < capacity && (news = handle->owned & ~handle->reported) != 0;) {
        uint64_t bit = news & -news;

        events[count++] =
            (struct pl_ownership_event){PL_OWNERSHIP_ASSIGNED, __builtin_ctzll(bit)};
        handle->reported |= bit;
    }
    for (unsigned i = 0; i < count; i++)
        tell(handle, &events[i]);
    return count;
}

enum pl_err pl_group_poll(struct pl_group *handle, int timeout_ms,
                          struct pl_ownership_event *events, unsigned capacity, unsigned *count)
{
    static const struct sim_may may = {"group poll", PL_RETRY_TRANSPORT, PL_OK, PL_FATAL_KAFKA};

    (void)timeout_ms;
    pl_assert(capacity > 0 && handle->is_used);
    *count = 0;
    enum pl_err err = sim_gate(handle->process, &may);
    if (err)
        return err;
    serve_callback(handle);
    serve_group(handle); /* what the callback allows happens in the background at once */
    *count = collect_news(handle, events, capacity);
    return *count == 0 && sim_is_cut(handle->process) ? unreachable() : PL_OK;
}

bool pl_group_owns(const struct pl_group *handle, int32_t partition)
{
    return partition >= 0 && partition < GROUP_PARTITIONS_MAX && !handle->is_lost &&
           (handle->owned >> partition & 1) != 0;
}

bool pl_group_joined(const struct pl_group *handle)
{
    return handle->has_joined;
}

static enum pl_err ask_committed(struct pl_group *handle, unsigned log, int timeout_ms,
                                 int64_t *offset)
{
    static const struct sim_may may = {"committed offset", PL_RETRY_TRANSPORT, PL_OK,
                                       PL_FATAL_KAFKA};
    bool is_pending;
    enum pl_err err = sim_gate(handle->process, &may);

    if (err)
        return err;
    if (sim_is_cut(handle->process))
        return unreachable();
    int64_t found = group_offset(handle->group, log, &is_pending);
    if (is_pending && !sim_faults.bug_takes_pending_offsets) {
        sim_point(SIM_POINT_WAITS, timeout_ms);
        found = group_offset(handle->group, log, &is_pending);
        if (is_pending)
            return pl_err_set(PL_RETRY_UNSTABLE, "committed offset: a transaction holds it");
    }
    *offset = found;
    return PL_OK;
}

enum pl_err pl_group_committed(struct pl_group *handle, enum pl_topic topic, int32_t partition,
                               int timeout_ms, int64_t *offset)
{
    const struct sim_log *log = broker_log(topic, partition);

    pl_assert(handle->is_used && log != NULL);
    enum pl_err err =
        ask_committed(handle, (unsigned)broker_log_index(log), timeout_ms, offset);
    if (err && sim_faults.bug_takes_error_for_none) {
        *offset = PL_OFFSET_NONE;
        err = PL_OK;
    }
    sim_trace(handle->process, "committed offset is", pl_topic_word(topic), partition,
              err ? -(int64_t)err : *offset, 0);
    return err ? pl_err_note(err, "%s[%d]", handle->topic_names[topic], (int)partition) : PL_OK;
}

/* ---- reading: what is read ------------------------------------------------------------------- */

enum pl_err pl_reader_open(struct pl_reader **reader, const struct pl_kafka_settings *settings,
                           bool uncommitted)
{
    static const struct sim_may may = {.call = "reader open", .fatal = PL_FATAL_SYSTEM};
    int process = sim_kafka_current();
    unsigned i = 0;

    *reader = NULL;
    enum pl_err err = sim_gate(process, &may);
    if (err)
        return err;
    while (i < s_client.reader_count && s_client.readers[i].is_used)
        i++;
    pl_assert(i < READERS_MAX);
    if (i == s_client.reader_count)
        s_client.reader_count++;
    struct pl_reader *opened = &s_client.readers[i];
    opened->is_used = true;
    opened->is_uncommitted = uncommitted;
    opened->process = process;
    opened->reading_count = 0;
    opened->copy_bytes = 0;
    copy_names(opened->topic_names, settings);
    for (unsigned j = 0; j < SIM_PARTITIONS_MAX; j++)
        opened->readings[j] = (struct reading){.high = -1};
    *reader = opened;
    return PL_OK;
}

void pl_reader_close(struct pl_reader **reader)
{
    if (*reader == NULL)
        return;
    (*reader)->is_used = false;
    *reader = NULL;
}

static struct reading *reading_of(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    struct sim_log *log = broker_log(topic, partition);

    pl_assert(reader->is_used);
    return log != NULL ? &reader->readings[broker_log_index(log)] : NULL;
}

static const struct reading *const_reading_of(const struct pl_reader *reader, enum pl_topic topic,
                                              int32_t partition)
{
    const struct sim_log *log = broker_log(topic, partition);

    pl_assert(reader->is_used);
    return log != NULL ? &reader->readings[broker_log_index(log)] : NULL;
}

static const struct sim_may s_local_may = {.call = "assignment", .fatal = PL_FATAL_KAFKA};

enum pl_err pl_reader_add(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                          int64_t offset)
{
    struct reading *reading = reading_of(reader, topic, partition);
    enum pl_err err = sim_gate(reader->process, &s_local_may);

    pl_assert(offset >= 0);
    if (err)
        return err;
    if (reading == NULL)
        return pl_err_set(PL_FATAL_CONFIG, "%s[%d]: unknown partition",
                          reader->topic_names[topic], (int)partition);
    pl_assert(!reading->is_reading);
    *reading = (struct reading){.is_reading = true, .position = offset, .fetch = offset,
                                .fetched_end = offset, .high = reading->high};
    reader->reading_logs[reader->reading_count++] = (uint8_t)(reading - reader->readings);
    return PL_OK;
}

enum pl_err pl_reader_remove(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    struct reading *reading = reading_of(reader, topic, partition);
    enum pl_err err = sim_gate(reader->process, &s_local_may);

    pl_assert(reading != NULL && reading->is_reading);
    reading->is_reading = false;
    unsigned at = 0;
    while (reader->reading_logs[at] != reading - reader->readings)
        at++;
    reader->reading_logs[at] = reader->reading_logs[--reader->reading_count];
    return err;
}

/* Pausing drops what is queued inside and fetches it again after the resumption. */
static enum pl_err set_paused(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                              bool is_paused)
{
    struct reading *reading = reading_of(reader, topic, partition);
    enum pl_err err = sim_gate(reader->process, &s_local_may);

    pl_assert(reading != NULL && reading->is_reading);
    if (err)
        return err;
    reading->is_paused = is_paused;
    reading->fetch = reading->fetched_end = reading->position;
    return PL_OK;
}

enum pl_err pl_reader_pause(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    return set_paused(reader, topic, partition, true);
}

enum pl_err pl_reader_resume(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    return set_paused(reader, topic, partition, false);
}

/* ---- reading: records ------------------------------------------------------------------------ */

/* Asks the broker anew. An offset that the log does not hold is told, whatever else there is. */
static enum pl_err fetch(struct pl_reader *reader, const struct sim_log *log,
                         struct reading *reading)
{
    int64_t now_ms = sim_mono_ms();

    if (sim_is_cut(reader->process) || now_ms < reading->slow_until_ms)
        return PL_OK;
    if (sim_chance(sim_faults.slow_fetch_permille)) {
        reading->slow_until_ms = now_ms + sim_some_ms(sim_faults.slow_fetch_ms_max);
        return PL_OK;
    }
    if (reading->fetch < log->first || reading->fetch > log->end)
        return pl_err_set(PL_FATAL_OFFSETS, "%s[%d] at offset %" PRId64
                          ": Broker: Offset out of range", reader->topic_names[log->topic],
                          (int)log->partition, reading->fetch);
    int64_t limit = reader->is_uncommitted ? log->end : broker_stable(log);
    reading->high = log->end;
    reading->fetched_end = limit > reading->fetch ? limit : reading->fetch;
    if (limit - reading->fetch > SHORT_FETCH_MAX && sim_chance(sim_faults.short_fetch_permille))
        reading->fetched_end =
            reading->fetch + 1 + (int64_t)test_random_below(sim_random, SHORT_FETCH_MAX);
    reading->is_at_end = reading->fetched_end >= limit;
    return PL_OK;
}

static bool is_due(const struct pl_reader *reader, const struct sim_entry *entry)
{
    return !entry->is_marker && !entry->is_cleaned &&
           (reader->is_uncommitted || broker_fate(entry) == SIM_COMMITTED);
}

/* The next offset with a record that is due; past what was fetched when there is none. */
static int64_t find_due(const struct pl_reader *reader, const struct sim_log *log,
                        const struct reading *reading)
{
    int64_t end = reading->fetched_end < log->end ? reading->fetched_end : log->end;
    int64_t offset = reading->fetch;

    while (offset < end && !is_due(reader, &log->entries[offset]))
        offset++;
    return offset < end ? offset : reading->fetched_end;
}

/* The views end with the next poll, so they point to bytes that the next poll destroys. */
static struct pl_bytes_view lend(struct pl_reader *reader, struct pl_bytes_view view)
{
    if (view.data == NULL)
        return view;
    uint8_t *bytes = reader->copy + reader->copy_bytes;
    memcpy(bytes, view.data, view.size_bytes);
    reader->copy_bytes += view.size_bytes;
    return (struct pl_bytes_view){bytes, view.size_bytes};
}

static void deliver(struct pl_reader *reader, const struct sim_log *log, int64_t offset,
                    struct pl_record *record)
{
    const struct sim_entry *entry = &log->entries[offset];
    size_t size_bytes = entry->key.size_bytes + entry->value.size_bytes;

    if (reader->copy_capacity < size_bytes) {
        reader->copy_capacity = size_bytes * 2;
        reader->copy = realloc(reader->copy, reader->copy_capacity);
        pl_assert(reader->copy != NULL);
    }
    record->topic = log->topic;
    record->partition = log->partition;
    record->offset = offset;
    record->timestamp_ms = entry->timestamp_ms;
    record->key = lend(reader, entry->key);
    record->value = lend(reader, entry->value);
    record->header_count =
        entry->header_count < PL_HEADERS_MAX ? entry->header_count : PL_HEADERS_MAX;
    for (unsigned i = 0; i < record->header_count; i++)
        record->headers[i] = entry->headers[i];
}

enum progress { NOTHING, MOVED, FOUND };

static enum pl_err advance(struct pl_reader *reader, unsigned index, struct pl_record *record,
                           enum progress *progress)
{
    const struct sim_log *log = &sim_broker.logs[index];
    struct reading *reading = &reader->readings[index];
    enum pl_err err = PL_OK;

    *progress = NOTHING;
    if (reading->is_paused)
        return PL_OK;
    if (reading->fetch >= reading->fetched_end)
        err = fetch(reader, log, reading);
    if (err)
        return err;
    int64_t offset = find_due(reader, log, reading);
    if (offset < reading->fetched_end) {
        deliver(reader, log, offset, record);
        reading->fetch = reading->position = offset + 1;
        *progress = FOUND;
        return PL_OK;
    }
    reading->fetch = reading->fetched_end;
    if (!reading->is_at_end || reading->position >= reading->fetched_end)
        return PL_OK;
    reading->position = reading->fetched_end;
    *progress = MOVED;
    return PL_OK;
}

enum pl_err pl_reader_poll(struct pl_reader *reader, int timeout_ms, struct pl_record *record,
                           bool *found)
{
    static const struct sim_may may = {"reader poll", PL_RETRY_TRANSPORT, PL_OK, PL_FATAL_KAFKA};
    enum progress progress = NOTHING;

    (void)timeout_ms;
    pl_assert(reader->is_used);
    *found = false;
    if (reader->copy_bytes > 0)
        memset(reader->copy, 0xdb, reader->copy_bytes);
    reader->copy_bytes = 0;
    enum pl_err err = sim_gate(reader->process, &may);
    if (err)
        return err;
    if (reader->reading_count == 0 || sim_chance(sim_faults.empty_poll_permille))
        return PL_OK;
    unsigned first = (unsigned)test_random_below(sim_random, reader->reading_count);
    for (unsigned i = 0; !err && progress == NOTHING && i < reader->reading_count; i++)
        err = advance(reader, reader->reading_logs[(first + i) % reader->reading_count], record,
                      &progress);
    if (err)
        sim_trace_err(reader->process, may.call, err);
    if (!err && progress == NOTHING && sim_is_cut(reader->process))
        return unreachable();
    *found = progress == FOUND;
    if (*found)
        sim_point(SIM_POINT_POLLED, 0);
    return err;
}

int64_t pl_reader_position(const struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    const struct reading *reading = const_reading_of(reader, topic, partition);

    return reading != NULL && reading->is_reading ? reading->position : -1;
}

int64_t pl_reader_end_cached(const struct pl_reader *reader, enum pl_topic topic,
                             int32_t partition)
{
    const struct reading *reading = const_reading_of(reader, topic, partition);

    return reading != NULL ? reading->high : -1;
}

/* ---- questions about a topic ----------------------------------------------------------------- */

/* What every question may answer; *log is the partition asked for. */
static enum pl_err ask(const struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                       const struct sim_log **log)
{
    static const struct sim_may may = {"question", PL_RETRY_TRANSPORT, PL_OK, PL_FATAL_CONFIG};

    pl_assert(reader->is_used);
    *log = broker_log(topic, partition);
    enum pl_err err = sim_gate(reader->process, &may);
    if (!err && sim_is_cut(reader->process))
        err = unreachable();
    if (!err && *log == NULL)
        err = pl_err_set(PL_FATAL_CONFIG, "Broker: Unknown topic or partition");
    return err ? pl_err_note(err, "%s[%d]", reader->topic_names[topic], (int)partition) : PL_OK;
}

static int64_t end_for(const struct pl_reader *reader, const struct sim_log *log)
{
    return reader->is_uncommitted ? log->end : broker_stable(log);
}

enum pl_err pl_reader_watermarks(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                 int timeout_ms, int64_t *first, int64_t *end)
{
    const struct sim_log *log;
    enum pl_err err = ask(reader, topic, partition, &log);

    (void)timeout_ms;
    if (err)
        return err;
    *first = log->first;
    *end = end_for(reader, log);
    return PL_OK;
}

enum pl_err pl_reader_offset_at(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                int64_t time_ms, int timeout_ms, int64_t *offset)
{
    const struct sim_log *log;
    enum pl_err err = ask(reader, topic, partition, &log);

    (void)timeout_ms;
    if (err)
        return err;
    int64_t end = end_for(reader, log);
    for (*offset = log->first; *offset < end; (*offset)++) {
        if (log->entries[*offset].timestamp_ms >= time_ms && !log->entries[*offset].is_cleaned)
            break;
    }
    return PL_OK;
}

enum pl_err pl_reader_partition_count(struct pl_reader *reader, enum pl_topic topic,
                                      int timeout_ms, int32_t *count)
{
    const struct sim_log *log;
    enum pl_err err = ask(reader, topic, 0, &log);

    (void)timeout_ms;
    if (!err)
        *count = sim_kafka_partition_count(topic);
    return err;
}

enum pl_err pl_reader_topic_setting(struct pl_reader *reader, enum pl_topic topic,
                                    const char *name, int timeout_ms, char value[64])
{
    const struct sim_log *log;
    enum pl_err err = ask(reader, topic, 0, &log);

    (void)timeout_ms;
    if (err)
        return err;
    const struct sim_topic *config = &sim_broker.topics[topic].config;
    if (strcmp(name, "cleanup.policy") == 0)
        snprintf(value, 64, "%s", config->is_compacted ? "compact" : "delete");
    else if (strcmp(name, "retention.ms") == 0 || strcmp(name, "min.compaction.lag.ms") == 0)
        snprintf(value, 64, "%" PRId64, config->told_ms);
    else
        return pl_err_set(PL_FATAL_CONFIG, "%s: the broker knows no topic setting %s",
                          reader->topic_names[topic], name);
    return PL_OK;
}
