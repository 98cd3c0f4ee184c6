/* SPDX-License-Identifier: Apache-2.0 */
/* A heap sort (sort.h). */
#include "lib/base/sort.h"

#include <string.h>

#include "lib/base/assert.h"

struct heap {
    uint8_t *items;
    size_t item_bytes;
    pl_compare *compare;
    const void *context;
};

static uint8_t *at(const struct heap *heap, uint32_t place)
{
    return heap->items + (size_t)place * heap->item_bytes;
}

static void exchange(const struct heap *heap, uint32_t a, uint32_t b)
{
    uint8_t item[PL_SORT_ITEM_BYTES_MAX];
    memcpy(item, at(heap, a), heap->item_bytes);
    memcpy(at(heap, a), at(heap, b), heap->item_bytes);
    memcpy(at(heap, b), item, heap->item_bytes);
}

static bool is_before(const struct heap *heap, uint32_t a, uint32_t b)
{
    return heap->compare(at(heap, a), at(heap, b), heap->context) < 0;
}

/* Lets the item at `place` sink to where both below it come before it. */
static void sink(const struct heap *heap, uint32_t place, uint32_t count)
{
    for (;;) {
        uint32_t last = place, child = 2 * place + 1;
        if (child < count && is_before(heap, last, child))
            last = child;
        if (child + 1 < count && is_before(heap, last, child + 1))
            last = child + 1;
        if (last == place)
            return;
        exchange(heap, place, last);
        place = last;
    }
}

void pl_sort(void *items, uint32_t count, size_t item_bytes, pl_compare *compare,
             const void *context)
{
    const struct heap heap = {items, item_bytes, compare, context};
    pl_assert(item_bytes <= PL_SORT_ITEM_BYTES_MAX);
    for (uint32_t place = count / 2; place-- > 0;)
        sink(&heap, place, count);
    for (uint32_t rest = count; rest-- > 1;) {
        exchange(&heap, 0, rest);
        sink(&heap, 0, rest);
    }
}
