/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers as a person types them: exact, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "services/cli/decimal.h"

static void numbers_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pl_err err;
        int64_t mantissa;
        int32_t exponent;
    } rows[] = {
        {"12", PL_OK, 12, 0},
        {"-0.5", PL_OK, -5, -1},
        {"+1.25", PL_OK, 125, -2},
        {"1.500", PL_OK, 15, -1},
        {"-3.000", PL_OK, -3, 0},
        {"0.00", PL_OK, 0, 0},
        {"007", PL_OK, 7, 0},
        {"100", PL_OK, 100, 0},
        {"", PL_REJECT_MALFORMED, 0, 0},
        {"-", PL_REJECT_MALFORMED, 0, 0},
        {".5", PL_REJECT_MALFORMED, 0, 0},
        {"5.", PL_REJECT_MALFORMED, 0, 0},
        {"1.2.3", PL_REJECT_MALFORMED, 0, 0},
        {"1e3", PL_REJECT_MALFORMED, 0, 0},
        {"1,5", PL_REJECT_MALFORMED, 0, 0},
        {" 1", PL_REJECT_MALFORMED, 0, 0},
        {"--1", PL_REJECT_MALFORMED, 0, 0},
        {"0x10", PL_REJECT_MALFORMED, 0, 0},
        {"1000000000000000000000000000000000000", PL_REJECT_OVERFLOW, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_amount amount = {0};
        assert_int_equal(decimal_parse(rows[i].text, strlen(rows[i].text), &amount), rows[i].err);
        if (rows[i].err)
            continue;
        assert_true(amount.mantissa == rows[i].mantissa);
        assert_int_equal(amount.exponent, rows[i].exponent);
    }
}

static void units_are_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned decimals;
        enum pl_err err;
        int64_t units;
    } rows[] = {
        {"1.5", 1, PL_OK, 15},         {"1.5", 8, PL_OK, 150000000},
        {"-1.50", 1, PL_OK, -15},      {"1.55", 1, PL_REJECT_RANGE, 0},
        {"0.1", 0, PL_REJECT_RANGE, 0}, {"x", 0, PL_REJECT_MALFORMED, 0},
        {"9223372036854775807", 0, PL_OK, INT64_MAX},
        {"9223372036854775808", 0, PL_REJECT_OVERFLOW, 0},
        {"-9223372036854775808", 0, PL_OK, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t units = 0;
        assert_int_equal(decimal_units(rows[i].text, strlen(rows[i].text), rows[i].decimals, &units),
                         rows[i].err);
        if (!rows[i].err)
            assert_true(units == rows[i].units);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_exactly),
        cmocka_unit_test(units_are_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
