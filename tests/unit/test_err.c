/* SPDX-License-Identifier: Apache-2.0 */
/* The error table and the text buffer do what err.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"

/* How many codes each class has: adding one without a row in the table fails here. */
static const struct { enum pl_err first, last; } classes[] = {
    {PL_OK, PL_OK},
    {PL_RETRY_TRANSPORT, PL_RETRY_CACHE},
    {PL_REJECT_MALFORMED, PL_REJECT_PARAMETERS},
    {PL_ABORT_TRANSACTION, PL_ABORT_REBALANCE},
    {PL_FATAL_CONFIG, PL_FATAL_SYSTEM},
};

static void test_table_has_every_code_once(void **state)
{
    (void)state;
    enum pl_err err = PL_OK;
    unsigned index = 0;
    for (unsigned i = 0; i < sizeof classes / sizeof classes[0]; i++)
        for (int code = (int)classes[i].first; code <= (int)classes[i].last; code++) {
            assert_true(pl_err_at(index++, &err));
            assert_int_equal(err, code);
            assert_int_equal(pl_err_action(err), i);
        }
    assert_false(pl_err_at(index, &err));
}

static void test_rows_are_complete_and_distinct(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"OK", "RETRY_", "REJECT_", "ABORT_", "FATAL_"};
    enum pl_err a = PL_OK;
    enum pl_err b = PL_OK;
    for (unsigned i = 0; pl_err_at(i, &a); i++) {
        const char *prefix = prefixes[pl_err_action(a)];
        assert_memory_equal(pl_err_name(a), prefix, strlen(prefix));
        assert_true(strlen(pl_err_help(a)) > 10);
        for (unsigned j = 0; j < i; j++) {
            assert_true(pl_err_at(j, &b));
            assert_string_not_equal(pl_err_name(a), pl_err_name(b));
            assert_string_not_equal(pl_err_help(a), pl_err_help(b));
        }
        int status = pl_err_exit_status(a);
        if (pl_err_action(a) == PL_ACTION_FATAL)
            assert_true(status == 2 || status == 3 || status == 75);
        assert_int_equal(status == 0, a == PL_OK);
    }
    assert_string_equal(pl_err_name((enum pl_err)499), "?");
    assert_string_equal(pl_err_help((enum pl_err)1), "?");
}

static void test_text_is_set_and_extended(void **state)
{
    (void)state;
    assert_int_equal(pl_err_set(PL_REJECT_RANGE, "price %d", 7), PL_REJECT_RANGE);
    assert_string_equal(pl_err_text(), "price 7");
    assert_int_equal(pl_err_note(PL_REJECT_RANGE, "instrument %s", "ETH"), PL_REJECT_RANGE);
    assert_string_equal(pl_err_text(), "instrument ETH: price 7");
    (void)pl_err_set(PL_REJECT_RANGE, "again: %s", pl_err_text());
    assert_string_equal(pl_err_text(), "again: instrument ETH: price 7");
    (void)pl_err_set(PL_REJECT_RANGE, "short");
    assert_string_equal(pl_err_text(), "short");
}

static void test_text_is_cut_at_the_limit(void **state)
{
    (void)state;
    char longer[2 * PL_ERR_TEXT_BYTES_MAX];
    for (size_t length = PL_ERR_TEXT_BYTES_MAX - 4; length < PL_ERR_TEXT_BYTES_MAX + 4; length++) {
        memset(longer, 'x', length);
        longer[length] = '\0';
        size_t cut = length < PL_ERR_TEXT_BYTES_MAX ? length : PL_ERR_TEXT_BYTES_MAX - 1;
        (void)pl_err_set(PL_REJECT_SIZE, "%s", longer);
        assert_int_equal(strlen(pl_err_text()), cut);
        (void)pl_err_note(PL_REJECT_SIZE, "ab");
        assert_int_equal(strlen(pl_err_text()), PL_ERR_TEXT_BYTES_MAX - 1);
        assert_memory_equal(pl_err_text(), "ab: xxx", 7);
        (void)pl_err_set(PL_REJECT_SIZE, "old");
        (void)pl_err_note(PL_REJECT_SIZE, "%s", longer);
        assert_in_range(strlen(pl_err_text()), cut, PL_ERR_TEXT_BYTES_MAX - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_has_every_code_once),
        cmocka_unit_test(test_rows_are_complete_and_distinct),
        cmocka_unit_test(test_text_is_set_and_extended),
        cmocka_unit_test(test_text_is_cut_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
