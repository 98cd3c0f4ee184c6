/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model of look-through: every path of the graph of exposures is walked, one at a time, with
 * the product of its losses in GMP rationals and a ceiling to ppm at every edge (RISK 1.5).
 */
#include "tests/support/model.h"

/* ceil(number) of a rational of ppm, as a rational. */
static void round_up(mpq_t number)
{
    mpz_t whole;
    mpz_init(whole);
    mpz_cdiv_q(whole, mpq_numref(number), mpq_denref(number));
    mpq_set_z(number, whole);
    mpz_clear(whole);
}

static void walk(const struct pl_parameters *set, enum pl_tier tier, uint32_t node, const mpq_t loss,
                 mpq_t worst[PL_DEPENDENCIES_MAX]);

/* `loss` is in ppm of the value at the edge's start. */
static void follow(const struct pl_parameters *set, enum pl_tier tier,
                   const struct pl_edge *edge, const mpq_t loss,
                   mpq_t worst[PL_DEPENDENCIES_MAX])
{
    mpq_t next, part;
    mpq_inits(next, part, NULL);
    mpq_set_si(part, edge->loss.at[tier], PL_PPM);
    mpq_mul(next, loss, part);
    mpq_set_si(part, PL_PPM - edge->coverage_ppm, PL_PPM);
    mpq_mul(next, next, part);
    round_up(next);
    walk(set, tier, edge->to, next, worst);
    mpq_clears(next, part, NULL);
}

static void walk(const struct pl_parameters *set, enum pl_tier tier, uint32_t node, const mpq_t loss,
                 mpq_t worst[PL_DEPENDENCIES_MAX])
{
    if (mpq_cmp(loss, worst[node]) > 0)
        mpq_set(worst[node], loss);
    for (uint32_t i = 0; i < set->edge_count; i++)
        if (set->edges[i].instrument == UINT32_MAX && set->edges[i].from == node)
            follow(set, tier, &set->edges[i], loss, worst);
}

void model_losses(const struct pl_parameters *set, uint32_t instrument, enum pl_tier tier,
                  int64_t losses[PL_DEPENDENCIES_MAX])
{
    const struct pl_instrument *rules = &set->instruments[instrument];
    mpq_t worst[PL_DEPENDENCIES_MAX], loss;
    mpq_init(loss);
    for (int d = 0; d < PL_DEPENDENCIES_MAX; d++)
        mpq_init(worst[d]);
    for (uint32_t k = 0; k < rules->loss_count; k++) {
        mpq_set_si(loss, rules->losses[k].loss.at[tier], 1);
        walk(set, tier, rules->losses[k].dependency, loss, worst);
    }
    mpq_set_si(loss, PL_PPM, 1);
    for (uint32_t i = 0; i < set->edge_count; i++)
        if (set->edges[i].instrument == instrument)
            follow(set, tier, &set->edges[i], loss, worst);
    for (int d = 0; d < PL_DEPENDENCIES_MAX; d++) {
        losses[d] = mpz_get_si(mpq_numref(worst[d]));
        mpq_clear(worst[d]);
    }
    mpq_clear(loss);
}
