/* SPDX-License-Identifier: Apache-2.0 */
/* Names: dense numbers in order of arrival, the same number again, and a full table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/plimsoll.h"

static struct pl_names names;

static struct pl_id id_of(uint32_t number)
{
    char text[16];
    struct pl_id id;
    snprintf(text, sizeof text, "asset-%u", number);
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

static void numbers_are_dense_and_stay(void **state)
{
    (void)state;
    pl_names_init(&names);
    uint32_t index;
    struct pl_id id = id_of(0);
    assert_false(pl_names_find(&names, &id, &index));
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            id = id_of(i);
            assert_int_equal(pl_names_intern(&names, &id, &index), PL_OK);
            assert_int_equal(index, i);
        }
    }
    assert_int_equal(names.count, 100);
    id = id_of(42);
    assert_true(pl_names_find(&names, &id, &index));
    assert_int_equal(index, 42);
    assert_true(pl_id_equal(&names.ids[42], &id));
    id = id_of(100);
    assert_false(pl_names_find(&names, &id, &index));
}

static void a_full_table_refuses_new_names_and_keeps_old_ones(void **state)
{
    (void)state;
    pl_names_init(&names);
    uint32_t index;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        struct pl_id id = id_of(i);
        assert_int_equal(pl_names_intern(&names, &id, &index), PL_OK);
    }
    struct pl_id one_more = id_of(PL_INSTRUMENTS_MAX), last = id_of(PL_INSTRUMENTS_MAX - 1);
    assert_int_equal(pl_names_intern(&names, &one_more, &index), PL_REJECT_CAPACITY);
    assert_non_null(strstr(pl_err_text(), "asset-4096"));
    assert_false(pl_names_find(&names, &one_more, &index));
    assert_int_equal(pl_names_intern(&names, &last, &index), PL_OK);
    assert_int_equal(index, PL_INSTRUMENTS_MAX - 1);
    assert_int_equal(names.count, PL_INSTRUMENTS_MAX);
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        struct pl_id id = id_of(i);
        assert_true(pl_names_find(&names, &id, &index));
        assert_int_equal(index, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_dense_and_stay),
        cmocka_unit_test(a_full_table_refuses_new_names_and_keeps_old_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
