/* SPDX-License-Identifier: Apache-2.0 */
/* Lenders whose sales can be worked out by hand (see lenders.h). */
#include "tests/support/lenders.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"

static char text[PIPELINE_TEXT_MAX];

const char *lenders_coin(unsigned group, char name[16])
{
    snprintf(name, 16, "COIN%u", group);
    return name;
}

const char *lenders_account(unsigned group, unsigned i, char name[32])
{
    snprintf(name, 32, "g%u-%u", group, i);
    return name;
}

static int put_instrument(int used, const char *name, const char *haircut, int64_t depth_usd)
{
    char depth[64] = "";
    if (depth_usd > 0)
        snprintf(depth, sizeof(depth), "\"depth\":[{\"usd_max\":%lld,\"discount_ppm\":10000}],",
                 (long long)depth_usd);
    return snprintf(text + used, sizeof(text) - (size_t)used,
                    "{\"instrument\":\"%s\",\"kind\":\"KIND_SPOT\",\"lot_decimals\":8,"
                    "\"tick_decimals\":4,\"haircut_long\":%s,\"haircut_short\":{\"alert\":0,"
                    "\"initial\":0,\"end\":0,\"maintenance\":0},\"confidence_ppm\":0,"
                    "\"sale_discount_ppm\":10000,%s\"price_rules\":{\"sources\":[\"a\",\"b\",\"c\"],"
                    "\"quorum\":2,\"age_ms_max\":3600000,\"band_ppm\":900000,"
                    "\"bad_mark_low_ppm\":0,\"bad_mark_high_ppm\":1500000}}", name, haircut,
                    depth);
}

void lenders_parameters(struct pipeline *pipeline, unsigned coins)
{
    lenders_braked_parameters(pipeline, coins, 0, 0);
}

void lenders_braked_parameters(struct pipeline *pipeline, unsigned coins, int64_t depth_usd,
                               int64_t window_ms)
{
    char path[256], coin[16];
    int used = snprintf(text, sizeof(text), "{\"epoch\":%d,\"sources\":[{\"source\":\"venue\","
                        "\"settlement\":\"SETTLEMENT_APPLIED\"},{\"source\":\"simulated-fills\","
                        "\"settlement\":\"SETTLEMENT_APPLIED\"}],\"policies\":[{\"policy\":"
                        "\"default\",\"liquidity_order\":[", window_ms > 0 ? 2 : 1);
    for (unsigned i = 0; i < coins; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\"%s\"", i ? "," : "",
                         lenders_coin(i, coin));
    used += snprintf(text + used, sizeof(text) - (size_t)used,
                     "],\"order_valid_ms\":60000,\"order_overdue_ms\":60000,"
                     "\"revision_pause_ms\":1000,\"restricted_hold_ms\":1000,"
                     "\"alert_hysteresis_ppm\":10000,\"watermark_age_ms_max\":20000,"
                     "\"brake_window_ms\":%lld,\"brake_depth_ppm\":%d}],\"instruments\":[",
                     (long long)window_ms, window_ms > 0 ? 1000000 : 0);
    for (unsigned i = 0; i < coins; i++) {
        used += put_instrument(used, lenders_coin(i, coin),
                               "{\"alert\":350000,\"initial\":300000,\"end\":250000,"
                               "\"maintenance\":200000}", depth_usd);
        text[used++] = ',';
    }
    used += put_instrument(used, "USD-T", "{\"alert\":0,\"initial\":0,\"end\":0,"
                                          "\"maintenance\":0}", 0);
    snprintf(text + used, sizeof(text) - (size_t)used,
             "],\"modes\":[{\"mode\":1,\"weights\":[{\"instrument\":\"COIN0\",\"haircut_long\":"
             "{\"alert\":140000,\"initial\":120000,\"end\":110000,\"maintenance\":100000}}]}]}\n");
    snprintf(path, sizeof(path), "%s/parameters.json", pipeline->dir);
    FILE *file = fopen(path, "w");
    if (file && fputs(text, file) >= 0)
        fclose(file);
    pipeline_run(pipeline, NULL, (const char *const[]){ "parameters", "put", path, NULL });
}

void lenders_positions(struct pipeline *pipeline, unsigned group, unsigned count,
                       int64_t first_debt_usd, int64_t step_usd)
{
    char account[32], coin[16];
    int used = 0;
    for (unsigned i = 0; i < count; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used,
                         "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":"
                         "\"venue\",\"sequence\":1,\"previous_sequence\":0,\"kind\":"
                         "\"KIND_SNAPSHOT\",\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":"
                         "\"%s\",\"quantity\":{\"mantissa\":\"%d\",\"exponent\":0}},{\"instrument\":"
                         "\"USD-T\",\"quantity\":{\"mantissa\":\"%lld\",\"exponent\":0}}]}}\n",
                         lenders_account(group, i, account), (long long)pl_now_ms(),
                         lenders_coin(group, coin), LENDERS_COIN_UNITS,
                         (long long)-(first_debt_usd + (int64_t)i * step_usd));
    pipeline_publish(pipeline, text);
}

void lenders_borrow(struct pipeline *pipeline, unsigned group, unsigned count, int64_t debt_usd,
                    unsigned sequence)
{
    char account[32];
    int used = 0;
    for (unsigned i = 0; i < count; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used,
                         "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":"
                         "\"venue\",\"sequence\":%u,\"previous_sequence\":%u,\"kind\":"
                         "\"KIND_DELTA\",\"event_time_ms\":\"%lld\",\"legs\":[{\"instrument\":"
                         "\"USD-T\",\"quantity\":{\"mantissa\":\"%lld\",\"exponent\":0}}]}}\n",
                         lenders_account(group, i, account), sequence, sequence - 1,
                         (long long)pl_now_ms(), (long long)-debt_usd);
    pipeline_publish(pipeline, text);
}

void lenders_in_mode(struct pipeline *pipeline, const char *account, unsigned mode, int64_t debt_usd,
                     unsigned sequence)
{
    char legs[256] = "";
    if (sequence == 1)
        snprintf(legs, sizeof(legs), ",\"legs\":[{\"instrument\":\"COIN0\",\"quantity\":{\"mantissa\":"
                 "\"%d\",\"exponent\":0}},{\"instrument\":\"USD-T\",\"quantity\":{\"mantissa\":\"%lld\","
                 "\"exponent\":0}}]", LENDERS_COIN_UNITS, (long long)-debt_usd);
    snprintf(text, sizeof(text), "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":"
             "\"venue\",\"sequence\":%u,\"previous_sequence\":%u,\"kind\":\"%s\",\"event_time_ms\":"
             "\"%lld\",\"mode\":%u%s}}\n", account, sequence, sequence - 1,
             sequence == 1 ? "KIND_SNAPSHOT" : "KIND_DELTA", (long long)pl_now_ms(), mode, legs);
    pipeline_publish(pipeline, text);
}

/*
 * In cents of a percent and 10^-12 USD: with p the price of one lot, A = value - haircut * value -
 * debt. Selling y lots at 0.99 p each gives A_end(y) = (N - y) p (1 - 0.25) + 0.99 y p - debt >= 0,
 * so y = ceil((debt - 0.75 N p) / (0.24 p)), in exact integers.
 */
int64_t lenders_expected_lots(int64_t price_usd, int64_t debt_usd)
{
    __extension__ typedef __int128 wide;
    const wide lots = (wide)LENDERS_COIN_UNITS * 100000000;
    const wide lot_price = (wide)price_usd * 10000; /* 10^-12 USD: 10^-8 coins at 10^-4 ticks */
    const wide debt = (wide)debt_usd * 1000000000000;
    if (100 * debt <= 80 * lots * lot_price)
        return 0;
    wide missing = 100 * debt - 75 * lots * lot_price, gain = 24 * lot_price;
    return (int64_t)((missing + gain - 1) / gain);
}
