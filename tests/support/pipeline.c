/* SPDX-License-Identifier: Apache-2.0 */
/* The real pipeline under test (see pipeline.h). */
#include "tests/support/pipeline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"

enum { ARGUMENTS_MAX = 96 };
static const size_t WIRE_BYTES = (size_t)64 << 20;

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "pipeline: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void print_tail(const char *path)
{
    char command[512];
    snprintf(command, sizeof(command), "tail -n 15 '%s' >&2", path);
    fprintf(stderr, "--- %s\n", path);
    if (system(command) != 0)
        fprintf(stderr, "(no log)\n");
}

/* ---- processes ------------------------------------------------------------------------------ */

/* The services take every PLIMSOLL_ variable for a configuration key; the tests' own are none. */
static void forget_environment(void)
{
    static char name[128];
    for (char **at = environ; *at;) {
        size_t size = strcspn(*at, "=");
        if (strncmp(*at, "PLIMSOLL_", 9) != 0 || size >= sizeof(name)) {
            at++;
            continue;
        }
        memcpy(name, *at, size);
        name[size] = '\0';
        unsetenv(name);
        at = environ;
    }
}

static pid_t spawn(char *const *arguments, const char *environment, const char *output,
                   const char *errors)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    int out = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int err = open(errors, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, 1);
    dup2(err, 2);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test, nothing outlives it */
    forget_environment();
    if (environment)
        putenv((char *)(uintptr_t)environment);
    execv(arguments[0], arguments);
    _exit(127);
}

static struct process *new_process(struct pipeline *pipeline, const char *name, int slot)
{
    unsigned at = 0;
    while (at < pipeline->process_count &&
           (pipeline->processes[at].pid != 0 || strcmp(pipeline->processes[at].name, name) != 0 ||
            pipeline->processes[at].slot != slot))
        at++;
    if (at == PIPELINE_PROCESSES_MAX)
        fail("more than %d processes", PIPELINE_PROCESSES_MAX);
    if (at == pipeline->process_count)
        pipeline->process_count++;
    struct process *process = &pipeline->processes[at];
    snprintf(process->name, sizeof(process->name), "%s", name);
    process->slot = slot;
    snprintf(process->log, sizeof(process->log), "%s/%s-%d.log", pipeline->dir, name, slot);
    snprintf(process->port_file, sizeof(process->port_file), "%s/%s-%d.port", pipeline->dir, name,
             slot);
    unlink(process->port_file);
    return process;
}

struct process *pipeline_start(struct pipeline *pipeline, const char *name, int slot,
                               const char *const *settings, const char *environment,
                               const char *variant)
{
    static char texts[ARGUMENTS_MAX][512];
    char *arguments[2 * ARGUMENTS_MAX], program[512];
    int count = 0, text = 0;
    struct process *process = new_process(pipeline, name, slot);
    snprintf(program, sizeof(program), variant ? PL_TESTS_DIR "/plimsoll-%s-%s"
                                               : PL_BIN_DIR "/plimsoll-%s", name, variant);
    arguments[count++] = program;
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++, text++)
        snprintf(texts[text], sizeof(texts[0]), "topic.%s=%s%s",
                 pl_topic_word((enum pl_topic)topic), pipeline->prefix,
                 pl_topic_default_name((enum pl_topic)topic));
    snprintf(texts[text++], sizeof(texts[0]), "kafka.bootstrap.servers=%s", pipeline->brokers);
    snprintf(texts[text++], sizeof(texts[0]), "kafka.group.id=%s%s", pipeline->prefix, name);
    snprintf(texts[text++], sizeof(texts[0]), "worker.slot=%d", slot);
    snprintf(texts[text++], sizeof(texts[0]), "http.port_file=%s", process->port_file);
    for (; settings && *settings; settings++)
        snprintf(texts[text++], sizeof(texts[0]), "%s", *settings);
    for (int i = 0; i < text; i++) {
        arguments[count++] = (char *)(uintptr_t)"-X";
        arguments[count++] = texts[i];
    }
    arguments[count] = NULL;
    process->pid = spawn(arguments, environment, process->log, process->log);
    return process;
}

static int add_kafka(const struct pipeline *pipeline, char **arguments, int count)
{
    arguments[count++] = (char *)(uintptr_t)"--kafka";
    arguments[count++] = (char *)(uintptr_t)pipeline->brokers;
    arguments[count++] = (char *)(uintptr_t)"--topic-prefix";
    arguments[count++] = (char *)(uintptr_t)pipeline->prefix;
    arguments[count] = NULL;
    return count;
}

static int command_line(const struct pipeline *pipeline, const char *const *given, char **arguments)
{
    int count = 0;
    arguments[count++] = (char *)(uintptr_t)PL_BIN_DIR "/plimsoll";
    for (; given && *given; given++)
        arguments[count++] = (char *)(uintptr_t)*given;
    return strcmp(arguments[1], "evaluate") == 0 ? (arguments[count] = NULL, count)
                                                 : add_kafka(pipeline, arguments, count);
}

struct process *pipeline_start_fills(struct pipeline *pipeline, const char *const *arguments)
{
    const char *given[ARGUMENTS_MAX] = { "simulate-fills" };
    char *line[ARGUMENTS_MAX + 8];
    for (int i = 0; arguments && arguments[i]; i++)
        given[i + 1] = arguments[i];
    struct process *process = new_process(pipeline, "fills", 0);
    command_line(pipeline, given, line);
    process->pid = spawn(line, NULL, process->log, process->log);
    return process;
}

bool pipeline_runs(struct process *process)
{
    int status = 0;
    if (process->pid > 0 && waitpid(process->pid, &status, WNOHANG) == process->pid)
        process->pid = 0;
    return process->pid > 0;
}

int pipeline_end(struct process *process, int signal_number)
{
    int status = 0;
    if (process->pid <= 0)
        return 0;
    kill(process->pid, signal_number);
    kill(process->pid, SIGCONT);
    waitpid(process->pid, &status, 0);
    process->pid = 0;
    return status;
}

/* ---- probes --------------------------------------------------------------------------------- */

static int port_of(const struct process *process)
{
    int port = 0;
    FILE *file = fopen(process->port_file, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &port) != 1)
        port = 0;
    fclose(file);
    return port;
}

const char *pipeline_get(const struct process *process, const char *path)
{
    static char answer[1 << 16];
    char request[256];
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port_of(process)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    size_t used = 0;
    ssize_t got;
    answer[0] = '\0';
    int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        int size = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
        if (write(socket_fd, request, (size_t)size) == size)
            while (used < sizeof(answer) - 1 &&
                   (got = read(socket_fd, answer + used, sizeof(answer) - 1 - used)) > 0)
                used += (size_t)got;
    }
    answer[used] = '\0';
    close(socket_fd);
    return answer;
}

void pipeline_wait_ready(struct pipeline *pipeline, struct process *process, int timeout_s)
{
    const char *answer = "";
    (void)pipeline;
    for (int i = 0; i < timeout_s * 10; i++) {
        if (!pipeline_runs(process)) {
            print_tail(process->log);
            fail("plimsoll-%s ended before it was ready", process->name);
        }
        answer = pipeline_get(process, "/readyz?verbose");
        if (strstr(answer, " 200 "))
            return;
        usleep(100000);
    }
    print_tail(process->log);
    fail("plimsoll-%s is not ready after %d s: %s", process->name, timeout_s, answer);
}

/* ---- the command ---------------------------------------------------------------------------- */

const char *pipeline_run(struct pipeline *pipeline, int *status, const char *const *arguments)
{
    static char output[PIPELINE_TEXT_MAX];
    char out[256], err[256], *line[ARGUMENTS_MAX];
    int exit_status = 0;
    snprintf(out, sizeof(out), "%s/command.out", pipeline->dir);
    snprintf(err, sizeof(err), "%s/command.err", pipeline->dir);
    unlink(out);
    unlink(err);
    command_line(pipeline, arguments, line);
    waitpid(spawn(line, NULL, out, err), &exit_status, 0);
    FILE *file = fopen(out, "r");
    size_t size = file ? fread(output, 1, sizeof(output) - 1, file) : 0;
    output[size] = '\0';
    if (file)
        fclose(file);
    if (status)
        *status = WIFEXITED(exit_status) ? WEXITSTATUS(exit_status) : 128;
    else if (exit_status != 0) {
        print_tail(err);
        fail("plimsoll %s failed", arguments[0]);
    }
    return output;
}

void pipeline_audit(struct pipeline *pipeline)
{
    static const char *const commands[] = { "verify", "replay" };
    for (unsigned i = 0; i < 2; i++) {
        int status = 0;
        const char *output = pipeline_run(pipeline, &status,
                                          (const char *const[]){ commands[i], NULL });
        if (status != 0)
            fail("plimsoll %s: exit status %d\n%s", commands[i], status, output);
        if (i == 1 && !strstr(output, "identical"))
            fail("plimsoll replay does not say identical:\n%s", output);
    }
}

void pipeline_publish(struct pipeline *pipeline, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/publish.json", pipeline->dir);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        fail("cannot write %s", path);
    pipeline_run(pipeline, NULL, (const char *const[]){ "publish", path, NULL });
}

void pipeline_price(struct pipeline *pipeline, const char *instrument, int64_t mantissa,
                    int exponent)
{
    static const char sources[] = "abc";
    static uint64_t sequence;
    char text[1024];
    int used = 0;
    if (sequence == 0)
        sequence = (uint64_t)pl_now_ms() * 1000;
    sequence++;
    for (int i = 0; i < 3; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used,
                         "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s\",\"source\":\"%c\","
                         "\"price\":{\"mantissa\":\"%lld\",\"exponent\":%d},\"event_time_ms\":"
                         "\"%lld\",\"source_sequence\":\"%llu\"}}\n", instrument, sources[i],
                         (long long)mantissa, exponent, (long long)pl_now_ms(),
                         (unsigned long long)sequence);
    pipeline_publish(pipeline, text);
}

/* ---- topics --------------------------------------------------------------------------------- */

const char *pipeline_topic(const struct pipeline *pipeline, enum pl_topic topic, char name[256])
{
    snprintf(name, 256, "%s%s", pipeline->prefix, pl_topic_default_name(topic));
    return name;
}

unsigned pipeline_count(struct pipeline *pipeline, enum pl_topic topic)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(pipeline_topic(pipeline, topic, name), true, &rows);
    kafka_admin_free(rows, count);
    return (unsigned)count;
}

unsigned pipeline_orders(struct pipeline *pipeline, struct pl_order *orders, unsigned capacity)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(pipeline_topic(pipeline, PL_TOPIC_ORDERS, name), true, &rows);
    if (count > capacity)
        fail("%zu orders, room for %u", count, capacity);
    for (size_t i = 0; i < count; i++)
        if (pl_wire_order_decode(pipeline->wire, rows[i].key, rows[i].value, &orders[i]))
            fail("order %zu: %s", i, pl_err_text());
    kafka_admin_free(rows, count);
    return (unsigned)count;
}

unsigned pipeline_wait_orders(struct pipeline *pipeline, struct pl_order *orders, unsigned capacity,
                              unsigned count, int timeout_s)
{
    unsigned have = 0;
    for (int i = 0; i < timeout_s * 5; i++) {
        have = pipeline_orders(pipeline, orders, capacity);
        if (have >= count)
            break;
        usleep(200000);
    }
    usleep(1000000);
    return pipeline_orders(pipeline, orders, capacity);
}

/* ---- opening and closing -------------------------------------------------------------------- */

bool pipeline_open(struct pipeline *pipeline, const char *stem, int partitions)
{
    char command[1024];
    void *block = NULL;
    memset(pipeline, 0, sizeof(*pipeline));
    pipeline->brokers = kafka_admin_brokers();
    if (!pipeline->brokers)
        return false;
    kafka_admin_unique(stem, pipeline->prefix);
    strncat(pipeline->prefix, "-", sizeof(pipeline->prefix) - strlen(pipeline->prefix) - 1);
    snprintf(pipeline->dir, sizeof(pipeline->dir), "/tmp/plimsoll-test.XXXXXX");
    if (!mkdtemp(pipeline->dir))
        fail("mkdtemp: %s", strerror(errno));
    pipeline->partitions = partitions;
    snprintf(command, sizeof(command), "'%s/deploy/create-topics' --kafka %s --partitions %d "
             "--price-partitions 2 --topic-prefix '%s' >'%s/topics.log' 2>&1", PL_SOURCE_DIR,
             pipeline->brokers, partitions, pipeline->prefix, pipeline->dir);
    if (system(command) != 0) {
        snprintf(command, sizeof(command), "%s/topics.log", pipeline->dir);
        print_tail(command);
        fail("create-topics");
    }
    if (pl_memory_map(sizeof(*pipeline->wire), (void **)&pipeline->wire) ||
        pl_memory_map(WIRE_BYTES, &block))
        fail("%s", pl_err_text());
    pl_wire_init(pipeline->wire, block, WIRE_BYTES);
    return true;
}

void pipeline_close(struct pipeline *pipeline)
{
    char command[256];
    for (unsigned i = 0; i < pipeline->process_count; i++)
        pipeline_end(&pipeline->processes[i], SIGTERM);
    if (getenv("PLIMSOLL_KEEP_LOGS"))
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", pipeline->dir);
    if (system(command) != 0)
        fprintf(stderr, "pipeline: %s stays\n", pipeline->dir);
}
