/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/price/haircut.c: the published chain of volatility-adjusted haircuts (k = 3, one day, stress 12
 * %, ten years 4.5 %, slow volatility 3.5 %), square-root impact, and the release rule's clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/price/haircut.h"

enum { HOUR = 60 * 60 * 1000, DAY = 24 * HOUR };
static const int64_t T0 = 1700000000000;

static struct pl_tier_ppm all(int32_t ppm)
{
    return (struct pl_tier_ppm){{ppm, ppm, ppm, ppm}};
}

static struct pl_haircut_model plain(void)
{
    return (struct pl_haircut_model){.is_present = true, .multiple = all(3000000),
                                     .horizon = all(1000000), .cap_ppm = 1000000};
}

static struct pl_haircut_terms chain(const struct pl_haircut_model *model, uint32_t fast,
                                     uint32_t slow)
{
    struct pl_haircut_terms terms;
    pl_haircut_chain(model, PL_TIER_MAINTENANCE, fast, slow, &terms);
    return terms;
}

/* ---- the chain ------------------------------------------------------------------------------ */

/* c as published to six places, and here rounded up. */
static void close_out_as_published(void **state)
{
    (void)state;
    static const struct { uint32_t sigma; int32_t published, expect; } rows[] = {
        {20000, 58235, 58236}, {35000, 99675, 99676}, {40000, 113080, 113080},
        {45000, 126284, 126285}, {50000, 139292, 139293}, {80000, 213372, 213373},
        {120000, 302324, 302324}, {0, 0, 0},
    };
    const struct pl_haircut_model model = plain();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pl_haircut_terms terms = chain(&model, rows[i].sigma, 0);
        assert_int_equal(terms.close_out, rows[i].expect);
        assert_in_range(terms.close_out - rows[i].published, 0, 1);
        assert_int_equal(chain(&model, 0, rows[i].sigma).close_out, rows[i].expect);
    }
}

/* max(b, c) up to the grid: the row that is published. */
static void stress_and_floor_as_published(void **state)
{
    (void)state;
    static const struct { uint32_t sigma; int32_t stressed, expect; } rows[] = {
        {20000, 119258, 127500}, {35000, 150338, 152500}, {40000, 160391, 162500},
        {45000, 170295, 172500}, {50000, 180051, 182500}, {80000, 235611, 237500},
        {120000, 302324, 302500},
    };
    struct pl_haircut_model model = plain();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        model.stress_volatility_ppm = 120000;
        model.floor_volatility_ppm = 45000;
        struct pl_haircut_terms terms = chain(&model, rows[i].sigma, rows[i].sigma);
        assert_int_equal(terms.target, rows[i].expect);
        assert_int_equal(terms.stress, 302324);
        assert_int_equal(terms.floor, 126285);
        model.floor_volatility_ppm = 0;
        terms = chain(&model, rows[i].sigma, 0);
        assert_int_equal(terms.target, (rows[i].stressed + 2499) / 2500 * 2500);
    }
    model.stress_volatility_ppm = 0;
    model.floor_volatility_ppm = 45000;
    assert_int_equal(chain(&model, 20000, 0).target, 127500);
    assert_int_equal(chain(&model, 50000, 0).target, 140000);
    /* Times worse than the stress: 0.75 c(20 %) + 0.25 c(12 %), less than c. */
    model.stress_volatility_ppm = 120000;
    model.floor_volatility_ppm = 0;
    assert_int_equal(chain(&model, 200000, 0).close_out, 451189);
    assert_int_equal(chain(&model, 200000, 0).target, 415000);
}

/* 0.75 * 126285 + 0.25 * 302324 = 170294.75, up, so that 4,706 more are 1 above the grid. */
static void the_stressed_share_rounds_up(void **state)
{
    (void)state;
    struct pl_haircut_model model = plain();
    model.stress_volatility_ppm = 120000;
    model.addition_ppm = 4705;
    assert_int_equal(chain(&model, 45000, 0).target, 175000);
    model.addition_ppm = 4706;
    assert_int_equal(chain(&model, 45000, 0).target, 177500);
}

/* Option (a): B of the slow volatility; used up by the fast one, never above 1.25 c. */
static void buffer_as_published(void **state)
{
    (void)state;
    static const struct { uint32_t sigma; int32_t expect; } rows[] = {
        {35000, 125000}, {40000, 125000}, {45000, 127500}, {50000, 140000}, {80000, 215000},
    };
    struct pl_haircut_model model = plain();
    model.buffer_ppm = 250000;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pl_haircut_terms terms = chain(&model, rows[i].sigma, 35000);
        assert_int_equal(terms.buffer, 124595);
        assert_int_equal(terms.target, rows[i].expect);
    }
    assert_int_equal(chain(&model, 45000, 45000).buffer, 157857); /* 1.25 * 126285, up */
    /* Nothing is left of it where the fast one is far above, all where both are one. */
    assert_int_equal(chain(&model, 20000, 20000).target, 75000); /* 1.25 * 58236 = 72795 */
}

static void impact_as_published(void **state)
{
    (void)state;
    static const struct { int64_t size; int32_t expect; } rows[] = {
        {20000000, 7071}, {100000000, 15811}, {400000000, 31622},
    };
    struct pl_haircut_model model = plain();
    model.daily_volume_usd = 1000000000;
    model.impact_ppm = 1000000;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        model.reference_usd = rows[i].size;
        assert_int_equal(pl_haircut_impact_ppm(&model, 50000), rows[i].expect);
    }
    /* 7 / 2 down, its root down; and at 99.99 % the whole down, too: each would be 2 or 1 else. */
    model.reference_usd = 7;
    model.daily_volume_usd = 2000000000000;
    assert_int_equal(pl_haircut_impact_ppm(&model, 1000000), 1);
    assert_int_equal(pl_haircut_impact_ppm(&model, 999999), 0);
    model.reference_usd = 400000000;
    model.daily_volume_usd = 1000000000;
    model.half_spread_ppm = 300;
    model.addition_ppm = 4000;
    assert_int_equal(chain(&model, 50000, 0).liquidity, 31922);
    assert_int_equal(chain(&model, 50000, 0).target, 177500); /* 139293 + 31922 + 4000 = 175215 */
    model.reference_usd = INT64_MAX;
    model.daily_volume_usd = 1;
    model.impact_ppm = 100 * PL_PPM;
    assert_int_equal(pl_haircut_impact_ppm(&model, UINT32_MAX), PL_PPM);
}

/* H = max(horizon, venue / (participation * volume)). */
static void horizon_follows_liquidity(void **state)
{
    (void)state;
    struct pl_haircut_model model = plain();
    model.venue_usd = 200000000;
    model.daily_volume_usd = 1000000000;
    model.participation_ppm = 100000;
    assert_int_equal(chain(&model, 50000, 0).close_out, 191143); /* two days */
    model.venue_usd = 50000000;
    assert_int_equal(chain(&model, 50000, 0).close_out, 139293);
    model.horizon = all(500000);
    assert_int_equal(chain(&model, 50000, 0).close_out, 100635);
}

static void cap_and_grid(void **state)
{
    (void)state;
    struct pl_haircut_model model = plain();
    model.cap_ppm = 139999;
    assert_int_equal(chain(&model, 50000, 0).target, 139999);
    model.cap_ppm = 1000000;
    assert_int_equal(chain(&model, UINT32_MAX, 0).target, 1000000);
    assert_int_equal(chain(&model, 0, 0).target, 0);
    model.addition_ppm = 2500;
    assert_int_equal(chain(&model, 0, 0).target, 2500);
    model.addition_ppm = 2501;
    assert_int_equal(chain(&model, 0, 0).target, 5000);
}

/* ---- the release ---------------------------------------------------------------------------- */

static const struct pl_policy policy = {
    .haircut_rise_ppm_per_hour = 10000, .haircut_hold_ms = DAY, .haircut_fall_ppm_per_day = 10000,
    .haircut_interval_ms = 60000};

/* A base of 1 to 4 %, k = 3 for maintenance and end, 4 for the others. */
static struct pl_instrument base(void)
{
    struct pl_instrument instrument = {.is_listed = true, .kind = PL_INSTRUMENT_SPOT};
    instrument.haircut_long = (struct pl_tier_ppm){{40000, 30000, 20000, 10000}};
    instrument.haircut_model = plain();
    instrument.haircut_model.multiple = (struct pl_tier_ppm){{4000000, 4000000, 3000000, 3000000}};
    return instrument;
}

static bool derive(struct pl_instrument *now, uint32_t sigma, int64_t at_ms)
{
    const struct pl_haircut_news news = {&policy, sigma, sigma, T0 + at_ms, {0}};
    struct pl_instrument next = base();
    const bool has_news = pl_haircut_derive(now, &news, &next);
    *now = next;
    return has_news;
}

static void assert_tiers(const struct pl_instrument *now, int32_t initial, int32_t maintenance)
{
    assert_int_equal(now->haircut_long.at[PL_TIER_INITIAL], initial);
    assert_int_equal(now->haircut_long.at[PL_TIER_MAINTENANCE], maintenance);
}

static void rises_at_once_or_by_ramp(void **state)
{
    (void)state;
    struct pl_instrument now = {0};
    assert_true(derive(&now, 0, 0)); /* not known: the base */
    assert_tiers(&now, 30000, 10000);
    assert_int_equal(now.haircut.target_at_ms, 0);
    assert_false(derive(&now, 0, 1000));
    /* c(5 %) is 139293 with k = 3 and 181270 with k = 4. */
    assert_true(derive(&now, 50000, 2000));
    assert_tiers(&now, 182500, 10000);
    assert_int_equal(now.haircut.target.at[PL_TIER_MAINTENANCE], 140000);
    assert_int_equal(now.haircut_long.at[PL_TIER_ALERT], 182500);
    /* 130,000 ppm at 10,000 an hour. */
    assert_int_equal(now.haircut.target_at_ms, T0 + 2000 + 13 * HOUR);
    /* A step is due when the line has passed it, not before. */
    struct pl_instrument before = now;
    assert_false(derive(&now, 50000, 2000 + HOUR / 4 - 1));
    now = before;
    assert_true(derive(&now, 50000, 2000 + HOUR / 4));
    assert_tiers(&now, 182500, 12500);
    /* End began at 20,000 with the same rate. */
    assert_int_equal(now.haircut_long.at[PL_TIER_END], 22500);
    /* Whoever comes late finds the same as who looked every minute. */
    assert_true(derive(&now, 50000, 2000 + 10 * HOUR));
    assert_tiers(&now, 182500, 110000);
    assert_true(derive(&now, 50000, 2000 + 13 * HOUR));
    assert_tiers(&now, 182500, 140000);
    assert_int_equal(now.haircut.target_at_ms, 0);
    assert_int_equal(now.haircut.moves[PL_TIER_MAINTENANCE].since_ms, 0);
}

static void falls_late_and_slowly(void **state)
{
    (void)state;
    struct pl_instrument now = {0};
    (void)derive(&now, 50000, 0);
    (void)derive(&now, 50000, 20 * HOUR);
    assert_tiers(&now, 182500, 140000);
    const int64_t calm = 24 * HOUR;
    assert_true(derive(&now, 20000, calm)); /* announced: 77500 and 60000 */
    assert_tiers(&now, 182500, 140000);
    assert_int_equal(now.haircut.target.at[PL_TIER_INITIAL], 77500);
    assert_int_equal(now.haircut.target.at[PL_TIER_MAINTENANCE], 60000);
    /* The initial tier has the longest way: 105,000 ppm, ten and a half days after the hold. */
    assert_int_equal(now.haircut.target_at_ms, T0 + calm + DAY + 10 * (int64_t)DAY + DAY / 2);
    assert_false(derive(&now, 20000, calm + DAY));
    assert_false(derive(&now, 20000, calm + DAY + 6 * HOUR - 1));
    assert_true(derive(&now, 20000, calm + DAY + 6 * HOUR));
    assert_tiers(&now, 180000, 137500);
    assert_true(derive(&now, 20000, calm + 2 * DAY));
    assert_tiers(&now, 172500, 130000);
    /* Up again in between: the initial tier at once, and the hold begins anew. */
    assert_true(derive(&now, 50000, calm + 2 * DAY + HOUR));
    assert_tiers(&now, 182500, 130000);
    assert_true(derive(&now, 50000, calm + 2 * DAY + 3 * HOUR));
    assert_tiers(&now, 182500, 140000);
    assert_true(derive(&now, 20000, calm + 2 * DAY + 4 * HOUR));
    assert_false(derive(&now, 20000, calm + 3 * DAY + 4 * HOUR));
    assert_tiers(&now, 182500, 140000);
    assert_true(derive(&now, 20000, calm + 20 * (int64_t)DAY));
    assert_tiers(&now, 77500, 60000);
    assert_int_equal(now.haircut.target_at_ms, 0);
}

/* The announced time is never too early. */
static void arrival_is_rounded_up(void **state)
{
    (void)state;
    static const struct pl_policy odd = {.haircut_rise_ppm_per_hour = 7000, .haircut_hold_ms = 1,
                                         .haircut_fall_ppm_per_day = 7000};
    struct pl_instrument now = {0}, next = base();
    struct pl_haircut_news news = {&odd, 50000, 50000, T0, {0}};
    (void)pl_haircut_derive(NULL, &news, &next);
    now = next;
    /* 130,000 ppm at 7,000 an hour: 66,857,142 ms and six sevenths. */
    assert_int_equal(now.haircut.target_at_ms, T0 + 66857143);
    news.now_ms = T0 + 66857142;
    next = base();
    (void)pl_haircut_derive(&now, &news, &next);
    assert_true(next.haircut_long.at[PL_TIER_MAINTENANCE] < 140000);
    news.now_ms++;
    next = base();
    (void)pl_haircut_derive(&now, &news, &next);
    assert_int_equal(next.haircut_long.at[PL_TIER_MAINTENANCE], 140000);
}

static void assert_window(const struct pl_instrument *now, enum pl_haircut_span span,
                          const int32_t expect[5])
{
    const struct pl_haircut_window *window = &now->haircut.windows[span];
    assert_int_equal(window->low_ppm, expect[0]);
    assert_int_equal(window->high_ppm, expect[1]);
    assert_int_equal(window->before_low_ppm, expect[2]);
    assert_int_equal(window->before_high_ppm, expect[3]);
    assert_int_equal(window->rise_ppm, expect[4]);
}

/* The initial tier: 30,000 first, 182,500 an hour later, and so it stands for 40 days. */
static void windows_tell_how_it_moved(void **state)
{
    (void)state;
    struct pl_instrument now = {0};
    (void)derive(&now, 0, 0);
    assert_window(&now, PL_HAIRCUT_DAY, (int32_t[]){30000, 30000, 30000, 30000, 0});
    (void)derive(&now, 50000, HOUR);
    assert_window(&now, PL_HAIRCUT_DAY, (int32_t[]){30000, 182500, 30000, 30000, 152500});
    (void)derive(&now, 50000, DAY + HOUR);
    assert_window(&now, PL_HAIRCUT_DAY, (int32_t[]){182500, 182500, 30000, 182500, 152500});
    assert_int_equal(now.haircut.windows[PL_HAIRCUT_DAY].since_ms, T0 + DAY);
    (void)derive(&now, 20000, 40 * (int64_t)DAY);
    assert_window(&now, PL_HAIRCUT_DAY, (int32_t[]){182500, 182500, 182500, 182500, 0});
    assert_window(&now, PL_HAIRCUT_MONTH, (int32_t[]){182500, 182500, 30000, 182500, 152500});
    assert_window(&now, PL_HAIRCUT_YEAR, (int32_t[]){30000, 182500, 30000, 30000, 152500});
    (void)derive(&now, 20000, 60 * (int64_t)DAY);
    assert_window(&now, PL_HAIRCUT_MONTH, (int32_t[]){77500, 182500, 182500, 182500, 0});
    assert_window(&now, PL_HAIRCUT_YEAR, (int32_t[]){30000, 182500, 30000, 30000, 47500});
}

/* An outage of the marks leaves the last volatility in force. */
static void unknown_volatility_changes_nothing(void **state)
{
    (void)state;
    struct pl_instrument now = {0};
    (void)derive(&now, 50000, 0);
    (void)derive(&now, 0, 14 * HOUR);
    assert_tiers(&now, 182500, 140000);
    assert_int_equal(now.haircut.volatility_fast_ppm, 50000);
    assert_false(derive(&now, 0, 100 * (int64_t)DAY));
}

static bool derive_under(struct pl_instrument *now, struct pl_instrument next, uint32_t sigma,
                         int64_t at_ms)
{
    const struct pl_haircut_news news = {&policy, sigma, sigma, T0 + at_ms, {0}};
    const bool has_news = pl_haircut_derive(now, &news, &next);
    *now = next;
    return has_news;
}

/* What the risk desk writes counts at once: a higher base, a lower cap. */
static void the_desk_is_obeyed_at_once(void **state)
{
    (void)state;
    struct pl_instrument now = {0}, next = base();
    (void)derive(&now, 50000, 0);
    next.haircut_long = (struct pl_tier_ppm){{240000, 200000, 160000, 150000}};
    assert_true(derive_under(&now, next, 50000, HOUR));
    assert_tiers(&now, 200000, 150000);
    assert_int_equal(now.haircut.target.at[PL_TIER_MAINTENANCE], 150000);
    /* A lower base releases by the rule. */
    assert_true(derive_under(&now, base(), 50000, 2 * HOUR));
    assert_tiers(&now, 200000, 150000);
    next = base();
    next.haircut_model.cap_ppm = 100000;
    assert_true(derive_under(&now, next, 50000, 3 * HOUR));
    assert_tiers(&now, 100000, 100000);
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        assert_true(now.haircut.moves[tier].from_ppm <= 100000);
}

/* A clock that goes back lets nothing rise or fall. */
static void a_clock_may_go_back(void **state)
{
    (void)state;
    struct pl_instrument now = {0};
    (void)derive(&now, 0, 0);
    (void)derive(&now, 50000, 10 * HOUR);
    (void)derive(&now, 50000, 12 * HOUR);
    assert_tiers(&now, 182500, 30000);
    assert_false(derive(&now, 50000, 1 * HOUR));
    assert_tiers(&now, 182500, 30000);
}

/* ---- scales --------------------------------------------------------------------------------- */

/* Mango's cache.rs, cases 10 and 11: weights .5 with 7,500 and 100,000 deposited over 5,000 and 10,000 lend
 * 500 * .3333 + 1000 * .05; debts at 1.5 with 1.5 and 10 times what is free cost 500 * 2.25 + 1000 * 15. dYdX's
 * tier: 20 % at half way from 10^12 to 2 10^12 asks for 60 %. */
static void scales_as_published(void **state)
{
    (void)state;
    assert_int_equal(PL_PPM - pl_haircut_scaled_asset(500000, 7500, 5000), 333333);
    assert_int_equal(PL_PPM - pl_haircut_scaled_asset(500000, 100000, 10000), 50000);
    assert_int_equal(pl_haircut_scaled_asset(500000, 5000, 5000), 500000);
    assert_int_equal(pl_haircut_scaled_asset(500000, 5001, 5000), 500100); /* 499900.02 lent */
    assert_int_equal(PL_PPM + pl_haircut_scaled_debt(500000, 12000, 8000), 2250000);
    assert_int_equal(PL_PPM + pl_haircut_scaled_debt(500000, 100000, 10000), 15000000);
    assert_int_equal(pl_haircut_scaled_debt(500000, 8000, 8000), 500000);
    assert_int_equal(pl_haircut_scaled_debt(500000, 8001, 8000), 500188); /* 187.5 above */
    assert_int_equal(pl_haircut_scaled_debt(500000, INT64_MAX, 1), INT32_MAX);
    const int64_t trillion = 1000000000000;
    assert_int_equal(pl_haircut_scaled_margin(200000, 3 * trillion / 2, trillion, 2 * trillion), 600000);
    assert_int_equal(pl_haircut_scaled_margin(200000, 2 * trillion, trillion, 2 * trillion), PL_PPM);
    assert_int_equal(pl_haircut_scaled_margin(200000, INT64_MAX, trillion, 2 * trillion), PL_PPM);
    assert_int_equal(pl_haircut_scaled_margin(200000, trillion, trillion, 2 * trillion), 200000);
    assert_int_equal(pl_haircut_scaled_margin(200000, trillion + 1, trillion, 2 * trillion), 200001);
}

static struct pl_instrument scaled(void)
{
    struct pl_instrument next = {.is_listed = true, .haircut_model = plain(),
                                 .haircut_long = {{220000, 200000, 100000, 50000}},
                                 .haircut_short = {{130000, 120000, 60000, 30000}}};
    next.haircut_model.multiple = all(0); /* volatility asks for nothing */
    next.haircut_model.cap_ppm = 700000;
    return next;
}

/* Initial margin and what is above it, at once and on the grid, up to the cap; nothing below. */
static void scales_touch_initial_margin_only(void **state)
{
    (void)state;
    static const struct pl_policy rates = {
        .haircut_rise_ppm_per_hour = 1000, .haircut_fall_ppm_per_day = 24 * 10000,
        .haircut_hold_ms = DAY, .haircut_interval_ms = 1};
    struct pl_haircut_news news = {.policy = &rates, .now_ms = T0};
    struct pl_instrument first = scaled(), next = scaled();
    first.haircut_model.scales[PL_SCALE_DEPOSITS] = (struct pl_haircut_scale){.from_usd = 1000};
    first.haircut_model.scales[PL_SCALE_BORROWS] = (struct pl_haircut_scale){.from_usd = 1000};
    next = first;
    pl_haircut_derive(NULL, &news, &first); /* nothing known */
    assert_int_equal(first.haircut_long.at[PL_TIER_INITIAL], 200000);
    assert_int_equal(first.haircut_short.at[PL_TIER_INITIAL], 120000);
    news.figures_usd[PL_SCALE_DEPOSITS] = 1250; /* 800000 / 1.25 = 640000 lent */
    news.figures_usd[PL_SCALE_BORROWS] = 1100;  /* 1120000 * 1.1 - 10^6 = 232000 */
    assert_true(pl_haircut_derive(&first, &news, &next));
    assert_int_equal(next.haircut_long.at[PL_TIER_INITIAL], 360000);
    assert_int_equal(next.haircut_long.at[PL_TIER_ALERT], 377500); /* 624000 lent; up to the grid */
    assert_int_equal(next.haircut_long.at[PL_TIER_END], 100000);
    assert_int_equal(next.haircut_long.at[PL_TIER_MAINTENANCE], 50000);
    assert_int_equal(next.haircut_short.at[PL_TIER_INITIAL], 232500);
    assert_int_equal(next.haircut_short.at[PL_TIER_ALERT], 245000); /* 243000 */
    assert_int_equal(next.haircut_short.at[PL_TIER_END], 60000);
    assert_int_equal(next.haircut.base_short.at[PL_TIER_INITIAL], 120000);
    assert_true(next.haircut.has_short);

    /* A figure that is lost stands; one that is known again is believed again, within the cap. */
    struct pl_instrument lost = scaled(), again = scaled();
    memcpy(lost.haircut_model.scales, first.haircut_model.scales, sizeof lost.haircut_model.scales);
    memcpy(again.haircut_model.scales, first.haircut_model.scales, sizeof lost.haircut_model.scales);
    news.figures_usd[PL_SCALE_DEPOSITS] = news.figures_usd[PL_SCALE_BORROWS] = 0;
    assert_false(pl_haircut_derive(&next, &news, &lost));
    assert_int_equal(lost.haircut_long.at[PL_TIER_INITIAL], 360000);
    assert_int_equal(lost.haircut_short.at[PL_TIER_INITIAL], 232500);
    news.figures_usd[PL_SCALE_DEPOSITS] = news.figures_usd[PL_SCALE_BORROWS] = 100000;
    assert_true(pl_haircut_derive(&lost, &news, &again));
    assert_int_equal(again.haircut_long.at[PL_TIER_INITIAL], 700000);
    assert_int_equal(again.haircut_short.at[PL_TIER_INITIAL], 700000);
    assert_int_equal(again.haircut_short.at[PL_TIER_ALERT], 700000);
}

/* A perp's margin by open interest, both sides alike. */
static void open_interest_moves_both_sides(void **state)
{
    (void)state;
    static const struct pl_policy rates = {
        .haircut_rise_ppm_per_hour = 1000, .haircut_fall_ppm_per_day = 10000, .haircut_interval_ms = 1};
    struct pl_haircut_news news = {.policy = &rates, .now_ms = T0,
                                   .figures_usd[PL_SCALE_OPEN_INTEREST] = 1500};
    struct pl_instrument next = scaled();
    next.haircut_short = next.haircut_long;
    next.haircut_model.cap_ppm = PL_PPM;
    next.haircut_model.with_short = true;
    next.haircut_model.scales[PL_SCALE_OPEN_INTEREST] =
        (struct pl_haircut_scale){.from_usd = 1000, .to_usd = 2000};
    assert_true(pl_haircut_derive(NULL, &news, &next));
    assert_int_equal(next.haircut_long.at[PL_TIER_INITIAL], 600000);
    assert_int_equal(next.haircut_long.at[PL_TIER_ALERT], 610000);
    assert_memory_equal(&next.haircut_short, &next.haircut_long, sizeof next.haircut_long);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_out_as_published),
        cmocka_unit_test(stress_and_floor_as_published),
        cmocka_unit_test(the_stressed_share_rounds_up),
        cmocka_unit_test(buffer_as_published),
        cmocka_unit_test(impact_as_published),
        cmocka_unit_test(horizon_follows_liquidity),
        cmocka_unit_test(cap_and_grid),
        cmocka_unit_test(rises_at_once_or_by_ramp),
        cmocka_unit_test(falls_late_and_slowly),
        cmocka_unit_test(arrival_is_rounded_up),
        cmocka_unit_test(windows_tell_how_it_moved),
        cmocka_unit_test(unknown_volatility_changes_nothing),
        cmocka_unit_test(the_desk_is_obeyed_at_once),
        cmocka_unit_test(a_clock_may_go_back),
        cmocka_unit_test(scales_as_published),
        cmocka_unit_test(scales_touch_initial_margin_only),
        cmocka_unit_test(open_interest_moves_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
