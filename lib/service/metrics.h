/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: one enum and one table per process, fixed cells, relaxed atomics, so that the loop counts
 * and the HTTP thread reads without either waiting. Three kinds: counter, gauge, histogram in seconds.
 *
 * A metric has at most one label, whose values are fixed words, the topics, or partition numbers.
 * Never accounts or orders: those would be without bound. Every process has besides its own the
 * standard ones: process_*, plimsoll_build_info, plimsoll_log_messages_total and its loop's times.
 *
 * Output is Prometheus text format 0.0.4. Functions with a metric assert that it is of their kind.
 */
#ifndef PL_SERVICE_METRICS_H
#define PL_SERVICE_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "lib/service/log.h"

enum {
    PL_METRICS_MAX = 128,           /* rows of one table                                        */
    PL_METRIC_CELLS_MAX = 32768,    /* of all rows together                                     */
    PL_METRIC_PARTITIONS_MAX = 1024
};

enum pl_metric_kind { PL_METRIC_COUNTER, PL_METRIC_GAUGE, PL_METRIC_HISTOGRAM };

enum pl_metric_label {
    PL_METRIC_PLAIN,        /* no label                                                         */
    PL_METRIC_BY_WORD,      /* `label_name` with one of `words`; the index is the word's place  */
    PL_METRIC_BY_TOPIC,     /* topic; the index is an enum pl_topic                             */
    PL_METRIC_BY_PARTITION, /* partition; the index is its number                               */
};

struct pl_metric_row {
    const char *name; /* plimsoll_…, base unit last: _seconds, _bytes; counters end in _total */
    enum pl_metric_kind kind;
    enum pl_metric_label label;
    const char *help;
    const char *label_name;
    const char *words;    /* separated by one space, in the order of an enum */
};

/* Takes the process's table: `row_count` rows, indexed by its enum, borrowed for good. Once, before
 * the first use and before a second thread. A row that is incomplete or named against Prometheus's
 * rules asserts, as do cells beyond the limits. */
void pl_metrics_init(const char *service, const struct pl_metric_row *rows, unsigned row_count);

/* Counters. A counter shows 0 from the start, with each of its words or topics; a partition's from
 * its first count on. */
void pl_metric_add(unsigned metric, uint64_t amount);
void pl_metric_add_labelled(unsigned metric, unsigned index, uint64_t amount);

/* Gauges. Shown from the first set on, until cleared. */
void pl_metric_set(unsigned metric, double value);
void pl_metric_set_labelled(unsigned metric, unsigned index, double value);
void pl_metric_clear(unsigned metric);
void pl_metric_clear_labelled(unsigned metric, unsigned index);

/* Histograms: buckets at 1, 2, … 9 times each power of ten from 100 µs to 10 s. Negative counts as
 * 0. */
void pl_metric_observe(unsigned metric, double seconds);

/* One turn of the process's loop took so long, waiting for input excepted. Gives the histogram
 * plimsoll_loop_seconds and plimsoll_loop_longest_seconds of the present and the last minute. The
 * loop's thread only. */
void pl_metrics_count_loop(double seconds);

/* Used by the logger. */
void pl_metrics_count_log(enum pl_log_level level);

/* The whole of /metrics. */
void pl_metrics_write(FILE *out);

/* The table for people: name, kind, label, meaning; Markdown. */
void pl_metrics_print(FILE *out);

#endif
