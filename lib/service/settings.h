/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every service is configured with. A service has one struct of its own beside it and one table
 * for each; pl_config takes both.
 */
#ifndef PL_SERVICE_SETTINGS_H
#define PL_SERVICE_SETTINGS_H

#include "lib/kafka/consumer.h"
#include "lib/service/config.h"
#include "lib/service/log.h"

struct pl_settings {
    char brokers[1025];
    char client_id[129];
    char group_id[129];
    char slot[33];
    char topic_names[PL_TOPIC_COUNT][PL_TOPIC_NAME_BYTES_MAX + 1];
    char http_address[46];
    int32_t http_port;
    char http_port_file[1025];
    int32_t log_level;  /* enum pl_log_level  */
    int32_t log_format; /* enum pl_log_format */
    char redis_host[256];
    int32_t redis_port;
    char redis_password[257];
    char redis_prefix[65];
    int32_t redis_timeout_ms;
    int32_t redis_ttl_s;
    int32_t watchdog_ms;
    bool may_dump_core;
};

/* The table of the struct above, for `settings`. */
struct pl_config_table pl_settings_table(struct pl_settings *settings);

enum { PL_INSTANCE_BYTES_MAX = 256 };

/* "<group>.<slot>": the transactional id of this worker and its name in logs. */
void pl_settings_instance(const struct pl_settings *settings, char text[PL_INSTANCE_BYTES_MAX]);

/* What lib/kafka opens handles with. It borrows from `settings` and from the overrides of `config`,
 * which both stay for the life of the handles. */
void pl_settings_kafka(const struct pl_settings *settings, const struct pl_config *config,
                       struct pl_kafka_settings *kafka);

#endif
