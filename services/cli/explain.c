/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll explain: why an account was sold, or why not, at any time the journal reaches. Of a live
 * cluster the few records that it takes are copied into a bundle of the moment; from there on there
 * is no difference to a bundle that was exported, and nothing is ever written to Kafka.
 */
#include "services/cli/explain.h"

#include <string.h>

#include "services/cli/source.h"

static const char USAGE[] =
    "usage: plimsoll explain ACCOUNT [--at WHEN] [--bundle DIRECTORY] [--json] [OPTIONS]\n"
    "  Why ACCOUNT was liquidated, or why not, by the newest journal entry at or before WHEN: the\n"
    "  reason in one line, then holdings, prices with age and source, every term of the verdict\n"
    "  at every tier, thresholds, orders in flight, the plan and its alternatives, and what was\n"
    "  published before.\n"
    CLI_SOURCE_USAGE
    "  In JSON names end in their unit; an excess not known is {\"at_worst\", \"at_best\"}.\n"
    "  Exit status: 0 done, 1 the account was unknown or the records differ from the journal,\n"
    "  2 usage, 3 environment.\n";

struct command {
    struct cli_source source;
    struct explain_question question;
};

/* ---- options -------------------------------------------------------------------------------- */

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = { CLI_SOURCE_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    bool is_good = true;
    while (is_good && (option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(USAGE, stdout);
            return CLI_OK;
        }
        is_good = cli_source_option(&command->source, option, optarg, "explain");
    }
    if (!is_good || optind + 1 != argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    if (!pl_id_set(&command->question.account, argv[optind], strlen(argv[optind])))
        return -1;
    fprintf(stderr, "plimsoll explain: ACCOUNT: %s\n", pl_err_text());
    return CLI_USAGE;
}

/* ---- the answer ----------------------------------------------------------------------------- */

enum pl_err explain_ask(const struct cli_source *source, const struct explain_question *asked,
                        json_t **document)
{
    struct bundle *bundle = NULL;
    struct explain_question question = *asked;
    question.at = source->at;
    question.is_partial = !source->directory;
    enum pl_err err = cli_source_open(source, question.account.text, &bundle);
    if (!err)
        err = explain_bundle(bundle, &question, document);
    bundle_close(&bundle);
    return err;
}

/* Of a live cluster only the moment's records were copied: an earlier sale takes another look. */
static enum pl_err add_plan(const struct command *command, json_t *document)
{
    const json_t *sequence = json_object_get(document, "sale_sequence");
    json_t *earlier = NULL;
    if (!json_is_integer(sequence) || !json_is_null(json_object_get(document, "plan")))
        return PL_OK;
    struct cli_source source = command->source;
    source.at = (struct when){ WHEN_SEQUENCE, json_integer_value(sequence) };
    enum pl_err err = explain_ask(&source, &command->question, &earlier);
    if (!err)
        json_object_set(document, "plan", json_object_get(earlier, "plan"));
    json_decref(earlier);
    return err;
}

static int print(const struct command *command, const json_t *document)
{
    if (command->source.is_json)
        json_dumpf(document, stdout, JSON_INDENT(2));
    else
        explain_print(stdout, document);
    if (command->source.is_json)
        putchar('\n');
    if (fflush(stdout) != 0)
        return CLI_ENVIRONMENT;
    return strcmp(json_string_value(json_object_get(document, "reason")),
                  explain_reason_word(EXPLAIN_UNKNOWN)) == 0
               ? CLI_FINDING : CLI_OK;
}

int cli_explain(int argc, char **argv)
{
    static struct command command;
    json_t *document = NULL;
    cli_source_init(&command.source);
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = explain_ask(&command.source, &command.question, &document);
    if (!err && !command.source.directory)
        err = add_plan(&command, document);
    status = err ? cli_fail(err, "explain") : print(&command, document);
    json_decref(document);
    return err == PL_FATAL_DIVERGED ? CLI_FINDING : status;
}
