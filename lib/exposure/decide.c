/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of an account: quantities in flight, doubts, the states of RISK 1.7, and the sale
 * that is due. Stop 5 of the event's path, between evaluation and plan. A pure function of its
 * arguments, so replay may decide again and must come to the same (G2). Here stand the rules that
 * nobody is sold on a doubtful input (G4), that a deficit is sold once (G5), and that a halt stops
 * sales (G8).
 *
 * All lines are crossed for certain or not at all: down when the upper bound is below, up again
 * when the lower bound is not. In between the account stays what it was.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/exposure/terms.h"

/* A moment that is not reached within 64 bits is never reached. */
static int64_t later(int64_t time_ms, int64_t duration_ms)
{
    int64_t sum;
    return __builtin_add_overflow(time_ms, duration_ms, &sum) ? INT64_MAX : sum;
}

/* ---- quantities in flight (G5) -------------------------------------------------------------- */

static const struct pl_leg *find_leg(const struct pl_leg *legs, uint32_t leg_count,
                                     uint32_t instrument)
{
    for (uint32_t i = 0; i < leg_count; i++)
        if (legs[i].instrument == instrument) return &legs[i];
    return NULL;
}

/*
 * A source that settles by time shows every order that was over before its newest event. A leg that
 * is gone names no source; nothing of it is left to sell, so the same rule serves.
 */
static bool is_settled_by_time(const struct pl_book *book, uint32_t index,
                               const struct pl_pending *pending)
{
    const struct pl_account *account = pl_book_at(book, index);
    if (pending->progress != PL_PROGRESS_TERMINAL ||
        account->event_time_ms < pending->reported_ms)
        return false;
    const struct pl_leg *leg =
        find_leg(pl_book_legs(book, index), account->leg_count, pending->instrument);
    return !leg || leg->settles_by_time;
}

/* How much of the order the holdings show. It never falls: holdings remember so many orders only.
 * */
static int64_t applied_lots(const struct pl_book *book, uint32_t index,
                            const struct pl_pending *pending)
{
    const struct pl_applied *applied = pl_book_applied(book, index);
    int64_t most = pending->applied_lots;
    for (uint32_t i = 0; i < pl_book_at(book, index)->applied_count; i++) {
        if (memcmp(applied[i].order_id, pending->order_id, PL_ORDER_ID_BYTES) != 0) continue;
        int64_t lots;
        /* What has no room in 64 bits is more than any order. */
        if (pl_rescale(applied[i].cumulative.mantissa, applied[i].cumulative.exponent,
                       pending->lot_decimals, PL_ROUND_FLOOR, &lots))
            lots = INT64_MAX;
        if (lots > most) most = lots;
    }
    if (pending->executed_lots > most && is_settled_by_time(book, index, pending))
        most = pending->executed_lots;
    return most;
}

/* What may still change the holdings. A venue may fill more than was ordered; that counts too. */
static int64_t open_lots(const struct pl_pending *pending, int64_t applied)
{
    int64_t whole = pending->executed_lots;
    if (pending->progress != PL_PROGRESS_TERMINAL && pending->ordered_lots > whole)
        whole = pending->ordered_lots;
    return whole > applied ? whole - applied : 0;
}

/* ---- effective portfolio -------------------------------------------------------------------- */

/*
 * Value of so many lots at the order's limit, exactly: V7 made lot and tick decimals of the set it
 * was decided with add up to 12 at most. False when it is beyond any cash, which no real order is.
 */
static bool value_at_limit(const struct pl_pending *pending, int64_t lots, pl_i128 *value_vu)
{
    int shift = 12 - (int)pending->lot_decimals + pending->limit_exponent;
    /* One lot is below 2^63 * 10^12 < 2^103. */
    return shift >= 0 && shift <= 12 &&
           !pl_mul_overflows(pending->limit_ticks * pl_pow10((unsigned)shift), lots, value_vu) &&
           *value_vu <= PL_CASH_VU_MAX;
}

/* A cash that evaluation refuses, and from which no order leads back: the verdict is out-of-range,
 * which nobody is sold on. */
static void leave_range(struct pl_portfolio *portfolio)
{
    portfolio->cash_vu = portfolio->final_cash_vu = PL_EXCESS_UNBOUNDED;
}

/* The part of an order that a position of `held` lots has room for: it ends at 0, never turns. */
static int64_t part_of(const struct pl_pending *pending, int64_t lots, int64_t held)
{
    if (pending->side == PL_SIDE_BUY) held = held == INT64_MIN ? INT64_MAX : -held;
    if (held <= 0) return 0;
    return lots < held ? lots : held;
}

/* Counts a pending order as executed. Counted and final side are taken down each by its own part,
 * so that counted <= final stays true of lots and cash. */
static void execute(const struct pl_pending *pending, int64_t lots, struct pl_leg *leg,
                    struct pl_portfolio *portfolio)
{
    int64_t counted = part_of(pending, lots, leg->lots);
    int64_t final = part_of(pending, lots, leg->final_lots);
    pl_i128 counted_vu, final_vu;
    if (!value_at_limit(pending, counted, &counted_vu) ||
        !value_at_limit(pending, final, &final_vu)) {
        leave_range(portfolio);
        return;
    }
    bool is_sell = pending->side == PL_SIDE_SELL;
    leg->lots -= is_sell ? counted : -counted;
    leg->final_lots -= is_sell ? final : -final;
    portfolio->cash_vu += is_sell ? counted_vu : -counted_vu;
    portfolio->final_cash_vu += is_sell ? final_vu : -final_vu;
}

/* The leg's size is not known, hence neither the part that was sold: the cash is open instead. */
static void execute_unknown(const struct pl_pending *pending, int64_t lots,
                            struct pl_portfolio *portfolio)
{
    pl_i128 value_vu;
    if (!value_at_limit(pending, lots, &value_vu)) leave_range(portfolio);
    else if (pending->side == PL_SIDE_SELL) portfolio->final_cash_vu += value_vu;
    else portfolio->cash_vu -= value_vu;
}

void pl_effective_portfolio(const struct pl_book *book, uint32_t index,
                            const struct pl_account_state *state,
                            const struct pl_market *market, struct pl_leg *legs,
                            struct pl_portfolio *portfolio)
{
    const struct pl_account *account = pl_book_at(book, index);
    pl_assert(account->leg_count <= PL_LEGS_MAX && state->pending_count <= PL_PENDING_MAX);
    *portfolio = pl_book_portfolio(book, index);
    if (state->pending_count == 0) return;
    memcpy(legs, portfolio->legs, account->leg_count * sizeof legs[0]);
    portfolio->legs = legs;
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        int64_t lots = open_lots(pending, applied_lots(book, index, pending));
        const struct pl_leg *found = find_leg(legs, account->leg_count, pending->instrument);
        if (lots == 0 || !found) continue;
        struct pl_leg *leg = &legs[found - legs];
        const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
        if (leg->is_unlisted_amount) execute_unknown(pending, lots, portfolio);
        else if (instrument->is_listed && instrument->lot_decimals != pending->lot_decimals)
            leave_range(portfolio); /* listed anew in other lots: they cannot be compared */
        else execute(pending, lots, leg, portfolio);
    }
}

/* ---- reports -------------------------------------------------------------------------------- */

static struct pl_pending *find_pending(struct pl_account_state *state, const uint8_t *order_id)
{
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (memcmp(state->pending[i].order_id, order_id, PL_ORDER_ID_BYTES) == 0)
            return &state->pending[i];
    return NULL;
}

bool pl_state_apply_execution(struct pl_account_state *state, const struct pl_execution *execution)
{
    struct pl_pending *pending = find_pending(state, execution->order_id);
    if (!pending) return false;
    pl_assert(execution->cumulative_mantissa >= 0);
    int64_t lots;
    /* What has no room in 64 bits is more than any position: the whole leg counts as gone. */
    if (pl_rescale(execution->cumulative_mantissa, execution->cumulative_exponent,
                   pending->lot_decimals, PL_ROUND_FLOOR, &lots))
        lots = INT64_MAX;
    bool has_grown = lots > pending->executed_lots;
    bool is_first_end = execution->is_terminal && pending->progress != PL_PROGRESS_TERMINAL;
    if (has_grown) pending->executed_lots = lots;
    if (is_first_end) pending->progress = PL_PROGRESS_TERMINAL;
    else if (pending->progress == PL_PROGRESS_OPEN) pending->progress = PL_PROGRESS_ACKNOWLEDGED;
    /* A fill that is told of after the end is shown no earlier than it is told of. */
    if (pending->progress == PL_PROGRESS_TERMINAL && (is_first_end || has_grown) &&
        execution->event_time_ms > pending->reported_ms)
        pending->reported_ms = execution->event_time_ms;
    return true;
}

static bool is_past_deadline(const struct pl_market *market, const struct pl_pending *pending)
{
    return market->now_ms >
           later(pending->valid_until_ms, market->parameters->policy.order_overdue_ms);
}

/*
 * Brings each order up to the holdings and the clock, and releases what is over and shown. An order
 * that nobody ended in time is overdue, unless the holdings show all of it: then it is over.
 */
static void settle_pending(const struct pl_market *market, const struct pl_book *book,
                           uint32_t index, struct pl_account_state *state)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < state->pending_count; i++) {
        struct pl_pending pending = state->pending[i];
        pending.applied_lots = applied_lots(book, index, &pending);
        bool is_terminal = pending.progress == PL_PROGRESS_TERMINAL;
        bool is_late = !is_terminal && is_past_deadline(market, &pending);
        if ((is_terminal || is_late) && open_lots(&pending, pending.applied_lots) == 0) continue;
        if (is_late) pending.progress = PL_PROGRESS_OVERDUE;
        state->pending[kept++] = pending;
    }
    state->pending_count = kept;
}

/* ---- doubts (G4) ---------------------------------------------------------------------------- */

static bool straddles(const struct pl_bounds *excess)
{
    return excess->low < 0 && excess->high >= 0;
}

/* What we hold to be the account's holdings is not what they are, or cannot be calculated with. */
static bool is_blind(const struct pl_market *market, const struct pl_account *account,
                     const struct pl_verdict *verdict)
{
    return account->has_gap || account->is_tainted || !account->has_holdings ||
           verdict->certainty == PL_OUT_OF_RANGE ||
           !pl_mode_is_known(market->parameters, account->mode);
}

static bool has_overdue(const struct pl_account_state *state)
{
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (state->pending[i].progress == PL_PROGRESS_OVERDUE) return true;
    return false;
}

/*
 * Lists what could change the decision: doubtful legs if they leave open on which side of the line
 * the account is, in the order of ids, then what is wrong with the account as a whole.
 */
static void list_doubts(const struct pl_market *market, const struct pl_account *account,
                        const struct pl_verdict *verdict, struct pl_account_state *state)
{
    enum pl_doubt_reason whole[5];
    uint32_t whole_count = 0, leg_count = 0;
    if (account->has_gap || !account->has_holdings) whole[whole_count++] = PL_DOUBT_GAP;
    if (account->is_tainted) whole[whole_count++] = PL_DOUBT_TAINTED;
    if (has_overdue(state)) whole[whole_count++] = PL_DOUBT_ORDER_OVERDUE;
    if (verdict->certainty == PL_OUT_OF_RANGE) whole[whole_count++] = PL_DOUBT_OUT_OF_RANGE;
    if (!pl_mode_is_known(market->parameters, account->mode)) whole[whole_count++] = PL_DOUBT_MODE;

    if (straddles(&verdict->excess[PL_TIER_MAINTENANCE]) ||
        (state->state >= PL_STATE_LIQUIDATING && straddles(&verdict->excess[PL_TIER_END]))) {
        pl_assert(verdict->doubt_count > 0 || verdict->certainty == PL_OUT_OF_RANGE);
        leg_count = verdict->doubt_count;
        if (leg_count > PL_DOUBTS_MAX - whole_count) leg_count = PL_DOUBTS_MAX - whole_count;
    }
    memcpy(state->doubts, verdict->doubts, leg_count * sizeof state->doubts[0]);
    for (uint32_t i = 0; i < whole_count; i++)
        state->doubts[leg_count + i] =
            (struct pl_doubt){.instrument = UINT32_MAX, .reason = whole[i]};
    state->doubt_count = leg_count + whole_count;
}

/* ---- states (RISK 1.7) ---------------------------------------------------------------------- */

/* The worst state whose line is crossed for certain. */
static enum pl_state crossed(const struct pl_verdict *verdict)
{
    if (verdict->excess[PL_TIER_MAINTENANCE].high < 0) return PL_STATE_LIQUIDATING;
    if (verdict->excess[PL_TIER_INITIAL].high < 0) return PL_STATE_RESTRICTED;
    if (verdict->excess[PL_TIER_ALERT].high < 0) return PL_STATE_ALERT;
    return PL_STATE_OK;
}

/* Hysteresis: 10^6 A in units of the excess is A in VU * ppm, as the share of the gross value is.
 * */
static bool is_alert_over(const struct pl_market *market, const struct pl_verdict *verdict)
{
    pl_i128 line;
    return !pl_mul_overflows(verdict->gross_vu, market->parameters->policy.alert_hysteresis_ppm,
                             &line) &&
           verdict->excess[PL_TIER_ALERT].low >= line;
}

/* Where an account goes that leaves the states above: the first one whose end has not come. */
static enum pl_state recovered(const struct pl_market *market, const struct pl_verdict *verdict)
{
    if (verdict->excess[PL_TIER_INITIAL].low < 0) return PL_STATE_RESTRICTED;
    return is_alert_over(market, verdict) ? PL_STATE_OK : PL_STATE_ALERT;
}

static enum pl_state next_state(const struct pl_market *market, const struct pl_verdict *verdict,
                                const struct pl_account_state *state)
{
    const struct pl_bounds *excess = verdict->excess;
    enum pl_state entered = crossed(verdict);
    switch (state->state) {
    case PL_STATE_OK:
        return entered;
    case PL_STATE_ALERT:
        if (entered > PL_STATE_ALERT) return entered;
        return is_alert_over(market, verdict) ? PL_STATE_OK : PL_STATE_ALERT;
    case PL_STATE_RESTRICTED:
        if (entered == PL_STATE_LIQUIDATING) return entered;
        if (state->whole_since_ms < 0 || market->now_ms - state->whole_since_ms <
                                             market->parameters->policy.restricted_hold_ms)
            return PL_STATE_RESTRICTED;
        return recovered(market, verdict);
    case PL_STATE_LIQUIDATING:
        if (excess[PL_TIER_END].low < 0 || state->pending_count > 0) return PL_STATE_LIQUIDATING;
        return recovered(market, verdict);
    case PL_STATE_BANKRUPT:
        if (excess[PL_TIER_MAINTENANCE].low < 0 || state->pending_count > 0)
            return PL_STATE_BANKRUPT;
        return excess[PL_TIER_END].low < 0 ? PL_STATE_LIQUIDATING : recovered(market, verdict);
    }
    pl_assert_failed("a state", __FILE__, __LINE__);
}

/* Moves on if anything is known for certain; a blind account stays what it was. */
static void move(const struct pl_market *market, const struct pl_account *account,
                 const struct pl_verdict *verdict, struct pl_account_state *state)
{
    enum pl_state left = state->state;
    bool is_known = !is_blind(market, account, verdict);
    bool is_whole = is_known && verdict->excess[PL_TIER_INITIAL].low >= 0;
    if (left != PL_STATE_RESTRICTED || !is_whole) state->whole_since_ms = -1;
    else if (state->whole_since_ms < 0) state->whole_since_ms = market->now_ms;

    if (is_known) state->state = next_state(market, verdict, state);
    if (state->state != PL_STATE_RESTRICTED) state->whole_since_ms = -1;
    if (left < PL_STATE_LIQUIDATING && state->state >= PL_STATE_LIQUIDATING) state->episode++;
    if (state->state < PL_STATE_LIQUIDATING) {
        state->revision = 0;
        state->revision_after_ms = state->braked_ms = 0;
    }
}

/* ---- sale ----------------------------------------------------------------------------------- */

/*
 * Doubtful legs stop no sale by themselves: they widen the bounds, and what is below at the upper
 * one is below. An account that is in doubt as a whole has no such bound (G4).
 */
static bool is_sale_due(const struct pl_market *market, const struct pl_account *account,
                        const struct pl_verdict *verdict, const struct pl_account_state *state)
{
    if (state->state < PL_STATE_LIQUIDATING) return false;
    if (is_blind(market, account, verdict) || has_overdue(state)) return false;
    if (market->now_ms < pl_revision_after(&market->parameters->policy, state, market->now_ms)) return false;
    if (verdict->excess[PL_TIER_MAINTENANCE].high < 0) return true;
    return state->pending_count == 0 && verdict->excess[PL_TIER_END].high < 0;
}

static void add_pending(const struct pl_market *market, const struct pl_sale_leg *leg,
                        struct pl_account_state *state)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    pl_assert(state->pending_count < PL_PENDING_MAX);
    state->pending[state->pending_count++] = (struct pl_pending){
        .instrument = leg->instrument,
        .side = leg->side,
        .progress = PL_PROGRESS_OPEN,
        .lot_decimals = instrument->lot_decimals,
        .ordered_lots = leg->lots,
        .limit_ticks = leg->limit_ticks,
        .limit_exponent = -(int32_t)instrument->tick_decimals,
        .valid_until_ms = later(market->now_ms, market->parameters->policy.order_valid_ms),
    };
}

int64_t pl_revision_after(const struct pl_policy *policy, const struct pl_account_state *state,
                          int64_t now_ms)
{
    if (state->braked_ms == 0) return state->revision_after_ms;
    int64_t last_ms = now_ms;
    if (policy->brake_window_ms > 0)
        last_ms = later(pl_brake_window(policy, now_ms), policy->brake_window_ms);
    /* Later than this policy makes anybody wait: another one did. */
    return state->revision_after_ms > later(last_ms, policy->revision_pause_ms) ? now_ms
                                                                                : state->revision_after_ms;
}

/* What the brake holds back keeps its place since the first time. Where it leaves nothing at all the next
 * window is waited for; else the next revision asks for what others may have left, or for other legs'
 * slices. */
static void brake(const struct pl_market *market, bool is_braked, bool has_sale,
                  struct pl_account_state *state)
{
    const struct pl_policy *policy = &market->parameters->policy;
    state->revision_after_ms = pl_revision_after(policy, state, market->now_ms);
    if (!is_braked) {
        state->braked_ms = 0; /* and waits no longer for another policy's window, whatever is planned */
        return;
    }
    if (state->braked_ms == 0) state->braked_ms = market->now_ms;
    if (has_sale) return;
    state->revision_after_ms =
        later(pl_brake_window(policy, market->now_ms), policy->brake_window_ms);
}

/*
 * Plans for what is left after all that is pending, and takes the plan if there are places for it.
 * An account that is above maintenance is not bankrupt, even if the end tier is beyond its means.
 */
static void sell(const struct pl_market *market, const struct pl_names *names,
                 const struct pl_portfolio *portfolio, struct pl_decision *decision)
{
    struct pl_account_state *state = &decision->state;
    struct pl_sale *sale = &decision->sale;
    pl_plan_sale(market, names, portfolio, sale);
    bool has_room = sale->leg_count <= PL_PENDING_MAX - state->pending_count;
    brake(market, sale->is_braked || (!has_room && market->left_lots),
          has_room && sale->leg_count > 0, state);
    if (!has_room) return;
    if (sale->is_bankrupt && decision->verdict.excess[PL_TIER_MAINTENANCE].high < 0)
        state->state = PL_STATE_BANKRUPT;
    if (sale->leg_count == 0) return;
    decision->has_sale = true;
    state->revision++;
    state->revision_after_ms = later(market->now_ms, market->parameters->policy.revision_pause_ms);
    for (uint32_t i = 0; i < sale->leg_count; i++)
        add_pending(market, &sale->legs[i], state);
}

/* ---- bad debt -------------------------------------------------------------------------------- */

/* Whether what is in flight, this step's sale among it, is dust at its limits. */
static bool is_dust(const struct pl_market *market, const struct pl_account_state *state)
{
    pl_i128 left_vu = market->parameters->policy.bad_debt_dust_usd * (pl_i128)PL_USD_VU;
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        pl_i128 value_vu;
        if (!value_at_limit(pending, open_lots(pending, pending->applied_lots), &value_vu) ||
            value_vu > left_vu)
            return false;
        left_vu -= value_vu;
    }
    return true;
}

/* Notes a debt that no sale will cover, once in a bankruptcy. */
static void find_bad_debt(const struct pl_market *market, struct pl_decision *decision)
{
    struct pl_account_state *state = &decision->state;
    const struct pl_sale *sale = &decision->sale;
    const struct pl_bounds *equity = &decision->verdict.equity_vu;
    bool is_planned = state->state == PL_STATE_BANKRUPT && sale->is_bankrupt && !sale->is_braked &&
                      (decision->has_sale || sale->leg_count == 0);
    if (is_planned && state->bad_debt_vu == 0 && equity->high < 0 && is_dust(market, state))
        state->bad_debt_vu = -equity->high;
}

/* ---- margin calls ---------------------------------------------------------------------------- */

/* A call is made on entering RESTRICTED or worse, and over when that is left. It keeps the grace that
 * it was made with: a new policy moves no deadline. */
static void call_margin(const struct pl_market *market, enum pl_state left,
                        struct pl_account_state *state)
{
    int64_t grace_ms = market->parameters->policy.grace_ms;
    if (state->state < PL_STATE_RESTRICTED) {
        state->called_ms = state->due_ms = 0;
    } else if (left < PL_STATE_RESTRICTED && grace_ms > 0) {
        state->called_ms = market->now_ms;
        state->due_ms = later(market->now_ms, grace_ms);
    }
}

/* The deadline that has passed with initial margin certainly not whole; it is told once. 0: none. */
static int64_t take_expired(const struct pl_market *market, const struct pl_account *account,
                            const struct pl_verdict *verdict, struct pl_account_state *state)
{
    int64_t due_ms = state->due_ms;
    if (due_ms == 0 || market->now_ms < due_ms || is_blind(market, account, verdict) ||
        verdict->excess[PL_TIER_INITIAL].high >= 0)
        return 0;
    state->due_ms = 0;
    return due_ms;
}

bool pl_is_told_lately(const struct pl_market *market, const struct pl_account_state *state)
{
    if (state->state >= PL_STATE_LIQUIDATING) return false;
    for (uint32_t i = 0; i < state->told_count; i++)
        if (state->told[i].state == state->state)
            return market->now_ms < later(state->told[i].told_ms,
                                          market->parameters->policy.call_interval_ms_min);
    return false;
}

/* Remembers that the state is told, as long as the policy asks how long ago that was. */
static void note_told(const struct pl_market *market, struct pl_account_state *state)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < state->told_count; i++)
        if (state->told[i].state != state->state) state->told[kept++] = state->told[i];
    state->told_count = 0;
    if (market->parameters->policy.call_interval_ms_min == 0) return;
    pl_assert(kept < PL_TOLD_MAX);
    state->told[kept] = (struct pl_told){.state = state->state, .told_ms = market->now_ms};
    state->told_count = kept + 1;
}

/* ---- what is told --------------------------------------------------------------------------- */

static struct pl_alert *add_alert(struct pl_decision *decision, enum pl_alert_kind kind)
{
    pl_assert(decision->alert_count < PL_DECISION_ALERTS_MAX);
    struct pl_alert *alert = &decision->alerts[decision->alert_count++];
    *alert = (struct pl_alert){.kind = kind};
    return alert;
}

static bool has_doubt(const struct pl_account_state *state, enum pl_doubt_reason reason)
{
    for (uint32_t i = 0; i < state->doubt_count; i++)
        if (state->doubts[i].reason == reason) return true;
    return false;
}

/* Of a leg its instrument: another reason to mend the same thing is no other doubt. */
static bool had_doubt(const struct pl_account_state *prior, const struct pl_doubt *doubt)
{
    for (uint32_t i = 0; i < prior->doubt_count; i++)
        if (prior->doubts[i].instrument == doubt->instrument &&
            (doubt->instrument != UINT32_MAX || prior->doubts[i].reason == doubt->reason))
            return true;
    return false;
}

/* Something has to be mended that was not told of before. Where there was doubt already, orders and numbers
 * have alerts of their own. */
static bool has_more_doubts(const struct pl_account_state *prior,
                            const struct pl_account_state *state)
{
    for (uint32_t i = 0; i < state->doubt_count; i++) {
        const struct pl_doubt *doubt = &state->doubts[i];
        bool has_own = doubt->reason == PL_DOUBT_ORDER_OVERDUE || doubt->reason == PL_DOUBT_OUT_OF_RANGE;
        if (prior->doubt_count == 0 || (!has_own && !had_doubt(prior, doubt))) return true;
    }
    return false;
}

static bool was_overdue(const struct pl_account_state *prior, const struct pl_pending *pending)
{
    for (uint32_t i = 0; i < prior->pending_count; i++)
        if (memcmp(prior->pending[i].order_id, pending->order_id, PL_ORDER_ID_BYTES) == 0)
            return prior->pending[i].progress == PL_PROGRESS_OVERDUE;
    return false;
}

/* The state, if it is not what was told last and there is no reason to wait. */
static void tell_state(const struct pl_market *market, const struct pl_account_state *prior,
                       struct pl_decision *decision)
{
    struct pl_account_state *state = &decision->state;
    const struct pl_told *last = prior->told_count > 0 ? &prior->told[prior->told_count - 1] : NULL;
    enum pl_state left = last ? last->state : prior->state;
    if (state->state == left || pl_is_told_lately(market, state)) return;
    struct pl_alert *alert = add_alert(decision, PL_ALERT_STATE);
    alert->left = left;
    alert->entered = state->state;
    alert->since_ms = prior->state == left ? prior->since_ms : last->told_ms;
    note_told(market, state);
}

/* Alerts are the differences between the last state and the next one, so each is told once. */
static void tell(const struct pl_market *market, const struct pl_account_state *prior,
                 int64_t expired_ms, struct pl_decision *decision)
{
    const struct pl_account_state *state = &decision->state;
    tell_state(market, prior, decision);
    if (has_more_doubts(prior, state)) add_alert(decision, PL_ALERT_UNCERTAIN);
    if (prior->doubt_count > 0 && state->doubt_count == 0) add_alert(decision, PL_ALERT_CERTAIN);
    if (has_doubt(state, PL_DOUBT_OUT_OF_RANGE) && !has_doubt(prior, PL_DOUBT_OUT_OF_RANGE))
        add_alert(decision, PL_ALERT_OUT_OF_RANGE);
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        if (pending->progress == PL_PROGRESS_OVERDUE && !was_overdue(prior, pending))
            memcpy(add_alert(decision, PL_ALERT_ORDER_OVERDUE)->order_id, pending->order_id,
                   PL_ORDER_ID_BYTES);
    }
    if (prior->bad_debt_vu == 0 && state->bad_debt_vu > 0) add_alert(decision, PL_ALERT_BAD_DEBT);
    for (uint32_t i = 0; i < decision->alert_count; i++)
        decision->alerts[i].due_ms = state->due_ms;
    if (expired_ms > 0) add_alert(decision, PL_ALERT_CALL_EXPIRED)->due_ms = expired_ms;
}

static bool pendings_are_equal(const struct pl_pending *a, const struct pl_pending *b)
{
    return memcmp(a->order_id, b->order_id, PL_ORDER_ID_BYTES) == 0 &&
           a->instrument == b->instrument && a->side == b->side && a->progress == b->progress &&
           a->lot_decimals == b->lot_decimals && a->ordered_lots == b->ordered_lots &&
           a->executed_lots == b->executed_lots && a->applied_lots == b->applied_lots &&
           a->limit_ticks == b->limit_ticks && a->limit_exponent == b->limit_exponent &&
           a->valid_until_ms == b->valid_until_ms && a->reported_ms == b->reported_ms;
}

/* All that is published but the version. */
static bool states_are_equal(const struct pl_account_state *a, const struct pl_account_state *b)
{
    bool is_equal = a->state == b->state && a->since_ms == b->since_ms &&
                    a->episode == b->episode && a->revision == b->revision &&
                    a->whole_since_ms == b->whole_since_ms &&
                    a->revision_after_ms == b->revision_after_ms &&
                    a->called_ms == b->called_ms && a->due_ms == b->due_ms &&
                    a->bad_debt_vu == b->bad_debt_vu && a->braked_ms == b->braked_ms &&
                    a->told_count == b->told_count && a->doubt_count == b->doubt_count &&
                    a->pending_count == b->pending_count;
    for (uint32_t i = 0; is_equal && i < a->told_count; i++)
        is_equal = a->told[i].state == b->told[i].state && a->told[i].told_ms == b->told[i].told_ms;
    for (uint32_t i = 0; is_equal && i < a->doubt_count; i++)
        is_equal = a->doubts[i].instrument == b->doubts[i].instrument &&
                   a->doubts[i].reason == b->doubts[i].reason;
    for (uint32_t i = 0; is_equal && i < a->pending_count; i++)
        is_equal = pendings_are_equal(&a->pending[i], &b->pending[i]);
    return is_equal;
}

/* ---- decision ------------------------------------------------------------------------------- */

/* Writes what is read: clearing room for orders, alerts and legs that most accounts do not have took a
 * third of the time. The verdict is written whole later on. */
static void begin(uint32_t index, const struct pl_account_state *prior,
                  struct pl_decision *decision)
{
    decision->index = index;
    decision->has_changed = decision->has_sale = false;
    decision->rank = decision->alert_count = decision->cure_count = 0;
    decision->waits_since_ms = prior->braked_ms;
    memcpy(&decision->state, prior,
           offsetof(struct pl_account_state, pending) +
               prior->pending_count * sizeof prior->pending[0]);
    struct pl_sale *sale = &decision->sale;
    sale->reaches = sale->is_bankrupt = sale->is_braked = false;
    sale->leg_count = sale->evaluation_count = 0;
    sale->end_before = sale->end_after = sale->maintenance_before = 0;
    sale->cost_vu = sale->cost_bound_vu = sale->gap_ppm = 0;
}

void pl_decide(const struct pl_market *market, const struct pl_names *names,
               const struct pl_book *book, uint32_t index,
               const struct pl_account_state *committed, const struct pl_account_state *prior,
               bool is_halted, struct pl_decision *decision)
{
    const struct pl_account *account = pl_book_at(book, index);
    struct pl_account_state *state = &decision->state;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    begin(index, prior, decision);
    settle_pending(market, book, index, state);
    pl_effective_portfolio(book, index, state, market, legs, &portfolio);
    pl_verdict_of(market, names, &portfolio, &decision->verdict);

    move(market, account, &decision->verdict, state);
    list_doubts(market, account, &decision->verdict, state);
    if (state->state != PL_STATE_BANKRUPT) state->bad_debt_vu = 0;
    if (!is_halted && is_sale_due(market, account, &decision->verdict, state)) { /* G8 */
        sell(market, names, &portfolio, decision);
        find_bad_debt(market, decision);
    }
    if (state->state != prior->state) state->since_ms = market->now_ms;
    call_margin(market, prior->state, state);
    int64_t expired_ms = take_expired(market, account, &decision->verdict, state);

    tell(market, prior, expired_ms, decision);
    decision->has_changed = !states_are_equal(committed, state);
    if (decision->has_changed)
        pl_ratios_of(market, &portfolio, &decision->verdict, &decision->ratios);
    const struct pl_goal goal = {.tier = PL_TIER_INITIAL};
    if (decision->alert_count > 0 && decision->verdict.certainty != PL_OUT_OF_RANGE)
        decision->cure_count = pl_cures_of(market, names, &portfolio, &goal, decision->cures);
    state->version = committed->version + decision->has_changed;
}
