/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line: why an account was liquidated at an entry, or what held a sale back. The order
 * in which reasons are tried is the order in which pl_decide asks: was anything decided, is a sale
 * due, may it be made, is there anything to sell.
 */
#include <stdarg.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/explain.h"

const char *explain_reason_word(enum explain_reason reason)
{
    static const char *const words[EXPLAIN_REASON_COUNT] = {
        [EXPLAIN_SOLD] = "sold", [EXPLAIN_HEALTHY] = "healthy", [EXPLAIN_UNCERTAIN] = "uncertain",
        [EXPLAIN_OUT_OF_RANGE] = "out_of_range", [EXPLAIN_HOLDINGS] = "holdings",
        [EXPLAIN_HALTED] = "halted", [EXPLAIN_OVERDUE] = "order_overdue",
        [EXPLAIN_PAUSE] = "revision_pause", [EXPLAIN_BRAKED] = "brake",
        [EXPLAIN_PENDING] = "orders_pending",
        [EXPLAIN_NOTHING_TO_SELL] = "nothing_to_sell", [EXPLAIN_NO_ROOM] = "no_room",
        [EXPLAIN_NOT_DECIDING] = "not_deciding", [EXPLAIN_NO_PARAMETERS] = "no_parameters",
        [EXPLAIN_UNKNOWN] = "unknown" };
    return words[reason];
}

/* ---- text ----------------------------------------------------------------------------------- */

struct sentence {
    char *text;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *sentence, const char *format,
                                                      ...)
{
    va_list arguments;
    size_t room = EXPLAIN_ANSWER_BYTES - sentence->used;
    va_start(arguments, format);
    int size = vsnprintf(sentence->text + sentence->used, room, format, arguments);
    va_end(arguments);
    sentence->used += (size_t)size < room ? (size_t)size : room - 1;
}

static void say_number(struct sentence *sentence, pl_i128 value, unsigned decimals, bool with_sign)
{
    char decimal[64], text[EXPLAIN_NUMBER_BYTES];
    pl_decimal_print(value, decimals, decimal);
    say(sentence, "%s", explain_trimmed(decimal, with_sign, text));
}

static void say_excess(struct sentence *sentence, pl_i128 value)
{
    if (pl_abs(value) >= PL_EXCESS_UNBOUNDED) {
        say(sentence, "%s", value < 0 ? "-unbounded" : "unbounded");
        return;
    }
    say_number(sentence, value, 18, true);
    say(sentence, " USD");
}

static void say_bounds(struct sentence *sentence, const char *tier, const struct pl_bounds *excess)
{
    say(sentence, "its %s excess was ", tier);
    if (excess->low != excess->high) {
        say(sentence, "between ");
        say_excess(sentence, excess->low);
        say(sentence, " and ");
    }
    say_excess(sentence, excess->high);
}

static void say_order(struct sentence *sentence, const struct pl_names *names,
                      const struct pl_pending *pending, int64_t lots)
{
    say(sentence, "%s ", pending->side == PL_SIDE_SELL ? "sell" : "buy");
    say_number(sentence, lots, pending->lot_decimals, false);
    say(sentence, " %s at ", names->ids[pending->instrument].text);
    say_number(sentence, pending->limit_ticks, (unsigned)-pending->limit_exponent, false);
    say(sentence, " or better");
}

/* Of the first doubt: "its ETH mark was stale, 75 s old (at most 60 s)". */
static void say_doubt(struct sentence *sentence, const struct explain_view *view)
{
    const struct venue *venue = view->scene->venue;
    const struct pl_verdict *verdict = &view->decision.verdict;
    char age[WHEN_TIME_BYTES], most[WHEN_TIME_BYTES];
    if (verdict->doubt_count == 0)
        return;
    const struct pl_doubt *doubt = &verdict->doubts[0];
    uint32_t index = doubt->instrument;
    const char *of = index == UINT32_MAX ? "cash" : venue->names->ids[index].text;
    if (doubt->reason == PL_DOUBT_STALE || doubt->reason == PL_DOUBT_HALTED) {
        int64_t age_ms = view->scene->entry->clock_ms - venue->marks[index].event_time_ms;
        say(sentence, "its %s mark was %s, %s old (at most %s)", of,
            doubt->reason == PL_DOUBT_STALE ? "stale" : "halted", explain_span(age_ms, age),
            explain_span(venue->parameters->instruments[index].price_rules.age_ms_max, most));
    } else if (doubt->reason == PL_DOUBT_NO_MARK) {
        say(sentence, "its %s had no mark", of);
    } else {
        say(sentence, "its %s was %s", of, explain_doubt_name(doubt->reason));
    }
    if (verdict->doubt_count > 1)
        say(sentence, ", %u more in doubt", verdict->doubt_count - 1);
    say(sentence, ", and ");
}

/* ---- the reason ----------------------------------------------------------------------------- */

static bool is_below(const struct explain_view *view)
{
    return view->decision.verdict.excess[PL_TIER_MAINTENANCE].high < 0;
}

static bool is_in_unknown_mode(const struct explain_view *view)
{
    return !pl_mode_is_known(view->scene->venue->parameters, view->account->mode);
}

static bool is_blind(const struct explain_view *view)
{
    const struct pl_account *account = view->account;
    return account->has_gap || account->is_tainted || !account->has_holdings || is_in_unknown_mode(view);
}

static bool has_overdue(const struct pl_account_state *state)
{
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (state->pending[i].progress == PL_PROGRESS_OVERDUE)
            return true;
    return false;
}

/* Why a sale that is due was not made. */
static int64_t revision_after(const struct explain_view *view)
{
    return pl_revision_after(&view->scene->venue->market->parameters->policy, &view->state,
                             view->scene->entry->clock_ms);
}

static enum explain_reason held_back(const struct explain_view *view)
{
    static struct pl_sale sale;
    if (view->is_halted)
        return EXPLAIN_HALTED;
    if (has_overdue(&view->state))
        return EXPLAIN_OVERDUE;
    if (view->scene->entry->clock_ms < revision_after(view))
        return view->state.braked_ms > 0 ? EXPLAIN_BRAKED : EXPLAIN_PAUSE;
    pl_plan_sale(view->scene->venue->market, view->scene->venue->names, &view->portfolio, &sale);
    return sale.leg_count == 0 ? EXPLAIN_NOTHING_TO_SELL : EXPLAIN_NO_ROOM;
}

static enum explain_reason reason_of(const struct explain_view *view)
{
    const struct pl_verdict *verdict = &view->decision.verdict;
    if (!view->has_decided)
        return EXPLAIN_NOT_DECIDING;
    if (view->decision.has_sale)
        return EXPLAIN_SOLD;
    if (verdict->certainty == PL_OUT_OF_RANGE)
        return EXPLAIN_OUT_OF_RANGE;
    bool is_open = view->state.state >= PL_STATE_LIQUIDATING;
    if (!is_open && !is_below(view))
        return verdict->excess[PL_TIER_MAINTENANCE].low >= 0 ? EXPLAIN_HEALTHY : EXPLAIN_UNCERTAIN;
    if (is_blind(view))
        return EXPLAIN_HOLDINGS;
    if (is_below(view) ||
        (view->state.pending_count == 0 && verdict->excess[PL_TIER_END].high < 0))
        return held_back(view);
    return view->state.pending_count > 0 ? EXPLAIN_PENDING : EXPLAIN_UNCERTAIN;
}

/* ---- the sentence --------------------------------------------------------------------------- */

static void say_readiness(struct sentence *sentence, const struct explain_view *view)
{
    const struct pl_journal *entry = view->scene->entry;
    const struct venue *venue = view->scene->venue;
    char age[WHEN_TIME_BYTES], most[WHEN_TIME_BYTES];
    say(sentence, " because partition %d was %s", (int)entry->partition,
        explain_readiness_name(entry->readiness));
    if (entry->readiness == PL_READINESS_WAITING && venue->has_parameters)
        say(sentence, ": its positions were in up to %s before, at most %s is allowed",
            explain_span(entry->clock_ms - view->scene->ledger->watermark.time_ms, age),
            explain_span(venue->parameters->policy.watermark_age_ms_max, most));
    if (entry->readiness == PL_READINESS_DIVERGED)
        say(sentence, ": its self-audit had found a difference");
}

static void say_halt(struct sentence *sentence, const struct explain_view *view)
{
    const struct explain_halt *halts = view->scene->halts;
    char since[WHEN_TIME_BYTES];
    const struct explain_halt *halt = &halts[halts[0].is_set ? 0 : 1];
    const char *what = halts[0].is_set ? "everything" : "the account";
    if (!halt->is_set) {
        say(sentence, " because it was halted");
        return;
    }
    if (halt->control.epoch == 0)
        say(sentence, " because everything was halted by a control record that cannot be read, "
            "since %s", when_print_time(halt->control.created_ms, since));
    else
        say(sentence, " because %s was halted by %s since %s (%s)", what, halt->control.actor,
            when_print_time(halt->control.created_ms, since), halt->control.reason);
}

static void say_holdings(struct sentence *sentence, const struct explain_view *view)
{
    const struct pl_record_holdings *record = view->scene->record;
    const char *source = NULL;
    for (uint32_t i = 0; record && i < record->source_count && !source; i++)
        if (record->sources[i].has_gap)
            source = record->sources[i].id.text;
    if (!view->account->has_holdings)
        say(sentence, " because no holdings of it are known");
    else if (view->account->is_tainted)
        say(sentence, " because a record of its holdings could not be read");
    else if (is_in_unknown_mode(view) && !view->account->has_gap)
        say(sentence, " because it is in mode %u, which the parameters do not have",
            view->account->mode);
    else
        say(sentence, " because its holdings have a gap%s%s", source ? ": events are missing from "
                                                                     : "", source ? source : "");
}

static void say_pending(struct sentence *sentence, const struct explain_view *view, bool overdue)
{
    const struct pl_account_state *state = &view->state;
    const char *between = ": ";
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        if (overdue && pending->progress != PL_PROGRESS_OVERDUE)
            continue;
        say(sentence, "%s", between);
        say_order(sentence, view->scene->venue->names, pending,
                  overdue ? pending->ordered_lots : explain_reserved_lots(pending));
        between = ", ";
    }
}

static void say_sold(struct sentence *sentence, const struct explain_view *view)
{
    const struct pl_account_state *state = &view->state;
    const struct pl_sale *sale = &view->decision.sale;
    bool is_below_line = sale->maintenance_before < 0;
    char time[WHEN_TIME_BYTES];
    say(sentence, ": ");
    say_bounds(sentence, is_below_line ? "maintenance" : "end",
               &view->decision.verdict.excess[is_below_line ? PL_TIER_MAINTENANCE : PL_TIER_END]);
    say(sentence, "; ordered: ");
    for (uint32_t i = state->pending_count - sale->leg_count; i < state->pending_count; i++) {
        say_order(sentence, view->scene->venue->names, &state->pending[i],
                  state->pending[i].ordered_lots);
        say(sentence, i + 1 < state->pending_count ? ", " : "");
    }
    if (sale->is_bankrupt)
        say(sentence, "; all that may be sold does not reach the end tier's line");
    if (sale->is_braked)
        say(sentence, "; the brake holds back the rest until %s",
            when_print_time(state->revision_after_ms, time));
}

static void say_held_back(struct sentence *sentence, const struct explain_view *view,
                          enum explain_reason reason)
{
    char time[WHEN_TIME_BYTES];
    switch (reason) {
    case EXPLAIN_HOLDINGS:
        say_holdings(sentence, view);
        break;
    case EXPLAIN_HALTED:
        say_halt(sentence, view);
        break;
    case EXPLAIN_OVERDUE:
        say(sentence, " because an order of it is overdue, and what became of it is not known");
        say_pending(sentence, view, true);
        break;
    case EXPLAIN_PAUSE:
        say(sentence, " because after revision %u the next one waits until %s",
            view->state.revision, when_print_time(revision_after(view), time));
        break;
    case EXPLAIN_BRAKED:
        say(sentence, " because others have used what the brake lets pass, and it waits until %s",
            when_print_time(revision_after(view), time));
        break;
    case EXPLAIN_PENDING:
        say(sentence, " because orders for the deficit are pending");
        say_pending(sentence, view, false);
        break;
    case EXPLAIN_NOTHING_TO_SELL:
        say(sentence, " because nothing of it may be sold");
        break;
    case EXPLAIN_NO_ROOM:
        say(sentence, " because its %u pending orders leave too few places for the plan's",
            view->state.pending_count);
        break;
    case EXPLAIN_SOLD: case EXPLAIN_HEALTHY: case EXPLAIN_UNCERTAIN: case EXPLAIN_OUT_OF_RANGE:
    case EXPLAIN_NOT_DECIDING: case EXPLAIN_NO_PARAMETERS: case EXPLAIN_UNKNOWN:
    case EXPLAIN_REASON_COUNT:
        pl_assert_failed("a reason that holds back", __FILE__, __LINE__);
    }
    say(sentence, "; ");
    bool is_end = !is_below(view);
    say_bounds(sentence, is_end ? "end" : "maintenance",
               &view->decision.verdict.excess[is_end ? PL_TIER_END : PL_TIER_MAINTENANCE]);
}

static void say_uncertain(struct sentence *sentence, const struct explain_view *view)
{
    const struct pl_bounds *excess = view->decision.verdict.excess;
    bool is_end = excess[PL_TIER_MAINTENANCE].low >= 0;
    say(sentence, " because ");
    say_doubt(sentence, view);
    say(sentence, "the verdict uncertain: ");
    say_bounds(sentence, is_end ? "end" : "maintenance",
               &excess[is_end ? PL_TIER_END : PL_TIER_MAINTENANCE]);
}

static void say_reason(struct sentence *sentence, const struct explain_view *view,
                       enum explain_reason reason)
{
    if (reason == EXPLAIN_NOT_DECIDING) {
        say_readiness(sentence, view);
    } else if (reason == EXPLAIN_SOLD) {
        say_sold(sentence, view);
    } else if (reason == EXPLAIN_OUT_OF_RANGE) {
        say(sentence, " because a number of it left the exact range");
    } else if (reason == EXPLAIN_UNCERTAIN) {
        say_uncertain(sentence, view);
    } else if (reason == EXPLAIN_HEALTHY) {
        say(sentence, ": ");
        say_bounds(sentence, "maintenance", &view->decision.verdict.excess[PL_TIER_MAINTENANCE]);
        if (is_blind(view))
            say(sentence, ", as far as its holdings are known");
    } else {
        say_held_back(sentence, view, reason);
    }
}

enum explain_reason explain_answer(const struct explain_view *view,
                                   char answer[EXPLAIN_ANSWER_BYTES])
{
    struct sentence sentence = { .text = answer };
    const struct explain_scene *scene = view->scene;
    char time[WHEN_TIME_BYTES];
    when_print_time(scene->entry->clock_ms, time);
    if (!view->is_known) {
        say(&sentence, "%s was unknown at %s: partition %d had read no holdings and no state of "
            "it.", scene->account.text, time, (int)scene->entry->partition);
        return EXPLAIN_UNKNOWN;
    }
    if (!scene->venue->has_parameters) {
        say(&sentence, "%s was not liquidated at %s because no parameters were in force.",
            scene->account.text, time);
        return EXPLAIN_NO_PARAMETERS;
    }
    enum explain_reason reason = reason_of(view);
    say(&sentence, "%s was %s at %s", scene->account.text,
        reason == EXPLAIN_SOLD ? "liquidated" : "not liquidated", time);
    say_reason(&sentence, view, reason);
    say(&sentence, ".");
    return reason;
}
