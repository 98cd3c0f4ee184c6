/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a live cluster into an audit bundle (bundle.h). Everything is read as committed, nothing is
 * ever written to Kafka. Memory does not grow with the log: what has to be chosen from is spooled
 * to disk, and only the newest version of each key is remembered.
 */
#ifndef PL_SERVICES_CLI_EXPORT_H
#define PL_SERVICES_CLI_EXPORT_H

#include "services/cli/bundle.h"
#include "services/cli/cli.h"
#include "services/cli/progress.h"
#include "services/cli/when.h"

/*
 * The journal entries of each partition from the one in force at `from` to the one in force at
 * `to`: the newest entry whose clock, offset or sequence is not above what was said. The entry
 * before the first one comes with them as the base of what can be replayed; where the log does not
 * reach back so far, its first entry is the base.
 */
struct export_request {
    const struct cli_kafka *kafka;
    struct when from, to; /* WHEN_OPEN: the log's beginning, its end now                     */
    int32_t partition;    /* -1: all                                                         */
    /* NULL: all. Otherwise only its partition, and of holdings, executions, orders, alerts and
     * accounts only its records; of the last three all that the log has up to `to`. Digests of such
     * a bundle do not fit: it is to look at, not to verify or replay. */
    const char *account;
    enum progress_style progress;
};

/*
 * Copies what the request needs into `directory`, which must be new or empty and is emptied again
 * after an error, and opens it. What each stream is there from and up to is in its bounds.
 *
 * FATAL_CONFIG (the request does not fit the topics, the directory), REJECT_UNKNOWN (the journal
 * has no entry so early), FATAL_OFFSETS (retention has deleted what the range needs; names topic,
 * partition, first offset and the cure), RETRY_TRANSPORT (no broker, or a transaction stays open,
 * for 10 s), FATAL_SYSTEM, REJECT_MALFORMED (an entry cannot be read).
 */
enum pl_err export_bundle(struct bundle **bundle, const char *directory,
                          const struct export_request *request);

/* Opens `directory` where there is one (then the request may be NULL), or exports into a temporary
 * directory under TMPDIR, whose files are gone from the disk once the bundle is closed. */
enum pl_err cli_open_bundle(struct bundle **bundle, const char *directory,
                            const struct export_request *request);

#endif
