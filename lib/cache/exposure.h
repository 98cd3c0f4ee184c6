/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in Redis: the exposure of accounts and the latest marks, for people and dashboards.
 *
 * Redis is a cache (G6): this module only writes, from a thread of its own fed by a bounded queue.
 * What does not fit is dropped and counted; an absent, slow or wrong Redis costs nothing but look-ups.
 * Nothing that decides ever reads from here.
 *
 * Keys are "<prefix>:exposure:<account>" and "<prefix>:mark:<instrument>", hashes with a time to live.
 * A write carries (epoch, sequence): the journal sequence of the partition for exposures, (source
 * offset, tick) for marks. A script refuses what is not above the present value, so that a worker
 * that lost its partition cannot overwrite its successor. Each value repeats its key, for readers to
 * check.
 */
#ifndef PL_CACHE_EXPOSURE_H
#define PL_CACHE_EXPOSURE_H

#include <stdint.h>

#include "lib/plimsoll.h"

struct pl_cache;

struct pl_cache_settings {
    const char *host;      /* empty: no cache at all, every call is a no-op                    */
    uint16_t port;
    const char *password;  /* empty: none                                                      */
    const char *prefix;    /* "plimsoll"                                                       */
    int timeout_ms;        /* of connecting and of each exchange                               */
    int ttl_s;
};

struct pl_exposure {
    struct pl_id account;
    int32_t partition;
    uint64_t sequence;     /* journal sequence of the step                                     */
    int64_t clock_ms;
    uint64_t holdings_version, parameter_epoch;
    enum pl_state state;
    bool is_uncertain, is_out_of_range;
    pl_i128 equity_vu, gross_vu;
    pl_i128 excess[PL_TIER_COUNT]; /* lower bounds                                             */
    struct pl_ratios ratios;
    uint32_t pending_count;
};

/* Starts the writer thread; connecting happens there. FATAL_SYSTEM when there is no thread. */
enum pl_err pl_cache_open(struct pl_cache **cache, const struct pl_cache_settings *settings);
/* Stops the thread within one timeout. Accepts NULL, sets NULL. */
void pl_cache_close(struct pl_cache **cache);

/* Never blocks. False when dropped because the queue is full. */
bool pl_cache_put_exposure(struct pl_cache *cache, const struct pl_exposure *exposure);
bool pl_cache_put_mark(struct pl_cache *cache, const struct pl_id *instrument,
                       const struct pl_mark *mark);

struct pl_cache_counts { uint64_t written, dropped, refused, failed; bool is_connected; };
/* Any thread. */
void pl_cache_counts(const struct pl_cache *cache, struct pl_cache_counts *counts);

#endif
