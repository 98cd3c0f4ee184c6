/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/kafka/txn.h on the modelled Kafka: librdkafka's transactional producer with our handle's
 * rules on top. Records wait in a local queue and reach the log by themselves or at the commit;
 * offsets are sent before the records are flushed; what failed for lack of an answer is
 * FATAL_UNKNOWN, whatever the broker made of the request.
 */
#include <string.h>

#include "tests/chaos/sim/kafka_broker.h"

enum { HANDLES_MAX = 64 };

/* As librdkafka's states. UNKNOWN: a commit or abort got no answer; our services leave then, and
 * who does not may abort and meet the torn transaction of T6. */
enum state { READY, BEGUN, ABORTABLE, UNKNOWN, DEAD };

/* Records on their way. Memory is kept from seed to seed. */
struct queue {
    struct queued { struct sim_log *log; struct sim_entry entry; } *records;
    unsigned count, capacity;
};

struct pl_txn {
    bool is_used;
    int process;
    const char *topic_names[PL_TOPIC_COUNT];
    int slot;
    int32_t epoch;
    int timeout_ms;
    enum state state;
    enum pl_err death; /* what every call answers when DEAD */
    bool has_begun;     /* the coordinator knows of the transaction                        */
    bool is_unanswered; /* the commit's EndTxn gets no answer: injected by number          */
    bool has_membership, has_lost_record;
    struct sim_membership membership;
    struct queue queue;
};

struct pl_producer {
    bool is_used;
    int process;
    const char *topic_names[PL_TOPIC_COUNT];
    unsigned failed_count;
    struct queue queue;
};

static struct {
    struct pl_txn txns[HANDLES_MAX];
    unsigned txn_count;
    struct pl_producer producers[HANDLES_MAX];
    unsigned producer_count;
} s_client;

void txn_client_reset(void)
{
    for (unsigned i = 0; i < s_client.txn_count; i++)
        s_client.txns[i].is_used = false;
    for (unsigned i = 0; i < s_client.producer_count; i++)
        s_client.producers[i].is_used = false;
    s_client.txn_count = s_client.producer_count = 0;
}

void txn_client_kill(int process)
{
    for (unsigned i = 0; i < s_client.txn_count; i++) {
        if (s_client.txns[i].process == process)
            s_client.txns[i].is_used = false;
    }
    for (unsigned i = 0; i < s_client.producer_count; i++) {
        if (s_client.producers[i].process == process)
            s_client.producers[i].is_used = false;
    }
}

static void copy_names(const char *names[PL_TOPIC_COUNT], const struct pl_kafka_settings *settings)
{
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        names[i] = settings->topic_names[i] != NULL ? settings->topic_names[i]
                                                    : pl_topic_word((enum pl_topic)i);
}

/* ---- records on their way -------------------------------------------------------------------- */

struct outgoing {
    enum pl_topic topic;
    int32_t partition;
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

static enum pl_err find_log(const char *const names[PL_TOPIC_COUNT], const struct outgoing *record,
                            struct sim_log **log)
{
    int32_t count = sim_kafka_partition_count(record->topic);
    int32_t partition = record->partition;

    if (partition < 0 && count > 0) /* librdkafka: without a key any partition */
        partition = record->key.size_bytes == 0
                        ? (int32_t)test_random_below(sim_random, (uint64_t)count)
                        : pl_key_partition(record->key.data, record->key.size_bytes, count);
    *log = count > 0 ? broker_log(record->topic, partition) : NULL;
    if (*log != NULL)
        return PL_OK;
    return pl_err_set(PL_FATAL_CONFIG, "%s[%d]: unknown topic or partition",
                      names[record->topic], (int)partition);
}

static void enqueue(struct queue *queue, int process, struct sim_log *log,
                    const struct outgoing *record)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity > 0 ? queue->capacity * 2 : 64;
        queue->records = realloc(queue->records, queue->capacity * sizeof(*queue->records));
        pl_assert(queue->records != NULL);
    }
    struct queued *queued = &queue->records[queue->count++];
    queued->log = log;
    queued->entry =
        broker_copy(record->key, record->value, record->headers, record->header_count);
    queued->entry.process = process;
}

static enum pl_err die(struct pl_txn *txn, enum pl_err death)
{
    txn->state = DEAD;
    txn->death = death;
    return death;
}

static enum pl_err fenced(struct pl_txn *txn)
{
    sim_trace_err(txn->process, "fenced", PL_FATAL_FENCED);
    return pl_err_set(die(txn, PL_FATAL_FENCED), "%s: a newer producer took over",
                      pl_txn_id(txn));
}

/* Sends what is queued, in order. A refusal is found by the next call that asks. */
static enum pl_err flush(struct pl_txn *txn)
{
    struct queue *queue = &txn->queue;
    unsigned count = queue->count;

    queue->count = 0;
    for (unsigned i = 0; i < count; i++) {
        enum sim_answer answer = broker_append_txn(txn->slot, txn->epoch, queue->records[i].log,
                                                   &queue->records[i].entry);
        if (answer != SIM_ANSWER_OK)
            return fenced(txn);
        txn->has_begun = true;
    }
    return PL_OK;
}

static void flush_plain(struct pl_producer *producer)
{
    for (unsigned i = 0; i < producer->queue.count; i++)
        broker_append(producer->queue.records[i].log, &producer->queue.records[i].entry);
    producer->queue.count = 0;
}

/* The producers' threads run. */
void txn_client_serve(int process)
{
    if (sim_is_cut(process))
        return;
    for (unsigned i = 0; i < s_client.producer_count; i++) {
        struct pl_producer *producer = &s_client.producers[i];

        if (producer->is_used && producer->process == process)
            flush_plain(producer);
    }
    for (unsigned i = 0; i < s_client.txn_count; i++) {
        struct pl_txn *txn = &s_client.txns[i];

        if (txn->is_used && txn->process == process && txn->state == BEGUN)
            (void)flush(txn);
    }
}

/* ---- transactions ---------------------------------------------------------------------------- */

static struct pl_txn *free_txn(void)
{
    unsigned i = 0;

    while (i < s_client.txn_count && s_client.txns[i].is_used)
        i++;
    pl_assert(i < HANDLES_MAX);
    if (i == s_client.txn_count)
        s_client.txn_count++;
    struct queue queue = s_client.txns[i].queue;
    queue.count = 0;
    s_client.txns[i] = (struct pl_txn){.is_used = true, .queue = queue};
    return &s_client.txns[i];
}

enum pl_err pl_txn_open(struct pl_txn **txn, const struct pl_kafka_settings *settings,
                        const char *transactional_id, int timeout_ms)
{
    static const struct sim_may may = {"init transactions", PL_RETRY_TRANSPORT, PL_OK,
                                       PL_FATAL_FENCED};
    int process = sim_kafka_current();

    *txn = NULL;
    enum pl_err err = sim_gate(process, &may);
    if (err)
        return err;
    if (!sim_wait_connected(process, timeout_ms))
        return pl_err_set(PL_RETRY_TRANSPORT, "init_transactions of %s: timed out",
                          transactional_id);
    struct pl_txn *opened = free_txn();
    opened->process = process;
    opened->timeout_ms = timeout_ms;
    copy_names(opened->topic_names, settings);
    opened->slot = broker_init_producer(transactional_id, timeout_ms, &opened->epoch);
    sim_trace(process, "opened slot", pl_txn_id(opened), -1, opened->epoch, 0);
    *txn = opened;
    return PL_OK;
}

void pl_txn_close(struct pl_txn **txn)
{
    if (*txn == NULL)
        return;
    (*txn)->is_used = false;
    *txn = NULL;
}

const char *pl_txn_id(const struct pl_txn *txn)
{
    return sim_broker.slots[txn->slot].name;
}

/* The answer of a call that the producer's state forbids: dead, or not in a transaction. */
static enum pl_err refuse(const struct pl_txn *txn, const char *call)
{
    if (txn->state == DEAD)
        return pl_err_set(txn->death, "%s of %s: the producer has failed", call, pl_txn_id(txn));
    return pl_err_set(PL_FATAL_KAFKA, "%s of %s: Local: Erroneous state", call, pl_txn_id(txn));
}

static enum pl_err abortable(struct pl_txn *txn, enum pl_err err, const char *why)
{
    txn->state = ABORTABLE;
    sim_trace_err(txn->process, why, err);
    return pl_err_set(err, "%s: %s", pl_txn_id(txn), why);
}

static enum pl_err unknown(struct pl_txn *txn, const char *call)
{
    txn->state = UNKNOWN;
    sim_trace_err(txn->process, call, PL_FATAL_UNKNOWN);
    return pl_err_set(PL_FATAL_UNKNOWN, "%s of %s: timed out, outcome unknown", call,
                      pl_txn_id(txn));
}

enum pl_err pl_txn_begin(struct pl_txn *txn)
{
    static const struct sim_may may = {.call = "begin", .fatal = PL_FATAL_FENCED};

    pl_assert(txn->is_used);
    enum pl_err err = sim_gate(txn->process, &may);
    if (err)
        return die(txn, err);
    if (txn->state != READY)
        return refuse(txn, may.call);
    txn->state = BEGUN;
    txn->has_lost_record = txn->has_begun = false;
    txn->queue.count = 0;
    sim_point(SIM_POINT_BEGUN, 0);
    return PL_OK;
}

/* A refused record leaves the transaction to be aborted. */
static enum pl_err judge_produce(struct pl_txn *txn)
{
    static const struct sim_may may = {"produce", PL_OK, PL_ABORT_TRANSACTION, PL_FATAL_FENCED};
    enum pl_err err = sim_gate(txn->process, &may);

    if (pl_err_action(err) == PL_ACTION_FATAL)
        return die(txn, err);
    if (err)
        return abortable(txn, err, may.call);
    if (txn->state == DEAD)
        return refuse(txn, may.call);
    if (txn->state != BEGUN)
        return pl_err_set(PL_ABORT_TRANSACTION, "produce of %s: Local: Erroneous state",
                          pl_txn_id(txn));
    return PL_OK;
}

enum pl_err pl_txn_produce(struct pl_txn *txn, enum pl_topic topic, int32_t partition,
                           struct pl_bytes_view key, struct pl_bytes_view value,
                           const struct pl_header *headers, unsigned header_count)
{
    const struct outgoing record = {topic, partition, key, value, headers, header_count};
    struct sim_log *log = NULL;

    pl_assert(txn->is_used);
    enum pl_err err = judge_produce(txn);
    if (!err)
        err = find_log(txn->topic_names, &record, &log);
    if (err)
        return err;
    if (sim_chance(sim_faults.lost_produce_permille))
        txn->has_lost_record = true;
    else
        enqueue(&txn->queue, txn->process, log, &record);
    if (!sim_is_cut(txn->process) && !sim_chance(sim_faults.late_produce_permille))
        (void)flush(txn); /* a refusal shows at the next call */
    sim_point(SIM_POINT_PRODUCED, 0);
    return PL_OK;
}

enum pl_err pl_txn_capture_group(struct pl_txn *txn, struct pl_group *group)
{
    static const struct sim_may may = {.call = "capture group", .abort = PL_ABORT_REBALANCE};

    pl_assert(txn->is_used);
    enum pl_err err = sim_gate(txn->process, &may);
    if (!err)
        err = client_membership(group, &txn->membership);
    txn->has_membership |= !err;
    return err;
}

static enum pl_err send_offsets(struct pl_txn *txn, const struct pl_offset *offsets,
                                unsigned count)
{
    pl_assert(txn->has_membership);
    for (unsigned i = 0; i < count; i++)
        pl_assert(offsets[i].offset >= 0);
    sim_point(SIM_POINT_BEFORE_OFFSETS, 0);
    if (!sim_wait_connected(txn->process, txn->timeout_ms))
        return unknown(txn, "send_offsets_to_transaction");
    if (sim_chance(sim_faults.offsets_fail_permille))
        return abortable(txn, PL_ABORT_TRANSACTION, "the group's coordinator is loading");
    const struct sim_membership *membership = &txn->membership;
    enum sim_answer answer =
        group_send_offsets(membership->group, membership->member, membership->generation,
                           txn->slot, txn->epoch, txn->process, offsets, count);
    if (answer == SIM_ANSWER_FENCED)
        return fenced(txn);
    txn->has_begun = true;
    if (answer == SIM_ANSWER_NO_MEMBER)
        return abortable(txn, PL_ABORT_REBALANCE, "offsets refused: unknown member");
    if (answer == SIM_ANSWER_GENERATION)
        return abortable(txn, PL_ABORT_REBALANCE, "offsets refused: illegal generation");
    sim_wait_reply();
    return PL_OK;
}

static enum pl_err flush_all(struct pl_txn *txn)
{
    if (!sim_wait_connected(txn->process, txn->timeout_ms))
        return unknown(txn, "flush");
    enum pl_err err = flush(txn);
    if (!err && txn->has_lost_record)
        return abortable(txn, PL_ABORT_TRANSACTION, "a record was lost");
    return err;
}

/* The request of a call that gets no answer: lost, arrived, or still under way (T6). */
static bool leave_unanswered(struct pl_txn *txn, bool is_commit)
{
    int64_t ms = sim_some_ms(sim_faults.end_late_ms_max);

    if (sim_chance(sim_faults.end_late_permille)) {
        broker_end_later(txn->slot, txn->epoch, is_commit, ms);
        return true;
    }
    if (!txn->is_unanswered && !sim_chance(sim_faults.end_lost_permille))
        return false;
    if (test_random_below(sim_random, 2) == 0)
        (void)broker_end(txn->slot, txn->epoch, is_commit);
    return true;
}

/* EndTxn and its reply. */
static enum pl_err end(struct pl_txn *txn, bool is_commit, const char *call)
{
    if (!txn->has_begun)
        return PL_OK; /* the coordinator never heard of it */
    if (!sim_wait_connected(txn->process, txn->timeout_ms) || leave_unanswered(txn, is_commit))
        return unknown(txn, call);
    enum sim_answer answer = broker_end(txn->slot, txn->epoch, is_commit);
    if (answer == SIM_ANSWER_OK && sim_chance(sim_faults.end_repeated_permille))
        answer = broker_end(txn->slot, txn->epoch, is_commit);
    if (answer == SIM_ANSWER_OK && sim_chance(sim_faults.end_torn_permille))
        broker_end_later(txn->slot, txn->epoch, is_commit,
                         sim_some_ms(sim_faults.end_late_ms_max));
    if (answer == SIM_ANSWER_FENCED)
        return fenced(txn);
    if (answer != SIM_ANSWER_OK)
        return pl_err_set(die(txn, PL_FATAL_KAFKA), "%s of %s: Broker: Producer attempted a "
                          "transactional operation in an invalid state", call, pl_txn_id(txn));
    sim_point(SIM_POINT_ENDED, 0);
    sim_wait_reply();
    return PL_OK;
}

/* An injected FATAL_UNKNOWN either sends nothing at all, or everything and then gets no answer. */
static enum pl_err judge_commit(struct pl_txn *txn)
{
    static const struct sim_may may = {"commit", PL_OK, PL_ABORT_TRANSACTION, PL_FATAL_UNKNOWN};
    enum pl_err err = sim_gate(txn->process, &may);

    txn->is_unanswered = pl_err_action(err) == PL_ACTION_FATAL;
    if (txn->is_unanswered && (!txn->has_begun || test_random_below(sim_random, 3) == 0))
        return unknown(txn, may.call);
    if (err && !txn->is_unanswered)
        return abortable(txn, err, may.call);
    if (txn->state == ABORTABLE)
        return pl_err_set(PL_ABORT_TRANSACTION, "commit of %s: the transaction has failed",
                          pl_txn_id(txn));
    return txn->state == BEGUN ? PL_OK : refuse(txn, may.call);
}

enum pl_err pl_txn_commit(struct pl_txn *txn, const struct pl_offset *offsets, unsigned count)
{
    pl_assert(txn->is_used);
    enum pl_err err = judge_commit(txn);
    if (!err && count > 0)
        err = send_offsets(txn, offsets, count);
    if (!err)
        err = flush_all(txn);
    if (err)
        return err;
    sim_point(SIM_POINT_BEFORE_END, 0);
    if (sim_chance(sim_faults.end_fail_permille))
        return abortable(txn, PL_ABORT_TRANSACTION, "the commit is refused");
    err = end(txn, true, "commit_transaction");
    if (err)
        return err;
    txn->state = READY;
    sim_point(SIM_POINT_COMMITTED, 0);
    return PL_OK;
}

enum pl_err pl_txn_abort(struct pl_txn *txn)
{
    static const struct sim_may may = {.call = "abort", .fatal = PL_FATAL_UNKNOWN};

    pl_assert(txn->is_used);
    enum pl_err err = sim_gate(txn->process, &may);
    txn->is_unanswered = false;
    if (err)
        return unknown(txn, may.call);
    if (txn->state == READY || txn->state == DEAD)
        return refuse(txn, may.call);
    txn->queue.count = 0;
    err = end(txn, false, "abort_transaction");
    if (err)
        return err;
    txn->state = READY;
    sim_point(SIM_POINT_ABORTED, 0);
    return PL_OK;
}

/* ---- plain producer -------------------------------------------------------------------------- */

enum pl_err pl_producer_open(struct pl_producer **producer,
                             const struct pl_kafka_settings *settings)
{
    static const struct sim_may may = {.call = "producer open", .fatal = PL_FATAL_SYSTEM};
    int process = sim_kafka_current();
    unsigned i = 0;

    *producer = NULL;
    enum pl_err err = sim_gate(process, &may);
    if (err)
        return err;
    while (i < s_client.producer_count && s_client.producers[i].is_used)
        i++;
    pl_assert(i < HANDLES_MAX);
    if (i == s_client.producer_count)
        s_client.producer_count++;
    struct pl_producer *opened = &s_client.producers[i];
    struct queue queue = opened->queue;
    queue.count = 0;
    *opened = (struct pl_producer){.is_used = true, .process = process, .queue = queue};
    copy_names(opened->topic_names, settings);
    *producer = opened;
    return PL_OK;
}

void pl_producer_close(struct pl_producer **producer)
{
    if (*producer == NULL)
        return;
    (*producer)->is_used = false;
    *producer = NULL;
}

enum pl_err pl_producer_send(struct pl_producer *producer, enum pl_topic topic, int32_t partition,
                             struct pl_bytes_view key, struct pl_bytes_view value,
                             const struct pl_header *headers, unsigned header_count)
{
    static const struct sim_may may = {"send", PL_RETRY_QUEUE_FULL, PL_OK, PL_FATAL_KAFKA};
    const struct outgoing record = {topic, partition, key, value, headers, header_count};
    struct sim_log *log = NULL;

    pl_assert(producer->is_used);
    enum pl_err err = sim_gate(producer->process, &may);
    if (!err && sim_chance(sim_faults.queue_full_permille))
        err = pl_err_set(PL_RETRY_QUEUE_FULL, "%s: the local queue is full",
                         producer->topic_names[topic]);
    if (!err)
        err = find_log(producer->topic_names, &record, &log);
    if (err)
        return err;
    if (sim_chance(sim_faults.lost_produce_permille)) {
        producer->failed_count++;
        return PL_OK;
    }
    enqueue(&producer->queue, producer->process, log, &record);
    if (!sim_is_cut(producer->process) && !sim_chance(sim_faults.late_produce_permille))
        flush_plain(producer);
    sim_point(SIM_POINT_PRODUCED, 0);
    return PL_OK;
}

enum pl_err pl_producer_poll(struct pl_producer *producer, unsigned *failed)
{
    static const struct sim_may may = {"delivery", PL_RETRY_TRANSPORT, PL_OK, PL_FATAL_KAFKA};

    pl_assert(producer->is_used);
    enum pl_err err = sim_gate(producer->process, &may);
    *failed = producer->failed_count;
    producer->failed_count = 0;
    if (err)
        return err;
    if (sim_is_cut(producer->process))
        return pl_err_set(PL_RETRY_TRANSPORT, "no Kafka broker is reachable: simulated");
    flush_plain(producer);
    return PL_OK;
}

enum pl_err pl_producer_flush(struct pl_producer *producer, int timeout_ms)
{
    static const struct sim_may may = {"flush", PL_RETRY_TRANSPORT, PL_OK, PL_FATAL_KAFKA};

    pl_assert(producer->is_used);
    enum pl_err err = sim_gate(producer->process, &may);
    if (!err && !sim_wait_connected(producer->process, timeout_ms))
        err = pl_err_set(PL_RETRY_TRANSPORT, "flush: Local: Timed out");
    if (!err)
        flush_plain(producer);
    return err;
}
