/* SPDX-License-Identifier: Apache-2.0 */
/* Two parameter sets over one book (parameters_diff.h). */
#include "services/cli/parameters_diff.h"

#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/explain.h"
#include "services/cli/risk.h"

enum { ROWS_MAX = 4 * PL_INSTRUMENTS_MAX };

/* One charge, summed over accounts under both sets. */
struct charge {
    enum pl_term_kind kind;
    struct pl_id of;
    pl_i128 now[2], then[2]; /* initial, maintenance */
};

struct diff {
    struct pl_parameters candidate;
    struct pl_market market;
    struct pl_verdict now, then;
    struct pl_term terms[PL_TERMS_MAX];
    uint64_t epochs[2], account_count, changed_count;
    uint64_t standings[PL_STANDING_COUNT][PL_STANDING_COUNT];
    uint32_t charge_count;
    struct charge charges[ROWS_MAX];
    json_t *partitions, *changes;
};

static const char *standing_name(enum pl_standing standing)
{
    static const char *const names[PL_STANDING_COUNT] = { "whole", "alert", "initial", "end",
                                                          "maintenance", "uncertain",
                                                          "out_of_range" };
    return names[standing];
}

/* ---- the other set -------------------------------------------------------------------------- */

enum pl_err parameters_load(const char *path, uint8_t **bytes, size_t *size_bytes)
{
    json_error_t error;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return pl_err_set(PL_REJECT_MALFORMED, "%s:%d:%d: %s", path, error.line, error.column,
                          error.text);
    enum pl_err err = pl_json_encode(PL_TOPIC_PARAMETERS, json, bytes, size_bytes);
    json_decref(json);
    return err ? pl_err_note(err, "%s", path) : PL_OK;
}

/* The newest shadow set of the bundle; borrowed from it. */
static enum pl_err find_shadow(const struct bundle *bundle, struct pl_bytes_view *shadow)
{
    struct bundle_cursor cursor = { .stream = bundle_find(bundle, PL_TOPIC_PARAMETERS, 0) };
    struct pl_record record;
    bool found = true;
    enum pl_err err = PL_OK;
    *shadow = (struct pl_bytes_view){ NULL, 0 };
    while (!err && found) {
        err = bundle_next(&cursor, &record, &found);
        if (!err && found && record.key.size_bytes == 6 &&
            memcmp(record.key.data, "shadow", 6) == 0)
            *shadow = record.value;
    }
    if (!err && !shadow->data)
        err = pl_err_set(PL_REJECT_MISSING, "there is no shadow set: plimsoll parameters put --shadow "
                         "FILE, or name a file");
    return err;
}

/* ---- one account ---------------------------------------------------------------------------- */

static struct charge *charge_of(struct diff *diff, enum pl_term_kind kind, const struct pl_id *of)
{
    for (uint32_t i = 0; i < diff->charge_count; i++)
        if (diff->charges[i].kind == kind && pl_id_equal(&diff->charges[i].of, of))
            return &diff->charges[i];
    if (diff->charge_count == ROWS_MAX)
        return NULL;
    struct charge *charge = &diff->charges[diff->charge_count++];
    *charge = (struct charge){ .kind = kind, .of = *of };
    return charge;
}

static const struct pl_id *id_of(const struct pl_names *names,
                                 const struct pl_parameters *parameters, const struct pl_term *term)
{
    if (term->kind == PL_TERM_FACTOR)
        return &parameters->factors[term->index];
    return term->kind == PL_TERM_DEPENDENCY ? &parameters->dependencies[term->index]
                                            : &names->ids[term->index];
}

/* What the account is charged under one set, added to its sums; values are no charge. */
static enum pl_err add_charges(struct diff *diff, const struct pl_names *names,
                               const struct pl_market *market, const struct pl_portfolio *portfolio,
                               bool is_then)
{
    static const enum pl_tier tiers[2] = { PL_TIER_INITIAL, PL_TIER_MAINTENANCE };
    for (unsigned t = 0; t < 2; t++) {
        uint32_t count = pl_explain(market, portfolio, tiers[t], diff->terms, PL_TERMS_MAX);
        for (uint32_t i = 0; i < count; i++) {
            const struct pl_term *term = &diff->terms[i];
            if (term->kind == PL_TERM_VALUE)
                continue;
            struct charge *charge = charge_of(diff, term->kind,
                                              id_of(names, market->parameters, term));
            if (!charge)
                return pl_err_set(PL_REJECT_CAPACITY, "more than %d different charges", ROWS_MAX);
            *(is_then ? &charge->then[t] : &charge->now[t]) -= term->amount;
        }
    }
    return PL_OK;
}

static void add_change(struct diff *diff, const struct pl_id *account, enum pl_standing from,
                       enum pl_standing to)
{
    diff->account_count++;
    diff->standings[from][to]++;
    if (from == to)
        return;
    diff->changed_count++;
    json_array_append_new(
        diff->changes,
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "account", account->text, "from",
                  standing_name(from), "to", standing_name(to), "maintenance_excess_usd",
                  explain_bounds(&diff->now.excess[PL_TIER_MAINTENANCE], 18), "then_usd",
                  explain_bounds(&diff->then.excess[PL_TIER_MAINTENANCE], 18)));
}

static enum pl_err compare(struct diff *diff, const struct moment *moment, uint32_t row)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    const struct venue *venue = moment->venue;
    struct pl_portfolio portfolio;
    moment_portfolio(moment, row, legs, &portfolio);
    pl_verdict_of(venue->market, venue->names, &portfolio, &diff->now);
    pl_verdict_of(&diff->market, venue->names, &portfolio, &diff->then);
    add_change(diff, &pl_book_at(moment->ledger->book, row)->id, pl_standing_of(&diff->now),
               pl_standing_of(&diff->then));
    if (!pl_portfolio_is_certain(venue->market, &portfolio) ||
        !pl_portfolio_is_certain(&diff->market, &portfolio))
        return PL_OK;
    enum pl_err err = add_charges(diff, venue->names, venue->market, &portfolio, false);
    return err ? err : add_charges(diff, venue->names, &diff->market, &portfolio, true);
}

static enum pl_err compare_partition(struct diff *diff, const struct moment *moment,
                                     struct pl_bytes_view candidate)
{
    struct venue *venue = moment->venue;
    json_t *partition = risk_moment(moment);
    enum pl_err err = venue_draft(venue, venue->names, candidate, &diff->candidate);
    memset(&diff->market, 0, sizeof(diff->market)); /* another partition's */
    pl_market_inherit(&diff->market, venue->market);
    if (!err)
        pl_market_update(&diff->market, &diff->candidate, venue->marks, venue->market->now_ms);
    for (uint32_t row = 0; !err && row < pl_book_count(moment->ledger->book); row++)
        err = compare(diff, moment, row);
    diff->epochs[0] = venue->parameters->epoch;
    diff->epochs[1] = diff->candidate.epoch;
    json_object_set_new(partition, "partition", json_integer(moment->entry->partition));
    json_array_append_new(diff->partitions, partition);
    return err;
}

/* ---- the document --------------------------------------------------------------------------- */

static json_t *standing_facts(const struct diff *diff)
{
    json_t *array = json_array();
    for (enum pl_standing from = 0; from < PL_STANDING_COUNT; from++)
        for (enum pl_standing to = 0; to < PL_STANDING_COUNT; to++)
            if (diff->standings[from][to] > 0)
                json_array_append_new(array,
                                      json_pack("{s:s, s:s, s:I}", "from", standing_name(from),
                                                "to", standing_name(to), "accounts",
                                                (json_int_t)diff->standings[from][to]));
    return array;
}

static int by_change(const void *left, const void *right)
{
    const struct charge *a = left, *b = right;
    pl_i128 change_a = pl_abs(a->then[1] - a->now[1]), change_b = pl_abs(b->then[1] - b->now[1]);
    if (change_a != change_b)
        return change_a > change_b ? -1 : 1;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : pl_id_compare(&a->of, &b->of);
}

static json_t *charge_facts(struct diff *diff)
{
    json_t *array = json_array();
    qsort(diff->charges, diff->charge_count, sizeof(diff->charges[0]), by_change);
    for (uint32_t i = 0; i < diff->charge_count; i++) {
        const struct charge *charge = &diff->charges[i];
        if (charge->now[0] == charge->then[0] && charge->now[1] == charge->then[1])
            continue;
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "term",
                             explain_term_name(charge->kind), "of", charge->of.text, "initial_usd",
                             explain_decimal(charge->now[0], 18), "initial_then_usd",
                             explain_decimal(charge->then[0], 18), "maintenance_usd",
                             explain_decimal(charge->now[1], 18), "maintenance_then_usd",
                             explain_decimal(charge->then[1], 18)));
    }
    return array;
}

static int by_account(const void *left, const void *right)
{
    return strcmp(json_string_value(json_object_get(*(json_t *const *)left, "account")),
                  json_string_value(json_object_get(*(json_t *const *)right, "account")));
}

/* Partitions are read one after another; names are found by their order. */
static json_t *sorted_changes(const json_t *changes)
{
    size_t count = json_array_size(changes);
    json_t *sorted = json_array();
    json_t **rows = malloc(sizeof(json_t *) * (count + 1));
    for (size_t i = 0; rows && i < count; i++)
        rows[i] = json_array_get(changes, i);
    if (rows)
        qsort(rows, count, sizeof(json_t *), by_account);
    for (size_t i = 0; rows && i < count; i++)
        json_array_append(sorted, rows[i]);
    free(rows);
    return sorted;
}

static json_t *document_of(struct diff *diff, const char *name)
{
    return json_pack("{s:O, s:{s:I, s:s}, s:{s:I, s:s}, s:I, s:I, s:o, s:o, s:o}", "partitions",
                     diff->partitions, "from", "epoch", (json_int_t)diff->epochs[0], "of",
                     "effective", "to", "epoch", (json_int_t)diff->epochs[1], "of", name,
                     "accounts", (json_int_t)diff->account_count, "changed",
                     (json_int_t)diff->changed_count, "standings", standing_facts(diff), "changes",
                     sorted_changes(diff->changes), "requirements", charge_facts(diff));
}

enum pl_err parameters_diff(const struct bundle *bundle, struct when at,
                            struct pl_bytes_view candidate, const char *name, json_t **document)
{
    void *block = NULL;
    enum pl_err err = candidate.data ? PL_OK : find_shadow(bundle, &candidate);
    if (!err)
        err = pl_memory_map(sizeof(struct diff), &block);
    if (err)
        return err;
    struct diff *diff = block;
    diff->partitions = json_array();
    diff->changes = json_array();
    for (int32_t p = 0; !err && p < bundle_partition_count(bundle); p++) {
        struct moment moment;
        err = moment_open(&moment, bundle, p, at, false);
        if (!err)
            err = compare_partition(diff, &moment, candidate);
        moment_close(&moment);
    }
    if (!err)
        *document = document_of(diff, name);
    json_decref(diff->partitions);
    json_decref(diff->changes);
    pl_memory_unmap(block, sizeof(struct diff));
    return err;
}

/* ---- text ----------------------------------------------------------------------------------- */

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "between bounds";
}

static long long whole(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static const char *number(const json_t *object, const char *field)
{
    static char texts[4][EXPLAIN_NUMBER_BYTES];
    static unsigned at;
    at = (at + 1) % 4;
    return explain_trimmed(word(object, field), false, texts[at]);
}

void parameters_diff_print(FILE *file, const json_t *document)
{
    const json_t *row, *to = json_object_get(document, "to");
    size_t i;
    fprintf(file, "from epoch %lld to epoch %lld (%s): %lld of %lld accounts would stand "
            "elsewhere\n", whole(json_object_get(document, "from"), "epoch"), whole(to, "epoch"),
            word(to, "of"), whole(document, "changed"), whole(document, "accounts"));
    fprintf(file, "%-14s %-14s %10s\n", "stand now", "would stand", "accounts");
    json_array_foreach(json_object_get(document, "standings"), i, row)
        fprintf(file, "%-14s %-14s %10lld\n", word(row, "from"), word(row, "to"),
                whole(row, "accounts"));
    json_array_foreach(json_object_get(document, "changes"), i, row)
        fprintf(file, "%s%-24s %-12s -> %-12s maintenance excess %s -> %s USD\n",
                i == 0 ? "accounts\n" : "", word(row, "account"), word(row, "from"),
                word(row, "to"), number(row, "maintenance_excess_usd"), number(row, "then_usd"));
    json_array_foreach(json_object_get(document, "requirements"), i, row)
        fprintf(file, "%s%-14s %-14s maintenance %s -> %s, initial %s -> %s USD\n",
                i == 0 ? "requirements\n" : "", word(row, "term"), word(row, "of"),
                number(row, "maintenance_usd"), number(row, "maintenance_then_usd"),
                number(row, "initial_usd"), number(row, "initial_then_usd"));
}
