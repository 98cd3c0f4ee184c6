/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an option is worth, in whole numbers that enclose it (RISK 1.4). Upstream of every decision,
 * floating point prices the option at the nodes of a grid of underlying prices (black76.c) and
 * rounds outward into two integer arrays (bracket.c). From then on there are integers only: where a
 * price lies on the grid, and one interpolation with one floor (grid.c).
 *
 * Grid. Dyadic and log-linear: an octave [2^m, 2^(m+1)) of ticks is cut into 2^bits cells of equal
 * width 2^shift, shift = m - bits. A price finds its cell by counting leading zeros; grids of all
 * instruments and epochs share these nodes, so arrays can be added node by node.
 */
#ifndef PL_PRICE_OPTION_H
#define PL_PRICE_OPTION_H

#include "lib/base/num.h"

/* ==== floating point, upstream (black76.c) =================================================== */

enum pl_option_type { PL_OPTION_CALL = 1, PL_OPTION_PUT };

/* A European option on a forward. volatility and rate are per year, rate continuously compounded;
 * forward and strike > 0, volatility and years >= 0. */
struct pl_black76 {
    enum pl_option_type type;
    double forward, strike, volatility, years, rate;
};

/* Discounted value of one unit and its derivatives: by the forward, twice by it, by volatility. */
struct pl_black76_value { double price, delta, gamma, vega; };

/* Black (1976). Without time or volatility left it is the discounted intrinsic value; delta is then
 * that of the right side at the strike, gamma and vega are 0. */
struct pl_black76_value pl_black76(const struct pl_black76 *option);

/* How far volatility is shocked: up to max(floor, v (1 + up f)), down to max(0, v (1 - down f)),
 * with f = (30 / max(days, days_floor))^power, power_short below 30 days, power_long from 30 on. */
struct pl_volatility_shock { double up, down, floor, days_floor, power_short, power_long; };

double pl_volatility_up(const struct pl_volatility_shock *shock, double volatility, double days);
double pl_volatility_down(const struct pl_volatility_shock *shock, double volatility, double days);

/* ==== the grid, exact (grid.c) =============================================================== */

enum {
    PL_GRID_BITS = 6,          /* 64 cells an octave: 0.8 to 1.6 % wide */
    PL_GRID_BITS_MAX = 8,
    PL_GRID_NODES_MAX = 340,   /* from a sixth to six times a price at PL_GRID_BITS */
    PL_GRID_REACH = 6,
};

/* Consecutive nodes: node i is the lower end of cell first_cell + i. A price outside lies on the
 * line of the end cell, extended. */
struct pl_grid {
    uint32_t bits;             /* 1..PL_GRID_BITS_MAX */
    uint32_t first_cell;       /* of a price >= 2^bits */
    uint32_t node_count;       /* 3..PL_GRID_NODES_MAX */
};

/* Where a price lies: past node `node` by `offset` ticks of the 2^shift to the next node. offset is
 * negative below the grid and may exceed 2^shift above it. */
struct pl_grid_place {
    uint32_t node;             /* 0..node_count - 2 */
    uint32_t shift;
    int64_t offset;
};

/* The grid of PL_GRID_BITS that reaches from ticks / 6 to 6 ticks, but not below 2^bits ticks.
 * 0 < ticks <= 2^60. */
struct pl_grid pl_grid_around(int64_t ticks);

/* The price at a node. */
int64_t pl_grid_ticks(const struct pl_grid *grid, uint32_t node);

/* ticks >= 0. */
struct pl_grid_place pl_grid_place(const struct pl_grid *grid, int64_t ticks);

/*
 * from + (to - from) offset / 2^shift, rounded down: the one rounding of an option's value. `from`
 * and `to` are sums over an account, positive for what it is owed and negative for what it owes,
 * so down is against it on both sides; the loss is below 1 VU. |from| and |to| are at most
 * PL_VALUE_VU_MAX and |offset| at most 2^45, so that the product is below 2^127.
 */
static inline pl_i128 pl_grid_interpolate(pl_i128 from, pl_i128 to, struct pl_grid_place place)
{
    return from + (((to - from) * place.offset) >> place.shift);
}

/* ==== brackets: floating point into integers (bracket.c) ===================================== */

/* One option at one layer: its volatility and the time it has left there. */
struct pl_bracket_terms {
    enum pl_option_type type;
    int64_t strike_ticks;      /* > 0, ticks of the underlying */
    uint32_t tick_decimals;    /* of the underlying; with lot_decimals <= PL_DECIMALS_MAX */
    uint32_t lot_decimals;     /* of the option */
    /* forward = fixed_ticks + forward_ratio * underlying price, both held fixed over the grid. Without a
     * fixed part the ratio is at least 10^-3, with one it may be 0. */
    double forward_ratio;      /* at most 10^3 */
    double volatility;         /* a year, 0..100 */
    double years;              /* 0..100 */
    double rate;               /* a year, -10..10 */
    double fixed_ticks;        /* of the forward, >= 0, ticks of the underlying, at most 2^60 */
};

/*
 * Fills low[] and high[] (grid->node_count entries each, VU per lot) so that for every price
 * p >= 0, on the grid or outside, with V the value of one lot in VU and q lots:
 *     interpolate(q low)  <= q V(p)   for q > 0,    interpolate(q high) <= q V(p)   for q < 0,
 * and 0 <= low <= high at every node (V4).
 *
 * V is convex in the price, so the chord between two exact node values is never below it, and it is
 * above it by at most h (d2 - d1) / 4, with h the cell's width and d1, d2 the slopes at its ends
 * (the distance from the chord to where the end tangents meet). low is lowered by that, at each
 * node for both of its cells. Where it would become negative it is 0, and 0 at the nodes beside, or
 * the line to them would pass above the value. At an end node low is so far down, and high so far
 * up, that both hold outside as well. Values are widened by what floating point may err, then
 * rounded down and up.
 *
 * REJECT_RANGE for terms outside the ranges above, or a value that leaves 2^62 VU.
 */
enum pl_err pl_bracket_fill(const struct pl_grid *grid, const struct pl_bracket_terms *terms,
                            int64_t low[], int64_t high[]);

#endif
