/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error table and the text buffer. The only file of the pure library that formats text, and the
 * only one that may call vsnprintf.
 */
#include "lib/base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum pl_err err;
    const char *name;
    const char *help;
} table[] = {
    {PL_OK, "OK", "nothing is wrong"},

    {PL_RETRY_TRANSPORT, "RETRY_TRANSPORT",
     "broker or network not reachable now: check kafka.bootstrap.servers, DNS, firewall, TLS and login"},
    {PL_RETRY_UNSTABLE, "RETRY_UNSTABLE",
     "another worker's open transaction still holds the offsets: it ends within "
     "transaction.timeout.ms"},
    {PL_RETRY_QUEUE_FULL, "RETRY_QUEUE_FULL",
     "the local produce queue is full: the broker takes records slower than they are made"},
    {PL_RETRY_CACHE, "RETRY_CACHE",
     "Redis is absent, slow or answered wrongly: look-ups suffer, decisions do not"},

    {PL_REJECT_MALFORMED, "REJECT_MALFORMED",
     "bytes that are no record of this schema: check the producer's encoding"},
    {PL_REJECT_MISSING, "REJECT_MISSING", "a required field is absent: the text names it"},
    {PL_REJECT_RANGE, "REJECT_RANGE",
     "a field is outside its documented range: the text names field and range"},
    {PL_REJECT_SIZE, "REJECT_SIZE", "record or element count above its limit: split the record"},
    {PL_REJECT_KEY, "REJECT_KEY",
     "the key is missing, too long, or not the one the value names"},
    {PL_REJECT_PARTITION, "REJECT_PARTITION",
     "the key does not hash to the partition it arrived on: set the producer's partitioner to "
     "murmur2"},
    {PL_REJECT_UNKNOWN, "REJECT_UNKNOWN",
     "names an instrument, source or enum value that nobody declared: check the parameters"},
    {PL_REJECT_STALE, "REJECT_STALE",
     "older than what is already known: a late or duplicate record, harmless when rare"},
    {PL_REJECT_CONFLICT, "REJECT_CONFLICT",
     "contradicts what is already known: the source must send a snapshot"},
    {PL_REJECT_CAPACITY, "REJECT_CAPACITY",
     "would exceed a configured capacity: raise the limit that the text names"},
    {PL_REJECT_OVERFLOW, "REJECT_OVERFLOW",
     "exact arithmetic would leave its bounds: check scale and units of the amount"},
    {PL_REJECT_PARAMETERS, "REJECT_PARAMETERS",
     "the parameter set breaks a validity rule: the text names it; the set in force stays"},

    {PL_ABORT_TRANSACTION, "ABORT_TRANSACTION",
     "the transaction was aborted and is decided anew: look at the broker when it repeats"},
    {PL_ABORT_REBALANCE, "ABORT_REBALANCE",
     "the group changed under the transaction: normal while workers come and go"},

    {PL_FATAL_CONFIG, "FATAL_CONFIG",
     "configuration, topics or arguments are wrong: fix what the text names and restart"},
    {PL_FATAL_FENCED, "FATAL_FENCED",
     "a younger producer with the same transactional id took over: give each worker its own slot"},
    {PL_FATAL_UNKNOWN, "FATAL_UNKNOWN",
     "the outcome of a commit is unknown: the restart settles it"},
    {PL_FATAL_KAFKA, "FATAL_KAFKA",
     "librdkafka reports a fatal error: the restart makes a new client"},
    {PL_FATAL_OFFSETS, "FATAL_OFFSETS",
     "committed offsets are missing or out of range: nothing is skipped; restore the topic or the "
     "group's offsets"},
    {PL_FATAL_DIVERGED, "FATAL_DIVERGED",
     "journal and state contradict each other: keep both for analysis before restarting"},
    {PL_FATAL_SYSTEM, "FATAL_SYSTEM",
     "the operating system refused memory, a thread, a file or a socket: check the limits"},
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

static _Thread_local char present_text[PL_ERR_TEXT_BYTES_MAX];

const char *pl_err_name(enum pl_err err)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (table[i].err == err)
            return table[i].name;
    return "?";
}

const char *pl_err_help(enum pl_err err)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (table[i].err == err)
            return table[i].help;
    return "?";
}

bool pl_err_at(unsigned index, enum pl_err *err)
{
    if (index >= TABLE_COUNT)
        return false;
    *err = table[index].err;
    return true;
}

int pl_err_exit_status(enum pl_err err)
{
    switch (err) {
    case PL_OK:
        return 0;
    case PL_FATAL_CONFIG:
        return 2;
    /* Somebody has to look before a restart can help. */
    case PL_FATAL_OFFSETS:
    case PL_FATAL_DIVERGED:
    case PL_FATAL_SYSTEM:
        return 3;
    /* A restart is the cure. */
    case PL_RETRY_TRANSPORT:
    case PL_RETRY_UNSTABLE:
    case PL_RETRY_QUEUE_FULL:
    case PL_RETRY_CACHE:
    case PL_ABORT_TRANSACTION:
    case PL_ABORT_REBALANCE:
    case PL_FATAL_FENCED:
    case PL_FATAL_UNKNOWN:
    case PL_FATAL_KAFKA:
        return 75;
    case PL_REJECT_MALFORMED:
    case PL_REJECT_MISSING:
    case PL_REJECT_RANGE:
    case PL_REJECT_SIZE:
    case PL_REJECT_KEY:
    case PL_REJECT_PARTITION:
    case PL_REJECT_UNKNOWN:
    case PL_REJECT_STALE:
    case PL_REJECT_CONFLICT:
    case PL_REJECT_CAPACITY:
    case PL_REJECT_OVERFLOW:
    case PL_REJECT_PARAMETERS:
        break;
    }
    return 1;
}

/* Length of what vsnprintf left in a buffer of PL_ERR_TEXT_BYTES_MAX. */
__attribute__((format(printf, 2, 0)))
static size_t format_text(char *text, const char *format, va_list arguments)
{
    int length = vsnprintf(text, PL_ERR_TEXT_BYTES_MAX, format, arguments);
    if (length < 0) {
        text[0] = '\0';
        return 0;
    }
    return length < PL_ERR_TEXT_BYTES_MAX ? (size_t)length : PL_ERR_TEXT_BYTES_MAX - 1;
}

enum pl_err pl_err_set(enum pl_err err, const char *format, ...)
{
    /* Formatted aside, since an argument may be the present text itself. */
    char text[PL_ERR_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text(text, format, arguments);
    va_end(arguments);
    memcpy(present_text, text, length + 1);
    return err;
}

enum pl_err pl_err_note(enum pl_err err, const char *format, ...)
{
    static const char separator[] = ": ";
    char text[PL_ERR_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text(text, format, arguments);
    va_end(arguments);
    size_t room = PL_ERR_TEXT_BYTES_MAX - 1 - length;
    size_t separator_length = room < 2 ? room : 2;
    size_t rest = strlen(present_text);
    if (rest > room - separator_length)
        rest = room - separator_length;
    memcpy(text + length, separator, separator_length);
    memcpy(text + length + separator_length, present_text, rest);
    text[length + separator_length + rest] = '\0';
    memcpy(present_text, text, sizeof text);
    return err;
}

const char *pl_err_text(void)
{
    return present_text;
}
