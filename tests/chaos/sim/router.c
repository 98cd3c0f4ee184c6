/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order router and the venues behind it. It reads committed orders, takes one content per order id,
 * refuses what is late or rests on older holdings than it has seen, and answers as venues do: in parts,
 * late, twice, out of order, or not at all. What it executes changes the truth about the account at
 * once; holdings and reports tell of it in whatever order. Once all is calm every order gets its answer.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor.h"
#include "tests/chaos/sim/world.h"

enum { ORDERS_MAX = 4096, TURN_MS_MAX = 60, FILL_MS_MAX = 400, LATE_MS_MAX = 6000 };

struct routed {
    struct pl_order order;
    int64_t filled_lots, next_ms;   /* INT64_MAX: nothing more happens                             */
    int64_t parts;                  /* fills that are left                                         */
    int64_t to_fill_lots;
    enum records_status end;
    bool is_silent, is_acknowledged, is_refused;
    unsigned repeats;
};

static struct {
    struct sim_cursor cursors[WORLD_PARTITIONS_MAX];
    int64_t next_ms;
    unsigned count;
    struct routed *orders;
} s_router;

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(&world.router_chance, (uint64_t)(most - least + 1));
}

static bool chance(unsigned permille)
{
    return !world.is_calm && test_random_below(&world.router_chance, 1000) < permille;
}

void router_begin(void)
{
    if (!s_router.orders)
        s_router.orders = calloc(ORDERS_MAX, sizeof(*s_router.orders));
    pl_assert(s_router.orders);
    s_router.count = 0;
    s_router.next_ms = world.mono_ms + 1;
    for (int32_t i = 0; i < WORLD_PARTITIONS_MAX; i++)
        s_router.cursors[i] = (struct sim_cursor){ .topic = PL_TOPIC_ORDERS, .partition = i };
}

int64_t router_next_ms(void)
{
    return s_router.next_ms;
}

/* ---- orders ------------------------------------------------------------------------------------- */

static const struct routed *find(const struct pl_order *order)
{
    for (unsigned i = 0; i < s_router.count; i++)
        if (memcmp(s_router.orders[i].order.order_id, order->order_id, PL_ORDER_ID_BYTES) == 0)
            return &s_router.orders[i];
    return NULL;
}

/* One that has seen younger holdings of the account does not act on older ones. */
static bool is_outdated(const struct pl_order *order)
{
    for (unsigned i = 0; i < s_router.count; i++)
        if (pl_id_equal(&s_router.orders[i].order.account, &order->account) &&
            s_router.orders[i].order.holdings_version > order->holdings_version)
            return true;
    return false;
}

static void refuse(struct routed *routed, int kind)
{
    routed->is_refused = true;
    routed->end = RECORDS_EXPIRED;
    routed->next_ms = world.mono_ms + between(1, FILL_MS_MAX);
    world.counts.refused++;
    check_order(routed->order.order_id, kind, 0);
}

static void accept_order(struct routed *routed)
{
    int64_t lots = routed->order.lots;
    check_order(routed->order.order_id, AUDITOR_ROUTER_ACCEPTED, 0);
    routed->is_silent = chance(world.swarm.router_silent);
    world.counts.silent += routed->is_silent;
    routed->end = RECORDS_FILLED;
    routed->to_fill_lots = lots;
    if (chance(world.swarm.router_rejects)) {
        routed->end = RECORDS_REJECTED;
        routed->to_fill_lots = 0;
    } else if (chance(world.swarm.router_partial)) {
        routed->end = RECORDS_CANCELED;
        routed->to_fill_lots = lots * between(0, 99) / 100;
    }
    routed->parts = routed->to_fill_lots > 3 ? between(1, 3) : routed->to_fill_lots > 0;
    routed->next_ms = world.mono_ms +
                      between(1, chance(world.swarm.router_late) ? LATE_MS_MAX : FILL_MS_MAX);
}

static void take(const struct pl_record *record)
{
    struct pl_order order;
    enum pl_err err = pl_wire_order_decode(records_wire(), record->key, record->value, &order);
    if (err) {
        world_fail("I10 unreadable order", "orders %d offset %lld: %s", (int)record->partition,
                   (long long)record->offset, pl_err_text());
        return;
    }
    if (find(&order))
        return; /* the auditor sees whether it is the same */
    pl_assert(s_router.count < ORDERS_MAX);
    bool is_outdated_now = is_outdated(&order);
    struct routed *routed = &s_router.orders[s_router.count++];
    *routed = (struct routed){ .order = order };
    world_note("order of %s: %s %lld lots of %s, episode %llu.%u", order.account.text,
               order.side == PL_SIDE_SELL ? "sell" : "buy", (long long)order.lots,
               order.instrument.text, (unsigned long long)order.episode, (unsigned)order.revision);
    if (world_now_ms() > order.valid_until_ms)
        refuse(routed, AUDITOR_ROUTER_LATE);
    else if (is_outdated_now)
        refuse(routed, AUDITOR_ROUTER_REFUSED);
    else
        accept_order(routed);
}

/* ---- answers ------------------------------------------------------------------------------------ */

static void tell(struct routed *routed, enum records_status status, int64_t lots)
{
    if (routed->is_silent && !world.is_calm)
        return;
    records_report(&routed->order, status, lots);
    if (chance(world.swarm.router_repeats))
        records_report(&routed->order, status, lots);
    if (chance(world.swarm.router_repeats)) /* an older one overtaken by a younger */
        records_report(&routed->order, RECORDS_PARTIAL, lots / 2);
}

static void fill(struct routed *routed)
{
    int64_t left = routed->to_fill_lots - routed->filled_lots;
    int64_t lots = routed->parts > 1 ? left / routed->parts : left;
    routed->parts--;
    routed->filled_lots += lots;
    world.counts.fills++;
    feeds_fill(&routed->order, lots, routed->filled_lots);
    check_order(routed->order.order_id, AUDITOR_ROUTER_EXECUTED, routed->filled_lots);
    if (routed->parts > 0)
        tell(routed, RECORDS_PARTIAL, routed->filled_lots);
    routed->next_ms = world.mono_ms + between(1, FILL_MS_MAX);
}

/* Nothing is executed after the order's end; what is left of it is canceled then. */
static void go_on(struct routed *routed)
{
    if (routed->is_refused) {
        tell(routed, routed->end, 0);
        routed->next_ms = routed->is_silent && !world.is_calm ? world.calm_from_ms + 1 : INT64_MAX;
    } else if (!routed->is_acknowledged && chance(700)) {
        routed->is_acknowledged = true;
        tell(routed, RECORDS_NEW, 0);
        routed->next_ms = world.mono_ms + between(1, FILL_MS_MAX);
    } else if (routed->parts > 0 && world_now_ms() <= routed->order.valid_until_ms) {
        fill(routed);
    } else {
        enum records_status end =
            routed->filled_lots == routed->order.lots ? RECORDS_FILLED
            : routed->parts > 0 || routed->end == RECORDS_FILLED ? RECORDS_EXPIRED
                                                                  : routed->end;
        tell(routed, end, routed->filled_lots);
        routed->next_ms = routed->is_silent && !world.is_calm ? world.calm_from_ms + 1 : INT64_MAX;
    }
}

void router_run(void)
{
    struct sim_record record;
    for (int32_t i = 0; i < world.swarm.partition_count; i++)
        while (sim_kafka_next_committed(&s_router.cursors[i], &record))
            take(&record.record);
    s_router.next_ms = world.mono_ms + between(1, TURN_MS_MAX);
    for (unsigned i = 0; i < s_router.count; i++)
        if (s_router.orders[i].next_ms <= world.mono_ms)
            go_on(&s_router.orders[i]);
}
