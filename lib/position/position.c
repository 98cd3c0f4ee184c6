/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies position events to an account's record (see position.h). Amounts stay raw until
 * pl_record_convert; every sum is exact or refused, and an event is applied whole or not at all: the
 * work is done on the caller's record only after everything that can fail was tried on a copy of the
 * parts that change.
 */
#include "lib/position/position.h"

#include <string.h>

#include "lib/base/assert.h"

/* ---- sources and legs ----------------------------------------------------------------------- */

static bool find_source(const struct pl_record_holdings *record, const struct pl_id *id,
                        uint32_t *index)
{
    for (uint32_t i = 0; i < record->source_count; i++)
        if (pl_id_equal(&record->sources[i].id, id)) {
            *index = i;
            return true;
        }
    return false;
}

static int compare_leg(const struct pl_record_holdings *record, const struct pl_record_leg *leg,
                       const struct pl_id *instrument, const struct pl_id *source)
{
    int order = pl_id_compare(&leg->instrument, instrument);
    return order ? order : pl_id_compare(&record->sources[leg->source].id, source);
}

/* The leg of (instrument, source), made at its place in the order if it is not there. */
static enum pl_err leg_of(struct pl_record_holdings *record, const struct pl_id *instrument,
                          uint32_t source, struct pl_record_leg **leg)
{
    const struct pl_id *source_id = &record->sources[source].id;
    uint32_t at = 0;
    while (at < record->leg_count &&
           compare_leg(record, &record->legs[at], instrument, source_id) < 0)
        at++;
    *leg = &record->legs[at];
    if (at < record->leg_count && compare_leg(record, *leg, instrument, source_id) == 0)
        return PL_OK;
    if (record->leg_count == PL_LEGS_MAX)
        return pl_err_set(PL_REJECT_SIZE, "more than %d legs in one account", PL_LEGS_MAX);
    memmove(*leg + 1, *leg, sizeof(**leg) * (record->leg_count - at));
    record->leg_count++;
    **leg = (struct pl_record_leg){ .instrument = *instrument, .source = source };
    return PL_OK;
}

static bool has_tail(const struct pl_record_holdings *record, const struct pl_record_leg *leg)
{
    for (uint32_t i = 0; i < record->tail_count; i++)
        if (record->tail[i].source == leg->source &&
            pl_id_equal(&record->tail[i].instrument, &leg->instrument))
            return true;
    return false;
}

static void drop_empty_legs(struct pl_record_holdings *record)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < record->leg_count; i++) {
        const struct pl_record_leg *leg = &record->legs[i];
        if (!pl_amount_is_zero(&leg->quantity) || !pl_amount_is_zero(&leg->cost) ||
            has_tail(record, leg))
            record->legs[kept++] = *leg;
    }
    record->leg_count = kept;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Adds a change to a leg, or to the source's cash where `instrument` has size 0. */
static enum pl_err add_change(struct pl_record_holdings *record, uint32_t source,
                              const struct pl_id *instrument, const struct pl_amount *quantity,
                              const struct pl_amount *cost)
{
    struct pl_record_leg *leg = NULL;
    if (instrument->size_bytes == 0) {
        struct pl_amount *cash = &record->sources[source].cash;
        return pl_amount_add(cash, quantity, cash);
    }
    enum pl_err err = leg_of(record, instrument, source, &leg);
    if (!err)
        err = pl_amount_add(&leg->quantity, quantity, &leg->quantity);
    if (!err)
        err = pl_amount_add(&leg->cost, cost, &leg->cost);
    return err;
}

/* Adds a change and, where the event is not final, remembers it so that it can be taken back. */
static enum pl_err change(struct pl_record_holdings *record, const struct pl_position_event *event,
                          uint32_t source, const struct pl_position_leg *leg)
{
    enum pl_err err = add_change(record, source, &leg->instrument, &leg->quantity, &leg->cost);
    if (err || event->chain.size_bytes == 0)
        return err;
    if (record->tail_count == PL_RECORD_TAIL_MAX)
        return pl_err_set(PL_REJECT_SIZE, "more than %d changes of one account are not final: is "
                          "the chain's finalised height published?", PL_RECORD_TAIL_MAX);
    record->tail[record->tail_count++] = (struct pl_record_tail){
        .source = source, .instrument = leg->instrument, .sequence = event->sequence,
        .block_height = event->block_height, .quantity = leg->quantity, .cost = leg->cost,
        .mended_gap = event->kind == PL_POSITION_SNAPSHOT && record->sources[source].has_gap };
    return PL_OK;
}

static enum pl_err apply_delta(struct pl_record_holdings *record,
                               const struct pl_position_event *event, uint32_t source)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < event->leg_count; i++)
        err = change(record, event, source, &event->legs[i]);
    if (!err && event->has_cash) {
        const struct pl_position_leg cash = { .quantity = event->cash };
        err = change(record, event, source, &cash);
    }
    return err;
}

static enum pl_err subtract(const struct pl_amount *wanted, const struct pl_amount *present,
                            struct pl_amount *difference)
{
    struct pl_amount negated;
    enum pl_err err = pl_amount_negate(present, &negated);
    return err ? err : pl_amount_add(wanted, &negated, difference);
}

static const struct pl_position_leg *snapshot_leg(const struct pl_position_event *event,
                                                  const struct pl_id *instrument)
{
    for (uint32_t i = 0; i < event->leg_count; i++)
        if (pl_id_equal(&event->legs[i].instrument, instrument))
            return &event->legs[i];
    return NULL;
}

/* The difference between what the snapshot says and what the source's leg holds. */
static enum pl_err snapshot_difference(struct pl_record_holdings *record,
                                       const struct pl_position_event *event, uint32_t source,
                                       const struct pl_id *instrument)
{
    const struct pl_position_leg *wanted = snapshot_leg(event, instrument);
    const struct pl_position_leg nothing = { 0 };
    struct pl_position_leg difference = { .instrument = *instrument };
    struct pl_record_leg *leg = NULL;
    enum pl_err err = leg_of(record, instrument, source, &leg);
    if (!wanted)
        wanted = &nothing;
    if (!err)
        err = subtract(&wanted->quantity, &leg->quantity, &difference.quantity);
    if (!err)
        err = subtract(&wanted->cost, &leg->cost, &difference.cost);
    if (err || (pl_amount_is_zero(&difference.quantity) && pl_amount_is_zero(&difference.cost)))
        return err;
    return change(record, event, source, &difference);
}

/* A snapshot is what it changes, so that it can be taken back like anything else. */
static enum pl_err apply_snapshot(struct pl_record_holdings *record,
                                  const struct pl_position_event *event, uint32_t source)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < record->leg_count; i++)
        if (record->legs[i].source == source)
            err = snapshot_difference(record, event, source, &record->legs[i].instrument);
    for (uint32_t i = 0; !err && i < event->leg_count; i++)
        err = snapshot_difference(record, event, source, &event->legs[i].instrument);
    if (err)
        return err;
    struct pl_position_leg cash = { 0 };
    err = subtract(&event->cash, &record->sources[source].cash, &cash.quantity);
    if (err || pl_amount_is_zero(&cash.quantity))
        return err;
    return change(record, event, source, &cash);
}

static enum pl_err apply_retraction(struct pl_record_holdings *record,
                                    const struct pl_position_event *event, uint32_t source)
{
    uint32_t kept = 0, undone = 0;
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < record->tail_count; i++) {
        struct pl_record_tail entry = record->tail[i];
        if (entry.source != source || entry.sequence != event->retracts) {
            record->tail[kept++] = entry;
            continue;
        }
        undone++;
        err = pl_amount_negate(&entry.quantity, &entry.quantity);
        if (!err)
            err = pl_amount_negate(&entry.cost, &entry.cost);
        if (!err)
            err = add_change(record, source, &entry.instrument, &entry.quantity, &entry.cost);
    }
    if (err)
        return err;
    record->tail_count = kept;
    if (undone == 0)
        return pl_err_set(PL_REJECT_CONFLICT, "event %llu takes back event %llu of source %.*s, "
                          "which is final or was never seen: send a snapshot",
                          (unsigned long long)event->sequence,
                          (unsigned long long)event->retracts, (int)event->source.size_bytes,
                          event->source.text);
    return PL_OK;
}

/* ---- fills ---------------------------------------------------------------------------------- */

/* Fills only grow: the newest of an order replaces the older one and moves to the end. */
static void apply_fill(struct pl_record_holdings *record, const struct pl_position_applied *fill)
{
    struct pl_position_applied newest = *fill;
    uint32_t at = 0;
    while (at < record->applied_count &&
           memcmp(record->applied[at].order_id, fill->order_id, PL_ORDER_ID_BYTES) != 0)
        at++;
    if (at < record->applied_count &&
        pl_amount_compare(&record->applied[at].cumulative, &fill->cumulative) > 0)
        newest = record->applied[at];
    if (at == record->applied_count && at < PL_APPLIED_MAX) {
        record->applied[record->applied_count++] = newest;
        return;
    }
    if (at == record->applied_count)
        at = 0; /* the oldest makes room */
    memmove(&record->applied[at], &record->applied[at + 1],
            sizeof(record->applied[0]) * (record->applied_count - at - 1));
    record->applied[record->applied_count - 1] = newest;
}

/* ---- an event ------------------------------------------------------------------------------- */

static enum pl_err apply_kind(struct pl_record_holdings *record,
                              const struct pl_position_event *event, uint32_t source)
{
    switch (event->kind) {
    case PL_POSITION_SNAPSHOT:
        return apply_snapshot(record, event, source);
    case PL_POSITION_DELTA:
        return apply_delta(record, event, source);
    case PL_POSITION_RETRACTION:
        return apply_retraction(record, event, source);
    }
    return pl_err_set(PL_REJECT_UNKNOWN, "event of unknown kind %d", (int)event->kind);
}

static enum pl_err source_of(struct pl_record_holdings *record,
                             const struct pl_position_event *event, uint32_t *index)
{
    if (find_source(record, &event->source, index)) {
        const struct pl_record_source *source = &record->sources[*index];
        if (event->sequence <= source->sequence)
            return pl_err_set(PL_REJECT_STALE, "event %llu of source %.*s: %llu is applied already",
                              (unsigned long long)event->sequence, (int)event->source.size_bytes,
                              event->source.text, (unsigned long long)source->sequence);
        return PL_OK;
    }
    if (record->source_count == PL_RECORD_SOURCES_MAX)
        return pl_err_set(PL_REJECT_SIZE, "more than %d sources in one account",
                          PL_RECORD_SOURCES_MAX);
    *index = record->source_count++;
    record->sources[*index] = (struct pl_record_source){ .id = event->source };
    return PL_OK;
}

/* `has_reopened`: a retraction took back the snapshot that had mended a gap. */
static void note_continuity(struct pl_record_source *source, const struct pl_position_event *event,
                            bool is_whole, bool has_reopened)
{
    bool is_broken = event->previous_sequence != source->sequence;
    if (!is_whole || has_reopened)
        source->has_gap = true;
    else if (event->kind == PL_POSITION_SNAPSHOT)
        source->has_gap = false;
    else if (is_broken)
        source->has_gap = true;
    source->sequence = event->sequence;
    source->event_time_ms = event->event_time_ms;
    source->chain = event->chain;
}

static bool reopens_gap(const struct pl_record_holdings *record, uint32_t source,
                        const struct pl_position_event *event)
{
    for (uint32_t i = 0; i < record->tail_count; i++)
        if (event->kind == PL_POSITION_RETRACTION && record->tail[i].source == source &&
            record->tail[i].sequence == event->retracts && record->tail[i].mended_gap)
            return true;
    return false;
}

enum pl_err pl_record_apply(struct pl_record_holdings *record, const struct pl_position_event *event)
{
    static struct pl_record_holdings before; /* scratch of the one thread that decides */
    uint32_t index = 0;
    before = *record;
    enum pl_err err = source_of(record, event, &index);
    if (err) {
        *record = before;
        return err;
    }
    bool has_reopened = reopens_gap(record, index, event);
    err = apply_kind(record, event, index);
    if (err) {
        /* All or nothing, except for what must be known: that something is missing, and the mode, which the
         * snapshot that ends the gap need not say again. */
        struct pl_record_source source = record->sources[index];
        *record = before;
        if (index == record->source_count)
            record->source_count++;
        source.cash = index < before.source_count ? before.sources[index].cash
                                                  : (struct pl_amount){ 0, 0 };
        record->sources[index] = source;
    }
    note_continuity(&record->sources[index], event, !err, !err && has_reopened);
    record->is_tainted = false;
    if (event->has_mode)
        record->mode = event->mode;
    if (err)
        return err;
    for (uint32_t i = 0; i < event->applied_count; i++)
        apply_fill(record, &event->applied[i]);
    drop_empty_legs(record);
    return PL_OK;
}

/* ---- finality ------------------------------------------------------------------------------- */

bool pl_record_finalise(struct pl_record_holdings *record, const struct pl_id *chain,
                        uint64_t height)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < record->tail_count; i++) {
        const struct pl_record_tail *entry = &record->tail[i];
        bool is_final = pl_id_equal(&record->sources[entry->source].chain, chain) &&
                        entry->block_height <= height;
        if (!is_final)
            record->tail[kept++] = *entry;
    }
    bool has_changed = kept != record->tail_count;
    record->tail_count = kept;
    if (has_changed)
        drop_empty_legs(record);
    return has_changed;
}

/* What is left of an amount without the changes that are not final. */
static enum pl_err settled(const struct pl_record_holdings *record, uint32_t source,
                           const struct pl_id *instrument, struct pl_amount *quantity,
                           struct pl_amount *cost)
{
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < record->tail_count; i++) {
        const struct pl_record_tail *entry = &record->tail[i];
        if (entry->source != source || !pl_id_equal(&entry->instrument, instrument))
            continue;
        err = subtract(quantity, &entry->quantity, quantity);
        if (!err && cost)
            err = subtract(cost, &entry->cost, cost);
    }
    return err;
}

/* ---- lots ----------------------------------------------------------------------------------- */

/* What the confirmations let count of an inflow of so many lots, so many blocks deep; rounded down. */
static int64_t credit_of(const struct pl_instrument *instrument, int64_t lots, uint64_t blocks)
{
    int64_t best = 0;
    for (uint32_t i = 0; i < instrument->confirmation_count; i++) {
        const struct pl_confirmations *credit = &instrument->confirmations[i];
        int64_t part = (int64_t)pl_div_floor((pl_i128)lots * credit->weight_ppm, PL_PPM);
        if (blocks >= credit->blocks && lots <= credit->lots_max && part > best)
            best = part;
    }
    return best;
}

/* Blocks from that height to its chain's head, both counted; 0: it is not known to be in the chain. */
static uint64_t blocks_of(const struct pl_chain_head *heads, uint32_t head_count,
                          const struct pl_id *chain, uint64_t height)
{
    for (uint32_t i = 0; i < head_count; i++)
        if (pl_id_equal(&heads[i].chain, chain))
            return heads[i].height >= height ? heads[i].height - height + 1 : 0;
    return 0;
}

static enum pl_err credit_leg(const struct pl_record_holdings *record, struct pl_record_leg *leg,
                              const struct pl_instrument *instrument,
                              const struct pl_chain_head *heads, uint32_t head_count)
{
    int64_t most = INT64_MAX - (leg->settled_lots > 0 ? leg->settled_lots : 0);
    for (uint32_t i = 0; instrument->confirmation_count > 0 && i < record->tail_count; i++) {
        const struct pl_record_tail *entry = &record->tail[i];
        int64_t lots = 0;
        if (entry->source != leg->source || entry->quantity.mantissa <= 0 ||
            !pl_id_equal(&entry->instrument, &leg->instrument))
            continue;
        enum pl_err err = pl_rescale(entry->quantity.mantissa, entry->quantity.exponent,
                                     instrument->lot_decimals, PL_ROUND_FLOOR, &lots);
        if (err)
            return err;
        uint64_t blocks = blocks_of(heads, head_count, &record->sources[leg->source].chain,
                                    entry->block_height);
        int64_t credit = credit_of(instrument, lots, blocks);
        leg->credited_lots += credit < most ? credit : most;
        most -= credit < most ? credit : most;
        if (most == 0)
            return pl_err_set(PL_REJECT_OVERFLOW, "credited lots leave 64 bits");
    }
    return PL_OK;
}

static enum pl_err convert_leg(const struct pl_record_holdings *record, struct pl_record_leg *leg,
                               const struct pl_instrument *instrument)
{
    struct pl_amount final = leg->quantity;
    enum pl_err err = settled(record, leg->source, &leg->instrument, &final, NULL);
    /* Floor of the signed amount: an asset loses its fraction, a debt gains it. */
    if (!err)
        err = pl_rescale(leg->quantity.mantissa, leg->quantity.exponent, instrument->lot_decimals,
                         PL_ROUND_FLOOR, &leg->lots);
    if (!err)
        err = pl_rescale(final.mantissa, final.exponent, instrument->lot_decimals, PL_ROUND_FLOOR,
                         &leg->settled_lots);
    leg->has_lots = !err;
    leg->lot_decimals = instrument->lot_decimals;
    return err;
}

static bool settles_by_time(const struct pl_parameters *parameters, const struct pl_id *source)
{
    for (uint32_t i = 0; i < parameters->source_count; i++)
        if (pl_id_equal(&parameters->sources[i].id, source))
            return parameters->sources[i].settles_by_time;
    return false;
}

enum pl_err pl_record_convert(struct pl_record_holdings *record, const struct pl_names *names,
                              const struct pl_parameters *parameters,
                              const struct pl_chain_head *heads, uint32_t head_count)
{
    for (uint32_t i = 0; i < record->source_count; i++)
        record->sources[i].settles_by_time = settles_by_time(parameters, &record->sources[i].id);
    for (uint32_t i = 0; i < record->leg_count; i++) {
        struct pl_record_leg *leg = &record->legs[i];
        uint32_t index = 0;
        leg->has_lots = false;
        leg->lots = leg->settled_lots = leg->credited_lots = 0;
        leg->lot_decimals = 0;
        if (!pl_names_find(names, &leg->instrument, &index) ||
            !parameters->instruments[index].is_listed)
            continue;
        const struct pl_instrument *instrument = &parameters->instruments[index];
        enum pl_err err = convert_leg(record, leg, instrument);
        if (!err)
            err = credit_leg(record, leg, instrument, heads, head_count);
        if (err)
            return pl_err_note(err, "leg %.*s", (int)leg->instrument.size_bytes,
                               leg->instrument.text);
    }
    return PL_OK;
}

/* ---- what is evaluated ---------------------------------------------------------------------- */

static enum pl_err add_lots(int64_t *sum, int64_t lots)
{
    if (__builtin_add_overflow(*sum, lots, sum))
        return pl_err_set(PL_REJECT_OVERFLOW, "lots of one instrument leave 64 bits");
    return PL_OK;
}

static enum pl_err add_leg(const struct pl_record_holdings *record, const struct pl_record_leg *row,
                           uint32_t instrument, struct pl_holdings *holdings)
{
    struct pl_leg *leg = holdings->leg_count ? &holdings->legs[holdings->leg_count - 1] : NULL;
    if (!leg || leg->instrument != instrument) {
        leg = &holdings->legs[holdings->leg_count++];
        *leg = (struct pl_leg){ .instrument = instrument };
    }
    if (record->sources[row->source].settles_by_time)
        leg->settles_by_time = true;
    if (!row->has_lots) {
        int64_t sign = row->quantity.mantissa < 0 ? -1 : 1;
        leg->is_unlisted_amount = true;
        if (leg->lots >= 0) /* one unknown debt among unknown assets makes the leg a debt */
            leg->lots = leg->final_lots = sign;
        return PL_OK;
    }
    int64_t final = row->settled_lots + row->credited_lots; /* in range: the record says so */
    enum pl_err err = add_lots(&leg->lots, row->lots < final ? row->lots : final);
    if (!err)
        err = add_lots(&leg->final_lots, final);
    return err ? err : add_lots(&leg->credited_lots, row->credited_lots);
}

/* USD to VU, rounded down: cash is an asset where it is positive and a debt where it is not. */
static enum pl_err to_vu(const struct pl_amount *amount, pl_i128 *vu)
{
    enum pl_err err = pl_rescale_wide(amount->mantissa, amount->exponent, 12, PL_ROUND_FLOOR, vu);
    if (!err && pl_abs(*vu) > PL_VALUE_VU_MAX)
        err = pl_err_set(PL_REJECT_OVERFLOW, "an amount exceeds 10^12 USD");
    return err;
}

static enum pl_err add_cash(struct pl_holdings *holdings, const struct pl_amount *seen,
                            const struct pl_amount *final)
{
    pl_i128 seen_vu = 0, final_vu = 0;
    enum pl_err err = to_vu(seen, &seen_vu);
    if (!err)
        err = to_vu(final, &final_vu);
    /* At most 128 + 16 terms of at most 2^80: no overflow. */
    holdings->cash_vu += pl_min(seen_vu, final_vu);
    holdings->final_cash_vu += final_vu;
    return err;
}

static enum pl_err collect_cash(const struct pl_record_holdings *record,
                                struct pl_holdings *holdings)
{
    static const struct pl_id cash_id;
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < record->source_count; i++) {
        struct pl_amount final = record->sources[i].cash;
        err = settled(record, i, &cash_id, &final, NULL);
        if (!err)
            err = add_cash(holdings, &record->sources[i].cash, &final);
    }
    for (uint32_t i = 0; !err && i < record->leg_count; i++) {
        const struct pl_record_leg *row = &record->legs[i];
        struct pl_amount final_quantity = row->quantity, final_cost = row->cost;
        struct pl_amount seen, final;
        err = settled(record, row->source, &row->instrument, &final_quantity, &final_cost);
        if (!err)
            err = pl_amount_negate(&row->cost, &seen);
        if (!err)
            err = pl_amount_negate(&final_cost, &final);
        if (!err)
            err = add_cash(holdings, &seen, &final);
    }
    return err;
}

static enum pl_err collect_applied(const struct pl_record_holdings *record,
                                   struct pl_holdings *holdings)
{
    for (uint32_t i = 0; i < record->applied_count; i++) {
        struct pl_applied *applied = &holdings->applied[i];
        memcpy(applied->order_id, record->applied[i].order_id, PL_ORDER_ID_BYTES);
        applied->cumulative = record->applied[i].cumulative;
    }
    holdings->applied_count = record->applied_count;
    return PL_OK;
}

enum pl_err pl_record_to_holdings(const struct pl_record_holdings *record, struct pl_names *names,
                                  struct pl_holdings *holdings)
{
    *holdings = (struct pl_holdings){ .account = record->account, .version = record->version,
                                      .has_gap = record->is_tainted, .mode = record->mode };
    for (uint32_t i = 0; i < record->source_count; i++) {
        const struct pl_record_source *source = &record->sources[i];
        holdings->has_gap |= source->has_gap;
        if (i == 0 || source->event_time_ms < holdings->event_time_ms)
            holdings->event_time_ms = source->event_time_ms;
    }
    for (uint32_t i = 0; i < record->leg_count; i++) {
        const struct pl_record_leg *row = &record->legs[i];
        uint32_t instrument = 0;
        enum pl_err err = pl_names_intern(names, &row->instrument, &instrument);
        if (!err)
            err = add_leg(record, row, instrument, holdings);
        if (err)
            return pl_err_note(err, "leg %.*s", (int)row->instrument.size_bytes,
                               row->instrument.text);
    }
    enum pl_err err = collect_cash(record, holdings);
    return err ? err : collect_applied(record, holdings);
}
