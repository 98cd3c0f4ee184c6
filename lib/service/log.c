/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logger. A line is built in a buffer on the stack, so that a signal, a full pipe or a second
 * thread can neither split nor mix lines. Room for the end of the object is kept back: a line that is
 * cut is still one JSON object.
 */
#include "lib/service/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "lib/service/metrics.h"

enum { NAME_BYTES_MAX = 64, CODES_MAX = 128, TAIL_BYTES = 24 };

static const char *const level_names[PL_LOG_LEVEL_COUNT] = {"debug", "info", "warn", "error"};

static struct {
    char service[NAME_BYTES_MAX];
    char instance[NAME_BYTES_MAX];
    enum pl_log_level level;
    bool is_text;
} settings = {.level = PL_LOG_INFO};

/* ---- one line ----------------------------------------------------------------------------------- */

struct line {
    char text[PL_LOG_LINE_BYTES_MAX];
    size_t used;
    bool is_cut;
};

static bool has_room(const struct line *line, size_t size)
{
    return line->used + size <= sizeof line->text - TAIL_BYTES;
}

static void append(struct line *line, const char *bytes, size_t size)
{
    if (!has_room(line, size)) {
        line->is_cut = true;
        return;
    }
    memcpy(line->text + line->used, bytes, size);
    line->used += size;
}

static void append_text(struct line *line, const char *text)
{
    append(line, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at `bytes`, 0 if there is none or it is a control
 * character or a surrogate: neither JSON readers nor terminals should see those. */
static size_t sequence_length(const unsigned char *bytes)
{
    if (bytes[0] >= 0x20 && bytes[0] < 0x7f)
        return 1;
    size_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : bytes[0] >= 0xc2 ? 2 : 0;
    if (length == 0 || bytes[0] > 0xf4)
        return 0;
    uint32_t point = bytes[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) /* also stops at the terminator */
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000}; /* below 0xa0: C1 controls */
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[length] || point > 0x10ffff || is_surrogate ? 0 : length;
}

/* One character of a string, escaped; returns how many bytes of the source it was. */
static size_t append_character(struct line *line, const char *source)
{
    static const char names[] = "\"\\\n\r\t";
    static const char letters[] = "\"\\nrt";
    const unsigned char *bytes = (const unsigned char *)source;
    const char *name = strchr(names, bytes[0]);
    char escape[8];
    if (name) {
        escape[0] = '\\';
        escape[1] = letters[name - names];
        append(line, escape, 2);
        return 1;
    }
    size_t length = sequence_length(bytes);
    if (length > 0) {
        append(line, source, length);
        return length;
    }
    unsigned point = bytes[0] < 0x80 ? bytes[0] : 0xfffd; /* the replacement character */
    (void)snprintf(escape, sizeof escape, "\\u%04x", point);
    append(line, escape, 6);
    return 1;
}

/* A string in quotes; too long a one is cut between characters. */
static void append_string(struct line *line, const char *text)
{
    size_t start = line->used;
    append_text(line, "\"");
    while (*text && has_room(line, 7) && line->used - start < PL_LOG_VALUE_BYTES_MAX)
        text += append_character(line, text);
    line->is_cut = line->is_cut || *text != '\0';
    append_text(line, "\"");
}

/* For people: quotes only where they are needed to see where the value ends. */
static void append_word(struct line *line, const char *text)
{
    bool is_plain = *text != '\0';
    for (const char *c = text; *c && is_plain; c++)
        is_plain = (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f && !strchr("\"\\=", *c);
    if (is_plain && strlen(text) < PL_LOG_VALUE_BYTES_MAX)
        append_text(line, text);
    else
        append_string(line, text);
}

/* A key is ours, a plain word; a field that does not fit is left out as a whole. */
static void append_field(struct line *line, const char *key, const char *text, const int64_t *number)
{
    char digits[24];
    size_t before = line->used;
    if (!has_room(line, strlen(key) + sizeof digits + 6)) {
        line->is_cut = true;
        return;
    }
    append_text(line, settings.is_text ? " " : ",\"");
    append_text(line, key);
    append_text(line, settings.is_text ? "=" : "\":");
    if (number) {
        (void)snprintf(digits, sizeof digits, "%" PRId64, *number);
        append_text(line, digits);
    } else if (settings.is_text) {
        append_word(line, text);
    } else {
        append_string(line, text);
    }
    /* A value that itself had no room, not even for its quotes. */
    if (line->used == before)
        line->is_cut = true;
}

static void begin_line(struct line *line, enum pl_log_level level, const char *code,
                       const char *message)
{
    struct timespec now;
    struct tm utc;
    char stamp[64];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)snprintf(stamp, sizeof stamp, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", utc.tm_year + 1900,
                   utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec);
    line->used = 0;
    line->is_cut = false;
    if (settings.is_text) {
        append_text(line, stamp);
        append_text(line, " ");
        append_text(line, level_names[level]);
        append_text(line, " ");
        append_text(line, code);
        append_text(line, " ");
        append_string(line, message);
        return;
    }
    append_text(line, "{\"ts\":\"");
    append_text(line, stamp);
    append_text(line, "\"");
    append_field(line, "level", level_names[level], NULL);
    append_field(line, "code", code, NULL);
    append_field(line, "msg", message, NULL);
    append_field(line, "service", settings.service, NULL);
    append_field(line, "instance", settings.instance, NULL);
}

/* TAIL_BYTES were kept back for this. */
static void end_line(struct line *line)
{
    const char *end = settings.is_text ? (line->is_cut ? " cut=yes\n" : "\n")
                                       : (line->is_cut ? ",\"cut\":true}\n" : "}\n");
    size_t size = strlen(end);
    memcpy(line->text + line->used, end, size);
    line->used += size;
    /* Nobody is left to be told when this fails. */
    ssize_t ignored = write(STDERR_FILENO, line->text, line->used);
    (void)ignored;
}

/* ---- how often ---------------------------------------------------------------------------------- */

/* Lines of one code in the present second. Codes are literals, so their pointers live on. */
struct rate {
    const char *code;
    time_t second;
    unsigned line_count;
    uint64_t suppressed_count;
};

static struct rate rates[CODES_MAX];
static pthread_mutex_t rates_lock = PTHREAD_MUTEX_INITIALIZER;

static time_t present_second(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* True if a line of this code may be written now. Codes beyond the table share its last row. */
static bool may_write(const char *code, time_t second)
{
    struct rate *rate = rates;
    while (rate < rates + CODES_MAX - 1 && rate->code && strcmp(rate->code, code) != 0)
        rate++;
    if (!rate->code)
        rate->code = code;
    if (rate->second != second) {
        rate->second = second;
        rate->line_count = 0;
    }
    if (rate->line_count < PL_LOG_LINES_PER_SECOND) {
        rate->line_count++;
        return true;
    }
    rate->suppressed_count++;
    return false;
}

/* Says what was suppressed in seconds that are over, or in all of them. */
static void tell_suppressed(time_t second, bool is_all)
{
    for (struct rate *rate = rates; rate < rates + CODES_MAX && rate->code; rate++) {
        if (rate->suppressed_count == 0 || (rate->second == second && !is_all))
            continue;
        struct line line;
        int64_t count = (int64_t)rate->suppressed_count;
        begin_line(&line, PL_LOG_WARN, "LOG_SUPPRESSED", "too many lines of one code in a second");
        append_field(&line, "suppressed_code", rate->code, NULL);
        append_field(&line, "count", NULL, &count);
        end_line(&line);
        rate->suppressed_count = 0;
    }
}

/* ---- the interface ------------------------------------------------------------------------------ */

/* Without the rate limit and its lock: the process is about to end, wherever it was. */
static void log_assertion(const char *expression, const char *file, int number)
{
    struct line line;
    int64_t wide = number;
    begin_line(&line, PL_LOG_ERROR, "ASSERTION", "an assertion failed, which is a bug");
    append_field(&line, "expression", expression, NULL);
    append_field(&line, "file", file, NULL);
    append_field(&line, "line", NULL, &wide);
    append_field(&line, "last_error", pl_err_text(), NULL);
    end_line(&line);
}

void pl_log_init(const char *service, const char *instance, enum pl_log_level level,
                 enum pl_log_format format)
{
    pl_assert(level < PL_LOG_LEVEL_COUNT);
    (void)snprintf(settings.service, sizeof settings.service, "%s", service);
    (void)snprintf(settings.instance, sizeof settings.instance, "%s", instance);
    settings.level = level;
    settings.is_text = format == PL_LOG_AUTO ? isatty(STDERR_FILENO) : format == PL_LOG_PLAIN;
    pl_assert_set_handler(log_assertion);
}

void pl_log(enum pl_log_level level, const char *code, const char *message, ...)
{
    pl_metrics_count_log(level);
    if (level < settings.level)
        return;
    time_t second = present_second();
    (void)pthread_mutex_lock(&rates_lock);
    tell_suppressed(second, false);
    bool is_allowed = may_write(code, second);
    (void)pthread_mutex_unlock(&rates_lock);
    if (!is_allowed)
        return;
    struct line line;
    begin_line(&line, level, code, message);
    va_list fields;
    va_start(fields, message);
    for (const char *key; (key = va_arg(fields, const char *));) {
        enum pl_log_kind kind = (enum pl_log_kind)va_arg(fields, int);
        if (kind == PL_LOG_KIND_INT) {
            int64_t number = va_arg(fields, int64_t);
            append_field(&line, key, NULL, &number);
        } else {
            const char *text = va_arg(fields, const char *);
            append_field(&line, key, text ? text : "", NULL);
        }
    }
    va_end(fields);
    end_line(&line);
}

void pl_log_flush(void)
{
    (void)pthread_mutex_lock(&rates_lock);
    tell_suppressed(0, true);
    (void)pthread_mutex_unlock(&rates_lock);
}
