/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plimsoll risk says, and how: figures of one account or of a whole book at one moment, as a JSON
 * document, and the text that is printed from it.
 *
 *   risk.c           the command
 *   risk_prices.c    which prices move, and scenarios from a file
 *   risk_account.c   distances, worst terms, tail of one account
 *   risk_book.c      market moves and concentration, over all partitions
 *   risk_waterfall.c bad debts and who would bear them, over all partitions
 *   risk_text.c      document to text
 *
 * A distance is how far prices may go until the maintenance excess is negative, each in the same
 * proportion (distance_ppm) or each by the same number of its daily standard deviations
 * (distance_sigma, the larger of the mark's fast and slow one). Directions: "down" and "up", all
 * prices together, and "against", each price against the account: longs down, shorts up (RISK 3.3).
 * The prices of steady instruments stand still: those that cost a dollar (0.95 to 1.05 USD) and whose
 * volatility, as far as it is known, is below 0.5 % a day, and those that --steady names, without
 * those that --moves names.
 *
 * The document of an account:
 *   account, partition, journal {sequence, offset, clock_ms, parameter_epoch}
 *   verdict            certainty, equity_usd, gross_usd, excess_usd {tier}, doubts[]
 *   steady[]           instruments held whose prices stand still
 *   distances[]        direction, kind (reached, below, never, unknown), distance_ppm or
 *                      distance_sigma, excess_usd there, excess_beyond_usd one step further, and for
 *                      "against" moves[] {instrument, move_ppm}: where it crosses
 *   nearest            "down" or "up": the market move that is nearer, null if neither is reached
 *   prices[]           instrument, price, volatility_ppm, excess_up_usd, excess_down_usd: the
 *                      maintenance excess with this price alone 1 % up or down; worst first
 *   worst_term         {term, of, excess_usd} of the maintenance tier
 *   worst_dependency   the dependency whose failure is charged, or null: {term, of, excess_usd, paths[]
 *                      {instrument, path[], loss_ppm}}: the way by which each long leg depends on it most
 *                      (as of plimsoll evaluate)
 *   netting            requirement_usd of maintenance, gross_requirement_usd: the sum of what each leg
 *                      asks for by itself, efficiency_ppm: what the account is spared of that
 *                      (rounded down; null where nothing is asked for); null in doubt
 *   tail               null without --scenarios: scenarios, confidence_ppm, rank, pfe_usd, es_usd,
 *                      deviation_usd, distance_sigma (excess / deviation), below, worst {scenario,
 *                      loss_usd, excess_usd}: the one with the lowest maintenance excess
 *
 * The document of a book (what is certain only: true figures are not below; an isolated bucket counts
 * as an account of its own):
 *   partitions[] {partition, sequence, offset, clock_ms, parameter_epoch}, accounts
 *   moves[]            move_ppm, or scenario; below, uncertain, out_of_range, bankrupt, in_debt,
 *                      sold_usd, lacking_usd, bad_debt_usd
 *   assets[], chains[], bridges[], dependencies[]   of, long_usd, short_usd, holders, top_1_ppm,
 *                      top_10_ppm, top[] {account, long_usd}; largest first. A dependency (an issuer, a
 *                      custodian) has as its long value that of all instruments that name it or reach it
 *                      by look-through, and as loss_usd what they would lose by its failure
 *
 * The document of a waterfall (what is certain only; plimsoll.h, "loss waterfall"):
 *   partitions[], accounts
 *   debts[]            account, told_usd when KIND_BAD_DEBT told it, debt_usd now, and how it is
 *                      borne: insured_usd, deleveraged_usd, socialised_usd, unborne_usd; by account
 *   waiting, waiting_usd   accounts with negative equity that are still being sold, not divided here
 *   insurance          {account, equity_usd, paid_usd}
 *   queues[]           instrument, side, winners[] {account, score, quantity, profit_usd, closed,
 *                      charge_usd}: who would be deleveraged, in this order, debts or none
 *   socialised[]       {account, share_usd}, by account
 */
#ifndef PL_SERVICES_CLI_RISK_H
#define PL_SERVICES_CLI_RISK_H

#include <jansson.h>
#include <stdio.h>

#include "services/cli/moment.h"

enum { RISK_NAMES_MAX = 64 };

struct risk_options {
    const char *steady[RISK_NAMES_MAX], *moving[RISK_NAMES_MAX];
    unsigned steady_count, moving_count;
    const json_t *scenarios;  /* array of risk_scenarios_load; NULL: none */
    int32_t confidence_ppm;   /* of the tail */
};

/* ---- risk_prices.c ---- */

/*
 * Reads {"scenarios": [{"scenario": "name", "moves_ppm": {"BTC": -440000, …}}, …]}: what is not
 * named stands still, unless it follows from what is named (derived.h). A new reference to the array.
 * REJECT_MALFORMED, REJECT_RANGE, REJECT_SIZE: the text names the file, the scenario and the instrument.
 */
enum pl_err risk_scenarios_load(const char *path, json_t **scenarios);
/* As pl_stress, with the scenario's prices and all that follows from them (derived.h). REJECT_CONFLICT: it
 * names an instrument that the parameters do not list, or an option. */
enum pl_err risk_stress(const json_t *scenario, const struct venue *venue,
                        const struct pl_outlook *outlook, struct pl_stressed *stressed);
const char *risk_scenario_name(const json_t *scenario);

/* REJECT_CONFLICT: an option names an instrument that the parameters do not list. */
enum pl_err risk_check_names(const struct risk_options *options, const struct venue *venue);
bool risk_is_steady(const struct risk_options *options, const struct venue *venue,
                    uint32_t instrument);
/* 10^6 for everything that moves. */
void risk_market_direction(const struct risk_options *options, const struct venue *venue,
                           struct pl_direction *direction);
/* The numbers of all listed instruments, in order of id; `indexes` has PL_INSTRUMENTS_MAX. */
uint32_t risk_listed(const struct venue *venue, uint32_t *indexes);
/* The larger of the two daily volatilities; 0: not known. */
int32_t risk_volatility_ppm(const struct pl_mark *mark);

/* ---- documents: new references ---- */

/* REJECT_UNKNOWN: the account was unknown at that moment. REJECT_OVERFLOW: a scenario takes it out of
 * the exact range. And as risk_stress and risk_check_names. */
enum pl_err risk_account(const struct moment *moment, const struct pl_id *account,
                         const struct risk_options *options, json_t **document);
/* All partitions of the bundle, one after another. REJECT_SIZE: too many scenarios for a book. And as
 * moment_open, risk_stress and risk_check_names. */
enum pl_err risk_book(const struct bundle *bundle, struct when at,
                      const struct risk_options *options, json_t **document);
/* All partitions likewise; `fund` is the insurance fund's account, NULL: there is none. REJECT_CONFLICT: that
 * account has no equity for certain. REJECT_CAPACITY: more debts, accounts or winners than it has room for. And as
 * moment_open. */
enum pl_err risk_waterfall(const struct bundle *bundle, struct when at, const char *fund,
                           json_t **document);
/* Parts of documents that other commands share. */
json_t *risk_moment(const struct moment *moment);
json_t *risk_verdict(const struct pl_names *names, const struct pl_verdict *verdict);
void risk_print_verdict(FILE *file, const char *head, const json_t *verdict);

void risk_print_account(FILE *file, const json_t *document);
void risk_print_book(FILE *file, const json_t *document);
void risk_print_waterfall(FILE *file, const json_t *document);

#endif
