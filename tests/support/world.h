/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds for property tests: parameter sets, marks and portfolios, made to be nasty. All is
 * a function of one seed, so a printed seed is a reproducer: PLIMSOLL_SEED=<seed> starts with it.
 */
#ifndef PL_TESTS_SUPPORT_WORLD_H
#define PL_TESTS_SUPPORT_WORLD_H

#include "tests/support/model.h"
#include "tests/support/random.h"

enum { WORLD_INSTRUMENTS_MAX = 64, WORLD_UNLISTED = 3, WORLD_HALTS_MAX = 4, WORLD_OPTIONS_MAX = 5 };

/* What a test wants to do without. */
struct world_options {
    int venues;                /* 1: depth ladders and lot steps; 2: also least and largest orders */
    bool no_brackets;              /* requirements are homogeneous */
    bool no_discount;              /* sales are free of cost */
    bool all_sellable;             /* the liquidity order names every instrument */
    bool coarse;                   /* few lots per leg: small enough to try every sale */
    bool has_options;              /* options, and scenarios for what moves with their underlyings */
    uint32_t bad_marks;            /* of 16: instruments whose mark is not LIVE */
    uint32_t instrument_count_max; /* 0: the usual number */
};

struct world {
    struct world_options options;
    uint64_t seed;
    struct test_random random;
    struct pl_names names;
    struct pl_parameters parameters;
    struct pl_mark marks[PL_INSTRUMENTS_MAX];
    struct pl_option_grid grids[WORLD_OPTIONS_MAX]; /* of the options, in turn */
    uint32_t option_count;
    struct pl_market market;
    struct pl_chain_halt halts[WORLD_HALTS_MAX];
    int64_t now_ms;
    uint32_t instruments[WORLD_INSTRUMENTS_MAX]; /* listed, in random order */
    uint32_t instrument_count;
    bool is_never_priced[WORLD_INSTRUMENTS_MAX];
    uint32_t dust; /* an instrument whose lots are worth 1 VU and 1 VU less 1 ppm of margin */
    uint32_t unlisted[WORLD_UNLISTED];
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio; /* of `legs` */
    const char *shape;             /* of the portfolio, for messages */
};

/* Size of a run: PLIMSOLL_LONG=1 makes it ten times as long. */
uint64_t world_runs(uint64_t usual);

/* Uniform in 0 .. limit - 1. */
uint64_t world_below(struct world *world, uint64_t limit);
/* Uniform in least .. most. */
int64_t world_between(struct world *world, int64_t least, int64_t most);
/* True once in `times`. */
bool world_chance(struct world *world, uint32_t times);
/* 1 .. 2^bits - 1, all magnitudes alike. */
int64_t world_magnitude(struct world *world, unsigned bits);

/* A new valid parameter set, without any mark yet. */
void world_begin(struct world *world, uint64_t seed);
/* Falls from `top` at the alert tier to maintenance, never below 0. */
struct pl_tier_ppm world_nested(struct world *world, int64_t top);
struct pl_id world_named(struct world *world, const char *prefix, uint32_t number);
/* A new name and its number. */
uint32_t world_intern(struct world *world, const char *prefix, uint32_t number);
void world_fill_price_rules(struct world *world, struct pl_price_rules *rules);
/* Adds a volatility, options, scenarios; nothing unless they are wanted (world_options.c). */
void world_fill_options(struct world *world);
/* A new grid for an option, around its underlying's mark. */
void world_mark_option(struct world *world, uint32_t index, struct pl_mark *mark);

/* Fills the set without finishing it; returns what makes it valid to its author. */
void world_fill_parameters(struct world *world, uint64_t seed);
/* Gives the filled set a random graph of exposures, or none; it stays valid. */
void world_expose(struct world *world);
/* New marks for all instruments, applied to the market. */
void world_mark(struct world *world);
/* New portfolio: legs with a LIVE mark only, all final. */
void world_hold(struct world *world);
/* Opens some legs and the cash of the present portfolio: not final, unlisted, badly marked. */
void world_open(struct world *world);
/* Sets the cash so that `tier` has excess + lacking = least excess >= 0 that cash allows. */
void world_level(struct world *world, enum pl_tier tier, pl_i128 lacking_vu);

/* Prints everything that reproduces the present portfolio by hand. */
void world_print(const struct world *world);
/* Prints a message and the portfolio, and fails the test. */
_Noreturn void world_fail(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Decimal text, borrowed until some calls later. */
const char *world_text(const mpz_t number);
const char *world_text_i128(pl_i128 value);

#endif
