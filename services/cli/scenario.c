/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll scenario: the crash day of the quickstart, made from a seed. Its magnitudes are those of
 * 2021-05-19: in two hours bitcoin loses a third, ether 45 % and the smaller coins half, and then they
 * win back some of it. Not a market's data: every number is drawn here, in integers, so that the same
 * seed gives the same bytes everywhere.
 *
 *   plimsoll scenario prices       ts_ms,asset,price for plimsoll publish --prices
 *   plimsoll scenario positions    position events for plimsoll publish
 *
 * Accounts are of four kinds: lenders (a coin against dollars), mixed collateral against dollars,
 * perp longs on dollar collateral, and hedged books (spot long, perp short) that a crash hardly hurts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli.h"

enum { MINUTES = 120, KEYFRAMES = 6, NOISE_BP = 25 };
static const int64_t BEGIN_MS = 1621382400000; /* 2021-05-19T00:00:00Z */

struct asset {
    const char *name;
    int64_t begin_ticks;    /* USD * 10^4 */
    int trough_bp;          /* of the beginning */
    int recovered_bp;       /* at the end */
};

static const struct asset assets[] = {
    { "BTC", 430000000, 6650, 8000 },      { "ETH", 34000000, 5500, 7300 },
    { "SOL", 500000, 5000, 6900 },         { "LINK", 400000, 5100, 6600 },
    { "USDC", 10000, 10000, 10000 },       { "BTC-PERP", 430200000, 6600, 7990 },
    { "ETH-PERP", 34020000, 5450, 7290 },
};
enum { ASSET_COUNT = sizeof(assets) / sizeof(assets[0]), USDC = 4, BTC_PERP = 5, ETH_PERP = 6 };

/* splitmix64: one well-mixed 64-bit number per call, from any seed. */
static uint64_t draw(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t draw_between(uint64_t *seed, int64_t low, int64_t high)
{
    return low + (int64_t)(draw(seed) % (uint64_t)(high - low + 1));
}

/* ---- prices --------------------------------------------------------------------------------- */

/* Share of the way from the beginning to the trough, then from the trough to the recovery, in bp. */
static int64_t level_bp(const struct asset *asset, int minute)
{
    static const struct { int minute, fall_bp; } frames[KEYFRAMES] = {
        { 0, 0 }, { 20, 800 }, { 45, 3500 }, { 60, 5500 }, { 78, 10000 }, { 80, 9600 } };
    int64_t fall = asset->trough_bp - 10000;
    for (int i = 1; i < KEYFRAMES; i++)
        if (minute <= frames[i].minute) {
            int span = frames[i].minute - frames[i - 1].minute;
            int share = frames[i - 1].fall_bp + (frames[i].fall_bp - frames[i - 1].fall_bp) *
                                                    (minute - frames[i - 1].minute) / span;
            return 10000 + fall * share / 10000;
        }
    int64_t low = 10000 + fall * frames[KEYFRAMES - 1].fall_bp / 10000;
    int after = minute - frames[KEYFRAMES - 1].minute;
    return low + (asset->recovered_bp - low) * after / (MINUTES - frames[KEYFRAMES - 1].minute);
}

static void print_prices(uint64_t seed)
{
    puts("ts_ms,asset,price");
    for (int minute = 0; minute <= MINUTES; minute++)
        for (int i = 0; i < ASSET_COUNT; i++) {
            int noise_bp = i == USDC ? 2 : NOISE_BP;
            int64_t ticks = assets[i].begin_ticks * level_bp(&assets[i], minute) / 10000;
            ticks += ticks * draw_between(&seed, -noise_bp, noise_bp) / 10000;
            printf("%" PRId64 ",%s,%" PRId64 ".%04" PRId64 "\n", BEGIN_MS + (int64_t)minute * 60000,
                   assets[i].name, ticks / 10000, ticks % 10000);
        }
}

/* ---- positions ------------------------------------------------------------------------------ */

struct leg {
    int asset;
    int64_t micro;      /* signed quantity * 10^6       */
    int64_t cost_micro; /* USD * 10^6, of derivatives   */
};

static int64_t value_micro(int asset, int64_t micro) /* USD * 10^6 */
{
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)micro * assets[asset].begin_ticks / 10000);
}

/* Every tenth is an isolated bucket of the account before it. */
static void print_account(unsigned number, const struct leg *legs, int count)
{
    bool is_bucket = number % 10 == 0;
    printf("{\"topic\":\"positions\",\"value\":{\"account\":\"acct-%05u\",%s\"source\":\"venue\","
           "\"sequence\":\"1\",\"previous_sequence\":\"0\",\"kind\":\"KIND_SNAPSHOT\","
           "\"event_time_ms\":\"%" PRId64 "\",\"legs\":[", is_bucket ? number - 1 : number,
           is_bucket ? "\"bucket\":\"isolated\"," : "", BEGIN_MS);
    for (int i = 0; i < count; i++) {
        printf("%s{\"instrument\":\"%s\",\"quantity\":{\"mantissa\":\"%" PRId64
               "\",\"exponent\":-6}", i ? "," : "", assets[legs[i].asset].name, legs[i].micro);
        if (legs[i].cost_micro)
            printf(",\"cost\":{\"mantissa\":\"%" PRId64 "\",\"exponent\":-6}", legs[i].cost_micro);
        putchar('}');
    }
    puts("]}}");
}

static int make_account(uint64_t *seed, struct leg *legs)
{
    int kind = (int)(draw(seed) % 10);
    int64_t usd = draw_between(seed, 2000, 400000);
    int coin = (int)(draw(seed) % 4);
    int64_t units = usd * 10000 * 1000000 / assets[coin].begin_ticks; /* micro */
    int count = 0;
    if (kind < 6) { /* lender, or mixed collateral */
        int64_t owed_bp = draw_between(seed, 2500, 7400);
        legs[count++] = (struct leg){ coin, units, 0 };
        int64_t collateral = value_micro(coin, units);
        if (kind >= 4) {
            int other = (coin + 1) % 4;
            int64_t more = usd / 2 * 10000 * 1000000 / assets[other].begin_ticks;
            legs[count++] = (struct leg){ other, more, 0 };
            collateral += value_micro(other, more);
        }
        legs[count++] = (struct leg){ USDC, -(collateral / 10000 * owed_bp), 0 };
        return count;
    }
    int perp = kind % 2 ? BTC_PERP : ETH_PERP;
    if (kind < 9) { /* perp long: 1.2 to 4 times its dollars */
        int64_t notional = usd * draw_between(seed, 12, 40) / 10;
        int64_t lots = notional * 10000 * 1000000 / assets[perp].begin_ticks;
        legs[count++] = (struct leg){ USDC, usd * 1000000, 0 };
        legs[count++] = (struct leg){ perp, lots, value_micro(perp, lots) };
        return count;
    }
    int spot = perp == BTC_PERP ? 0 : 1; /* hedged */
    units = usd * 10000 * 1000000 / assets[spot].begin_ticks;
    legs[count++] = (struct leg){ spot, units, 0 };
    legs[count++] = (struct leg){ perp, -units, -value_micro(perp, units) };
    legs[count++] = (struct leg){ USDC, usd * 300000, 0 };
    return count;
}

static void print_positions(uint64_t seed, unsigned accounts)
{
    for (unsigned number = 1; number <= accounts; number++) {
        struct leg legs[4];
        print_account(number, legs, make_account(&seed, legs));
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

static const char USAGE[] =
    "usage: plimsoll scenario prices|positions [--seed N] [--accounts N]\n"
    "  Prints a made-up crash day: prices as CSV for plimsoll publish --prices, positions as JSON\n"
    "  lines for plimsoll publish. The same seed (default 7) prints the same bytes.\n"
    "  --accounts N          default 400\n";

int cli_scenario(int argc, char **argv)
{
    static const struct option options[] = { { "seed", required_argument, NULL, 's' },
                                             { "accounts", required_argument, NULL, 'a' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    uint64_t seed = 7;
    unsigned accounts = 400;
    bool is_usage = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'a')
            accounts = (unsigned)strtoul(optarg, NULL, 10);
        else
            is_usage = true;
    }
    const char *what = optind + 1 == argc ? argv[optind] : "";
    if (!is_usage && strcmp(what, "prices") == 0)
        print_prices(seed);
    else if (!is_usage && strcmp(what, "positions") == 0)
        print_positions(seed, accounts);
    else {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    return CLI_OK;
}
