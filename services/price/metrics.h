/* SPDX-License-Identifier: Apache-2.0 */
/* The price service's metrics: one enum, one table (metrics.c). */
#ifndef PL_SERVICES_PRICE_METRICS_H
#define PL_SERVICES_PRICE_METRICS_H

#include "lib/service/metrics.h"

enum price_metric {
    PL_METRIC_CONSUMED,    /* by topic                      */
    PL_METRIC_REJECTED,    /* by topic                      */
    PL_METRIC_DEAD_LETTERS,
    PL_METRIC_QUOTES,      /* by enum pl_drop               */
    PL_METRIC_MARKS,
    PL_METRIC_DEFERRED,
    PL_METRIC_UNDELIVERED,
    PL_METRIC_LATENCY,
    PL_METRIC_INSTRUMENTS, /* by enum pl_mark_status        */
    PL_METRIC_LAG,         /* by partition                  */
    PL_METRIC_EPOCH,
    PL_METRIC_BASE_EPOCH,
    PL_METRIC_DERIVED,
    PL_METRIC_UNDERIVABLE,
    PL_METRIC_HAIRCUTS,    /* instruments whose haircut is on its way */
    PL_METRIC_COUNT
};

extern const struct pl_metric_row price_metrics[PL_METRIC_COUNT];

#endif
