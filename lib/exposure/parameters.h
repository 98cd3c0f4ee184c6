/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files that check a parameter set share: refusals in one form, and the checks of what only
 * some instruments have. Private to lib/exposure.
 */
#ifndef PL_EXPOSURE_PARAMETERS_H
#define PL_EXPOSURE_PARAMETERS_H

#include "lib/exposure/terms.h"

enum { PL_COEFFICIENTS_PPM_MAX = 1 << 23 };

extern const char *const pl_tier_names[PL_TIER_COUNT];

struct pl_checked {
    const struct pl_parameters *parameters;
    const struct pl_instrument *instrument;
    const char *id;
};

struct pl_range {
    const char *field;
    int64_t value, low, high;
};

/* ---- parameters.c ---- */

/* Puts "V6 instrument ETH field name" in front of a refusal; rule and name may be "". */
enum pl_err pl_refused(enum pl_err err, const struct pl_checked *checked, const char *rule,
                       const char *field, const char *name);
enum pl_err pl_check_range(int64_t value, int64_t low, int64_t high);
/* Nested by size: for haircuts the values themselves count, for loads their magnitudes. */
enum pl_err pl_check_nested(const struct pl_tier_ppm *ppm, bool is_magnitude);
bool pl_is_zero(const struct pl_tier_ppm *ppm);

/* ---- parameters_kinds.c ---- */

enum pl_err pl_check_haircut_model(const struct pl_checked *checked);
enum pl_err pl_check_pegs(const struct pl_parameters *parameters, const struct pl_names *names);
enum pl_err pl_check_scenarios(const struct pl_parameters *parameters);
enum pl_err pl_check_participation(const struct pl_checked *checked);
enum pl_err pl_check_asset(const struct pl_checked *checked);
enum pl_err pl_check_contracts(const struct pl_parameters *parameters);
/* Groups of underlyings by id, and everybody's place in them. */
enum pl_err pl_place_options(struct pl_parameters *parameters, const struct pl_names *names);

#endif
