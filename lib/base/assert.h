/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions about our own code, on in every build. Data from outside is never asserted: it is
 * rejected with a code. A failed assertion ends the process; the journal makes it reproducible.
 */
#ifndef PL_BASE_ASSERT_H
#define PL_BASE_ASSERT_H

#define pl_assert(expression) \
    ((expression) ? (void)0 : pl_assert_failed(#expression, __FILE__, __LINE__))

/* Called with the failed expression, before the process ends by a trap. It should write what is
 * known about the present step and return. */
typedef void pl_assert_handler(const char *expression, const char *file, int line);

/* Set once by the runtime, before a second thread exists; NULL for none. */
void pl_assert_set_handler(pl_assert_handler *handler);

_Noreturn void pl_assert_failed(const char *expression, const char *file, int line);

#endif
