/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, members and readers for tests on a real Kafka (see kafka_world.h). */
#include "tests/support/kafka_world.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/kafka_admin.h"

int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    char name[64];

    kafka_admin_unique("it", name);
    kafka_admin_settings(&world->settings, name, name);
    *state = world;
    return 0;
}

int free_world(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        free((void *)(uintptr_t)world->settings.topic_names[i]);
    free((void *)(uintptr_t)world->settings.group_id);
    free(world);
    return 0;
}

const char *make_topic(struct world *world, enum pl_topic topic, int partitions)
{
    kafka_admin_create(world->settings.topic_names[topic], partitions, NULL);
    return world->settings.topic_names[topic];
}

void override(struct world *world, const char *name, const char *value)
{
    unsigned i = world->settings.override_count++;

    world->settings.overrides[i].name = name;
    world->settings.overrides[i].value = value;
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(long span_ms)
{
    nanosleep(&(struct timespec){.tv_sec = span_ms / 1000,
                                 .tv_nsec = span_ms % 1000 * 1000000}, NULL);
}

struct pl_bytes_view text(const char *string)
{
    return (struct pl_bytes_view){(const uint8_t *)string, strlen(string)};
}

/* ---- members --------------------------------------------------------------------------------- */

void join(struct member *member, struct world *world)
{
    *member = (struct member){0};
    assert_ok(pl_group_open(&member->group, &world->settings, PL_TOPIC_HOLDINGS));
}

void serve(struct member *member)
{
    struct pl_ownership_event events[3]; /* fewer than partitions */
    unsigned count;

    if (member->group == NULL)
        return;
    do {
        assert_ok(pl_group_poll(member->group, 20, events, 3, &count));
        for (unsigned i = 0; i < count; i++) {
            unsigned bit = 1U << events[i].partition;
            bool was_owned = (member->owned & bit) != 0;

            assert_int_equal(was_owned, events[i].kind != PL_OWNERSHIP_ASSIGNED);
            member->owned ^= bit;
                member->revoked_count += events[i].kind == PL_OWNERSHIP_REVOKED;
            member->lost_count += events[i].kind == PL_OWNERSHIP_LOST;
        }
    } while (count == 3);
}

static unsigned bits(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

void serve_until(struct member *a, unsigned a_count, struct member *b, unsigned b_count)
{
    int64_t deadline_ms = now_ms() + WAIT_MS;
    int calm = 0;

    while (calm < 20) { /* some polls more, to see it settle */
        serve(a);
        if (b != NULL)
            serve(b);
        if (b != NULL)
            assert_int_equal(a->owned & b->owned, 0);
        bool is_there = bits(a->owned) == a_count && (b == NULL || bits(b->owned) == b_count);
        calm = is_there ? calm + 1 : 0;
        if (now_ms() > deadline_ms)
            fail_msg("ownership did not settle: %x %x", a->owned, b != NULL ? b->owned : 0);
    }
}

void serve_until_joined(struct member *a, struct member *b, const struct member *member)
{
    for (int64_t end_ms = now_ms() + WAIT_MS;
         !pl_group_joined(member->group) && now_ms() < end_ms;) {
        serve(a);
        serve(b);
    }
    assert_true(pl_group_joined(member->group));
}

/* ---- readers ------------------------------------------------------------------------------- */

struct pl_record next_record(struct pl_reader *reader)
{
    struct pl_record record;
    int64_t deadline_ms = now_ms() + WAIT_MS;
    bool found = false;

    while (!found) {
        assert_ok(pl_reader_poll(reader, 100, &record, &found));
        if (now_ms() > deadline_ms)
            fail_msg("no record came");
    }
    return record;
}

void expect_silence(struct pl_reader *reader, int64_t span_ms)
{
    struct pl_record record;
    bool found;

    for (int64_t end_ms = now_ms() + span_ms; now_ms() < end_ms;) {
        assert_ok(pl_reader_poll(reader, 20, &record, &found));
        assert_false(found);
    }
}

void drain_to(struct pl_reader *reader, enum pl_topic topic, int64_t position)
{
    struct pl_record record;
    int64_t deadline_ms = now_ms() + WAIT_MS;
    bool found;

    while (pl_reader_position(reader, topic, 0) < position) {
        assert_ok(pl_reader_poll(reader, 20, &record, &found));
        if (now_ms() > deadline_ms)
            fail_msg("position %lld, not %lld",
                     (long long)pl_reader_position(reader, topic, 0), (long long)position);
    }
}
