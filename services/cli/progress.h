/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long command has come, on standard error: percent, rate, and how long it will still
 * take. Standard output is for results. */
#ifndef PL_SERVICES_CLI_PROGRESS_H
#define PL_SERVICES_CLI_PROGRESS_H

#include <stdint.h>

enum progress_style {
    PROGRESS_AUTO,  /* one line, rewritten, where standard error is a terminal; nothing elsewhere */
    PROGRESS_PLAIN, /* a line every few seconds                                                  */
    PROGRESS_JSON,  /* a JSON object on a line of its own, once a second                         */
    PROGRESS_NONE,
};
#define PROGRESS_USAGE                                                                             \
    "  --progress HOW        auto (default: one line on a terminal), plain, json or none\n"

/* False for another word. */
bool progress_parse(const char *text, enum progress_style *style);

struct progress {
    enum progress_style style; /* never auto once begun                                       */
    const char *what, *unit;   /* "export", "records"; borrowed                                */
    uint64_t done, total;      /* total 0: not known yet                                       */
    int64_t began_ms, shown_ms; /* monotonic */
    bool is_line_open;
};

/* Begins. What is over within a moment shows nothing, but for JSON's last line. */
void progress_begin(struct progress *progress, enum progress_style style, const char *what,
                    const char *unit, uint64_t total);
/* Cheap enough for every record; `done` may never go back. Accepts NULL. */
void progress_at(struct progress *progress, uint64_t done, uint64_t total);
/* Ends the line. Accepts NULL; ending twice is ending once. */
void progress_end(struct progress *progress);

/* What is shown at a time, without its line end: for tests. */
enum { PROGRESS_LINE_BYTES = 256 };
void progress_line(const struct progress *progress, int64_t mono_ms,
                   char line[PROGRESS_LINE_BYTES]);

#endif
