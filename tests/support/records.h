/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One valid record of every kind, as JSON and as the bytes that stand on a topic. The bytes are a
 * promise: what was once written must be read for ever, so a row may be added but never changed.
 */
#ifndef PL_TESTS_SUPPORT_RECORDS_H
#define PL_TESTS_SUPPORT_RECORDS_H

#include "lib/wire/topics.h"

enum test_record_kind {
    TEST_RECORD_PRICES,
    TEST_RECORD_POSITIONS,
    TEST_RECORD_MARKS,
    TEST_RECORD_HOLDINGS,
    TEST_RECORD_PARAMETERS,
    TEST_RECORD_CHAINS,
    TEST_RECORD_CONTROL,
    TEST_RECORD_EXECUTIONS,
    TEST_RECORD_ORDERS,
    TEST_RECORD_ALERTS,
    TEST_RECORD_ACCOUNTS,
    TEST_RECORD_JOURNAL,
    TEST_RECORD_WATERMARK,
    TEST_RECORD_COUNT
};

struct test_record {
    enum pl_topic topic;
    const char *key;
    const char *json; /* with ' for " */
    const char *hex;
};

extern const struct test_record test_records[TEST_RECORD_COUNT];

#endif
