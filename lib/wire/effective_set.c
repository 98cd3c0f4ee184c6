/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic parameters: the effective set that follows from a base set, and back. Written by the price
 * service's owner of prices-0, so that everybody downstream uses one set, whole (V1 to V10 see
 * everything). What it does not derive it passes on, fields included that this version does not know.
 *
 * An effective set contains its base set: whoever finds nothing else in the topic, after compaction or
 * because a later base set was refused, goes on from there.
 */
#include "plimsoll/v1/parameter_set.pb-c.h"

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

typedef Plimsoll__V1__ParameterSet__TierPpm tier_message;
typedef Plimsoll__V1__ParameterSet__Haircut haircut_message;
typedef Plimsoll__V1__ParameterSet__Haircut__Move move_message;
typedef Plimsoll__V1__ParameterSet__Haircut__Window window_message;

static tier_message *build_tiers(struct pl_wire *wire, const struct pl_tier_ppm *tiers)
{
    tier_message *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__parameter_set__tier_ppm__init(to);
    PL_PUT(to, alert, tiers->at[PL_TIER_ALERT]);
    PL_PUT(to, initial, tiers->at[PL_TIER_INITIAL]);
    PL_PUT(to, end, tiers->at[PL_TIER_END]);
    PL_PUT(to, maintenance, tiers->at[PL_TIER_MAINTENANCE]);
    return to;
}

static move_message *build_move(struct pl_wire *wire, const struct pl_haircut_move *move)
{
    if (move->since_ms == 0)
        return NULL;
    move_message *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__parameter_set__haircut__move__init(to);
    PL_PUT(to, from_ppm, move->from_ppm);
    PL_PUT(to, since_ms, move->since_ms);
    return to;
}

static window_message *build_window(struct pl_wire *wire, const struct pl_haircut_window *window)
{
    if (window->since_ms == 0)
        return NULL;
    window_message *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__parameter_set__haircut__window__init(to);
    PL_PUT(to, since_ms, window->since_ms);
    PL_PUT(to, low_ppm, window->low_ppm);
    PL_PUT(to, high_ppm, window->high_ppm);
    PL_PUT(to, before_low_ppm, window->before_low_ppm);
    PL_PUT(to, before_high_ppm, window->before_high_ppm);
    PL_PUT(to, rise_ppm, window->rise_ppm);
    return to;
}

static haircut_message *build_haircut(struct pl_wire *wire, const struct pl_haircut *haircut)
{
    haircut_message *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__parameter_set__haircut__init(to);
    to->base_haircut = build_tiers(wire, &haircut->base);
    to->target = build_tiers(wire, &haircut->target);
    if (haircut->target_at_ms != 0)
        PL_PUT(to, target_at_ms, haircut->target_at_ms);
    to->alert = build_move(wire, &haircut->moves[PL_TIER_ALERT]);
    to->initial = build_move(wire, &haircut->moves[PL_TIER_INITIAL]);
    to->end = build_move(wire, &haircut->moves[PL_TIER_END]);
    to->maintenance = build_move(wire, &haircut->moves[PL_TIER_MAINTENANCE]);
    PL_PUT(to, volatility_fast_ppm, haircut->volatility_fast_ppm);
    PL_PUT(to, volatility_slow_ppm, haircut->volatility_slow_ppm);
    to->close_out = build_tiers(wire, &haircut->close_out);
    to->buffer = build_tiers(wire, &haircut->buffer);
    to->stress = build_tiers(wire, &haircut->stress);
    to->floor = build_tiers(wire, &haircut->floor);
    PL_PUT(to, liquidity_ppm, haircut->liquidity_ppm);
    to->day = build_window(wire, &haircut->windows[PL_HAIRCUT_DAY]);
    to->month = build_window(wire, &haircut->windows[PL_HAIRCUT_MONTH]);
    to->year = build_window(wire, &haircut->windows[PL_HAIRCUT_YEAR]);
    if (haircut->has_short)
        to->base_short = build_tiers(wire, &haircut->base_short);
    if (haircut->figures_usd[PL_SCALE_DEPOSITS] > 0)
        PL_PUT(to, deposits_usd, haircut->figures_usd[PL_SCALE_DEPOSITS]);
    if (haircut->figures_usd[PL_SCALE_BORROWS] > 0)
        PL_PUT(to, borrows_usd, haircut->figures_usd[PL_SCALE_BORROWS]);
    if (haircut->figures_usd[PL_SCALE_OPEN_INTEREST] > 0)
        PL_PUT(to, open_interest_usd, haircut->figures_usd[PL_SCALE_OPEN_INTEREST]);
    return to;
}

static enum pl_err put_haircuts(struct pl_wire *wire, const struct pl_names *names,
                                const struct pl_parameters *derived,
                                Plimsoll__V1__ParameterSet *set)
{
    for (size_t i = 0; i < set->n_instruments; i++) {
        Plimsoll__V1__ParameterSet__Instrument *to = set->instruments[i];
        struct pl_id id;
        uint32_t index = 0;
        enum pl_err err = pl_field_id(NULL, "instrument", to->instrument, &id);
        if (err)
            return err;
        const bool is_known = pl_names_find(names, &id, &index);
        pl_assert(is_known && derived->instruments[index].is_listed);
        const struct pl_instrument *from = &derived->instruments[index];
        if (!from->haircut.is_present)
            continue;
        to->haircut_long = build_tiers(wire, &from->haircut_long);
        if (from->haircut.has_short)
            to->haircut_short = build_tiers(wire, &from->haircut_short);
        to->haircut = build_haircut(wire, &from->haircut);
    }
    return PL_OK;
}

enum pl_err pl_wire_parameters_effective(struct pl_wire *wire, struct pl_bytes_view base,
                                         const struct pl_names *names,
                                         const struct pl_parameters *derived,
                                         struct pl_bytes_view *effective)
{
    enum pl_err err = PL_OK;
    Plimsoll__V1__ParameterSet *set =
        pl_wire_unpack(&wire->decode, PL_TOPIC_PARAMETERS, base, &err);
    if (!set)
        return err;
    PL_PUT(set, base_epoch, set->epoch);
    if (derived) {
        PL_PUT(set, epoch, derived->epoch);
        err = put_haircuts(wire, names, derived, set);
    }
    return err ? err : pl_wire_pack(wire, PL_TOPIC_PARAMETERS, &set->base, effective);
}

enum pl_err pl_wire_parameters_base(struct pl_wire *wire, struct pl_bytes_view value,
                                    struct pl_bytes_view *base)
{
    enum pl_err err = PL_OK;
    Plimsoll__V1__ParameterSet *set =
        pl_wire_unpack(&wire->decode, PL_TOPIC_PARAMETERS, value, &err);
    if (!set)
        return err;
    if (set->has_base_epoch)
        PL_PUT(set, epoch, set->base_epoch);
    set->has_base_epoch = 0;
    for (size_t i = 0; i < set->n_instruments; i++) {
        Plimsoll__V1__ParameterSet__Instrument *instrument = set->instruments[i];
        if (instrument->haircut)
            instrument->haircut_long = instrument->haircut->base_haircut;
        if (instrument->haircut && instrument->haircut->base_short)
            instrument->haircut_short = instrument->haircut->base_short;
        instrument->haircut = NULL;
    }
    return pl_wire_pack(wire, PL_TOPIC_PARAMETERS, &set->base, base);
}
