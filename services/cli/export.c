/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From Kafka into a bundle (export.h). The journal is read first: its entries say how far each
 * input was read, and that decides what else is copied. Nothing is written to Kafka, no group is
 * joined.
 */
#include "services/cli/export.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "lib/service/process.h"
#include "services/cli/export_parts.h"

enum { PATH_BYTES = 4096, COPIES_MAX = 7 * PL_PARTITIONS_MAX, BROADCASTS = 4 };

/* By now, and the clock is not the broker's: outputs of an entry stand within this around its
 * clock. */
static const int64_t SKEW_MS = 3600 * 1000;

bool export_is_within(const struct when *when, const struct pl_journal *entry, int64_t offset)
{
    switch (when->kind) {
    case WHEN_TIME:
        return entry->clock_ms <= when->value;
    case WHEN_OFFSET:
        return offset <= when->value;
    case WHEN_SEQUENCE:
        return entry->sequence <= (uint64_t)when->value;
    case WHEN_OPEN:
        break;
    }
    return true;
}

bool export_is_asked_for(const struct export *export, const struct pl_record *record)
{
    bool is_everyones = record->topic != PL_TOPIC_HOLDINGS &&
                        record->topic != PL_TOPIC_EXECUTIONS &&
                        record->topic != PL_TOPIC_ORDERS && record->topic != PL_TOPIC_ALERTS &&
                        record->topic != PL_TOPIC_ACCOUNTS;
    if (!export->account.data || is_everyones)
        return true;
    if (record->topic == PL_TOPIC_HOLDINGS && pl_wire_is_watermark(record->key))
        return true;
    /* Routers key their reports by account, whichever bucket they are for. */
    struct pl_bytes_view wanted = record->topic == PL_TOPIC_EXECUTIONS
                                      ? pl_account_part(export->account)
                                      : export->account;
    return record->key.data && record->key.size_bytes == wanted.size_bytes &&
           memcmp(record->key.data, wanted.data, record->key.size_bytes) == 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum pl_err check_request(const struct export *export)
{
    const struct export_request *request = export->request;
    bool is_place = request->from.kind == WHEN_OFFSET || request->from.kind == WHEN_SEQUENCE ||
                    request->to.kind == WHEN_OFFSET || request->to.kind == WHEN_SEQUENCE;
    if (request->partition >= export->partition_count)
        return pl_err_set(PL_FATAL_CONFIG, "--partition %d: the topics have %d, numbered from 0",
                          (int)request->partition, (int)export->partition_count);
    if (is_place && request->partition < 0 && !request->account && export->partition_count > 1)
        return pl_err_set(PL_FATAL_CONFIG, "an offset or a sequence is one of a partition's "
                          "journal: say --partition too, or a time");
    if (request->from.kind != WHEN_OPEN && request->from.kind == request->to.kind &&
        request->from.value > request->to.value)
        return pl_err_set(PL_FATAL_CONFIG, "--from is after --to");
    return PL_OK;
}

static enum pl_err pick_partitions(struct export *export)
{
    const struct export_request *request = export->request;
    int32_t only = request->partition;
    struct pl_id account;
    if (request->account) {
        enum pl_err err = pl_id_set(&account, request->account, strlen(request->account));
        if (err)
            return pl_err_note(PL_FATAL_CONFIG, "account");
        export->account = (struct pl_bytes_view){ (const uint8_t *)request->account,
                                                  account.size_bytes };
        only = pl_account_partition(&account, export->partition_count);
    }
    for (int32_t i = 0; i < export->partition_count; i++)
        export->spans[i].is_wanted = only < 0 || only == i;
    return PL_OK;
}

/* Counts partitions, and makes the topics known to the handle that reads them: librdkafka looks
 * up what it has only been told to read once a second. */
static enum pl_err count_partitions(struct export *export)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < PL_TOPIC_COUNT; i++) {
        enum pl_topic topic = (enum pl_topic)i;
        int32_t count = 0;
        if (topic == PL_TOPIC_PRICES || topic == PL_TOPIC_POSITIONS)
            continue; /* not read by the liquidation service */
        err = pl_reader_partition_count(export->reader, topic, EXPORT_WAIT_MS, &count);
        if (topic == PL_TOPIC_JOURNAL)
            export->partition_count = count;
        else if (topic == PL_TOPIC_DEADLETTER)
            export->letter_partition_count = count;
    }
    return err;
}

static enum pl_err open_kafka(struct export *export)
{
    const struct pl_kafka_settings *settings = &export->request->kafka->settings;
    enum pl_err err = pl_reader_open(&export->reader, settings, false);
    if (!err)
        err = pl_reader_open(&export->probe, settings, true);
    return err ? err : count_partitions(export);
}

static enum pl_err export_open(struct export *export, const struct export_request *request)
{
    *export = (struct export){ .request = request };
    enum pl_err err = open_kafka(export);
    if (err)
        return err;
    err = check_request(export);
    if (err)
        return err;
    export->wire = cli_wire();
    export->names = cli_memory(sizeof(*export->names));
    pl_names_init(export->names);
    export->spans = calloc((size_t)export->partition_count, sizeof(*export->spans));
    export->copies = calloc(COPIES_MAX, sizeof(*export->copies));
    if (!export->spans || !export->copies)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for an export");
    return pick_partitions(export);
}

static void export_close(struct export *export)
{
    pl_reader_close(&export->reader);
    pl_reader_close(&export->probe);
    bundle_close(&export->spool);
    bundle_discard(&export->spool_writer);
    bundle_discard(&export->writer);
    free(export->spans);
    free(export->copies);
}

/* ---- asking the broker ---------------------------------------------------------------------- */

/* First offset of the log and the end of all that was written, in open transactions too. */
static enum pl_err ask_ends(struct export *export, enum pl_topic topic, int32_t partition,
                            int64_t *first, int64_t *end)
{
    return pl_reader_watermarks(export->probe, topic, partition, EXPORT_WAIT_MS, first, end);
}

/* The first offset at or after a time, never below the log's first. */
static enum pl_err ask_offset(struct export *export, enum pl_topic topic, int32_t partition,
                              int64_t time_ms, int64_t *offset)
{
    int64_t first = 0, end = 0, found = 0;
    enum pl_err err = ask_ends(export, topic, partition, &first, &end);
    if (!err && time_ms > 0)
        err = pl_reader_offset_at(export->probe, topic, partition, time_ms, EXPORT_WAIT_MS, &found);
    *offset = found > first ? found : first;
    return err;
}

static enum pl_err check_reach(enum pl_topic topic, int32_t partition, int64_t needed,
                               int64_t first)
{
    if (needed >= first)
        return PL_OK;
    return pl_err_set(PL_FATAL_OFFSETS, "%s partition %d begins at offset %lld, and the range "
                      "needs it from %lld: retention has deleted that; say a later --from",
                      pl_topic_word(topic), (int)partition, (long long)first, (long long)needed);
}

/* ---- the journal ---------------------------------------------------------------------------- */

/* Where to begin so that the entry in force at `from` and the one before it are read: a guess
 * that is checked. 0: near, 1: further back, 2: from the log's beginning. */
enum { ATTEMPTS = 3 };

static enum pl_err guess_start(struct export *export, int32_t partition, unsigned attempt,
                               int64_t first, int64_t *start)
{
    static const int64_t spans_ms[] = { 60 * 1000, 3600 * 1000 };
    static const int64_t spans_offsets[] = { 256, 65536 };
    const struct when *from = &export->request->from;
    enum pl_err err = PL_OK;
    *start = first;
    if (from->kind == WHEN_OPEN || attempt == ATTEMPTS - 1)
        return PL_OK;
    if (from->kind == WHEN_TIME)
        err = ask_offset(export, PL_TOPIC_JOURNAL, partition, from->value - spans_ms[attempt],
                         start);
    else if (from->kind == WHEN_OFFSET)
        *start = from->value - spans_offsets[attempt];
    else /* an entry takes two offsets, itself and its transaction's marker */
        *start = 2 * (from->value - 1) - spans_offsets[attempt];
    if (*start < first)
        *start = first;
    return err;
}

static enum pl_err add_journal(struct export *export, int32_t partition, unsigned attempt)
{
    struct span *span = &export->spans[partition];
    int64_t end = 0;
    /* What is open is not asked for: the end of what is committed. */
    enum pl_err err = pl_reader_watermarks(export->reader, PL_TOPIC_JOURNAL, partition,
                                           EXPORT_WAIT_MS, &span->journal_first, &end);
    if (!err)
        err = guess_start(export, partition, attempt, span->journal_first, &span->journal_from);
    if (err)
        return err;
    if (span->journal_from > end)
        span->journal_from = end;
    copies_add(export, &(struct copy){ .kind = COPY_JOURNAL, .topic = PL_TOPIC_JOURNAL,
                                       .partition = partition, .at = span->journal_from,
                                       .end = end });
    return PL_OK;
}

/* ---- spool ---------------------------------------------------------------------------------- */

/* Removes the files of a bundle, and the directory itself if it is not to stay. */
static void remove_files(const char *directory, bool with_directory)
{
    DIR *listing = opendir(directory);
    if (!listing)
        return;
    const struct dirent *entry;
    while ((entry = readdir(listing))) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending && (strcmp(ending, ".records") == 0 || strcmp(ending, ".json") == 0))
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    (void)closedir(listing);
    if (with_directory)
        (void)rmdir(directory);
}

static const char *spool_path(const char *directory)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/spool", directory);
    return path;
}

/* Runs the copies with a spool, which is gone from the disk once it is closed. */
static enum pl_err run_spooled(struct export *export, const char *directory, const char *what)
{
    const char *path = spool_path(directory);
    bundle_close(&export->spool);
    enum pl_err err = bundle_create(&export->spool_writer, path, export->partition_count);
    if (!err)
        err = copies_run(export, what);
    if (!err)
        err = bundle_finish(&export->spool_writer, &export->spool);
    bundle_discard(&export->spool_writer);
    remove_files(path, true);
    return err;
}

static enum pl_err read_journals(struct export *export, const char *directory, unsigned attempt,
                                 bool *is_short)
{
    enum pl_err err = PL_OK;
    *is_short = false;
    for (int32_t i = 0; !err && i < export->partition_count; i++)
        if (export->spans[i].is_wanted && !export->spans[i].has_entries)
            err = add_journal(export, i, attempt);
    if (!err)
        err = run_spooled(export, directory, "journal");
    for (unsigned i = 0; !err && i < export->copy_count; i++) {
        bool is_one_short = false;
        err = choose_journal(export, export->copies[i].partition, &is_one_short);
        *is_short = *is_short || is_one_short;
    }
    copies_forget(export);
    return err;
}

static enum pl_err find_entries(struct export *export, const char *directory)
{
    bool is_short = true, has_entries = false;
    char text[WHEN_TIME_BYTES];
    for (unsigned attempt = 0; is_short && attempt < ATTEMPTS; attempt++) {
        enum pl_err err = read_journals(export, directory, attempt, &is_short);
        if (err)
            return err;
    }
    for (int32_t i = 0; i < export->partition_count; i++)
        has_entries = has_entries || export->spans[i].has_entries;
    if (!has_entries && export->request->to.kind == WHEN_OPEN)
        return pl_err_set(PL_REJECT_UNKNOWN, "the journal is empty: the liquidation service never "
                          "ran on these topics");
    if (!has_entries)
        return pl_err_set(PL_REJECT_UNKNOWN, "the journal has no entry at or before %s",
                          when_print(&export->request->to, text));
    return PL_OK;
}

/* ---- inputs --------------------------------------------------------------------------------- */

static int64_t offset_of(const struct pl_journal *entry, enum pl_topic topic, bool is_first)
{
    const struct pl_coordinate *coordinate = journal_coordinate(entry, topic);
    return !coordinate ? 0 : is_first ? coordinate->first_offset : coordinate->offset;
}

/* From where on the entries after the base read a topic, and up to where. */
static int64_t needed_from(const struct span *span, enum pl_topic topic)
{
    return offset_of(&span->first, topic, !span->has_base);
}

static int64_t needed_to(const struct span *span, enum pl_topic topic)
{
    return offset_of(&span->last, topic, false);
}

/* Marks count from where a worker began to read them. Verifying does without those before the
 * base. */
static int64_t marks_from(const struct export *export, int64_t first, int64_t needed)
{
    int64_t from = INT64_MAX;
    for (int32_t i = 0; i < export->partition_count; i++)
        if (export->spans[i].has_entries && export->spans[i].marks_first_offset < from)
            from = export->spans[i].marks_first_offset;
    if (from >= first || needed < first)
        return from < needed ? from : needed;
    fprintf(stderr, "plimsoll: marks begin at offset %lld, and the worker that wrote the journal "
            "read them from %lld: retention has deleted that. The bundle can be verified, but not "
            "replayed; say a --from after the worker's next start, and restart workers more often "
            "than marks are deleted\n", (long long)first, (long long)from);
    return first;
}

static enum pl_err add_broadcast(struct export *export, enum pl_topic topic)
{
    int64_t first = 0, log_end = 0, from = INT64_MAX, end = 0;
    enum pl_err err = ask_ends(export, topic, 0, &first, &log_end);
    for (int32_t i = 0; !err && i < export->partition_count; i++) {
        const struct span *span = &export->spans[i];
        if (!span->has_entries)
            continue;
        from = needed_from(span, topic) < from ? needed_from(span, topic) : from;
        end = needed_to(span, topic) > end ? needed_to(span, topic) : end;
    }
    if (!err && topic == PL_TOPIC_MARKS)
        from = marks_from(export, first, from);
    if (!err && from < end)
        err = check_reach(topic, 0, from, first);
    if (err)
        return err;
    int64_t at = topic == PL_TOPIC_MARKS ? from : first;
    copies_add(export, &(struct copy){ .kind = COPY_INPUT, .topic = topic,
                                       .complete_from = from < end ? from : end,
                                       .at = at < end ? at : end, .end = end });
    return PL_OK;
}

/* Holdings from the log's first offset, since any may be an account's newest. */
static enum pl_err add_input(struct export *export, enum pl_topic topic, int32_t partition)
{
    const struct span *span = &export->spans[partition];
    int64_t first = 0, log_end = 0, from = needed_from(span, topic), end = needed_to(span, topic);
    enum pl_err err = ask_ends(export, topic, partition, &first, &log_end);
    if (!err && from < end)
        err = check_reach(topic, partition, from, first);
    if (err)
        return err;
    bool is_holdings = topic == PL_TOPIC_HOLDINGS;
    int64_t at = is_holdings && first < end ? first : from;
    copies_add(export, &(struct copy){ .kind = is_holdings ? COPY_SPOOL : COPY_INPUT,
                                       .topic = topic, .partition = partition,
                                       .complete_from = from, .at = at, .end = end });
    return PL_OK;
}

/* ---- outputs -------------------------------------------------------------------------------- */

/* Outputs of the first entry after the base stand at about its time; states from the log's first
 * offset, as holdings; of one account all there is. */
static enum pl_err add_output(struct export *export, enum pl_topic topic, int32_t partition)
{
    const struct span *span = &export->spans[partition];
    bool is_states = topic == PL_TOPIC_ACCOUNTS;
    bool is_all = is_states || export->account.data;
    int64_t first = 0, at = 0, end = 0, from_ms = is_all ? 0 : span->first.clock_ms - SKEW_MS;
    enum pl_err err = ask_ends(export, topic, partition, &first, &end);
    if (!err)
        err = ask_offset(export, topic, partition, from_ms, &at);
    if (!err)
        copies_add(export, &(struct copy){ .kind = is_states ? COPY_STATES : COPY_OUTPUT,
                                           .topic = topic, .partition = partition,
                                           .complete_from = -1, .at = at, .end = end });
    return err;
}

/* Dead letters of a partition's journal may lie in any partition of their topic. */
static enum pl_err add_letters(struct export *export, int32_t partition)
{
    int64_t first = 0, at = 0, end = 0, clock_ms = INT64_MAX;
    for (int32_t i = 0; i < export->partition_count; i++)
        if (export->spans[i].has_entries && export->spans[i].first.clock_ms < clock_ms)
            clock_ms = export->spans[i].first.clock_ms;
    enum pl_err err = ask_ends(export, PL_TOPIC_DEADLETTER, partition, &first, &end);
    if (!err)
        err = ask_offset(export, PL_TOPIC_DEADLETTER, partition, clock_ms - SKEW_MS, &at);
    if (!err)
        copies_add(export, &(struct copy){ .kind = COPY_LETTERS, .topic = PL_TOPIC_DEADLETTER,
                                           .partition = partition, .complete_from = at, .at = at,
                                           .end = end });
    return err;
}

static enum pl_err add_partition(struct export *export, int32_t partition)
{
    enum pl_err err = add_input(export, PL_TOPIC_HOLDINGS, partition);
    if (!err)
        err = add_input(export, PL_TOPIC_EXECUTIONS, partition);
    if (!err)
        err = add_output(export, PL_TOPIC_ACCOUNTS, partition);
    if (!err)
        err = add_output(export, PL_TOPIC_ORDERS, partition);
    return err ? err : add_output(export, PL_TOPIC_ALERTS, partition);
}

static enum pl_err add_records(struct export *export)
{
    static const enum pl_topic topics[BROADCASTS] = { PL_TOPIC_CONTROL, PL_TOPIC_PARAMETERS,
                                                      PL_TOPIC_CHAINS, PL_TOPIC_MARKS };
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < BROADCASTS; i++)
        err = add_broadcast(export, topics[i]);
    for (int32_t i = 0; !err && i < export->partition_count; i++)
        if (export->spans[i].has_entries)
            err = add_partition(export, i);
    for (int32_t i = 0; !err && i < export->letter_partition_count; i++)
        err = add_letters(export, i);
    return err;
}

/* Retention may have taken the first of a range's outputs; what is missing for another reason,
 * verify names. */
static enum pl_err check_outputs(struct export *export, const struct copy *copy)
{
    const struct span *span = &export->spans[copy->partition];
    int64_t first = 0, end = 0;
    if (copy->kind != COPY_OUTPUT || copy->has_earlier || span->outputs_seen >= span->output_count)
        return PL_OK;
    enum pl_err err = ask_ends(export, copy->topic, copy->partition, &first, &end);
    if (!err && first > 0)
        err = pl_err_set(PL_FATAL_OFFSETS, "%s partition %d begins at offset %lld, after the first "
                         "outputs of the range: retention has deleted them; say a later --from",
                         pl_topic_word(copy->topic), (int)copy->partition, (long long)first);
    return err;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum pl_err copy_all(struct export *export, const char *directory)
{
    enum pl_err err = find_entries(export, directory);
    if (!err)
        err = add_records(export);
    if (!err)
        err = run_spooled(export, directory, "records");
    for (unsigned i = 0; !err && i < export->copy_count; i++) {
        const struct copy *copy = &export->copies[i];
        err = check_outputs(export, copy);
        if (!err && (copy->kind == COPY_SPOOL || copy->kind == COPY_STATES))
            err = choose_newest(export, copy);
    }
    return err;
}

/* An interrupted export leaves nothing behind either. */
static void catch_signals(struct sigaction before[2])
{
    struct sigaction action = { .sa_handler = copies_interrupt };
    (void)sigaction(SIGINT, &action, &before[0]);
    (void)sigaction(SIGTERM, &action, &before[1]);
}

static void release_signals(const struct sigaction before[2])
{
    (void)sigaction(SIGINT, &before[0], NULL);
    (void)sigaction(SIGTERM, &before[1], NULL);
}

enum pl_err export_bundle(struct bundle **bundle, const char *directory,
                          const struct export_request *request)
{
    static struct export export;
    struct sigaction before[2];
    *bundle = NULL;
    catch_signals(before);
    enum pl_err err = export_open(&export, request);
    if (!err)
        err = bundle_create(&export.writer, directory, export.partition_count);
    bool has_written = export.writer != NULL;
    if (!err)
        err = copy_all(&export, directory);
    if (!err)
        err = bundle_finish(&export.writer, bundle);
    export_close(&export);
    if (err && has_written)
        remove_files(directory, false);
    release_signals(before);
    return err;
}

enum pl_err cli_open_bundle(struct bundle **bundle, const char *directory,
                            const struct export_request *request)
{
    const char *parent = getenv("TMPDIR");
    char path[PATH_BYTES];
    *bundle = NULL;
    if (directory)
        return bundle_open(bundle, directory);
    snprintf(path, sizeof(path), "%s/plimsoll-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(path))
        return pl_err_set(PL_FATAL_SYSTEM, "cannot make directory %s: %s; set TMPDIR", path,
                          strerror(errno));
    enum pl_err err = export_bundle(bundle, path, request);
    remove_files(path, true); /* what is mapped stays readable */
    return err;
}
