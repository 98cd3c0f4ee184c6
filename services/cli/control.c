/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll halt, plimsoll resume (G8). Writes a control record whose epoch is above every one before,
 * and waits until the broker has it. Halting is one command; nothing else is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/service/process.h"
#include "services/cli/cli.h"

static const char USAGE[] =
    "usage: plimsoll halt|resume [--account ID] --reason TEXT [--actor NAME] [OPTIONS]\n"
    "  Stops new orders, or lets them flow again: everywhere, or for one account.\n"
    "  --account ID          only this account, with all its buckets\n"
    "  --reason TEXT         why; required, it is kept\n"
    "  --actor NAME          who; default: the login name\n" CLI_KAFKA_USAGE;

struct newest {
    struct pl_wire *wire;
    uint64_t epoch;
};

static enum pl_err see_control(void *context, const struct pl_record *record)
{
    struct newest *newest = context;
    struct pl_control control;
    /* One that cannot be read halts the services and has no epoch to be above. */
    if (pl_wire_control_decode(newest->wire, record->key, record->value, &control) == PL_OK &&
        control.epoch > newest->epoch)
        newest->epoch = control.epoch;
    return PL_OK;
}

static enum pl_err newest_epoch(const struct cli_kafka *kafka, struct newest *newest)
{
    struct pl_reader *reader = NULL;
    enum pl_err err = pl_reader_open(&reader, &kafka->settings, false);
    if (!err)
        err = cli_read(reader, PL_TOPIC_CONTROL, 0, see_control, newest);
    pl_reader_close(&reader);
    return err;
}

static enum pl_err publish(const struct cli_kafka *kafka, struct pl_wire *wire,
                           const struct pl_control *control)
{
    struct pl_producer *producer = NULL;
    struct pl_bytes_view key, value;
    unsigned failed = 0;
    enum pl_err err = pl_wire_control_encode(wire, control, &key, &value);
    if (!err)
        err = pl_producer_open(&producer, &kafka->settings);
    if (!err)
        err = pl_producer_send(producer, PL_TOPIC_CONTROL, 0, key, value, NULL, 0);
    if (!err)
        err = pl_producer_flush(producer, 10000);
    if (!err)
        err = pl_producer_poll(producer, &failed);
    if (!err && failed)
        err = pl_err_set(PL_RETRY_TRANSPORT, "the broker did not take the record: try again");
    pl_producer_close(&producer);
    return err;
}

static bool parse(int argc, char **argv, struct cli_kafka *kafka, struct pl_control *control)
{
    static const struct option options[] = { { "account", required_argument, NULL, 'a' },
                                             { "reason", required_argument, NULL, 'r' },
                                             { "actor", required_argument, NULL, 'w' },
                                             CLI_KAFKA_OPTIONS, { NULL, 0, NULL, 0 } };
    const char *login = getlogin();
    snprintf(control->actor, sizeof(control->actor), "%s", login ? login : "unknown");
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        if (option == 'a' && pl_id_set(&control->account, optarg, strlen(optarg))) {
            fprintf(stderr, "plimsoll: --account: %s\n", pl_err_text());
            return false;
        }
        if (option == 'a' && strchr(control->account.text, PL_BUCKET_MARK)) {
            fprintf(stderr, "plimsoll: --account: name the account without a bucket: a halt is of all "
                            "its buckets\n");
            return false;
        }
        if (option == 'r')
            snprintf(control->reason, sizeof(control->reason), "%s", optarg);
        else if (option == 'w')
            snprintf(control->actor, sizeof(control->actor), "%s", optarg);
        else if (option != 'a' && !cli_kafka_option(kafka, option, optarg))
            return false;
    }
    return optind == argc && control->reason[0];
}

int cli_control(int argc, char **argv)
{
    struct cli_kafka kafka;
    struct pl_control control = { .is_halt = strcmp(argv[0], "halt") == 0,
                                  .created_ms = pl_now_ms() };
    cli_kafka_init(&kafka, "plimsoll-cli");
    if (!parse(argc, argv, &kafka, &control)) {
        fputs(USAGE, stderr);
        return CLI_USAGE;
    }
    struct newest newest = { .wire = cli_wire() };
    enum pl_err err = newest_epoch(&kafka, &newest);
    control.epoch = newest.epoch + 1;
    if (!err)
        err = publish(&kafka, newest.wire, &control);
    if (err)
        return cli_fail(err, argv[0]);
    printf("%s %s: epoch %llu\n", control.is_halt ? "halted" : "resumed",
           control.account.size_bytes ? control.account.text : "everything",
           (unsigned long long)control.epoch);
    return CLI_OK;
}
