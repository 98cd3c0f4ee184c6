/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parameter set from a protocol's own risk parameters: what `plimsoll parameters import` does.
 *
 *   maintenance   the protocol's liquidation line
 *   initial       its borrowing line: what it asks before it lends more
 *   end           maintenance + end_share_ppm of the way to initial, rounded up; the protocol's own
 *                 line where it has one (Mango ends a liquidation at its initial weights)
 *   alert         initial * (1 + alert_premium_ppm), rounded up, at most all of it for spot (V3)
 *
 * Numbers are read as decimal text and kept exact; what is finer than 1 ppm rounds against the
 * account. What a protocol's file does not say comes from a template, and what of it has no
 * counterpart here is noted: a field is carried or named, never passed over. Not on the event's
 * path: it uses the heap.
 */
#ifndef PL_SERVICES_CLI_IMPORT_H
#define PL_SERVICES_CLI_IMPORT_H

#include <jansson.h>

#include "lib/base/amount.h"

enum { IMPORT_STEPS_MAX = 64 };

/* What is asked for. `chain` and `market` may be NULL where the file has only one. */
struct import_request {
    const char *protocol, *chain, *market;
    uint64_t epoch;
    const json_t *document; /* by import_parse                              */
    const json_t *template; /* as deploy/README.md has it                   */
};

/*
 * A whole parameter set in the schemas' JSON form, which its reader still has to check (V1 to V10),
 * and what was left out or changed: {"text": ["of what", …], …}. Both are new references and NULL
 * on error. REJECT_UNKNOWN: protocol, chain or market; REJECT_MISSING: a field or choice that is
 * needed; REJECT_CONFLICT: the file is of another protocol or contradicts itself; REJECT_MALFORMED,
 * REJECT_RANGE, REJECT_OVERFLOW: a number; REJECT_SIZE: too many steps.
 */
enum pl_err import_set(const struct import_request *request, json_t **set, json_t **notes);

/* JSON text with every number turned into a string of the same digits, so that none passes through
 * floating point. REJECT_MALFORMED names line and column. */
enum pl_err import_parse(const char *text, size_t size_bytes, json_t **document);

/* Names of the protocols, for usage. */
#define IMPORT_PROTOCOLS "aave-v2, aave-v3, compound-v3, mango-v4, dydx-v4, binance-usdm"

/* ---- between the parts: one import on its way ------------------------------------------------ */

struct import {
    const struct import_request *request;
    const char *chain;      /* of the instruments; NULL: none               */
    json_t *instruments, *notes;
    json_t *assets;         /* of the protocol's contract                   */
    json_t *modes;
    const char *rule;       /* of it; NULL: no calls are known              */
    int64_t close_factor_ppm, full_below_ppm; /* 0: not said                */
};

/* The contract's address where the template names it: nothing else does. NULL: no calls are wanted. */
const char *import_contract(const struct import *import);

/* A requirement in ppm at the two lines that protocols have. */
struct import_lines { int64_t initial, maintenance; };

/* The requirement on the part of a value above `from_usd`, on top of the haircut. */
struct import_step { int64_t from_usd; struct import_lines rate; };

struct import_row {
    const char *name, *kind;           /* borrowed                                              */
    struct import_lines haircut_long, haircut_short;
    unsigned step_count;
    struct import_step steps[IMPORT_STEPS_MAX];
    bool end_is_initial;               /* the protocol sells until its borrowing line is held   */
    bool is_kept;                      /* never sold: the protocol itself does not              */
    bool has_discount, has_decimals, has_price;
    int64_t sale_discount_ppm;
    const char *token;                 /* its address; NULL: not said                           */
    int64_t bonus_ppm;                 /* of a call that takes it                               */
    int64_t decimals;                  /* of the smallest amount                                */
    struct pl_amount price;            /* in USD, for the decimals of ticks and nothing else    */
};

/* import_lending.c, import_margin.c: one call of import_row for each instrument. */
enum pl_err import_aave_v2(struct import *import);
enum pl_err import_aave_v3(struct import *import);
enum pl_err import_compound_v3(struct import *import);
enum pl_err import_mango_v4(struct import *import);
enum pl_err import_dydx_v4(struct import *import);
enum pl_err import_binance_usdm(struct import *import);

/* Adds an instrument; what has to be bounded for a valid set is noted. */
enum pl_err import_row(struct import *import, const struct import_row *row);

/* Begins a mode under its number; REJECT_RANGE: it has none. */
enum pl_err import_mode(struct import *import, const char *number);
/* Adds what a spot lends in the mode that was begun last, and the bonus of who takes it there: no more
 * than an asset's own, which its discount covers; what is cut off is noted. */
void import_weight(struct import *import, const char *name, struct import_lines haircut_long,
                   int64_t bonus_ppm);

/* Notes something about `of`; the same text about others is one note. */
__attribute__((format(printf, 3, 4)))
void import_note(struct import *import, const char *of, const char *format, ...);

/* A field of a file: carried where `why_not` is NULL, else why it has no counterpart. */
struct import_field { const char *name, *why_not; };

/* Notes each field of the object that is not carried, and any that the table, which ends with a NULL
 * name, does not have. `what` names the kind of object, `of` the object. */
void import_survey(struct import *import, const char *what, const char *of, const json_t *object,
                   const struct import_field *fields);

/* Field of an object, which is needed. */
enum pl_err import_get(const json_t *object, const char *of, const char *field, json_t **value);
enum pl_err import_amount(const json_t *object, const char *of, const char *field,
                          struct pl_amount *amount);
/* The number in units of 10^-decimals, rounded; REJECT_RANGE outside low..high. */
struct import_range { unsigned decimals; enum pl_rounding rounding; int64_t low, high; };
enum pl_err import_number(const json_t *object, const char *of, const char *field,
                          struct import_range range, int64_t *units);

/* The member of an object that `wanted` names, or its only one; `what` is the option's name. */
enum pl_err import_choose(const json_t *object, const char *what, const char *wanted,
                          const char **name, json_t **value);
/* The chain that a field of the file names, if it is the one that is wanted. */
enum pl_err import_own_chain(struct import *import, const char *field);

#endif
