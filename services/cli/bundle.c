/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit bundles (bundle.h): what an auditor holds in his hands, hence bytes from outside. A frame
 * and the manifest are taken exactly as written or refused with the place. Frames are read where
 * they stand, in mapped files. The proofs of G1, G2 and G3 read nothing else.
 */
#include "services/cli/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "lib/service/version.h"

#define MANIFEST "manifest.json"
#define FORMAT "plimsoll-audit-bundle"

enum {
    VERSION = 1,
    FRAME_BYTES_MIN = 30, /* up to the key */
    HASH_BYTES = 32,
    HASH_TEXT_BYTES = 2 * HASH_BYTES + 1,
    FILE_NAME_BYTES = 40,
    FLUSH_BYTES = 256 * 1024,
    MANIFEST_BYTES_MAX = 16 << 20, /* a stream takes less than 512 bytes */
};
static const uint32_t ABSENT = UINT32_MAX;

struct bundle {
    int32_t partition_count;
    bool is_mapped; /* bytes are mapped files; otherwise heap                                  */
    unsigned stream_count;
    struct bundle_stream *streams; /* by topic and partition                                   */
    char (*hashes)[HASH_TEXT_BYTES]; /* of mapped streams, as the manifest says                */
};

static enum pl_err no_memory(void)
{
    return pl_err_set(PL_FATAL_SYSTEM, "no memory for a bundle");
}

static void file_name(enum pl_topic topic, int32_t partition, char name[FILE_NAME_BYTES])
{
    snprintf(name, FILE_NAME_BYTES, "%s-%d.records", pl_topic_word(topic), (int)partition);
}

static void hash_text(const uint8_t hash[HASH_BYTES], char text[HASH_TEXT_BYTES])
{
    for (unsigned i = 0; i < HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

static enum pl_err hash_bytes(const void *bytes, size_t size_bytes, char text[HASH_TEXT_BYTES])
{
    uint8_t hash[HASH_BYTES];
    if (!EVP_Digest(bytes, size_bytes, hash, NULL, EVP_sha256(), NULL))
        return pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
    hash_text(hash, text);
    return PL_OK;
}

/* ---- frames --------------------------------------------------------------------------------- */

static void store_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store_u32(uint8_t *at, size_t value)
{
    store_u16(at, value >> 16);
    store_u16(at + 2, value);
}

static void store_u64(uint8_t *at, uint64_t value)
{
    store_u32(at, (size_t)(value >> 32));
    store_u32(at + 4, (size_t)value);
}

static uint16_t load_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)load_u16(at) << 16 | load_u16(at + 2);
}

static uint64_t load_u64(const uint8_t *at)
{
    return (uint64_t)load_u32(at) << 32 | load_u32(at + 4);
}

static size_t frame_bytes(const struct pl_record *record)
{
    size_t size_bytes = FRAME_BYTES_MIN + record->key.size_bytes + record->value.size_bytes;
    for (unsigned i = 0; i < record->header_count; i++)
        size_bytes += 2 + 4 + strlen(record->headers[i].name) + 1 +
                      record->headers[i].value.size_bytes;
    return size_bytes;
}

static uint8_t *store_view(uint8_t *at, struct pl_bytes_view view)
{
    if (view.data)
        memcpy(at, view.data, view.size_bytes);
    return at + (view.data ? view.size_bytes : 0);
}

static size_t size_field(struct pl_bytes_view view)
{
    return view.data ? view.size_bytes : ABSENT;
}

static void frame_write(uint8_t *frame, size_t size_bytes, const struct pl_record *record)
{
    store_u32(frame, size_bytes - 4);
    store_u64(frame + 4, (uint64_t)record->offset);
    store_u64(frame + 12, (uint64_t)record->timestamp_ms);
    store_u32(frame + 20, size_field(record->key));
    store_u32(frame + 24, size_field(record->value));
    store_u16(frame + 28, record->header_count);
    uint8_t *at = store_view(frame + FRAME_BYTES_MIN, record->key);
    at = store_view(at, record->value);
    for (unsigned i = 0; i < record->header_count; i++) {
        const struct pl_header *header = &record->headers[i];
        size_t name_bytes = strlen(header->name) + 1;
        store_u16(at, name_bytes);
        store_u32(at + 2, size_field(header->value));
        memcpy(at + 6, header->name, name_bytes);
        at = store_view(at + 6 + name_bytes, header->value);
    }
    pl_assert(at == frame + size_bytes);
}

static enum pl_err bad_frame(const struct bundle_stream *stream, size_t at, const char *what)
{
    char name[FILE_NAME_BYTES];
    file_name(stream->topic, stream->partition, name);
    return pl_err_set(PL_REJECT_MALFORMED, "%s: frame at byte %zu: %s", name, at, what);
}

/* What is left of a frame. */
struct rest { const uint8_t *at, *end; };

static bool take(struct rest *rest, uint32_t size_bytes, struct pl_bytes_view *view)
{
    *view = (struct pl_bytes_view){ NULL, 0 };
    if (size_bytes == ABSENT)
        return true;
    if (size_bytes > (size_t)(rest->end - rest->at))
        return false;
    *view = (struct pl_bytes_view){ rest->at, size_bytes };
    rest->at += size_bytes;
    return true;
}

static bool take_header(struct rest *rest, struct pl_header *header)
{
    struct pl_bytes_view sizes, name;
    if (!take(rest, 6, &sizes) || !take(rest, load_u16(sizes.data), &name) ||
        !take(rest, load_u32(sizes.data + 2), &header->value))
        return false;
    header->name = (const char *)name.data;
    /* It ends with the first NUL; without a byte there is none. */
    return memchr(name.data, '\0', name.size_bytes) == name.data + name.size_bytes - 1;
}

/* False when sizes and ends of the parts do not fit the frame's exactly. */
static bool take_parts(struct rest *rest, const uint8_t *frame, struct pl_record *record)
{
    if (!take(rest, load_u32(frame + 20), &record->key) ||
        !take(rest, load_u32(frame + 24), &record->value))
        return false;
    for (unsigned i = 0; i < record->header_count; i++)
        if (!take_header(rest, &record->headers[i]))
            return false;
    return rest->at == rest->end;
}

/* A cursor knows nothing of the frame before, so each frame is also held against the one after. */
static enum pl_err check_order(const struct bundle_stream *stream, size_t at, size_t next,
                               int64_t offset)
{
    if (offset < 0 || offset >= stream->end)
        return bad_frame(stream, at, "its offset is not below the stream's end");
    if (stream->size_bytes - next < FRAME_BYTES_MIN)
        return PL_OK;
    int64_t next_offset = (int64_t)load_u64(stream->bytes + next + 4);
    return next_offset > offset ? PL_OK
                                : bad_frame(stream, next, "its offset is not above the one before");
}

enum pl_err bundle_next(struct bundle_cursor *cursor, struct pl_record *record, bool *found)
{
    const struct bundle_stream *stream = cursor->stream;
    *found = false;
    if (!stream || cursor->at == stream->size_bytes)
        return PL_OK;
    pl_assert(cursor->at < stream->size_bytes);
    const uint8_t *frame = stream->bytes + cursor->at;
    size_t left_bytes = stream->size_bytes - cursor->at;
    if (left_bytes < FRAME_BYTES_MIN || load_u32(frame) > left_bytes - 4)
        return bad_frame(stream, cursor->at, "it is cut off");
    struct rest rest = { frame + FRAME_BYTES_MIN, frame + 4 + load_u32(frame) };
    record->header_count = load_u16(frame + 28);
    if (rest.at > rest.end || record->header_count > PL_HEADERS_MAX ||
        !take_parts(&rest, frame, record))
        return bad_frame(stream, cursor->at, "sizes inside do not add up to its size");
    size_t next = cursor->at + 4 + load_u32(frame);
    record->topic = stream->topic;
    record->partition = stream->partition;
    record->offset = (int64_t)load_u64(frame + 4);
    record->timestamp_ms = (int64_t)load_u64(frame + 12);
    enum pl_err err = check_order(stream, cursor->at, next, record->offset);
    if (err)
        return err;
    cursor->at = next;
    *found = true;
    return PL_OK;
}

/* ---- manifest ------------------------------------------------------------------------------- */

static enum pl_err bad_manifest(const char *place, const char *what)
{
    return pl_err_set(PL_REJECT_MALFORMED, MANIFEST ": %s: %s", place, what);
}

/* The manifest's own checksum covers everything before it, as compact JSON in the order written. */
static enum pl_err manifest_hash(const json_t *manifest, char text[HASH_TEXT_BYTES])
{
    char *body = json_dumps(manifest, JSON_COMPACT);
    enum pl_err err = body ? hash_bytes(body, strlen(body), text)
                           : no_memory();
    free(body);
    return err;
}

static enum pl_err take_number(const json_t *object, const char *place, const char *name,
                               int64_t max, int64_t *number)
{
    char text[96];
    const json_t *value = json_object_get(object, name);
    *number = json_integer_value(value);
    if (json_is_integer(value) && *number >= 0 && *number <= max)
        return PL_OK;
    snprintf(text, sizeof(text), "\"%s\" is not a whole number from 0 to %lld", name,
             (long long)max);
    return bad_manifest(place, text);
}

static enum pl_err check_text(const json_t *object, const char *place, const char *name,
                              const char *expected)
{
    char text[128];
    const char *value = json_string_value(json_object_get(object, name));
    if (value && strcmp(value, expected) == 0)
        return PL_OK;
    snprintf(text, sizeof(text), "\"%s\" is not \"%s\"", name, expected);
    return bad_manifest(place, text);
}

static bool is_hash(const char *text)
{
    return text && strlen(text) == HASH_TEXT_BYTES - 1 &&
           strspn(text, "0123456789abcdef") == HASH_TEXT_BYTES - 1;
}

static enum pl_err take_numbers(const json_t *object, const char *place,
                                struct bundle_stream *stream)
{
    int64_t partition = 0, records = 0, bytes = 0;
    enum pl_err err = take_number(object, place, "partition", PL_PARTITIONS_MAX - 1, &partition);
    if (!err)
        err = take_number(object, place, "records", INT64_MAX, &records);
    if (!err)
        err = take_number(object, place, "bytes", INT64_MAX, &bytes);
    if (!err)
        err = take_number(object, place, "end", INT64_MAX, &stream->end);
    if (!err)
        err = take_number(object, place, "complete_from", stream->end, &stream->complete_from);
    stream->partition = (int32_t)partition;
    stream->record_count = (uint64_t)records;
    stream->size_bytes = (size_t)bytes;
    return err;
}

static enum pl_err take_stream(const json_t *object, const char *place,
                               struct bundle_stream *stream, char hash[HASH_TEXT_BYTES])
{
    char name[FILE_NAME_BYTES];
    const char *word = json_string_value(json_object_get(object, "topic"));
    const char *text = json_string_value(json_object_get(object, "sha256"));
    if (!word || !pl_topic_from_word(word, &stream->topic))
        return bad_manifest(place, "\"topic\" is no topic");
    enum pl_err err = take_numbers(object, place, stream);
    if (err)
        return err;
    file_name(stream->topic, stream->partition, name);
    err = check_text(object, place, "file", name);
    if (err)
        return err;
    if (!is_hash(text))
        return bad_manifest(place, "\"sha256\" is not 64 digits, 0 to 9 and a to f");
    memcpy(hash, text, HASH_TEXT_BYTES);
    return json_object_size(object) == 8 ? PL_OK : bad_manifest(place, "a field is not known");
}

static bool is_in_order(const struct bundle_stream *before, const struct bundle_stream *after)
{
    return before->topic < after->topic ||
           (before->topic == after->topic && before->partition < after->partition);
}

static enum pl_err take_streams(struct bundle *bundle, const json_t *list)
{
    if (!json_is_array(list))
        return bad_manifest("streams", "it is no list");
    bundle->streams = calloc(json_array_size(list) + 1, sizeof(*bundle->streams));
    bundle->hashes = calloc(json_array_size(list) + 1, sizeof(*bundle->hashes));
    if (!bundle->streams || !bundle->hashes)
        return no_memory();
    for (unsigned i = 0; i < json_array_size(list); i++) {
        char place[32];
        snprintf(place, sizeof(place), "streams[%u]", i);
        enum pl_err err = take_stream(json_array_get(list, i), place, &bundle->streams[i],
                                      bundle->hashes[i]);
        if (!err && i > 0 && !is_in_order(&bundle->streams[i - 1], &bundle->streams[i]))
            err = bad_manifest(place, "it does not follow the one before, by topic and partition");
        if (err)
            return err;
    }
    bundle->stream_count = (unsigned)json_array_size(list);
    return PL_OK;
}

/* Takes the manifest's fields; its own checksum first, since all else is believed after that. */
static enum pl_err take_manifest(struct bundle *bundle, json_t *manifest)
{
    int64_t version = 0, partition_count = 0;
    char given[HASH_TEXT_BYTES] = "", computed[HASH_TEXT_BYTES];
    const char *text = json_string_value(json_object_get(manifest, "sha256"));
    if (!is_hash(text))
        return bad_manifest("sha256", "missing, or not 64 digits, 0 to 9 and a to f");
    memcpy(given, text, sizeof(given));
    (void)json_object_del(manifest, "sha256");
    enum pl_err err = manifest_hash(manifest, computed);
    if (!err && strcmp(given, computed) != 0)
        err = bad_manifest("sha256", "it is not the one of what stands before: it was changed");
    if (!err)
        err = check_text(manifest, "format", "format", FORMAT);
    if (!err)
        err = take_number(manifest, "version", "version", INT32_MAX, &version);
    if (!err && version != VERSION)
        err = bad_manifest("version", "this program reads version 1 only");
    if (!err)
        err = take_number(manifest, "partition_count", "partition_count", PL_PARTITIONS_MAX,
                          &partition_count);
    if (!err && (partition_count == 0 || json_object_size(manifest) != 5 ||
                 !json_is_string(json_object_get(manifest, "build"))))
        err = bad_manifest("fields", "expected are format, version, build, partition_count from 1, "
                           "streams, sha256");
    bundle->partition_count = (int32_t)partition_count;
    return err ? err : take_streams(bundle, json_object_get(manifest, "streams"));
}

static enum pl_err parse_manifest(struct bundle *bundle, const char *text, size_t size_bytes)
{
    json_error_t error;
    json_t *manifest = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!manifest)
        return pl_err_set(PL_REJECT_MALFORMED, MANIFEST ": line %d, column %d: %s", error.line,
                          error.column, error.text);
    enum pl_err err = take_manifest(bundle, manifest);
    json_decref(manifest);
    return err;
}

/* ---- reading -------------------------------------------------------------------------------- */

static enum pl_err system_error(const char *what, const char *name)
{
    return pl_err_set(PL_FATAL_SYSTEM, "cannot %s %s: %s", what, name, strerror(errno));
}

/* Maps a file of any size; an empty one has no bytes. */
static enum pl_err map_file(int directory_fd, const char *name, const uint8_t **bytes,
                            size_t *size_bytes)
{
    struct stat status;
    *bytes = NULL;
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return system_error("open", name);
    enum pl_err err = PL_OK;
    if (fstat(fd, &status) != 0)
        err = system_error("read", name);
    else if (!S_ISREG(status.st_mode))
        err = pl_err_set(PL_REJECT_MALFORMED, "%s is no regular file", name);
    *size_bytes = err ? 0 : (size_t)status.st_size;
    if (!err && *size_bytes > 0) {
        void *map = mmap(NULL, *size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        *bytes = map == MAP_FAILED ? NULL : map;
        err = map == MAP_FAILED ? system_error("map", name) : PL_OK;
    }
    (void)close(fd);
    return err;
}

static void unmap_file(const uint8_t *bytes, size_t size_bytes)
{
    if (bytes)
        (void)munmap((void *)(uintptr_t)bytes, size_bytes);
}

static enum pl_err map_manifest(struct bundle *bundle, int directory_fd)
{
    const uint8_t *text = NULL;
    size_t size_bytes = 0;
    enum pl_err err = map_file(directory_fd, MANIFEST, &text, &size_bytes);
    if (!err && size_bytes > MANIFEST_BYTES_MAX)
        err = bad_manifest("size", "more than 16 MiB");
    if (!err)
        err = parse_manifest(bundle, text ? (const char *)text : "", size_bytes);
    unmap_file(text, size_bytes);
    return err;
}

static enum pl_err map_stream(struct bundle_stream *stream, int directory_fd)
{
    char name[FILE_NAME_BYTES];
    size_t expected = stream->size_bytes;
    file_name(stream->topic, stream->partition, name);
    enum pl_err err = map_file(directory_fd, name, &stream->bytes, &stream->size_bytes);
    if (!err && stream->size_bytes != expected)
        err = pl_err_set(PL_REJECT_MALFORMED, "%s has %zu bytes, and the manifest says %zu: it was "
                         "changed or cut off at byte %zu", name, stream->size_bytes, expected,
                         stream->size_bytes < expected ? stream->size_bytes : expected);
    return err;
}

enum pl_err bundle_open(struct bundle **bundle, const char *directory)
{
    *bundle = NULL;
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0)
        return system_error("open directory", directory);
    struct bundle *opened = calloc(1, sizeof(*opened));
    enum pl_err err = opened ? PL_OK : no_memory();
    if (!err) {
        opened->is_mapped = true;
        err = map_manifest(opened, directory_fd);
    }
    for (unsigned i = 0; !err && i < opened->stream_count; i++)
        err = map_stream(&opened->streams[i], directory_fd);
    (void)close(directory_fd);
    if (err) {
        bundle_close(&opened);
        return pl_err_note(err, "bundle %s", directory);
    }
    *bundle = opened;
    return PL_OK;
}

void bundle_close(struct bundle **bundle)
{
    struct bundle *closed = *bundle;
    *bundle = NULL;
    if (!closed)
        return;
    for (unsigned i = 0; i < closed->stream_count; i++) {
        if (closed->is_mapped)
            unmap_file(closed->streams[i].bytes, closed->streams[i].size_bytes);
        else
            free((void *)(uintptr_t)closed->streams[i].bytes);
    }
    free(closed->streams);
    free(closed->hashes);
    free(closed);
}

/* Every frame, so that the count of records is known to be true as well. */
static enum pl_err check_frames(const struct bundle_stream *stream)
{
    struct bundle_cursor cursor = { .stream = stream };
    struct pl_record record;
    uint64_t count = 0;
    bool found = true;
    enum pl_err err = PL_OK;
    while (!err && found) {
        err = bundle_next(&cursor, &record, &found);
        count += !err && found;
    }
    if (!err && count != stream->record_count)
        err = bad_frame(stream, cursor.at, "the manifest speaks of another number of records");
    return err;
}

enum pl_err bundle_check_files(const struct bundle *bundle)
{
    for (unsigned i = 0; i < bundle->stream_count; i++) {
        const struct bundle_stream *stream = &bundle->streams[i];
        char text[HASH_TEXT_BYTES], name[FILE_NAME_BYTES];
        file_name(stream->topic, stream->partition, name);
        enum pl_err err = PL_OK;
        if (bundle->is_mapped)
            err = hash_bytes(stream->bytes, stream->size_bytes, text);
        if (!err && bundle->is_mapped && strcmp(text, bundle->hashes[i]) != 0)
            err = pl_err_set(PL_REJECT_CONFLICT, "%s has SHA-256 %s, and the manifest says %s: it "
                             "was changed", name, text, bundle->hashes[i]);
        if (!err)
            err = check_frames(stream);
        if (err)
            return err;
    }
    return PL_OK;
}

int32_t bundle_partition_count(const struct bundle *bundle)
{
    return bundle->partition_count;
}

unsigned bundle_stream_count(const struct bundle *bundle)
{
    return bundle->stream_count;
}

const struct bundle_stream *bundle_stream_at(const struct bundle *bundle, unsigned at)
{
    pl_assert(at < bundle->stream_count);
    return &bundle->streams[at];
}

const struct bundle_stream *bundle_find(const struct bundle *bundle, enum pl_topic topic,
                                        int32_t partition)
{
    const struct bundle_stream sought = { .topic = topic, .partition = partition };
    unsigned low = 0, high = bundle->stream_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (is_in_order(&bundle->streams[middle], &sought))
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < bundle->stream_count && bundle->streams[low].topic == topic &&
                    bundle->streams[low].partition == partition;
    return is_there ? &bundle->streams[low] : NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Frames gather in a buffer: all of them in memory, up to FLUSH_BYTES where there is a file, which
 * is open only while something is added, so that many streams need no more than one descriptor. */
struct writing {
    struct bundle_stream stream; /* `end` is after the last record until a bound says otherwise */
    bool has_bound;
    int64_t next_offset;
    uint8_t *buffer;
    size_t used_bytes, capacity_bytes;
    EVP_MD_CTX *hash;
};

struct bundle_writer {
    char *directory; /* NULL: in memory */
    int directory_fd;
    int32_t partition_count;
    unsigned stream_count;
    struct writing *streams[PL_TOPIC_COUNT][PL_PARTITIONS_MAX];
};

/* More than "." and "..": what is there was not written by us. */
static enum pl_err check_empty(const char *directory)
{
    unsigned count = 0;
    DIR *listing = opendir(directory);
    if (!listing)
        return pl_err_set(PL_FATAL_CONFIG, "cannot write to %s: %s", directory, strerror(errno));
    while (readdir(listing))
        count++;
    (void)closedir(listing);
    if (count > 2)
        return pl_err_set(PL_FATAL_CONFIG, "%s is not empty: name a directory that is new or empty",
                          directory);
    return PL_OK;
}

static enum pl_err open_directory(struct bundle_writer *writer, const char *directory)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return pl_err_set(PL_FATAL_CONFIG, "cannot make directory %s: %s", directory,
                          strerror(errno));
    enum pl_err err = check_empty(directory);
    if (err)
        return err;
    writer->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    writer->directory = strdup(directory);
    if (writer->directory_fd < 0)
        return system_error("open directory", directory);
    return writer->directory ? PL_OK : no_memory();
}

enum pl_err bundle_create(struct bundle_writer **writer, const char *directory,
                          int32_t partition_count)
{
    pl_assert(partition_count > 0 && partition_count <= PL_PARTITIONS_MAX);
    *writer = calloc(1, sizeof(**writer));
    if (!*writer)
        return no_memory();
    (*writer)->directory_fd = -1;
    (*writer)->partition_count = partition_count;
    enum pl_err err = directory ? open_directory(*writer, directory) : PL_OK;
    if (err)
        bundle_discard(writer);
    return err;
}

static enum pl_err writing_of(struct bundle_writer *writer, enum pl_topic topic, int32_t partition,
                              struct writing **writing)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    pl_assert(partition >= 0 && partition < PL_PARTITIONS_MAX);
    *writing = writer->streams[topic][partition];
    if (*writing)
        return PL_OK;
    *writing = calloc(1, sizeof(**writing));
    if (!*writing)
        return no_memory();
    (*writing)->stream = (struct bundle_stream){ .topic = topic, .partition = partition };
    writer->streams[topic][partition] = *writing;
    writer->stream_count++;
    if (!writer->directory)
        return PL_OK;
    (*writing)->hash = EVP_MD_CTX_new();
    if (!(*writing)->hash || !EVP_DigestInit_ex((*writing)->hash, EVP_sha256(), NULL))
        return pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
    return PL_OK;
}

static enum pl_err write_file(const struct bundle_writer *writer, const char *name,
                              const void *bytes, size_t size_bytes)
{
    int fd = openat(writer->directory_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    bool is_done = fd >= 0;
    for (size_t at = 0; is_done && at < size_bytes;) {
        ssize_t written = write(fd, (const uint8_t *)bytes + at, size_bytes - at);
        if (written < 0 && errno == EINTR)
            continue;
        is_done = written >= 0;
        at += is_done ? (size_t)written : 0;
    }
    enum pl_err err = is_done ? PL_OK : system_error("write", name);
    if (fd >= 0 && close(fd) != 0 && !err)
        err = system_error("write", name);
    return err;
}

static enum pl_err flush(struct bundle_writer *writer, struct writing *writing)
{
    char name[FILE_NAME_BYTES];
    file_name(writing->stream.topic, writing->stream.partition, name);
    enum pl_err err = write_file(writer, name, writing->buffer, writing->used_bytes);
    if (!err && !EVP_DigestUpdate(writing->hash, writing->buffer, writing->used_bytes))
        err = pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
    writing->used_bytes = 0;
    return err;
}

/* Room for `size_bytes` more. */
static enum pl_err make_room(struct bundle_writer *writer, struct writing *writing,
                             size_t size_bytes)
{
    if (writer->directory && writing->used_bytes > 0 &&
        writing->used_bytes + size_bytes > FLUSH_BYTES) {
        enum pl_err err = flush(writer, writing);
        if (err)
            return err;
    }
    size_t capacity_bytes = writing->capacity_bytes ? writing->capacity_bytes : 4096;
    while (capacity_bytes - writing->used_bytes < size_bytes)
        capacity_bytes *= 2;
    if (capacity_bytes == writing->capacity_bytes)
        return PL_OK;
    uint8_t *buffer = realloc(writing->buffer, capacity_bytes);
    if (!buffer)
        return no_memory();
    writing->buffer = buffer;
    writing->capacity_bytes = capacity_bytes;
    return PL_OK;
}

enum pl_err bundle_append(struct bundle_writer *writer, const struct pl_record *record)
{
    struct writing *writing;
    size_t size_bytes = frame_bytes(record);
    pl_assert(record->header_count <= PL_HEADERS_MAX);
    pl_assert(size_bytes < INT32_MAX); /* Kafka takes none that large */
    enum pl_err err = writing_of(writer, record->topic, record->partition, &writing);
    pl_assert(err || record->offset >= writing->next_offset);
    if (!err)
        err = make_room(writer, writing, size_bytes);
    if (err)
        return err;
    frame_write(writing->buffer + writing->used_bytes, size_bytes, record);
    writing->used_bytes += size_bytes;
    writing->next_offset = record->offset + 1;
    writing->stream.size_bytes += size_bytes;
    writing->stream.record_count++;
    return PL_OK;
}

enum pl_err bundle_bound(struct bundle_writer *writer, enum pl_topic topic, int32_t partition,
                         int64_t complete_from, int64_t end)
{
    struct writing *writing;
    pl_assert(complete_from >= 0 && complete_from <= end);
    enum pl_err err = writing_of(writer, topic, partition, &writing);
    if (err)
        return err;
    writing->has_bound = true;
    writing->stream.complete_from = complete_from;
    writing->stream.end = end;
    return PL_OK;
}

static struct writing *writing_at(const struct bundle_writer *writer, unsigned at)
{
    return writer->streams[at / PL_PARTITIONS_MAX][at % PL_PARTITIONS_MAX];
}

enum { WRITINGS_MAX = PL_TOPIC_COUNT * PL_PARTITIONS_MAX };

static void end_streams(struct bundle_writer *writer)
{
    for (unsigned i = 0; i < WRITINGS_MAX; i++) {
        struct writing *writing = writing_at(writer, i);
        if (writing && !writing->has_bound)
            writing->stream.end = writing->next_offset;
        pl_assert(!writing || writing->stream.end >= writing->next_offset);
    }
}

/* Hands the buffers over. */
static enum pl_err finish_memory(struct bundle_writer *writer, struct bundle **bundle)
{
    struct bundle *made = calloc(1, sizeof(*made));
    if (made)
        made->streams = calloc(writer->stream_count + 1, sizeof(*made->streams));
    if (!made || !made->streams) {
        free(made);
        return no_memory();
    }
    made->partition_count = writer->partition_count;
    for (unsigned i = 0; i < WRITINGS_MAX; i++) {
        struct writing *writing = writing_at(writer, i);
        if (!writing)
            continue;
        writing->stream.bytes = writing->buffer;
        writing->buffer = NULL;
        made->streams[made->stream_count++] = writing->stream;
    }
    *bundle = made;
    return PL_OK;
}

static enum pl_err finish_file(struct bundle_writer *writer, struct writing *writing,
                               json_t *streams)
{
    const struct bundle_stream *stream = &writing->stream;
    char name[FILE_NAME_BYTES], text[HASH_TEXT_BYTES];
    uint8_t hash[HASH_BYTES];
    file_name(stream->topic, stream->partition, name);
    enum pl_err err = flush(writer, writing);
    if (!err && !EVP_DigestFinal_ex(writing->hash, hash, NULL))
        err = pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot compute SHA-256");
    if (err)
        return err;
    hash_text(hash, text);
    json_t *row = json_pack("{ss si ss sI sI sI sI ss}", "topic", pl_topic_word(stream->topic),
                            "partition", (int)stream->partition, "file", name, "records",
                            (json_int_t)stream->record_count, "bytes",
                            (json_int_t)stream->size_bytes, "complete_from",
                            (json_int_t)stream->complete_from, "end", (json_int_t)stream->end,
                            "sha256", text);
    return json_array_append_new(streams, row) == 0 ? PL_OK : no_memory();
}

static enum pl_err write_manifest(struct bundle_writer *writer, json_t *streams)
{
    char build[128], text[HASH_TEXT_BYTES];
    snprintf(build, sizeof(build), "%s (%s)", pl_version, pl_revision);
    json_t *manifest = json_pack("{ss si ss si sO}", "format", FORMAT, "version", VERSION, "build",
                                 build, "partition_count", (int)writer->partition_count, "streams",
                                 streams);
    enum pl_err err = manifest ? manifest_hash(manifest, text) : no_memory();
    if (!err && json_object_set_new(manifest, "sha256", json_string(text)) != 0)
        err = no_memory();
    char *body = err ? NULL : json_dumps(manifest, JSON_INDENT(1));
    if (!err)
        err = body ? write_file(writer, MANIFEST, body, strlen(body)) : no_memory();
    free(body);
    json_decref(manifest);
    return err;
}

static enum pl_err finish_files(struct bundle_writer *writer)
{
    json_t *streams = json_array();
    enum pl_err err = streams ? PL_OK : no_memory();
    for (unsigned i = 0; !err && i < WRITINGS_MAX; i++)
        if (writing_at(writer, i))
            err = finish_file(writer, writing_at(writer, i), streams);
    if (!err)
        err = write_manifest(writer, streams);
    json_decref(streams);
    return err;
}

enum pl_err bundle_finish(struct bundle_writer **writer, struct bundle **bundle)
{
    enum pl_err err;
    *bundle = NULL;
    end_streams(*writer);
    if ((*writer)->directory) {
        err = finish_files(*writer);
        if (!err)
            err = bundle_open(bundle, (*writer)->directory);
    } else {
        err = finish_memory(*writer, bundle);
    }
    bundle_discard(writer);
    return err;
}

void bundle_discard(struct bundle_writer **writer)
{
    if (!*writer)
        return;
    for (unsigned i = 0; i < WRITINGS_MAX; i++) {
        struct writing *writing = writing_at(*writer, i);
        if (!writing)
            continue;
        EVP_MD_CTX_free(writing->hash);
        free(writing->buffer);
        free(writing);
    }
    if ((*writer)->directory_fd >= 0)
        (void)close((*writer)->directory_fd);
    free((*writer)->directory);
    free(*writer);
    *writer = NULL;
}
