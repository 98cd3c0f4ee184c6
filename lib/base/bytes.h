/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes: the one form in which keys, values and headers travel between modules. The owner
 * and the life of the bytes are said by whoever hands the view out. */
#ifndef PL_BASE_BYTES_H
#define PL_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct pl_bytes_view {
    const uint8_t *data; /* NULL: absent, which differs from empty */
    size_t size_bytes;
};

/* A record header. Names may come twice; the last one counts. */
struct pl_header {
    const char *name;
    struct pl_bytes_view value;
};

#endif
