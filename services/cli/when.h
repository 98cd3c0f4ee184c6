/* SPDX-License-Identifier: Apache-2.0 */
/* A place in the journal as a person says it: a time, an offset, a sequence. */
#ifndef PL_SERVICES_CLI_WHEN_H
#define PL_SERVICES_CLI_WHEN_H

#include <stdint.h>

#include "lib/base/err.h"

enum when_kind {
    WHEN_OPEN,     /* nothing said: the journal's beginning or its end */
    WHEN_TIME,     /* milliseconds since the epoch, UTC                */
    WHEN_OFFSET,   /* of the journal                                   */
    WHEN_SEQUENCE, /* of a journal entry, from 1                       */
};

struct when {
    enum when_kind kind;
    int64_t value;
};

/*
 * Reads
 *   2026-11-22T10:00:00Z  2026-11-22T10:00:00.250+01:00   RFC 3339, finer than a ms is cut off
 *   1795341600  @1795341600  1795341600250                10 digits: seconds, 13: milliseconds
 *   now  -90s  -1h  -2d                                   before `now_ms`; ms, s, m, h, d, w
 *   offset=N  sequence=N
 * FATAL_CONFIG names what is wrong and the forms.
 */
enum pl_err when_parse(struct when *when, const char *text, int64_t now_ms);

/* "2026-11-22T10:00:00.250Z"; years 1970 to 9999, others as a number of milliseconds. */
enum { WHEN_TIME_BYTES = 32 };
const char *when_print_time(int64_t time_ms, char text[WHEN_TIME_BYTES]);
/* The same, or "offset=N", "sequence=N", "-" for WHEN_OPEN. */
const char *when_print(const struct when *when, char text[WHEN_TIME_BYTES]);

#define WHEN_USAGE                                                                                 \
    "  WHEN is an RFC 3339 time (2026-11-22T10:00:00Z), seconds or milliseconds since the\n"       \
    "  epoch, -90s, -15m, -1h, -2d (before now), now, offset=N (in the journal) or sequence=N\n"

#endif
