/* SPDX-License-Identifier: Apache-2.0 */
/* Look-through of dependencies: chains, several paths, rounding, coverage, cycles; and random
 * graphs against the enumeration of every path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/exposure/lookthrough.h"

static struct pl_id nodes[PL_DEPENDENCIES_MAX];

static struct pl_edge edge(uint32_t from, uint32_t to, int32_t loss, int32_t coverage)
{
    return (struct pl_edge){from, to, {{loss, loss, loss, loss}}, coverage};
}

static void test_path_and_rounding(void **state)
{
    (void)state;
    struct pl_edge edges[] = {edge(1, 2, 500000, 0), edge(0, 1, 600001, 0), edge(0, 2, 100000, 0)};
    struct pl_tier_ppm losses[3] = {{{1000000, 1000000, 1000000, 1000000}}};
    assert_int_equal(pl_lookthrough(edges, 3, nodes, 3, losses), PL_OK);
    assert_int_equal(losses[1].at[0], 600001);
    assert_int_equal(losses[2].at[3], 300001);      /* 300000.5 up; the direct path is less */
}

static void test_coverage(void **state)
{
    (void)state;
    struct pl_edge covered = edge(0, 1, 333333, 500000);
    assert_int_equal(pl_edge_loss(&covered, 0, 1000000), 166667);
    covered.coverage_ppm = 1000000;
    assert_int_equal(pl_edge_loss(&covered, 0, 1000000), 0);
}

static void test_cycle_is_named(void **state)
{
    (void)state;
    struct pl_edge edges[] = {edge(0, 1, 1, 0), edge(1, 2, 1, 0), edge(2, 1, 1, 0),
                              edge(2, 3, 1, 0)};
    struct pl_tier_ppm losses[4] = {0};
    strcpy(nodes[1].text, "lido");
    strcpy(nodes[2].text, "lido");
    assert_int_equal(pl_lookthrough(edges, 4, nodes, 4, losses), PL_REJECT_PARAMETERS);
    assert_non_null(strstr(pl_err_text(), "lido"));
}

/* RISK 1.5: $4 M weETH on another chain and $6 M wstETH, in thousands of dollars per node. */
static void test_two_staked_assets(void **state)
{
    (void)state;
    enum { WEETH, WSTETH, BRIDGE, CHAIN, LIDO, ETHER_FI, BEACON, EIGENLAYER, COUNT };
    struct pl_edge edges[] = {
        edge(WEETH, BRIDGE, 1000000, 0), edge(WEETH, CHAIN, 1000000, 0),
        edge(WEETH, ETHER_FI, 600000, 0), edge(WEETH, EIGENLAYER, 200000, 0),
        edge(WEETH, BEACON, 100000, 0), edge(WSTETH, LIDO, 500000, 0),
        edge(LIDO, BEACON, 200000, 0)};
    struct pl_tier_ppm weeth[COUNT] = {[WEETH] = {{1000000, 1000000, 1000000, 1000000}}};
    struct pl_tier_ppm wsteth[COUNT] = {[WSTETH] = {{1000000, 1000000, 1000000, 1000000}}};
    const int64_t expected[] = {[BRIDGE] = 4000, [CHAIN] = 4000, [LIDO] = 3000,
                                [ETHER_FI] = 2400, [BEACON] = 1000, [EIGENLAYER] = 800};
    assert_int_equal(pl_lookthrough(edges, 7, nodes, COUNT, weeth), PL_OK);
    assert_int_equal(pl_lookthrough(edges, 7, nodes, COUNT, wsteth), PL_OK);
    for (uint32_t i = BRIDGE; i < COUNT; i++)
        assert_int_equal((weeth[i].at[1] * 4000LL + wsteth[i].at[1] * 6000LL) / PL_PPM,
                         expected[i]);
}

static void walk(const struct pl_edge *edges, uint32_t count, uint32_t node, int32_t through,
                 int32_t *worst)
{
    if (through > worst[node])
        worst[node] = through;
    for (uint32_t i = 0; i < count; i++)
        if (edges[i].from == node)
            walk(edges, count, edges[i].to, pl_edge_loss(&edges[i], 0, through), worst);
}

static void test_every_path(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (uint32_t round = 0; round < 5000; round++) {
        struct pl_edge edges[14];
        for (uint32_t i = 0; i < 14; i++) {
            uint32_t r[4];
            for (uint32_t k = 0; k < 4; k++)
                r[k] = (seed = seed * 1664525 + 1013904223) >> 8;
            uint32_t from = r[0] % 7;
            /* Node numbers go down as well as up, so that their order is no topological order. */
            uint32_t to = from + 1 + r[1] % (7 - from);
            edges[i] = edge(from * 3 % 8, to * 3 % 8, (int32_t)(r[2] % 1000001),
                            (int32_t)(r[3] % 300000));
        }
        struct pl_tier_ppm losses[8] = {{{1000000, 1000000, 1000000, 1000000}}};
        int32_t worst[8] = {0};
        walk(edges, 14, 0, 1000000, worst);
        assert_int_equal(pl_lookthrough(edges, 14, nodes, 8, losses), PL_OK);
        for (uint32_t i = 0; i < 8; i++)
            assert_int_equal(losses[i].at[0], worst[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_and_rounding), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_cycle_is_named), cmocka_unit_test(test_every_path),
        cmocka_unit_test(test_two_staked_assets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
