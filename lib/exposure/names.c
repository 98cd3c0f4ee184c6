/* SPDX-License-Identifier: Apache-2.0 */
/* Instrument ids to dense numbers, so that legs, quotes and weights are arrays. Names only grow. */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/plimsoll.h"

void pl_names_init(struct pl_names *names)
{
    memset(names, 0, sizeof *names);
    pl_map_init(&names->map, names->table, PL_INSTRUMENTS_MAX, names->ids, sizeof names->ids[0]);
}

enum pl_err pl_names_intern(struct pl_names *names, const struct pl_id *id, uint32_t *index)
{
    pl_assert(!pl_id_is_none(id));
    if (pl_map_find(&names->map, id, index))
        return PL_OK;
    if (names->count == PL_INSTRUMENTS_MAX)
        return pl_err_set(PL_REJECT_CAPACITY, "instrument %s: %d are known already", id->text,
                          PL_INSTRUMENTS_MAX);
    names->ids[names->count] = *id;
    enum pl_err err = pl_map_insert(&names->map, names->count);
    if (err)
        return err;
    *index = names->count++;
    return PL_OK;
}

bool pl_names_find(const struct pl_names *names, const struct pl_id *id, uint32_t *index)
{
    return pl_map_find(&names->map, id, index);
}
