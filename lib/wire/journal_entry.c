/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic journal: what one step saw and what it made of it, chained by hashes. Step 6 of the event's
 * path writes it; a partition's new owner and replay read it (G2). The hashes are of bytes as they
 * stand on the topics, never of an encoding made again.
 */
#include "plimsoll/v1/journal_entry.pb-c.h"

#include <assert.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_JOURNAL_STEP == (int)PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP &&
                  (int)PL_JOURNAL_READINESS ==
                      (int)PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_READINESS,
              "journal kind");
static_assert((int)PL_READINESS_LOADING ==
                      (int)PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_LOADING &&
                  (int)PL_READINESS_DIVERGED ==
                      (int)PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED,
              "readiness");

enum { DIGEST_BYTES = 16 };

/* ---- decode ---- */

static enum pl_err read_bytes(const struct pl_place *place, const char *field, bool is_present,
                              ProtobufCBinaryData from, size_t size_bytes, uint8_t *bytes)
{
    if (!is_present)
        return pl_field_missing(place, field);
    if (from.len != size_bytes)
        return pl_field_fail(PL_REJECT_RANGE, place, field, ": %zu bytes instead of %zu", from.len,
                             size_bytes);
    memcpy(bytes, from.data, size_bytes);
    return PL_OK;
}

static enum pl_err read_digest(const char *field, bool is_present, ProtobufCBinaryData from,
                               struct pl_digest *digest)
{
    uint8_t bytes[DIGEST_BYTES];
    enum pl_err err = read_bytes(NULL, field, is_present, from, DIGEST_BYTES, bytes);
    *digest = (struct pl_digest){0};
    for (unsigned i = 0; !err && i < 8; i++) {
        digest->high = digest->high << 8 | bytes[i];
        digest->low = digest->low << 8 | bytes[i + 8];
    }
    return err;
}

static enum pl_err read_hashes(const Plimsoll__V1__JournalEntry *from, struct pl_journal *journal)
{
    enum pl_err err = read_bytes(NULL, "previous_hash", from->has_previous_hash, from->previous_hash,
                                 PL_HASH_BYTES, journal->previous_hash);
    if (!err)
        err = read_bytes(NULL, "outputs_digest", from->has_outputs_digest, from->outputs_digest,
                         PL_HASH_BYTES, journal->outputs_digest);
    if (!err)
        err = read_digest("book_digest", from->has_book_digest, from->book_digest,
                          &journal->book_digest);
    return err ? err
               : read_digest("settled_digest", from->has_settled_digest, from->settled_digest,
                             &journal->settled_digest);
}

static enum pl_err read_coordinate(const struct pl_place *place,
                                   const Plimsoll__V1__JournalEntry__Coordinate *from,
                                   struct pl_coordinate *coordinate)
{
    if (!from->topic)
        return pl_field_missing(place, "topic");
    if (!pl_topic_from_word(from->topic, &coordinate->topic))
        return pl_field_fail(PL_REJECT_UNKNOWN, place, "topic",
                             ": no topic has this word; write e.g. \"holdings\"");
    enum pl_err err = pl_field_i32(place, PL_SCALAR(from, partition), 0, INT32_MAX,
                                   &coordinate->partition);
    if (!err)
        err = pl_field_i64(place, PL_SCALAR(from, offset), 0, INT64_MAX, &coordinate->offset);
    if (!err)
        err = pl_field_i64(place, PL_SCALAR(from, first_offset), 0, coordinate->offset,
                           &coordinate->first_offset);
    return err ? err
               : read_bytes(place, "digest", from->has_digest, from->digest, PL_HASH_BYTES,
                            coordinate->digest);
}

static enum pl_err read_vector(const Plimsoll__V1__JournalEntry *from, struct pl_journal *journal)
{
    enum pl_err err = pl_field_count(NULL, "vector", from->n_vector, PL_VECTOR_MAX,
                                     &journal->vector_count);
    for (uint32_t i = 0; !err && i < journal->vector_count; i++) {
        const struct pl_place place = {NULL, "vector", (int)i};
        const struct pl_coordinate *coordinate = &journal->vector[i];
        err = read_coordinate(&place, from->vector[i], &journal->vector[i]);
        for (uint32_t j = 0; !err && j < i; j++)
            if (journal->vector[j].topic == coordinate->topic &&
                journal->vector[j].partition == coordinate->partition)
                err = pl_field_fail(PL_REJECT_CONFLICT, &place, "topic",
                                    ": vector[%u] is of the same partition", j);
    }
    return err;
}

static enum pl_err read_place(const Plimsoll__V1__JournalEntry *from, struct pl_journal *journal)
{
    enum pl_err err = pl_field_i32(NULL, PL_SCALAR(from, partition_count), 1, INT32_MAX,
                                   &journal->partition_count);
    if (!err)
        err = pl_field_i32(NULL, PL_SCALAR(from, partition), 0, journal->partition_count - 1,
                           &journal->partition);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, sequence), 1, UINT64_MAX, &journal->sequence);
    if (!err)
        err = pl_field_text(NULL, "slot", from->slot, PL_SLOT_BYTES_MAX, journal->slot);
    return err ? err : pl_field_text(NULL, "build", from->build, PL_SLOT_BYTES_MAX, journal->build);
}

enum pl_err pl_wire_journal_decode(struct pl_wire *wire, struct pl_bytes_view value,
                                   struct pl_journal *journal)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__JournalEntry *from = pl_wire_unpack(&wire->decode, PL_TOPIC_JOURNAL, value,
                                                            &err);
    if (!from)
        return err;
    uint32_t kind = 0, readiness = 0;
    memset(journal, 0, sizeof(*journal));
    err = read_place(from, journal);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, kind),
                            &plimsoll__v1__journal_entry__kind__descriptor, &kind);
    journal->kind = (enum pl_journal_kind)kind;
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, readiness),
                            &plimsoll__v1__journal_entry__readiness__descriptor, &readiness);
    journal->readiness = (enum pl_readiness)readiness;
    if (!err)
        err = read_hashes(from, journal);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, clock_ms), &journal->clock_ms);
    if (!err)
        err = read_vector(from, journal);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, parameter_epoch), 0, UINT64_MAX,
                           &journal->parameter_epoch);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, control_epoch), 0, UINT64_MAX,
                           &journal->control_epoch);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, output_count), 0, UINT32_MAX,
                           &journal->output_count);
    if (!err)
        err = pl_field_i64(NULL, PL_SCALAR(from, marks_first_offset), 0, INT64_MAX,
                           &journal->marks_first_offset);
    return err;
}

/* ---- encode ---- */

static ProtobufCBinaryData borrow(const uint8_t *bytes, size_t size_bytes)
{
    return (ProtobufCBinaryData){size_bytes, (uint8_t *)(uintptr_t)bytes};
}

static void print_digest(struct pl_digest digest, uint8_t bytes[DIGEST_BYTES])
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(digest.high >> (56 - 8 * i));
        bytes[i + 8] = (uint8_t)(digest.low >> (56 - 8 * i));
    }
}

static void build_vector(struct pl_wire *wire, const struct pl_journal *journal,
                         Plimsoll__V1__JournalEntry *to)
{
    pl_assert(journal->vector_count <= PL_VECTOR_MAX);
    to->vector = pl_wire_take(wire, journal->vector_count * sizeof(*to->vector));
    for (uint32_t i = 0; i < journal->vector_count; i++) {
        const struct pl_coordinate *from = &journal->vector[i];
        Plimsoll__V1__JournalEntry__Coordinate *coordinate = pl_wire_take(wire,
                                                                          sizeof(*coordinate));
        plimsoll__v1__journal_entry__coordinate__init(coordinate);
        coordinate->topic = (char *)(uintptr_t)pl_topic_word(from->topic);
        PL_PUT(coordinate, partition, from->partition);
        PL_PUT(coordinate, offset, from->offset);
        PL_PUT(coordinate, first_offset, from->first_offset);
        PL_PUT(coordinate, digest, borrow(from->digest, PL_HASH_BYTES));
        to->vector[to->n_vector++] = coordinate;
    }
}

enum pl_err pl_wire_journal_encode(struct pl_wire *wire, const struct pl_journal *journal,
                                   struct pl_bytes_view *value)
{
    uint8_t book_digest[DIGEST_BYTES], settled_digest[DIGEST_BYTES];
    Plimsoll__V1__JournalEntry to = PLIMSOLL__V1__JOURNAL_ENTRY__INIT;
    print_digest(journal->book_digest, book_digest);
    print_digest(journal->settled_digest, settled_digest);
    PL_PUT(&to, partition, journal->partition);
    PL_PUT(&to, sequence, journal->sequence);
    PL_PUT(&to, previous_hash, borrow(journal->previous_hash, PL_HASH_BYTES));
    PL_PUT(&to, kind, (Plimsoll__V1__JournalEntry__Kind)journal->kind);
    PL_PUT(&to, clock_ms, journal->clock_ms);
    build_vector(wire, journal, &to);
    PL_PUT(&to, parameter_epoch, journal->parameter_epoch);
    PL_PUT(&to, partition_count, journal->partition_count);
    PL_PUT(&to, readiness, (Plimsoll__V1__JournalEntry__Readiness)journal->readiness);
    PL_PUT(&to, output_count, journal->output_count);
    PL_PUT(&to, outputs_digest, borrow(journal->outputs_digest, PL_HASH_BYTES));
    PL_PUT(&to, book_digest, borrow(book_digest, DIGEST_BYTES));
    PL_PUT(&to, settled_digest, borrow(settled_digest, DIGEST_BYTES));
    to.slot = (char *)(uintptr_t)journal->slot;
    to.build = (char *)(uintptr_t)journal->build;
    PL_PUT(&to, control_epoch, journal->control_epoch);
    PL_PUT(&to, marks_first_offset, journal->marks_first_offset);
    return pl_wire_pack(wire, PL_TOPIC_JOURNAL, &to.base, value);
}
