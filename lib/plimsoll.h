/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plimsoll: the exposure library. This header is its specification.
 *
 * Everything here is pure: results are functions of arguments alone. No I/O, no clock, no heap, no
 * thread, no float, no order that depends on addresses or hashes. That is what replay (G2), the
 * exactness of verdicts (G3) and the proofs on orders (G9) rest on. Memory belongs to the caller.
 *
 * Units (one system, DESIGN section 6)
 *   lots    int64   10^-lot_decimals units of an instrument; debts and shorts are negative
 *   ticks   int64   10^-tick_decimals USD per whole unit; > 0
 *   VU      i128    value: 10^-12 USD.   lots * ticks * multiplier, exactly, with
 *                   multiplier = 10^(12 - lot_decimals - tick_decimals) >= 1
 *   ppm     int32   weights, haircuts, factor loads: 10^-6
 *   excess  i128    margin excess and requirements: VU * ppm = 10^-18 USD
 *   time    int64   milliseconds since the epoch, UTC
 *
 * Rounding happens in two places only: where outside amounts become lots (down: an asset down, a
 * debt up in size) and ticks (half-even), and where a limit price is set (against us: a sale's
 * down, a purchase's up). From there on every number is exact; equality with a line is safe.
 *
 * Bounds. The gross value of an account is at most 10^12 USD (< 2^80 VU); coefficient sums are at
 * most 2^23, so an excess stays below 2^104. What would leave the bounds is refused with
 * PL_REJECT_OVERFLOW where it enters, or, when a price carries it there, the verdict says
 * out-of-range. Nothing wraps or saturates.
 *
 * Order of reading: names, parameters, marks and market, book, evaluate, plan, state and decide, search,
 * risk figures, loss waterfall.
 */
#ifndef PLIMSOLL_H
#define PLIMSOLL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/amount.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/map.h"
#include "lib/base/num.h"
#include "lib/price/option.h"

enum {
    PL_INSTRUMENTS_MAX = 4096,
    PL_FACTORS_MAX = 32,
    PL_DEPENDENCIES_MAX = 64,
    PL_SOURCES_MAX = 64,
    PL_LOADS_MAX = 4,          /* factor loads of an instrument            */
    PL_BRACKETS_MAX = 12,      /* concentration brackets of an instrument  */
    PL_LOSSES_MAX = 16,        /* dependency losses of an instrument, looked through */
    PL_EDGES_MAX = 1024,       /* edges of the look-through graph          */
    PL_DEPTH_MAX = 4,          /* rungs of an instrument's depth           */
    PL_CONFIRMATIONS_MAX = 4,  /* kinds of credit before finality          */
    PL_OPTIONS_MAX = 256,      /* options of a set                         */
    PL_OPTION_SCENARIOS_MAX = 64, /* rows of the scenario table            */
    PL_AVERAGING_MS_MAX = 86400000,
    PL_OPTION_GROUPS_MAX = 63, /* underlyings with scenarios               */
    PL_PRICE_SOURCES_MAX = 8,  /* price sources of an instrument           */
    PL_LEGS_MAX = 128,         /* legs of an account                       */
    PL_APPLIED_MAX = 64,       /* order fills that holdings remember       */
    PL_PENDING_MAX = 16,       /* orders of an account in flight           */
    PL_SALE_LEGS_MAX = 16,     /* legs of one plan                         */
    PL_SALE_EVALUATIONS_MAX = 1 << 20, /* after which a plan is trimmed no further */
    PL_DOUBTS_MAX = 8,         /* reasons of uncertainty that are listed   */
    PL_TOLD_MAX = 5,           /* states that alerts tell of               */
    PL_LOT_STEP_MAX = 1000000, /* so that the value of one at a tick fits   */
    PL_MODES_MAX = 256,        /* modes of an account; 0: none             */
    PL_MODE_WEIGHTS_MAX = 1024, /* of all modes                            */
    PL_DUST_USD_MAX = 1000000, /* more than this is no dust                */
    PL_BRAKE_WINDOW_MS_MAX = 86400000,
    PL_BRAKE_DEPTH_PPM_MAX = 1000000000, /* a thousand times the depth     */
    PL_CURES_MAX = 3,          /* cures that an alert names                */
    PL_CONTRACTS_MAX = 64,     /* smart contracts of a set                 */
    PL_ORDER_ID_BYTES = 16,
};

/* ==== names: instrument ids to dense indexes (lib/exposure/names.c) ========================== */

/*
 * Gives each instrument id a number below PL_INSTRUMENTS_MAX, for the life of the process. Numbers
 * depend on arrival order; therefore nothing that is output is ever ordered by them.
 */
struct pl_names {
    struct pl_map map;
    uint32_t count;
    struct pl_id ids[PL_INSTRUMENTS_MAX];
    /* Room for the map's table. */
    _Alignas(16) uint8_t table[PL_MAP_BYTES(PL_INSTRUMENTS_MAX)];
};

void pl_names_init(struct pl_names *names);
/* Number of `id`, new or known. REJECT_CAPACITY when the table is full. */
enum pl_err pl_names_intern(struct pl_names *names, const struct pl_id *id, uint32_t *index);
/* False when unknown. */
bool pl_names_find(const struct pl_names *names, const struct pl_id *id, uint32_t *index);

/* ==== parameters (lib/exposure/parameters.c) ================================================= */

/* Nested: alert asks most, maintenance least (V6). */
enum pl_tier { PL_TIER_ALERT, PL_TIER_INITIAL, PL_TIER_END, PL_TIER_MAINTENANCE, PL_TIER_COUNT };

/* A volatility is priced like anything else and held by nobody: its leg counts as unlisted. */
enum pl_instrument_kind { PL_INSTRUMENT_SPOT = 1, PL_INSTRUMENT_PERP, PL_INSTRUMENT_FUTURE,
                          PL_INSTRUMENT_OPTION, PL_INSTRUMENT_VOLATILITY,
                          PL_INSTRUMENT_STATISTIC };

struct pl_tier_ppm { int32_t at[PL_TIER_COUNT]; };

struct pl_load { uint32_t factor; struct pl_tier_ppm load; };      /* factor: index in the set   */
struct pl_loss {
    uint32_t dependency;         /* index in the set                                               */
    struct pl_tier_ppm loss;
    uint8_t through[PL_TIER_COUNT]; /* of the worst path: 1 + the dependency before this one; 0:
                                    none, it is the instrument's own. Set by finish                */
};
static const int64_t PL_BRACKET_USD_MAX = 1000000000000; /* what an account is worth at most */
struct pl_bracket { int64_t threshold_usd; struct pl_tier_ppm rate; };

/* Up to so much of it is sold or bought at this discount, fee included. */
struct pl_rung { int64_t usd_max; int32_t discount_ppm; };

/* Of an inflow of up to lots_max that is `blocks` deep (its own block and the head counted) weight_ppm
 * counts before it is final; of several that fit the largest. */
struct pl_confirmations {
    uint32_t blocks;             /* >= 1                                                           */
    int64_t lots_max;            /* > 0                                                            */
    int32_t weight_ppm;          /* 1..PPM                                                         */
};

struct pl_price_rules {
    struct pl_id sources[PL_PRICE_SOURCES_MAX];
    uint32_t source_count;
    uint32_t quorum;             /* 1..source_count                                              */
    int64_t age_ms_max;          /* > 0                                                          */
    int32_t band_ppm;            /* > 0; of the reference price                                  */
    int32_t bad_mark_low_ppm;    /* 0..PPM: best a short may hope for under a bad mark           */
    int32_t bad_mark_high_ppm;   /* >= PPM: best a long may hope for, worst a short must fear    */
};

/* How a mark follows from marks of other instruments (lib/price/peg.h has the formula); no decision
 * reckons with it. Instruments by number. A pegged instrument has no quotes of its own. */
enum { PL_PEGS_MAX = 256, PL_PEG_MARKETS_MAX = 4 };
static const int64_t PL_PEG_RATIO_E12_MAX = (int64_t)1000 * 1000000000000;
struct pl_peg {
    bool is_present;
    bool has_issuer_failed;      /* redemption is worth nothing any more                           */
    bool rounds_up;              /* for what is owed                                               */
    uint32_t base;               /* the underlying                                                 */
    uint32_t redemption;
    uint32_t market_count;       /* 0, or 2..PL_PEG_MARKETS_MAX                                    */
    struct { uint32_t instrument; int64_t window_ms; } markets[PL_PEG_MARKETS_MAX];
    int64_t cap_ratio_e12;       /* at cap_since_ms; 0: no cap                                     */
    int64_t cap_since_ms;
    int32_t cap_growth_ppm;      /* per year                                                       */
    int32_t floor_ppm;           /* of the redemption; 0: no floor                                 */
};

/* What of the whole venue a haircut follows, and from where to where, in USD; not used where `from_usd`
 * and `to_usd` are 0. */
enum pl_scale_kind { PL_SCALE_DEPOSITS, PL_SCALE_BORROWS, PL_SCALE_OPEN_INTEREST, PL_SCALES };
struct pl_haircut_scale { uint32_t figure; int64_t from_usd, to_usd; };

/* How haircut_long follows volatility and liquidity (RISK 1.6); lib/price/haircut.h reckons with it,
 * no decision does. A field that the set leaves out is 0 and means "not used". */
struct pl_haircut_model {
    bool is_present;
    struct pl_tier_ppm multiple; /* of the daily volatility; >= 0                                  */
    struct pl_tier_ppm horizon;  /* days * 10^6; > 0                                               */
    int64_t venue_usd, daily_volume_usd, reference_usd;
    int32_t participation_ppm, impact_ppm, half_spread_ppm;
    int32_t buffer_ppm, stress_volatility_ppm, floor_volatility_ppm, addition_ppm;
    int32_t cap_ppm;             /* 1..PPM                                                         */
    struct pl_haircut_scale scales[PL_SCALES];
    bool with_short;             /* haircut_short follows haircut_long                             */
};

struct pl_haircut_move { int32_t from_ppm; int64_t since_ms; }; /* since_ms 0: at its target       */

/* How the initial tier's haircut moved in the present span of time and in the one before, to judge how
 * procyclical a model is; nothing is derived from it. */
enum pl_haircut_span { PL_HAIRCUT_DAY, PL_HAIRCUT_MONTH, PL_HAIRCUT_YEAR, PL_HAIRCUT_SPANS };
struct pl_haircut_window {
    int64_t since_ms;            /* 0: not followed yet                                            */
    int32_t low_ppm, high_ppm, before_low_ppm, before_high_ppm;
    int32_t rise_ppm;            /* the haircut above the lowest of both                           */
};

/* Where an effective set's haircuts come from and go to. */
struct pl_haircut {
    bool is_present;
    struct pl_tier_ppm base;     /* haircut_long of the base set                                   */
    struct pl_tier_ppm target;
    int64_t target_at_ms;        /* 0: reached                                                     */
    struct pl_haircut_move moves[PL_TIER_COUNT];
    uint32_t volatility_fast_ppm, volatility_slow_ppm; /* 0: not known yet                         */
    struct pl_tier_ppm close_out, buffer, stress, floor;
    int32_t liquidity_ppm;
    struct pl_haircut_window windows[PL_HAIRCUT_SPANS];
    bool has_short;              /* haircut_short is derived, too, at once and from this base      */
    struct pl_tier_ppm base_short;
    int64_t figures_usd[PL_SCALES]; /* 0: not known yet                                            */
};

/* Haircuts that replace an instrument's own, and which of them belong together. */
struct pl_mode_weight {
    uint32_t instrument;
    struct pl_tier_ppm haircut_long, haircut_short;
    int32_t bonus_ppm;           /* of an account's mode                                           */
};
struct pl_mode { bool is_present; uint32_t first, count; };

/* A smart contract that holds accounts' collateral and debts; by whose rule a call takes what. */
enum pl_contract_rule { PL_CONTRACT_AAVE_V3 = 1, PL_CONTRACT_COMPOUND_V3, PL_CONTRACT_MORPHO };

/* An account has no more than this (RISK 1.1). */
static const int64_t PL_CONTRACT_SMALL_USD_MAX = 1000000000000;

struct pl_contract {
    struct pl_id id, chain;      /* its address                                                    */
    enum pl_contract_rule rule;
    int32_t close_factor_ppm;    /* 1..PPM; 0 unless AAVE_V3                                       */
    int32_t full_below_ppm;      /* health factor below which all may be repaid; 0: never          */
    int64_t small_usd;           /* value below which all may be repaid; 0: none                   */
};

/* A European option, settled in cash at its underlying's mark of expiry, or at the average of its marks over
 * averaging_ms before expiry: one unit of it is on one unit of the underlying. */
struct pl_option_terms {
    enum pl_option_type type;
    uint32_t underlying, volatility; /* instruments of the same set                                */
    int64_t strike_ticks;        /* > 0; ticks of the underlying                                   */
    int64_t expiry_ms;           /* > 0                                                            */
    int64_t averaging_ms;        /* 0: none; <= PL_AVERAGING_MS_MAX. Decisions read grids only     */
};

/* Which of an option's values a scenario is about: as volatility and time are, or after the look-ahead
 * with volatility up, as it is, or down. */
enum pl_layer { PL_LAYER_MARK, PL_LAYER_UP, PL_LAYER_MID, PL_LAYER_DOWN, PL_LAYER_COUNT };

/* One row of the scenario table (RISK 1.4): the underlying moves by move_ppm of its price; of the loss
 * `weight` counts. */
struct pl_option_scenario {
    int32_t move_ppm;            /* > -PPM (V9), <= 8 PPM                                          */
    enum pl_layer layer;         /* UP, MID or DOWN                                                */
    struct pl_tier_ppm weight;   /* 0..PPM (V10), nested (V6)                                      */
};

/* How volatility is shocked for the layers, and how far they look ahead (RISK 1.4); decisions read the
 * values that follow from it, never these. All 0 where the set says nothing. */
struct pl_option_shock {
    int32_t up_ppm, down_ppm, floor_ppm, days_floor_ppm, power_short_ppm, power_long_ppm;
    int32_t rate_ppm;            /* interest a year, continuously compounded; >= 0                 */
    int64_t look_ahead_ms;
};

struct pl_instrument {
    bool is_listed;              /* false: the set does not name it; nothing else is meaningful   */
    enum pl_instrument_kind kind;
    uint32_t lot_decimals, tick_decimals;
    int64_t multiplier;          /* 10^(12 - lot_decimals - tick_decimals); set by finish          */
    struct pl_tier_ppm haircut_long, haircut_short;
    struct pl_load loads[PL_LOADS_MAX];
    uint32_t load_count;
    struct pl_bracket brackets[PL_BRACKETS_MAX];
    uint32_t bracket_count;
    struct pl_loss losses[PL_LOSSES_MAX];
    uint32_t loss_count;
    int32_t confidence_ppm;
    int32_t sale_discount_ppm;
    struct pl_rung depth[PL_DEPTH_MAX]; /* usd_max rises, discount_ppm does not fall and is at most
                                    sale_discount_ppm, which holds beyond the last                 */
    uint32_t depth_count;
    int64_t lot_step;            /* 0..PL_LOT_STEP_MAX: orders are multiples of so many lots; 0: of
                                    one                                                            */
    int64_t min_notional_usd;    /* 0..PL_DUST_USD_MAX: of an order, and of what a sale leaves     */
    int64_t slice_usd_max;       /* >= 0: of an order; 0: no limit                                 */
    uint32_t sale_rank;          /* place in the liquidity order, from 1; 0: never sold; by finish */
    struct pl_price_rules price_rules;
    struct pl_id chain;          /* size 0: none                                                   */
    struct pl_id bridge;         /* by which it came to that chain; size 0: native there           */
    struct pl_confirmations confirmations[PL_CONFIRMATIONS_MAX];
    uint32_t confirmation_count;
    struct pl_haircut_model haircut_model;
    struct pl_haircut haircut;   /* of an effective set                                            */
    struct pl_mode lent_on;      /* as a debt: what counts how much as collateral for it           */
    uint32_t contract;           /* which one holds or lends it, from 1; 0: none                   */
    int32_t bonus_ppm;           /* of a call that takes it, 0..PPM; MORPHO: 0, see pl_call_of     */
    struct pl_id token;          /* its address; size 0: not said                                  */
    struct pl_peg peg;
    struct pl_option_terms option; /* of an OPTION                                                 */
    bool has_scenarios;          /* takes part in those of scenario_underlying; an option does     */
    uint32_t scenario_underlying; /* instrument; of an option that of its terms                    */
    uint32_t option_slot;        /* of an OPTION, its place in pl_market's values; by finish       */
    uint32_t group;              /* 0: no scenarios; else 1 + place of its group; by finish        */
};

/* An edge of the look-through graph (RISK 1.5): what starts at it loses `loss` less the covered part
 * of it when dependency `to` fails. */
struct pl_edge {
    uint32_t instrument;         /* where it starts, by number; UINT32_MAX: at dependency `from`   */
    uint32_t from, to;           /* indexes of the set's dependencies                              */
    struct pl_tier_ppm loss;     /* 0..PPM each                                                    */
    int32_t coverage_ppm;        /* 0..PPM                                                         */
};

/* A source of positions. */
struct pl_source {
    struct pl_id id;
    bool settles_by_time;        /* it never says which orders its events contain                  */
};

/* Which of the sales that suffice: the one that goes through the liquidity order leg by leg, or the one
 * that gives up least against the marks. */
enum pl_sale_objective { PL_SALE_LIQUIDITY_ORDER, PL_SALE_LEAST_COST };

struct pl_policy {
    enum pl_sale_objective sale_objective;
    int32_t close_factor_ppm;    /* 0..PPM: the part of a leg that an order takes at most, rounded up to a
                                    step; 0: all                                                   */
    int64_t close_full_below_usd; /* >= 0: a leg worth less may be taken whole                     */
    int32_t close_full_below_health_ppm; /* 0..PPM: any leg may, where the account's health (pl_ratios) is
                                    exact and below this; 0: never                                 */
    int64_t close_leftover_usd_min; /* >= 0: an order that would leave less of a leg takes all of it,
                                    whatever the close factor                                      */
    bool close_hopeless;         /* where nothing reaches, sell also what does not help            */
    uint32_t liquidity_order[PL_INSTRUMENTS_MAX]; /* instrument indexes                            */
    uint32_t liquidity_count;
    int64_t order_valid_ms, order_overdue_ms, revision_pause_ms, restricted_hold_ms;
    int32_t alert_hysteresis_ppm;
    int64_t watermark_age_ms_max;
    int64_t halt_ramp_ms;        /* 0: a halt leaves the end and maintenance tiers alone           */
    int64_t call_interval_ms_min; /* between two alerts of entering one state; 0: all are told     */
    int64_t grace_ms;            /* of a margin call; 0: calls have no deadline                    */
    int64_t bad_debt_dust_usd;   /* 0..PL_DUST_USD_MAX: what a bad debt does not wait for          */
    int64_t brake_window_ms;     /* 0..PL_BRAKE_WINDOW_MS_MAX; 0: no brake                         */
    int32_t brake_depth_ppm;     /* 1..PL_BRAKE_DEPTH_PPM_MAX where there is a window, else 0      */
    /* 0 where no instrument has a haircut model. */
    int32_t haircut_rise_ppm_per_hour, haircut_fall_ppm_per_day;
    int64_t haircut_hold_ms, haircut_interval_ms;
};

/* One parameter set, indexed by instrument number. About 10 MB: lives in static or mapped memory. */
struct pl_parameters {
    uint64_t epoch;
    uint64_t base_epoch;         /* of the base set that an effective one comes from; 0: not said   */
    uint32_t instrument_count;   /* instruments listed                                             */
    uint32_t factor_count, dependency_count, source_count, contract_count, edge_count;
    struct pl_contract contracts[PL_CONTRACTS_MAX];
    struct pl_id factors[PL_FACTORS_MAX];
    struct pl_id dependencies[PL_DEPENDENCIES_MAX];
    struct pl_source sources[PL_SOURCES_MAX];
    struct pl_edge edges[PL_EDGES_MAX];
    uint32_t scenario_count;
    struct pl_option_scenario scenarios[PL_OPTION_SCENARIOS_MAX];
    struct pl_tier_ppm short_minimum; /* of the underlying value of options owed                   */
    struct pl_option_shock option_shock;
    uint32_t option_count, group_count;  /* by finish                                              */
    uint32_t groups[PL_OPTION_GROUPS_MAX]; /* underlyings with scenarios, by id; by finish         */
    struct pl_mode modes[PL_MODES_MAX];
    uint32_t mode_weight_count;
    bool has_debt_modes;         /* some instrument has lent_on; by finish                         */
    struct pl_mode_weight mode_weights[PL_MODE_WEIGHTS_MAX];
    struct pl_policy policy;
    struct pl_instrument instruments[PL_INSTRUMENTS_MAX];
};

/*
 * Validates a filled set and derives multipliers, sale ranks and, where it has edges, what each
 * instrument loses when a dependency fails: `losses` become, at each tier, the worst over all paths of
 * the product along the path, rounded up at every edge: ceil(so far * loss * (PPM - coverage) / PPM^2),
 * from PPM where the path starts with an edge of the instrument, from the stated loss where it starts
 * with one of those. The rules below are asked of these. Finishing a finished set changes nothing.
 * REJECT_PARAMETERS with a text that begins with the rule's name and names the instrument and field:
 * "V6 instrument ETH haircut_long: end 20000 is below maintenance 30000".
 *   V1  haircut_long + haircut_short >= 0 at each tier
 *   V2  bracket thresholds are 0 to PL_BRACKET_USD_MAX and increase (below the first the rate is 0), rates
 *       do not decrease and are >= 0
 *   V3  for a long spot: haircut_long + sum |loads| + largest loss + top bracket rate + confidence
 *       <= 10^6 at each tier (more collateral never hurts)
 *   V6  maintenance <= end <= initial <= alert for haircuts, |loads|, losses, rates. For the loads of
 *       one factor the tiers must also be proportional, a[t]*b[u] = b[t]*a[u] for any two
 *       instruments and tiers: without it a hedge could count more at a stricter tier and the tiers
 *       would not be nested, which the search for accounts relies on (G3).
 *   V7  lot_decimals + tick_decimals <= 12; sum of an instrument's coefficients <= 2^23 ppm
 *   V9  a scenario's move is above -10^6 ppm, and at most 8 * 10^6
 *   V10 a scenario's weight is at most 10^6: beyond it the excess would not be concave
 * V3 and V7 count for what takes part in scenarios also the largest weight * |move|. An option has no
 * haircut, factor, bracket, dependency, confidence, haircut_model or chain: its scenarios are its
 * requirement. V4 (low <= high) is checked with each grid; V5 and V8 hold by construction, as every
 * grid's end lines enclose the values beyond it.
 * A haircut model's cap counts like haircut_long in V3 and V7, so that whatever is derived under it is
 * valid; its multiple and horizon are nested like haircuts (V6). What was derived lies between the
 * base set's haircut and the cap.
 * Contracts: each with a chain, none twice on it; what a contract holds is SPOT, on that chain if it
 * is on one, and its bonus b is covered by the sale's discount d: (10^6 - d)(10^6 + b) <= 10^12.
 * A peg's instruments are listed, differ, and are not pegged themselves; it has no markets or at least
 * two, and no price source can speak alone for two of its inputs.
 * plus, by field name, whatever is out of the ranges stated above: duplicate ids, an unknown factor,
 * dependency or liquidity-order entry, no "default" policy, sale_discount_ppm outside 0..999999; a
 * cycle of edges, named; more than PL_LOSSES_MAX dependencies behind an instrument.
 */
enum pl_err pl_parameters_finish(struct pl_parameters *parameters, const struct pl_names *names);

/* The worst path by which an instrument of a finished set depends on `dependency` at `tier`: writes the
 * dependencies along it, nearest first and `dependency` last, and returns their number (1..
 * PL_LOSSES_MAX); 0 when it does not depend on it. */
uint32_t pl_dependency_path(const struct pl_instrument *instrument, uint32_t dependency,
                            enum pl_tier tier, uint32_t path[PL_LOSSES_MAX]);

/* Whether `next` may take the place of `last`: a larger epoch, not derived from an older base set where
 * both say which, and the same lot and tick decimals of every instrument listed in both (amounts in the
 * book and on their way are in these units; give an instrument a new id instead). REJECT_STALE for the
 * epochs, REJECT_CONFLICT for the decimals,
 * and for an option whose type, underlying, strike or expiry changed.
 *
 * The second rule is what makes two writers of effective sets harmless: one that has been cut off from
 * its partition, and so has not seen the newest base set, may number its set high, but nobody takes
 * it. Of two sets from one base the first in the topic counts, for everybody alike. */
enum pl_err pl_parameters_follow(const struct pl_parameters *last, const struct pl_parameters *next,
                                 const struct pl_names *names);

/* ==== marks and the market (lib/exposure/market.c) =========================================== */

enum pl_mark_status { PL_MARK_NONE, PL_MARK_LIVE, PL_MARK_STALE, PL_MARK_HALTED };

/* The newest mark of an instrument, as published. */
struct pl_mark {
    enum pl_mark_status status;
    uint64_t source_offset, tick;
    int32_t source_partition;
    int64_t mantissa, low_mantissa, high_mantissa; /* > 0, low <= mantissa <= high                 */
    int32_t exponent;                              /* of all three                                 */
    int64_t event_time_ms;
    uint32_t source_count;
    uint32_t volatility_fast_ppm, volatility_slow_ppm;
    const struct pl_option_grid *grid; /* of an option; else NULL. Whose memory: whoever decoded it */
};

/* What an option is worth at the prices of its underlying (lib/price/option.h): bounds of one lot's
 * value in VU at each node, 0 <= low <= high < 2^62 (V4). */
struct pl_option_grid {
    struct pl_grid grid;
    int64_t low[PL_LAYER_COUNT][PL_GRID_NODES_MAX], high[PL_LAYER_COUNT][PL_GRID_NODES_MAX];
};

/* True when (source_offset, tick) of `mark` is above that of `last`. */
bool pl_mark_is_newer(const struct pl_mark *mark, const struct pl_mark *last);

/* What evaluation uses of a mark: values of one lot in VU, exact, each < 2^63. */
struct pl_quote {
    int64_t ticks;               /* 0: no valid price                                              */
    int64_t lot_vu;              /* ticks * multiplier; of an option the least it may be worth     */
    int64_t short_lot_vu;        /* of a lot that is owed: lot_vu; of an option the most           */
    int64_t low_lot_vu, high_lot_vu;   /* the initial tier's interval                              */
    int64_t bad_low_lot_vu, bad_high_lot_vu; /* bounds while `status` is not LIVE                  */
    enum pl_mark_status status;  /* LIVE only if published LIVE and not older than age_ms_max      */
    bool is_stuck;               /* spot whose chain or bridge is halted: not for sale             */
};

/* A chain that is halted, or one of the bridges that end on it. */
struct pl_chain_halt {
    struct pl_id chain, bridge;  /* bridge of size 0: the chain itself                             */
    int64_t since_ms;
};

/* What evaluation uses of an instrument at one tier, folded into the fewest products; half a cache
 * line. Zero for an instrument that is not listed. */
struct pl_weights {
    _Alignas(32) int32_t own_long; /* 10^6 - haircut_long - confidence                             */
    int32_t own_short;             /* 10^6 + haircut_short + confidence                            */
    int32_t loads[PL_LOADS_MAX];
    uint8_t factors[PL_LOADS_MAX];
    uint8_t load_count;
    bool has_steps;                /* brackets, losses, scenarios: they are read from the parameters */
};

/* What one lot of an option is worth at the price of its underlying (place 0) and in each scenario
 * (1 + its row): interpolated on the grid once for everybody, low rounded down and high up. */
struct pl_option_values {
    int64_t low[1 + PL_OPTION_SCENARIOS_MAX], high[1 + PL_OPTION_SCENARIOS_MAX];
    int64_t notional_lot_vu;     /* underlying value of a lot, or while it is in doubt its bound   */
    int64_t peak_lot_vu;         /* the largest of all of these                                    */
};

/* Everything that evaluation reads besides the account, in arrays indexed by instrument number.
 * Starts zeroed; about 1 MB. */
struct pl_market {
    const struct pl_parameters *parameters;
    int64_t now_ms;
    const struct pl_chain_halt *halts; /* set by whoever has them; borrowed. NULL with count 0     */
    uint32_t halt_count;
    struct pl_quote quotes[PL_INSTRUMENTS_MAX];
    uint64_t changed_mask;       /* bit (index mod 64) of each quote that differs from the last one */
    bool parameters_changed;
    const int64_t *left_lots;    /* what the brake leaves, by instrument; borrowed. NULL: no brake */

    /* Private to lib/exposure: laid out by pl_market_update when the parameters change. */
    uint64_t epoch;
    bool has_stuck;              /* some quote is                                                  */
    uint32_t listed_count;
    uint32_t listed[PL_INSTRUMENTS_MAX];
    struct pl_weights weights[PL_TIER_COUNT][PL_INSTRUMENTS_MAX];
    struct pl_tier_ppm halt_haircuts[PL_INSTRUMENTS_MAX]; /* on top of haircut_long                */
    uint16_t halt_steps[PL_INSTRUMENTS_MAX];              /* of the ramp, of a stuck one           */
    struct pl_option_values options[PL_OPTIONS_MAX];      /* by option_slot                        */
};

/* A mark's interval may reach up to this many times the mark. */
enum { PL_INTERVAL_TIMES_MAX = 8 };

/*
 * Derives the quotes at `now_ms`, comparing with the ones of the last call: changed_mask says whose
 * holders must be looked at. A mark whose ticks or value leave the exact range, or whose interval is
 * wider than PL_INTERVAL_TIMES_MAX allows, counts as HALTED and never priced: what it said before is
 * history, and quotes are a function of the newest marks alone (G2). A mark from the
 * future by more than age_ms_max is STALE like one from the past. The bounds of a bad mark round
 * outward. `marks` has PL_INSTRUMENTS_MAX entries. New parameters forget all quotes and set all bits.
 *
 * Options. An option's value is read off its mark's grid at the quote of its underlying; it is LIVE where
 * both are. It owes nothing to the mark's own prices. While it is not LIVE a long one is worth between
 * 0 and its bound, a short one as much: of a call the underlying's price * bad_mark_high_ppm of the
 * underlying, of a put the strike * bad_mark_high_ppm of its own; without a price of the underlying, or
 * without a grid, it has none.
 *
 * Halts (RISK 1.5, finality). Spot whose chain or bridge is halted is stuck: it is not for sale, and its
 * long haircut rises to h = 10^6 less everything else that its value may cost at the alert tier (loads,
 * the largest loss, top bracket rate, confidence), so that a unit of it adds nothing and the tiers stay
 * nested (V3, V6). At the alert and initial tiers at once; at the end and maintenance tiers from its
 * own haircut b by b + (h - b) f, rounded up, with f the part of halt_ramp_ms that has passed since the
 * halt, rounded up to whole thousandths; not at all where halt_ramp_ms is 0.
 */
void pl_market_update(struct pl_market *market, const struct pl_parameters *parameters,
                      const struct pl_mark *marks, int64_t now_ms);

/* ==== book (lib/exposure/book.c) ============================================================= */

/* One line of an account: everything it holds of one instrument, summed over sources. */
struct pl_leg {
    uint32_t instrument;
    bool is_unlisted_amount;     /* quantity could not become lots: unknown size, sign in `lots`   */
    bool settles_by_time;        /* from a source that does not say which orders it contains       */
    int64_t lots;                /* what counts: min(seen, final). Pending inflow is not counted,
                                    pending outflow is gone at once                                */
    int64_t final_lots;          /* what is final, or credited by confirmations, only: the most it
                                    can be                                                         */
    int64_t credited_lots;       /* >= 0: of these what is credited only; not for sale of a long   */
};

struct pl_applied {
    uint8_t order_id[PL_ORDER_ID_BYTES];
    struct pl_amount cumulative; /* magnitude; becomes lots by the order's lot decimals, rounded down */
};

/* A decoded holdings record: all legs, sorted by instrument id, one leg per instrument. */
struct pl_holdings {
    struct pl_id account;
    uint64_t version;
    int64_t event_time_ms;       /* oldest of the sources' newest event times                      */
    bool has_gap;
    pl_i128 cash_vu, final_cash_vu; /* cash less cost, as counted / final only; cash <= final      */
    uint32_t mode;               /* 0..PL_MODES_MAX - 1                                            */
    uint32_t leg_count, applied_count;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_applied applied[PL_APPLIED_MAX];
    struct pl_digest digest;     /* of the record's value bytes and key                            */
};

enum pl_state { PL_STATE_OK = 1, PL_STATE_ALERT, PL_STATE_RESTRICTED, PL_STATE_LIQUIDATING,
                PL_STATE_BANKRUPT };

enum pl_doubt_reason { PL_DOUBT_NO_MARK = 1, PL_DOUBT_STALE, PL_DOUBT_HALTED, PL_DOUBT_UNLISTED,
                       PL_DOUBT_UNFINALISED, PL_DOUBT_GAP, PL_DOUBT_TAINTED,
                       PL_DOUBT_ORDER_OVERDUE, PL_DOUBT_OUT_OF_RANGE, PL_DOUBT_MODE };

struct pl_doubt {
    uint32_t instrument;         /* UINT32_MAX: the whole account                                  */
    enum pl_doubt_reason reason;
};

enum pl_side { PL_SIDE_SELL = 1, PL_SIDE_BUY };

enum pl_progress { PL_PROGRESS_OPEN = 1, PL_PROGRESS_ACKNOWLEDGED, PL_PROGRESS_TERMINAL,
                   PL_PROGRESS_OVERDUE };

/* An order whose quantity the holdings do not show yet (G5). */
struct pl_pending {
    uint8_t order_id[PL_ORDER_ID_BYTES];
    uint32_t instrument;
    enum pl_side side;
    enum pl_progress progress;
    uint32_t lot_decimals;
    int64_t ordered_lots, executed_lots, applied_lots; /* magnitudes                               */
    int64_t limit_ticks;
    int32_t limit_exponent;      /* minus the tick decimals it was decided with                    */
    int64_t valid_until_ms;
    int64_t reported_ms;         /* time of the terminal report                                    */
};

/* An alert of KIND_STATE: that `state` was entered. */
struct pl_told { enum pl_state state; int64_t told_ms; };

/* The decided state of an account; the default (state OK, whole_since_ms -1, all else 0) is stored
 * nowhere. */
struct pl_account_state {
    enum pl_state state;
    int64_t since_ms;
    uint64_t episode;            /* episodes opened so far                                         */
    uint32_t revision;           /* plans of the present episode so far                            */
    int64_t whole_since_ms;      /* -1: initial margin is not whole, or not restricted             */
    int64_t revision_after_ms;
    int64_t called_ms;           /* since when initial margin is called for; 0: no call, or a policy
                                    without grace                                                  */
    int64_t due_ms;              /* when the call's grace ends; 0: no call, or told that it did    */
    pl_i128 bad_debt_vu;         /* as it was told; 0: not bankrupt, or not told                   */
    int64_t braked_ms;           /* since when its sale waits for the brake; 0: it does not        */
    uint64_t version;
    uint32_t doubt_count, pending_count, told_count;
    struct pl_told told[PL_TOLD_MAX]; /* the last alert of each state, newest last: what readers
                                    believe; none where the policy has no interval                 */
    struct pl_doubt doubts[PL_DOUBTS_MAX];
    struct pl_pending pending[PL_PENDING_MAX];
};

/* An account as the book holds it. Rows are stable until the book is dropped. */
struct pl_account {
    struct pl_id id;
    bool has_gap, is_tainted, has_holdings;
    uint32_t leg_first, leg_count;         /* where they are in the book                           */
    uint32_t applied_first, applied_count; /* likewise                                             */
    uint32_t mode;
    uint32_t state_index;                  /* in book->states; UINT32_MAX: the default state       */
    uint64_t version;
    int64_t event_time_ms;
    pl_i128 cash_vu, final_cash_vu;
    uint64_t instrument_mask;              /* bit (index mod 64) of each leg                       */
    struct pl_digest digest;
};

/* Capacities of one partition's book; more is refused with REJECT_CAPACITY, never dropped. */
struct pl_book_limits {
    uint32_t accounts_max, legs_max, applied_max, states_max;
};

/* The accounts of one partition. Its memory is one block; pages never touched cost nothing. */
struct pl_book;

size_t pl_book_bytes(const struct pl_book_limits *limits);
/* `block` is zeroed, pl_book_bytes() long and 64-byte aligned; it becomes the book. */
struct pl_book *pl_book_init(void *block, const struct pl_book_limits *limits);

/*
 * Puts a holdings record in place of the account's last one and clears its taint. A version not above
 * the last is REJECT_STALE unless it is equal with equal digest (a restatement), which is PL_OK with
 * *index set and nothing changed. REJECT_CAPACITY leaves the account as it was. Whatever happens
 * *index is the account's row if it has one.
 */
enum pl_err pl_book_apply_holdings(struct pl_book *book, const struct pl_holdings *holdings,
                                   uint32_t *index);
/* The last record of this account could not be applied: uncertain until the next valid one. */
enum pl_err pl_book_taint(struct pl_book *book, const struct pl_id *account, uint32_t *index);
/* Replaces the decided state: after a commit, or while restoring. `digest` is of the record that says
 * so. The default state is not stored and counts for nothing. REJECT_CAPACITY. */
enum pl_err pl_book_set_state(struct pl_book *book, uint32_t index,
                              const struct pl_account_state *state, struct pl_digest digest);
/* Row of an account, made if absent. REJECT_CAPACITY. */
enum pl_err pl_book_account(struct pl_book *book, const struct pl_id *id, uint32_t *index);
bool pl_book_find(const struct pl_book *book, const struct pl_id *id, uint32_t *index);

uint32_t pl_book_count(const struct pl_book *book);
const struct pl_account *pl_book_at(const struct pl_book *book, uint32_t index);
/* Borrowed until the book changes: records may move to make room. */
const struct pl_leg *pl_book_legs(const struct pl_book *book, uint32_t index);
const struct pl_applied *pl_book_applied(const struct pl_book *book, uint32_t index);
/* The decided state; the default one for an account that has none. Copied out. */
void pl_book_state(const struct pl_book *book, uint32_t index, struct pl_account_state *state);
bool pl_book_has_state(const struct pl_book *book, uint32_t index);
/* What the partition has used of the brake's window, and what was last said of it (`digest` of that
 * record); pl_book_states_digest covers it. */
const struct pl_budget *pl_book_budget(const struct pl_book *book);
void pl_book_set_budget(struct pl_book *book, const struct pl_budget *budget,
                        struct pl_digest digest);
struct pl_digest pl_book_budget_digest(const struct pl_book *book);
/* The account as it is held, with nothing pending counted; borrowed until the book changes. */
struct pl_portfolio pl_book_portfolio(const struct pl_book *book, uint32_t index);
/* The stored states, to walk over: their number, the account's row of each, and each, borrowed until
 * the book changes; of `pending` there is only what pending_count counts. Their order may change. */
uint32_t pl_book_state_count(const struct pl_book *book);
uint32_t pl_book_state_row(const struct pl_book *book, uint32_t at);
const struct pl_account_state *pl_book_state_view(const struct pl_book *book, uint32_t at);
/* Exclusive or of the digests of all holdings: equal books, equal digests, in any order. */
struct pl_digest pl_book_digest(const struct pl_book *book);
/* Likewise of the digests of all stored states and of the budget; and the digest of one, zero where none is
 * stored. */
struct pl_digest pl_book_states_digest(const struct pl_book *book);
struct pl_digest pl_book_state_digest(const struct pl_book *book, uint32_t index);
/* Bytes of the block in use, for sizing. */
size_t pl_book_used_bytes(const struct pl_book *book);

/* ==== evaluation (lib/exposure/evaluate.c) =================================================== */

/*
 * A portfolio to evaluate: borrowed legs, at most one per instrument, in any order, and cash net of
 * the cost of derivatives.
 */
struct pl_portfolio {
    const struct pl_leg *legs;
    uint32_t leg_count;
    pl_i128 cash_vu, final_cash_vu;
    /* Which haircuts count. By debts where the mode is 0: those of the holdings, whatever has been sold
     * and repaid since in thought, or the excess would not be concave in what is (RISK 1.5). `held`
     * NULL: of `legs` and cash themselves. */
    uint32_t mode;
    const struct pl_leg *held;
    uint32_t held_count;
    bool held_owes_cash, held_may_owe_cash; /* for certain; or perhaps, too */
};

/*
 * Modes. haircut_long and haircut_short of a leg are those of the portfolio's mode where it names the
 * instrument; in no mode, and with debts of which each has lent_on, and each of these names the instrument,
 * haircut_long is the largest of theirs; else the instrument's own. A debt is what is owed of a spot; cash
 * that is owed has no lent_on. Where it is open whether there is a debt, since not all is final, the bounds
 * take those debts with which each collateral counts most, or least. A halted chain adds to a mode's
 * haircut what leads from there to the same whole. All the rest is the instrument's.
 */

/* Keeps what decides on haircuts before legs are sold and repaid in thought: of a portfolio without `held`,
 * its own legs, which must not change then. */
void pl_portfolio_pin(struct pl_portfolio *portfolio);
/* The haircut of a long or short leg, without what halts add; where open debts decide, the least. */
int32_t pl_haircut_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                      uint32_t instrument, enum pl_tier tier, bool is_long);
/* Of a portfolio whose debts decide on haircuts, and which held no debt in cash, the lesser of `excess` and its
 * cash, in VU ppm; else `excess`. Cash that is owed would end what they decide, so whatever is to reach a goal
 * must reach it without. Concave, as both are. */
pl_i128 pl_within_cash(const struct pl_market *market, const struct pl_portfolio *portfolio, pl_i128 excess);
/* A mode that the parameters do not have: nothing certain can be said of the account. */
bool pl_mode_is_known(const struct pl_parameters *parameters, uint32_t mode);

/*
 * Margin excess of one tier, exactly (RISK 1.3, 1.5):
 *
 *   E = cash + sum n_i                        n_i = lots * lot_vu, owed: lots * short_lot_vu
 *   R = sum side_i(n_i) + sum_k |sum_i load_ik n_i| + sum_i conc_i(|n_i|) + sum_i halt_i max(n_i, 0)
 *       + max(0, max_d sum_i loss_id max(n_i, 0))
 *       + sum_g max(0, max_s -weight_s (dV_gs + move_s / 10^6 sum_i n_i), minimum * owed_g)
 *       + initial and alert tier: sum_i (confidence_i |n_i| + 10^6 unc_i)
 *   A = 10^6 E - R                            healthy if A >= 0
 *
 * with side(n) = haircut_long n for n >= 0, haircut_short (-n) below; conc(v) = sum over brackets of
 * rate_b (min(v, T_b+1) - T_b)+; unc = lots (lot_vu - low_lot_vu) for a long, |lots| (high_lot_vu -
 * lot_vu) for a short. A group g are the legs with one scenario_underlying: dV_gs is what its options
 * gain in scenario s, n_i the values of its other legs, owed_g the underlying value of the options that
 * are owed. Its charge is rounded up, once, to a whole VU ppm: that is the only rounding, and the excess
 * is concave in the holdings but for it. Every leg must be certain: listed, LIVE, lots == final_lots; and cash
 * be final; else assertion.
 * Returns false when the gross value of the legs is above PL_VALUE_VU_MAX, that of the options at their
 * highest in any scenario above 8 times that, or |cash| above 4 times that
 * (a sale turns value into cash and must stay inside); *excess is then unspecified.
 */
[[nodiscard]] bool pl_evaluate(const struct pl_market *market, const struct pl_portfolio *portfolio,
                               enum pl_tier tier, pl_i128 *excess);

/* True when no leg needs bounds: pl_evaluate may be used. */
bool pl_portfolio_is_certain(const struct pl_market *market, const struct pl_portfolio *portfolio);

enum pl_certainty { PL_CERTAIN, PL_UNCERTAIN, PL_OUT_OF_RANGE };

/*
 * Lower and upper bound of the excess over everything that bad inputs leave open, by interval
 * arithmetic on the terms above; equal to the exact excess when all legs are certain.
 *   a leg with a bad mark   long: value in [0, bad_high_lot_vu]; short: [bad_low, bad_high]
 *   a leg never priced      long: [0, no upper bound]; short: [no lower bound, 0]
 *   an unlisted asset       0; an unlisted debt: [no lower bound, 0]
 *   final_lots > lots       lots anywhere between (an outflow that may be undone)
 *   a group with an open leg  each scenario at its end: an option in doubt gains at best, and costs at
 *                           worst, what so much of the underlying would
 * Where an instrument's weights let the excess grow with its value whatever else is held (always so
 * for spot, by V3) the bound is the exact excess at that end of the leg, not a sum of worst terms.
 * Returns false when a bounded end leaves the range of pl_evaluate.
 * "No bound" is stored as -/+ PL_EXCESS_UNBOUNDED.
 */
static const pl_i128 PL_EXCESS_UNBOUNDED = (pl_i128)1 << 120;

struct pl_bounds { pl_i128 low, high; };

[[nodiscard]] bool pl_evaluate_bounds(const struct pl_market *market,
                                      const struct pl_portfolio *portfolio, enum pl_tier tier,
                                      struct pl_bounds *excess);

/* One term of a requirement or of the equity, for people. */
enum pl_term_kind { PL_TERM_VALUE, PL_TERM_HAIRCUT, PL_TERM_FACTOR, PL_TERM_CONCENTRATION,
                    PL_TERM_DEPENDENCY, PL_TERM_CONFIDENCE, PL_TERM_HALT, PL_TERM_SCENARIO };
/* Instead of a row: the minimum for options that are owed exceeds all of them. */
static const uint32_t PL_SHORT_MINIMUM = UINT32_MAX;
struct pl_term {
    enum pl_term_kind kind;
    uint32_t index;              /* instrument, factor, dependency or underlying                   */
    uint32_t scenario;           /* of SCENARIO: the worst one's row; PL_SHORT_MINIMUM             */
    pl_i128 amount;              /* contribution to the excess: negative costs margin              */
};

/* Verdict at all tiers. */
struct pl_verdict {
    enum pl_certainty certainty; /* of the maintenance tier: UNCERTAIN when its bounds straddle 0   */
    struct pl_bounds equity_vu;
    struct pl_bounds excess[PL_TIER_COUNT];
    pl_i128 gross_vu;            /* sum |n_i| at the marks, bad ones at their last                 */
    uint32_t doubt_count;        /* legs that needed bounds, the first PL_DOUBTS_MAX in id order;
                                    last, as the whole account, cash that is not final             */
    struct pl_doubt doubts[PL_DOUBTS_MAX];
};

void pl_verdict_of(const struct pl_market *market, const struct pl_names *names,
                   const struct pl_portfolio *portfolio, struct pl_verdict *verdict);

/* Room for all terms of any account. */
enum { PL_TERMS_MAX = 6 * PL_LEGS_MAX + PL_FACTORS_MAX + 2 };

/* Splits the exact excess of `tier` into terms that are not 0 (sum of amounts == excess), the first
 * `capacity` of them; a portfolio that is not certain is split at its upper bound. Cash is a VALUE
 * with index UINT32_MAX; without an upper bound the one term is the leg that has none. Returns the
 * number of terms; 0 for an account out of range. */
uint32_t pl_explain(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    enum pl_tier tier, struct pl_term *terms, uint32_t capacity);

/* ==== ratios and requirements (lib/exposure/ratio.c) ========================================= */

/* An exact quotient; denominator 0: there is none. */
struct pl_ratio { pl_i128 numerator, denominator; };

/*
 * How a verdict looks from the collateral's side (RISK 1.11). Nothing decides by it: an excess does.
 *
 *   V+  values and cash above 0         V-  values and cash below 0, as a size;  E = V+ - V-
 *   collateral  V+ / V-
 *   over        V+ / V- - 1
 *   health      the risk-adjusted ratio at the maintenance tier, N / D, with
 *               D = sum (10^6 + haircut_short) |n_i| over n_i < 0, + 10^6 |cash| of a cash below 0
 *               (a leg with a negative weight adds nothing), and N = D + A: what is left of the
 *               collateral after its haircuts, factors, concentration and dependency, so that
 *               health >= 1 exactly where A >= 0
 *
 * A derivative's notional counts on its side, its cost in the cash. No debt, no ratio. Where the
 * verdict is not certain each is a lower bound: V+ and A at their least, and V- and D at the end
 * that makes the quotient less; none where nothing bounds it, nor where a number left the range.
 */
struct pl_ratios {
    pl_i128 collateral_vu;       /* V+, a lower bound                                              */
    pl_i128 debt_vu;             /* V-, an upper bound; PL_EXCESS_UNBOUNDED: none                  */
    struct pl_ratio collateral, over, health;
    pl_i128 requirement[PL_TIER_COUNT]; /* 10^6 E - A, both at their least; PL_EXCESS_UNBOUNDED:
                                           one of them has no bound                                */
    pl_i128 shortfall[PL_TIER_COUNT];   /* max(0, -A) at the worst, or PL_EXCESS_UNBOUNDED         */
    pl_i128 top_up_vu[PL_TIER_COUNT];   /* the least cash that cures it: shortfall / 10^6 rounded up,
                                           or PL_EXCESS_UNBOUNDED                                  */
};

/* `verdict` is that of the portfolio in this market. */
void pl_ratios_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                  const struct pl_verdict *verdict, struct pl_ratios *ratios);

/* In parts per million, rounded down: against the account. False where there is none. */
[[nodiscard]] bool pl_ratio_ppm(const struct pl_ratio *ratio, pl_i128 *ppm);

/* ==== cures (lib/exposure/cure.c) ============================================================ */

/* What is to be reached: an excess of `tier` that is not negative or, with health_ppm > 0, a health
 * (pl_ratios) of at least health_ppm, PL_PPM .. 100 PL_PPM; below PL_PPM it would not be concave. */
struct pl_goal { enum pl_tier tier; int32_t health_ppm; };

enum pl_cure_kind {
    PL_CURE_ADD = 1,             /* bring in cash or a long spot, valued at its mark               */
    PL_CURE_REPAY,               /* buy back a short out of the account's cash, at its limit       */
    PL_CURE_REDUCE,              /* sell a long at its limit                                       */
    PL_CURE_SWAP,                /* sell a long at its limit and buy back a short for it at its    */
};

struct pl_cure {
    enum pl_cure_kind kind;
    uint32_t instrument;         /* UINT32_MAX: cash                                               */
    int64_t lots;                /* > 0; of cash 0                                                 */
    int64_t ticks;               /* the limit; ADD: the mark, cash 0                               */
    uint32_t sold;               /* SWAP: what pays for `instrument`, and how much of it           */
    int64_t sold_lots, sold_ticks;
    pl_i128 cost_vu;             /* ADD: what is brought in; else what the limits give up against
                                    the marks                                                      */
};

/*
 * The least lots of leg `leg` (ADD: also UINT32_MAX for cash) with which the portfolio, which must be
 * certain, reaches the goal: no smaller quantity does. By bisection on the exact excess, which is concave
 * at one limit, rung by rung. False when no quantity of it does, when the kind does not suit the leg (its
 * sign; ADD: a derivative), its limit is no price, its chain or bridge is halted, or the goal is reached
 * already. The limit is, as in pl_plan_sale, that of the rung of the depth ladder that holds all of the
 * lots, which need be no multiple of the venue's step; the liquidity order plays no part, since the
 * account decides.
 */
bool pl_cure_by(const struct pl_market *market, const struct pl_portfolio *portfolio,
                const struct pl_goal *goal, enum pl_cure_kind kind, uint32_t leg,
                struct pl_cure *cure);
/* The same of a swap: the least lots of the short `leg`, paid for by selling as few lots of the long `sold`
 * as fetch their price, both at the limits of their rungs. What is left of the last lot sold stays as
 * cash. */
bool pl_cure_by_swap(const struct pl_market *market, const struct pl_portfolio *portfolio,
                     const struct pl_goal *goal, uint32_t leg, uint32_t sold,
                     struct pl_cure *cure);
/*
 * For an alert: cash to add, and the cheapest of each of REPAY and REDUCE, in this order, those
 * that there are; of equal costs the one whose instrument id comes first. None unless the portfolio
 * is certain.
 */
uint32_t pl_cures_of(const struct pl_market *market, const struct pl_names *names,
                     const struct pl_portfolio *portfolio, const struct pl_goal *goal,
                     struct pl_cure cures[PL_CURES_MAX]);

/* The most lots of a long leg, of those that are final, or VU of cash (leg UINT32_MAX), that may be taken
 * out so that the goal is still reached; 0 for any other leg or one that is stuck, where the goal is not
 * reached, or the portfolio is uncertain. */
pl_i128 pl_withdrawable(const struct pl_market *market, const struct pl_portfolio *portfolio,
                        const struct pl_goal *goal, uint32_t leg);

/* ==== plan (lib/exposure/plan.c) ============================================================= */

struct pl_sale_leg {
    uint32_t instrument;
    enum pl_side side;
    int64_t lots;                /* magnitude, > 0, <= the leg's size                              */
    int64_t limit_ticks;         /* sell: floor(price (1 - discount)), buy: ceil(price (1 + discount)),
                                    with the discount of the rung that all of the leg fits in      */
    bool is_extended;            /* sold farther than needed: the venue takes no less, or would not
                                    take what is left (min_notional_usd, close_leftover_usd_min)   */
    pl_i128 one_lot_less;        /* end excess with this leg one lot (lot_step) smaller at the same
                                    limit; < 0 if the sale reaches, the leg is not extended, and it
                                    took no more than PL_SALE_EVALUATIONS_MAX                      */
};

struct pl_sale {
    bool reaches;                /* end_after >= 0                                                 */
    bool is_bankrupt;            /* it does not reach, nor would more revisions: see below         */
    bool is_braked;              /* it does not reach, and the brake held some of it back          */
    uint32_t leg_count;
    struct pl_sale_leg legs[PL_SALE_LEGS_MAX]; /* in liquidity order                               */
    pl_i128 end_before, end_after, maintenance_before;
    pl_i128 cost_vu;             /* what the limits give up against the marks; of a sale that reaches */
    pl_i128 cost_bound_vu;       /* no sale that reaches costs less, 0..cost_vu                    */
    int32_t gap_ppm;             /* (cost - bound) / cost, rounded up; 0 where it costs nothing    */
    uint32_t evaluation_count;
};

/*
 * The smallest sale after which the end tier's excess is not negative with every leg executed at its
 * limit price (G9): in the policy's liquidity order, or at least cost among what that names. Sells longs,
 * buys back debts and shorts; leaves alone what the policy does not name, what has no LIVE mark, what is
 * stuck and what is not final: of a leg that is final in part the smaller of |lots| and |final_lots| may be
 * sold, if they have one sign, and of a long less what is credited only. Also left alone is a leg whose
 * limit would not be a price: below one tick, or beyond 63 bits.
 *
 * In liquidity order each leg in turn is raised to the least quantity that reaches the target, by bisection
 * on the exact excess (upper bound where inputs are uncertain) at one rung of its ladder after another, or,
 * if none does, to the one that helps most; when the order alone cannot reach it the pro-rata unwinding
 * does, if complete unwinding reaches it (RISK S4). Then every leg is trimmed by bisection until no leg can
 * be cut by one lot, nor to any quantity of a better rung. At one limit the excess is concave in the
 * quantities, hence each bisection is exact. If nothing reaches the target all that may be sold and helps
 * is sold. An account out of range gets an empty sale that neither reaches nor is bankrupt.
 *
 * Where debts decide on haircuts nothing is bought back with cash that is not there: end_after and
 * one_lot_less are within cash (pl_within_cash), as are the goals of cures, trades and withdrawals.
 *
 * is_bankrupt says that no number of revisions would reach it: not even as much of every leg as helps, each
 * at the limit of the least order that its venue takes, since ladder, slices, close factor and brake bind
 * each order and not all of them together. With close_hopeless what does not help is sold then, too. Nobody
 * is called bankrupt while sellable legs found no room among PL_SALE_LEGS_MAX: they are for the next
 * revision.
 *
 * Venues. A leg is sold in multiples of lot_step, never more than slice_usd_max or the policy's close factor
 * of it at once (which small legs, and all legs of an account of low health, are free of): what more is
 * needed is the next revision's. A leg worth less than min_notional_usd cannot be sold; an order for less
 * than that is made larger, and one that would leave less takes all. The limit is that of the rung of the
 * depth ladder that holds the whole order, and all of it is valued at that limit, so that whatever is filled
 * is filled at what was proved or better. Values are at the mark.
 *
 * At least cost, steps of legs, and of a long with a short that hedges it, are taken by what they gain for
 * what they give up (cheapest.c); then it is trimmed likewise. Where that finds no sale the liquidity order
 * is gone through. Whatever the objective, cost_bound_vu says what any sale that reaches must cost
 * (certificate.c): a proof by weak duality, good to about one lot where legs are independent. It is over
 * what may be sold at once, slices and all, and 0 where inputs are in doubt or more legs may be sold than
 * fit.
 */
void pl_plan_sale(const struct pl_market *market, const struct pl_names *names,
                  const struct pl_portfolio *portfolio, struct pl_sale *sale);

/*
 * Brake. Of each leg no more than market->left_lots is sold or bought back, rounded down to a step, and
 * nothing where that is less than the venue takes. is_braked says that the sale does not reach its target
 * and that the brake held back some of it.
 */

/*
 * What the account could trade by itself to reach a goal at least cost: some of several legs together,
 * longs sold and shorts bought back, at limits as above. The plan's own program and certificate; slices,
 * close factor and brake bind forced sales only, and what the liquidity order does not name may be traded
 * too. Never dearer than the least of one leg by itself. In `trades`, end_before, end_after and one_lot_less
 * are the goal's excess: of a health h that of the maintenance tier less (h - 1) D, rounded down (pl_ratios);
 * maintenance_before and is_bankrupt are unused. False when nothing of the kind reaches the goal, it is
 * reached already, or the portfolio is not certain or out of range.
 */
bool pl_plan_trades(const struct pl_market *market, const struct pl_portfolio *portfolio,
                    const struct pl_goal *goal, struct pl_sale *trades);

/* Excess of `tier` after executing `legs` of a sale at their limits (upper bound when uncertain); that of the
 * end tier within cash. */
[[nodiscard]] bool pl_sale_excess(const struct pl_market *market,
                                  const struct pl_portfolio *portfolio, enum pl_tier tier,
                                  const struct pl_sale_leg *legs, uint32_t leg_count,
                                  pl_i128 *excess);

/* ==== the brake (lib/exposure/brake.c) ======================================================= */

/*
 * A budget over all forced sales of an instrument, so that they do not make the next ones: in each window
 * of brake_window_ms, counted from 1970, the accounts of a partition may sell and buy back together
 *
 *   floor(d * brake_depth_ppm * 10^6 / (partitions * v))   lots
 *
 * where d is the last usd_max of the instrument's depth ladder, in whole USD, and v the value of a lot
 * at its mark in VU (of an option as it is owed); at least what its venue takes in one order, or nobody would
 * ever be sold. An instrument without a ladder has no budget. What an order asks for is taken from the budget when it is
 * decided, filled or not. Partitions share nothing, so each has its part.
 */
struct pl_budget {
    int64_t window_start_ms;     /* of the window that was used; a later window begins with nothing used */
    int64_t used_lots[PL_INSTRUMENTS_MAX]; /* >= 0, by instrument                                  */
};

/* From when on an account in liquidation may have another revision: what its state says; but now, where it
 * waits for the brake until later than the present policy would let it wait, the end of a window and a
 * pause. */
int64_t pl_revision_after(const struct pl_policy *policy, const struct pl_account_state *state,
                          int64_t now_ms);
/* Start of the window that `now_ms` lies in; the policy has one. */
int64_t pl_brake_window(const struct pl_policy *policy, int64_t now_ms);
/* What was used of the window of market->now_ms: what `last` says if it began in it, as it has where a policy
 * made windows longer since; else nothing. */
void pl_budget_begin(const struct pl_market *market, const struct pl_budget *last,
                     struct pl_budget *budget);
/* What is left of each listed instrument, >= 0; INT64_MAX where it has no budget, 0 where it has one and
 * no LIVE mark or is worth nothing. */
void pl_budget_left(const struct pl_market *market, int32_t partition_count,
                    const struct pl_budget *budget, int64_t left_lots[PL_INSTRUMENTS_MAX]);
bool pl_budget_allows(const int64_t left_lots[PL_INSTRUMENTS_MAX], const struct pl_sale *sale);
/* Takes an allowed sale from the budget. True if any of its instruments has one. */
bool pl_budget_take(const struct pl_sale *sale, struct pl_budget *budget,
                    int64_t left_lots[PL_INSTRUMENTS_MAX]);

/* ==== calls of contracts (lib/exposure/call.c) =============================================== */

struct pl_call {
    uint32_t contract;           /* index in the set                                               */
    uint32_t debt;               /* instrument                                                     */
    int64_t debt_lots;           /* magnitude, > 0, <= the debt                                    */
    int64_t collateral_lots;     /* > 0; <= the sale's but for COMPOUND_V3                         */
    int32_t close_factor_ppm, bonus_ppm;
};

/*
 * The call that executes a leg of a sale, from the portfolio that the account has: its mode, and its
 * legs by instrument id.
 * False where there is none: the leg buys, no contract holds its instrument, the account has no debt
 * of a LIVE mark in that contract, or a call would move less than a lot.
 *
 * With the sale's lots s of value c each, the debt D > 0, of the contract's debts the one of the
 * most value and of equal ones the first, of value d each, in VU, and g = 10^6 + bonus:
 *   AAVE_V3      repays min(floor(s c 10^6 / (g d)), floor(D f / 10^6)) lots, r, and takes
 *                min(s, floor(r d g / (10^6 c))); f is the close factor, or 10^6 where D d or the
 *                account's lots of the collateral are worth less than small_usd, or the health
 *                factor by what it has in this contract, at live marks, is below full_below:
 *                10^6 sum(n (10^6 - haircut_long)) < full_below sum(-n (10^6 + haircut_short))
 *   COMPOUND_V3  takes all that the account has of the collateral, and D
 *   MORPHO       repays min(ceil(s c 10^6 / (g d)), D) lots, r, and takes
 *                min(s, floor(r d g / (10^6 c))); g = min(1150000,
 *                floor(10^12 / (10^6 - floor(3 h / 10)))), h haircut_long and not below 0
 * Haircuts are those of the maintenance tier, of AAVE_V3 the mode's where it names the instrument, and
 * likewise the bonus; else as the base set has them: a contract knows neither halts nor volatility. What
 * is taken is never worth more than g / 10^6 of what is repaid.
 */
[[nodiscard]] bool pl_call_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                              const struct pl_sale_leg *sale, struct pl_call *call);
/* The bonus that MORPHO gives for a collateral: g - 10^6. */
int32_t pl_call_morpho_bonus_ppm(const struct pl_instrument *collateral);

/* ==== state and decision (lib/exposure/decide.c) ============================================= */

struct pl_execution {
    struct pl_id account;
    uint8_t order_id[PL_ORDER_ID_BYTES];
    bool is_terminal;
    int64_t cumulative_mantissa; /* magnitude in units of 10^-cumulative_decimals                  */
    int32_t cumulative_exponent;
    int64_t event_time_ms;
};

/* Folds a report into the state: executed quantities only grow, terminal stays terminal. False when
 * the state has no such order (late report of a released one, or of nobody's). */
bool pl_state_apply_execution(struct pl_account_state *state, const struct pl_execution *execution);

/* The portfolio that is evaluated: the account's legs with pending quantities counted as sold at
 * their limits (G5). It borrows its legs from `legs`, scratch of PL_LEGS_MAX, or where nothing is pending
 * from the book. */
void pl_effective_portfolio(const struct pl_book *book, uint32_t index,
                            const struct pl_account_state *state,
                            const struct pl_market *market, struct pl_leg *legs,
                            struct pl_portfolio *portfolio);

enum pl_alert_kind { PL_ALERT_STATE = 1, PL_ALERT_UNCERTAIN, PL_ALERT_CERTAIN,
                     PL_ALERT_ORDER_OVERDUE, PL_ALERT_OUT_OF_RANGE, PL_ALERT_CALL_EXPIRED,
                     PL_ALERT_BAD_DEBT };

struct pl_alert {
    enum pl_alert_kind kind;
    enum pl_state left, entered;
    int64_t since_ms;            /* since when `left` had lasted; where what came between was held
                                    back, when it was told                                         */
    int64_t due_ms;              /* of the call; 0: none. Of CALL_EXPIRED: the one that passed     */
    uint8_t order_id[PL_ORDER_ID_BYTES];
};

enum { PL_DECISION_ALERTS_MAX = 5 + PL_PENDING_MAX };

/* What becomes of one account in one step. */
struct pl_decision {
    uint32_t index;              /* row in the book                                                */
    bool has_changed;            /* the state differs from the committed one: publish it           */
    uint32_t rank;               /* for the caller: place among the step's decisions               */
    int64_t waits_since_ms;      /* for the brake, as of the last decision; 0: it does not         */
    bool has_sale;
    struct pl_account_state state; /* next; order ids of a new sale's pending entries are zero and
                                      filled by whoever names orders                               */
    uint32_t alert_count;
    struct pl_alert alerts[PL_DECISION_ALERTS_MAX];
    struct pl_verdict verdict;
    struct pl_ratios ratios;     /* of the verdict; where has_changed                              */
    uint32_t cure_count;         /* of initial margin; where there are alerts                      */
    struct pl_cure cures[PL_CURES_MAX];
    struct pl_sale sale;
};

/*
 * Decides one account: releases what holdings show of its pending orders, marks overdue ones,
 * evaluates, moves between the states of RISK 1.7 and plans a sale when one is due:
 *   - entering LIQUIDATING (maintenance certainly below 0) opens an episode with revision 1;
 *   - within an episode, when the pause is over, either maintenance is below 0 in spite of all that
 *     is pending, or nothing is pending and the end tier is below 0: one more revision, additive;
 *   - no sale while halted, while the whole account is in doubt, or when the plan's legs and what is
 *     pending exceed PL_PENDING_MAX.
 * LIQUIDATING ends when the end tier is not below 0 and nothing is pending any more. BANKRUPT is an
 * account below maintenance whose plan says so; it ends when maintenance is whole and nothing is
 * pending. An account without holdings is in doubt as one with a gap is.
 *
 * Margin calls. Entering RESTRICTED or worse is a call; a policy with grace gives it a deadline, and
 * once, when that has passed and initial margin is certainly not whole, one CALL_EXPIRED tells so. A
 * change of state is told by one STATE alert, from what was told last. With call_interval_ms_min an
 * alert of entering OK, ALERT or RESTRICTED waits until that much time has passed since the last one
 * of the same state, and is told then if it still holds; LIQUIDATING and BANKRUPT never wait.
 *
 * Doubts. UNCERTAIN tells that the account's doubts have begun, or that there is one more among them: a leg
 * that was not in doubt, or another reason of the whole account but one that has an alert of its own
 * (ORDER_OVERDUE, OUT_OF_RANGE). CERTAIN tells that none is left. No interval holds them back.
 *
 * Bad debt. When a plan says bankrupt, equity is certainly below 0 with orders in flight at their
 * limits, and neither these nor what the plan sells are worth more than the policy's bad_debt_dust_usd
 * at their limits, BAD_DEBT tells -equity (its upper bound, so the debt is certain), once in a
 * bankruptcy. It does not wait until an account is empty, so that no dust that nobody buys hides a
 * debt; and what is left counts at its mark, so nobody is asked to pay for what can still be had.
 *
 * `prior` is the committed state with this step's executions folded in and `committed` the one
 * without, to tell whether anything changed.
 */
void pl_decide(const struct pl_market *market, const struct pl_names *names,
               const struct pl_book *book, uint32_t index,
               const struct pl_account_state *committed, const struct pl_account_state *prior,
               bool is_halted, struct pl_decision *decision);

/* ==== search (lib/exposure/screen.c) ========================================================= */

/*
 * Accounts to decide: everyone for whom pl_decide could change anything (G3). Called once per step
 * and partition, after pl_market_update. `touched` are rows with new holdings, executions or taint,
 * in any order, possibly twice. Writes distinct rows in ascending order of account id and returns
 * their number; `candidates` and `marks` have room for accounts_max entries (marks: bytes, zeroed,
 * left zeroed).
 *
 * An account is left out only if nothing of it was touched, no timer of its state is due, and either
 * no quote it holds changed or it is at rest (OK, no doubt, nothing pending) with an exact alert excess
 * >= 0, the lowest of the nested tiers; where bounds stand in, both the alert and the maintenance tier's
 * lower one.
 */
uint32_t pl_screen(const struct pl_market *market, const struct pl_book *book,
                   const uint32_t *touched, uint32_t touched_count,
                   uint32_t *candidates, uint8_t *marks);

/* ==== risk figures (lib/exposure/risk.c) ===================================================== */

/*
 * What would happen at other prices. Every figure is asked of the evaluation above under marks that
 * were moved, so it is what would be decided at those marks, in whole ticks, and no approximation of
 * it. Nothing here decides anything; these functions are slow beside pl_evaluate (a market each).
 */

enum { PL_SCENARIOS_MAX = 4096, PL_HOLDERS_MAX = 10 };

/* A price may move up to this, in 10^-12 of itself: + 1,000,000 %. */
static const int64_t PL_MOVE_E12_MAX = 10000 * (int64_t)1000000000000;

/* Which way prices go, by instrument number: `step` of it moves a price by weight_ppm * step 10^-12
 * of itself. With 10^6 everywhere a step is 1 ppm of each price; with the volatilities in ppm it is
 * 10^-6 standard deviations; with a scenario's moves in ppm 10^6 steps are the scenario. */
struct pl_direction { int32_t weight_ppm[PL_INSTRUMENTS_MAX]; };

/* One account as it stands, and what it is evaluated with; all borrowed. */
struct pl_outlook {
    const struct pl_market *market;  /* as things are: its parameters, time and halts stay         */
    const struct pl_mark *marks;     /* that it is of                                              */
    const struct pl_names *names;
    const struct pl_portfolio *portfolio;
};

/* Borrows what a market is given besides parameters and marks: the halts. For a market beside another
 * one, before pl_market_update. */
void pl_market_inherit(struct pl_market *market, const struct pl_market *from);

/* Marks that were moved and the market of them: scratch of about 3 MB, zeroed before its first use and
 * whenever the parameters' bytes are no longer those of the set that was last used with it. */
struct pl_stressed {
    struct pl_mark marks[PL_INSTRUMENTS_MAX];
    struct pl_market market;
};

/* A price moved: mantissa * 10^exponent * (1 + move_e12 * 10^-12) in ticks, half-even, at least one
 * tick. False when it leaves the range; -10^12 <= move_e12 <= PL_MOVE_E12_MAX. */
bool pl_price_move(int64_t mantissa, int32_t exponent, uint32_t tick_decimals, int64_t move_e12,
                   int64_t *ticks);

/* The outlook's marks moved, with their intervals, and the market of them. A mark whose price
 * leaves the range counts as HALTED; one below -100 % costs a tick. The portfolio is not looked at. */
void pl_stress(struct pl_stressed *stressed, const struct pl_outlook *outlook,
               const struct pl_direction *direction, int64_t step);

enum pl_distance_kind {
    PL_DISTANCE_REACHED = 1, /* `step` steps are harmless, one more is not                       */
    PL_DISTANCE_BELOW,       /* below the line as things stand; step is 0                        */
    PL_DISTANCE_NEVER,       /* not within `step` steps, which is the limit                      */
    PL_DISTANCE_UNKNOWN,     /* after `step` steps the account leaves the exact range            */
};

struct pl_distance {
    enum pl_distance_kind kind;
    int64_t step;
    pl_i128 excess;          /* at `step`                                                        */
    pl_i128 excess_beyond;   /* one step further; REACHED only                                   */
};

/*
 * How far prices may go until the maintenance excess is negative (RISK 3.3): the lower bound of it
 * where inputs are uncertain. Looks at PL_DISTANCE_PARTS evenly spaced places up to step_max > 0 and
 * bisects before the first one that is below. The excess of linear legs is concave along a
 * direction up to the rounding to ticks, so this is the first crossing; where an excess dips below 0
 * and recovers between two of these places, the dip is not seen.
 */
enum { PL_DISTANCE_PARTS = 128 };
void pl_distance_of(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                    const struct pl_direction *direction, int64_t step_max,
                    struct pl_distance *distance);

/* Maintenance excess (lower bound) with one price alone moved up and down by `move_e12` 10^-12 of it;
 * false when either is out of range, or the price has no mark. */
struct pl_probe { pl_i128 up, down; };
[[nodiscard]] bool pl_probe_price(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                                  uint32_t instrument, int64_t move_e12, struct pl_probe *probe);
/* Turns each weight so that a positive step is against the account: the way that `step` of that
 * price alone leaves the lower excess; down where both are equal, 0 where neither changes it. For linear
 * legs the first crossing in that direction is r = A / sum |e_i| w_i (RISK 3.3). */
void pl_direction_against(struct pl_stressed *stressed, const struct pl_outlook *outlook,
                          int64_t step, struct pl_direction *direction);

/*
 * What an account is spared because its legs stand together: requirements (10^6 E - A, pl_ratios) of `tier`
 * of the whole, and of each leg by itself, summed. Requirements are convex and homogeneous but for brackets,
 * which are of one leg each: together they never ask for more. False in doubt or out of range.
 */
struct pl_netting {
    pl_i128 requirement, gross_requirement; /* VU ppm; what cash owes asks for nothing      */
    int32_t efficiency_ppm;      /* 1 - requirement / gross, rounded down; 0 where gross is 0 */
};
[[nodiscard]] bool pl_netting_of(const struct pl_market *market, const struct pl_portfolio *portfolio,
                                 enum pl_tier tier, struct pl_netting *netting);

/* Potential future exposure and expected shortfall of `count` (1..PL_SCENARIOS_MAX) losses, which are
 * sorted, largest first (RISK 1.11): the ceil((1 - confidence) count)-th largest, and the mean of the
 * losses down to that one, rounded down. The deviation is the root of the mean square, rounded up, of
 * sizes rounded up to 57 bits: an excess divided by it is the distance in standard deviations under the
 * scenarios' own correlations (the ellipsoid of RISK 3.3). 0 < confidence_ppm < 10^6; losses are below
 * 2^112. */
struct pl_tail {
    uint32_t rank;
    pl_i128 exposure_vu, shortfall_vu, deviation_vu;
};
void pl_tail_of(pl_i128 *losses_vu, uint32_t count, int32_t confidence_ppm, struct pl_tail *tail);

/* Of a book at one set of prices. Only what is certain counts: the true figures are not below. */
struct pl_stress_sum {
    uint64_t account_count, uncertain_count, out_of_range_count;
    uint64_t below_count;    /* below maintenance                                                */
    uint64_t bankrupt_count; /* whose sale of everything does not reach the end tier             */
    uint64_t debt_count;     /* with negative equity                                             */
    pl_i128 sold_vu;         /* what pl_plan_sale sells and buys of those below, at the marks    */
    pl_i128 lacking;         /* sum of what they lack at maintenance, VU * ppm                   */
    pl_i128 debt_vu;         /* bad debt: sum of max(0, -equity)                                 */
};
void pl_stress_add(struct pl_stress_sum *sum, const struct pl_market *market,
                   const struct pl_names *names, const struct pl_portfolio *portfolio);

/* Where an account stands: the last of the nested tiers whose excess is certainly below 0. */
enum pl_standing { PL_STANDING_WHOLE, PL_STANDING_ALERT, PL_STANDING_INITIAL, PL_STANDING_END,
                   PL_STANDING_MAINTENANCE, PL_STANDING_UNCERTAIN, PL_STANDING_OUT_OF_RANGE,
                   PL_STANDING_COUNT };
/* UNCERTAIN and OUT_OF_RANGE as the verdict's certainty says. */
enum pl_standing pl_standing_of(const struct pl_verdict *verdict);

/* What a book has of one thing: an asset, what lives on one chain, what depends on one bridge. */
struct pl_holder {
    struct pl_id account;
    pl_i128 long_vu;
};
struct pl_gross {
    pl_i128 long_vu, short_vu; /* both >= 0                                                      */
    uint64_t holder_count;     /* accounts that are long                                         */
    uint32_t top_count;
    struct pl_holder top[PL_HOLDERS_MAX]; /* largest first, then by id                           */
};
/* Adds one account, once: its long and its short value, both >= 0. */
void pl_gross_add(struct pl_gross *gross, const struct pl_id *account, pl_i128 long_vu,
                  pl_i128 short_vu);
/* Part of the long value that the `count` largest hold, rounded down; 0 of nothing. */
int32_t pl_gross_share_ppm(const struct pl_gross *gross, uint32_t count);

/* ==== loss waterfall (lib/exposure/waterfall.c) ============================================== */

/*
 * Who bears what a bankrupt account cannot pay: the insurance fund as far as it goes; then those who won
 * on the other side of what the account still holds, in the order of their score; then everybody with
 * equity, in proportion to it. Each bears what those before it left, so the three add up to the debt. What
 * is divided is the debt and nothing else: no discount, fee or bonus is paid to anybody out of it, so that
 * nobody can gain by going bankrupt.
 */

/* Exact parts of a whole. */
struct pl_share {
    struct pl_id account;
    pl_i128 weight;          /* >= 0                                                             */
    pl_i128 amount_vu;       /* set by pl_divide                                                 */
    pl_i128 rest;            /* its own                                                          */
};

/* Divides total_vu >= 0 in proportion to the weights: each amount is the exact part rounded down, and what
 * that leaves goes, one VU each, to the largest remainders, of equal ones to the lowest account ids
 * (Hamilton's method). Sorts the shares by account. False, with amounts untouched, where all weights are 0 or
 * their sum is 2^126 or more. */
[[nodiscard]] bool pl_divide(pl_i128 total_vu, struct pl_share *shares, uint32_t count);

/* A derivative that is in profit, held on the other side of a bankrupt account's. */
struct pl_winner {
    struct pl_id account;
    int64_t lots;            /* not 0                                                            */
    pl_i128 cost_vu;         /* of the lots: entry value with funding and fees                   */
    pl_i128 profit_vu;       /* value - cost > 0                                                 */
    pl_i128 equity_vu, gross_vu; /* of the account                                               */
    int64_t closed;          /* magnitude; by pl_deleverage                                      */
    pl_i128 charge_vu;       /* what it gives up of its profit; by pl_deleverage                 */
};

/* Ten thousand times. */
static const int64_t PL_SCORE_PART_PPM_MAX = 10000 * (int64_t)PL_PPM;

/* Profit / |cost| times gross / equity, in ppm^2, each factor rounded down to ppm and at most
 * PL_SCORE_PART_PPM_MAX, which also stands for a quotient by nothing: who won most with least of their own
 * comes first, as at the exchanges that publish their rule (Binance: profit in per cent times effective
 * leverage). */
pl_i128 pl_winner_score(const struct pl_winner *winner);
/* Highest score first, then by account id. */
void pl_rank_winners(struct pl_winner *winners, uint32_t count);
/*
 * Closes `lots` of a bankrupt account, at the mark, against what ranked winners hold beyond what is closed
 * already, one after the other, while debt is left: each gives up at most the profit of the lots that are
 * closed, rounded down, so nobody loses by it more than was won. Returns how much of the debt is covered.
 */
pl_i128 pl_deleverage(struct pl_winner *winners, uint32_t count, int64_t lots, pl_i128 debt_vu);

#endif
