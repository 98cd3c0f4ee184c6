/* SPDX-License-Identifier: Apache-2.0 */
/* An account and a changed copy of it, decided (what_if.h). */
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/decimal.h"
#include "services/cli/derived.h"
#include "services/cli/explain.h"
#include "services/cli/parameters_diff.h"
#include "services/cli/risk.h"
#include "services/cli/what_if.h"

static const char *const kind_names[] = { "trade", "transfer", "price" };

/* One account with a venue of its own: 16 MB, mapped. */
struct subject {
    struct pl_parameters parameters;
    struct pl_mark marks[PL_INSTRUMENTS_MAX];
    bool is_stated[PL_INSTRUMENTS_MAX]; /* the mark, by a change */
    struct pl_option_grid grids[PL_OPTIONS_MAX]; /* of marks that were derived anew, by option_slot */
    struct pl_market market;
    const struct pl_names *names;
    struct pl_holdings holdings;
    struct pl_account_state committed, prior;
    bool has_holdings, is_tainted, is_halted;
    struct pl_decision decision;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    struct pl_term terms[PL_TERMS_MAX];
    uint32_t term_count;
};

/* ---- the copy ------------------------------------------------------------------------------- */

static void copy_holdings(const struct pl_book *book, uint32_t row, struct pl_holdings *holdings)
{
    const struct pl_account *account = pl_book_at(book, row);
    *holdings = (struct pl_holdings){
        .account = account->id, .version = account->version,
        .event_time_ms = account->event_time_ms, .has_gap = account->has_gap,
        .cash_vu = account->cash_vu, .final_cash_vu = account->final_cash_vu,
        .mode = account->mode, .leg_count = account->leg_count, .applied_count = account->applied_count,
        .digest = account->digest };
    memcpy(holdings->legs, pl_book_legs(book, row), sizeof(holdings->legs[0]) * account->leg_count);
    memcpy(holdings->applied, pl_book_applied(book, row),
           sizeof(holdings->applied[0]) * account->applied_count);
}

static void copy_subject(struct subject *subject, const struct moment *moment, uint32_t row)
{
    const struct venue *venue = moment->venue;
    const struct ledger *ledger = moment->ledger;
    const struct pl_account *account = pl_book_at(ledger->book, row);
    subject->parameters = *venue->parameters;
    memcpy(subject->marks, venue->marks, sizeof(subject->marks));
    subject->names = venue->names;
    subject->has_holdings = account->has_holdings;
    subject->is_tainted = account->is_tainted;
    subject->is_halted = venue_halts(venue, &account->id);
    copy_holdings(ledger->book, row, &subject->holdings);
    pl_book_state(ledger->book, row, &subject->committed);
    subject->prior = subject->committed;
    for (uint32_t i = 0; i < ledger->execution_count; i++)
        if (ledger->executions[i].index == row)
            (void)pl_state_apply_execution(&subject->prior, &ledger->executions[i].report);
    pl_market_inherit(&subject->market, venue->market);
    pl_market_update(&subject->market, &subject->parameters, subject->marks,
                     venue->market->now_ms);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* "NAME=VALUE" split at the last "=": ids may have one. */
static enum pl_err split(const char *text, size_t *name_size, const char **value)
{
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text || equals[1] == '\0')
        return pl_err_set(PL_REJECT_MALFORMED, "it is to be INSTRUMENT=VALUE");
    *name_size = (size_t)(equals - text);
    *value = equals + 1;
    return PL_OK;
}

static enum pl_err find_instrument(const struct subject *subject, const char *name, size_t size,
                                   uint32_t *index)
{
    struct pl_id id;
    if (pl_id_set(&id, name, size) || !pl_names_find(subject->names, &id, index) ||
        !subject->parameters.instruments[*index].is_listed)
        return pl_err_set(PL_REJECT_CONFLICT, "instrument \"%.*s\" is not listed by the parameters "
                          "of epoch %llu", (int)size, name,
                          (unsigned long long)subject->parameters.epoch);
    return PL_OK;
}

/* The account's leg of an instrument, put in its place by id where there is none. */
static enum pl_err leg_of(struct subject *subject, uint32_t instrument, struct pl_leg **leg)
{
    struct pl_holdings *holdings = &subject->holdings;
    const struct pl_id *ids = subject->names->ids;
    uint32_t at = 0;
    while (at < holdings->leg_count &&
           pl_id_compare(&ids[holdings->legs[at].instrument], &ids[instrument]) < 0)
        at++;
    *leg = &holdings->legs[at];
    if (at < holdings->leg_count && holdings->legs[at].instrument == instrument)
        return (*leg)->is_unlisted_amount
                   ? pl_err_set(PL_REJECT_RANGE, "the size of the present leg is not known") : PL_OK;
    if (holdings->leg_count == PL_LEGS_MAX)
        return pl_err_set(PL_REJECT_RANGE, "the account has %d legs already", PL_LEGS_MAX);
    memmove(*leg + 1, *leg, sizeof(**leg) * (holdings->leg_count - at));
    holdings->leg_count++;
    **leg = (struct pl_leg){ .instrument = instrument };
    return PL_OK;
}

static void drop_empty_legs(struct pl_holdings *holdings)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < holdings->leg_count; i++)
        if (holdings->legs[i].lots != 0 || holdings->legs[i].final_lots != 0 ||
            holdings->legs[i].is_unlisted_amount)
            holdings->legs[kept++] = holdings->legs[i];
    holdings->leg_count = kept;
}

static enum pl_err add_lots(struct subject *subject, uint32_t instrument, int64_t lots)
{
    struct pl_leg *leg = NULL;
    enum pl_err err = leg_of(subject, instrument, &leg);
    if (!err && (__builtin_add_overflow(leg->lots, lots, &leg->lots) ||
                 __builtin_add_overflow(leg->final_lots, lots, &leg->final_lots)))
        err = pl_err_set(PL_REJECT_OVERFLOW, "the leg leaves 63 bits");
    subject->has_holdings = true;
    return err;
}

static enum pl_err add_cash(struct subject *subject, pl_i128 cash_vu)
{
    if (pl_add_overflows(subject->holdings.cash_vu, cash_vu, &subject->holdings.cash_vu) ||
        pl_add_overflows(subject->holdings.final_cash_vu, cash_vu,
                         &subject->holdings.final_cash_vu))
        return pl_err_set(PL_REJECT_OVERFLOW, "the cash leaves 128 bits");
    subject->has_holdings = true;
    return PL_OK;
}

static enum pl_err trade(struct subject *subject, uint32_t instrument, const char *value)
{
    const struct pl_instrument *rules = &subject->parameters.instruments[instrument];
    const char *at = strchr(value, '@');
    size_t quantity_size = at ? (size_t)(at - value) : strlen(value);
    int64_t lots = 0, ticks = subject->market.quotes[instrument].ticks;
    enum pl_err err = decimal_units(value, quantity_size, rules->lot_decimals, &lots);
    if (!err && at)
        err = decimal_units(at + 1, strlen(at + 1), rules->tick_decimals, &ticks);
    if (!err && ticks <= 0)
        err = pl_err_set(PL_REJECT_RANGE, at ? "a price is above 0"
                                             : "it has no mark: say at which price, QUANTITY@PRICE");
    if (!err)
        err = add_lots(subject, instrument, lots);
    pl_i128 cost_vu = 0;
    if (!err && pl_mul_overflows((pl_i128)lots * ticks, rules->multiplier, &cost_vu))
        err = pl_err_set(PL_REJECT_OVERFLOW, "the cost leaves 128 bits");
    return err ? err : add_cash(subject, -cost_vu);
}

static enum pl_err transfer_cash(struct subject *subject, const char *value)
{
    struct pl_amount amount;
    pl_i128 cash_vu = 0;
    enum pl_err err = decimal_parse(value, strlen(value), &amount);
    if (!err && amount.exponent < -12)
        err = pl_err_set(PL_REJECT_RANGE, "cash has at most 12 decimals");
    if (!err)
        err = pl_rescale_wide(amount.mantissa, amount.exponent, 12, PL_ROUND_FLOOR, &cash_vu);
    return err ? err : add_cash(subject, cash_vu);
}

static enum pl_err transfer(struct subject *subject, uint32_t instrument, const char *value)
{
    int64_t lots = 0;
    enum pl_err err = decimal_units(value, strlen(value),
                                    subject->parameters.instruments[instrument].lot_decimals, &lots);
    return err ? err : add_lots(subject, instrument, lots);
}

static enum pl_err move_price(struct pl_mark *mark, uint32_t decimals, const char *value)
{
    int64_t move_e12 = 0;
    int64_t *const prices[] = { &mark->mantissa, &mark->low_mantissa, &mark->high_mantissa };
    enum pl_err err = decimal_units(value, strlen(value) - 1, 10, &move_e12);
    if (!err && (move_e12 < -PL_PPM * (int64_t)PL_PPM || move_e12 > PL_MOVE_E12_MAX))
        err = pl_err_set(PL_REJECT_RANGE, "a price moves by -100 %% to +1000000 %%");
    if (!err && mark->status == PL_MARK_NONE)
        err = pl_err_set(PL_REJECT_RANGE, "it has no mark that could move");
    for (unsigned i = 0; !err && i < sizeof(prices) / sizeof(prices[0]); i++)
        if (!pl_price_move(*prices[i], mark->exponent, decimals, move_e12, prices[i]))
            err = pl_err_set(PL_REJECT_OVERFLOW, "the price leaves 63 bits");
    mark->exponent = -(int32_t)decimals;
    return err;
}

static enum pl_err change_price(struct subject *subject, uint32_t instrument, const char *value)
{
    uint32_t decimals = subject->parameters.instruments[instrument].tick_decimals;
    struct pl_mark *mark = &subject->marks[instrument];
    int64_t ticks = 0;
    enum pl_err err = derived_check(&subject->parameters, subject->names, instrument);
    if (err)
        return err;
    subject->is_stated[instrument] = true;
    if (value[strlen(value) - 1] == '%')
        return move_price(mark, decimals, value);
    err = decimal_units(value, strlen(value), decimals, &ticks);
    if (!err && ticks <= 0)
        err = pl_err_set(PL_REJECT_RANGE, "a price is above 0");
    if (err)
        return err;
    mark->status = PL_MARK_LIVE; /* what is stated is not in doubt */
    mark->exponent = -(int32_t)decimals;
    mark->mantissa = mark->low_mantissa = mark->high_mantissa = ticks;
    mark->event_time_ms = subject->market.now_ms;
    return PL_OK;
}

static enum pl_err apply_change(struct subject *subject, const struct what_if_change *change)
{
    size_t size = 0;
    const char *value = NULL;
    uint32_t instrument = 0;
    enum pl_err err = split(change->text, &size, &value);
    if (!err && change->kind == WHAT_IF_TRANSFER && size == 4 &&
        memcmp(change->text, "cash", 4) == 0)
        return transfer_cash(subject, value);
    if (!err)
        err = find_instrument(subject, change->text, size, &instrument);
    if (err)
        return err;
    switch (change->kind) {
    case WHAT_IF_TRADE:
        return trade(subject, instrument, value);
    case WHAT_IF_TRANSFER:
        return transfer(subject, instrument, value);
    case WHAT_IF_PRICE:
        return change_price(subject, instrument, value);
    }
    return PL_OK;
}

/* Another set with the same lots and ticks, whatever its epoch. */
static enum pl_err change_parameters(struct subject *subject, const struct moment *moment,
                                     const char *path)
{
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    enum pl_err err = parameters_load(path, &bytes, &size_bytes);
    if (!err)
        err = venue_draft(moment->venue, moment->venue->names,
                          (struct pl_bytes_view){ bytes, size_bytes }, &subject->parameters);
    free(bytes);
    return err ? pl_err_note(err, "--parameters %s", path) : PL_OK;
}

/* Parameters first: they say what is listed. Trades are at the marks as they stand. What follows from
 * prices comes last, when all of them are known. */
static enum pl_err apply_changes(struct subject *subject, const struct moment *moment,
                                 const struct what_if *what_if)
{
    enum pl_err err = PL_OK;
    if (what_if->parameters_path)
        err = change_parameters(subject, moment, what_if->parameters_path);
    memset(&subject->market, 0, sizeof(subject->market)); /* of a set that is gone */
    pl_market_inherit(&subject->market, moment->venue->market);
    pl_market_update(&subject->market, &subject->parameters, subject->marks,
                     moment->venue->market->now_ms);
    for (unsigned i = 0; !err && i < what_if->change_count; i++) {
        const struct what_if_change *change = &what_if->changes[i];
        err = apply_change(subject, change);
        if (err)
            return pl_err_note(err, "--%s %s", kind_names[change->kind], change->text);
    }
    drop_empty_legs(&subject->holdings);
    derived_follow(&subject->parameters, moment->venue->market->now_ms, moment->venue->marks,
                   subject->is_stated, subject->marks, subject->grids);
    pl_market_update(&subject->market, &subject->parameters, subject->marks,
                     moment->venue->market->now_ms);
    return err;
}

/* ---- deciding ------------------------------------------------------------------------------- */

/* A book of this one account, and what the service would make of it. */
static enum pl_err decide(struct subject *subject)
{
    const struct pl_book_limits limits = { .accounts_max = 1, .legs_max = 2 * PL_LEGS_MAX,
                                           .applied_max = 2 * PL_APPLIED_MAX, .states_max = 1 };
    static struct pl_account_state state;
    void *block = NULL;
    uint32_t row = 0;
    size_t size_bytes = pl_book_bytes(&limits);
    enum pl_err err = pl_memory_map(size_bytes, &block);
    if (err)
        return err;
    struct pl_book *book = pl_book_init(block, &limits);
    err = subject->has_holdings ? pl_book_apply_holdings(book, &subject->holdings, &row)
                                : pl_book_account(book, &subject->holdings.account, &row);
    if (!err && subject->is_tainted)
        err = pl_book_taint(book, &subject->holdings.account, &row);
    if (!err)
        err = pl_book_set_state(book, row, &subject->committed, (struct pl_digest){ 0 });
    if (!err) {
        pl_decide(&subject->market, subject->names, book, row, &subject->committed, &subject->prior,
                  subject->is_halted, &subject->decision);
        state = subject->decision.state;
        if (subject->decision.has_sale) /* what is planned is not sold yet */
            state.pending_count -= subject->decision.sale.leg_count;
        pl_effective_portfolio(book, row, &state, &subject->market, subject->legs,
                               &subject->portfolio);
        subject->term_count = pl_explain(&subject->market, &subject->portfolio,
                                         PL_TIER_MAINTENANCE, subject->terms, PL_TERMS_MAX);
    }
    pl_memory_unmap(block, size_bytes);
    return err;
}

/* ---- the document --------------------------------------------------------------------------- */

static json_t *plan_facts(const struct subject *subject)
{
    const struct pl_sale *sale = &subject->decision.sale;
    const struct pl_portfolio held = {.legs = subject->holdings.legs,
                                      .leg_count = subject->holdings.leg_count,
                                      .mode = subject->holdings.mode};
    json_t *legs = json_array();
    if (!subject->decision.has_sale) {
        json_decref(legs);
        return json_null();
    }
    for (uint32_t i = 0; i < sale->leg_count; i++)
        json_array_append_new(
            legs, explain_sale_leg(subject->names, &subject->market, &held, &sale->legs[i]));
    json_t *facts = json_pack("{s:o, s:b, s:b, s:o}", "legs", legs, "reaches_target",
                              sale->reaches, "bankrupt", sale->is_bankrupt, "end_excess_after_usd",
                              explain_bound(sale->end_after, 18));
    explain_sale_cost(sale, facts);
    return facts;
}

static json_t *side_facts(const struct subject *subject)
{
    return json_pack("{s:s, s:o, s:o}", "state", explain_state_name(subject->decision.state.state),
                     "verdict", risk_verdict(subject->names, &subject->decision.verdict), "plan",
                     plan_facts(subject));
}

static const char *term_of(const struct subject *subject, const struct pl_term *term)
{
    return explain_term_of(subject->names, &subject->parameters, term);
}

/* The amount of the same term of another side; 0 where it has none. */
static pl_i128 amount_in(const struct subject *subject, enum pl_term_kind kind, const char *of)
{
    for (uint32_t i = 0; i < subject->term_count; i++)
        if (subject->terms[i].kind == kind && strcmp(term_of(subject, &subject->terms[i]), of) == 0)
            return subject->terms[i].amount;
    return 0;
}

static void add_term(json_t *terms, enum pl_term_kind kind, const char *of, pl_i128 before,
                     pl_i128 after)
{
    if (before != after)
        json_array_append_new(terms, json_pack("{s:s, s:s, s:o, s:o}", "term",
                                               explain_term_name(kind), "of", of, "before_usd",
                                               explain_bound(before, 18), "after_usd",
                                               explain_bound(after, 18)));
}

static json_t *term_facts(const struct subject *before, const struct subject *after)
{
    json_t *terms = json_array();
    for (uint32_t i = 0; i < before->term_count; i++) {
        const struct pl_term *term = &before->terms[i];
        const char *of = term_of(before, term);
        add_term(terms, term->kind, of, term->amount, amount_in(after, term->kind, of));
    }
    for (uint32_t i = 0; i < after->term_count; i++) {
        const struct pl_term *term = &after->terms[i];
        const char *of = term_of(after, term);
        if (amount_in(before, term->kind, of) == 0) /* terms are not 0: it had none */
            add_term(terms, term->kind, of, 0, term->amount);
    }
    return terms;
}

static json_t *change_facts(const struct what_if *what_if, const struct subject *after)
{
    json_t *changes = json_array();
    for (unsigned i = 0; i < what_if->change_count; i++)
        json_array_append_new(changes, json_pack("{s:s, s:s}", "change",
                                                 kind_names[what_if->changes[i].kind], "value",
                                                 what_if->changes[i].text));
    if (what_if->parameters_path)
        json_array_append_new(changes, json_pack("{s:s, s:s, s:I}", "change", "parameters", "value",
                                                 what_if->parameters_path, "epoch",
                                                 (json_int_t)after->parameters.epoch));
    return changes;
}

enum pl_err what_if_answer(const struct moment *moment, const struct pl_id *account,
                           const struct what_if *what_if, json_t **document)
{
    void *block = NULL;
    uint32_t row = 0;
    if (!pl_book_find(moment->ledger->book, account, &row))
        return pl_err_set(PL_REJECT_UNKNOWN, "account %s was unknown: partition %d had read no "
                          "holdings and no state of it", account->text,
                          (int)moment->entry->partition);
    enum pl_err err = pl_memory_map(2 * sizeof(struct subject), &block);
    if (err)
        return err;
    struct subject *before = block, *after = before + 1;
    copy_subject(before, moment, row);
    copy_subject(after, moment, row);
    err = apply_changes(after, moment, what_if);
    if (!err)
        err = decide(before);
    if (!err)
        err = decide(after);
    if (!err)
        *document = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "account", account->text,
                              "partition", (json_int_t)moment->entry->partition, "journal",
                              risk_moment(moment), "changes", change_facts(what_if, after),
                              "before", side_facts(before), "after", side_facts(after), "terms",
                              term_facts(before, after));
    pl_memory_unmap(block, 2 * sizeof(struct subject));
    return err;
}
