/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dry run of a parameter set: the newest set with key "shadow" is evaluated over the live book in
 * the background of the steps, and metrics say how many accounts would stand elsewhere. Nothing that
 * decides reads anything in here, and it writes to nothing that decides (G2): it has names and a market
 * of its own, since a draft must not use up the venue's room. `plimsoll parameters diff` says who, and what
 * it costs.
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
    bool has_set;
    uint8_t *bytes;                   /* the record, to be read again when the venue learns names  */
    size_t size_bytes;
    struct pl_names *names;           /* the venue's, and behind them what only the set speaks of  */
    uint32_t name_count;              /* the venue's when the set was read                         */
    struct pl_parameters *parameters;
    struct pl_market *market;
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
