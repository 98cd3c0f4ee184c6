/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One librdkafka handle: its creation, the state of its connections, and the one table that says
 * what an error code means to the loop. librdkafka reports a lost cluster once and its return
 * never, so a handle that is down asks for the brokers itself, and readiness can be told honestly
 * (G11).
 */
#include "lib/kafka/handle.h"

#include <stdio.h>
#include <time.h>

enum {
    PROBE_INTERVAL_MS = 1000,
    PROBE_WAIT_MS = 100,
};

static const struct {
    rd_kafka_resp_err_t code;
    enum pl_err err;
} s_meanings[] = {
    /* A connection, an answer, a leader or a coordinator is missing just now. */
    {RD_KAFKA_RESP_ERR__TRANSPORT, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__RESOLVE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__SSL, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__WAIT_CACHE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_UNKNOWN, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, PL_RETRY_TRANSPORT},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, PL_RETRY_UNSTABLE},

    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, PL_ABORT_REBALANCE},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, PL_ABORT_REBALANCE},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, PL_ABORT_REBALANCE},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, PL_ABORT_REBALANCE},

    /* Only an operator can mend these: a missing topic, a missing right, a wrong limit. */
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, PL_FATAL_CONFIG},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, PL_FATAL_CONFIG},

    {RD_KAFKA_RESP_ERR__FENCED, PL_FATAL_FENCED},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, PL_FATAL_FENCED},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, PL_FATAL_FENCED},
    {RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED, PL_FATAL_FENCED},

    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, PL_FATAL_OFFSETS},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, PL_FATAL_OFFSETS},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, PL_FATAL_SYSTEM},
};

enum pl_err pl_kafka_meaning(rd_kafka_resp_err_t code)
{
    for (unsigned i = 0; i < sizeof(s_meanings) / sizeof(s_meanings[0]); i++) {
        if (s_meanings[i].code == code)
            return s_meanings[i].err;
    }
    return PL_FATAL_KAFKA;
}

enum pl_err pl_kafka_error(rd_kafka_resp_err_t code, const char *what)
{
    return pl_err_set(pl_kafka_meaning(code), "%s: %s", what, rd_kafka_err2str(code));
}

enum pl_err pl_kafka_error_take(rd_kafka_error_t *error, const char *what)
{
    if (error == NULL)
        return PL_OK;

    enum pl_err err = pl_err_set(pl_kafka_meaning(rd_kafka_error_code(error)), "%s: %s", what,
                                 rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return err;
}

rd_kafka_topic_partition_list_t *pl_kafka_list(const char *topic_name, int32_t partition,
                                               int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic_name, partition)->offset = offset;
    return list;
}

int64_t pl_kafka_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Runs on the thread that polls the handle, inside librdkafka's poll, flush or close. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct pl_kafka_link *link = opaque;
    char text[256];

    switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        (void)rd_kafka_fatal_error(rk, text, sizeof(text));
        pl_kafka_link_fail(link, PL_FATAL_KAFKA, text);
        break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        link->is_down = true; /* or was, when the news waited long: the next check asks at once */
        link->probe_at_ms = 0;
        break;
    case RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE:
        pl_kafka_link_fail(link, PL_FATAL_SYSTEM, reason);
        break;
    default:
        snprintf(link->connect_text, sizeof(link->connect_text), "%s", reason);
        break;
    }
}

enum pl_err pl_kafka_link_open(struct pl_kafka_link *link, enum pl_kafka_role role,
                               rd_kafka_conf_t *conf)
{
    bool is_producer = role == PL_KAFKA_PRODUCER;
    char text[256];

    rd_kafka_conf_set_opaque(conf, link);
    rd_kafka_conf_set_error_cb(conf, on_error);
    link->rk = rd_kafka_new(is_producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text,
                            sizeof(text));
    if (link->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return pl_err_set(PL_FATAL_CONFIG, "kafka: %s", text);
    }
    return PL_OK;
}

void pl_kafka_link_fail(struct pl_kafka_link *link, enum pl_err err, const char *text)
{
    if (link->failure)
        return;
    link->failure = err;
    snprintf(link->failure_text, sizeof(link->failure_text), "%s", text);
}

/* One metadata request of the topics in use. */
bool pl_kafka_link_answers(struct pl_kafka_link *link)
{
    const struct rd_kafka_metadata *metadata = NULL;

    if (rd_kafka_metadata(link->rk, 0, NULL, &metadata, PROBE_WAIT_MS) != 0)
        return false;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

static void probe(struct pl_kafka_link *link)
{
    if (pl_kafka_link_answers(link)) {
        link->is_down = false;
        link->connect_text[0] = '\0';
    }
    link->probe_at_ms = pl_kafka_now_ms() + PROBE_INTERVAL_MS;
}

enum pl_err pl_kafka_link_check(struct pl_kafka_link *link)
{
    if (link->failure)
        return pl_err_set(link->failure, "kafka: %s", link->failure_text);
    if (link->is_down && pl_kafka_now_ms() >= link->probe_at_ms)
        probe(link);
    if (link->is_down)
        return pl_err_set(PL_RETRY_TRANSPORT, "no Kafka broker is reachable: %s",
                          link->connect_text);
    return PL_OK;
}
