/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thirteen topics of the pipeline, as an enum and a table. Names are configurable (the table
 * holds the defaults of deploy/topics.conf); everything else in the program speaks of the enum.
 */
#ifndef PL_WIRE_TOPICS_H
#define PL_WIRE_TOPICS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/id.h"

enum pl_topic {
    PL_TOPIC_PRICES,
    PL_TOPIC_POSITIONS,
    PL_TOPIC_MARKS,
    PL_TOPIC_HOLDINGS,
    PL_TOPIC_PARAMETERS,
    PL_TOPIC_CHAINS,
    PL_TOPIC_CONTROL,
    PL_TOPIC_EXECUTIONS,
    PL_TOPIC_ORDERS,
    PL_TOPIC_ALERTS,
    PL_TOPIC_ACCOUNTS,
    PL_TOPIC_JOURNAL,
    PL_TOPIC_DEADLETTER,
    PL_TOPIC_COUNT
};

enum { PL_TOPIC_NAME_BYTES_MAX = 249 };

/* "prices", "positions", …: the word used in configuration keys, logs and metrics. */
const char *pl_topic_word(enum pl_topic topic);

/* Default full name, e.g. "plimsoll.prices.v1". */
const char *pl_topic_default_name(enum pl_topic topic);

/* Largest record value accepted on the topic, in bytes: the one table of size limits. */
uint32_t pl_topic_value_bytes_max(enum pl_topic topic);

/* Topic of a word ("prices") ; false when there is none. */
bool pl_topic_from_word(const char *word, enum pl_topic *topic);

/* The partition that Kafka's Java default partitioner gives a key: murmur2, sign bit cleared,
 * modulo the count. An empty key is the caller's error to reject. */
int32_t pl_key_partition(const uint8_t *key, size_t size_bytes, int32_t partition_count);

/*
 * Buckets. What is evaluated is an account's cross-collateral bucket, whose id is the account's, or one
 * of its isolated buckets, whose id is "account~bucket": holdings, state, episode and orders of its own,
 * in the account's partition. Neither name has a '~' in it, and together they have room in one id.
 * Records that others write (positions, executions) are keyed by account; ours by the whole id.
 */
enum { PL_BUCKET_MARK = '~' };
/* The account's part of a whole id; all of it where there is no bucket. Borrowed from `id`. */
struct pl_bytes_view pl_account_part(struct pl_bytes_view id);
/* The bucket's part, terminated as the id is; "" for the cross-collateral bucket. */
const char *pl_bucket_part(const struct pl_id *id);
/* Where the records of an account and its buckets are. */
int32_t pl_account_partition(const struct pl_id *id, int32_t partition_count);

/* Whether a record of a keyed topic is where its key belongs: it has a key (`what` says of what, for
 * the text), the key hashes to `partition`, and it is no tombstone. REJECT_KEY, REJECT_PARTITION,
 * REJECT_MALFORMED. */
enum pl_err pl_key_check(struct pl_bytes_view key, struct pl_bytes_view value, int32_t partition,
                         int32_t partition_count, const char *what);
/* The same for topics keyed by account or whole id: the account's part says the partition. */
enum pl_err pl_account_key_check(struct pl_bytes_view key, struct pl_bytes_view value,
                                 int32_t partition, int32_t partition_count);

#endif
