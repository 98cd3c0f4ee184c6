/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Venues of perps and futures (import.h). Their requirement is a function of a position's notional
 * N, the same for both sides; here it is a haircut, the rate from 0 on, and brackets above it. Both
 * parts must be convex, which a venue's initial requirement need not be: then it is a convex one
 * that is nowhere below the venue's.
 */
#include <stdio.h>
#include <string.h>

#include "services/cli/import.h"

#define PROVENANCE { "protocol", NULL }, { "as_of", NULL }, { "source", NULL }, { "licence", NULL }, \
                   { "note", NULL }

static const int64_t RATE_PPM_MAX = 8 * PL_PPM;
#define USD_MAX ((int64_t)1000000000000) /* of one account (RISK 1.1) */
static const char VENUE[] = "the venue keeps its limit on positions itself";

/* Rates of the parts of a position, from 0 USD on, to haircut and brackets. Refuses parts that are
 * not in order, or ask less of more (V2). */
static enum pl_err add_parts(struct import *import, struct import_row *row,
                             const struct import_step *parts, unsigned count)
{
    if (count == 0 || parts[0].from_usd != 0)
        return pl_err_set(PL_REJECT_CONFLICT, "%s: there is no part from 0 USD on", row->name);
    row->haircut_long = row->haircut_short = parts[0].rate;
    row->step_count = count - 1;
    for (unsigned i = 1; i < count; i++) {
        const struct import_lines *last = &parts[i - 1].rate, *rate = &parts[i].rate;
        if (parts[i].from_usd <= parts[i - 1].from_usd || rate->maintenance < last->maintenance ||
            rate->initial < last->initial)
            return pl_err_set(PL_REJECT_CONFLICT, "%s: part %u does not follow part %u", row->name,
                              i + 1, i);
        row->steps[i - 1] = (struct import_step){
            .from_usd = parts[i].from_usd,
            .rate = { rate->initial - parts[0].rate.initial,
                      rate->maintenance - parts[0].rate.maintenance } };
    }
    return import_row(import, row);
}

/* ---- Binance -------------------------------------------------------------------------------- */

/* maintenance = mmr * N - cum in the tier of N, which is mmr of each part of N in its tier;
 * initial = N / max_leverage of the tier of N, of all of N. */
struct tier { int64_t from_usd, to_usd, maintenance, initial, cum_ppm; };

static const struct import_field BINANCE_TIER[] = {
    { "tier", NULL }, { "min_notional", NULL }, { "max_notional", NULL }, { "mmr", NULL },
    { "max_leverage", NULL }, { "cum", NULL }, { NULL, NULL },
};

static enum pl_err read_initial(const json_t *object, const char *of, int64_t *initial)
{
    static const struct import_range range = { 6, PL_ROUND_FLOOR, PL_PPM / 8, 1000 * (int64_t)PL_PPM };
    int64_t leverage = 0;
    enum pl_err err = import_number(object, of, "max_leverage", range, &leverage);
    if (!err)
        *initial = (int64_t)pl_div_ceil((pl_i128)PL_PPM * PL_PPM, leverage);
    return err;
}

/* A last tier without an end has a very large one: what no account may hold is as good. */
static enum pl_err read_end(const json_t *object, const char *of, int64_t *to_usd)
{
    static const struct import_range usd = { 0, PL_ROUND_FLOOR, 0, USD_MAX };
    static const struct pl_amount most = { USD_MAX, 0 };
    struct pl_amount end;
    *to_usd = USD_MAX;
    enum pl_err err = import_amount(object, of, "max_notional", &end);
    if (err || pl_amount_compare(&end, &most) > 0)
        return err;
    return import_number(object, of, "max_notional", usd, to_usd);
}

static enum pl_err read_tier(const json_t *object, const char *of, struct tier *tier)
{
    static const struct import_range usd = { 0, PL_ROUND_FLOOR, 0, USD_MAX },
                                     rate = { 6, PL_ROUND_CEIL, 0, RATE_PPM_MAX },
                                     sum = { 6, PL_ROUND_FLOOR, 0, INT64_MAX };
    enum pl_err err = import_number(object, of, "min_notional", usd, &tier->from_usd);
    if (!err)
        err = read_end(object, of, &tier->to_usd);
    if (!err)
        err = import_number(object, of, "mmr", rate, &tier->maintenance);
    if (!err)
        err = import_number(object, of, "cum", sum, &tier->cum_ppm);
    return err ? err : read_initial(object, of, &tier->initial);
}

/* A tier begins where the last one ends, and its cum makes the two meet there. */
static enum pl_err check_tier(struct import *import, const char *name, const struct tier *last,
                              const struct tier *tier)
{
    if (tier->from_usd != last->to_usd)
        return pl_err_set(PL_REJECT_CONFLICT, "%s: a tier begins at %lld, the last one ends at %lld",
                          name, (long long)tier->from_usd, (long long)last->to_usd);
    pl_i128 cum = last->cum_ppm +
                  (pl_i128)tier->from_usd * (tier->maintenance - last->maintenance);
    if (cum != tier->cum_ppm)
        import_note(import, name, "cum is not that of tiers that meet: left out, the tiers count");
    return PL_OK;
}

static enum pl_err read_tiers(struct import *import, const char *name, const json_t *array,
                              struct tier *tiers, unsigned *count)
{
    size_t i;
    json_t *object;
    *count = 0;
    if (json_array_size(array) > IMPORT_STEPS_MAX)
        return pl_err_set(PL_REJECT_SIZE, "%s: %zu tiers, at most %d", name, json_array_size(array),
                          IMPORT_STEPS_MAX);
    json_array_foreach((json_t *)array, i, object) {
        import_survey(import, "tier", name, object, BINANCE_TIER);
        enum pl_err err = read_tier(object, name, &tiers[i]);
        if (!err && i > 0)
            err = check_tier(import, name, &tiers[i - 1], &tiers[i]);
        if (err)
            return err;
        ++*count;
    }
    return PL_OK;
}

/*
 * The venue's initial requirement jumps where a tier ends, for all of N at once. A line from jump
 * to jump is above it: at each tier's end it is at least what the next tier asks there, and convex
 * where its slopes do not fall. In USD * ppm, exact until a rate rounds up. Returns whether a slope
 * is above the venue's rate.
 */
static bool convex_initial(const struct tier *tiers, unsigned count, struct import_step *parts)
{
    pl_i128 asked = 0;
    bool is_above = false;
    for (unsigned i = 0; i < count; i++) {
        int64_t width = tiers[i].to_usd - tiers[i].from_usd, rate = tiers[i].initial;
        if (i + 1 < count && width > 0) {
            pl_i128 wanted = (pl_i128)tiers[i].to_usd * tiers[i + 1].initial;
            pl_i128 least = pl_div_ceil(wanted - asked, width);
            rate = least > rate ? (int64_t)least : rate;
        }
        if (i > 0 && rate < parts[i - 1].rate.initial)
            rate = parts[i - 1].rate.initial;
        asked += (pl_i128)width * rate;
        parts[i].rate.initial = rate;
        is_above |= rate > tiers[i].initial;
    }
    return is_above;
}

/* "BTC/USDT:USDT" is a perp, "BTC/USDT:USDT-241227" ends on that day; both in dollar coins. */
static bool is_in_dollars(const char *name)
{
    const char *quote = strchr(name, '/');
    return quote && strncmp(quote + 1, "USD", 3) == 0 && strstr(quote, ":USD");
}

static enum pl_err binance_symbol(struct import *import, const char *name, const json_t *array)
{
    static struct tier tiers[IMPORT_STEPS_MAX];
    static struct import_step parts[IMPORT_STEPS_MAX];
    unsigned count = 0;
    if (!is_in_dollars(name)) {
        import_note(import, name, "left out: neither quoted nor settled in dollars");
        return PL_OK;
    }
    struct import_row row = { .name = name, .kind = strchr(name, '-') ? "KIND_FUTURE" : "KIND_PERP" };
    enum pl_err err = read_tiers(import, name, array, tiers, &count);
    if (err)
        return err;
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct import_step){ .from_usd = tiers[i].from_usd,
                                         .rate = { 0, tiers[i].maintenance } };
    if (convex_initial(tiers, count, parts))
        import_note(import, name, "V2 brackets rate: the initial requirement jumps between tiers; it "
                    "became lines above it, from jump to jump");
    return add_parts(import, &row, parts, count);
}

enum pl_err import_binance_usdm(struct import *import)
{
    static const struct import_field fields[] = { PROVENANCE, { "symbols", NULL }, { NULL, NULL } };
    const json_t *document = import->request->document;
    json_t *symbols = NULL, *array;
    const char *name;
    if (import->request->chain)
        return pl_err_set(PL_REJECT_UNKNOWN, "--chain %s: a venue is on no chain",
                          import->request->chain);
    import_survey(import, "file", "binance-usdm", document, fields);
    import_note(import, "max_notional", "last tier: left out, %s", VENUE);
    import_note(import, "USDT, USDC", "taken for dollars: prices and costs are in USD");
    enum pl_err err = import_get(document, "file", "symbols", &symbols);
    json_object_foreach(symbols, name, array) {
        if (!err)
            err = binance_symbol(import, name, array);
    }
    return err;
}

/* ---- dYdX ----------------------------------------------------------------------------------- */

static const struct import_field DYDX_PERPETUAL[] = {
    { "ticker", NULL }, { "market_id", NULL }, { "atomic_resolution", NULL },
    { "liquidity_tier", NULL }, { "id", "instruments have names" },
    { "pair", "instruments have names" }, { "price_exponent", "ticks follow the price" },
    { "default_funding_ppm", "funding is in the cash that position events bring" }, { NULL, NULL },
};
static const struct import_field DYDX_TIER[] = {
    { "id", NULL }, { "name", NULL }, { "initial_margin_ppm", NULL },
    { "maintenance_fraction_ppm", NULL }, { "base_position_notional", NULL },
    { "impact_notional", "it is for funding" }, { NULL, NULL },
};
static const struct import_field DYDX_LIQUIDATIONS[] = {
    { "max_liquidation_fee_ppm", NULL },
    { "position_block_limits", "an order sells what restores the account" },
    { "subaccount_block_limits", "an order sells what restores the account" },
    { "fillable_price_config", "the limit price is the mark less the fee" }, { NULL, NULL },
};

static const struct import_range INTEGER = { 0, PL_ROUND_FLOOR, -PL_PPM, INT64_MAX };
static const struct import_range PPM = { 0, PL_ROUND_CEIL, 1, PL_PPM };

/* Member of an array of objects whose `field` is the integer. */
static enum pl_err find_member(const json_t *array, const char *of, const char *field, int64_t wanted,
                               const json_t **found)
{
    size_t i;
    json_t *member;
    json_array_foreach((json_t *)array, i, member) {
        int64_t value = 0;
        enum pl_err err = import_number(member, of, field, INTEGER, &value);
        if (err)
            return err;
        if (value == wanted) {
            *found = member;
            return PL_OK;
        }
    }
    return pl_err_set(PL_REJECT_UNKNOWN, "%s: there is no %s %lld", of, field, (long long)wanted);
}

/*
 * The initial margin of notional N is m * N up to the base B, above it m * N * sqrt(N / B) and
 * never more than N; maintenance is a fraction of it. With N = B * (k/2)^2 the middle one is m * B
 * * (k/2)^3, a number without roots, and chords between such N lie above the curve: from k to l the
 * slope is m * (k^2 + kl + l^2) / (2 (k + l)). The nodes k = 2, 3, 4, 6, 8, 12 … keep chords within
 * 7 % of the curve; the last one is the first at which N itself is asked, and its slope goes on, so
 * that beyond it more than N is asked: a requirement that stops growing would not be convex.
 */
struct curve { int64_t initial_ppm, fraction_ppm, base; };

static unsigned make_chords(const struct curve *curve, struct import_step *parts)
{
    pl_i128 last = pl_div_ceil(2 * (pl_i128)PL_PPM, curve->initial_ppm);
    unsigned count = 1;
    parts[0] = (struct import_step){
        .rate = { curve->initial_ppm, (int64_t)pl_div_ceil((pl_i128)curve->initial_ppm *
                                                           curve->fraction_ppm, PL_PPM) } };
    for (pl_i128 k = 2; k < last && count < IMPORT_STEPS_MAX; count++) {
        pl_i128 next = (k & (k - 1)) == 0 ? k * 3 / 2 : k * 4 / 3;
        next = next < last ? next : last;
        pl_i128 slope = curve->initial_ppm * (k * k + k * next + next * next);
        parts[count] = (struct import_step){
            .from_usd = (int64_t)pl_div_floor(curve->base * k * k, 4 * (pl_i128)PL_PPM),
            .rate = { (int64_t)pl_div_ceil(slope, 2 * (k + next)),
                      (int64_t)pl_div_ceil(slope * curve->fraction_ppm,
                                           2 * (k + next) * PL_PPM) } };
        k = next;
    }
    return count;
}

static enum pl_err read_curve(const json_t *tiers, const char *of, int64_t id, struct curve *curve)
{
    static const struct import_range base = { 0, PL_ROUND_FLOOR, PL_PPM, PL_PPM * USD_MAX };
    const json_t *tier = NULL;
    enum pl_err err = find_member(tiers, of, "id", id, &tier);
    if (!err)
        err = import_number(tier, of, "initial_margin_ppm", PPM, &curve->initial_ppm);
    if (!err)
        err = import_number(tier, of, "maintenance_fraction_ppm", PPM, &curve->fraction_ppm);
    return err ? err : import_number(tier, of, "base_position_notional", base, &curve->base);
}

/* Decimals of the smallest amount, and the price at genesis, which gives those of ticks. */
static enum pl_err read_units(const json_t *document, const json_t *perpetual, struct import_row *row)
{
    int64_t market = 0, exponent = 0;
    const json_t *price = NULL;
    enum pl_err err = import_number(perpetual, row->name, "atomic_resolution", INTEGER,
                                    &row->decimals);
    if (!err)
        err = import_number(perpetual, row->name, "market_id", INTEGER, &market);
    if (!err)
        err = find_member(json_object_get(document, "genesis_prices"), row->name, "id", market, &price);
    if (!err)
        err = import_amount(price, row->name, "price", &row->price);
    if (!err)
        err = import_number(price, row->name, "exponent", INTEGER, &exponent);
    row->decimals = -row->decimals;
    row->price.exponent += (int32_t)exponent;
    row->has_decimals = row->has_price = true;
    return err;
}

static enum pl_err dydx_perpetual(struct import *import, const json_t *perpetual, int64_t fee_ppm)
{
    static struct import_step parts[IMPORT_STEPS_MAX];
    const json_t *document = import->request->document;
    json_t *ticker = NULL;
    struct curve curve = { 0, 0, 0 };
    int64_t tier = 0;
    enum pl_err err = import_get(perpetual, "perpetuals", "ticker", &ticker);
    if (err)
        return err;
    struct import_row row = { .name = json_string_value(ticker), .kind = "KIND_PERP",
                              .has_discount = true, .sale_discount_ppm = fee_ppm };
    if (!row.name)
        return pl_err_set(PL_REJECT_MALFORMED, "perpetuals: a ticker is not a name");
    import_survey(import, "perpetual", row.name, perpetual, DYDX_PERPETUAL);
    err = import_number(perpetual, row.name, "liquidity_tier", INTEGER, &tier);
    if (!err)
        err = read_curve(json_object_get(document, "liquidity_tiers"), row.name, tier, &curve);
    if (!err)
        err = read_units(document, perpetual, &row);
    if (err)
        return err;
    unsigned count = make_chords(&curve, parts);
    import_note(import, row.name, "margin that grows with the root of a position became chords above "
                "it; it stops growing at the whole position, they do not");
    return add_parts(import, &row, parts, count);
}

static void survey_tiers(struct import *import, const json_t *tiers)
{
    size_t i;
    json_t *tier;
    json_array_foreach((json_t *)tiers, i, tier) {
        const char *name = json_string_value(json_object_get(tier, "name"));
        import_survey(import, "liquidity tier", name ? name : "", tier, DYDX_TIER);
    }
}

enum pl_err import_dydx_v4(struct import *import)
{
    static const struct import_field fields[] = {
        PROVENANCE, { "chain_id", NULL }, { "liquidity_tiers", NULL }, { "perpetuals", NULL },
        { "liquidations_config", NULL }, { "genesis_prices", NULL },
        { "assets", "USDC is the account's cash" }, { NULL, NULL },
    };
    static const struct import_range fee = { 0, PL_ROUND_CEIL, 0, PL_PPM - 1 };
    const json_t *document = import->request->document;
    json_t *liquidations = NULL, *perpetuals = NULL, *perpetual;
    int64_t fee_ppm = 0;
    size_t i;
    enum pl_err err = import_own_chain(import, "chain_id");
    import_survey(import, "file", "dydx-v4", document, fields);
    survey_tiers(import, json_object_get(document, "liquidity_tiers"));
    if (!err)
        err = import_get(document, "file", "liquidations_config", &liquidations);
    if (!err)
        err = import_number(liquidations, "liquidations_config", "max_liquidation_fee_ppm", fee,
                            &fee_ppm);
    if (!err)
        err = import_get(document, "file", "perpetuals", &perpetuals);
    import_survey(import, "liquidations", "file", liquidations, DYDX_LIQUIDATIONS);
    json_array_foreach(perpetuals, i, perpetual) {
        if (!err)
            err = dydx_perpetual(import, perpetual, fee_ppm);
    }
    return err;
}
