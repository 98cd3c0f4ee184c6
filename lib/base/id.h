/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of accounts, instruments, sources and chains: 1 to 64 bytes of printable ASCII without
 * space. By value, so that nobody owns them; zero-padded and terminated, so that two equal ids are
 * equal bytes. An id of size 0 means "none".
 */
#ifndef PL_BASE_ID_H
#define PL_BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { PL_ID_BYTES_MAX = 64 };

struct pl_id {
    uint8_t size_bytes;
    char text[PL_ID_BYTES_MAX + 1];
};

/*
 * Sets *id from `size_bytes` bytes at `data` (no terminator needed; NULL only with size 0).
 * REJECT_KEY when there are none or more than 64, REJECT_RANGE when one is outside 0x21..0x7e; the
 * text says which; *id is then none.
 */
enum pl_err pl_id_set(struct pl_id *id, const void *data, size_t size_bytes);

bool pl_id_equal(const struct pl_id *a, const struct pl_id *b);

/* Negative, 0 or positive in the order of bytes, a prefix before what it begins: the order of every
 * output that is sorted by id (G2). */
int pl_id_compare(const struct pl_id *a, const struct pl_id *b);

static inline bool pl_id_is_none(const struct pl_id *id) { return id->size_bytes == 0; }

#endif
