/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of one partition as they stand on the topics, entry by entry: each carries the header
 * of the entry it belongs to. Held against those that a replay makes, byte for byte (G2). */
#ifndef PL_SERVICES_CLI_PUBLISHED_H
#define PL_SERVICES_CLI_PUBLISHED_H

#include "services/cli/bundle.h"
#include "services/liquidation/core.h"

struct published; /* where each stream stands */

/* FATAL_SYSTEM. The bundle is borrowed. */
enum pl_err published_open(struct published **published, const struct bundle *bundle,
                           int32_t partition);
void published_close(struct published **published); /* accepts NULL, sets NULL */

/* Goes to the first outputs of an entry after `sequence`. */
enum pl_err published_seek(struct published *published, uint64_t sequence);

enum published_answer {
    PUBLISHED_SAME,
    PUBLISHED_OTHER,   /* recorded and replayed have one key and different values                */
    PUBLISHED_MISSING, /* nobody published what was replayed                                     */
    PUBLISHED_EXTRA,   /* what was recorded, nobody decided; or it belongs to an entry before     */
};

struct published_difference {
    enum published_answer answer;
    enum pl_topic topic;
    struct pl_record recorded;     /* of OTHER and EXTRA; borrowed from the bundle               */
    const struct output *replayed; /* of OTHER and MISSING                                       */
};

/* Takes the outputs of the entry `sequence` and compares them with `outputs`, which are in produce
 * order. Says the first difference in that order. REJECT_MALFORMED: the bundle is damaged. */
enum pl_err published_compare(struct published *published, uint64_t sequence,
                              const struct output *outputs, uint32_t count,
                              struct published_difference *difference);

#endif
