/* SPDX-License-Identifier: Apache-2.0 */
/* What two records of one topic say differently, field by field in the order of the schema: for
 * people who have to find out why they are not the same bytes. */
#ifndef PL_SERVICES_CLI_COMPARE_H
#define PL_SERVICES_CLI_COMPARE_H

#include "lib/wire/wire.h"

enum { COMPARE_FIELD_BYTES = 64, COMPARE_VALUE_BYTES = 256 };

/* The first field that differs: "lots", "limit_price", "pending[2].executed_lots". An amount is one
 * value, in decimals; "absent" where a record has no such field. */
struct compare_result {
    char field[COMPARE_FIELD_BYTES];
    struct pl_id instrument; /* of the innermost message that names one; size 0: none             */
    char recorded[COMPARE_VALUE_BYTES], replayed[COMPARE_VALUE_BYTES];
};

/* The field is "value" and the values say why when a record cannot be read, or when the same fields
 * are encoded in other bytes. */
void compare_values(enum pl_topic topic, struct pl_bytes_view recorded,
                    struct pl_bytes_view replayed, struct compare_result *result);

#endif
