/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set that an import makes (import.h): a protocol's two lines become four tiers, and the
 * template says the rest. A template is an object of
 *
 *   sources, policies    as in a parameter set; a policy without liquidity_order gets one
 *   instrument           fields of every instrument that the protocol does not say
 *   instruments          by id: fields that count whatever the protocol says; may be absent
 *   contract             address of the protocol's contract, for calls; may be absent
 *   end_share_ppm        0..1000000, alert_premium_ppm  0..1000000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/plimsoll.h"
#include "services/cli/import.h"

enum { COEFFICIENT_PPM_MAX = 1 << 23, SIGNIFICANT_DIGITS = 7, TICK_DECIMALS_MIN = 2 };

static const struct {
    const char *name;
    enum pl_err (*read)(struct import *import);
} protocols[] = {
    { "aave-v2", import_aave_v2 },         { "aave-v3", import_aave_v3 },
    { "compound-v3", import_compound_v3 }, { "mango-v4", import_mango_v4 },
    { "dydx-v4", import_dydx_v4 },         { "binance-usdm", import_binance_usdm },
};

enum { PROTOCOL_COUNT = sizeof(protocols) / sizeof(protocols[0]) };

/* ---- the template --------------------------------------------------------------------------- */

static enum pl_err check_template(const json_t *template)
{
    static const struct { const char *name; json_type type; bool is_optional; } fields[] = {
        { "sources", JSON_ARRAY, false },         { "policies", JSON_ARRAY, false },
        { "instrument", JSON_OBJECT, false },     { "instruments", JSON_OBJECT, true },
        { "contract", JSON_STRING, true },
        { "end_share_ppm", JSON_INTEGER, false }, { "alert_premium_ppm", JSON_INTEGER, false },
    };
    size_t known = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const json_t *value = json_object_get(template, fields[i].name);
        known += value != NULL;
        if (!value && fields[i].is_optional)
            continue;
        if (!value || json_typeof(value) != fields[i].type)
            return pl_err_set(PL_REJECT_MISSING, "template: %s is not there, or of the wrong type",
                              fields[i].name);
        if (fields[i].type == JSON_INTEGER &&
            (json_integer_value(value) < 0 || json_integer_value(value) > PL_PPM))
            return pl_err_set(PL_REJECT_RANGE, "template: %s %lld is outside 0..%d", fields[i].name,
                              (long long)json_integer_value(value), PL_PPM);
    }
    if (known != json_object_size(template))
        return pl_err_set(PL_REJECT_UNKNOWN, "template: a field is neither sources, policies, "
                          "instrument, instruments, contract, end_share_ppm nor "
                          "alert_premium_ppm");
    return PL_OK;
}

static int64_t template_ppm(const struct import *import, const char *field)
{
    return json_integer_value(json_object_get(import->request->template, field));
}

const char *import_contract(const struct import *import)
{
    return json_string_value(json_object_get(import->request->template, "contract"));
}

/* ---- tiers ---------------------------------------------------------------------------------- */

static int64_t share_up(int64_t ppm, int64_t share_ppm)
{
    return (int64_t)pl_div_ceil((pl_i128)ppm * share_ppm, PL_PPM);
}

/* A negative requirement, such as a credit for a debt, gets no premium. */
static json_t *make_tiers(struct import *import, const struct import_row *row,
                          struct import_lines lines, const char *field, int64_t cap)
{
    int64_t share = row->end_is_initial ? PL_PPM : template_ppm(import, "end_share_ppm");
    int64_t premium = template_ppm(import, "alert_premium_ppm");
    int64_t end = lines.maintenance + share_up(lines.initial - lines.maintenance, share);
    int64_t alert = lines.initial + (lines.initial > 0 ? share_up(lines.initial, premium) : 0);
    if (alert > cap && lines.initial < cap)
        import_note(import, row->name, "V3 %s: alert is more than the whole, bounded at %lld", field,
                    (long long)cap);
    return json_pack("{s:I, s:I, s:I, s:I}", "alert", (json_int_t)(alert < cap ? alert : cap),
                     "initial", (json_int_t)lines.initial, "end", (json_int_t)end, "maintenance",
                     (json_int_t)lines.maintenance);
}

/* V6: a protocol may lend less than it liquidates at, never more. */
static struct import_lines nested(struct import *import, const struct import_row *row,
                                  struct import_lines lines, const char *field)
{
    if (lines.initial >= lines.maintenance)
        return lines;
    import_note(import, row->name, "V6 %s: initial %lld is below maintenance %lld, raised to it",
                field, (long long)lines.initial, (long long)lines.maintenance);
    return (struct import_lines){ lines.maintenance, lines.maintenance };
}

/* More collateral must never hurt (V3): no more than the whole of a coin may be asked. */
static json_t *make_haircut(struct import *import, const struct import_row *row,
                            struct import_lines lines, const char *field)
{
    bool is_collateral = strcmp(row->kind, "KIND_SPOT") == 0 && strcmp(field, "haircut_long") == 0;
    return make_tiers(import, row, nested(import, row, lines, field), field,
                      is_collateral ? PL_PPM : COEFFICIENT_PPM_MAX);
}

/* More steps than a set has room for: the last one stands for the rest, at the last one's rate. */
static unsigned fit_steps(struct import *import, const struct import_row *row,
                          struct import_step *steps)
{
    memcpy(steps, row->steps, sizeof(*steps) * row->step_count);
    if (row->step_count <= PL_BRACKETS_MAX)
        return row->step_count;
    steps[PL_BRACKETS_MAX - 1].rate = row->steps[row->step_count - 1].rate;
    import_note(import, row->name, "brackets: %u, of which the last %u became one, from %lld USD at "
                "the last one's rate", row->step_count, row->step_count - PL_BRACKETS_MAX + 1,
                (long long)steps[PL_BRACKETS_MAX - 1].from_usd);
    return PL_BRACKETS_MAX;
}

static json_t *make_brackets(struct import *import, const struct import_row *row)
{
    static struct import_step steps[IMPORT_STEPS_MAX];
    unsigned count = fit_steps(import, row, steps);
    json_t *brackets = json_array();
    for (unsigned i = 0; i < count; i++) {
        struct import_lines lines = nested(import, row, steps[i].rate, "brackets rate");
        if (i > 0 && lines.initial < steps[i - 1].rate.initial)
            lines.initial = steps[i - 1].rate.initial; /* V2 after an earlier one was raised */
        steps[i].rate = lines;
        json_array_append_new(brackets, json_pack("{s:o, s:o}", "threshold_usd",
                                                  json_sprintf("%lld", (long long)steps[i].from_usd),
                                                  "rate", make_tiers(import, row, lines,
                                                                     "brackets rate",
                                                                     COEFFICIENT_PPM_MAX)));
    }
    return brackets;
}

/* ---- decimals ------------------------------------------------------------------------------- */

/* Digits before the point; below 1 the zeros behind it, negative. */
static int digits_of(const struct pl_amount *price)
{
    int digits = price->exponent;
    for (pl_i128 mantissa = pl_abs(price->mantissa); mantissa > 0; mantissa /= 10)
        digits++;
    return digits;
}

/* With a price, ticks as fine as seven of its digits, and lots with what is left, at most as fine as
 * the smallest amount; without one the template's. */
static void set_decimals(const struct import_row *row, json_t *instrument)
{
    int64_t lot = json_integer_value(json_object_get(instrument, "lot_decimals"));
    if (row->has_price && row->price.mantissa > 0) {
        int tick = SIGNIFICANT_DIGITS - digits_of(&row->price);
        tick = tick < TICK_DECIMALS_MIN ? TICK_DECIMALS_MIN
               : tick > PL_DECIMALS_MAX ? PL_DECIMALS_MAX : tick;
        json_object_set_new(instrument, "tick_decimals", json_integer(tick));
        lot = PL_DECIMALS_MAX - tick;
    }
    if (row->has_decimals && row->decimals < lot)
        lot = row->decimals < 0 ? 0 : row->decimals;
    json_object_set_new(instrument, "lot_decimals", json_integer(lot));
}

/* ---- instruments ---------------------------------------------------------------------------- */

enum pl_err import_row(struct import *import, const struct import_row *row)
{
    const json_t *template = import->request->template;
    json_t *instrument = json_deep_copy(json_object_get(template, "instrument"));
    json_object_set_new(instrument, "instrument", json_string(row->name));
    json_object_set_new(instrument, "kind", json_string(row->kind));
    set_decimals(row, instrument);
    json_object_set_new(instrument, "haircut_long",
                        make_haircut(import, row, row->haircut_long, "haircut_long"));
    json_object_set_new(instrument, "haircut_short",
                        make_haircut(import, row, row->haircut_short, "haircut_short"));
    if (row->step_count > 0)
        json_object_set_new(instrument, "brackets", make_brackets(import, row));
    if (row->has_discount)
        json_object_set_new(instrument, "sale_discount_ppm",
                            json_integer((json_int_t)row->sale_discount_ppm));
    if (import->chain)
        json_object_set_new(instrument, "chain", json_string(import->chain));
    json_t *own = json_object_get(json_object_get(template, "instruments"), row->name);
    if (own)
        json_object_update(instrument, own);
    if (row->is_kept)
        import_note(import, row->name, "never sold, not in liquidity_order");
    /* Taken off again when the liquidity order is made. */
    json_object_set_new(instrument, "is_kept", json_boolean(row->is_kept));
    json_array_append_new(import->instruments, instrument);
    json_array_append_new(import->assets,
                          json_pack("{s:s, s:I, s:s*}", "instrument", row->name, "bonus_ppm",
                                    (json_int_t)row->bonus_ppm, "token", row->token));
    return PL_OK;
}

/* Whether the set will say how to call it. */
static bool has_contract(const struct import *import)
{
    return import->rule && import_contract(import);
}

/* ---- modes ---------------------------------------------------------------------------------- */

enum pl_err import_mode(struct import *import, const char *number)
{
    char *end = NULL;
    const long mode = strtol(number, &end, 10);
    if (*end != '\0' || mode < 1 || mode >= PL_MODES_MAX)
        return pl_err_set(PL_REJECT_RANGE, "mode %s: a mode is a number from 1 to %d", number,
                          PL_MODES_MAX - 1);
    json_array_append_new(import->modes,
                          json_pack("{s:I, s:[]}", "mode", (json_int_t)mode, "weights"));
    return PL_OK;
}

static json_int_t own_bonus(const struct import *import, const char *name)
{
    json_int_t bonus_ppm = 0;
    json_t *asset;
    size_t i;
    json_array_foreach(import->assets, i, asset)
        if (strcmp(json_string_value(json_object_get(asset, "instrument")), name) == 0)
            bonus_ppm = json_integer_value(json_object_get(asset, "bonus_ppm"));
    return bonus_ppm;
}

void import_weight(struct import *import, const char *name, struct import_lines haircut_long,
                   int64_t bonus_ppm)
{
    const struct import_row row = { .name = name, .kind = "KIND_SPOT" };
    json_t *mode = json_array_get(import->modes, json_array_size(import->modes) - 1);
    json_t *weight = json_pack("{s:s, s:o}", "instrument", name, "haircut_long",
                               make_haircut(import, &row, haircut_long, "haircut_long"));
    if (has_contract(import)) {
        const json_int_t most = own_bonus(import, name);
        if (bonus_ppm > most)
            import_note(import, name, "a mode's bonus %lld is above its own, bounded at %lld",
                        (long long)bonus_ppm, (long long)most);
        json_object_set_new(weight, "bonus_ppm",
                            json_integer(bonus_ppm > most ? most : (json_int_t)bonus_ppm));
    }
    json_array_append_new(json_object_get(mode, "weights"), weight);
}

/* ---- liquidity order ------------------------------------------------------------------------ */

static json_int_t member(const json_t *object, const char *group, const char *field)
{
    if (group)
        object = json_object_get(object, group);
    return json_integer_value(json_object_get(object, field));
}

static const char *id_of(const json_t *instrument)
{
    return json_string_value(json_object_get(instrument, "instrument"));
}

/* Cheapest to sell first, then what adds least to health, by id where these are equal. */
static int by_cost(const void *left, const void *right)
{
    const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
    json_int_t cost = member(a, NULL, "sale_discount_ppm") - member(b, NULL, "sale_discount_ppm");
    if (cost == 0)
        cost = member(b, "haircut_long", "maintenance") - member(a, "haircut_long", "maintenance");
    return cost ? (cost < 0 ? -1 : 1) : strcmp(id_of(a), id_of(b));
}

/* Ids of what may be sold. */
static enum pl_err make_order(json_t *instruments, json_t **order)
{
    size_t count = 0, all = json_array_size(instruments);
    json_t **sold = calloc(all + 1, sizeof(*sold)), *instrument;
    size_t i;
    *order = json_array();
    if (!sold)
        return pl_err_set(PL_FATAL_SYSTEM, "no memory");
    json_array_foreach(instruments, i, instrument) {
        if (!json_is_true(json_object_get(instrument, "is_kept")))
            sold[count++] = instrument;
        json_object_del(instrument, "is_kept");
    }
    qsort(sold, count, sizeof(*sold), by_cost);
    for (i = 0; i < count; i++)
        json_array_append_new(*order, json_string(id_of(sold[i])));
    free(sold);
    return PL_OK;
}

/* ---- the contract --------------------------------------------------------------------------- */

static void add_contract(struct import *import, json_t *set)
{
    const char *address = import_contract(import);
    if (!address && import->rule)
        import_note(import, import->request->protocol, "contract, close factor and addresses: left "
                    "out, the template names no contract");
    if (address && !import->rule)
        import_note(import, address, "the template's contract: left out, its calls are not known");
    if (!has_contract(import))
        return;
    json_t *contract = json_pack("{s:s, s:s, s:s, s:O}", "contract", address, "chain", import->chain,
                                 "rule", import->rule, "assets", import->assets);
    if (import->close_factor_ppm > 0)
        json_object_set_new(contract, "close_factor_ppm",
                            json_integer((json_int_t)import->close_factor_ppm));
    if (import->full_below_ppm > 0)
        json_object_set_new(contract, "full_below_ppm",
                            json_integer((json_int_t)import->full_below_ppm));
    json_object_set_new(set, "contracts", json_pack("[o]", contract));
}

/* ---- the set -------------------------------------------------------------------------------- */

static bool has_instrument(const json_t *instruments, const char *id)
{
    size_t i;
    json_t *instrument;
    json_array_foreach(instruments, i, instrument)
        if (strcmp(id_of(instrument), id) == 0)
            return true;
    return false;
}

static enum pl_err make_set(struct import *import, json_t **set)
{
    const json_t *template = import->request->template;
    json_t *order = NULL, *policy, *unused;
    const char *id;
    size_t i;
    enum pl_err err = make_order(import->instruments, &order);
    json_t *policies = json_deep_copy(json_object_get(template, "policies"));
    json_array_foreach(policies, i, policy)
        if (!json_object_get(policy, "liquidity_order"))
            json_object_set(policy, "liquidity_order", order);
    json_decref(order);
    json_object_foreach(json_object_get(template, "instruments"), id, unused)
        if (!has_instrument(import->instruments, id))
            import_note(import, id, "named by the template, not by the file");
    *set = json_pack("{s:o, s:o, s:O, s:O, s:o}", "epoch",
                     json_sprintf("%llu", (unsigned long long)import->request->epoch), "author",
                     json_sprintf("imported from %s%s%s", import->request->protocol,
                                  import->chain ? " on " : "", import->chain ? import->chain : ""),
                     "sources", json_object_get(template, "sources"), "instruments",
                     import->instruments, "policies", policies);
    add_contract(import, *set);
    if (json_array_size(import->modes) > 0)
        json_object_set(*set, "modes", import->modes);
    return err;
}

/* The file says whose it is in its first words. */
static enum pl_err check_protocol(const struct import_request *request)
{
    const char *says = json_string_value(json_object_get(request->document, "protocol"));
    if (says && strncmp(says, request->protocol, strlen(request->protocol)) == 0)
        return PL_OK;
    return pl_err_set(PL_REJECT_CONFLICT, "the file is of protocol %s, not %s", says ? says : "(none)",
                      request->protocol);
}

static enum pl_err read_protocol(struct import *import)
{
    const char *wanted = import->request->protocol;
    for (unsigned i = 0; i < PROTOCOL_COUNT; i++)
        if (strcmp(protocols[i].name, wanted) == 0) {
            enum pl_err err = check_template(import->request->template);
            if (!err)
                err = check_protocol(import->request);
            return err ? err : protocols[i].read(import);
        }
    return pl_err_set(PL_REJECT_UNKNOWN, "%s is none of " IMPORT_PROTOCOLS, wanted);
}

enum pl_err import_set(const struct import_request *request, json_t **set, json_t **notes)
{
    struct import import = { .request = request, .instruments = json_array(),
                             .assets = json_array(), .modes = json_array(), .notes = json_object() };
    *set = *notes = NULL;
    enum pl_err err = read_protocol(&import);
    if (!err)
        err = make_set(&import, set);
    json_decref(import.instruments);
    json_decref(import.assets);
    json_decref(import.modes);
    if (!err)
        *notes = import.notes;
    else
        json_decref(import.notes);
    return err;
}
