/* SPDX-License-Identifier: Apache-2.0 */
/* The dry run of a parameter set (shadow.h). */
#include "services/liquidation/shadow.h"

#include <string.h>

#include "lib/service/log.h"
#include "lib/service/process.h"
#include "services/liquidation/liquidation.h"
#include "services/liquidation/metrics.h"

enum { ROWS_PER_STEP_MAX = 256 };
static const size_t BYTES_MAX = (size_t)16 << 20; /* of address space; more than a broker takes */

enum pl_err shadow_open(struct shadow *shadow)
{
    void *blocks[4] = { NULL };
    const size_t sizes[4] = { BYTES_MAX, sizeof(*shadow->names), sizeof(*shadow->parameters),
                              sizeof(*shadow->market) };
    for (unsigned i = 0; i < 4; i++) {
        enum pl_err err = pl_memory_map(sizes[i], &blocks[i]);
        if (err)
            return err;
    }
    *shadow = (struct shadow){ .bytes = blocks[0], .names = blocks[1], .parameters = blocks[2],
                               .market = blocks[3] };
    return PL_OK;
}

/* ---- the set -------------------------------------------------------------------------------- */

static void forget_counts(struct liquidation *service)
{
    for (int32_t i = 0; i < service->partition_count; i++)
        service->partitions[i].shadow = (struct shadow_sweep){ .mono_ms = pl_mono_ms() };
    for (unsigned change = 0; change < SHADOW_CHANGES; change++)
        pl_metric_clear_labelled(PL_METRIC_SHADOW_ACCOUNTS, change);
    pl_metric_clear(PL_METRIC_SHADOW_EPOCH);
}

static bool is_shadow(struct pl_bytes_view key)
{
    static const char shadow[] = "shadow";
    return key.size_bytes == sizeof(shadow) - 1 && memcmp(key.data, shadow, key.size_bytes) == 0;
}

/* As if it took the place of the set in force, whatever its epoch; by the venue's numbers of what the venue
 * has names for, so that it can be asked about the venue's accounts. */
static enum pl_err read_set(struct liquidation *service)
{
    struct shadow *shadow = &service->shadow;
    const struct venue *venue = &service->venue;
    enum pl_err err = PL_OK;
    uint32_t number = 0;
    pl_names_init(shadow->names);
    for (uint32_t i = 0; !err && i < venue->names->count; i++)
        err = pl_names_intern(shadow->names, &venue->names->ids[i], &number);
    if (!err)
        err = venue_draft(venue, shadow->names,
                          (struct pl_bytes_view){ shadow->bytes, shadow->size_bytes }, shadow->parameters);
    shadow->name_count = venue->names->count;
    memset(shadow->market, 0, sizeof(*shadow->market)); /* of another set */
    return err;
}

void shadow_see(struct liquidation *service, const struct pl_record *record)
{
    struct shadow *shadow = &service->shadow;
    if (record->topic != PL_TOPIC_PARAMETERS || !is_shadow(record->key))
        return;
    shadow->has_set = false;
    forget_counts(service);
    if (!record->value.data) {
        pl_log(PL_LOG_INFO, "SHADOW", "the shadow set was taken back", NULL);
        return;
    }
    if (record->value.size_bytes > BYTES_MAX) {
        pl_log(PL_LOG_WARN, "SHADOW", "the shadow set is too large", "offset",
               PL_LOG_INT(record->offset), NULL);
        return;
    }
    memcpy(shadow->bytes, record->value.data, record->value.size_bytes);
    shadow->size_bytes = record->value.size_bytes;
    shadow->has_set = true;
    shadow->name_count = UINT32_MAX; /* read with the first account */
}

/* False where there is none, or none that could be put in force. */
static bool is_ready(struct liquidation *service)
{
    struct shadow *shadow = &service->shadow;
    if (!shadow->has_set || !service->venue.has_parameters)
        return false;
    if (shadow->name_count == service->venue.names->count)
        return true;
    const bool is_new = shadow->name_count == UINT32_MAX;
    enum pl_err err = read_set(service);
    if (err) {
        pl_log(PL_LOG_WARN, "SHADOW", pl_err_text(), "epoch",
               PL_LOG_INT((int64_t)shadow->parameters->epoch), NULL);
        shadow->has_set = false;
        forget_counts(service);
    } else if (is_new) {
        pl_metric_set(PL_METRIC_SHADOW_EPOCH, (double)shadow->parameters->epoch);
        pl_log(PL_LOG_INFO, "SHADOW", "a shadow set is evaluated", "epoch",
               PL_LOG_INT((int64_t)shadow->parameters->epoch), NULL);
    }
    return !err;
}

/* ---- the sweep ------------------------------------------------------------------------------ */

static uint32_t rows_due(const struct liquidation *service, struct partition *partition)
{
    int64_t sweep_ms = (int64_t)service->settings->shadow_sweep_s * 1000, mono_ms = pl_mono_ms();
    uint32_t count = pl_book_count(partition->ledger.book);
    if (sweep_ms == 0 || count == 0)
        return 0;
    int64_t due = (mono_ms - partition->shadow.mono_ms) * count / sweep_ms;
    if (due <= 0)
        return 0;
    partition->shadow.mono_ms = mono_ms;
    if (due > count)
        due = count;
    return due < ROWS_PER_STEP_MAX ? (uint32_t)due : ROWS_PER_STEP_MAX;
}

static unsigned change_of(const struct pl_verdict *now, const struct pl_verdict *then)
{
    enum pl_standing from = pl_standing_of(now), to = pl_standing_of(then);
    if (from > PL_STANDING_MAINTENANCE || to > PL_STANDING_MAINTENANCE)
        return SHADOW_UNCERTAIN;
    return (unsigned)from * SHADOW_STANDINGS + (unsigned)to;
}

static void evaluate(const struct liquidation *service, struct partition *partition, uint32_t row)
{
    static struct pl_account_state state; /* scratch */
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    struct pl_verdict now, then;
    const struct pl_book *book = partition->ledger.book;
    const struct venue *venue = &service->venue;
    pl_book_state(book, row, &state);
    pl_effective_portfolio(book, row, &state, venue->market, legs, &portfolio);
    pl_verdict_of(venue->market, venue->names, &portfolio, &now);
    pl_verdict_of(service->shadow.market, venue->names, &portfolio, &then);
    partition->shadow.counting[change_of(&now, &then)]++;
}

/* A whole partition was seen: what all of ours have, as far as each was seen whole. */
static void publish(struct liquidation *service, struct partition *partition)
{
    memcpy(partition->shadow.counts, partition->shadow.counting, sizeof(partition->shadow.counts));
    memset(partition->shadow.counting, 0, sizeof(partition->shadow.counting));
    partition->shadow.has_counts = true;
    partition->shadow.next = 0;
    for (unsigned change = 0; change < SHADOW_CHANGES; change++) {
        double count = 0;
        for (int32_t i = 0; i < service->partition_count; i++)
            if (service->partitions[i].stage == STAGE_LOADED &&
                service->partitions[i].shadow.has_counts)
                count += service->partitions[i].shadow.counts[change];
        pl_metric_set_labelled(PL_METRIC_SHADOW_ACCOUNTS, change, count);
    }
}

static void sweep(struct liquidation *service, struct partition *partition)
{
    for (uint32_t due = rows_due(service, partition); due > 0; due--) {
        evaluate(service, partition, partition->shadow.next++);
        if (partition->shadow.next >= pl_book_count(partition->ledger.book))
            publish(service, partition);
    }
}

void shadow_evaluate(struct liquidation *service)
{
    struct shadow *shadow = &service->shadow;
    struct venue *venue = &service->venue;
    if (!is_ready(service))
        return;
    pl_market_inherit(shadow->market, venue->market);
    pl_market_update(shadow->market, shadow->parameters, venue->marks, service->now_ms);
    for (int32_t i = 0; i < service->partition_count; i++)
        if (service->partitions[i].stage == STAGE_LOADED)
            sweep(service, &service->partitions[i]);
}
