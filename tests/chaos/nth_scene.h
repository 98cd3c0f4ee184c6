/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each service is given in a world of nth_world.c, and what it must have given back. The
 * outputs are worked out by hand (tests/support/lenders.h): none twice, none missing, none else.
 */
#ifndef PL_TESTS_CHAOS_NTH_SCENE_H
#define PL_TESTS_CHAOS_NTH_SCENE_H

#include "tests/chaos/nth_world.h"

/* Secrets that the services are given; neither may be seen anywhere. */
#define NTH_SECRET_REDIS "correct-horse-redis"
#define NTH_SECRET_KAFKA "battery-staple-kafka"

struct world {
    struct pipeline *pipeline;
    enum nth_service service;
    struct nth_result *result;
    const struct nth_last_words *expected;
    char name[64], group[80], trace[192], dir[128];
    bool has_topics;
    int64_t deadline_ms;
    struct process *process;
    bool is_planned;      /* the present process is the one that fails */
    bool is_ending;       /* it has been asked to end                  */
    int restarts;
    char words[NTH_TEXT_BYTES]; /* the last ones of the last process that left */
};

/* Says what is wrong; the first complaint of a run is the one that counts. */
void complain(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_secrets(struct world *world, const char *where, const void *bytes, size_t size);

struct scene {
    const char *name;      /* of the service */
    const enum pl_topic *topics; /* that each world has for itself; the others are the pipeline's */
    unsigned topic_count;
    bool has_transactions;
    /* Inputs: round 0 before the start, 1 when the service is ready, 2 when 1 has been answered. */
    void (*feed)(struct world *world, unsigned round);
    bool (*is_answered)(struct world *world, unsigned round);
    /* What has to be said every few seconds for as long as the world stands; may be NULL. */
    void (*sustain)(struct world *world);
    void (*check)(struct world *world);
};

extern const struct scene nth_scenes[NTH_SERVICES];

/* The name of a topic in this world. */
const char *topic_of(const struct world *world, enum pl_topic topic, char name[256]);

#endif
