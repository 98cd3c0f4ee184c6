/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing Kafka: one transactional producer per process slot (G1), and one plain idempotent
 * producer for what needs no transaction (marks, tools).
 *
 * The order of a transaction is begin, produce*, commit(offsets). Outputs and input offsets become
 * visible together or not at all. Errors follow the class order fatal, abort, retriable (T13):
 * retriable ones are retried inside, the same call again, bounded; what remains is ABORT or FATAL.
 * A timeout whose outcome is unknown is FATAL_UNKNOWN: the caller leaves by _exit and the restart
 * of the same slot settles it (crash-only). What only an operator can mend, a missing right or
 * topic, a broker's size limit, is FATAL_CONFIG, since aborting and deciding again would not end.
 */
#ifndef PL_KAFKA_TXN_H
#define PL_KAFKA_TXN_H

#include "lib/kafka/consumer.h"

struct pl_txn;

/* One offset to commit: the next record to read of an input partition. */
struct pl_offset {
    enum pl_topic topic;
    int32_t partition;
    int64_t offset;
};

/* Opens the producer and runs init_transactions, which fences an older holder of
 * `transactional_id` and settles its open transaction. `timeout_ms` is transaction.timeout.ms.
 * RETRY_TRANSPORT (call again: nothing changed), FATAL_FENCED, FATAL_CONFIG (missing ACL, …). */
enum pl_err pl_txn_open(struct pl_txn **txn, const struct pl_kafka_settings *settings,
                        const char *transactional_id, int timeout_ms);
void pl_txn_close(struct pl_txn **txn);

enum pl_err pl_txn_begin(struct pl_txn *txn);

/* Copies key, value and headers. A negative partition means: by murmur2 of the key.
 * ABORT_TRANSACTION, FATAL_*. A full local queue is waited for inside. */
enum pl_err pl_txn_produce(struct pl_txn *txn, enum pl_topic topic, int32_t partition,
                           struct pl_bytes_view key, struct pl_bytes_view value,
                           const struct pl_header *headers, unsigned header_count);

/* Takes the group's metadata: call it where ownership is read, before deciding, so that a later
 * rebalance makes the commit fail instead of publishing for a lost partition. ABORT_REBALANCE while
 * this process is no member: the broker would take such a commit without checking anything. */
enum pl_err pl_txn_capture_group(struct pl_txn *txn, struct pl_group *group);

/* Sends offsets (count may be 0) and commits. ABORT_* (the caller then calls pl_txn_abort),
 * FATAL_FENCED, FATAL_UNKNOWN, FATAL_KAFKA. */
enum pl_err pl_txn_commit(struct pl_txn *txn, const struct pl_offset *offsets, unsigned count);

enum pl_err pl_txn_abort(struct pl_txn *txn);

/* Producer epoch and id as text for the journal: "<slot>" is the transactional id. */
const char *pl_txn_id(const struct pl_txn *txn);

/* ---- plain producer ------------------------------------------------------------------------ */

struct pl_producer;

enum pl_err pl_producer_open(struct pl_producer **producer,
                             const struct pl_kafka_settings *settings);
void pl_producer_close(struct pl_producer **producer);
/* RETRY_QUEUE_FULL, RETRY_TRANSPORT (first use of the topic), FATAL_CONFIG, FATAL_KAFKA. Negative
 * partition: murmur2 of the key. */
enum pl_err pl_producer_send(struct pl_producer *producer, enum pl_topic topic, int32_t partition,
                             struct pl_bytes_view key, struct pl_bytes_view value,
                             const struct pl_header *headers, unsigned header_count);
/* Serves delivery reports; *failed counts records that were given up since the last call, also when
 * an error is returned. RETRY_TRANSPORT while no broker is reachable; FATAL_CONFIG when the broker
 * refuses what only an operator can mend (a right, a size limit), FATAL_KAFKA, also when a dead letter
 * was given up: nobody restates it, and a service that commits no offsets reads its origin again. */
enum pl_err pl_producer_poll(struct pl_producer *producer, unsigned *failed);
/* Waits until all is delivered. RETRY_TRANSPORT when `timeout_ms` passed first. */
enum pl_err pl_producer_flush(struct pl_producer *producer, int timeout_ms);

#endif
