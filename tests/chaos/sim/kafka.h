/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A modelled Apache Kafka in memory, for the deterministic simulation: the control side. The
 * services use it through lib/kafka/consumer.h and lib/kafka/txn.h, which kafka*.c, broker.c and
 * client.c implement instead of lib/kafka's own files (start.c stays real).
 *
 * The model keeps what exactly-once rests on: offsets with control markers, the last stable
 * offset, producer epochs, group generations with two-phase cooperative rebalances, offsets that
 * are pending until a marker settles them (T1), replies that are lost or late (T6), compaction,
 * retention. It is one state machine without threads; its time is sim_mono_ms() and its chance
 * the generator handed in, so that one seed is one history.
 *
 * A seed costs no allocation once the model is warm: sim_kafka_reset keeps all memory. All views
 * handed out here are borrowed until the next reset.
 */
#ifndef PL_TESTS_CHAOS_SIM_KAFKA_H
#define PL_TESTS_CHAOS_SIM_KAFKA_H

#include <stdio.h>

#include "lib/kafka/txn.h"
#include "tests/support/random.h"

enum {
    SIM_PROCESSES_MAX = 32,
    SIM_PARTITIONS_MAX = 128, /* of all topics together                    */
    SIM_SLOTS_MAX = 32,       /* transactional ids                         */
    SIM_GROUPS_MAX = 8,
    SIM_ALL_PROCESSES = -1,
};

/* Supplied by the simulated world. Monotonic time never goes back; the wall clock may jump: it
 * is read once, at reset, and the broker's clock goes on from there with the monotonic one. */
extern int64_t sim_mono_ms(void);
extern int64_t sim_wall_ms(void);

/* ---- faults ---------------------------------------------------------------------------------- */

/* Chances are per thousand calls of the kind named; zero: never. A zeroed struct is a healthy
 * cluster. May be set anew at any time (calm at the end of a seed). */
struct sim_kafka_faults {
    /* The call's process cannot reach any broker for 1..ms_max: RETRY_TRANSPORT, no heartbeats. */
    uint16_t cut_permille;
    int32_t cut_ms_max;
    /* A call that may answer RETRY does so once, for no lasting reason. */
    uint16_t retry_permille;

    uint16_t empty_poll_permille;  /* a poll finds nothing though there is something     */
    uint16_t slow_fetch_permille;  /* a partition's next fetch takes 1..ms_max           */
    int32_t slow_fetch_ms_max;
    uint16_t short_fetch_permille; /* a fetch answers only 1..4 records, not all there is */

    uint16_t late_produce_permille; /* a record stays in the local queue until the commit     */
    uint16_t lost_produce_permille; /* the broker refuses a record for good: the commit aborts */
    uint16_t queue_full_permille;   /* plain producer: RETRY_QUEUE_FULL                        */

    uint16_t offsets_fail_permille;  /* the group coordinator is loading: ABORT_TRANSACTION   */
    uint16_t end_fail_permille;      /* a commit is refused: ABORT_TRANSACTION                */
    uint16_t end_lost_permille;      /* no reply to EndTxn, half of the requests lost as well */
    uint16_t end_late_permille;      /* no reply, and the request arrives 1..ms_max later (T6) */
    int32_t end_late_ms_max;
    uint16_t end_repeated_permille;  /* EndTxn arrives twice, at once: harmless               */
    uint16_t end_torn_permille;      /* the second one arrives 1..end_late_ms_max later, maybe in a
                                        later transaction of the same producer: what T6 leaves open
                                        between a repeated request and its successor           */
    uint16_t late_reply_permille;    /* a transactional call waits 1..ms_max for its reply     */
    int32_t late_reply_ms_max;       /* below the session timeout: its threads live meanwhile  */
    uint16_t late_marker_permille;   /* a marker is written 1..ms_max after the decision, each
                                        partition for itself, also that of the offsets         */
    int32_t late_marker_ms_max;

    uint16_t rebalance_permille;     /* per tick and group: a rebalance for no reason          */
    uint16_t compact_permille;       /* per tick: one compacted partition is cleaned           */

    /* Bugs that lib/kafka must not have, to see that the checks find them. */
    bool bug_takes_pending_offsets;  /* T1: a pending offset commit is ignored, not waited for */
    bool bug_takes_error_for_none;   /* T3: trouble with a committed offset reads as "none"    */
    bool bug_twins_unfenced;         /* opening a slot does not fence its older holder         */
    bool bug_generation_unchecked;   /* offsets are taken from whoever sends them              */
};

/* ---- life ------------------------------------------------------------------------------------ */

/* An empty cluster without topics; every handle of the last seed is gone. `random` is borrowed
 * until the next reset; nothing else in the model is random. Current process: 0; no hook; no
 * faults. */
void sim_kafka_reset(struct test_random *random);
void sim_kafka_set_faults(const struct sim_kafka_faults *faults);

struct sim_topic {
    enum pl_topic topic;
    int32_t partition_count;
    bool is_compacted;
    int64_t lag_ms;  /* compacted: records younger than this are never cleaned; 0: 8 days        */
    int64_t told_ms; /* what topic settings say about retention or compaction lag; 0: 8 days     */
};
void sim_kafka_create(const struct sim_topic *topic);
int32_t sim_kafka_partition_count(enum pl_topic topic); /* 0: no such topic */

/*
 * The process that runs now: handles that are opened belong to it, and its librdkafka threads are
 * taken to have run up to now (heartbeats). A process that is not made current for longer than the
 * session timeout, while time passes, loses its membership, as after SIGSTOP.
 */
void sim_kafka_process(int process);
int sim_kafka_current(void);
/* kill -9: all handles of the process are gone with what they had queued. Memberships end by
 * session timeout, transactions by transaction timeout or by the next holder of the slot. */
void sim_kafka_kill(int process);

/* What brokers do by themselves up to now: session and transaction timeouts, late requests,
 * markers, cleaning. To be called after every advance of time; advance by less than the
 * session timeout at once, or every member is gone. */
void sim_kafka_tick(void);
/* When tick has something to do next (monotonic), or INT64_MAX. To skip idle time. */
int64_t sim_kafka_next_ms(void);

enum { SIM_SESSION_TIMEOUT_MS = 6000, SIM_HEARTBEAT_MS = 1000 };

/* ---- the world inside a call ----------------------------------------------------------------- */

/*
 * Where a process may die, stand still, or wait while others run. The hook may advance time and
 * call sim_kafka_tick, let other processes make whole steps (the model puts the current process
 * back afterwards), kill the process and leave by longjmp: the model is consistent at every
 * point.
 */
enum sim_point {
    SIM_POINT_BEAT,           /* pl_watchdog_beat; sim_kafka_stage() names the stage          */
    SIM_POINT_POLLED,         /* a record is about to be handed over                          */
    SIM_POINT_BEGUN,
    SIM_POINT_PRODUCED,
    SIM_POINT_BEFORE_OFFSETS,
    SIM_POINT_BEFORE_END,     /* offsets were sent, all records are in the log                */
    SIM_POINT_ENDED,          /* the coordinator has decided; the client does not know yet    */
    SIM_POINT_COMMITTED,      /* the client knows                                             */
    SIM_POINT_ABORTED,
    SIM_POINT_WAITS,          /* the call goes on in `wait_ms`: let that much time pass       */
    SIM_POINT_COUNT
};
typedef void sim_kafka_hook(void *context, enum sim_point point, int wait_ms);
/* NULL: nothing happens inside calls, and waiting takes no time. */
void sim_kafka_set_hook(sim_kafka_hook *hook, void *context);
const char *sim_kafka_stage(void);

/* ---- the N-th call --------------------------------------------------------------------------- */

enum sim_failure { SIM_FAIL_RETRY, SIM_FAIL_ABORT, SIM_FAIL_FATAL, SIM_FAIL_ANY };

/* The n-th call (from 1) since reset of a function of consumer.h or txn.h that can answer an
 * error fails in that way; where it may not answer that class, in the nearest worse one that
 * it may, else the worst it may. A commit that fails FATAL_UNKNOWN has or has not been
 * decided, by chance. 0: none. */
void sim_kafka_fail_call(uint64_t n, enum sim_failure kind);
uint64_t sim_kafka_calls(void);

/* ---- events made by the world ---------------------------------------------------------------- */

/* The process (or all) reaches no broker for `ms` from now; 0 ends it. */
void sim_kafka_cut(int process, int64_t ms);
/* The broker's clock, which stamps records, jumps. */
void sim_kafka_skew(int64_t by_ms);
/* Retention: the log starts at `first` from now on (at most its last stable offset). */
void sim_kafka_trim(enum pl_topic topic, int32_t partition, int64_t first);
/* An unclean election: everything from `end` on is lost, committed or not; new records take the
 * offsets again. */
void sim_kafka_truncate(enum pl_topic topic, int32_t partition, int64_t end);
/* Cleans a compacted partition now, up to the first record younger than the topic's lag: below it
 * only the last committed record of each key stays. */
void sim_kafka_compact(enum pl_topic topic, int32_t partition);
/* The group's committed offsets expire (T20). */
void sim_kafka_expire(const char *group_id);
/* The group begins a rebalance for no reason. */
void sim_kafka_rebalance(const char *group_id);

/* ---- direct access, for feeds, router and auditor -------------------------------------------- */

/* Appends as a plain producer does; a negative partition means by murmur2 of the key. Never
 * fails. */
int64_t sim_kafka_append(enum pl_topic topic, int32_t partition, struct pl_bytes_view key,
                         struct pl_bytes_view value, const struct pl_header *headers,
                         unsigned header_count);

/* The broker's wall clock: what records are stamped with. */
int64_t sim_kafka_clock_ms(void);

enum sim_fate { SIM_COMMITTED, SIM_OPEN, SIM_ABORTED, SIM_MARKER_COMMIT, SIM_MARKER_ABORT };

struct sim_record {
    struct pl_record record; /* views borrowed until reset                                     */
    enum sim_fate fate;      /* a plain record is committed                                    */
    bool is_removed;         /* by compaction or retention; kept here for the auditor          */
    int slot;                /* index of the transactional id; -1: plain                       */
    int process;             /* that produced it; -1: sim_kafka_append                         */
    uint64_t txn;            /* number of the transaction, from 1 in order of beginning; 0: none */
};

/* Reads a log from `next` on; {.topic, .partition} begins at 0. */
struct sim_cursor {
    enum pl_topic topic;
    int32_t partition;
    int64_t next;
};
/* Everything that ever was at an offset, markers and aborted and removed records too. False at the
 * end of the log. */
bool sim_kafka_next_raw(struct sim_cursor *cursor, struct sim_record *record);
/* What a committed reader gets: committed, not removed, below the last stable offset. */
bool sim_kafka_next_committed(struct sim_cursor *cursor, struct sim_record *record);

int64_t sim_kafka_first(enum pl_topic topic, int32_t partition);  /* log start                */
int64_t sim_kafka_stable(enum pl_topic topic, int32_t partition); /* last stable offset       */
int64_t sim_kafka_end(enum pl_topic topic, int32_t partition);    /* high watermark           */

/* The transactional id of a slot index; NULL past the last. */
const char *sim_kafka_slot_name(int slot);

/* Offset committed for the partition, PL_OFFSET_NONE for none; *is_pending (may be NULL) tells
 * whether a transaction holds it. */
int64_t sim_kafka_committed(const char *group_id, enum pl_topic topic, int32_t partition,
                            bool *is_pending);

/* Every offset that was ever sent to a group, in order. */
struct sim_commit {
    const char *group_id;
    struct pl_offset offset;
    enum sim_fate fate; /* COMMITTED, OPEN or ABORTED: of its transaction  */
    int slot, process;
    uint64_t txn;
    int32_t generation;
};
bool sim_kafka_commit_at(uint64_t index, struct sim_commit *commit); /* false past the last */

enum sim_txn_state { SIM_TXN_OPEN, SIM_TXN_COMMITTED, SIM_TXN_ABORTED };
struct sim_txn_info {
    int slot, process;
    int32_t epoch;
    enum sim_txn_state state;
    bool is_complete;      /* all markers are written                                      */
    int64_t begun_ms, decided_ms; /* monotonic; decided_ms -1 while open                   */
};
bool sim_kafka_txn(uint64_t txn, struct sim_txn_info *info); /* false for 0 and past the last */

/* Who owns the partition by the group's last assignment: process, or -1. For traces; members may
 * not have heard of it yet. */
int sim_kafka_owner(const char *group_id, int32_t partition);

/* ---- trace ----------------------------------------------------------------------------------- */

/* Prints the newest `count` events of the ring (at most 4096), oldest first, one line each. */
void sim_kafka_print_trace(FILE *file, unsigned count);
/* Adds a line of the world's own; `text` is a literal. */
void sim_kafka_note(const char *text, int64_t a, int64_t b);

#endif
