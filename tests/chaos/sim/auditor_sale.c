/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forced sales, proved: the auditor does not choose a sale, it shows that the published one is
 * allowed, named right, needed, enough, and that no lot less would do (RISK 4; G4, G5, G8, G9).
 * And that where there is none although one is due, none would help.
 */
#include <inttypes.h>
#include <string.h>

#include "tests/chaos/sim/auditor_parts.h"

/* ---- ids (DESIGN section 5) ------------------------------------------------------------------ */

static void add_number(struct hash *hash, uint64_t number, unsigned size_bytes)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(number >> 8 * (size_bytes - 1 - i));
    auditor_hash_add(hash, bytes, size_bytes);
}

static void cut(struct hash *hash, uint8_t id[PL_ORDER_ID_BYTES])
{
    uint8_t digest[HASH_BYTES];
    auditor_hash_end(hash, digest);
    memcpy(id, digest, PL_ORDER_ID_BYTES);
    id[6] = (uint8_t)(0x80 | (id[6] & 0x0f)); /* version 8 */
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f)); /* variant   */
}

void auditor_plan_id(const char *account, uint64_t episode, uint32_t revision,
                     uint8_t id[PL_ORDER_ID_BYTES])
{
    static const char domain[] = "plimsoll.plan.v1";
    struct hash *hash = auditor_hash_begin();
    auditor_hash_add(hash, domain, strlen(domain));
    const uint8_t *text = (const uint8_t *)account;
    size_t size_bytes = strcspn(account, "~"), bucket_at = size_bytes + (account[size_bytes] == '~');
    auditor_hash_part(hash, (struct pl_bytes_view){text, size_bytes});
    auditor_hash_part(hash, (struct pl_bytes_view){text + bucket_at, strlen(account + bucket_at)});
    add_number(hash, 8, 4);
    add_number(hash, episode, 8);
    add_number(hash, 4, 4);
    add_number(hash, revision, 4);
    cut(hash, id);
}

void auditor_order_id(const uint8_t plan_id[PL_ORDER_ID_BYTES], const char *instrument,
                      uint8_t id[PL_ORDER_ID_BYTES])
{
    struct hash *hash = auditor_hash_begin();
    auditor_hash_add(hash, plan_id, PL_ORDER_ID_BYTES);
    auditor_hash_add(hash, instrument, strlen(instrument));
    cut(hash, id);
}

/* ---- sales that are not there ---------------------------------------------------------------- */

bool auditor_upper_within_cash(const struct portfolio *portfolio, enum pl_tier tier, mpz_t excess)
{
    bool is_lent = false;
    if (!auditor_upper(portfolio, tier, excess))
        return false;
    for (int i = 0; i < portfolio->held_count; i++)
        for (int k = 0; k < portfolio->set->mode_weight_count; k++)
            is_lent |= portfolio->set->mode_weights[k].debt == portfolio->held[i].instrument &&
                       (portfolio->held[i].lots < 0 || portfolio->held[i].final_lots < 0);
    if (portfolio->mode > 0 || portfolio->may_owe_cash || !is_lent)
        return true;
    mpz_t cash;
    mpz_init(cash);
    mpz_mul_ui(cash, mpz_cmp(portfolio->cash, portfolio->final_cash) < 0 ? portfolio->cash
                                                                         : portfolio->final_cash, PL_PPM);
    if (mpz_cmp(cash, excess) < 0)
        mpz_set(excess, cash);
    mpz_clear(cash);
    return true;
}

static bool upper_within_cash(const struct portfolio *portfolio, mpz_t excess)
{
    return auditor_upper_within_cash(portfolio, PL_TIER_END, excess);
}

/* Whether one order of each leg, for all that may be sold of it, reaches the end tier. */
static bool does_unwinding_reach(const struct scene *scene, const struct account *account,
                                 const struct state *state)
{
    mpz_t excess;
    mpz_init(excess);
    auditor_fill(scene, account, state, scene->trial);
    for (int i = 0; i < scene->trial->leg_count; i++) {
        const struct leg *leg = &scene->trial->legs[i];
        int64_t limit = 0, lots = auditor_saleable(scene->trial, leg, &limit);
        if (lots > 0)
            auditor_execute(scene->trial, leg->instrument, leg->lots > 0, lots, limit);
    }
    bool reaches = upper_within_cash(scene->trial, excess) && mpz_sgn(excess) >= 0;
    mpz_clear(excess);
    return reaches;
}

/* All of a leg that may be sold, at the limit of the least order of it that the venue takes. */
struct parts {
    int instrument;
    bool is_sell;
    int64_t step, lots, most, limit;
};

static struct parts parts_of(const struct portfolio *portfolio, const struct leg *leg)
{
    struct parts parts = {.instrument = leg->instrument, .is_sell = leg->lots > 0};
    parts.most = auditor_saleable(portfolio, leg, &parts.limit);
    if (parts.most == 0)
        return parts;
    parts.step = auditor_rules_of(portfolio->set, leg->instrument)->step;
    int64_t low = 1, high = parts.most / parts.step;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (auditor_is_small(portfolio, parts.instrument, parts.is_sell, middle * parts.step))
            low = middle + 1;
        else
            high = middle;
    }
    parts.limit = auditor_limit(portfolio, parts.instrument, parts.is_sell, low * parts.step);
    return parts;
}

static bool excess_with(struct portfolio *portfolio, struct parts *parts, int64_t lots, mpz_t excess)
{
    auditor_execute(portfolio, parts->instrument, parts->is_sell, lots - parts->lots, parts->limit);
    parts->lots = lots;
    return upper_within_cash(portfolio, excess);
}

/* Sells as much of one leg as helps, as the others are: the excess is concave at one limit. */
static bool move_to_best(struct portfolio *portfolio, struct parts *parts, mpz_t excess, mpz_t more)
{
    int64_t low = 0, high = parts->most / parts->step;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (!excess_with(portfolio, parts, middle * parts->step, excess) ||
            !excess_with(portfolio, parts, (middle + 1) * parts->step, more))
            return false;
        if (mpz_cmp(more, excess) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return excess_with(portfolio, parts, high * parts->step, excess);
}

/* Whether no number of orders reaches the end tier: not what is left of everything sold, each leg in as many
 * orders as it takes, when what does not help is taken back. And of how many legs something may be sold. */
static bool is_lost(const struct scene *scene, const struct account *account,
                    const struct state *state, int *leg_count)
{
    struct parts parts[PL_LEGS_MAX];
    mpz_t excess, more;
    mpz_inits(excess, more, NULL);
    auditor_fill(scene, account, state, scene->trial);
    *leg_count = 0;
    for (int i = 0; i < scene->trial->leg_count; i++) {
        parts[*leg_count] = parts_of(scene->trial, &scene->trial->legs[i]);
        *leg_count += parts[*leg_count].most > 0;
    }
    bool is_known = upper_within_cash(scene->trial, excess);
    for (int i = 0; is_known && i < *leg_count; i++)
        is_known = excess_with(scene->trial, &parts[i], parts[i].most, excess);
    for (int i = 0; is_known && i < 2 * *leg_count && mpz_sgn(excess) < 0; i++)
        is_known = move_to_best(scene->trial, &parts[i % *leg_count], excess, more);
    bool is_below_end = is_known && mpz_sgn(excess) < 0;
    mpz_clears(excess, more, NULL);
    return is_below_end;
}

/* Whether one lot of some leg alone would help: the excess is concave, so else none of it does. */
static bool some_lot_helps(const struct scene *scene, const struct account *account,
                           const struct state *state)
{
    bool helps = false;
    mpz_t before, after;
    mpz_inits(before, after, NULL);
    auditor_fill(scene, account, state, scene->trial);
    bool is_known = upper_within_cash(scene->trial, before);
    for (int i = 0; is_known && !helps && i < scene->trial->leg_count; i++) {
        const struct leg *leg = &scene->trial->legs[i];
        int64_t limit = 0;
        int instrument = leg->instrument;
        bool is_sell = leg->lots > 0;
        int64_t whole = auditor_saleable(scene->trial, leg, &limit);
        if (whole == 0 || auditor_slice(scene->trial, instrument, is_sell, whole) == 0)
            continue;
        int64_t step = auditor_rules_of(scene->set, instrument)->step;
        limit = auditor_limit(scene->trial, instrument, is_sell, step);
        auditor_execute(scene->trial, instrument, is_sell, step, limit);
        helps = upper_within_cash(scene->trial, after) && mpz_cmp(after, before) > 0;
        auditor_execute(scene->trial, instrument, is_sell, -step, limit);
    }
    mpz_clears(before, after, NULL);
    return helps;
}

/* A due sale may be absent where nothing can be sold, nothing helps, the brake leaves nothing that does, or
 * there are no places. */
enum absence auditor_judge_absence(const struct scene *scene, const struct account *account,
                                   bool is_braked, struct state *state)
{
    int leg_count = 0;
    bool is_hopeless = is_lost(scene, account, state, &leg_count);
    bool has_places = state->pending_count + leg_count <= PL_PENDING_MAX;
    if (!has_places)
        return ABSENCE_NO_PLACE;
    bool is_wanted = !is_braked && (!is_hopeless || scene->set->closes_hopeless);
    if (leg_count > 0 && (is_wanted || some_lot_helps(scene, account, state)))
        return ABSENCE_WRONG;
    if (is_hopeless && auditor_is_below(account->verdict, PL_TIER_MAINTENANCE))
        state->state = PL_STATE_BANKRUPT;
    return is_hopeless ? ABSENCE_HOPELESS : ABSENCE_RIGHT;
}

/* ---- sales that are there -------------------------------------------------------------------- */

bool auditor_is_amount(const Plimsoll__V1__Amount *amount, const mpz_t number, int exponent)
{
    pl_i128 mantissa = 0;
    int own_exponent = 0;
    mpz_t said;
    if (!auditor_read_amount(amount, &mantissa, &own_exponent) || own_exponent != exponent)
        return false;
    mpz_init(said);
    auditor_set_i128(said, mantissa);
    bool is_equal = mpz_cmp(said, number) == 0;
    mpz_clear(said);
    return is_equal;
}

/* Ids, times and versions of one order. */
static bool check_order(const struct scene *scene, const struct account *account,
                        const struct state *state, const Plimsoll__V1__ForcedSaleOrder *order,
                        uint32_t revision)
{
    uint8_t plan_id[PL_ORDER_ID_BYTES], order_id[PL_ORDER_ID_BYTES], said[PL_ORDER_ID_BYTES];
    struct auditor_finding *finding = scene->finding;
    const char *id = account->id;
    if (!auditor_names(id, order->account, order->bucket))
        return auditor_find(finding, V_ORDER, "account %s: order %s names %s and bucket %s", id,
                            order->order_id, order->account, order->bucket);
    if (!order->has_episode || !order->has_revision || order->episode != state->episode ||
        order->revision != revision)
        return auditor_find(finding, I3,
                            "account %s: order %s is of episode %" PRIu64
                            " revision %u, expected %" PRIu64 " and %u",
                            id, order->order_id, order->episode, order->revision, state->episode,
                            revision);
    auditor_plan_id(id, order->episode, order->revision, plan_id);
    auditor_order_id(plan_id, order->instrument, order_id);
    if (!auditor_read_uuid(order->plan_id, said) || !auditor_same_id(said, plan_id))
        return auditor_find(finding, I3,
                            "account %s: plan id %s is not that of episode %" PRIu64 " revision %u",
                            id, order->plan_id, order->episode, order->revision);
    if (!auditor_read_uuid(order->order_id, said) || !auditor_same_id(said, order_id))
        return auditor_find(finding, I3, "account %s: order id %s is not that of plan %s and %s",
                            id, order->order_id, order->plan_id, order->instrument);
    if (order->created_ms != scene->now_ms ||
        order->valid_until_ms != auditor_later(scene->now_ms, scene->set->order_valid_ms))
        return auditor_find(finding, I5,
                            "account %s order %s: created %" PRId64 ", valid until %" PRId64
                            "; the clock was %" PRId64 " and orders live %" PRId64 " ms",
                            id, order->order_id, order->created_ms, order->valid_until_ms,
                            scene->now_ms, scene->set->order_valid_ms);
    if (order->holdings_version != account->holdings->version ||
        order->holdings_version < account->ordered_version)
        return auditor_find(finding, I9,
                            "account %s order %s: holdings version %" PRIu64
                            ", the book has %" PRIu64 ", an order before saw %" PRIu64,
                            id, order->order_id, order->holdings_version,
                            account->holdings->version, account->ordered_version);
    if (order->parameter_epoch != scene->set->epoch || order->control_epoch != scene->control_epoch)
        return auditor_find(finding, V_ORDER,
                            "account %s order %s: parameter epoch %" PRIu64
                            ", control epoch %" PRIu64 "; expected %" PRIu64 " and %" PRIu64,
                            id, order->order_id, order->parameter_epoch, order->control_epoch,
                            scene->set->epoch, scene->control_epoch);
    return true;
}

/* One price for each leg that has a mark, as it was seen. */
static bool check_prices(const struct scene *scene, const struct account *account,
                         const Plimsoll__V1__ForcedSaleOrder *order)
{
    size_t at = 0;
    for (int i = 0; i < account->holdings->leg_count; i++) {
        int instrument = account->holdings->legs[i].instrument;
        const struct mark *mark = &scene->marks[instrument];
        if (!mark->is_given)
            continue;
        const Plimsoll__V1__ForcedSaleOrder__PriceCoordinate *price = at < order->n_prices
                                                                          ? order->prices[at]
                                                                          : NULL;
        at++;
        if (!price || !price->price || !price->instrument ||
            strcmp(price->instrument, scene->names->text[instrument]) != 0 ||
            price->source_offset != mark->source_offset || price->tick != mark->tick ||
            price->price->mantissa != mark->mantissa || price->price->exponent != mark->exponent ||
            price->event_time_ms != mark->event_time_ms)
            return auditor_find(scene->finding, V_ORDER,
                                "account %s order %s: price %zu is not the "
                                "mark of %s that the entry had",
                                account->id, order->order_id, at, scene->names->text[instrument]);
    }
    if (at != order->n_prices)
        return auditor_find(scene->finding, V_ORDER,
                            "account %s order %s: %zu prices, expected %zu", account->id,
                            order->order_id, order->n_prices, at);
    return true;
}

/* Whether the leg may be sold so, of what is left after all that is pending. */
static bool check_leg(const struct scene *scene, const struct account *account,
                      const Plimsoll__V1__ForcedSaleOrder *order, int *last_rank)
{
    struct auditor_finding *finding = scene->finding;
    int instrument = auditor_name(scene->names, order->instrument);
    struct leg *leg = auditor_find_leg(scene->portfolio, instrument);
    const struct rules *rules = auditor_rules_of(scene->set, instrument);
    int64_t limit = 0, most = leg ? auditor_saleable(scene->portfolio, leg, &limit) : 0;
    const char *id = account->id, *order_id = order->order_id;
    if (!leg || !rules || rules->rank == 0)
        return auditor_find(finding, V_ORDER,
                            "account %s order %s: %s is not held or may not be "
                            "sold",
                            id, order_id, order->instrument);
    if (scene->quotes[instrument].status != PL_MARK_LIVE)
        return auditor_find(finding, I4,
                            "account %s order %s sells %s, whose mark is not live "
                            "(status %d, event time %" PRId64 ", clock %" PRId64 ")",
                            id, order_id, order->instrument, (int)scene->quotes[instrument].status,
                            scene->marks[instrument].event_time_ms, scene->now_ms);
    if (leg->lots != 0 &&
        (order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL) != (leg->lots > 0))
        return auditor_find(finding, V_ORDER, "account %s order %s: wrong side of %s", id, order_id,
                            order->instrument);
    if (most > 0)
        limit = auditor_limit(scene->portfolio, instrument, leg->lots > 0, (int64_t)order->lots);
    if (order->lots == 0 || order->lots > (uint64_t)most)
        return auditor_find(finding, V_PENDING,
                            "account %s order %s: %" PRIu64 " lots of %s, of which"
                            " %" PRId64 " may be sold after what is pending",
                            id, order_id, order->lots, order->instrument, most);
    if (order->lots % (uint64_t)rules->step != 0 ||
        order->lots > (uint64_t)auditor_slice(scene->portfolio, instrument, leg->lots > 0, most))
        return auditor_find(finding, V_ORDER,
                            "account %s order %s: %" PRIu64 " lots of %s are no steps or more than a "
                            "slice", id, order_id, order->lots, order->instrument);
    if (!order->limit_price || order->limit_price->mantissa != limit ||
        order->limit_price->exponent != -(int)rules->tick_decimals ||
        order->lot_decimals != rules->lot_decimals)
        return auditor_find(finding, V_ORDER, "account %s order %s: limit is not %" PRId64 " ticks",
                            id, order_id, limit);
    if (rules->rank <= *last_rank)
        return auditor_find(finding, V_ORDER, "account %s order %s: not in liquidity order", id,
                            order_id);
    *last_rank = rules->rank;
    return true;
}

static void execute(const struct scene *scene, const Plimsoll__V1__ForcedSaleOrder *order,
                    int64_t lots)
{
    bool is_sell = order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL;
    auditor_execute(scene->portfolio, auditor_name(scene->names, order->instrument), is_sell, lots,
                    order->limit_price->mantissa);
}

/* One step less would be too little for the venue, or leave it too little. */
static bool is_extension(const struct scene *scene, const struct account *account,
                         const struct state *state, const Plimsoll__V1__ForcedSaleOrder *order)
{
    int instrument = auditor_name(scene->names, order->instrument);
    int64_t limit = 0, step = auditor_rules_of(scene->set, instrument)->step;
    auditor_fill(scene, account, state, scene->trial);
    const struct leg *leg = auditor_find_leg(scene->trial, instrument);
    int64_t whole = auditor_saleable(scene->trial, leg, &limit), lots = (int64_t)order->lots;
    return auditor_is_small(scene->trial, instrument, leg->lots > 0, lots - step) ||
           (lots == whole && auditor_is_scrap(scene->trial, instrument, leg->lots > 0, step));
}

/* A plan of one order that leaves what is too little to be left, though all of the leg may be taken at once
 * and would reach too. Of several orders one may have needed the other's. */
static bool leaves_scrap(const struct scene *scene, const struct account *account,
                         const struct state *state, const struct decision *decision)
{
    int instrument = auditor_name(scene->names, decision->orders[0]->instrument);
    auditor_fill(scene, account, state, scene->trial);
    const struct leg *leg = auditor_find_leg(scene->trial, instrument);
    bool is_sell = leg->lots > 0;
    int64_t limit = 0, whole = auditor_saleable(scene->trial, leg, &limit);
    int64_t left = whole - (int64_t)decision->orders[0]->lots;
    if (decision->order_count > 1 || left <= 0 ||
        !auditor_is_scrap(scene->trial, instrument, is_sell, left) ||
        auditor_slice(scene->trial, instrument, is_sell, whole) < whole)
        return false;
    mpz_t excess;
    mpz_init(excess);
    auditor_execute(scene->trial, instrument, is_sell, whole, limit);
    bool leaves = upper_within_cash(scene->trial, excess) && mpz_sgn(excess) >= 0;
    mpz_clear(excess);
    return leaves;
}

/* Whether fewer lots would do at the limit of a better rung of the venue's ladder: its last step, or one
 * less, where the excess falls. */
static bool does_better_rung(const struct scene *scene, const Plimsoll__V1__ForcedSaleOrder *order)
{
    int instrument = auditor_name(scene->names, order->instrument);
    int64_t step = auditor_rules_of(scene->set, instrument)->step, lots = (int64_t)order->lots;
    bool is_sell = order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL, does = false;
    mpz_t excess;
    mpz_init(excess);
    execute(scene, order, -lots);
    while (!does && lots > 0) {
        int64_t limit = auditor_limit(scene->portfolio, instrument, is_sell, lots);
        int64_t low = 0, high = lots / step; /* the most steps at another limit */
        while (low < high) {
            int64_t middle = high - (high - low) / 2;
            if (auditor_limit(scene->portfolio, instrument, is_sell, middle * step) != limit)
                low = middle;
            else
                high = middle - 1;
        }
        lots = low * step;
        for (int64_t fewer = lots; !does && fewer > 0 && fewer >= lots - step; fewer -= step) {
            int64_t better = auditor_limit(scene->portfolio, instrument, is_sell, fewer);
            auditor_execute(scene->portfolio, instrument, is_sell, fewer, better);
            does = upper_within_cash(scene->portfolio, excess) && mpz_sgn(excess) >= 0;
            auditor_execute(scene->portfolio, instrument, is_sell, -fewer, better);
        }
    }
    execute(scene, order, (int64_t)order->lots);
    mpz_clear(excess);
    return does;
}

/* The proof on one order, and that no lot less would do (G9). */
static bool check_proof(const struct scene *scene, const struct account *account,
                        const struct state *state, const Plimsoll__V1__ForcedSaleOrder *order, bool is_bankrupt,
                        const mpz_t end_before, const mpz_t end_after)
{
    mpz_t less;
    mpz_init(less);
    int instrument = auditor_name(scene->names, order->instrument);
    int64_t step = auditor_rules_of(scene->set, instrument)->step;
    execute(scene, order, -step);
    bool is_known = upper_within_cash(scene->portfolio, less);
    execute(scene, order, step);
    const Plimsoll__V1__ForcedSaleOrder__Proof *proof = order->proof;
    bool is_right = true;
    if (order->has_extended && !is_extension(scene, account, state, order))
        is_right = auditor_find(scene->finding, V_SMALLEST,
                                "account %s order %s: %s is extended, and its venue would take less",
                                account->id, order->order_id, order->instrument);
    else if (is_known && !is_bankrupt && !order->has_extended && mpz_sgn(end_after) >= 0 && mpz_sgn(less) >= 0)
        is_right = auditor_find(scene->finding, V_SMALLEST,
                                "account %s order %s: one lot of %s less "
                                "would do",
                                account->id, order->order_id, order->instrument);
    else if (is_known && !order->has_extended && mpz_sgn(end_after) >= 0 &&
             does_better_rung(scene, order))
        is_right = auditor_find(scene->finding, V_SMALLEST,
                                "account %s order %s: fewer lots of %s would do at a better rung",
                                account->id, order->order_id, order->instrument);
    else if (!proof ||
             !auditor_is_amount(proof->maintenance_before,
                                account->verdict->high[PL_TIER_MAINTENANCE], -18) ||
             !auditor_is_amount(proof->end_before, end_before, -18) ||
             !auditor_is_amount(proof->end_after, end_after, -18) ||
             !auditor_is_amount(proof->end_one_lot_less, less, -18))
        is_right = auditor_find(scene->finding, V_ORDER,
                                "account %s order %s: the proof's numbers "
                                "are not those of the entry",
                                account->id, order->order_id);
    mpz_clear(less);
    return is_right;
}

/* What the limits of all orders give up against the marks, no less than any sale must, and by how much
 * more. That the bound holds is for the property tests to try; here it is a number of the entry. */
static bool check_cost(const struct scene *scene, const struct account *account,
                       const struct decision *decision, bool reaches)
{
    mpz_t cost, part, bound;
    bool is_right = true;
    mpz_inits(cost, part, bound, NULL);
    for (int i = 0; i < decision->order_count; i++) {
        const Plimsoll__V1__ForcedSaleOrder *order = decision->orders[i];
        int instrument = auditor_name(scene->names, order->instrument);
        const struct quote *quote = &scene->quotes[instrument];
        bool is_sell = order->side == PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL;
        mpz_set_si(part, order->limit_price->mantissa);
        mpz_mul_si(part, part, auditor_rules_of(scene->set, instrument)->multiplier);
        mpz_set_si(bound, is_sell ? quote->lot_vu : quote->short_vu); /* scratch */
        mpz_sub(part, part, bound);
        mpz_abs(part, part);
        mpz_mul_ui(part, part, order->lots);
        mpz_add(cost, cost, part);
    }
    for (int i = 0; is_right && i < decision->order_count; i++) {
        const Plimsoll__V1__ForcedSaleOrder__Proof *proof = decision->orders[i]->proof;
        pl_i128 mantissa = 0;
        int exponent = 0;
        if (!reaches) {
            is_right = proof && !proof->cost && !proof->cost_bound && !proof->has_gap_ppm;
            continue;
        }
        is_right = proof && auditor_is_amount(proof->cost, cost, -12) && proof->has_gap_ppm &&
                   auditor_read_amount(proof->cost_bound, &mantissa, &exponent) && exponent == -12;
        auditor_set_i128(bound, mantissa);
        mpz_sub(bound, cost, bound);
        mpz_mul_ui(bound, bound, PL_PPM); /* (cost - bound) / cost in ppm, up */
        if (mpz_sgn(cost) > 0)
            mpz_cdiv_q(bound, bound, cost);
        is_right = is_right && mantissa >= 0 && mpz_sgn(bound) >= 0 &&
                   mpz_cmp_ui(bound, proof->gap_ppm) == 0;
    }
    mpz_clears(cost, part, bound, NULL);
    return is_right || auditor_find(scene->finding, V_ORDER,
                                    "account %s: the cost, bound or gap of plan %s is another",
                                    account->id, decision->orders[0]->plan_id);
}

/* Whether some leg may not be sold whole at once. */
static bool is_sliced(const struct scene *scene, const struct account *account,
                      const struct state *state)
{
    bool is_found = false;
    auditor_fill(scene, account, state, scene->trial);
    for (int i = 0; !is_found && i < scene->trial->leg_count; i++) {
        const struct leg *leg = &scene->trial->legs[i];
        int64_t limit = 0, lots = auditor_saleable(scene->trial, leg, &limit);
        is_found = lots > 0 && auditor_slice(scene->trial, leg->instrument, leg->lots > 0, lots) < lots;
    }
    return is_found;
}

/* Every leg that may be sold has an order for all that may be sold of it at once. */
static bool is_all_sold(const struct scene *scene, const struct account *account,
                        const struct state *state, const struct decision *decision)
{
    bool is_all = true;
    auditor_fill(scene, account, state, scene->trial);
    for (int i = 0; is_all && i < scene->trial->leg_count; i++) {
        const struct leg *leg = &scene->trial->legs[i];
        int64_t limit = 0, lots = auditor_saleable(scene->trial, leg, &limit);
        if (lots == 0)
            continue;
        lots = auditor_slice(scene->trial, leg->instrument, leg->lots > 0, lots);
        if (lots == 0)
            continue; /* the brake leaves none */
        is_all = false;
        for (int k = 0; k < decision->order_count; k++)
            is_all |= auditor_name(scene->names, decision->orders[k]->instrument) ==
                          leg->instrument && decision->orders[k]->lots == (uint64_t)lots;
    }
    return is_all;
}

/* All orders together reach the end tier, or nothing does. */
static bool check_reach(const struct scene *scene, const struct account *account,
                        const struct state *state, const struct decision *decision,
                        const mpz_t end_after)
{
    int leg_count = 0;
    const Plimsoll__V1__ForcedSaleOrder *first = decision->orders[0];
    bool is_bankrupt = first->reason == PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;
    bool is_hopeless = is_lost(scene, account, state, &leg_count);
    if (mpz_sgn(end_after) >= 0) {
        if (is_bankrupt)
            return auditor_find(scene->finding, V_ORDER,
                                "account %s: called bankrupt, but order %s "
                                "and its plan reach the end tier",
                                account->id, first->order_id);
        return true;
    }
    bool has_room = leg_count <= PL_SALE_LEGS_MAX;
    if (is_bankrupt && !is_hopeless)
        return auditor_find(scene->finding, V_ORDER,
                            "account %s: called bankrupt in order %s, but selling everything reaches",
                            account->id, first->order_id);
    if (has_room && !is_sliced(scene, account, state) && does_unwinding_reach(scene, account, state))
        return auditor_find(scene->finding, V_SMALLEST,
                            "account %s: order %s and its plan do not "
                            "reach the end tier, but selling everything does",
                            account->id, first->order_id);
    if (has_room && is_bankrupt && scene->set->closes_hopeless &&
        !is_all_sold(scene, account, state, decision))
        return auditor_find(scene->finding, V_ORDER,
                            "account %s: nothing suffices, and order %s and its plan do not close it",
                            account->id, first->order_id);
    if (has_room && is_hopeless && !is_bankrupt)
        return auditor_find(scene->finding, V_ORDER,
                            "account %s: order %s and its plan do not reach "
                            "the end tier and it is not called bankrupt",
                            account->id, first->order_id);
    return true;
}

bool auditor_check_sale(const struct scene *scene, struct account *account,
                        const struct state *state, const struct decision *decision)
{
    int last_rank = 0;
    bool is_right = true;
    mpz_t before, after;
    for (int i = 0; i < decision->order_count; i++) {
        const Plimsoll__V1__ForcedSaleOrder *order = decision->orders[i];
        if (!check_order(scene, account, state, order, state->revision + 1) ||
            !check_prices(scene, account, order) || !auditor_check_call(scene, account, order))
            return false;
        if (order->leg != (uint32_t)i + 1 || order->leg_count != (uint32_t)decision->order_count)
            return auditor_find(scene->finding, V_ORDER,
                                "account %s order %s: leg %u of %u, expected "
                                "%d of %d",
                                account->id, order->order_id, order->leg, order->leg_count, i + 1,
                                decision->order_count);
        if (order->reason != decision->orders[0]->reason)
            return auditor_find(scene->finding, V_ORDER,
                                "account %s order %s: another reason than its"
                                " plan's",
                                account->id, order->order_id);
    }
    mpz_inits(before, after, NULL);
    auditor_fill(scene, account, state, scene->portfolio);
    for (int i = 0; is_right && i < decision->order_count; i++)
        is_right = check_leg(scene, account, decision->orders[i], &last_rank);
    if (is_right && auditor_upper(scene->portfolio, PL_TIER_END, before)) {
        for (int i = 0; i < decision->order_count; i++)
            execute(scene, decision->orders[i], (int64_t)decision->orders[i]->lots);
        bool is_bankrupt = decision->orders[0]->reason ==
                           PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;
        bool is_known = upper_within_cash(scene->portfolio, after);
        is_right = !is_known || check_reach(scene, account, state, decision, after);
        for (int i = 0; is_right && i < decision->order_count; i++)
            is_right = check_proof(scene, account, state, decision->orders[i], is_bankrupt, before,
                                   after);
        is_right = is_right && (!is_known || check_cost(scene, account, decision,
                                                        mpz_sgn(after) >= 0));
    }
    if (is_right && mpz_sgn(after) >= 0 && leaves_scrap(scene, account, state, decision))
        is_right = auditor_find(scene->finding, V_ORDER,
                                "account %s: order %s leaves less of its leg than may be left",
                                account->id, decision->orders[0]->order_id);
    mpz_clears(before, after, NULL);
    account->ordered_version = account->holdings->version;
    return is_right;
}

/* Whether anything may be sold, whatever the plan. */
bool auditor_may_be_sold(const struct scene *scene, const struct account *account,
                         const struct verdict *verdict, const struct state *state, bool is_halted,
                         const struct decision *decision)
{
    const char *id = account->id, *order_id = decision->orders[0]->order_id;
    if (is_halted)
        return auditor_find(scene->finding, V_HALT, "account %s: order %s though it is halted", id,
                            order_id);
    if (auditor_is_blind(scene, account, verdict) || auditor_has_overdue(state))
        return auditor_find(scene->finding, I4,
                            "account %s: order %s though the account is in doubt "
                            "(%s)",
                            id, order_id,
                            !account->holdings           ? "no holdings"
                            : account->holdings->has_gap ? "gap"
                            : account->is_tainted        ? "tainted"
                            : verdict->is_out_of_range   ? "out of range"
                                                         : "an order is overdue");
    if (auditor_is_sale_due(scene, account, verdict, state))
        return true;
    if (state->pending_count > 0 && auditor_is_below(verdict, PL_TIER_END) &&
        !auditor_is_below(verdict, PL_TIER_MAINTENANCE))
        return auditor_find(scene->finding, V_PENDING,
                            "account %s: order %s though what is pending "
                            "covers the deficit",
                            id, order_id);
    if (!verdict->is_certain && !auditor_is_below(verdict, PL_TIER_MAINTENANCE))
        return auditor_find(scene->finding, I4,
                            "account %s: order %s though an input in doubt "
                            "leaves it open whether it is below the line",
                            id, order_id);
    if (auditor_is_paused(scene, state))
        return auditor_find(scene->finding, V_PENDING,
                            "account %s: order %s before the pause is over", id, order_id);
    return auditor_find(scene->finding, V_ABOVE,
                        "account %s: order %s though it is not below the "
                        "line",
                        id, order_id);
}

void auditor_add_pending(const struct scene *scene, const struct decision *decision,
                         struct state *state)
{
    state->revision++;
    state->revision_after_ms = auditor_later(scene->now_ms, scene->set->revision_pause_ms);
    for (int i = 0; i < decision->order_count && state->pending_count < PL_PENDING_MAX; i++) {
        const Plimsoll__V1__ForcedSaleOrder *order = decision->orders[i];
        struct pending *pending = &state->pending[state->pending_count++];
        *pending = (struct pending){.instrument = auditor_name(scene->names, order->instrument),
                                    .is_sell = order->side ==
                                               PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL,
                                    .progress = PL_PROGRESS_OPEN,
                                    .lot_decimals = (int)order->lot_decimals,
                                    .limit = order->limit_price->mantissa,
                                    .limit_exponent = order->limit_price->exponent,
                                    .ordered = (int64_t)order->lots,
                                    .valid_until_ms = order->valid_until_ms};
        (void)auditor_read_uuid(order->order_id, pending->order_id);
    }
}
