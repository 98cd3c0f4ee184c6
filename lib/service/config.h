/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: tables of rows in, one filled struct out, once, at start. No reload: a restart is a
 * rebalance, and a rebalance is tested.
 *
 * Sources, the later ones win: defaults, the file (-c FILE), the environment, flags (-X key=value).
 *
 *   file         key = value, one a line; '#' begins a comment line; no quotes, no continuation
 *   environment  PLIMSOLL_ and the key in upper case with '.' as '_': http.port is
 *                PLIMSOLL_HTTP_PORT. A kafka.* key without a row of its own follows the rule of
 *                Apache Kafka's image: '_' is '.', '__' is '_', '___' is '-'
 *   kafka.*      what has no row goes to librdkafka unchanged (lib/kafka/consumer.h); the
 *                prefixes kafka.consumer. and kafka.producer. say for which kind of client
 *   secrets      are never written in clear: the key with ".file" (or "_FILE") names a file that
 *                holds the value; printing shows that there is one
 *
 * A key that nobody knows, a value out of range, and a line that is neither are PL_FATAL_CONFIG with a
 * text that names place, key, range, and for an unknown key the nearest right one.
 */
#ifndef PL_SERVICE_CONFIG_H
#define PL_SERVICE_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"

enum {
    PL_CONFIG_TABLES_MAX = 2,
    PL_CONFIG_ROWS_MAX = 128,
    PL_CONFIG_OVERRIDES_MAX = 64,
    PL_CONFIG_KEY_BYTES_MAX = 128,
    PL_CONFIG_VALUE_BYTES_MAX = 4096,
    PL_CONFIG_FILE_BYTES_MAX = 1 << 20,
};

enum pl_config_type {
    PL_CONFIG_INT,    /* int32_t or int64_t, as the field is wide; min and max of the value         */
    PL_CONFIG_BOOL,   /* bool; yes or no, true or false                                             */
    PL_CONFIG_TEXT,   /* char[]; min and max of the length, less than the field's size              */
    PL_CONFIG_CHOICE, /* int32_t: place of the word in `choices`                                    */
    PL_CONFIG_SECRET, /* char[], as TEXT, by file only                                              */
};

/* One key. The field is given by PL_CONFIG_FIELD. */
struct pl_config_row {
    const char *name;     /* "http.port" */
    enum pl_config_type type;
    size_t offset, size_bytes;
    const char *fallback; /* the default, parsed like user text; NULL: the service's name           */
    int64_t min, max;
    const char *help;     /* what it is and in which situation one changes it                       */
    const char *choices;  /* CHOICE: the words, separated by one space                              */
};

#define PL_CONFIG_FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

/* Rows that describe one struct; a service has the common table and its own. */
struct pl_config_table {
    const struct pl_config_row *rows;
    unsigned row_count;
    void *settings; /* the struct */
};

enum pl_config_origin { PL_CONFIG_DEFAULT, PL_CONFIG_FILE, PL_CONFIG_ENVIRONMENT, PL_CONFIG_FLAG };

/* A kafka.* key without a row: name without the prefix. */
struct pl_config_override {
    char name[PL_CONFIG_KEY_BYTES_MAX];
    char value[PL_CONFIG_VALUE_BYTES_MAX];
    enum pl_config_origin origin;
    unsigned line;
    bool is_secret;
};

/* Where every value came from. Large: static or mapped memory. */
struct pl_config {
    const char *service; /* "plimsoll-price" */
    const char *purpose; /* one sentence for --help */
    struct pl_config_table tables[PL_CONFIG_TABLES_MAX];
    struct { enum pl_config_origin origin; unsigned line; } given[PL_CONFIG_ROWS_MAX];
    char file[PL_CONFIG_VALUE_BYTES_MAX];
    struct pl_config_override overrides[PL_CONFIG_OVERRIDES_MAX];
    unsigned override_count;
};

/* Sets every field to its default. Tables and names are borrowed for the life of `config`. A default
 * that does not parse is our bug and asserts. */
void pl_config_init(struct pl_config *config, const char *service, const char *purpose,
                    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX]);

/* Sets one key, unless a stronger source has set it; the value is checked all the same. `line` is 0
 * where there is none. FATAL_CONFIG. */
enum pl_err pl_config_set(struct pl_config *config, const char *key, const char *value,
                          enum pl_config_origin origin, unsigned line);

/* Sets the keys of a file's text. A key given twice is refused: one of the two is a mistake. */
enum pl_err pl_config_parse(struct pl_config *config, const char *text, size_t size_bytes);
/* The same, of the file at `path`. */
enum pl_err pl_config_read(struct pl_config *config, const char *path);

/* Sets the keys of "NAME=value" strings that begin with PLIMSOLL_; the last pointer is NULL. */
enum pl_err pl_config_environment(struct pl_config *config, const char *const *environment);

enum pl_config_request {
    PL_CONFIG_RUN,           /* go on and serve */
    PL_CONFIG_PRINT_METRICS, /* the caller prints its metrics' table and ends */
    PL_CONFIG_DONE,          /* what was asked for has been printed to standard output: end */
};

/*
 * All of it for a service's main: flags -c/--config FILE, -X KEY=VALUE (may repeat),
 * --print-config[=markdown], --print-metrics, -h/--help, --version; then file, environment, flags.
 * FATAL_CONFIG also for a flag nobody knows.
 */
enum pl_err pl_config_load(struct pl_config *config, int argc, char **argv,
                           enum pl_config_request *request);

/* Every key with value, origin and help, in the form of a file that gives the same configuration
 * (secrets excepted). */
void pl_config_print(const struct pl_config *config, FILE *out);
/* A table of keys, ranges, defaults and help. */
void pl_config_print_markdown(const struct pl_config *config, FILE *out);

/* One log line with what differs from the defaults. */
void pl_config_log(const struct pl_config *config);

#endif
