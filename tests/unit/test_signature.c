/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from files that another tool wrote, each way a file can be wrong, and signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/wire/signature.h"
#include "tests/support/wire.h"

/* All by the openssl command; the first pair is that of RFC 8032's first test. */
static const char PRIVATE[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char PUBLIC[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";
/* The password is "x". */
static const char ENCRYPTED[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjqZK9AJRNz9QICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECoZSU3IyrEKd1O0TyU08f0EQCrS\n"
    "cUQVw5Fjbi4XDmSS0PK5Ct9yoZ+kBGJAjFeBN/AAd8lPClNBp8snpM5V7v3AkTM2\n"
    "JfsIzeG8eQFDTvhYJrM=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char X25519[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEIIB0QQekMo4gsrJeLSOlmLQDe2UVzVQUfcPbgdo3wq5I\n"
    "-----END PRIVATE KEY-----\n";
static const char ED448_PUBLIC[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MEMwBQYDK2VxAzoANPg3MmUG19NEqUHYFgFdBAmkzDLnu7l5dyOdfeUScEUrIjPB\n"
    "wDSQ94SEBKOv3pNt4oAD2eJ398QA\n"
    "-----END PUBLIC KEY-----\n";

/* A file of this content and mode, until the next call. */
static const char *file_of(const char *content, size_t size_bytes, mode_t mode)
{
    static char path[] = "/tmp/plimsoll-key-XXXXXX";
    static bool is_made;
    if (is_made)
        unlink(path);
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    int file = mkstemp(path);
    assert_true(file >= 0);
    is_made = true;
    assert_int_equal(write(file, content, size_bytes), size_bytes);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
    return path;
}

static const char *pem(const char *content)
{
    return file_of(content, strlen(content), 0400);
}

static struct pl_key *open_private(void)
{
    struct pl_key *key = NULL;
    assert_int_equal(pl_key_open_private(&key, pem(PRIVATE)), PL_OK);
    assert_non_null(key);
    return key;
}

static struct pl_key *open_public(void)
{
    struct pl_key *key = NULL;
    assert_int_equal(pl_key_open_public(&key, file_of(PUBLIC, strlen(PUBLIC), 0644)), PL_OK);
    assert_non_null(key);
    return key;
}

static void a_signature_is_what_another_tool_makes(void **state)
{
    /* printf plimsoll.journal.v1; printf abc | openssl dgst -sha256 -binary; all of it through
     * openssl pkeyutl -sign -rawin. */
    static const char expected[] =
        "9fb7362ee9a7880d06957c0d086f76432594a84d9bfe9ad0abc5908d7e5733c7"
        "59c49c9197e2ed8f1f0f87e5a50cfe60f743b3093fa3f7ad8e553a064de48103";
    uint8_t signature[PL_SIGNATURE_BYTES];
    struct pl_key *key = open_private();
    (void)state;
    assert_int_equal(pl_key_sign(key, test_key("abc"), signature), PL_OK);
    assert_memory_equal(signature, test_hex(expected).data, sizeof(signature));
    pl_key_close(&key);
    assert_null(key);
    pl_key_close(&key);
}

static void only_the_same_bytes_verify(void **state)
{
    uint8_t signature[PL_SIGNATURE_BYTES + 1] = { 0 };
    struct pl_bytes_view view = { signature, PL_SIGNATURE_BYTES };
    struct pl_key *private = open_private(), *public = open_public();
    (void)state;
    assert_int_equal(pl_key_sign(private, test_key("abc"), signature), PL_OK);
    assert_true(pl_key_verifies(public, test_key("abc"), view));
    assert_true(pl_key_verifies(private, test_key("abc"), view));
    assert_false(pl_key_verifies(public, test_key("abd"), view));
    assert_false(pl_key_verifies(public, test_key(""), view));
    for (unsigned bit = 0; bit < 8 * PL_SIGNATURE_BYTES; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(pl_key_verifies(public, test_key("abc"), view));
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    view.size_bytes = PL_SIGNATURE_BYTES - 1;
    assert_false(pl_key_verifies(public, test_key("abc"), view));
    view.size_bytes = PL_SIGNATURE_BYTES + 1;
    assert_false(pl_key_verifies(public, test_key("abc"), view));
    assert_false(pl_key_verifies(public, test_key("abc"), (struct pl_bytes_view){ NULL, 0 }));
    pl_key_close(&private);
    pl_key_close(&public);
}

static void nobody_else_may_read_a_private_key(void **state)
{
    static const struct { mode_t mode; bool is_open; } rows[] = {
        { 0400, true }, { 0600, true }, { 0440, false }, { 0604, false }, { 0620, false },
        { 0601, false }, { 0777, false },
    };
    (void)state;
    for (unsigned i = 0; i < TEST_COUNT(rows); i++) {
        struct pl_key *key = NULL;
        const char *path = file_of(PRIVATE, strlen(PRIVATE), rows[i].mode);
        enum pl_err err = pl_key_open_private(&key, path);
        assert_int_equal(err, rows[i].is_open ? PL_OK : PL_FATAL_CONFIG);
        assert_int_equal(key != NULL, rows[i].is_open);
        if (err) {
            assert_non_null(strstr(pl_err_text(), path));
            assert_non_null(strstr(pl_err_text(), "chmod 0400"));
        }
        pl_key_close(&key);
    }
}

typedef enum pl_err open_key(struct pl_key **key, const char *path);

static void assert_refused(open_key *open, const char *path, const char *text)
{
    struct pl_key *key = NULL;
    assert_int_equal(open(&key, path), PL_FATAL_CONFIG);
    assert_null(key);
    if (!strstr(pl_err_text(), path) || !strstr(pl_err_text(), text))
        fail_msg("\"%s\" does not say \"%s\"", pl_err_text(), text);
}

static void other_files_are_refused_with_the_cure(void **state)
{
    static char long_file[20000];
    (void)state;
    memset(long_file, '\n', sizeof(long_file));
    assert_refused(pl_key_open_private, "/tmp/no/such/key.pem", "No such file");
    assert_refused(pl_key_open_public, "/tmp/no/such/key.pem", "No such file");
    assert_refused(pl_key_open_private, "/tmp", "not a regular file");
    assert_refused(pl_key_open_public, "/dev/null", "not a regular file");
    assert_refused(pl_key_open_private, pem(""), "no private key in PEM");
    assert_refused(pl_key_open_public, pem("plain text\n"), "no public key in PEM");
    assert_refused(pl_key_open_private, file_of(long_file, sizeof(long_file), 0400),
                   "20000 bytes are no key");
    assert_refused(pl_key_open_private, pem(X25519), "type X25519");
    assert_refused(pl_key_open_public, pem(ED448_PUBLIC), "type ED448");
    assert_refused(pl_key_open_private, pem(PUBLIC), "a public key");
    assert_refused(pl_key_open_public, pem(PRIVATE), "a private key");
    /* Would wait at the terminal for ever if anything asked there. */
    assert_refused(pl_key_open_private, pem(ENCRYPTED), "encrypted");
    assert_refused(pl_key_open_public, pem(ENCRYPTED), "encrypted");
    assert_refused(pl_key_open_private, file_of(PRIVATE, strlen(PRIVATE) - 30, 0400),
                   "no private key in PEM");
    unlink(pem(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_what_another_tool_makes),
        cmocka_unit_test(only_the_same_bytes_verify),
        cmocka_unit_test(nobody_else_may_read_a_private_key),
        cmocka_unit_test(other_files_are_refused_with_the_cure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
