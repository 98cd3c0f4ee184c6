/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, records and offsets of a real Kafka for tests (see kafka_admin.h). */
#include "tests/support/kafka_admin.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77, WAIT_MS = 30000 };

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "kafka_admin: %s: %s\n", what, why);
    abort();
}

static void check(rd_kafka_resp_err_t code, const char *what)
{
    if (code != 0)
        fail(what, rd_kafka_err2str(code));
}

const char *kafka_admin_brokers(void)
{
    const char *brokers = getenv("PLIMSOLL_TEST_KAFKA");

    if (brokers == NULL || brokers[0] == '\0') {
        fprintf(stderr, "\n*** SKIPPED: this test needs a real Kafka; set "
                        "PLIMSOLL_TEST_KAFKA=host:port (tests/run starts one) ***\n\n");
        exit(SKIPPED);
    }
    return brokers;
}

void kafka_admin_unique(const char *stem, char name[64])
{
    static unsigned serial;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, 64, "%.20s-%lld-%d-%u", stem, (long long)now.tv_sec, (int)getpid(), serial++);
}

static char *duplicate(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        fail("strdup", "no memory");
    return copy;
}

void kafka_admin_settings(struct pl_kafka_settings *settings, const char *prefix,
                          const char *group_id)
{
    char name[PL_TOPIC_NAME_BYTES_MAX + 1];

    *settings = (struct pl_kafka_settings){
        .brokers = kafka_admin_brokers(), .client_id = "test", .group_id = duplicate(group_id)};
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        snprintf(name, sizeof(name), "%s.%s", prefix, pl_topic_word((enum pl_topic)i));
        settings->topic_names[i] = duplicate(name);
    }
}

/* A handle with "name", "value" pairs up to a NULL. */
static rd_kafka_t *open_handle(rd_kafka_type_t type, const char *const *pairs)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (rd_kafka_conf_set(conf, "bootstrap.servers", kafka_admin_brokers(), text, sizeof(text)))
        fail("bootstrap.servers", text);
    for (; *pairs != NULL; pairs += 2) {
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], text, sizeof(text)))
            fail(pairs[0], text);
    }
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (rk == NULL)
        fail("rd_kafka_new", text);
    return rk;
}

/* One producer serves the whole program: it is also the admin client. */
static rd_kafka_t *producer(void)
{
    static const char *const pairs[] = {"partitioner", "murmur2_random", "linger.ms", "0",
                                        "enable.idempotence", "true", "message.max.bytes",
                                        "8388608", "socket.nagle.disable", "true", NULL};
    static rd_kafka_t *rk;

    if (rk == NULL)
        rk = open_handle(RD_KAFKA_PRODUCER, pairs);
    return rk;
}

/* ---- topics ------------------------------------------------------------------------------ */

static bool has_leaders(const char *topic, int partitions)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(producer(), topic, NULL);

    check(rd_kafka_metadata(producer(), 0, rkt, &metadata, WAIT_MS), topic);
    const struct rd_kafka_metadata_topic *found = &metadata->topics[0];
    bool is_ready = found->err == 0 && found->partition_cnt == partitions;
    for (int i = 0; i < found->partition_cnt && is_ready; i++)
        is_ready = found->partitions[i].leader >= 0;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
    return is_ready;
}

void kafka_admin_create(const char *topic, int partitions, const char *const *configs)
{
    char text[256];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer());
    rd_kafka_NewTopic_t *request =
        rd_kafka_NewTopic_new(topic, partitions, 1, text, sizeof(text));

    for (; configs != NULL && *configs != NULL; configs += 2)
        check(rd_kafka_NewTopic_set_config(request, configs[0], configs[1]), configs[0]);
    rd_kafka_CreateTopics(producer(), &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL)
        fail(topic, "no answer to CreateTopics");
    check(rd_kafka_event_error(event), topic);
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        check(rd_kafka_topic_result_error(results[i]), topic);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(request);
    rd_kafka_queue_destroy(queue);

    for (int tries = 0; !has_leaders(topic, partitions); tries++) {
        if (tries == 300)
            fail(topic, "partitions without leaders");
        usleep(20000);
    }
}

void kafka_admin_trim(const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer());
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(producer(), &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL)
        fail(topic, "no answer to DeleteRecords");
    check(rd_kafka_event_error(event), topic);
    check(rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))
              ->elems[0].err, topic);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
}

/* ---- records ----------------------------------------------------------------------------- */

/* The producer reports through this queue, so that each call sees its own report. */
static struct kafka_admin_place wait_for_report(const char *topic)
{
    static rd_kafka_queue_t *queue;
    struct kafka_admin_place place;

    if (queue == NULL)
        queue = rd_kafka_queue_get_main(producer());
    for (;;) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
        if (event == NULL)
            fail(topic, "no delivery report");
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            const rd_kafka_message_t *message = rd_kafka_event_message_next(event);
            check(message->err, topic);
            place = (struct kafka_admin_place){message->partition, message->offset};
            rd_kafka_event_destroy(event);
            return place;
        }
        rd_kafka_event_destroy(event);
    }
}

struct kafka_admin_place kafka_admin_produce(const char *topic, int32_t partition,
                                             struct pl_bytes_view key, struct pl_bytes_view value,
                                             const struct pl_header *headers,
                                             unsigned header_count, int64_t timestamp_ms)
{
    rd_kafka_headers_t *list = header_count > 0 ? rd_kafka_headers_new(header_count) : NULL;

    for (unsigned i = 0; i < header_count; i++)
        check(rd_kafka_header_add(list, headers[i].name, -1, headers[i].value.data,
                                  (ssize_t)headers[i].value.size_bytes), headers[i].name);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition < 0 ? -1 : partition},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.data, key.size_bytes}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.data,
                                                  value.size_bytes}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = list},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(producer(), parts, sizeof(parts) / sizeof(parts[0]));
    if (error != NULL)
        fail(topic, rd_kafka_error_string(error));
    return wait_for_report(topic);
}

static struct pl_bytes_view text_view(const char *text)
{
    return (struct pl_bytes_view){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

struct kafka_admin_place kafka_admin_put(const char *topic, int32_t partition, const char *key,
                                         const char *value)
{
    return kafka_admin_produce(topic, partition, text_view(key), text_view(value), NULL, 0, 0);
}

static struct pl_bytes_view copy_bytes(const void *data, size_t size_bytes)
{
    if (data == NULL)
        return (struct pl_bytes_view){NULL, 0};
    uint8_t *copy = malloc(size_bytes + 1);
    if (copy == NULL)
        fail("malloc", "no memory");
    memcpy(copy, data, size_bytes);
    copy[size_bytes] = '\0'; /* convenient for values that are text */
    return (struct pl_bytes_view){copy, size_bytes};
}

static void copy_message(const rd_kafka_message_t *message, struct pl_record *row)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *data;
    size_t size_bytes;

    *row = (struct pl_record){
        .topic = PL_TOPIC_COUNT,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = copy_bytes(message->key, message->key_len),
        .value = copy_bytes(message->payload, message->len),
    };
    if (rd_kafka_message_headers(message, &headers) != 0)
        return;
    while (row->header_count < PL_HEADERS_MAX &&
           rd_kafka_header_get_all(headers, row->header_count, &name, &data, &size_bytes) == 0)
        row->headers[row->header_count++] =
            (struct pl_header){duplicate(name), copy_bytes(data, size_bytes)};
}

/* Reads one partition from its first offset to its end. */
static void read_partition(rd_kafka_t *rk, const char *topic, int32_t partition,
                           struct pl_record **rows, size_t *row_count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool is_at_end = false;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    check(rd_kafka_assign(rk, list), topic);
    while (!is_at_end) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);
        if (message == NULL)
            fail(topic, "the partition's end was not reached");
        is_at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!is_at_end) {
            check(message->err, topic);
            *rows = realloc(*rows, (*row_count + 1) * sizeof(**rows));
            if (*rows == NULL)
                fail("realloc", "no memory");
            copy_message(message, &(*rows)[(*row_count)++]);
        }
        rd_kafka_message_destroy(message);
    }
    check(rd_kafka_assign(rk, NULL), topic);
    rd_kafka_topic_partition_list_destroy(list);
}

size_t kafka_admin_read(const char *topic, bool committed, struct pl_record **rows)
{
    const char *const pairs[] = {"group.id", "test-reader", "isolation.level",
                                 committed ? "read_committed" : "read_uncommitted",
                                 "enable.partition.eof", "true", "enable.auto.commit", "false",
                                 "fetch.wait.max.ms", "10", "auto.offset.reset", "error", NULL};
    rd_kafka_t *rk = open_handle(RD_KAFKA_CONSUMER, pairs);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    size_t row_count = 0;

    check(rd_kafka_metadata(rk, 0, rkt, &metadata, WAIT_MS), topic);
    check(metadata->topics[0].err, topic);
    int partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);

    rd_kafka_poll_set_consumer(rk);
    *rows = NULL;
    for (int32_t partition = 0; partition < partitions; partition++)
        read_partition(rk, topic, partition, rows, &row_count);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return row_count;
}

static void free_bytes(struct pl_bytes_view bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

void kafka_admin_free(struct pl_record *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        free_bytes(rows[i].key);
        free_bytes(rows[i].value);
        for (unsigned k = 0; k < rows[i].header_count; k++) {
            free((void *)(uintptr_t)rows[i].headers[k].name);
            free_bytes(rows[i].headers[k].value);
        }
    }
    free(rows);
}

/* ---- offsets ------------------------------------------------------------------------------ */

int64_t kafka_admin_committed(const char *group_id, const char *topic, int32_t partition)
{
    const char *const pairs[] = {"group.id", group_id, "isolation.level", "read_committed", NULL};
    rd_kafka_t *rk = open_handle(RD_KAFKA_CONSUMER, pairs);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;
    int64_t offset;

    rd_kafka_topic_partition_list_add(list, topic, partition);
    do {
        check(rd_kafka_committed(rk, list, WAIT_MS), group_id);
        code = list->elems[0].err;
        offset = list->elems[0].offset;
    } while (code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT);
    check(code, group_id);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset < 0 ? PL_OFFSET_NONE : offset;
}

static void check_error(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL)
        fail(what, rd_kafka_error_string(error));
}

void kafka_admin_leave_pending(const char *transactional_id, const char *group_id,
                               const char *topic, int32_t partition, int64_t offset,
                               int timeout_ms)
{
    char timeout_text[16];
    const char *const pairs[] = {"transactional.id", transactional_id, "transaction.timeout.ms",
                                 timeout_text, "message.timeout.ms", timeout_text, NULL};

    snprintf(timeout_text, sizeof(timeout_text), "%d", timeout_ms);
    rd_kafka_t *rk = open_handle(RD_KAFKA_PRODUCER, pairs);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata_new(group_id);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    check_error(rd_kafka_init_transactions(rk, WAIT_MS), "init_transactions");
    check_error(rd_kafka_begin_transaction(rk), "begin_transaction");
    check_error(rd_kafka_send_offsets_to_transaction(rk, list, metadata, timeout_ms),
                "send_offsets_to_transaction");
    rd_kafka_consumer_group_metadata_destroy(metadata);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk); /* neither commits nor aborts */
}
