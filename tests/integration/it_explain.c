/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll explain against the real pipeline on Apache Kafka: accounts are crashed, and what is
 * said of them afterwards is compared with the orders on the topic and the closed form of
 * lenders.c. The same is said from an exported bundle, and nothing is ever written.
 *
 *   services ─► journal, orders, alerts, accounts ─► plimsoll explain ─► this test
 *                                              └──► plimsoll export DIR ─► explain --bundle DIR
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/lenders.h"

enum { ACCOUNTS = 24, PARTITIONS = 4, ORDERS_MAX = 256, BEFORE_USD = 2400, AFTER_USD = 2000,
       FIRST_DEBT_USD = 14000, STEP_USD = 200, HEALTHY = 0, DEEPEST = ACCOUNTS - 1 };

static struct pipeline pipeline;
static struct pl_order orders[ORDERS_MAX];
static unsigned order_count;
static int64_t before_ms;
static char account[32], at[64];

/* ---- the command ---------------------------------------------------------------------------- */

/* Arguments after `explain`, NULL-terminated; the output lives until the next call. */
static const char *explain(int *status, const char *const *arguments)
{
    const char *line[16] = { "explain" };
    for (unsigned i = 0; arguments[i]; i++)
        line[i + 1] = arguments[i];
    int64_t from_ms = pl_mono_ms();
    const char *text = pipeline_run(&pipeline, status, line);
    print_message("explain %s: %lld ms\n", arguments[0], (long long)(pl_mono_ms() - from_ms));
    return text;
}

static json_t *explain_json(const char *const *arguments)
{
    json_t *document = json_loads(explain(NULL, arguments), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    return document;
}

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "(none)";
}

static long long number(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static const char *at_sequence(long long sequence)
{
    snprintf(at, sizeof(at), "sequence=%lld", sequence);
    return at;
}

/* ---- the crash ------------------------------------------------------------------------------ */

static void crash(void)
{
    static const char *const first_start[] = { "first_start=yes", NULL };
    lenders_parameters(&pipeline, 1);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    pipeline_price(&pipeline, "COIN0", BEFORE_USD, 0);
    struct process *liquidation =
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    lenders_positions(&pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(3);
    before_ms = pl_now_ms();
    sleep(2);
    pipeline_price(&pipeline, "COIN0", AFTER_USD, 0);
    unsigned expected = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        expected += lenders_expected_lots(AFTER_USD, FIRST_DEBT_USD + (int64_t)i * STEP_USD) > 0;
    order_count = pipeline_wait_orders(&pipeline, orders, ORDERS_MAX, expected, 30);
    assert_int_equal(order_count, expected);
    sleep(2); /* a heartbeat after the sales */
}

static const struct pl_order *order_of(const char *name)
{
    for (unsigned i = 0; i < order_count; i++)
        if (strcmp(orders[i].account.text, name) == 0)
            return &orders[i];
    fail_msg("no order of %s", name);
    return NULL;
}

/* ---- what is said --------------------------------------------------------------------------- */

/* The plan as it is told is the order as it was published. */
static void check_plan(const json_t *plan, const struct pl_order *order)
{
    char text[64];
    const json_t *leg = json_array_get(json_object_get(plan, "legs"), 0);
    assert_int_equal(json_array_size(json_object_get(plan, "legs")), order->leg_count);
    pl_uuid_print(order->order_id, text);
    assert_string_equal(word(leg, "order_id"), text);
    pl_decimal_print(order->lots, order->lot_decimals, text);
    assert_string_equal(word(leg, "quantity"), text);
    pl_decimal_print(order->limit_mantissa, (unsigned)-order->limit_exponent, text);
    assert_string_equal(word(leg, "limit_price"), text);
    assert_string_equal(word(leg, "instrument"), order->instrument.text);
    assert_int_equal(number(plan, "episode"), order->episode);
    assert_int_equal(number(plan, "revision"), order->revision);
    assert_int_equal(number(plan, "clock_ms"), order->created_ms);
    assert_true(json_is_true(json_object_get(plan, "reaches_target")));
    assert_int_equal(word(leg, "end_excess_one_lot_less_usd")[0], '-');
    assert_int_not_equal(word(plan, "end_excess_after_usd")[0], '-');
}

/* Now: the orders are pending, and the plan of the entry that sold is told. */
static long long check_now(void)
{
    const struct pl_order *order = order_of(account);
    json_t *document = explain_json((const char *const[]){ account, "--json", NULL });
    const json_t *plan = json_object_get(document, "plan");
    long long sequence = number(plan, "sequence");
    assert_string_equal(word(document, "reason"), "orders_pending");
    assert_string_equal(word(json_object_get(document, "state"), "state"), "liquidating");
    check_plan(plan, order);
    assert_true(number(json_object_get(document, "journal"), "sequence") > sequence);
    assert_int_equal(order->lots, lenders_expected_lots(AFTER_USD, FIRST_DEBT_USD +
                                                                       DEEPEST * STEP_USD));
    assert_true(json_array_size(json_object_get(document, "history")) > 0);
    assert_true(json_array_size(json_object_get(document, "alerts")) > 0);
    json_decref(document);
    return sequence;
}

/* At the entry that sold: 10 coins at 2000 against 18600 of debt, maintenance 20 %, end 25 %. */
static void check_sale(long long sequence)
{
    json_t *document = explain_json(
        (const char *const[]){ account, "--json", "--at", at_sequence(sequence), NULL });
    const json_t *plan = json_object_get(document, "plan");
    assert_string_equal(word(document, "reason"), "sold");
    assert_int_equal(number(json_object_get(document, "journal"), "sequence"), sequence);
    check_plan(plan, order_of(account));
    assert_string_equal(word(plan, "maintenance_excess_before_usd"), "-2600.000000000000000000");
    assert_string_equal(word(plan, "end_excess_before_usd"), "-3600.000000000000000000");
    json_decref(document);
    const char *text =
        explain(NULL, (const char *const[]){ account, "--at", at_sequence(sequence), NULL });
    char expected[64];
    snprintf(expected, sizeof(expected), "%s was liquidated at ", account);
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, "its maintenance excess was -2600 USD; ordered: sell "));
}

/* Before the crash: 24000 less a fifth less 18600 of debt. */
static void check_before(void)
{
    char time[32];
    snprintf(time, sizeof(time), "%lld", (long long)before_ms);
    json_t *document =
        explain_json((const char *const[]){ account, "--json", "--at", time, NULL });
    assert_string_equal(word(document, "reason"), "healthy");
    assert_non_null(strstr(word(document, "answer"), "its maintenance excess was +600 USD."));
    assert_true(json_is_null(json_object_get(document, "plan")));
    int64_t clock_ms = number(json_object_get(document, "journal"), "clock_ms");
    assert_true(clock_ms <= before_ms && clock_ms > before_ms - 3000);
    json_decref(document);
}

static void check_others(void)
{
    char healthy[32];
    int status = 0;
    lenders_account(0, HEALTHY, healthy);
    json_t *document = explain_json((const char *const[]){ healthy, "--json", NULL });
    assert_string_equal(word(document, "reason"), "healthy");
    assert_non_null(strstr(word(document, "answer"), "its maintenance excess was +2000 USD."));
    json_decref(document);
    const char *text = explain(&status, (const char *const[]){ "nobody", NULL });
    assert_int_equal(status, 1);
    assert_non_null(strstr(text, "nobody was unknown at "));
    explain(&status, (const char *const[]){ account, "--at", "soon", NULL });
    assert_int_equal(status, 2);
    explain(&status, (const char *const[]){ account, "--at", "2001-01-01T00:00:00Z", NULL });
    assert_int_equal(status, 2);
}

/* From a bundle, without Kafka, the same is said. */
static void check_bundle(long long sequence)
{
    char directory[256];
    snprintf(directory, sizeof(directory), "%s/bundle", pipeline.dir);
    pipeline_run(&pipeline, NULL, (const char *const[]){ "export", directory, NULL });
    json_t *live = explain_json(
        (const char *const[]){ account, "--json", "--at", at_sequence(sequence), NULL });
    json_t *copied = explain_json((const char *const[]){
        account, "--json", "--at", at_sequence(sequence), "--bundle", directory, NULL });
    assert_true(json_equal(live, copied));
    json_decref(live);
    json_decref(copied);
}

/* ---- what could be done --------------------------------------------------------------------- */

static json_t *optimise(int *status, const char *const *arguments)
{
    const char *line[16] = { "optimise" };
    for (unsigned i = 0; arguments[i]; i++)
        line[i + 1] = arguments[i];
    json_t *document = json_loads(pipeline_run(&pipeline, status, line), 0, NULL);
    assert_non_null(document);
    return document;
}

/* At the sale initial margin takes cash or coins, or selling coins for the debt; before the crash it
 * was not whole either, but maintenance was: then something may be taken out. */
static void check_optimise(long long sequence)
{
    char directory[256], time[32], healthy[32];
    int status = -1;
    snprintf(directory, sizeof(directory), "%s/bundle", pipeline.dir);
    snprintf(time, sizeof(time), "%lld", (long long)before_ms);
    json_t *live = optimise(&status, (const char *const[]){ account, "--json", "--at",
                                                            at_sequence(sequence), NULL });
    const json_t *answer = json_object_get(live, "optimise");
    assert_int_equal(status, 0);
    assert_true(json_is_false(json_object_get(answer, "reached")));
    assert_string_equal(word(json_array_get(json_object_get(answer, "top_up"), 0), "instrument"),
                        "cash");
    assert_true(json_array_size(json_object_get(answer, "swap")) > 0);
    assert_int_equal(json_array_size(json_object_get(answer, "withdrawals")), 0);
    json_t *copied = optimise(&status, (const char *const[]){
        account, "--json", "--at", at_sequence(sequence), "--bundle", directory, NULL });
    assert_true(json_equal(live, copied));
    json_decref(live);
    json_decref(copied);
    live = optimise(&status, (const char *const[]){ account, "--json", "--at", time, "--target",
                                                    "maintenance", NULL });
    answer = json_object_get(live, "optimise");
    assert_int_equal(status, 0);
    assert_true(json_is_true(json_object_get(answer, "reached")));
    assert_true(json_array_size(json_object_get(answer, "withdrawals")) > 0);
    json_decref(live);
    lenders_account(0, HEALTHY, healthy);
    live = optimise(&status, (const char *const[]){ healthy, "--json", "--target", "3.5", NULL });
    answer = json_object_get(live, "optimise");
    assert_string_equal(word(answer, "goal"), "3.500000");
    assert_true(json_is_false(json_object_get(answer, "reached")));
    json_decref(live);
    pipeline_run(&pipeline, &status, (const char *const[]){ "optimise", account, "--target", "0.9",
                                                            NULL });
    assert_int_equal(status, 2);
}

static void test_a_crash_is_explained(void **state)
{
    (void)state;
    if (!pipeline_open(&pipeline, "explain", PARTITIONS))
        skip();
    lenders_account(0, DEEPEST, account);
    crash();
    unsigned orders_before = pipeline_count(&pipeline, PL_TOPIC_ORDERS);
    long long sequence = check_now();
    check_sale(sequence);
    check_before();
    check_others();
    check_bundle(sequence);
    check_optimise(sequence);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ORDERS), orders_before);
    pipeline_close(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_crash_is_explained),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.explain needs Apache Kafka: PLIMSOLL_TEST_KAFKA is "
                "not set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
