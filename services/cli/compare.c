/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Differences between records (compare.h), found on the schemas' JSON form: one walk serves every
 * topic and every field that a schema will ever get.
 */
#include "services/cli/compare.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values as text ------------------------------------------------------------------------- */

/* Puts the point into the digits of an integer: -1250 with exponent -3 is "-1.250". */
static void print_decimal(const char *mantissa, int exponent, char text[COMPARE_VALUE_BYTES])
{
    enum { DECIMALS_MAX = 38 };
    const char *sign = *mantissa == '-' ? "-" : "", *digits = mantissa + (*sign ? 1 : 0);
    int count = (int)strlen(digits), decimals = exponent < 0 ? -exponent : 0;
    char zeros[DECIMALS_MAX + 2] = "";
    if (decimals > DECIMALS_MAX || exponent > DECIMALS_MAX) {
        snprintf(text, COMPARE_VALUE_BYTES, "%.100se%d", mantissa, exponent);
        return;
    }
    int missing = decimals >= count ? decimals - count + 1 : exponent > 0 ? exponent : 0;
    memset(zeros, '0', (size_t)missing);
    if (exponent >= 0)
        snprintf(text, COMPARE_VALUE_BYTES, "%s%.100s%s", sign, digits, zeros);
    else if (missing > 0)
        snprintf(text, COMPARE_VALUE_BYTES, "%s0.%s%.100s", sign, zeros + 1, digits);
    else
        snprintf(text, COMPARE_VALUE_BYTES, "%s%.*s.%s", sign, count - decimals, digits,
                 digits + count - decimals);
}

/* An Amount or a Decimal. */
static bool is_number(const json_t *json)
{
    return json_is_object(json) && json_object_get(json, "mantissa");
}

static void print_number(const json_t *json, char text[COMPARE_VALUE_BYTES])
{
    const json_t *mantissa = json_object_get(json, "mantissa");
    const json_t *exponent = json_object_get(json, "exponent");
    char digits[COMPARE_VALUE_BYTES];
    if (json_is_string(mantissa))
        snprintf(digits, sizeof(digits), "%.100s", json_string_value(mantissa));
    else
        snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(mantissa));
    print_decimal(digits, (int)json_integer_value(exponent), text);
}

static void print_value(const json_t *json, char text[COMPARE_VALUE_BYTES])
{
    if (!json) {
        snprintf(text, COMPARE_VALUE_BYTES, "absent");
    } else if (is_number(json)) {
        print_number(json, text);
    } else if (json_is_string(json)) {
        snprintf(text, COMPARE_VALUE_BYTES, "%.*s", COMPARE_VALUE_BYTES - 1,
                 json_string_value(json));
    } else {
        char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        snprintf(text, COMPARE_VALUE_BYTES, "%s", dump ? dump : "?");
        free(dump);
    }
}

/* ---- the walk ------------------------------------------------------------------------------- */

static bool differ(const json_t *recorded, const json_t *replayed, struct compare_result *result);

static void name_instrument(const json_t *message, struct pl_id *instrument)
{
    const char *text = json_string_value(json_object_get(message, "instrument"));
    struct pl_id id;
    if (text && pl_id_set(&id, text, strlen(text)) == PL_OK)
        *instrument = id;
}

/* Goes into a field; on the way out `result` keeps the path to what differed. */
static bool differ_in(const char *step, const json_t *recorded, const json_t *replayed,
                      struct compare_result *result)
{
    size_t used = strlen(result->field);
    const char *point = used > 0 && *step != '[' ? "." : "";
    snprintf(result->field + used, sizeof(result->field) - used, "%s%s", point, step);
    if (differ(recorded, replayed, result))
        return true;
    result->field[used] = '\0';
    return false;
}

static bool differ_in_object(const json_t *recorded, const json_t *replayed,
                             struct compare_result *result)
{
    const struct pl_id outer = result->instrument;
    const char *name;
    json_t *value;
    name_instrument(recorded, &result->instrument);
    json_object_foreach(
        (json_t *)(uintptr_t)recorded, name,
        value) if (differ_in(name, value, json_object_get(replayed, name), result)) return true;
    json_object_foreach((json_t *)(uintptr_t)replayed, name,
                        value) if (!json_object_get(recorded, name) &&
                                   differ_in(name, NULL, value, result)) return true;
    result->instrument = outer;
    return false;
}

static bool differ_in_array(const json_t *recorded, const json_t *replayed,
                            struct compare_result *result)
{
    size_t left = json_array_size(recorded), right = json_array_size(replayed);
    for (size_t i = 0; i < left || i < right; i++) {
        char step[24];
        snprintf(step, sizeof(step), "[%zu]", i);
        if (differ_in(step, json_array_get(recorded, i), json_array_get(replayed, i), result))
            return true;
    }
    return false;
}

static bool differ(const json_t *recorded, const json_t *replayed, struct compare_result *result)
{
    if (json_equal(recorded, replayed))
        return false;
    if (json_is_object(recorded) && json_is_object(replayed) && !is_number(recorded))
        return differ_in_object(recorded, replayed, result);
    if (json_is_array(recorded) && json_is_array(replayed))
        return differ_in_array(recorded, replayed, result);
    name_instrument(recorded ? recorded : replayed, &result->instrument);
    print_value(recorded, result->recorded);
    print_value(replayed, result->replayed);
    return true;
}

static json_t *read_value(enum pl_topic topic, struct pl_bytes_view value,
                          char text[COMPARE_VALUE_BYTES])
{
    json_t *json = NULL;
    if (pl_json_decode(topic, value, &json)) {
        snprintf(text, COMPARE_VALUE_BYTES, "not readable: %.200s", pl_err_text());
        return NULL;
    }
    snprintf(text, COMPARE_VALUE_BYTES, "%zu bytes", value.size_bytes);
    return json;
}

void compare_values(enum pl_topic topic, struct pl_bytes_view recorded,
                    struct pl_bytes_view replayed, struct compare_result *result)
{
    *result = (struct compare_result){0};
    json_t *left = read_value(topic, recorded, result->recorded);
    json_t *right = read_value(topic, replayed, result->replayed);
    if (!left || !right || !differ(left, right, result))
        snprintf(result->field, sizeof(result->field), "value");
    json_decref(left);
    json_decref(right);
}
