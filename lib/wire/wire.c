/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The border between bytes and plain values: memory for protobuf-c, the checks that every value
 * goes through before its fields are looked at, and one function per kind of field. Step 2 of the
 * event's path. What is refused here is refused with a place and a cure (G7); nothing is repaired
 * silently.
 */
#include "lib/wire/wire.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "plimsoll/v1/account_state.pb-c.h"
#include "plimsoll/v1/chain_status.pb-c.h"
#include "plimsoll/v1/control.pb-c.h"
#include "plimsoll/v1/execution_report.pb-c.h"
#include "plimsoll/v1/forced_sale_order.pb-c.h"
#include "plimsoll/v1/holdings.pb-c.h"
#include "plimsoll/v1/journal_entry.pb-c.h"
#include "plimsoll/v1/margin_call.pb-c.h"
#include "plimsoll/v1/mark.pb-c.h"
#include "plimsoll/v1/parameter_set.pb-c.h"
#include "plimsoll/v1/position.pb-c.h"
#include "plimsoll/v1/price.pb-c.h"

enum {
    ALIGN_BYTES = 8,
    /* Unpacking may take this many times the topic's size limit: a full ParameterSet takes less
     * than seven times its size, a value made of empty sub-messages would take fifty (T23). */
    AMPLIFICATION_MAX = 8,
    PATH_BYTES_MAX = 160,
};

/* ---- memory ---- */

void pl_wire_init(struct pl_wire *wire, void *block, size_t size_bytes)
{
    size_t half = size_bytes / 2 & ~(size_t)(ALIGN_BYTES - 1);
    pl_arena_init(&wire->decode, block, half);
    pl_arena_init(&wire->encode, (uint8_t *)block + half, size_bytes - half);
}

void pl_wire_reset(struct pl_wire *wire)
{
    pl_arena_reset(&wire->decode);
    pl_arena_reset(&wire->encode);
}

void *pl_wire_take(struct pl_wire *wire, size_t size_bytes)
{
    void *taken = pl_arena_take(&wire->decode, size_bytes, ALIGN_BYTES);
    pl_assert(taken);
    return memset(taken, 0, size_bytes);
}

/* ---- messages ---- */

const ProtobufCMessageDescriptor *pl_wire_descriptor(enum pl_topic topic)
{
    static const ProtobufCMessageDescriptor *const descriptors[PL_TOPIC_COUNT] = {
        [PL_TOPIC_PRICES] = &plimsoll__v1__price__descriptor,
        [PL_TOPIC_POSITIONS] = &plimsoll__v1__position_event__descriptor,
        [PL_TOPIC_MARKS] = &plimsoll__v1__mark__descriptor,
        [PL_TOPIC_HOLDINGS] = &plimsoll__v1__holdings__descriptor,
        [PL_TOPIC_PARAMETERS] = &plimsoll__v1__parameter_set__descriptor,
        [PL_TOPIC_CHAINS] = &plimsoll__v1__chain_status__descriptor,
        [PL_TOPIC_CONTROL] = &plimsoll__v1__control__descriptor,
        [PL_TOPIC_EXECUTIONS] = &plimsoll__v1__execution_report__descriptor,
        [PL_TOPIC_ORDERS] = &plimsoll__v1__forced_sale_order__descriptor,
        [PL_TOPIC_ALERTS] = &plimsoll__v1__margin_call__descriptor,
        [PL_TOPIC_ACCOUNTS] = &plimsoll__v1__account_state__descriptor,
        [PL_TOPIC_JOURNAL] = &plimsoll__v1__journal_entry__descriptor,
        [PL_TOPIC_DEADLETTER] = NULL,
    };
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    return descriptors[topic];
}

/* An arena with a cap, as protobuf-c wants it. */
struct capped {
    struct pl_arena *arena;
    size_t left_bytes;
    bool is_exhausted;
};

static void *capped_alloc(void *data, size_t size_bytes)
{
    struct capped *capped = data;
    void *taken = NULL;
    if (size_bytes <= capped->left_bytes)
        taken = pl_arena_take(capped->arena, size_bytes, ALIGN_BYTES);
    if (taken)
        capped->left_bytes -= size_bytes;
    else
        capped->is_exhausted = true;
    return taken;
}

static void capped_free(void *data, void *taken)
{
    (void)data;
    (void)taken; /* everything goes at once, by reset */
}

void *pl_wire_unpack(struct pl_arena *scratch, enum pl_topic topic, struct pl_bytes_view value,
                     enum pl_err *err)
{
    size_t max = pl_topic_value_bytes_max(topic);
    pl_arena_reset(scratch);
    if (!value.data) {
        *err = pl_err_set(PL_REJECT_MALFORMED, "no value: a tombstone is not allowed here");
        return NULL;
    }
    if (value.size_bytes > max) {
        *err = pl_err_set(PL_REJECT_SIZE, "value has %zu bytes, %zu are allowed on this topic",
                          value.size_bytes, max);
        return NULL;
    }
    struct capped capped = {.arena = scratch, .left_bytes = max * AMPLIFICATION_MAX};
    ProtobufCAllocator allocator = {capped_alloc, capped_free, &capped};
    const ProtobufCMessageDescriptor *descriptor = pl_wire_descriptor(topic);
    pl_assert(descriptor);
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, value.size_bytes,
                                                          value.data);
    if (message && protobuf_c_message_get_packed_size(message) == value.size_bytes)
        return message;
    if (message)
        /* A field given twice, text with an embedded NUL, or a number in too many bytes: two
         * readers could see two different things. No field can gain size on the way back, for no
         * int32 is in the schemas and enum values are checked, so nothing is made up for. */
        *err = pl_err_set(PL_REJECT_MALFORMED,
                          "not a canonical %s: a field is given twice, text "
                          "holds a NUL or a number has padding",
                          descriptor->short_name);
    else if (capped.is_exhausted)
        *err = pl_err_set(PL_REJECT_SIZE,
                          "value needs more than %d times this topic's limit in "
                          "memory: too many elements",
                          AMPLIFICATION_MAX);
    else
        *err = pl_err_set(PL_REJECT_MALFORMED,
                          "not a %s: write the message of this name in "
                          "plimsoll.v1 with the protobuf encoding, nothing before it",
                          descriptor->short_name);
    return NULL;
}

enum pl_err pl_wire_pack(struct pl_wire *wire, enum pl_topic topic, const ProtobufCMessage *message,
                         struct pl_bytes_view *value)
{
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    if (size_bytes > pl_topic_value_bytes_max(topic))
        return pl_err_set(PL_REJECT_SIZE, "%s of %zu bytes, %u are allowed on this topic",
                          message->descriptor->short_name, size_bytes,
                          pl_topic_value_bytes_max(topic));
    uint8_t *bytes = pl_arena_take(&wire->encode, size_bytes, 1);
    if (!bytes)
        return pl_err_set(PL_REJECT_CAPACITY, "the encoder's memory of %zu bytes is full",
                          wire->encode.size_bytes);
    size_t written = protobuf_c_message_pack(message, bytes);
    pl_assert(written == size_bytes);
    pl_arena_reset(&wire->decode); /* what the message was built in */
    *value = (struct pl_bytes_view){bytes, size_bytes};
    return PL_OK;
}

enum pl_err pl_wire_check_key(struct pl_bytes_view key, const char *field, const struct pl_id *id)
{
    if (!key.data || key.size_bytes == 0)
        return pl_err_set(PL_REJECT_KEY, "no key: write the value's %s as the record's key", field);
    if (key.size_bytes != id->size_bytes || memcmp(key.data, id->text, key.size_bytes) != 0)
        return pl_err_set(PL_REJECT_KEY, "key is not the %s that the value names", field);
    return PL_OK;
}

/* ---- reading fields ---- */

/* Appends "legs[2]." and the like; returns the new length, never past the end. */
static size_t print_place(const struct pl_place *place, char path[PATH_BYTES_MAX])
{
    if (!place)
        return 0;
    size_t length = print_place(place->parent, path);
    size_t room = PATH_BYTES_MAX - length;
    int added = place->index < 0
                    ? snprintf(path + length, room, "%s.", place->name)
                    : snprintf(path + length, room, "%s[%d].", place->name, place->index);
    return (size_t)added < room ? length + (size_t)added : length;
}

enum pl_err pl_field_fail(enum pl_err err, const struct pl_place *place, const char *field,
                          const char *format, ...)
{
    char path[PATH_BYTES_MAX] = "", rest[PL_ERR_TEXT_BYTES_MAX];
    print_place(place, path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rest, sizeof(rest), format, arguments);
    va_end(arguments);
    return pl_err_set(err, "field %s%s%s", path, field, rest);
}

enum pl_err pl_field_missing(const struct pl_place *place, const char *field)
{
    return pl_field_fail(PL_REJECT_MISSING, place, field, " is missing");
}

static enum pl_err check_scalar(const struct pl_place *place, const struct pl_scalar *field,
                                pl_i128 min, pl_i128 max)
{
    if (!field->is_present)
        return pl_field_missing(place, field->name);
    if (field->value >= min && field->value <= max)
        return PL_OK;
    char value[PL_I128_TEXT_BYTES], low[PL_I128_TEXT_BYTES], high[PL_I128_TEXT_BYTES];
    pl_i128_print(field->value, value);
    pl_i128_print(min, low);
    pl_i128_print(max, high);
    return pl_field_fail(PL_REJECT_RANGE, place, field->name, ": %s is outside %s..%s", value, low,
                         high);
}

enum pl_err pl_field_u64(const struct pl_place *place, struct pl_scalar field, uint64_t min,
                         uint64_t max, uint64_t *value)
{
    *value = (uint64_t)field.value;
    return check_scalar(place, &field, min, max);
}

enum pl_err pl_field_i64(const struct pl_place *place, struct pl_scalar field, int64_t min,
                         int64_t max, int64_t *value)
{
    *value = (int64_t)field.value;
    return check_scalar(place, &field, min, max);
}

enum pl_err pl_field_u32(const struct pl_place *place, struct pl_scalar field, uint32_t min,
                         uint32_t max, uint32_t *value)
{
    *value = (uint32_t)field.value;
    return check_scalar(place, &field, min, max);
}

enum pl_err pl_field_i32(const struct pl_place *place, struct pl_scalar field, int32_t min,
                         int32_t max, int32_t *value)
{
    *value = (int32_t)field.value;
    return check_scalar(place, &field, min, max);
}

enum pl_err pl_field_time(const struct pl_place *place, struct pl_scalar field, int64_t *value)
{
    return pl_field_i64(place, field, 0, INT64_MAX, value);
}

enum pl_err pl_field_enum(const struct pl_place *place, struct pl_scalar field,
                          const ProtobufCEnumDescriptor *descriptor, uint32_t *value)
{
    if (!field.is_present)
        return pl_field_missing(place, field.name);
    *value = (uint32_t)field.value;
    if (field.value > 0 && protobuf_c_enum_descriptor_get_value(descriptor, (int)field.value))
        return PL_OK;
    char names[PL_ERR_TEXT_BYTES_MAX] = "";
    size_t length = 0;
    for (unsigned i = 0; i < descriptor->n_values && length < sizeof(names); i++)
        if (descriptor->values[i].value != 0)
            length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                       length > 0 ? ", " : "", descriptor->values[i].name);
    return pl_field_fail(PL_REJECT_UNKNOWN, place, field.name,
                         ": %d is no value of it; write one "
                         "of %s",
                         (int)field.value, names);
}

enum pl_err pl_field_count(const struct pl_place *place, const char *field, size_t count,
                           uint32_t max, uint32_t *value)
{
    if (count > max)
        return pl_field_fail(PL_REJECT_SIZE, place, field, ": %zu elements, %u are allowed", count,
                             max);
    *value = (uint32_t)count;
    return PL_OK;
}

/* Puts the place in front of a text that a lower layer has set. */
static enum pl_err note_place(enum pl_err err, const struct pl_place *place, const char *field)
{
    char path[PATH_BYTES_MAX] = "";
    print_place(place, path);
    return pl_err_note(err, "field %s%s", path, field);
}

enum pl_err pl_field_id(const struct pl_place *place, const char *field, const char *text,
                        struct pl_id *id)
{
    if (!text)
        return pl_field_missing(place, field);
    enum pl_err err = pl_id_set(id, text, strlen(text));
    return err ? note_place(err, place, field) : PL_OK;
}

enum pl_err pl_field_id_or_none(const struct pl_place *place, const char *field, const char *text,
                                struct pl_id *id)
{
    *id = (struct pl_id){0};
    return text && *text ? pl_field_id(place, field, text, id) : PL_OK;
}

static enum pl_err read_name(const char *field, const char *text, struct pl_id *name)
{
    enum pl_err err = pl_field_id(NULL, field, text, name);
    if (!err && memchr(name->text, PL_BUCKET_MARK, name->size_bytes))
        err = pl_field_fail(PL_REJECT_KEY, NULL, field, ": contains '~', which is reserved");
    return err;
}

static enum pl_err add_bucket(const struct pl_id *bucket, struct pl_id *id)
{
    if (id->size_bytes + 1 + bucket->size_bytes > PL_ID_BYTES_MAX)
        return pl_field_fail(PL_REJECT_SIZE, NULL, "bucket",
                             ": has %u bytes and the account %u, %d are allowed together",
                             bucket->size_bytes, id->size_bytes, PL_ID_BYTES_MAX - 1);
    id->text[id->size_bytes] = PL_BUCKET_MARK;
    memcpy(&id->text[id->size_bytes + 1], bucket->text, bucket->size_bytes);
    id->size_bytes = (uint8_t)(id->size_bytes + 1 + bucket->size_bytes);
    return PL_OK;
}

enum pl_err pl_field_account(const char *account, const char *bucket, struct pl_bytes_view key,
                             enum pl_account_key kind, struct pl_id *id)
{
    struct pl_id name;
    enum pl_err err = read_name("account", account, id);
    if (!err && kind == PL_KEY_ACCOUNT)
        err = pl_wire_check_key(key, "account", id);
    if (!err && bucket && *bucket) {
        err = read_name("bucket", bucket, &name);
        if (!err)
            err = add_bucket(&name, id);
    }
    return err || kind == PL_KEY_ACCOUNT ? err : pl_wire_check_key(key, "account~bucket", id);
}

enum pl_err pl_wire_key_account(struct pl_bytes_view key, struct pl_id *id)
{
    enum pl_err err = pl_id_set(id, key.data, key.size_bytes);
    size_t account_bytes = pl_account_part(key).size_bytes;
    bool has_bucket = account_bytes < key.size_bytes;
    bool is_good = account_bytes > 0 && (!has_bucket || *pl_bucket_part(id)) &&
                   !strchr(pl_bucket_part(id), PL_BUCKET_MARK);
    if (err || is_good)
        return err;
    *id = (struct pl_id){0};
    return pl_err_set(PL_REJECT_KEY, "key has a '~' that does not part an account from its bucket");
}

enum pl_err pl_field_uuid(const struct pl_place *place, const char *field, const char *text,
                          uint8_t id[PL_ORDER_ID_BYTES])
{
    if (!text)
        return pl_field_missing(place, field);
    enum pl_err err = pl_uuid_parse(text, id);
    return err ? note_place(err, place, field) : PL_OK;
}

enum pl_err pl_field_text(const struct pl_place *place, const char *field, const char *from,
                          size_t bytes_max, char *text)
{
    if (!from)
        return pl_field_missing(place, field);
    size_t size_bytes = strlen(from);
    if (size_bytes > bytes_max)
        return pl_field_fail(PL_REJECT_RANGE, place, field, ": %zu bytes, %zu are allowed",
                             size_bytes, bytes_max);
    for (size_t i = 0; i < size_bytes; i++)
        if (from[i] < 0x20 || from[i] > 0x7e)
            return pl_field_fail(PL_REJECT_RANGE, place, field,
                                 ": byte 0x%02x at %zu, printable ASCII is allowed",
                                 (unsigned)(unsigned char)from[i], i);
    memcpy(text, from, size_bytes + 1);
    return PL_OK;
}

static enum pl_err read_exponent(const struct pl_place *place, struct pl_scalar field,
                                 int32_t *exponent)
{
    return pl_field_i32(place, field, PL_EXPONENT_MIN, PL_EXPONENT_MAX, exponent);
}

enum pl_err pl_field_amount(const struct pl_place *place, const char *field,
                            const Plimsoll__V1__Amount *from, struct pl_amount *amount)
{
    const struct pl_place here = {place, field, -1};
    if (!from)
        return pl_field_missing(place, field);
    if (!from->mantissa)
        return pl_field_missing(&here, "mantissa");
    enum pl_err err = pl_i128_parse(from->mantissa, strlen(from->mantissa), &amount->mantissa);
    if (err == PL_REJECT_OVERFLOW)
        return pl_field_fail(err, &here, "mantissa", ": outside 128 bits; use a larger exponent");
    if (err)
        return pl_field_fail(err, &here, "mantissa",
                             ": not a decimal integer; write e.g. \"-1500\"");
    return read_exponent(&here, PL_SCALAR(from, exponent), &amount->exponent);
}

enum pl_err pl_field_amount_or_zero(const struct pl_place *place, const char *field,
                                    const Plimsoll__V1__Amount *from, struct pl_amount *amount)
{
    *amount = (struct pl_amount){0};
    return from ? pl_field_amount(place, field, from, amount) : PL_OK;
}

enum pl_err pl_field_magnitude(const struct pl_place *place, const char *field,
                               const Plimsoll__V1__Amount *from, struct pl_amount *amount)
{
    enum pl_err err = pl_field_amount(place, field, from, amount);
    if (!err && amount->mantissa < 0)
        return pl_field_fail(PL_REJECT_RANGE, place, field,
                             ": negative; write the magnitude, without a sign");
    return err;
}

enum pl_err pl_field_decimal(const struct pl_place *place, const char *field,
                             const Plimsoll__V1__Decimal *from, int64_t *mantissa,
                             int32_t *exponent)
{
    const struct pl_place here = {place, field, -1};
    if (!from)
        return pl_field_missing(place, field);
    enum pl_err err = pl_field_i64(&here, PL_SCALAR(from, mantissa), INT64_MIN, INT64_MAX,
                                   mantissa);
    return err ? err : read_exponent(&here, PL_SCALAR(from, exponent), exponent);
}

/* ---- building fields ---- */

char *pl_build_id(const struct pl_id *id)
{
    pl_assert(id->size_bytes > 0 && id->text[id->size_bytes] == '\0');
    return (char *)(uintptr_t)id->text;
}

char *pl_build_account(struct pl_wire *wire, const struct pl_id *id)
{
    struct pl_bytes_view whole = {(const uint8_t *)id->text, id->size_bytes};
    struct pl_bytes_view account = pl_account_part(whole);
    if (account.size_bytes == whole.size_bytes)
        return pl_build_id(id);
    char *text = pl_wire_take(wire, account.size_bytes + 1);
    memcpy(text, account.data, account.size_bytes); /* what is taken is zeroed */
    return text;
}

char *pl_build_bucket(const struct pl_id *id)
{
    return (char *)(uintptr_t)pl_bucket_part(id);
}

char *pl_build_uuid(struct pl_wire *wire, const uint8_t id[PL_ORDER_ID_BYTES])
{
    char *text = pl_wire_take(wire, PL_UUID_TEXT_BYTES);
    pl_uuid_print(id, text);
    return text;
}

Plimsoll__V1__Amount *pl_build_amount(struct pl_wire *wire, pl_i128 mantissa, int32_t exponent)
{
    Plimsoll__V1__Amount *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__amount__init(to);
    to->mantissa = pl_wire_take(wire, PL_I128_TEXT_BYTES);
    pl_i128_print(mantissa, to->mantissa);
    PL_PUT(to, exponent, exponent);
    return to;
}

Plimsoll__V1__Amount *pl_build_amount_or_none(struct pl_wire *wire, const struct pl_amount *amount)
{
    if (amount->mantissa == 0 && amount->exponent == 0)
        return NULL;
    return pl_build_amount(wire, amount->mantissa, amount->exponent);
}

Plimsoll__V1__Decimal *pl_build_decimal(struct pl_wire *wire, int64_t mantissa, int32_t exponent)
{
    Plimsoll__V1__Decimal *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__decimal__init(to);
    PL_PUT(to, mantissa, mantissa);
    PL_PUT(to, exponent, exponent);
    return to;
}
