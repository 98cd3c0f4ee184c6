/* SPDX-License-Identifier: Apache-2.0 */
/* The price service's metrics, as a table. */
#include "services/price/metrics.h"

const struct pl_metric_row price_metrics[PL_METRIC_COUNT] = {
    [PL_METRIC_CONSUMED] = {"plimsoll_records_consumed_total", PL_METRIC_COUNTER,
        PL_METRIC_BY_TOPIC, "Records read.", NULL, NULL},
    [PL_METRIC_REJECTED] = {"plimsoll_records_rejected_total", PL_METRIC_COUNTER,
        PL_METRIC_BY_TOPIC, "Records that could not be applied.", NULL, NULL},
    [PL_METRIC_DEAD_LETTERS] = {"plimsoll_dead_letters_total", PL_METRIC_COUNTER,
        PL_METRIC_PLAIN, "Records sent to the dead-letter topic.", NULL, NULL},
    [PL_METRIC_QUOTES] = {"plimsoll_quotes_total", PL_METRIC_COUNTER, PL_METRIC_BY_WORD,
        "Quotes by what became of them.", "result",
        "accepted zero crossed duplicate late future unknown_source unlisted out_of_band "
        "out_of_range"},
    [PL_METRIC_MARKS] = {"plimsoll_marks_published_total", PL_METRIC_COUNTER, PL_METRIC_PLAIN,
        "Marks handed to the producer, restatements included.", NULL, NULL},
    [PL_METRIC_DEFERRED] = {"plimsoll_marks_deferred_total", PL_METRIC_COUNTER,
        PL_METRIC_PLAIN, "Marks put off because the local queue was full.", NULL, NULL},
    [PL_METRIC_UNDELIVERED] = {"plimsoll_records_undelivered_total", PL_METRIC_COUNTER,
        PL_METRIC_PLAIN, "Records the brokers did not take in time.", NULL, NULL},
    [PL_METRIC_LATENCY] = {"plimsoll_price_to_mark_seconds", PL_METRIC_HISTOGRAM,
        PL_METRIC_PLAIN, "From a price's append to the mark that it changed.", NULL, NULL},
    [PL_METRIC_INSTRUMENTS] = {"plimsoll_instruments", PL_METRIC_GAUGE, PL_METRIC_BY_WORD,
        "Listed instruments of the owned partitions by the status of their mark.", "status",
        "none live stale halted"},
    [PL_METRIC_LAG] = {"plimsoll_prices_lag_records", PL_METRIC_GAUGE, PL_METRIC_BY_PARTITION,
        "Prices of an owned partition that are not read yet.", NULL, NULL},
    [PL_METRIC_EPOCH] = {"plimsoll_parameter_epoch", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
        "Epoch of the parameters in force.", NULL, NULL},
    [PL_METRIC_BASE_EPOCH] = {"plimsoll_parameter_base_epoch", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
        "Epoch of the base set that the parameters in force were derived from.", NULL, NULL},
    [PL_METRIC_DERIVED] = {"plimsoll_parameters_derived_total", PL_METRIC_COUNTER,
        PL_METRIC_PLAIN, "Effective parameter sets handed to the producer.", NULL, NULL},
    [PL_METRIC_UNDERIVABLE] = {"plimsoll_parameters_underivable_total", PL_METRIC_COUNTER,
        PL_METRIC_PLAIN, "Derived sets that were not valid: the last one stays in force.", NULL,
        NULL},
    [PL_METRIC_HAIRCUTS] = {"plimsoll_haircuts_moving", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
        "Instruments whose haircut is on its way to an announced target.", NULL, NULL},
};

_Static_assert(sizeof(price_metrics) / sizeof(price_metrics[0]) == PL_METRIC_COUNT,
               "one row for each metric");
