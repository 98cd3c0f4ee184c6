/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll, the command. Each subcommand is one function that takes its own arguments and returns the
 * process exit status: 0 done, 1 a finding, 2 usage or bad input, 3 environment.
 */
#ifndef PL_SERVICES_CLI_H
#define PL_SERVICES_CLI_H

#include <getopt.h>

#include "lib/kafka/txn.h"
#include "lib/wire/wire.h"

enum { CLI_OK = 0, CLI_FINDING = 1, CLI_USAGE = 2, CLI_ENVIRONMENT = 3 };

int cli_evaluate(int argc, char **argv);       /* evaluate.c                */
int cli_control(int argc, char **argv);        /* control.c: halt, resume   */
int cli_parameters(int argc, char **argv);     /* parameters.c              */
int cli_parameters_import(int argc, char **argv); /* import.c               */
int cli_publish(int argc, char **argv);        /* publish.c                 */
int cli_scenario(int argc, char **argv);       /* scenario.c                */
int cli_simulate_fills(int argc, char **argv); /* simulate.c                */
int cli_report(int argc, char **argv);         /* report.c                  */
int cli_verify(int argc, char **argv);         /* verify_command.c          */
int cli_replay(int argc, char **argv);         /* replay_command.c          */
int cli_explain(int argc, char **argv);        /* explain.c                 */
int cli_risk(int argc, char **argv);           /* risk.c                    */
int cli_what_if(int argc, char **argv);        /* what_if.c                 */
int cli_optimise(int argc, char **argv);       /* optimise.c                */
int cli_export(int argc, char **argv);         /* export_command.c          */

/* ---- shared by the subcommands (main.c) ---- */

/*
 * Kafka settings from the options every subcommand shares: --kafka HOST:PORT, -X name=value (any
 * librdkafka property), --topic-prefix PREFIX (put before the names of deploy/topics.conf).
 */
struct cli_kafka {
    struct pl_kafka_settings settings;
    char names[PL_TOPIC_COUNT][PL_TOPIC_NAME_BYTES_MAX + 1];
};
void cli_kafka_init(struct cli_kafka *kafka, const char *group_id);
/* Takes one of the shared options; false when `option` is none of them or its argument is wrong. */
bool cli_kafka_option(struct cli_kafka *kafka, int option, const char *argument);
#define CLI_KAFKA_OPTIONS                                                                          \
    { "kafka", required_argument, NULL, 'k' }, { "set", required_argument, NULL, 'X' },            \
    { "topic-prefix", required_argument, NULL, 'P' }, { "help", no_argument, NULL, 'h' }
#define CLI_KAFKA_USAGE                                                                            \
    "  --kafka HOST:PORT     bootstrap servers (default 127.0.0.1:9092)\n"                         \
    "  --topic-prefix TEXT   put before every topic's name\n"                                      \
    "  -X NAME=VALUE         a librdkafka property\n"

/* Prints "plimsoll WHAT: CODE: text" to stderr and returns the exit status for it. */
int cli_fail(enum pl_err err, const char *what);

/* All records of one partition from `from` to its present end, one call of `handle` each; stops at
 * the first error. Waits at most 10 s for the broker. */
typedef enum pl_err cli_handle(void *context, const struct pl_record *record);
enum pl_err cli_read(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                     cli_handle *handle, void *context);

/* A wire on mapped memory, and zeroed mapped memory: never freed, a command is one short process.
 * Ends the process when there is none. */
struct pl_wire *cli_wire(void);
void *cli_memory(size_t size_bytes);

#endif
