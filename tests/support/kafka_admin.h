/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test's own hands on a real Kafka: make topics, put records, look at what is there. It uses
 * librdkafka directly and nothing of lib/kafka but names, so that tests of lib/kafka and of the
 * services judge with other eyes. Any failure ends the test program with a message.
 */
#ifndef TEST_SUPPORT_KAFKA_ADMIN_H
#define TEST_SUPPORT_KAFKA_ADMIN_H

#include <stdint.h>

#include "lib/kafka/consumer.h"

/* The broker of PLIMSOLL_TEST_KAFKA ("host:port"). Without it says loudly that the test is skipped
 * and ends the program with status 77. */
const char *kafka_admin_brokers(void);

/* A name that no other run uses: "<stem>-<time>-<pid>-<serial>". */
void kafka_admin_unique(const char *stem, char name[64]);

/* Fills in brokers, client id, group id, and the topics' names "<prefix>.<word>". The strings live
 * until the program ends. */
void kafka_admin_settings(struct pl_kafka_settings *settings, const char *prefix,
                          const char *group_id);

/* Creates the topic and waits until its partitions have leaders. `configs` is a NULL-terminated
 * list of name, value, name, value …, or NULL. */
void kafka_admin_create(const char *topic, int partitions, const char *const *configs);

/* Deletes the records before `offset`. */
void kafka_admin_trim(const char *topic, int32_t partition, int64_t offset);

/* Appends a record and waits for its acknowledgement; returns where it went. A negative partition
 * means by murmur2 of the key, as Java does. A NULL key or value is none; timestamp 0 is now. */
struct kafka_admin_place {
    int32_t partition;
    int64_t offset;
};
struct kafka_admin_place kafka_admin_produce(const char *topic, int32_t partition,
                                             struct pl_bytes_view key, struct pl_bytes_view value,
                                             const struct pl_header *headers,
                                             unsigned header_count, int64_t timestamp_ms);

/* The same for text: key and value are C strings or NULL. */
struct kafka_admin_place kafka_admin_put(const char *topic, int32_t partition, const char *key,
                                         const char *value);

/* Everything in a topic from its first offset to its end, in offset order partition by partition;
 * `committed` hides aborted and open transactions. The rows own their bytes, values end with a NUL
 * past their size, `topic` is not set; kafka_admin_free releases them all. */
size_t kafka_admin_read(const char *topic, bool committed, struct pl_record **rows);
void kafka_admin_free(struct pl_record *rows, size_t row_count);

/* The group's committed offset without joining it; PL_OFFSET_NONE when there is none. Waits while
 * a transaction holds it. */
int64_t kafka_admin_committed(const char *group_id, const char *topic, int32_t partition);

/* What a worker leaves that dies between sending its offsets and its commit: a transaction of
 * `transactional_id` that holds the group's offset of the partition until a successor with the same
 * id or `timeout_ms` ends it. The commit is made as a non-member, which Kafka accepts unchecked. */
void kafka_admin_leave_pending(const char *transactional_id, const char *group_id,
                               const char *topic, int32_t partition, int64_t offset,
                               int timeout_ms);

#endif
