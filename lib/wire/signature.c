/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures on journal entries, by libcrypto's Ed25519 and PEM reader. Beside the event's path:
 * the service signs what step 6 publishes, verify checks it. A signature is a function of key and
 * value, so that a step published again carries the same bytes (G2). Nothing here ever asks at a
 * terminal: an encrypted key is refused.
 */
#include "lib/wire/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "lib/wire/wire.h"

/* So that a signature on a journal entry is one on nothing else. */
static const char DOMAIN[] = "plimsoll.journal.v1";

enum {
    PEM_BYTES_MAX = 16 * 1024,
    MESSAGE_BYTES = sizeof(DOMAIN) - 1 + PL_HASH_BYTES,
};

struct pl_key {
    EVP_PKEY *pair; /* with or without its private half */
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum pl_err fail_file(const char *path)
{
    return pl_err_set(PL_FATAL_CONFIG, "key file %s: %s", path, strerror(errno));
}

/* The open file is asked, not its name: it cannot be changed in between. */
static enum pl_err check_file(int file, const char *path, bool is_private)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return fail_file(path);
    if (!S_ISREG(status.st_mode))
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: not a regular file", path);
    if (is_private && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: others may use it (mode %04o): "
                          "chmod 0400 %s", path, (unsigned)(status.st_mode & 07777), path);
    if (status.st_size > PEM_BYTES_MAX)
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: %lld bytes are no key in PEM", path,
                          (long long)status.st_size);
    return PL_OK;
}

static enum pl_err read_file(const char *path, bool is_private, uint8_t pem[PEM_BYTES_MAX],
                             size_t *size_bytes)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return fail_file(path);
    enum pl_err err = check_file(file, path, is_private);
    for (*size_bytes = 0; !err && *size_bytes < PEM_BYTES_MAX;) {
        ssize_t count = read(file, pem + *size_bytes, PEM_BYTES_MAX - *size_bytes);
        if (count == 0)
            break;
        if (count < 0 && errno != EINTR)
            err = fail_file(path);
        *size_bytes += count > 0 ? (size_t)count : 0;
    }
    close(file);
    return err;
}

/* In place of libcrypto's own, which would ask at the terminal. */
static int refuse_password(char *password, int size_bytes, int is_writing, void *was_asked)
{
    (void)password, (void)size_bytes, (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static EVP_PKEY *parse(const uint8_t *pem, size_t size_bytes, bool is_private, bool *was_asked)
{
    BIO *text = BIO_new_mem_buf(pem, (int)size_bytes);
    EVP_PKEY *pair = NULL;
    if (text && is_private)
        pair = PEM_read_bio_PrivateKey(text, NULL, refuse_password, was_asked);
    else if (text)
        pair = PEM_read_bio_PUBKEY(text, NULL, refuse_password, was_asked);
    BIO_free(text);
    ERR_clear_error();
    return pair;
}

/* A key that cannot be read, in words that say what the file holds instead. */
static enum pl_err explain(const char *path, const uint8_t *pem, size_t size_bytes, bool is_private,
                           bool was_asked)
{
    bool ignored = false;
    EVP_PKEY *other = parse(pem, size_bytes, !is_private, &ignored);
    EVP_PKEY_free(other);
    if (was_asked || (ignored && !other))
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: the key is encrypted, and nobody is there "
                          "to type its password: openssl pkey -in %s -out PLAIN.pem, then chmod "
                          "0400", path, path);
    if (other && is_private)
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: a public key, and signing takes the "
                          "private one", path);
    if (other)
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: a private key, which stays where it "
                          "signs: openssl pkey -in %s -pubout", path, path);
    return pl_err_set(PL_FATAL_CONFIG, "key file %s: no %s key in PEM: openssl %s", path,
                      is_private ? "private" : "public",
                      is_private ? "genpkey -algorithm ed25519" : "pkey -in PRIVATE.pem -pubout");
}

static enum pl_err accept(struct pl_key **key, const char *path, EVP_PKEY *pair)
{
    if (!EVP_PKEY_is_a(pair, "ED25519"))
        return pl_err_set(PL_FATAL_CONFIG, "key file %s: a key of type %s, and entries are signed "
                          "with Ed25519: openssl genpkey -algorithm ed25519", path,
                          EVP_PKEY_get0_type_name(pair) ? EVP_PKEY_get0_type_name(pair) : "?");
    *key = OPENSSL_zalloc(sizeof(**key));
    if (!*key)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for a key");
    (*key)->pair = pair;
    return PL_OK;
}

static enum pl_err open_key(struct pl_key **key, const char *path, bool is_private)
{
    uint8_t pem[PEM_BYTES_MAX];
    size_t size_bytes = 0;
    bool was_asked = false;
    EVP_PKEY *pair = NULL;
    *key = NULL;
    enum pl_err err = read_file(path, is_private, pem, &size_bytes);
    if (!err) {
        pair = parse(pem, size_bytes, is_private, &was_asked);
        err = pair ? accept(key, path, pair)
                   : explain(path, pem, size_bytes, is_private, was_asked);
    }
    if (err)
        EVP_PKEY_free(pair);
    OPENSSL_cleanse(pem, sizeof(pem));
    return err;
}

enum pl_err pl_key_open_private(struct pl_key **key, const char *path)
{
    return open_key(key, path, true);
}

enum pl_err pl_key_open_public(struct pl_key **key, const char *path)
{
    return open_key(key, path, false);
}

void pl_key_close(struct pl_key **key)
{
    if (!*key)
        return;
    EVP_PKEY_free((*key)->pair); /* libcrypto clears private keys */
    OPENSSL_free(*key);
    *key = NULL;
}

/* ---- signing --------------------------------------------------------------------------------- */

static void build_message(struct pl_bytes_view value, uint8_t message[MESSAGE_BYTES])
{
    memcpy(message, DOMAIN, sizeof(DOMAIN) - 1);
    pl_wire_hash(value, message + sizeof(DOMAIN) - 1);
}

enum pl_err pl_key_sign(const struct pl_key *key, struct pl_bytes_view value,
                        uint8_t signature[PL_SIGNATURE_BYTES])
{
    uint8_t message[MESSAGE_BYTES];
    size_t size_bytes = PL_SIGNATURE_BYTES;
    build_message(value, message);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_signed = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->pair) == 1 &&
                     EVP_DigestSign(context, signature, &size_bytes, message, sizeof(message)) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!is_signed)
        return pl_err_set(PL_FATAL_SYSTEM, "libcrypto cannot sign with this key");
    pl_assert(size_bytes == PL_SIGNATURE_BYTES);
    return PL_OK;
}

bool pl_key_verifies(const struct pl_key *key, struct pl_bytes_view value,
                     struct pl_bytes_view signature)
{
    uint8_t message[MESSAGE_BYTES];
    if (!signature.data || signature.size_bytes != PL_SIGNATURE_BYTES)
        return false;
    build_message(value, message);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_valid = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->pair) == 1 &&
                    EVP_DigestVerify(context, signature.data, signature.size_bytes, message,
                                     sizeof(message)) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_valid;
}
