/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For lib/kafka only: what its handles share. How one is configured and created, whether a broker
 * can be reached, and what librdkafka's error codes mean to our loop.
 */
#ifndef PL_KAFKA_HANDLE_H
#define PL_KAFKA_HANDLE_H

#include <librdkafka/rdkafka.h>

#include "lib/kafka/consumer.h"

/* ---- settings.c -------------------------------------------------------------------------- */

enum pl_kafka_role { PL_KAFKA_GROUP = 1, PL_KAFKA_READER = 2, PL_KAFKA_PRODUCER = 4 };

/* A configuration with the values of the reliability notes and the user's overrides. The caller
 * owns *conf until pl_kafka_link_open takes it. FATAL_CONFIG. */
enum pl_err pl_kafka_conf(const struct pl_kafka_settings *settings, enum pl_kafka_role role,
                          rd_kafka_conf_t **conf);

/* Sets one key that this library chooses itself. FATAL_CONFIG with librdkafka's text. */
enum pl_err pl_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);

/* ---- handle.c ---------------------------------------------------------------------------- */

/*
 * One librdkafka handle and the state of its connections, kept by librdkafka's error callback,
 * which runs on the thread that polls the handle. It is the first member of each of our handles,
 * because librdkafka's opaque pointer serves the other callbacks as well.
 */
struct pl_kafka_link {
    rd_kafka_t *rk;
    bool is_down;           /* no broker was reachable, and no probe succeeded since */
    int64_t probe_at_ms;    /* monotonic time of the next probe while down           */
    enum pl_err failure;    /* FATAL code that every later check repeats; PL_OK none */
    char connect_text[192]; /* librdkafka's last words about a connection            */
    char failure_text[256];
};

/* Creates the handle with `link` as its opaque; takes `conf`, also on error. FATAL_CONFIG. */
enum pl_err pl_kafka_link_open(struct pl_kafka_link *link, enum pl_kafka_role role,
                               rd_kafka_conf_t *conf);

/* The failure if there is one; RETRY_TRANSPORT while no broker is reachable, asking for one about
 * once a second for at most 100 ms; else OK. */
enum pl_err pl_kafka_link_check(struct pl_kafka_link *link);

/* True when a broker answers now, within 100 ms. */
bool pl_kafka_link_answers(struct pl_kafka_link *link);

/* Remembers the first failure of the handle; later ones are its consequences. */
void pl_kafka_link_fail(struct pl_kafka_link *link, enum pl_err err, const char *text);

/* What a code means: RETRY_TRANSPORT for everything that passes by itself, ABORT_REBALANCE,
 * FATAL_CONFIG, FATAL_FENCED, FATAL_OFFSETS, and FATAL_KAFKA for all that is not listed. */
enum pl_err pl_kafka_meaning(rd_kafka_resp_err_t code);

/* pl_err_set of pl_kafka_meaning(code) with "what: librdkafka's words for the code". */
enum pl_err pl_kafka_error(rd_kafka_resp_err_t code, const char *what);

/* As pl_kafka_error for an error object, which it destroys; NULL gives OK. */
enum pl_err pl_kafka_error_take(rd_kafka_error_t *error, const char *what);

/* A list of one partition; the caller destroys it. */
rd_kafka_topic_partition_list_t *pl_kafka_list(const char *topic_name, int32_t partition,
                                               int64_t offset);

/* How much longer than its own timeout an admin call is waited for: librdkafka answers first. */
enum { PL_KAFKA_ADMIN_GRACE_MS = 100 };

/* Monotonic milliseconds. */
int64_t pl_kafka_now_ms(void);

/* ---- group.c ----------------------------------------------------------------------------- */

/* The group's metadata for a transaction; the caller owns *metadata. ABORT_REBALANCE while this
 * process is no member, FATAL_KAFKA. */
enum pl_err pl_group_metadata(struct pl_group *group,
                              rd_kafka_consumer_group_metadata_t **metadata);

#endif
