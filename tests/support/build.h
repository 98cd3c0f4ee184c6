/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds small parameter sets, marks and portfolios for tests. Everything starts valid: an
 * instrument has no haircuts, no discount, one price source and a wide band until the test says
 * otherwise through &build->parameters.instruments[index]. Prices are in ticks, cash in USD.
 */
#ifndef PL_TESTS_SUPPORT_BUILD_H
#define PL_TESTS_SUPPORT_BUILD_H

#include "lib/plimsoll.h"

/* About 8 MB: static or allocated. */
struct build {
    struct pl_names names;
    struct pl_parameters parameters;
    struct pl_mark marks[PL_INSTRUMENTS_MAX];
    struct pl_market market;
    int64_t now_ms;
};

/* One USD in VU, and in units of an excess (10^-18 USD). */
static const pl_i128 BUILD_USD = 1000000000000;
static const pl_i128 BUILD_EXCESS_USD = (pl_i128)1000000000000 * 1000000;

/* A new empty set, market and marks. */
void build_init(struct build *build);

uint32_t build_factor(struct build *build, const char *id);
uint32_t build_dependency(struct build *build, const char *id);
uint32_t build_source(struct build *build, const char *id, bool settles_by_time);

/* Lists an instrument, or makes a listed one new. */
uint32_t build_instrument(struct build *build, const char *id, enum pl_instrument_kind kind,
                          uint32_t lot_decimals, uint32_t tick_decimals);

struct pl_tier_ppm build_tiers(int32_t alert, int32_t initial, int32_t end, int32_t maintenance);
/* The same at all tiers. */
struct pl_tier_ppm build_flat(int32_t ppm);

void build_haircuts(struct build *build, uint32_t instrument, struct pl_tier_ppm haircut_long,
                    struct pl_tier_ppm haircut_short);
void build_load(struct build *build, uint32_t instrument, uint32_t factor, struct pl_tier_ppm load);
void build_bracket(struct build *build, uint32_t instrument, int64_t threshold_usd,
                   struct pl_tier_ppm rate);
void build_loss(struct build *build, uint32_t instrument, uint32_t dependency,
                struct pl_tier_ppm loss);
/* 33 scenarios: moves of -16 to 16 % in three layers of volatility, and a short minimum. */
void build_scenarios(struct build *build);
/* Appends to the liquidity order; its discount. */
void build_sellable(struct build *build, uint32_t instrument, int32_t discount_ppm);

/* Finishes the set under the next epoch; the test ends if it is refused. */
void build_finish(struct build *build);

/* A live mark of now, without interval, or with one. */
void build_price(struct build *build, uint32_t instrument, int64_t ticks);
void build_interval(struct build *build, uint32_t instrument, int64_t low_ticks,
                    int64_t high_ticks);
void build_status(struct build *build, uint32_t instrument, enum pl_mark_status status);
/* Brings the market up to the marks, set and time of the build. */
void build_update(struct build *build);

struct pl_leg build_leg(uint32_t instrument, int64_t lots);
/* Borrows `legs`. */
struct pl_portfolio build_portfolio(const struct pl_leg *legs, uint32_t leg_count, pl_i128 cash_vu);

/* Fails the test unless they are equal, and prints both. */
void build_assert_i128(pl_i128 value, pl_i128 expected, const char *what);

#endif
