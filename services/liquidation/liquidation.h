/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The liquidation service: one struct, two files.
 *   partition.c    how a partition comes to be owned, loaded, ready, and given up
 *   liquidation.c  one step: the event's path as a list
 */
#ifndef PL_SERVICES_LIQUIDATION_H
#define PL_SERVICES_LIQUIDATION_H

#include "lib/cache/exposure.h"
#include "lib/kafka/consumer.h"
#include "lib/kafka/txn.h"
#include "lib/wire/wire.h"
#include "services/liquidation/settings.h"

enum {
    PL_HALTED_ACCOUNTS_MAX = 256, /* more than this many single halts halt everything           */
    PL_EXECUTIONS_MAX = 4096,     /* of one partition in one step                               */
};

/* How far a partition has come. Each stage is left by the loop, never inside a callback. */
enum partition_stage {
    STAGE_FREE,      /* not ours                                                                */
    STAGE_RESOLVING, /* committed offsets wait to become stable                                 */
    STAGE_STATES,    /* reading accounts and the journal's tail to the high watermark           */
    STAGE_HOLDINGS,  /* reading holdings to the high watermark seen at assignment               */
    STAGE_LOADED,    /* the book is a function of everything up to now                          */
};

/* A record that could not be applied, kept until the transaction that says so. */
struct dead_letter {
    struct pl_dead_letter origin;
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

struct staged_state {
    uint32_t index;
    struct pl_account_state state;
    struct pl_exposure exposure;
};

struct output {
    enum pl_topic topic;
    int32_t partition; /* negative: by key */
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

struct partition {
    int32_t number;
    enum partition_stage stage;
    enum pl_readiness readiness;
    int64_t retry_at_ms; /* of resolving, monotonic                                             */

    void *block; /* the book's memory */
    size_t block_bytes;
    struct pl_book *book;
    struct pl_watermark watermark;

    /* Where we are. `committed` is what the group has, as of loading; PL_OFFSET_NONE on a first
     * start. Ends are high watermarks seen at assignment. */
    int64_t holdings_committed, executions_committed;
    int64_t accounts_end, journal_end, holdings_end;
    int64_t holdings_next, executions_next; /* as of the last commit */
    int64_t executions_staged;
    bool executions_paused;

    /* The journal's tail. */
    bool has_entry;
    struct pl_journal last;
    uint8_t last_hash[PL_HASH_BYTES];
    int64_t last_entry_mono_ms;

    /* What the next commit has to account for. Survives an abort (records applied stay applied). */
    bool decide_all;
    uint64_t changed_mask;
    uint32_t touched_count, touched_capacity;
    uint32_t *touched;
    uint32_t execution_count;
    struct { struct pl_execution report; uint32_t index; } *executions;
    uint32_t dead_count, dead_capacity;
    struct dead_letter *dead;

    /* Staged by the present step; forgotten or made real by its end. */
    uint32_t output_first, output_count, staged_first, staged_count;
    struct pl_journal entry;
    uint8_t entry_hash[PL_HASH_BYTES];
    bool is_published; /* has an entry in the present transaction                               */
};

struct liquidation {
    const struct pl_liquidation_settings *settings;
    struct pl_kafka_settings kafka;
    struct pl_group *group;
    struct pl_reader *broadcast, *data, *probe;
    struct pl_txn *txn;
    struct pl_cache *cache;

    struct pl_wire *wire;
    struct pl_names *names;
    struct pl_parameters *parameters, *parameters_spare; /* in force / being decoded            */
    struct pl_mark *marks;
    struct pl_market *market;

    int64_t now_ms; /* the step's clock */
    int64_t marks_first_offset;
    bool parameters_added, marks_added, broadcast_loaded;
    int64_t parameters_end, chains_end, control_end, marks_end;

    bool has_parameters, is_halted, control_damaged;
    uint64_t control_epoch;
    uint32_t halted_count;
    struct pl_id halted[PL_HALTED_ACCOUNTS_MAX];

    int32_t partition_count;
    struct partition *partitions; /* by number */

    /* The step's scratch: candidates and bytes for the screen, decisions and outputs. */
    struct pl_arena stage;
    struct pl_arena letters; /* copies of bad records; reset when none is held */
    uint32_t *candidates;
    uint8_t *candidate_marks;
    struct output *outputs;
    uint32_t output_count, output_capacity;
    struct staged_state *staged;
    uint32_t staged_count, staged_capacity;
    int64_t cause_ms; /* newest event time among the step's marks, for the latency figure */
};

/* ---- partition.c ---- */

/* Opens the broadcast topics and follows group and loading: called once per loop, bounded work. */
enum pl_err liquidation_follow(struct liquidation *service);
/* Handles one record of the data reader. */
enum pl_err partition_record(struct liquidation *service, const struct pl_record *record);
enum pl_err broadcast_record(struct liquidation *service, const struct pl_record *record);
void partition_drop(struct liquidation *service, struct partition *partition);
/* Where the entry's vector stands in a topic; -1 where it has no coordinate. */
int64_t journal_offset(const struct pl_journal *journal, enum pl_topic topic);
enum pl_readiness partition_readiness(const struct liquidation *service,
                                      const struct partition *partition);

/* ---- liquidation.c ---- */

/* One step. RETRY: nothing to reach now, try again; FATAL: leave the process. */
enum pl_err liquidation_step(struct liquidation *service);

#endif
