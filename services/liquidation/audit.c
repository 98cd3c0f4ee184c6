/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-audit: in the background of every step a few accounts are decided once more, whether or not
 * the search named them, and their verdicts are held against the plain evaluator. The search may skip
 * only whom nothing could change (G3), so an account that this step left alone must not change now. What
 * differs means that the code or the machine is wrong: the partition stops deciding and says so.
 */
#include <stdio.h>

#include "lib/service/log.h"
#include "lib/service/process.h"
#include "services/liquidation/confirm.h"
#include "services/liquidation/liquidation.h"
#include "services/liquidation/metrics.h"

enum { ROWS_PER_STEP_MAX = 256 };

static bool is_staged(const struct liquidation *service, const struct partition *partition,
                      uint32_t row)
{
    for (uint32_t i = 0; i < partition->staged_count; i++)
        if (service->staging.states[partition->staged_first + i].index == row)
            return true;
    return false;
}

/* How many accounts are due, so that the sweep takes audit.sweep_s however fast steps come. */
static uint32_t rows_due(const struct liquidation *service, struct partition *partition)
{
    int64_t sweep_ms = (int64_t)service->settings->audit_sweep_s * 1000;
    int64_t mono_ms = pl_mono_ms();
    uint32_t count = pl_book_count(partition->ledger.book);
    if (sweep_ms == 0 || count == 0)
        return 0;
    int64_t due = (mono_ms - partition->audit_mono_ms) * count / sweep_ms;
    if (due <= 0)
        return 0;
    partition->audit_mono_ms = mono_ms;
    if (due > count)
        due = count;
    return due < ROWS_PER_STEP_MAX ? (uint32_t)due : ROWS_PER_STEP_MAX;
}

static bool diverge(struct liquidation *service, struct partition *partition, uint32_t row,
                    const char *text)
{
    const struct pl_id *account = &pl_book_at(partition->ledger.book, row)->id;
    pl_log(PL_LOG_ERROR, "SELF_AUDIT_DIVERGED", text, "partition", PL_LOG_INT(partition->number),
           "account", PL_LOG_TEXT(account->text), "clock_ms", PL_LOG_INT(service->now_ms), NULL);
    pl_metric_add(PL_METRIC_AUDIT_DIVERGED, 1);
    partition->has_diverged = true;
    partition->diverged_epoch = service->venue.control_epoch;
    return false;
}

static bool audit(struct liquidation *service, struct partition *partition, uint32_t row)
{
    static struct pl_decision decision; /* scratch */
    struct confirm_result result;
    char text[256], fast[PL_I128_TEXT_BYTES], plain[PL_I128_TEXT_BYTES];
    ledger_decide_account(&partition->ledger, &service->venue, row, &decision);
    if (decision.has_changed)
        return diverge(service, partition, row, "the search left out an account that needs something; "
                       "nothing is decided here until plimsoll resume");
    if (confirm_verdict(&partition->ledger, &service->venue, &decision, CONFIRM_ALL, &result))
        return true;
    pl_i128_print(result.fast, fast);
    pl_i128_print(result.plain, plain);
    snprintf(text, sizeof(text), "tier %d: an excess of %s was taken for %s (10^-18 USD); nothing is "
             "decided here until plimsoll resume", (int)result.tier, plain, fast);
    return diverge(service, partition, row, text);
}

bool audit_partition(struct liquidation *service, struct partition *partition)
{
    uint32_t due = rows_due(service, partition);
    for (uint32_t i = 0; i < due; i++) {
        if (partition->audit_next >= pl_book_count(partition->ledger.book)) {
            partition->audit_next = 0;
            pl_metric_add(PL_METRIC_AUDIT_SWEEPS, 1);
        }
        uint32_t row = partition->audit_next++;
        if (!is_staged(service, partition, row) && !audit(service, partition, row))
            return false;
    }
    pl_metric_add(PL_METRIC_AUDITED, due);
    return true;
}
