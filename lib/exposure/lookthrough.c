/* SPDX-License-Identifier: Apache-2.0 */
/* Longest products in a graph without cycles: nodes are settled once all edges into them are. */
#include "lib/exposure/lookthrough.h"

int32_t pl_edge_loss(const struct pl_edge *edge, enum pl_tier tier, int32_t through)
{
    const int64_t scale = (int64_t)PL_PPM * PL_PPM;
    int64_t product = (int64_t)through * edge->loss.at[tier];
    /* At most 10^18, so the sum that rounds up still fits. */
    return (int32_t)((product * (PL_PPM - edge->coverage_ppm) + scale - 1) / scale);
}

/* Nodes of `open` into which no edge from `open` leads. */
static uint64_t settled(const struct pl_edge *edges, uint32_t edge_count, uint64_t open)
{
    uint64_t ready = open;
    for (uint32_t i = 0; i < edge_count; i++)
        if (open >> edges[i].from & 1)
            ready &= ~((uint64_t)1 << edges[i].to);
    return ready;
}

static void pass_on(const struct pl_edge *edge, struct pl_tier_ppm *losses)
{
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        int32_t loss = pl_edge_loss(edge, tier, losses[edge->from].at[tier]);
        if (loss > losses[edge->to].at[tier])
            losses[edge->to].at[tier] = loss;
    }
}

/* Every open node has an edge from an open node: walking back from any of them ends in a cycle. */
static uint32_t node_of_cycle(const struct pl_edge *edges, uint32_t edge_count, uint64_t open)
{
    uint32_t node = (uint32_t)__builtin_ctzll(open);
    for (uint32_t step = 0; step < PL_DEPENDENCIES_MAX; step++) {
        uint32_t i = 0;
        while (i < edge_count && !(edges[i].to == node && open >> edges[i].from & 1))
            i++;
        node = edges[i].from;
    }
    return node;
}

enum pl_err pl_lookthrough(const struct pl_edge *edges, uint32_t edge_count,
                           const struct pl_id *nodes, uint32_t node_count,
                           struct pl_tier_ppm *losses)
{
    uint64_t open = node_count ? UINT64_MAX >> (64 - node_count) : 0;
    while (open) {
        uint64_t ready = settled(edges, edge_count, open);
        if (!ready)
            return pl_err_set(PL_REJECT_PARAMETERS, "dependency %s depends on itself",
                              nodes[node_of_cycle(edges, edge_count, open)].text);
        for (uint32_t i = 0; i < edge_count; i++)
            if (ready >> edges[i].from & 1)
                pass_on(&edges[i], losses);
        open &= ~ready;
    }
    return PL_OK;
}
