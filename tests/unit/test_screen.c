/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search misses nobody (G3): random books under random parameter sets live through price moves,
 * bad marks, fills, gaps, halts and time; at every step every account is decided, and whoever a
 * decision changes must be among the candidates, which are distinct and ascend by id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/build.h"
#include "tests/support/world.h"

enum { ACCOUNTS = 24, WORLDS = 160, STEPS = 60, STATES = 6, KINDS = PL_ALERT_BAD_DEBT + 1, LEGS = 10 };

static struct world world;
static struct pl_book *book;
static struct pl_decision decision;
static uint64_t orders_named;
static bool is_halted;

static struct account {
    struct pl_holdings holdings;
    uint32_t row;
    bool is_touched;
    uint32_t report_count;
    struct pl_execution reports[4];
} accounts[ACCOUNTS];

static struct {
    uint64_t decisions, candidates, changes, sales, in_state[STATES], alerts[KINDS], held_back;
} met;

/* ---- a book --------------------------------------------------------------------------------- */

static void publish(struct account *account)
{
    account->holdings.version++;
    account->holdings.event_time_ms = world.now_ms;
    account->holdings.digest.low = account->holdings.version;
    assert_int_equal(pl_book_apply_holdings(book, &account->holdings, &account->row), PL_OK);
    account->is_touched = true;
}

/* A portfolio of the world, near one of the lines, with some of it open at times. */
static void draw(struct account *account)
{
    world_hold(&world);
    while (world.portfolio.leg_count > LEGS || pl_abs(world.portfolio.cash_vu) > PL_VALUE_VU_MAX)
        world_hold(&world);
    if (world_chance(&world, 2))
        world_level(&world, (enum pl_tier)world_below(&world, PL_TIER_COUNT),
                    world_between(&world, -1, 1) * world_magnitude(&world, 46));
    if (world_chance(&world, 4)) world_open(&world);
    struct pl_holdings *holdings = &account->holdings;
    holdings->leg_count = world.portfolio.leg_count;
    memcpy(holdings->legs, world.legs, holdings->leg_count * sizeof world.legs[0]);
    for (uint32_t i = 0; i < holdings->leg_count; i++)
        holdings->legs[i].settles_by_time = world_chance(&world, 4);
    holdings->cash_vu = world.portfolio.cash_vu;
    holdings->final_cash_vu = world.portfolio.final_cash_vu;
    holdings->has_gap = world_chance(&world, 24);
}

/* Margin calls with and without an interval and a grace. */
static void draw_calls(void)
{
    struct pl_policy *policy = &world.parameters.policy;
    policy->call_interval_ms_min = world_chance(&world, 3) ? 0 : world_between(&world, 1, 20000);
    policy->grace_ms = world_chance(&world, 3) ? 0 : world_between(&world, 1, 8000);
}

static void begin_world(uint64_t seed)
{
    static const struct pl_book_limits limits = {ACCOUNTS, ACCOUNTS * PL_LEGS_MAX,
                                                 ACCOUNTS * PL_APPLIED_MAX, ACCOUNTS};
    static void *block;
    size_t size_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    if (!block) block = aligned_alloc(64, size_bytes);
    memset(block, 0, size_bytes);
    memset(accounts, 0, sizeof accounts);
    book = pl_book_init(block, &limits);
    is_halted = false;
    world.options = (struct world_options){.instrument_count_max = LEGS};
    world_begin(&world, seed);
    world.parameters.policy.order_valid_ms = 2000;
    world.parameters.policy.order_overdue_ms = 3000;
    world.parameters.policy.revision_pause_ms = 500;
    world.parameters.policy.restricted_hold_ms = 4000;
    draw_calls();
    world_mark(&world);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "%u", i * 37 % 101);
        assert_int_equal(pl_id_set(&accounts[i].holdings.account, text, (size_t)length), PL_OK);
        draw(&accounts[i]);
        publish(&accounts[i]);
    }
}

/* Deposits, withdrawals, and news of what is final: what no mark is needed for. */
static void amend(struct account *account)
{
    struct pl_holdings *holdings = &account->holdings;
    pl_i128 moved = (pl_i128)world_magnitude(&world, 60) * world_between(&world, -1, 1);
    holdings->cash_vu += moved;
    holdings->final_cash_vu += moved;
    if (world_chance(&world, 2)) holdings->cash_vu = holdings->final_cash_vu;
    for (uint32_t i = 0; i < holdings->leg_count; i++) {
        struct pl_leg *leg = &holdings->legs[i];
        if (world_chance(&world, 4)) leg->lots /= world_between(&world, 2, 9);
        if (world_chance(&world, 2) || leg->lots > leg->final_lots) leg->final_lots = leg->lots;
    }
    if (holdings->leg_count > 1 && world_chance(&world, 4)) holdings->leg_count--;
    holdings->has_gap = world_chance(&world, 12);
    publish(account);
}

/* ---- what happens --------------------------------------------------------------------------- */

/* Moves one mark a little or far, ends its status, or restates it. */
static void move_mark(void)
{
    static const int64_t WIDTHS[] = {200, 5000, 100000, 600000};
    uint32_t index = world.instruments[world_below(&world, world.instrument_count)];
    struct pl_mark *mark = &world.marks[index];
    if (mark->status == PL_MARK_NONE) return;
    int64_t width = WIDTHS[world_below(&world, 4)];
    int64_t ppm = PL_PPM + world_between(&world, -width, width);
    pl_i128 moved = (pl_i128)mark->mantissa * ppm / PL_PPM;
    if (moved > 0 && moved < INT64_MAX / 16)
        mark->mantissa = mark->low_mantissa = mark->high_mantissa = (int64_t)moved;
    mark->status = world_chance(&world, 12)
        ? (world_chance(&world, 2) ? PL_MARK_STALE : PL_MARK_HALTED) : PL_MARK_LIVE;
    mark->event_time_ms = world.now_ms;
}

static void report(struct account *account, const struct pl_pending *pending)
{
    if (account->report_count == 4) return;
    int64_t lots = pending->ordered_lots;
    if (world_chance(&world, 2)) lots = world_between(&world, 0, lots);
    struct pl_execution *execution = &account->reports[account->report_count++];
    *execution = (struct pl_execution){.is_terminal = world_chance(&world, 2),
                                       .cumulative_mantissa = lots,
                                       .cumulative_exponent = -(int32_t)pending->lot_decimals,
                                       .event_time_ms = world.now_ms};
    memcpy(execution->order_id, pending->order_id, PL_ORDER_ID_BYTES);
    account->is_touched = true;
}

/* Holdings that show what was executed of an order. */
static void show(struct account *account, const struct pl_pending *pending)
{
    struct pl_holdings *holdings = &account->holdings;
    int64_t lots = pending->executed_lots - pending->applied_lots;
    for (uint32_t i = 0; i < holdings->leg_count && lots > 0; i++) {
        struct pl_leg *leg = &holdings->legs[i];
        if (leg->instrument != pending->instrument) continue;
        int64_t sign = pending->side == PL_SIDE_SELL ? 1 : -1;
        pl_i128 paid = (pl_i128)lots * world.market.quotes[leg->instrument].lot_vu * sign;
        leg->lots -= sign * lots;
        leg->final_lots -= sign * lots;
        holdings->cash_vu += paid;
        holdings->final_cash_vu += paid;
    }
    if (holdings->applied_count == PL_APPLIED_MAX) holdings->applied_count = 0;
    struct pl_applied *applied = &holdings->applied[holdings->applied_count++];
    memcpy(applied->order_id, pending->order_id, PL_ORDER_ID_BYTES);
    applied->cumulative = (struct pl_amount){.mantissa = pending->executed_lots,
                                             .exponent = -(int32_t)pending->lot_decimals};
    publish(account);
}

static void disturb(struct account *account)
{
    struct pl_account_state state;
    pl_book_state(book, account->row, &state);
    if (state.pending_count > 0 && world_chance(&world, 3)) {
        const struct pl_pending *pending =
            &state.pending[world_below(&world, state.pending_count)];
        if (world_chance(&world, 2)) report(account, pending);
        else show(account, pending);
    }
    if (world_chance(&world, 60)) amend(account);
    if (world_chance(&world, 120)) {
        assert_int_equal(pl_book_taint(book, &account->holdings.account, &account->row), PL_OK);
        account->is_touched = true;
    }
}

static void happen(void)
{
    world.now_ms += world_chance(&world, 8) ? world_between(&world, 0, 6000)
                                            : world_between(&world, 0, 700);
    for (uint64_t moves = world_below(&world, 3); moves > 0; moves--)
        move_mark();
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        disturb(&accounts[i]);
    if (world_chance(&world, 16)) is_halted = !is_halted;
    if (world_chance(&world, 80)) {
        world.parameters.policy.alert_hysteresis_ppm = (int32_t)world_below(&world, 50000);
        draw_calls();
        world.parameters.epoch++;
    }
    pl_market_update(&world.market, &world.parameters, world.marks, world.now_ms);
}

/* ---- every account is decided --------------------------------------------------------------- */

static void commit(struct account *account)
{
    static const uint8_t none[PL_ORDER_ID_BYTES];
    for (uint32_t i = 0; i < decision.state.pending_count; i++) {
        uint8_t *order_id = decision.state.pending[i].order_id;
        if (memcmp(order_id, none, sizeof none) != 0) continue;
        orders_named++;
        memcpy(order_id, &orders_named, sizeof orders_named);
    }
    assert_int_equal(pl_book_set_state(book, account->row, &decision.state, (struct pl_digest){0}),
                     PL_OK);
}

static void count(void)
{
    met.changes++;
    met.sales += decision.has_sale;
    met.in_state[decision.state.state]++;
    const struct pl_account_state *state = &decision.state;
    met.held_back += state->told_count > 0 &&
                     state->told[state->told_count - 1].state != state->state;
    for (uint32_t i = 0; i < decision.alert_count; i++)
        met.alerts[decision.alerts[i].kind]++;
}

static void decide(struct account *account, bool is_candidate)
{
    static struct pl_account_state committed, prior;
    pl_book_state(book, account->row, &committed);
    prior = committed;
    for (uint32_t i = 0; i < account->report_count; i++)
        (void)pl_state_apply_execution(&prior, &account->reports[i]);
    pl_decide(&world.market, &world.names, book, account->row, &committed, &prior, is_halted,
              &decision);
    met.decisions++;
    account->report_count = 0;
    account->is_touched = false;
    if (!decision.has_changed) return;
    if (!is_candidate)
        fail_msg("seed=%llu: account %s goes from state %d with %u doubts to %d with %u, unsought",
                 (unsigned long long)world.seed, account->holdings.account.text, committed.state,
                 committed.doubt_count, decision.state.state, decision.state.doubt_count);
    count();
    commit(account);
}

static void step(void)
{
    uint32_t touched[2 * ACCOUNTS], candidates[ACCOUNTS], touched_count = 0;
    uint8_t marks[ACCOUNTS] = {0};
    static const uint8_t unmarked[ACCOUNTS];
    bool is_candidate[ACCOUNTS] = {false};
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        if (accounts[i].is_touched)
            for (int times = world_chance(&world, 4) ? 2 : 1; times > 0; times--)
                touched[touched_count++] = accounts[i].row;
    uint32_t found = pl_screen(&world.market, book, touched, touched_count, candidates, marks);
    assert_memory_equal(marks, unmarked, sizeof marks);
    for (uint32_t i = 0; i < found; i++) {
        is_candidate[candidates[i]] = true;
        if (i > 0)
            assert_true(pl_id_compare(&pl_book_at(book, candidates[i - 1])->id,
                                      &pl_book_at(book, candidates[i])->id) < 0);
    }
    met.candidates += found;
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        decide(&accounts[i], is_candidate[accounts[i].row]);
}

static void test_search_misses_nobody(void **state)
{
    (void)state;
    struct test_random random = test_random_start(20260302);
    uint64_t worlds = world_runs(WORLDS);
    for (uint64_t w = 0; w < worlds; w++) {
        begin_world(w == 0 ? random.state : test_random_u64(&random));
        step();
        for (uint32_t i = 0; i < STEPS; i++) {
            happen();
            step();
        }
    }
    printf("steps %llu, decisions %llu, candidates %llu, changes %llu, sales %llu\n",
           (unsigned long long)(worlds * (STEPS + 1)), (unsigned long long)met.decisions,
           (unsigned long long)met.candidates, (unsigned long long)met.changes,
           (unsigned long long)met.sales);
    for (uint32_t s = 1; s < STATES; s++) {
        printf("state %u: %llu\n", s, (unsigned long long)met.in_state[s]);
        assert_true(met.in_state[s] > 0);
    }
    for (uint32_t kind = 1; kind < KINDS; kind++) {
        printf("alert %u: %llu\n", kind, (unsigned long long)met.alerts[kind]);
        assert_true(met.alerts[kind] > 0);
    }
    printf("held back %llu\n", (unsigned long long)met.held_back);
    assert_true(met.held_back > 0 && met.sales > 0 && met.candidates < met.decisions);
}

/* A step in which nothing changed asks for nobody; one in which all may have changes for those that
 * are not whole, the ones without legs as well. */
static void test_nothing_and_everything(void **state)
{
    (void)state;
    uint32_t candidates[ACCOUNTS];
    uint8_t marks[ACCOUNTS] = {0};
    begin_world(7);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        accounts[i].holdings.leg_count = 0;
        accounts[i].holdings.has_gap = false;
        accounts[i].holdings.cash_vu = accounts[i].holdings.final_cash_vu = i % 2 ? 1 : -1;
        publish(&accounts[i]);
    }
    world.market.changed_mask = 0;
    assert_int_equal(pl_screen(&world.market, book, NULL, 0, candidates, marks), 0);
    world.market.changed_mask = UINT64_MAX;
    assert_int_equal(pl_screen(&world.market, book, NULL, 0, candidates, marks), ACCOUNTS / 2);
    for (uint32_t i = 0; i < ACCOUNTS / 2; i++)
        assert_true(pl_book_at(book, candidates[i])->cash_vu < 0);
}

/* Whoever is not known to be whole is asked for when all may have changed, whatever the numbers
 * say. */
static void test_unknown_is_not_whole(void **state)
{
    (void)state;
    static const struct pl_book_limits limits = {4, 8, 1, 1};
    size_t size_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    void *block = aligned_alloc(64, size_bytes);
    memset(block, 0, size_bytes);
    struct pl_book *small = pl_book_init(block, &limits);
    struct pl_holdings holdings = {.version = 1, .cash_vu = 5, .final_cash_vu = 5};
    uint32_t candidates[4], row;
    uint8_t marks[4] = {0};
    begin_world(8);
    assert_int_equal(pl_id_set(&holdings.account, "whole", 5), PL_OK);
    assert_int_equal(pl_book_apply_holdings(small, &holdings, &row), PL_OK);
    assert_int_equal(pl_id_set(&holdings.account, "gap", 3), PL_OK);
    holdings.has_gap = true;
    assert_int_equal(pl_book_apply_holdings(small, &holdings, &row), PL_OK);
    assert_int_equal(pl_id_set(&holdings.account, "none", 4), PL_OK);
    assert_int_equal(pl_book_account(small, &holdings.account, &row), PL_OK);
    assert_int_equal(pl_id_set(&holdings.account, "tainted", 7), PL_OK);
    assert_int_equal(pl_book_taint(small, &holdings.account, &row), PL_OK);
    world.market.changed_mask = UINT64_MAX;
    assert_int_equal(pl_screen(&world.market, small, NULL, 0, candidates, marks), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(candidates[i], i + 1); /* gap, none, tainted */
    free(block);
}

/* Of 4096 instruments the 64 bits tell each other apart by their number modulo 64. */
static void test_mask_has_64_bits(void **state)
{
    (void)state;
    uint32_t candidates[ACCOUNTS];
    uint8_t marks[ACCOUNTS] = {0};
    begin_world(9);
    for (uint32_t i = 0; i < ACCOUNTS; i++) { /* debts that nobody can value */
        accounts[i].holdings.leg_count = 1;
        accounts[i].holdings.legs[0] =
            (struct pl_leg){.instrument = 64 * 20 + 41 + i, .lots = -1, .final_lots = -1};
        publish(&accounts[i]);
    }
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        world.market.changed_mask = (uint64_t)1 << ((41 + i) % 64);
        assert_int_equal(pl_screen(&world.market, book, NULL, 0, candidates, marks), 1);
        assert_int_equal(candidates[0], accounts[i].row);
    }
}

/*
 * A bound may be looser at maintenance than at the alert tier: a short with a bad mark whose factor
 * load is above its own weight at maintenance only. The account hedges a long of 200 with it; at
 * the alert tier the bound is exact at the worst price (own -300, factor 0), at maintenance it
 * takes own and factor each at their worst (-200, -240). The decision doubts, so the search has to
 * find it.
 */
static void test_loose_bound_of_maintenance(void **state)
{
    (void)state;
    static struct build build;
    static const struct pl_book_limits limits = {1, 8, 1, 1};
    size_t size_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    void *block = aligned_alloc(64, size_bytes);
    memset(block, 0, size_bytes);
    struct pl_book *small = pl_book_init(block, &limits);
    build_init(&build);
    uint32_t factor = build_factor(&build, "market"), candidate, row;
    uint32_t longs = build_instrument(&build, "LONG", PL_INSTRUMENT_PERP, 2, 2);
    uint32_t shorts = build_instrument(&build, "SHORT", PL_INSTRUMENT_PERP, 2, 2);
    build_load(&build, longs, factor, build_flat(1200000));
    build_load(&build, shorts, factor, build_flat(1200000));
    build_haircuts(&build, shorts, build_flat(0), build_tiers(500000, 0, 0, 0));
    build_finish(&build);
    build_price(&build, longs, 20000);
    build_price(&build, shorts, 10000);
    build_update(&build);
    struct pl_holdings holdings = {
        .version = 1, .leg_count = 2, .legs = {build_leg(longs, 100), build_leg(shorts, -100)},
        .cash_vu = 150 * BUILD_USD, .final_cash_vu = 150 * BUILD_USD};
    assert_int_equal(pl_id_set(&holdings.account, "hedged", 6), PL_OK);
    assert_int_equal(pl_book_apply_holdings(small, &holdings, &row), PL_OK);
    build_status(&build, shorts, PL_MARK_STALE);
    build_update(&build);
    struct pl_account_state none;
    uint8_t mark = 0;
    pl_book_state(small, row, &none);
    pl_decide(&build.market, &build.names, small, row, &none, &none, false, &decision);
    assert_true(decision.verdict.excess[PL_TIER_ALERT].low >= 0);
    assert_true(decision.verdict.excess[PL_TIER_MAINTENANCE].low < 0);
    assert_true(decision.has_changed);
    assert_int_equal(pl_screen(&build.market, small, NULL, 0, &candidate, &mark), 1);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search_misses_nobody),
        cmocka_unit_test(test_nothing_and_everything),
        cmocka_unit_test(test_unknown_is_not_whole),
        cmocka_unit_test(test_mask_has_64_bits),
        cmocka_unit_test(test_loose_bound_of_maintenance),
    };
    return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
