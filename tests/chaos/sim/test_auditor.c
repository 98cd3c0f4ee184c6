/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor of the simulation finds what is broken, and nothing else: the logs of seeded venues
 * pass, and each of them with one thing damaged is reported under the name of the invariant that it
 * breaks.
 */
#include "tests/chaos/sim/test_auditor.h"

#include "tests/support/random.h"
#include "tests/support/records.h"

enum { SEEDS = 16, TRIES = 60 };

/* ---- logs that are right --------------------------------------------------------------------- */

static void test_right_logs_pass(void **state)
{
    (void)state;
    struct auditor_counts sum = {0}, counts;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct subject subject = {.options = {.seed = seed}};
        const struct audit_log_options options = options_of(seed, 6 + 2 * (unsigned)seed, false);
        audit_log_build(&subject.log, &options);
        const struct auditor_finding *finding = audit(&subject);
        if (finding)
            fail_msg("%s: %s", finding->invariant, finding->text);
        auditor_counts(test_auditor, &counts);
        sum.entries += counts.entries;
        sum.heartbeats += counts.heartbeats;
        sum.orders += counts.orders;
        sum.dead_letters += counts.dead_letters;
        sum.episodes += counts.episodes;
        sum.below += counts.below;
        sum.evaluations += counts.evaluations;
        audit_log_free(&subject.log);
    }
    /* What was never there was not checked. */
    assert_true(sum.entries > 500 && sum.heartbeats > 100 && sum.orders > 50);
    assert_true(sum.dead_letters > 50 && sum.episodes > 20 && sum.below > 50);
    assert_true(sum.evaluations > 1000);
}

/* Offsets and liveness are right at the end of a log that ends well. */
static void test_right_end_passes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct subject subject = {.options = {.seed = seed}, .ends = true};
        const struct audit_log_options options = options_of(seed, 8, true);
        audit_log_build(&subject.log, &options);
        const struct audit_stream *journal = audit_log_stream(&subject.log, PL_TOPIC_JOURNAL, 0);
        const Plimsoll__V1__JournalEntry *entry = unpack_entry(
            &journal->records[journal->count - 1]);
        cut(&subject.log, 0);
        subject.facts = (struct auditor_facts){
            .is_calm = true, .now_ms = entry->clock_ms + 10, .silent_ms_max = 10};
        free_entry(entry);
        const struct auditor_finding *finding = audit(&subject);
        if (finding)
            fail_msg("%s: %s", finding->invariant, finding->text);
        audit_log_free(&subject.log);
    }
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Looks for the first entry that gives occasion, damages it, and hears what the auditor says. */
static bool try_damage(const struct damage *damage, uint64_t seed)
{
    const struct audit_log_options options = options_of(seed, 10, damage->is_small);
    struct subject subject = {.options = {.seed = seed}};
    bool is_done = false;
    audit_log_build(&subject.log, &options);
    int32_t partition = options.partition_count - 1;
    size_t count = audit_log_stream(&subject.log, PL_TOPIC_JOURNAL, partition)->count;
    for (size_t at = 0; !is_done && at < count; at++) {
        look_at(&subject, partition, at);
        is_done = damage->apply(&subject);
    }
    const struct auditor_finding *finding = is_done ? audit(&subject) : NULL;
    bool is_named = finding &&
                    strncmp(finding->invariant, damage->invariant, strlen(damage->invariant)) ==
                        0 &&
                    (!damage->text || strstr(finding->text, damage->text));
    if (is_done && !is_named)
        fail_msg("%s (seed %" PRIu64 ", entry %zu): expected %s, found %s: %s", damage->name, seed,
                 subject.at, damage->invariant, finding ? finding->invariant : "nothing",
                 finding ? finding->text : "");
    audit_log_free(&subject.log);
    return is_done;
}

static void name_all(const struct damage *damages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool is_done = false;
        for (uint64_t seed = 1; !is_done && seed <= TRIES; seed++)
            is_done = try_damage(&damages[i], seed);
        if (!is_done)
            fail_msg("%s: no log gave occasion", damages[i].name);
    }
}

static void test_damage_to_the_log_is_named(void **state)
{
    (void)state;
    name_all(test_log_damages, test_log_damage_count);
}

static void test_damage_to_sales_is_named(void **state)
{
    (void)state;
    name_all(test_sale_damages, test_sale_damage_count);
}

/* ---- where only bounds are known ------------------------------------------------------------- */

/* A perp that asks for more than its value, badly marked: the excess falls as its value grows, so
 * what the services take for the bounds is not known, only where they lie. */
static void test_bounds_are_enough(void **state)
{
    (void)state;
    static struct portfolio portfolio, trial;
    static struct verdict verdict;
    struct rules rules = {
        .is_listed = true, .kind = PL_INSTRUMENT_PERP, .multiplier = 1000000, .rank = 1};
    for (int t = 0; t < PL_TIER_COUNT; t++)
        rules.haircut_long.at[t] = 1500000;
    const struct set set = {.epoch = 1, .rule_count = 1, .rules = &rules};
    const struct quote quote = {.status = PL_MARK_STALE,
                                .is_priced = true,
                                .ticks = 1000,
                                .lot_vu = 1000000000,
                                .low_vu = 1000000000,
                                .high_vu = 1000000000,
                                .bad_high_vu = 1500000000};
    struct leg leg = {.lots = 10, .final_lots = 10};
    struct holdings holdings = {.account = "a", .version = 1, .leg_count = 1, .legs = &leg};
    struct account account = {.id = "a", .holdings = &holdings, .verdict = &verdict};
    static char id[] = "order";
    const Plimsoll__V1__ForcedSaleOrder order = {.order_id = id}, *orders[] = {&order};
    const uint64_t never = 0;
    struct names names = {0};
    struct auditor_counts counts = {0};
    struct auditor_finding finding;
    const struct scene scene = {.names = &names,
                                .set = &set,
                                .quotes = &quote,
                                .quote_changed = &never,
                                .stamp = 1,
                                .now_ms = 1,
                                .portfolio = &portfolio,
                                .trial = &trial,
                                .counts = &counts,
                                .finding = &finding};
    static const struct {
        pl_i128 cash_vu;
        int order_count;
        bool is_halted;
        const char *expect; /* NULL: nothing is certainly wrong */
    } cases[] = {
        {0, 0, false, NULL},                       /* maybe whole: nothing is sold              */
        {0, 1, false, "I4 "},                      /* maybe whole, and sold                     */
        {-1000000000, 1, false, NULL},             /* below at both ends, and sold              */
        {-1000000000, 1, true, "V no order"},      /* the same after a halt                     */
        {-1000000000, 0, false, NULL},             /* another reading may find it whole         */
        {-1000000000000000, 0, false, "V missed"}, /* lost however it is read, and left alone   */
    };
    auditor_portfolio_init(&portfolio);
    auditor_portfolio_init(&trial);
    auditor_verdict_init(&verdict);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct decision decision = {
            .account = &account, .orders = orders, .order_count = cases[i].order_count};
        holdings.cash_vu = holdings.final_cash_vu = cases[i].cash_vu;
        account.is_dirty = true;
        finding = (struct auditor_finding){0};
        bool is_right = auditor_judge(&scene, &account, cases[i].is_halted, &decision);
        if (is_right != !cases[i].expect ||
            (!is_right &&
             strncmp(finding.invariant, cases[i].expect, strlen(cases[i].expect)) != 0))
            fail_msg("case %zu: %s: %s", i, finding.invariant, finding.text);
        assert_true(verdict.is_loose);
    }
    assert_int_equal(counts.uncertain, TEST_COUNT(cases));
    auditor_portfolio_clear(&portfolio);
    auditor_portfolio_clear(&trial);
    auditor_verdict_clear(&verdict);
}

/* A deficit is sold once: not what is pending already, and not before the pause is over. */
static void test_nothing_is_sold_twice(void **state)
{
    (void)state;
    static struct verdict verdict = {.is_certain = true};
    struct holdings holdings = {.account = "a", .version = 1};
    const struct account account = {.id = "a", .holdings = &holdings, .verdict = &verdict};
    static char id[] = "order";
    const Plimsoll__V1__ForcedSaleOrder order = {.order_id = id}, *orders[] = {&order};
    const struct decision decision = {.orders = orders, .order_count = 1};
    struct auditor_finding finding;
    const struct set set = {.epoch = 1};
    const struct scene scene = {.set = &set, .now_ms = 1000, .finding = &finding};
    static const struct {
        int maintenance, end, pending_count;
        int64_t revision_after_ms;
        const char *expect;
    } cases[] = {
        {-1, -1, 0, 1000, NULL},      {-1, -1, 1, 1000, NULL}, {-1, -1, 0, 1001, "V pend"},
        {-1, -1, 1, 1001, "V pend"},  {0, -1, 1, 0, "V pend"}, {0, -1, 0, 0, NULL},
        {0, 0, 0, 0, "V sold above"},
    };
    auditor_verdict_init(&verdict);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const struct state before = {.state = PL_STATE_LIQUIDATING,
                                     .episode = 1,
                                     .pending_count = cases[i].pending_count,
                                     .revision_after_ms = cases[i].revision_after_ms};
        mpz_set_si(verdict.high[PL_TIER_MAINTENANCE], cases[i].maintenance);
        mpz_set_si(verdict.high[PL_TIER_END], cases[i].end);
        finding = (struct auditor_finding){0};
        bool may_be = auditor_may_be_sold(&scene, &account, &verdict, &before, false, &decision);
        if (may_be != !cases[i].expect ||
            (!may_be && strncmp(finding.invariant, cases[i].expect, strlen(cases[i].expect)) != 0))
            fail_msg("case %zu: %s: %s", i, finding.invariant, finding.text);
    }
    auditor_verdict_clear(&verdict);
}

/* ---- the auditor reads as the services do ---------------------------------------------------- */

static bool services_take(const struct pl_record *record)
{
    static struct pl_parameters parameters;
    static struct pl_holdings holdings;
    struct pl_wire *wire = test_wire();
    struct pl_names *names = test_names();
    struct pl_mark mark;
    struct pl_execution execution;
    struct pl_control control;
    struct pl_chain_status chain;
    uint32_t instrument;
    if (record->topic == PL_TOPIC_MARKS)
        return !pl_wire_mark_decode(wire, names, record->key, record->value, &instrument, &mark);
    if (record->topic == PL_TOPIC_HOLDINGS)
        return !pl_wire_holdings_decode(wire, names, record->key, record->value, &holdings);
    if (record->topic == PL_TOPIC_EXECUTIONS)
        return !pl_wire_execution_decode(wire, record->key, record->value, &execution);
    if (record->topic == PL_TOPIC_CONTROL)
        return !pl_wire_control_decode(wire, record->key, record->value, &control);
    if (record->topic == PL_TOPIC_CHAINS)
        return !pl_wire_chain_decode(wire, record->key, record->value, &chain);
    return !pl_wire_parameters_decode(wire, names, record->value, &parameters);
}

static bool auditor_takes(const struct reader *reader, const struct pl_record *record)
{
    return record->topic == PL_TOPIC_MARKS        ? auditor_read_mark(reader, record) != NULL
           : record->topic == PL_TOPIC_HOLDINGS   ? auditor_read_holdings(reader, record) != NULL
           : record->topic == PL_TOPIC_EXECUTIONS ? auditor_read_execution(reader, record) != NULL
           : record->topic == PL_TOPIC_CONTROL    ? auditor_read_control(reader, record) != NULL
           : record->topic == PL_TOPIC_CHAINS     ? auditor_read_chain(reader, record) != NULL
                                                  : auditor_read_set(reader, record) != NULL;
}

/* Changes a byte or two, cuts or doubles a part. */
static size_t mutate(struct test_random *random, uint8_t *bytes, size_t size_bytes)
{
    size_t at = test_random_below(random, size_bytes);
    switch (test_random_below(random, 4)) {
    case 0:
        return at;
    case 1:
        bytes[at] ^= (uint8_t)(1u << test_random_below(random, 8));
        return size_bytes;
    case 2:
        bytes[at] = (uint8_t)test_random_u64(random);
        bytes[test_random_below(random, size_bytes)] = (uint8_t)test_random_u64(random);
        return size_bytes;
    default:
        memmove(bytes + size_bytes, bytes + at, size_bytes - at);
        return 2 * size_bytes - at;
    }
}

static void test_reads_as_the_services_do(void **state)
{
    (void)state;
    static const enum test_record_kind kinds[] = {TEST_RECORD_MARKS,      TEST_RECORD_HOLDINGS,
                                                  TEST_RECORD_EXECUTIONS, TEST_RECORD_CONTROL,
                                                  TEST_RECORD_CHAINS,     TEST_RECORD_PARAMETERS};
    static uint8_t bytes[1 << 14];
    static struct names names;
    struct memory memory = {0};
    struct test_random random = test_random_start(7);
    unsigned good = 0, bad = 0;
    for (unsigned round = 0; round < 12000; round++) {
        enum test_record_kind kind = kinds[round % TEST_COUNT(kinds)];
        const struct pl_bytes_view value = test_bytes_of(kind);
        assert_true(2 * value.size_bytes < sizeof(bytes));
        memcpy(bytes, value.data, value.size_bytes);
        size_t size_bytes = round < 6 ? value.size_bytes : mutate(&random, bytes, value.size_bytes);
        const struct pl_record record = {.topic = test_records[kind].topic,
                                         .key = test_key(test_records[kind].key),
                                         .value = {bytes, size_bytes}};
        auditor_memory_reset(&memory);
        names.count = 0;
        const struct reader reader = {&memory, &names, 1};
        bool is_taken = services_take(&record);
        if (is_taken != auditor_takes(&reader, &record))
            fail_msg("round %u, %s: the services %s it, the auditor does not (%s)", round,
                     pl_topic_word(record.topic), is_taken ? "take" : "refuse",
                     is_taken ? "" : pl_err_text());
        good += is_taken;
        bad += !is_taken;
    }
    assert_true(good > 1000 && bad > 1000);
    auditor_memory_free(&memory);
}

static int open_auditor(void **state)
{
    (void)state;
    auditor_open(&test_auditor);
    return 0;
}

static int close_auditor(void **state)
{
    (void)state;
    auditor_close(&test_auditor);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_logs_pass),
        cmocka_unit_test(test_right_end_passes),
        cmocka_unit_test(test_damage_to_the_log_is_named),
        cmocka_unit_test(test_damage_to_sales_is_named),
        cmocka_unit_test(test_bounds_are_enough),
        cmocka_unit_test(test_nothing_is_sold_twice),
        cmocka_unit_test(test_reads_as_the_services_do),
    };
    return cmocka_run_group_tests(tests, open_auditor, close_auditor);
}
