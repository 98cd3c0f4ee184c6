/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll verify: runs the engine (verify.h) over a bundle, from a directory or copied from a live
 * cluster first, and says what it found, to people or to programs. A damaged bundle is a finding
 * like any other: whatever is wrong with the records in it, exit status 1 says that something is.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/export.h"
#include "services/cli/verify.h"

enum { HEADS_MAX = 1024, MANIFEST_BYTES_MAX = 16 << 20 };

static const char USAGE[] =
    "usage: plimsoll verify [--bundle DIRECTORY | KAFKA OPTIONS] [OPTIONS]\n"
    "  Checks that journal, inputs and outputs are what the liquidation service saw and wrote:\n"
    "  hash chain, sequence, signatures and the digest of every record. Names the first bad one.\n"
    "  --bundle DIRECTORY    an exported bundle; without it the live topics are copied first\n"
    "  --partition NUMBER    this one only; otherwise all\n"
    "  --key PUBLIC.pem      checks signatures; the newest entry must have one, and manifest.sig\n"
    "                        of a bundle is checked where there is one. May come again, as while\n"
    "                        keys change: any of them is good\n"
    "  --head PARTITION:SEQUENCE:HASH\n"
    "                        the log must hold this entry, which somebody noted; may come again\n"
    "  --json                result as JSON\n"
    PROGRESS_USAGE CLI_KAFKA_USAGE
    "  Exit status: 0 nothing is wrong, 1 something is, 2 usage, 3 environment.\n";

struct command {
    struct cli_kafka kafka;
    const char *directory; /* NULL: live */
    int32_t partition;     /* -1: all */
    bool is_json;
    enum progress_style style;
    const char *key_paths[VERIFY_KEYS_MAX];
    struct pl_key *keys[VERIFY_KEYS_MAX];
    struct verify_head heads[HEADS_MAX];
    struct verify_options options;

    bool manifest_is_signed;
    struct bundle *bundle;
    struct verify *verify;
    struct progress progress;
    int64_t began_ms;
    uint64_t bytes, record_count;
    unsigned report_count;
    struct verify_report reports[PL_PARTITIONS_MAX];
};

/* ---- options -------------------------------------------------------------------------------- */

static bool read_number(const char **text, char end, uint64_t max, uint64_t *number)
{
    char *after = NULL;
    if (**text < '0' || **text > '9')
        return false;
    *number = strtoull(*text, &after, 10);
    bool is_read = *after == end && *number <= max;
    *text = after + (end != '\0');
    return is_read;
}

static int digit_of(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = letter ? strchr(digits, letter) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool read_head(struct command *command, const char *text)
{
    uint64_t partition = 0;
    if (command->options.head_count == HEADS_MAX)
        return false;
    struct verify_head *head = &command->heads[command->options.head_count];
    if (!read_number(&text, ':', PL_PARTITIONS_MAX - 1, &partition) ||
        !read_number(&text, ':', UINT64_MAX, &head->sequence) ||
        strlen(text) != 2 * PL_HASH_BYTES)
        return false;
    head->partition = (int32_t)partition;
    for (unsigned i = 0; i < PL_HASH_BYTES; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        head->hash[i] = (uint8_t)(16 * high + low);
    }
    command->options.head_count++;
    return true;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    uint64_t number = 0;
    if (option == 'b')
        command->directory = argument;
    else if (option == 'j')
        command->is_json = true;
    else if (option == 'H')
        return read_head(command, argument);
    else if (option == 'g')
        return progress_parse(argument, &command->style);
    else if (option == 'y' && command->options.key_count < VERIFY_KEYS_MAX)
        command->key_paths[command->options.key_count++] = argument;
    else if (option == 'p' && read_number(&argument, '\0', PL_PARTITIONS_MAX - 1, &number))
        command->partition = (int32_t)number;
    else
        return cli_kafka_option(&command->kafka, option, argument);
    return true;
}

/* ---- the bundle ----------------------------------------------------------------------------- */

static enum pl_err open_keys(struct command *command)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < command->options.key_count; i++) {
        err = pl_key_open_public(&command->keys[i], command->key_paths[i]);
        command->options.keys[i] = command->keys[i];
    }
    return err;
}

/* Up to `capacity` bytes of a file of the bundle; *bytes is the caller's, NULL where there is
 * none. */
static enum pl_err read_file(const struct command *command, const char *name, size_t capacity,
                             struct pl_bytes_view *bytes)
{
    char path[PATH_MAX];
    *bytes = (struct pl_bytes_view){ NULL, 0 };
    snprintf(path, sizeof(path), "%s/%s", command->directory, name);
    FILE *file = fopen(path, "rb");
    if (!file && errno == ENOENT)
        return PL_OK;
    uint8_t *block = malloc(capacity);
    if (!file || !block) {
        enum pl_err err = pl_err_set(PL_FATAL_SYSTEM, "cannot read %s: %s", path, strerror(errno));
        if (file)
            fclose(file);
        free(block);
        return err;
    }
    *bytes = (struct pl_bytes_view){ block, fread(block, 1, capacity, file) };
    fclose(file);
    return PL_OK;
}

/* A bundle whose manifest is signed cannot be changed as a whole: the manifest has every file's
 * hash. */
static enum pl_err check_manifest(struct command *command)
{
    struct pl_bytes_view manifest = { NULL, 0 }, signature = { NULL, 0 };
    if (command->options.key_count == 0)
        return PL_OK;
    enum pl_err err = read_file(command, "manifest.sig", PL_SIGNATURE_BYTES + 1, &signature);
    if (!err && signature.data)
        err = read_file(command, "manifest.json", MANIFEST_BYTES_MAX, &manifest);
    for (unsigned i = 0; i < command->options.key_count; i++)
        command->manifest_is_signed |= pl_key_verifies(command->keys[i], manifest, signature);
    if (!err && signature.data && !command->manifest_is_signed)
        err = pl_err_set(PL_REJECT_CONFLICT, "manifest.sig is no signature of manifest.json by the "
                         "given key");
    free((void *)(uintptr_t)signature.data);
    free((void *)(uintptr_t)manifest.data);
    return err;
}

static enum pl_err open_bundle(struct command *command)
{
    const struct export_request request = { .kafka = &command->kafka,
                                            .partition = command->partition,
                                            .progress = command->style };
    enum pl_err err = cli_open_bundle(&command->bundle, command->directory, &request);
    return err || !command->directory ? err : check_manifest(command);
}

/* ---- results -------------------------------------------------------------------------------- */

static void hash_text(const uint8_t hash[PL_HASH_BYTES], char text[2 * PL_HASH_BYTES + 1])
{
    for (unsigned i = 0; i < PL_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

static const char *signature_text(const struct command *command,
                                  const struct verify_report *report)
{
    if (!report->head_is_signed)
        return "unsigned";
    return command->options.key_count == 0 ? "signed, not checked without --key" : "signed, valid";
}

static void print_report(const struct command *command, const struct verify_report *report)
{
    char hash[2 * PL_HASH_BYTES + 1], first[WHEN_TIME_BYTES], last[WHEN_TIME_BYTES];
    hash_text(report->head_hash, hash);
    printf("partition %" PRId32 ": %" PRIu64 " entries, %" PRIu64 " to %" PRIu64 ", %s to %s\n",
           report->partition, report->entry_count, report->first_sequence, report->last_sequence,
           when_print_time(report->first_clock_ms, first),
           when_print_time(report->last_clock_ms, last));
    printf("  head %" PRId32 ":%" PRIu64 ":%s  %s\n", report->partition, report->last_sequence,
           hash, signature_text(command, report));
    printf("  %" PRIu64 " records, %" PRIu64 " bytes", report->record_count, report->bytes);
    if (report->has_base)
        printf("; entry %" PRIu64 " is where the log begins, with a checkpoint",
               report->first_sequence);
    if (report->unaccounted_count > 0)
        printf("; %" PRIu64 " inputs after the newest entry are not covered yet",
               report->unaccounted_count);
    putchar('\n');
}

static json_t *report_json(const struct verify_report *report)
{
    char hash[2 * PL_HASH_BYTES + 1], first[WHEN_TIME_BYTES], last[WHEN_TIME_BYTES];
    hash_text(report->head_hash, hash);
    return json_pack("{s:i,s:I,s:I,s:I,s:s,s:s,s:s,s:b,s:I,s:b,s:I,s:I,s:I}", "partition",
                     (int)report->partition, "entries", (json_int_t)report->entry_count,
                     "first_sequence", (json_int_t)report->first_sequence, "last_sequence",
                     (json_int_t)report->last_sequence, "first_time",
                     when_print_time(report->first_clock_ms, first), "last_time",
                     when_print_time(report->last_clock_ms, last), "head_hash", hash,
                     "head_is_signed", report->head_is_signed, "signed",
                     (json_int_t)report->signed_count,
                     "begins_with_checkpoint", report->has_base, "records",
                     (json_int_t)report->record_count, "bytes", (json_int_t)report->bytes,
                     "unaccounted", (json_int_t)report->unaccounted_count);
}

static void print_finding(const struct verify_finding *finding)
{
    printf("FINDING: %s: %s\n", finding->what, finding->text);
    if (finding->journal_offset >= 0)
        printf("  at journal partition %" PRId32 " offset %" PRId64 ", entry %" PRIu64 "\n",
               finding->partition, finding->journal_offset, finding->sequence);
    for (unsigned i = 0; i < finding->suspect_count; i++) {
        const struct verify_range *range = &finding->suspects[i];
        printf("  %s %s partition %" PRId32 " offset %" PRId64, i == 0 ? "in" : "or",
               pl_topic_word(range->topic), range->partition, range->first);
        if (range->last == INT64_MAX)
            printf(" and on");
        else if (range->last != range->first)
            printf(" to %" PRId64, range->last);
        putchar('\n');
    }
    if (finding->expected[0])
        printf("  expected %s\n  found    %s\n", finding->expected, finding->found);
}

static json_t *finding_json(const struct verify_finding *finding)
{
    json_t *suspects = json_array();
    for (unsigned i = 0; i < finding->suspect_count; i++) {
        const struct verify_range *range = &finding->suspects[i];
        json_array_append_new(suspects,
                              json_pack("{s:s,s:i,s:I,s:I}", "topic", pl_topic_word(range->topic),
                                        "partition", (int)range->partition, "first_offset",
                                        (json_int_t)range->first, "last_offset",
                                        (json_int_t)range->last));
    }
    return json_pack("{s:s,s:s,s:i,s:I,s:I,s:o,s:s,s:s}", "what", finding->what, "text",
                     finding->text, "partition", (int)finding->partition, "sequence",
                     (json_int_t)finding->sequence, "journal_offset",
                     (json_int_t)finding->journal_offset, "suspects", suspects, "expected",
                     finding->expected, "found", finding->found);
}

static void print_json(const struct command *command, const struct verify_finding *finding,
                       double rate)
{
    json_t *partitions = json_array();
    for (unsigned i = 0; i < command->report_count; i++)
        json_array_append_new(partitions, report_json(&command->reports[i]));
    json_t *result = json_pack("{s:b,s:b,s:o,s:I,s:I,s:f}", "verified", finding == NULL,
                               "manifest_is_signed", command->manifest_is_signed, "partitions",
                               partitions, "records", (json_int_t)command->record_count, "bytes",
                               (json_int_t)command->bytes, "mb_per_s", rate);
    if (finding)
        json_object_set_new(result, "finding", finding_json(finding));
    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    putchar('\n');
    json_decref(result);
}

/* `finding` is NULL where nothing is wrong. */
static void print_result(const struct command *command, const struct verify_finding *finding)
{
    int64_t elapsed_ms = pl_mono_ms() - command->began_ms;
    double rate = (double)command->bytes / 1e3 / (double)(elapsed_ms > 0 ? elapsed_ms : 1);
    if (command->is_json) {
        print_json(command, finding, rate);
        return;
    }
    for (unsigned i = 0; i < command->report_count; i++)
        print_report(command, &command->reports[i]);
    if (finding)
        print_finding(finding);
    else
        printf("verified: %" PRIu64 " records, %" PRIu64 " bytes, %.0f MB/s%s\n",
               command->record_count, command->bytes, rate,
               command->manifest_is_signed ? "; the manifest is signed" : "");
}

/* ---- the command ---------------------------------------------------------------------------- */

/* A partition without records of ours was never owned: with --partition somebody expects some. */
static bool is_empty(const struct command *command, int32_t partition)
{
    static const enum pl_topic written[] = { PL_TOPIC_JOURNAL, PL_TOPIC_ORDERS, PL_TOPIC_ALERTS,
                                             PL_TOPIC_ACCOUNTS };
    for (unsigned i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        const struct bundle_stream *stream = bundle_find(command->bundle, written[i], partition);
        if (stream && stream->record_count > 0)
            return false;
    }
    return command->partition < 0;
}

static void show_progress(void *context, uint64_t record_count)
{
    struct progress *progress = context;
    progress_at(progress, record_count, progress->total);
}

static enum pl_err verify_partitions(struct command *command)
{
    enum pl_err err = PL_OK;
    int32_t count = bundle_partition_count(command->bundle);
    uint64_t total = 0;
    for (unsigned i = 0; i < bundle_stream_count(command->bundle); i++)
        total += bundle_stream_at(command->bundle, i)->record_count;
    progress_begin(&command->progress, command->style, "verify", "records", total);
    verify_on_progress(command->verify, show_progress, &command->progress);
    for (int32_t i = 0; !err && i < count; i++) {
        struct verify_report *report = &command->reports[command->report_count];
        if ((command->partition >= 0 && command->partition != i) || is_empty(command, i))
            continue;
        err = verify_partition(command->verify, i, report);
        command->bytes += report->bytes;
        command->record_count += report->record_count;
        command->report_count += !err;
    }
    if (!err && command->partition >= count)
        err = pl_err_set(PL_FATAL_CONFIG, "the bundle has %" PRId32 " partitions", count);
    progress_end(&command->progress);
    return err;
}

/* Damage to the bundle as a whole: its checksums tell of it, in files. */
static enum pl_err report_damage(const char *text, struct verify_finding *finding)
{
    *finding = (struct verify_finding){ .what = "bundle", .journal_offset = -1, .partition = -1 };
    snprintf(finding->text, sizeof(finding->text), "%s", text);
    return PL_FATAL_DIVERGED;
}

/* The engine goes over a bundle whose files were changed too: it names the record. */
static enum pl_err run_engine(struct command *command, struct verify_finding *finding)
{
    char damage[PL_ERR_TEXT_BYTES_MAX] = "";
    enum pl_err checked = bundle_check_files(command->bundle);
    if (pl_err_action(checked) == PL_ACTION_REJECT)
        snprintf(damage, sizeof(damage), "%s", pl_err_text());
    else if (checked)
        return checked;
    enum pl_err err = verify_open(&command->verify, command->bundle, &command->options);
    if (!err)
        err = verify_partitions(command);
    if (err == PL_FATAL_DIVERGED)
        *finding = *verify_finding(command->verify);
    else if (checked)
        return report_damage(damage, finding);
    return err;
}

static enum pl_err run(struct command *command, struct verify_finding *finding)
{
    enum pl_err err = open_keys(command);
    if (!err)
        err = open_bundle(command);
    if (pl_err_action(err) == PL_ACTION_REJECT)
        return report_damage(pl_err_text(), finding);
    if (err)
        return err;
    command->began_ms = pl_mono_ms();
    return run_engine(command, finding);
}

int cli_verify(int argc, char **argv)
{
    static const struct option options[] = {
        CLI_KAFKA_OPTIONS, { "bundle", required_argument, NULL, 'b' },
        { "partition", required_argument, NULL, 'p' }, { "key", required_argument, NULL, 'y' },
        { "head", required_argument, NULL, 'H' }, { "json", no_argument, NULL, 'j' },
        { "progress", required_argument, NULL, 'g' }, { NULL, 0, NULL, 0 } };
    static struct command command = { .partition = -1 };
    struct verify_finding finding;
    cli_kafka_init(&command.kafka, "plimsoll-cli");
    command.options.heads = command.heads;
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1)
        if (!read_option(&command, option, optarg)) {
            fputs(USAGE, option == 'h' ? stdout : stderr);
            return option == 'h' ? CLI_OK : CLI_USAGE;
        }
    if (optind < argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    enum pl_err err = run(&command, &finding);
    int status = err ? CLI_FINDING : CLI_OK;
    if (!err || err == PL_FATAL_DIVERGED)
        print_result(&command, err ? &finding : NULL);
    else
        status = cli_fail(err, "verify");
    verify_close(&command.verify);
    bundle_close(&command.bundle);
    for (unsigned i = 0; i < VERIFY_KEYS_MAX; i++)
        pl_key_close(&command.keys[i]);
    return status;
}
