/* SPDX-License-Identifier: Apache-2.0 */
/* The map against a model that cannot be wrong: a flag per row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/map.h"
#include "tests/support/random.h"

enum { ROWS = 1000, STEPS = 200000 };

/* Keys inside rows, as callers have them. */
struct row {
    uint32_t other;
    struct pl_id id;
};

static struct row rows[ROWS];
static bool is_in[ROWS];
static struct pl_map_slot table[PL_MAP_SLOTS(ROWS)];

static void name_rows(void)
{
    for (unsigned i = 0; i < ROWS; i++) {
        char name[80];
        /* Lengths from 1 to 64; long ones differ only at their end. */
        int length = snprintf(name, sizeof name, "%.*s%u", (int)(i % 61),
                              "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", i);
        assert_int_equal(pl_id_set(&rows[i].id, name, (size_t)length), PL_OK);
    }
}

static void check_row(const struct pl_map *map, uint32_t i)
{
    uint32_t index = UINT32_MAX;
    assert_int_equal(pl_map_find(map, &rows[i].id, &index), is_in[i]);
    assert_int_equal(index, is_in[i] ? i : UINT32_MAX);
}

/* Random insertions and removals over the first `used` rows in a map for `capacity` of them: small
 * ones make the table full and its probes wrap around. */
static void run_against_model(struct test_random *random, uint32_t used, uint32_t capacity)
{
    struct pl_map map;
    uint32_t count = 0;
    memset(table, 0, sizeof table);
    memset(is_in, 0, sizeof is_in);
    pl_map_init(&map, table, capacity, &rows[0].id, sizeof rows[0]);
    for (int step = 0; step < STEPS / 8; step++) {
        uint32_t i = (uint32_t)test_random_below(random, used);
        if (test_random_below(random, 2)) {
            enum pl_err expected = is_in[i]            ? PL_REJECT_CONFLICT
                                   : count == capacity ? PL_REJECT_CAPACITY
                                                       : PL_OK;
            assert_int_equal(pl_map_insert(&map, i), expected);
            count += expected == PL_OK;
            is_in[i] = is_in[i] || expected == PL_OK;
        } else {
            assert_int_equal(pl_map_remove(&map, &rows[i].id), is_in[i]);
            count -= is_in[i];
            is_in[i] = false;
        }
        assert_int_equal(map.count, count);
        check_row(&map, (uint32_t)test_random_below(random, used));
        if (step % 256 == 0)
            for (uint32_t j = 0; j < used; j++)
                check_row(&map, j);
    }
    pl_map_reset(&map);
    memset(is_in, 0, sizeof is_in);
    for (uint32_t j = 0; j < used; j++)
        check_row(&map, j);
}

static void test_map_equals_model(void **state)
{
    (void)state;
    struct test_random random = test_random_start(5);
    static const struct { uint32_t used, capacity; } sizes[] = {
        {1, 1}, {3, 2}, {6, 3}, {8, 6}, {16, 12}, {100, 48}, {ROWS, ROWS}, {ROWS, 700},
    };
    name_rows();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        run_against_model(&random, sizes[i].used, sizes[i].capacity);
}

static void test_a_quarter_of_the_slots_stays_free(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 100000; capacity++) {
        size_t slots = PL_MAP_SLOTS(capacity);
        assert_int_equal(slots & (slots - 1), 0);
        assert_true(capacity * 4 <= slots * 3);
        assert_true(capacity * 4 * 2 > slots || slots <= 2); /* and not more than needed */
        assert_int_equal(PL_MAP_BYTES(capacity), slots * 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_equals_model),
        cmocka_unit_test(test_a_quarter_of_the_slots_stays_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
