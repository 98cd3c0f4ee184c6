/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to decisions to bytes: what the live service, replay and explain share, so that they
 * cannot differ (G2). No Kafka, clock, log or metric in here: records and the clock come in, outputs
 * come out.
 *
 *   struct venue   what the broadcast topics say: marks, parameters, chains, halts
 *   struct ledger  what one partition's topics say: the book, and what has not been decided yet
 *
 * apply.c  records to venue and ledger (steps 2 and 3 of the event's path)
 * decide.c venue and ledger to outputs (steps 4 to 6)
 * confirm.c the fast evaluator's verdicts against the plain one
 *
 * Both structs are functions of the records applied, in the order of each topic partition; the order
 * between topics does not matter until something is decided. What was applied stays applied. What is
 * decided is staged, and becomes the state by ledger_settle.
 */
#ifndef PL_SERVICES_LIQUIDATION_CORE_H
#define PL_SERVICES_LIQUIDATION_CORE_H

#include "lib/kafka/consumer.h" /* struct pl_record */
#include "lib/wire/wire.h"

enum { PL_HALTED_ACCOUNTS_MAX = 256 }; /* more than this many single halts halt everything */

/* ---- venue ---------------------------------------------------------------------------------- */

struct venue {
    struct pl_wire *wire;
    struct pl_names *names;
    struct pl_parameters *parameters, *parameters_spare; /* in force / being decoded            */
    struct pl_mark *marks;
    struct pl_option_grid *grids; /* of marks, by instrument; most are never touched            */
    struct pl_market *market;

    bool has_parameters, is_halted, control_damaged;
    uint64_t control_epoch;
    uint32_t halted_count;
    struct pl_id halted[PL_HALTED_ACCOUNTS_MAX];
    uint32_t chain_halt_count;
    struct pl_chain_halt chain_halts[PL_CHAIN_HALTS_MAX];
};

/* What a broadcast record did, for whoever logs it or caches it. */
struct venue_news {
    enum { VENUE_NOTHING, VENUE_MARK, VENUE_PARAMETERS, VENUE_CONTROL } kind;
    uint32_t instrument;       /* of a mark                                                    */
    struct pl_control control; /* of a control record                                          */
};

/* Decodes a set by `names`, which begin as the venue's do, and checks that it could follow the one in
 * force but for its epoch, which a draft may choose as it likes. */
enum pl_err venue_draft(const struct venue *venue, struct pl_names *names, struct pl_bytes_view bytes,
                        struct pl_parameters *parameters);
/* Applies a record of marks, parameters, chains or control. A reject leaves everything as it was,
 * except that control which cannot be read halts everything until a readable resume of everything
 * (G8). */
enum pl_err venue_apply(struct venue *venue, const struct pl_record *record,
                        struct venue_news *news);
/* Forgets all marks and quotes: another process begins to read them elsewhere. */
void venue_forget_marks(struct venue *venue);
/* Quotes at `now_ms`; nothing while there are no parameters. */
void venue_update(struct venue *venue, int64_t now_ms);
bool venue_halts(const struct venue *venue, const struct pl_id *account);

/* ---- ledger --------------------------------------------------------------------------------- */

/* A record that could not be applied, kept until the transaction that says so (G7). */
struct dead_letter {
    enum pl_topic topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    enum pl_err err;
    const char *text;
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

/* Memory belongs to whoever makes the ledger. */
struct ledger {
    int32_t number, partition_count;
    struct pl_book *book;
    struct pl_watermark watermark;
    int64_t news_from; /* holdings from this offset on are news; those before were accounted for  */

    /* What the next decision has to look at. Survives an abort. */
    bool decide_all;
    uint64_t changed_mask;
    uint32_t touched_count, touched_capacity;
    uint32_t *touched; /* rows */
    uint32_t execution_count, execution_capacity;
    struct ledger_execution { struct pl_execution report; uint32_t index; } *executions;
    uint32_t dead_count, dead_capacity;
    struct dead_letter *dead;
    struct pl_arena *letters; /* what the dead letters borrow; shared by ledgers                 */
};

/* Room of a book of so many accounts: legs and remembered fills are counted together, since few accounts
 * have many. An account that finds no room is refused and in doubt, so there is plenty: address space
 * costs nothing until it is used. The live service and replay must have the same room. */
struct pl_book_limits ledger_book_limits(uint32_t accounts_max);

/*
 * Applies a record of holdings, executions or accounts (a state that this service once wrote). A reject
 * is to be told by ledger_reject unless ledger_is_told says that it needs no telling; the account that
 * a bad holdings record speaks of is in doubt until the next good one (G4). FATAL_DIVERGED: a state
 * record cannot be read.
 */
enum pl_err ledger_apply(struct ledger *ledger, struct venue *venue, const struct pl_record *record);
/* A reject of what was accounted for before, or a repeated version: no damage, no dead letter. */
bool ledger_is_told(const struct ledger *ledger, const struct pl_record *record, enum pl_err err);
/* Keeps a copy of a record for the step's dead letters, with pl_err_text(). dead_count must be below
 * dead_capacity. */
void ledger_reject(struct ledger *ledger, const struct pl_record *record, enum pl_err err);
/* A copy of a rejected record in `arena`. */
void dead_letter_keep(struct dead_letter *dead, struct pl_arena *arena,
                      const struct pl_record *record, enum pl_err err, const char *text);
/* What a step has accounted for: causes are forgotten, dead letters are told. */
void ledger_forget_causes(struct ledger *ledger);
void ledger_forget_dead(struct ledger *ledger, bool is_deciding);
/* Reports count in the journal's vector only once they are decided on, and so do their rejects. */
bool dead_letter_is_due(const struct dead_letter *dead, bool is_deciding);

/* ---- deciding ------------------------------------------------------------------------------- */

struct output {
    enum pl_topic topic;
    int32_t partition; /* negative: by key */
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
};

struct staged_state {
    uint32_t index;           /* row; of what is below, UINT32_MAX                              */
    const struct pl_budget *budget; /* what the brake has let pass, in place of a state; else NULL */
    struct pl_account_state state;
    struct pl_digest digest;  /* of the output that says so */
    struct pl_verdict verdict;
    struct pl_ratios ratios;
};

/* One step's outputs, in produce order, and states. Values are borrowed from the venue's wire, all else
 * from `arena`. */
struct staging {
    struct pl_arena *arena;
    struct output *outputs;
    uint32_t output_count, output_capacity;
    struct staged_state *states;
    uint32_t state_count, state_capacity;
};

/* Who writes: for the headers of dead letters and the journal header of every output. */
struct writer { const char *slot, *build; const char *const *topic_names; uint64_t sequence; };

/* Called for each account that was looked at and needs nothing; may be NULL. */
typedef void decided_unchanged(void *context, const struct pl_decision *decision);

/*
 * Decides the accounts in `rows`, which come in order of account id, after venue_update: orders, alerts
 * and a state for each that changed, largest expected loss first; who waits for the brake before all
 * others. Then what was used of the brake's budgets, if anything was. FATAL_SYSTEM when a value does not
 * fit.
 */
enum pl_err ledger_decide(const struct ledger *ledger, struct venue *venue, const uint32_t *rows,
                          uint32_t row_count, const struct writer *writer, struct staging *staging,
                          decided_unchanged *unchanged, void *context);
/* One account, without staging anything: for ledger_decide, the self-audit and explain. Its sale is what
 * it would be if nobody else sold, unless the market says what the brake leaves. */
void ledger_decide_account(const struct ledger *ledger, struct venue *venue, uint32_t row,
                           struct pl_decision *decision);
/* The dead letters that are due, in the order of topic, partition and offset. */
enum pl_err ledger_stage_dead_letters(struct ledger *ledger, struct venue *venue, bool is_deciding,
                                      const struct writer *writer, struct staging *staging);
/* Digest of all states as the staged ones would leave them. */
struct pl_digest ledger_settled_digest(const struct ledger *ledger,
                                       const struct staged_state *states, uint32_t count);
/* Makes `count` staged states the states. */
enum pl_err ledger_settle(struct ledger *ledger, const struct staged_state *states, uint32_t count);

/* Whether a loaded partition may decide at `now_ms`: not while the position service's watermark is
 * older than the policy allows (G4), nor while it is as far in the future: it would be believed until
 * then. */
enum pl_readiness ledger_readiness(const struct ledger *ledger, const struct venue *venue,
                                   int64_t now_ms);
/* Where the entry's vector stands in a topic; NULL where it has no coordinate. */
const struct pl_coordinate *journal_coordinate(const struct pl_journal *journal,
                                               enum pl_topic topic);

/* The partition in whose journal rejects of broadcast topics are told. */
enum { BROADCAST_WRITER = 0 };

#endif
