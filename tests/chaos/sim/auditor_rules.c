/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an account's next state and alerts have to be, by RISK 1.7 and the text of pl_decide:
 * reports folded in, pending orders settled, the account evaluated, moved between states. What
 * was published, or was not, is held against it (G3, G4, G5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

int64_t auditor_later(int64_t time_ms, int64_t duration_ms)
{
    int64_t sum;
    return __builtin_add_overflow(time_ms, duration_ms, &sum) ? INT64_MAX : sum;
}

bool auditor_same_id(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, PL_ORDER_ID_BYTES) == 0;
}

/* ---- reading a state ------------------------------------------------------------------------- */

static bool read_pending(struct names *names, const Plimsoll__V1__AccountState__PendingOrder *from,
                         struct pending *pending)
{
    if (!auditor_read_uuid(from->order_id, pending->order_id) || !from->instrument ||
        !from->has_side || !from->has_progress || !from->limit_price ||
        !from->limit_price->has_mantissa || !from->limit_price->has_exponent ||
        from->ordered_lots > INT64_MAX || from->executed_lots > INT64_MAX ||
        from->applied_lots > INT64_MAX || from->lot_decimals > 12)
        return false;
    pending->instrument = auditor_name(names, from->instrument);
    pending->is_sell = from->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL;
    pending->progress = (enum pl_progress)from->progress;
    pending->lot_decimals = (int)from->lot_decimals;
    pending->limit = from->limit_price->mantissa;
    pending->limit_exponent = from->limit_price->exponent;
    pending->ordered = (int64_t)from->ordered_lots;
    pending->executed = (int64_t)from->executed_lots;
    pending->applied = (int64_t)from->applied_lots;
    pending->valid_until_ms = from->valid_until_ms;
    pending->reported_ms = from->reported_ms;
    return true;
}

bool auditor_read_state(struct names *names, const Plimsoll__V1__AccountState *from,
                        struct state *state)
{
    if (!from->has_state || !from->has_since_ms || !from->has_episode || !from->has_revision ||
        !from->has_revision_after_ms || !from->has_version || from->n_doubts > PL_DOUBTS_MAX ||
        from->n_pending > PL_PENDING_MAX || from->n_told > PL_TOLD_MAX)
        return false; /* I10: both lists are bounded */
    memset(state, 0, sizeof(*state));
    state->state = (enum pl_state)from->state;
    state->since_ms = from->since_ms;
    state->whole_since_ms = from->has_whole_since_ms ? from->whole_since_ms : -1;
    state->revision_after_ms = from->revision_after_ms;
    state->episode = from->episode;
    state->revision = from->revision;
    state->version = from->version;
    state->called_ms = from->has_called_ms ? from->called_ms : 0;
    state->due_ms = from->has_due_ms ? from->due_ms : 0;
    state->braked_ms = from->has_braked_ms ? from->braked_ms : 0;
    int exponent = 0;
    if (from->bad_debt &&
        (!auditor_read_amount(from->bad_debt, &state->bad_debt, &exponent) || exponent != -12 ||
         state->bad_debt <= 0))
        return false;
    state->told_count = (int)from->n_told;
    for (int i = 0; i < state->told_count; i++)
        state->told[i] = (struct told_state){(enum pl_state)from->told[i]->state,
                                             from->told[i]->told_ms};
    state->doubt_count = (int)from->n_doubts;
    for (int i = 0; i < state->doubt_count; i++) {
        const char *instrument = from->doubts[i]->instrument;
        state->doubts[i].reason = (enum pl_doubt_reason)from->doubts[i]->reason;
        state->doubts[i].instrument = instrument && *instrument
                                          ? (uint32_t)auditor_name(names, instrument)
                                          : UINT32_MAX;
    }
    state->pending_count = (int)from->n_pending;
    for (int i = 0; i < state->pending_count; i++)
        if (!read_pending(names, from->pending[i], &state->pending[i]))
            return false;
    return true;
}

/* ---- what is in flight (G5) ------------------------------------------------------------------ */

/* (terminal ? executed : ordered) - applied, never below 0; more may be filled than was ordered. */
static int64_t open_lots(const struct pending *pending)
{
    int64_t whole = pending->executed;
    if (pending->progress != PL_PROGRESS_TERMINAL && pending->ordered > whole)
        whole = pending->ordered;
    return whole > pending->applied ? whole - pending->applied : 0;
}

static void fold_report(struct state *state, const struct execution *report)
{
    for (int i = 0; i < state->pending_count; i++) {
        struct pending *pending = &state->pending[i];
        if (!auditor_same_id(pending->order_id, report->order_id))
            continue;
        int64_t lots = auditor_lots(report->mantissa, report->exponent,
                                    (unsigned)pending->lot_decimals);
        bool has_grown = lots > pending->executed;
        bool ends = report->is_terminal && pending->progress != PL_PROGRESS_TERMINAL;
        if (has_grown)
            pending->executed = lots;
        if (ends)
            pending->progress = PL_PROGRESS_TERMINAL;
        else if (pending->progress == PL_PROGRESS_OPEN)
            pending->progress = PL_PROGRESS_ACKNOWLEDGED;
        if (pending->progress == PL_PROGRESS_TERMINAL && (ends || has_grown) &&
            report->event_time_ms > pending->reported_ms)
            pending->reported_ms = report->event_time_ms;
    }
}

static void show_applied(const struct holdings *holdings, struct pending *pending)
{
    for (int i = 0; holdings && i < holdings->applied_count; i++) {
        const struct applied *applied = &holdings->applied[i];
        if (!auditor_same_id(applied->order_id, pending->order_id))
            continue;
        int64_t lots = auditor_lots(applied->mantissa, applied->exponent,
                                    (unsigned)pending->lot_decimals);
        if (lots > pending->applied)
            pending->applied = lots;
    }
    /* A source that does not say which orders its events contain shows what was over before. */
    int64_t event_time_ms = holdings ? holdings->event_time_ms : 0;
    bool is_shown = pending->progress == PL_PROGRESS_TERMINAL &&
                    event_time_ms >= pending->reported_ms;
    for (int i = 0; holdings && i < holdings->leg_count; i++)
        if (holdings->legs[i].instrument == pending->instrument && !holdings->legs[i].is_by_time)
            is_shown = false;
    if (is_shown && pending->executed > pending->applied)
        pending->applied = pending->executed;
}

/* Brings each order up to holdings and clock; what is over and shown is released. */
static void settle(const struct scene *scene, const struct account *account, struct state *state)
{
    int kept = 0;
    for (int i = 0; i < state->pending_count; i++) {
        struct pending pending = state->pending[i];
        show_applied(account->holdings, &pending);
        bool is_over = pending.progress == PL_PROGRESS_TERMINAL;
        bool is_late = !is_over && scene->now_ms > auditor_later(pending.valid_until_ms,
                                                                 scene->set->order_overdue_ms);
        if ((is_over || is_late) && open_lots(&pending) == 0)
            continue;
        if (is_late)
            pending.progress = PL_PROGRESS_OVERDUE;
        state->pending[kept++] = pending;
    }
    memset(&state->pending[kept], 0, sizeof(state->pending[0]) * (size_t)(PL_PENDING_MAX - kept));
    state->pending_count = kept;
}

/* ---- what is evaluated ----------------------------------------------------------------------- */

static int64_t part_of(const struct pending *pending, int64_t lots, int64_t held)
{
    if (!pending->is_sell)
        held = held == INT64_MIN ? INT64_MAX : -held;
    return held <= 0 ? 0 : lots < held ? lots : held;
}

/* Value of a part at the limit; false when no exact value is in range. */
static bool value_of(const struct pending *pending, int64_t lots, mpz_t value)
{
    int shift = 12 + pending->limit_exponent - pending->lot_decimals;
    if (shift < 0 || shift > 12)
        return false;
    auditor_value_at(value, lots, pending->limit, pending->limit_exponent, pending->lot_decimals);
    mpz_t most;
    mpz_init(most);
    mpz_ui_pow_ui(most, 10, 24);
    mpz_mul_ui(most, most, 4);
    bool is_inside = mpz_cmp(value, most) <= 0;
    mpz_clear(most);
    return is_inside;
}

static void add_cash(mpz_t cash, const mpz_t value, bool is_sell)
{
    if (is_sell)
        mpz_add(cash, cash, value);
    else
        mpz_sub(cash, cash, value);
}

static void count_as_sold(const struct pending *pending, int64_t lots, struct leg *leg,
                          struct portfolio *portfolio)
{
    const struct rules *rules = auditor_rules_of(portfolio->set, leg->instrument);
    mpz_t value;
    mpz_init(value);
    if (leg->is_unlisted) {
        /* What it was part of is not known: the cash is open instead. */
        if (!value_of(pending, lots, value))
            portfolio->is_beyond = true;
        else
            add_cash(pending->is_sell ? portfolio->final_cash : portfolio->cash, value,
                     pending->is_sell);
    } else if (rules && (int)rules->lot_decimals != pending->lot_decimals) {
        portfolio->is_beyond = true;
    } else {
        int64_t counted = part_of(pending, lots, leg->lots);
        int64_t final = part_of(pending, lots, leg->final_lots);
        if (!value_of(pending, counted, value))
            portfolio->is_beyond = true;
        else
            add_cash(portfolio->cash, value, pending->is_sell);
        if (!value_of(pending, final, value))
            portfolio->is_beyond = true;
        else
            add_cash(portfolio->final_cash, value, pending->is_sell);
        leg->lots += pending->is_sell ? -counted : counted;
        leg->final_lots += pending->is_sell ? -final : final;
    }
    mpz_clear(value);
}

struct leg *auditor_find_leg(struct portfolio *portfolio, int instrument)
{
    for (int i = 0; i < portfolio->leg_count; i++)
        if (portfolio->legs[i].instrument == instrument)
            return &portfolio->legs[i];
    return NULL;
}

/* The account's legs with what is pending counted as sold at its limits. */
/* 1 + A / D below the policy's line, where both are known exactly and something is owed. */
static bool is_health_low(const struct set *set, const struct verdict *verdict)
{
    if (set->close_full_health == 0 || verdict->is_out_of_range || !verdict->is_certain ||
        mpz_sgn(verdict->weighted_low) <= 0)
        return false;
    mpz_t left, least; /* of the collateral, in millionths of ppm; what the line asks for */
    mpz_inits(left, least, NULL);
    mpz_add(left, verdict->weighted_low, verdict->low[PL_TIER_MAINTENANCE]);
    mpz_mul_ui(left, left, PL_PPM);
    mpz_mul_si(least, verdict->weighted_low, set->close_full_health);
    bool is_low = mpz_cmp(left, least) < 0;
    mpz_clears(left, least, NULL);
    return is_low;
}

void auditor_fill(const struct scene *scene, const struct account *account,
                  const struct state *state, struct portfolio *portfolio)
{
    const struct holdings *holdings = account->holdings;
    portfolio->set = scene->set;
    portfolio->quotes = scene->quotes;
    portfolio->left = scene->left;
    portfolio->mode = holdings ? holdings->mode : 0;
    portfolio->held = holdings ? holdings->legs : NULL;
    portfolio->held_count = holdings ? holdings->leg_count : 0;
    portfolio->owes_cash = holdings && holdings->cash_vu < 0 && holdings->final_cash_vu < 0;
    portfolio->may_owe_cash = holdings && (holdings->cash_vu < 0 || holdings->final_cash_vu < 0);
    portfolio->is_beyond = false;
    portfolio->is_health_low = is_health_low(scene->set, account->verdict);
    portfolio->leg_count = holdings ? holdings->leg_count : 0;
    if (holdings)
        memcpy(portfolio->legs, holdings->legs, sizeof(struct leg) * (size_t)holdings->leg_count);
    auditor_set_i128(portfolio->cash, holdings ? holdings->cash_vu : 0);
    auditor_set_i128(portfolio->final_cash, holdings ? holdings->final_cash_vu : 0);
    for (int i = 0; i < state->pending_count; i++) {
        struct leg *leg = auditor_find_leg(portfolio, state->pending[i].instrument);
        int64_t lots = open_lots(&state->pending[i]);
        if (leg && lots > 0)
            count_as_sold(&state->pending[i], lots, leg, portfolio);
    }
}

/*
 * The verdict is a function of holdings, state after settling, parameters and the quotes of the
 * legs: while none of them has changed since the last one it is kept. Timers and the clock do not
 * enter it except through a quote's freshness, which is a change of the quote.
 */
static const struct verdict *verdict_of(const struct scene *scene, struct account *account,
                                        const struct state *state)
{
    bool is_old = account->is_dirty || scene->set_changed > account->evaluated_at;
    const struct holdings *holdings = account->holdings;
    for (int i = 0; !is_old && holdings && i < holdings->leg_count; i++)
        is_old = scene->quote_changed[holdings->legs[i].instrument] > account->evaluated_at;
    if (!is_old)
        return account->verdict;
    auditor_fill(scene, account, state, scene->portfolio);
    auditor_evaluate(scene->portfolio, account->verdict);
    account->evaluated_at = scene->stamp;
    account->is_dirty = false;
    scene->counts->evaluations++;
    return account->verdict;
}

/* ---- states (RISK 1.7) ----------------------------------------------------------------------- */

static bool is_in_unknown_mode(const struct scene *scene, const struct account *account)
{
    return account->holdings && account->holdings->mode > 0 && !scene->set->modes[account->holdings->mode];
}

bool auditor_is_blind(const struct scene *scene, const struct account *account,
                      const struct verdict *verdict)
{
    return !account->holdings || account->holdings->has_gap || account->is_tainted ||
           verdict->is_out_of_range || is_in_unknown_mode(scene, account);
}

bool auditor_has_overdue(const struct state *state)
{
    for (int i = 0; i < state->pending_count; i++)
        if (state->pending[i].progress == PL_PROGRESS_OVERDUE)
            return true;
    return false;
}

bool auditor_is_below(const struct verdict *verdict, enum pl_tier tier)
{
    return mpz_sgn(verdict->high[tier]) < 0;
}

static bool is_whole(const struct verdict *verdict, enum pl_tier tier)
{
    return mpz_sgn(verdict->low[tier]) >= 0;
}

/* A_ALERT >= eta G. */
static bool is_alert_over(const struct scene *scene, const struct verdict *verdict)
{
    mpz_t line;
    mpz_init(line);
    mpz_mul_si(line, verdict->gross, scene->set->hysteresis);
    bool is_over = mpz_cmp(verdict->low[PL_TIER_ALERT], line) >= 0;
    mpz_clear(line);
    return is_over;
}

static enum pl_state after_recovery(const struct scene *scene, const struct verdict *verdict)
{
    if (!is_whole(verdict, PL_TIER_INITIAL))
        return PL_STATE_RESTRICTED;
    return is_alert_over(scene, verdict) ? PL_STATE_OK : PL_STATE_ALERT;
}

static enum pl_state next_state(const struct scene *scene, const struct verdict *verdict,
                                const struct state *state)
{
    enum pl_state fallen = auditor_is_below(verdict, PL_TIER_MAINTENANCE) ? PL_STATE_LIQUIDATING
                           : auditor_is_below(verdict, PL_TIER_INITIAL)   ? PL_STATE_RESTRICTED
                           : auditor_is_below(verdict, PL_TIER_ALERT)     ? PL_STATE_ALERT
                                                                          : PL_STATE_OK;
    bool is_held = state->pending_count > 0;
    if (state->state < PL_STATE_LIQUIDATING && fallen > state->state)
        return fallen;
    if (state->state == PL_STATE_ALERT && is_alert_over(scene, verdict))
        return PL_STATE_OK;
    if (state->state == PL_STATE_RESTRICTED && state->whole_since_ms >= 0 &&
        scene->now_ms - state->whole_since_ms >= scene->set->restricted_hold_ms)
        return after_recovery(scene, verdict);
    if (state->state == PL_STATE_LIQUIDATING && is_whole(verdict, PL_TIER_END) && !is_held)
        return after_recovery(scene, verdict);
    if (state->state == PL_STATE_BANKRUPT && is_whole(verdict, PL_TIER_MAINTENANCE) && !is_held)
        return is_whole(verdict, PL_TIER_END) ? after_recovery(scene, verdict)
                                              : PL_STATE_LIQUIDATING;
    return state->state;
}

static void move(const struct scene *scene, const struct account *account,
                 const struct verdict *verdict, struct state *state)
{
    enum pl_state left = state->state;
    bool is_known = !auditor_is_blind(scene, account, verdict);
    if (left != PL_STATE_RESTRICTED || !is_known || !is_whole(verdict, PL_TIER_INITIAL))
        state->whole_since_ms = -1;
    else if (state->whole_since_ms < 0)
        state->whole_since_ms = scene->now_ms;
    if (is_known)
        state->state = next_state(scene, verdict, state);
    if (state->state != PL_STATE_RESTRICTED)
        state->whole_since_ms = -1;
    if (left < PL_STATE_LIQUIDATING && state->state >= PL_STATE_LIQUIDATING)
        state->episode++;
    if (state->state < PL_STATE_LIQUIDATING) {
        state->revision = 0;
        state->revision_after_ms = state->braked_ms = 0;
    }
}

static bool straddles(const struct verdict *verdict, enum pl_tier tier)
{
    return !auditor_is_below(verdict, tier) && !is_whole(verdict, tier);
}

/* Doubtful legs where they leave the side of the line open, then what is wrong with the whole. */
static void list_doubts(const struct scene *scene, const struct account *account, const struct verdict *verdict,
                        struct state *state)
{
    enum pl_doubt_reason whole[5];
    int whole_count = 0, leg_count = 0;
    if (!account->holdings || account->holdings->has_gap)
        whole[whole_count++] = PL_DOUBT_GAP;
    if (account->is_tainted)
        whole[whole_count++] = PL_DOUBT_TAINTED;
    if (auditor_has_overdue(state))
        whole[whole_count++] = PL_DOUBT_ORDER_OVERDUE;
    if (verdict->is_out_of_range)
        whole[whole_count++] = PL_DOUBT_OUT_OF_RANGE;
    if (is_in_unknown_mode(scene, account))
        whole[whole_count++] = PL_DOUBT_MODE;
    bool is_open = straddles(verdict, PL_TIER_MAINTENANCE) ||
                   (state->state >= PL_STATE_LIQUIDATING && straddles(verdict, PL_TIER_END));
    while (is_open && leg_count < verdict->doubt_count && leg_count < PL_DOUBTS_MAX - whole_count) {
        state->doubts[leg_count] = verdict->doubts[leg_count];
        leg_count++;
    }
    for (int i = 0; i < whole_count; i++)
        state->doubts[leg_count + i] = (struct pl_doubt){.instrument = UINT32_MAX,
                                                         .reason = whole[i]};
    state->doubt_count = leg_count + whole_count;
}

bool auditor_is_sale_due(const struct scene *scene, const struct account *account,
                         const struct verdict *verdict, const struct state *state)
{
    if (state->state < PL_STATE_LIQUIDATING || auditor_is_blind(scene, account, verdict) ||
        auditor_has_overdue(state) || auditor_is_paused(scene, state))
        return false;
    return auditor_is_below(verdict, PL_TIER_MAINTENANCE) ||
           (state->pending_count == 0 && auditor_is_below(verdict, PL_TIER_END));
}

/* ---- states compared ------------------------------------------------------------------------- */

static bool same_pending(const struct pending *a, const struct pending *b)
{
    return auditor_same_id(a->order_id, b->order_id) && a->instrument == b->instrument &&
           a->is_sell == b->is_sell && a->progress == b->progress &&
           a->lot_decimals == b->lot_decimals && a->ordered == b->ordered &&
           a->executed == b->executed && a->applied == b->applied && a->limit == b->limit &&
           a->limit_exponent == b->limit_exponent && a->valid_until_ms == b->valid_until_ms &&
           a->reported_ms == b->reported_ms;
}

/* The first difference besides the version; NULL when there is none. */
static const char *difference(const struct state *is, const struct state *must, char text[192])
{
    const struct {
        const char *name;
        int64_t is, must;
    } fields[] = {
        {"state", is->state, must->state},
        {"since_ms", is->since_ms, must->since_ms},
        {"episode", (int64_t)is->episode, (int64_t)must->episode},
        {"revision", is->revision, must->revision},
        {"whole_since_ms", is->whole_since_ms, must->whole_since_ms},
        {"revision_after_ms", is->revision_after_ms, must->revision_after_ms},
        {"called_ms", is->called_ms, must->called_ms},
        {"due_ms", is->due_ms, must->due_ms},
        {"braked_ms", is->braked_ms, must->braked_ms},
        {"told", is->told_count, must->told_count},
        {"doubts", is->doubt_count, must->doubt_count},
        {"pending orders", is->pending_count, must->pending_count},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].is != fields[i].must) {
            snprintf(text, 192, "%s is %" PRId64 ", expected %" PRId64, fields[i].name,
                     fields[i].is, fields[i].must);
            return text;
        }
    if (is->bad_debt != must->bad_debt) {
        snprintf(text, 192, "bad debt is %.6f USD, expected %.6f", (double)is->bad_debt / 1e12,
                 (double)must->bad_debt / 1e12);
        return text;
    }
    for (int i = 0; i < is->told_count; i++)
        if (is->told[i].state != must->told[i].state ||
            is->told[i].told_ms != must->told[i].told_ms) {
            snprintf(text, 192, "told %d is state %d at %" PRId64 ", expected %d at %" PRId64, i,
                     (int)is->told[i].state, is->told[i].told_ms, (int)must->told[i].state,
                     must->told[i].told_ms);
            return text;
        }
    for (int i = 0; i < is->doubt_count; i++)
        if (is->doubts[i].instrument != must->doubts[i].instrument ||
            is->doubts[i].reason != must->doubts[i].reason) {
            snprintf(text, 192, "doubt %d is %d, expected %d", i, (int)is->doubts[i].reason,
                     (int)must->doubts[i].reason);
            return text;
        }
    for (int i = 0; i < is->pending_count; i++)
        if (!same_pending(&is->pending[i], &must->pending[i])) {
            const struct pending *a = &is->pending[i], *b = &must->pending[i];
            snprintf(text, 192,
                     "pending order %d: progress %d, executed %" PRId64 ", applied %" PRId64
                     "; expected %d, %" PRId64 ", %" PRId64,
                     i, (int)a->progress, a->executed, a->applied, (int)b->progress, b->executed,
                     b->applied);
            return text;
        }
    return NULL;
}

/* ---- alerts ---------------------------------------------------------------------------------- */

struct told {
    int kind;
    enum pl_state left, entered;
    int64_t since_ms, due_ms;
    const uint8_t *order_id;
};

/* What a decision has to tell besides what its states show. */
struct news {
    bool has_state;
    enum pl_state left;
    int64_t since_ms, expired_ms;
    const struct state *judged; /* what the verdict was made of */
};

static bool has_reason(const struct state *state, enum pl_doubt_reason reason)
{
    for (int i = 0; i < state->doubt_count; i++)
        if (state->doubts[i].reason == reason)
            return true;
    return false;
}

/* Whether what is uncertain begins, or a leg or reason joins it that has no alert of its own. */
static bool has_new_doubt(const struct state *prior, const struct state *next)
{
    bool is_new = prior->doubt_count == 0 && next->doubt_count > 0;
    for (int i = 0; i < next->doubt_count && !is_new; i++) {
        bool is_known = false;
        for (int k = 0; k < prior->doubt_count; k++)
            is_known |= prior->doubts[k].instrument == next->doubts[i].instrument &&
                        (next->doubts[i].instrument != UINT32_MAX ||
                         prior->doubts[k].reason == next->doubts[i].reason);
        is_new = !is_known && next->doubts[i].reason != PL_DOUBT_ORDER_OVERDUE &&
                 next->doubts[i].reason != PL_DOUBT_OUT_OF_RANGE;
    }
    return is_new;
}

static bool was_overdue(const struct state *prior, const uint8_t *order_id)
{
    for (int i = 0; i < prior->pending_count; i++)
        if (auditor_same_id(prior->pending[i].order_id, order_id))
            return prior->pending[i].progress == PL_PROGRESS_OVERDUE;
    return false;
}

/* Everything that has to be told of a change, each once. */
static int to_tell(const struct state *prior, const struct state *next, const struct news *news,
                   struct told told[PL_DECISION_ALERTS_MAX])
{
    int count = 0;
    if (news->has_state)
        told[count++] = (struct told){.kind = PL_ALERT_STATE, .left = news->left,
                                      .entered = next->state, .since_ms = news->since_ms};
    if (has_new_doubt(prior, next))
        told[count++] = (struct told){.kind = PL_ALERT_UNCERTAIN};
    if (prior->doubt_count > 0 && next->doubt_count == 0)
        told[count++] = (struct told){.kind = PL_ALERT_CERTAIN};
    if (has_reason(next, PL_DOUBT_OUT_OF_RANGE) && !has_reason(prior, PL_DOUBT_OUT_OF_RANGE))
        told[count++] = (struct told){.kind = PL_ALERT_OUT_OF_RANGE};
    for (int i = 0; i < next->pending_count; i++)
        if (next->pending[i].progress == PL_PROGRESS_OVERDUE &&
            !was_overdue(prior, next->pending[i].order_id))
            told[count++] = (struct told){.kind = PL_ALERT_ORDER_OVERDUE,
                                          .order_id = next->pending[i].order_id};
    if (prior->bad_debt == 0 && next->bad_debt > 0)
        told[count++] = (struct told){.kind = PL_ALERT_BAD_DEBT};
    for (int i = 0; i < count; i++)
        told[i].due_ms = next->due_ms;
    if (news->expired_ms > 0)
        told[count++] = (struct told){.kind = PL_ALERT_CALL_EXPIRED, .due_ms = news->expired_ms};
    return count;
}

/* A bound that is there is told, one that is not is absent. */
static bool is_told(const Plimsoll__V1__Amount *amount, const mpz_t bound, int exponent)
{
    return auditor_is_unbounded(bound) ? !amount : auditor_is_amount(amount, bound, exponent);
}

static bool are_numbers_right(const struct verdict *verdict, const Plimsoll__V1__MarginCall *alert)
{
    if (verdict->is_out_of_range)
        return !alert->shortfall && !alert->equity && !alert->excess_alert &&
               !alert->excess_initial && !alert->excess_end && !alert->excess_maintenance;
    mpz_t shortfall;
    mpz_init(shortfall);
    if (mpz_sgn(verdict->low[PL_TIER_INITIAL]) < 0)
        mpz_neg(shortfall, verdict->low[PL_TIER_INITIAL]);
    bool is_right = is_told(alert->shortfall, shortfall, -18) &&
                    is_told(alert->equity, verdict->equity_low, -12) &&
                    is_told(alert->excess_alert, verdict->low[PL_TIER_ALERT], -18) &&
                    is_told(alert->excess_initial, verdict->low[PL_TIER_INITIAL], -18) &&
                    is_told(alert->excess_end, verdict->low[PL_TIER_END], -18) &&
                    is_told(alert->excess_maintenance, verdict->low[PL_TIER_MAINTENANCE], -18);
    mpz_clear(shortfall);
    return is_right;
}

static bool is_debt(const Plimsoll__V1__Amount *amount, pl_i128 debt)
{
    pl_i128 mantissa = 0;
    int exponent = 0;
    return auditor_read_amount(amount, &mantissa, &exponent) && exponent == -12 &&
           mantissa == debt;
}

static bool is_alert_right(const struct told *told, const Plimsoll__V1__MarginCall *alert)
{
    uint8_t order_id[PL_ORDER_ID_BYTES];
    if (!alert->has_kind || (int)alert->kind != told->kind || alert->due_ms != told->due_ms ||
        alert->has_due_ms != (told->due_ms > 0))
        return false;
    if (told->kind == PL_ALERT_STATE &&
        ((int)alert->left != (int)told->left || (int)alert->entered != (int)told->entered ||
         alert->since_ms != told->since_ms))
        return false;
    return told->kind != PL_ALERT_ORDER_OVERDUE || (auditor_read_uuid(alert->order_id, order_id) &&
                                                    auditor_same_id(order_id, told->order_id));
}

static bool check_alerts(const struct scene *scene, const struct account *account,
                         const struct verdict *verdict, const struct state *prior,
                         const struct state *next, const struct news *news,
                         const struct decision *decision)
{
    struct told told[PL_DECISION_ALERTS_MAX];
    int count = to_tell(prior, next, news, told);
    if (count != decision->alert_count)
        return auditor_find(scene->finding, V_ALERT, "account %s: %d alerts, expected %d",
                            account->id, decision->alert_count, count);
    for (int i = 0; i < count; i++) {
        const Plimsoll__V1__MarginCall *alert = decision->alerts[i];
        if (!is_alert_right(&told[i], alert))
            return auditor_find(scene->finding, V_ALERT,
                                "account %s: alert %d is of kind %d, state %d "
                                "to %d; expected kind %d, state %d to %d",
                                account->id, i + 1, (int)alert->kind, (int)alert->left,
                                (int)alert->entered, told[i].kind, (int)told[i].left,
                                (int)told[i].entered);
        uint64_t version = account->holdings ? account->holdings->version : 0;
        if (!auditor_names(account->id, alert->account, alert->bucket))
            return auditor_find(scene->finding, V_ALERT, "account %s: alert %d names %s and bucket %s",
                                account->id, i + 1, alert->account, alert->bucket);
        if (alert->created_ms != scene->now_ms || alert->holdings_version != version ||
            alert->parameter_epoch != scene->set->epoch ||
            alert->n_doubts != (size_t)next->doubt_count)
            return auditor_find(scene->finding, V_ALERT,
                                "account %s: alert %d is not of this entry's "
                                "clock, holdings or parameters",
                                account->id, i + 1);
        if (told[i].kind == PL_ALERT_BAD_DEBT
                ? !is_debt(alert->bad_debt, next->bad_debt) : alert->bad_debt != NULL)
            return auditor_find(scene->finding, V_ALERT, "account %s: alert %d: another bad debt",
                                account->id, i + 1);
        if (alert->called_ms != next->called_ms ||
            alert->has_called_ms != (next->called_ms > 0))
            return auditor_find(scene->finding, V_ALERT,
                                "account %s: alert %d: called since %" PRId64, account->id, i + 1,
                                alert->called_ms);
        if (!auditor_are_cures_right(scene, account, verdict, news->judged, alert))
            return auditor_find(scene->finding, V_ALERT,
                                "account %s: alert %d names other cures than the cheapest that do",
                                account->id, i + 1);
        if (!verdict->is_loose &&
            !(are_numbers_right(verdict, alert) && auditor_are_ratios_right(verdict, alert)))
            return auditor_find(scene->finding, V_ALERT,
                                "account %s: alert %d has other numbers than "
                                "the naive evaluation",
                                account->id, i + 1);
    }
    return true;
}

/* ---- the whole decision ---------------------------------------------------------------------- */

static void prior_of(const struct scene *scene, const struct account *account, struct state *prior)
{
    if (account->has_state)
        *prior = account->state;
    else
        *prior = (struct state){.state = PL_STATE_OK, .whole_since_ms = -1};
    for (int i = 0; i < account->executions_count; i++) {
        const struct execution *report = scene->executions[account->executions_first + i];
        if (strcmp(report->account, account->id) == 0)
            fold_report(prior, report);
    }
}

/* Nothing exact can be said: only that an order is not certainly wrong. */
static bool judge_loosely(const struct scene *scene, const struct account *account, bool is_halted,
                          const struct verdict *verdict, const struct state *state,
                          const struct decision *decision)
{
    scene->counts->uncertain++;
    if (decision->order_count == 0) {
        bool is_lost_anyhow = auditor_is_unbounded(verdict->loose_high[PL_TIER_MAINTENANCE])
                                  ? false
                                  : mpz_sgn(verdict->loose_high[PL_TIER_MAINTENANCE]) < 0;
        const struct state *after = decision->message ? &decision->state : &account->state;
        if (is_lost_anyhow && !auditor_is_blind(scene, account, verdict) &&
            (!(decision->message || account->has_state) || after->state < PL_STATE_LIQUIDATING))
            return auditor_find(scene->finding, V_MISSED,
                                "account %s is below maintenance under every "
                                "reading and has no episode",
                                account->id);
        return true;
    }
    if (is_halted)
        return auditor_find(scene->finding, V_HALT, "account %s: order %s though it is halted",
                            account->id, decision->orders[0]->order_id);
    if (auditor_is_blind(scene, account, verdict) || auditor_has_overdue(state) ||
        (mpz_sgn(verdict->high[PL_TIER_MAINTENANCE]) >= 0 &&
         mpz_sgn(verdict->high[PL_TIER_END]) >= 0))
        return auditor_find(scene->finding, I4,
                            "account %s: order %s though the account is in doubt", account->id,
                            decision->orders[0]->order_id);
    return true;
}

static bool check_missing(const struct scene *scene, const struct account *account,
                          const struct state *committed, const struct state *next)
{
    char text[192];
    const char *fault = difference(committed, next, text);
    if (!fault)
        return true;
    bool is_lost_account = next->state >= PL_STATE_LIQUIDATING &&
                           committed->state < PL_STATE_LIQUIDATING;
    return auditor_find(scene->finding, is_lost_account ? V_MISSED : V_STATE,
                        "account %s: nothing was published, but %s", account->id, fault);
}

static bool check_state(const struct scene *scene, const struct account *account,
                        const struct state *committed, const struct state *next,
                        const struct decision *decision)
{
    char text[192];
    const struct state *is = &decision->state;
    if (is->episode > committed->episode + 1 || is->episode < committed->episode ||
        is->revision > committed->revision + 1)
        return auditor_find(scene->finding, I3,
                            "account %s: episode %" PRIu64 " revision %u after %" PRIu64 " and %u",
                            account->id, is->episode, is->revision, committed->episode,
                            committed->revision);
    const char *fault = difference(is, next, text);
    if (fault)
        return auditor_find(scene->finding,
                            next->state >= PL_STATE_LIQUIDATING && is->state < PL_STATE_LIQUIDATING
                                ? V_MISSED
                                : V_STATE,
                            "account %s: %s", account->id, fault);
    if (is->version != committed->version + 1)
        return auditor_find(scene->finding, V_STATE,
                            "account %s: version %" PRIu64 " after %" PRIu64, account->id,
                            is->version, committed->version);
    if (!difference(is, committed, text))
        return auditor_find(scene->finding, V_STATE,
                            "account %s: version %" PRIu64 " is published and"
                            " nothing changed",
                            account->id, is->version);
    return true;
}

/* At their limits, what is in flight is worth no more than dust. */
static bool is_dust(const struct scene *scene, const struct state *state)
{
    mpz_t left, value;
    bool is_known = true;
    mpz_inits(left, value, NULL);
    mpz_ui_pow_ui(left, 10, 12);
    mpz_mul_si(left, left, scene->set->bad_debt_dust_usd);
    for (int i = 0; i < state->pending_count; i++) {
        is_known = value_of(&state->pending[i], open_lots(&state->pending[i]), value) && is_known;
        mpz_sub(left, left, value);
    }
    bool is_small = is_known && mpz_sgn(left) >= 0;
    mpz_clears(left, value, NULL);
    return is_small;
}

static pl_i128 to_i128(const mpz_t number)
{
    uint64_t words[2] = {0, 0}; /* of the size, which has no more */
    pl_assert(mpz_sizeinbase(number, 2) < 127);
    mpz_export(words, NULL, -1, sizeof(words[0]), 0, 0, number);
    pl_i128 size = (pl_i128)((pl_u128)words[1] << 64 | words[0]);
    return mpz_sgn(number) < 0 ? -size : size;
}

/* What no sale will cover is told once, when all that could be sold is gone but for dust. */
static void find_debt(const struct scene *scene, const struct verdict *verdict, bool is_hopeless,
                      struct state *next)
{
    if (is_hopeless && next->state == PL_STATE_BANKRUPT && next->bad_debt == 0 && next->braked_ms == 0 &&
        mpz_sgn(verdict->equity_high) < 0 &&
        is_dust(scene, next))
        next->bad_debt = -to_i128(verdict->equity_high);
}

bool auditor_judge(const struct scene *scene, struct account *account, bool is_halted,
                   struct decision *decision)
{
    struct state prior, next, judged, committed = {.state = PL_STATE_OK, .whole_since_ms = -1};
    if (account->has_state)
        committed = account->state;
    prior_of(scene, account, &prior);
    next = prior;
    settle(scene, account, &next);
    /* Released or grown orders change what is evaluated. */
    for (int i = 0; i < next.pending_count || i < committed.pending_count; i++)
        if (i >= next.pending_count || i >= committed.pending_count ||
            !same_pending(&next.pending[i], &committed.pending[i]))
            account->is_dirty = true;
    const struct verdict *verdict = verdict_of(scene, account, &next);
    if (auditor_is_below(verdict, PL_TIER_MAINTENANCE))
        scene->counts->below++;
    if (verdict->is_loose)
        return judge_loosely(scene, account, is_halted, verdict, &next, decision);
    judged = next;
    move(scene, account, verdict, &next);
    list_doubts(scene, account, verdict, &next);
    if (next.episode != committed.episode)
        scene->counts->episodes++;
    if (next.state != PL_STATE_BANKRUPT)
        next.bad_debt = 0;
    if (decision->order_count > 0) {
        if (!auditor_may_be_sold(scene, account, verdict, &next, is_halted, decision) ||
            !auditor_check_sale(scene, account, &next, decision))
            return false;
        bool is_hopeless = decision->orders[0]->reason ==
                           PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;
        if (is_hopeless && auditor_is_below(verdict, PL_TIER_MAINTENANCE))
            next.state = PL_STATE_BANKRUPT;
        const struct state before = next;
        auditor_add_pending(scene, decision, &next);
        if (!auditor_judge_brake(scene, account, &before, decision, &next))
            return false;
        find_debt(scene, verdict, is_hopeless, &next);
    } else if (!is_halted && auditor_is_sale_due(scene, account, verdict, &next)) {
        const struct state before = next;
        if (!auditor_judge_brake(scene, account, &before, decision, &next))
            return false;
        enum absence absence = auditor_judge_absence(scene, account, next.braked_ms > 0, &next);
        if (absence == ABSENCE_WRONG)
            return auditor_find(scene->finding, V_MISSED,
                                "account %s is below the line, a sale is due "
                                "and would help, and there is no order",
                                account->id);
        find_debt(scene, verdict, absence == ABSENCE_HOPELESS, &next);
        if (absence == ABSENCE_NO_PLACE && decision->message) /* which plan it was is not known */
            next.bad_debt = decision->state.bad_debt;
    }
    if (next.state != prior.state)
        next.since_ms = scene->now_ms;
    struct news news = {.judged = &judged};
    auditor_call(scene, prior.state, &next);
    news.expired_ms = auditor_expire(scene, account, verdict, &next);
    news.has_state = auditor_tell(scene, &prior, &next, &news.left, &news.since_ms);
    if (!decision->message)
        return check_missing(scene, account, &committed, &next);
    return check_state(scene, account, &committed, &next, decision) &&
           check_alerts(scene, account, verdict, &prior, &next, &news, decision);
}

bool auditor_is_forsaken(const struct scene *scene, struct account *account, bool is_halted,
                         char why[128])
{
    struct state next;
    prior_of(scene, account, &next);
    settle(scene, account, &next);
    account->is_dirty = true;
    const struct verdict *verdict = verdict_of(scene, account, &next);
    if (verdict->is_loose || !auditor_is_below(verdict, PL_TIER_MAINTENANCE) || is_halted ||
        auditor_is_blind(scene, account, verdict) || auditor_has_overdue(&next) || next.pending_count > 0)
        return false;
    if (next.state >= PL_STATE_LIQUIDATING && auditor_is_paused(scene, &next))
        return false;
    bool has_episode = next.state >= PL_STATE_LIQUIDATING;
    if (has_episode && auditor_judge_absence(scene, account, false, &next) != ABSENCE_WRONG)
        return false;
    snprintf(why, 128, "%s",
             has_episode ? "its episode has no order in flight" : "it has no episode");
    return true;
}
