/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters: the risk desk's base set becomes the effective set that everybody else goes by (DESIGN
 * section 4). The owner of prices-0 derives it: haircuts by lib/price/haircut.h from the newest marks,
 * everything else as the desk wrote it; a whole set under a new epoch, only when something changed
 * that people are told of. Every worker reads along, so that any of them can go on.
 *
 * Nothing is kept that the topic does not say: the last effective set contains its base set, the
 * announced targets and where each haircut stands on its way.
 *
 * Two owners. A worker that lost prices-0 without knowing may still publish. Epochs alone decide then:
 * everybody takes a set only if its epoch is above that of the last one taken and its base is not
 * older (pl_parameters_follow), and all read one partition, so all take the same. Two sets may bear
 * one epoch: the first counts. What is not taken still ends up as the topic's last word, and
 * compaction would leave it to those who come later: whoever owns prices-0 then and reads it derives
 * anew, above every epoch that was ever seen. So twins raise each other at most once per set that was
 * on its way, and fall silent with the first of them that knows it is none.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "lib/service/log.h"
#include "services/price/metrics.h"
#include "services/price/price.h"

enum { SEND_AGAIN_MS = 2000 };

/* ---- keeping sets --------------------------------------------------------------------------- */

static bool is_key(const struct pl_record *record, const char *word)
{
    return record->key.data && record->key.size_bytes == strlen(word) &&
           memcmp(record->key.data, word, record->key.size_bytes) == 0;
}

static bool are_equal(struct pl_bytes_view a, struct pl_bytes_view b)
{
    return a.size_bytes == b.size_bytes && memcmp(a.data, b.data, a.size_bytes) == 0;
}

static struct pl_bytes_view keep(uint8_t *block, struct pl_bytes_view value)
{
    pl_assert(value.size_bytes <= pl_topic_value_bytes_max(PL_TOPIC_PARAMETERS));
    memcpy(block, value.data, value.size_bytes);
    return (struct pl_bytes_view){block, value.size_bytes};
}

static void swap(struct pl_parameters **a, struct pl_parameters **b)
{
    struct pl_parameters *kept = *a;
    *a = *b;
    *b = kept;
}

/* A set written by hand under "effective" may not say what it comes from: then it is its own base. */
static uint64_t base_epoch_of(const struct pl_parameters *set)
{
    return set->base_epoch != 0 ? set->base_epoch : set->epoch;
}

/* The set in `spare` is the new base set, `value` its bytes in the form of pl_wire_parameters_base. */
static void take_base(struct price_service *service, struct pl_bytes_view value)
{
    struct parameters *parameters = &service->parameters;
    parameters->base_value = keep(parameters->base_block, value);
    swap(&parameters->base, &parameters->spare);
    parameters->has_base = true;
    parameters->derive_mono_ms = 0;
}

/* A set of the risk desk. If valid it is what the next effective set is derived from; if not, the
 * last valid one stays. Every worker judges it alike. */
static enum pl_err apply_base(struct price_service *service, const struct pl_record *record)
{
    struct parameters *parameters = &service->parameters;
    struct pl_bytes_view value;
    enum pl_err err = pl_wire_parameters_decode(service->wire, service->names, record->value,
                                                parameters->spare);
    if (!err && parameters->spare->base_epoch != 0)
        err = pl_err_set(PL_REJECT_PARAMETERS, "base_epoch: this is an effective set; write a base "
                         "set from what 'plimsoll parameters show base' prints");
    if (!err)
        err = pl_wire_parameters_base(service->wire, record->value, &value);
    if (err)
        return err;
    if (parameters->has_base && parameters->base->epoch == parameters->spare->epoch) {
        if (are_equal(value, parameters->base_value))
            return PL_OK; /* said twice, or already derived from before a restart */
        return pl_err_set(PL_REJECT_CONFLICT, "epoch %llu has been used by another set: raise it",
                          (unsigned long long)parameters->base->epoch);
    }
    if (parameters->has_base)
        err = pl_parameters_follow(parameters->base, parameters->spare, service->names);
    if (!err)
        take_base(service, value);
    return err;
}

/* Makes the set in `spare` the one in force. */
static void adopt(struct price_service *service)
{
    struct parameters *parameters = &service->parameters;
    const struct pl_parameters *next = parameters->spare;
    int64_t age_ms_max = 0, moving = 0;
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++) {
        const struct pl_instrument *rules = &next->instruments[i];
        pl_aggregate_follow(&service->instruments[i].aggregate,
                            &parameters->effective->instruments[i], rules);
        if (rules->is_listed && rules->price_rules.age_ms_max > age_ms_max)
            age_ms_max = rules->price_rules.age_ms_max;
        moving += rules->haircut.target_at_ms != 0;
    }
    parameters->age_ms_max = age_ms_max;
    pl_pegs_follow(&service->pegs, next);
    swap(&parameters->effective, &parameters->spare);
    parameters->has_effective = true;
    pl_metric_set(PL_METRIC_EPOCH, (double)parameters->effective->epoch);
    pl_metric_set(PL_METRIC_BASE_EPOCH, (double)base_epoch_of(parameters->effective));
    pl_metric_set(PL_METRIC_HAIRCUTS, (double)moving);
    pl_log(PL_LOG_INFO, "PARAMETERS_IN_FORCE", "a set of parameters took effect", "epoch",
           PL_LOG_INT((int64_t)parameters->effective->epoch), "base_epoch",
           PL_LOG_INT((int64_t)base_epoch_of(parameters->effective)), "instruments",
           PL_LOG_INT(parameters->effective->instrument_count), "haircuts_moving",
           PL_LOG_INT(moving), NULL);
}

/* Takes the base set out of the effective one where nothing newer is known. */
static enum pl_err recover_base(struct price_service *service)
{
    struct parameters *parameters = &service->parameters;
    struct pl_bytes_view value;
    if (parameters->has_base &&
        parameters->base->epoch >= base_epoch_of(parameters->effective))
        return PL_OK;
    enum pl_err err = pl_wire_parameters_base(service->wire, parameters->effective_value, &value);
    if (!err)
        err = pl_wire_parameters_decode(service->wire, service->names, value, parameters->spare);
    if (!err)
        take_base(service, value);
    return err;
}

/* What the topic's last effective set is, is remembered even if nobody takes it. */
static enum pl_err apply_effective(struct price_service *service, const struct pl_record *record)
{
    struct parameters *parameters = &service->parameters;
    parameters->is_astray = true;
    enum pl_err err = pl_wire_parameters_decode(service->wire, service->names, record->value,
                                                parameters->spare);
    if (err)
        return err;
    const uint64_t epoch = parameters->spare->epoch;
    if (epoch > parameters->last_epoch)
        parameters->last_epoch = epoch;
    if (parameters->has_effective && epoch <= parameters->effective->epoch) {
        parameters->is_astray = !are_equal(record->value, parameters->effective_value);
        return PL_OK;
    }
    if (parameters->has_effective)
        err = pl_parameters_follow(parameters->effective, parameters->spare, service->names);
    if (err)
        return err;
    parameters->is_astray = false;
    parameters->send_mono_ms = 0; /* what was on its way has come */
    parameters->effective_value = keep(parameters->effective_block, record->value);
    adopt(service);
    return recover_base(service);
}

enum pl_err price_apply_parameters(struct price_service *service, const struct pl_record *record)
{
    if (is_key(record, "shadow"))
        return PL_OK;
    if (!is_key(record, "base") && !is_key(record, "effective"))
        return pl_err_set(PL_REJECT_KEY, "key is none of base, effective, shadow");
    if (!record->value.data)
        return pl_err_set(PL_REJECT_MALFORMED, "no value: a set can only be replaced");
    return is_key(record, "base") ? apply_base(service, record)
                                  : apply_effective(service, record);
}

/* ---- deriving ------------------------------------------------------------------------------- */

/* The topic's last effective set is not what it should be, whatever the haircuts are. */
static bool is_behind(const struct parameters *parameters)
{
    return !parameters->has_effective || parameters->is_astray ||
           parameters->base->epoch > base_epoch_of(parameters->effective);
}

/* A figure of the venue in whole USD, rounded up; 0 where its mark says nothing. */
static int64_t figure_usd(const struct price_service *service, const struct pl_haircut_scale *scale)
{
    const struct pl_mark *mark = &service->instruments[scale->figure].aggregate.mark;
    int64_t usd = 0;
    if ((scale->from_usd == 0 && scale->to_usd == 0) || mark->status != PL_MARK_LIVE ||
        pl_rescale(mark->mantissa, mark->exponent, 0, PL_ROUND_CEIL, &usd))
        return 0;
    return usd;
}

/* Fills `derived`; whether it says anything that the set in force does not. */
static bool derive(struct price_service *service)
{
    struct parameters *parameters = &service->parameters;
    struct pl_parameters *next = parameters->derived;
    struct pl_haircut_news news = {.policy = &parameters->base->policy, .now_ms = service->now_ms};
    *next = *parameters->base;
    bool has_news = is_behind(parameters);
    for (uint32_t i = 0; i < service->names->count; i++) {
        const struct pl_mark *mark = &service->instruments[i].aggregate.mark;
        if (!next->instruments[i].is_listed || !next->instruments[i].haircut_model.is_present)
            continue;
        news.fast_ppm = mark->volatility_fast_ppm;
        news.slow_ppm = mark->volatility_slow_ppm;
        for (int k = 0; k < PL_SCALES; k++)
            news.figures_usd[k] = figure_usd(service, &next->instruments[i].haircut_model.scales[k]);
        has_news |= pl_haircut_derive(
            parameters->has_effective ? &parameters->effective->instruments[i] : NULL, &news,
            &next->instruments[i]);
    }
    /* The base set's own number as long as it is free: without derived haircuts the two keep step. */
    next->epoch = parameters->base->epoch > parameters->last_epoch ? parameters->base->epoch
                                                                   : parameters->last_epoch + 1;
    return has_news;
}

/* Packs the set and reads it as everybody will: by all rules, and after the one in force. */
static enum pl_err make_value(struct price_service *service, struct pl_bytes_view *value)
{
    struct parameters *parameters = &service->parameters;
    enum pl_err err = pl_wire_parameters_effective(service->wire, parameters->base_value,
                                                   service->names, parameters->derived, value);
    if (!err)
        err = pl_wire_parameters_decode(service->wire, service->names, *value, parameters->spare);
    if (!err && parameters->has_effective)
        err = pl_parameters_follow(parameters->effective, parameters->spare, service->names);
    return err;
}

/* A new base set at once, haircuts by the policy's interval. */
static bool is_due(const struct price_service *service)
{
    const struct parameters *parameters = &service->parameters;
    return parameters->has_base && price_has_read_parameters(service) &&
           price_has_read_marks(service) && service->mono_ms >= parameters->send_mono_ms &&
           (is_behind(parameters) || service->mono_ms >= parameters->derive_mono_ms) &&
           pl_group_owns(service->group, 0);
}

enum pl_err price_publish_parameters(struct price_service *service)
{
    static const char key[] = "effective";
    struct parameters *parameters = &service->parameters;
    struct pl_bytes_view value;
    if (!is_due(service))
        return PL_OK;
    /* Nothing will be due by itself where no instrument has a model: the interval is 0 then. */
    const int64_t interval_ms = parameters->base->policy.haircut_interval_ms;
    parameters->derive_mono_ms = interval_ms > 0 && interval_ms < INT64_MAX - service->mono_ms
                                     ? service->mono_ms + interval_ms : INT64_MAX;
    if (!derive(service))
        return PL_OK;
    parameters->send_mono_ms = service->mono_ms + SEND_AGAIN_MS;
    enum pl_err err = make_value(service, &value);
    if (err) {
        pl_metric_add(PL_METRIC_UNDERIVABLE, 1);
        pl_log(PL_LOG_WARN, "PARAMETERS_UNDERIVABLE", pl_err_text(), "epoch",
               PL_LOG_INT((int64_t)parameters->derived->epoch), "reason",
               PL_LOG_TEXT(pl_err_name(err)), NULL);
    } else {
        pl_metric_add(PL_METRIC_DERIVED, 1);
        pl_log(PL_LOG_INFO, "PARAMETERS_DERIVED", "publishing the effective set", "epoch",
               PL_LOG_INT((int64_t)parameters->derived->epoch), NULL);
        err = pl_producer_send(service->producer, PL_TOPIC_PARAMETERS, 0,
                               (struct pl_bytes_view){(const uint8_t *)key, sizeof key - 1}, value,
                               NULL, 0);
    }
    pl_wire_reset(service->wire);
    return pl_err_action(err) == PL_ACTION_REJECT ? PL_OK : err;
}
