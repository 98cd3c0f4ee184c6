/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic parameters: the effective set that follows from a base set. Written by the price service's
 * owner of prices-0, so that everybody downstream uses one set, whole (V1 to V10 see everything).
 * Today the two differ in one field: which base set this one comes from.
 */
#include "plimsoll/v1/parameter_set.pb-c.h"

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

enum pl_err pl_wire_parameters_effective(struct pl_wire *wire, struct pl_bytes_view base,
                                         struct pl_bytes_view *effective)
{
    enum pl_err err = PL_OK;
    Plimsoll__V1__ParameterSet *set =
        pl_wire_unpack(&wire->decode, PL_TOPIC_PARAMETERS, base, &err);
    if (!set)
        return err;
    PL_PUT(set, base_epoch, set->epoch);
    return pl_wire_pack(wire, PL_TOPIC_PARAMETERS, &set->base, effective);
}
