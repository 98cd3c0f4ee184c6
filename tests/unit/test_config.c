/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one walk over every row of the common table, then sources and precedence, what is
 * refused and how it says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/num.h"
#include "lib/service/config_row.h"
#include "lib/service/settings.h"

/* A service's own table beside the common one. */
struct own_settings {
    int64_t wide;
    bool is_on;
};
static const struct pl_config_row own_rows[] = {
    {"own.wide", PL_CONFIG_INT, PL_CONFIG_FIELD(struct own_settings, wide), "5000000000", -1,
     INT64_MAX, "A wide number; change it in tests.", NULL},
    {"own.is_on", PL_CONFIG_BOOL, PL_CONFIG_FIELD(struct own_settings, is_on), "yes", 0, 0,
     "A switch; change it in tests.", NULL},
};

static struct pl_config config;
static struct pl_settings settings;
static struct own_settings own;

static void init(void)
{
    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX] = {
        pl_settings_table(&settings), {own_rows, 2, &own}};
    pl_config_init(&config, "plimsoll-test", "a test", tables);
}

static int setup(void **state)
{
    (void)state;
    init();
    return 0;
}

static enum pl_err parse(const char *text)
{
    return pl_config_parse(&config, text, strlen(text));
}

static void assert_text_has(const char *piece)
{
    if (!strstr(pl_err_text(), piece))
        fail_msg("\"%s\" does not say \"%s\"", pl_err_text(), piece);
}

static void assert_refused(enum pl_err err, const char *piece)
{
    assert_int_equal(err, PL_FATAL_CONFIG);
    assert_text_has(piece);
}

/* ---- the walk ----------------------------------------------------------------------------------- */

static void assert_value(unsigned index, const char *expected)
{
    char text[PL_CONFIG_VALUE_BYTES_MAX];
    void *field = NULL;
    const struct pl_config_row *row = config_row_at(&config, index, &field);
    config_value_print(row, field, text);
    assert_string_equal(text, expected);
}

static void assert_set_and_get(unsigned index, const char *value)
{
    const struct pl_config_row *row = config_row_at(&config, index, NULL);
    assert_int_equal(pl_config_set(&config, row->name, value, PL_CONFIG_FLAG, 0), PL_OK);
    assert_value(index, value);
}

static void assert_set_refused(unsigned index, const char *value)
{
    char before[PL_CONFIG_VALUE_BYTES_MAX];
    void *field = NULL;
    const struct pl_config_row *row = config_row_at(&config, index, &field);
    config_value_print(row, field, before);
    assert_refused(pl_config_set(&config, row->name, value, PL_CONFIG_FLAG, 0), row->name);
    assert_value(index, before);
}

static void walk_int(unsigned index, const struct pl_config_row *row)
{
    char text[48];
    pl_i128_print(row->min, text);
    assert_set_and_get(index, text);
    pl_i128_print(row->max, text);
    assert_set_and_get(index, text);
    pl_i128_print((pl_i128)row->min - 1, text);
    assert_set_refused(index, text);
    assert_text_has("..");
    pl_i128_print((pl_i128)row->max + 1, text);
    assert_set_refused(index, text);
    assert_set_refused(index, "");
    assert_set_refused(index, "1x");
    assert_true(row->size_bytes == 8 || (row->min >= INT32_MIN && row->max <= INT32_MAX));
}

static void walk_text(unsigned index, const struct pl_config_row *row)
{
    char text[PL_CONFIG_VALUE_BYTES_MAX] = "";
    assert_true(row->max < (int64_t)row->size_bytes && row->max < PL_CONFIG_VALUE_BYTES_MAX - 1);
    memset(text, 'x', (size_t)row->max + 1);
    assert_set_refused(index, text);
    text[row->max] = '\0';
    assert_set_and_get(index, text);
    text[row->min] = '\0';
    assert_set_and_get(index, text);
    if (row->min > 0)
        assert_set_refused(index, "");
    assert_set_refused(index, "a\nb");
}

static void walk_choice(unsigned index, const struct pl_config_row *row)
{
    char words[256];
    (void)snprintf(words, sizeof words, "%s", row->choices);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        assert_set_and_get(index, word);
    assert_set_refused(index, "none of them");
    assert_set_refused(index, "");
}

static void test_every_row(void **state)
{
    (void)state;
    const struct pl_config_row *row;
    for (unsigned i = 0; (row = config_row_at(&config, i, NULL)); i++) {
        const struct pl_config_row *other;
        for (unsigned j = 0; j < i && (other = config_row_at(&config, j, NULL)); j++)
            assert_string_not_equal(row->name, other->name);
        /* Its help says when one changes it. */
        assert_true(strchr(row->help, ';') || strchr(row->help, ':'));
        assert_true(strlen(row->name) < PL_CONFIG_KEY_BYTES_MAX - 16);
        if (row->type != PL_CONFIG_SECRET) {
            assert_value(i, row->fallback ? row->fallback : "plimsoll-test");
            assert_set_and_get(i, row->fallback ? row->fallback : "plimsoll-test");
        }
        switch (row->type) {
        case PL_CONFIG_INT:
            walk_int(i, row);
            break;
        case PL_CONFIG_BOOL:
            assert_set_and_get(i, "yes");
            assert_set_and_get(i, "no");
            assert_set_refused(i, "maybe");
            assert_set_refused(i, "");
            break;
        case PL_CONFIG_TEXT:
            walk_text(i, row);
            break;
        case PL_CONFIG_CHOICE:
            walk_choice(i, row);
            break;
        case PL_CONFIG_SECRET:
            assert_set_refused(i, "in clear");
            break;
        }
    }
}

static void test_topics_are_those_of_the_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PL_TOPIC_COUNT; i++) {
        char key[64];
        enum pl_topic topic = (enum pl_topic)i;
        assert_string_equal(settings.topic_names[i], pl_topic_default_name(topic));
        (void)snprintf(key, sizeof key, "topic.%s", pl_topic_word(topic));
        assert_int_equal(pl_config_set(&config, key, key, PL_CONFIG_FLAG, 0), PL_OK);
        assert_string_equal(settings.topic_names[i], key);
    }
}

/* ---- sources ------------------------------------------------------------------------------------ */

static void test_precedence(void **state)
{
    (void)state;
    static const char *const environment[] = {"HOME=/", "PLIMSOLL_HTTP_PORT=3",
                                              "PLIMSOLL_OWN_WIDE=30", "PLIMSOLL_SEED=1", NULL};
    assert_int_equal(pl_config_set(&config, "http.port", "4", PL_CONFIG_FLAG, 0), PL_OK);
    assert_int_equal(pl_config_environment(&config, environment), PL_OK);
    assert_int_equal(parse("http.port = 2\nown.wide = 20\nlog.level = warn"), PL_OK);
    assert_int_equal(settings.http_port, 4);
    assert_int_equal(own.wide, 30);
    assert_int_equal(settings.log_level, PL_LOG_WARN);
    assert_int_equal(settings.redis_port, 6379);
    /* A wrong value is wrong even where it is shadowed. */
    assert_refused(parse("own.wide = x"), "configuration:1: own.wide");
}

static void test_file_syntax(void **state)
{
    (void)state;
    assert_int_equal(parse("\n  # a comment = 1\r\n\t http.port\t=  7 \r\n"
                           "kafka.group.id=a = b # c\nown.is_on = false"), PL_OK);
    assert_int_equal(settings.http_port, 7);
    assert_string_equal(settings.group_id, "a = b # c");
    assert_false(own.is_on);
    assert_refused(parse("\n\nhttp.port"), "configuration:3: this is not key = value");
    assert_refused(parse("= 1"), "configuration:1: the key has no text");
    init();
    assert_refused(parse("http.port = 1\nhttp.port = 1"),
                   "configuration:2: http.port was given in line 1 already");
    init();
    assert_refused(parse("kafka.linger.ms = 1\n#\nkafka.linger.ms = 1"), "given in line 1");
    init();
    assert_refused(pl_config_parse(&config, "log.level = \0info", 17), "NUL");
    assert_refused(pl_config_read(&config, "/nonexistent/file"), "/nonexistent/file");
}

static void test_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    static const struct { const char *line, *nearest; } rows[] = {
        {"htpp.port = 1", "nearest is http.port"},
        {"topic.price = x", "nearest is topic.prices"},
        {"redis.timeout = 1", "nearest is redis.timeout_ms"},
        {"loglevel = 1", "nearest is log.level"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_refused(parse(rows[i].line), rows[i].nearest);
        assert_text_has("configuration:1");
    }
    static const char *const environment[] = {"PLIMSOLL_HTTP_PROT=1", NULL};
    assert_refused(pl_config_environment(&config, environment),
                   "environment PLIMSOLL_HTTP_PROT: there is no key http.prot, the nearest is "
                   "http.port");
}

static void test_kafka_keys_pass(void **state)
{
    (void)state;
    static const char *const environment[] = {
        "PLIMSOLL_KAFKA_LINGER_MS=5", "PLIMSOLL_KAFKA_CONSUMER_A__B___C=x",
        "PLIMSOLL_KAFKA_BOOTSTRAP_SERVERS=b:1", NULL};
    assert_int_equal(parse("kafka.linger.ms = 1\nkafka.producer.acks = 1"), PL_OK);
    assert_int_equal(pl_config_environment(&config, environment), PL_OK);
    assert_int_equal(pl_config_set(&config, "kafka.debug", "all", PL_CONFIG_FLAG, 0), PL_OK);
    assert_int_equal(parse("kafka.debug = none"), PL_OK); /* weaker, though later */
    assert_string_equal(settings.brokers, "b:1");
    struct pl_kafka_settings kafka;
    pl_settings_kafka(&settings, &config, &kafka);
    static const struct { const char *name, *value; } expected[] = {
        {"linger.ms", "5"}, {"producer.acks", "1"}, {"consumer.a_b-c", "x"}, {"debug", "all"}};
    assert_int_equal(kafka.override_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(kafka.overrides[i].name, expected[i].name);
        assert_string_equal(kafka.overrides[i].value, expected[i].value);
    }
    assert_string_equal(kafka.group_id, "plimsoll-test");
    assert_string_equal(kafka.topic_names[PL_TOPIC_MARKS], "plimsoll.marks.v1");
    for (unsigned i = 4; i < PL_CONFIG_OVERRIDES_MAX; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "kafka.k%u", i);
        assert_int_equal(pl_config_set(&config, key, "", PL_CONFIG_FLAG, 0), PL_OK);
    }
    assert_refused(pl_config_set(&config, "kafka.more", "", PL_CONFIG_FLAG, 0), "one too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_row, setup),
        cmocka_unit_test_setup(test_topics_are_those_of_the_table, setup),
        cmocka_unit_test_setup(test_precedence, setup),
        cmocka_unit_test_setup(test_file_syntax, setup),
        cmocka_unit_test_setup(test_unknown_key_names_the_nearest, setup),
        cmocka_unit_test_setup(test_kafka_keys_pass, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
