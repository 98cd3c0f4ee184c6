/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An audit bundle: records as they were received, one stream per topic partition, and a manifest.
 * It is all that replay, verify and explain ever read: from a directory that `plimsoll export`
 * wrote, from a temporary one filled from Kafka, or from memory (the simulation).
 *
 *   manifest.json        format, version, build, partition count, and of each stream: topic,
 *                        partition, file, records, bytes, complete_from, end, sha256; and last
 *                        the SHA-256 of all that as compact JSON
 *   manifest.sig         where it was signed: pl_key_sign of manifest.json (signature.h)
 *   holdings-0.records   frames of one stream in the order of offsets
 *
 * A frame, all numbers big-endian: size of the rest (4), offset (8), timestamp in ms (8), key size
 * (4, all ones: absent), value size (4, likewise), header count (2), key, value, and per header:
 * name size with its closing NUL (2), value size (4, all ones: absent), name, value.
 */
#ifndef PL_SERVICES_CLI_BUNDLE_H
#define PL_SERVICES_CLI_BUNDLE_H

#include "lib/kafka/consumer.h"

/* One topic partition. Below `complete_from` there is only a checkpoint: of each key the newest
 * record before it (of holdings the newest that was accepted, and what came after it; of control,
 * chains and parameters all that the log still had). From there up to `end`, the next offset after
 * the last one copied, there is every record that the log had; of dead letters only those of the
 * entries in the bundle. */
struct bundle_stream {
    enum pl_topic topic;
    int32_t partition;
    int64_t complete_from, end;
    uint64_t record_count;
    const uint8_t *bytes;
    size_t size_bytes;
};

struct bundle; /* read-only */

/* Maps the files of a directory. What the manifest does not describe exactly is REJECT_MALFORMED
 * with the file and the place; a missing file FATAL_SYSTEM. Checksums are not computed here. */
enum pl_err bundle_open(struct bundle **bundle, const char *directory);
/* Every file's SHA-256 against the manifest: REJECT_CONFLICT names the first file that differs.
 * Every frame and their number: REJECT_MALFORMED, also in memory. */
enum pl_err bundle_check_files(const struct bundle *bundle);
void bundle_close(struct bundle **bundle); /* accepts NULL, sets NULL */

/* P, the partition count of the topics that are keyed by account. */
int32_t bundle_partition_count(const struct bundle *bundle);
unsigned bundle_stream_count(const struct bundle *bundle);
const struct bundle_stream *bundle_stream_at(const struct bundle *bundle, unsigned at);
/* NULL when the bundle has no such stream. */
const struct bundle_stream *bundle_find(const struct bundle *bundle, enum pl_topic topic,
                                        int32_t partition);

/* Reads one stream from its beginning. `at` is the place of the next frame and may be kept and
 * set again; header names and all views of a record are borrowed from the bundle. A stream NULL
 * is empty. */
struct bundle_cursor {
    const struct bundle_stream *stream;
    size_t at;
};
/* REJECT_MALFORMED: the frame is cut off or offsets do not rise; text names topic, partition,
 * place. */
enum pl_err bundle_next(struct bundle_cursor *cursor, struct pl_record *record, bool *found);

/* ---- writing -------------------------------------------------------------------------------- */

struct bundle_writer;

/* `directory` must be new or empty (FATAL_CONFIG); NULL: in memory. */
enum pl_err bundle_create(struct bundle_writer **writer, const char *directory,
                          int32_t partition_count);
/* Appends to the record's stream. Offsets of a stream must rise. FATAL_SYSTEM (disk full, …). */
enum pl_err bundle_append(struct bundle_writer *writer, const struct pl_record *record);
/* Says what of a stream is there, also of one without records. The default is 0 and the offset
 * after the last record. */
enum pl_err bundle_bound(struct bundle_writer *writer, enum pl_topic topic, int32_t partition,
                         int64_t complete_from, int64_t end);
/* Flushes, writes the manifest last, and opens what was written. The writer is gone, also on
 * error. */
enum pl_err bundle_finish(struct bundle_writer **writer, struct bundle **bundle);
void bundle_discard(struct bundle_writer **writer); /* accepts NULL */

#endif
