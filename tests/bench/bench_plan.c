/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microseconds per plan of a forced sale, and how far plans are from what is proved to be the least cost.
 * Prints one JSON line.
 *
 *   bench_plan [ACCOUNTS]                     default 2000 of each number of legs; each planned twice
 *
 * Accounts have 2 to 6 legs of at most 20,000 lots, a third of them short, of 12 instruments that load on
 * two factors, two of them with concentration brackets and three that depend on one bridge; limits give up
 * 0.2 to 2 %. Cash is taken away until a part of everything that can be gained is lacking: such a part as
 * leaves the account at some random place between its end line and bankruptcy. "order" is the liquidity
 * order, "cost" the least cost. gap: (cost - bound) / cost in ppm, of plans that reach the end tier.
 * "options_N": of N legs two are options on a third, 33 scenarios; who gives them up loses 5 %.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/price/price.h"
#include "tests/support/build.h"

enum { INSTRUMENTS = 12, LEGS_MAX = 6, ACCOUNTS_MAX = 100000, LOTS_MAX = 20000 };
enum { UNDERLYING = 1, VOLATILITY = INSTRUMENTS, FIRST_OPTION, OPTIONS = 8 };

struct account {
    struct pl_leg legs[LEGS_MAX];
    struct pl_portfolio portfolio;
};

struct figures {
    uint32_t planned, reaching;
    int64_t ns[ACCOUNTS_MAX], gap_ppm[ACCOUNTS_MAX], evaluations[ACCOUNTS_MAX];
};

static uint64_t random_state = 88172645463325252u;
static struct build build;
static struct account accounts[ACCOUNTS_MAX];
static struct figures figures;
static struct pl_option_grid grids[OPTIONS];

static uint64_t next_random(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- accounts -------------------------------------------------------------------------------- */

/* Calls and puts, from a third below what it costs now to a third above. */
static void list_options(int64_t ticks)
{
    struct pl_parameters *set = &build.parameters;
    build_instrument(&build, "volatility", PL_INSTRUMENT_VOLATILITY, 0, 4);
    set->instruments[UNDERLYING].has_scenarios = true;
    for (uint32_t i = 0; i < OPTIONS; i++) {
        char name[16];
        snprintf(name, sizeof name, "option-%u", i);
        uint32_t index = build_instrument(&build, name, PL_INSTRUMENT_OPTION, 4, 4);
        set->instruments[index].has_scenarios = true;
        set->instruments[index].option = (struct pl_option_terms){
            .type = i % 2 ? PL_OPTION_PUT : PL_OPTION_CALL, .underlying = UNDERLYING,
            .volatility = VOLATILITY, .strike_ticks = ticks * (8 + i) / 12,
            .expiry_ms = INT64_C(2592000000)};
        build_sellable(&build, index, 50000);
    }
    build_scenarios(&build);
}

static void price_options(int64_t ticks)
{
    const struct pl_option_inputs inputs = {.ticks = ticks, .volatility = 0.6, .now_ms = 0};
    for (uint32_t i = 0; i < OPTIONS; i++) {
        if (pl_option_grid_fill(&build.parameters, FIRST_OPTION + i, &inputs, &grids[i]))
            abort();
        build_price(&build, FIRST_OPTION + i, 1);
        build.marks[FIRST_OPTION + i].grid = &grids[i];
    }
}

static void fill_market(bool has_options)
{
    build_init(&build);
    uint32_t market = build_factor(&build, "market"), family = build_factor(&build, "family");
    uint32_t bridge = build_dependency(&build, "bridge");
    int64_t ticks[INSTRUMENTS];
    char name[16];
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        snprintf(name, sizeof name, "asset-%02u", i);
        uint32_t index = build_instrument(&build, name, PL_INSTRUMENT_SPOT, 4, 4);
        int32_t own = 20000 + 5000 * (int32_t)i;
        build_haircuts(&build, index, build_tiers(own + 40000, own + 30000, own + 15000, own),
                       build_tiers(50000, 45000, 35000, 30000));
        build_load(&build, index, market, build_tiers(120000, 100000, 80000, 60000));
        if (i % 2)
            build_load(&build, index, family, build_tiers(60000, 50000, 40000, 30000));
        if (i % 5 == 0) {
            build_bracket(&build, index, 20000, build_tiers(40000, 30000, 20000, 10000));
            build_bracket(&build, index, 100000, build_tiers(80000, 60000, 40000, 20000));
        }
        if (i % 4 == 0)
            build_loss(&build, index, bridge, build_tiers(150000, 150000, 100000, 100000));
        build_sellable(&build, index, 2000 + 1500 * (int32_t)i);
        ticks[i] = 50000 + (int64_t)next_random(20000000);
    }
    if (has_options)
        list_options(ticks[UNDERLYING]);
    build_finish(&build);
    for (uint32_t i = 0; i < INSTRUMENTS; i++)
        build_price(&build, i, ticks[i]);
    if (has_options)
        price_options(ticks[UNDERLYING]);
    build_update(&build);
}

static pl_i128 end_excess(const struct pl_portfolio *portfolio)
{
    pl_i128 excess = 0;
    if (!pl_evaluate(&build.market, portfolio, PL_TIER_END, &excess))
        abort();
    return excess;
}

/* Between nothing and everything lacking of what its sale in liquidity order could gain. */
static void sink(struct account *account)
{
    struct pl_sale sale;
    account->portfolio.cash_vu = account->portfolio.final_cash_vu = 0;
    pl_i128 shift = end_excess(&account->portfolio) / PL_PPM + (pl_i128)1000000000000 * 1000000000;
    account->portfolio.cash_vu -= shift; /* far below: sells all that helps */
    account->portfolio.final_cash_vu -= shift;
    pl_plan_sale(&build.market, &build.names, &account->portfolio, &sale);
    pl_i128 gain = sale.end_after - sale.end_before;
    shift = -sale.end_before / PL_PPM - gain / PL_PPM / 1000 * (pl_i128)next_random(1000);
    account->portfolio.cash_vu += shift;
    account->portfolio.final_cash_vu += shift;
}

static uint32_t draw_one(bool is_taken[INSTRUMENTS])
{
    uint32_t instrument = (uint32_t)next_random(INSTRUMENTS);
    while (is_taken[instrument])
        instrument = (instrument + 1) % INSTRUMENTS;
    is_taken[instrument] = true;
    return instrument;
}

static void draw(struct account *account, uint32_t leg_count, bool has_options)
{
    const uint32_t first_option = (uint32_t)next_random(OPTIONS);
    bool is_taken[INSTRUMENTS] = {[UNDERLYING] = has_options};
    account->portfolio = (struct pl_portfolio){.legs = account->legs, .leg_count = leg_count};
    for (uint32_t i = 0; i < leg_count; i++) {
        uint32_t instrument = !has_options || i > 2 ? draw_one(is_taken)
                              : i == 0              ? UNDERLYING
                                                    : FIRST_OPTION + (first_option + i) % OPTIONS;
        int64_t lots = 1 + (int64_t)next_random(LOTS_MAX);
        account->legs[i] = build_leg(instrument, i > 0 && next_random(3) == 0 ? -lots : lots);
    }
    sink(account);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void measure(enum pl_sale_objective objective, uint32_t count)
{
    figures.planned = figures.reaching = 0;
    build.parameters.policy.sale_objective = objective;
    for (uint32_t i = 0; i < count; i++) {
        struct pl_sale sale;
        int64_t begin_ns = now_ns();
        pl_plan_sale(&build.market, &build.names, &accounts[i].portfolio, &sale);
        if (!sale.reaches || sale.leg_count == 0)
            continue;
        figures.ns[figures.reaching] = now_ns() - begin_ns;
        figures.evaluations[figures.reaching] = sale.evaluation_count;
        figures.gap_ppm[figures.reaching++] = sale.gap_ppm;
    }
    qsort(figures.ns, figures.reaching, sizeof figures.ns[0], by_number);
    qsort(figures.gap_ppm, figures.reaching, sizeof figures.gap_ppm[0], by_number);
    qsort(figures.evaluations, figures.reaching, sizeof figures.evaluations[0], by_number);
}

static int64_t quantile(const int64_t *sorted, uint32_t per_mille)
{
    return figures.reaching == 0 ? 0 : sorted[(uint64_t)(figures.reaching - 1) * per_mille / 1000];
}

static void print_figures(const char *name)
{
    printf("\"%s\": {\"plans\": %u, \"us\": %.1f, \"us_p99\": %.1f, \"evaluations\": %" PRId64
           ", \"gap_ppm\": %" PRId64 ", \"gap_ppm_p90\": %" PRId64 ", \"gap_ppm_p99\": %" PRId64 "}",
           name, figures.reaching, (double)quantile(figures.ns, 500) / 1000,
           (double)quantile(figures.ns, 990) / 1000, quantile(figures.evaluations, 500),
           quantile(figures.gap_ppm, 500), quantile(figures.gap_ppm, 900),
           quantile(figures.gap_ppm, 990));
}

static void print_row(const char *what, uint32_t leg_count, uint32_t count)
{
    const bool has_options = build.parameters.option_count > 0;
    build.parameters.policy.sale_objective = PL_SALE_LIQUIDITY_ORDER;
    for (uint32_t i = 0; i < count; i++)
        draw(&accounts[i], leg_count, has_options);
    printf(", \"%s_%u\": {", what, leg_count);
    measure(PL_SALE_LIQUIDITY_ORDER, count);
    print_figures("order");
    printf(", ");
    measure(PL_SALE_LEAST_COST, count);
    print_figures("cost");
    printf("}");
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 2000;
    if (count < 1 || count > ACCOUNTS_MAX) {
        fprintf(stderr, "usage: bench_plan [ACCOUNTS (1..%d)]\n", ACCOUNTS_MAX);
        return 2;
    }
    fill_market(false);
    printf("{\"bench\": \"plan\", \"accounts\": %ld", count);
    for (uint32_t legs = 2; legs <= LEGS_MAX; legs++)
        print_row("legs", legs, (uint32_t)count);
    fill_market(true);
    for (uint32_t legs = 3; legs <= LEGS_MAX; legs++)
        print_row("options", legs, (uint32_t)count);
    printf("}\n");
    return 0;
}
