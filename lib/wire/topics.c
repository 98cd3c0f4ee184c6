/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of topics, and the partitioner that makes co-partitioning hold: positions, holdings,
 * executions, orders, alerts, accounts and journal of one account share a partition because
 * everybody hashes the key as Kafka's Java client does. Role: step 1 of the event's path checks
 * a record's partition with it, step 6 chooses one. Pure; G1 and G7 rest on it (a record whose key
 * does not hash to its partition goes to dead letter).
 */
#include "lib/wire/topics.h"

#include <string.h>

#include "lib/base/assert.h"

static const struct {
    const char *word;
    const char *name;
    uint32_t value_bytes_max;
} s_topics[PL_TOPIC_COUNT] = {
    [PL_TOPIC_PRICES] = {"prices", "plimsoll.prices.v1", 4 * 1024},
    [PL_TOPIC_POSITIONS] = {"positions", "plimsoll.positions.v1", 64 * 1024},
    [PL_TOPIC_MARKS] = {"marks", "plimsoll.marks.v1", 64 * 1024},
    [PL_TOPIC_HOLDINGS] = {"holdings", "plimsoll.holdings.v1", 256 * 1024},
    [PL_TOPIC_PARAMETERS] = {"parameters", "plimsoll.parameters.v1", 4 * 1024 * 1024},
    [PL_TOPIC_CHAINS] = {"chains", "plimsoll.chains.v1", 4 * 1024},
    [PL_TOPIC_CONTROL] = {"control", "plimsoll.control.v1", 4 * 1024},
    [PL_TOPIC_EXECUTIONS] = {"executions", "plimsoll.executions.v1", 8 * 1024},
    [PL_TOPIC_ORDERS] = {"orders", "plimsoll.orders.v1", 16 * 1024},
    [PL_TOPIC_ALERTS] = {"alerts", "plimsoll.alerts.v1", 16 * 1024},
    [PL_TOPIC_ACCOUNTS] = {"accounts", "plimsoll.accounts.v1", 64 * 1024},
    [PL_TOPIC_JOURNAL] = {"journal", "plimsoll.journal.v1", 64 * 1024},
    /* Room for the largest record of any topic with its headers of origin. */
    [PL_TOPIC_DEADLETTER] = {"deadletter", "plimsoll.deadletter.v1", 5 * 1024 * 1024},
};

const char *pl_topic_word(enum pl_topic topic)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    return s_topics[topic].word;
}

const char *pl_topic_default_name(enum pl_topic topic)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    return s_topics[topic].name;
}

uint32_t pl_topic_value_bytes_max(enum pl_topic topic)
{
    pl_assert((unsigned)topic < PL_TOPIC_COUNT);
    return s_topics[topic].value_bytes_max;
}

bool pl_topic_from_word(const char *word, enum pl_topic *topic)
{
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        if (strcmp(s_topics[i].word, word) == 0) {
            *topic = (enum pl_topic)i;
            return true;
        }
    }
    return false;
}

/* Four bytes, least significant first, whatever this machine's order and the data's alignment. */
static uint32_t load_u32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

/* MurmurHash2 with Kafka's seed, bit for bit as org.apache.kafka.common.utils.Utils.murmur2. */
static uint32_t murmur2(const uint8_t *data, size_t size_bytes)
{
    const uint32_t multiplier = 0x5bd1e995U;
    uint32_t hash = 0x9747b28cU ^ (uint32_t)size_bytes;

    while (size_bytes >= 4) {
        uint32_t word = load_u32(data) * multiplier;

        word ^= word >> 24;
        hash = (hash * multiplier) ^ (word * multiplier);
        data += 4;
        size_bytes -= 4;
    }
    if (size_bytes == 3)
        hash ^= (uint32_t)data[2] << 16;
    if (size_bytes >= 2)
        hash ^= (uint32_t)data[1] << 8;
    if (size_bytes >= 1)
        hash = (hash ^ data[0]) * multiplier;

    hash ^= hash >> 13;
    hash *= multiplier;
    return hash ^ hash >> 15;
}

int32_t pl_key_partition(const uint8_t *key, size_t size_bytes, int32_t partition_count)
{
    pl_assert(key != NULL && size_bytes > 0);
    pl_assert(partition_count > 0);
    return (int32_t)(murmur2(key, size_bytes) & 0x7fffffffU) % partition_count;
}

struct pl_bytes_view pl_account_part(struct pl_bytes_view id)
{
    const uint8_t *mark = id.size_bytes ? memchr(id.data, PL_BUCKET_MARK, id.size_bytes) : NULL;
    return (struct pl_bytes_view){id.data, mark ? (size_t)(mark - id.data) : id.size_bytes};
}

const char *pl_bucket_part(const struct pl_id *id)
{
    const char *mark = memchr(id->text, PL_BUCKET_MARK, id->size_bytes);
    return mark ? mark + 1 : "";
}

int32_t pl_account_partition(const struct pl_id *id, int32_t partition_count)
{
    const struct pl_bytes_view account =
        pl_account_part((struct pl_bytes_view){(const uint8_t *)id->text, id->size_bytes});
    return pl_key_partition(account.data, account.size_bytes, partition_count);
}

enum pl_err pl_key_check(struct pl_bytes_view key, struct pl_bytes_view value, int32_t partition,
                         int32_t partition_count, const char *what)
{
    if (!key.data || key.size_bytes == 0)
        return pl_err_set(PL_REJECT_KEY, "no key: write the %s as the record's key", what);
    int32_t expected = pl_key_partition(key.data, key.size_bytes, partition_count);
    if (expected != partition)
        return pl_err_set(PL_REJECT_PARTITION, "key hashes to partition %d: produce with the Java "
                          "default partitioner (murmur2)", (int)expected);
    if (!value.data)
        return pl_err_set(PL_REJECT_MALFORMED, "no value: a tombstone is not allowed here");
    return PL_OK;
}

enum pl_err pl_account_key_check(struct pl_bytes_view key, struct pl_bytes_view value,
                                 int32_t partition, int32_t partition_count)
{
    return pl_key_check(pl_account_part(key), value, partition, partition_count, "account id");
}
