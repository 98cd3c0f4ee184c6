/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll evaluate FILE: the exposure library without Kafka. Reads records as newline-delimited JSON,
 *
 *   {"topic": "parameters", "value": {…}}       the schemas' JSON form
 *
 * applies them by the very decoders and functions that the services use, evaluates every account and
 * prints one JSON line each. Understood are parameters, prices, marks, positions, holdings, chains and
 * accounts. The clock is --at, or the newest event time in the file, so that the same file always
 * gives the same answer.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/price/peg.h"
#include "services/cli/cli.h"
#include "services/cli/derived.h"
#include "services/cli/explain.h"
#include "services/position/store.h"

enum { ACCOUNTS_MAX = 1 << 20, CHAINS_MAX = 256, TERMS_MAX = 1024, WORST_TERMS = 5 };
static const size_t VALUES_BYTES = (size_t)4 << 30; /* address space */

struct evaluation {
    struct pl_wire *wire;
    struct pl_names *names;
    struct pl_parameters *parameters, *spare;
    bool has_parameters, has_clock;
    struct pl_aggregate *aggregates; /* by instrument */
    struct pl_pegs *pegs;
    struct pl_mark *marks;
    struct pl_option_grid *grids; /* of marks, by instrument */
    struct pl_market *market;
    struct store *store; /* the position service's state */
    struct pl_book *book;
    struct pl_record_holdings *record;
    struct pl_position_event *event;
    struct pl_holdings *holdings;
    uint32_t chain_count;
    struct pl_chain_status chains[CHAINS_MAX];
    uint32_t halt_count;
    struct pl_chain_halt halts[PL_CHAIN_HALTS_MAX];
    int64_t now_ms;
};

/* ---- records -------------------------------------------------------------------------------- */

static void see_time(struct evaluation *evaluation, int64_t time_ms)
{
    if (!evaluation->has_clock && time_ms > evaluation->now_ms)
        evaluation->now_ms = time_ms;
}

static enum pl_err apply_parameters(struct evaluation *evaluation, struct pl_bytes_view value)
{
    enum pl_err err = pl_wire_parameters_decode(evaluation->wire, evaluation->names, value,
                                                evaluation->spare);
    if (!err && evaluation->has_parameters)
        err = pl_parameters_follow(evaluation->parameters, evaluation->spare,
                                   evaluation->names);
    if (err)
        return err;
    struct pl_parameters *accepted = evaluation->spare;
    evaluation->spare = evaluation->parameters;
    evaluation->parameters = accepted;
    evaluation->has_parameters = true;
    pl_pegs_follow(evaluation->pegs, accepted);
    return PL_OK;
}

/* A mark that is new moves the marks of what is pegged to it. */
static void move_pegs(struct evaluation *evaluation, uint32_t index, int64_t time_ms)
{
    uint32_t moved[PL_PEGS_MAX];
    uint32_t count = pl_pegs_see(evaluation->pegs, evaluation->parameters, index,
                                 &evaluation->marks[index], time_ms, moved);
    for (uint32_t i = 0; i < count; i++) {
        struct pl_aggregate *aggregate = &evaluation->aggregates[moved[i]];
        if (pl_peg_mark(evaluation->pegs, evaluation->parameters, moved[i], aggregate, time_ms,
                        false))
            evaluation->marks[moved[i]] = aggregate->mark;
    }
}

static enum pl_err apply_price(struct evaluation *evaluation, struct pl_bytes_view key,
                               struct pl_bytes_view value)
{
    struct pl_price price;
    uint32_t index = 0;
    enum pl_err err = pl_wire_price_decode(evaluation->wire, key, value, &price);
    if (!err)
        err = pl_names_intern(evaluation->names, &price.instrument, &index);
    if (!err && evaluation->parameters->instruments[index].peg.is_present)
        err = pl_err_set(PL_REJECT_CONFLICT, "%s is pegged: quote the peg's inputs",
                         price.instrument.text);
    if (err)
        return err;
    see_time(evaluation, price.event_time_ms);
    struct pl_aggregate *aggregate = &evaluation->aggregates[index];
    const struct pl_instrument *rules = &evaluation->parameters->instruments[index];
    enum pl_drop drop = pl_aggregate_quote(aggregate, rules, &price, price.event_time_ms,
                                           price.source_sequence, 0);
    if (drop != PL_DROP_NONE)
        fprintf(stderr, "plimsoll evaluate: a quote of %s by %s is dropped: %s\n",
                price.instrument.text, price.source.text, pl_drop_name(drop));
    if (pl_aggregate_mark(aggregate, rules, price.event_time_ms, true)) {
        evaluation->marks[index] = aggregate->mark;
        move_pegs(evaluation, index, price.event_time_ms);
    }
    return PL_OK;
}

static enum pl_err apply_mark(struct evaluation *evaluation, struct pl_bytes_view key,
                              struct pl_bytes_view value)
{
    struct pl_mark mark;
    uint32_t index = 0;
    enum pl_err err = pl_wire_mark_decode(evaluation->wire, evaluation->names, key, value, &index,
                                          &mark);
    if (err)
        return err;
    see_time(evaluation, mark.event_time_ms);
    if (!pl_mark_is_newer(&mark, &evaluation->marks[index]))
        return PL_OK;
    if (mark.grid) {
        evaluation->grids[index] = *mark.grid;
        mark.grid = &evaluation->grids[index];
    }
    evaluation->marks[index] = mark;
    move_pegs(evaluation, index, mark.event_time_ms);
    return PL_OK;
}

static enum pl_err apply_position(struct evaluation *evaluation, struct pl_bytes_view key,
                                  struct pl_bytes_view value)
{
    struct pl_position_event *event = evaluation->event;
    struct pl_record_holdings *record = evaluation->record;
    uint32_t row = 0;
    enum pl_err err = pl_wire_position_decode(evaluation->wire, key, value, event);
    if (err)
        return err;
    see_time(evaluation, event->event_time_ms);
    if (store_find(evaluation->store, &event->account, &row)) {
        key = (struct pl_bytes_view){ (const uint8_t *)event->account.text,
                                      event->account.size_bytes };
        err = pl_wire_record_decode(evaluation->wire, key, store_at(evaluation->store, row), record);
        if (err)
            return err;
    } else {
        memset(record, 0, sizeof(*record));
        record->account = event->account;
    }
    err = pl_record_apply(record, event);
    if (!err)
        err = pl_record_convert(record, evaluation->names, evaluation->parameters, NULL, 0);
    if (err)
        return err;
    record->version++;
    err = pl_wire_record_encode(evaluation->wire, record, &value);
    return err ? err : store_put(evaluation->store, &event->account, value);
}

static enum pl_err apply_holdings(struct evaluation *evaluation, struct pl_bytes_view key,
                                  struct pl_bytes_view value)
{
    struct pl_record_holdings *record = evaluation->record;
    enum pl_err err = pl_wire_record_decode(evaluation->wire, key, value, record);
    if (!err) /* a person writes amounts; lots are ours to derive */
        err = pl_record_convert(record, evaluation->names, evaluation->parameters, NULL, 0);
    if (!err)
        err = pl_wire_record_encode(evaluation->wire, record, &value);
    return err ? err : store_put(evaluation->store, &record->account, value);
}

static enum pl_err apply_chain(struct evaluation *evaluation, struct pl_bytes_view key,
                               struct pl_bytes_view value)
{
    if (evaluation->chain_count == CHAINS_MAX)
        return pl_err_set(PL_REJECT_CAPACITY, "more than %d chain records", CHAINS_MAX);
    struct pl_chain_status *status = &evaluation->chains[evaluation->chain_count++];
    enum pl_err err = pl_wire_chain_decode(evaluation->wire, key, value, status);
    return err ? err : pl_chain_halts_set(status, evaluation->halts, &evaluation->halt_count);
}

static enum pl_err apply_account(struct evaluation *evaluation, struct pl_bytes_view key,
                                 struct pl_bytes_view value)
{
    static struct pl_account_state state;
    struct pl_id account;
    uint32_t row = 0;
    enum pl_err err = pl_wire_key_account(key, &account);
    if (!err)
        err = pl_wire_state_decode(evaluation->wire, evaluation->names, key, value, &state);
    if (!err)
        err = pl_book_account(evaluation->book, &account, &row);
    return err ? err : pl_book_set_state(evaluation->book, row, &state, (struct pl_digest){0});
}

static enum pl_err apply(struct evaluation *evaluation, enum pl_topic topic,
                         struct pl_bytes_view key, struct pl_bytes_view value)
{
    if (topic == PL_TOPIC_PARAMETERS)
        return apply_parameters(evaluation, value);
    if (!evaluation->has_parameters)
        return pl_err_set(PL_REJECT_CONFLICT, "no parameters yet: put a line with \"topic\": "
                          "\"parameters\" before this one");
    if (topic == PL_TOPIC_PRICES)
        return apply_price(evaluation, key, value);
    if (topic == PL_TOPIC_MARKS)
        return apply_mark(evaluation, key, value);
    if (topic == PL_TOPIC_POSITIONS)
        return apply_position(evaluation, key, value);
    if (topic == PL_TOPIC_HOLDINGS)
        return apply_holdings(evaluation, key, value);
    if (topic == PL_TOPIC_CHAINS)
        return apply_chain(evaluation, key, value);
    if (topic == PL_TOPIC_ACCOUNTS)
        return apply_account(evaluation, key, value);
    return pl_err_set(PL_REJECT_UNKNOWN, "topic %s has no place in an evaluation: use parameters, "
                      "prices, marks, positions, holdings, chains or accounts",
                      pl_topic_word(topic));
}

/* The key is the id that the value names; a line need not repeat it. */
static const char *key_of(enum pl_topic topic, const json_t *line, const json_t *value,
                          char room[2 * PL_ID_BYTES_MAX])
{
    bool is_price = topic == PL_TOPIC_PRICES || topic == PL_TOPIC_MARKS;
    const char *field = is_price ? "instrument" : topic == PL_TOPIC_CHAINS ? "chain" : "account";
    const char *key = json_string_value(json_object_get(line, "key"));
    const char *id = json_string_value(json_object_get(value, field));
    const char *bucket = json_string_value(json_object_get(value, "bucket"));
    if (key || !id || !bucket || !*bucket || topic == PL_TOPIC_POSITIONS)
        return key ? key : id;
    snprintf(room, 2 * PL_ID_BYTES_MAX, "%s~%s", id, bucket); /* too long an id is refused as a key */
    return room;
}

static enum pl_err apply_json(struct evaluation *evaluation, const json_t *line)
{
    enum pl_topic topic = PL_TOPIC_COUNT;
    const char *word = json_string_value(json_object_get(line, "topic"));
    const json_t *value = json_object_get(line, "value");
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (!word || !value)
        return pl_err_set(PL_REJECT_MISSING, "a line is an object with \"topic\" and \"value\"");
    if (!pl_topic_from_word(word, &topic))
        return pl_err_set(PL_REJECT_UNKNOWN, "field topic: no topic is called \"%s\"", word);
    enum pl_err err = pl_json_encode(topic, value, &bytes, &size_bytes);
    if (err)
        return err;
    char room[2 * PL_ID_BYTES_MAX];
    const char *key = key_of(topic, line, value, room);
    const struct pl_bytes_view key_view = { (const uint8_t *)key, key ? strlen(key) : 0 };
    err = apply(evaluation, topic, key_view, (struct pl_bytes_view){ bytes, size_bytes });
    free(bytes);
    pl_wire_reset(evaluation->wire);
    return err;
}

static int read_file(struct evaluation *evaluation, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (!file) {
        fprintf(stderr, "plimsoll evaluate: %s: %s\n", name, strerror(errno));
        return CLI_USAGE;
    }
    char *line = NULL;
    size_t capacity = 0;
    int status = CLI_OK;
    for (unsigned number = 1; getline(&line, &capacity, file) > 0; number++) {
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        json_error_t error;
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        enum pl_err err = json ? apply_json(evaluation, json)
                               : pl_err_set(PL_REJECT_MALFORMED, "column %d: %s", error.column,
                                            error.text);
        json_decref(json);
        if (!err)
            continue;
        fprintf(stderr, "plimsoll evaluate: %s:%u: %s: %s\n", name, number, pl_err_name(err),
                pl_err_text());
        status = CLI_USAGE;
    }
    free(line);
    if (file != stdin)
        fclose(file);
    return status;
}

/* ---- the book ------------------------------------------------------------------------------- */

static enum pl_err fill_book(struct evaluation *evaluation)
{
    static struct pl_chain_head heads[CHAINS_MAX];
    for (uint32_t i = 0; i < evaluation->chain_count; i++) { /* the newest of a chain comes first */
        const struct pl_chain_status *status = &evaluation->chains[evaluation->chain_count - 1 - i];
        heads[i] = (struct pl_chain_head){ status->chain, status->head_height };
    }
    for (uint32_t row = 0; row < store_count(evaluation->store); row++) {
        const struct pl_id *account = store_account(evaluation->store, row);
        const struct pl_bytes_view key = { (const uint8_t *)account->text, account->size_bytes };
        struct pl_bytes_view value = store_at(evaluation->store, row);
        uint32_t index = 0;
        pl_wire_reset(evaluation->wire);
        enum pl_err err = pl_wire_record_decode(evaluation->wire, key, value, evaluation->record);
        for (uint32_t i = 0; !err && i < evaluation->chain_count; i++)
            (void)pl_record_finalise(evaluation->record, &evaluation->chains[i].chain,
                                     evaluation->chains[i].finalised_height);
        if (!err)
            err = pl_record_convert(evaluation->record, evaluation->names, evaluation->parameters,
                                    heads, evaluation->chain_count);
        if (!err)
            err = pl_record_to_holdings(evaluation->record, evaluation->names,
                                        evaluation->holdings);
        if (!err)
            err = pl_book_apply_holdings(evaluation->book, evaluation->holdings, &index);
        if (err)
            return pl_err_note(err, "account %s", account->text);
    }
    return PL_OK;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* a / b with nine decimals, rounded down; null where there is nothing to divide by. */
static json_t *ratio(pl_i128 dividend, pl_i128 divisor)
{
    /* Both at most 2^100; 2^127 / 10^9 is 2^97. */
    while (pl_abs(dividend) > (pl_i128)1 << 96 || divisor > (pl_i128)1 << 96) {
        dividend /= 10;
        divisor /= 10;
    }
    if (divisor <= 0)
        return json_null();
    return explain_decimal(pl_div_floor(dividend * 1000000000, divisor), 9);
}

/* Ratios are for display: no decision rests on a quotient. */
static json_t *print_ratios(const struct pl_verdict *verdict, const struct pl_ratios *ratios)
{
    pl_i128 requirement = ratios->requirement[PL_TIER_MAINTENANCE];
    bool has_margin = requirement < PL_EXCESS_UNBOUNDED && verdict->certainty != PL_OUT_OF_RANGE;
    return json_pack(
        "{s:o, s:o, s:o, s:o}", "collateralization",
        ratio(ratios->collateral.numerator, ratios->collateral.denominator),
        "over_collateralization", ratio(ratios->over.numerator, ratios->over.denominator),
        "risk_adjusted", ratio(ratios->health.numerator, ratios->health.denominator), "margin",
        has_margin ? ratio(verdict->equity_vu.low * PL_PPM, requirement) : json_null());
}

static json_t *print_by_tier(const pl_i128 amounts[PL_TIER_COUNT], unsigned decimals)
{
    json_t *object = json_object();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_object_set_new(object, explain_tier_name(tier),
                            explain_bound(amounts[tier], decimals));
    return object;
}

static json_t *print_cures(const struct evaluation *evaluation, const struct pl_verdict *verdict,
                           const struct pl_portfolio *portfolio)
{
    const struct pl_goal goal = { .tier = PL_TIER_INITIAL };
    struct pl_cure cures[PL_CURES_MAX];
    uint32_t count = verdict->certainty == PL_OUT_OF_RANGE
                         ? 0 : pl_cures_of(evaluation->market, evaluation->names, portfolio, &goal,
                                           cures);
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array, explain_cure(evaluation->names, evaluation->parameters,
                                                  &cures[i]));
    return array;
}

static int by_cost(const void *left, const void *right)
{
    const struct pl_term *a = left, *b = right;
    return a->amount < b->amount ? -1 : a->amount > b->amount;
}

static json_t *print_terms(const struct evaluation *evaluation,
                           const struct pl_portfolio *portfolio)
{
    static struct pl_term terms[TERMS_MAX];
    uint32_t count = pl_explain(evaluation->market, portfolio, PL_TIER_MAINTENANCE, terms,
                                TERMS_MAX);
    qsort(terms, count, sizeof(terms[0]), by_cost);
    json_t *array = json_array();
    for (uint32_t i = 0; i < count && i < WORST_TERMS && terms[i].amount < 0; i++) {
        json_t *term = json_pack(
            "{s:s, s:s, s:o}", "term", explain_term_name(terms[i].kind), "of",
            explain_term_of(evaluation->names, evaluation->parameters, &terms[i]), "excess_usd",
            explain_decimal(terms[i].amount, 18));
        if (terms[i].kind == PL_TERM_DEPENDENCY)
            json_object_set_new(term, "paths",
                                explain_paths(evaluation->names, evaluation->parameters, portfolio,
                                              PL_TIER_MAINTENANCE, terms[i].index));
        json_array_append_new(array, term);
    }
    return array;
}

static json_t *print_sale(const struct evaluation *evaluation, uint32_t index,
                          const struct pl_sale *sale)
{
    const struct pl_portfolio held = pl_book_portfolio(evaluation->book, index);
    json_t *legs = json_array();
    for (uint32_t i = 0; i < sale->leg_count; i++)
        json_array_append_new(legs, explain_sale_leg(evaluation->names, evaluation->market, &held,
                                                     &sale->legs[i]));
    json_t *facts = json_pack("{s:o, s:b, s:b, s:o, s:o}", "legs", legs, "reaches_target",
                              sale->reaches, "bankrupt", sale->is_bankrupt,
                              "end_excess_before_usd", explain_decimal(sale->end_before, 18),
                              "end_excess_after_usd", explain_decimal(sale->end_after, 18));
    explain_sale_cost(sale, facts);
    return facts;
}

static json_t *print_excess(const struct pl_verdict *verdict)
{
    json_t *object = json_object();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_object_set_new(object, explain_tier_name(tier),
                            explain_bounds(&verdict->excess[tier], 18));
    return object;
}

static int print_account(const struct evaluation *evaluation, uint32_t index)
{
    static struct pl_decision decision;
    static struct pl_account_state state;
    static struct pl_leg legs[PL_LEGS_MAX];
    static const char *const certainties[] = { "certain", "uncertain", "out_of_range" };
    struct pl_portfolio portfolio;
    pl_book_state(evaluation->book, index, &state);
    pl_decide(evaluation->market, evaluation->names, evaluation->book, index, &state, &state, false,
              &decision);
    state = decision.state; /* what has settled is released, */
    if (decision.has_sale)  /* and what is planned now is not sold yet */
        state.pending_count -= decision.sale.leg_count;
    pl_effective_portfolio(evaluation->book, index, &state, evaluation->market, legs, &portfolio);
    const struct pl_verdict *verdict = &decision.verdict;
    struct pl_ratios ratios;
    pl_ratios_of(evaluation->market, &portfolio, verdict, &ratios);
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o}", "account", pl_book_at(evaluation->book, index)->id.text,
        "state", explain_state_name(decision.state.state), "verdict",
        certainties[verdict->certainty], "equity_usd", explain_bound(verdict->equity_vu.low, 12),
        "excess_usd", print_excess(verdict), "ratios", print_ratios(verdict, &ratios));
    json_object_set_new(line, "requirement_usd", print_by_tier(ratios.requirement, 18));
    json_object_set_new(line, "top_up_usd", print_by_tier(ratios.top_up_vu, 12));
    json_object_set_new(line, "cures", print_cures(evaluation, verdict, &portfolio));
    json_object_set_new(line, "worst_terms", print_terms(evaluation, &portfolio));
    json_object_set_new(line, "doubts", explain_doubts(evaluation->names, decision.state.doubts,
                                                       decision.state.doubt_count));
    json_object_set_new(line, "sale",
                        decision.has_sale ? print_sale(evaluation, index, &decision.sale)
                                          : json_null());
    int failed = json_dumpf(line, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF;
    json_decref(line);
    return failed ? CLI_ENVIRONMENT : CLI_OK;
}

static int by_account(const void *left, const void *right, void *argument)
{
    const struct pl_book *book = argument;
    return pl_id_compare(&pl_book_at(book, *(const uint32_t *)left)->id,
                         &pl_book_at(book, *(const uint32_t *)right)->id);
}

/* Options of which no mark was given, from the prices of underlying and volatility, as the price service
 * would. */
static void derive_options(struct evaluation *evaluation)
{
    for (uint32_t i = 0; i < evaluation->names->count; i++)
        if (evaluation->parameters->instruments[i].kind == PL_INSTRUMENT_OPTION &&
            evaluation->marks[i].status == PL_MARK_NONE)
            (void)derived_option(evaluation->parameters, i, evaluation->marks, evaluation->now_ms,
                                 &evaluation->grids[i], &evaluation->marks[i]);
}

static int print_all(struct evaluation *evaluation)
{
    uint32_t count = pl_book_count(evaluation->book);
    uint32_t *rows = cli_memory(sizeof(*rows) * (count + 1));
    evaluation->market->halts = evaluation->halts;
    evaluation->market->halt_count = evaluation->halt_count;
    derive_options(evaluation);
    pl_market_update(evaluation->market, evaluation->parameters, evaluation->marks,
                     evaluation->now_ms);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = i;
    qsort_r(rows, count, sizeof(*rows), by_account, evaluation->book);
    int status = CLI_OK;
    for (uint32_t i = 0; i < count && status == CLI_OK; i++)
        status = print_account(evaluation, rows[i]);
    return status;
}

/* ---- the command ---------------------------------------------------------------------------- */

static const char USAGE[] =
    "usage: plimsoll evaluate [--at MS] FILE\n"
    "  Evaluates every account in FILE (- for standard input), one JSON line each on standard output.\n"
    "  FILE has a record per line: {\"topic\": \"prices\", \"value\": {…}} in the schemas' JSON form;\n"
    "  topics parameters (first), prices or marks, positions or holdings, chains, accounts.\n"
    "  --at MS   the clock, milliseconds since the epoch; default: the newest event time in FILE\n";

static void init(struct evaluation *evaluation)
{
    const struct pl_book_limits limits = { ACCOUNTS_MAX, ACCOUNTS_MAX * 8u, ACCOUNTS_MAX,
                                           ACCOUNTS_MAX / 4u };
    evaluation->wire = cli_wire();
    evaluation->names = cli_memory(sizeof(*evaluation->names));
    evaluation->parameters = cli_memory(sizeof(*evaluation->parameters));
    evaluation->spare = cli_memory(sizeof(*evaluation->spare));
    evaluation->aggregates = cli_memory(sizeof(*evaluation->aggregates) * PL_INSTRUMENTS_MAX);
    evaluation->pegs = cli_memory(sizeof(*evaluation->pegs));
    evaluation->marks = cli_memory(sizeof(*evaluation->marks) * PL_INSTRUMENTS_MAX);
    evaluation->grids = cli_memory(sizeof(*evaluation->grids) * PL_INSTRUMENTS_MAX);
    evaluation->market = cli_memory(sizeof(*evaluation->market));
    evaluation->record = cli_memory(sizeof(*evaluation->record));
    evaluation->event = cli_memory(sizeof(*evaluation->event));
    evaluation->holdings = cli_memory(sizeof(*evaluation->holdings));
    evaluation->store = store_init(cli_memory(store_bytes(ACCOUNTS_MAX, VALUES_BYTES)),
                                   ACCOUNTS_MAX, VALUES_BYTES);
    evaluation->book = pl_book_init(cli_memory(pl_book_bytes(&limits)), &limits);
    pl_names_init(evaluation->names);
}

int cli_evaluate(int argc, char **argv)
{
    static const struct option options[] = { { "at", required_argument, NULL, 'a' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    static struct evaluation evaluation;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'a') {
            evaluation.now_ms = strtoll(optarg, NULL, 10);
            evaluation.has_clock = true;
        } else {
            fputs(USAGE, option == 'h' ? stdout : stderr);
            return option == 'h' ? CLI_OK : CLI_USAGE;
        }
    }
    if (optind + 1 != argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    init(&evaluation);
    int status = read_file(&evaluation, argv[optind]);
    if (status == CLI_OK && !evaluation.has_parameters) {
        fprintf(stderr, "plimsoll evaluate: %s: no line with \"topic\": \"parameters\"\n",
                argv[optind]);
        status = CLI_USAGE;
    }
    if (status != CLI_OK)
        return status;
    enum pl_err err = fill_book(&evaluation);
    return err ? cli_fail(err, "evaluate") : print_all(&evaluation);
}
