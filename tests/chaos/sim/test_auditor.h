/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's test: a log of a seeded venue, one journal entry of it to look at, and the ways
 * to damage what belongs to it.
 *   test_auditor.c          right logs pass; each damage is named; what is tested by hand
 *   test_auditor_subject.c  feeding a log, finding a place, changing records
 *   test_auditor_log.c      damage to records, entries, offsets, the router
 *   test_auditor_sales.c    damage to decisions: orders, states, alerts
 */
#ifndef PL_TESTS_CHAOS_SIM_TEST_AUDITOR_H
#define PL_TESTS_CHAOS_SIM_TEST_AUDITOR_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plimsoll/v1/mark.pb-c.h"
#include "tests/chaos/sim/auditor.h"
#include "tests/chaos/sim/auditor_parts.h"
#include "tests/support/audit_log.h"
#include "tests/support/wire.h"

extern struct auditor *test_auditor;

/* A log, one entry of it, and how it is fed. */
struct subject {
    struct audit_log log;
    int32_t partition;
    struct audit_stream *journal;
    size_t at; /* of the entry in the journal                               */
    uint64_t sequence;
    int orders, alerts, states, letters;
    bool is_deciding;

    const struct pl_record *stranger; /* written by another transaction             */
    const struct pl_record *aborted, *late;
    int64_t offset_wrong; /* added to the entry's committed offset       */
    bool offset_goes_back, has_no_commit, is_executed_late, is_executed_twice, is_invisible_order;
    bool must_not_diverge, is_aborted_first, has_no_order_id;
    const struct pl_offset *extra; /* one more committed offset, and who sent it */
    uint64_t extra_txn;
    bool ends; /* the finding is that of the end              */
    struct auditor_options options;
    struct auditor_facts facts;
};

/* ---- reading --------------------------------------------------------------------------------- */

/* NULL when it cannot be read; free_entry. */
const Plimsoll__V1__JournalEntry *unpack_entry(const struct pl_record *record);
void free_entry(const Plimsoll__V1__JournalEntry *entry);
/* Of one topic; the test fails without. */
Plimsoll__V1__JournalEntry__Coordinate *coordinate(const Plimsoll__V1__JournalEntry *entry,
                                                   enum pl_topic topic);
/* Which entry an output names. */
bool entry_of(const struct pl_record *record, int32_t *partition, uint64_t *sequence);
/* Makes an entry the subject's and forgets all other damage. */
void look_at(struct subject *subject, int32_t partition, size_t at);
/* The subject's outputs on a topic, by offset; NULL past the last. */
struct pl_record *output_of(const struct subject *subject, enum pl_topic topic, int nth,
                            struct audit_stream **stream, size_t *at);
struct pl_record *first_of(const struct subject *subject, enum pl_topic topic);
/* The newest record of an input that the entry was the first to account for; NULL: it read none. */
struct pl_record *newest_input(const struct subject *subject, enum pl_topic topic);
/* It opens an episode by selling. */
bool is_first_sale(const struct subject *subject);
/* An offset of the holdings that the entry has passed and no record has: a marker's. */
bool find_hole(const struct subject *subject, int64_t *offset);

/* ---- changing -------------------------------------------------------------------------------- */

/* Puts a message in the place of the record's value. */
void repack(struct pl_record *record, const ProtobufCMessage *message);
/* Removes an output, and from the entry's count. */
void remove_output(struct subject *subject, enum pl_topic topic, int nth);
struct pl_bytes_view heap_copy(const void *bytes, size_t size_bytes);
/* A copy of `like` with this value, at an offset that no other record has. */
void insert(struct audit_stream *stream, int64_t offset, const struct pl_record *like,
            struct pl_bytes_view value);
/* Makes the digests of what the entry has read those of the records that are there now. */
void seal_inputs(struct subject *subject);
/* Cuts what the last entry of a partition has not read. */
void cut(struct audit_log *log, int32_t partition);

/* ---- judging --------------------------------------------------------------------------------- */

/* Two partitions where much goes wrong, or one with one coin and nothing but prices. */
struct audit_log_options options_of(uint64_t seed, unsigned accounts, bool is_small);
/* What the auditor says of the whole log, fed as the subject says. */
const struct auditor_finding *audit(struct subject *subject);

#define EDIT(record, type, name, change)                                                           \
    do {                                                                                           \
        struct pl_record *edited = (record);                                                       \
        type *name = (type *)protobuf_c_message_unpack(                                            \
            DESCRIPTOR(name), NULL, edited->value.size_bytes, edited->value.data);                 \
        assert_non_null(name);                                                                     \
        change;                                                                                    \
        repack(edited, &name->base);                                                               \
        protobuf_c_message_free_unpacked(&name->base, NULL);                                       \
    } while (0)
#define DESCRIPTOR(name)                                                                           \
    _Generic((name), Plimsoll__V1__ForcedSaleOrder *                                               \
             : &plimsoll__v1__forced_sale_order__descriptor, Plimsoll__V1__MarginCall *            \
             : &plimsoll__v1__margin_call__descriptor, Plimsoll__V1__AccountState *                \
             : &plimsoll__v1__account_state__descriptor, Plimsoll__V1__JournalEntry *              \
             : &plimsoll__v1__journal_entry__descriptor, Plimsoll__V1__Mark *                      \
             : &plimsoll__v1__mark__descriptor)
#define EDIT_ENTRY(subject, change)                                                                \
    EDIT(&(subject)->journal->records[(subject)->at], Plimsoll__V1__JournalEntry, entry, change)

#define EDIT_ORDER(subject, change)                                                                \
    if ((subject)->orders == 0)                                                                    \
        return false;                                                                              \
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order, change);        \
    return true

struct damage {
    const char *name, *invariant;
    bool (*apply)(struct subject *subject);
    bool is_small;    /* log                                       */
    const char *text; /* part of the finding's; NULL: it may be any */
};

extern const struct damage test_log_damages[], test_sale_damages[];
extern const size_t test_log_damage_count, test_sale_damage_count;

#endif
