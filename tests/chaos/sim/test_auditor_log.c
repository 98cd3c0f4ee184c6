/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to what the log is made of: inputs and dead letters (I1), duplicates (I2), transactions
 * and offsets (I6, I7), bounds and the end (I10, I11), the journal (I12), and when something may
 * be decided.
 */
#include "tests/chaos/sim/test_auditor.h"

/* Each does its damage, or is false where the entry gives no occasion and nothing was changed. */

static bool no_dead_letter(struct subject *subject)
{
    if (subject->letters == 0)
        return false;
    remove_output(subject, PL_TOPIC_DEADLETTER, 0);
    return true;
}

static bool dead_letter_changed(struct subject *subject)
{
    struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    if (!letter || letter->value.size_bytes == 0)
        return false;
    audit_log_bytes(letter->value)[0] ^= 1;
    return true;
}

static bool dead_letter_of_another(struct subject *subject)
{
    struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    for (unsigned i = 0; letter && i < letter->header_count; i++)
        if (strcmp(letter->headers[i].name, "kafka_dlt-original-offset") == 0)
            audit_log_bytes(letter->headers[i].value)[7] ^= 1;
    return letter;
}

static bool dead_letter_twice(struct subject *subject)
{
    const struct pl_record *letter = first_of(subject, PL_TOPIC_DEADLETTER);
    if (!letter)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_DEADLETTER,
                                                   letter->partition);
    insert(stream, stream->end, letter, letter->value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool input_passed_over(struct subject *subject)
{
    if (subject->at == 0 || !newest_input(subject, PL_TOPIC_HOLDINGS))
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_HOLDINGS)->first_offset++);
    return true;
}

static bool input_comes_late(struct subject *subject)
{
    static struct pl_record late;
    int64_t offset = 0;
    if (!find_hole(subject, &offset))
        return false;
    late = *newest_input(subject, PL_TOPIC_HOLDINGS);
    late.offset = offset;
    subject->late = &late;
    return true;
}

static bool order_twice(struct subject *subject)
{
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (!order)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ORDERS,
                                                   subject->partition);
    insert(stream, stream->end, order, order->value);
    return true;
}

static bool clock_goes_back(struct subject *subject)
{
    if (subject->at == 0)
        return false;
    EDIT_ENTRY(subject, entry->clock_ms -= 3600000);
    return true;
}

static bool decides_on_old_positions(struct subject *subject)
{
    if (!subject->is_deciding)
        return false;
    EDIT_ENTRY(subject, entry->clock_ms += 3600000);
    return true;
}

static bool executed_twice(struct subject *subject)
{
    subject->is_executed_twice = subject->orders > 0;
    return subject->is_executed_twice;
}

static bool executed_invisible(struct subject *subject)
{
    subject->is_invisible_order = subject->orders > 0;
    return subject->is_invisible_order;
}

static bool output_of_another_transaction(struct subject *subject)
{
    subject->stranger = first_of(subject, PL_TOPIC_ORDERS);
    return subject->stranger;
}

static bool output_missing(struct subject *subject)
{
    struct audit_stream *stream;
    size_t at;
    if (!output_of(subject, PL_TOPIC_ALERTS, 0, &stream, &at))
        return false;
    audit_log_remove(stream, at);
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool output_without_entry(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (!order)
        return false;
    audit_log_bytes(order->headers[0].value)[0] = 'x';
    return true;
}

static bool output_too_many(struct subject *subject)
{
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (!alert)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ALERTS,
                                                   subject->partition);
    insert(stream, stream->end, alert, alert->value);
    return true;
}

static bool committed_elsewhere(struct subject *subject)
{
    subject->offset_wrong = -1;
    return subject->at == 0;
}

static bool committed_goes_back(struct subject *subject)
{
    subject->offset_goes_back = true;
    return true;
}

static bool committed_never(struct subject *subject)
{
    subject->has_no_commit = true;
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool vector_goes_back(struct subject *subject)
{
    if (subject->at == 0)
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_MARKS)->offset = 0;
               coordinate(entry, PL_TOPIC_MARKS)->first_offset = 0);
    return true;
}

static bool aborted_is_visible(struct subject *subject)
{
    subject->aborted = first_of(subject, PL_TOPIC_ORDERS);
    return subject->aborted;
}

static bool too_many_accounts(struct subject *subject)
{
    subject->options.accounts_max = 2;
    return true;
}

static bool too_many_outputs(struct subject *subject)
{
    subject->options.outputs_max = 2;
    return true;
}

/* The log ends with the last entry, and the world is calm. */
static void end_calmly(struct subject *subject, int64_t silent_ms_max)
{
    for (int32_t p = 0; p < subject->log.partition_count; p++)
        cut(&subject->log, p);
    subject->ends = true;
    EDIT_ENTRY(subject, subject->facts = ((struct auditor_facts){.is_calm = true,
                                                                 .now_ms = entry->clock_ms + 5000,
                                                                 .silent_ms_max = silent_ms_max}));
}

static bool silent(struct subject *subject)
{
    if (subject->at != subject->journal->count - 1 || !subject->is_deciding)
        return false;
    end_calmly(subject, 4999);
    return true;
}

static bool undecided_at_last(struct subject *subject)
{
    if (subject->at != subject->journal->count - 1 || subject->is_deciding)
        return false;
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool output_of_no_entry(struct subject *subject)
{
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    char text[PL_JOURNAL_TEXT_BYTES];
    if (!alert)
        return false;
    struct pl_record like = *alert;
    like.headers[0] = pl_wire_journal_header(subject->partition, 1000000, text);
    like.header_count = 1;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ALERTS,
                                                   subject->partition);
    insert(stream, stream->end, &like, alert->value);
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool committed_by_nobody(struct subject *subject)
{
    static struct pl_offset extra;
    extra = (struct pl_offset){PL_TOPIC_HOLDINGS, subject->partition, INT64_MAX};
    subject->extra = &extra;
    subject->extra_txn = 99999999;
    end_calmly(subject, INT64_MAX);
    return true;
}

static bool committed_by_an_operator(struct subject *subject)
{
    bool is_done = committed_by_nobody(subject);
    subject->extra_txn = 0;
    return is_done;
}

static bool output_of_another_partition(struct subject *subject)
{
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->headers[0].value)[0] = subject->partition == 0 ? '1' : '0';
    return order;
}

static bool output_comes_late(struct subject *subject)
{
    static struct pl_record late;
    const struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (!alert)
        return false;
    late = *alert;
    late.offset = audit_log_stream(&subject->log, PL_TOPIC_ALERTS, subject->partition)->end;
    subject->late = &late;
    return true;
}

static bool aborted_becomes_visible(struct subject *subject)
{
    subject->aborted = first_of(subject, PL_TOPIC_ORDERS);
    subject->is_aborted_first = true;
    return subject->aborted;
}

static bool router_without_id(struct subject *subject)
{
    subject->has_no_order_id = subject->orders > 0;
    return subject->has_no_order_id;
}

static bool no_parameters(struct subject *subject)
{
    const struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_PARAMETERS, 0);
    if (subject->at > 0)
        return false;
    for (size_t i = 0; i < stream->count; i++)
        audit_log_bytes(stream->records[i].key)[0] = 'x';
    seal_inputs(subject);
    return true;
}

static bool never_read(struct subject *subject)
{
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_HOLDINGS,
                                                   subject->partition);
    const struct pl_record like = stream->records[stream->count - 1];
    if (subject->at != subject->journal->count - 1 || !subject->is_deciding)
        return false;
    insert(stream, stream->end + 10, &like, like.value);
    subject->ends = true;
    subject->facts = (struct auditor_facts){.is_calm = true, .silent_ms_max = INT64_MAX};
    return true;
}

static bool previous_hash_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->previous_hash.data[7] ^= 1);
    return true;
}

static bool entry_removed(struct subject *subject)
{
    if (subject->orders + subject->alerts + subject->states + subject->letters > 0 ||
        subject->at + 1 >= subject->journal->count)
        return false;
    audit_log_remove(subject->journal, subject->at);
    return true;
}

static bool entry_unreadable(struct subject *subject)
{
    static const char garbage[] = "garbage";
    audit_log_set_value(&subject->journal->records[subject->at],
                        (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    return true;
}

static bool entry_under_another_key(struct subject *subject)
{
    audit_log_bytes(subject->journal->records[subject->at].key)[0] = '9';
    return true;
}

static bool coordinate_missing(struct subject *subject)
{
    EDIT_ENTRY(subject, memcpy(coordinate(entry, PL_TOPIC_CHAINS)->topic, "prices", 6));
    return true;
}

static bool reports_passed_undecided(struct subject *subject)
{
    if (subject->is_deciding)
        return false;
    subject->has_no_commit = true; /* which would tell as well, and first */
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_EXECUTIONS)->offset++);
    return true;
}

static bool first_input_passed_over(struct subject *subject)
{
    const struct pl_record *record = newest_input(subject, PL_TOPIC_HOLDINGS);
    if (subject->at > 0 || !record)
        return false;
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_HOLDINGS)->first_offset = record->offset + 1);
    return true;
}

static bool self_audit_diverges(struct subject *subject)
{
    subject->must_not_diverge = true;
    bool is_stopped = false;
    EDIT_ENTRY(subject, is_stopped = entry->readiness ==
                                     PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED);
    return is_stopped;
}

static bool waits_for_nothing(struct subject *subject)
{
    if (!subject->is_deciding)
        return false;
    EDIT_ENTRY(subject,
               entry->readiness = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_WAITING);
    return true;
}

static bool goes_on_after_divergence(struct subject *subject)
{
    static const Plimsoll__V1__JournalEntry__Readiness diverged =
        PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED;
    bool is_stopped = subject->at > 0;
    if (is_stopped)
        EDIT(&subject->journal->records[subject->at - 1], Plimsoll__V1__JournalEntry, entry,
             is_stopped = entry->readiness == diverged);
    if (!is_stopped)
        return false;
    EDIT_ENTRY(subject, is_stopped = entry->readiness == diverged;
               if (is_stopped)
                   entry->readiness = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING);
    return is_stopped;
}

/* A decision stands with an entry that may not decide. */
static bool decided_undecided(struct subject *subject)
{
    struct audit_stream *states = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    char text[PL_JOURNAL_TEXT_BYTES];
    if (subject->is_deciding || states->count == 0)
        return false;
    struct pl_record like = states->records[0];
    const struct pl_header header = pl_wire_journal_header(subject->partition, subject->sequence,
                                                           text);
    like.headers[0] = header;
    like.header_count = 1;
    insert(states, states->end, &like, like.value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool kind_wrong(struct subject *subject)
{
    bool is_taken = false;
    EDIT_ENTRY(subject, is_taken = entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP;
               if (is_taken) entry->kind = PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_HEARTBEAT);
    return is_taken;
}

static bool readiness_untold(struct subject *subject)
{
    bool is_taken = false;
    EDIT_ENTRY(subject,
               is_taken = subject->at > 0 && entry->output_count > 0 &&
                          entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_READINESS);
    if (is_taken)
        EDIT(&subject->journal->records[subject->at - 1], Plimsoll__V1__JournalEntry, entry,
             is_taken = entry->readiness !=
                        PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING);
    is_taken = is_taken && subject->is_deciding;
    if (is_taken)
        EDIT_ENTRY(subject, entry->kind = PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP);
    return is_taken;
}

static bool epoch_of_another(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->parameter_epoch++);
    return true;
}

static bool outputs_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->outputs_digest.data[31] ^= 1);
    return true;
}

static bool book_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->book_digest.data[0] ^= 1);
    return true;
}

static bool states_digest_wrong(struct subject *subject)
{
    EDIT_ENTRY(subject, entry->settled_digest.data[15] ^= 1);
    return true;
}

static bool input_bit_flipped(struct subject *subject)
{
    const struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark)
        return false;
    audit_log_bytes(mark->value)[mark->value.size_bytes - 1] ^= 1;
    return true;
}

const struct damage test_log_damages[] = {
    {"a dead letter is missing", "I1 ", no_dead_letter, false, "has no dead letter"},
    {"a dead letter's bytes are not the record's", "I1 ", dead_letter_changed, false,
     "not as the record was"},
    {"a dead letter's headers contradict each other", "I1 ", dead_letter_of_another, false,
     "do not agree"},
    {"a dead letter stands twice", "I1 ", dead_letter_twice, false, "was told before"},
    {"an input is passed over", "I1 ", input_passed_over, false, "the entry before ended"},
    {"an input becomes visible below the vector", "I1 ", input_comes_late, false,
     "becomes visible below"},
    {"an order stands twice", "I2 ", order_twice, false, NULL},
    {"more is executed than was ordered", "I2 ", executed_twice, false, NULL},
    {"the clock goes back", "I4 ", clock_goes_back, false, NULL},
    {"decided on old positions", "I4 ", decides_on_old_positions, false, "positions are known"},
    {"an output of another transaction", "I6 ", output_of_another_transaction, false,
     "another transaction"},
    {"an output is missing", "I6 ", output_missing, false, "outputs are visible"},
    {"an output without an entry", "I6 ", output_without_entry, false, "names no journal"},
    {"an output too many", "I6 ", output_too_many, false, "outputs name entry"},
    {"the committed offset is not the vector's", "I6 ", committed_elsewhere, false,
     "its transaction committed"},
    {"the committed offset goes back", "I6 ", committed_goes_back, false, "goes back"},
    {"an entry whose offsets were never committed", "I6 ", committed_never, false,
     "without committing"},
    {"the vector goes back", "I6 ", vector_goes_back, false, "goes back"},
    {"an aborted order is visible", "I7 ", aborted_is_visible, false, "was visible"},
    {"an order that nobody can see is executed", "I7 ", executed_invisible, false, NULL},
    {"more accounts than there is room", "I10 ", too_many_accounts, false, NULL},
    {"more outputs than there is room", "I10 ", too_many_outputs, false, NULL},
    {"the newest entry is old", "I11 ", silent, true, "ms old"},
    {"holdings are not read", "I11 ", never_read, true, "are not read"},
    {"the previous hash is wrong", "I12 ", previous_hash_wrong, false, "previous hash"},
    {"an entry is gone", "I12 ", entry_removed, false, "the sequence is"},
    {"the outputs' digest is wrong", "I12 ", outputs_digest_wrong, false, "outputs' digest"},
    {"the book's digest is wrong", "I12 ", book_digest_wrong, false, "book's digest"},
    {"the states' digest is wrong", "I12 ", states_digest_wrong, false, "states' digest"},
    {"a bit of an input is flipped", "I12 ", input_bit_flipped, false,
     "digest is not that of the records"},
    {"an entry cannot be read", "I12 ", entry_unreadable, false, "cannot be read"},
    {"an entry under another key", "I12 ", entry_under_another_key, false, "another's"},
    {"a coordinate is missing", "I1 ", coordinate_missing, false, "no coordinate"},
    {"reports are passed undecided", "I1 ", reports_passed_undecided, false, "passed while"},
    {"the first input is passed over", "I1 ", first_input_passed_over, false, "is before it"},
    {"it waits for nothing", "I11 ", waits_for_nothing, false, "waits though"},
    {"it goes on after a divergence", "I4 ", goes_on_after_divergence, false, "nobody resumed"},
    {"decided where nothing may be", "I4 ", decided_undecided, false, "accounts are decided"},
    {"a step is called a heartbeat", "I12 ", kind_wrong, false, "kind"},
    {"a change of readiness is not told", "I12 ", readiness_untold, false, "readiness changes"},
    {"parameters of another epoch", "I12 ", epoch_of_another, false, "parameter epoch"},
    {"it does not decide in the end", "I11 ", undecided_at_last, false, "does not decide"},
    {"an output of an entry that is not there", "I6 ", output_of_no_entry, true, "is not there"},
    {"offsets committed without an entry", "I6 ", committed_by_nobody, true, "without an entry"},
    {"offsets committed by an operator", "I6 ", committed_by_an_operator, true, "is committed"},
    {"an output of another partition's entry", "I6 ", output_of_another_partition, false,
     "an entry of partition"},
    {"an output becomes visible late", "I6 ", output_comes_late, false, "complete without it"},
    {"an aborted order becomes visible", "I7 ", aborted_becomes_visible, false, "is visible"},
    {"the router has no id", "V order", router_without_id, false, "without an id"},
    {"decided without parameters", "I4 ", no_parameters, true, "no parameters"},
    {"the self-audit finds a difference", "V state", self_audit_diverges, false, "self-audit"},
};
const size_t test_log_damage_count = TEST_COUNT(test_log_damages);
