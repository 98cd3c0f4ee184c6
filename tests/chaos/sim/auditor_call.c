/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of smart contracts, from the rules in the schema's words and in rational numbers: what an
 * order for collateral has to say about the contract that holds it. Amounts are worked out in
 * fractions of a lot and cut once, at the end.
 */
#include <inttypes.h>
#include <string.h>

#include "tests/chaos/sim/auditor_parts.h"

enum {
    AAVE = PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_AAVE_V3,
    COMPOUND = PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_COMPOUND_V3,
    MORPHO = PLIMSOLL__V1__PARAMETER_SET__CONTRACT__RULE__RULE_MORPHO,
};

/* ---- what the set says ----------------------------------------------------------------------- */

/* 1 + bonus, in ppm. */
static int64_t gain_of(const struct contract *contract, const struct rules *rules,
                       const struct mode_weight *weight)
{
    if (contract->rule != MORPHO)
        return PL_PPM + (contract->rule == AAVE && weight ? weight->bonus : rules->bonus);
    int64_t part = rules->own_haircut > 0 ? rules->own_haircut * 3 / 10 : 0;
    int64_t gain = 1000000000000 / (1000000 - part);
    return gain > 1150000 ? 1150000 : gain;
}

static bool is_contract(const Plimsoll__V1__ParameterSet__Contract *from)
{
    bool is_aave = from->has_rule && (int)from->rule == AAVE;
    return auditor_is_id(from->contract) && auditor_is_id(from->chain) &&
           auditor_is_enum(from->has_rule, (int)from->rule,
                           &plimsoll__v1__parameter_set__contract__rule__descriptor) &&
           from->full_below_ppm >= 0 && from->full_below_ppm <= (is_aave ? PL_PPM : 0) &&
           from->small_usd >= 0 && from->small_usd <= (is_aave ? 1000000000000 : 0) &&
           from->close_factor_ppm >= (is_aave ? 1 : 0) &&
           from->close_factor_ppm <= (is_aave ? PL_PPM : 0);
}

static bool read_asset(const struct reader *reader, struct set *set, int contract,
                       const Plimsoll__V1__ParameterSet__Contract__Asset *from)
{
    const struct contract *owner = &set->contracts[contract - 1];
    if (!auditor_is_id(from->instrument) ||
        (from->token && *from->token && !auditor_is_id(from->token)))
        return false;
    int number = auditor_name(reader->names, from->instrument);
    struct rules *rules = number < set->rule_count ? &set->rules[number] : NULL;
    if (!rules || !rules->is_listed || rules->contract != 0 || rules->kind != PL_INSTRUMENT_SPOT ||
        from->bonus_ppm < 0 || from->bonus_ppm > PL_PPM ||
        (owner->rule == MORPHO && from->bonus_ppm != 0) ||
        (rules->chain && strcmp(rules->chain, owner->chain) != 0))
        return false;
    rules->contract = contract;
    rules->bonus = from->bonus_ppm;
    rules->token = from->token && *from->token ? from->token : NULL;
    return (PL_PPM - rules->discount) * gain_of(owner, rules, NULL) <= 1000000000000;
}

bool auditor_read_contracts(const struct reader *reader, const Plimsoll__V1__ParameterSet *from,
                            struct set *set)
{
    if (from->n_contracts > PL_CONTRACTS_MAX)
        return false;
    set->contract_count = (int)from->n_contracts;
    for (int i = 0; i < set->contract_count; i++) {
        const Plimsoll__V1__ParameterSet__Contract *one = from->contracts[i];
        if (!is_contract(one))
            return false;
        for (int j = 0; j < i; j++)
            if (strcmp(one->contract, set->contracts[j].name) == 0 &&
                strcmp(one->chain, set->contracts[j].chain) == 0)
                return false;
        set->contracts[i] = (struct contract){
            one->contract, one->chain, (int)one->rule, one->close_factor_ppm, one->full_below_ppm,
            one->small_usd };
        for (size_t k = 0; k < one->n_assets; k++)
            if (!read_asset(reader, set, i + 1, one->assets[k]))
                return false;
    }
    return true;
}

/* ---- the call --------------------------------------------------------------------------------- */

/* What has to be called: lots, and what they depend on. */
struct wanted {
    const struct contract *contract;
    const struct rules *collateral, *debt;
    const char *debt_name;
    int64_t held, owed, held_vu, owed_vu, gain, close_factor;
    mpz_t takes, repays;
};

/* The largest debt in the contract that has a price; NULL. Holdings are in the order of ids. */
static const struct leg *largest_debt(const struct scene *scene, const struct holdings *holdings,
                                      int contract)
{
    const struct leg *largest = NULL;
    mpz_t value, most;
    mpz_inits(value, most, NULL);
    for (int i = 0; i < holdings->leg_count; i++) {
        const struct leg *leg = &holdings->legs[i];
        const struct rules *rules = auditor_rules_of(scene->set, leg->instrument);
        const struct quote *quote = &scene->quotes[leg->instrument];
        if (!rules || rules->contract != contract || quote->status != PL_MARK_LIVE ||
            leg->is_unlisted || leg->lots >= 0)
            continue;
        mpz_set_si(value, leg->lots);
        mpz_mul_si(value, value, quote->lot_vu);
        if (mpz_cmpabs(value, most) <= 0)
            continue;
        mpz_set(most, value);
        largest = leg;
    }
    mpz_clears(value, most, NULL);
    return largest;
}

/* sum(collateral (1 - haircut)) / sum(debt (1 + premium)) < full_below, crosswise. */
static bool is_health_low(const struct scene *scene, const struct holdings *holdings, int contract,
                          int64_t full_below)
{
    mpz_t health, term;
    mpz_inits(health, term, NULL);
    for (int i = 0; i < holdings->leg_count; i++) {
        const struct leg *leg = &holdings->legs[i];
        const struct rules *rules = auditor_rules_of(scene->set, leg->instrument);
        const struct quote *quote = &scene->quotes[leg->instrument];
        if (!rules || rules->contract != contract || quote->status != PL_MARK_LIVE ||
            leg->is_unlisted)
            continue;
        mpz_set_si(term, leg->lots);
        mpz_mul_si(term, term, quote->lot_vu);
        int64_t owned = rules->own_haircut, owed = rules->haircut_short.at[PL_TIER_MAINTENANCE];
        const struct mode_weight *weight = auditor_mode_weight(scene->set, holdings->mode, -1,
                                                               leg->instrument);
        if (weight) {
            owned = weight->haircut_long.at[PL_TIER_MAINTENANCE];
            owed = weight->haircut_short.at[PL_TIER_MAINTENANCE];
        }
        mpz_mul_si(term, term, leg->lots > 0 ? PL_PPM - owned : PL_PPM + owed);
        mpz_mul_si(term, term, leg->lots > 0 ? PL_PPM : full_below);
        mpz_add(health, health, term);
    }
    bool is_low = mpz_sgn(health) < 0;
    mpz_clears(health, term, NULL);
    return is_low;
}

static bool is_worth_less(int64_t lots, int64_t lot_vu, int64_t usd)
{
    mpz_t value, line;
    mpz_init_set_si(value, lots);
    mpz_init_set_si(line, usd);
    mpz_mul_si(value, value, lot_vu);
    mpz_mul_si(line, line, 1000000000000);
    bool is_less = mpz_cmp(value, line) < 0;
    mpz_clears(value, line, NULL);
    return is_less;
}

static void set_fraction(mpq_t fraction, const mpz_t lots, int64_t from_vu, int64_t from_ppm,
                         int64_t to_vu, int64_t to_ppm)
{
    mpz_mul_si(mpq_numref(fraction), lots, from_vu);
    mpz_mul_si(mpq_numref(fraction), mpq_numref(fraction), from_ppm);
    mpz_set_si(mpq_denref(fraction), to_vu);
    mpz_mul_si(mpq_denref(fraction), mpq_denref(fraction), to_ppm);
    mpq_canonicalize(fraction);
}

static void keep_within(mpz_t lots, int64_t most)
{
    if (mpz_cmp_si(lots, most) > 0)
        mpz_set_si(lots, most);
}

static void work_out(struct wanted *wanted, int64_t sold)
{
    mpz_t lots;
    mpq_t exact;
    mpz_init_set_si(lots, sold);
    mpq_init(exact);
    /* What repays the sale: its value without the bonus. */
    set_fraction(exact, lots, wanted->held_vu, PL_PPM, wanted->owed_vu, wanted->gain);
    if (wanted->contract->rule == MORPHO)
        mpz_cdiv_q(wanted->repays, mpq_numref(exact), mpq_denref(exact));
    else
        mpz_fdiv_q(wanted->repays, mpq_numref(exact), mpq_denref(exact));
    bool is_whole = wanted->contract->rule == MORPHO &&
                    mpz_cmp_si(wanted->repays, wanted->owed) <= 0;
    mpz_set_si(lots, wanted->owed);
    mpz_mul_si(lots, lots, wanted->close_factor);
    mpz_fdiv_q_ui(lots, lots, PL_PPM);
    if (mpz_cmp(wanted->repays, lots) > 0)
        mpz_set(wanted->repays, lots);
    set_fraction(exact, wanted->repays, wanted->owed_vu, wanted->gain, wanted->held_vu, PL_PPM);
    mpz_fdiv_q(wanted->takes, mpq_numref(exact), mpq_denref(exact));
    keep_within(wanted->takes, sold);
    if (is_whole)
        mpz_set_si(wanted->takes, sold);
    if (wanted->contract->rule == COMPOUND) {
        mpz_set_si(wanted->takes, wanted->held);
        mpz_set_si(wanted->repays, wanted->owed);
    }
    mpz_clear(lots);
    mpq_clear(exact);
}

/* False where no contract executes the order. */
static bool want(const struct scene *scene, const struct account *account,
                 const Plimsoll__V1__ForcedSaleOrder *order, struct wanted *wanted)
{
    const struct holdings *holdings = account->holdings;
    int instrument = auditor_name(scene->names, order->instrument);
    const struct rules *rules = auditor_rules_of(scene->set, instrument);
    if (order->side != PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL || !rules ||
        rules->contract == 0 || scene->quotes[instrument].status != PL_MARK_LIVE)
        return false;
    const struct leg *debt = largest_debt(scene, holdings, rules->contract);
    for (int i = 0; i < holdings->leg_count; i++)
        if (holdings->legs[i].instrument == instrument)
            wanted->held = holdings->legs[i].lots;
    if (!debt || wanted->held <= 0)
        return false;
    wanted->contract = &scene->set->contracts[rules->contract - 1];
    wanted->collateral = rules;
    wanted->debt = auditor_rules_of(scene->set, debt->instrument);
    wanted->debt_name = scene->names->text[debt->instrument];
    wanted->owed = -debt->lots;
    wanted->held_vu = scene->quotes[instrument].lot_vu;
    wanted->owed_vu = scene->quotes[debt->instrument].lot_vu;
    const struct mode_weight *weight =
        auditor_mode_weight(scene->set, holdings->mode, -1, instrument);
    wanted->gain = gain_of(wanted->contract, rules, weight);
    wanted->close_factor = PL_PPM;
    int64_t small = wanted->contract->small_usd;
    if (wanted->contract->rule == AAVE && !is_worth_less(wanted->held, wanted->held_vu, small) &&
        !is_worth_less(wanted->owed, wanted->owed_vu, small) &&
        !is_health_low(scene, holdings, rules->contract, wanted->contract->full_below))
        wanted->close_factor = wanted->contract->close_factor;
    work_out(wanted, (int64_t)order->lots);
    return mpz_sgn(wanted->takes) > 0 && mpz_sgn(wanted->repays) > 0;
}

static bool is_text(const char *text, const char *expected)
{
    return text && expected ? strcmp(text, expected) == 0 : text == expected;
}

static bool is_call(const Plimsoll__V1__ForcedSaleOrder__ProtocolCall *call,
                    const Plimsoll__V1__ForcedSaleOrder *order, const struct wanted *wanted)
{
    return is_text(call->chain, wanted->contract->chain) &&
           is_text(call->contract, wanted->contract->name) &&
           (int)call->rule == wanted->contract->rule && is_text(call->position, order->account) &&
           is_text(call->collateral, order->instrument) &&
           is_text(call->collateral_token, wanted->collateral->token) &&
           is_text(call->debt, wanted->debt_name) &&
           is_text(call->debt_token, wanted->debt->token) &&
           call->close_factor_ppm == wanted->close_factor &&
           call->bonus_ppm == wanted->gain - PL_PPM &&
           auditor_is_amount(call->collateral_amount, wanted->takes,
                             -(int)wanted->collateral->lot_decimals) &&
           auditor_is_amount(call->debt_amount, wanted->repays, -(int)wanted->debt->lot_decimals);
}

bool auditor_check_call(const struct scene *scene, const struct account *account,
                        const Plimsoll__V1__ForcedSaleOrder *order)
{
    struct wanted wanted = { .contract = NULL };
    mpz_inits(wanted.takes, wanted.repays, NULL);
    bool is_wanted = want(scene, account, order, &wanted), is_right = true;
    if (is_wanted != (order->protocol_call != NULL))
        is_right = auditor_find(scene->finding, V_ORDER, "account %s order %s: %s call of a contract",
                                account->id, order->order_id,
                                is_wanted ? "there is no" : "no rule gives its");
    else if (is_wanted && !is_call(order->protocol_call, order, &wanted))
        is_right = auditor_find(
            scene->finding, V_ORDER, "account %s order %s: its call of %s is not: take %s lots, "
            "repay %s lots of %s, close factor %" PRId64 ", bonus %" PRId64, account->id,
            order->order_id, wanted.contract->name,
            mpz_get_str((char[64]){0}, 10, wanted.takes), mpz_get_str((char[64]){0}, 10, wanted.repays),
            wanted.debt_name, wanted.close_factor, wanted.gain - PL_PPM);
    scene->counts->calls += is_wanted;
    mpz_clears(wanted.takes, wanted.repays, NULL);
    return is_right;
}
