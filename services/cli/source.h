/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a command that looks at a moment takes its records from: a bundle, or what a live cluster
 * has of that moment, copied into one. The options that say so, shared by explain, optimise, risk, what-if
 * and parameters diff.
 */
#ifndef PL_SERVICES_CLI_SOURCE_H
#define PL_SERVICES_CLI_SOURCE_H

#include "services/cli/bundle.h"
#include "services/cli/cli.h"
#include "services/cli/when.h"

struct cli_source {
    struct cli_kafka kafka;
    struct when at;
    const char *directory; /* NULL: Kafka */
    bool is_json;
};

#define CLI_SOURCE_OPTIONS                                                                         \
    { "at", required_argument, NULL, 'A' }, { "bundle", required_argument, NULL, 'B' },            \
    { "json", no_argument, NULL, 'J' }, CLI_KAFKA_OPTIONS
#define CLI_SOURCE_USAGE                                                                           \
    "  --at WHEN             default: the newest journal entry\n"                                  \
    "  --bundle DIRECTORY    what plimsoll export wrote; no Kafka is needed then\n"                \
    "  --json                the same facts as JSON; amounts are decimal strings\n"                \
    CLI_KAFKA_USAGE WHEN_USAGE

void cli_source_init(struct cli_source *source);
/* As cli_kafka_option; says on stderr what is wrong with a time. `what` is the command. */
bool cli_source_option(struct cli_source *source, int option, const char *argument,
                       const char *what);
/* The records of `account`, or of all when it is NULL. As cli_open_bundle. */
enum pl_err cli_source_open(const struct cli_source *source, const char *account,
                            struct bundle **bundle);

#endif
