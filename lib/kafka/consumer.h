/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading Kafka: membership is one handle, reading is another.
 *
 * struct pl_group   joins a consumer group only to learn which partitions this process owns and to
 *                   lend its metadata to the transaction. It never fetches.
 * struct pl_reader  reads topic partitions that we assign, from offsets that we resolved ourselves.
 *                   librdkafka therefore never chooses a start offset (traps T1, T2, T3 of the
 *                   reliability notes): auto.offset.reset=error, isolation.level=read_committed.
 *
 * Nothing here calls back into a service: rebalance callbacks only set fields that
 * pl_group_poll reports. One thread; no function is safe to call from two.
 *
 * The deterministic simulation links another implementation of this header and of txn.h.
 */
#ifndef PL_KAFKA_CONSUMER_H
#define PL_KAFKA_CONSUMER_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/wire/topics.h"

enum {
    PL_PARTITIONS_MAX = 1024, /* of one topic                                                  */
    PL_HEADERS_MAX = 16,      /* record headers kept when a record goes to dead letter         */
    PL_KAFKA_OVERRIDES_MAX = 64,
    PL_OFFSET_NONE = -1,      /* "no committed offset"                                         */
};

/* What every handle needs. Strings are borrowed for the life of the handle. */
struct pl_kafka_settings {
    const char *brokers;   /* bootstrap.servers                                              */
    const char *client_id;
    const char *group_id;
    const char *topic_names[PL_TOPIC_COUNT];
    /* "kafka.*" keys passed to librdkafka unchanged: names without the prefix. Keys prefixed
     * "consumer." or "producer." go to that kind of handle only. Unknown keys and the keys that
     * carry a guarantee (enable.auto.commit, isolation.level, acks, …) are PL_FATAL_CONFIG. */
    struct { const char *name, *value; } overrides[PL_KAFKA_OVERRIDES_MAX];
    unsigned override_count;
};

/* A record; the views are borrowed until the next pl_reader_poll or close of the same reader. */
struct pl_record {
    enum pl_topic topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* log append or create time, as the topic is configured; -1 unknown */
    struct pl_bytes_view key;   /* data NULL: no key   */
    struct pl_bytes_view value; /* data NULL: tombstone */
    struct pl_header headers[PL_HEADERS_MAX];
    unsigned header_count;
};

/* ---- group membership ------------------------------------------------------------------- */

struct pl_group;

enum pl_ownership { PL_OWNERSHIP_NONE, PL_OWNERSHIP_ASSIGNED, PL_OWNERSHIP_REVOKED,
                    PL_OWNERSHIP_LOST };

/* One change of ownership, to be handled by the caller before its next step. */
struct pl_ownership_event {
    enum pl_ownership kind;
    int32_t partition;
};

/* Joins `settings->group_id` subscribed to `topic` with cooperative-sticky.
 * FATAL_CONFIG (wrong setting), FATAL_SYSTEM. Unreachable brokers are no error here. */
enum pl_err pl_group_open(struct pl_group **group, const struct pl_kafka_settings *settings,
                          enum pl_topic topic);
/* Leaves the group (bounded wait). Accepts NULL, sets NULL. Not to be called after a FATAL. */
void pl_group_close(struct pl_group **group);

/* Serves heartbeats and rebalances for at most `timeout_ms`, then reports up to `capacity` changes
 * of ownership; *count receives their number. Ends (REVOKED, LOST) come before beginnings, so a
 * partition that went and came back is told as both. With *count == capacity there may be more:
 * poll again before acting on ownership. To be called only while no transaction is open.
 * RETRY_TRANSPORT (no broker reachable; text says which), FATAL_CONFIG (a right is missing),
 * FATAL_KAFKA; events are kept for the next call then. */
enum pl_err pl_group_poll(struct pl_group *group, int timeout_ms,
                          struct pl_ownership_event *events, unsigned capacity, unsigned *count);

/* True while the group's last answer says this process owns `partition`; turns false as soon as the
 * membership is lost, before a poll reports it. */
bool pl_group_owns(const struct pl_group *group, int32_t partition);

/* True once the group has answered at least one join, even with nothing for us (a spare). */
bool pl_group_joined(const struct pl_group *group);

/*
 * Safe assign: the committed offset of (topic, partition) in this group, waiting at most
 * `timeout_ms`. *offset is PL_OFFSET_NONE when the group never committed one.
 * RETRY_UNSTABLE while a pending transaction holds it (no stable answer in time though a broker
 * answers), RETRY_TRANSPORT; per-partition errors are never taken for "none" (T3). FATAL_CONFIG,
 * FATAL_KAFKA.
 */
enum pl_err pl_group_committed(struct pl_group *group, enum pl_topic topic, int32_t partition,
                               int timeout_ms, int64_t *offset);

/* ---- reading ------------------------------------------------------------------------------ */

struct pl_reader;

/* `settings->group_id` is not joined. `uncommitted` reads aborted and open data and makes the
 * watermark below the true high watermark: used to know how far a restore must reach. */
enum pl_err pl_reader_open(struct pl_reader **reader, const struct pl_kafka_settings *settings,
                           bool uncommitted);
void pl_reader_close(struct pl_reader **reader);

/* Starts reading at `offset` (>= 0). Starting where already reading is an assertion. */
enum pl_err pl_reader_add(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                          int64_t offset);
/* Stops; records of it that are queued inside are never delivered afterwards. */
enum pl_err pl_reader_remove(struct pl_reader *reader, enum pl_topic topic, int32_t partition);
enum pl_err pl_reader_pause(struct pl_reader *reader, enum pl_topic topic, int32_t partition);
enum pl_err pl_reader_resume(struct pl_reader *reader, enum pl_topic topic, int32_t partition);

/*
 * Next record, waiting at most `timeout_ms`; *record is filled and *found set, or *found is false.
 * It returns early without a record when a partition's end was met, since its position moved.
 * RETRY_TRANSPORT (all brokers down), FATAL_OFFSETS (offset out of range: retention or truncation
 * ate input; never skipped), FATAL_CONFIG (topic or right is missing), FATAL_KAFKA.
 */
enum pl_err pl_reader_poll(struct pl_reader *reader, int timeout_ms, struct pl_record *record,
                           bool *found);

/* Offset of the next record that poll may deliver for the partition: past everything delivered
 * AND past control markers and compacted gaps once the partition's end was reached. -1 where the
 * partition is not being read. */
int64_t pl_reader_position(const struct pl_reader *reader, enum pl_topic topic, int32_t partition);

/* High watermark of the partition as of the last fetch answer. A committed reader's position stays
 * below it while a transaction is open there: librdkafka does not tell the last stable offset, so
 * ask pl_reader_watermarks where the difference matters. Free; -1 when no answer came yet. */
int64_t pl_reader_end_cached(const struct pl_reader *reader, enum pl_topic topic,
                             int32_t partition);

/* Asks the broker for first and end offset (a round trip); the end is the last stable offset for a
 * committed reader. RETRY_TRANSPORT; FATAL_CONFIG when the partition does not exist. */
enum pl_err pl_reader_watermarks(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                 int timeout_ms, int64_t *first, int64_t *end);

/* First offset whose timestamp is >= `time_ms`; the end offset when there is none. */
enum pl_err pl_reader_offset_at(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                int64_t time_ms, int timeout_ms, int64_t *offset);

/* Partition count of the topic. RETRY_TRANSPORT; FATAL_CONFIG when the topic does not exist. */
enum pl_err pl_reader_partition_count(struct pl_reader *reader, enum pl_topic topic,
                                      int timeout_ms, int32_t *count);

/* Text value of a topic's configuration entry ("retention.ms"), by DescribeConfigs. */
enum pl_err pl_reader_topic_setting(struct pl_reader *reader, enum pl_topic topic,
                                    const char *name, int timeout_ms, char value[64]);

#endif
