/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an auditor is handed: a stream's frames are read to their end or refused with a text, and
 * what was read is written as the same bytes; a manifest, with its checksum made right, opens or is
 * refused. Input that begins with '{' is a manifest.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/cli/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* ---- frames --------------------------------------------------------------------------------- */

static void run_frames(const uint8_t *data, size_t size_bytes)
{
    const struct bundle_stream stream = { .topic = PL_TOPIC_ORDERS, .partition = 3,
                                          .end = INT64_MAX, .bytes = data,
                                          .size_bytes = size_bytes };
    struct bundle_cursor cursor = { .stream = &stream };
    struct bundle_writer *writer;
    struct bundle *bundle;
    struct pl_record record;
    enum pl_err err = PL_OK;
    uint64_t count = 0;
    require(bundle_create(&writer, NULL, 4) == PL_OK);
    for (bool found = true; !err && found;) {
        size_t at = cursor.at;
        err = bundle_next(&cursor, &record, &found);
        require(!err || (err == PL_REJECT_MALFORMED && strstr(pl_err_text(), "orders-3.records")));
        require(cursor.at > at || err || !found);
        if (!err && found) {
            require(bundle_append(writer, &record) == PL_OK);
            count++;
        }
    }
    require(bundle_finish(&writer, &bundle) == PL_OK);
    const struct bundle_stream *copy = bundle_find(bundle, PL_TOPIC_ORDERS, 3);
    require(count == (copy ? copy->record_count : 0));
    require(cursor.at == (copy ? copy->size_bytes : 0));
    require(!copy || memcmp(copy->bytes, data, copy->size_bytes) == 0);
    bundle_close(&bundle);
}

/* ---- manifest ------------------------------------------------------------------------------- */

/* With a manifest, and the one file of records that the corpus speaks of. */
static char directory[] = "/tmp/plimsoll-fuzz-bundle-XXXXXX";

static void store(const char *name, const void *bytes, size_t size_bytes)
{
    char path[sizeof(directory) + 32];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    (void)unlink(path); /* some file systems flush a file that is truncated */
    FILE *file = fopen(path, "wb");
    require(file && fwrite(bytes, 1, size_bytes, file) == size_bytes && fclose(file) == 0);
}

static void remove_directory(void)
{
    char path[sizeof(directory) + 32];
    static const char *const NAMES[] = { "manifest.json", "marks-0.records" };
    for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, NAMES[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static void make_directory(void)
{
    static bool is_made;
    static const uint8_t FRAME[30] = { [3] = 26, [11] = 7, [20] = 0xff, 0xff, 0xff, 0xff,
                                       [24] = 0xff, 0xff, 0xff, 0xff };
    if (is_made)
        return;
    require(mkdtemp(directory) != NULL);
    store("marks-0.records", FRAME, sizeof(FRAME));
    require(atexit(remove_directory) == 0);
    is_made = true;
}

/* What is not refused for its checksum gets further; the caller frees it. NULL: this is no
 * object. */
static char *with_checksum(const uint8_t *data, size_t size_bytes)
{
    uint8_t hash[32];
    char text[65];
    json_t *manifest = json_loadb((const char *)data, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    (void)json_object_del(manifest, "sha256");
    char *body = json_is_object(manifest) ? json_dumps(manifest, JSON_COMPACT) : NULL;
    char *whole = NULL;
    if (body) {
        require(EVP_Digest(body, strlen(body), hash, NULL, EVP_sha256(), NULL) == 1);
        for (unsigned i = 0; i < sizeof(hash); i++)
            snprintf(text + 2 * i, 3, "%02x", hash[i]);
        require(json_object_set_new(manifest, "sha256", json_string(text)) == 0);
        whole = json_dumps(manifest, 0);
    }
    free(body);
    json_decref(manifest);
    return whole;
}

static void use(const struct bundle *bundle)
{
    enum pl_err err = bundle_check_files(bundle);
    require(!err || err == PL_REJECT_CONFLICT || err == PL_REJECT_MALFORMED);
    require(bundle_partition_count(bundle) > 0);
    for (unsigned i = 0; i < bundle_stream_count(bundle); i++) {
        const struct bundle_stream *stream = bundle_stream_at(bundle, i);
        require(bundle_find(bundle, stream->topic, stream->partition) == stream);
        require(stream->complete_from <= stream->end);
    }
}

static void run_manifest(const uint8_t *data, size_t size_bytes)
{
    struct bundle *bundle;
    make_directory();
    char *whole = with_checksum(data, size_bytes);
    store("manifest.json", whole ? whole : (const char *)data, whole ? strlen(whole) : size_bytes);
    free(whole);
    enum pl_err err = bundle_open(&bundle, directory);
    require(!err || ((err == PL_REJECT_MALFORMED || err == PL_FATAL_SYSTEM) &&
                     strstr(pl_err_text(), directory)));
    if (!err)
        use(bundle);
    bundle_close(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes > 0 && data[0] == '{')
        run_manifest(data, size_bytes);
    else
        run_frames(data, size_bytes);
    return 0;
}
