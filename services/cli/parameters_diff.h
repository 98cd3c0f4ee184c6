/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would change if another parameter set were in force: every account of the book at one moment,
 * evaluated under both sets. The document:
 *
 *   partitions[] {partition, sequence, offset, clock_ms, parameter_epoch}
 *   from, to           {epoch, of}: the set in force and the other one (of: shadow, or the file)
 *   accounts, changed  numbers of accounts: all, and those that would stand elsewhere
 *   standings[]        from, to, accounts: where accounts stand now and would stand then (whole, or the
 *                      last tier they are below; uncertain; out_of_range); pairs that occur
 *   changes[]          account, from, to, maintenance_excess_usd, then_usd; in order of account id
 *   requirements[]     term, of, initial_usd, initial_then_usd, maintenance_usd, maintenance_then_usd:
 *                      what each asset, factor and dependency costs all accounts together (values are
 *                      not part of it); of accounts all of whose inputs are certain under both
 *                      sets; those that differ, largest change at maintenance first
 */
#ifndef PL_SERVICES_CLI_PARAMETERS_DIFF_H
#define PL_SERVICES_CLI_PARAMETERS_DIFF_H

#include <jansson.h>
#include <stdio.h>

#include "services/cli/moment.h"

/*
 * A new reference to the document. `candidate` is the other set as on the topic; NULL data: the newest
 * one with key shadow that the bundle has; `name` says where it is from. REJECT_MISSING: there is no
 * shadow set; REJECT_CONFLICT: it has other lots or ticks than the one in force. And as moment_open and
 * pl_wire_parameters_decode.
 */
enum pl_err parameters_diff(const struct bundle *bundle, struct when at,
                            struct pl_bytes_view candidate, const char *name, json_t **document);
void parameters_diff_print(FILE *file, const json_t *document);

/* Reads a set from a file in the schemas' JSON form; the caller frees `bytes`. */
enum pl_err parameters_load(const char *path, uint8_t **bytes, size_t *size_bytes);

#endif
