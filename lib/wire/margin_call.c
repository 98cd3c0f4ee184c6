/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic alerts: what somebody has to be told about an account. Step 6 of the event's path, in the
 * step's transaction (G1). Numbers are lower bounds where the verdict is uncertain (G4), and absent
 * where nothing bounds them: an absent shortfall is not a shortfall of 0.
 */
#include "plimsoll/v1/margin_call.pb-c.h"

#include <assert.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_ALERT_STATE == (int)PLIMSOLL__V1__MARGIN_CALL__KIND__KIND_STATE &&
                  (int)PL_ALERT_BAD_DEBT == (int)PLIMSOLL__V1__MARGIN_CALL__KIND__KIND_BAD_DEBT,
              "alert kind");
static_assert((int)PL_CURE_ADD == (int)PLIMSOLL__V1__MARGIN_CALL__CURE__KIND__KIND_ADD &&
                  (int)PL_CURE_REDUCE == (int)PLIMSOLL__V1__MARGIN_CALL__CURE__KIND__KIND_REDUCE,
              "cure kind");

enum { EXCESS_EXPONENT = -18, VALUE_EXPONENT = -12, RATIO_EXPONENT = -6 };

Plimsoll__V1__MarginCall__Doubt **pl_build_doubts(struct pl_wire *wire,
                                                  const struct pl_names *names,
                                                  const struct pl_doubt *doubts, uint32_t count)
{
    Plimsoll__V1__MarginCall__Doubt **to = pl_wire_take(wire, count * sizeof(*to));
    for (uint32_t i = 0; i < count; i++) {
        to[i] = pl_wire_take(wire, sizeof(*to[i]));
        plimsoll__v1__margin_call__doubt__init(to[i]);
        if (doubts[i].instrument != UINT32_MAX) {
            pl_assert(doubts[i].instrument < names->count);
            to[i]->instrument = pl_build_id(&names->ids[doubts[i].instrument]);
        }
        PL_PUT(to[i], reason, (Plimsoll__V1__MarginCall__Doubt__Reason)doubts[i].reason);
    }
    return to;
}

static Plimsoll__V1__Amount *build_bound(struct pl_wire *wire, pl_i128 bound, int32_t exponent)
{
    if (bound <= -PL_EXCESS_UNBOUNDED || bound >= PL_EXCESS_UNBOUNDED)
        return NULL;
    return pl_build_amount(wire, bound, exponent);
}

/* USD in 10^-18 that make initial margin whole at the worst: exact, so nothing is rounded. */
static Plimsoll__V1__Amount *build_shortfall(struct pl_wire *wire, pl_i128 excess_initial)
{
    return build_bound(wire, pl_max(0, -excess_initial), EXCESS_EXPONENT);
}

static void build_verdict(struct pl_wire *wire, const struct pl_verdict *verdict,
                          Plimsoll__V1__MarginCall *to)
{
    const struct pl_bounds *excess = verdict->excess;
    to->shortfall = build_shortfall(wire, excess[PL_TIER_INITIAL].low);
    to->equity = build_bound(wire, verdict->equity_vu.low, VALUE_EXPONENT);
    to->excess_alert = build_bound(wire, excess[PL_TIER_ALERT].low, EXCESS_EXPONENT);
    to->excess_initial = build_bound(wire, excess[PL_TIER_INITIAL].low, EXCESS_EXPONENT);
    to->excess_end = build_bound(wire, excess[PL_TIER_END].low, EXCESS_EXPONENT);
    to->excess_maintenance = build_bound(wire, excess[PL_TIER_MAINTENANCE].low, EXCESS_EXPONENT);
}

/* Rounded down, against the account. */
static Plimsoll__V1__Amount *build_ratio(struct pl_wire *wire, const struct pl_ratio *ratio)
{
    pl_i128 ppm;
    return pl_ratio_ppm(ratio, &ppm) ? pl_build_amount(wire, ppm, RATIO_EXPONENT) : NULL;
}

static void build_ratios(struct pl_wire *wire, const struct pl_ratios *ratios,
                         Plimsoll__V1__MarginCall *to)
{
    const pl_i128 *requirement = ratios->requirement;
    to->collateral = build_bound(wire, ratios->collateral_vu, VALUE_EXPONENT);
    to->debt = build_bound(wire, ratios->debt_vu, VALUE_EXPONENT);
    to->collateral_ratio = build_ratio(wire, &ratios->collateral);
    to->over_collateral_ratio = build_ratio(wire, &ratios->over);
    to->health_factor = build_ratio(wire, &ratios->health);
    to->requirement_alert = build_bound(wire, requirement[PL_TIER_ALERT], EXCESS_EXPONENT);
    to->requirement_initial = build_bound(wire, requirement[PL_TIER_INITIAL], EXCESS_EXPONENT);
    to->requirement_end = build_bound(wire, requirement[PL_TIER_END], EXCESS_EXPONENT);
    to->requirement_maintenance =
        build_bound(wire, requirement[PL_TIER_MAINTENANCE], EXCESS_EXPONENT);
    to->top_up = build_bound(wire, ratios->top_up_vu[PL_TIER_INITIAL], VALUE_EXPONENT);
}

static void build_cures(struct pl_wire *wire, const struct pl_wire_context *context,
                        const struct pl_decision *decision, Plimsoll__V1__MarginCall *to)
{
    const struct pl_parameters *parameters = context->market->parameters;
    to->cures = pl_wire_take(wire, decision->cure_count * sizeof(*to->cures));
    for (uint32_t i = 0; i < decision->cure_count; i++) {
        const struct pl_cure *from = &decision->cures[i];
        Plimsoll__V1__MarginCall__Cure *cure = pl_wire_take(wire, sizeof(*cure));
        plimsoll__v1__margin_call__cure__init(cure);
        to->cures[to->n_cures++] = cure;
        PL_PUT(cure, kind, (Plimsoll__V1__MarginCall__Cure__Kind)from->kind);
        cure->cost = pl_build_amount(wire, from->cost_vu, VALUE_EXPONENT);
        if (from->instrument == UINT32_MAX)
            continue;
        const struct pl_instrument *instrument = &parameters->instruments[from->instrument];
        cure->instrument = pl_build_id(&context->names->ids[from->instrument]);
        PL_PUT(cure, lots, (uint64_t)from->lots);
        PL_PUT(cure, lot_decimals, instrument->lot_decimals);
        cure->limit_price = pl_build_decimal(wire, from->ticks,
                                             -(int32_t)instrument->tick_decimals);
    }
}

enum pl_err pl_wire_alert_encode(struct pl_wire *wire, const struct pl_wire_context *context,
                                 const struct pl_decision *decision, uint32_t alert,
                                 struct pl_bytes_view *value)
{
    pl_assert(alert < decision->alert_count);
    const struct pl_alert *from = &decision->alerts[alert];
    const struct pl_account_state *state = &decision->state;
    Plimsoll__V1__MarginCall to = PLIMSOLL__V1__MARGIN_CALL__INIT;
    to.account = pl_build_account(wire, &context->account->id);
    to.bucket = pl_build_bucket(&context->account->id);
    PL_PUT(&to, kind, (Plimsoll__V1__MarginCall__Kind)from->kind);
    if (from->kind == PL_ALERT_STATE) {
        PL_PUT(&to, left, (Plimsoll__V1__MarginCall__State)from->left);
        PL_PUT(&to, entered, (Plimsoll__V1__MarginCall__State)from->entered);
    }
    PL_PUT(&to, created_ms, context->market->now_ms);
    PL_PUT(&to, since_ms, from->since_ms);
    /* Out of range means that there are no numbers. */
    if (decision->verdict.certainty != PL_OUT_OF_RANGE) {
        build_verdict(wire, &decision->verdict, &to);
        build_ratios(wire, &decision->ratios, &to);
        build_cures(wire, context, decision, &to);
    }
    to.n_doubts = state->doubt_count;
    to.doubts = pl_build_doubts(wire, context->names, state->doubts, state->doubt_count);
    if (from->kind == PL_ALERT_ORDER_OVERDUE)
        to.order_id = pl_build_uuid(wire, from->order_id);
    if (from->kind == PL_ALERT_BAD_DEBT)
        to.bad_debt = pl_build_amount(wire, state->bad_debt_vu, VALUE_EXPONENT);
    PL_PUT(&to, holdings_version, context->account->version);
    PL_PUT(&to, parameter_epoch, context->market->parameters->epoch);
    if (state->called_ms > 0)
        PL_PUT(&to, called_ms, state->called_ms);
    if (from->due_ms > 0)
        PL_PUT(&to, due_ms, from->due_ms);
    return pl_wire_pack(wire, PL_TOPIC_ALERTS, &to.base, value);
}
