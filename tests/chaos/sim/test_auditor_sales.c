/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to what was decided: ids (I3), doubt (I4), time (I5), versions (I9), and everything that
 * the naive verdict says about orders, states and alerts (V).
 */
#include "tests/chaos/sim/test_auditor.h"

/* Each does its damage, or is false where the entry gives no occasion and nothing was changed. */

static bool plan_id_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->plan_id[0] = order->plan_id[0] == '0' ? '1' : '0');
}

static bool order_id_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->order_id[0] = order->order_id[0] == '0' ? '1' : '0');
}

static bool revision_skipped(struct subject *subject)
{
    EDIT_ORDER(subject, order->revision++);
}

static bool sold_on_a_stale_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->event_time_ms -= 3600000);
    seal_inputs(subject);
    return true;
}

static bool sold_on_a_halted_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message,
         message->status = PLIMSOLL__V1__MARK__STATUS__STATUS_HALTED);
    seal_inputs(subject);
    return true;
}

static bool sold_while_tainted(struct subject *subject)
{
    static const char garbage[] = "garbage";
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    int64_t offset = 0;
    if (!order || !find_hole(subject, &offset))
        return false;
    const struct pl_record like = {.key = order->key};
    insert(audit_log_stream(&subject->log, PL_TOPIC_HOLDINGS, subject->partition), offset, &like,
           (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    seal_inputs(subject);
    return true;
}

static bool valid_for_longer(struct subject *subject)
{
    EDIT_ORDER(subject, order->valid_until_ms++);
}

static bool executed_late(struct subject *subject)
{
    subject->is_executed_late = subject->orders > 0;
    return subject->is_executed_late;
}

static bool older_holdings(struct subject *subject)
{
    EDIT_ORDER(subject, order->holdings_version--);
}

static bool order_unreadable(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->value)[order->value.size_bytes - 1] ^= 0x80;
    return order;
}

/* The plan of the partition's first order, once more. */
static bool plan_twice(struct subject *subject)
{
    const struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ORDERS,
                                                         subject->partition);
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    int32_t partition = 0;
    uint64_t sequence = 0;
    if (!order || !entry_of(&stream->records[0], &partition, &sequence) ||
        sequence == subject->sequence)
        return false;
    char plan_id[PL_UUID_TEXT_BYTES];
    EDIT(&stream->records[0], Plimsoll__V1__ForcedSaleOrder, message,
         snprintf(plan_id, sizeof(plan_id), "%s", message->plan_id));
    EDIT(order, Plimsoll__V1__ForcedSaleOrder, message,
         snprintf(message->plan_id, sizeof(plan_id), "%s", plan_id));
    return true;
}

/* Two decisions of one alert and one state each change places. */
static bool decisions_swapped(struct subject *subject)
{
    static const enum pl_topic topics[] = {PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS};
    const struct pl_record *records[2][2];
    struct audit_stream *stream;
    size_t at[2];
    if (subject->orders > 0 || subject->alerts != 2 || subject->states != 2)
        return false;
    for (size_t i = 0; i < 2; i++)
        for (int nth = 0; nth < 2; nth++)
            records[i][nth] = output_of(subject, topics[i], nth, &stream, &at[0]);
    for (int nth = 0; nth < 2; nth++)
        if (records[0][nth]->key.size_bytes != records[1][nth]->key.size_bytes ||
            memcmp(records[0][nth]->key.data, records[1][nth]->key.data,
                   records[0][nth]->key.size_bytes) != 0)
            return false;
    for (size_t i = 0; i < 2; i++) {
        output_of(subject, topics[i], 0, &stream, &at[0]);
        output_of(subject, topics[i], 1, &stream, &at[1]);
        audit_log_swap_values(stream, at[0], at[1]);
    }
    return true;
}

static bool sold_above_the_line(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject))
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->price->mantissa *= 2;
         message->low->mantissa *= 2; message->high->mantissa *= 2);
    seal_inputs(subject);
    return true;
}

/* Removes everything that the entry published for an account. */
static void remove_all_of(struct subject *subject, struct pl_bytes_view key)
{
    static const enum pl_topic topics[] = {PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS};
    for (size_t i = 0; i < TEST_COUNT(topics); i++) {
        struct audit_stream *stream;
        size_t at;
        const struct pl_record *record;
        for (int nth = 0; (record = output_of(subject, topics[i], nth, &stream, &at));)
            if (record->key.size_bytes == key.size_bytes &&
                memcmp(record->key.data, key.data, key.size_bytes) == 0)
                remove_output(subject, topics[i], nth);
            else
                nth++;
    }
}

static bool account_skipped(struct subject *subject)
{
    if (!is_first_sale(subject))
        return false;
    const struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    struct pl_bytes_view key = heap_copy(order->key.data, order->key.size_bytes);
    remove_all_of(subject, key);
    free((void *)(uintptr_t)key.data);
    return true;
}

/* Nobody has had a state yet, and a price falls by seven eighths. */
static bool nobody_looked(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    const struct audit_stream *states = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS, 0);
    int32_t partition = 0;
    uint64_t sequence = 0;
    bool is_idle = states->count > 0 && subject->is_deciding &&
                   entry_of(&states->records[0], &partition, &sequence) &&
                   subject->sequence < sequence;
    if (!mark || !is_idle)
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->price->mantissa /= 8;
         message->low->mantissa /= 8; message->high->mantissa /= 8);
    seal_inputs(subject);
    return true;
}

static bool one_lot_too_many(struct subject *subject)
{
    bool is_taken = false;
    if (is_first_sale(subject) && subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = order->reason ==
                        PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE;
             order->lots += is_taken);
    return is_taken;
}

static bool one_lot_too_few(struct subject *subject)
{
    bool is_taken = false;
    if (is_first_sale(subject) && subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = order->reason ==
                        PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE;
             order->lots -= is_taken);
    return is_taken;
}

static bool more_than_there_is(struct subject *subject)
{
    EDIT_ORDER(subject, order->lots = INT64_MAX);
}

static bool limit_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->limit_price->mantissa++);
}

static bool proof_wrong(struct subject *subject)
{
    EDIT_ORDER(subject, order->proof->end_after->mantissa[0] =
                            order->proof->end_after->mantissa[0] == '1' ? '2' : '1');
}

static bool epoch_of_order(struct subject *subject)
{
    EDIT_ORDER(subject, order->control_epoch++);
}

static bool leg_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->leg++);
}

static bool side_wrong(struct subject *subject)
{
    EDIT_ORDER(subject,
               order->side = order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL
                                 ? PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_BUY
                                 : PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL);
}

static void turn_reason(Plimsoll__V1__ForcedSaleOrder *order)
{
    static const Plimsoll__V1__ForcedSaleOrder__Reason
        below = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE,
        bankrupt = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;
    order->reason = order->reason == below ? bankrupt : below;
}

static bool turn_reasons(struct subject *subject, bool of_bankrupt)
{
    bool is_taken = false;
    if (subject->orders == 1)
        EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
             is_taken = (order->reason ==
                         PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT) == of_bankrupt;
             if (is_taken) turn_reason(order));
    return is_taken;
}

static bool called_bankrupt(struct subject *subject)
{
    return turn_reasons(subject, false);
}

static bool not_called_bankrupt(struct subject *subject)
{
    return turn_reasons(subject, true);
}

/* The orders of a plan of two legs, as records. */
static bool two_legs(const struct subject *subject, struct pl_record *legs[2], size_t at[2])
{
    struct audit_stream *stream;
    bool is_plan = true;
    for (int i = 0; i < 2; i++) {
        legs[i] = output_of(subject, PL_TOPIC_ORDERS, i, &stream, &at[i]);
        if (!legs[i])
            return false;
        EDIT(legs[i], Plimsoll__V1__ForcedSaleOrder, order,
             is_plan = is_plan && order->leg_count == 2 && order->leg == (uint32_t)i + 1);
    }
    return is_plan;
}

static bool reasons_differ(struct subject *subject)
{
    struct pl_record *legs[2];
    size_t at[2];
    if (!two_legs(subject, legs, at))
        return false;
    EDIT(legs[1], Plimsoll__V1__ForcedSaleOrder, order, turn_reason(order));
    return true;
}

static bool legs_swapped(struct subject *subject)
{
    struct pl_record *legs[2];
    size_t at[2];
    if (!two_legs(subject, legs, at))
        return false;
    audit_log_swap_values(audit_log_stream(&subject->log, PL_TOPIC_ORDERS, subject->partition),
                          at[0], at[1]);
    for (uint32_t i = 0; i < 2; i++)
        EDIT(legs[i], Plimsoll__V1__ForcedSaleOrder, order, order->leg = i + 1);
    return true;
}

/* An order for what the account does not hold, under the id that it would have. */
static bool sells_what_is_not_held(struct subject *subject)
{
    uint8_t plan_id[PL_ORDER_ID_BYTES], order_id[PL_ORDER_ID_BYTES];
    EDIT_ORDER(subject, order->instrument[0] = 'X';
               auditor_plan_id(order->account, order->episode, order->revision, plan_id);
               auditor_order_id(plan_id, order->instrument, order_id);
               pl_uuid_print(order_id, order->order_id));
}

/* A price so low that even what a bad mark may hope for is below the line. */
static bool sells_on_a_stale_mark(struct subject *subject)
{
    struct pl_record *mark = newest_input(subject, PL_TOPIC_MARKS);
    if (!mark || !is_first_sale(subject) || subject->orders != 1)
        return false;
    EDIT(mark, Plimsoll__V1__Mark, message, message->event_time_ms -= 3600000;
         message->price->mantissa /= 4; message->low->mantissa /= 4; message->high->mantissa /= 4);
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
         order->prices[0]->event_time_ms -= 3600000;
         order->prices[0]->price->mantissa /= 4);
    seal_inputs(subject);
    return true;
}

static bool price_too_many(struct subject *subject)
{
    struct pl_record *record = first_of(subject, PL_TOPIC_ORDERS);
    if (!record)
        return false;
    Plimsoll__V1__ForcedSaleOrder *twin = plimsoll__v1__forced_sale_order__unpack(
        NULL, record->value.size_bytes, record->value.data);
    EDIT(record, Plimsoll__V1__ForcedSaleOrder, order,
         order->prices = realloc(order->prices, (order->n_prices + 1) * sizeof(*order->prices));
         order->prices[order->n_prices++] = twin->prices[0]; twin->prices[0] = NULL);
    plimsoll__v1__forced_sale_order__free_unpacked(twin, NULL);
    return true;
}

static bool price_of_another(struct subject *subject)
{
    EDIT_ORDER(subject, order->prices[0]->tick++);
}

static bool sold_after_a_halt(struct subject *subject)
{
    struct pl_bytes_view key, value;
    static struct pl_wire *wire;
    const struct pl_control halt = {
        .is_halt = true, .epoch = 1000, .actor = "test", .reason = "test"};
    if (subject->orders == 0)
        return false;
    wire = test_wire();
    assert_int_equal(pl_wire_control_encode(wire, &halt, &key, &value), PL_OK);
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_CONTROL, 0);
    int64_t offset = 0;
    EDIT_ENTRY(subject, offset = coordinate(entry, PL_TOPIC_CONTROL)->offset);
    if (stream->count > 0 && stream->records[stream->count - 1].offset >= offset)
        return false; /* not at the end */
    struct pl_record like = {.key = key};
    insert(stream, offset, &like, value);
    EDIT_ENTRY(subject, coordinate(entry, PL_TOPIC_CONTROL)->offset++; entry->control_epoch = 1000);
    EDIT(first_of(subject, PL_TOPIC_ORDERS), Plimsoll__V1__ForcedSaleOrder, order,
         order->control_epoch = 1000);
    seal_inputs(subject);
    return true;
}

static bool state_wrong(struct subject *subject)
{
    if (subject->states == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->since_ms--);
    return true;
}

/* A change that nobody was told of: no sale was due. */
static bool change_unpublished(struct subject *subject)
{
    if (subject->orders > 0 || subject->states < 2)
        return false;
    const struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    struct pl_bytes_view key = heap_copy(state->key.data, state->key.size_bytes);
    remove_all_of(subject, key);
    free((void *)(uintptr_t)key.data);
    return true;
}

static bool episode_skipped(struct subject *subject)
{
    if (subject->states == 0 || subject->orders > 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->episode += 2);
    return true;
}

static bool version_skipped(struct subject *subject)
{
    if (subject->states == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
         message->version++);
    return true;
}

/* The newest state of an account that this entry leaves alone, with one version more. */
static bool nothing_changed(struct subject *subject)
{
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    char text[PL_JOURNAL_TEXT_BYTES];
    size_t last = stream->count;
    int32_t partition = 0;
    uint64_t sequence = 0;
    for (size_t i = 0; i < stream->count; i++)
        if (entry_of(&stream->records[i], &partition, &sequence) && sequence < subject->sequence &&
            !pl_wire_is_budget(stream->records[i].key))
            last = i;
    if (!subject->is_deciding || subject->states == 0 || last == stream->count)
        return false;
    struct pl_record like = stream->records[last];
    for (size_t i = last + 1; i < stream->count; i++)
        if (stream->records[i].key.size_bytes == like.key.size_bytes &&
            memcmp(stream->records[i].key.data, like.key.data, like.key.size_bytes) == 0 &&
            entry_of(&stream->records[i], &partition, &sequence) && sequence == subject->sequence)
            return false;
    like.headers[0] = pl_wire_journal_header(subject->partition, subject->sequence, text);
    like.header_count = 1;
    int64_t offset = stream->end;
    insert(stream, offset, &like, like.value);
    EDIT(&stream->records[stream->count - 1], Plimsoll__V1__AccountState, message,
         message->version++);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static struct pl_record *budget_of(struct subject *subject)
{
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    int32_t partition = 0;
    uint64_t sequence = 0;
    for (size_t i = 0; i < stream->count; i++)
        if (entry_of(&stream->records[i], &partition, &sequence) && sequence == subject->sequence &&
            pl_wire_is_budget(stream->records[i].key))
            return &stream->records[i];
    return NULL;
}

static bool budget_forgets(struct subject *subject)
{
    struct pl_record *budget = budget_of(subject);
    if (!budget)
        return false;
    EDIT(budget, Plimsoll__V1__AccountState, message, message->budget->uses[0]->lots++);
    return true;
}

static bool budget_of_another_window(struct subject *subject)
{
    struct pl_record *budget = budget_of(subject);
    if (!budget)
        return false;
    EDIT(budget, Plimsoll__V1__AccountState, message, message->budget->window_start_ms--);
    return true;
}

static bool state_unreadable(struct subject *subject)
{
    static const char garbage[] = "garbage";
    struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state)
        return false;
    audit_log_set_value(state, (struct pl_bytes_view){(const uint8_t *)garbage, strlen(garbage)});
    return true;
}

static bool state_of_nobody(struct subject *subject)
{
    struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state || subject->orders + subject->alerts > 0)
        return false;
    audit_log_bytes(state->key)[0] = 'x';
    EDIT(state, Plimsoll__V1__AccountState, message, message->account[0] = 'x');
    return true;
}

static bool state_twice(struct subject *subject)
{
    const struct pl_record *state = first_of(subject, PL_TOPIC_ACCOUNTS);
    if (!state)
        return false;
    struct audit_stream *stream = audit_log_stream(&subject->log, PL_TOPIC_ACCOUNTS,
                                                   subject->partition);
    insert(stream, stream->end, state, state->value);
    EDIT_ENTRY(subject, entry->output_count++);
    return true;
}

static bool order_under_another_key(struct subject *subject)
{
    struct pl_record *order = first_of(subject, PL_TOPIC_ORDERS);
    if (order)
        audit_log_bytes(order->key)[0] = 'x';
    return order;
}

static bool alert_under_another_key(struct subject *subject)
{
    struct pl_record *alert = first_of(subject, PL_TOPIC_ALERTS);
    if (alert)
        audit_log_bytes(alert->key)[0] = 'x';
    return alert;
}

static bool timer_wrong(struct subject *subject)
{
    bool has_timer = false;
    if (subject->states > 0)
        EDIT(first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
             has_timer = message->has_whole_since_ms;
             message->whole_since_ms--);
    return has_timer;
}

/* A reservation is given up before the holdings show it. */
static bool released_early(struct subject *subject)
{
    bool is_taken = false;
    if (subject->states > 0 && subject->orders == 0)
        EDIT(
            first_of(subject, PL_TOPIC_ACCOUNTS), Plimsoll__V1__AccountState, message,
            is_taken = message->n_pending > 0;
            if (is_taken) {
                protobuf_c_message_free_unpacked(&message->pending[--message->n_pending]->base,
                                                 NULL);
            });
    return is_taken;
}

static bool alert_missing(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    remove_output(subject, PL_TOPIC_ALERTS, 0);
    return true;
}

static bool alert_of_another_kind(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
         alert->kind = PLIMSOLL__V1__MARGIN_CALL__KIND__KIND_OUT_OF_RANGE);
    return true;
}

static bool alert_of_another_time(struct subject *subject)
{
    if (subject->alerts == 0)
        return false;
    EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert, alert->created_ms--);
    return true;
}

static bool alert_numbers_wrong(struct subject *subject)
{
    bool has_numbers = false;
    if (subject->alerts > 0)
        EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
             has_numbers = alert->excess_end;
             if (has_numbers) alert->excess_end->mantissa[0] = alert->excess_end->mantissa[0] == '1'
                                                                   ? '2'
                                                                   : '1');
    return has_numbers;
}

static bool health_rounded_up(struct subject *subject)
{
    bool has_health = false;
    if (subject->alerts > 0)
        EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
             has_health = alert->health_factor;
             if (has_health) {
                 char *last = alert->health_factor->mantissa;
                 last += strlen(last) - 1;
                 *last = *last == '9' ? '8' : (char)(*last + 1);
             });
    return has_health;
}

static bool cure_of_one_lot_less(struct subject *subject)
{
    bool has_lots = false;
    if (subject->alerts > 0)
        EDIT(first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
             for (size_t i = 0; i < alert->n_cures && !has_lots; i++) {
                 has_lots = alert->cures[i]->has_lots;
                 if (has_lots)
                     alert->cures[i]->lots--;
             });
    return has_lots;
}

static bool cure_not_named(struct subject *subject)
{
    bool has_cure = false;
    if (subject->alerts > 0)
        EDIT(
            first_of(subject, PL_TOPIC_ALERTS), Plimsoll__V1__MarginCall, alert,
            has_cure = alert->n_cures > 0;
            if (has_cure) {
                protobuf_c_message_free_unpacked(&alert->cures[--alert->n_cures]->base, NULL);
            });
    return has_cure;
}

const struct damage test_sale_damages[] = {
    {"a plan's id is another's", "I3 ", plan_id_of_another, false, "plan id"},
    {"an order's id is another's", "I3 ", order_id_of_another, false, "order id"},
    {"a revision is skipped", "I3 ", revision_skipped, false, "revision"},
    {"sold on a stale mark", "I4 ", sold_on_a_stale_mark, true, NULL},
    {"sold on a halted mark", "I4 ", sold_on_a_halted_mark, true, NULL},
    {"sold while tainted", "I4 ", sold_while_tainted, true, "tainted"},
    {"valid for longer than the policy says", "I5 ", valid_for_longer, false, NULL},
    {"executed after its end", "I5 ", executed_late, false, NULL},
    {"an order saw older holdings", "I9 ", older_holdings, false, NULL},
    {"an episode is skipped", "I3 ", episode_skipped, false, "episode"},
    {"a version is skipped", "V state", version_skipped, false, "version"},
    {"a state is published for nothing", "V state", nothing_changed, false, "nothing changed"},
    {"the budget's record forgets a lot", "V state", budget_forgets, false, "let pass is not"},
    {"the budget's record is of another window", "V state", budget_of_another_window, false,
     "let pass is not"},
    {"a state cannot be read", "V state", state_unreadable, false, "cannot be read"},
    {"a state of nobody", "V state", state_of_nobody, false, "never heard of"},
    {"a state stands twice", "V state", state_twice, false, "two states"},
    {"an order under another key", "V order", order_under_another_key, false,
     "no state of its account"},
    {"an alert under another key", "V alert", alert_under_another_key, false,
     "no state of its account"},
    {"an order cannot be read", "V order", order_unreadable, false, "cannot be read"},
    {"a plan in two entries", "I3 ", plan_twice, false, "two entries"},
    {"sold above the line", "V sold above", sold_above_the_line, true, NULL},
    {"an account below the line is skipped", "V missed", account_skipped, false, NULL},
    {"a heartbeat while somebody is below the line", "V missed", nobody_looked, true, NULL},
    {"one lot more than is needed", "V smallest", one_lot_too_many, false, NULL},
    {"one lot less than is needed", "V smallest", one_lot_too_few, false, NULL},
    {"more is sold than is held", "V pending", more_than_there_is, false, NULL},
    {"another limit", "V order", limit_of_another, false, "limit is not"},
    {"another proof", "V order", proof_wrong, false, "proof"},
    {"another price", "V order", price_of_another, false, "price"},
    {"an order under another control epoch", "V order", epoch_of_order, false, "control epoch"},
    {"a leg is numbered otherwise", "V order", leg_of_another, false, "leg 2 of"},
    {"another side", "V order", side_wrong, false, "wrong side"},
    {"called bankrupt", "V order", called_bankrupt, false, "called bankrupt"},
    {"not called bankrupt", "V order", not_called_bankrupt, false, "not called bankrupt"},
    {"two reasons for one plan", "V order", reasons_differ, false, "another reason"},
    {"legs in another order", "V order", legs_swapped, false, "liquidity order"},
    {"something is sold that is not held", "V order", sells_what_is_not_held, true, "not held"},
    {"a leg with a stale mark is sold", "I4 ", sells_on_a_stale_mark, true, "is not live"},
    {"a price too many", "V order", price_too_many, false, "prices, expected"},
    {"sold after a halt", "V no order after a halt", sold_after_a_halt, true, NULL},
    {"a change is not published", "V state", change_unpublished, false, "nothing was published"},
    {"another state", "V state", state_wrong, false, NULL},
    {"another timer", "V state", timer_wrong, false, NULL},
    {"a reservation is released early", "V state", released_early, false, NULL},
    {"an alert is missing", "V alert", alert_missing, false, "alerts, expected"},
    {"an alert of another kind", "V alert", alert_of_another_kind, false, "is of kind"},
    {"an alert of another time", "V alert", alert_of_another_time, false, "clock"},
    {"an alert has other numbers", "V alert", alert_numbers_wrong, false, "other numbers"},
    {"a health factor is rounded up", "V alert", health_rounded_up, false, "other numbers"},
    {"a cure of one lot less", "V alert", cure_of_one_lot_less, false, "other cures"},
    {"a cure is not named", "V alert", cure_not_named, false, "other cures"},
    {"decisions stand in another order", "V order", decisions_swapped, false, "stands before"},
};
const size_t test_sale_damage_count = TEST_COUNT(test_sale_damages);
