/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One partition as it stood at one journal entry, just before that entry decided: what risk, what-if
 * and parameters diff look at. Rebuilt from a bundle by the replay engine, so that they see what the
 * service saw.
 */
#ifndef PL_SERVICES_CLI_MOMENT_H
#define PL_SERVICES_CLI_MOMENT_H

#include "services/cli/bundle.h"
#include "services/cli/replay.h"
#include "services/cli/when.h"

struct moment {
    struct replay *replay;
    int64_t journal_offset;
    const struct pl_journal *entry;
    struct venue *venue;   /* inputs applied, market at the entry's clock */
    struct ledger *ledger;
};

/*
 * The newest entry of the partition whose clock, offset or sequence is not above `at`. A zeroed moment
 * may be closed, and so may one that could not be opened. `is_partial`: the bundle has the records of
 * one account. REJECT_UNKNOWN: there is no such entry, or no parameters were in force at it;
 * otherwise as replay_open, replay_seek and replay_enter.
 */
enum pl_err moment_open(struct moment *moment, const struct bundle *bundle, int32_t partition,
                        struct when at, bool is_partial);
void moment_close(struct moment *moment);

/* The account's portfolio as it is evaluated: what is pending counts as executed, and what holdings
 * show of it is released. `legs` has room for PL_LEGS_MAX. */
void moment_portfolio(const struct moment *moment, uint32_t row, struct pl_leg *legs,
                      struct pl_portfolio *portfolio);
struct pl_outlook moment_outlook(const struct moment *moment, const struct pl_portfolio *portfolio);

#endif
