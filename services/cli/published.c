/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded outputs against replayed ones (published.h). Orders, alerts and states stand on one
 * topic partition each, in produce order, so they are compared one by one. Dead letters are spread
 * over the partitions of their topic by keys that may be absent, and other services write there
 * too: each is looked for at the heads of all its partitions.
 */
#include "services/cli/published.h"

#include <stdlib.h>
#include <string.h>

enum { OWN_TOPICS = 3 };
static const enum pl_topic own_topics[OWN_TOPICS] = {PL_TOPIC_ORDERS, PL_TOPIC_ALERTS,
                                                     PL_TOPIC_ACCOUNTS};

struct published {
    int32_t partition, letter_stream_count;
    struct bundle_cursor own[OWN_TOPICS];
    struct bundle_cursor letters[]; /* by partition of the dead-letter topic */
};

enum pl_err published_open(struct published **published, const struct bundle *bundle,
                           int32_t partition)
{
    int32_t count = 0;
    while (bundle_find(bundle, PL_TOPIC_DEADLETTER, count))
        count++;
    struct published *new = *published = calloc(1, sizeof(*new) +
                                                       (size_t)count * sizeof(new->letters[0]));
    if (!new)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory to compare outputs");
    new->partition = partition;
    new->letter_stream_count = count;
    for (unsigned i = 0; i < OWN_TOPICS; i++)
        new->own[i].stream = bundle_find(bundle, own_topics[i], partition);
    for (int32_t i = 0; i < count; i++)
        new->letters[i].stream = bundle_find(bundle, PL_TOPIC_DEADLETTER, i);
    return PL_OK;
}

void published_close(struct published **published)
{
    free(*published);
    *published = NULL;
}

/* ---- heads of streams ----------------------------------------------------------------------- */

/* The next record of a stream, and of which entry of this partition it is: 0 where it names
 * none. */
struct head {
    struct bundle_cursor *cursor;
    size_t after; /* where the cursor goes when it is taken */
    bool found;
    uint64_t sequence;
    struct pl_record record;
};

static enum pl_err look(const struct published *published, struct bundle_cursor *cursor,
                        struct head *head)
{
    struct bundle_cursor next = *cursor;
    int32_t partition = 0;
    head->cursor = cursor;
    enum pl_err err = bundle_next(&next, &head->record, &head->found);
    head->after = next.at;
    head->sequence = 0;
    if (!err && head->found &&
        (!pl_wire_journal_of(head->record.headers, head->record.header_count, &partition,
                             &head->sequence) ||
         partition != published->partition))
        head->sequence = 0;
    return err;
}

static void take(struct head *head)
{
    head->cursor->at = head->after;
}

/* Passes over dead letters of other partitions and services. */
static enum pl_err look_at_letter(struct published *published, int32_t stream, struct head *head)
{
    struct bundle_cursor *cursor = &published->letters[stream];
    enum pl_err err = look(published, cursor, head);
    while (!err && head->found && head->sequence == 0) {
        take(head);
        err = look(published, cursor, head);
    }
    return err;
}

enum pl_err published_seek(struct published *published, uint64_t sequence)
{
    struct head head;
    enum pl_err err = PL_OK;
    for (unsigned i = 0; i < OWN_TOPICS; i++)
        published->own[i].at = 0;
    for (int32_t i = 0; i < published->letter_stream_count; i++)
        published->letters[i].at = 0;
    if (sequence == 0)
        return PL_OK; /* what names no entry is found and said there */
    for (unsigned i = 0; !err && i < OWN_TOPICS; i++) {
        err = look(published, &published->own[i], &head);
        for (; !err && head.found && head.sequence <= sequence;
             err = look(published, &published->own[i], &head))
            take(&head);
    }
    for (int32_t i = 0; !err && i < published->letter_stream_count; i++) {
        err = look_at_letter(published, i, &head);
        for (; !err && head.found && head.sequence <= sequence;
             err = look_at_letter(published, i, &head))
            take(&head);
    }
    return err;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool bytes_equal(struct pl_bytes_view a, struct pl_bytes_view b)
{
    return !a.data == !b.data && a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.data, b.data, a.size_bytes) == 0);
}

static enum pl_err say(struct published_difference *difference, enum published_answer answer,
                       const struct pl_record *recorded, const struct output *replayed)
{
    difference->answer = answer;
    difference->replayed = replayed;
    if (recorded)
        difference->recorded = *recorded;
    difference->topic = recorded ? recorded->topic : replayed->topic;
    return PL_OK;
}

/* Of two different keys: is the replayed record left out, or the recorded one one too many? It is
 * too many unless it comes later. */
static enum published_answer misplaced(const struct pl_record *recorded,
                                       const struct output *outputs, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (outputs[i].topic == recorded->topic && bytes_equal(outputs[i].key, recorded->key))
            return PUBLISHED_MISSING;
    return PUBLISHED_EXTRA;
}

/* outputs[0] against the head of its topic; the others are those still to come. */
static enum pl_err compare_own(struct published *published, uint64_t sequence,
                               const struct output *outputs, uint32_t count,
                               struct published_difference *difference)
{
    unsigned topic = 0;
    struct head head;
    while (own_topics[topic] != outputs->topic)
        topic++;
    enum pl_err err = look(published, &published->own[topic], &head);
    if (err)
        return err;
    if (!head.found || head.sequence > sequence)
        return say(difference, PUBLISHED_MISSING, NULL, outputs);
    if (head.sequence < sequence)
        return say(difference, PUBLISHED_EXTRA, &head.record, NULL);
    if (!bytes_equal(head.record.key, outputs->key)) {
        bool is_extra = misplaced(&head.record, outputs, count) == PUBLISHED_EXTRA;
        return is_extra ? say(difference, PUBLISHED_EXTRA, &head.record, NULL)
                        : say(difference, PUBLISHED_MISSING, NULL, outputs);
    }
    take(&head);
    if (!bytes_equal(head.record.value, outputs->value))
        return say(difference, PUBLISHED_OTHER, &head.record, outputs);
    return PL_OK;
}

static struct pl_bytes_view header_of(const struct pl_header *headers, unsigned count,
                                      const char *name)
{
    for (unsigned i = count; i-- > 0;)
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    return (struct pl_bytes_view){NULL, 0};
}

/* The same bytes from the same place for the same reason: two bad records may be equal. Of many
 * headers a reader keeps the first. */
static bool is_letter(const struct pl_record *recorded, const struct output *replayed)
{
    static const char *const origin[] = {"__connect.errors.partition", "__connect.errors.offset",
                                         "__connect.errors.exception.class.name"};
    for (unsigned i = 0; i < sizeof(origin) / sizeof(origin[0]); i++) {
        struct pl_bytes_view kept = header_of(recorded->headers, recorded->header_count, origin[i]);
        if (kept.data &&
            !bytes_equal(kept, header_of(replayed->headers, replayed->header_count, origin[i])))
            return false;
    }
    return bytes_equal(recorded->key, replayed->key) &&
           bytes_equal(recorded->value, replayed->value);
}

static enum pl_err compare_letter(struct published *published, uint64_t sequence,
                                  const struct output *output,
                                  struct published_difference *difference)
{
    for (int32_t i = 0; i < published->letter_stream_count; i++) {
        struct head head;
        enum pl_err err = look_at_letter(published, i, &head);
        if (err)
            return err;
        if (head.found && head.sequence == sequence && is_letter(&head.record, output)) {
            take(&head);
            return PL_OK;
        }
    }
    return say(difference, PUBLISHED_MISSING, NULL, output);
}

/* Whatever stands there and belongs to no later entry. */
static enum pl_err find_extra(struct published *published, uint64_t sequence,
                              struct published_difference *difference)
{
    struct head head;
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && difference->answer == PUBLISHED_SAME && i < OWN_TOPICS; i++) {
        err = look(published, &published->own[i], &head);
        if (!err && head.found && head.sequence <= sequence)
            err = say(difference, PUBLISHED_EXTRA, &head.record, NULL);
    }
    for (int32_t i = 0;
         !err && difference->answer == PUBLISHED_SAME && i < published->letter_stream_count; i++) {
        err = look_at_letter(published, i, &head);
        if (!err && head.found && head.sequence <= sequence)
            err = say(difference, PUBLISHED_EXTRA, &head.record, NULL);
    }
    return err;
}

enum pl_err published_compare(struct published *published, uint64_t sequence,
                              const struct output *outputs, uint32_t count,
                              struct published_difference *difference)
{
    enum pl_err err = PL_OK;
    *difference = (struct published_difference){.answer = PUBLISHED_SAME};
    for (uint32_t i = 0; !err && difference->answer == PUBLISHED_SAME && i < count; i++)
        err = outputs[i].topic == PL_TOPIC_DEADLETTER
                  ? compare_letter(published, sequence, &outputs[i], difference)
                  : compare_own(published, sequence, &outputs[i], count - i, difference);
    return err || difference->answer != PUBLISHED_SAME
               ? err
               : find_extra(published, sequence, difference);
}
