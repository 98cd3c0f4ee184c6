/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validity of what only some instruments of a parameter set have: haircut models, pegs, options and their
 * scenarios, contracts (parameters.h).
 */
#include "lib/base/assert.h"
#include "lib/exposure/parameters.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- haircut models ------------------------------------------------------------------------- */

static enum pl_err check_model_ranges(const struct pl_checked *checked)
{
    const struct pl_haircut_model *model = &checked->instrument->haircut_model;
    const int64_t volume_least = model->venue_usd > 0 || model->reference_usd > 0;
    const struct pl_range ranges[] = {
        {"haircut_model.multiple", model->multiple.at[PL_TIER_MAINTENANCE], 0, INT32_MAX},
        {"haircut_model.horizon", model->horizon.at[PL_TIER_MAINTENANCE], 1, INT32_MAX},
        {"haircut_model.venue_usd", model->venue_usd, 0, INT64_MAX},
        {"haircut_model.reference_usd", model->reference_usd, 0, INT64_MAX},
        {"haircut_model.daily_volume_usd", model->daily_volume_usd, volume_least, INT64_MAX},
        {"haircut_model.participation_ppm", model->participation_ppm, model->venue_usd > 0,
         PL_PPM},
        {"haircut_model.impact_ppm", model->impact_ppm, model->reference_usd > 0, 100 * PL_PPM},
        {"haircut_model.half_spread_ppm", model->half_spread_ppm, 0, PL_PPM},
        {"haircut_model.buffer_ppm", model->buffer_ppm, 0, PL_PPM},
        {"haircut_model.stress_volatility_ppm", model->stress_volatility_ppm, 0, INT32_MAX},
        {"haircut_model.floor_volatility_ppm", model->floor_volatility_ppm, 0, INT32_MAX},
        {"haircut_model.addition_ppm", model->addition_ppm, 0, PL_PPM},
        {"haircut_model.cap_ppm", model->cap_ppm, 1, PL_PPM},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_refused(err, checked, "", ranges[i].field, "");
    }
    return PL_OK;
}

static enum pl_err check_model_policy(const struct pl_checked *checked)
{
    const struct pl_policy *policy = &checked->parameters->policy;
    const struct pl_range ranges[] = {
        {"haircut_rise_ppm_per_hour", policy->haircut_rise_ppm_per_hour, 1, INT32_MAX},
        {"haircut_hold_ms", policy->haircut_hold_ms, 0, INT64_MAX},
        {"haircut_fall_ppm_per_day", policy->haircut_fall_ppm_per_day, 1, INT32_MAX},
        {"haircut_interval_ms", policy->haircut_interval_ms, 1, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_refused(err, checked, "", "haircut_model needs policy default",
                           ranges[i].field);
    }
    return PL_OK;
}

static bool is_scaled(const struct pl_haircut_scale *scale)
{
    return scale->from_usd != 0 || scale->to_usd != 0;
}

static enum pl_err check_scales(const struct pl_checked *checked)
{
    static const char *const names[PL_SCALES] = {"haircut_model.deposits", "haircut_model.borrows",
                                                 "haircut_model.open_interest"};
    for (int i = 0; i < PL_SCALES; i++) {
        const struct pl_haircut_scale *scale = &checked->instrument->haircut_model.scales[i];
        const struct pl_instrument *figure = &checked->parameters->instruments[scale->figure];
        const bool is_range = i == PL_SCALE_OPEN_INTEREST;
        enum pl_err err = PL_OK;
        if (!is_scaled(scale))
            continue;
        if (!figure->is_listed || figure->kind != PL_INSTRUMENT_STATISTIC)
            err = pl_err_set(PL_REJECT_PARAMETERS, "its figure is no listed instrument of "
                             "KIND_STATISTIC");
        else if (is_range ? scale->from_usd < 0 || scale->to_usd <= scale->from_usd
                          : scale->from_usd < 1 || scale->to_usd != 0)
            err = pl_err_set(PL_REJECT_PARAMETERS, "from_usd is above 0 and to_usd absent, or for open "
                             "interest not below 0 and to_usd above it");
        if (err)
            return pl_refused(err, checked, "", names[i], "");
    }
    return PL_OK;
}

/* What was derived lies between base and cap, so does what it is on its way to. */
static enum pl_err check_derived(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    const struct pl_haircut *haircut = &instrument->haircut;
    if (!instrument->haircut_model.is_present || checked->parameters->base_epoch == 0)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "only an effective set, which names its "
                                  "base_epoch, has it, and only beside a haircut_model"),
                       checked, "", "haircut", "");
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        const int64_t base = haircut->base.at[tier];
        const int64_t cap = larger(base, instrument->haircut_model.cap_ppm);
        const struct pl_haircut_move *move = &haircut->moves[tier];
        enum pl_err err = pl_check_range(instrument->haircut_long.at[tier], base, cap);
        if (!err)
            err = pl_check_range(haircut->target.at[tier], base, cap);
        if (!err && move->since_ms != 0)
            err = pl_check_range(move->from_ppm, base, cap);
        if (!err && haircut->has_short)
            err = pl_check_range(instrument->haircut_short.at[tier], haircut->base_short.at[tier],
                                 larger(haircut->base_short.at[tier],
                                        instrument->haircut_model.cap_ppm));
        if (err)
            return pl_refused(err, checked, "", "haircut", pl_tier_names[tier]);
    }
    for (int i = 0; i < PL_HAIRCUT_SPANS; i++) {
        const struct pl_haircut_window *window = &haircut->windows[i];
        enum pl_err err = pl_check_range(window->low_ppm, -PL_COEFFICIENTS_PPM_MAX, window->high_ppm);
        if (!err)
            err = pl_check_range(window->before_low_ppm, -PL_COEFFICIENTS_PPM_MAX,
                              window->before_high_ppm);
        if (err)
            return pl_refused(err, checked, "", "haircut windows", "");
    }
    enum pl_err err = haircut->has_short ? pl_check_nested(&haircut->base_short, false) : PL_OK;
    if (err)
        return pl_refused(err, checked, "V6", "haircut.base_short", "");
    return pl_refused(pl_check_nested(&haircut->base, false), checked, "V6", "haircut.base_haircut", "");
}

enum pl_err pl_check_haircut_model(const struct pl_checked *checked)
{
    const struct pl_haircut_model *model = &checked->instrument->haircut_model;
    enum pl_err err = PL_OK;
    if (model->is_present)
        err = check_model_ranges(checked);
    if (!err && model->is_present)
        err = check_model_policy(checked);
    if (!err && model->is_present)
        err = check_scales(checked);
    if (!err && model->is_present)
        err = pl_refused(pl_check_nested(&model->multiple, false), checked, "V6",
                      "haircut_model.multiple", "");
    if (!err && model->is_present)
        err = pl_refused(pl_check_nested(&model->horizon, false), checked, "V6",
                      "haircut_model.horizon", "");
    if (!err && checked->instrument->haircut.is_present)
        err = check_derived(checked);
    return err;
}

/* ---- pegs ----------------------------------------------------------------------------------- */

static enum pl_err check_peg_ranges(const struct pl_checked *checked)
{
    const struct pl_peg *peg = &checked->instrument->peg;
    const struct pl_range ranges[] = {
        {"peg.markets", peg->market_count, peg->market_count > 0 ? 2 : 0, PL_PEG_MARKETS_MAX},
        {"peg.cap_ratio", peg->cap_ratio_e12, peg->cap_growth_ppm != 0, PL_PEG_RATIO_E12_MAX},
        {"peg.cap_since_ms", peg->cap_since_ms, 0, INT64_MAX},
        {"peg.cap_growth_ppm_per_year", peg->cap_growth_ppm, 0, 10 * PL_PPM},
        {"peg.floor_ppm", peg->floor_ppm, 0, PL_PPM},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_refused(err, checked, "", ranges[i].field, "");
    }
    for (uint32_t i = 0; i < peg->market_count; i++) {
        enum pl_err err = pl_check_range(peg->markets[i].window_ms, 1, 86400000);
        if (err)
            return pl_refused(err, checked, "", "peg.markets.window_ms", "");
    }
    return PL_OK;
}

/* One source is believed alone, and it is the same: its print would be two inputs of the median. */
static bool have_one_voice(const struct pl_instrument *a, const struct pl_instrument *b)
{
    const struct pl_price_rules *x = &a->price_rules, *y = &b->price_rules;
    if (x->quorum > 1 || y->quorum > 1)
        return false;
    for (uint32_t i = 0; i < x->source_count; i++)
        for (uint32_t k = 0; k < y->source_count; k++)
            if (pl_id_equal(&x->sources[i], &y->sources[k]))
                return true;
    return false;
}

static enum pl_err check_peg(const struct pl_checked *checked)
{
    const struct pl_instrument *instruments = checked->parameters->instruments;
    const struct pl_peg *peg = &checked->instrument->peg;
    uint32_t inputs[PL_PEG_MARKETS_MAX + 2] = {peg->base, peg->redemption};
    enum pl_err err = check_peg_ranges(checked);
    if (err)
        return err;
    for (uint32_t i = 0; i < peg->market_count; i++)
        inputs[i + 2] = peg->markets[i].instrument;
    for (uint32_t i = 0; i < peg->market_count + 2; i++) {
        if (inputs[i] >= PL_INSTRUMENTS_MAX || !instruments[inputs[i]].is_listed)
            err = pl_err_set(PL_REJECT_PARAMETERS, "instrument %u is not listed", inputs[i]);
        else if (instruments[inputs[i]].peg.is_present)
            err = pl_err_set(PL_REJECT_PARAMETERS, "an instrument it names is pegged itself");
        else if (i > 0 && inputs[i] == inputs[0])
            err = pl_err_set(PL_REJECT_PARAMETERS, "the underlying is no input of the ratio");
        else if (i > 1 && inputs[i] == inputs[1])
            err = pl_err_set(PL_REJECT_PARAMETERS, "the redemption is a ratio and no market");
        for (uint32_t k = 1; !err && i > 0 && k < i; k++)
            if (have_one_voice(&instruments[inputs[i]], &instruments[inputs[k]]))
                err = pl_err_set(PL_REJECT_PARAMETERS, "one price source alone speaks for two of "
                                 "the inputs: raise a quorum or take other sources");
        if (err)
            return pl_refused(err, checked, "", "peg", "");
    }
    return PL_OK;
}

enum pl_err pl_check_pegs(const struct pl_parameters *parameters, const struct pl_names *names)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *instrument = &parameters->instruments[i];
        if (!instrument->is_listed || !instrument->peg.is_present)
            continue;
        enum pl_err err = check_peg(&(struct pl_checked){parameters, instrument, names->ids[i].text});
        if (!err && ++count > PL_PEGS_MAX)
            err = pl_err_set(PL_REJECT_PARAMETERS, "more than %d instruments are pegged",
                             PL_PEGS_MAX);
        if (err)
            return err;
    }
    return PL_OK;
}

/* ---- options -------------------------------------------------------------------------------- */

static bool is_linear(const struct pl_instrument *instrument)
{
    return instrument->is_listed && instrument->kind <= PL_INSTRUMENT_FUTURE;
}

static enum pl_err check_scenario(const struct pl_option_scenario *scenario)
{
    if (scenario->move_ppm <= -PL_PPM || scenario->move_ppm > 8 * PL_PPM)
        return pl_err_set(PL_REJECT_PARAMETERS, "V9 move_ppm %d is outside %d..%d",
                          scenario->move_ppm, 1 - PL_PPM, 8 * PL_PPM);
    enum pl_err err = pl_check_range(scenario->layer, PL_LAYER_UP, PL_LAYER_DOWN);
    if (err)
        return pl_err_note(err, "layer");
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        err = pl_check_range(scenario->weight.at[tier], 0, PL_PPM);
        if (err)
            return pl_err_note(err, "V10 weight %s", pl_tier_names[tier]);
    }
    err = pl_check_nested(&scenario->weight, false);
    return err ? pl_err_note(err, "V6 weight") : PL_OK;
}

enum pl_err pl_check_scenarios(const struct pl_parameters *parameters)
{
    enum pl_err err = pl_check_range(parameters->scenario_count, 0, PL_OPTION_SCENARIOS_MAX);
    for (uint32_t s = 0; s < parameters->scenario_count && !err; s++) {
        err = check_scenario(&parameters->scenarios[s]);
        if (err)
            err = pl_err_note(err, "scenarios[%u]", s);
    }
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT && !err; tier++) {
        err = pl_check_range(parameters->short_minimum.at[tier], 0, PL_PPM);
        if (err)
            err = pl_err_note(err, "short_option_minimum %s", pl_tier_names[tier]);
    }
    if (err)
        return err;
    err = pl_check_nested(&parameters->short_minimum, false);
    return err ? pl_err_note(err, "V6 short_option_minimum") : PL_OK;
}

/* Everything that a leg may be charged besides its scenarios. */
static bool has_other_charges(const struct pl_instrument *instrument)
{
    return !pl_is_zero(&instrument->haircut_long) || !pl_is_zero(&instrument->haircut_short) ||
           instrument->load_count > 0 || instrument->bracket_count > 0 ||
           instrument->loss_count > 0 || instrument->confidence_ppm != 0 ||
           instrument->haircut_model.is_present || !pl_id_is_none(&instrument->chain);
}

static enum pl_err check_option(const struct pl_checked *checked)
{
    const struct pl_parameters *parameters = checked->parameters;
    const struct pl_instrument *instrument = checked->instrument;
    const struct pl_option_terms *terms = &instrument->option;
    const struct pl_range ranges[] = {
        {"option.type", terms->type, PL_OPTION_CALL, PL_OPTION_PUT},
        {"option.strike_ticks", terms->strike_ticks, 1, INT64_C(1) << 60},
        {"option.expiry_ms", terms->expiry_ms, 1, INT64_MAX},
        {"option.averaging_ms", terms->averaging_ms, 0,
         terms->expiry_ms < PL_AVERAGING_MS_MAX ? terms->expiry_ms : PL_AVERAGING_MS_MAX},
        {"option.scenarios", parameters->scenario_count, 1, PL_OPTION_SCENARIOS_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum pl_err err = pl_check_range(ranges[i].value, ranges[i].low, ranges[i].high);
        if (err)
            return pl_refused(err, checked, "", ranges[i].field, "");
    }
    const struct pl_instrument *underlying = &parameters->instruments[terms->underlying];
    const struct pl_instrument *volatility = &parameters->instruments[terms->volatility];
    if (!is_linear(underlying))
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "is not listed, or itself derived"), checked,
                       "", "option.underlying", "");
    if (!volatility->is_listed || volatility->kind != PL_INSTRUMENT_VOLATILITY)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "is not listed as a volatility"), checked,
                       "", "option.volatility", "");
    if (instrument->lot_decimals + underlying->tick_decimals > PL_DECIMALS_MAX)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%u and tick_decimals %u of the underlying "
                                  "are above %d", instrument->lot_decimals,
                                  underlying->tick_decimals, PL_DECIMALS_MAX),
                       checked, "V7", "lot_decimals", "");
    if (has_other_charges(instrument))
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "has no haircut, factor, bracket, dependency, "
                                  "confidence, haircut_model or chain: its scenarios are all"),
                       checked, "", "option", "");
    return PL_OK;
}

enum pl_err pl_check_participation(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    if (instrument->kind == PL_INSTRUMENT_OPTION)
        return check_option(checked);
    if (instrument->option.type != 0)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "only an option has it"), checked, "",
                       "option", "");
    if (instrument->has_scenarios &&
        (!is_linear(instrument) ||
         !is_linear(&checked->parameters->instruments[instrument->scenario_underlying])))
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "is not listed, or one of the two is no spot, "
                                  "perp or future"),
                       checked, "", "scenario_underlying", "");
    return PL_OK;
}

/* Place of an underlying among the groups, which are in the order of ids; UINT32_MAX: too many. */
static uint32_t group_of(struct pl_parameters *parameters, const struct pl_names *names,
                         uint32_t underlying)
{
    uint32_t place = parameters->group_count;
    for (uint32_t k = 0; k < parameters->group_count; k++)
        if (parameters->groups[k] == underlying)
            return k;
    if (place == PL_OPTION_GROUPS_MAX)
        return UINT32_MAX;
    parameters->group_count++;
    for (; place > 0 && pl_id_compare(&names->ids[underlying],
                                      &names->ids[parameters->groups[place - 1]]) < 0; place--)
        parameters->groups[place] = parameters->groups[place - 1];
    parameters->groups[place] = underlying;
    return place;
}

/* Groups first, since each new one moves others; then everybody's place. */
enum pl_err pl_place_options(struct pl_parameters *parameters, const struct pl_names *names)
{
    parameters->group_count = parameters->option_count = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        struct pl_instrument *instrument = &parameters->instruments[i];
        instrument->group = instrument->option_slot = 0;
        if (!instrument->is_listed || !instrument->has_scenarios)
            continue;
        if (group_of(parameters, names, instrument->scenario_underlying) == UINT32_MAX)
            return pl_err_set(PL_REJECT_PARAMETERS, "more than %d underlyings have scenarios",
                              PL_OPTION_GROUPS_MAX);
        if (instrument->kind != PL_INSTRUMENT_OPTION)
            continue;
        if (parameters->option_count == PL_OPTIONS_MAX)
            return pl_err_set(PL_REJECT_PARAMETERS, "more than %d options", PL_OPTIONS_MAX);
        instrument->option_slot = parameters->option_count++;
    }
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        struct pl_instrument *instrument = &parameters->instruments[i];
        if (instrument->is_listed && instrument->has_scenarios)
            instrument->group = 1 + group_of(parameters, names, instrument->scenario_underlying);
    }
    return PL_OK;
}

/* ---- contracts ------------------------------------------------------------------------------ */

/* A call repays what the plan counts on: the buyer's bonus is within the sale's discount. */
static enum pl_err check_bonus(const struct pl_checked *checked, const struct pl_contract *contract)
{
    const struct pl_instrument *instrument = checked->instrument;
    const bool is_morpho = contract->rule == PL_CONTRACT_MORPHO;
    const int64_t bonus = is_morpho ? pl_call_morpho_bonus_ppm(instrument) : instrument->bonus_ppm;
    if (is_morpho && instrument->bonus_ppm != 0)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%d is said of a contract that derives it",
                                  instrument->bonus_ppm), checked, "", "bonus_ppm", "");
    const int32_t discount = instrument->depth_count > 0 ? instrument->depth[0].discount_ppm
                                                         : instrument->sale_discount_ppm;
    if ((PL_PPM - discount) * (PL_PPM + bonus) > (int64_t)PL_PPM * PL_PPM)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "%d does not cover the contract's bonus "
                                  "%lld", discount, (long long)bonus),
                       checked, "", "sale_discount_ppm", "");
    return PL_OK;
}

enum pl_err pl_check_asset(const struct pl_checked *checked)
{
    const struct pl_instrument *instrument = checked->instrument;
    if (instrument->contract == 0)
        return PL_OK;
    if (instrument->contract > checked->parameters->contract_count)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "unknown contract %u",
                                  instrument->contract),
                       checked, "", "contract", "");
    const struct pl_contract *contract = &checked->parameters->contracts[instrument->contract - 1];
    if (instrument->kind != PL_INSTRUMENT_SPOT)
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "it is not spot, so no contract holds it"),
                       checked, "", "contract", contract->id.text);
    if (!pl_id_is_none(&instrument->chain) && !pl_id_equal(&instrument->chain, &contract->chain))
        return pl_refused(pl_err_set(PL_REJECT_PARAMETERS, "it is on %s, the contract is on %s",
                                  instrument->chain.text, contract->chain.text),
                       checked, "", "contract", contract->id.text);
    enum pl_err err = pl_check_range(instrument->bonus_ppm, 0, PL_PPM);
    return err ? pl_refused(err, checked, "", "bonus_ppm", "") : check_bonus(checked, contract);
}

static enum pl_err check_contract(const struct pl_parameters *parameters, uint32_t i)
{
    const struct pl_contract *contract = &parameters->contracts[i];
    const bool is_aave = contract->rule == PL_CONTRACT_AAVE_V3;
    const struct pl_range ranges[] = {
        {"rule", contract->rule, PL_CONTRACT_AAVE_V3, PL_CONTRACT_MORPHO},
        {"close_factor_ppm", contract->close_factor_ppm, is_aave, is_aave ? PL_PPM : 0},
        {"full_below_ppm", contract->full_below_ppm, 0, is_aave ? PL_PPM : 0},
        {"small_usd", contract->small_usd, 0, is_aave ? PL_CONTRACT_SMALL_USD_MAX : 0},
    };
    if (pl_id_is_none(&contract->id) || pl_id_is_none(&contract->chain))
        return pl_err_set(PL_REJECT_PARAMETERS, "contracts: entry %u has no id or no chain", i);
    for (uint32_t j = 0; j < i; j++)
        if (pl_id_equal(&contract->id, &parameters->contracts[j].id) &&
            pl_id_equal(&contract->chain, &parameters->contracts[j].chain))
            return pl_err_set(PL_REJECT_PARAMETERS, "contract %s is there twice",
                              contract->id.text);
    for (size_t k = 0; k < sizeof ranges / sizeof ranges[0]; k++) {
        enum pl_err err = pl_check_range(ranges[k].value, ranges[k].low, ranges[k].high);
        if (err)
            return pl_err_note(err, "contract %s %s", contract->id.text, ranges[k].field);
    }
    return PL_OK;
}

enum pl_err pl_check_contracts(const struct pl_parameters *parameters)
{
    enum pl_err err = pl_check_range(parameters->contract_count, 0, PL_CONTRACTS_MAX);
    if (err)
        return pl_err_note(err, "contracts");
    for (uint32_t i = 0; !err && i < parameters->contract_count; i++)
        err = check_contract(parameters, i);
    return err;
}
