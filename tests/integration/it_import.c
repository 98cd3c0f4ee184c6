/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `plimsoll parameters import`, then check, then evaluate: portfolios judged by an imported set
 * must have the very excess, or requirement, that the protocol's formula gives for the numbers of
 * its file, as this test reads them by itself. First sets made of small files with results worked
 * by hand, then every chain and market of every real file; those are skipped loudly where there are
 * none. No broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/num.h"
#include "tests/support/real_data.h"

enum { COMMAND_BYTES_MAX = 4096, NAME_BYTES_MAX = 160, USD_DECIMALS = 18 };

static char folder[] = "/tmp/plimsoll-import.XXXXXX"; /* kept where something failed */
static bool is_kept;
static unsigned judged;

/* ---- the commands --------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    for (; *text; text++)
        fputc(*text == '\'' ? '"' : *text, file);
    assert_int_equal(fclose(file), 0);
}

/* Set in `set.json`, notes in `notes`; both commands succeed. */
static void import(const char *protocol, const char *path, const char *options)
{
    char command[COMMAND_BYTES_MAX];
    snprintf(command, sizeof(command),
             "'%s/plimsoll' parameters import %s '%s' %s --epoch 3 --out %s 2>%s && "
             "'%s/plimsoll' parameters check %s >/dev/null", PL_BIN_DIR, protocol, path, options,
             path_of("set.json"), path_of("notes"), PL_BIN_DIR, path_of("set.json"));
    if (system(command) != 0)
        fail_msg("%s", command);
}

/* ---- a book of accounts and what is expected of them ------------------------------------------ */

static FILE *book;
static json_t *expected;

static void begin_book(void)
{
    json_t *set = json_load_file(path_of("set.json"), 0, NULL);
    assert_non_null(set);
    book = fopen(path_of("book"), "w");
    assert_non_null(book);
    fputs("{\"topic\":\"parameters\",\"value\":", book);
    json_dumpf(set, book, JSON_COMPACT);
    fputs("}\n", book);
    json_decref(set);
    expected = json_object();
}

/* As two of the template's sources see it. */
static void put_price(const char *instrument, int64_t usd)
{
    for (char source = 'a'; source <= 'b'; source++)
        fprintf(book, "{\"topic\":\"prices\",\"value\":{\"instrument\":\"%s\",\"source\":\"venue-%c\","
                "\"event_time_ms\":\"1000\",\"source_sequence\":1,\"price\":{\"mantissa\":\"%lld\","
                "\"exponent\":0}}}\n", instrument, source, (long long)usd);
}

struct leg { const char *instrument; int64_t quantity; };

static unsigned mode; /* that all accounts are in */

static void put_account(const char *name, int64_t cash_usd, const struct leg *legs, unsigned count)
{
    fprintf(book, "{\"topic\":\"positions\",\"value\":{\"account\":\"%s\",\"source\":\"venue\","
            "\"sequence\":1,\"previous_sequence\":0,\"kind\":\"KIND_SNAPSHOT\",\"event_time_ms\":"
            "\"1000\",\"mode\":%u,\"cash\":{\"mantissa\":\"%lld\",\"exponent\":0},\"legs\":[", name,
            mode, (long long)cash_usd);
    for (unsigned i = 0; i < count; i++)
        fprintf(book, "%s{\"instrument\":\"%s\",\"quantity\":{\"mantissa\":\"%lld\",\"exponent\":0}}",
                i ? "," : "", legs[i].instrument, (long long)legs[i].quantity);
    fputs("]}}\n", book);
}

/* Of excess_usd or requirement_usd, in USD * ppm: "equal", or at least, at most it. */
static void expect(const char *account, const char *figure, const char *tier, const char *how,
                   pl_i128 usd_ppm)
{
    char text[64];
    pl_i128 size = usd_ppm < 0 ? -usd_ppm : usd_ppm;
    snprintf(text, sizeof(text), "%s%lld.%06lld%0*d", usd_ppm < 0 ? "-" : "",
             (long long)(size / PL_PPM), (long long)(size % PL_PPM), USD_DECIMALS - 6, 0);
    json_t *list = json_object_get(expected, account);
    if (!list) {
        list = json_array();
        json_object_set_new(expected, account, list);
    }
    json_array_append_new(list, json_pack("[s, s, s, s]", figure, tier, how, text));
}

static void expect_excess(const char *account, int64_t initial_ppm, int64_t maintenance_ppm)
{
    expect(account, "excess_usd", "initial", "equal", initial_ppm);
    expect(account, "excess_usd", "maintenance", "equal", maintenance_ppm);
}

static void judge(const json_t *line, const char *account, const json_t *row)
{
    const char *text[4];
    for (unsigned i = 0; i < 4; i++)
        text[i] = json_string_value(json_array_get(row, i));
    const char *found =
        json_string_value(json_object_get(json_object_get(line, text[0]), text[1]));
    bool is_met = found && strcmp(text[2], "equal") == 0 && strcmp(found, text[3]) == 0;
    if (found && strcmp(text[2], "at least") == 0)
        is_met = strtold(found, NULL) >= strtold(text[3], NULL);
    if (found && strcmp(text[2], "at most") == 0)
        is_met = strtold(found, NULL) <= strtold(text[3], NULL);
    if (!is_met)
        fail_msg("account %s: %s at %s is %s, not %s %s", account, text[0], text[1],
                 found ? found : "missing", text[2], text[3]);
    judged++;
}

/* Each account is there, and as expected. */
static void judge_book(void)
{
    char command[COMMAND_BYTES_MAX], *text = NULL;
    size_t capacity = 0, i;
    json_t *row;
    assert_int_equal(fclose(book), 0);
    snprintf(command, sizeof(command), "'%s/plimsoll' evaluate '%s'", PL_BIN_DIR, path_of("book"));
    FILE *output = popen(command, "r");
    assert_non_null(output);
    while (getline(&text, &capacity, output) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        const char *account = json_string_value(json_object_get(line, "account"));
        assert_string_equal(json_string_value(json_object_get(line, "verdict")), "certain");
        json_array_foreach(json_object_get(expected, account), i, row)
            judge(line, account, row);
        json_object_del(expected, account);
        json_decref(line);
    }
    free(text);
    assert_int_equal(pclose(output), 0);
    assert_int_equal(json_object_size(expected), 0);
    json_decref(expected);
}

/* ---- by hand -------------------------------------------------------------------------------- */

#define ACCOUNT(name, cash, ...)                                                                   \
    put_account(name, cash, (const struct leg[]){ __VA_ARGS__ },                                   \
                sizeof((const struct leg[]){ __VA_ARGS__ }) / sizeof(struct leg))

static const int64_t USD = PL_PPM;

/* The option for the default template with some fields said otherwise. */
static const char *template_with(const char *fields)
{
    static char option[COMMAND_BYTES_MAX];
    write_text("fields", fields);
    snprintf(option, sizeof(option), "%s/deploy/demo/import.json", PL_SOURCE_DIR);
    json_t *template = json_load_file(option, 0, NULL);
    json_t *said = json_load_file(path_of("fields"), 0, NULL);
    assert_int_equal(json_object_update(template, said), 0);
    assert_int_equal(json_dump_file(template, path_of("template"), 0), 0);
    json_decref(template);
    json_decref(said);
    snprintf(option, sizeof(option), "--template %s", path_of("template"));
    return option;
}

/* Collateral discounts by size (OKX, BETH): 0.95 up to 2 million, 0.85 to 4, 0.5 to 8, then nothing. The
 * brackets come by a template, which also says that no alert is wanted. */
static void collateral_counts_less_the_more_there_is(void **state)
{
    (void)state;
    write_text("protocol", "{'protocol':'aave-v2','chain':'ethereum','reserves':{'BETH':{'ltv_bps':9500,"
               "'liquidation_threshold_bps':9500,'liquidation_bonus_bps':10500,'decimals':6}}}");
#define RATE(threshold, rate)                                                                      \
    "{'threshold_usd':'" #threshold "','rate':{'alert':" #rate ",'initial':" #rate                 \
    ",'end':" #rate ",'maintenance':" #rate "}}"
    import("aave-v2", path_of("protocol"),
           template_with("{'alert_premium_ppm':0,'instruments':{'BETH':{'brackets':["
                         RATE(2000000, 100000) "," RATE(4000000, 450000) ","
                         RATE(8000000, 950000) "]}}}"));
    begin_book();
    put_price("BETH", 1000);
    static const struct { const char *name; int64_t coins, counted; } rows[] = {
        { "1M", 1000, 950000 },   { "2M", 2000, 1900000 },   { "3M", 3000, 2750000 },
        { "5M", 5000, 4100000 }, { "8M", 8000, 5600000 }, { "10M", 10000, 5600000 },
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ACCOUNT(rows[i].name, 0, { "BETH", rows[i].coins });
        expect_excess(rows[i].name, rows[i].counted * USD, rows[i].counted * USD);
    }
    judge_book();
}

/* Health without scaling by deposits and borrows, which is a matter of the pool: what the protocol's own
 * tests count before it. Initial 0.8, 0.5, 0.5 of assets and 1.2, 1.5, 1.5 of debts. */
static void mango_health_is_a_weighted_sum(void **state)
{
    (void)state;
    write_text("protocol",
               "{'protocol':'mango-v4','chain':'solana','launch_perps':{},'launch_tokens':{"
               "'A':{'initAssetWeight':0.8,'maintAssetWeight':0.9,'initLiabWeight':1.2,"
               "'maintLiabWeight':1.1,'liquidationFee':0.05},"
               "'B':{'initAssetWeight':0.5,'maintAssetWeight':0.7,'initLiabWeight':1.5,"
               "'maintLiabWeight':1.3,'liquidationFee':0.05},"
               "'C':{'initAssetWeight':0.5,'maintAssetWeight':0.7,'initLiabWeight':1.5,"
               "'maintLiabWeight':1.3,'liquidationFee':0.05}}}");
    import("mango-v4", path_of("protocol"), "");
    begin_book();
    put_price("A", 1);
    put_price("B", 5);
    put_price("C", 10);
    ACCOUNT("assets", 0, { "A", 100 }, { "B", 100 }, { "C", 100 });
    expect_excess("assets", (80 + 250 + 500) * USD, (90 + 350 + 700) * USD);
    ACCOUNT("debts", 0, { "A", -100 }, { "B", -100 }, { "C", -100 });
    expect_excess("debts", -(120 + 750 + 1500) * USD, -(110 + 650 + 1300) * USD);
    ACCOUNT("both", 0, { "A", 100 }, { "B", -10 }, { "C", 1 });
    expect_excess("both", (80 - 75 + 5) * USD, (90 - 65 + 7) * USD);
    judge_book();
}

/* Health factor 1 is the line: 10 ETH at 2000 USD with a threshold of 82.5 % carry 16,500 USD of debt. */
static void aave_sells_below_a_health_factor_of_1(void **state)
{
    (void)state;
    write_text("protocol",
               "{'protocol':'aave-v2','chain':'ethereum','reserves':{'WETH':{'ltv_bps':8000,"
               "'liquidation_threshold_bps':8250,'liquidation_bonus_bps':10500,'decimals':18},"
               "'DAI':{'ltv_bps':7500,'liquidation_threshold_bps':8000,'liquidation_bonus_bps':10500,"
               "'decimals':18}}}");
    import("aave-v2", path_of("protocol"), "--chain ethereum");
    begin_book();
    put_price("WETH", 2000);
    put_price("DAI", 1);
    ACCOUNT("at-the-line", 0, { "WETH", 10 }, { "DAI", -16500 });
    expect_excess("at-the-line", -500 * USD, 0);
    ACCOUNT("below", 0, { "WETH", 10 }, { "DAI", -16501 });
    expect_excess("below", -501 * USD, -1 * USD);
    judge_book();
}

/* The end line is 17.5 % + a quarter of the way to 20 %: 225 USD are missing. An ETH sold brings 1,904.76
 * and counted 1,637.50: 0.841877 of it. That repays 0.841877 * 2000 / 1.05 DAI, down to a lot,
 * which pays for a lot less of ETH. */
static void aave_is_called_for_a_sale(void **state)
{
    (void)state;
    static const char reserves[] =
        "{'protocol':'aave-v3','close_factor':{'default_bps':5000,'full_close_if_hf_below':'0.95'},"
        "'chains':{'one':{'reserves':{'WETH':{'ltv_bps':8000,'liquidation_threshold_bps':8250,"
        "'liquidation_bonus_bps':10500,'decimals':18},'DAI':{'ltv_bps':7500,"
        "'liquidation_threshold_bps':8000,'liquidation_bonus_bps':10400,'decimals':18}}}}}";
    char command[COMMAND_BYTES_MAX];
    write_text("protocol", reserves);
    import("aave-v3", path_of("protocol"), template_with("{'contract':'0xpool'}"));
    begin_book();
    put_price("WETH", 2000);
    put_price("DAI", 1);
    ACCOUNT("called", 0, { "WETH", 10 }, { "DAI", -16600 });
    fclose(book);
    snprintf(command, sizeof(command), "'%s/plimsoll' evaluate '%s'", PL_BIN_DIR, path_of("book"));
    FILE *output = popen(command, "r");
    json_t *line = json_loadf(output, 0, NULL), *wanted;
    assert_int_equal(pclose(output), 0);
    write_text("wanted", "{'chain':'one','contract':'0xpool','rule':'aave_v3','takes':'0.841876',"
               "'debt':'DAI','repays':'1603.575238','close_factor_ppm':500000,'bonus_ppm':50000}");
    wanted = json_load_file(path_of("wanted"), 0, NULL);
    json_t *sale = json_object_get(line, "sale");
    const json_t *leg = json_array_get(json_object_get(sale, "legs"), 0);
    assert_string_equal(json_string_value(json_object_get(leg, "quantity")), "0.841877");
    if (!wanted || !json_equal(json_object_get(leg, "protocol_call"), wanted))
        fail_msg("%s", json_dumps(leg, 0));
    json_decref(wanted);
    json_decref(line);
    json_decref(expected);
}

/* ---- real files: lending ---------------------------------------------------------------------- */

/* Weights of one instrument in ppm, from the file. */
struct weights { const char *name; int64_t asset_initial, asset, debt_initial, debt; };
static struct weights table[512];
static unsigned table_count;

static int64_t ppm(const json_t *object, const char *field, double scale)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_number(value))
        fail_msg("%s is not a number", field);
    return llround(json_number_value(value) * scale);
}

/* Each instrument as collateral against the next one as debt, and the other way round. Cash makes
 * up for what a perp's position cost. */
static void judge_table(void)
{
    char name[NAME_BYTES_MAX];
    begin_book();
    for (unsigned i = 0; i < table_count; i++)
        put_price(table[i].name, 10 + i);
    for (unsigned i = 0; i < table_count && table_count > 1; i++) {
        unsigned next = (i + 1) % table_count;
        int64_t held = 100 * (10 + (int64_t)i), owed = 30 * (10 + (int64_t)next);
        snprintf(name, sizeof(name), "%u", i);
        ACCOUNT(name, 0, { table[i].name, 100 }, { table[next].name, -30 });
        expect_excess(name, held * table[i].asset_initial - owed * table[next].debt_initial,
                      held * table[i].asset - owed * table[next].debt);
    }
    judge_book();
    table_count = 0;
}

/* What is borrowed up to may be above what is liquidated at only in a file that is wrong. */
static void add_weights(const char *name, int64_t asset_initial, int64_t asset, int64_t debt_initial,
                        int64_t debt)
{
    assert_true(table_count < sizeof table / sizeof table[0]);
    assert_true(asset_initial <= asset && debt_initial >= debt);
    table[table_count++] = (struct weights){ name, asset_initial, asset, debt_initial, debt };
}

static unsigned in_category;

/* `category` is that of accounts in `mode`: what is lent on its own collateral. */
static void add_aave(const json_t *reserves, const json_t *category)
{
    const char *name;
    json_t *reserve;
    json_object_foreach((json_t *)reserves, name, reserve) {
        bool counts = !json_is_false(json_object_get(reserve, "usage_as_collateral")) &&
                      ppm(reserve, "liquidation_threshold_bps", 100) > 0;
        bool is_in = mode > 0 && json_integer_value(json_object_get(reserve, "emode_category")) == mode;
        const json_t *lines = is_in ? category : reserve;
        in_category += counts && is_in;
        add_weights(name, counts ? ppm(lines, "ltv_bps", 100) : 0,
                    counts ? ppm(lines, "liquidation_threshold_bps", 100) : 0, PL_PPM, PL_PPM);
    }
}

static json_t *load_real(const char *name, char *path)
{
    snprintf(path, COMMAND_BYTES_MAX / 2, "%s", real_data_path(name));
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    return json;
}

static void aave_v2_as_it_is(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2];
    json_t *json = load_real("params_aave_v2.json", path);
    import("aave-v2", path, "");
    add_aave(json_object_get(json, "reserves"), NULL);
    judge_table();
    json_decref(json);
}

static void aave_v3_on_each_chain(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2], options[NAME_BYTES_MAX];
    json_t *json = load_real("params_aave_v3.json", path), *chain, *category;
    const char *name, *number;
    json_object_foreach(json_object_get(json, "chains"), name, chain) {
        snprintf(options, sizeof(options), "--chain %s", name);
        import("aave-v3", path, options);
        add_aave(json_object_get(chain, "reserves"), NULL);
        judge_table();
        json_object_foreach(json_object_get(chain, "emodes"), number, category) {
            mode = (unsigned)strtoul(number, NULL, 10);
            add_aave(json_object_get(chain, "reserves"), category);
            judge_table();
        }
        mode = 0;
    }
    assert_true(in_category > 30);
    json_decref(json);
}

static void compound_v3_in_each_market(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2], options[NAME_BYTES_MAX];
    json_t *json = load_real("params_compound_v3.json", path), *chain, *market, *asset;
    const char *of, *in, *name;
    json_object_foreach(json_object_get(json, "markets"), of, chain)
        json_object_foreach(chain, in, market) {
            snprintf(options, sizeof(options), "--chain %s --market %s", of, in);
            import("compound-v3", path, options);
            add_weights(json_string_value(json_object_get(market, "baseToken")), PL_PPM, PL_PPM,
                        PL_PPM, PL_PPM);
            json_object_foreach(json_object_get(market, "assets"), name, asset)
                add_weights(name, ppm(asset, "borrowCF", PL_PPM), ppm(asset, "liquidateCF", PL_PPM),
                            PL_PPM, PL_PPM);
            judge_table();
        }
    json_decref(json);
}

static void mango_v4_as_it_is(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2];
    json_t *json = load_real("params_mango_v4.json", path), *row;
    const char *name;
    import("mango-v4", path, "");
    json_object_foreach(json_object_get(json, "launch_tokens"), name, row)
        add_weights(name, ppm(row, "initAssetWeight", PL_PPM), ppm(row, "maintAssetWeight", PL_PPM),
                    ppm(row, "initLiabWeight", PL_PPM), ppm(row, "maintLiabWeight", PL_PPM));
    json_object_foreach(json_object_get(json, "launch_perps"), name, row)
        add_weights(name, ppm(row, "initBaseAssetWeight", PL_PPM),
                    ppm(row, "maintBaseAssetWeight", PL_PPM), ppm(row, "initBaseLiabWeight", PL_PPM),
                    ppm(row, "maintBaseLiabWeight", PL_PPM));
    judge_table();
    json_decref(json);
}

/* ---- real files: venues ------------------------------------------------------------------------ */

/* Of a notional in the tier: mmr * N - cum, exactly; and at least N / leverage. */
static void put_notional(const char *symbol, const json_t *tier, int64_t notional, unsigned number)
{
    char name[NAME_BYTES_MAX];
    pl_i128 maintenance = (pl_i128)notional * ppm(tier, "mmr", PL_PPM) - ppm(tier, "cum", PL_PPM);
    for (int side = -1; side <= 1; side += 2) {
        snprintf(name, sizeof(name), "%s#%u%c%lld", symbol, number, side < 0 ? '-' : '+',
                 (long long)notional);
        ACCOUNT(name, notional, { symbol, side * notional });
        expect(name, "requirement_usd", "maintenance", "equal", maintenance);
        expect(name, "requirement_usd", "initial", "at least",
               (pl_i128)notional * PL_PPM / ppm(tier, "max_leverage", 1));
    }
}

/* At both ends of each tier, 1 USD inside them and in the middle; an end that nobody reaches is not one. */
static void put_symbol(const char *symbol, const json_t *tiers)
{
    size_t i;
    json_t *tier;
    put_price(symbol, 1);
    json_array_foreach((json_t *)tiers, i, tier) {
        int64_t from = ppm(tier, "min_notional", 1);
        double end = json_number_value(json_object_get(tier, "max_notional"));
        int64_t to = end < 1e11 ? llround(end) : 2 * from + 10;
        const int64_t notionals[] = { from + (i == 0), from + 1, (from + to) / 2, to - 1, to };
        for (unsigned at = 0; at < sizeof notionals / sizeof notionals[0]; at++)
            put_notional(symbol, tier, notionals[at], (unsigned)i * 8 + at);
    }
}

static void binance_tiers_at_their_bounds(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2];
    json_t *json = load_real("params_binance_usdm_tiers.json", path), *tiers;
    const char *symbol;
    import("binance-usdm", path, "");
    begin_book();
    json_object_foreach(json_object_get(json, "symbols"), symbol, tiers)
        if (strcmp(symbol, "ETH/BTC:BTC") != 0)
            put_symbol(symbol, tiers);
    /* By hand: 300,000 USD of BTC are in its second tier, 0.5 % less 50 USD. */
    ACCOUNT("hand", 0, { "BTC/USDT:USDT", 300000 });
    expect("hand", "requirement_usd", "maintenance", "equal", 1450 * USD);
    judge_book();
    json_decref(json);
}

static const json_t *tier_of(const json_t *json, const json_t *perpetual)
{
    size_t i;
    json_t *tier;
    json_array_foreach(json_object_get(json, "liquidity_tiers"), i, tier)
        if (json_equal(json_object_get(tier, "id"), json_object_get(perpetual, "liquidity_tier")))
            return tier;
    fail_msg("there is no such tier");
    return NULL;
}

/* Up to the base a share of N, at k^2/4 times the base (the ends of chords) k/2 times that share; at
 * most 2 ppm of N more, and exactly the curve in between or above it. */
static void put_perpetual(const char *ticker, const json_t *tier)
{
    char name[NAME_BYTES_MAX];
    const int64_t initial = ppm(tier, "initial_margin_ppm", 1),
                  fraction = ppm(tier, "maintenance_fraction_ppm", 1),
                  base = ppm(tier, "base_position_notional", 1e-6);
    put_price(ticker, 10);
    for (int64_t k = 1; k <= 8; k++) {
        int64_t notional = base * k * k / 4;
        pl_i128 share = k < 2 ? initial : initial * k / 2;
        if (share > PL_PPM)
            break;
        snprintf(name, sizeof(name), "%s@%lld", ticker, (long long)k);
        ACCOUNT(name, notional, { ticker, k % 2 ? -notional / 10 : notional / 10 });
        expect(name, "requirement_usd", "initial", "at least", notional * share);
        expect(name, "requirement_usd", "maintenance", "at least", notional * share * fraction / PL_PPM);
        if (k == 5 || k == 7) /* not the end of a chord */
            continue;
        expect(name, "requirement_usd", "initial", "at most", notional * (share + 2));
        expect(name, "requirement_usd", "maintenance", "at most",
               notional * (share * fraction / PL_PPM + 2));
    }
}

static void dydx_v4_as_it_is(void **state)
{
    (void)state;
    char path[COMMAND_BYTES_MAX / 2];
    json_t *json = load_real("params_dydx_v4.json", path), *perpetual;
    size_t i;
    import("dydx-v4", path, "");
    begin_book();
    json_array_foreach(json_object_get(json, "perpetuals"), i, perpetual)
        put_perpetual(json_string_value(json_object_get(perpetual, "ticker")), tier_of(json, perpetual));
    /* By hand: 4 million USD of BTC, four times the base: 5 % * 2, and 60 % of it. The last of two chords
     * has 82142.86 ppm more than 5 %, rounded up, on 1.75 million USD: 25 cents. */
    ACCOUNT("hand", 0, { "BTC-USD", 400000 });
    expect("hand", "requirement_usd", "initial", "equal", 400000 * USD + 250000);
    expect("hand", "requirement_usd", "maintenance", "at least", 240000 * USD);
    expect("hand", "requirement_usd", "maintenance", "at most", 240001 * USD);
    judge_book();
    json_decref(json);
}

static void clean_up(void)
{
    char command[COMMAND_BYTES_MAX];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    if (!is_kept && system(command) != 0)
        fprintf(stderr, "%s is left\n", folder);
}

int main(void)
{
    const struct CMUnitTest by_hand[] = {
        cmocka_unit_test(collateral_counts_less_the_more_there_is),
        cmocka_unit_test(mango_health_is_a_weighted_sum),
        cmocka_unit_test(aave_sells_below_a_health_factor_of_1),
        cmocka_unit_test(aave_is_called_for_a_sale),
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(aave_v2_as_it_is),
        cmocka_unit_test(aave_v3_on_each_chain),
        cmocka_unit_test(compound_v3_in_each_market),
        cmocka_unit_test(mango_v4_as_it_is),
        cmocka_unit_test(binance_tiers_at_their_bounds),
        cmocka_unit_test(dydx_v4_as_it_is),
    };
    if (!mkdtemp(folder) || atexit(clean_up) != 0)
        return 1;
    int failed = cmocka_run_group_tests(by_hand, NULL, NULL);
    is_kept = failed != 0;
    if (failed) /* before anything may be skipped */
        return failed;
    failed = cmocka_run_group_tests(real, NULL, NULL);
    is_kept = failed != 0;
    printf("%u figures as expected\n", judged);
    return failed;
}
