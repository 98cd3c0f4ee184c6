/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll risk, what-if and parameters diff over whole logs of seeded venues
 * (tests/support/audit_log.h) with crashes, fills, halts and broken records: they say of an entry what explain says of it, changes
 * of nothing change nothing, and the three agree with each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/cli/decimal.h"
#include "services/cli/explain.h"
#include "services/cli/parameters_diff.h"
#include "services/cli/risk.h"
#include "services/cli/what_if.h"
#include "tests/support/audit_log.h"
#include "tests/support/random.h"

enum { LOGS = 4, ACCOUNTS = 12, PARTITIONS = 2, EVERY = 29 };

static unsigned asked, sold, uncertain, zeroed, changed;
static unsigned owed, insured, deleveraged, shared, ranked;

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "(none)";
}

static pl_i128 vu(const json_t *object, const char *field)
{
    struct pl_amount amount;
    pl_i128 value = 0;
    const char *text = word(object, field);
    assert_int_equal(decimal_parse(text, strlen(text), &amount), PL_OK);
    assert_int_equal(pl_rescale_wide(amount.mantissa, amount.exponent, 12, PL_ROUND_FLOOR, &value),
                     PL_OK);
    return value;
}

static struct audit_log_options options_of(uint64_t seed)
{
    return (struct audit_log_options){ .seed = seed, .partition_count = PARTITIONS,
                                       .account_count = ACCOUNTS, .coin_count = 4,
                                       .step_count = 120, .heartbeat_steps = 4, .step_ms = 5000 };
}

static struct pl_id account_of(unsigned i)
{
    struct pl_id id;
    char name[32];
    snprintf(name, sizeof(name), "account-%u", i);
    assert_int_equal(pl_id_set(&id, name, strlen(name)), PL_OK);
    return id;
}

static int32_t partition_of(const struct pl_id *account)
{
    return pl_account_partition(account, PARTITIONS);
}

/* ---- one account ---------------------------------------------------------------------------- */

static json_t *what_if(const struct moment *moment, const struct pl_id *account,
                       const struct what_if_change *changes, unsigned count)
{
    const struct what_if asked_for = { .changes = changes, .change_count = count };
    json_t *document = NULL;
    enum pl_err err = what_if_answer(moment, account, &asked_for, &document);
    if (err)
        fail_msg("%s: %s: %s", account->text, pl_err_name(err), pl_err_text());
    return document;
}

/* Before is what explain tells of the same entry. */
static void check_told(const struct bundle *bundle, const struct pl_id *account, struct when at,
                       const json_t *before)
{
    const struct explain_question question = { .account = *account, .at = at };
    json_t *told = NULL;
    assert_int_equal(explain_bundle(bundle, &question, &told), PL_OK);
    const json_t *verdict = json_object_get(before, "verdict");
    const json_t *told_verdict = json_object_get(told, "verdict");
    assert_true(json_equal(json_object_get(verdict, "equity_usd"),
                           json_object_get(told_verdict, "equity_usd")));
    assert_string_equal(word(verdict, "certainty"), word(told_verdict, "certainty"));
    if (strcmp(word(told, "reason"), "not_deciding") != 0) {
        bool is_sold = strcmp(word(told, "reason"), "sold") == 0;
        assert_string_equal(word(before, "state"), word(json_object_get(told, "state"), "state"));
        assert_int_equal(is_sold, json_is_object(json_object_get(before, "plan")));
        sold += is_sold;
    }
    uncertain += strcmp(word(verdict, "certainty"), "uncertain") == 0;
    json_decref(told);
}

static void check_what_if(const struct bundle *bundle, const struct moment *moment,
                          const struct pl_id *account, struct when at)
{
    static const struct what_if_change nothing[] = {
        { WHAT_IF_TRANSFER, "cash=0" }, { WHAT_IF_TRANSFER, "COIN01=0.0" },
        { WHAT_IF_PRICE, "COIN01=+0%" } };
    static const struct what_if_change back[] = {
        { WHAT_IF_TRANSFER, "COIN02=2.5" }, { WHAT_IF_TRANSFER, "cash=-0.000000000001" },
        { WHAT_IF_TRANSFER, "cash=0.000000000001" }, { WHAT_IF_TRANSFER, "COIN02=-2.5" } };
    static const struct what_if_change rich[] = { { WHAT_IF_TRANSFER, "cash=1000000000" } };
    json_t *same = what_if(moment, account, NULL, 0);
    const json_t *before = json_object_get(same, "before");
    assert_true(json_equal(before, json_object_get(same, "after")));
    assert_int_equal(json_array_size(json_object_get(same, "terms")), 0);
    check_told(bundle, account, at, before);
    struct pl_id coin;
    uint32_t index = 0;
    assert_int_equal(pl_id_set(&coin, "COIN01", 6), PL_OK);
    /* A leg of unknown size cannot be changed, and what has no mark cannot move. */
    if (json_array_size(json_object_get(json_object_get(before, "verdict"), "doubts")) == 0 &&
        pl_names_find(moment->venue->names, &coin, &index) &&
        moment->venue->parameters->instruments[index].is_listed &&
        moment->venue->marks[index].status != PL_MARK_NONE) {
        json_t *zero = what_if(moment, account, nothing, 3);
        json_t *there = what_if(moment, account, back, 4);
        assert_true(json_equal(before, json_object_get(zero, "after")));
        assert_true(json_equal(before, json_object_get(there, "after")));
        json_decref(zero);
        zeroed++;
        json_decref(there);
    }
    json_t *more = what_if(moment, account, rich, 1);
    assert_true(json_is_null(json_object_get(json_object_get(more, "after"), "plan")));
    if (json_is_string(json_object_get(json_object_get(before, "verdict"), "equity_usd"))) {
        changed++;
        assert_int_equal(json_array_size(json_object_get(more, "terms")), 1);
        assert_string_equal(word(json_array_get(json_object_get(more, "terms"), 0), "of"), "cash");
    }
    json_decref(more);
    json_decref(same);
    asked++;
}

static void check_risk(const struct moment *moment, const struct pl_id *account)
{
    static const struct risk_options options = { .confidence_ppm = 990000 };
    json_t *document = NULL, *same = what_if(moment, account, NULL, 0);
    assert_int_equal(risk_account(moment, account, &options, &document), PL_OK);
    assert_true(json_equal(json_object_get(document, "verdict"),
                           json_object_get(json_object_get(same, "before"), "verdict")));
    assert_int_equal(json_array_size(json_object_get(document, "distances")), 6);
    const json_t *netting = json_object_get(document, "netting");
    const json_t *efficiency = json_object_get(netting, "efficiency_ppm");
    if (json_is_integer(efficiency)) {
        assert_in_range(json_integer_value(efficiency), 0, PL_PPM);
        assert_true(vu(netting, "requirement_usd") <= vu(netting, "gross_requirement_usd"));
    }
    json_decref(document);
    json_decref(same);
}

/* ---- the book -------------------------------------------------------------------------------- */

/* The set in force at the end of a log: under itself nobody stands elsewhere, and the accounts that
 * stand below maintenance are those of the book as things are. */
static void check_book(const struct audit_log *log, const struct bundle *bundle)
{
    static const struct risk_options options = { .confidence_ppm = 990000 };
    const struct audit_stream *sets = audit_log_stream(log, PL_TOPIC_PARAMETERS, 0);
    const struct when at = { WHEN_OPEN, 0 };
    json_t *diff = NULL, *book = NULL, *row;
    size_t i;
    json_int_t below = 0, all = 0;
    for (size_t k = sets->count; k-- > 0 && !diff;) { /* some are broken, some were not read yet */
        if (parameters_diff(bundle, at, sets->records[k].value, "itself", &diff))
            diff = NULL;
        else if (!json_equal(json_object_get(json_object_get(diff, "from"), "epoch"),
                             json_object_get(json_object_get(diff, "to"), "epoch"))) {
            json_decref(diff);
            diff = NULL;
        }
    }
    assert_non_null(diff);
    assert_int_equal(risk_book(bundle, at, &options, &book), PL_OK);
    assert_int_equal(json_integer_value(json_object_get(diff, "changed")), 0);
    assert_int_equal(json_array_size(json_object_get(diff, "requirements")), 0);
    json_array_foreach(json_object_get(diff, "standings"), i, row) {
        json_int_t count = json_integer_value(json_object_get(row, "accounts"));
        all += count;
        below += strcmp(word(row, "from"), "maintenance") == 0 ? count : 0;
    }
    assert_int_equal(all, json_integer_value(json_object_get(book, "accounts")));
    row = json_array_get(json_object_get(book, "moves"), 0);
    assert_true(json_integer_value(json_object_get(row, "below")) >= below);
    assert_true(json_integer_value(json_object_get(row, "below")) <=
                below + json_integer_value(json_object_get(row, "uncertain")));
    json_decref(diff);
    json_decref(book);
    assert_int_equal(parameters_diff(bundle, at, (struct pl_bytes_view){ NULL, 0 }, "shadow", &diff),
                     PL_REJECT_MISSING);
}

/* ---- the waterfall --------------------------------------------------------------------------- */


static pl_i128 sum_of(const json_t *rows, const char *field)
{
    const json_t *row;
    size_t i;
    pl_i128 sum = 0;
    json_array_foreach(rows, i, row)
        sum += vu(row, field);
    return sum;
}

/* Scores fall, and whoever is charged comes before whoever is not, until lots or debts are used up. */
static pl_i128 check_queue(const json_t *queue)
{
    const json_t *winners = json_object_get(queue, "winners"), *row;
    size_t i;
    pl_i128 last = 0, charged = 0;
    bool is_over = false;
    json_array_foreach(winners, i, row) {
        pl_i128 score = vu(row, "score"), charge = vu(row, "charge_usd");
        assert_true(i == 0 || score <= last);
        assert_true(charge >= 0 && charge <= vu(row, "profit_usd"));
        assert_false(is_over && charge > 0);
        assert_int_equal(word(row, "quantity")[0] == '-', word(queue, "side")[0] == 's');
        is_over = charge == 0;
        last = score;
        charged += charge;
        ranked++;
    }
    return charged;
}

static void check_waterfall(const struct bundle *bundle, struct when at)
{
    json_t *document = NULL, *row;
    size_t i;
    pl_i128 charged = 0;
    const char *fund = "account-0";
    enum pl_err err = risk_waterfall(bundle, at, fund, &document);
    if (err == PL_REJECT_CONFLICT)
        err = risk_waterfall(bundle, at, fund = NULL, &document);
    if (err == PL_REJECT_UNKNOWN)
        return; /* a partition has not decided yet */
    assert_int_equal(err, PL_OK);
    const json_t *debts = json_object_get(document, "debts");
    const json_t *insurance = json_object_get(document, "insurance");
    json_array_foreach(debts, i, row) {
        assert_true(vu(row, "debt_usd") == vu(row, "insured_usd") + vu(row, "deleveraged_usd") +
                                               vu(row, "socialised_usd") + vu(row, "unborne_usd"));
        assert_true(vu(row, "insured_usd") >= 0 && vu(row, "deleveraged_usd") >= 0 &&
                    vu(row, "socialised_usd") >= 0 && vu(row, "told_usd") > 0);
        assert_true(vu(row, "unborne_usd") == 0 ||
                    json_array_size(json_object_get(document, "socialised")) == 0);
        owed++;
    }
    json_array_foreach(json_object_get(document, "queues"), i, row)
        charged += check_queue(row);
    pl_i128 total = sum_of(debts, "debt_usd"), equity = vu(insurance, "equity_usd");
    assert_true(vu(insurance, "paid_usd") == (total < equity ? total : equity));
    assert_true(sum_of(debts, "insured_usd") == vu(insurance, "paid_usd"));
    assert_true(sum_of(debts, "deleveraged_usd") == charged);
    assert_true(sum_of(debts, "socialised_usd") ==
                sum_of(json_object_get(document, "socialised"), "share_usd"));
    insured += vu(insurance, "paid_usd") > 0;
    deleveraged += charged > 0;
    shared += json_array_size(json_object_get(document, "socialised")) > 0;
    json_decref(document);
}

/* Prices halve while some hold a perp that nobody takes off them. */
static void losses_are_borne_to_the_last_unit(void **state)
{
    struct test_random random = test_random_start(13);
    (void)state;
    for (unsigned i = 0; i < LOGS; i++) {
        struct audit_log_options options = options_of(test_random_u64(&random));
        struct audit_log log;
        options.is_calm = options.has_perp = true;
        options.account_count = 3 * ACCOUNTS;
        options.step_count = 60;
        options.gap_step = 40;
        audit_log_build(&log, &options);
        struct bundle *bundle = audit_log_bundle(&log);
        const struct audit_stream *marks = audit_log_stream(&log, PL_TOPIC_MARKS, 0);
        int64_t end_ms = marks->records[marks->count - 1].timestamp_ms;
        for (int64_t at_ms = end_ms - 22 * options.step_ms; at_ms <= end_ms;
             at_ms += 7 * options.step_ms)
            check_waterfall(bundle, (struct when){ WHEN_TIME, at_ms });
        bundle_close(&bundle);
        audit_log_free(&log);
    }
    print_message("%u bad debts, %u insured, %u deleveraged, %u socialised, %u winners\n", owed, insured,
                  deleveraged, shared, ranked);
    assert_true(owed > 0 && insured > 0 && deleveraged > 0 && shared > 0);
}

static bool has_sold(const struct audit_log *log, const struct pl_id *account, uint64_t sequence)
{
    const struct audit_stream *orders = audit_log_stream(log, PL_TOPIC_ORDERS,
                                                         partition_of(account));
    for (size_t i = 0; orders && i < orders->count; i++) {
        const struct pl_record *order = &orders->records[i];
        int32_t partition = 0;
        uint64_t of = 0;
        if (pl_wire_journal_of(order->headers, order->header_count, &partition, &of) &&
            of == sequence && order->key.size_bytes == account->size_bytes &&
            memcmp(order->key.data, account->text, account->size_bytes) == 0)
            return true;
    }
    return false;
}

static void check_account(const struct bundle *bundle, const struct pl_id *account, struct when at)
{
    struct moment moment;
    uint32_t row = 0;
    enum pl_err err = moment_open(&moment, bundle, partition_of(account), at, false);
    if (err == PL_OK && pl_book_find(moment.ledger->book, account, &row)) {
        check_what_if(bundle, &moment, account, at);
        check_risk(&moment, account);
    } else {
        assert_true(err == PL_OK || err == PL_REJECT_UNKNOWN); /* no parameters yet */
    }
    moment_close(&moment);
}

static void check_log(uint64_t seed)
{
    const struct audit_log_options options = options_of(seed);
    struct audit_log log;
    audit_log_build(&log, &options);
    struct bundle *bundle = audit_log_bundle(&log);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct pl_id account = account_of(i);
        size_t count = audit_log_stream(&log, PL_TOPIC_JOURNAL, partition_of(&account))->count;
        for (uint64_t sequence = 1; sequence <= count; sequence++)
            if (sequence % EVERY == i || has_sold(&log, &account, sequence))
                check_account(bundle, &account,
                              (struct when){ WHEN_SEQUENCE, (int64_t)sequence });
    }
    check_book(&log, bundle);
    bundle_close(&bundle);
    audit_log_free(&log);
}

static void commands_agree_over_whole_logs(void **state)
{
    struct test_random random = test_random_start(12);
    (void)state;
    for (unsigned i = 0; i < LOGS; i++)
        check_log(test_random_u64(&random));
    print_message("%u questions, %u sales, %u uncertain\n", asked, sold, uncertain);
    assert_true(asked > 0 && sold > 0 && uncertain > 0 && zeroed > 0 && changed > 0);
}

/* ---- scenarios from a file ------------------------------------------------------------------- */

static void scenario_files_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pl_err err;
        const char *said;
    } rows[] = {
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":-1000000}}]}", PL_OK, ""},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":100000000}}]}", PL_OK, ""},
        {"{", PL_REJECT_MALFORMED, "line 1"},
        {"[]", PL_REJECT_MISSING, "\"scenarios\""},
        {"{\"scenarios\":[]}", PL_REJECT_MISSING, "\"scenarios\""},
        {"{\"scenarios\":[{\"moves_ppm\":{\"BTC\":1}}]}", PL_REJECT_MALFORMED, "scenario 1"},
        {"{\"scenarios\":[{\"scenario\":\"a\"}]}", PL_REJECT_MALFORMED, "moves_ppm"},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{}}]}", PL_REJECT_MALFORMED, "moves_ppm"},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":1.5}}]}", PL_REJECT_MALFORMED,
         "(a): BTC"},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":-1000001}}]}", PL_REJECT_RANGE,
         "(a): BTC"},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":100000001}}]}", PL_REJECT_RANGE,
         "(a): BTC"},
        {"{\"scenarios\":[{\"scenario\":\"a\",\"moves_ppm\":{\"BTC\":1,\"BTC\":2}}]}",
         PL_REJECT_MALFORMED, "duplicate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[] = "/tmp/plimsoll-scenarios-XXXXXX";
        json_t *scenarios = NULL;
        int file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(write(file, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        close(file);
        assert_int_equal(risk_scenarios_load(path, &scenarios), rows[i].err);
        if (rows[i].err) {
            assert_null(scenarios);
            assert_non_null(strstr(pl_err_text(), rows[i].said));
            assert_non_null(strstr(pl_err_text(), path));
        }
        json_decref(scenarios);
        unlink(path);
    }
}

/* The example that is shipped names what the example's parameters list. */
static void the_shipped_scenarios_are_good(void **state)
{
    (void)state;
    json_t *scenarios = NULL, *scenario, *move;
    size_t i;
    const char *instrument;
    assert_int_equal(risk_scenarios_load(PL_SOURCE_DIR "/deploy/demo/scenarios.json", &scenarios),
                     PL_OK);
    char *listed = NULL;
    json_t *set = json_load_file(PL_SOURCE_DIR "/deploy/demo/parameters.json", 0, NULL);
    listed = json_dumps(json_object_get(set, "instruments"), JSON_COMPACT);
    json_array_foreach(scenarios, i, scenario)
        json_object_foreach(json_object_get(scenario, "moves_ppm"), instrument, move) {
            char wanted[128];
            snprintf(wanted, sizeof(wanted), "\"instrument\":\"%s\"", instrument);
            assert_non_null(strstr(listed, wanted));
        }
    free(listed);
    json_decref(set);
    json_decref(scenarios);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_agree_over_whole_logs),
        cmocka_unit_test(losses_are_borne_to_the_last_unit),
        cmocka_unit_test(scenario_files_are_checked),
        cmocka_unit_test(the_shipped_scenarios_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
