/* SPDX-License-Identifier: Apache-2.0 */
/* Progress on standard error (progress.h). The clock is asked once in many calls. */
#include "services/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"

enum { CALLS_PER_LOOK = 256, TERMINAL_MS = 200, JSON_MS = 1000, PLAIN_MS = 5000 };

bool progress_parse(const char *text, enum progress_style *style)
{
    static const char *const words[] = { "auto", "plain", "json", "none" };
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(text, words[i]) == 0) {
            *style = (enum progress_style)i;
            return true;
        }
    }
    return false;
}

/* A line that is rewritten needs a terminal that can; nobody asked for decoration otherwise. */
static bool is_terminal(void)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 && !(no_color && *no_color);
}

void progress_begin(struct progress *progress, enum progress_style style, const char *what,
                    const char *unit, uint64_t total)
{
    *progress = (struct progress){ .style = style, .what = what, .unit = unit, .total = total,
                                   .began_ms = pl_mono_ms() };
    progress->shown_ms = progress->began_ms;
    if (style == PROGRESS_AUTO && !is_terminal())
        progress->style = PROGRESS_NONE;
}

/* 0 where it is not known. */
static uint64_t seconds_left(const struct progress *progress, int64_t elapsed_ms)
{
    if (progress->done == 0 || progress->total <= progress->done || elapsed_ms <= 0)
        return 0;
    double left = (double)(progress->total - progress->done) / (double)progress->done;
    return (uint64_t)(left * (double)elapsed_ms / 1000.0 + 0.5);
}

void progress_line(const struct progress *progress, int64_t mono_ms,
                   char line[PROGRESS_LINE_BYTES])
{
    int64_t elapsed_ms = mono_ms - progress->began_ms;
    double rate = elapsed_ms > 0 ? (double)progress->done * 1000.0 / (double)elapsed_ms : 0.0;
    uint64_t left_s = seconds_left(progress, elapsed_ms);
    double percent = progress->total ? 100.0 * (double)progress->done / (double)progress->total : 0;
    unsigned long long done = progress->done, total = progress->total;
    char left[32] = "";
    if (progress->style == PROGRESS_JSON) {
        snprintf(line, PROGRESS_LINE_BYTES, "{\"progress\": \"%s\", \"unit\": \"%s\", \"done\": "
                 "%llu, \"total\": %llu, \"percent\": %.1f, \"per_second\": %.0f, \"left_s\": "
                 "%llu}", progress->what, progress->unit, done, total, percent, rate,
                 (unsigned long long)left_s);
        return;
    }
    if (left_s > 0)
        snprintf(left, sizeof(left), ", %llu:%02llu left", (unsigned long long)(left_s / 60),
                 (unsigned long long)(left_s % 60));
    if (total > 0)
        snprintf(line, PROGRESS_LINE_BYTES, "%s: %5.1f %%, %llu of %llu %s, %.0f/s%s",
                 progress->what, percent, done, total, progress->unit, rate, left);
    else
        snprintf(line, PROGRESS_LINE_BYTES, "%s: %llu %s, %.0f/s", progress->what, done,
                 progress->unit, rate);
}

static void show(struct progress *progress, int64_t mono_ms)
{
    char line[PROGRESS_LINE_BYTES];
    progress_line(progress, mono_ms, line);
    if (progress->style == PROGRESS_AUTO)
        fprintf(stderr, "\r%s\033[K", line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    progress->is_line_open = progress->style == PROGRESS_AUTO;
    progress->shown_ms = mono_ms;
}

void progress_at(struct progress *progress, uint64_t done, uint64_t total)
{
    static const int64_t intervals_ms[] = { TERMINAL_MS, PLAIN_MS, JSON_MS };
    if (!progress || progress->style == PROGRESS_NONE)
        return;
    bool is_look = done / CALLS_PER_LOOK != progress->done / CALLS_PER_LOOK ||
                   total != progress->total;
    progress->done = done;
    progress->total = total;
    if (!is_look)
        return;
    int64_t now_ms = pl_mono_ms();
    if (now_ms - progress->shown_ms >= intervals_ms[progress->style])
        show(progress, now_ms);
}

void progress_end(struct progress *progress)
{
    if (!progress || progress->style == PROGRESS_NONE)
        return;
    if (progress->style == PROGRESS_JSON || progress->is_line_open)
        show(progress, pl_mono_ms());
    if (progress->is_line_open)
        fputc('\n', stderr);
    progress->style = PROGRESS_NONE;
}
