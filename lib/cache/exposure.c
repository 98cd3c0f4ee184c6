/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Redis writer thread (see exposure.h). One mutex guards a ring of prepared writes; the thread
 * takes what is there, sends it pipelined and reads the answers. After any error the connection is
 * thrown away and made anew: a context that timed out once may hand out somebody else's answer (T25),
 * and reconnecting in place would lose password and timeout (T26).
 */
#include "lib/cache/exposure.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/assert.h"

enum {
    QUEUE_ROWS_MAX = 8192,
    PIPELINE_ROWS_MAX = 128,
    RECONNECT_PAUSE_MS = 1000,
    FIELDS_MAX = 50,
    FIELD_BYTES = 52,
};

/* Refuses what is not above the present (major, minor) and writes the hash whole. The numbers are
 * compared as zero-padded text: they may exceed 2^53, where Lua's numbers end. */
static const char SCRIPT[] =
    "local a=redis.call('HGET',KEYS[1],'order') "
    "if a and a>=ARGV[2] then return 0 end "
    "redis.call('DEL',KEYS[1]) "
    "redis.call('HSET',KEYS[1],'order',unpack(ARGV,2)) "
    "redis.call('EXPIRE',KEYS[1],ARGV[1]) "
    "return 1";

struct row {
    char key[160];
    uint32_t field_count; /* text cells: value of "order", then name, value, name, value, … */
    char fields[FIELDS_MAX][FIELD_BYTES + PL_ID_BYTES_MAX];
};

struct pl_cache {
    struct pl_cache_settings settings;
    char host[256], password[256], prefix[64];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool is_stopping, has_thread;
    uint32_t head, count; /* of the ring */
    struct row *rows;
    redisContext *context; /* the thread's own */
    _Atomic uint64_t written, dropped, refused, failed;
    _Atomic bool is_connected;
};

/* ---- the thread ----------------------------------------------------------------------------- */

static void disconnect(struct pl_cache *cache)
{
    if (cache->context)
        redisFree(cache->context);
    cache->context = NULL;
    atomic_store(&cache->is_connected, false);
}

static bool authenticate(struct pl_cache *cache)
{
    if (!cache->password[0])
        return true;
    redisReply *reply = redisCommand(cache->context, "AUTH %s", cache->password);
    bool is_ok = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    return is_ok;
}

static bool connect_once(struct pl_cache *cache)
{
    const struct timeval timeout = { cache->settings.timeout_ms / 1000,
                                     (cache->settings.timeout_ms % 1000) * 1000 };
    cache->context = redisConnectWithTimeout(cache->host, cache->settings.port, timeout);
    if (!cache->context || cache->context->err ||
        redisSetTimeout(cache->context, timeout) != REDIS_OK || !authenticate(cache)) {
        disconnect(cache);
        return false;
    }
    atomic_store(&cache->is_connected, true);
    return true;
}

static bool send_row(struct pl_cache *cache, const struct row *row)
{
    const char *argv[5 + FIELDS_MAX];
    char ttl[16];
    int argc = 0;
    snprintf(ttl, sizeof(ttl), "%d", cache->settings.ttl_s);
    argv[argc++] = "EVAL";
    argv[argc++] = SCRIPT;
    argv[argc++] = "1";
    argv[argc++] = row->key;
    argv[argc++] = ttl;
    for (uint32_t i = 0; i < row->field_count; i++)
        argv[argc++] = row->fields[i];
    return redisAppendCommandArgv(cache->context, argc, argv, NULL) == REDIS_OK;
}

static bool read_answers(struct pl_cache *cache, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(cache->context, (void **)&reply) != REDIS_OK || !reply)
            return false;
        if (reply->type == REDIS_REPLY_INTEGER)
            atomic_fetch_add(reply->integer ? &cache->written : &cache->refused, 1);
        else
            atomic_fetch_add(&cache->failed, 1);
        freeReplyObject(reply);
    }
    return true;
}

static void write_rows(struct pl_cache *cache, const struct row *rows, uint32_t count)
{
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < count; i++)
        is_ok = send_row(cache, &rows[i]);
    if (!is_ok || !read_answers(cache, count)) {
        atomic_fetch_add(&cache->failed, count);
        disconnect(cache);
    }
}

/* Takes up to `capacity` rows out of the ring, waiting for one; 0 when it is time to stop. */
static uint32_t take_rows(struct pl_cache *cache, struct row *rows, uint32_t capacity)
{
    pthread_mutex_lock(&cache->mutex);
    while (cache->count == 0 && !cache->is_stopping)
        pthread_cond_wait(&cache->wake, &cache->mutex);
    uint32_t count = cache->is_stopping ? 0 : cache->count;
    if (count > capacity)
        count = capacity;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = cache->rows[(cache->head + i) % QUEUE_ROWS_MAX];
    cache->head = (cache->head + count) % QUEUE_ROWS_MAX;
    cache->count -= count;
    pthread_mutex_unlock(&cache->mutex);
    return count;
}

static void pause_reconnecting(struct pl_cache *cache)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RECONNECT_PAUSE_MS / 1000;
    pthread_mutex_lock(&cache->mutex);
    /* Every new row signals; the pause is over by time only. */
    while (!cache->is_stopping &&
           pthread_cond_timedwait(&cache->wake, &cache->mutex, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&cache->mutex);
}

static void *run(void *argument)
{
    struct pl_cache *cache = argument;
    static struct row rows[PIPELINE_ROWS_MAX];
    uint32_t count;
    while ((count = take_rows(cache, rows, PIPELINE_ROWS_MAX)) > 0) {
        if (!cache->context && !connect_once(cache)) {
            atomic_fetch_add(&cache->failed, count);
            pause_reconnecting(cache);
            continue;
        }
        write_rows(cache, rows, count);
    }
    disconnect(cache);
    return NULL;
}

/* ---- the loop's side -------------------------------------------------------------------------- */

enum pl_err pl_cache_open(struct pl_cache **cache, const struct pl_cache_settings *settings)
{
    struct pl_cache *opened = calloc(1, sizeof(*opened));
    *cache = opened;
    if (!opened)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for the cache writer");
    opened->settings = *settings;
    snprintf(opened->host, sizeof(opened->host), "%s", settings->host);
    snprintf(opened->password, sizeof(opened->password), "%s", settings->password);
    snprintf(opened->prefix, sizeof(opened->prefix), "%s", settings->prefix);
    pthread_mutex_init(&opened->mutex, NULL);
    pthread_cond_init(&opened->wake, NULL);
    if (!opened->host[0])
        return PL_OK;
    opened->rows = calloc(QUEUE_ROWS_MAX, sizeof(*opened->rows));
    opened->has_thread =
        opened->rows && pthread_create(&opened->thread, NULL, run, opened) == 0;
    if (opened->has_thread)
        return PL_OK;
    pl_cache_close(cache);
    return pl_err_set(PL_FATAL_SYSTEM, "no memory or thread for the cache writer");
}

void pl_cache_close(struct pl_cache **cache)
{
    struct pl_cache *open = *cache;
    *cache = NULL;
    if (!open)
        return;
    pthread_mutex_lock(&open->mutex);
    open->is_stopping = true;
    pthread_cond_signal(&open->wake);
    pthread_mutex_unlock(&open->mutex);
    if (open->has_thread)
        pthread_join(open->thread, NULL);
    pthread_cond_destroy(&open->wake);
    pthread_mutex_destroy(&open->mutex);
    free(open->rows);
    free(open);
}

/* The place for the next row, with the lock held; NULL, unlocked, when there is none. */
static struct row *begin_row(struct pl_cache *cache)
{
    if (!cache->has_thread)
        return NULL;
    pthread_mutex_lock(&cache->mutex);
    if (cache->count < QUEUE_ROWS_MAX)
        return &cache->rows[(cache->head + cache->count) % QUEUE_ROWS_MAX];
    pthread_mutex_unlock(&cache->mutex);
    atomic_fetch_add(&cache->dropped, 1);
    return NULL;
}

static void end_row(struct pl_cache *cache)
{
    cache->count++;
    pthread_cond_signal(&cache->wake);
    pthread_mutex_unlock(&cache->mutex);
}

static void put(struct row *row, const char *name, const char *value)
{
    pl_assert(row->field_count + 2 <= FIELDS_MAX);
    snprintf(row->fields[row->field_count++], sizeof(row->fields[0]), "%s", name);
    snprintf(row->fields[row->field_count++], sizeof(row->fields[0]), "%s", value);
}

static void put_number(struct row *row, const char *name, pl_i128 value, unsigned decimals)
{
    char text[64];
    pl_decimal_print(value, decimals, text);
    put(row, name, text);
}

/* The cells begin with the value of "order", by which the script compares. */
static void put_order(struct row *row, uint64_t major, uint64_t minor)
{
    row->field_count = 1;
    snprintf(row->fields[0], sizeof(row->fields[0]), "%020llu.%020llu", (unsigned long long)major,
             (unsigned long long)minor);
}

static const char *state_name(enum pl_state state)
{
    switch (state) {
    case PL_STATE_OK: return "ok";
    case PL_STATE_ALERT: return "alert";
    case PL_STATE_RESTRICTED: return "restricted";
    case PL_STATE_LIQUIDATING: return "liquidating";
    case PL_STATE_BANKRUPT: return "bankrupt";
    }
    return "?";
}

/* A bound that nothing gives, and a ratio without debt, have no cell. */
static void put_bound(struct row *row, const char *name, pl_i128 value, unsigned decimals)
{
    if (pl_abs(value) < PL_EXCESS_UNBOUNDED)
        put_number(row, name, value, decimals);
}

static void put_ratio(struct row *row, const char *name, const struct pl_ratio *ratio)
{
    pl_i128 ppm;
    if (pl_ratio_ppm(ratio, &ppm))
        put_number(row, name, ppm, 6);
}

static void put_ratios(struct row *row, const struct pl_ratios *ratios)
{
    static const char *const requirements[PL_TIER_COUNT] = {
        "alert_requirement_usd", "initial_requirement_usd", "end_requirement_usd",
        "maintenance_requirement_usd" };
    static const char *const top_ups[PL_TIER_COUNT] = {
        "alert_top_up_usd", "initial_top_up_usd", "end_top_up_usd", "maintenance_top_up_usd" };
    put_bound(row, "collateral_usd", ratios->collateral_vu, 12);
    put_bound(row, "debt_usd", ratios->debt_vu, 12);
    put_ratio(row, "collateral_ratio", &ratios->collateral);
    put_ratio(row, "over_collateral_ratio", &ratios->over);
    put_ratio(row, "health_factor", &ratios->health);
    for (unsigned tier = 0; tier < PL_TIER_COUNT; tier++) {
        put_bound(row, requirements[tier], ratios->requirement[tier], 18);
        put_bound(row, top_ups[tier], ratios->top_up_vu[tier], 12);
    }
}

bool pl_cache_put_exposure(struct pl_cache *cache, const struct pl_exposure *exposure)
{
    struct row *row = begin_row(cache);
    if (!row)
        return false;
    snprintf(row->key, sizeof(row->key), "%s:exposure:%s", cache->prefix, exposure->account.text);
    put_order(row, exposure->sequence, (uint64_t)exposure->clock_ms);
    put(row, "account", exposure->account.text);
    put(row, "state", state_name(exposure->state));
    put(row, "uncertain", exposure->is_uncertain ? "yes" : "no");
    put_number(row, "partition", exposure->partition, 0);
    put_number(row, "clock_ms", exposure->clock_ms, 0);
    put_number(row, "holdings_version", exposure->holdings_version, 0);
    put_number(row, "parameter_epoch", exposure->parameter_epoch, 0);
    put_number(row, "equity_usd", exposure->equity_vu, 12);
    put_number(row, "gross_usd", exposure->gross_vu, 12);
    put_number(row, "initial_excess_usd", exposure->excess[PL_TIER_INITIAL], 18);
    put_number(row, "maintenance_excess_usd", exposure->excess[PL_TIER_MAINTENANCE], 18);
    if (!exposure->is_out_of_range)
        put_ratios(row, &exposure->ratios);
    end_row(cache);
    return true;
}

static const char *status_name(enum pl_mark_status status)
{
    switch (status) {
    case PL_MARK_NONE: return "none";
    case PL_MARK_LIVE: return "live";
    case PL_MARK_STALE: return "stale";
    case PL_MARK_HALTED: return "halted";
    }
    return "?";
}

bool pl_cache_put_mark(struct pl_cache *cache, const struct pl_id *instrument,
                       const struct pl_mark *mark)
{
    struct row *row = begin_row(cache);
    if (!row)
        return false;
    snprintf(row->key, sizeof(row->key), "%s:mark:%s", cache->prefix, instrument->text);
    put_order(row, mark->source_offset, mark->tick);
    put(row, "instrument", instrument->text);
    put(row, "status", status_name(mark->status));
    put_number(row, "price_usd", mark->mantissa, (unsigned)-mark->exponent);
    put_number(row, "low_usd", mark->low_mantissa, (unsigned)-mark->exponent);
    put_number(row, "high_usd", mark->high_mantissa, (unsigned)-mark->exponent);
    put_number(row, "event_time_ms", mark->event_time_ms, 0);
    end_row(cache);
    return true;
}

void pl_cache_counts(const struct pl_cache *cache, struct pl_cache_counts *counts)
{
    *counts = (struct pl_cache_counts){
        .written = atomic_load(&cache->written), .dropped = atomic_load(&cache->dropped),
        .refused = atomic_load(&cache->refused), .failed = atomic_load(&cache->failed),
        .is_connected = atomic_load(&cache->is_connected) };
}
