/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions through time. Each scenario moves a price, holdings, reports or the clock and compares
 * one line that says all that was decided: state, episode.revision, doubts, alerts, sale, orders in
 * flight.
 *
 * The account: 10 ETH (1000 lots of 0.01) and 15000 USD of debt. With haircuts of 30, 25, 20 and 10
 * % its lines are at a price of 2142.86 (alert; 2173.92 to leave it), 2000 (initial), 1875 (end)
 * and 1666.67 (maintenance). A sale is limited at 1 % below the mark.
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

static struct build build;
static struct pl_book *book;
static struct pl_holdings holdings;
static struct pl_decision decision;
static struct pl_execution reports[8];
static uint32_t row, eth, btc, report_count;
static uint64_t orders_named;
static bool is_halted, is_touched;

/* ---- scene ---------------------------------------------------------------------------------- */

static void hold(uint32_t instrument, int64_t lots)
{
    uint32_t i = 0;
    while (i < holdings.leg_count && holdings.legs[i].instrument != instrument)
        i++;
    if (i == holdings.leg_count) holdings.leg_count++;
    bool settles_by_time = holdings.legs[i].settles_by_time;
    holdings.legs[i] = build_leg(instrument, lots);
    holdings.legs[i].settles_by_time = settles_by_time;
}

static void hold_cash(double usd)
{
    holdings.cash_vu = holdings.final_cash_vu = (pl_i128)(usd * 100 + (usd < 0 ? -.5 : .5)) *
                                                (BUILD_USD / 100);
}

static void publish(void)
{
    holdings.version++;
    holdings.event_time_ms = build.now_ms;
    assert_int_equal(pl_book_apply_holdings(book, &holdings, &row), PL_OK);
    is_touched = true;
}

static void price(uint32_t instrument, double usd)
{
    build_price(&build, instrument, (int64_t)(usd * 100 + .5));
}

static void wait_ms(int64_t ms)
{
    build.now_ms += ms;
    for (uint32_t i = 0; i < 2; i++)
        build.marks[i].event_time_ms = build.now_ms;
}

static int begin(void **state)
{
    static const struct pl_book_limits limits = {4, 32, 64, 4};
    size_t size_bytes = (pl_book_bytes(&limits) + 63) & ~(size_t)63;
    void *block = aligned_alloc(64, size_bytes);
    (void)state;
    memset(block, 0, size_bytes);
    book = pl_book_init(block, &limits);
    build_init(&build);
    eth = build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 2, 2);
    btc = build_instrument(&build, "BTC", PL_INSTRUMENT_SPOT, 2, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct pl_tier_ppm tiers = build_tiers(300000, 250000, 200000, 100000);
        build_haircuts(&build, i, tiers, tiers);
        build_sellable(&build, i, 10000);
    }
    build_finish(&build);
    memset(&holdings, 0, sizeof holdings);
    assert_int_equal(pl_id_set(&holdings.account, "alice", 5), PL_OK);
    is_halted = is_touched = false;
    report_count = 0;
    orders_named = 0;
    price(eth, 2200);
    price(btc, 30000);
    hold(eth, 1000);
    hold_cash(-15000);
    publish();
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(book);
    return 0;
}

/* An answer about the order of that number, the first being 1. */
static void report(uint64_t order, int64_t lots, bool is_terminal)
{
    struct pl_execution *execution = &reports[report_count++];
    *execution = (struct pl_execution){.account = holdings.account, .is_terminal = is_terminal,
                                       .cumulative_mantissa = lots, .cumulative_exponent = -2,
                                       .event_time_ms = build.now_ms};
    memcpy(execution->order_id, &order, sizeof order);
    is_touched = true;
}

/* Holdings that show so much of an order. */
static void show(uint64_t order, int64_t lots)
{
    struct pl_applied *applied = &holdings.applied[order - 1];
    if (holdings.applied_count < order) holdings.applied_count = (uint32_t)order;
    memcpy(applied->order_id, &order, sizeof order);
    applied->cumulative = (struct pl_amount){.mantissa = lots, .exponent = -2};
}

/* ---- one line ------------------------------------------------------------------------------- */

static char line[1024];

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
}

static const char *name_of(uint32_t instrument)
{
    return instrument == UINT32_MAX ? "account" : build.names.ids[instrument].text;
}

static const char *const states[] = {"?", "ok", "alert", "restricted", "liquidating", "bankrupt"};

static void say_alerts(void)
{
    static const char *const kinds[] = {"?", "state", "uncertain", "certain", "overdue", "range",
                                        "expired", "debt"};
    for (uint32_t i = 0; i < decision.alert_count; i++) {
        const struct pl_alert *alert = &decision.alerts[i];
        if (alert->kind != PL_ALERT_STATE) say(" !%s", kinds[alert->kind]);
        else say(" !%s>%s", states[alert->left], states[alert->entered]);
        if (alert->kind == PL_ALERT_ORDER_OVERDUE) say("(%u)", alert->order_id[0]);
    }
}

static void say_orders(const struct pl_account_state *state)
{
    static const char *const progresses[] = {"?", "open", "working", "over", "overdue"};
    for (uint32_t i = 0; decision.has_sale && i < decision.sale.leg_count; i++) {
        const struct pl_sale_leg *leg = &decision.sale.legs[i];
        say(" %s %lld %s@%lld", leg->side == PL_SIDE_SELL ? "sell" : "buy", (long long)leg->lots,
            name_of(leg->instrument), (long long)leg->limit_ticks);
    }
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct pl_pending *pending = &state->pending[i];
        say(" [%lld/%lld/%lld %s]", (long long)pending->ordered_lots,
            (long long)pending->executed_lots, (long long)pending->applied_lots,
            progresses[pending->progress]);
    }
}

static void say_decision(void)
{
    static const char *const reasons[] = {"?", "no mark", "stale", "halted", "unlisted", "unfinal",
                                          "gap", "tainted", "overdue", "range"};
    const struct pl_account_state *state = &decision.state;
    line[0] = '\0';
    if (!decision.has_changed) {
        assert_int_equal(decision.alert_count, 0);
        assert_false(decision.has_sale);
        say("-");
        return;
    }
    say("%s", states[state->state]);
    if (state->state >= PL_STATE_LIQUIDATING)
        say(" %llu.%u", (unsigned long long)state->episode, state->revision);
    for (uint32_t i = 0; i < state->doubt_count; i++)
        say(" ?%s:%s", name_of(state->doubts[i].instrument), reasons[state->doubts[i].reason]);
    say_alerts();
    say_orders(state);
}

/* ---- step ----------------------------------------------------------------------------------- */

/* The search must have found whoever a decision changes (G3). */
static void check_search(void)
{
    uint32_t candidates[4];
    uint8_t marks[4] = {0};
    uint32_t count = pl_screen(&build.market, book, &row, is_touched, candidates, marks);
    assert_true(!decision.has_changed || (count == 1 && candidates[0] == row));
    is_touched = false;
}

static void name_orders(struct pl_account_state *state)
{
    static const uint8_t none[PL_ORDER_ID_BYTES];
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (memcmp(state->pending[i].order_id, none, sizeof none) == 0) {
            orders_named++;
            memcpy(state->pending[i].order_id, &orders_named, sizeof orders_named);
        }
}

static void expect_at(int source_line, const char *expected)
{
    static struct pl_account_state committed, prior;
    build_update(&build);
    pl_book_state(book, row, &committed);
    prior = committed;
    for (uint32_t i = 0; i < report_count; i++)
        (void)pl_state_apply_execution(&prior, &reports[i]);
    report_count = 0;
    pl_decide(&build.market, &build.names, book, row, &committed, &prior, is_halted, &decision);
    check_search();
    assert_int_equal(decision.state.version, committed.version + decision.has_changed);
    say_decision();
    if (strcmp(line, expected) != 0)
        fail_msg("line %d:\n expected %s\n      got %s", source_line, expected, line);
    name_orders(&decision.state);
    assert_int_equal(pl_book_set_state(book, row, &decision.state, (struct pl_digest){0}), PL_OK);
}

#define expect(expected) expect_at(__LINE__, expected)

/* Opens an episode: at 1600 the end tier lacks 2200, a lot gives 3.04, so 724 lots do. */
static void fall(void)
{
    price(eth, 1600);
    expect("liquidating 1.1 !ok>liquidating sell 724 ETH@158400 [724/0/0 open]");
}

/* What the present committed state leaves to be evaluated. */
static struct pl_portfolio effective(void)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    struct pl_account_state committed;
    pl_book_state(book, row, &committed);
    pl_effective_portfolio(book, row, &committed, &build.market, legs, &portfolio);
    assert_true(portfolio.cash_vu <= portfolio.final_cash_vu);
    return portfolio;
}

/* ---- scenarios ------------------------------------------------------------------------------ */

/* Crossing every line, sold, filled in parts, sold again for the rest, cured, and back to rest. */
static void test_life_of_an_episode(void **state)
{
    (void)state;
    expect("-");
    price(eth, 2100);
    expect("alert !ok>alert");
    price(eth, 1950);
    expect("restricted !alert>restricted");
    wait_ms(500);
    price(eth, 1600);
    expect("liquidating 1.1 !restricted>liquidating sell 724 ETH@158400 [724/0/0 open]");
    assert_int_equal(decision.alerts[0].since_ms, build.now_ms - 500);
    assert_int_equal(decision.state.since_ms, build.now_ms);
    assert_int_equal(decision.state.revision_after_ms, build.now_ms + 1000);
    assert_int_equal(decision.state.pending[0].valid_until_ms, build.now_ms + 5000);
    assert_int_equal(decision.state.pending[0].limit_exponent, -2);
    expect("-");
    report(1, 0, false);
    expect("liquidating 1.1 [724/0/0 working]");
    report(1, 300, false);
    expect("liquidating 1.1 [724/300/0 working]");
    hold(eth, 700);
    hold_cash(-10230);
    show(1, 300);
    publish();
    expect("liquidating 1.1 [724/300/300 working]");
    holdings.applied_count = 0; /* they remember so many orders only */
    publish();
    expect("-");
    show(1, 200); /* what was once shown stays noted */
    publish();
    expect("-");
    wait_ms(1200);
    report(1, 500, true);
    expect("liquidating 1.1 [724/500/300 over]");
    hold(eth, 500); /* 5 ETH at 1280 are 6400: 650 are lacking, 214 lots */
    hold_cash(-7050);
    show(1, 500);
    publish();
    expect("liquidating 1.2 sell 214 ETH@158400 [214/0/0 open]");
    report(2, 214, true);
    hold(eth, 286);
    hold_cash(-3647.40);
    show(2, 214);
    publish();
    expect("restricted !liquidating>restricted");
    price(eth, 1800); /* initial is whole from 1700.42 on */
    expect("restricted");
    wait_ms(59999);
    expect("-");
    wait_ms(1);
    expect("alert !restricted>alert");
    price(eth, 2000);
    expect("ok !alert>ok");
    assert_int_equal(decision.state.episode, 1);
    price(eth, 1300); /* 2974.40 - 3647.40 at the end tier, 2.47 a lot */
    expect("liquidating 2.1 !ok>liquidating sell 273 ETH@128700 [273/0/0 open]");
}

/* On a line is above it, one tick below is below. */
static void test_equality_is_safe(void **state)
{
    (void)state;
    price(eth, 2142.86);
    expect("-");
    price(eth, 2142.85);
    expect("alert !ok>alert");
    price(eth, 2000);
    expect("-");
    price(eth, 1999.99);
    expect("restricted !alert>restricted");
    price(eth, 1666.67);
    expect("-");
    hold_cash(-14400); /* 9 * 1600, exactly */
    publish();
    price(eth, 1600);
    expect("-");
    hold_cash(-14400.01);
    publish();
    expect("liquidating 1.1 !restricted>liquidating sell 527 ETH@158400 [527/0/0 open]");
}

static void expect_at_rest(void)
{
    uint32_t candidates[4];
    uint8_t marks[4] = {0};
    build_update(&build);
    assert_int_equal(pl_screen(&build.market, book, &row, 0, candidates, marks), 0);
}

/* On the line is at rest: nobody looks closer at 14000 of debt at 2000, or at what may be worth nothing. */
static void test_on_the_line_is_at_rest(void **state)
{
    (void)state;
    hold_cash(-14000);
    publish();
    price(eth, 2001);
    expect("-");
    price(eth, 2000);
    expect_at_rest();
    hold(eth, 0);
    hold(btc, 1);
    hold_cash(0);
    publish();
    expect("-");
    price(btc, 29000);
    build_status(&build, btc, PL_MARK_STALE);
    expect_at_rest();
}

/* The ends of states are on their lines, too: 8 * 1875 is the end tier's 15000, 7.5 * 2000 the initial one's,
 * 9 * 1600 what 14400 of debt ask for at maintenance. */
static void test_leaving_ends_on_its_line(void **state)
{
    (void)state;
    fall();
    report(1, 0, true);
    price(eth, 1875);
    expect("restricted !liquidating>restricted");
    price(eth, 1600);
    expect("liquidating 2.1 !restricted>liquidating sell 724 ETH@158400 [724/0/0 open]");
    report(2, 0, true);
    price(eth, 2000);
    expect("alert !liquidating>alert");
    price(eth, 1000);
    expect("bankrupt 3.1 !alert>bankrupt sell 1000 ETH@99000 [1000/0/0 open]");
    report(3, 0, true);
    hold_cash(-14400);
    publish();
    price(eth, 1600);
    expect("liquidating 3.1 !bankrupt>liquidating");
    wait_ms(2000);
    hold_cash(-15000);
    publish();
    price(eth, 1000);
    expect("bankrupt 3.2 !liquidating>bankrupt sell 1000 ETH@99000 [1000/0/0 open]");
    report(4, 0, true);
    price(eth, 1875);
    expect("restricted !bankrupt>restricted");
}

/* At 15 % below the mark no sale reaches the end tier; but who has what maintenance asks is not bankrupt. */
static void test_a_hopeless_account_on_the_line_is_not_bankrupt(void **state)
{
    (void)state;
    build.parameters.instruments[eth].sale_discount_ppm = 150000;
    build_finish(&build);
    price(eth, 1600);
    expect("bankrupt 1.1 !ok>bankrupt sell 1000 ETH@136000 [1000/0/0 open]");
    report(1, 0, true);
    hold_cash(-14400);
    publish();
    expect("liquidating 1.1 !bankrupt>liquidating");
    wait_ms(2000);
    expect("liquidating 1.2 sell 1000 ETH@136000 [1000/0/0 open]");
}

/* What is in flight reaches maintenance exactly, 2.76 ETH at 90 % of 1400 against 14945.76 less 7.24 * 1584:
 * no more is sold before it is known. A cent less, and it is: 80 % of 3864 are 386.41 short by then. */
static void test_an_order_in_flight_may_end_on_the_line(void **state)
{
    (void)state;
    fall();
    wait_ms(2000);
    hold_cash(-14945.76);
    publish();
    price(eth, 1400);
    expect("-");
    hold_cash(-14945.77);
    publish();
    expect("liquidating 1.2 sell 146 ETH@138600 [724/0/0 open] [146/0/0 open]"); /* 386.41 / 2.66 */
}

static void test_alert_has_hysteresis(void **state)
{
    (void)state;
    price(eth, 2100);
    expect("alert !ok>alert");
    price(eth, 2173.91);
    expect("-");
    price(eth, 2142.85);
    expect("-");
    price(eth, 2173.92);
    expect("ok !alert>ok");
    price(eth, 2150);
    expect("-");
}

/* 7 p - 13800 is 1 % of 10 p exactly at 2000: on the line is over it. */
static void test_alert_ends_on_its_line(void **state)
{
    (void)state;
    hold_cash(-13800);
    publish();
    price(eth, 1971);
    expect("alert !ok>alert");
    price(eth, 1999.99);
    expect("-");
    price(eth, 2000);
    expect("ok !alert>ok");
}

/* One alert when the grace is over, none while initial margin is whole, and a new call after it. */
static void test_a_call_expires_once(void **state)
{
    (void)state;
    build.parameters.policy.grace_ms = 10000;
    price(eth, 1950);
    expect("restricted !ok>restricted");
    int64_t due_ms = build.now_ms + 10000;
    assert_int_equal(decision.state.called_ms, build.now_ms);
    assert_int_equal(decision.state.due_ms, due_ms);
    assert_int_equal(decision.alerts[0].due_ms, due_ms);
    wait_ms(9999);
    expect("-");
    wait_ms(1);
    expect("restricted !expired");
    assert_int_equal(decision.alerts[0].due_ms, due_ms);
    assert_int_equal(decision.state.called_ms, due_ms - 10000);
    assert_int_equal(decision.state.due_ms, 0);
    wait_ms(10000);
    expect("-");
    price(eth, 2300);
    expect("restricted");
    wait_ms(60000);
    expect("ok !restricted>ok");
    assert_int_equal(decision.state.called_ms, 0);
    assert_int_equal(decision.alerts[0].due_ms, 0);
    price(eth, 1950);
    expect("restricted !ok>restricted");
    price(eth, 2000); /* whole to the unit */
    expect("restricted");
    wait_ms(20000);
    expect("-");
    price(eth, 1999.99);
    expect("restricted !expired");
}

/* A policy that comes or goes moves no deadline. */
static void test_a_call_keeps_its_grace(void **state)
{
    (void)state;
    price(eth, 1950);
    expect("restricted !ok>restricted");
    build.parameters.policy.grace_ms = 10000;
    wait_ms(20000);
    expect("-");
    assert_int_equal(decision.state.due_ms, 0);
    price(eth, 2300);
    expect("restricted");
    wait_ms(60000);
    expect("ok !restricted>ok");
    price(eth, 1950);
    expect("restricted !ok>restricted");
    build.parameters.policy.grace_ms = 0;
    wait_ms(10000);
    expect("restricted !expired");
}

/* While nothing is known nothing is told of it. */
static void test_a_blind_call_waits(void **state)
{
    (void)state;
    build.parameters.policy.grace_ms = 10000;
    price(eth, 1950);
    expect("restricted !ok>restricted");
    holdings.has_gap = true;
    publish();
    expect("restricted ?account:gap !uncertain");
    wait_ms(10000);
    expect("-");
    holdings.has_gap = false;
    publish();
    expect("restricted !certain !expired");
}

/* The same state is not told again too soon; what still holds then is told then. */
static void test_flapping_is_held_back(void **state)
{
    (void)state;
    build.parameters.policy.call_interval_ms_min = 5000;
    price(eth, 2100);
    expect("alert !ok>alert");
    wait_ms(1000);
    price(eth, 2200);
    expect("ok !alert>ok");
    price(eth, 2100);
    expect("alert");
    price(eth, 2200);
    expect("ok");
    wait_ms(3999);
    price(eth, 2100);
    expect("alert");
    int64_t since_ms = decision.state.since_ms;
    wait_ms(1);
    expect("alert !ok>alert"); /* left since it was told that it was OK: 4 s ago */
    assert_int_equal(decision.alerts[0].since_ms, build.now_ms - 4000);
    assert_int_equal(decision.state.since_ms, since_ms);
    price(eth, 2200);
    expect("ok");
    wait_ms(500);
    price(eth, 2100); /* back where readers think that it is */
    expect("alert");
    wait_ms(10000);
    expect("-");
}

/* A state not told lately is told at once, and what sells never waits. */
static void test_getting_worse_is_told_at_once(void **state)
{
    (void)state;
    build.parameters.policy.call_interval_ms_min = 5000;
    price(eth, 2100);
    expect("alert !ok>alert");
    price(eth, 1950);
    expect("restricted !alert>restricted");
    price(eth, 1600);
    expect("liquidating 1.1 !restricted>liquidating sell 724 ETH@158400 [724/0/0 open]");
    report(1, 0, true);
    price(eth, 2300);
    expect("ok !liquidating>ok");
    price(eth, 2100);
    expect("alert");
    price(eth, 1600);
    expect("liquidating 2.1 !ok>liquidating sell 724 ETH@158400 [724/0/0 open]");
}

/* An interval that is gone holds nothing back. */
static void test_a_policy_without_interval_tells(void **state)
{
    (void)state;
    build.parameters.policy.call_interval_ms_min = 5000;
    price(eth, 2100);
    expect("alert !ok>alert");
    price(eth, 2200);
    expect("ok !alert>ok");
    price(eth, 2100);
    expect("alert");
    build.parameters.policy.call_interval_ms_min = 0;
    expect("alert !ok>alert");
    assert_int_equal(decision.state.told_count, 0);
    price(eth, 2200);
    expect("ok !alert>ok");
}

/* A call's alert says what would end it: 375 USD, or 0.81 ETH at 1930.50, 468 of gain for each. */
static void test_a_call_names_its_cures(void **state)
{
    (void)state;
    price(eth, 1950);
    expect("restricted !ok>restricted");
    assert_int_equal(decision.cure_count, 2);
    assert_int_equal(decision.cures[0].kind, PL_CURE_ADD);
    build_assert_i128(decision.cures[0].cost_vu, 375 * BUILD_USD, "cash");
    assert_int_equal(decision.cures[1].kind, PL_CURE_REDUCE);
    assert_int_equal(decision.cures[1].instrument, eth);
    assert_int_equal(decision.cures[1].lots, 81); /* 375 / (1930.50 - 1462.50) = 0.8013 */
    assert_int_equal(decision.cures[1].ticks, 193050);
    price(eth, 2100);
    expect("restricted");
    assert_int_equal(decision.cure_count, 0);
}

/* Whole without a break, even one of knowledge. */
static void test_restricted_holds(void **state)
{
    (void)state;
    price(eth, 1950);
    expect("restricted !ok>restricted");
    price(eth, 2300);
    expect("restricted");
    int64_t whole_since_ms = decision.state.whole_since_ms;
    assert_int_equal(whole_since_ms, build.now_ms);
    wait_ms(59000);
    price(eth, 1999);
    expect("restricted");
    assert_int_equal(decision.state.whole_since_ms, -1);
    price(eth, 2300);
    expect("restricted");
    wait_ms(59000);
    holdings.has_gap = true;
    publish();
    expect("restricted ?account:gap !uncertain");
    assert_int_equal(decision.state.whole_since_ms, -1);
    wait_ms(2000);
    holdings.has_gap = false;
    publish();
    expect("restricted !certain");
    wait_ms(59999);
    expect("-");
    wait_ms(1);
    expect("ok !restricted>ok");
}

/* A refused order leaves the deficit: one more plan, but not before the pause is over. */
static void test_reject_then_revision(void **state)
{
    (void)state;
    fall();
    wait_ms(400);
    report(1, 0, true);
    expect("liquidating 1.1");
    wait_ms(599);
    expect("-");
    wait_ms(1);
    expect("liquidating 1.2 sell 724 ETH@158400 [724/0/0 open]");
}

/* What is pending counts as sold at its limit: no second sale for the same deficit (G5). */
static void test_pending_is_reserved(void **state)
{
    (void)state;
    fall();
    wait_ms(3000);
    expect("-");
    price(eth, 1500); /* 2.76 ETH left: 3726 - 3531.84 at maintenance, 3312 at the end tier */
    expect("-");
    report(1, 724, true); /* filled, but the holdings do not show it */
    expect("liquidating 1.1 [724/724/0 over]");
    wait_ms(60000);
    expect("-");
}

/* Below maintenance in spite of all that is pending: a further sale on top of it. */
static void test_revision_is_additive(void **state)
{
    (void)state;
    fall();
    wait_ms(999);
    price(eth, 1420); /* 2.76 * 1278 = 3527.28 < 3531.84; the end tier lacks 396.48, 269.8 a unit */
    expect("-");
    wait_ms(1);
    expect("liquidating 1.2 sell 147 ETH@140580 [724/0/0 open] [147/0/0 open]");
    report(1, 724, true);
    report(2, 147, true);
    hold(eth, 129);
    hold_cash(-1465.32);
    show(1, 724);
    show(2, 147);
    publish();
    expect("restricted !liquidating>restricted");
}

/* More was filled than ordered: the larger number counts, and the position does not turn. */
static void test_overfill(void **state)
{
    (void)state;
    fall();
    report(1, 1100, false);
    expect("liquidating 1.1 [724/1100/0 working]");
    struct pl_portfolio portfolio = effective();
    assert_int_equal(portfolio.legs[0].lots, 0);
    assert_true(portfolio.cash_vu == 840 * BUILD_USD); /* 15840 for 10 units */
    price(eth, 1900);
    expect("-");
    hold(eth, 0);
    hold_cash(2424);
    show(1, 1100);
    publish();
    expect("liquidating 1.1 [724/1100/1100 working]");
    report(1, 1100, true);
    expect("ok !liquidating>ok");
}

/* Reports come twice, late and out of order: executed only grows, over stays over. */
static void test_reports_only_grow(void **state)
{
    (void)state;
    fall();
    report(1, 400, false);
    report(1, 300, false);
    expect("liquidating 1.1 [724/400/0 working]");
    report(1, 500, true);
    report(1, 400, false);
    expect("liquidating 1.1 [724/500/0 over]");
    report(1, 600, false);
    expect("liquidating 1.1 [724/600/0 over]");
    report(7, 10, true);
    expect("-");
    report(1, 600, true);
    expect("-");
}

/* A fill of an order that was let go is nobody's: the holdings will show it. */
static void test_late_fill_after_release(void **state)
{
    (void)state;
    struct pl_account_state settled;
    fall();
    report(1, 0, true);
    expect("liquidating 1.1");
    pl_book_state(book, row, &settled);
    report(1, 50, true);
    assert_false(pl_state_apply_execution(&settled, &reports[0]));
    expect("-");
}

static void test_overdue_is_doubt(void **state)
{
    (void)state;
    fall();
    wait_ms(15000);
    expect("-");
    wait_ms(1);
    expect("liquidating 1.1 ?account:overdue !uncertain !overdue(1) [724/0/0 overdue]");
    price(eth, 1300); /* far below with all that is pending, but nobody knows what became of it */
    expect("-");
    report(1, 10, false);
    expect("liquidating 1.1 ?account:overdue [724/10/0 overdue]");
    price(eth, 1600);
    expect("-");
    report(1, 0, true); /* 990 lots are left and 14841.60 of debt: the end tier lacks 2169.60 */
    expect("liquidating 1.2 !certain sell 714 ETH@158400 [724/10/0 over] [714/0/0 open]");
    hold(eth, 990);
    hold_cash(-14841.60);
    show(1, 10);
    publish();
    expect("liquidating 1.2 [714/0/0 open]");
}

/* The last report is lost, but the holdings show all of the order: there is nothing to doubt. */
static void test_all_shown_is_not_overdue(void **state)
{
    (void)state;
    fall();
    hold(eth, 276);
    hold_cash(-3400);
    show(1, 724);
    publish();
    expect("liquidating 1.1 [724/0/724 open]");
    wait_ms(15001);
    price(eth, 1601);
    expect("restricted !liquidating>restricted");
}

/* A source that names no orders has settled one when its news are as young as the report. */
static void test_settles_by_time(void **state)
{
    (void)state;
    holdings.legs[0].settles_by_time = true;
    publish();
    fall();
    wait_ms(100);
    hold(eth, 276);
    hold_cash(-3400);
    publish();
    expect("-");
    wait_ms(100);
    report(1, 724, true);
    expect("liquidating 1.1 [724/724/0 over]");
    wait_ms(100);
    publish();
    expect("restricted !liquidating>restricted");
}

/* A fill that is told of after the end is not in holdings older than it. */
static void test_fill_after_the_end(void **state)
{
    (void)state;
    holdings.legs[0].settles_by_time = true;
    publish();
    fall();
    wait_ms(50);
    publish();
    expect("-");
    report(1, 500, true);
    report(1, 600, true);
    reports[0].event_time_ms -= 10;
    reports[1].event_time_ms += 10;
    expect("liquidating 1.1 [724/600/0 over]");
}

/* A new episode does not wait for the pause of the last one. */
static void test_pause_ends_with_the_episode(void **state)
{
    (void)state;
    fall();
    report(1, 0, true);
    price(eth, 2300);
    expect("ok !liquidating>ok");
    wait_ms(10);
    price(eth, 1600);
    expect("liquidating 2.1 !ok>liquidating sell 724 ETH@158400 [724/0/0 open]");
}

/* The whole leg is sold, and gone from the holdings with what it said of its source. */
static void test_leg_that_is_gone(void **state)
{
    (void)state;
    holdings.legs[0].settles_by_time = true;
    publish();
    price(eth, 1500); /* all at 1485 is 14850, less than the debt */
    expect("bankrupt 1.1 !ok>bankrupt sell 1000 ETH@148500 [1000/0/0 open]");
    wait_ms(500);
    report(1, 1000, true);
    expect("bankrupt 1.1 [1000/1000/0 over]");
    wait_ms(2000);
    holdings.leg_count = 0;
    hold_cash(-150);
    publish();
    expect("bankrupt 1.1 !debt");
}

static void test_halt_stops_sales_only(void **state)
{
    (void)state;
    is_halted = true;
    price(eth, 2100);
    expect("alert !ok>alert");
    price(eth, 1600);
    expect("liquidating 1.0 !alert>liquidating");
    wait_ms(100000);
    expect("-");
    is_halted = false;
    expect("liquidating 1.1 sell 724 ETH@158400 [724/0/0 open]");
    report(1, 0, true);
    expect("liquidating 1.1");
    is_halted = true;
    wait_ms(5000);
    price(eth, 1700); /* above maintenance, but not at the end of it */
    expect("-");
    is_halted = false;
    expect("liquidating 1.2 sell 434 ETH@168300 [434/0/0 open]");
}

/* Records we know to be incomplete: nobody is sold on them, whatever they say. */
static void test_gap_and_taint(void **state)
{
    (void)state;
    holdings.has_gap = true;
    publish();
    price(eth, 1000);
    expect("ok ?account:gap !uncertain");
    uint32_t index;
    assert_int_equal(pl_book_taint(book, &holdings.account, &index), PL_OK);
    is_touched = true;
    expect("ok ?account:gap ?account:tainted !uncertain");
    holdings.has_gap = false;
    publish();
    price(eth, 1600);
    expect("liquidating 1.1 !ok>liquidating !certain sell 724 ETH@158400 [724/0/0 open]");
    assert_int_equal(pl_book_taint(book, &holdings.account, &index), PL_OK);
    is_touched = true;
    price(eth, 1000);
    wait_ms(2000);
    expect("liquidating 1.1 ?account:tainted !uncertain [724/0/0 open]");
    price(eth, 9000);
    report(1, 0, true);
    expect("liquidating 1.1 ?account:tainted");
    expect("-");
}

/* An account that never had a valid record is not whole, it is unknown. */
static void test_account_without_holdings(void **state)
{
    (void)state;
    struct pl_id bob;
    struct pl_account_state restored = {.state = PL_STATE_LIQUIDATING, .episode = 3, .version = 5,
                                        .whole_since_ms = -1};
    assert_int_equal(pl_id_set(&bob, "bob", 3), PL_OK);
    assert_int_equal(pl_book_account(book, &bob, &row), PL_OK);
    assert_int_equal(pl_book_set_state(book, row, &restored, (struct pl_digest){0}), PL_OK);
    expect("liquidating 3.0 ?account:gap !uncertain");
}

/* A bad mark is a doubt where it decides, and no shield where it does not (G4). */
static void test_bad_mark(void **state)
{
    (void)state;
    hold(btc, 10); /* 0.1 BTC, 3000 USD, at most 6000 with a bad mark */
    publish();
    expect("-");
    build_status(&build, btc, PL_MARK_STALE);
    expect("-"); /* whole without it: 9 * 2200 */
    price(eth, 1600);
    expect("ok ?BTC:stale !uncertain");
    build_status(&build, btc, PL_MARK_HALTED);
    expect("ok ?BTC:halted");
    hold_cash(-14400); /* 9000 + 5400 at the best, which would be enough */
    publish();
    price(eth, 1000);
    expect("restricted ?BTC:halted !ok>restricted"); /* initial is not, even then */
    hold_cash(-15000); /* and is not */
    publish();
    expect("bankrupt 1.1 !restricted>bankrupt !certain sell 1000 ETH@99000 [1000/0/0 open]");
    price(btc, 30000);
    expect("-");
}

/* Who mends the one feed must not think that it is all; less to mend, or another reason, is no news. */
static void test_another_doubt_is_told(void **state)
{
    (void)state;
    hold(btc, 10);
    publish();
    expect("-");
    price(eth, 1600);
    build_status(&build, btc, PL_MARK_STALE);
    expect("ok ?BTC:stale !uncertain");
    build_status(&build, eth, PL_MARK_STALE);
    expect("ok ?BTC:stale ?ETH:stale !uncertain");
    build_status(&build, btc, PL_MARK_HALTED);
    expect("ok ?BTC:halted ?ETH:stale");
    price(eth, 1600);
    expect("ok ?BTC:halted");
    holdings.has_gap = true;
    publish();
    expect("ok ?BTC:halted ?account:gap !uncertain");
    holdings.has_gap = false;
    publish();
    expect("ok ?BTC:halted");
    price(btc, 30000); /* initial: 12000 + 2250 - 15000 */
    expect("restricted !ok>restricted !certain");
}

/* In an episode the end tier matters too. */
static void test_doubt_about_the_end(void **state)
{
    (void)state;
    hold(btc, 10);
    publish();
    price(eth, 1300); /* 11700 + 2700; the end tier lacks 2200, 2.47 a lot */
    expect("liquidating 1.1 !ok>liquidating sell 891 ETH@128700 [891/0/0 open]");
    report(1, 0, true);
    expect("liquidating 1.1");
    wait_ms(2000);
    price(eth, 1700); /* maintenance is whole without BTC, the end tier only with it */
    build_status(&build, btc, PL_MARK_STALE);
    expect("liquidating 1.1 ?BTC:stale !uncertain");
    price(eth, 1880);
    expect("restricted !liquidating>restricted !certain"); /* initial is 14100 - 15000 */
}

/* Below at the end tier even at the best: the sale goes on, though maintenance is in doubt. */
static void test_doubtful_leg_stops_no_sale(void **state)
{
    (void)state;
    hold(btc, 10);
    publish();
    price(eth, 1300);
    expect("liquidating 1.1 !ok>liquidating sell 891 ETH@128700 [891/0/0 open]");
    report(1, 0, true);
    expect("liquidating 1.1");
    wait_ms(2000);
    price(btc, 29000);
    build_status(&build, btc, PL_MARK_STALE);
    price(eth, 1250); /* maintenance 11250..16470 - 15000, end tier 10000..14640 - 15000 */
    expect("liquidating 1.2 ?BTC:stale !uncertain sell 152 ETH@123750 [152/0/0 open]");
}

/* Everything is sold once; the account is told bankrupt, and comes back when maintenance is whole.
 * */
static void test_bankrupt(void **state)
{
    (void)state;
    price(eth, 1400);
    expect("bankrupt 1.1 !ok>bankrupt sell 1000 ETH@138600 [1000/0/0 open]");
    wait_ms(5000);
    expect("-");
    report(1, 1000, true);
    hold(eth, 0);
    hold_cash(-1140);
    show(1, 1000);
    publish();
    expect("bankrupt 1.1 !debt");
    assert_true(decision.state.bad_debt_vu == 1140 * BUILD_USD);
    wait_ms(100000);
    expect("-"); /* nothing is left to sell: no empty plans, and the debt is told once */
    hold(eth, 90); /* 1260 USD: maintenance 1134 - 1140; the end tier lacks 132, 2.66 a lot */
    publish();
    expect("bankrupt 1.2 sell 50 ETH@138600 [50/0/0 open]");
    report(2, 0, true);
    hold_cash(-1100); /* maintenance is whole, the end tier is not: the same episode goes on */
    publish();
    wait_ms(500);
    expect("liquidating 1.2 !bankrupt>liquidating");
    assert_true(decision.state.bad_debt_vu == 0);
    hold_cash(-900);
    publish();
    expect("alert !liquidating>alert");
}

/* An order for dust that nobody takes does not hide the debt; a cent more than dust does, since it may
 * still pay for some of it. */
static void test_dust_hides_no_debt(void **state)
{
    (void)state;
    build.parameters.policy.bad_debt_dust_usd = 27;
    hold(eth, 2); /* 28 USD, 27.72 at the limit */
    publish();
    price(eth, 1400);
    expect("bankrupt 1.1 !ok>bankrupt sell 2 ETH@138600 [2/0/0 open]");
    build.parameters.policy.bad_debt_dust_usd = 28;
    wait_ms(500);
    expect("-"); /* the revision's pause */
    wait_ms(1500);
    expect("bankrupt 1.1 !debt [2/0/0 open]");
    assert_true(decision.state.bad_debt_vu == 15000 * BUILD_USD - 27720 * (BUILD_USD / 1000));
    report(1, 0, true);
    expect("bankrupt 1.2 sell 2 ETH@138600 [2/0/0 open]"); /* tried again, not told again */
}

/* 0.02 ETH are 28 USD at the limit, which is no more than dust. */
static void test_dust_is_all_of_it(void **state)
{
    (void)state;
    build.parameters.policy.bad_debt_dust_usd = 28;
    hold(eth, 2);
    publish();
    price(eth, 1414.15); /* 1400.0085 */
    expect("bankrupt 1.1 !ok>bankrupt !debt sell 2 ETH@140000 [2/0/0 open]");
}

/* Halted, in doubt or still worth something: no debt is told. */
static void test_no_debt_before_its_time(void **state)
{
    (void)state;
    hold(eth, 0);
    publish();
    is_halted = true;
    expect("liquidating 1.0 !ok>liquidating");
    is_halted = false;
    holdings.has_gap = true;
    publish();
    expect("liquidating 1.0 ?account:gap !uncertain");
    holdings.has_gap = false;
    publish();
    expect("bankrupt 1.0 !liquidating>bankrupt !certain !debt");
}

/* Below maintenance with nothing that may be sold. */
static void test_nothing_to_sell(void **state)
{
    (void)state;
    build.parameters.policy.liquidity_count = 0;
    build_finish(&build);
    price(eth, 1600);
    expect("bankrupt 1.0 !ok>bankrupt");
    wait_ms(2000);
    expect("-");
    price(eth, 1700); /* not bankrupt above maintenance, though the end tier is out of reach */
    expect("liquidating 1.0 !bankrupt>liquidating");
    expect("-");
}

/* A debt is bought back: less short and less cash, at a limit above the mark. */
static void test_debt_is_bought_back(void **state)
{
    (void)state;
    hold(eth, -1000);
    hold_cash(25000);
    publish();
    price(eth, 2200);
    expect("restricted !ok>restricted"); /* 22000: maintenance 24200, end 26400, initial 27500 */
    price(eth, 2300); /* 25300; the end tier lacks 2600, a lot gives 27.60 - 23.23 */
    expect("liquidating 1.1 !restricted>liquidating buy 595 ETH@232300 [595/0/0 open]");
    wait_ms(2000);
    expect("-");
    struct pl_portfolio portfolio = effective();
    assert_int_equal(portfolio.legs[0].lots, -405);
    assert_int_equal(portfolio.legs[0].final_lots, -405);
    assert_true(portfolio.cash_vu == 1117815 * (BUILD_USD / 100)); /* 25000 - 13821.85 */
    assert_true(portfolio.final_cash_vu == portfolio.cash_vu);
    report(1, 595, true);
    hold(eth, -405);
    hold_cash(25000 - 13821.85);
    show(1, 595);
    publish();
    expect("restricted !liquidating>restricted");
}

/* A holder of very much: beyond the exact range there is no verdict, said once. */
static void test_out_of_range(void **state)
{
    (void)state;
    hold(eth, 100000000000000);
    publish();
    expect("ok ?account:range !uncertain !range");
    wait_ms(1000);
    price(eth, 2201);
    expect("-");
    hold(eth, 1000);
    publish();
    expect("ok !certain");
}

/* Reports and fills beyond 64 bits of lots: the whole leg counts as gone, nothing wraps. */
static void test_absurd_quantities(void **state)
{
    (void)state;
    fall();
    report(1, INT64_MAX, false);
    reports[0].cumulative_exponent = 3;
    wait_ms(2000);
    price(eth, 1500);
    expect("liquidating 1.1 [724/9223372036854775807/0 working]");
    show(1, 724);
    holdings.applied[0].cumulative = (struct pl_amount){.mantissa = (pl_i128)1 << 120};
    publish();
    report(1, 1, true);
    /* nothing is pending any more: bankrupt at 1500 */
    expect("bankrupt 1.2 !liquidating>bankrupt sell 1000 ETH@148500 [1000/0/0 open]");
}

/* A lot that is filled in part is not filled, and not shown: 1.239 ETH are 123 lots. */
static void test_fractions_of_a_lot(void **state)
{
    (void)state;
    fall();
    report(1, 1239, false);
    reports[0].cumulative_exponent = -3;
    expect("liquidating 1.1 [724/123/0 working]");
    show(1, 1239);
    holdings.applied[0].cumulative.exponent = -3;
    hold(eth, 876);
    publish();
    report(1, 124, true); /* one more than is shown */
    expect("liquidating 1.1 [724/124/123 over]");
    show(1, 124);
    publish();
    expect("liquidating 1.1");
}

/* Times at their ends. */
static void test_endless_policy(void **state)
{
    (void)state;
    build.parameters.policy.order_valid_ms = INT64_MAX;
    build.parameters.policy.order_overdue_ms = INT64_MAX;
    build.parameters.policy.revision_pause_ms = INT64_MAX;
    build_finish(&build);
    fall();
    wait_ms(1000000);
    price(eth, 1000);
    expect("-");
}

/* A leg whose size is unknown while its sale is in flight: what it brought is open, too. */
static void test_sale_of_a_leg_that_lost_its_size(void **state)
{
    (void)state;
    fall();
    holdings.legs[0] = (struct pl_leg){.instrument = eth, .is_unlisted_amount = true, .lots = 1,
                                       .final_lots = 1};
    hold_cash(-5000); /* 7.24 * 1584 = 11468 may come, or nothing */
    publish();
    expect("liquidating 1.1 ?ETH:unlisted ?account:unfinal !uncertain [724/0/0 open]");
    report(1, INT64_MAX, false); /* no cash is that large */
    expect("liquidating 1.1 ?ETH:unlisted ?account:range !range "
           "[724/9223372036854775807/0 working]");
}

/* Listed anew in other lots while a sale is in flight: old and new lots cannot be compared. */
static void test_lots_that_changed(void **state)
{
    (void)state;
    fall();
    build.parameters.instruments[eth].lot_decimals = 3;
    build_finish(&build);
    expect("liquidating 1.1 ?account:range !uncertain !range [724/0/0 open]");
}

/* Reserved as fills come in: what the committed state has not taken note of yet counts already. */
static void test_effective_portfolio(void **state)
{
    (void)state;
    fall();
    hold(eth, 700);
    hold_cash(-10230);
    show(1, 300);
    publish();
    struct pl_portfolio portfolio = effective();
    assert_int_equal(portfolio.legs[0].lots, 276);
    assert_int_equal(portfolio.legs[0].final_lots, 276);
    /* 424 lots at 1584 */
    assert_true(portfolio.cash_vu == (-10230 * 100 + 671616) * (BUILD_USD / 100));
    assert_true(portfolio.final_cash_vu == portfolio.cash_vu);
}

/* A plan needs places for its orders: it waits for those before it. */
static void test_no_place_for_more(void **state)
{
    (void)state;
    struct pl_account_state full;
    fall();
    pl_book_state(book, row, &full);
    full.pending_count = PL_PENDING_MAX;
    for (uint32_t i = 1; i < PL_PENDING_MAX; i++) {
        full.pending[i] = full.pending[0];
        full.pending[i].order_id[0] = (uint8_t)(i + 1);
        full.pending[i].ordered_lots = 1;
    }
    full.version++;
    assert_int_equal(pl_book_set_state(book, row, &full, (struct pl_digest){0}), PL_OK);
    orders_named = PL_PENDING_MAX;
    wait_ms(2000);
    price(eth, 1000); /* 261 lots are left */
    expect("-");
    report(3, 0, true);
    wait_ms(1);
    build_update(&build);
    struct pl_account_state prior = full;
    assert_true(pl_state_apply_execution(&prior, &reports[0]));
    pl_decide(&build.market, &build.names, book, row, &full, &prior, false, &decision);
    assert_true(decision.has_sale);
    assert_int_equal(decision.state.pending_count, PL_PENDING_MAX);
    assert_int_equal(decision.sale.legs[0].lots, 262);
}

int main(void)
{
#define scenario(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        scenario(test_life_of_an_episode),
        scenario(test_equality_is_safe),
        scenario(test_on_the_line_is_at_rest),
        scenario(test_leaving_ends_on_its_line),
        scenario(test_a_hopeless_account_on_the_line_is_not_bankrupt),
        scenario(test_an_order_in_flight_may_end_on_the_line),
        scenario(test_alert_has_hysteresis),
        scenario(test_alert_ends_on_its_line),
        scenario(test_a_call_expires_once),
        scenario(test_a_call_keeps_its_grace),
        scenario(test_a_blind_call_waits),
        scenario(test_flapping_is_held_back),
        scenario(test_getting_worse_is_told_at_once),
        scenario(test_a_policy_without_interval_tells),
        scenario(test_a_call_names_its_cures),
        scenario(test_restricted_holds),
        scenario(test_reject_then_revision),
        scenario(test_pending_is_reserved),
        scenario(test_revision_is_additive),
        scenario(test_overfill),
        scenario(test_reports_only_grow),
        scenario(test_late_fill_after_release),
        scenario(test_overdue_is_doubt),
        scenario(test_all_shown_is_not_overdue),
        scenario(test_settles_by_time),
        scenario(test_fill_after_the_end),
        scenario(test_pause_ends_with_the_episode),
        scenario(test_leg_that_is_gone),
        scenario(test_halt_stops_sales_only),
        scenario(test_gap_and_taint),
        scenario(test_account_without_holdings),
        scenario(test_bad_mark),
        scenario(test_another_doubt_is_told),
        scenario(test_doubt_about_the_end),
        scenario(test_doubtful_leg_stops_no_sale),
        scenario(test_bankrupt),
        scenario(test_dust_hides_no_debt),
        scenario(test_dust_is_all_of_it),
        scenario(test_no_debt_before_its_time),
        scenario(test_nothing_to_sell),
        scenario(test_debt_is_bought_back),
        scenario(test_out_of_range),
        scenario(test_absurd_quantities),
        scenario(test_fractions_of_a_lot),
        scenario(test_endless_policy),
        scenario(test_sale_of_a_leg_that_lost_its_size),
        scenario(test_lots_that_changed),
        scenario(test_effective_portfolio),
        scenario(test_no_place_for_more),
    };
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
