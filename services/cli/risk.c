/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll risk account ID | book | waterfall: how far from the line, what would break it, what a fall of
 * the market would do to all, and who bears what bankrupt accounts cannot pay. Nothing is written to Kafka.
 */
#include "services/cli/risk.h"

#include <stdlib.h>
#include <string.h>

#include "services/cli/decimal.h"
#include "services/cli/source.h"

enum { CONFIDENCE_PPM = 990000 };

static const char USAGE[] =
    "usage: plimsoll risk account ID [OPTIONS]\n"
    "       plimsoll risk book [OPTIONS]\n"
    "       plimsoll risk waterfall [OPTIONS]\n"
    "  account: distance to liquidation for a market that falls, that rises and that goes against\n"
    "  each leg, in % and in daily standard deviations; what 1 % of each price does; the largest\n"
    "  charge and dependency; with --scenarios potential future exposure and expected shortfall.\n"
    "  book: accounts below maintenance, volume sold and bad debt at moves of 0, -5, ... -60 % of\n"
    "  the market; long and short value, and the largest holders' share, by asset, chain and\n"
    "  dependency. Only what is certain counts.\n"
    "  waterfall: the bad debts that were told, and what of each the insurance fund would pay, who would be\n"
    "  deleveraged in which order, and what everybody with equity would bear. Nothing is booked.\n"
    "  --scenarios FILE      JSON: {\"scenarios\": [{\"scenario\": \"NAME\", \"moves_ppm\": {\"BTC\":\n"
    "                        -440000, ...}}, ...]}; what is not named stands still\n"
    "                        unless it is pegged to what is named: then it moves in proportion.\n"
    "                        Options cannot be named: they follow underlying and volatility\n"
    "  --confidence PERCENT  of the tail, with up to 4 decimals; default: 99\n"
    "  --steady INSTRUMENT   its price stands still; so do those that cost a dollar and hardly move\n"
    "  --moves INSTRUMENT    its price moves all the same\n"
    "  --fund ACCOUNT        of the waterfall: the insurance fund's; default: there is none\n"
    CLI_SOURCE_USAGE
    "  Exit status: 0 done, 1 the account was unknown or the records differ from the journal,\n"
    "  2 usage, 3 environment.\n";

struct command {
    struct cli_source source;
    struct risk_options options;
    const char *scenarios_path;
    const char *fund;
    enum { ACCOUNT, BOOK, WATERFALL } subject;
    struct pl_id account;
};

/* ---- options -------------------------------------------------------------------------------- */

/* "99" or "97.5" to ppm; false unless it is between 0 and 100 and exact. */
static bool read_confidence(const char *text, int32_t *confidence_ppm)
{
    struct pl_amount amount;
    int64_t ppm = 0;
    if (decimal_parse(text, strlen(text), &amount) || amount.exponent < -4 ||
        pl_rescale(amount.mantissa, amount.exponent, 4, PL_ROUND_FLOOR, &ppm) || ppm <= 0 ||
        ppm >= PL_PPM) {
        fprintf(stderr, "plimsoll risk: --confidence %s: a number above 0 and below 100 with up to 4 "
                "decimals\n", text);
        return false;
    }
    *confidence_ppm = (int32_t)ppm;
    return true;
}

static bool add_name(const char **names, unsigned *count, const char *name)
{
    if (*count == RISK_NAMES_MAX)
        return false;
    names[(*count)++] = name;
    return true;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    struct risk_options *options = &command->options;
    if (option == 's')
        command->scenarios_path = argument;
    else if (option == 'c')
        return read_confidence(argument, &options->confidence_ppm);
    else if (option == 'y')
        return add_name(options->steady, &options->steady_count, argument);
    else if (option == 'f')
        command->fund = argument;
    else if (option == 'm')
        return add_name(options->moving, &options->moving_count, argument);
    else
        return cli_source_option(&command->source, option, argument, "risk");
    return true;
}

static int usage(void)
{
    fputs(USAGE, stderr);
    return CLI_USAGE;
}

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "scenarios", required_argument, NULL, 's' },
                                             { "confidence", required_argument, NULL, 'c' },
                                             { "steady", required_argument, NULL, 'y' },
                                             { "moves", required_argument, NULL, 'm' },
                                             { "fund", required_argument, NULL, 'f' },
                                             CLI_SOURCE_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(USAGE, stdout);
            return CLI_OK;
        }
        if (!read_option(command, option, optarg))
            return usage();
    }
    const char *what = optind < argc ? argv[optind] : "";
    command->subject = strcmp(what, "book") == 0        ? BOOK
                       : strcmp(what, "waterfall") == 0 ? WATERFALL : ACCOUNT;
    if (command->fund && command->subject != WATERFALL)
        return usage();
    if (command->subject != ACCOUNT)
        return optind + 1 == argc ? -1 : usage();
    if (strcmp(what, "account") != 0 || optind + 2 != argc)
        return usage();
    if (!pl_id_set(&command->account, argv[optind + 1], strlen(argv[optind + 1])))
        return -1;
    fprintf(stderr, "plimsoll risk: ID: %s\n", pl_err_text());
    return CLI_USAGE;
}

/* ---- the figures ---------------------------------------------------------------------------- */

static enum pl_err ask_account(const struct command *command, const struct bundle *bundle,
                               json_t **document)
{
    const struct pl_id *account = &command->account;
    struct moment moment;
    int32_t partition = pl_account_partition(account, bundle_partition_count(bundle));
    enum pl_err err = moment_open(&moment, bundle, partition, command->source.at,
                                  !command->source.directory);
    if (!err)
        err = risk_account(&moment, account, &command->options, document);
    moment_close(&moment);
    return err;
}

static enum pl_err ask(struct command *command, json_t **document)
{
    struct bundle *bundle = NULL;
    json_t *scenarios = NULL;
    bool is_one = command->subject == ACCOUNT;
    enum pl_err err = PL_OK;
    if (command->scenarios_path)
        err = risk_scenarios_load(command->scenarios_path, &scenarios);
    command->options.scenarios = scenarios;
    if (!err)
        err = cli_source_open(&command->source, is_one ? command->account.text : NULL, &bundle);
    if (!err && is_one)
        err = ask_account(command, bundle, document);
    else if (!err && command->subject == BOOK)
        err = risk_book(bundle, command->source.at, &command->options, document);
    else if (!err)
        err = risk_waterfall(bundle, command->source.at, command->fund, document);
    bundle_close(&bundle);
    json_decref(scenarios);
    return err;
}

int cli_risk(int argc, char **argv)
{
    static struct command command;
    json_t *document = NULL;
    cli_source_init(&command.source);
    command.options.confidence_ppm = CONFIDENCE_PPM;
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = ask(&command, &document);
    if (err)
        return err == PL_REJECT_UNKNOWN || err == PL_FATAL_DIVERGED
                   ? (cli_fail(err, "risk"), CLI_FINDING) : cli_fail(err, "risk");
    static void (*const prints[])(FILE *, const json_t *) = {
        [ACCOUNT] = risk_print_account, [BOOK] = risk_print_book,
        [WATERFALL] = risk_print_waterfall };
    if (command.source.is_json) {
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        prints[command.subject](stdout, document);
    }
    json_decref(document);
    return fflush(stdout) == 0 ? CLI_OK : CLI_ENVIRONMENT;
}
