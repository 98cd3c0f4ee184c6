/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the modelled Kafka only: the state of its brokers, and what its clients may ask of them.
 *
 *   kafka.c        life, time, faults, trace, the auditor's view
 *   broker.c       logs and the transaction coordinator
 *   kafka_group.c  the group coordinator: members, generations, offsets
 *   client.c       lib/kafka/consumer.h on top of them
 *   kafka_txn.c    lib/kafka/txn.h on top of them
 */
#ifndef PL_TESTS_CHAOS_SIM_KAFKA_BROKER_H
#define PL_TESTS_CHAOS_SIM_KAFKA_BROKER_H

#include "lib/base/assert.h"
#include "tests/chaos/sim/kafka.h"

enum {
    GROUP_PARTITIONS_MAX = 64, /* of the topic a group shares: one word of bits */
    MEMBERS_MAX = 256,         /* with the dead ones whose session has not timed out */
    LATE_MAX = 64,
    NAME_BYTES = 64,
};

/* ---- kafka.c: time, chance, trace ------------------------------------------------------------ */

extern struct sim_kafka_faults sim_faults;
extern struct test_random *sim_random;

static inline bool sim_chance(unsigned permille)
{
    return permille > 0 && test_random_below(sim_random, 1000) < permille;
}

/* 1..max, or 0 for a max of 0. */
static inline int64_t sim_some_ms(int64_t max)
{
    return max > 0 ? 1 + (int64_t)test_random_below(sim_random, (uint64_t)max) : 0;
}

struct sim_line {
    int64_t mono_ms;
    int process;
    const char *what;  /* literal                                      */
    const char *about; /* topic word, slot, group or NULL: no copy     */
    int32_t partition; /* -1: none                                     */
    int64_t a, b;
    enum pl_err err;
};
void sim_trace(int process, const char *what, const char *about, int32_t partition, int64_t a,
               int64_t b);
void sim_trace_err(int process, const char *what, enum pl_err err);

bool sim_is_cut(int process);
/* Runs the world's hook, and puts back the current process. */
void sim_point(enum sim_point point, int wait_ms);
/* Waits until the process reaches a broker again; false when `timeout_ms` is not enough. */
bool sim_wait_connected(int process, int timeout_ms);
void sim_wait_reply(void); /* a late reply, if chance wants one */

/*
 * Every call that may fail passes here first: it is counted, the process's own threads run, a cut
 * may begin. What the call answers by class stands in `may`; OK: never. The result is the fault
 * injected by number or chance, with its text.
 */
struct sim_may {
    const char *call;
    enum pl_err retry, abort, fatal;
};
enum pl_err sim_gate(int process, const struct sim_may *may);

/* ---- broker.c: logs -------------------------------------------------------------------------- */

/* What is at one offset. */
struct sim_entry {
    int64_t timestamp_ms;
    uint64_t txn; /* 0: plain */
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
    int process;
    bool is_marker, is_cleaned;
};

/* Offset = index. Memory is kept from seed to seed. */
struct sim_log {
    enum pl_topic topic;
    int32_t partition;
    int64_t first, end, capacity;
    struct sim_entry *entries;
};

struct sim_topic_state {
    struct sim_topic config;
    unsigned first_log; /* its partitions are consecutive */
};

struct sim_txn {
    struct sim_txn_info info;
    struct sim_group *group; /* that its offsets went to: no service commits for two */
};

/* A transactional id as its coordinator sees it. */
struct sim_slot {
    char name[NAME_BYTES];
    int32_t epoch;
    int timeout_ms;
    uint64_t txn; /* open or not yet complete; 0: none */
    enum sim_txn_state last; /* outcome of the last one; OPEN: none since the last init */
    int64_t deadline_ms;     /* of the open transaction */
    unsigned touched_count;
    uint8_t touched[SIM_PARTITIONS_MAX];      /* logs that still wait for its marker   */
    int64_t marker_ms[SIM_PARTITIONS_MAX];    /* when; by place in touched             */
    int64_t first_offset[SIM_PARTITIONS_MAX]; /* by log; INT64_MAX: no record there    */
    bool has_offsets;
    int64_t offsets_marker_ms;
};

/* An EndTxn on its way. It names a producer, not a transaction (T6). */
struct sim_late {
    int64_t due_ms;
    int slot;
    int32_t epoch;
    bool is_commit;
};

struct sim_broker {
    struct sim_topic_state topics[PL_TOPIC_COUNT];
    struct sim_log logs[SIM_PARTITIONS_MAX];
    unsigned log_count;
    struct sim_slot slots[SIM_SLOTS_MAX];
    int slot_count;
    struct sim_txn *txns; /* [0] is unused */
    uint64_t txn_count, txn_capacity;
    struct sim_late late[LATE_MAX];
    unsigned late_count;
    uint8_t *bytes; /* of all records of the seed */
    size_t bytes_used;
    int64_t clock_offset_ms;
};
extern struct sim_broker sim_broker;

enum sim_answer { SIM_ANSWER_OK, SIM_ANSWER_FENCED, SIM_ANSWER_INVALID, SIM_ANSWER_NO_MEMBER,
                  SIM_ANSWER_GENERATION };

void broker_reset(void);
struct sim_log *broker_log(enum pl_topic topic, int32_t partition); /* NULL: there is none */
int broker_log_index(const struct sim_log *log);
int64_t broker_stable(const struct sim_log *log);
enum sim_fate broker_fate(const struct sim_entry *entry);
void *broker_bytes(size_t size_bytes); /* until reset */
/* A copy of a record, with its bytes kept until reset. */
struct sim_entry broker_copy(struct pl_bytes_view key, struct pl_bytes_view value,
                             const struct pl_header *headers, unsigned header_count);
int64_t broker_append(struct sim_log *log, const struct sim_entry *entry);
void broker_clean(struct sim_log *log); /* compaction */

int broker_init_producer(const char *name, int timeout_ms, int32_t *epoch);
enum sim_answer broker_append_txn(int slot, int32_t epoch, struct sim_log *log,
                                  const struct sim_entry *entry);
enum sim_answer broker_end(int slot, int32_t epoch, bool is_commit);
void broker_end_later(int slot, int32_t epoch, bool is_commit, int64_t ms);
/* The open transaction of the producer, begun if need be. */
enum sim_answer broker_begun(int slot, int32_t epoch, int process, uint64_t *txn);
void broker_tick(int64_t now_ms);
int64_t broker_next_ms(void);

/* ---- kafka_group.c --------------------------------------------------------------------------- */

struct sim_member {
    uint32_t id;
    int process;
    int64_t heard_ms;
    bool has_joined;    /* the round that is being prepared                          */
    uint64_t claimed;   /* partitions it said it owns when it joined                 */
    uint64_t target;    /* what the last generation gives it                         */
};

struct sim_pending {
    unsigned log;
    int64_t offset;
    uint64_t commit; /* index in the history */
    int slot;
};

struct sim_group {
    char name[NAME_BYTES];
    enum pl_topic topic;
    int32_t generation;
    bool is_preparing;
    unsigned member_count;
    struct sim_member members[MEMBERS_MAX];
    struct { int64_t offset; uint64_t commit; } offsets[SIM_PARTITIONS_MAX];
    struct sim_pending *pending;
    unsigned pending_count, pending_capacity;
};

void group_reset(void);
struct sim_group *group_find(const char *name, bool make);
struct sim_member *group_member(struct sim_group *group, uint32_t id); /* NULL: no member */
uint32_t group_join(struct sim_group *group, int process);
void group_rejoin(struct sim_group *group, struct sim_member *member, uint64_t owned);
void group_leave(struct sim_group *group, uint32_t id);
void group_prepare(struct sim_group *group);

enum sim_answer group_send_offsets(struct sim_group *group, uint32_t member, int32_t generation,
                                   int slot, int32_t epoch, int process,
                                   const struct pl_offset *offsets, unsigned count);
/* The marker of a slot's transaction has come. */
void group_settle_offsets(struct sim_group *group, int slot, bool is_commit);
int64_t group_offset(const struct sim_group *group, unsigned log, bool *is_pending);
void group_tick(int64_t now_ms);
int64_t group_next_ms(void);

/* ---- client.c, kafka_txn.c ------------------------------------------------------------------- */

void client_reset(void);
void client_kill(int process);
void client_serve(int process); /* its background threads run */
void txn_client_reset(void);
void txn_client_kill(int process);
void txn_client_serve(int process);

/* What a transaction needs to know of a membership; ABORT_REBALANCE while there is none. */
struct sim_membership {
    struct sim_group *group;
    uint32_t member;
    int32_t generation;
};
enum pl_err client_membership(struct pl_group *group, struct sim_membership *membership);

#endif
