/* SPDX-License-Identifier: Apache-2.0 */
/* plimsoll: picks the subcommand, and what the subcommands share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "lib/service/version.h"
#include "services/cli/cli.h"

enum { READ_WAIT_MS = 10000 };
static const size_t WIRE_BYTES = (size_t)256 << 20;

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "evaluate", "evaluate accounts from a file, offline", cli_evaluate },
    { "explain", "why an account was liquidated, or was not, at any time", cli_explain },
    { "risk", "distance to liquidation, tail losses, and a book under a falling market", cli_risk },
    { "what-if", "an account after trades, transfers, other prices or parameters", cli_what_if },
    { "optimise", "the cheapest ways of an account to a target, and what it may take out",
      cli_optimise },
    { "verify", "check that nothing of the journal and what it speaks of is missing or changed",
      cli_verify },
    { "replay", "decide everything anew and compare with what was published", cli_replay },
    { "export", "write an audit bundle: records as received, for verify, replay and explain",
      cli_export },
    { "halt", "stop new orders: everything, or one account", cli_control },
    { "resume", "end a halt", cli_control },
    { "parameters", "put, show or check a parameter set", cli_parameters },
    { "publish", "publish records from a file, or prices from a CSV at any speed", cli_publish },
    { "scenario", "print the seeded crash scenario of the quickstart", cli_scenario },
    { "simulate-fills", "play the order router: SIMULATED fills for every order",
      cli_simulate_fills },
    { "report", "what was called, ordered, filled and at which latency", cli_report },
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *file)
{
    fputs("usage: plimsoll COMMAND [OPTIONS]\n\n", file);
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %-15s %s\n", commands[i].name, commands[i].help);
    fputs("  version         print the version\n\n"
          "plimsoll COMMAND --help says more. Exit status: 0 done, 1 finding, 2 usage or bad input, "
          "3 environment.\n", file);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("plimsoll %s (%s)\n", pl_version, pl_revision);
        return CLI_OK;
    }
    bool is_help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
                   strcmp(name, "-h") == 0;
    if (!is_help && argc > 1)
        fprintf(stderr, "plimsoll: no command is called \"%s\"\n", name);
    print_usage(is_help ? stdout : stderr);
    return is_help ? CLI_OK : CLI_USAGE;
}

/* ---- shared --------------------------------------------------------------------------------- */

void cli_kafka_init(struct cli_kafka *kafka, const char *group_id)
{
    memset(kafka, 0, sizeof(*kafka));
    kafka->settings.brokers = getenv("PLIMSOLL_KAFKA") ? getenv("PLIMSOLL_KAFKA") : "127.0.0.1:9092";
    kafka->settings.client_id = "plimsoll";
    kafka->settings.group_id = group_id;
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        kafka->settings.topic_names[topic] = pl_topic_default_name((enum pl_topic)topic);
}

static void set_prefix(struct cli_kafka *kafka, const char *prefix)
{
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++) {
        snprintf(kafka->names[topic], sizeof(kafka->names[topic]), "%s%s", prefix,
                 pl_topic_default_name((enum pl_topic)topic));
        kafka->settings.topic_names[topic] = kafka->names[topic];
    }
}

static bool set_property(struct cli_kafka *kafka, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals || kafka->settings.override_count == PL_KAFKA_OVERRIDES_MAX)
        return false;
    char *name = strndup(argument, (size_t)(equals - argument));
    kafka->settings.overrides[kafka->settings.override_count].name = name;
    kafka->settings.overrides[kafka->settings.override_count++].value = equals + 1;
    return name != NULL;
}

bool cli_kafka_option(struct cli_kafka *kafka, int option, const char *argument)
{
    if (option == 'k')
        kafka->settings.brokers = argument;
    else if (option == 'P')
        set_prefix(kafka, argument);
    else
        return option == 'X' && set_property(kafka, argument);
    return true;
}

int cli_fail(enum pl_err err, const char *what)
{
    fprintf(stderr, "plimsoll %s: %s: %s\n", what, pl_err_name(err), pl_err_text());
    bool is_input = pl_err_action(err) == PL_ACTION_REJECT || err == PL_FATAL_CONFIG;
    return is_input ? CLI_USAGE : CLI_ENVIRONMENT;
}

enum pl_err cli_read(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                     cli_handle *handle, void *context)
{
    int64_t first = 0, end = 0;
    enum pl_err err =
        pl_reader_watermarks(reader, topic, partition, READ_WAIT_MS, &first, &end);
    if (!err)
        err = pl_reader_add(reader, topic, partition, first);
    int64_t deadline_ms = pl_mono_ms() + READ_WAIT_MS;
    while (!err && pl_reader_position(reader, topic, partition) < end) {
        struct pl_record record;
        bool found = false;
        err = pl_reader_poll(reader, 100, &record, &found);
        if (!err && found) {
            err = handle(context, &record);
            deadline_ms = pl_mono_ms() + READ_WAIT_MS;
        }
        if (!err && pl_mono_ms() > deadline_ms)
            err = pl_err_set(PL_RETRY_TRANSPORT, "%s partition %d stops short of offset %lld: a "
                             "transaction may be open", pl_topic_word(topic), (int)partition,
                             (long long)end);
    }
    enum pl_err removed = pl_reader_remove(reader, topic, partition);
    return err ? err : removed;
}

void *cli_memory(size_t size_bytes)
{
    void *block = NULL;
    if (pl_memory_map(size_bytes, &block)) {
        fprintf(stderr, "plimsoll: %s\n", pl_err_text());
        exit(CLI_ENVIRONMENT);
    }
    return block;
}

struct pl_wire *cli_wire(void)
{
    struct pl_wire *wire = cli_memory(sizeof(*wire));
    pl_wire_init(wire, cli_memory(WIRE_BYTES), WIRE_BYTES);
    return wire;
}
