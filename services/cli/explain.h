/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plimsoll explain says, and how. A scene is the state that the replay engine rebuilt for one
 * journal entry; a document is everything about one account in it, as JSON; the text for people is
 * printed from the document, so that both say the same. Read in this order:
 *
 *   explain.c           the command
 *   explain_records.c   bundle to scene: which entry, what was published, the rebuilt state
 *   explain_facts.c     scene to document: holdings, prices, terms, thresholds, orders
 *   explain_plan.c      the sale: which legs, and what else could have been sold
 *   optimise_facts.c    what would bring the account to a goal: plimsoll optimise
 *   explain_answer.c    one sentence and one word: why, or why not
 *   explain_text.c      document to text
 *
 * Amounts are decimal strings, exact: no double comes near them. Names end in their unit (_usd,
 * _ms, _ppm). An excess that is known is one string; one that is not is {"at_worst", "at_best"},
 * where "-unbounded" and "unbounded" stand for no bound. The document (a field that has nothing to
 * say is null or an empty array):
 *
 *   answer, reason              the first line of the text; one word of enum explain_reason
 *   account, partition
 *   journal                     sequence, offset, clock_ms, kind, readiness, decided, epochs, …
 *   halted, halts[]             scope, actor, reason, since_ms, epoch
 *   watermark                   time_ms, age_ms, age_ms_max: how far the positions were in
 *   state                       state, left (before this entry), since_ms, episode, revision,
 *                               version, whole_since_ms, restricted_until_ms, revision_after_ms,
 *                               doubts[] {of, reason}, called_ms, due_ms, bad_debt_usd
 *   holdings                    version, event_time_ms, age_ms, gap, tainted, cash_usd,
 *                               final_cash_usd, sources[], legs[], not_final[]
 *   verdict                     certainty, equity_usd, gross_usd, doubts[], ratios, tiers[]
 *   verdict.ratios              collateral_usd, debt_usd, collateral_ratio, over_collateral_ratio,
 *                               health_factor (null: no debt), top_up_usd by tier, cures[] {kind,
 *                               instrument, quantity, price, cost_usd}, as in an alert
 *   verdict.tiers[]             tier, excess_usd, equity_usd less requirement_usd is the excess at
 *                               best, to_leave_usd (alert: the line of the hysteresis),
 *                               terms[] {term, of, excess_usd, rate_ppm}: they add up to the excess;
 *                               of a dependency also paths[]: by which each leg depends on it
 *   thresholds                  epoch, policy, instruments[]: the parameters of the account's legs
 *   pending[]                   orders in flight after this entry; reserved is what counts as sold
 *   sale_sequence               of the entry that made the plan: this one or, in an open episode,
 *                               the last one that sold
 *   plan                        that sale (explain_plan.c); null also where the records that it was
 *                               made of are not at hand
 *   history[], alerts[]         what was published about the account up to this entry
 *   optimise                    optimise_facts.c; where the question has a goal
 */
#ifndef PL_SERVICES_CLI_EXPLAIN_H
#define PL_SERVICES_CLI_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "services/cli/bundle.h"
#include "services/cli/when.h"
#include "services/liquidation/core.h"

/* Of which account, and at which journal entry of its partition: the newest whose clock, offset or
 * sequence is not above `at`. */
struct explain_question {
    struct pl_id account;
    struct when at;
    bool is_partial;             /* the bundle has records of no other account */
    const struct pl_goal *goal;  /* what to do to reach it; NULL: not asked */
};

/*
 * The document that answers; a new reference. REJECT_UNKNOWN: the journal has no such entry, or
 * none before it to begin with. FATAL_CONFIG: the bundle has no journal of the account's partition.
 * FATAL_DIVERGED: the records are not those that the entry was decided on. REJECT_MALFORMED: the
 * bundle is damaged. FATAL_SYSTEM.
 */
enum pl_err explain_bundle(const struct bundle *bundle, const struct explain_question *question,
                           json_t **document);

/* A halt in force at the entry; epoch 0: a control record that cannot be read, which halts all. */
struct explain_halt {
    bool is_set;
    struct pl_control control;
};

/* An order, as published. */
struct explain_sold { struct pl_id instrument; int64_t lots; };

/* Borrowed from whoever rebuilt it. */
struct explain_scene {
    struct pl_id account;
    const struct pl_journal *entry;
    int64_t journal_offset;
    struct venue *venue;         /* inputs applied, market at the entry's clock */
    const struct ledger *ledger;
    struct explain_halt halts[2]; /* of everything, of this account */
    const struct pl_record_holdings *record; /* the account's, as published; NULL: not at hand */
    uint64_t sale_sequence;      /* of the last entry that sold of the account; 0: none */
    const struct explain_sold *sold; /* its orders */
    uint32_t sold_count;
    const json_t *plan;          /* that one's, if it is an earlier one; NULL: not at hand */
    const json_t *history, *alerts; /* NULL: none */
    const struct pl_goal *goal;  /* as in the question */
};

/* What one entry made of one account. */
struct explain_view {
    const struct explain_scene *scene;
    uint32_t row;
    const struct pl_account *account;
    bool is_known;               /* the account is in the book */
    bool has_decided;            /* the partition was deciding at this entry */
    bool is_halted;
    struct pl_account_state committed, state; /* before and after the entry */
    struct pl_decision decision; /* where nothing was decided: what would have been */
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio; /* pending orders executed, this entry's sale not */
};

/* The document of a scene; a new reference. */
json_t *explain_document(const struct explain_scene *scene);
void explain_print(FILE *file, const json_t *document);

/* ---- between the files ---- */

/* explain_facts.c. False when the account is not in the book or there are no parameters: only the
 * fields up to is_halted say something then. */
bool explain_look(const struct explain_scene *scene, struct explain_view *view);
/* What may still be executed of an order and counts as sold (G5). */
int64_t explain_reserved_lots(const struct pl_pending *pending);

/* explain_plan.c. The plan of this entry, null where it sold nothing; a new reference. */
json_t *explain_plan(const struct explain_view *view);

/* optimise_facts.c. The cheapest ways to the scene's goal, and what may be taken out. */
json_t *optimise_facts(const struct explain_view *view);

/* explain.c. The document of the source's moment; of `question` at and is_partial are the source's. */
struct cli_source;
enum pl_err explain_ask(const struct cli_source *source, const struct explain_question *question,
                        json_t **document);

/* explain_answer.c */
enum explain_reason { EXPLAIN_SOLD, EXPLAIN_HEALTHY, EXPLAIN_UNCERTAIN, EXPLAIN_OUT_OF_RANGE,
                      EXPLAIN_HOLDINGS, EXPLAIN_HALTED, EXPLAIN_OVERDUE, EXPLAIN_PAUSE, EXPLAIN_BRAKED,
                      EXPLAIN_PENDING, EXPLAIN_NOTHING_TO_SELL, EXPLAIN_NO_ROOM,
                      EXPLAIN_NOT_DECIDING, EXPLAIN_NO_PARAMETERS, EXPLAIN_UNKNOWN,
                      EXPLAIN_REASON_COUNT };
const char *explain_reason_word(enum explain_reason reason);
/* Also writes the sentence. `view` may be one that explain_look answered false for. */
enum { EXPLAIN_ANSWER_BYTES = 2048 };
enum explain_reason explain_answer(const struct explain_view *view,
                                   char answer[EXPLAIN_ANSWER_BYTES]);

/* Numbers and words of a verdict, also for other commands that print one. JSON values are new
 * references; texts are static. */
json_t *explain_decimal(pl_i128 value, unsigned decimals);
json_t *explain_bound(pl_i128 value, unsigned decimals);
json_t *explain_bounds(const struct pl_bounds *bounds, unsigned decimals);
json_t *explain_doubts(const struct pl_names *names, const struct pl_doubt *doubts, uint32_t count);
/* With the call of a contract that executes it, from what the account has by the book. */
json_t *explain_sale_leg(const struct pl_names *names, const struct pl_market *market,
                         const struct pl_portfolio *held, const struct pl_sale_leg *leg);
/* Adds cost_usd, cost_bound_usd and gap_ppm. */
void explain_sale_cost(const struct pl_sale *sale, json_t *facts);
json_t *explain_cure(const struct pl_names *names, const struct pl_parameters *parameters,
                     const struct pl_cure *cure);
const char *explain_tier_name(enum pl_tier tier);
const char *explain_state_name(enum pl_state state);
const char *explain_term_name(enum pl_term_kind kind);
const char *explain_term_of(const struct pl_names *names, const struct pl_parameters *parameters,
                            const struct pl_term *term);
/* The worst way by which each long leg depends on `dependency`: [] {instrument, path[] nearest first,
 * loss_ppm}. A new reference. */
json_t *explain_paths(const struct pl_names *names, const struct pl_parameters *parameters,
                      const struct pl_portfolio *portfolio, enum pl_tier tier,
                      uint32_t dependency);
const char *explain_doubt_name(enum pl_doubt_reason reason);
const char *explain_mark_name(enum pl_mark_status status);
const char *explain_readiness_name(enum pl_readiness readiness);

/* Text of a decimal without the zeros that say nothing ("12.5"), with a sign where asked. */
enum { EXPLAIN_NUMBER_BYTES = 72 };
const char *explain_trimmed(const char *decimal, bool with_sign, char text[EXPLAIN_NUMBER_BYTES]);
/* In seconds: "75 s", "0.25 s". */
const char *explain_span(int64_t span_ms, char text[WHEN_TIME_BYTES]);

#endif
