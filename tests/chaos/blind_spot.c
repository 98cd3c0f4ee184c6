/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into plimsoll-liquidation-blind in front of the search: it never names the account of
 * PL_BLIND_ACCOUNT. A bug in an index would look like this: everybody else is treated well.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/plimsoll.h"

uint32_t __real_pl_screen(const struct pl_market *market, const struct pl_book *book,
                          const uint32_t *touched, uint32_t touched_count, uint32_t *candidates,
                          uint8_t *marks);
uint32_t __wrap_pl_screen(const struct pl_market *market, const struct pl_book *book,
                          const uint32_t *touched, uint32_t touched_count, uint32_t *candidates,
                          uint8_t *marks);

uint32_t __wrap_pl_screen(const struct pl_market *market, const struct pl_book *book,
                          const uint32_t *touched, uint32_t touched_count, uint32_t *candidates,
                          uint8_t *marks)
{
    const char *blind = getenv("PL_BLIND_ACCOUNT");
    uint32_t count = __real_pl_screen(market, book, touched, touched_count, candidates, marks);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!blind || strcmp(pl_book_at(book, candidates[i])->id.text, blind) != 0)
            candidates[kept++] = candidates[i];
    return kept;
}
