/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds per exact evaluation of one tier, over many distinct accounts, with new marks before
 * each pass; beside it, in the same run, a pure read of the same legs. Prints one JSON line.
 *
 *   bench_evaluate [ACCOUNTS [PASSES]]        default 100000 20; the median pass counts
 *
 * Every case has 64 instruments. "legs_N": N legs per account, a third of them short, one factor
 * load each, 8 factors in the set. "legs_6_factors_2": 6 legs that each load on both factors of a
 * set with 2; with initial margin, whose confidence and interval charges are a further term, beside
 * it. "legs_6_brackets": the same legs without factors and with two concentration brackets each, the
 * first of which most of them reach, the second some; "legs_6_losses": with losses to three of 8
 * dependencies each. "options_N": a spot and N - 1 options on it, a third of the legs short, 33 scenarios.
 * "market_options": what a new price of their underlying costs once for everybody, per option.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/price/price.h"
#include "tests/support/build.h"

enum { INSTRUMENTS = 64, PASSES_MAX = 1000 };

struct book {
    uint32_t account_count, leg_count;
    struct pl_leg *legs;
    pl_i128 *cash_vu;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void fill_parameters(struct build *build, uint32_t factor_count, uint32_t loads_each)
{
    build_init(build);
    char name[16];
    for (uint32_t k = 0; k < factor_count; k++) {
        snprintf(name, sizeof name, "factor-%u", k);
        build_factor(build, name);
    }
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        snprintf(name, sizeof name, "asset-%u", i);
        uint32_t index = build_instrument(build, name, PL_INSTRUMENT_SPOT, 8, 4);
        build_haircuts(build, index, build_tiers(90000, 80000, 60000, 50000),
                       build_tiers(50000, 45000, 35000, 30000));
        for (uint32_t k = 0; k < loads_each; k++)
            build_load(build, index, (i + k) % factor_count,
                       build_tiers(200000, 180000, 150000, 120000));
        build->parameters.instruments[index].confidence_ppm = 1000;
    }
    build_finish(build);
}

/* What is read from the parameters, leg by leg: brackets, or losses when a dependency fails. */
static void fill_steps(struct build *build, bool has_brackets)
{
    enum { DEPENDENCIES = 8, LOSSES_EACH = 3 };
    fill_parameters(build, 0, 0);
    char name[16];
    for (uint32_t k = 0; k < DEPENDENCIES && !has_brackets; k++) {
        snprintf(name, sizeof name, "dependency-%u", k);
        build_dependency(build, name);
    }
    for (uint32_t i = 0; i < INSTRUMENTS && has_brackets; i++) {
        build_bracket(build, i, 1000, build_tiers(60000, 50000, 40000, 30000));
        build_bracket(build, i, 20000, build_tiers(120000, 100000, 80000, 60000));
    }
    for (uint32_t i = 0; i < INSTRUMENTS && !has_brackets; i++)
        for (uint32_t k = 0; k < LOSSES_EACH; k++)
            build_loss(build, i, (i + k) % DEPENDENCIES, build_tiers(400000, 350000, 300000, 250000));
    build_finish(build);
}

enum { OPTIONS = 64, UNDERLYING = 0, VOLATILITY = 1, FIRST_OPTION = 2 };

static struct pl_option_grid grids[OPTIONS];

static void fill_options(struct build *build)
{
    struct pl_parameters *set = &build->parameters;
    build_init(build);
    build_instrument(build, "ETH", PL_INSTRUMENT_SPOT, 8, 2);
    build_instrument(build, "VOL", PL_INSTRUMENT_VOLATILITY, 0, 4);
    set->instruments[UNDERLYING].has_scenarios = true;
    for (uint32_t i = 0; i < OPTIONS; i++) {
        char name[16];
        snprintf(name, sizeof name, "option-%u", i);
        uint32_t index = build_instrument(build, name, PL_INSTRUMENT_OPTION, 8, 2);
        struct pl_instrument *row = &set->instruments[index];
        row->option = (struct pl_option_terms){
            .type = i % 2 ? PL_OPTION_PUT : PL_OPTION_CALL, .underlying = UNDERLYING,
            .volatility = VOLATILITY, .strike_ticks = 200000 + 3000 * i, .expiry_ms = 1};
        row->has_scenarios = true;
    }
    build_scenarios(build);
    build_finish(build);
    for (uint32_t i = 0; i < OPTIONS; i++) {
        const struct pl_option_inputs inputs = {.ticks = 300000, .volatility = 0.6, .now_ms = 0};
        set->instruments[FIRST_OPTION + i].option.expiry_ms = INT64_C(2592000000);
        if (pl_option_grid_fill(set, FIRST_OPTION + i, &inputs, &grids[i]))
            abort();
    }
}

static void move_options(struct build *build)
{
    build_price(build, UNDERLYING, 250000 + (int64_t)(next_random() % 100000));
    for (uint32_t i = 0; i < OPTIONS; i++) {
        build_price(build, FIRST_OPTION + i, 1);
        build->marks[FIRST_OPTION + i].grid = &grids[i];
    }
    build->now_ms += 10;
    build_update(build);
}

static void move_marks(struct build *build)
{
    if (build->parameters.option_count > 0) {
        move_options(build);
        return;
    }
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        int64_t ticks = 1000000 + (int64_t)(next_random() % 50000000);
        build_price(build, i, ticks);
        build_interval(build, i, ticks - ticks / 1000, ticks + ticks / 1000);
    }
    build->now_ms += 10;
    build_update(build);
}

static struct book make_book(uint32_t account_count, uint32_t leg_count)
{
    struct book book = {.account_count = account_count, .leg_count = leg_count};
    book.legs = malloc((size_t)account_count * leg_count * sizeof book.legs[0]);
    book.cash_vu = malloc(account_count * sizeof book.cash_vu[0]);
    if (!book.legs || !book.cash_vu)
        abort();
    for (uint32_t a = 0; a < account_count; a++) {
        uint32_t instrument = (uint32_t)(next_random() % INSTRUMENTS);
        for (uint32_t l = 0; l < leg_count; l++) {
            instrument = (instrument + 1 + (uint32_t)(next_random() % 3)) % INSTRUMENTS;
            int64_t lots = (int64_t)(next_random() % 1000000000) + 1;
            book.legs[(size_t)a * leg_count + l] = build_leg(instrument,
                                                             next_random() % 3 == 0 ? -lots : lots);
        }
        book.cash_vu[a] = (pl_i128)(next_random() % 100000) * BUILD_USD;
    }
    return book;
}

static struct book make_options_book(uint32_t account_count, uint32_t leg_count)
{
    struct book book = make_book(account_count, leg_count);
    for (size_t i = 0; i < (size_t)account_count * leg_count; i++)
        book.legs[i].instrument = i % leg_count == 0
                                      ? UNDERLYING
                                      : FIRST_OPTION + (uint32_t)(next_random() % OPTIONS);
    return book;
}

static void free_book(const struct book *book)
{
    free(book->legs);
    free(book->cash_vu);
}

static uint64_t evaluate_all(const struct build *build, const struct book *book, enum pl_tier tier)
{
    uint64_t sum = 0;
    for (uint32_t a = 0; a < book->account_count; a++) {
        struct pl_portfolio portfolio = {
            .legs = book->legs + (size_t)a * book->leg_count,
            .leg_count = book->leg_count,
            .cash_vu = book->cash_vu[a],
            .final_cash_vu = book->cash_vu[a],
        };
        pl_i128 excess;
        if (!pl_evaluate(&build->market, &portfolio, tier, &excess))
            abort();
        sum += (uint64_t)excess;
    }
    return sum;
}

static uint64_t read_all(const struct book *book)
{
    uint64_t sum = 0;
    size_t count = (size_t)book->account_count * book->leg_count;
    for (size_t i = 0; i < count; i++)
        sum += (uint64_t)book->legs[i].lots + (uint64_t)book->legs[i].final_lots +
               book->legs[i].instrument;
    for (uint32_t a = 0; a < book->account_count; a++)
        sum += (uint64_t)book->cash_vu[a];
    return sum;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Prints `"name": {"ns": …, "read_ns": …, "ratio": …}`, medians of the passes, per account. */
static void run_case(struct build *build, const char *name, const struct book *book,
                     enum pl_tier tier, int passes)
{
    int64_t evaluate_ns[PASSES_MAX], read_ns[PASSES_MAX];
    volatile uint64_t sink = 0;
    for (int pass = 0; pass < passes; pass++) {
        move_marks(build);
        int64_t start = now_ns();
        sink += evaluate_all(build, book, tier);
        int64_t middle = now_ns();
        sink += read_all(book);
        evaluate_ns[pass] = middle - start;
        read_ns[pass] = now_ns() - middle;
    }
    qsort(evaluate_ns, (size_t)passes, sizeof evaluate_ns[0], compare);
    qsort(read_ns, (size_t)passes, sizeof read_ns[0], compare);
    double ns = (double)evaluate_ns[passes / 2] / book->account_count;
    double read = (double)read_ns[passes / 2] / book->account_count;
    printf("\"%s\": {\"ns\": %.2f, \"read_ns\": %.2f, \"ratio\": %.1f}", name, ns, read, ns / read);
}

int main(int count, char **arguments)
{
    uint32_t accounts = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 100000;
    int passes = count > 2 ? (int)strtol(arguments[2], NULL, 10) : 20;
    struct build *build = malloc(sizeof *build);
    if (!build || accounts == 0 || passes < 1 || passes > PASSES_MAX)
        return 2;

    printf("{\"bench\": \"evaluate\", \"accounts\": %" PRIu32 ", \"passes\": %d", accounts, passes);
    fill_parameters(build, 8, 1);
    for (uint32_t legs = 2; legs <= 16; legs *= 2) {
        char name[16];
        snprintf(name, sizeof name, "legs_%u", legs);
        struct book book = make_book(accounts, legs);
        printf(", ");
        run_case(build, name, &book, PL_TIER_MAINTENANCE, passes);
        free_book(&book);
    }
    fill_parameters(build, 2, 2);
    struct book book = make_book(accounts, 6);
    printf(", ");
    run_case(build, "legs_6_factors_2", &book, PL_TIER_MAINTENANCE, passes);
    printf(", ");
    run_case(build, "legs_6_factors_2_initial", &book, PL_TIER_INITIAL, passes);
    for (int has_brackets = 1; has_brackets >= 0; has_brackets--) {
        fill_steps(build, has_brackets);
        printf(", ");
        run_case(build, has_brackets ? "legs_6_brackets" : "legs_6_losses", &book, PL_TIER_MAINTENANCE,
                 passes);
    }
    free_book(&book);
    fill_options(build);
    move_marks(build);
    for (uint32_t legs = 2; legs <= 8; legs *= 2) {
        char name[16];
        snprintf(name, sizeof name, "options_%u", legs);
        book = make_options_book(accounts, legs);
        printf(", ");
        run_case(build, name, &book, PL_TIER_MAINTENANCE, passes);
        free_book(&book);
    }
    int64_t begin = now_ns();
    for (int pass = 0; pass < passes; pass++)
        move_marks(build);
    printf(", \"market_options\": {\"ns\": %.2f}}\n",
           (double)(now_ns() - begin) / passes / OPTIONS);
    free(build);
    return 0;
}
