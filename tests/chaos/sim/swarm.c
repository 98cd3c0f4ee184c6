/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one seed has chosen. Swarm testing: each seed has some faults on and others off, at rates of its
 * own, since a fault that is always there hides what only its absence shows.
 */
#include "tests/chaos/sim/world.h"

const char *const world_fault_names[FAULT_COUNT] = {
    "kill", "kill in a call", "stop", "stop in a call", "terminate", "twin", "clock", "broker clock",
    "rebalance", "cut", "compact", "market falls", "control", "parameters", "bad marks", "garbage",
    "odd holdings", "late watermark", "disaster" };

static struct test_random *s_random;

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(s_random, (uint64_t)(most - least + 1));
}

static bool once_in(unsigned times)
{
    return test_random_below(s_random, times) == 0;
}

/* 0 in most seeds, else a rate. */
static uint16_t rate(unsigned once, int64_t most)
{
    return once_in(once) ? (uint16_t)between(1, most) : 0;
}

static void choose_kafka(struct sim_kafka_faults *faults, bool has_torn_ends)
{
    *faults = (struct sim_kafka_faults){
        .cut_permille = rate(8, 2), .cut_ms_max = (int32_t)between(50, 4000),
        .retry_permille = rate(4, 10),
        .empty_poll_permille = rate(4, 200),
        .slow_fetch_permille = rate(4, 20), .slow_fetch_ms_max = (int32_t)between(10, 1500),
        .short_fetch_permille = rate(3, 500),
        .late_produce_permille = rate(4, 100), .lost_produce_permille = rate(6, 10),
        .offsets_fail_permille = rate(5, 50), .end_fail_permille = rate(5, 50),
        .end_lost_permille = rate(5, 30),
        .end_repeated_permille = rate(6, 50),
        .late_reply_permille = rate(5, 30), .late_reply_ms_max = (int32_t)between(10, 3000),
        .late_marker_permille = rate(3, 500), .late_marker_ms_max = (int32_t)between(5, 4000) };
    if (has_torn_ends) {
        faults->end_late_permille = (uint16_t)between(5, 30);
        faults->end_torn_permille = (uint16_t)between(5, 30);
        faults->end_late_ms_max = (int32_t)between(10, 3000);
    }
}

static void choose_events(struct world_swarm *swarm)
{
    static const struct { unsigned once; int32_t least_ms, most_ms; } table[FAULT_COUNT] = {
        [FAULT_KILL] = { 3, 2000, 12000 }, [FAULT_KILL_IN_CALL] = { 3, 1500, 10000 },
        [FAULT_STOP] = { 4, 3000, 12000 }, [FAULT_STOP_IN_CALL] = { 4, 3000, 12000 },
        [FAULT_TERMINATE] = { 4, 1500, 10000 }, [FAULT_TWIN] = { 10, 5000, 20000 },
        [FAULT_CLOCK] = { 6, 2000, 15000 }, [FAULT_BROKER_CLOCK] = { 12, 3000, 15000 },
        [FAULT_REBALANCE] = { 4, 1000, 10000 }, [FAULT_CUT] = { 6, 2000, 15000 },
        [FAULT_COMPACT] = { 6, 1000, 8000 }, [FAULT_CRASH] = { 3, 2000, 10000 },
        [FAULT_CONTROL] = { 5, 2000, 10000 }, [FAULT_PARAMETERS] = { 8, 4000, 15000 },
        [FAULT_MARK] = { 3, 1000, 6000 }, [FAULT_GARBAGE] = { 4, 500, 5000 },
        [FAULT_HOLDINGS] = { 3, 500, 4000 }, [FAULT_WATERMARK] = { 8, 4000, 15000 },
        [FAULT_DISASTER] = { 60, 5000, 20000 } };
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        swarm->every_ms[i] =
            once_in(table[i].once) ? (int32_t)between(table[i].least_ms, table[i].most_ms) : 0;
}

void world_choose(struct world_swarm *swarm, struct test_random *random)
{
    s_random = random;
    *swarm = (struct world_swarm){
        .partition_count = (int32_t)between(1, WORLD_PARTITIONS_MAX),
        .slot_count = (unsigned)between(1, 3),
        .account_count = (unsigned)between(5, once_in(8) ? WORLD_ACCOUNTS_MAX : 14),
        .set = (unsigned)between(0, WORLD_SETS - 1),
        .faults_ms = (int32_t)between(8000, 20000), .calm_ms = 32000,
        .turn_ms_max = (int32_t)between(10, 120),
        .mark_every_ms = (int32_t)between(60, 400), .move_ppm = (int32_t)between(500, 12000),
        .heartbeat_ms = (int32_t)between(3, 10) * 100,
        .transaction_timeout_ms = (int32_t)between(2, 10) * 1000,
        .clock_jumps_far = once_in(3), .has_torn_ends = once_in(50), .has_cache = !once_in(4),
        .stops_long = once_in(2),
        .router_partial = (uint16_t)between(0, 500), .router_late = rate(3, 300),
        .router_silent = rate(4, 200), .router_repeats = rate(3, 300),
        .router_rejects = rate(4, 200) };
    choose_events(swarm);
    if (once_in(4) && swarm->every_ms[FAULT_DISASTER] == 0)
        swarm->position_slot_count = (unsigned)between(1, 2);
    choose_kafka(&swarm->kafka, swarm->has_torn_ends);
}
