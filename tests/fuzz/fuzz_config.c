/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a configuration file: whatever it is, it is taken or refused with a text; what was taken
 * is printed as a file that is taken too and means the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static enum pl_err parse(struct pl_config *config, struct pl_settings *settings, const char *text,
                         size_t size_bytes)
{
    const struct pl_config_table tables[PL_CONFIG_TABLES_MAX] = {pl_settings_table(settings)};
    pl_config_init(config, "fuzz", "fuzzing", tables);
    return pl_config_parse(config, text, size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct pl_config first, second;
    static struct pl_settings first_settings, second_settings;
    memset(&first_settings, 0, sizeof first_settings);
    memset(&second_settings, 0, sizeof second_settings);
    enum pl_err err = parse(&first, &first_settings, (const char *)data, size_bytes);
    require(err == PL_OK || err == PL_FATAL_CONFIG);
    if (err) {
        require(pl_err_text()[0] != '\0');
        return 0;
    }
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);
    require(out != NULL);
    pl_config_print(&first, out);
    require(fclose(out) == 0);
    require(parse(&second, &second_settings, text, text_bytes) == PL_OK);
    require(memcmp(&first_settings, &second_settings, sizeof first_settings) == 0);
    require(first.override_count == second.override_count);
    for (unsigned i = 0; i < first.override_count; i++) {
        require(strcmp(first.overrides[i].name, second.overrides[i].name) == 0);
        require(strcmp(first.overrides[i].value, second.overrides[i].value) == 0);
    }
    free(text);
    return 0;
}
