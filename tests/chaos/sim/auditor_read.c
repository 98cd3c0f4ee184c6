/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's own reading of the input topics, by the rules of proto/README.md and the comments
 * of the schemas: what a record says, or that it is bad and belongs to the dead letters (I1).
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/base/assert.h"
#include "plimsoll/v1/chain_status.pb-c.h"
#include "plimsoll/v1/control.pb-c.h"
#include "plimsoll/v1/execution_report.pb-c.h"
#include "plimsoll/v1/holdings.pb-c.h"
#include "plimsoll/v1/mark.pb-c.h"
#include "plimsoll/v1/parameter_set.pb-c.h"
#include "tests/chaos/sim/auditor_parts.h"

enum { SOURCES_MAX = 16, TAIL_MAX = 256, EXPONENT_MAX = 38 };

/* ---- bytes ----------------------------------------------------------------------------------- */

static void *take_for_protobuf(void *memory, size_t size_bytes)
{
    return auditor_take(memory, size_bytes);
}

static void keep_for_protobuf(void *memory, void *taken)
{
    (void)memory;
    (void)taken; /* all goes with the seed */
}

void *auditor_unpack(struct memory *memory, const ProtobufCMessageDescriptor *descriptor,
                     struct pl_bytes_view value)
{
    ProtobufCAllocator allocator = {take_for_protobuf, keep_for_protobuf, memory};
    if (!value.data)
        return NULL;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, value.size_bytes,
                                                          value.data);
    /* Canonical: a library would write it in as many bytes. */
    if (message && protobuf_c_message_get_packed_size(message) != value.size_bytes)
        return NULL;
    return message;
}

void *auditor_unpack_within(const struct reader *reader,
                            const ProtobufCMessageDescriptor *descriptor,
                            struct pl_bytes_view value, size_t size_bytes_max)
{
    return value.size_bytes > size_bytes_max ? NULL
                                             : auditor_unpack(reader->memory, descriptor, value);
}

/* XXH3-128 of the value, seeded with XXH3-64 of the key, big-endian. */
void auditor_digest(struct pl_bytes_view key, struct pl_bytes_view value,
                    uint8_t digest[DIGEST_BYTES])
{
    XXH64_hash_t seed = XXH3_64bits(key.data ? (const void *)key.data : "", key.size_bytes);
    XXH128_hash_t hash = XXH3_128bits_withSeed(value.data, value.size_bytes, seed);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest, canonical.digest, DIGEST_BYTES);
}

/* murmur2 as Kafka's Java client has it, four bytes at a time. */
static uint32_t murmur2(const uint8_t *data, size_t size_bytes)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)size_bytes;
    size_t whole = size_bytes / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        uint32_t k = (uint32_t)data[i] | (uint32_t)data[i + 1] << 8 | (uint32_t)data[i + 2] << 16 |
                     (uint32_t)data[i + 3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    for (size_t i = size_bytes; i-- > whole;)
        h ^= (uint32_t)data[i] << 8 * (i - whole);
    if (size_bytes > whole)
        h *= m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

bool auditor_is_at_home(const struct reader *reader, const struct pl_record *record)
{
    if (!record->key.data || record->key.size_bytes == 0)
        return false;
    /* Where an account is, all its buckets are. */
    const uint8_t *mark = memchr(record->key.data, '~', record->key.size_bytes);
    size_t size_bytes = mark ? (size_t)(mark - record->key.data) : record->key.size_bytes;
    if (size_bytes == 0)
        return false;
    uint32_t hash = murmur2(record->key.data, size_bytes) & 0x7fffffff;
    return (int32_t)(hash % (uint32_t)reader->partition_count) == record->partition;
}

bool auditor_is_watermark(struct pl_bytes_view key)
{
    static const char reserved[] = "~watermark";
    return key.data && key.size_bytes == strlen(reserved) &&
           memcmp(key.data, reserved, key.size_bytes) == 0;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static bool is_text(const char *text, size_t least, size_t most, char lowest)
{
    if (!text)
        return false;
    size_t size_bytes = strlen(text);
    for (size_t i = 0; i < size_bytes; i++)
        if (text[i] < lowest || text[i] > '~')
            return false;
    return size_bytes >= least && size_bytes <= most;
}

bool auditor_is_id(const char *text)
{
    return is_text(text, 1, 64, '!');
}

static bool is_key(struct pl_bytes_view key, const char *id)
{
    return key.data && key.size_bytes == strlen(id) && memcmp(key.data, id, key.size_bytes) == 0;
}

static bool is_name(const char *text)
{
    return auditor_is_id(text) && !strchr(text, '~');
}

const char *auditor_whole_id(struct memory *memory, const char *account, const char *bucket)
{
    if (!is_name(account) || !bucket || !*bucket)
        return is_name(account) ? account : NULL;
    size_t size_bytes = strlen(account) + 1 + strlen(bucket);
    if (!is_name(bucket) || size_bytes > 64)
        return NULL;
    char *text = auditor_take(memory, size_bytes + 1);
    sprintf(text, "%s~%s", account, bucket);
    return text;
}

bool auditor_names(const char *whole, const char *account, const char *bucket)
{
    size_t size_bytes = strcspn(whole, "~");
    return account && bucket && strlen(account) == size_bytes &&
           memcmp(whole, account, size_bytes) == 0 &&
           strcmp(whole + size_bytes + (whole[size_bytes] == '~'), bucket) == 0;
}

const char *auditor_key_account(struct memory *memory, struct pl_bytes_view key)
{
    if (!key.data || key.size_bytes == 0 || key.size_bytes > 64)
        return NULL;
    char *text = auditor_take(memory, key.size_bytes + 1);
    memcpy(text, key.data, key.size_bytes);
    char *mark = strchr(text, '~');
    bool is_parted = !mark || (mark > text && mark[1] && !strchr(mark + 1, '~'));
    return strlen(text) == key.size_bytes && auditor_is_id(text) && is_parted ? text : NULL;
}

bool auditor_is_enum(bool is_present, int value, const ProtobufCEnumDescriptor *descriptor)
{
    return is_present && value > 0 && protobuf_c_enum_descriptor_get_value(descriptor, value);
}

bool auditor_is_time(bool is_present, int64_t value)
{
    return is_present && value >= 0;
}

bool auditor_read_uuid(const char *text, uint8_t id[PL_ORDER_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (!text || strlen(text) != strlen(form))
        return false;
    int nibble = 0;
    memset(id, 0, PL_ORDER_ID_BYTES);
    for (size_t i = 0; form[i]; i++) {
        const char *digit = strchr(digits, text[i]);
        if (form[i] == '-' ? text[i] != '-' : !digit)
            return false;
        if (form[i] == '-')
            continue;
        id[nibble / 2] = (uint8_t)(id[nibble / 2] << 4 | (digit - digits));
        nibble++;
    }
    return true;
}

static pl_i128 to_i128(const mpz_t number)
{
    uint64_t words[2] = {0, 0};
    pl_assert(mpz_sizeinbase(number, 2) <= 127);
    mpz_export(words, NULL, -1, sizeof(words[0]), 0, 0, number);
    pl_i128 size = (pl_i128)((pl_u128)words[1] << 64 | words[0]);
    return mpz_sgn(number) < 0 ? -size : size;
}

bool auditor_read_amount(const Plimsoll__V1__Amount *amount, pl_i128 *mantissa, int *exponent)
{
    if (!amount || !amount->mantissa || !amount->has_exponent)
        return false;
    const char *digits = amount->mantissa + (amount->mantissa[0] == '-');
    size_t count = strspn(digits, "0123456789");
    bool is_number = count > 0 && digits[count] == '\0' && (digits[0] != '0' || count == 1) &&
                     strcmp(amount->mantissa, "-0") != 0;
    if (!is_number || amount->exponent < -EXPONENT_MAX || amount->exponent > EXPONENT_MAX)
        return false;
    mpz_t number;
    mpz_init_set_str(number, amount->mantissa, 10);
    bool fits = mpz_sizeinbase(number, 2) <= 127;
    if (fits)
        *mantissa = to_i128(number);
    *exponent = amount->exponent;
    mpz_clear(number);
    return fits;
}

static bool read_magnitude(const Plimsoll__V1__Amount *amount, pl_i128 *mantissa, int *exponent)
{
    return auditor_read_amount(amount, mantissa, exponent) && *mantissa >= 0;
}

/* Adds an amount in units of 10^-50 USD or units; an absent one is zero where it may be. */
static bool add_amount(mpz_t sum, const Plimsoll__V1__Amount *amount, bool may_be_absent, int sign)
{
    pl_i128 mantissa = 0;
    int exponent = 0;
    if (!amount && may_be_absent)
        return true;
    if (!auditor_read_amount(amount, &mantissa, &exponent))
        return false;
    mpz_t number, power;
    mpz_inits(number, power, NULL);
    auditor_set_i128(number, mantissa);
    mpz_ui_pow_ui(power, 10, (unsigned)(exponent + 50));
    mpz_mul(number, number, power);
    if (sign < 0)
        mpz_sub(sum, sum, number);
    else
        mpz_add(sum, sum, number);
    mpz_clears(number, power, NULL);
    return true;
}

/* ---- holdings -------------------------------------------------------------------------------- */

/* Counted cash is the smaller of seen and final, each rounded down to a VU. False: out of
 * bounds. */
static bool add_cash(struct holdings *holdings, mpz_t seen, mpz_t final)
{
    mpz_t unit, limit;
    mpz_inits(unit, limit, NULL);
    mpz_ui_pow_ui(unit, 10, 38);
    mpz_ui_pow_ui(limit, 10, 24);
    mpz_fdiv_q(seen, seen, unit);
    mpz_fdiv_q(final, final, unit);
    bool is_inside = mpz_cmpabs(seen, limit) <= 0 && mpz_cmpabs(final, limit) <= 0;
    if (is_inside) {
        holdings->cash_vu += to_i128(mpz_cmp(seen, final) < 0 ? seen : final);
        holdings->final_cash_vu += to_i128(final);
    }
    mpz_clears(unit, limit, NULL);
    return is_inside;
}

static bool read_source(const Plimsoll__V1__Holdings *from, size_t at, struct holdings *holdings,
                        size_t *tail)
{
    const Plimsoll__V1__Holdings__Source *source = from->sources[at];
    bool is_good = auditor_is_id(source->source) &&
                   (!source->chain || !*source->chain || auditor_is_id(source->chain)) &&
                   source->has_sequence &&
                   auditor_is_time(source->has_event_time_ms, source->event_time_ms) &&
                   auditor_is_enum(source->has_continuity, (int)source->continuity,
                                   &plimsoll__v1__holdings__source__continuity__descriptor) &&
                   auditor_is_enum(source->has_settlement, (int)source->settlement,
                                   &plimsoll__v1__parameter_set__source__settlement__descriptor);
    for (size_t i = 0; is_good && i < at; i++)
        is_good = strcmp(from->sources[i]->source, source->source) != 0;
    if (!is_good)
        return false;
    mpz_t seen, final;
    mpz_inits(seen, final, NULL);
    is_good = add_amount(seen, source->cash, true, 1);
    mpz_set(final, seen);
    for (size_t i = 0; is_good && i < source->n_unfinalised_cash; i++) {
        const Plimsoll__V1__Holdings__Source__UnfinalisedCash *change = source->unfinalised_cash[i];
        is_good = change->has_sequence && change->sequence > 0 && change->has_block_height &&
                  add_amount(final, change->cash, false, -1) && ++*tail <= TAIL_MAX;
    }
    if (is_good)
        is_good = add_cash(holdings, seen, final);
    mpz_clears(seen, final, NULL);
    if (source->continuity == PLIMSOLL__V1__HOLDINGS__SOURCE__CONTINUITY__CONTINUITY_GAP)
        holdings->has_gap = true;
    if (at == 0 || source->event_time_ms < holdings->event_time_ms)
        holdings->event_time_ms = source->event_time_ms;
    return is_good;
}

static const Plimsoll__V1__Holdings__Source *source_named(const Plimsoll__V1__Holdings *from,
                                                          const char *name)
{
    for (size_t i = 0; i < from->n_sources; i++)
        if (strcmp(from->sources[i]->source, name) == 0)
            return from->sources[i];
    return NULL;
}

/* Cost is owed, hence its negative is cash. */
static bool add_cost(const Plimsoll__V1__Holdings__Leg *row, struct holdings *holdings,
                     size_t *tail)
{
    mpz_t seen, final, quantity;
    mpz_inits(seen, final, quantity, NULL);
    bool is_good = add_amount(quantity, row->quantity, false, 1) &&
                   add_amount(seen, row->cost, true, -1);
    mpz_set(final, seen);
    for (size_t i = 0; is_good && i < row->n_unfinalised; i++) {
        const Plimsoll__V1__Holdings__Unfinalised *change = row->unfinalised[i];
        is_good = change->has_sequence && change->sequence > 0 && change->has_block_height &&
                  add_amount(quantity, change->quantity, false, 1) &&
                  add_amount(final, change->cost, true, 1) && ++*tail <= TAIL_MAX;
    }
    if (is_good)
        is_good = add_cash(holdings, seen, final);
    mpz_clears(seen, final, quantity, NULL);
    return is_good;
}

static bool add_lots(int64_t *sum, int64_t lots)
{
    return !__builtin_add_overflow(*sum, lots, sum);
}

/* Nothing is credited but what is on its way in. */
static bool is_credited_well(const Plimsoll__V1__Holdings__Leg *row)
{
    uint64_t inflow = 0;
    for (size_t i = 0; i < row->n_unfinalised; i++) {
        pl_i128 mantissa = 0;
        int exponent = 0;
        if (!auditor_read_amount(row->unfinalised[i]->quantity, &mantissa, &exponent))
            return false;
        if (mantissa > 0)
            inflow += (uint64_t)auditor_lots(mantissa, exponent, row->lot_decimals);
    }
    return row->credited_lots <= inflow;
}

static bool add_row(const struct reader *reader, const Plimsoll__V1__Holdings__Leg *row,
                    bool is_by_time, struct holdings *holdings)
{
    int instrument = auditor_name(reader->names, row->instrument);
    struct leg *leg = holdings->leg_count > 0 ? &holdings->legs[holdings->leg_count - 1] : NULL;
    if (!leg || leg->instrument != instrument) {
        leg = &holdings->legs[holdings->leg_count++];
        *leg = (struct leg){.instrument = instrument};
    }
    leg->is_by_time |= is_by_time;
    if (!row->has_lots && !row->has_settled_lots && !row->has_lot_decimals) {
        leg->is_unlisted = true;
        if (leg->lots >= 0)
            leg->lots = leg->final_lots = row->quantity->mantissa[0] == '-' ? -1 : 1;
        return true;
    }
    if (!row->has_lots || !row->has_settled_lots || !row->has_lot_decimals ||
        row->lot_decimals > 12)
        return false;
    int64_t final = row->settled_lots; /* and what is credited, as far as it is there */
    if (row->credited_lots > INT64_MAX || !is_credited_well(row) || !add_lots(&final, (int64_t)row->credited_lots))
        return false;
    return add_lots(&leg->lots, row->lots < final ? row->lots : final) &&
           add_lots(&leg->final_lots, final) && add_lots(&leg->credited, (int64_t)row->credited_lots);
}

static bool read_legs(const struct reader *reader, const Plimsoll__V1__Holdings *from,
                      struct holdings *holdings, size_t *tail)
{
    if (from->n_legs > PL_LEGS_MAX)
        return false;
    holdings->legs = auditor_take(reader->memory, sizeof(struct leg) * (from->n_legs + 1));
    for (size_t i = 0; i < from->n_legs; i++) {
        const Plimsoll__V1__Holdings__Leg *row = from->legs[i],
                                          *last = i ? from->legs[i - 1] : NULL;
        const Plimsoll__V1__Holdings__Source *source = auditor_is_id(row->instrument) && row->source
                                                           ? source_named(from, row->source)
                                                           : NULL;
        if (!source)
            return false;
        int order = last ? strcmp(last->instrument, row->instrument) : -1;
        if (order > 0 || (order == 0 && strcmp(last->source, row->source) >= 0))
            return false;
        bool is_by_time = source->settlement ==
                          PLIMSOLL__V1__PARAMETER_SET__SOURCE__SETTLEMENT__SETTLEMENT_BY_TIME;
        if (!add_cost(row, holdings, tail) || !add_row(reader, row, is_by_time, holdings))
            return false;
    }
    return true;
}

static bool read_applied(const struct reader *reader, const Plimsoll__V1__Holdings *from,
                         struct holdings *holdings)
{
    if (from->n_applied > PL_APPLIED_MAX)
        return false;
    holdings->applied = auditor_take(reader->memory,
                                     sizeof(struct applied) * (from->n_applied + 1));
    holdings->applied_count = (int)from->n_applied;
    for (size_t i = 0; i < from->n_applied; i++) {
        struct applied *applied = &holdings->applied[i];
        if (!auditor_read_uuid(from->applied[i]->order_id, applied->order_id) ||
            !read_magnitude(from->applied[i]->cumulative_quantity, &applied->mantissa,
                            &applied->exponent))
            return false;
        for (size_t j = 0; j < i; j++)
            if (memcmp(holdings->applied[j].order_id, applied->order_id, PL_ORDER_ID_BYTES) == 0)
                return false;
    }
    return true;
}

struct holdings *auditor_read_holdings(const struct reader *reader, const struct pl_record *record)
{
    const Plimsoll__V1__Holdings *from = auditor_unpack_within(
        reader, &plimsoll__v1__holdings__descriptor, record->value, 256 << 10);
    const char *whole = from ? auditor_whole_id(reader->memory, from->account, from->bucket) : NULL;
    if (!whole || !is_key(record->key, whole) || from->watermark || !from->has_version ||
        from->version == 0 || !from->has_positions_offset || from->positions_offset > INT64_MAX ||
        !auditor_is_time(from->has_written_ms, from->written_ms) || from->n_sources > SOURCES_MAX)
        return NULL;
    struct holdings *holdings = auditor_take(reader->memory, sizeof(*holdings));
    holdings->account = whole;
    holdings->version = from->version;
    holdings->has_gap = from->has_tainted && from->tainted;
    holdings->mode = from->has_mode ? (int)from->mode : 0;
    if (from->mode >= PL_MODES_MAX)
        return NULL;
    size_t tail = 0;
    for (size_t i = 0; i < from->n_sources; i++)
        if (!read_source(from, i, holdings, &tail))
            return NULL;
    if (!read_legs(reader, from, holdings, &tail) || !read_applied(reader, from, holdings))
        return NULL;
    auditor_digest(record->key, record->value, holdings->digest);
    return holdings;
}

bool auditor_read_watermark(const struct reader *reader, const struct pl_record *record,
                            int64_t *time_ms)
{
    const Plimsoll__V1__Holdings *from = auditor_unpack_within(
        reader, &plimsoll__v1__holdings__descriptor, record->value, 256 << 10);
    if (!from || !from->watermark || from->account || from->n_legs || from->n_sources ||
        from->n_applied || !from->watermark->has_positions_offset ||
        from->watermark->positions_offset > INT64_MAX ||
        !auditor_is_time(from->watermark->has_time_ms, from->watermark->time_ms))
        return false;
    *time_ms = from->watermark->time_ms;
    return true;
}

/* ---- the small ones -------------------------------------------------------------------------- */

static bool is_decimal(const Plimsoll__V1__Decimal *from)
{
    return from && from->has_mantissa && from->has_exponent && from->exponent >= -EXPONENT_MAX &&
           from->exponent <= EXPONENT_MAX;
}

struct mark *auditor_read_mark(const struct reader *reader, const struct pl_record *record)
{
    const Plimsoll__V1__Mark *from = auditor_unpack_within(reader, &plimsoll__v1__mark__descriptor,
                                                           record->value, 64 << 10);
    if (!from || !auditor_is_id(from->instrument) || !is_key(record->key, from->instrument) ||
        !from->has_source_offset || from->source_offset > INT64_MAX ||
        !from->has_source_partition || from->source_partition < 0 || !from->has_tick ||
        from->tick > INT64_MAX || !from->has_source_count ||
        !auditor_is_time(from->has_event_time_ms, from->event_time_ms) ||
        !auditor_is_enum(from->has_status, (int)from->status,
                         &plimsoll__v1__mark__status__descriptor) ||
        !is_decimal(from->price) || !is_decimal(from->low) || !is_decimal(from->high))
        return NULL;
    if (from->low->exponent != from->price->exponent ||
        from->high->exponent != from->price->exponent || from->low->mantissa <= 0 ||
        from->low->mantissa > from->price->mantissa || from->price->mantissa > from->high->mantissa)
        return NULL;
    const struct grid *grid = from->grid ? auditor_read_grid(reader, from->grid) : NULL;
    if (from->grid && !grid)
        return NULL;
    struct mark *mark = auditor_take(reader->memory, sizeof(*mark));
    *mark = (struct mark){.instrument = auditor_name(reader->names, from->instrument),
                          .is_given = true,
                          .status = (enum pl_mark_status)from->status,
                          .source_offset = from->source_offset,
                          .tick = from->tick,
                          .mantissa = from->price->mantissa,
                          .low = from->low->mantissa,
                          .high = from->high->mantissa,
                          .exponent = from->price->exponent,
                          .event_time_ms = from->event_time_ms,
                          .grid = grid};
    return mark;
}

struct execution *auditor_read_execution(const struct reader *reader,
                                         const struct pl_record *record)
{
    const Plimsoll__V1__ExecutionReport *from = auditor_unpack_within(
        reader, &plimsoll__v1__execution_report__descriptor, record->value, 8 << 10);
    struct execution *report = auditor_take(reader->memory, sizeof(*report));
    const char *whole = from ? auditor_whole_id(reader->memory, from->account, from->bucket) : NULL;
    if (!whole || !is_key(record->key, from->account) ||
        !auditor_read_uuid(from->order_id, report->order_id) ||
        !auditor_is_enum(from->has_status, (int)from->status,
                         &plimsoll__v1__execution_report__status__descriptor) ||
        !read_magnitude(from->cumulative_quantity, &report->mantissa, &report->exponent) ||
        !auditor_is_time(from->has_event_time_ms, from->event_time_ms))
        return NULL;
    /* More than 63 bits of digits are refused. */
    while (report->mantissa > INT64_MAX && report->mantissa % 10 == 0) {
        report->mantissa /= 10;
        report->exponent++;
    }
    if (report->mantissa > INT64_MAX || report->exponent > EXPONENT_MAX)
        return NULL;
    report->account = whole;
    report->is_terminal = from->status != PLIMSOLL__V1__EXECUTION_REPORT__STATUS__STATUS_NEW &&
                          from->status !=
                              PLIMSOLL__V1__EXECUTION_REPORT__STATUS__STATUS_PARTIALLY_FILLED;
    report->event_time_ms = from->event_time_ms;
    return report;
}

struct control *auditor_read_control(const struct reader *reader, const struct pl_record *record)
{
    const Plimsoll__V1__Control *from = auditor_unpack_within(
        reader, &plimsoll__v1__control__descriptor, record->value, 4 << 10);
    if (!from || !from->scope || !is_key(record->key, from->scope) ||
        !auditor_is_enum(from->has_action, (int)from->action,
                         &plimsoll__v1__control__action__descriptor) ||
        !from->has_epoch || from->epoch == 0 || !is_text(from->actor, 0, 64, ' ') ||
        !is_text(from->reason, 0, 256, ' ') ||
        !auditor_is_time(from->has_created_ms, from->created_ms))
        return NULL;
    struct control *control = auditor_take(reader->memory, sizeof(*control));
    control->is_halt = from->action == PLIMSOLL__V1__CONTROL__ACTION__ACTION_HALT;
    control->epoch = from->epoch;
    if (strcmp(from->scope, "all") == 0)
        return control;
    if (strncmp(from->scope, "account=", 8) != 0 || !is_name(from->scope + 8))
        return NULL;
    control->account = from->scope + 8;
    return control;
}

static int64_t halted_since(int condition, bool has_since, int64_t since_ms, int64_t event_ms)
{
    if (condition != PLIMSOLL__V1__CHAIN_STATUS__CONDITION__CONDITION_HALTED)
        return has_since ? -2 : -1;
    return !has_since ? event_ms : since_ms < 0 ? -2 : since_ms;
}

struct chain *auditor_read_chain(const struct reader *reader, const struct pl_record *record)
{
    const Plimsoll__V1__ChainStatus *from = auditor_unpack_within(
        reader, &plimsoll__v1__chain_status__descriptor, record->value, 4 << 10);
    const ProtobufCEnumDescriptor *conditions = &plimsoll__v1__chain_status__condition__descriptor;
    bool is_good = from && auditor_is_id(from->chain) && is_key(record->key, from->chain) &&
                   from->has_head_height && from->has_finalised_height &&
                   from->finalised_height <= from->head_height &&
                   auditor_is_enum(from->has_condition, (int)from->condition, conditions) &&
                   auditor_is_time(from->has_event_time_ms, from->event_time_ms) &&
                   from->n_bridges <= 64;
    if (!is_good)
        return NULL;
    struct chain *chain = auditor_take(reader->memory, sizeof(*chain));
    chain->name = from->chain;
    chain->halted_since_ms = halted_since((int)from->condition, from->has_halted_since_ms,
                                          from->halted_since_ms, from->event_time_ms);
    is_good = chain->halted_since_ms > -2;
    for (size_t i = 0; is_good && i < from->n_bridges; i++) {
        const Plimsoll__V1__ChainStatus__Bridge *bridge = from->bridges[i];
        is_good = auditor_is_id(bridge->bridge) &&
                  auditor_is_enum(bridge->has_condition, (int)bridge->condition, conditions);
        for (size_t j = 0; is_good && j < i; j++)
            is_good = strcmp(from->bridges[j]->bridge, bridge->bridge) != 0;
        chain->bridges[i].name = bridge->bridge;
        chain->bridges[i].halted_since_ms =
            halted_since((int)bridge->condition, bridge->has_halted_since_ms,
                         bridge->halted_since_ms, from->event_time_ms);
        is_good = is_good && chain->bridges[i].halted_since_ms > -2;
        chain->bridge_count = (int)i + 1;
    }
    return is_good ? chain : NULL;
}
