/* SPDX-License-Identifier: Apache-2.0 */
/* The process and its operating system. Signals only set a flag that the loop reads. */
#include "lib/service/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;

static void on_stop_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool close_memory(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

enum pl_err pl_process_init(bool may_dump_core)
{
    struct sigaction stop = {
        .sa_handler = on_stop_signal,
        .sa_flags = (int)(SA_RESTART | SA_RESETHAND),
    };
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGINT, &stop, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0)
        return pl_err_set(PL_FATAL_SYSTEM, "cannot set signal handlers: %s", strerror(errno));
    if (!may_dump_core && !close_memory())
        return pl_err_set(PL_FATAL_SYSTEM, "cannot forbid core files: %s", strerror(errno));
    return PL_OK;
}

bool pl_process_should_stop(void)
{
    return stop_requested != 0;
}

static int64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    /* Neither clock can fail with a valid id and address. */
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t pl_now_ms(void)
{
    return read_clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t pl_mono_ms(void)
{
    return read_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t pl_mono_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

enum pl_err pl_memory_map(size_t size_bytes, void **block)
{
    *block = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*block == MAP_FAILED) {
        *block = NULL;
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for %zu bytes: %s", size_bytes,
                          strerror(errno));
    }
    return PL_OK;
}

void pl_memory_unmap(void *block, size_t size_bytes)
{
    if (block)
        (void)munmap(block, size_bytes);
}

/* One datagram to the socket that the supervisor named; '@' begins an abstract address. */
static void notify(const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    (void)sendto(descriptor, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *)&address, size);
    (void)close(descriptor);
}

void pl_notify_ready(void)
{
    notify("READY=1");
}

/* Half of the watchdog's interval; 0 when nobody watches this process. */
static int64_t watchdog_interval_ms(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *watched = getenv("WATCHDOG_PID");
    if (!interval || (watched && strtoll(watched, NULL, 10) != getpid()))
        return 0;
    long long microseconds = strtoll(interval, NULL, 10);
    return microseconds > 0 ? (int64_t)(microseconds / 2000) : 0;
}

void pl_notify_alive(void)
{
    static int64_t interval_ms = -1; /* the loop's thread only */
    static int64_t next_ms;
    if (interval_ms < 0)
        interval_ms = watchdog_interval_ms();
    if (interval_ms == 0 || pl_mono_ms() < next_ms)
        return;
    next_ms = pl_mono_ms() + interval_ms;
    notify("WATCHDOG=1");
}

void pl_notify_stopping(void)
{
    notify("STOPPING=1");
}
