/* SPDX-License-Identifier: Apache-2.0 */
/* lib/price/aggregate.c: each reason to drop a quote, medians, and stories of what marks follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/price/price.h"

enum { NOW = 1600000000, AGE = 60000, BAND_PPM = 100000 };

static struct pl_id make_id(const char *text)
{
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, text, strlen(text)), PL_OK);
    return id;
}

static const char *const source_names[PL_PRICE_SOURCES_MAX] = {"a", "b", "c", "d", "e", "f"};

/* Prices of four decimals, band 10 %, at most a minute old. */
static struct pl_instrument make_rules(uint32_t sources, uint32_t quorum)
{
    struct pl_instrument rules = {.is_listed = true, .tick_decimals = 4};
    for (uint32_t i = 0; i < sources; i++)
        rules.price_rules.sources[i] = make_id(source_names[i]);
    rules.price_rules.source_count = sources;
    rules.price_rules.quorum = quorum;
    rules.price_rules.age_ms_max = AGE;
    rules.price_rules.band_ppm = BAND_PPM;
    return rules;
}

static struct pl_price make_price(uint32_t source, int64_t ticks, int64_t time_ms)
{
    return (struct pl_price){
        .instrument = make_id("LINK"), .source = make_id(source_names[source]),
        .mantissa = ticks, .exponent = -4, .event_time_ms = time_ms,
        .source_sequence = (uint64_t)time_ms,
    };
}

static enum pl_drop take(struct pl_aggregate *aggregate, const struct pl_instrument *rules,
                         struct pl_price price, int64_t now_ms, uint64_t offset)
{
    return pl_aggregate_quote(aggregate, rules, &price, now_ms, offset, 7);
}

/* ---- dropping ----------------------------------------------------------------------------- */

static void zero(struct pl_price *price) { price->mantissa = 0; }
static void negative(struct pl_price *price) { price->mantissa = -1; }
static void below_half_a_tick(struct pl_price *price) { price->mantissa = 1, price->exponent = -5; }
static void no_bid(struct pl_price *price)
{
    price->has_book = true, price->bid_mantissa = 0, price->ask_mantissa = 1;
}
static void crossed(struct pl_price *price)
{
    price->has_book = true;
    price->bid_mantissa = 50001, price->bid_exponent = -4;
    price->ask_mantissa = 5, price->ask_exponent = 0;
}
static void locked(struct pl_price *price)
{
    crossed(price);
    price->bid_mantissa = 50000;
}
static void duplicate(struct pl_price *price) { price->source_sequence = NOW - 1000; }
static void disordered(struct pl_price *price) { price->source_sequence = NOW - 1001; }
static void aged(struct pl_price *price) { price->event_time_ms = NOW - AGE - 1; }
static void oldest(struct pl_price *price) { price->event_time_ms = NOW - AGE; }
static void ahead(struct pl_price *price)
{
    price->event_time_ms = NOW + PL_PRICE_AHEAD_MS_MAX + 1;
}
static void a_little_ahead(struct pl_price *price)
{
    price->event_time_ms = NOW + PL_PRICE_AHEAD_MS_MAX;
}
static void stranger(struct pl_price *price) { price->source = make_id("x"); }
static void at_upper_band(struct pl_price *price) { price->mantissa = 55000; }
static void over_band(struct pl_price *price) { price->mantissa = 55001; }
static void at_lower_band(struct pl_price *price) { price->mantissa = 45000; }
static void under_band(struct pl_price *price) { price->mantissa = 44999; }
static void huge(struct pl_price *price) { price->exponent = 30; }
static void doubtful(struct pl_price *price)
{
    price->has_confidence = true, price->confidence_mantissa = 1, price->confidence_exponent = 38;
}
static void less_than_certain(struct pl_price *price)
{
    price->has_confidence = true, price->confidence_mantissa = -1;
}
static void good(struct pl_price *price) { price->mantissa = 50100; }

/* A lone source quoted 5.0000 a second ago, and was believed; now it quotes this. */
static void drops(void **state)
{
    (void)state;
    static const struct { void (*spoil)(struct pl_price *); enum pl_drop expect; } rows[] = {
        {good, PL_DROP_NONE},
        {zero, PL_DROP_ZERO}, {negative, PL_DROP_ZERO}, {below_half_a_tick, PL_DROP_ZERO},
        {no_bid, PL_DROP_ZERO},
        {crossed, PL_DROP_CROSSED}, {locked, PL_DROP_NONE},
        {duplicate, PL_DROP_DUPLICATE},
        {disordered, PL_DROP_LATE}, {aged, PL_DROP_LATE}, {oldest, PL_DROP_NONE},
        {ahead, PL_DROP_FUTURE}, {a_little_ahead, PL_DROP_NONE},
        {stranger, PL_DROP_UNKNOWN_SOURCE},
        {at_upper_band, PL_DROP_NONE}, {over_band, PL_DROP_OUT_OF_BAND},
        {at_lower_band, PL_DROP_NONE}, {under_band, PL_DROP_OUT_OF_BAND},
        {huge, PL_DROP_OUT_OF_RANGE}, {doubtful, PL_DROP_OUT_OF_RANGE},
        {less_than_certain, PL_DROP_OUT_OF_RANGE},
    };
    const struct pl_instrument rules = make_rules(1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_aggregate aggregate = {0};
        struct pl_price price = make_price(0, 50000, NOW - 1000);
        assert_int_equal(take(&aggregate, &rules, price, NOW - 1000, 1), 0);
        assert_true(pl_aggregate_mark(&aggregate, &rules, NOW - 1000, false));
        price = make_price(0, 50000, NOW);
        rows[i].spoil(&price);
        const enum pl_drop drop = take(&aggregate, &rules, price, NOW, 2);
        if (drop != rows[i].expect)
            fail_msg("row %zu: %s", i, pl_drop_name(drop));
        /* Whatever was dropped, except for the band, left the source's good quote in place. */
        const bool is_kept = drop == PL_DROP_NONE || drop == PL_DROP_OUT_OF_BAND;
        assert_int_equal(aggregate.quotes[0].offset, is_kept ? 2 : 1);
    }
    struct pl_aggregate aggregate = {0};
    const struct pl_price price = make_price(0, 50000, NOW);
    const struct pl_instrument unlisted = {0};
    assert_int_equal(take(&aggregate, &unlisted, price, NOW, 0), PL_DROP_UNLISTED);
}

static void drop_names_are_distinct(void **state)
{
    (void)state;
    for (int i = 0; i < PL_DROP_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(pl_drop_name((enum pl_drop)i), pl_drop_name((enum pl_drop)j));
}

/* ---- the mark of given quotes -------------------------------------------------------------- */

/* Expected price 0: no mark at all. */
struct given {
    uint32_t count, quorum;
    int64_t ticks[6], confidence[6], age_ms[6];
    int64_t price, low, high, old_ms;
    uint32_t believed;
};

static const struct given givens[] = {
    /* odd, even; the mean of two half-even: 5.00005 down, 5.00015 up */
    {.count = 3, .quorum = 2, .ticks = {50000, 50300, 50100},
     .price = 50100, .low = 50000, .high = 50300, .believed = 3},
    {.count = 4, .quorum = 2, .ticks = {50000, 50300, 50100, 50200},
     .price = 50150, .low = 50000, .high = 50300, .believed = 4},
    {.count = 2, .quorum = 2, .ticks = {50000, 50001},
     .price = 50000, .low = 50000, .high = 50001, .believed = 2},
    {.count = 2, .quorum = 2, .ticks = {50001, 50002},
     .price = 50002, .low = 50001, .high = 50002, .believed = 2},
    {.count = 1, .quorum = 1, .ticks = {50000},
     .price = 50000, .low = 50000, .high = 50000, .believed = 1},
    /* the wider of the span and the median confidence of those that state one */
    {.count = 3, .quorum = 2, .ticks = {50000, 50010, 50020}, .confidence = {10, 100},
     .price = 50010, .low = 49955, .high = 50065, .believed = 3},
    {.count = 3, .quorum = 2, .ticks = {50000, 50010, 50920}, .confidence = {1, 1, 1},
     .price = 50010, .low = 50000, .high = 50920, .believed = 3},
    {.count = 2, .quorum = 1, .ticks = {50000, 50000}, .confidence = {10, 13}, /* 11.5 up */
     .price = 50000, .low = 49988, .high = 50012, .believed = 2},
    {.count = 1, .quorum = 1, .ticks = {50000}, .confidence = {60000},
     .price = 50000, .low = 1, .high = 110000, .believed = 1},
    /* as old as the quorum needs */
    {.count = 3, .quorum = 2, .ticks = {50000, 50000, 50000}, .age_ms = {3000, 1000, 2000},
     .price = 50000, .low = 50000, .high = 50000, .old_ms = 2000, .believed = 3},
    {.count = 3, .quorum = 3, .ticks = {50000, 50000, 50000}, .age_ms = {3000, 1000, 2000},
     .price = 50000, .low = 50000, .high = 50000, .old_ms = 3000, .believed = 3},
    /* no quorum, and never had one */
    {.count = 1, .quorum = 2, .ticks = {50000}},
    {.count = 2, .quorum = 2, .ticks = {50000, 80000}},
    {.count = 2, .quorum = 1, .ticks = {50000, 80000}},
    /* one outlier among three and more counts neither for the price nor for the interval */
    {.count = 3, .quorum = 2, .ticks = {50000, 1, 50200},
     .price = 50100, .low = 50000, .high = 50200, .believed = 2},
    {.count = 4, .quorum = 2, .ticks = {50000, 90000, 50200, 50100},
     .price = 50100, .low = 50000, .high = 50200, .believed = 3},
    /* two against two: nobody is believed */
    {.count = 4, .quorum = 2, .ticks = {50000, 50000, 80000, 80000}},
};

static void mark_of_given(const struct given *given)
{
    struct pl_aggregate aggregate = {0};
    const struct pl_instrument rules = make_rules(given->count, given->quorum);
    for (uint32_t s = 0; s < given->count; s++) {
        struct pl_price price = make_price(s, given->ticks[s], NOW - given->age_ms[s]);
        price.has_confidence = given->confidence[s] != 0;
        price.confidence_mantissa = given->confidence[s];
        price.confidence_exponent = -4;
        const enum pl_drop drop = take(&aggregate, &rules, price, NOW, 10 + s);
        assert_true(drop == PL_DROP_NONE || drop == PL_DROP_OUT_OF_BAND);
    }
    const bool is_published = pl_aggregate_mark(&aggregate, &rules, NOW, true);
    const struct pl_mark *mark = &aggregate.mark;
    assert_int_equal(is_published, given->price != 0);
    assert_int_equal(mark->status, is_published ? PL_MARK_LIVE : PL_MARK_NONE);
    assert_int_equal(mark->mantissa, given->price);
    assert_int_equal(mark->low_mantissa, given->low);
    assert_int_equal(mark->high_mantissa, given->high);
    assert_int_equal(mark->source_count, given->believed);
    if (!is_published)
        return;
    assert_int_equal(mark->exponent, -4);
    assert_int_equal(mark->event_time_ms, NOW - given->old_ms);
    assert_int_equal(mark->source_partition, 7);
}

static void marks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof givens / sizeof givens[0]; i++)
        mark_of_given(&givens[i]);
}

/* A tenth of a tick and a half: prices to the nearest, halves to even; confidence up, however little. */
static void fractions_of_a_tick(void **state)
{
    (void)state;
    static const struct { int64_t price, confidence, ticks, doubt; } rows[] = {
        {500004, 0, 50000, 0}, {500005, 10, 50000, 1}, {500006, 11, 50001, 2},
        {500014, 19, 50001, 2}, {500015, 20, 50002, 2}, {500016, 1, 50002, 1},
    };
    const struct pl_instrument rules = make_rules(1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pl_aggregate aggregate = {0};
        struct pl_price price = make_price(0, rows[i].price, NOW);
        price.exponent = price.confidence_exponent = -5;
        price.has_confidence = true;
        price.confidence_mantissa = rows[i].confidence;
        assert_int_equal(take(&aggregate, &rules, price, NOW, 1), PL_DROP_NONE);
        assert_true(pl_aggregate_mark(&aggregate, &rules, NOW, false));
        assert_int_equal(aggregate.mark.mantissa, rows[i].ticks);
        assert_int_equal(aggregate.mark.low_mantissa, rows[i].ticks - rows[i].doubt);
        assert_int_equal(aggregate.mark.high_mantissa, rows[i].ticks + rows[i].doubt);
    }
}

/* ---- stories ------------------------------------------------------------------------------- */

/* Q: source `source` quotes `ticks`; `expect` is the drop. M: the mark is derived; `expect` is its
 * status, `ticks` its price. Times in seconds. */
struct line { char what; int64_t at_s; uint32_t source; int64_t ticks; int expect; };

enum { LINES_MAX = 24 };
enum { LIVE = PL_MARK_LIVE, STALE = PL_MARK_STALE, HALTED = PL_MARK_HALTED,
       OK = PL_DROP_NONE, OUT = PL_DROP_OUT_OF_BAND, LATE = PL_DROP_LATE };

static const struct {
    const char *name;
    uint32_t sources, quorum;
    struct line lines[LINES_MAX];
} stories[] = {
    {"LINK at 0.0001 from one of three sources: the mark does not move", 3, 2, {
        {'Q', 0, 0, 23100, OK}, {'Q', 0, 1, 23110, OK}, {'Q', 0, 2, 23120, OK},
        {'M', 0, 0, 23110, LIVE},
        {'Q', 1, 1, 1, OUT}, {'M', 1, 0, 23110, LIVE},
        {'Q', 2, 0, 23050, OK}, {'M', 2, 0, 23085, LIVE},
        {'Q', 3, 1, 23060, OK}, {'M', 3, 0, 23060, LIVE}}},
    {"all crash by 40 % within a minute: believed as soon as a quorum says so", 3, 2, {
        {'Q', 0, 0, 50000, OK}, {'Q', 0, 1, 50000, OK}, {'Q', 0, 2, 50000, OK},
        {'M', 0, 0, 50000, LIVE},
        {'Q', 10, 0, 30000, OUT}, {'M', 10, 0, 50000, LIVE},
        {'Q', 20, 1, 30100, OK}, {'M', 20, 0, 30050, LIVE},
        {'Q', 30, 2, 30200, OK}, {'M', 30, 0, 30100, LIVE}}},
    {"quorum of all three: halted until the third follows", 3, 3, {
        {'Q', 0, 0, 50000, OK}, {'Q', 0, 1, 50000, OK}, {'Q', 0, 2, 50000, OK},
        {'M', 0, 0, 50000, LIVE},
        {'Q', 10, 0, 30000, OUT}, {'Q', 20, 1, 30100, OK}, {'M', 20, 0, 50000, HALTED},
        {'Q', 30, 2, 30200, OK}, {'M', 30, 0, 30100, LIVE}}},
    {"quotes age: stale with the last price, live again", 3, 2, {
        {'Q', 0, 0, 50000, OK}, {'Q', 30, 1, 50100, OK}, {'M', 30, 0, 50050, LIVE},
        {'M', 60, 0, 50050, LIVE}, {'M', 61, 0, 50050, STALE}, {'M', 99, 0, 50050, STALE},
        {'Q', 99, 0, 51000, OK}, {'M', 99, 0, 50050, STALE},
        {'Q', 100, 1, 51000, OK}, {'M', 100, 0, 51000, LIVE}}},
    {"two sources contradict, quorum one: the last mark decides", 2, 1, {
        {'Q', 0, 0, 50000, OK}, {'Q', 0, 1, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 1, 0, 1, OUT}, {'M', 1, 0, 50000, LIVE},
        {'Q', 2, 1, 30000, OUT}, {'M', 2, 0, 50000, HALTED},
        {'Q', 3, 0, 30000, OK}, {'M', 3, 0, 30000, LIVE}}},
    {"a lone source jumps and comes back", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 1, 0, 1, OUT}, {'M', 1, 0, 50000, HALTED},
        {'Q', 2, 0, 49000, OK}, {'M', 2, 0, 49000, LIVE}}},
    {"a lone source stays away: believed once confirmed and the old mark has aged", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 10, 0, 30000, OUT}, {'Q', 20, 0, 31000, OUT}, {'Q', 30, 0, 30500, OUT},
        {'Q', 55, 0, 30600, OUT}, {'M', 60, 0, 50000, HALTED}, {'M', 61, 0, 30600, LIVE},
        {'Q', 62, 0, 30700, OK}, {'M', 62, 0, 30700, LIVE}}},
    {"quotes that do not agree confirm nothing", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 61, 0, 30000, OUT}, {'Q', 62, 0, 20000, OUT}, {'Q', 63, 0, 30000, OUT},
        {'Q', 64, 0, 20000, OUT}, {'M', 64, 0, 50000, HALTED},
        {'Q', 65, 0, 20100, OUT}, {'M', 65, 0, 50000, HALTED},
        {'Q', 66, 0, 20200, OK}, {'M', 66, 0, 20200, LIVE}}},
    {"a wild quote is not believed for following a confirmed jump", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 61, 0, 30000, OUT}, {'Q', 62, 0, 30000, OUT}, {'Q', 63, 0, 30000, OK},
        {'Q', 64, 0, 1, OUT}, {'M', 64, 0, 50000, HALTED}}},
    {"slow drift within the band of itself is one level, out of it is none", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 61, 0, 30000, OUT}, {'Q', 62, 0, 27500, OUT}, {'Q', 63, 0, 25500, OUT},
        {'M', 63, 0, 50000, HALTED}}},
    {"quotes that return into the band end the run", 1, 1, {
        {'Q', 0, 0, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 61, 0, 44000, OUT}, {'Q', 62, 0, 44000, OUT}, {'Q', 63, 0, 45500, OK},
        {'Q', 64, 0, 44000, OUT}, {'M', 64, 0, 50000, HALTED}}},
    {"what a source said while it was contradicted confirms nothing", 2, 1, {
        {'Q', 0, 0, 50000, OK}, {'Q', 0, 1, 50000, OK}, {'M', 0, 0, 50000, LIVE},
        {'Q', 10, 0, 30000, OUT}, {'Q', 20, 0, 30000, OUT}, {'Q', 30, 0, 30000, OUT},
        {'M', 61, 0, 50000, HALTED},
        {'Q', 62, 0, 30000, OUT}, {'Q', 63, 0, 30000, OUT}, {'Q', 64, 0, 30000, OK},
        {'M', 64, 0, 30000, LIVE}}},
    {"a source that counts from one again is heard after the maximal age", 1, 1, {
        {'Q', 100, 0, 50000, OK}, {'M', 100, 0, 50000, LIVE}, {'R', 110, 0, 50000, LATE},
        {'R', 161, 0, 50100, OK}, {'M', 161, 0, 50100, LIVE}}},
};

static void tell(const struct line *line, const struct pl_instrument *rules,
                 struct pl_aggregate *aggregate)
{
    static uint64_t offset;
    const int64_t now_ms = NOW + line->at_s * 1000;
    if (line->what != 'M') {
        struct pl_price price = make_price(line->source, line->ticks, now_ms);
        if (line->what == 'R')
            price.source_sequence = (uint64_t)line->at_s;
        const enum pl_drop drop = take(aggregate, rules, price, now_ms, offset++);
        if ((int)drop != line->expect)
            fail_msg("at %lld s: drop %s", (long long)line->at_s, pl_drop_name(drop));
        return;
    }
    const struct pl_mark last = aggregate->mark;
    if (pl_aggregate_mark(aggregate, rules, now_ms, false))
        assert_true(pl_mark_is_newer(&aggregate->mark, &last));
    if (aggregate->mark.mantissa != line->ticks || (int)aggregate->mark.status != line->expect)
        fail_msg("at %lld s: %lld, status %d", (long long)line->at_s,
                 (long long)aggregate->mark.mantissa, (int)aggregate->mark.status);
}

static void tell_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        print_message("           %s\n", stories[i].name);
        const struct pl_instrument rules = make_rules(stories[i].sources, stories[i].quorum);
        struct pl_aggregate aggregate = {0};
        for (size_t k = 0; k < LINES_MAX && stories[i].lines[k].what; k++)
            tell(&stories[i].lines[k], &rules, &aggregate);
    }
}

/* ---- numbers, recovery, new rules ----------------------------------------------------------- */

static struct pl_aggregate make_live(const struct pl_instrument *rules)
{
    struct pl_aggregate aggregate = {0};
    for (uint32_t s = 0; s < rules->price_rules.source_count; s++) {
        const struct pl_price price = make_price(s, 50000 + s, NOW);
        assert_int_equal(take(&aggregate, rules, price, NOW, 100 + s), 0);
    }
    assert_true(pl_aggregate_mark(&aggregate, rules, NOW, false));
    return aggregate;
}

static void restating_raises_the_tick(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(3, 2);
    struct pl_aggregate aggregate = make_live(&rules);
    assert_int_equal(aggregate.mark.source_offset, 102);
    assert_int_equal(aggregate.mark.tick, NOW);
    assert_false(pl_aggregate_mark(&aggregate, &rules, NOW + 5, false));
    assert_int_equal(aggregate.mark.tick, NOW);
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW, true));
    assert_int_equal(aggregate.mark.tick, NOW + 1);
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW - 1000, true)); /* the clock went back */
    assert_int_equal(aggregate.mark.tick, NOW + 2);
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW + 1000, true));
    assert_int_equal(aggregate.mark.tick, NOW + 1000);
    assert_int_equal(aggregate.mark.source_offset, 102);
    assert_int_equal(aggregate.mark.mantissa, 50001);
}

static void interval_alone_is_a_change(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(3, 2);
    static const int64_t moved[][2] = {{0, 49999}, {2, 50003}};
    for (size_t i = 0; i < 2; i++) {
        struct pl_aggregate aggregate = make_live(&rules);
        const struct pl_price price = make_price((uint32_t)moved[i][0], moved[i][1], NOW + 1);
        assert_int_equal(take(&aggregate, &rules, price, NOW + 1, 200), 0);
        assert_true(pl_aggregate_mark(&aggregate, &rules, NOW + 1, false));
        assert_int_equal(aggregate.mark.mantissa, 50001);
    }
}

/* A quote that is out of band does not raise the offset: the mark does not rest on it. */
static void offset_is_of_what_the_mark_rests_on(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(3, 2);
    struct pl_aggregate aggregate = make_live(&rules);
    const struct pl_price bad = make_price(1, 1, NOW + 1000);
    assert_int_equal(take(&aggregate, &rules, bad, NOW + 1000, 200), PL_DROP_OUT_OF_BAND);
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW + 1000, true));
    assert_int_equal(aggregate.mark.source_offset, 102);
}

static void recovery_goes_on_above(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(3, 2);
    const struct pl_mark tail = {
        .status = PL_MARK_LIVE, .source_offset = 500, .tick = (uint64_t)NOW + 9000,
        .source_partition = 3, .mantissa = 49000, .low_mantissa = 49000, .high_mantissa = 49000,
        .exponent = -4, .event_time_ms = NOW - 5000, .source_count = 3,
        .volatility_fast_ppm = 40000, .volatility_slow_ppm = 30000,
    };
    struct pl_aggregate aggregate = {0};
    pl_aggregate_recover(&aggregate, &tail);
    struct pl_mark older = tail;
    older.tick--, older.mantissa = 1;
    pl_aggregate_recover(&aggregate, &older);
    struct pl_mark poison = tail;
    poison.tick = UINT64_MAX, poison.mantissa = 2;
    pl_aggregate_recover(&aggregate, &poison);
    assert_int_equal(aggregate.mark.mantissa, 49000);

    /* Nobody quotes: the predecessor's price, no longer live, under a higher number. */
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW, false));
    assert_int_equal(aggregate.mark.status, PL_MARK_STALE);
    assert_int_equal(aggregate.mark.mantissa, 49000);
    assert_int_equal(aggregate.mark.tick, NOW + 9001);
    assert_int_equal(aggregate.mark.volatility_fast_ppm, 40000);

    /* Quotes of a topic that was made anew: offsets begin at 0, the mark's number does not fall. */
    for (uint32_t s = 0; s < 3; s++) {
        const struct pl_price price = make_price(s, 50000, NOW);
        assert_int_equal(take(&aggregate, &rules, price, NOW, s), 0);
    }
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW, false));
    assert_int_equal(aggregate.mark.status, PL_MARK_LIVE);
    assert_int_equal(aggregate.mark.source_offset, 500);
    assert_int_equal(aggregate.mark.tick, NOW + 9002);
    assert_int_equal(aggregate.mark.volatility_fast_ppm, 40000);
}

static void lone_source_is_compared_with_the_recovered_mark(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(1, 1);
    const struct pl_mark tail = {.status = PL_MARK_STALE, .tick = 1, .mantissa = 49000,
                                 .low_mantissa = 49000, .high_mantissa = 49000, .exponent = -4,
                                 .event_time_ms = NOW - 5000};
    struct pl_aggregate aggregate = {0};
    pl_aggregate_recover(&aggregate, &tail);
    const struct pl_price price = make_price(0, 30000, NOW);
    assert_int_equal(take(&aggregate, &rules, price, NOW, 0), PL_DROP_OUT_OF_BAND);
    /* One in another scale of prices is nothing to compare with. */
    struct pl_mark scaled = tail;
    scaled.exponent = -2;
    aggregate = (struct pl_aggregate){0};
    pl_aggregate_recover(&aggregate, &scaled);
    assert_int_equal(take(&aggregate, &rules, price, NOW, 0), PL_DROP_NONE);
}

static void new_rules_keep_quotes_with_their_sources(void **state)
{
    (void)state;
    const struct pl_instrument before = make_rules(3, 2);
    struct pl_instrument after = before;
    after.price_rules.sources[0] = before.price_rules.sources[2];
    after.price_rules.sources[1] = make_id("new");
    after.price_rules.sources[2] = before.price_rules.sources[0];
    struct pl_aggregate aggregate = make_live(&before);
    pl_aggregate_follow(&aggregate, &before, &after);
    assert_int_equal(aggregate.quotes[0].ticks, 50002);
    assert_false(aggregate.quotes[1].is_present);
    assert_int_equal(aggregate.quotes[2].ticks, 50000);
    assert_true(pl_aggregate_mark(&aggregate, &after, NOW, true));
    assert_int_equal(aggregate.mark.mantissa, 50001);
    assert_int_equal(aggregate.mark.source_count, 2);

    struct pl_instrument finer = after;
    finer.tick_decimals = 6;
    pl_aggregate_follow(&aggregate, &after, &finer);
    assert_false(aggregate.quotes[0].is_present || aggregate.quotes[2].is_present);
    assert_int_equal(aggregate.mark.mantissa, 50001);
}

static void forgetting_leaves_the_mark(void **state)
{
    (void)state;
    const struct pl_instrument rules = make_rules(3, 2);
    struct pl_aggregate aggregate = make_live(&rules);
    pl_aggregate_forget(&aggregate);
    assert_true(pl_aggregate_mark(&aggregate, &rules, NOW, false));
    assert_int_equal(aggregate.mark.status, PL_MARK_STALE);
    assert_int_equal(aggregate.mark.mantissa, 50001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops),
        cmocka_unit_test(drop_names_are_distinct),
        cmocka_unit_test(marks),
        cmocka_unit_test(fractions_of_a_tick),
        cmocka_unit_test(tell_stories),
        cmocka_unit_test(restating_raises_the_tick),
        cmocka_unit_test(interval_alone_is_a_change),
        cmocka_unit_test(offset_is_of_what_the_mark_rests_on),
        cmocka_unit_test(recovery_goes_on_above),
        cmocka_unit_test(lone_source_is_compared_with_the_recovered_mark),
        cmocka_unit_test(new_rules_keep_quotes_with_their_sources),
        cmocka_unit_test(forgetting_leaves_the_mark),
    };
    return cmocka_run_group_tests_name("aggregate", tests, NULL, NULL);
}
