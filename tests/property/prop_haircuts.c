/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Derived haircuts over seeded walks of volatility, looked at now and then by services that remember
 * nothing but the last set, under a desk that changes its mind. Against a naive reading of the rule: a
 * haircut walks the grid one step at a time, and each step has its due time.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/price/haircut.h"
#include "tests/support/build.h"
#include "tests/support/random.h"

enum { GRID = 2500, LOOKS_MAX = 120 };
static const int64_t HOUR = 3600000, DAY = 86400000;

static struct test_random random_walk;
static struct build build;
static uint32_t figure; /* the statistic's instrument */

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(&random_walk, (uint64_t)(most - least + 1));
}

static bool once_in(unsigned times)
{
    return test_random_below(&random_walk, times) == 0;
}

/* ---- the naive reading ---------------------------------------------------------------------- */

/* h of RISK 1.6 in long double, without rounding. */
static long double naive_chain(const struct pl_haircut_model *model, enum pl_tier tier, long double fast,
                               long double slow)
{
    const long double sigma = fast > slow ? fast : slow, k = model->multiple.at[tier] / 1e6L;
    long double days = model->horizon.at[tier] / 1e6L;
    if (model->venue_usd > 0)
        days = fmaxl(days, (long double)model->venue_usd /
                               (model->participation_ppm / 1e6L * (long double)model->daily_volume_usd));
    const long double root = sqrtl(days), c = 1 - expl(-k * sigma * root);
    const long double stress = 1 - expl(-k * model->stress_volatility_ppm / 1e6L * root);
    const long double floor = 1 - expl(-k * model->floor_volatility_ppm / 1e6L * root);
    const long double share = 1 + model->buffer_ppm / 1e6L;
    const long double a = fminl(share * c, fmaxl(c, share * (1 - expl(-k * slow * root))));
    const long double b = 0.75L * c + 0.25L * stress;
    long double core = 0;
    const bool has_a = model->buffer_ppm > 0, has_b = model->stress_volatility_ppm > 0,
               has_c = model->floor_volatility_ppm > 0;
    core = has_a ? fmaxl(core, a) : core;
    core = has_b ? fmaxl(core, b) : core;
    core = has_c ? fmaxl(core, fmaxl(c, floor)) : core;
    core = has_a || has_b || has_c ? core : c;
    long double impact = 0;
    if (model->reference_usd > 0)
        impact = model->impact_ppm / 1e6L * sigma *
                 sqrtl((long double)model->reference_usd / (long double)model->daily_volume_usd);
    return core + model->half_spread_ppm / 1e6L + impact + model->addition_ppm / 1e6L;
}

/* What the venue's figures make of a haircut, in parts of 1. */
static long double naive_scaled(const struct pl_instrument *next, enum pl_scale_kind kind, long double h)
{
    const struct pl_haircut_scale *scale = &next->haircut_model.scales[kind];
    const long double now = (long double)next->haircut.figures_usd[kind], from = (long double)scale->from_usd;
    if (scale->from_usd == 0 || now == 0)
        return h;
    if (kind == PL_SCALE_DEPOSITS)
        return 1 - (1 - h) * fminl(1, from / now);
    if (kind == PL_SCALE_BORROWS)
        return (1 + h) * fmaxl(1, now / from) - 1;
    const long double way = (now - from) / ((long double)scale->to_usd - from);
    return h + (1 - h) * fminl(1, fmaxl(0, way));
}

struct naive_tier { int64_t value, from, since; int direction; };

/* Steps upward one by one, each at its time. */
static int64_t climb(const struct naive_tier *tier, int64_t target, int64_t rate, int64_t now)
{
    int64_t at = tier->value, step = tier->from - tier->from % GRID;
    for (;;) {
        step = step + GRID < target ? step + GRID : target;
        /* due when rate * (now - since) / HOUR >= step - from */
        if (now < tier->since || (pl_i128)rate * (now - tier->since) < (pl_i128)(step - tier->from) * HOUR)
            return at;
        at = step > at ? step : at;
        if (step == target)
            return target;
    }
}

static int64_t sink(const struct naive_tier *tier, int64_t target, const struct pl_policy *policy,
                    int64_t now)
{
    int64_t at = tier->value, step = tier->from % GRID ? tier->from - tier->from % GRID + GRID : tier->from;
    const int64_t begin = tier->since + policy->haircut_hold_ms;
    for (;;) {
        step = step - GRID > target ? step - GRID : target;
        if (now < begin || (pl_i128)policy->haircut_fall_ppm_per_day * (now - begin) <
                               (pl_i128)(tier->from - step) * DAY)
            return at;
        at = step < at ? step : at;
        if (step == target)
            return target;
    }
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value > most ? (most > least ? most : least) : value < least ? least : value;
}

static void naive_move(struct naive_tier *tier, bool is_strict, int64_t target,
                       const struct pl_policy *policy, int64_t now)
{
    const int direction = (target > tier->value) - (target < tier->value);
    if (direction == 0 || direction != tier->direction) {
        tier->from = tier->value;
        tier->since = now;
    }
    tier->direction = direction;
    if (direction > 0 && is_strict)
        tier->value = target;
    else if (direction > 0)
        tier->value = climb(tier, target, policy->haircut_rise_ppm_per_hour, now);
    else if (direction < 0)
        tier->value = sink(tier, target, policy, now);
}

/* ---- the walk ------------------------------------------------------------------------------- */

static const enum pl_tier upward[] = {PL_TIER_MAINTENANCE, PL_TIER_END, PL_TIER_INITIAL,
                                      PL_TIER_ALERT};

static struct pl_tier_ppm nested(int64_t least, int64_t most)
{
    struct pl_tier_ppm ppm;
    int64_t at = between(least, most);
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        ppm.at[upward[i]] = (int32_t)at;
        at = between(at, at + (most - least) / 3);
    }
    return ppm;
}

static void choose_model(struct pl_haircut_model *model)
{
    *model = (struct pl_haircut_model){.is_present = true, .multiple = nested(0, 4000000),
                                       .horizon = nested(100000, 3000000)};
    model->cap_ppm = once_in(3) ? (int32_t)between(1, PL_PPM) : PL_PPM;
    model->daily_volume_usd = between(1, 1000000000000);
    if (once_in(2)) {
        model->venue_usd = between(1, 1000000000000);
        model->participation_ppm = (int32_t)between(1, PL_PPM);
    }
    if (once_in(2)) {
        model->reference_usd = between(1, 1000000000);
        model->impact_ppm = (int32_t)between(1, 2000000);
    }
    model->half_spread_ppm = once_in(2) ? (int32_t)between(0, 5000) : 0;
    model->buffer_ppm = once_in(2) ? (int32_t)between(1, 400000) : 0;
    model->stress_volatility_ppm = once_in(2) ? (int32_t)between(1, 300000) : 0;
    model->floor_volatility_ppm = once_in(2) ? (int32_t)between(1, 100000) : 0;
    model->addition_ppm = once_in(4) ? (int32_t)between(0, 50000) : 0;
    for (int k = 0; k < PL_SCALES; k++)
        if (once_in(4))
            model->scales[k] = (struct pl_haircut_scale){
                .figure = figure, .from_usd = between(1, 1000000),
                .to_usd = k == PL_SCALE_OPEN_INTEREST ? between(1000001, 5000000) : 0};
    model->with_short = once_in(3);
}

static void choose_policy(struct pl_policy *policy)
{
    policy->haircut_rise_ppm_per_hour = (int32_t)between(1, once_in(2) ? 20000 : 2000000);
    policy->haircut_fall_ppm_per_day = (int32_t)between(1, once_in(2) ? 20000 : 2000000);
    policy->haircut_hold_ms = between(0, 2 * DAY);
    policy->haircut_interval_ms = 60000;
}

/* On the grid if it is above the base, where one ppm of rounding may cross it. */
static int64_t up_from(int64_t base, long double ppm, int allowance, int64_t cap)
{
    const int64_t whole = (int64_t)ceill(fminl(ppm, 1e9L) + allowance);
    return whole <= base ? base : clamp((whole + GRID - 1) / GRID * GRID, base, cap);
}

static bool has_initial(enum pl_tier tier)
{
    return tier == PL_TIER_INITIAL || tier == PL_TIER_ALERT;
}

static void check_short(const struct pl_instrument *next, const struct pl_instrument *base)
{
    const struct pl_haircut_model *model = &next->haircut_model;
    int64_t below[2] = {INT32_MIN, INT32_MIN};
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        const enum pl_tier tier = upward[i];
        const int64_t own = base->haircut_short.at[tier];
        const int64_t followed = model->with_short ? own + next->haircut_long.at[tier] -
                                                         base->haircut_long.at[tier] : own;
        const long double scaled = 1e6L * naive_scaled(next, PL_SCALE_BORROWS, (long double)own / 1e6L);
        for (int k = 0; k < 2; k++) {
            int64_t least = clamp(followed, own, model->cap_ppm);
            int64_t other = has_initial(tier) ? up_from(own, scaled, k ? 1 : -1, model->cap_ppm) : own;
            least = other > least ? other : least;
            below[k] = least > below[k] ? least : below[k];
        }
        assert_in_range(next->haircut_short.at[tier], below[0], below[1]);
    }
}

static void check_target(const struct pl_instrument *next, const struct pl_haircut_news *news,
                         int32_t below[2], enum pl_tier tier)
{
    const long double h = 1e6L * naive_chain(&next->haircut_model, tier, news->fast_ppm / 1e6L,
                                             news->slow_ppm / 1e6L);
    /* Each of up to four ppm that are rounded up, and one that is rounded down, may cross the grid. */
    for (int i = 0; i < 2; i++) {
        const int64_t up = ((int64_t)ceill(h + (i ? 4 : -1)) + GRID - 1) / GRID * GRID;
        int64_t target = clamp(up, next->haircut.base.at[tier], next->haircut_model.cap_ppm);
        for (int k = 0; k < PL_SCALES && has_initial(tier); k++) {
            const long double base = next->haircut.base.at[tier] / 1e6L;
            if (k == PL_SCALE_BORROWS)
                continue;
            const int64_t scaled = up_from(next->haircut.base.at[tier], 1e6L * naive_scaled(next, k, base),
                                           i ? 1 : -1, next->haircut_model.cap_ppm);
            target = scaled > target ? scaled : target;
        }
        below[i] = target > below[i] ? (int32_t)target : below[i];
    }
    assert_in_range(next->haircut.target.at[tier], below[0], below[1]);
}

/* One look at the market; *now becomes what is in force. */
static void look(struct pl_instrument *now, const struct pl_instrument *base,
                 const struct pl_haircut_news *news, struct naive_tier naive[PL_TIER_COUNT])
{
    struct pl_instrument next = *base;
    const struct pl_instrument last = *now;
    int32_t below[2] = {0, 0};
    int64_t beneath = INT64_MIN;
    const bool has_news = pl_haircut_derive(&last, news, &next);
    for (int i = 0; i < PL_TIER_COUNT; i++) {
        const enum pl_tier tier = upward[i];
        struct naive_tier *own = &naive[tier];
        check_target(&next, news, below, tier);
        own->value = clamp(own->value, base->haircut_long.at[tier], base->haircut_model.cap_ppm);
        own->from = clamp(own->from, base->haircut_long.at[tier], base->haircut_model.cap_ppm);
        naive_move(own, tier == PL_TIER_INITIAL || tier == PL_TIER_ALERT,
                   next.haircut.target.at[tier], news->policy, news->now_ms);
        own->value = own->value > beneath ? own->value : beneath;
        beneath = own->value;
        if (own->value == next.haircut.target.at[tier])
            own->direction = 0; /* only now: held up by the tier below it goes on falling */
        if (next.haircut_long.at[tier] != own->value)
            fail_msg("tier %d: %d is not %lld", (int)tier, next.haircut_long.at[tier],
                     (long long)own->value);
        const int32_t value = next.haircut_long.at[tier];
        assert_true(value >= base->haircut_long.at[tier]);
        assert_true(value <= base->haircut_long.at[tier] || value <= base->haircut_model.cap_ppm);
    }
    check_short(&next, base);
    for (int k = 0; k < PL_SCALES; k++)
        assert_int_equal(next.haircut.figures_usd[k],
                         news->figures_usd[k] > 0 ? news->figures_usd[k] : last.haircut.figures_usd[k]);
    if (!has_news)
        assert_memory_equal(&next.haircut_short, &last.haircut_short, sizeof next.haircut_short);
    if (!has_news)
        assert_memory_equal(&next.haircut_long, &last.haircut_long, sizeof next.haircut_long);
    build.parameters.instruments[0] = next;
    build.parameters.base_epoch = 1;
    build.parameters.policy = *news->policy;
    if (pl_parameters_finish(&build.parameters, &build.names))
        fail_msg("%s", pl_err_text());
    /* As the price service: what is not news is not published, and so not remembered. */
    if (has_news)
        *now = build.parameters.instruments[0];
}

static void walk(uint64_t seed)
{
    struct pl_policy policy = build.parameters.policy;
    struct pl_instrument base = build.parameters.instruments[0], now = {0};
    struct naive_tier naive[PL_TIER_COUNT] = {0};
    random_walk = (struct test_random){seed};
    base.haircut = (struct pl_haircut){0};
    base.haircut_long = nested(0, 100000);
    base.haircut_short = nested(0, 100000);
    choose_model(&base.haircut_model);
    choose_policy(&policy);
    struct pl_haircut_news news = {&policy, (uint32_t)between(1, 100000), (uint32_t)between(1, 100000),
                                   1700000000000, {0}};
    for (int i = 0; i < PL_TIER_COUNT; i++)
        naive[i].value = base.haircut_long.at[i];
    for (int i = 0; i < LOOKS_MAX; i++) {
        look(&now, &base, &news, naive);
        if (once_in(3))
            news.fast_ppm = (uint32_t)between(1, once_in(8) ? 2000000 : 100000);
        if (once_in(3))
            news.slow_ppm = (uint32_t)between(1, once_in(8) ? 2000000 : 100000);
        for (int k = 0; k < PL_SCALES; k++)
            if (once_in(4))
                news.figures_usd[k] = once_in(3) ? 0 : between(1, once_in(3) ? 100000000 : 1500000);
        if (once_in(20))
            base.haircut_long = nested(0, 200000);
        if (once_in(20))
            base.haircut_short = nested(0, 200000);
        if (once_in(20))
            choose_model(&base.haircut_model);
        news.now_ms += once_in(2) ? between(1, HOUR) : between(1, 3 * DAY);
    }
}

static void haircuts_walk_as_the_rule_says(void **state)
{
    (void)state;
    const uint64_t seed = test_random_start(20251010).state;
    const uint64_t walks = getenv("PLIMSOLL_LONG") ? 200000 : 4000;
    build_init(&build);
    (void)build_instrument(&build, "ETH", PL_INSTRUMENT_SPOT, 8, 4);
    figure = build_instrument(&build, "VENUE", PL_INSTRUMENT_STATISTIC, 12, 0);
    for (uint64_t i = 0; i < walks; i++)
        walk(seed + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(haircuts_walk_as_the_rule_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
