/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic positions: what a chain or venue says about one account. Step 2 of the position service.
 * All legs of an event are read or none, so that a swap is never seen half done.
 */
#include "plimsoll/v1/position.pb-c.h"

#include <assert.h>
#include <string.h>

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_POSITION_SNAPSHOT == (int)PLIMSOLL__V1__POSITION_EVENT__KIND__KIND_SNAPSHOT &&
                  (int)PL_POSITION_DELTA == (int)PLIMSOLL__V1__POSITION_EVENT__KIND__KIND_DELTA &&
                  (int)PL_POSITION_RETRACTION ==
                      (int)PLIMSOLL__V1__POSITION_EVENT__KIND__KIND_RETRACTION,
              "position kind");

static enum pl_err read_sequences(const Plimsoll__V1__PositionEvent *from,
                                  struct pl_position_event *event)
{
    enum pl_err err = pl_field_u64(NULL, PL_SCALAR(from, sequence), 1, UINT64_MAX,
                                   &event->sequence);
    /* A snapshot says everything: what came before it does not matter. */
    if (!err && (from->has_previous_sequence || event->kind != PL_POSITION_SNAPSHOT))
        err = pl_field_u64(NULL, PL_SCALAR(from, previous_sequence), 0, event->sequence - 1,
                           &event->previous_sequence);
    if (!err && event->kind == PL_POSITION_RETRACTION)
        err = pl_field_u64(NULL, PL_SCALAR(from, retracts), 1, event->sequence - 1,
                           &event->retracts);
    else if (!err && from->has_retracts)
        err = pl_field_fail(PL_REJECT_CONFLICT, NULL, "retracts",
                            ": only an event of KIND_RETRACTION has it");
    return err;
}

static enum pl_err read_chain(const Plimsoll__V1__PositionEvent *from,
                              struct pl_position_event *event)
{
    enum pl_err err = pl_field_id_or_none(NULL, "chain", from->chain, &event->chain);
    if (!err && pl_id_is_none(&event->chain) && from->has_block_height)
        return pl_field_missing(NULL, "chain");
    if (!err && !pl_id_is_none(&event->chain))
        err = pl_field_u64(NULL, PL_SCALAR(from, block_height), 0, UINT64_MAX,
                           &event->block_height);
    return err;
}

static enum pl_err read_legs(const Plimsoll__V1__PositionEvent *from,
                             struct pl_position_event *event)
{
    enum pl_err err = pl_field_count(NULL, "legs", from->n_legs, PL_LEGS_MAX, &event->leg_count);
    for (uint32_t i = 0; !err && i < event->leg_count; i++) {
        const struct pl_place place = {NULL, "legs", (int)i};
        struct pl_position_leg *leg = &event->legs[i];
        err = pl_field_id(&place, "instrument", from->legs[i]->instrument, &leg->instrument);
        if (!err)
            err = pl_field_amount(&place, "quantity", from->legs[i]->quantity, &leg->quantity);
        if (!err)
            err = pl_field_amount_or_zero(&place, "cost", from->legs[i]->cost, &leg->cost);
        for (uint32_t j = 0; !err && j < i; j++)
            if (pl_id_equal(&leg->instrument, &event->legs[j].instrument))
                err = pl_field_fail(PL_REJECT_CONFLICT, &place, "instrument",
                                    ": legs[%u] has it too; write one leg per instrument", j);
    }
    return err;
}

static enum pl_err read_applied(const Plimsoll__V1__PositionEvent *from,
                                struct pl_position_event *event)
{
    enum pl_err err = pl_field_count(NULL, "applied", from->n_applied, PL_APPLIED_MAX,
                                     &event->applied_count);
    for (uint32_t i = 0; !err && i < event->applied_count; i++) {
        const struct pl_place place = {NULL, "applied", (int)i};
        struct pl_position_applied *applied = &event->applied[i];
        err = pl_field_uuid(&place, "order_id", from->applied[i]->order_id, applied->order_id);
        if (!err)
            err = pl_field_magnitude(&place, "cumulative_quantity",
                                     from->applied[i]->cumulative_quantity, &applied->cumulative);
        for (uint32_t j = 0; !err && j < i; j++)
            if (memcmp(applied->order_id, event->applied[j].order_id, PL_ORDER_ID_BYTES) == 0)
                err = pl_field_fail(PL_REJECT_CONFLICT, &place, "order_id",
                                    ": applied[%u] has it too; write one entry per order", j);
    }
    return err;
}

static enum pl_err read_changes(const Plimsoll__V1__PositionEvent *from,
                                struct pl_position_event *event)
{
    if (event->kind == PL_POSITION_RETRACTION && (from->n_legs || from->cash || from->n_applied))
        return pl_err_set(PL_REJECT_CONFLICT, "a retraction has no legs, cash or applied: it takes "
                                              "back what the event `retracts` said");
    event->has_cash = from->cash != NULL;
    enum pl_err err = pl_field_amount_or_zero(NULL, "cash", from->cash, &event->cash);
    if (!err)
        err = read_legs(from, event);
    return err ? err : read_applied(from, event);
}

enum pl_err pl_wire_position_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                    struct pl_bytes_view value, struct pl_position_event *event)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__PositionEvent *from = pl_wire_unpack(&wire->decode, PL_TOPIC_POSITIONS,
                                                             value, &err);
    if (!from)
        return err;
    uint32_t kind = 0;
    memset(event, 0, sizeof(*event));
    err = pl_field_account(from->account, from->bucket, key, PL_KEY_ACCOUNT, &event->account);
    if (!err)
        err = pl_field_id(NULL, "source", from->source, &event->source);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, kind),
                            &plimsoll__v1__position_event__kind__descriptor, &kind);
    event->kind = (enum pl_position_kind)kind;
    if (!err)
        err = read_sequences(from, event);
    if (!err)
        err = read_chain(from, event);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &event->event_time_ms);
    event->has_mode = from->has_mode;
    if (!err && from->has_mode)
        err = pl_field_u32(NULL, PL_SCALAR(from, mode), 0, PL_MODES_MAX - 1, &event->mode);
    return err ? err : read_changes(from, event);
}
