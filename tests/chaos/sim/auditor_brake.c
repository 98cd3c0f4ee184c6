/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brake on cascades, written from the words of proto/ and plimsoll.h: what each account was left when
 * it was its turn, from the orders alone; whether what waits had to wait; and whether the partition's record
 * of what was used is right.
 */
#include "tests/chaos/sim/auditor_parts.h"

#include <inttypes.h>
#include <string.h>

#include "plimsoll/v1/account_state.pb-c.h"

static int64_t window_of(const struct set *set, int64_t now_ms)
{
    return now_ms / set->brake_window_ms * set->brake_window_ms;
}

/* floor(depth * share / (partitions * value of a lot)), or what the venue takes at least if that is more. */
static int64_t budget_of(const struct auditor *auditor, const struct partition *partition, int instrument)
{
    const struct rules *rules = auditor_rules_of(partition->set, instrument);
    const struct quote *quote = &partition->quotes[instrument];
    if (!rules || rules->rung_count == 0)
        return INT64_MAX;
    if (quote->status != PL_MARK_LIVE || quote->short_vu == 0)
        return 0;
    mpz_t lots, least;
    mpz_init_set_si(lots, rules->rungs[rules->rung_count - 1].usd_max);
    mpz_mul_si(lots, lots, partition->set->brake_depth);
    mpz_mul_si(lots, lots, 1000000);
    mpz_fdiv_q_ui(lots, lots, (unsigned long)quote->short_vu);
    mpz_fdiv_q_ui(lots, lots, (unsigned long)auditor->options.partition_count);
    mpz_init_set_si(least, rules->notional_usd);
    mpz_mul_si(least, least, 1000000000000);
    mpz_cdiv_q_ui(least, least, (unsigned long)(quote->lot_vu > 0 ? quote->lot_vu : quote->short_vu));
    mpz_cdiv_q_ui(least, least, (unsigned long)rules->step);
    if (mpz_sgn(least) == 0)
        mpz_set_ui(least, 1);
    mpz_mul_si(least, least, rules->step);
    if (mpz_cmp(least, lots) > 0)
        mpz_set(lots, least);
    int64_t budget = mpz_fits_slong_p(lots) ? mpz_get_si(lots) : INT64_MAX;
    mpz_clears(lots, least, NULL);
    return budget;
}

bool auditor_wants_sale(const struct decision *decision)
{
    const struct account *account = decision->account;
    int64_t pause_ms = account->has_state ? account->state.revision_after_ms : 0;
    bool is_held_back = decision->state.braked_ms > 0 && decision->state.revision_after_ms != pause_ms;
    return decision->order_count > 0 || is_held_back;
}

int64_t auditor_waits_since(const struct decision *decision)
{
    const struct account *account = decision->account;
    bool waits = auditor_wants_sale(decision) && account->has_state && account->state.braked_ms > 0;
    return waits ? account->state.braked_ms : INT64_MAX;
}

bool auditor_is_paused(const struct scene *scene, const struct state *state)
{
    const struct set *set = scene->set;
    int64_t longest_ms = set->brake_window_ms - (set->brake_window_ms > 0 ? scene->now_ms % set->brake_window_ms
                                                                          : 0);
    bool is_of_this_policy =
        state->braked_ms == 0 ||
        state->revision_after_ms <=
            auditor_later(auditor_later(scene->now_ms, longest_ms), set->revision_pause_ms);
    return scene->now_ms < state->revision_after_ms && is_of_this_policy;
}

/* Whether some leg may be sold of which the brake leaves less than the venue would take. */
static bool is_bound(const struct scene *scene, const struct account *account,
                     const struct state *before)
{
    bool is_found = false;
    auditor_fill(scene, account, before, scene->trial);
    for (int i = 0; !is_found && i < scene->trial->leg_count; i++) {
        const struct leg *leg = &scene->trial->legs[i];
        int64_t limit = 0, lots = auditor_saleable(scene->trial, leg, &limit);
        if (lots == 0)
            continue;
        int64_t braked = auditor_slice(scene->trial, leg->instrument, leg->lots > 0, lots);
        scene->trial->left = NULL;
        is_found = braked < auditor_slice(scene->trial, leg->instrument, leg->lots > 0, lots);
        scene->trial->left = scene->left;
    }
    return is_found;
}

bool auditor_judge_brake(const struct scene *scene, const struct account *account,
                         const struct state *before, const struct decision *decision,
                         struct state *next)
{
    if (decision->order_count == 0 && next->revision_after_ms > scene->now_ms)
        next->revision_after_ms = scene->now_ms; /* of a policy no longer in force */
    next->braked_ms = 0;
    if (!decision->message || decision->state.braked_ms == 0)
        return true;
    bool has_room = before->pending_count + PL_SALE_LEGS_MAX <= PL_PENDING_MAX;
    bool reaches = decision->order_count > 0 && decision->orders[0]->proof &&
                   decision->orders[0]->proof->end_after &&
                   *decision->orders[0]->proof->end_after->mantissa != '-';
    if (!scene->left || reaches || (!is_bound(scene, account, before) && has_room))
        return auditor_find(scene->finding, V_MISSED,
                            "account %s waits for the brake, which holds back nothing that it needs",
                            account->id);
    scene->counts->braked++;
    int64_t end_ms = auditor_later(window_of(scene->set, scene->now_ms), scene->set->brake_window_ms);
    next->braked_ms = before->braked_ms > 0 ? before->braked_ms : scene->now_ms;
    if (decision->order_count == 0)
        next->revision_after_ms = end_ms;
    return true;
}

bool auditor_check_brake(struct auditor *auditor, struct partition *partition)
{
    const Plimsoll__V1__AccountState *said = partition->budget ? partition->budget->facts : NULL;
    const Plimsoll__V1__ForcedSaleOrder *over = partition->over_budget;
    if (over)
        return auditor_fail(auditor, partition, V_ORDER, "order %s: the brake leaves less of %s",
                            over->order_id, over->instrument);
    if (!partition->has_braked && !partition->budget)
        return true;
    if (!partition->has_braked || !said || !said->budget || said->account)
        return auditor_fail(auditor, partition, V_STATE, "%s of what the brake has let pass",
                            partition->has_braked ? "there is no record" : "there is a needless record");
    int64_t used_count = 0;
    for (int i = 0; i < AUDITOR_NAMES_MAX; i++)
        used_count += partition->brake_used[i] > 0;
    bool is_right = said->budget->window_start_ms == partition->brake_window_ms &&
                    (int64_t)said->budget->n_uses == used_count;
    for (size_t i = 0; is_right && i < said->budget->n_uses; i++) {
        const Plimsoll__V1__AccountState__Budget__Use *use = said->budget->uses[i];
        is_right = partition->brake_used[auditor_name(&auditor->names, use->instrument)] == use->lots &&
                   (i == 0 || strcmp(said->budget->uses[i - 1]->instrument, use->instrument) < 0);
    }
    return is_right || auditor_fail(auditor, partition, V_STATE,
                                    "what the brake has let pass is not what was ordered");
}

/* Takes an order from what is left. */
static void take(struct auditor *auditor, struct partition *partition,
                 const Plimsoll__V1__ForcedSaleOrder *order, int64_t *left)
{
    int instrument = auditor_name(&auditor->names, order->instrument);
    int64_t window_ms = window_of(partition->set, partition->clock_ms);
    if (left[instrument] == INT64_MAX)
        return;
    if (partition->brake_window_ms < window_ms)
        memset(partition->brake_used, 0, sizeof(partition->brake_used));
    partition->brake_window_ms = window_ms;
    partition->has_braked = true;
    if ((int64_t)order->lots > left[instrument] && !partition->over_budget)
        partition->over_budget = order;
    left[instrument] -= (int64_t)order->lots;
    partition->brake_used[instrument] += (int64_t)order->lots;
}

void auditor_brake(struct auditor *auditor, struct partition *partition)
{
    const struct set *set = partition->set;
    int64_t left[AUDITOR_NAMES_MAX];
    partition->has_braked = false;
    partition->over_budget = NULL;
    if (set->brake_window_ms == 0)
        return;
    for (int i = 0; i < AUDITOR_NAMES_MAX; i++) {
        bool is_old = partition->brake_window_ms < window_of(set, partition->clock_ms);
        int64_t used = is_old ? 0 : partition->brake_used[i], budget = budget_of(auditor, partition, i);
        left[i] = budget == INT64_MAX ? INT64_MAX : budget > used ? budget - used : 0;
    }
    for (size_t i = 0; i < partition->decisions.count; i++) {
        struct decision *decision = partition->decisions.items[i];
        int64_t *turn = auditor_take(&auditor->memory, sizeof(left));
        memcpy(turn, left, sizeof(left));
        decision->left = turn;
        for (int k = 0; k < decision->order_count; k++)
            take(auditor, partition, decision->orders[k], left);
    }
}
