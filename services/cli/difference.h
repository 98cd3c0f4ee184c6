/* SPDX-License-Identifier: Apache-2.0 */
/* How a replay says what differs: numbers for machines, sentences for people (replay.h). */
#ifndef PL_SERVICES_CLI_DIFFERENCE_H
#define PL_SERVICES_CLI_DIFFERENCE_H

#include "services/liquidation/confirm.h"
#include "services/cli/published.h"
#include "services/cli/replay.h"

/* Everything of a difference but its place, which the caller has filled in. NULL and empty:
 * none. */
struct finding {
    const char *what;
    struct pl_bytes_view account;
    struct pl_id instrument;
    const char *term, *recorded, *replayed;
};

/* Each fills *difference, sets its text as the error's and answers FATAL_DIVERGED. The sentence
 * says what differs, without a full stop; place and advice are put around it. */
enum pl_err difference_say(struct replay_difference *difference, const struct finding *finding,
                           const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The entry says one number, its inputs make another. */
enum pl_err difference_in_number(struct replay_difference *difference, const char *what,
                                 const char *term, int64_t recorded, int64_t replayed);
/* The entry has one hash of `term`, the bundle makes another. */
enum pl_err difference_in_hash(struct replay_difference *difference, const char *what,
                               const char *term, const uint8_t recorded[PL_HASH_BYTES],
                               const uint8_t replayed[PL_HASH_BYTES]);
enum pl_err difference_in_digest(struct replay_difference *difference, const char *what,
                                 const char *term, struct pl_digest recorded,
                                 struct pl_digest replayed);
/* The fast evaluator's number (recorded) and the plain one's (replayed). */
enum pl_err difference_in_verdict(struct replay_difference *difference,
                                  const struct pl_id *account, const struct pl_names *names,
                                  const struct confirm_result *result);
/* Of anything but PUBLISHED_SAME: which record, and the first field that differs. */
enum pl_err difference_in_output(struct replay_difference *difference,
                                 const struct published_difference *found);

#endif
