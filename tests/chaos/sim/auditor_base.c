/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the auditor's files stand on: memory that goes with the seed, names, SHA-256 by libcrypto,
 * and the one finding of a seed.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/auditor_parts.h"

enum { CHUNK_BYTES = 1 << 20 };

/* ---- memory ---------------------------------------------------------------------------------- */

void *auditor_allocate(void *old, size_t size_bytes)
{
    void *block = realloc(old, size_bytes);
    if (!block)
        abort();
    return block;
}

void *auditor_take(struct memory *memory, size_t size_bytes)
{
    size_bytes = (size_bytes + 15) & ~(size_t)15;
    while (memory->now && memory->now->size_bytes - memory->now->used_bytes < size_bytes) {
        if (!memory->now->next)
            break;
        memory->now = memory->now->next;
    }
    struct chunk *chunk = memory->now;
    if (!chunk || chunk->size_bytes - chunk->used_bytes < size_bytes) {
        size_t room = size_bytes > CHUNK_BYTES ? size_bytes : CHUNK_BYTES;
        struct chunk *added = auditor_allocate(NULL, sizeof(*added) + room);
        *added = (struct chunk){.size_bytes = room};
        if (chunk)
            chunk->next = added;
        else
            memory->first = added;
        memory->now = chunk = added;
    }
    void *taken = &chunk->bytes[chunk->used_bytes];
    chunk->used_bytes += size_bytes;
    return memset(taken, 0, size_bytes);
}

void auditor_memory_reset(struct memory *memory)
{
    for (struct chunk *chunk = memory->first; chunk; chunk = chunk->next)
        chunk->used_bytes = 0;
    memory->now = memory->first;
}

void auditor_memory_free(struct memory *memory)
{
    for (struct chunk *chunk = memory->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *memory = (struct memory){0};
}

void auditor_list_add(struct list *list, void *item)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = auditor_allocate(list->items, sizeof(*list->items) * list->capacity);
    }
    list->items[list->count++] = item;
}

int auditor_name(struct names *names, const char *text)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->text[i], text) == 0)
            return i;
    pl_assert(names->count < AUDITOR_NAMES_MAX);
    names->text[names->count] = text;
    return names->count++;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static struct hash {
    EVP_MD_CTX *context;
} the_hash;

static void must(int is_done)
{
    if (is_done != 1)
        abort();
}

struct hash *auditor_hash_begin(void)
{
    if (!the_hash.context) {
        the_hash.context = EVP_MD_CTX_new();
        must(EVP_DigestInit_ex(the_hash.context, EVP_sha256(), NULL));
    } else {
        must(EVP_DigestInit_ex(the_hash.context, NULL, NULL));
    }
    return &the_hash;
}

void auditor_hash_close(void)
{
    EVP_MD_CTX_free(the_hash.context);
    the_hash.context = NULL;
}

void auditor_hash_add(struct hash *hash, const void *bytes, size_t size_bytes)
{
    must(EVP_DigestUpdate(hash->context, bytes, size_bytes));
}

void auditor_hash_part(struct hash *hash, struct pl_bytes_view part)
{
    uint32_t size = part.data ? (uint32_t)part.size_bytes : UINT32_MAX;
    const uint8_t length[4] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                               (uint8_t)size};
    auditor_hash_add(hash, length, sizeof(length));
    if (part.data)
        auditor_hash_add(hash, part.data, part.size_bytes);
}

void auditor_hash_end(struct hash *hash, uint8_t digest[HASH_BYTES])
{
    must(EVP_DigestFinal_ex(hash->context, digest, NULL));
}

/* ---- findings -------------------------------------------------------------------------------- */

bool auditor_find(struct auditor_finding *finding, const char *invariant, const char *format, ...)
{
    if (finding->invariant[0])
        return false;
    snprintf(finding->invariant, sizeof(finding->invariant), "%s", invariant);
    va_list arguments;
    va_start(arguments, format);
    size_t used = strlen(finding->text); /* the seed */
    vsnprintf(finding->text + used, sizeof(finding->text) - used, format, arguments);
    va_end(arguments);
    return false;
}

/* The same with the place in front. */
bool auditor_fail(struct auditor *auditor, const struct partition *partition, const char *invariant,
                  const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return auditor_find(&auditor->finding, invariant, "partition %d entry %" PRIu64 ": %s",
                        (int)partition->number, partition->sequence + 1, text);
}
