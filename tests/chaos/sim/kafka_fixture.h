/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the modelled Kafka share: a small cluster, time that they advance by hand,
 * group members that keep count of what they are told, and a process that dies inside a call.
 */
#ifndef PL_TESTS_CHAOS_SIM_KAFKA_FIXTURE_H
#define PL_TESTS_CHAOS_SIM_KAFKA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/chaos/sim/kafka.h"

enum { TIMEOUT_MS = 5000, WAIT_MS = 1000 };

#define assert_ok(err) assert_int_equal(err, PL_OK)
#define assert_records(topic, expected) assert_string_equal(committed_values(topic), expected)

extern int64_t fixture_mono_ms;
extern struct test_random fixture_random;
extern const struct pl_kafka_settings fixture_settings;

/* A fresh cluster: holdings (compacted, lag 1 s) and executions with 4 partitions, orders and
 * journal with one. For cmocka's setup. */
int fixture_reset(void **state);

struct pl_bytes_view text(const char *chars);
/* Time passes; `running` has a bit for each process that is not stopped. */
void pass(int64_t ms, unsigned running);
/* What a committed reader gets of partition 0, joined by blanks. */
const char *committed_values(enum pl_topic topic);

struct member {
    int process;
    struct pl_group *group;
    unsigned owned, assigned, revoked, lost; /* owned: a bit for each partition */
};

void join(struct member *member, int process);
void serve(struct member *member);
/* Serves both (b may be NULL) in turn for 6 s; no partition is ever both's. */
void serve_both(struct member *a, struct member *b);

struct pl_txn *open_slot(int process, const char *slot);
/* Begins and captures the member's group. */
void begin(struct pl_txn *txn, struct member *member);
void put_order(struct pl_txn *txn, const char *value);
/* One offset of holdings, partition 0; and what is committed there. */
const struct pl_offset *at(int64_t offset);
int64_t committed_offset(void);
/* Produces an order and commits offset 9, but the process is killed at `point`. */
void commit_and_die(struct pl_txn *txn, struct member *a, enum sim_point point);

/* A reader of orders from the first on; and the offset of its next record, or -1 when none
 * comes. */
struct pl_reader *read_orders(bool uncommitted);
int64_t next_offset(struct pl_reader *reader);

#endif
