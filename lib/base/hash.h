/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes for tables and state digests: fast and well spread, never for signatures or ids. The
 * functions are frozen by xxHash's specification, so digests are the same on every machine (G2).
 */
#ifndef PL_BASE_HASH_H
#define PL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A digest of rows: exclusive or of the rows' hashes, so equal in whatever order rows came. */
struct pl_digest {
    uint64_t low, high;
};

static inline uint64_t pl_hash64(const void *data, size_t size_bytes)
{
    return XXH3_64bits(data, size_bytes);
}

static inline struct pl_digest pl_hash128(const void *data, size_t size_bytes)
{
    XXH128_hash_t hash = XXH3_128bits(data, size_bytes);
    return (struct pl_digest){.low = hash.low64, .high = hash.high64};
}

/* Adds a row to the digest, or takes it out again. */
static inline void pl_digest_xor(struct pl_digest *digest, struct pl_digest row)
{
    digest->low ^= row.low;
    digest->high ^= row.high;
}

static inline bool pl_digest_equal(struct pl_digest a, struct pl_digest b)
{
    return a.low == b.low && a.high == b.high;
}

#endif
