/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-through: what each node of a graph of dependencies costs an instrument when the node fails
 * (RISK 1.5). Along a path losses multiply, rounded up at every edge, against the holder; of several
 * paths the worst counts, tier by tier. Evaluation knows nothing of it: it reads one flat list per
 * instrument, which is made here when a set is finished. Private to lib/exposure.
 */
#ifndef PLIMSOLL_LOOKTHROUGH_H
#define PLIMSOLL_LOOKTHROUGH_H

#include "lib/plimsoll.h"

/*
 * Raises the losses of every listed instrument to the worst over all paths, and adds those that are
 * only reached through others, as pl_parameters_finish says. Exposures and losses are within their
 * ranges. REJECT_PARAMETERS for a cycle, naming it, and for an instrument with more than PL_LOSSES_MAX
 * dependencies; some losses are raised then.
 */
enum pl_err pl_lookthrough(struct pl_parameters *parameters, const struct pl_names *names);

#endif
