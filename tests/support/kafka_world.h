/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the tests of lib/kafka on a real broker: settings with topics and a group of their
 * own, members of the group, and readers that wait for what must come. For cmocka tests; the
 * functions fail the test that calls them.
 */
#ifndef TEST_SUPPORT_KAFKA_WORLD_H
#define TEST_SUPPORT_KAFKA_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/kafka/consumer.h"

enum { WAIT_MS = 30000, TXN_TIMEOUT_MS = 10000 };

struct world {
    struct pl_kafka_settings settings;
};

/* cmocka's setup and teardown of one test. */
int make_world(void **state);
int free_world(void **state);

#define world_test(function) cmocka_unit_test_setup_teardown(function, make_world, free_world)

/* The topic's name. */
const char *make_topic(struct world *world, enum pl_topic topic, int partitions);
void override(struct world *world, const char *name, const char *value);

int64_t now_ms(void);
void pause_ms(long span_ms);
struct pl_bytes_view text(const char *string);

#define assert_ok(call) \
    do { \
        enum pl_err assert_ok_err = (call); \
        if (assert_ok_err) \
            fail_msg("%s: %d %s", #call, (int)assert_ok_err, pl_err_text()); \
    } while (0)

/* ---- members ------------------------------------------------------------------------------- */

struct member {
    struct pl_group *group;
    unsigned owned; /* bit per partition, from the events alone */
    unsigned revoked_count, lost_count;
};

void join(struct member *member, struct world *world);

/* Polls until there is no more news; the events must be a history that makes sense. */
void serve(struct member *member);

/* Serves both (b may be NULL) until they own this many; at no time may both own a partition. */
void serve_until(struct member *a, unsigned a_count, struct member *b, unsigned b_count);

/* Serves both until `member`, one of them, has joined. */
void serve_until_joined(struct member *a, struct member *b, const struct member *member);

/* ---- readers ------------------------------------------------------------------------------- */

/* The next record; fails when none comes. */
struct pl_record next_record(struct pl_reader *reader);

/* Polls for a while and expects nothing. */
void expect_silence(struct pl_reader *reader, int64_t span_ms);

/* Reads on until the position of partition 0 is there. */
void drain_to(struct pl_reader *reader, enum pl_topic topic, int64_t position);

#endif
