/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters of one journal entry (I1): of all that it read, what was bad has exactly one, as
 * it was, and nothing else has any.
 */
#include <inttypes.h>
#include <string.h>

#include "tests/chaos/sim/auditor_parts.h"

static int by_origin(enum pl_topic topic, int32_t partition, int64_t offset, const struct seen *b,
                     bool is_letter)
{
    int other_topic = (int)(is_letter ? b->origin_topic : b->topic);
    int32_t other_partition = is_letter ? b->origin_partition : b->partition;
    int64_t other_offset = is_letter ? b->origin_offset : b->offset;
    if ((int)topic != other_topic)
        return (int)topic < other_topic ? -1 : 1;
    if (partition != other_partition)
        return partition < other_partition ? -1 : 1;
    return offset < other_offset ? -1 : offset > other_offset;
}

void auditor_insert_by_origin(struct list *list, struct seen *seen, bool is_letter)
{
    auditor_list_add(list, seen);
    size_t at = list->count - 1;
    for (; at > 0; at--) {
        int order = is_letter ? by_origin(seen->origin_topic, seen->origin_partition,
                                          seen->origin_offset, list->items[at - 1], true)
                              : by_origin(seen->topic, seen->partition, seen->offset,
                                          list->items[at - 1], false);
        if (order >= 0)
            break;
        list->items[at] = list->items[at - 1];
    }
    list->items[at] = seen;
}

static bool is_ours(const char *name)
{
    return strncmp(name, "__connect.errors.", 17) == 0 || strncmp(name, "kafka_dlt-", 10) == 0 ||
           strncmp(name, "plimsoll.error.", 15) == 0 || strncmp(name, "plimsoll.code.", 14) == 0 ||
           strcmp(name, "plimsoll-journal") == 0;
}

static bool views_are_equal(struct pl_bytes_view a, struct pl_bytes_view b)
{
    return !a.data == !b.data && a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || !a.data || memcmp(a.data, b.data, a.size_bytes) == 0);
}

/* Key, value and headers of the origin, untouched, and a reason. */
static bool is_faithful(const struct seen *letter, const struct seen *origin)
{
    if (!views_are_equal(letter->key, origin->key) ||
        !views_are_equal(letter->value, origin->value))
        return false;
    for (unsigned i = 0; i < origin->header_count; i++) {
        bool is_there = is_ours(origin->headers[i].name);
        for (unsigned j = 0; !is_there && j < letter->header_count; j++)
            is_there = strcmp(letter->headers[j].name, origin->headers[i].name) == 0 &&
                       views_are_equal(letter->headers[j].value, origin->headers[i].value);
        if (!is_there)
            return false;
    }
    const struct pl_header *code = auditor_header(letter, "__connect.errors.exception.class.name");
    return code && code->value.size_bytes > 7 && memcmp(code->value.data, "REJECT_", 7) == 0;
}

void auditor_sort_executions(struct partition *partition, struct list *may_be_bad)
{
    size_t kept = 0;
    for (size_t i = 0; i < partition->executions.count; i++) {
        struct seen *seen = partition->executions.items[i];
        const struct execution *report = seen->facts;
        const struct account *account = report ? auditor_find_account(partition, report->account)
                                               : NULL;
        if (!report)
            continue; /* already in the list of bad ones */
        if (!account)
            auditor_list_add(&partition->bad, seen);
        else if (account->is_new)
            auditor_list_add(may_be_bad, seen);
        if (account)
            partition->executions.items[kept++] = seen->facts;
    }
    partition->executions.count = kept;
    for (int i = 0; i < partition->account_count; i++) {
        struct account *account = partition->accounts[i];
        account->executions_first = 0;
        account->executions_count = 0;
        for (size_t j = 0; j < kept; j++)
            if (strcmp(((const struct execution *)partition->executions.items[j])->account,
                       account->id) == 0)
                account->executions_count = (int)kept;
    }
}

bool auditor_check_letters(struct auditor *auditor, struct partition *partition,
                           const struct list *may_be_bad)
{
    struct list *bad = &partition->bad;
    size_t count = bad->count, at = 0, either = 0;
    bad->count = 0;
    for (size_t i = 0; i < count; i++)
        auditor_insert_by_origin(bad, bad->items[i], false);
    for (size_t i = 0; i < partition->letters.count; i++) {
        const struct seen *letter = partition->letters.items[i];
        const struct seen *origin = at < bad->count ? bad->items[at] : NULL;
        int order = origin
                        ? by_origin(origin->topic, origin->partition, origin->offset, letter, true)
                        : 1;
        if (order < 0)
            break;
        if (order > 0) {
            origin = NULL;
            for (; !origin && either < may_be_bad->count; either++)
                if (((const struct seen *)may_be_bad->items[either])->offset ==
                        letter->origin_offset &&
                    letter->origin_topic == PL_TOPIC_EXECUTIONS)
                    origin = may_be_bad->items[either];
        } else {
            at++;
        }
        if (!origin)
            return auditor_fail(auditor, partition, I1,
                                "dead letter of %s partition %d offset %" PRId64
                                ", which is not bad or was told before",
                                pl_topic_word(letter->origin_topic), (int)letter->origin_partition,
                                letter->origin_offset);
        if (!is_faithful(letter, origin))
            return auditor_fail(
                auditor, partition, I1,
                "dead letter of %s partition %d offset %" PRId64 " is not as the record was",
                pl_topic_word(origin->topic), (int)origin->partition, origin->offset);
    }
    if (at < bad->count) {
        const struct seen *origin = bad->items[at];
        return auditor_fail(auditor, partition, I1,
                            "%s partition %d offset %" PRId64 " is bad and has no dead"
                            " letter",
                            pl_topic_word(origin->topic), (int)origin->partition, origin->offset);
    }
    return true;
}
