/* SPDX-License-Identifier: Apache-2.0 */
/* Ids take what id.h allows, refuse the rest by name, and are ordered by bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/id.h"

static struct pl_id id_of(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

static void test_every_byte_is_judged(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        unsigned char data[3] = {'a', (unsigned char)byte, 'z'};
        struct pl_id id;
        enum pl_err expected = byte > 0x20 && byte < 0x7f ? PL_OK : PL_REJECT_RANGE;
        assert_int_equal(pl_id_set(&id, data, sizeof data), expected);
        assert_int_equal(id.size_bytes, expected == PL_OK ? 3 : 0);
        assert_int_equal(pl_id_is_none(&id), expected != PL_OK);
        if (expected == PL_OK)
            assert_memory_equal(id.text, data, 3);
    }
}

static void test_every_size_is_judged(void **state)
{
    (void)state;
    char data[70];
    memset(data, 'x', sizeof data);
    for (size_t size = 0; size <= sizeof data; size++) {
        struct pl_id id;
        bool is_allowed = size >= 1 && size <= PL_ID_BYTES_MAX;
        assert_int_equal(pl_id_set(&id, size ? data : NULL, size),
                         is_allowed ? PL_OK : PL_REJECT_KEY);
        assert_int_equal(strlen(id.text), is_allowed ? size : 0);
        assert_int_equal(id.size_bytes, is_allowed ? size : 0);
    }
}

static void test_setting_leaves_nothing_of_the_last(void **state)
{
    (void)state;
    struct pl_id id = id_of("a-much-longer-name");
    assert_int_equal(pl_id_set(&id, "b", 1), PL_OK);
    struct pl_id fresh = id_of("b");
    assert_memory_equal(&id, &fresh, sizeof id);
}

static void test_order_is_by_bytes(void **state)
{
    (void)state;
    static const char *const ascending[] = {"!", "A", "AA", "AB", "B", "BTC", "BTC-PERP", "a", "~"};
    size_t count = sizeof ascending / sizeof ascending[0];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            struct pl_id a = id_of(ascending[i]);
            struct pl_id b = id_of(ascending[j]);
            int order = pl_id_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(pl_id_equal(&a, &b), i == j);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_is_judged),
        cmocka_unit_test(test_every_size_is_judged),
        cmocka_unit_test(test_setting_leaves_nothing_of_the_last),
        cmocka_unit_test(test_order_is_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
