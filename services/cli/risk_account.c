/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of one account at one moment (risk.h). */
#include <stdlib.h>
#include <string.h>

#include "services/cli/explain.h"
#include "services/cli/risk.h"

static const int64_t PROBE_E12 = 10000000000; /* 1 % of a price, for people */

enum {
    DOWN_STEPS = PL_PPM,            /* -100 % in ppm                          */
    UP_STEPS = 10 * PL_PPM,         /* + 1000 %                               */
    SIGMA_STEPS = 100 * PL_PPM,     /* 100 standard deviations, in 10^-6      */
    PROBE_STEPS = 10000,            /* 1 %                                    */
    PROBE_SIGMA_STEPS = PL_PPM / 4, /* a quarter of a standard deviation      */
};

/* About 15 MB: static. */
struct figures {
    const struct moment *moment;
    const struct risk_options *options;
    struct pl_outlook outlook;
    struct pl_leg legs[PL_LEGS_MAX];
    struct pl_portfolio portfolio;
    struct pl_verdict verdict;
    struct pl_stressed stressed;
    struct pl_direction market, sigma, scratch;
    uint32_t listed_count, listed[PL_INSTRUMENTS_MAX]; /* in order of id */
    pl_i128 losses_vu[PL_SCENARIOS_MAX];
};

/* ---- distances ------------------------------------------------------------------------------ */

static const char *id_of(const struct figures *figures, uint32_t instrument)
{
    return figures->moment->venue->names->ids[instrument].text;
}

static bool is_held(const struct figures *figures, uint32_t instrument)
{
    for (uint32_t i = 0; i < figures->portfolio.leg_count; i++)
        if (figures->legs[i].instrument == instrument)
            return true;
    return false;
}

/* What moves against the account, and how far at the crossing; cut toward no move. */
static json_t *moves_of(const struct figures *figures, int64_t step)
{
    json_t *moves = json_array();
    for (uint32_t k = 0; k < figures->listed_count; k++) {
        int32_t weight_ppm = figures->scratch.weight_ppm[figures->listed[k]];
        if (weight_ppm != 0)
            json_array_append_new(
                moves, json_pack("{s:s, s:I}", "instrument", id_of(figures, figures->listed[k]),
                                 "move_ppm",
                                 (json_int_t)((pl_i128)weight_ppm * step / PL_PPM)));
    }
    return moves;
}

struct measure {
    const char *direction;
    const struct pl_direction *weights;
    int sign;         /* of the weights; 0: against the account */
    bool is_in_sigma;
    int64_t step_max, probe_step;
};

static json_t *distance_facts(struct figures *figures, const struct measure *measure,
                              struct pl_distance *distance)
{
    static const char *const kinds[] = { "?", "reached", "below", "never", "unknown" };
    figures->scratch = *measure->weights;
    if (measure->sign < 0)
        for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
            figures->scratch.weight_ppm[i] = -figures->scratch.weight_ppm[i];
    if (measure->sign == 0)
        pl_direction_against(&figures->stressed, &figures->outlook, measure->probe_step,
                             &figures->scratch);
    pl_distance_of(&figures->stressed, &figures->outlook, &figures->scratch, measure->step_max,
                   distance);
    bool is_reached = distance->kind == PL_DISTANCE_REACHED;
    json_t *facts = json_pack(
        "{s:s, s:s, s:o, s:o, s:o}", "direction", measure->direction, "kind",
        kinds[distance->kind], measure->is_in_sigma ? "distance_sigma" : "distance_ppm",
        measure->is_in_sigma ? explain_decimal(distance->step, 6) : json_integer(distance->step),
        "excess_usd", explain_bound(distance->excess, 18), "excess_beyond_usd",
        is_reached ? explain_bound(distance->excess_beyond, 18) : json_null());
    json_object_set_new(facts, "moves", measure->sign == 0 ? moves_of(figures, distance->step)
                                                           : json_array());
    return facts;
}

static void add_distances(struct figures *figures, json_t *document)
{
    const struct measure measures[] = {
        { "down", &figures->market, -1, false, DOWN_STEPS, 0 },
        { "up", &figures->market, 1, false, UP_STEPS, 0 },
        { "against", &figures->market, 0, false, DOWN_STEPS, PROBE_STEPS },
        { "down", &figures->sigma, -1, true, SIGMA_STEPS, 0 },
        { "up", &figures->sigma, 1, true, SIGMA_STEPS, 0 },
        { "against", &figures->sigma, 0, true, SIGMA_STEPS, PROBE_SIGMA_STEPS },
    };
    json_t *array = json_array();
    struct pl_distance distances[sizeof(measures) / sizeof(measures[0])];
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++)
        json_array_append_new(array, distance_facts(figures, &measures[i], &distances[i]));
    bool is_down = distances[0].kind == PL_DISTANCE_REACHED;
    bool is_up = distances[1].kind == PL_DISTANCE_REACHED;
    const char *nearest = is_down && (!is_up || distances[0].step <= distances[1].step) ? "down"
                          : is_up ? "up" : NULL;
    json_object_set_new(document, "distances", array);
    json_object_set_new(document, "nearest", nearest ? json_string(nearest) : json_null());
}

/* ---- prices and terms ----------------------------------------------------------------------- */

struct price {
    uint32_t instrument;
    bool is_known;
    struct pl_probe probe;
};

static pl_i128 worse(const struct price *price)
{
    return price->is_known ? pl_min(price->probe.up, price->probe.down) : PL_EXCESS_UNBOUNDED;
}

/* Worst first; equal ones stay in order of id. */
static uint32_t probe_prices(struct figures *figures, struct price *prices)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < figures->listed_count; k++) {
        uint32_t i = figures->listed[k];
        if (!is_held(figures, i))
            continue;
        struct price price = { .instrument = i };
        price.is_known = pl_probe_price(&figures->stressed, &figures->outlook, i, PROBE_E12,
                                        &price.probe);
        uint32_t at = count++;
        for (; at > 0 && worse(&price) < worse(&prices[at - 1]); at--)
            prices[at] = prices[at - 1];
        prices[at] = price;
    }
    return count;
}

static void add_prices(struct figures *figures, json_t *document)
{
    static struct price prices[PL_LEGS_MAX];
    const struct venue *venue = figures->moment->venue;
    uint32_t count = probe_prices(figures, prices);
    json_t *array = json_array(), *steady = json_array();
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = prices[k].instrument;
        const struct pl_quote *quote = &venue->market->quotes[i];
        bool is_known = prices[k].is_known;
        json_array_append_new(
            array,
            json_pack("{s:s, s:o, s:I, s:o, s:o}", "instrument", id_of(figures, i), "price",
                      quote->ticks > 0
                          ? explain_decimal(quote->ticks,
                                            venue->parameters->instruments[i].tick_decimals)
                          : json_null(),
                      "volatility_ppm", (json_int_t)risk_volatility_ppm(&venue->marks[i]),
                      "excess_up_usd",
                      is_known ? explain_bound(prices[k].probe.up, 18) : json_null(),
                      "excess_down_usd",
                      is_known ? explain_bound(prices[k].probe.down, 18) : json_null()));
    }
    for (uint32_t k = 0; k < figures->listed_count; k++)
        if (is_held(figures, figures->listed[k]) &&
            risk_is_steady(figures->options, venue, figures->listed[k]))
            json_array_append_new(steady, json_string(id_of(figures, figures->listed[k])));
    json_object_set_new(document, "steady", steady);
    json_object_set_new(document, "prices", array);
}

static json_t *term_facts(const struct figures *figures, const struct pl_term *term)
{
    const struct venue *venue = figures->moment->venue;
    if (!term)
        return json_null();
    return json_pack("{s:s, s:s, s:o}", "term", explain_term_name(term->kind), "of",
                     explain_term_of(venue->names, venue->parameters, term), "excess_usd",
                     explain_bound(term->amount, 18));
}

static void add_terms(const struct figures *figures, json_t *document)
{
    static struct pl_term terms[PL_TERMS_MAX];
    const struct pl_term *worst = NULL, *dependency = NULL;
    uint32_t count = pl_explain(figures->moment->venue->market, &figures->portfolio,
                                PL_TIER_MAINTENANCE, terms, PL_TERMS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bool is_requirement = terms[i].kind != PL_TERM_VALUE && terms[i].amount < 0;
        if (is_requirement && (!worst || terms[i].amount < worst->amount))
            worst = &terms[i];
        if (terms[i].kind == PL_TERM_DEPENDENCY)
            dependency = &terms[i];
    }
    json_object_set_new(document, "worst_term", term_facts(figures, worst));
    json_t *facts = term_facts(figures, dependency);
    if (dependency)
        json_object_set_new(facts, "paths",
                            explain_paths(figures->moment->venue->names,
                                          figures->moment->venue->parameters, &figures->portfolio,
                                          PL_TIER_MAINTENANCE, dependency->index));
    json_object_set_new(document, "worst_dependency", facts);
}

/* ---- the tail ------------------------------------------------------------------------------- */

struct worst_scenario {
    const json_t *scenario; /* NULL: none yet */
    pl_i128 excess, loss_vu;
    uint64_t below_count;
};

/* Losses of equity, at its lower bound where inputs are uncertain. */
static enum pl_err lose(struct figures *figures, struct worst_scenario *worst)
{
    const json_t *scenario;
    size_t i;
    json_array_foreach(figures->options->scenarios, i, scenario) {
        struct pl_verdict verdict;
        enum pl_err err = risk_stress(scenario, figures->moment->venue, &figures->outlook,
                                      &figures->stressed);
        if (err)
            return err;
        pl_verdict_of(&figures->stressed.market, figures->outlook.names, &figures->portfolio,
                      &verdict);
        pl_i128 excess = verdict.excess[PL_TIER_MAINTENANCE].low;
        if (verdict.certainty == PL_OUT_OF_RANGE ||
            pl_abs(verdict.equity_vu.low) >= PL_EXCESS_UNBOUNDED ||
            pl_abs(figures->verdict.equity_vu.low) >= PL_EXCESS_UNBOUNDED)
            return pl_err_set(PL_REJECT_OVERFLOW, "scenario %s: the account leaves the exact range, "
                              "or has a debt that was never priced", risk_scenario_name(scenario));
        figures->losses_vu[i] = figures->verdict.equity_vu.low - verdict.equity_vu.low;
        worst->below_count += excess < 0;
        if (!worst->scenario || excess < worst->excess)
            *worst = (struct worst_scenario){ scenario, excess, figures->losses_vu[i],
                                              worst->below_count };
    }
    return PL_OK;
}

static enum pl_err add_tail(struct figures *figures, json_t *document)
{
    struct worst_scenario worst = { 0 };
    struct pl_tail tail;
    size_t count = json_array_size(figures->options->scenarios);
    json_object_set_new(document, "tail", json_null());
    if (count == 0)
        return PL_OK;
    enum pl_err err = lose(figures, &worst);
    if (err)
        return err;
    pl_tail_of(figures->losses_vu, (uint32_t)count, figures->options->confidence_ppm, &tail);
    pl_i128 excess = figures->verdict.excess[PL_TIER_MAINTENANCE].low;
    bool has_distance = tail.deviation_vu > 0 && excess >= 0;
    json_object_set_new(
        document, "tail",
        json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:{s:s, s:o, s:o}}", "scenarios",
                  (json_int_t)count, "confidence_ppm",
                  (json_int_t)figures->options->confidence_ppm, "rank", (json_int_t)tail.rank,
                  "pfe_usd", explain_decimal(tail.exposure_vu, 12), "es_usd",
                  explain_decimal(tail.shortfall_vu, 12), "deviation_usd",
                  explain_decimal(tail.deviation_vu, 12), "distance_sigma",
                  /* VU * ppm by VU: in 10^-6 already. */
                  has_distance ? explain_decimal(excess / tail.deviation_vu, 6) : json_null(),
                  "below", (json_int_t)worst.below_count, "worst", "scenario",
                  risk_scenario_name(worst.scenario), "loss_usd",
                  explain_decimal(worst.loss_vu, 12), "excess_usd",
                  explain_bound(worst.excess, 18)));
    return PL_OK;
}

/* ---- netting -------------------------------------------------------------------------------- */

static void add_netting(const struct figures *figures, json_t *document)
{
    struct pl_netting netting;
    json_t *facts = json_null();
    if (pl_netting_of(figures->moment->venue->market, &figures->portfolio, PL_TIER_MAINTENANCE,
                      &netting))
        facts = json_pack("{s:o, s:o, s:o}", "requirement_usd",
                          explain_decimal(netting.requirement, 18), "gross_requirement_usd",
                          explain_decimal(netting.gross_requirement, 18), "efficiency_ppm",
                          netting.gross_requirement > 0 ? json_integer(netting.efficiency_ppm)
                                                        : json_null());
    json_object_set_new(document, "netting", facts);
}

/* ---- the document --------------------------------------------------------------------------- */

json_t *risk_moment(const struct moment *moment)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "sequence", (json_int_t)moment->entry->sequence,
                     "offset", (json_int_t)moment->journal_offset, "clock_ms",
                     (json_int_t)moment->entry->clock_ms, "parameter_epoch",
                     (json_int_t)moment->venue->parameters->epoch);
}

json_t *risk_verdict(const struct pl_names *names, const struct pl_verdict *verdict)
{
    static const char *const certainties[] = { "certain", "uncertain", "out_of_range" };
    json_t *excess = json_object();
    for (enum pl_tier tier = 0; tier < PL_TIER_COUNT; tier++)
        json_object_set_new(excess, explain_tier_name(tier),
                            explain_bounds(&verdict->excess[tier], 18));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "certainty", certainties[verdict->certainty],
                     "equity_usd", explain_bounds(&verdict->equity_vu, 12), "gross_usd",
                     explain_decimal(verdict->gross_vu, 12), "excess_usd", excess, "doubts",
                     explain_doubts(names, verdict->doubts, verdict->doubt_count));
}

static void look(struct figures *figures, uint32_t row)
{
    const struct venue *venue = figures->moment->venue;
    moment_portfolio(figures->moment, row, figures->legs, &figures->portfolio);
    if (figures->portfolio.legs != figures->legs) /* the book's, while nothing is pending */
        memcpy(figures->legs, figures->portfolio.legs,
               figures->portfolio.leg_count * sizeof(figures->legs[0]));
    figures->portfolio.legs = figures->legs;
    figures->outlook = moment_outlook(figures->moment, &figures->portfolio);
    pl_verdict_of(venue->market, venue->names, &figures->portfolio, &figures->verdict);
    figures->listed_count = risk_listed(venue, figures->listed);
    risk_market_direction(figures->options, venue, &figures->market);
    for (uint32_t i = 0; i < PL_INSTRUMENTS_MAX; i++)
        figures->sigma.weight_ppm[i] = venue->parameters->instruments[i].is_listed
                                           ? risk_volatility_ppm(&venue->marks[i]) : 0;
}

enum pl_err risk_account(const struct moment *moment, const struct pl_id *account,
                         const struct risk_options *options, json_t **document)
{
    static struct figures figures;
    uint32_t row = 0;
    enum pl_err err = risk_check_names(options, moment->venue);
    if (err)
        return err;
    if (!pl_book_find(moment->ledger->book, account, &row))
        return pl_err_set(PL_REJECT_UNKNOWN, "account %s was unknown: partition %d had read no "
                          "holdings and no state of it", account->text,
                          (int)moment->entry->partition);
    memset(&figures, 0, sizeof(figures));
    figures.moment = moment;
    figures.options = options;
    look(&figures, row);
    json_t *made = json_pack("{s:s, s:I, s:o, s:o}", "account", account->text, "partition",
                             (json_int_t)moment->entry->partition, "journal", risk_moment(moment),
                             "verdict", risk_verdict(moment->venue->names, &figures.verdict));
    add_prices(&figures, made);
    add_distances(&figures, made);
    add_terms(&figures, made);
    add_netting(&figures, made);
    err = add_tail(&figures, made);
    if (err)
        json_decref(made);
    *document = err ? NULL : made;
    return err;
}
