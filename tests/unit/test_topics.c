/* SPDX-License-Identifier: Apache-2.0 */
/* The table of topics, and the partitioner against the vectors of Kafka's own UtilsTest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire/topics.h"

static void every_row_is_complete(void **state)
{
    char expected[64];

    (void)state;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        enum pl_topic topic = (enum pl_topic)i, found = PL_TOPIC_COUNT;

        assert_non_null(pl_topic_word(topic));
        snprintf(expected, sizeof(expected), "plimsoll.%s.v1", pl_topic_word(topic));
        assert_string_equal(pl_topic_default_name(topic), expected);
        assert_in_range(pl_topic_value_bytes_max(topic), 1024, 5 * 1024 * 1024);
        assert_true(pl_topic_from_word(pl_topic_word(topic), &found));
        assert_int_equal(found, topic);
    }
}

static void unknown_words_are_refused(void **state)
{
    static const char *const words[] = {"", "price", "pricesx", "PRICES", "plimsoll.prices.v1"};
    enum pl_topic topic;

    (void)state;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_false(pl_topic_from_word(words[i], &topic));
}

/* A dead letter holds any record unchanged, so its limit is above all others. */
static void a_dead_letter_holds_any_record(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        if (i != PL_TOPIC_DEADLETTER)
            assert_true(pl_topic_value_bytes_max((enum pl_topic)i) + 64 * 1024 <
                        pl_topic_value_bytes_max(PL_TOPIC_DEADLETTER));
    }
}

/* With 2^31 - 1 partitions the partition is the hash without its sign bit, but for one value; two
 * further counts make sure that the modulo is taken of it. */
static void keys_hash_as_in_java(void **state)
{
    static const struct {
        const char *key;
        int32_t murmur2;
    } rows[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint8_t *key = (const uint8_t *)rows[i].key;
        int32_t positive = rows[i].murmur2 & 0x7fffffff;

        assert_int_equal(pl_key_partition(key, strlen(rows[i].key), 0x7fffffff), positive);
        assert_int_equal(pl_key_partition(key, strlen(rows[i].key), 12), positive % 12);
        assert_int_equal(pl_key_partition(key, strlen(rows[i].key), 1), 0);
    }
}

/* Bytes above 127 and every length of the tail, at every alignment: same key, same place. */
static void alignment_does_not_matter(void **state)
{
    uint8_t buffer[64];
    static const uint8_t bytes[] = {0xff, 0x80, 0x00, 0x7f, 0xfe, 0x01, 0xc3, 0xa9, 0x99};

    (void)state;
    for (size_t size = 1; size <= sizeof(bytes); size++) {
        int32_t expected = pl_key_partition(bytes, size, 1000003);
        for (size_t shift = 0; shift < 8; shift++) {
            memcpy(buffer + shift, bytes, size);
            assert_int_equal(pl_key_partition(buffer + shift, size, 1000003), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(unknown_words_are_refused),
        cmocka_unit_test(a_dead_letter_holds_any_record),
        cmocka_unit_test(keys_hash_as_in_java),
        cmocka_unit_test(alignment_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
