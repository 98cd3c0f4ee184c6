/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a bundle to a scene: which journal entry is meant, what the topics say about the account up
 * to it, and what the replay engine rebuilds of the state in which it was decided (G2). Records are
 * read as the live service reads them: what stands below the entry's vector, and what was published
 * up to its sequence.
 */
#include "services/cli/explain.h"

#include <ctype.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/replay.h"

enum { ACCOUNTS_MAX = 1 << 20 };
static const size_t WIRE_BYTES = (size_t)64 << 20; /* address space */

struct inquiry {
    const struct explain_question *question;
    const struct bundle *bundle;
    int32_t partition;
    struct pl_wire wire;
    struct pl_names names; /* of the records read here, not of the replay */

    bool has_entry;
    struct pl_journal entry;
    int64_t journal_offset;
    struct explain_sold sold[PL_SALE_LEGS_MAX];
    uint32_t sold_count;
    uint64_t sale_sequence; /* of the last entry that sold; 0: none */
    struct explain_halt halts[2];
    bool has_record;
    struct pl_record_holdings record, scratch;
    json_t *history, *alerts;
};

typedef enum pl_err see_record(struct inquiry *inquiry, const struct pl_record *record);

/* ---- records -------------------------------------------------------------------------------- */

/* One stream of the bundle, from its beginning. */
static enum pl_err read_stream(struct inquiry *inquiry, enum pl_topic topic, int32_t partition,
                               see_record *see)
{
    struct bundle_cursor cursor = { .stream = bundle_find(inquiry->bundle, topic, partition) };
    for (;;) {
        struct pl_record record;
        bool found = false;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (!err && found)
            err = see(inquiry, &record);
        if (err || !found)
            return err;
    }
}

static bool is_within(const struct inquiry *inquiry, int64_t offset)
{
    const struct when *at = &inquiry->question->at;
    switch (at->kind) {
    case WHEN_OPEN:
        return true;
    case WHEN_TIME:
        return inquiry->entry.clock_ms <= at->value;
    case WHEN_OFFSET:
        return offset <= at->value;
    case WHEN_SEQUENCE:
        return inquiry->entry.sequence <= (uint64_t)at->value;
    }
    return false;
}

static enum pl_err see_entry(struct inquiry *inquiry, const struct pl_record *record)
{
    static struct pl_journal last;
    last = inquiry->entry;
    enum pl_err err = pl_wire_journal_decode(&inquiry->wire, record->value, &inquiry->entry);
    if (err)
        return pl_err_note(err, "journal partition %d offset %lld", (int)record->partition,
                           (long long)record->offset);
    if (is_within(inquiry, record->offset)) {
        inquiry->journal_offset = record->offset;
        inquiry->has_entry = true;
    } else {
        inquiry->entry = last; /* clocks, offsets and sequences rise: it stays so */
    }
    return PL_OK;
}

/* Whether a record was read by the entry: inputs by its vector. */
static bool was_read(const struct inquiry *inquiry, const struct pl_record *record)
{
    const struct pl_coordinate *coordinate = journal_coordinate(&inquiry->entry, record->topic);
    return coordinate && record->offset < coordinate->offset;
}

static bool is_of_account(const struct inquiry *inquiry, const struct pl_record *record)
{
    return record->key.data && record->key.size_bytes == inquiry->question->account.size_bytes &&
           memcmp(record->key.data, inquiry->question->account.text, record->key.size_bytes) == 0;
}

/* Of the account, and published by the entry or before it. */
static bool was_published(const struct inquiry *inquiry, const struct pl_record *record,
                          uint64_t *sequence)
{
    int32_t partition = 0;
    return is_of_account(inquiry, record) &&
           pl_wire_journal_of(record->headers, record->header_count, &partition, sequence) &&
           *sequence <= inquiry->entry.sequence;
}

/* Who halted: what venue_apply makes of the same records, with the names kept. */
static enum pl_err see_control(struct inquiry *inquiry, const struct pl_record *record)
{
    struct pl_control control;
    if (!was_read(inquiry, record))
        return PL_OK;
    if (pl_wire_control_decode(&inquiry->wire, record->key, record->value, &control)) {
        if (!inquiry->halts[0].is_set)
            inquiry->halts[0] = (struct explain_halt){
                .is_set = true, .control.created_ms = record->timestamp_ms };
        return PL_OK;
    }
    bool is_all = control.account.size_bytes == 0;
    if (!is_all && !pl_id_equal(&control.account, &inquiry->question->account))
        return PL_OK;
    struct explain_halt *halt = &inquiry->halts[is_all ? 0 : 1];
    if (!control.is_halt)
        halt->is_set = false;
    else if (!halt->is_set)
        *halt = (struct explain_halt){ .is_set = true, .control = control };
    return PL_OK;
}

static enum pl_err see_holdings(struct inquiry *inquiry, const struct pl_record *record)
{
    if (!is_of_account(inquiry, record) || !was_read(inquiry, record) ||
        pl_wire_record_decode(&inquiry->wire, record->key, record->value, &inquiry->scratch) ||
        (inquiry->has_record && inquiry->scratch.version <= inquiry->record.version))
        return PL_OK;
    inquiry->record = inquiry->scratch;
    inquiry->has_record = true;
    return PL_OK;
}

static enum pl_err see_order(struct inquiry *inquiry, const struct pl_record *record)
{
    uint64_t sequence = 0;
    struct pl_order order;
    if (!was_published(inquiry, record, &sequence) || sequence < inquiry->sale_sequence)
        return PL_OK;
    if (sequence > inquiry->sale_sequence)
        inquiry->sold_count = 0;
    inquiry->sale_sequence = sequence;
    enum pl_err err = pl_wire_order_decode(&inquiry->wire, record->key, record->value, &order);
    if (err)
        return pl_err_note(err, "orders partition %d offset %lld", (int)record->partition,
                           (long long)record->offset);
    if (inquiry->sold_count < PL_SALE_LEGS_MAX)
        inquiry->sold[inquiry->sold_count++] =
            (struct explain_sold){ .instrument = order.instrument, .lots = order.lots };
    return PL_OK;
}

static enum pl_err see_state(struct inquiry *inquiry, const struct pl_record *record)
{
    static struct pl_account_state state;
    uint64_t sequence = 0;
    if (!was_published(inquiry, record, &sequence))
        return PL_OK;
    enum pl_err err = pl_wire_state_decode(&inquiry->wire, &inquiry->names, record->key,
                                           record->value, &state);
    if (err)
        return pl_err_note(err, "accounts partition %d offset %lld", (int)record->partition,
                           (long long)record->offset);
    const json_t *before =
        json_array_get(inquiry->history, json_array_size(inquiry->history) - 1);
    const char *left = before ? json_string_value(json_object_get(before, "entered"))
                              : state.version == 1 ? "ok" : NULL;
    json_array_append_new(
        inquiry->history,
        json_pack("{s:I, s:I, s:s?, s:s, s:I, s:I, s:I, s:I, s:I}", "sequence",
                  (json_int_t)sequence, "time_ms", (json_int_t)record->timestamp_ms, "left", left,
                  "entered", explain_state_name(state.state), "episode", (json_int_t)state.episode,
                  "revision", (json_int_t)state.revision, "version", (json_int_t)state.version,
                  "pending_count", (json_int_t)state.pending_count, "doubt_count",
                  (json_int_t)state.doubt_count));
    return PL_OK;
}

/* "KIND_ORDER_OVERDUE" to "order_overdue"; null where there is none. */
static json_t *plain_word(const json_t *alert, const char *field, const char *prefix)
{
    const char *text = json_string_value(json_object_get(alert, field));
    char plain[32] = "";
    if (!text || strncmp(text, prefix, strlen(prefix)) != 0)
        return json_null();
    text += strlen(prefix);
    for (size_t i = 0; text[i] && i + 1 < sizeof(plain); i++)
        plain[i] = (char)tolower((unsigned char)text[i]);
    return json_string(plain);
}

static enum pl_err see_alert(struct inquiry *inquiry, const struct pl_record *record)
{
    uint64_t sequence = 0;
    json_t *alert = NULL;
    if (!was_published(inquiry, record, &sequence))
        return PL_OK;
    enum pl_err err = pl_json_decode(PL_TOPIC_ALERTS, record->value, &alert);
    if (err)
        return pl_err_note(err, "alerts partition %d offset %lld", (int)record->partition,
                           (long long)record->offset);
    json_array_append_new(
        inquiry->alerts,
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:O?}", "sequence", (json_int_t)sequence, "time_ms",
                  (json_int_t)record->timestamp_ms, "kind", plain_word(alert, "kind", "KIND_"),
                  "left", plain_word(alert, "left", "STATE_"), "entered",
                  plain_word(alert, "entered", "STATE_"), "order_id",
                  json_object_get(alert, "order_id")));
    json_decref(alert);
    return PL_OK;
}

static enum pl_err read_records(struct inquiry *inquiry)
{
    int32_t partition = inquiry->partition;
    enum pl_err err = read_stream(inquiry, PL_TOPIC_JOURNAL, partition, see_entry);
    if (!err && !inquiry->has_entry)
        return pl_err_set(PL_REJECT_UNKNOWN, "the journal of partition %d has no entry at or "
                          "before then: nothing had been decided", (int)partition);
    if (!err)
        err = read_stream(inquiry, PL_TOPIC_CONTROL, 0, see_control);
    if (!err)
        err = read_stream(inquiry, PL_TOPIC_HOLDINGS, partition, see_holdings);
    if (!err)
        err = read_stream(inquiry, PL_TOPIC_ORDERS, partition, see_order);
    if (!err)
        err = read_stream(inquiry, PL_TOPIC_ACCOUNTS, partition, see_state);
    return err ? err : read_stream(inquiry, PL_TOPIC_ALERTS, partition, see_alert);
}

/* ---- scenes --------------------------------------------------------------------------------- */

/* Rebuilds what stood before the decision of an entry. */
static enum pl_err rebuild(const struct inquiry *inquiry, uint64_t sequence, struct replay **replay)
{
    const struct replay_limits limits = { .accounts_max = ACCOUNTS_MAX,
                                          .is_partial = inquiry->question->is_partial };
    bool found = false;
    enum pl_err err = replay_open(replay, inquiry->bundle, inquiry->partition, &limits);
    if (!err)
        err = replay_seek(*replay, sequence - 1);
    if (!err)
        err = replay_enter(*replay, &found);
    if (!err && (!found || replay_entry(*replay)->sequence != sequence))
        err = pl_err_set(PL_REJECT_UNKNOWN, "the journal has no entry %llu after the one before it",
                         (unsigned long long)sequence);
    return err;
}

static struct explain_scene scene_of(const struct inquiry *inquiry, struct replay *replay)
{
    return (struct explain_scene){
        .account = inquiry->question->account, .goal = inquiry->question->goal,
        .entry = replay_entry(replay),
        .journal_offset = inquiry->journal_offset, .venue = replay_venue(replay),
        .ledger = replay_ledger(replay), .halts = { inquiry->halts[0], inquiry->halts[1] },
        .record = inquiry->has_record ? &inquiry->record : NULL,
        .sale_sequence = inquiry->sale_sequence, .sold = inquiry->sold,
        .sold_count = inquiry->sold_count, .history = inquiry->history,
        .alerts = inquiry->alerts };
}

static bool is_episode_open(const struct inquiry *inquiry)
{
    const json_t *last = json_array_get(inquiry->history, json_array_size(inquiry->history) - 1);
    const char *state = json_string_value(json_object_get(last, "entered"));
    return state && (strcmp(state, "liquidating") == 0 || strcmp(state, "bankrupt") == 0);
}

/* The sale of an earlier entry, for an episode that goes on. NULL when the records do not reach
 * back: then the present still has its answer. */
static json_t *plan_before(const struct inquiry *inquiry)
{
    static struct explain_view view;
    struct replay *replay = NULL;
    json_t *plan = NULL;
    if (inquiry->sale_sequence == 0 || inquiry->sale_sequence == inquiry->entry.sequence ||
        !is_episode_open(inquiry))
        return NULL;
    if (!rebuild(inquiry, inquiry->sale_sequence, &replay)) {
        const struct explain_scene scene = scene_of(inquiry, replay);
        if (explain_look(&scene, &view))
            plan = explain_plan(&view);
    }
    replay_close(&replay);
    return plan;
}

static enum pl_err make_document(struct inquiry *inquiry, json_t **document)
{
    struct replay *replay = NULL;
    enum pl_err err = read_records(inquiry);
    json_t *plan = err ? NULL : plan_before(inquiry);
    if (!err)
        err = rebuild(inquiry, inquiry->entry.sequence, &replay);
    if (!err) {
        struct explain_scene scene = scene_of(inquiry, replay);
        scene.plan = plan;
        *document = explain_document(&scene);
    }
    json_decref(plan);
    replay_close(&replay);
    return err;
}

enum pl_err explain_bundle(const struct bundle *bundle, const struct explain_question *question,
                           json_t **document)
{
    static struct inquiry inquiry;
    void *block = NULL;
    enum pl_err err = pl_memory_map(WIRE_BYTES, &block);
    if (err)
        return err;
    memset(&inquiry, 0, sizeof(inquiry));
    inquiry.question = question;
    inquiry.bundle = bundle;
    inquiry.partition = pl_account_partition(&question->account, bundle_partition_count(bundle));
    inquiry.history = json_array();
    inquiry.alerts = json_array();
    pl_wire_init(&inquiry.wire, block, WIRE_BYTES);
    pl_names_init(&inquiry.names);
    err = make_document(&inquiry, document);
    json_decref(inquiry.history);
    json_decref(inquiry.alerts);
    pl_memory_unmap(block, WIRE_BYTES);
    return err;
}
