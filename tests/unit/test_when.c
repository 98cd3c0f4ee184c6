/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them: what they mean, and what is refused; and what a progress line
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "services/cli/progress.h"
#include "services/cli/when.h"

static const int64_t NOW_MS = 1795341600250; /* 2026-11-22T10:00:00.250Z */

static const struct {
    const char *text;
    enum when_kind kind;
    int64_t value;
} GOOD[] = {
    { "2026-11-22T10:00:00Z", WHEN_TIME, 1795341600000 },
    { "2026-11-22t10:00:00z", WHEN_TIME, 1795341600000 },
    { "2026-11-22 10:00:00Z", WHEN_TIME, 1795341600000 },
    { "2026-11-22T10:00:00.25Z", WHEN_TIME, 1795341600250 },
    { "2026-11-22T10:00:00.0019999Z", WHEN_TIME, 1795341600001 },
    { "2026-11-22T11:00:00+01:00", WHEN_TIME, 1795341600000 },
    { "2026-11-22T00:30:00-09:30", WHEN_TIME, 1795341600000 },
    { "2026-11-23T00:00:00+14:00", WHEN_TIME, 1795341600000 },
    { "1970-01-01T00:00:00Z", WHEN_TIME, 0 },
    { "2024-02-29T23:59:59Z", WHEN_TIME, 1709251199000 },
    { "2000-02-29T00:00:00Z", WHEN_TIME, 951782400000 },
    { "2016-12-31T23:59:60Z", WHEN_TIME, 1483228800000 },
    { "9999-12-31T23:59:59.999Z", WHEN_TIME, 253402300799999 },
    { "1795341600", WHEN_TIME, 1795341600000 },
    { "1795341600250", WHEN_TIME, 1795341600250 },
    { "@1795341600", WHEN_TIME, 1795341600000 },
    { "@1795341600250", WHEN_TIME, 1795341600250 },
    { "now", WHEN_TIME, 1795341600250 },
    { "-250ms", WHEN_TIME, 1795341600000 },
    { "-90s", WHEN_TIME, 1795341510250 },
    { "-15m", WHEN_TIME, 1795340700250 },
    { "-1h", WHEN_TIME, 1795338000250 },
    { "-2d", WHEN_TIME, 1795168800250 },
    { "-1w", WHEN_TIME, 1794736800250 },
    { "-0s", WHEN_TIME, 1795341600250 },
    { "offset=0", WHEN_OFFSET, 0 },
    { "offset=123456789012345678", WHEN_OFFSET, 123456789012345678 },
    { "sequence=1", WHEN_SEQUENCE, 1 },
};

static const struct { const char *text, *says; } BAD[] = {
    { "", "that is no time" },
    { "soon", "that is no time" },
    { "+1h", "that is no time" },
    { "2026-11-22", "a date, a T" },
    { "2026-11-22T10:00", "a date, a T" },
    { "2026-11-22T10:00:0Z", "a date, a T" },
    { "2026-1-22T10:00:00Z", "a date, a T" },
    { "2026-11-22T10:00:00", "its zone" },
    { "2026-11-22T10:00:00.Z", "its zone" },
    { "2026-11-22T10:00:00Zulu", "its zone" },
    { "2026-11-22T10:00:00+1", "its zone" },
    { "2026-11-22T10:00:00+0100", "its zone" },
    { "2026-11-22T10:00:00+24:00", "its zone" },
    { "2026-11-22T10:00:00+01:60", "its zone" },
    { "2026-02-29T10:00:00Z", "no such day" },
    { "2100-02-29T10:00:00Z", "no such day" },
    { "2026-13-01T10:00:00Z", "no such day" },
    { "2026-00-01T10:00:00Z", "no such day" },
    { "2026-04-31T10:00:00Z", "no such day" },
    { "2026-04-00T10:00:00Z", "no such day" },
    { "2026-11-22T24:00:00Z", "no such day" },
    { "2026-11-22T10:60:00Z", "no such day" },
    { "2026-11-22T10:00:61Z", "no such day" },
    { "1969-12-31T23:59:59Z", "before 1970" },
    { "1795", "10 digits" },
    { "17953416000", "10 digits" },
    { "@", "10 digits" },
    { "@x", "10 digits" },
    { "99999999999999999999", "10 digits" },
    { "-1", "a span is" },
    { "-1y", "a span is" },
    { "-h", "a span is" },
    { "-1.5h", "a span is" },
    { "-99999999999999999999s", "a span is" },
    { "-999999w", "before 1970" },
    { "offset=", "offsets are whole" },
    { "offset=-1", "offsets are whole" },
    { "offset=1x", "offsets are whole" },
    { "sequence=0", "from 1" },
    { "sequence=one", "from 1" },
};

static void test_good(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        struct when when;
        enum pl_err err = when_parse(&when, GOOD[i].text, NOW_MS);
        if (err || when.kind != GOOD[i].kind || when.value != GOOD[i].value)
            fail_msg("\"%s\": %s, kind %d, value %lld", GOOD[i].text, pl_err_name(err),
                     (int)when.kind, (long long)when.value);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct when when;
        enum pl_err err = when_parse(&when, BAD[i].text, NOW_MS);
        if (err != PL_FATAL_CONFIG || !strstr(pl_err_text(), BAD[i].says))
            fail_msg("\"%s\": %s, \"%s\"", BAD[i].text, pl_err_name(err), pl_err_text());
    }
}

/* What is printed is read back as the same. */
static void test_printed(void **state)
{
    (void)state;
    static const int64_t times_ms[] = { 0, 999, 1709251199001, 1795341600250, 253402300799999 };
    char text[WHEN_TIME_BYTES];
    struct when when;
    for (unsigned i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
        assert_int_equal(when_parse(&when, when_print_time(times_ms[i], text), 0), PL_OK);
        assert_int_equal(when.value, times_ms[i]);
    }
    assert_string_equal(when_print_time(NOW_MS, text), "2026-11-22T10:00:00.250Z");
    assert_string_equal(when_print_time(-1, text), "-1 ms");
    assert_string_equal(when_print(&(struct when){ WHEN_OFFSET, 7 }, text), "offset=7");
    assert_string_equal(when_print(&(struct when){ WHEN_SEQUENCE, 7 }, text), "sequence=7");
    assert_string_equal(when_print(&(struct when){ WHEN_TIME, NOW_MS }, text),
                        "2026-11-22T10:00:00.250Z");
    assert_string_equal(when_print(&(struct when){ WHEN_OPEN, 0 }, text), "-");
}

static const struct {
    enum progress_style style;
    uint64_t done, total;
    int64_t elapsed_ms;
    const char *line;
} LINES[] = {
    { PROGRESS_PLAIN, 0, 0, 0, "export: 0 records, 0/s" },
    { PROGRESS_PLAIN, 500, 0, 2000, "export: 500 records, 250/s" },
    { PROGRESS_PLAIN, 0, 2000, 1000, "export:   0.0 %, 0 of 2000 records, 0/s" },
    { PROGRESS_PLAIN, 500, 2000, 25000, "export:  25.0 %, 500 of 2000 records, 20/s, 1:15 left" },
    { PROGRESS_PLAIN, 2000, 2000, 1000, "export: 100.0 %, 2000 of 2000 records, 2000/s" },
    { PROGRESS_JSON, 500, 2000, 25000,
      "{\"progress\": \"export\", \"unit\": \"records\", \"done\": 500, \"total\": 2000, "
      "\"percent\": 25.0, \"per_second\": 20, \"left_s\": 75}" },
};

static void test_progress(void **state)
{
    (void)state;
    enum progress_style style;
    for (unsigned i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        char line[PROGRESS_LINE_BYTES];
        const struct progress progress = { .style = LINES[i].style, .what = "export",
                                           .unit = "records", .done = LINES[i].done,
                                           .total = LINES[i].total, .began_ms = 1000 };
        progress_line(&progress, 1000 + LINES[i].elapsed_ms, line);
        assert_string_equal(line, LINES[i].line);
    }
    assert_true(progress_parse("json", &style) && style == PROGRESS_JSON);
    assert_true(progress_parse("auto", &style) && style == PROGRESS_AUTO);
    assert_false(progress_parse("loud", &style));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_printed),
        cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
