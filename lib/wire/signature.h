/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures on journal entries: Ed25519 (libcrypto) over "plimsoll.journal.v1" and the SHA-256 of the
 * entry's value. Since every entry holds the hash of the one before, a signature on the newest covers
 * the whole chain. Keys are PEM files: `openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`.
 */
#ifndef PL_WIRE_SIGNATURE_H
#define PL_WIRE_SIGNATURE_H

#include "lib/base/bytes.h"
#include "lib/base/err.h"

enum { PL_SIGNATURE_BYTES = 64 };

struct pl_key;

/* Reads a private key from a file that nobody else may read (mode 0400 or 0600), or a public key.
 * FATAL_CONFIG names the file and the cure. */
enum pl_err pl_key_open_private(struct pl_key **key, const char *path);
enum pl_err pl_key_open_public(struct pl_key **key, const char *path);
/* Accepts NULL, sets NULL; a private key's memory is cleared. */
void pl_key_close(struct pl_key **key);

/* FATAL_SYSTEM. */
enum pl_err pl_key_sign(const struct pl_key *key, struct pl_bytes_view value,
                        uint8_t signature[PL_SIGNATURE_BYTES]);
/* False for any other signature, size or key. Takes private and public keys. */
bool pl_key_verifies(const struct pl_key *key, struct pl_bytes_view value,
                     struct pl_bytes_view signature);

#endif
