/* SPDX-License-Identifier: Apache-2.0 */
/* The liquidation service's metrics: one enum, one table (metrics.c). */
#ifndef PL_SERVICES_LIQUIDATION_METRICS_H
#define PL_SERVICES_LIQUIDATION_METRICS_H

#include "lib/service/metrics.h"

enum liquidation_metric {
    PL_METRIC_CONSUMED,
    PL_METRIC_REJECTED,
    PL_METRIC_PUBLISHED,
    PL_METRIC_EVALUATED,
    PL_METRIC_COMMITS,
    PL_METRIC_ABORTS,
    PL_METRIC_BRAKED,
    PL_METRIC_REPORTS_UNMATCHED,
    PL_METRIC_PRICE_TO_ORDER,
    PL_METRIC_ACCOUNTS,
    PL_METRIC_READINESS,
    PL_METRIC_HALTED,
    PL_METRIC_PARAMETER_EPOCH,
    PL_METRIC_CLOCK_AHEAD,
    PL_METRIC_AUDITED,
    PL_METRIC_AUDIT_SWEEPS,
    PL_METRIC_AUDIT_DIVERGED,
    PL_METRIC_SHADOW_EPOCH,
    PL_METRIC_SHADOW_ACCOUNTS,
    PL_METRIC_CACHE,
    PL_METRIC_COUNT
};

enum liquidation_cache_word { PL_CACHE_WRITTEN, PL_CACHE_DROPPED, PL_CACHE_REFUSED,
                              PL_CACHE_FAILED };

extern const struct pl_metric_row liquidation_metrics[PL_METRIC_COUNT];

#endif
