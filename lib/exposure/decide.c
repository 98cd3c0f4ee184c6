/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides one account (step 5 of the event's path): what of its orders has settled, what its margin is
 * with the rest counted as sold, which state that makes (RISK 1.7), and whether a sale is due.
 *
 * Carries G4 (no sale on doubt), G5 (a deficit is sold once: pending quantity is reserved until the
 * holdings show it) and G8 (a halt stops sales, not verdicts).
 */
#include "lib/plimsoll.h"

#include <string.h>

#include "lib/base/assert.h"

static const uint32_t WHOLE_ACCOUNT = UINT32_MAX;

/* ---- pending orders ------------------------------------------------------------------------- */

bool pl_state_apply_execution(struct pl_account_state *state, const struct pl_execution *execution)
{
    for (uint32_t i = 0; i < state->pending_count; i++) {
        struct pl_pending *pending = &state->pending[i];
        int64_t lots = 0;
        if (memcmp(pending->order_id, execution->order_id, PL_ORDER_ID_BYTES) != 0)
            continue;
        /* What cannot be expressed in lots is more than any position: the reservation stays whole. */
        if (pl_rescale(execution->cumulative_mantissa, execution->cumulative_exponent,
                       pending->lot_decimals, PL_ROUND_FLOOR, &lots))
            lots = pending->ordered_lots;
        if (lots > pending->executed_lots)
            pending->executed_lots = lots;
        if (execution->is_terminal && pending->progress != PL_PROGRESS_TERMINAL) {
            pending->progress = PL_PROGRESS_TERMINAL;
            pending->reported_ms = execution->event_time_ms;
        } else if (pending->progress == PL_PROGRESS_OPEN) {
            pending->progress = PL_PROGRESS_ACKNOWLEDGED;
        }
        return true;
    }
    return false;
}

/* Quantity that is sold but not seen in the holdings (G5). A venue may fill more than was ordered. */
static int64_t reserved_lots(const struct pl_pending *pending)
{
    int64_t lots = pending->executed_lots;
    if (pending->progress != PL_PROGRESS_TERMINAL && pending->ordered_lots > lots)
        lots = pending->ordered_lots;
    lots -= pending->applied_lots;
    return lots > 0 ? lots : 0;
}

static const struct pl_leg *leg_of(const struct pl_book *book, uint32_t index, uint32_t instrument)
{
    const struct pl_leg *legs = pl_book_legs(book, index);
    for (uint32_t i = 0; i < pl_book_at(book, index)->leg_count; i++)
        if (legs[i].instrument == instrument)
            return &legs[i];
    return NULL;
}

static void note_applied(const struct pl_book *book, uint32_t index, struct pl_pending *pending)
{
    const struct pl_account *account = pl_book_at(book, index);
    const struct pl_applied *applied = pl_book_applied(book, index);
    for (uint32_t i = 0; i < account->applied_count; i++) {
        int64_t lots = 0;
        if (memcmp(applied[i].order_id, pending->order_id, PL_ORDER_ID_BYTES) != 0 ||
            pl_rescale(applied[i].cumulative.mantissa, applied[i].cumulative.exponent,
                       pending->lot_decimals, PL_ROUND_FLOOR, &lots))
            continue;
        if (lots > pending->applied_lots)
            pending->applied_lots = lots;
    }
    /* A source that does not name orders has settled one when its holdings are as young as the
     * report; a leg that is gone has nothing left to reserve. */
    const struct pl_leg *leg = leg_of(book, index, pending->instrument);
    if (pending->progress == PL_PROGRESS_TERMINAL && (!leg || leg->settles_by_time) &&
        account->event_time_ms >= pending->reported_ms &&
        pending->executed_lots > pending->applied_lots)
        pending->applied_lots = pending->executed_lots;
}

static void add_alert(struct pl_decision *decision, const struct pl_alert *alert)
{
    pl_assert(decision->alert_count < PL_DECISION_ALERTS_MAX);
    decision->alerts[decision->alert_count++] = *alert;
}

/* Brings the pending orders up to date and lets go of what has settled. */
static void follow_pending(const struct pl_market *market, const struct pl_book *book,
                           struct pl_decision *decision)
{
    struct pl_account_state *state = &decision->state;
    const struct pl_policy *policy = &market->parameters->policy;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < state->pending_count; i++) {
        struct pl_pending pending = state->pending[i];
        note_applied(book, decision->index, &pending);
        bool is_late = market->now_ms > pending.valid_until_ms + policy->order_overdue_ms;
        if (is_late && pending.progress != PL_PROGRESS_TERMINAL &&
            pending.progress != PL_PROGRESS_OVERDUE) {
            struct pl_alert alert = { .kind = PL_ALERT_ORDER_OVERDUE, .left = state->state,
                                      .entered = state->state, .since_ms = state->since_ms };
            memcpy(alert.order_id, pending.order_id, PL_ORDER_ID_BYTES);
            pending.progress = PL_PROGRESS_OVERDUE;
            add_alert(decision, &alert);
        }
        if (pending.progress != PL_PROGRESS_TERMINAL || reserved_lots(&pending) > 0)
            state->pending[kept++] = pending;
    }
    memset(&state->pending[kept], 0, sizeof(state->pending[0]) * (state->pending_count - kept));
    state->pending_count = kept;
}

/* ---- the portfolio that is evaluated --------------------------------------------------------- */

/* Moves `lots` toward zero by at most `reserved`; returns by how much. */
static int64_t take_lots(int64_t *lots, enum pl_side side, int64_t reserved)
{
    int64_t size = side == PL_SIDE_SELL ? *lots : -*lots;
    int64_t taken = size < reserved ? size : reserved;
    if (taken <= 0)
        return 0;
    *lots += side == PL_SIDE_SELL ? -taken : taken;
    return taken;
}

/* Value of `lots` at the order's limit: an exact power of ten, since the decimals together are at most
 * 12 and never change (pl_parameters_follow). */
static pl_i128 limit_vu(const struct pl_pending *pending, int64_t lots)
{
    int shift = 12 - (int)pending->lot_decimals + pending->limit_exponent;
    pl_assert(shift >= 0 && shift <= 12);
    pl_i128 value = (pl_i128)lots * pending->limit_ticks * pl_pow10((unsigned)shift);
    return pending->side == PL_SIDE_SELL ? value : -value;
}

static void reserve(struct pl_portfolio *portfolio, struct pl_leg *legs,
                    const struct pl_pending *pending)
{
    int64_t reserved = reserved_lots(pending);
    for (uint32_t i = 0; i < portfolio->leg_count && reserved > 0; i++) {
        if (legs[i].instrument != pending->instrument || legs[i].is_unlisted_amount)
            continue;
        int64_t taken = take_lots(&legs[i].lots, pending->side, reserved);
        int64_t taken_final = take_lots(&legs[i].final_lots, pending->side, reserved);
        portfolio->cash_vu += limit_vu(pending, taken);
        portfolio->final_cash_vu += limit_vu(pending, taken_final);
        return;
    }
}

void pl_effective_portfolio(const struct pl_book *book, uint32_t index,
                            const struct pl_account_state *state, const struct pl_market *market,
                            struct pl_leg *legs, struct pl_portfolio *portfolio)
{
    const struct pl_account *account = pl_book_at(book, index);
    (void)market;
    memcpy(legs, pl_book_legs(book, index), sizeof(*legs) * account->leg_count);
    *portfolio = (struct pl_portfolio){ .legs = legs, .leg_count = account->leg_count,
                                        .cash_vu = account->cash_vu,
                                        .final_cash_vu = account->final_cash_vu };
    for (uint32_t i = 0; i < state->pending_count; i++)
        reserve(portfolio, legs, &state->pending[i]);
}

/* ---- doubts ---------------------------------------------------------------------------------- */

static void add_doubt(struct pl_account_state *state, uint32_t instrument,
                      enum pl_doubt_reason reason)
{
    if (state->doubt_count < PL_DOUBTS_MAX)
        state->doubts[state->doubt_count++] = (struct pl_doubt){ instrument, reason };
}

static bool straddles(const struct pl_bounds *bounds) { return bounds->low < 0 && bounds->high >= 0; }

static bool is_in_episode(const struct pl_account_state *state)
{
    return state->state == PL_STATE_LIQUIDATING || state->state == PL_STATE_BANKRUPT;
}

/* Doubts of the whole account forbid any sale; those of single legs are told where they decide. */
static bool list_doubts(const struct pl_account *account, const struct pl_verdict *verdict,
                        struct pl_account_state *state)
{
    bool is_overdue = false;
    memset(state->doubts, 0, sizeof(state->doubts));
    state->doubt_count = 0;
    for (uint32_t i = 0; i < state->pending_count; i++)
        is_overdue |= state->pending[i].progress == PL_PROGRESS_OVERDUE;
    if (verdict->certainty == PL_OUT_OF_RANGE)
        add_doubt(state, WHOLE_ACCOUNT, PL_DOUBT_OUT_OF_RANGE);
    if (account->has_gap)
        add_doubt(state, WHOLE_ACCOUNT, PL_DOUBT_GAP);
    if (account->is_tainted)
        add_doubt(state, WHOLE_ACCOUNT, PL_DOUBT_TAINTED);
    if (is_overdue)
        add_doubt(state, WHOLE_ACCOUNT, PL_DOUBT_ORDER_OVERDUE);
    bool is_whole_account = state->doubt_count > 0;
    if (verdict->certainty == PL_OUT_OF_RANGE)
        return true;
    if (straddles(&verdict->excess[PL_TIER_MAINTENANCE]) ||
        (is_in_episode(state) && straddles(&verdict->excess[PL_TIER_END])))
        for (uint32_t i = 0; i < verdict->doubt_count; i++)
            add_doubt(state, verdict->doubts[i].instrument, verdict->doubts[i].reason);
    return is_whole_account;
}

/* ---- states ---------------------------------------------------------------------------------- */

static bool is_below(const struct pl_verdict *verdict, enum pl_tier tier)
{
    return verdict->excess[tier].high < 0;
}

static bool is_whole(const struct pl_verdict *verdict, enum pl_tier tier)
{
    return verdict->excess[tier].low >= 0; /* equality is safe */
}

static bool is_clear_of_alert(const struct pl_policy *policy, const struct pl_verdict *verdict)
{
    return verdict->excess[PL_TIER_ALERT].low >=
           (pl_i128)policy->alert_hysteresis_ppm * verdict->gross_vu;
}

/* Where an account goes that leaves RESTRICTED or an episode. */
static enum pl_state state_above(const struct pl_policy *policy, const struct pl_verdict *verdict)
{
    if (!is_whole(verdict, PL_TIER_INITIAL))
        return PL_STATE_RESTRICTED;
    return is_clear_of_alert(policy, verdict) ? PL_STATE_OK : PL_STATE_ALERT;
}

/* RESTRICTED ends when initial margin has been whole for long enough without a break. */
static enum pl_state leave_restricted(const struct pl_market *market,
                                      const struct pl_verdict *verdict,
                                      struct pl_account_state *state)
{
    const struct pl_policy *policy = &market->parameters->policy;
    if (!is_whole(verdict, PL_TIER_INITIAL)) {
        state->whole_since_ms = -1;
        return PL_STATE_RESTRICTED;
    }
    if (state->whole_since_ms < 0)
        state->whole_since_ms = market->now_ms;
    if (market->now_ms - state->whole_since_ms < policy->restricted_hold_ms)
        return PL_STATE_RESTRICTED;
    return state_above(policy, verdict);
}

static enum pl_state next_state(const struct pl_market *market, const struct pl_verdict *verdict,
                                struct pl_account_state *state)
{
    const struct pl_policy *policy = &market->parameters->policy;
    if (is_in_episode(state)) {
        bool is_over = is_whole(verdict, PL_TIER_END) && state->pending_count == 0;
        return is_over ? state_above(policy, verdict) : state->state;
    }
    if (is_below(verdict, PL_TIER_MAINTENANCE))
        return PL_STATE_LIQUIDATING;
    if (state->state == PL_STATE_RESTRICTED)
        return leave_restricted(market, verdict, state);
    if (is_below(verdict, PL_TIER_INITIAL))
        return PL_STATE_RESTRICTED;
    if (state->state == PL_STATE_ALERT)
        return is_clear_of_alert(policy, verdict) ? PL_STATE_OK : PL_STATE_ALERT;
    return is_below(verdict, PL_TIER_ALERT) ? PL_STATE_ALERT : PL_STATE_OK;
}

static void enter(struct pl_decision *decision, enum pl_state next, int64_t now_ms)
{
    struct pl_account_state *state = &decision->state;
    if (next == state->state)
        return;
    const struct pl_alert alert = { .kind = PL_ALERT_STATE, .left = state->state, .entered = next,
                                    .since_ms = state->since_ms };
    add_alert(decision, &alert);
    if (next == PL_STATE_LIQUIDATING && !is_in_episode(state)) {
        state->episode++;
        state->revision = 0;
        state->revision_after_ms = 0;
    }
    if (next != PL_STATE_RESTRICTED)
        state->whole_since_ms = -1;
    state->state = next;
    state->since_ms = now_ms;
}

/* ---- the sale -------------------------------------------------------------------------------- */

/* The first plan of an episode, then one for what is left: at once when what is pending does not even
 * keep maintenance, else when nothing is pending any more. */
static bool is_sale_due(const struct pl_market *market, const struct pl_decision *decision)
{
    const struct pl_account_state *state = &decision->state;
    if (!is_in_episode(state) || market->now_ms < state->revision_after_ms)
        return false;
    return state->pending_count > 0 ? is_below(&decision->verdict, PL_TIER_MAINTENANCE)
                                    : is_below(&decision->verdict, PL_TIER_END);
}

static void add_pending(const struct pl_market *market, struct pl_account_state *state,
                        const struct pl_sale_leg *leg)
{
    const struct pl_instrument *instrument = &market->parameters->instruments[leg->instrument];
    state->pending[state->pending_count++] = (struct pl_pending){
        .instrument = leg->instrument, .side = leg->side, .progress = PL_PROGRESS_OPEN,
        .lot_decimals = instrument->lot_decimals, .ordered_lots = leg->lots,
        .limit_ticks = leg->limit_ticks, .limit_exponent = -(int32_t)instrument->tick_decimals,
        .valid_until_ms = market->now_ms + market->parameters->policy.order_valid_ms };
}

static void plan(const struct pl_market *market, const struct pl_names *names,
                 const struct pl_portfolio *portfolio, struct pl_decision *decision)
{
    struct pl_account_state *state = &decision->state;
    struct pl_sale *sale = &decision->sale;
    pl_plan_sale(market, names, portfolio, sale);
    if (sale->is_bankrupt)
        enter(decision, PL_STATE_BANKRUPT, market->now_ms);
    if (sale->leg_count == 0 || state->pending_count + sale->leg_count > PL_PENDING_MAX)
        return;
    decision->has_sale = true;
    state->revision++;
    state->revision_after_ms = market->now_ms + market->parameters->policy.revision_pause_ms;
    for (uint32_t i = 0; i < sale->leg_count; i++)
        add_pending(market, state, &sale->legs[i]);
}

/* ---- the decision ---------------------------------------------------------------------------- */

static bool equal_pending(const struct pl_pending *a, const struct pl_pending *b)
{
    return memcmp(a->order_id, b->order_id, PL_ORDER_ID_BYTES) == 0 &&
           a->progress == b->progress && a->ordered_lots == b->ordered_lots &&
           a->executed_lots == b->executed_lots && a->applied_lots == b->applied_lots &&
           a->reported_ms == b->reported_ms;
}

static bool equal_states(const struct pl_account_state *a, const struct pl_account_state *b)
{
    if (a->state != b->state || a->since_ms != b->since_ms || a->episode != b->episode ||
        a->revision != b->revision || a->whole_since_ms != b->whole_since_ms ||
        a->revision_after_ms != b->revision_after_ms || a->doubt_count != b->doubt_count ||
        a->pending_count != b->pending_count)
        return false;
    for (uint32_t i = 0; i < a->doubt_count; i++)
        if (a->doubts[i].instrument != b->doubts[i].instrument ||
            a->doubts[i].reason != b->doubts[i].reason)
            return false;
    for (uint32_t i = 0; i < a->pending_count; i++)
        if (!equal_pending(&a->pending[i], &b->pending[i]))
            return false;
    return true;
}

static bool has_out_of_range(const struct pl_account_state *state)
{
    return state->doubt_count > 0 && state->doubts[0].reason == PL_DOUBT_OUT_OF_RANGE;
}

/* Doubt is told when it begins and when it ends. */
static void tell_doubt(struct pl_decision *decision, const struct pl_account_state *before)
{
    const struct pl_account_state *state = &decision->state;
    struct pl_alert alert = { .left = state->state, .entered = state->state,
                              .since_ms = state->since_ms };
    if (has_out_of_range(state) && !has_out_of_range(before))
        alert.kind = PL_ALERT_OUT_OF_RANGE;
    else if (state->doubt_count > 0 && before->doubt_count == 0)
        alert.kind = PL_ALERT_UNCERTAIN;
    else if (state->doubt_count == 0 && before->doubt_count > 0)
        alert.kind = PL_ALERT_CERTAIN;
    else
        return;
    add_alert(decision, &alert);
}

void pl_decide(const struct pl_market *market, const struct pl_names *names,
               const struct pl_book *book, uint32_t index, const struct pl_account_state *committed,
               const struct pl_account_state *prior, bool is_halted, struct pl_decision *decision)
{
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    memset(decision, 0, sizeof(*decision));
    decision->index = index;
    decision->state = *prior;
    follow_pending(market, book, decision);
    pl_effective_portfolio(book, index, &decision->state, market, legs, &portfolio);
    pl_verdict_of(market, names, &portfolio, &decision->verdict);
    const struct pl_account *account = pl_book_at(book, index);
    bool is_doubtful = list_doubts(account, &decision->verdict, &decision->state);
    if (!is_doubtful)
        enter(decision, next_state(market, &decision->verdict, &decision->state), market->now_ms);
    tell_doubt(decision, committed);
    if (!is_doubtful && !is_halted && is_sale_due(market, decision))
        plan(market, names, &portfolio, decision);
    decision->has_changed = !equal_states(&decision->state, committed);
    if (decision->has_changed)
        decision->state.version++;
}
