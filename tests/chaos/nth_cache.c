/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The N-th fault of lib/cache in a process of its own (see nth_cache.h). A cache may lose rows and
 * must never mix them up (T25): each row says whose it is and of which round, and after the last
 * round what is in Redis is a row that was written there. Whatever fails, the process does not
 * notice.
 */
#include "tests/chaos/nth_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cache/exposure.h"
#include "lib/service/process.h"
#include "tests/chaos/nth_points.h"

enum { ROUNDS = 3, ACCOUNTS = 3, ROUND_WAIT_MS = 4000, WAY_WAIT_S = 30, SITES_MAX = 32 };

static const char PASSWORD[] = "correct-horse-redis";

static bool split_address(char host[128], int *port)
{
    const char *redis = getenv("PLIMSOLL_TEST_REDIS");
    const char *colon = redis ? strchr(redis, ':') : NULL;
    if (!colon)
        return false;
    snprintf(host, 128, "%.*s", (int)(colon - redis), redis);
    *port = atoi(colon + 1);
    return true;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* Account a of round r: its equity says both. */
static void put_row(struct pl_cache *cache, unsigned account, unsigned round)
{
    struct pl_exposure exposure = { .sequence = round, .clock_ms = 1, .holdings_version = round,
                                    .state = PL_STATE_OK,
                                    .equity_vu = (pl_i128)(account * 100 + round) *
                                                 1000000000000,
                                    .ratios = { .debt_vu = PL_EXCESS_UNBOUNDED,
                                                .health = { account + 2, 3 } } };
    exposure.account.size_bytes =
        (uint8_t)snprintf(exposure.account.text, sizeof(exposure.account.text), "a%u", account);
    (void)pl_cache_put_exposure(cache, &exposure);
}

/* Until every row of the round has been written, refused or given up. */
static void wait_for_round(struct pl_cache *cache, unsigned round)
{
    struct pl_cache_counts counts = { 0 };
    for (int64_t until_ms = pl_mono_ms() + ROUND_WAIT_MS; pl_mono_ms() < until_ms; usleep(1000)) {
        pl_cache_counts(cache, &counts);
        if (counts.written + counts.refused + counts.failed >= (uint64_t)round * ACCOUNTS)
            return;
    }
}

int nth_cache_child(const char *prefix)
{
    char host[128];
    int port = 0;
    struct pl_cache *cache = NULL;
    if (!split_address(host, &port))
        return 1;
    const struct pl_cache_settings settings = { .host = host, .port = (uint16_t)port,
                                                .password = PASSWORD, .prefix = prefix,
                                                .timeout_ms = 2000, .ttl_s = 60 };
    enum pl_err err = pl_cache_open(&cache, &settings);
    if (err) {
        fprintf(stderr, "%s: %s\n", pl_err_name(err), pl_err_text());
        return pl_err_exit_status(err);
    }
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned account = 0; account < ACCOUNTS; account++)
            put_row(cache, account, round);
        wait_for_round(cache, round);
    }
    pl_cache_close(&cache);
    return 0;
}

/* ---- the parent ------------------------------------------------------------------------------ */

struct run {
    const char *program, *plan, *prefix;
    char log[192], errors[192];
    int status; /* of waitpid */
};

static void run_child(struct run *run)
{
    unlink(run->log);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int errors = open(run->errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(errors, STDERR_FILENO);
        setenv("PL_NTH_PLAN", run->plan, 1);
        setenv("PL_NTH_LOG", run->log, 1);
        alarm(WAY_WAIT_S); /* a hang is a failure: SIGALRM */
        execl(run->program, run->program, "cache", run->prefix, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &run->status, 0);
}

static bool file_has(const char *path, const char *text)
{
    static char bytes[1 << 16];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(bytes, 1, sizeof(bytes) - 1, file) : 0;
    bytes[size] = '\0';
    if (file)
        fclose(file);
    return strstr(bytes, text) != NULL;
}

/* Which round a row is of, by its own word; 0 for no row, -1 for one that is somebody else's. */
static int round_of(redisContext *context, const char *prefix, unsigned account)
{
    redisReply *reply = redisCommand(context, "HMGET %s:exposure:a%u account order equity_usd "
                                     "health_factor debt_usd collateral_ratio", prefix, account);
    char expected_account[16], expected_order[64], expected_equity[32], expected_health[64];
    pl_decimal_print((account + 2) * 1000000 / 3, 6, expected_health); /* rounded down */
    int round = -1;
    bool is_absent = reply && reply->type == REDIS_REPLY_ARRAY &&
                     reply->element[0]->type == REDIS_REPLY_NIL;
    for (int r = 1; !is_absent && r <= ROUNDS && reply && reply->type == REDIS_REPLY_ARRAY; r++) {
        snprintf(expected_account, sizeof(expected_account), "a%u", account);
        snprintf(expected_order, sizeof(expected_order), "%020d.%020d", r, 1);
        snprintf(expected_equity, sizeof(expected_equity), "%u", account * 100 + (unsigned)r);
        if (strcmp(reply->element[0]->str, expected_account) == 0 &&
            strcmp(reply->element[1]->str, expected_order) == 0 &&
            strncmp(reply->element[2]->str, expected_equity, strlen(expected_equity)) == 0 &&
            strcmp(reply->element[3]->str, expected_health) == 0 &&
            reply->element[4]->type == REDIS_REPLY_NIL && /* no bound, no cell */
            reply->element[5]->type == REDIS_REPLY_NIL)
            round = r;
    }
    if (reply)
        freeReplyObject(reply);
    reply = redisCommand(context, "DEL %s:exposure:a%u", prefix, account);
    if (reply)
        freeReplyObject(reply);
    return is_absent ? 0 : round;
}

/* One failure costs one round at most, so the last or the one before it is there. */
static const char *judge(const struct run *run, bool is_hit)
{
    char host[128];
    int port = 0;
    if (WIFSIGNALED(run->status))
        return WTERMSIG(run->status) == SIGALRM ? "it hangs" : "it died of a signal";
    if (file_has(run->errors, PASSWORD))
        return "the password stands in what it says";
    if (WEXITSTATUS(run->status) != 0)
        return is_hit && WEXITSTATUS(run->status) == 3 && file_has(run->errors, "FATAL_SYSTEM") &&
                       file_has(run->errors, "cache")
                   ? NULL
                   : "its status is not the documented one";
    if (!split_address(host, &port))
        return "there is no Redis";
    redisContext *context = redisConnect(host, port);
    const char *wrong = context && !context->err ? NULL : "Redis does not answer";
    for (unsigned account = 0; !wrong && account < ACCOUNTS; account++) {
        int round = round_of(context, run->prefix, account);
        if (round < 0)
            wrong = "a row is not what was written";
        else if (round < (is_hit ? ROUNDS - 1 : ROUNDS))
            wrong = "rows are missing after the failure had passed";
    }
    if (context)
        redisFree(context);
    return wrong;
}

struct sum { unsigned places, runs, hits, failures; };

/* True while the planned failure came about. */
static bool run_point(struct run *run, const char *function, unsigned long site, unsigned n,
                      const char *mode, struct sum *sum)
{
    char plan[160], line[176];
    snprintf(plan, sizeof(plan), "%s %lx %u %s", function, site, n, mode);
    snprintf(line, sizeof(line), "hit %s\n", plan);
    run->plan = plan;
    run_child(run);
    bool is_hit = file_has(run->log, line);
    const char *wrong = judge(run, is_hit);
    sum->runs++;
    sum->hits += is_hit;
    if (wrong) {
        sum->failures++;
        printf("FAILED cache \"%s\": %s\n", plan, wrong);
    }
    return is_hit;
}

/* The places of the undisturbed run. */
static unsigned read_sites(const char *log, char functions[SITES_MAX][64],
                           unsigned long sites[SITES_MAX])
{
    char line[320], name[64];
    unsigned long site = 0;
    unsigned count = 0;
    FILE *file = fopen(log, "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "call %63s %lx", name, &site) != 2)
            continue;
        unsigned at = 0;
        while (at < count && (sites[at] != site || strcmp(functions[at], name) != 0))
            at++;
        if (at < count || count == SITES_MAX)
            continue;
        memcpy(functions[count], name, sizeof(name));
        sites[count++] = site;
    }
    if (file)
        fclose(file);
    return count;
}

bool nth_cache(const char *program, const char *dir)
{
    static char functions[SITES_MAX][64];
    static unsigned long sites[SITES_MAX];
    struct sum sum = { 0 };
    char prefix[64], host[128];
    int port = 0;
    struct run run = { .program = program, .plan = "", .prefix = prefix };
    if (!split_address(host, &port)) {
        printf("SKIPPED: the cache needs Redis: PLIMSOLL_TEST_REDIS is not set\n");
        return true;
    }
    snprintf(prefix, sizeof(prefix), "nth-cache-%d", (int)getpid());
    snprintf(run.log, sizeof(run.log), "%s/cache.log", dir);
    snprintf(run.errors, sizeof(run.errors), "%s/cache.err", dir);
    run_child(&run);
    const char *wrong = judge(&run, false);
    if (wrong)
        printf("FAILED cache undisturbed: %s\n", wrong);
    sum.places = read_sites(run.log, functions, sites);
    for (unsigned i = 0; !wrong && i < sum.places; i++) {
        unsigned at = 0;
        bool is_hit = true;
        while (strcmp(nth_functions[at].name, functions[i]) != 0)
            at++;
        for (unsigned n = 1; is_hit; n++)
            for (unsigned mode = 0; is_hit && nth_functions[at].modes[mode].name; mode++)
                is_hit = run_point(&run, functions[i], sites[i], n,
                                   nth_functions[at].modes[mode].name, &sum);
    }
    printf("cache: %u places, every N and mode: %u runs, %u hit, %u failed\n", sum.places, sum.runs,
           sum.hits, sum.failures);
    return !wrong && sum.failures == 0;
}
