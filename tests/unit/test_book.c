/* SPDX-License-Identifier: Apache-2.0 */
/* The book against a model that keeps every record whole, and the limits it promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/plimsoll.h"
#include "tests/support/random.h"

enum { ACCOUNTS = 48, STEPS = 60000 };

static const struct pl_book_limits limits = {
    .accounts_max = ACCOUNTS - 4, .legs_max = 400, .applied_max = 150, .states_max = 24};

static struct test_random rng;

static uint32_t below(uint32_t bound)
{
    return (uint32_t)test_random_below(&rng, bound);
}

static struct pl_book *new_book(const struct pl_book_limits *of)
{
    size_t size_bytes = (pl_book_bytes(of) + 63) & ~(size_t)63;
    void *block = aligned_alloc(64, size_bytes);
    assert_non_null(block);
    memset(block, 0, size_bytes);
    return pl_book_init(block, of);
}

static struct pl_id id_of(uint32_t number)
{
    struct pl_id id;
    char text[32];
    int length = snprintf(text, sizeof text, "account-%u", number * 7919 % 100003);
    assert_int_equal(pl_id_set(&id, text, (size_t)length), PL_OK);
    return id;
}

/* ---- records -------------------------------------------------------------------------------- */

static void draw_contents(struct pl_holdings *holdings, uint32_t leg_count, uint32_t applied_count)
{
    holdings->leg_count = leg_count;
    holdings->applied_count = applied_count;
    for (uint32_t i = 0; i < leg_count; i++)
        holdings->legs[i] = (struct pl_leg){
            .instrument = below(PL_INSTRUMENTS_MAX), .settles_by_time = below(2),
            .lots = (int64_t)test_random_u64(&rng), .final_lots = (int64_t)test_random_u64(&rng),
            .credited_lots = below(1000)};
    for (uint32_t i = 0; i < applied_count; i++) {
        uint64_t id = test_random_u64(&rng);
        struct pl_applied *applied = &holdings->applied[i];
        *applied = (struct pl_applied){.cumulative = {.mantissa = test_random_i128(&rng),
                                                      .exponent = (int32_t)below(38)}};
        memcpy(applied->order_id, &id, sizeof id);
    }
    holdings->has_gap = below(8) == 0;
    holdings->event_time_ms = (int64_t)below(1000000);
    holdings->cash_vu = test_random_i128(&rng) >> 8;
    holdings->final_cash_vu = holdings->cash_vu + below(1000);
    holdings->digest = (struct pl_digest){test_random_u64(&rng), test_random_u64(&rng)};
}

static void draw_holdings(struct pl_holdings *holdings, uint32_t number, uint64_t version)
{
    memset(holdings, 0, sizeof *holdings);
    holdings->account = id_of(number);
    holdings->version = version;
    uint32_t legs = below(40) == 0 ? below(PL_LEGS_MAX + 1) : below(14);
    uint32_t applied = below(40) == 0 ? below(PL_APPLIED_MAX + 1) : below(8) < 5 ? 0 : below(6);
    draw_contents(holdings, legs, applied);
}

static void draw_state(struct pl_account_state *state)
{
    memset(state, 0, sizeof *state);
    *state = (struct pl_account_state){
        .state = (enum pl_state)(1 + below(5)), .since_ms = (int64_t)below(1000000),
        .episode = below(9), .revision = below(9), .whole_since_ms = (int64_t)below(3) - 1,
        .revision_after_ms = (int64_t)below(1000), .version = 1 + below(1000),
        .called_ms = (int64_t)below(1000), .due_ms = (int64_t)below(1000),
        .told_count = below(PL_TOLD_MAX + 1), .doubt_count = below(PL_DOUBTS_MAX + 1),
        .pending_count = below(PL_PENDING_MAX + 1)};
    for (uint32_t i = 0; i < state->doubt_count; i++)
        state->doubts[i] = (struct pl_doubt){below(PL_INSTRUMENTS_MAX), PL_DOUBT_STALE};
    for (uint32_t i = 0; i < state->told_count; i++)
        state->told[i] = (struct pl_told){(enum pl_state)(1 + i), (int64_t)below(1000)};
    for (uint32_t i = 0; i < state->pending_count; i++) {
        state->pending[i].ordered_lots = (int64_t)test_random_u64(&rng);
        state->pending[i].order_id[i % PL_ORDER_ID_BYTES] = (uint8_t)below(256);
        state->pending[i].reported_ms = (int64_t)below(1000);
    }
}

/* ---- model ---------------------------------------------------------------------------------- */

struct model {
    bool is_there, is_tainted, has_state;
    struct pl_holdings holdings; /* version 0: none yet */
    struct pl_account_state state;
    struct pl_digest state_digest;
};

static struct model models[ACCOUNTS];
static uint32_t met_full_accounts, met_full_legs, met_full_applied, met_full_states, met_stale;

static uint32_t count_of(const struct model *except, char what)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        if (&models[i] == except) continue;
        count += what == 'a'   ? models[i].is_there
                 : what == 'l' ? models[i].holdings.leg_count
                 : what == 'f' ? models[i].holdings.applied_count
                               : models[i].has_state;
    }
    return count;
}

static void assert_states_equal(const struct pl_account_state *a, const struct pl_account_state *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->since_ms, b->since_ms);
    assert_int_equal(a->episode, b->episode);
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->whole_since_ms, b->whole_since_ms);
    assert_int_equal(a->revision_after_ms, b->revision_after_ms);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->called_ms, b->called_ms);
    assert_int_equal(a->due_ms, b->due_ms);
    assert_int_equal(a->told_count, b->told_count);
    for (uint32_t i = 0; i < a->told_count; i++) {
        assert_int_equal(a->told[i].state, b->told[i].state);
        assert_int_equal(a->told[i].told_ms, b->told[i].told_ms);
    }
    assert_int_equal(a->doubt_count, b->doubt_count);
    assert_int_equal(a->pending_count, b->pending_count);
    for (uint32_t i = 0; i < a->doubt_count; i++)
        assert_int_equal(a->doubts[i].instrument, b->doubts[i].instrument);
    for (uint32_t i = 0; i < a->pending_count; i++) {
        assert_int_equal(a->pending[i].ordered_lots, b->pending[i].ordered_lots);
        assert_int_equal(a->pending[i].reported_ms, b->pending[i].reported_ms);
        assert_memory_equal(a->pending[i].order_id, b->pending[i].order_id, PL_ORDER_ID_BYTES);
    }
}

static void check_legs(const struct pl_book *book, uint32_t row, const struct pl_holdings *expected)
{
    const struct pl_account *account = pl_book_at(book, row);
    const struct pl_leg *legs = pl_book_legs(book, row);
    uint64_t mask = 0;
    assert_int_equal(account->leg_count, expected->leg_count);
    for (uint32_t i = 0; i < account->leg_count; i++) {
        assert_int_equal(legs[i].instrument, expected->legs[i].instrument);
        assert_int_equal(legs[i].settles_by_time, expected->legs[i].settles_by_time);
        assert_true(legs[i].lots == expected->legs[i].lots);
        assert_true(legs[i].final_lots == expected->legs[i].final_lots);
        assert_true(legs[i].credited_lots == expected->legs[i].credited_lots);
        mask |= (uint64_t)1 << (legs[i].instrument % 64);
    }
    assert_true(account->instrument_mask == mask);
}

static void check_account(const struct pl_book *book, uint32_t number)
{
    const struct model *model = &models[number];
    const struct pl_holdings *expected = &model->holdings;
    struct pl_id id = id_of(number);
    uint32_t row;
    assert_int_equal(pl_book_find(book, &id, &row), model->is_there);
    if (!model->is_there) return;
    const struct pl_account *account = pl_book_at(book, row);
    const struct pl_applied *applied = pl_book_applied(book, row);
    assert_true(pl_id_equal(&account->id, &id));
    assert_int_equal(account->has_holdings, expected->version != 0);
    assert_int_equal(account->is_tainted, model->is_tainted);
    assert_int_equal(account->has_gap, expected->has_gap);
    assert_int_equal(account->version, expected->version);
    assert_int_equal(account->event_time_ms, expected->event_time_ms);
    assert_true(account->cash_vu == expected->cash_vu);
    assert_true(account->final_cash_vu == expected->final_cash_vu);
    check_legs(book, row, expected);
    assert_int_equal(account->applied_count, expected->applied_count);
    for (uint32_t i = 0; i < account->applied_count; i++) {
        assert_memory_equal(applied[i].order_id, expected->applied[i].order_id, PL_ORDER_ID_BYTES);
        assert_int_equal(pl_amount_compare(&applied[i].cumulative,
                                           &expected->applied[i].cumulative), 0);
    }
    struct pl_account_state state;
    pl_book_state(book, row, &state);
    assert_int_equal(pl_book_has_state(book, row), model->has_state);
    assert_states_equal(&state, &model->state);
}

/* Everything, the walk over states and the digests as well. */
static void check_all(const struct pl_book *book)
{
    struct pl_digest digest = {0}, states_digest = {0};
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        check_account(book, i);
        if (models[i].has_state) pl_digest_xor(&states_digest, models[i].state_digest);
        if (models[i].holdings.version) pl_digest_xor(&digest, models[i].holdings.digest);
    }
    assert_true(pl_digest_equal(pl_book_digest(book), digest));
    assert_true(pl_digest_equal(pl_book_states_digest(book), states_digest));
    assert_int_equal(pl_book_count(book), count_of(NULL, 'a'));
    assert_int_equal(pl_book_state_count(book), count_of(NULL, 's'));
    for (uint32_t at = 0; at < pl_book_state_count(book); at++) {
        uint32_t row = pl_book_state_row(book, at);
        struct pl_account_state state;
        pl_book_state(book, row, &state);
        assert_int_equal(pl_book_at(book, row)->state_index, at);
        assert_states_equal(pl_book_state_view(book, at), &state);
    }
    assert_true(pl_book_used_bytes(book) <= pl_book_bytes(&limits));
}

/* ---- steps ---------------------------------------------------------------------------------- */

static enum pl_err expect_holdings(const struct model *model, const struct pl_holdings *holdings)
{
    if (model->holdings.version && holdings->version <= model->holdings.version) {
        met_stale++;
        return PL_REJECT_STALE;
    }
    bool no_row = !model->is_there && count_of(NULL, 'a') == limits.accounts_max;
    bool no_legs = count_of(model, 'l') + holdings->leg_count > limits.legs_max;
    bool no_applied = count_of(model, 'f') + holdings->applied_count > limits.applied_max;
    met_full_accounts += no_row;
    met_full_legs += no_legs;
    met_full_applied += no_applied;
    return no_row || no_legs || no_applied ? PL_REJECT_CAPACITY : PL_OK;
}

static void default_state(struct pl_account_state *state)
{
    memset(state, 0, sizeof *state);
    state->state = PL_STATE_OK;
    state->whole_since_ms = -1;
}

static void appear(struct model *model)
{
    if (!model->is_there) default_state(&model->state);
    model->is_there = true;
}

static void step_holdings(struct pl_book *book, uint32_t number)
{
    static struct pl_holdings holdings;
    struct model *model = &models[number];
    uint64_t last = model->holdings.version;
    draw_holdings(&holdings, number, last + below(3) - (last > 0 && below(4) == 0));
    if (holdings.version == 0) holdings.version = 1;
    enum pl_err expected = expect_holdings(model, &holdings);
    uint32_t row = UINT32_MAX;
    assert_int_equal(pl_book_apply_holdings(book, &holdings, &row), expected);
    if (expected == PL_OK) {
        appear(model);
        model->holdings = holdings;
        model->is_tainted = false;
    }
    if (!model->is_there) return;
    assert_true(pl_id_equal(&pl_book_at(book, row)->id, &holdings.account));
}

static void step_restatement(struct pl_book *book, uint32_t number)
{
    uint32_t row = UINT32_MAX;
    if (!models[number].holdings.version) return;
    assert_int_equal(pl_book_apply_holdings(book, &models[number].holdings, &row), PL_OK);
    assert_true(row < pl_book_count(book));
    /* The same bytes under an older version are no restatement. */
    struct pl_holdings older = models[number].holdings;
    if (older.version < 2) return;
    older.version--;
    assert_int_equal(pl_book_apply_holdings(book, &older, &row), PL_REJECT_STALE);
}

static void step_taint(struct pl_book *book, uint32_t number)
{
    struct pl_id id = id_of(number);
    uint32_t row;
    bool has_room = models[number].is_there || count_of(NULL, 'a') < limits.accounts_max;
    assert_int_equal(pl_book_taint(book, &id, &row), has_room ? PL_OK : PL_REJECT_CAPACITY);
    if (!has_room) return;
    appear(&models[number]);
    models[number].is_tainted = true;
}

static void step_state(struct pl_book *book, uint32_t number)
{
    struct model *model = &models[number];
    struct pl_account_state state;
    struct pl_id id = id_of(number);
    uint32_t row;
    if (!pl_book_find(book, &id, &row)) return;
    bool is_default = below(3) == 0;
    if (is_default) default_state(&state);
    else draw_state(&state);
    bool is_full = !is_default && count_of(model, 's') == limits.states_max;
    met_full_states += is_full;
    struct pl_digest state_digest = {.low = below(1 << 30), .high = number};
    assert_int_equal(pl_book_set_state(book, row, &state, state_digest),
                     is_full ? PL_REJECT_CAPACITY : PL_OK);
    if (is_full) return;
    model->state_digest = is_default ? (struct pl_digest){0} : state_digest;
    model->has_state = !is_default;
    model->state = state;
}

static void test_book_equals_model(void **state)
{
    (void)state;
    rng = test_random_start(20260301);
    struct pl_book *book = new_book(&limits);
    memset(models, 0, sizeof models);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t number = below(ACCOUNTS);
        switch (below(8)) {
        case 0: step_restatement(book, number); break;
        case 1: step_taint(book, number); break;
        case 2:
        case 3: step_state(book, number); break;
        default: step_holdings(book, number); break;
        }
        check_account(book, number);
        check_account(book, below(ACCOUNTS));
        if (step % 128 == 0) check_all(book);
    }
    check_all(book);
    printf("stale %u; full: accounts %u, legs %u, applied %u, states %u\n", met_stale,
           met_full_accounts, met_full_legs, met_full_applied, met_full_states);
    assert_true(met_stale && met_full_accounts && met_full_legs && met_full_applied &&
                met_full_states);
    free(book);
}

/* ---- promises ------------------------------------------------------------------------------- */

static void put_legs(struct pl_book *book, uint32_t number, uint64_t version, uint32_t leg_count,
                     enum pl_err expected)
{
    static struct pl_holdings holdings;
    uint32_t row;
    memset(&holdings, 0, sizeof holdings);
    holdings.account = id_of(number);
    holdings.version = version;
    draw_contents(&holdings, leg_count, 0);
    assert_int_equal(pl_book_apply_holdings(book, &holdings, &row), expected);
}

/* Accounts that grow leg by leg to what the limits allow find room however they came there, and at
 * the limit every record may still be replaced by one of its size. */
static void test_limits_are_of_contents(void **state)
{
    (void)state;
    enum { COUNT = 300, LEGS = 8 };
    const struct pl_book_limits tight = {COUNT, COUNT * LEGS, 1, 1};
    struct pl_book *book = new_book(&tight);
    uint64_t version = 1;
    for (uint32_t legs = 1; legs <= LEGS; legs++, version++)
        for (uint32_t i = 0; i < COUNT; i++)
            put_legs(book, i, version, legs, PL_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        put_legs(book, i, version, LEGS, PL_OK);
    put_legs(book, 0, version + 1, LEGS + 1, PL_REJECT_CAPACITY);
    put_legs(book, 1, version + 1, LEGS - 1, PL_OK);
    put_legs(book, 0, version + 1, LEGS + 1, PL_OK);
    free(book);
}

/* A record that is refused for want of room makes no account either. */
static void test_refused_record_makes_no_account(void **state)
{
    (void)state;
    const struct pl_book_limits tight = {4, 4, 1, 1};
    struct pl_book *book = new_book(&tight);
    put_legs(book, 0, 1, 5, PL_REJECT_CAPACITY);
    assert_int_equal(pl_book_count(book), 0);
    free(book);
}

/* Equal books have equal digests, in whatever order and by whatever way they came about (G2). */
static void test_digest_has_no_order(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    static struct pl_holdings last[COUNT], older;
    const struct pl_book_limits wide = {COUNT, COUNT * PL_LEGS_MAX, COUNT * PL_APPLIED_MAX, 1};
    struct pl_book *straight = new_book(&wide), *winding = new_book(&wide);
    uint32_t row, order[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        draw_holdings(&last[i], i, 10);
        order[i] = i;
        assert_int_equal(pl_book_apply_holdings(straight, &last[i], &row), PL_OK);
    }
    for (uint32_t i = COUNT; i-- > 1;) {
        uint32_t j = below(i + 1), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (uint32_t k = 0; k < COUNT; k++) {
        assert_false(pl_digest_equal(pl_book_digest(straight), pl_book_digest(winding)));
        draw_holdings(&older, order[k], 9);
        assert_int_equal(pl_book_apply_holdings(winding, &older, &row), PL_OK);
        assert_int_equal(pl_book_taint(winding, &older.account, &row), PL_OK);
        assert_int_equal(pl_book_apply_holdings(winding, &last[order[k]], &row), PL_OK);
    }
    assert_true(pl_digest_equal(pl_book_digest(straight), pl_book_digest(winding)));
    free(straight);
    free(winding);
}

static void test_account_is_small(void **state)
{
    (void)state;
    enum { COUNT = 65536, LEGS = 6 };
    const struct pl_book_limits usual = {COUNT, COUNT * 8, COUNT * 2, COUNT};
    struct pl_book *book = new_book(&usual);
    for (uint32_t i = 0; i < COUNT; i++)
        put_legs(book, i, 1, LEGS, PL_OK);
    double bytes = (double)pl_book_used_bytes(book) / COUNT;
    printf("bytes per account with %d legs: %.1f\n", LEGS, bytes);
    assert_true(bytes < 404);
    free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book_equals_model),
        cmocka_unit_test(test_limits_are_of_contents),
        cmocka_unit_test(test_refused_record_makes_no_account),
        cmocka_unit_test(test_digest_has_no_order),
        cmocka_unit_test(test_account_is_small),
    };
    return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
