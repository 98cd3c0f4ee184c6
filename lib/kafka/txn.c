/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step 6 of the event's path: orders, alerts, journal and input offsets become visible together or
 * not at all (G1).
 *
 * Every transactional call goes through settle(): the error's class is asked in the order fatal,
 * abort, retriable (T13); a retriable one means the same call again, never abort-and-redo, until
 * the transaction's own timeout has passed. A timeout whose outcome nobody knows ends the process
 * (T6): only a new producer of the same slot, which fences this one, may speak next.
 */
#include "lib/kafka/txn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/handle.h"
#include "lib/kafka/watchdog.h"

enum {
    CALL_SLICE_MS = 1000,      /* one call of librdkafka, so that the watchdog hears from us */
    RETRY_PAUSE_MS = 5,
    QUEUE_FULL_WAIT_MS = 10,
    TOPIC_WAIT_MS = 5000,      /* metadata of a topic on its first use                       */
    PLAIN_MESSAGE_TIMEOUT_MS = 30000,
};

/* What both kinds of producer share. */
struct pl_output {
    struct pl_kafka_link link;
    const char *topic_names[PL_TOPIC_COUNT];
    rd_kafka_topic_t *topics[PL_TOPIC_COUNT]; /* opened on first use */
    unsigned failed_count;                    /* records given up since last asked     */
    rd_kafka_resp_err_t failed_code;          /* why the first of them was             */
    bool lost_dead_letter;                    /* one of them was a dead letter          */
};

struct pl_txn {
    struct pl_output output;
    char id[256];
    int timeout_ms;
    rd_kafka_consumer_group_metadata_t *metadata; /* as captured; NULL before */
};

struct pl_producer {
    struct pl_output output;
};

/* ---- both kinds ------------------------------------------------------------------------------ */

/* Runs inside poll, flush, commit and abort, on the caller's thread. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct pl_output *output = opaque;

    (void)rk;
    if (message->err == 0 || message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        return;
    if (output->failed_count++ == 0)
        output->failed_code = message->err;
    if (message->rkt != NULL && strcmp(rd_kafka_topic_name(message->rkt),
                                       output->topic_names[PL_TOPIC_DEADLETTER]) == 0)
        output->lost_dead_letter = true;
}

static enum pl_err open_output(struct pl_output *output, const struct pl_kafka_settings *settings,
                               rd_kafka_conf_t *conf)
{
    memcpy(output->topic_names, settings->topic_names, sizeof(output->topic_names));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return pl_kafka_link_open(&output->link, PL_KAFKA_PRODUCER, conf);
}

/* After a fatal error librdkafka may hang in its destructor (T14): the handle is then left to the
 * end of the process, which is near. */
static bool close_output(struct pl_output *output)
{
    char text[8];

    if (rd_kafka_fatal_error(output->link.rk, text, sizeof(text)) != 0)
        return false;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        if (output->topics[i] != NULL)
            rd_kafka_topic_destroy(output->topics[i]);
    }
    rd_kafka_destroy(output->link.rk);
    return true;
}

/* The first record to a topic of which librdkafka has no metadata waits for a timer of 1 s, so the
 * metadata is asked for. */
static rd_kafka_resp_err_t open_topic(struct pl_output *output, enum pl_topic topic)
{
    const struct rd_kafka_metadata *metadata = NULL;

    if (output->topics[topic] != NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    pl_watchdog_beat("produce: metadata of a topic");
    rd_kafka_topic_t *rkt =
        rd_kafka_topic_new(output->link.rk, output->topic_names[topic], NULL);
    if (rkt == NULL)
        return rd_kafka_last_error();
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(output->link.rk, 0, rkt, &metadata, TOPIC_WAIT_MS);
    if (code == 0) {
        code = metadata->topics[0].err;
        rd_kafka_metadata_destroy(metadata);
    }
    if (code == 0)
        output->topics[topic] = rkt;
    else
        rd_kafka_topic_destroy(rkt);
    return code;
}

struct pl_outgoing {
    enum pl_topic topic;
    int32_t partition;
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

static rd_kafka_headers_t *copy_headers(const struct pl_outgoing *record)
{
    if (record->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (unsigned i = 0; i < record->header_count; i++) {
        const struct pl_header *header = &record->headers[i];
        rd_kafka_resp_err_t code =
            rd_kafka_header_add(headers, header->name, -1, header->value.data,
                                (ssize_t)header->value.size_bytes);
        pl_assert(code == 0);
    }
    return headers;
}

static rd_kafka_vu_t vu_mem(rd_kafka_vtype_t type, struct pl_bytes_view bytes)
{
    /* librdkafka declares what it only copies as writable. */
    return (rd_kafka_vu_t){.vtype = type, .u.mem = {.ptr = (void *)(uintptr_t)bytes.data,
                                                    .size = bytes.size_bytes}};
}

/* Hands a copy of the record to librdkafka. On failure the headers stay ours only when they are
 * passed as one list: 2.0.2 frees single ones twice. */
static rd_kafka_resp_err_t enqueue(struct pl_output *output, const struct pl_outgoing *record)
{
    rd_kafka_headers_t *headers = copy_headers(record);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = output->topics[record->topic]},
        {.vtype = RD_KAFKA_VTYPE_PARTITION,
         .u.i32 = record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition},
        vu_mem(RD_KAFKA_VTYPE_KEY, record->key),
        vu_mem(RD_KAFKA_VTYPE_VALUE, record->value),
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(output->link.rk, parts, sizeof(parts) / sizeof(parts[0]));
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);

    if (error != NULL && headers != NULL)
        rd_kafka_headers_destroy(headers);
    rd_kafka_error_destroy(error);
    return code;
}

/* ---- transactions ---------------------------------------------------------------------------- */

enum call { CALL_INIT, CALL_BEGIN, CALL_SEND_OFFSETS, CALL_COMMIT, CALL_ABORT };

static const char *const s_call_names[] = {
    [CALL_INIT] = "init_transactions",
    [CALL_BEGIN] = "begin_transaction",
    [CALL_SEND_OFFSETS] = "send_offsets_to_transaction",
    [CALL_COMMIT] = "commit_transaction",
    [CALL_ABORT] = "abort_transaction",
};

static rd_kafka_error_t *run_call(struct pl_txn *txn, enum call call,
                                  const rd_kafka_topic_partition_list_t *offsets)
{
    rd_kafka_t *rk = txn->output.link.rk;

    switch (call) {
    case CALL_INIT:
        return rd_kafka_init_transactions(rk, CALL_SLICE_MS);
    case CALL_BEGIN:
        return rd_kafka_begin_transaction(rk);
    case CALL_SEND_OFFSETS: /* the one call that cannot be resumed, so it gets all the time */
        return rd_kafka_send_offsets_to_transaction(rk, offsets, txn->metadata, txn->timeout_ms);
    case CALL_COMMIT:
        return rd_kafka_commit_transaction(rk, CALL_SLICE_MS);
    case CALL_ABORT:
        return rd_kafka_abort_transaction(rk, CALL_SLICE_MS);
    }
    pl_assert(false);
    return NULL;
}

/* The request may have arrived, or may still arrive, maybe in a later transaction (T6). */
static bool is_indefinite(rd_kafka_resp_err_t code)
{
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR__TRANSPORT,       RD_KAFKA_RESP_ERR__TIMED_OUT,
        RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    };

    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code)
            return true;
    }
    return false;
}

/* The class of a failed call; RETRY_TRANSPORT asks for the same call again. */
static enum pl_err judge(const struct pl_txn *txn, enum call call, const rd_kafka_error_t *error)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    bool wants_abort = rd_kafka_error_txn_requires_abort(error) != 0;

    if (!rd_kafka_error_is_fatal(error) && !wants_abort && rd_kafka_error_is_retriable(error))
        return PL_RETRY_TRANSPORT;
    if (wants_abort && txn->output.failed_count > 0)
        code = txn->output.failed_code; /* a lost record is behind the call's generic code */
    if (is_indefinite(code))
        return PL_FATAL_UNKNOWN;

    enum pl_err err = pl_kafka_meaning(code);
    if (pl_err_action(err) == PL_ACTION_FATAL && err != PL_FATAL_KAFKA)
        return err; /* only an operator or a restart helps, whatever librdkafka would allow */
    if (!wants_abort || call == CALL_ABORT)
        return PL_FATAL_KAFKA;
    return err == PL_ABORT_REBALANCE ? err : PL_ABORT_TRANSACTION;
}

static enum pl_err describe(struct pl_txn *txn, enum call call, enum pl_err err,
                            const rd_kafka_error_t *error)
{
    const struct pl_kafka_link *link = &txn->output.link;

    rd_kafka_poll(link->rk, 0); /* for the last words about a connection */
    err = pl_err_set(err, "%s of %s: %s", s_call_names[call], txn->id,
                     rd_kafka_error_string(error));
    if (txn->output.failed_count > 0)
        err = pl_err_note(err, "record lost (%s)", rd_kafka_err2str(txn->output.failed_code));
    if (err == PL_RETRY_TRANSPORT && link->connect_text[0] != '\0')
        err = pl_err_note(err, "%s", link->connect_text);
    return err;
}

/* Makes the call until it succeeds, fails for good, or the transaction's timeout has passed. */
static enum pl_err settle(struct pl_txn *txn, enum call call,
                          const rd_kafka_topic_partition_list_t *offsets)
{
    int64_t deadline_ms = pl_kafka_now_ms() + txn->timeout_ms;

    for (;;) {
        pl_watchdog_beat(s_call_names[call]);
        rd_kafka_error_t *error = run_call(txn, call, offsets);
        if (error == NULL)
            return PL_OK;

        enum pl_err err = judge(txn, call, error);
        bool is_late = pl_kafka_now_ms() >= deadline_ms;
        if (err == PL_RETRY_TRANSPORT && is_late && call != CALL_INIT)
            err = PL_FATAL_UNKNOWN;
        if (err != PL_RETRY_TRANSPORT || is_late)
            err = describe(txn, call, err, error);
        rd_kafka_error_destroy(error);
        if (err != PL_RETRY_TRANSPORT || is_late)
            return err;
        rd_kafka_poll(txn->output.link.rk, RETRY_PAUSE_MS); /* some refusals come at once */
    }
}

static enum pl_err txn_conf(const struct pl_kafka_settings *settings, const char *transactional_id,
                            int timeout_ms, rd_kafka_conf_t **conf)
{
    char timeout_text[16];
    enum pl_err err = pl_kafka_conf(settings, PL_KAFKA_PRODUCER, conf);

    if (err)
        return err;
    snprintf(timeout_text, sizeof(timeout_text), "%d", timeout_ms);
    err = pl_kafka_conf_set(*conf, "transactional.id", transactional_id);
    if (!err)
        err = pl_kafka_conf_set(*conf, "transaction.timeout.ms", timeout_text);
    if (!err)
        err = pl_kafka_conf_set(*conf, "message.timeout.ms", timeout_text); /* T18 */
    if (err) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return err;
}

enum pl_err pl_txn_open(struct pl_txn **txn, const struct pl_kafka_settings *settings,
                        const char *transactional_id, int timeout_ms)
{
    rd_kafka_conf_t *conf = NULL;
    enum pl_err err = txn_conf(settings, transactional_id, timeout_ms, &conf);

    *txn = NULL;
    if (err)
        return err;
    struct pl_txn *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        rd_kafka_conf_destroy(conf);
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a producer");
    }
    snprintf(opened->id, sizeof(opened->id), "%s", transactional_id);
    opened->timeout_ms = timeout_ms;

    err = open_output(&opened->output, settings, conf);
    if (err) {
        free(opened);
        return err;
    }
    err = settle(opened, CALL_INIT, NULL);
    if (err) {
        pl_txn_close(&opened);
        return err;
    }
    *txn = opened;
    return PL_OK;
}

void pl_txn_close(struct pl_txn **txn)
{
    if (*txn == NULL)
        return;
    if (close_output(&(*txn)->output)) {
        if ((*txn)->metadata != NULL)
            rd_kafka_consumer_group_metadata_destroy((*txn)->metadata);
        free(*txn);
    }
    *txn = NULL;
}

enum pl_err pl_txn_begin(struct pl_txn *txn)
{
    txn->output.failed_count = 0;
    return settle(txn, CALL_BEGIN, NULL);
}

/* The producer refuses records once a transaction or the producer itself has failed. */
static enum pl_err judge_refusal(struct pl_txn *txn, rd_kafka_resp_err_t code, const char *what)
{
    char text[128];

    if (code == RD_KAFKA_RESP_ERR__FATAL)
        code = rd_kafka_fatal_error(txn->output.link.rk, text, sizeof(text));
    enum pl_err err = pl_kafka_error(code, what);
    /* Nothing of this record was sent, so what passes by itself is no reason to leave; and what
     * the transaction's state forbids is what an abort is for. */
    return pl_err_action(err) == PL_ACTION_FATAL && code != RD_KAFKA_RESP_ERR__STATE
               ? err : pl_err_note(PL_ABORT_TRANSACTION, "produce");
}

enum pl_err pl_txn_produce(struct pl_txn *txn, enum pl_topic topic, int32_t partition,
                           struct pl_bytes_view key, struct pl_bytes_view value,
                           const struct pl_header *headers, unsigned header_count)
{
    const struct pl_outgoing record = {topic, partition, key, value, headers, header_count};
    int64_t deadline_ms = pl_kafka_now_ms() + txn->timeout_ms;
    rd_kafka_resp_err_t code = open_topic(&txn->output, topic);

    while (code == 0) {
        code = enqueue(&txn->output, &record);
        if (code == 0)
            return PL_OK;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || pl_kafka_now_ms() >= deadline_ms)
            break;
        pl_watchdog_beat("produce: local queue full");
        rd_kafka_poll(txn->output.link.rk, QUEUE_FULL_WAIT_MS);
        code = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return judge_refusal(txn, code, txn->output.topic_names[topic]);
}

enum pl_err pl_txn_capture_group(struct pl_txn *txn, struct pl_group *group)
{
    rd_kafka_consumer_group_metadata_t *metadata = NULL;
    enum pl_err err = pl_group_metadata(group, &metadata);

    if (err)
        return err;
    if (txn->metadata != NULL)
        rd_kafka_consumer_group_metadata_destroy(txn->metadata);
    txn->metadata = metadata;
    return PL_OK;
}

static enum pl_err send_offsets(struct pl_txn *txn, const struct pl_offset *offsets,
                                unsigned count)
{
    pl_assert(txn->metadata != NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (unsigned i = 0; i < count; i++) {
        /* librdkafka would leave out a negative offset without a word. */
        pl_assert(offsets[i].offset >= 0);
        rd_kafka_topic_partition_list_add(list, txn->output.topic_names[offsets[i].topic],
                                          offsets[i].partition)->offset = offsets[i].offset;
    }
    enum pl_err err = settle(txn, CALL_SEND_OFFSETS, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

enum pl_err pl_txn_commit(struct pl_txn *txn, const struct pl_offset *offsets, unsigned count)
{
    enum pl_err err = count > 0 ? send_offsets(txn, offsets, count) : PL_OK;

    return err ? err : settle(txn, CALL_COMMIT, NULL); /* G1 */
}

enum pl_err pl_txn_abort(struct pl_txn *txn)
{
    return settle(txn, CALL_ABORT, NULL);
}

const char *pl_txn_id(const struct pl_txn *txn)
{
    return txn->id;
}

/* ---- plain producer -------------------------------------------------------------------------- */

enum pl_err pl_producer_open(struct pl_producer **producer,
                             const struct pl_kafka_settings *settings)
{
    char timeout_text[16];
    rd_kafka_conf_t *conf = NULL;
    enum pl_err err = pl_kafka_conf(settings, PL_KAFKA_PRODUCER, &conf);

    *producer = NULL;
    if (err)
        return err;
    snprintf(timeout_text, sizeof(timeout_text), "%d", PLAIN_MESSAGE_TIMEOUT_MS);
    err = pl_kafka_conf_set(conf, "message.timeout.ms", timeout_text);
    struct pl_producer *opened = err ? NULL : calloc(1, sizeof(*opened));
    if (opened == NULL) {
        rd_kafka_conf_destroy(conf);
        return err ? err : pl_err_set(PL_FATAL_SYSTEM, "no memory for a producer");
    }
    err = open_output(&opened->output, settings, conf);
    if (err) {
        free(opened);
        return err;
    }
    *producer = opened;
    return PL_OK;
}

void pl_producer_close(struct pl_producer **producer)
{
    if (*producer == NULL)
        return;
    if (close_output(&(*producer)->output))
        free(*producer);
    *producer = NULL;
}

enum pl_err pl_producer_send(struct pl_producer *producer, enum pl_topic topic, int32_t partition,
                             struct pl_bytes_view key, struct pl_bytes_view value,
                             const struct pl_header *headers, unsigned header_count)
{
    struct pl_output *output = &producer->output;
    const struct pl_outgoing record = {topic, partition, key, value, headers, header_count};
    rd_kafka_resp_err_t code = open_topic(output, topic);

    if (code == 0)
        code = enqueue(output, &record);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return pl_err_set(PL_RETRY_QUEUE_FULL, "%s: the local queue is full",
                          output->topic_names[topic]);
    return code == 0 ? PL_OK : pl_kafka_error(code, output->topic_names[topic]);
}

enum pl_err pl_producer_poll(struct pl_producer *producer, unsigned *failed)
{
    struct pl_output *output = &producer->output;

    rd_kafka_poll(output->link.rk, 0);
    *failed = output->failed_count;
    output->failed_count = 0;
    if (*failed > 0 && pl_err_action(pl_kafka_meaning(output->failed_code)) == PL_ACTION_FATAL)
        return pl_kafka_error(output->failed_code, "delivery");
    if (output->lost_dead_letter)
        return pl_err_set(PL_FATAL_KAFKA, "a dead letter was not delivered (%s): after a restart the "
                          "record is read and told of again", rd_kafka_err2str(output->failed_code));
    return pl_kafka_link_check(&output->link);
}

enum pl_err pl_producer_flush(struct pl_producer *producer, int timeout_ms)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->output.link.rk, timeout_ms);

    return code == 0 ? PL_OK : pl_kafka_error(code, "flush");
}
