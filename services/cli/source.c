/* SPDX-License-Identifier: Apache-2.0 */
/* Where records come from (source.h). */
#include "services/cli/source.h"

#include <stdio.h>

#include "lib/service/process.h"
#include "services/cli/export.h"

void cli_source_init(struct cli_source *source)
{
    *source = (struct cli_source){ 0 };
    cli_kafka_init(&source->kafka, "plimsoll-cli");
}

bool cli_source_option(struct cli_source *source, int option, const char *argument,
                       const char *what)
{
    if (option == 'A') {
        if (!when_parse(&source->at, argument, pl_now_ms()))
            return true;
        fprintf(stderr, "plimsoll %s: --at: %s\n", what, pl_err_text());
        return false;
    }
    if (option == 'B')
        source->directory = argument;
    else if (option == 'J')
        source->is_json = true;
    else
        return cli_kafka_option(&source->kafka, option, argument);
    return true;
}

enum pl_err cli_source_open(const struct cli_source *source, const char *account,
                            struct bundle **bundle)
{
    struct export_request request = { .kafka = &source->kafka, .from = source->at,
                                      .to = source->at, .partition = -1, .account = account,
                                      .progress = PROGRESS_NONE };
    if (source->at.kind == WHEN_OPEN) /* to the log's end, but not from its beginning */
        request.from = (struct when){ WHEN_TIME, pl_now_ms() };
    return cli_open_bundle(bundle, source->directory, &request);
}
