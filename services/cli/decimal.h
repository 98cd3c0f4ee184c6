/* SPDX-License-Identifier: Apache-2.0 */
/* A decimal number as a person types it, exactly. */
#ifndef PL_SERVICES_CLI_DECIMAL_H
#define PL_SERVICES_CLI_DECIMAL_H

#include "lib/base/amount.h"

/*
 * "12", "-0.5", "+1.25": an optional sign, digits, and a point with digits after it. Zeros at the end
 * of a fraction say nothing and are dropped, so an exponent is -(decimals that count).
 * REJECT_MALFORMED for anything else, REJECT_OVERFLOW beyond 36 digits.
 */
enum pl_err decimal_parse(const char *text, size_t size_bytes, struct pl_amount *amount);

/* The same in whole units of 10^-decimals. REJECT_RANGE when the number is finer: nothing is rounded.
 * REJECT_OVERFLOW beyond 63 bits. */
enum pl_err decimal_units(const char *text, size_t size_bytes, unsigned decimals, int64_t *units);

#endif
