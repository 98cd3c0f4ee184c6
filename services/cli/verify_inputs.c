/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an entry says it has read, against the records: for each of its six coordinates, that it
 * begins where the entry before ended and that the records have its digest. Streams are hashed as
 * the entries go on; a broadcast record once, however many partitions account for it. G1, G2.
 */
#include <inttypes.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/cli/verify_parts.h"

static const enum pl_topic TOPICS[VERIFY_SOURCES] = { PL_TOPIC_HOLDINGS,   PL_TOPIC_EXECUTIONS,
                                                      PL_TOPIC_CONTROL,    PL_TOPIC_PARAMETERS,
                                                      PL_TOPIC_CHAINS,     PL_TOPIC_MARKS };

void verify_begin_source(struct verify *verify, unsigned source, int32_t partition)
{
    struct verify_source *self = &verify->sources[source];
    self->topic = TOPICS[source];
    self->partition = partition;
    self->cursor = (struct bundle_cursor){
        .stream = bundle_find(verify->bundle, TOPICS[source], partition) };
    self->count = self->next = 0;
}

/* Hashes the records below `limit`. */
static enum pl_err reach(struct verify *verify, struct verify_source *source, int64_t limit)
{
    for (;;) {
        struct pl_record record;
        bool found = false;
        size_t at = source->cursor.at;
        enum pl_err err = verify_read(verify, &source->cursor, &record, &found);
        if (err || !found)
            return err;
        if (record.offset >= limit) {
            source->cursor.at = at;
            return PL_OK;
        }
        void *inputs = source->inputs;
        err = verify_make_room(&inputs, source->count, &source->capacity, sizeof(*source->inputs));
        source->inputs = inputs;
        if (err)
            return err;
        struct verify_input *input = &source->inputs[source->count++];
        input->offset = record.offset;
        input->at = at;
        pl_wire_input_hash(record.offset, record.key, record.value, input->hash);
        verify_count_record(verify, record.key, record.value);
    }
}

enum pl_err verify_read_input(struct verify *verify, const struct verify_source *source,
                              const struct verify_input *input, struct pl_record *record)
{
    struct bundle_cursor cursor = { .stream = source->cursor.stream, .at = input->at };
    bool found = false;
    return verify_read(verify, &cursor, record, &found);
}

const struct verify_input *verify_find_input(const struct verify_source *source, int64_t offset)
{
    size_t low = 0, high = source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (source->inputs[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < source->count && source->inputs[low].offset == offset;
    return is_there ? &source->inputs[low] : NULL;
}

const struct pl_coordinate *verify_coordinate(const struct pl_journal *entry,
                                              const struct verify_source *source)
{
    for (uint32_t i = 0; i < entry->vector_count; i++)
        if (entry->vector[i].topic == source->topic &&
            entry->vector[i].partition == source->partition)
            return &entry->vector[i];
    return NULL;
}

/* What is accounted for has no hole. Only marks may: a process that begins has no use for those
 * that are too old. */
static enum pl_err check_first_offset(struct verify *verify, const struct verify_source *source,
                                      const struct pl_coordinate *coordinate)
{
    const struct pl_coordinate *last = verify_coordinate(&verify->previous, source);
    pl_assert(last);
    int64_t expected = last->offset;
    if (source->topic == PL_TOPIC_MARKS && verify->entry.marks_first_offset > expected)
        expected = verify->entry.marks_first_offset;
    if (coordinate->first_offset == expected)
        return PL_OK;
    verify_suspect_entry(verify);
    verify_show_numbers(verify, coordinate->first_offset, expected);
    return verify_report_finding(verify, "inputs", "entry %" PRIu64 " does not go on with %s "
                                 "partition %" PRId32 " where the entry before ended",
                                 verify->entry.sequence, pl_topic_word(source->topic),
                                 source->partition);
}

static enum pl_err check_digest(struct verify *verify, struct verify_source *source,
                                const struct pl_coordinate *coordinate)
{
    const struct bundle_stream *stream = source->cursor.stream;
    uint8_t hash[PL_HASH_BYTES];
    uint64_t count = 0;
    while (source->next < source->count &&
           source->inputs[source->next].offset < coordinate->first_offset)
        source->next++;
    pl_inputs_digest_reset(&verify->digest);
    for (; source->next < source->count &&
           source->inputs[source->next].offset < coordinate->offset; count++)
        pl_inputs_digest_add(&verify->digest, source->inputs[source->next++].hash);
    bool is_complete = !stream || stream->complete_from <= coordinate->first_offset;
    if (verify_is_base(verify) && !is_complete)
        return PL_OK;
    pl_inputs_digest_read(&verify->digest, hash);
    if (memcmp(hash, coordinate->digest, PL_HASH_BYTES) == 0)
        return PL_OK;
    verify_suspect(verify, source->topic, source->partition, coordinate->first_offset,
                   coordinate->offset - 1);
    verify_show_hashes(verify, coordinate->digest, hash);
    return verify_report_finding(verify, "inputs", "the %" PRIu64 " records of %s partition %"
                                 PRId32 " in offsets %" PRId64 " to %" PRId64 " are not those "
                                 "that entry %" PRIu64 " decided on%s", count, pl_topic_word(source->topic),
                                 source->partition, coordinate->first_offset,
                                 coordinate->offset - 1, verify->entry.sequence,
                                 is_complete ? "" : ": the bundle begins later");
}

enum pl_err verify_inputs(struct verify *verify)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < VERIFY_SOURCES; i++) {
        struct verify_source *source = &verify->sources[i];
        const struct pl_coordinate *coordinate = verify_coordinate(&verify->entry, source);
        if (!coordinate || verify->entry.vector_count != VERIFY_SOURCES) {
            verify_suspect_entry(verify);
            return verify_report_finding(verify, "entry", "its vector is not of the six inputs");
        }
        err = reach(verify, source, coordinate->offset);
        if (!err && !verify->is_first)
            err = check_first_offset(verify, source, coordinate);
        if (!err)
            err = check_digest(verify, source, coordinate);
    }
    return err;
}

enum pl_err verify_unaccounted(struct verify *verify, uint64_t *count)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < VERIFY_SOURCES; i++) {
        struct verify_source *source = &verify->sources[i];
        err = reach(verify, source, INT64_MAX);
        *count += source->count - source->next;
    }
    return err;
}
