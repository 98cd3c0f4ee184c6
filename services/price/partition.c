/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a partition of prices comes to be owned, loaded and given up.
 *
 * No offset is ever committed. A price counts for age_ms_max, so a partition is read from twice
 * that long ago; a mark is restated every second, so its last one stands in the tail of marks.
 * Nothing is published for a partition before both were read to the ends seen when loading began:
 * half of the sources would look like a quorum lost. The marks topic is read on for good, so that a
 * partition that comes later finds its marks known already.
 */
#include "services/price/price.h"

#include "lib/kafka/start.h"
#include "lib/kafka/watchdog.h"
#include "lib/service/log.h"
#include "lib/service/process.h"
#include "services/price/metrics.h"

enum {
    QUERY_WAIT_MS = 2000,
    OWNERSHIP_EVENTS_MAX = 64,
    STALL_MS = 30000, /* a partition with work that stands still for so long is reported (G11) */
};

enum pl_err price_check_topics(struct price_service *service)
{
    static const enum pl_topic single[] = {PL_TOPIC_MARKS, PL_TOPIC_PARAMETERS};
    int32_t count = 0;
    enum pl_err err = pl_start_check_partitions(service->reader, single, 2, &count);
    if (!err && count != 1)
        return pl_err_set(PL_FATAL_CONFIG, "%s and %s have %d partitions instead of one: their "
                          "records are in one order for everybody",
                          service->kafka.topic_names[PL_TOPIC_MARKS],
                          service->kafka.topic_names[PL_TOPIC_PARAMETERS], (int)count);
    if (!err)
        err = pl_reader_partition_count(service->reader, PL_TOPIC_DEADLETTER, QUERY_WAIT_MS,
                                        &count);
    if (!err)
        err = pl_reader_partition_count(service->reader, PL_TOPIC_PRICES, QUERY_WAIT_MS,
                                        &service->partition_count);
    if (!err && service->partition_count > PL_PARTITIONS_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "%s has %d partitions; at most %d are supported",
                          service->kafka.topic_names[PL_TOPIC_PRICES],
                          (int)service->partition_count, PL_PARTITIONS_MAX);
    return err;
}

static void take(struct price_service *service, int32_t number)
{
    struct partition *partition = &service->partitions[number];
    if (partition->stage != STAGE_FREE)
        return;
    *partition = (struct partition){.stage = STAGE_WAITING};
    pl_log(PL_LOG_INFO, "PARTITION_ASSIGNED", "loading", "partition", PL_LOG_INT(number), NULL);
}

static void drop(struct price_service *service, int32_t number)
{
    struct partition *partition = &service->partitions[number];
    if (partition->stage == STAGE_FREE)
        return;
    if (partition->stage != STAGE_WAITING)
        (void)pl_reader_remove(service->reader, PL_TOPIC_PRICES, number);
    for (uint32_t i = 0; i < service->instrument_count; i++) {
        if (service->instruments[i].partition == number)
            pl_aggregate_forget(&service->instruments[i].aggregate);
    }
    partition->stage = STAGE_FREE;
    pl_metric_clear_labelled(PL_METRIC_LAG, (unsigned)number);
    pl_log(PL_LOG_INFO, "PARTITION_DROPPED", "no longer ours", "partition", PL_LOG_INT(number),
           NULL);
}

static enum pl_err follow_group(struct price_service *service)
{
    struct pl_ownership_event events[OWNERSHIP_EVENTS_MAX];
    unsigned count = 0;
    enum pl_err err = pl_group_poll(service->group, 0, events, OWNERSHIP_EVENTS_MAX, &count);
    for (unsigned i = 0; !err && i < count; i++) {
        if (events[i].kind == PL_OWNERSHIP_ASSIGNED)
            take(service, events[i].partition);
        else
            drop(service, events[i].partition);
    }
    return err;
}

/* After the group has answered, so that whoever owns prices-0 knows it when he reads a bad set. */
static enum pl_err open_parameters(struct price_service *service)
{
    int64_t first = 0;
    if (service->is_open || !pl_group_joined(service->group))
        return PL_OK;
    enum pl_err err = pl_reader_watermarks(service->reader, PL_TOPIC_PARAMETERS, 0, QUERY_WAIT_MS,
                                           &first, &service->parameters_end);
    if (!err)
        err = pl_reader_add(service->reader, PL_TOPIC_PARAMETERS, 0, first);
    service->is_open = !err;
    return err;
}

/* After the parameters, which say of what averages over past marks are made. */
static enum pl_err open_marks(struct price_service *service)
{
    struct pl_reader *reader = service->reader;
    int64_t from = 0, first = 0;
    if (service->has_marks_open || !price_has_read_parameters(service))
        return PL_OK;
    enum pl_err err = pl_reader_offset_at(reader, PL_TOPIC_MARKS, 0,
                                          pl_now_ms() - service->settings->marks_window_ms,
                                          QUERY_WAIT_MS, &from);
    if (!err)
        err = pl_reader_watermarks(reader, PL_TOPIC_MARKS, 0, QUERY_WAIT_MS, &first,
                                   &service->marks_end);
    if (!err)
        err = pl_reader_add(reader, PL_TOPIC_MARKS, 0, from);
    service->has_marks_open = !err;
    return err;
}

bool price_has_read_parameters(const struct price_service *service)
{
    return service->is_open && pl_reader_position(service->reader, PL_TOPIC_PARAMETERS, 0) >=
                                   service->parameters_end;
}

bool price_has_read_marks(const struct price_service *service)
{
    return service->has_marks_open &&
           pl_reader_position(service->reader, PL_TOPIC_MARKS, 0) >= service->marks_end;
}

static enum pl_err start_loading(struct price_service *service, int32_t number)
{
    struct partition *partition = &service->partitions[number];
    struct pl_reader *reader = service->reader;
    int64_t first = 0, from = 0;
    if (!service->parameters.has_effective || !service->has_marks_open)
        return PL_OK;
    if (number >= service->partition_count)
        return pl_err_set(PL_FATAL_CONFIG, "%s has more partitions than when this service began: "
                          "restart all price services, since instruments have moved",
                          service->kafka.topic_names[PL_TOPIC_PRICES]);
    enum pl_err err = pl_reader_offset_at(reader, PL_TOPIC_PRICES, number,
                                          pl_now_ms() - 2 * service->parameters.age_ms_max, QUERY_WAIT_MS,
                                          &from);
    if (!err)
        err = pl_reader_watermarks(reader, PL_TOPIC_PRICES, number, QUERY_WAIT_MS, &first,
                                   &partition->prices_end);
    if (!err)
        err = pl_reader_watermarks(reader, PL_TOPIC_MARKS, 0, QUERY_WAIT_MS, &first,
                                   &partition->marks_end);
    if (!err)
        err = pl_reader_add(reader, PL_TOPIC_PRICES, number, from);
    if (!err)
        partition->stage = STAGE_LOADING;
    return err;
}

static void finish_loading(struct price_service *service, int32_t number)
{
    struct partition *partition = &service->partitions[number];
    const int64_t position = pl_reader_position(service->reader, PL_TOPIC_PRICES, number);
    if (position < partition->prices_end ||
        pl_reader_position(service->reader, PL_TOPIC_MARKS, 0) < partition->marks_end)
        return;
    partition->stage = STAGE_RUNNING;
    partition->position = position;
    partition->moved_mono_ms = pl_mono_ms();
    service->sweep_mono_ms = 0;
    pl_log(PL_LOG_INFO, "PARTITION_LOADED", "running", "partition", PL_LOG_INT(number), "offset",
           PL_LOG_INT(position), NULL);
}

enum pl_err price_follow(struct price_service *service)
{
    enum pl_err err = follow_group(service);
    if (!err)
        err = open_parameters(service);
    if (!err)
        err = open_marks(service);
    for (int32_t i = 0; !err && i < PL_PARTITIONS_MAX; i++) {
        if (service->partitions[i].stage == STAGE_WAITING) {
            pl_watchdog_beat("start loading");
            err = start_loading(service, i);
        } else if (service->partitions[i].stage == STAGE_LOADING) {
            finish_loading(service, i);
        }
    }
    return err;
}

void price_check_progress(struct price_service *service)
{
    /* After an outage of the brokers everybody has the whole time again. */
    const int64_t mono_ms = service->mono_ms;
    const bool was_away = mono_ms - service->progress_mono_ms > STALL_MS / 10;
    int32_t stalled = -1;
    service->progress_mono_ms = mono_ms;
    for (int32_t i = 0; i < service->partition_count; i++) {
        struct partition *partition = &service->partitions[i];
        if (partition->stage != STAGE_RUNNING)
            continue;
        const int64_t position = pl_reader_position(service->reader, PL_TOPIC_PRICES, i);
        const int64_t end = pl_reader_end_cached(service->reader, PL_TOPIC_PRICES, i);
        const int64_t lag = end > position ? end - position : 0;
        if (position != partition->position || lag == 0 || was_away)
            partition->moved_mono_ms = mono_ms;
        partition->position = position;
        if (mono_ms - partition->moved_mono_ms > STALL_MS)
            stalled = i;
        pl_metric_set_labelled(PL_METRIC_LAG, (unsigned)i, (double)lag);
    }
    atomic_store(&service->stalled_partition, stalled);
}

enum price_condition price_condition_of(const struct price_service *service)
{
    if (!pl_group_joined(service->group))
        return PL_CONDITION_NO_GROUP;
    if (!price_has_read_parameters(service))
        return PL_CONDITION_LOADING;
    if (!service->parameters.has_effective)
        return PL_CONDITION_NO_PARAMETERS;
    for (int32_t i = 0; i < PL_PARTITIONS_MAX; i++) {
        const enum stage stage = service->partitions[i].stage;
        if (stage == STAGE_WAITING || stage == STAGE_LOADING)
            return PL_CONDITION_LOADING;
    }
    return PL_CONDITION_READY;
}

const char *price_condition_text(enum price_condition condition)
{
    static const char *const texts[PL_CONDITION_COUNT] = {
        [PL_CONDITION_STARTING] = "starting",
        [PL_CONDITION_NO_BROKER] = "no Kafka broker can be reached: check kafka.bootstrap.servers, "
                                "the network and the brokers",
        [PL_CONDITION_NO_GROUP] = "waiting for the consumer group's first answer",
        [PL_CONDITION_NO_PARAMETERS] = "no parameters: publish a base set with "
                                    "'plimsoll parameters put FILE'",
        [PL_CONDITION_LOADING] = "reading the tails of prices and marks",
        [PL_CONDITION_READY] = "ready",
    };
    return texts[condition];
}
