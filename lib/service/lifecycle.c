/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of the services' mains (see lifecycle.h). */
#include "lib/service/lifecycle.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/kafka/settings.h"
#include "lib/service/process.h"

enum { PAUSE_MS = 500 };

/* librdkafka speaks in syslog's levels; what it calls an error it usually mends by itself. */
static void log_kafka(int level, const char *facility, const char *text)
{
    enum pl_log_level ours = level <= 4 ? PL_LOG_WARN : level <= 6 ? PL_LOG_INFO : PL_LOG_DEBUG;
    pl_log(ours, "KAFKA", text, "facility", PL_LOG_TEXT(facility), NULL);
}

static enum pl_err configure(struct pl_service *service, struct pl_config *config, int argc,
                             char **argv, enum pl_config_request *request)
{
    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX] = {
        pl_settings_table(service->settings), service->own_table };
    pl_config_init(config, service->name, service->purpose, tables);
    enum pl_err err = pl_config_load(config, argc, argv, request);
    if (err || *request != PL_CONFIG_RUN)
        return err;
    pl_settings_instance(service->settings, service->instance);
    pl_settings_kafka(service->settings, config, &service->kafka);
    err = pl_kafka_check(&service->kafka);
    return err ? err : pl_process_init(service->settings->may_dump_core);
}

bool pl_service_begin(struct pl_service *service, int argc, char **argv, int *status)
{
    static struct pl_config config; /* kafka settings borrow from it */
    enum pl_config_request request = PL_CONFIG_RUN;
    pl_metrics_init(service->name, service->metrics, service->metric_count);
    enum pl_err err = configure(service, &config, argc, argv, &request);
    if (err)
        fprintf(stderr, "%s: %s\n", service->name, pl_err_text());
    else if (request == PL_CONFIG_PRINT_METRICS)
        pl_metrics_print(stdout);
    *status = err ? pl_err_exit_status(err) : 0;
    if (err || request != PL_CONFIG_RUN)
        return false;
    pl_log_init(service->name, service->instance,
                (enum pl_log_level)service->settings->log_level,
                (enum pl_log_format)service->settings->log_format);
    pl_config_log(&config);
    pl_kafka_set_log(log_kafka);
    return true;
}

_Noreturn void pl_service_leave(enum pl_err err)
{
    pl_log(PL_LOG_ERROR, pl_err_name(err), pl_err_text(), NULL);
    pl_log_flush();
    _exit(pl_err_exit_status(err));
}

void pl_service_pause(enum pl_err err)
{
    const struct timespec pause = { 0, PAUSE_MS * 1000000L };
    pl_log(PL_LOG_WARN, pl_err_name(err), pl_err_text(), NULL);
    if (!pl_process_should_stop())
        nanosleep(&pause, NULL);
}
