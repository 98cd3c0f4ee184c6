/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers (decimal.h). */
#include "services/cli/decimal.h"

enum { DIGITS_MAX = 36 }; /* 10^36 < 2^120 */

static enum pl_err malformed(const char *text, size_t size_bytes)
{
    return pl_err_set(PL_REJECT_MALFORMED, "\"%.*s\" is not a decimal number",
                      size_bytes < 64 ? (int)size_bytes : 64, text);
}

enum pl_err decimal_parse(const char *text, size_t size_bytes, struct pl_amount *amount)
{
    bool is_negative = size_bytes > 0 && text[0] == '-', has_point = false;
    size_t first = size_bytes > 0 && (text[0] == '-' || text[0] == '+');
    pl_i128 magnitude = 0;
    int digits = 0, decimals = 0;
    for (size_t i = first; i < size_bytes; i++) {
        /* A point stands between digits. */
        if (text[i] == '.' && !has_point && i > first && i + 1 < size_bytes) {
            has_point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return malformed(text, size_bytes);
        if (++digits > DIGITS_MAX)
            return pl_err_set(PL_REJECT_OVERFLOW, "a number of more than %d digits", DIGITS_MAX);
        magnitude = magnitude * 10 + (text[i] - '0');
        decimals += has_point;
    }
    if (digits == 0)
        return malformed(text, size_bytes);
    for (; decimals > 0 && magnitude % 10 == 0; decimals--)
        magnitude /= 10;
    *amount = (struct pl_amount){ is_negative ? -magnitude : magnitude, -decimals };
    return PL_OK;
}

enum pl_err decimal_units(const char *text, size_t size_bytes, unsigned decimals, int64_t *units)
{
    struct pl_amount amount;
    enum pl_err err = decimal_parse(text, size_bytes, &amount);
    if (err)
        return err;
    if (-amount.exponent > (int)decimals)
        return pl_err_set(PL_REJECT_RANGE, "\"%.*s\" has more than %u decimals",
                          size_bytes < 64 ? (int)size_bytes : 64, text, decimals);
    return pl_rescale(amount.mantissa, amount.exponent, decimals, PL_ROUND_FLOOR, units);
}
