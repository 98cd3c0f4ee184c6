/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks that follow from other marks, derived as the price service does, as far as the newest marks tell:
 *
 *   options         from the price of the underlying and the volatility, at the present moment
 *   what is pegged  from its base. The ratio of the two is the median of a redemption and of averages over
 *                   time, which the newest marks do not tell: it stays as the two marks have it. So the
 *                   pegged mark moves in proportion, rounded against the holder as the price service
 *                   rounds; a redemption or a market of a peg moves nothing.
 */
#ifndef PL_SERVICES_CLI_DERIVED_H
#define PL_SERVICES_CLI_DERIVED_H

#include "lib/plimsoll.h"

/* An option's mark and grid; false, and the mark is as it was, where underlying or volatility has no price
 * or the value leaves its range. */
bool derived_option(const struct pl_parameters *parameters, uint32_t option, const struct pl_mark *marks,
                    int64_t now_ms, struct pl_option_grid *grid, struct pl_mark *mark);

/*
 * After some of `marks`, which were `before`, have been moved: moves those that follow, but none that
 * `is_stated`. A bad mark of what is pegged stays bad. An option stays as it is from the beginning of its
 * averaging window on (what is fixed of it, the newest marks do not tell); one whose value cannot be
 * derived is HALTED. Marks borrow from `grids`.
 */
void derived_follow(const struct pl_parameters *parameters, int64_t now_ms,
                    const struct pl_mark before[PL_INSTRUMENTS_MAX],
                    const bool is_stated[PL_INSTRUMENTS_MAX],
                    struct pl_mark marks[PL_INSTRUMENTS_MAX],
                    struct pl_option_grid grids[PL_OPTIONS_MAX]);

/* REJECT_CONFLICT: nobody states the value of an option; the text says what to change instead. */
enum pl_err derived_check(const struct pl_parameters *parameters, const struct pl_names *names,
                          uint32_t instrument);

#endif
