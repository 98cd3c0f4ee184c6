/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact numbers. 128-bit integers with checked arithmetic, decimal text, and the two conversions by
 * which outside amounts become lots and ticks. Everything here either returns the exact answer or
 * says that it cannot; nothing wraps and nothing saturates (DESIGN section 6).
 */
#ifndef PL_BASE_NUM_H
#define PL_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

__extension__ typedef __int128 pl_i128;
__extension__ typedef unsigned __int128 pl_u128;

enum {
    PL_PPM = 1000000,           /* parts per million: 10^6 is one                            */
    PL_DECIMALS_MAX = 12,       /* lot decimals + tick decimals of an instrument (RISK 1.1)  */
    PL_EXPONENT_MIN = -38,      /* decimal exponents accepted from outside                   */
    PL_EXPONENT_MAX = 38,
    PL_I128_TEXT_BYTES = 48,    /* room for any pl_i128 as decimal text with terminator      */
};

/* Largest |value| of one account in VU (10^-12 USD): 10^12 USD of gross notional (RISK 1.1). */
static const pl_i128 PL_VALUE_VU_MAX = (pl_i128)1000000000000 * 1000000000000;

/* True when the exact result does not fit; *result is then unspecified. */
static inline bool pl_add_overflows(pl_i128 a, pl_i128 b, pl_i128 *result)
{
    return __builtin_add_overflow(a, b, result);
}
static inline bool pl_sub_overflows(pl_i128 a, pl_i128 b, pl_i128 *result)
{
    return __builtin_sub_overflow(a, b, result);
}
static inline bool pl_mul_overflows(pl_i128 a, pl_i128 b, pl_i128 *result)
{
    return __builtin_mul_overflow(a, b, result);
}

static inline pl_i128 pl_abs(pl_i128 a) { return a < 0 ? -a : a; }
static inline pl_i128 pl_min(pl_i128 a, pl_i128 b) { return a < b ? a : b; }
static inline pl_i128 pl_max(pl_i128 a, pl_i128 b) { return a > b ? a : b; }

/* Division by a positive divisor; the rounding is in the name: toward minus / plus infinity. */
pl_i128 pl_div_floor(pl_i128 dividend, pl_i128 divisor);
pl_i128 pl_div_ceil(pl_i128 dividend, pl_i128 divisor);
/* To nearest, ties to the even quotient. */
pl_i128 pl_div_even(pl_i128 dividend, pl_i128 divisor);

/* 10^exponent for 0 <= exponent <= 38. */
pl_i128 pl_pow10(unsigned exponent);

enum pl_rounding { PL_ROUND_FLOOR, PL_ROUND_CEIL, PL_ROUND_EVEN };

/*
 * mantissa * 10^exponent expressed in units of 10^-decimals, rounded as asked, as an int64.
 * REJECT_RANGE when the exponent is outside its limits, REJECT_OVERFLOW when the result leaves
 * int64. This is the one lossy step of ingestion (RISK 1.1): assets floor, debts ceil in magnitude
 * (floor of the signed amount serves both), prices half-even.
 */
enum pl_err pl_rescale(pl_i128 mantissa, int exponent, unsigned decimals,
                       enum pl_rounding rounding, int64_t *result);

/* As pl_rescale, with a 128-bit result. */
enum pl_err pl_rescale_wide(pl_i128 mantissa, int exponent, unsigned decimals,
                            enum pl_rounding rounding, pl_i128 *result);

/*
 * Decimal text of an integer: optional '-', digits, no leading zeros, no '+', no "-0".
 * REJECT_MALFORMED for anything else, REJECT_OVERFLOW outside [-(2^127-1), 2^127-1].
 */
enum pl_err pl_i128_parse(const char *text, size_t size_bytes, pl_i128 *result);

/* Writes the decimal text with a terminator; returns its length. */
size_t pl_i128_print(pl_i128 value, char text[PL_I128_TEXT_BYTES]);

/* Writes value * 10^-decimals as fixed-point text ("-12.50" for -1250, 2); returns its length.
 * decimals <= 38; the buffer holds 64 bytes. For display and JSON, never parsed back. */
size_t pl_decimal_print(pl_i128 value, unsigned decimals, char text[64]);

#endif
