/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of plimsoll risk for people (risk.h). Says what they say and nothing else. */
#include <string.h>

#include "services/cli/explain.h"
#include "services/cli/risk.h"

enum { TEXTS = 8 };

/* Some texts at once, for one printf: each lives until TEXTS more are made. */
static char *next_text(void)
{
    static char texts[TEXTS][EXPLAIN_NUMBER_BYTES];
    static unsigned at;
    at = (at + 1) % TEXTS;
    return texts[at];
}

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "-";
}

static long long whole(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

/* An amount, or between which two it is. */
static const char *number(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    if (json_is_object(value))
        return explain_trimmed(word(value, "at_worst"), false, next_text());
    return explain_trimmed(word(object, field), false, next_text());
}

/* "9.4736" of 94736 ppm. */
static const char *percent(long long ppm, bool with_sign)
{
    char decimal[64];
    pl_decimal_print(ppm, 4, decimal);
    return explain_trimmed(decimal, with_sign, next_text());
}

static void print_journal(FILE *file, const json_t *journal)
{
    fprintf(file, "entry %lld (offset %lld) of %s, parameters %lld", whole(journal, "sequence"),
            whole(journal, "offset"), when_print_time(whole(journal, "clock_ms"), next_text()),
            whole(journal, "parameter_epoch"));
}

/* ---- account -------------------------------------------------------------------------------- */

void risk_print_verdict(FILE *file, const char *head, const json_t *verdict)
{
    static const char *const tiers[] = { "alert", "initial", "end", "maintenance" };
    const json_t *excess = json_object_get(verdict, "excess_usd"), *doubt;
    size_t i;
    fprintf(file, "%-11s %s%s: equity %s USD, gross %s USD\n", head, word(verdict, "certainty"),
            strcmp(word(verdict, "certainty"), "certain") == 0 ? "" : " (at worst)",
            number(verdict, "equity_usd"), number(verdict, "gross_usd"));
    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
        fprintf(file, "            %-12s %24s USD\n", tiers[i], number(excess, tiers[i]));
    json_array_foreach(json_object_get(verdict, "doubts"), i, doubt)
        fprintf(file, "in doubt    %s: %s\n", word(doubt, "of"), word(doubt, "reason"));
}

static void print_distance(FILE *file, const json_t *distance)
{
    static const char *const said[][2] = {
        { "down", "all prices fall" }, { "up", "all prices rise" },
        { "against", "each against the account" } };
    bool is_in_sigma = json_is_string(json_object_get(distance, "distance_sigma"));
    const char *direction = word(distance, "direction"), *kind = word(distance, "kind");
    const char *far = is_in_sigma ? number(distance, "distance_sigma")
                                  : percent(whole(distance, "distance_ppm"), false);
    const char *unit = is_in_sigma ? "sigma" : "%";
    const json_t *move;
    size_t i;
    for (i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        if (strcmp(direction, said[i][0]) == 0)
            fprintf(file, "  %-26s", said[i][1]);
    if (strcmp(kind, "below") == 0)
        fputs("below already", file);
    else if (strcmp(kind, "never") == 0)
        fprintf(file, "not within %s %s", far, unit);
    else if (strcmp(kind, "unknown") == 0)
        fprintf(file, "out of the exact range beyond %s %s", far, unit);
    else
        fprintf(file, "%s %s, where the excess is %s USD", far, unit,
                number(distance, "excess_usd"));
    if (strcmp(kind, "reached") == 0)
        json_array_foreach(json_object_get(distance, "moves"), i, move)
            fprintf(file, "%s%s %s %%", i == 0 ? ": " : ", ", word(move, "instrument"),
                    percent(whole(move, "move_ppm"), true));
    fputc('\n', file);
}

static void print_tail(FILE *file, const json_t *tail)
{
    const json_t *worst = json_object_get(tail, "worst");
    if (!json_is_object(tail))
        return;
    fprintf(file, "scenarios   %lld: PFE %s USD and ES %s USD at %s %% (%lld largest), %lld below\n",
            whole(tail, "scenarios"), number(tail, "pfe_usd"), number(tail, "es_usd"),
            percent(whole(tail, "confidence_ppm"), false), whole(tail, "rank"),
            whole(tail, "below"));
    fprintf(file, "            deviation %s USD", number(tail, "deviation_usd"));
    if (json_is_string(json_object_get(tail, "distance_sigma")))
        fprintf(file, ", the line is %s deviations away", number(tail, "distance_sigma"));
    fprintf(file, "\n            worst %s: loss %s USD, maintenance excess %s USD\n",
            word(worst, "scenario"), number(worst, "loss_usd"), number(worst, "excess_usd"));
}

static void print_term(FILE *file, const char *head, const json_t *term)
{
    const json_t *row, *step;
    size_t i, k;
    if (!json_is_object(term))
        return;
    fprintf(file, "%-11s %s of %s: %s USD\n", head, word(term, "term"), word(term, "of"),
            number(term, "excess_usd"));
    json_array_foreach(json_object_get(term, "paths"), i, row) {
        fprintf(file, "%12s%s", "", word(row, "instrument"));
        json_array_foreach(json_object_get(row, "path"), k, step)
            fprintf(file, " > %s", json_string_value(step));
        fprintf(file, "  %s %%\n", percent(whole(row, "loss_ppm"), false));
    }
}

void risk_print_account(FILE *file, const json_t *document)
{
    const json_t *row;
    const char *nearest = json_string_value(json_object_get(document, "nearest"));
    size_t i;
    fprintf(file, "account     %s, partition %lld, ", word(document, "account"),
            whole(document, "partition"));
    print_journal(file, json_object_get(document, "journal"));
    fputc('\n', file);
    risk_print_verdict(file, "verdict", json_object_get(document, "verdict"));
    fprintf(file, "distance    to a maintenance excess below 0%s%s:\n",
            nearest ? ", nearer when the market goes " : "", nearest ? nearest : "");
    json_array_foreach(json_object_get(document, "distances"), i, row)
        print_distance(file, row);
    json_array_foreach(json_object_get(document, "steady"), i, row)
        fprintf(file, "%s%s", i == 0 ? "  standing still: " : ", ", json_string_value(row));
    if (json_array_size(json_object_get(document, "steady")) > 0)
        fputc('\n', file);
    fprintf(file, "prices      %-12s %14s %10s %22s %22s\n", "", "price", "% a day",
            "excess at +1 %", "excess at -1 %");
    json_array_foreach(json_object_get(document, "prices"), i, row)
        fprintf(file, "            %-12s %14s %10s %22s %22s\n", word(row, "instrument"),
                number(row, "price"), percent(whole(row, "volatility_ppm"), false),
                number(row, "excess_up_usd"), number(row, "excess_down_usd"));
    print_term(file, "worst term", json_object_get(document, "worst_term"));
    print_term(file, "dependency", json_object_get(document, "worst_dependency"));
    const json_t *netting = json_object_get(document, "netting");
    if (json_is_integer(json_object_get(netting, "efficiency_ppm")))
        fprintf(file, "netting     %s USD are required, %s leg by leg: %s %% are spared\n",
                number(netting, "requirement_usd"), number(netting, "gross_requirement_usd"),
                percent(whole(netting, "efficiency_ppm"), false));
    print_tail(file, json_object_get(document, "tail"));
}

/* ---- book ----------------------------------------------------------------------------------- */

static void print_group(FILE *file, const char *head, const json_t *group, bool has_loss)
{
    const json_t *row;
    size_t i;
    if (json_array_size(group) == 0)
        return;
    fprintf(file, "%-16s %20s %20s %8s %8s %8s%s\n", head, "long USD", "short USD", "holders",
            "top %", "top 10 %", has_loss ? "         loss if it fails USD" : "");
    json_array_foreach(group, i, row) {
        fprintf(file, "  %-14s %20s %20s %8lld %8s %8s", word(row, "of"), number(row, "long_usd"),
                number(row, "short_usd"), whole(row, "holders"),
                percent(whole(row, "top_1_ppm"), false), percent(whole(row, "top_10_ppm"), false));
        if (has_loss)
            fprintf(file, " %28s", number(row, "loss_usd"));
        fputc('\n', file);
    }
}

static void print_partitions(FILE *file, const json_t *document)
{
    const json_t *row;
    size_t i;
    fprintf(file, "book        %lld accounts\n", whole(document, "accounts"));
    json_array_foreach(json_object_get(document, "partitions"), i, row) {
        fprintf(file, "  partition %lld: ", whole(row, "partition"));
        print_journal(file, row);
        fputc('\n', file);
    }
}

void risk_print_book(FILE *file, const json_t *document)
{
    const json_t *row;
    size_t i;
    print_partitions(file, document);
    fprintf(file, "%-16s %8s %9s %8s %8s %20s %20s %20s\n", "market", "below", "uncertain",
            "bankrupt", "in debt", "sold USD", "lacking USD", "bad debt USD");
    json_array_foreach(json_object_get(document, "moves"), i, row) {
        const char *scenario = json_string_value(json_object_get(row, "scenario"));
        char *move = next_text();
        snprintf(move, EXPLAIN_NUMBER_BYTES, "%.16s %%", percent(whole(row, "move_ppm"), true));
        fprintf(file, "  %-14s %8lld %9lld %8lld %8lld %20s %20s %20s\n",
                scenario ? scenario : move, whole(row, "below"), whole(row, "uncertain"),
                whole(row, "bankrupt"), whole(row, "in_debt"), number(row, "sold_usd"),
                number(row, "lacking_usd"), number(row, "bad_debt_usd"));
    }
    print_group(file, "asset", json_object_get(document, "assets"), false);
    print_group(file, "chain", json_object_get(document, "chains"), false);
    print_group(file, "bridge", json_object_get(document, "bridges"), false);
    print_group(file, "dependency", json_object_get(document, "dependencies"), true);
}

/* ---- waterfall ------------------------------------------------------------------------------ */

static void print_queue(FILE *file, const json_t *queue)
{
    const json_t *row;
    size_t i;
    fprintf(file, "%s %s\n", word(queue, "side"), word(queue, "instrument"));
    json_array_foreach(json_object_get(queue, "winners"), i, row) {
        bool is_charged = strspn(word(row, "charge_usd"), "0.") != strlen(word(row, "charge_usd"));
        if (i >= PL_HOLDERS_MAX && !is_charged)
            continue;
        fprintf(file, "  %-20s %16s %20s %20s", word(row, "account"), number(row, "score"),
                number(row, "quantity"), number(row, "profit_usd"));
        if (is_charged)
            fprintf(file, "   closes %s, gives up %s USD", number(row, "closed"),
                    number(row, "charge_usd"));
        fputc('\n', file);
    }
}

void risk_print_waterfall(FILE *file, const json_t *document)
{
    const json_t *row, *insurance = json_object_get(document, "insurance");
    size_t i;
    print_partitions(file, document);
    fprintf(file, "%-20s %20s %20s %20s %20s %20s\n", "bad debt", "USD", "insured", "deleveraged",
            "socialised", "unborne");
    json_array_foreach(json_object_get(document, "debts"), i, row)
        fprintf(file, "  %-18s %20s %20s %20s %20s %20s\n", word(row, "account"),
                number(row, "debt_usd"), number(row, "insured_usd"),
                number(row, "deleveraged_usd"), number(row, "socialised_usd"),
                number(row, "unborne_usd"));
    if (whole(document, "waiting") > 0)
        fprintf(file, "%lld more accounts lack %s USD and are still being sold\n",
                whole(document, "waiting"), number(document, "waiting_usd"));
    if (json_is_string(json_object_get(insurance, "account")))
        fprintf(file, "insurance   %s has %s USD and pays %s\n", word(insurance, "account"),
                number(insurance, "equity_usd"), number(insurance, "paid_usd"));
    if (json_array_size(json_object_get(document, "queues")) > 0)
        fprintf(file, "%-22s %16s %20s %20s\n", "deleveraging", "score", "quantity", "profit USD");
    json_array_foreach(json_object_get(document, "queues"), i, row)
        print_queue(file, row);
    if (json_array_size(json_object_get(document, "socialised")) > 0)
        fprintf(file, "%-22s %37s\n", "socialised", "share USD");
    json_array_foreach(json_object_get(document, "socialised"), i, row)
        fprintf(file, "  %-20s %37s\n", word(row, "account"), number(row, "share_usd"));
}
