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
    [PL_METRIC_BRAKED] = { "plimsoll_sales_braked_total", PL_METRIC_COUNTER, PL_METRIC_PLAIN,
                           "Account states published whose sale waits for the brake.", NULL, NULL },
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
                              PL_METRIC_BY_PARTITION, "1 loading, 2 deciding, 3 waiting, 4 stopped by the self-audit.",
                              NULL, NULL },
    [PL_METRIC_HALTED] = { "plimsoll_halt_active", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                           "1 while new orders are halted everywhere.", NULL, NULL },
    [PL_METRIC_PARAMETER_EPOCH] = { "plimsoll_parameter_epoch", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                                    "Epoch of the parameter set in force.", NULL, NULL },
    [PL_METRIC_CLOCK_AHEAD] = { "plimsoll_clock_ahead_seconds", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                                "By how much the wall clock is beyond what is believed of it.", NULL,
                                NULL },
    [PL_METRIC_AUDITED] = { "plimsoll_self_audit_accounts_total", PL_METRIC_COUNTER,
                            PL_METRIC_PLAIN, "Accounts decided once more by the plain evaluator.",
                            NULL, NULL },
    [PL_METRIC_AUDIT_SWEEPS] = { "plimsoll_self_audit_sweeps_total", PL_METRIC_COUNTER,
                                 PL_METRIC_PLAIN, "Times that a whole partition was audited.", NULL,
                                 NULL },
    [PL_METRIC_AUDIT_DIVERGED] = { "plimsoll_self_audit_divergences_total", PL_METRIC_COUNTER,
                                   PL_METRIC_PLAIN,
                                   "Decisions that the plain evaluator did not confirm: alarm.",
                                   NULL, NULL },
    [PL_METRIC_SHADOW_EPOCH] = { "plimsoll_shadow_epoch", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                                 "Epoch of the shadow parameter set; absent while there is none.",
                                 NULL, NULL },
    [PL_METRIC_SHADOW_ACCOUNTS] = { "plimsoll_shadow_accounts", PL_METRIC_GAUGE,
                                    PL_METRIC_BY_WORD,
                                    "Accounts by where they stand and would under the shadow set: the "
                                    "last tier they are below; of the last whole sweep.", "change",
                                    "whole_to_whole whole_to_alert whole_to_initial whole_to_end whole_to_maintenance "
                                    "alert_to_whole alert_to_alert alert_to_initial alert_to_end alert_to_maintenance "
                                    "initial_to_whole initial_to_alert initial_to_initial initial_to_end initial_to_maintenance "
                                    "end_to_whole end_to_alert end_to_initial end_to_end end_to_maintenance "
                                    "maintenance_to_whole maintenance_to_alert maintenance_to_initial maintenance_to_end maintenance_to_maintenance "
                                    "uncertain" },
    [PL_METRIC_CACHE] = { "plimsoll_cache_writes", PL_METRIC_GAUGE, PL_METRIC_BY_WORD,
                          "Writes to Redis since start.", "result",
                          "written dropped refused failed" },
};

_Static_assert(sizeof(liquidation_metrics) / sizeof(liquidation_metrics[0]) == PL_METRIC_COUNT,
               "one row for each metric");
