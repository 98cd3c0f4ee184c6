/* SPDX-License-Identifier: Apache-2.0 */
/* The liquidation service's own configuration rows. */
#include "services/liquidation/settings.h"

#define INT(key, field, fallback, least, most, help)                                               \
    { key, PL_CONFIG_INT, PL_CONFIG_FIELD(struct pl_liquidation_settings, field), fallback, least, \
      most, help, NULL }

static const struct pl_config_row rows[] = {
    { "first_start", PL_CONFIG_BOOL, PL_CONFIG_FIELD(struct pl_liquidation_settings, first_start),
      "no", 0, 0,
      "Begin at the first record where the group has never committed; yes once, when the group runs "
      "for the first time. With no, missing offsets end the process instead of losing input.", NULL },
    INT("batch.records_max", batch_records_max, "2000", 1, 4096,
        "Records of holdings and executions in one step; lower it to shorten steps."),
    INT("poll.wait_ms", poll_wait_ms, "2", 0, 1000,
        "Longest wait for input in one step; raise it to save idle processor time."),
    INT("heartbeat.interval_ms", heartbeat_ms, "1000", 100, 10000,
        "How often a journal entry is written where nothing happens; raise it to shrink the journal."),
    INT("freshness.max_ms", freshness_ms, "1000", 10, 60000,
        "A decision older than this is not published again after an aborted transaction but made anew; "
        "lower it where prices move faster."),
    INT("transaction.timeout_ms", transaction_timeout_ms, "10000", 1000, 60000,
        "Longest life of a transaction, and of a dead worker's hold on its partitions; raise it on a "
        "slow cluster."),
    INT("book.accounts_max", accounts_max, "65536", 16, 16777216,
        "Accounts of one partition; address space is reserved for them, memory is used as they come."),
    INT("audit.window_hours", audit_window_hours, "168", 1, 87600,
        "For how long decisions must be replayable; topics with a shorter history are refused."),
    INT("audit.sweep_s", audit_sweep_s, "60", 0, 86400,
        "In how much time the self-audit decides every account once more by the plain evaluator; 0 turns "
        "it off. A difference stops the partition."),
    INT("shadow.sweep_s", shadow_sweep_s, "60", 0, 86400,
        "In how much time every account is evaluated under a shadow parameter set, while there is one; "
        "raise it to spare processor time, 0 turns it off."),
    { "journal.key_file", PL_CONFIG_TEXT,
      PL_CONFIG_FIELD(struct pl_liquidation_settings, journal_key_file), "", 0, 255,
      "Private Ed25519 key (PEM, mode 0400) that signs journal entries; empty leaves them unsigned.",
      NULL },
};

struct pl_config_table pl_liquidation_settings_table(struct pl_liquidation_settings *settings)
{
    return (struct pl_config_table){ rows, sizeof(rows) / sizeof(rows[0]), settings };
}
