/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the main of every service does alike: from arguments to a configured process that logs, and
 * the two ways in which an error is met. Opening, running and closing stay with the service, in the
 * order that its main shows.
 */
#ifndef PL_SERVICE_LIFECYCLE_H
#define PL_SERVICE_LIFECYCLE_H

#include "lib/service/metrics.h"
#include "lib/service/settings.h"

/* All borrowed for good. */
struct pl_service {
    const char *name;    /* "plimsoll-price" */
    const char *purpose; /* one sentence for --help */
    struct pl_settings *settings;
    struct pl_config_table own_table;
    const struct pl_metric_row *metrics;
    unsigned metric_count;
    char instance[PL_INSTANCE_BYTES_MAX]; /* filled in: "<group>.<slot>" */
    struct pl_kafka_settings kafka;       /* filled in */
};

/*
 * Loads the configuration, sets up metrics, signals and logs, and checks the kafka.* keys. False when
 * the process is to end at once with *status: what was asked for has been printed, or the
 * configuration is wrong and standard error says where and what to write instead.
 */
bool pl_service_begin(struct pl_service *service, int argc, char **argv, int *status);

/* Ends the process without closing anything (crash-only): logs the present error text under the
 * code's name and exits with its status. */
_Noreturn void pl_service_leave(enum pl_err err);

/* Nothing to reach at present: logs why, and waits half a second, less if asked to stop. */
void pl_service_pause(enum pl_err err);

#endif
