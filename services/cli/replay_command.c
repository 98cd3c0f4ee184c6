/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plimsoll replay: runs the engine (replay.h) over a bundle, from a directory or copied from a live
 * cluster first, partition by partition, and says "identical" or what differs. It writes nothing to
 * Kafka. The last line of the text is the answer.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/service/process.h"
#include "services/cli/export.h"
#include "services/cli/replay.h"

enum { ACCOUNTS_MAX = 1 << 20 };

static const char USAGE[] =
    "usage: plimsoll replay [--bundle DIRECTORY | KAFKA OPTIONS] [--from WHEN] [--to WHEN] "
    "[OPTIONS]\n"
    "  Decides every account anew at every journal entry, with all inputs as they were then, and\n"
    "  compares orders, alerts and account states byte for byte. Says \"identical\", or the first\n"
    "  difference: account, leg, term and both values. Writes nothing to Kafka.\n"
    "  --bundle DIRECTORY    an exported bundle; without it the live topics are copied first\n"
    "  --from WHEN           begins with the entry in force then; default: the beginning\n"
    "  --to WHEN             ends with the entry in force then; default: the end\n"
    "  --partition NUMBER    this one only; otherwise all\n"
    "  --accounts-max NUMBER of one partition; lower it to the service's book.accounts_max if "
    "that\n"
    "                        ever refused an account (default 1048576)\n"
    "  --json                result as JSON\n" PROGRESS_USAGE CLI_KAFKA_USAGE WHEN_USAGE
    "  Exit status: 0 identical, 1 something differs, 2 usage, 3 environment.\n";

/* What became of one partition. */
struct outcome {
    int32_t partition;
    bool is_replayed;
    uint64_t first_sequence, last_sequence; /* replayed; 0: none                                */
    int64_t first_clock_ms, last_clock_ms;
    struct replay_counts counts;
};

struct command {
    struct cli_kafka kafka;
    struct when from, to;
    const char *directory; /* NULL: live */
    int32_t partition;     /* -1: all    */
    struct replay_limits limits;
    bool is_json;
    enum progress_style style;

    struct bundle *bundle;
    struct pl_wire *wire;
    struct progress progress;
    uint64_t done, total; /* entries of all partitions */
    int64_t began_ms;
    unsigned outcome_count;
    struct outcome outcomes[PL_PARTITIONS_MAX];
    struct replay_difference difference;
};

/* ---- options -------------------------------------------------------------------------------- */

static bool read_number(const char *text, long least, long most, long *number)
{
    char *end = NULL;
    *number = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *number >= least && *number <= most;
}

static bool read_when(struct when *when, const char *text)
{
    if (!when_parse(when, text, pl_now_ms()))
        return true;
    fprintf(stderr, "plimsoll replay: %s\n", pl_err_text());
    return false;
}

static bool read_option(struct command *command, int option, const char *argument)
{
    long number = 0;
    if (option == 'b')
        command->directory = argument;
    else if (option == 'j')
        command->is_json = true;
    else if (option == 'f')
        return read_when(&command->from, argument);
    else if (option == 't')
        return read_when(&command->to, argument);
    else if (option == 'g')
        return progress_parse(argument, &command->style);
    else if (option == 'p' && read_number(argument, 0, PL_PARTITIONS_MAX - 1, &number))
        command->partition = (int32_t)number;
    else if (option == 'a' && read_number(argument, 1, 1 << 24, &number))
        command->limits.accounts_max = (uint32_t)number;
    else
        return cli_kafka_option(&command->kafka, option, argument);
    return true;
}

/* An exit status, or -1 to go on. */
static int parse(struct command *command, int argc, char **argv)
{
    static const struct option options[] = {CLI_KAFKA_OPTIONS,
                                            {"bundle", required_argument, NULL, 'b'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"to", required_argument, NULL, 't'},
                                            {"partition", required_argument, NULL, 'p'},
                                            {"accounts-max", required_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"progress", required_argument, NULL, 'g'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "k:X:h", options, NULL)) != -1) {
        bool is_help = option == 'h';
        if (is_help || !read_option(command, option, optarg)) {
            fputs(USAGE, is_help ? stdout : stderr);
            return is_help ? CLI_OK : CLI_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fputs(USAGE, stderr);
    return CLI_USAGE;
}

/* ---- which entries -------------------------------------------------------------------------- */

static bool is_reached(const struct when *when, const struct pl_journal *entry, int64_t offset)
{
    switch (when->kind) {
    case WHEN_TIME:
        return entry->clock_ms <= when->value;
    case WHEN_OFFSET:
        return offset <= when->value;
    case WHEN_SEQUENCE:
        return entry->sequence <= (uint64_t)when->value;
    case WHEN_OPEN:
        break;
    }
    return true;
}

struct range {
    uint64_t first, last, count;
};

/* The entries in force at --from and --to and those between; `first` 0: from the beginning. What
 * cannot be read is left for the engine to say: an open end is the journal's, whatever stands
 * there. */
static enum pl_err find_range(struct command *command, int32_t partition, struct range *range)
{
    struct bundle_cursor cursor = {
        .stream = bundle_find(command->bundle, PL_TOPIC_JOURNAL, partition)};
    struct pl_record record;
    struct pl_journal entry;
    bool found = true;
    *range = (struct range){.last = command->to.kind == WHEN_OPEN ? UINT64_MAX : 0};
    for (;;) {
        enum pl_err err = bundle_next(&cursor, &record, &found);
        if (err || !found)
            return err;
        if (pl_wire_journal_decode(command->wire, record.value, &entry))
            continue;
        bool is_first = command->from.kind != WHEN_OPEN &&
                        is_reached(&command->from, &entry, record.offset);
        if (is_first) {
            range->first = entry.sequence;
            range->count = 0;
        }
        if (is_reached(&command->to, &entry, record.offset)) {
            range->count++;
            if (command->to.kind != WHEN_OPEN)
                range->last = entry.sequence;
        }
    }
}

/* ---- replaying ------------------------------------------------------------------------------ */

static void note_entry(struct command *command, struct outcome *outcome,
                       const struct pl_journal *entry)
{
    if (outcome->first_sequence == 0) {
        outcome->first_sequence = entry->sequence;
        outcome->first_clock_ms = entry->clock_ms;
    }
    outcome->last_sequence = entry->sequence;
    outcome->last_clock_ms = entry->clock_ms;
    progress_at(&command->progress, ++command->done, command->total);
}

static enum pl_err replay_range(struct command *command, struct replay *replay,
                                const struct range *range, struct outcome *outcome)
{
    enum pl_err err = PL_OK;
    bool found = true;
    /* The engine stands where the bundle begins, which may be later than what was asked for. */
    if (range->first > replay_entry(replay)->sequence + 1)
        err = replay_seek(replay, range->first - 1);
    while (!err && found && replay_entry(replay)->sequence < range->last) {
        err = replay_next(replay, &found);
        if (!err && found)
            note_entry(command, outcome, replay_entry(replay));
        if (!err && pl_process_should_stop())
            err = pl_err_set(PL_FATAL_SYSTEM,
                             "interrupted; identical up to entry %" PRIu64 " of partition %" PRId32,
                             outcome->last_sequence, outcome->partition);
    }
    return err;
}

static enum pl_err replay_partition(struct command *command, int32_t partition)
{
    struct replay *replay = NULL;
    struct range range;
    struct outcome *outcome = &command->outcomes[command->outcome_count++];
    *outcome = (struct outcome){.partition = partition};
    enum pl_err err = find_range(command, partition, &range);
    if (!err && range.last == 0)
        return pl_err_set(PL_REJECT_UNKNOWN,
                          "the journal of partition %" PRId32 " has no entry so "
                          "early",
                          partition);
    if (!err)
        err = replay_open(&replay, command->bundle, partition, &command->limits);
    if (!err)
        err = replay_range(command, replay, &range, outcome);
    if (replay) {
        outcome->counts = replay_counts(replay);
        command->difference = *replay_difference(replay);
    }
    outcome->is_replayed = !err;
    replay_close(&replay);
    return err;
}

/* A partition whose journal is empty was never decided on. */
static bool is_wanted(const struct command *command, int32_t partition)
{
    const struct bundle_stream *journal = bundle_find(command->bundle, PL_TOPIC_JOURNAL, partition);
    return command->partition < 0 ? journal && journal->record_count > 0
                                  : command->partition == partition;
}

static enum pl_err replay_all(struct command *command)
{
    int32_t count = bundle_partition_count(command->bundle);
    enum pl_err err = PL_OK;
    if (command->partition >= count)
        return pl_err_set(PL_FATAL_CONFIG, "there are %" PRId32 " partitions", count);
    for (int32_t i = 0; !err && i < count; i++) {
        struct range range = {0};
        if (is_wanted(command, i))
            err = find_range(command, i, &range);
        command->total += range.count;
    }
    progress_begin(&command->progress, command->style, "replay", "entries", command->total);
    for (int32_t i = 0; !err && i < count; i++)
        if (is_wanted(command, i))
            err = replay_partition(command, i);
    progress_end(&command->progress);
    if (!err && command->outcome_count == 0)
        return pl_err_set(PL_REJECT_UNKNOWN, "no journal has an entry");
    return err;
}

/* ---- results -------------------------------------------------------------------------------- */

static void print_outcome(const struct outcome *outcome)
{
    char first[WHEN_TIME_BYTES], last[WHEN_TIME_BYTES];
    const struct replay_counts *counts = &outcome->counts;
    printf("partition %" PRId32 ": ", outcome->partition);
    if (outcome->first_sequence == 0) {
        puts("no entry replayed");
        return;
    }
    printf("entries %" PRIu64 " to %" PRIu64 ", %s to %s\n", outcome->first_sequence,
           outcome->last_sequence, when_print_time(outcome->first_clock_ms, first),
           when_print_time(outcome->last_clock_ms, last));
    printf("  %" PRIu64 " entries, %" PRIu64 " of them heartbeats; %" PRIu64
           " accounts evaluated; %" PRIu64 " outputs compared, %" PRIu64 " of them orders\n",
           counts->entries, counts->heartbeats, counts->accounts, counts->outputs, counts->orders);
}

static void print_difference(const struct replay_difference *difference)
{
    char clock[WHEN_TIME_BYTES];
    printf("at      partition %" PRId32 ", entry %" PRIu64 ", journal offset %" PRId64 ", %s\n",
           difference->partition, difference->sequence, difference->journal_offset,
           when_print_time(difference->clock_ms, clock));
    if (difference->account.size_bytes > 0)
        printf("account %s\n", difference->account.text);
    if (difference->instrument.size_bytes > 0)
        printf("leg     %s\n", difference->instrument.text);
    if (difference->term[0])
        printf("term    %s\n", difference->term);
    if (difference->recorded[0] || difference->replayed[0])
        printf("recorded %s\nreplayed %s\n", difference->recorded, difference->replayed);
    printf("different: %s: %s\n", difference->what, difference->text);
}

static json_t *outcome_json(const struct outcome *outcome)
{
    char first[WHEN_TIME_BYTES], last[WHEN_TIME_BYTES];
    const struct replay_counts *counts = &outcome->counts;
    return json_pack("{s:i,s:b,s:I,s:I,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "partition",
                     (int)outcome->partition, "identical", outcome->is_replayed, "first_sequence",
                     (json_int_t)outcome->first_sequence, "last_sequence",
                     (json_int_t)outcome->last_sequence, "first_time",
                     when_print_time(outcome->first_clock_ms, first), "last_time",
                     when_print_time(outcome->last_clock_ms, last), "entries",
                     (json_int_t)counts->entries, "heartbeats", (json_int_t)counts->heartbeats,
                     "accounts_evaluated", (json_int_t)counts->accounts, "outputs_compared",
                     (json_int_t)counts->outputs, "orders_compared", (json_int_t)counts->orders);
}

static json_t *difference_json(const struct replay_difference *difference)
{
    return json_pack(
        "{s:s,s:i,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s}", "what", difference->what, "partition",
        (int)difference->partition, "sequence", (json_int_t)difference->sequence, "journal_offset",
        (json_int_t)difference->journal_offset, "clock_ms", (json_int_t)difference->clock_ms,
        "account", difference->account.text, "instrument", difference->instrument.text, "term",
        difference->term, "recorded", difference->recorded, "replayed", difference->replayed,
        "text", difference->text);
}

static void print_json(const struct command *command, bool is_identical, double seconds)
{
    json_t *partitions = json_array();
    for (unsigned i = 0; i < command->outcome_count; i++)
        json_array_append_new(partitions, outcome_json(&command->outcomes[i]));
    json_t *result = json_pack("{s:b,s:o,s:f}", "identical", is_identical, "partitions", partitions,
                               "seconds", seconds);
    if (!is_identical)
        json_object_set_new(result, "difference", difference_json(&command->difference));
    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(result);
}

static void print_result(const struct command *command, bool is_identical)
{
    double seconds = (double)(pl_mono_ms() - command->began_ms) / 1000.0;
    if (command->is_json) {
        print_json(command, is_identical, seconds);
        return;
    }
    for (unsigned i = 0; i < command->outcome_count; i++)
        print_outcome(&command->outcomes[i]);
    if (is_identical)
        puts("identical");
    else
        print_difference(&command->difference);
}

/* ---- the command ---------------------------------------------------------------------------- */

static enum pl_err run(struct command *command)
{
    const struct export_request request = {.kafka = &command->kafka,
                                           .from = command->from,
                                           .to = command->to,
                                           .partition = command->partition,
                                           .progress = command->style};
    enum pl_err err = cli_open_bundle(&command->bundle, command->directory, &request);
    if (!err)
        err = pl_process_init(true); /* from here on SIGINT ends it between two entries */
    if (err)
        return err;
    command->wire = cli_wire();
    command->began_ms = pl_mono_ms();
    return replay_all(command);
}

int cli_replay(int argc, char **argv)
{
    static struct command command = {.partition = -1, .limits = {.accounts_max = ACCOUNTS_MAX}};
    cli_kafka_init(&command.kafka, "plimsoll-cli");
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    enum pl_err err = run(&command);
    bool has_answer = !err || (err == PL_FATAL_DIVERGED && command.difference.what);
    if (has_answer)
        print_result(&command, !err);
    status = !has_answer ? cli_fail(err, "replay") : err ? CLI_FINDING : CLI_OK;
    bundle_close(&command.bundle);
    return status;
}
