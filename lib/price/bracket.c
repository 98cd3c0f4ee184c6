/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An option's value at the nodes of a grid, as integers below and above it (RISK 1.4). Path:
 * upstream; the arrays are published. option.h has the argument; here is the arithmetic.
 *
 * Floating point, as in black76.c. What it may err is allowed for on both sides: a part in 10^9 of
 * the value, and 10^-14 of forward + strike, since the value is a difference of two such products.
 */
#include <math.h>

#include "lib/base/assert.h"
#include "lib/price/option.h"

static const double ERROR_RELATIVE = 1e-9;
static const double ERROR_ABSOLUTE = 1e-14;
/* Powers of ten up to 22 are exact in a double. */
static const double POWERS[PL_DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6,
                                                   1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* Value of one lot at a node in VU, what it may be wrong by, and its slope in VU per tick. */
struct node { double value, error, slope; };

static double vu_per_usd(const struct pl_bracket_terms *terms)
{
    return POWERS[PL_DECIMALS_MAX - terms->lot_decimals];
}

/* Slope of the discounted forward, the steepest that an option's value can have; VU per tick. */
static double steepest(const struct pl_bracket_terms *terms)
{
    return exp(-terms->rate * terms->years) * terms->forward_ratio * vu_per_usd(terms) /
           POWERS[terms->tick_decimals] * (1 + ERROR_RELATIVE);
}

static struct node node_at(const struct pl_bracket_terms *terms, int64_t ticks)
{
    const double tick_usd = 1 / POWERS[terms->tick_decimals];
    const struct pl_black76 option = {
        .type = terms->type,
        .forward = ((double)ticks * terms->forward_ratio + terms->fixed_ticks) * tick_usd,
        .strike = (double)terms->strike_ticks * tick_usd,
        .volatility = terms->volatility, .years = terms->years, .rate = terms->rate,
    };
    const struct pl_black76_value value = pl_black76(&option);
    const double scale = vu_per_usd(terms);
    const double discount = exp(-terms->rate * terms->years);
    return (struct node){
        .value = value.price * scale,
        .error = (value.price * ERROR_RELATIVE +
                  discount * (option.forward + option.strike) * ERROR_ABSOLUTE) * scale,
        .slope = value.delta * terms->forward_ratio * tick_usd * scale,
    };
}

/* The most by which the chord over [a, b] lies above the value. */
static double sag(struct node a, struct node b, double width)
{
    const double bend = b.slope - a.slope;
    return bend > 0 ? width * bend / 4 : 0;
}

static bool in_range(double value, double low, double high)
{
    return value >= low && value <= high; /* false for what is no number */
}

static enum pl_err check(const struct pl_bracket_terms *terms)
{
    if (terms->type != PL_OPTION_CALL && terms->type != PL_OPTION_PUT)
        return pl_err_set(PL_REJECT_RANGE, "option type %d is neither call nor put", terms->type);
    if (terms->strike_ticks <= 0)
        return pl_err_set(PL_REJECT_RANGE, "strike %lld is not above 0",
                          (long long)terms->strike_ticks);
    if (terms->tick_decimals > PL_DECIMALS_MAX ||
        terms->lot_decimals > PL_DECIMALS_MAX - terms->tick_decimals)
        return pl_err_set(PL_REJECT_RANGE, "more than %d decimals", PL_DECIMALS_MAX);
    if (!in_range(terms->fixed_ticks, 0, 0x1p60) ||
        !in_range(terms->forward_ratio, terms->fixed_ticks > 0 ? 0 : 1e-3, 1e3) ||
        !in_range(terms->volatility, 0, 100) || !in_range(terms->years, 0, 100) || !in_range(terms->rate, -10, 10))
        return pl_err_set(PL_REJECT_RANGE, "forward, volatility, years or rate");
    return PL_OK;
}

/* Whole VU of a value that is rounded already; 2^62 leaves room for the ends to be raised. */
static enum pl_err to_vu(double whole, int64_t *vu)
{
    if (!(whole < 0x1p62))
        return pl_err_set(PL_REJECT_RANGE, "an option's value leaves 2^62 VU");
    *vu = (int64_t)whole;
    return PL_OK;
}

/* high at the end node `end` such that the line from `inner` through it leaves the grid no lower
 * than the value can: with the steepest slope where the option pays, level on the other side. */
static enum pl_err raise_end(double rise, int64_t inner, int64_t *end)
{
    int64_t rise_vu = 0;
    const enum pl_err err = to_vu(ceil(rise), &rise_vu);
    if (!err && *end < inner + rise_vu)
        *end = inner + rise_vu;
    return err;
}

static enum pl_err raise_ends(const struct pl_grid *grid, const struct pl_bracket_terms *terms,
                              int64_t high[])
{
    const uint32_t last = grid->node_count - 1;
    const bool is_call = terms->type == PL_OPTION_CALL;
    const int64_t first_width = pl_grid_ticks(grid, 1) - pl_grid_ticks(grid, 0);
    const int64_t last_width = pl_grid_ticks(grid, last) - pl_grid_ticks(grid, last - 1);
    enum pl_err err =
        raise_end(is_call ? 0 : steepest(terms) * (double)first_width, high[1], &high[0]);
    if (!err)
        err = raise_end(is_call ? steepest(terms) * (double)last_width : 0, high[last - 1],
                        &high[last]);
    return err;
}

/* By how much low is to lie below the value at each node, at least: the larger sag of its cells. */
static void lower(const struct pl_grid *grid, const struct node nodes[], double lowered[])
{
    const uint32_t last = grid->node_count - 1;
    double before = 0;
    for (uint32_t i = 0; i < last; i++) {
        const int64_t width = pl_grid_ticks(grid, i + 1) - pl_grid_ticks(grid, i);
        const double after = sag(nodes[i], nodes[i + 1], (double)width);
        lowered[i] = fmax(before, after) + nodes[i].error;
        before = after;
    }
    lowered[last] = before + nodes[last].error;
}

/* A value below 0 cannot be, so low is not. But a node that is raised to 0 lifts its cells' lines
 * over the value: the nodes beside it are 0 as well, and such a cell is 0 throughout. */
static double low_at(const struct node nodes[], const double lowered[], uint32_t node,
                     uint32_t last)
{
    for (uint32_t i = node ? node - 1 : 0; i <= last && i <= node + 1; i++)
        if (nodes[i].value < lowered[i])
            return 0;
    return floor(nodes[node].value - lowered[node]);
}

/* low at an end node such that the line from `inner` through it leaves the grid no steeper than the
 * chord between the values, below which a convex value does not go; or at 0 or less. */
static void lower_end(struct node end, struct node inner, int64_t inner_low, int64_t *end_low)
{
    const double rise = floor(end.value - inner.value - end.error - inner.error);
    const int64_t most = inner_low + (int64_t)rise;
    if (*end_low > most)
        *end_low = most > 0 ? most : 0;
}

enum pl_err pl_bracket_fill(const struct pl_grid *grid, const struct pl_bracket_terms *terms,
                            int64_t low[], int64_t high[])
{
    pl_assert(grid->node_count >= 3 && grid->node_count <= PL_GRID_NODES_MAX);
    enum pl_err err = check(terms);
    if (err)
        return err;
    const uint32_t last = grid->node_count - 1;
    struct node nodes[PL_GRID_NODES_MAX];
    double lowered[PL_GRID_NODES_MAX];
    for (uint32_t i = 0; i <= last; i++)
        nodes[i] = node_at(terms, pl_grid_ticks(grid, i));
    lower(grid, nodes, lowered);
    for (uint32_t i = 0; !err && i <= last; i++) {
        err = to_vu(ceil(nodes[i].value + nodes[i].error), &high[i]);
        low[i] = err ? 0 : (int64_t)low_at(nodes, lowered, i, last);
    }
    if (err)
        return err;
    lower_end(nodes[0], nodes[1], low[1], &low[0]);
    lower_end(nodes[last], nodes[last - 1], low[last - 1], &low[last]);
    return raise_ends(grid, terms, high);
}
