/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact numbers. Division that names its rounding, scaling by powers of ten, decimal text. Used at
 * the border where outside amounts become lots and ticks, and wherever a decision divides (G2).
 */
#include "lib/base/num.h"

#include <limits.h>
#include <string.h>

#include "lib/base/assert.h"

static const pl_u128 MAGNITUDE_MAX = ((pl_u128)1 << 127) - 1;

pl_i128 pl_div_floor(pl_i128 dividend, pl_i128 divisor)
{
    pl_assert(divisor > 0);
    pl_i128 quotient = dividend / divisor; /* toward zero: one too high if a negative one remains */
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

pl_i128 pl_div_ceil(pl_i128 dividend, pl_i128 divisor)
{
    pl_assert(divisor > 0);
    pl_i128 quotient = dividend / divisor;
    return dividend % divisor > 0 ? quotient + 1 : quotient;
}

pl_i128 pl_div_even(pl_i128 dividend, pl_i128 divisor)
{
    pl_i128 quotient = pl_div_floor(dividend, divisor);
    /* 0 <= remainder < divisor: the remainder of the floor, wherever the quotient wraps or not. */
    pl_i128 remainder = dividend % divisor;
    if (remainder < 0)
        remainder += divisor;
    /* Compared with what is missing to the next quotient: doubling it could overflow. */
    pl_i128 missing = divisor - remainder;
    bool is_up = remainder > missing || (remainder == missing && (quotient & 1));
    return is_up ? quotient + 1 : quotient;
}

pl_i128 pl_pow10(unsigned exponent)
{
    static const uint64_t powers[] = {
        UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000),
        UINT64_C(100000), UINT64_C(1000000), UINT64_C(10000000), UINT64_C(100000000),
        UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
        UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000),
        UINT64_C(1000000000000000), UINT64_C(10000000000000000), UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000), UINT64_C(10000000000000000000),
    };
    pl_assert(exponent <= PL_EXPONENT_MAX);
    if (exponent < 20)
        return powers[exponent];
    return (pl_i128)powers[19] * (pl_i128)powers[exponent - 19];
}

enum pl_err pl_rescale_wide(pl_i128 mantissa, int exponent, unsigned decimals,
                            enum pl_rounding rounding, pl_i128 *result)
{
    pl_assert(decimals <= PL_EXPONENT_MAX);
    pl_assert(rounding == PL_ROUND_FLOOR || rounding == PL_ROUND_CEIL || rounding == PL_ROUND_EVEN);
    if (exponent < PL_EXPONENT_MIN || exponent > PL_EXPONENT_MAX)
        return pl_err_set(PL_REJECT_RANGE, "exponent %d is outside %d..%d", exponent,
                          PL_EXPONENT_MIN, PL_EXPONENT_MAX);
    int shift = exponent + (int)decimals; /* -38..76 */
    if (shift < 0) {
        pl_i128 divisor = pl_pow10((unsigned)-shift);
        *result = rounding == PL_ROUND_FLOOR  ? pl_div_floor(mantissa, divisor)
                  : rounding == PL_ROUND_CEIL ? pl_div_ceil(mantissa, divisor)
                                              : pl_div_even(mantissa, divisor);
        return PL_OK;
    }
    *result = 0;
    if (mantissa == 0)
        return PL_OK;
    if (shift > PL_EXPONENT_MAX ||
        pl_mul_overflows(mantissa, pl_pow10((unsigned)shift), result))
        return pl_err_set(PL_REJECT_OVERFLOW, "amount with exponent %d has no room at %u decimals",
                          exponent, decimals);
    return PL_OK;
}

enum pl_err pl_rescale(pl_i128 mantissa, int exponent, unsigned decimals,
                       enum pl_rounding rounding, int64_t *result)
{
    pl_i128 wide = 0;
    enum pl_err err = pl_rescale_wide(mantissa, exponent, decimals, rounding, &wide);
    if (err)
        return err;
    if (wide < INT64_MIN || wide > INT64_MAX)
        return pl_err_set(PL_REJECT_OVERFLOW, "amount with exponent %d has no room at %u decimals",
                          exponent, decimals);
    *result = (int64_t)wide;
    return PL_OK;
}

enum pl_err pl_i128_parse(const char *text, size_t size_bytes, pl_i128 *result)
{
    bool is_negative = size_bytes > 0 && text[0] == '-';
    size_t first = is_negative ? 1 : 0;
    if (size_bytes == first)
        return pl_err_set(PL_REJECT_MALFORMED, "integer without digits");
    if (text[first] == '0' && size_bytes > 1) /* "-0" too */
        return pl_err_set(PL_REJECT_MALFORMED, "integer with a leading zero");
    pl_u128 magnitude = 0;
    bool has_overflow = false;
    for (size_t i = first; i < size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return pl_err_set(PL_REJECT_MALFORMED, "integer with byte 0x%02x at %zu",
                              (unsigned)(unsigned char)text[i], i);
        unsigned digit = (unsigned)(text[i] - '0');
        /* Malformed text is malformed however long it is: read on to the end. */
        has_overflow = has_overflow || magnitude > (MAGNITUDE_MAX - digit) / 10;
        if (!has_overflow)
            magnitude = magnitude * 10 + digit;
    }
    if (has_overflow)
        return pl_err_set(PL_REJECT_OVERFLOW, "integer of %zu digits is beyond 128 bits",
                          size_bytes - first);
    *result = is_negative ? -(pl_i128)magnitude : (pl_i128)magnitude;
    return PL_OK;
}

/* Writes at least `digits_min` digits of `magnitude`, ending before `end`; returns the first. */
static char *print_digits(pl_u128 magnitude, unsigned digits_min, char *end)
{
    char *first = end;
    while (magnitude > 0 || (unsigned)(end - first) < digits_min) {
        *--first = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
    }
    return first;
}

/* Right for every value, also for the one that has no positive counterpart. */
static pl_u128 magnitude_of(pl_i128 value)
{
    return value < 0 ? -(pl_u128)value : (pl_u128)value;
}

size_t pl_i128_print(pl_i128 value, char text[PL_I128_TEXT_BYTES])
{
    char digits[40];
    char *end = digits + sizeof digits;
    char *first = print_digits(magnitude_of(value), 1, end);
    if (value < 0)
        *--first = '-';
    size_t length = (size_t)(end - first);
    memcpy(text, first, length);
    text[length] = '\0';
    return length;
}

size_t pl_decimal_print(pl_i128 value, unsigned decimals, char text[64])
{
    pl_assert(decimals <= PL_EXPONENT_MAX);
    char digits[40];
    char *end = digits + sizeof digits;
    char *first = print_digits(magnitude_of(value), decimals + 1, end);
    size_t whole = (size_t)(end - first) - decimals;
    char *next = text;
    if (value < 0)
        *next++ = '-';
    memcpy(next, first, whole);
    next += whole;
    if (decimals > 0) {
        *next++ = '.';
        memcpy(next, first + whole, decimals);
        next += decimals;
    }
    *next = '\0';
    return (size_t)(next - text);
}
