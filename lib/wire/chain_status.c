/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic chains: what is known of a chain and of the bridges that end on it. Step 2 of the position
 * service, which forgets how to undo what is final, and of the liquidation service, which lends
 * nothing on what cannot be moved.
 */
#include "plimsoll/v1/chain_status.pb-c.h"

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static const Plimsoll__V1__ChainStatus__Condition
    CONDITION_HALTED = PLIMSOLL__V1__CHAIN_STATUS__CONDITION__CONDITION_HALTED;

/* Since when, for what is halted. */
static enum pl_err read_since(const struct pl_place *place, struct pl_scalar field, bool is_halted,
                              int64_t event_time_ms, int64_t *since_ms)
{
    if (field.is_present && !is_halted)
        return pl_field_fail(PL_REJECT_CONFLICT, place, "halted_since_ms",
                             ": only what is CONDITION_HALTED has it");
    *since_ms = is_halted ? event_time_ms : 0;
    return field.is_present ? pl_field_time(place, field, since_ms) : PL_OK;
}

static enum pl_err read_bridge(const struct pl_place *place,
                               const Plimsoll__V1__ChainStatus__Bridge *from,
                               const struct pl_chain_status *status,
                               struct pl_bridge_status *bridge)
{
    uint32_t condition = 0;
    enum pl_err err = pl_field_id(place, "bridge", from->bridge, &bridge->bridge);
    for (uint32_t i = 0; !err && &status->bridges[i] < bridge; i++)
        if (pl_id_equal(&status->bridges[i].bridge, &bridge->bridge))
            err = pl_field_fail(PL_REJECT_CONFLICT, place, "bridge",
                                ": bridges[%u] has it too; write each once", i);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, condition),
                            &plimsoll__v1__chain_status__condition__descriptor, &condition);
    bridge->is_halted = condition == CONDITION_HALTED;
    return err ? err
               : read_since(place, PL_SCALAR(from, halted_since_ms), bridge->is_halted,
                            status->event_time_ms, &bridge->halted_since_ms);
}

static enum pl_err read_conditions(const Plimsoll__V1__ChainStatus *from,
                                   struct pl_chain_status *status)
{
    uint32_t condition = 0;
    enum pl_err err = pl_field_enum(NULL, PL_SCALAR(from, condition),
                                    &plimsoll__v1__chain_status__condition__descriptor, &condition);
    status->is_halted = condition == CONDITION_HALTED;
    if (!err)
        err = read_since(NULL, PL_SCALAR(from, halted_since_ms), status->is_halted,
                         status->event_time_ms, &status->halted_since_ms);
    if (!err)
        err = pl_field_count(NULL, "bridges", from->n_bridges, PL_BRIDGES_MAX,
                             &status->bridge_count);
    for (uint32_t i = 0; !err && i < status->bridge_count; i++)
        err = read_bridge(&(struct pl_place){NULL, "bridges", (int)i}, from->bridges[i], status,
                          &status->bridges[i]);
    return err;
}

enum pl_err pl_wire_chain_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_chain_status *status)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__ChainStatus *from = pl_wire_unpack(&wire->decode, PL_TOPIC_CHAINS, value,
                                                           &err);
    if (!from)
        return err;
    *status = (struct pl_chain_status){0};
    err = pl_field_id(NULL, "chain", from->chain, &status->chain);
    if (!err)
        err = pl_wire_check_key(key, "chain", &status->chain);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, head_height), 0, UINT64_MAX, &status->head_height);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, finalised_height), 0, status->head_height,
                           &status->finalised_height);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &status->event_time_ms);
    return err ? err : read_conditions(from, status);
}

enum pl_err pl_chain_halts_set(const struct pl_chain_status *status,
                               struct pl_chain_halt halts[PL_CHAIN_HALTS_MAX], uint32_t *count)
{
    uint32_t kept = 0, added = status->is_halted;
    for (uint32_t i = 0; i < *count; i++)
        kept += !pl_id_equal(&halts[i].chain, &status->chain);
    for (uint32_t i = 0; i < status->bridge_count; i++)
        added += status->bridges[i].is_halted;
    if (added > PL_CHAIN_HALTS_MAX - kept)
        return pl_err_set(PL_REJECT_CAPACITY, "chain %s: more than %d chains and bridges are halted",
                          status->chain.text, PL_CHAIN_HALTS_MAX);
    kept = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (!pl_id_equal(&halts[i].chain, &status->chain))
            halts[kept++] = halts[i];
    if (status->is_halted)
        halts[kept++] = (struct pl_chain_halt){.chain = status->chain,
                                               .since_ms = status->halted_since_ms};
    for (uint32_t i = 0; i < status->bridge_count; i++)
        if (status->bridges[i].is_halted)
            halts[kept++] = (struct pl_chain_halt){.chain = status->chain,
                                                   .bridge = status->bridges[i].bridge,
                                                   .since_ms = status->bridges[i].halted_since_ms};
    *count = kept;
    return PL_OK;
}
