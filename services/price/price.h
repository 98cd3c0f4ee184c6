/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The price service: quotes in, marks out (DESIGN section 4). One struct, five files:
 *   main.c        opens, runs the loop, closes
 *   derive.c      parameters: base sets in, effective sets out
 *   grids.c       marks of options
 *   partition.c   how a partition of prices comes to be owned, loaded and given up
 *   price.c       one pass: poll, decode, aggregate, publish
 *
 * Neither transaction nor committed offsets: a mark's number says which is newer, so a zombie's
 * marks are harmless; and everything needed to go on stands in the tails of prices and marks. A
 * record that is read twice is dropped as a duplicate or, if it is bad, goes to dead letter again
 * (at least once).
 */
#ifndef PL_SERVICES_PRICE_PRICE_H
#define PL_SERVICES_PRICE_PRICE_H

#include <stdatomic.h>

#include "lib/kafka/consumer.h"
#include "lib/kafka/txn.h"
#include "lib/price/haircut.h"
#include "lib/price/peg.h"
#include "lib/wire/wire.h"
#include "services/price/settings.h"

enum stage {
    STAGE_FREE,     /* not ours                                                            */
    STAGE_WAITING,  /* for the parameters, which say how far back a price counts           */
    STAGE_LOADING,  /* reads prices and marks to the ends seen at assignment               */
    STAGE_RUNNING,
};

struct partition {
    enum stage stage;
    int64_t prices_end, marks_end; /* when loading began                                   */
    int64_t position;              /* at the last look                                     */
    int64_t moved_mono_ms;         /* when it last moved, or had no reason to              */
};

struct grid {                      /* of an option; grids.c's own                          */
    int64_t ticks;                 /* of the underlying when it was sent; 0: not yet       */
    double volatility;
    enum pl_mark_status status;    /* of the volatility                                    */
    uint64_t epoch;
    int64_t sent_mono_ms;
    bool is_settled, is_confirmed; /* it is known; it was read                             */
    double passed;                 /* of the averaging window when it was sent             */
    struct pl_settlement settlement;
    int64_t settled_vu;            /* of a lot                                             */
};

struct instrument {
    int32_t partition;             /* of prices, by the key's hash                         */
    bool is_touched;
    int64_t restate_mono_ms;       /* when its mark is due even if it has not changed      */
    int64_t cause_ms;              /* append time of the oldest price since the last mark  */
    struct pl_aggregate aggregate; /* of an option only the mark, without its grid         */
    struct grid grid;
};

/* What keeps the service from being ready; price_condition_text has the words. */
enum price_condition {
    PL_CONDITION_STARTING, PL_CONDITION_NO_BROKER, PL_CONDITION_NO_GROUP,
    PL_CONDITION_NO_PARAMETERS, PL_CONDITION_LOADING, PL_CONDITION_READY, PL_CONDITION_COUNT
};

struct price_service {
    const struct pl_price_settings *settings;
    struct pl_kafka_settings kafka;
    struct pl_group *group;
    struct pl_reader *reader;
    struct pl_producer *producer;

    struct pl_wire *wire;
    struct pl_names *names;
    int64_t now_ms, mono_ms;       /* of the pass; read where the wait for input ends      */
    int64_t waited_ns;             /* of the pass, for input                               */
    int64_t progress_mono_ms;      /* when price_check_progress last looked                */
    int64_t sweep_mono_ms;         /* when all instruments are looked at next              */
    int64_t grids_mono_ms;         /* when options are looked at next                      */

    struct parameters {            /* derive.c's own                                       */
        struct pl_parameters *effective, *base; /* in force; the newest valid base set     */
        struct pl_parameters *spare, *derived;  /* to decode into; to derive in            */
        bool has_effective, has_base;
        struct pl_bytes_view effective_value, base_value; /* in the two blocks             */
        uint8_t *effective_block, *base_block;
        uint64_t last_epoch;       /* highest of any effective set seen                    */
        bool is_astray;            /* the topic's last effective set is not the one in force */
        int64_t send_mono_ms;      /* not before: the last one sent may be on its way back */
        int64_t derive_mono_ms;    /* when haircuts are looked at next                     */
        int64_t age_ms_max;        /* largest of the instruments in force                  */
    } parameters;

    bool is_open;                  /* parameters are being read                            */
    bool has_marks_open;           /* and marks                                            */
    int64_t parameters_end, marks_end; /* when opened                                      */
    int32_t partition_count;
    struct partition partitions[PL_PARTITIONS_MAX];

    uint32_t instrument_count;     /* names whose partition is known                       */
    struct instrument instruments[PL_INSTRUMENTS_MAX];
    struct pl_pegs pegs;           /* of the set in force                                  */
    uint32_t averaged_count;       /* options that settle at an average; grids.c's own     */
    uint32_t averaged[PL_OPTIONS_MAX];
    uint64_t averaged_epoch;
    uint32_t touched_count;
    uint32_t touched[PL_INSTRUMENTS_MAX];

    /* For the probes' thread. */
    _Atomic int condition;
    _Atomic int32_t stalled_partition; /* has work and does not advance; -1: none          */
};

/* ---- partition.c ---- */

/* Topics are there, and broadcasts have one partition. RETRY_TRANSPORT, FATAL_CONFIG. */
enum pl_err price_check_topics(struct price_service *service);
/* Follows the group and loads what is new: once per pass. RETRY_TRANSPORT, FATAL_*. */
enum pl_err price_follow(struct price_service *service);
/* The broadcast topics were read to the ends seen when they were opened. */
bool price_has_read_parameters(const struct price_service *service);
/* Looks whether owned partitions advance, and publishes their lag. */
void price_check_progress(struct price_service *service);
enum price_condition price_condition_of(const struct price_service *service);
const char *price_condition_text(enum price_condition condition);

/* The same, and the tail of marks. */
bool price_has_read_marks(const struct price_service *service);

/* ---- derive.c ---- */

/* A record of the parameters topic. A reject keeps what is in force. */
enum pl_err price_apply_parameters(struct price_service *service, const struct pl_record *record);
/* Publishes an effective set if one is due and prices-0 is ours: once per pass. RETRY, FATAL_*. */
enum pl_err price_publish_parameters(struct price_service *service);

/* ---- grids.c ---- */

/* A mark read from the topic, appended at at_ms: whether it settles an option, or counts in the average of
 * one. */
void price_see_mark(struct price_service *service, uint32_t index, const struct pl_mark *mark,
                    int64_t at_ms);
/* Publishes what is due of options' marks if prices-0 is ours: once per pass. RETRY, FATAL_*. */
enum pl_err price_publish_grids(struct price_service *service);

/* ---- price.c ---- */

/* One pass. RETRY: nothing to reach now, call again; FATAL: leave the process. */
enum pl_err price_step(struct price_service *service);

#endif
