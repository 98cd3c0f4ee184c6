/* SPDX-License-Identifier: Apache-2.0 */
/* The map against a model that cannot be wrong: a flag per row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/hash.h"
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

static int by_tag(const void *a, const void *b)
{
    const struct pl_map_slot *x = a;
    const struct pl_map_slot *y = b;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static struct pl_id id_of(uint32_t number)
{
    struct pl_id id;
    char name[16];
    int length = snprintf(name, sizeof name, "%u", number);
    assert_int_equal(pl_id_set(&id, name, (size_t)length), PL_OK);
    return id;
}

/* Two keys with the same tag are still two keys: among 300,000 there are about ten such pairs. */
static void test_equal_tags_are_not_equal_keys(void **state)
{
    (void)state;
    enum { KEYS = 300000 };
    static struct pl_map_slot tags[KEYS];
    unsigned pairs = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct pl_id id = id_of(i);
        tags[i] = (struct pl_map_slot){(uint32_t)pl_hash64(id.text, id.size_bytes), i};
    }
    qsort(tags, KEYS, sizeof tags[0], by_tag);
    for (uint32_t i = 1; i < KEYS; i++) {
        if (tags[i].tag != tags[i - 1].tag)
            continue;
        struct pl_map map;
        const struct pl_id keys[2] = {id_of(tags[i - 1].row), id_of(tags[i].row)};
        struct pl_map_slot slots[PL_MAP_SLOTS(2)] = {0};
        uint32_t index = 0;
        pl_map_init(&map, slots, 2, keys, sizeof keys[0]);
        assert_int_equal(pl_map_insert(&map, 0), PL_OK);
        assert_false(pl_map_find(&map, &keys[1], &index));
        assert_int_equal(pl_map_insert(&map, 1), PL_OK);
        assert_true(pl_map_find(&map, &keys[1], &index) && index == 1);
        assert_true(pl_map_remove(&map, &keys[0]));
        assert_true(pl_map_find(&map, &keys[1], &index) && index == 1);
        pairs++;
    }
    assert_in_range(pairs, 1, 100);
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
        cmocka_unit_test(test_equal_tags_are_not_equal_keys),
        cmocka_unit_test(test_a_quarter_of_the_slots_stays_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
