/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every class of error that a transactional call may return, and what the caller is told (T13, T6).
 * librdkafka's transactional functions are replaced at link time (--wrap) by a script of answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kafka/handle.h"
#include "lib/kafka/settings.h"
#include "lib/kafka/txn.h"

enum { TIMEOUT_MS = 1000 };

enum kind { FINE, FATAL, ABORTABLE, RETRIABLE, PLAIN };

/* What one kind of call answers: `kind` and `code`, `times` times, then success. */
struct answer {
    enum kind kind;
    rd_kafka_resp_err_t code;
    unsigned times;
};

enum part { INIT, BEGIN, OFFSETS, COMMIT, ABORT, PART_COUNT };

static struct answer s_answers[PART_COUNT];
static unsigned s_calls[PART_COUNT];
static enum kind s_kind; /* of the error object that was returned last */
static void (*s_on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *);
static rd_kafka_t *s_rk;

static rd_kafka_error_t *next_answer(enum part part)
{
    struct answer *answer = &s_answers[part];

    s_calls[part]++;
    if (answer->times == 0)
        return NULL;
    answer->times--;
    s_kind = answer->kind;
    return rd_kafka_error_new(answer->code, "scripted");
}

rd_kafka_error_t *__wrap_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms)
{
    (void)timeout_ms;
    s_rk = rk;
    return next_answer(INIT);
}

rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk)
{
    (void)rk;
    return next_answer(BEGIN);
}

rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms)
{
    (void)rk, (void)timeout_ms;
    assert_non_null(metadata);
    assert_int_equal(offsets->cnt, 1);
    assert_string_equal(offsets->elems[0].topic, "holdings");
    assert_int_equal(offsets->elems[0].offset, 42);
    return next_answer(OFFSETS);
}

rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
    (void)rk, (void)timeout_ms;
    return next_answer(COMMIT);
}

rd_kafka_error_t *__wrap_rd_kafka_abort_transaction(rd_kafka_t *rk, int timeout_ms)
{
    (void)rk, (void)timeout_ms;
    return next_answer(ABORT);
}

int __wrap_rd_kafka_error_is_fatal(const rd_kafka_error_t *error)
{
    (void)error;
    return s_kind == FATAL;
}

int __wrap_rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *error)
{
    (void)error;
    return s_kind == ABORTABLE;
}

int __wrap_rd_kafka_error_is_retriable(const rd_kafka_error_t *error)
{
    (void)error;
    return s_kind == RETRIABLE;
}

void __wrap_rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *conf,
                                        void (*callback)(rd_kafka_t *, const rd_kafka_message_t *,
                                                         void *))
{
    (void)conf;
    s_on_delivery = callback;
}

char *__wrap_rd_kafka_memberid(const rd_kafka_t *rk)
{
    (void)rk;
    return strdup("member");
}

static const struct pl_kafka_settings s_settings = {
    .brokers = "127.0.0.1:1",
    .group_id = "group",
    .topic_names = {[PL_TOPIC_HOLDINGS] = "holdings"},
};

static void quiet(int level, const char *facility, const char *text)
{
    (void)level, (void)facility, (void)text;
}

static int silence(void **state)
{
    (void)state;
    pl_kafka_set_log(quiet);
    return 0;
}

/* A transaction at the point where only `part` remains to be called. */
static struct pl_txn *prepare(struct pl_group **group, enum part part, struct answer answer)
{
    struct pl_txn *txn;

    memset(s_answers, 0, sizeof(s_answers));
    assert_int_equal(pl_group_open(group, &s_settings, PL_TOPIC_HOLDINGS), PL_OK);
    assert_int_equal(pl_txn_open(&txn, &s_settings, "slot", TIMEOUT_MS), PL_OK);
    if (part != BEGIN)
        assert_int_equal(pl_txn_begin(txn), PL_OK);
    assert_int_equal(pl_txn_capture_group(txn, *group), PL_OK);
    memset(s_calls, 0, sizeof(s_calls));
    s_answers[part] = answer;
    return txn;
}

static enum pl_err call(struct pl_txn *txn, enum part part)
{
    static const struct pl_offset offset = {PL_TOPIC_HOLDINGS, 0, 42};

    if (part == BEGIN)
        return pl_txn_begin(txn);
    if (part == ABORT)
        return pl_txn_abort(txn);
    return pl_txn_commit(txn, &offset, part == OFFSETS ? 1 : 0);
}

#define CODE(name) RD_KAFKA_RESP_ERR_##name

static void each_class_of_error_has_its_answer(void **state)
{
    static const struct {
        enum part part;
        enum kind kind;
        rd_kafka_resp_err_t code;
        enum pl_err err;
    } rows[] = {
        {COMMIT, FINE, 0, PL_OK},
        {OFFSETS, FINE, 0, PL_OK},
        {COMMIT, FATAL, CODE(_FENCED), PL_FATAL_FENCED},
        {COMMIT, FATAL, CODE(INVALID_PRODUCER_EPOCH), PL_FATAL_FENCED},
        {COMMIT, FATAL, CODE(INVALID_TXN_STATE), PL_FATAL_KAFKA},
        {COMMIT, FATAL, CODE(ILLEGAL_GENERATION), PL_FATAL_KAFKA},
        {COMMIT, FATAL, CODE(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), PL_FATAL_CONFIG},
        {COMMIT, FATAL, CODE(_TIMED_OUT), PL_FATAL_UNKNOWN},
        {BEGIN, FATAL, CODE(_FENCED), PL_FATAL_FENCED},
        {BEGIN, PLAIN, CODE(_STATE), PL_FATAL_KAFKA},
        {OFFSETS, FATAL, CODE(_FENCED), PL_FATAL_FENCED},
        {OFFSETS, ABORTABLE, CODE(ILLEGAL_GENERATION), PL_ABORT_REBALANCE},
        {OFFSETS, ABORTABLE, CODE(UNKNOWN_MEMBER_ID), PL_ABORT_REBALANCE},
        {OFFSETS, ABORTABLE, CODE(REBALANCE_IN_PROGRESS), PL_ABORT_REBALANCE},
        {OFFSETS, ABORTABLE, CODE(FENCED_INSTANCE_ID), PL_ABORT_REBALANCE},
        {OFFSETS, ABORTABLE, CODE(COORDINATOR_LOAD_IN_PROGRESS), PL_ABORT_TRANSACTION},
        {OFFSETS, ABORTABLE, CODE(GROUP_AUTHORIZATION_FAILED), PL_FATAL_CONFIG},
        {OFFSETS, ABORTABLE, CODE(UNKNOWN_TOPIC_OR_PART), PL_FATAL_CONFIG},
        {OFFSETS, ABORTABLE, CODE(_TIMED_OUT), PL_FATAL_UNKNOWN},
        {OFFSETS, ABORTABLE, CODE(_TRANSPORT), PL_FATAL_UNKNOWN},
        {OFFSETS, PLAIN, CODE(_TIMED_OUT), PL_FATAL_UNKNOWN},
        {OFFSETS, PLAIN, CODE(_STATE), PL_FATAL_KAFKA},
        {COMMIT, ABORTABLE, CODE(_INCONSISTENT), PL_ABORT_TRANSACTION},
        {COMMIT, ABORTABLE, CODE(OUT_OF_ORDER_SEQUENCE_NUMBER), PL_ABORT_TRANSACTION},
        {COMMIT, ABORTABLE, CODE(UNKNOWN_PRODUCER_ID), PL_ABORT_TRANSACTION},
        {COMMIT, ABORTABLE, CODE(MSG_SIZE_TOO_LARGE), PL_FATAL_CONFIG},
        {COMMIT, ABORTABLE, CODE(TOPIC_AUTHORIZATION_FAILED), PL_FATAL_CONFIG},
        {COMMIT, ABORTABLE, CODE(_MSG_TIMED_OUT), PL_FATAL_UNKNOWN},
        {COMMIT, ABORTABLE, CODE(REQUEST_TIMED_OUT), PL_FATAL_UNKNOWN},
        {COMMIT, ABORTABLE, CODE(NETWORK_EXCEPTION), PL_FATAL_UNKNOWN},
        {COMMIT, ABORTABLE, CODE(_TIMED_OUT_QUEUE), PL_FATAL_UNKNOWN},
        {COMMIT, PLAIN, CODE(_OUTDATED), PL_FATAL_KAFKA},
        {ABORT, FINE, 0, PL_OK},
        {ABORT, FATAL, CODE(_FENCED), PL_FATAL_FENCED},
        {ABORT, ABORTABLE, CODE(UNKNOWN_PRODUCER_ID), PL_FATAL_KAFKA},
        {ABORT, ABORTABLE, CODE(ILLEGAL_GENERATION), PL_FATAL_KAFKA},
        {ABORT, PLAIN, CODE(_TIMED_OUT), PL_FATAL_UNKNOWN},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pl_group *group;
        const struct answer answer = {rows[i].kind, rows[i].code, rows[i].kind == FINE ? 0 : 1};
        struct pl_txn *txn = prepare(&group, rows[i].part, answer);
        enum pl_err err = call(txn, rows[i].part);

        if (err != rows[i].err)
            fail_msg("row %u: %d, not %d", i, (int)err, (int)rows[i].err);
        assert_int_equal(s_calls[rows[i].part], 1);
        /* After refused offsets there is no commit. */
        if (rows[i].part == OFFSETS)
            assert_int_equal(s_calls[COMMIT], err ? 0 : 1);
        if (err)
            assert_non_null(strstr(pl_err_text(), "slot"));
        pl_txn_close(&txn);
        pl_group_close(&group);
    }
}

/* Retriable: the same call again and nothing else, until it succeeds or the time is up; then the
 * outcome is unknown. */
static void retriable_calls_are_repeated(void **state)
{
    static const enum part parts[] = {BEGIN, OFFSETS, COMMIT, ABORT};

    (void)state;
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct pl_group *group;
        struct answer answer = {RETRIABLE, CODE(_TIMED_OUT), 5};
        struct pl_txn *txn = prepare(&group, parts[i], answer);

        assert_int_equal(call(txn, parts[i]), PL_OK);
        assert_int_equal(s_calls[parts[i]], 6);
        assert_int_equal(s_calls[ABORT], parts[i] == ABORT ? 6 : 0);
        pl_txn_close(&txn);
        pl_group_close(&group);

        answer.times = UINT32_MAX;
        txn = prepare(&group, parts[i], answer);
        int64_t started_ms = pl_kafka_now_ms();
        assert_int_equal(call(txn, parts[i]), PL_FATAL_UNKNOWN);
        assert_in_range(pl_kafka_now_ms() - started_ms, TIMEOUT_MS, 3 * TIMEOUT_MS);
        pl_txn_close(&txn);
        pl_group_close(&group);
    }
}

/* The first lost record says why a commit wants an abort. */
static void a_lost_record_decides(void **state)
{
    static const struct {
        rd_kafka_resp_err_t lost;
        enum pl_err err;
    } rows[] = {
        {CODE(NO_ERROR), PL_ABORT_TRANSACTION},
        {CODE(_PURGE_QUEUE), PL_ABORT_TRANSACTION},
        {CODE(_PURGE_INFLIGHT), PL_ABORT_TRANSACTION},
        {CODE(INVALID_MSG), PL_ABORT_TRANSACTION},
        {CODE(_MSG_TIMED_OUT), PL_FATAL_UNKNOWN},
        {CODE(TOPIC_AUTHORIZATION_FAILED), PL_FATAL_CONFIG},
        {CODE(MSG_SIZE_TOO_LARGE), PL_FATAL_CONFIG},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pl_group *group;
        const struct answer answer = {ABORTABLE, CODE(_INCONSISTENT), 1};
        struct pl_txn *txn = prepare(&group, COMMIT, answer);
        const rd_kafka_message_t lost = {.err = rows[i].lost}, later = {.err = CODE(_FAIL)};

        s_on_delivery(s_rk, &lost, rd_kafka_opaque(s_rk));
        if (rows[i].err != PL_ABORT_TRANSACTION)
            s_on_delivery(s_rk, &later, rd_kafka_opaque(s_rk));
        assert_int_equal(call(txn, COMMIT), rows[i].err);
        /* The next transaction starts clean. */
        assert_int_equal(pl_txn_begin(txn), PL_OK);
        s_answers[COMMIT] = answer;
        assert_int_equal(call(txn, COMMIT), PL_ABORT_TRANSACTION);
        pl_txn_close(&txn);
        pl_group_close(&group);
    }
}

static void opening_is_retried_by_the_caller(void **state)
{
    static const struct {
        enum kind kind;
        rd_kafka_resp_err_t code;
        unsigned times;
        enum pl_err err;
    } rows[] = {
        {RETRIABLE, CODE(_TIMED_OUT), 3, PL_OK},
        {RETRIABLE, CODE(_TIMED_OUT), UINT32_MAX, PL_RETRY_TRANSPORT},
        {FATAL, CODE(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, PL_FATAL_CONFIG},
        {FATAL, CODE(INVALID_TRANSACTION_TIMEOUT), 1, PL_FATAL_CONFIG},
        {FATAL, CODE(_FENCED), 1, PL_FATAL_FENCED},
        {PLAIN, CODE(_STATE), 1, PL_FATAL_KAFKA},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pl_txn *txn;

        memset(s_answers, 0, sizeof(s_answers));
        s_answers[INIT] = (struct answer){rows[i].kind, rows[i].code, rows[i].times};
        assert_int_equal(pl_txn_open(&txn, &s_settings, "slot", TIMEOUT_MS), rows[i].err);
        assert_int_equal(txn != NULL, rows[i].err == PL_OK);
        pl_txn_close(&txn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_of_error_has_its_answer),
        cmocka_unit_test(retriable_calls_are_repeated),
        cmocka_unit_test(a_lost_record_decides),
        cmocka_unit_test(opening_is_retried_by_the_caller),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
