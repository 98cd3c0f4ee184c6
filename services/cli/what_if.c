/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll what-if ACCOUNT: an account as it stands, and as it would stand after trades, transfers,
 * other prices or other parameters. Nothing is written to Kafka.
 */
#include "services/cli/what_if.h"

#include <string.h>

#include "services/cli/source.h"

static const char USAGE[] =
    "usage: plimsoll what-if ACCOUNT [CHANGE]... [OPTIONS]\n"
    "  The account before and after the changes: verdict at every tier, the state it would be put\n"
    "  in, the sale that would be made, and the terms that differ. Changes are applied in order to\n"
    "  a copy; quantities and prices are exact.\n"
    "  --trade INSTRUMENT=QUANTITY[@PRICE]  buy, or sell if negative, against cash, at the mark\n"
    "                        unless a price is given\n"
    "  --transfer INSTRUMENT=QUANTITY  deposit, or withdraw if negative\n"
    "  --transfer cash=USD\n"
    "  --price INSTRUMENT=PRICE  another mark\n"
    "  --price INSTRUMENT=PERCENT%  the mark moved\n"
    "                        options follow their underlying and their volatility (a price of their\n"
    "                        own is refused; from their averaging window on they stay on their grid);\n"
    "                        what is pegged to INSTRUMENT moves in proportion unless its own price is\n"
    "                        given, as redemption and averages of markets are not derived anew\n"
    "  --parameters FILE     another parameter set, as plimsoll parameters check takes it\n"
    CLI_SOURCE_USAGE
    "  Exit status: 0 done, 1 the account was unknown or the records differ from the journal,\n"
    "  2 usage, 3 environment.\n";

struct command {
    struct cli_source source;
    struct what_if what_if;
    struct what_if_change changes[WHAT_IF_CHANGES_MAX];
    struct pl_id account;
};

static bool add_change(struct command *command, enum what_if_kind kind, const char *text)
{
    if (command->what_if.change_count == WHAT_IF_CHANGES_MAX)
        return false;
    command->changes[command->what_if.change_count++] = (struct what_if_change){ kind, text };
    return true;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    if (option == 't')
        return add_change(command, WHAT_IF_TRADE, argument);
    if (option == 'r')
        return add_change(command, WHAT_IF_TRANSFER, argument);
    if (option == 'p')
        return add_change(command, WHAT_IF_PRICE, argument);
    if (option != 's')
        return cli_source_option(&command->source, option, argument, "what-if");
    command->what_if.parameters_path = argument;
    return true;
}

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "trade", required_argument, NULL, 't' },
                                             { "transfer", required_argument, NULL, 'r' },
                                             { "price", required_argument, NULL, 'p' },
                                             { "parameters", required_argument, NULL, 's' },
                                             CLI_SOURCE_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    bool is_good = true;
    while (is_good && (option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(USAGE, stdout);
            return CLI_OK;
        }
        is_good = read_option(command, option, optarg);
    }
    if (!is_good || optind + 1 != argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    if (!pl_id_set(&command->account, argv[optind], strlen(argv[optind])))
        return -1;
    fprintf(stderr, "plimsoll what-if: ACCOUNT: %s\n", pl_err_text());
    return CLI_USAGE;
}

static enum pl_err ask(const struct command *command, json_t **document)
{
    const struct pl_id *account = &command->account;
    struct bundle *bundle = NULL;
    struct moment moment = { 0 };
    enum pl_err err = cli_source_open(&command->source, account->text, &bundle);
    if (!err)
        err = moment_open(&moment, bundle,
                          pl_account_partition(account, bundle_partition_count(bundle)),
                          command->source.at, !command->source.directory);
    if (!err)
        err = what_if_answer(&moment, account, &command->what_if, document);
    moment_close(&moment);
    bundle_close(&bundle);
    return err;
}

int cli_what_if(int argc, char **argv)
{
    static struct command command;
    json_t *document = NULL;
    cli_source_init(&command.source);
    command.what_if.changes = command.changes;
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = ask(&command, &document);
    if (err)
        return err == PL_REJECT_UNKNOWN || err == PL_FATAL_DIVERGED
                   ? (cli_fail(err, "what-if"), CLI_FINDING) : cli_fail(err, "what-if");
    if (command.source.is_json) {
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        what_if_print(stdout, document);
    }
    json_decref(document);
    return fflush(stdout) == 0 ? CLI_OK : CLI_ENVIRONMENT;
}
