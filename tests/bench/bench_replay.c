/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an audit takes: one partition's day, one entry and one mark of each of 16 coins a
 * minute, replayed on one core, every account decided and verified at every entry. Beside it, in
 * the same run, one plain pl_evaluate of the same accounts: the least that deciding can cost.
 * Prints one JSON line.
 *
 *   bench_replay [ACCOUNTS [MINUTES]]        default 100000 1440, a whole day
 *
 * day_s is what 1440 entries over 100,000 accounts take at this rate.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "services/cli/replay.h"
#include "tests/support/audit_log.h"

enum { COINS = 16, EVALUATE_PASSES = 5, DAY_MINUTES = 1440, DAY_ACCOUNTS = 100000 };

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void must(enum pl_err err)
{
    if (!err)
        return;
    fprintf(stderr, "bench_replay: %s\n", pl_err_text());
    exit(1);
}

/* Nanoseconds of one exact evaluation of one tier, over all accounts of the book. */
static double evaluate_ns(struct replay *replay, double *legs)
{
    const struct pl_book *book = replay_ledger(replay)->book;
    const struct pl_market *market = replay_venue(replay)->market;
    uint32_t count = pl_book_count(book), leg_count = 0, done = 0;
    volatile uint64_t sink = 0;
    double start = now_s();
    for (int pass = 0; pass < EVALUATE_PASSES; pass++)
        for (uint32_t row = 0; row < count; row++) {
            const struct pl_account *account = pl_book_at(book, row);
            const struct pl_portfolio portfolio = {.legs = pl_book_legs(book, row),
                                                   .leg_count = account->leg_count,
                                                   .cash_vu = account->cash_vu,
                                                   .final_cash_vu = account->final_cash_vu};
            pl_i128 excess = 0;
            if (pl_evaluate(market, &portfolio, PL_TIER_MAINTENANCE, &excess))
                sink += (uint64_t)excess;
            leg_count += account->leg_count;
            done++;
        }
    *legs = (double)leg_count / done;
    return (now_s() - start) * 1e9 / done;
}

int main(int count, char **arguments)
{
    const uint32_t accounts = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : DAY_ACCOUNTS;
    const unsigned minutes = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : DAY_MINUTES;
    const struct audit_log_options options = {.seed = 1,
                                              .partition_count = 1,
                                              .account_count = accounts,
                                              .coin_count = COINS,
                                              .step_count = minutes,
                                              .heartbeat_steps = 1,
                                              .step_ms = 60000,
                                              .is_quiet = true};
    const struct replay_limits limits = {.accounts_max = accounts + 16};
    struct audit_log log;
    struct replay *replay = NULL;
    struct rusage usage;
    bool found = true;
    double legs = 0;
    if (accounts == 0 || minutes == 0)
        return 2;
    audit_log_build(&log, &options);
    struct bundle *bundle = audit_log_bundle(&log);
    audit_log_free(&log);
    must(replay_open(&replay, bundle, 0, &limits));
    must(replay_next(replay, &found)); /* the first one reads the whole book */
    double start = now_s();
    while (found)
        must(replay_next(replay, &found));
    double replay_s = now_s() - start;
    const struct replay_counts counts = replay_counts(replay);
    uint64_t decided = counts.accounts - accounts;
    double account_ns = replay_s * 1e9 / (double)decided, plain_ns = evaluate_ns(replay, &legs);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\": \"replay\", \"accounts\": %" PRIu32 ", \"entries\": %" PRIu64
           ", \"legs\": %.2f, \"outputs\": %" PRIu64 ", \"seconds\": %.2f, "
           "\"accounts_per_s\": %.0f, \"account_ns\": %.0f, \"evaluate_ns\": %.1f, "
           "\"ratio\": %.1f, \"day_s\": %.1f, \"times_real_time\": %.0f, \"peak_mb\": %ld}\n",
           accounts, counts.entries, legs, counts.outputs, replay_s, 1e9 / account_ns, account_ns,
           plain_ns, account_ns / plain_ns, account_ns * 1e-9 * DAY_ACCOUNTS * DAY_MINUTES,
           (double)(minutes - 1) * 60 / replay_s, usage.ru_maxrss / 1024);
    replay_close(&replay);
    bundle_close(&bundle);
    return 0;
}
