/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last holdings record of every account of one partition, as bytes: the position service's whole
 * state. Records differ in size by a factor of a thousand, so they lie in blocks of a power of two
 * with a free list for each size; memory is one mapped block whose untouched pages cost nothing.
 */
#ifndef PL_SERVICES_POSITION_STORE_H
#define PL_SERVICES_POSITION_STORE_H

#include "lib/base/bytes.h"
#include "lib/base/id.h"

struct store;

size_t store_bytes(uint32_t accounts_max, size_t value_bytes_max);
/* `block` is zeroed and 64-byte aligned; it becomes the store. */
struct store *store_init(void *block, uint32_t accounts_max, size_t value_bytes_max);

uint32_t store_count(const struct store *store);
/* Row of an account; false when it has none. Rows never move. */
bool store_find(const struct store *store, const struct pl_id *account, uint32_t *row);
/* The bytes of a row; borrowed until the next put. */
struct pl_bytes_view store_at(const struct store *store, uint32_t row);
const struct pl_id *store_account(const struct store *store, uint32_t row);
/* Puts a copy of `value` in place of the account's last one. REJECT_CAPACITY, nothing changed. */
enum pl_err store_put(struct store *store, const struct pl_id *account, struct pl_bytes_view value);

#endif
