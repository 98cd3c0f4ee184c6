/* SPDX-License-Identifier: Apache-2.0 */
/* Probes and metrics from a real server on loopback, asked through a bare socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/service/http.h"
#include "lib/service/metrics.h"

static atomic_bool is_live = true;
static atomic_bool is_ready = true;
static struct pl_http *http;
static uint16_t port;
static char port_file[64];

static bool check_live(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)snprintf(reason, PL_HTTP_REASON_BYTES, "partition 3 stands still");
    return context == &port && atomic_load(&is_live);
}

static bool check_ready(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context;
    (void)snprintf(reason, PL_HTTP_REASON_BYTES, "no broker reachable");
    return atomic_load(&is_ready);
}

static bool check_never(void *context, char reason[PL_HTTP_REASON_BYTES])
{
    (void)context, (void)reason;
    return true;
}

static struct pl_http_settings settings_for(const char *address)
{
    return (struct pl_http_settings){
        .address = address,
        .port_file = port_file,
        .live = {.count = 1, .at = {{"loop", check_live}}},
        .ready = {.count = 2, .at = {{"broker", check_ready}, {"restored", check_never}}},
        .context = &port,
    };
}

static int setup(void **state)
{
    (void)state;
    static const struct pl_metric_row rows[] = {
        {"plimsoll_test_total", PL_METRIC_COUNTER, PL_METRIC_PLAIN, "Tests.", NULL, NULL}};
    pl_metrics_init("plimsoll-test", rows, 1);
    (void)snprintf(port_file, sizeof port_file, "/tmp/plimsoll-port-%d", (int)getpid());
    struct pl_http_settings settings = settings_for("127.0.0.1");
    return pl_http_open(&http, &settings, &port) == PL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pl_http_close(&http);
    pl_http_close(&http); /* accepts NULL */
    return access(port_file, F_OK) == 0 ? -1 : 0;
}

static int dial(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval limit = {.tv_sec = 10};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* Sends `request` as it is and returns the whole answer, in a static buffer. */
static const char *ask_raw(const char *request)
{
    static char answer[1 << 16];
    size_t used = 0;
    int descriptor = dial();
    assert_int_equal(send(descriptor, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (ssize_t size; (size = recv(descriptor, answer + used, sizeof answer - 1 - used, 0)) > 0;)
        used += (size_t)size;
    assert_int_equal(close(descriptor), 0);
    answer[used] = '\0';
    return answer;
}

static const char *ask(const char *method, const char *path)
{
    char request[256];
    (void)snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                   method, path);
    return ask_raw(request);
}

static void assert_answer(const char *answer, int status, const char *body)
{
    char head[32];
    (void)snprintf(head, sizeof head, "HTTP/1.1 %d ", status);
    assert_memory_equal(answer, head, strlen(head));
    const char *found = strstr(answer, "\r\n\r\n");
    assert_non_null(found);
    assert_string_equal(found + 4, body);
}

static void test_probes(void **state)
{
    (void)state;
    assert_answer(ask("GET", "/livez"), 200, "ok\n");
    assert_answer(ask("GET", "/readyz"), 200, "ok\n");
    assert_answer(ask("GET", "/healthz?verbose"), 200, "[+]broker\n[+]restored\nok\n");
    atomic_store(&is_ready, false);
    assert_answer(ask("GET", "/livez"), 200, "ok\n");
    assert_answer(ask("GET", "/readyz"), 503, "[-]broker: no broker reachable\nfailed\n");
    assert_answer(ask("GET", "/readyz?verbose"), 503,
                  "[-]broker: no broker reachable\n[+]restored\nfailed\n");
    assert_answer(ask("GET", "/healthz"), 503, "[-]broker: no broker reachable\nfailed\n");
    atomic_store(&is_live, false);
    assert_answer(ask("GET", "/livez"), 503, "[-]loop: partition 3 stands still\nfailed\n");
    atomic_store(&is_live, true);
    atomic_store(&is_ready, true);
    assert_answer(ask("GET", "/livez?verbose=1"), 200, "[+]loop\nok\n");
}

static void test_metrics(void **state)
{
    (void)state;
    pl_metric_add(0, 41);
    pl_metric_add(0, 1);
    const char *answer = ask("GET", "/metrics");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(answer, "\nplimsoll_test_total 42\n"));
}

static void test_other_requests(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const char *answer = ask(methods[i], "/livez");
        assert_answer(answer, 405, "only GET and HEAD\n");
        assert_non_null(strstr(answer, "Allow: GET, HEAD"));
    }
    assert_memory_equal(ask_raw("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                                "Connection: close\r\n\r\nhello"), "HTTP/1.1 405 ", 13);
    assert_answer(ask("HEAD", "/livez"), 200, "");
    assert_memory_equal(ask("GET", "/"), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask("GET", "/livez/x"), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask("GET", "/../etc/passwd"), "HTTP/1.1 404 ", 13);
    (void)ask_raw("\r\n\r\n\x01\x02\r\nnonsense\r\n\r\n");
    assert_answer(ask("GET", "/livez"), 200, "ok\n");
}

/* Whoever opens many connections and says nothing is cut off, and the probes come back. */
static void test_idle_connections_end(void **state)
{
    (void)state;
    int idle[64];
    char byte;
    for (size_t i = 0; i < 64; i++)
        idle[i] = dial();
    assert_int_equal(recv(idle[0], &byte, 1, 0), 0);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(close(idle[i]), 0);
    const char *answer = "";
    for (int i = 0; i < 50 && answer[0] == '\0'; i++) {
        (void)usleep(100000);
        answer = ask("GET", "/livez");
    }
    assert_answer(answer, 200, "ok\n");
}

static void test_port_file(void **state)
{
    (void)state;
    unsigned written = 0;
    FILE *file = fopen(port_file, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u", &written), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(written, port);
}

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    struct pl_http *other = NULL;
    uint16_t other_port = 0;
    struct pl_http_settings settings = settings_for("localhost");
    settings.port_file = "";
    assert_int_equal(pl_http_open(&other, &settings, &other_port), PL_FATAL_CONFIG);
    assert_non_null(strstr(pl_err_text(), "http.address = localhost"));
    assert_null(other);
    settings.address = "127.0.0.1";
    settings.port = port;
    assert_int_equal(pl_http_open(&other, &settings, &other_port), PL_FATAL_SYSTEM);
    assert_non_null(strstr(pl_err_text(), "Address already in use"));
    settings.port = 0;
    settings.port_file = "/nonexistent/port";
    assert_int_equal(pl_http_open(&other, &settings, &other_port), PL_FATAL_CONFIG);
    assert_non_null(strstr(pl_err_text(), "/nonexistent/port"));
    assert_null(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_other_requests),
        cmocka_unit_test(test_idle_connections_end),
        cmocka_unit_test(test_port_file),
        cmocka_unit_test(test_what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
