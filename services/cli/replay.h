/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: the journal says what each step saw; this rebuilds it from a bundle, decides every
 * account anew, without search or index, and compares with what was published, byte for byte (G2,
 * G3). One partition at a time, since partitions share nothing.
 *
 * For each entry: read the inputs up to its vector, compare their digests, the digests of book and
 * states and the epochs, check that its readiness follows from its inputs, decide all accounts at
 * its clock with the code of the live service (services/liquidation/core.h), check each verdict
 * with the plain evaluator (the sum of pl_explain's terms), and compare outputs and their digest. A
 * heartbeat has no outputs: then nobody may need anything. Between two entries nothing happened
 * that matters: every change of state is an output, hence an entry.
 *
 * Memory is address space for `accounts_max` accounts, used as accounts come.
 */
#ifndef PL_SERVICES_CLI_REPLAY_H
#define PL_SERVICES_CLI_REPLAY_H

#include "services/cli/bundle.h"
#include "services/liquidation/core.h"

/* The first thing that differed, in words and numbers. */
struct replay_difference {
    int32_t partition;
    uint64_t sequence;          /* of the journal entry                                        */
    int64_t journal_offset, clock_ms;
    const char *what;           /* "order", "alert", "state", "dead letter": published records;
                                   "inputs", "book", "states", "epoch", "readiness", "clock",
                                   "journal", "digest": the entry against its inputs and outputs;
                                   "verdict"                                                   */
    struct pl_id account, instrument; /* size 0: none                                           */
    char term[64];              /* "lots", "limit_price", "haircut", … empty: none             */
    char recorded[256], replayed[256];
    char text[1024];            /* the whole of it for people, and where to look               */
};

struct replay_limits {
    uint32_t accounts_max; /* the service's book.accounts_max: whom it refused it refuses again */
    /* Of the topics by account the bundle has one account's records only, for explain: seeking and
     * entering do not compare digests or ask for what is not there, and replay_next has no
     * meaning. */
    bool is_partial;
};

struct replay; /* one partition */

/*
 * Stands before the first entry that can be replayed: the journal's first, or where the bundle
 * begins later, the second one, with the state that the first left (replay_seek). The bundle is
 * borrowed. FATAL_SYSTEM (memory), FATAL_CONFIG (the bundle has no journal of this partition), and
 * what replay_seek answers; *replay may be asked for the difference of a FATAL_DIVERGED and is to
 * be closed whatever the answer.
 */
enum pl_err replay_open(struct replay **replay, const struct bundle *bundle, int32_t partition,
                        const struct replay_limits *limits);
void replay_close(struct replay **replay); /* accepts NULL, sets NULL */

/* Goes to just after entry `sequence` without deciding: holdings as of its vector, account states
 * as published up to it, broadcasts as it had read them. 0: before the first entry, where all is
 * empty. REJECT_UNKNOWN when the bundle has no such entry; a partial one may begin with the entry
 * after it. FATAL_DIVERGED: holdings and states of the bundle are not those that the entry's
 * digests tell of. */
enum pl_err replay_seek(struct replay *replay, uint64_t sequence);

/* Replays the next entry, or the one that replay_enter stands in. *found is false at the journal's
 * end. FATAL_DIVERGED: something differs, and replay_difference says what; the replay cannot go on.
 * REJECT_MALFORMED: the bundle is damaged. */
enum pl_err replay_next(struct replay *replay, bool *found);
/* As replay_next up to the point where it would decide: inputs applied, market at the entry's
 * clock. For explain and for looking around. Entering twice is entering once. */
enum pl_err replay_enter(struct replay *replay, bool *found);

const struct replay_difference *replay_difference(const struct replay *replay);
/* The entry that replay_next or replay_enter took last, or replay_seek went to. */
const struct pl_journal *replay_entry(const struct replay *replay);
int64_t replay_entry_offset(const struct replay *replay);
struct venue *replay_venue(struct replay *replay);
struct ledger *replay_ledger(struct replay *replay);

struct replay_counts {
    uint64_t entries, heartbeats;
    uint64_t accounts;          /* decided and verified, summed over entries                     */
    uint64_t outputs, orders;   /* compared                                                      */
};
struct replay_counts replay_counts(const struct replay *replay);

#endif
