/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lending protocols (import.h). All of them ask sum(collateral * w) >= sum(debt * v); here a long
 * leg counts 1 - haircut_long and a short one 1 + haircut_short of its value, so that
 *
 *   haircut_long = 1 - w, with w rounded down     haircut_short = v - 1, with v rounded up
 *
 * and the verdict is the protocol's own: Aave's health factor is below 1 exactly where the excess
 * over the maintenance tier is negative, and so on.
 */
#include <string.h>

#include "services/cli/import.h"

/* Where a file is from: for its reader, not for the set. */
#define PROVENANCE { "protocol", NULL }, { "as_of", NULL }, { "source", NULL }, { "licence", NULL }, \
                   { "units", NULL }, { "note", NULL }

static const char ADDRESS[] = "instruments have names";
static const char GATE[] = "it gates new positions, not the health of those there are";
static const char POOL[] = "it limits the pool, not an account";
static const char RATES[] = "interest is in the balances that position events bring";

static const int64_t WEIGHT_PPM_MAX = 8 * PL_PPM;
static const struct import_range SHARE = { 6, PL_ROUND_FLOOR, 0, PL_PPM };
static const struct import_range SHARE_BPS = { 2, PL_ROUND_FLOOR, 0, PL_PPM };
static const struct import_range GAIN_BPS = { 2, PL_ROUND_CEIL, 0, WEIGHT_PPM_MAX };
static const struct import_range DECIMALS = { 0, PL_ROUND_FLOOR, 0, PL_EXPONENT_MAX };

/* What is lost of a value where 1 of it pays for 1 / (1 + bonus); `gain_ppm` is 1 + bonus. */
static int64_t discount_of_bonus(int64_t gain_ppm)
{
    return PL_PPM - (int64_t)pl_div_floor((pl_i128)PL_PPM * PL_PPM, gain_ppm);
}

/* ---- Aave ----------------------------------------------------------------------------------- */

static const struct import_field AAVE_RESERVE[] = {
    { "decimals", NULL }, { "ltv_bps", NULL }, { "liquidation_threshold_bps", NULL },
    { "liquidation_bonus_bps", NULL }, { "usage_as_collateral", NULL }, { "is_active", NULL },
    { "is_paused", NULL }, { "oracle_price_usd", NULL }, { "address", NULL },
    { "liquidation_protocol_fee_bps", "it divides the bonus, which the account pays whole" },
    { "emode_category", NULL }, { "borrowing_enabled", GATE },
    { "is_frozen", GATE }, { "is_siloed", GATE }, { "borrowable_in_isolation", GATE },
    { "debt_ceiling_raw", POOL }, { "supply_cap", POOL }, { "borrow_cap", POOL },
    { "oracle", "price sources are the template's" }, { NULL, NULL },
};

/* A flag that the file does not have is `otherwise`. */
static bool flag(const json_t *object, const char *field, bool otherwise)
{
    const json_t *value = json_object_get(object, field);
    return value ? json_is_true(value) : otherwise;
}

/* An asset that is no collateral has no threshold, and one that is none any more backs nothing. */
static enum pl_err aave_lines(const json_t *reserve, struct import_row *row)
{
    int64_t borrow = 0, liquidate = 0;
    enum pl_err err = import_number(reserve, row->name, "ltv_bps", SHARE_BPS, &borrow);
    if (!err)
        err = import_number(reserve, row->name, "liquidation_threshold_bps", SHARE_BPS, &liquidate);
    if (!flag(reserve, "usage_as_collateral", true))
        borrow = liquidate = 0;
    row->haircut_long = (struct import_lines){ PL_PPM - borrow, PL_PPM - liquidate };
    row->is_kept = liquidate == 0;
    return err;
}

static enum pl_err aave_reserve(struct import *import, const char *name, const json_t *reserve)
{
    struct import_row row = { .name = name, .kind = "KIND_SPOT", .has_decimals = true };
    int64_t gain_ppm = 0;
    import_survey(import, "reserve", name, reserve, AAVE_RESERVE);
    enum pl_err err = aave_lines(reserve, &row);
    if (!err)
        err = import_number(reserve, name, "liquidation_bonus_bps", GAIN_BPS, &gain_ppm);
    if (!err)
        err = import_number(reserve, name, "decimals", DECIMALS, &row.decimals);
    if (!err && json_object_get(reserve, "oracle_price_usd")) {
        row.has_price = true;
        err = import_amount(reserve, name, "oracle_price_usd", &row.price);
    }
    if (err)
        return err;
    row.token = json_string_value(json_object_get(reserve, "address"));
    row.has_discount = gain_ppm > PL_PPM;
    if (row.has_discount) {
        row.sale_discount_ppm = discount_of_bonus(gain_ppm);
        row.bonus_ppm = gain_ppm - PL_PPM;
    }
    if (!flag(reserve, "is_active", true) || flag(reserve, "is_paused", false)) {
        import_note(import, name, "paused or not active: the protocol liquidates none of it");
        row.is_kept = true;
    }
    return import_row(import, &row);
}

static enum pl_err aave_reserves(struct import *import, const json_t *owner, const char *of)
{
    json_t *reserves = NULL, *reserve;
    const char *name;
    enum pl_err err = import_get(owner, of, "reserves", &reserves);
    if (err)
        return err;
    json_object_foreach(reserves, name, reserve) {
        err = aave_reserve(import, name, reserve);
        if (err)
            return err;
    }
    return PL_OK;
}

static const struct import_range FACTOR_BPS = { 2, PL_ROUND_FLOOR, 1, PL_PPM };

/* One call repays half of one debt, whatever the health. */
enum pl_err import_aave_v2(struct import *import)
{
    static const struct import_field fields[] = { PROVENANCE, { "chain", NULL }, { "reserves", NULL },
                                                  { "close_factor_bps", NULL }, { NULL, NULL } };
    const json_t *document = import->request->document;
    enum pl_err err = import_own_chain(import, "chain");
    import->rule = "RULE_AAVE_V3";
    if (!err && import_contract(import))
        err = import_number(document, "file", "close_factor_bps", FACTOR_BPS,
                            &import->close_factor_ppm);
    import_survey(import, "file", "aave-v2", document, fields);
    return err ? err : aave_reserves(import, document, "file");
}

static enum pl_err aave_v3_factors(struct import *import)
{
    json_t *factors = NULL;
    enum pl_err err = import_get(import->request->document, "file", "close_factor", &factors);
    if (!err)
        err = import_number(factors, "close_factor", "default_bps", FACTOR_BPS,
                            &import->close_factor_ppm);
    return err ? err : import_number(factors, "close_factor", "full_close_if_hf_below", SHARE,
                                     &import->full_below_ppm);
}

/* Of a category: its collateral lends by the category's lines to whoever has chosen it. */
static enum pl_err aave_mode(struct import *import, const char *number, const json_t *category,
                             const json_t *reserves)
{
    static const struct import_field fields[] = {
        { "ltv_bps", NULL }, { "liquidation_threshold_bps", NULL }, { "label", "a mode has a number" },
        { "liquidation_bonus_bps", NULL }, { NULL, NULL } };
    int64_t borrow = 0, liquidate = 0, gain_ppm = 0;
    const char *name;
    json_t *reserve;
    import_survey(import, "emode", number, category, fields);
    enum pl_err err = import_number(category, number, "ltv_bps", SHARE_BPS, &borrow);
    if (!err)
        err = import_number(category, number, "liquidation_threshold_bps", SHARE_BPS, &liquidate);
    if (!err)
        err = import_number(category, number, "liquidation_bonus_bps", GAIN_BPS, &gain_ppm);
    if (!err)
        err = import_mode(import, number);
    json_object_foreach((json_t *)reserves, name, reserve) {
        const char *its = json_string_value(json_object_get(reserve, "emode_category"));
        const char *line = json_string_value(json_object_get(reserve, "liquidation_threshold_bps"));
        if (!err && its && strcmp(its, number) == 0 && line && strcmp(line, "0") != 0 &&
            flag(reserve, "usage_as_collateral", true))
            import_weight(import, name, (struct import_lines){ PL_PPM - borrow, PL_PPM - liquidate },
                          gain_ppm > PL_PPM ? gain_ppm - PL_PPM : 0);
    }
    return err;
}

static enum pl_err aave_modes(struct import *import, const json_t *chain)
{
    json_t *modes = json_object_get(chain, "emodes"), *mode;
    const char *number;
    enum pl_err err = PL_OK;
    json_object_foreach(modes, number, mode) {
        if (!err)
            err = aave_mode(import, number, mode, json_object_get(chain, "reserves"));
    }
    return err;
}

enum pl_err import_aave_v3(struct import *import)
{
    static const struct import_field fields[] = { PROVENANCE, { "chains", NULL },
                                                  { "close_factor", NULL },
                                                  { "extra", "it is of another day" }, { NULL, NULL } };
    static const struct import_field of_chain[] = { { "reserves", NULL }, { "chain_id", ADDRESS },
                                                    { "emodes", NULL },
                                                    { NULL, NULL } };
    const json_t *document = import->request->document;
    json_t *chains = NULL, *chain = NULL;
    import_survey(import, "file", "aave-v3", document, fields);
    enum pl_err err = import_get(document, "file", "chains", &chains);
    if (!err)
        err = import_choose(chains, "chain", import->request->chain, &import->chain, &chain);
    import->rule = "RULE_AAVE_V3";
    if (!err && import_contract(import))
        err = aave_v3_factors(import);
    if (err)
        return err;
    import_survey(import, "chain", import->chain, chain, of_chain);
    err = aave_reserves(import, chain, import->chain);
    return err ? err : aave_modes(import, chain);
}

/* ---- Compound ------------------------------------------------------------------------------- */

static const struct import_field COMPOUND_ASSET[] = {
    { "decimals", NULL }, { "borrowCF", NULL }, { "liquidateCF", NULL }, { "liquidationFactor", NULL },
    { "address", NULL }, { "priceFeed", "price sources are the template's" },
    { "supplyCap", POOL }, { NULL, NULL },
};
static const struct import_field COMPOUND_MARKET[] = {
    { "baseToken", NULL }, { "assets", NULL }, { "name", ADDRESS }, { "symbol", ADDRESS },
    { "baseTokenAddress", NULL }, { "rewardTokenAddress", ADDRESS }, { "governor", ADDRESS },
    { "pauseGuardian", ADDRESS }, { "baseTokenPriceFeed", "price sources are the template's" },
    { "borrowMin", GATE }, { "rates", RATES }, { "tracking", RATES }, { "targetReserves", POOL },
    { "storeFrontPriceFactor", "at it the protocol sells what it has taken already" }, { NULL, NULL },
};

static enum pl_err compound_asset(struct import *import, const char *name, const json_t *asset)
{
    struct import_row row = { .name = name, .kind = "KIND_SPOT", .has_decimals = true };
    int64_t borrow = 0, liquidate = 0, paid = 0;
    import_survey(import, "asset", name, asset, COMPOUND_ASSET);
    enum pl_err err = import_number(asset, name, "borrowCF", SHARE, &borrow);
    if (!err)
        err = import_number(asset, name, "liquidateCF", SHARE, &liquidate);
    if (!err)
        err = import_number(asset, name, "liquidationFactor", SHARE, &paid);
    if (!err)
        err = import_number(asset, name, "decimals", DECIMALS, &row.decimals);
    if (err)
        return err;
    row.haircut_long = (struct import_lines){ PL_PPM - borrow, PL_PPM - liquidate };
    row.is_kept = liquidate == 0 || paid == 0;
    row.has_discount = !row.is_kept;
    row.sale_discount_ppm = PL_PPM - paid;
    row.token = json_string_value(json_object_get(asset, "address"));
    if (row.has_discount) {
        const int64_t gain = (int64_t)pl_div_floor((pl_i128)PL_PPM * PL_PPM, paid);
        row.bonus_ppm = gain < 2 * PL_PPM ? gain - PL_PPM : PL_PPM;
    }
    return import_row(import, &row);
}

/* What is lent counts whole on both sides; an account that holds it has no debt. */
static enum pl_err compound_base(struct import *import, const json_t *market)
{
    struct import_row row = { .kind = "KIND_SPOT", .is_kept = true };
    json_t *name = NULL;
    enum pl_err err = import_get(market, import->request->market, "baseToken", &name);
    if (err)
        return err;
    row.name = json_string_value(name);
    row.token = json_string_value(json_object_get(market, "baseTokenAddress"));
    return row.name ? import_row(import, &row)
                    : pl_err_set(PL_REJECT_MALFORMED, "baseToken is not a name");
}

enum pl_err import_compound_v3(struct import *import)
{
    static const struct import_field fields[] = { PROVENANCE, { "markets", NULL }, { NULL, NULL } };
    const json_t *document = import->request->document;
    json_t *chains = NULL, *markets = NULL, *market = NULL, *assets = NULL, *asset;
    const char *name = NULL;
    import_survey(import, "file", "compound-v3", document, fields);
    enum pl_err err = import_get(document, "file", "markets", &chains);
    if (!err)
        err = import_choose(chains, "chain", import->request->chain, &import->chain, &markets);
    if (!err)
        err = import_choose(markets, "market", import->request->market, &name, &market);
    if (!err)
        err = import_get(market, name, "assets", &assets);
    if (err)
        return err;
    import->rule = "RULE_COMPOUND_V3";
    import_survey(import, "market", name, market, COMPOUND_MARKET);
    err = compound_base(import, market);
    json_object_foreach(assets, name, asset) {
        if (!err)
            err = compound_asset(import, name, asset);
    }
    return err;
}

/* ---- Mango ---------------------------------------------------------------------------------- */

struct mango_names { const char *asset_init, *asset_maint, *liab_init, *liab_maint, *fee; };

static const struct import_field MANGO_TOKEN[] = {
    { "initAssetWeight", NULL }, { "maintAssetWeight", NULL }, { "initLiabWeight", NULL },
    { "maintLiabWeight", NULL }, { "liquidationFee", NULL }, { NULL, NULL },
};
static const char OVERALL[] = "an open position's profit counts in full here, as a loss does";
static const struct import_field MANGO_PERP[] = {
    { "initBaseAssetWeight", NULL }, { "maintBaseAssetWeight", NULL }, { "initBaseLiabWeight", NULL },
    { "maintBaseLiabWeight", NULL }, { "baseLiquidationFee", NULL },
    { "initOverallAssetWeight", OVERALL }, { "maintOverallAssetWeight", OVERALL }, { NULL, NULL },
};

static enum pl_err mango_row(struct import *import, const json_t *object, const char *kind,
                             const struct mango_names *names, const char *name)
{
    static const struct import_range asset = { 6, PL_ROUND_FLOOR, 0, PL_PPM };
    static const struct import_range liab = { 6, PL_ROUND_CEIL, PL_PPM, WEIGHT_PPM_MAX };
    static const struct import_range fees = { 6, PL_ROUND_CEIL, 0, PL_PPM };
    struct import_row row = { .name = name, .kind = kind, .end_is_initial = true,
                              .has_discount = true };
    struct import_lines w = { 0, 0 }, v = { 0, 0 };
    int64_t fee = 0;
    enum pl_err err = import_number(object, name, names->asset_init, asset, &w.initial);
    if (!err)
        err = import_number(object, name, names->asset_maint, asset, &w.maintenance);
    if (!err)
        err = import_number(object, name, names->liab_init, liab, &v.initial);
    if (!err)
        err = import_number(object, name, names->liab_maint, liab, &v.maintenance);
    if (!err)
        err = import_number(object, name, names->fee, fees, &fee);
    if (err)
        return err;
    row.haircut_long = (struct import_lines){ PL_PPM - w.initial, PL_PPM - w.maintenance };
    row.haircut_short = (struct import_lines){ v.initial - PL_PPM, v.maintenance - PL_PPM };
    row.sale_discount_ppm = discount_of_bonus(PL_PPM + fee);
    return import_row(import, &row);
}

static enum pl_err mango_rows(struct import *import, const char *group, const char *kind,
                              const struct import_field *fields, const struct mango_names *names)
{
    json_t *rows = NULL, *row;
    const char *name;
    enum pl_err err = import_get(import->request->document, "file", group, &rows);
    json_object_foreach(rows, name, row) {
        import_survey(import, group, name, row, fields);
        if (!err)
            err = mango_row(import, row, kind, names, name);
    }
    return err;
}

enum pl_err import_mango_v4(struct import *import)
{
    static const struct import_field fields[] = {
        PROVENANCE, { "chain", NULL }, { "launch_tokens", NULL }, { "launch_perps", NULL },
        { "listing_presets", "they are for tokens that are not listed yet" }, { NULL, NULL },
    };
    static const struct mango_names token = { "initAssetWeight", "maintAssetWeight", "initLiabWeight",
                                              "maintLiabWeight", "liquidationFee" };
    static const struct mango_names perp = { "initBaseAssetWeight", "maintBaseAssetWeight",
                                             "initBaseLiabWeight", "maintBaseLiabWeight",
                                             "baseLiquidationFee" };
    enum pl_err err = import_own_chain(import, "chain");
    import_survey(import, "file", "mango-v4", import->request->document, fields);
    if (!err)
        err = mango_rows(import, "launch_tokens", "KIND_SPOT", MANGO_TOKEN, &token);
    return err ? err : mango_rows(import, "launch_perps", "KIND_PERP", MANGO_PERP, &perp);
}
