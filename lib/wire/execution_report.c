/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic executions: what became of an order, as the router reports it. Step 2 of the liquidation
 * service. Only the cumulative quantity counts (G5): reports may come twice or out of order.
 */
#include "plimsoll/v1/execution_report.pb-c.h"

#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static bool is_terminal(uint32_t status)
{
    return status != PLIMSOLL__V1__EXECUTION_REPORT__STATUS__STATUS_NEW &&
           status != PLIMSOLL__V1__EXECUTION_REPORT__STATUS__STATUS_PARTIALLY_FILLED;
}

/* The same quantity with a mantissa that fits 64 bits, exactly or not at all. */
static enum pl_err narrow(struct pl_amount amount, struct pl_execution *execution)
{
    while (amount.mantissa > INT64_MAX && amount.mantissa % 10 == 0) {
        amount.mantissa /= 10;
        amount.exponent++;
    }
    if (amount.mantissa > INT64_MAX || amount.exponent > PL_EXPONENT_MAX)
        return pl_field_fail(PL_REJECT_RANGE, NULL, "cumulative_quantity",
                             ": more than 63 bits of significant digits; no order is that fine");
    execution->cumulative_mantissa = (int64_t)amount.mantissa;
    execution->cumulative_exponent = amount.exponent;
    return PL_OK;
}

enum pl_err pl_wire_execution_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                     struct pl_bytes_view value, struct pl_execution *execution)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__ExecutionReport *from = pl_wire_unpack(&wire->decode, PL_TOPIC_EXECUTIONS,
                                                               value, &err);
    if (!from)
        return err;
    uint32_t status = 0;
    struct pl_amount cumulative = {0};
    *execution = (struct pl_execution){0};
    err = pl_field_account(from->account, from->bucket, key, PL_KEY_ACCOUNT,
                           &execution->account);
    if (!err)
        err = pl_field_uuid(NULL, "order_id", from->order_id, execution->order_id);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, status),
                            &plimsoll__v1__execution_report__status__descriptor, &status);
    execution->is_terminal = is_terminal(status);
    if (!err)
        err = pl_field_magnitude(NULL, "cumulative_quantity", from->cumulative_quantity,
                                 &cumulative);
    if (!err)
        err = narrow(cumulative, execution);
    return err ? err
               : pl_field_time(NULL, PL_SCALAR(from, event_time_ms), &execution->event_time_ms);
}
