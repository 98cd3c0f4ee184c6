/* SPDX-License-Identifier: Apache-2.0 */
/* The price service's own configuration rows. */
#include "services/price/settings.h"

static const struct pl_config_row rows[] = {
    {"price.restate_ms", PL_CONFIG_INT, PL_CONFIG_FIELD(struct pl_price_settings, restate_ms),
     "1000", 100, 60000,
     "A mark that does not change is published again after so long; raise it where thousands of "
     "instruments crowd the marks topic, but keep it below the smallest age_ms_max.", NULL},
    {"price.marks_window_ms", PL_CONFIG_INT,
     PL_CONFIG_FIELD(struct pl_price_settings, marks_window_ms), "3600000", 1000, 604800000,
     "How far back a starting service reads the marks topic for the last mark of each instrument and "
     "for the averages of pegs and of options about to expire; raise it above the longest window of "
     "these, and to find marks after longer outages, lower it to start sooner.", NULL},
};

struct pl_config_table pl_price_settings_table(struct pl_price_settings *settings)
{
    return (struct pl_config_table){rows, sizeof rows / sizeof rows[0], settings};
}
