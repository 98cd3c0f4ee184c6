/* SPDX-License-Identifier: Apache-2.0 */
/* Real market and chain data for tests (see real_data.h). */
#include "tests/support/real_data.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "real data: %s: %s\n", what, why);
    exit(1);
}

const char *real_data_path(const char *name)
{
    static char path[1024];
    const char *folder = getenv("PLIMSOLL_DATA");
    if (folder && folder[0])
        snprintf(path, sizeof(path), "%s/%s", folder, name);
    else
        snprintf(path, sizeof(path), "%s/../shared/data/%s", PL_SOURCE_DIR, name);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "\n*** SKIPPED: this test needs real data: %s is not there; set "
                        "PLIMSOLL_DATA to its folder ***\n\n", path);
        exit(SKIPPED);
    }
    return path;
}

/* ---- CSV without quotes ---------------------------------------------------------------------- */

static int split(char *line, char *fields[CSV_COLUMNS_MAX])
{
    int count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *rest = line; rest && count < CSV_COLUMNS_MAX;)
        fields[count++] = strsep(&rest, ",");
    return count;
}

void csv_open(struct csv *csv, const char *name)
{
    memset(csv, 0, sizeof(*csv));
    csv->file = fopen(real_data_path(name), "r");
    if (!csv->file || !fgets(csv->header, sizeof(csv->header), csv->file))
        fail(name, "cannot be read");
    csv->column_count = split(csv->header, csv->columns);
}

bool csv_next(struct csv *csv)
{
    if (!fgets(csv->line, sizeof(csv->line), csv->file)) {
        fclose(csv->file);
        csv->file = NULL;
        return false;
    }
    if (split(csv->line, csv->fields) != csv->column_count)
        fail(csv->line, "a line has another number of fields than the header");
    return true;
}

const char *csv_text(const struct csv *csv, const char *column)
{
    for (int i = 0; i < csv->column_count; i++)
        if (strcmp(csv->columns[i], column) == 0)
            return csv->fields[i];
    fail(column, "no such column");
}

int64_t csv_integer(const struct csv *csv, const char *column)
{
    return strtoll(csv_text(csv, column), NULL, 10);
}

long double csv_number(const struct csv *csv, const char *column)
{
    return strtold(csv_text(csv, column), NULL);
}

/* ---- parameters ------------------------------------------------------------------------------ */

struct aave_reserve aave_v2_reserve(const char *asset)
{
    static json_t *set;
    json_error_t error;
    const char *name;
    json_t *row;
    struct aave_reserve reserve = { 0 };
    if (!set)
        set = json_load_file(real_data_path("params_aave_v2.json"), 0, &error);
    if (!set)
        fail("params_aave_v2.json", error.text);
    json_object_foreach(json_object_get(set, "reserves"), name, row) {
        if (strcasecmp(name, asset) != 0) /* sUSD here, SUSD there */
            continue;
        reserve.ltv_bps = (int)json_integer_value(json_object_get(row, "ltv_bps"));
        reserve.threshold_bps =
            (int)json_integer_value(json_object_get(row, "liquidation_threshold_bps"));
        reserve.bonus_bps =
            (int)json_integer_value(json_object_get(row, "liquidation_bonus_bps"));
    }
    return reserve;
}

/* ---- figures --------------------------------------------------------------------------------- */

static int by_value(const void *left, const void *right)
{
    const long double *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

long double quantile(long double *values, unsigned count, long double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), by_value);
    unsigned at = (unsigned)((long double)count * share);
    return values[at < count ? at : count - 1];
}
