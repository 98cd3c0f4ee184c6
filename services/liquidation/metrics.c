/* SPDX-License-Identifier: Apache-2.0 */
/* The liquidation service's metrics, as a table. */
#include "services/liquidation/metrics.h"

const struct pl_metric_row liquidation_metrics[PL_METRIC_COUNT] = {
    [PL_METRIC_CONSUMED] = { "plimsoll_records_consumed_total", PL_METRIC_COUNTER,
                             PL_METRIC_BY_TOPIC, "Records read.", NULL, NULL },
    [PL_METRIC_REJECTED] = { "plimsoll_records_rejected_total", PL_METRIC_COUNTER,
                             PL_METRIC_BY_TOPIC, "Records that could not be applied.", NULL, NULL },
    [PL_METRIC_PUBLISHED] = { "plimsoll_records_published_total", PL_METRIC_COUNTER,
                              PL_METRIC_BY_TOPIC, "Records committed.", NULL, NULL },
    [PL_METRIC_EVALUATED] = { "plimsoll_evaluations_total", PL_METRIC_COUNTER, PL_METRIC_PLAIN,
                              "Accounts decided after the search.", NULL, NULL },
    [PL_METRIC_COMMITS] = { "plimsoll_transactions_committed_total", PL_METRIC_COUNTER,
                            PL_METRIC_PLAIN, "Transactions committed.", NULL, NULL },
    [PL_METRIC_ABORTS] = { "plimsoll_transactions_aborted_total", PL_METRIC_COUNTER,
                           PL_METRIC_PLAIN, "Transactions aborted; normal at a rebalance.", NULL,
                           NULL },
    [PL_METRIC_REPORTS_UNMATCHED] = { "plimsoll_reports_unmatched_total", PL_METRIC_COUNTER,
                                      PL_METRIC_PLAIN,
                                      "Execution reports of orders that are not pending.", NULL,
                                      NULL },
    [PL_METRIC_PRICE_TO_ORDER] = { "plimsoll_price_to_order_seconds", PL_METRIC_HISTOGRAM,
                                   PL_METRIC_PLAIN,
                                   "From the newest price's event time to the committed order.",
                                   NULL, NULL },
    [PL_METRIC_ACCOUNTS] = { "plimsoll_accounts", PL_METRIC_GAUGE, PL_METRIC_BY_PARTITION,
                             "Accounts in the book.", NULL, NULL },
    [PL_METRIC_READINESS] = { "plimsoll_partition_readiness", PL_METRIC_GAUGE,
                              PL_METRIC_BY_PARTITION, "1 loading, 2 deciding, 3 waiting.", NULL,
                              NULL },
    [PL_METRIC_HALTED] = { "plimsoll_halt_active", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                           "1 while new orders are halted everywhere.", NULL, NULL },
    [PL_METRIC_PARAMETER_EPOCH] = { "plimsoll_parameter_epoch", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                                    "Epoch of the parameter set in force.", NULL, NULL },
    [PL_METRIC_CACHE] = { "plimsoll_cache_writes", PL_METRIC_GAUGE, PL_METRIC_BY_WORD,
                          "Writes to Redis since start.", "result",
                          "written dropped refused failed" },
};

_Static_assert(sizeof(liquidation_metrics) / sizeof(liquidation_metrics[0]) == PL_METRIC_COUNT,
               "one row for each metric");
