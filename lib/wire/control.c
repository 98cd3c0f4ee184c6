/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic control: halt and resume (G8). Step 2 of the liquidation service, before anything else of a
 * step; whoever cannot read a record here halts, so nothing is guessed.
 */
#include "plimsoll/v1/control.pb-c.h"

#include <string.h>

#include "lib/base/assert.h"
#include "lib/wire/fields.h"
#include "lib/wire/wire.h"

static const char SCOPE_ALL[] = "all", SCOPE_ACCOUNT[] = "account=";

static enum pl_err read_scope(const char *scope, struct pl_bytes_view key, struct pl_id *account)
{
    if (!scope)
        return pl_field_missing(NULL, "scope");
    size_t size_bytes = strlen(scope), prefix_bytes = strlen(SCOPE_ACCOUNT);
    if (!key.data || key.size_bytes != size_bytes || memcmp(key.data, scope, size_bytes) != 0)
        return pl_err_set(PL_REJECT_KEY, "key is not the scope: write the value's scope as the "
                                         "record's key");
    if (strcmp(scope, SCOPE_ALL) == 0)
        return PL_OK;
    if (strncmp(scope, SCOPE_ACCOUNT, prefix_bytes) != 0)
        return pl_field_fail(PL_REJECT_UNKNOWN, NULL, "scope", ": write \"all\" or \"account=ID\"");
    enum pl_err err = pl_field_id(NULL, "scope", scope + prefix_bytes, account);
    if (!err && memchr(account->text, PL_BUCKET_MARK, account->size_bytes))
        return pl_field_fail(PL_REJECT_KEY, NULL, "scope",
                             ": account contains '~', which is reserved: a halt is of all its buckets");
    return err;
}

enum pl_err pl_wire_control_decode(struct pl_wire *wire, struct pl_bytes_view key,
                                   struct pl_bytes_view value, struct pl_control *control)
{
    enum pl_err err = PL_OK;
    const Plimsoll__V1__Control *from = pl_wire_unpack(&wire->decode, PL_TOPIC_CONTROL, value,
                                                       &err);
    if (!from)
        return err;
    uint32_t action = 0;
    *control = (struct pl_control){0};
    err = read_scope(from->scope, key, &control->account);
    if (!err)
        err = pl_field_enum(NULL, PL_SCALAR(from, action),
                            &plimsoll__v1__control__action__descriptor, &action);
    control->is_halt = action == PLIMSOLL__V1__CONTROL__ACTION__ACTION_HALT;
    if (!err)
        err = pl_field_u64(NULL, PL_SCALAR(from, epoch), 1, UINT64_MAX, &control->epoch);
    if (!err)
        err = pl_field_text(NULL, "actor", from->actor, sizeof(control->actor) - 1, control->actor);
    if (!err)
        err = pl_field_text(NULL, "reason", from->reason, sizeof(control->reason) - 1,
                            control->reason);
    return err ? err : pl_field_time(NULL, PL_SCALAR(from, created_ms), &control->created_ms);
}

enum pl_err pl_wire_control_encode(struct pl_wire *wire, const struct pl_control *control,
                                   struct pl_bytes_view *key, struct pl_bytes_view *value)
{
    bool is_all = pl_id_is_none(&control->account);
    const char *prefix = is_all ? SCOPE_ALL : SCOPE_ACCOUNT;
    size_t prefix_bytes = strlen(prefix), size_bytes = prefix_bytes + control->account.size_bytes;
    char *scope = pl_arena_take(&wire->encode, size_bytes + 1, 1);
    if (!scope)
        return pl_err_set(PL_REJECT_CAPACITY, "the encoder's memory is full");
    memcpy(scope, prefix, prefix_bytes);
    memcpy(scope + prefix_bytes, control->account.text, (size_t)control->account.size_bytes + 1);
    Plimsoll__V1__Control to = PLIMSOLL__V1__CONTROL__INIT;
    to.scope = scope;
    PL_PUT(&to, action,
           control->is_halt ? PLIMSOLL__V1__CONTROL__ACTION__ACTION_HALT
                            : PLIMSOLL__V1__CONTROL__ACTION__ACTION_RESUME);
    PL_PUT(&to, epoch, control->epoch);
    to.actor = (char *)(uintptr_t)control->actor;
    to.reason = (char *)(uintptr_t)control->reason;
    PL_PUT(&to, created_ms, control->created_ms);
    *key = (struct pl_bytes_view){(const uint8_t *)scope, size_bytes};
    return pl_wire_pack(wire, PL_TOPIC_CONTROL, &to.base, value);
}
