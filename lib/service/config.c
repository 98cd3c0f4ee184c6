/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration tables at work: values, keys, the file, the environment. Flags and printing are
 * in config_print.c. Each value goes one way, pl_config_set, wherever it came from.
 */
#include "lib/service/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "lib/base/num.h"
#include "lib/service/config_row.h"

static const char KAFKA_PREFIX[] = "kafka.";
static const char FILE_SUFFIX[] = ".file";
static const char ENVIRONMENT_PREFIX[] = "PLIMSOLL_";

/* librdkafka's keys whose values must not be seen. */
static const char *const secret_names[] = {
    "sasl.oauthbearer.client.secret", "sasl.password", "ssl.key.password", "ssl.key.pem",
    "ssl.keystore.password",
};

/* ---- rows and fields ---------------------------------------------------------------------------- */

const struct pl_config_row *config_row_at(const struct pl_config *config, unsigned index,
                                          void **field)
{
    for (unsigned i = 0; i < PL_CONFIG_TABLES_MAX; i++) {
        const struct pl_config_table *table = &config->tables[i];
        if (index < table->row_count) {
            if (field)
                *field = (uint8_t *)table->settings + table->rows[index].offset;
            return &table->rows[index];
        }
        index -= table->row_count;
    }
    return NULL;
}

static bool find_row(const struct pl_config *config, const char *key, unsigned *index)
{
    const struct pl_config_row *row;
    for (unsigned i = 0; (row = config_row_at(config, i, NULL)); i++)
        if (strcmp(row->name, key) == 0) {
            *index = i;
            return true;
        }
    return false;
}

/* ---- values ------------------------------------------------------------------------------------- */

static enum pl_err parse_int(const struct pl_config_row *row, const char *value, void *field)
{
    pl_i128 number;
    if (pl_i128_parse(value, strlen(value), &number) != PL_OK || number < row->min ||
        number > row->max)
        return pl_err_set(PL_FATAL_CONFIG, "%s = %s is no whole number in %lld..%lld", row->name,
                          value, (long long)row->min, (long long)row->max);
    int32_t narrow = (int32_t)number;
    int64_t wide = (int64_t)number;
    pl_assert(row->size_bytes == sizeof narrow || row->size_bytes == sizeof wide);
    if (row->size_bytes == sizeof narrow) {
        pl_assert(narrow == wide);
        memcpy(field, &narrow, sizeof narrow);
    } else {
        memcpy(field, &wide, sizeof wide);
    }
    return PL_OK;
}

static enum pl_err parse_bool(const struct pl_config_row *row, const char *value, void *field)
{
    bool is_yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    if (!is_yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
        return pl_err_set(PL_FATAL_CONFIG, "%s = %s is neither yes nor no", row->name, value);
    memcpy(field, &is_yes, sizeof is_yes);
    return PL_OK;
}

static enum pl_err parse_text(const struct pl_config_row *row, const char *value, void *field)
{
    size_t length = strlen(value);
    const char *shown = row->type == PL_CONFIG_SECRET ? "(secret)" : value;
    if (length < (uint64_t)row->min || length > (uint64_t)row->max)
        return pl_err_set(PL_FATAL_CONFIG, "%s = %.80s has %zu bytes, %lld..%lld are allowed",
                          row->name, shown, length, (long long)row->min, (long long)row->max);
    pl_assert(length < row->size_bytes);
    memset(field, 0, row->size_bytes);
    memcpy(field, value, length);
    return PL_OK;
}

static enum pl_err parse_choice(const struct pl_config_row *row, const char *value, void *field)
{
    size_t length = strlen(value);
    int32_t place = 0;
    for (const char *word = row->choices; *word; place++) {
        size_t size = strcspn(word, " ");
        if (size == length && memcmp(word, value, length) == 0) {
            memcpy(field, &place, sizeof place);
            return PL_OK;
        }
        word += size + (word[size] == ' ');
    }
    return pl_err_set(PL_FATAL_CONFIG, "%s = %s is none of: %s", row->name, value, row->choices);
}

static enum pl_err parse_value(const struct pl_config_row *row, const char *value, void *field)
{
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return pl_err_set(PL_FATAL_CONFIG, "%s has a control character in its value", row->name);
    switch (row->type) {
    case PL_CONFIG_INT:
        return parse_int(row, value, field);
    case PL_CONFIG_BOOL:
        return parse_bool(row, value, field);
    case PL_CONFIG_TEXT:
    case PL_CONFIG_SECRET:
        return parse_text(row, value, field);
    case PL_CONFIG_CHOICE:
        return parse_choice(row, value, field);
    }
    pl_assert_failed("a row's type is one of the enum", __FILE__, __LINE__);
}

void config_value_print(const struct pl_config_row *row, const void *field,
                        char text[PL_CONFIG_VALUE_BYTES_MAX])
{
    int64_t wide = 0;
    int32_t narrow = 0;
    text[0] = '\0';
    switch (row->type) {
    case PL_CONFIG_INT:
        memcpy(row->size_bytes == sizeof wide ? (void *)&wide : (void *)&narrow, field,
               row->size_bytes);
        (void)snprintf(text, PL_CONFIG_VALUE_BYTES_MAX, "%lld", (long long)(wide + narrow));
        break;
    case PL_CONFIG_BOOL:
        (void)snprintf(text, PL_CONFIG_VALUE_BYTES_MAX, "%s", *(const bool *)field ? "yes" : "no");
        break;
    case PL_CONFIG_TEXT:
        (void)snprintf(text, PL_CONFIG_VALUE_BYTES_MAX, "%s", (const char *)field);
        break;
    case PL_CONFIG_SECRET:
        (void)snprintf(text, PL_CONFIG_VALUE_BYTES_MAX, "%s",
                       *(const char *)field ? "(secret)" : "");
        break;
    case PL_CONFIG_CHOICE: {
        memcpy(&narrow, field, sizeof narrow);
        const char *word = row->choices;
        while (narrow-- > 0)
            word += strcspn(word, " ") + 1;
        (void)snprintf(text, PL_CONFIG_VALUE_BYTES_MAX, "%.*s", (int)strcspn(word, " "), word);
        break;
    }
    }
}

const char *config_fallback(const struct pl_config *config, const struct pl_config_row *row)
{
    return row->fallback ? row->fallback : config->service;
}

void pl_config_init(struct pl_config *config, const char *service, const char *purpose,
                    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX])
{
    memset(config, 0, sizeof *config);
    config->service = service;
    config->purpose = purpose;
    memcpy(config->tables, tables, sizeof config->tables);
    const struct pl_config_row *row;
    void *field = NULL;
    for (unsigned i = 0; (row = config_row_at(config, i, &field)); i++) {
        pl_assert(i < PL_CONFIG_ROWS_MAX);
        enum pl_err err = parse_value(row, config_fallback(config, row), field);
        pl_assert(err == PL_OK);
    }
}

/* ---- secrets ------------------------------------------------------------------------------------ */

/* A secret's file must not be readable by everyone; one of our own not by its group either (a mounted
 * secret belongs to root and reaches us through the group). */
static enum pl_err check_secret_mode(const char *key, const char *path, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return pl_err_set(PL_FATAL_CONFIG, "%s: %s is no regular file", key, path);
    mode_t forbidden = status->st_uid == geteuid() ? 077 : 007;
    if (status->st_mode & forbidden)
        return pl_err_set(PL_FATAL_CONFIG, "%s: %s may be read by others (mode %03o): chmod 600",
                          key, path, (unsigned)status->st_mode & 0777);
    return PL_OK;
}

/* Reads the secret: the file's text without one line end. */
static enum pl_err read_secret(const char *key, const char *path,
                               char value[PL_CONFIG_VALUE_BYTES_MAX])
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return pl_err_set(PL_FATAL_CONFIG, "%s: cannot open %s: %s", key, path, strerror(errno));
    struct stat status;
    enum pl_err err = PL_OK;
    if (fstat(descriptor, &status) != 0)
        err = pl_err_set(PL_FATAL_CONFIG, "%s: cannot read %s: %s", key, path, strerror(errno));
    else
        err = check_secret_mode(key, path, &status);
    if (!err && (status.st_size <= 0 || status.st_size >= PL_CONFIG_VALUE_BYTES_MAX))
        err = pl_err_set(PL_FATAL_CONFIG, "%s: %s has %lld bytes, 1..%d are allowed", key, path,
                         (long long)status.st_size, PL_CONFIG_VALUE_BYTES_MAX - 1);
    ssize_t size = err ? 0 : read(descriptor, value, PL_CONFIG_VALUE_BYTES_MAX - 1);
    (void)close(descriptor);
    if (err)
        return err;
    if (size <= 0 || memchr(value, '\0', (size_t)size))
        return pl_err_set(PL_FATAL_CONFIG, "%s: %s holds no text", key, path);
    if (value[size - 1] == '\n')
        size--;
    if (size > 0 && value[size - 1] == '\r')
        size--;
    value[size] = '\0';
    return PL_OK;
}

static bool is_secret_override(const char *name)
{
    if (strncmp(name, "consumer.", 9) == 0 || strncmp(name, "producer.", 9) == 0)
        name += 9;
    for (size_t i = 0; i < sizeof secret_names / sizeof secret_names[0]; i++)
        if (strcmp(name, secret_names[i]) == 0)
            return true;
    return false;
}

/* ---- keys --------------------------------------------------------------------------------------- */

/* Levenshtein's distance; keys longer than the limit are as far away as can be. */
static unsigned distance(const char *a, const char *b)
{
    unsigned above[PL_CONFIG_KEY_BYTES_MAX + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > PL_CONFIG_KEY_BYTES_MAX || b_length > PL_CONFIG_KEY_BYTES_MAX)
        return UINT32_MAX;
    for (unsigned j = 0; j <= b_length; j++)
        above[j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned diagonal = above[0];
        above[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = above[j];
            unsigned least = above[j] < above[j - 1] ? above[j] + 1 : above[j - 1] + 1;
            above[j] = replace < least ? replace : least;
        }
    }
    return above[b_length];
}

static enum pl_err refuse_unknown(const struct pl_config *config, const char *key)
{
    const char *nearest = "";
    unsigned best = UINT32_MAX;
    const struct pl_config_row *row;
    for (unsigned i = 0; (row = config_row_at(config, i, NULL)); i++) {
        unsigned now = distance(key, row->name);
        if (now < best) {
            best = now;
            nearest = row->name;
        }
    }
    return pl_err_set(PL_FATAL_CONFIG, "there is no key %.128s, the nearest is %s", key, nearest);
}

/* Gives a kafka.* key that has no row its place in the list; the strongest source keeps it. */
static enum pl_err set_override(struct pl_config *config, const char *name, const char *value,
                                enum pl_config_origin origin, unsigned line)
{
    if (*name == '\0' || strlen(name) >= PL_CONFIG_KEY_BYTES_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "kafka.%.128s is no key", name);
    struct pl_config_override *override = config->overrides;
    struct pl_config_override *end = config->overrides + config->override_count;
    while (override < end && strcmp(override->name, name) != 0)
        override++;
    if (override < end && override->origin > origin)
        return PL_OK;
    if (override < end && override->origin == origin && origin == PL_CONFIG_FILE)
        return pl_err_set(PL_FATAL_CONFIG, "kafka.%s was given in line %u already", name,
                          override->line);
    if (override == end && config->override_count == PL_CONFIG_OVERRIDES_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "kafka.%s is one too many, %d are allowed", name,
                          PL_CONFIG_OVERRIDES_MAX);
    if (override == end)
        config->override_count++;
    *override = (struct pl_config_override){.origin = origin, .line = line};
    memcpy(override->name, name, strlen(name));
    memcpy(override->value, value, strlen(value));
    override->is_secret = is_secret_override(name);
    return PL_OK;
}

static enum pl_err set_row(struct pl_config *config, unsigned index, const char *value,
                           enum pl_config_origin origin, unsigned line)
{
    void *field = NULL;
    const struct pl_config_row *row = config_row_at(config, index, &field);
    enum pl_config_origin *present = &config->given[index].origin;
    if (*present == origin && origin == PL_CONFIG_FILE)
        return pl_err_set(PL_FATAL_CONFIG, "%s was given in line %u already", row->name,
                          config->given[index].line);
    if (*present > origin) {
        /* Shadowed, but a wrong value is wrong all the same: checked against a scratch field. */
        _Alignas(16) char scratch[PL_CONFIG_VALUE_BYTES_MAX];
        pl_assert(row->size_bytes <= sizeof scratch);
        return parse_value(row, value, scratch);
    }
    enum pl_err err = parse_value(row, value, field);
    if (err)
        return err;
    *present = origin;
    config->given[index].line = line;
    return PL_OK;
}

/* A secret's key with ".file": cuts the suffix off into `key`. */
static bool is_secret_file(const struct pl_config *config, const char *given,
                           char key[PL_CONFIG_KEY_BYTES_MAX])
{
    size_t length = strlen(given);
    size_t suffix = sizeof FILE_SUFFIX - 1;
    if (length <= suffix || length >= PL_CONFIG_KEY_BYTES_MAX ||
        strcmp(given + length - suffix, FILE_SUFFIX) != 0)
        return false;
    memcpy(key, given, length - suffix);
    key[length - suffix] = '\0';
    unsigned index = 0;
    if (find_row(config, key, &index))
        return config_row_at(config, index, NULL)->type == PL_CONFIG_SECRET;
    size_t prefix = sizeof KAFKA_PREFIX - 1;
    return strncmp(key, KAFKA_PREFIX, prefix) == 0 && is_secret_override(key + prefix);
}

enum pl_err pl_config_set(struct pl_config *config, const char *key, const char *value,
                          enum pl_config_origin origin, unsigned line)
{
    char secret_key[PL_CONFIG_KEY_BYTES_MAX];
    char secret[PL_CONFIG_VALUE_BYTES_MAX];
    unsigned index = 0;
    if (strlen(value) >= PL_CONFIG_VALUE_BYTES_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "%.128s has a value of more than %d bytes", key,
                          PL_CONFIG_VALUE_BYTES_MAX - 1);
    bool is_from_file = is_secret_file(config, key, secret_key);
    if (is_from_file) {
        enum pl_err err = read_secret(key, value, secret);
        if (err)
            return err;
        key = secret_key;
        value = secret;
    }
    bool has_row = find_row(config, key, &index);
    bool is_kafka = !has_row && strncmp(key, KAFKA_PREFIX, sizeof KAFKA_PREFIX - 1) == 0;
    if (!has_row && !is_kafka)
        return refuse_unknown(config, key);
    const char *name = key + sizeof KAFKA_PREFIX - 1;
    bool is_secret = has_row ? config_row_at(config, index, NULL)->type == PL_CONFIG_SECRET
                             : is_secret_override(name);
    if (is_secret && !is_from_file)
        return pl_err_set(PL_FATAL_CONFIG,
                          "%s is a secret: put it into a file of its own and give %s.file", key,
                          key);
    return has_row ? set_row(config, index, value, origin, line)
                   : set_override(config, name, value, origin, line);
}

/* ---- the file ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Moves both ends inwards over blanks. */
static void trim(const char **first, const char **end)
{
    while (*first < *end && is_blank(**first))
        (*first)++;
    while (*end > *first && is_blank((*end)[-1]))
        (*end)--;
}

/* Copies [first, end) as text; false when it does not fit or has a NUL inside. */
static bool copy_text(const char *first, const char *end, char *text, size_t size_bytes)
{
    size_t length = (size_t)(end - first);
    if (length >= size_bytes || memchr(first, '\0', length))
        return false;
    memcpy(text, first, length);
    text[length] = '\0';
    return true;
}

static enum pl_err parse_line(struct pl_config *config, const char *first, const char *end,
                              unsigned line)
{
    trim(&first, &end);
    if (first == end || *first == '#')
        return PL_OK;
    const char *equals = memchr(first, '=', (size_t)(end - first));
    if (!equals)
        return pl_err_set(PL_FATAL_CONFIG, "this is not key = value");
    char key[PL_CONFIG_KEY_BYTES_MAX];
    char value[PL_CONFIG_VALUE_BYTES_MAX];
    const char *key_end = equals;
    const char *value_first = equals + 1;
    trim(&first, &key_end);
    trim(&value_first, &end);
    if (first == key_end || !copy_text(first, key_end, key, sizeof key))
        return pl_err_set(PL_FATAL_CONFIG, "the key has no text or more than %d bytes",
                          PL_CONFIG_KEY_BYTES_MAX - 1);
    if (!copy_text(value_first, end, value, sizeof value))
        return pl_err_set(PL_FATAL_CONFIG, "%s has a value of more than %d bytes or with a NUL", key,
                          PL_CONFIG_VALUE_BYTES_MAX - 1);
    return pl_config_set(config, key, value, PL_CONFIG_FILE, line);
}

enum pl_err pl_config_parse(struct pl_config *config, const char *text, size_t size_bytes)
{
    unsigned line = 1;
    for (const char *first = text, *stop = text + size_bytes; first < stop; line++) {
        const char *end = memchr(first, '\n', (size_t)(stop - first));
        if (!end)
            end = stop;
        enum pl_err err = parse_line(config, first, end, line);
        if (err)
            return pl_err_note(err, "%s:%u", config->file[0] ? config->file : "configuration", line);
        first = end + (end < stop);
    }
    return PL_OK;
}

enum pl_err pl_config_read(struct pl_config *config, const char *path)
{
    (void)snprintf(config->file, sizeof config->file, "%s", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return pl_err_set(PL_FATAL_CONFIG, "cannot open %s: %s", path, strerror(errno));
    enum pl_err err = PL_OK;
    char *text = malloc(PL_CONFIG_FILE_BYTES_MAX + 1);
    size_t size = text ? fread(text, 1, PL_CONFIG_FILE_BYTES_MAX + 1, file) : 0;
    if (!text)
        err = pl_err_set(PL_FATAL_SYSTEM, "no memory to read %s", path);
    else if (ferror(file))
        err = pl_err_set(PL_FATAL_CONFIG, "cannot read %s: %s", path, strerror(errno));
    else if (size > PL_CONFIG_FILE_BYTES_MAX)
        err = pl_err_set(PL_FATAL_CONFIG, "%s has more than %d bytes", path,
                         PL_CONFIG_FILE_BYTES_MAX);
    else
        err = pl_config_parse(config, text, size);
    free(text);
    (void)fclose(file);
    return err;
}

/* ---- the environment ---------------------------------------------------------------------------- */

/* The variable's name of a key, without the prefix. */
static void variable_of(const char *key, const char *suffix, char name[PL_CONFIG_KEY_BYTES_MAX])
{
    int length = snprintf(name, PL_CONFIG_KEY_BYTES_MAX, "%s%s", key, suffix);
    pl_assert(length > 0 && length < PL_CONFIG_KEY_BYTES_MAX);
    for (char *c = name; *c; c++)
        *c = *c == '.' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
}

/* The row whose variable is `name`: looked up from the table, so never ambiguous. */
static bool key_of_row(const struct pl_config *config, const char *name,
                       char key[PL_CONFIG_KEY_BYTES_MAX])
{
    char variable[PL_CONFIG_KEY_BYTES_MAX];
    const struct pl_config_row *row;
    for (unsigned i = 0; (row = config_row_at(config, i, NULL)); i++) {
        const char *suffixes[] = {"", FILE_SUFFIX};
        for (unsigned j = 0; j < (row->type == PL_CONFIG_SECRET ? 2 : 1); j++) {
            variable_of(row->name, suffixes[j], variable);
            if (strcmp(variable, name) == 0) {
                (void)snprintf(key, PL_CONFIG_KEY_BYTES_MAX, "%s%s", row->name, suffixes[j]);
                return true;
            }
        }
    }
    return false;
}

/* Apache Kafka's rule, for keys that have no row: '_' is '.', '__' is '_', '___' is '-'. */
static void key_by_rule(const char *name, char key[PL_CONFIG_KEY_BYTES_MAX])
{
    static const char marks[] = {'.', '_', '-'};
    char *next = key;
    while (*name) {
        size_t count = strspn(name, "_");
        if (count > 3)
            count = 3;
        *next++ = count ? marks[count - 1]
                  : *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a')
                                                 : *name;
        name += count ? count : 1;
    }
    *next = '\0';
}

/* Variables of the command and of the test suite, which a service may inherit without meaning. */
static bool is_for_others(const char *name)
{
    static const char *const names[] = {"KAFKA", "SEED", "DATA", "LONG", "KEEP_LOGS", "BUILD",
                                        "CACHE", "TEST_KAFKA", "TEST_REDIS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum pl_err set_variable(struct pl_config *config, const char *variable)
{
    char name[PL_CONFIG_KEY_BYTES_MAX];
    char key[PL_CONFIG_KEY_BYTES_MAX];
    const char *equals = strchr(variable, '=');
    if (!equals || !copy_text(variable, equals, name, sizeof name))
        return pl_err_set(PL_FATAL_CONFIG, "the name has more than %d bytes",
                          PL_CONFIG_KEY_BYTES_MAX - 1);
    if (is_for_others(name))
        return PL_OK;
    if (!key_of_row(config, name, key))
        key_by_rule(name, key);
    return pl_config_set(config, key, equals + 1, PL_CONFIG_ENVIRONMENT, 0);
}

enum pl_err pl_config_environment(struct pl_config *config, const char *const *environment)
{
    size_t prefix = sizeof ENVIRONMENT_PREFIX - 1;
    for (; *environment; environment++) {
        if (strncmp(*environment, ENVIRONMENT_PREFIX, prefix) != 0)
            continue;
        enum pl_err err = set_variable(config, *environment + prefix);
        if (err)
            return pl_err_note(err, "environment %.*s", (int)strcspn(*environment, "="),
                               *environment);
    }
    return PL_OK;
}
