/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service checks and resolves before it reads: the same rules for every service that commits
 * offsets. To begin anywhere by ourselves would skip input or sell twice, so the answer is always an
 * offset somebody committed, or a first start that the operator asked for, or an end of the process.
 */
#ifndef PL_KAFKA_START_H
#define PL_KAFKA_START_H

#include "lib/kafka/consumer.h"

/*
 * Where the group goes on in (topic, partition): the committed offset, waiting at most `timeout_ms`
 * for it to become stable. With nothing committed and `first_start`: the first offset of the log, and
 * *is_first says so.
 * RETRY_UNSTABLE, RETRY_TRANSPORT; FATAL_OFFSETS when nothing is committed and it is no first start
 * (T20), with a text that names the cure.
 */
enum pl_err pl_start_offset(struct pl_group *group, struct pl_reader *probe, enum pl_topic topic,
                            int32_t partition, bool first_start, int timeout_ms, int64_t *offset,
                            bool *is_first);

/* All `topics` have the same partition count, which goes to *count. FATAL_CONFIG names the odd one.
 * RETRY_TRANSPORT. */
enum pl_err pl_start_check_partitions(struct pl_reader *probe, const enum pl_topic *topics,
                                      unsigned topic_count, int32_t *count);

/* The topic keeps its history for `window_ms`: retention.ms of a deleted topic, min.compaction.lag.ms
 * of a compacted one. FATAL_CONFIG names the setting and the value it needs. RETRY_TRANSPORT. */
enum pl_err pl_start_check_history(struct pl_reader *probe, enum pl_topic topic, int64_t window_ms);

#endif
