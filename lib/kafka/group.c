/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership of the consumer group: which partitions are ours, and where they resume. The handle
 * owns partitions and fetches nothing: each is assigned at its logical end, which spares librdkafka
 * from looking up committed offsets (T1), and paused at once. Committed offsets are asked for one
 * partition at a time, with every error looked at (T3), and the group's metadata is lent to the
 * transaction only while we are a member. G1 rests on all three.
 */
#include "lib/kafka/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/handle.h"

enum { CLOSE_WAIT_MS = 5000 };

/*
 * What happened to a partition since the caller last asked. Ownership is a fact per partition, so
 * a table bounds the news without losing any: an end that was not reported yet comes before the
 * present state.
 */
struct pl_claim {
    bool is_owned;            /* by the group's last answer            */
    bool is_reported;         /* the caller was told that it owns it   */
    enum pl_ownership ended;  /* NONE, REVOKED or LOST since then      */
};

struct pl_group {
    struct pl_kafka_link link;
    const char *topic_names[PL_TOPIC_COUNT];
    bool has_joined;
    bool has_news;
    struct pl_claim claims[PL_PARTITIONS_MAX];
};

static bool is_cooperative(rd_kafka_t *rk)
{
    const char *protocol = rd_kafka_rebalance_protocol(rk);

    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

static void take_partitions(struct pl_group *group, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_t *rk = group->link.rk;
    rd_kafka_error_t *error = NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = RD_KAFKA_OFFSET_END; /* T1: never the stored offset */

    if (is_cooperative(rk))
        error = rd_kafka_incremental_assign(rk, partitions);
    else
        code = rd_kafka_assign(rk, partitions);
    if (error != NULL || code != 0) {
        pl_kafka_link_fail(&group->link, PL_FATAL_KAFKA,
                           error != NULL ? rd_kafka_error_string(error) : rd_kafka_err2str(code));
        rd_kafka_error_destroy(error);
        return;
    }
    rd_kafka_pause_partitions(rk, partitions);

    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;

        if (partition < PL_PARTITIONS_MAX)
            group->claims[partition].is_owned = true;
        else
            pl_kafka_link_fail(&group->link, PL_FATAL_CONFIG, "topic has too many partitions");
    }
    group->has_joined = true;
}

static void give_up_partitions(struct pl_group *group, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_t *rk = group->link.rk;
    bool is_lost = rd_kafka_assignment_lost(rk) != 0;

    if (is_cooperative(rk)) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(rk, partitions);

        if (error != NULL)
            pl_kafka_link_fail(&group->link, PL_FATAL_KAFKA, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    } else {
        (void)rd_kafka_assign(rk, NULL);
    }

    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;

        if (partition >= PL_PARTITIONS_MAX)
            continue;
        struct pl_claim *claim = &group->claims[partition];
        claim->is_owned = false;
        if (claim->ended != PL_OWNERSHIP_LOST)
            claim->ended = is_lost ? PL_OWNERSHIP_LOST : PL_OWNERSHIP_REVOKED;
    }
}

/* Runs inside pl_group_poll and pl_group_close, on the caller's thread. Between two polls there is
 * no transaction in progress, so a partition may be given up at once. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct pl_group *group = opaque;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take_partitions(group, partitions);
    } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        give_up_partitions(group, partitions);
    } else {
        pl_kafka_link_fail(&group->link, PL_FATAL_KAFKA, rd_kafka_err2str(code));
        (void)rd_kafka_assign(rk, NULL);
    }
    group->has_news = true;
}

static enum pl_err subscribe(rd_kafka_t *rk, const char *topic_name)
{
    rd_kafka_topic_partition_list_t *list = pl_kafka_list(topic_name, RD_KAFKA_PARTITION_UA, 0);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    return code == 0 ? PL_OK : pl_kafka_error(code, topic_name);
}

enum pl_err pl_group_open(struct pl_group **group, const struct pl_kafka_settings *settings,
                          enum pl_topic topic)
{
    rd_kafka_conf_t *conf = NULL;

    *group = NULL;
    if (settings->group_id == NULL)
        return pl_err_set(PL_FATAL_CONFIG, "a group needs a group id");

    enum pl_err err = pl_kafka_conf(settings, PL_KAFKA_GROUP, &conf);
    if (!err)
        err = pl_kafka_conf_set(conf, "isolation.level", "read_committed");
    if (err)
        return err;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);

    struct pl_group *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        rd_kafka_conf_destroy(conf);
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a group");
    }
    memcpy(opened->topic_names, settings->topic_names, sizeof(opened->topic_names));

    err = pl_kafka_link_open(&opened->link, PL_KAFKA_GROUP, conf);
    if (!err) {
        rd_kafka_poll_set_consumer(opened->link.rk);
        err = subscribe(opened->link.rk, settings->topic_names[topic]);
        if (err)
            rd_kafka_destroy(opened->link.rk);
    }
    if (err) {
        free(opened);
        return err;
    }
    *group = opened;
    return PL_OK;
}

/* Leaves the group, serving the last rebalance; false when that took longer than it may. */
static bool leave_group(rd_kafka_t *rk)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    int64_t deadline_ms = pl_kafka_now_ms() + CLOSE_WAIT_MS;

    if (error == NULL) {
        while (!rd_kafka_consumer_closed(rk) && pl_kafka_now_ms() < deadline_ms)
            rd_kafka_queue_poll_callback(queue, 50);
    }
    bool is_closed = error != NULL || rd_kafka_consumer_closed(rk) != 0;
    rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
    return is_closed;
}

void pl_group_close(struct pl_group **group)
{
    if (*group == NULL)
        return;
    /* A handle that cannot leave is left to the end of the process: destroying it could hang. */
    if (leave_group((*group)->link.rk)) {
        rd_kafka_destroy((*group)->link.rk);
        free(*group);
    }
    *group = NULL;
}

/* An error that librdkafka delivered among the records of the group's handle. */
static enum pl_err judge_group_message(const rd_kafka_message_t *message)
{
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:           /* a record: the handle reads nothing */
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED: /* the loss of all partitions follows */
        return PL_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: /* not yet created, or not yet known everywhere */
        return pl_err_set(PL_RETRY_TRANSPORT, "group: %s", rd_kafka_message_errstr(message));
    default:
        return pl_err_set(pl_kafka_meaning(message->err), "group: %s",
                          rd_kafka_message_errstr(message));
    }
}

/* An end that the caller has to hear of; what came and went unseen is no news. */
static bool take_end(struct pl_claim *claim, enum pl_ownership *kind)
{
    bool is_news = claim->ended != PL_OWNERSHIP_NONE && claim->is_reported;

    *kind = claim->ended;
    claim->ended = PL_OWNERSHIP_NONE;
    claim->is_reported = claim->is_reported && !is_news;
    return is_news;
}

/* All ends first: what is gone may be another member's already. */
static unsigned collect_news(struct pl_group *group, struct pl_ownership_event *events,
                             unsigned capacity)
{
    unsigned count = 0;

    for (int32_t partition = 0; partition < PL_PARTITIONS_MAX && count < capacity; partition++) {
        if (take_end(&group->claims[partition], &events[count].kind))
            events[count++].partition = partition;
    }
    for (int32_t partition = 0; partition < PL_PARTITIONS_MAX && count < capacity; partition++) {
        struct pl_claim *claim = &group->claims[partition];

        if (!claim->is_owned || claim->is_reported)
            continue;
        claim->is_reported = true;
        events[count++] = (struct pl_ownership_event){.kind = PL_OWNERSHIP_ASSIGNED,
                                                      .partition = partition};
    }
    group->has_news = count == capacity;
    return count;
}

enum pl_err pl_group_poll(struct pl_group *group, int timeout_ms,
                          struct pl_ownership_event *events, unsigned capacity, unsigned *count)
{
    pl_assert(capacity > 0);
    *count = 0;
    rd_kafka_message_t *message =
        rd_kafka_consumer_poll(group->link.rk, group->has_news ? 0 : timeout_ms);

    if (message != NULL) {
        enum pl_err err = judge_group_message(message);

        rd_kafka_message_destroy(message);
        if (err)
            return err;
    }
    if (group->has_news)
        *count = collect_news(group, events, capacity);
    return *count > 0 ? PL_OK : pl_kafka_link_check(&group->link);
}

bool pl_group_owns(const struct pl_group *group, int32_t partition)
{
    return partition >= 0 && partition < PL_PARTITIONS_MAX && group->claims[partition].is_owned &&
           !rd_kafka_assignment_lost(group->link.rk);
}

bool pl_group_joined(const struct pl_group *group)
{
    return group->has_joined;
}

enum pl_err pl_group_committed(struct pl_group *group, enum pl_topic topic, int32_t partition,
                               int timeout_ms, int64_t *offset)
{
    const char *name = group->topic_names[topic];
    rd_kafka_topic_partition_list_t *list =
        pl_kafka_list(name, partition, RD_KAFKA_OFFSET_INVALID);
    rd_kafka_resp_err_t code = rd_kafka_committed(group->link.rk, list, timeout_ms);

    if (code == 0)
        code = list->elems[0].err; /* T3: the call's success says nothing of the partition */
    int64_t found = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);

    /* librdkafka asks again by itself while a transaction holds the offset, until time is up. (Its
     * admin call would say so, but in 2.0.2 it ends the process by an assertion on a timeout.) */
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && pl_kafka_link_answers(&group->link))
        code = RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
    if (code != 0)
        return pl_err_note(pl_kafka_error(code, "committed offset"), "%s[%d]", name, partition);
    *offset = found < 0 ? PL_OFFSET_NONE : found;
    return PL_OK;
}

/*
 * A commit without a member id is accepted by the broker without checking any generation, and
 * librdkafka hands out such metadata whenever the group has thrown us out. The id is read before
 * and after: the broker never gives an id twice, so equal ones span the metadata between them.
 */
enum pl_err pl_group_metadata(struct pl_group *group,
                              rd_kafka_consumer_group_metadata_t **metadata)
{
    rd_kafka_t *rk = group->link.rk;
    char *before = rd_kafka_memberid(rk);
    *metadata = rd_kafka_consumer_group_metadata(rk);
    char *after = rd_kafka_memberid(rk);
    bool is_member = before != NULL && before[0] != '\0' && after != NULL &&
                     strcmp(before, after) == 0;

    rd_kafka_mem_free(rk, before);
    rd_kafka_mem_free(rk, after);
    if (is_member && *metadata != NULL)
        return PL_OK;
    if (*metadata != NULL)
        rd_kafka_consumer_group_metadata_destroy(*metadata);
    *metadata = NULL;
    return pl_err_set(PL_ABORT_REBALANCE, "this process is no member of its group now");
}
