/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loss waterfall against numbers of any size: parts are Hamilton's, add up to the whole and do not
 * depend on the order of those who share; the ranking is that of exact scores; deleveraging takes lots and
 * profits as one would take them by hand, and never more than was won. Sorting is that of the C library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gmp.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/sort.h"
#include "lib/plimsoll.h"
#include "tests/support/random.h"

enum { SHARES_MAX = 40, WINNERS_MAX = 12, ROUNDS = 4000 };

static struct test_random random_;
static struct { uint64_t divided, refused, topped, covered, short_of, ties; } met;

/* ---- numbers --------------------------------------------------------------------------------- */

/* 0 up to 2^bits, of any size below. */
static pl_i128 draw(unsigned bits)
{
    unsigned size = (unsigned)test_random_below(&random_, bits + 1);
    pl_u128 number = (pl_u128)test_random_u64(&random_) << 64 | test_random_u64(&random_);
    return size == 0 ? 0 : (pl_i128)(number >> (128 - size));
}

static void set(mpz_t number, pl_i128 value)
{
    pl_u128 size = value < 0 ? -(pl_u128)value : (pl_u128)value;
    uint64_t words[2] = {(uint64_t)size, (uint64_t)(size >> 64)};
    mpz_import(number, 2, -1, sizeof(words[0]), 0, 0, words);
    if (value < 0)
        mpz_neg(number, number);
}

static bool is(const mpz_t number, pl_i128 value)
{
    mpz_t other;
    mpz_init(other);
    set(other, value);
    bool is_equal = mpz_cmp(number, other) == 0;
    mpz_clear(other);
    return is_equal;
}

static struct pl_id id_of(unsigned number)
{
    struct pl_id id;
    char text[8];
    int size = snprintf(text, sizeof(text), "a%02u", number % 100);
    assert_int_equal(pl_id_set(&id, text, (size_t)size), PL_OK);
    return id;
}

static void shuffle(void *items, uint32_t count, size_t bytes)
{
    uint8_t scratch[512], *at = items;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)test_random_below(&random_, i);
        memcpy(scratch, at + bytes * (i - 1), bytes);
        memmove(at + bytes * (i - 1), at + bytes * other, bytes);
        memcpy(at + bytes * other, scratch, bytes);
    }
}

/* ---- division -------------------------------------------------------------------------------- */

/* How many shares of a list come before this one when what is left is handed out. */
static uint32_t place_of(const struct pl_share *shares, uint32_t count, uint32_t at, pl_i128 total,
                         const mpz_t sum)
{
    mpz_t mine, other, factor;
    uint32_t place = 0;
    mpz_inits(mine, other, factor, NULL);
    set(factor, total);
    set(mine, shares[at].weight);
    mpz_mul(mine, mine, factor);
    mpz_fdiv_r(mine, mine, sum);
    for (uint32_t i = 0; i < count; i++) {
        set(other, shares[i].weight);
        mpz_mul(other, other, factor);
        mpz_fdiv_r(other, other, sum);
        int order = mpz_cmp(other, mine);
        met.ties += i != at && order == 0;
        place += order > 0 || (order == 0 && strcmp(shares[i].account.text,
                                                    shares[at].account.text) < 0);
    }
    mpz_clears(mine, other, factor, NULL);
    return place;
}

static void check_division(pl_i128 total, const struct pl_share *shares, uint32_t count,
                           const mpz_t sum)
{
    mpz_t part, left;
    mpz_inits(part, left, NULL);
    set(left, total);
    for (uint32_t i = 0; i < count; i++) {
        set(part, total);
        mpz_t weight;
        mpz_init(weight);
        set(weight, shares[i].weight);
        mpz_mul(part, part, weight);
        mpz_fdiv_q(part, part, sum);
        mpz_sub(left, left, part);
        mpz_clear(weight);
    }
    pl_i128 all = 0;
    for (uint32_t i = 0; i < count; i++) {
        mpz_t weight;
        mpz_init(weight);
        set(weight, shares[i].weight);
        set(part, total);
        mpz_mul(part, part, weight);
        mpz_fdiv_q(part, part, sum);
        bool is_topped = mpz_cmp_ui(left, place_of(shares, count, i, total, sum)) > 0;
        mpz_add_ui(part, part, is_topped);
        met.topped += is_topped;
        assert_true(is(part, shares[i].amount_vu));
        assert_true(shares[i].weight > 0 || shares[i].amount_vu == 0);
        assert_true(i == 0 || strcmp(shares[i - 1].account.text, shares[i].account.text) < 0);
        all += shares[i].amount_vu;
        mpz_clear(weight);
    }
    assert_true(all == total);
    mpz_clears(part, left, NULL);
}

static void division_is_hamiltons(void **state)
{
    (void)state;
    random_ = test_random_start(20261101);
    for (int round = 0; round < ROUNDS; round++) {
        struct pl_share shares[SHARES_MAX], again[SHARES_MAX];
        uint32_t count = 1 + (uint32_t)test_random_below(&random_, SHARES_MAX);
        unsigned bits = (unsigned)test_random_below(&random_, 127);
        pl_i128 total = draw(round % 2 ? 6 : 126);
        mpz_t sum, weight;
        mpz_inits(sum, weight, NULL);
        for (uint32_t i = 0; i < count; i++) {
            shares[i] = (struct pl_share){.account = id_of(i), .weight = draw(bits)};
            set(weight, shares[i].weight);
            mpz_add(sum, sum, weight);
        }
        shuffle(shares, count, sizeof(shares[0]));
        memcpy(again, shares, sizeof(shares));
        bool is_possible = mpz_sgn(sum) > 0 && mpz_sizeinbase(sum, 2) <= 126;
        assert_int_equal(pl_divide(total, shares, count), is_possible);
        if (is_possible) {
            check_division(total, shares, count, sum);
            shuffle(again, count, sizeof(again[0]));
            assert_true(pl_divide(total, again, count));
            for (uint32_t i = 0; i < count; i++)
                assert_true(again[i].amount_vu == shares[i].amount_vu);
        }
        met.divided += is_possible;
        met.refused += !is_possible;
        mpz_clears(sum, weight, NULL);
    }
    printf("divided=%" PRIu64 " refused=%" PRIu64 " topped=%" PRIu64 " ties=%" PRIu64 "\n",
           met.divided, met.refused, met.topped, met.ties);
    assert_true(met.divided > 0 && met.refused > 0 && met.topped > 0 && met.ties > 0);
}

/* ---- deleveraging ---------------------------------------------------------------------------- */

static void ratio(mpz_t ppm, pl_i128 part, pl_i128 whole)
{
    mpz_t divisor;
    mpz_init(divisor);
    set(ppm, part);
    set(divisor, whole);
    mpz_mul_ui(ppm, ppm, PL_PPM);
    if (mpz_sgn(divisor) > 0)
        mpz_fdiv_q(ppm, ppm, divisor);
    if (mpz_sgn(divisor) <= 0 || mpz_cmp_ui(ppm, 10000000000) > 0)
        mpz_set_ui(ppm, 10000000000);
    mpz_clear(divisor);
}

static int naive_order(const struct pl_winner *a, const struct pl_winner *b)
{
    mpz_t left, right, factor;
    mpz_inits(left, right, factor, NULL);
    ratio(left, a->profit_vu, pl_abs(a->cost_vu));
    ratio(factor, a->gross_vu, a->equity_vu);
    mpz_mul(left, left, factor);
    ratio(right, b->profit_vu, pl_abs(b->cost_vu));
    ratio(factor, b->gross_vu, b->equity_vu);
    mpz_mul(right, right, factor);
    int order = -mpz_cmp(left, right);
    mpz_clears(left, right, factor, NULL);
    return order ? order : strcmp(a->account.text, b->account.text);
}

/* Takes from the first winners what they can give. */
static void check_deleveraging(const struct pl_winner *before, const struct pl_winner *after,
                               uint32_t count, int64_t lots, pl_i128 debt, pl_i128 covered)
{
    mpz_t open, left, most, part;
    mpz_inits(open, left, most, part, NULL);
    set(open, lots < 0 ? -(pl_i128)lots : lots);
    set(left, debt);
    for (uint32_t i = 0; i < count; i++) {
        pl_i128 size = before[i].lots < 0 ? -(pl_i128)before[i].lots : before[i].lots;
        set(part, size - before[i].closed);
        if (mpz_cmp(part, open) > 0)
            mpz_set(part, open);
        if (mpz_sgn(left) <= 0)
            mpz_set_ui(part, 0);
        assert_true(is(part, after[i].closed - before[i].closed));
        mpz_sub(open, open, part);
        set(most, before[i].profit_vu);
        mpz_mul(most, most, part);
        set(part, size);
        mpz_fdiv_q(most, most, part);
        if (mpz_cmp(most, left) > 0)
            mpz_set(most, left);
        assert_true(is(most, after[i].charge_vu - before[i].charge_vu));
        assert_true(after[i].charge_vu <= before[i].profit_vu);
        mpz_sub(left, left, most);
    }
    assert_true(is(left, debt - covered));
    met.covered += mpz_sgn(left) == 0;
    met.short_of += mpz_sgn(left) > 0;
    mpz_clears(open, left, most, part, NULL);
}

static void deleveraging_takes_what_was_won(void **state)
{
    (void)state;
    random_ = test_random_start(20261102);
    for (int round = 0; round < ROUNDS; round++) {
        struct pl_winner winners[WINNERS_MAX], before[WINNERS_MAX];
        uint32_t count = (uint32_t)test_random_below(&random_, WINNERS_MAX + 1);
        bool is_long = round % 2;
        unsigned bits = 10 + (unsigned)test_random_below(&random_, 74);
        for (uint32_t i = 0; i < count; i++) {
            int64_t lots = 1 + (int64_t)draw(20);
            winners[i] = (struct pl_winner){
                .account = id_of(i), .lots = is_long ? -lots : lots,
                .cost_vu = draw(bits) * (round % 3 ? 1 : -1), .profit_vu = 1 + draw(bits),
                .equity_vu = draw(bits), .gross_vu = draw(bits)};
        }
        shuffle(winners, count, sizeof(winners[0]));
        pl_rank_winners(winners, count);
        for (uint32_t i = 1; i < count; i++)
            assert_true(naive_order(&winners[i - 1], &winners[i]) < 0);
        for (int bankrupt = 0; bankrupt < 3; bankrupt++) {
            int64_t lots = 1 + (int64_t)draw(21);
            pl_i128 debt = draw(bits + 2);
            memcpy(before, winners, sizeof(winners));
            pl_i128 covered = pl_deleverage(winners, count, is_long ? lots : -lots, debt);
            check_deleveraging(before, winners, count, lots, debt, covered);
        }
    }
    printf("covered=%" PRIu64 " short=%" PRIu64 "\n", met.covered, met.short_of);
    assert_true(met.covered > 0 && met.short_of > 0);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right, const void *context)
{
    const uint32_t *a = left, *b = right;
    assert_ptr_equal(context, &random_);
    return *a < *b ? -1 : *a > *b;
}

static int by_number_too(const void *left, const void *right)
{
    return by_number(left, right, &random_);
}

static void sorting_is_the_c_librarys(void **state)
{
    (void)state;
    random_ = test_random_start(20261103);
    for (uint32_t count = 0; count < 300; count++) {
        uint32_t ours[300], theirs[300];
        for (uint32_t i = 0; i < count; i++)
            ours[i] = theirs[i] = (uint32_t)draw(count % 32 + 1);
        pl_sort(ours, count, sizeof(ours[0]), by_number, &random_);
        qsort(theirs, count, sizeof(theirs[0]), by_number_too);
        assert_memory_equal(ours, theirs, count * sizeof(ours[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(division_is_hamiltons),
        cmocka_unit_test(deleveraging_takes_what_was_won),
        cmocka_unit_test(sorting_is_the_c_librarys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
