/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Venue and ledger to outputs: steps 4 to 6 of the event's path without their I/O (core.h). Accounts
 * are decided one by one, in order of id; those that changed become orders, alerts and a state each,
 * largest expected loss first (G9), as far as the brake lets them. The bytes are a function of venue, ledger and clock (G2).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "services/liquidation/confirm.h"

const struct pl_coordinate *journal_coordinate(const struct pl_journal *journal,
                                               enum pl_topic topic)
{
    for (uint32_t i = 0; i < journal->vector_count; i++)
        if (journal->vector[i].topic == topic)
            return &journal->vector[i];
    return NULL;
}

enum pl_readiness ledger_readiness(const struct ledger *ledger, const struct venue *venue,
                                   int64_t now_ms)
{
    int64_t most_ms = venue->parameters->policy.watermark_age_ms_max;
    int64_t age_ms = now_ms - ledger->watermark.time_ms;
    return age_ms > most_ms || age_ms < -most_ms ? PL_READINESS_WAITING : PL_READINESS_DECIDING;
}

/* ---- deciding ------------------------------------------------------------------------------- */

/* Executions of one account, folded into a copy of its committed state. */
static void fold_executions(const struct ledger *ledger, uint32_t index,
                            struct pl_account_state *state)
{
    for (uint32_t i = 0; i < ledger->execution_count; i++)
        if (ledger->executions[i].index == index)
            (void)pl_state_apply_execution(state, &ledger->executions[i].report);
}

/* Ids come from the cause: account, bucket, episode, revision, instrument (G1, G5). */
static void name_orders(const struct pl_names *names, const struct pl_account *account,
                        struct pl_account_state *state)
{
    static const uint8_t unnamed[PL_ORDER_ID_BYTES];
    struct pl_plan_id plan_id;
    pl_plan_id(&account->id, state->episode, state->revision, &plan_id);
    for (uint32_t i = 0; i < state->pending_count; i++)
        if (memcmp(state->pending[i].order_id, unnamed, sizeof(unnamed)) == 0)
            pl_order_id(&plan_id, &names->ids[state->pending[i].instrument],
                        state->pending[i].order_id);
}

void ledger_decide_account(const struct ledger *ledger, struct venue *venue, uint32_t row,
                           struct pl_decision *decision)
{
    static struct pl_account_state committed, folded;
    const struct pl_account *account = pl_book_at(ledger->book, row);
    const struct pl_account_state *prior = &committed;
    pl_book_state(ledger->book, row, &committed);
    if (ledger->execution_count > 0) {
        pl_book_state(ledger->book, row, &folded);
        fold_executions(ledger, row, &folded);
        prior = &folded;
    }
    pl_decide(venue->market, venue->names, ledger->book, row, &committed, prior,
              venue_halts(venue, &account->id), decision);
    if (decision->has_sale)
        name_orders(venue->names, account, &decision->state);
}

/* Who waits for the brake comes first, longest first, so that nobody waits for ever; then the largest
 * expected loss. */
static int by_urgency(const void *left, const void *right)
{
    const struct pl_decision *a = *(const struct pl_decision *const *)left;
    const struct pl_decision *b = *(const struct pl_decision *const *)right;
    int64_t waits_a = a->has_sale && a->waits_since_ms > 0 ? a->waits_since_ms : INT64_MAX;
    int64_t waits_b = b->has_sale && b->waits_since_ms > 0 ? b->waits_since_ms : INT64_MAX;
    if (waits_a != waits_b)
        return waits_a < waits_b ? -1 : 1;
    pl_i128 loss_a = a->has_sale ? a->sale.maintenance_before : 0;
    pl_i128 loss_b = b->has_sale ? b->sale.maintenance_before : 0;
    if (loss_a != loss_b)
        return loss_a < loss_b ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank; /* order of account id */
}

/* ---- staging -------------------------------------------------------------------------------- */

static const struct pl_header *journal_header(const struct writer *writer, int32_t partition,
                                              struct pl_arena *arena)
{
    struct pl_header *header = pl_arena_take(arena, sizeof(*header), 8);
    char *text = pl_arena_take(arena, PL_JOURNAL_TEXT_BYTES, 1);
    pl_assert(header && text);
    *header = pl_wire_journal_header(partition, writer->sequence, text);
    return header;
}

static struct output *add_output(struct staging *staging, enum pl_topic topic, int32_t partition,
                                 struct pl_bytes_view key)
{
    pl_assert(staging->output_count < staging->output_capacity);
    struct output *output = &staging->outputs[staging->output_count++];
    *output = (struct output){ .topic = topic, .partition = partition, .key = key };
    return output;
}

static enum pl_err encode_outputs(const struct ledger *ledger, struct venue *venue,
                                  const struct pl_decision *decision, struct staging *staging)
{
    const struct pl_account *account = pl_book_at(ledger->book, decision->index);
    const struct pl_bytes_view key = { (const uint8_t *)account->id.text, account->id.size_bytes };
    const struct pl_wire_context context = {
        .names = venue->names, .market = venue->market, .marks = venue->marks,
        .account = account, .legs = pl_book_legs(ledger->book, decision->index),
        .control_epoch = venue->control_epoch };
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && decision->has_sale && i < decision->sale.leg_count; i++) {
        struct output *order = add_output(staging, PL_TOPIC_ORDERS, ledger->number, key);
        err = pl_wire_order_encode(venue->wire, &context, decision, i, &order->value);
    }
    for (uint32_t i = 0; !err && i < decision->alert_count; i++) {
        struct output *alert = add_output(staging, PL_TOPIC_ALERTS, ledger->number, key);
        err = pl_wire_alert_encode(venue->wire, &context, decision, i, &alert->value);
    }
    if (!err) {
        struct output *state = add_output(staging, PL_TOPIC_ACCOUNTS, ledger->number, key);
        err = pl_wire_state_encode(venue->wire, venue->names, &account->id, &decision->state,
                                   &state->value);
    }
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "outputs of account %.*s", (int)account->id.size_bytes,
                           account->id.text);
    return PL_OK;
}

static void stage_state(const struct pl_decision *decision, struct staging *staging)
{
    const struct output *record = &staging->outputs[staging->output_count - 1];
    pl_assert(record->topic == PL_TOPIC_ACCOUNTS);
    pl_assert(staging->state_count < staging->state_capacity);
    staging->states[staging->state_count++] = (struct staged_state){
        .index = decision->index, .state = decision->state, .verdict = decision->verdict,
        .ratios = decision->ratios,
        .digest = pl_wire_digest(record->key, record->value) };
}

/* What is left of the brake's window, said after all that was taken of it. */
static enum pl_err stage_budget(const struct ledger *ledger, struct venue *venue,
                                const struct pl_budget *budget, struct staging *staging)
{
    static const char reserved[] = PL_BUDGET_KEY;
    struct output *output =
        add_output(staging, PL_TOPIC_ACCOUNTS, ledger->number,
                   (struct pl_bytes_view){ (const uint8_t *)reserved, sizeof(reserved) - 1 });
    enum pl_err err = pl_wire_budget_encode(venue->wire, venue->names, budget, &output->value);
    if (err)
        return pl_err_note(PL_FATAL_SYSTEM, "what was used of the brake's budgets");
    pl_assert(staging->state_count < staging->state_capacity);
    staging->states[staging->state_count++] = (struct staged_state){
        .index = UINT32_MAX, .budget = budget,
        .digest = pl_wire_digest(output->key, output->value) };
    return PL_OK;
}

static enum pl_err stage(const struct ledger *ledger, struct venue *venue,
                         struct pl_decision **changed, uint32_t count,
                         const struct pl_budget *budget, const struct writer *writer,
                         struct staging *staging)
{
    uint32_t first = staging->output_count;
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; !err && i < count; i++) {
        if (changed[i]->has_sale)
            err = confirm_sale(ledger, venue, changed[i]);
        if (!err)
            err = encode_outputs(ledger, venue, changed[i], staging);
        if (!err)
            stage_state(changed[i], staging);
    }
    if (!err && budget)
        err = stage_budget(ledger, venue, budget, staging);
    const struct pl_header *header =
        count > 0 ? journal_header(writer, ledger->number, staging->arena) : NULL;
    for (uint32_t i = first; i < staging->output_count; i++) {
        staging->outputs[i].headers = header;
        staging->outputs[i].header_count = 1;
    }
    return err;
}

/* Accounts one by one, as if each were alone. The number of those that changed. */
static uint32_t decide_rows(const struct ledger *ledger, struct venue *venue, const uint32_t *rows,
                            uint32_t row_count, struct pl_arena *arena,
                            struct pl_decision **changed, decided_unchanged *unchanged, void *context)
{
    uint32_t changed_count = 0;
    struct pl_decision *decision = NULL; /* kept where the account changed, else used again */
    for (uint32_t i = 0; i < row_count; i++) {
        if (!decision)
            decision = pl_arena_take(arena, sizeof(*decision), 16);
        pl_assert(changed && decision);
        ledger_decide_account(ledger, venue, rows[i], decision);
        decision->rank = i; /* rows come in order of account id */
        if (decision->has_changed) {
            changed[changed_count++] = decision;
            decision = NULL;
        } else if (unchanged) {
            unchanged(context, decision);
        }
    }
    return changed_count;
}

/*
 * Sales in the order of urgency, each as far as the brake's budgets go: who asks for more than is left is
 * decided again with that. What was used, where anything was that has a budget; else NULL.
 */
static const struct pl_budget *brake(const struct ledger *ledger, struct venue *venue,
                                     struct pl_decision **changed, uint32_t count,
                                     struct pl_arena *arena)
{
    static int64_t left_lots[PL_INSTRUMENTS_MAX]; /* 32 KB of scratch */
    struct pl_budget *budget = NULL;
    bool has_used = false;
    for (uint32_t i = 0; i < count && venue->parameters->policy.brake_window_ms > 0; i++) {
        struct pl_decision *decision = changed[i];
        if (!decision->has_sale)
            continue;
        if (!budget) {
            budget = pl_arena_take(arena, sizeof(*budget), 8);
            pl_assert(budget);
            pl_budget_begin(venue->market, pl_book_budget(ledger->book), budget);
            pl_budget_left(venue->market, ledger->partition_count, budget, left_lots);
        }
        if (!pl_budget_allows(left_lots, &decision->sale)) {
            const uint32_t rank = decision->rank;
            venue->market->left_lots = left_lots;
            ledger_decide_account(ledger, venue, decision->index, decision);
            venue->market->left_lots = NULL;
            decision->rank = rank;
            pl_assert(decision->has_changed); /* it waits, or sells something else */
        }
        has_used |= decision->has_sale && pl_budget_take(&decision->sale, budget, left_lots);
    }
    return has_used ? budget : NULL;
}

enum pl_err ledger_decide(const struct ledger *ledger, struct venue *venue, const uint32_t *rows,
                          uint32_t row_count, const struct writer *writer, struct staging *staging,
                          decided_unchanged *unchanged, void *context)
{
    struct pl_arena *arena = staging->arena;
    struct pl_decision **changed = pl_arena_take(arena, sizeof(*changed) * row_count + 1, 16);
    uint32_t count = decide_rows(ledger, venue, rows, row_count, arena, changed, unchanged, context);
    qsort(changed, count, sizeof(*changed), by_urgency);
    const struct pl_budget *budget = brake(ledger, venue, changed, count, arena);
    return stage(ledger, venue, changed, count, budget, writer, staging);
}

/* ---- dead letters ---------------------------------------------------------------------------- */

static int by_origin(const void *left, const void *right)
{
    const struct dead_letter *a = left, *b = right;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

enum pl_err ledger_stage_dead_letters(struct ledger *ledger, struct venue *venue, bool is_deciding,
                                      const struct writer *writer, struct staging *staging)
{
    /* Topics were read in any order: what is published must not show it (G2). */
    qsort(ledger->dead, ledger->dead_count, sizeof(*ledger->dead), by_origin);
    for (uint32_t i = 0; i < ledger->dead_count; i++) {
        const struct dead_letter *dead = &ledger->dead[i];
        if (!dead_letter_is_due(dead, is_deciding))
            continue;
        const struct pl_dead_letter letter = {
            .topic = dead->topic, .topic_name = writer->topic_names[dead->topic],
            .partition = dead->partition, .offset = dead->offset,
            .timestamp_ms = dead->timestamp_ms, .err = dead->err, .text = dead->text,
            .service = "liquidation", .slot = writer->slot, .build = writer->build,
            .timestamp_type = "LogAppendTime" };
        struct pl_header *headers = pl_arena_take(
            staging->arena,
            sizeof(*headers) * (PL_HEADERS_MAX + PL_DEAD_LETTER_HEADERS_MAX + 1), 8);
        pl_assert(headers);
        struct output *output = add_output(staging, PL_TOPIC_DEADLETTER, -1, dead->key);
        output->value = dead->value;
        output->headers = headers;
        /* First, since a reader may keep only the first PL_HEADERS_MAX. */
        headers[0] = *journal_header(writer, ledger->number, staging->arena);
        enum pl_err err = pl_wire_dead_letter_headers(venue->wire, &letter, dead->headers,
                                                      dead->header_count, headers + 1,
                                                      &output->header_count);
        if (err)
            return pl_err_note(PL_FATAL_SYSTEM, "dead letter headers");
        output->header_count++;
    }
    return PL_OK;
}

/* ---- settling -------------------------------------------------------------------------------- */

struct pl_digest ledger_settled_digest(const struct ledger *ledger,
                                       const struct staged_state *states, uint32_t count)
{
    struct pl_digest digest = pl_book_states_digest(ledger->book);
    for (uint32_t i = 0; i < count; i++) {
        pl_digest_xor(&digest, states[i].budget ? pl_book_budget_digest(ledger->book)
                                                : pl_book_state_digest(ledger->book, states[i].index));
        pl_digest_xor(&digest, states[i].digest);
    }
    return digest;
}

enum pl_err ledger_settle(struct ledger *ledger, const struct staged_state *states, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (states[i].budget) {
            pl_book_set_budget(ledger->book, states[i].budget, states[i].digest);
            continue;
        }
        enum pl_err err = pl_book_set_state(ledger->book, states[i].index, &states[i].state,
                                            states[i].digest);
        if (err)
            return pl_err_note(PL_FATAL_SYSTEM, "raise book.accounts_max");
    }
    return PL_OK;
}
