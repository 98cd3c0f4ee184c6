/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schemas' JSON form, both ways, driven by protobuf-c's descriptors: one walk serves every
 * topic. For tools and files that people write, so errors name the place and the nearest right
 * word. Not on the event's path: it uses the heap.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

enum {
    NAME_BYTES_MAX = 64, /* longest field name that a guess is made for */
    FIELDS_MAX = 64,
    LABEL_BYTES_MAX = 96,
    TEXT_BYTES_MAX = 64 << 20, /* of JSON: the largest set is a tenth of it */
    /* Bytes of message that one byte of text or encoding can make: "{}," makes an Instrument, of
     * 250 bytes. */
    MEMORY_TIMES = 128,
    MEMORY_BYTES_MIN = 4096,
};

/* ---- the nearest right word ---- */

/* Insertions, deletions and substitutions that lead from one word to the other. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1], a_size = strlen(a), b_size = strlen(b);
    if (a_size > NAME_BYTES_MAX || b_size > NAME_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = changed < shorter + 1 ? changed : shorter + 1;
        }
    }
    return row[b_size];
}

static enum pl_err fail_unknown_field(const ProtobufCMessageDescriptor *descriptor,
                                      const struct pl_place *place, const char *name)
{
    const char *nearest = NULL;
    size_t best = strlen(name) / 3 + 1; /* further away it would be a guess */
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        size_t distance = edit_distance(name, descriptor->fields[i].name);
        if (distance <= best) {
            best = distance;
            nearest = descriptor->fields[i].name;
        }
    }
    if (!nearest)
        return pl_field_fail(PL_REJECT_UNKNOWN, place, name, " is unknown; %s has no such field",
                             descriptor->short_name);
    return pl_field_fail(PL_REJECT_UNKNOWN, place, name, " is unknown; did you mean %s?", nearest);
}

/* ---- from JSON ---- */

/* True when `name` is the field's name, or its lowerCamelCase form. */
static bool is_name_of(const char *name, const char *field)
{
    if (strcmp(name, field) == 0)
        return true;
    for (; *field; field++, name++) {
        char expected = *field;
        if (expected == '_' && field[1] >= 'a' && field[1] <= 'z')
            expected = (char)(*++field - 'a' + 'A');
        if (*name != expected)
            return false;
    }
    return *name == '\0';
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  const char *name)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        if (is_name_of(name, descriptor->fields[i].name))
            return &descriptor->fields[i];
    return NULL;
}

static enum pl_err take(struct pl_arena *arena, size_t size_bytes, void **taken)
{
    *taken = pl_arena_take(arena, size_bytes, _Alignof(max_align_t));
    if (!*taken)
        return pl_err_set(PL_REJECT_SIZE, "more than fits a record of this topic");
    memset(*taken, 0, size_bytes);
    return PL_OK;
}

static enum pl_err read_integer(const struct pl_place *place, const char *label, const json_t *json,
                                pl_i128 min, pl_i128 max, pl_i128 *value)
{
    enum pl_err err = PL_REJECT_MALFORMED;
    if (json_is_integer(json)) {
        *value = json_integer_value(json);
        err = PL_OK;
    } else if (json_is_string(json)) {
        err = pl_i128_parse(json_string_value(json), json_string_length(json), value);
    }
    if (err)
        return pl_field_fail(PL_REJECT_MALFORMED, place, label,
                             ": not an integer; write it as digits, in quotes when long");
    if (*value < min || *value > max)
        return pl_field_fail(PL_REJECT_RANGE, place, label, ": does not fit this field");
    return PL_OK;
}

static enum pl_err read_enum(const struct pl_place *place, const char *label, const json_t *json,
                             const ProtobufCEnumDescriptor *descriptor, int *value)
{
    const char *name = json_string_value(json);
    const ProtobufCEnumValue *found = name ? protobuf_c_enum_descriptor_get_value_by_name(
                                                 descriptor, name)
                                           : NULL;
    if (!found) {
        uint32_t unused = 0;
        const struct pl_scalar none = {label, true, 0};
        return pl_field_enum(place, none, descriptor, &unused);
    }
    *value = found->value;
    return PL_OK;
}

static enum pl_err read_string(const struct pl_place *place, const char *label, const json_t *json,
                               struct pl_arena *arena, char **text)
{
    void *taken = NULL;
    if (!json_is_string(json) || strlen(json_string_value(json)) != json_string_length(json))
        return pl_field_fail(PL_REJECT_MALFORMED, place, label, ": not a text; write it in quotes");
    size_t size_bytes = json_string_length(json) + 1;
    enum pl_err err = take(arena, size_bytes, &taken);
    if (!err)
        *text = memcpy(taken, json_string_value(json), size_bytes);
    return err;
}

/* Characters of base64 before its padding; SIZE_MAX for a text that is none. */
static size_t base64_digits(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size_bytes = strlen(text), count = strspn(text, digits);
    size_t padding = strspn(text + count, "=");
    bool is_base64 = size_bytes % 4 == 0 && padding <= 2 && count + padding == size_bytes;
    return is_base64 ? count : SIZE_MAX;
}

static enum pl_err read_bytes(const struct pl_place *place, const char *label, const json_t *json,
                              struct pl_arena *arena, ProtobufCBinaryData *bytes)
{
    const char *text = json_string_value(json);
    size_t count = text ? base64_digits(text) : SIZE_MAX;
    void *taken = NULL;
    if (count == SIZE_MAX || count > INT32_MAX - 4)
        return pl_field_fail(PL_REJECT_MALFORMED, place, label, ": not base64 with its padding");
    enum pl_err err = take(arena, count + 4, &taken);
    if (err)
        return err;
    int length = EVP_DecodeBlock(taken, (const unsigned char *)text, (int)strlen(text));
    pl_assert(length >= 0);
    bytes->data = taken;
    bytes->len = count / 4 * 3 + count % 4 * 3 / 4;
    return PL_OK;
}

static enum pl_err read_message(const struct pl_place *place, const json_t *json,
                                const ProtobufCMessageDescriptor *descriptor,
                                struct pl_arena *arena, ProtobufCMessage **message);

/* Range of an integer type; false for what is no integer. */
static bool integer_range(ProtobufCType type, pl_i128 *min, pl_i128 *max)
{
    bool is_wide = type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_SINT64;
    bool is_signed = is_wide || type == PROTOBUF_C_TYPE_SINT32;
    bool is_wide_unsigned = type == PROTOBUF_C_TYPE_UINT64;
    if (!is_signed && !is_wide_unsigned && type != PROTOBUF_C_TYPE_UINT32)
        return false;
    *min = is_wide ? INT64_MIN : is_signed ? INT32_MIN : 0;
    *max = is_wide            ? (pl_i128)INT64_MAX
           : is_signed        ? INT32_MAX
           : is_wide_unsigned ? (pl_i128)UINT64_MAX
                              : UINT32_MAX;
    return true;
}

/* One value of a field into its place in the struct. */
static enum pl_err read_value(const struct pl_place *place, const char *label, const json_t *json,
                              const ProtobufCFieldDescriptor *field, struct pl_arena *arena,
                              void *member)
{
    pl_i128 min = 0, max = 0, value = 0;
    if (integer_range(field->type, &min, &max)) {
        enum pl_err err = read_integer(place, label, json, min, max, &value);
        if (max > UINT32_MAX)
            *(uint64_t *)member = (uint64_t)value;
        else
            *(uint32_t *)member = (uint32_t)value;
        return err;
    }
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        *(protobuf_c_boolean *)member = json_is_true(json);
        return json_is_boolean(json)
                   ? PL_OK
                   : pl_field_fail(PL_REJECT_MALFORMED, place, label, ": not true or false");
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return read_enum(place, label, json, field->descriptor, member);
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return read_string(place, label, json, arena, member);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return read_bytes(place, label, json, arena, member);
    pl_assert(field->type == PROTOBUF_C_TYPE_MESSAGE);
    const struct pl_place inner = {place, label, -1};
    return read_message(&inner, json, field->descriptor, arena, member);
}

static size_t element_bytes(ProtobufCType type)
{
    pl_i128 min = 0, max = 0;
    if (integer_range(type, &min, &max))
        return max > UINT32_MAX ? sizeof(uint64_t) : sizeof(uint32_t);
    /* Of others only texts and messages repeat in the schemas. */
    pl_assert(type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_MESSAGE);
    return sizeof(void *);
}

static enum pl_err read_array(const struct pl_place *place, const json_t *json,
                              const ProtobufCFieldDescriptor *field, struct pl_arena *arena,
                              uint8_t *message)
{
    if (!json_is_array(json))
        return pl_field_fail(PL_REJECT_MALFORMED, place, field->name,
                             ": not a list; write [ ... ]");
    size_t count = json_array_size(json);
    void *elements = NULL;
    enum pl_err err = take(arena, count * element_bytes(field->type), &elements);
    for (size_t i = 0; !err && i < count; i++) {
        char label[LABEL_BYTES_MAX];
        snprintf(label, sizeof(label), "%s[%zu]", field->name, i);
        err = read_value(place, label, json_array_get(json, i), field, arena,
                         (uint8_t *)elements + i * element_bytes(field->type));
    }
    *(void **)(void *)(message + field->offset) = elements;
    *(size_t *)(void *)(message + field->quantifier_offset) = count;
    return err;
}

static enum pl_err read_field(const struct pl_place *place, const json_t *json,
                              const ProtobufCFieldDescriptor *field, struct pl_arena *arena,
                              uint8_t *message)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_array(place, json, field, arena, message);
    if (field->quantifier_offset != 0)
        *(protobuf_c_boolean *)(void *)(message + field->quantifier_offset) = 1;
    return read_value(place, field->name, json, field, arena, message + field->offset);
}

static enum pl_err read_message(const struct pl_place *place, const json_t *json,
                                const ProtobufCMessageDescriptor *descriptor,
                                struct pl_arena *arena, ProtobufCMessage **message)
{
    void *taken = NULL;
    uint64_t seen = 0;
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return pl_field_fail(PL_REJECT_MALFORMED, place ? place->parent : NULL,
                             place ? place->name : descriptor->short_name,
                             ": not an object; write { ... }");
    enum pl_err err = take(arena, descriptor->sizeof_message, &taken);
    if (err)
        return err;
    *message = taken;
    protobuf_c_message_init(descriptor, taken);
    pl_assert(descriptor->n_fields <= FIELDS_MAX);
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const ProtobufCFieldDescriptor *field = find_field(descriptor, name);
        if (!field)
            return fail_unknown_field(descriptor, place, name);
        uint64_t bit = (uint64_t)1 << (field - descriptor->fields);
        if (seen & bit)
            return pl_field_fail(PL_REJECT_CONFLICT, place, field->name, ": given twice");
        seen |= bit;
        /* null is absence, as in protobuf's own JSON form. */
        if (!json_is_null(value))
            err = read_field(place, value, field, arena, taken);
        if (err)
            return err;
    }
    return PL_OK;
}

static enum pl_err check_topic(enum pl_topic topic)
{
    if (!pl_wire_descriptor(topic))
        return pl_err_set(PL_REJECT_UNKNOWN, "topic %s has no schema of its own",
                          pl_topic_word(topic));
    return PL_OK;
}

static enum pl_err pack(enum pl_topic topic, const ProtobufCMessage *message, uint8_t **value,
                        size_t *size_bytes)
{
    size_t packed_bytes = protobuf_c_message_get_packed_size(message);
    if (packed_bytes > pl_topic_value_bytes_max(topic))
        return pl_err_set(PL_REJECT_SIZE, "value has %zu bytes, %u are allowed on this topic",
                          packed_bytes, pl_topic_value_bytes_max(topic));
    *value = malloc(packed_bytes + 1);
    if (!*value)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a value");
    *size_bytes = protobuf_c_message_pack(message, *value);
    return PL_OK;
}

/* Memory for a message made from `size_bytes` of text or encoding; *block is the caller's. */
static enum pl_err open_arena(size_t size_bytes, void **block, struct pl_arena *arena)
{
    size_t memory_bytes = size_bytes * MEMORY_TIMES + MEMORY_BYTES_MIN;
    *block = malloc(memory_bytes);
    if (!*block)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a message");
    pl_arena_init(arena, *block, memory_bytes);
    return PL_OK;
}

enum pl_err pl_json_encode(enum pl_topic topic, const struct json_t *json, uint8_t **value,
                           size_t *size_bytes)
{
    void *block = NULL;
    struct pl_arena arena;
    ProtobufCMessage *message = NULL;
    size_t text_bytes = json_dumpb(json, NULL, 0, JSON_COMPACT);
    enum pl_err err = check_topic(topic);
    if (!err && text_bytes > TEXT_BYTES_MAX)
        err = pl_err_set(PL_REJECT_SIZE, "more than fits a record of any topic");
    if (!err)
        err = open_arena(text_bytes, &block, &arena);
    if (!err)
        err = read_message(NULL, json, pl_wire_descriptor(topic), &arena, &message);
    if (!err)
        err = pack(topic, message, value, size_bytes);
    free(block);
    return err;
}

/* ---- to JSON ---- */

static json_t *write_message(const ProtobufCMessage *message);

static json_t *write_bytes(const ProtobufCBinaryData *bytes)
{
    size_t room = (bytes->len + 2) / 3 * 4 + 1;
    char *text = malloc(room);
    if (!text)
        return NULL;
    int length = EVP_EncodeBlock((unsigned char *)text, bytes->data, (int)bytes->len);
    json_t *json = json_stringn(text, (size_t)length);
    free(text);
    return json;
}

static json_t *write_enum(const ProtobufCEnumDescriptor *descriptor, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
    return known ? json_string(known->name) : json_integer(value);
}

/* 64-bit numbers are text, as in protobuf's own JSON form: readers round large numbers. */
static json_t *write_wide(pl_i128 value)
{
    char text[PL_I128_TEXT_BYTES];
    pl_i128_print(value, text);
    return json_string(text);
}

static json_t *write_value(const ProtobufCFieldDescriptor *field, const void *member)
{
    pl_i128 min = 0, max = 0;
    if (integer_range(field->type, &min, &max)) {
        if (max > UINT32_MAX)
            return write_wide(min < 0 ? (pl_i128) * (const int64_t *)member
                                      : (pl_i128) * (const uint64_t *)member);
        return json_integer(min < 0 ? (json_int_t) * (const int32_t *)member
                                    : (json_int_t) * (const uint32_t *)member);
    }
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        return json_boolean(*(const protobuf_c_boolean *)member);
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return write_enum(field->descriptor, *(const int *)member);
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return json_string(*(const char *const *)member);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return write_bytes(member);
    pl_assert(field->type == PROTOBUF_C_TYPE_MESSAGE);
    return write_message(*(const ProtobufCMessage *const *)member);
}

static json_t *write_array(const ProtobufCFieldDescriptor *field, const uint8_t *message)
{
    json_t *array = json_array();
    const uint8_t *elements = *(const uint8_t *const *)(const void *)(message + field->offset);
    size_t count = *(const size_t *)(const void *)(message + field->quantifier_offset);
    for (size_t i = 0; array && i < count; i++) {
        /* Appending NULL fails, which is how a failure inside comes up. */
        if (json_array_append_new(array,
                                  write_value(field, elements + i * element_bytes(field->type)))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static bool is_present(const ProtobufCFieldDescriptor *field, const uint8_t *message)
{
    const void *quantifier = message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)quantifier > 0;
    if (field->quantifier_offset != 0)
        return *(const protobuf_c_boolean *)quantifier != 0;
    return *(const void *const *)(const void *)(message + field->offset) != NULL;
}

static json_t *write_message(const ProtobufCMessage *message)
{
    json_t *object = json_object();
    const uint8_t *bytes = (const uint8_t *)message;
    for (unsigned i = 0; object && i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_present(field, bytes))
            continue;
        json_t *value = field->label == PROTOBUF_C_LABEL_REPEATED
                            ? write_array(field, bytes)
                            : write_value(field, bytes + field->offset);
        if (json_object_set_new(object, field->name, value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

enum pl_err pl_json_decode(enum pl_topic topic, struct pl_bytes_view value, struct json_t **json)
{
    void *block = NULL;
    struct pl_arena arena;
    size_t max = pl_topic_value_bytes_max(topic);
    enum pl_err err = check_topic(topic);
    if (!err)
        err = open_arena(value.size_bytes < max ? value.size_bytes : max, &block, &arena);
    const ProtobufCMessage *message = err ? NULL : pl_wire_unpack(&arena, topic, value, &err);
    if (message) {
        *json = write_message(message);
        if (!*json)
            err = pl_err_set(PL_REJECT_MALFORMED, "a text is not UTF-8, or there is no memory");
    }
    free(block);
    return err;
}
