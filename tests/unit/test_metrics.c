/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: what was counted is what is written, in Prometheus's text format; labels stay bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire/topics.h"
#include "lib/service/metrics.h"

enum { EVENTS, BY_RESULT, BY_TOPIC, BY_PARTITION, LEVEL, LAG, STATES, LATENCY, METRIC_COUNT };

static const struct pl_metric_row rows[METRIC_COUNT] = {
    [EVENTS] = {"plimsoll_test_events_total", PL_METRIC_COUNTER, PL_METRIC_PLAIN, "Events.", NULL,
                NULL},
    [BY_RESULT] = {"plimsoll_test_results_total", PL_METRIC_COUNTER, PL_METRIC_BY_WORD, "Results.",
                   "result", "good bad ugly"},
    [BY_TOPIC] = {"plimsoll_test_records_total", PL_METRIC_COUNTER, PL_METRIC_BY_TOPIC, "Records.",
                  NULL, NULL},
    [BY_PARTITION] = {"plimsoll_test_steps_total", PL_METRIC_COUNTER, PL_METRIC_BY_PARTITION,
                      "Steps.", NULL, NULL},
    [LEVEL] = {"plimsoll_test_level", PL_METRIC_GAUGE, PL_METRIC_PLAIN, "A level.", NULL, NULL},
    [LAG] = {"plimsoll_test_lag_records", PL_METRIC_GAUGE, PL_METRIC_BY_PARTITION, "Lag.", NULL,
             NULL},
    [STATES] = {"plimsoll_test_accounts", PL_METRIC_GAUGE, PL_METRIC_BY_WORD, "Accounts.", "state",
                "ok alert"},
    [LATENCY] = {"plimsoll_test_latency_seconds", PL_METRIC_HISTOGRAM, PL_METRIC_PLAIN, "Latency.",
                 NULL, NULL},
};

static char *output;

static int setup(void **state)
{
    (void)state;
    pl_metrics_init("plimsoll-test", rows, METRIC_COUNT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(output);
    output = NULL;
    return 0;
}

static void write_output(void (*print)(FILE *))
{
    size_t size_bytes = 0;
    free(output);
    FILE *out = open_memstream(&output, &size_bytes);
    assert_non_null(out);
    print(out);
    assert_int_equal(fclose(out), 0);
}

static void assert_line(const char *line)
{
    char whole[256];
    (void)snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(output, whole))
        fail_msg("no line \"%s\" in:\n%s", line, output);
}

static void assert_absent(const char *piece)
{
    if (strstr(output, piece))
        fail_msg("\"%s\" is in:\n%s", piece, output);
}

static void test_counters(void **state)
{
    (void)state;
    pl_metric_add(EVENTS, 2);
    pl_metric_add(EVENTS, UINT64_C(10000000000));
    pl_metric_add_labelled(BY_RESULT, 2, 1);
    pl_metric_add_labelled(BY_TOPIC, PL_TOPIC_DEADLETTER, 3);
    pl_metric_add_labelled(BY_PARTITION, 1023, 4);
    write_output(pl_metrics_write);
    assert_line("# HELP plimsoll_test_events_total Events.");
    assert_line("# TYPE plimsoll_test_events_total counter");
    assert_line("plimsoll_test_events_total 10000000002");
    assert_line("plimsoll_test_results_total{result=\"good\"} 0");
    assert_line("plimsoll_test_results_total{result=\"bad\"} 0");
    assert_line("plimsoll_test_results_total{result=\"ugly\"} 1");
    assert_line("plimsoll_test_records_total{topic=\"prices\"} 0");
    assert_line("plimsoll_test_records_total{topic=\"deadletter\"} 3");
    assert_line("plimsoll_test_steps_total{partition=\"1023\"} 4");
    assert_absent("partition=\"0\"");
}

static void test_gauges_are_shown_while_set(void **state)
{
    (void)state;
    write_output(pl_metrics_write);
    assert_line("# TYPE plimsoll_test_level gauge");
    assert_absent("\nplimsoll_test_level ");
    assert_absent("plimsoll_test_accounts{");
    pl_metric_set(LEVEL, -2.5);
    pl_metric_set_labelled(LAG, 0, 0);
    pl_metric_set_labelled(LAG, 7, 1e15);
    pl_metric_set_labelled(STATES, 1, 3);
    write_output(pl_metrics_write);
    assert_line("plimsoll_test_level -2.5");
    assert_line("plimsoll_test_lag_records{partition=\"0\"} 0");
    assert_line("plimsoll_test_lag_records{partition=\"7\"} 1e+15");
    assert_line("plimsoll_test_accounts{state=\"alert\"} 3");
    pl_metric_clear(LEVEL);
    pl_metric_clear_labelled(LAG, 7);
    write_output(pl_metrics_write);
    assert_absent("\nplimsoll_test_level ");
    assert_absent("partition=\"7\"");
    assert_line("plimsoll_test_lag_records{partition=\"0\"} 0");
}

static void test_histogram(void **state)
{
    (void)state;
    static const double values[] = {-1, NAN, 0, 0.0001, 0.00010001, 0.0025, 9.5, 10, 10.5, INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        pl_metric_observe(LATENCY, values[i]);
    write_output(pl_metrics_write);
    assert_line("# TYPE plimsoll_test_latency_seconds histogram");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"0.0001\"} 4");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"0.0002\"} 5");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"0.002\"} 5");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"0.003\"} 6");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"9\"} 6");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"10\"} 8");
    assert_line("plimsoll_test_latency_seconds_bucket{le=\"+Inf\"} 10");
    assert_line("plimsoll_test_latency_seconds_sum 31536030.002700010");
    assert_line("plimsoll_test_latency_seconds_count 10");
}

static void test_buckets_grow(void **state)
{
    (void)state;
    write_output(pl_metrics_write);
    unsigned count = 0;
    double last = 0;
    const char *next = output;
    while ((next = strstr(next, "plimsoll_test_latency_seconds_bucket{le=\""))) {
        next += strlen("plimsoll_test_latency_seconds_bucket{le=\"");
        double limit = strtod(next, NULL);
        assert_true(limit > last);
        assert_true(isinf(limit) || last == 0 || limit <= 2.0000001 * last);
        last = limit;
        count++;
    }
    assert_int_equal(count, 47);
    assert_true(isinf(last));
}

static void test_standard_metrics(void **state)
{
    (void)state;
    pl_metrics_count_log(PL_LOG_WARN);
    pl_metrics_count_loop(0.5);
    pl_metrics_count_loop(0.25);
    write_output(pl_metrics_write);
    assert_line("plimsoll_log_messages_total{level=\"warn\"} 1");
    assert_line("plimsoll_log_messages_total{level=\"error\"} 0");
    assert_line("plimsoll_loop_seconds_count 2");
    assert_line("plimsoll_loop_longest_seconds 0.5");
    assert_non_null(strstr(output, "plimsoll_build_info{service=\"plimsoll-test\",version=\""));
    static const char *const names[] = {"cpu_seconds_total", "resident_memory_bytes",
                                        "virtual_memory_bytes", "open_fds", "max_fds",
                                        "start_time_seconds"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "\nprocess_%s ", names[i]);
        const char *value = strstr(output, line);
        assert_non_null(value);
        assert_true(strtod(value + strlen(line), NULL) > 0);
    }
}

/* Every sample belongs to the family announced before it, and no family comes twice. */
static void test_form(void **state)
{
    (void)state;
    pl_metric_set(LEVEL, 1);
    write_output(pl_metrics_write);
    char family[128] = "";
    size_t families = 0;
    char *rest = NULL;
    for (char *line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "# HELP %127s", family) == 1) {
            assert_true(line[strlen("# HELP ") + strlen(family) + 1] != '\0');
            families++;
        } else if (line[0] != '#') {
            assert_memory_equal(line, family, strlen(family));
            char *end = NULL;
            (void)strtod(strrchr(line, ' ') + 1, &end);
            assert_int_equal(*end, '\0');
        }
    }
    assert_int_equal(families, METRIC_COUNT + 3 + 1 + 6);
}

static void test_table_for_people(void **state)
{
    (void)state;
    write_output(pl_metrics_print);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        assert_non_null(strstr(output, rows[i].name));
    assert_line("| `plimsoll_test_results_total` | counter | result: good bad ugly | Results. |");
    assert_non_null(strstr(output, "| `plimsoll_log_messages_total` | counter | level: "));
}

static pthread_barrier_t start;

static void *count_many(void *argument)
{
    (void)pthread_barrier_wait(&start);
    for (int i = 0; i < 1000000; i++)
        pl_metric_add(EVENTS, 1);
    return argument;
}

static void test_threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[4];
    assert_int_equal(pthread_barrier_init(&start, NULL, 4), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    write_output(pl_metrics_write);
    assert_line("plimsoll_test_events_total 4000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gauges_are_shown_while_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_buckets_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_standard_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_for_people, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_lose_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
