/* SPDX-License-Identifier: Apache-2.0 */
/* Ids: checked once where they enter, plain bytes from there on. */
#include "lib/base/id.h"

#include <string.h>

#include "lib/base/assert.h"

enum pl_err pl_id_set(struct pl_id *id, const void *data, size_t size_bytes)
{
    *id = (struct pl_id){0};
    if (size_bytes == 0)
        return pl_err_set(PL_REJECT_KEY, "id is empty");
    if (size_bytes > PL_ID_BYTES_MAX)
        return pl_err_set(PL_REJECT_KEY, "id has %zu bytes, %d are allowed", size_bytes,
                          PL_ID_BYTES_MAX);
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size_bytes; i++)
        if (bytes[i] < 0x21 || bytes[i] > 0x7e)
            return pl_err_set(PL_REJECT_RANGE,
                              "id has byte 0x%02x at %zu, printable ASCII is allowed",
                              (unsigned)bytes[i], i);
    memcpy(id->text, data, size_bytes);
    id->size_bytes = (uint8_t)size_bytes;
    return PL_OK;
}

bool pl_id_equal(const struct pl_id *a, const struct pl_id *b)
{
    pl_assert(a->size_bytes <= PL_ID_BYTES_MAX);
    return a->size_bytes == b->size_bytes && memcmp(a->text, b->text, a->size_bytes) == 0;
}

int pl_id_compare(const struct pl_id *a, const struct pl_id *b)
{
    pl_assert(a->size_bytes <= PL_ID_BYTES_MAX && b->size_bytes <= PL_ID_BYTES_MAX);
    size_t common = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = memcmp(a->text, b->text, common);
    return order != 0 ? order : a->size_bytes - b->size_bytes;
}
