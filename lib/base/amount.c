/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and comparisons of outside amounts (see amount.h). */
#include "lib/base/amount.h"

/* The mantissa at a smaller exponent. */
static enum pl_err at_exponent(const struct pl_amount *amount, int32_t exponent, pl_i128 *mantissa)
{
    int32_t shift = amount->exponent - exponent;
    *mantissa = amount->mantissa;
    if (amount->mantissa == 0 || shift == 0)
        return PL_OK;
    if (shift > 38 || pl_mul_overflows(amount->mantissa, pl_pow10((unsigned)shift), mantissa))
        return pl_err_set(PL_REJECT_OVERFLOW, "amounts of exponents %d and %d do not fit into 128 "
                          "bits together", (int)amount->exponent, (int)exponent);
    return PL_OK;
}

enum pl_err pl_amount_add(const struct pl_amount *a, const struct pl_amount *b,
                          struct pl_amount *sum)
{
    if (pl_amount_is_zero(a) || pl_amount_is_zero(b)) {
        *sum = pl_amount_is_zero(a) ? *b : *a;
        return PL_OK;
    }
    int32_t exponent = a->exponent < b->exponent ? a->exponent : b->exponent;
    pl_i128 left = 0, right = 0, mantissa = 0;
    enum pl_err err = at_exponent(a, exponent, &left);
    if (!err)
        err = at_exponent(b, exponent, &right);
    if (err)
        return err;
    if (pl_add_overflows(left, right, &mantissa))
        return pl_err_set(PL_REJECT_OVERFLOW, "a sum of amounts leaves 128 bits");
    *sum = (struct pl_amount){ mantissa, exponent };
    return PL_OK;
}

enum pl_err pl_amount_negate(const struct pl_amount *a, struct pl_amount *negated)
{
    pl_i128 mantissa = 0;
    if (pl_sub_overflows(0, a->mantissa, &mantissa))
        return pl_err_set(PL_REJECT_OVERFLOW, "the negative of an amount leaves 128 bits");
    *negated = (struct pl_amount){ mantissa, a->exponent };
    return PL_OK;
}

int pl_amount_compare(const struct pl_amount *a, const struct pl_amount *b)
{
    const struct pl_amount *fine = a->exponent < b->exponent ? a : b;
    const struct pl_amount *coarse = fine == a ? b : a;
    int direction = fine == a ? 1 : -1;
    pl_i128 scaled = 0;
    int order;
    if (at_exponent(coarse, fine->exponent, &scaled) != PL_OK)
        order = coarse->mantissa > 0 ? -1 : 1; /* larger in size than any fine mantissa */
    else
        order = fine->mantissa < scaled ? -1 : fine->mantissa > scaled;
    return order * direction;
}
