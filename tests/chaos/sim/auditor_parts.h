/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the auditor's files share. From a record to a finding:
 *   auditor.c         what was fed, in order; offsets, the router, the end
 *   auditor_base.c    memory, names, hashes, the finding
 *   auditor_read.c    bytes to plain facts, or bad
 *   auditor_set.c     the same of parameter sets
 *   auditor_entry.c   one journal entry
 *   auditor_letters.c its dead letters
 *   auditor_margin.c  margin excess and sales, by GMP
 *   auditor_rules.c   what an account's next state and alerts have to be
 *   auditor_brake.c   the budget over the sales of several accounts
 *   auditor_calls.c   timers, ratios and cures of its margin calls
 *   auditor_sale.c    what its orders have to be
 *   auditor_call.c    which call of a contract executes one
 *
 * Of plimsoll.h only the limits and the names of tiers, states and reasons are used, which are
 * those of the schemas.
 */
#ifndef PL_TESTS_CHAOS_SIM_AUDITOR_PARTS_H
#define PL_TESTS_CHAOS_SIM_AUDITOR_PARTS_H

#include <gmp.h>

#include "lib/plimsoll.h"
#include "plimsoll/v1/account_state.pb-c.h"
#include "plimsoll/v1/forced_sale_order.pb-c.h"
#include "plimsoll/v1/journal_entry.pb-c.h"
#include "plimsoll/v1/margin_call.pb-c.h"
#include "plimsoll/v1/mark.pb-c.h"
#include "plimsoll/v1/parameter_set.pb-c.h"
#include "tests/chaos/sim/auditor.h"

enum { AUDITOR_NAMES_MAX = 256, HASH_BYTES = 32, DIGEST_BYTES = 16 };

/* ---- names of findings ----------------------------------------------------------------------- */

#define I1         "I1 input is accounted for"
#define I2         "I2 no duplicate order"
#define I3         "I3 one plan"
#define I4         "I4 no sale on doubt"
#define I5         "I5 valid until"
#define I6         "I6 atomic"
#define I7         "I7 aborted is unseen"
#define I9         "I9 versions in order"
#define I10        "I10 bounded"
#define I11        "I11 everyone is helped in the end"
#define I12        "I12 chain of hashes"
#define V_STATE    "V state"
#define V_ALERT    "V alert"
#define V_ORDER    "V order"
#define V_HALT     "V no order after a halt"
#define V_PENDING  "V pending is never sold again"
#define V_ABOVE    "V sold above the line"
#define V_MISSED   "V missed below the line"
#define V_SMALLEST "V smallest sale"

/* ---- memory of a seed (auditor_base.c) ------------------------------------------------------- */

struct chunk {
    struct chunk *next;
    size_t size_bytes, used_bytes;
    _Alignas(16) uint8_t bytes[];
};
struct memory {
    struct chunk *first, *now;
};

/* Zeroed, until the next reset. */
void *auditor_take(struct memory *memory, size_t size_bytes);
void auditor_memory_reset(struct memory *memory);
void auditor_memory_free(struct memory *memory);

/* Instruments get a number below AUDITOR_NAMES_MAX for the seed. */
struct names {
    int count;
    const char *text[AUDITOR_NAMES_MAX];
};
int auditor_name(struct names *names, const char *text); /* borrows the text until reset */

/* ---- what records say (auditor_read.c) ------------------------------------------------------- */

struct leg {
    int instrument;
    bool is_unlisted; /* its lots are not known: only their sign */
    bool is_by_time;  /* settles by time                         */
    int64_t lots, final_lots;
    int64_t credited; /* of them, not final yet: not for sale */
};

struct applied {
    uint8_t order_id[PL_ORDER_ID_BYTES];
    pl_i128 mantissa;
    int exponent;
};

struct holdings {
    const char *account;
    uint64_t version;
    int64_t event_time_ms;
    bool has_gap;
    int mode;
    pl_i128 cash_vu, final_cash_vu;
    int leg_count, applied_count;
    struct leg *legs;
    struct applied *applied;
    uint8_t digest[DIGEST_BYTES];
};

enum { AUDITOR_SCENARIOS_MAX = 16 };
struct grid {
    int bits, first, count;
    const int64_t *low[4], *high[4]; /* as it is, then with volatility up, mid, down */
};
struct mark {
    int instrument;
    bool is_given;
    enum pl_mark_status status;
    uint64_t source_offset, tick;
    int64_t mantissa, low, high, event_time_ms;
    int exponent;
    const struct grid *grid; /* of an option */
};

struct execution {
    const char *account;
    uint8_t order_id[PL_ORDER_ID_BYTES];
    bool is_terminal;
    pl_i128 mantissa;
    int exponent;
    int64_t event_time_ms;
};

struct control {
    const char *account; /* NULL: everything */
    bool is_halt;
    uint64_t epoch;
};

/* What is known of one chain; times are -1 where nothing is halted. */
struct chain {
    const char *name;
    int64_t halted_since_ms;
    int bridge_count;
    struct {
        const char *name;
        int64_t halted_since_ms;
    } bridges[64];
};

/* Coefficients by tier, as in the message. */
struct tiers {
    int64_t at[PL_TIER_COUNT];
};
struct rules {
    bool is_listed;
    int kind;
    unsigned lot_decimals, tick_decimals;
    int64_t multiplier;
    struct tiers haircut_long, haircut_short;
    int load_count, bracket_count, loss_count;
    struct {
        int factor;
        struct tiers load;
    } loads[PL_LOADS_MAX];
    struct {
        int64_t threshold_usd;
        struct tiers rate;
    } brackets[PL_BRACKETS_MAX];
    struct {
        int dependency;
        struct tiers loss;
    } losses[PL_LOSSES_MAX];
    int64_t cap; /* of a haircut that follows volatility; 0: it does not */
    int64_t confidence, discount, age_ms_max, bad_low, bad_high;
    const char *chain, *bridge; /* NULL: none */
    int64_t step, notional_usd, slice_usd; /* lots; 0: none */
    int rung_count;
    struct rung { int64_t usd_max, discount; } rungs[PL_DEPTH_MAX];
    int rank; /* in the liquidity order, from 1; 0: never sold */
    int64_t own_haircut; /* of the maintenance tier, before volatility raised it */
    int contract;        /* which one holds it, from 1; 0: none                  */
    int64_t bonus;
    const char *token;   /* NULL: not said */
    int underlying; /* whose scenarios it takes part in; -1: none */
    int volatility; /* of an option, and the rest */
    bool is_put;
    int64_t strike, expiry_ms, averaging_ms;
};
struct contract {
    const char *name, *chain;
    int rule; /* as in the message */
    int64_t close_factor, full_below, small_usd;
};
/* One weight of a mode: of the account's (0: none) or of what it owes (-1: none). */
struct mode_weight {
    int mode, debt, instrument;
    struct tiers haircut_long, haircut_short;
    int64_t bonus;
};
struct scenario {
    int64_t move;
    int layer;
    struct tiers weight;
};
struct set {
    uint64_t epoch, base_epoch; /* 0: not said */
    int rule_count; /* rules of instruments numbered below */
    struct rules *rules;
    int contract_count;
    struct contract contracts[PL_CONTRACTS_MAX];
    int64_t order_valid_ms, order_overdue_ms, revision_pause_ms, restricted_hold_ms;
    int64_t hysteresis, watermark_age_ms_max, halt_ramp_ms, call_interval_ms_min, grace_ms;
    int64_t bad_debt_dust_usd, brake_window_ms, brake_depth;
    bool closes_hopeless;
    int64_t close_factor, close_full_usd, close_full_health, close_left_usd;
    int mode_weight_count;
    struct mode_weight *mode_weights;
    bool modes[PL_MODES_MAX];
    int scenario_count;
    struct scenario scenarios[AUDITOR_SCENARIOS_MAX];
    struct tiers short_minimum, scenario_load; /* load: the largest weight times move */
};

/* The rules of an instrument; NULL where it is not listed. */
const struct rules *auditor_rules_of(const struct set *set, int instrument);

/* Each NULL where the record is bad: to be refused by whoever reads it. */
struct reader {
    struct memory *memory;
    struct names *names;
    int32_t partition_count;
};
struct holdings *auditor_read_holdings(const struct reader *reader, const struct pl_record *record);
bool auditor_read_watermark(const struct reader *reader, const struct pl_record *record,
                            int64_t *time_ms);
struct mark *auditor_read_mark(const struct reader *reader, const struct pl_record *record);
struct execution *auditor_read_execution(const struct reader *reader,
                                         const struct pl_record *record);
struct control *auditor_read_control(const struct reader *reader, const struct pl_record *record);
struct set *auditor_read_set(const struct reader *reader, const struct pl_record *record);
struct chain *auditor_read_chain(const struct reader *reader, const struct pl_record *record);
/* Whether `next` may follow `last` (NULL: none). */
bool auditor_set_follows(const struct set *last, const struct set *next);
/* Any message of ours; NULL when it cannot be read. */
void *auditor_unpack(struct memory *memory, const ProtobufCMessageDescriptor *descriptor,
                     struct pl_bytes_view value);
/* The same of an input, whose topic allows so many bytes. */
void *auditor_unpack_within(const struct reader *reader,
                            const ProtobufCMessageDescriptor *descriptor,
                            struct pl_bytes_view value, size_t size_bytes_max);
bool auditor_is_id(const char *text);
bool auditor_is_enum(bool is_present, int value, const ProtobufCEnumDescriptor *descriptor);
bool auditor_is_time(bool is_present, int64_t value);
bool auditor_is_watermark(struct pl_bytes_view key);
/* The key hashes to the record's partition. */
bool auditor_is_at_home(const struct reader *reader, const struct pl_record *record);
/* The account that a key names, as text until reset; NULL: none can be. */
const char *auditor_key_account(struct memory *memory, struct pl_bytes_view key);
/* Whether an output's two fields, both of them there, name `whole`. */
bool auditor_names(const char *whole, const char *account, const char *bucket);
/* "account~bucket", the account alone where it has no bucket; NULL: no such names. */
const char *auditor_whole_id(struct memory *memory, const char *account, const char *bucket);
bool auditor_read_uuid(const char *text, uint8_t id[PL_ORDER_ID_BYTES]);
/* "-1500" and an exponent; false when it is no amount. */
bool auditor_read_amount(const Plimsoll__V1__Amount *amount, pl_i128 *mantissa, int *exponent);
void auditor_digest(struct pl_bytes_view key, struct pl_bytes_view value,
                    uint8_t digest[DIGEST_BYTES]);

/* ---- margin (auditor_margin.c) --------------------------------------------------------------- */

struct quote {
    enum pl_mark_status status; /* LIVE only while fresh */
    bool is_priced;
    int64_t ticks, lot_vu, low_vu, high_vu, bad_low_vu, bad_high_vu;
    int64_t short_vu;           /* of a lot that is owed */
    bool is_stuck;              /* on a halted chain or bridge */
    struct tiers halt_haircut;  /* of what is owned, on top of its haircut */
    int64_t halt_whole, halt_thousandths[PL_TIER_COUNT]; /* where a haircut goes, and how far it is */
    /* Of an option: now and in each scenario; the underlying value of a lot. */
    int64_t low[1 + AUDITOR_SCENARIOS_MAX], high[1 + AUDITOR_SCENARIOS_MAX];
    int64_t notional_vu, doubtful_notional_vu, peak_vu;
};
/* Of a mark (which may not be given) under the rules, whatever the time. */
struct quote auditor_quote(const struct rules *rules, const struct mark *mark);
/* What halted chains make of it; `since_ms` -1: nothing is halted. */
void auditor_halt(const struct set *set, const struct rules *rules, int64_t since_ms,
                  int64_t now_ms, struct quote *quote);
bool auditor_is_fresh(const struct rules *rules, const struct mark *mark, int64_t now_ms);

struct portfolio {
    const struct set *set;
    const struct quote *quotes; /* by instrument number */
    const int64_t *left;        /* what the brake leaves, likewise; NULL: no brake */
    int leg_count;
    struct leg legs[PL_LEGS_MAX];
    /* What decides on modes: the holdings, whatever is sold in thought. */
    int mode, held_count;
    const struct leg *held;
    bool owes_cash, may_owe_cash;
    mpz_t cash, final_cash; /* VU */
    bool is_beyond;         /* pending orders cannot be valued */
    bool is_health_low;     /* the close factor does not bind  */
};

/* Where one leg may be: its value and the charge for its price interval at each end. */
struct ends {
    mpz_t value[2], charge[2];
};

/* Options (auditor_options.c). */
bool auditor_read_scenarios(const Plimsoll__V1__ParameterSet *from, struct set *set);
bool auditor_read_option(const struct reader *reader,
                         const Plimsoll__V1__ParameterSet__Instrument *from, struct rules *rules);
bool auditor_options_are_valid(const struct set *set);
/* Borrows from the message. NULL: bad. */
struct grid *auditor_read_grid(const struct reader *reader, const Plimsoll__V1__OptionGrid *from);
struct quote auditor_option_quote(const struct set *set, const struct rules *rules,
                                  const struct mark *mark, const struct quote *under);
/* Whether more of the leg never lowers the excess, with so much asked for by scenarios, ppm. */
bool auditor_grows(const struct portfolio *portfolio, const struct leg *leg, int tier,
                   int64_t scenarios);
/* VU ppm; end 1 is the best. */
void auditor_scenario_charge(const struct portfolio *portfolio, int tier, int end,
                             const struct ends ends[], mpz_t charge);
bool auditor_options_are_in_range(const struct portfolio *portfolio);

/* Bounds of the excess at each tier. A bound that nothing gives is beyond 10^50 in size. */
struct verdict {
    bool is_out_of_range;
    bool is_certain; /* no leg is open: both bounds are the excess                            */
    bool is_loose;   /* the bounds are only known to lie between the tight and the loose ones */
    mpz_t low[PL_TIER_COUNT], high[PL_TIER_COUNT];
    mpz_t loose_high[PL_TIER_COUNT]; /* of a loose verdict: the greatest any reading allows     */
    mpz_t equity_low, equity_high, gross;
    mpz_t collateral_low, debt_high;   /* values above 0 and below it, as a size              */
    mpz_t weighted_low, weighted_high; /* debts with their premium at maintenance, VU ppm      */
    int doubt_count;
    struct pl_doubt doubts[PL_DOUBTS_MAX]; /* instrument: our number, or UINT32_MAX             */
};

void auditor_margin_open(void);
void auditor_margin_close(void);
void auditor_portfolio_init(struct portfolio *portfolio);
void auditor_portfolio_clear(struct portfolio *portfolio);
void auditor_verdict_init(struct verdict *verdict);
void auditor_verdict_clear(struct verdict *verdict);
void auditor_evaluate(const struct portfolio *portfolio, struct verdict *verdict);
/* The upper bound of one tier alone. False when it is out of range or not known exactly. */
bool auditor_upper(const struct portfolio *portfolio, enum pl_tier tier, mpz_t excess);
/* The same for whatever is to reach a goal: where debts decide on haircuts and no cash is owed, that none is
 * counts, too, or the cash would be one debt more. The lesser of the two. */
bool auditor_upper_within_cash(const struct portfolio *portfolio, enum pl_tier tier, mpz_t excess);
bool auditor_is_unbounded(const mpz_t number);
/* VU of so many lots at an order's limit. */
void auditor_value_at(mpz_t value, int64_t lots, int64_t mantissa, int exponent, int lot_decimals);
/* Executes a sale leg (negative lots: takes it back). */
void auditor_execute(struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots,
                     int64_t limit_ticks);
/* Lots of a leg that may be traded, and at which limit; 0: none. */
/* The limit of an order of so many lots, how many lots of so many an order may have, and whether so many are
 * too few for the venue. */
int64_t auditor_limit(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots);
int64_t auditor_slice(const struct portfolio *portfolio, int instrument, bool is_sell,
                      int64_t whole);
bool auditor_is_small(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots);
/* Whether so many are too few to be left of a leg, by the venue or by the policy. */
bool auditor_is_scrap(const struct portfolio *portfolio, int instrument, bool is_sell, int64_t lots);
int64_t auditor_tradable(const struct portfolio *portfolio, const struct leg *leg,
                         int64_t *limit_ticks);
/* The same if it may be sold by force. */
/* In whole steps of its venue, at the limit of an order for all of it; 0 where that is too little. */
int64_t auditor_saleable(const struct portfolio *portfolio, const struct leg *leg,
                         int64_t *limit_ticks);
/* floor(mantissa * 10^(exponent + decimals)), at most INT64_MAX. */
int64_t auditor_lots(pl_i128 mantissa, int exponent, unsigned decimals);
void auditor_set_i128(mpz_t number, pl_i128 value);

/* ---- rules (auditor_rules.c) ----------------------------------------------------------------- */

struct pending {
    uint8_t order_id[PL_ORDER_ID_BYTES];
    int instrument;
    bool is_sell;
    enum pl_progress progress;
    int lot_decimals, limit_exponent;
    int64_t ordered, executed, applied, limit, valid_until_ms, reported_ms;
};

struct told_state {
    enum pl_state state;
    int64_t told_ms;
};

/* An AccountState, or what it has to be. */
struct state {
    enum pl_state state;
    int64_t since_ms, whole_since_ms, revision_after_ms;
    uint64_t episode, version;
    uint32_t revision;
    int64_t called_ms, due_ms;
    pl_i128 bad_debt; /* 10^-12 USD; 0: not told */
    int64_t braked_ms; /* 0: does not wait */
    int doubt_count, pending_count, told_count;
    struct told_state told[PL_TOLD_MAX];
    struct pl_doubt doubts[PL_DOUBTS_MAX];
    struct pending pending[PL_PENDING_MAX];
};
/* Reads our own record; false when it cannot be one. */
bool auditor_read_state(struct names *names, const Plimsoll__V1__AccountState *from,
                        struct state *state);

struct account {
    const char *id;
    const struct holdings *holdings; /* NULL: none yet */
    bool is_tainted, is_new;         /* is_new: not there at the entry before */
    bool has_state;
    struct state state; /* the newest published */
    uint8_t state_digest[DIGEST_BYTES];
    uint64_t ordered_version;               /* I9: the highest that an order has seen */
    int executions_first, executions_count; /* of this entry, in the partition's list */
    /* The verdict is a function of what `is_dirty` watches and of quotes. */
    bool is_dirty;
    uint64_t evaluated_at; /* compared with quote_changed */
    struct verdict *verdict;
};

/* One decision as it was published. */
struct decision {
    struct account *account;
    int order_count, alert_count;
    const Plimsoll__V1__ForcedSaleOrder **orders;
    const Plimsoll__V1__MarginCall **alerts;
    const Plimsoll__V1__AccountState *message; /* NULL: nothing was published */
    struct state state;                        /* its content */
    const int64_t *left; /* what the brake leaves at its turn; NULL: no brake */
};

/* Everything an entry decided with. */
struct scene {
    struct names *names;
    const struct set *set;
    const struct quote *quotes;
    const struct mark *marks;
    const uint64_t *quote_changed; /* by instrument: stamp of the last change */
    uint64_t stamp, set_changed;
    int64_t now_ms;
    uint64_t control_epoch;
    const struct execution *const *executions;
    const int64_t *left;                 /* what the brake leaves the account that is judged */
    struct portfolio *portfolio, *trial; /* scratch */
    struct auditor_counts *counts;
    struct auditor_finding *finding; /* filled by auditor_judge */
};
int64_t auditor_later(int64_t time_ms, int64_t duration_ms);
bool auditor_same_id(const uint8_t *a, const uint8_t *b);
/* The account's legs with what is pending in `state` counted as sold at its limits. */
void auditor_fill(const struct scene *scene, const struct account *account,
                  const struct state *state, struct portfolio *portfolio);
/* What a mode (of accounts, else 0) or a debt (else -1) says of the instrument; NULL: nothing. */
const struct mode_weight *auditor_mode_weight(const struct set *set, int mode, int debt,
                                              int instrument);
struct leg *auditor_find_leg(struct portfolio *portfolio, int instrument);
/* In doubt as a whole. */
bool auditor_is_blind(const struct scene *scene, const struct account *account,
                      const struct verdict *verdict);
bool auditor_has_overdue(const struct state *state);
/* Below the line for certain. */
bool auditor_is_below(const struct verdict *verdict, enum pl_tier tier);
bool auditor_is_sale_due(const struct scene *scene, const struct account *account,
                         const struct verdict *verdict, const struct state *state);
/* True when the account's decision (or its absence) is what it has to be. */
bool auditor_judge(const struct scene *scene, struct account *account, bool is_halted,
                   struct decision *decision);
/* For auditor_end: whether the account needs a sale and nothing explains that none is on its
 * way. */
bool auditor_is_forsaken(const struct scene *scene, struct account *account, bool is_halted,
                         char why[128]);
/* ---- margin calls (auditor_calls.c) ---------------------------------------------------------- */

/* The timers of a call, after the state has moved on from `left`. */
void auditor_call(const struct scene *scene, enum pl_state left, struct state *next);
/* The deadline whose passing has to be told; 0: none. Clears it. */
int64_t auditor_expire(const struct scene *scene, const struct account *account,
                       const struct verdict *verdict, struct state *next);
/* Whether entering the present state has to be told now; remembers it. */
bool auditor_tell(const struct scene *scene, const struct state *prior, struct state *next,
                  enum pl_state *left, int64_t *since_ms);
bool auditor_are_ratios_right(const struct verdict *verdict, const Plimsoll__V1__MarginCall *alert);
/* `state` is what it was when the verdict was made. */
bool auditor_are_cures_right(const struct scene *scene, const struct account *account,
                             const struct verdict *verdict, const struct state *state,
                             const Plimsoll__V1__MarginCall *alert);

/* ---- sales (auditor_sale.c) ------------------------------------------------------------------ */

/* Whether anything may be sold, whatever the plan. */
bool auditor_may_be_sold(const struct scene *scene, const struct account *account,
                         const struct verdict *verdict, const struct state *state, bool is_halted,
                         const struct decision *decision);
/* Whether the published orders are right; `state` is what it was before them. */
bool auditor_check_sale(const struct scene *scene, struct account *account,
                        const struct state *state, const struct decision *decision);
/* A due sale may be absent where nothing can be sold, nothing helps, the brake leaves nothing that does, or
 * there are no places. Sets the state to BANKRUPT where that follows. */
enum absence { ABSENCE_WRONG, ABSENCE_RIGHT, ABSENCE_HOPELESS, ABSENCE_NO_PLACE };
enum absence auditor_judge_absence(const struct scene *scene, const struct account *account,
                                   bool is_braked, struct state *state);
void auditor_add_pending(const struct scene *scene, const struct decision *decision,
                         struct state *state);
bool auditor_is_amount(const Plimsoll__V1__Amount *amount, const mpz_t number, int exponent);
/* Whether the order has the call that its contract's rule gives, or rightly none (auditor_call.c). */
bool auditor_check_call(const struct scene *scene, const struct account *account,
                        const Plimsoll__V1__ForcedSaleOrder *order);
/* Contracts of a set whose instruments are read; false where they are not valid. */
bool auditor_read_contracts(const struct reader *reader, const Plimsoll__V1__ParameterSet *from,
                            struct set *set);
/* What the brake makes of a plan: next->braked_ms and revision_after_ms. `before` is what it was before the
 * orders (auditor_brake.c). */
bool auditor_judge_brake(const struct scene *scene, const struct account *account,
                         const struct state *before, const struct decision *decision,
                         struct state *next);
/* Whether another revision has to wait: for its pause, or for the brake. */
bool auditor_is_paused(const struct scene *scene, const struct state *state);
/* Whether there is a sale, or one that the brake holds back whole. */
bool auditor_wants_sale(const struct decision *decision);
/* Since when a sale that is due has waited for the brake, as of the entry before; INT64_MAX: it has not. */
int64_t auditor_waits_since(const struct decision *decision);
/* 128 bits of SHA-256 in UUIDv8 shape, as text (37 bytes with terminator). */
void auditor_plan_id(const char *account, uint64_t episode, uint32_t revision,
                     uint8_t id[PL_ORDER_ID_BYTES]);
void auditor_order_id(const uint8_t plan_id[PL_ORDER_ID_BYTES], const char *instrument,
                      uint8_t id[PL_ORDER_ID_BYTES]);

/* Inputs in the order of a vector; from CONTROL on they are broadcast. */
enum { HOLDINGS, EXECUTIONS, CONTROL, PARAMETERS, CHAINS, MARKS, AUDITOR_COORDINATES };
enum { AUDITOR_HALTS_MAX = 256 };
extern const enum pl_topic auditor_inputs[AUDITOR_COORDINATES];

/* ---- what is kept of the log ----------------------------------------------------------------- */

/* A record as it was fed. */
struct seen {
    enum pl_topic topic;
    int32_t partition;
    int64_t offset;
    uint64_t txn;
    struct pl_bytes_view key, value;
    const struct pl_header *headers;
    unsigned header_count;
    uint8_t hash[HASH_BYTES]; /* inputs: of offset, key and value                             */
    void *facts;              /* inputs: what it says; outputs: its message                   */
    bool is_bad;              /* inputs: it must go to the dead letters                       */
    bool is_removed;
    int64_t time_ms;            /* a good watermark's                                           */
    const struct set *set;      /* parameters: in force after it                                */
    uint64_t sequence;          /* outputs: of their entry; 0: claimed                          */
    enum pl_topic origin_topic; /* dead letters                                               */
    int32_t origin_partition;
    int64_t origin_offset;
};

struct stream {
    struct seen *items;
    size_t count, capacity;
    int64_t *gone; /* offsets aborted, and those removed without having been fed */
    size_t gone_count, gone_capacity, removed_count;
};

struct list {
    void **items;
    size_t count, capacity;
};

struct commit {
    uint64_t txn;
    int topic;
    int64_t offset;
    bool is_matched;
};

struct partition {
    int32_t number;
    bool has_entry;
    uint64_t sequence;
    uint8_t last_hash[HASH_BYTES];
    int64_t clock_ms, marks_first;
    Plimsoll__V1__JournalEntry__Readiness readiness;
    int64_t vector[AUDITOR_COORDINATES];
    size_t next[AUDITOR_COORDINATES]; /* of the streams, to be applied */
    size_t next_entry;
    /* What the vector says. */
    int account_count, account_capacity;
    struct account **accounts; /* memory is kept from seed to seed */
    struct mark marks[AUDITOR_NAMES_MAX];
    struct quote raw[AUDITOR_NAMES_MAX], quotes[AUDITOR_NAMES_MAX];
    uint64_t quote_changed[AUDITOR_NAMES_MAX], stamp, set_changed;
    const struct set *set;
    int64_t watermark_ms;
    /* The brake's window that was used last, what was used of it, and what was last said of that. */
    int64_t brake_window_ms, brake_used[AUDITOR_NAMES_MAX];
    uint8_t brake_digest[DIGEST_BYTES];
    const struct seen *budget; /* of the entry that is judged */
    bool has_braked;           /* it has orders that count, */
    const Plimsoll__V1__ForcedSaleOrder *over_budget; /* and the first for which too little was left */
    bool is_halted, is_damaged;
    uint64_t control_epoch, diverged_epoch;
    int halt_count;
    const char *halts[AUDITOR_HALTS_MAX];
    struct list chains;     /* struct chain: the newest of each */
    struct list outputs;    /* of entries to come  */
    struct list entry_txns; /* of judged entries: struct entry_mark */
    struct list commits;
    int64_t committed[2];
    /* Of the entry being judged. */
    struct list executions, bad, decisions, letters;
};

struct entry_mark {
    uint64_t txn, sequence;
    int64_t offsets[2];
    bool is_matched[2];
};

struct known_order {
    uint8_t order_id[PL_ORDER_ID_BYTES], plan_id[PL_ORDER_ID_BYTES];
    const struct seen *seen;
    const Plimsoll__V1__ForcedSaleOrder *message;
};

struct auditor {
    struct auditor_options options;
    struct memory memory;
    struct names names;
    struct stream streams[PL_TOPIC_COUNT][AUDITOR_PARTITIONS_MAX];
    struct partition partitions[AUDITOR_PARTITIONS_MAX];
    struct list orders, events;
    struct portfolio portfolio, trial;
    struct auditor_counts counts;
    struct auditor_finding finding;
};

/* ---- what auditor.c lends -------------------------------------------------------------------- */

/* realloc that does not fail. */
void *auditor_allocate(void *old, size_t size_bytes);
void auditor_list_add(struct list *list, void *item);
struct stream *auditor_input_stream(struct auditor *auditor, int input, int32_t partition);
/* The last header of this name; NULL. */
const struct pl_header *auditor_header(const struct seen *seen, const char *name);
/* A finding about the entry that comes next; always false. */
bool auditor_fail(struct auditor *auditor, const struct partition *partition, const char *invariant,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The judged entry waits for the offsets of its transaction, or meets them (I6). */
void auditor_match_entry(struct auditor *auditor, struct partition *partition,
                         const struct seen *journal);

/* ---- the brake (auditor_brake.c) ------------------------------------------------------------- */

/* What is left at each decision's turn. */
void auditor_brake(struct auditor *auditor, struct partition *partition);
/* Whether no order took more, and the entry says rightly what was used. */
bool auditor_check_brake(struct auditor *auditor, struct partition *partition);

/* ---- entries (auditor_entry.c) --------------------------------------------------------------- */

/* Whether the next entry of the partition, all outputs of which are visible, is right. It then
 * counts as the last one. */
bool auditor_judge_entry(struct auditor *auditor, struct partition *partition,
                         const struct seen *journal);
/* Outputs that name this entry and are not claimed. */
size_t auditor_count_outputs(const struct partition *partition, uint64_t sequence);
/* I11: it decides, nothing is unread, nobody is left alone. */
void auditor_check_liveness(struct auditor *auditor, struct partition *partition,
                            const struct auditor_facts *facts);

struct account *auditor_find_account(const struct partition *partition, const char *id);

/* ---- dead letters (auditor_letters.c) -------------------------------------------------------- */

/* Inserts so that the list stays sorted by topic, partition and offset of origin. */
void auditor_insert_by_origin(struct list *list, struct seen *seen, bool is_letter);
/* Sorts the entry's reports: good ones stay, as what they say; one of an account that nobody has
 * is bad; one of an account that the same step's holdings brought may be either. */
void auditor_sort_executions(struct partition *partition, struct list *may_be_bad);
bool auditor_check_letters(struct auditor *auditor, struct partition *partition,
                           const struct list *may_be_bad);

/* ---- findings and hashes --------------------------------------------------------------------- */

/* Fills the finding if it is the first; always false. */
bool auditor_find(struct auditor_finding *finding, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* SHA-256 over parts, each after its length in four bytes where `has_length` (all ones: absent). */
struct hash;
struct hash *auditor_hash_begin(void); /* one at a time */
void auditor_hash_close(void);
void auditor_hash_add(struct hash *hash, const void *bytes, size_t size_bytes);
void auditor_hash_part(struct hash *hash, struct pl_bytes_view part);
void auditor_hash_end(struct hash *hash, uint8_t digest[HASH_BYTES]);

#endif
