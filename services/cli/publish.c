/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll publish: puts records into the topics.
 *
 *   plimsoll publish FILE             newline-delimited JSON, as plimsoll evaluate reads it
 *   plimsoll publish --prices CSV     ts_ms,asset,price,… as quotes of one or more sources
 *
 * Prices are paced: --speed 60 plays an hour in a minute, 0 as fast as the broker takes them. Their
 * event times are moved to the present, since a mark is judged by its age.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/service/process.h"
#include "services/cli/cli.h"

enum { ASSETS_MAX = 256, SOURCES_MAX = 8, PRICE_DECIMALS_MAX = 12 };

struct publisher {
    struct cli_kafka kafka;
    struct pl_producer *producer;
    const char *prices, *sources[SOURCES_MAX], *suffix;
    unsigned source_count;
    double speed;
    int64_t from_ms, to_ms;
    uint64_t published;
    /* The newest price of each asset, restated while nothing new comes. */
    unsigned asset_count;
    struct { char asset[PL_ID_BYTES_MAX + 1]; int64_t mantissa; int exponent; } assets[ASSETS_MAX];
};

static enum pl_err send(struct publisher *publisher, enum pl_topic topic, const char *key,
                        const json_t *value)
{
    uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    unsigned failed = 0;
    enum pl_err err = pl_json_encode(topic, value, &bytes, &size_bytes);
    const struct pl_bytes_view key_view = { (const uint8_t *)key, key ? strlen(key) : 0 };
    const struct pl_bytes_view value_view = { bytes, size_bytes };
    while (!err && (err = pl_producer_send(publisher->producer, topic, -1, key_view, value_view,
                                           NULL, 0)) == PL_RETRY_QUEUE_FULL)
        err = pl_producer_poll(publisher->producer, &failed);
    free(bytes);
    if (!err)
        err = pl_producer_poll(publisher->producer, &failed);
    if (!err && failed)
        err = pl_err_set(PL_RETRY_TRANSPORT, "%u records were not taken by the broker", failed);
    publisher->published += !err;
    return err;
}

/* ---- JSON lines ----------------------------------------------------------------------------- */

static const char *key_of(enum pl_topic topic, const json_t *line, const json_t *value)
{
    const char *key = json_string_value(json_object_get(line, "key"));
    bool is_price = topic == PL_TOPIC_PRICES || topic == PL_TOPIC_MARKS;
    const char *field = is_price ? "instrument" : topic == PL_TOPIC_CHAINS ? "chain" : "account";
    return key ? key : json_string_value(json_object_get(value, field));
}

static enum pl_err publish_line(struct publisher *publisher, const char *text)
{
    json_error_t error;
    enum pl_topic topic = PL_TOPIC_COUNT;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!line)
        return pl_err_set(PL_REJECT_MALFORMED, "column %d: %s", error.column, error.text);
    const char *word = json_string_value(json_object_get(line, "topic"));
    const json_t *value = json_object_get(line, "value");
    enum pl_err err = PL_OK;
    if (!word || !value || !pl_topic_from_word(word, &topic))
        err = pl_err_set(PL_REJECT_MISSING, "a line is an object with a known \"topic\" and a "
                         "\"value\"");
    else
        err = send(publisher, topic, key_of(topic, line, value), value);
    json_decref(line);
    return err;
}

static enum pl_err publish_file(struct publisher *publisher, FILE *file, const char *name)
{
    char *line = NULL;
    size_t capacity = 0;
    enum pl_err err = PL_OK;
    for (unsigned number = 1; !err && getline(&line, &capacity, file) > 0; number++) {
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        err = publish_line(publisher, line);
        if (err)
            err = pl_err_note(err, "%s:%u", name, number);
    }
    free(line);
    return err;
}

/* ---- prices --------------------------------------------------------------------------------- */

/* "0.0456" as 456 * 10^-4: exact, never through a double. */
static enum pl_err parse_price(const char *text, int64_t *mantissa, int *exponent)
{
    pl_i128 value = 0;
    int decimals = 0;
    bool has_point = false, has_digit = false;
    for (const char *at = text; *at; at++) {
        if (*at == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (*at < '0' || *at > '9')
            return pl_err_set(PL_REJECT_MALFORMED, "price \"%s\" is not a plain decimal", text);
        if (decimals == PRICE_DECIMALS_MAX)
            continue; /* beyond what any instrument counts in ticks */
        value = value * 10 + (*at - '0');
        decimals += has_point;
        has_digit = true;
        if (value > INT64_MAX)
            return pl_err_set(PL_REJECT_RANGE, "price \"%s\" is too large", text);
    }
    *mantissa = (int64_t)value;
    *exponent = -decimals;
    return has_digit ? PL_OK : pl_err_set(PL_REJECT_MALFORMED, "no price");
}

static enum pl_err quote(struct publisher *publisher, const char *asset, int64_t mantissa,
                         int exponent)
{
    char instrument[PL_ID_BYTES_MAX + 1];
    int64_t now_ms = pl_now_ms();
    enum pl_err err = PL_OK;
    snprintf(instrument, sizeof(instrument), "%s%s", asset, publisher->suffix);
    for (unsigned i = 0; !err && i < publisher->source_count; i++) {
        /* Nanoseconds grow by themselves, also over a restart of this command. */
        struct timespec time;
        clock_gettime(CLOCK_REALTIME, &time);
        json_int_t sequence = (json_int_t)time.tv_sec * 1000000000 + time.tv_nsec;
        json_t *json = json_pack("{s:s, s:s, s:{s:I, s:i}, s:I, s:I}", "instrument", instrument,
                                 "source", publisher->sources[i], "price", "mantissa",
                                 (json_int_t)mantissa, "exponent", exponent, "event_time_ms",
                                 (json_int_t)now_ms, "source_sequence", sequence);
        err = send(publisher, PL_TOPIC_PRICES, instrument, json);
        json_decref(json);
    }
    return err;
}

static enum pl_err note_price(struct publisher *publisher, const char *asset, int64_t mantissa,
                              int exponent)
{
    unsigned at = 0;
    while (at < publisher->asset_count && strcmp(publisher->assets[at].asset, asset) != 0)
        at++;
    if (at == ASSETS_MAX)
        return pl_err_set(PL_REJECT_SIZE, "more than %d assets", ASSETS_MAX);
    if (at == publisher->asset_count)
        publisher->asset_count++;
    snprintf(publisher->assets[at].asset, sizeof(publisher->assets[at].asset), "%s", asset);
    publisher->assets[at].mantissa = mantissa;
    publisher->assets[at].exponent = exponent;
    return PL_OK;
}

/* Feeds repeat themselves: a price that did not change is as true as one that did. */
static enum pl_err restate(struct publisher *publisher)
{
    enum pl_err err = PL_OK;
    for (unsigned i = 0; !err && i < publisher->asset_count; i++)
        err = quote(publisher, publisher->assets[i].asset, publisher->assets[i].mantissa,
                    publisher->assets[i].exponent);
    return err;
}

static void sleep_ms(int64_t ms)
{
    const struct timespec time = { ms / 1000, (ms % 1000) * 1000000 };
    nanosleep(&time, NULL);
}

/* Waits until `elapsed_ms` of the file's time have been played, restating once a second. */
static enum pl_err keep_pace(struct publisher *publisher, int64_t begin_mono_ms, int64_t elapsed_ms,
                             int64_t *restated_mono_ms)
{
    enum pl_err err = PL_OK;
    if (publisher->speed <= 0)
        return PL_OK;
    int64_t due_ms = begin_mono_ms + (int64_t)((double)elapsed_ms / publisher->speed);
    while (!err && !pl_process_should_stop() && pl_mono_ms() < due_ms) {
        int64_t left_ms = due_ms - pl_mono_ms();
        sleep_ms(left_ms < 50 ? left_ms : 50);
        if (pl_mono_ms() - *restated_mono_ms < 1000)
            continue;
        *restated_mono_ms = pl_mono_ms();
        err = restate(publisher);
    }
    return err;
}

static enum pl_err publish_prices(struct publisher *publisher, FILE *file, const char *name)
{
    char *line = NULL;
    size_t capacity = 0;
    int64_t first_ms = -1, begin_mono_ms = pl_mono_ms(), restated_mono_ms = begin_mono_ms;
    enum pl_err err = PL_OK;
    for (unsigned number = 1; !err && getline(&line, &capacity, file) > 0; number++) {
        char *rest = line, *end = NULL;
        const char *time = strsep(&rest, ","), *asset = strsep(&rest, ","),
                   *price = rest ? strsep(&rest, ",\r\n") : NULL;
        int64_t mantissa = 0, time_ms = strtoll(time, &end, 10);
        int exponent = 0;
        if (number == 1 && (end == time || *end))
            continue; /* the header */
        if (!asset || !price || *end)
            err = pl_err_set(PL_REJECT_MALFORMED, "expected ts_ms,asset,price");
        if (!err)
            err = parse_price(price, &mantissa, &exponent);
        if (err)
            err = pl_err_note(err, "%s:%u", name, number);
        if (err || time_ms < publisher->from_ms || time_ms > publisher->to_ms)
            continue;
        if (first_ms < 0)
            first_ms = time_ms;
        err = keep_pace(publisher, begin_mono_ms, time_ms - first_ms, &restated_mono_ms);
        if (!err)
            err = note_price(publisher, asset, mantissa, exponent);
        if (!err)
            err = quote(publisher, asset, mantissa, exponent);
        if (pl_process_should_stop())
            break;
    }
    free(line);
    return err;
}

/* ---- the command ---------------------------------------------------------------------------- */

static const char USAGE[] =
    "usage: plimsoll publish [OPTIONS] FILE\n"
    "       plimsoll publish --prices CSV [--speed X] [OPTIONS]\n"
    "  --prices CSV          ts_ms,asset,price,… with or without a header\n"
    "  --speed X             times as fast as in the file (default 1; 0: at once)\n"
    "  --source NAME         quote as this source; may be given up to 8 times (default: feed)\n"
    "  --suffix TEXT         put after each asset to name its instrument\n"
    "  --from MS, --to MS    play only this part of the file\n" CLI_KAFKA_USAGE;

static bool parse(int argc, char **argv, struct publisher *publisher)
{
    static const struct option options[] = {
        { "prices", required_argument, NULL, 'p' }, { "speed", required_argument, NULL, 's' },
        { "source", required_argument, NULL, 'o' }, { "suffix", required_argument, NULL, 'u' },
        { "from", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' },
        CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        switch (option) {
        case 'p': publisher->prices = optarg; break;
        case 's': publisher->speed = strtod(optarg, NULL); break;
        case 'u': publisher->suffix = optarg; break;
        case 'f': publisher->from_ms = strtoll(optarg, NULL, 10); break;
        case 't': publisher->to_ms = strtoll(optarg, NULL, 10); break;
        case 'o':
            if (publisher->source_count == SOURCES_MAX)
                return false;
            publisher->sources[publisher->source_count++] = optarg;
            break;
        default:
            if (!cli_kafka_option(&publisher->kafka, option, optarg))
                return false;
        }
    }
    if (publisher->source_count == 0)
        publisher->sources[publisher->source_count++] = "feed";
    return optind + (publisher->prices ? 0 : 1) == argc;
}

int cli_publish(int argc, char **argv)
{
    static struct publisher publisher = { .speed = 1, .suffix = "", .to_ms = INT64_MAX };
    cli_kafka_init(&publisher.kafka, "plimsoll-cli");
    if (!parse(argc, argv, &publisher)) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    const char *name = publisher.prices ? publisher.prices : argv[optind];
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (!file) {
        fprintf(stderr, "plimsoll publish: %s: %s\n", name, strerror(errno));
        return CLI_USAGE;
    }
    enum pl_err err = pl_process_init(false);
    if (!err)
        err = pl_producer_open(&publisher.producer, &publisher.kafka.settings);
    if (!err)
        err = publisher.prices ? publish_prices(&publisher, file, name)
                               : publish_file(&publisher, file, name);
    enum pl_err flushed = publisher.producer ? pl_producer_flush(publisher.producer, 30000) : PL_OK;
    if (err || flushed)
        return cli_fail(err ? err : flushed, "publish");
    pl_producer_close(&publisher.producer);
    fprintf(stderr, "plimsoll publish: %llu records\n", (unsigned long long)publisher.published);
    return CLI_OK;
}
