/* SPDX-License-Identifier: Apache-2.0 */
/* Random graphs of exposures: what an instrument loses when a dependency fails is the worst over every
 * path, each path that is named costs exactly that, and a set with a cycle is refused. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/world.h"

static struct world world;

struct expected {
    int64_t losses[WORLD_INSTRUMENTS_MAX][PL_TIER_COUNT][PL_DEPENDENCIES_MAX];
};

static int64_t loss_of(const struct pl_instrument *rules, uint32_t dependency, enum pl_tier tier)
{
    for (uint32_t k = 0; k < rules->loss_count; k++)
        if (rules->losses[k].dependency == dependency)
            return rules->losses[k].loss.at[tier];
    return 0;
}

/* Some edge between these two, or from the instrument, costs what the path's end does. */
static bool is_step(uint32_t instrument, const uint32_t *from, uint32_t to, enum pl_tier tier)
{
    const struct pl_instrument *rules = &world.parameters.instruments[instrument];
    const int64_t loss = loss_of(rules, to, tier);
    const int64_t before = from ? loss_of(rules, *from, tier) : PL_PPM;
    for (uint32_t i = 0; i < world.parameters.edge_count; i++) {
        const struct pl_edge *edge = &world.parameters.edges[i];
        const bool is_meant = from ? edge->instrument == UINT32_MAX && edge->from == *from
                                   : edge->instrument == instrument;
        const int64_t left = (int64_t)edge->loss.at[tier] * (PL_PPM - edge->coverage_ppm);
        /* before * left / 10^12, up: at most 2^23 * 10^12, which fits. */
        if (is_meant && edge->to == to &&
            loss == (before * left + 999999999999) / 1000000000000)
            return true;
    }
    return false;
}

/* A path begins with an edge of the instrument, or with a stated loss. */
static void check_path(uint32_t instrument, uint32_t dependency, enum pl_tier tier)
{
    uint32_t path[PL_LOSSES_MAX];
    const struct pl_instrument *rules = &world.parameters.instruments[instrument];
    uint32_t count = pl_dependency_path(rules, dependency, tier, path);
    if ((count > 0) != (loss_of(rules, dependency, tier) > 0))
        world_fail(&world, "path of %u dependencies", count);
    if (count > 0 && path[count - 1] != dependency)
        world_fail(&world, "path ends at %u", path[count - 1]);
    for (uint32_t i = 1; i < count; i++)
        if (!is_step(instrument, &path[i - 1], path[i], tier))
            world_fail(&world, "no edge from %u to %u", path[i - 1], path[i]);
}

static uint64_t check_losses(const struct expected *expected)
{
    uint64_t through_count = 0;
    for (uint32_t i = 0; i < world.instrument_count; i++) {
        const struct pl_instrument *rules = &world.parameters.instruments[world.instruments[i]];
        for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
            for (uint32_t d = 0; d < world.parameters.dependency_count; d++) {
                if (loss_of(rules, d, tier) != expected->losses[i][tier][d])
                    world_fail(&world, "instrument %u tier %d dependency %u: %" PRId64
                               ", not %" PRId64, world.instruments[i], (int)tier, d,
                               loss_of(rules, d, tier), expected->losses[i][tier][d]);
                check_path(world.instruments[i], d, tier);
            }
        for (uint32_t k = 0; k < rules->loss_count; k++)
            through_count += rules->losses[k].through[PL_TIER_INITIAL] != 0;
    }
    return through_count;
}

static void worst_path_counts(void **state)
{
    (void)state;
    static struct expected expected;
    uint64_t seed = test_random_start(20221108).state, sets = world_runs(4000), through_count = 0;
    for (uint64_t s = 0; s < sets; s++) {
        world_fill_parameters(&world, seed + s);
        world_expose(&world);
        for (uint32_t i = 0; i < world.instrument_count; i++)
            for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
                model_losses(&world.parameters, world.instruments[i], tier,
                             expected.losses[i][tier]);
        for (int times = 0; times < 2; times++) { /* finishing again changes nothing */
            if (pl_parameters_finish(&world.parameters, &world.names))
                world_fail(&world, "refused: %s", pl_err_text());
            through_count += check_losses(&expected);
        }
    }
    printf("sets=%" PRIu64 " reached through others=%" PRIu64 "\n", sets, through_count);
    assert_true(through_count > sets);
}

/* An edge back along a path that was there. */
static bool close_cycle(void)
{
    struct pl_parameters *set = &world.parameters;
    for (uint32_t i = 0; i < set->edge_count; i++) {
        struct pl_edge *edge = &set->edges[i];
        if (edge->instrument != UINT32_MAX)
            continue;
        struct pl_edge *back = &set->edges[set->edge_count++];
        *back = *edge;
        back->from = edge->to;
        back->to = edge->from;
        return true;
    }
    return false;
}

static void cycles_are_refused(void **state)
{
    (void)state;
    uint64_t seed = test_random_start(20240424).state, sets = world_runs(1000), met = 0;
    for (uint64_t s = 0; s < sets; s++) {
        world_fill_parameters(&world, seed + s);
        world_expose(&world);
        if (!close_cycle())
            continue;
        met++;
        if (pl_parameters_finish(&world.parameters, &world.names) != PL_REJECT_PARAMETERS)
            world_fail(&world, "a cycle is taken");
    }
    assert_true(met > sets / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(worst_path_counts),
                                       cmocka_unit_test(cycles_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
