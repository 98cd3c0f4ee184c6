/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model of margin, bounds, sales and parameter rules: written from the specification
 * alone (lib/plimsoll.h and the risk model behind it), with GMP integers of any size, one formula
 * per function, and nothing that is fast. Property tests run it beside the library on the same
 * structs.
 *
 * Where the specification leaves the library a choice the model says so instead of choosing: a
 * range is "either", a rule "may" be named, a bound lies between the true extreme and interval
 * arithmetic.
 */
#ifndef PL_TESTS_SUPPORT_MODEL_H
#define PL_TESTS_SUPPORT_MODEL_H

#include <gmp.h>

#include "lib/plimsoll.h"

enum { MODEL_TEXT_BYTES = 256, MODEL_KINDS = PL_TERM_SCENARIO + 1 };

/* ==== numbers ================================================================================ */

void model_set_i128(mpz_t number, pl_i128 value);
/* Sign of number - value. */
int model_compare_i128(const mpz_t number, pl_i128 value);
/* The value of a number that is known to fit. */
pl_i128 model_get_i128(const mpz_t number);

/* ==== what is known and what is open ========================================================= */

/*
 * What one lot of an option is worth, low and high: now, and in each scenario. While it is in doubt it is
 * worth between 0 and `bound`, and no more can be said of a scenario than that what it is worth there is
 * between 0 and the bound, moved as far up as the underlying is.
 */
struct model_option {
    bool is_live;
    int64_t now[2], then[2][PL_OPTION_SCENARIOS_MAX];
    int64_t bound;
    int64_t notional; /* underlying value; in doubt the most that it may be */
    int64_t peak;     /* the largest of now, then and notional              */
};

/*
 * One leg: position x anywhere in [x[0], x[1]], worth n = x * lot and charged unc = x * fall (long)
 * or |x| * rise (short). A leg with a price is counted in lots. One with a bad price is counted in
 * VU (lot = 1, fall = rise = 0), and "no bound" is 10^60 VU, far beyond everything real.
 */
struct model_leg {
    const struct pl_instrument *rules; /* NULL: unlisted, worth its value and charged nothing */
    struct pl_instrument own[2];       /* the instrument, with the worst and the best haircuts that its
                                          mode may have                                        */
    int64_t halt[2][PL_TIER_COUNT];    /* ppm of what is owned, for a halted chain or bridge   */
    int taken;                         /* which of the two                                     */
    mpz_t x[2], lot, fall, rise;
    mpz_t short_lot;                   /* where x is below 0: lot, but of an option            */
    mpz_t charge[2]; /* least and greatest unc that any reading of it allows */
    uint32_t group;                    /* scenario_underlying; UINT32_MAX: none                */
    bool is_option;
    struct model_option option;
    mpz_t least_lots;                  /* of an option                                         */
};

struct model_box {
    const struct pl_parameters *set;
    uint32_t leg_count;
    struct model_leg legs[PL_LEGS_MAX];
    mpz_t cash[2];
    mpz_t peak;        /* gross value of the options at their highest in any scenario */
    bool is_open;      /* some leg or the cash is not certain */
    bool is_unbounded; /* some leg has no bound */
};

/* One way things may be: a point of the box. */
struct model_sheet {
    const struct model_box *box;
    mpz_t x[PL_LEGS_MAX], cash;
    uint64_t choice; /* what options in doubt are worth in scenarios: 0 the least, ~0 the most */
};

void model_box_init(struct model_box *box);
void model_box_deinit(struct model_box *box);
/* The box of a portfolio; a certain one is a single point. */
void model_box_fill(struct model_box *box, const struct pl_market *market,
                    const struct pl_portfolio *portfolio);
/* Where debts that are not final leave open what haircuts are: the best (after a fill) or the worst. */
void model_box_take(struct model_box *box, bool is_best);

void model_sheet_init(struct model_sheet *sheet);
void model_sheet_deinit(struct model_sheet *sheet);
/* The corner of the box that `mask` names: bit i set takes leg i (bit 63: the cash) at its top. What
 * options in doubt are worth in scenarios is some function of the mask, the least for 0 and the most for
 * all bits. */
void model_sheet_corner(struct model_sheet *sheet, const struct model_box *box, uint64_t mask);
/* Moves one leg to lower + (upper - lower) * part / 2^32 of its interval. */
void model_sheet_place(struct model_sheet *sheet, uint32_t leg, uint32_t part);

/* ==== evaluation ============================================================================= */

/* Contributions to the excess in VU * ppm: what costs margin is negative. */
struct model_terms {
    mpz_t by_kind[MODEL_KINDS]; /* by enum pl_term_kind */
    mpz_t excess;                          /* their sum */
};

void model_terms_init(struct model_terms *terms);
void model_terms_deinit(struct model_terms *terms);
void model_evaluate(const struct model_sheet *sheet, enum pl_tier tier, struct model_terms *terms);

/* What a leg is worth at x. */
void model_value(const struct model_leg *leg, const mpz_t x, mpz_t value);
/* Gross value and cash are within the exact range. */
bool model_is_in_range(const struct model_sheet *sheet);
/* The same for both ends of a box; in between, the library may add up the larger ends of legs. */
enum model_range { MODEL_INSIDE, MODEL_EITHER, MODEL_OUTSIDE };
enum model_range model_box_range(const struct model_box *box);

/* Equity (VU) at a sheet. */
void model_equity(const struct model_sheet *sheet, mpz_t equity);

/* The true least excess in the box: the excess is concave in x, so it is that of some corner. At
 * most 12 legs are open. */
void model_box_minimum(const struct model_box *box, enum pl_tier tier, mpz_t least);
/* The best sheet that climbing one coordinate at a time from `sheet` finds; leaves it there. */
void model_box_climb(const struct model_box *box, enum pl_tier tier, struct model_sheet *sheet,
                     mpz_t best);
/* Plain interval arithmetic, term by term: the loosest bounds that are what they should be. */
void model_box_bounds(struct model_box *box, enum pl_tier tier, mpz_t low, mpz_t high);
/* Whether V3 makes the excess grow with every open leg: then its bounds are its exact values at the
 * bottom and at the top of the box. */
bool model_box_grows(const struct model_box *box, enum pl_tier tier);
void model_box_equity(const struct model_box *box, mpz_t low, mpz_t high);

/* ==== options ================================================================================ */

/* Whose marks have the grids, from now on; borrowed. NULL: there are no options. */
void model_options_follow(const struct pl_mark *marks);
/* False: it has no value. */
bool model_option_value(const struct pl_market *market, uint32_t index, struct model_option *option);
/* Fills in what is of an option; leg->option is set. */
void model_option_leg(struct model_box *box, struct model_leg *leg, const struct pl_leg *given);
/* What all groups together ask for at a sheet, and between which two numbers that lies over a box. */
void model_scenario_charge(const struct model_sheet *sheet, enum pl_tier tier, mpz_t charge);
void model_scenario_range(const struct model_box *box, enum pl_tier tier, mpz_t charge[2]);
/* The most that a scenario takes of a leg's value, ppm, rounded up. */
int64_t model_scenario_load(const struct pl_parameters *set, enum pl_tier tier);

/* ==== halts ================================================================================== */

/* Puts what the portfolio's mode says in place of the haircuts of `rules`, a copy of the instrument's: the
 * best or the worst of all that debts which are not final leave open. */
void model_apply_mode(const struct pl_portfolio *portfolio, const struct pl_parameters *set,
                      uint32_t instrument, bool is_best, struct pl_instrument *rules);
/* Whether the instrument is stuck on a halted chain or bridge, and what that adds to its haircut. */
/* The lesser of an excess and the cash, VU * ppm, where cash that is owed would be one debt more than those
 * that decide on haircuts. */
pl_i128 model_within_cash(const struct pl_portfolio *portfolio, const struct pl_parameters *set, pl_i128 excess);
bool model_halt(const struct pl_market *market, const struct pl_instrument *rules,
                int64_t halt[PL_TIER_COUNT]);

/* ==== quotes ================================================================================= */

/* ticks = mantissa * 10^exponent in units of 10^-decimals, half to even; false unless 0 < ticks and
 * ticks * multiplier < 2^63. */
bool model_ticks(int64_t mantissa, int32_t exponent, const struct pl_instrument *rules,
                 int64_t *ticks);

/* ==== sales ================================================================================== */

/* Place of an instrument in the liquidity order, from 1; 0: never sold. */
uint32_t model_rank(const struct pl_parameters *parameters, uint32_t instrument);
/* Lots of a leg that may be sold or bought back: what is final however things turn out, if there is
 * a limit price to order it at: a discount may leave less than a tick. */
int64_t model_saleable_lots(const struct pl_market *market, const struct pl_leg *leg);
/* In ticks, sell: floor(value of a lot (1 - discount)); buy: ceil(value of a lot (1 + discount)). */
void model_limit(const struct pl_market *market, uint32_t instrument, enum pl_side side,
                 int32_t discount_ppm, mpz_t limit);
/* The portfolio after a sale executed at its limits; `legs` has room for PL_LEGS_MAX. */
void model_sell(const struct pl_market *market, const struct pl_portfolio *portfolio,
                const struct pl_sale_leg *sale, uint32_t sale_count, struct pl_leg *legs,
                struct pl_portfolio *after);
/* Everything that may be sold, sold whole; returns the number of legs (at most PL_LEGS_MAX). */
uint32_t model_unwind(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      struct pl_sale_leg *sale);
/* Exact excess of a certain portfolio. */
void model_excess(const struct pl_market *market, const struct pl_portfolio *portfolio,
                  enum pl_tier tier, mpz_t excess);
/* Everything about a planned sale that needs no evaluation: legs, order, sides, sizes, limits.
 * NULL, or what is wrong, in `text`. */
const char *model_sale_fault(const struct pl_market *market, const struct pl_portfolio *portfolio,
                             const struct pl_sale *sale, char text[MODEL_TEXT_BYTES]);
/* How many lots the venue and the policy would have of a planned leg: no less than the least order, and no
 * less left than may be left, unless all of it is too much for one order. */
int64_t model_fitting_lots(const struct pl_market *market, const struct pl_portfolio *portfolio,
                           const struct pl_sale_leg *sold);
/*
 * Tries every combination of whole lots, if there are at most `limit`, and says whether one reaches
 * end excess >= 0; the one of least cost is written to `sale`, and its cost. -1: too many to try. In parts
 * each is executed at the limit of the least order that its venue takes, in as many as it needs.
 */
int model_find_sale(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    uint64_t limit, bool is_in_parts, struct pl_sale_leg *sale, uint32_t *sale_count,
                    pl_i128 *cost_vu);
/* Lots of one step of its venue, and the discount that an order of so many lots pays. */
int64_t model_step(const struct pl_instrument *rules);
int32_t model_discount(const struct pl_market *market, uint32_t instrument, int64_t lots);
/* What one leg of a sale gives up against the mark. */
pl_i128 model_sale_cost(const struct pl_market *market, const struct pl_sale_leg *sold);

/* ==== look-through =========================================================================== */

/* What the instrument loses, in ppm, when each dependency fails: of all paths from it through the set's
 * exposures, which have no cycle, the worst; 0 where there is none. */
void model_losses(const struct pl_parameters *set, uint32_t instrument, enum pl_tier tier,
                  int64_t losses[PL_DEPENDENCIES_MAX]);

/* ==== parameter rules ======================================================================== */

/* One bit per rule, V1 at bit 1 and so on; bit 0: a field out of its range. */
struct model_faults {
    uint32_t must; /* broken under every reading: the set is refused, for one of `may` */
    uint32_t may;  /* broken under some reading; contains `must` */
};

void model_rules(const struct pl_parameters *parameters, struct model_faults *faults);

#endif
