/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One journal entry, judged: chained to the one before, going on where that ended, deciding on
 * what its vector says and nothing else, and telling of all that was bad (I1, I4, I6, I10, I12).
 * The accounts' decisions are judged in auditor_rules.c.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/sim/auditor_parts.h"

static const Plimsoll__V1__JournalEntry__Readiness
    DECIDING = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DECIDING,
    WAITING = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_WAITING,
    DIVERGED = PLIMSOLL__V1__JOURNAL_ENTRY__READINESS__READINESS_DIVERGED;

/* ---- an entry: chain and vector -------------------------------------------------------------- */

static bool bytes_are(bool is_present, ProtobufCBinaryData bytes, const uint8_t *expected,
                      size_t size_bytes)
{
    return is_present && bytes.len == size_bytes && memcmp(bytes.data, expected, size_bytes) == 0;
}

static bool check_chain(struct auditor *auditor, const struct partition *partition,
                        const struct seen *journal, const Plimsoll__V1__JournalEntry *entry)
{
    char key[16];
    snprintf(key, sizeof(key), "%d", (int)partition->number);
    if (!entry)
        return auditor_fail(auditor, partition, I12, "offset %" PRId64 " cannot be read",
                            journal->offset);
    if (journal->key.size_bytes != strlen(key) ||
        memcmp(journal->key.data, key, strlen(key)) != 0 || entry->partition != partition->number ||
        entry->partition_count != auditor->options.partition_count)
        return auditor_fail(auditor, partition, I12, "key or partition is another's (%d of %d)",
                            entry->partition, entry->partition_count);
    if (entry->sequence != partition->sequence + 1)
        return auditor_fail(auditor, partition, I12,
                            "the sequence is %" PRIu64 " at offset %" PRId64, entry->sequence,
                            journal->offset);
    if (!bytes_are(entry->has_previous_hash, entry->previous_hash, partition->last_hash,
                   HASH_BYTES))
        return auditor_fail(auditor, partition, I12,
                            "the previous hash is not that of entry %" PRIu64, partition->sequence);
    if (entry->clock_ms < partition->clock_ms)
        return auditor_fail(auditor, partition, I4,
                            "the clock goes back from %" PRId64 " to %" PRId64, partition->clock_ms,
                            entry->clock_ms);
    return true;
}

static const Plimsoll__V1__JournalEntry__Coordinate *
coordinate_of(const Plimsoll__V1__JournalEntry *entry, int input)
{
    for (size_t i = 0; i < entry->n_vector; i++)
        if (entry->vector[i]->topic &&
            strcmp(entry->vector[i]->topic, pl_topic_word(auditor_inputs[input])) == 0)
            return entry->vector[i];
    return NULL;
}

/* Digest over the hashes of the records of one coordinate. */
static bool check_inputs(struct auditor *auditor, const struct partition *partition, int input,
                         const Plimsoll__V1__JournalEntry__Coordinate *at)
{
    const struct stream *stream = auditor_input_stream(auditor, input, partition->number);
    uint8_t digest[HASH_BYTES];
    size_t i = stream->count;
    while (i > 0 && stream->items[i - 1].offset >= at->first_offset)
        i--;
    struct hash *hash = auditor_hash_begin();
    for (; i < stream->count && stream->items[i].offset < at->offset; i++) {
        if (stream->items[i].is_removed)
            return true;
        auditor_hash_add(hash, stream->items[i].hash, HASH_BYTES);
    }
    auditor_hash_end(hash, digest);
    if (!bytes_are(at->has_digest, at->digest, digest, HASH_BYTES))
        return auditor_fail(auditor, partition, I12,
                            "%s %" PRId64 " to %" PRId64 ": the digest is not that of"
                            " the records there",
                            pl_topic_word(auditor_inputs[input]), at->first_offset, at->offset);
    return true;
}

static bool check_coordinate(struct auditor *auditor, const struct partition *partition, int input,
                             const Plimsoll__V1__JournalEntry *entry)
{
    const Plimsoll__V1__JournalEntry__Coordinate *at = coordinate_of(entry, input);
    const char *word = pl_topic_word(auditor_inputs[input]);
    int32_t number = input >= CONTROL ? 0 : partition->number;
    if (!at || at->partition != number || !at->has_offset || !at->has_first_offset)
        return auditor_fail(auditor, partition, I1, "no coordinate of %s partition %d", word,
                            (int)number);
    int64_t last = partition->vector[input], first = at->first_offset;
    if (at->offset < last)
        return auditor_fail(auditor, partition, I6, "%s goes back from %" PRId64 " to %" PRId64,
                            word, last, at->offset);
    bool is_other_reader = input == MARKS && first == entry->marks_first_offset && first > last;
    if (partition->has_entry && first != last && !is_other_reader)
        return auditor_fail(auditor, partition, I1,
                            "%s is accounted for from %" PRId64 " on, and the entry "
                            "before ended at %" PRId64,
                            word, first, last);
    if (input == EXECUTIONS && at->offset != first && entry->readiness != DECIDING)
        return auditor_fail(auditor, partition, I1,
                            "reports %" PRId64 " to %" PRId64 " are passed while "
                            "nothing is decided",
                            first, at->offset);
    const struct stream *stream = auditor_input_stream(auditor, input, partition->number);
    if (!partition->has_entry && input != MARKS && stream->count > 0 &&
        stream->items[0].offset < first && !stream->items[0].is_removed)
        return auditor_fail(auditor, partition, I1,
                            "%s is accounted for from %" PRId64 " on, and offset %" PRId64
                            " is before it",
                            word, first, stream->items[0].offset);
    return check_inputs(auditor, partition, input, at);
}

/* ---- an entry: what it had read -------------------------------------------------------------- */

struct account *auditor_find_account(const struct partition *partition, const char *id)
{
    for (int i = 0; i < partition->account_count; i++)
        if (strcmp(partition->accounts[i]->id, id) == 0)
            return partition->accounts[i];
    return NULL;
}

static struct account *account_of(struct partition *partition, const char *id)
{
    struct account *account = auditor_find_account(partition, id);
    if (account)
        return account;
    if (partition->account_count == partition->account_capacity) {
        int at = partition->account_capacity++;
        partition->accounts = auditor_allocate(partition->accounts,
                                               sizeof(*partition->accounts) *
                                                   (size_t)partition->account_capacity);
        partition->accounts[at] = auditor_allocate(NULL, sizeof(struct account));
        partition->accounts[at]->verdict = auditor_allocate(NULL, sizeof(struct verdict));
        auditor_verdict_init(partition->accounts[at]->verdict);
    }
    account = partition->accounts[partition->account_count++];
    struct verdict *verdict = account->verdict;
    memset(account, 0, sizeof(*account));
    account->id = id;
    account->verdict = verdict;
    account->is_dirty = account->is_new = true;
    return account;
}

static void apply_control(struct partition *partition, const struct seen *seen)
{
    const struct control *control = seen->facts;
    if (!control) {
        partition->is_damaged = true; /* until a readable resume of everything */
        return;
    }
    if (control->epoch > partition->control_epoch)
        partition->control_epoch = control->epoch;
    if (!control->account) {
        partition->is_halted = control->is_halt;
        partition->is_damaged = partition->is_damaged && control->is_halt;
        return;
    }
    int at = 0;
    while (at < partition->halt_count && strcmp(partition->halts[at], control->account) != 0)
        at++;
    if (control->is_halt && at == AUDITOR_HALTS_MAX)
        partition->is_damaged = true;
    else if (control->is_halt && at == partition->halt_count)
        partition->halts[partition->halt_count++] = control->account;
    else if (!control->is_halt && at < partition->halt_count)
        partition->halts[at] = partition->halts[--partition->halt_count];
}

static bool is_halted(const struct partition *partition, const char *account)
{
    bool is_named = false;
    size_t size_bytes = strcspn(account, "~"); /* with all its buckets */
    for (int i = 0; i < partition->halt_count; i++)
        is_named |= strlen(partition->halts[i]) == size_bytes &&
                    strncmp(partition->halts[i], account, size_bytes) == 0;
    return is_named || partition->is_halted || partition->is_damaged;
}

/* True when it is to be told as bad: not a version that is merely late. */
static bool apply_holdings(struct auditor *auditor, struct partition *partition,
                           const struct seen *seen)
{
    const struct holdings *holdings = seen->facts;
    if (auditor_is_watermark(seen->key)) {
        if (!seen->is_bad)
            partition->watermark_ms = seen->time_ms;
        return seen->is_bad;
    }
    if (!holdings) {
        const struct reader reader = {&auditor->memory, &auditor->names,
                                      auditor->options.partition_count};
        const struct pl_record record = {.key = seen->key, .partition = seen->partition};
        const char *id = auditor_is_at_home(&reader, &record)
                             ? auditor_key_account(&auditor->memory, seen->key)
                             : NULL;
        if (id) {
            struct account *account = account_of(partition, id);
            account->is_tainted = true;
            account->is_dirty = true;
        }
        return true;
    }
    struct account *account = account_of(partition, holdings->account);
    if (account->holdings && holdings->version <= account->holdings->version)
        return false;
    account->holdings = holdings;
    account->is_tainted = false;
    account->is_dirty = true;
    return false;
}

static void apply_mark(struct partition *partition, const struct seen *seen)
{
    const struct mark *mark = seen->facts;
    if (!mark)
        return;
    struct mark *last = &partition->marks[mark->instrument];
    bool is_newer = mark->source_offset > last->source_offset ||
                    (mark->source_offset == last->source_offset && mark->tick > last->tick);
    if (!is_newer)
        return;
    *last = *mark;
    partition->raw[mark->instrument].ticks = -1; /* to be derived again */
}

static void apply_chain(struct partition *partition, struct seen *seen)
{
    struct chain *chain = seen->facts;
    for (size_t i = 0; chain && i < partition->chains.count; i++)
        if (strcmp(((struct chain *)partition->chains.items[i])->name, chain->name) == 0) {
            partition->chains.items[i] = chain;
            return;
        }
    if (chain)
        auditor_list_add(&partition->chains, chain);
}

/* Since when an instrument cannot be moved; -1: it can. */
static int64_t stuck_since(const struct partition *partition, const struct rules *rules)
{
    int64_t since_ms = -1;
    for (size_t i = 0; rules && rules->chain && i < partition->chains.count; i++) {
        const struct chain *chain = partition->chains.items[i];
        if (strcmp(chain->name, rules->chain) != 0)
            continue;
        since_ms = chain->halted_since_ms;
        for (int k = 0; k < chain->bridge_count; k++) {
            int64_t bridge_ms = chain->bridges[k].halted_since_ms;
            if (rules->bridge && strcmp(chain->bridges[k].name, rules->bridge) == 0 &&
                bridge_ms >= 0 && (since_ms < 0 || bridge_ms < since_ms))
                since_ms = bridge_ms;
        }
    }
    return since_ms;
}

static void apply_input(struct auditor *auditor, struct partition *partition, int input,
                        struct seen *seen)
{
    bool is_bad = seen->is_bad;
    if (input == HOLDINGS)
        is_bad = apply_holdings(auditor, partition, seen);
    else if (input == EXECUTIONS)
        auditor_list_add(&partition->executions, seen);
    else if (input == CONTROL)
        apply_control(partition, seen);
    else if (input == MARKS)
        apply_mark(partition, seen);
    else if (input == CHAINS)
        apply_chain(partition, seen);
    else if (input == PARAMETERS && seen->set != partition->set) {
        partition->set = seen->set;
        partition->set_changed = partition->stamp;
    }
    if (is_bad && (input < CONTROL || partition->number == 0))
        auditor_list_add(&partition->bad, seen);
}

/* A process that began to read marks elsewhere knows only those from there on. */
static void forget_marks(struct auditor *auditor, struct partition *partition, int64_t first)
{
    const struct stream *stream = auditor_input_stream(auditor, MARKS, 0);
    memset(partition->marks, 0, sizeof(partition->marks));
    for (int i = 0; i < AUDITOR_NAMES_MAX; i++)
        partition->raw[i].ticks = -1;
    for (size_t i = 0; i < stream->count && stream->items[i].offset < partition->vector[MARKS]; i++)
        if (stream->items[i].offset >= first)
            apply_mark(partition, &stream->items[i]);
    partition->marks_first = first;
}

static void apply_inputs(struct auditor *auditor, struct partition *partition,
                         const Plimsoll__V1__JournalEntry *entry)
{
    partition->executions.count = partition->bad.count = 0;
    for (int i = 0; i < partition->account_count; i++)
        partition->accounts[i]->is_new = false;
    if (!partition->has_entry || partition->marks_first != entry->marks_first_offset)
        forget_marks(auditor, partition, entry->marks_first_offset);
    for (int input = 0; input < AUDITOR_COORDINATES; input++) {
        const struct stream *stream = auditor_input_stream(auditor, input, partition->number);
        const Plimsoll__V1__JournalEntry__Coordinate *at = coordinate_of(entry, input);
        for (; partition->next[input] < stream->count &&
               stream->items[partition->next[input]].offset < at->offset;
             partition->next[input]++) {
            struct seen *seen = &stream->items[partition->next[input]];
            if (seen->offset >= at->first_offset)
                apply_input(auditor, partition, input, seen);
        }
        partition->vector[input] = at->offset;
    }
}

static bool quotes_differ(const struct quote *a, const struct quote *b)
{
    return a->status != b->status || a->is_priced != b->is_priced || a->ticks != b->ticks ||
           a->lot_vu != b->lot_vu || a->low_vu != b->low_vu || a->high_vu != b->high_vu ||
           a->short_vu != b->short_vu || memcmp(a->low, b->low, sizeof(a->low)) != 0 ||
           memcmp(a->high, b->high, sizeof(a->high)) != 0 || a->notional_vu != b->notional_vu ||
           a->doubtful_notional_vu != b->doubtful_notional_vu || a->bad_low_vu != b->bad_low_vu || a->bad_high_vu != b->bad_high_vu ||
           a->is_stuck != b->is_stuck ||
           memcmp(&a->halt_haircut, &b->halt_haircut, sizeof(a->halt_haircut)) != 0;
}

static void keep_quote(struct partition *partition, int i, const struct quote *quote)
{
    if (!quotes_differ(quote, &partition->quotes[i]))
        return;
    partition->quotes[i] = *quote;
    partition->quote_changed[i] = partition->stamp;
}

/* What an option is worth changes with its underlying, too, and is as good as both. */
static void update_option(struct partition *partition, int i, const struct rules *rules)
{
    const struct quote *under = &partition->quotes[rules->underlying];
    const struct mark *mark = &partition->marks[i];
    if (partition->raw[i].ticks < 0 || partition->set_changed == partition->stamp ||
        partition->quote_changed[rules->underlying] == partition->stamp)
        partition->raw[i] = auditor_option_quote(partition->set, rules, mark, under);
    struct quote quote = partition->raw[i];
    if (quote.is_priced && quote.status == PL_MARK_LIVE &&
        !auditor_is_fresh(rules, mark, partition->clock_ms))
        quote.status = PL_MARK_STALE;
    if (quote.is_priced && quote.status == PL_MARK_LIVE)
        quote.status = under->status;
    keep_quote(partition, i, &quote);
}

/* Prices change with marks and parameters; whether they are fresh changes with the clock too. */
static void update_quotes(struct auditor *auditor, struct partition *partition)
{
    bool has_new_set = partition->set_changed == partition->stamp;
    for (int i = 0; i < auditor->names.count; i++) {
        const struct rules *rules = auditor_rules_of(partition->set, i);
        const struct mark *mark = &partition->marks[i];
        if (rules && rules->kind == PL_INSTRUMENT_OPTION)
            continue;
        if (partition->raw[i].ticks < 0 || has_new_set)
            partition->raw[i] = auditor_quote(rules, mark);
        struct quote quote = partition->raw[i];
        if (quote.is_priced && quote.status == PL_MARK_LIVE &&
            !auditor_is_fresh(rules, mark, partition->clock_ms))
            quote.status = PL_MARK_STALE;
        auditor_halt(partition->set, rules, stuck_since(partition, rules), partition->clock_ms,
                     &quote);
        keep_quote(partition, i, &quote);
    }
    for (int i = 0; i < auditor->names.count; i++) {
        const struct rules *rules = auditor_rules_of(partition->set, i);
        if (rules && rules->kind == PL_INSTRUMENT_OPTION)
            update_option(partition, i, rules);
    }
}

/* ---- an entry: what it wrote ----------------------------------------------------------------- */

static bool is_key_of(const struct seen *seen, const char *account)
{
    return seen->key.data && seen->key.size_bytes == strlen(account) &&
           memcmp(seen->key.data, account, strlen(account)) == 0;
}

/* The next output of a topic; outputs of one entry stand in the order of their offsets. */
static struct seen *next_output(const struct partition *partition, uint64_t sequence,
                                enum pl_topic topic, size_t *at)
{
    for (; *at < partition->outputs.count; ++*at) {
        struct seen *seen = partition->outputs.items[*at];
        if (seen->sequence == sequence && seen->topic == topic)
            return seen;
    }
    return NULL;
}

size_t auditor_count_outputs(const struct partition *partition, uint64_t sequence)
{
    size_t count = 0;
    for (size_t i = 0; i < partition->outputs.count; i++)
        count += ((const struct seen *)partition->outputs.items[i])->sequence == sequence;
    return count;
}

static void hash_output(struct hash *hash, const struct seen *seen)
{
    const char *word = pl_topic_word(seen->topic);
    auditor_hash_part(hash, (struct pl_bytes_view){(const uint8_t *)word, strlen(word)});
    auditor_hash_part(hash, seen->key);
    auditor_hash_part(hash, seen->value);
}

/* One decision for each state record: the orders and alerts of its account that stand next. */
static struct decision *take_decision(struct auditor *auditor, struct partition *partition,
                                      uint64_t sequence, struct seen *state, size_t *order_at,
                                      size_t *alert_at)
{
    struct decision *decision = auditor_take(&auditor->memory, sizeof(*decision));
    decision->message = state->facts;
    const char *whole = decision->message
                            ? auditor_whole_id(&auditor->memory, decision->message->account,
                                               decision->message->bucket)
                            : NULL;
    if (!whole || !is_key_of(state, whole) ||
        !auditor_read_state(&auditor->names, decision->message, &decision->state)) {
        auditor_fail(auditor, partition, V_STATE, "accounts offset %" PRId64 " cannot be read",
                     state->offset);
        return NULL;
    }
    decision->account = auditor_find_account(partition, whole);
    if (!decision->account) {
        auditor_fail(auditor, partition, V_STATE, "account %s has a state and was never heard of",
                     whole);
        return NULL;
    }
    const char *id = decision->account->id;
    size_t room = partition->outputs.count + 1;
    decision->orders = auditor_take(&auditor->memory, sizeof(*decision->orders) * room);
    decision->alerts = auditor_take(&auditor->memory, sizeof(*decision->alerts) * room);
    for (struct seen *order;
         (order = next_output(partition, sequence, PL_TOPIC_ORDERS, order_at)) &&
         is_key_of(order, id);
         ++*order_at)
        decision->orders[decision->order_count++] = order->facts;
    for (struct seen *alert;
         (alert = next_output(partition, sequence, PL_TOPIC_ALERTS, alert_at)) &&
         is_key_of(alert, id);
         ++*alert_at)
        if (alert->facts)
            decision->alerts[decision->alert_count++] = alert->facts;
    return decision;
}

static bool is_published(const struct partition *partition, const struct account *account,
                         struct decision **decision)
{
    for (size_t i = 0; i < partition->decisions.count; i++) {
        *decision = partition->decisions.items[i];
        if ((*decision)->account == account)
            return true;
    }
    return false;
}

static bool take_decisions(struct auditor *auditor, struct partition *partition,
                           const Plimsoll__V1__JournalEntry *entry)
{
    size_t order_at = 0, alert_at = 0, state_at = 0;
    struct decision *other;
    struct seen *state;
    partition->decisions.count = 0;
    partition->budget = NULL;
    for (; (state = next_output(partition, entry->sequence, PL_TOPIC_ACCOUNTS, &state_at));
         state_at++) {
        if (is_key_of(state, "~budget") && !partition->budget) {
            partition->budget = state;
            continue;
        }
        struct decision *decision = take_decision(auditor, partition, entry->sequence, state,
                                                  &order_at, &alert_at);
        if (!decision)
            return false;
        if (is_published(partition, decision->account, &other))
            return auditor_fail(auditor, partition, V_STATE, "account %s has two states",
                                decision->account->id);
        if (partition->budget)
            return auditor_fail(auditor, partition, V_STATE, "account %s has a state behind the budget",
                                decision->account->id);
        auditor_list_add(&partition->decisions, decision);
    }
    const struct seen *order = next_output(partition, entry->sequence, PL_TOPIC_ORDERS, &order_at);
    if (order)
        return auditor_fail(auditor, partition, V_ORDER,
                            "orders offset %" PRId64 " stands with no state of "
                            "its account",
                            order->offset);
    const struct seen *alert = next_output(partition, entry->sequence, PL_TOPIC_ALERTS, &alert_at);
    if (alert)
        return auditor_fail(auditor, partition, "V alert",
                            "alerts offset %" PRId64 " stands with no state of "
                            "its account",
                            alert->offset);
    bool is_deciding = entry->readiness == DECIDING;
    if (partition->decisions.count > 0 && !is_deciding)
        return auditor_fail(auditor, partition, I4,
                            "%zu accounts are decided though the partition may not",
                            partition->decisions.count);
    return true;
}

/* ---- an entry: judged ------------------------------------------------------------------------ */

static bool check_readiness(struct auditor *auditor, const struct partition *partition,
                            const Plimsoll__V1__JournalEntry *entry)
{
    int64_t age_ms = partition->clock_ms - partition->watermark_ms;
    bool is_old = (age_ms < 0 ? -age_ms : age_ms) > partition->set->watermark_age_ms_max;
    bool is_deciding = entry->readiness == DECIDING, is_waiting = entry->readiness == WAITING;
    if (is_deciding && is_old)
        return auditor_fail(auditor, partition, I4,
                            "it decides at %" PRId64 " and positions are known up to %" PRId64,
                            partition->clock_ms, partition->watermark_ms);
    if (is_waiting && !is_old)
        return auditor_fail(auditor, partition, I11,
                            "it waits though positions are known up to %" PRId64
                            " and the clock is %" PRId64,
                            partition->watermark_ms, partition->clock_ms);
    bool stays = partition->has_entry && partition->readiness == DIVERGED &&
                 partition->control_epoch <= partition->diverged_epoch;
    if (stays && entry->readiness != DIVERGED)
        return auditor_fail(auditor, partition, I4,
                            "readiness %d, and nobody resumed what the self-audit "
                            "stopped",
                            (int)entry->readiness);
    bool may_diverge = auditor->options.may_diverge && entry->readiness == DIVERGED;
    if (!is_deciding && !is_waiting && !may_diverge)
        return auditor_fail(auditor, partition, V_STATE,
                            "readiness %d: the self-audit found a difference",
                            (int)entry->readiness);
    bool is_heartbeat = entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_HEARTBEAT;
    bool is_step = entry->kind == PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_STEP;
    if ((is_heartbeat && entry->output_count > 0) || (is_step && entry->output_count == 0))
        return auditor_fail(auditor, partition, I12, "kind %d with %u outputs", (int)entry->kind,
                            entry->output_count);
    if (partition->has_entry && entry->readiness != partition->readiness &&
        entry->kind != PLIMSOLL__V1__JOURNAL_ENTRY__KIND__KIND_READINESS)
        return auditor_fail(auditor, partition, I12, "readiness changes in an entry of kind %d",
                            (int)entry->kind);
    if (entry->parameter_epoch != partition->set->epoch ||
        entry->control_epoch != partition->control_epoch)
        return auditor_fail(auditor, partition, I12,
                            "parameter epoch %" PRIu64 ", control epoch %" PRIu64
                            "; expected %" PRIu64 " and %" PRIu64,
                            entry->parameter_epoch, entry->control_epoch, partition->set->epoch,
                            partition->control_epoch);
    return true;
}

static struct scene scene_of(struct auditor *auditor, struct partition *partition)
{
    return (struct scene){
        .names = &auditor->names,
        .set = partition->set,
        .quotes = partition->quotes,
        .marks = partition->marks,
        .quote_changed = partition->quote_changed,
        .stamp = partition->stamp,
        .set_changed = partition->set_changed,
        .now_ms = partition->clock_ms,
        .control_epoch = partition->control_epoch,
        .executions = (const struct execution *const *)partition->executions.items,
        .portfolio = &auditor->portfolio,
        .trial = &auditor->trial,
        .counts = &auditor->counts,
        .finding = &auditor->finding};
}

/* Everyone, whether something was published for him or not (G3); first those who are sold, for a
 * sale that should not be says more than what else is wrong with its cause. */
static bool judge_accounts(struct auditor *auditor, struct partition *partition)
{
    struct scene scene = scene_of(auditor, partition);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < partition->account_count; i++) {
            struct account *account = partition->accounts[i];
            struct decision nothing = {.account = account}, *decision = &nothing;
            if (!is_published(partition, account, &decision))
                decision = &nothing;
            scene.left = decision->left;
            if ((decision->order_count > 0) == (pass == 0) &&
                !auditor_judge(&scene, account, is_halted(partition, account->id), decision))
                return false;
        }
    return true;
}

static void settle_decisions(struct partition *partition)
{
    for (size_t i = 0; i < partition->decisions.count; i++) {
        struct decision *decision = partition->decisions.items[i];
        decision->account->state = decision->state;
        decision->account->has_state = true;
        decision->account->is_dirty = true;
    }
}

static void digest_xor(uint8_t digest[DIGEST_BYTES], const uint8_t other[DIGEST_BYTES])
{
    for (int i = 0; i < DIGEST_BYTES; i++)
        digest[i] ^= other[i];
}

static bool check_digests(struct auditor *auditor, struct partition *partition,
                          const Plimsoll__V1__JournalEntry *entry)
{
    uint8_t book[DIGEST_BYTES] = {0}, settled[DIGEST_BYTES] = {0}, outputs[HASH_BYTES];
    size_t order_at = 0, alert_at = 0, state_at = 0;
    struct hash *hash = auditor_hash_begin();
    for (size_t i = 0; i < partition->decisions.count; i++, state_at++) {
        const struct decision *decision = partition->decisions.items[i];
        struct seen *state = next_output(partition, entry->sequence, PL_TOPIC_ACCOUNTS, &state_at);
        for (int k = 0; k < decision->order_count; k++, order_at++)
            hash_output(hash, next_output(partition, entry->sequence, PL_TOPIC_ORDERS, &order_at));
        for (int k = 0; k < decision->alert_count; k++, alert_at++)
            hash_output(hash, next_output(partition, entry->sequence, PL_TOPIC_ALERTS, &alert_at));
        hash_output(hash, state);
        auditor_digest(state->key, state->value, decision->account->state_digest);
    }
    if (partition->budget) {
        hash_output(hash, partition->budget);
        auditor_digest(partition->budget->key, partition->budget->value, partition->brake_digest);
    }
    for (size_t i = 0; i < partition->letters.count; i++)
        hash_output(hash, partition->letters.items[i]);
    auditor_hash_end(hash, outputs);
    digest_xor(settled, partition->brake_digest);
    for (int i = 0; i < partition->account_count; i++) {
        if (partition->accounts[i]->holdings)
            digest_xor(book, partition->accounts[i]->holdings->digest);
        digest_xor(settled, partition->accounts[i]->state_digest);
    }
    if (!bytes_are(entry->has_outputs_digest, entry->outputs_digest, outputs, HASH_BYTES))
        return auditor_fail(auditor, partition, I12,
                            "the outputs' digest is not that of its %u outputs",
                            entry->output_count);
    if (!bytes_are(entry->has_book_digest, entry->book_digest, book, DIGEST_BYTES))
        return auditor_fail(auditor, partition, I12,
                            "the book's digest is not that of %d accounts at "
                            "holdings %" PRId64,
                            partition->account_count, partition->vector[HOLDINGS]);
    if (!bytes_are(entry->has_settled_digest, entry->settled_digest, settled, DIGEST_BYTES))
        return auditor_fail(auditor, partition, I12,
                            "the states' digest is not that of the states left");
    return true;
}

/* What a sale is ranked by: maintenance excess before it; 0 where nothing is to be sold. */
static void rank_of(mpz_t rank, const struct decision *decision)
{
    if (auditor_wants_sale(decision))
        mpz_set(rank, decision->account->verdict->high[PL_TIER_MAINTENANCE]);
    else
        mpz_set_ui(rank, 0);
}

/* Largest expected loss first, then by account (DESIGN section 5). */
static bool check_order_of_decisions(struct auditor *auditor, const struct partition *partition)
{
    bool is_right = true;
    mpz_t last_rank, rank;
    mpz_inits(last_rank, rank, NULL);
    for (size_t i = 1; is_right && i < partition->decisions.count; i++) {
        const struct decision *last = partition->decisions.items[i - 1];
        const struct decision *decision = partition->decisions.items[i];
        rank_of(last_rank, last);
        rank_of(rank, decision);
        int64_t waits = auditor_waits_since(decision), last_waits = auditor_waits_since(last);
        int order = last_waits != waits ? (last_waits > waits) - (last_waits < waits)
                                        : mpz_cmp(last_rank, rank);
        if (order > 0 || (order == 0 && strcmp(last->account->id, decision->account->id) > 0))
            is_right = auditor_fail(auditor, partition, V_ORDER,
                                    "account %s stands before %s, whose expected "
                                    "loss is larger or whose name is before",
                                    last->account->id, decision->account->id);
    }
    mpz_clears(last_rank, rank, NULL);
    return is_right;
}

static bool check_outputs(struct auditor *auditor, struct partition *partition,
                          const struct seen *journal, const Plimsoll__V1__JournalEntry *entry)
{
    partition->letters.count = 0;
    for (size_t i = 0; i < partition->outputs.count; i++) {
        struct seen *seen = partition->outputs.items[i];
        if (seen->sequence != entry->sequence)
            continue;
        if (seen->txn != journal->txn)
            return auditor_fail(auditor, partition, I6,
                                "%s partition %d offset %" PRId64
                                " was written by another transaction than its entry",
                                pl_topic_word(seen->topic), (int)seen->partition, seen->offset);
        if (seen->topic == PL_TOPIC_DEADLETTER)
            auditor_insert_by_origin(&partition->letters, seen, true);
    }
    if (auditor->options.outputs_max > 0 && entry->output_count > auditor->options.outputs_max)
        return auditor_fail(auditor, partition, I10, "%u outputs", entry->output_count);
    return true;
}

/* Outputs of a judged entry are done with. */
static void claim_outputs(struct partition *partition, uint64_t sequence)
{
    size_t kept = 0;
    for (size_t i = 0; i < partition->outputs.count; i++) {
        struct seen *seen = partition->outputs.items[i];
        if (seen->sequence != sequence)
            partition->outputs.items[kept++] = seen;
    }
    partition->outputs.count = kept;
}

bool auditor_judge_entry(struct auditor *auditor, struct partition *partition,
                         const struct seen *journal)
{
    const Plimsoll__V1__JournalEntry *entry = journal->facts;
    if (!check_chain(auditor, partition, journal, entry) ||
        !check_outputs(auditor, partition, journal, entry))
        return false;
    for (int input = 0; input < AUDITOR_COORDINATES; input++)
        if (!check_coordinate(auditor, partition, input, entry))
            return false;
    partition->stamp++;
    partition->clock_ms = entry->clock_ms;
    apply_inputs(auditor, partition, entry);
    if (!partition->set)
        return auditor_fail(auditor, partition, I4, "there are no parameters yet");
    if (auditor->options.accounts_max > 0 &&
        (uint32_t)partition->account_count > auditor->options.accounts_max)
        return auditor_fail(auditor, partition, I10, "%d accounts", partition->account_count);
    update_quotes(auditor, partition);
    struct list may_be_bad = {0};
    auditor_sort_executions(partition, &may_be_bad);
    bool is_right = check_readiness(auditor, partition, entry) &&
                    take_decisions(auditor, partition, entry);
    if (is_right)
        auditor_brake(auditor, partition);
    if (is_right && entry->readiness == DECIDING)
        is_right = judge_accounts(auditor, partition) && auditor_check_brake(auditor, partition) &&
                   check_order_of_decisions(auditor, partition);
    is_right = is_right && auditor_check_letters(auditor, partition, &may_be_bad);
    free(may_be_bad.items);
    if (!is_right || !check_digests(auditor, partition, entry))
        return false;
    settle_decisions(partition);
    claim_outputs(partition, entry->sequence);
    struct hash *hash = auditor_hash_begin();
    auditor_hash_add(hash, journal->value.data, journal->value.size_bytes);
    auditor_hash_end(hash, partition->last_hash);
    partition->sequence = entry->sequence;
    partition->readiness = entry->readiness;
    partition->diverged_epoch = entry->control_epoch;
    partition->has_entry = true;
    auditor_match_entry(auditor, partition, journal);
    auditor->counts.entries++;
    auditor->counts.heartbeats += entry->output_count == 0;
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void auditor_check_liveness(struct auditor *auditor, struct partition *partition,
                            const struct auditor_facts *facts)
{
    char why[128];
    if (!partition->has_entry || partition->readiness != DECIDING) {
        auditor_fail(auditor, partition, I11, "it does not decide (readiness %d)",
                     (int)partition->readiness);
        return;
    }
    if (facts->now_ms - partition->clock_ms > facts->silent_ms_max)
        auditor_fail(auditor, partition, I11, "the newest entry is %" PRId64 " ms old",
                     facts->now_ms - partition->clock_ms);
    for (int input = 0; input < AUDITOR_COORDINATES; input++) {
        const struct stream *stream = auditor_input_stream(auditor, input, partition->number);
        if ((input == HOLDINGS || input == EXECUTIONS) && partition->next[input] < stream->count)
            auditor_fail(auditor, partition, I11, "%s %" PRId64 " and %zu after it are not read",
                         pl_topic_word(auditor_inputs[input]),
                         stream->items[partition->next[input]].offset,
                         stream->count - partition->next[input] - 1);
    }
    partition->executions.count = 0;
    struct scene scene = scene_of(auditor, partition);
    /* What has been due for so long should have been done. */
    if (facts->now_ms - facts->silent_ms_max > scene.now_ms)
        scene.now_ms = facts->now_ms - facts->silent_ms_max;
    for (int i = 0; i < partition->account_count; i++) {
        struct account *account = partition->accounts[i];
        account->executions_count = 0;
        if (auditor_is_forsaken(&scene, account, is_halted(partition, account->id), why))
            auditor_fail(auditor, partition, I11, "account %s is below maintenance and %s",
                         account->id, why);
    }
}
