/* SPDX-License-Identifier: Apache-2.0 */
/* One world, one run (see nth_world.h). */
#include "tests/chaos/nth_scene.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"

enum {
    LIFE_MS = 45000,       /* nothing may take longer: what hangs is ended by its watchdog    */
    WATCHDOG_MS = 6000,
    TRANSACTION_MS = 5000,
    RESTARTS_MAX = 5,
    POLL_MS = 150,
    SUSTAIN_MS = 4000,
    SETTINGS_MAX = 40,
    LOG_BYTES_MAX = 1 << 20,
};

void complain(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->result->is_ok)
        return; /* the first complaint is the cause */
    world->result->is_ok = false;
    va_start(arguments, format);
    vsnprintf(world->result->text, sizeof(world->result->text), format, arguments);
    va_end(arguments);
}

void check_secrets(struct world *world, const char *where, const void *bytes, size_t size)
{
    if (size > 0 && (memmem(bytes, size, NTH_SECRET_REDIS, sizeof(NTH_SECRET_REDIS) - 1) ||
                     memmem(bytes, size, NTH_SECRET_KAFKA, sizeof(NTH_SECRET_KAFKA) - 1)))
        complain(world, "a secret stands in %s", where);
}

/* ---- topics ---------------------------------------------------------------------------------- */

/* For topics. Each of the test's processes has its own: librdkafka's threads do not survive a fork.
 * */
static rd_kafka_t *admin(const struct world *world)
{
    static rd_kafka_t *rk;
    char text[256];

    if (rk != NULL)
        return rk;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", world->pipeline->brokers, text, sizeof(text));
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    return rk;
}

static void wait_for_admin(const struct world *world, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);

    if (event == NULL || rd_kafka_event_error(event) != 0)
        fprintf(stderr, "nth: the topics of %s were not made or deleted\n", world->name);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
}

/* All in one request: to make topics is most of what a run costs the broker. Whoever needs one
 * waits for its leader by itself. */
static void make_topics(struct world *world)
{
    rd_kafka_NewTopic_t *topics[PL_TOPIC_COUNT];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin(world));
    const unsigned count = nth_scenes[world->service].topic_count;
    char text[256], name[256];

    for (unsigned i = 0; i < count; i++) {
        topics[i] = rd_kafka_NewTopic_new(topic_of(world, nth_scenes[world->service].topics[i],
                                                   name), 1, 1, text, sizeof(text));
        rd_kafka_NewTopic_set_config(topics[i], "retention.ms", "-1");
        rd_kafka_NewTopic_set_config(topics[i], "message.timestamp.type", "LogAppendTime");
    }
    rd_kafka_CreateTopics(admin(world), topics, count, NULL, queue);
    wait_for_admin(world, queue);
    rd_kafka_NewTopic_destroy_array(topics, count);
    world->has_topics = true;
}

/* A broker with the topics of a thousand runs would be slow. */
static void delete_topics(const struct world *world)
{
    rd_kafka_DeleteTopic_t *topics[PL_TOPIC_COUNT];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin(world));
    const unsigned count = nth_scenes[world->service].topic_count;
    char name[256];

    for (unsigned i = 0; i < count; i++)
        topics[i] = rd_kafka_DeleteTopic_new(topic_of(world, nth_scenes[world->service].topics[i],
                                                      name));
    rd_kafka_DeleteTopics(admin(world), topics, count, NULL, queue);
    wait_for_admin(world, queue);
    rd_kafka_DeleteTopic_destroy_array(topics, count);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void add(char texts[SETTINGS_MAX][512], const char *settings[SETTINGS_MAX + 1],
                unsigned *count, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void add(char texts[SETTINGS_MAX][512], const char *settings[SETTINGS_MAX + 1],
                unsigned *count, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(texts[*count], 512, format, arguments);
    va_end(arguments);
    settings[*count] = texts[*count];
    settings[++*count] = NULL;
}

/*
 * A member with an instance id of its own takes its own place again after a crash without waiting
 * for the session to end, which would be most of a run's time; restarts without one are crash.c's.
 */
static void start(struct world *world, const char *plan)
{
    static char texts[SETTINGS_MAX][512];
    const char *settings[SETTINGS_MAX + 1], *redis = getenv("PLIMSOLL_TEST_REDIS");
    const char *service = nth_scenes[world->service].name;
    char name[256];
    unsigned count = 0;

    for (unsigned i = 0; i < nth_scenes[world->service].topic_count; i++) {
        enum pl_topic topic = nth_scenes[world->service].topics[i];
        add(texts, settings, &count, "topic.%s=%s", pl_topic_word(topic),
            topic_of(world, topic, name));
    }
    add(texts, settings, &count, "kafka.group.id=%s", world->group);
    add(texts, settings, &count, "kafka.consumer.group.instance.id=%s.0", world->group);
    add(texts, settings, &count, "kafka.sasl.password.file=%s/secret-kafka", world->pipeline->dir);
    /* What waits costs the broker less. */
    add(texts, settings, &count, "kafka.consumer.fetch.wait.max.ms=150");
    add(texts, settings, &count, "worker.slot=0");
    add(texts, settings, &count, "watchdog.limit_ms=%d", WATCHDOG_MS);
    if (nth_scenes[world->service].has_transactions) {
        add(texts, settings, &count, "first_start=yes");
        add(texts, settings, &count, "transaction.timeout_ms=%d", TRANSACTION_MS);
        add(texts, settings, &count, "book.accounts_max=1024");
    }
    if (redis && world->service == NTH_LIQUIDATION) {
        add(texts, settings, &count, "redis.host=%.*s", (int)strcspn(redis, ":"), redis);
        add(texts, settings, &count, "redis.port=%s", strchr(redis, ':') + 1);
        add(texts, settings, &count, "redis.prefix=%s", world->group);
        add(texts, settings, &count, "redis.password.file=%s/secret-redis", world->pipeline->dir);
    }
    setenv("PL_NTH_PLAN", plan, 1);
    setenv("PL_NTH_LOG", world->trace, 1);
    world->is_planned = plan[0] != '\0';
    world->process =
        pipeline_start(world->pipeline, service, 0, settings, NULL, "nth");
}

/* The whole of a file, ended by a NUL; borrowed until the next call. */
static const char *read_file(const char *path, size_t *size)
{
    static char text[LOG_BYTES_MAX + 1];
    FILE *file = fopen(path, "r");

    *size = file ? fread(text, 1, LOG_BYTES_MAX, file) : 0;
    text[*size] = '\0';
    if (file)
        fclose(file);
    return text;
}

static bool has_one_of(const char *text, const char *words)
{
    char word[128];

    for (; *words; words += words[0] == '|') {
        size_t size = strcspn(words, "|");
        snprintf(word, sizeof(word), "%.*s", (int)size, words);
        if (strstr(text, word))
            return true;
        words += size;
    }
    return false;
}

/* The last line that tells of an error: of the log, of a start that came to nothing, of the
 * watchdog. */
static const char *last_words(const char *log, char line[NTH_TEXT_BYTES])
{
    static const char *const marks[] = { "\"level\":\"error\"", "watchdog: ", "plimsoll-" };
    const char *next;

    line[0] = '\0';
    for (; *log; log = *next ? next + 1 : next) {
        next = log + strcspn(log, "\n");
        int size = next - log < NTH_TEXT_BYTES / 2 ? (int)(next - log) : NTH_TEXT_BYTES / 2;
        char here[NTH_TEXT_BYTES];
        snprintf(here, sizeof(here), "%.*s", size, log);
        for (unsigned i = 0; i < 3; i++)
            if (i < 2 ? strstr(here, marks[i]) != NULL : strncmp(here, marks[i], 9) == 0)
                snprintf(line, NTH_TEXT_BYTES, "%s", here);
    }
    return line;
}

/* The exit status that belongs to what was said last; -1 when nothing documented was said. */
static int status_of(const char *words)
{
    enum pl_err err;
    char code[64];

    if (strncmp(words, "watchdog: ", 10) == 0)
        return 75;
    if (strncmp(words, "plimsoll-", 9) == 0)
        return 2; /* before there is a log, only the configuration is wrong */
    for (unsigned i = 0; pl_err_at(i, &err); i++) {
        snprintf(code, sizeof(code), "\"code\":\"%s\"", pl_err_name(err));
        if (strstr(words, code))
            return pl_err_exit_status(err);
    }
    return -1;
}

/* A process that left by itself says why, and its status is the documented one. */
static void judge_leaving(struct world *world, int status)
{
    char *words = world->words;
    size_t size = 0;

    const char *log = read_file(world->process->log, &size);
    check_secrets(world, "the log", log, size);
    last_words(log, words);
    /* librdkafka may hang while a handle is destroyed: that is what the watchdog is for. */
    bool is_watchdog = strncmp(words, "watchdog: ", 10) == 0;
    bool has_reason = has_one_of(words, world->expected->says) || (is_watchdog && world->is_ending);
    if (!WIFEXITED(status))
        complain(world, "signal %d: %.600s", WTERMSIG(status), words);
    else if (WEXITSTATUS(status) != status_of(words) &&
             /* out of memory before there is a log */
             !(WEXITSTATUS(status) == 3 && strncmp(words, "plimsoll-", 9) == 0))
        complain(world, "status %d after: %.600s", WEXITSTATUS(status), words);
    else if (world->is_planned && !has_reason) {
        world->result->is_late = world->result->is_ok && is_watchdog;
        complain(world, "none of \"%s\" in: %.600s", world->expected->says, words);
    } else if (world->is_planned && world->expected->passes && WEXITSTATUS(status) != 75)
        complain(world, "asks for an operator: %.600s", words);
    if (world->is_planned)
        world->result->left_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    else
        world->result->left_more++;
    unlink(world->process->log);
}

/* True when the process has left; reaps it. */
static bool has_left(struct world *world, int *status)
{
    if (waitpid(world->process->pid, status, WNOHANG) != world->process->pid)
        return false;
    world->process->pid = 0;
    return true;
}

/* Starts a process that left again, with nothing planned. */
static void supervise(struct world *world)
{
    int status = 0;

    if (!has_left(world, &status))
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        complain(world, "left with status 0 though nobody asked");
    else
        judge_leaving(world, status);
    if (++world->restarts > RESTARTS_MAX)
        complain(world, "%d restarts did not help: %.600s", RESTARTS_MAX, world->words);
    start(world, "");
}

/* ---- waiting --------------------------------------------------------------------------------- */

static bool is_ready(struct world *world, unsigned round)
{
    (void)round;
    (void)pipeline_get(world->process, "/metrics");
    return strstr(pipeline_get(world->process, "/readyz"), " 200 ") != NULL;
}

static void wait_for(struct world *world, bool (*is_reached)(struct world *, unsigned),
                     unsigned round, const char *what)
{
    const struct scene *scene = &nth_scenes[world->service];
    int64_t sustain_ms = pl_mono_ms() + SUSTAIN_MS;

    usleep(POLL_MS * 1000);
    while (world->result->is_ok && pl_mono_ms() < world->deadline_ms) {
        supervise(world);
        if (world->result->is_ok && is_reached(world, round))
            return;
        if (scene->sustain && pl_mono_ms() >= sustain_ms) {
            scene->sustain(world);
            sustain_ms += SUSTAIN_MS;
        }
        usleep(POLL_MS * 1000);
    }
    size_t size = 0;
    const char *log = read_file(world->process->log, &size);
    world->result->is_late = world->result->is_ok;
    complain(world, "no %s in time: %.700s", what, log + (size > 700 ? size - 700 : 0));
}

/* Asks it to end; a failure of closing may cost the status but not the time. */
static void end(struct world *world)
{
    int status = 0;

    world->is_ending = true;
    kill(world->process->pid, SIGTERM);
    for (int64_t until_ms = pl_mono_ms() + 20000; !has_left(world, &status); usleep(20000)) {
        if (pl_mono_ms() < until_ms)
            continue;
        complain(world, "does not end");
        pipeline_end(world->process, SIGKILL);
        return;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        judge_leaving(world, status);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void write_secret(struct world *world, const char *name, const char *secret)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%s\n", secret);
        fclose(file);
    }
    chmod(path, 0600);
}

static void open_world(struct world *world, struct pipeline *pipeline)
{
    char unique[64];

    kafka_admin_unique("nth", unique);
    memcpy(world->name, unique, sizeof(unique));
    snprintf(world->group, sizeof(world->group), "%s-group", unique);
    snprintf(world->dir, sizeof(world->dir), "%.60s/%s", pipeline->dir, unique);
    mkdir(world->dir, 0700);
    write_secret(world, "secret-redis", NTH_SECRET_REDIS);
    write_secret(world, "secret-kafka", NTH_SECRET_KAFKA);
}

/* What fails before the first handle exists needs nothing but the process. True when it left so. */
static bool run_early(struct world *world)
{
    int status = 0;
    size_t size = 0;

    for (int64_t until_ms = pl_mono_ms() + 20000; pl_mono_ms() < until_ms; usleep(5000)) {
        if (has_left(world, &status)) {
            judge_leaving(world, status);
            world->result->is_early = true;
            return true;
        }
        if (strstr(read_file(world->trace, &size), "outside\n"))
            break;
    }
    return false;
}

static void run_round(struct world *world, unsigned round)
{
    if (!world->result->is_ok)
        return;
    nth_scenes[world->service].feed(world, round);
    wait_for(world, nth_scenes[world->service].is_answered, round, "outputs");
}

static void run_rounds(struct world *world, enum nth_life life, const char *plan)
{
    make_topics(world);
    nth_scenes[world->service].feed(world, 0);
    if (!world->process || !world->process->pid)
        start(world, life == NTH_SECOND ? "" : plan);
    wait_for(world, is_ready, 0, "readiness");
    run_round(world, 1);
    if (life == NTH_SECOND && world->result->is_ok) {
        pipeline_end(world->process, SIGKILL);
        world->restarts++;
        unlink(world->trace);
        start(world, plan);
        wait_for(world, is_ready, 0, "readiness");
    }
    run_round(world, 2);
    wait_for(world, is_ready, 2, "readiness"); /* who was started again just now as well */
    if (world->result->is_ok)
        end(world);
    if (world->result->is_ok)
        nth_scenes[world->service].check(world);
}

/* Whether the last planned failure came about. */
static bool is_hit(const struct world *world, const char *plan)
{
    const char *last = strrchr(plan, ';');
    char line[NTH_PLAN_BYTES + 8];
    size_t size = 0;

    snprintf(line, sizeof(line), "hit %s\n", last ? last + 1 : plan);
    return strstr(read_file(world->trace, &size), line) != NULL;
}

void nth_run(struct pipeline *pipeline, enum nth_service service, enum nth_life life,
             const char *plan, const struct nth_last_words *expected, const char *trace,
             struct nth_result *result)
{
    static struct pipeline own; /* its directory is this run's */
    struct world world = {
        .pipeline = &own, .service = service, .result = result, .expected = expected };
    char command[512];
    size_t size = 0;
    int64_t begin_ms = pl_mono_ms();

    *result = (struct nth_result){ .is_ok = true };
    own = *pipeline;
    open_world(&world, pipeline);
    snprintf(own.dir, sizeof(own.dir), "%s", world.dir);
    snprintf(world.trace, sizeof(world.trace), "%s", trace);
    unlink(world.trace);
    world.deadline_ms = begin_ms + LIFE_MS;
    if (life == NTH_EARLY)
        start(&world, plan);
    if (life != NTH_EARLY || !run_early(&world))
        run_rounds(&world, life, plan);
    if (world.process && world.process->pid)
        pipeline_end(world.process, SIGKILL);
    const char *log = read_file(world.process->log, &size);
    check_secrets(&world, "the log", log, size);
    if (world.has_topics)
        delete_topics(&world);
    result->is_hit = is_hit(&world, plan);
    result->took_ms = pl_mono_ms() - begin_ms;
    if (result->is_ok || !getenv("PLIMSOLL_KEEP_LOGS")) {
        snprintf(command, sizeof(command), "rm -rf '%s'", world.dir);
        if (system(command) != 0)
            fprintf(stderr, "nth: %s stays\n", world.dir);
    }
}
