/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic marks: the price that margin is computed with. Written by the price service, step 2 of the
 * liquidation service. The three prices share one exponent, as the struct says; a mark without a
 * price is no mark, whatever its status.
 */
#include "plimsoll/v1/mark.pb-c.h"

#include <assert.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_MARK_LIVE == (int)PLIMSOLL__V1__MARK__STATUS__STATUS_LIVE &&
              (int)PL_MARK_STALE == (int)PLIMSOLL__V1__MARK__STATUS__STATUS_STALE &&
              (int)PL_MARK_HALTED == (int)PLIMSOLL__V1__MARK__STATUS__STATUS_HALTED,
              "mark status");

static enum pl_err read_bound(const char *field, const Plimsoll__V1__Decimal *from,
                              int32_t exponent, int64_t *mantissa)
{
    int32_t own_exponent = 0;
    enum pl_err err = pl_field_decimal(NULL, field, from, mantissa, &own_exponent);
    if (!err && own_exponent != exponent)
        return pl_field_fail(PL_REJECT_RANGE, NULL, field,
                             ": exponent %d is not the price's, which is %d", own_exponent,
                             exponent);
    return err;
}

static enum pl_err read_prices(const Plimsoll__V1__Mark *from, struct pl_mark *mark)
{
    enum pl_err err =
        pl_field_decimal(NULL, "price", from->price, &mark->mantissa, &mark->exponent);
    if (!err)
        err = read_bound("low", from->low, mark->exponent, &mark->low_mantissa);
    if (!err)
        err = read_bound("high", from->high, mark->exponent, &mark->high_mantissa);
    if (err)
        return err;
    if (mark->low_mantissa <= 0)
        return pl_field_fail(PL_REJECT_RANGE, NULL, "low", ": not above zero");
    if (mark->low_mantissa > mark->mantissa || mark->mantissa > mark->high_mantissa)
        return pl_field_fail(PL_REJECT_RANGE, NULL, "price", ": not between low and high");
    return PL_OK;
}

static enum pl_err read_mark(const Plimsoll__V1__Mark *from, struct pl_mark *mark)
{
    uint32_t status = 0;
    enum pl_err err = pl_field_u64(NULL, PL_SCALAR(from, source_offset), 0, INT64_MAX,
                                   &mark->source_offset);
    if (!err)
        err = pl_field_i32(NULL, PL_SCALAR(from, source_partition), 0, INT32_MAX,
                           &mark->source_partition);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, tick), 0, INT64_MAX, &mark->tick);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, status), &plimsoll__v1__mark__status__descriptor,
                            &status);
    mark->status = (enum pl_mark_status)status;
    if (!err)
        err = read_prices(from, mark);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &mark->event_time_ms);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, source_count), 0, UINT32_MAX,
                           &mark->source_count);
    /* Nothing is decided on them: a mark without is a mark. */
    if (!err)
        mark->volatility_fast_ppm = from->has_volatility_fast_ppm ? from->volatility_fast_ppm : 0;
    if (!err)
        mark->volatility_slow_ppm = from->has_volatility_slow_ppm ? from->volatility_slow_ppm : 0;
    return err;
}

/* ---- an option's grid ------------------------------------------------------------------------- */

enum { GRID_OCTAVE_MAX = 60 };

/* V4. */
static enum pl_err read_layer(const char *name, const Plimsoll__V1__OptionGrid__Layer *from,
                              uint32_t node_count, int64_t low[], int64_t high[])
{
    const struct pl_place place = {&(struct pl_place){NULL, "grid", -1}, name, -1};
    if (!from)
        return pl_field_missing(place.parent, name);
    if (from->n_low != node_count || from->n_high != node_count)
        return pl_field_fail(PL_REJECT_SIZE, &place, "low", ": not as many nodes as the others");
    for (uint32_t i = 0; i < node_count; i++) {
        low[i] = from->low[i];
        high[i] = from->high[i];
        if (low[i] < 0 || low[i] > high[i] || high[i] >= INT64_C(1) << 62)
            return pl_field_fail(PL_REJECT_RANGE, &place, "low", ": V4 node %u is out of order", i);
    }
    return PL_OK;
}

static enum pl_err read_grid(const Plimsoll__V1__OptionGrid *from, struct pl_option_grid *to)
{
    const struct pl_place place = {NULL, "grid", -1};
    struct pl_grid *grid = &to->grid;
    enum pl_err err = pl_field_u32(&place, PL_SCALAR(from, bits), 1, PL_GRID_BITS_MAX, &grid->bits);
    if (!err)
        err = pl_field_u32(&place, PL_SCALAR(from, first_cell), grid->bits << grid->bits,
                           ((uint32_t)GRID_OCTAVE_MAX << grid->bits) - PL_GRID_NODES_MAX, &grid->first_cell);
    if (!err && !from->mark)
        err = pl_field_missing(&place, "mark");
    if (!err)
        err = pl_field_count(&place, "mark.low", from->mark->n_low, PL_GRID_NODES_MAX,
                             &grid->node_count);
    if (!err && grid->node_count < 3)
        err = pl_field_fail(PL_REJECT_SIZE, &place, "mark.low", ": fewer than 3 nodes");
    const struct {
        const char *name;
        const Plimsoll__V1__OptionGrid__Layer *from;
    } layers[PL_LAYER_COUNT] = {[PL_LAYER_MARK] = {"mark", from->mark},
                                [PL_LAYER_UP] = {"up", from->up},
                                [PL_LAYER_MID] = {"mid", from->mid},
                                [PL_LAYER_DOWN] = {"down", from->down}};
    for (unsigned i = 0; i < PL_LAYER_COUNT && !err; i++)
        err = read_layer(layers[i].name, layers[i].from, grid->node_count, to->low[i], to->high[i]);
    return err;
}

static Plimsoll__V1__OptionGrid__Layer *build_layer(struct pl_wire *wire,
                                                    const struct pl_option_grid *grid, unsigned layer)
{
    Plimsoll__V1__OptionGrid__Layer *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__option_grid__layer__init(to);
    to->n_low = to->n_high = grid->grid.node_count;
    to->low = (int64_t *)(uintptr_t)grid->low[layer]; /* packing only reads */
    to->high = (int64_t *)(uintptr_t)grid->high[layer];
    return to;
}

static Plimsoll__V1__OptionGrid *build_grid(struct pl_wire *wire, const struct pl_option_grid *grid)
{
    Plimsoll__V1__OptionGrid *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__option_grid__init(to);
    PL_PUT(to, bits, grid->grid.bits);
    PL_PUT(to, first_cell, grid->grid.first_cell);
    to->mark = build_layer(wire, grid, PL_LAYER_MARK);
    to->up = build_layer(wire, grid, PL_LAYER_UP);
    to->mid = build_layer(wire, grid, PL_LAYER_MID);
    to->down = build_layer(wire, grid, PL_LAYER_DOWN);
    return to;
}

enum pl_err pl_wire_mark_decode(struct pl_wire *wire, struct pl_names *names,
                                struct pl_bytes_view key, struct pl_bytes_view value,
                                uint32_t *instrument, struct pl_mark *mark)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__Mark *from = pl_wire_unpack(&wire->decode, PL_TOPIC_MARKS, value, &err);
    if (!from)
        return err;
    struct pl_id id;
    *mark = (struct pl_mark){ 0 };
    err = pl_field_id(NULL, "instrument", from->instrument, &id);
    if (!err)
        err = pl_wire_check_key(key, "instrument", &id);
    if (!err)
        err = read_mark(from, mark);
    if (!err && from->grid) {
        err = read_grid(from->grid, &wire->grid);
        mark->grid = &wire->grid;
    }
    /* Last, so that a bad mark leaves no name behind. */
    return err ? err : pl_names_intern(names, &id, instrument);
}

enum pl_err pl_wire_mark_encode(struct pl_wire *wire, const struct pl_id *instrument,
                                const struct pl_mark *mark, struct pl_bytes_view *value)
{
    pl_assert(mark->status != PL_MARK_NONE);
    Plimsoll__V1__Mark to = PLIMSOLL__V1__MARK__INIT;
    to.instrument = pl_build_id(instrument);
    PL_PUT(&to, source_offset, mark->source_offset);
    PL_PUT(&to, source_partition, mark->source_partition);
    PL_PUT(&to, tick, mark->tick);
    PL_PUT(&to, status, (Plimsoll__V1__Mark__Status)mark->status);
    to.price = pl_build_decimal(wire, mark->mantissa, mark->exponent);
    to.low = pl_build_decimal(wire, mark->low_mantissa, mark->exponent);
    to.high = pl_build_decimal(wire, mark->high_mantissa, mark->exponent);
    PL_PUT(&to, event_time_ms, mark->event_time_ms);
    PL_PUT(&to, source_count, mark->source_count);
    PL_PUT(&to, volatility_fast_ppm, mark->volatility_fast_ppm);
    PL_PUT(&to, volatility_slow_ppm, mark->volatility_slow_ppm);
    if (mark->grid)
        to.grid = build_grid(wire, mark->grid);
    return pl_wire_pack(wire, PL_TOPIC_MARKS, &to.base, value);
}
