/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll parameters put FILE | show [KEY] | check FILE. Parameter sets are written by people as JSON
 * and published whole: what check refuses, put does not send, and what no service accepts never
 * becomes effective.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli.h"

static const char USAGE[] =
    "usage: plimsoll parameters check FILE\n"
    "       plimsoll parameters put FILE [OPTIONS]      publish as the base set\n"
    "       plimsoll parameters show [base|effective|shadow] [OPTIONS]\n" CLI_KAFKA_USAGE;

struct set {
    uint8_t *bytes;
    size_t size_bytes;
    const char *key;
};

/* Reads and validates; the text of an error names file, place and cure. */
static enum pl_err read_set(const char *name, struct set *set, struct pl_parameters *parameters)
{
    json_error_t error;
    struct pl_names *names = cli_memory(sizeof(*names));
    json_t *json = json_load_file(name, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return pl_err_set(PL_REJECT_MALFORMED, "%s:%d:%d: %s", name, error.line, error.column,
                          error.text);
    pl_names_init(names);
    enum pl_err err = pl_json_encode(PL_TOPIC_PARAMETERS, json, &set->bytes, &set->size_bytes);
    json_decref(json);
    if (!err)
        err = pl_wire_parameters_decode(
            cli_wire(), names, (struct pl_bytes_view){ set->bytes, set->size_bytes }, parameters);
    return err ? pl_err_note(err, "%s", name) : PL_OK;
}

static enum pl_err put(const struct cli_kafka *kafka, const struct set *set)
{
    struct pl_producer *producer = NULL;
    unsigned failed = 0;
    const struct pl_bytes_view key = { (const uint8_t *)set->key, strlen(set->key) };
    enum pl_err err = pl_producer_open(&producer, &kafka->settings);
    if (!err)
        err = pl_producer_send(producer, PL_TOPIC_PARAMETERS, 0, key,
                               (struct pl_bytes_view){ set->bytes, set->size_bytes }, NULL, 0);
    if (!err)
        err = pl_producer_flush(producer, 10000);
    if (!err)
        err = pl_producer_poll(producer, &failed);
    if (!err && failed)
        err = pl_err_set(PL_RETRY_TRANSPORT, "the broker did not take the record: is the topic's "
                         "max.message.bytes as deploy/topics.conf has it?");
    pl_producer_close(&producer);
    return err;
}

/* Keeps the newest set under the wanted key. */
static enum pl_err see_set(void *context, const struct pl_record *record)
{
    struct set *set = context;
    if (record->key.size_bytes != strlen(set->key) ||
        memcmp(record->key.data, set->key, record->key.size_bytes) != 0)
        return PL_OK;
    free(set->bytes);
    set->bytes = malloc(record->value.size_bytes + 1);
    if (!set->bytes)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory");
    memcpy(set->bytes, record->value.data, record->value.size_bytes);
    set->size_bytes = record->value.size_bytes;
    return PL_OK;
}

static int show(const struct cli_kafka *kafka, struct set *set)
{
    struct pl_reader *reader = NULL;
    json_t *json = NULL;
    enum pl_err err = pl_reader_open(&reader, &kafka->settings, false);
    if (!err)
        err = cli_read(reader, PL_TOPIC_PARAMETERS, 0, see_set, set);
    pl_reader_close(&reader);
    if (!err && !set->bytes) {
        fprintf(stderr, "plimsoll parameters: there is no %s set yet\n", set->key);
        return CLI_FINDING;
    }
    if (!err)
        err = pl_json_decode(PL_TOPIC_PARAMETERS,
                             (struct pl_bytes_view){ set->bytes, set->size_bytes }, &json);
    if (err)
        return cli_fail(err, "parameters");
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
    return CLI_OK;
}

static int check_or_put(const struct cli_kafka *kafka, bool is_put, const char *name)
{
    struct pl_parameters *parameters = cli_memory(sizeof(*parameters));
    struct set set = { .key = "base" };
    enum pl_err err = read_set(name, &set, parameters);
    if (!err && is_put && parameters->base_epoch != 0)
        err = pl_err_set(PL_REJECT_PARAMETERS, "%s: it has a base_epoch, so it is an effective set, "
                         "with haircuts that were derived: edit what 'plimsoll parameters show "
                         "base' prints", name);
    if (!err && is_put)
        err = put(kafka, &set);
    if (err)
        return cli_fail(err, "parameters");
    printf("%s: epoch %llu, %u instruments: %s\n", name, (unsigned long long)parameters->epoch,
           parameters->instrument_count,
           is_put ? "published as the base set" : "valid");
    return CLI_OK;
}

int cli_parameters(int argc, char **argv)
{
    static const struct option options[] = { CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    struct cli_kafka kafka;
    cli_kafka_init(&kafka, "plimsoll-cli");
    bool is_usage = false;
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1)
        is_usage |= !cli_kafka_option(&kafka, option, optarg);
    const char *verb = optind < argc ? argv[optind] : "";
    const char *what = optind + 1 < argc ? argv[optind + 1] : NULL;
    bool is_put = strcmp(verb, "put") == 0;
    if (!is_usage && what && (is_put || strcmp(verb, "check") == 0))
        return check_or_put(&kafka, is_put, what);
    if (!is_usage && strcmp(verb, "show") == 0) {
        struct set set = { .key = what ? what : "effective" };
        return show(&kafka, &set);
    }
    fputs(USAGE, stderr);
    return CLI_USAGE;
}
