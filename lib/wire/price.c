/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic prices: one quote of one source. Step 2 of the event's path in the price service. What a
 * quote may be worth (zero, crossed, late) is lib/price's to judge; here it only has to be one.
 */
#include "plimsoll/v1/price.pb-c.h"

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static enum pl_err read_book(const Plimsoll__V1__Price *from, struct pl_price *price)
{
    price->has_book = from->bid || from->ask;
    if (!price->has_book)
        return PL_OK;
    /* Half a book is no book: pl_field_decimal names the missing side. */
    enum pl_err err = pl_field_decimal(NULL, "bid", from->bid, &price->bid_mantissa,
                                       &price->bid_exponent);
    if (!err)
        err = pl_field_decimal(NULL, "ask", from->ask, &price->ask_mantissa, &price->ask_exponent);
    return err;
}

static enum pl_err read_confidence(const Plimsoll__V1__Price *from, struct pl_price *price)
{
    price->has_confidence = from->confidence != NULL;
    if (!price->has_confidence)
        return PL_OK;
    enum pl_err err = pl_field_decimal(NULL, "confidence", from->confidence,
                                       &price->confidence_mantissa, &price->confidence_exponent);
    if (!err && price->confidence_mantissa < 0)
        return pl_field_fail(PL_REJECT_RANGE, NULL, "confidence",
                             ": negative; write the half width of the interval");
    return err;
}

enum pl_err pl_wire_price_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                 struct pl_bytes_view value, struct pl_price *price)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__Price *from = pl_wire_unpack(&wire->decode, PL_TOPIC_PRICES, value, &err);
    if (!from)
        return err;
    *price = (struct pl_price){0};
    err = pl_field_id(NULL, "instrument", from->instrument, &price->instrument);
    if (!err)
        err = pl_wire_check_key(key, "instrument", &price->instrument);
    if (!err)
        err = pl_field_id(NULL, "source", from->source, &price->source);
    if (!err)
        err = pl_field_decimal(NULL, "price", from->price, &price->mantissa, &price->exponent);
    if (!err)
        err = read_confidence(from, price);
    if (!err)
        err = read_book(from, price);
    if (!err)
        err = pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &price->event_time_ms);
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, source_sequence), 1, UINT64_MAX,
                           &price->source_sequence);
    return err;
}
