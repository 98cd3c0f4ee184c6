/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: three paths, no input but the path. What it may use is bounded: connections, time
 * and memory of each, so that nobody who can reach the port can starve the loop.
 */
#include "lib/service/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "lib/base/assert.h"
#include "lib/service/log.h"
#include "lib/service/metrics.h"

enum { CONNECTIONS_MAX = 32, CONNECTION_SECONDS_MAX = 5, CONNECTION_BYTES_MAX = 16384 };

struct pl_http {
    struct MHD_Daemon *daemon;
    struct pl_http_settings settings;
};

/* ---- answers ------------------------------------------------------------------------------------ */

/* Sends `body`, from malloc, which the answer takes. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, char *body,
                              size_t size_bytes)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size_bytes, body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(body);
        return MHD_NO;
    }
    const char *type = "text/plain; version=0.0.4; charset=utf-8";
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
    char *body = strdup(text);
    return body ? answer(connection, status, body, strlen(body)) : MHD_NO;
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection)
{
    char *body = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&body, &size_bytes);
    if (!out)
        return MHD_NO;
    pl_metrics_write(out);
    if (fclose(out) != 0) {
        free(body);
        return MHD_NO;
    }
    return answer(connection, MHD_HTTP_OK, body, size_bytes);
}

static enum MHD_Result answer_probe(struct MHD_Connection *connection,
                                    const struct pl_http_checks *checks, void *context)
{
    char text[PL_HTTP_CHECKS_MAX * (PL_HTTP_REASON_BYTES + 64) + 64];
    size_t used = 0;
    bool is_verbose = false;
    bool is_good = true;
    /* "?verbose" has no value; MHD_lookup_connection_value cannot tell that from absence. */
    is_verbose = MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "verbose", 7, NULL,
                                               NULL) == MHD_YES;
    for (unsigned i = 0; i < checks->count; i++) {
        char reason[PL_HTTP_REASON_BYTES] = "";
        bool holds = checks->at[i].check(context, reason);
        is_good = is_good && holds;
        if (!holds)
            used += (size_t)snprintf(text + used, sizeof text - used, "[-]%.60s: %.255s\n",
                                     checks->at[i].name, reason);
        else if (is_verbose)
            used += (size_t)snprintf(text + used, sizeof text - used, "[+]%.60s\n",
                                     checks->at[i].name);
        pl_assert(used < sizeof text);
    }
    (void)snprintf(text + used, sizeof text - used, "%s\n", is_good ? "ok" : "failed");
    return answer_text(connection, is_good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **request)
{
    (void)version, (void)upload, (void)upload_bytes, (void)request;
    struct pl_http *http = context;
    const struct pl_http_settings *settings = &http->settings;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (strcmp(path, "/livez") == 0)
        return answer_probe(connection, &settings->live, settings->context);
    if (strcmp(path, "/readyz") == 0 || strcmp(path, "/healthz") == 0)
        return answer_probe(connection, &settings->ready, settings->context);
    if (strcmp(path, "/metrics") == 0)
        return answer_metrics(connection);
    return answer_text(connection, MHD_HTTP_NOT_FOUND,
                       "there are /livez, /readyz, /healthz and /metrics\n");
}

/* ---- start and end ------------------------------------------------------------------------------ */

/* libmicrohttpd's own complaints, mostly about what clients send. */
__attribute__((format(printf, 2, 0)))
static void on_message(void *context, const char *format, va_list arguments)
{
    (void)context;
    char text[512];
    (void)vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    pl_log(PL_LOG_DEBUG, "HTTP", text, NULL);
}

static bool parse_address(const struct pl_http_settings *settings, struct sockaddr_storage *storage,
                          bool *is_ipv6)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)storage;
    memset(storage, 0, sizeof *storage);
    *is_ipv6 = strchr(settings->address, ':') != NULL;
    if (*is_ipv6) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(settings->port);
        return inet_pton(AF_INET6, settings->address, &ipv6->sin6_addr) == 1;
    }
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(settings->port);
    return inet_pton(AF_INET, settings->address, &ipv4->sin_addr) == 1;
}

/* Written aside and renamed: whoever waits for the file reads a whole one. */
static enum pl_err write_port_file(const char *path, uint16_t port)
{
    char aside[4096];
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside)
        return pl_err_set(PL_FATAL_CONFIG, "http.port_file is too long");
    FILE *file = fopen(aside, "we");
    bool is_written = file && fprintf(file, "%u\n", (unsigned)port) > 0;
    if (file && fclose(file) != 0)
        is_written = false;
    if (!is_written || rename(aside, path) != 0)
        return pl_err_set(PL_FATAL_CONFIG, "http.port_file: cannot write %s: %s", path,
                          strerror(errno));
    return PL_OK;
}

static enum pl_err start(struct pl_http *http)
{
    const struct pl_http_settings *settings = &http->settings;
    struct sockaddr_storage address;
    bool is_ipv6 = false;
    if (!parse_address(settings, &address, &is_ipv6))
        return pl_err_set(PL_FATAL_CONFIG, "http.address = %s is no numeric address",
                          settings->address);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG |
                     (is_ipv6 ? MHD_USE_IPv6 : MHD_NO_FLAG);
    http->daemon = MHD_start_daemon(
        flags, settings->port, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_SECONDS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES_MAX, MHD_OPTION_END);
    if (!http->daemon)
        return pl_err_set(PL_FATAL_SYSTEM, "cannot serve HTTP on %s port %u: %s", settings->address,
                          (unsigned)settings->port, strerror(errno));
    return PL_OK;
}

enum pl_err pl_http_open(struct pl_http **http, const struct pl_http_settings *settings,
                         uint16_t *port)
{
    pl_assert(settings->live.count <= PL_HTTP_CHECKS_MAX);
    pl_assert(settings->ready.count <= PL_HTTP_CHECKS_MAX);
    *http = calloc(1, sizeof **http);
    if (!*http)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory for the HTTP server");
    (*http)->settings = *settings;
    enum pl_err err = start(*http);
    if (!err) {
        *port = MHD_get_daemon_info((*http)->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
        if (settings->port_file[0])
            err = write_port_file(settings->port_file, *port);
    }
    if (err) {
        pl_http_close(http);
        return err;
    }
    pl_log(PL_LOG_INFO, "HTTP_LISTENS", "probes and metrics are served", "address",
           PL_LOG_TEXT(settings->address), "port", PL_LOG_INT(*port), NULL);
    return PL_OK;
}

void pl_http_close(struct pl_http **http)
{
    if (!*http)
        return;
    if ((*http)->daemon) {
        MHD_stop_daemon((*http)->daemon);
        if ((*http)->settings.port_file[0])
            (void)unlink((*http)->settings.port_file);
    }
    free(*http);
    *http = NULL;
}
