/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service asks of the operating system: signals, clocks, memory, and the supervisor's
 * protocol. Nothing here decides; the clock is read here and handed on as data (G2).
 */
#ifndef PL_SERVICE_PROCESS_H
#define PL_SERVICE_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*
 * Prepares the process: SIGTERM and SIGINT ask it to stop (the second one ends it at once), SIGPIPE
 * is ignored, and unless `may_dump_core` its memory, which may hold secrets, is closed to core files
 * and debuggers. FATAL_SYSTEM.
 */
enum pl_err pl_process_init(bool may_dump_core);

/* True once SIGTERM or SIGINT came: finish the step, then leave. */
bool pl_process_should_stop(void);

/* Wall clock, UTC, milliseconds since the epoch. May jump. */
int64_t pl_now_ms(void);

/* Monotonic clock, for durations. Never jumps back; means nothing to another process. */
int64_t pl_mono_ms(void);
int64_t pl_mono_ns(void);

/* `size_bytes` > 0 zeroed bytes of address space, aligned to a page; pages cost memory once touched.
 * FATAL_SYSTEM names the size. */
enum pl_err pl_memory_map(size_t size_bytes, void **block);
/* Accepts NULL. */
void pl_memory_unmap(void *block, size_t size_bytes);

/* systemd's notification protocol; each does nothing where no supervisor asked for it. `ready` once
 * start-up is over; `alive` from every turn of the loop (sent at half the watchdog's interval);
 * `stopping` when the loop was left. A message that cannot be sent is lost: the supervisor acts. */
void pl_notify_ready(void);
void pl_notify_alive(void);
void pl_notify_stopping(void);

#endif
