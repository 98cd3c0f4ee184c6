/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the settings that every service has. */
#include "lib/service/settings.h"

#include <assert.h>
#include <stdio.h>

#include "lib/base/assert.h"

#define TEXT(key, field, fallback, least, help) \
    {key, PL_CONFIG_TEXT, PL_CONFIG_FIELD(struct pl_settings, field), fallback, least, \
     sizeof(((struct pl_settings *)0)->field) - 1, help, NULL}
#define INT(key, field, fallback, least, most, help) \
    {key, PL_CONFIG_INT, PL_CONFIG_FIELD(struct pl_settings, field), fallback, least, most, help, \
     NULL}
#define TOPIC(word, topic) \
    TEXT("topic." word, topic_names[topic], "plimsoll." word ".v1", 1, \
         "Name of the topic of " word "; change it where topics carry a prefix per environment.")

static const struct pl_config_row rows[] = {
    TEXT("kafka.bootstrap.servers", brokers, "127.0.0.1:9092", 1,
         "Brokers to begin with, HOST:PORT[,HOST:PORT]; set it for every cluster but a local one."),
    TEXT("kafka.client.id", client_id, NULL, 1,
         "Name of this client in the brokers' logs and quotas; change it to tell clients apart."),
    TEXT("kafka.group.id", group_id, NULL, 1,
         "Consumer group, the same for all workers of one pipeline; change it to run a second "
         "pipeline on the same cluster."),
    TEXT("worker.slot", slot, "0", 1,
         "Which of the group's workers this is, different for each and the same after a restart: "
         "the ordinal of a StatefulSet. Two workers with one slot end each other."),
    TOPIC("prices", PL_TOPIC_PRICES),
    TOPIC("positions", PL_TOPIC_POSITIONS),
    TOPIC("marks", PL_TOPIC_MARKS),
    TOPIC("holdings", PL_TOPIC_HOLDINGS),
    TOPIC("parameters", PL_TOPIC_PARAMETERS),
    TOPIC("chains", PL_TOPIC_CHAINS),
    TOPIC("control", PL_TOPIC_CONTROL),
    TOPIC("executions", PL_TOPIC_EXECUTIONS),
    TOPIC("orders", PL_TOPIC_ORDERS),
    TOPIC("alerts", PL_TOPIC_ALERTS),
    TOPIC("accounts", PL_TOPIC_ACCOUNTS),
    TOPIC("journal", PL_TOPIC_JOURNAL),
    TOPIC("deadletter", PL_TOPIC_DEADLETTER),
    TEXT("http.address", http_address, "127.0.0.1", 1,
         "Numeric address of probes and metrics; 0.0.0.0 or :: where a supervisor or Prometheus "
         "asks from outside, as in a container."),
    INT("http.port", http_port, "0", 0, 65535,
        "Port of probes and metrics, 0 for a free one; fix it where somebody has to find it."),
    TEXT("http.port_file", http_port_file, "", 0,
         "File to write the bound port to; set it when a script starts the service on port 0."),
    {"log.level", PL_CONFIG_CHOICE, PL_CONFIG_FIELD(struct pl_settings, log_level), "info", 0, 0,
     "Least level that is written; debug while looking for a fault, warn on a crowded log store.",
     PL_LOG_LEVEL_CHOICES},
    {"log.format", PL_CONFIG_CHOICE, PL_CONFIG_FIELD(struct pl_settings, log_format), "auto", 0, 0,
     "auto is text on a terminal and JSON elsewhere; text to read a container's log by eye.",
     PL_LOG_FORMAT_CHOICES},
    TEXT("redis.host", redis_host, "", 0,
         "Redis for look-ups, empty for none; set it to see exposures and marks from outside."),
    INT("redis.port", redis_port, "6379", 1, 65535,
        "Port of Redis; change it where Redis listens elsewhere."),
    {"redis.password", PL_CONFIG_SECRET, PL_CONFIG_FIELD(struct pl_settings, redis_password), "", 0,
     256, "Password of Redis; set it where Redis asks for one.", NULL},
    TEXT("redis.prefix", redis_prefix, "plimsoll", 1,
         "Beginning of every key; change it when pipelines share one Redis."),
    INT("redis.timeout_ms", redis_timeout_ms, "200", 1, 60000,
        "Longest wait for Redis; raise it for one that is far away. Decisions never wait for it."),
    INT("redis.ttl_s", redis_ttl_s, "86400", 1, 31536000,
        "Seconds after which a look-up that was not renewed disappears; lower it to save memory."),
    INT("watchdog.limit_ms", watchdog_ms, "20000", 0, 600000,
        "The process ends itself when its loop stood still for so long, 0 for never; 0 under a "
        "debugger, more where brokers are slow."),
    {"process.core_dumps", PL_CONFIG_BOOL, PL_CONFIG_FIELD(struct pl_settings, may_dump_core), "no",
     0, 0, "Whether a crash may write a core file, which holds secrets; yes to debug a crash.",
     NULL},
};

struct pl_config_table pl_settings_table(struct pl_settings *settings)
{
    return (struct pl_config_table){rows, sizeof rows / sizeof rows[0], settings};
}

void pl_settings_instance(const struct pl_settings *settings, char text[PL_INSTANCE_BYTES_MAX])
{
    int length = snprintf(text, PL_INSTANCE_BYTES_MAX, "%s.%s", settings->group_id, settings->slot);
    pl_assert(length > 0 && length < PL_INSTANCE_BYTES_MAX);
}

void pl_settings_kafka(const struct pl_settings *settings, const struct pl_config *config,
                       struct pl_kafka_settings *kafka)
{
    static_assert((int)PL_CONFIG_OVERRIDES_MAX <= (int)PL_KAFKA_OVERRIDES_MAX,
                  "every override has a place");
    *kafka = (struct pl_kafka_settings){
        .brokers = settings->brokers,
        .client_id = settings->client_id,
        .group_id = settings->group_id,
        .override_count = config->override_count,
    };
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        kafka->topic_names[i] = settings->topic_names[i];
    for (unsigned i = 0; i < config->override_count; i++) {
        kafka->overrides[i].name = config->overrides[i].name;
        kafka->overrides[i].value = config->overrides[i].value;
    }
}
