/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dry run of a parameter set: the newest set with key "shadow" is evaluated over the live book in
 * the background of the steps, and metrics say how many accounts would stand elsewhere. Nothing that
 * decides reads anything in here, and it writes to nothing that decides (G2): it has names and a market
 * of its own. `plimsoll parameters diff` says who, and what it costs.
 */
#ifndef PL_SERVICES_LIQUIDATION_SHADOW_H
#define PL_SERVICES_LIQUIDATION_SHADOW_H

#include "lib/kafka/consumer.h"
#include "lib/plimsoll.h"

/* From one standing to another, whole to maintenance; the last counts accounts that are uncertain or
 * out of range under either set. */
enum { SHADOW_STANDINGS = PL_STANDING_MAINTENANCE + 1,
       SHADOW_UNCERTAIN = SHADOW_STANDINGS * SHADOW_STANDINGS,
       SHADOW_CHANGES = SHADOW_UNCERTAIN + 1 };

struct liquidation;

struct shadow {
    struct pl_names *names;           /* of the set as it was read: those of the venue decide, and a
                                         draft must not use up their room */
    struct pl_parameters *read;       /* by those names                                          */
    struct pl_parameters *parameters; /* by the venue's names                                    */
    struct pl_market *market;
    bool has_set;
    uint32_t name_count;              /* of the venue when `parameters` was laid out             */
};

/* The sweep over one partition's accounts, and what the last whole one counted. */
struct shadow_sweep {
    uint32_t next; /* row */
    int64_t mono_ms;
    bool has_counts;
    uint32_t counting[SHADOW_CHANGES], counts[SHADOW_CHANGES];
};

/* FATAL_SYSTEM. */
enum pl_err shadow_open(struct shadow *shadow);
/* A record of the parameters topic, after the venue has seen it: takes or forgets the shadow set. One
 * that cannot be used is logged, and there is none then. */
void shadow_see(struct liquidation *service, const struct pl_record *record);
/* Each loaded partition's next few accounts, as many as make the whole book in shadow.sweep_s. */
void shadow_evaluate(struct liquidation *service);

#endif
