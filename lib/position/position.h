/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From position events to holdings (DESIGN section 4). Pure. Path: positions topic -> apply ->
 * holdings topic. The full record of an account is the state: whatever is needed to go on, to undo a
 * reorganisation and to refuse a duplicate is in it, so the service recovers from its own output.
 */
#ifndef PL_POSITION_POSITION_H
#define PL_POSITION_POSITION_H

#include "lib/base/amount.h"
#include "lib/plimsoll.h"

enum {
    PL_RECORD_SOURCES_MAX = 16, /* sources of one account                                     */
    PL_RECORD_TAIL_MAX = 256,   /* changes of one account that are not final                  */
};

enum pl_position_kind { PL_POSITION_SNAPSHOT = 1, PL_POSITION_DELTA, PL_POSITION_RETRACTION };

struct pl_position_leg {
    struct pl_id instrument;
    struct pl_amount quantity; /* signed                                                       */
    struct pl_amount cost;     /* USD; zero where the event has none                           */
};

struct pl_position_applied {
    uint8_t order_id[PL_ORDER_ID_BYTES];
    struct pl_amount cumulative; /* magnitude                                                  */
};

/* A decoded PositionEvent. */
struct pl_position_event {
    struct pl_id account, source, chain; /* chain of size 0: final at once                     */
    uint64_t sequence, previous_sequence, retracts, block_height;
    enum pl_position_kind kind;
    int64_t event_time_ms;
    bool has_cash, has_mode;
    uint32_t mode;
    struct pl_amount cash;
    uint32_t leg_count, applied_count;
    struct pl_position_leg legs[PL_LEGS_MAX];
    struct pl_position_applied applied[PL_APPLIED_MAX];
};

struct pl_record_leg {
    struct pl_id instrument;
    uint32_t source;           /* index in the record's sources                                */
    struct pl_amount quantity, cost; /* everything seen                                        */
    bool has_lots;             /* the instrument is listed                                     */
    uint32_t lot_decimals;
    int64_t lots, settled_lots; /* seen / final only, floor of the signed amount               */
    int64_t credited_lots;      /* >= 0: what confirmations let count beyond the settled ones  */
};

struct pl_record_source {
    struct pl_id id, chain;
    uint64_t sequence;
    int64_t event_time_ms;
    bool has_gap;
    bool settles_by_time;      /* never says which orders its events contain (parameters)      */
    struct pl_amount cash;
};

/* A change that is not final: of a leg, or of the source's cash where instrument has size 0. */
struct pl_record_tail {
    uint32_t source;
    struct pl_id instrument;
    uint64_t sequence, block_height;
    struct pl_amount quantity, cost; /* of cash: quantity                                      */
    bool mended_gap;           /* it came with the snapshot that mended a gap                  */
};

/* The whole of a Holdings record, as the position service keeps it. About 100 KB: scratch space. */
struct pl_record_holdings {
    struct pl_id account;
    uint64_t version, positions_offset;
    int64_t written_ms;
    uint32_t mode;   /* that the account is in; 0: none                                        */
    bool is_tainted; /* the last position record could not be read; the next event clears it   */
    uint32_t leg_count, source_count, tail_count, applied_count;
    struct pl_record_leg legs[PL_LEGS_MAX];          /* by instrument id, then source id       */
    struct pl_record_source sources[PL_RECORD_SOURCES_MAX]; /* in order of appearance          */
    struct pl_record_tail tail[PL_RECORD_TAIL_MAX];  /* in order of application                */
    struct pl_position_applied applied[PL_APPLIED_MAX]; /* oldest first; the oldest makes room */
};

/*
 * Applies an event to the account's record (zeroed but for `account` when the account is new): all
 * legs or none.
 *   REJECT_STALE     sequence not above the source's last: a duplicate, nothing changed
 *   REJECT_CONFLICT  a retraction of something that is final or was never seen: nothing changed but
 *                    the source is marked with a gap, which is to be published
 *   REJECT_SIZE      more legs, sources or unfinalised changes than fit: nothing changed but the gap
 *   REJECT_OVERFLOW  an amount leaves 128 bits: nothing changed but the gap
 * A delta whose previous_sequence is not the source's last is applied and marks a gap; a snapshot
 * mends it. A snapshot is applied as the difference to what the source had, so that it can be taken
 * back too. Legs that become zero and have no unfinalised change are dropped.
 * A retraction takes back exactly the changes with sequence `retracts` and marks a gap if that was a
 * snapshot which had mended one.
 */
enum pl_err pl_record_apply(struct pl_record_holdings *record,
                            const struct pl_position_event *event);

/* Forgets what `chain` has finalised up to `height`. True when anything changed. */
bool pl_record_finalise(struct pl_record_holdings *record, const struct pl_id *chain,
                        uint64_t height);

/* A chain's newest block. */
struct pl_chain_head { struct pl_id chain; uint64_t height; };

/* Derives lots, settled lots and how each source settles by the parameters in force: floor of the
 * signed amount, so that assets round down and debts up in size. An unlisted instrument has no lots.
 * Credited lots are, of each inflow that is not final, the part that the instrument's confirmations let
 * count at its chain's head, in lots rounded down; a chain without head credits nothing.
 * Readers take these from the record and need no parameters to decode it: holdings are a function of
 * the topic alone. REJECT_OVERFLOW names the leg. */
enum pl_err pl_record_convert(struct pl_record_holdings *record, const struct pl_names *names,
                              const struct pl_parameters *parameters,
                              const struct pl_chain_head *heads, uint32_t head_count);

/*
 * What the liquidation service evaluates: legs of one instrument summed over sources, the counted
 * lots = min(seen, settled + credited) per row, cash less cost in VU rounded down. REJECT_OVERFLOW when a sum
 * leaves its range, REJECT_SIZE.
 */
enum pl_err pl_record_to_holdings(const struct pl_record_holdings *record, struct pl_names *names,
                                  struct pl_holdings *holdings);

#endif
