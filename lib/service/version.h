/* SPDX-License-Identifier: Apache-2.0 */
/* What this build is: set by the build system, "unknown" where it was not told. */
#ifndef PL_SERVICE_VERSION_H
#define PL_SERVICE_VERSION_H

extern const char pl_version[];  /* "0.1.0"                                            */
extern const char pl_revision[]; /* of the source, as given with -DPL_REVISION to CMake */

#endif
