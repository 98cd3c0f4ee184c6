/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded randomness for tests: splitmix64. Every random test prints its seed and reads PLIMSOLL_SEED,
 * so that a failure can be had again; the seed of a failure becomes a row of a regression table.
 */
#ifndef PL_TESTS_SUPPORT_RANDOM_H
#define PL_TESTS_SUPPORT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/num.h"

struct test_random {
    uint64_t state;
};

/* Seeded by PLIMSOLL_SEED, else by `seed`. Prints which. */
static inline struct test_random test_random_start(uint64_t seed)
{
    const char *text = getenv("PLIMSOLL_SEED");
    if (text)
        seed = strtoull(text, NULL, 10);
    printf("seed=%llu\n", (unsigned long long)seed);
    return (struct test_random){seed};
}

static inline uint64_t test_random_u64(struct test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0..bound-1; the bias of the remainder does not matter here. */
static inline uint64_t test_random_below(struct test_random *random, uint64_t bound)
{
    return test_random_u64(random) % bound;
}

/* Any 128-bit value, small and extreme ones often: every length of bits is equally likely. */
static inline pl_i128 test_random_i128(struct test_random *random)
{
    pl_u128 bits = ((pl_u128)test_random_u64(random) << 64) | test_random_u64(random);
    bits >>= test_random_below(random, 128);
    return (pl_i128)(test_random_below(random, 2) ? bits : ~bits);
}

#endif
