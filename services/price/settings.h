/* SPDX-License-Identifier: Apache-2.0 */
/* What the price service is configured with besides lib/service/settings.h. */
#ifndef PL_SERVICES_PRICE_SETTINGS_H
#define PL_SERVICES_PRICE_SETTINGS_H

#include "lib/service/settings.h"

struct pl_price_settings {
    struct pl_settings common;
    int32_t restate_ms;
    int64_t marks_window_ms;
};

/* The table of the fields of its own. */
struct pl_config_table pl_price_settings_table(struct pl_price_settings *settings);

#endif
