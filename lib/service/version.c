/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that is compiled anew when the revision changes. */
#include "lib/service/version.h"

const char pl_version[] = PL_VERSION;
const char pl_revision[] = PL_REVISION;
