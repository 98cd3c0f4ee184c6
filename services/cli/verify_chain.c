/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal by itself, first of verify's checks since all others hold records against it: every
 * entry can be read, follows the one before, holds its hash, and is signed where it says so. G2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "services/cli/verify_parts.h"

static bool is_signed(const struct verify_options *options, struct pl_bytes_view value,
                      struct pl_bytes_view signature)
{
    for (unsigned i = 0; i < options->key_count; i++)
        if (pl_key_verifies(options->keys[i], value, signature))
            return true;
    return false;
}

static enum pl_err check_signature(struct verify *verify, const struct pl_record *record,
                                   struct verify_report *report)
{
    const struct pl_header *header = verify_header(record, PL_SIGNATURE_HEADER);
    report->head_is_signed = header != NULL;
    report->signed_count += header != NULL;
    if (!header || verify->options->key_count == 0 ||
        is_signed(verify->options, record->value, header->value))
        return PL_OK;
    verify_suspect_record(verify, record);
    return verify_report_finding(verify, "signature", "it is not of this entry by %s",
                                 verify->options->key_count > 1 ? "any of the given keys"
                                                                : "the given key");
}

static enum pl_err fail_reading(struct verify *verify)
{
    char text[PL_ERR_TEXT_BYTES_MAX];
    snprintf(text, sizeof(text), "%s", pl_err_text());
    verify->entry.sequence = 0;
    return verify_report_finding(verify, "entry", "cannot be read: %s", text);
}

static enum pl_err check_entry(struct verify *verify, const struct pl_record *record)
{
    struct pl_journal *entry = &verify->entry;
    int32_t partition_count = bundle_partition_count(verify->bundle);
    char key[16];
    int size = snprintf(key, sizeof(key), "%" PRId32, verify->partition);
    verify_suspect_record(verify, record);
    if (pl_wire_journal_decode(&verify->wire, record->value, entry))
        return fail_reading(verify);
    if (!verify_equal(record->key, (struct pl_bytes_view){ (const uint8_t *)key, (size_t)size }))
        return verify_report_finding(verify, "entry", "its key is not \"%s\", the partition", key);
    if (entry->partition != verify->partition)
        return verify_report_finding(verify, "entry", "it says partition %" PRId32,
                                     entry->partition);
    if (entry->partition_count != partition_count) {
        verify_show_numbers(verify, entry->partition_count, partition_count);
        return verify_report_finding(verify, "entry", "the bundle has other partitions");
    }
    verify->finding.suspect_count = 0;
    return PL_OK;
}

/* Whether the entry at the cursor holds this hash: then the entry before it is whole. */
static bool is_linked(struct verify *verify, struct bundle_cursor cursor,
                      const uint8_t hash[PL_HASH_BYTES])
{
    static struct pl_journal next;
    struct pl_record record;
    bool found = false;
    return !bundle_next(&cursor, &record, &found) && found &&
           !pl_wire_journal_decode(&verify->wire, record.value, &next) &&
           memcmp(next.previous_hash, hash, PL_HASH_BYTES) == 0;
}

/* The entry does not hold the hash of the one before: which of the two was changed? */
static enum pl_err report_break(struct verify *verify, const struct bundle_cursor *cursor,
                                const struct pl_record *record, int64_t previous_offset)
{
    uint8_t hash[PL_HASH_BYTES];
    pl_wire_hash(record->value, hash);
    bool is_whole = !verify->is_first && is_linked(verify, *cursor, hash);
    if (is_whole)
        verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, previous_offset,
                       previous_offset);
    verify_suspect_record(verify, record);
    if (!is_whole && !verify->is_first)
        verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, previous_offset,
                       previous_offset);
    return verify_report_finding(verify, "chain", "entry %" PRIu64 " does not hold the hash of the "
                                 "entry before it%s", verify->entry.sequence,
                                 is_whole ? ", which was changed: the entry after links to this one"
                                          : "");
}

/* If the entry after links to this one, this one is whole: the one before it was changed, or some
 * between them are missing. */
static enum pl_err report_gap(struct verify *verify, const struct bundle_cursor *cursor,
                              const struct pl_record *record, int64_t previous_offset)
{
    uint8_t hash[PL_HASH_BYTES];
    pl_wire_hash(record->value, hash);
    int64_t first = previous_offset + !is_linked(verify, *cursor, hash);
    verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, first, record->offset);
    verify_show_numbers(verify, (int64_t)verify->previous.sequence + 1,
                        (int64_t)verify->entry.sequence);
    return verify_report_finding(verify, "sequence", "entry %" PRIu64 " follows entry %" PRIu64,
                                 verify->entry.sequence, verify->previous.sequence);
}

/* Only a log whose beginning is gone may begin in the middle. */
static enum pl_err check_base(struct verify *verify, const struct bundle_stream *stream,
                              const struct pl_record *record)
{
    if (stream->complete_from > 0)
        return PL_OK;
    verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, 0, record->offset);
    return verify_report_finding(verify, "sequence", "the log is said to be complete, and begins "
                                 "with entry %" PRIu64, verify->entry.sequence);
}

/* `previous_hash` is of the record at `previous_offset`; zeros before sequence 1. */
static enum pl_err check_link(struct verify *verify, const struct bundle_cursor *cursor,
                              const struct pl_record *record, int64_t previous_offset,
                              const uint8_t previous_hash[PL_HASH_BYTES])
{
    const struct pl_journal *entry = &verify->entry;
    if (!verify->is_first && entry->sequence != verify->previous.sequence + 1)
        return report_gap(verify, cursor, record, previous_offset);
    if (verify->is_first && entry->sequence > 1)
        return check_base(verify, cursor->stream, record);
    if (memcmp(entry->previous_hash, previous_hash, PL_HASH_BYTES) == 0)
        return PL_OK;
    verify_show_hashes(verify, entry->previous_hash, previous_hash);
    return report_break(verify, cursor, record, previous_offset);
}

static enum pl_err check_heads(struct verify *verify, const struct pl_record *record,
                               const uint8_t hash[PL_HASH_BYTES])
{
    for (unsigned i = 0; i < verify->options->head_count; i++) {
        const struct verify_head *head = &verify->options->heads[i];
        if (head->partition != verify->partition || head->sequence != verify->entry.sequence ||
            memcmp(head->hash, hash, PL_HASH_BYTES) == 0)
            continue;
        verify_suspect_record(verify, record);
        verify_show_hashes(verify, head->hash, hash);
        return verify_report_finding(verify, "head", "the noted entry was another one");
    }
    return PL_OK;
}

static enum pl_err check_tail(struct verify *verify, const struct verify_report *report)
{
    for (unsigned i = 0; i < verify->options->head_count; i++) {
        const struct verify_head *head = &verify->options->heads[i];
        if (head->partition != verify->partition ||
            (head->sequence >= report->first_sequence && head->sequence <= report->last_sequence))
            continue;
        verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, verify->journal_offset + 1,
                       INT64_MAX);
        return verify_report_finding(verify, "head", "the log goes from entry %" PRIu64 " to %"
                                     PRIu64 ", without the noted entry %" PRIu64 ": it %s",
                                     report->first_sequence, report->last_sequence, head->sequence,
                                     head->sequence > report->last_sequence ? "was cut off"
                                                                            : "begins later");
    }
    if (verify->options->key_count == 0 || report->head_is_signed)
        return PL_OK;
    verify_suspect_entry(verify);
    return verify_report_finding(verify, "signature", "the newest entry is not signed");
}

static void note_entry(struct verify *verify, const struct pl_record *record,
                       struct verify_report *report)
{
    const struct pl_journal *entry = &verify->entry;
    if (report->entry_count++ == 0) {
        report->first_sequence = entry->sequence;
        report->first_clock_ms = entry->clock_ms;
        report->has_base = verify_is_base(verify);
    }
    report->last_sequence = entry->sequence;
    report->last_clock_ms = entry->clock_ms;
    verify_count_record(verify, record->key, record->value);
    verify->previous = *entry;
}

enum pl_err verify_chain(struct verify *verify, const struct bundle_stream *stream,
                         struct verify_report *report)
{
    struct bundle_cursor cursor = { .stream = stream };
    struct pl_record record;
    int64_t previous_offset = -1;
    bool found = false;
    enum pl_err err = verify_read(verify, &cursor, &record, &found);
    while (!err && found) {
        verify->journal_offset = record.offset;
        verify->is_first = report->entry_count == 0;
        verify->entry.sequence = verify->is_first ? 0 : verify->previous.sequence + 1;
        err = check_signature(verify, &record, report);
        if (!err)
            err = check_entry(verify, &record);
        if (!err)
            err = check_link(verify, &cursor, &record, previous_offset, report->head_hash);
        pl_wire_hash(record.value, report->head_hash);
        if (!err)
            err = check_heads(verify, &record, report->head_hash);
        if (!err) {
            note_entry(verify, &record, report);
            previous_offset = record.offset;
            err = verify_read(verify, &cursor, &record, &found);
        }
    }
    if (!err && report->entry_count == 0)
        err = verify_report_finding(verify, "entry", "the journal has no entries");
    return err ? err : check_tail(verify, report);
}
