/* SPDX-License-Identifier: Apache-2.0 */
/* Exact numbers: tables of the edges, then every function against GMP on seeded random input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gmp.h>

#include "lib/base/num.h"
#include "tests/support/random.h"

#define I128_MAX ((pl_i128)(((pl_u128)1 << 127) - 1))
#define I128_MIN (-I128_MAX - 1)
#define ASSERT_I128_EQUAL(a, b) assert_true((a) == (b))

enum { RANDOM_COUNT = 200000 };

static void set_mpz(mpz_t number, pl_i128 value)
{
    pl_u128 magnitude = value < 0 ? -(pl_u128)value : (pl_u128)value;
    mpz_import(number, 1, 1, sizeof magnitude, 0, 0, &magnitude);
    if (value < 0)
        mpz_neg(number, number);
}

/* False when the number has no place in a pl_i128. */
static bool get_mpz(const mpz_t number, pl_i128 *value)
{
    mpz_t limit;
    mpz_init(limit);
    set_mpz(limit, I128_MAX);
    bool fits = mpz_cmp(number, limit) <= 0;
    set_mpz(limit, I128_MIN);
    fits = fits && mpz_cmp(number, limit) >= 0;
    mpz_clear(limit);
    if (!fits)
        return false;
    pl_u128 magnitude = 0;
    mpz_export(&magnitude, NULL, 1, sizeof magnitude, 0, 0, number);
    *value = mpz_sgn(number) < 0 ? (pl_i128)-magnitude : (pl_i128)magnitude;
    return true;
}

/* round(a / b) in the way asked; b > 0. */
static void divide_mpz(mpz_t quotient, const mpz_t a, const mpz_t b, enum pl_rounding rounding)
{
    mpz_t twice;
    mpz_init(twice);
    switch (rounding) {
    case PL_ROUND_FLOOR:
        mpz_fdiv_q(quotient, a, b);
        break;
    case PL_ROUND_CEIL:
        mpz_cdiv_q(quotient, a, b);
        break;
    case PL_ROUND_EVEN:
        mpz_fdiv_qr(quotient, twice, a, b);
        mpz_mul_ui(twice, twice, 2);
        if (mpz_cmp(twice, b) > 0 || (mpz_cmp(twice, b) == 0 && mpz_odd_p(quotient)))
            mpz_add_ui(quotient, quotient, 1);
        break;
    }
    mpz_clear(twice);
}

static void test_division_at_the_edges(void **state)
{
    (void)state;
    static const struct { pl_i128 a, b, floor, ceil, even; } rows[] = {
        {0, 1, 0, 0, 0},         {7, 2, 3, 4, 4},          {5, 2, 2, 3, 2},
        {-5, 2, -3, -2, -2},     {-7, 2, -4, -3, -4},      {6, 3, 2, 2, 2},
        {-6, 3, -2, -2, -2},     {1, 3, 0, 1, 0},          {-1, 3, -1, 0, 0},
        {2, 3, 0, 1, 1},         {-2, 3, -1, 0, -1},       {1, 2, 0, 1, 0},
        {-1, 2, -1, 0, 0},       {3, 2, 1, 2, 2},          {-3, 2, -2, -1, -2},
        {I128_MAX, 1, I128_MAX, I128_MAX, I128_MAX},
        {I128_MIN, 1, I128_MIN, I128_MIN, I128_MIN},
        {I128_MAX, I128_MAX, 1, 1, 1},
        {I128_MIN, I128_MAX, -2, -1, -1},
        {I128_MAX - 1, I128_MAX, 0, 1, 1},
        {1, I128_MAX, 0, 1, 0},
        {-1, I128_MAX, -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ASSERT_I128_EQUAL(pl_div_floor(rows[i].a, rows[i].b), rows[i].floor);
        ASSERT_I128_EQUAL(pl_div_ceil(rows[i].a, rows[i].b), rows[i].ceil);
        ASSERT_I128_EQUAL(pl_div_even(rows[i].a, rows[i].b), rows[i].even);
    }
}

static void test_division_equals_gmp(void **state)
{
    (void)state;
    struct test_random random = test_random_start(1);
    mpz_t a, b, quotient;
    mpz_inits(a, b, quotient, NULL);
    for (int i = 0; i < RANDOM_COUNT; i++) {
        pl_i128 dividend = test_random_i128(&random);
        pl_i128 divisor = test_random_i128(&random);
        divisor = divisor <= 0 ? -(divisor + 1) + 1 : divisor;
        if (divisor <= 0)
            continue;
        /* Ties are rare by chance: make every fourth one. */
        if (i % 4 == 0 && divisor < I128_MAX / 2)
            dividend = dividend / 4 / divisor * divisor + divisor / 2;
        set_mpz(a, dividend);
        set_mpz(b, divisor);
        pl_i128 expected = 0;
        for (int rounding = PL_ROUND_FLOOR; rounding <= PL_ROUND_EVEN; rounding++) {
            divide_mpz(quotient, a, b, (enum pl_rounding)rounding);
            assert_true(get_mpz(quotient, &expected));
            ASSERT_I128_EQUAL(expected, rounding == PL_ROUND_FLOOR  ? pl_div_floor(dividend, divisor)
                                        : rounding == PL_ROUND_CEIL ? pl_div_ceil(dividend, divisor)
                                                                    : pl_div_even(dividend, divisor));
        }
    }
    mpz_clears(a, b, quotient, NULL);
}

static void test_powers_of_ten(void **state)
{
    (void)state;
    pl_i128 expected = 1;
    for (unsigned exponent = 0; exponent <= 38; exponent++, expected *= exponent <= 38 ? 10 : 1)
        ASSERT_I128_EQUAL(pl_pow10(exponent), expected);
}

static void test_rescale_table(void **state)
{
    (void)state;
    static const struct {
        pl_i128 mantissa;
        int exponent;
        unsigned decimals;
        enum pl_rounding rounding;
        enum pl_err err;
        int64_t expected;
    } rows[] = {
        {15, -1, 8, PL_ROUND_FLOOR, PL_OK, 150000000},
        {15, -1, 0, PL_ROUND_FLOOR, PL_OK, 1},
        {-15, -1, 0, PL_ROUND_FLOOR, PL_OK, -2}, /* a debt rounds up in size */
        {-15, -1, 0, PL_ROUND_CEIL, PL_OK, -1},
        {15, -1, 0, PL_ROUND_EVEN, PL_OK, 2},
        {25, -1, 0, PL_ROUND_EVEN, PL_OK, 2},
        {-25, -1, 0, PL_ROUND_EVEN, PL_OK, -2},
        {1, -38, 12, PL_ROUND_FLOOR, PL_OK, 0},
        {-1, -38, 12, PL_ROUND_FLOOR, PL_OK, -1},
        {0, 38, 12, PL_ROUND_FLOOR, PL_OK, 0},
        {INT64_MAX, 0, 0, PL_ROUND_FLOOR, PL_OK, INT64_MAX},
        {INT64_MIN, 0, 0, PL_ROUND_FLOOR, PL_OK, INT64_MIN},
        {(pl_i128)INT64_MAX + 1, 0, 0, PL_ROUND_FLOOR, PL_REJECT_OVERFLOW, 0},
        {(pl_i128)INT64_MIN - 1, 0, 0, PL_ROUND_FLOOR, PL_REJECT_OVERFLOW, 0},
        {1, 38, 0, PL_ROUND_FLOOR, PL_REJECT_OVERFLOW, 0},
        {1, 38, 12, PL_ROUND_FLOOR, PL_REJECT_OVERFLOW, 0},
        {1, 39, 0, PL_ROUND_FLOOR, PL_REJECT_RANGE, 0},
        {0, -39, 0, PL_ROUND_FLOOR, PL_REJECT_RANGE, 0},
        {1, INT32_MAX, 0, PL_ROUND_FLOOR, PL_REJECT_RANGE, 0},
        {1, INT32_MIN, 0, PL_ROUND_FLOOR, PL_REJECT_RANGE, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t result = 0;
        assert_int_equal(pl_rescale(rows[i].mantissa, rows[i].exponent, rows[i].decimals,
                                    rows[i].rounding, &result), rows[i].err);
        if (rows[i].err == PL_OK)
            assert_true(result == rows[i].expected);
    }
}

static void test_rescale_equals_gmp(void **state)
{
    (void)state;
    struct test_random random = test_random_start(2);
    mpz_t number, power;
    mpz_inits(number, power, NULL);
    unsigned fitting = 0;
    for (int i = 0; i < RANDOM_COUNT; i++) {
        pl_i128 mantissa = test_random_i128(&random);
        int exponent = (int)test_random_below(&random, 77) - 38;
        unsigned decimals = (unsigned)test_random_below(&random, 39);
        enum pl_rounding rounding = (enum pl_rounding)test_random_below(&random, 3);
        int shift = exponent + (int)decimals;
        set_mpz(number, mantissa);
        mpz_ui_pow_ui(power, 10, (unsigned long)(shift < 0 ? -shift : shift));
        if (shift < 0)
            divide_mpz(number, number, power, rounding);
        else
            mpz_mul(number, number, power);
        pl_i128 expected = 0;
        pl_i128 wide = 0;
        int64_t narrow = 0;
        bool fits = get_mpz(number, &expected);
        enum pl_err err = pl_rescale_wide(mantissa, exponent, decimals, rounding, &wide);
        assert_int_equal(err, fits ? PL_OK : PL_REJECT_OVERFLOW);
        if (fits)
            ASSERT_I128_EQUAL(wide, expected);
        bool fits_narrow = mpz_fits_slong_p(number);
        err = pl_rescale(mantissa, exponent, decimals, rounding, &narrow);
        assert_int_equal(err, fits_narrow ? PL_OK : PL_REJECT_OVERFLOW);
        if (fits_narrow)
            assert_true(narrow == (int64_t)expected);
        fitting += fits_narrow;
    }
    assert_in_range(fitting, RANDOM_COUNT / 10, RANDOM_COUNT - RANDOM_COUNT / 10);
    mpz_clears(number, power, NULL);
}

static void test_parse_table(void **state)
{
    (void)state;
    static const struct { const char *text; enum pl_err err; pl_i128 expected; } rows[] = {
        {"0", PL_OK, 0},
        {"7", PL_OK, 7},
        {"-7", PL_OK, -7},
        {"1000000000000", PL_OK, 1000000000000},
        {"170141183460469231731687303715884105727", PL_OK, I128_MAX},
        {"-170141183460469231731687303715884105727", PL_OK, -I128_MAX},
        {"170141183460469231731687303715884105728", PL_REJECT_OVERFLOW, 0},
        {"-170141183460469231731687303715884105728", PL_REJECT_OVERFLOW, 0},
        {"999999999999999999999999999999999999999999999", PL_REJECT_OVERFLOW, 0},
        {"99999999999999999999999999999999999999999999x", PL_REJECT_MALFORMED, 0},
        {"", PL_REJECT_MALFORMED, 0},
        {"-", PL_REJECT_MALFORMED, 0},
        {"-0", PL_REJECT_MALFORMED, 0},
        {"00", PL_REJECT_MALFORMED, 0},
        {"-01", PL_REJECT_MALFORMED, 0},
        {"+1", PL_REJECT_MALFORMED, 0},
        {" 1", PL_REJECT_MALFORMED, 0},
        {"1 ", PL_REJECT_MALFORMED, 0},
        {"1.0", PL_REJECT_MALFORMED, 0},
        {"1e3", PL_REJECT_MALFORMED, 0},
        {"--1", PL_REJECT_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pl_i128 result = 0;
        assert_int_equal(pl_i128_parse(rows[i].text, strlen(rows[i].text), &result), rows[i].err);
        if (rows[i].err == PL_OK)
            ASSERT_I128_EQUAL(result, rows[i].expected);
    }
    pl_i128 result = 0;
    assert_int_equal(pl_i128_parse("12345", 3, &result), PL_OK); /* no terminator is needed */
    ASSERT_I128_EQUAL(result, 123);
    assert_int_equal(pl_i128_parse("1\0" "2", 3, &result), PL_REJECT_MALFORMED);
}

static void test_print_and_parse_equal_gmp(void **state)
{
    (void)state;
    struct test_random random = test_random_start(3);
    mpz_t number;
    mpz_init(number);
    for (int i = 0; i < RANDOM_COUNT / 4; i++) {
        pl_i128 value = i == 0 ? I128_MIN : i == 1 ? I128_MAX : test_random_i128(&random);
        char text[PL_I128_TEXT_BYTES];
        char expected[64];
        set_mpz(number, value);
        mpz_get_str(expected, 10, number);
        assert_int_equal(pl_i128_print(value, text), strlen(expected));
        assert_string_equal(text, expected);
        pl_i128 again = 0;
        if (value != I128_MIN) {
            assert_int_equal(pl_i128_parse(text, strlen(text), &again), PL_OK);
            ASSERT_I128_EQUAL(again, value);
        }
    }
    mpz_clear(number);
}

static void test_decimal_print_table(void **state)
{
    (void)state;
    static const struct { pl_i128 value; unsigned decimals; const char *expected; } rows[] = {
        {-1250, 2, "-12.50"}, {0, 0, "0"},  {0, 3, "0.000"}, {5, 1, "0.5"}, {-5, 3, "-0.005"},
        {123, 0, "123"},      {-1, 0, "-1"}, {1000, 3, "1.000"},
        {I128_MIN, 38, "-1.70141183460469231731687303715884105728"},
        {I128_MIN, 0, "-170141183460469231731687303715884105728"},
        {-1, 38, "-0.00000000000000000000000000000000000001"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        assert_int_equal(pl_decimal_print(rows[i].value, rows[i].decimals, text),
                         strlen(rows[i].expected));
        assert_string_equal(text, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division_at_the_edges),
        cmocka_unit_test(test_division_equals_gmp),
        cmocka_unit_test(test_powers_of_ten),
        cmocka_unit_test(test_rescale_table),
        cmocka_unit_test(test_rescale_equals_gmp),
        cmocka_unit_test(test_parse_table),
        cmocka_unit_test(test_print_and_parse_equal_gmp),
        cmocka_unit_test(test_decimal_print_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
