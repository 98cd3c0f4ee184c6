/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brake (lib/exposure/brake.c): what a window's budget is, to the lot, and in which order accounts have
 * it when it is not enough for all. Decided as the service decides, one step after another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/cli/workspace.h"
#include "tests/support/wire.h"

enum { ACCOUNTS = 8, WINDOW_MS = 60000 };
static const int64_t NOON_MS = 1621425600000; /* a multiple of the window */
static const int64_t DEBT = -23000;           /* of 10 ETH at 2512.34, below the line: 22,700 would not be */

static struct workspace space;
static uint32_t eth;

static int open_space(void **state)
{
    struct venue_news news;
    (void)state;
    memset(&space, 0, sizeof(space));
    assert_int_equal(workspace_open(&space, 0, 1, ACCOUNTS), PL_OK);
    space.ledger.partition_count = 1;
    const struct pl_record sets = { .topic = PL_TOPIC_PARAMETERS, .key = test_key("effective"),
                                    .value = test_bytes_of(TEST_RECORD_PARAMETERS) };
    const struct pl_record mark = { .topic = PL_TOPIC_MARKS, .key = test_key("ETH"),
                                    .value = test_bytes_of(TEST_RECORD_MARKS) };
    assert_int_equal(venue_apply(&space.venue, &sets, &news), PL_OK);
    assert_int_equal(venue_apply(&space.venue, &mark, &news), PL_OK);
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, "ETH", 3), PL_OK);
    assert_true(pl_names_find(space.venue.names, &id, &eth));
    struct pl_instrument *instrument = &space.venue.parameters->instruments[eth];
    instrument->depth[0] = (struct pl_rung){ .usd_max = 10000, .discount_ppm = 5000 };
    instrument->depth_count = 1;
    instrument->price_rules.age_ms_max = INT64_MAX / 4;
    space.venue.parameters->policy.brake_window_ms = WINDOW_MS;
    space.venue.parameters->policy.brake_depth_ppm = 500000;
    space.venue.parameters->policy.revision_pause_ms = 0;
    space.venue.parameters->policy.order_overdue_ms = 0;
    return 0;
}

static int close_space(void **state)
{
    (void)state;
    workspace_close(&space);
    return 0;
}

static void hold(const char *name, int64_t lots, int64_t cash_usd)
{
    static struct pl_holdings holdings;
    uint32_t row = 0;
    memset(&holdings, 0, sizeof(holdings));
    assert_int_equal(pl_id_set(&holdings.account, name, strlen(name)), PL_OK);
    holdings.version = 1;
    holdings.leg_count = 1;
    holdings.legs[0] = (struct pl_leg){ .instrument = eth, .lots = lots, .final_lots = lots };
    holdings.cash_vu = holdings.final_cash_vu = cash_usd * (pl_i128)1000000000000;
    assert_int_equal(pl_book_apply_holdings(space.ledger.book, &holdings, &row), PL_OK);
}

/* All that is ordered of a row is filled at its limit, and shown. */
static void fill(uint32_t row)
{
    static struct pl_account_state state;
    static struct pl_holdings holdings;
    const struct pl_account *account = pl_book_at(space.ledger.book, row);
    uint32_t same = 0;
    pl_book_state(space.ledger.book, row, &state);
    memset(&holdings, 0, sizeof(holdings));
    holdings.account = account->id;
    holdings.version = account->version + 1;
    holdings.leg_count = 1;
    holdings.legs[0] = pl_book_legs(space.ledger.book, row)[0];
    holdings.cash_vu = account->cash_vu;
    for (uint32_t i = 0; i < state.pending_count; i++) {
        const struct pl_pending *pending = &state.pending[i];
        struct pl_applied *applied = &holdings.applied[holdings.applied_count++];
        memcpy(applied->order_id, pending->order_id, PL_ORDER_ID_BYTES);
        applied->cumulative = (struct pl_amount){ .mantissa = pending->ordered_lots, .exponent = -5 };
        holdings.legs[0].lots -= pending->ordered_lots - pending->applied_lots;
        holdings.cash_vu += (pl_i128)(pending->ordered_lots - pending->applied_lots) *
                            pending->limit_ticks * 100000; /* VU of a lot at one tick */
    }
    holdings.legs[0].final_lots = holdings.legs[0].lots;
    holdings.final_cash_vu = holdings.cash_vu;
    assert_int_equal(pl_book_apply_holdings(space.ledger.book, &holdings, &same), PL_OK);
    assert_int_equal(same, row);
}

/* One step. Names were held in the order of ids. */
static void step(int64_t now_ms)
{
    const struct writer writer = { .slot = "s", .build = "b", .sequence = 1 };
    uint32_t count = pl_book_count(space.ledger.book);
    workspace_begin_step(&space);
    venue_update(&space.venue, now_ms);
    for (uint32_t i = 0; i < count; i++)
        space.rows[i] = i;
    assert_int_equal(ledger_decide(&space.ledger, &space.venue, space.rows, count, &writer,
                                   &space.staging, NULL, NULL), PL_OK);
    assert_int_equal(ledger_settle(&space.ledger, space.staging.states, space.staging.state_count),
                     PL_OK);
}

/* Lots that this step ordered of a row; -1: it was not decided. */
static int64_t ordered(uint32_t row, int64_t now_ms)
{
    for (uint32_t i = 0; i < space.staging.state_count; i++) {
        const struct staged_state *staged = &space.staging.states[i];
        if (staged->budget || staged->index != row)
            continue;
        if (staged->state.pending_count == 0)
            return 0;
        const struct pl_pending *last = &staged->state.pending[staged->state.pending_count - 1];
        int64_t valid_ms = space.venue.parameters->policy.order_valid_ms;
        return last->valid_until_ms == now_ms + valid_ms ? last->ordered_lots : 0;
    }
    return -1;
}

static int64_t waits_since(uint32_t row)
{
    static struct pl_account_state state;
    pl_book_state(space.ledger.book, row, &state);
    return state.braked_ms;
}

/* Half of 10,000 USD at 0.0251234 USD a lot is 199,017.6 lots. */
enum { BUDGET = 199017 };

static void a_budget_to_the_lot(void **state)
{
    static struct pl_budget budget;
    static int64_t left[PL_INSTRUMENTS_MAX];
    struct pl_instrument *instrument = &space.venue.parameters->instruments[eth];
    (void)state;
    venue_update(&space.venue, NOON_MS + WINDOW_MS - 1);
    pl_budget_begin(space.venue.market, &budget, &budget);
    assert_int_equal(budget.window_start_ms, NOON_MS);
    pl_budget_left(space.venue.market, 1, &budget, left);
    assert_int_equal(left[eth], BUDGET);
    pl_budget_left(space.venue.market, 7, &budget, left);
    assert_int_equal(left[eth], 28431); /* 28431.08 */
    budget.used_lots[eth] = 28430;
    pl_budget_left(space.venue.market, 7, &budget, left);
    assert_int_equal(left[eth], 1);
    budget.used_lots[eth] = 28432; /* at another mark */
    pl_budget_left(space.venue.market, 7, &budget, left);
    assert_int_equal(left[eth], 0);

    /* What the venue takes at least is always in it: 30 USD are 1194.1 lots, in steps of 100. */
    budget.used_lots[eth] = 0;
    instrument->depth[0].usd_max = 1;
    instrument->min_notional_usd = 30;
    instrument->lot_step = 100;
    pl_budget_left(space.venue.market, 1, &budget, left);
    assert_int_equal(left[eth], 1200);
    instrument->depth_count = 0;
    pl_budget_left(space.venue.market, 1, &budget, left);
    assert_true(left[eth] == INT64_MAX);

    budget.used_lots[eth] = 5;
    venue_update(&space.venue, NOON_MS + WINDOW_MS);
    pl_budget_begin(space.venue.market, &budget, &budget);
    assert_int_equal(budget.window_start_ms, NOON_MS + WINDOW_MS);
    assert_int_equal(budget.used_lots[eth], 0);
}

/* 10 ETH are worth 25,123.40 and lend 22,711.55 at maintenance; b owes more than a and so comes first. c,
 * whose loss is the largest of all, comes a window later, and last. */
static void who_waits_longest_comes_first(void **state)
{
    enum { A, B, C };
    const int64_t first_ms = NOON_MS + 1000, second_ms = NOON_MS + WINDOW_MS, third_ms = second_ms + 1000;
    (void)state;
    hold("a", 1000000, DEBT);
    hold("b", 1000000, DEBT - 400);
    step(first_ms);
    assert_int_equal(ordered(B, first_ms), BUDGET);
    assert_int_equal(ordered(A, first_ms), 0);
    assert_int_equal(waits_since(A), first_ms);
    assert_int_equal(waits_since(B), first_ms);
    assert_int_equal(space.staging.states[0].index, B);
    assert_int_equal(pl_book_budget(space.ledger.book)->used_lots[eth], BUDGET);
    assert_int_equal(pl_book_budget(space.ledger.book)->window_start_ms, NOON_MS);

    hold("c", 1000000, DEBT - 900);
    step(first_ms + 1000); /* the same window: b asks for the rest, c begins to wait, and a has to */
    assert_int_equal(ordered(A, first_ms + 1000), -1);
    assert_int_equal(ordered(B, first_ms + 1000), 0);
    assert_int_equal(ordered(C, first_ms + 1000), 0);
    assert_int_equal(waits_since(C), first_ms + 1000);
    assert_int_equal(space.staging.output_count, 3); /* an alert and two states, and no budget */
    step(first_ms + 2000);
    assert_int_equal(space.staging.state_count, 0);

    fill(B);
    step(second_ms); /* a and b have waited as long; a's loss is the larger now, c's the largest */
    assert_int_equal(ordered(A, second_ms), BUDGET);
    assert_int_equal(ordered(B, second_ms), 0);
    assert_int_equal(ordered(C, second_ms), 0);
    assert_int_equal(space.staging.states[2].index, C);
    assert_int_equal(waits_since(B), first_ms);

    step(third_ms); /* still the second window; what a has in flight lifts it above maintenance */
    assert_int_equal(space.staging.state_count, 0);
}

/* Two wait for the end of a window of an hour. With one of a minute the first is sold at once, with no brake
 * the other, too; and an hour that becomes two has used what it has used. */
static void another_policy_releases_who_waits(void **state)
{
    enum { A, B, HOUR_MS = 3600000 };
    static struct pl_budget last, budget;
    struct pl_policy *policy = &space.venue.parameters->policy;
    (void)state;
    policy->brake_window_ms = HOUR_MS;
    hold("a", 1000000, DEBT);
    hold("b", 1000000, DEBT - 400);
    step(NOON_MS + 1000);
    assert_int_equal(ordered(B, NOON_MS + 1000), BUDGET);
    assert_int_equal(ordered(A, NOON_MS + 1000), 0);
    fill(B);
    step(NOON_MS + 2000); /* b's rest waits, too */
    step(NOON_MS + 700000);
    assert_true(ordered(A, NOON_MS + 700000) <= 0 && ordered(B, NOON_MS + 700000) <= 0);
    policy->brake_window_ms = 60000;
    step(NOON_MS + 701000);
    assert_int_equal(ordered(A, NOON_MS + 701000) + ordered(B, NOON_MS + 701000), BUDGET);
    fill(A);
    fill(B);
    step(NOON_MS + 703000);
    assert_int_equal(ordered(B, NOON_MS + 703000), -1); /* until its end */
    policy->brake_window_ms = 0;
    uint32_t *rank = &space.venue.parameters->instruments[eth].sale_rank;
    *rank = 0; /* never sold: b waits for no window either */
    step(NOON_MS + 704000);
    assert_int_equal(ordered(B, NOON_MS + 704000), 0);
    *rank = 1;
    step(NOON_MS + 706000);
    assert_true(ordered(B, NOON_MS + 706000) > 0);
    assert_int_equal(waits_since(B), 0);

    last.window_start_ms = NOON_MS + HOUR_MS;
    last.used_lots[eth] = 5;
    venue_update(&space.venue, NOON_MS + HOUR_MS + 600000);
    policy->brake_window_ms = 2 * HOUR_MS;
    pl_budget_begin(space.venue.market, &last, &budget);
    assert_int_equal(budget.window_start_ms, NOON_MS);
    assert_int_equal(budget.used_lots[eth], 5);
    policy->brake_window_ms = HOUR_MS / 6;
    pl_budget_begin(space.venue.market, &last, &budget);
    assert_int_equal(budget.window_start_ms, NOON_MS + HOUR_MS + 600000);
    assert_int_equal(budget.used_lots[eth], 0);
}

/* As long as nobody else comes, what all need is sold in as many windows as it takes and no more, and
 * each window is used up until then. */
static void nobody_starves(void **state)
{
    int64_t sold[ACCOUNTS] = { 0 }, total = 0, now_ms = NOON_MS;
    (void)state;
    static const char *const names[ACCOUNTS] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    for (int i = 0; i < ACCOUNTS; i++)
        hold(names[i], 1000000, DEBT - 37 * ((i * 5) % ACCOUNTS));
    for (int window = 0; window < 64; window++, now_ms += WINDOW_MS) {
        int64_t before = total;
        step(now_ms);
        for (uint32_t i = 0; i < ACCOUNTS; i++) {
            int64_t lots = ordered(i, now_ms);
            sold[i] += lots > 0 ? lots : 0;
            total += lots > 0 ? lots : 0;
        }
        assert_true(total - before <= BUDGET);
        bool is_waiting = false;
        for (uint32_t i = 0; i < ACCOUNTS; i++) {
            is_waiting |= waits_since(i) > 0;
            fill(i);
        }
        if (is_waiting)
            assert_true(total - before == BUDGET);
        else if (window > 0)
            break;
    }
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        assert_int_equal(waits_since(i), 0);
        assert_true(sold[i] > 0);
    }
    assert_true((now_ms - NOON_MS) / WINDOW_MS == total / BUDGET);
}

/* What is written is read again as it was, by another process with other numbers for the names. */
static void a_budget_goes_there_and_back(void **state)
{
    static struct pl_budget budget, back;
    static struct pl_names others;
    struct pl_bytes_view value, again;
    struct pl_id id;
    uint32_t zebra = 0, other_eth = 0;
    (void)state;
    assert_int_equal(pl_id_set(&id, "AARDVARK", 8), PL_OK);
    assert_int_equal(pl_names_intern(space.venue.names, &id, &zebra), PL_OK);
    budget = (struct pl_budget){ .window_start_ms = NOON_MS };
    budget.used_lots[eth] = 7;
    budget.used_lots[zebra] = INT64_MAX;
    assert_int_equal(pl_wire_budget_encode(space.venue.wire, space.venue.names, &budget, &value), PL_OK);
    pl_names_init(&others);
    assert_int_equal(pl_wire_budget_decode(space.venue.wire, &others, value, &back), PL_OK);
    assert_true(pl_names_find(&others, &id, &zebra));
    assert_int_equal(zebra, 0); /* by id */
    assert_int_equal(pl_id_set(&id, "ETH", 3), PL_OK);
    assert_true(pl_names_find(&others, &id, &other_eth));
    assert_int_equal(back.used_lots[other_eth], 7);
    assert_true(back.used_lots[zebra] == INT64_MAX);
    assert_int_equal(back.window_start_ms, NOON_MS);
    assert_int_equal(pl_wire_budget_encode(space.venue.wire, &others, &back, &again), PL_OK);
    assert_int_equal(again.size_bytes, value.size_bytes);
    assert_memory_equal(again.data, value.data, value.size_bytes);
    assert_true(pl_wire_is_budget(test_key("~budget")));
    assert_false(pl_wire_is_budget(test_key("~budge")));
    assert_int_equal(pl_wire_budget_decode(space.venue.wire, &others,
                                           test_bytes_of(TEST_RECORD_ACCOUNTS), &back),
                     PL_REJECT_MISSING);
}

#define IN_SPACE(test) cmocka_unit_test_setup_teardown(test, open_space, close_space)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SPACE(a_budget_to_the_lot),
        IN_SPACE(who_waits_longest_comes_first),
        IN_SPACE(another_policy_releases_who_waits),
        IN_SPACE(nobody_starves),
        IN_SPACE(a_budget_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
