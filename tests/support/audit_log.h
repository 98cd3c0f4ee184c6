/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a seeded venue as the topics would hold it: inputs that a random world publishes, and
 * what the liquidation service's own step code (services/liquidation/core.h) makes of them, with
 * the search that the live service uses. Prices crash, orders are filled or not, workers restart
 * and read marks from elsewhere, somebody halts and resumes, records are broken. Everything is a
 * function of the options.
 *
 * Records can be looked at and damaged before they become a bundle.
 */
#ifndef PL_TESTS_SUPPORT_AUDIT_LOG_H
#define PL_TESTS_SUPPORT_AUDIT_LOG_H

#include "lib/wire/signature.h"
#include "services/cli/bundle.h"

struct audit_log_options {
    uint64_t seed;
    int32_t partition_count;  /* each with a worker of its own                                  */
    unsigned account_count;   /* of all partitions                                              */
    unsigned coin_count;      /* besides USD                                                    */
    unsigned step_count;
    unsigned heartbeat_steps; /* without outputs an entry is written every so many steps; > 0   */
    int64_t step_ms;          /* of the clock, each step                                        */
    bool is_calm;             /* prices move and accounts are sold, but nothing goes wrong      */
    bool is_quiet;            /* prices move so little that nobody is sold                      */
    bool has_perp;            /* the last coin is one that is never sold, entered at opening       */
    unsigned gap_step;        /* at which all prices halve; 0: never                               */
    const struct pl_key *key; /* signs the journal; NULL: nobody does                           */
};

struct audit_stream {
    enum pl_topic topic;
    int32_t partition;
    size_t count, capacity;
    int64_t end;               /* next offset                                                   */
    struct pl_record *records; /* every view is one block of the heap                           */
};

struct audit_log {
    int32_t partition_count;
    unsigned stream_count;
    struct audit_stream *streams;
};

/* Ends the test with a message when the world cannot be built. */
void audit_log_build(struct audit_log *log, const struct audit_log_options *options);
void audit_log_free(struct audit_log *log);

struct audit_stream *audit_log_stream(const struct audit_log *log, enum pl_topic topic,
                                      int32_t partition);
/* The heap block behind a view, for whoever wants to damage it. */
uint8_t *audit_log_bytes(struct pl_bytes_view view);
/* Puts a copy of `bytes` in the place of a value. */
void audit_log_set_value(struct pl_record *record, struct pl_bytes_view bytes);
void audit_log_remove(struct audit_stream *stream, size_t at);
void audit_log_swap_values(struct audit_stream *stream, size_t a, size_t b);

/* A bundle in memory of everything in the log; the caller closes it. */
struct bundle *audit_log_bundle(const struct audit_log *log);

#endif
