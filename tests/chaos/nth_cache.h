/* SPDX-License-Identifier: Apache-2.0 */
/* The N-th fault of the Redis writer alone: every call, in every mode, in some milliseconds each.
 * */
#ifndef PL_TESTS_CHAOS_NTH_CACHE_H
#define PL_TESTS_CHAOS_NTH_CACHE_H

#include <stdbool.h>

/* What the child does: opens the cache under the plan of its environment, writes three rounds of
 * rows and closes. Returns the exit status, with the error's text on standard error. */
int nth_cache_child(const char *prefix);

/* N = 1, 2, 3 … for each function until a run has no failure. `program` is this test's own
 * executable, `dir` takes the logs. False, with what is wrong printed, when any run went wrong. */
bool nth_cache(const char *program, const char *dir);

#endif
