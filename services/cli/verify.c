/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of verify (verify.h). Beside the event's path: it reads what steps 1 and 6 left on the
 * topics. One pass over a partition's journal for the chain, then one over its entries with a
 * cursor in every stream: a log of any length takes the memory of its accounts, and of the hashes
 * of broadcasts. What G1 and G2 promise is checkable by it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/verify_parts.h"

enum { ROWS_FIRST = 1024 };

static const size_t WIRE_BYTES = (size_t)16 << 20; /* holdings are the largest that is decoded */

/* ---- findings ------------------------------------------------------------------------------- */

void verify_suspect(struct verify *verify, enum pl_topic topic, int32_t partition, int64_t first,
                    int64_t last)
{
    struct verify_finding *finding = &verify->finding;
    if (finding->suspect_count < VERIFY_SUSPECTS_MAX)
        finding->suspects[finding->suspect_count++] =
            (struct verify_range){ topic, partition, first, last };
}

void verify_suspect_record(struct verify *verify, const struct pl_record *record)
{
    verify_suspect(verify, record->topic, record->partition, record->offset, record->offset);
}

void verify_suspect_entry(struct verify *verify)
{
    verify_suspect(verify, PL_TOPIC_JOURNAL, verify->partition, verify->journal_offset,
                   verify->journal_offset);
}

static void print_hex(const uint8_t bytes[PL_HASH_BYTES], char text[2 * PL_HASH_BYTES + 1])
{
    for (size_t i = 0; i < PL_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void verify_show_hashes(struct verify *verify, const uint8_t expected[PL_HASH_BYTES],
                        const uint8_t found[PL_HASH_BYTES])
{
    print_hex(expected, verify->finding.expected);
    print_hex(found, verify->finding.found);
}

void verify_show_digests(struct verify *verify, struct pl_digest expected, struct pl_digest found)
{
    struct verify_finding *finding = &verify->finding;
    snprintf(finding->expected, sizeof(finding->expected), "%016" PRIx64 "%016" PRIx64,
             expected.high, expected.low);
    snprintf(finding->found, sizeof(finding->found), "%016" PRIx64 "%016" PRIx64, found.high,
             found.low);
}

void verify_show_numbers(struct verify *verify, int64_t expected, int64_t found)
{
    struct verify_finding *finding = &verify->finding;
    snprintf(finding->expected, sizeof(finding->expected), "%" PRId64, expected);
    snprintf(finding->found, sizeof(finding->found), "%" PRId64, found);
}

enum pl_err verify_report_finding(struct verify *verify, const char *what, const char *format, ...)
{
    struct verify_finding *finding = &verify->finding;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof(finding->text), format, arguments);
    va_end(arguments);
    finding->what = what;
    finding->partition = verify->partition;
    finding->sequence = verify->entry.sequence;
    finding->journal_offset = verify->journal_offset;
    return pl_err_set(PL_FATAL_DIVERGED, "%s: %s", what, finding->text);
}

/* ---- records -------------------------------------------------------------------------------- */

enum pl_err verify_read(struct verify *verify, struct bundle_cursor *cursor,
                        struct pl_record *record, bool *found)
{
    enum pl_err err = bundle_next(cursor, record, found);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    char text[PL_ERR_TEXT_BYTES_MAX];
    snprintf(text, sizeof(text), "%s", pl_err_text());
    verify_suspect(verify, cursor->stream->topic, cursor->stream->partition, 0,
                   cursor->stream->end);
    return verify_report_finding(verify, "bundle", "%s", text);
}

void verify_count_record(struct verify *verify, struct pl_bytes_view key,
                         struct pl_bytes_view value)
{
    verify->record_count++;
    verify->bytes += key.size_bytes + value.size_bytes;
}

static enum pl_err no_memory(void)
{
    return pl_err_set(PL_FATAL_SYSTEM, "no memory for what the log holds");
}

enum pl_err verify_make_room(void **rows, size_t count, size_t *capacity, size_t row_bytes)
{
    if (count < *capacity)
        return PL_OK;
    size_t wanted = *capacity > 0 ? *capacity * 2 : ROWS_FIRST;
    void *grown = realloc(*rows, wanted * row_bytes);
    if (!grown)
        return no_memory();
    *rows = grown;
    *capacity = wanted;
    return PL_OK;
}

const struct pl_header *verify_header(const struct pl_record *record, const char *name)
{
    for (unsigned i = record->header_count; i-- > 0;)
        if (strcmp(record->headers[i].name, name) == 0)
            return &record->headers[i];
    return NULL;
}

bool verify_equal(struct pl_bytes_view a, struct pl_bytes_view b)
{
    return !a.data == !b.data && a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.data, b.data, a.size_bytes) == 0);
}

/* Whether the bundle has all that the present entry read. */
static bool reaches_back(const struct verify *verify)
{
    for (unsigned i = 0; i < VERIFY_SOURCES; i++) {
        const struct verify_source *source = &verify->sources[i];
        const struct pl_coordinate *read = verify_coordinate(&verify->entry, source);
        if (read && source->cursor.stream &&
            source->cursor.stream->complete_from > read->first_offset)
            return false;
    }
    return true;
}

bool verify_is_base(const struct verify *verify)
{
    return verify->is_first && (verify->entry.sequence > 1 || !reaches_back(verify));
}

/* ---- accounts and their book ---------------------------------------------------------------- */

/* The map borrows its keys from the rows, so it is made anew when they move. */
static enum pl_err grow_accounts(struct verify *verify)
{
    size_t before = verify->account_capacity;
    void *rows = verify->accounts;
    enum pl_err err = verify_make_room(&rows, verify->account_count, &verify->account_capacity,
                                       sizeof(*verify->accounts));
    verify->accounts = rows;
    if (err || verify->account_capacity == before)
        return err;
    free(verify->table);
    verify->table = verify->account_capacity <= (size_t)1 << 30
                        ? calloc(1, PL_MAP_BYTES(verify->account_capacity)) : NULL;
    if (!verify->table)
        return no_memory();
    pl_map_init(&verify->map, verify->table, (uint32_t)verify->account_capacity,
                &verify->accounts->id, sizeof(*verify->accounts));
    for (uint32_t i = 0; !err && i < verify->account_count; i++)
        err = pl_map_insert(&verify->map, i);
    return err;
}

enum pl_err verify_account(struct verify *verify, const struct pl_id *id,
                           struct verify_account **account)
{
    uint32_t row = 0;
    enum pl_err err = grow_accounts(verify);
    if (err)
        return err;
    if (!pl_map_find(&verify->map, id, &row)) {
        row = (uint32_t)verify->account_count;
        verify->accounts[row] = (struct verify_account){ .id = *id };
        err = pl_map_insert(&verify->map, row);
        verify->account_count++;
    }
    *account = &verify->accounts[row];
    return err;
}

/* As the book does it: what a decoder refuses or what is not newer changes nothing. */
static enum pl_err apply_holdings(struct verify *verify, const struct pl_record *record)
{
    static struct pl_holdings holdings;
    struct verify_account *account = NULL;
    if (pl_wire_is_watermark(record->key) ||
        pl_account_key_check(record->key, record->value, record->partition,
                             bundle_partition_count(verify->bundle)) ||
        pl_wire_holdings_decode(&verify->wire, verify->names, record->key, record->value,
                                &holdings))
        return PL_OK;
    enum pl_err err = verify_account(verify, &holdings.account, &account);
    if (err || holdings.version <= account->version)
        return err;
    pl_digest_xor(&verify->book_digest, account->holdings);
    pl_digest_xor(&verify->book_digest, holdings.digest);
    account->holdings = holdings.digest;
    account->version = holdings.version;
    return PL_OK;
}

/* What the service had no room for, only its dead letters tell. */
static bool is_refused(const struct verify *verify, const struct pl_record *record)
{
    for (size_t i = 0; i < verify->letter_count; i++)
        if (verify->letters[i].topic == record->topic &&
            verify->letters[i].offset == record->offset)
            return true;
    return false;
}

static enum pl_err check_book(struct verify *verify)
{
    struct verify_source *holdings = &verify->sources[VERIFY_HOLDINGS];
    enum pl_err err = PL_OK;
    for (size_t i = 0; !err && i < holdings->count; i++) {
        struct pl_record record;
        err = verify_read_input(verify, holdings, &holdings->inputs[i], &record);
        if (!err && !is_refused(verify, &record))
            err = apply_holdings(verify, &record);
    }
    if (err || pl_digest_equal(verify->book_digest, verify->entry.book_digest))
        return err;
    const struct pl_coordinate *coordinate = verify_coordinate(&verify->entry, holdings);
    verify_suspect(verify, PL_TOPIC_HOLDINGS, verify->partition, 0, coordinate->offset - 1);
    verify_show_digests(verify, verify->entry.book_digest, verify->book_digest);
    return verify_report_finding(verify, "book", "the newest holdings of all accounts are not the "
                                 "book of entry %" PRIu64 "%s", verify->entry.sequence,
                                 verify->is_first ? ": the log or its checkpoint misses some" : "");
}

/* ---- entries -------------------------------------------------------------------------------- */

static enum pl_err check_records(struct verify *verify)
{
    enum pl_err err = verify->is_first ? verify_skip_outputs(verify) : PL_OK;
    if (!err)
        err = verify_inputs(verify);
    if (!err)
        err = verify_letters(verify);
    if (!err)
        err = check_book(verify);
    if (!err)
        err = verify_outputs(verify);
    for (unsigned i = 0; i < VERIFY_OWN_SOURCES; i++)
        verify->sources[i].count = verify->sources[i].next = 0;
    return err;
}

static enum pl_err check_entries(struct verify *verify, const struct bundle_stream *stream)
{
    struct bundle_cursor cursor = { .stream = stream };
    struct pl_record record;
    bool found = false;
    enum pl_err err = verify_read(verify, &cursor, &record, &found);
    for (verify->is_first = true; !err && found; verify->is_first = false) {
        verify->previous = verify->entry;
        verify->journal_offset = record.offset;
        err = pl_wire_journal_decode(&verify->wire, record.value, &verify->entry);
        if (!err)
            err = check_records(verify);
        if (!err)
            err = verify_read(verify, &cursor, &record, &found);
        if (verify->progress)
            verify->progress(verify->progress_context, verify->record_count);
    }
    return err ? err : verify_rest(verify);
}

/* ---- partitions ----------------------------------------------------------------------------- */

static enum pl_err begin_partition(struct verify *verify, int32_t partition)
{
    verify->partition = partition;
    verify->finding = (struct verify_finding){ .journal_offset = -1 };
    verify->entry = verify->previous = (struct pl_journal){ 0 };
    verify->journal_offset = -1;
    verify->is_first = true;
    verify->account_count = 0;
    verify->book_digest = verify->states_digest = (struct pl_digest){ 0 };
    if (verify->table)
        pl_map_reset(&verify->map);
    pl_names_init(verify->names);
    for (unsigned i = 0; i < VERIFY_SOURCES; i++)
        if (i < VERIFY_OWN_SOURCES)
            verify_begin_source(verify, i, partition);
        else
            verify->sources[i].next = 0;
    return verify_begin_outlets(verify);
}

/* A partition that nobody ever owned has none, and no outputs. */
static enum pl_err report_no_journal(struct verify *verify)
{
    enum pl_err err = verify_rest(verify);
    return err ? err
               : pl_err_set(PL_FATAL_CONFIG, "the bundle has no journal of partition %" PRId32,
                            verify->partition);
}

enum pl_err verify_partition(struct verify *verify, int32_t partition,
                             struct verify_report *report)
{
    const struct bundle_stream *stream = bundle_find(verify->bundle, PL_TOPIC_JOURNAL, partition);
    uint64_t record_count = verify->record_count, bytes = verify->bytes;
    *report = (struct verify_report){ .partition = partition };
    enum pl_err err = begin_partition(verify, partition);
    if (!err && !stream)
        err = report_no_journal(verify);
    if (!err)
        err = verify_chain(verify, stream, report);
    if (!err)
        err = check_entries(verify, stream);
    if (!err)
        err = verify_unaccounted(verify, &report->unaccounted_count);
    report->record_count = verify->record_count - record_count;
    report->bytes = verify->bytes - bytes;
    return err;
}

/* ---- opening -------------------------------------------------------------------------------- */

enum pl_err verify_open(struct verify **verify, const struct bundle *bundle,
                        const struct verify_options *options)
{
    struct verify *self = *verify = calloc(1, sizeof(*self));
    if (!self)
        return no_memory();
    self->bundle = bundle;
    self->options = options;
    self->wire_block = malloc(WIRE_BYTES);
    self->names = malloc(sizeof(*self->names));
    if (!self->wire_block || !self->names)
        return no_memory();
    pl_wire_init(&self->wire, self->wire_block, WIRE_BYTES);
    for (unsigned i = VERIFY_OWN_SOURCES; i < VERIFY_SOURCES; i++)
        verify_begin_source(self, i, 0);
    enum pl_err err = pl_inputs_digest_begin(&self->digest);
    return err ? err : verify_open_outlets(self);
}

void verify_close(struct verify **verify)
{
    struct verify *self = *verify;
    if (!self)
        return;
    for (unsigned i = 0; i < VERIFY_SOURCES; i++)
        free(self->sources[i].inputs);
    pl_inputs_digest_end(&self->digest);
    free(self->outlets);
    free(self->letters);
    free(self->accounts);
    free(self->table);
    free(self->names);
    free(self->wire_block);
    free(self);
    *verify = NULL;
}

const struct verify_finding *verify_finding(const struct verify *verify)
{
    return &verify->finding;
}

void verify_on_progress(struct verify *verify, verify_progress *progress, void *context)
{
    verify->progress = progress;
    verify->progress_context = context;
}
