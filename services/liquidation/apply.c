/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records to venue and ledger: steps 2 and 3 of the event's path (core.h). Decoders turn bytes into
 * structs in range or a reject; what passes is put where deciding looks for it. Nothing here depends
 * on when or by whom it is called, so replay applies what the live service applied (G2).
 */
#include <string.h>

#include "lib/base/assert.h"
#include "services/liquidation/core.h"

/* ---- venue ---------------------------------------------------------------------------------- */

static bool find_halted(const struct venue *venue, const struct pl_id *account, uint32_t *place)
{
    for (uint32_t i = 0; i < venue->halted_count; i++)
        if (pl_id_equal(&venue->halted[i], account)) {
            *place = i;
            return true;
        }
    return false;
}

/* An account's halt stops its buckets too. */
bool venue_halts(const struct venue *venue, const struct pl_id *id)
{
    bool is_halted = venue->is_halted || venue->control_damaged;
    const struct pl_bytes_view account =
        pl_account_part((struct pl_bytes_view){ (const uint8_t *)id->text, id->size_bytes });
    for (uint32_t i = 0; i < venue->halted_count && !is_halted; i++)
        is_halted = venue->halted[i].size_bytes == account.size_bytes &&
                    memcmp(venue->halted[i].text, account.data, account.size_bytes) == 0;
    return is_halted;
}

/* G8: whatever cannot be understood halts; only a readable resume of everything ends that. */
static enum pl_err apply_control(struct venue *venue, const struct pl_record *record,
                                 struct pl_control *control)
{
    uint32_t place = 0;
    enum pl_err err = pl_wire_control_decode(venue->wire, record->key, record->value, control);
    if (err) {
        venue->control_damaged = true;
        return err;
    }
    if (control->epoch > venue->control_epoch)
        venue->control_epoch = control->epoch;
    if (control->account.size_bytes == 0) {
        venue->is_halted = control->is_halt;
        if (!control->is_halt)
            venue->control_damaged = false;
    } else if (control->is_halt && !find_halted(venue, &control->account, &place)) {
        if (venue->halted_count == PL_HALTED_ACCOUNTS_MAX)
            venue->control_damaged = true;
        else
            venue->halted[venue->halted_count++] = control->account;
    } else if (!control->is_halt && find_halted(venue, &control->account, &place)) {
        venue->halted[place] = venue->halted[--venue->halted_count];
    }
    return PL_OK;
}

/* Base and shadow sets are the price service's business. */
static bool is_effective(struct pl_bytes_view key)
{
    static const char effective[] = "effective";
    return key.size_bytes == sizeof(effective) - 1 &&
           memcmp(key.data, effective, sizeof(effective) - 1) == 0;
}

static enum pl_err apply_parameters(struct venue *venue, const struct pl_record *record)
{
    enum pl_err err = pl_wire_parameters_decode(venue->wire, venue->names, record->value,
                                                venue->parameters_spare);
    if (!err && venue->has_parameters)
        err = pl_parameters_follow(venue->parameters, venue->parameters_spare, venue->names);
    if (err)
        return err;
    struct pl_parameters *accepted = venue->parameters_spare;
    venue->parameters_spare = venue->parameters;
    venue->parameters = accepted;
    venue->has_parameters = true;
    return PL_OK;
}

static enum pl_err apply_mark(struct venue *venue, const struct pl_record *record,
                              struct venue_news *news)
{
    struct pl_mark mark;
    enum pl_err err = pl_wire_mark_decode(venue->wire, venue->names, record->key, record->value,
                                          &news->instrument, &mark);
    if (err || !pl_mark_is_newer(&mark, &venue->marks[news->instrument]))
        return err;
    if (mark.grid) {
        venue->grids[news->instrument] = *mark.grid;
        mark.grid = &venue->grids[news->instrument];
    }
    venue->marks[news->instrument] = mark;
    news->kind = VENUE_MARK;
    return PL_OK;
}

enum pl_err venue_draft(const struct venue *venue, struct pl_names *names, struct pl_bytes_view bytes,
                        struct pl_parameters *parameters)
{
    enum pl_err err = pl_wire_parameters_decode(venue->wire, names, bytes, parameters);
    if (err)
        return err;
    const uint64_t epoch = parameters->epoch;
    parameters->epoch = venue->parameters->epoch + 1;
    err = pl_parameters_follow(venue->parameters, parameters, names);
    parameters->epoch = epoch;
    return err;
}

enum pl_err venue_apply(struct venue *venue, const struct pl_record *record,
                        struct venue_news *news)
{
    enum pl_err err = PL_OK;
    static struct pl_chain_status chain; /* 6 KB of scratch */
    news->kind = VENUE_NOTHING;
    if (record->topic == PL_TOPIC_MARKS)
        return apply_mark(venue, record, news);
    if (record->topic == PL_TOPIC_CONTROL) {
        err = apply_control(venue, record, &news->control);
        news->kind = err ? VENUE_NOTHING : VENUE_CONTROL;
    } else if (record->topic == PL_TOPIC_PARAMETERS && is_effective(record->key)) {
        err = apply_parameters(venue, record);
        news->kind = err ? VENUE_NOTHING : VENUE_PARAMETERS;
    } else if (record->topic == PL_TOPIC_CHAINS) {
        err = pl_wire_chain_decode(venue->wire, record->key, record->value, &chain);
        if (!err)
            err = pl_chain_halts_set(&chain, venue->chain_halts, &venue->chain_halt_count);
    }
    return err;
}

void venue_forget_marks(struct venue *venue)
{
    memset(venue->marks, 0, sizeof(*venue->marks) * PL_INSTRUMENTS_MAX);
}

void venue_update(struct venue *venue, int64_t now_ms)
{
    venue->market->halts = venue->chain_halts;
    venue->market->halt_count = venue->chain_halt_count;
    if (venue->has_parameters)
        pl_market_update(venue->market, venue->parameters, venue->marks, now_ms);
}

/* ---- ledger --------------------------------------------------------------------------------- */

struct pl_book_limits ledger_book_limits(uint32_t accounts_max)
{
    return (struct pl_book_limits){ .accounts_max = accounts_max, .legs_max = accounts_max * 16,
                                    .applied_max = accounts_max * 16, .states_max = accounts_max };
}

static void touch(struct ledger *ledger, uint32_t index)
{
    if (ledger->touched_count == ledger->touched_capacity)
        ledger->decide_all = true; /* more than there are accounts: look at all of them */
    else
        ledger->touched[ledger->touched_count++] = index;
}

/* The last word on this account could not be read: nobody is sold on what came before it. */
static void taint(struct ledger *ledger, const struct pl_record *record)
{
    struct pl_id account;
    uint32_t index = 0;
    if (pl_wire_key_account(record->key, &account))
        return;
    if (!pl_book_taint(ledger->book, &account, &index))
        touch(ledger, index);
}

static enum pl_err apply_holdings(struct ledger *ledger, struct venue *venue,
                                  const struct pl_record *record)
{
    static struct pl_holdings holdings; /* 6 KB of scratch */
    if (pl_wire_is_watermark(record->key))
        return pl_wire_watermark_decode(venue->wire, record->value, &ledger->watermark);
    enum pl_err err = pl_account_key_check(record->key, record->value, record->partition,
                                           ledger->partition_count);
    if (err == PL_REJECT_KEY || err == PL_REJECT_PARTITION)
        return err; /* it speaks of nobody whom this partition knows */
    uint32_t index = 0;
    if (!err)
        err = pl_wire_holdings_decode(venue->wire, venue->names, record->key, record->value,
                                      &holdings);
    if (!err)
        err = pl_book_apply_holdings(ledger->book, &holdings, &index);
    if (!err && record->offset >= ledger->news_from)
        touch(ledger, index);
    if (err && err != PL_REJECT_STALE)
        taint(ledger, record);
    return err;
}

static enum pl_err apply_execution(struct ledger *ledger, struct venue *venue,
                                   const struct pl_record *record)
{
    enum pl_err err = pl_account_key_check(record->key, record->value, record->partition,
                                           ledger->partition_count);
    if (err)
        return err;
    struct pl_execution report;
    uint32_t index = 0;
    err = pl_wire_execution_decode(venue->wire, record->key, record->value, &report);
    /* An account without a row never had an order. Whether it has one yet may depend on which of two
     * topics was read first, so such a report is as void as one of an unknown order. */
    if (err || !pl_book_find(ledger->book, &report.account, &index))
        return err;
    pl_assert(ledger->execution_count < ledger->execution_capacity);
    ledger->executions[ledger->execution_count++] = (struct ledger_execution){report, index};
    touch(ledger, index);
    return PL_OK;
}

static enum pl_err set_state(struct ledger *ledger, struct venue *venue,
                             const struct pl_record *record)
{
    static struct pl_account_state state;
    struct pl_id account;
    uint32_t index = 0;
    enum pl_err err = pl_wire_key_account(record->key, &account);
    if (!err)
        err = pl_wire_state_decode(venue->wire, venue->names, record->key, record->value, &state);
    if (!err)
        err = pl_book_account(ledger->book, &account, &index);
    return err ? err
               : pl_book_set_state(ledger->book, index, &state,
                                   pl_wire_digest(record->key, record->value));
}

static enum pl_err set_budget(struct ledger *ledger, struct venue *venue,
                              const struct pl_record *record)
{
    static struct pl_budget budget; /* 32 KB of scratch */
    enum pl_err err = pl_wire_budget_decode(venue->wire, venue->names, record->value, &budget);
    if (!err)
        pl_book_set_budget(ledger->book, &budget, pl_wire_digest(record->key, record->value));
    return err;
}

static enum pl_err apply_state(struct ledger *ledger, struct venue *venue,
                               const struct pl_record *record)
{
    enum pl_err err = pl_wire_is_budget(record->key) ? set_budget(ledger, venue, record)
                                                     : set_state(ledger, venue, record);
    if (err)
        return pl_err_note(PL_FATAL_DIVERGED, "accounts partition %d offset %lld, written by this "
                           "service, cannot be restored", (int)record->partition,
                           (long long)record->offset);
    return PL_OK;
}

enum pl_err ledger_apply(struct ledger *ledger, struct venue *venue, const struct pl_record *record)
{
    if (record->topic == PL_TOPIC_HOLDINGS)
        return apply_holdings(ledger, venue, record);
    if (record->topic == PL_TOPIC_EXECUTIONS)
        return apply_execution(ledger, venue, record);
    pl_assert(record->topic == PL_TOPIC_ACCOUNTS);
    return apply_state(ledger, venue, record);
}

/* ---- rejects -------------------------------------------------------------------------------- */

bool ledger_is_told(const struct ledger *ledger, const struct pl_record *record, enum pl_err err)
{
    if (record->topic != PL_TOPIC_HOLDINGS)
        return false;
    /* What lies below was rejected, and said so, by whoever committed it. A duplicate version is what a
     * restarted position service may write. */
    return record->offset < ledger->news_from || err == PL_REJECT_STALE;
}

static struct pl_bytes_view keep(struct pl_arena *arena, struct pl_bytes_view bytes)
{
    if (!bytes.data)
        return bytes;
    uint8_t *copy = pl_arena_take(arena, bytes.size_bytes + 1, 1);
    pl_assert(copy);
    memcpy(copy, bytes.data, bytes.size_bytes);
    return (struct pl_bytes_view){ copy, bytes.size_bytes };
}

static const char *keep_text(struct pl_arena *arena, const char *text)
{
    struct pl_bytes_view copy =
        keep(arena, (struct pl_bytes_view){ (const uint8_t *)text, strlen(text) + 1 });
    return (const char *)copy.data;
}

void dead_letter_keep(struct dead_letter *dead, struct pl_arena *arena,
                      const struct pl_record *record, enum pl_err err, const char *text)
{
    struct pl_header *headers = pl_arena_take(arena, sizeof(*headers) * PL_HEADERS_MAX, 8);
    pl_assert(headers);
    for (unsigned i = 0; i < record->header_count; i++)
        headers[i] = (struct pl_header){ keep_text(arena, record->headers[i].name),
                                         keep(arena, record->headers[i].value) };
    *dead = (struct dead_letter){
        .topic = record->topic, .partition = record->partition, .offset = record->offset,
        .timestamp_ms = record->timestamp_ms, .err = err, .text = keep_text(arena, text),
        .key = keep(arena, record->key), .value = keep(arena, record->value),
        .headers = headers, .header_count = record->header_count };
}

void ledger_reject(struct ledger *ledger, const struct pl_record *record, enum pl_err err)
{
    pl_assert(ledger->dead_count < ledger->dead_capacity);
    dead_letter_keep(&ledger->dead[ledger->dead_count++], ledger->letters, record, err,
                     pl_err_text());
}

bool dead_letter_is_due(const struct dead_letter *dead, bool is_deciding)
{
    return is_deciding || dead->topic != PL_TOPIC_EXECUTIONS;
}

void ledger_forget_causes(struct ledger *ledger)
{
    ledger->touched_count = 0;
    ledger->execution_count = 0;
    ledger->changed_mask = 0;
    ledger->decide_all = false;
}

void ledger_forget_dead(struct ledger *ledger, bool is_deciding)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ledger->dead_count; i++)
        if (!dead_letter_is_due(&ledger->dead[i], is_deciding))
            ledger->dead[kept++] = ledger->dead[i];
    ledger->dead_count = kept;
}
