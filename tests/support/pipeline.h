/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real pipeline under test: topics of its own on the test broker, the built services as child
 * processes, the command for everything a person would do. Failures end the test with the logs' tail.
 *
 *   test ─ plimsoll publish ─► prices, positions ─► services ─► orders, alerts ─► test
 */
#ifndef TEST_SUPPORT_PIPELINE_H
#define TEST_SUPPORT_PIPELINE_H

#include <sys/types.h>

#include "lib/wire/wire.h"

enum { PIPELINE_PROCESSES_MAX = 16, PIPELINE_TEXT_MAX = 1 << 20 };

struct process {
    pid_t pid;              /* 0: not running */
    char name[32];          /* "liquidation"  */
    int slot;
    char log[256], port_file[256];
};

struct pipeline {
    const char *brokers;
    char prefix[64], dir[128];
    int partitions;
    unsigned process_count;
    struct process processes[PIPELINE_PROCESSES_MAX];
    struct pl_wire *wire;
};

/* Makes the topics. False, with a loud line, when there is no broker: the test is then skipped. */
bool pipeline_open(struct pipeline *pipeline, const char *stem, int partitions);
/* Ends every process and removes the files. */
void pipeline_close(struct pipeline *pipeline);

/* Starts plimsoll-NAME as `slot`. `settings` is a NULL-terminated list of KEY=VALUE; `environment` one
 * NAME=VALUE or NULL. With `variant` the executable is plimsoll-NAME-VARIANT from tests/. */
struct process *pipeline_start(struct pipeline *pipeline, const char *name, int slot,
                               const char *const *settings, const char *environment,
                               const char *variant);
/* Starts `plimsoll simulate-fills` with further arguments. */
struct process *pipeline_start_fills(struct pipeline *pipeline, const char *const *arguments);
/* Waits for 200 on /readyz; the test fails after `timeout_s`. */
void pipeline_wait_ready(struct pipeline *pipeline, struct process *process, int timeout_s);
/* The answer to GET `path`, status line first; borrowed until the next call. "" when there is none. */
const char *pipeline_get(const struct process *process, const char *path);
/* Signals and waits; returns the wait status. Nothing for one that is not running. */
int pipeline_end(struct process *process, int signal_number);
/* True while the process runs; reaps it otherwise. */
bool pipeline_runs(struct process *process);

/* Runs `plimsoll ARGUMENT…` with the Kafka options added; standard output is returned, borrowed until
 * the next call; the exit status goes to *status, and must be 0 when status is NULL. */
const char *pipeline_run(struct pipeline *pipeline, int *status, const char *const *arguments);
/* plimsoll publish, of this text. */
void pipeline_publish(struct pipeline *pipeline, const char *text);
/* One quote by each of the sources a, b and c. */
void pipeline_price(struct pipeline *pipeline, const char *instrument, int64_t mantissa,
                    int exponent);

/* All committed orders, in order of partition and offset; returns their number. */
unsigned pipeline_orders(struct pipeline *pipeline, struct pl_order *orders, unsigned capacity);
/* Waits until at least `count` orders are there, at most `timeout_s`, then a settling second more. */
unsigned pipeline_wait_orders(struct pipeline *pipeline, struct pl_order *orders, unsigned capacity,
                              unsigned count, int timeout_s);
/* Number of committed records of a topic. */
unsigned pipeline_count(struct pipeline *pipeline, enum pl_topic topic);
/* plimsoll verify and plimsoll replay over everything there is: clean and identical, or the test fails
 * (G2, G3). */
void pipeline_audit(struct pipeline *pipeline);
/* Full name of a topic. */
const char *pipeline_topic(const struct pipeline *pipeline, enum pl_topic topic, char name[256]);

#endif
