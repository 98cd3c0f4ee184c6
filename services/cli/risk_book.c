/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of a whole book (risk.h): one pass over the accounts of each partition. Partitions stand at
 * entries of their own, with marks of their own; what they have in common is ids.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/service/process.h"
#include "services/cli/explain.h"
#include "services/cli/risk.h"

enum { MOVES = 12, MOVE_PPM = 50000, POINTS_MAX = MOVES + 1 + 64 };

/* Things of one kind by id. */
struct group {
    struct pl_names names;
    struct pl_gross gross[PL_INSTRUMENTS_MAX];
    pl_i128 loss[PL_INSTRUMENTS_MAX]; /* VU * ppm, of dependencies */
};

/* Prices that are looked at. */
struct point {
    int32_t move_ppm;       /* of the market      */
    const json_t *scenario; /* NULL: a market move */
    struct pl_stressed stressed;
    struct pl_stress_sum sum;
};

/* Address space for all points: used as they come. */
struct book {
    const struct risk_options *options;
    struct group assets, chains, bridges, dependencies;
    struct pl_direction direction;
    uint64_t account_count;
    json_t *partitions;
    unsigned point_count;
    struct point points[POINTS_MAX];
};

/* ---- sums ----------------------------------------------------------------------------------- */

/* Values of one account, by place in a group; only those named in `touched`. */
struct tally {
    uint32_t count;
    uint32_t touched[PL_LEGS_MAX * PL_LOSSES_MAX];
    pl_i128 long_vu[PL_INSTRUMENTS_MAX], short_vu[PL_INSTRUMENTS_MAX];
};

static enum pl_err count_in(struct tally *tally, struct group *group, const struct pl_id *id,
                            pl_i128 value, uint32_t *place)
{
    enum pl_err err = pl_names_intern(&group->names, id, place);
    if (err || value == 0)
        return err;
    if (tally->long_vu[*place] == 0 && tally->short_vu[*place] == 0)
        tally->touched[tally->count++] = *place;
    tally->long_vu[*place] += pl_max(value, 0);
    tally->short_vu[*place] += pl_max(-value, 0);
    return PL_OK;
}

static void add_tally(struct tally *tally, struct group *group, const struct pl_id *account)
{
    for (uint32_t i = 0; i < tally->count; i++) {
        uint32_t place = tally->touched[i];
        pl_gross_add(&group->gross[place], account, tally->long_vu[place], tally->short_vu[place]);
        tally->long_vu[place] = tally->short_vu[place] = 0;
    }
    tally->count = 0;
}

/* A leg's asset, chain, bridge and dependencies; what has no price counts nothing. */
static enum pl_err count_leg(struct book *book, struct tally tallies[4], const struct venue *venue,
                             const struct pl_leg *leg)
{
    const struct pl_instrument *instrument = &venue->parameters->instruments[leg->instrument];
    pl_i128 value = (pl_i128)leg->lots * venue->market->quotes[leg->instrument].lot_vu;
    uint32_t place = 0;
    if (!instrument->is_listed || leg->is_unlisted_amount)
        return PL_OK;
    enum pl_err err = count_in(&tallies[0], &book->assets, &venue->names->ids[leg->instrument],
                               value, &place);
    if (!err && instrument->chain.size_bytes > 0)
        err = count_in(&tallies[1], &book->chains, &instrument->chain, value, &place);
    if (!err && instrument->bridge.size_bytes > 0)
        err = count_in(&tallies[2], &book->bridges, &instrument->bridge, value, &place);
    for (uint32_t k = 0; !err && value > 0 && k < instrument->loss_count; k++) {
        const struct pl_loss *loss = &instrument->losses[k];
        err = count_in(&tallies[3], &book->dependencies,
                       &venue->parameters->dependencies[loss->dependency], value, &place);
        book->dependencies.loss[place] += err ? 0 : value * loss->loss.at[PL_TIER_MAINTENANCE];
    }
    return err;
}

static enum pl_err add_account(struct book *book, const struct moment *moment, uint32_t row)
{
    static struct tally tallies[4];
    static struct pl_leg legs[PL_LEGS_MAX];
    const struct pl_account *account = pl_book_at(moment->ledger->book, row);
    struct pl_portfolio portfolio;
    enum pl_err err = PL_OK;
    moment_portfolio(moment, row, legs, &portfolio);
    for (unsigned i = 0; i < book->point_count; i++)
        pl_stress_add(&book->points[i].sum, &book->points[i].stressed.market,
                      moment->venue->names, &portfolio);
    for (uint32_t i = 0; !err && i < portfolio.leg_count; i++)
        err = count_leg(book, tallies, moment->venue, &portfolio.legs[i]);
    add_tally(&tallies[0], &book->assets, &account->id);
    add_tally(&tallies[1], &book->chains, &account->id);
    add_tally(&tallies[2], &book->bridges, &account->id);
    add_tally(&tallies[3], &book->dependencies, &account->id);
    book->account_count++;
    return err;
}

static enum pl_err stress_points(struct book *book, const struct moment *moment)
{
    struct pl_outlook outlook = moment_outlook(moment, NULL);
    for (unsigned i = 0; i < book->point_count; i++) {
        struct point *point = &book->points[i];
        memset(&point->stressed, 0, sizeof(point->stressed)); /* another partition's */
        if (point->scenario) {
            enum pl_err err = risk_stress(point->scenario, moment->venue, &outlook, &point->stressed);
            if (err)
                return err;
        } else {
            risk_market_direction(book->options, moment->venue, &book->direction);
            pl_stress(&point->stressed, &outlook, &book->direction, point->move_ppm);
        }
    }
    return PL_OK;
}

static enum pl_err add_partition(struct book *book, const struct moment *moment)
{
    enum pl_err err = risk_check_names(book->options, moment->venue);
    if (!err)
        err = stress_points(book, moment);
    for (uint32_t row = 0; !err && row < pl_book_count(moment->ledger->book); row++)
        err = add_account(book, moment, row);
    json_t *partition = risk_moment(moment);
    json_object_set_new(partition, "partition", json_integer(moment->entry->partition));
    json_array_append_new(book->partitions, partition);
    return err;
}

/* ---- the document --------------------------------------------------------------------------- */

static json_t *point_facts(const struct point *point)
{
    const struct pl_stress_sum *sum = &point->sum;
    json_t *facts = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "below", (json_int_t)sum->below_count,
        "uncertain", (json_int_t)sum->uncertain_count, "out_of_range",
        (json_int_t)sum->out_of_range_count, "bankrupt", (json_int_t)sum->bankrupt_count, "in_debt",
        (json_int_t)sum->debt_count, "sold_usd", explain_decimal(sum->sold_vu, 12), "lacking_usd",
        explain_decimal(sum->lacking, 18), "bad_debt_usd", explain_decimal(sum->debt_vu, 12));
    if (point->scenario)
        json_object_set_new(facts, "scenario", json_string(risk_scenario_name(point->scenario)));
    else
        json_object_set_new(facts, "move_ppm", json_integer(point->move_ppm));
    return facts;
}

static int by_size(const void *left, const void *right, void *argument)
{
    const struct group *group = argument;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    pl_i128 value_a = group->gross[a].long_vu + group->gross[a].short_vu;
    pl_i128 value_b = group->gross[b].long_vu + group->gross[b].short_vu;
    if (value_a != value_b)
        return value_a > value_b ? -1 : 1;
    return pl_id_compare(&group->names.ids[a], &group->names.ids[b]);
}

static json_t *gross_facts(const struct pl_id *id, const struct pl_gross *gross)
{
    json_t *top = json_array();
    for (uint32_t i = 0; i < gross->top_count; i++)
        json_array_append_new(top, json_pack("{s:s, s:o}", "account", gross->top[i].account.text,
                                             "long_usd",
                                             explain_decimal(gross->top[i].long_vu, 12)));
    return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:o}", "of", id->text, "long_usd",
                     explain_decimal(gross->long_vu, 12), "short_usd",
                     explain_decimal(gross->short_vu, 12), "holders",
                     (json_int_t)gross->holder_count, "top_1_ppm",
                     (json_int_t)pl_gross_share_ppm(gross, 1), "top_10_ppm",
                     (json_int_t)pl_gross_share_ppm(gross, PL_HOLDERS_MAX), "top", top);
}

static json_t *group_facts(struct group *group, bool has_loss)
{
    static uint32_t places[PL_INSTRUMENTS_MAX];
    json_t *array = json_array();
    for (uint32_t i = 0; i < group->names.count; i++)
        places[i] = i;
    qsort_r(places, group->names.count, sizeof(places[0]), by_size, group);
    for (uint32_t i = 0; i < group->names.count; i++) {
        json_t *facts = gross_facts(&group->names.ids[places[i]], &group->gross[places[i]]);
        if (has_loss)
            json_object_set_new(facts, "loss_usd", explain_decimal(group->loss[places[i]], 18));
        json_array_append_new(array, facts);
    }
    return array;
}

static json_t *document_of(struct book *book)
{
    json_t *moves = json_array();
    for (unsigned i = 0; i < book->point_count; i++)
        json_array_append_new(moves, point_facts(&book->points[i]));
    return json_pack("{s:O, s:I, s:o, s:o, s:o, s:o, s:o}", "partitions", book->partitions, "accounts",
                     (json_int_t)book->account_count, "moves", moves, "assets",
                     group_facts(&book->assets, false), "chains",
                     group_facts(&book->chains, false), "bridges",
                     group_facts(&book->bridges, false), "dependencies",
                     group_facts(&book->dependencies, true));
}

/* As things stand, -5 % to -60 %, and the scenarios. */
static enum pl_err lay_out(struct book *book, const struct risk_options *options)
{
    size_t scenario_count = json_array_size(options->scenarios);
    book->options = options;
    book->partitions = json_array();
    book->point_count = MOVES + 1 + (unsigned)scenario_count;
    if (book->point_count > POINTS_MAX)
        return pl_err_set(PL_REJECT_SIZE, "%zu scenarios: of a book at most %d are looked at",
                          scenario_count, POINTS_MAX - MOVES - 1);
    for (unsigned i = 0; i < book->point_count; i++)
        if (i <= MOVES)
            book->points[i].move_ppm = -(int32_t)i * MOVE_PPM;
        else
            book->points[i].scenario = json_array_get(options->scenarios, i - MOVES - 1);
    pl_names_init(&book->assets.names);
    pl_names_init(&book->chains.names);
    pl_names_init(&book->bridges.names);
    pl_names_init(&book->dependencies.names);
    return PL_OK;
}

enum pl_err risk_book(const struct bundle *bundle, struct when at,
                      const struct risk_options *options, json_t **document)
{
    void *block = NULL;
    enum pl_err err = pl_memory_map(sizeof(struct book), &block);
    if (err)
        return err;
    struct book *book = block;
    err = lay_out(book, options);
    for (int32_t p = 0; !err && p < bundle_partition_count(bundle); p++) {
        struct moment moment;
        err = moment_open(&moment, bundle, p, at, false);
        if (!err)
            err = add_partition(book, &moment);
        moment_close(&moment);
    }
    if (!err)
        *document = document_of(book);
    json_decref(book->partitions);
    pl_memory_unmap(block, sizeof(struct book));
    return err;
}
