/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-audit on the real service: with a search that has a blind spot, everybody else is sold, the
 * audit finds the one that was left out, the partition stops and says so, stays stopped after a restart,
 * and goes on when an operator says resume; then nobody has been missed and nobody was sold twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/lenders.h"

enum { ACCOUNTS = 8, DEBT_USD = 17000, BEFORE_USD = 3000, AFTER_USD = 2000, WAIT_S = 40 };

static const char *const first_start[] = { "first_start=yes", NULL };
static const char *const settings[] = { "first_start=yes", "audit.sweep_s=2", NULL };
static struct pl_order orders[256];

static void wait_for(const struct process *process, const char *path, const char *text)
{
    for (int i = 0; i < WAIT_S * 5; i++) {
        if (strstr(pipeline_get(process, path), text))
            return;
        usleep(200000);
    }
    fail_msg("%s never says \"%s\" but: %s", path, text, pipeline_get(process, path));
}

static unsigned count_of(const char *account, unsigned count)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        found += strcmp(orders[i].account.text, account) == 0;
    return found;
}

static void a_blind_spot_stops_the_partition(void **state)
{
    struct pipeline pipeline;
    char coin[16], blind[32];
    (void)state;
    if (!pipeline_open(&pipeline, "self-audit", 1))
        skip();
    lenders_account(0, 3, blind);
    setenv("PL_BLIND_ACCOUNT", blind, 1);
    lenders_parameters(&pipeline, 1);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, WAIT_S);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    pipeline_price(&pipeline, lenders_coin(0, coin), BEFORE_USD, 0);
    pipeline_wait_ready(&pipeline, position, WAIT_S);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, settings, NULL, "blind");
    pipeline_wait_ready(&pipeline, liquidation, WAIT_S);
    lenders_positions(&pipeline, 0, ACCOUNTS, DEBT_USD, 0);
    sleep(4); /* whole sweeps find nothing wrong while there is nothing to do */
    assert_non_null(strstr(pipeline_get(liquidation, "/metrics"),
                           "plimsoll_self_audit_divergences_total 0"));

    pipeline_price(&pipeline, coin, AFTER_USD, 0);
    wait_for(liquidation, "/metrics", "plimsoll_self_audit_divergences_total 1");
    wait_for(liquidation, "/readyz", "1 were stopped by the self-audit");
    unsigned count = pipeline_wait_orders(&pipeline, orders, 256, ACCOUNTS - 1, WAIT_S);
    assert_int_equal(count_of(blind, count), 0);
    assert_int_equal(count, ACCOUNTS - 1);

    pipeline_end(liquidation, SIGKILL);
    liquidation = pipeline_start(&pipeline, "liquidation", 0, settings, NULL, NULL);
    wait_for(liquidation, "/readyz", "1 were stopped by the self-audit");
    sleep(2);
    assert_int_equal(pipeline_orders(&pipeline, orders, 256), ACCOUNTS - 1);

    pipeline_run(&pipeline, NULL,
                 (const char *const[]){ "resume", "--reason", "the search is mended", NULL });
    pipeline_wait_ready(&pipeline, liquidation, WAIT_S);
    count = pipeline_wait_orders(&pipeline, orders, 256, ACCOUNTS, WAIT_S);
    assert_int_equal(count_of(blind, count), 1);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char account[32];
        assert_int_equal(count_of(lenders_account(0, i, account), count), 1);
    }
    int status = 0;
    pipeline_run(&pipeline, NULL, (const char *const[]){ "verify", NULL });
    const char *output =
        pipeline_run(&pipeline, &status, (const char *const[]){ "replay", NULL });
    assert_int_equal(status, 1);
    assert_non_null(strstr(output, blind));
    pipeline_close(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_blind_spot_stops_the_partition) };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr,
                "SKIPPED: chaos.self_audit needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
