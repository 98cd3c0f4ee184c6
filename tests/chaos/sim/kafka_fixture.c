/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the modelled Kafka share (see kafka_fixture.h). */
#include "tests/chaos/sim/kafka_fixture.h"

int64_t fixture_mono_ms;
struct test_random fixture_random;

int64_t sim_mono_ms(void)
{
    return fixture_mono_ms;
}

int64_t sim_wall_ms(void)
{
    return 1700000000000 + fixture_mono_ms;
}

const struct pl_kafka_settings fixture_settings = {.group_id = "group"};

int fixture_reset(void **state)
{
    static const struct sim_topic topics[] = {
        {.topic = PL_TOPIC_HOLDINGS, .partition_count = 4, .is_compacted = true, .lag_ms = 1000},
        {.topic = PL_TOPIC_EXECUTIONS, .partition_count = 4},
        {.topic = PL_TOPIC_ORDERS, .partition_count = 1},
        {.topic = PL_TOPIC_JOURNAL, .partition_count = 1},
    };

    (void)state;
    fixture_mono_ms = 1000;
    fixture_random = (struct test_random){7};
    sim_kafka_reset(&fixture_random);
    for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        sim_kafka_create(&topics[i]);
    return 0;
}

struct pl_bytes_view text(const char *chars)
{
    return (struct pl_bytes_view){(const uint8_t *)chars, strlen(chars)};
}

/* Time passes; `running` has a bit for each process that is not stopped. */
void pass(int64_t ms, unsigned running)
{
    int current = sim_kafka_current();

    for (; ms > 0; ms -= 100) {
        fixture_mono_ms += ms < 100 ? ms : 100;
        sim_kafka_tick();
        for (int i = 0; i < 8; i++) {
            if ((running >> i & 1) != 0)
                sim_kafka_process(i);
        }
    }
    sim_kafka_process(current);
}

/* What a committed reader gets of partition 0, joined by blanks. */
const char *committed_values(enum pl_topic topic)
{
    static char values[256];
    struct sim_cursor cursor = {.topic = topic};
    struct sim_record record;
    size_t size = 0;

    values[0] = '\0';
    while (sim_kafka_next_committed(&cursor, &record))
        size += (size_t)snprintf(values + size, sizeof(values) - size, "%s%.*s",
                                 size > 0 ? " " : "", (int)record.record.value.size_bytes,
                                 (const char *)record.record.value.data);
    return values;
}

void put_order(struct pl_txn *txn, const char *value)
{
    assert_ok(pl_txn_produce(txn, PL_TOPIC_ORDERS, 0, text("account"), text(value), NULL, 0));
}

struct pl_txn *open_slot(int process, const char *slot)
{
    struct pl_txn *txn;

    sim_kafka_process(process);
    assert_ok(pl_txn_open(&txn, &fixture_settings, slot, TIMEOUT_MS));
    return txn;
}

struct pl_reader *read_orders(bool uncommitted)
{
    struct pl_reader *reader;

    assert_ok(pl_reader_open(&reader, &fixture_settings, uncommitted));
    assert_ok(pl_reader_add(reader, PL_TOPIC_ORDERS, 0, 0));
    return reader;
}

/* Polls until a record comes or nothing moves any more; its offset, or -1. */
int64_t next_offset(struct pl_reader *reader)
{
    struct pl_record record;
    bool found = false;

    for (int i = 0; i < 8 && !found; i++)
        assert_ok(pl_reader_poll(reader, 0, &record, &found));
    return found ? record.offset : -1;
}
/* ---- members --------------------------------------------------------------------------------- */

void join(struct member *member, int process)
{
    sim_kafka_process(process);
    *member = (struct member){.process = process};
    assert_ok(pl_group_open(&member->group, &fixture_settings, PL_TOPIC_HOLDINGS));
}

void serve(struct member *member)
{
    struct pl_ownership_event events[8];
    unsigned count = 0;

    sim_kafka_process(member->process);
    assert_ok(pl_group_poll(member->group, 0, events, 8, &count));
    for (unsigned i = 0; i < count; i++) {
        unsigned bit = 1U << events[i].partition;

        assert_int_equal((member->owned & bit) != 0, events[i].kind != PL_OWNERSHIP_ASSIGNED);
        member->owned ^= bit;
        member->assigned += events[i].kind == PL_OWNERSHIP_ASSIGNED;
        member->revoked += events[i].kind == PL_OWNERSHIP_REVOKED;
        member->lost += events[i].kind == PL_OWNERSHIP_LOST;
    }
}

/* Serves both in turn for a while; no partition is ever both's. */
void serve_both(struct member *a, struct member *b)
{
    for (int i = 0; i < 60; i++) {
        serve(a);
        if (b != NULL) {
            serve(b);
            assert_int_equal(a->owned & b->owned, 0);
        }
        pass(100, 0);
    }
}

/* ---- transactions ---------------------------------------------------------------------------- */

const struct pl_offset *at(int64_t offset)
{
    static struct pl_offset next;

    next = (struct pl_offset){PL_TOPIC_HOLDINGS, 0, offset};
    return &next;
}

int64_t committed_offset(void)
{
    return sim_kafka_committed("group", PL_TOPIC_HOLDINGS, 0, NULL);
}

void begin(struct pl_txn *txn, struct member *member)
{
    sim_kafka_process(member->process);
    assert_ok(pl_txn_begin(txn));
    assert_ok(pl_txn_capture_group(txn, member->group));
}

static jmp_buf s_grave;
static enum sim_point s_fatal_point;

static void die_at(void *context, enum sim_point point, int wait_ms)
{
    (void)context, (void)wait_ms;
    if (point != s_fatal_point)
        return;
    sim_kafka_set_hook(NULL, NULL);
    sim_kafka_kill(sim_kafka_current());
    longjmp(s_grave, 1);
}

/* Commits offset 9, but the process is killed at `point`. */
void commit_and_die(struct pl_txn *txn, struct member *a, enum sim_point point)
{
    begin(txn, a);
    put_order(txn, "dead");
    s_fatal_point = point;
    sim_kafka_set_hook(die_at, NULL);
    if (setjmp(s_grave) == 0) {
        (void)pl_txn_commit(txn, at(9), 1);
        fail();
    }
}
