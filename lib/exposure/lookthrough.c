/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Largest products in a graph without cycles: edges are put in an order in which each edge into a
 * dependency comes before every edge out of it, and one pass along that order settles an instrument.
 */
#include "lib/exposure/lookthrough.h"

#include "lib/base/assert.h"

static_assert(PL_DEPENDENCIES_MAX <= 64, "dependencies are marked in 64 bits");
static_assert(PL_DEPENDENCIES_MAX <= UINT8_MAX, "through counts from 1");

/* ---- the order of edges --------------------------------------------------------------------- */

/* Edges between dependencies, by place in the set. */
struct order {
    uint32_t count;
    uint16_t edges[PL_EDGES_MAX];
};

static bool is_between(const struct pl_edge *edge)
{
    return edge->instrument == UINT32_MAX;
}

/* Those of `open` into which no edge from `open` leads. */
static uint64_t settled(const struct pl_parameters *parameters, uint64_t open)
{
    uint64_t ready = open;
    for (uint32_t i = 0; i < parameters->edge_count; i++) {
        const struct pl_edge *edge = &parameters->edges[i];
        if (is_between(edge) && (open >> edge->from & 1))
            ready &= ~((uint64_t)1 << edge->to);
    }
    return ready;
}

/* Where an edge into `node` from `open` starts; there is one. */
static uint32_t before(const struct pl_parameters *parameters, uint64_t open, uint32_t node)
{
    for (uint32_t i = 0; i < parameters->edge_count; i++) {
        const struct pl_edge *edge = &parameters->edges[i];
        if (is_between(edge) && edge->to == node && (open >> edge->from & 1))
            return edge->from;
    }
    pl_assert(false);
    return 0;
}

/* Each of `open` has an edge from `open`: walking back from any of them leads into a cycle, and from
 * there around it. */
static enum pl_err name_cycle(const struct pl_parameters *parameters, uint64_t open)
{
    pl_assert(open != 0);
    uint32_t node = (uint32_t)__builtin_ctzll(open);
    for (uint32_t step = 0; step < PL_DEPENDENCIES_MAX; step++)
        node = before(parameters, open, node);
    const uint32_t last = node;
    enum pl_err err = pl_err_set(PL_REJECT_PARAMETERS, "%s is a cycle",
                                 parameters->dependencies[last].text);
    do { /* so that the edges stand in the order in which they lead */
        node = before(parameters, open, node);
        err = pl_err_set(err, "%s to %s", parameters->dependencies[node].text, pl_err_text());
    } while (node != last);
    return pl_err_note(err, "exposures");
}

static enum pl_err put_in_order(const struct pl_parameters *parameters, struct order *order)
{
    uint64_t open = parameters->dependency_count
                        ? UINT64_MAX >> (64 - parameters->dependency_count) : 0;
    order->count = 0;
    while (open) {
        const uint64_t ready = settled(parameters, open);
        if (!ready)
            return name_cycle(parameters, open);
        for (uint32_t i = 0; i < parameters->edge_count; i++)
            if (is_between(&parameters->edges[i]) &&
                (ready >> parameters->edges[i].from & 1))
                order->edges[order->count++] = (uint16_t)i;
        open &= ~ready;
    }
    return PL_OK;
}

/* ---- one instrument ------------------------------------------------------------------------- */

/* What the instrument depends on; only those in `used` are set. */
struct reach {
    uint64_t used;
    struct pl_loss losses[PL_DEPENDENCIES_MAX];
};

/* The failure at the end of `edge` costs so much of what costs `so_far` at its start. Below 2^31 times
 * 10^12, and never more than so_far. */
static int32_t loss_along(const struct pl_edge *edge, enum pl_tier tier, int32_t so_far)
{
    const pl_i128 scale = (pl_i128)PL_PPM * PL_PPM;
    pl_i128 product = (pl_i128)so_far * edge->loss.at[tier] * (PL_PPM - edge->coverage_ppm);
    return (int32_t)pl_div_ceil(product, scale);
}

/* `so_far` is NULL where the path starts. */
static void pass_on(struct reach *reach, const struct pl_edge *edge,
                    const struct pl_loss *so_far)
{
    struct pl_loss *to = &reach->losses[edge->to];
    if (!(reach->used >> edge->to & 1))
        *to = (struct pl_loss){.dependency = edge->to};
    reach->used |= (uint64_t)1 << edge->to;
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int32_t loss = loss_along(edge, tier, so_far ? so_far->loss.at[tier] : PL_PPM);
        if (loss <= to->loss.at[tier])
            continue;
        to->loss.at[tier] = loss;
        to->through[tier] = so_far ? (uint8_t)(so_far->dependency + 1) : 0;
    }
}

static void look_through(const struct pl_parameters *parameters, const struct order *order,
                         uint32_t index, struct reach *reach)
{
    const struct pl_instrument *instrument = &parameters->instruments[index];
    reach->used = 0;
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        reach->losses[instrument->losses[k].dependency] = instrument->losses[k];
        reach->used |= (uint64_t)1 << instrument->losses[k].dependency;
    }
    for (uint32_t i = 0; i < parameters->edge_count; i++)
        if (parameters->edges[i].instrument == index)
            pass_on(reach, &parameters->edges[i], NULL);
    if (reach->used == 0)
        return;
    for (uint32_t k = 0; k < order->count; k++) {
        const struct pl_edge *edge = &parameters->edges[order->edges[k]];
        if (reach->used >> edge->from & 1)
            pass_on(reach, edge, &reach->losses[edge->from]);
    }
}

static bool costs_nothing(const struct pl_loss *loss)
{
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        if (loss->loss.at[tier] != 0)
            return false;
    return true;
}

/* The stated ones stay where they are, the others follow in the order of the set. */
static enum pl_err put_losses(struct pl_instrument *instrument, const struct reach *reach)
{
    uint64_t rest = reach->used;
    for (uint32_t k = 0; k < instrument->loss_count; k++) {
        rest &= ~((uint64_t)1 << instrument->losses[k].dependency);
        instrument->losses[k] = reach->losses[instrument->losses[k].dependency];
    }
    for (; rest != 0; rest &= rest - 1) {
        const struct pl_loss *loss = &reach->losses[__builtin_ctzll(rest)];
        if (costs_nothing(loss))
            continue;
        if (instrument->loss_count == PL_LOSSES_MAX)
            return pl_err_set(PL_REJECT_PARAMETERS, "more than %d, with what lies behind them",
                              PL_LOSSES_MAX);
        instrument->losses[instrument->loss_count++] = *loss;
    }
    return PL_OK;
}

enum pl_err pl_lookthrough(struct pl_parameters *parameters, const struct pl_names *names)
{
    struct order order;
    struct reach reach;
    if (parameters->edge_count == 0)
        return PL_OK;
    enum pl_err err = put_in_order(parameters, &order);
    for (uint32_t i = 0; !err && i < PL_INSTRUMENTS_MAX; i++) {
        if (!parameters->instruments[i].is_listed)
            continue;
        look_through(parameters, &order, i, &reach);
        err = put_losses(&parameters->instruments[i], &reach);
        if (err)
            err = pl_err_note(err, "instrument %s dependencies", names->ids[i].text);
    }
    return err;
}

/* ---- the path ------------------------------------------------------------------------------- */

static const struct pl_loss *loss_of(const struct pl_instrument *instrument, uint32_t dependency)
{
    for (uint32_t k = 0; k < instrument->loss_count; k++)
        if (instrument->losses[k].dependency == dependency)
            return &instrument->losses[k];
    return NULL;
}

uint32_t pl_dependency_path(const struct pl_instrument *instrument, uint32_t dependency,
                            enum pl_tier tier, uint32_t path[PL_LOSSES_MAX])
{
    uint32_t count = 0;
    const struct pl_loss *loss = loss_of(instrument, dependency);
    if (!loss || loss->loss.at[tier] == 0)
        return 0;
    for (; loss; loss = loss->through[tier] ? loss_of(instrument, loss->through[tier] - 1u) : NULL) {
        pl_assert(count < PL_LOSSES_MAX);
        path[count++] = loss->dependency;
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t nearer = path[count - 1 - i];
        path[count - 1 - i] = path[i];
        path[i] = nearer;
    }
    return count;
}
