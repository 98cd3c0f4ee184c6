/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them (when.h). Nothing is guessed: a time without a zone is refused. */
#include "services/cli/when.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t YEAR_9999_MS = 253402300799999;

static enum pl_err bad(const char *text, const char *what)
{
    return pl_err_set(PL_FATAL_CONFIG, "\"%.64s\": %s; say 2026-11-22T10:00:00Z, seconds or "
                      "milliseconds since the epoch, -1h, now, offset=N or sequence=N", text, what);
}

/* `count` digits and not one more are read; 0 when there are fewer. */
static const char *digits(const char *text, unsigned count, int *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!isdigit((unsigned char)text[i]))
            return NULL;
        *value = *value * 10 + (text[i] - '0');
    }
    return text + count;
}

/* A whole number up to 18 digits, to the text's end or a letter. */
static const char *number(const char *text, int64_t *value)
{
    size_t count = strspn(text, "0123456789");
    *value = 0;
    if (count == 0 || count > 18)
        return NULL;
    for (size_t i = 0; i < count; i++)
        *value = *value * 10 + (text[i] - '0');
    return text + count;
}

/* ---- RFC 3339 ------------------------------------------------------------------------------- */

static const char *date_and_time(const char *at, struct tm *tm)
{
    static const char separators[] = "--T::";
    const unsigned widths[] = { 4, 2, 2, 2, 2, 2 };
    int values[6];
    for (unsigned i = 0; i < 6; i++) {
        at = digits(at, widths[i], &values[i]);
        bool is_separated = i == 5 || (at && (*at == separators[i] ||
                                              (i == 2 && (*at == 't' || *at == ' '))));
        if (!at || !is_separated)
            return NULL;
        at += i < 5;
    }
    *tm = (struct tm){ .tm_year = values[0] - 1900, .tm_mon = values[1] - 1, .tm_mday = values[2],
                       .tm_hour = values[3], .tm_min = values[4], .tm_sec = values[5] };
    return at;
}

static bool is_on_the_calendar(const struct tm *tm)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year = tm->tm_year + 1900;
    if (year < 1970 || tm->tm_mon < 0 || tm->tm_mon > 11)
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap);
    /* A leap second is the first moment of the next minute. */
    return tm->tm_mday >= 1 && tm->tm_mday <= last && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
           tm->tm_sec <= 60;
}

/* Reads what stands behind a '.', cut to milliseconds. */
static const char *fraction(const char *at, int64_t *ms)
{
    size_t count = strspn(at, "0123456789");
    int64_t unit = 100;
    for (size_t i = 0; i < count; i++, unit /= 10)
        *ms += (at[i] - '0') * unit;
    return count > 0 ? at + count : NULL;
}

/* "Z" or "+01:00", to the end of the text. */
static bool zone(const char *at, int64_t *offset_ms)
{
    int hours, minutes;
    *offset_ms = 0;
    if ((*at == 'Z' || *at == 'z') && at[1] == '\0')
        return true;
    if (*at != '+' && *at != '-')
        return false;
    int64_t sign = *at == '-' ? -1 : 1;
    at = digits(at + 1, 2, &hours);
    if (!at || *at != ':')
        return false;
    at = digits(at + 1, 2, &minutes);
    *offset_ms = sign * (hours * 60 + minutes) * 60000;
    return at && *at == '\0' && hours <= 23 && minutes <= 59;
}

static enum pl_err parse_date(struct when *when, const char *text)
{
    struct tm tm;
    int64_t ms = 0, offset_ms = 0;
    const char *at = date_and_time(text, &tm);
    if (!at)
        return bad(text, "a time has a date, a T and hours, minutes, seconds");
    if (!is_on_the_calendar(&tm))
        return bad(text, "there is no such day or hour, or it is before 1970");
    if (*at == '.')
        at = fraction(at + 1, &ms);
    if (!at || !zone(at, &offset_ms))
        return bad(text, "a time ends with its zone, Z or an offset like +01:00");
    *when = (struct when){ WHEN_TIME, (int64_t)timegm(&tm) * 1000 + ms - offset_ms };
    return PL_OK;
}

/* ---- the other forms ------------------------------------------------------------------------ */

static enum pl_err parse_before(struct when *when, const char *text, int64_t now_ms)
{
    static const struct { const char *name; int64_t ms; } units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
        { "w", 604800000 } };
    int64_t count;
    const char *unit = number(text + 1, &count);
    for (size_t i = 0; unit && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (count > now_ms / units[i].ms)
            return bad(text, "that is before 1970");
        *when = (struct when){ WHEN_TIME, now_ms - count * units[i].ms };
        return PL_OK;
    }
    return bad(text, "a span is a whole number and ms, s, m, h, d or w");
}

static enum pl_err parse_epoch(struct when *when, const char *text)
{
    const char *from = text + (*text == '@');
    int64_t value;
    const char *end = number(from, &value);
    if (!end || *end || (end - from != 10 && end - from != 13))
        return bad(text, "seconds since the epoch have 10 digits, milliseconds 13");
    *when = (struct when){ WHEN_TIME, end - from == 10 ? value * 1000 : value };
    return PL_OK;
}

static enum pl_err parse_place(struct when *when, const char *text, enum when_kind kind)
{
    const char *end = number(strchr(text, '=') + 1, &when->value);
    when->kind = kind;
    if (!end || *end || (kind == WHEN_SEQUENCE && when->value == 0))
        return bad(text, kind == WHEN_SEQUENCE ? "sequences are whole numbers from 1"
                                               : "offsets are whole numbers from 0");
    return PL_OK;
}

enum pl_err when_parse(struct when *when, const char *text, int64_t now_ms)
{
    *when = (struct when){ WHEN_TIME, now_ms };
    if (strcmp(text, "now") == 0)
        return PL_OK;
    if (strncmp(text, "offset=", 7) == 0)
        return parse_place(when, text, WHEN_OFFSET);
    if (strncmp(text, "sequence=", 9) == 0)
        return parse_place(when, text, WHEN_SEQUENCE);
    if (*text == '-')
        return parse_before(when, text, now_ms);
    if (*text == '@' || (*text && strspn(text, "0123456789") == strlen(text)))
        return parse_epoch(when, text);
    if (isdigit((unsigned char)*text))
        return parse_date(when, text);
    return bad(text, "that is no time");
}

/* ---- printing ------------------------------------------------------------------------------- */

const char *when_print_time(int64_t time_ms, char text[WHEN_TIME_BYTES])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    size_t used = 0;
    if (time_ms >= 0 && time_ms <= YEAR_9999_MS && gmtime_r(&seconds, &tm))
        used = strftime(text, WHEN_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    if (used > 0)
        snprintf(text + used, WHEN_TIME_BYTES - used, ".%03dZ", (int)(time_ms % 1000));
    else
        snprintf(text, WHEN_TIME_BYTES, "%lld ms", (long long)time_ms);
    return text;
}

const char *when_print(const struct when *when, char text[WHEN_TIME_BYTES])
{
    switch (when->kind) {
    case WHEN_TIME:
        return when_print_time(when->value, text);
    case WHEN_OFFSET:
        snprintf(text, WHEN_TIME_BYTES, "offset=%lld", (long long)when->value);
        return text;
    case WHEN_SEQUENCE:
        snprintf(text, WHEN_TIME_BYTES, "sequence=%lld", (long long)when->value);
        return text;
    case WHEN_OPEN:
        break;
    }
    snprintf(text, WHEN_TIME_BYTES, "-");
    return text;
}
