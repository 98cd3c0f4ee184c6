/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll risk, what-if and parameters diff against the real pipeline on Apache Kafka, over the
 * lenders whose figures can be worked out by hand: account i owns 10 coins at 2,400 USD and owes 14,000 + 200 i dollars;
 * maintenance takes a fifth off the coins, end a quarter, a sale gives up 1 %. The same is said from
 * an exported bundle, and nothing is ever written. Last a shadow set is tried on the live stream and
 * promoted: only then it decides, and the whole log replays.
 *
 *   services ─► journal, … ─► plimsoll risk | what-if ─► this test
 *                        └──► plimsoll export DIR ─► the same --bundle DIR
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

enum { ACCOUNTS = 24, PARTITIONS = 4, PRICE_USD = 2400, FIRST_DEBT_USD = 14000, STEP_USD = 200,
       DEEPEST = ACCOUNTS - 1, ARGUMENTS_MAX = 16 };

static struct pipeline pipeline;
static struct process *liquidation;
static char bundle[256], path[256], healthy[32], deepest[32];

/* ---- the commands --------------------------------------------------------------------------- */

/* Standard output of the NULL-terminated command line; borrowed until the next call. */
static const char *run(int *status, const char *const *arguments)
{
    return pipeline_run(&pipeline, status, arguments);
}

/* The document, live; it must be what the bundle says at the same entry. */
static json_t *ask(const char *const *arguments)
{
    const char *line[ARGUMENTS_MAX];
    unsigned count = 0;
    while (arguments[count]) {
        line[count] = arguments[count];
        count++;
    }
    line[count++] = "--json";
    line[count] = NULL;
    json_t *document = json_loads(run(NULL, line), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    return document;
}

static const json_t *at(const json_t *document, const char *field, size_t place)
{
    const json_t *row = json_array_get(json_object_get(document, field), place);
    assert_non_null(row);
    return row;
}

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "(none)";
}

static long long number(const json_t *object, const char *field)
{
    assert_true(json_is_integer(json_object_get(object, field)));
    return json_integer_value(json_object_get(object, field));
}

/* A decimal string against whole units. */
static void is_usd(const json_t *object, const char *field, long long usd)
{
    char expected[32];
    const char *text = word(object, field);
    int size = snprintf(expected, sizeof(expected), "%lld.", usd);
    if (strncmp(text, expected, (size_t)size) != 0 ||
        strspn(text + size, "0") != strlen(text + size))
        fail_msg("%s is %s, not %lld", field, text, usd);
}

static const json_t *excess_of(const json_t *document, const char *side)
{
    const json_t *part = side ? json_object_get(document, side) : document;
    return json_object_get(json_object_get(part, "verdict"), "excess_usd");
}

static void start(void)
{
    static const char *const first_start[] = { "first_start=yes", "shadow.sweep_s=1", NULL };
    static const char *const position_start[] = { "first_start=yes", NULL };
    lenders_parameters(&pipeline, 1);
    struct process *price = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    struct process *position = pipeline_start(&pipeline, "position", 0, position_start, NULL,
                                              NULL);
    pipeline_wait_ready(&pipeline, price, 60);
    pipeline_wait_ready(&pipeline, position, 60);
    pipeline_price(&pipeline, "USD-T", 1, 0);
    pipeline_price(&pipeline, "COIN0", PRICE_USD, 0);
    liquidation = pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&pipeline, liquidation, 60);
    lenders_positions(&pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    lenders_account(0, 0, healthy);
    lenders_account(0, DEEPEST, deepest);
    sleep(4); /* decided on, and a heartbeat after it */
}

/* ---- risk account --------------------------------------------------------------------------- */

static void write_scenarios(const char *text)
{
    snprintf(path, sizeof(path), "%s/scenarios.json", pipeline.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* 24,000 less a fifth less 14,000; the line is 1,750. With the dollar's price moving instead, in ticks
 * of 0.0001, it is 19,200 / 14,000. Losses of 10 %, 20 % and -5 % of 24,000. */
static void check_account(void)
{
    write_scenarios("{\"scenarios\":[{\"scenario\":\"dip\",\"moves_ppm\":{\"COIN0\":-100000}},"
                    "{\"scenario\":\"crash\",\"moves_ppm\":{\"COIN0\":-400000,\"USD-T\":0}},"
                    "{\"scenario\":\"rise\",\"moves_ppm\":{\"COIN0\":50000}}]}");
    json_t *document = ask((const char *const[]){ "risk", "account", healthy, "--scenarios", path,
                                                  "--confidence", "66.6", NULL });
    is_usd(excess_of(document, NULL), "maintenance", 5200);
    const json_t *down = at(document, "distances", 0), *up = at(document, "distances", 1);
    const json_t *against = at(document, "distances", 2);
    assert_string_equal(word(down, "direction"), "down");
    assert_string_equal(word(down, "kind"), "reached");
    assert_int_equal(number(down, "distance_ppm"), 270833);
    assert_string_equal(word(down, "excess_usd"), "0.006400000000000000"); /* at 1,750.0008 */
    assert_int_equal(word(down, "excess_beyond_usd")[0], '-');
    assert_string_equal(word(up, "kind"), "never");
    assert_int_equal(number(against, "distance_ppm"), 270833);
    assert_int_equal(number(at(against, "moves", 0), "move_ppm"), -270833);
    assert_string_equal(word(document, "nearest"), "down");
    assert_string_equal(json_string_value(at(document, "steady", 0)), "USD-T");
    is_usd(at(document, "prices", 0), "excess_down_usd", 5200 - 192); /* a fifth less of 240 */
    is_usd(at(document, "prices", 0), "excess_up_usd", 5200 + 192);
    assert_string_equal(word(json_object_get(document, "worst_term"), "of"), "COIN0");
    is_usd(json_object_get(document, "worst_term"), "excess_usd", -4800);
    const json_t *netting = json_object_get(document, "netting");
    is_usd(netting, "requirement_usd", 4800); /* the debt asks for nothing, and is no hedge */
    is_usd(netting, "gross_requirement_usd", 4800);
    assert_int_equal(number(netting, "efficiency_ppm"), 0);
    const json_t *tail = json_object_get(document, "tail");
    assert_int_equal(number(tail, "rank"), 2); /* 1.002 of 3 scenarios, up */
    is_usd(tail, "pfe_usd", 2400);
    is_usd(tail, "es_usd", 6000);
    assert_int_equal(number(tail, "below"), 1);
    assert_string_equal(word(json_object_get(tail, "worst"), "scenario"), "crash");
    is_usd(json_object_get(tail, "worst"), "loss_usd", 9600);
    is_usd(json_object_get(tail, "worst"), "excess_usd", 5200 - 7680);
    json_decref(document);

    document = ask((const char *const[]){ "risk", "account", healthy, "--moves", "USD-T", "--steady",
                                          "COIN0", NULL });
    assert_string_equal(word(at(document, "distances", 0), "kind"), "never");
    /* A price of 1.37145 is 1.3714. */
    assert_int_equal(number(at(document, "distances", 1), "distance_ppm"), 371450);
    assert_string_equal(word(document, "nearest"), "up");
    json_decref(document);
}

static void refused(const char *const *arguments, int expected)
{
    int status = 0;
    run(&status, arguments);
    assert_int_equal(status, expected);
}

static void check_errors(void)
{
    refused((const char *const[]){ "risk", "account", "nobody", NULL }, 1);
    refused((const char *const[]){ "risk", "account", NULL }, 2);
    refused((const char *const[]){ "risk", "account", healthy, "--steady", "GOLD", NULL }, 2);
    refused((const char *const[]){ "risk", "account", healthy, "--confidence", "100", NULL }, 2);
    refused((const char *const[]){ "risk", "account", healthy, "--scenarios", "/none", NULL }, 2);
    write_scenarios("{\"scenarios\":[{\"scenario\":\"typo\",\"moves_ppm\":{\"COIN\":1}}]}");
    refused((const char *const[]){ "risk", "account", healthy, "--scenarios", path, NULL }, 2);
    refused((const char *const[]){ "risk", "book", "--scenarios", path, NULL }, 2);
    write_scenarios("{\"scenarios\":[{\"scenario\":\"deep\",\"moves_ppm\":{\"COIN0\":-1000001}}]}");
    refused((const char *const[]){ "risk", "account", healthy, "--scenarios", path, NULL }, 2);
    refused((const char *const[]){ "what-if", "nobody", NULL }, 1);
    refused((const char *const[]){ "what-if", healthy, "--trade", "GOLD=1", NULL }, 2);
    refused((const char *const[]){ "what-if", healthy, "--trade", "COIN0=1.000000001", NULL }, 2);
    refused((const char *const[]){ "what-if", healthy, "--price", "COIN0=1.00001", NULL }, 2);
    refused((const char *const[]){ "what-if", healthy, "--price", "COIN0=-5", NULL }, 2);
    refused((const char *const[]){ "what-if", healthy, "--transfer", "COIN0", NULL }, 2);
    refused((const char *const[]){ "what-if", healthy, "--parameters", "/none", NULL }, 2);
}

/* ---- risk book ------------------------------------------------------------------------------ */

/* One move of the market, from the closed form of lenders.c. */
static void check_move(const json_t *row, long long percent)
{
    long long price = PRICE_USD * (100 - percent) / 100, below = 0, bankrupt = 0, debt = 0;
    long long lots = 0;
    for (long long i = 0; i < ACCOUNTS; i++) {
        long long owed = FIRST_DEBT_USD + i * STEP_USD;
        if (8 * price >= owed) /* 10 coins less a fifth */
            continue;
        below++;
        debt += owed > 10 * price ? owed - 10 * price : 0;
        bankrupt += 99 * price < 10 * owed; /* all sold at 1 % less */
        lots += 99 * price < 10 * owed ? 1000000000 : lenders_expected_lots(price, owed);
    }
    char sold[64], expected[64];
    pl_decimal_print((pl_i128)lots * price, 8, expected);
    snprintf(sold, sizeof(sold), "%s", word(row, "sold_usd"));
    assert_int_equal(number(row, "move_ppm"), -10000 * percent);
    assert_int_equal(number(row, "below"), below);
    assert_int_equal(number(row, "bankrupt"), bankrupt);
    is_usd(row, "bad_debt_usd", debt);
    assert_memory_equal(sold, expected, strlen(expected));
}

static void check_book(void)
{
    json_t *document = ask((const char *const[]){ "risk", "book", NULL });
    assert_int_equal(number(document, "accounts"), ACCOUNTS);
    assert_int_equal(json_array_size(json_object_get(document, "partitions")), PARTITIONS);
    assert_int_equal(json_array_size(json_object_get(document, "moves")), 13);
    for (long long i = 0; i < 13; i++)
        check_move(at(document, "moves", (size_t)i), 5 * i);
    const json_t *debt = at(document, "assets", 1), *coin = at(document, "assets", 0);
    assert_string_equal(word(coin, "of"), "COIN0");
    is_usd(coin, "long_usd", ACCOUNTS * 24000);
    is_usd(coin, "short_usd", 0);
    assert_int_equal(number(coin, "holders"), ACCOUNTS);
    assert_int_equal(number(coin, "top_1_ppm"), 1000000 / ACCOUNTS);
    assert_string_equal(word(at(coin, "top", 0), "account"), "g0-0"); /* equal: by id */
    assert_string_equal(word(at(coin, "top", 1), "account"), "g0-1");
    assert_string_equal(word(at(coin, "top", 2), "account"), "g0-10");
    assert_string_equal(word(debt, "of"), "USD-T");
    is_usd(debt, "short_usd", ACCOUNTS * FIRST_DEBT_USD + STEP_USD * ACCOUNTS * (ACCOUNTS - 1) / 2);
    json_decref(document);
    const char *text = run(NULL, (const char *const[]){ "risk", "book", NULL });
    assert_non_null(strstr(text, "book        24 accounts\n"));
    assert_non_null(strstr(text, "  -60 % "));
}

/* ---- what-if -------------------------------------------------------------------------------- */

/* Of the deepest: 24,000 less a fifth less 18,600 is 600. */
static void check_what_if(void)
{
    json_t *document = ask((const char *const[]){ "what-if", deepest, "--transfer", "USD-T=1000.5",
                                                  "--transfer", "cash=-0.5", NULL });
    is_usd(excess_of(document, "before"), "maintenance", 600);
    is_usd(excess_of(document, "after"), "maintenance", 1600);
    assert_string_equal(word(json_object_get(document, "before"), "state"), "restricted");
    json_decref(document);

    document = ask((const char *const[]){ "what-if", deepest, "--trade", "COIN0=-1@2300", NULL });
    is_usd(excess_of(document, "after"), "maintenance", 9 * 1920 + 2300 - 18600);
    json_decref(document);
    document = ask((const char *const[]){ "what-if", deepest, "--trade", "COIN0=-1", NULL });
    is_usd(excess_of(document, "after"), "maintenance", 9 * 1920 + 2400 - 18600);
    const json_t *term = at(document, "terms", 0);
    assert_true(json_array_size(json_object_get(document, "terms")) == 3); /* value, cash, haircut */
    assert_true(strlen(word(term, "term")) > 0);
    json_decref(document);

    char quantity[64];
    document = ask((const char *const[]){ "what-if", deepest, "--price", "COIN0=2000", NULL });
    const json_t *plan = json_object_get(json_object_get(document, "after"), "plan");
    is_usd(excess_of(document, "after"), "maintenance", 16000 - 18600);
    assert_string_equal(word(json_object_get(document, "after"), "state"), "liquidating");
    assert_true(json_is_null(json_object_get(json_object_get(document, "before"), "plan")));
    pl_decimal_print(lenders_expected_lots(2000, 18600), 8, quantity);
    assert_string_equal(word(at(plan, "legs", 0), "quantity"), quantity);
    json_decref(document);
    document = ask((const char *const[]){ "what-if", deepest, "--price", "COIN0=-12.5%", NULL });
    is_usd(excess_of(document, "after"), "maintenance", 2100 * 8 - 18600);
    json_decref(document);
    const char *text = run(NULL, (const char *const[]){ "what-if", deepest, "--price", "COIN0=2000",
                                                        NULL });
    assert_non_null(strstr(text, "what if     price COIN0=2000\n"));
    assert_non_null(strstr(text, "would sell "));
}

/* What the service would do: nothing is sold of a halted account. */
static void check_halted(void)
{
    run(NULL, (const char *const[]){ "halt", "--account", deepest, "--reason", "asked", NULL });
    sleep(2); /* an entry that has read it */
    json_t *document = ask((const char *const[]){ "what-if", deepest, "--price", "COIN0=2000",
                                                  NULL });
    const json_t *after = json_object_get(document, "after");
    assert_string_equal(word(after, "state"), "liquidating");
    assert_true(json_is_null(json_object_get(after, "plan")));
    json_decref(document);
    run(NULL, (const char *const[]){ "resume", "--account", deepest, "--reason", "asked", NULL });
    sleep(2);
}

/* ---- the same from a bundle ----------------------------------------------------------------- */

static void check_bundle(void)
{
    static const char *const lines[][5] = { { "risk", "account", healthy, NULL },
                                            { "risk", "book", NULL },
                                            { "what-if", deepest, "--price", "COIN0=2000", NULL } };
    char time[32]; /* one that is over: live and copied have the same entry in force */
    snprintf(time, sizeof(time), "%lld", (long long)pl_now_ms() - 1000);
    snprintf(bundle, sizeof(bundle), "%s/bundle", pipeline.dir);
    run(NULL, (const char *const[]){ "export", bundle, NULL });
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *line[ARGUMENTS_MAX];
        unsigned count = 0;
        for (; lines[i][count]; count++)
            line[count] = lines[i][count];
        line[count++] = "--at";
        line[count++] = time;
        line[count] = NULL;
        json_t *live = ask(line);
        line[count++] = "--bundle";
        line[count++] = bundle;
        line[count] = NULL;
        json_t *copied = ask(line);
        assert_true(json_equal(live, copied));
        json_decref(live);
        json_decref(copied);
    }
}

/* ---- the dry run ----------------------------------------------------------------------------- */

/* The set in force with another maintenance haircut of the coin, as epoch 2. */
static void write_draft(void)
{
    snprintf(path, sizeof(path), "%s/parameters.json", pipeline.dir);
    json_t *set = json_load_file(path, 0, NULL);
    assert_non_null(set);
    json_object_set_new(set, "epoch", json_integer(2));
    json_t *coin = json_array_get(json_object_get(set, "instruments"), 0);
    json_object_set_new(json_object_get(coin, "haircut_long"), "maintenance",
                        json_integer(240000));
    snprintf(path, sizeof(path), "%s/draft.json", pipeline.dir);
    assert_int_equal(json_dump_file(set, path, 0), 0);
    json_decref(set);
}

/* Lines at 65, 70, 75 and 80 % of 24,000: 9 accounts are whole, 6 below alert, 6 below initial and 3,
 * owing 18,200 to 18,600, below the end tier. At 76 % two of them are below maintenance. */
static void check_difference(const char *const *arguments, const char *of)
{
    json_t *document = ask(arguments);
    assert_int_equal(number(document, "accounts"), ACCOUNTS);
    assert_int_equal(number(document, "changed"), 2);
    assert_int_equal(number(json_object_get(document, "to"), "epoch"), 2);
    assert_string_equal(word(json_object_get(document, "to"), "of"), of);
    assert_int_equal(json_array_size(json_object_get(document, "standings")), 5);
    const json_t *moved = at(document, "standings", 4), *change = at(document, "changes", 0);
    assert_int_equal(number(at(document, "standings", 0), "accounts"), 9);
    assert_string_equal(word(moved, "to"), "maintenance");
    assert_int_equal(number(moved, "accounts"), 2);
    assert_string_equal(word(change, "account"), "g0-22");
    assert_string_equal(word(change, "from"), "end");
    is_usd(change, "maintenance_excess_usd", 19200 - 18400);
    is_usd(change, "then_usd", 18240 - 18400);
    const json_t *charge = at(document, "requirements", 0);
    assert_string_equal(word(charge, "of"), "COIN0");
    is_usd(charge, "maintenance_usd", ACCOUNTS * 4800);
    is_usd(charge, "maintenance_then_usd", ACCOUNTS * 5760);
    is_usd(charge, "initial_usd", ACCOUNTS * 7200);
    is_usd(charge, "initial_then_usd", ACCOUNTS * 7200);
    json_decref(document);
}

static void wait_for_metric(const char *line)
{
    for (int i = 0; i < 300; i++) {
        if (strstr(pipeline_get(liquidation, "/metrics"), line))
            return;
        usleep(100000);
    }
    fail_msg("no \"%s\" in %s", line, pipeline_get(liquidation, "/metrics"));
}

static void check_dry_run(void)
{
    static struct pl_order orders[8];
    write_draft();
    refused((const char *const[]){ "parameters", "diff", NULL }, 1);
    refused((const char *const[]){ "parameters", "promote", "2", NULL }, 1);
    check_difference((const char *const[]){ "parameters", "diff", path, NULL }, path);
    run(NULL, (const char *const[]){ "parameters", "put", "--shadow", path, NULL });
    wait_for_metric("plimsoll_shadow_epoch 2\n");
    wait_for_metric("plimsoll_shadow_accounts{change=\"end_to_maintenance\"} 2\n");
    wait_for_metric("plimsoll_shadow_accounts{change=\"whole_to_whole\"} 9\n");
    sleep(2); /* an entry that has read it */
    check_difference((const char *const[]){ "parameters", "diff", NULL }, "shadow");
    /* Owes 20,000 in mode 1, which lends 86 % or more of 24,000 in both sets; its own lines would not. */
    lenders_in_mode(&pipeline, "moded", 1, 20000, 1);
    wait_for_metric("plimsoll_shadow_accounts{change=\"whole_to_whole\"} 10\n");
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ORDERS), 0);

    refused((const char *const[]){ "parameters", "promote", "3", NULL }, 2);
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ORDERS), 0);
    run(NULL, (const char *const[]){ "parameters", "promote", "2", NULL });
    assert_int_equal(pipeline_wait_orders(&pipeline, orders, 8, 2, 30), 2);
    refused((const char *const[]){ "parameters", "show", "shadow", NULL }, 1);
    assert_null(strstr(pipeline_get(liquidation, "/metrics"), "\nplimsoll_shadow_epoch"));
}

static void test_figures_are_those_of_the_closed_form(void **state)
{
    (void)state;
    if (!pipeline_open(&pipeline, "risk", PARTITIONS))
        skip();
    start();
    unsigned orders_before = pipeline_count(&pipeline, PL_TOPIC_ORDERS);
    check_account();
    check_errors();
    check_book();
    check_what_if();
    check_halted();
    check_bundle();
    assert_int_equal(pipeline_count(&pipeline, PL_TOPIC_ORDERS), orders_before);
    check_dry_run();
    pipeline_audit(&pipeline);
    pipeline_close(&pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_those_of_the_closed_form),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.risk needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not "
                "set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
