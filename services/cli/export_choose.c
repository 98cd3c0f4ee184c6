/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of the spool into the bundle (export_parts.h): what can be told only once all of a stream was
 * seen. The spool is on disk; of each key only one offset is in memory.
 */
#include <stdlib.h>

#include "lib/base/assert.h"
#include "lib/base/map.h"
#include "lib/service/process.h"
#include "services/cli/export_parts.h"

enum { KEYS_MAX = 1 << 24 };

/* ---- the range of entries ------------------------------------------------------------------- */

/* Places in the spool; `begin` is the base's, or the first entry's where there is none. */
struct range {
    bool has_first, has_before;
    struct pl_journal first, before, last;
    size_t first_at, before_at;
    int64_t first_offset;
    size_t end_at;
};

static enum pl_err find_range(struct export *export, struct bundle_cursor cursor,
                              struct range *range)
{
    const struct when *from = &export->request->from;
    struct pl_record record;
    bool found = true;
    for (;;) {
        struct pl_journal entry;
        size_t at = cursor.at;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        err = pl_wire_journal_decode(export->wire, record.value, &entry);
        if (err)
            return err;
        bool is_later = from->kind != WHEN_OPEN && export_is_within(from, &entry, record.offset);
        if (!range->has_first || is_later) {
            range->has_before = range->has_first;
            range->before = range->first;
            range->before_at = range->first_at;
            range->has_first = true;
            range->first = entry;
            range->first_at = at;
            range->first_offset = record.offset;
        }
        range->last = entry;
        range->end_at = cursor.at;
    }
}

/* What was read may begin after what was asked for. */
static bool is_short_of(const struct export *export, const struct span *span,
                        const struct range *range)
{
    const struct when *from = &export->request->from;
    if (span->journal_from == span->journal_first)
        return false;
    return !range->has_first || !range->has_before ||
           !export_is_within(from, &range->first, range->first_offset);
}

static enum pl_err append_entries(struct export *export, struct span *span,
                                  struct bundle_cursor cursor, size_t end_at)
{
    int64_t first_offset = 0, end = 0;
    int32_t partition = cursor.stream->partition;
    for (bool is_first = true; cursor.at < end_at; is_first = false) {
        struct pl_record record;
        struct pl_journal entry;
        bool found = false;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (!err)
            err = pl_wire_journal_decode(export->wire, record.value, &entry);
        if (!err)
            err = bundle_append(export->writer, &record);
        if (err)
            return err;
        if (is_first || entry.marks_first_offset < span->marks_first_offset)
            span->marks_first_offset = entry.marks_first_offset;
        first_offset = is_first ? record.offset : first_offset;
        span->output_count += is_first && span->has_base ? 0 : entry.output_count;
        end = record.offset + 1;
    }
    return bundle_bound(export->writer, PL_TOPIC_JOURNAL, partition, first_offset, end);
}

enum pl_err choose_journal(struct export *export, int32_t partition, bool *is_short)
{
    static struct range range;
    struct span *span = &export->spans[partition];
    struct bundle_cursor cursor = { .stream = bundle_find(export->spool, PL_TOPIC_JOURNAL,
                                                          partition) };
    range = (struct range){ 0 };
    *is_short = false;
    enum pl_err err = cursor.stream ? find_range(export, cursor, &range) : PL_OK;
    if (err)
        return err;
    *is_short = is_short_of(export, span, &range);
    if (*is_short)
        return PL_OK;
    if (!range.has_first)
        return bundle_bound(export->writer, PL_TOPIC_JOURNAL, partition, 0, 0);
    /* Where the log begins later, its first entry is what there is to begin with. */
    span->has_entries = true;
    span->has_base = range.has_before || range.first.sequence != 1;
    span->first = range.has_before ? range.before : range.first;
    span->last = range.last;
    cursor.at = range.has_before ? range.before_at : range.first_at;
    return append_entries(export, span, cursor, range.end_at);
}

/* ---- the newest of each key ----------------------------------------------------------------- */

/* Address space; pages cost memory once there are keys. */
struct newest {
    struct pl_map map;
    uint32_t count;
    struct row { struct pl_id key; uint64_t version; int64_t offset; } *rows;
    void *table;
    int64_t watermark_offset;
};

static enum pl_err newest_open(struct newest *newest)
{
    void *rows = NULL;
    *newest = (struct newest){ .watermark_offset = -1 };
    enum pl_err err = pl_memory_map(sizeof(struct row) * KEYS_MAX, &rows);
    if (!err)
        err = pl_memory_map(PL_MAP_BYTES(KEYS_MAX), &newest->table);
    newest->rows = rows;
    if (!err)
        pl_map_init(&newest->map, newest->table, KEYS_MAX, &newest->rows->key, sizeof(struct row));
    return err;
}

static void newest_close(struct newest *newest)
{
    pl_memory_unmap(newest->table, PL_MAP_BYTES(KEYS_MAX));
    pl_memory_unmap(newest->rows, sizeof(struct row) * KEYS_MAX);
}

static struct row *newest_find(const struct newest *newest, struct pl_bytes_view key)
{
    struct pl_id id;
    uint32_t index;
    bool is_known = !pl_id_set(&id, key.data, key.size_bytes) &&
                    pl_map_find(&newest->map, &id, &index);
    return is_known ? &newest->rows[index] : NULL;
}

static enum pl_err newest_put(struct newest *newest, const struct pl_record *record,
                              uint64_t version)
{
    struct row *row = newest_find(newest, record->key);
    if (row && version <= row->version)
        return PL_OK;
    if (!row) {
        if (newest->count == KEYS_MAX)
            return pl_err_set(PL_FATAL_SYSTEM, "more than %d keys in a partition", KEYS_MAX);
        row = &newest->rows[newest->count];
        enum pl_err err = pl_id_set(&row->key, record->key.data, record->key.size_bytes);
        if (!err)
            err = pl_map_insert(&newest->map, newest->count++);
        if (err)
            return err;
    }
    row->version = version;
    row->offset = record->offset;
    return PL_OK;
}

/* As the service takes them: a version that is not above the last, or bytes that are no
 * holdings, leave the book as it was. */
static enum pl_err see_holdings(struct export *export, struct newest *newest,
                                const struct pl_record *record)
{
    static struct pl_holdings holdings;
    struct pl_watermark watermark;
    if (pl_wire_is_watermark(record->key)) {
        if (!pl_wire_watermark_decode(export->wire, record->value, &watermark))
            newest->watermark_offset = record->offset;
        return PL_OK;
    }
    if (pl_account_key_check(record->key, record->value, record->partition,
                             export->partition_count) ||
        pl_wire_holdings_decode(export->wire, export->names, record->key, record->value, &holdings))
        return PL_OK;
    return newest_put(newest, record, holdings.version);
}

static enum pl_err see(struct export *export, struct newest *newest,
                       const struct pl_record *record)
{
    struct pl_id id;
    if (record->topic == PL_TOPIC_HOLDINGS)
        return see_holdings(export, newest, record);
    if (pl_id_set(&id, record->key.data, record->key.size_bytes))
        return PL_OK;
    return newest_put(newest, record, (uint64_t)record->offset + 1);
}

/* What came after the newest good record of an account was refused, and casts doubt on it (G4).
 * What has no account's key is of no account's holdings, but no state either: that is for others
 * to say. */
static bool is_chosen(const struct newest *newest, const struct pl_record *record)
{
    if (record->topic == PL_TOPIC_HOLDINGS && pl_wire_is_watermark(record->key))
        return record->offset >= newest->watermark_offset;
    struct pl_id id;
    const struct row *row = newest_find(newest, record->key);
    if (!row)
        return record->topic != PL_TOPIC_HOLDINGS ||
               !pl_id_set(&id, record->key.data, record->key.size_bytes);
    return record->offset >= row->offset;
}

/* Sees, or chooses, everything below complete_from; then the rest is appended as it is. */
static enum pl_err pass(struct export *export, struct newest *newest, const struct copy *copy,
                        bool is_choosing)
{
    struct bundle_cursor cursor = { .stream = bundle_find(export->spool, copy->topic,
                                                          copy->partition) };
    for (;;) {
        struct pl_record record;
        bool found = false;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        bool is_old = record.offset < copy->complete_from;
        if (!is_old && !is_choosing)
            return PL_OK;
        if (!is_choosing)
            err = see(export, newest, &record);
        else if (!is_old || is_chosen(newest, &record) ||
                 (copy->kind == COPY_STATES && export->account.data))
            err = bundle_append(export->writer, &record);
        if (err)
            return err;
    }
}

enum pl_err choose_newest(struct export *export, const struct copy *copy)
{
    struct newest newest;
    struct copy chosen = *copy;
    if (chosen.complete_from < 0 || chosen.complete_from > chosen.end)
        chosen.complete_from = chosen.end;
    enum pl_err err = newest_open(&newest);
    if (!err)
        err = pass(export, &newest, &chosen, false);
    if (!err)
        err = pass(export, &newest, &chosen, true);
    newest_close(&newest);
    return err ? err : bundle_bound(export->writer, copy->topic, copy->partition,
                                    chosen.complete_from, chosen.end);
}
