/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic deadletter: why a record could not be applied, in the headers that operators' tools already
 * understand (G7). Two dialects for the same facts: Kafka Connect writes text, Spring writes
 * numbers in binary. The record's own bytes are not touched, and no text here repeats them.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/wire.h"

/* Where our headers are collected; `wire` lends memory for numbers and for the error's text. */
struct headers {
    struct pl_wire *wire;
    const char *text;
    struct pl_header *list;
    unsigned count, count_max;
    enum pl_err err;
};

static void add_bytes(struct headers *headers, const char *name, const void *bytes,
                      size_t size_bytes)
{
    pl_assert(headers->count < headers->count_max);
    headers->list[headers->count++] = (struct pl_header){name,
                                                         (struct pl_bytes_view){bytes, size_bytes}};
}

static void add_text(struct headers *headers, const char *name, const char *text)
{
    if (text)
        add_bytes(headers, name, text, strlen(text));
}

static void *take(struct headers *headers, size_t size_bytes)
{
    void *taken = pl_arena_take(&headers->wire->encode, size_bytes, 1);
    if (!taken)
        headers->err = pl_err_set(PL_REJECT_CAPACITY, "the encoder's memory is full");
    return taken;
}

/* The caller's text is mostly pl_err_text(), which the next error overwrites. */
static const char *keep_text(struct headers *headers, const char *text)
{
    char *kept = take(headers, strlen(text) + 1);
    return kept ? memcpy(kept, text, strlen(text) + 1) : NULL;
}

static void add_decimal(struct headers *headers, const char *name, int64_t number)
{
    enum { BYTES_MAX = 24 };
    char *text = take(headers, BYTES_MAX);
    if (text)
        add_bytes(headers, name, text,
                  (size_t)snprintf(text, BYTES_MAX, "%lld", (long long)number));
}

static void add_binary(struct headers *headers, const char *name, int64_t number, size_t size_bytes)
{
    uint8_t *bytes = take(headers, size_bytes);
    for (size_t i = 0; bytes && i < size_bytes; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * (size_bytes - 1 - i));
    if (bytes)
        add_bytes(headers, name, bytes, size_bytes);
}

/* Connect's word for how far a record came. */
static const char *stage_of(enum pl_err err)
{
    if (err == PL_REJECT_KEY || err == PL_REJECT_PARTITION)
        return "KEY_CONVERTER";
    if (err == PL_REJECT_MALFORMED || err == PL_REJECT_MISSING || err == PL_REJECT_RANGE ||
        err == PL_REJECT_SIZE)
        return "VALUE_CONVERTER";
    return "TASK_PUT";
}

static bool is_ours(const char *name)
{
    static const char *const prefixes[] = {"__connect.errors.", "kafka_dlt-", "plimsoll.error.",
                                           "plimsoll.code.", PL_JOURNAL_HEADER};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void add_connect(struct headers *headers, const struct pl_dead_letter *letter)
{
    add_text(headers, "__connect.errors.topic", letter->topic_name);
    add_decimal(headers, "__connect.errors.partition", letter->partition);
    add_decimal(headers, "__connect.errors.offset", letter->offset);
    add_text(headers, "__connect.errors.connector.name", letter->service);
    add_text(headers, "__connect.errors.task.id", letter->slot);
    add_text(headers, "__connect.errors.stage", stage_of(letter->err));
    add_text(headers, "__connect.errors.class.name", letter->service);
    add_text(headers, "__connect.errors.exception.class.name", pl_err_name(letter->err));
    add_text(headers, "__connect.errors.exception.message", headers->text);
}

static void add_spring(struct headers *headers, const struct pl_dead_letter *letter)
{
    add_text(headers, "kafka_dlt-original-topic", letter->topic_name);
    add_binary(headers, "kafka_dlt-original-partition", letter->partition, 4);
    add_binary(headers, "kafka_dlt-original-offset", letter->offset, 8);
    add_binary(headers, "kafka_dlt-original-timestamp", letter->timestamp_ms, 8);
    add_text(headers, "kafka_dlt-original-timestamp-type", letter->timestamp_type);
    add_text(headers, "kafka_dlt-exception-fqcn", pl_err_name(letter->err));
    add_text(headers, "kafka_dlt-exception-message", headers->text);
}

enum pl_err pl_wire_dead_letter_headers(struct pl_wire *wire, const struct pl_dead_letter *letter,
                                        const struct pl_header *origin, unsigned origin_count,
                                        struct pl_header *headers, unsigned *count)
{
    struct headers all = {
        .wire = wire, .list = headers, .count_max = origin_count + PL_DEAD_LETTER_HEADERS_MAX};
    all.text = letter->text ? keep_text(&all, letter->text) : NULL;
    add_connect(&all, letter);
    add_spring(&all, letter);
    add_text(&all, "plimsoll.error.code", pl_err_name(letter->err));
    add_text(&all, "plimsoll.code.version", letter->build);
    /* Last, since a reader may keep only so many: the facts of the refusal come through. */
    for (unsigned i = 0; i < origin_count; i++)
        if (!is_ours(origin[i].name))
            headers[all.count++] = origin[i];
    *count = all.count;
    return all.err;
}
