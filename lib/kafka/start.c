/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and offsets of a start (see start.h). */
#include "lib/kafka/start.h"

#include <stdlib.h>
#include <string.h>

enum { QUERY_WAIT_MS = 3000 };

enum pl_err pl_start_offset(struct pl_group *group, struct pl_reader *probe, enum pl_topic topic,
                            int32_t partition, bool first_start, int timeout_ms, int64_t *offset,
                            bool *is_first)
{
    int64_t end = 0;
    enum pl_err err = pl_group_committed(group, topic, partition, timeout_ms, offset);
    *is_first = !err && *offset == PL_OFFSET_NONE;
    if (!*is_first)
        return err;
    if (!first_start)
        return pl_err_set(PL_FATAL_OFFSETS, "no offset is committed for %s partition %d: if this "
                          "group never ran, start it once with first_start=yes; otherwise its "
                          "offsets expired or the topic was made anew, see the runbook",
                          pl_topic_word(topic), (int)partition);
    return pl_reader_watermarks(probe, topic, partition, QUERY_WAIT_MS, offset, &end);
}

enum pl_err pl_start_check_partitions(struct pl_reader *probe, const enum pl_topic *topics,
                                      unsigned topic_count, int32_t *count)
{
    for (unsigned i = 0; i < topic_count; i++) {
        int32_t partitions = 0;
        enum pl_err err = pl_reader_partition_count(probe, topics[i], QUERY_WAIT_MS, &partitions);
        if (err)
            return err;
        if (i > 0 && partitions != *count)
            return pl_err_set(PL_FATAL_CONFIG, "topic %s has %d partitions and %s has %d: topics "
                              "that are partitioned by account need the same count",
                              pl_topic_word(topics[i]), (int)partitions, pl_topic_word(topics[0]),
                              (int)*count);
        *count = partitions;
    }
    return PL_OK;
}

enum pl_err pl_start_check_history(struct pl_reader *probe, enum pl_topic topic, int64_t window_ms)
{
    char policy[64] = "", value[64] = "";
    enum pl_err err = pl_reader_topic_setting(probe, topic, "cleanup.policy", QUERY_WAIT_MS, policy);
    if (err)
        return err;
    const char *name = strstr(policy, "compact") ? "min.compaction.lag.ms" : "retention.ms";
    err = pl_reader_topic_setting(probe, topic, name, QUERY_WAIT_MS, value);
    if (err)
        return err;
    int64_t kept_ms = strtoll(value, NULL, 10);
    bool is_unlimited = kept_ms == -1 && strcmp(name, "retention.ms") == 0;
    if (!is_unlimited && kept_ms < window_ms)
        return pl_err_set(PL_FATAL_CONFIG, "topic %s: %s is %s, but the audit window needs at least "
                          "%lld: alter the topic or set audit.window_hours lower",
                          pl_topic_word(topic), name, value, (long long)window_ms);
    return PL_OK;
}
