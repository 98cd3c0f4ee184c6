/* SPDX-License-Identifier: Apache-2.0 */
/* What config.c lends to config_print.c; nobody else includes it. */
#ifndef PL_SERVICE_CONFIG_ROW_H
#define PL_SERVICE_CONFIG_ROW_H

#include "lib/service/config.h"

/* Row `index` over all tables, and its field if asked for; NULL past the last. */
const struct pl_config_row *config_row_at(const struct pl_config *config, unsigned index,
                                          void **field);

/* The value as text that parses back, "(secret)" for one that is kept. */
void config_value_print(const struct pl_config_row *row, const void *field,
                        char text[PL_CONFIG_VALUE_BYTES_MAX]);

const char *config_fallback(const struct pl_config *config, const struct pl_config_row *row);

#endif
