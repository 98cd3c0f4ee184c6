/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll optimise: the cheapest ways in which an account reaches a target, and the most that it
 * may take out. The account is rebuilt as plimsoll explain does it, from a bundle or from what Kafka
 * has of the moment; nothing is ever written to Kafka.
 */
#include <string.h>

#include "services/cli/explain.h"
#include "services/cli/source.h"

static const char USAGE[] =
    "usage: plimsoll optimise ACCOUNT [--target TARGET] [--at WHEN] [--bundle DIRECTORY] [--json]\n"
    "                         [OPTIONS]\n"
    "  What ACCOUNT could do, each by itself, to reach the target, cheapest first: bring in, buy\n"
    "  back, sell, or sell one leg for another's debt; the cheapest trades of several legs together,\n"
    "  with a proof of how cheap it can be at all; and the most that it may take out of each\n"
    "  asset. Exact: one lot less does not reach it, one lot more may not be taken out.\n"
    "  --target TARGET       initial (default), alert, end or maintenance: that margin is whole; or\n"
    "                        a health factor from 1 to 100 with up to six decimals, as 1.25\n"
    CLI_SOURCE_USAGE
    "  Exit status: 0 done, 1 the account was unknown or in doubt, or nothing reaches the target,\n"
    "  2 usage, 3 environment.\n";

struct command {
    struct cli_source source;
    struct explain_question question;
    struct pl_goal goal;
};

/* ---- options -------------------------------------------------------------------------------- */

/* "1.25" to parts per million, without a float. */
static bool read_health(const char *text, int32_t *ppm)
{
    int64_t number = 0, unit = PL_PPM;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3)
        return false;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    number *= PL_PPM;
    if (text[digits] == '.') {
        size_t decimals = strspn(text + digits + 1, "0123456789");
        if (decimals == 0 || decimals > 6)
            return false;
        for (size_t i = 0; i < decimals; i++)
            number += (text[digits + 1 + i] - '0') * (unit /= 10);
        digits += 1 + decimals;
    }
    *ppm = (int32_t)number;
    return text[digits] == '\0' && number >= PL_PPM && number <= 100 * (int64_t)PL_PPM;
}

static bool read_target(const char *text, struct pl_goal *goal)
{
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        *goal = (struct pl_goal){ .tier = tier };
        if (strcmp(text, explain_tier_name(tier)) == 0)
            return true;
    }
    if (read_health(text, &goal->health_ppm))
        return true;
    fprintf(stderr, "plimsoll optimise: --target: \"%s\" is neither a tier nor a health factor\n",
            text);
    return false;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    if (option == 't')
        return read_target(argument, &command->goal);
    return cli_source_option(&command->source, option, argument, "optimise");
}

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "target", required_argument, NULL, 't' },
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
    if (!pl_id_set(&command->question.account, argv[optind], strlen(argv[optind])))
        return -1;
    fprintf(stderr, "plimsoll optimise: ACCOUNT: %s\n", pl_err_text());
    return CLI_USAGE;
}

/* ---- printing ------------------------------------------------------------------------------- */

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

/* A decimal without the zeros that say nothing; some at once for one printf. */
static const char *number(const json_t *object, const char *field)
{
    static char texts[8][EXPLAIN_NUMBER_BYTES];
    static unsigned at;
    at = (at + 1) % 8;
    return explain_trimmed(word(object, field), false, texts[at]);
}

static void print_cure(const json_t *cure)
{
    const char *kind = word(cure, "kind"), *of = word(cure, "instrument");
    if (!json_is_string(json_object_get(cure, "quantity")))
        printf("  bring in %s USD\n", number(cure, "cost_usd"));
    else if (strcmp(kind, "add") == 0)
        printf("  bring in %s %s, worth %s USD\n", number(cure, "quantity"), of,
               number(cure, "cost_usd"));
    else if (strcmp(kind, "swap") == 0)
        printf("  sell %s %s at %s and buy back %s %s at %s, which costs %s USD\n",
               number(cure, "sold_quantity"), word(cure, "sold"), number(cure, "sold_price"),
               number(cure, "quantity"), of, number(cure, "price"), number(cure, "cost_usd"));
    else
        printf("  %s %s %s at %s, which costs %s USD\n",
               strcmp(kind, "repay") == 0 ? "buy back" : "sell", number(cure, "quantity"), of,
               number(cure, "price"), number(cure, "cost_usd"));
}

static void print_together(const json_t *together)
{
    const json_t *leg;
    size_t i;
    if (!json_is_object(together))
        return;
    printf("  together, at least cost:\n");
    json_array_foreach(json_object_get(together, "legs"), i, leg)
        printf("    %s %s %s at %s\n", strcmp(word(leg, "side"), "buy") == 0 ? "buy back" : "sell",
               number(leg, "quantity"), word(leg, "instrument"), number(leg, "price"));
    printf("    which costs %s USD; no trades that reach it cost less than %s USD\n",
           number(together, "cost_usd"), number(together, "cost_bound_usd"));
}

static void print_text(const json_t *document)
{
    static const char *const kinds[] = { "top_up", "repay", "reduce", "swap" };
    const json_t *optimise = json_object_get(document, "optimise"), *row;
    const json_t *reached = json_object_get(optimise, "reached");
    size_t i;
    if (!json_is_boolean(reached)) {
        printf("%s\nNothing exact can be said.\n", word(document, "answer"));
        return;
    }
    printf("%s: target %s %s\n", word(document, "account"), word(optimise, "goal"),
           json_is_true(reached) ? "is reached" : "is not reached; each of these by itself does");
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        json_array_foreach(json_object_get(optimise, kinds[k]), i, row)
            print_cure(row);
    print_together(json_object_get(optimise, "together"));
    json_array_foreach(json_object_get(optimise, "withdrawals"), i, row)
        printf("  %s %s may be taken out, worth %s USD\n", number(row, "quantity"),
               word(row, "instrument"), number(row, "value_usd"));
}

static json_t *answer_of(const json_t *document)
{
    static const char *const fields[] = { "account", "journal", "optimise" };
    json_t *answer = json_object();
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        json_object_set(answer, fields[i], json_object_get(document, fields[i]));
    return answer;
}

/* Whether there is an answer: the target is reached, or something reaches it. */
static bool is_answered(const json_t *document)
{
    const json_t *optimise = json_object_get(document, "optimise");
    return json_is_true(json_object_get(optimise, "reached")) ||
           json_array_size(json_object_get(optimise, "top_up")) > 0 ||
           json_array_size(json_object_get(optimise, "repay")) > 0 ||
           json_array_size(json_object_get(optimise, "reduce")) > 0 ||
           json_array_size(json_object_get(optimise, "swap")) > 0 ||
           json_is_object(json_object_get(optimise, "together"));
}

static int print(const struct command *command, const json_t *document)
{
    if (command->source.is_json) {
        json_t *answer = answer_of(document);
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(answer);
    } else {
        print_text(document);
    }
    if (fflush(stdout) != 0)
        return CLI_ENVIRONMENT;
    return is_answered(document) ? CLI_OK : CLI_FINDING;
}

int cli_optimise(int argc, char **argv)
{
    static struct command command = { .goal = { .tier = PL_TIER_INITIAL } };
    json_t *document = NULL;
    cli_source_init(&command.source);
    command.question.goal = &command.goal;
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = explain_ask(&command.source, &command.question, &document);
    status = err ? cli_fail(err, "optimise") : print(&command, document);
    json_decref(document);
    return err == PL_FATAL_DIVERGED ? CLI_FINDING : status;
}
