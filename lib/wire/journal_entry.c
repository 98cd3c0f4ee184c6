/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic journal: what one step saw and what it made of it, chained by hashes. Step 6 of the event's
 * path writes it; a partition's new owner and replay read it (G2). The hashes are of bytes as they
 * stand on the topics, never of an encoding made again.
 */
#include "plimsoll/v1/journal_entry.pb-c.h"

#include <assert.h>
#include <openssl/evp.h>
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
                  (int)PL_READINESS_WAITING ==
                      (int)PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_WAITING,
              "readiness");

enum { DIGEST_BYTES = 16 };

/* ---- hashes ---- */

void pl_wire_hash(struct pl_bytes_view bytes, uint8_t hash[PL_HASH_BYTES])
{
    unsigned size_bytes = 0;
    /* It fails only without SHA-256 in the library, which no service gets far without. */
    int is_done = EVP_Digest(bytes.data, bytes.size_bytes, hash, &size_bytes, EVP_sha256(), NULL);
    pl_assert(is_done == 1 && size_bytes == PL_HASH_BYTES);
}

static enum pl_err fail_digest(struct pl_outputs_digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
    return pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
}

enum pl_err pl_outputs_digest_begin(struct pl_outputs_digest *digest)
{
    *digest = (struct pl_outputs_digest){.context = EVP_MD_CTX_new()};
    if (!digest->context || !EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL))
        return fail_digest(digest);
    return PL_OK;
}

/* A part after its length in four bytes, big-endian; all ones where there is none. */
static bool add_part(struct pl_outputs_digest *digest, struct pl_bytes_view part)
{
    pl_assert(part.size_bytes < UINT32_MAX);
    uint32_t size_bytes = part.data ? (uint32_t)part.size_bytes : UINT32_MAX;
    const uint8_t length[4] = {(uint8_t)(size_bytes >> 24), (uint8_t)(size_bytes >> 16),
                               (uint8_t)(size_bytes >> 8), (uint8_t)size_bytes};
    return EVP_DigestUpdate(digest->context, length, sizeof(length)) &&
           (!part.data || EVP_DigestUpdate(digest->context, part.data, part.size_bytes));
}

enum pl_err pl_outputs_digest_add(struct pl_outputs_digest *digest, enum pl_topic topic,
                                  struct pl_bytes_view key, struct pl_bytes_view value)
{
    const char *word = pl_topic_word(topic);
    pl_assert(digest->context);
    if (!add_part(digest, (struct pl_bytes_view){(const uint8_t *)word, strlen(word)}) ||
        !add_part(digest, key) || !add_part(digest, value))
        return fail_digest(digest);
    digest->count++;
    return PL_OK;
}

enum pl_err pl_outputs_digest_end(struct pl_outputs_digest *digest, uint8_t hash[PL_HASH_BYTES])
{
    pl_assert(digest->context);
    if (!EVP_DigestFinal_ex(digest->context, hash, NULL))
        return fail_digest(digest);
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
    return PL_OK;
}

/* ---- decode ---- */

static enum pl_err read_bytes(const char *field, bool is_present, ProtobufCBinaryData from,
                              size_t size_bytes, uint8_t *bytes)
{
    if (!is_present)
        return pl_field_missing(NULL, field);
    if (from.len != size_bytes)
        return pl_field_fail(PL_REJECT_RANGE, NULL, field, ": %zu bytes instead of %zu", from.len,
                             size_bytes);
    memcpy(bytes, from.data, size_bytes);
    return PL_OK;
}

static enum pl_err read_digest(const Plimsoll__V1__JournalEntry *from, struct pl_digest *digest)
{
    uint8_t bytes[DIGEST_BYTES];
    enum pl_err err = read_bytes("book_digest", from->has_book_digest, from->book_digest,
                                 DIGEST_BYTES, bytes);
    *digest = (struct pl_digest){0};
    for (unsigned i = 0; !err && i < 8; i++) {
        digest->high = digest->high << 8 | bytes[i];
        digest->low = digest->low << 8 | bytes[i + 8];
    }
    return err;
}

static enum pl_err read_hashes(const Plimsoll__V1__JournalEntry *from, struct pl_journal *journal)
{
    enum pl_err err = read_bytes("previous_hash", from->has_previous_hash, from->previous_hash,
                                 PL_HASH_BYTES, journal->previous_hash);
    if (!err)
        err = read_bytes("outputs_digest", from->has_outputs_digest, from->outputs_digest,
                         PL_HASH_BYTES, journal->outputs_digest);
    return err ? err : read_digest(from, &journal->book_digest);
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
    return err ? err
               : pl_field_i64(place, PL_SCALAR(from, offset), 0, INT64_MAX, &coordinate->offset);
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
        to->vector[to->n_vector++] = coordinate;
    }
}

enum pl_err pl_wire_journal_encode(struct pl_wire *wire, const struct pl_journal *journal,
                                   struct pl_bytes_view *value)
{
    uint8_t book_digest[DIGEST_BYTES];
    Plimsoll__V1__JournalEntry to = PLIMSOLL__V1__JOURNAL_ENTRY__INIT;
    print_digest(journal->book_digest, book_digest);
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
    to.slot = (char *)(uintptr_t)journal->slot;
    to.build = (char *)(uintptr_t)journal->build;
    PL_PUT(&to, control_epoch, journal->control_epoch);
    PL_PUT(&to, marks_first_offset, journal->marks_first_offset);
    return pl_wire_pack(wire, PL_TOPIC_JOURNAL, &to.base, value);
}
