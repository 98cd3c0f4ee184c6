/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The N-th fault (G1, G5, G6, G10): a run without failures tells which calls to librdkafka, hiredis
 * and the allocator a service makes, and from where. Then each of them fails in turn, in each way
 * in which that function can fail, in a small world of its own, and the outputs must be the same
 * every time.
 *
 *   place   a function and the way through our code that leads to its call
 *   point   a place, the N-th call from there, and a mode of failing
 *
 * By default each place fails at its first and second call and each (function, mode) at least once,
 * drawn by seed. With PLIMSOLL_LONG=1 each place fails in each mode at N = 1, 2, 3 … until a run
 * has no failure.
 *
 *   chaos_nth_fault                                the test
 *   chaos_nth_fault places                         which there are, with the functions on the way
 *   chaos_nth_fault cache                          only the Redis writer's part of it
 *   chaos_nth_fault SERVICE "FUNCTION SITE N MODE" [second]
 *                                                  one point again, as a failure prints it
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/chaos/nth_cache.h"
#include "tests/chaos/nth_points.h"
#include "tests/chaos/nth_scene.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/random.h"

enum {
    PLACES_MAX = 1024, JOBS_MAX = 16384, WORKERS = 20, BASES = 3, OCCURRENCES = 2,
    POLLS_MAX = 4, MODES_FEW = 3, MODES_ALL = 1000
};

struct place {
    enum nth_service service;
    unsigned base;     /* 0 a first life; 1 one in which a commit failed, so that there is an
                          abort; 2 the life after a kill -9                                */
    unsigned function; /* in nth_functions */
    unsigned long site;
    unsigned calls;    /* in the run without failures */
    unsigned early;    /* calls before others could hear of the process */
    char addresses[160]; /* innermost first */
};

struct job {
    unsigned place, mode; /* MODES_ALL: each in turn */
    unsigned first, last; /* occurrences */
    unsigned run_count, hit_count, left_count, more_count, modes_hit;
    bool has_failed;
};

/* Shared by the workers, which are processes. */
static struct shared {
    _Atomic unsigned next;
    unsigned job_count;
    struct job jobs[JOBS_MAX];
    struct nth_result traced;
} *s_shared;
static struct place s_places[PLACES_MAX];
static unsigned s_place_count;
static char s_bases[NTH_SERVICES][BASES][NTH_PLAN_BYTES];
static struct pipeline s_pipeline;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "nth: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned mode_count(unsigned function)
{
    unsigned count = 0;
    while (nth_functions[function].modes[count].name)
        count++;
    return count;
}

/* Runs in a process of its own: librdkafka's threads do not survive a fork, so that nobody who
 * forks may have any. Returns whether it ended with 0. */
static bool in_child(void (*run)(void *), void *argument)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(argument);
        fflush(NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- which places there are ------------------------------------------------------------------ */

/* A place in a life with a failed commit is only new if it is not in one without. */
static struct place *place_of(enum nth_service service, unsigned base, unsigned function,
                              unsigned long site)
{
    for (unsigned i = 0; i < s_place_count; i++)
        if (s_places[i].service == service && s_places[i].function == function &&
            s_places[i].site == site && (s_places[i].base == base || base == 1))
            return &s_places[i];
    return NULL;
}

static void read_trace(enum nth_service service, unsigned base, const char *path)
{
    char line[320], name[64];
    unsigned long site = 0;
    int used = 0;
    bool is_outside = false;
    FILE *file = fopen(path, "r");
    if (!file)
        fail(path);
    while (fgets(line, sizeof(line), file)) {
        is_outside |= strcmp(line, "outside\n") == 0;
        if (sscanf(line, "call %63s %lx%n", name, &site, &used) != 2)
            continue;
        unsigned function = 0;
        while (strcmp(nth_functions[function].name, name) != 0)
            function++;
        if (base == 2 && !is_outside)
            continue; /* before that there is no difference */
        struct place *place = place_of(service, base, function, site);
        if (place && place->base != base)
            continue;
        if (!place) {
            if (s_place_count == PLACES_MAX)
                fail("too many places");
            place = &s_places[s_place_count++];
            *place = (struct place){ .service = service, .base = base, .function = function,
                                     .site = site };
            snprintf(place->addresses, sizeof(place->addresses), "%.*s",
                     (int)strcspn(line + used, "\n"), line + used);
        }
        place->calls++;
        place->early += !is_outside;
    }
    fclose(file);
}

struct trace { enum nth_service service; unsigned base; char path[160]; };

static void run_trace(void *argument)
{
    static const struct nth_last_words nothing = { "", true };
    struct trace *trace = argument;
    nth_run(&s_pipeline, trace->service, trace->base == 2 ? NTH_SECOND : NTH_FIRST,
            s_bases[trace->service][trace->base], &nothing, trace->path, &s_shared->traced);
}

static void find_places(enum nth_service service, unsigned base)
{
    struct trace trace = { .service = service, .base = base };
    snprintf(trace.path, sizeof(trace.path), "%s/trace-%d-%u", s_pipeline.dir, (int)service, base);
    if (!in_child(run_trace, &trace) || !s_shared->traced.is_ok || s_shared->traced.left_more > 0) {
        fprintf(stderr, "nth: %s does not pass undisturbed: %s\n", nth_scenes[service].name,
                s_shared->traced.text);
        exit(1);
    }
    printf("%s, base %u: %lld ms undisturbed\n", nth_scenes[service].name, base,
           (long long)s_shared->traced.took_ms);
    read_trace(service, base, trace.path);
}

/* The second commit fails, so that there is a transaction to abort; where there are none, the local
 * queue is full for the rarest of records. */
static void plan_base(enum nth_service service)
{
    bool has_commits = nth_scenes[service].has_transactions;
    const char *wanted = has_commits ? "rd_kafka_commit_transaction" : "rd_kafka_produceva";
    const struct place *found = NULL;
    for (unsigned i = 0; i < s_place_count; i++)
        if (s_places[i].service == service &&
            strcmp(nth_functions[s_places[i].function].name, wanted) == 0 &&
            (!found || s_places[i].calls < found->calls))
            found = &s_places[i];
    if (found)
        snprintf(s_bases[service][1], NTH_PLAN_BYTES, "%s %lx %s", wanted, found->site,
                 has_commits ? "2 abort" : "1 queue_full");
}

/* Every function of the three libraries that a service calls stands in one of the two tables. */
static bool check_tables(enum nth_service service)
{
    char command[512], name[128];
    bool is_complete = true;
    snprintf(command, sizeof(command), "nm -D --undefined-only '%s/plimsoll-%s-nth'", PL_TESTS_DIR,
             nth_scenes[service].name);
    FILE *out = popen(command, "r");
    while (out && fscanf(out, " %*s %127s", name) == 1) {
        unsigned at = 0, function = 0;
        name[strcspn(name, "@")] = '\0';
        if (strncmp(name, "rd_kafka_", 9) != 0 && strncmp(name, "redis", 5) != 0)
            continue;
        while (nth_infallible[at] && strcmp(nth_infallible[at], name) != 0)
            at++;
        while (nth_functions[function].name && strcmp(nth_functions[function].name, name) != 0)
            function++;
        if (nth_infallible[at] || nth_functions[function].name)
            continue;
        fprintf(stderr, "nth: %s is called by plimsoll-%s and nobody says how it fails\n", name,
                nth_scenes[service].name);
        is_complete = false;
    }
    if (out)
        pclose(out);
    return is_complete;
}

/* ---- which points are tried ------------------------------------------------------------------ */

static void add_job(unsigned place, unsigned mode, unsigned first, unsigned last)
{
    if (s_shared->job_count == JOBS_MAX)
        fail("too many jobs");
    s_shared->jobs[s_shared->job_count++] =
        (struct job){ .place = place, .mode = mode, .first = first, .last = last };
}

/* All of them: N = 1, 2, 3 … in each mode until a run has no failure. What is asked in every turn
 * of the loop would never end. */
static void choose_all(void)
{
    for (unsigned place = 0; place < s_place_count; place++) {
        unsigned function = s_places[place].function;
        bool is_endless = nth_functions[function].how_often == NTH_ALWAYS;
        if (mode_count(function) > 0)
            add_job(place, MODES_ALL, 1, is_endless ? POLLS_MAX : UINT32_MAX);
    }
}

static bool is_called_before(enum nth_service service, unsigned function)
{
    for (unsigned i = 0; i < s_place_count; i++)
        if (s_places[i].service < service && s_places[i].function == function)
            return true;
    return false;
}

struct call { unsigned place, occurrence; };

static void shuffle(struct call *calls, unsigned count, struct test_random *random)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned with = (unsigned)test_random_below(random, i);
        struct call call = calls[i - 1];
        calls[i - 1] = calls[with];
        calls[with] = call;
    }
}

/*
 * Places and modes of one function go round together, each in an order that the seed gives, so that
 * as few runs as possible meet each of both; where there are many modes, places come round twice,
 * the second time with their second call. Where another service has met the modes already, the
 * places are enough: what stands behind them is the same library. Of the places in a second life
 * the seed draws one. What fails before anybody hears of the process takes no time.
 */
static void choose_some(enum nth_service service, unsigned function, struct test_random *random)
{
    static struct call firsts[PLACES_MAX], seconds[PLACES_MAX];
    unsigned count = 0, second_count = 0, modes = mode_count(function);
    for (unsigned i = 0; modes > 0 && i < s_place_count; i++) {
        const struct place *place = &s_places[i];
        if (place->service != service || place->function != function)
            continue;
        if (place->early > 0)
            add_job(i, MODES_ALL, 1, place->early < OCCURRENCES ? place->early : OCCURRENCES);
        if (place->calls == place->early)
            continue;
        if (place->base == 2)
            seconds[second_count++] = (struct call){ i, place->early + 1 };
        else
            firsts[count++] = (struct call){ i, place->early + 1 };
    }
    shuffle(firsts, count, random);
    shuffle(seconds, second_count, random);
    unsigned turn = modes ? (unsigned)test_random_below(random, modes) : 0;
    unsigned runs = count;
    if (count > 0 && !is_called_before(service, function)) {
        runs = modes > MODES_FEW ? 2 * count : count;
        runs = runs > modes ? runs : modes;
    }
    for (unsigned i = 0; i < runs; i++) {
        const struct call *call = &firsts[i % count];
        bool has_next = call->occurrence < s_places[call->place].calls;
        unsigned n = call->occurrence + (i >= count && has_next);
        add_job(call->place, (turn + i) % modes, n, n);
    }
    if (second_count > 0)
        add_job(seconds[0].place, (turn + runs) % modes, seconds[0].occurrence,
                seconds[0].occurrence);
}

static void choose(void)
{
    struct test_random random = test_random_start(1);
    if (getenv("PLIMSOLL_LONG")) {
        choose_all();
        return;
    }
    for (unsigned service = 0; service < NTH_SERVICES; service++)
        for (unsigned function = 0; nth_functions[function].name; function++)
            choose_some((enum nth_service)service, function, &random);
    for (unsigned i = s_shared->job_count; i > 1; i--) { /* the slow ones not all at once */
        unsigned with = (unsigned)test_random_below(&random, i);
        struct job job = s_shared->jobs[i - 1];
        s_shared->jobs[i - 1] = s_shared->jobs[with];
        s_shared->jobs[with] = job;
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* The functions on the way to a call, innermost first; addresses where there is no addr2line. */
static void name_place(const struct place *place, char text[256])
{
    char command[512], name[64];
    size_t used = 0;
    snprintf(command, sizeof(command), "addr2line -fe '%s/plimsoll-%s-nth'%s 2>/dev/null",
             PL_TESTS_DIR, nth_scenes[place->service].name, place->addresses);
    FILE *out = popen(command, "r");
    while (out && used < 192 && fscanf(out, "%63s %*s", name) == 1)
        used += (size_t)snprintf(text + used, 256 - used, "%s%s", used ? " < " : "", name);
    if (out)
        pclose(out);
    if (used == 0)
        snprintf(text, 256, "%s", place->addresses);
}

static void print_failure(const char *word, const struct place *place, const char *plan,
                          const struct nth_result *result)
{
    char where[256];
    name_place(place, where);
    printf("%s %s \"%s\"%s (%s): %s\n", word, nth_scenes[place->service].name, plan,
           place->base == 2 ? " second" : "", where, result->text);
    fflush(stdout);
}

/* Returns whether the planned failure came about. */
static bool run_point(struct job *job, unsigned mode, unsigned n, const char *trace)
{
    static struct nth_result result;
    const struct place *place = &s_places[job->place];
    const struct nth_function *function = &nth_functions[place->function];
    const char *base = s_bases[place->service][place->base];
    char plan[NTH_PLAN_BYTES];
    snprintf(plan, sizeof(plan), "%s%s%s %lx %u %s", base, base[0] ? ";" : "", function->name,
             place->site, n, function->modes[mode].name);
    enum nth_life life = n <= place->early ? NTH_EARLY : place->base == 2 ? NTH_SECOND : NTH_FIRST;
    const struct nth_last_words expected = { function->says,
                                             (function->modes[mode].how & PASSES) != 0 };
    nth_run(&s_pipeline, place->service, life, plan, &expected, trace, &result);
    if (result.is_late) { /* a busy machine is no failure, what hangs does so again */
        print_failure("LATE", place, plan, &result);
        nth_run(&s_pipeline, place->service, life, plan, &expected, trace, &result);
    }
    job->run_count++;
    job->hit_count += result.is_hit;
    job->left_count += result.left_status != 0;
    job->more_count += result.left_more;
    job->modes_hit |= (unsigned)result.is_hit << mode;
    if (getenv("PL_NTH_VERBOSE"))
        printf("%s %u %s: %lld ms, %s, left %d, more %u\n", nth_scenes[place->service].name,
               place->base, plan, (long long)result.took_ms, result.is_hit ? "hit" : "no hit",
               result.left_status, result.left_more);
    if (!result.is_ok) {
        job->has_failed = true;
        print_failure("FAILED", place, plan, &result);
    }
    return result.is_hit;
}

static void run_job(struct job *job, const char *trace)
{
    unsigned modes = mode_count(s_places[job->place].function);
    bool is_hit = true;
    for (unsigned n = job->first; is_hit && n <= job->last; n++)
        for (unsigned mode = 0; is_hit && mode < modes; mode++)
            if (job->mode == MODES_ALL || job->mode == mode)
                is_hit = run_point(job, mode, n, trace);
}

static void work(void *argument)
{
    char trace[160];
    unsigned at;
    snprintf(trace, sizeof(trace), "%s/worker-%d", s_pipeline.dir, *(int *)argument);
    while ((at = atomic_fetch_add(&s_shared->next, 1)) < s_shared->job_count)
        run_job(&s_shared->jobs[at], trace);
}

static bool run_all(void)
{
    pid_t workers[WORKERS];
    bool is_fine = true;
    fflush(NULL);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] < 0)
            fail("fork");
        if (workers[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(&i);
            fflush(NULL);
            _exit(0);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        waitpid(workers[i], &status, 0);
        is_fine &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    if (!is_fine)
        fprintf(stderr, "nth: a worker ended before its work\n");
    return is_fine;
}

/* ---- reporting ------------------------------------------------------------------------------- */

static void print_function(enum nth_service service, unsigned function, struct job *total)
{
    unsigned places = 0, points = 0;
    struct job sum = { 0 };
    for (unsigned i = 0; i < s_place_count; i++)
        if (s_places[i].service == service && s_places[i].function == function) {
            places++;
            points += s_places[i].calls * mode_count(function);
        }
    for (unsigned i = 0; i < s_shared->job_count; i++) {
        const struct job *job = &s_shared->jobs[i];
        if (s_places[job->place].service != service || s_places[job->place].function != function)
            continue;
        sum.run_count += job->run_count;
        sum.hit_count += job->hit_count;
        sum.left_count += job->left_count;
        sum.has_failed |= job->has_failed;
        sum.more_count += job->more_count;
    }
    if (places == 0)
        printf("%-38s not called\n", nth_functions[function].name);
    else
        printf("%-38s %6u %6u %7u %5u %5u %5u\n", nth_functions[function].name, places,
               mode_count(function), points, sum.run_count, sum.hit_count, sum.left_count);
    total->first += places;
    total->last += points;
    total->run_count += sum.run_count;
    total->hit_count += sum.hit_count;
    total->left_count += sum.left_count;
    total->more_count += sum.more_count;
    total->has_failed |= sum.has_failed;
}

/* Every mode of every function that is called at all came about in one service at least. */
static bool report_modes(void)
{
    bool is_fine = true;
    for (unsigned function = 0; nth_functions[function].name; function++) {
        unsigned hit = 0;
        bool is_called = false;
        for (unsigned i = 0; i < s_shared->job_count; i++) {
            const struct job *job = &s_shared->jobs[i];
            if (s_places[job->place].function != function)
                continue;
            is_called = true;
            hit |= job->modes_hit;
        }
        for (unsigned mode = 0; is_called && mode < mode_count(function); mode++) {
            if (hit & 1u << mode)
                continue;
            printf("NOT REACHED: %s %s\n", nth_functions[function].name,
                   nth_functions[function].modes[mode].name);
            is_fine = false;
        }
    }
    return is_fine;
}

/* False when anything failed, or something that can fail was not made to. */
static bool report(void)
{
    bool is_fine = report_modes();
    for (unsigned service = 0; service < NTH_SERVICES; service++) {
        struct job total = { 0 };
        printf("\nplimsoll-%-29s %6s %6s %7s %5s %5s %5s\n", nth_scenes[service].name, "places",
               "modes", "points", "runs", "hit", "left");
        for (unsigned function = 0; nth_functions[function].name; function++)
            print_function((enum nth_service)service, function, &total);
        printf("%-38s %6u %6s %7u %5u %5u %5u; %u restarts that nobody planned\n", "together",
               total.first, "", total.last, total.run_count, total.hit_count, total.left_count,
               total.more_count);
        is_fine &= !total.has_failed;
    }
    return is_fine;
}

static void share(void *unused)
{
    (void)unused;
    nth_share(&s_pipeline);
}

static void run_one(void *argument)
{
    char **words = argument, trace[160];
    enum nth_service service = NTH_LIQUIDATION;
    char name[64] = "", mode[32] = "";
    const char *last = strrchr(words[1], ';') ? strrchr(words[1], ';') + 1 : words[1];
    const struct nth_function *function = nth_functions;
    static struct nth_result result;
    sscanf(last, "%63s %*s %*s %31s", name, mode);
    while (service < NTH_SERVICES && strcmp(nth_scenes[service].name, words[0]) != 0)
        service++;
    while (function->name && strcmp(function->name, name) != 0)
        function++;
    const struct nth_mode *way = function->modes;
    while (way->name && strcmp(way->name, mode) != 0)
        way++;
    if (service == NTH_SERVICES || !way->name)
        fail("no such service, function or mode");
    const struct nth_last_words expected = { function->says, (way->how & PASSES) != 0 };
    snprintf(trace, sizeof(trace), "%s/one", s_pipeline.dir);
    nth_run(&s_pipeline, service, words[2] ? NTH_SECOND : NTH_FIRST, words[1], &expected, trace,
            &result);
    printf("%s: %s, left %d, %lld ms %s\n", words[1], result.is_hit ? "hit" : "not reached",
           result.left_status, (long long)result.took_ms, result.text);
    if (!result.is_ok)
        _exit(1);
}

static void print_places(void)
{
    char where[256];
    for (unsigned i = 0; i < s_place_count; i++) {
        const struct place *place = &s_places[i];
        name_place(place, where);
        printf("%s%s %s %lx, %u calls: %s\n", nth_scenes[place->service].name,
               place->base == 2 ? " second" : "", nth_functions[place->function].name, place->site,
               place->calls, where);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "cache") == 0)
        return nth_cache_child(argv[2]);
    if (argc == 2 && strcmp(argv[1], "cache") == 0)
        return nth_cache(argv[0], "/tmp") ? 0 : 1;
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr,
                "SKIPPED: chaos.nth_fault needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not set\n");
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    s_shared = mmap(NULL, sizeof(*s_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    if (s_shared == MAP_FAILED || !pipeline_open(&s_pipeline, "nth", 1) || !in_child(share, NULL))
        return 1;
    bool is_fine = true;
    if (argc == 3 || argc == 4) {
        is_fine = in_child(run_one, argv + 1);
        pipeline_close(&s_pipeline);
        return is_fine ? 0 : 1;
    }
    for (unsigned service = 0; service < NTH_SERVICES; service++) {
        is_fine &= check_tables((enum nth_service)service);
        find_places((enum nth_service)service, 0);
        plan_base((enum nth_service)service);
        find_places((enum nth_service)service, 1);
        find_places((enum nth_service)service, 2);
    }
    if (argc == 2 && strcmp(argv[1], "places") == 0) {
        print_places();
        pipeline_close(&s_pipeline);
        return 0;
    }
    choose();
    printf("%u places, %u jobs\n", s_place_count, s_shared->job_count);
    is_fine &= run_all();
    is_fine &= nth_cache(argv[0], s_pipeline.dir);
    is_fine &= report();
    pipeline_close(&s_pipeline);
    return is_fine ? 0 : 1;
}
