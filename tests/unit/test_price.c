/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/price, derive.c and grids.c: which way a mark is rounded on its way into an effective set and
 * into an option's grid. Kafka answers from here; everything else is the service's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/service/log.h"
#include "services/price/metrics.h"
#include "services/price/price.h"
#include "tests/support/wire.h"

static const int64_t NOW_MS = 1700000000000;

static struct price_service service;
static struct pl_parameters sets[4], published_set;
static uint8_t published[1 << 16];
static size_t published_bytes;
static uint32_t eth, vol, call, lent, coin;

/* ---- Kafka's part ----------------------------------------------------------------------------- */

bool price_has_read_parameters(const struct price_service *unused)
{
    (void)unused;
    return true;
}

bool price_has_read_marks(const struct price_service *unused)
{
    (void)unused;
    return true;
}

bool __wrap_pl_group_owns(const struct pl_group *group, int32_t partition);
bool __wrap_pl_group_owns(const struct pl_group *group, int32_t partition)
{
    (void)group;
    return partition == 0;
}

enum pl_err __wrap_pl_producer_send(struct pl_producer *producer, enum pl_topic topic, int32_t partition,
                                    struct pl_bytes_view key, struct pl_bytes_view value,
                                    const struct pl_header *headers, unsigned header_count);
enum pl_err __wrap_pl_producer_send(struct pl_producer *producer, enum pl_topic topic, int32_t partition,
                                    struct pl_bytes_view key, struct pl_bytes_view value,
                                    const struct pl_header *headers, unsigned header_count)
{
    (void)producer, (void)topic, (void)partition, (void)key, (void)headers, (void)header_count;
    assert_true(value.size_bytes <= sizeof published);
    memcpy(published, value.data, value.size_bytes);
    published_bytes = value.size_bytes;
    return PL_OK;
}

/* ---- a set and its marks ---------------------------------------------------------------------- */

#define TIERS(a, i, e, m)                                                                          \
    "{'alert':" #a ",'initial':" #i ",'end':" #e ",'maintenance':" #m "}"
#define INSTRUMENT(name, kind, lot, tick, more)                                                    \
    "{'instrument':'" name "','kind':'KIND_" kind "','lot_decimals':" #lot ",'tick_decimals':" #tick \
    more ",'confidence_ppm':0,'sale_discount_ppm':0,'price_rules':{'sources':['a'],'quorum':1,"     \
    "'age_ms_max':60000,'band_ppm':900000,'bad_mark_low_ppm':0,'bad_mark_high_ppm':2000000}}"
#define HAIRCUTS(long) ",'haircut_long':" long ",'haircut_short':" TIERS(0, 0, 0, 0)
#define NONE HAIRCUTS(TIERS(0, 0, 0, 0))

/* Of COIN 80 % counts initially, less where more than 1,000 USD of it are lent. */
static const char SET[] =
    "{'epoch':'1','author':'desk','sources':[{'source':'venue','settlement':'SETTLEMENT_APPLIED'}],"
    "'scenarios':[{'move_ppm':100000,'layer':'LAYER_UP','weight':" TIERS(1, 1, 1, 1) "}],"
    "'instruments':[" INSTRUMENT("ETH", "SPOT", 0, 0, NONE) ","
    INSTRUMENT("VOL", "VOLATILITY", 0, 4, NONE) ","
    INSTRUMENT("CALL", "OPTION", 0, 0, NONE ",'option':{'type':'TYPE_CALL','underlying':'ETH',"
               "'volatility':'VOL','strike_ticks':'100','expiry_ms':'1700000060000'}") ","
    INSTRUMENT("LENT", "STATISTIC", 12, 0, NONE) ","
    INSTRUMENT("COIN", "SPOT", 6, 4, HAIRCUTS(TIERS(200000, 200000, 100000, 50000))
               ",'haircut_model':{'multiple':" TIERS(0, 0, 0, 0) ",'horizon':"
               TIERS(1000000, 1000000, 1000000, 1000000) ",'cap_ppm':900000,"
               "'deposits':{'figure':'LENT','from_usd':'1000'}}") "],"
    "'policies':[{'policy':'default','liquidity_order':['COIN'],'order_valid_ms':'1000',"
    "'order_overdue_ms':'2000','revision_pause_ms':'1000','restricted_hold_ms':'1000',"
    "'alert_hysteresis_ppm':1000,'watermark_age_ms_max':'1000','haircut_rise_ppm_per_hour':1000,"
    "'haircut_fall_ppm_per_day':1000,'haircut_hold_ms':'1000','haircut_interval_ms':'1000'}]}";

static uint32_t number_of(const char *name)
{
    struct pl_id id;
    uint32_t index = 0;
    assert_int_equal(pl_id_set(&id, name, strlen(name)), PL_OK);
    assert_true(pl_names_find(service.names, &id, &index));
    return index;
}

static void apply(const char *key, struct pl_bytes_view value)
{
    const struct pl_record record = {.topic = PL_TOPIC_PARAMETERS, .key = test_key(key), .value = value};
    if (price_apply_parameters(&service, &record))
        fail_msg("%s: %s", key, pl_err_text());
    pl_wire_reset(service.wire);
}

static void set_mark(uint32_t index, int64_t mantissa, int32_t exponent)
{
    struct pl_mark *mark = &service.instruments[index].aggregate.mark;
    *mark = (struct pl_mark){.status = PL_MARK_LIVE, .mantissa = mantissa, .low_mantissa = mantissa,
                             .high_mantissa = mantissa, .exponent = exponent, .tick = mark->tick + 1,
                             .event_time_ms = service.now_ms, .source_count = 1};
}

/* The desk's set is known, and nothing is in force. */
static void begin(void)
{
    free(service.parameters.base_block);
    free(service.parameters.effective_block);
    service = (struct price_service){.wire = test_wire(), .names = test_names(), .now_ms = NOW_MS,
                                     .mono_ms = 1};
    struct parameters *parameters = &service.parameters;
    parameters->effective = &sets[0];
    parameters->base = &sets[1];
    parameters->spare = &sets[2];
    parameters->derived = &sets[3];
    memset(sets, 0, sizeof sets);
    parameters->base_block = malloc(pl_topic_value_bytes_max(PL_TOPIC_PARAMETERS));
    parameters->effective_block = malloc(pl_topic_value_bytes_max(PL_TOPIC_PARAMETERS));
    assert_true(parameters->base_block && parameters->effective_block);
    pl_metrics_init("price", price_metrics, PL_METRIC_COUNT);
    apply("base", test_encode(PL_TOPIC_PARAMETERS, test_json(SET)));
    eth = number_of("ETH"), vol = number_of("VOL"), call = number_of("CALL");
    lent = number_of("LENT"), coin = number_of("COIN");
    published_bytes = 0;
}

static struct pl_bytes_view publish(void)
{
    assert_int_equal(price_publish_parameters(&service), PL_OK);
    assert_true(published_bytes > 0);
    return (struct pl_bytes_view){published, published_bytes};
}

/* ---- roundings -------------------------------------------------------------------------------- */

/*
 * A figure of the venue counts in whole USD, rounded up, against whoever is long: 1,000.0 is not above the
 * 1,000 and the haircut stays; 1,000.1 is 1,001, of which 800,000 * 1,000 / 1,001 = 799,200.8 are lent,
 * 200,800 ppm, up to the grid 202,500.
 */
static void figures_are_rounded_up(void **state)
{
    (void)state;
    static const struct { int64_t mantissa, usd; int32_t initial; } rows[] = {
        {10000, 1000, 200000}, {10001, 1001, 202500}, {10009, 1001, 202500}, {10010, 1001, 202500}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        begin();
        set_mark(lent, rows[i].mantissa, -1);
        const struct pl_bytes_view value = publish();
        assert_int_equal(pl_wire_parameters_decode(service.wire, service.names, value, &published_set),
                         PL_OK);
        const struct pl_instrument *rules = &published_set.instruments[coin];
        assert_int_equal(rules->haircut.figures_usd[PL_SCALE_DEPOSITS], rows[i].usd);
        assert_int_equal(rules->haircut_long.at[PL_TIER_INITIAL], rows[i].initial);
        assert_int_equal(rules->haircut_long.at[PL_TIER_MAINTENANCE], 50000);
    }
}

/* A mark finer than the underlying's ticks counts in whole ones, halves to even: a grid is made around it,
 * and at expiry the call on 100 pays what is above. */
static void grids_are_of_whole_ticks(void **state)
{
    (void)state;
    static const struct { int64_t mantissa, ticks; } rows[] = {
        {1044, 104}, {1045, 104}, {1046, 105}, {1054, 105}, {1055, 106}, {1056, 106}};
    for (int is_expired = 0; is_expired <= 1; is_expired++)
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            begin();
            apply("effective", publish());
            published_bytes = 0;
            service.now_ms += is_expired ? 60000 : 0;
            set_mark(eth, rows[i].mantissa, -1);
            set_mark(vol, 6000, -4);
            assert_int_equal(price_publish_grids(&service), PL_OK);
            assert_true(published_bytes > 0);
            const struct grid *grid = &service.instruments[call].grid;
            assert_int_equal(grid->ticks, rows[i].ticks);
            assert_int_equal(grid->is_settled, is_expired);
            if (is_expired)
                assert_int_equal(grid->settled_vu, (rows[i].ticks - 100) * 1000000000000);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_rounded_up),
        cmocka_unit_test(grids_are_of_whole_ticks),
    };
    pl_log_init("price", "", PL_LOG_WARN, PL_LOG_JSON);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
