/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties the journal to the records it speaks of: hashes of outputs, of inputs, and of the entry
 * before (G2). All are of bytes as they stand on the topics, never of an encoding made again.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/wire.h"

static enum pl_err no_memory(void)
{
    return pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
}

static EVP_MD_CTX *context_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && !EVP_DigestInit_ex(context, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return context;
}

/* Updating and ending a context that began cannot fail. */
static void update(EVP_MD_CTX *context, const void *data, size_t size_bytes)
{
    int is_done = EVP_DigestUpdate(context, data, size_bytes);
    pl_assert(is_done == 1);
}

/* A part after its length in four bytes, big-endian; all ones where there is none. */
static void update_part(EVP_MD_CTX *context, struct pl_bytes_view part)
{
    pl_assert(part.size_bytes < UINT32_MAX);
    uint32_t size_bytes = part.data ? (uint32_t)part.size_bytes : UINT32_MAX;
    const uint8_t length[4] = {(uint8_t)(size_bytes >> 24), (uint8_t)(size_bytes >> 16),
                               (uint8_t)(size_bytes >> 8), (uint8_t)size_bytes};
    update(context, length, sizeof(length));
    if (part.data)
        update(context, part.data, part.size_bytes);
}

void pl_wire_hash(struct pl_bytes_view bytes, uint8_t hash[PL_HASH_BYTES])
{
    unsigned size_bytes = 0;
    /* It fails only without SHA-256 in the library, which no service gets far without. */
    int is_done = EVP_Digest(bytes.data, bytes.size_bytes, hash, &size_bytes, EVP_sha256(), NULL);
    pl_assert(is_done == 1 && size_bytes == PL_HASH_BYTES);
}

struct pl_digest pl_wire_digest(struct pl_bytes_view key, struct pl_bytes_view value)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(value.data, value.size_bytes,
                                               pl_hash64(key.data, key.size_bytes));
    return (struct pl_digest){.low = hash.low64, .high = hash.high64};
}

/* ---- outputs --------------------------------------------------------------------------------- */

enum pl_err pl_outputs_digest_begin(struct pl_outputs_digest *digest)
{
    *digest = (struct pl_outputs_digest){.context = context_new()};
    return digest->context ? PL_OK : no_memory();
}

void pl_outputs_digest_add(struct pl_outputs_digest *digest, enum pl_topic topic,
                           struct pl_bytes_view key, struct pl_bytes_view value)
{
    const char *word = pl_topic_word(topic);
    pl_assert(digest->context);
    update_part(digest->context, (struct pl_bytes_view){(const uint8_t *)word, strlen(word)});
    update_part(digest->context, key);
    update_part(digest->context, value);
    digest->count++;
}

void pl_outputs_digest_end(struct pl_outputs_digest *digest, uint8_t hash[PL_HASH_BYTES])
{
    pl_assert(digest->context);
    int is_done = EVP_DigestFinal_ex(digest->context, hash, NULL);
    pl_assert(is_done == 1);
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* One for each thread: looking the algorithm up costs more than hashing a small record. */
static EVP_MD_CTX *record_context(void)
{
    static _Thread_local EVP_MD_CTX *context;
    if (!context)
        context = context_new();
    return context;
}

void pl_wire_input_hash(int64_t offset, struct pl_bytes_view key, struct pl_bytes_view value,
                        uint8_t hash[PL_HASH_BYTES])
{
    EVP_MD_CTX *context = record_context();
    pl_assert(context); /* made by pl_inputs_digest_begin at the latest */
    uint8_t place[8];
    for (unsigned i = 0; i < 8; i++)
        place[i] = (uint8_t)((uint64_t)offset >> (56 - 8 * i));
    int is_done = EVP_DigestInit_ex(context, NULL, NULL);
    pl_assert(is_done == 1);
    update(context, place, sizeof(place));
    update_part(context, key);
    update_part(context, value);
    is_done = EVP_DigestFinal_ex(context, hash, NULL);
    pl_assert(is_done == 1);
}

enum pl_err pl_inputs_digest_begin(struct pl_inputs_digest *digest)
{
    *digest = (struct pl_inputs_digest){.context = context_new(), .copy = EVP_MD_CTX_new()};
    if (digest->context && digest->copy && record_context())
        return PL_OK;
    pl_inputs_digest_end(digest);
    return no_memory();
}

void pl_inputs_digest_add(struct pl_inputs_digest *digest, const uint8_t hash[PL_HASH_BYTES])
{
    update(digest->context, hash, PL_HASH_BYTES);
}

void pl_inputs_digest_read(const struct pl_inputs_digest *digest, uint8_t hash[PL_HASH_BYTES])
{
    int is_done = EVP_MD_CTX_copy_ex(digest->copy, digest->context) &&
                  EVP_DigestFinal_ex(digest->copy, hash, NULL);
    pl_assert(is_done == 1);
}

void pl_inputs_digest_reset(struct pl_inputs_digest *digest)
{
    int is_done = EVP_DigestInit_ex(digest->context, NULL, NULL);
    pl_assert(is_done == 1);
}

void pl_inputs_digest_end(struct pl_inputs_digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    EVP_MD_CTX_free(digest->copy);
    *digest = (struct pl_inputs_digest){0};
}

/* ---- the header that ties an output to its entry ---------------------------------------------- */

struct pl_header pl_wire_journal_header(int32_t partition, uint64_t sequence,
                                        char text[PL_JOURNAL_TEXT_BYTES])
{
    int size = snprintf(text, PL_JOURNAL_TEXT_BYTES, "%" PRId32 "/%" PRIu64, partition, sequence);
    pl_assert(size > 0 && size < PL_JOURNAL_TEXT_BYTES);
    return (struct pl_header){PL_JOURNAL_HEADER, {(const uint8_t *)text, (size_t)size}};
}

/* Plain decimal digits up to `end`, without a leading zero: one text for one number. */
static bool read_number(const uint8_t **at, const uint8_t *end, uint64_t limit, uint64_t *number)
{
    const uint8_t *begin = *at;
    uint64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
        (*at)++;
    }
    *number = value;
    return *at > begin && (*begin != '0' || *at == begin + 1);
}

bool pl_wire_journal_of(const struct pl_header *headers, unsigned header_count, int32_t *partition,
                        uint64_t *sequence)
{
    for (unsigned i = header_count; i-- > 0;) {
        if (strcmp(headers[i].name, PL_JOURNAL_HEADER) != 0 || !headers[i].value.data)
            continue;
        const uint8_t *at = headers[i].value.data, *end = at + headers[i].value.size_bytes;
        uint64_t number = 0;
        if (!read_number(&at, end, INT32_MAX, &number) || at == end || *at++ != '/')
            return false;
        *partition = (int32_t)number;
        return read_number(&at, end, UINT64_MAX, sequence) && at == end && *sequence > 0;
    }
    return false;
}
