/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's face to people: flags, --print-config, the Markdown table, the start-up line. */
#include "lib/service/config.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/config_row.h"
#include "lib/service/log.h"
#include "lib/service/version.h"

enum { FLAGS_MAX = 64, FLAG_PRINT_CONFIG = 256, FLAG_PRINT_METRICS, FLAG_VERSION };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"print-config", optional_argument, NULL, FLAG_PRINT_CONFIG},
    {"print-metrics", no_argument, NULL, FLAG_PRINT_METRICS},
    {"version", no_argument, NULL, FLAG_VERSION},
    {NULL, 0, NULL, 0},
};

/* What the command line asks for. */
struct flags {
    const char *file;
    const char *settings[FLAGS_MAX];
    unsigned setting_count;
    bool has_help, has_version, has_print, has_markdown, has_metrics;
};

/* ---- flags -------------------------------------------------------------------------------------- */

static enum pl_err take_flag(int option, struct flags *flags)
{
    switch (option) {
    case 'c':
        if (flags->file)
            return pl_err_set(PL_FATAL_CONFIG, "one --config is allowed");
        flags->file = optarg;
        return PL_OK;
    case 'X':
        if (flags->setting_count == FLAGS_MAX)
            return pl_err_set(PL_FATAL_CONFIG, "%d times -X are allowed", FLAGS_MAX);
        flags->settings[flags->setting_count++] = optarg;
        return PL_OK;
    case 'h':
        flags->has_help = true;
        return PL_OK;
    case FLAG_PRINT_CONFIG:
        flags->has_print = true;
        flags->has_markdown = optarg && strcmp(optarg, "markdown") == 0;
        if (optarg && !flags->has_markdown)
            return pl_err_set(PL_FATAL_CONFIG, "--print-config=%s: only markdown is known", optarg);
        return PL_OK;
    case FLAG_PRINT_METRICS:
        flags->has_metrics = true;
        return PL_OK;
    case FLAG_VERSION:
        flags->has_version = true;
        return PL_OK;
    }
    return PL_FATAL_CONFIG;
}

static enum pl_err parse_flags(int argc, char **argv, struct flags *flags)
{
    optind = 0; /* from the start, however often this runs in one process */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "+:c:X:h", options, NULL)) != -1;) {
        if (option == '?' || option == ':')
            return pl_err_set(PL_FATAL_CONFIG, "%s: %s; --help lists the flags", argv[optind - 1],
                              option == ':' ? "its argument is missing" : "there is no such flag");
        enum pl_err err = take_flag(option, flags);
        if (err)
            return err;
    }
    if (optind < argc)
        return pl_err_set(PL_FATAL_CONFIG, "%s: no argument is expected here", argv[optind]);
    return PL_OK;
}

static enum pl_err apply_flag(struct pl_config *config, const char *setting)
{
    char key[PL_CONFIG_KEY_BYTES_MAX];
    size_t length = strcspn(setting, "=");
    if (setting[length] == '\0' || length == 0 || length >= sizeof key)
        return pl_err_set(PL_FATAL_CONFIG, "-X %.128s: this is not key=value", setting);
    memcpy(key, setting, length);
    key[length] = '\0';
    enum pl_err err = pl_config_set(config, key, setting + length + 1, PL_CONFIG_FLAG, 0);
    return err ? pl_err_note(err, "-X %s", key) : PL_OK;
}

static void print_help(const struct pl_config *config)
{
    printf("%s: %s\n\n"
           "usage: %s [-c FILE] [-X KEY=VALUE]...\n\n"
           "  -c, --config FILE          read keys from FILE (key = value, one a line)\n"
           "  -X KEY=VALUE               set one key; may repeat\n"
           "      --print-config         print every key with value, origin and meaning\n"
           "      --print-config=markdown  print the table of keys\n"
           "      --print-metrics        print the table of metrics\n"
           "      --version              print the version\n"
           "  -h, --help                 print this\n\n"
           "Flags win over the environment (PLIMSOLL_HTTP_PORT for http.port), which wins over the\n"
           "file, which wins over the defaults. Keys under kafka. go to librdkafka unchanged.\n",
           config->service, config->purpose, config->service);
}

enum pl_err pl_config_load(struct pl_config *config, int argc, char **argv,
                           enum pl_config_request *request)
{
    struct flags flags = {0};
    *request = PL_CONFIG_DONE;
    enum pl_err err = parse_flags(argc, argv, &flags);
    if (err)
        return err;
    if (flags.has_help) {
        print_help(config);
        return PL_OK;
    }
    if (flags.has_version) {
        printf("%s %s (%s)\n", config->service, pl_version, pl_revision);
        return PL_OK;
    }
    if (flags.file)
        err = pl_config_read(config, flags.file);
    if (!err)
        err = pl_config_environment(config, (const char *const *)environ);
    for (unsigned i = 0; !err && i < flags.setting_count; i++)
        err = apply_flag(config, flags.settings[i]);
    if (err)
        return err;
    if (flags.has_markdown)
        pl_config_print_markdown(config, stdout);
    else if (flags.has_print)
        pl_config_print(config, stdout);
    else
        *request = flags.has_metrics ? PL_CONFIG_PRINT_METRICS : PL_CONFIG_RUN;
    return PL_OK;
}

/* ---- printing ----------------------------------------------------------------------------------- */

static void print_range(const struct pl_config_row *row, FILE *out)
{
    switch (row->type) {
    case PL_CONFIG_INT:
        fprintf(out, "%lld..%lld", (long long)row->min, (long long)row->max);
        break;
    case PL_CONFIG_BOOL:
        fputs("yes or no", out);
        break;
    case PL_CONFIG_TEXT:
        fprintf(out, "text, %lld..%lld bytes", (long long)row->min, (long long)row->max);
        break;
    case PL_CONFIG_SECRET:
        fprintf(out, "secret, %lld..%lld bytes; give %s.file", (long long)row->min,
                (long long)row->max, row->name);
        break;
    case PL_CONFIG_CHOICE:
        fputs(row->choices, out);
        break;
    }
}

static void print_origin(const struct pl_config *config, enum pl_config_origin origin,
                         unsigned line, FILE *out)
{
    switch (origin) {
    case PL_CONFIG_DEFAULT:
        fputs("default", out);
        break;
    case PL_CONFIG_FILE:
        fprintf(out, "%s:%u", config->file, line);
        break;
    case PL_CONFIG_ENVIRONMENT:
        fputs("environment", out);
        break;
    case PL_CONFIG_FLAG:
        fputs("flag", out);
        break;
    }
}

void pl_config_print(const struct pl_config *config, FILE *out)
{
    char text[PL_CONFIG_VALUE_BYTES_MAX];
    const struct pl_config_row *row;
    void *field = NULL;
    for (unsigned i = 0; (row = config_row_at(config, i, &field)); i++) {
        fprintf(out, "# %s\n# (", row->help);
        print_range(row, out);
        fputs("; from: ", out);
        print_origin(config, config->given[i].origin, config->given[i].line, out);
        config_value_print(row, field, text);
        fprintf(out, ")\n%s%s = %s\n\n", row->type == PL_CONFIG_SECRET ? "# " : "", row->name, text);
    }
    for (unsigned i = 0; i < config->override_count; i++) {
        const struct pl_config_override *override = &config->overrides[i];
        fputs("# (librdkafka; from: ", out);
        print_origin(config, override->origin, override->line, out);
        fprintf(out, ")\n%skafka.%s = %s\n\n", override->is_secret ? "# " : "", override->name,
                override->is_secret ? "(secret)" : override->value);
    }
}

void pl_config_print_markdown(const struct pl_config *config, FILE *out)
{
    const struct pl_config_row *row;
    fputs("| key | range | default | meaning |\n|---|---|---|---|\n", out);
    for (unsigned i = 0; (row = config_row_at(config, i, NULL)); i++) {
        const char *fallback = config_fallback(config, row);
        fprintf(out, "| `%s` | ", row->name);
        print_range(row, out);
        fprintf(out, " | %s%s%s | %s |\n", *fallback ? "`" : "", fallback, *fallback ? "`" : "",
                row->help);
    }
}

void pl_config_log(const struct pl_config *config)
{
    char changed[PL_CONFIG_VALUE_BYTES_MAX];
    char text[PL_CONFIG_VALUE_BYTES_MAX];
    size_t used = 0;
    const struct pl_config_row *row;
    void *field = NULL;
    changed[0] = '\0';
    for (unsigned i = 0; used < sizeof changed && (row = config_row_at(config, i, &field)); i++) {
        config_value_print(row, field, text);
        if (row->type == PL_CONFIG_SECRET ? text[0] != '\0'
                                          : strcmp(text, config_fallback(config, row)) != 0)
            used += (size_t)snprintf(changed + used, sizeof changed - used, "%s%s=%s",
                                     used ? " " : "", row->name, text);
    }
    for (unsigned i = 0; used < sizeof changed && i < config->override_count; i++)
        used += (size_t)snprintf(changed + used, sizeof changed - used, "%skafka.%s=%s",
                                 used ? " " : "", config->overrides[i].name,
                                 config->overrides[i].is_secret ? "(secret)"
                                                                : config->overrides[i].value);
    pl_log(PL_LOG_INFO, "CONFIGURATION", used ? "differs from the defaults" : "is the default",
           "changed", PL_LOG_TEXT(changed), NULL);
}
