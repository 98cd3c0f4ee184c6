/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying topic partitions (export_parts.h): several at once, since a fetch waits a while at a
 * partition's end, and not all, since each may fill a queue in memory. A copy ends where it was
 * told, at an entry after the range, or, when an open transaction holds it up, once all outputs of
 * the range were seen.
 */
#include <signal.h>

#include "lib/base/assert.h"
#include "lib/service/process.h"
#include "services/cli/export_parts.h"

enum { OPEN_MAX = 12, POLL_MS = 50, QUIET_MS = 1000 };

static volatile sig_atomic_t is_interrupted;

void copies_interrupt(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

void copies_add(struct export *export, const struct copy *copy)
{
    struct copy *added = &export->copies[export->copy_count++];
    *added = *copy;
    added->is_done = copy->at >= copy->end;
    if (!added->is_done)
        export->total += (uint64_t)(copy->end - copy->at);
    export->copy_of[copy->topic][copy->partition] = added;
}

/* ---- one record ----------------------------------------------------------------------------- */

/* Ends a copy; `at` is where the copied part ends. */
static enum pl_err finish(struct export *export, struct copy *copy, int64_t at)
{
    export->done += (uint64_t)(copy->end - copy->at);
    copy->end = at;
    copy->is_done = true;
    export->deadline_ms = pl_mono_ms() + EXPORT_WAIT_MS;
    if (!copy->is_open)
        return PL_OK;
    copy->is_open = false;
    export->open_count--;
    return pl_reader_remove(export->reader, copy->topic, copy->partition);
}

static enum pl_err take_entry(struct export *export, struct copy *copy,
                              const struct pl_record *record)
{
    struct pl_journal entry;
    enum pl_err err = pl_wire_journal_decode(export->wire, record->value, &entry);
    if (err)
        return pl_err_note(PL_REJECT_MALFORMED, "journal partition %d offset %lld",
                           (int)record->partition, (long long)record->offset);
    if (!export_is_within(&export->request->to, &entry, record->offset))
        return finish(export, copy, record->offset);
    return bundle_append(export->spool_writer, record);
}

/* Of which entry of which wanted partition the record is an output; NULL: of none. */
static struct span *span_of(struct export *export, const struct pl_record *record,
                            uint64_t *sequence)
{
    int32_t partition = 0;
    if (!pl_wire_journal_of(record->headers, record->header_count, &partition, sequence) ||
        partition >= export->partition_count || !export->spans[partition].has_entries)
        return NULL;
    return &export->spans[partition];
}

static uint64_t base_of(const struct span *span)
{
    return span->has_base ? span->first.sequence : 0;
}

/* Orders, alerts and states of a partition stand in the order of entries. What names no entry
 * and lies among them is copied as well: it is for others to say that it should not be there. */
static enum pl_err take_output(struct export *export, struct copy *copy,
                               const struct pl_record *record)
{
    uint64_t sequence = 0;
    struct span *span = span_of(export, record, &sequence);
    bool is_own = span == &export->spans[copy->partition];
    if (is_own && sequence > span->last.sequence)
        return finish(export, copy, record->offset);
    bool is_new = is_own && sequence > base_of(span);
    if (is_new) {
        span->outputs_seen++;
        if (copy->complete_from < 0)
            copy->complete_from = record->offset;
    } else if (is_own) {
        copy->has_earlier = true;
    }
    if (!export_is_asked_for(export, record))
        return PL_OK;
    if (copy->kind == COPY_STATES)
        return bundle_append(export->spool_writer, record);
    bool is_kept = copy->complete_from >= 0 || export->account.data;
    return is_kept ? bundle_append(export->writer, record) : PL_OK;
}

static enum pl_err take_letter(struct export *export, const struct pl_record *record)
{
    uint64_t sequence = 0;
    struct span *span = span_of(export, record, &sequence);
    if (!span || sequence <= base_of(span) || sequence > span->last.sequence)
        return PL_OK;
    span->outputs_seen++;
    return bundle_append(export->writer, record);
}

static enum pl_err take(struct export *export, struct copy *copy, const struct pl_record *record)
{
    switch (copy->kind) {
    case COPY_JOURNAL:
        return take_entry(export, copy, record);
    case COPY_INPUT:
    case COPY_SPOOL:
        if (!export_is_asked_for(export, record))
            return PL_OK;
        return bundle_append(copy->kind == COPY_INPUT ? export->writer : export->spool_writer,
                             record);
    case COPY_STATES:
    case COPY_OUTPUT:
        return take_output(export, copy, record);
    case COPY_LETTERS:
        return take_letter(export, record);
    }
    return PL_OK;
}

static enum pl_err take_record(struct export *export, const struct pl_record *record)
{
    struct copy *copy = export->copy_of[record->topic][record->partition];
    pl_assert(copy && copy->is_open);
    if (record->offset >= copy->end)
        return finish(export, copy, copy->end);
    enum pl_err err = take(export, copy, record);
    if (err || copy->is_done)
        return err;
    export->done += (uint64_t)(record->offset + 1 - copy->at);
    copy->at = record->offset + 1;
    progress_at(&export->progress, export->done, export->total);
    return PL_OK;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static enum pl_err open_more(struct export *export)
{
    for (unsigned i = 0; i < export->copy_count && export->open_count < OPEN_MAX; i++) {
        struct copy *copy = &export->copies[i];
        if (copy->is_done || copy->is_open)
            continue;
        enum pl_err err =
            pl_reader_add(export->reader, copy->topic, copy->partition, copy->at);
        if (err)
            return err;
        copy->is_open = true;
        export->open_count++;
    }
    return PL_OK;
}

/* A copy is over as well when only markers and gaps lie before its end. */
static enum pl_err close_ended(struct export *export)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < export->copy_count; i++) {
        struct copy *copy = &export->copies[i];
        if (copy->is_open &&
            pl_reader_position(export->reader, copy->topic, copy->partition) >= copy->end)
            err = finish(export, copy, copy->end);
    }
    return err;
}

static bool is_over(const struct export *export)
{
    for (unsigned i = 0; i < export->copy_count; i++)
        if (!export->copies[i].is_done)
            return false;
    return true;
}

static bool is_complete(const struct export *export)
{
    for (int32_t i = 0; i < export->partition_count; i++)
        if (export->spans[i].outputs_seen < export->spans[i].output_count)
            return false;
    return true;
}

static bool is_output(const struct copy *copy)
{
    return copy->kind == COPY_STATES || copy->kind == COPY_OUTPUT || copy->kind == COPY_LETTERS;
}

/* Only outputs are still waited for, and each that the entries tell of was seen. */
static bool is_all_there(const struct export *export)
{
    for (unsigned i = 0; i < export->copy_count; i++)
        if (!export->copies[i].is_done && !is_output(&export->copies[i]))
            return false;
    return is_complete(export);
}

/* Somebody's open transaction does not matter once all is there. */
static enum pl_err finish_waiting(struct export *export)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < export->copy_count; i++) {
        struct copy *copy = &export->copies[i];
        if (!copy->is_open)
            continue;
        int64_t position = pl_reader_position(export->reader, copy->topic, copy->partition);
        err = finish(export, copy, position > copy->at ? position : copy->at);
    }
    return err;
}

static enum pl_err tell_stall(const struct export *export)
{
    const struct copy *copy = export->copies;
    while (!copy->is_open)
        copy++;
    return pl_err_set(PL_RETRY_TRANSPORT, "%s partition %d can be read up to offset %lld only, and "
                      "%lld is needed: a transaction has been open for %d s; try again when it has "
                      "timed out", pl_topic_word(copy->topic), (int)copy->partition,
                      (long long)pl_reader_position(export->reader, copy->topic, copy->partition),
                      (long long)copy->end, EXPORT_WAIT_MS / 1000);
}

/* Nothing came. */
static enum pl_err wait(struct export *export, enum pl_err last)
{
    int64_t now_ms = pl_mono_ms();
    if (export->deadline_ms == 0)
        export->deadline_ms = now_ms + EXPORT_WAIT_MS;
    int64_t waited_ms = now_ms - (export->deadline_ms - EXPORT_WAIT_MS);
    if (waited_ms > QUIET_MS && !last && is_all_there(export))
        return finish_waiting(export);
    if (waited_ms <= EXPORT_WAIT_MS || is_over(export))
        return PL_OK;
    return last ? last : tell_stall(export);
}

static enum pl_err turn(struct export *export, enum pl_err *last)
{
    struct pl_record record;
    bool found = false;
    if (is_interrupted)
        return pl_err_set(PL_FATAL_SYSTEM, "interrupted");
    enum pl_err err = pl_reader_poll(export->reader, POLL_MS, &record, &found);
    if (!err && found) {
        *last = PL_OK;
        export->deadline_ms = 0;
        return take_record(export, &record);
    }
    if (err == PL_FATAL_OFFSETS)
        return pl_err_note(err, "retention deletes faster than this reads: a later --from helps");
    if (pl_err_action(err) == PL_ACTION_RETRY) {
        *last = err; /* the broker may come back */
        err = PL_OK;
    }
    if (!err)
        err = close_ended(export);
    return err ? err : wait(export, *last);
}

/* What is where it was read from: bounds of what went straight to the bundle. */
static enum pl_err bound(struct export *export, const struct copy *copy)
{
    if (copy->kind != COPY_INPUT && copy->kind != COPY_OUTPUT && copy->kind != COPY_LETTERS)
        return PL_OK;
    bool is_whole = copy->complete_from >= 0 && copy->complete_from <= copy->end;
    return bundle_bound(export->writer, copy->topic, copy->partition,
                        is_whole ? copy->complete_from : copy->end, copy->end);
}

enum pl_err copies_run(struct export *export, const char *what)
{
    enum pl_err err = PL_OK, last = PL_OK;
    export->deadline_ms = 0;
    progress_begin(&export->progress, export->request->progress, what, "offsets", export->total);
    while (!err && !is_over(export)) {
        err = open_more(export);
        if (!err)
            err = turn(export, &last);
    }
    progress_end(&export->progress);
    for (unsigned i = 0; !err && i < export->copy_count; i++)
        err = bound(export, &export->copies[i]);
    return err;
}

void copies_forget(struct export *export)
{
    for (unsigned i = 0; i < export->copy_count; i++)
        export->copy_of[export->copies[i].topic][export->copies[i].partition] = NULL;
    export->copy_count = export->open_count = 0;
    export->done = export->total = 0;
}
