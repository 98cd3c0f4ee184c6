/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The independent auditor of the deterministic simulation: reads what becomes visible on the
 * topics and says whether a guarantee is broken. It shares no code with what it judges: its own
 * reading of the messages (generated protobuf structs), its own hashes (libcrypto), its own state
 * (plain arrays, searched from the front), its own margin arithmetic (GMP), its own account state
 * machine, written from the risk model and from the text of plimsoll.h.
 *
 * Names of findings begin with the invariant: I1 … I12, and V for verdicts (G3, G5, G8, G9):
 *   I1 input is accounted for     I5 valid until         I10 bounded
 *   I2 no duplicate order         I6 atomic              I11 everyone is helped in the end
 *   I3 one plan                   I7 aborted is unseen   I12 chain of hashes
 *   I4 no sale on doubt           I9 versions in order   V … verdict, sale, pending, halt, alert
 * I8 (replay is identical), I13 and I14 are for the world to check.
 *
 * Where the specification leaves a choice the auditor checks what follows from every reading:
 *   - the bounds of a verdict with a badly marked, unlisted or unfinalised leg of an instrument
 *     whose weights do not let the excess grow with its value (never a spot): only that nothing
 *     is sold while the account may be whole under the tightest bounds, and that it is sold when
 *     it is lost under the loosest;
 *   - which sale of the smallest is taken: any inclusion-minimal one of legs in liquidity order;
 *   - a report for an account whose first record is read in the same step: dead letter or not;
 *   - input records that the log no longer holds are not in any digest: such a coordinate's
 *     digest is not checked.
 *
 * A seed costs no allocation once the auditor is warm. All views that are fed are borrowed until
 * the next reset.
 */
#ifndef PL_TESTS_CHAOS_SIM_AUDITOR_H
#define PL_TESTS_CHAOS_SIM_AUDITOR_H

#include "lib/kafka/txn.h" /* struct pl_record, struct pl_offset */

enum { AUDITOR_PARTITIONS_MAX = 16 };

struct auditor_options {
    int32_t partition_count; /* P, at most AUDITOR_PARTITIONS_MAX                          */
    uint32_t accounts_max;   /* I10: rows of one partition's book; 0: not checked          */
    uint32_t outputs_max;    /* I10: outputs of one entry; 0: not checked                  */
    bool may_diverge;        /* an entry may say that the self-audit found a difference; else
                                that is a finding                                          */
    uint64_t seed;           /* printed in findings                                        */
};

/* The first violation. */
struct auditor_finding {
    char invariant[48]; /* "I2 no duplicate order", … */
    char text[512];     /* account, partition, offsets, both values; begins with the seed */
};

struct auditor;

/* Never fails: without memory the test ends. */
void auditor_open(struct auditor **auditor);
void auditor_close(struct auditor **auditor);
/* Forgets everything; to be called before the first record of each seed. */
void auditor_reset(struct auditor *auditor, const struct auditor_options *options);

/*
 * A record that a read_committed reader now gets, of any topic but prices and positions (which
 * are passed over), in offset order per topic partition. `txn` numbers the transaction that wrote
 * it; 0: none. Feed everything that is new on every topic, inputs included, before auditor_check.
 */
void auditor_feed(struct auditor *auditor, const struct pl_record *record, uint64_t txn);
/* A record of a transaction that was aborted. Must never be fed as visible, before or after
 * (I7). */
void auditor_aborted(struct auditor *auditor, const struct pl_record *record);
/* The record at `offset` is no longer in the log (compaction, retention): a service that begins to
 * read now does not get it. It need not have been fed. */
void auditor_removed(struct auditor *auditor, enum pl_topic topic, int32_t partition,
                     int64_t offset);
/* All records from `end` on are lost, committed or not; their offsets will be given again. */
void auditor_truncated(struct auditor *auditor, enum pl_topic topic, int32_t partition,
                       int64_t end);
/* A committed group offset of holdings or executions (of the liquidation group), in the order in
 * which they took effect; `txn` is the transaction that carried it, 0: none (an operator, an
 * expiry). Others are passed over. */
void auditor_offsets(struct auditor *auditor, const struct pl_offset *offset, uint64_t txn);

enum auditor_router_kind {
    AUDITOR_ROUTER_ACCEPTED = 1, /* the router took the order                              */
    AUDITOR_ROUTER_EXECUTED,     /* something of it was executed: `lots` in all by now     */
    AUDITOR_ROUTER_LATE,         /* refused: after valid_until_ms                          */
    AUDITOR_ROUTER_REFUSED,      /* refused for another reason                             */
};
struct auditor_router_event {
    enum auditor_router_kind kind;
    const char *order_id; /* text of the order                                             */
    int64_t lots;         /* EXECUTED only                                                 */
    int64_t now_ms;       /* the router's clock                                            */
};
/* What the router model did with an order that it has read. */
void auditor_router(struct auditor *auditor, const struct auditor_router_event *event);

/*
 * After each step: judges every journal entry whose outputs are all visible. Outputs become
 * visible partition by partition, so an entry may wait for some calls; those behind it wait with
 * it. NULL, or the first violation of the seed, which stays.
 */
const struct auditor_finding *auditor_check(struct auditor *auditor);

/* What the world knows when faults have ended and all is calm. */
struct auditor_facts {
    bool is_calm;          /* no fault since long enough: everything must have become visible, every
                         partition must decide, no input may be unread (I11); else only what is
                         visible is judged                                                  */
    int64_t now_ms;        /* the services' clock                                                */
    int64_t silent_ms_max; /* I11: the newest entry of a partition may be this old          */
};
/*
 * After the last check. Besides the facts: entries that still wait for outputs (I6), outputs
 * without an entry (I6), offsets that differ from the newest entry (I6), accounts below
 * maintenance without an order or a reason: no doubt, no halt, nothing in flight, no pause,
 * something left to sell (I11).
 */
const struct auditor_finding *auditor_end(struct auditor *auditor,
                                          const struct auditor_facts *facts);

/* What was judged, for the report: a check that saw nothing proves nothing. */
struct auditor_counts {
    uint64_t records, entries, heartbeats, orders, alerts, states, dead_letters;
    uint64_t evaluations;     /* accounts evaluated exactly                                     */
    uint64_t episodes, below; /* episodes opened; verdicts certainly below maintenance      */
    uint64_t uncertain;       /* verdicts checked only by their bounds                          */
    uint64_t calls;           /* orders that a contract executes                                */
    uint64_t braked;          /* sales that the brake held back, in part or whole               */
};
/* Of this seed. */
void auditor_counts(const struct auditor *auditor, struct auditor_counts *counts);

#endif
