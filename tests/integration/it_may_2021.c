/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2021-05-19 through Apache Kafka and all three services: the accounts that Aave v2 really
 * liquidated that day, at the minute prices of that day, a day in about two minutes.
 *
 *   minute prices ─ plimsoll publish, 3 sources ─► price ─► marks ─┐
 *   liquidated accounts + healthy ones ─► position ─► holdings ─► liquidation ─► orders ─► test
 *                                   simulated fills ◄────────────────────────────┘
 *
 * An account is rebuilt from its first liquidation: by Aave's close factor the debt was twice what
 * was repaid, and its collateral such that its health factor was 1 at the price of that
 * liquidation. When each account crosses its line is worked out here, from the CSV and in plain
 * integers; then everybody who stays below is sold, nobody above it ever is, nothing is ordered
 * twice or on a price that is not one of the moments after the crossing, and the first sale of each
 * is the least (G1, G3, G5, G9).
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/service/process.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/pipeline.h"
#include "tests/support/real_data.h"

enum {
    MINUTES = 1440,
    SPEED = 800,              /* a minute in 75 ms */
    SHORT_MINUTES = 30,       /* who dips for less (2 s here) may be missed: marks are conflated */
    LATE_MINUTES = 40,        /* a first order may quote a price so long after that (3 s) */
    ACCOUNTS_MAX = 1024, ORDERS_MAX = 16384, SAMPLES = 8,
    NEVER = INT32_MAX,
};
static const int64_t DAY_MS = 1621382400000; /* 2021-05-19T00:00:00Z */
static const int64_t MICRO = 1000000;        /* lots, ticks, ppm     */
__extension__ typedef __int128 wide;

/* Collaterals with minute prices. */
static struct coin {
    const char *aave, *name;
    int64_t close[MINUTES + 1]; /* USD * 10^6; at minute 0 the close of 00:00            */
    int64_t low;
    struct aave_reserve reserve;
} coins[] = {
    { .aave = "WETH", .name = "ETH" },   { .aave = "WBTC", .name = "BTC" },
    { .aave = "LINK", .name = "LINK" },  { .aave = "AAVE", .name = "AAVE" },
    { .aave = "BAT", .name = "BAT" },
};
enum { COINS = sizeof(coins) / sizeof(coins[0]) };

static const char *const dollars[] = { "USDT", "USDC", "DAI", "GUSD", "TUSD", "BUSD", "SUSD" };
enum { DOLLARS = sizeof(dollars) / sizeof(dollars[0]) };

static struct account {
    char name[32];
    const struct coin *coin;
    const char *dollar;
    int64_t lots, debt_lots;
    bool is_healthy;          /* made up by us; never crosses                                     */
    int cross_minute;         /* NEVER: stays above                                               */
    int stay_minute;          /* from here on below for SHORT_MINUTES at least; NEVER: at no time */
    int real_minute;
    int sold_minute;          /* of the first order, by the price it quotes; NEVER: none          */
    int64_t sold_ticks, sold_lots, real_ticks;
    bool is_bankrupt;         /* the first order says so                                          */
    unsigned order_count, bankrupt_count;
} accounts[ACCOUNTS_MAX];
static unsigned account_count, skipped_collateral, skipped_debt, skipped_price, merged;

static char text[PIPELINE_TEXT_MAX];
static bool is_good = true;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            is_good = false;                                                                       \
            printf("FAILED: " __VA_ARGS__);                                                        \
            puts("");                                                                              \
        }                                                                                          \
    } while (0)

/* ---- the day --------------------------------------------------------------------------------- */

static void read_prices(void)
{
    struct csv csv;
    csv_open(&csv, "prices_2021-05-19_1m.csv");
    while (csv_next(&csv)) {
        int64_t minute = (csv_integer(&csv, "ts_ms") - DAY_MS) / 60000;
        for (int i = 0; i < COINS; i++)
            if (minute >= 0 && minute <= MINUTES &&
                strcmp(csv_text(&csv, "asset"), coins[i].name) == 0)
                coins[i].close[minute] = llroundl(csv_number(&csv, "price") * 1e6L);
    }
    for (int i = 0; i < COINS; i++) {
        struct coin *coin = &coins[i];
        coin->reserve = aave_v2_reserve(coin->aave);
        coin->low = INT64_MAX;
        for (int minute = 0; minute <= MINUTES; minute++) {
            if (coin->close[minute] == 0)
                printf("no price of %s at minute %d\n", coin->name, minute), exit(1);
            if (coin->close[minute] < coin->low)
                coin->low = coin->close[minute];
        }
    }
}

/* The feed: our assets only, and one quote of each dollar, which publish repeats every second. */
static void write_feed(const char *path)
{
    FILE *file = fopen(path, "w");
    for (int i = 0; i < DOLLARS; i++)
        fprintf(file, "%lld,%s,1\n", (long long)DAY_MS, dollars[i]);
    for (int minute = 0; minute <= MINUTES; minute++)
        for (int i = 0; i < COINS; i++)
            fprintf(file, "%lld,%s,%lld.%06lld\n", (long long)(DAY_MS + minute * 60000LL),
                    coins[i].name, (long long)(coins[i].close[minute] / MICRO),
                    (long long)(coins[i].close[minute] % MICRO));
    fclose(file);
}

/* ---- the book -------------------------------------------------------------------------------- */

/* Strictly below its line: equality is safe. Everything in 10^-18 USD. */
static bool is_below(const struct account *account, int64_t ticks)
{
    wide collateral = (wide)account->lots * ticks * account->coin->reserve.threshold_bps * 100;
    return collateral < (wide)account->debt_lots * MICRO * MICRO;
}

static int end_ppm(const struct aave_reserve *reserve)
{
    return (int)MICRO - 100 * reserve->threshold_bps + 10000;
}

/* What a liquidator buys for 1 he gets for 1 / bonus. */
static int discount_ppm(const struct aave_reserve *reserve)
{
    return (int)ceil(1e6 - 1e10 / reserve->bonus_bps);
}

/*
 * The least first sale at this price: (lots - y) * ticks * (1 - end) + y * limit >= debt. All of
 * it, if even that does not pay the debt.
 */
static int64_t least_sale(const struct account *account, int64_t ticks, bool *is_bankrupt)
{
    const struct aave_reserve *reserve = &account->coin->reserve;
    const wide kept = (wide)ticks * (MICRO - end_ppm(reserve));
    const wide limit = (wide)ticks * (MICRO - discount_ppm(reserve)) / MICRO * MICRO;
    const wide missing = (wide)account->debt_lots * MICRO * MICRO - account->lots * kept;
    *is_bankrupt = account->lots * limit < (wide)account->debt_lots * MICRO * MICRO;
    return *is_bankrupt ? account->lots : (int64_t)((missing + limit - kept - 1) / (limit - kept));
}

static void find_crossing(struct account *account)
{
    int run = 0;
    account->cross_minute = account->stay_minute = account->sold_minute = NEVER;
    for (int minute = 0; minute <= MINUTES; minute++) {
        run = is_below(account, account->coin->close[minute]) ? run + 1 : 0;
        if (run > 0 && account->cross_minute == NEVER)
            account->cross_minute = minute;
        if (run == SHORT_MINUTES && account->stay_minute == NEVER)
            account->stay_minute = minute - run + 1;
    }
}

/* Collateral worth its debt at the threshold, when the coin is at `line_ticks`. */
static void add_account(struct account account, long double line_ticks)
{
    if (account_count == ACCOUNTS_MAX)
        printf("more than %d accounts\n", ACCOUNTS_MAX), exit(1);
    account.lots = (int64_t)((long double)account.debt_lots * 1e10L /
                             (line_ticks * account.coin->reserve.threshold_bps));
    find_crossing(&account);
    accounts[account_count++] = account;
}

static bool is_known(const char *name)
{
    for (unsigned i = 0; i < account_count; i++)
        if (strcmp(accounts[i].name, name) == 0)
            return true;
    return false;
}

static void read_liquidation(const struct csv *csv)
{
    struct account account = { 0 };
    snprintf(account.name, sizeof(account.name), "%s", csv_text(csv, "account"));
    for (int i = 0; i < COINS; i++)
        if (strcmp(csv_text(csv, "collateral_asset"), coins[i].aave) == 0)
            account.coin = &coins[i];
    for (int i = 0; i < DOLLARS; i++)
        if (strcmp(csv_text(csv, "debt_asset"), dollars[i]) == 0)
            account.dollar = dollars[i];
    if (!account.coin || !account.dollar) {
        skipped_collateral += !account.coin;
        skipped_debt += account.coin != NULL;
        return;
    }
    if (is_known(account.name)) {
        merged++;
        return;
    }
    /* The bonus that the amounts imply tells a price that is not the one liquidated at. */
    long double bonus = account.coin->reserve.bonus_bps / 1e4L;
    if (fabsl(csv_number(csv, "implied_bonus") / bonus - 1) > 0.005L) {
        skipped_price++;
        return;
    }
    long double line = csv_number(csv, "collateral_price_usd") / csv_number(csv, "debt_price_usd");
    account.debt_lots = llroundl(2 * csv_number(csv, "debt_amount") * 1e6L);
    account.real_minute = (int)((csv_integer(csv, "ts_ms") - DAY_MS) / 60000);
    account.real_ticks = llroundl(line * 1e6L);
    add_account(account, line * 1e6L);
}

static void read_book(void)
{
    struct csv csv;
    csv_open(&csv, "liquidations_aave_v2_2020-12_2022-04.csv");
    while (csv_next(&csv)) {
        int64_t time_ms = csv_integer(&csv, "ts_ms");
        if (time_ms >= DAY_MS && time_ms < DAY_MS + MINUTES * 60000LL)
            read_liquidation(&csv);
    }
    unsigned real = account_count;
    for (unsigned i = 0; i < real; i += 2) { /* half as many again, 20 % below the day's low */
        struct account account = accounts[i];
        snprintf(account.name, sizeof(account.name), "healthy-%u", i);
        account.is_healthy = true;
        add_account(account, 0.8L * (long double)account.coin->low);
    }
}

static void publish_book(struct pipeline *pipeline)
{
    size_t used = 0;
    for (unsigned i = 0; i < account_count; i++)
        used += (size_t)snprintf(
            text + used, sizeof(text) - used,
            "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":\"chain\","
            "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\","
            "\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":\"%s\",\"quantity\":{"
            "\"mantissa\":\"%lld\",\"exponent\":-6}},{\"instrument\":\"%s\",\"quantity\":{"
            "\"mantissa\":\"%lld\",\"exponent\":-6}}]}}\n", accounts[i].name,
            (long long)pl_now_ms(), accounts[i].coin->name, (long long)accounts[i].lots,
            accounts[i].dollar,
            (long long)-accounts[i].debt_lots);
    pipeline_publish(pipeline, text);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static size_t put_instrument(size_t used, const char *name, const struct aave_reserve *reserve)
{
    int maintenance = reserve ? (int)MICRO - 100 * reserve->threshold_bps : 0;
    int initial = reserve ? (int)MICRO - 100 * reserve->ltv_bps : 0;
    int end = reserve ? end_ppm(reserve) : 0;
    int discount = reserve ? discount_ppm(reserve) : 0;
    return used + (size_t)snprintf(
        text + used, sizeof(text) - used,
        "{\"instrument\":\"%s\",\"kind\":\"KIND_SPOT\",\"lot_decimals\":6,\"tick_decimals\":6,"
        "\"haircut_long\":{\"alert\":%d,\"initial\":%d,\"end\":%d,\"maintenance\":%d},"
        "\"haircut_short\":{\"alert\":0,\"initial\":0,\"end\":0,\"maintenance\":0},"
        "\"confidence_ppm\":0,\"sale_discount_ppm\":%d,\"price_rules\":{\"sources\":[\"a\",\"b\","
        "\"c\"],\"quorum\":2,\"age_ms_max\":30000,\"band_ppm\":300000,\"bad_mark_low_ppm\":0,"
        "\"bad_mark_high_ppm\":1500000}}", name, initial, initial, end, maintenance, discount);
}

static void publish_parameters(struct pipeline *pipeline)
{
    char path[256];
    size_t used = (size_t)snprintf(
        text, sizeof(text), "{\"epoch\":1,\"sources\":[{\"source\":\"chain\",\"settlement\":"
        "\"SETTLEMENT_APPLIED\"},{\"source\":\"simulated-fills\",\"settlement\":"
        "\"SETTLEMENT_APPLIED\"}],\"policies\":[{\"policy\":\"default\",\"liquidity_order\":[");
    for (int i = 0; i < COINS; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"%s\"", i ? "," : "",
                                 coins[i].name);
    used += (size_t)snprintf(
        text + used, sizeof(text) - used, "],\"order_valid_ms\":5000,\"order_overdue_ms\":10000,"
        "\"revision_pause_ms\":300,\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":10000,"
        "\"watermark_age_ms_max\":20000}],\"instruments\":[");
    for (int i = 0; i < COINS; i++) {
        used = put_instrument(used, coins[i].name, &coins[i].reserve);
        text[used++] = ',';
    }
    for (int i = 0; i < DOLLARS; i++) {
        used = put_instrument(used, dollars[i], NULL);
        text[used++] = i + 1 < DOLLARS ? ',' : ']';
    }
    snprintf(text + used, sizeof(text) - used, "}\n");
    snprintf(path, sizeof(path), "%s/parameters.json", pipeline->dir);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    pipeline_run(pipeline, NULL, (const char *const[]){ "parameters", "put", path, NULL });
}

/* ---- what was ordered ------------------------------------------------------------------------ */

static const char *field(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

/* The price of `instrument` that the order quotes, in ticks. */
static int64_t quoted_ticks(const json_t *order, const char *instrument)
{
    size_t index;
    const json_t *price;
    json_array_foreach(json_object_get(order, "prices"), index, price) {
        const json_t *decimal = json_object_get(price, "price");
        if (strcmp(field(price, "instrument"), instrument) == 0 &&
            json_integer_value(json_object_get(decimal, "exponent")) == -6)
            return strtoll(field(decimal, "mantissa"), NULL, 10);
    }
    return 0;
}

static struct account *account_of(const json_t *order)
{
    for (unsigned i = 0; i < account_count; i++)
        if (strcmp(accounts[i].name, field(order, "account")) == 0)
            return &accounts[i];
    return NULL;
}

/* The moment whose price it quotes, not before the crossing; NEVER when there is none. */
static int minute_of(const struct account *account, int64_t ticks)
{
    for (int minute = account->cross_minute; minute <= MINUTES; minute++)
        if (account->coin->close[minute] == ticks)
            return minute;
    return NEVER;
}

static void see_order(const json_t *order)
{
    struct account *account = account_of(order);
    CHECK(account, "an order for the unknown account %s", field(order, "account"));
    if (!account)
        return;
    bool is_bankrupt = strcmp(field(order, "reason"), "REASON_BANKRUPT") == 0;
    account->bankrupt_count += is_bankrupt;
    if (account->order_count++ > 0)
        return;
    account->is_bankrupt = is_bankrupt;
    account->sold_lots = strtoll(field(order, "lots"), NULL, 10);
    account->sold_ticks = quoted_ticks(order, account->coin->name);
    CHECK(strcmp(field(order, "instrument"), account->coin->name) == 0 &&
          strcmp(field(order, "side"), "SIDE_SELL") == 0, "%s: the order is not a sale of %s",
          account->name, account->coin->name);
    if (account->cross_minute != NEVER)
        account->sold_minute = minute_of(account, account->sold_ticks);
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* An account's orders are in one partition, in the order they were made. */
static unsigned read_orders(struct pipeline *pipeline)
{
    char name[256];
    static char *ids[ORDERS_MAX];
    struct pl_record *rows = NULL;
    size_t count = kafka_admin_read(pipeline_topic(pipeline, PL_TOPIC_ORDERS, name), true, &rows);
    CHECK(count <= ORDERS_MAX, "%zu orders", count);
    for (size_t i = 0; i < count && i < ORDERS_MAX; i++) {
        json_t *order = NULL;
        CHECK(!pl_json_decode(PL_TOPIC_ORDERS, rows[i].value, &order), "an order: %s",
              pl_err_text());
        see_order(order);
        ids[i] = strdup(field(order, "order_id"));
        json_decref(order);
    }
    qsort(ids, count, sizeof(ids[0]), by_text);
    for (size_t i = 1; i < count; i++)
        CHECK(strcmp(ids[i], ids[i - 1]) != 0, "order %s is there twice", ids[i]);
    kafka_admin_free(rows, count);
    return (unsigned)count;
}

/* ---- judgement ------------------------------------------------------------------------------- */

static void check_account(const struct account *account)
{
    bool is_bankrupt = false;
    if (account->cross_minute == NEVER) {
        CHECK(account->order_count == 0, "%s never crosses and is sold at %lld", account->name,
              (long long)account->sold_ticks);
        return;
    }
    if (account->order_count == 0) {
        CHECK(account->stay_minute == NEVER, "%s stays below from minute %d and is not sold",
              account->name, account->stay_minute);
        return;
    }
    CHECK(is_below(account, account->sold_ticks), "%s is sold at %lld, above its line",
          account->name, (long long)account->sold_ticks);
    int64_t least = least_sale(account, account->sold_ticks, &is_bankrupt);
    CHECK(account->sold_lots == least && account->is_bankrupt == is_bankrupt,
          "%s: %lld lots are sold first, %s; the least is %lld", account->name,
          (long long)account->sold_lots, account->is_bankrupt ? "bankrupt" : "not bankrupt",
          (long long)least);
    CHECK(account->sold_minute != NEVER, "%s is sold at %lld, which is no price after its crossing",
          account->name, (long long)account->sold_ticks);
    CHECK(account->stay_minute == NEVER ||
              account->sold_minute <= account->stay_minute + LATE_MINUTES,
          "%s stays below from minute %d and is first sold at minute %d", account->name,
          account->stay_minute, account->sold_minute);
}

static void print_clock(const char *title, int minute)
{
    if (minute == NEVER)
        printf("  %s   -  ", title);
    else
        printf("  %s %02d:%02d", title, minute / 60, minute % 60);
}

static void print_samples(void)
{
    unsigned printed = 0, step = account_count * 2 / 3 / SAMPLES;
    printf("some accounts:\n");
    for (unsigned i = 0; i < account_count && printed < SAMPLES; i += step ? step : 1, printed++) {
        const struct account *account = &accounts[i];
        printf("  %.16s  %12.4f %-4s / %14.2f %-4s line %10.3f", account->name,
               (double)account->lots / 1e6, account->coin->name, (double)account->debt_lots / 1e6,
               account->dollar, (double)account->real_ticks / 1e6);
        print_clock("liquidated", account->real_minute);
        print_clock("crosses", account->cross_minute);
        print_clock("sold", account->sold_minute);
        if (account->order_count)
            printf(" at %.3f", (double)account->sold_ticks / 1e6);
        printf("  orders %u\n", account->order_count);
    }
}

static void print_against_reality(void)
{
    static long double differences[ACCOUNTS_MAX], close[ACCOUNTS_MAX], delays[ACCOUNTS_MAX];
    unsigned earlier = 0, same = 0, later = 0, count = 0, close_count = 0, near = 0;
    unsigned delay_count = 0;
    for (unsigned i = 0; i < account_count; i++) {
        const struct account *account = &accounts[i];
        if (account->sold_minute != NEVER)
            delays[delay_count++] = account->sold_minute - account->cross_minute;
        if (account->is_healthy || account->cross_minute == NEVER)
            continue;
        int difference = account->cross_minute - account->real_minute;
        earlier += difference < 0;
        same += difference == 0;
        later += difference > 0;
        near += difference >= -5 && difference <= 5;
        differences[count++] = difference;
        if (difference >= -60 && difference <= 60)
            close[close_count++] = difference;
    }
    printf("our crossing against the real liquidation, %u accounts: %u earlier, %u in the same "
           "minute, %u later; within 5 minutes %u\n"
           "  difference in minutes: p10 %.0Lf  median %.0Lf  p90 %.0Lf; of the %u within an hour: "
           "median %.0Lf\n", count, earlier, same, later, near,
           quantile(differences, count, 0.1L), quantile(differences, count, 0.5L),
           quantile(differences, count, 0.9L), close_count, quantile(close, close_count, 0.5L));
    printf("price quoted by the first order, after our crossing in minutes of the day (%d ms "
           "each): median %.0Lf  p90 %.0Lf  max %.0Lf\n", 60000 / SPEED,
           quantile(delays, delay_count, 0.5L), quantile(delays, delay_count, 0.9L),
           quantile(delays, delay_count, 1));
}

static void judge(unsigned order_count)
{
    unsigned bankrupt = 0, bankrupt_orders = 0, crossing = 0, shortly = 0,
             sold = 0, shortly_sold = 0, healthy = 0, above = 0;
    for (unsigned i = 0; i < account_count; i++) {
        const struct account *account = &accounts[i];
        bool is_short = account->cross_minute != NEVER && account->stay_minute == NEVER;
        healthy += account->is_healthy;
        above += !account->is_healthy && account->cross_minute == NEVER;
        crossing += account->cross_minute != NEVER;
        sold += account->order_count > 0;
        shortly += is_short;
        bankrupt += account->is_bankrupt;
        bankrupt_orders += account->bankrupt_count;
        shortly_sold += is_short && account->order_count > 0;
        check_account(account);
    }
    printf("liquidations of the day not used: %u of other collateral, %u of other debt, %u whose "
           "price contradicts the bonus, %u of an account already in the book\n",
           skipped_collateral, skipped_debt, skipped_price, merged);
    printf("accounts %u: %u liquidated that day (%u of them stay above their line at the minute "
           "prices), %u healthy\n", account_count, account_count - healthy, above, healthy);
    printf("cross %u (%u for less than %d minutes)   sold %u (%u of those)   orders %u\n", crossing,
           shortly, SHORT_MINUTES, sold, shortly_sold, order_count);
    printf("bankrupt at the first order %u, orders for that reason %u; every other first order is "
           "checked to be the least sale\n", bankrupt, bankrupt_orders);
    CHECK(crossing >= 100 && healthy >= 50, "too few accounts to prove anything");
    print_against_reality();
    print_samples();
}

/* ---- the run --------------------------------------------------------------------------------- */

static void play(struct pipeline *pipeline, const char *feed, const char *speed, int64_t to_ms)
{
    char from[32], to[32];
    snprintf(from, sizeof(from), "%lld", (long long)DAY_MS);
    snprintf(to, sizeof(to), "%lld", (long long)to_ms);
    pipeline_run(pipeline, NULL, (const char *const[]){
        "publish", "--prices", feed, "--speed", speed, "--from", from, "--to", to, "--source", "a",
        "--source", "b", "--source", "c", NULL });
}

int main(void)
{
    static struct pipeline pipeline;
    char feed[256], speed[16];
    static const char *const first_start[] = { "first_start=yes", NULL };
    read_prices();
    read_book();
    if (!pipeline_open(&pipeline, "may-2021", 4))
        return 77;
    snprintf(feed, sizeof(feed), "%s/feed.csv", pipeline.dir);
    snprintf(speed, sizeof(speed), "%d", SPEED);
    write_feed(feed);
    publish_parameters(&pipeline);
    struct process *services[] = {
        pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL),
        pipeline_start(&pipeline, "position", 0, first_start, NULL, NULL),
        pipeline_start(&pipeline, "liquidation", 0, first_start, NULL, NULL),
    };
    pipeline_wait_ready(&pipeline, services[0], 60);
    pipeline_wait_ready(&pipeline, services[1], 60);
    publish_book(&pipeline);
    play(&pipeline, feed, "0", DAY_MS);
    pipeline_wait_ready(&pipeline, services[2], 60);
    struct process *fills = pipeline_start_fills(&pipeline, NULL);
    int64_t begin_ms = pl_mono_ms();
    play(&pipeline, feed, speed, DAY_MS + MINUTES * 60000LL);
    printf("played the day in %.1f s\n", (double)(pl_mono_ms() - begin_ms) / 1000);
    sleep(3);
    for (unsigned i = 0; i < 3; i++)
        CHECK(pipeline_runs(services[i]), "plimsoll-%s ended", services[i]->name);
    CHECK(pipeline_runs(fills), "simulate-fills ended");
    judge(read_orders(&pipeline));
    printf("%s", pipeline_run(&pipeline, &(int){ 0 }, (const char *const[]){ "report", NULL }));
    CHECK(pipeline_count(&pipeline, PL_TOPIC_DEADLETTER) == 0, "there are dead letters");
    pipeline_audit(&pipeline);
    pipeline_close(&pipeline);
    puts(is_good ? "passed" : "FAILED");
    return is_good ? 0 : 1;
}
