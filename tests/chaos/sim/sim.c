/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll's deterministic simulation: seeds, each a history of faults and then calm, until one breaks a
 * guarantee. A failing seed is printed with what was broken, a short trace, and the command that shows it
 * again; the last line says in JSON what the run has tried.
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/world.h"

enum {
    JOBS_MAX = 64, TRACE_LINES = 40, TRACE_LINES_ALL = 4096,
    DOUBLE_EVERY = 16, /* so many seeds: one is run again, without Redis (I14)                      */
};

static const char USAGE[] =
    "usage: sim [--seed S] [--seeds N] [--seconds-max T] [--jobs J] [--expect NAMES] [--trace]\n"
    "  --seed S         the first seed (default 1); alone: this one only\n"
    "  --seeds N        how many (default 10000)\n"
    "  --seconds-max T  begin no seed after so many seconds\n"
    "  --jobs J         processes (default: processors, at most 2)\n"
    "  --expect NAMES   a violation must be found, and its name begin with one of these, separated\n"
    "                   by commas: for bugs made on purpose\n"
    "  --trace          print the whole trace of the last seed\n";

struct options {
    uint64_t seed, seeds;
    double seconds_max;
    unsigned jobs;
    const char *expect;
    bool has_seed, has_seeds, wants_trace;
};

/* What the processes share. */
struct totals {
    uint64_t seeds, doubled;
    uint64_t digest; /* of all that happened: equal for equal seeds, however they are shared        */
    struct world_counts world;
    struct check_counts check;
};
static struct shared {
    _Atomic bool must_stop;
    _Atomic int failures;
    _Atomic bool is_as_expected;
    struct totals totals[JOBS_MAX];
} *s_shared;
static struct options s_options = { .seed = 1, .seeds = 10000 };

/* ---- a seed's failure --------------------------------------------------------------------------- */

static bool is_expected(const char *name)
{
    char list[256];
    snprintf(list, sizeof(list), "%s", s_options.expect);
    for (char *rest = list, *one; (one = strtok_r(rest, ",", &rest)) != NULL;)
        if (strncmp(name, one, strlen(one)) == 0)
            return true;
    return false;
}

static void report(const char *name, const char *text)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&bytes, &size);
    fprintf(file, "seed=%llu\n%s\n%s\nwhat the world and its workers said last:\n",
            (unsigned long long)world.seed, name, text);
    world_print_notes(file, TRACE_LINES / 2);
    fprintf(file, "what Kafka saw last:\n");
    sim_kafka_print_trace(file, s_options.wants_trace ? TRACE_LINES_ALL : TRACE_LINES / 2);
    fprintf(file, "again: sim --seed %llu --trace\n", (unsigned long long)world.seed);
    fclose(file);
    ssize_t written = write(STDOUT_FILENO, bytes, size);
    (void)written;
    free(bytes);
    if (s_options.expect && is_expected(name))
        s_shared->is_as_expected = true;
    s_shared->failures++;
    s_shared->must_stop = true;
}

static void on_assertion(const char *expression, const char *file, int line)
{
    char text[512];
    snprintf(text, sizeof(text), "%s:%d: %s", file, line, expression);
    report("I10 assertion", text);
    _exit(1);
}

static void on_signal(int number)
{
    report("I10 crash", strsignal(number));
    _exit(1);
}

/* ---- running ------------------------------------------------------------------------------------ */

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void add(struct totals *totals)
{
    struct check_counts check;
    uint64_t *to = (uint64_t *)&totals->world;
    const uint64_t *from = (const uint64_t *)&world.counts;
    static_assert(sizeof(struct world_counts) % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < sizeof(world.counts) / sizeof(uint64_t); i++)
        to[i] += from[i];
    check_counts(&check);
    to = (uint64_t *)&totals->check;
    from = (const uint64_t *)&check;
    for (size_t i = 0; i < sizeof(check) / sizeof(uint64_t); i++)
        to[i] += from[i];
    totals->seeds++;
}

/* The same seed without Redis must leave the same bytes everywhere. */
static void run_double(uint64_t seed, uint64_t expected)
{
    world_run(seed, false);
    if (!world.has_failed && world_fingerprint() != expected) {
        world_run(seed, true);
        world_fail(world_fingerprint() == expected ? "I14 cache" : "I8 the seed itself",
                   "two runs of the seed differ%s",
                   world_fingerprint() == expected ? " with Redis and without" : "");
    }
}

static bool run_seed(uint64_t seed, struct totals *totals)
{
    world_run(seed, true);
    uint64_t fingerprint = world_fingerprint();
    add(totals);
    totals->digest += fingerprint;
    if (!world.has_failed && seed % DOUBLE_EVERY == 0) {
        run_double(seed, fingerprint);
        totals->doubled++;
    }
    if (world.has_failed)
        report(world.failure, world.failure_text);
    return !world.has_failed;
}

static int run_share(unsigned job, double begin)
{
    pl_assert_set_handler(on_assertion);
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    check_open();
    for (uint64_t i = job; i < s_options.seeds && !s_shared->must_stop; i += s_options.jobs) {
        if (s_options.seconds_max > 0 && seconds() - begin > s_options.seconds_max)
            break;
        if (!run_seed(s_options.seed + i, &s_shared->totals[job]))
            break;
    }
    if (s_options.wants_trace && !world.has_failed)
        sim_kafka_print_trace(stdout, TRACE_LINES_ALL);
    world_end();
    check_close();
    fflush(stdout);
    return 0;
}

static void run_all(double begin)
{
    pid_t children[JOBS_MAX];
    if (s_options.jobs == 1) {
        run_share(0, begin);
        return;
    }
    for (unsigned i = 0; i < s_options.jobs; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(run_share(i, begin));
    }
    for (unsigned i = 0; i < s_options.jobs; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        if (!WIFEXITED(status))
            s_shared->failures++;
    }
}

/* ---- the report --------------------------------------------------------------------------------- */

static void print_totals(double spent_s)
{
    struct totals sum = { 0 };
    uint64_t *to = (uint64_t *)&sum;
    for (unsigned i = 0; i < s_options.jobs; i++)
        for (size_t k = 0; k < sizeof(sum) / sizeof(uint64_t); k++)
            to[k] += ((const uint64_t *)&s_shared->totals[i])[k];
    printf("{\"seeds\":%llu,\"doubled\":%llu,\"digest\":\"%016llx\",\"seconds\":%.1f,"
           "\"seeds_per_minute\":%.0f,"
           "\"turns\":%llu,\"starts\":%llu,\"deaths\":%llu,\"kills_in_calls\":%llu,",
           (unsigned long long)sum.seeds, (unsigned long long)sum.doubled,
           (unsigned long long)sum.digest, spent_s,
           (double)sum.seeds * 60 / spent_s, (unsigned long long)sum.world.turns,
           (unsigned long long)sum.world.starts, (unsigned long long)sum.world.deaths,
           (unsigned long long)sum.world.kills_in_calls);
    printf("\"records\":%llu,\"entries\":%llu,\"heartbeats\":%llu,\"orders\":%llu,\"alerts\":%llu,"
           "\"states\":%llu,\"dead_letters\":%llu,\"evaluations\":%llu,\"below\":%llu,"
           "\"calls\":%llu,\"braked\":%llu,\"replayed\":%llu,",
           (unsigned long long)sum.check.records, (unsigned long long)sum.check.entries,
           (unsigned long long)sum.check.heartbeats, (unsigned long long)sum.check.orders,
           (unsigned long long)sum.check.alerts, (unsigned long long)sum.check.states,
           (unsigned long long)sum.check.dead_letters, (unsigned long long)sum.check.evaluations,
           (unsigned long long)sum.check.below, (unsigned long long)sum.check.calls,
           (unsigned long long)sum.check.braked,
           (unsigned long long)sum.check.replayed);
    printf("\"fills\":%llu,\"reports\":%llu,\"refused\":%llu,\"silent\":%llu,\"cache_puts\":%llu,"
           "\"torn_noticed\":%llu,\"faults\":{",
           (unsigned long long)sum.world.fills, (unsigned long long)sum.world.reports,
           (unsigned long long)sum.world.refused, (unsigned long long)sum.world.silent,
           (unsigned long long)sum.world.cache_puts, (unsigned long long)sum.world.torn);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        printf("%s\"%s\":%llu", i ? "," : "", world_fault_names[i],
               (unsigned long long)sum.world.faults[i]);
    printf("},\"fatal\":{");
    for (int i = 0; i <= PL_FATAL_SYSTEM - PL_FATAL_CONFIG; i++)
        printf("%s\"%s\":%llu", i ? "," : "", pl_err_name((enum pl_err)(PL_FATAL_CONFIG + i)),
               (unsigned long long)sum.world.fatal[i]);
    printf("},\"failures\":%d}\n", s_shared->failures);
}

static bool parse(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "seed", required_argument, NULL, 's' }, { "seeds", required_argument, NULL, 'n' },
        { "seconds-max", required_argument, NULL, 't' }, { "jobs", required_argument, NULL, 'j' },
        { "expect", required_argument, NULL, 'e' }, { "trace", no_argument, NULL, 'T' },
        { NULL, 0, NULL, 0 } };
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (option) {
        case 's': s_options.seed = strtoull(optarg, NULL, 10); s_options.has_seed = true; break;
        case 'n': s_options.seeds = strtoull(optarg, NULL, 10); s_options.has_seeds = true; break;
        case 't': s_options.seconds_max = strtod(optarg, NULL); break;
        case 'j': s_options.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'e': s_options.expect = optarg; break;
        case 'T': s_options.wants_trace = true; break;
        default: return false;
        }
    }
    if (s_options.has_seed && !s_options.has_seeds)
        s_options.seeds = 1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (s_options.jobs == 0)
        s_options.jobs = processors < 2 ? 1 : 2;
    if (s_options.seeds < s_options.jobs)
        s_options.jobs = 1;
    return optind == argc && s_options.jobs <= JOBS_MAX && s_options.seeds > 0;
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        fputs(USAGE, stderr);
        return 2;
    }
    s_shared = mmap(NULL, sizeof(*s_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pl_assert(s_shared != MAP_FAILED);
    double begin = seconds();
    run_all(begin);
    print_totals(seconds() - begin);
    if (s_options.expect) {
        if (!s_shared->is_as_expected)
            printf("expected a violation named %s\n", s_options.expect);
        return s_shared->is_as_expected ? 0 : 1;
    }
    return s_shared->failures ? 1 : 0;
}
