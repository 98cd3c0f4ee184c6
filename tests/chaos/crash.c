/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 on the real processes against Apache Kafka (G1, G5): whatever dies at whatever point of its
 * step, the committed orders are those that an undisturbed run must give, worked out by hand: none
 * twice, none missing, none else. Then the journal of the whole affair verifies and replays.
 *
 *   prices ─► plimsoll-price ─► plimsoll-liquidation ◄─ plimsoll-position ◄─ positions
 *               kill -9              kill -9 × 5             kill -9 × 5
 *
 * Each round has a coin and a group of accounts of its own, so that what one round leaves behind cannot
 * help the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/lenders.h"

enum { ACCOUNTS = 24, PARTITIONS = 4, ORDERS_MAX = 4096, POINTS = 5, BEFORE_USD = 2400,
       AFTER_USD = 2000, FIRST_DEBT_USD = 14000, STEP_USD = 200, BORROWED_USD = 3000 };

static const char *const points[POINTS] = { "before_begin", "mid_produce", "before_offsets",
                                            "before_commit", "after_commit" };
static struct pl_order orders[ORDERS_MAX];

/* ---- expectation ---------------------------------------------------------------------------- */

static unsigned expected_count(int64_t price_usd, int64_t more_debt_usd)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        count += lenders_expected_lots(price_usd, FIRST_DEBT_USD + (int64_t)i * STEP_USD +
                                                      more_debt_usd) > 0;
    return count;
}

/* Exactly one order for each account of the group that must be sold, of exactly the least size. */
static void check_group(unsigned count, unsigned group, int64_t price_usd, int64_t more_debt_usd)
{
    char account[32], coin[16];
    lenders_coin(group, coin);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        int64_t debt = FIRST_DEBT_USD + (int64_t)i * STEP_USD + more_debt_usd;
        int64_t expected = lenders_expected_lots(price_usd, debt);
        unsigned found = 0;
        lenders_account(group, i, account);
        for (unsigned o = 0; o < count; o++) {
            if (strcmp(orders[o].account.text, account) != 0)
                continue;
            found++;
            assert_string_equal(orders[o].instrument.text, coin);
            assert_int_equal(orders[o].side, PL_SIDE_SELL);
            if (orders[o].lots != expected)
                fail_msg("%s: %lld lots instead of %lld", account, (long long)orders[o].lots,
                         (long long)expected);
        }
        if (found != (expected > 0))
            fail_msg("%s: %u orders instead of %d", account, found, expected > 0);
    }
}

/* ---- one world ------------------------------------------------------------------------------ */

struct world {
    struct pipeline pipeline;
    struct process *price, *position, *liquidation;
    char arm_path[256];
};

static const char *const first_start[] = { "first_start=yes", "heartbeat.interval_ms=3000",
                                           "transaction.timeout_ms=5000", NULL };
static const char *const position_start[] = { "first_start=yes", "transaction.timeout_ms=5000",
                                              NULL };

static void arm(struct world *world, bool is_armed)
{
    if (!is_armed) {
        unlink(world->arm_path);
        return;
    }
    FILE *file = fopen(world->arm_path, "w");
    assert_non_null(file);
    fclose(file);
}

/* The crash variant takes its point from the environment of this process. */
static struct process *start_crashing(struct world *world, const char *name, int slot,
                                      const char *point)
{
    const char *const *settings = strcmp(name, "position") == 0 ? position_start : first_start;
    setenv("PL_CRASH_POINT", point, 1);
    setenv("PL_CRASH_ARM", world->arm_path, 1);
    return pipeline_start(&world->pipeline, name, slot, settings, NULL, "crash");
}

static void wait_dead(struct process *process, int timeout_s)
{
    for (int i = 0; i < timeout_s * 20; i++) {
        if (!pipeline_runs(process))
            return;
        usleep(50000);
    }
    fail_msg("plimsoll-%s did not reach the point at which it dies", process->name);
}

static bool open_world(struct world *world, const char *stem, unsigned groups)
{
    char coin[16];
    if (!pipeline_open(&world->pipeline, stem, PARTITIONS))
        return false;
    snprintf(world->arm_path, sizeof(world->arm_path), "%s/arm", world->pipeline.dir);
    lenders_parameters(&world->pipeline, groups);
    world->price = pipeline_start(&world->pipeline, "price", 0, NULL, NULL, NULL);
    pipeline_wait_ready(&world->pipeline, world->price, 60);
    pipeline_price(&world->pipeline, "USD-T", 1, 0);
    for (unsigned group = 0; group < groups; group++)
        pipeline_price(&world->pipeline, lenders_coin(group, coin), BEFORE_USD, 0);
    return true;
}

static void load_group(struct world *world, unsigned group)
{
    lenders_positions(&world->pipeline, group, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(2);
}

static void crash_price(struct world *world, unsigned group, int64_t usd)
{
    char coin[16];
    pipeline_price(&world->pipeline, lenders_coin(group, coin), usd, 0);
}

/* ---- the rounds ------------------------------------------------------------------------------ */

static void test_liquidation_dies_at_five_points(void **state)
{
    struct world world = { 0 };
    (void)state;
    if (!open_world(&world, "crash-liquidation", POINTS))
        skip();
    world.position = pipeline_start(&world.pipeline, "position", 0, position_start, NULL, NULL);
    pipeline_wait_ready(&world.pipeline, world.position, 60);
    unsigned expected = 0;
    for (unsigned round = 0; round < POINTS; round++) {
        world.liquidation = start_crashing(&world, "liquidation", 0, points[round]);
        pipeline_wait_ready(&world.pipeline, world.liquidation, 60);
        load_group(&world, round);
        arm(&world, true);
        crash_price(&world, round, AFTER_USD);
        wait_dead(world.liquidation, 30);
        arm(&world, false);
        world.liquidation =
            pipeline_start(&world.pipeline, "liquidation", 0, first_start, NULL, NULL);
        expected += expected_count(AFTER_USD, 0);
        pipeline_wait_ready(&world.pipeline, world.liquidation, 60);
        unsigned count =
            pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected, 30);
        print_message("killed %s: %u orders, %u expected\n", points[round], count, expected);
        for (unsigned group = 0; group <= round; group++)
            check_group(count, group, AFTER_USD, 0);
        assert_int_equal(count, expected);
        pipeline_end(world.liquidation, SIGTERM);
    }
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

static void test_position_dies_at_five_points(void **state)
{
    struct world world = { 0 };
    (void)state;
    if (!open_world(&world, "crash-position", POINTS))
        skip();
    world.liquidation = pipeline_start(&world.pipeline, "liquidation", 0, first_start, NULL, NULL);
    unsigned expected = 0;
    for (unsigned round = 0; round < POINTS; round++) {
        world.position = start_crashing(&world, "position", 0, points[round]);
        pipeline_wait_ready(&world.pipeline, world.position, 60);
        load_group(&world, round);
        arm(&world, true);
        lenders_borrow(&world.pipeline, round, ACCOUNTS, BORROWED_USD, 2);
        wait_dead(world.position, 30);
        arm(&world, false);
        world.position =
            pipeline_start(&world.pipeline, "position", 0, position_start, NULL, NULL);
        pipeline_wait_ready(&world.pipeline, world.position, 60);
        pipeline_wait_ready(&world.pipeline, world.liquidation, 60);
        expected += expected_count(BEFORE_USD, BORROWED_USD);
        unsigned count =
            pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected, 30);
        print_message("killed %s: %u orders, %u expected\n", points[round], count, expected);
        for (unsigned group = 0; group <= round; group++)
            check_group(count, group, BEFORE_USD, BORROWED_USD);
        assert_int_equal(count, expected);
        pipeline_end(world.position, SIGTERM);
    }
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* The price service holds nothing but marks: killed at any moment it goes on above its last ones. */
static void test_price_dies_five_times(void **state)
{
    struct world world = { 0 };
    char coin[16];
    (void)state;
    if (!open_world(&world, "crash-price", POINTS))
        skip();
    world.position = pipeline_start(&world.pipeline, "position", 0, position_start, NULL, NULL);
    world.liquidation = pipeline_start(&world.pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&world.pipeline, world.position, 60);
    pipeline_wait_ready(&world.pipeline, world.liquidation, 60);
    unsigned expected = 0;
    for (unsigned round = 0; round < POINTS; round++) {
        load_group(&world, round);
        crash_price(&world, round, AFTER_USD);
        usleep(round * 15000);
        pipeline_end(world.price, SIGKILL);
        world.price = pipeline_start(&world.pipeline, "price", 0, NULL, NULL, NULL);
        pipeline_wait_ready(&world.pipeline, world.price, 60);
        crash_price(&world, round, AFTER_USD); /* feeds repeat themselves */
        for (unsigned group = round + 1; group < POINTS; group++)
            pipeline_price(&world.pipeline, lenders_coin(group, coin), BEFORE_USD, 0);
        expected += expected_count(AFTER_USD, 0);
        unsigned count =
            pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected, 30);
        for (unsigned group = 0; group <= round; group++)
            check_group(count, group, AFTER_USD, 0);
        assert_int_equal(count, expected);
    }
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/*
 * T1: a worker dies with its transaction open, its partitions go to others, and the group rebalances
 * again while they wait for the offsets to become stable. Both trap doors are here: restarting by
 * auto.offset.reset (orders twice or never), and deciding before the states are all read.
 */
static void test_rebalance_while_a_dead_transaction_is_pending(void **state)
{
    struct world world = { 0 };
    (void)state;
    if (!open_world(&world, "crash-rebalance", 1))
        skip();
    world.position = pipeline_start(&world.pipeline, "position", 0, position_start, NULL, NULL);
    pipeline_wait_ready(&world.pipeline, world.position, 60);
    world.liquidation = start_crashing(&world, "liquidation", 0, "before_commit");
    pipeline_wait_ready(&world.pipeline, world.liquidation, 60);
    load_group(&world, 0);
    arm(&world, true);
    crash_price(&world, 0, AFTER_USD);
    wait_dead(world.liquidation, 30);
    arm(&world, false);
    struct process *second =
        pipeline_start(&world.pipeline, "liquidation", 1, first_start, NULL, NULL);
    sleep(2);
    struct process *third =
        pipeline_start(&world.pipeline, "liquidation", 2, first_start, NULL, NULL);
    sleep(4);
    pipeline_end(second, SIGKILL); /* and once more, while they wait */
    struct process *fourth =
        pipeline_start(&world.pipeline, "liquidation", 3, first_start, NULL, NULL);
    pipeline_wait_ready(&world.pipeline, third, 60);
    pipeline_wait_ready(&world.pipeline, fourth, 60);
    unsigned expected = expected_count(AFTER_USD, 0);
    unsigned count = pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected, 40);
    check_group(count, 0, AFTER_USD, 0);
    assert_int_equal(count, expected);
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_liquidation_dies_at_five_points),
        cmocka_unit_test(test_position_dies_at_five_points),
        cmocka_unit_test(test_price_dies_five_times),
        cmocka_unit_test(test_rebalance_while_a_dead_transaction_is_pending),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: chaos.crash needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
