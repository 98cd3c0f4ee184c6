/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of verify's engine share, in reading order:
 *
 *   verify.c          opening, one partition, entry by entry; the book
 *   verify_chain.c    the journal by itself: chain, sequence, signatures, noted heads
 *   verify_inputs.c   what an entry says it has read
 *   verify_outputs.c  what was published in an entry's name
 */
#ifndef PL_SERVICES_CLI_VERIFY_PARTS_H
#define PL_SERVICES_CLI_VERIFY_PARTS_H

#include "services/cli/verify.h"

/* Holdings and executions are the partition's own, the others are broadcast. */
enum { VERIFY_SOURCES = 6, VERIFY_OWN_SOURCES = 2, VERIFY_HOLDINGS = 0 };

/* A hashed input and the place of its frame. */
struct verify_input {
    int64_t offset;
    size_t at;
    uint8_t hash[PL_HASH_BYTES];
};

/* An input stream, hashed as far as was needed. A broadcast's hashes are kept for all partitions,
 * those of the partition's own streams for one entry. */
struct verify_source {
    enum pl_topic topic;
    int32_t partition;
    struct bundle_cursor cursor;
    struct verify_input *inputs;
    size_t count, capacity;
    size_t next; /* of the present partition: not accounted for yet */
};

/* An output stream, one record ahead; of dead letters, those of the partition's journal. */
struct verify_outlet {
    enum pl_topic topic;
    struct bundle_cursor cursor;
    struct pl_record record;
    bool has_record;
    uint64_t sequence;       /* that the record names */
    int64_t previous_offset; /* of the record before; -1: none */
    int64_t place;           /* of the present entry's records: behind the last one before it  */
    int64_t first, last;     /* of those; -1: none                                               */
};
/* The dead letters' streams follow. */
enum { VERIFY_ORDERS, VERIFY_ALERTS, VERIFY_STATES, VERIFY_LETTERS };

/* A dead letter of the present entry. */
struct verify_letter {
    struct pl_bytes_view key, value;
    enum pl_topic topic; /* where it comes from */
    int32_t partition;
    int64_t offset;
};

struct verify_account {
    struct pl_id id;
    uint64_t version; /* of the newest accepted holdings; 0: none */
    struct pl_digest holdings, state;
};

struct verify {
    const struct bundle *bundle;
    const struct verify_options *options;
    verify_progress *progress;
    void *progress_context;
    uint64_t record_count, bytes;
    struct verify_finding finding;

    struct pl_wire wire;
    void *wire_block;
    struct pl_names *names;
    struct pl_inputs_digest digest;
    struct verify_source sources[VERIFY_SOURCES];
    unsigned outlet_count;
    struct verify_outlet *outlets;

    /* The partition being checked. */
    int32_t partition;
    struct verify_account *accounts;
    size_t account_count, account_capacity;
    struct pl_map map;
    void *table;
    struct pl_digest book_digest, states_digest;

    /* The entry being checked. */
    struct pl_journal entry, previous;
    int64_t journal_offset;
    bool is_first;
    struct verify_letter *letters; /* in the order in which they were counted */
    size_t letter_count, letter_capacity;
};

/* ---- verify.c ---- */

/* Adds records that may be the bad one. */
void verify_suspect(struct verify *verify, enum pl_topic topic, int32_t partition, int64_t first,
                    int64_t last);
void verify_suspect_record(struct verify *verify, const struct pl_record *record);
void verify_suspect_entry(struct verify *verify);
/* Both values, before the finding is reported. */
void verify_show_hashes(struct verify *verify, const uint8_t expected[PL_HASH_BYTES],
                        const uint8_t found[PL_HASH_BYTES]);
void verify_show_digests(struct verify *verify, struct pl_digest expected, struct pl_digest found);
void verify_show_numbers(struct verify *verify, int64_t expected, int64_t found);
/* FATAL_DIVERGED with the finding, which is of the present entry. */
enum pl_err verify_report_finding(struct verify *verify, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next record of a stream; frames that cannot be read are a finding like any other. */
enum pl_err verify_read(struct verify *verify, struct bundle_cursor *cursor,
                        struct pl_record *record, bool *found);
void verify_count_record(struct verify *verify, struct pl_bytes_view key,
                         struct pl_bytes_view value);
/* Room for one more row of `row_bytes`, by doubling. FATAL_SYSTEM. */
enum pl_err verify_make_room(void **rows, size_t count, size_t *capacity, size_t row_bytes);
const struct pl_header *verify_header(const struct pl_record *record, const char *name);
bool verify_equal(struct pl_bytes_view a, struct pl_bytes_view b);
/* True for the first entry of a log that does not reach back: what it read and wrote may not be
 * there. */
bool verify_is_base(const struct verify *verify);
/* Row of an account, made if absent. FATAL_SYSTEM. */
enum pl_err verify_account(struct verify *verify, const struct pl_id *id,
                           struct verify_account **account);

/* ---- verify_chain.c ---- */

enum pl_err verify_chain(struct verify *verify, const struct bundle_stream *stream,
                         struct verify_report *report);

/* ---- verify_inputs.c ---- */

void verify_begin_source(struct verify *verify, unsigned source, int32_t partition);
enum pl_err verify_inputs(struct verify *verify);
const struct pl_coordinate *verify_coordinate(const struct pl_journal *entry,
                                              const struct verify_source *source);
enum pl_err verify_read_input(struct verify *verify, const struct verify_source *source,
                              const struct verify_input *input, struct pl_record *record);
/* The hashed input at an offset; NULL where there is none. */
const struct verify_input *verify_find_input(const struct verify_source *source, int64_t offset);
/* Inputs that came after the newest entry: the next one will account for them. */
enum pl_err verify_unaccounted(struct verify *verify, uint64_t *count);

/* ---- verify_outputs.c ---- */

enum pl_err verify_open_outlets(struct verify *verify);
enum pl_err verify_begin_outlets(struct verify *verify);
/* Passes over outputs of entries before the log, whose states count. */
enum pl_err verify_skip_outputs(struct verify *verify);
/* The entry's dead letters, each the copy of an input. */
enum pl_err verify_letters(struct verify *verify);
enum pl_err verify_outputs(struct verify *verify);
/* What names an entry that there is not. */
enum pl_err verify_rest(struct verify *verify);

#endif
