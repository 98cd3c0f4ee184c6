/* SPDX-License-Identifier: Apache-2.0 */
/* The process and its operating system: signals ask, memory is zeroed, the supervisor is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/service/process.h"

/* Runs `body` in a child, since what it does to a process stays; returns the wait status. */
static int in_child(void (*body)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void require(bool holds)
{
    if (!holds)
        _exit(1);
}

static void stop_once(void)
{
    require(pl_process_init(false) == PL_OK);
    require(!pl_process_should_stop());
    require(raise(SIGPIPE) == 0);
    require(!pl_process_should_stop());
    require(raise(SIGTERM) == 0);
    require(pl_process_should_stop());
    require(raise(SIGINT) == 0); /* the first of its kind asks again */
    struct rlimit limit;
    require(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0);
    require(prctl(PR_GET_DUMPABLE) == 0);
}

static void stop_twice(void)
{
    require(pl_process_init(true) == PL_OK);
    require(prctl(PR_GET_DUMPABLE) == 1);
    (void)raise(SIGTERM);
    (void)raise(SIGTERM);
}

static void test_signals(void **state)
{
    (void)state;
    int status = in_child(stop_once);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = in_child(stop_twice);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void test_memory(void **state)
{
    (void)state;
    void *block = NULL;
    size_t size = (size_t)1 << 40; /* address space only: nothing is touched but both ends */
    assert_int_equal(pl_memory_map(size, &block), PL_OK);
    uint8_t *bytes = block;
    assert_int_equal((uintptr_t)block % 4096, 0);
    assert_int_equal(bytes[0] + bytes[size - 1], 0);
    bytes[0] = bytes[size - 1] = 1;
    pl_memory_unmap(block, size);
    pl_memory_unmap(NULL, 1);
    assert_int_equal(pl_memory_map(SIZE_MAX - 4095, &block), PL_FATAL_SYSTEM);
    assert_null(block);
    assert_non_null(strstr(pl_err_text(), "18446744073709547520 bytes"));
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t wall_ms = pl_now_ms();
    int64_t mono_ms = pl_mono_ms();
    int64_t mono_ns = pl_mono_ns();
    assert_in_range(mono_ns / 1000000 - mono_ms, 0, 1000);
    (void)usleep(20000);
    assert_in_range(pl_now_ms() - wall_ms, 15, 5000);
    assert_in_range(pl_mono_ms() - mono_ms, 15, 5000);
    assert_true(wall_ms > INT64_C(1700000000000));
}

/* A supervisor's socket at a path or, with '@', at an abstract address. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(descriptor >= 0);
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, size), 0);
    return descriptor;
}

static void assert_told(int descriptor, const char *expected)
{
    char message[64];
    ssize_t size = recv(descriptor, message, sizeof message - 1, 0);
    message[size > 0 ? size : 0] = '\0';
    assert_string_equal(message, expected);
}

static void test_notify(void **state)
{
    (void)state;
    char path[2][64];
    (void)snprintf(path[0], sizeof path[0], "/tmp/plimsoll-notify-%d", (int)getpid());
    (void)snprintf(path[1], sizeof path[1], "@plimsoll-notify-%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        int descriptor = listen_at(path[i]);
        assert_int_equal(setenv("NOTIFY_SOCKET", path[i], 1), 0);
        pl_notify_ready();
        assert_told(descriptor, "READY=1");
        pl_notify_stopping();
        assert_told(descriptor, "STOPPING=1");
        assert_int_equal(close(descriptor), 0);
        pl_notify_ready(); /* nobody listens: lost, no harm */
    }
    assert_int_equal(unlink(path[0]), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    pl_notify_ready();
}

static void test_watchdog_is_fed_at_half_its_interval(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "@plimsoll-watch-%d", (int)getpid());
    int descriptor = listen_at(path);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "400000", 1), 0);
    int64_t start_ms = pl_mono_ms();
    int count = 0;
    char message[64];
    while (pl_mono_ms() - start_ms < 700) {
        pl_notify_alive();
        (void)usleep(5000);
        while (recv(descriptor, message, sizeof message, 0) > 0) {
            assert_memory_equal(message, "WATCHDOG=1", 10);
            count++;
        }
    }
    assert_in_range(count, 2, 4); /* at 0, 200, 400 and 600 ms; fewer on a busy machine */
    assert_int_equal(close(descriptor), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_watchdog_is_fed_at_half_its_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
