/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a record of any topic: they are accepted or rejected, in bounded memory, and what is
 * accepted can be written and read again without change. Input: kind of record (1 byte, the order
 * of tests/support/records.h), size of the key (1 byte), key, value.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/wire.h"
#include "tests/support/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { WIRE_BYTES = 64 << 20, AMPLIFICATION_MAX = 8 };

static _Alignas(64) uint8_t block[WIRE_BYTES];
static struct pl_wire wire;
static struct pl_names names;

static union {
    struct pl_price price;
    struct pl_position_event position;
    struct { uint32_t instrument; struct pl_mark mark; } mark;
    struct pl_record_holdings record;
    struct pl_parameters parameters;
    struct pl_chain_status chain;
    struct pl_control control;
    struct pl_execution execution;
    struct pl_order order;
    struct pl_account_state state;
    struct pl_journal journal;
    struct pl_watermark watermark;
} result;
static struct pl_holdings holdings;

static enum pl_err decode_holdings(struct pl_bytes_view key, struct pl_bytes_view value)
{
    enum pl_err err = pl_wire_record_decode(&wire, key, value, &result.record);
    enum pl_err derived = pl_wire_holdings_decode(&wire, &names, key, value, &holdings);
    pl_assert(derived == PL_OK || pl_err_action(derived) == PL_ACTION_REJECT);
    pl_assert(err == PL_OK || derived == err);
    return err;
}

static enum pl_err decode(enum test_record_kind kind, struct pl_bytes_view key,
                          struct pl_bytes_view value)
{
    switch (kind) {
    case TEST_RECORD_PRICES:
        return pl_wire_price_decode(&wire, key, value, &result.price);
    case TEST_RECORD_POSITIONS:
        return pl_wire_position_decode(&wire, key, value, &result.position);
    case TEST_RECORD_MARKS:
        return pl_wire_mark_decode(&wire, &names, key, value, &result.mark.instrument,
                                   &result.mark.mark);
    case TEST_RECORD_HOLDINGS:
        return decode_holdings(key, value);
    case TEST_RECORD_PARAMETERS:
        return pl_wire_parameters_decode(&wire, &names, value, &result.parameters);
    case TEST_RECORD_CHAINS:
        return pl_wire_chain_decode(&wire, key, value, &result.chain);
    case TEST_RECORD_CONTROL:
        return pl_wire_control_decode(&wire, key, value, &result.control);
    case TEST_RECORD_EXECUTIONS:
        return pl_wire_execution_decode(&wire, key, value, &result.execution);
    case TEST_RECORD_ORDERS:
        return pl_wire_order_decode(&wire, key, value, &result.order);
    case TEST_RECORD_ACCOUNTS:
        return pl_wire_state_decode(&wire, &names, key, value, &result.state);
    case TEST_RECORD_JOURNAL:
        return pl_wire_journal_decode(&wire, value, &result.journal);
    case TEST_RECORD_WATERMARK:
        return pl_wire_watermark_decode(&wire, value, &result.watermark);
    case TEST_RECORD_ALERTS:
    case TEST_RECORD_COUNT:
        break;
    }
    /* Their JSON form is tried below. */
    return pl_err_set(PL_REJECT_UNKNOWN, "no service reads alerts");
}

/* Writes the last result again; false for what only others write. */
static bool encode(enum test_record_kind kind, struct pl_bytes_view key,
                   struct pl_bytes_view *value)
{
    struct pl_id id;
    struct pl_bytes_view own_key;
    enum pl_err err = PL_OK;
    if (kind == TEST_RECORD_MARKS)
        err = pl_wire_mark_encode(&wire, &names.ids[result.mark.instrument], &result.mark.mark,
                                  value);
    else if (kind == TEST_RECORD_HOLDINGS)
        err = pl_wire_record_encode(&wire, &result.record, value);
    else if (kind == TEST_RECORD_CONTROL)
        err = pl_wire_control_encode(&wire, &result.control, &own_key, value);
    else if (kind == TEST_RECORD_JOURNAL)
        err = pl_wire_journal_encode(&wire, &result.journal, value);
    else if (kind == TEST_RECORD_WATERMARK)
        err = pl_wire_watermark_encode(&wire, &result.watermark, value);
    else if (kind == TEST_RECORD_ACCOUNTS)
        err = pl_id_set(&id, key.data, key.size_bytes) == PL_OK
                  ? pl_wire_state_encode(&wire, &names, &id, &result.state, value)
                  : PL_REJECT_KEY;
    else
        return false;
    pl_assert(err == PL_OK);
    return true;
}

static bool is_same(struct pl_bytes_view a, struct pl_bytes_view b)
{
    return a.size_bytes == b.size_bytes && memcmp(a.data, b.data, a.size_bytes) == 0;
}

static void there_and_back(enum test_record_kind kind, struct pl_bytes_view key,
                           struct pl_bytes_view value)
{
    struct pl_bytes_view once, twice;
    enum pl_err err = decode(kind, key, value);
    pl_assert(err == PL_OK || pl_err_action(err) == PL_ACTION_REJECT);
    pl_assert(err == PL_OK || *pl_err_text() != '\0');
    pl_assert(wire.decode.used_bytes_max <=
              AMPLIFICATION_MAX * (size_t)pl_topic_value_bytes_max(test_records[kind].topic));
    if (err || !encode(kind, key, &once))
        return;
    err = decode(kind, key, once);
    pl_assert(err == PL_OK);
    pl_assert(encode(kind, key, &twice) && is_same(once, twice));
}

static void through_json(enum pl_topic topic, struct pl_bytes_view value)
{
    json_t *json = NULL, *again = NULL;
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (pl_json_decode(topic, value, &json))
        return;
    /* Refused only for an enum value that the schema does not declare. */
    enum pl_err err = pl_json_encode(topic, json, &bytes, &size_bytes);
    pl_assert(err == PL_OK || err == PL_REJECT_UNKNOWN);
    if (!err) {
        err = pl_json_decode(topic, (struct pl_bytes_view){ bytes, size_bytes }, &again);
        pl_assert(err == PL_OK && json_equal(json, again));
    }
    free(bytes);
    json_decref(json);
    json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 2 || data[1] > size_bytes - 2)
        return 0;
    enum test_record_kind kind = (enum test_record_kind)(data[0] % TEST_RECORD_COUNT);
    const struct pl_bytes_view key = { data + 2, data[1] };
    const struct pl_bytes_view value = { data + 2 + data[1], size_bytes - 2 - data[1] };
    pl_wire_init(&wire, block, sizeof(block));
    if (names.count > 0 || !names.map.slots)
        pl_names_init(&names); /* 300 KB: only when it has to be */
    there_and_back(kind, key, value);
    through_json(test_records[kind].topic, value);
    return 0;
}
