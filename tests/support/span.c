/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/span.h"

#include <stdlib.h>

#include "lib/base/assert.h"

/* An exact product of three. */
__extension__ typedef __int128 wide;
static const int64_t E6 = 1000000;

/* What a commodity brings into the spreads: the sums over its positions. */
struct sums {
    int64_t gain[SPAN_SCENARIOS];
    int64_t month_deltas_e6[SPAN_MONTHS_MAX];
    int64_t net_delta_e6;
    int64_t left_e6;             /* of the net delta, not in a spread yet                          */
    int64_t twice_price_risk;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Takes as many spreads as two opposite deltas have, in millionths; none where they are on one side. */
static int64_t take_spreads(int64_t *first_e6, int64_t *second_e6, const int64_t deltas[2])
{
    if ((*first_e6 < 0) == (*second_e6 < 0))
        return 0;
    const int64_t spreads_e6 = least(llabs(*first_e6) / deltas[0], llabs(*second_e6) / deltas[1]);
    const int side = *first_e6 < 0 ? -1 : 1;
    *first_e6 -= side * spreads_e6 * deltas[0];
    *second_e6 += side * spreads_e6 * deltas[1];
    return spreads_e6;
}

static void add_up(const struct span_commodity *commodity, struct sums *sums,
                   struct span_requirement *requirement)
{
    *sums = (struct sums){0};
    *requirement = (struct span_requirement){0};
    for (uint32_t i = 0; i < commodity->position_count; i++) {
        const struct span_contract *contract = commodity->positions[i].contract;
        const int64_t quantity = commodity->positions[i].quantity;
        pl_assert(contract->month < SPAN_MONTHS_MAX);
        for (int s = 0; s < SPAN_SCENARIOS; s++)
            sums->gain[s] += quantity * contract->gain[s];
        sums->month_deltas_e6[contract->month] += quantity * contract->delta_e6;
        sums->net_delta_e6 += quantity * contract->delta_e6;
        requirement->option_value += quantity * contract->option_value;
        requirement->short_minimum += most(-quantity, 0) * contract->short_minimum;
    }
    sums->left_e6 = sums->net_delta_e6;
}

/* The paired scenario has the same move and the other volatility; an extreme move is alone. */
static void scan(struct sums *sums, struct span_requirement *requirement)
{
    uint32_t worst = 0;
    for (uint32_t s = 1; s < SPAN_SCENARIOS; s++)
        if (sums->gain[s] < sums->gain[worst])
            worst = s;
    const uint32_t paired = worst < 14 ? worst ^ 1 : worst;
    requirement->active = worst + 1;
    requirement->scan = most(-sums->gain[worst], 0);
    sums->twice_price_risk =
        most(sums->gain[0] + sums->gain[1] - sums->gain[worst] - sums->gain[paired], 0);
}

static void charge_months(const struct span_commodity *commodity, struct sums *sums,
                          struct span_requirement *requirement)
{
    const wide delivery = (wide)llabs(sums->month_deltas_e6[0]) * commodity->delivery_charge;
    requirement->delivery = (int64_t)((delivery + E6 - 1) / E6);
    for (uint32_t i = 0; i < commodity->spread_count; i++) {
        const struct span_intra *spread = &commodity->spreads[i];
        const int64_t spreads_e6 = take_spreads(&sums->month_deltas_e6[spread->months[0]],
                                                &sums->month_deltas_e6[spread->months[1]],
                                                spread->deltas);
        requirement->intra += (int64_t)(((wide)spreads_e6 * spread->charge + E6 - 1) / E6);
    }
}

static void credit(const struct span_inter *spread, struct sums *sums,
                   struct span_requirement *requirements)
{
    const uint32_t *legs = spread->commodities;
    const int64_t spreads_e6 =
        take_spreads(&sums[legs[0]].left_e6, &sums[legs[1]].left_e6, spread->deltas);
    for (int side = 0; spreads_e6 > 0 && side < 2; side++) {
        const struct sums *leg = &sums[legs[side]];
        const wide deltas_e6 = (wide)spreads_e6 * spread->deltas[side];
        requirements[legs[side]].credit +=
            (int64_t)(leg->twice_price_risk * deltas_e6 * spread->rate_e6 /
                      ((wide)2 * llabs(leg->net_delta_e6) * E6));
    }
}

void span_require(const struct span_commodity *commodities, uint32_t count,
                  const struct span_inter *spreads, uint32_t spread_count,
                  struct span_requirement *requirements)
{
    struct sums sums[SPAN_COMMODITIES_MAX];
    pl_assert(count <= SPAN_COMMODITIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        add_up(&commodities[i], &sums[i], &requirements[i]);
        scan(&sums[i], &requirements[i]);
        charge_months(&commodities[i], &sums[i], &requirements[i]);
    }
    for (uint32_t i = 0; i < spread_count; i++)
        credit(&spreads[i], sums, requirements);
    for (uint32_t i = 0; i < count; i++) {
        struct span_requirement *row = &requirements[i];
        row->required = most(row->scan + row->intra + row->delivery - row->credit, row->short_minimum);
        row->total = row->required - least(row->option_value, row->required);
    }
}
