/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loss waterfall over all partitions (risk.h): which bad debts were told, and who would bear them.
 * Only what is certain counts: an account in doubt neither wins nor shares.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/service/process.h"
#include "services/cli/explain.h"
#include "services/cli/risk.h"

enum { PEOPLE_MAX = 1 << 20, DEBTORS_MAX = 1 << 16, DEBTOR_LEGS_MAX = 16 };
static const size_t WIRE_BYTES = (size_t)64 << 20; /* address space */

/* What a bankrupt account still holds of one derivative. */
struct open_leg { struct pl_id instrument; int64_t lots; };

struct debtor {
    struct pl_id account;
    pl_i128 told_vu, debt_vu, insured_vu, deleveraged_vu, shared_vu;
    uint32_t leg_count;
    struct open_leg legs[DEBTOR_LEGS_MAX];
};

/* Somebody in profit, and in what. */
struct candidate {
    struct pl_winner winner;
    struct pl_id instrument;
    uint32_t lot_decimals;
};

/* Who may be deleveraged of one derivative, in their order. */
struct queue {
    struct pl_id instrument;
    bool is_long;
    uint32_t lot_decimals, count;
    struct pl_winner *winners;
};

/* Address space, used as accounts come. */
struct waterfall {
    const char *fund;              /* account id; NULL: there is none */
    bool has_fund;
    pl_i128 fund_vu, paid_vu, shared_vu, waiting_vu;
    uint64_t account_count, waiting_count; /* equity below 0, but not told: sales may still help */
    json_t *partitions;
    struct pl_wire wire;
    struct pl_record_holdings record;
    uint32_t debtor_count, candidate_count, share_count, queue_count;
    uint8_t is_seen[PEOPLE_MAX];   /* by row of the present partition */
    struct debtor debtors[DEBTORS_MAX];
    struct candidate candidates[PEOPLE_MAX];
    struct pl_share shares[PEOPLE_MAX];
    struct pl_winner winners[PEOPLE_MAX];
    struct queue queues[2 * PL_INSTRUMENTS_MAX];
};

static enum pl_err is_full(const char *what, uint32_t most)
{
    return pl_err_set(PL_REJECT_CAPACITY, "more than %u %s", most, what);
}

/* ---- who there is ---------------------------------------------------------------------------- */

static bool is_derivative(const struct pl_instrument *instrument)
{
    return instrument->is_listed && (instrument->kind == PL_INSTRUMENT_PERP ||
                                     instrument->kind == PL_INSTRUMENT_FUTURE);
}

static enum pl_err add_debtor(struct waterfall *waterfall, const struct moment *moment,
                              const struct pl_id *account, pl_i128 told_vu, pl_i128 debt_vu,
                              const struct pl_portfolio *portfolio)
{
    if (waterfall->debtor_count == DEBTORS_MAX)
        return is_full("bad debts", DEBTORS_MAX);
    struct debtor *debtor = &waterfall->debtors[waterfall->debtor_count++];
    *debtor = (struct debtor){ .account = *account, .told_vu = told_vu, .debt_vu = debt_vu };
    for (uint32_t i = 0; i < portfolio->leg_count; i++) {
        const struct pl_leg *leg = &portfolio->legs[i];
        if (leg->lots == 0 || leg->is_unlisted_amount || leg->lots != leg->final_lots ||
            !is_derivative(&moment->venue->parameters->instruments[leg->instrument]))
            continue;
        if (debtor->leg_count == DEBTOR_LEGS_MAX)
            return is_full("derivatives of a bankrupt account", DEBTOR_LEGS_MAX);
        debtor->legs[debtor->leg_count++] = (struct open_leg){
            moment->venue->names->ids[leg->instrument], leg->lots };
    }
    return PL_OK;
}

static enum pl_err add_share(struct waterfall *waterfall, const struct pl_id *account,
                             pl_i128 equity_vu)
{
    if (waterfall->fund && strcmp(account->text, waterfall->fund) == 0) {
        waterfall->fund_vu = equity_vu;
        waterfall->has_fund = true;
        return PL_OK;
    }
    if (waterfall->share_count == PEOPLE_MAX)
        return is_full("accounts with equity", PEOPLE_MAX);
    waterfall->shares[waterfall->share_count++] = (struct pl_share){ .account = *account,
                                                                     .weight = equity_vu };
    return PL_OK;
}

static enum pl_err add_account(struct waterfall *waterfall, const struct moment *moment,
                               uint32_t row)
{
    static struct pl_leg legs[PL_LEGS_MAX];
    static struct pl_decision decision;
    const struct pl_account *account = pl_book_at(moment->ledger->book, row);
    struct pl_portfolio portfolio;
    struct pl_verdict verdict;
    moment_portfolio(moment, row, legs, &portfolio);
    pl_verdict_of(moment->venue->market, moment->venue->names, &portfolio, &verdict);
    ledger_decide_account(moment->ledger, moment->venue, row, &decision);
    waterfall->account_count++;
    const struct pl_bounds *equity = &verdict.equity_vu;
    if (verdict.certainty == PL_OUT_OF_RANGE || account->has_gap || account->is_tainted ||
        !pl_mode_is_known(moment->venue->parameters, account->mode))
        return PL_OK;
    if (equity->low > 0)
        return add_share(waterfall, &account->id, equity->low);
    if (equity->high >= 0)
        return PL_OK;
    if (decision.state.bad_debt_vu > 0)
        return add_debtor(waterfall, moment, &account->id, decision.state.bad_debt_vu,
                          -equity->high, &portfolio);
    waterfall->waiting_count++;
    waterfall->waiting_vu -= equity->high;
    return PL_OK;
}

/* ---- who won --------------------------------------------------------------------------------- */

/* Certain, not itself being sold, and with equity. */
static bool may_win(const struct moment *moment, uint32_t row, struct pl_verdict *verdict)
{
    static struct pl_account_state state;
    static struct pl_leg legs[PL_LEGS_MAX];
    const struct pl_account *account = pl_book_at(moment->ledger->book, row);
    struct pl_portfolio portfolio;
    pl_book_state(moment->ledger->book, row, &state);
    if (account->has_gap || account->is_tainted || state.pending_count > 0 ||
        state.state >= PL_STATE_LIQUIDATING)
        return false;
    moment_portfolio(moment, row, legs, &portfolio);
    pl_verdict_of(moment->venue->market, moment->venue->names, &portfolio, verdict);
    return verdict->certainty == PL_CERTAIN && verdict->doubt_count == 0 &&
           verdict->equity_vu.low > 0;
}

/* The leg's lots with their cost, over all sources of the record; a cost is rounded up. */
static pl_i128 cost_of(const struct pl_record_holdings *record, const struct pl_id *instrument)
{
    pl_i128 cost_vu = 0, part = 0;
    for (uint32_t i = 0; i < record->leg_count; i++)
        if (pl_id_equal(&record->legs[i].instrument, instrument) &&
            !pl_rescale_wide(record->legs[i].cost.mantissa, record->legs[i].cost.exponent, 12,
                             PL_ROUND_CEIL, &part))
            cost_vu += part;
    return cost_vu;
}

static enum pl_err add_winners(struct waterfall *waterfall, const struct moment *moment,
                               uint32_t row)
{
    const struct venue *venue = moment->venue;
    const struct pl_account *account = pl_book_at(moment->ledger->book, row);
    struct pl_verdict verdict;
    bool is_known = false;
    for (uint32_t i = 0; i < account->leg_count; i++) {
        const struct pl_leg *leg = &pl_book_legs(moment->ledger->book, row)[i];
        const struct pl_instrument *instrument = &venue->parameters->instruments[leg->instrument];
        if (!is_derivative(instrument) || leg->lots == 0 || leg->lots == INT64_MIN)
            continue;
        if (!is_known && !may_win(moment, row, &verdict))
            return PL_OK;
        is_known = true;
        const struct pl_id *id = &venue->names->ids[leg->instrument];
        pl_i128 cost_vu = cost_of(&waterfall->record, id);
        pl_i128 value_vu = (pl_i128)leg->lots * venue->market->quotes[leg->instrument].lot_vu;
        if (value_vu <= cost_vu)
            continue;
        if (waterfall->candidate_count == PEOPLE_MAX)
            return is_full("derivatives in profit", PEOPLE_MAX);
        waterfall->candidates[waterfall->candidate_count++] = (struct candidate){
            .winner = { .account = account->id, .lots = leg->lots, .cost_vu = cost_vu,
                        .profit_vu = value_vu - cost_vu, .equity_vu = verdict.equity_vu.low,
                        .gross_vu = verdict.gross_vu },
            .instrument = *id, .lot_decimals = instrument->lot_decimals };
    }
    return PL_OK;
}

/* Costs are in the records only, of which the book has the newest below the entry's vector. */
static enum pl_err read_costs(struct waterfall *waterfall, const struct bundle *bundle,
                              const struct moment *moment)
{
    struct bundle_cursor cursor = { .stream = bundle_find(bundle, PL_TOPIC_HOLDINGS,
                                                          moment->entry->partition) };
    const struct pl_coordinate *read = journal_coordinate(moment->entry, PL_TOPIC_HOLDINGS);
    memset(waterfall->is_seen, 0, pl_book_count(moment->ledger->book));
    for (;;) {
        struct pl_record record;
        bool found = false;
        uint32_t row = 0;
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found || !read || record.offset >= read->offset)
            return err;
        if (pl_wire_is_watermark(record.key) ||
            pl_wire_record_decode(&waterfall->wire, record.key, record.value,
                                  &waterfall->record) ||
            !pl_book_find(moment->ledger->book, &waterfall->record.account, &row) ||
            pl_book_at(moment->ledger->book, row)->version != waterfall->record.version ||
            waterfall->is_seen[row])
            continue;
        waterfall->is_seen[row] = 1;
        err = add_winners(waterfall, moment, row);
        if (err)
            return err;
    }
}

static enum pl_err add_partition(struct waterfall *waterfall, const struct bundle *bundle,
                                 const struct moment *moment)
{
    enum pl_err err = PL_OK;
    uint32_t count = pl_book_count(moment->ledger->book);
    if (count > PEOPLE_MAX)
        err = is_full("accounts of a partition", PEOPLE_MAX);
    for (uint32_t row = 0; !err && row < count; row++)
        err = add_account(waterfall, moment, row);
    if (!err)
        err = read_costs(waterfall, bundle, moment);
    json_t *partition = risk_moment(moment);
    json_object_set_new(partition, "partition", json_integer(moment->entry->partition));
    json_array_append_new(waterfall->partitions, partition);
    return err;
}

/* ---- who bears ------------------------------------------------------------------------------- */

static int by_account(const void *left, const void *right)
{
    const struct debtor *a = left, *b = right;
    return pl_id_compare(&a->account, &b->account);
}

static int by_debt(const void *left, const void *right)
{
    const struct debtor *a = left, *b = right;
    if (a->debt_vu != b->debt_vu)
        return a->debt_vu > b->debt_vu ? -1 : 1;
    return by_account(left, right);
}

static int compare_shares(const void *left, const void *right)
{
    const struct pl_share *a = left, *b = right;
    return pl_id_compare(&a->account, &b->account);
}

/* By instrument, longs first. */
static int by_side(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = pl_id_compare(&a->instrument, &b->instrument);
    if (order == 0)
        order = (a->winner.lots < 0) - (b->winner.lots < 0);
    return order ? order : pl_id_compare(&a->winner.account, &b->winner.account);
}

static pl_i128 debt_left(const struct debtor *debtor)
{
    return debtor->debt_vu - debtor->insured_vu - debtor->deleveraged_vu - debtor->shared_vu;
}

/* Divides among all debts, in the order of their accounts, in proportion to what is left of each. */
static void spread(struct waterfall *waterfall, pl_i128 total_vu, struct pl_share *parts)
{
    qsort(waterfall->debtors, waterfall->debtor_count, sizeof(waterfall->debtors[0]), by_account);
    for (uint32_t i = 0; i < waterfall->debtor_count; i++)
        parts[i] = (struct pl_share){ .account = waterfall->debtors[i].account,
                                      .weight = debt_left(&waterfall->debtors[i]) };
    if (!pl_divide(total_vu, parts, waterfall->debtor_count))
        pl_assert(total_vu == 0); /* debts are in the exact range: there are none */
}

static pl_i128 total_left(const struct waterfall *waterfall)
{
    pl_i128 sum = 0;
    for (uint32_t i = 0; i < waterfall->debtor_count; i++)
        sum += debt_left(&waterfall->debtors[i]);
    return sum;
}

static void insure(struct waterfall *waterfall, struct pl_share *parts)
{
    waterfall->paid_vu = pl_min(total_left(waterfall), waterfall->fund_vu);
    spread(waterfall, waterfall->paid_vu, parts);
    for (uint32_t i = 0; i < waterfall->debtor_count; i++)
        waterfall->debtors[i].insured_vu = parts[i].amount_vu;
}

/* One queue for each derivative and side. */
static void line_up(struct waterfall *waterfall)
{
    struct candidate *candidates = waterfall->candidates;
    qsort(candidates, waterfall->candidate_count, sizeof(candidates[0]), by_side);
    for (uint32_t i = 0; i < waterfall->candidate_count; i++) {
        bool is_long = candidates[i].winner.lots > 0;
        struct queue *queue = waterfall->queue_count > 0
                                  ? &waterfall->queues[waterfall->queue_count - 1] : NULL;
        if (!queue || queue->is_long != is_long ||
            !pl_id_equal(&queue->instrument, &candidates[i].instrument)) {
            queue = &waterfall->queues[waterfall->queue_count++];
            *queue = (struct queue){ .instrument = candidates[i].instrument, .is_long = is_long,
                                     .lot_decimals = candidates[i].lot_decimals,
                                     .winners = &waterfall->winners[i] };
        }
        queue->winners[queue->count++] = candidates[i].winner;
    }
    for (uint32_t i = 0; i < waterfall->queue_count; i++)
        pl_rank_winners(waterfall->queues[i].winners, waterfall->queues[i].count);
}

/* The largest debt first: what is left of it is closed against those who won by it. */
static void deleverage(struct waterfall *waterfall)
{
    qsort(waterfall->debtors, waterfall->debtor_count, sizeof(waterfall->debtors[0]), by_debt);
    for (uint32_t i = 0; i < waterfall->debtor_count; i++) {
        struct debtor *debtor = &waterfall->debtors[i];
        for (uint32_t k = 0; k < debtor->leg_count; k++)
            for (uint32_t q = 0; q < waterfall->queue_count; q++) {
                struct queue *queue = &waterfall->queues[q];
                if (queue->is_long == (debtor->legs[k].lots < 0) &&
                    pl_id_equal(&queue->instrument, &debtor->legs[k].instrument))
                    debtor->deleveraged_vu += pl_deleverage(queue->winners, queue->count,
                                                            debtor->legs[k].lots,
                                                            debt_left(debtor));
            }
    }
}

/* In proportion to what each has left. Without anybody to bear it, it is borne by nobody. */
static void socialise(struct waterfall *waterfall, struct pl_share *parts)
{
    struct pl_share *shares = waterfall->shares;
    qsort(shares, waterfall->share_count, sizeof(shares[0]), compare_shares);
    for (uint32_t q = 0; q < waterfall->queue_count; q++)
        for (uint32_t i = 0; i < waterfall->queues[q].count; i++) {
            const struct pl_winner *winner = &waterfall->queues[q].winners[i];
            const struct pl_share key = { .account = winner->account };
            struct pl_share *share = bsearch(&key, shares, waterfall->share_count,
                                             sizeof(shares[0]), compare_shares);
            if (share)
                share->weight = pl_max(0, share->weight - winner->charge_vu);
        }
    waterfall->shared_vu = total_left(waterfall);
    if (!pl_divide(waterfall->shared_vu, shares, waterfall->share_count))
        waterfall->shared_vu = 0;
    spread(waterfall, waterfall->shared_vu, parts);
    for (uint32_t i = 0; i < waterfall->debtor_count; i++)
        waterfall->debtors[i].shared_vu = parts[i].amount_vu;
}

/* ---- the document --------------------------------------------------------------------------- */

static json_t *debt_facts(const struct waterfall *waterfall)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < waterfall->debtor_count; i++) {
        const struct debtor *debtor = &waterfall->debtors[i];
        json_array_append_new(
            array, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "account",
                             debtor->account.text, "told_usd",
                             explain_decimal(debtor->told_vu, 12), "debt_usd",
                             explain_decimal(debtor->debt_vu, 12), "insured_usd",
                             explain_decimal(debtor->insured_vu, 12), "deleveraged_usd",
                             explain_decimal(debtor->deleveraged_vu, 12), "socialised_usd",
                             explain_decimal(debtor->shared_vu, 12), "unborne_usd",
                             explain_decimal(debt_left(debtor), 12)));
    }
    return array;
}

static json_t *queue_facts(const struct queue *queue)
{
    json_t *winners = json_array();
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct pl_winner *winner = &queue->winners[i];
        json_array_append_new(
            winners, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "account", winner->account.text,
                               "score", explain_decimal(pl_winner_score(winner), 12), "quantity",
                               explain_decimal(winner->lots, queue->lot_decimals), "profit_usd",
                               explain_decimal(winner->profit_vu, 12), "closed",
                               explain_decimal(winner->closed, queue->lot_decimals), "charge_usd",
                               explain_decimal(winner->charge_vu, 12)));
    }
    return json_pack("{s:s, s:s, s:o}", "instrument", queue->instrument.text, "side",
                     queue->is_long ? "long" : "short", "winners", winners);
}

static json_t *share_facts(const struct waterfall *waterfall)
{
    json_t *array = json_array();
    for (uint32_t i = 0; waterfall->shared_vu > 0 && i < waterfall->share_count; i++)
        json_array_append_new(array, json_pack("{s:s, s:o}", "account",
                                               waterfall->shares[i].account.text, "share_usd",
                                               explain_decimal(waterfall->shares[i].amount_vu, 12)));
    return array;
}

static json_t *document_of(const struct waterfall *waterfall)
{
    json_t *queues = json_array();
    for (uint32_t i = 0; i < waterfall->queue_count; i++)
        json_array_append_new(queues, queue_facts(&waterfall->queues[i]));
    return json_pack("{s:O, s:I, s:o, s:I, s:o, s:{s:s?, s:o, s:o}, s:o, s:o}", "partitions",
                     waterfall->partitions, "accounts", (json_int_t)waterfall->account_count,
                     "debts", debt_facts(waterfall), "waiting",
                     (json_int_t)waterfall->waiting_count, "waiting_usd",
                     explain_decimal(waterfall->waiting_vu, 12), "insurance", "account",
                     waterfall->fund, "equity_usd", explain_decimal(waterfall->fund_vu, 12),
                     "paid_usd", explain_decimal(waterfall->paid_vu, 12), "queues", queues,
                     "socialised", share_facts(waterfall));
}

static enum pl_err run_down(struct waterfall *waterfall)
{
    size_t size_bytes = sizeof(struct pl_share) * (waterfall->debtor_count + 1);
    void *parts = NULL;
    if (waterfall->fund && !waterfall->has_fund)
        return pl_err_set(PL_REJECT_CONFLICT, "no account %s has equity for certain: name the "
                          "insurance fund's account", waterfall->fund);
    enum pl_err err = pl_memory_map(size_bytes, &parts);
    if (err)
        return err;
    insure(waterfall, parts);
    line_up(waterfall);
    deleverage(waterfall);
    socialise(waterfall, parts);
    pl_memory_unmap(parts, size_bytes);
    return PL_OK;
}

enum pl_err risk_waterfall(const struct bundle *bundle, struct when at, const char *fund,
                           json_t **document)
{
    void *block = NULL, *wire = NULL;
    enum pl_err err = pl_memory_map(sizeof(struct waterfall), &block);
    if (!err)
        err = pl_memory_map(WIRE_BYTES, &wire);
    if (err)
        return err;
    struct waterfall *waterfall = block;
    waterfall->fund = fund;
    waterfall->partitions = json_array();
    pl_wire_init(&waterfall->wire, wire, WIRE_BYTES);
    for (int32_t p = 0; !err && p < bundle_partition_count(bundle); p++) {
        struct moment moment;
        err = moment_open(&moment, bundle, p, at, false);
        if (!err)
            err = add_partition(waterfall, bundle, &moment);
        moment_close(&moment);
    }
    if (!err)
        err = run_down(waterfall);
    if (!err)
        *document = document_of(waterfall);
    json_decref(waterfall->partitions);
    pl_memory_unmap(wire, WIRE_BYTES);
    pl_memory_unmap(block, sizeof(struct waterfall));
    return err;
}
