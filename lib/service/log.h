/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: one function, one event, one line on standard error, written by one write(2).
 *
 * To a terminal a line is text (ts level CODE msg key=value …), elsewhere a JSON object:
 *   {"ts":"2026-11-22T18:10:08.123456789Z","level":"warn","code":"RECORD_REJECTED","msg":"…",
 *    "service":"plimsoll-position","instance":"plimsoll-position-0","topic":"positions",…}
 *
 * Codes are stable upper-case words; the message may change. No secrets, and account or order ids
 * only where one record is the subject. More than PL_LOG_LINES_PER_SECOND lines of one code in one
 * second are counted, not written; a line LOG_SUPPRESSED says how many. Every line, written or not,
 * counts in plimsoll_log_messages_total. Safe from every thread.
 */
#ifndef PL_SERVICE_LOG_H
#define PL_SERVICE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum pl_log_level { PL_LOG_DEBUG, PL_LOG_INFO, PL_LOG_WARN, PL_LOG_ERROR, PL_LOG_LEVEL_COUNT };

enum pl_log_format { PL_LOG_AUTO, PL_LOG_JSON, PL_LOG_PLAIN };

/* The words of the two enums, in order, for configuration rows. */
#define PL_LOG_LEVEL_CHOICES "debug info warn error"
#define PL_LOG_FORMAT_CHOICES "auto json text"

enum {
    PL_LOG_LINES_PER_SECOND = 50, /* of one code                                                */
    PL_LOG_LINE_BYTES_MAX = 4096, /* with the line end: fits a pipe's atomic write              */
    PL_LOG_VALUE_BYTES_MAX = 1024 /* of one value; what is longer is cut and the line says so   */
};

/* The value of a field; each key is followed by one of these. */
enum pl_log_kind { PL_LOG_KIND_TEXT, PL_LOG_KIND_INT };
#define PL_LOG_TEXT(text) PL_LOG_KIND_TEXT, (const char *){(text)}
#define PL_LOG_INT(number) PL_LOG_KIND_INT, (int64_t){(number)}

/* Sets who speaks, from which level on, and how. `service` and `instance` are copied. A failed
 * assertion is logged from then on. Before it, lines have the program's defaults: info and above,
 * no names. */
void pl_log_init(const char *service, const char *instance, enum pl_log_level level,
                 enum pl_log_format format);

/* One event: a stable code, a message, then pairs of a key and a PL_LOG_… value, then NULL. */
void pl_log(enum pl_log_level level, const char *code, const char *message, ...)
    __attribute__((sentinel));

/* Writes what is still to be said about suppressed lines: before leaving the process. */
void pl_log_flush(void);

#endif
