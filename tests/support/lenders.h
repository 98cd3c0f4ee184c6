/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A book whose forced sales can be worked out by hand: each account holds one coin and owes dollars.
 * With no factor, bracket or second leg the sale has a closed form (one division), computed here from
 * the formula alone and not by the library.
 *
 *   coins COIN0, COIN1, …  8 lot and 4 tick decimals; haircuts maintenance 20 %, end 25 %, initial 30 %,
 *                          alert 35 %; a sale gives up 1 %; COIN0 in mode 1: 10, 11, 12 and 14 %
 *   USD-T                  no haircut; price 1
 *   group g, account i     owns 10 COINg and owes first_debt + i * step dollars
 */
#ifndef TEST_SUPPORT_LENDERS_H
#define TEST_SUPPORT_LENDERS_H

#include "tests/support/pipeline.h"

enum { LENDERS_COINS_MAX = 8, LENDERS_COIN_UNITS = 10, LENDERS_PRICE_DECIMALS = 4 };

/* Puts the parameter set with `coins` coins. */
void lenders_parameters(struct pipeline *pipeline, unsigned coins);
/* With a brake: in each window all of a coin's depth may be sold, a partition its part. Put after the set
 * without. */
void lenders_braked_parameters(struct pipeline *pipeline, unsigned coins, int64_t depth_usd,
                               int64_t window_ms);
/* "COIN<group>" and "g<group>-<i>". */
const char *lenders_coin(unsigned group, char name[16]);
const char *lenders_account(unsigned group, unsigned i, char name[32]);
/* Publishes snapshots of accounts 0..count-1 of the group. */
void lenders_positions(struct pipeline *pipeline, unsigned group, unsigned count,
                       int64_t first_debt_usd, int64_t step_usd);
/* Publishes a delta for each: `debt_usd` more is owed. `sequence` is that of the delta. */
void lenders_borrow(struct pipeline *pipeline, unsigned group, unsigned count, int64_t debt_usd,
                    unsigned sequence);

/* Publishes one account of 10 COIN0 and a debt in a mode; or, at a later sequence, nothing but another mode. */
void lenders_in_mode(struct pipeline *pipeline, const char *account, unsigned mode, int64_t debt_usd,
                     unsigned sequence);

/* Least lots that an account with this debt must sell at `price_usd`; 0 when it is not below
 * maintenance. */
int64_t lenders_expected_lots(int64_t price_usd, int64_t debt_usd);

#endif
