/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic accounts: the decided state of an account, a changelog. Step 6 writes it in the transaction
 * of the orders it knows of (G1, G5); a partition's new owner reads it to the end before it
 * decides.
 */
#include "plimsoll/v1/account_state.pb-c.h"

#include <assert.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/base/sort.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_STATE_OK == (int)PLIMSOLL__V1__MARGIN_CALL__STATE__STATE_OK &&
                  (int)PL_STATE_BANKRUPT == (int)PLIMSOLL__V1__MARGIN_CALL__STATE__STATE_BANKRUPT,
              "account state");
static_assert((int)PL_DOUBT_NO_MARK ==
                      (int)PLIMSOLL__V1__MARGIN_CALL__DOUBT__REASON__REASON_NO_MARK &&
                  (int)PL_DOUBT_MODE ==
                      (int)PLIMSOLL__V1__MARGIN_CALL__DOUBT__REASON__REASON_MODE,
              "doubt reason");
static_assert((int)PL_PROGRESS_OPEN ==
                      (int)PLIMSOLL__V1__ACCOUNT_STATE__PENDING_ORDER__PROGRESS__PROGRESS_OPEN &&
                  (int)PL_PROGRESS_OVERDUE ==
                      (int)PLIMSOLL__V1__ACCOUNT_STATE__PENDING_ORDER__PROGRESS__PROGRESS_OVERDUE,
              "progress");

enum { BAD_DEBT_EXPONENT = -12 };

/* ---- decode ---- */

static enum pl_err read_lots(const struct pl_place *place, struct pl_scalar field, int64_t *lots)
{
    return pl_field_i64(place, field, 0, INT64_MAX, lots);
}

static enum pl_err read_instrument(const struct pl_place *place, const char *text,
                                   struct pl_names *names, uint32_t *index)
{
    struct pl_id id;
    enum pl_err err = pl_field_id(place, "instrument", text, &id);
    return err ? err : pl_names_intern(names, &id, index);
}

static enum pl_err read_order(const struct pl_place *place,
                              const Plimsoll__V1__AccountState__PendingOrder *from,
                              struct pl_names *names, struct pl_pending *pending)
{
    uint32_t side = 0, progress = 0;
    enum pl_err err = pl_field_uuid(place, "order_id", from->order_id, pending->order_id);
    if (!err)
        err = read_instrument(place, from->instrument, names, &pending->instrument);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, side),
                            &plimsoll__v1__forced_sale_order__side__descriptor, &side);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, progress),
                            &plimsoll__v1__account_state__pending_order__progress__descriptor,
                            &progress);
    pending->side = (enum pl_side)side;
    pending->progress = (enum pl_progress)progress;
    if (!err)
        err = read_lots(place, PL_SCALAR(from, ordered_lots), &pending->ordered_lots);
    if (!err)
        err = read_lots(place, PL_SCALAR(from, executed_lots), &pending->executed_lots);
    if (!err)
        err = read_lots(place, PL_SCALAR(from, applied_lots), &pending->applied_lots);
    if (!err)
        err = pl_field_u32(place, PL_SCALAR(from, lot_decimals), 0, PL_DECIMALS_MAX,
                           &pending->lot_decimals);
    return err;
}

static enum pl_err read_pending(const struct pl_place *place,
                                const Plimsoll__V1__AccountState__PendingOrder *from,
                                struct pl_names *names, struct pl_pending *pending)
{
    enum pl_err err = read_order(place, from, names, pending);
    if (!err)
        err = pl_field_decimal(place, "limit_price", from->limit_price, &pending->limit_ticks,
                               &pending->limit_exponent);
    if (!err && (pending->limit_ticks < 0 || pending->limit_exponent > 0 ||
                 pending->limit_exponent < -PL_DECIMALS_MAX))
        err = pl_field_fail(PL_REJECT_RANGE, place, "limit_price",
                            ": not a price in ticks of 10^-12 to 1 USD");
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, valid_until_ms), &pending->valid_until_ms);
    if (!err && from->has_reported_ms)
        err = pl_field_time(place, PL_SCALAR(from, reported_ms), &pending->reported_ms);
    return err;
}

static enum pl_err read_doubts(const Plimsoll__V1__AccountState *from, struct pl_names *names,
                               struct pl_account_state *state)
{
    enum pl_err err = pl_field_count(NULL, "doubts", from->n_doubts, PL_DOUBTS_MAX,
                                     &state->doubt_count);
    for (uint32_t i = 0; !err && i < state->doubt_count; i++) {
        const struct pl_place place = {NULL, "doubts", (int)i};
        const Plimsoll__V1__MarginCall__Doubt *doubt = from->doubts[i];
        uint32_t reason = 0;
        state->doubts[i].instrument = UINT32_MAX;
        if (doubt->instrument && *doubt->instrument)
            err = read_instrument(&place, doubt->instrument, names, &state->doubts[i].instrument);
        if (!err)
            err = pl_field_enum(&place, PL_SCALAR(doubt, reason),
                                &plimsoll__v1__margin_call__doubt__reason__descriptor, &reason);
        state->doubts[i].reason = (enum pl_doubt_reason)reason;
    }
    return err;
}

static enum pl_err read_times(const Plimsoll__V1__AccountState *from,
                              struct pl_account_state *state)
{
    enum pl_err err = pl_field_time(NULL, PL_SCALAR(from, since_ms), &state->since_ms);
    state->whole_since_ms = -1;
    if (!err && from->has_whole_since_ms)
        err = pl_field_time(NULL, PL_SCALAR(from, whole_since_ms), &state->whole_since_ms);
    return err ? err
               : pl_field_time(NULL, PL_SCALAR(from, revision_after_ms), &state->revision_after_ms);
}

static enum pl_err read_bad_debt(const Plimsoll__V1__Amount *from, pl_i128 *bad_debt_vu)
{
    struct pl_amount amount;
    enum pl_err err = pl_field_amount(NULL, "bad_debt", from, &amount);
    if (!err && (amount.exponent != BAD_DEBT_EXPONENT || amount.mantissa <= 0))
        err = pl_field_fail(PL_REJECT_RANGE, NULL, "bad_debt", ": not above 0 in 10^-12 USD");
    *bad_debt_vu = amount.mantissa;
    return err;
}

/* What margin calls have told, and their timers; all may be absent. */
static enum pl_err read_calls(const Plimsoll__V1__AccountState *from,
                              struct pl_account_state *state)
{
    enum pl_err err = pl_field_count(NULL, "told", from->n_told, PL_TOLD_MAX, &state->told_count);
    if (!err && from->has_called_ms)
        err = pl_field_time(NULL, PL_SCALAR(from, called_ms), &state->called_ms);
    if (!err && from->has_due_ms)
        err = pl_field_time(NULL, PL_SCALAR(from, due_ms), &state->due_ms);
    if (!err && from->has_braked_ms)
        err = pl_field_time(NULL, PL_SCALAR(from, braked_ms), &state->braked_ms);
    if (!err && from->bad_debt)
        err = read_bad_debt(from->bad_debt, &state->bad_debt_vu);
    for (uint32_t i = 0; !err && i < state->told_count; i++) {
        const struct pl_place place = {NULL, "told", (int)i};
        const Plimsoll__V1__AccountState__Told *told = from->told[i];
        uint32_t entered = 0;
        err = pl_field_enum(&place, PL_SCALAR(told, state),
                            &plimsoll__v1__margin_call__state__descriptor, &entered);
        state->told[i].state = (enum pl_state)entered;
        if (!err)
            err = pl_field_time(&place, PL_SCALAR(told, told_ms), &state->told[i].told_ms);
    }
    return err;
}

enum pl_err pl_wire_state_decode(struct pl_wire *wire, struct pl_names *names,
                                 struct pl_bytes_view key, struct pl_bytes_view value,
                                 struct pl_account_state *state)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__AccountState *from = pl_wire_unpack(&wire->decode, PL_TOPIC_ACCOUNTS, value,
                                                            &err);
    if (!from)
        return err;
    struct pl_id account;
    uint32_t decided = 0;
    memset(state, 0, sizeof(*state));
    err = pl_field_account(from->account, from->bucket, key, PL_KEY_WHOLE, &account);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, state),
                            &plimsoll__v1__margin_call__state__descriptor, &decided);
    state->state = (enum pl_state)decided;
    if (!err)
        err = read_times(from, state);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, episode), 0, UINT64_MAX, &state->episode);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, revision), 0, UINT32_MAX, &state->revision);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, version), 1, UINT64_MAX, &state->version);
    if (!err)
        err = read_calls(from, state);
    if (!err)
        err = read_doubts(from, names, state);
    if (!err)
        err = pl_field_count(NULL, "pending", from->n_pending, PL_PENDING_MAX,
                             &state->pending_count);
    for (uint32_t i = 0; !err && i < state->pending_count; i++) {
        const struct pl_place place = {NULL, "pending", (int)i};
        err = read_pending(&place, from->pending[i], names, &state->pending[i]);
    }
    return err;
}

/* ---- encode ---- */

static Plimsoll__V1__AccountState__PendingOrder *
build_pending(struct pl_wire *wire, const struct pl_names *names, const struct pl_pending *pending)
{
    Plimsoll__V1__AccountState__PendingOrder *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__account_state__pending_order__init(to);
    pl_assert(pending->instrument < names->count);
    pl_assert(pending->ordered_lots >= 0 && pending->executed_lots >= 0 &&
              pending->applied_lots >= 0);
    to->order_id = pl_build_uuid(wire, pending->order_id);
    to->instrument = pl_build_id(&names->ids[pending->instrument]);
    PL_PUT(to, side, (Plimsoll__V1__ForcedSaleOrder__Side)pending->side);
    PL_PUT(to, ordered_lots, (uint64_t)pending->ordered_lots);
    PL_PUT(to, executed_lots, (uint64_t)pending->executed_lots);
    PL_PUT(to, applied_lots, (uint64_t)pending->applied_lots);
    PL_PUT(to, lot_decimals, pending->lot_decimals);
    to->limit_price = pl_build_decimal(wire, pending->limit_ticks, pending->limit_exponent);
    PL_PUT(to, progress, (Plimsoll__V1__AccountState__PendingOrder__Progress)pending->progress);
    PL_PUT(to, valid_until_ms, pending->valid_until_ms);
    if (pending->reported_ms != 0)
        PL_PUT(to, reported_ms, pending->reported_ms);
    return to;
}

static void build_calls(struct pl_wire *wire, const struct pl_account_state *state,
                        Plimsoll__V1__AccountState *to)
{
    if (state->called_ms > 0)
        PL_PUT(to, called_ms, state->called_ms);
    if (state->due_ms > 0)
        PL_PUT(to, due_ms, state->due_ms);
    if (state->braked_ms > 0)
        PL_PUT(to, braked_ms, state->braked_ms);
    if (state->bad_debt_vu > 0)
        to->bad_debt = pl_build_amount(wire, state->bad_debt_vu, BAD_DEBT_EXPONENT);
    to->told = pl_wire_take(wire, state->told_count * sizeof(*to->told));
    for (uint32_t i = 0; i < state->told_count; i++) {
        Plimsoll__V1__AccountState__Told *told = pl_wire_take(wire, sizeof(*told));
        plimsoll__v1__account_state__told__init(told);
        PL_PUT(told, state, (Plimsoll__V1__MarginCall__State)state->told[i].state);
        PL_PUT(told, told_ms, state->told[i].told_ms);
        to->told[to->n_told++] = told;
    }
}

enum pl_err pl_wire_state_encode(struct pl_wire *wire, const struct pl_names *names,
                                 const struct pl_id *account, const struct pl_account_state *state,
                                 struct pl_bytes_view *value)
{
    Plimsoll__V1__AccountState to = PLIMSOLL__V1__ACCOUNT_STATE__INIT;
    pl_assert(state->doubt_count <= PL_DOUBTS_MAX && state->pending_count <= PL_PENDING_MAX);
    to.account = pl_build_account(wire, account);
    if (*pl_bucket_part(account))
        to.bucket = pl_build_bucket(account);
    PL_PUT(&to, state, (Plimsoll__V1__MarginCall__State)state->state);
    PL_PUT(&to, since_ms, state->since_ms);
    PL_PUT(&to, episode, state->episode);
    PL_PUT(&to, revision, state->revision);
    to.n_doubts = state->doubt_count;
    to.doubts = pl_build_doubts(wire, names, state->doubts, state->doubt_count);
    if (state->whole_since_ms >= 0)
        PL_PUT(&to, whole_since_ms, state->whole_since_ms);
    PL_PUT(&to, revision_after_ms, state->revision_after_ms);
    to.pending = pl_wire_take(wire, state->pending_count * sizeof(*to.pending));
    for (uint32_t i = 0; i < state->pending_count; i++)
        to.pending[to.n_pending++] = build_pending(wire, names, &state->pending[i]);
    PL_PUT(&to, version, state->version);
    build_calls(wire, state, &to);
    return pl_wire_pack(wire, PL_TOPIC_ACCOUNTS, &to.base, value);
}

/* ---- the brake's budgets ---- */

bool pl_wire_is_budget(struct pl_bytes_view key)
{
    static const char reserved[] = PL_BUDGET_KEY;
    return key.data && key.size_bytes == sizeof(reserved) - 1 &&
           memcmp(key.data, reserved, sizeof(reserved) - 1) == 0;
}

enum pl_err pl_wire_budget_decode(struct pl_wire *wire, struct pl_names *names,
                                  struct pl_bytes_view value, struct pl_budget *budget)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__AccountState *from = pl_wire_unpack(&wire->decode, PL_TOPIC_ACCOUNTS, value,
                                                            &err);
    if (!from)
        return err;
    const struct pl_place whole = {NULL, "budget", -1};
    const Plimsoll__V1__AccountState__Budget *stated = from->budget;
    if (!stated)
        return pl_field_missing(NULL, "budget");
    if (from->account || from->has_state || from->n_pending)
        return pl_err_set(PL_REJECT_CONFLICT, "the record under the reserved key has a budget and "
                                              "nothing else");
    *budget = (struct pl_budget){0};
    err = pl_field_time(&whole, PL_SCALAR(stated, window_start_ms), &budget->window_start_ms);
    for (size_t i = 0; !err && i < stated->n_uses; i++) {
        const struct pl_place place = {&whole, "uses", (int)i};
        uint32_t instrument = 0;
        err = read_instrument(&place, stated->uses[i]->instrument, names, &instrument);
        if (!err && budget->used_lots[instrument] != 0)
            err = pl_field_fail(PL_REJECT_CONFLICT, &place, "instrument", ": it is named twice");
        if (!err)
            err = pl_field_i64(&place, PL_SCALAR(stated->uses[i], lots), 1, INT64_MAX,
                               &budget->used_lots[instrument]);
    }
    return err;
}

static int by_id(const void *left, const void *right, const void *context)
{
    const struct pl_names *names = context;
    return pl_id_compare(&names->ids[*(const uint32_t *)left], &names->ids[*(const uint32_t *)right]);
}

enum pl_err pl_wire_budget_encode(struct pl_wire *wire, const struct pl_names *names,
                                  const struct pl_budget *budget, struct pl_bytes_view *value)
{
    Plimsoll__V1__AccountState to = PLIMSOLL__V1__ACCOUNT_STATE__INIT;
    Plimsoll__V1__AccountState__Budget stated = PLIMSOLL__V1__ACCOUNT_STATE__BUDGET__INIT;
    static uint32_t used[PL_INSTRUMENTS_MAX]; /* 16 KB of scratch */
    uint32_t count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
        if (budget->used_lots[i] > 0)
            used[count++] = i;
    pl_sort(used, count, sizeof used[0], by_id, names);
    PL_PUT(&stated, window_start_ms, budget->window_start_ms);
    stated.uses = pl_wire_take(wire, count * sizeof(*stated.uses));
    for (uint32_t i = 0; i < count; i++) {
        Plimsoll__V1__AccountState__Budget__Use *use = pl_wire_take(wire, sizeof(*use));
        plimsoll__v1__account_state__budget__use__init(use);
        use->instrument = pl_build_id(&names->ids[used[i]]);
        PL_PUT(use, lots, budget->used_lots[used[i]]);
        stated.uses[stated.n_uses++] = use;
    }
    to.budget = &stated;
    return pl_wire_pack(wire, PL_TOPIC_ACCOUNTS, &to.base, value);
}
