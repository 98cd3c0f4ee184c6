/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: the one thread that may end the process while the loop cannot. librdkafka's
 * transactional calls ignore their timeouts when a coordinator is gone (trap T4); a restart of the
 * same slot settles what is open, so leaving is always safe (G1) and staying never is. The loop
 * beats before each step and each blocking call; the thread only reads two atomics.
 */
#include "lib/kafka/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_TRY_AGAIN = 75,      /* EX_TEMPFAIL: the supervisor restarts us */
    CHECK_INTERVAL_MS = 50,
};

static struct {
    _Atomic int64_t beat_ms; /* monotonic; 0 before the first beat */
    _Atomic(const char *) stage;
    int limit_ms;
} s_watchdog;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void append(char *text, size_t *length, size_t capacity, const char *part)
{
    for (; *part != '\0' && *length < capacity; part++)
        text[(*length)++] = *part;
}

/* No stdio and no locks: the loop may hang while holding any of them. */
static void leave(void)
{
    char text[256];
    size_t length = 0;

    append(text, &length, sizeof(text) - 1, "watchdog: the loop stopped advancing at stage \"");
    append(text, &length, sizeof(text) - 1, atomic_load(&s_watchdog.stage));
    append(text, &length, sizeof(text) - 1, "\"; leaving with status 75 to be restarted\n");
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written;
    _exit(EXIT_TRY_AGAIN);
}

static void *watch(void *unused)
{
    const struct timespec interval = {.tv_nsec = CHECK_INTERVAL_MS * 1000000L};

    (void)unused;
    for (;;) {
        nanosleep(&interval, NULL);
        if (pl_watchdog_age_ms() > s_watchdog.limit_ms)
            leave();
    }
    return NULL;
}

enum pl_err pl_watchdog_start(int limit_ms)
{
    pthread_t thread;
    sigset_t all, before;

    pl_watchdog_beat("start");
    if (limit_ms == 0)
        return PL_OK;
    s_watchdog.limit_ms = limit_ms;

    /* Signals belong to the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return pl_err_set(PL_FATAL_SYSTEM, "cannot start the watchdog thread: %s",
                          strerror(failure));
    pthread_detach(thread);
    return PL_OK;
}

void pl_watchdog_beat(const char *stage)
{
    atomic_store(&s_watchdog.stage, stage);
    atomic_store(&s_watchdog.beat_ms, now_ms());
}

int64_t pl_watchdog_age_ms(void)
{
    int64_t beat_ms = atomic_load(&s_watchdog.beat_ms);

    return beat_ms == 0 ? 0 : now_ms() - beat_ms;
}
