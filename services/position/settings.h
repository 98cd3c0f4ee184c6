/* SPDX-License-Identifier: Apache-2.0 */
/* What the position service is configured with besides lib/service/settings.h. */
#ifndef PL_SERVICES_POSITION_SETTINGS_H
#define PL_SERVICES_POSITION_SETTINGS_H

#include "lib/service/settings.h"

struct pl_position_settings {
    struct pl_settings common;
    bool first_start;
    int32_t batch_records_max;
    int32_t poll_wait_ms;
    int32_t transaction_timeout_ms;
    int32_t accounts_max;
    int64_t restate_ms;
};

/* The table of the fields of its own. */
struct pl_config_table pl_position_settings_table(struct pl_position_settings *settings);

#endif
