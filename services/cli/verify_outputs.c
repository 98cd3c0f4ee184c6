/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was published in an entry's name, against the entry: orders, alerts and account states of
 * the partition and the dead letters of its journal, put into the order in which the step produced
 * them. Each names its entry in a header; the entry has their count and digest. G1, G7.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/verify_parts.h"

static const enum pl_topic TOPICS[VERIFY_LETTERS] = { PL_TOPIC_ORDERS, PL_TOPIC_ALERTS,
                                                      PL_TOPIC_ACCOUNTS };

/* ---- streams, one record ahead -------------------------------------------------------------- */

/* Other services write dead letters too, under their own names and without our header. */
static bool is_of_service(const struct pl_record *record)
{
    static const char service[] = "liquidation";
    const struct pl_header *header = verify_header(record, "__connect.errors.connector.name");
    return verify_header(record, PL_JOURNAL_HEADER) ||
           (header && header->value.size_bytes == sizeof(service) - 1 &&
            memcmp(header->value.data, service, sizeof(service) - 1) == 0);
}

static enum pl_err check_header(struct verify *verify, struct verify_outlet *outlet, bool *is_ours)
{
    const struct pl_record *record = &outlet->record;
    bool is_letter = outlet->topic == PL_TOPIC_DEADLETTER;
    int32_t partition = 0;
    uint64_t sequence = 0;
    *is_ours = false;
    if (is_letter && !is_of_service(record))
        return PL_OK;
    verify_suspect_record(verify, record);
    if (!pl_wire_journal_of(record->headers, record->header_count, &partition, &sequence))
        return verify_report_finding(verify, "header", "no \"" PL_JOURNAL_HEADER "\" says to which "
                                     "entry this output of the liquidation service belongs");
    bool is_other = partition != verify->partition;
    if (is_other && (!is_letter || partition >= bundle_partition_count(verify->bundle)))
        return verify_report_finding(verify, "header", "it names an entry of partition %" PRId32,
                                     partition);
    if (!is_other && sequence < outlet->sequence)
        return verify_report_finding(verify, "header", "it names entry %" PRIu64 ", and stands "
                                     "behind one of entry %" PRIu64, sequence, outlet->sequence);
    verify->finding.suspect_count = 0;
    *is_ours = !is_other;
    if (*is_ours)
        outlet->sequence = sequence;
    return PL_OK;
}

static enum pl_err advance(struct verify *verify, struct verify_outlet *outlet)
{
    bool is_ours = false;
    enum pl_err err = PL_OK;
    if (outlet->has_record)
        outlet->previous_offset = outlet->record.offset;
    do {
        err = verify_read(verify, &outlet->cursor, &outlet->record, &outlet->has_record);
        if (!err && outlet->has_record)
            err = check_header(verify, outlet, &is_ours);
    } while (!err && outlet->has_record && !is_ours);
    return err;
}

enum pl_err verify_open_outlets(struct verify *verify)
{
    unsigned stream_count = bundle_stream_count(verify->bundle);
    verify->outlets = calloc(VERIFY_LETTERS + stream_count, sizeof(*verify->outlets));
    if (!verify->outlets)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for %u streams", stream_count);
    for (verify->outlet_count = 0; verify->outlet_count < VERIFY_LETTERS; verify->outlet_count++)
        verify->outlets[verify->outlet_count].topic = TOPICS[verify->outlet_count];
    for (unsigned i = 0; i < stream_count; i++) {
        const struct bundle_stream *stream = bundle_stream_at(verify->bundle, i);
        if (stream->topic == PL_TOPIC_DEADLETTER)
            verify->outlets[verify->outlet_count++] = (struct verify_outlet){
                .topic = stream->topic, .cursor = { .stream = stream } };
    }
    return PL_OK;
}

enum pl_err verify_begin_outlets(struct verify *verify)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < verify->outlet_count; i++) {
        struct verify_outlet *outlet = &verify->outlets[i];
        const struct bundle_stream *stream = outlet->cursor.stream;
        if (i < VERIFY_LETTERS)
            stream = bundle_find(verify->bundle, outlet->topic, verify->partition);
        outlet->cursor = (struct bundle_cursor){ .stream = stream };
        outlet->sequence = 0;
        outlet->has_record = false;
        outlet->previous_offset = -1;
        err = advance(verify, outlet);
    }
    return err;
}

static bool is_of_entry(const struct verify *verify, const struct verify_outlet *outlet)
{
    return outlet->has_record && outlet->sequence == verify->entry.sequence;
}

static enum pl_err apply_state(struct verify *verify, const struct pl_record *record)
{
    struct pl_id id;
    struct verify_account *account = NULL;
    if (pl_id_set(&id, record->key.data, record->key.size_bytes)) {
        verify_suspect_record(verify, record);
        return verify_report_finding(verify, "outputs", "the key of a state is no account");
    }
    enum pl_err err = verify_account(verify, &id, &account);
    if (err)
        return err;
    pl_digest_xor(&verify->states_digest, account->state);
    account->state = pl_wire_digest(record->key, record->value);
    pl_digest_xor(&verify->states_digest, account->state);
    return PL_OK;
}

enum pl_err verify_skip_outputs(struct verify *verify)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; i < VERIFY_LETTERS; i++) {
        struct verify_outlet *outlet = &verify->outlets[i];
        while (!err && outlet->has_record && outlet->sequence < verify->entry.sequence) {
            if (i == VERIFY_STATES)
                err = apply_state(verify, &outlet->record);
            if (!err)
                err = advance(verify, outlet);
        }
    }
    return err;
}

/* ---- dead letters --------------------------------------------------------------------------- */

static bool read_number(const struct pl_record *record, const char *name, int64_t limit,
                        int64_t *number)
{
    const struct pl_header *header = verify_header(record, name);
    size_t size_bytes = header ? header->value.size_bytes : 0;
    *number = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        uint8_t digit = (uint8_t)(header->value.data[i] - '0');
        if (digit > 9 || *number > (limit - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return size_bytes > 0 && (size_bytes == 1 || header->value.data[0] != '0');
}

/* The input that this is a copy of. The header has the topic's name, which is whatever the operator
 * called it: the bytes tell which topic it is, and the word in the name where two would do. */
static enum pl_err find_origin(struct verify *verify, const struct pl_record *record,
                               struct verify_letter *letter, bool *is_found)
{
    char name[PL_TOPIC_NAME_BYTES_MAX + 1] = "";
    const struct pl_header *header = verify_header(record, "__connect.errors.topic");
    if (header && header->value.size_bytes < sizeof(name))
        memcpy(name, header->value.data, header->value.size_bytes);
    *is_found = false;
    for (unsigned i = 0; i < VERIFY_SOURCES; i++) {
        const struct verify_source *source = &verify->sources[i];
        const struct verify_input *input =
            source->partition == letter->partition ? verify_find_input(source, letter->offset)
                                                   : NULL;
        bool is_named = strstr(name, pl_topic_word(source->topic)) != NULL;
        if (!input || (*is_found && !is_named))
            continue;
        struct pl_record origin;
        enum pl_err err = verify_read_input(verify, source, input, &origin);
        if (err)
            return err;
        if (!verify_equal(origin.key, record->key) || !verify_equal(origin.value, record->value))
            continue;
        letter->topic = source->topic;
        *is_found = true;
    }
    return PL_OK;
}

static int by_origin(const void *left, const void *right)
{
    const struct verify_letter *a = left, *b = right;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* `before` stands before it and is of the same entry: they were published in the order of
 * origins. */
static enum pl_err read_letter(struct verify *verify, const struct verify_outlet *outlet,
                               const struct verify_letter *before, struct verify_letter *letter)
{
    const struct pl_record *record = &outlet->record;
    int64_t partition = 0;
    bool is_found = false;
    *letter = (struct verify_letter){ .key = record->key, .value = record->value };
    enum pl_err err = PL_OK;
    if (read_number(record, "__connect.errors.partition", INT32_MAX, &partition) &&
        read_number(record, "__connect.errors.offset", INT64_MAX, &letter->offset)) {
        letter->partition = (int32_t)partition;
        err = find_origin(verify, record, letter, &is_found);
    }
    if (err || verify_is_base(verify))
        return err; /* those of entries before the log have their inputs there */
    verify_suspect_record(verify, record);
    if (!is_found || outlet->sequence < verify->entry.sequence)
        return verify_report_finding(verify, "dead letter", "it names entry %" PRIu64 " and is not "
                                     "the copy of an input of that", outlet->sequence);
    if (before && by_origin(before, letter) >= 0)
        return verify_report_finding(verify, "dead letter", "it is not in the order of origins");
    verify->finding.suspect_count = 0;
    return PL_OK;
}

enum pl_err verify_letters(struct verify *verify)
{
    enum pl_err err = PL_OK;
    verify->letter_count = 0;
    for (unsigned i = 0; i < verify->outlet_count; i++) {
        struct verify_outlet *outlet = &verify->outlets[i];
        outlet->place = outlet->previous_offset + 1;
        outlet->first = outlet->last = -1;
    }
    for (unsigned i = VERIFY_LETTERS; !err && i < verify->outlet_count; i++) {
        struct verify_outlet *outlet = &verify->outlets[i];
        size_t first = verify->letter_count;
        while (!err && outlet->has_record && outlet->sequence <= verify->entry.sequence) {
            void *letters = verify->letters;
            err = verify_make_room(&letters, verify->letter_count, &verify->letter_capacity,
                                   sizeof(*verify->letters));
            verify->letters = letters;
            if (err)
                break;
            struct verify_letter *letter = &verify->letters[verify->letter_count];
            const struct verify_letter *before = verify->letter_count > first ? letter - 1 : NULL;
            err = read_letter(verify, outlet, before, letter);
            verify->letter_count++;
            if (!err)
                err = advance(verify, outlet);
        }
    }
    if (!err && verify->letter_count > 1)
        qsort(verify->letters, verify->letter_count, sizeof(*verify->letters), by_origin);
    return err;
}

/* ---- one entry ------------------------------------------------------------------------------ */

static enum pl_err count_output(struct verify *verify, struct verify_outlet *outlet,
                                struct pl_outputs_digest *digest)
{
    const struct pl_record *record = &outlet->record;
    verify_count_record(verify, record->key, record->value);
    pl_outputs_digest_add(digest, outlet->topic, record->key, record->value);
    if (outlet->first < 0)
        outlet->first = record->offset;
    outlet->last = record->offset;
    return advance(verify, outlet);
}

/* Where the entry's records stand, or would: up to the next one, which only says that it belongs to
 * a later entry. */
static void suspect_place(struct verify *verify, const struct verify_outlet *outlet)
{
    const struct bundle_stream *stream = outlet->cursor.stream;
    if (stream)
        verify_suspect(verify, outlet->topic, stream->partition, outlet->place,
                       outlet->has_record ? outlet->record.offset : stream->end);
}

/* The step wrote for each account its orders, its alerts and its state: the states tell the
 * order. */
static enum pl_err add_outputs(struct verify *verify, struct pl_outputs_digest *digest)
{
    struct verify_outlet *states = &verify->outlets[VERIFY_STATES];
    enum pl_err err = PL_OK;
    while (!err && is_of_entry(verify, states)) {
        for (unsigned i = 0; i < VERIFY_STATES; i++) {
            struct verify_outlet *outlet = &verify->outlets[i];
            while (!err && is_of_entry(verify, outlet) &&
                   verify_equal(outlet->record.key, states->record.key))
                err = count_output(verify, outlet, digest);
        }
        if (!err)
            err = apply_state(verify, &states->record);
        if (!err)
            err = count_output(verify, states, digest);
    }
    for (unsigned i = 0; !err && i < VERIFY_STATES; i++) {
        struct verify_outlet *outlet = &verify->outlets[i];
        if (!is_of_entry(verify, outlet))
            continue;
        verify_suspect_record(verify, &outlet->record);
        suspect_place(verify, states);
        err = verify_report_finding(verify, "outputs", "entry %" PRIu64 " has no state of this "
                                    "account at this place", verify->entry.sequence);
    }
    return err;
}

/* One digest over all cannot tell which it was. The states come first unless their own digest says
 * that they are whole; each dead letter was seen to be the copy of an input. */
static void suspect_changed(struct verify *verify)
{
    bool are_whole = pl_digest_equal(verify->states_digest, verify->entry.settled_digest);
    for (unsigned i = 0; i < VERIFY_LETTERS; i++) {
        unsigned at = are_whole ? i : (i + VERIFY_STATES) % VERIFY_LETTERS;
        const struct verify_outlet *outlet = &verify->outlets[at];
        if (outlet->first >= 0)
            verify_suspect(verify, outlet->topic, verify->partition, outlet->first, outlet->last);
    }
}

static enum pl_err compare(struct verify *verify, uint32_t count,
                           const uint8_t hash[PL_HASH_BYTES])
{
    const struct pl_journal *entry = &verify->entry;
    if (count != entry->output_count) {
        for (unsigned i = 0; i < verify->outlet_count; i++)
            suspect_place(verify, &verify->outlets[i]);
        verify_show_numbers(verify, entry->output_count, count);
        return verify_report_finding(verify, "outputs", "entry %" PRIu64 " has another number of "
                                     "them", entry->sequence);
    }
    if (memcmp(hash, entry->outputs_digest, PL_HASH_BYTES) != 0) {
        suspect_changed(verify);
        verify_show_hashes(verify, entry->outputs_digest, hash);
        return verify_report_finding(verify, "outputs", "those of entry %" PRIu64 " are not what "
                                     "it decided", entry->sequence);
    }
    return PL_OK;
}

static enum pl_err check_states(struct verify *verify)
{
    const struct pl_journal *entry = &verify->entry;
    struct verify_outlet *states = &verify->outlets[VERIFY_STATES];
    if (pl_digest_equal(verify->states_digest, entry->settled_digest))
        return PL_OK;
    if (verify->is_first)
        states->place = 0;
    suspect_place(verify, states);
    verify_show_digests(verify, entry->settled_digest, verify->states_digest);
    return verify_report_finding(verify, "states", "the newest states of all accounts are not "
                                 "those after entry %" PRIu64 "%s", entry->sequence,
                                 verify->is_first ? ": the log or its checkpoint misses some" : "");
}

enum pl_err verify_outputs(struct verify *verify)
{
    struct pl_outputs_digest digest;
    uint8_t hash[PL_HASH_BYTES];
    enum pl_err err = pl_outputs_digest_begin(&digest);
    if (err)
        return err;
    err = add_outputs(verify, &digest);
    for (size_t i = 0; i < verify->letter_count; i++) {
        const struct verify_letter *letter = &verify->letters[i];
        verify_count_record(verify, letter->key, letter->value);
        pl_outputs_digest_add(&digest, PL_TOPIC_DEADLETTER, letter->key, letter->value);
    }
    uint32_t count = digest.count;
    pl_outputs_digest_end(&digest, hash);
    if (!err && !verify_is_base(verify))
        err = compare(verify, count, hash);
    return err ? err : check_states(verify);
}

enum pl_err verify_rest(struct verify *verify)
{
    for (unsigned i = 0; i < verify->outlet_count; i++) {
        const struct verify_outlet *outlet = &verify->outlets[i];
        if (!outlet->has_record)
            continue;
        verify_suspect_record(verify, &outlet->record);
        return verify_report_finding(verify, "header", "it names entry %" PRIu64 ", and the newest "
                                     "is %" PRIu64, outlet->sequence, verify->entry.sequence);
    }
    return PL_OK;
}
