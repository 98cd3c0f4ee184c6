/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into the plimsoll-*-nth executables in front of librdkafka, hiredis and the allocator
 * (--wrap for each WRAP below): the planned call fails in the planned way (see nth_points.h). The
 * services' own code is the same to the byte; calls inside the libraries are theirs and are left
 * alone.
 *
 * A failure is reported without the call being made, unless the way says so: what was done although
 * its answer was lost is the case that counts most. What librdkafka would remember of it (that the
 * handle has failed for good, that a transaction must be aborted) is remembered here.
 */
#include "tests/chaos/nth_points.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE(name) RD_KAFKA_RESP_ERR_##name
#define WRAP(type, name, ...)         \
    type __real_##name(__VA_ARGS__);  \
    type __wrap_##name(__VA_ARGS__);  \
    type __wrap_##name(__VA_ARGS__)

/* ---- the plan -------------------------------------------------------------------------------- */

enum { TRACED_MAX = 600, TRACED_POLLS_MAX = 8, FRAMES_MAX = 24, WAY_MAX = 8 };

extern const char __executable_start[], etext[];

/* How our code came to a call: its return addresses, innermost first, as distances from the
 * beginning of the executable. */
struct way {
    unsigned long addresses[WAY_MAX], hash;
    unsigned count;
};

static struct {
    enum nth_point function;
    unsigned long site;
    unsigned occurrence;
    const struct nth_mode *mode;
    _Atomic unsigned seen;
} s_plan[NTH_PLANNED_MAX];
static unsigned s_planned;
static int s_log = -1;
static _Atomic unsigned s_traced[NTH_POINTS];

static void plan_one(const char *text)
{
    char function[64], mode[32];
    unsigned at = 0;

    if (s_planned == NTH_PLANNED_MAX ||
        sscanf(text, "%63s %lx %u %31s", function, &s_plan[s_planned].site,
               &s_plan[s_planned].occurrence, mode) != 4)
        _exit(126);
    while (nth_functions[at].name != NULL && strcmp(nth_functions[at].name, function) != 0)
        at++;
    const struct nth_mode *found = nth_functions[at].modes;
    while (found->name != NULL && strcmp(found->name, mode) != 0)
        found++;
    if (nth_functions[at].name == NULL || found->name == NULL)
        _exit(126);
    s_plan[s_planned].function = (enum nth_point)at;
    s_plan[s_planned++].mode = found;
}

__attribute__((constructor)) static void read_plan(void)
{
    const char *plan = getenv("PL_NTH_PLAN"), *path = getenv("PL_NTH_LOG");
    char one[160];

    if (path != NULL)
        s_log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (; plan != NULL && *plan != '\0'; plan += plan[0] == ';') {
        size_t size = strcspn(plan, ";");
        snprintf(one, sizeof(one), "%.*s", (int)size, plan);
        plan_one(one);
        plan += size;
    }
}

/* Frames inside the libraries, of their callbacks to us, are left out. */
static void find_way(const void *return_address, struct way *way)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX), at = 0;

    *way = (struct way){.hash = 5381};
    while (at < count && frames[at] != return_address)
        at++;
    for (; at < count && way->count < WAY_MAX; at++) {
        const char *frame = frames[at];
        if (frame < __executable_start || frame >= etext)
            continue;
        way->addresses[way->count] = (unsigned long)(frame - __executable_start);
        way->hash = way->hash * 33 + way->addresses[way->count++];
    }
}

static void trace(enum nth_point function, const struct way *way)
{
    unsigned max = nth_functions[function].how_often == NTH_ALWAYS ? TRACED_POLLS_MAX : TRACED_MAX;
    char line[256];
    int used = 0;

    if (s_log < 0 || atomic_fetch_add(&s_traced[function], 1) >= max)
        return;
    used = snprintf(line, sizeof(line), "call %s %lx", nth_functions[function].name, way->hash);
    for (unsigned i = 0; i < way->count; i++)
        used += snprintf(line + used, sizeof(line) - (size_t)used, " %lx", way->addresses[i]);
    dprintf(s_log, "%s\n", line);
}

/* The way in which this call is to fail; NULL when it is not. */
static const struct nth_mode *strike(enum nth_point function, const void *return_address)
{
    struct way way;

    if (s_log < 0)
        return NULL;
    find_way(return_address, &way);
    trace(function, &way);
    for (unsigned i = 0; i < s_planned; i++) {
        if (s_plan[i].function != function || s_plan[i].site != way.hash ||
            atomic_fetch_add(&s_plan[i].seen, 1) + 1 != s_plan[i].occurrence)
            continue;
        dprintf(s_log, "hit %s %lx %u %s\n", nth_functions[function].name, way.hash,
                s_plan[i].occurrence, s_plan[i].mode->name);
        return s_plan[i].mode;
    }
    return NULL;
}

#define STRIKE(function) strike(function, __builtin_return_address(0))

static _Noreturn void hang(void)
{
    for (;;)
        pause();
}

/* ---- errors of librdkafka -------------------------------------------------------------------- */

/* The error object that was made up last, and what a handle that failed for good goes on saying. */
static rd_kafka_error_t *s_error;
static unsigned s_error_how;
static rd_kafka_resp_err_t s_fatal_code, s_last_code;

static rd_kafka_error_t *make_error(const struct nth_mode *mode)
{
    if (mode->how & HANG)
        hang();
    if (mode->how & FATAL)
        s_fatal_code = (rd_kafka_resp_err_t)mode->code;
    s_error_how = mode->how;
    s_error = rd_kafka_error_new((rd_kafka_resp_err_t)mode->code, "planned failure \"%s\"",
                                 mode->name);
    return s_error;
}

WRAP(int, rd_kafka_error_is_fatal, const rd_kafka_error_t *error)
{
    return error == s_error ? (s_error_how & FATAL) != 0 : __real_rd_kafka_error_is_fatal(error);
}

WRAP(int, rd_kafka_error_is_retriable, const rd_kafka_error_t *error)
{
    return error == s_error ? (s_error_how & RETRY) != 0
                            : __real_rd_kafka_error_is_retriable(error);
}

WRAP(int, rd_kafka_error_txn_requires_abort, const rd_kafka_error_t *error)
{
    return error == s_error ? (s_error_how & ABORT) != 0
                            : __real_rd_kafka_error_txn_requires_abort(error);
}

WRAP(void, rd_kafka_error_destroy, rd_kafka_error_t *error)
{
    if (error == s_error)
        s_error = NULL;
    __real_rd_kafka_error_destroy(error);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_fatal_error, rd_kafka_t *rk, char *text, size_t size)
{
    if (s_fatal_code == 0)
        return __real_rd_kafka_fatal_error(rk, text, size);
    snprintf(text, size, "planned failure");
    return s_fatal_code == CODE(_FATAL) ? CODE(_FENCED) : s_fatal_code;
}

WRAP(rd_kafka_resp_err_t, rd_kafka_last_error, void)
{
    rd_kafka_resp_err_t code = s_last_code;
    s_last_code = CODE(NO_ERROR);
    return code != 0 ? code : __real_rd_kafka_last_error();
}

/* A failure comes before the message that was there, which the next poll of the handle gives. */
static struct { rd_kafka_t *rk; rd_kafka_message_t *message; } s_held;
static rd_kafka_message_t s_failed;

/* A handle with messages that somebody has would never be destroyed. */
static void release_held(const rd_kafka_t *rk)
{
    if (s_held.rk == rk && s_held.message != NULL)
        rd_kafka_message_destroy(s_held.message);
    s_held.message = NULL;
}

/* The handle that is a member of the group: it brings no messages, only errors. */
static rd_kafka_t *s_member;

/* ---- handles --------------------------------------------------------------------------------- */

WRAP(rd_kafka_conf_res_t, rd_kafka_conf_set, rd_kafka_conf_t *conf, const char *name,
     const char *value, char *text, size_t size)
{
    if (STRIKE(CONF_SET) == NULL)
        return __real_rd_kafka_conf_set(conf, name, value, text, size);
    snprintf(text, size, "planned failure");
    return RD_KAFKA_CONF_INVALID;
}

WRAP(rd_kafka_t *, rd_kafka_new, rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
     size_t size)
{
    static atomic_bool is_outside;

    if (STRIKE(NEW) != NULL) {
        snprintf(text, size, "no thread: planned failure");
        s_last_code = CODE(_CRIT_SYS_RESOURCE);
        return NULL;
    }
    if (s_log >= 0 && !atomic_exchange(&is_outside, true))
        dprintf(s_log, "outside\n");
    return __real_rd_kafka_new(type, conf, text, size);
}

WRAP(rd_kafka_topic_t *, rd_kafka_topic_new, rd_kafka_t *rk, const char *name,
     rd_kafka_topic_conf_t *conf)
{
    const struct nth_mode *mode = STRIKE(TOPIC_NEW);

    if (mode == NULL)
        return __real_rd_kafka_topic_new(rk, name, conf);
    s_last_code = (rd_kafka_resp_err_t)mode->code;
    return NULL;
}

WRAP(rd_kafka_resp_err_t, rd_kafka_subscribe, rd_kafka_t *rk,
     const rd_kafka_topic_partition_list_t *topics)
{
    const struct nth_mode *mode = STRIKE(SUBSCRIBE);

    s_member = rk;
    return mode ? (rd_kafka_resp_err_t)mode->code : __real_rd_kafka_subscribe(rk, topics);
}

WRAP(rd_kafka_error_t *, rd_kafka_consumer_close_queue, rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
    const struct nth_mode *mode = STRIKE(CLOSE_QUEUE);
    return mode ? make_error(mode) : __real_rd_kafka_consumer_close_queue(rk, queue);
}

WRAP(int, rd_kafka_consumer_closed, rd_kafka_t *rk)
{
    static bool never;

    never = never || STRIKE(CLOSED) != NULL;
    return never ? 0 : __real_rd_kafka_consumer_closed(rk);
}

WRAP(void, rd_kafka_destroy, rd_kafka_t *rk)
{
    if (STRIKE(DESTROY) != NULL)
        hang();
    release_held(rk);
    __real_rd_kafka_destroy(rk);
}

WRAP(void, rd_kafka_destroy_flags, rd_kafka_t *rk, int flags)
{
    if (STRIKE(DESTROY_FLAGS) != NULL)
        hang();
    release_held(rk);
    __real_rd_kafka_destroy_flags(rk, flags);
}

/* ---- questions to the brokers ---------------------------------------------------------------- */

WRAP(rd_kafka_resp_err_t, rd_kafka_metadata, rd_kafka_t *rk, int all_topics,
     rd_kafka_topic_t *only, const struct rd_kafka_metadata **metadata, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(METADATA);

    if (mode != NULL && !(mode->how & INSIDE))
        return (rd_kafka_resp_err_t)mode->code;
    rd_kafka_resp_err_t code =
        __real_rd_kafka_metadata(rk, all_topics, only, metadata, timeout_ms);
    if (mode != NULL && code == 0 && (*metadata)->topic_cnt > 0) {
        (*metadata)->topics[0].err = (rd_kafka_resp_err_t)mode->code;
        (*metadata)->topics[0].partition_cnt = 0; /* the answer is one block: nothing leaks */
    }
    return code;
}

WRAP(rd_kafka_resp_err_t, rd_kafka_query_watermark_offsets, rd_kafka_t *rk, const char *topic,
     int32_t partition, int64_t *low, int64_t *high, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(QUERY_WATERMARKS);
    return mode ? (rd_kafka_resp_err_t)mode->code
                : __real_rd_kafka_query_watermark_offsets(rk, topic, partition, low, high,
                                                          timeout_ms);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_get_watermark_offsets, rd_kafka_t *rk, const char *topic,
     int32_t partition, int64_t *low, int64_t *high)
{
    const struct nth_mode *mode = STRIKE(GET_WATERMARKS);
    return mode ? (rd_kafka_resp_err_t)mode->code
                : __real_rd_kafka_get_watermark_offsets(rk, topic, partition, low, high);
}

/* The call's failure, or that of its first partition. */
static rd_kafka_resp_err_t fail_list(const struct nth_mode *mode,
                                     rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = (rd_kafka_resp_err_t)mode->code;

    if (!(mode->how & INSIDE))
        return code;
    list->elems[0].err = code;
    list->elems[0].offset = RD_KAFKA_OFFSET_INVALID;
    return CODE(NO_ERROR);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_offsets_for_times, rd_kafka_t *rk,
     rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(FOR_TIMES);
    return mode ? fail_list(mode, list) : __real_rd_kafka_offsets_for_times(rk, list, timeout_ms);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_committed, rd_kafka_t *rk,
     rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(COMMITTED);
    return mode ? fail_list(mode, list) : __real_rd_kafka_committed(rk, list, timeout_ms);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_pause_partitions, rd_kafka_t *rk,
     rd_kafka_topic_partition_list_t *list)
{
    const struct nth_mode *mode = STRIKE(PAUSE);
    return mode ? fail_list(mode, list) : __real_rd_kafka_pause_partitions(rk, list);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_resume_partitions, rd_kafka_t *rk,
     rd_kafka_topic_partition_list_t *list)
{
    const struct nth_mode *mode = STRIKE(RESUME);
    return mode ? fail_list(mode, list) : __real_rd_kafka_resume_partitions(rk, list);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_assign, rd_kafka_t *rk,
     const rd_kafka_topic_partition_list_t *list)
{
    const struct nth_mode *mode = STRIKE(ASSIGN);
    return mode ? (rd_kafka_resp_err_t)mode->code : __real_rd_kafka_assign(rk, list);
}

WRAP(rd_kafka_error_t *, rd_kafka_incremental_assign, rd_kafka_t *rk,
     const rd_kafka_topic_partition_list_t *list)
{
    const struct nth_mode *mode = STRIKE(INCREMENTAL_ASSIGN);
    return mode ? make_error(mode) : __real_rd_kafka_incremental_assign(rk, list);
}

WRAP(rd_kafka_error_t *, rd_kafka_incremental_unassign, rd_kafka_t *rk,
     const rd_kafka_topic_partition_list_t *list)
{
    const struct nth_mode *mode = STRIKE(INCREMENTAL_UNASSIGN);
    return mode ? make_error(mode) : __real_rd_kafka_incremental_unassign(rk, list);
}

WRAP(rd_kafka_event_t *, rd_kafka_queue_poll, rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *event = __real_rd_kafka_queue_poll(queue, timeout_ms);

    if (event == NULL || STRIKE(QUEUE_POLL) == NULL)
        return event;
    rd_kafka_event_destroy(event);
    return NULL;
}

/* It is asked whether there is an error, and then which: both answers are the same. */
WRAP(rd_kafka_resp_err_t, rd_kafka_event_error, rd_kafka_event_t *event)
{
    static const struct nth_mode *told;
    const struct nth_mode *mode = told != NULL ? told : STRIKE(EVENT_ERROR);

    told = told == NULL ? mode : NULL;
    return mode ? (rd_kafka_resp_err_t)mode->code : __real_rd_kafka_event_error(event);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_ConfigResource_error, const rd_kafka_ConfigResource_t *resource)
{
    const struct nth_mode *mode = STRIKE(RESOURCE_ERROR);
    return mode ? (rd_kafka_resp_err_t)mode->code
                : __real_rd_kafka_ConfigResource_error(resource);
}

WRAP(const char *, rd_kafka_ConfigEntry_value, const rd_kafka_ConfigEntry_t *entry)
{
    /* Only the values that are looked for are points: a topic has dozens. */
    const char *name = rd_kafka_ConfigEntry_name(entry);
    bool is_wanted = strcmp(name, "cleanup.policy") == 0 || strcmp(name, "retention.ms") == 0 ||
                     strcmp(name, "min.compaction.lag.ms") == 0;

    return is_wanted && STRIKE(ENTRY_VALUE) != NULL ? NULL
                                                    : __real_rd_kafka_ConfigEntry_value(entry);
}

/* ---- messages -------------------------------------------------------------------------------- */

WRAP(rd_kafka_message_t *, rd_kafka_consumer_poll, rd_kafka_t *rk, int timeout_ms)
{
    rd_kafka_message_t *message = s_held.rk == rk ? s_held.message : NULL;

    s_held.rk = s_held.rk == rk ? NULL : s_held.rk;
    if (message != NULL)
        return message;
    message = __real_rd_kafka_consumer_poll(rk, timeout_ms);
    const struct nth_mode *mode = rk == s_member      ? STRIKE(GROUP_POLL)
                                  : message != NULL ? STRIKE(CONSUMER_POLL)
                                                    : NULL;
    if (mode == NULL)
        return message;
    s_held.rk = rk;
    s_held.message = message;
    s_failed = (rd_kafka_message_t){.err = (rd_kafka_resp_err_t)mode->code};
    if (!(mode->how & TOPICLESS)) {
        s_failed.rkt = message->rkt;
        s_failed.partition = message->partition;
        s_failed.offset = message->offset;
    }
    return &s_failed;
}

WRAP(const char *, rd_kafka_message_errstr, const rd_kafka_message_t *message)
{
    return message == &s_failed ? "planned failure: a message failed"
                                : __real_rd_kafka_message_errstr(message);
}

WRAP(void, rd_kafka_message_destroy, rd_kafka_message_t *message)
{
    if (message != &s_failed)
        __real_rd_kafka_message_destroy(message);
}

WRAP(rd_kafka_resp_err_t, rd_kafka_message_headers, const rd_kafka_message_t *message,
     rd_kafka_headers_t **headers)
{
    const struct nth_mode *mode = STRIKE(MESSAGE_HEADERS);
    return mode ? (rd_kafka_resp_err_t)mode->code
                : __real_rd_kafka_message_headers(message, headers);
}

WRAP(char *, rd_kafka_memberid, const rd_kafka_t *rk)
{
    const struct nth_mode *mode = STRIKE(MEMBERID);
    char *id = mode && !(mode->how & INSIDE) ? NULL : __real_rd_kafka_memberid(rk);

    if (mode && id)
        id[0] = '\0';
    return id;
}

WRAP(rd_kafka_consumer_group_metadata_t *, rd_kafka_consumer_group_metadata, rd_kafka_t *rk)
{
    return STRIKE(GROUP_METADATA) ? NULL : __real_rd_kafka_consumer_group_metadata(rk);
}

/* ---- producing ------------------------------------------------------------------------------- */

/* A record that was taken and is then given up: its report comes with the next call that serves
 * reports, and a transaction it belongs to cannot be committed any more. */
static void (*s_on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *);
static struct { rd_kafka_resp_err_t code; rd_kafka_topic_t *rkt; bool is_told; } s_lost;

WRAP(void, rd_kafka_conf_set_dr_msg_cb, rd_kafka_conf_t *conf,
     void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
    s_on_delivery = on_delivery;
    __real_rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static void tell_lost(rd_kafka_t *rk)
{
    const rd_kafka_message_t message = {.err = s_lost.code, .rkt = s_lost.rkt};

    if (s_lost.code == 0 || s_lost.is_told)
        return;
    s_lost.is_told = true;
    s_on_delivery(rk, &message, rd_kafka_opaque(rk));
}

WRAP(int, rd_kafka_poll, rd_kafka_t *rk, int timeout_ms)
{
    tell_lost(rk);
    return __real_rd_kafka_poll(rk, timeout_ms);
}

WRAP(rd_kafka_error_t *, rd_kafka_produceva, rd_kafka_t *rk, const rd_kafka_vu_t *parts,
     size_t count)
{
    const struct nth_mode *mode = STRIKE(PRODUCE);

    if (mode == NULL)
        return __real_rd_kafka_produceva(rk, parts, count);
    if (!(mode->how & INSIDE))
        return make_error(mode);
    s_lost.code = (rd_kafka_resp_err_t)mode->code;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].vtype == RD_KAFKA_VTYPE_RKT)
            s_lost.rkt = parts[i].u.rkt;
        if (parts[i].vtype == RD_KAFKA_VTYPE_HEADERS && parts[i].u.headers != NULL)
            rd_kafka_headers_destroy(parts[i].u.headers); /* taken: they are ours now */
    }
    return NULL;
}

WRAP(rd_kafka_resp_err_t, rd_kafka_flush, rd_kafka_t *rk, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(FLUSH);

    tell_lost(rk);
    return mode ? (rd_kafka_resp_err_t)mode->code : __real_rd_kafka_flush(rk, timeout_ms);
}

/* ---- transactions ---------------------------------------------------------------------------- */

WRAP(rd_kafka_error_t *, rd_kafka_init_transactions, rd_kafka_t *rk, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(INIT);
    return mode ? make_error(mode) : __real_rd_kafka_init_transactions(rk, timeout_ms);
}

WRAP(rd_kafka_error_t *, rd_kafka_begin_transaction, rd_kafka_t *rk)
{
    const struct nth_mode *mode = STRIKE(BEGIN);
    return mode ? make_error(mode) : __real_rd_kafka_begin_transaction(rk);
}

WRAP(rd_kafka_error_t *, rd_kafka_send_offsets_to_transaction, rd_kafka_t *rk,
     const rd_kafka_topic_partition_list_t *offsets,
     const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(SEND_OFFSETS);

    if (mode != NULL && !(mode->how & DONE))
        return make_error(mode);
    rd_kafka_error_t *error =
        __real_rd_kafka_send_offsets_to_transaction(rk, offsets, metadata, timeout_ms);
    return error == NULL && mode != NULL ? make_error(mode) : error;
}

/* Ends a transaction. When it was done and the caller told to try again, the next call brings the
 * answer that was held back, as librdkafka's resumable calls do. */
static rd_kafka_error_t *end_transaction(rd_kafka_t *rk, int timeout_ms,
                                         const struct nth_mode *mode,
                                         rd_kafka_error_t *(*end)(rd_kafka_t *, int))
{
    static bool is_answer_held;

    if (is_answer_held) {
        is_answer_held = false;
        return NULL;
    }
    if (mode == NULL)
        return end(rk, timeout_ms);
    if (mode->how & DONE) {
        rd_kafka_error_t *error = end(rk, timeout_ms);
        if (error != NULL)
            return error;
        is_answer_held = (mode->how & RETRY) != 0;
    }
    return make_error(mode);
}

WRAP(rd_kafka_error_t *, rd_kafka_commit_transaction, rd_kafka_t *rk, int timeout_ms)
{
    static const struct nth_mode inconsistent = {"lost record", CODE(_INCONSISTENT), ABORT};
    const struct nth_mode *mode = STRIKE(COMMIT);

    tell_lost(rk);
    if (s_lost.code != 0)
        return make_error(&inconsistent);
    return end_transaction(rk, timeout_ms, mode, __real_rd_kafka_commit_transaction);
}

WRAP(rd_kafka_error_t *, rd_kafka_abort_transaction, rd_kafka_t *rk, int timeout_ms)
{
    const struct nth_mode *mode = STRIKE(ABORT_CALL);

    tell_lost(rk);
    rd_kafka_error_t *error =
        end_transaction(rk, timeout_ms, mode, __real_rd_kafka_abort_transaction);
    if (error == NULL)
        s_lost.code = CODE(NO_ERROR), s_lost.is_told = false;
    return error;
}

/* ---- hiredis --------------------------------------------------------------------------------- */

WRAP(redisContext *, redisConnectWithTimeout, const char *host, int port,
     const struct timeval timeout)
{
    const struct nth_mode *mode = STRIKE(REDIS_CONNECT);

    if (mode != NULL && !(mode->how & INSIDE))
        return NULL;
    return __real_redisConnectWithTimeout(host, mode ? 1 : port, timeout); /* 1: nobody listens */
}

WRAP(int, redisSetTimeout, redisContext *context, const struct timeval timeout)
{
    return STRIKE(REDIS_TIMEOUT) ? REDIS_ERR : __real_redisSetTimeout(context, timeout);
}

static void break_context(redisContext *context, int type, const char *text)
{
    context->err = type;
    snprintf(context->errstr, sizeof(context->errstr), "%s", text);
}

/* A reply as the protocol has it, made by hiredis itself. */
static void *make_reply(const char *mode)
{
    const char *text = strcmp(mode, "error") == 0    ? "-OOM planned failure\r\n"
                       : strcmp(mode, "nil") == 0    ? "$-1\r\n"
                       : strcmp(mode, "status") == 0 ? "+OK\r\n"
                       : strcmp(mode, "array") == 0  ? "*2\r\n$1\r\na\r\n:1\r\n"
                                                     : ":42\r\n";
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();

    redisReaderFeed(reader, text, strlen(text));
    redisReaderGetReply(reader, &reply);
    redisReaderFree(reader);
    return reply;
}

/* The tests' Redis has no password, so that AUTH is answered as a PING would be; it is never sent.
 * */
void *__real_redisCommand(redisContext *context, const char *format, ...);
WRAP(void *, redisCommand, redisContext *context, const char *format, ...)
{
    const struct nth_mode *mode = STRIKE(REDIS_COMMAND);
    va_list arguments;

    if (mode != NULL && mode->how & INSIDE)
        return make_reply(mode->name);
    if (mode == NULL || mode->how & DONE) {
        va_start(arguments, format);
        redisReply *reply = strncmp(format, "AUTH ", 5) == 0
                                ? __real_redisCommand(context, "PING")
                                : redisvCommand(context, format, arguments);
        va_end(arguments);
        if (mode == NULL || reply == NULL)
            return reply;
        freeReplyObject(reply);
    }
    break_context(context, REDIS_ERR_IO, "Resource temporarily unavailable");
    return NULL;
}

WRAP(int, redisAppendCommandArgv, redisContext *context, int argc, const char **argv,
     const size_t *sizes)
{
    if (STRIKE(REDIS_APPEND) == NULL)
        return __real_redisAppendCommandArgv(context, argc, argv, sizes);
    break_context(context, REDIS_ERR_OOM, "Out of memory");
    return REDIS_ERR;
}

WRAP(int, redisGetReply, redisContext *context, void **reply)
{
    const struct nth_mode *mode = STRIKE(REDIS_REPLY);

    if (mode != NULL && !(mode->how & (INSIDE | DONE))) {
        break_context(context, REDIS_ERR_EOF, "Server closed the connection");
        return REDIS_ERR;
    }
    int result = __real_redisGetReply(context, reply);
    if (mode == NULL || result != REDIS_OK)
        return result;
    freeReplyObject(*reply);
    *reply = NULL;
    if (mode->how & DONE) {
        break_context(context, REDIS_ERR_IO, "Resource temporarily unavailable");
        return REDIS_ERR;
    }
    if (strcmp(mode->name, "null") != 0)
        *reply = make_reply(mode->name);
    return REDIS_OK;
}

/* ---- memory ---------------------------------------------------------------------------------- */

WRAP(void *, malloc, size_t size)
{
    if (STRIKE(MALLOC) == NULL)
        return __real_malloc(size);
    errno = ENOMEM;
    return NULL;
}

WRAP(void *, calloc, size_t count, size_t size)
{
    if (STRIKE(CALLOC) == NULL)
        return __real_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

WRAP(void *, realloc, void *block, size_t size)
{
    if (STRIKE(REALLOC) == NULL)
        return __real_realloc(block, size);
    errno = ENOMEM;
    return NULL;
}

WRAP(char *, strdup, const char *text)
{
    if (STRIKE(STRDUP) == NULL)
        return __real_strdup(text);
    errno = ENOMEM;
    return NULL;
}

/* What the services map is their memory; they are compiled with 64-bit file offsets. */
WRAP(void *, mmap64, void *address, size_t size, int protection, int flags, int descriptor,
     off_t offset)
{
    if (STRIKE(MAP) == NULL)
        return __real_mmap64(address, size, protection, flags, descriptor, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

WRAP(FILE *, open_memstream, char **block, size_t *size)
{
    if (STRIKE(MEMSTREAM) == NULL)
        return __real_open_memstream(block, size);
    errno = ENOMEM;
    return NULL;
}

WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, void)
{
    return STRIKE(DIGEST) ? NULL : __real_EVP_MD_CTX_new();
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes,
     void *(*run)(void *), void *argument)
{
    const struct nth_mode *mode = STRIKE(THREAD);
    return mode ? mode->code : __real_pthread_create(thread, attributes, run, argument);
}
