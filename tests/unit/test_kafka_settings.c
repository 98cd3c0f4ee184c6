/* SPDX-License-Identifier: Apache-2.0 */
/* What a user may and may not say to librdkafka, and what happens without a broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>

#include "lib/kafka/settings.h"
#include "lib/kafka/txn.h"

/* Nobody listens on port 1 of the loopback. */
static const struct pl_kafka_settings s_nowhere = {
    .brokers = "127.0.0.1:1",
    .client_id = "test",
    .group_id = "test",
    .topic_names = {[PL_TOPIC_PRICES] = "p", [PL_TOPIC_HOLDINGS] = "h", [PL_TOPIC_ORDERS] = "o"},
};

static void quiet(int level, const char *facility, const char *text)
{
    (void)level, (void)facility, (void)text;
}

static int silence(void **state)
{
    (void)state;
    pl_kafka_set_log(quiet);
    return 0;
}

static void overrides_are_checked(void **state)
{
    static const struct {
        const char *name, *value, *text; /* text NULL: accepted */
    } rows[] = {
        {"linger.ms", "3", NULL},
        {"producer.compression.codec", "lz4", NULL},
        {"consumer.fetch.min.bytes", "1", NULL},
        {"security.protocol", "ssl", NULL},
        {"ssl.endpoint.identification.algorithm", "https", NULL},
        {"consumer.partition.assignment.strategy", "range", NULL},
        {"linger.msec", "3", "No such configuration property"},
        {"consumer.no.such.key", "3", "No such configuration property"},
        {"producer.no.such.key", "3", "No such configuration property"},
        {"linger.ms", "soon", "linger.ms"},
        {"session.timeout.ms", "-1", "session.timeout.ms"},
        {"rebalance_cb", "1", "rebalance_cb"},
        {"enable.auto.commit", "true", "may not be set"},
        {"enable.auto.commit", "false", "may not be set"},
        {"auto.commit.enable", "true", "may not be set"},
        {"consumer.enable.auto.offset.store", "true", "may not be set"},
        {"auto.offset.reset", "latest", "may not be set"},
        {"isolation.level", "read_uncommitted", "may not be set"},
        {"acks", "1", "may not be set"},
        {"request.required.acks", "0", "may not be set"},
        {"producer.enable.idempotence", "false", "may not be set"},
        {"max.in.flight", "100", "may not be set"},
        {"partitioner", "random", "may not be set"},
        {"transactional.id", "x", "may not be set"},
        {"transaction.timeout.ms", "1", "may not be set"},
        {"message.timeout.ms", "0", "may not be set"},
        {"delivery.timeout.ms", "0", "may not be set"},
        {"enable.partition.eof", "false", "may not be set"},
        {"bootstrap.servers", "x", "setting of their own"},
        {"metadata.broker.list", "x", "setting of their own"},
        {"group.id", "x", "setting of its own"},
        {"ssl.endpoint.identification.algorithm", "none", "prove who they are"},
        {"enable.ssl.certificate.verification", "false", "prove who they are"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pl_kafka_settings settings = s_nowhere;
        settings.overrides[0].name = rows[i].name;
        settings.overrides[0].value = rows[i].value;
        settings.override_count = 1;

        enum pl_err err = pl_kafka_check(&settings);
        if (rows[i].text == NULL) {
            assert_int_equal(err, PL_OK);
        } else {
            assert_int_equal(err, PL_FATAL_CONFIG);
            assert_non_null(strstr(pl_err_text(), rows[i].text));
        }
    }
}

/* A login that this librdkafka cannot do with Kafka 4 is refused at start, not tried for ever. */
static void scram_needs_a_newer_librdkafka(void **state)
{
    struct pl_kafka_settings settings = s_nowhere;

    (void)state;
    settings.overrides[0].name = "sasl.mechanism";
    settings.overrides[0].value = "SCRAM-SHA-512";
    settings.override_count = 1;
    assert_int_equal(pl_kafka_check(&settings),
                     rd_kafka_version() < 0x020601ff ? PL_FATAL_CONFIG : PL_OK);
}

/* The wrong key is also met where no check was made before. */
static void a_wrong_key_opens_nothing(void **state)
{
    struct pl_kafka_settings settings = s_nowhere;
    struct pl_group *group = (void *)&settings;
    struct pl_reader *reader = (void *)&settings;
    struct pl_txn *txn = (void *)&settings;
    struct pl_producer *producer = (void *)&settings;

    (void)state;
    settings.overrides[0].name = "no.such.key";
    settings.overrides[0].value = "1";
    settings.override_count = 1;
    assert_int_equal(pl_group_open(&group, &settings, PL_TOPIC_HOLDINGS), PL_FATAL_CONFIG);
    assert_int_equal(pl_reader_open(&reader, &settings, false), PL_FATAL_CONFIG);
    assert_int_equal(pl_txn_open(&txn, &settings, "slot", 5000), PL_FATAL_CONFIG);
    assert_int_equal(pl_producer_open(&producer, &settings), PL_FATAL_CONFIG);
    assert_null(group);
    assert_null(reader);
    assert_null(txn);
    assert_null(producer);
}

static void closing_nothing_is_allowed(void **state)
{
    struct pl_group *group = NULL;
    struct pl_reader *reader = NULL;
    struct pl_txn *txn = NULL;
    struct pl_producer *producer = NULL;

    (void)state;
    pl_group_close(&group);
    pl_reader_close(&reader);
    pl_txn_close(&txn);
    pl_producer_close(&producer);
}

/* No broker: every handle opens, polls say RETRY with the broker's name, and nothing crashes. */
static void without_a_broker_polls_say_retry(void **state)
{
    struct pl_reader *reader;
    struct pl_group *group;
    struct pl_record record;
    struct pl_ownership_event events[4];
    enum pl_err reader_err = PL_OK, group_err = PL_OK;
    unsigned count;
    bool found;

    (void)state;
    assert_int_equal(pl_reader_open(&reader, &s_nowhere, false), PL_OK);
    assert_int_equal(pl_group_open(&group, &s_nowhere, PL_TOPIC_HOLDINGS), PL_OK);
    assert_int_equal(pl_reader_add(reader, PL_TOPIC_PRICES, 0, 0), PL_OK);
    for (int i = 0; i < 50 && (!reader_err || !group_err); i++) {
        reader_err = pl_reader_poll(reader, 50, &record, &found);
        assert_false(found);
        group_err = pl_group_poll(group, 50, events, 4, &count);
        assert_int_equal(count, 0);
    }
    assert_int_equal(reader_err, PL_RETRY_TRANSPORT);
    assert_int_equal(group_err, PL_RETRY_TRANSPORT);
    assert_non_null(strstr(pl_err_text(), "127.0.0.1:1"));
    /* It stays so, also after the next probes. */
    for (int i = 0; i < 30; i++)
        assert_int_equal(pl_reader_poll(reader, 50, &record, &found), PL_RETRY_TRANSPORT);
    assert_false(pl_group_joined(group));
    assert_false(pl_group_owns(group, 0));
    pl_group_close(&group);
    pl_reader_close(&reader);
}

static void without_a_broker_questions_say_retry(void **state)
{
    struct pl_reader *reader;
    struct pl_group *group;
    int64_t first, end;
    int32_t count;
    char value[64];

    (void)state;
    assert_int_equal(pl_reader_open(&reader, &s_nowhere, false), PL_OK);
    assert_int_equal(pl_group_open(&group, &s_nowhere, PL_TOPIC_HOLDINGS), PL_OK);
    assert_int_equal(pl_group_committed(group, PL_TOPIC_HOLDINGS, 0, 200, &end),
                     PL_RETRY_TRANSPORT);
    assert_int_equal(pl_reader_watermarks(reader, PL_TOPIC_PRICES, 0, 200, &first, &end),
                     PL_RETRY_TRANSPORT);
    assert_int_equal(pl_reader_offset_at(reader, PL_TOPIC_PRICES, 0, 1, 200, &end),
                     PL_RETRY_TRANSPORT);
    assert_int_equal(pl_reader_partition_count(reader, PL_TOPIC_PRICES, 200, &count),
                     PL_RETRY_TRANSPORT);
    assert_int_equal(pl_reader_topic_setting(reader, PL_TOPIC_PRICES, "retention.ms", 200, value),
                     PL_RETRY_TRANSPORT);
    pl_group_close(&group);
    pl_reader_close(&reader);
}

static void without_a_broker_a_transaction_does_not_open(void **state)
{
    struct pl_txn *txn;

    (void)state;
    assert_int_equal(pl_txn_open(&txn, &s_nowhere, "slot", 1500), PL_RETRY_TRANSPORT);
    assert_null(txn);
    assert_non_null(strstr(pl_err_text(), "slot"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overrides_are_checked),
        cmocka_unit_test(scram_needs_a_newer_librdkafka),
        cmocka_unit_test(a_wrong_key_opens_nothing),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(without_a_broker_polls_say_retry),
        cmocka_unit_test(without_a_broker_questions_say_retry),
        cmocka_unit_test(without_a_broker_a_transaction_does_not_open),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
