/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog ends a process whose loop stands still, with its last stage and status 75, and no
 * other. Each case runs in a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/kafka/watchdog.h"

enum { SURVIVED = 9 };

struct outcome {
    int status;
    char text[256];
};

static struct outcome run_child(void (*body)(void))
{
    struct outcome outcome = {0};
    int pipe_ends[2], status;
    size_t length = 0;
    ssize_t got;

    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        body();
        _exit(SURVIVED);
    }
    close(pipe_ends[1]);
    while (length < sizeof(outcome.text) - 1 &&
           (got = read(pipe_ends[0], outcome.text + length,
                       sizeof(outcome.text) - 1 - length)) > 0)
        length += (size_t)got;
    close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    outcome.status = WEXITSTATUS(status);
    return outcome;
}

static void stand_still(void)
{
    if (pl_watchdog_start(200))
        _exit(1);
    pl_watchdog_beat("commit");
    usleep(1500000);
}

static void advance(void)
{
    if (pl_watchdog_start(400))
        _exit(1);
    for (int i = 0; i < 20; i++) {
        usleep(50000);
        pl_watchdog_beat("poll");
    }
}

static void stand_still_unwatched(void)
{
    if (pl_watchdog_start(0))
        _exit(1);
    usleep(300000);
    if (pl_watchdog_age_ms() < 250)
        _exit(1);
}

static void a_standstill_ends_the_process(void **state)
{
    struct outcome outcome = run_child(stand_still);

    (void)state;
    assert_int_equal(outcome.status, 75);
    assert_non_null(strstr(outcome.text, "\"commit\""));
}

static void beats_keep_it_alive(void **state)
{
    struct outcome outcome = run_child(advance);

    (void)state;
    assert_int_equal(outcome.status, SURVIVED);
    assert_string_equal(outcome.text, "");
}

static void zero_turns_it_off(void **state)
{
    (void)state;
    assert_int_equal(run_child(stand_still_unwatched).status, SURVIVED);
}

static void before_the_start_the_age_is_zero(void **state)
{
    (void)state;
    assert_int_equal(pl_watchdog_age_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_start_the_age_is_zero),
        cmocka_unit_test(a_standstill_ends_the_process),
        cmocka_unit_test(beats_keep_it_alive),
        cmocka_unit_test(zero_turns_it_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
