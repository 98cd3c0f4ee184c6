/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast evaluator's verdicts against the plain one (G3): an excess must be the sum of pl_explain's
 * terms, exactly. For replay, and for the self-audit of the live service.
 */
#ifndef PL_SERVICES_LIQUIDATION_CONFIRM_H
#define PL_SERVICES_LIQUIDATION_CONFIRM_H

#include "services/liquidation/core.h"

enum { CONFIRM_ALL = (1 << PL_TIER_COUNT) - 1 };

struct confirm_result {
    enum pl_tier tier;
    uint32_t instrument;      /* of the first leg that alone shows a difference; UINT32_MAX: none */
    pl_i128 fast, plain;      /* of that leg, else of the account; 10^-18 USD                     */
};

/* Confirms the tiers in the set `tiers` of a decision: its upper bounds, which are the exact
 * excesses where the verdict is certain. False with the first tier that differs. */
bool confirm_verdict(const struct ledger *ledger, const struct venue *venue,
                     const struct pl_decision *decision, unsigned tiers,
                     struct confirm_result *result);

/*
 * The tiers that are confirmed at one entry, so that everyone can be at every entry. Whoever
 * changes, is not simply well, or is in doubt: all. Of all others the alert tier, the strictest: as
 * its excess is not negative, the nested ones are not (V6), and nothing else was decided about
 * them. Their other tiers come in turn, every CONFIRM_TURNS entries.
 */
enum { CONFIRM_TURNS = 8 };
unsigned confirm_tiers(const struct pl_decision *decision, uint64_t sequence);

/* Whether the account, with all that is in flight and this decision's sale executed at their limits, is
 * left by the plain evaluator with the end excess that the plan promised (G9). Asked of every sale before it
 * is staged: orders, what is pending of them and the plan are three ways to say the same. FATAL_DIVERGED. */
enum pl_err confirm_sale(const struct ledger *ledger, const struct venue *venue,
                         const struct pl_decision *decision);

#endif
