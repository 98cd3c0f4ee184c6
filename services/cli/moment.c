/* SPDX-License-Identifier: Apache-2.0 */
/* One partition at one journal entry (moment.h). */
#include "services/cli/moment.h"

#include <string.h>

#include "lib/service/process.h"

enum { ACCOUNTS_MAX = 1 << 20 };
static const size_t WIRE_BYTES = (size_t)64 << 20; /* address space */

static bool is_within(const struct pl_journal *entry, int64_t offset, struct when at)
{
    switch (at.kind) {
    case WHEN_OPEN:
        return true;
    case WHEN_TIME:
        return entry->clock_ms <= at.value;
    case WHEN_OFFSET:
        return offset <= at.value;
    case WHEN_SEQUENCE:
        return entry->sequence <= (uint64_t)at.value;
    }
    return false;
}

/* Clocks, offsets and sequences rise: the last entry within is the newest. */
static enum pl_err find_entry(struct moment *moment, const struct bundle_stream *journal,
                              struct when at, struct pl_wire *wire, uint64_t *sequence)
{
    static struct pl_journal entry;
    struct bundle_cursor cursor = { .stream = journal };
    struct pl_record record;
    bool found = true;
    *sequence = 0;
    for (;;) {
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        err = pl_wire_journal_decode(wire, record.value, &entry);
        if (err)
            return pl_err_note(err, "journal partition %d offset %lld", (int)record.partition,
                               (long long)record.offset);
        if (!is_within(&entry, record.offset, at))
            return PL_OK;
        *sequence = entry.sequence;
        moment->journal_offset = record.offset;
    }
}

static enum pl_err find(struct moment *moment, const struct bundle *bundle, int32_t partition,
                        struct when at, uint64_t *sequence)
{
    static struct pl_wire wire;
    void *block = NULL;
    enum pl_err err = pl_memory_map(WIRE_BYTES, &block);
    if (err)
        return err;
    pl_wire_init(&wire, block, WIRE_BYTES);
    err = find_entry(moment, bundle_find(bundle, PL_TOPIC_JOURNAL, partition), at, &wire, sequence);
    pl_memory_unmap(block, WIRE_BYTES);
    if (!err && *sequence == 0)
        err = pl_err_set(PL_REJECT_UNKNOWN, "the journal of partition %d has no entry at or before "
                         "then: nothing had been decided", (int)partition);
    return err;
}

enum pl_err moment_open(struct moment *moment, const struct bundle *bundle, int32_t partition,
                        struct when at, bool is_partial)
{
    const struct replay_limits limits = { .accounts_max = ACCOUNTS_MAX, .is_partial = is_partial };
    uint64_t sequence = 0;
    bool found = false;
    *moment = (struct moment){ 0 };
    enum pl_err err = find(moment, bundle, partition, at, &sequence);
    if (!err)
        err = replay_open(&moment->replay, bundle, partition, &limits);
    if (!err)
        err = replay_seek(moment->replay, sequence - 1);
    if (!err)
        err = replay_enter(moment->replay, &found);
    if (err)
        return err;
    moment->entry = replay_entry(moment->replay);
    moment->venue = replay_venue(moment->replay);
    moment->ledger = replay_ledger(moment->replay);
    if (!found || moment->entry->sequence != sequence)
        return pl_err_set(PL_REJECT_UNKNOWN, "the journal has no entry %llu after the one before it",
                          (unsigned long long)sequence);
    if (!moment->venue->has_parameters)
        return pl_err_set(PL_REJECT_UNKNOWN, "no parameters were in force at entry %llu of partition "
                          "%d", (unsigned long long)sequence, (int)partition);
    return PL_OK;
}

void moment_close(struct moment *moment)
{
    replay_close(&moment->replay);
}

void moment_portfolio(const struct moment *moment, uint32_t row, struct pl_leg *legs,
                      struct pl_portfolio *portfolio)
{
    static struct pl_decision decision;
    static struct pl_account_state state;
    ledger_decide_account(moment->ledger, moment->venue, row, &decision);
    state = decision.state; /* what has settled is released, */
    if (decision.has_sale)  /* and what is planned now is not sold yet */
        state.pending_count -= decision.sale.leg_count;
    pl_effective_portfolio(moment->ledger->book, row, &state, moment->venue->market, legs,
                           portfolio);
}

struct pl_outlook moment_outlook(const struct moment *moment, const struct pl_portfolio *portfolio)
{
    const struct venue *venue = moment->venue;
    return (struct pl_outlook){ .market = venue->market, .marks = venue->marks,
                                .names = venue->names, .portfolio = portfolio };
}
