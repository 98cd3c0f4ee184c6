/* SPDX-License-Identifier: Apache-2.0 */
/* Which prices move, and how far: the market, and scenarios from a file (risk.h). */
#include <stdlib.h>
#include <string.h>

#include "services/cli/derived.h"
#include "services/cli/risk.h"

/* What counts as a dollar that stands still: within 5 % of one and below 0.5 % a day. */
enum { STEADY_PRICE_PPM = 50000, STEADY_VOLATILITY_PPM = 5000, MOVE_PPM_MAX = 100 * PL_PPM };

/* ---- scenarios ------------------------------------------------------------------------------ */

const char *risk_scenario_name(const json_t *scenario)
{
    const char *name = json_string_value(json_object_get(scenario, "scenario"));
    return name ? name : "";
}

static enum pl_err check_scenario(const json_t *scenario, size_t place)
{
    const json_t *moves = json_object_get(scenario, "moves_ppm");
    const char *name = risk_scenario_name(scenario), *instrument;
    json_t *move;
    if (*name == '\0')
        return pl_err_set(PL_REJECT_MALFORMED, "scenario %zu: \"scenario\" is to be its name", place);
    if (!json_is_object(moves) || json_object_size(moves) == 0)
        return pl_err_set(PL_REJECT_MALFORMED, "scenario %zu (%s): \"moves_ppm\" is to be an object "
                          "of instrument and move", place, name);
    json_object_foreach((json_t *)moves, instrument, move) {
        if (!json_is_integer(move))
            return pl_err_set(PL_REJECT_MALFORMED, "scenario %zu (%s): %s: a move is a whole number "
                              "of ppm", place, name, instrument);
        if (json_integer_value(move) < -PL_PPM || json_integer_value(move) > MOVE_PPM_MAX)
            return pl_err_set(PL_REJECT_RANGE, "scenario %zu (%s): %s: %lld ppm is not within "
                              "-1000000 (-100 %%) and %d", place, name, instrument,
                              (long long)json_integer_value(move), MOVE_PPM_MAX);
    }
    return PL_OK;
}

enum pl_err risk_scenarios_load(const char *path, json_t **scenarios)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    json_t *array = json_object_get(root, "scenarios");
    size_t count = json_array_size(array);
    enum pl_err err = PL_OK;
    if (!root)
        err = pl_err_set(PL_REJECT_MALFORMED, "line %d, column %d: %s", error.line, error.column,
                         error.text);
    else if (count == 0)
        err = pl_err_set(PL_REJECT_MISSING, "\"scenarios\" is to be an array with a scenario or "
                         "more");
    else if (count > PL_SCENARIOS_MAX)
        err = pl_err_set(PL_REJECT_SIZE, "%zu scenarios, at most %d", count, PL_SCENARIOS_MAX);
    for (size_t i = 0; !err && i < count; i++)
        err = check_scenario(json_array_get(array, i), i + 1);
    *scenarios = err ? NULL : json_incref(array);
    json_decref(root);
    return err ? pl_err_note(err, "%s", path) : PL_OK;
}

static bool find_listed(const struct venue *venue, const char *text, uint32_t *index)
{
    struct pl_id id;
    return !pl_id_set(&id, text, strlen(text)) && pl_names_find(venue->names, &id, index) &&
           venue->parameters->instruments[*index].is_listed;
}

static enum pl_err not_listed(const char *name, const struct venue *venue)
{
    return pl_err_set(PL_REJECT_CONFLICT, "instrument \"%s\" is not listed by the parameters of "
                      "epoch %llu", name, (unsigned long long)venue->parameters->epoch);
}

/* 10^6 steps of the direction are the scenario. */
static enum pl_err read_moves(const json_t *scenario, const struct venue *venue,
                              struct pl_direction *direction, bool is_stated[PL_INSTRUMENTS_MAX])
{
    const char *instrument;
    json_t *move;
    json_object_foreach(json_object_get(scenario, "moves_ppm"), instrument, move) {
        uint32_t index = 0;
        enum pl_err err = find_listed(venue, instrument, &index)
                              ? derived_check(venue->parameters, venue->names, index)
                              : not_listed(instrument, venue);
        if (err)
            return pl_err_note(err, "scenario %s: %s", risk_scenario_name(scenario), instrument);
        direction->weight_ppm[index] = (int32_t)json_integer_value(move);
        is_stated[index] = true;
    }
    return PL_OK;
}

enum pl_err risk_stress(const json_t *scenario, const struct venue *venue,
                        const struct pl_outlook *outlook, struct pl_stressed *stressed)
{
    static struct pl_option_grid grids[PL_OPTIONS_MAX]; /* 6 MB; an updated market has read them */
    struct pl_direction direction = { 0 };
    bool is_stated[PL_INSTRUMENTS_MAX] = { 0 };
    enum pl_err err = read_moves(scenario, venue, &direction, is_stated);
    if (err)
        return err;
    pl_stress(stressed, outlook, &direction, PL_PPM);
    derived_follow(venue->parameters, outlook->market->now_ms, outlook->marks, is_stated,
                   stressed->marks, grids);
    pl_market_update(&stressed->market, venue->parameters, stressed->marks, outlook->market->now_ms);
    return PL_OK;
}

static int by_id(const void *left, const void *right, void *argument)
{
    const struct pl_names *names = argument;
    return pl_id_compare(&names->ids[*(const uint32_t *)left],
                         &names->ids[*(const uint32_t *)right]);
}

uint32_t risk_listed(const struct venue *venue, uint32_t *indexes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < venue->names->count; i++)
        if (venue->parameters->instruments[i].is_listed)
            indexes[count++] = i;
    qsort_r(indexes, count, sizeof(*indexes), by_id, venue->names);
    return count;
}

/* ---- the market ----------------------------------------------------------------------------- */

int32_t risk_volatility_ppm(const struct pl_mark *mark)
{
    uint32_t most = mark->volatility_fast_ppm > mark->volatility_slow_ppm
                        ? mark->volatility_fast_ppm : mark->volatility_slow_ppm;
    return most > 10 * PL_PPM ? 10 * PL_PPM : (int32_t)most;
}

enum pl_err risk_check_names(const struct risk_options *options, const struct venue *venue)
{
    uint32_t index = 0;
    for (unsigned i = 0; i < options->steady_count; i++)
        if (!find_listed(venue, options->steady[i], &index))
            return pl_err_note(not_listed(options->steady[i], venue), "--steady");
    for (unsigned i = 0; i < options->moving_count; i++)
        if (!find_listed(venue, options->moving[i], &index))
            return pl_err_note(not_listed(options->moving[i], venue), "--moves");
    return PL_OK;
}

static bool is_named(const char *const *names, unsigned count, const struct pl_id *id)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], id->text) == 0)
            return true;
    return false;
}

bool risk_is_steady(const struct risk_options *options, const struct venue *venue,
                    uint32_t instrument)
{
    const struct pl_id *id = &venue->names->ids[instrument];
    if (is_named(options->moving, options->moving_count, id))
        return false;
    if (is_named(options->steady, options->steady_count, id))
        return true;
    pl_i128 one = pl_pow10(venue->parameters->instruments[instrument].tick_decimals);
    pl_i128 off = pl_abs(venue->market->quotes[instrument].ticks - one);
    return off * PL_PPM <= one * STEADY_PRICE_PPM &&
           risk_volatility_ppm(&venue->marks[instrument]) < STEADY_VOLATILITY_PPM;
}

void risk_market_direction(const struct risk_options *options, const struct venue *venue,
                           struct pl_direction *direction)
{
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
        direction->weight_ppm[i] = venue->parameters->instruments[i].is_listed &&
                                           !risk_is_steady(options, venue, i) ? PL_PPM : 0;
}
