/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis behind lib/cache/exposure.h: it drops, loses what it had acknowledged, and refuses what is not
 * above the present value. Nothing that decides reads from it (G6, I14): a seed run without it, from the
 * same chance, must leave the same logs, which sim.c checks.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/cache/exposure.h"
#include "tests/chaos/sim/world.h"

struct pl_cache { struct pl_cache_counts counts; };

enum { DROPPED_PERMILLE = 50, FAILOVER_PERMILLE = 2 };

static struct {
    struct pl_cache connections[WORLD_WORKERS_MAX];
    struct { struct pl_id account; int32_t partition; uint64_t sequence; } rows[2 * WORLD_ACCOUNTS_MAX];
    unsigned row_count;
} s_redis;

void cache_begin(void)
{
    memset(&s_redis, 0, sizeof(s_redis));
}

struct pl_cache *cache_connect(int worker)
{
    s_redis.connections[worker] = (struct pl_cache){ .counts = { .is_connected = true } };
    return world.uses_cache ? &s_redis.connections[worker] : NULL;
}

static bool chance(unsigned permille)
{
    return test_random_below(&world.cache_chance, 1000) < permille;
}

/* Replication is asynchronous: a failover forgets. */
static void fail_over(void)
{
    s_redis.row_count = 0;
}

bool pl_cache_put_exposure(struct pl_cache *cache, const struct pl_exposure *exposure)
{
    unsigned row = 0;
    if (!cache)
        return true;
    if (chance(FAILOVER_PERMILLE))
        fail_over();
    if (chance(DROPPED_PERMILLE)) {
        cache->counts.dropped++;
        return false;
    }
    while (row < s_redis.row_count && (s_redis.rows[row].partition != exposure->partition ||
                                       !pl_id_equal(&s_redis.rows[row].account, &exposure->account)))
        row++;
    if (row == s_redis.row_count) {
        if (row == sizeof(s_redis.rows) / sizeof(s_redis.rows[0]))
            return false;
        s_redis.rows[s_redis.row_count++].account = exposure->account;
    } else if (exposure->sequence < s_redis.rows[row].sequence) {
        cache->counts.refused++;
        return true;
    }
    s_redis.rows[row].partition = exposure->partition;
    s_redis.rows[row].sequence = exposure->sequence;
    cache->counts.written++;
    world.counts.cache_puts++;
    return true;
}

bool pl_cache_put_mark(struct pl_cache *cache, const struct pl_id *instrument,
                       const struct pl_mark *mark)
{
    (void)instrument;
    (void)mark;
    return !cache || !chance(DROPPED_PERMILLE);
}

void pl_cache_counts(const struct pl_cache *cache, struct pl_cache_counts *counts)
{
    *counts = cache ? cache->counts : (struct pl_cache_counts){ 0 };
}
