/* SPDX-License-Identifier: Apache-2.0 */
/* What the liquidation service is configured with besides lib/service/settings.h. */
#ifndef PL_SERVICES_LIQUIDATION_SETTINGS_H
#define PL_SERVICES_LIQUIDATION_SETTINGS_H

#include "lib/service/settings.h"

struct pl_liquidation_settings {
    struct pl_settings common;
    bool first_start;
    int32_t batch_records_max;
    int32_t poll_wait_ms;
    int32_t heartbeat_ms;
    int32_t freshness_ms;
    int32_t transaction_timeout_ms;
    int32_t accounts_max;
    int32_t audit_window_hours;
    int32_t audit_sweep_s;
    int32_t shadow_sweep_s;
    char journal_key_file[256];
};

/* The table of the fields of its own. */
struct pl_config_table pl_liquidation_settings_table(struct pl_liquidation_settings *settings);

#endif
