/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rebuilt scene to the document of one account: what was held, at which prices, what each tier
 * asked for term by term, and which parameters and timers that rests on. Every number is taken from
 * the functions that decide (pl_decide's verdict, pl_explain's terms) or copied from a record;
 * nothing is computed a second way (G3).
 */
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/explain.h"

/* ---- words and numbers ---------------------------------------------------------------------- */

json_t *explain_decimal(pl_i128 value, unsigned decimals)
{
    char text[64];
    pl_decimal_print(value, decimals, text);
    return json_string(text);
}

json_t *explain_bound(pl_i128 value, unsigned decimals)
{
    if (pl_abs(value) >= PL_EXCESS_UNBOUNDED)
        return json_string(value < 0 ? "-unbounded" : "unbounded");
    return explain_decimal(value, decimals);
}

json_t *explain_bounds(const struct pl_bounds *bounds, unsigned decimals)
{
    if (bounds->low == bounds->high)
        return explain_bound(bounds->low, decimals);
    return json_pack("{s:o, s:o}", "at_worst", explain_bound(bounds->low, decimals), "at_best",
                     explain_bound(bounds->high, decimals));
}

/* An amount as it stands on the topics: nothing is rounded to lots. */
static json_t *amount(const struct pl_amount *amount)
{
    char text[64 + PL_EXPONENT_MAX];
    size_t size = pl_decimal_print(amount->mantissa,
                                   amount->exponent < 0 ? (unsigned)-amount->exponent : 0, text);
    for (int e = 0; amount->mantissa != 0 && e < amount->exponent; e++)
        text[size++] = '0';
    return json_stringn(text, size);
}

/* A time that may be none. */
static json_t *time_or_null(int64_t time_ms)
{
    return time_ms > 0 ? json_integer(time_ms) : json_null();
}

const char *explain_tier_name(enum pl_tier tier)
{
    static const char *const names[PL_TIER_COUNT] = { "alert", "initial", "end", "maintenance" };
    return names[tier];
}

const char *explain_state_name(enum pl_state state)
{
    static const char *const names[] = { "?", "ok", "alert", "restricted", "liquidating",
                                         "bankrupt" };
    return names[state];
}

const char *explain_term_name(enum pl_term_kind kind)
{
    static const char *const names[] = { "value", "haircut", "factor", "concentration",
                                         "dependency", "confidence", "halt", "scenario" };
    return names[kind];
}

const char *explain_term_of(const struct pl_names *names, const struct pl_parameters *parameters,
                            const struct pl_term *term)
{
    if (term->kind == PL_TERM_FACTOR)
        return parameters->factors[term->index].text;
    if (term->kind == PL_TERM_DEPENDENCY)
        return parameters->dependencies[term->index].text;
    return term->index == UINT32_MAX ? "cash" : names->ids[term->index].text;
}

json_t *explain_paths(const struct pl_names *names, const struct pl_parameters *parameters,
                      const struct pl_portfolio *portfolio, enum pl_tier tier, uint32_t dependency)
{
    json_t *paths = json_array();
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const uint32_t index = portfolio->legs[i].instrument;
        const struct pl_instrument *instrument = &parameters->instruments[index];
        uint32_t path[PL_LOSSES_MAX];
        uint32_t count = portfolio->legs[i].lots > 0 && instrument->is_listed
                             ? pl_dependency_path(instrument, dependency, tier, path) : 0;
        if (count == 0)
            continue;
        json_t *along = json_array();
        for (uint32_t k = 0; k < count; k++)
            json_array_append_new(along, json_string(parameters->dependencies[path[k]].text));
        int32_t loss = 0;
        for (uint32_t k = 0; k < instrument->loss_count; k++)
            if (instrument->losses[k].dependency == dependency)
                loss = instrument->losses[k].loss.at[tier];
        json_array_append_new(paths, json_pack("{s:s, s:o, s:i}", "instrument",
                                               names->ids[index].text, "path", along, "loss_ppm",
                                               loss));
    }
    return paths;
}

const char *explain_doubt_name(enum pl_doubt_reason reason)
{
    static const char *const names[] = { "?", "no mark", "stale mark", "halted mark", "unlisted",
                                         "not final", "gap", "tainted", "order overdue",
                                         "out of range", "unknown mode" };
    return names[reason];
}

const char *explain_mark_name(enum pl_mark_status status)
{
    static const char *const names[] = { "none", "live", "stale", "halted" };
    return names[status];
}

const char *explain_readiness_name(enum pl_readiness readiness)
{
    static const char *const names[] = { "?", "LOADING", "DECIDING", "WAITING", "DIVERGED" };
    return names[readiness];
}

json_t *explain_doubts(const struct pl_names *names, const struct pl_doubt *doubts, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(
            array, json_pack("{s:s, s:s}", "of",
                             doubts[i].instrument == UINT32_MAX
                                 ? "account" : names->ids[doubts[i].instrument].text,
                             "reason", explain_doubt_name(doubts[i].reason)));
    return array;
}

/* ---- the view ------------------------------------------------------------------------------- */

int64_t explain_reserved_lots(const struct pl_pending *pending)
{
    int64_t whole = pending->executed_lots;
    if (pending->progress != PL_PROGRESS_TERMINAL && pending->ordered_lots > whole)
        whole = pending->ordered_lots;
    return whole > pending->applied_lots ? whole - pending->applied_lots : 0;
}

/* What the brake left to the account when it was its turn: at least what it then sold, and where that is
 * less than it asked for, no more. */
static void brake(const struct explain_scene *scene, struct explain_view *view)
{
    static int64_t left_lots[PL_INSTRUMENTS_MAX];
    struct pl_market *market = scene->venue->market;
    if (!view->decision.has_sale || scene->venue->parameters->policy.brake_window_ms == 0)
        return;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
        left_lots[i] = market->parameters->instruments[i].depth_count > 0 ? 0 : INT64_MAX;
    for (uint32_t i = 0; i < scene->sold_count && scene->sale_sequence == scene->entry->sequence; i++) {
        uint32_t instrument = 0;
        if (pl_names_find(scene->venue->names, &scene->sold[i].instrument, &instrument) &&
            left_lots[instrument] != INT64_MAX)
            left_lots[instrument] = scene->sold[i].lots;
    }
    if (pl_budget_allows(left_lots, &view->decision.sale))
        return;
    market->left_lots = left_lots;
    ledger_decide_account(scene->ledger, scene->venue, view->row, &view->decision);
    market->left_lots = NULL;
}

bool explain_look(const struct explain_scene *scene, struct explain_view *view)
{
    const struct ledger *ledger = scene->ledger;
    *view = (struct explain_view){ .scene = scene };
    view->has_decided = scene->entry->readiness == PL_READINESS_DECIDING;
    view->is_halted = venue_halts(scene->venue, &scene->account);
    view->is_known = pl_book_find(ledger->book, &scene->account, &view->row);
    if (!view->is_known || !scene->venue->has_parameters)
        return false;
    view->account = pl_book_at(ledger->book, view->row);
    pl_book_state(ledger->book, view->row, &view->committed);
    ledger_decide_account(ledger, scene->venue, view->row, &view->decision);
    brake(scene, view);
    view->state = view->has_decided ? view->decision.state : view->committed;
    /* What the verdict was about: what is planned now is not sold yet. */
    static struct pl_account_state before;
    before = view->decision.state;
    if (view->decision.has_sale)
        before.pending_count -= view->decision.sale.leg_count;
    pl_effective_portfolio(ledger->book, view->row, &before, scene->venue->market, view->legs,
                           &view->portfolio);
    /* The book's legs, while nothing is pending: from here on they are looked at in one place. */
    if (view->portfolio.legs != view->legs)
        memcpy(view->legs, view->portfolio.legs, view->portfolio.leg_count * sizeof(view->legs[0]));
    view->portfolio.legs = view->legs;
    if (!view->has_decided)
        view->decision.has_sale = false;
    return true;
}

/* ---- entry, halts, state -------------------------------------------------------------------- */

static json_t *journal_facts(const struct explain_view *view)
{
    static const char *const kinds[] = { "?", "step", "heartbeat", "readiness" };
    const struct pl_journal *entry = view->scene->entry;
    return json_pack(
        "{s:I, s:I, s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:s, s:s}", "sequence",
        (json_int_t)entry->sequence, "offset", (json_int_t)view->scene->journal_offset, "clock_ms",
        (json_int_t)entry->clock_ms, "kind", kinds[entry->kind], "readiness",
        explain_readiness_name(entry->readiness), "decided", view->has_decided, "parameter_epoch",
        (json_int_t)entry->parameter_epoch, "control_epoch", (json_int_t)entry->control_epoch,
        "output_count", (json_int_t)entry->output_count, "slot", entry->slot, "build",
        entry->build);
}

static json_t *halt_facts(const struct explain_scene *scene)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < 2; i++) {
        const struct pl_control *control = &scene->halts[i].control;
        if (!scene->halts[i].is_set)
            continue;
        bool is_readable = control->epoch > 0;
        json_array_append_new(
            array, json_pack("{s:s, s:s?, s:s, s:I, s:o}", "scope", i == 0 ? "all" : "account",
                             "actor", is_readable ? control->actor : NULL, "reason",
                             is_readable ? control->reason : "a control record cannot be read",
                             "since_ms", (json_int_t)control->created_ms, "epoch",
                             is_readable ? json_integer((json_int_t)control->epoch)
                                         : json_null()));
    }
    return array;
}

static json_t *watermark_facts(const struct explain_view *view)
{
    const struct explain_scene *scene = view->scene;
    int64_t time_ms = scene->ledger->watermark.time_ms;
    return json_pack("{s:I, s:I, s:I}", "time_ms", (json_int_t)time_ms, "age_ms",
                     (json_int_t)(scene->entry->clock_ms - time_ms), "age_ms_max",
                     (json_int_t)scene->venue->parameters->policy.watermark_age_ms_max);
}

static json_t *state_facts(const struct explain_view *view)
{
    const struct pl_account_state *state = &view->state;
    int64_t hold_ms = view->scene->venue->parameters->policy.restricted_hold_ms;
    bool is_whole = state->whole_since_ms >= 0;
    return json_pack(
        "{s:s, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state",
        explain_state_name(state->state), "left", explain_state_name(view->committed.state),
        "since_ms", time_or_null(state->since_ms), "episode", (json_int_t)state->episode,
        "revision", (json_int_t)state->revision, "version", (json_int_t)state->version,
        "whole_since_ms", is_whole ? json_integer(state->whole_since_ms) : json_null(),
        "restricted_until_ms",
        is_whole ? json_integer(state->whole_since_ms + hold_ms) : json_null(),
        "revision_after_ms", time_or_null(state->revision_after_ms), "doubts",
        explain_doubts(view->scene->venue->names, state->doubts, state->doubt_count), "called_ms",
        time_or_null(state->called_ms), "due_ms", time_or_null(state->due_ms), "bad_debt_usd",
        state->bad_debt_vu > 0 ? explain_decimal(state->bad_debt_vu, 12) : json_null(), "braked_ms",
        time_or_null(state->braked_ms));
}

/* ---- holdings ------------------------------------------------------------------------------- */

/* The record behind the book's row; NULL when another one is at hand. */
static const struct pl_record_holdings *record_of(const struct explain_view *view)
{
    const struct pl_record_holdings *record = view->scene->record;
    return record && record->version == view->account->version ? record : NULL;
}

static json_t *source_facts(const struct pl_record_holdings *record)
{
    json_t *array = json_array();
    for (uint32_t i = 0; record && i < record->source_count; i++) {
        const struct pl_record_source *source = &record->sources[i];
        json_array_append_new(
            array, json_pack("{s:s, s:s?, s:I, s:o, s:b, s:b, s:o}", "source", source->id.text,
                             "chain", source->chain.size_bytes ? source->chain.text : NULL,
                             "sequence", (json_int_t)source->sequence, "event_time_ms",
                             time_or_null(source->event_time_ms), "gap", source->has_gap,
                             "settles_by_time", source->settles_by_time, "cash_usd",
                             amount(&source->cash)));
    }
    return array;
}

static json_t *not_final_facts(const struct pl_record_holdings *record)
{
    json_t *array = json_array();
    for (uint32_t i = 0; record && i < record->tail_count; i++) {
        const struct pl_record_tail *tail = &record->tail[i];
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:I, s:I, s:o}", "of",
                             tail->instrument.size_bytes ? tail->instrument.text : "cash",
                             "source", record->sources[tail->source].id.text, "sequence",
                             (json_int_t)tail->sequence, "block_height",
                             (json_int_t)tail->block_height, "quantity", amount(&tail->quantity)));
    }
    return array;
}

static json_t *leg_sources(const struct pl_record_holdings *record, const struct pl_id *instrument)
{
    json_t *array = json_array();
    for (uint32_t i = 0; record && i < record->leg_count; i++) {
        const struct pl_record_leg *leg = &record->legs[i];
        if (pl_id_equal(&leg->instrument, instrument))
            json_array_append_new(array, json_pack("{s:s, s:o, s:o}", "source",
                                                   record->sources[leg->source].id.text,
                                                   "quantity", amount(&leg->quantity), "cost_usd",
                                                   amount(&leg->cost)));
    }
    return array;
}

/* The price that was used, and the mark that it comes from. */
static json_t *price_facts(const struct explain_view *view, uint32_t index)
{
    const struct venue *venue = view->scene->venue;
    const struct pl_instrument *instrument = &venue->parameters->instruments[index];
    const struct pl_quote *quote = &venue->market->quotes[index];
    const struct pl_mark *mark = &venue->marks[index];
    unsigned decimals = instrument->tick_decimals;
    if (mark->status == PL_MARK_NONE)
        return json_pack("{s:s, s:n}", "status", "none", "price");
    json_t *price = json_pack(
        "{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status",
        explain_mark_name(quote->status), "published", explain_mark_name(mark->status), "price",
        quote->ticks > 0 ? explain_decimal(quote->ticks, decimals) : json_null(), "event_time_ms",
        (json_int_t)mark->event_time_ms, "age_ms",
        (json_int_t)(view->scene->entry->clock_ms - mark->event_time_ms), "age_ms_max",
        (json_int_t)instrument->price_rules.age_ms_max, "source_partition",
        (json_int_t)mark->source_partition, "source_offset", (json_int_t)mark->source_offset,
        "tick", (json_int_t)mark->tick, "source_count", (json_int_t)mark->source_count);
    if (quote->ticks > 0) {
        int64_t one = instrument->multiplier; /* the interval is exact in ticks */
        json_object_set_new(price, "low", explain_decimal(quote->low_lot_vu / one, decimals));
        json_object_set_new(price, "high", explain_decimal(quote->high_lot_vu / one, decimals));
    }
    return price;
}

static json_t *leg_facts(const struct explain_view *view, uint32_t i)
{
    static const char *const kinds[] = { "?", "spot", "perp", "future", "option", "volatility",
                                         "statistic" };
    const struct venue *venue = view->scene->venue;
    const struct pl_leg *held = &pl_book_legs(view->scene->ledger->book, view->row)[i];
    const struct pl_leg *counted = &view->legs[i];
    const struct pl_instrument *instrument = &venue->parameters->instruments[held->instrument];
    const struct pl_id *id = &venue->names->ids[held->instrument];
    bool is_listed = instrument->is_listed && !held->is_unlisted_amount;
    unsigned decimals = instrument->lot_decimals;
    json_t *leg = json_pack("{s:s, s:s?, s:b, s:o}", "instrument", id->text, "kind",
                            instrument->is_listed ? kinds[instrument->kind] : NULL, "listed",
                            is_listed, "sources", leg_sources(record_of(view), id));
    if (!is_listed)
        return leg;
    const struct pl_quote *quote = &venue->market->quotes[held->instrument];
    json_object_set_new(leg, "quantity", explain_decimal(held->lots, decimals));
    json_object_set_new(leg, "final_quantity", explain_decimal(held->final_lots, decimals));
    if (held->credited_lots > 0)
        json_object_set_new(leg, "credited_quantity",
                            explain_decimal(held->credited_lots, decimals));
    json_object_set_new(leg, "after_pending", explain_decimal(counted->lots, decimals));
    json_object_set_new(leg, "price", price_facts(view, held->instrument));
    json_object_set_new(leg, "value_usd",
                        quote->ticks > 0
                            ? explain_decimal((pl_i128)counted->lots *
                                                  (counted->lots < 0 ? quote->short_lot_vu
                                                                     : quote->lot_vu), 12)
                            : json_null());
    return leg;
}

static json_t *holdings_facts(const struct explain_view *view)
{
    const struct pl_account *account = view->account;
    const struct pl_record_holdings *record = record_of(view);
    json_t *legs = json_array();
    for (uint32_t i = 0; i < account->leg_count; i++)
        json_array_append_new(legs, leg_facts(view, i));
    json_t *facts = json_pack(
        "{s:b, s:I, s:o, s:I, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "known",
        account->has_holdings, "version", (json_int_t)account->version, "event_time_ms",
        time_or_null(account->event_time_ms), "age_ms",
        (json_int_t)(view->scene->entry->clock_ms - account->event_time_ms), "gap",
        account->has_gap, "tainted", account->is_tainted, "cash_usd",
        explain_decimal(account->cash_vu, 12), "final_cash_usd",
        explain_decimal(account->final_cash_vu, 12), "cash_after_pending_usd",
        explain_bound(view->portfolio.cash_vu, 12), "sources", source_facts(record), "legs", legs,
        "not_final", not_final_facts(record));
    if (account->mode > 0)
        json_object_set_new(facts, "mode", json_integer(account->mode));
    return facts;
}

/* ---- verdict -------------------------------------------------------------------------------- */

/* The one rate behind a term; others have several, or an interval beside it. */
static json_t *rate_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                       enum pl_tier tier, const struct pl_term *term)
{
    if (term->kind != PL_TERM_HAIRCUT)
        return json_null();
    for (uint32_t i = 0; i < portfolio->leg_count; i++)
        if (portfolio->legs[i].instrument == term->index)
            return json_integer(pl_haircut_of(market, portfolio, term->index, tier,
                                              portfolio->legs[i].lots >= 0));
    return json_null();
}

/* What a scenario term is the charge for; NULL for others. */
static json_t *scenario_of(const struct pl_parameters *parameters, const struct pl_term *term)
{
    static const char *const layers[PL_LAYER_COUNT] = { "mark", "up", "mid", "down" };
    if (term->kind != PL_TERM_SCENARIO)
        return NULL;
    if (term->scenario == PL_SHORT_MINIMUM)
        return json_string("short option minimum");
    const struct pl_option_scenario *scenario = &parameters->scenarios[term->scenario];
    return json_pack("{s:i, s:i, s:s}", "scenario", (int)term->scenario, "move_ppm",
                     scenario->move_ppm, "volatility", layers[scenario->layer]);
}

static json_t *tier_facts(const struct explain_view *view, enum pl_tier tier)
{
    static struct pl_term terms[PL_TERMS_MAX];
    const struct venue *venue = view->scene->venue;
    const struct pl_bounds *excess = &view->decision.verdict.excess[tier];
    uint32_t count = pl_explain(venue->market, &view->portfolio, tier, terms, PL_TERMS_MAX);
    pl_i128 equity = 0, requirement = 0;
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (terms[i].kind == PL_TERM_VALUE)
            equity += terms[i].amount;
        else
            requirement -= terms[i].amount;
        json_t *term = json_pack(
            "{s:s, s:s, s:o, s:o, s:o*}", "term", explain_term_name(terms[i].kind), "of",
            explain_term_of(venue->names, venue->parameters, &terms[i]), "excess_usd",
            explain_bound(terms[i].amount, 18), "rate_ppm",
            rate_of(venue->market, &view->portfolio, tier, &terms[i]), "worst",
            scenario_of(venue->parameters, &terms[i]));
        if (terms[i].kind == PL_TERM_DEPENDENCY)
            json_object_set_new(term, "paths", explain_paths(venue->names, venue->parameters,
                                                             &view->portfolio, tier,
                                                             terms[i].index));
        json_array_append_new(array, term);
    }
    /* No terms, or one without bound: there is nothing that adds up. */
    bool is_bounded = excess->high < PL_EXCESS_UNBOUNDED;
    pl_assert(!is_bounded || equity - requirement == excess->high); /* G3 */
    json_t *facts = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:n}", "tier", explain_tier_name(tier), "excess_usd",
        explain_bounds(excess, 18), "equity_usd",
        is_bounded ? explain_decimal(equity, 18) : json_null(), "requirement_usd",
        is_bounded ? explain_decimal(requirement, 18) : json_null(), "terms", array,
        "to_leave_usd");
    pl_i128 line;
    if (tier == PL_TIER_ALERT && is_bounded &&
        !pl_mul_overflows(view->decision.verdict.gross_vu,
                          venue->parameters->policy.alert_hysteresis_ppm, &line))
        json_object_set_new(facts, "to_leave_usd", explain_decimal(line, 18));
    return facts;
}

json_t *explain_cure(const struct pl_names *names, const struct pl_parameters *parameters,
                     const struct pl_cure *cure)
{
    static const char *const kinds[] = { "?", "add", "repay", "reduce", "swap" };
    bool is_cash = cure->instrument == UINT32_MAX;
    json_t *facts = json_pack("{s:s, s:s, s:n, s:n, s:o}", "kind", kinds[cure->kind],
                              "instrument", is_cash ? "cash" : names->ids[cure->instrument].text,
                              "quantity", "price", "cost_usd", explain_decimal(cure->cost_vu, 12));
    if (is_cash)
        return facts;
    const struct pl_instrument *instrument = &parameters->instruments[cure->instrument];
    json_object_set_new(facts, "quantity",
                        explain_decimal(cure->lots, instrument->lot_decimals));
    json_object_set_new(facts, "price", explain_decimal(cure->ticks, instrument->tick_decimals));
    if (cure->kind != PL_CURE_SWAP)
        return facts;
    const struct pl_instrument *sold = &parameters->instruments[cure->sold];
    json_object_set_new(facts, "sold", json_string(names->ids[cure->sold].text));
    json_object_set_new(facts, "sold_quantity",
                        explain_decimal(cure->sold_lots, sold->lot_decimals));
    json_object_set_new(facts, "sold_price",
                        explain_decimal(cure->sold_ticks, sold->tick_decimals));
    return facts;
}

/* As an alert of this moment would name them. */
static json_t *cures_facts(const struct explain_view *view)
{
    const struct venue *venue = view->scene->venue;
    const struct pl_goal goal = { .tier = PL_TIER_INITIAL };
    struct pl_cure cures[PL_CURES_MAX];
    uint32_t count = pl_cures_of(venue->market, venue->names, &view->portfolio, &goal, cures);
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array, explain_cure(venue->names, venue->parameters, &cures[i]));
    return array;
}

static json_t *ratio_facts(const struct pl_ratio *ratio)
{
    pl_i128 ppm;
    return pl_ratio_ppm(ratio, &ppm) ? explain_decimal(ppm, 6) : json_null();
}

/* As an alert has them: lower bounds, rounded down. */
static json_t *ratios_facts(const struct explain_view *view)
{
    const struct pl_verdict *verdict = &view->decision.verdict;
    struct pl_ratios ratios;
    if (verdict->certainty == PL_OUT_OF_RANGE)
        return json_null();
    pl_ratios_of(view->scene->venue->market, &view->portfolio, verdict, &ratios);
    json_t *top_ups = json_object();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_object_set_new(top_ups, explain_tier_name(tier),
                            explain_bound(ratios.top_up_vu[tier], 12));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "collateral_usd",
                     explain_bound(ratios.collateral_vu, 12), "debt_usd",
                     explain_bound(ratios.debt_vu, 12), "collateral_ratio",
                     ratio_facts(&ratios.collateral), "over_collateral_ratio",
                     ratio_facts(&ratios.over), "health_factor", ratio_facts(&ratios.health),
                     "top_up_usd", top_ups, "cures", cures_facts(view));
}

static json_t *verdict_facts(const struct explain_view *view)
{
    static const char *const certainties[] = { "certain", "uncertain", "out_of_range" };
    const struct pl_verdict *verdict = &view->decision.verdict;
    json_t *tiers = json_array();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_array_append_new(tiers, tier_facts(view, tier));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "certainty", certainties[verdict->certainty],
                     "equity_usd", explain_bounds(&verdict->equity_vu, 12), "gross_usd",
                     explain_decimal(verdict->gross_vu, 12), "doubts",
                     explain_doubts(view->scene->venue->names, verdict->doubts,
                                    verdict->doubt_count),
                     "ratios", ratios_facts(view), "tiers", tiers);
}

/* ---- thresholds ----------------------------------------------------------------------------- */

static json_t *tiers_ppm(const struct pl_tier_ppm *ppm)
{
    json_t *object = json_object();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_object_set_new(object, explain_tier_name(tier), json_integer(ppm->at[tier]));
    return object;
}

static json_t *steps_facts(const struct pl_parameters *parameters,
                           const struct pl_instrument *instrument)
{
    json_t *loads = json_array(), *brackets = json_array(), *losses = json_array();
    for (uint32_t i = 0; i < instrument->load_count; i++)
        json_array_append_new(
            loads, json_pack("{s:s, s:o}", "factor",
                             parameters->factors[instrument->loads[i].factor].text, "load_ppm",
                             tiers_ppm(&instrument->loads[i].load)));
    for (uint32_t i = 0; i < instrument->bracket_count; i++)
        json_array_append_new(
            brackets, json_pack("{s:I, s:o}", "above_usd",
                                (json_int_t)instrument->brackets[i].threshold_usd, "rate_ppm",
                                tiers_ppm(&instrument->brackets[i].rate)));
    for (uint32_t i = 0; i < instrument->loss_count; i++)
        json_array_append_new(
            losses,
            json_pack("{s:s, s:o}", "dependency",
                      parameters->dependencies[instrument->losses[i].dependency].text, "loss_ppm",
                      tiers_ppm(&instrument->losses[i].loss)));
    return json_pack("{s:o, s:o, s:o}", "factors", loads, "concentration", brackets,
                     "dependencies", losses);
}

static json_t *instrument_facts(const struct venue *venue, uint32_t index)
{
    const struct pl_instrument *instrument = &venue->parameters->instruments[index];
    json_t *facts = json_pack(
        "{s:s, s:o, s:o, s:i, s:i, s:I, s:I, s:i, s:i}", "instrument",
        venue->names->ids[index].text, "haircut_long_ppm", tiers_ppm(&instrument->haircut_long),
        "haircut_short_ppm", tiers_ppm(&instrument->haircut_short), "confidence_ppm",
        instrument->confidence_ppm, "sale_discount_ppm", instrument->sale_discount_ppm,
        "sale_rank", (json_int_t)instrument->sale_rank, "age_ms_max",
        (json_int_t)instrument->price_rules.age_ms_max, "bad_mark_low_ppm",
        instrument->price_rules.bad_mark_low_ppm, "bad_mark_high_ppm",
        instrument->price_rules.bad_mark_high_ppm);
    json_t *steps = steps_facts(venue->parameters, instrument);
    json_object_update(facts, steps);
    json_decref(steps);
    return facts;
}

static json_t *threshold_facts(const struct explain_view *view)
{
    const struct venue *venue = view->scene->venue;
    const struct pl_policy *policy = &venue->parameters->policy;
    json_t *instruments = json_array();
    for (uint32_t i = 0; i < view->account->leg_count; i++)
        if (venue->parameters->instruments[view->legs[i].instrument].is_listed)
            json_array_append_new(instruments, instrument_facts(venue, view->legs[i].instrument));
    json_t *facts = json_pack(
        "{s:I, s:{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:I}, s:o}", "epoch",
        (json_int_t)venue->parameters->epoch, "policy", "order_valid_ms",
        (json_int_t)policy->order_valid_ms, "order_overdue_ms",
        (json_int_t)policy->order_overdue_ms, "revision_pause_ms",
        (json_int_t)policy->revision_pause_ms, "restricted_hold_ms",
        (json_int_t)policy->restricted_hold_ms, "alert_hysteresis_ppm",
        policy->alert_hysteresis_ppm, "watermark_age_ms_max",
        (json_int_t)policy->watermark_age_ms_max, "call_interval_ms_min",
        (json_int_t)policy->call_interval_ms_min, "grace_ms", (json_int_t)policy->grace_ms,
        "bad_debt_dust_usd", (json_int_t)policy->bad_debt_dust_usd, "instruments", instruments);
    json_t *said = json_object_get(facts, "policy");
    if (policy->close_factor_ppm > 0) {
        json_object_set_new(said, "close_factor_ppm", json_integer(policy->close_factor_ppm));
        json_object_set_new(said, "close_full_below_usd",
                            json_integer(policy->close_full_below_usd));
        json_object_set_new(said, "close_full_below_health_ppm",
                            json_integer(policy->close_full_below_health_ppm));
    }
    if (policy->close_leftover_usd_min > 0)
        json_object_set_new(said, "close_leftover_usd_min",
                            json_integer(policy->close_leftover_usd_min));
    if (policy->brake_window_ms > 0) {
        json_object_set_new(said, "brake_window_ms", json_integer(policy->brake_window_ms));
        json_object_set_new(said, "brake_depth_ppm", json_integer(policy->brake_depth_ppm));
    }
    return facts;
}

/* ---- orders in flight ------------------------------------------------------------------------ */

static json_t *pending_facts(const struct explain_view *view)
{
    static const char *const progresses[] = { "?", "open", "acknowledged", "terminal", "overdue" };
    json_t *array = json_array();
    uint32_t count = view->state.pending_count;
    uint32_t old_count = count - (view->decision.has_sale ? view->decision.sale.leg_count : 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct pl_pending *pending = &view->state.pending[i];
        unsigned decimals = pending->lot_decimals;
        char order_id[PL_UUID_TEXT_BYTES];
        pl_uuid_print(pending->order_id, order_id);
        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:o, s:b}", "order_id",
                      order_id, "instrument",
                      view->scene->venue->names->ids[pending->instrument].text, "side",
                      pending->side == PL_SIDE_SELL ? "sell" : "buy", "ordered",
                      explain_decimal(pending->ordered_lots, decimals), "executed",
                      explain_decimal(pending->executed_lots, decimals), "applied",
                      explain_decimal(pending->applied_lots, decimals), "reserved",
                      explain_decimal(explain_reserved_lots(pending), decimals), "limit_price",
                      explain_decimal(pending->limit_ticks, (unsigned)-pending->limit_exponent),
                      "progress", progresses[pending->progress], "valid_until_ms",
                      (json_int_t)pending->valid_until_ms, "reported_ms",
                      time_or_null(pending->reported_ms), "new", i >= old_count));
    }
    return array;
}

/* ---- document ------------------------------------------------------------------------------- */

static json_t *given_or_empty(const json_t *given)
{
    return given ? json_deep_copy(given) : json_array();
}

static void set_plan(const struct explain_view *view, json_t *document)
{
    const struct explain_scene *scene = view->scene;
    bool is_open = view->state.state >= PL_STATE_LIQUIDATING && scene->sale_sequence > 0;
    uint64_t sequence = view->decision.has_sale ? scene->entry->sequence
                        : is_open               ? scene->sale_sequence : 0;
    json_t *plan = explain_plan(view);
    if (json_is_null(plan) && is_open && scene->plan) {
        json_decref(plan);
        plan = json_deep_copy(scene->plan);
    }
    json_object_set_new(document, "sale_sequence",
                        sequence > 0 ? json_integer((json_int_t)sequence) : json_null());
    json_object_set_new(document, "plan", plan);
}

static void set_verdict(const struct explain_view *view, json_t *document)
{
    json_object_set_new(document, "watermark", watermark_facts(view));
    json_object_set_new(document, "state", state_facts(view));
    json_object_set_new(document, "holdings", holdings_facts(view));
    json_object_set_new(document, "verdict", verdict_facts(view));
    json_object_set_new(document, "thresholds", threshold_facts(view));
    json_object_set_new(document, "pending", pending_facts(view));
    set_plan(view, document);
}

json_t *explain_document(const struct explain_scene *scene)
{
    static struct explain_view view;
    char answer[EXPLAIN_ANSWER_BYTES];
    bool is_seen = explain_look(scene, &view);
    enum explain_reason reason = explain_answer(&view, answer);
    json_t *document = json_pack(
        "{s:s, s:s, s:s, s:i, s:o, s:b, s:o, s:n, s:n, s:n, s:n, s:n, s:[], s:n, s:n}", "answer",
        answer, "reason", explain_reason_word(reason), "account", scene->account.text, "partition",
        (int)scene->entry->partition, "journal", journal_facts(&view), "halted", view.is_halted,
        "halts", halt_facts(scene), "watermark", "state", "holdings", "verdict", "thresholds",
        "pending", "sale_sequence", "plan");
    if (is_seen)
        set_verdict(&view, document);
    if (is_seen && scene->goal)
        json_object_set_new(document, "optimise", optimise_facts(&view));
    json_object_set_new(document, "history", given_or_empty(scene->history));
    json_object_set_new(document, "alerts", given_or_empty(scene->alerts));
    return document;
}
