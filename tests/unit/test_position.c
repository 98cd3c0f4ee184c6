/* SPDX-License-Identifier: Apache-2.0 */
/* lib/position: does a record become what its header says, whatever order events come in? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/position/position.h"

static struct pl_record_holdings record, before;
static struct pl_position_event event;
static struct pl_holdings holdings;
static struct pl_names names;
static struct pl_parameters parameters;

static struct pl_id id(const char *text)
{
    struct pl_id result;
    assert_int_equal(pl_id_set(&result, text, strlen(text)), PL_OK);
    return result;
}

static struct pl_chain_head heads[2];
static uint32_t head_count;

static void list(const char *name, unsigned lot_decimals)
{
    uint32_t index = 0;
    const struct pl_id instrument = id(name);
    assert_int_equal(pl_names_intern(&names, &instrument, &index), PL_OK);
    parameters.instruments[index].is_listed = true;
    parameters.instruments[index].lot_decimals = lot_decimals;
}

static int setup(void **state)
{
    (void)state;
    memset(&record, 0, sizeof(record));
    memset(&parameters, 0, sizeof(parameters));
    memset(&names, 0, sizeof(names));
    pl_names_init(&names);
    record.account = id("alice");
    head_count = 0;
    list("ETH", 8);
    list("USDC", 6);
    list("PERP", 8);
    return 0;
}

static void begin(enum pl_position_kind kind, uint64_t sequence, const char *chain, uint64_t height)
{
    memset(&event, 0, sizeof(event));
    event.account = id("alice");
    event.source = id("venue");
    event.kind = kind;
    event.sequence = sequence;
    event.previous_sequence = sequence - 1;
    event.event_time_ms = 1000 + (int64_t)sequence;
    if (chain)
        event.chain = id(chain);
    event.block_height = height;
}

static void leg(const char *instrument, int64_t mantissa, int exponent)
{
    event.legs[event.leg_count++] = (struct pl_position_leg){
        .instrument = id(instrument), .quantity = { mantissa, exponent } };
}

static enum pl_err apply(void) { return pl_record_apply(&record, &event); }

static const struct pl_record_leg *find(const char *instrument)
{
    const struct pl_id wanted = id(instrument);
    for (uint32_t i = 0; i < record.leg_count; i++)
        if (pl_id_equal(&record.legs[i].instrument, &wanted))
            return &record.legs[i];
    return NULL;
}

static void convert(void)
{
    assert_int_equal(pl_record_convert(&record, &names, &parameters, heads, head_count), PL_OK);
}

static const struct pl_leg *evaluated(const char *instrument)
{
    uint32_t index = 0;
    const struct pl_id wanted = id(instrument);
    convert();
    assert_int_equal(pl_record_to_holdings(&record, &names, &holdings), PL_OK);
    assert_true(pl_names_find(&names, &wanted, &index));
    for (uint32_t i = 0; i < holdings.leg_count; i++)
        if (holdings.legs[i].instrument == index)
            return &holdings.legs[i];
    return NULL;
}

/* ---- sequences ------------------------------------------------------------------------------- */

static void test_duplicates_change_nothing(void **state)
{
    (void)state;
    begin(PL_POSITION_DELTA, 1, NULL, 0);
    leg("ETH", 5, 0);
    assert_int_equal(apply(), PL_OK);
    before = record;
    assert_int_equal(apply(), PL_REJECT_STALE);
    assert_memory_equal(&record, &before, sizeof(record));
    begin(PL_POSITION_DELTA, 2, NULL, 0);
    leg("ETH", -2, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(find("ETH")->quantity.mantissa == 3);
    assert_false(record.sources[0].has_gap);
}

static void test_gap_until_a_snapshot(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 5, 0);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 3, NULL, 0); /* 2 never came */
    leg("ETH", 1, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(record.sources[0].has_gap);
    begin(PL_POSITION_DELTA, 4, NULL, 0);
    leg("ETH", 1, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(record.sources[0].has_gap);
    (void)evaluated("ETH");
    assert_true(holdings.has_gap);
    begin(PL_POSITION_SNAPSHOT, 7, NULL, 0);
    leg("ETH", 9, 0);
    assert_int_equal(apply(), PL_OK);
    assert_false(record.sources[0].has_gap);
    assert_true(evaluated("ETH")->lots == 900000000);
    assert_false(holdings.has_gap);
}

/* ---- finality -------------------------------------------------------------------------------- */

static void test_reorganisation_is_undone_exactly(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 10, 0);
    leg("USDC", -70, 0);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 2, "ethereum", 100);
    leg("ETH", -4, 0);
    leg("USDC", 333333333333, -10);
    event.has_cash = true;
    event.cash = (struct pl_amount){ 5, -1 };
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 3, "ethereum", 101);
    leg("ETH", 1, 0);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_RETRACTION, 4, "ethereum", 100);
    event.retracts = 2;
    assert_int_equal(apply(), PL_OK);
    assert_true(find("ETH")->quantity.mantissa == 11);
    const struct pl_amount owed = { -70, 0 };
    assert_int_equal(pl_amount_compare(&find("USDC")->quantity, &owed), 0);
    assert_true(pl_amount_is_zero(&record.sources[0].cash));
    assert_int_equal(record.tail_count, 1);
    /* The same again is a conflict: it is not there any more. */
    begin(PL_POSITION_RETRACTION, 5, "ethereum", 100);
    event.retracts = 2;
    assert_int_equal(apply(), PL_REJECT_CONFLICT);
    assert_true(record.sources[0].has_gap);
    assert_true(find("ETH")->quantity.mantissa == 11);
}

static void test_taking_back_the_mending_snapshot_opens_the_gap(void **state)
{
    (void)state;
    begin(PL_POSITION_DELTA, 5, "ethereum", 90); /* 1 to 4 never came */
    leg("ETH", 5, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(record.sources[0].has_gap);
    begin(PL_POSITION_SNAPSHOT, 6, "ethereum", 91);
    leg("ETH", 8, 0);
    assert_int_equal(apply(), PL_OK);
    assert_false(record.sources[0].has_gap);
    begin(PL_POSITION_RETRACTION, 7, "ethereum", 91);
    event.retracts = 6;
    assert_int_equal(apply(), PL_OK);
    assert_true(record.sources[0].has_gap);
    assert_true(find("ETH")->quantity.mantissa == 5);
}

/* Pending inflow is not counted, pending outflow is gone at once, until the chain finalises. */
static void test_only_the_worse_of_seen_and_final_counts(void **state)
{
    const struct pl_id chain = id("ethereum");
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 10, 0);
    leg("USDC", -50, 0);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 2, "ethereum", 100);
    leg("ETH", 3, 0);
    leg("USDC", -10, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->lots == 1000000000);
    assert_true(evaluated("ETH")->final_lots == 1000000000);
    assert_true(evaluated("USDC")->lots == -60000000);
    assert_true(evaluated("USDC")->final_lots == -50000000);
    assert_false(pl_record_finalise(&record, &chain, 99));
    assert_true(pl_record_finalise(&record, &chain, 100));
    assert_true(evaluated("ETH")->lots == 1300000000);
    assert_true(evaluated("USDC")->final_lots == -60000000);
    assert_int_equal(record.tail_count, 0);
}

static struct pl_instrument *instrument(const char *name)
{
    uint32_t index = 0;
    const struct pl_id wanted = id(name);
    assert_true(pl_names_find(&names, &wanted, &index));
    return &parameters.instruments[index];
}

/* A deposit of 1 ETH counts half after 2 blocks and whole after 12; one of more than 5 ETH never counts
 * whole before it is final. What is taken back, by the head or by a retraction, counts no more. */
static void test_confirmations_credit_inflows_by_size_and_depth(void **state)
{
    static const struct { uint64_t head; int64_t small, large; } rows[] = {
        {99, 0, 0}, {100, 0, 0}, {101, 50000000, 300000000}, {110, 50000000, 300000000},
        {111, 100000000, 300000000}, {120, 100000000, 300000000}, {100, 0, 0}};
    (void)state;
    struct pl_instrument *eth = instrument("ETH");
    eth->confirmation_count = 2;
    eth->confirmations[0] = (struct pl_confirmations){12, 500000000, PL_PPM};
    eth->confirmations[1] = (struct pl_confirmations){2, INT64_MAX, 500000};
    for (int is_large = 0; is_large < 2; is_large++) {
        memset(&record, 0, sizeof(record));
        record.account = id("alice");
        begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
        leg("ETH", 10, 0);
        leg("USDC", -50, 0);
        assert_int_equal(apply(), PL_OK);
        begin(PL_POSITION_DELTA, 2, "ethereum", 100);
        leg("ETH", is_large ? 6 : 1, 0);
        leg("USDC", 20, 0); /* no confirmations */
        assert_int_equal(apply(), PL_OK);
        heads[0] = (struct pl_chain_head){id("solana"), 1000};
        head_count = 2;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            int64_t credit = is_large ? rows[i].large : rows[i].small;
            heads[1] = (struct pl_chain_head){id("ethereum"), rows[i].head};
            assert_true(evaluated("ETH")->lots == 1000000000 + credit);
            assert_true(evaluated("ETH")->final_lots == 1000000000 + credit);
            assert_true(evaluated("ETH")->credited_lots == credit);
            assert_true(evaluated("USDC")->lots == -50000000);
        }
        heads[1].height = 111;
        assert_true(evaluated("ETH")->credited_lots > 0);
        begin(PL_POSITION_RETRACTION, 3, "ethereum", 100);
        event.retracts = 2;
        assert_int_equal(apply(), PL_OK);
        assert_true(evaluated("ETH")->lots == 1000000000);
        assert_true(evaluated("ETH")->credited_lots == 0);
    }
}

/* An odd lot more is never credited, and an outflow that is pending is gone all the same. */
static void test_credit_is_rounded_down_and_never_hides_an_outflow(void **state)
{
    (void)state;
    struct pl_instrument *eth = instrument("ETH");
    eth->confirmation_count = 1;
    eth->confirmations[0] = (struct pl_confirmations){1, INT64_MAX, 333333};
    heads[0] = (struct pl_chain_head){id("ethereum"), 100};
    head_count = 1;
    begin(PL_POSITION_DELTA, 1, "ethereum", 100);
    leg("ETH", 1999999999, -9 - 8); /* one lot and nearly another */
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->credited_lots == 0);
    eth->confirmations[0].weight_ppm = PL_PPM;
    assert_true(evaluated("ETH")->credited_lots == 1); /* whole, it is one lot of the two */
    eth->confirmations[0].weight_ppm = 333333;
    begin(PL_POSITION_DELTA, 2, "ethereum", 100);
    leg("ETH", 5, -8);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->credited_lots == 1); /* a third of 5, and of 1 */
    begin(PL_POSITION_DELTA, 3, "ethereum", 101);
    leg("ETH", -6, -8);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->lots == 0); /* of 6.99 that were seen 6 are gone */
    assert_true(evaluated("ETH")->final_lots == 1);
}

/* ---- rounding --------------------------------------------------------------------------------- */

static void test_assets_round_down_and_debts_up(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 1999999999, -9 - 8); /* 1.999999999 lots: one lot */
    leg("USDC", -1000000001, -9 - 6); /* a billionth of a lot more than one: two lots owed */
    event.has_cash = true;
    event.cash = (struct pl_amount){ -1, -13 }; /* a tenth of a VU owed: one VU */
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->lots == 1);
    assert_true(evaluated("ETH")->final_lots == 1);
    assert_true(evaluated("USDC")->lots == -2);
    assert_true(evaluated("USDC")->final_lots == -2);
    assert_true(holdings.cash_vu == -1);
    assert_true(holdings.final_cash_vu == -1);
}

static void test_cost_is_cash_that_is_owed(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("PERP", 2, 0);
    event.legs[0].cost = (struct pl_amount){ 122000, 0 };
    event.has_cash = true;
    event.cash = (struct pl_amount){ 5000, 0 };
    assert_int_equal(apply(), PL_OK);
    (void)evaluated("PERP");
    assert_true(holdings.cash_vu == (pl_i128)(5000 - 122000) * 1000000000000);
    assert_true(holdings.final_cash_vu == holdings.cash_vu);
}

/* ---- what does not fit ------------------------------------------------------------------------ */

static void test_all_legs_or_none(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 10, 0);
    event.legs[0].quantity.mantissa = ((pl_i128)1 << 126);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 2, NULL, 0);
    leg("USDC", 5, 0);
    leg("ETH", 1, 0);
    event.legs[1].quantity.mantissa = ((pl_i128)1 << 126);
    assert_int_equal(apply(), PL_REJECT_OVERFLOW);
    assert_null(find("USDC"));
    assert_true(find("ETH")->quantity.mantissa == (pl_i128)1 << 126);
    assert_true(record.sources[0].has_gap);
    assert_int_equal(record.sources[0].sequence, 2);
}

/* Half of what 128 bits hold, in a mode. */
static void begin_in_mode(enum pl_position_kind kind, uint64_t sequence, uint32_t mode)
{
    begin(kind, sequence, NULL, 0);
    leg("ETH", 1, 0);
    event.legs[0].quantity.mantissa = (pl_i128)1 << 126;
    event.has_mode = true;
    event.mode = mode;
}

/* A delta that is too large leaves a gap and its mode; a snapshot that says no mode ends the gap. */
static void test_a_mode_outlives_what_cannot_be_applied(void **state)
{
    (void)state;
    begin_in_mode(PL_POSITION_SNAPSHOT, 1, 1);
    assert_int_equal(apply(), PL_OK);
    begin_in_mode(PL_POSITION_DELTA, 2, 2);
    assert_int_equal(apply(), PL_REJECT_OVERFLOW);
    assert_int_equal(record.mode, 2);
    begin(PL_POSITION_SNAPSHOT, 3, NULL, 0);
    leg("ETH", 5, 0);
    assert_int_equal(apply(), PL_OK);
    assert_int_equal(record.mode, 2);
}

static void test_unlisted_amounts_are_of_unknown_size(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("MEME", 7, 0);
    leg("DEBT", -7, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("MEME")->is_unlisted_amount && evaluated("MEME")->lots > 0);
    assert_true(evaluated("DEBT")->is_unlisted_amount && evaluated("DEBT")->lots < 0);
}

/* ---- several sources, fills -------------------------------------------------------------------- */

static void test_sources_are_summed_and_kept_apart(void **state)
{
    (void)state;
    begin(PL_POSITION_SNAPSHOT, 1, NULL, 0);
    leg("ETH", 10, 0);
    assert_int_equal(apply(), PL_OK);
    begin(PL_POSITION_DELTA, 1, NULL, 0);
    event.source = id("custodian");
    leg("ETH", -4, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->lots == 600000000);
    begin(PL_POSITION_SNAPSHOT, 2, NULL, 0); /* of the first source only */
    leg("USDC", 1, 0);
    assert_int_equal(apply(), PL_OK);
    assert_true(evaluated("ETH")->lots == -400000000);
}

static void test_fills_only_grow_and_the_oldest_makes_room(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= PL_APPLIED_MAX + 1; i++) {
        begin(PL_POSITION_DELTA, i, NULL, 0);
        event.applied_count = 1;
        event.applied[0].order_id[0] = (uint8_t)i;
        event.applied[0].cumulative = (struct pl_amount){ 5, 0 };
        assert_int_equal(apply(), PL_OK);
    }
    assert_int_equal(record.applied_count, PL_APPLIED_MAX);
    assert_int_equal(record.applied[0].order_id[0], 2);
    begin(PL_POSITION_DELTA, PL_APPLIED_MAX + 2, NULL, 0);
    event.applied_count = 1;
    event.applied[0].order_id[0] = 2;
    event.applied[0].cumulative = (struct pl_amount){ 3, 0 };
    assert_int_equal(apply(), PL_OK);
    assert_int_equal(record.applied[PL_APPLIED_MAX - 1].order_id[0], 2);
    assert_true(record.applied[PL_APPLIED_MAX - 1].cumulative.mantissa == 5);
}

/* ---- the law: events and their retractions in any order cancel ----------------------------------- */

static uint64_t seed = 1;
static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void test_random_retractions_restore(void **state)
{
    enum { ROUNDS = 300, EVENTS = 20 };
    static const char *const instruments[] = { "ETH", "USDC", "PERP", "MEME" };
    (void)state;
    if (getenv("PLIMSOLL_SEED"))
        seed = strtoull(getenv("PLIMSOLL_SEED"), NULL, 10) | 1;
    print_message("seed=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < ROUNDS; round++) {
        setup(NULL);
        int64_t sums[4] = { 0 }, changes[EVENTS + 1][4] = { { 0 } };
        bool is_undone[EVENTS + 1] = { false };
        uint64_t sequence = 0;
        for (int i = 1; i <= EVENTS; i++) {
            begin(PL_POSITION_DELTA, ++sequence, "ethereum", 100 + (uint64_t)i);
            for (unsigned k = 0; k < 4; k++) {
                changes[i][k] = (int64_t)(draw() % 2001) - 1000;
                leg(instruments[k], changes[i][k], -2);
                sums[k] += changes[i][k];
            }
            assert_int_equal(apply(), PL_OK);
        }
        for (int undo = 0; undo < 8; undo++) {
            uint64_t target = 1 + draw() % EVENTS;
            begin(PL_POSITION_RETRACTION, ++sequence, "ethereum", 200);
            event.retracts = target;
            assert_int_equal(apply(), is_undone[target] ? PL_REJECT_CONFLICT : PL_OK);
            for (unsigned k = 0; k < 4 && !is_undone[target]; k++)
                sums[k] -= changes[target][k];
            is_undone[target] = true;
        }
        for (unsigned k = 0; k < 4; k++) {
            const struct pl_record_leg *at = find(instruments[k]);
            const struct pl_amount expected = { sums[k], -2 };
            assert_true(at ? pl_amount_compare(&at->quantity, &expected) == 0 : sums[k] == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_duplicates_change_nothing, setup),
        cmocka_unit_test_setup(test_gap_until_a_snapshot, setup),
        cmocka_unit_test_setup(test_reorganisation_is_undone_exactly, setup),
        cmocka_unit_test_setup(test_taking_back_the_mending_snapshot_opens_the_gap, setup),
        cmocka_unit_test_setup(test_only_the_worse_of_seen_and_final_counts, setup),
        cmocka_unit_test_setup(test_confirmations_credit_inflows_by_size_and_depth, setup),
        cmocka_unit_test_setup(test_credit_is_rounded_down_and_never_hides_an_outflow, setup),
        cmocka_unit_test_setup(test_assets_round_down_and_debts_up, setup),
        cmocka_unit_test_setup(test_cost_is_cash_that_is_owed, setup),
        cmocka_unit_test_setup(test_all_legs_or_none, setup),
        cmocka_unit_test_setup(test_a_mode_outlives_what_cannot_be_applied, setup),
        cmocka_unit_test_setup(test_unlisted_amounts_are_of_unknown_size, setup),
        cmocka_unit_test_setup(test_sources_are_summed_and_kept_apart, setup),
        cmocka_unit_test_setup(test_fills_only_grow_and_the_oldest_makes_room, setup),
        cmocka_unit_test_setup(test_random_retractions_restore, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
