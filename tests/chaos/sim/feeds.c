/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows in from outside, and the truth behind it: prices that walk and fall, accounts that trade
 * near their line, an operator's parameters, halts and resumes. Holdings are written as the position
 * service writes them, absolute, one version after the other; marks as the price service does, restated
 * once a second. What is odd about a record is odd on purpose, and only in seeds that ask for it.
 */
#include <string.h>

#include "lib/base/assert.h"
#include "tests/chaos/sim/world.h"

enum {
    RESTATE_MS = 1000, WATERMARK_MS = 800, TRADE_MS_MAX = 500, PUBLISH_MS_MAX = 1200,
    EPISODE_MS_MAX = 6000, HAIRCUTS_MS_MAX = 1500, HAIRCUT_STEP_PPM = 2500,
    HAIRCUT_RAISED_MAX = 40, /* steps */
};

enum bad_mark { MARK_GOOD, MARK_STALE, MARK_HALTED, MARK_SILENT, MARK_OLD, MARK_FUTURE, MARK_WIDE,
                MARK_KINDS };

struct world_account world_accounts[WORLD_ACCOUNTS_MAX];

static struct {
    int64_t ticks[WORLD_INSTRUMENTS_MAX];
    uint64_t source_offset, tick[WORLD_INSTRUMENTS_MAX];
    enum bad_mark bad[WORLD_INSTRUMENTS_MAX];
    int64_t bad_until_ms[WORLD_INSTRUMENTS_MAX];
    int64_t move_at_ms, restate_at_ms, watermark_at_ms, trade_at_ms, resume_at_ms;
    int64_t last_at_ms; /* the last word, after which everything must come to be read            */
    uint64_t control_epoch, parameter_epoch, height;
    unsigned set;
    int64_t chain_halted_ms[2]; /* chain and bridge; 0: not                                       */
    struct records_haircuts haircuts;
    int64_t haircuts_at_ms; /* when the price service derives them anew                           */
    bool has_halted; /* single accounts                                                           */
    struct pl_market markets[WORLD_SETS];
    struct pl_mark marks[PL_INSTRUMENTS_MAX];
    struct pl_option_grid grids[WORLD_INSTRUMENTS_MAX];
} s_feeds;

static int64_t between(int64_t least, int64_t most)
{
    return least + (int64_t)test_random_below(&world.feed_chance, (uint64_t)(most - least + 1));
}

static bool once_in(unsigned times)
{
    return test_random_below(&world.feed_chance, times) == 0;
}

unsigned feeds_set(void)
{
    return s_feeds.set;
}

/* ---- options -------------------------------------------------------------------------------------- */

static bool is_option(unsigned i)
{
    return world_instruments[i].kind == PL_INSTRUMENT_OPTION;
}

/* A coarse grid around the underlying's price: wide brackets, and prices that leave it. */
static const struct pl_option_grid *fill_grid(unsigned i)
{
    enum { BITS = 2 };
    struct pl_option_grid *grid = &s_feeds.grids[i];
    const int64_t ticks = s_feeds.ticks[WORLD_UNDERLYING];
    const double volatility = (double)s_feeds.ticks[WORLD_VOLATILITY] / 10000;
    const double factors[PL_LAYER_COUNT] = { 1, 1.4, 1, 0.7 };
    const unsigned octave = 63 - (unsigned)__builtin_clzll((uint64_t)ticks);
    grid->grid = (struct pl_grid){ .bits = BITS, .first_cell = (octave - 2) << BITS,
                                   .node_count = 4 * 4 + 1 };
    for (unsigned layer = 0; layer < PL_LAYER_COUNT; layer++) {
        const struct pl_bracket_terms terms = {
            .type = i == WORLD_CALL ? PL_OPTION_CALL : PL_OPTION_PUT,
            .strike_ticks = records_strike(i),
            .tick_decimals = world_instruments[WORLD_UNDERLYING].tick_decimals,
            .lot_decimals = world_instruments[i].lot_decimals, .forward_ratio = 1,
            .volatility = volatility * factors[layer], .years = 0.1 };
        enum pl_err err = pl_bracket_fill(&grid->grid, &terms, grid->low[layer], grid->high[layer]);
        pl_assert(!err);
    }
    return grid;
}

/* ---- marks -------------------------------------------------------------------------------------- */

static void send_mark(unsigned i)
{
    enum bad_mark bad = s_feeds.bad[i];
    int64_t ticks = s_feeds.ticks[i];
    struct pl_mark mark = {
        .status = bad == MARK_STALE ? PL_MARK_STALE : bad == MARK_HALTED ? PL_MARK_HALTED : PL_MARK_LIVE,
        .source_offset = s_feeds.source_offset, .tick = ++s_feeds.tick[i],
        .mantissa = ticks, .low_mantissa = ticks - ticks / 500, .high_mantissa = ticks + ticks / 500,
        .exponent = -(int32_t)world_instruments[i].tick_decimals,
        .event_time_ms = world_now_ms() - between(0, 300), .source_count = 1 };
    if (bad == MARK_SILENT)
        return;
    if (bad == MARK_OLD) {
        mark.source_offset = mark.source_offset > 50 ? mark.source_offset - 50 : 0;
        mark.mantissa = mark.low_mantissa = mark.high_mantissa = ticks / 2;
    }
    if (bad == MARK_FUTURE)
        mark.event_time_ms += between(1000, 20000);
    if (bad == MARK_WIDE)
        mark.high_mantissa = ticks * between(2, 12);
    if (is_option(i))
        mark.grid = fill_grid(i);
    if (is_option(i) && bad == MARK_WIDE)
        mark.grid = NULL; /* a mark that says nothing of an option */
    records_mark(i, &mark);
}

static void move(unsigned i)
{
    int64_t step = s_feeds.ticks[i] * between(-world.swarm.move_ppm, world.swarm.move_ppm) / 1000000;
    if (i != 4 && !is_option(i)) /* the coin that is worth a dollar hardly moves */
        s_feeds.ticks[i] += step;
    s_feeds.source_offset++;
    s_feeds.tick[i] = 0;
    send_mark(i);
}

static void fall(void)
{
    int64_t ppm = between(20000, 150000);
    bool is_all = once_in(3);
    unsigned one = (unsigned)between(0, 3);
    world_note("the market falls by %lld ppm", (long long)ppm);
    s_feeds.source_offset++;
    for (unsigned i = 0; i < 4; i++)
        if (is_all || i == one || (one == 0 && i == 1)) {
            s_feeds.ticks[i] -= s_feeds.ticks[i] * ppm / 1000000;
            send_mark(i);
        }
}

static void restate_marks(void)
{
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++) {
        if (s_feeds.bad[i] != MARK_GOOD && world.mono_ms >= s_feeds.bad_until_ms[i])
            s_feeds.bad[i] = MARK_GOOD;
        send_mark(i);
    }
}

static void begin_bad_mark(void)
{
    unsigned i = (unsigned)between(0, WORLD_INSTRUMENTS_MAX - 1);
    s_feeds.bad[i] = (enum bad_mark)between(1, MARK_KINDS - 1);
    s_feeds.bad_until_ms[i] = world.mono_ms + between(500, EPISODE_MS_MAX);
    world_note("bad marks of kind %d for %s", (int)s_feeds.bad[i], world_instruments[i].id.text);
    send_mark(i);
}

/* ---- accounts ----------------------------------------------------------------------------------- */

static void fill_leg(const struct pl_names *names, unsigned i, int64_t lots, struct pl_leg *leg)
{
    uint32_t index = 0;
    bool is_known = pl_names_find(names, &world_instruments[i].id, &index);
    *leg = (struct pl_leg){ .instrument = index, .lots = lots, .final_lots = lots };
    pl_assert(is_known);
}

/* Gives the account so much cash that its alert excess is a small share of its gross value, on either
 * side: near the line is where things happen. What the set does not list counts nothing. */
static void place(struct world_account *account)
{
    const struct pl_names *names;
    const struct pl_parameters *set = records_set(s_feeds.set, &names);
    struct pl_market *market = &s_feeds.markets[s_feeds.set];
    struct pl_leg legs[WORLD_INSTRUMENTS_MAX];
    struct pl_portfolio portfolio = { .legs = legs };
    pl_i128 gross = 0, excess = 0;
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++) {
        uint32_t index;
        if (!pl_names_find(names, &world_instruments[i].id, &index) ||
            !set->instruments[index].is_listed)
            continue;
        int64_t ticks = s_feeds.ticks[i];
        s_feeds.marks[index] = (struct pl_mark){
            .status = PL_MARK_LIVE, .mantissa = ticks, .low_mantissa = ticks - ticks / 500,
            .high_mantissa = ticks + ticks / 500,
            .exponent = -(int32_t)world_instruments[i].tick_decimals,
            .event_time_ms = world_now_ms() };
        if (is_option(i))
            s_feeds.marks[index].grid = fill_grid(i);
        if (account->lots[i] != 0)
            fill_leg(names, i, account->lots[i], &legs[portfolio.leg_count++]);
    }
    pl_market_update(market, set, s_feeds.marks, world_now_ms());
    bool is_in_range = pl_evaluate(market, &portfolio, PL_TIER_ALERT, &excess);
    pl_assert(is_in_range);
    for (uint32_t i = 0; i < portfolio.leg_count; i++)
        gross += pl_abs((pl_i128)legs[i].lots * market->quotes[legs[i].instrument].lot_vu);
    pl_i128 target = gross * between(-40000, 50000);
    account->cash_vu = (target - excess) / PL_PPM;
}

static int64_t lots_worth(unsigned i, int64_t usd)
{
    const struct world_instrument *instrument = &world_instruments[i];
    pl_i128 lots = (pl_i128)usd * pl_pow10(instrument->lot_decimals) *
                   pl_pow10(instrument->tick_decimals) / s_feeds.ticks[i];
    return (int64_t)lots;
}

/* What the set does not list is held now and then, but never owed: that would be beyond any bound. */
static void trade(struct world_account *account)
{
    const struct pl_names *names;
    uint32_t index;
    (void)records_set(s_feeds.set, &names);
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++) {
        bool is_listed = pl_names_find(names, &world_instruments[i].id, &index);
        account->lots[i] = 0;
        if (i == WORLD_VOLATILITY || (is_option(i) && !is_listed))
            continue;
        account->lots[i] = once_in(is_listed ? 2 : 10)
                               ? lots_worth(i, between(is_listed ? -40000 : 100, 80000))
                               : 0;
    }
    if (account->lots[0] == 0 && account->lots[2] == 0)
        account->lots[2] = lots_worth(2, between(5000, 50000));
    place(account);
}

static void soil(struct world_account *account)
{
    account->is_dirty = true;
    account->publish_at_ms = world.mono_ms + between(1, world.is_calm ? 200 : PUBLISH_MS_MAX);
}

/* Told by a snapshot where the position service stands in front, else as it would write it. */
static bool has_positions(void)
{
    return world.swarm.position_slot_count > 0;
}

static void publish(struct world_account *account)
{
    account->version++;
    account->sequence++;
    account->event_ms = account->written_ms = world_now_ms();
    account->is_dirty = false;
    if (has_positions())
        records_snapshot(account, account->sequence);
    else
        records_holdings(account, account->version);
}

static struct world_account *some_account(void)
{
    return &world_accounts[between(0, world.swarm.account_count - 1)];
}

static void open_accounts(void)
{
    for (unsigned i = 0; i < world.swarm.account_count; i++) {
        struct world_account *account = &world_accounts[i];
        memset(account, 0, sizeof(*account));
        /* Every fourth is an isolated bucket of the account before it. */
        int size = i % 4 == 3 ? snprintf(account->id.text, sizeof(account->id.text), "a%02u~iso", i - 1)
                              : snprintf(account->id.text, sizeof(account->id.text), "a%02u", i);
        account->id.size_bytes = (uint8_t)size;
        account->partition = pl_account_partition(&account->id,
                                              world.swarm.partition_count);
        if (records_has_modes(world.swarm.set))
            account->mode = (uint32_t)between(0, 2);
        trade(account);
        publish(account);
    }
}

void feeds_fill(const struct pl_order *order, int64_t lots, int64_t cumulative_lots)
{
    struct world_account *account = NULL;
    unsigned i = 0, at = 0;
    for (unsigned k = 0; k < world.swarm.account_count; k++)
        if (pl_id_equal(&world_accounts[k].id, &order->account))
            account = &world_accounts[k];
    while (i < WORLD_INSTRUMENTS_MAX && !pl_id_equal(&world_instruments[i].id, &order->instrument))
        i++;
    pl_assert(account && i < WORLD_INSTRUMENTS_MAX);
    const struct world_instrument *instrument = &world_instruments[i];
    int64_t sign = order->side == PL_SIDE_SELL ? 1 : -1;
    pl_i128 multiplier = pl_pow10(12 - instrument->lot_decimals - instrument->tick_decimals);
    account->lots[i] -= sign * lots;
    account->cash_vu += sign * (pl_i128)lots * order->limit_mantissa * multiplier;
    if (records_name_orders()) {
        while (at < account->applied_count &&
               memcmp(account->applied[at].order_id, order->order_id, PL_ORDER_ID_BYTES) != 0)
            at++;
        if (at == PL_APPLIED_MAX) {
            at--;
            memmove(account->applied, account->applied + 1, sizeof(account->applied[0]) * at);
        }
        account->applied_count = at < account->applied_count ? account->applied_count : at + 1;
        memcpy(account->applied[at].order_id, order->order_id, PL_ORDER_ID_BYTES);
        account->applied[at].cumulative =
            (struct pl_amount){ cumulative_lots, -(int32_t)instrument->lot_decimals };
    }
    soil(account);
}

/* ---- what is odd -------------------------------------------------------------------------------- */

/* An inflow into custody that is not final: later it is, or the chain takes it back. */
static void odd_custody(struct world_account *account)
{
    uint64_t last = account->custody_sequence++;
    account->event_ms = world_now_ms();
    if (account->custody_open_lots == 0) {
        account->custody_height = ++s_feeds.height;
        account->custody_open_lots = lots_worth(0, between(1000, 20000));
        account->custody_lots += account->custody_open_lots;
        for (int64_t times = once_in(3) ? 2 : 1; times > 0; times--)
            records_custody(account, RECORDS_DELTA, account->custody_open_lots, last, 0);
    } else if (once_in(2)) {
        account->custody_lots -= account->custody_open_lots;
        account->custody_open_lots = 0;
        account->has_retracted = true;
        records_custody(account, RECORDS_RETRACTION, 0, last, last);
    } else {
        account->custody_sequence = last;
        records_chain(s_feeds.height, account->custody_height, s_feeds.chain_halted_ms);
        for (unsigned i = 0; i < world.swarm.account_count; i++)
            if (world_accounts[i].custody_height <= account->custody_height)
                world_accounts[i].custody_open_lots = 0;
    }
}

/* At times to one that nobody knows. */
static void change_mode(struct world_account *account)
{
    account->mode = once_in(8) ? 200 : (uint32_t)between(0, 2);
    soil(account);
}

static void odd_positions(void)
{
    struct world_account *account = some_account();
    switch (between(0, 4)) {
    case 4:
        change_mode(account);
        break;
    case 0:
        if (!account->is_dirty)
            records_snapshot(account, account->sequence); /* the same event twice */
        break;
    case 1:
        if (account->sequence > 1)
            records_snapshot(account, account->sequence - 1); /* an old number with news */
        break;
    case 2:
        account->sequence += 2;
        records_gap(account, account->sequence);
        soil(account); /* a snapshot mends it */
        break;
    default:
        odd_custody(account);
        break;
    }
}

static void odd_holdings(void)
{
    struct world_account *account = some_account();
    switch (between(0, 5)) {
    case 0: /* again: a restarted position service */
        if (!account->is_dirty)
            records_holdings(account, account->version);
        break;
    case 1: /* an old version, late: where logs are compacted it would outlive the newer one, which is
               why the position service writes in transactions */
        if (account->version > 1 && world.swarm.every_ms[FAULT_COMPACT] == 0)
            records_holdings(account, account->version - 1);
        break;
    case 2:
        account->has_gap = !account->has_gap;
        soil(account);
        break;
    case 3:
        account->unfinal_lots = account->unfinal_lots ? 0 : lots_worth(0, between(1000, 20000));
        soil(account);
        break;
    case 5:
        change_mode(account);
        break;
    case 4: /* an account that nobody traded, with nothing */
        memset(account->lots, 0, sizeof(account->lots));
        account->unfinal_lots = 0;
        soil(account);
        break;
    }
}

static void send_garbage(void)
{
    static const enum pl_topic topics[] = { PL_TOPIC_HOLDINGS, PL_TOPIC_HOLDINGS, PL_TOPIC_EXECUTIONS,
                                            PL_TOPIC_MARKS, PL_TOPIC_CHAINS, PL_TOPIC_PARAMETERS,
                                            PL_TOPIC_CONTROL };
    static const char *const keys[] = { "ETH", "chain", "effective", "all" };
    unsigned at = (unsigned)between(0, 6);
    enum pl_topic topic = topics[at];
    if (at >= 3) {
        records_garbage(topic, 0, keys[at - 3], &world.feed_chance);
        if (topic == PL_TOPIC_CONTROL && s_feeds.resume_at_ms == INT64_MAX)
            s_feeds.resume_at_ms = world.mono_ms + between(500, 3000);
        return;
    }
    /* Sometimes on a partition that is not its own, sometimes of nobody. */
    const struct world_account *account = some_account();
    int32_t partition = once_in(4) ? (int32_t)between(0, world.swarm.partition_count - 1)
                                   : account->partition;
    /* What the position service itself writes is never garbage. */
    if (topic == PL_TOPIC_HOLDINGS && has_positions())
        topic = PL_TOPIC_POSITIONS;
    records_garbage(topic, partition, once_in(8) ? "nobody" : account->id.text, &world.feed_chance);
}

static void send_control(void)
{
    const struct pl_id *account = once_in(2) ? NULL : &some_account()->id;
    bool is_halt = !once_in(3);
    records_control(account, is_halt, ++s_feeds.control_epoch);
    world_note("%s %s", is_halt ? "halt" : "resume", account ? account->text : "all");
    s_feeds.has_halted |= account && is_halt;
    if (!account && is_halt)
        s_feeds.resume_at_ms = world.mono_ms + between(500, 4000);
}

/* The chain or its bridge stops, or goes on. */
static void toggle_chain(void)
{
    unsigned which = once_in(2);
    int64_t *since_ms = &s_feeds.chain_halted_ms[which];
    *since_ms = *since_ms ? 0 : once_in(3) ? -1 : world_now_ms() - between(0, 3000);
    world_note("%s %s", which ? "bridge" : "chain", *since_ms ? "halted" : "live again");
    records_chain(s_feeds.height, 0, s_feeds.chain_halted_ms);
}

/* Nothing that is decided may differ by it: the auditor does not look at it at all. */
static void change_shadow(void)
{
    unsigned set = (unsigned)between(0, WORLD_SETS - 1);
    if (once_in(2))
        records_shadow(once_in(4) ? NULL : &set, (uint64_t)between(1, 100));
}

static void publish_set(void)
{
    records_parameters(s_feeds.set, ++s_feeds.parameter_epoch, &s_feeds.haircuts);
    world_note("parameters: epoch %llu, set %u of base %llu",
               (unsigned long long)s_feeds.parameter_epoch, s_feeds.set,
               (unsigned long long)s_feeds.haircuts.base_epoch);
}

/* A new base set: its effective one begins without derived haircuts. */
static void change_parameters(unsigned set)
{
    s_feeds.set = set;
    s_feeds.haircuts = (struct records_haircuts){ .base_epoch = s_feeds.parameter_epoch + 1 };
    publish_set();
    change_shadow();
}

/* A twin of the price service that has not seen the newest base set, or one whose set breaks a rule:
 * whatever its number is, nobody takes it. */
static void publish_bad_set(void)
{
    struct records_haircuts bad = s_feeds.haircuts;
    if (once_in(2))
        bad.base_epoch--;
    else
        bad.is_beyond_cap = true;
    bad.raised[0] = HAIRCUT_STEP_PPM;
    records_parameters(s_feeds.set, s_feeds.parameter_epoch + (uint64_t)between(1, 3), &bad);
    world_note("parameters: of base %llu, bad", (unsigned long long)bad.base_epoch);
}

/* Volatility moves: targets leap, the mild tiers climb after them, and fall back together. */
static void derive_haircuts(void)
{
    struct records_haircuts *haircuts = &s_feeds.haircuts;
    for (unsigned i = 0; i < 4; i++) {
        if (once_in(4))
            haircuts->raised[i] = HAIRCUT_STEP_PPM * (int32_t)between(0, HAIRCUT_RAISED_MAX);
        if (haircuts->climbed[i] < haircuts->raised[i])
            haircuts->climbed[i] += HAIRCUT_STEP_PPM * (int32_t)between(1, 4);
        if (haircuts->climbed[i] > haircuts->raised[i])
            haircuts->climbed[i] = haircuts->raised[i];
    }
    if (once_in(8))
        publish_bad_set();
    else
        publish_set();
    s_feeds.haircuts_at_ms = world.mono_ms + between(1, 2 * HAIRCUTS_MS_MAX);
}

static void resume_all(void)
{
    records_control(NULL, false, ++s_feeds.control_epoch);
    s_feeds.resume_at_ms = INT64_MAX;
}

void feeds_fault(enum world_fault fault)
{
    if (fault == FAULT_CRASH)
        fall();
    else if (fault == FAULT_CONTROL && once_in(2))
        toggle_chain();
    else if (fault == FAULT_CONTROL)
        send_control();
    else if (fault == FAULT_PARAMETERS)
        change_parameters(once_in(2) ? world.swarm.set : (unsigned)between(0, WORLD_SETS - 1));
    else if (fault == FAULT_MARK)
        begin_bad_mark();
    else if (fault == FAULT_GARBAGE)
        send_garbage();
    else if (fault == FAULT_HOLDINGS && has_positions())
        odd_positions();
    else if (fault == FAULT_HOLDINGS)
        odd_holdings();
    else if (fault == FAULT_WATERMARK)
        s_feeds.watermark_at_ms = world.mono_ms + between(2000, 9000);
}

/* ---- running ------------------------------------------------------------------------------------ */

void feeds_begin(void)
{
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++) {
        s_feeds.ticks[i] = world_instruments[i].base_ticks;
        s_feeds.tick[i] = 0;
        s_feeds.bad[i] = MARK_GOOD;
    }
    s_feeds.source_offset = 1;
    s_feeds.control_epoch = 0;
    s_feeds.has_halted = false;
    s_feeds.chain_halted_ms[0] = s_feeds.chain_halted_ms[1] = 0;
    s_feeds.parameter_epoch = 2;
    s_feeds.height = 1;
    s_feeds.resume_at_ms = INT64_MAX;
    s_feeds.last_at_ms = world.quiet_from_ms;
    s_feeds.move_at_ms = s_feeds.restate_at_ms = s_feeds.watermark_at_ms = world.mono_ms + 1;
    s_feeds.trade_at_ms = world.mono_ms + between(1, TRADE_MS_MAX);
    s_feeds.set = world.swarm.set;
    s_feeds.haircuts = (struct records_haircuts){ .base_epoch = s_feeds.parameter_epoch };
    s_feeds.haircuts_at_ms = once_in(3) ? world.mono_ms + between(1, 2 * HAIRCUTS_MS_MAX)
                                        : INT64_MAX;
    records_parameters(s_feeds.set, s_feeds.parameter_epoch, &s_feeds.haircuts);
    records_chain(s_feeds.height, 0, s_feeds.chain_halted_ms);
    open_accounts();
}

void feeds_calm(void)
{
    for (unsigned i = 0; i < WORLD_INSTRUMENTS_MAX; i++)
        s_feeds.bad[i] = MARK_GOOD;
    s_feeds.watermark_at_ms = world.mono_ms;
    if (s_feeds.set != world.swarm.set || s_feeds.haircuts_at_ms != INT64_MAX)
        change_parameters(world.swarm.set);
    s_feeds.haircuts_at_ms = INT64_MAX;
    resume_all();
    s_feeds.chain_halted_ms[0] = s_feeds.chain_halted_ms[1] = 0;
    records_chain(s_feeds.height, s_feeds.height, s_feeds.chain_halted_ms);
    for (unsigned i = 0; i < world.swarm.account_count; i++) {
        struct world_account *account = &world_accounts[i];
        account->custody_open_lots = 0;
        if (s_feeds.has_halted)
            records_control(&account->id, false, ++s_feeds.control_epoch);
        account->has_gap = false;
        account->unfinal_lots = 0;
        if (account->mode == 200 || !records_has_modes(world.swarm.set))
            account->mode = 0;
        soil(account);
    }
}

static int64_t publish_ms(unsigned *at)
{
    int64_t best_ms = INT64_MAX;
    for (unsigned i = 0; i < world.swarm.account_count; i++)
        if (world_accounts[i].is_dirty && world_accounts[i].publish_at_ms < best_ms) {
            best_ms = world_accounts[i].publish_at_ms;
            *at = i;
        }
    return best_ms;
}

int64_t feeds_next_ms(void)
{
    unsigned at;
    int64_t times[] = { s_feeds.restate_at_ms, s_feeds.watermark_at_ms, publish_ms(&at),
                        s_feeds.resume_at_ms, s_feeds.haircuts_at_ms,
                        world.is_calm ? INT64_MAX : s_feeds.move_at_ms,
                        world.is_calm ? INT64_MAX : s_feeds.trade_at_ms };
    int64_t best_ms = INT64_MAX;
    for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] < best_ms)
            best_ms = times[i];
    return best_ms < world.quiet_from_ms ? best_ms : s_feeds.last_at_ms;
}

static void tell_watermarks(void)
{
    for (int32_t i = 0; !has_positions() && i < world.swarm.partition_count; i++)
        records_watermark(i, s_feeds.source_offset, world_now_ms() - between(0, 200));
    if (once_in(8) && !world.is_calm)
        records_chain(++s_feeds.height, 0, s_feeds.chain_halted_ms);
    s_feeds.watermark_at_ms = world.mono_ms + WATERMARK_MS;
}

void feeds_run(void)
{
    unsigned at = 0;
    if (world.mono_ms >= s_feeds.last_at_ms) {
        restate_marks();
        tell_watermarks();
        s_feeds.last_at_ms = INT64_MAX;
    } else if (world.mono_ms >= s_feeds.restate_at_ms) {
        restate_marks();
        s_feeds.restate_at_ms = world.mono_ms + RESTATE_MS;
    } else if (world.mono_ms >= s_feeds.watermark_at_ms) {
        tell_watermarks();
    } else if (world.mono_ms >= s_feeds.resume_at_ms) {
        resume_all();
    } else if (world.mono_ms >= s_feeds.haircuts_at_ms) {
        derive_haircuts();
    } else if (world.mono_ms >= publish_ms(&at)) {
        publish(&world_accounts[at]);
    } else if (!world.is_calm && world.mono_ms >= s_feeds.move_at_ms) {
        move((unsigned)between(0, WORLD_INSTRUMENTS_MAX - 1));
        s_feeds.move_at_ms = world.mono_ms + between(1, 2 * world.swarm.mark_every_ms);
    } else if (!world.is_calm) {
        struct world_account *account = some_account();
        trade(account);
        soil(account);
        s_feeds.trade_at_ms = world.mono_ms + between(1, 2 * TRADE_MS_MAX);
    }
}
