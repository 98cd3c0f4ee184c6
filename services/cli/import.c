/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll parameters import PROTOCOL FILE: a whole, checked parameter set from a protocol's own
 * risk parameters (import.h). The set goes to standard output or a file, what was left out or
 * changed on the way to standard error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import_template.h"
#include "services/cli/cli.h"
#include "services/cli/import.h"

enum { NAMES_SHOWN = 8 };
static const size_t FILE_BYTES_MAX = (size_t)64 << 20;

static const char USAGE[] =
    "usage: plimsoll parameters import PROTOCOL FILE [OPTIONS]\n"
    "  PROTOCOL is one of " IMPORT_PROTOCOLS ".\n"
    "  Writes a parameter set that check and put take. What of FILE has no counterpart in it, and\n"
    "  what had to be bounded, is said on standard error.\n"
    "  --chain C          whose reserves or markets, where FILE has several chains\n"
    "  --market M         which market, where the chain has several (compound-v3)\n"
    "  --epoch N          of the set (default 1)\n"
    "  --template FILE    what PROTOCOL does not say: sources, policies, price rules, decimals;\n"
    "                     default deploy/demo/import.json, built in; see deploy/README.md\n"
    "  --out FILE         instead of standard output\n"
    "  Exit status: 0 done, 2 usage or a file that makes no valid set, 3 environment.\n";

/* ---- files ---------------------------------------------------------------------------------- */

static enum pl_err unreadable(const char *path)
{
    return pl_err_set(PL_FATAL_CONFIG, "%s: %s", path, strerror(errno));
}

static enum pl_err read_text(const char *path, char **text, size_t *size_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return unreadable(path);
    *text = malloc(FILE_BYTES_MAX);
    *size_bytes = *text ? fread(*text, 1, FILE_BYTES_MAX, file) : 0;
    enum pl_err err = !*text ? pl_err_set(PL_FATAL_SYSTEM, "no memory")
                      : ferror(file) ? unreadable(path)
                      : *size_bytes == FILE_BYTES_MAX
                          ? pl_err_set(PL_REJECT_SIZE, "%s: %zu bytes or more", path,
                                       FILE_BYTES_MAX)
                          : PL_OK;
    fclose(file);
    return err;
}

static enum pl_err load_document(const char *path, json_t **document)
{
    char *text = NULL;
    size_t size_bytes = 0;
    enum pl_err err = read_text(path, &text, &size_bytes);
    if (!err) {
        err = import_parse(text, size_bytes, document);
        err = err ? pl_err_note(err, "%s", path) : PL_OK;
    }
    free(text);
    return err;
}

static enum pl_err load_template(const char *path, json_t **template)
{
    json_error_t error;
    *template = path ? json_load_file(path, JSON_REJECT_DUPLICATES, &error)
                     : json_loads(IMPORT_TEMPLATE, JSON_REJECT_DUPLICATES, &error);
    return *template ? PL_OK
                     : pl_err_set(PL_REJECT_MALFORMED, "%s:%d:%d: %s", path ? path : "template",
                                  error.line, error.column, error.text);
}

/* ---- the set -------------------------------------------------------------------------------- */

/* As every service will: the set goes to the wire form and back, and V1 to V10 decide. */
static enum pl_err check_set(const json_t *set, uint32_t *instrument_count)
{
    struct pl_names *names = cli_memory(sizeof(*names));
    struct pl_parameters *parameters = cli_memory(sizeof(*parameters));
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    pl_names_init(names);
    enum pl_err err = pl_json_encode(PL_TOPIC_PARAMETERS, set, &bytes, &size_bytes);
    if (!err)
        err = pl_wire_parameters_decode(cli_wire(), names,
                                        (struct pl_bytes_view){ bytes, size_bytes }, parameters);
    *instrument_count = parameters->instrument_count;
    free(bytes);
    return err;
}

static enum pl_err write_set(const json_t *set, const char *path)
{
    FILE *file = path ? fopen(path, "w") : stdout;
    if (!file)
        return unreadable(path);
    bool is_written = json_dumpf(set, file, JSON_INDENT(1)) == 0 && fputc('\n', file) != EOF;
    is_written &= path ? fclose(file) == 0 : fflush(file) == 0;
    return is_written ? PL_OK : unreadable(path ? path : "standard output");
}

static void print_notes(const json_t *notes)
{
    const char *text;
    json_t *list, *name;
    size_t i;
    json_object_foreach((json_t *)notes, text, list) {
        size_t count = json_array_size(list);
        fprintf(stderr, "  %s:", text);
        json_array_foreach(list, i, name)
            if (i < NAMES_SHOWN)
                fprintf(stderr, "%s %s", i ? "," : "", json_string_value(name));
        if (count > NAMES_SHOWN)
            fprintf(stderr, " and %zu more", count - NAMES_SHOWN);
        fputc('\n', stderr);
    }
}

static enum pl_err import_file(struct import_request *request, const char *path,
                               const char *template, const char *out)
{
    json_t *document = NULL, *base = NULL, *set = NULL, *notes = NULL;
    uint32_t count = 0;
    enum pl_err err = load_document(path, &document);
    if (!err)
        err = load_template(template, &base);
    request->document = document;
    request->template = base;
    if (!err) {
        err = import_set(request, &set, &notes);
        err = err ? pl_err_note(err, "%s", path) : PL_OK;
    }
    print_notes(notes);
    if (!err)
        err = check_set(set, &count);
    if (!err)
        err = write_set(set, out);
    if (!err)
        fprintf(stderr, "%s: %u instruments, epoch %llu: valid\n", path, count,
                (unsigned long long)request->epoch);
    json_decref(document);
    json_decref(base);
    json_decref(set);
    json_decref(notes);
    return err;
}

/* ---- the command ---------------------------------------------------------------------------- */

static bool read_epoch(const char *text, uint64_t *epoch)
{
    char *end = NULL;
    errno = 0;
    *epoch = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *epoch > 0;
}

int cli_parameters_import(int argc, char **argv)
{
    static const struct option options[] = {
        { "chain", required_argument, NULL, 'c' },    { "market", required_argument, NULL, 'm' },
        { "epoch", required_argument, NULL, 'e' },    { "template", required_argument, NULL, 't' },
        { "out", required_argument, NULL, 'o' },      { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct import_request request = { .epoch = 1 };
    const char *template = NULL, *out = NULL;
    bool is_usage = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'c')
            request.chain = optarg;
        else if (option == 'm')
            request.market = optarg;
        else if (option == 't')
            template = optarg;
        else if (option == 'o')
            out = optarg;
        else if (option == 'h')
            return fputs(USAGE, stdout) == EOF ? CLI_ENVIRONMENT : CLI_OK;
        else
            is_usage |= option != 'e' || !read_epoch(optarg, &request.epoch);
    }
    if (is_usage || optind + 2 != argc) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    request.protocol = argv[optind];
    enum pl_err err = import_file(&request, argv[optind + 1], template, out);
    return err ? cli_fail(err, "parameters import") : CLI_OK;
}
