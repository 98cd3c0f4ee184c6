/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: one process, one seeded scheduler and virtual time, in which the services' real
 * step code runs against the modelled Kafka (kafka.h) while everything around it fails.
 *
 *   world.c     virtual time, the scheduler, the life and death of workers
 *   worker.c    a worker: the real liquidation service, opened and stepped as its main does
 *   positioner.c  likewise the real position service
 *   swarm.c     what one seed has chosen: sizes, durations, which faults are on
 *   chaos.c     faults that come from outside: kills, stops, twins, clocks, the brokers' own
 *   feeds.c     marks, parameters, control, chains, and the truth about accounts
 *   records.c   records as other services write them
 *   router.c    the order router and the venues behind it
 *   cache.c     Redis
 *   platform.c  clock, memory, log and metrics as the services see them
 *   check.c     the auditor after every step; lag, replay and verify at the end
 *   sim.c       options, seeds, report
 *
 * Everything is a function of the seed. Workers may run inside a call of another one (a call that waits
 * lets time pass), so nothing here may be kept over a call into Kafka but what belongs to one worker.
 */
#ifndef PL_TESTS_CHAOS_SIM_WORLD_H
#define PL_TESTS_CHAOS_SIM_WORLD_H

#include <setjmp.h>
#include <stdio.h>

#include "lib/position/position.h"
#include "lib/wire/wire.h"
#include "tests/chaos/sim/kafka.h"
#include "tests/support/random.h"

enum {
    WORLD_WORKERS_MAX = 8,
    WORLD_ACCOUNTS_MAX = 32,
    WORLD_INSTRUMENTS_MAX = 8, WORLD_UNDERLYING = 2, WORLD_CALL = 5, WORLD_PUT = 6,
    WORLD_VOLATILITY = 7,
    WORLD_PARTITIONS_MAX = 3,
    WORLD_SETS = 4,              /* parameter sets to choose from                              */
    WORLD_BOOK_ACCOUNTS_MAX = 1024, /* book.accounts_max: room for 64 fills of each account        */
};

#define WORLD_GROUP "plimsoll-liquidation"
#define WORLD_POSITION_GROUP "plimsoll-position"

/* ---- swarm.c ------------------------------------------------------------------------------------ */

/* Faults that come from outside the calls. Each comes about every so many ms of virtual time; 0: never
 * in this seed. */
enum world_fault {
    FAULT_KILL,       /* kill -9                                                                 */
    FAULT_KILL_IN_CALL, /* kill -9 inside a call                                                 */
    FAULT_STOP,       /* SIGSTOP, SIGCONT                                                        */
    FAULT_STOP_IN_CALL,
    FAULT_TERMINATE,  /* SIGTERM                                                                 */
    FAULT_TWIN,       /* the same slot is started twice                                          */
    FAULT_CLOCK,      /* a worker's wall clock jumps                                             */
    FAULT_BROKER_CLOCK,
    FAULT_REBALANCE,
    FAULT_CUT,        /* brokers cannot be reached                                               */
    FAULT_COMPACT,
    FAULT_CRASH,      /* the market falls                                                        */
    FAULT_CONTROL,    /* halts and resumes                                                       */
    FAULT_PARAMETERS, /* a new epoch                                                             */
    FAULT_MARK,       /* an episode of bad marks                                                 */
    FAULT_GARBAGE,    /* records that cannot be applied                                          */
    FAULT_HOLDINGS,   /* duplicates, old versions, gaps, what is not final                       */
    FAULT_WATERMARK,  /* the position service is late                                            */
    FAULT_DISASTER,   /* the brokers lose what was promised                                      */
    FAULT_COUNT
};
extern const char *const world_fault_names[FAULT_COUNT];

struct world_swarm {
    int32_t partition_count;
    unsigned slot_count, account_count, set;
    unsigned position_slot_count; /* 0: a feed writes holdings in the position service's place    */
    int32_t faults_ms, calm_ms;
    int32_t turn_ms_max;  /* a turn of a worker's loop takes up to                               */
    int32_t mark_every_ms, move_ppm; /* how often and how far prices move                        */
    int32_t heartbeat_ms, transaction_timeout_ms;
    int32_t every_ms[FAULT_COUNT];
    bool clock_jumps_far, has_torn_ends, has_cache;
    bool stops_long;      /* past session and transaction timeout                                */
    uint16_t router_partial, router_late, router_silent, router_repeats, router_rejects;
    struct sim_kafka_faults kafka;
};
void world_choose(struct world_swarm *swarm, struct test_random *random);

/* ---- workers ------------------------------------------------------------------------------------ */

enum worker_kind { WORKER_LIQUIDATION, WORKER_POSITION, WORKER_KINDS };
enum worker_stage { WORKER_DOWN, WORKER_OPENING, WORKER_RUNNING, WORKER_GONE };

struct worker {
    enum worker_kind kind;
    int number;               /* also the process of the modelled Kafka                          */
    int slot;
    char instance[32];
    enum worker_stage stage;
    int64_t next_ms;          /* when it runs again                                              */
    int64_t wall_offset_ms;   /* its wall clock against the true one                             */
    bool is_twin, is_doomed, is_stopping, is_entered;
    bool first_start;
    int32_t pause_ms;         /* asked for by its last turn                                      */
    uint32_t starts;
    char last_words[160];     /* why it ended                                                    */
    jmp_buf grave;            /* where a worker that is killed inside a call comes out           */
    void *body;               /* of the present kind                                             */
    void *bodies[WORKER_KINDS]; /* memory from seed to seed                                      */
};

/* worker.c */
void worker_born(struct worker *worker, enum worker_kind kind);
/* One turn of its main's loop. RETRY is dealt with; anything else ends the process. */
enum pl_err worker_turn(struct worker *worker);
/* Leaves in order, as on SIGTERM. */
void worker_leave(struct worker *worker);
/* Memory and what else a dead process gives back by itself. */
void worker_bury(struct worker *worker);

/* positioner.c */
void *positioner_body(void);
enum pl_err positioner_turn(struct worker *worker);
void positioner_leave(struct worker *worker);
void positioner_bury(struct worker *worker);

/* ---- world.c ------------------------------------------------------------------------------------ */

struct world_counts {
    uint64_t turns, starts, deaths, kills_in_calls, faults[FAULT_COUNT];
    uint64_t fatal[8];        /* by code less PL_FATAL_CONFIG                                    */
    uint64_t reports, fills, refused, silent, cache_puts, torn;
};

struct world {
    uint64_t seed;
    struct world_swarm swarm;
    struct test_random chance, feed_chance, kafka_chance, router_chance, cache_chance;
    int64_t mono_ms, wall_ms; /* wall_ms: the true wall clock at mono 0                          */
    int64_t calm_from_ms, quiet_from_ms, end_ms; /* faults, calm, and no input any more          */
    bool is_calm, had_disaster, uses_cache;
    int64_t broker_skew_ms;
    /* By a disaster: nothing is decided there any more, or these reports are never passed. */
    int32_t struck_partition;
    int64_t struck_journal_end, struck_executions; /* or -1                                      */
    struct worker workers[WORLD_WORKERS_MAX];
    unsigned worker_count;
    struct worker *current;   /* whose code runs; NULL: the world's                              */
    struct world_counts counts;
    /* The first violation of the seed. */
    bool has_failed;
    char failure[64], failure_text[1024];
};
extern struct world world;

/* Runs one seed to its end; world.has_failed says how it went. */
void world_run(uint64_t seed, bool uses_cache);
/* Ends what the last seed has left running. */
void world_end(void);
/* True wall clock. */
int64_t world_now_ms(void);
/* 0 .. bound - 1, and least .. most, of the world's own chance. */
int64_t world_below(int64_t bound);
int64_t world_between(int64_t least, int64_t most);
/* Notes the first violation; the seed then ends. `name` begins with the invariant. */
void world_fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of the trace, and of the world's own shorter one. */
void world_print_notes(FILE *file, unsigned count);
void world_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void world_kill(struct worker *worker);
/* Every partition has been committed at least once. */
bool world_group_is_known(enum worker_kind kind);
/* Sets the brokers' clock against the true one. */
void world_skew_brokers(int64_t skew_ms);
/* A worker more; a twin is given a slot that another one has, and is not started again. */
void world_add_worker(enum worker_kind kind, int slot, bool is_twin);
/* A digest of everything that happened: of all logs and offsets. */
uint64_t world_fingerprint(void);

/* ---- chaos.c ------------------------------------------------------------------------------------ */

void chaos_begin(void);
int64_t chaos_next_ms(void);
void chaos_run(void);
/* Inside a call of the current worker: may it die or stand still here? */
enum chaos_mercy { CHAOS_NOTHING, CHAOS_KILL, CHAOS_STOP };
enum chaos_mercy chaos_in_call(enum sim_point point, int64_t *stop_ms);

/* ---- feeds.c ------------------------------------------------------------------------------------ */

struct world_instrument {
    struct pl_id id;
    uint32_t lot_decimals, tick_decimals;
    enum pl_instrument_kind kind;
    int64_t base_ticks;       /* price at the beginning                                          */
};
extern const struct world_instrument world_instruments[WORLD_INSTRUMENTS_MAX];

struct world_account {
    struct pl_id id;
    int32_t partition;
    uint64_t version, sequence;
    int64_t lots[WORLD_INSTRUMENTS_MAX];
    int64_t unfinal_lots;     /* of the first instrument: an inflow that is not final            */
    /* Of the first instrument too, with a source that has a chain: what it says in events.       */
    int64_t custody_lots, custody_open_lots;
    uint64_t custody_sequence, custody_height;
    bool has_retracted;
    pl_i128 cash_vu;
    bool has_gap, is_dirty;
    uint32_t mode;
    int64_t publish_at_ms, event_ms, written_ms;
    uint32_t applied_count;
    struct pl_position_applied applied[PL_APPLIED_MAX];
};
extern struct world_account world_accounts[WORLD_ACCOUNTS_MAX];

void feeds_begin(void);
int64_t feeds_next_ms(void);
void feeds_run(void);
/* All that was broken on purpose is mended: from here on feeds only restate. */
void feeds_calm(void);
void feeds_fault(enum world_fault fault);
/* The venue has executed so many lots more of an order: the truth changes now, holdings show it some
 * time later. */
void feeds_fill(const struct pl_order *order, int64_t lots, int64_t cumulative_lots);
/* The parameter set in force: the seed's own, or another one for a while. */
unsigned feeds_set(void);

/* ---- records.c ---------------------------------------------------------------------------------- */

void records_begin(void);
struct pl_wire *records_wire(void);
/* Of an option, in ticks of its underlying. */
int64_t records_strike(unsigned instrument);
void records_mark(unsigned instrument, const struct pl_mark *mark);
/* What an effective set says beyond its base: nothing where `raised` is 0. The alert and initial tiers
 * stand `raised` above the base set's haircut, end and maintenance `climbed`, on their way there. */
struct records_haircuts {
    uint64_t base_epoch;
    int32_t raised[WORLD_INSTRUMENTS_MAX], climbed[WORLD_INSTRUMENTS_MAX];
    bool is_beyond_cap;       /* which nobody may take                                            */
};
void records_parameters(unsigned set, uint64_t epoch, const struct records_haircuts *haircuts);
void records_shadow(const unsigned *set, uint64_t epoch);
/* The set as evaluation knows it, for placing accounts near their line. */
const struct pl_parameters *records_set(unsigned set, const struct pl_names **names);
void records_holdings(const struct world_account *account, uint64_t version);
void records_watermark(int32_t partition, uint64_t offset, int64_t time_ms);
void records_control(const struct pl_id *account, bool is_halt, uint64_t epoch);
/* Of the chain and its bridge since when they are halted: 0 not at all, -1 left to be guessed. */
void records_chain(uint64_t height, uint64_t finalised, const int64_t halted_since_ms[2]);
/* A position event: everything that the source says of the account, or one change of custody. */
void records_snapshot(const struct world_account *account, uint64_t sequence);
enum records_change { RECORDS_DELTA = 2, RECORDS_RETRACTION };
void records_custody(const struct world_account *account, enum records_change kind, int64_t lots,
                     uint64_t previous, uint64_t retracts);
/* A change of nothing after one that never came. */
void records_gap(const struct world_account *account, uint64_t sequence);
/* Whether holdings name the orders that they contain: so it stays for the whole seed. */
bool records_name_orders(void);
/* Whether the set knows modes 1 and 2. */
bool records_has_modes(unsigned set);
enum records_status { RECORDS_NEW = 1, RECORDS_PARTIAL, RECORDS_FILLED, RECORDS_CANCELED,
                      RECORDS_REJECTED, RECORDS_EXPIRED };
void records_report(const struct pl_order *order, enum records_status status,
                    int64_t cumulative_lots);
/* Bytes that are no record of the topic, under a key or none. */
void records_garbage(enum pl_topic topic, int32_t partition, const char *key,
                     struct test_random *random);

/* ---- router.c ----------------------------------------------------------------------------------- */

void router_begin(void);
int64_t router_next_ms(void);
void router_run(void);

/* ---- cache.c ------------------------------------------------------------------------------------ */

struct pl_cache;
void cache_begin(void);
struct pl_cache *cache_connect(int worker);

/* ---- platform.c --------------------------------------------------------------------------------- */

/* Gives back all memory that the worker has mapped. */
void platform_free(const struct worker *worker);

/* ---- check.c ------------------------------------------------------------------------------------ */

void check_open(void);
void check_close(void);
void check_begin(void);
/* After every step: what became visible goes to the auditor. */
void check_step(void);
void check_end(void);
/* For events that the auditor has to be told of. */
void check_compacted(enum pl_topic topic, int32_t partition);
void check_truncated(enum pl_topic topic, int32_t partition, int64_t end);
void check_order(const uint8_t order_id[PL_ORDER_ID_BYTES], int kind, int64_t lots);
struct check_counts { uint64_t records, entries, heartbeats, orders, alerts, states, dead_letters,
                      evaluations, below, calls, braked, replayed; };
void check_counts(struct check_counts *counts);

#endif
