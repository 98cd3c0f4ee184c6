/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-through: what each node of a graph of dependencies costs an asset when the node fails.
 * An edge says that its holder loses `loss` (coverage taken off) when `to` fails. Along a path the
 * losses multiply, rounded up to a ppm at every edge; of several paths the worst counts (RISK 1.5).
 * A joint failure is a node to which each member of the set has an edge.
 */
#ifndef PLIMSOLL_LOOKTHROUGH_H
#define PLIMSOLL_LOOKTHROUGH_H

#include "lib/plimsoll.h"

/* Edge between two nodes (indexes of the set's dependencies). */
struct pl_edge {
    uint32_t from, to;
    struct pl_tier_ppm loss;     /* 0..PPM each                                                   */
    int32_t coverage_ppm;        /* 0..PPM: the part that somebody else bears                     */
};

/*
 * Raises `losses` (by node; 0..PPM; on entry those of the asset's own edges) to the worst over all
 * paths. At most PL_DEPENDENCIES_MAX nodes. REJECT_PARAMETERS for a cycle, naming one node of it;
 * `losses` is then meaningless.
 */
enum pl_err pl_lookthrough(const struct pl_edge *edges, uint32_t edge_count,
                           const struct pl_id *nodes, uint32_t node_count,
                           struct pl_tier_ppm *losses);
/* ceil(through * loss * (PPM - coverage) / PPM^2): what failure of the edge's end costs. */
int32_t pl_edge_loss(const struct pl_edge *edge, enum pl_tier tier, int32_t through);

#endif
