/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The liquidation service. What it decides is in core.h; this is how it comes by its inputs and what it
 * does with its outputs.
 *   open.c         memory and Kafka, opened in one order
 *   partition.c    how a partition comes to be owned, loaded, ready, and given up
 *   liquidation.c  one step: the event's path as a list
 *   inputs.c       what was read, hashed for the journal
 *   audit.c        the self-audit: the plain evaluator behind the fast one
 *   shadow.c       the dry run of a parameter set, beside the event's path
 */
#ifndef PL_SERVICES_LIQUIDATION_H
#define PL_SERVICES_LIQUIDATION_H

#include "lib/cache/exposure.h"
#include "lib/kafka/consumer.h"
#include "lib/kafka/txn.h"
#include "lib/wire/signature.h"
#include "lib/wire/wire.h"
#include "services/liquidation/core.h"
#include "services/liquidation/settings.h"
#include "services/liquidation/shadow.h"

enum {
    PL_EXECUTIONS_MAX = 4096,    /* of one partition in one step                                */
    PL_BAD_BROADCASTS_MAX = 1024, /* remembered for partition 0                                 */
    BROADCASTS = 4,
};

/* In the order in which a step drains them. */
static const enum pl_topic broadcasts[BROADCASTS] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS,
                                                      PL_TOPIC_CHAINS, PL_TOPIC_MARKS };

/* How far a partition has come. Each stage is left by the loop, never inside a callback. */
enum partition_stage {
    STAGE_FREE,      /* not ours                                                                */
    STAGE_RESOLVING, /* committed offsets wait to become stable                                 */
    STAGE_STATES,    /* reading accounts and the journal's tail to the high watermark           */
    STAGE_HOLDINGS,  /* reading holdings to the high watermark seen at assignment               */
    STAGE_LOADED,    /* the book is a function of everything up to now                          */
};

struct partition {
    int32_t number;
    enum partition_stage stage;
    enum pl_readiness readiness;
    int64_t retry_at_ms; /* of resolving, monotonic                                             */

    void *block; /* the ledger's memory */
    size_t block_bytes;
    struct ledger ledger;
    struct pl_inputs_digest holdings_read, executions_read; /* since the last entry             */

    /* Where we are. `committed` is what the group has, as of loading. Ends are high watermarks seen at
     * assignment. */
    bool is_first_start; /* the group never committed anything here */
    int64_t holdings_committed, executions_committed;
    int64_t accounts_end, journal_end, holdings_end;
    int64_t journal_first, journal_from; /* of the log; of its tail that is read                 */
    int64_t holdings_next, executions_next; /* as of the last commit */
    bool executions_paused;

    /* The journal's tail. */
    bool has_entry;
    struct pl_journal last;
    uint8_t last_hash[PL_HASH_BYTES];
    int64_t last_entry_mono_ms;

    /* The self-audit. Diverged: nothing is decided until a resume above this control epoch. */
    uint32_t audit_next; /* row */
    int64_t audit_mono_ms;
    bool has_diverged;
    uint64_t diverged_epoch;

    struct shadow_sweep shadow;

    /* Staged by the present step; forgotten or made real by its end. */
    uint32_t output_first, output_count, staged_first, staged_count;
    struct pl_journal entry;
    uint8_t entry_hash[PL_HASH_BYTES];
    bool is_published; /* has an entry in the present transaction                               */
};

/* Hashes of the newest records of a broadcast topic, oldest first, in a ring: each partition's entry
 * accounts for those since its last one. */
struct input_hash { int64_t offset; uint8_t hash[PL_HASH_BYTES]; };
struct input_log {
    int64_t first_offset; /* every record from here on that was read is in the ring             */
    uint32_t first, count, capacity;
    struct input_hash *ring;
};

/* A broadcast record that could not be applied. Whoever owns partition 0 tells of it, unless a journaled
 * vector has passed it, so each process remembers them. */
struct bad_broadcasts {
    struct pl_arena arena;
    uint32_t count;
    uint32_t adopted; /* of these partition 0's ledger has been told, if we own it              */
    struct dead_letter *letters;
};

struct liquidation {
    const struct pl_liquidation_settings *settings;
    struct pl_kafka_settings kafka;
    struct pl_group *group;
    struct pl_reader *broadcast, *data, *probe;
    struct pl_txn *txn;
    struct pl_cache *cache;
    struct pl_key *key; /* NULL: entries are not signed */

    struct venue venue;
    /* The step's clock never goes back, so a wall clock that ran ahead for a moment would stop a partition
     * until real time has caught up, whoever owns it. It is believed up to input_life_ms beyond the newest
     * record: by then nothing may be decided anyway (G4). */
    int64_t now_ms, newest_record_ms, input_life_ms;
    int64_t marks_first_offset;
    bool parameters_added, marks_added, broadcast_loaded;
    int64_t parameters_end, chains_end, control_end, marks_end;
    struct input_log inputs[BROADCASTS];
    struct pl_inputs_digest broadcast_read; /* scratch */
    struct bad_broadcasts bad;
    struct shadow shadow; /* read by nothing that decides */

    int32_t partition_count;
    struct partition *partitions; /* by number */

    /* The step's scratch: candidates and bytes for the screen, decisions and outputs. */
    struct pl_arena stage;
    struct pl_arena letters; /* copies of bad records; reset when none is held */
    uint32_t *candidates;
    uint8_t *candidate_marks;
    struct staging staging;
    int64_t cause_ms; /* newest event time among the step's marks, for the latency figure */
};

/* ---- open.c ---- */

/* Address space for the parts whose need depends on what comes; 0: as a service of its own takes. */
struct liquidation_sizes { size_t wire_bytes, stage_bytes, letters_bytes; };
/* FATAL_SYSTEM. */
enum pl_err liquidation_open_memory(struct liquidation *service,
                                    const struct liquidation_sizes *sizes);
/* Called until it is done (RETRY_TRANSPORT: again); a part that is open stays open. */
enum pl_err liquidation_open_kafka(struct liquidation *service, const char *instance);
void liquidation_close_kafka(struct liquidation *service);

/* ---- partition.c ---- */

/* Opens the broadcast topics and follows group and loading: called once per loop, bounded work. */
enum pl_err liquidation_follow(struct liquidation *service);
void partition_drop(struct liquidation *service, struct partition *partition);
enum pl_readiness partition_readiness(const struct liquidation *service,
                                      const struct partition *partition);
/* How long after the newest record every mark and watermark is too old to decide on, and a little more. */
int64_t partition_input_life(const struct liquidation *service);
/* Where the last entry stands in a topic; -1 where there is none. */
int64_t partition_journaled(const struct partition *partition, enum pl_topic topic);

/* ---- inputs.c ---- */

void input_log_begin(struct input_log *log, int64_t first_offset);
void input_log_add(struct input_log *log, const struct pl_record *record);
/* The coordinate of a broadcast topic that stands at `offset`: what was read of it since the last entry
 * of `partition`, or since reading began. */
struct pl_coordinate inputs_broadcast(struct liquidation *service,
                                      const struct partition *partition, unsigned broadcast,
                                      int64_t offset);
/* FATAL_SYSTEM. */
enum pl_err inputs_open(struct liquidation *service);

/* ---- audit.c ---- */

/*
 * Re-evaluates the partition's next few accounts, as many as make the whole book in audit.sweep_s, with
 * the plain evaluator and without the search, and compares with what this step decided for them. False
 * when something differs: it has been logged and counted, and the partition must not decide.
 */
bool audit_partition(struct liquidation *service, struct partition *partition);

/* ---- liquidation.c ---- */

/* One step. RETRY: nothing to reach now, try again; FATAL: leave the process. */
enum pl_err liquidation_step(struct liquidation *service);

#endif
