/* SPDX-License-Identifier: Apache-2.0 */
/* A protocol's file: exact numbers, needed fields, and notes of what is not carried (import.h). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/decimal.h"
#include "services/cli/import.h"

enum { NOTE_BYTES_MAX = 320, EXPONENT_BYTES_MAX = 4 };

/* ---- text ----------------------------------------------------------------------------------- */

static bool is_number_part(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Copies what follows a string's first quotation mark, through its last, or what there is of it. */
static size_t copy_string(const char *text, size_t size_bytes, char *to)
{
    size_t used = 0;
    while (used < size_bytes) {
        char c = text[used];
        to[used++] = c;
        if (c == '"')
            break;
        if (c == '\\' && used < size_bytes) {
            to[used] = text[used];
            used++;
        }
    }
    return used;
}

/* The text with quotation marks around its numbers: at most three times as long. */
static size_t quote_numbers(const char *text, size_t size_bytes, char *to)
{
    size_t written = 0;
    for (size_t i = 0; i < size_bytes;) {
        if (text[i] == '"') {
            to[written] = text[i++];
            size_t rest = copy_string(text + i, size_bytes - i, to + written + 1);
            i += rest;
            written += rest + 1;
        } else if ((text[i] >= '0' && text[i] <= '9') || text[i] == '-') {
            to[written++] = '"';
            while (i < size_bytes && is_number_part(text[i]))
                to[written++] = text[i++];
            to[written++] = '"';
        } else {
            to[written++] = text[i++];
        }
    }
    return written;
}

enum pl_err import_parse(const char *text, size_t size_bytes, json_t **document)
{
    json_error_t error;
    *document = NULL;
    char *quoted = malloc(3 * size_bytes + 1);
    if (!quoted)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory");
    size_t quoted_bytes = quote_numbers(text, size_bytes, quoted);
    *document = json_loadb(quoted, quoted_bytes, JSON_REJECT_DUPLICATES, &error);
    free(quoted);
    if (*document)
        return PL_OK;
    return pl_err_set(PL_REJECT_MALFORMED, "line %d, column %d: %s", error.line, error.column,
                      error.text);
}

/* ---- fields --------------------------------------------------------------------------------- */

enum pl_err import_get(const json_t *object, const char *of, const char *field, json_t **value)
{
    *value = json_object_get(object, field);
    if (*value && !json_is_null(*value))
        return PL_OK;
    return pl_err_set(PL_REJECT_MISSING, "%s: there is no %s", of, field);
}

/* "12e-3" and "0.1e18" as well as what decimal_parse takes. */
static enum pl_err parse_scientific(const char *text, struct pl_amount *amount)
{
    size_t digits = strcspn(text, "eE");
    enum pl_err err = decimal_parse(text, digits, amount);
    if (err || text[digits] == '\0')
        return err;
    struct pl_amount exponent;
    const char *rest = text + digits + 1;
    if (strlen(rest) > EXPONENT_BYTES_MAX)
        return pl_err_set(PL_REJECT_RANGE, "\"%.40s\" has an exponent beyond %d", text,
                          PL_EXPONENT_MAX);
    err = decimal_parse(rest, strlen(rest), &exponent);
    if (!err && exponent.exponent != 0)
        err = pl_err_set(PL_REJECT_MALFORMED, "\"%.40s\" is not a decimal number", text);
    if (!err)
        amount->exponent += (int32_t)exponent.mantissa;
    return err;
}

enum pl_err import_amount(const json_t *object, const char *of, const char *field,
                          struct pl_amount *amount)
{
    json_t *value = NULL;
    enum pl_err err = import_get(object, of, field, &value);
    if (err)
        return err;
    if (!json_is_string(value))
        err = pl_err_set(PL_REJECT_MALFORMED, "it is not a number");
    else
        err = parse_scientific(json_string_value(value), amount);
    return err ? pl_err_note(err, "%s: %s", of, field) : PL_OK;
}

enum pl_err import_number(const json_t *object, const char *of, const char *field,
                          struct import_range range, int64_t *units)
{
    struct pl_amount amount;
    enum pl_err err = import_amount(object, of, field, &amount);
    if (err)
        return err;
    err = pl_rescale(amount.mantissa, amount.exponent, range.decimals, range.rounding, units);
    if (!err && (*units < range.low || *units > range.high))
        err = pl_err_set(PL_REJECT_RANGE, "%lld * 10^-%u is outside %lld..%lld", (long long)*units,
                         range.decimals, (long long)range.low, (long long)range.high);
    return err ? pl_err_note(err, "%s: %s", of, field) : PL_OK;
}

enum pl_err import_choose(const json_t *object, const char *what, const char *wanted,
                          const char **name, json_t **value)
{
    char list[512] = "";
    const char *key;
    json_t *member;
    size_t used = 0;
    json_object_foreach((json_t *)object, key, member) {
        if (wanted ? strcmp(wanted, key) == 0 : json_object_size(object) == 1) {
            *name = key;
            *value = member;
            return PL_OK;
        }
        if (used < sizeof(list))
            used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", key);
    }
    if (wanted)
        return pl_err_set(PL_REJECT_UNKNOWN, "--%s %s: the file has%s", what, wanted, list);
    return pl_err_set(PL_REJECT_MISSING, "--%s is needed, one of%s", what, list);
}

enum pl_err import_own_chain(struct import *import, const char *field)
{
    const char *wanted = import->request->chain;
    json_t *chain = NULL;
    enum pl_err err = import_get(import->request->document, "file", field, &chain);
    import->chain = json_string_value(chain);
    if (!err && (!import->chain || (wanted && strcmp(wanted, import->chain) != 0)))
        err = pl_err_set(PL_REJECT_UNKNOWN, "--chain %s: the file is of chain %s",
                         wanted ? wanted : "(none)", import->chain ? import->chain : "(none)");
    return err;
}

/* ---- notes ---------------------------------------------------------------------------------- */

void import_note(struct import *import, const char *of, const char *format, ...)
{
    char text[NOTE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_t *list = json_object_get(import->notes, text);
    if (!list) {
        list = json_array();
        json_object_set_new(import->notes, text, list);
    }
    json_array_append_new(list, json_string(of));
}

static const struct import_field *find_field(const struct import_field *fields, const char *name)
{
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

void import_survey(struct import *import, const char *what, const char *of, const json_t *object,
                   const struct import_field *fields)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        const struct import_field *field = find_field(fields, key);
        if (!field)
            import_note(import, of, "%s %s: not known here, left out", what, key);
        else if (field->why_not)
            import_note(import, of, "%s %s: left out, %s", what, key, field->why_not);
    }
}
