/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll parameters check | put | show | diff | promote; import is import.c's. Parameter sets are
 * written by people as JSON and published whole: what check refuses, put does not send, and what no
 * service accepts never becomes effective. A set is tried before it is used: put --shadow, diff,
 * promote.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli.h"
#include "services/cli/parameters_diff.h"
#include "services/cli/source.h"

static const char USAGE[] =
    "usage: plimsoll parameters check FILE\n"
    "       plimsoll parameters put [--shadow] FILE [OPTIONS]\n"
    "                             publish as the base set, or as the shadow set, which is evaluated\n"
    "                             beside the one in force and decides nothing\n"
    "       plimsoll parameters show [base|effective|shadow] [OPTIONS]\n"
    "       plimsoll parameters diff [FILE] [OPTIONS]\n"
    "                             who would stand elsewhere under the shadow set, or under FILE,\n"
    "                             and what each asset, factor and dependency would cost\n"
    "       plimsoll parameters promote EPOCH [OPTIONS]\n"
    "                             publish the shadow set, if its epoch is EPOCH, as the base set, and\n"
    "                             end the shadow\n"
    "       plimsoll parameters import PROTOCOL FILE [OPTIONS]\n"
    "                             a set from a protocol's own risk parameters; --help says more\n"
    "  of diff:\n" CLI_SOURCE_USAGE
    "  Exit status: 0 done, 1 there is no such set, 2 usage or a bad set, 3 environment.\n";

struct set {
    uint8_t *bytes;
    size_t size_bytes;
    const char *key;
};

static enum pl_err decode(const struct set *set, struct pl_names *names,
                          struct pl_parameters *parameters)
{
    return pl_wire_parameters_decode(
        cli_wire(), names, (struct pl_bytes_view){ set->bytes, set->size_bytes }, parameters);
}

/* Reads and validates; the text of an error names file, place and cure. */
static enum pl_err read_set(const char *name, struct set *set, struct pl_parameters *parameters)
{
    struct pl_names *names = cli_memory(sizeof(*names));
    pl_names_init(names);
    enum pl_err err = parameters_load(name, &set->bytes, &set->size_bytes);
    if (err)
        return err;
    err = decode(set, names, parameters);
    return err ? pl_err_note(err, "%s", name) : PL_OK;
}

static enum pl_err send(struct pl_producer *producer, const struct set *set)
{
    const struct pl_bytes_view key = { (const uint8_t *)set->key, strlen(set->key) };
    return pl_producer_send(producer, PL_TOPIC_PARAMETERS, 0, key,
                            (struct pl_bytes_view){ set->bytes, set->size_bytes }, NULL, 0);
}

/* All of them, in order; a set without bytes takes back what stands under its key. */
static enum pl_err put(const struct cli_kafka *kafka, const struct set *sets, unsigned count)
{
    struct pl_producer *producer = NULL;
    unsigned failed = 0;
    enum pl_err err = pl_producer_open(&producer, &kafka->settings);
    for (unsigned i = 0; !err && i < count; i++)
        err = send(producer, &sets[i]);
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
    set->bytes = NULL;
    set->size_bytes = 0;
    if (!record->value.data) /* taken back */
        return PL_OK;
    set->bytes = malloc(record->value.size_bytes + 1);
    if (!set->bytes)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory");
    memcpy(set->bytes, record->value.data, record->value.size_bytes);
    set->size_bytes = record->value.size_bytes;
    return PL_OK;
}

/* The newest set under the wanted key; without bytes where there is none. */
static enum pl_err fetch(const struct cli_kafka *kafka, struct set *set)
{
    struct pl_reader *reader = NULL;
    enum pl_err err = pl_reader_open(&reader, &kafka->settings, false);
    if (!err)
        err = cli_read(reader, PL_TOPIC_PARAMETERS, 0, see_set, set);
    pl_reader_close(&reader);
    return err;
}

static int none(const struct set *set)
{
    fprintf(stderr, "plimsoll parameters: there is no %s set\n", set->key);
    return CLI_FINDING;
}

static int show(const struct cli_kafka *kafka, struct set *set)
{
    json_t *json = NULL;
    enum pl_err err = fetch(kafka, set);
    if (!err && !set->bytes)
        return none(set);
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

static int check_or_put(const struct cli_kafka *kafka, bool is_put, const char *key,
                        const char *name)
{
    struct pl_parameters *parameters = cli_memory(sizeof(*parameters));
    struct set set = { .key = key };
    enum pl_err err = read_set(name, &set, parameters);
    if (!err && is_put && parameters->base_epoch != 0)
        err = pl_err_set(PL_REJECT_PARAMETERS, "%s: it has a base_epoch, so it is an effective set, "
                         "with haircuts that were derived: edit what 'plimsoll parameters show "
                         "base' prints", name);
    if (!err && is_put)
        err = put(kafka, &set, 1);
    if (err)
        return cli_fail(err, "parameters");
    printf("%s: epoch %llu, %u instruments: %s%s%s\n", name,
           (unsigned long long)parameters->epoch, parameters->instrument_count,
           is_put ? "published as the " : "valid", is_put ? key : "", is_put ? " set" : "");
    return CLI_OK;
}

/* ---- promote and diff ----------------------------------------------------------------------- */

/* The set that was looked at, and no other, if it may follow the present base. */
static enum pl_err check_promotion(const struct set *shadow, const struct set *base,
                                   const char *wanted)
{
    struct pl_parameters *next = cli_memory(sizeof(*next)), *last = cli_memory(sizeof(*last));
    struct pl_names *names = cli_memory(sizeof(*names));
    char epoch[24];
    pl_names_init(names);
    enum pl_err err = decode(shadow, names, next);
    snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)next->epoch);
    if (!err && strcmp(epoch, wanted) != 0)
        return pl_err_set(PL_REJECT_CONFLICT, "the shadow set is of epoch %s, not %s", epoch,
                          wanted);
    if (!err && base->bytes)
        err = decode(base, names, last);
    if (!err && base->bytes)
        err = pl_parameters_follow(last, next, names);
    return err;
}

static int promote(const struct cli_kafka *kafka, const char *epoch)
{
    struct set shadow = { .key = "shadow" }, base = { .key = "base" };
    enum pl_err err = fetch(kafka, &shadow);
    if (!err && !shadow.bytes)
        return none(&shadow);
    if (!err)
        err = fetch(kafka, &base);
    if (!err)
        err = check_promotion(&shadow, &base, epoch);
    if (!err) {
        const struct set sets[] = { { shadow.bytes, shadow.size_bytes, "base" },
                                    { NULL, 0, "shadow" } };
        err = put(kafka, sets, 2);
    }
    if (err)
        return cli_fail(err, "parameters");
    printf("epoch %s: published as the base set; there is no shadow set any more\n", epoch);
    return CLI_OK;
}

static enum pl_err ask_diff(const struct cli_source *source, const char *file, json_t **document)
{
    struct bundle *bundle = NULL;
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    enum pl_err err = file ? parameters_load(file, &bytes, &size_bytes) : PL_OK;
    if (!err)
        err = cli_source_open(source, NULL, &bundle);
    if (!err)
        err = parameters_diff(bundle, source->at, (struct pl_bytes_view){ bytes, size_bytes },
                              file ? file : "shadow", document);
    bundle_close(&bundle);
    free(bytes);
    return err;
}

static int diff(const struct cli_source *source, const char *file)
{
    json_t *document = NULL;
    enum pl_err err = ask_diff(source, file, &document);
    if (err) {
        int status = cli_fail(err, "parameters");
        return err == PL_REJECT_MISSING || err == PL_FATAL_DIVERGED ? CLI_FINDING : status;
    }
    if (source->is_json) {
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        parameters_diff_print(stdout, document);
    }
    json_decref(document);
    return fflush(stdout) == 0 ? CLI_OK : CLI_ENVIRONMENT;
}

/* ---- the command ---------------------------------------------------------------------------- */

int cli_parameters(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "import") == 0)
        return cli_parameters_import(argc - 1, argv + 1);
    static const struct option options[] = { { "shadow", no_argument, NULL, 'S' },
                                             CLI_SOURCE_OPTIONS, { NULL, 0, NULL, 0 } };
    static struct cli_source source;
    cli_source_init(&source);
    bool is_usage = false, is_shadow = false;
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'S')
            is_shadow = true;
        else
            is_usage |= !cli_source_option(&source, option, optarg, "parameters");
    }
    const char *verb = optind < argc ? argv[optind] : "";
    const char *what = optind + 1 < argc ? argv[optind + 1] : NULL;
    if (!is_usage && what && strcmp(verb, "put") == 0)
        return check_or_put(&source.kafka, true, is_shadow ? "shadow" : "base", what);
    if (!is_usage && what && strcmp(verb, "check") == 0)
        return check_or_put(&source.kafka, false, NULL, what);
    if (!is_usage && what && strcmp(verb, "promote") == 0)
        return promote(&source.kafka, what);
    if (!is_usage && strcmp(verb, "diff") == 0)
        return diff(&source, what);
    if (!is_usage && strcmp(verb, "show") == 0) {
        struct set set = { .key = what ? what : "effective" };
        return show(&source.kafka, &set);
    }
    fputs(USAGE, stderr);
    return CLI_USAGE;
}
