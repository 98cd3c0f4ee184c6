/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in fixed cells. A row owns a run of cells: one, one per label value, or a histogram's
 * buckets and sum. Writers add or store, readers load, all relaxed: a scrape may be between two
 * counts of one event, which is what Prometheus expects.
 */
#include "lib/service/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "lib/base/assert.h"
#include "lib/wire/topics.h"
#include "lib/service/process.h"
#include "lib/service/version.h"

enum {
    DECADES = 5, /* 100 µs to 10 s */
    BUCKETS = DECADES * 9 + 1,
    HISTOGRAM_CELLS = BUCKETS + 2, /* one for what is above, one for the sum in nanoseconds */
    LONGEST_WINDOW_MS = 60000,
};

static const int64_t BUCKET_FIRST_NS = 100000;

enum standard_metric { LOG_MESSAGES, LOOP, LOOP_LONGEST, STANDARD_COUNT };

static const struct pl_metric_row standard_rows[STANDARD_COUNT] = {
    [LOG_MESSAGES] = {"plimsoll_log_messages_total", PL_METRIC_COUNTER, PL_METRIC_BY_WORD,
                      "Log lines, also those below the log level or suppressed.", "level",
                      PL_LOG_LEVEL_CHOICES},
    [LOOP] = {"plimsoll_loop_seconds", PL_METRIC_HISTOGRAM, PL_METRIC_PLAIN,
              "Time that one turn of the loop took, waiting for input excepted.", NULL, NULL},
    [LOOP_LONGEST] = {"plimsoll_loop_longest_seconds", PL_METRIC_GAUGE, PL_METRIC_PLAIN,
                      "Longest turn of the loop in the present and the last minute.", NULL, NULL},
};

/* A table and where the cells of each row begin. */
struct registry {
    const struct pl_metric_row *rows;
    unsigned row_count;
    unsigned first_cells[PL_METRICS_MAX];
};

static struct registry standard, own;
static _Atomic uint64_t cells[PL_METRIC_CELLS_MAX];
static unsigned cell_count;
static const char *service_name = "";

/* ---- cells -------------------------------------------------------------------------------------- */

static uint64_t load(unsigned cell)
{
    return atomic_load_explicit(&cells[cell], memory_order_relaxed);
}

static void add(unsigned cell, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(&cells[cell], amount, memory_order_relaxed);
}

static double load_gauge(unsigned cell)
{
    uint64_t bits = load(cell);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void store_gauge(unsigned cell, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&cells[cell], bits, memory_order_relaxed);
}

static unsigned count_words(const char *words)
{
    unsigned count = 1;
    for (; *words; words++)
        count += *words == ' ';
    return count;
}

static unsigned label_count(const struct pl_metric_row *row)
{
    switch (row->label) {
    case PL_METRIC_PLAIN:
        return 1;
    case PL_METRIC_BY_WORD:
        return count_words(row->words);
    case PL_METRIC_BY_TOPIC:
        return PL_TOPIC_COUNT;
    case PL_METRIC_BY_PARTITION:
        return PL_METRIC_PARTITIONS_MAX;
    }
    pl_assert_failed("a row's label is one of the enum", __FILE__, __LINE__);
}

/* Every row says all it has to, by Prometheus's rules for names: also catches a hole that an enum
 * without a row leaves in a designated initialiser. */
static void check_row(const struct pl_metric_row *row)
{
    pl_assert(row->name && strncmp(row->name, "plimsoll_", strlen("plimsoll_")) == 0);
    pl_assert(row->help && row->help[0] != '\0' && !strpbrk(row->help, "\\\n"));
    const char *last = strrchr(row->name, '_');
    pl_assert((strcmp(last, "_total") == 0) == (row->kind == PL_METRIC_COUNTER));
    pl_assert(row->kind != PL_METRIC_HISTOGRAM || strcmp(last, "_seconds") == 0);
    pl_assert(row->kind != PL_METRIC_HISTOGRAM || row->label == PL_METRIC_PLAIN);
    pl_assert((row->label == PL_METRIC_BY_WORD) == (row->label_name && row->words));
}

static void open_registry(struct registry *registry, const struct pl_metric_row *rows,
                          unsigned row_count)
{
    pl_assert(row_count <= PL_METRICS_MAX);
    registry->rows = rows;
    registry->row_count = row_count;
    for (unsigned i = 0; i < row_count; i++) {
        check_row(&rows[i]);
        bool is_histogram = rows[i].kind == PL_METRIC_HISTOGRAM;
        unsigned count = is_histogram ? HISTOGRAM_CELLS : label_count(&rows[i]);
        pl_assert(cell_count + count <= PL_METRIC_CELLS_MAX);
        registry->first_cells[i] = cell_count;
        for (unsigned j = 0; rows[i].kind == PL_METRIC_GAUGE && j < count; j++)
            store_gauge(cell_count + j, NAN); /* not set */
        cell_count += count;
    }
}

void pl_metrics_init(const char *service, const struct pl_metric_row *rows, unsigned row_count)
{
    memset(cells, 0, sizeof cells);
    cell_count = 0;
    service_name = service;
    open_registry(&standard, standard_rows, STANDARD_COUNT);
    open_registry(&own, rows, row_count);
}

/* The cell of a row's label value. */
static unsigned cell_of(const struct registry *registry, unsigned metric, unsigned index,
                        enum pl_metric_kind kind)
{
    pl_assert(metric < registry->row_count);
    pl_assert(registry->rows[metric].kind == kind);
    pl_assert(index < label_count(&registry->rows[metric]));
    return registry->first_cells[metric] + index;
}

/* ---- counting ----------------------------------------------------------------------------------- */

void pl_metric_add(unsigned metric, uint64_t amount)
{
    pl_metric_add_labelled(metric, 0, amount);
}

void pl_metric_add_labelled(unsigned metric, unsigned index, uint64_t amount)
{
    add(cell_of(&own, metric, index, PL_METRIC_COUNTER), amount);
}

void pl_metric_set(unsigned metric, double value)
{
    pl_metric_set_labelled(metric, 0, value);
}

void pl_metric_set_labelled(unsigned metric, unsigned index, double value)
{
    store_gauge(cell_of(&own, metric, index, PL_METRIC_GAUGE), value);
}

void pl_metric_clear(unsigned metric)
{
    pl_metric_clear_labelled(metric, 0);
}

void pl_metric_clear_labelled(unsigned metric, unsigned index)
{
    store_gauge(cell_of(&own, metric, index, PL_METRIC_GAUGE), NAN);
}

/* Upper bound of a bucket: 1..9 times a power of ten. */
static int64_t bucket_limit_ns(unsigned bucket)
{
    int64_t unit = BUCKET_FIRST_NS;
    for (unsigned decade = bucket / 9; decade > 0; decade--)
        unit *= 10;
    return unit * (bucket % 9 + 1);
}

static void observe(const struct registry *registry, unsigned metric, double seconds)
{
    unsigned first = cell_of(registry, metric, 0, PL_METRIC_HISTOGRAM);
    /* A year is more than any of them; also keeps NaN and infinity out of the conversion. */
    double bounded = seconds > 0 ? (seconds < 31536000 ? seconds : 31536000) : 0;
    int64_t nanoseconds = (int64_t)(bounded * 1e9 + 0.5);
    unsigned bucket = 0;
    while (bucket < BUCKETS && nanoseconds > bucket_limit_ns(bucket))
        bucket++;
    add(first + bucket, 1);
    add(first + HISTOGRAM_CELLS - 1, (uint64_t)nanoseconds);
}

void pl_metric_observe(unsigned metric, double seconds)
{
    observe(&own, metric, seconds);
}

void pl_metrics_count_loop(double seconds)
{
    static double present, last;
    static int64_t present_since_ms;
    if (standard.row_count == 0)
        return;
    int64_t now_ms = pl_mono_ms();
    if (now_ms - present_since_ms >= LONGEST_WINDOW_MS) {
        last = now_ms - present_since_ms < 2 * LONGEST_WINDOW_MS ? present : 0;
        present = 0;
        present_since_ms = now_ms;
    }
    present = seconds > present ? seconds : present;
    observe(&standard, LOOP, seconds);
    store_gauge(cell_of(&standard, LOOP_LONGEST, 0, PL_METRIC_GAUGE),
                present > last ? present : last);
}

void pl_metrics_count_log(enum pl_log_level level)
{
    if (standard.row_count > 0) /* lines may come before the tables */
        add(cell_of(&standard, LOG_MESSAGES, (unsigned)level, PL_METRIC_COUNTER), 1);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static void write_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n')
            fputc('\\', out);
        fputc(*text == '\n' ? 'n' : *text, out);
    }
}

static void write_head(FILE *out, const char *name, const char *kind, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void write_label(FILE *out, const struct pl_metric_row *row, unsigned index)
{
    const char *word = row->words;
    switch (row->label) {
    case PL_METRIC_PLAIN:
        break;
    case PL_METRIC_BY_WORD:
        for (; index > 0; index--)
            word += strcspn(word, " ") + 1;
        fprintf(out, "{%s=\"%.*s\"}", row->label_name, (int)strcspn(word, " "), word);
        break;
    case PL_METRIC_BY_TOPIC:
        fprintf(out, "{topic=\"%s\"}", pl_topic_word((enum pl_topic)index));
        break;
    case PL_METRIC_BY_PARTITION:
        fprintf(out, "{partition=\"%u\"}", index);
        break;
    }
}

static void write_values(FILE *out, const struct pl_metric_row *row, unsigned first)
{
    bool is_gauge = row->kind == PL_METRIC_GAUGE;
    unsigned count = label_count(row);
    for (unsigned i = 0; i < count; i++) {
        uint64_t number = load(first + i);
        double value = load_gauge(first + i);
        bool is_absent = is_gauge ? isnan(value) : row->label == PL_METRIC_BY_PARTITION && !number;
        if (is_absent)
            continue;
        fputs(row->name, out);
        write_label(out, row, i);
        if (is_gauge)
            fprintf(out, " %.15g\n", value);
        else
            fprintf(out, " %llu\n", (unsigned long long)number);
    }
}

static void write_histogram(FILE *out, const struct pl_metric_row *row, unsigned first)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        count += load(first + i);
        fprintf(out, "%s_bucket{le=\"%g\"} %llu\n", row->name, (double)bucket_limit_ns(i) / 1e9,
                (unsigned long long)count);
    }
    /* The count is summed from what was just read, so that it always equals the last bucket. */
    count += load(first + BUCKETS);
    fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n", row->name, (unsigned long long)count);
    uint64_t sum_ns = load(first + HISTOGRAM_CELLS - 1);
    fprintf(out, "%s_sum %llu.%09llu\n%s_count %llu\n", row->name,
            (unsigned long long)(sum_ns / 1000000000), (unsigned long long)(sum_ns % 1000000000),
            row->name, (unsigned long long)count);
}

static const char *kind_name(enum pl_metric_kind kind)
{
    switch (kind) {
    case PL_METRIC_COUNTER:
        return "counter";
    case PL_METRIC_GAUGE:
        return "gauge";
    case PL_METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

static void write_registry(FILE *out, const struct registry *registry)
{
    for (unsigned i = 0; i < registry->row_count; i++) {
        const struct pl_metric_row *row = &registry->rows[i];
        write_head(out, row->name, kind_name(row->kind), row->help);
        if (row->kind == PL_METRIC_HISTOGRAM)
            write_histogram(out, row, registry->first_cells[i]);
        else
            write_values(out, row, registry->first_cells[i]);
    }
}

static void write_build(FILE *out)
{
    write_head(out, "plimsoll_build_info", "gauge", "What runs here; always 1.");
    fputs("plimsoll_build_info{service=\"", out);
    write_escaped(out, service_name);
    fputs("\",version=\"", out);
    write_escaped(out, pl_version);
    fputs("\",revision=\"", out);
    write_escaped(out, pl_revision);
    fputs("\",librdkafka=\"", out);
    write_escaped(out, rd_kafka_version_str());
    fputs("\"} 1\n", out);
}

static void write_process_gauge(FILE *out, const char *name, const char *help, double value)
{
    write_head(out, name, "gauge", help);
    fprintf(out, "%s %.15g\n", name, value);
}

/* Start time in ticks since boot, sizes of memory: from /proc/self/stat. The name, field 2, may
 * contain anything but ends at the last parenthesis. */
static bool read_stat(unsigned long long *start_ticks, unsigned long long *virtual_bytes,
                      long long *resident_pages)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        (void)fclose(file);
    text[size] = '\0';
    const char *rest = strrchr(text, ')');
    return rest && sscanf(rest + 1,
                          " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                          "%*s %llu %llu %lld",
                          start_ticks, virtual_bytes, resident_pages) == 3;
}

static double boot_time_seconds(void)
{
    char text[256];
    unsigned long long seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(text, sizeof text, file))
        if (sscanf(text, "btime %llu", &seconds) == 1)
            break;
    if (file)
        (void)fclose(file);
    return (double)seconds;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count > 0 ? count - 1 : 0; /* without the one that reads */
}

static void write_process(FILE *out)
{
    struct rusage usage;
    struct rlimit limit;
    unsigned long long start_ticks = 0;
    unsigned long long virtual_bytes = 0;
    long long resident_pages = 0;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        write_head(out, "process_cpu_seconds_total", "counter", "User and system CPU time.");
        fprintf(out, "process_cpu_seconds_total %.6f\n",
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
    if (read_stat(&start_ticks, &virtual_bytes, &resident_pages)) {
        write_process_gauge(out, "process_start_time_seconds", "Start, since the epoch.",
                            boot_time_seconds() +
                                (double)start_ticks / (double)sysconf(_SC_CLK_TCK));
        write_process_gauge(out, "process_virtual_memory_bytes", "Address space.",
                            (double)virtual_bytes);
        write_process_gauge(out, "process_resident_memory_bytes", "Memory in use.",
                            (double)resident_pages * (double)sysconf(_SC_PAGESIZE));
    }
    unsigned descriptors = count_descriptors();
    if (descriptors > 0)
        write_process_gauge(out, "process_open_fds", "Open file descriptors.", descriptors);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_process_gauge(out, "process_max_fds", "File descriptors allowed.",
                            (double)limit.rlim_cur);
}

void pl_metrics_write(FILE *out)
{
    write_build(out);
    write_registry(out, &standard);
    write_registry(out, &own);
    write_process(out);
}

static void print_registry(FILE *out, const struct registry *registry)
{
    for (unsigned i = 0; i < registry->row_count; i++) {
        const struct pl_metric_row *row = &registry->rows[i];
        fprintf(out, "| `%s` | %s | ", row->name, kind_name(row->kind));
        switch (row->label) {
        case PL_METRIC_PLAIN:
            break;
        case PL_METRIC_BY_WORD:
            fprintf(out, "%s: %s", row->label_name, row->words);
            break;
        case PL_METRIC_BY_TOPIC:
            fputs("topic", out);
            break;
        case PL_METRIC_BY_PARTITION:
            fputs("partition", out);
            break;
        }
        fprintf(out, " | %s |\n", row->help);
    }
}

void pl_metrics_print(FILE *out)
{
    fputs("| metric | kind | label | meaning |\n|---|---|---|---|\n", out);
    print_registry(out, &own);
    print_registry(out, &standard);
}
