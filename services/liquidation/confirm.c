/* SPDX-License-Identifier: Apache-2.0 */
/* Fast against plain (confirm.h). */
#include "services/liquidation/confirm.h"

#include <string.h>

unsigned confirm_tiers(const struct pl_decision *decision, uint64_t sequence)
{
    const struct pl_account_state *state = &decision->state;
    const struct pl_bounds *alert = &decision->verdict.excess[PL_TIER_ALERT];
    bool is_well = !decision->has_changed && state->state == PL_STATE_OK &&
                   state->doubt_count == 0 && state->pending_count == 0 &&
                   alert->low == alert->high && alert->low >= 0;
    bool is_turn = (decision->index + sequence) % CONFIRM_TURNS == 0;
    return is_well && !is_turn ? 1u << PL_TIER_ALERT : CONFIRM_ALL;
}

static pl_i128 plain_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                            enum pl_tier tier)
{
    static struct pl_term terms[PL_TERMS_MAX]; /* 17 KB of scratch */
    pl_i128 sum = 0;
    uint32_t count = pl_explain(market, portfolio, tier, terms, PL_TERMS_MAX);
    for (uint32_t i = 0; i < count; i++)
        sum += terms[i].amount;
    return sum;
}

/* Which leg it comes from: the first that differs when it is all the account has. A sum over legs
 * (a factor, a dependency) that is wrong shows in none. */
static void locate(const struct venue *venue, const struct pl_portfolio *portfolio,
                   struct confirm_result *result)
{
    static struct pl_verdict verdict;
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        struct pl_portfolio alone = *portfolio;
        alone.legs = &portfolio->legs[i];
        alone.leg_count = 1;
        alone.cash_vu = alone.final_cash_vu = 0;
        pl_verdict_of(venue->market, venue->names, &alone, &verdict);
        pl_i128 plain = plain_excess(venue->market, &alone, result->tier);
        pl_i128 fast = verdict.excess[result->tier].high;
        if (verdict.certainty == PL_OUT_OF_RANGE || fast == plain)
            continue;
        result->instrument = portfolio->legs[i].instrument;
        result->fast = fast;
        result->plain = plain;
        return;
    }
}

/* What was evaluated: the account with all its orders in flight executed, but for those that the
 * verdict led to. */
static void look(const struct ledger *ledger, const struct venue *venue,
                 const struct pl_decision *decision, struct pl_leg *legs,
                 struct pl_portfolio *portfolio)
{
    static struct pl_account_state state;
    uint32_t pending_count = decision->state.pending_count -
                             (decision->has_sale ? decision->sale.leg_count : 0);
    if (pending_count == 0) {
        *portfolio = pl_book_portfolio(ledger->book, decision->index);
        return;
    }
    state = decision->state;
    state.pending_count = pending_count;
    pl_effective_portfolio(ledger->book, decision->index, &state, venue->market, legs, portfolio);
}

bool confirm_verdict(const struct ledger *ledger, const struct venue *venue,
                     const struct pl_decision *decision, unsigned tiers,
                     struct confirm_result *result)
{
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    if (decision->verdict.certainty == PL_OUT_OF_RANGE)
        return true; /* there is no number to compare */
    look(ledger, venue, decision, legs, &portfolio);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++) {
        if (!(tiers & 1u << tier))
            continue;
        pl_i128 fast = decision->verdict.excess[tier].high;
        pl_i128 plain = plain_excess(venue->market, &portfolio, tier);
        if (fast == plain)
            continue;
        *result = (struct confirm_result){
            .tier = tier, .instrument = UINT32_MAX, .fast = fast, .plain = plain};
        locate(venue, &portfolio, result);
        return false;
    }
    return true;
}

/* Executes what the decision has put in flight, at its limits: whatever the holdings say of orders of such
 * ids, this is what was decided now. */
static void execute_sale(const struct venue *venue, const struct pl_decision *decision,
                         struct pl_leg *legs, struct pl_portfolio *portfolio)
{
    const struct pl_account_state *state = &decision->state;
    for (uint32_t i = state->pending_count - decision->sale.leg_count; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        const struct pl_instrument *instrument =
            &venue->market->parameters->instruments[pending->instrument];
        const int sign = pending->side == PL_SIDE_SELL ? 1 : -1;
        const pl_i128 value = sign * (pl_i128)pending->limit_ticks * instrument->multiplier *
                              pending->ordered_lots;
        for (uint32_t k = 0; k < portfolio->leg_count; k++)
            if (legs[k].instrument == pending->instrument) {
                legs[k].lots -= sign * pending->ordered_lots;
                legs[k].final_lots -= sign * pending->ordered_lots;
            }
        portfolio->cash_vu += value;
        portfolio->final_cash_vu += value;
    }
}

enum pl_err confirm_sale(const struct ledger *ledger, const struct venue *venue,
                         const struct pl_decision *decision)
{
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    char planned[PL_I128_TEXT_BYTES], plain[PL_I128_TEXT_BYTES];
    look(ledger, venue, decision, legs, &portfolio);
    if (portfolio.legs != legs)
        memcpy(legs, portfolio.legs, portfolio.leg_count * sizeof(legs[0]));
    portfolio.legs = legs;
    execute_sale(venue, decision, legs, &portfolio);
    pl_i128 left = pl_within_cash(venue->market, &portfolio,
                                  plain_excess(venue->market, &portfolio, PL_TIER_END));
    if (left == decision->sale.end_after && decision->sale.reaches == (left >= 0))
        return PL_OK;
    pl_i128_print(decision->sale.end_after, planned);
    pl_i128_print(left, plain);
    return pl_err_set(PL_FATAL_DIVERGED, "the sale of account %s was planned to leave an end excess of "
                      "%s and leaves %s (10^-18 USD): nothing of this step is published",
                      pl_book_at(ledger->book, decision->index)->id.text, planned, plain);
}
