/* SPDX-License-Identifier: Apache-2.0 */
/* Memory to decide in without a service: a venue, one ledger and a staging
 * (services/liquidation/core.h) on one block of address space, sized as the live service sizes its
 * own. */
#ifndef PL_SERVICES_CLI_WORKSPACE_H
#define PL_SERVICES_CLI_WORKSPACE_H

#include "services/liquidation/core.h"

enum {
    /* The service publishes bad records before it reads more: an entry tells of fewer. */
    WORKSPACE_LETTERS_MAX = 8192,
};

struct workspace {
    struct venue venue;
    struct ledger ledger;     /* without room for executions: whoever applies them gives it    */
    struct staging staging;
    struct pl_arena stage;    /* of the staging                                                */
    struct pl_arena letters;  /* of the ledger                                                 */
    uint32_t *rows, *scratch; /* room for a number per account each                            */
    void *block;
    size_t block_bytes;
};

/* Everything empty. FATAL_SYSTEM; closing is then allowed. */
enum pl_err workspace_open(struct workspace *workspace, int32_t partition, int32_t partition_count,
                           uint32_t accounts_max);
void workspace_close(struct workspace *workspace); /* a zeroed one may be closed */
/* Forgets outputs and what they borrow, and copies of dead letters once all are told. */
void workspace_begin_step(struct workspace *workspace);

#endif
