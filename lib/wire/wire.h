/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire: one file per topic, decode and encode of a topic in the same file. Bytes become plain
 * structs in range or a reject reason; nothing past this border sees protobuf.
 *
 * Decoding is bounded: the size limit of the topic is checked first, unpacking uses a fixed arena
 * (no recursion in the schemas, no heap; T22, T23), presence, ranges, UTF-8-free printable ids and
 * counts after it. An encoding that protobuf-c would not write back at the same size is refused as
 * malformed: that catches duplicate fields and ids cut by an embedded NUL (T24). Unknown fields
 * pass. The record key must be the id that the value names.
 *
 * Every decoder answers PL_OK or a reject, with a text that names the field and the cure; what it
 * has written to its result by then is unspecified:
 *   REJECT_MALFORMED  no value, no message of the schema, no canonical encoding, text that should be
 *                     a number or UUID and is none
 *   REJECT_SIZE       value above the topic's limit, more elements than their maximum
 *   REJECT_MISSING    a field that the struct needs is absent (which ones may be is in the schemas)
 *   REJECT_RANGE      a number, time or text outside its range
 *   REJECT_OVERFLOW   an amount outside 128 bits
 *   REJECT_UNKNOWN    an enum value, topic word, factor, … that nobody declared
 *   REJECT_CONFLICT   fields that contradict each other: the same instrument, source or order twice
 *   REJECT_KEY        the key is not the id that the value names, or an id is empty, too long or an
 *                     account that begins with the reserved '~'
 *   REJECT_CAPACITY   the table of names is full (decoders that take `names`)
 * Every encoder answers PL_OK, REJECT_SIZE (above the topic's limit: no counts within their maxima
 * get there) or REJECT_CAPACITY (the encode arena is exhausted). Equal arguments give equal bytes
 * (G2).
 */
#ifndef PL_WIRE_WIRE_H
#define PL_WIRE_WIRE_H

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/wire/topics.h"
#include "lib/plimsoll.h"
#include "lib/position/position.h"
#include "lib/price/price.h"

/* Working memory of a decoder and encoder: one per process. Encoded views are borrowed from it
 * until the next pl_wire_reset; decoding and building take from `decode`, which every call starts
 * anew. */
struct pl_wire {
    struct pl_arena decode;
    struct pl_arena encode;
    struct pl_record_holdings record; /* scratch                                               */
    struct pl_option_grid grid;       /* scratch                                               */
};

/* Halves `block`, which is borrowed. 64 MiB of address space is plenty: the largest topic value
 * times eight, and as much for a step's outputs. With less, large values are refused for their
 * size. */
void pl_wire_init(struct pl_wire *wire, void *block, size_t size_bytes);
void pl_wire_reset(struct pl_wire *wire);

/* price.c */
enum pl_err pl_wire_price_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_price *price);

/* mark.c. A mark of an instrument nobody listed is interned all the same. mark->grid is wire's, until
 * the next mark is decoded. */
enum pl_err pl_wire_mark_decode(struct pl_wire *wire, struct pl_names *names,
                                struct pl_bytes_view key, struct pl_bytes_view value,
                                uint32_t *instrument, struct pl_mark *mark);
enum pl_err pl_wire_mark_encode(struct pl_wire *wire, const struct pl_id *instrument,
                                const struct pl_mark *mark, struct pl_bytes_view *value);

/* position.c */
enum pl_err pl_wire_position_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                    struct pl_bytes_view value, struct pl_position_event *event);

/* Whom a record's key alone names, for what has to be said when its value cannot be read. REJECT_KEY,
 * REJECT_RANGE when the key is no such id; *id is then none. */
enum pl_err pl_wire_key_account(struct pl_bytes_view key, struct pl_id *id);

/* holdings.c. Key of the watermark record: PL_WATERMARK_KEY; account ids beginning with '~' are
 * reserved. */
#define PL_WATERMARK_KEY "~watermark"
struct pl_watermark { uint64_t positions_offset; int64_t time_ms; };
bool pl_wire_is_watermark(struct pl_bytes_view key);
enum pl_err pl_wire_watermark_decode(struct pl_wire *wire, struct pl_bytes_view value,
                                     struct pl_watermark *watermark);
enum pl_err pl_wire_watermark_encode(struct pl_wire *wire, const struct pl_watermark *watermark,
                                     struct pl_bytes_view *value);
/* The tail comes back by source and sequence; changes of one source keep the order in which they
 * were applied. Writing what was read gives the same bytes. */
enum pl_err pl_wire_record_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                  struct pl_bytes_view value, struct pl_record_holdings *record);
enum pl_err pl_wire_record_encode(struct pl_wire *wire, const struct pl_record_holdings *record,
                                  struct pl_bytes_view *value);
/* Decodes a record and derives what is evaluated from it (pl_record_to_holdings). The digest is
 * XXH3-128 of the value as received, seeded with XXH3-64 of the key. */
enum pl_err pl_wire_holdings_decode(struct pl_wire *wire, struct pl_names *names,
                                    struct pl_bytes_view key, struct pl_bytes_view value,
                                    struct pl_holdings *holdings);

/* parameter_set.c. Fills and finishes (validates) the set; interns its instruments. */
enum pl_err pl_wire_parameters_decode(struct pl_wire *wire, struct pl_names *names,
                                      struct pl_bytes_view value,
                                      struct pl_parameters *parameters);
/* effective_set.c. The effective set of `derived`, which is a base set's with its own epoch and, where
 * instruments have a model, derived haircuts; `base` are the base set's bytes. What is derived is not
 * validated here. Without `derived` (and names) it is the base set under its own epoch. */
enum pl_err pl_wire_parameters_effective(struct pl_wire *wire, struct pl_bytes_view base,
                                         const struct pl_names *names,
                                         const struct pl_parameters *derived,
                                         struct pl_bytes_view *effective);
/* The base set that an effective one contains; a base set itself. Both come out in one form, so that
 * equal sets are equal bytes. `value` was decoded before. */
enum pl_err pl_wire_parameters_base(struct pl_wire *wire, struct pl_bytes_view value,
                                    struct pl_bytes_view *base);

/* chain_status.c */
enum { PL_BRIDGES_MAX = 64 };
struct pl_bridge_status {
    struct pl_id bridge;
    bool is_halted;
    int64_t halted_since_ms;   /* of a halted one */
};
struct pl_chain_status {
    struct pl_id chain;
    uint64_t head_height, finalised_height;
    bool is_halted;
    int64_t halted_since_ms;   /* of a halted one */
    int64_t event_time_ms;
    uint32_t bridge_count;
    struct pl_bridge_status bridges[PL_BRIDGES_MAX];
};
enum pl_err pl_wire_chain_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_chain_status *status);
/* Room for the halts of everything at once, in practice; more is REJECT_CAPACITY. */
enum { PL_CHAIN_HALTS_MAX = 1024 };
/* Puts what `status` says is halted in place of what `halts` say of its chain. REJECT_CAPACITY leaves
 * them as they were. */
enum pl_err pl_chain_halts_set(const struct pl_chain_status *status,
                               struct pl_chain_halt halts[PL_CHAIN_HALTS_MAX], uint32_t *count);

/* control.c. scope: "all" has account of size 0. */
struct pl_control {
    struct pl_id account;
    bool is_halt;
    uint64_t epoch;
    int64_t created_ms;
    char actor[65], reason[257];
};
enum pl_err pl_wire_control_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                   struct pl_bytes_view value, struct pl_control *control);
/* Also gives the key: "all" or "account=ID". */
enum pl_err pl_wire_control_encode(struct pl_wire *wire, const struct pl_control *control,
                                   struct pl_bytes_view *key, struct pl_bytes_view *value);

/* execution_report.c */
enum pl_err pl_wire_execution_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                     struct pl_bytes_view value, struct pl_execution *execution);

/* forced_sale_order.c */
struct pl_plan_id { uint8_t bytes[PL_ORDER_ID_BYTES]; };
/* `id` is a whole one (topics.h). SHA-256 of "plimsoll.plan.v1" and account, bucket, episode (8 bytes) and revision (4 bytes), each
 * after its length in 4 bytes, all numbers big-endian; cut to 128 bits in the shape of UUIDv8. */
void pl_plan_id(const struct pl_id *id, uint64_t episode, uint32_t revision,
                struct pl_plan_id *plan_id);
/* SHA-256 of the plan id's 16 bytes and the instrument's, cut and shaped alike. */
void pl_order_id(const struct pl_plan_id *plan_id, const struct pl_id *instrument,
                 uint8_t order_id[PL_ORDER_ID_BYTES]);
enum { PL_UUID_TEXT_BYTES = 37 };
/* Lower case with dashes; nothing else is read (REJECT_MALFORMED). */
void pl_uuid_print(const uint8_t id[PL_ORDER_ID_BYTES], char text[PL_UUID_TEXT_BYTES]);
enum pl_err pl_uuid_parse(const char *text, uint8_t id[PL_ORDER_ID_BYTES]);

/* What an order, an alert or a state record says besides the decision itself. */
struct pl_wire_context {
    const struct pl_names *names;
    const struct pl_market *market;
    const struct pl_mark *marks;
    const struct pl_account *account;
    const struct pl_leg *legs; /* the account's, as the book has them: by instrument id           */
    uint64_t control_epoch;
};
/* Order of leg `leg` (from 0) of the decision's sale. */
enum pl_err pl_wire_order_encode(struct pl_wire *wire, const struct pl_wire_context *context,
                                 const struct pl_decision *decision, uint32_t leg,
                                 struct pl_bytes_view *value);
/* A decoded order, for tools. */
struct pl_order {
    uint8_t order_id[PL_ORDER_ID_BYTES], plan_id[PL_ORDER_ID_BYTES];
    struct pl_id account, instrument;
    uint64_t episode;
    uint32_t revision, leg, leg_count;
    enum pl_side side;
    int64_t lots;
    uint32_t lot_decimals;
    int64_t limit_mantissa;
    int32_t limit_exponent;
    int64_t created_ms, valid_until_ms;
    bool is_bankrupt;
    uint64_t holdings_version, parameter_epoch;
};
enum pl_err pl_wire_order_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_order *order);

/* margin_call.c. Numbers are the verdict's lower bounds; those without a bound are left out. */
enum pl_err pl_wire_alert_encode(struct pl_wire *wire, const struct pl_wire_context *context,
                                 const struct pl_decision *decision, uint32_t alert,
                                 struct pl_bytes_view *value);

/* account_state.c */
enum pl_err pl_wire_state_encode(struct pl_wire *wire, const struct pl_names *names,
                                 const struct pl_id *account,
                                 const struct pl_account_state *state,
                                 struct pl_bytes_view *value);
enum pl_err pl_wire_state_decode(struct pl_wire *wire, struct pl_names *names,
                                 struct pl_bytes_view key, struct pl_bytes_view value,
                                 struct pl_account_state *state);

/* account_state.c too: what was used of the brake's budgets stands on the same topic, under its own key. */
#define PL_BUDGET_KEY "~budget"
bool pl_wire_is_budget(struct pl_bytes_view key);
enum pl_err pl_wire_budget_encode(struct pl_wire *wire, const struct pl_names *names,
                                  const struct pl_budget *budget, struct pl_bytes_view *value);
enum pl_err pl_wire_budget_decode(struct pl_wire *wire, struct pl_names *names,
                                  struct pl_bytes_view value, struct pl_budget *budget);

/* journal_entry.c */
enum { PL_HASH_BYTES = 32, PL_VECTOR_MAX = 8, PL_SLOT_BYTES_MAX = 64 };
enum pl_journal_kind { PL_JOURNAL_STEP = 1, PL_JOURNAL_HEARTBEAT, PL_JOURNAL_READINESS };
enum pl_readiness { PL_READINESS_LOADING = 1, PL_READINESS_DECIDING, PL_READINESS_WAITING,
                    PL_READINESS_DIVERGED };
struct pl_coordinate {
    enum pl_topic topic;
    int32_t partition;
    int64_t first_offset, offset; /* what was read since the entry before: [first_offset, offset)  */
    uint8_t digest[PL_HASH_BYTES]; /* of those records                                             */
};
struct pl_journal {
    int32_t partition, partition_count;
    uint64_t sequence; /* from 1 */
    uint8_t previous_hash[PL_HASH_BYTES], outputs_digest[PL_HASH_BYTES];
    enum pl_journal_kind kind;
    enum pl_readiness readiness;
    int64_t clock_ms;
    uint32_t vector_count, output_count;
    struct pl_coordinate vector[PL_VECTOR_MAX];
    uint64_t parameter_epoch, control_epoch;
    struct pl_digest book_digest;
    struct pl_digest settled_digest; /* of all account states, this entry's outputs included     */
    int64_t marks_first_offset; /* where this process began to read marks                      */
    char slot[PL_SLOT_BYTES_MAX + 1], build[PL_SLOT_BYTES_MAX + 1];
};
enum pl_err pl_wire_journal_encode(struct pl_wire *wire, const struct pl_journal *journal,
                                   struct pl_bytes_view *value);
enum pl_err pl_wire_journal_decode(struct pl_wire *wire, struct pl_bytes_view value,
                                   struct pl_journal *journal);

/*
 * digest.c: what ties the journal to the records it speaks of. All SHA-256, over bytes as they stand on
 * the topics. Lengths are four bytes, big-endian; all ones for an absent key or value. Beginning a
 * digest may answer FATAL_SYSTEM (no memory); ending it frees what it holds.
 */

/* Of bytes: the journal's chain. */
void pl_wire_hash(struct pl_bytes_view bytes, uint8_t hash[PL_HASH_BYTES]);

/* XXH3-128 of a value, seeded with XXH3-64 of its key: combined by exclusive or it tells equal books
 * from others, in any order. It finds damage; against forgery there are the hashes. */
struct pl_digest pl_wire_digest(struct pl_bytes_view key, struct pl_bytes_view value);

/* The outputs' digest: over topic word, key and value of each output in produce order, each after its
 * length. */
struct pl_outputs_digest { void *context; uint32_t count; };
enum pl_err pl_outputs_digest_begin(struct pl_outputs_digest *digest);
void pl_outputs_digest_add(struct pl_outputs_digest *digest, enum pl_topic topic,
                           struct pl_bytes_view key, struct pl_bytes_view value);
void pl_outputs_digest_end(struct pl_outputs_digest *digest, uint8_t hash[PL_HASH_BYTES]);

/* The inputs' digest of one coordinate: over the hashes of its records, in offset order. A record's
 * hash is over its offset (8 bytes, big-endian), key and value after their lengths: computed once,
 * however many partitions account for it. To be called on a thread that has begun a digest. */
void pl_wire_input_hash(int64_t offset, struct pl_bytes_view key, struct pl_bytes_view value,
                        uint8_t hash[PL_HASH_BYTES]);
struct pl_inputs_digest { void *context, *copy; };
enum pl_err pl_inputs_digest_begin(struct pl_inputs_digest *digest);
void pl_inputs_digest_add(struct pl_inputs_digest *digest, const uint8_t hash[PL_HASH_BYTES]);
/* The digest so far; adding may go on. */
void pl_inputs_digest_read(const struct pl_inputs_digest *digest, uint8_t hash[PL_HASH_BYTES]);
/* Starts anew. */
void pl_inputs_digest_reset(struct pl_inputs_digest *digest);
void pl_inputs_digest_end(struct pl_inputs_digest *digest);

/* Every order, alert, account state and dead letter of the liquidation service carries this header:
 * "<partition>/<sequence>" in decimal of the journal entry whose outputs_digest covers it. */
#define PL_JOURNAL_HEADER "plimsoll-journal"
/* A journal record's signature (signature.h), where the service has a key. */
#define PL_SIGNATURE_HEADER "plimsoll-signature"
enum { PL_JOURNAL_TEXT_BYTES = 40 };
/* Prints into `text` and returns the header, which borrows it. */
struct pl_header pl_wire_journal_header(int32_t partition, uint64_t sequence,
                                        char text[PL_JOURNAL_TEXT_BYTES]);
/* False where no header of this name reads so. */
bool pl_wire_journal_of(const struct pl_header *headers, unsigned header_count, int32_t *partition,
                        uint64_t *sequence);

/*
 * dead_letter.c. A dead letter is the origin's key and value bytes untouched, with headers: the
 * facts of its refusal under Kafka Connect's names (as text), Spring's (numbers big-endian binary) and
 * ours, then the origin's own. Headers of an earlier refusal are left out, so that a
 * record which goes round does not grow. What is not known (NULL) has no header.
 */
struct pl_dead_letter {
    enum pl_topic topic;
    const char *topic_name;
    int32_t partition;
    int64_t offset, timestamp_ms;
    enum pl_err err;
    const char *text;
    const char *service, *slot;  /* which process refused it */
    const char *build;           /* its version */
    const char *timestamp_type;  /* "CreateTime" or "LogAppendTime", as the topic is configured */
};
enum { PL_DEAD_LETTER_HEADERS_MAX = 24 };
/* `headers` has room for origin_count + PL_DEAD_LETTER_HEADERS_MAX; *count receives how many there
 * are. `text` and numbers are copied to the encode arena, all else is borrowed from the letter and
 * the origin. REJECT_CAPACITY when the arena is exhausted. */
enum pl_err pl_wire_dead_letter_headers(struct pl_wire *wire, const struct pl_dead_letter *letter,
                                        const struct pl_header *origin, unsigned origin_count,
                                        struct pl_header *headers, unsigned *count);

/*
 * json.c. The schemas' JSON form (64-bit integers as text or number, enums by name, bytes base64,
 * lowerCamelCase and snake_case both read, snake_case written), by descriptor. Needs jansson and
 * the heap: for tools only, never in a service's step. No field is required here: the decoders say
 * what is missing. Errors name the place in the JSON and the cure: REJECT_UNKNOWN (field, enum
 * value, a topic without schema), REJECT_CONFLICT (a field given twice), REJECT_MALFORMED (another
 * kind of JSON than the field's), REJECT_RANGE (a number that does not fit it), REJECT_SIZE (more
 * than the topic takes), FATAL_SYSTEM (no memory).
 */
struct json_t;
enum pl_err pl_json_encode(enum pl_topic topic, const struct json_t *json, uint8_t **value,
                           size_t *size_bytes); /* *value is the caller's, free()               */
/* *json is the caller's reference. */
enum pl_err pl_json_decode(enum pl_topic topic, struct pl_bytes_view value, struct json_t **json);

#endif
