/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator against a live protocol: balances of Aave v2 borrowers at some 640 blocks go
 * through `plimsoll evaluate` one by one, and its risk-adjusted ratio must be the health factor
 *
 *     sum(collateral value * liquidation threshold) / sum(debt value)
 *
 * that the data's author computed from the same balances and prices, to the last digits. Against
 * the health factor that the chain itself reported the differences are printed and explained: the
 * file has it rounded to two decimals, its prices are snapshots that may be days old, and some
 * thresholds had changed. A second account of each row is made of the chain's own totals, which
 * takes the snapshots' prices out of the comparison. Needs no broker.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/real_data.h"

enum { LEGS_MAX = 4096, ROWS_MAX = 1024, WORST = 5, LOT_DECIMALS = 6, TICK_DECIMALS = 6 };
static const long double ROUNDING = 0.005L; /* of the chain's figure in the file */

struct leg {
    char account[32], asset[16];
    int64_t block, time_ms, price_since_ms; /* since when the file repeats this very price */
    bool is_debt;
    char price[32];
    long double amount;
};

struct row {
    char account[32];
    int64_t block, time_ms;
    long double chain_collateral, chain_debt, chain_health, file_health; /* 0: not given */
    long double health, collateralization, chain_totals_health;          /* ours; -1: none */
    const struct leg *legs;
    unsigned leg_count;
};

static struct leg legs[LEGS_MAX];
static struct row rows[ROWS_MAX];
static unsigned leg_count, row_count;
static long double figures[ROWS_MAX];

/* ---- reading -------------------------------------------------------------------------------- */

/* Prices that the file repeats unchanged were not looked up anew. */
static int64_t price_since(const struct leg *leg)
{
    for (const struct leg *last = leg; last-- > legs;)
        if (strcmp(last->asset, leg->asset) == 0 && last->block < leg->block &&
            strcmp(last->account, leg->account) == 0)
            return strcmp(last->price, leg->price) == 0 ? last->price_since_ms : leg->time_ms;
    return leg->time_ms;
}

static int by_account_and_block(const void *left, const void *right)
{
    const struct leg *a = left, *b = right;
    int order = strcmp(a->account, b->account);
    return order ? order : a->block < b->block ? -1 : a->block > b->block;
}

static void read_legs(void)
{
    struct csv csv;
    csv_open(&csv, "positions_aave_v2_users_timeseries.csv");
    for (; csv_next(&csv) && leg_count < LEGS_MAX; leg_count++) {
        struct leg *leg = &legs[leg_count];
        snprintf(leg->account, sizeof(leg->account), "%s", csv_text(&csv, "account"));
        snprintf(leg->asset, sizeof(leg->asset), "%s", csv_text(&csv, "asset"));
        snprintf(leg->price, sizeof(leg->price), "%s", csv_text(&csv, "price_usd"));
        leg->block = csv_integer(&csv, "block");
        leg->time_ms = csv_integer(&csv, "ts_ms");
        leg->is_debt = strcmp(csv_text(&csv, "side"), "debt") == 0;
        leg->amount = csv_number(&csv, "amount");
    }
    qsort(legs, leg_count, sizeof(legs[0]), by_account_and_block);
    for (unsigned i = 0; i < leg_count; i++)
        legs[i].price_since_ms = price_since(&legs[i]);
}

static void read_rows(void)
{
    struct csv csv;
    csv_open(&csv, "positions_aave_v2_users_hf.csv");
    for (; csv_next(&csv) && row_count < ROWS_MAX; row_count++) {
        struct row *row = &rows[row_count];
        snprintf(row->account, sizeof(row->account), "%s", csv_text(&csv, "account"));
        row->block = csv_integer(&csv, "block");
        row->time_ms = csv_integer(&csv, "ts_ms");
        row->chain_collateral = csv_number(&csv, "onchain_collateral_eth");
        row->chain_debt = csv_number(&csv, "onchain_debt_eth");
        row->chain_health = csv_number(&csv, "onchain_health_factor");
        row->file_health = csv_number(&csv, "calc_health_factor");
        for (unsigned i = 0; i < leg_count; i++)
            if (legs[i].block == row->block && strcmp(legs[i].account, row->account) == 0) {
                row->legs = row->legs ? row->legs : &legs[i];
                row->leg_count++;
            }
    }
}

/* ---- one row through the command ------------------------------------------------------------ */

static void put_decimal(FILE *file, long double value)
{
    char text[64];
    snprintf(text, sizeof(text), "%.12Lf", value);
    char *point = strchr(text, '.');
    memmove(point, point + 1, strlen(point));
    fprintf(file, "{\"mantissa\":\"%s%s\",\"exponent\":-12}", text[0] == '-' ? "-" : "",
            text + strspn(text, "-0") - (text[strspn(text, "-0")] == '\0'));
}

static void put_instrument(FILE *file, const char *name, const char *suffix, int haircut_ppm)
{
    fprintf(file, "{\"instrument\":\"%s%s\",\"kind\":\"KIND_SPOT\",\"lot_decimals\":%d,"
            "\"tick_decimals\":%d,\"haircut_long\":{\"alert\":%d,\"initial\":%d,\"end\":%d,"
            "\"maintenance\":%d},\"haircut_short\":{\"alert\":0,\"initial\":0,\"end\":0,"
            "\"maintenance\":0},\"confidence_ppm\":0,\"sale_discount_ppm\":50000,\"price_rules\":"
            "{\"sources\":[\"file\"],\"quorum\":1,\"age_ms_max\":1000,\"band_ppm\":100000,"
            "\"bad_mark_low_ppm\":0,\"bad_mark_high_ppm\":1500000}}", name, suffix, LOT_DECIMALS,
            TICK_DECIMALS, haircut_ppm, haircut_ppm, haircut_ppm, haircut_ppm);
}

static void put_price(FILE *file, const char *name, const char *suffix, long double price,
                      int64_t time_ms)
{
    fprintf(file, "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s%s\",\"source\":\"file\","
            "\"event_time_ms\":\"%lld\",\"source_sequence\":1,\"price\":", name, suffix,
            (long long)time_ms);
    put_decimal(file, price);
    fputs("}}\n", file);
}

static void begin_account(FILE *file, const char *name, int64_t time_ms)
{
    fprintf(file, "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":\"chain\","
            "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\","
            "\"event_time_ms\":\"%lld\",\"legs\":[", name, (long long)time_ms);
}

static void put_leg(FILE *file, bool is_first, const char *name, const char *suffix,
                    long double quantity)
{
    fprintf(file, "%s{\"instrument\":\"%s%s\",\"quantity\":", is_first ? "" : ",", name, suffix);
    put_decimal(file, quantity);
    fputc('}', file);
}

/* The collateral's mean threshold by the snapshot's values, in ppm. */
static int mean_threshold_ppm(const struct row *row)
{
    long double value = 0, weighted = 0;
    for (unsigned i = 0; i < row->leg_count; i++)
        if (!row->legs[i].is_debt) {
            long double part = row->legs[i].amount * strtold(row->legs[i].price, NULL);
            value += part;
            weighted += part * aave_v2_reserve(row->legs[i].asset).threshold_bps * 100;
        }
    return value > 0 ? (int)lroundl(weighted / value) : 0;
}

static void write_row(FILE *file, const struct row *row)
{
    fputs("{\"topic\":\"parameters\",\"value\":{\"epoch\":1,\"sources\":[{\"source\":\"chain\","
          "\"settlement\":\"SETTLEMENT_APPLIED\"}],\"policies\":[{\"policy\":\"default\","
          "\"liquidity_order\":[],\"order_valid_ms\":60000,\"order_overdue_ms\":60000,"
          "\"revision_pause_ms\":1000,\"restricted_hold_ms\":1000,\"alert_hysteresis_ppm\":0,"
          "\"watermark_age_ms_max\":20000}],\"instruments\":[", file);
    put_instrument(file, "chain", ".collateral", 1000000 - mean_threshold_ppm(row));
    fputc(',', file);
    put_instrument(file, "chain", ".debt", 0);
    for (unsigned i = 0; i < row->leg_count; i++) {
        const struct leg *leg = &row->legs[i];
        fputc(',', file);
        put_instrument(file, leg->asset, leg->is_debt ? ".debt" : "", leg->is_debt ? 0
                       : 1000000 - 100 * aave_v2_reserve(leg->asset).threshold_bps);
    }
    fputs("]}}\n", file);
    put_price(file, "chain", ".collateral", 1, row->time_ms);
    put_price(file, "chain", ".debt", 1, row->time_ms);
    for (unsigned i = 0; i < row->leg_count; i++)
        put_price(file, row->legs[i].asset, row->legs[i].is_debt ? ".debt" : "",
                  strtold(row->legs[i].price, NULL), row->time_ms);
    begin_account(file, "snapshot", row->time_ms);
    for (unsigned i = 0; i < row->leg_count; i++)
        put_leg(file, i == 0, row->legs[i].asset, row->legs[i].is_debt ? ".debt" : "",
                row->legs[i].is_debt ? -row->legs[i].amount : row->legs[i].amount);
    fputs("]}}\n", file);
    begin_account(file, "totals", row->time_ms);
    put_leg(file, true, "chain", ".collateral", row->chain_collateral);
    put_leg(file, false, "chain", ".debt", -row->chain_debt);
    fputs("]}}\n", file);
}

static long double ratio_of(const json_t *line, const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(line, "ratios"), name));
    return text ? strtold(text, NULL) : -1;
}

static bool evaluate(struct row *row, const char *path)
{
    char command[1024], *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    write_row(file, row);
    fclose(file);
    row->health = row->collateralization = row->chain_totals_health = -1;
    snprintf(command, sizeof(command), "'%s/plimsoll' evaluate '%s'", PL_BIN_DIR, path);
    FILE *output = popen(command, "r");
    while (output && getline(&line, &capacity, output) > 0) {
        json_t *json = json_loads(line, 0, NULL);
        const char *account = json_string_value(json_object_get(json, "account"));
        if (account && strcmp(account, "snapshot") == 0) {
            row->health = ratio_of(json, "risk_adjusted");
            row->collateralization = ratio_of(json, "collateralization");
        } else
            row->chain_totals_health = ratio_of(json, "risk_adjusted");
        json_decref(json);
    }
    free(line);
    return output && pclose(output) == 0;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool is_comparable(const struct row *row)
{
    return row->health >= 0 && row->chain_health > 0;
}

static long double error_of(long double value, long double truth)
{
    return fabsl(value / truth - 1);
}

/* Worst first. */
static int by_error(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    long double x = is_comparable(a) ? error_of(a->health, a->chain_health) : -1;
    long double y = is_comparable(b) ? error_of(b->health, b->chain_health) : -1;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* health = (collateral / debt) * threshold: which of the two differs, and why. */
static void explain(const struct row *row)
{
    long double chain_ratio = row->chain_collateral / row->chain_debt;
    long double value = row->collateralization / chain_ratio - 1;
    long double threshold =
        row->health / row->collateralization / (row->chain_health / chain_ratio) - 1;
    printf("  block %lld account %s: ours %.4Lf, the chain %.2Lf (%+.1Lf %%) = values %+.1Lf %%, "
           "thresholds %+.1Lf %%; rounding of the chain's figure alone: ±%.1Lf %%\n",
           (long long)row->block, row->account, row->health, row->chain_health,
           100 * (row->health / row->chain_health - 1), 100 * value, 100 * threshold,
           100 * ROUNDING / row->chain_health);
    for (unsigned i = 0; i < row->leg_count; i++) {
        const struct leg *leg = &row->legs[i];
        printf("      %-10s %-6s %16.6Lf at %s", leg->is_debt ? "debt" : "collateral", leg->asset,
               leg->amount, leg->price);
        if (leg->time_ms > leg->price_since_ms)
            printf(", a price not looked up for %.0f h",
                   (double)(leg->time_ms - leg->price_since_ms) / 3600000);
        puts("");
    }
}

/* The distribution of |ours / theirs - 1| in percent; returns the median. */
static long double print_errors(const char *title, unsigned count)
{
    long double median = quantile(figures, count, 0.5L);
    printf("%-62s rows %u  median %.2Le %%  p90 %.2Le %%  max %.2Le %%\n", title, count,
           100 * median, 100 * quantile(figures, count, 0.9L),
           100 * quantile(figures, count, 1));
    return median;
}

static bool compare_with_file(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].file_health > 0 && rows[i].health >= 0)
            figures[count++] = error_of(rows[i].health, rows[i].file_health);
    long double median = print_errors("ours / recomputed by the data's author", count);
    long double worst = figures[count ? count - 1 : 0];
    if (count < 500 || median > 1e-6L || worst > 1e-3L) {
        printf("FAILED: at least 500 rows, a median of at most 0.0001 %% and no row off by more "
               "than 0.1 %% were expected\n");
        return false;
    }
    return true;
}

static void print_rounding(const char *title, unsigned within, unsigned count)
{
    printf("%-62s %u of %u rows (%.1f %%)\n", title, within, count,
           100.0 * within / (count ? count : 1));
}

static bool compare_with_chain(void)
{
    unsigned count = 0, within = 0, fresh = 0;
    for (unsigned i = 0; i < row_count; i++)
        if (is_comparable(&rows[i])) {
            figures[count++] = error_of(rows[i].health, rows[i].chain_health);
            within += fabsl(rows[i].health - rows[i].chain_health) <= ROUNDING + 1e-9L;
        }
    long double median = print_errors("ours / the chain's (rounded to 0.01)", count);
    print_rounding("  within the rounding of the chain's figure", within, count);
    for (unsigned i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        if (is_comparable(row) && error_of(row->collateralization * row->chain_debt,
                                           row->chain_collateral) < 0.005L)
            figures[fresh++] = error_of(row->health, row->chain_health);
    }
    print_errors("  of these with values within 0.5 % of the chain's", fresh);
    count = within = 0;
    for (unsigned i = 0; i < row_count; i++)
        if (is_comparable(&rows[i]) && rows[i].chain_totals_health >= 0) {
            figures[count++] = error_of(rows[i].chain_totals_health, rows[i].chain_health);
            within += fabsl(rows[i].chain_totals_health - rows[i].chain_health) <= ROUNDING + 1e-9L;
        }
    print_errors("the chain's own totals through ours / the chain's", count);
    print_rounding("  within the rounding of the chain's figure", within, count);
    if (count < 500 || median > 0.02L || within * 100 < count * 95) {
        printf("FAILED: a median of at most 2 %% against the chain was expected, and 95 %% of the "
               "rows within its rounding when valued by its own totals\n");
        return false;
    }
    return true;
}

/* With the chain's own values only its thresholds can still differ. */
static void print_changed_thresholds(void)
{
    printf("rows where the chain's own totals do not give the chain's health factor:\n");
    for (unsigned i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        if (!is_comparable(row) || row->chain_totals_health < 0 ||
            fabsl(row->chain_totals_health - row->chain_health) <= ROUNDING + 1e-9L)
            continue;
        printf("  block %lld account %s: %.4Lf, the chain %.2Lf; collateral", (long long)row->block,
               row->account, row->chain_totals_health, row->chain_health);
        for (unsigned at = 0; at < row->leg_count; at++)
            if (!row->legs[at].is_debt)
                printf(" %s", row->legs[at].asset);
        printf("; threshold here %.4f, the chain's %.4Lf\n", mean_threshold_ppm(row) / 1e6,
               row->chain_health * row->chain_debt / row->chain_collateral);
    }
}

static void print_left_out(void)
{
    unsigned no_legs = 0, no_debt = 0, no_collateral = 0;
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].leg_count == 0)
            no_legs++;
        else if (rows[i].health < 0)
            no_debt++;
        else if (rows[i].chain_health <= 0)
            no_collateral++;
    printf("left out: %u rows without balances, %u whose balances have no debt, %u where the chain "
           "reported a health factor of 0 (it counted no collateral)\n", no_legs, no_debt,
           no_collateral);
}

int main(void)
{
    char path[] = "/tmp/plimsoll-aave.XXXXXX";
    read_legs();
    read_rows();
    close(mkstemp(path));
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].leg_count == 0)
            rows[i].health = -1;
        else if (!evaluate(&rows[i], path)) {
            fprintf(stderr, "FAILED: plimsoll evaluate %s (kept), block %lld\n", path,
                    (long long)rows[i].block);
            return 1;
        }
    unlink(path);
    bool is_good = compare_with_file();
    is_good = compare_with_chain() && is_good;
    print_left_out();
    print_changed_thresholds();
    qsort(rows, row_count, sizeof(rows[0]), by_error);
    printf("the %d rows furthest from the chain:\n", WORST);
    for (unsigned i = 0; i < WORST; i++)
        explain(&rows[i]);
    puts(is_good ? "passed" : "FAILED");
    return is_good ? 0 : 1;
}
