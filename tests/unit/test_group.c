/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the group makes of librdkafka's answers that a healthy broker does not give: errors beside
 * a successful call (T3), and a membership that changes while its metadata is taken. librdkafka's
 * functions are replaced at link time (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kafka/handle.h"
#include "lib/kafka/settings.h"

static struct {
    rd_kafka_resp_err_t call, partition;
    int64_t offset;
    bool answers;                 /* to a metadata request */
    const char *member_ids[2];    /* NULL: none            */
    unsigned member_id_count;
} s_broker;

rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *list,
                                              int timeout_ms)
{
    (void)rk, (void)timeout_ms;
    list->elems[0].offset = s_broker.offset;
    list->elems[0].err = s_broker.partition;
    return s_broker.call;
}

rd_kafka_resp_err_t __wrap_rd_kafka_metadata(rd_kafka_t *rk, int all_topics,
                                             rd_kafka_topic_t *only_rkt,
                                             const struct rd_kafka_metadata **metadata,
                                             int timeout_ms)
{
    (void)rk, (void)all_topics, (void)only_rkt, (void)timeout_ms;
    *metadata = NULL;
    return s_broker.answers ? 0 : RD_KAFKA_RESP_ERR__TRANSPORT;
}

void __wrap_rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
    assert_null(metadata);
}

char *__wrap_rd_kafka_memberid(const rd_kafka_t *rk)
{
    const char *id = s_broker.member_ids[s_broker.member_id_count++ % 2];

    (void)rk;
    return id != NULL ? strdup(id) : NULL;
}

rd_kafka_consumer_group_metadata_t *__wrap_rd_kafka_consumer_group_metadata(rd_kafka_t *rk)
{
    (void)rk;
    return rd_kafka_consumer_group_metadata_new("group");
}

static const struct pl_kafka_settings s_settings = {
    .brokers = "127.0.0.1:1",
    .group_id = "group",
    .topic_names = {[PL_TOPIC_HOLDINGS] = "holdings"},
};

static struct pl_group *s_group;

static void quiet(int level, const char *facility, const char *text)
{
    (void)level, (void)facility, (void)text;
}

static int open_group(void **state)
{
    (void)state;
    pl_kafka_set_log(quiet);
    return pl_group_open(&s_group, &s_settings, PL_TOPIC_HOLDINGS) ? 1 : 0;
}

static int close_group(void **state)
{
    (void)state;
    pl_group_close(&s_group);
    return 0;
}

/* Only an offset, or the plain absence of one without any error, is an answer. */
static void committed_takes_no_error_for_none(void **state)
{
    static const struct {
        rd_kafka_resp_err_t call, partition;
        int64_t offset;
        bool answers;
        enum pl_err err;
        int64_t expected;
    } rows[] = {
        {0, 0, 7, true, PL_OK, 7},
        {0, 0, 0, true, PL_OK, 0},
        {0, 0, RD_KAFKA_OFFSET_INVALID, true, PL_OK, PL_OFFSET_NONE},
        {0, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, RD_KAFKA_OFFSET_INVALID, true,
         PL_RETRY_UNSTABLE, -7},
        {0, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_OFFSET_INVALID, true,
         PL_RETRY_TRANSPORT, -7},
        {0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_OFFSET_INVALID, true,
         PL_FATAL_CONFIG, -7},
        {0, RD_KAFKA_RESP_ERR_INVALID_REQUEST, 3, true, PL_FATAL_KAFKA, -7},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 0, RD_KAFKA_OFFSET_INVALID, true,
         PL_FATAL_CONFIG, -7},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 0, RD_KAFKA_OFFSET_INVALID, true, PL_RETRY_UNSTABLE, -7},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 0, RD_KAFKA_OFFSET_INVALID, false, PL_RETRY_TRANSPORT, -7},
        {RD_KAFKA_RESP_ERR__TRANSPORT, 0, RD_KAFKA_OFFSET_INVALID, true, PL_RETRY_TRANSPORT, -7},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t offset = -7;

        s_broker.call = rows[i].call;
        s_broker.partition = rows[i].partition;
        s_broker.offset = rows[i].offset;
        s_broker.answers = rows[i].answers;
        assert_int_equal(pl_group_committed(s_group, PL_TOPIC_HOLDINGS, 3, 100, &offset),
                         rows[i].err);
        assert_int_equal(offset, rows[i].expected);
        if (rows[i].err)
            assert_non_null(strstr(pl_err_text(), "holdings[3]"));
    }
}

static void only_a_member_lends_its_metadata(void **state)
{
    static const struct {
        const char *before, *after;
        enum pl_err err;
    } rows[] = {
        {"a", "a", PL_OK},
        {"", "", PL_ABORT_REBALANCE},
        {NULL, NULL, PL_ABORT_REBALANCE},
        {"a", "", PL_ABORT_REBALANCE},
        {"", "a", PL_ABORT_REBALANCE},
        {"a", "b", PL_ABORT_REBALANCE},
        {NULL, "a", PL_ABORT_REBALANCE},
        {"a", NULL, PL_ABORT_REBALANCE},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rd_kafka_consumer_group_metadata_t *metadata = NULL;

        s_broker.member_ids[0] = rows[i].before;
        s_broker.member_ids[1] = rows[i].after;
        s_broker.member_id_count = 0;
        assert_int_equal(pl_group_metadata(s_group, &metadata), rows[i].err);
        assert_int_equal(metadata != NULL, rows[i].err == PL_OK);
        if (metadata != NULL)
            rd_kafka_consumer_group_metadata_destroy(metadata);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_takes_no_error_for_none),
        cmocka_unit_test(only_a_member_lends_its_metadata),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
