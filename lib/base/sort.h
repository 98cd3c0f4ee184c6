/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting in place: a heap sort, which takes no memory, as the C library's may, does not recurse and has no
 * worst case. It is not stable: compare things so that no two are equal, else their order is left open
 * (G2).
 */
#ifndef PL_BASE_SORT_H
#define PL_BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Below 0 where `left` comes first, above 0 where `right` does. */
typedef int pl_compare(const void *left, const void *right, const void *context);

/* `item_bytes` up to PL_SORT_ITEM_BYTES_MAX. */
enum { PL_SORT_ITEM_BYTES_MAX = 512 };
void pl_sort(void *items, uint32_t count, size_t item_bytes, pl_compare *compare,
             const void *context);

#endif
