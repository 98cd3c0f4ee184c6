/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can fail: the functions of librdkafka, hiredis and the allocator that the services call, and
 * for each the modes in which it really fails. nth_points.c stands in front of them in the
 * plimsoll-*-nth executables; nth_fault.c reads the same table, nth_table.c, to know which points
 * there are.
 *
 *   PL_NTH_PLAN   the calls that fail: "FUNCTION SITE OCCURRENCE MODE[;…]". SITE is the way through
 *                 our code to the call, a hash of its return addresses; OCCURRENCE counts the calls
 *                 that came this way, from 1. Absent: nothing fails.
 *   PL_NTH_LOG    file that is told, a line each, of
 *                   call FUNCTION SITE ADDRESS…         a call that might have failed
 *                   hit FUNCTION SITE OCCURRENCE MODE   a call that was made to fail
 *                   outside                             from here on others may have heard of us
 *
 * A poll that returns nothing is no call.
 */
#ifndef PL_TESTS_CHAOS_NTH_POINTS_H
#define PL_TESTS_CHAOS_NTH_POINTS_H

enum { NTH_MODES_MAX = 9, NTH_PLANNED_MAX = 2, NTH_SELDOM = 0, NTH_ALWAYS = 1 };

/* How a call fails. */
enum nth_how {
    PLAIN = 0,
    FATAL = 1,      /* the handle has failed for good                                    */
    ABORT = 2,      /* the transaction must be aborted                                   */
    RETRY = 4,      /* the same call may be made again                                   */
    DONE = 8,       /* it was done, only the answer is lost                              */
    INSIDE = 16,    /* the call succeeds, what it is about (topic, partition) has failed */
    HANG = 32,      /* it never returns                                                  */
    TOPICLESS = 64, /* a message about the whole handle                                  */
    PASSES = 128    /* by itself or by a restart: no reason to wait for an operator      */
};

/* The order of nth_functions. */
enum nth_point {
    CONF_SET, NEW, TOPIC_NEW, SUBSCRIBE, METADATA, QUERY_WATERMARKS, GET_WATERMARKS, FOR_TIMES,
    COMMITTED, ASSIGN, INCREMENTAL_ASSIGN, INCREMENTAL_UNASSIGN, PAUSE, RESUME, CONSUMER_POLL,
    GROUP_POLL, MESSAGE_HEADERS, MEMBERID, GROUP_METADATA, QUEUE_POLL, EVENT_ERROR,
    RESOURCE_ERROR, ENTRY_VALUE, INIT, BEGIN, PRODUCE, SEND_OFFSETS, COMMIT, ABORT_CALL, FLUSH,
    CLOSE_QUEUE, CLOSED, DESTROY, DESTROY_FLAGS,
    REDIS_CONNECT, REDIS_TIMEOUT, REDIS_COMMAND, REDIS_APPEND, REDIS_REPLY,
    MALLOC, CALLOC, REALLOC, STRDUP, MAP, MEMSTREAM, DIGEST, THREAD,
    NTH_POINTS
};

struct nth_mode {
    const char *name;
    int code; /* of librdkafka, or errno's */
    unsigned how;
};

struct nth_function {
    const char *name;
    const char *says; /* texts, between '|': one stands in the last error of a process it ends   */
    int how_often;    /* NTH_ALWAYS: in every turn of the loop, so that its calls never end      */
    struct nth_mode modes[NTH_MODES_MAX + 1]; /* up to one without name */
};

/* Up to one without name. */
extern const struct nth_function nth_functions[];
/* Functions of the same libraries that cannot fail, or whose failure is part of another's; up to
 * NULL. */
extern const char *const nth_infallible[];

#endif
