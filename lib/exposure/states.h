/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States as the screen walks them: in place and in no order that may show in an output. Private to
 * lib/exposure.
 */
#ifndef PL_EXPOSURE_STATES_H
#define PL_EXPOSURE_STATES_H

#include "lib/plimsoll.h"

/* The state of an account, NULL for the default one. Borrowed until the book changes; of `pending`
 * there is only what pending_count counts. */
const struct pl_account_state *pl_book_state_view(const struct pl_book *book, uint32_t index);

/* Accounts that have a state: their number, and the row of each. */
uint32_t pl_book_state_count(const struct pl_book *book);
uint32_t pl_book_state_row(const struct pl_book *book, uint32_t place);

#endif
