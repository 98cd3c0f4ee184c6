/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes and metrics over HTTP, read only, from a thread of libmicrohttpd's:
 *
 *   /livez    200 while every live check holds (G11), else 503
 *   /readyz   200 while every ready check holds, else 503; /healthz is the same
 *   /metrics  Prometheus text 0.0.4
 *
 * A probe's body has one line per failing check, "[-]name: reason"; with ?verbose also one per holding
 * check, "[+]name". GET and HEAD only.
 */
#ifndef PL_SERVICE_HTTP_H
#define PL_SERVICE_HTTP_H

#include <stdint.h>

#include "lib/base/err.h"

enum { PL_HTTP_REASON_BYTES = 256, PL_HTTP_CHECKS_MAX = 16 };

/*
 * One check. Called on the HTTP thread: it reads atomics and nothing else. True if all is well, else
 * `reason` (empty when called) says what is not.
 */
typedef bool pl_http_check(void *context, char reason[PL_HTTP_REASON_BYTES]);

struct pl_http_checks {
    unsigned count; /* at most PL_HTTP_CHECKS_MAX */
    struct { const char *name; pl_http_check *check; } at[PL_HTTP_CHECKS_MAX];
};

/* Borrowed for the life of the server. */
struct pl_http_settings {
    const char *address;   /* numeric, IPv4 or IPv6                                             */
    uint16_t port;         /* 0: a free one                                                     */
    const char *port_file; /* where the bound port is written, for whoever started us; "": none */
    struct pl_http_checks live, ready;
    void *context;         /* of the checks                                                     */
};

struct pl_http;

/* Starts the server; the bound port goes to *port and into a log line. FATAL_CONFIG for an address
 * that is none, FATAL_SYSTEM when the port is taken or there is no thread. */
enum pl_err pl_http_open(struct pl_http **http, const struct pl_http_settings *settings,
                         uint16_t *port);

/* Stops the server and waits for its thread; removes the port file. Accepts NULL, sets NULL. */
void pl_http_close(struct pl_http **http);

#endif
