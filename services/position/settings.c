/* SPDX-License-Identifier: Apache-2.0 */
/* The position service's own configuration rows. */
#include "services/position/settings.h"

#define INT(key, field, fallback, least, most, help)                                            \
    { key, PL_CONFIG_INT, PL_CONFIG_FIELD(struct pl_position_settings, field), fallback, least, \
      most, help, NULL }

static const struct pl_config_row rows[] = {
    { "first_start", PL_CONFIG_BOOL, PL_CONFIG_FIELD(struct pl_position_settings, first_start),
      "no", 0, 0,
      "Begin at the first record where the group has never committed; yes once, when the group runs "
      "for the first time. With no, missing offsets end the process instead of losing input.", NULL },
    INT("batch.records_max", batch_records_max, "1000", 1, 4096,
        "Position events in one transaction; lower it to shorten transactions."),
    INT("poll.wait_ms", poll_wait_ms, "5", 0, 1000,
        "Longest wait for input in one step; raise it to save idle processor time."),
    INT("transaction.timeout_ms", transaction_timeout_ms, "10000", 1000, 60000,
        "Longest life of a transaction, and of a dead worker's hold on its partitions; raise it on a "
        "slow cluster."),
    INT("book.accounts_max", accounts_max, "65536", 16, 16777216,
        "Accounts of one partition; address space is reserved for them, memory is used as they come."),
    INT("restate.interval_ms", restate_ms, "79200000", 1000, 86400000,
        "Every account is written again after this long, so that readers need not go further back "
        "than 25 hours; lower it to try that out."),
};

struct pl_config_table pl_position_settings_table(struct pl_position_settings *settings)
{
    return (struct pl_config_table){ rows, sizeof(rows) / sizeof(rows[0]), settings };
}
