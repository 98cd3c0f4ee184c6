/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the wire by tables: a valid record, one change to it by path, the expected reject and
 * its text. Bytes handed out live until the end of the test program.
 */
#ifndef PL_TESTS_SUPPORT_WIRE_H
#define PL_TESTS_SUPPORT_WIRE_H

#include <jansson.h>

#include "lib/wire/wire.h"
#include "tests/support/records.h"

/* A codec with room for everything, reset, and an empty table of names. */
struct pl_wire *test_wire(void);
struct pl_names *test_names(void);

struct pl_bytes_view test_key(const char *key);
struct pl_bytes_view test_hex(const char *hex);
struct pl_bytes_view test_bytes_of(enum test_record_kind kind);
/* From text with ' for "; the caller's reference. */
json_t *test_json(const char *text);
/* The value's bytes by pl_json_encode, which must succeed. Takes the reference. */
struct pl_bytes_view test_encode(enum pl_topic topic, json_t *json);
/* The record with the member at `path` ("legs.0.quantity") replaced by `value` (text as in
 * test_json; NULL removes it, "+..." appends to the array at `path`). */
json_t *test_changed(enum test_record_kind kind, const char *path, const char *value);

/* Decodes into *result of the kind's struct (see test_result); NULL where nothing decodes it. */
typedef enum pl_err test_decode(struct pl_bytes_view key, struct pl_bytes_view value);
test_decode *test_decoder(enum test_record_kind kind);
/* Last result of the kind's decoder. */
const void *test_result(enum test_record_kind kind, size_t *size_bytes);

struct test_reject {
    const char *path, *value;
    enum pl_err err;
    const char *text; /* part of the error's text */
};
/* The record is accepted, and with each change refused as stated. */
void test_rejects(enum test_record_kind kind, const struct test_reject *rejects, unsigned count);
/* Each path, when absent, is REJECT_MISSING and named in the text as a place. */
void test_required(enum test_record_kind kind, const char *const *paths, unsigned count);
/* Each path may be absent. */
void test_optional(enum test_record_kind kind, const char *const *paths, unsigned count);
/* Absent, empty, longer and different keys are REJECT_KEY. */
void test_key_is_checked(enum test_record_kind kind);

#define TEST_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#endif
