/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the auditor makes of a set's exposures and joint failures, from RISK 1.5: it walks every path
 * from an instrument, multiplies along it, rounds up at each edge and keeps the worst at each
 * dependency. A path longer than there are dependencies goes around a cycle.
 */
#include "tests/chaos/sim/auditor_graph.h"

#include <gmp.h>
#include <string.h>

struct edge {
    const char *instrument; /* NULL: it starts at `from` */
    int from, to;
    struct tiers loss;
    int64_t coverage;
};

static struct {
    int node_count, edge_count;
    struct edge edges[PL_EDGES_MAX];
} s_graph;

static bool add_edge(const Plimsoll__V1__ParameterSet *set, const struct edge *edge,
                     const Plimsoll__V1__ParameterSet__TierPpm *loss)
{
    bool is_listed = edge->instrument == NULL;
    for (size_t i = 0; i < set->n_instruments && !is_listed; i++)
        is_listed = strcmp(set->instruments[i]->instrument, edge->instrument) == 0;
    struct tiers tiers;
    if (s_graph.edge_count == PL_EDGES_MAX || !is_listed || edge->to < 0 ||
        (!edge->instrument && edge->from < 0) || !auditor_read_tiers(loss, &tiers) ||
        !auditor_is_nested(&tiers) || edge->coverage < 0 || edge->coverage > PL_PPM)
        return false;
    for (int t = 0; t < PL_TIER_COUNT; t++)
        if (tiers.at[t] < 0 || tiers.at[t] > PL_PPM)
            return false;
    s_graph.edges[s_graph.edge_count] = *edge;
    s_graph.edges[s_graph.edge_count++].loss = tiers;
    return true;
}

/* False for one that is too long. */
static bool walk(int node, int length, int tier, const mpz_t loss, mpz_t worst[PL_DEPENDENCIES_MAX])
{
    if (length > s_graph.node_count)
        return false;
    if (mpz_cmp(loss, worst[node]) > 0)
        mpz_set(worst[node], loss);
    bool is_good = true;
    mpz_t next;
    mpz_init(next);
    for (int i = 0; i < s_graph.edge_count && is_good; i++) {
        const struct edge *edge = &s_graph.edges[i];
        if (edge->instrument || edge->from != node)
            continue;
        mpz_mul_si(next, loss, edge->loss.at[tier]);
        mpz_mul_si(next, next, PL_PPM - edge->coverage);
        mpz_cdiv_q_ui(next, next, UINT64_C(1000000000000));
        is_good = walk(edge->to, length + 1, tier, next, worst);
    }
    mpz_clear(next);
    return is_good;
}

/* From the losses that are stated, and from edges of its own; NULL: from anywhere. */
static bool walk_all(const char *instrument, const struct rules *rules, int tier,
                     mpz_t worst[PL_DEPENDENCIES_MAX])
{
    bool is_good = true;
    mpz_t loss;
    mpz_init(loss);
    for (int i = 0; i < (rules ? rules->loss_count : s_graph.node_count) && is_good; i++) {
        mpz_set_si(loss, rules ? rules->losses[i].loss.at[tier] : PL_PPM);
        is_good = walk(rules ? rules->losses[i].dependency : i, 1, tier, loss, worst);
    }
    for (int i = 0; instrument && i < s_graph.edge_count && is_good; i++) {
        const struct edge *edge = &s_graph.edges[i];
        if (!edge->instrument || strcmp(edge->instrument, instrument) != 0)
            continue;
        mpz_set_si(loss, edge->loss.at[tier] * (PL_PPM - edge->coverage));
        mpz_cdiv_q_ui(loss, loss, PL_PPM);
        is_good = walk(edge->to, 1, tier, loss, worst);
    }
    mpz_clear(loss);
    return is_good;
}

static bool find_worst(const char *instrument, const struct rules *rules,
                       struct tiers losses[PL_DEPENDENCIES_MAX])
{
    bool is_good = true;
    mpz_t worst[PL_DEPENDENCIES_MAX];
    for (int d = 0; d < s_graph.node_count; d++)
        mpz_init(worst[d]);
    for (int tier = 0; tier < PL_TIER_COUNT && is_good; tier++) {
        for (int d = 0; d < s_graph.node_count; d++)
            mpz_set_ui(worst[d], 0);
        is_good = walk_all(instrument, rules, tier, worst);
        for (int d = 0; d < s_graph.node_count; d++)
            losses[d].at[tier] = mpz_get_si(worst[d]);
    }
    for (int d = 0; d < s_graph.node_count; d++)
        mpz_clear(worst[d]);
    return is_good;
}

bool auditor_read_graph(const Plimsoll__V1__ParameterSet *set)
{
    struct tiers unused[PL_DEPENDENCIES_MAX];
    s_graph.node_count = (int)set->n_dependencies;
    s_graph.edge_count = 0;
    for (size_t i = 0; i < set->n_exposures; i++) {
        const Plimsoll__V1__ParameterSet__Exposure *from = set->exposures[i];
        const struct edge edge = { .instrument = from->instrument,
                                   .from = auditor_place_of(set, from->from),
                                   .to = auditor_place_of(set, from->to),
                                   .coverage = from->has_coverage_ppm ? from->coverage_ppm : 0 };
        if ((from->instrument && from->from) || !add_edge(set, &edge, from->loss))
            return false;
    }
    for (size_t i = 0; i < set->n_joint_failures; i++) {
        const Plimsoll__V1__ParameterSet__JointFailure *from = set->joint_failures[i];
        if (i >= PL_DEPENDENCIES_MAX || from->n_members == 0)
            return false;
        for (size_t k = 0; k < from->n_members; k++) {
            const struct edge edge = { .from = auditor_place_of(set, from->members[k]),
                                       .to = auditor_place_of(set, from->dependency) };
            if (!add_edge(set, &edge, from->loss))
                return false;
        }
    }
    return s_graph.edge_count == 0 || find_worst(NULL, NULL, unused);
}

bool auditor_look_through(const char *instrument, struct rules *rules)
{
    struct tiers losses[PL_DEPENDENCIES_MAX];
    bool is_stated[PL_DEPENDENCIES_MAX] = { false };
    if (s_graph.edge_count == 0)
        return true;
    if (!find_worst(instrument, rules, losses))
        return false;
    for (int i = 0; i < rules->loss_count; i++) {
        is_stated[rules->losses[i].dependency] = true;
        rules->losses[i].loss = losses[rules->losses[i].dependency];
    }
    for (int d = 0; d < s_graph.node_count; d++) {
        /* Nested: what is nothing at the strictest tier is nothing. */
        if (is_stated[d] || losses[d].at[PL_TIER_ALERT] == 0)
            continue;
        if (rules->loss_count == PL_LOSSES_MAX)
            return false;
        rules->losses[rules->loss_count].dependency = d;
        rules->losses[rules->loss_count++].loss = losses[d];
    }
    return true;
}
