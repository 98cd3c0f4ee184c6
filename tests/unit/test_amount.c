/* SPDX-License-Identifier: Apache-2.0 */
/* lib/base/amount: are sums and comparisons exact, and refused where they cannot be? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/amount.h"

static const pl_i128 LARGEST = ((((pl_i128)1 << 126) - 1) << 1) + 1;

static void test_sums(void **state)
{
    static const struct { struct pl_amount a, b, sum; } rows[] = {
        { { 1, 0 }, { 2, 0 }, { 3, 0 } },
        { { 1, 0 }, { 5, -3 }, { 1005, -3 } },
        { { -1, 2 }, { 5, -3 }, { -99995, -3 } },
        { { 0, -38 }, { 7, 3 }, { 7, 3 } },
        { { 7, 3 }, { 0, 38 }, { 7, 3 } },
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pl_amount sum;
        assert_int_equal(pl_amount_add(&rows[i].a, &rows[i].b, &sum), PL_OK);
        assert_true(sum.mantissa == rows[i].sum.mantissa);
        assert_int_equal(sum.exponent, rows[i].sum.exponent);
    }
}

static void test_overflow_is_refused(void **state)
{
    const struct pl_amount largest = { LARGEST, 0 }, one = { 1, 0 }, fine = { 1, -38 },
                           coarse = { 2, 38 }, smallest = { -LARGEST - 1, 0 };
    struct pl_amount sum;
    (void)state;
    assert_int_equal(pl_amount_add(&largest, &one, &sum), PL_REJECT_OVERFLOW);
    assert_int_equal(pl_amount_add(&largest, &fine, &sum), PL_REJECT_OVERFLOW);
    assert_int_equal(pl_amount_add(&coarse, &fine, &sum), PL_REJECT_OVERFLOW);
    assert_int_equal(pl_amount_negate(&smallest, &sum), PL_REJECT_OVERFLOW);
    assert_int_equal(pl_amount_negate(&largest, &sum), PL_OK);
}

static void test_comparisons(void **state)
{
    static const struct { struct pl_amount a, b; int order; } rows[] = {
        { { 1, 0 }, { 10, -1 }, 0 },     { { 1, 0 }, { 11, -1 }, -1 },
        { { 1, 38 }, { 1, -38 }, 1 },    { { -1, 38 }, { 1, -38 }, -1 },
        { { 1, -38 }, { -1, 38 }, 1 },   { { 0, 5 }, { 0, -5 }, 0 },
        { { 0, 38 }, { 1, -38 }, -1 },
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(pl_amount_compare(&rows[i].a, &rows[i].b), rows[i].order);
        assert_int_equal(pl_amount_compare(&rows[i].b, &rows[i].a), -rows[i].order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sums),
                                        cmocka_unit_test(test_overflow_is_refused),
                                        cmocka_unit_test(test_comparisons) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
