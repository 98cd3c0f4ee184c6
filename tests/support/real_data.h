/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real market and chain data for tests: CSV files with a header and lending parameters, read from
 * $PLIMSOLL_DATA or, without it, from ../shared/data beside the project. They are not part of the
 * project: a test that finds none says so loudly and ends with status 77. Any other trouble ends it
 * with status 1.
 */
#ifndef TEST_SUPPORT_REAL_DATA_H
#define TEST_SUPPORT_REAL_DATA_H

#include <stdint.h>
#include <stdio.h>

enum { CSV_COLUMNS_MAX = 24, CSV_LINE_MAX = 1024 };

/* A file that is being read; `fields` are those of the present line. */
struct csv {
    FILE *file;
    char header[CSV_LINE_MAX], line[CSV_LINE_MAX];
    char *columns[CSV_COLUMNS_MAX], *fields[CSV_COLUMNS_MAX];
    int column_count;
};

/* Full path of a data file, borrowed until the next call; skips the test when it is not there. */
const char *real_data_path(const char *name);

void csv_open(struct csv *csv, const char *name);
/* The next line; false at the end, and the file is closed. */
bool csv_next(struct csv *csv);
/* A field of the present line by its column's name. */
const char *csv_text(const struct csv *csv, const char *column);
int64_t csv_integer(const struct csv *csv, const char *column);
/* 0 for an empty field. */
long double csv_number(const struct csv *csv, const char *column);

/* What Aave v2 said of an asset at its launch, in basis points; all 0 for one it did not list. */
struct aave_reserve { int ltv_bps, threshold_bps, bonus_bps; };
struct aave_reserve aave_v2_reserve(const char *asset);

/* Order statistic: the value below which `share` of the sorted-in-place values lie. */
long double quantile(long double *values, unsigned count, long double share);

#endif
