/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small world for one run of one service with a planned failure: topics of its own, a few
 * accounts, inputs before and after the service has started, and outputs that are known by hand.
 *
 *   test ─ inputs ─► plimsoll-NAME-nth (fails once) ─► plimsoll-NAME (if it left) ─ outputs ─► test
 *
 * The service is restarted as its supervisor would, with nothing planned. Whatever failed, the
 * outputs are the same; how a process left and what it said last is checked against the
 * documentation.
 */
#ifndef PL_TESTS_CHAOS_NTH_WORLD_H
#define PL_TESTS_CHAOS_NTH_WORLD_H

#include "tests/support/pipeline.h"

enum nth_service { NTH_LIQUIDATION, NTH_POSITION, NTH_PRICE, NTH_SERVICES };
enum { NTH_PLAN_BYTES = 320, NTH_TEXT_BYTES = 1024 };

/* What came of a run. */
struct nth_result {
    bool is_ok;
    bool is_late;       /* what is wrong may be this machine's: it took too long         */
    bool is_hit;        /* the last failure of the plan was reached                      */
    bool is_early;      /* the process left before anybody could have heard of it        */
    int left_status;    /* how the failed process left; 0 when it did not before its end */
    unsigned left_more; /* times that a process left with nothing planned                */
    int64_t took_ms;
    char text[NTH_TEXT_BYTES]; /* what is wrong                                          */
};

/* Publishes the parameters that all worlds share, on the pipeline's own topics. */
void nth_share(struct pipeline *pipeline);

/* Whose failure is planned: of a process that begins anew; of the one that follows on a killed one;
 * of one that leaves before others can hear of it, for which no world is made unless it lives on.
 * */
enum nth_life { NTH_FIRST, NTH_SECOND, NTH_EARLY };

/* What a process that leaves because of the failure must say, and how it may leave. */
struct nth_last_words {
    const char *says; /* texts, between '|', one of which stands in the last error */
    bool passes;      /* no operator is asked for: status 75                        */
};

/* Makes a world and runs `service` in it. `plan` is empty for none. `trace` is where the calls of
 * that life are logged. */
void nth_run(struct pipeline *pipeline, enum nth_service service, enum nth_life life,
             const char *plan, const struct nth_last_words *expected, const char *trace,
             struct nth_result *result);

#endif
