/* SPDX-License-Identifier: Apache-2.0 */
/* The document of plimsoll what-if for people (what_if.h). */
#include <string.h>

#include "services/cli/explain.h"
#include "services/cli/risk.h"
#include "services/cli/what_if.h"

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "-";
}

static void print_plan(FILE *file, const json_t *plan)
{
    const json_t *leg;
    char quantity[EXPLAIN_NUMBER_BYTES], price[EXPLAIN_NUMBER_BYTES], end[EXPLAIN_NUMBER_BYTES];
    size_t i;
    if (!json_is_object(plan))
        return;
    json_array_foreach(json_object_get(plan, "legs"), i, leg)
        fprintf(file, "            would %s %s %s at %s or better\n", word(leg, "side"),
                explain_trimmed(word(leg, "quantity"), false, quantity), word(leg, "instrument"),
                explain_trimmed(word(leg, "limit_price"), false, price));
    fprintf(file, "            end excess after it %s USD%s\n",
            explain_trimmed(word(plan, "end_excess_after_usd"), false, end),
            json_is_true(json_object_get(plan, "bankrupt")) ? ": BANKRUPT" : "");
}

static void print_side(FILE *file, const char *head, const json_t *side)
{
    risk_print_verdict(file, head, json_object_get(side, "verdict"));
    fprintf(file, "            state would be %s\n", word(side, "state"));
    print_plan(file, json_object_get(side, "plan"));
}

void what_if_print(FILE *file, const json_t *document)
{
    const json_t *row, *journal = json_object_get(document, "journal");
    char time[WHEN_TIME_BYTES], before[EXPLAIN_NUMBER_BYTES], after[EXPLAIN_NUMBER_BYTES];
    size_t i;
    fprintf(file, "account     %s, partition %lld, entry %lld of %s\n", word(document, "account"),
            (long long)json_integer_value(json_object_get(document, "partition")),
            (long long)json_integer_value(json_object_get(journal, "sequence")),
            when_print_time(json_integer_value(json_object_get(journal, "clock_ms")), time));
    json_array_foreach(json_object_get(document, "changes"), i, row)
        fprintf(file, "what if     %s %s\n", word(row, "change"), word(row, "value"));
    print_side(file, "before", json_object_get(document, "before"));
    print_side(file, "after", json_object_get(document, "after"));
    json_array_foreach(json_object_get(document, "terms"), i, row)
        fprintf(file, "%-11s %-14s %-14s %24s -> %24s USD\n", i == 0 ? "terms" : "",
                word(row, "term"), word(row, "of"),
                explain_trimmed(word(row, "before_usd"), false, before),
                explain_trimmed(word(row, "after_usd"), false, after));
}
