/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modelled brokers: logs, and the coordinator of transactions as in protocol versions before
 * KIP-890 part 2, which is what librdkafka speaks. EndTxn names a producer id and epoch only; an
 * epoch grows when a slot is opened anew or its transaction times out; a marker takes an offset
 * in each log that the transaction wrote to, and until it is there the log's last stable offset
 * stays below the transaction's first record.
 */
#include <string.h>
#include <sys/mman.h>

#include "tests/chaos/sim/kafka_broker.h"

enum { TIMEOUT_SCAN_MS = 1000 }; /* transaction.abort.timed.out.transaction.cleanup.interval.ms */
static const size_t BYTES_MAX = (size_t)4 << 30;
static const int64_t EIGHT_DAYS_MS = 8LL * 24 * 3600 * 1000;

struct sim_broker sim_broker;

/* ---- memory ---------------------------------------------------------------------------------- */

void broker_reset(void)
{
    struct sim_broker *broker = &sim_broker;

    if (broker->bytes == NULL) {
        broker->bytes = mmap(NULL, BYTES_MAX, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        pl_assert(broker->bytes != MAP_FAILED);
    }
    memset(broker->topics, 0, sizeof(broker->topics));
    broker->log_count = 0;
    broker->slot_count = 0;
    broker->txn_count = 1;
    broker->late_count = 0;
    broker->bytes_used = 0;
    broker->clock_offset_ms = sim_wall_ms() - sim_mono_ms();
}

void *broker_bytes(size_t size_bytes)
{
    uint8_t *bytes = sim_broker.bytes + sim_broker.bytes_used;

    sim_broker.bytes_used += (size_bytes + 7) & ~(size_t)7;
    pl_assert(sim_broker.bytes_used <= BYTES_MAX);
    return bytes;
}

static struct pl_bytes_view copy_bytes(struct pl_bytes_view view)
{
    if (view.data == NULL)
        return view;
    uint8_t *bytes = broker_bytes(view.size_bytes);

    memcpy(bytes, view.data, view.size_bytes);
    return (struct pl_bytes_view){bytes, view.size_bytes};
}

struct sim_entry broker_copy(struct pl_bytes_view key, struct pl_bytes_view value,
                             const struct pl_header *headers, unsigned header_count)
{
    struct sim_entry entry = {.key = copy_bytes(key), .value = copy_bytes(value), .process = -1};

    if (header_count == 0)
        return entry;
    struct pl_header *copies = broker_bytes(header_count * sizeof(*copies));
    for (unsigned i = 0; i < header_count; i++) {
        struct pl_bytes_view name = {(const uint8_t *)headers[i].name,
                                     strlen(headers[i].name) + 1};

        copies[i] = (struct pl_header){(const char *)copy_bytes(name).data,
                                       copy_bytes(headers[i].value)};
    }
    entry.headers = copies;
    entry.header_count = header_count;
    return entry;
}

/* ---- logs ------------------------------------------------------------------------------------ */

void sim_kafka_create(const struct sim_topic *topic)
{
    struct sim_broker *broker = &sim_broker;
    struct sim_topic_state *state = &broker->topics[topic->topic];

    pl_assert(state->config.partition_count == 0 && topic->partition_count > 0);
    pl_assert(broker->log_count + (unsigned)topic->partition_count <= SIM_PARTITIONS_MAX);
    state->config = *topic;
    if (state->config.lag_ms == 0)
        state->config.lag_ms = EIGHT_DAYS_MS;
    if (state->config.told_ms == 0)
        state->config.told_ms = EIGHT_DAYS_MS;
    state->first_log = broker->log_count;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct sim_log *log = &broker->logs[broker->log_count++];

        log->topic = topic->topic;
        log->partition = i;
        log->first = log->end = 0;
    }
}

int32_t sim_kafka_partition_count(enum pl_topic topic)
{
    return sim_broker.topics[topic].config.partition_count;
}

struct sim_log *broker_log(enum pl_topic topic, int32_t partition)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    const struct sim_topic_state *state = &sim_broker.topics[topic];

    return partition >= 0 && partition < state->config.partition_count
               ? &sim_broker.logs[state->first_log + (unsigned)partition] : NULL;
}

int broker_log_index(const struct sim_log *log)
{
    return (int)(log - sim_broker.logs);
}

int64_t broker_append(struct sim_log *log, const struct sim_entry *entry)
{
    if (log->end == log->capacity) {
        log->capacity = log->capacity > 0 ? log->capacity * 2 : 256;
        log->entries = realloc(log->entries, (size_t)log->capacity * sizeof(*log->entries));
        pl_assert(log->entries != NULL);
    }
    struct sim_entry *appended = &log->entries[log->end];
    *appended = *entry;
    appended->timestamp_ms = sim_kafka_clock_ms();
    appended->is_cleaned = false;
    return log->end++;
}

/* The last stable offset: before the first record of any transaction whose marker is not there. */
int64_t broker_stable(const struct sim_log *log)
{
    int index = broker_log_index(log);
    int64_t stable = log->end;

    for (int i = 0; i < sim_broker.slot_count; i++) {
        const struct sim_slot *slot = &sim_broker.slots[i];

        if (slot->txn != 0 && slot->first_offset[index] < stable)
            stable = slot->first_offset[index];
    }
    return stable;
}

enum sim_fate broker_fate(const struct sim_entry *entry)
{
    static const enum sim_fate fates[] = {[SIM_TXN_OPEN] = SIM_OPEN,
                                          [SIM_TXN_COMMITTED] = SIM_COMMITTED,
                                          [SIM_TXN_ABORTED] = SIM_ABORTED};

    if (entry->txn == 0)
        return SIM_COMMITTED;
    enum sim_fate fate = fates[sim_broker.txns[entry->txn].info.state];
    if (!entry->is_marker)
        return fate;
    return fate == SIM_COMMITTED ? SIM_MARKER_COMMIT : SIM_MARKER_ABORT;
}

static bool same_key(const struct sim_entry *a, const struct sim_entry *b)
{
    return a->key.size_bytes == b->key.size_bytes &&
           memcmp(a->key.data, b->key.data, a->key.size_bytes) == 0;
}

static bool has_successor(const struct sim_log *log, int64_t offset, int64_t end)
{
    const struct sim_entry *entry = &log->entries[offset];

    for (int64_t i = offset + 1; i < end; i++) {
        const struct sim_entry *later = &log->entries[i];

        if (!later->is_marker && later->key.data != NULL && broker_fate(later) == SIM_COMMITTED &&
            same_key(entry, later))
            return true;
    }
    return false;
}

/* Where cleaning ends: at the first record that is too young or not yet stable. The newest
 * offset is never cleaned: it is in the active segment. */
static int64_t cleanable_end(const struct sim_log *log)
{
    int64_t oldest_ms = sim_kafka_clock_ms() - sim_broker.topics[log->topic].config.lag_ms;
    int64_t stable = broker_stable(log), end = log->first;

    while (end < stable && end < log->end - 1 && log->entries[end].timestamp_ms < oldest_ms)
        end++;
    return end;
}

/* Of each key the last committed record below the end stays, whatever comes after it. What was
 * aborted goes as well; markers stay, as they do until nothing of theirs is left. */
void broker_clean(struct sim_log *log)
{
    int64_t end = cleanable_end(log);
    unsigned count = 0;

    for (int64_t i = log->first; i < end; i++) {
        struct sim_entry *entry = &log->entries[i];

        if (entry->is_marker || entry->is_cleaned || entry->key.data == NULL ||
            (broker_fate(entry) == SIM_COMMITTED && !has_successor(log, i, end)))
            continue;
        entry->is_cleaned = true;
        count++;
    }
    if (count > 0)
        sim_trace(-1, "cleaned", pl_topic_word(log->topic), log->partition, count, 0);
}

/* ---- transactions: how one ends -------------------------------------------------------------- */

static void write_marker(struct sim_slot *slot, unsigned place)
{
    unsigned index = slot->touched[place];
    struct sim_log *log = &sim_broker.logs[index];
    const struct sim_entry marker = {.txn = slot->txn, .is_marker = true, .process = -1};

    broker_append(log, &marker);
    slot->first_offset[index] = INT64_MAX;
    slot->touched_count--;
    slot->touched[place] = slot->touched[slot->touched_count];
    slot->marker_ms[place] = slot->marker_ms[slot->touched_count];
}

/* Writes the markers that are due; with the last of them the transaction is complete. */
static void complete(struct sim_slot *slot, int64_t now_ms)
{
    struct sim_txn *txn = &sim_broker.txns[slot->txn];

    for (unsigned i = 0; i < slot->touched_count;) {
        if (slot->marker_ms[i] <= now_ms)
            write_marker(slot, i);
        else
            i++;
    }
    if (slot->has_offsets && slot->offsets_marker_ms <= now_ms) {
        group_settle_offsets(txn->group, (int)(slot - sim_broker.slots),
                             txn->info.state == SIM_TXN_COMMITTED);
        slot->has_offsets = false;
    }
    if (slot->touched_count > 0 || slot->has_offsets)
        return;
    txn->info.is_complete = true;
    slot->last = txn->info.state;
    slot->txn = 0;
}

static int64_t marker_time(int64_t now_ms)
{
    return sim_chance(sim_faults.late_marker_permille)
               ? now_ms + sim_some_ms(sim_faults.late_marker_ms_max) : now_ms;
}

static bool is_open(const struct sim_slot *slot)
{
    return slot->txn != 0 && sim_broker.txns[slot->txn].info.state == SIM_TXN_OPEN;
}

static void decide(struct sim_slot *slot, bool is_commit, const char *why)
{
    int64_t now_ms = sim_mono_ms();
    struct sim_txn_info *info = &sim_broker.txns[slot->txn].info;

    pl_assert(is_open(slot));
    info->state = is_commit ? SIM_TXN_COMMITTED : SIM_TXN_ABORTED;
    info->decided_ms = now_ms;
    for (unsigned i = 0; i < slot->touched_count; i++)
        slot->marker_ms[i] = marker_time(now_ms);
    slot->offsets_marker_ms = marker_time(now_ms);
    sim_trace(info->process, why, slot->name, -1, (int64_t)slot->txn, slot->epoch);
    complete(slot, now_ms);
}

/* The next transaction of a slot waits for the markers of the last one
 * (CONCURRENT_TRANSACTIONS). */
static void finish(struct sim_slot *slot)
{
    if (slot->txn != 0 && !is_open(slot))
        complete(slot, INT64_MAX);
}

/* ---- transactions: requests ------------------------------------------------------------------ */

static struct sim_slot *find_slot(const char *name)
{
    for (int i = 0; i < sim_broker.slot_count; i++) {
        if (strcmp(sim_broker.slots[i].name, name) == 0)
            return &sim_broker.slots[i];
    }
    pl_assert(sim_broker.slot_count < SIM_SLOTS_MAX && strlen(name) < NAME_BYTES);
    struct sim_slot *slot = &sim_broker.slots[sim_broker.slot_count++];
    *slot = (struct sim_slot){.epoch = -1};
    memcpy(slot->name, name, strlen(name) + 1);
    for (unsigned i = 0; i < SIM_PARTITIONS_MAX; i++)
        slot->first_offset[i] = INT64_MAX;
    return slot;
}

int broker_init_producer(const char *name, int timeout_ms, int32_t *epoch)
{
    struct sim_slot *slot = find_slot(name);
    bool is_fencing = slot->epoch < 0 || !sim_faults.bug_twins_unfenced;

    if (is_fencing) {
        slot->epoch++;
        if (is_open(slot))
            decide(slot, false, "aborted by the slot's next holder");
        finish(slot);
        slot->last = SIM_TXN_OPEN;
    }
    slot->timeout_ms = timeout_ms;
    *epoch = slot->epoch;
    return (int)(slot - sim_broker.slots);
}

static uint64_t begin(struct sim_slot *slot, int process)
{
    struct sim_broker *broker = &sim_broker;
    int64_t now_ms = sim_mono_ms();

    if (broker->txn_count >= broker->txn_capacity) {
        broker->txn_capacity = broker->txn_capacity > 0 ? broker->txn_capacity * 2 : 256;
        broker->txns = realloc(broker->txns, broker->txn_capacity * sizeof(*broker->txns));
        pl_assert(broker->txns != NULL);
    }
    slot->txn = broker->txn_count++;
    slot->deadline_ms = now_ms + slot->timeout_ms + sim_some_ms(TIMEOUT_SCAN_MS);
    slot->touched_count = 0;
    slot->has_offsets = false;
    broker->txns[slot->txn] = (struct sim_txn){
        .info = {.slot = (int)(slot - broker->slots), .process = process, .epoch = slot->epoch,
                 .begun_ms = now_ms, .decided_ms = -1}};
    return slot->txn;
}

enum sim_answer broker_begun(int slot_index, int32_t epoch, int process, uint64_t *txn)
{
    struct sim_slot *slot = &sim_broker.slots[slot_index];

    if (slot->epoch != epoch)
        return SIM_ANSWER_FENCED;
    finish(slot);
    *txn = slot->txn != 0 ? slot->txn : begin(slot, process);
    return SIM_ANSWER_OK;
}

enum sim_answer broker_append_txn(int slot_index, int32_t epoch, struct sim_log *log,
                                  const struct sim_entry *entry)
{
    struct sim_slot *slot = &sim_broker.slots[slot_index];
    struct sim_entry copy = *entry;
    enum sim_answer answer = broker_begun(slot_index, epoch, entry->process, &copy.txn);
    if (answer != SIM_ANSWER_OK)
        return answer;

    int index = broker_log_index(log);
    unsigned place = 0;
    while (place < slot->touched_count && slot->touched[place] != index)
        place++;
    if (place == slot->touched_count)
        slot->touched[slot->touched_count++] = (uint8_t)index;
    int64_t offset = broker_append(log, &copy);
    if (slot->first_offset[index] == INT64_MAX)
        slot->first_offset[index] = offset;
    return SIM_ANSWER_OK;
}

/* What is repeated after the decision is answered as the first time; anything else is refused. */
enum sim_answer broker_end(int slot_index, int32_t epoch, bool is_commit)
{
    struct sim_slot *slot = &sim_broker.slots[slot_index];
    enum sim_txn_state wanted = is_commit ? SIM_TXN_COMMITTED : SIM_TXN_ABORTED;

    if (slot->epoch != epoch)
        return SIM_ANSWER_FENCED;
    if (is_open(slot)) {
        decide(slot, is_commit, is_commit ? "committed" : "aborted");
        return SIM_ANSWER_OK;
    }
    enum sim_txn_state last = slot->txn != 0 ? sim_broker.txns[slot->txn].info.state : slot->last;
    return last == wanted ? SIM_ANSWER_OK : SIM_ANSWER_INVALID;
}

void broker_end_later(int slot, int32_t epoch, bool is_commit, int64_t ms)
{
    struct sim_broker *broker = &sim_broker;

    if (broker->late_count == LATE_MAX)
        return; /* lost, which is as good */
    broker->late[broker->late_count++] =
        (struct sim_late){sim_mono_ms() + ms, slot, epoch, is_commit};
}

/* ---- time ------------------------------------------------------------------------------------ */

static void deliver_late(int64_t now_ms)
{
    struct sim_broker *broker = &sim_broker;

    for (unsigned i = 0; i < broker->late_count;) {
        struct sim_late late = broker->late[i];

        if (late.due_ms > now_ms) {
            i++;
            continue;
        }
        broker->late[i] = broker->late[--broker->late_count];
        enum sim_answer answer = broker_end(late.slot, late.epoch, late.is_commit);
        sim_trace(-1, "late EndTxn arrived", broker->slots[late.slot].name, -1, answer, late.epoch);
    }
}

/* There is no KIP-588: a transaction that timed out fences its producer (T5). */
static void time_out(struct sim_slot *slot, int64_t now_ms)
{
    if (!is_open(slot) || slot->deadline_ms > now_ms)
        return;
    slot->epoch++;
    decide(slot, false, "timed out");
}

void broker_tick(int64_t now_ms)
{
    deliver_late(now_ms);
    for (int i = 0; i < sim_broker.slot_count; i++) {
        struct sim_slot *slot = &sim_broker.slots[i];

        time_out(slot, now_ms);
        if (slot->txn != 0 && !is_open(slot))
            complete(slot, now_ms);
    }
    if (sim_broker.log_count == 0 || !sim_chance(sim_faults.compact_permille))
        return;
    struct sim_log *log =
        &sim_broker.logs[test_random_below(sim_random, sim_broker.log_count)];
    if (sim_broker.topics[log->topic].config.is_compacted)
        broker_clean(log);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t broker_next_ms(void)
{
    int64_t next_ms = INT64_MAX;

    for (unsigned i = 0; i < sim_broker.late_count; i++)
        next_ms = earlier(next_ms, sim_broker.late[i].due_ms);
    for (int i = 0; i < sim_broker.slot_count; i++) {
        const struct sim_slot *slot = &sim_broker.slots[i];

        if (is_open(slot))
            next_ms = earlier(next_ms, slot->deadline_ms);
        if (slot->txn == 0 || is_open(slot))
            continue;
        for (unsigned j = 0; j < slot->touched_count; j++)
            next_ms = earlier(next_ms, slot->marker_ms[j]);
        if (slot->has_offsets)
            next_ms = earlier(next_ms, slot->offsets_marker_ms);
    }
    return next_ms;
}
