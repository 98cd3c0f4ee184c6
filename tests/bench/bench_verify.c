/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Megabytes of records per second that verify checks, over the log of a seeded venue, and beside
 * it, in the same run, plain SHA-256 of the same keys and values in one piece. Prints one JSON
 * line.
 *
 *   bench_verify [ACCOUNTS [STEPS [PASSES]]]   default 20000 150 5; the median pass counts
 *
 * Times are of the processor. "signed": with a key, so that every entry's signature is checked too.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "services/cli/verify.h"
#include "tests/support/audit_log.h"

enum { PARTITIONS = 4, PASSES_MAX = 100 };

static const char PRIVATE_KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

static void must(bool is_done, const char *what)
{
    if (is_done)
        return;
    fprintf(stderr, "bench_verify: %s: %s\n", what, pl_err_text());
    exit(1);
}

static struct pl_key *open_key(void)
{
    char path[] = "/tmp/plimsoll-bench-XXXXXX";
    struct pl_key *key = NULL;
    int file = mkstemp(path);
    must(file >= 0 && write(file, PRIVATE_KEY, sizeof(PRIVATE_KEY) - 1) > 0, path);
    close(file);
    must(!pl_key_open_private(&key, path), path);
    unlink(path);
    return key;
}

/* Of this thread on a core of its own: there is nothing to wait for but other processes. */
static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

struct total { uint64_t records, bytes, entries; };

static int64_t verify_all(const struct bundle *bundle, const struct pl_key *key,
                          struct total *total)
{
    const struct verify_options options = { .keys = { key }, .key_count = key != NULL };
    struct verify *verify = NULL;
    *total = (struct total){ 0 };
    int64_t begin_ns = now_ns();
    must(!verify_open(&verify, bundle, &options), "open");
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct verify_report report;
        must(!verify_partition(verify, i, &report), "verify");
        total->records += report.record_count;
        total->bytes += report.bytes;
        total->entries += report.entry_count;
    }
    verify_close(&verify);
    return now_ns() - begin_ns;
}

/* All keys and values, one after the other. */
static uint8_t *flatten(const struct bundle *bundle, uint64_t *size_bytes)
{
    uint64_t room = 0;
    for (unsigned i = 0; i < bundle_stream_count(bundle); i++)
        room += bundle_stream_at(bundle, i)->size_bytes;
    uint8_t *bytes = malloc(room + 1);
    must(bytes != NULL, "memory");
    *size_bytes = 0;
    for (unsigned i = 0; i < bundle_stream_count(bundle); i++) {
        struct bundle_cursor cursor = { .stream = bundle_stream_at(bundle, i) };
        struct pl_record record;
        bool found = false;
        while (!bundle_next(&cursor, &record, &found) && found) {
            const struct pl_bytes_view views[] = { record.key, record.value };
            for (unsigned j = 0; j < 2; j++) {
                if (views[j].size_bytes > 0)
                    memcpy(bytes + *size_bytes, views[j].data, views[j].size_bytes);
                *size_bytes += views[j].size_bytes;
            }
        }
    }
    return bytes;
}

static int64_t hash_all(const uint8_t *bytes, uint64_t size_bytes)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    int64_t begin_ns = now_ns();
    must(EVP_Digest(bytes, size_bytes, hash, NULL, EVP_sha256(), NULL) == 1, "hash");
    return now_ns() - begin_ns;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static double median_s(int64_t *times_ns, unsigned count)
{
    qsort(times_ns, count, sizeof(*times_ns), compare);
    return (double)times_ns[count / 2] / 1e9;
}

int main(int argc, char **argv)
{
    const unsigned accounts = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;
    const unsigned steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 150;
    const unsigned passes = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    struct pl_key *key = open_key();
    const struct audit_log_options options = { .seed = 1, .partition_count = PARTITIONS,
                                               .account_count = accounts, .coin_count = 12,
                                               .step_count = steps, .heartbeat_steps = 1,
                                               .step_ms = 1000, .is_calm = true, .key = key };
    int64_t plain_ns[PASSES_MAX], signed_ns[PASSES_MAX], hash_ns[PASSES_MAX];
    struct audit_log log;
    struct total total = { 0 };
    uint64_t size_bytes = 0;
    must(passes > 0 && passes <= PASSES_MAX && accounts > 0 && steps > 0, "arguments");
    audit_log_build(&log, &options);
    struct bundle *bundle = audit_log_bundle(&log);
    uint8_t *bytes = flatten(bundle, &size_bytes);
    for (unsigned i = 0; i < passes; i++) {
        plain_ns[i] = verify_all(bundle, NULL, &total);
        signed_ns[i] = verify_all(bundle, key, &total);
        hash_ns[i] = hash_all(bytes, size_bytes);
    }
    must(total.bytes == size_bytes, "not every record was checked");
    double megabytes = (double)size_bytes / 1e6;
    double plain_s = median_s(plain_ns, passes), hash_s = median_s(hash_ns, passes);
    printf("{\"bench\":\"verify\",\"records\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"mb\":%.1f,"
           "\"mb_per_s\":%.1f,\"signed_mb_per_s\":%.1f,\"sha256_mb_per_s\":%.1f,"
           "\"ratio_to_sha256\":%.3f}\n", total.records, total.entries, megabytes,
           megabytes / plain_s, megabytes / median_s(signed_ns, passes), megabytes / hash_s,
           hash_s / plain_s);
    free(bytes);
    bundle_close(&bundle);
    audit_log_free(&log);
    pl_key_close(&key);
    return 0;
}
