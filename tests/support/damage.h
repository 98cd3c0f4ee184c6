/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small log with something of everything (audit_log.h), for tests that damage it, and what verify
 * says about it. One per test program.
 */
#ifndef PL_TESTS_SUPPORT_DAMAGE_H
#define PL_TESTS_SUPPORT_DAMAGE_H

#include "services/cli/verify.h"
#include "tests/support/audit_log.h"

enum { DAMAGE_PARTITIONS = 2, DAMAGE_ENTRIES_MAX = 256 };

struct damage {
    uint64_t seed;
    struct pl_key *key, *other_key; /* the first one signs */
    struct audit_log log;
    struct bundle *bundle;          /* of all of it; its bytes may be changed in place            */
    struct verify_head heads[DAMAGE_PARTITIONS]; /* the newest entries, noted by somebody         */
    struct verify_options by_heads; /* nothing but the log and those                              */
    int32_t entry_count;
    struct pl_journal entries[DAMAGE_ENTRIES_MAX];
    struct pl_wire wire;
};

/* Builds the log, from PLIMSOLL_SEED or the first seed that has everything; asserts what it
 * needs. */
void damage_open(struct damage *damage);
void damage_close(struct damage *damage);

/* A log of the same venue with another seed. */
void damage_build(struct audit_log *log, uint64_t seed, const struct pl_key *key);

/* Whether the journal speaks of the record: if not, nothing has read it yet, or nobody ever did
 * (inputs after the newest entries, and marks from before the first worker began to read them). */
bool damage_is_covered(const struct damage *damage, const struct pl_record *record);

/* Verifies one partition, or all that have a journal (-1). True if there was a finding. */
bool damage_is_found(const struct bundle *bundle, const struct verify_options *options,
                     int32_t partition, struct verify_finding *finding);
/* Whether the finding names some of the records in [first, last]. */
bool damage_is_named(const struct verify_finding *finding, enum pl_topic topic, int32_t partition,
                     int64_t first, int64_t last);
void damage_print(const struct verify_finding *finding);
/* Fails the test if there is a finding. */
void damage_assert_none(const struct bundle *bundle, const struct verify_options *options);

/* The log with a part of it left out; *from becomes the stream's complete_from. */
typedef bool damage_keep(const struct audit_stream *stream, const struct pl_record *record,
                         int64_t *from);
struct bundle *damage_cut(const struct audit_log *log, damage_keep *is_kept);

#endif
