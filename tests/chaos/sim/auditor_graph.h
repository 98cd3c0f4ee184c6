/* SPDX-License-Identifier: Apache-2.0 */
/* What the auditor's two readers of parameter sets say to each other: auditor_set.c reads the set,
 * auditor_graph.c its exposures. */
#ifndef PL_TESTS_CHAOS_SIM_AUDITOR_GRAPH_H
#define PL_TESTS_CHAOS_SIM_AUDITOR_GRAPH_H

#include "plimsoll/v1/parameter_set.pb-c.h"
#include "tests/chaos/sim/auditor_parts.h"

/* False where a tier is missing. */
bool auditor_read_tiers(const Plimsoll__V1__ParameterSet__TierPpm *from, struct tiers *tiers);
/* V6, by size. */
bool auditor_is_nested(const struct tiers *tiers);
/* Of a dependency in the set; -1: it is not there. */
int auditor_place_of(const Plimsoll__V1__ParameterSet *set, const char *dependency);

/* Remembers the exposures and joint failures of a set until the next one; false where they are bad. */
bool auditor_read_graph(const Plimsoll__V1__ParameterSet *set);
/* Raises and adds losses by that graph; false where there are too many. */
bool auditor_look_through(const char *instrument, struct rules *rules);

#endif
