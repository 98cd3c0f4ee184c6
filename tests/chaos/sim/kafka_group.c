/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modelled group coordinator: members, generations, cooperative-sticky assignment in two
 * phases, and committed offsets with those that wait for a transaction's marker (T1). As in Kafka
 * a transactional offset commit is checked for member and generation only, when it is sent:
 * whether the member owns the partition nobody asks, and what was sent in time is settled however
 * late its transaction ends.
 */
#include <string.h>

#include "tests/chaos/sim/kafka_broker.h"

static struct {
    struct sim_group groups[SIM_GROUPS_MAX];
    unsigned group_count;
    uint32_t last_member_id; /* never given twice */
    struct commit { struct sim_group *group; struct sim_commit info; } *commits;
    uint64_t commit_count, commit_capacity;
} s_groups;

void group_reset(void)
{
    s_groups.group_count = 0;
    s_groups.last_member_id = 0;
    s_groups.commit_count = 0;
}

struct sim_group *group_find(const char *name, bool make)
{
    for (unsigned i = 0; i < s_groups.group_count; i++) {
        if (strcmp(s_groups.groups[i].name, name) == 0)
            return &s_groups.groups[i];
    }
    if (!make)
        return NULL;
    pl_assert(s_groups.group_count < SIM_GROUPS_MAX && strlen(name) < NAME_BYTES);
    struct sim_group *group = &s_groups.groups[s_groups.group_count++];
    memcpy(group->name, name, strlen(name) + 1);
    group->generation = 0;
    group->is_preparing = false;
    group->member_count = 0;
    group->pending_count = 0;
    for (unsigned i = 0; i < SIM_PARTITIONS_MAX; i++)
        group->offsets[i].offset = PL_OFFSET_NONE;
    return group;
}

/* ---- assignment ------------------------------------------------------------------------------ */

/* Members that own more come first, so that a remainder stays where it is. */
static void order_by_claims(const struct sim_group *group, unsigned order[MEMBERS_MAX])
{
    for (unsigned i = 0; i < group->member_count; i++) {
        int claims = __builtin_popcountll(group->members[i].target);
        unsigned at = i;

        for (; at > 0; at--) {
            const struct sim_member *before = &group->members[order[at - 1]];

            if (__builtin_popcountll(before->target) >= claims)
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

/* Removes the highest bits until `quota` are left. */
static uint64_t keep_lowest(uint64_t set, int quota)
{
    while (__builtin_popcountll(set) > quota)
        set &= ~(UINT64_C(1) << (63 - __builtin_clzll(set)));
    return set;
}

static uint64_t take_lowest(uint64_t *from, int count)
{
    uint64_t taken = 0;

    for (; count > 0 && *from != 0; count--) {
        taken |= *from & -*from;
        *from &= *from - 1;
    }
    return taken;
}

/* Everybody keeps what it claims up to its share; only what nobody claims is given out. What is
 * above a share is taken away now and given out by the next generation, when its owner has let
 * go. */
static void assign(struct sim_group *group)
{
    unsigned order[MEMBERS_MAX];
    int count = sim_kafka_partition_count(group->topic);
    uint64_t all = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    uint64_t claimed = 0;

    pl_assert(count <= GROUP_PARTITIONS_MAX);
    for (unsigned i = 0; i < group->member_count; i++) {
        struct sim_member *member = &group->members[i];

        member->target = member->claimed & all & ~claimed;
        claimed |= member->target;
    }
    uint64_t unclaimed = all & ~claimed;
    order_by_claims(group, order);
    for (unsigned i = 0; i < group->member_count; i++) {
        struct sim_member *member = &group->members[order[i]];
        int share = (int)((unsigned)count / group->member_count +
                          (i < (unsigned)count % group->member_count));

        member->target = keep_lowest(member->target, share);
        member->target |= take_lowest(&unclaimed, share - __builtin_popcountll(member->target));
    }
}

/* ---- membership ------------------------------------------------------------------------------ */

struct sim_member *group_member(struct sim_group *group, uint32_t id)
{
    for (unsigned i = 0; i < group->member_count; i++) {
        if (group->members[i].id == id)
            return &group->members[i];
    }
    return NULL;
}

/* A generation begins when every member has joined; one that stands still is waited for until its
 * session has timed out. */
static void complete_round(struct sim_group *group)
{
    for (unsigned i = 0; i < group->member_count; i++) {
        if (!group->members[i].has_joined)
            return;
    }
    group->is_preparing = false;
    group->generation++;
    if (group->member_count > 0)
        assign(group);
    sim_trace(-1, "generation", group->name, -1, group->generation, group->member_count);
}

void group_prepare(struct sim_group *group)
{
    if (group->is_preparing)
        return;
    group->is_preparing = true;
    for (unsigned i = 0; i < group->member_count; i++)
        group->members[i].has_joined = false;
}

uint32_t group_join(struct sim_group *group, int process)
{
    pl_assert(group->member_count < MEMBERS_MAX);
    group_prepare(group);
    group->members[group->member_count++] =
        (struct sim_member){.id = ++s_groups.last_member_id, .process = process,
                            .heard_ms = sim_mono_ms(), .has_joined = true};
    uint32_t id = s_groups.last_member_id;
    complete_round(group);
    return id;
}

void group_rejoin(struct sim_group *group, struct sim_member *member, uint64_t owned)
{
    group_prepare(group);
    member->has_joined = true;
    member->claimed = owned;
    complete_round(group);
}

void group_leave(struct sim_group *group, uint32_t id)
{
    struct sim_member *member = group_member(group, id);

    if (member == NULL)
        return;
    *member = group->members[--group->member_count];
    group_prepare(group);
    complete_round(group);
}

void sim_kafka_rebalance(const char *group_id)
{
    struct sim_group *group = group_find(group_id, false);

    if (group != NULL && group->member_count > 0)
        group_prepare(group);
}

int sim_kafka_owner(const char *group_id, int32_t partition)
{
    const struct sim_group *group = group_find(group_id, false);

    if (group == NULL)
        return -1;
    for (unsigned i = 0; i < group->member_count; i++) {
        if (group->members[i].target >> partition & 1)
            return group->members[i].process;
    }
    return -1;
}

/* ---- offsets --------------------------------------------------------------------------------- */

static uint64_t record_commit(struct sim_group *group, const struct sim_commit *info)
{
    if (s_groups.commit_count == s_groups.commit_capacity) {
        s_groups.commit_capacity =
            s_groups.commit_capacity > 0 ? s_groups.commit_capacity * 2 : 1024;
        s_groups.commits =
            realloc(s_groups.commits, s_groups.commit_capacity * sizeof(*s_groups.commits));
        pl_assert(s_groups.commits != NULL);
    }
    s_groups.commits[s_groups.commit_count] = (struct commit){group, *info};
    return s_groups.commit_count++;
}

static void add_pending(struct sim_group *group, const struct sim_pending *pending)
{
    if (group->pending_count == group->pending_capacity) {
        group->pending_capacity = group->pending_capacity > 0 ? group->pending_capacity * 2 : 64;
        group->pending =
            realloc(group->pending, group->pending_capacity * sizeof(*group->pending));
        pl_assert(group->pending != NULL);
    }
    group->pending[group->pending_count++] = *pending;
}

static enum sim_answer check_member(struct sim_group *group, uint32_t member, int32_t generation)
{
    if (sim_faults.bug_generation_unchecked)
        return SIM_ANSWER_OK;
    if (group_member(group, member) == NULL)
        return SIM_ANSWER_NO_MEMBER;
    return generation == group->generation ? SIM_ANSWER_OK : SIM_ANSWER_GENERATION;
}

enum sim_answer group_send_offsets(struct sim_group *group, uint32_t member, int32_t generation,
                                   int slot, int32_t epoch, int process,
                                   const struct pl_offset *offsets, unsigned count)
{
    uint64_t txn = 0;
    enum sim_answer answer = broker_begun(slot, epoch, process, &txn);

    if (answer != SIM_ANSWER_OK)
        return answer;
    /* AddOffsetsToTxn comes first, so the transaction reaches the group even if this is refused. */
    sim_broker.slots[slot].has_offsets = true;
    sim_broker.txns[txn].group = group;
    answer = check_member(group, member, generation);
    if (answer != SIM_ANSWER_OK)
        return answer;
    for (unsigned i = 0; i < count; i++) {
        const struct sim_log *log = broker_log(offsets[i].topic, offsets[i].partition);
        const struct sim_commit info = {.offset = offsets[i], .slot = slot, .process = process,
                                        .txn = txn, .generation = generation};

        pl_assert(log != NULL);
        const struct sim_pending pending = {(unsigned)broker_log_index(log), offsets[i].offset,
                                            record_commit(group, &info), slot};
        add_pending(group, &pending);
    }
    return SIM_ANSWER_OK;
}

/* An older commit that is settled later does not replace a newer one. */
void group_settle_offsets(struct sim_group *group, int slot, bool is_commit)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < group->pending_count; i++) {
        const struct sim_pending pending = group->pending[i];

        if (pending.slot != slot) {
            group->pending[kept++] = pending;
            continue;
        }
        if (!is_commit || (group->offsets[pending.log].offset != PL_OFFSET_NONE &&
                           group->offsets[pending.log].commit > pending.commit))
            continue;
        group->offsets[pending.log].offset = pending.offset;
        group->offsets[pending.log].commit = pending.commit;
    }
    group->pending_count = kept;
}

int64_t group_offset(const struct sim_group *group, unsigned log, bool *is_pending)
{
    *is_pending = false;
    for (unsigned i = 0; i < group->pending_count; i++)
        *is_pending |= group->pending[i].log == log;
    return group->offsets[log].offset;
}

int64_t sim_kafka_committed(const char *group_id, enum pl_topic topic, int32_t partition,
                            bool *is_pending)
{
    const struct sim_group *group = group_find(group_id, false);
    const struct sim_log *log = broker_log(topic, partition);
    bool ignored = false;
    bool *pending = is_pending != NULL ? is_pending : &ignored;

    *pending = false;
    if (group == NULL || log == NULL)
        return PL_OFFSET_NONE;
    return group_offset(group, (unsigned)broker_log_index(log), pending);
}

bool sim_kafka_commit_at(uint64_t index, struct sim_commit *commit)
{
    static const enum sim_fate fates[] = {[SIM_TXN_OPEN] = SIM_OPEN,
                                          [SIM_TXN_COMMITTED] = SIM_COMMITTED,
                                          [SIM_TXN_ABORTED] = SIM_ABORTED};

    if (index >= s_groups.commit_count)
        return false;
    *commit = s_groups.commits[index].info;
    commit->group_id = s_groups.commits[index].group->name;
    commit->fate = fates[sim_broker.txns[commit->txn].info.state];
    return true;
}

void sim_kafka_expire(const char *group_id)
{
    struct sim_group *group = group_find(group_id, false);

    if (group == NULL)
        return;
    for (unsigned i = 0; i < SIM_PARTITIONS_MAX; i++)
        group->offsets[i].offset = PL_OFFSET_NONE;
    sim_trace(-1, "committed offsets expired", group->name, -1, 0, 0);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void expel(struct sim_group *group, int64_t now_ms)
{
    for (unsigned i = 0; i < group->member_count;) {
        const struct sim_member *member = &group->members[i];

        if (now_ms - member->heard_ms <= SIM_SESSION_TIMEOUT_MS) {
            i++;
            continue;
        }
        sim_trace(member->process, "session timed out", group->name, -1, member->id, 0);
        group_leave(group, member->id);
    }
}

void group_tick(int64_t now_ms)
{
    for (unsigned i = 0; i < s_groups.group_count; i++) {
        struct sim_group *group = &s_groups.groups[i];

        expel(group, now_ms);
        if (group->member_count > 0 && sim_chance(sim_faults.rebalance_permille))
            group_prepare(group);
    }
}

int64_t group_next_ms(void)
{
    int64_t next_ms = INT64_MAX;

    for (unsigned i = 0; i < s_groups.group_count; i++) {
        const struct sim_group *group = &s_groups.groups[i];

        for (unsigned j = 0; j < group->member_count; j++) {
            int64_t due_ms = group->members[j].heard_ms + SIM_SESSION_TIMEOUT_MS + 1;

            next_ms = due_ms < next_ms ? due_ms : next_ms;
        }
    }
    return next_ms;
}
