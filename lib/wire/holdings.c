/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic holdings: the whole record of an account, written by the position service and read back by
 * it (to go on) and by the liquidation service (to evaluate), and the partition's watermark under
 * its reserved key. Step 2 of the event's path. What was written here is written again as the same
 * bytes.
 */
#include "plimsoll/v1/holdings.pb-c.h"

#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static const Plimsoll__V1__ParameterSet__Source__Settlement
    SETTLEMENT_APPLIED = PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_APPLIED,
    SETTLEMENT_BY_TIME = PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_BY_TIME;
static const Plimsoll__V1__Holdings__Source__Continuity
    CONTINUITY_COMPLETE = PLIMSOLL__V1__HOLDINGS__SOURCE__CONTINUITY__CONTINUITY_COMPLETE,
    CONTINUITY_GAP = PLIMSOLL__V1__HOLDINGS__SOURCE__CONTINUITY__CONTINUITY_GAP;

/* ---- watermark ---- */

bool pl_wire_is_watermark(struct pl_bytes_view key)
{
    static const char reserved[] = PL_WATERMARK_KEY;
    return key.data && key.size_bytes == sizeof(reserved) - 1 &&
           memcmp(key.data, reserved, sizeof(reserved) - 1) == 0;
}

enum pl_err pl_wire_watermark_decode(struct pl_wire *wire, struct pl_bytes_view value,
                                     struct pl_watermark *watermark)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__Holdings *from = pl_wire_unpack(&wire->decode, PL_TOPIC_HOLDINGS, value,
                                                        &err);
    if (!from)
        return err;
    const struct pl_place place = {NULL, "watermark", -1};
    if (!from->watermark)
        return pl_field_missing(NULL, "watermark");
    if (from->account || from->n_legs || from->n_sources || from->n_applied)
        return pl_err_set(PL_REJECT_CONFLICT, "the record under the reserved key has a watermark "
                                              "and nothing else");
    err = pl_field_u64(&place, PL_SCALAR(from->watermark, positions_offset), 0, INT64_MAX,
                       &watermark->positions_offset);
    return err ? err
               : pl_field_time(&place, PL_SCALAR(from->watermark, time_ms), &watermark->time_ms);
}

enum pl_err pl_wire_watermark_encode(struct pl_wire *wire, const struct pl_watermark *watermark,
                                     struct pl_bytes_view *value)
{
    Plimsoll__V1__Holdings to = PLIMSOLL__V1__HOLDINGS__INIT;
    Plimsoll__V1__Holdings__Watermark mark = PLIMSOLL__V1__HOLDINGS__WATERMARK__INIT;
    PL_PUT(&mark, positions_offset, watermark->positions_offset);
    PL_PUT(&mark, time_ms, watermark->time_ms);
    to.watermark = &mark;
    return pl_wire_pack(wire, PL_TOPIC_HOLDINGS, &to.base, value);
}

/* ---- decode ---- */

/* Adds a change that is not final. Kept by source and sequence, which is the order in which a
 * source's changes were applied; messages group them by leg instead. */
static enum pl_err add_tail(const struct pl_place *place, const struct pl_record_tail *tail,
                            struct pl_record_holdings *record)
{
    if (record->tail_count == PL_RECORD_TAIL_MAX)
        return pl_field_fail(PL_REJECT_SIZE, place, "sequence",
                             ": more than %d changes of the account are not final",
                             PL_RECORD_TAIL_MAX);
    uint32_t at = record->tail_count++;
    for (; at > 0; at--) {
        const struct pl_record_tail *before = &record->tail[at - 1];
        if (before->source < tail->source ||
            (before->source == tail->source && before->sequence <= tail->sequence))
            break;
        record->tail[at] = *before;
    }
    record->tail[at] = *tail;
    return PL_OK;
}

static enum pl_err read_cash_tail(const struct pl_place *parent, uint32_t source,
                                  const Plimsoll__V1__Holdings__Source *from,
                                  struct pl_record_holdings *record)
{
    enum pl_err err = PL_OK;
    for (size_t i = 0; !err && i < from->n_unfinalised_cash; i++) {
        const Plimsoll__V1__Holdings__Source__UnfinalisedCash *cash = from->unfinalised_cash[i];
        const struct pl_place place = {parent, "unfinalised_cash", (int)i};
        struct pl_record_tail tail = {.source = source};
        err = pl_field_u64(&place, PL_SCALAR(cash, sequence), 1, UINT64_MAX, &tail.sequence);
        if (!err)
            err = pl_field_u64(&place, PL_SCALAR(cash, block_height), 0, UINT64_MAX,
                               &tail.block_height);
        if (!err)
            err = pl_field_amount(&place, "cash", cash->cash, &tail.quantity);
        tail.mended_gap = cash->has_mended_gap && cash->mended_gap;
        if (!err)
            err = add_tail(&place, &tail, record);
    }
    return err;
}

static enum pl_err read_source(const struct pl_place *place,
                               const Plimsoll__V1__Holdings__Source *from,
                               struct pl_record_source *source)
{
    uint32_t continuity = 0, settlement = 0;
    enum pl_err err = pl_field_id(place, "source", from->source, &source->id);
    if (!err)
        err = pl_field_id_or_none(place, "chain", from->chain, &source->chain);
    if (!err) /* 0: its first event could not be applied, and left a gap */
        err = pl_field_u64(place, PL_SCALAR(from, sequence), 0, UINT64_MAX, &source->sequence);
    if (!err)
        err = pl_field_time(place, PL_SCALAR(from, event_time_ms), &source->event_time_ms);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, continuity),
                            &plimsoll__v1__holdings__source__continuity__descriptor, &continuity);
    if (!err)
        err = pl_field_enum(place, PL_SCALAR(from, settlement),
                            &plimsoll__v1__parameter_set__source__settlement__descriptor,
                            &settlement);
    source->has_gap = continuity == CONTINUITY_GAP;
    source->settles_by_time = settlement == SETTLEMENT_BY_TIME;
    return err ? err : pl_field_amount_or_zero(place, "cash", from->cash, &source->cash);
}

static bool find_source(const struct pl_record_holdings *record, const struct pl_id *id,
                        uint32_t *index)
{
    for (*index = 0; *index < record->source_count; ++*index)
        if (pl_id_equal(&record->sources[*index].id, id))
            return true;
    return false;
}

static enum pl_err read_sources(const Plimsoll__V1__Holdings *from,
                                struct pl_record_holdings *record)
{
    uint32_t count = 0, twin = 0;
    enum pl_err err = pl_field_count(NULL, "sources", from->n_sources, PL_RECORD_SOURCES_MAX,
                                     &count);
    for (uint32_t i = 0; !err && i < count; i++) {
        const struct pl_place place = {NULL, "sources", (int)i};
        err = read_source(&place, from->sources[i], &record->sources[i]);
        if (!err && find_source(record, &record->sources[i].id, &twin))
            err = pl_field_fail(PL_REJECT_CONFLICT, &place, "source",
                                ": sources[%u] has it too; write one entry per source", twin);
        record->source_count = i + 1;
        if (!err)
            err = read_cash_tail(&place, i, from->sources[i], record);
    }
    return err;
}

static enum pl_err read_leg_tail(const struct pl_place *parent, const struct pl_record_leg *leg,
                                 const Plimsoll__V1__Holdings__Leg *from,
                                 struct pl_record_holdings *record)
{
    enum pl_err err = PL_OK;
    for (size_t i = 0; !err && i < from->n_unfinalised; i++) {
        const Plimsoll__V1__Holdings__Unfinalised *change = from->unfinalised[i];
        const struct pl_place place = {parent, "unfinalised", (int)i};
        struct pl_record_tail tail = {.source = leg->source, .instrument = leg->instrument};
        err = pl_field_u64(&place, PL_SCALAR(change, sequence), 1, UINT64_MAX, &tail.sequence);
        if (!err)
            err = pl_field_u64(&place, PL_SCALAR(change, block_height), 0, UINT64_MAX,
                               &tail.block_height);
        if (!err)
            err = pl_field_amount(&place, "quantity", change->quantity, &tail.quantity);
        if (!err)
            err = pl_field_amount_or_zero(&place, "cost", change->cost, &tail.cost);
        tail.mended_gap = change->has_mended_gap && change->mended_gap;
        if (!err)
            err = add_tail(&place, &tail, record);
    }
    return err;
}

static enum pl_err read_leg(const struct pl_place *place, const Plimsoll__V1__Holdings__Leg *from,
                            const struct pl_record_holdings *record, struct pl_record_leg *leg)
{
    struct pl_id source;
    enum pl_err err = pl_field_id(place, "instrument", from->instrument, &leg->instrument);
    if (!err)
        err = pl_field_id(place, "source", from->source, &source);
    if (!err && !find_source(record, &source, &leg->source))
        err = pl_field_fail(PL_REJECT_UNKNOWN, place, "source", ": not one of `sources`");
    if (!err)
        err = pl_field_amount(place, "quantity", from->quantity, &leg->quantity);
    if (!err)
        err = pl_field_amount_or_zero(place, "cost", from->cost, &leg->cost);
    leg->has_lots = from->has_lots || from->has_settled_lots || from->has_lot_decimals;
    if (err || !leg->has_lots)
        return err;
    err = pl_field_i64(place, PL_SCALAR(from, lots), INT64_MIN, INT64_MAX, &leg->lots);
    if (!err)
        err = pl_field_i64(place, PL_SCALAR(from, settled_lots), INT64_MIN, INT64_MAX,
                           &leg->settled_lots);
    if (!err && from->has_credited_lots)
        err = pl_field_i64(place, PL_SCALAR(from, credited_lots), 0,
                           leg->settled_lots > 0 ? INT64_MAX - leg->settled_lots : INT64_MAX,
                           &leg->credited_lots);
    if (!err)
        err = pl_field_u32(place, PL_SCALAR(from, lot_decimals), 0, PL_DECIMALS_MAX,
                           &leg->lot_decimals);
    return err;
}

static int compare_legs(const struct pl_record_holdings *record, const struct pl_record_leg *a,
                        const struct pl_record_leg *b)
{
    int order = pl_id_compare(&a->instrument, &b->instrument);
    return order != 0
               ? order
               : pl_id_compare(&record->sources[a->source].id, &record->sources[b->source].id);
}

static enum pl_err read_legs(const Plimsoll__V1__Holdings *from, struct pl_record_holdings *record)
{
    enum pl_err err = pl_field_count(NULL, "legs", from->n_legs, PL_LEGS_MAX, &record->leg_count);
    for (uint32_t i = 0; !err && i < record->leg_count; i++) {
        const struct pl_place place = {NULL, "legs", (int)i};
        struct pl_record_leg *leg = &record->legs[i];
        err = read_leg(&place, from->legs[i], record, leg);
        if (!err && i > 0 && compare_legs(record, &record->legs[i - 1], leg) >= 0)
            err = pl_field_fail(PL_REJECT_CONFLICT, &place, "instrument",
                                ": not after the leg before; write legs by instrument, then "
                                "source, each pair once");
        if (!err)
            err = read_leg_tail(&place, leg, from->legs[i], record);
    }
    return err;
}

static enum pl_err read_applied(const Plimsoll__V1__Holdings *from,
                                struct pl_record_holdings *record)
{
    enum pl_err err = pl_field_count(NULL, "applied", from->n_applied, PL_APPLIED_MAX,
                                     &record->applied_count);
    for (uint32_t i = 0; !err && i < record->applied_count; i++) {
        const struct pl_place place = {NULL, "applied", (int)i};
        struct pl_position_applied *applied = &record->applied[i];
        err = pl_field_uuid(&place, "order_id", from->applied[i]->order_id, applied->order_id);
        if (!err)
            err = pl_field_magnitude(&place, "cumulative_quantity",
                                     from->applied[i]->cumulative_quantity, &applied->cumulative);
        for (uint32_t j = 0; !err && j < i; j++)
            if (memcmp(applied->order_id, record->applied[j].order_id, PL_ORDER_ID_BYTES) == 0)
                err = pl_field_fail(PL_REJECT_CONFLICT, &place, "order_id",
                                    ": applied[%u] has it too; write one entry per order", j);
    }
    return err;
}

enum pl_err pl_wire_record_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                  struct pl_bytes_view value, struct pl_record_holdings *record)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__Holdings *from = pl_wire_unpack(&wire->decode, PL_TOPIC_HOLDINGS, value,
                                                        &err);
    if (!from)
        return err;
    memset(record, 0, sizeof(*record));
    err = pl_field_account(from->account, from->bucket, key, PL_KEY_WHOLE, &record->account);
    if (!err && from->watermark)
        err = pl_field_fail(PL_REJECT_CONFLICT, NULL, "watermark",
                            ": only the record under the key " PL_WATERMARK_KEY " has it");
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, version), 1, UINT64_MAX, &record->version);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, positions_offset), 0, INT64_MAX,
                           &record->positions_offset);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, written_ms), &record->written_ms);
    record->is_tainted = from->has_tainted && from->tainted;
    if (!err && from->has_mode)
        err = pl_field_u32(NULL, PL_SCALAR(from, mode), 0, PL_MODES_MAX - 1, &record->mode);
    if (!err)
        err = read_sources(from, record);
    if (!err)
        err = read_legs(from, record);
    return err ? err : read_applied(from, record);
}

enum pl_err pl_wire_holdings_decode(struct pl_wire *wire, struct pl_names *names,
                                    struct pl_bytes_view key, struct pl_bytes_view value,
                                    struct pl_holdings *holdings)
{
    enum pl_err err = pl_wire_record_decode(wire, key, value, &wire->record);
    if (!err)
        err = pl_record_to_holdings(&wire->record, names, holdings);
    if (err)
        return err;
    holdings->digest = pl_wire_digest(key, value);
    return PL_OK;
}

/* ---- encode ---- */

static void build_leg_tail(struct pl_wire *wire, const struct pl_record_holdings *record,
                           const struct pl_record_leg *leg, Plimsoll__V1__Holdings__Leg *to)
{
    to->unfinalised = pl_wire_take(wire, record->tail_count * sizeof(*to->unfinalised));
    for (uint32_t i = 0; i < record->tail_count; i++) {
        const struct pl_record_tail *tail = &record->tail[i];
        if (tail->source != leg->source || !pl_id_equal(&tail->instrument, &leg->instrument))
            continue;
        Plimsoll__V1__Holdings__Unfinalised *change = pl_wire_take(wire, sizeof(*change));
        plimsoll__v1__holdings__unfinalised__init(change);
        PL_PUT(change, sequence, tail->sequence);
        PL_PUT(change, block_height, tail->block_height);
        change->quantity = pl_build_amount(wire, tail->quantity.mantissa, tail->quantity.exponent);
        change->cost = pl_build_amount_or_none(wire, &tail->cost);
        if (tail->mended_gap)
            PL_PUT(change, mended_gap, 1);
        to->unfinalised[to->n_unfinalised++] = change;
    }
}

static Plimsoll__V1__Holdings__Leg *build_leg(struct pl_wire *wire,
                                              const struct pl_record_holdings *record,
                                              const struct pl_record_leg *leg)
{
    Plimsoll__V1__Holdings__Leg *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__holdings__leg__init(to);
    pl_assert(leg->source < record->source_count);
    to->instrument = pl_build_id(&leg->instrument);
    to->source = pl_build_id(&record->sources[leg->source].id);
    to->quantity = pl_build_amount(wire, leg->quantity.mantissa, leg->quantity.exponent);
    to->cost = pl_build_amount_or_none(wire, &leg->cost);
    if (leg->has_lots) {
        PL_PUT(to, lots, leg->lots);
        PL_PUT(to, settled_lots, leg->settled_lots);
        if (leg->credited_lots > 0)
            PL_PUT(to, credited_lots, (uint64_t)leg->credited_lots);
        PL_PUT(to, lot_decimals, leg->lot_decimals);
    }
    build_leg_tail(wire, record, leg, to);
    return to;
}

static void build_cash_tail(struct pl_wire *wire, const struct pl_record_holdings *record,
                            uint32_t source, Plimsoll__V1__Holdings__Source *to)
{
    to->unfinalised_cash = pl_wire_take(wire, record->tail_count * sizeof(*to->unfinalised_cash));
    for (uint32_t i = 0; i < record->tail_count; i++) {
        const struct pl_record_tail *tail = &record->tail[i];
        if (tail->source != source || !pl_id_is_none(&tail->instrument))
            continue;
        Plimsoll__V1__Holdings__Source__UnfinalisedCash *cash = pl_wire_take(wire, sizeof(*cash));
        plimsoll__v1__holdings__source__unfinalised_cash__init(cash);
        PL_PUT(cash, sequence, tail->sequence);
        PL_PUT(cash, block_height, tail->block_height);
        cash->cash = pl_build_amount(wire, tail->quantity.mantissa, tail->quantity.exponent);
        if (tail->mended_gap)
            PL_PUT(cash, mended_gap, 1);
        to->unfinalised_cash[to->n_unfinalised_cash++] = cash;
    }
}

static Plimsoll__V1__Holdings__Source *
build_source(struct pl_wire *wire, const struct pl_record_holdings *record, uint32_t index)
{
    const struct pl_record_source *source = &record->sources[index];
    Plimsoll__V1__Holdings__Source *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__holdings__source__init(to);
    to->source = pl_build_id(&source->id);
    if (!pl_id_is_none(&source->chain))
        to->chain = pl_build_id(&source->chain);
    PL_PUT(to, sequence, source->sequence);
    PL_PUT(to, event_time_ms, source->event_time_ms);
    PL_PUT(to, continuity, source->has_gap ? CONTINUITY_GAP : CONTINUITY_COMPLETE);
    PL_PUT(to, settlement, source->settles_by_time ? SETTLEMENT_BY_TIME : SETTLEMENT_APPLIED);
    to->cash = pl_build_amount_or_none(wire, &source->cash);
    build_cash_tail(wire, record, index, to);
    return to;
}

static Plimsoll__V1__Holdings__Applied *build_applied(struct pl_wire *wire,
                                                      const struct pl_position_applied *applied)
{
    Plimsoll__V1__Holdings__Applied *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__holdings__applied__init(to);
    to->order_id = pl_build_uuid(wire, applied->order_id);
    to->cumulative_quantity = pl_build_amount(wire, applied->cumulative.mantissa,
                                              applied->cumulative.exponent);
    return to;
}

enum pl_err pl_wire_record_encode(struct pl_wire *wire, const struct pl_record_holdings *record,
                                  struct pl_bytes_view *value)
{
    Plimsoll__V1__Holdings to = PLIMSOLL__V1__HOLDINGS__INIT;
    pl_assert(record->leg_count <= PL_LEGS_MAX && record->tail_count <= PL_RECORD_TAIL_MAX);
    to.account = pl_build_account(wire, &record->account);
    if (*pl_bucket_part(&record->account))
        to.bucket = pl_build_bucket(&record->account);
    PL_PUT(&to, version, record->version);
    PL_PUT(&to, positions_offset, record->positions_offset);
    PL_PUT(&to, written_ms, record->written_ms);
    if (record->is_tainted)
        PL_PUT(&to, tainted, 1);
    if (record->mode > 0)
        PL_PUT(&to, mode, record->mode);
    to.legs = pl_wire_take(wire, record->leg_count * sizeof(*to.legs));
    size_t tail_count = 0;
    for (uint32_t i = 0; i < record->leg_count; i++) {
        to.legs[to.n_legs++] = build_leg(wire, record, &record->legs[i]);
        tail_count += to.legs[i]->n_unfinalised;
    }
    to.sources = pl_wire_take(wire, record->source_count * sizeof(*to.sources));
    for (uint32_t i = 0; i < record->source_count; i++) {
        to.sources[to.n_sources++] = build_source(wire, record, i);
        tail_count += to.sources[i]->n_unfinalised_cash;
    }
    /* Every change that is not final has a place: a leg with one is never dropped. */
    pl_assert(tail_count == record->tail_count);
    to.applied = pl_wire_take(wire, record->applied_count * sizeof(*to.applied));
    for (uint32_t i = 0; i < record->applied_count; i++)
        to.applied[to.n_applied++] = build_applied(wire, &record->applied[i]);
    return pl_wire_pack(wire, PL_TOPIC_HOLDINGS, &to.base, value);
}
