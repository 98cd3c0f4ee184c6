/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verify: whether a bundle's records are the ones that the journal speaks of. Nothing is decided
 * anew (that is replay): hashes, sequences and signatures are computed from bytes as they stand,
 * one partition after the other, and the first thing that is wrong is named.
 *
 *   journal   every entry readable, in sequence, with the hash of the entry before; every signature
 *             valid, the newest entry signed. Checked first, since all else is held against it
 *   inputs    of each coordinate: it begins where the entry before ended, and the records from
 *             there on have its digest. Only marks may leave a gap, where another process began to
 *             read
 *   book      the newest accepted holdings of each account have the entry's book digest
 *   states    the newest state of each account after an entry has its settled digest
 *   outputs   orders, alerts, states and dead letters that name an entry have its count and digest;
 *             every dead letter is the copy of an input of that entry
 *
 * What is not covered: timestamps of records, headers but the two of this pipeline, inputs after
 * the newest entry, marks from before a process began to read, and the order of dead letters of
 * different partitions. Without a key or a noted head nothing covers the newest entry but what it
 * says of others.
 *
 * The first entry of a log that does not reach back to sequence 1 and all that this read is where
 * trust begins: its book and the states after it are checked, its own inputs and outputs are not
 * there.
 */
#ifndef PL_SERVICES_CLI_VERIFY_H
#define PL_SERVICES_CLI_VERIFY_H

#include "lib/wire/signature.h"
#include "lib/wire/wire.h"
#include "services/cli/bundle.h"

enum { VERIFY_SUSPECTS_MAX = 8, VERIFY_KEYS_MAX = 4 };

/* An entry that somebody noted earlier, to find a log whose tail was cut off. */
struct verify_head {
    int32_t partition;
    uint64_t sequence;
    uint8_t hash[PL_HASH_BYTES];
};

struct verify_options {
    const struct pl_key *keys[VERIFY_KEYS_MAX]; /* a signature by any of them is valid; none: not
                                                   checked                                      */
    unsigned key_count;
    const struct verify_head *heads;
    unsigned head_count;
};

/* Records among which the bad one is: [first, last] in offsets; of a missing one, where it was. */
struct verify_range {
    enum pl_topic topic;
    int32_t partition;
    int64_t first, last;
};

/* The first thing that is wrong. */
struct verify_finding {
    const char *what;       /* "entry", "sequence", "chain", "signature", "head", "inputs", "book",
                               "states", "outputs", "dead letter", "header", "bundle"             */
    int32_t partition;      /* of the journal                                                     */
    uint64_t sequence;      /* of the entry it was held against; 0: none                          */
    int64_t journal_offset; /* -1: none                                                           */
    unsigned suspect_count; /* most likely first                                                  */
    struct verify_range suspects[VERIFY_SUSPECTS_MAX];
    char expected[68], found[68]; /* what the journal says and what the records give; or empty    */
    char text[512];
};

/* A partition without a finding. */
struct verify_report {
    int32_t partition;
    bool has_base;          /* the log begins after sequence 1                                    */
    uint64_t entry_count, first_sequence, last_sequence, signed_count;
    int64_t first_clock_ms, last_clock_ms;
    uint8_t head_hash[PL_HASH_BYTES];
    bool head_is_signed;
    uint64_t record_count, bytes; /* checked: keys and values; broadcasts in the first partition  */
    uint64_t unaccounted_count;   /* inputs after the newest entry                                */
};

struct verify;

/* The bundle and the options are borrowed. FATAL_SYSTEM (memory); to be closed also then. */
enum pl_err verify_open(struct verify **verify, const struct bundle *bundle,
                        const struct verify_options *options);
void verify_close(struct verify **verify); /* accepts NULL, sets NULL */

/* Checks one partition, each once, in ascending order. FATAL_DIVERGED: verify_finding says what is
 * wrong, and nothing more can be checked. FATAL_CONFIG: the bundle has no journal of it, nor
 * outputs. */
enum pl_err verify_partition(struct verify *verify, int32_t partition,
                             struct verify_report *report);
const struct verify_finding *verify_finding(const struct verify *verify);

/* Records gone through so far, of all partitions; called once per entry. */
typedef void verify_progress(void *context, uint64_t record_count);
void verify_on_progress(struct verify *verify, verify_progress *progress, void *context);

#endif
