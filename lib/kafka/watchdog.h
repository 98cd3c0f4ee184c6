/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog thread: ends the process by _exit(75) when the loop has not beaten for
 * `limit_ms`, since librdkafka's transactional calls can hang past any timeout (T4). A fixed
 * message naming the last stage goes to stderr first, with write(2) only.
 */
#ifndef PL_KAFKA_WATCHDOG_H
#define PL_KAFKA_WATCHDOG_H

#include <stdint.h>

#include "lib/base/err.h"

/* Starts the thread once per process. FATAL_SYSTEM. limit_ms 0 turns it off (debuggers). */
enum pl_err pl_watchdog_start(int limit_ms);

/* The loop is alive and about to do `stage` (a string literal). */
void pl_watchdog_beat(const char *stage);

/* Milliseconds since the last beat, for /livez and the loop-time gauge (monotonic clock). */
int64_t pl_watchdog_age_ms(void);

#endif
