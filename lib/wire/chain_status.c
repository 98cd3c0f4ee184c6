/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic chains: what is known of a chain. Step 2 of the position service, which forgets how to undo
 * what is final. Bridges are checked but not kept: nothing evaluates them.
 */
#include "plimsoll/v1/chain_status.pb-c.h"

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

enum { BRIDGES_MAX = 64 };

static enum pl_err check_bridges(const Plimsoll__V1__ChainStatus *from)
{
    uint32_t count = 0, condition = 0;
    struct pl_id bridge;
    enum pl_err err = pl_field_count(NULL, "bridges", from->n_bridges, BRIDGES_MAX, &count);
    for (uint32_t i = 0; !err && i < count; i++) {
        const struct pl_place place = {NULL, "bridges", (int)i};
        err = pl_field_id(&place, "bridge", from->bridges[i]->bridge, &bridge);
        if (!err)
            err = pl_field_enum(&place, PL_SCALAR(from->bridges[i], condition),
                                &plimsoll__v1__chain_status__condition__descriptor, &condition);
    }
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
    uint32_t condition = 0;
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
        err = pl_field_enum(NULL, PL_SCALAR(from, condition),
                            &plimsoll__v1__chain_status__condition__descriptor, &condition);
    status->is_halted = condition == PLIMSOLL__V1__CHAIN_STATUS__CONDITION__CONDITION_HALTED;
    if (!err)
        err = check_bridges(from);
    return err ? err : pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &status->event_time_ms);
}
