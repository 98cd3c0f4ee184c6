/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay engine (replay.h): one partition's journal against its topics. No Kafka, file or clock
 * in here: a bundle comes in, a difference comes out. In the order of the event's path: read and
 * apply, check what the entry says of it, decide everyone, compare.
 */
#include "services/cli/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/difference.h"
#include "services/cli/published.h"
#include "services/cli/workspace.h"
#include "services/liquidation/confirm.h"

enum { INPUTS = 6, INPUT_MARKS = 3, BROADCASTS = 4 };

/* In the order in which records are applied: a report may be the first word of an account only
 * after its holdings. */
static const enum pl_topic input_topics[INPUTS] = {PL_TOPIC_CONTROL,  PL_TOPIC_PARAMETERS,
                                                   PL_TOPIC_CHAINS,   PL_TOPIC_MARKS,
                                                   PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS};

struct replay {
    const struct bundle *bundle;
    int32_t number;
    struct replay_limits limits;

    struct workspace workspace;
    uint32_t row_count; /* of the workspace's rows, which are in order of account id             */
    struct ledger_execution *executions;
    uint32_t execution_capacity;
    struct pl_inputs_digest digest;
    const char *topic_names[PL_TOPIC_COUNT];

    struct bundle_cursor journal, inputs[INPUTS];
    struct published *published;

    bool has_last, has_entered;
    struct pl_journal last, entry;
    uint8_t last_hash[PL_HASH_BYTES], entry_hash[PL_HASH_BYTES];
    int64_t entry_offset;

    enum pl_err failed; /* once it has, it goes no further */
    struct replay_difference difference;
    struct replay_counts counts;
};

/* Where it is. */
static struct replay_difference *here(struct replay *replay)
{
    replay->difference = (struct replay_difference){.partition = replay->number,
                                                    .sequence = replay->entry.sequence,
                                                    .journal_offset = replay->entry_offset,
                                                    .clock_ms = replay->entry.clock_ms};
    return &replay->difference;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Everything as before the first record. */
static enum pl_err begin(struct replay *replay)
{
    struct workspace *workspace = &replay->workspace;
    workspace_close(workspace);
    enum pl_err err = workspace_open(workspace, replay->number,
                                     bundle_partition_count(replay->bundle),
                                     replay->limits.accounts_max);
    if (err)
        return err;
    workspace->ledger.executions = replay->executions;
    workspace->ledger.execution_capacity = replay->execution_capacity;
    replay->journal = (struct bundle_cursor){
        .stream = bundle_find(replay->bundle, PL_TOPIC_JOURNAL, replay->number)};
    for (unsigned i = 0; i < INPUTS; i++)
        replay->inputs[i] = (struct bundle_cursor){
            .stream = bundle_find(replay->bundle, input_topics[i],
                                  i < BROADCASTS ? 0 : replay->number)};
    replay->row_count = 0;
    replay->has_last = replay->has_entered = false;
    replay->last = replay->entry = (struct pl_journal){0};
    memset(replay->last_hash, 0, PL_HASH_BYTES);
    replay->failed = PL_OK;
    replay->difference = (struct replay_difference){0};
    return published_seek(replay->published, 0);
}

/* Whether the bundle has all that the journal's first entry read. */
static bool reaches_back(const struct replay *replay, const struct pl_journal *first)
{
    for (unsigned i = 0; i < INPUTS; i++) {
        const struct pl_coordinate *read = journal_coordinate(first, input_topics[i]);
        const struct bundle_stream *stream = replay->inputs[i].stream;
        if (read && stream && stream->complete_from > read->first_offset)
            return false;
    }
    return true;
}

/* False where there is none, or one that cannot be read: that is said when it is its turn. */
static bool peek_entry(const struct replay *replay, const struct bundle_cursor *at,
                       struct pl_journal *entry)
{
    struct bundle_cursor cursor = *at;
    struct pl_record record;
    bool found = false;
    return !bundle_next(&cursor, &record, &found) && found &&
           !pl_wire_journal_decode(replay->workspace.venue.wire, record.value, entry);
}

/* Before the first entry, if that can be replayed. */
static enum pl_err go_to_start(struct replay *replay)
{
    struct pl_journal first;
    if (!peek_entry(replay, &replay->journal, &first))
        return PL_OK;
    bool is_first = first.sequence == 1 && reaches_back(replay, &first);
    return is_first || replay->limits.is_partial ? PL_OK : replay_seek(replay, first.sequence);
}

enum pl_err replay_open(struct replay **replay, const struct bundle *bundle, int32_t partition,
                        const struct replay_limits *limits)
{
    struct replay *new = *replay = calloc(1, sizeof(*new));
    if (!new)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a replay");
    new->bundle = bundle;
    new->number = partition;
    new->limits = *limits;
    if (!bundle_find(bundle, PL_TOPIC_JOURNAL, partition))
        return pl_err_set(PL_FATAL_CONFIG, "the bundle has no journal of partition %d",
                          (int)partition);
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        new->topic_names[topic] = pl_topic_default_name((enum pl_topic)topic);
    enum pl_err err = pl_inputs_digest_begin(&new->digest);
    if (!err)
        err = published_open(&new->published, bundle, partition);
    if (!err)
        err = begin(new);
    return err ? err : go_to_start(new);
}

void replay_close(struct replay **replay)
{
    struct replay *old = *replay;
    *replay = NULL;
    if (!old)
        return;
    workspace_close(&old->workspace);
    published_close(&old->published);
    pl_inputs_digest_end(&old->digest);
    free(old->executions);
    free(old);
}

/* ---- inputs --------------------------------------------------------------------------------- */

/* Where the entry before stood in a topic; 0 before the first. */
static int64_t journaled(const struct replay *replay, enum pl_topic topic)
{
    const struct pl_coordinate *last = replay->has_last ? journal_coordinate(&replay->last, topic)
                                                        : NULL;
    return last ? last->offset : 0;
}

/* The bundle outlives the replay, so nothing of the record is copied but the array of its
 * headers. */
static enum pl_err keep_reject(struct replay *replay, const struct pl_record *record,
                               enum pl_err err)
{
    struct ledger *ledger = &replay->workspace.ledger;
    if (ledger->dead_count == ledger->dead_capacity)
        return difference_say(
            here(replay), &(struct finding){.what = "inputs", .term = pl_topic_word(record->topic)},
            "more than %d bad records, which no step reads", WORKSPACE_LETTERS_MAX);
    struct pl_header *headers = pl_arena_take(&replay->workspace.letters,
                                              sizeof(*headers) * record->header_count, 8);
    char *text = pl_arena_take(&replay->workspace.letters, PL_ERR_TEXT_BYTES_MAX, 1);
    pl_assert(headers && text);
    memcpy(headers, record->headers, sizeof(*headers) * record->header_count);
    snprintf(text, PL_ERR_TEXT_BYTES_MAX, "%s", pl_err_text());
    ledger->dead[ledger->dead_count++] = (struct dead_letter){.topic = record->topic,
                                                              .partition = record->partition,
                                                              .offset = record->offset,
                                                              .timestamp_ms = record->timestamp_ms,
                                                              .err = err,
                                                              .text = text,
                                                              .key = record->key,
                                                              .value = record->value,
                                                              .headers = headers,
                                                              .header_count = record->header_count};
    return PL_OK;
}

/* Rejects of broadcasts are told by one partition, once. */
static enum pl_err apply_broadcast(struct replay *replay, const struct pl_record *record)
{
    struct venue_news news;
    enum pl_err err = venue_apply(&replay->workspace.venue, record, &news);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    bool is_told = replay->number != BROADCAST_WRITER ||
                   record->offset < journaled(replay, record->topic);
    return is_told ? PL_OK : keep_reject(replay, record, err);
}

/* Steps without an entry fold any number of reports that change nothing. */
static enum pl_err make_room_for_report(struct replay *replay)
{
    struct ledger *ledger = &replay->workspace.ledger;
    if (ledger->execution_count < ledger->execution_capacity)
        return PL_OK;
    uint32_t capacity = ledger->execution_capacity == 0 ? 256 : 2 * ledger->execution_capacity;
    struct ledger_execution *executions = realloc(replay->executions,
                                                  capacity * sizeof(*executions));
    if (!executions)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for %u reports", capacity);
    replay->executions = ledger->executions = executions;
    replay->execution_capacity = ledger->execution_capacity = capacity;
    return PL_OK;
}

static enum pl_err apply_own(struct replay *replay, const struct pl_record *record)
{
    enum pl_err err = make_room_for_report(replay);
    if (err)
        return err;
    err = ledger_apply(&replay->workspace.ledger, &replay->workspace.venue, record);
    if (pl_err_action(err) != PL_ACTION_REJECT)
        return err;
    return ledger_is_told(&replay->workspace.ledger, record, err)
               ? PL_OK
               : keep_reject(replay, record, err);
}

/* Applies what stands below `offset`, and hashes what the coordinate covers; NULL: nothing. */
static enum pl_err apply_up_to(struct replay *replay, unsigned input, int64_t offset,
                               const struct pl_coordinate *coordinate)
{
    struct bundle_cursor *cursor = &replay->inputs[input];
    for (;;) {
        size_t at = cursor->at;
        struct pl_record record;
        bool found = false;
        enum pl_err err = bundle_next(cursor, &record, &found);
        if (err || !found)
            return err;
        if (record.offset >= offset) {
            cursor->at = at; /* for a later entry */
            return PL_OK;
        }
        if (coordinate && record.offset >= coordinate->first_offset) {
            uint8_t hash[PL_HASH_BYTES];
            pl_wire_input_hash(record.offset, record.key, record.value, hash);
            pl_inputs_digest_add(&replay->digest, hash);
        }
        err = input < BROADCASTS ? apply_broadcast(replay, &record) : apply_own(replay, &record);
        if (err)
            return err;
    }
}

/* Passes over records below `offset`. */
static enum pl_err skip_to(struct bundle_cursor *cursor, int64_t offset)
{
    struct pl_record record;
    bool found = true;
    enum pl_err err = PL_OK;
    size_t at = cursor->at;
    while (!err && found) {
        at = cursor->at;
        err = bundle_next(cursor, &record, &found);
        if (found && record.offset >= offset)
            break;
    }
    cursor->at = at;
    return err;
}

/* Whoever begins to read marks elsewhere knows none of those before. */
static enum pl_err follow_marks(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry;
    struct bundle_cursor *cursor = &replay->inputs[INPUT_MARKS];
    if (replay->has_last && entry->marks_first_offset == replay->last.marks_first_offset)
        return PL_OK;
    venue_forget_marks(&replay->workspace.venue);
    cursor->at = 0;
    return skip_to(cursor, entry->marks_first_offset);
}

/* The coordinate continues the entry before, and the bundle has all that it covers. Only broadcasts
 * may leave a gap: where a process began to read behind it. */
static enum pl_err check_coordinate(struct replay *replay, unsigned input,
                                    const struct pl_coordinate *coordinate, int64_t needed_from)
{
    const char *word = pl_topic_word(input_topics[input]);
    const struct bundle_stream *stream = replay->inputs[input].stream;
    const struct finding finding = {.what = "inputs", .term = word};
    if (!coordinate || coordinate->partition != (input < BROADCASTS ? 0 : replay->number))
        return difference_say(here(replay), &finding, "the entry does not say how far %s was read",
                              word);
    if (replay->limits.is_partial)
        return PL_OK;
    int64_t last = journaled(replay, input_topics[input]);
    bool is_gap = input < BROADCASTS ? coordinate->first_offset < last
                                     : coordinate->first_offset != last;
    if (replay->has_last && (is_gap || coordinate->offset < last))
        return difference_say(here(replay), &finding,
                              "%s: the entry read from offset %lld to %lld, the one before "
                              "to %lld",
                              word, (long long)coordinate->first_offset,
                              (long long)coordinate->offset, (long long)last);
    if (coordinate->offset > (stream ? stream->end : 0) ||
        (stream && needed_from < stream->complete_from && needed_from < coordinate->offset))
        return difference_say(here(replay), &finding,
                              "%s: the entry needs offsets %lld to %lld, the bundle has %lld "
                              "to %lld",
                              word, (long long)needed_from, (long long)coordinate->offset,
                              stream ? (long long)stream->complete_from : 0,
                              stream ? (long long)stream->end : 0);
    return PL_OK;
}

static enum pl_err read_input(struct replay *replay, unsigned input)
{
    const struct pl_coordinate *coordinate = journal_coordinate(&replay->entry,
                                                                input_topics[input]);
    int64_t needed_from = !coordinate            ? 0
                          : input == INPUT_MARKS ? replay->entry.marks_first_offset
                                                 : coordinate->first_offset;
    enum pl_err err = check_coordinate(replay, input, coordinate, needed_from);
    if (err)
        return err;
    uint8_t hash[PL_HASH_BYTES];
    pl_inputs_digest_reset(&replay->digest);
    if (input_topics[input] == PL_TOPIC_HOLDINGS)
        replay->workspace.ledger.news_from = coordinate->first_offset;
    err = apply_up_to(replay, input, coordinate->offset, coordinate);
    if (err)
        return err;
    pl_inputs_digest_read(&replay->digest, hash);
    if (memcmp(hash, coordinate->digest, PL_HASH_BYTES) != 0 && !replay->limits.is_partial)
        return difference_in_hash(here(replay), "inputs", pl_topic_word(input_topics[input]),
                                  coordinate->digest, hash);
    return PL_OK;
}

/* ---- entering an entry ---------------------------------------------------------------------- */

static enum pl_err read_entry(struct replay *replay, bool *found)
{
    struct pl_record record;
    enum pl_err err = bundle_next(&replay->journal, &record, found);
    if (err || !*found)
        return err;
    replay->entry_offset = record.offset;
    pl_wire_hash(record.value, replay->entry_hash);
    err = pl_wire_journal_decode(replay->workspace.venue.wire, record.value, &replay->entry);
    if (!err)
        return PL_OK;
    replay->entry = (struct pl_journal){.sequence = replay->last.sequence + 1};
    return difference_say(here(replay), &(struct finding){.what = "journal"},
                          "the entry cannot be read: %s", pl_err_text());
}

static enum pl_err check_chain(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry;
    int32_t count = bundle_partition_count(replay->bundle);
    if (entry->partition != replay->number)
        return difference_in_number(here(replay), "journal", "partition", entry->partition,
                                    replay->number);
    if (entry->partition_count != count)
        return difference_in_number(here(replay), "journal", "partition_count",
                                    entry->partition_count, count);
    if (replay->limits.is_partial)
        return PL_OK;
    if (entry->sequence != replay->last.sequence + 1)
        return difference_in_number(here(replay), "journal", "sequence", (int64_t)entry->sequence,
                                    (int64_t)replay->last.sequence + 1);
    if (memcmp(entry->previous_hash, replay->last_hash, PL_HASH_BYTES) != 0)
        return difference_in_hash(here(replay), "journal", "the entry before", entry->previous_hash,
                                  replay->last_hash);
    if (entry->clock_ms < replay->last.clock_ms)
        return difference_say(here(replay), &(struct finding){.what = "clock"},
                              "the clock went back by %lld ms",
                              (long long)(replay->last.clock_ms - entry->clock_ms));
    return PL_OK;
}

static enum pl_err check_book(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry;
    const struct venue *venue = &replay->workspace.venue;
    struct pl_digest digest = pl_book_digest(replay->workspace.ledger.book);
    uint64_t epoch = venue->has_parameters ? venue->parameters->epoch : 0;
    if (!pl_digest_equal(digest, entry->book_digest) && !replay->limits.is_partial)
        return difference_in_digest(here(replay), "book", "the book", entry->book_digest, digest);
    if (epoch != entry->parameter_epoch || !venue->has_parameters)
        return difference_in_number(here(replay), "epoch", "parameter_epoch",
                                    (int64_t)entry->parameter_epoch, (int64_t)epoch);
    if (venue->control_epoch != entry->control_epoch)
        return difference_in_number(here(replay), "epoch", "control_epoch",
                                    (int64_t)entry->control_epoch, (int64_t)venue->control_epoch);
    return PL_OK;
}

static const char *readiness_word(enum pl_readiness readiness)
{
    static const char *const words[] = {"?", "LOADING", "DECIDING", "WAITING", "DIVERGED"};
    return words[readiness <= PL_READINESS_DIVERGED ? readiness : 0];
}

/* What the self-audit finds is not in the inputs: it may begin at any entry, but ends only by a
 * control record (G8). */
static enum pl_err check_readiness(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry, *last = &replay->last;
    enum pl_readiness expected = ledger_readiness(&replay->workspace.ledger,
                                                  &replay->workspace.venue, entry->clock_ms);
    if (entry->readiness == PL_READINESS_DIVERGED ||
        (last->readiness == PL_READINESS_DIVERGED && replay->has_last &&
         replay->workspace.venue.control_epoch <= last->control_epoch))
        expected = PL_READINESS_DIVERGED;
    if (entry->readiness != expected)
        return difference_say(here(replay),
                              &(struct finding){.what = "readiness",
                                                .recorded = readiness_word(entry->readiness),
                                                .replayed = readiness_word(expected)},
                              "the entry says %s, its inputs and clock make it %s",
                              readiness_word(entry->readiness), readiness_word(expected));
    return PL_OK;
}

static enum pl_err enter(struct replay *replay, bool *found)
{
    workspace_begin_step(&replay->workspace);
    enum pl_err err = read_entry(replay, found);
    if (err || !*found)
        return err;
    err = check_chain(replay);
    if (!err)
        err = follow_marks(replay);
    for (unsigned i = 0; !err && i < INPUTS; i++)
        err = read_input(replay, i);
    if (!err)
        err = check_book(replay);
    if (err)
        return err;
    venue_update(&replay->workspace.venue, replay->entry.clock_ms);
    return check_readiness(replay);
}

enum pl_err replay_enter(struct replay *replay, bool *found)
{
    *found = replay->has_entered;
    if (replay->failed || replay->has_entered)
        return replay->failed;
    replay->failed = enter(replay, found);
    replay->has_entered = !replay->failed && *found;
    return replay->failed;
}

/* ---- deciding ------------------------------------------------------------------------------- */

static const struct pl_book *sorted_book; /* qsort takes no context */

static int by_account(const void *left, const void *right)
{
    return pl_id_compare(&pl_book_at(sorted_book, *(const uint32_t *)left)->id,
                         &pl_book_at(sorted_book, *(const uint32_t *)right)->id);
}

/* Rows of accounts that are new since the last entry find their places among the others. */
static void sort_rows(struct replay *replay)
{
    const struct pl_book *book = sorted_book = replay->workspace.ledger.book;
    uint32_t count = pl_book_count(book), old = replay->row_count, new = count - old;
    for (uint32_t i = 0; i < new; i++)
        replay->workspace.scratch[i] = old + i;
    qsort(replay->workspace.scratch, new, sizeof(uint32_t), by_account);
    for (uint32_t at = count; new > 0; at--) {
        bool is_old = old > 0 && by_account(&replay->workspace.rows[old - 1],
                                            &replay->workspace.scratch[new - 1]) > 0;
        replay->workspace.rows[at - 1] = is_old ? replay->workspace.rows[--old]
                                                : replay->workspace.scratch[--new];
    }
    replay->row_count = count;
}

static enum pl_err confirm(struct replay *replay, const struct pl_decision *decision)
{
    const struct workspace *workspace = &replay->workspace;
    unsigned tiers = confirm_tiers(decision, replay->entry.sequence);
    struct confirm_result result;
    if (confirm_verdict(&workspace->ledger, &workspace->venue, decision, tiers, &result))
        return PL_OK;
    return difference_in_verdict(here(replay),
                                 &pl_book_at(workspace->ledger.book, decision->index)->id,
                                 workspace->venue.names, &result);
}

static void confirm_unchanged(void *context, const struct pl_decision *decision)
{
    struct replay *replay = context;
    if (!replay->failed)
        replay->failed = confirm(replay, decision);
}

/* The verdicts of those that changed: decided once more, since what was staged is only the
 * outcome. */
static enum pl_err confirm_changed(struct replay *replay)
{
    static struct pl_decision decision; /* 6 KB of scratch */
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < replay->workspace.staging.state_count; i++) {
        if (replay->workspace.staging.states[i].budget)
            continue;
        ledger_decide_account(&replay->workspace.ledger, &replay->workspace.venue,
                              replay->workspace.staging.states[i].index, &decision);
        err = confirm(replay, &decision);
    }
    return err;
}

static enum pl_err decide(struct replay *replay)
{
    const struct writer writer = {.slot = replay->entry.slot,
                                  .build = replay->entry.build,
                                  .topic_names = replay->topic_names,
                                  .sequence = replay->entry.sequence};
    struct workspace *workspace = &replay->workspace;
    bool is_deciding = replay->entry.readiness == PL_READINESS_DECIDING;
    enum pl_err err = PL_OK;
    if (is_deciding) {
        sort_rows(replay);
        err = ledger_decide(&workspace->ledger, &workspace->venue, workspace->rows,
                            replay->row_count, &writer, &workspace->staging, confirm_unchanged,
                            replay);
        if (!err)
            err = replay->failed ? replay->failed : confirm_changed(replay);
        replay->counts.accounts += replay->row_count;
    }
    return err ? err
               : ledger_stage_dead_letters(&workspace->ledger, &workspace->venue, is_deciding,
                                           &writer, &workspace->staging);
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* The kind follows from outputs and readiness; only a restart in between makes it READINESS as
 * well. */
static enum pl_err check_kind(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry;
    bool has_outputs = replay->workspace.staging.output_count > 0;
    bool is_right = entry->kind == PL_JOURNAL_READINESS ||
                    (entry->kind == PL_JOURNAL_STEP) == has_outputs;
    if (replay->has_last && entry->readiness != replay->last.readiness)
        is_right = entry->kind == PL_JOURNAL_READINESS;
    return is_right ? PL_OK
                    : difference_say(
                          here(replay), &(struct finding){.what = "journal", .term = "kind"},
                          "the entry's kind %d does not follow from its outputs and readiness",
                          (int)entry->kind);
}

/* Each output has been found on its topic: what is left is what the entry says of them. */
static enum pl_err check_digests(struct replay *replay)
{
    const struct pl_journal *entry = &replay->entry;
    const struct staging *staging = &replay->workspace.staging;
    struct pl_outputs_digest outputs;
    uint8_t hash[PL_HASH_BYTES];
    enum pl_err err = pl_outputs_digest_begin(&outputs);
    if (err)
        return err;
    for (uint32_t i = 0; i < staging->output_count; i++)
        pl_outputs_digest_add(&outputs, staging->outputs[i].topic, staging->outputs[i].key,
                              staging->outputs[i].value);
    pl_outputs_digest_end(&outputs, hash);
    struct pl_digest settled = ledger_settled_digest(&replay->workspace.ledger, staging->states,
                                                     staging->state_count);
    if (entry->output_count != staging->output_count)
        return difference_in_number(here(replay), "digest", "output_count", entry->output_count,
                                    staging->output_count);
    if (memcmp(hash, entry->outputs_digest, PL_HASH_BYTES) != 0)
        return difference_in_hash(here(replay), "digest", "the outputs", entry->outputs_digest,
                                  hash);
    if (!pl_digest_equal(settled, entry->settled_digest))
        return difference_in_digest(here(replay), "digest", "the account states",
                                    entry->settled_digest, settled);
    return PL_OK;
}

static enum pl_err compare(struct replay *replay)
{
    const struct staging *staging = &replay->workspace.staging;
    struct published_difference found;
    enum pl_err err = published_compare(replay->published, replay->entry.sequence, staging->outputs,
                                        staging->output_count, &found);
    if (!err && found.answer != PUBLISHED_SAME)
        err = difference_in_output(here(replay), &found);
    if (!err)
        err = check_kind(replay);
    return err ? err : check_digests(replay);
}

static enum pl_err settle(struct replay *replay)
{
    struct workspace *workspace = &replay->workspace;
    enum pl_err err = ledger_settle(&workspace->ledger, workspace->staging.states,
                                    workspace->staging.state_count);
    for (uint32_t i = 0; i < workspace->staging.output_count; i++)
        replay->counts.orders += workspace->staging.outputs[i].topic == PL_TOPIC_ORDERS;
    replay->counts.outputs += workspace->staging.output_count;
    replay->counts.entries++;
    replay->counts.heartbeats += replay->entry.kind == PL_JOURNAL_HEARTBEAT;
    /* Reports that wait are not among what was read: nothing is left over. */
    ledger_forget_causes(&workspace->ledger);
    ledger_forget_dead(&workspace->ledger, true);
    return err;
}

static void leave(struct replay *replay)
{
    replay->last = replay->entry;
    memcpy(replay->last_hash, replay->entry_hash, PL_HASH_BYTES);
    replay->has_last = true;
    replay->has_entered = false;
}

enum pl_err replay_next(struct replay *replay, bool *found)
{
    enum pl_err err = replay_enter(replay, found);
    if (err || !*found)
        return err;
    err = decide(replay);
    if (!err)
        err = compare(replay);
    if (!err)
        err = settle(replay);
    replay->failed = err;
    leave(replay);
    return err;
}

/* ---- seeking -------------------------------------------------------------------------------- */

/* Account states as published up to the entry. */
static enum pl_err load_states(struct replay *replay, uint64_t sequence)
{
    struct bundle_cursor cursor = {
        .stream = bundle_find(replay->bundle, PL_TOPIC_ACCOUNTS, replay->number)};
    for (;;) {
        struct pl_record record;
        bool found = false;
        int32_t partition = 0;
        uint64_t of = 0;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        if (pl_wire_journal_of(record.headers, record.header_count, &partition, &of) &&
            of > sequence)
            return PL_OK;
        err = ledger_apply(&replay->workspace.ledger, &replay->workspace.venue, &record);
        if (err)
            return difference_say(here(replay),
                                  &(struct finding){.what = "states", .account = record.key}, "%s",
                                  pl_err_text());
    }
}

/* Inputs as the entry had read them: all of it is told already. */
static enum pl_err load_inputs(struct replay *replay)
{
    enum pl_err err = follow_marks(replay);
    replay->last = replay->entry;
    replay->has_last = true;
    for (unsigned i = 0; !err && i < INPUTS; i++) {
        const struct pl_coordinate *coordinate = journal_coordinate(&replay->entry,
                                                                    input_topics[i]);
        struct pl_coordinate whole = coordinate ? *coordinate : (struct pl_coordinate){0};
        whole.first_offset = whole.offset;
        err = check_coordinate(replay, i, coordinate ? &whole : NULL,
                               i == INPUT_MARKS ? replay->entry.marks_first_offset : whole.offset);
        if (!err && input_topics[i] == PL_TOPIC_EXECUTIONS)
            err = skip_to(&replay->inputs[i], whole.offset);
        else if (!err) {
            replay->workspace.ledger.news_from = whole.offset;
            err = apply_up_to(replay, i, whole.offset, NULL);
        }
    }
    return err;
}

/* Before the journal's first entry in a bundle that has only what this one needs: as the entry
 * before it left everything. */
static enum pl_err load_before_first(struct replay *replay, const struct pl_journal *first)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < INPUTS; i++) {
        const struct pl_coordinate *read = journal_coordinate(first, input_topics[i]);
        if (!read || i == INPUT_MARKS)
            continue; /* which are read again anyway */
        err = input_topics[i] == PL_TOPIC_EXECUTIONS
                  ? skip_to(&replay->inputs[i], read->first_offset)
                  : apply_up_to(replay, i, read->first_offset, NULL);
    }
    if (!err)
        err = load_states(replay, first->sequence - 1);
    ledger_forget_dead(&replay->workspace.ledger, true);
    return err;
}

static enum pl_err find_entry(struct replay *replay, uint64_t sequence)
{
    bool found = true;
    while (replay->entry.sequence != sequence) {
        enum pl_err err = read_entry(replay, &found);
        if (err)
            return err;
        if (!found)
            return pl_err_set(PL_REJECT_UNKNOWN, "the journal of partition %d has no entry %llu",
                              (int)replay->number, (unsigned long long)sequence);
    }
    return PL_OK;
}

static enum pl_err seek(struct replay *replay, uint64_t sequence)
{
    enum pl_err err = begin(replay);
    if (err || sequence == 0)
        return err;
    struct pl_journal first;
    struct bundle_cursor start = replay->journal;
    err = find_entry(replay, sequence);
    if (err == PL_REJECT_UNKNOWN && replay->limits.is_partial &&
        peek_entry(replay, &start, &first) && first.sequence == sequence + 1) {
        replay->journal = start;
        replay->entry = (struct pl_journal){.sequence = sequence};
        return load_before_first(replay, &first);
    }
    if (!err)
        err = load_inputs(replay);
    if (!err)
        err = load_states(replay, sequence);
    if (!err)
        err = check_book(replay);
    if (err)
        return err;
    struct pl_digest settled = pl_book_states_digest(replay->workspace.ledger.book);
    if (!pl_digest_equal(settled, replay->entry.settled_digest) && !replay->limits.is_partial)
        return difference_in_digest(here(replay), "states", "the account states",
                                    replay->entry.settled_digest, settled);
    venue_update(&replay->workspace.venue, replay->entry.clock_ms);
    leave(replay);
    return published_seek(replay->published, sequence);
}

enum pl_err replay_seek(struct replay *replay, uint64_t sequence)
{
    enum pl_err err = seek(replay, sequence);
    replay->failed = err;
    return err;
}

/* ---- looking -------------------------------------------------------------------------------- */

const struct replay_difference *replay_difference(const struct replay *replay)
{
    return &replay->difference;
}

const struct pl_journal *replay_entry(const struct replay *replay)
{
    return &replay->entry;
}

int64_t replay_entry_offset(const struct replay *replay)
{
    return replay->entry_offset;
}

struct venue *replay_venue(struct replay *replay)
{
    return &replay->workspace.venue;
}

struct ledger *replay_ledger(struct replay *replay)
{
    return &replay->workspace.ledger;
}

struct replay_counts replay_counts(const struct replay *replay)
{
    return replay->counts;
}
