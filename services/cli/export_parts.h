/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of the export (export.h). In the order of work:
 *
 *   export.c         what is needed: entries first, then what their vectors speak of
 *   export_copy.c    the copying: many topic partitions at once, each up to its end
 *   export_choose.c  out of the spool: the range of entries, the newest record of each key
 */
#ifndef PL_SERVICES_CLI_EXPORT_PARTS_H
#define PL_SERVICES_CLI_EXPORT_PARTS_H

#include "services/cli/export.h"
#include "services/liquidation/core.h"

enum { EXPORT_WAIT_MS = 10000 };

/* What is copied of one partition. */
struct span {
    bool is_wanted;
    int64_t journal_first;  /* first offset of the log                                         */
    int64_t journal_from;   /* where reading began                                             */
    bool has_entries;
    bool has_base;          /* the first entry copied is where replaying begins                */
    struct pl_journal first, last; /* copied                                                   */
    int64_t marks_first_offset;    /* the smallest that an entry tells of                      */
    uint64_t output_count;  /* of the entries after the base                                   */
    uint64_t outputs_seen;
};

/* What becomes of the records of a copy. */
enum copy_kind {
    COPY_JOURNAL, /* all to the spool, up to the first entry after the range                    */
    COPY_INPUT,   /* all to the bundle                                                          */
    COPY_SPOOL,   /* holdings: all to the spool                                                 */
    COPY_STATES,  /* accounts: all to the spool, up to the first of an entry after the range    */
    COPY_OUTPUT,  /* orders, alerts: those of the range's entries and all that lies between     */
    COPY_LETTERS, /* those of the range's entries                                               */
};

struct copy {
    enum copy_kind kind;
    enum pl_topic topic;
    int32_t partition;
    int64_t complete_from; /* as in a bundle; of outputs found while copying, -1 before         */
    int64_t at, end;       /* next offset to be read, and the first one that is not             */
    bool is_open, is_done;
    bool has_earlier;      /* outputs of the base or an entry before it were seen               */
};

struct export {
    const struct export_request *request;
    struct pl_reader *reader, *probe; /* the probe sees open transactions too                   */
    struct pl_wire *wire;
    struct pl_names *names;
    struct bundle_writer *writer, *spool_writer;
    struct bundle *spool;
    int32_t partition_count, letter_partition_count;
    struct span *spans;        /* by partition */
    struct pl_bytes_view account; /* data NULL: all */

    unsigned copy_count, open_count;
    struct copy *copies;       /* room for every topic partition */
    struct copy *copy_of[PL_TOPIC_COUNT][PL_PARTITIONS_MAX];
    uint64_t done, total;      /* offsets */
    struct progress progress;
    int64_t deadline_ms;       /* monotonic: something must move until then */
};

/* Whether an entry is not above what was said; an open end takes all. */
bool export_is_within(const struct when *when, const struct pl_journal *entry, int64_t offset);
/* False for holdings, states, … of others than the account that was asked for. */
bool export_is_asked_for(const struct export *export, const struct pl_record *record);

/* ---- export_copy.c ---- */

/* Adds a copy; nothing is read before copies_run. */
void copies_add(struct export *export, const struct copy *copy);
/* Runs all copies; those of the spool are then to be chosen from. `what` is for the progress. */
enum pl_err copies_run(struct export *export, const char *what);
void copies_forget(struct export *export);
/* Set by a signal: ends the copying. */
void copies_interrupt(int signal_number);

/* ---- export_choose.c ---- */

/* Finds the range of a partition's entries in the spool and appends it. *is_short: it may begin
 * before what was read; nothing was appended. */
enum pl_err choose_journal(struct export *export, int32_t partition, bool *is_short);
/* Holdings or states of a copy: of each key the newest below complete_from, all from there on. */
enum pl_err choose_newest(struct export *export, const struct copy *copy);

#endif
