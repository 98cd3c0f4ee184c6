/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks of options: value grids from the newest marks of underlying and volatility, by the owner of
 * prices-0, who reads all marks (RISK 1.4). A new one when it is a quarter of an hour old (or half
 * the age that the option's rules allow), when volatility has moved by a point, when the underlying
 * has left the grid's inner part, or when the set or the volatility's status changed.
 *
 * At expiry an option is worth what it pays at the underlying's mark, or at the average of its marks, at
 * every node: the grid of a settled option is flat, and stays the first that was read from the topic, whoever wrote it. A
 * worker that knows of no settlement, and no live price from within the underlying's age of expiry,
 * publishes none: what then grows stale is doubt, not a guess. Averages are of the marks that the topic
 * has, whoever published them: a successor has them from its tail, as far back as price.marks_window_ms.
 * A grid is renewed with every hundredth of an averaging window; where less than half of what has passed of
 * it is known, there is none.
 */
#include <math.h>

#include "lib/base/assert.h"
#include "lib/service/log.h"
#include "services/price/metrics.h"
#include "services/price/price.h"

enum {
    LOOK_MS = 50,
    REFRESH_MS = 15 * 60 * 1000,
    GRIDS_MAX = 16, /* of a pass: about a third of a millisecond each */
};

static const double POINT = 0.01;
static const double WINDOW_PART = 0.01;

/* ---- what is known -------------------------------------------------------------------------- */

static void follow_set(struct price_service *service)
{
    const struct pl_parameters *set = service->parameters.effective;
    if (service->averaged_epoch == set->epoch)
        return;
    service->averaged_epoch = set->epoch;
    service->averaged_count = 0;
    for (uint32_t i = 0; i < service->names->count && set->option_count > 0; i++)
        if (set->instruments[i].is_listed && set->instruments[i].option.averaging_ms > 0)
            service->averaged[service->averaged_count++] = i;
}

static void see_underlying(struct price_service *service, uint32_t index,
                           const struct pl_mark *mark, int64_t at_ms)
{
    const struct pl_parameters *set = service->parameters.effective;
    follow_set(service);
    for (uint32_t k = 0; k < service->averaged_count; k++) {
        const uint32_t option = service->averaged[k];
        if (set->instruments[option].option.underlying == index)
            pl_settlement_see(&service->instruments[option].grid.settlement, set, option, mark,
                              at_ms);
    }
}

void price_see_mark(struct price_service *service, uint32_t index, const struct pl_mark *mark,
                    int64_t at_ms)
{
    if (service->parameters.has_effective)
        see_underlying(service, index, mark, at_ms);
    struct grid *grid = &service->instruments[index].grid;
    const struct pl_parameters *set = service->parameters.effective;
    if (!mark->grid || grid->is_confirmed || !service->parameters.has_effective ||
        set->instruments[index].kind != PL_INSTRUMENT_OPTION ||
        mark->event_time_ms < set->instruments[index].option.expiry_ms ||
        !pl_option_is_settled(mark->grid))
        return;
    grid->is_settled = grid->is_confirmed = true;
    grid->settled_vu = mark->grid->low[0][0];
}

static bool ticks_of(const struct price_service *service, uint32_t index, int64_t *ticks)
{
    const struct pl_mark *mark = &service->instruments[index].aggregate.mark;
    const struct pl_instrument *rules = &service->parameters.effective->instruments[index];
    return mark->status != PL_MARK_NONE && mark->mantissa > 0 &&
           !pl_rescale(mark->mantissa, mark->exponent, rules->tick_decimals, PL_ROUND_EVEN,
                       ticks) &&
           *ticks > 0 && *ticks <= INT64_C(1) << 60;
}

/* ---- when ----------------------------------------------------------------------------------- */

static int64_t refresh_ms(const struct pl_instrument *rules)
{
    const int64_t half_ms = rules->price_rules.age_ms_max / 2;
    return half_ms < REFRESH_MS ? half_ms : REFRESH_MS;
}

/* How much of the averaging window is over. */
static double passed_of(const struct price_service *service, const struct pl_option_terms *terms)
{
    const int64_t left_ms = terms->expiry_ms - service->now_ms;
    if (terms->averaging_ms == 0 || left_ms >= terms->averaging_ms)
        return 0;
    return left_ms > 0 ? 1 - (double)left_ms / (double)terms->averaging_ms : 1;
}

static bool is_due(const struct price_service *service, const struct grid *grid,
                   const struct pl_instrument *rules, int64_t ticks)
{
    const struct pl_mark *volatility =
        &service->instruments[rules->option.volatility].aggregate.mark;
    return grid->ticks == 0 || grid->epoch != service->parameters.effective->epoch ||
           grid->status != volatility->status ||
           service->mono_ms - grid->sent_mono_ms >= refresh_ms(rules) ||
           grid->is_settled != (service->now_ms >= rules->option.expiry_ms) ||
           fabs(pl_option_volatility(volatility) - grid->volatility) > POINT ||
           passed_of(service, &rules->option) - grid->passed > WINDOW_PART ||
           ticks > grid->ticks / 2 * 5 || ticks < grid->ticks / 5 * 2;
}

/* ---- what ----------------------------------------------------------------------------------- */

/* The underlying's price at expiry is known while its mark is live and young enough. */
static bool may_settle(const struct price_service *service, const struct pl_instrument *rules)
{
    const uint32_t underlying = rules->option.underlying;
    return service->instruments[underlying].aggregate.mark.status == PL_MARK_LIVE &&
           service->now_ms - rules->option.expiry_ms <=
               service->parameters.effective->instruments[underlying].price_rules.age_ms_max;
}

/* What it settles at; false where nobody knows. */
static bool settle(const struct price_service *service, uint32_t index, int64_t ticks,
                   struct pl_option_grid *values)
{
    const struct pl_parameters *set = service->parameters.effective;
    const struct pl_instrument *rules = &set->instruments[index];
    const bool is_known =
        rules->option.averaging_ms > 0
            ? pl_settlement_average(&service->instruments[index].grid.settlement, set, index,
                                    &ticks)
            : may_settle(service, rules);
    return is_known && pl_option_settle(set, index, ticks, values);
}

/* False where there is nothing that could be published. */
static bool fill(struct price_service *service, uint32_t index, int64_t ticks,
                 struct pl_option_grid *values)
{
    const struct pl_parameters *set = service->parameters.effective;
    const struct pl_instrument *rules = &set->instruments[index];
    struct grid *grid = &service->instruments[index].grid;
    struct pl_option_inputs inputs = {
        .ticks = ticks, .now_ms = service->now_ms,
        .volatility =
            pl_option_volatility(&service->instruments[rules->option.volatility].aggregate.mark)};
    if (service->now_ms < rules->option.expiry_ms)
        return pl_settlement_split_at(&grid->settlement, set, index, service->now_ms,
                                      &inputs.split) &&
               !pl_option_grid_fill(set, index, &inputs, values);
    if (!grid->is_settled && !settle(service, index, ticks, values))
        return false;
    if (!grid->is_settled)
        grid->settled_vu = values->low[0][0];
    grid->is_settled = true;
    values->grid = pl_grid_around(ticks);
    for (enum pl_layer layer = 0; layer < PL_LAYER_COUNT; layer++)
        for (uint32_t i = 0; i < values->grid.node_count; i++)
            values->low[layer][i] = values->high[layer][i] = grid->settled_vu;
    return true;
}

/* A settled option is as old as now; another as its volatility: the price is looked up by
 * readers. */
static void fill_mark(const struct price_service *service, uint32_t index, int64_t ticks,
                      const struct pl_option_grid *values, struct pl_mark *mark)
{
    const struct pl_instrument *rules = &service->parameters.effective->instruments[index];
    const struct instrument *own = &service->instruments[index];
    const struct pl_mark *under = &service->instruments[rules->option.underlying].aggregate.mark;
    const struct pl_mark *volatility =
        &service->instruments[rules->option.volatility].aggregate.mark;
    const struct pl_mark *last = &own->aggregate.mark;
    *mark = (struct pl_mark){
        .status = own->grid.is_settled ? PL_MARK_LIVE : volatility->status,
        .source_partition = under->source_partition,
        .source_offset = under->source_offset > last->source_offset ? under->source_offset
                                                                    : last->source_offset,
        .tick = last->tick >= (uint64_t)service->now_ms ? last->tick + 1
                                                        : (uint64_t)service->now_ms,
        .event_time_ms = service->now_ms, .source_count = 1, .grid = values};
    if (mark->status != PL_MARK_LIVE)
        mark->event_time_ms = volatility->event_time_ms;
    pl_option_mark_prices(rules, ticks, mark);
}

static enum pl_err send(struct price_service *service, uint32_t index, int64_t ticks)
{
    static struct pl_option_grid values; /* 22 KB */
    const struct pl_instrument *rules = &service->parameters.effective->instruments[index];
    struct instrument *own = &service->instruments[index];
    const struct pl_id *id = &service->names->ids[index];
    struct pl_mark mark;
    struct pl_bytes_view value;
    if (!fill(service, index, ticks, &values))
        return PL_OK;
    fill_mark(service, index, ticks, &values, &mark);
    enum pl_err err = pl_wire_mark_encode(service->wire, id, &mark, &value);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "mark of %s", id->text);
    err = pl_producer_send(service->producer, PL_TOPIC_MARKS, 0,
                           (struct pl_bytes_view){(const uint8_t *)id->text, id->size_bytes},
                           value, NULL, 0);
    pl_wire_reset(service->wire);
    if (err == PL_RETRY_QUEUE_FULL)
        return PL_OK; /* it stays due */
    mark.grid = NULL;
    own->aggregate.mark = mark;
    const struct pl_mark *volatility =
        &service->instruments[rules->option.volatility].aggregate.mark;
    own->grid.ticks = ticks;
    own->grid.volatility = pl_option_volatility(volatility);
    own->grid.status = volatility->status;
    own->grid.epoch = service->parameters.effective->epoch;
    own->grid.passed = passed_of(service, &rules->option);
    own->grid.sent_mono_ms = service->mono_ms;
    pl_metric_add(PL_METRIC_MARKS, 1);
    return err;
}

enum pl_err price_publish_grids(struct price_service *service)
{
    const struct pl_parameters *set = service->parameters.effective;
    uint32_t sent = 0;
    enum pl_err err = PL_OK;
    if (!service->parameters.has_effective || set->option_count == 0 ||
        service->mono_ms < service->grids_mono_ms || !price_has_read_marks(service) ||
        !pl_group_owns(service->group, 0))
        return PL_OK;
    for (uint32_t i = 0; i < service->names->count && !err && sent < GRIDS_MAX; i++) {
        const struct pl_instrument *rules = &set->instruments[i];
        int64_t ticks = 0, unused = 0;
        if (!rules->is_listed || rules->kind != PL_INSTRUMENT_OPTION ||
            !ticks_of(service, rules->option.underlying, &ticks) ||
            !ticks_of(service, rules->option.volatility, &unused) ||
            !is_due(service, &service->instruments[i].grid, rules, ticks))
            continue;
        err = send(service, i, ticks);
        sent++;
    }
    if (sent < GRIDS_MAX)
        service->grids_mono_ms = service->mono_ms + LOOK_MS;
    return err;
}
