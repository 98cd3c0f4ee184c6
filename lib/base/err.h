/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. One enum for the whole program; the hundreds of a code say what the caller must do next
 * (pl_err_action), so that the main loop has one switch and nobody inspects classes elsewhere:
 *
 *   RETRY   nothing changed; the same call may succeed later. Only polling and opening return it.
 *   REJECT  this record is bad: count it, route it to the dead-letter topic, go on (G7).
 *   ABORT   the transaction is to be aborted; records already applied stay applied; decide again.
 *   FATAL   the process ends with the code's exit status and lets its supervisor restart it.
 *
 * A human-readable text travels beside the code in one fixed thread-local buffer: set where the
 * error starts (pl_err_set), extended on the way up (pl_err_note), so one log line has the story.
 */
#ifndef PL_BASE_ERR_H
#define PL_BASE_ERR_H

enum pl_action { PL_ACTION_NONE = 0, PL_ACTION_RETRY, PL_ACTION_REJECT, PL_ACTION_ABORT,
                 PL_ACTION_FATAL, PL_ACTION_COUNT };

enum [[nodiscard]] pl_err {
    PL_OK = 0,

    PL_RETRY_TRANSPORT = 100, /* broker or network not reachable now                         */
    PL_RETRY_UNSTABLE,        /* another worker's transaction still holds the offsets        */
    PL_RETRY_QUEUE_FULL,      /* the local produce queue is full                             */
    PL_RETRY_CACHE,           /* Redis is absent, slow or answered wrongly                   */

    PL_REJECT_MALFORMED = 200, /* bytes that are no record of this schema                    */
    PL_REJECT_MISSING,         /* a required field is absent                                 */
    PL_REJECT_RANGE,           /* a field is outside its documented range                    */
    PL_REJECT_SIZE,            /* record or element count above its limit                    */
    PL_REJECT_KEY,             /* key missing, too long, or not the one the value names      */
    PL_REJECT_PARTITION,       /* key does not hash to the partition it arrived on           */
    PL_REJECT_UNKNOWN,         /* names an instrument, source or enum value nobody declared  */
    PL_REJECT_STALE,           /* older than what is already known: late or duplicate        */
    PL_REJECT_CONFLICT,        /* contradicts what is already known                          */
    PL_REJECT_CAPACITY,        /* would exceed a configured capacity                         */
    PL_REJECT_OVERFLOW,        /* exact arithmetic would leave its bounds                    */
    PL_REJECT_PARAMETERS,      /* a parameter set breaks a validity rule V1..V10             */

    PL_ABORT_TRANSACTION = 300, /* the broker or librdkafka asks for an abort                */
    PL_ABORT_REBALANCE,         /* group generation changed under the transaction            */

    PL_FATAL_CONFIG = 400, /* configuration, topics or arguments are wrong: fix and restart  */
    PL_FATAL_FENCED,       /* a younger producer with the same transactional id took over    */
    PL_FATAL_UNKNOWN,      /* the outcome of a commit is unknown: only a restart settles it  */
    PL_FATAL_KAFKA,        /* librdkafka reports a fatal error                               */
    PL_FATAL_OFFSETS,      /* committed offsets are missing or out of range: never skip      */
    PL_FATAL_DIVERGED,     /* journal and state contradict each other                        */
    PL_FATAL_SYSTEM,       /* the operating system refused memory, a thread, a socket        */
};

static inline enum pl_action pl_err_action(enum pl_err err)
{
    return (enum pl_action)((int)err / 100);
}

/* Stable upper-case name ("REJECT_RANGE"); "?" for a value that is no code. */
const char *pl_err_name(enum pl_err err);

/* One-line meaning and cure, for logs and the failure table of deploy/README.md. */
const char *pl_err_help(enum pl_err err);

/* Visits every row of the table: index from 0; returns false past the last. */
bool pl_err_at(unsigned index, enum pl_err *err);

/* Process exit status for a FATAL code: 2 usage or configuration, 3 environment, 75 try again. */
int pl_err_exit_status(enum pl_err err);

enum { PL_ERR_TEXT_BYTES_MAX = 512 };

/* Starts a new text (printf-style, cut at the limit) and returns `err` so that a failing function
 * reads `return pl_err_set(PL_REJECT_RANGE, "price %lld", …);`. */
enum pl_err pl_err_set(enum pl_err err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "format: " in front of the present text and returns `err` unchanged. */
enum pl_err pl_err_note(enum pl_err err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The present text of this thread; borrowed until the next set or note. Never NULL. */
const char *pl_err_text(void);

#endif
