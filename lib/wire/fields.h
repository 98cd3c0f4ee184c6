/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the topics' files share, private to lib/wire: bytes to message and back within bounds, and
 * one function per kind of field, from message to plain value and back. Implemented in wire.c.
 *
 * A field that is refused is named by its place, with a cure: "field legs[2].quantity.mantissa: not
 * a decimal integer; write e.g. "-1500"". The texts never repeat an account id.
 */
#ifndef PL_WIRE_FIELDS_H
#define PL_WIRE_FIELDS_H

#include <protobuf-c/protobuf-c.h>

#include "lib/wire/wire.h"
#include "plimsoll/v1/amount.pb-c.h"
#include "plimsoll/v1/decimal.pb-c.h"
#include "plimsoll/v1/margin_call.pb-c.h"

/* ---- messages ---- */

/* Schema of a topic's value; NULL for dead letters, which carry the bytes of any other topic. */
const ProtobufCMessageDescriptor *pl_wire_descriptor(enum pl_topic topic);

/*
 * The topic's message in `value`, or NULL with *err set: REJECT_SIZE above the topic's limit or
 * when unpacking would need more than eight times that, REJECT_MALFORMED for anything that is no
 * message of the schema or not in its canonical size. `scratch` is reset first; the message lives
 * in it.
 */
void *pl_wire_unpack(struct pl_arena *scratch, enum pl_topic topic, struct pl_bytes_view value,
                     enum pl_err *err);

/* Packs into the encode arena. REJECT_SIZE above the topic's limit, REJECT_CAPACITY when the arena
 * is exhausted. */
enum pl_err pl_wire_pack(struct pl_wire *wire, enum pl_topic topic, const ProtobufCMessage *message,
                         struct pl_bytes_view *value);

/* Zeroed memory for a message being built, from the decode arena, which is large enough for any
 * message whose counts are within their limits: exhaustion is an assertion. */
void *pl_wire_take(struct pl_wire *wire, size_t size_bytes);

/* REJECT_KEY unless the key is exactly `id`, which is what `field` of the value says. */
enum pl_err pl_wire_check_key(struct pl_bytes_view key, const char *field, const struct pl_id *id);

/* ---- reading fields ---- */

/* Where a message stands in the value; the root is NULL. index: -1 where nothing repeats. */
struct pl_place {
    const struct pl_place *parent;
    const char *name;
    int index;
};

/* Sets the text "field PATH" followed by the formatted rest. */
enum pl_err pl_field_fail(enum pl_err err, const struct pl_place *place, const char *field,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
enum pl_err pl_field_missing(const struct pl_place *place, const char *field);

/* A scalar field as protobuf-c holds it, whatever its width. */
struct pl_scalar {
    const char *name;
    bool is_present;
    pl_i128 value;
};
#define PL_SCALAR(message, field)                                                                  \
    ((struct pl_scalar){#field, (message)->has_##field, (pl_i128)(message)->field})

/* REJECT_MISSING when absent, REJECT_RANGE outside min..max, REJECT_UNKNOWN for an enum value that
 * the schema does not declare, or 0. */
enum pl_err pl_field_u64(const struct pl_place *place, struct pl_scalar field, uint64_t min,
                         uint64_t max, uint64_t *value);
enum pl_err pl_field_i64(const struct pl_place *place, struct pl_scalar field, int64_t min,
                         int64_t max, int64_t *value);
enum pl_err pl_field_u32(const struct pl_place *place, struct pl_scalar field, uint32_t min,
                         uint32_t max, uint32_t *value);
enum pl_err pl_field_i32(const struct pl_place *place, struct pl_scalar field, int32_t min,
                         int32_t max, int32_t *value);
/* Milliseconds since the epoch, not negative. */
enum pl_err pl_field_time(const struct pl_place *place, struct pl_scalar field, int64_t *value);
enum pl_err pl_field_enum(const struct pl_place *place, struct pl_scalar field,
                          const ProtobufCEnumDescriptor *descriptor, uint32_t *value);

/* REJECT_SIZE when there are more than `max` elements. */
enum pl_err pl_field_count(const struct pl_place *place, const char *field, size_t count,
                           uint32_t max, uint32_t *value);
enum pl_err pl_field_id(const struct pl_place *place, const char *field, const char *text,
                        struct pl_id *id);
/* An id that may be absent: size 0. */
enum pl_err pl_field_id_or_none(const struct pl_place *place, const char *field, const char *text,
                                struct pl_id *id);
/* Whom the fields `account` and `bucket` name (wire.h). The key must be the account where others write
 * the topic, and the whole id where we do. REJECT_KEY, REJECT_RANGE, REJECT_SIZE. */
enum pl_account_key { PL_KEY_ACCOUNT, PL_KEY_WHOLE };
enum pl_err pl_field_account(const char *account, const char *bucket, struct pl_bytes_view key,
                             enum pl_account_key kind, struct pl_id *id);
enum pl_err pl_field_uuid(const struct pl_place *place, const char *field, const char *text,
                          uint8_t id[PL_ORDER_ID_BYTES]);
/* At most `bytes_max` bytes of printable ASCII or space, copied with a terminator. */
enum pl_err pl_field_text(const struct pl_place *place, const char *field, const char *from,
                          size_t bytes_max, char *text);
enum pl_err pl_field_amount(const struct pl_place *place, const char *field,
                            const Plimsoll__V1__Amount *from, struct pl_amount *amount);
/* As pl_field_amount; zero when absent. */
enum pl_err pl_field_amount_or_zero(const struct pl_place *place, const char *field,
                                    const Plimsoll__V1__Amount *from, struct pl_amount *amount);
/* As pl_field_amount; REJECT_RANGE below zero. */
enum pl_err pl_field_magnitude(const struct pl_place *place, const char *field,
                               const Plimsoll__V1__Amount *from, struct pl_amount *amount);
enum pl_err pl_field_decimal(const struct pl_place *place, const char *field,
                             const Plimsoll__V1__Decimal *from, int64_t *mantissa,
                             int32_t *exponent);

/* ---- building fields ---- */

/* protobuf-c has no const strings; it never writes to them either. The id must outlive packing. */
char *pl_build_id(const struct pl_id *id);
/* The fields `account` and `bucket` of whom `id` names; the bucket is "" where there is none. */
char *pl_build_account(struct pl_wire *wire, const struct pl_id *id);
char *pl_build_bucket(const struct pl_id *id);
char *pl_build_uuid(struct pl_wire *wire, const uint8_t id[PL_ORDER_ID_BYTES]);
Plimsoll__V1__Amount *pl_build_amount(struct pl_wire *wire, pl_i128 mantissa, int32_t exponent);
/* NULL for the zeroed amount, which reads back as the same. */
Plimsoll__V1__Amount *pl_build_amount_or_none(struct pl_wire *wire, const struct pl_amount *amount);
Plimsoll__V1__Decimal *pl_build_decimal(struct pl_wire *wire, int64_t mantissa, int32_t exponent);

/* Shared by alerts and account states; in margin_call.c. */
Plimsoll__V1__MarginCall__Doubt **pl_build_doubts(struct pl_wire *wire,
                                                  const struct pl_names *names,
                                                  const struct pl_doubt *doubts, uint32_t count);

/* Sets a scalar field of a message together with its presence. */
#define PL_PUT(message, field, what)                                                               \
    do {                                                                                           \
        (message)->has_##field = 1;                                                                \
        (message)->field = (what);                                                                 \
    } while (0)

#endif
