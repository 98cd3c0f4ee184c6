/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From our settings to librdkafka's configuration. One table holds every value that this program
 * relies on, for which kinds of handle, and why a user may not change it where a guarantee (G1, G7)
 * or a trap of the reliability notes hangs on it; all else is the user's to override.
 */
#include "lib/kafka/settings.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/kafka/handle.h"

enum { CONSUMERS = PL_KAFKA_GROUP | PL_KAFKA_READER, ALL = CONSUMERS | PL_KAFKA_PRODUCER };

static const struct row {
    unsigned roles;    /* handles that get the value        */
    const char *name;
    const char *value; /* NULL: set elsewhere, or an alias  */
    const char *why;   /* NULL: the user may override it    */
} s_rows[] = {
    {ALL, "bootstrap.servers", NULL, "the brokers have a setting of their own"},
    {ALL, "metadata.broker.list", NULL, "the brokers have a setting of their own"},
    {ALL, "client.id", NULL, "the client id has a setting of its own"},
    {ALL, "group.id", NULL, "the group has a setting of its own"},
    {ALL, "transactional.id", NULL, "it is made from the slot"},
    {ALL, "transaction.timeout.ms", NULL, "it has a setting of its own"},

    {CONSUMERS, "enable.auto.commit", "false", "offsets are committed with the outputs (G1)"},
    {ALL, "auto.commit.enable", NULL, "offsets are committed with the outputs (G1)"},
    {CONSUMERS, "enable.auto.offset.store", "false", "offsets are committed with the outputs (G1)"},
    {ALL, "offset.store.method", NULL, "offsets are committed with the outputs (G1)"},
    {CONSUMERS, "auto.offset.reset", "error", "input must never be skipped or repeated (T1)"},
    {ALL, "isolation.level", NULL, "aborted records must never be read as input (G1)"},
    {ALL, "enable.partition.eof", NULL, "it drives the positions"},
    {CONSUMERS, "check.crcs", "true", "corrupt input must be seen"},
    {CONSUMERS, "allow.auto.create.topics", "false", "topics are made by deploy/topics.conf"},
    {PL_KAFKA_GROUP, "partition.assignment.strategy", "cooperative-sticky", NULL},
    {PL_KAFKA_GROUP, "session.timeout.ms", "6000", NULL},
    {PL_KAFKA_GROUP, "heartbeat.interval.ms", "1000", NULL},
    {PL_KAFKA_GROUP, "max.poll.interval.ms", "120000", NULL},
    /* An answer may be this late; query_watermark_offsets obeys no other limit. */
    {CONSUMERS, "socket.timeout.ms", "10000", NULL},
    /* An idle long poll delays a partition that was just added, and the news of its end. */
    {CONSUMERS, "fetch.wait.max.ms", "50", NULL},
    /* The fetcher sleeps up to 1 s once a queue limit is reached, so the count is out of reach and
     * the size, which bounds memory, is the only limit. */
    {PL_KAFKA_READER, "queued.min.messages", "1000000", NULL},
    {PL_KAFKA_READER, "queued.max.messages.kbytes", "65536", NULL},

    {PL_KAFKA_PRODUCER, "enable.idempotence", "true", "retries must not duplicate (G1)"},
    {PL_KAFKA_PRODUCER, "acks", "all", "what is acknowledged must survive a broker (G1)"},
    {ALL, "request.required.acks", NULL, "what is acknowledged must survive a broker (G1)"},
    {ALL, "max.in.flight", NULL, "idempotence allows at most 5"},
    {ALL, "max.in.flight.requests.per.connection", NULL, "idempotence allows at most 5"},
    {ALL, "retries", NULL, "a transaction bounds them by time"},
    {ALL, "message.send.max.retries", NULL, "a transaction bounds them by time"},
    {PL_KAFKA_PRODUCER, "partitioner", "murmur2_random", "partitions must agree with Java's (T16)"},
    {ALL, "message.timeout.ms", NULL, "it must not exceed the transaction's (T18)"},
    {ALL, "delivery.timeout.ms", NULL, "it must not exceed the transaction's (T18)"},
    {ALL, "delivery.report.only.error", NULL, "a commit waits for the reports"},
    /* The largest value of the topics' table, with its key, headers and framing. */
    {PL_KAFKA_PRODUCER, "message.max.bytes", "6291456", NULL},
    {PL_KAFKA_PRODUCER, "retry.backoff.ms", "5", NULL}, /* T9: 107 ms at the default of 100 */
    {PL_KAFKA_PRODUCER, "linger.ms", "1", NULL},        /* a commit's flush does not wait for it */
    {PL_KAFKA_PRODUCER, "queue.buffering.max.messages", "100000", NULL},
    {PL_KAFKA_PRODUCER, "queue.buffering.max.kbytes", "65536", NULL},

    {ALL, "socket.nagle.disable", "true", NULL},
    {ALL, "socket.keepalive.enable", "true", NULL},
    {ALL, "reconnect.backoff.max.ms", "1000", NULL}, /* T10: below the session timeout */
    {ALL, "enable.ssl.certificate.verification", NULL, "brokers must prove who they are"},
};
enum { ROW_COUNT = sizeof(s_rows) / sizeof(s_rows[0]) };

static _Atomic(pl_kafka_log_sink *) s_sink;

void pl_kafka_set_log(pl_kafka_log_sink *sink)
{
    atomic_store(&s_sink, sink);
}

/* Called by librdkafka's threads. */
static void forward_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    pl_kafka_log_sink *sink = atomic_load(&s_sink);

    (void)rk;
    if (sink != NULL)
        sink(level, facility, text);
    else
        fprintf(stderr, "librdkafka %d %s: %s\n", level, facility, text);
}

enum pl_err pl_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        return pl_err_set(PL_FATAL_CONFIG, "kafka.%s: %s", name, text);
    return PL_OK;
}

static enum pl_err set_defaults(rd_kafka_conf_t *conf, enum pl_kafka_role role)
{
    enum pl_err err = PL_OK;

    for (unsigned i = 0; i < ROW_COUNT && !err; i++) {
        if (s_rows[i].value != NULL && (s_rows[i].roles & role) != 0)
            err = pl_kafka_conf_set(conf, s_rows[i].name, s_rows[i].value);
    }
    return err;
}

/* Keys whose value alone is dangerous. */
static enum pl_err check_value(const char *name, const char *value)
{
    if (strcmp(name, "ssl.endpoint.identification.algorithm") == 0 && strcmp(value, "none") == 0)
        return pl_err_set(PL_FATAL_CONFIG,
                          "kafka.%s=none is refused: brokers must prove who they are", name);
    if ((strcmp(name, "sasl.mechanism") == 0 || strcmp(name, "sasl.mechanisms") == 0) &&
        strncmp(value, "SCRAM-", 6) == 0 && rd_kafka_version() < 0x020601ff)
        return pl_err_set(PL_FATAL_CONFIG,
                          "kafka.%s=%s: librdkafka %s cannot log in to Kafka 4 with SCRAM; "
                          "2.6.1 or newer can", name, value, rd_kafka_version_str());
    return PL_OK;
}

static enum pl_err check_override(const char *name, const char *value)
{
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        if (s_rows[i].why != NULL && strcmp(s_rows[i].name, name) == 0)
            return pl_err_set(PL_FATAL_CONFIG, "kafka.%s may not be set: %s", name, s_rows[i].why);
    }
    return check_value(name, value);
}

/* The key without its "consumer." or "producer."; NULL when it is not for this role. */
static const char *key_for_role(const char *name, enum pl_kafka_role role)
{
    static const char consumer[] = "consumer.", producer[] = "producer.";
    bool is_producer = role == PL_KAFKA_PRODUCER;

    if (strncmp(name, consumer, sizeof(consumer) - 1) == 0)
        return is_producer ? NULL : name + sizeof(consumer) - 1;
    if (strncmp(name, producer, sizeof(producer) - 1) == 0)
        return is_producer ? name + sizeof(producer) - 1 : NULL;
    return name;
}

static enum pl_err set_overrides(rd_kafka_conf_t *conf, const struct pl_kafka_settings *settings,
                                 enum pl_kafka_role role)
{
    for (unsigned i = 0; i < settings->override_count; i++) {
        const char *name = key_for_role(settings->overrides[i].name, role);
        const char *value = settings->overrides[i].value;
        enum pl_err err = PL_OK;

        if (name == NULL)
            continue;
        err = check_override(name, value);
        if (!err)
            err = pl_kafka_conf_set(conf, name, value);
        if (err)
            return err;
    }
    return PL_OK;
}

static enum pl_err set_identity(rd_kafka_conf_t *conf, const struct pl_kafka_settings *settings,
                                enum pl_kafka_role role)
{
    enum pl_err err = pl_kafka_conf_set(conf, "bootstrap.servers", settings->brokers);

    if (!err && settings->client_id != NULL)
        err = pl_kafka_conf_set(conf, "client.id", settings->client_id);
    if (!err && role != PL_KAFKA_PRODUCER) {
        /* A reader without a group never joins this one; librdkafka wants a name to assign. */
        const char *group_id = settings->group_id != NULL ? settings->group_id : "plimsoll-reader";
        err = pl_kafka_conf_set(conf, "group.id", group_id);
    }
    return err;
}

enum pl_err pl_kafka_conf(const struct pl_kafka_settings *settings, enum pl_kafka_role role,
                          rd_kafka_conf_t **conf)
{
    *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(*conf, forward_log);

    enum pl_err err = set_defaults(*conf, role);
    if (!err)
        err = set_identity(*conf, settings, role);
    if (!err)
        err = set_overrides(*conf, settings, role);
    if (err) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return err;
}

enum pl_err pl_kafka_check(const struct pl_kafka_settings *settings)
{
    static const enum pl_kafka_role roles[] = {PL_KAFKA_GROUP, PL_KAFKA_READER, PL_KAFKA_PRODUCER};

    for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        rd_kafka_conf_t *conf = NULL;
        enum pl_err err = pl_kafka_conf(settings, roles[i], &conf);

        if (err)
            return err;
        rd_kafka_conf_destroy(conf);
    }
    return PL_OK;
}
