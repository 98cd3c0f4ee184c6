/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outside amount: mantissa * 10^exponent, exact. Sums are exact or refused; nothing is rounded
 * before an amount becomes lots (pl_rescale).
 */
#ifndef PL_BASE_AMOUNT_H
#define PL_BASE_AMOUNT_H

#include "lib/base/num.h"

struct pl_amount {
    pl_i128 mantissa;
    int32_t exponent; /* PL_EXPONENT_MIN..PL_EXPONENT_MAX */
};

/* *sum = a + b at the smaller of the two exponents. REJECT_OVERFLOW. */
enum pl_err pl_amount_add(const struct pl_amount *a, const struct pl_amount *b,
                          struct pl_amount *sum);

/* *negated = -a. REJECT_OVERFLOW for the one mantissa that has no negative. */
enum pl_err pl_amount_negate(const struct pl_amount *a, struct pl_amount *negated);

/* -1, 0, 1 as the amounts compare, exactly, whatever their exponents. */
int pl_amount_compare(const struct pl_amount *a, const struct pl_amount *b);

static inline bool pl_amount_is_zero(const struct pl_amount *a) { return a->mantissa == 0; }

#endif
