/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plimsoll what-if says: one account at one moment, and a copy of it with changes, both decided
 * by the code of the service. Nothing is rounded: a change that does not fit whole lots or ticks is
 * refused, except a price moved by percent, which goes to the nearest tick.
 *
 *   trade      INSTRUMENT=±QUANTITY[@PRICE]  bought or sold against cash at PRICE or at the mark as it
 *                                            stands, whatever --price says; no fee
 *   transfer   INSTRUMENT=±QUANTITY          deposited or withdrawn
 *              cash=±USD
 *   price      INSTRUMENT=PRICE              the mark is live then, without an interval
 *              INSTRUMENT=±PERCENT%          its interval moves along; a bad mark stays bad
 *
 * Prices that follow from others follow (derived.h): options, which have none to be stated, and what is
 * pegged, in proportion to its base, unless it is stated itself, before or after.
 *
 * What is changed is final and counted at once. The document:
 *   account, partition, journal
 *   changes[]            {change, value} as they were given, then parameters {file, epoch} if any
 *   before, after        state (what it would be after the decision), verdict (risk.h), plan: the sale
 *                        that would be made, {legs[], reaches_target, bankrupt, end_excess_after_usd},
 *                        or null
 *   terms[]              term, of, before_usd, after_usd: of the maintenance excess, those that differ
 */
#ifndef PL_SERVICES_CLI_WHAT_IF_H
#define PL_SERVICES_CLI_WHAT_IF_H

#include <jansson.h>
#include <stdio.h>

#include "services/cli/moment.h"

enum { WHAT_IF_CHANGES_MAX = 256 };

enum what_if_kind { WHAT_IF_TRADE, WHAT_IF_TRANSFER, WHAT_IF_PRICE };

struct what_if_change {
    enum what_if_kind kind;
    const char *text;
};

struct what_if {
    const struct what_if_change *changes; /* applied in this order */
    unsigned change_count;
    const char *parameters_path;          /* NULL: those in force */
};

/*
 * A new reference to the document. REJECT_UNKNOWN: the account was unknown then. What a change does
 * wrong is told with its text: REJECT_MALFORMED, REJECT_CONFLICT (an instrument that is not listed, the
 * price of an option, or a parameter set with other lots or ticks), REJECT_RANGE (finer than a lot or
 * tick, no mark to trade at, too many legs), REJECT_OVERFLOW. REJECT_PARAMETERS and the like: the file.
 */
enum pl_err what_if_answer(const struct moment *moment, const struct pl_id *account,
                           const struct what_if *what_if, json_t **document);
void what_if_print(FILE *file, const json_t *document);

#endif
