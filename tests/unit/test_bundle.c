/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles come back as they went in, from memory and from disk; whatever else a file says is
 * refused with the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/cli/bundle.h"

enum { FILE_BYTES_MAX = 1 << 16, PATH_BYTES = 512 };

static char root[] = "/tmp/plimsoll-bundle-XXXXXX";

static const char *path_of(const char *directory, const char *name)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%.400s/%s", directory, name);
    return path;
}

static struct pl_bytes_view text(const char *bytes)
{
    return (struct pl_bytes_view){ (const uint8_t *)bytes, bytes ? strlen(bytes) : 0 };
}

static void must(enum pl_err err)
{
    if (err)
        fail_msg("%s: %s", pl_err_name(err), pl_err_text());
}

static void must_say(enum pl_err err, enum pl_err expected, const char *part)
{
    assert_string_equal(pl_err_name(err), pl_err_name(expected));
    if (!strstr(pl_err_text(), part))
        fail_msg("\"%s\" does not say \"%s\"", pl_err_text(), part);
}

/* ---- samples -------------------------------------------------------------------------------- */

/* What records may be like: absent and empty keys, values and headers; gaps between offsets. */
static const struct pl_record SAMPLES[] = {
    { PL_TOPIC_HOLDINGS, 0, 0, 1700000000000, { NULL, 0 }, { NULL, 0 },
      { { NULL, { NULL, 0 } } }, 0 },
    { PL_TOPIC_HOLDINGS, 0, 5, -1, { (const uint8_t *)"", 0 }, { (const uint8_t *)"", 0 },
      { { "", { NULL, 0 } }, { "a", { (const uint8_t *)"", 0 } },
        { "a", { (const uint8_t *)"\0x\xff", 3 } } }, 3 },
    { PL_TOPIC_JOURNAL, 1, 3, 7, { (const uint8_t *)"1", 1 }, { (const uint8_t *)"value", 5 },
      { { "plimsoll-signature", { (const uint8_t *)"s", 1 } } }, 1 },
    { PL_TOPIC_HOLDINGS, 0, INT64_MAX - 1, INT64_MAX, { (const uint8_t *)"k\0k", 3 },
      { (const uint8_t *)"v", 1 }, { { NULL, { NULL, 0 } } }, 0 },
    { PL_TOPIC_MARKS, 0, 9, 8, { (const uint8_t *)"BTC", 3 }, { (const uint8_t *)"m", 1 },
      { { NULL, { NULL, 0 } } }, 0 },
};

enum { SAMPLE_COUNT = sizeof(SAMPLES) / sizeof(SAMPLES[0]) };

static struct bundle *write_samples(const char *directory)
{
    struct bundle_writer *writer;
    struct bundle *bundle;
    must(bundle_create(&writer, directory, 2));
    for (unsigned i = 0; i < SAMPLE_COUNT; i++)
        must(bundle_append(writer, &SAMPLES[i]));
    must(bundle_bound(writer, PL_TOPIC_MARKS, 0, 4, 12));
    must(bundle_bound(writer, PL_TOPIC_ORDERS, 1, 30, 30));
    must(bundle_finish(&writer, &bundle));
    assert_null(writer);
    return bundle;
}

static void same_view(struct pl_bytes_view left, struct pl_bytes_view right)
{
    assert_int_equal(left.data == NULL, right.data == NULL);
    assert_int_equal(left.size_bytes, right.size_bytes);
    if (left.data)
        assert_memory_equal(left.data, right.data, left.size_bytes);
}

static void same_record(const struct pl_record *left, const struct pl_record *right)
{
    assert_int_equal(left->topic, right->topic);
    assert_int_equal(left->partition, right->partition);
    assert_int_equal(left->offset, right->offset);
    assert_int_equal(left->timestamp_ms, right->timestamp_ms);
    same_view(left->key, right->key);
    same_view(left->value, right->value);
    assert_int_equal(left->header_count, right->header_count);
    for (unsigned i = 0; i < left->header_count; i++) {
        assert_string_equal(left->headers[i].name, right->headers[i].name);
        same_view(left->headers[i].value, right->headers[i].value);
    }
}

static void check_stream(const struct bundle *bundle, enum pl_topic topic, int32_t partition)
{
    struct bundle_cursor cursor = { .stream = bundle_find(bundle, topic, partition) };
    struct pl_record record;
    bool found;
    uint64_t count = 0;
    for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
        if (SAMPLES[i].topic != topic || SAMPLES[i].partition != partition)
            continue;
        size_t at = cursor.at;
        must(bundle_next(&cursor, &record, &found));
        assert_true(found);
        same_record(&SAMPLES[i], &record);
        cursor.at = at; /* a place may be gone back to */
        must(bundle_next(&cursor, &record, &found));
        same_record(&SAMPLES[i], &record);
        count++;
    }
    must(bundle_next(&cursor, &record, &found));
    assert_false(found);
    assert_int_equal(cursor.stream ? cursor.stream->record_count : 0, count);
}

static void check_samples(const struct bundle *bundle)
{
    assert_int_equal(bundle_partition_count(bundle), 2);
    assert_int_equal(bundle_stream_count(bundle), 4);
    for (unsigned topic = 0; topic < PL_TOPIC_COUNT; topic++)
        for (int32_t partition = 0; partition < 2; partition++)
            check_stream(bundle, (enum pl_topic)topic, partition);
    const struct bundle_stream *marks = bundle_find(bundle, PL_TOPIC_MARKS, 0);
    const struct bundle_stream *orders = bundle_find(bundle, PL_TOPIC_ORDERS, 1);
    const struct bundle_stream *journal = bundle_find(bundle, PL_TOPIC_JOURNAL, 1);
    assert_ptr_equal(bundle_stream_at(bundle, 0), marks);
    assert_int_equal(marks->complete_from, 4);
    assert_int_equal(marks->end, 12);
    assert_int_equal(orders->record_count, 0);
    assert_int_equal(orders->complete_from, 30);
    assert_int_equal(journal->complete_from, 0);
    assert_int_equal(journal->end, 4);
    assert_null(bundle_find(bundle, PL_TOPIC_JOURNAL, 0));
    assert_null(bundle_find(bundle, PL_TOPIC_DEADLETTER, 0));
    must(bundle_check_files(bundle));
}

/* ---- round trips ---------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    (void)state;
    struct bundle *bundle = write_samples(NULL);
    check_samples(bundle);
    bundle_close(&bundle);
    assert_null(bundle);
    bundle_close(&bundle);
}

static void test_disk(void **state)
{
    (void)state;
    char directory[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s", path_of(root, "disk"));
    struct bundle *bundle = write_samples(directory);
    check_samples(bundle);
    bundle_close(&bundle);
    must(bundle_open(&bundle, directory));
    check_samples(bundle);
    bundle_close(&bundle);

    struct bundle_writer *writer;
    must_say(bundle_create(&writer, directory, 2), PL_FATAL_CONFIG, "not empty");
    assert_null(writer);
    must_say(bundle_create(&writer, path_of(directory, "a/b"), 2), PL_FATAL_CONFIG, "a/b");
    must_say(bundle_open(&bundle, path_of(root, "nothing")), PL_FATAL_SYSTEM, "nothing");
    assert_null(bundle);
}

/* More than the buffers hold, in one record and in many; nobody else's streams in between. */
static void test_large(void **state)
{
    (void)state;
    enum { LARGE_BYTES = 5 << 20, COUNT = 3000 };
    uint8_t *value = malloc(LARGE_BYTES);
    struct bundle_writer *writer;
    struct bundle *bundle;
    assert_non_null(value);
    for (unsigned i = 0; i < LARGE_BYTES; i++)
        value[i] = (uint8_t)(i * 7 + i / 256);
    must(bundle_create(&writer, path_of(root, "large"), 1));
    for (int i = 0; i < COUNT; i++) {
        struct pl_record record = { .topic = PL_TOPIC_PARAMETERS, .offset = 2 * i,
                                    .value = { value, i == 77 ? LARGE_BYTES : 1000 } };
        must(bundle_append(writer, &record));
        record.topic = PL_TOPIC_MARKS;
        record.value = (struct pl_bytes_view){ value + i, 100 };
        must(bundle_append(writer, &record));
    }
    must(bundle_finish(&writer, &bundle));
    must(bundle_check_files(bundle));
    struct bundle_cursor cursor = { .stream = bundle_find(bundle, PL_TOPIC_PARAMETERS, 0) };
    for (int i = 0; i < COUNT; i++) {
        struct pl_record record;
        bool found;
        must(bundle_next(&cursor, &record, &found));
        assert_true(found);
        assert_int_equal(record.offset, 2 * i);
        same_view(record.value, (struct pl_bytes_view){ value, i == 77 ? LARGE_BYTES : 1000 });
    }
    bundle_close(&bundle);
    free(value);
}

static void test_discarded(void **state)
{
    (void)state;
    struct bundle_writer *writer = NULL;
    struct bundle *bundle;
    bundle_discard(&writer);
    must(bundle_create(&writer, path_of(root, "discarded"), 1));
    must(bundle_append(writer, &SAMPLES[4]));
    bundle_discard(&writer);
    assert_null(writer);
    must_say(bundle_open(&bundle, path_of(root, "discarded")), PL_FATAL_SYSTEM, "manifest.json");
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct pl_bytes_view bytes_of(const struct bundle *bundle, enum pl_topic topic,
                                     int32_t partition)
{
    const struct bundle_stream *stream = bundle_find(bundle, topic, partition);
    return (struct pl_bytes_view){ stream->bytes, stream->size_bytes };
}

/* Reads bytes as a stream to its end or first error; every view handed out is touched. */
static enum pl_err read_all(const uint8_t *bytes, size_t size_bytes, int64_t end, unsigned *count)
{
    const struct bundle_stream stream = { .topic = PL_TOPIC_HOLDINGS, .partition = 0, .end = end,
                                          .bytes = bytes, .size_bytes = size_bytes };
    struct bundle_cursor cursor = { .stream = &stream };
    struct pl_record record;
    bool found = true;
    *count = 0;
    for (;;) {
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        (*count)++;
    }
}

static void test_truncated(void **state)
{
    (void)state;
    struct bundle *bundle = write_samples(NULL);
    struct pl_bytes_view whole = bytes_of(bundle, PL_TOPIC_HOLDINGS, 0);
    size_t second = 4 + 26, third = 0; /* the first frame has no parts */
    unsigned count;
    must(read_all(whole.data, whole.size_bytes, INT64_MAX, &count));
    assert_int_equal(count, 3);
    third = whole.size_bytes - (4 + 26 + 3 + 1);
    for (size_t size = 1; size < whole.size_bytes; size++) {
        char place[96];
        uint8_t *part = malloc(size); /* of exactly this size: reading past it is seen */
        assert_non_null(part);
        memcpy(part, whole.data, size);
        enum pl_err err = read_all(part, size, INT64_MAX, &count);
        if (size == second || size == third) {
            must(err); /* whole frames are a stream; the manifest knows better */
        } else {
            snprintf(place, sizeof(place), "holdings-0.records: frame at byte %zu: it is cut off",
                     size < second ? (size_t)0 : size < third ? second : third);
            must_say(err, PL_REJECT_MALFORMED, place);
        }
        free(part);
    }
    bundle_close(&bundle);
}

/* One change of a frame of key "key", value "value", one header "h" = "x", followed by another. */
static const struct {
    const char *name;
    size_t at;
    uint8_t bytes[8], size_bytes;
    const char *says;
} DAMAGES[] = {
    { "huge frame", 0, { 0xff, 0xff, 0xff, 0xff }, 4, "byte 0: it is cut off" },
    { "frame of nothing", 0, { 0, 0, 0, 0 }, 4, "byte 0: sizes" },
    { "frame below its head", 0, { 0, 0, 0, 25 }, 4, "byte 0: sizes" },
    { "frame a byte less", 3, { 26 + 3 + 5 + 9 - 1 }, 1, "byte 0: sizes" },
    { "frame a byte more", 3, { 26 + 3 + 5 + 9 + 1 }, 1, "byte 0: sizes" },
    { "negative offset", 4, { 0x80 }, 1, "byte 0: its offset is not below" },
    { "offset at the end", 4, { 0, 0, 0, 0, 0, 0, 0, 100 }, 8, "byte 0: its offset is not below" },
    { "offset of the next", 11, { 8 }, 1, "byte 47: its offset is not above" },
    { "offset above the next", 11, { 9 }, 1, "byte 47: its offset is not above" },
    { "huge key", 20, { 0xff, 0xff, 0xff, 0xfe }, 4, "byte 0: sizes" },
    { "absent key", 20, { 0xff, 0xff, 0xff, 0xff }, 4, "byte 0: sizes" },
    { "key into the next frame", 23, { 60 }, 1, "byte 0: sizes" },
    { "huge value", 24, { 0x7f, 0xff, 0xff, 0xff }, 4, "byte 0: sizes" },
    { "no headers", 28, { 0, 0 }, 2, "byte 0: sizes" },
    { "two headers", 28, { 0, 2 }, 2, "byte 0: sizes" },
    { "many headers", 28, { 0xff, 0xff }, 2, "byte 0: sizes" },
    { "header name of nothing", 38, { 0, 0 }, 2, "byte 0: sizes" },
    { "header name not ended", 45, { 'x' }, 1, "byte 0: sizes" },
    { "header name ended twice", 44, { 0 }, 1, "byte 0: sizes" },
    { "huge header name", 38, { 0xff, 0xff }, 2, "byte 0: sizes" },
    { "huge header value", 40, { 0xff, 0xff, 0xff, 0xfe }, 4, "byte 0: sizes" },
};

static void test_damaged_frames(void **state)
{
    (void)state;
    struct pl_record record = { .topic = PL_TOPIC_HOLDINGS, .offset = 7, .key = text("key"),
                                .value = text("value"), .header_count = 1,
                                .headers = { { "h", text("x") } } };
    struct bundle_writer *writer;
    struct bundle *bundle;
    unsigned count;
    must(bundle_create(&writer, NULL, 1));
    must(bundle_append(writer, &record));
    record.offset = 8;
    must(bundle_append(writer, &record));
    must(bundle_finish(&writer, &bundle));
    struct pl_bytes_view whole = bytes_of(bundle, PL_TOPIC_HOLDINGS, 0);
    for (unsigned i = 0; i < sizeof(DAMAGES) / sizeof(DAMAGES[0]); i++) {
        uint8_t *copy = malloc(whole.size_bytes);
        assert_non_null(copy);
        memcpy(copy, whole.data, whole.size_bytes);
        must(read_all(copy, whole.size_bytes, 100, &count));
        memcpy(copy + DAMAGES[i].at, DAMAGES[i].bytes, DAMAGES[i].size_bytes);
        enum pl_err err = read_all(copy, whole.size_bytes, 100, &count);
        if (err != PL_REJECT_MALFORMED || !strstr(pl_err_text(), DAMAGES[i].says))
            fail_msg("%s: %s, \"%s\"", DAMAGES[i].name, pl_err_name(err), pl_err_text());
        free(copy);
    }
    bundle_close(&bundle);
}

/* As many headers as a record takes, and one more. */
static void test_many_headers(void **state)
{
    (void)state;
    uint8_t frame[30 + 17 * 7] = { 0 };
    unsigned count;
    for (uint8_t headers = 16; headers <= 17; headers++) {
        size_t size_bytes = 30 + headers * (size_t)7;
        frame[3] = (uint8_t)(size_bytes - 4);
        frame[29] = headers;
        for (unsigned i = 0; i < headers; i++)
            frame[30 + 7 * i + 1] = 1; /* an empty name, an empty value */
        for (unsigned i = 0; i < 4; i++)
            frame[20 + i] = frame[24 + i] = 0xff;
        enum pl_err err = read_all(frame, size_bytes, 1, &count);
        assert_string_equal(pl_err_name(err), headers == 16 ? "OK" : "REJECT_MALFORMED");
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

static size_t load(const char *path, uint8_t bytes[FILE_BYTES_MAX])
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size_bytes = fread(bytes, 1, FILE_BYTES_MAX, file);
    assert_int_equal(fclose(file), 0);
    return size_bytes;
}

/* As a new file: some file systems flush one that is truncated. */
static void store(const char *path, const void *bytes, size_t size_bytes)
{
    (void)unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

static void test_truncated_files(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_BYTES_MAX];
    static const char *const FILES[] = { "manifest.json", "journal-1.records", "marks-0.records" };
    char directory[PATH_BYTES], path[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s", path_of(root, "truncated"));
    struct bundle *bundle = write_samples(directory);
    bundle_close(&bundle);
    for (unsigned i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        snprintf(path, sizeof(path), "%s", path_of(directory, FILES[i]));
        size_t size_bytes = load(path, bytes);
        for (size_t size = 0; size < size_bytes; size++) {
            store(path, bytes, size);
            must_say(bundle_open(&bundle, directory), PL_REJECT_MALFORMED, FILES[i]);
        }
        assert_int_equal(unlink(path), 0);
        must_say(bundle_open(&bundle, directory), PL_FATAL_SYSTEM, FILES[i]);
        store(path, bytes, size_bytes);
        must(bundle_open(&bundle, directory));
        bundle_close(&bundle);
        bytes[size_bytes] = ' ';
        store(path, bytes, size_bytes + 1);
        enum pl_err err = bundle_open(&bundle, directory);
        assert_int_equal(err, i == 0 ? PL_OK : PL_REJECT_MALFORMED); /* JSON ends with blanks */
        bundle_close(&bundle);
        store(path, bytes, size_bytes);
    }
}

static void test_flipped_manifest(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_BYTES_MAX];
    char directory[PATH_BYTES], path[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s", path_of(root, "flipped"));
    struct bundle *bundle = write_samples(directory);
    bundle_close(&bundle);
    snprintf(path, sizeof(path), "%s", path_of(directory, "manifest.json"));
    size_t size_bytes = load(path, bytes);
    for (size_t at = 0; at < size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            store(path, bytes, size_bytes);
            enum pl_err err = bundle_open(&bundle, directory);
            if (err != PL_REJECT_MALFORMED || !strstr(pl_err_text(), "manifest.json"))
                fail_msg("byte %zu bit %u: %s, \"%s\"", at, bit, pl_err_name(err), pl_err_text());
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_changed_files(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_BYTES_MAX];
    static const char *const FILES[] = { "marks-0.records", "holdings-0.records",
                                         "journal-1.records" };
    char directory[PATH_BYTES], path[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s", path_of(root, "changed"));
    struct bundle *bundle = write_samples(directory);
    bundle_close(&bundle);
    for (unsigned i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        snprintf(path, sizeof(path), "%s", path_of(directory, FILES[i]));
        size_t size_bytes = load(path, bytes);
        for (size_t at = 0; at < size_bytes; at++) {
            bytes[at] ^= 1;
            store(path, bytes, size_bytes);
            must(bundle_open(&bundle, directory));
            must_say(bundle_check_files(bundle), PL_REJECT_CONFLICT, FILES[i]);
            bundle_close(&bundle);
            bytes[at] ^= 1;
        }
        store(path, bytes, size_bytes);
    }
    must(bundle_open(&bundle, directory));
    must(bundle_check_files(bundle));
    bundle_close(&bundle);
}

/* A manifest whose checksum is right and whose content is not: somebody who knows the format. */
#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define STREAM(topic, end)                                                                         \
    "{\"topic\":\"" topic "\",\"partition\":0,\"file\":\"" topic "-0.records\",\"records\":0," \
    "\"bytes\":0,\"complete_from\":0,\"end\":0,\"sha256\":\"" SHA256_OF_NOTHING "\"" end "}"
#define HEAD(version)                                                                              \
    "{\"format\":\"plimsoll-audit-bundle\",\"version\":" version ",\"build\":\"\","
#define MANIFEST(streams) HEAD("1") "\"partition_count\":1,\"streams\":" streams "}"

static const struct { const char *body, *says; } FORGED[] = {
    { "{}", "format" },
    { HEAD("2") "\"partition_count\":1,\"streams\":[]}", "version 1 only" },
    { HEAD("1") "\"partition_count\":0,\"streams\":[]}", "partition_count" },
    { HEAD("1") "\"partition_count\":1025,\"streams\":[]}", "partition_count" },
    { HEAD("1") "\"partition_count\":1,\"streams\":[],\"more\":1}", "expected are" },
    { MANIFEST("{}"), "streams: it is no list" },
    { MANIFEST("[7]"), "streams[0]: \"topic\"" },
    { MANIFEST("[{\"topic\":\"parrots\"}]"), "streams[0]: \"topic\"" },
    { MANIFEST("[{\"topic\":\"marks\",\"partition\":1024}]"), "\"partition\"" },
    { MANIFEST("[{\"topic\":\"marks\",\"partition\":0,\"records\":-1}]"), "\"records\"" },
    { MANIFEST("[{\"topic\":\"marks\",\"partition\":0,\"records\":1,\"bytes\":\"5\"}]"),
      "\"bytes\"" },
    { MANIFEST("[{\"topic\":\"marks\",\"partition\":0,\"records\":1,\"bytes\":5,\"end\":4,"
               "\"complete_from\":5}]"), "\"complete_from\"" },
    { MANIFEST("[{\"topic\":\"marks\",\"partition\":0,\"records\":1,\"bytes\":5,\"end\":4,"
               "\"complete_from\":4,\"file\":\"../marks-0.records\"}]"), "\"file\"" },
    { MANIFEST("[" STREAM("marks", ",\"more\":1") "]"), "a field is not known" },
    { MANIFEST("[" STREAM("control", "") "," STREAM("marks", "") "]"), "streams[1]: it does not" },
    { MANIFEST("[" STREAM("marks", "") "," STREAM("marks", "") "]"), "streams[1]: it does not" },
    { MANIFEST("[" STREAM("marks", "") "]"), NULL },
};

/* Writes `body` with the checksum that belongs to it. */
static void store_manifest(const char *directory, const char *body)
{
    char command[PATH_BYTES + 32], manifest[2048], hash[65] = "";
    store(path_of(directory, "body"), body, strlen(body));
    snprintf(command, sizeof(command), "sha256sum <%s/body", directory);
    FILE *sum = popen(command, "r");
    assert_non_null(sum);
    assert_int_equal(fread(hash, 1, 64, sum), 64);
    (void)pclose(sum);
    snprintf(manifest, sizeof(manifest), "%.*s%s\"sha256\":\"%s\"%c", (int)strlen(body) - 1, body,
             strlen(body) > 2 ? "," : "", hash, body[strlen(body) - 1]);
    store(path_of(directory, "manifest.json"), manifest, strlen(manifest));
}

static void test_forged_manifest(void **state)
{
    (void)state;
    char directory[PATH_BYTES];
    struct bundle *bundle;
    snprintf(directory, sizeof(directory), "%s", path_of(root, "forged"));
    assert_int_equal(mkdir(directory, 0700), 0);
    store(path_of(directory, "marks-0.records"), "", 0);
    store(path_of(directory, "control-0.records"), "", 0);
    for (unsigned i = 0; i < sizeof(FORGED) / sizeof(FORGED[0]); i++) {
        store_manifest(directory, FORGED[i].body);
        enum pl_err err = bundle_open(&bundle, directory);
        bool is_told = err == PL_REJECT_MALFORMED && strstr(pl_err_text(), "manifest.json") &&
                       (!FORGED[i].says || strstr(pl_err_text(), FORGED[i].says));
        if (FORGED[i].says && !is_told)
            fail_msg("%s: %s, \"%s\"", FORGED[i].body, pl_err_name(err), pl_err_text());
        if (FORGED[i].says)
            continue;
        must(err);
        must(bundle_check_files(bundle));
        bundle_close(&bundle);
    }
    store_manifest(directory, MANIFEST("[{\"topic\":\"marks\",\"partition\":0,\"file\":"
                                       "\"marks-0.records\",\"records\":1,\"bytes\":0,"
                                       "\"complete_from\":0,\"end\":0,\"sha256\":\""
                                       SHA256_OF_NOTHING "\"}]"));
    must(bundle_open(&bundle, directory));
    must_say(bundle_check_files(bundle), PL_REJECT_MALFORMED, "another number of records");
    bundle_close(&bundle);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[PATH_BYTES];
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),          cmocka_unit_test(test_disk),
        cmocka_unit_test(test_large),           cmocka_unit_test(test_discarded),
        cmocka_unit_test(test_truncated),       cmocka_unit_test(test_damaged_frames),
        cmocka_unit_test(test_truncated_files), cmocka_unit_test(test_flipped_manifest),
        cmocka_unit_test(test_changed_files),   cmocka_unit_test(test_forged_manifest),
        cmocka_unit_test(test_many_headers),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
