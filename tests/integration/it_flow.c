/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole flow on Apache Kafka and Redis with the real processes.
 *
 *   plimsoll publish ─► prices ─► plimsoll-price ─► marks ─────────┐
 *   plimsoll publish ─► positions ─► plimsoll-position ─► holdings ─► plimsoll-liquidation ─► orders
 *                            ▲                                            ▲          │
 *                            └──────── plimsoll simulate-fills ─ executions ◄────────┘
 *
 * Orders are compared with the closed form of lenders.c. The brake, modes. G1, G4, G5, G6, G7, G8.
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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/lenders.h"

enum { ACCOUNTS = 24, PARTITIONS = 4, ORDERS_MAX = 4096, BEFORE_USD = 2400, AFTER_USD = 2000,
       FIRST_DEBT_USD = 14000, STEP_USD = 200 };

static struct pl_order orders[ORDERS_MAX];
static const char *const first_start[] = { "first_start=yes", NULL };

struct world {
    struct pipeline pipeline;
    struct process *price, *position, *liquidation;
};

static bool open_world(struct world *world, const char *stem, unsigned coins)
{
    char coin[16];
    if (!pipeline_open(&world->pipeline, stem, PARTITIONS))
        return false;
    lenders_parameters(&world->pipeline, coins);
    world->price = pipeline_start(&world->pipeline, "price", 0, NULL, NULL, NULL);
    world->position = pipeline_start(&world->pipeline, "position", 0, first_start, NULL, NULL);
    pipeline_wait_ready(&world->pipeline, world->price, 60);
    pipeline_wait_ready(&world->pipeline, world->position, 60);
    pipeline_price(&world->pipeline, "USD-T", 1, 0);
    for (unsigned i = 0; i < coins; i++)
        pipeline_price(&world->pipeline, lenders_coin(i, coin), BEFORE_USD, 0);
    return true;
}

static void start_liquidation(struct world *world, const char *const *settings)
{
    world->liquidation = pipeline_start(&world->pipeline, "liquidation", 0, settings, NULL, NULL);
    pipeline_wait_ready(&world->pipeline, world->liquidation, 60);
}

static unsigned expected_count(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        count += lenders_expected_lots(AFTER_USD, FIRST_DEBT_USD + (int64_t)i * STEP_USD) > 0;
    return count;
}

static unsigned orders_of(unsigned count, const char *account)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        found += strcmp(orders[i].account.text, account) == 0;
    return found;
}

static int64_t lots_of(unsigned count, const char *account)
{
    int64_t lots = 0;
    for (unsigned i = 0; i < count; i++)
        lots += strcmp(orders[i].account.text, account) == 0 ? orders[i].lots : 0;
    return lots;
}

static void check_group(unsigned count, unsigned group)
{
    char account[32];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        int64_t expected = lenders_expected_lots(AFTER_USD, FIRST_DEBT_USD + (int64_t)i * STEP_USD);
        lenders_account(group, i, account);
        assert_int_equal(orders_of(count, account), expected > 0);
        for (unsigned o = 0; o < count; o++)
            if (strcmp(orders[o].account.text, account) == 0)
                assert_int_equal(orders[o].lots, expected);
    }
}

/* ---- sold, filled, cured --------------------------------------------------------------------- */

static json_t *newest_state(struct pipeline *pipeline, const char *account)
{
    char name[256];
    struct pl_record *rows = NULL;
    json_t *newest = NULL;
    size_t count =
        kafka_admin_read(pipeline_topic(pipeline, PL_TOPIC_ACCOUNTS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].key.size_bytes != strlen(account) ||
            memcmp(rows[i].key.data, account, rows[i].key.size_bytes) != 0)
            continue;
        json_decref(newest);
        assert_int_equal(pl_json_decode(PL_TOPIC_ACCOUNTS, rows[i].value, &newest), PL_OK);
    }
    kafka_admin_free(rows, count);
    return newest;
}

/* Fills come back, the reservation is released when the holdings show them, the episode ends; a
 * second worker that joins and leaves changes nothing. */
static void test_sold_filled_and_cured(void **state)
{
    struct world world = { 0 };
    char account[32];
    int status = 0;
    (void)state;
    if (!open_world(&world, "flow", 1))
        skip();
    start_liquidation(&world, first_start);
    pipeline_start_fills(&world.pipeline, NULL);
    lenders_positions(&world.pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(2);
    assert_int_equal(pipeline_orders(&world.pipeline, orders, ORDERS_MAX), 0);
    pipeline_price(&world.pipeline, "COIN0", AFTER_USD, 0);
    struct process *second =
        pipeline_start(&world.pipeline, "liquidation", 1, first_start, NULL, NULL);
    unsigned count =
        pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected_count(), 30);
    pipeline_wait_ready(&world.pipeline, second, 60);
    pipeline_end(second, SIGTERM);
    sleep(6);
    count = pipeline_orders(&world.pipeline, orders, ORDERS_MAX);
    check_group(count, 0);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        lenders_account(0, i, account);
        json_t *newest = newest_state(&world.pipeline, account);
        if (orders_of(count, account) == 0) {
            json_decref(newest);
            continue;
        }
        assert_non_null(newest);
        assert_int_equal(json_array_size(json_object_get(newest, "pending")), 0);
        assert_string_not_equal(json_string_value(json_object_get(newest, "state")),
                                "STATE_LIQUIDATING");
        json_decref(newest);
    }
    pipeline_run(&world.pipeline, &status, (const char *const[]){ "report", NULL });
    assert_int_equal(status, 0);
    assert_int_equal(pipeline_count(&world.pipeline, PL_TOPIC_DEADLETTER), 0);
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- the brake -------------------------------------------------------------------------------- */

/* What `plimsoll explain` says of an account at the entry that first made it wait, as of now. */
static void check_first_wait_is_explained(struct world *world)
{
    char name[256], account[PL_ID_BYTES_MAX + 1] = "", at[64] = "";
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(pipeline_topic(&world->pipeline, PL_TOPIC_ACCOUNTS, name), true,
                                    &rows);
    for (size_t i = 0; i < count && !*account; i++) {
        json_t *told = NULL;
        int32_t partition = 0;
        uint64_t sequence = 0;
        assert_int_equal(pl_json_decode(PL_TOPIC_ACCOUNTS, rows[i].value, &told), PL_OK);
        if (json_object_get(told, "braked_ms")) {
            assert_true(pl_wire_journal_of(rows[i].headers, rows[i].header_count, &partition, &sequence));
            snprintf(account, sizeof(account), "%.*s", (int)rows[i].key.size_bytes,
                     (const char *)rows[i].key.data);
            snprintf(at, sizeof(at), "sequence=%llu", (unsigned long long)sequence);
        }
        json_decref(told);
    }
    kafka_admin_free(rows, count);
    assert_true(*account);
    const char *told = pipeline_run(&world->pipeline, NULL, (const char *const[]){
        "explain", account, "--at", at, NULL });
    assert_true(strstr(told, "the brake holds back the rest until") ||
                strstr(told, "others have used what the brake lets pass"));
}

/* Of a partition in a window, with the order itself. */
static int64_t lots_beside(unsigned count, const struct pl_order *order, int64_t window_ms)
{
    int64_t lots = 0;
    for (unsigned i = 0; i < count; i++)
        if (orders[i].created_ms / window_ms == order->created_ms / window_ms &&
            pl_account_partition(&orders[i].account, PARTITIONS) ==
                pl_account_partition(&order->account, PARTITIONS))
            lots += orders[i].lots;
    return lots;
}

/* 13 accounts want 130,000 USD of one coin sold, and a partition may sell 10,000 a second: 5 coins at 2,000.
 * No window has more, everybody waits his turn and has it, and whoever asks is told why. */
static void test_the_brake_spreads_a_crash(void **state)
{
    enum { DEPTH_USD = 40000, WINDOW_MS = 1000, BUDGET_LOTS = 500000000 };
    struct world world = { 0 };
    char account[32];
    unsigned count = 0, last = 0;
    (void)state;
    if (!open_world(&world, "brake", 1))
        skip();
    lenders_braked_parameters(&world.pipeline, 1, DEPTH_USD, WINDOW_MS);
    start_liquidation(&world, first_start);
    pipeline_start_fills(&world.pipeline, NULL);
    lenders_positions(&world.pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(2);
    pipeline_price(&world.pipeline, "COIN0", AFTER_USD, 0);
    pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, 4, 30);
    do {
        last = count;
        sleep(2 * WINDOW_MS / 1000 + 1);
        count = pipeline_orders(&world.pipeline, orders, ORDERS_MAX);
    } while (count != last);
    assert_true(count > expected_count());
    for (unsigned i = 0; i < count; i++)
        assert_true(lots_beside(count, &orders[i], WINDOW_MS) <= BUDGET_LOTS);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        int64_t expected = lenders_expected_lots(AFTER_USD, FIRST_DEBT_USD + (int64_t)i * STEP_USD);
        lenders_account(0, i, account);
        int64_t sold = lots_of(count, account);
        json_t *newest = newest_state(&world.pipeline, account);
        /* Filled at its limit or better, each order leaves no more to the next ones than it has to. */
        assert_int_equal(sold > 0, expected > 0);
        assert_true(sold <= expected + (int64_t)orders_of(count, account));
        assert_null(json_object_get(newest, "braked_ms"));
        if (newest)
            assert_string_not_equal(json_string_value(json_object_get(newest, "state")),
                                    "STATE_LIQUIDATING");
        json_decref(newest);
    }
    check_first_wait_is_explained(&world);
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- modes ------------------------------------------------------------------------------------ */

/*
 * 20,000 USD of one coin against 17,000: sold in no mode, where 16,000 count, and not in mode 1, where 18,000
 * do. Against 18,001 it is sold there, too: 201 USD lack at the end line of 11 %, a coin sold brings 1,980 for
 * 1,780. In a mode that the set does not have nobody can say. Who leaves his mode is judged like everybody.
 */
static void test_a_mode_has_lines_of_its_own(void **state)
{
    struct world world = { 0 };
    char name[256];
    struct pl_record *rows = NULL;
    bool is_told = false;
    (void)state;
    if (!open_world(&world, "modes", 1))
        skip();
    start_liquidation(&world, first_start);
    lenders_in_mode(&world.pipeline, "outside", 0, 17000, 1);
    lenders_in_mode(&world.pipeline, "inside", 1, 17000, 1);
    lenders_in_mode(&world.pipeline, "below", 1, 18001, 1);
    lenders_in_mode(&world.pipeline, "unknown", 9, 19000, 1);
    sleep(2);
    pipeline_price(&world.pipeline, "COIN0", AFTER_USD, 0);
    unsigned count = pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, 2, 30);
    assert_int_equal(count, 2);
    assert_int_equal(lots_of(count, "outside"), lenders_expected_lots(AFTER_USD, 17000));
    assert_int_equal(lots_of(count, "below"), 100500000);
    const char *told = pipeline_run(&world.pipeline, NULL,
                                    (const char *const[]){ "explain", "below", NULL });
    assert_non_null(strstr(told, "in mode 1"));
    size_t alerts = kafka_admin_read(pipeline_topic(&world.pipeline, PL_TOPIC_ALERTS, name), true, &rows);
    for (size_t i = 0; i < alerts; i++) {
        json_t *alert = NULL;
        assert_int_equal(pl_json_decode(PL_TOPIC_ALERTS, rows[i].value, &alert), PL_OK);
        const json_t *doubt = json_array_get(json_object_get(alert, "doubts"), 0);
        const char *reason = json_string_value(json_object_get(doubt, "reason"));
        is_told = is_told || (strcmp(json_string_value(json_object_get(alert, "account")), "unknown") == 0 &&
                              reason && strcmp(reason, "REASON_MODE") == 0);
        json_decref(alert);
    }
    kafka_admin_free(rows, alerts);
    assert_true(is_told);
    lenders_in_mode(&world.pipeline, "inside", 0, 0, 2);
    count = pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, 3, 30);
    assert_int_equal(count, 3);
    assert_int_equal(lots_of(count, "inside"), lenders_expected_lots(AFTER_USD, 17000));
    assert_int_equal(lots_of(count, "unknown"), 0);
    assert_int_equal(pipeline_count(&world.pipeline, PL_TOPIC_DEADLETTER), 0);
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- G8 --------------------------------------------------------------------------------------- */

/* Reads the control topic's answer in the service's own metric: the halt has been seen. */
static void wait_halted(struct world *world, const char *wanted)
{
    for (int i = 0; i < 100; i++) {
        if (strstr(pipeline_get(world->liquidation, "/metrics"), wanted))
            return;
        usleep(100000);
    }
    fail_msg("the service does not show %s", wanted);
}

static void test_halt_stops_orders_and_resume_releases_them(void **state)
{
    struct world world = { 0 };
    (void)state;
    if (!open_world(&world, "halt", 1))
        skip();
    start_liquidation(&world, first_start);
    lenders_positions(&world.pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(2);
    pipeline_run(&world.pipeline, NULL,
                 (const char *const[]){ "halt", "--reason", "test", "--actor", "tester", NULL });
    wait_halted(&world, "plimsoll_halt_active 1");
    pipeline_price(&world.pipeline, "COIN0", AFTER_USD, 0);
    sleep(3);
    assert_int_equal(pipeline_orders(&world.pipeline, orders, ORDERS_MAX), 0);
    assert_true(pipeline_count(&world.pipeline, PL_TOPIC_ALERTS) > 0); /* verdicts go on */
    /* A halt outlives the worker. */
    pipeline_end(world.liquidation, SIGKILL);
    start_liquidation(&world, first_start);
    sleep(2);
    assert_int_equal(pipeline_orders(&world.pipeline, orders, ORDERS_MAX), 0);
    pipeline_run(&world.pipeline, NULL, (const char *const[]){ "resume", "--reason", "test", NULL });
    unsigned count =
        pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected_count(), 30);
    check_group(count, 0);
    assert_int_equal(count, expected_count());
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- G6 --------------------------------------------------------------------------------------- */

static pid_t start_redis(int port)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", port);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "",
               "--appendonly", "no", NULL);
        _exit(127);
    }
    sleep(1);
    return pid;
}

/*
 * What people look up of an account that owes 14,000 USD on ten coins of 2,400: of 24,000 count 70 % at initial
 * and 80 % at maintenance.
 */
static void check_exposure(int port, const char *account)
{
    static const char *const cells[][2] = {
        { "account", "g2-0" }, { "state", "ok" }, { "uncertain", "no" },
        { "equity_usd", "10000.000000000000" }, { "gross_usd", "38000.000000000000" },
        { "initial_excess_usd", "2800.000000000000000000" },
        { "maintenance_excess_usd", "5200.000000000000000000" },
        { "collateral_usd", "24000.000000000000" }, { "debt_usd", "14000.000000000000" },
        { "collateral_ratio", "1.714285" }, { "over_collateral_ratio", "0.714285" },
        { "health_factor", "1.371428" }, { "initial_requirement_usd", "7200.000000000000000000" },
        { "maintenance_requirement_usd", "4800.000000000000000000" },
        { "alert_top_up_usd", "0.000000000000" } };
    for (unsigned i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        char line[256], said[128] = "";
        snprintf(line, sizeof(line), "redis-cli -p %d HGET t:exposure:%s %s", port, account, cells[i][0]);
        FILE *out = popen(line, "r");
        assert_non_null(out);
        if (fgets(said, sizeof(said), out))
            said[strcspn(said, "\n")] = '\0';
        pclose(out);
        if (strcmp(said, cells[i][1]) != 0)
            fail_msg("%s of %s is \"%s\", not %s", cells[i][0], account, said, cells[i][1]);
    }
}

/* Absent, speaking another protocol, stopped in mid-flow, killed: always the same orders. */
static void test_redis_changes_nothing(void **state)
{
    enum { ROUNDS = 4 };
    struct world world = { 0 };
    char port[ROUNDS][64], prefix[128];
    (void)state;
    if (!open_world(&world, "redis", ROUNDS))
        skip();
    int redis_port = 20000 + (int)(getpid() % 9000);
    snprintf(port[0], sizeof(port[0]), "redis.port=1");
    snprintf(port[1], sizeof(port[1]), "redis.port=%s", strrchr(world.pipeline.brokers, ':') + 1);
    snprintf(port[2], sizeof(port[2]), "redis.port=%d", redis_port);
    snprintf(port[3], sizeof(port[3]), "redis.port=%d", redis_port);
    snprintf(prefix, sizeof(prefix), "redis.prefix=%s", "t");
    pid_t redis = start_redis(redis_port);
    unsigned expected = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char coin[16];
        start_liquidation(&world, (const char *const[]){ "first_start=yes", "redis.host=127.0.0.1",
                                                         port[round], prefix,
                                                         "redis.timeout_ms=200", NULL });
        lenders_positions(&world.pipeline, round, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
        sleep(2);
        if (round == 2)
            check_exposure(redis_port, "g2-0");
        if (round >= 2)
            kill(redis, round == 2 ? SIGSTOP : SIGKILL);
        pipeline_price(&world.pipeline, lenders_coin(round, coin), AFTER_USD, 0);
        expected += expected_count();
        unsigned count =
            pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX, expected, 30);
        assert_int_equal(count, expected);
        check_group(count, round);
        pipeline_end(world.liquidation, SIGTERM);
        if (round == 2)
            kill(redis, SIGCONT);
    }
    waitpid(redis, NULL, 0);
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- G7 --------------------------------------------------------------------------------------- */

static void put(struct world *world, enum pl_topic topic, int partition, const char *key,
                const char *value)
{
    char name[256];
    kafka_admin_put(pipeline_topic(&world->pipeline, topic, name), partition, key, value);
}

static int32_t partition_of(const char *key)
{
    return pl_key_partition((const uint8_t *)key, strlen(key), PARTITIONS);
}

static const char *header_of(const struct pl_record *record, const char *name)
{
    static char text[512];
    for (unsigned i = 0; i < record->header_count; i++)
        if (strcmp(record->headers[i].name, name) == 0) {
            snprintf(text, sizeof(text), "%.*s", (int)record->headers[i].value.size_bytes,
                     (const char *)record->headers[i].value.data);
            return text;
        }
    return "";
}

/* Every dead letter says where it came from and why, and carries the bytes it came with. */
static unsigned check_dead_letters(struct world *world, const char *const *reasons)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(pipeline_topic(&world->pipeline, PL_TOPIC_DEADLETTER, name),
                                    true, &rows);
    for (; *reasons; reasons++) {
        bool is_found = false;
        for (size_t i = 0; i < count; i++)
            is_found |= strcmp(header_of(&rows[i], "plimsoll.error.code"), *reasons) == 0;
        if (!is_found)
            fail_msg("no dead letter for %s among %zu", *reasons, count);
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(header_of(&rows[i], "__connect.errors.topic")[0]);
        assert_true(header_of(&rows[i], "__connect.errors.partition")[0]);
        assert_true(header_of(&rows[i], "__connect.errors.offset")[0]);
        assert_true(header_of(&rows[i], "__connect.errors.exception.message")[0]);
    }
    kafka_admin_free(rows, count);
    return (unsigned)count;
}

static void test_bad_records_go_to_dead_letter_and_nothing_stops(void **state)
{
    struct world world = { 0 };
    char tainted[32], other[32];
    (void)state;
    if (!open_world(&world, "inputs", 1))
        skip();
    start_liquidation(&world, first_start);
    lenders_positions(&world.pipeline, 0, ACCOUNTS, FIRST_DEBT_USD, STEP_USD);
    sleep(2);
    lenders_account(0, ACCOUNTS - 1, tainted); /* deepest below its line after the crash */
    lenders_account(0, 0, other);
    put(&world, PL_TOPIC_PRICES, 0, "COIN0", "\xff\xff no price");
    put(&world, PL_TOPIC_PRICES, 0, NULL, "x");
    put(&world, PL_TOPIC_POSITIONS, partition_of(tainted), tainted, "\xff\xff no event");
    put(&world, PL_TOPIC_POSITIONS, (partition_of(other) + 1) % PARTITIONS, other, "elsewhere");
    put(&world, PL_TOPIC_POSITIONS, 0, NULL, "x");
    put(&world, PL_TOPIC_HOLDINGS, partition_of("nobody"), "nobody", "\xff");
    put(&world, PL_TOPIC_EXECUTIONS, partition_of(other), other, "\xff");
    put(&world, PL_TOPIC_CHAINS, 0, "ethereum", "\xff");
    put(&world, PL_TOPIC_PARAMETERS, 0, "base", "\xff");
    put(&world, PL_TOPIC_MARKS, 0, "COIN0", "\xff");
    sleep(3);
    pipeline_price(&world.pipeline, "COIN0", AFTER_USD, 0);
    unsigned count = pipeline_wait_orders(&world.pipeline, orders, ORDERS_MAX,
                                          expected_count() - 1, 30);
    assert_int_equal(orders_of(count, tainted), 0); /* G4: something about it was not understood */
    assert_int_equal(count, expected_count() - 1);
    static const char *const reasons[] = { "REJECT_MALFORMED", "REJECT_KEY", "REJECT_PARTITION",
                                           NULL };
    unsigned dead = check_dead_letters(&world, reasons);
    print_message("%u dead letters\n", dead);
    assert_true(dead >= 9);
    assert_true(pipeline_runs(world.price) && pipeline_runs(world.position) &&
                pipeline_runs(world.liquidation));
    /* Control that cannot be read halts; a readable resume ends that. */
    put(&world, PL_TOPIC_CONTROL, 0, "all", "\xff");
    wait_halted(&world, "plimsoll_halt_active 1");
    pipeline_run(&world.pipeline, NULL, (const char *const[]){ "resume", "--reason", "test", NULL });
    wait_halted(&world, "plimsoll_halt_active 0");
    pipeline_audit(&world.pipeline);
    pipeline_close(&world.pipeline);
}

/* ---- what the operator gets wrong --------------------------------------------------------------- */

static void test_wrong_starts_say_so(void **state)
{
    struct world world = { 0 };
    char command[512];
    (void)state;
    if (!pipeline_open(&world.pipeline, "starts", PARTITIONS))
        skip();
    /* No broker: it waits, says why, and never crashes. */
    world.liquidation = pipeline_start(
        &world.pipeline, "liquidation", 0,
        (const char *const[]){ "kafka.bootstrap.servers=127.0.0.1:1", "first_start=yes", NULL },
        NULL, NULL);
    sleep(8);
    assert_true(pipeline_runs(world.liquidation));
    const char *answer = pipeline_get(world.liquidation, "/readyz");
    assert_non_null(strstr(answer, " 503 "));
    assert_non_null(strstr(answer, "127.0.0.1:1"));
    assert_non_null(strstr(pipeline_get(world.liquidation, "/livez"), " 200 "));
    pipeline_end(world.liquidation, SIGTERM);
    /* No committed offsets and no first start: never skip, never guess (T20). */
    world.liquidation = pipeline_start(&world.pipeline, "liquidation", 1, NULL, NULL, NULL);
    lenders_parameters(&world.pipeline, 1);
    for (int i = 0; i < 200 && pipeline_runs(world.liquidation); i++)
        usleep(100000);
    assert_false(pipeline_runs(world.liquidation));
    snprintf(command, sizeof(command), "grep -q first_start=yes '%s'", world.liquidation->log);
    assert_int_equal(system(command), 0);
    /* A key that nobody knows. */
    struct process *wrong = pipeline_start(
        &world.pipeline, "position", 0, (const char *const[]){ "first_strat=yes", NULL }, NULL,
        NULL);
    int status = 0;
    waitpid(wrong->pid, &status, 0);
    wrong->pid = 0;
    assert_int_equal(WEXITSTATUS(status), 2);
    snprintf(command, sizeof(command), "grep -q first_start '%s'", wrong->log);
    assert_int_equal(system(command), 0);
    pipeline_close(&world.pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sold_filled_and_cured),
        cmocka_unit_test(test_the_brake_spreads_a_crash),
        cmocka_unit_test(test_a_mode_has_lines_of_its_own),
        cmocka_unit_test(test_halt_stops_orders_and_resume_releases_them),
        cmocka_unit_test(test_redis_changes_nothing),
        cmocka_unit_test(test_bad_records_go_to_dead_letter_and_nothing_stops),
        cmocka_unit_test(test_wrong_starts_say_so),
    };
    if (!getenv("PLIMSOLL_TEST_KAFKA")) {
        fprintf(stderr, "SKIPPED: integration.flow needs Apache Kafka: PLIMSOLL_TEST_KAFKA is not "
                "set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
