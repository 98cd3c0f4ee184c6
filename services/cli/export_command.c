/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll export DIR: an audit bundle to keep or to hand on. Prints what is in it and what to note
 * elsewhere: the heads of the journals, and the hash of the manifest, which has all other hashes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "lib/wire/signature.h"
#include "services/cli/export.h"

enum { PATH_BYTES = 4096, MANIFEST_BYTES_MAX = 16 << 20, HASH_TEXT_BYTES = 2 * PL_HASH_BYTES + 1 };

static const char USAGE[] =
    "usage: plimsoll export DIRECTORY [--from WHEN] [--to WHEN] [OPTIONS]\n"
    "  Copies journal, inputs and outputs of the liquidation service as they stand on the topics\n"
    "  into an audit bundle: DIRECTORY, which must be new or empty. verify, replay and explain\n"
    "  read it without Kafka. Nothing is written to Kafka.\n"
    "  --from WHEN           begins with the entry in force then; default: the log's beginning\n"
    "  --to WHEN             ends with the entry in force then; default: now\n"
    "  --partition NUMBER    this one only; otherwise all\n"
    "  --account ID          of the topics by account only its records: to look at, since digests\n"
    "                        no longer fit\n"
    "  --key PRIVATE.pem     signs the manifest (Ed25519) into manifest.sig\n"
    PROGRESS_USAGE CLI_KAFKA_USAGE WHEN_USAGE
    "  Exit status: 0 done, 2 usage, 3 environment.\n";

struct command {
    struct cli_kafka kafka;
    struct export_request request;
    const char *directory, *key_path;
    struct pl_key *key; /* NULL: not signed */
};

/* ---- options -------------------------------------------------------------------------------- */

static bool read_partition(const char *text, int32_t *partition)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    *partition = (int32_t)number;
    return *text >= '0' && *text <= '9' && *end == '\0' && number < PL_PARTITIONS_MAX;
}

static bool read_when(struct when *when, const char *name, const char *text)
{
    if (!when_parse(when, text, pl_now_ms()))
        return true;
    fprintf(stderr, "plimsoll export: %s: %s\n", name, pl_err_text());
    return false;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    if (option == 'f')
        return read_when(&command->request.from, "--from", argument);
    if (option == 't')
        return read_when(&command->request.to, "--to", argument);
    if (option == 'p')
        return read_partition(argument, &command->request.partition);
    if (option == 'g')
        return progress_parse(argument, &command->request.progress);
    if (option == 'a')
        command->request.account = argument;
    else if (option == 'y')
        command->key_path = argument;
    else
        return cli_kafka_option(&command->kafka, option, argument);
    return true;
}

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "from", required_argument, NULL, 'f' },
                                             { "to", required_argument, NULL, 't' },
                                             { "partition", required_argument, NULL, 'p' },
                                             { "account", required_argument, NULL, 'a' },
                                             { "key", required_argument, NULL, 'y' },
                                             { "progress", required_argument, NULL, 'g' },
                                             CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(USAGE, stdout);
            return CLI_OK;
        }
        if (!read_option(command, option, optarg)) {
            fputs(USAGE, stderr);
            return CLI_USAGE;
        }
    }
    if (optind + 1 != argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    command->directory = argv[optind];
    return -1;
}

/* ---- the manifest --------------------------------------------------------------------------- */

static enum pl_err file_error(const char *what, const char *path)
{
    return pl_err_set(PL_FATAL_SYSTEM, "cannot %s %s: %s", what, path, strerror(errno));
}

static enum pl_err read_manifest(const struct command *command, uint8_t *bytes, size_t *size_bytes)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/manifest.json", command->directory);
    FILE *file = fopen(path, "rb");
    if (!file)
        return file_error("read", path);
    *size_bytes = fread(bytes, 1, MANIFEST_BYTES_MAX, file);
    return fclose(file) == 0 ? PL_OK : file_error("read", path);
}

static enum pl_err sign_manifest(const struct command *command, struct pl_bytes_view manifest)
{
    char path[PATH_BYTES];
    uint8_t signature[PL_SIGNATURE_BYTES];
    enum pl_err err = pl_key_sign(command->key, manifest, signature);
    if (err)
        return err;
    snprintf(path, sizeof(path), "%s/manifest.sig", command->directory);
    FILE *file = fopen(path, "wb");
    bool is_written = file && fwrite(signature, 1, sizeof(signature), file) == sizeof(signature);
    if (file && fclose(file) != 0)
        is_written = false;
    return is_written ? PL_OK : file_error("write", path);
}

/* ---- the report ----------------------------------------------------------------------------- */

static const char *hash_text(struct pl_bytes_view bytes, char text[HASH_TEXT_BYTES])
{
    uint8_t hash[PL_HASH_BYTES];
    pl_wire_hash(bytes, hash);
    for (unsigned i = 0; i < PL_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

/* The last entry of a journal, in the form that verify --head takes. */
static enum pl_err print_head(struct pl_wire *wire, const struct bundle_stream *stream)
{
    struct bundle_cursor cursor = { .stream = stream };
    struct pl_record record, last = { .value = { NULL, 0 } };
    struct pl_journal entry;
    char hash[HASH_TEXT_BYTES], time[WHEN_TIME_BYTES];
    bool found = true;
    enum pl_err err = PL_OK;
    while (!err && found) {
        err = bundle_next(&cursor, &record, &found);
        if (!err && found)
            last = record;
    }
    if (err || !last.value.data)
        return err;
    err = pl_wire_journal_decode(wire, last.value, &entry);
    if (!err)
        printf("head %d:%llu:%s  %s\n", (int)stream->partition,
               (unsigned long long)entry.sequence, hash_text(last.value, hash),
               when_print_time(entry.clock_ms, time));
    return err;
}

static enum pl_err print_bundle(const struct bundle *bundle, struct pl_bytes_view manifest)
{
    char hash[HASH_TEXT_BYTES], name[40];
    unsigned long long records = 0, bytes = 0;
    struct pl_wire *wire = cli_wire();
    enum pl_err err = PL_OK;
    printf("%-18s %12s %14s %14s %14s\n", "stream", "records", "bytes", "complete from", "to");
    for (unsigned i = 0; i < bundle_stream_count(bundle); i++) {
        const struct bundle_stream *stream = bundle_stream_at(bundle, i);
        snprintf(name, sizeof(name), "%s-%d", pl_topic_word(stream->topic), (int)stream->partition);
        printf("%-18s %12llu %14zu %14lld %14lld\n", name, (unsigned long long)stream->record_count,
               stream->size_bytes, (long long)stream->complete_from, (long long)stream->end);
        records += stream->record_count;
        bytes += stream->size_bytes;
    }
    printf("%-18s %12llu %14llu\n", "all", records, bytes);
    for (int32_t i = 0; !err && i < bundle_partition_count(bundle); i++)
        err = print_head(wire, bundle_find(bundle, PL_TOPIC_JOURNAL, i));
    printf("manifest %s\n", hash_text(manifest, hash));
    return err;
}

/* ---- the command ---------------------------------------------------------------------------- */

static enum pl_err run(struct command *command)
{
    struct bundle *bundle = NULL;
    size_t size_bytes = 0;
    uint8_t *bytes = cli_memory(MANIFEST_BYTES_MAX);
    enum pl_err err = PL_OK;
    if (command->key_path) /* before the work, not after it */
        err = pl_key_open_private(&command->key, command->key_path);
    if (!err)
        err = export_bundle(&bundle, command->directory, &command->request);
    if (!err)
        err = read_manifest(command, bytes, &size_bytes);
    const struct pl_bytes_view manifest = { bytes, size_bytes };
    if (!err && command->key)
        err = sign_manifest(command, manifest);
    if (!err)
        err = print_bundle(bundle, manifest);
    bundle_close(&bundle);
    pl_key_close(&command->key);
    return err;
}

int cli_export(int argc, char **argv)
{
    static struct command command;
    command.request = (struct export_request){ .kafka = &command.kafka, .partition = -1 };
    cli_kafka_init(&command.kafka, "plimsoll-cli");
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = run(&command);
    return err ? cli_fail(err, "export") : CLI_OK;
}
