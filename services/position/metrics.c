/* SPDX-License-Identifier: Apache-2.0 */
/* The position service's metrics, as a table. */
#include "services/position/metrics.h"

const struct pl_metric_row position_metrics[PL_METRIC_COUNT] = {
    [PL_METRIC_CONSUMED] = { "plimsoll_records_consumed_total", PL_METRIC_COUNTER,
                             PL_METRIC_BY_TOPIC, "Records read.", NULL, NULL },
    [PL_METRIC_REJECTED] = { "plimsoll_records_rejected_total", PL_METRIC_COUNTER,
                             PL_METRIC_BY_TOPIC, "Records that could not be applied.", NULL, NULL },
    [PL_METRIC_DUPLICATES] = { "plimsoll_records_duplicate_total", PL_METRIC_COUNTER,
                               PL_METRIC_PLAIN, "Position events that were applied before.", NULL,
                               NULL },
    [PL_METRIC_PUBLISHED] = { "plimsoll_records_published_total", PL_METRIC_COUNTER,
                              PL_METRIC_BY_TOPIC, "Records committed.", NULL, NULL },
    [PL_METRIC_ABORTS] = { "plimsoll_transactions_aborted_total", PL_METRIC_COUNTER,
                           PL_METRIC_PLAIN, "Transactions aborted; normal at a rebalance.", NULL,
                           NULL },
    [PL_METRIC_ACCOUNTS] = { "plimsoll_accounts", PL_METRIC_GAUGE, PL_METRIC_BY_PARTITION,
                             "Accounts known.", NULL, NULL },
};

_Static_assert(sizeof(position_metrics) / sizeof(position_metrics[0]) == PL_METRIC_COUNT,
               "one row for each metric");
