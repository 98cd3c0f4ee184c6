/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the wire's tests; see the header. */
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIRE_BYTES = 64 << 20, POOL_BYTES = 64 << 20, TEXT_BYTES_MAX = 1 << 16 };

static _Alignas(64) uint8_t wire_block[WIRE_BYTES];
static uint8_t pool[POOL_BYTES];
static size_t pool_used;
static struct pl_wire wire;
static struct pl_names names;

struct pl_wire *test_wire(void)
{
    pl_wire_init(&wire, wire_block, sizeof(wire_block));
    return &wire;
}

struct pl_names *test_names(void)
{
    pl_names_init(&names);
    return &names;
}

static struct pl_bytes_view keep(const void *bytes, size_t size_bytes)
{
    assert_true(size_bytes <= POOL_BYTES - pool_used);
    uint8_t *copy = memcpy(pool + pool_used, bytes, size_bytes);
    pool_used += size_bytes;
    return (struct pl_bytes_view){ copy, size_bytes };
}

struct pl_bytes_view test_key(const char *key)
{
    return (struct pl_bytes_view){ (const uint8_t *)key, strlen(key) };
}

struct pl_bytes_view test_hex(const char *hex)
{
    static uint8_t bytes[TEXT_BYTES_MAX];
    size_t size_bytes = strlen(hex) / 2;
    assert_true(strlen(hex) % 2 == 0 && size_bytes <= sizeof(bytes));
    for (size_t i = 0; i < size_bytes; i++) {
        const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return keep(bytes, size_bytes);
}

struct pl_bytes_view test_bytes_of(enum test_record_kind kind)
{
    return test_hex(test_records[kind].hex);
}

json_t *test_json(const char *text)
{
    static char quoted[TEXT_BYTES_MAX];
    json_error_t error;
    size_t size = strlen(text);
    assert_true(size < sizeof(quoted));
    for (size_t i = 0; i <= size; i++)
        quoted[i] = text[i] == '\'' ? '"' : text[i];
    json_t *json = json_loads(quoted, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s: %s", quoted, error.text);
    return json;
}

struct pl_bytes_view test_encode(enum pl_topic topic, json_t *json)
{
    uint8_t *value = NULL;
    size_t size_bytes = 0;
    enum pl_err err = pl_json_encode(topic, json, &value, &size_bytes);
    if (err)
        fail_msg("pl_json_encode: %s: %s", pl_err_name(err), pl_err_text());
    json_decref(json);
    struct pl_bytes_view view = keep(value, size_bytes);
    free(value);
    return view;
}

/* Member or element of a container; NULL when there is none. */
static json_t *child(json_t *parent, const char *name)
{
    return json_is_array(parent) ? json_array_get(parent, (size_t)atoi(name))
                                 : json_object_get(parent, name);
}

json_t *test_changed(enum test_record_kind kind, const char *path, const char *value)
{
    char steps[256];
    json_t *root = test_json(test_records[kind].json), *at = root;
    assert_true(snprintf(steps, sizeof(steps), "%s", path) < (int)sizeof(steps));
    char *name = steps;
    for (char *dot = strchr(name, '.'); dot; dot = strchr(name, '.')) {
        *dot = '\0';
        at = child(at, name);
        if (!at)
            fail_msg("no %s on the path %s", name, path);
        name = dot + 1;
    }
    if (value && *value == '+')
        assert_int_equal(json_array_append_new(child(at, name), test_json(value + 1)), 0);
    else if (value && json_is_array(at))
        assert_int_equal(json_array_set_new(at, (size_t)atoi(name), test_json(value)), 0);
    else if (value)
        assert_int_equal(json_object_set_new(at, name, test_json(value)), 0);
    else
        assert_int_equal(json_object_del(at, name), 0);
    return root;
}

/* ---- one decoder and one result per kind ---- */

static struct pl_price price;
static struct pl_position_event position;
static struct { uint32_t instrument; struct pl_mark mark; } mark;
static struct pl_record_holdings record;
static struct pl_parameters parameters;
static struct pl_chain_status chain;
static struct pl_control control;
static struct pl_execution execution;
static struct pl_order order;
static struct pl_account_state state;
static struct pl_journal journal;
static struct pl_watermark watermark;

static enum pl_err decode_price(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_price_decode(test_wire(), key, value, &price);
}

static enum pl_err decode_position(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_position_decode(test_wire(), key, value, &position);
}

static enum pl_err decode_mark(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_mark_decode(test_wire(), test_names(), key, value, &mark.instrument, &mark.mark);
}

static enum pl_err decode_record(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_record_decode(test_wire(), key, value, &record);
}

static enum pl_err decode_parameters(struct pl_bytes_view key, struct pl_bytes_view value)
{
    (void)key;
    return pl_wire_parameters_decode(test_wire(), test_names(), value, &parameters);
}

static enum pl_err decode_chain(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_chain_decode(test_wire(), key, value, &chain);
}

static enum pl_err decode_control(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_control_decode(test_wire(), key, value, &control);
}

static enum pl_err decode_execution(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_execution_decode(test_wire(), key, value, &execution);
}

static enum pl_err decode_order(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_order_decode(test_wire(), key, value, &order);
}

static enum pl_err decode_state(struct pl_bytes_view key, struct pl_bytes_view value)
{
    return pl_wire_state_decode(test_wire(), test_names(), key, value, &state);
}

static enum pl_err decode_journal(struct pl_bytes_view key, struct pl_bytes_view value)
{
    (void)key;
    return pl_wire_journal_decode(test_wire(), value, &journal);
}

static enum pl_err decode_watermark(struct pl_bytes_view key, struct pl_bytes_view value)
{
    assert_true(pl_wire_is_watermark(key));
    return pl_wire_watermark_decode(test_wire(), value, &watermark);
}

static const struct {
    test_decode *decode;
    const void *result;
    size_t size_bytes;
} decoders[TEST_RECORD_COUNT] = {
    [TEST_RECORD_PRICES] = { decode_price, &price, sizeof(price) },
    [TEST_RECORD_POSITIONS] = { decode_position, &position, sizeof(position) },
    [TEST_RECORD_MARKS] = { decode_mark, &mark, sizeof(mark) },
    [TEST_RECORD_HOLDINGS] = { decode_record, &record, sizeof(record) },
    [TEST_RECORD_PARAMETERS] = { decode_parameters, &parameters, sizeof(parameters) },
    [TEST_RECORD_CHAINS] = { decode_chain, &chain, sizeof(chain) },
    [TEST_RECORD_CONTROL] = { decode_control, &control, sizeof(control) },
    [TEST_RECORD_EXECUTIONS] = { decode_execution, &execution, sizeof(execution) },
    [TEST_RECORD_ORDERS] = { decode_order, &order, sizeof(order) },
    [TEST_RECORD_ALERTS] = { NULL, NULL, 0 },
    [TEST_RECORD_ACCOUNTS] = { decode_state, &state, sizeof(state) },
    [TEST_RECORD_JOURNAL] = { decode_journal, &journal, sizeof(journal) },
    [TEST_RECORD_WATERMARK] = { decode_watermark, &watermark, sizeof(watermark) },
};

test_decode *test_decoder(enum test_record_kind kind)
{
    return decoders[kind].decode;
}

const void *test_result(enum test_record_kind kind, size_t *size_bytes)
{
    *size_bytes = decoders[kind].size_bytes;
    return decoders[kind].result;
}

/* ---- tables ---- */

static enum pl_err decode_changed(enum test_record_kind kind, const char *path, const char *value)
{
    const struct test_record *from = &test_records[kind];
    return decoders[kind].decode(test_key(from->key),
                                 test_encode(from->topic, test_changed(kind, path, value)));
}

void test_rejects(enum test_record_kind kind, const struct test_reject *rejects, unsigned count)
{
    const struct test_record *from = &test_records[kind];
    assert_int_equal(decoders[kind].decode(test_key(from->key), test_bytes_of(kind)), PL_OK);
    for (unsigned i = 0; i < count; i++) {
        const struct test_reject *row = &rejects[i];
        enum pl_err err = decode_changed(kind, row->path, row->value);
        if (err != row->err || !strstr(pl_err_text(), row->text))
            fail_msg("%s = %s gave %s \"%s\" instead of %s \"%s\"", row->path,
                     row->value ? row->value : "(absent)", pl_err_name(err),
                     err ? pl_err_text() : "", pl_err_name(row->err), row->text);
    }
}

/* "legs.0.quantity" as errors write it: "legs[0].quantity". */
static void print_as_place(const char *path, char place[256])
{
    size_t length = 0;
    for (; *path; path++) {
        if (*path == '.' && path[1] >= '0' && path[1] <= '9')
            length += (size_t)sprintf(place + length, "[%c]", *++path);
        else
            place[length++] = *path;
    }
    place[length] = '\0';
}

void test_required(enum test_record_kind kind, const char *const *paths, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char place[256], expected[300];
        enum pl_err err = decode_changed(kind, paths[i], NULL);
        print_as_place(paths[i], place);
        snprintf(expected, sizeof(expected), "field %s is missing", place);
        if (err != PL_REJECT_MISSING || !strstr(pl_err_text(), expected))
            fail_msg("without %s: %s \"%s\"", paths[i], pl_err_name(err), err ? pl_err_text() : "");
    }
}

void test_optional(enum test_record_kind kind, const char *const *paths, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        enum pl_err err = decode_changed(kind, paths[i], NULL);
        if (err)
            fail_msg("without %s: %s \"%s\"", paths[i], pl_err_name(err), pl_err_text());
    }
}

void test_key_is_checked(enum test_record_kind kind)
{
    const char *key = test_records[kind].key;
    char longer[128];
    snprintf(longer, sizeof(longer), "%sx", key);
    const struct pl_bytes_view keys[] = {
        { NULL, 0 }, test_key(""), test_key("other"), test_key(longer),
        { (const uint8_t *)key, strlen(key) - 1 } };
    for (unsigned i = 0; i < TEST_COUNT(keys); i++)
        assert_int_equal(decoders[kind].decode(keys[i], test_bytes_of(kind)), PL_REJECT_KEY);
}
