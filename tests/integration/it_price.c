/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real plimsoll-price against a real Kafka.
 *
 *   test (sources a, b, c; risk desk) ─► prices, parameters ─► plimsoll-price ─► marks ─► test
 *                                                                    └─► deadletter ─► test
 *
 * All tests share one set of topics and go on where the last one stopped. Whatever they do, every
 * mark that comes must have a number above the instrument's last one, and none may be unreadable.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/price/price.h"
#include "lib/service/process.h"
#include "plimsoll/v1/price.pb-c.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/pipeline.h"

enum { AGE_MS = 2500, WAIT_MS = 15000, READY_S = 30, STOP_MS_MAX = 10000, LATENCY_ROUNDS = 300 };

/* ETH and LINK need two of three sources, SOLO has one; by their keys they use both partitions. */
static const char *const instruments[] = {"ETH", "LINK", "SOLO", "BTC"};
enum { ETH, LINK, SOLO, BTC, INSTRUMENT_COUNT };

static struct pipeline pipeline;
static struct process *service;
static struct pl_names *names;
static struct pl_reader *marks_reader;
static struct pl_mark newest[PL_INSTRUMENTS_MAX];
static struct pl_option_grid grids[PL_INSTRUMENTS_MAX];
static unsigned mark_counts[PL_INSTRUMENTS_MAX];
static uint32_t indexes[INSTRUMENT_COUNT];

static struct pl_bytes_view text_view(const char *text)
{
    return (struct pl_bytes_view){(const uint8_t *)text, strlen(text)};
}

/* ---- what the world outside does ------------------------------------------------------------- */

static size_t encode_quote(const char *instrument, const char *source, int64_t ticks,
                           uint8_t bytes[256])
{
    static uint64_t sequence;
    Plimsoll__V1__Decimal price = PLIMSOLL__V1__DECIMAL__INIT;
    Plimsoll__V1__Price quote = PLIMSOLL__V1__PRICE__INIT;
    if (sequence == 0)
        sequence = (uint64_t)pl_now_ms() * 1000;
    price.has_mantissa = price.has_exponent = 1;
    price.mantissa = ticks;
    price.exponent = -4;
    quote.instrument = (char *)(uintptr_t)instrument;
    quote.source = (char *)(uintptr_t)source;
    quote.price = &price;
    quote.has_event_time_ms = quote.has_source_sequence = 1;
    quote.event_time_ms = pl_now_ms();
    quote.source_sequence = ++sequence;
    assert_true(plimsoll__v1__price__get_packed_size(&quote) <= 256);
    return plimsoll__v1__price__pack(&quote, bytes);
}

static struct kafka_admin_place put(enum pl_topic topic, int32_t partition, const char *key,
                                    const void *value, size_t size_bytes)
{
    char name[256];
    const struct pl_bytes_view none = {NULL, 0};
    return kafka_admin_produce(pipeline_topic(&pipeline, topic, name), partition,
                               key ? text_view(key) : none,
                               (struct pl_bytes_view){value, size_bytes}, NULL, 0, 0);
}

static struct kafka_admin_place quote(int instrument, const char *source, int64_t ticks)
{
    uint8_t bytes[256];
    const size_t size = encode_quote(instruments[instrument], source, ticks, bytes);
    return put(PL_TOPIC_PRICES, -1, instruments[instrument], bytes, size);
}

/* All say the same, so that the mark does not move when one of them ages before the others. */
static void quote_all(int instrument, int64_t ticks)
{
    quote(instrument, "a", ticks);
    quote(instrument, "b", ticks);
    quote(instrument, "c", ticks);
}

/* The hours and days of haircuts as seconds: BTC's maintenance haircut rises by 5,000 ppm a second and
 * falls by 10,000 after two. */
#define HAIRCUT_RATES                                                                              \
    ",'haircut_rise_ppm_per_hour':18000000,'haircut_hold_ms':'2000',"                              \
    "'haircut_fall_ppm_per_day':864000000,'haircut_interval_ms':'200'"
#define FLAT(ppm) "{'alert':" #ppm ",'initial':" #ppm ",'end':" #ppm ",'maintenance':" #ppm "}"
#define HAIRCUT_MODEL ",'haircut_model':{'multiple':" FLAT(3000000) ",'horizon':" FLAT(1000000)     \
                      ",'cap_ppm':%d}"

/* What a test may write otherwise; 0: as usual. */
static struct { unsigned base_epoch; int btc_cap_ppm; int64_t expiry_ms; } other;

/* A volatility, and a call on SOLO at 1 USD that runs for a month or until other.expiry_ms; another settles
 * three seconds later at the average of three and a half. */
#define DERIVED(name, kind, rest)                                                                  \
    ",{'instrument':'" name "','kind':'" kind "','lot_decimals':4,'tick_decimals':4,"              \
    "'haircut_long':" FLAT(0) ",'haircut_short':" FLAT(0) ",'confidence_ppm':0,"                    \
    "'sale_discount_ppm':5000,'price_rules':{'sources':['a'],'quorum':1,'age_ms_max':'2500',"       \
    "'band_ppm':1000000,'bad_mark_low_ppm':0,'bad_mark_high_ppm':1000000}" rest "}"
#define CALL_UNTIL                                                                                 \
    ",'option':{'type':'TYPE_CALL','underlying':'SOLO','volatility':'VOL',"                        \
    "'strike_ticks':'10000','expiry_ms':'%lld'"
#define CALL CALL_UNTIL "}"
#define AVERAGED_CALL CALL_UNTIL ",'averaging_ms':'3500'}"

/* A set of the four instruments; `end_ppm` below 30000 breaks V6, tick decimals should be 4. */
static void put_parameters(const char *key, unsigned epoch, int end_ppm, unsigned tick_decimals)
{
    static char text[16384];
    int used = snprintf(text, sizeof text, "{'epoch':'%u',", epoch);
    if (other.base_epoch)
        used += snprintf(text + used, sizeof text - (size_t)used, "'base_epoch':'%u',",
                         other.base_epoch);
    used += snprintf(text + used, sizeof text - (size_t)used, "'policies':[{'policy':'default',"
                        "'order_valid_ms':'30000','order_overdue_ms':'60000',"
                        "'revision_pause_ms':'2000','restricted_hold_ms':'600000',"
                        "'alert_hysteresis_ppm':10000,'watermark_age_ms_max':'10000'%s}],"
                        "'instruments':[", other.btc_cap_ppm ? HAIRCUT_RATES : "");
    for (int i = 0; i < INSTRUMENT_COUNT; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used,
            "%s{'instrument':'%s','kind':'KIND_SPOT','lot_decimals':4,'tick_decimals':%u,"
            "'haircut_long':{'alert':60000,'initial':50000,'end':%d,'maintenance':30000},"
            "'haircut_short':{'alert':70000,'initial':60000,'end':50000,'maintenance':40000},"
            "'confidence_ppm':0,'sale_discount_ppm':5000,'price_rules':{'sources':[%s],"
            "'quorum':%d,'age_ms_max':'%d','band_ppm':100000,'bad_mark_low_ppm':0,"
            "'bad_mark_high_ppm':1000000}", i ? "," : "", instruments[i], tick_decimals, end_ppm,
            i == SOLO ? "'a'" : "'a','b','c'", i == SOLO ? 1 : 2, AGE_MS);
        if (i == BTC && other.btc_cap_ppm)
            used += snprintf(text + used, sizeof text - (size_t)used, HAIRCUT_MODEL,
                             other.btc_cap_ppm);
        text[used++] = '}';
    }
    if (other.expiry_ms > 0)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         DERIVED("VOL", "KIND_VOLATILITY", "") DERIVED("MONTH", "KIND_OPTION", CALL)
                         DERIVED("SOON", "KIND_OPTION", CALL)
                         DERIVED("MEAN", "KIND_OPTION", AVERAGED_CALL),
                         (long long)other.expiry_ms + INT64_C(2592000000),
                         (long long)other.expiry_ms, (long long)other.expiry_ms + 3000);
    snprintf(text + used, sizeof text - (size_t)used, "]%s}", other.expiry_ms > 0
             ? ",'scenarios':[{'move_ppm':100000,'layer':'LAYER_UP','weight':" FLAT(800000) "}]" : "");
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    json_t *json = json_loads(text, 0, NULL);
    uint8_t *value = NULL;
    size_t size = 0;
    assert_non_null(json);
    assert_int_equal(pl_json_encode(PL_TOPIC_PARAMETERS, json, &value, &size), PL_OK);
    put(PL_TOPIC_PARAMETERS, 0, key, value, size);
    free(value);
    json_decref(json);
}

/* ---- what comes out of it -------------------------------------------------------------------- */

/* Takes the marks that come within `wait_ms`, or the next one only. */
static bool follow(int wait_ms, bool only_one)
{
    const int64_t deadline_ms = pl_mono_ms() + wait_ms;
    bool has_any = false;
    do {
        struct pl_record record;
        struct pl_mark mark;
        uint32_t index = 0;
        bool found = false;
        const int64_t left_ms = deadline_ms - pl_mono_ms();
        assert_int_equal(pl_reader_poll(marks_reader, left_ms > 0 ? (int)left_ms : 0, &record,
                                        &found), PL_OK);
        if (!found)
            continue;
        if (pl_wire_mark_decode(pipeline.wire, names, record.key, record.value, &index, &mark))
            fail_msg("mark at %lld: %s", (long long)record.offset, pl_err_text());
        if (!pl_mark_is_newer(&mark, &newest[index]) && mark_counts[index] > 0)
            fail_msg("mark of %s at %lld is (%llu, %llu) after (%llu, %llu)",
                     names->ids[index].text, (long long)record.offset,
                     (unsigned long long)mark.source_offset, (unsigned long long)mark.tick,
                     (unsigned long long)newest[index].source_offset,
                     (unsigned long long)newest[index].tick);
        if (mark.grid) {
            grids[index] = *mark.grid;
            mark.grid = &grids[index];
        }
        newest[index] = mark;
        mark_counts[index]++;
        has_any = true;
    } while (pl_mono_ms() < deadline_ms && !(has_any && only_one));
    return has_any;
}

static const struct pl_mark *mark_of(int instrument)
{
    return &newest[indexes[instrument]];
}

static void wait_mark(int instrument, enum pl_mark_status status, int64_t ticks)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    const struct pl_mark *mark = mark_of(instrument);
    while (mark->status != status || mark->mantissa != ticks) {
        if (pl_mono_ms() > deadline_ms)
            fail_msg("%s: status %d at %lld instead of %d at %lld", instruments[instrument],
                     (int)mark->status, (long long)mark->mantissa, (int)status,
                     (long long)ticks);
        follow(200, true);
    }
}

static struct process *start(int slot)
{
    struct process *process = pipeline_start(&pipeline, "price", slot, NULL, NULL, NULL);
    pipeline_wait_ready(&pipeline, process, READY_S);
    return process;
}

static void stop(struct process *process)
{
    const int64_t begin_ms = pl_mono_ms();
    assert_int_equal(pipeline_end(process, SIGTERM), 0);
    assert_true(pl_mono_ms() - begin_ms < STOP_MS_MAX);
}

static const char *wait_answer(const struct process *process, const char *path, const char *text)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    const char *answer = pipeline_get(process, path);
    while (!strstr(answer, text)) {
        if (pl_mono_ms() > deadline_ms)
            fail_msg("%s never said %s but %s", path, text, answer);
        usleep(50000);
        answer = pipeline_get(process, path);
    }
    return answer;
}

/* The dead letter whose origin is `place` in `topic`, once it is there: its error code and message
 * are compared with the two texts. */
static void expect_dead_letter(enum pl_topic topic, struct kafka_admin_place place,
                               const char *code, const char *message)
{
    char dead_name[256], origin_name[256], offset[24];
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    pipeline_topic(&pipeline, PL_TOPIC_DEADLETTER, dead_name);
    pipeline_topic(&pipeline, topic, origin_name);
    snprintf(offset, sizeof offset, "%lld", (long long)place.offset);
    for (;;) {
        struct pl_record *rows = NULL;
        const size_t count = kafka_admin_read(dead_name, true, &rows);
        for (size_t i = 0; i < count; i++) {
            const char *found[4] = {"", "", "", ""};
            static const char *const wanted[4] = {
                "__connect.errors.topic", "__connect.errors.offset", "plimsoll.error.code",
                "__connect.errors.exception.message"};
            for (unsigned h = 0; h < rows[i].header_count; h++)
                for (unsigned w = 0; w < 4; w++)
                    if (strcmp(rows[i].headers[h].name, wanted[w]) == 0)
                        found[w] = (const char *)rows[i].headers[h].value.data;
            if (strcmp(found[0], origin_name) != 0 || strcmp(found[1], offset) != 0)
                continue;
            assert_string_equal(found[2], code);
            if (!strstr(found[3], message))
                fail_msg("\"%s\" is not in \"%s\"", message, found[3]);
            kafka_admin_free(rows, count);
            return;
        }
        kafka_admin_free(rows, count);
        if (pl_mono_ms() > deadline_ms)
            fail_msg("no dead letter of %s %s", origin_name, offset);
        usleep(100000);
    }
}

/* The newest record of the parameters topic under `key`: its epoch, 0 when there is none. */
static uint64_t epoch_on_topic(const char *key, uint64_t *base_epoch)
{
    char name[256];
    struct pl_record *rows = NULL;
    uint64_t epoch = 0;
    const size_t count =
        kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        json_t *json = NULL;
        if (strcmp((const char *)rows[i].key.data, key) != 0 ||
            pl_json_decode(PL_TOPIC_PARAMETERS, rows[i].value, &json))
            continue;
        epoch = strtoull(json_string_value(json_object_get(json, "epoch")), NULL, 10);
        const char *base = json_string_value(json_object_get(json, "base_epoch"));
        *base_epoch = base ? strtoull(base, NULL, 10) : 0;
        json_decref(json);
    }
    kafka_admin_free(rows, count);
    return epoch;
}

static void wait_effective(uint64_t epoch, uint64_t expected_base)
{
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    uint64_t base_epoch = 0;
    while (epoch_on_topic("effective", &base_epoch) != epoch) {
        if (pl_mono_ms() > deadline_ms)
            fail_msg("effective epoch %llu never came", (unsigned long long)epoch);
        usleep(100000);
    }
    assert_int_equal(base_epoch, expected_base);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Red with a reason while there is no set; the base set becomes effective; then green. */
static void parameters_make_it_ready(void **state)
{
    (void)state;
    service = pipeline_start(&pipeline, "price", 0, NULL, NULL, NULL);
    const char *answer = wait_answer(service, "/readyz", "no parameters");
    assert_non_null(strstr(answer, " 503 "));
    put_parameters("base", 1, 40000, 4);
    pipeline_wait_ready(&pipeline, service, READY_S);
    wait_effective(1, 1);
    assert_non_null(strstr(pipeline_get(service, "/livez"), " 200 "));
}

static void marks_follow_quotes(void **state)
{
    (void)state;
    quote(LINK, "a", 23090);
    quote(LINK, "b", 23100);
    quote(LINK, "c", 23110);
    wait_mark(LINK, PL_MARK_LIVE, 23100);
    assert_int_equal(mark_of(LINK)->low_mantissa, 23090);
    assert_int_equal(mark_of(LINK)->high_mantissa, 23110);
    assert_int_equal(mark_of(LINK)->source_count, 3);
    /* The bad tick of 2020-03-12 does not move it. */
    quote(LINK, "b", 1);
    quote(LINK, "a", 23110);
    wait_mark(LINK, PL_MARK_LIVE, 23110);
    assert_int_equal(mark_of(LINK)->low_mantissa, 23110);
    assert_int_equal(mark_of(LINK)->source_count, 2);
    /* All fall by 40 %: believed. */
    quote_all(LINK, 13860);
    wait_mark(LINK, PL_MARK_LIVE, 13860);
}

/* Without any input a mark is restated every second, and stale once its quotes have aged. */
static void marks_are_restated_and_age(void **state)
{
    (void)state;
    quote_all(ETH, 2000000);
    wait_mark(ETH, PL_MARK_LIVE, 2000000);
    const int64_t live_ms = pl_mono_ms();
    const unsigned count = mark_counts[indexes[ETH]];
    wait_mark(ETH, PL_MARK_STALE, 2000000);
    assert_in_range(pl_mono_ms() - live_ms, AGE_MS - 1000, 2 * AGE_MS);
    follow(2500, false);
    assert_int_equal(mark_of(ETH)->status, PL_MARK_STALE);
    const unsigned seconds = (unsigned)(pl_mono_ms() - live_ms) / 1000;
    assert_in_range(mark_counts[indexes[ETH]] - count, seconds - 1, seconds + 3);
}

static void restart_goes_on_above(void **state)
{
    (void)state;
    quote_all(ETH, 2010000);
    wait_mark(ETH, PL_MARK_LIVE, 2010000);
    stop(service);
    follow(200, false);
    service = start(0);
    /* Nobody has quoted: the predecessor's price, under a higher number (follow checks). */
    follow(AGE_MS + 500, false);
    wait_mark(ETH, PL_MARK_STALE, 2010000);
    quote_all(ETH, 2020000);
    wait_mark(ETH, PL_MARK_LIVE, 2020000);
    /* Killed, its partitions are free when the session has ended; nothing but time is lost. */
    pipeline_end(service, SIGKILL);
    service = start(0);
    wait_mark(ETH, PL_MARK_STALE, 2020000);
    quote_all(ETH, 2030000);
    wait_mark(ETH, PL_MARK_LIVE, 2030000);
}

static void bad_records_go_to_dead_letter(void **state)
{
    (void)state;
    uint8_t bytes[256];
    char name[256];
    int32_t count = 0;
    struct pl_id id;
    assert_int_equal(pl_id_set(&id, "ETH", 3), PL_OK);
    assert_int_equal(pl_reader_partition_count(marks_reader, PL_TOPIC_PRICES, 5000, &count), 0);
    const int32_t wrong = 1 - pl_key_partition((const uint8_t *)"ETH", 3, count);
    const struct kafka_admin_place garbage =
        kafka_admin_put(pipeline_topic(&pipeline, PL_TOPIC_PRICES, name), -1, "ETH", "garbage");
    expect_dead_letter(PL_TOPIC_PRICES, garbage, "REJECT_MALFORMED", "");
    const struct kafka_admin_place tombstone = put(PL_TOPIC_PRICES, -1, "ETH", NULL, 0);
    expect_dead_letter(PL_TOPIC_PRICES, tombstone, "REJECT_MALFORMED", "tombstone");
    size_t size = encode_quote("ETH", "a", 2030000, bytes);
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, wrong, "ETH", bytes, size),
                       "REJECT_PARTITION", "murmur2");
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, -1, NULL, bytes, size), "REJECT_KEY",
                       "no key");
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, -1, "LINK", bytes, size),
                       "REJECT_KEY", "");
    size = encode_quote("ETH", "stranger", 2030000, bytes);
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, -1, "ETH", bytes, size),
                       "REJECT_UNKNOWN", "stranger is no price source of ETH");
    size = encode_quote("DOGE", "a", 2030000, bytes);
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, -1, "DOGE", bytes, size),
                       "REJECT_UNKNOWN", "DOGE is not listed");
    /* What is merely dropped is no damage: it is counted. */
    quote(ETH, "a", 0);
    wait_answer(service, "/metrics", "plimsoll_quotes_total{result=\"zero\"} 1");
    wait_answer(service, "/metrics", "plimsoll_records_rejected_total{topic=\"prices\"} 7");
    quote_all(ETH, 2040000);
    wait_mark(ETH, PL_MARK_LIVE, 2040000);
}

static void bad_parameters_are_refused(void **state)
{
    (void)state;
    struct kafka_admin_place last = {0};
    put_parameters("base", 2, 20000, 4); /* end below maintenance */
    wait_answer(service, "/metrics", "plimsoll_records_rejected_total{topic=\"parameters\"} 1");
    char name[256];
    struct pl_record *rows = NULL;
    size_t count =
        kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    last.offset = rows[count - 1].offset;
    kafka_admin_free(rows, count);
    expect_dead_letter(PL_TOPIC_PARAMETERS, last, "REJECT_PARAMETERS", "V6 instrument ");
    put_parameters("base", 3, 40000, 2); /* other decimals */
    last.offset++;
    expect_dead_letter(PL_TOPIC_PARAMETERS, last, "REJECT_CONFLICT", "");
    put_parameters("base", 1, 41000, 4); /* an epoch that was used */
    last.offset++;
    expect_dead_letter(PL_TOPIC_PARAMETERS, last, "REJECT_CONFLICT", "epoch 1");
    put_parameters("base", 1, 40000, 4); /* the same set again is no mistake */
    put_parameters("shadow", 9, 20000, 4);
    /* The old one is still in force, and the next good one follows it. */
    quote_all(ETH, 2050000);
    wait_mark(ETH, PL_MARK_LIVE, 2050000);
    wait_effective(1, 1);
    put_parameters("base", 4, 42000, 4);
    wait_effective(4, 4);
    wait_answer(service, "/metrics", "plimsoll_parameter_epoch 4");
    wait_answer(service, "/metrics", "plimsoll_records_rejected_total{topic=\"parameters\"} 3");
    quote_all(ETH, 2060000);
    wait_mark(ETH, PL_MARK_LIVE, 2060000);
}

/* A zombie's late append would be all that compaction leaves: the owner says it again, above. */
static void old_effective_set_is_put_right(void **state)
{
    (void)state;
    put_parameters("effective", 3, 40000, 4);
    wait_effective(5, 4);
}

static size_t count_effective(void)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t found = 0;
    const size_t count =
        kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    for (size_t i = 0; i < count; i++)
        found += strcmp((const char *)rows[i].key.data, "effective") == 0;
    kafka_admin_free(rows, count);
    return found;
}

/* A twin that lost its partition publishes what it made of an older base set, numbered high: nobody
 * takes it, and it does not stay the topic's last word. Another one uses a number for the second time.
 * Each is answered once. */
static void twins_are_answered_once(void **state)
{
    (void)state;
    other.base_epoch = 3;
    put_parameters("effective", 50, 43000, 4);
    other.base_epoch = 0;
    wait_answer(service, "/metrics", "plimsoll_records_rejected_total{topic=\"parameters\"} 4");
    wait_effective(51, 4);
    wait_answer(service, "/metrics", "plimsoll_parameter_epoch 51");
    other.base_epoch = 4;
    put_parameters("effective", 51, 44000, 4);
    other.base_epoch = 0;
    wait_effective(52, 4);
    wait_answer(service, "/metrics", "plimsoll_parameter_epoch 52");
    wait_answer(service, "/metrics", "plimsoll_parameter_base_epoch 4");
    const size_t count = count_effective();
    follow(5000, false);
    assert_int_equal(count_effective(), count);
}

/* The effective sets from `from` on, each checked by itself and against the one before; the newest into
 * *newest_set. Number of sets. */
static size_t read_effective(uint64_t from, struct pl_parameters *newest_set)
{
    char name[256];
    struct pl_record *rows = NULL;
    size_t found = 0;
    const size_t count =
        kafka_admin_read(pipeline_topic(&pipeline, PL_TOPIC_PARAMETERS, name), true, &rows);
    for (size_t i = 0; i < count; i++) {
        static struct pl_parameters set;
        if (strcmp((const char *)rows[i].key.data, "effective") != 0)
            continue;
        pl_wire_reset(pipeline.wire);
        if (pl_wire_parameters_decode(pipeline.wire, names, rows[i].value, &set) ||
            set.epoch < from)
            continue;
        if (found > 0)
            assert_int_equal(pl_parameters_follow(newest_set, &set, names), PL_OK);
        const struct pl_instrument *btc = &set.instruments[indexes[BTC]];
        const struct pl_haircut_move *move = &btc->haircut.moves[PL_TIER_MAINTENANCE];
        assert_true(btc->haircut.is_present);
        /* Never faster than announced: by 5 ppm a millisecond. */
        if (btc->haircut.target.at[PL_TIER_MAINTENANCE] >
            btc->haircut_long.at[PL_TIER_MAINTENANCE])
            assert_true(btc->haircut_long.at[PL_TIER_MAINTENANCE] <=
                        move->from_ppm + 5 * (rows[i].timestamp_ms - move->since_ms));
        *newest_set = set;
        found++;
    }
    kafka_admin_free(rows, count);
    return found;
}

static void wait_haircut(uint64_t from, int32_t initial, int32_t maintenance, int32_t target,
                         struct pl_parameters *set)
{
    const struct pl_instrument *btc = &set->instruments[indexes[BTC]];
    const int64_t deadline_ms = pl_mono_ms() + 4 * WAIT_MS;
    for (;;) {
        const bool is_found = read_effective(from, set) > 0;
        if (is_found && btc->haircut_long.at[PL_TIER_INITIAL] == initial &&
            btc->haircut_long.at[PL_TIER_MAINTENANCE] >= maintenance &&
            btc->haircut.target.at[PL_TIER_MAINTENANCE] == target)
            return;
        if (pl_mono_ms() > deadline_ms)
            fail_msg("haircut %d, %d to %d", btc->haircut_long.at[PL_TIER_INITIAL],
                     btc->haircut_long.at[PL_TIER_MAINTENANCE],
                     btc->haircut.target.at[PL_TIER_MAINTENANCE]);
        follow(100, false);
    }
}

/* A mark of BTC, which nobody quotes yet, with a volatility, as if another worker had published it. */
static void put_volatile_mark(uint32_t daily_ppm)
{
    struct pl_bytes_view value;
    const struct pl_mark mark = {
        .status = PL_MARK_LIVE, .tick = (uint64_t)pl_now_ms(), .mantissa = 3000000,
        .low_mantissa = 3000000, .high_mantissa = 3000000, .exponent = -4,
        .event_time_ms = pl_now_ms(), .source_count = 3, .volatility_fast_ppm = daily_ppm,
        .volatility_slow_ppm = daily_ppm / 2};
    pl_wire_reset(pipeline.wire);
    assert_int_equal(pl_wire_mark_encode(pipeline.wire, &names->ids[indexes[BTC]], &mark, &value),
                     PL_OK);
    put(PL_TOPIC_MARKS, 0, "BTC", value.data, value.size_bytes);
}

/*
 * Three times 5 % a day: 139,293 ppm, up to 140,000. The initial tier has it at once, maintenance rises
 * from the base's 30,000 in 22 seconds, over the death of the one who began it; then a lower cap counts
 * at once.
 */
static void haircuts_follow_volatility(void **state)
{
    (void)state;
    static struct pl_parameters set;
    const struct pl_instrument *btc = &set.instruments[indexes[BTC]];
    other.btc_cap_ppm = 500000;
    put_parameters("base", 60, 40000, 4);
    wait_haircut(60, 50000, 30000, 30000, &set);
    assert_int_equal(set.epoch, 60);
    put_volatile_mark(50000);
    wait_haircut(60, 140000, 40000, 140000, &set);
    assert_true(btc->haircut_long.at[PL_TIER_MAINTENANCE] < 140000);
    assert_int_equal(btc->haircut.base.at[PL_TIER_MAINTENANCE], 30000);
    assert_int_equal(btc->haircut.volatility_fast_ppm, 50000);
    const struct pl_haircut_move begun = btc->haircut.moves[PL_TIER_MAINTENANCE];
    assert_int_equal(btc->haircut.target_at_ms, begun.since_ms + 22000);
    wait_answer(service, "/metrics", "plimsoll_haircuts_moving 1");
    pipeline_end(service, SIGKILL);
    read_effective(60, &set);
    const int32_t reached = btc->haircut_long.at[PL_TIER_MAINTENANCE];
    assert_true(reached < 140000);
    service = start(0);
    wait_haircut(60, 140000, reached + 1, 140000, &set);
    if (btc->haircut_long.at[PL_TIER_MAINTENANCE] < 140000)
        assert_int_equal(btc->haircut.moves[PL_TIER_MAINTENANCE].since_ms, begun.since_ms);
    wait_haircut(60, 140000, 140000, 140000, &set);
    assert_int_equal(set.base_epoch, 60);
    wait_answer(service, "/metrics", "plimsoll_haircuts_moving 0");
    const uint64_t next = set.epoch + 1;
    other.btc_cap_ppm = 100000;
    put_parameters("base", (unsigned)next, 40000, 4);
    wait_haircut(next, 100000, 100000, 100000, &set);
    assert_int_equal(set.epoch, next);
    assert_int_equal(set.base_epoch, next);
    other.btc_cap_ppm = 0;
    put_parameters("base", (unsigned)next + 1, 40000, 4); /* without the model */
    wait_effective(next + 1, next + 1);
}

/* The service starts over with refused base sets, an old and a new effective set in the topic. */
static void restart_finds_its_parameters(void **state)
{
    (void)state;
    stop(service);
    service = start(0);
    wait_answer(service, "/metrics", "plimsoll_parameter_epoch 5");
    quote_all(ETH, 2070000);
    wait_mark(ETH, PL_MARK_LIVE, 2070000);
}

static bool has_partition(const struct process *process, int partition)
{
    char line[64];
    snprintf(line, sizeof line, "plimsoll_prices_lag_records{partition=\"%d\"}", partition);
    return strstr(pipeline_get(process, "/metrics"), line) != NULL;
}

static void two_instances_share(void **state)
{
    (void)state;
    struct process *second = start(1);
    const int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    while (has_partition(service, 0) == has_partition(second, 0) ||
           has_partition(service, 1) == has_partition(second, 1) ||
           has_partition(service, 0) == has_partition(service, 1)) {
        assert_true(pl_mono_ms() < deadline_ms);
        follow(200, false);
    }
    for (int i = 0; i < INSTRUMENT_COUNT; i++)
        quote_all(i, 3000000 + i);
    wait_mark(ETH, PL_MARK_LIVE, 3000000);
    wait_mark(LINK, PL_MARK_LIVE, 3000001);
    wait_mark(BTC, PL_MARK_LIVE, 3000003);
    /* One dies; the other takes over its instruments after the session's end. */
    pipeline_end(service, SIGKILL);
    const int64_t takeover_ms = pl_mono_ms();
    while (!(has_partition(second, 0) && has_partition(second, 1))) {
        assert_true(pl_mono_ms() - takeover_ms < 2 * WAIT_MS);
        follow(100, false);
    }
    print_message("takeover after kill -9: %lld ms\n", (long long)(pl_mono_ms() - takeover_ms));
    for (int i = 0; i < INSTRUMENT_COUNT; i++)
        quote_all(i, 3100000 + i);
    wait_mark(ETH, PL_MARK_LIVE, 3100000);
    wait_mark(LINK, PL_MARK_LIVE, 3100001);
    wait_mark(BTC, PL_MARK_LIVE, 3100003);
    service = second;
}

static int compare(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* From handing a price to a producer until its mark is read, and from the price's
 * acknowledgement. */
static void latency(void **state)
{
    (void)state;
    static int64_t whole_us[LATENCY_ROUNDS], acknowledged_us[LATENCY_ROUNDS];
    quote(SOLO, "a", 1000000);
    follow(AGE_MS + 1000, false); /* so that a jump of the lone source is not in question */
    for (int i = 0; i < 3; i++)
        quote(SOLO, "a", 1000000);
    wait_mark(SOLO, PL_MARK_LIVE, 1000000);
    for (int i = 0; i < LATENCY_ROUNDS; i++) {
        const int64_t begin_ns = pl_mono_ns();
        quote(SOLO, "a", 1000001 + i);
        const int64_t appended_ns = pl_mono_ns();
        while (mark_of(SOLO)->mantissa != 1000001 + i)
            assert_true(follow(WAIT_MS, true));
        whole_us[i] = (pl_mono_ns() - begin_ns) / 1000;
        acknowledged_us[i] = (pl_mono_ns() - appended_ns) / 1000;
        usleep(3000u + (unsigned)i % 7 * 1000);
    }
    qsort(whole_us, LATENCY_ROUNDS, sizeof whole_us[0], compare);
    qsort(acknowledged_us, LATENCY_ROUNDS, sizeof acknowledged_us[0], compare);
    print_message("price sent to mark read: p50 %lld us, p99 %lld us; "
                  "price acknowledged to mark read: p50 %lld us, p99 %lld us\n",
                  (long long)whole_us[LATENCY_ROUNDS / 2],
                  (long long)whole_us[LATENCY_ROUNDS * 99 / 100],
                  (long long)acknowledged_us[LATENCY_ROUNDS / 2],
                  (long long)acknowledged_us[LATENCY_ROUNDS * 99 / 100]);
    assert_true(whole_us[LATENCY_ROUNDS / 2] < 500000);
}

static uint32_t named(const char *name)
{
    struct pl_id id;
    uint32_t index = 0;
    assert_int_equal(pl_id_set(&id, name, strlen(name)), PL_OK);
    assert_int_equal(pl_names_intern(names, &id, &index), PL_OK);
    return index;
}

static void quote_option_inputs(int64_t solo_ticks, int64_t volatility_ticks)
{
    uint8_t bytes[256];
    const size_t size = encode_quote("VOL", "a", volatility_ticks, bytes);
    put(PL_TOPIC_PRICES, -1, "VOL", bytes, size);
    quote(SOLO, "a", solo_ticks);
    follow(200, false);
}

/* Black's value of the month's call in VU a lot, at 1.2 USD. */
static double month_call(double volatility)
{
    const double years = (double)(other.expiry_ms + INT64_C(2592000000) - pl_now_ms()) / 31536e6;
    const struct pl_black76 option = {PL_OPTION_CALL, 1.2, 1, volatility, years, 0};
    return pl_black76(&option).price * 1e8;
}

static bool encloses(const struct pl_mark *mark, int64_t ticks, double value)
{
    const struct pl_option_grid *grid = mark->grid;
    const struct pl_grid_place place = pl_grid_place(&grid->grid, ticks);
    return mark->status == PL_MARK_LIVE &&
           (double)pl_grid_interpolate(grid->low[0][place.node], grid->low[0][place.node + 1],
                                       place) <= value + 1 &&
           (double)pl_grid_interpolate(grid->high[0][place.node], grid->high[0][place.node + 1],
                                       place) >= value - 1;
}

/* An option's mark follows its volatility, and at expiry is what it pays: 0.2 USD, whatever then
 * happens, after a restart too. An average in which the restart falls has of both sides: 1.2 USD before,
 * 1.3 after. Quotes of an option are refused. */
static void options_are_marked(void **state)
{
    (void)state;
    const uint32_t month = named("MONTH"), soon = named("SOON"), mean = named("MEAN");
    int64_t deadline_ms = pl_mono_ms() + WAIT_MS;
    uint8_t bytes[256];
    other.expiry_ms = pl_now_ms() + 4000;
    put_parameters("base", 100000, 40000, 4);
    while (mark_counts[month] == 0 || mark_counts[soon] == 0) {
        assert_true(pl_mono_ms() < deadline_ms);
        quote_option_inputs(12000, 8000);
    }
    assert_true(encloses(&newest[month], 12000, month_call(0.8)));
    assert_false(pl_option_is_settled(newest[soon].grid));
    while (!encloses(&newest[month], 12000, month_call(0.9))) {
        assert_true(pl_mono_ms() < deadline_ms);
        quote_option_inputs(12000, 9000);
    }
    const size_t size = encode_quote("MONTH", "a", 2000, bytes);
    expect_dead_letter(PL_TOPIC_PRICES, put(PL_TOPIC_PRICES, -1, "MONTH", bytes, size),
                       "REJECT_UNKNOWN", "is an option");
    deadline_ms = pl_mono_ms() + WAIT_MS;
    while (!pl_option_is_settled(newest[soon].grid)) {
        assert_true(pl_mono_ms() < deadline_ms);
        quote_option_inputs(12000, 9000);
    }
    stop(service);
    service = start(0);
    for (const unsigned seen = mark_counts[soon]; mark_counts[soon] < seen + 2;) {
        assert_true(pl_mono_ms() < deadline_ms);
        quote_option_inputs(13000, 9000);
    }
    assert_int_equal(newest[soon].grid->low[PL_LAYER_UP][0], 20000000);
    assert_true(pl_option_is_settled(newest[soon].grid));
    while (!pl_option_is_settled(newest[mean].grid)) {
        assert_true(pl_mono_ms() < deadline_ms);
        quote_option_inputs(13000, 9000);
    }
    print_message("averaged: %lld\n", (long long)newest[mean].grid->low[0][0]);
    assert_in_range(newest[mean].grid->low[0][0], 20000001, 29999999);
}

static void without_a_broker_it_waits(void **state)
{
    (void)state;
    static const char *const nowhere[] = {"kafka.bootstrap.servers=127.0.0.1:9", NULL};
    struct process *lonely = pipeline_start(&pipeline, "price", 7, nowhere, NULL, NULL);
    const char *answer = wait_answer(lonely, "/readyz", "no Kafka broker can be reached");
    assert_non_null(strstr(answer, " 503 "));
    assert_non_null(strstr(pipeline_get(lonely, "/livez"), " 200 "));
    stop(lonely);
}

static void wrong_configuration_ends_it(void **state)
{
    (void)state;
    static const char *const wrong[] = {"price.restate=1000", NULL};
    static const char *const missing[] = {"topic.prices=no-such-topic", NULL};
    struct process *process = pipeline_start(&pipeline, "price", 8, wrong, NULL, NULL);
    int status = 0;
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    assert_int_equal(WEXITSTATUS(status), 2);
    process->pid = 0;
    process = pipeline_start(&pipeline, "price", 8, missing, NULL, NULL);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    assert_int_equal(WEXITSTATUS(status), 2);
    process->pid = 0;
}

static void last_stop(void **state)
{
    (void)state;
    stop(service);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int open_world(void **state)
{
    (void)state;
    static struct pl_kafka_settings settings;
    static char topic_names[PL_TOPIC_COUNT][256];
    if (!pipeline_open(&pipeline, "price", 1))
        exit(77);
    settings = (struct pl_kafka_settings){.brokers = pipeline.brokers, .client_id = "test",
                                          .group_id = "test"};
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++)
        settings.topic_names[i] = pipeline_topic(&pipeline, (enum pl_topic)i, topic_names[i]);
    names = calloc(1, sizeof *names);
    pl_names_init(names);
    for (int i = 0; i < INSTRUMENT_COUNT; i++) {
        struct pl_id id;
        assert_int_equal(pl_id_set(&id, instruments[i], strlen(instruments[i])), PL_OK);
        assert_int_equal(pl_names_intern(names, &id, &indexes[i]), PL_OK);
    }
    assert_int_equal(pl_reader_open(&marks_reader, &settings, false), PL_OK);
    assert_int_equal(pl_reader_add(marks_reader, PL_TOPIC_MARKS, 0, 0), PL_OK);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    pl_reader_close(&marks_reader);
    pipeline_close(&pipeline);
    free(names);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_make_it_ready),
        cmocka_unit_test(marks_follow_quotes),
        cmocka_unit_test(marks_are_restated_and_age),
        cmocka_unit_test(restart_goes_on_above),
        cmocka_unit_test(bad_records_go_to_dead_letter),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(old_effective_set_is_put_right),
        cmocka_unit_test(restart_finds_its_parameters),
        cmocka_unit_test(twins_are_answered_once),
        cmocka_unit_test(haircuts_follow_volatility),
        cmocka_unit_test(two_instances_share),
        cmocka_unit_test(latency),
        cmocka_unit_test(options_are_marked),
        cmocka_unit_test(without_a_broker_it_waits),
        cmocka_unit_test(wrong_configuration_ends_it),
        cmocka_unit_test(last_stop),
    };
    return cmocka_run_group_tests_name("price", tests, open_world, close_world);
}
