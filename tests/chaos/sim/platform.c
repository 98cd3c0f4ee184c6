/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/service as the simulated services see it: clocks that the world moves, memory that a dead process
 * leaves behind clean, a log that goes into the trace, and metrics that nobody reads.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/assert.h"
#include "lib/service/metrics.h"
#include "lib/service/process.h"
#include "tests/chaos/sim/world.h"

/* ---- clocks ------------------------------------------------------------------------------------- */

int64_t sim_mono_ms(void)
{
    return world.mono_ms;
}

int64_t sim_wall_ms(void)
{
    return world_now_ms();
}

int64_t pl_now_ms(void)
{
    return world_now_ms() + (world.current ? world.current->wall_offset_ms : 0);
}

int64_t pl_mono_ms(void)
{
    return world.mono_ms;
}

int64_t pl_mono_ns(void)
{
    return world.mono_ms * 1000000;
}

enum pl_err pl_process_init(bool may_dump_core)
{
    (void)may_dump_core;
    return PL_OK;
}

bool pl_process_should_stop(void)
{
    return world.current && world.current->is_stopping;
}

void pl_notify_ready(void) {}
void pl_notify_alive(void) {}
void pl_notify_stopping(void) {}

/* ---- memory ------------------------------------------------------------------------------------- */

/*
 * Blocks go from one dead process to the next, since mapping anew costs a fault for every page. What was
 * given back is zeroed before it is given out again: small blocks by hand, large ones by the kernel,
 * which knows the few pages that were touched. A parameter set needs neither: reading one overwrites all
 * of it, and until then nobody looks.
 */
enum { BLOCKS_MAX = 2048, OWNER_FREE = -2, BY_KERNEL_BYTES = 1600 << 10 };

static struct {
    unsigned count;
    struct block { void *data; size_t size_bytes; int owner; bool is_dirty; } blocks[BLOCKS_MAX];
} s_memory;

static void clean(struct block *block)
{
    if (!block->is_dirty || block->size_bytes == sizeof(struct pl_parameters))
        return;
    if (block->size_bytes < BY_KERNEL_BYTES)
        memset(block->data, 0, block->size_bytes);
    else
        (void)madvise(block->data, block->size_bytes, MADV_DONTNEED);
    block->is_dirty = false;
}

enum pl_err pl_memory_map(size_t size_bytes, void **data)
{
    int owner = world.current ? world.current->number : -1;
    struct block *found = NULL;
    for (unsigned i = 0; !found && i < s_memory.count; i++)
        if (s_memory.blocks[i].owner == OWNER_FREE && s_memory.blocks[i].size_bytes == size_bytes)
            found = &s_memory.blocks[i];
    if (!found) {
        pl_assert(s_memory.count < BLOCKS_MAX);
        found = &s_memory.blocks[s_memory.count++];
        *found = (struct block){ .size_bytes = size_bytes };
        found->data = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (found->data == MAP_FAILED)
            return pl_err_set(PL_FATAL_SYSTEM, "%zu bytes", size_bytes);
    }
    clean(found);
    found->is_dirty = true;
    found->owner = owner;
    *data = found->data;
    return PL_OK;
}

void pl_memory_unmap(void *data, size_t size_bytes)
{
    for (unsigned i = 0; data && i < s_memory.count; i++) {
        struct block *block = &s_memory.blocks[i];
        if (block->data != data)
            continue;
        pl_assert(block->size_bytes == size_bytes && block->owner != OWNER_FREE);
        block->owner = OWNER_FREE;
        return;
    }
    pl_assert(!data);
}

void platform_free(const struct worker *worker)
{
    for (unsigned i = 0; i < s_memory.count; i++)
        if (s_memory.blocks[i].owner == worker->number)
            s_memory.blocks[i].owner = OWNER_FREE;
}

/* ---- log and metrics ---------------------------------------------------------------------------- */

/* The trace gets the code, the message and the first number that says where. */
void pl_log(enum pl_log_level level, const char *code, const char *message, ...)
{
    char fields[128] = "";
    size_t used = 0;
    va_list list;
    va_start(list, message);
    for (const char *key; (key = va_arg(list, const char *)) != NULL;) {
        char *at = fields + used;
        size_t room = sizeof(fields) - used;
        int size = va_arg(list, int) == PL_LOG_KIND_TEXT
                       ? snprintf(at, room, " %s=%.40s", key, va_arg(list, const char *))
                       : snprintf(at, room, " %s=%lld", key, (long long)va_arg(list, int64_t));
        used += size > 0 && (size_t)size < room ? (size_t)size : 0;
    }
    va_end(list);
    if (level >= PL_LOG_INFO)
        world_note("%s %s%s", code, message, fields);
    if (strcmp(code, "SELF_AUDIT_DIVERGED") == 0)
        world_fail("I8 self-audit", "%s%s", message, fields);
}

void pl_log_flush(void) {}

void pl_metric_add(unsigned metric, uint64_t amount)
{
    (void)metric;
    (void)amount;
}

void pl_metric_add_labelled(unsigned metric, unsigned index, uint64_t amount)
{
    (void)metric;
    (void)index;
    (void)amount;
}

void pl_metric_observe(unsigned metric, double seconds)
{
    (void)metric;
    (void)seconds;
}

void pl_metric_set(unsigned metric, double value)
{
    (void)metric;
    (void)value;
}

void pl_metric_set_labelled(unsigned metric, unsigned index, double value)
{
    (void)metric;
    (void)index;
    (void)value;
}

void pl_metric_clear(unsigned metric)
{
    (void)metric;
}

void pl_metric_clear_labelled(unsigned metric, unsigned index)
{
    (void)metric;
    (void)index;
}
