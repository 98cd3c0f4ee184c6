/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic orders: one leg of a forced sale, and the ids by which it is known everywhere. Step 6 of
 * the event's path. Ids come from the cause alone, so a plan that is decided again has the same
 * ones (G1, G2); the order carries the prices, versions and excesses that prove its need (G9).
 */
#include "plimsoll/v1/forced_sale_order.pb-c.h"

#include <assert.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static_assert((int)PL_SIDE_SELL == (int)PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_SELL &&
                  (int)PL_SIDE_BUY == (int)PLIMSOLL__V1__FORCED_SALE_ORDER__SIDE__SIDE_BUY,
              "order side");

static const Plimsoll__V1__ForcedSaleOrder__Reason
    REASON_BELOW = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BELOW_MAINTENANCE,
    REASON_BANKRUPT = PLIMSOLL__V1__FORCED_SALE_ORDER__REASON__REASON_BANKRUPT;

enum { EXCESS_EXPONENT = -18, VALUE_EXPONENT = -12, PREIMAGE_BYTES_MAX = 256 };

/* ---- ids ---- */

/* What is hashed: parts one after another, each after its length in four bytes, big-endian. */
struct preimage {
    uint8_t bytes[PREIMAGE_BYTES_MAX];
    size_t size_bytes;
};

static void add_bytes(struct preimage *preimage, const void *bytes, size_t size_bytes)
{
    pl_assert(preimage->size_bytes + size_bytes <= PREIMAGE_BYTES_MAX);
    memcpy(preimage->bytes + preimage->size_bytes, bytes, size_bytes);
    preimage->size_bytes += size_bytes;
}

static void add_number(struct preimage *preimage, uint64_t number, size_t size_bytes)
{
    for (size_t i = size_bytes; i-- > 0;)
        add_bytes(preimage, &(uint8_t){(uint8_t)(number >> 8 * i)}, 1);
}

static void add_part(struct preimage *preimage, const void *bytes, size_t size_bytes)
{
    add_number(preimage, size_bytes, 4);
    add_bytes(preimage, bytes, size_bytes);
}

/* The hash cut to 128 bits in the shape of UUIDv8: version 8, variant 2. */
static void cut_id(const struct preimage *preimage, uint8_t id[PL_ORDER_ID_BYTES])
{
    uint8_t hash[PL_HASH_BYTES];
    pl_wire_hash((struct pl_bytes_view){preimage->bytes, preimage->size_bytes}, hash);
    memcpy(id, hash, PL_ORDER_ID_BYTES);
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x80);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void pl_plan_id(const struct pl_id *id, uint64_t episode, uint32_t revision,
                struct pl_plan_id *plan_id)
{
    static const char domain[] = "plimsoll.plan.v1";
    struct preimage preimage = {.size_bytes = 0};
    const struct pl_bytes_view account =
        pl_account_part((struct pl_bytes_view){(const uint8_t *)id->text, id->size_bytes});
    const char *bucket = pl_bucket_part(id);
    add_bytes(&preimage, domain, sizeof(domain) - 1);
    add_part(&preimage, account.data, account.size_bytes);
    add_part(&preimage, bucket, strlen(bucket));
    add_number(&preimage, 8, 4);
    add_number(&preimage, episode, 8);
    add_number(&preimage, 4, 4);
    add_number(&preimage, revision, 4);
    cut_id(&preimage, plan_id->bytes);
}

void pl_order_id(const struct pl_plan_id *plan_id, const struct pl_id *instrument,
                 uint8_t order_id[PL_ORDER_ID_BYTES])
{
    /* The plan id's size is fixed and the instrument comes last: no lengths are needed. */
    struct preimage preimage = {.size_bytes = 0};
    add_bytes(&preimage, plan_id->bytes, sizeof(plan_id->bytes));
    add_bytes(&preimage, instrument->text, instrument->size_bytes);
    cut_id(&preimage, order_id);
}

void pl_uuid_print(const uint8_t id[PL_ORDER_ID_BYTES], char text[PL_UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < PL_ORDER_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[id[i] >> 4];
        *text++ = digits[id[i] & 0x0f];
    }
    *text = '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum pl_err pl_uuid_parse(const char *text, uint8_t id[PL_ORDER_ID_BYTES])
{
    const char *at = text;
    bool is_uuid = strlen(text) == PL_UUID_TEXT_BYTES - 1;
    for (size_t i = 0; is_uuid && i < PL_ORDER_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            is_uuid = *at++ == '-';
        int high = digit_of(at[0]), low = digit_of(at[1]);
        is_uuid = is_uuid && high >= 0 && low >= 0;
        id[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
        at += 2;
    }
    if (!is_uuid)
        return pl_err_set(PL_REJECT_MALFORMED, "not a UUID in lower case; write e.g. "
                                               "\"01234567-89ab-8cde-8f01-23456789abcd\"");
    return PL_OK;
}

/* ---- encode ---- */

static Plimsoll__V1__ForcedSaleOrder__PriceCoordinate *
build_coordinate(struct pl_wire *wire, const struct pl_id *instrument, const struct pl_mark *mark)
{
    Plimsoll__V1__ForcedSaleOrder__PriceCoordinate *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__forced_sale_order__price_coordinate__init(to);
    to->instrument = pl_build_id(instrument);
    PL_PUT(to, source_offset, mark->source_offset);
    PL_PUT(to, tick, mark->tick);
    to->price = pl_build_decimal(wire, mark->mantissa, mark->exponent);
    PL_PUT(to, event_time_ms, mark->event_time_ms);
    return to;
}

/* Which price of each held instrument was seen, in the book's order, which is by id (G2). */
static void build_coordinates(struct pl_wire *wire, const struct pl_wire_context *context,
                              Plimsoll__V1__ForcedSaleOrder *to)
{
    uint32_t leg_count = context->account->leg_count;
    pl_assert(leg_count == 0 || context->legs);
    to->prices = pl_wire_take(wire, leg_count * sizeof(*to->prices));
    const struct pl_id *before = NULL;
    for (uint32_t i = 0; i < leg_count; i++) {
        uint32_t instrument = context->legs[i].instrument;
        pl_assert(instrument < context->names->count);
        const struct pl_id *id = &context->names->ids[instrument];
        pl_assert(!before || pl_id_compare(before, id) < 0);
        before = id;
        if (context->marks[instrument].status != PL_MARK_NONE)
            to->prices[to->n_prices++] = build_coordinate(wire, id, &context->marks[instrument]);
    }
}

static void build_proof(struct pl_wire *wire, const struct pl_sale *sale,
                        const struct pl_sale_leg *leg, Plimsoll__V1__ForcedSaleOrder__Proof *proof)
{
    proof->maintenance_before = pl_build_amount(wire, sale->maintenance_before, EXCESS_EXPONENT);
    proof->end_before = pl_build_amount(wire, sale->end_before, EXCESS_EXPONENT);
    proof->end_after = pl_build_amount(wire, sale->end_after, EXCESS_EXPONENT);
    proof->end_one_lot_less = pl_build_amount(wire, leg->one_lot_less, EXCESS_EXPONENT);
    if (!sale->reaches)
        return;
    proof->cost = pl_build_amount(wire, sale->cost_vu, VALUE_EXPONENT);
    proof->cost_bound = pl_build_amount(wire, sale->cost_bound_vu, VALUE_EXPONENT);
    PL_PUT(proof, gap_ppm, (uint32_t)sale->gap_ppm);
}

static void build_ids(struct pl_wire *wire, const struct pl_wire_context *context,
                      const struct pl_account_state *state, const struct pl_id *instrument,
                      Plimsoll__V1__ForcedSaleOrder *to)
{
    struct pl_plan_id plan_id;
    uint8_t order_id[PL_ORDER_ID_BYTES];
    pl_plan_id(&context->account->id, state->episode, state->revision, &plan_id);
    pl_order_id(&plan_id, instrument, order_id);
    to->order_id = pl_build_uuid(wire, order_id);
    to->plan_id = pl_build_uuid(wire, plan_id.bytes);
    to->account = pl_build_account(wire, &context->account->id);
    to->bucket = pl_build_bucket(&context->account->id);
    to->instrument = pl_build_id(instrument);
    PL_PUT(to, episode, state->episode);
    PL_PUT(to, revision, state->revision);
}

static void build_leg(struct pl_wire *wire, const struct pl_instrument *rules,
                      const struct pl_sale_leg *leg, Plimsoll__V1__ForcedSaleOrder *to)
{
    pl_assert(leg->lots > 0);
    PL_PUT(to, side, (Plimsoll__V1__ForcedSaleOrder__Side)leg->side);
    PL_PUT(to, lots, (uint64_t)leg->lots);
    PL_PUT(to, lot_decimals, rules->lot_decimals);
    to->limit_price = pl_build_decimal(wire, leg->limit_ticks, -(int32_t)rules->tick_decimals);
    if (leg->is_extended)
        PL_PUT(to, extended, true);
}

static char *build_token(const struct pl_id *token)
{
    return pl_id_is_none(token) ? NULL : pl_build_id(token);
}

/* Which call of which contract executes the leg; NULL: none does. */
static Plimsoll__V1__ForcedSaleOrder__ProtocolCall *
build_call(struct pl_wire *wire, const struct pl_wire_context *context,
           const struct pl_sale_leg *leg)
{
    const struct pl_parameters *parameters = context->market->parameters;
    const struct pl_portfolio held = {.legs = context->legs,
                                      .leg_count = context->account->leg_count,
                                      .mode = context->account->mode};
    struct pl_call call;
    if (!pl_call_of(context->market, &held, leg, &call))
        return NULL;
    const struct pl_instrument *collateral = &parameters->instruments[leg->instrument];
    const struct pl_instrument *debt = &parameters->instruments[call.debt];
    const struct pl_contract *contract = &parameters->contracts[call.contract];
    Plimsoll__V1__ForcedSaleOrder__ProtocolCall *to = pl_wire_take(wire, sizeof(*to));
    plimsoll__v1__forced_sale_order__protocol_call__init(to);
    to->chain = pl_build_id(&contract->chain);
    to->contract = pl_build_id(&contract->id);
    PL_PUT(to, rule, (Plimsoll__V1__ParameterSet__Contract__Rule)contract->rule);
    to->position = pl_build_account(wire, &context->account->id);
    to->collateral = pl_build_id(&context->names->ids[leg->instrument]);
    to->collateral_token = build_token(&collateral->token);
    to->collateral_amount =
        pl_build_amount(wire, call.collateral_lots, -(int32_t)collateral->lot_decimals);
    to->debt = pl_build_id(&context->names->ids[call.debt]);
    to->debt_token = build_token(&debt->token);
    to->debt_amount = pl_build_amount(wire, call.debt_lots, -(int32_t)debt->lot_decimals);
    PL_PUT(to, close_factor_ppm, call.close_factor_ppm);
    PL_PUT(to, bonus_ppm, call.bonus_ppm);
    return to;
}

/* For ever, where the sum would be later than that; what is pending ends at the same time. */
static int64_t end_of(const struct pl_market *market)
{
    int64_t end_ms = 0;
    bool is_beyond = __builtin_add_overflow(
        market->now_ms, market->parameters->policy.order_valid_ms, &end_ms);
    return is_beyond ? INT64_MAX : end_ms;
}

enum pl_err pl_wire_order_encode(struct pl_wire *wire, const struct pl_wire_context *context,
                                 const struct pl_decision *decision, uint32_t leg,
                                 struct pl_bytes_view *value)
{
    pl_assert(decision->has_sale && leg < decision->sale.leg_count);
    const struct pl_sale_leg *from = &decision->sale.legs[leg];
    const struct pl_parameters *parameters = context->market->parameters;
    Plimsoll__V1__ForcedSaleOrder to = PLIMSOLL__V1__FORCED_SALE_ORDER__INIT;
    Plimsoll__V1__ForcedSaleOrder__Proof proof = PLIMSOLL__V1__FORCED_SALE_ORDER__PROOF__INIT;
    build_ids(wire, context, &decision->state, &context->names->ids[from->instrument], &to);
    PL_PUT(&to, leg, leg + 1);
    PL_PUT(&to, leg_count, decision->sale.leg_count);
    build_leg(wire, &parameters->instruments[from->instrument], from, &to);
    PL_PUT(&to, created_ms, context->market->now_ms);
    PL_PUT(&to, valid_until_ms, end_of(context->market));
    PL_PUT(&to, reason, decision->sale.is_bankrupt ? REASON_BANKRUPT : REASON_BELOW);
    build_coordinates(wire, context, &to);
    PL_PUT(&to, holdings_version, context->account->version);
    PL_PUT(&to, parameter_epoch, parameters->epoch);
    PL_PUT(&to, control_epoch, context->control_epoch);
    build_proof(wire, &decision->sale, from, &proof);
    to.proof = &proof;
    to.protocol_call = build_call(wire, context, from);
    return pl_wire_pack(wire, PL_TOPIC_ORDERS, &to.base, value);
}

/* ---- decode ---- */

static enum pl_err read_ids(const Plimsoll__V1__ForcedSaleOrder *from, struct pl_bytes_view key,
                            struct pl_order *order)
{
    enum pl_err err = pl_field_account(from->account, from->bucket, key, PL_KEY_WHOLE,
                                       &order->account);
    if (!err)
        err = pl_field_uuid(NULL, "order_id", from->order_id, order->order_id);
    if (!err)
        err = pl_field_uuid(NULL, "plan_id", from->plan_id, order->plan_id);
    if (!err)
        err = pl_field_id(NULL, "instrument", from->instrument, &order->instrument);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, episode), 1, UINT64_MAX, &order->episode);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, revision), 1, UINT32_MAX, &order->revision);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, leg_count), 1, PL_SALE_LEGS_MAX,
                           &order->leg_count);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, leg), 1, order->leg_count, &order->leg);
    return err;
}

static enum pl_err read_terms(const Plimsoll__V1__ForcedSaleOrder *from, struct pl_order *order)
{
    uint32_t side = 0;
    enum pl_err err = pl_field_enum(NULL, PL_SCALAR(from, side),
                                    &plimsoll__v1__forced_sale_order__side__descriptor, &side);
    order->side = (enum pl_side)side;
    if (!err)
        err = pl_field_i64(NULL, PL_SCALAR(from, lots), 1, INT64_MAX, &order->lots);
    if (!err)
        err = pl_field_u32(NULL, PL_SCALAR(from, lot_decimals), 0, PL_DECIMALS_MAX,
                           &order->lot_decimals);
    if (!err)
        err = pl_field_decimal(NULL, "limit_price", from->limit_price, &order->limit_mantissa,
                               &order->limit_exponent);
    if (!err && order->limit_mantissa < 0)
        err = pl_field_fail(PL_REJECT_RANGE, NULL, "limit_price", ": negative");
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, created_ms), &order->created_ms);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, valid_until_ms), &order->valid_until_ms);
    return err;
}

enum pl_err pl_wire_order_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_order *order)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__ForcedSaleOrder *from = pl_wire_unpack(&wire->decode, PL_TOPIC_ORDERS,
                                                               value, &err);
    if (!from)
        return err;
    uint32_t reason = 0;
    *order = (struct pl_order){0};
    err = read_ids(from, key, order);
    if (!err)
        err = read_terms(from, order);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, reason),
                            &plimsoll__v1__forced_sale_order__reason__descriptor, &reason);
    order->is_bankrupt = reason == REASON_BANKRUPT;
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, holdings_version), 0, UINT64_MAX,
                           &order->holdings_version);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, parameter_epoch), 0, UINT64_MAX,
                           &order->parameter_epoch);
    return err;
}
