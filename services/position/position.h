/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The position service: position events in, absolute holdings out (DESIGN section 4). The same
 * transactional loop as the liquidation service, because its output is compacted: a zombie's stale
 * append would outlive the newer record.
 */
#ifndef PL_SERVICES_POSITION_H
#define PL_SERVICES_POSITION_H

#include "lib/kafka/consumer.h"
#include "lib/kafka/txn.h"
#include "lib/wire/wire.h"
#include "services/position/settings.h"
#include "services/position/store.h"

enum { PL_CHAINS_MAX = 256 };

enum partition_stage {
    STAGE_FREE,      /* not ours                                                  */
    STAGE_RESOLVING, /* the committed offset waits to become stable               */
    STAGE_RESTORING, /* reading our own holdings to the high watermark            */
    STAGE_RUNNING,
};

struct partition {
    int32_t number;
    enum partition_stage stage;
    int64_t retry_at_ms;
    void *block;
    size_t block_bytes;
    struct store *store;
    int64_t positions_committed, holdings_end;
    int64_t newest_input_ms;     /* timestamp of the newest position record applied  */
    int64_t watermark_mono_ms;   /* when the last watermark was published            */
    uint32_t sweep_next;         /* row at which the restatement goes on             */
    bool sweep_all;              /* parameters or finality changed: look at everyone */
    uint8_t *may_wait;           /* by row: has changes that its chain has not finalised */
    bool head_moved;             /* … since the last look at those                   */
    uint32_t waiting_next;       /* row at which that look goes on                   */
};

struct output {
    enum pl_topic topic;
    int32_t source; /* the partition whose transaction part it is */
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

struct position_service {
    const struct pl_position_settings *settings;
    struct pl_kafka_settings kafka;
    struct pl_group *group;
    struct pl_reader *broadcast, *data, *probe;
    struct pl_txn *txn;

    struct pl_wire *wire;
    struct pl_names *names;
    struct pl_parameters *parameters, *parameters_spare;
    bool has_parameters, broadcast_added;
    int64_t parameters_end, chains_end;
    uint32_t chain_count;
    struct pl_chain_status chains[PL_CHAINS_MAX];
    struct pl_chain_head heads[PL_CHAINS_MAX]; /* of the same chains */
    bool has_confirmations;      /* some instrument does: heads matter */

    int32_t partition_count;
    struct partition *partitions;

    struct pl_record_holdings *record; /* the account at hand */
    struct pl_position_event *event;
    struct pl_arena stage;             /* copies of bad records and headers of the step */
    struct output *outputs;
    uint32_t output_count, output_capacity;
};

enum pl_err position_step(struct position_service *service);
/* For the probes: every owned partition is running. Fields are read by the HTTP thread. */
bool position_is_running(const struct position_service *service);

#endif
