/* SPDX-License-Identifier: Apache-2.0 */
/* The arena hands out disjoint, aligned pieces of the block and nothing beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/assert.h"
#include "tests/support/random.h"

static jmp_buf after_failure;

static void leave_assertion(const char *expression, const char *file, int line)
{
    (void)expression, (void)file, (void)line;
    longjmp(after_failure, 1);
}

static void test_pieces_are_disjoint_aligned_and_inside(void **state)
{
    (void)state;
    struct test_random random = test_random_start(4);
    static uint8_t block[4096];
    for (int round = 0; round < 2000; round++) {
        struct pl_arena arena;
        uint8_t *first = block + test_random_below(&random, 64);
        size_t size = test_random_below(&random, sizeof block - 64);
        pl_arena_init(&arena, first, size);
        uint8_t *end_of_last = first;
        for (;;) {
            size_t align = (size_t)1 << test_random_below(&random, 7);
            size_t want = test_random_below(&random, 300);
            size_t used = arena.used_bytes;
            uint8_t *piece = pl_arena_take(&arena, want, align);
            uintptr_t least = ((uintptr_t)end_of_last + align - 1) & ~(uintptr_t)(align - 1);
            if (!piece) {
                assert_true(least + want > (uintptr_t)first + size);
                assert_int_equal(arena.used_bytes, used);
                break;
            }
            assert_int_equal((uintptr_t)piece, least);
            end_of_last = piece + want;
            assert_true(end_of_last <= first + size);
            assert_int_equal(arena.used_bytes, end_of_last - first);
        }
    }
}

static void test_exhaustion_is_exact(void **state)
{
    (void)state;
    _Alignas(64) uint8_t block[64];
    struct pl_arena arena;
    pl_arena_init(&arena, block, sizeof block);
    assert_ptr_equal(pl_arena_take(&arena, 64, 64), block);
    assert_null(pl_arena_take(&arena, 1, 1));
    assert_ptr_equal(pl_arena_take(&arena, 0, 1), block + 64);
    assert_null(pl_arena_take(&arena, SIZE_MAX, 1));
    assert_null(pl_arena_take(&arena, SIZE_MAX - 63, 64));
    pl_arena_reset(&arena);
    assert_ptr_equal(pl_arena_take(&arena, 1, 1), block);
    assert_null(pl_arena_take(&arena, SIZE_MAX, 64)); /* gap and size together wrap */
    pl_arena_init(&arena, NULL, 0);
    assert_null(pl_arena_take(&arena, 0, 1));
}

static void test_high_water_survives_reset(void **state)
{
    (void)state;
    uint8_t block[100];
    struct pl_arena arena;
    pl_arena_init(&arena, block, sizeof block);
    assert_non_null(pl_arena_take(&arena, 70, 1));
    pl_arena_reset(&arena);
    assert_ptr_equal(pl_arena_take(&arena, 10, 1), block);
    assert_int_equal(arena.used_bytes, 10);
    assert_int_equal(arena.used_bytes_max, 70);
}

static void test_frozen_arena_asserts(void **state)
{
    (void)state;
    uint8_t block[16];
    struct pl_arena arena;
    pl_arena_init(&arena, block, sizeof block);
    pl_arena_freeze(&arena);
    pl_assert_set_handler(leave_assertion);
    if (setjmp(after_failure) == 0) {
        (void)pl_arena_take(&arena, 1, 1);
        fail_msg("taking from a frozen arena was allowed");
    }
    pl_assert_set_handler(leave_assertion);
    if (setjmp(after_failure) == 0) {
        pl_arena_reset(&arena);
        fail_msg("resetting a frozen arena was allowed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_disjoint_aligned_and_inside),
        cmocka_unit_test(test_exhaustion_is_exact),
        cmocka_unit_test(test_high_water_survives_reset),
        cmocka_unit_test(test_frozen_arena_asserts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
