/* SPDX-License-Identifier: Apache-2.0 */
/* The position service's metrics: one enum, one table (metrics.c). */
#ifndef PL_SERVICES_POSITION_METRICS_H
#define PL_SERVICES_POSITION_METRICS_H

#include "lib/service/metrics.h"

enum position_metric {
    PL_METRIC_CONSUMED,
    PL_METRIC_REJECTED,
    PL_METRIC_DUPLICATES,
    PL_METRIC_PUBLISHED,
    PL_METRIC_ABORTS,
    PL_METRIC_ACCOUNTS,
    PL_METRIC_COUNT
};

extern const struct pl_metric_row position_metrics[PL_METRIC_COUNT];

#endif
