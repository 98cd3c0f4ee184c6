/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration's face to people: secrets that are not shown, printing that parses back, flags.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

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

static struct pl_config config, again;
static struct pl_settings settings, settings_again;
static struct own_settings own, own_again;

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

/* ---- secrets ------------------------------------------------------------------------------------ */

static const char SECRET[] = "hunter-2";

static void write_secret(char path[64], mode_t mode)
{
    (void)snprintf(path, 64, "/tmp/plimsoll-secret-XXXXXX");
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "hunter-2\n", 9), 9);
    assert_int_equal(fchmod(descriptor, mode), 0);
    assert_int_equal(close(descriptor), 0);
}

static void test_secrets_come_from_private_files(void **state)
{
    (void)state;
    static const char *const keys[] = {"redis.password", "kafka.sasl.password",
                                       "kafka.producer.ssl.key.password"};
    char path[64];
    char key[80];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_refused(pl_config_set(&config, keys[i], SECRET, PL_CONFIG_FLAG, 0), "is a secret");
        assert_null(strstr(pl_err_text(), SECRET));
        (void)snprintf(key, sizeof key, "%s.file", keys[i]);
        write_secret(path, 0644);
        assert_refused(pl_config_set(&config, key, path, PL_CONFIG_FLAG, 0), "read by others");
        assert_int_equal(chmod(path, 0640), 0);
        assert_refused(pl_config_set(&config, key, path, PL_CONFIG_FLAG, 0), "mode 640");
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(pl_config_set(&config, key, path, PL_CONFIG_FLAG, 0), PL_OK);
        assert_int_equal(truncate(path, 0), 0);
        assert_refused(pl_config_set(&config, key, path, PL_CONFIG_FLAG, 0), "has 0 bytes");
        assert_int_equal(unlink(path), 0);
        assert_refused(pl_config_set(&config, key, path, PL_CONFIG_FLAG, 0), "cannot open");
    }
    assert_string_equal(settings.redis_password, SECRET);
    assert_string_equal(config.overrides[0].name, "sasl.password");
    assert_string_equal(config.overrides[0].value, SECRET);
    assert_refused(pl_config_set(&config, "log.level.file", path, PL_CONFIG_FLAG, 0), "no key");
    assert_refused(pl_config_set(&config, "redis.password.file", "/tmp", PL_CONFIG_FLAG, 0),
                   "no regular file");
}

static void test_secret_by_environment(void **state)
{
    (void)state;
    char path[64];
    char row[128];
    char kafka[128];
    write_secret(path, 0400);
    (void)snprintf(row, sizeof row, "PLIMSOLL_REDIS_PASSWORD_FILE=%s", path);
    (void)snprintf(kafka, sizeof kafka, "PLIMSOLL_KAFKA_SASL_PASSWORD_FILE=%s", path);
    const char *const environment[] = {row, kafka, NULL};
    assert_int_equal(pl_config_environment(&config, environment), PL_OK);
    assert_string_equal(settings.redis_password, SECRET);
    assert_string_equal(config.overrides[0].value, SECRET);
    assert_int_equal(unlink(path), 0);
}

/* ---- printing ----------------------------------------------------------------------------------- */

static char *printed(void (*print)(const struct pl_config *, FILE *))
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    assert_non_null(out);
    print(&config, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_print_parses_back(void **state)
{
    (void)state;
    assert_int_equal(parse("http.port = 8\nkafka.linger.ms = 3\nown.wide = -1\nredis.host = r"),
                     PL_OK);
    char *text = printed(pl_config_print);
    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX] = {
        pl_settings_table(&settings_again), {own_rows, 2, &own_again}};
    pl_config_init(&again, "plimsoll-test", "a test", tables);
    assert_int_equal(pl_config_parse(&again, text, strlen(text)), PL_OK);
    assert_memory_equal(&settings_again, &settings, sizeof settings);
    assert_int_equal(own_again.wide, -1);
    assert_int_equal(again.override_count, 1);
    assert_non_null(strstr(text, "0..65535; from: :1)\nhttp.port = 8\n"));
    assert_non_null(strstr(text, "from: default)\nlog.level = info\n"));
    free(text);
}

static void test_print_shows_no_secret(void **state)
{
    (void)state;
    char path[64];
    write_secret(path, 0600);
    assert_int_equal(pl_config_set(&config, "redis.password.file", path, PL_CONFIG_FLAG, 0), PL_OK);
    assert_int_equal(pl_config_set(&config, "kafka.ssl.key.password.file", path, PL_CONFIG_FLAG, 0),
                     PL_OK);
    char *text = printed(pl_config_print);
    assert_null(strstr(text, SECRET));
    assert_non_null(strstr(text, "# redis.password = (secret)\n"));
    assert_non_null(strstr(text, "# kafka.ssl.key.password = (secret)\n"));
    free(text);
    text = printed(pl_config_print_markdown);
    assert_null(strstr(text, SECRET));
    assert_non_null(strstr(text, "\n| `own.wide` | -1..9223372036854775807 | `5000000000` | A wide"));
    assert_non_null(strstr(text, "\n| `kafka.group.id` | text, 1..128 bytes | `plimsoll-test` | "));
    free(text);
    assert_int_equal(unlink(path), 0);
}

/* ---- flags -------------------------------------------------------------------------------------- */

static enum pl_err load(enum pl_config_request *request, char *a, char *b, char *c)
{
    char *argv[] = {(char *)"plimsoll-test", a, b, c, NULL};
    int argc = 1;
    while (argv[argc])
        argc++;
    init();
    return pl_config_load(&config, argc, argv, request);
}

static void test_flags(void **state)
{
    (void)state;
    enum pl_config_request request;
    assert_int_equal(load(&request, (char *)"-Xhttp.port=5", (char *)"-X", (char *)"own.wide=6"),
                     PL_OK);
    assert_int_equal(request, PL_CONFIG_RUN);
    assert_int_equal(settings.http_port, 5);
    assert_int_equal(own.wide, 6);
    assert_int_equal(load(&request, (char *)"--print-metrics", NULL, NULL), PL_OK);
    assert_int_equal(request, PL_CONFIG_PRINT_METRICS);
    assert_refused(load(&request, (char *)"-X", (char *)"http.port", NULL), "not key=value");
    assert_refused(load(&request, (char *)"-X", (char *)"http.prt=1", NULL),
                   "-X http.prt: there is no key");
    assert_refused(load(&request, (char *)"-X", NULL, NULL), "argument is missing");
    assert_refused(load(&request, (char *)"--verbose", NULL, NULL), "--verbose: there is no such");
    assert_refused(load(&request, (char *)"serve", NULL, NULL), "serve: no argument");
    assert_refused(load(&request, (char *)"--print-config=xml", NULL, NULL), "markdown");
    assert_refused(load(&request, (char *)"-c", (char *)"/nonexistent", NULL), "/nonexistent");
}

static void test_file_by_flag(void **state)
{
    (void)state;
    enum pl_config_request request;
    char path[] = "/tmp/plimsoll-config-XXXXXX";
    char expected[64];
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "http.port = 6\nlog.levl = info\n", 30), 30);
    assert_int_equal(close(descriptor), 0);
    (void)snprintf(expected, sizeof expected, "%s:2: there is no key log.levl", path);
    assert_refused(load(&request, (char *)"-c", path, NULL), expected);
    assert_int_equal(truncate(path, 14), 0);
    assert_int_equal(load(&request, (char *)"-c", path, NULL), PL_OK);
    assert_int_equal(settings.http_port, 6);
    assert_int_equal(load(&request, (char *)"-c", path, (char *)"-Xhttp.port=9"), PL_OK);
    assert_int_equal(settings.http_port, 9);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_secrets_come_from_private_files, setup),
        cmocka_unit_test_setup(test_secret_by_environment, setup),
        cmocka_unit_test_setup(test_print_parses_back, setup),
        cmocka_unit_test_setup(test_print_shows_no_secret, setup),
        cmocka_unit_test_setup(test_flags, setup),
        cmocka_unit_test_setup(test_file_by_flag, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
