/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step 1 of the event's path: records in offset order per partition. The reader's handle joins no
 * group and fetches what we assign from offsets that we resolved, with auto.offset.reset=error:
 * librdkafka never chooses where to start, so no input is skipped or read twice (G1; T1, T2).
 * Membership of the group is in group.c.
 */
#include "lib/kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/kafka/handle.h"

/* One partition; all zero while it is not read. */
struct pl_reading {
    int64_t position; /* of the next record that may be delivered                           */
    bool is_reading;
    bool is_paused;   /* librdkafka keeps this over an unassignment, so it is kept here too */
};

struct pl_reader {
    struct pl_kafka_link link;
    const char *topic_names[PL_TOPIC_COUNT];
    enum pl_topic last_topic;     /* where the search for a record's topic begins */
    rd_kafka_message_t *message;  /* what the last record's views point into      */
    struct pl_reading readings[PL_TOPIC_COUNT][PL_PARTITIONS_MAX];
};

static struct pl_reading *reading_of(struct pl_reader *reader, enum pl_topic topic,
                                     int32_t partition)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    pl_assert(partition >= 0 && partition < PL_PARTITIONS_MAX);
    return &reader->readings[topic][partition];
}

enum pl_err pl_reader_open(struct pl_reader **reader, const struct pl_kafka_settings *settings,
                           bool uncommitted)
{
    rd_kafka_conf_t *conf = NULL;
    enum pl_err err = pl_kafka_conf(settings, PL_KAFKA_READER, &conf);

    *reader = NULL;
    if (!err)
        err = pl_kafka_conf_set(conf, "isolation.level",
                                uncommitted ? "read_uncommitted" : "read_committed");
    /* The news of a partition's end carries the position over markers and aborted records (T8). */
    if (!err)
        err = pl_kafka_conf_set(conf, "enable.partition.eof", "true");
    if (err)
        return err;

    struct pl_reader *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        rd_kafka_conf_destroy(conf);
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a reader");
    }
    memcpy(opened->topic_names, settings->topic_names, sizeof(opened->topic_names));

    err = pl_kafka_link_open(&opened->link, PL_KAFKA_READER, conf);
    if (err) {
        free(opened);
        return err;
    }
    rd_kafka_poll_set_consumer(opened->link.rk);
    *reader = opened;
    return PL_OK;
}

static void drop_message(struct pl_reader *reader)
{
    if (reader->message != NULL)
        rd_kafka_message_destroy(reader->message);
    reader->message = NULL;
}

void pl_reader_close(struct pl_reader **reader)
{
    if (*reader == NULL)
        return;
    drop_message(*reader);
    /* There is no group to leave, so there is nothing to wait for. */
    rd_kafka_destroy_flags((*reader)->link.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(*reader);
    *reader = NULL;
}

enum pl_err pl_reader_add(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                          int64_t offset)
{
    struct pl_reading *reading = reading_of(reader, topic, partition);

    pl_assert(!reading->is_reading);
    pl_assert(offset >= 0);
    rd_kafka_topic_partition_list_t *list =
        pl_kafka_list(reader->topic_names[topic], partition, offset);
    enum pl_err err = pl_kafka_error_take(rd_kafka_incremental_assign(reader->link.rk, list),
                                          "assign");
    if (!err && reading->is_paused)
        rd_kafka_resume_partitions(reader->link.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        return pl_err_note(err, "%s[%d]", reader->topic_names[topic], partition);

    *reading = (struct pl_reading){.position = offset, .is_reading = true};
    return PL_OK;
}

enum pl_err pl_reader_remove(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    struct pl_reading *reading = reading_of(reader, topic, partition);

    pl_assert(reading->is_reading);
    rd_kafka_topic_partition_list_t *list =
        pl_kafka_list(reader->topic_names[topic], partition, RD_KAFKA_OFFSET_INVALID);
    enum pl_err err = pl_kafka_error_take(rd_kafka_incremental_unassign(reader->link.rk, list),
                                          "unassign");
    rd_kafka_topic_partition_list_destroy(list);
    reading->is_reading = false;
    return err ? pl_err_note(err, "%s[%d]", reader->topic_names[topic], partition) : PL_OK;
}

/* Pausing drops what is queued inside and fetches it again after the resumption. */
static enum pl_err set_paused(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                              bool is_paused)
{
    struct pl_reading *reading = reading_of(reader, topic, partition);

    pl_assert(reading->is_reading);
    if (reading->is_paused == is_paused)
        return PL_OK;
    rd_kafka_topic_partition_list_t *list =
        pl_kafka_list(reader->topic_names[topic], partition, RD_KAFKA_OFFSET_INVALID);
    rd_kafka_resp_err_t code = is_paused ? rd_kafka_pause_partitions(reader->link.rk, list)
                                         : rd_kafka_resume_partitions(reader->link.rk, list);
    if (code == 0)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != 0)
        return pl_kafka_error(code, is_paused ? "pause" : "resume");
    reading->is_paused = is_paused;
    return PL_OK;
}

enum pl_err pl_reader_pause(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    return set_paused(reader, topic, partition, true);
}

enum pl_err pl_reader_resume(struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    return set_paused(reader, topic, partition, false);
}

/* The partition a message is about; NULL when we do not read it (any more). */
static struct pl_reading *reading_of_message(struct pl_reader *reader,
                                             const rd_kafka_message_t *message,
                                             enum pl_topic *topic)
{
    if (message->rkt == NULL || message->partition < 0 ||
        message->partition >= PL_PARTITIONS_MAX)
        return NULL;

    const char *name = rd_kafka_topic_name(message->rkt);
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        *topic = (enum pl_topic)((reader->last_topic + i) % PL_TOPIC_COUNT);
        if (reader->topic_names[*topic] == NULL ||
            strcmp(reader->topic_names[*topic], name) != 0)
            continue;
        reader->last_topic = *topic;
        struct pl_reading *reading = reading_of(reader, *topic, message->partition);
        return reading->is_reading ? reading : NULL;
    }
    return NULL;
}

/* An error among the records: the partition's end, or trouble. */
static enum pl_err judge_message(struct pl_reader *reader, const rd_kafka_message_t *message)
{
    enum pl_topic topic;
    struct pl_reading *reading = reading_of_message(reader, message, &topic);

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (reading != NULL && message->offset > reading->position)
            reading->position = message->offset;
        return PL_OK;
    }
    if (message->rkt != NULL && reading == NULL)
        return PL_OK; /* about a partition that was removed meanwhile */
    enum pl_err err = pl_err_set(pl_kafka_meaning(message->err), "%s",
                                 rd_kafka_message_errstr(message));
    if (message->rkt != NULL)
        err = pl_err_note(err, "%s[%d] at offset %lld", rd_kafka_topic_name(message->rkt),
                          message->partition, (long long)message->offset);
    return err;
}

static struct pl_bytes_view view_of(const void *data, size_t size_bytes)
{
    return (struct pl_bytes_view){.data = data, .size_bytes = data != NULL ? size_bytes : 0};
}

static void fill_headers(const rd_kafka_message_t *message, struct pl_record *record)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *data;
    size_t size_bytes;

    record->header_count = 0;
    if (rd_kafka_message_headers(message, &headers) != 0)
        return;
    while (record->header_count < PL_HEADERS_MAX &&
           rd_kafka_header_get_all(headers, record->header_count, &name, &data, &size_bytes) == 0)
        record->headers[record->header_count++] =
            (struct pl_header){.name = name, .value = view_of(data, size_bytes)};
}

/* True when the message is a record that is due; then *record points into it. */
static bool fill_record(struct pl_reader *reader, const rd_kafka_message_t *message,
                        struct pl_record *record)
{
    rd_kafka_timestamp_type_t timestamp_type;
    struct pl_reading *reading = reading_of_message(reader, message, &record->topic);

    /* librdkafka's version barrier keeps back what was queued before a removal or a pause; this
     * is the second line of defence. */
    if (reading == NULL || message->offset < reading->position)
        return false;
    /* To drop it would skip input; a pause that lets records through is none. */
    pl_assert(!reading->is_paused);
    reading->position = message->offset + 1;

    record->partition = message->partition;
    record->offset = message->offset;
    record->timestamp_ms = rd_kafka_message_timestamp(message, &timestamp_type);
    record->key = view_of(message->key, message->key_len);
    record->value = view_of(message->payload, message->len);
    fill_headers(message, record);
    return true;
}

enum pl_err pl_reader_poll(struct pl_reader *reader, int timeout_ms, struct pl_record *record,
                           bool *found)
{
    *found = false;
    drop_message(reader);
    reader->message = rd_kafka_consumer_poll(reader->link.rk, timeout_ms);
    if (reader->message == NULL)
        return pl_kafka_link_check(&reader->link);
    if (reader->message->err != 0)
        return judge_message(reader, reader->message);
    *found = fill_record(reader, reader->message, record);
    return PL_OK;
}

int64_t pl_reader_position(const struct pl_reader *reader, enum pl_topic topic, int32_t partition)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT && partition >= 0 && partition < PL_PARTITIONS_MAX);
    return reader->readings[topic][partition].is_reading
               ? reader->readings[topic][partition].position : -1;
}

int64_t pl_reader_end_cached(const struct pl_reader *reader, enum pl_topic topic,
                             int32_t partition)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT && partition >= 0 && partition < PL_PARTITIONS_MAX);
    int64_t low = 0, high = 0;

    if (rd_kafka_get_watermark_offsets(reader->link.rk, reader->topic_names[topic], partition,
                                       &low, &high) != 0 || high < 0)
        return -1;
    return high;
}

enum pl_err pl_reader_watermarks(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                 int timeout_ms, int64_t *first, int64_t *end)
{
    const char *name = reader->topic_names[topic];
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(reader->link.rk, name, partition,
                                                                first, end, timeout_ms);

    if (code != 0)
        return pl_err_note(pl_kafka_error(code, "watermarks"), "%s[%d]", name, partition);
    return PL_OK;
}

enum pl_err pl_reader_offset_at(struct pl_reader *reader, enum pl_topic topic, int32_t partition,
                                int64_t time_ms, int timeout_ms, int64_t *offset)
{
    const char *name = reader->topic_names[topic];
    rd_kafka_topic_partition_list_t *list = pl_kafka_list(name, partition, time_ms);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(reader->link.rk, list, timeout_ms);

    if (code == 0)
        code = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != 0)
        return pl_err_note(pl_kafka_error(code, "offset by time"), "%s[%d]", name, partition);
    if (*offset >= 0)
        return PL_OK;

    int64_t first;
    return pl_reader_watermarks(reader, topic, partition, timeout_ms, &first, offset);
}

enum pl_err pl_reader_partition_count(struct pl_reader *reader, enum pl_topic topic,
                                      int timeout_ms, int32_t *count)
{
    const char *name = reader->topic_names[topic];
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(reader->link.rk, name, NULL);
    const struct rd_kafka_metadata *metadata = NULL;

    if (rkt == NULL)
        return pl_err_note(pl_kafka_error(rd_kafka_last_error(), "topic"), "%s", name);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(reader->link.rk, 0, rkt, &metadata, timeout_ms);
    rd_kafka_topic_destroy(rkt);
    if (code != 0)
        return pl_err_note(pl_kafka_error(code, "metadata"), "%s", name);

    pl_assert(metadata->topic_cnt == 1);
    code = metadata->topics[0].err;
    *count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (*count > PL_PARTITIONS_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "%s has %d partitions, more than %d", name, *count,
                          PL_PARTITIONS_MAX);
    /* A partition may be without a leader while the topic is well. */
    if (*count > 0)
        return PL_OK;
    return pl_err_note(pl_kafka_error(code, "metadata"), "%s", name);
}

/* Waits for the answer to a DescribeConfigs of one topic; NULL with *err set when none came. */
static rd_kafka_event_t *describe_topic(rd_kafka_t *rk, const char *topic_name, int timeout_ms,
                                        enum pl_err *err)
{
    char text[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic_name);

    (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + PL_KAFKA_ADMIN_GRACE_MS);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);

    *err = PL_OK;
    if (event == NULL)
        *err = pl_kafka_error(RD_KAFKA_RESP_ERR__TIMED_OUT, "describe configs");
    else if (rd_kafka_event_error(event) != 0)
        *err = pl_kafka_error(rd_kafka_event_error(event), "describe configs");
    if (*err && event != NULL) {
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

static enum pl_err find_setting(const rd_kafka_event_t *event, const char *name, char value[64])
{
    size_t resource_count, entry_count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)event), &resource_count);

    pl_assert(resource_count == 1);
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
    if (code != 0)
        return pl_kafka_error(code, "describe configs");
    const rd_kafka_ConfigEntry_t **entries =
        rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        const char *text = rd_kafka_ConfigEntry_value(entries[i]);

        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) != 0 || text == NULL)
            continue;
        snprintf(value, 64, "%s", text);
        return PL_OK;
    }
    return pl_err_set(PL_FATAL_CONFIG, "the broker knows no topic setting %s", name);
}

enum pl_err pl_reader_topic_setting(struct pl_reader *reader, enum pl_topic topic,
                                    const char *name, int timeout_ms, char value[64])
{
    enum pl_err err;
    rd_kafka_event_t *event =
        describe_topic(reader->link.rk, reader->topic_names[topic], timeout_ms, &err);

    if (!err)
        err = find_setting(event, name, value);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return err ? pl_err_note(err, "%s", reader->topic_names[topic]) : PL_OK;
}
