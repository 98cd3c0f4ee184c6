/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of a failed assertion. The pure library cannot print: its user lends a handler.
 */
#include "lib/base/assert.h"

#include <stddef.h>

static pl_assert_handler *failure_handler;

void pl_assert_set_handler(pl_assert_handler *handler)
{
    failure_handler = handler;
}

void pl_assert_failed(const char *expression, const char *file, int line)
{
    /* Taken out first: an assertion that fails inside the handler must not call it again. */
    pl_assert_handler *handler = failure_handler;
    failure_handler = NULL;
    if (handler)
        handler(expression, file, line);
    __builtin_trap();
}
