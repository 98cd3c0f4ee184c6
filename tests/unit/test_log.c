/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: every line is one JSON object for a parser that is not ours, whatever is logged; lines are
 * bounded and whole; floods are counted, not written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/base/assert.h"
#include "lib/service/log.h"
#include "lib/service/process.h"
#include "tests/support/random.h"

enum { CAPTURE_BYTES_MAX = 4 << 20 };

/* ---- standard error into a file ----------------------------------------------------------------- */

static int saved_stderr;
static char captured[CAPTURE_BYTES_MAX];

static void capture_begin(void)
{
    char path[] = "/tmp/plimsoll-log-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_APPEND), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(descriptor, STDERR_FILENO) >= 0);
    assert_int_equal(close(descriptor), 0);
}

static const char *capture_end(void)
{
    ssize_t size = pread(STDERR_FILENO, captured, sizeof captured - 1, 0);
    assert_true(size >= 0);
    captured[size] = '\0';
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    assert_int_equal(close(saved_stderr), 0);
    return captured;
}

/* Takes the next line of the captured text and parses it. */
static json_t *next_object(const char **text)
{
    json_error_t error;
    size_t size = strcspn(*text, "\n");
    assert_int_equal((*text)[size], '\n');
    assert_true(size + 1 <= PL_LOG_LINE_BYTES_MAX);
    json_t *object = json_loadb(*text, size, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg("%s in: %.*s", error.text, (int)size, *text);
    assert_true(json_is_object(object));
    *text += size + 1;
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/* ---- what a line says --------------------------------------------------------------------------- */

static void test_fields(void **state)
{
    (void)state;
    int64_t before_ms = pl_now_ms();
    pl_log_init("plimsoll-test", "plimsoll-test-7", PL_LOG_INFO, PL_LOG_JSON);
    capture_begin();
    pl_log(PL_LOG_WARN, "FIELDS", "a \"message\"\nwith\ttwo lines \\ \x01\x7f", "text",
           PL_LOG_TEXT("t"), "number", PL_LOG_INT(INT64_MIN), "none", PL_LOG_TEXT(NULL),
           "bytes", PL_LOG_TEXT("\xff\xc2\x85\xc3\xa9"), NULL);
    pl_log(PL_LOG_DEBUG, "FIELDS", "below the level", NULL);
    const char *text = capture_end();
    json_t *object = next_object(&text);
    assert_string_equal(text, "");
    assert_string_equal(text_of(object, "level"), "warn");
    assert_string_equal(text_of(object, "code"), "FIELDS");
    assert_string_equal(text_of(object, "msg"), "a \"message\"\nwith\ttwo lines \\ \x01\x7f");
    assert_string_equal(text_of(object, "service"), "plimsoll-test");
    assert_string_equal(text_of(object, "instance"), "plimsoll-test-7");
    assert_string_equal(text_of(object, "text"), "t");
    assert_string_equal(text_of(object, "none"), "");
    /* What is no UTF-8, and what moves a terminal, becomes the replacement character. */
    assert_string_equal(text_of(object, "bytes"),
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
    assert_true(json_integer_value(json_object_get(object, "number")) == INT64_MIN);
    assert_int_equal(json_object_size(object), 10);

    struct tm utc = {0};
    const char *stamp = text_of(object, "ts");
    const char *rest = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    assert_non_null(rest);
    assert_int_equal(strlen(stamp), strlen("2026-11-22T18:10:08.123456789Z"));
    assert_true(rest[0] == '.' && rest[10] == 'Z');
    int64_t stamp_ms = (int64_t)timegm(&utc) * 1000 + strtol(rest + 1, NULL, 10) / 1000000;
    assert_in_range(stamp_ms, before_ms, pl_now_ms());
    json_decref(object);
}

static void test_a_long_value_is_cut_and_says_so(void **state)
{
    (void)state;
    for (size_t size = PL_LOG_VALUE_BYTES_MAX - 8; size < PL_LOG_VALUE_BYTES_MAX + 8; size++) {
        char value[PL_LOG_VALUE_BYTES_MAX + 8] = "";
        memset(value, 'x', size);
        pl_log_init("s", "i", PL_LOG_INFO, PL_LOG_JSON);
        capture_begin();
        pl_log(PL_LOG_INFO, "LONG", "m", "value", PL_LOG_TEXT(value), "after", PL_LOG_INT(1), NULL);
        const char *text = capture_end();
        json_t *object = next_object(&text);
        size_t written = strlen(text_of(object, "value"));
        assert_in_range(written, PL_LOG_VALUE_BYTES_MAX - 8, PL_LOG_VALUE_BYTES_MAX);
        assert_int_equal(json_is_true(json_object_get(object, "cut")), written < size);
        assert_int_equal(json_integer_value(json_object_get(object, "after")), 1);
        json_decref(object);
    }
}

static void test_any_bytes_make_one_object(void **state)
{
    (void)state;
    struct test_random random = test_random_start(6);
    pl_log_init("s", "i", PL_LOG_DEBUG, PL_LOG_JSON);
    /* Several codes, or most lines would be suppressed. */
    static const char *const codes[16] = {"A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7",
                                          "A8", "A9", "AA", "AB", "AC", "AD", "AE", "AF"};
    for (int i = 0; i < 400; i++) {
        static const char *const pieces[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2", "\xc3",
                                             "\xed\xa0\x80", "\xc0\x80", "\xc2\x85", "\xf5\x80",
                                             "\xe0\x80\x80", "\xf0\x80\x80\x80",
                                             "\xf4\x90\x80\x80", "\"", "\\", "\n", "\x1b[31m"};
        enum { PIECES = sizeof pieces / sizeof pieces[0] };
        char text[6000];
        size_t used = 0;
        size_t size = test_random_below(&random, i % 8 ? 60 : sizeof text - 8);
        while (used < size)
            if (test_random_below(&random, 2)) {
                const char *piece = pieces[test_random_below(&random, PIECES)];
                memcpy(text + used, piece, strlen(piece));
                used += strlen(piece);
            } else {
                text[used++] = (char)(1 + test_random_below(&random, 255));
            }
        text[used] = '\0';
        capture_begin();
        pl_log(PL_LOG_ERROR, codes[i % 16], text, "a", PL_LOG_TEXT(text), "n", PL_LOG_INT(i), "b",
               PL_LOG_TEXT(text), "c", PL_LOG_TEXT(text), "d", PL_LOG_TEXT(text), "e",
               PL_LOG_TEXT(text), "last", PL_LOG_INT(7), NULL);
        pl_log_flush();
        const char *lines = capture_end();
        json_t *object = next_object(&lines);
        assert_string_equal(lines, "");
        assert_string_equal(text_of(object, "code"), codes[i % 16]);
        bool is_cut = json_is_true(json_object_get(object, "cut"));
        assert_true(used >= 60 || !is_cut);
        assert_true(used < PL_LOG_VALUE_BYTES_MAX || is_cut);
        if (!is_cut)
            assert_int_equal(json_integer_value(json_object_get(object, "last")), 7);
        json_decref(object);
    }
}

static void test_text_for_terminals(void **state)
{
    (void)state;
    pl_log_init("s", "i", PL_LOG_DEBUG, PL_LOG_PLAIN);
    capture_begin();
    pl_log(PL_LOG_INFO, "PLAIN", "two words", "word", PL_LOG_TEXT("a.b"), "empty", PL_LOG_TEXT(""),
           "spaced", PL_LOG_TEXT("a b"), "escape", PL_LOG_TEXT("\x1b[2J"), "equals",
           PL_LOG_TEXT("a=b"), "n", PL_LOG_INT(-3), NULL);
    const char *text = capture_end();
    assert_string_equal(text + strlen("2026-11-22T18:10:08.123456789Z"),
                        " info PLAIN \"two words\" word=a.b empty=\"\" spaced=\"a b\" "
                        "escape=\"\\u001b[2J\" equals=\"a=b\" n=-3\n");
}

/* ---- how many ----------------------------------------------------------------------------------- */

static void test_floods_are_counted(void **state)
{
    (void)state;
    enum { LINES = 10 * PL_LOG_LINES_PER_SECOND };
    int64_t written = 0;
    int64_t suppressed = 0;
    pl_log_init("s", "i", PL_LOG_DEBUG, PL_LOG_JSON);
    capture_begin();
    for (int i = 0; i < LINES; i++)
        pl_log(PL_LOG_INFO, "FLOOD", "again", NULL);
    pl_log(PL_LOG_INFO, "OTHER", "another code is not concerned", NULL);
    pl_log_flush();
    pl_log_flush();
    const char *text = capture_end();
    bool has_other = false;
    while (*text) {
        json_t *object = next_object(&text);
        const char *code = text_of(object, "code");
        written += strcmp(code, "FLOOD") == 0;
        has_other = has_other || strcmp(code, "OTHER") == 0;
        if (strcmp(code, "LOG_SUPPRESSED") == 0) {
            assert_string_equal(text_of(object, "suppressed_code"), "FLOOD");
            suppressed += json_integer_value(json_object_get(object, "count"));
        }
        json_decref(object);
    }
    assert_true(has_other);
    assert_int_equal(written + suppressed, LINES);
    /* The loop may meet the turn of a second, not more than two. */
    assert_in_range(written, PL_LOG_LINES_PER_SECOND, 3 * PL_LOG_LINES_PER_SECOND);
}

static void *log_many(void *argument)
{
    const char *code = argument;
    for (int i = 0; i < PL_LOG_LINES_PER_SECOND; i++)
        pl_log(PL_LOG_INFO, code, "from a thread with a message of some length", "n", PL_LOG_INT(i),
               NULL);
    return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
    (void)state;
    static const char *const codes[] = {"T1", "T2", "T3", "T4"};
    pthread_t threads[4];
    int count = 0;
    pl_log_init("s", "i", PL_LOG_DEBUG, PL_LOG_JSON);
    capture_begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t)codes[i]),
                         0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (const char *text = capture_end(); *text; count++)
        json_decref(next_object(&text));
    assert_int_equal(count, 4 * PL_LOG_LINES_PER_SECOND);
}

static void test_assertions_are_logged(void **state)
{
    (void)state;
    pl_log_init("s", "i", PL_LOG_ERROR, PL_LOG_JSON);
    (void)pl_err_set(PL_REJECT_RANGE, "before");
    capture_begin();
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGILL, SIG_DFL); /* cmocka catches it to go on */
        pl_assert(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    const char *text = capture_end();
    assert_true(WIFSIGNALED(status));
    json_t *object = next_object(&text);
    assert_string_equal(text_of(object, "code"), "ASSERTION");
    assert_string_equal(text_of(object, "expression"), "1 + 1 == 3");
    assert_string_equal(text_of(object, "last_error"), "before");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_a_long_value_is_cut_and_says_so),
        cmocka_unit_test(test_any_bytes_make_one_object),
        cmocka_unit_test(test_text_for_terminals),
        cmocka_unit_test(test_floods_are_counted),
        cmocka_unit_test(test_threads_do_not_mix_lines),
        cmocka_unit_test(test_assertions_are_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
