/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into the plimsoll-*-crash executables in front of librdkafka's transaction calls: once the
 * file PL_CRASH_ARM exists, the process ends itself by SIGKILL at the point that PL_CRASH_POINT names.
 * The services' own code is the same to the byte.
 *
 *   before_begin     everything decided, nothing begun
 *   mid_produce      some outputs are on their way
 *   before_offsets   all outputs sent, input offsets not
 *   before_commit    offsets sent, not committed: the transaction is left open
 *   after_commit     committed, but nobody here has heard of it
 */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRODUCED_BEFORE_CRASH = 4 };

static void crash_at(const char *point)
{
    const char *wanted = getenv("PL_CRASH_POINT"), *arm = getenv("PL_CRASH_ARM");
    if (wanted && arm && strcmp(wanted, point) == 0 && access(arm, F_OK) == 0)
        kill(getpid(), SIGKILL);
}

rd_kafka_error_t *__real_rd_kafka_begin_transaction(rd_kafka_t *rk);
rd_kafka_error_t *__real_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *parts,
                                            size_t count);
rd_kafka_error_t *__real_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms);
rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);

rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk);
rd_kafka_error_t *__wrap_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *parts,
                                            size_t count);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);

rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk)
{
    crash_at("before_begin");
    return __real_rd_kafka_begin_transaction(rk);
}

rd_kafka_error_t *__wrap_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *parts,
                                            size_t count)
{
    static int produced;
    if (++produced % PRODUCED_BEFORE_CRASH == 0)
        crash_at("mid_produce");
    return __real_rd_kafka_produceva(rk, parts, count);
}

rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms)
{
    crash_at("before_offsets");
    return __real_rd_kafka_send_offsets_to_transaction(rk, offsets, metadata, timeout_ms);
}

rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
    crash_at("before_commit");
    rd_kafka_error_t *error = __real_rd_kafka_commit_transaction(rk, timeout_ms);
    if (!error)
        crash_at("after_commit");
    return error;
}
