/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document for people: a risk desk reads the first line and the numbers, an auditor the rest.
 * It says what the document says and nothing else; only zeros that say nothing are left out and
 * times are spelled. Nothing here looks at the scene again.
 */
#include <string.h>

#include "services/cli/explain.h"

enum { NUMBERS = 8, HISTORY_LINES = 20 };

/* ---- numbers and times ---------------------------------------------------------------------- */

const char *explain_trimmed(const char *decimal, bool with_sign, char text[EXPLAIN_NUMBER_BYTES])
{
    bool is_positive = decimal[0] != '-' && strspn(decimal, "0.") < strlen(decimal);
    snprintf(text, EXPLAIN_NUMBER_BYTES, "%s%s", with_sign && is_positive ? "+" : "", decimal);
    if (!strchr(text, '.'))
        return text;
    size_t size = strlen(text);
    while (text[size - 1] == '0')
        text[--size] = '\0';
    if (text[size - 1] == '.')
        text[--size] = '\0';
    return text;
}

const char *explain_span(int64_t span_ms, char text[WHEN_TIME_BYTES])
{
    char decimal[64], trimmed[EXPLAIN_NUMBER_BYTES];
    pl_decimal_print(span_ms, 3, decimal);
    snprintf(text, WHEN_TIME_BYTES, "%.28s s", explain_trimmed(decimal, false, trimmed));
    return text;
}

/* ---- reading the document ------------------------------------------------------------------- */

/* Some texts at once, for one printf: each lives until NUMBERS more are made. */
static char *next_text(void)
{
    static char texts[NUMBERS][EXPLAIN_NUMBER_BYTES];
    static unsigned at;
    at = (at + 1) % NUMBERS;
    return texts[at];
}

static const char *word(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "-";
}

static long long whole(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static bool is_so(const json_t *object, const char *field)
{
    return json_is_true(json_object_get(object, field));
}

static const char *number(const json_t *object, const char *field)
{
    return explain_trimmed(word(object, field), false, next_text());
}

static const char *when(const json_t *object, const char *field)
{
    return when_print_time(whole(object, field), next_text());
}

static const char *span(const json_t *object, const char *field)
{
    return explain_span(whole(object, field), next_text());
}

static const char *percent(long long ppm)
{
    char decimal[64];
    pl_decimal_print(ppm, 4, decimal);
    return explain_trimmed(decimal, false, next_text());
}

/* "12.5 USD" or "between -3 and 12.5 USD". */
static const char *range(const json_t *object, const char *field, char text[160])
{
    const json_t *value = json_object_get(object, field);
    if (json_is_object(value))
        snprintf(text, 160, "between %.70s and %.70s USD", number(value, "at_worst"),
                 number(value, "at_best"));
    else
        snprintf(text, 160, "%.70s USD", number(object, field));
    return text;
}

/* ---- the account ---------------------------------------------------------------------------- */

static void print_journal(FILE *file, const json_t *document)
{
    const json_t *journal = json_object_get(document, "journal"), *halt;
    size_t i;
    fprintf(file, "account     %s, partition %lld\n", word(document, "account"),
            whole(document, "partition"));
    fprintf(file, "journal     entry %lld (offset %lld) of %s, %s, %s\n",
            whole(journal, "sequence"), whole(journal, "offset"), when(journal, "clock_ms"),
            word(journal, "kind"), word(journal, "readiness"));
    fprintf(file, "            parameters %lld, control %lld, outputs %lld, by %s, build %s\n",
            whole(journal, "parameter_epoch"), whole(journal, "control_epoch"),
            whole(journal, "output_count"), word(journal, "slot"), word(journal, "build"));
    if (json_array_size(json_object_get(document, "halts")) == 0)
        fputs("halts       none\n", file);
    json_array_foreach(json_object_get(document, "halts"), i, halt)
        fprintf(file, "halts       %s by %s since %s: %s\n", word(halt, "scope"),
                word(halt, "actor"), when(halt, "since_ms"), word(halt, "reason"));
}

static void print_doubts(FILE *file, const char *head, const json_t *doubts)
{
    const json_t *doubt;
    size_t i;
    json_array_foreach(doubts, i, doubt)
        fprintf(file, "%s%s: %s", i == 0 ? head : ", ", word(doubt, "of"), word(doubt, "reason"));
    if (json_array_size(doubts) > 0)
        fputc('\n', file);
}

static void print_state(FILE *file, const json_t *document)
{
    const json_t *state = json_object_get(document, "state");
    const json_t *watermark = json_object_get(document, "watermark");
    fprintf(file, "positions   in up to %s before, at most %s\n", span(watermark, "age_ms"),
            span(watermark, "age_ms_max"));
    fprintf(file, "state       %s", word(state, "state"));
    if (json_is_integer(json_object_get(state, "since_ms")))
        fprintf(file, " since %s", when(state, "since_ms"));
    if (strcmp(word(state, "state"), word(state, "left")) != 0)
        fprintf(file, " (was %s)", word(state, "left"));
    fprintf(file, ", episode %lld, revision %lld, version %lld\n", whole(state, "episode"),
            whole(state, "revision"), whole(state, "version"));
    if (whole(state, "revision_after_ms") > whole(json_object_get(document, "journal"), "clock_ms"))
        fprintf(file, "            no further revision before %s\n",
                when(state, "revision_after_ms"));
    if (json_is_integer(json_object_get(state, "braked_ms")))
        fprintf(file, "            waits for the brake since %s\n", when(state, "braked_ms"));
    if (json_is_integer(json_object_get(state, "whole_since_ms")))
        fprintf(file, "            initial margin whole since %s, restricted until %s\n",
                when(state, "whole_since_ms"), when(state, "restricted_until_ms"));
    if (json_is_integer(json_object_get(state, "called_ms")))
        fprintf(file, "            initial margin called since %s", when(state, "called_ms"));
    if (json_is_integer(json_object_get(state, "due_ms")))
        fprintf(file, ", due %s", when(state, "due_ms"));
    if (json_is_integer(json_object_get(state, "called_ms")))
        fputc('\n', file);
    if (json_is_string(json_object_get(state, "bad_debt_usd")))
        fprintf(file, "            bad debt of %s USD was told\n",
                explain_trimmed(word(state, "bad_debt_usd"), false, (char[EXPLAIN_NUMBER_BYTES]){0}));
    print_doubts(file, "            in doubt: ", json_object_get(state, "doubts"));
}

/* ---- holdings ------------------------------------------------------------------------------- */

static void print_mark(FILE *file, const json_t *price)
{
    if (strcmp(word(price, "status"), "none") == 0) {
        fprintf(file, "%15sno mark\n", "");
        return;
    }
    fprintf(file, "%15s%s mark, %s old (at most %s), ", "", word(price, "status"),
            span(price, "age_ms"), span(price, "age_ms_max"));
    if (strcmp(word(price, "status"), word(price, "published")) != 0)
        fprintf(file, "published %s, ", word(price, "published"));
    fprintf(file, "%s to %s\n", number(price, "low"), number(price, "high"));
    fprintf(file, "%15sof prices-%lld offset %lld, tick %lld, sources: %lld\n", "",
            whole(price, "source_partition"), whole(price, "source_offset"), whole(price, "tick"),
            whole(price, "source_count"));
}

static void print_leg(FILE *file, const json_t *leg)
{
    const json_t *price = json_object_get(leg, "price"), *source;
    size_t i;
    if (!is_so(leg, "listed")) {
        fprintf(file, "  %-12s not listed:", word(leg, "instrument"));
        json_array_foreach(json_object_get(leg, "sources"), i, source)
            fprintf(file, " %s of %s", number(source, "quantity"), word(source, "source"));
        fputc('\n', file);
        return;
    }
    fprintf(file, "  %-12s %18s %14s %20s\n", word(leg, "instrument"), number(leg, "quantity"),
            number(price, "price"), number(leg, "value_usd"));
    print_mark(file, price);
    if (strcmp(word(leg, "quantity"), word(leg, "final_quantity")) != 0)
        fprintf(file, "%15s%18s final\n", "", number(leg, "final_quantity"));
    if (json_is_string(json_object_get(leg, "credited_quantity")))
        fprintf(file, "%15s%18s of it credited before it is final, not for sale\n", "",
                number(leg, "credited_quantity"));
    if (strcmp(word(leg, "quantity"), word(leg, "after_pending")) != 0)
        fprintf(file, "%15s%18s after pending orders, which the value is of\n", "",
                number(leg, "after_pending"));
}

static void print_sources(FILE *file, const json_t *holdings)
{
    const json_t *source, *tail;
    size_t i;
    json_array_foreach(json_object_get(holdings, "sources"), i, source)
        fprintf(file, "  source %s%s%s: sequence %lld of %s%s%s\n", word(source, "source"),
                json_is_string(json_object_get(source, "chain")) ? " on " : "",
                json_is_string(json_object_get(source, "chain")) ? word(source, "chain") : "",
                whole(source, "sequence"), when(source, "event_time_ms"),
                is_so(source, "gap") ? ", GAP" : "",
                is_so(source, "settles_by_time") ? ", settles by time" : "");
    json_array_foreach(json_object_get(holdings, "not_final"), i, tail)
        fprintf(file, "  not final: %s %s of %s, sequence %lld, block %lld\n",
                number(tail, "quantity"), word(tail, "of"), word(tail, "source"),
                whole(tail, "sequence"), whole(tail, "block_height"));
}

static void print_holdings(FILE *file, const json_t *holdings)
{
    const json_t *leg;
    size_t i;
    fprintf(file, "\nholdings    version %lld of %s (%s before), %s%s%s\n",
            whole(holdings, "version"), when(holdings, "event_time_ms"), span(holdings, "age_ms"),
            is_so(holdings, "known") ? "" : "never seen, ",
            is_so(holdings, "gap") ? "with a gap" : "complete",
            is_so(holdings, "tainted") ? ", a later record could not be read" : "");
    if (whole(holdings, "mode") > 0)
        fprintf(file, "            in mode %lld\n", whole(holdings, "mode"));
    fprintf(file, "  %-12s %18s %14s %20s\n", "instrument", "quantity", "price", "value USD");
    json_array_foreach(json_object_get(holdings, "legs"), i, leg)
        print_leg(file, leg);
    fprintf(file, "  %-12s %18s %14s %20s\n", "cash", "", "", number(holdings, "cash_usd"));
    if (strcmp(word(holdings, "cash_usd"), word(holdings, "final_cash_usd")) != 0)
        fprintf(file, "  %-12s %54s\n", "final cash", number(holdings, "final_cash_usd"));
    if (strcmp(word(holdings, "cash_usd"), word(holdings, "cash_after_pending_usd")) != 0)
        fprintf(file, "  %-12s %54s  after pending orders\n", "cash",
                number(holdings, "cash_after_pending_usd"));
    print_sources(file, holdings);
}

/* ---- verdict -------------------------------------------------------------------------------- */

/* By which way each leg depends on what a term is of. */
static void print_paths(FILE *file, const json_t *paths)
{
    const json_t *row, *step;
    size_t i, k;
    json_array_foreach(paths, i, row) {
        fprintf(file, "%17s%s", "", word(row, "instrument"));
        json_array_foreach(json_object_get(row, "path"), k, step)
            fprintf(file, " > %s", json_string_value(step));
        fprintf(file, "  %s %%\n", percent(whole(row, "loss_ppm")));
    }
}

static void print_tier(FILE *file, const json_t *tier)
{
    char text[160];
    const json_t *term;
    size_t i;
    bool is_open = json_is_object(json_object_get(tier, "excess_usd"));
    fprintf(file, "\n%-11s excess %s", word(tier, "tier"), range(tier, "excess_usd", text));
    if (json_is_string(json_object_get(tier, "equity_usd")))
        fprintf(file, "%s equity %s less requirement %s", is_open ? "\n            at best:" : " =",
                number(tier, "equity_usd"), number(tier, "requirement_usd"));
    fputc('\n', file);
    if (json_is_string(json_object_get(tier, "to_leave_usd")))
        fprintf(file, "            entered below 0, left at %s\n", number(tier, "to_leave_usd"));
    json_array_foreach(json_object_get(tier, "terms"), i, term) {
        fprintf(file, "  %-14s %-12s %34s", word(term, "term"), word(term, "of"),
                number(term, "excess_usd"));
        if (json_is_integer(json_object_get(term, "rate_ppm")))
            fprintf(file, "  %s %%", percent(whole(term, "rate_ppm")));
        const json_t *worst = json_object_get(term, "worst");
        if (json_is_string(worst))
            fprintf(file, "  %s", json_string_value(worst));
        if (json_is_object(worst))
            fprintf(file, "  scenario %lld: %s %%, volatility %s", whole(worst, "scenario"),
                    percent(whole(worst, "move_ppm")), word(worst, "volatility"));
        fputc('\n', file);
        print_paths(file, json_object_get(term, "paths"));
    }
}

static void print_cures(FILE *file, const json_t *cures)
{
    const json_t *cure;
    size_t i;
    json_array_foreach(cures, i, cure)
        if (json_is_string(json_object_get(cure, "quantity")))
            fprintf(file, "            or %s %s %s at %s or better, which costs %s USD\n",
                    strcmp(word(cure, "kind"), "repay") == 0 ? "buy back" : "sell",
                    number(cure, "quantity"), word(cure, "instrument"), number(cure, "price"),
                    number(cure, "cost_usd"));
}

static void print_ratios(FILE *file, const json_t *ratios)
{
    const json_t *top_ups = json_object_get(ratios, "top_up_usd");
    if (!json_is_object(ratios))
        return;
    fprintf(file, "ratios      collateral %s over debt %s USD: %s, over-collateral %s\n",
            number(ratios, "collateral_usd"), number(ratios, "debt_usd"),
            number(ratios, "collateral_ratio"), number(ratios, "over_collateral_ratio"));
    fprintf(file, "            health factor %s; cash that makes initial margin whole %s USD\n",
            number(ratios, "health_factor"), number(top_ups, "initial"));
    print_cures(file, json_object_get(ratios, "cures"));
}

static void print_verdict(FILE *file, const json_t *verdict)
{
    char text[160];
    const json_t *tiers = json_object_get(verdict, "tiers");
    fprintf(file, "\nverdict     %s, equity %s, gross value %s USD\n", word(verdict, "certainty"),
            range(verdict, "equity_usd", text), number(verdict, "gross_usd"));
    print_doubts(file, "            in doubt: ", json_object_get(verdict, "doubts"));
    print_ratios(file, json_object_get(verdict, "ratios"));
    for (size_t i = json_array_size(tiers); i-- > 0;) /* the line that decides first */
        print_tier(file, json_array_get(tiers, i));
}

/* ---- thresholds ----------------------------------------------------------------------------- */

/* "30 / 25 / 20 / 10 %" */
static void print_tiers_ppm(FILE *file, const json_t *tiers)
{
    fprintf(file, "%s / %s / %s / %s %%", percent(whole(tiers, "alert")),
            percent(whole(tiers, "initial")), percent(whole(tiers, "end")),
            percent(whole(tiers, "maintenance")));
}

static void print_rows(FILE *file, const json_t *rows, const char *what, const char *field,
                       const char *rate)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const json_t *name = json_object_get(row, field);
        if (json_is_string(name))
            fprintf(file, "%15s%s %s ", "", what, json_string_value(name));
        else
            fprintf(file, "%15s%s %lld USD ", "", what, (long long)json_integer_value(name));
        print_tiers_ppm(file, json_object_get(row, rate));
        fputc('\n', file);
    }
}

static void print_instrument(FILE *file, const json_t *instrument)
{
    fprintf(file, "  %-12s haircut long ", word(instrument, "instrument"));
    print_tiers_ppm(file, json_object_get(instrument, "haircut_long_ppm"));
    fputs(", short ", file);
    print_tiers_ppm(file, json_object_get(instrument, "haircut_short_ppm"));
    fprintf(file, "\n%15sconfidence %s %%, sale discount %s %%, ", "",
            percent(whole(instrument, "confidence_ppm")),
            percent(whole(instrument, "sale_discount_ppm")));
    if (whole(instrument, "sale_rank") > 0)
        fprintf(file, "liquidity order %lld,\n", whole(instrument, "sale_rank"));
    else
        fputs("not in the liquidity order,\n", file);
    fprintf(file, "%15sa mark is too old after %s and counts %s to %s %% then\n", "",
            span(instrument, "age_ms_max"), percent(whole(instrument, "bad_mark_low_ppm")),
            percent(whole(instrument, "bad_mark_high_ppm")));
    print_rows(file, json_object_get(instrument, "factors"), "factor", "factor", "load_ppm");
    print_rows(file, json_object_get(instrument, "concentration"), "above", "above_usd",
               "rate_ppm");
    print_rows(file, json_object_get(instrument, "dependencies"), "dependency", "dependency",
               "loss_ppm");
}

static void print_thresholds(FILE *file, const json_t *thresholds)
{
    const json_t *policy = json_object_get(thresholds, "policy"), *instrument;
    size_t i;
    fprintf(file, "\nthresholds  parameters %lld; alert / initial / end / maintenance\n",
            whole(thresholds, "epoch"));
    json_array_foreach(json_object_get(thresholds, "instruments"), i, instrument)
        print_instrument(file, instrument);
    fprintf(file, "  %-12s orders valid %s, overdue %s later, %s between revisions,\n", "policy",
            span(policy, "order_valid_ms"), span(policy, "order_overdue_ms"),
            span(policy, "revision_pause_ms"));
    fprintf(file, "%15srestricted for %s after initial margin is whole, alert hysteresis %s %%,\n",
            "", span(policy, "restricted_hold_ms"),
            percent(whole(policy, "alert_hysteresis_ppm")));
    fprintf(file, "%15spositions in at most %s before\n", "",
            span(policy, "watermark_age_ms_max"));
    if (whole(policy, "call_interval_ms_min") > 0)
        fprintf(file, "%15sthe same alert not again within %s\n", "",
                span(policy, "call_interval_ms_min"));
    if (whole(policy, "grace_ms") > 0)
        fprintf(file, "%15sa margin call expires after %s\n", "", span(policy, "grace_ms"));
    if (whole(policy, "close_factor_ppm") > 0)
        fprintf(file, "%15san order takes at most %s %% of a leg, all of one below %lld USD or below "
                "a health of %s %%\n", "", percent(whole(policy, "close_factor_ppm")),
                whole(policy, "close_full_below_usd"),
                percent(whole(policy, "close_full_below_health_ppm")));
    if (whole(policy, "close_leftover_usd_min") > 0)
        fprintf(file, "%15sand leaves none that is worth less than %lld USD\n", "",
                whole(policy, "close_leftover_usd_min"));
    if (whole(policy, "brake_window_ms") > 0)
        fprintf(file, "%15sthe brake lets %s %% of an instrument's depth pass in %s\n", "",
                percent(whole(policy, "brake_depth_ppm")), span(policy, "brake_window_ms"));
    if (whole(policy, "bad_debt_dust_usd") > 0)
        fprintf(file, "%15sa bad debt does not wait for what is worth at most %lld USD\n", "",
                whole(policy, "bad_debt_dust_usd"));
}

/* ---- orders --------------------------------------------------------------------------------- */

static void print_pending(FILE *file, const json_t *pending)
{
    const json_t *order;
    size_t i;
    fprintf(file, "\norders      in flight: %zu\n", json_array_size(pending));
    json_array_foreach(pending, i, order) {
        fprintf(file, "  %s %s %s %s at %s, %s%s\n", word(order, "order_id"), word(order, "side"),
                number(order, "ordered"), word(order, "instrument"), number(order, "limit_price"),
                word(order, "progress"), is_so(order, "new") ? ", new" : "");
        fprintf(file, "%15sexecuted %s, applied %s, reserved %s, valid until %s\n", "",
                number(order, "executed"), number(order, "applied"), number(order, "reserved"),
                when(order, "valid_until_ms"));
    }
}

static void print_choice(FILE *file, const json_t *choice)
{
    const json_t *alone = json_object_get(choice, "alone");
    if (whole(choice, "rank") > 0)
        fprintf(file, "  %4lld %-12s ", whole(choice, "rank"), word(choice, "instrument"));
    else
        fprintf(file, "     - %-12s ", word(choice, "instrument"));
    if (json_is_null(alone)) {
        fprintf(file, "skipped: %s\n", word(choice, "skipped"));
        return;
    }
    fprintf(file, "%s: %s;\n%20salone, %s of it would%s reach the target (end excess %s USD)\n",
            is_so(choice, "ordered") ? "ordered" : "not ordered", word(choice, "note"), "",
            number(alone, "quantity"), is_so(alone, "reaches_target") ? "" : " not",
            number(alone, "end_excess_after_usd"));
}

static void print_pro_rata(FILE *file, const json_t *pro_rata)
{
    const json_t *share = json_object_get(pro_rata, "share_ppm");
    if (json_is_integer(share))
        fprintf(file, "  pro rata: %s %% of every leg that may be sold would reach the target",
                percent(json_integer_value(share)));
    else
        fputs("  pro rata: not even all that may be sold reaches the target", file);
    fprintf(file, "\n%20s(with all of them sold the end excess is %s USD)\n", "",
            number(pro_rata, "all_sold_excess_usd"));
}

static void print_plan(FILE *file, const json_t *document)
{
    const json_t *plan = json_object_get(document, "plan"), *leg, *choice;
    size_t i;
    if (!json_is_object(plan)) {
        bool is_elsewhere = json_is_integer(json_object_get(document, "sale_sequence"));
        fprintf(file, is_elsewhere ? "\nplan        of entry %lld, whose records are not at hand\n"
                                   : "\nplan        none\n", whole(document, "sale_sequence"));
        return;
    }
    fprintf(file, "\nplan        of entry %lld at %s, episode %lld, revision %lld\n",
            whole(plan, "sequence"), when(plan, "clock_ms"), whole(plan, "episode"),
            whole(plan, "revision"));
    fprintf(file, "%12send excess before %s, after %s USD: %s\n", "",
            number(plan, "end_excess_before_usd"), number(plan, "end_excess_after_usd"),
            is_so(plan, "reaches_target") ? "reaches the target, the end tier's line"
            : is_so(plan, "bankrupt")     ? "bankrupt, all that may be sold and helps is sold"
                                          : "does not reach the target, more is for the next one");
    fprintf(file, "%12smaintenance excess before %s USD\n", "",
            number(plan, "maintenance_excess_before_usd"));
    if (json_is_string(json_object_get(plan, "cost_usd")))
        fprintf(file, "%12scosts at most %s USD against the marks; no sale can cost less than %s (%s %%)\n",
                "", number(plan, "cost_usd"), number(plan, "cost_bound_usd"),
                percent(whole(plan, "gap_ppm")));
    json_array_foreach(json_object_get(plan, "legs"), i, leg)
        fprintf(file, "  %s %s %s at %s or better (%s);\n"
                "%15swith one lot less the end excess is %s USD\n", word(leg, "side"),
                number(leg, "quantity"), word(leg, "instrument"), number(leg, "limit_price"),
                word(leg, "order_id"), "", number(leg, "end_excess_one_lot_less_usd"));
    fputs("  choices in the liquidity order:\n", file);
    json_array_foreach(json_object_get(plan, "choices"), i, choice)
        print_choice(file, choice);
    print_pro_rata(file, json_object_get(plan, "pro_rata"));
}

/* ---- history -------------------------------------------------------------------------------- */

static void print_change(FILE *file, const json_t *row)
{
    fprintf(file, "  %s  entry %lld: %s", when(row, "time_ms"), whole(row, "sequence"),
            word(row, "left"));
    if (strcmp(word(row, "left"), word(row, "entered")) != 0)
        fprintf(file, " -> %s", word(row, "entered"));
    fprintf(file, ", episode %lld, revision %lld, orders in flight: %lld, doubts: %lld\n",
            whole(row, "episode"), whole(row, "revision"), whole(row, "pending_count"),
            whole(row, "doubt_count"));
}

static void print_alert(FILE *file, const json_t *row)
{
    fprintf(file, "  %s  entry %lld: %s", when(row, "time_ms"), whole(row, "sequence"),
            word(row, "kind"));
    if (json_is_string(json_object_get(row, "entered")))
        fprintf(file, " %s -> %s", word(row, "left"), word(row, "entered"));
    if (json_is_string(json_object_get(row, "order_id")))
        fprintf(file, " %s", word(row, "order_id"));
    fputc('\n', file);
}

/* The last lines of a list; the document has them all. */
static void print_list(FILE *file, const char *head, const json_t *rows,
                       void (*print)(FILE *file, const json_t *row))
{
    size_t count = json_array_size(rows);
    size_t first = count > HISTORY_LINES ? count - HISTORY_LINES : 0;
    fprintf(file, "\n%-11s records: %zu", head, count);
    fprintf(file, first > 0 ? ", the last %zu:\n" : "\n", count - first);
    for (size_t i = first; i < count; i++)
        print(file, json_array_get(rows, i));
}

void explain_print(FILE *file, const json_t *document)
{
    fprintf(file, "%s\n\n", word(document, "answer"));
    print_journal(file, document);
    if (json_is_object(json_object_get(document, "state"))) {
        print_state(file, document);
        print_holdings(file, json_object_get(document, "holdings"));
        print_verdict(file, json_object_get(document, "verdict"));
        print_thresholds(file, json_object_get(document, "thresholds"));
        print_pending(file, json_object_get(document, "pending"));
        print_plan(file, document);
    }
    print_list(file, "history", json_object_get(document, "history"), print_change);
    print_list(file, "alerts", json_object_get(document, "alerts"), print_alert);
}
