/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll explain over whole logs of seeded venues (tests/support/audit_log.h), with crashes,
 * fills, restarts, halts and broken records: what is told of an account at an entry is what was
 * published then and before. The same is told where the records of other accounts are missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/explain.h"
#include "tests/support/audit_log.h"
#include "tests/support/random.h"

enum { LOGS = 12, EVERY = 13 };
static const size_t WIRE_BYTES = (size_t)1 << 20;

static struct pl_wire wire;

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "(none)";
}

/* ---- what was published --------------------------------------------------------------------- */

/* Records of one account in one entry, in the order of the topic. */
static unsigned published(const struct audit_log *log, enum pl_topic topic, int32_t partition,
                          const struct pl_id *account, uint64_t sequence, struct pl_order *orders,
                          unsigned capacity)
{
    const struct audit_stream *stream = audit_log_stream(log, topic, partition);
    unsigned count = 0;
    for (size_t i = 0; stream && i < stream->count; i++) {
        const struct pl_record *at = &stream->records[i];
        int32_t journal_partition = 0;
        uint64_t of = 0;
        if (!pl_wire_journal_of(at->headers, at->header_count, &journal_partition, &of) ||
            of != sequence || at->key.size_bytes != account->size_bytes ||
            memcmp(at->key.data, account->text, account->size_bytes) != 0)
            continue;
        if (topic == PL_TOPIC_ORDERS && count < capacity)
            assert_int_equal(pl_wire_order_decode(&wire, at->key, at->value, &orders[count]),
                             PL_OK);
        count++;
    }
    return count;
}

/* The plan that is told is the orders that were published. */
static void check_orders(const json_t *plan, const struct pl_order *orders, unsigned count)
{
    char text[64];
    assert_int_equal(json_array_size(json_object_get(plan, "legs")), count);
    for (unsigned i = 0; i < count; i++) {
        const json_t *leg = json_array_get(json_object_get(plan, "legs"), i);
        pl_uuid_print(orders[i].order_id, text);
        assert_string_equal(word(leg, "order_id"), text);
        assert_string_equal(word(leg, "instrument"), orders[i].instrument.text);
        pl_decimal_print(orders[i].lots, orders[i].lot_decimals, text);
        assert_string_equal(word(leg, "quantity"), text);
        pl_decimal_print(orders[i].limit_mantissa, (unsigned)-orders[i].limit_exponent, text);
        assert_string_equal(word(leg, "limit_price"), text);
    }
}

/* An open episode tells its last sale, in whichever entry that was. */
static void check_last_sale(const struct audit_log *log, const json_t *made,
                            const struct explain_question *question, int32_t partition)
{
    static struct pl_order orders[PL_SALE_LEGS_MAX];
    const char *state = word(json_object_get(made, "state"), "state");
    const json_t *plan = json_object_get(made, "plan");
    unsigned count = 0;
    uint64_t sequence = (uint64_t)question->at.value + 1;
    if (strcmp(state, "liquidating") != 0 && strcmp(state, "bankrupt") != 0)
        return;
    while (count == 0 && sequence-- > 1)
        count = published(log, PL_TOPIC_ORDERS, partition, &question->account, sequence, orders,
                          PL_SALE_LEGS_MAX);
    if (count == 0)
        return; /* halted from the first */
    assert_int_equal(json_integer_value(json_object_get(made, "sale_sequence")), sequence);
    assert_int_equal(json_integer_value(json_object_get(plan, "sequence")), sequence);
    check_orders(plan, orders, count);
}

/* What is told of one account at one entry agrees with what was published then and before. */
static bool check_entry(const struct audit_log *log, const struct bundle *bundle,
                        const struct explain_question *question, int32_t partition)
{
    static struct pl_order orders[PL_SALE_LEGS_MAX];
    json_t *made = NULL;
    uint64_t sequence = (uint64_t)question->at.value;
    unsigned order_count = published(log, PL_TOPIC_ORDERS, partition, &question->account, sequence,
                                     orders, PL_SALE_LEGS_MAX);
    enum pl_err err = explain_bundle(bundle, question, &made);
    if (err)
        fail_msg("%s at entry %llu: %s", question->account.text, (unsigned long long)sequence,
                 pl_err_text());
    const json_t *state = json_object_get(made, "state");
    const json_t *history = json_object_get(made, "history");
    const json_t *last = json_array_get(history, json_array_size(history) - 1);
    bool is_sold = strcmp(word(made, "reason"), "sold") == 0;
    assert_int_equal(is_sold, order_count > 0);
    if (is_sold)
        check_orders(json_object_get(made, "plan"), orders, order_count);
    check_last_sale(log, made, question, partition);
    if (json_is_object(state)) {
        const json_t *holdings_told = json_object_get(made, "holdings");
        assert_string_equal(word(state, "state"), last ? word(last, "entered") : "ok");
        assert_int_equal(json_array_size(json_object_get(holdings_told, "sources")) > 0,
                         json_is_true(json_object_get(holdings_told, "known")));
    }
    assert_int_equal(json_is_true(json_object_get(made, "halted")),
                     json_array_size(json_object_get(made, "halts")) > 0);
    if (last)
        assert_true(json_integer_value(json_object_get(state, "version")) ==
                    json_integer_value(json_object_get(last, "version")));
    json_decref(made);
    return is_sold;
}

/* ---- logs ------------------------------------------------------------------------------------ */

static struct audit_log_options options_of(uint64_t seed)
{
    return (struct audit_log_options){ .seed = seed, .partition_count = 2, .account_count = 12,
                                       .coin_count = 4, .step_count = 150, .heartbeat_steps = 4,
                                       .step_ms = 5000 };
}

/* Every account at some entries, and at all that sold of it. */
static void check_log(uint64_t seed, unsigned *asked, unsigned *sold)
{
    const struct audit_log_options options = options_of(seed);
    struct audit_log log;
    audit_log_build(&log, &options);
    struct bundle *bundle = audit_log_bundle(&log);
    for (unsigned i = 0; i < options.account_count; i++) {
        struct explain_question question = { .at.kind = WHEN_SEQUENCE };
        char name[32];
        snprintf(name, sizeof(name), "account-%u", i);
        assert_int_equal(pl_id_set(&question.account, name, strlen(name)), PL_OK);
        int32_t partition = pl_key_partition((const uint8_t *)name, strlen(name),
                                             options.partition_count);
        size_t count = audit_log_stream(&log, PL_TOPIC_JOURNAL, partition)->count;
        for (uint64_t sequence = 1; sequence <= count; sequence++) {
            question.at.value = (int64_t)sequence;
            if (sequence % EVERY != i && published(&log, PL_TOPIC_ORDERS, partition,
                                                   &question.account, sequence, NULL, 0) == 0)
                continue;
            *sold += check_entry(&log, bundle, &question, partition);
            ++*asked;
        }
    }
    bundle_close(&bundle);
    audit_log_free(&log);
}

/* Logs in which everything goes wrong at times. */
static void test_logs_are_explained_as_they_were_published(void **state)
{
    struct test_random random = test_random_start(11);
    unsigned asked = 0, sold = 0;
    (void)state;
    for (unsigned i = 0; i < LOGS; i++)
        check_log(test_random_u64(&random), &asked, &sold);
    print_message("%u questions, %u sales\n", asked, sold);
    assert_true(sold > 0);
}

/* Leaves of the topics by account the records of one, as a copy of the moment from Kafka does. */
static void keep_account(struct audit_log *log, const struct pl_id *account)
{
    static const enum pl_topic topics[] = { PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS,
                                            PL_TOPIC_ORDERS, PL_TOPIC_ALERTS, PL_TOPIC_ACCOUNTS };
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++)
        for (int32_t p = 0; p < log->partition_count; p++) {
            struct audit_stream *stream = audit_log_stream(log, topics[t], p);
            for (size_t i = stream ? stream->count : 0; i-- > 0;) {
                struct pl_bytes_view key = stream->records[i].key;
                bool is_kept = key.size_bytes == account->size_bytes &&
                               memcmp(key.data, account->text, key.size_bytes) == 0;
                if (!is_kept && !pl_wire_is_watermark(key))
                    audit_log_remove(stream, i);
            }
        }
}

/* The records of one account say of it what all records say. */
static void test_other_accounts_records_change_nothing(void **state)
{
    const struct audit_log_options options = options_of(5);
    struct audit_log whole, part;
    struct explain_question question = { .at.kind = WHEN_SEQUENCE };
    (void)state;
    audit_log_build(&whole, &options);
    struct bundle *all = audit_log_bundle(&whole);
    for (unsigned i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof(name), "account-%u", i);
        assert_int_equal(pl_id_set(&question.account, name, strlen(name)), PL_OK);
        audit_log_build(&part, &options);
        keep_account(&part, &question.account);
        struct bundle *own = audit_log_bundle(&part);
        int32_t partition = pl_key_partition((const uint8_t *)name, strlen(name),
                                             options.partition_count);
        int64_t count =
            (int64_t)audit_log_stream(&whole, PL_TOPIC_JOURNAL, partition)->count;
        for (question.at.value = 1; question.at.value <= count; question.at.value += 5) {
            json_t *expected = NULL, *made = NULL;
            question.is_partial = false;
            assert_int_equal(explain_bundle(all, &question, &expected), PL_OK);
            question.is_partial = true;
            if (explain_bundle(own, &question, &made))
                fail_msg("%s at entry %lld: %s", name, (long long)question.at.value,
                         pl_err_text());
            assert_true(json_equal(made, expected));
            json_decref(made);
            json_decref(expected);
        }
        bundle_close(&own);
        audit_log_free(&part);
    }
    bundle_close(&all);
    audit_log_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs_are_explained_as_they_were_published),
        cmocka_unit_test(test_other_accounts_records_change_nothing),
    };
    pl_wire_init(&wire, malloc(WIRE_BYTES), WIRE_BYTES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
