/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain main for a fuzz target, so that it runs everywhere as a ctest: every file of the corpus,
 * every prefix of the small ones, then seeded mutations of them. PL_FUZZ_CORPUS names the folder (or
 * the arguments name files), PL_FUZZ_COUNT how many mutations.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { INPUTS_MAX = 1024, INPUT_BYTES_MAX = 1 << 16, PREFIX_BYTES_MAX = 2048, COUNT = 20000 };

static struct input {
    uint8_t *data;
    size_t size_bytes;
} inputs[INPUTS_MAX];
static unsigned input_count;

/* From a block of its exact size, so that reading past its end is seen. */
static void run(const uint8_t *data, size_t size_bytes)
{
    uint8_t *copy = malloc(size_bytes + (size_bytes == 0));
    if (!copy)
        abort();
    memcpy(copy, data, size_bytes);
    (void)LLVMFuzzerTestOneInput(copy, size_bytes);
    free(copy);
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || input_count == INPUTS_MAX) {
        fprintf(stderr, "cannot load %s\n", path);
        exit(1);
    }
    struct input *input = &inputs[input_count++];
    input->data = malloc(INPUT_BYTES_MAX);
    if (!input->data)
        abort();
    input->size_bytes = fread(input->data, 1, INPUT_BYTES_MAX, file);
    (void)fclose(file);
}

/* In the order of names: the same inputs and seed give the same run everywhere. */
static void load_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            load(path);
        free(entries[i]);
    }
    free(entries);
}

/* One random change: a byte, a bit, a removed, doubled or foreign piece. */
static size_t mutate(struct test_random *random, uint8_t *data, size_t size)
{
    size_t at = size ? test_random_below(random, size) : 0;
    size_t length = size - at ? 1 + test_random_below(random, size - at) : 0;
    const struct input *other = &inputs[test_random_below(random, input_count)];
    switch (test_random_below(random, 6)) {
    case 0:
        if (size)
            data[at] = (uint8_t)test_random_u64(random);
        return size;
    case 1:
        if (size)
            data[at] ^= (uint8_t)(1u << test_random_below(random, 8));
        return size;
    case 2:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3:
        if (size + length > INPUT_BYTES_MAX)
            return size;
        memmove(data + at + length, data + at, size - at);
        return size + length;
    case 4:
        if (other->size_bytes == 0)
            return size;
        length = 1 + test_random_below(random, other->size_bytes);
        if (at + length > INPUT_BYTES_MAX)
            return size;
        memcpy(data + at, other->data + test_random_below(random, other->size_bytes - length + 1),
               length);
        return at + length > size ? at + length : size;
    default:
        return size ? at : 0;
    }
}

int main(int argc, char **argv)
{
    const char *folder = getenv("PL_FUZZ_CORPUS");
    const char *count_text = getenv("PL_FUZZ_COUNT");
    unsigned long count = count_text ? strtoul(count_text, NULL, 10) : COUNT;
    static uint8_t data[INPUT_BYTES_MAX];
    struct test_random random = test_random_start(1);
    for (int i = 1; i < argc; i++)
        load(argv[i]);
    if (argc == 1 && folder)
        load_folder(folder);
    if (input_count == 0) {
        fprintf(stderr, "no corpus: set PL_FUZZ_CORPUS or name files\n");
        return 1;
    }
    unsigned long runs = 0;
    for (unsigned i = 0; i < input_count; i++)
        for (size_t size = inputs[i].size_bytes <= PREFIX_BYTES_MAX ? 0 : inputs[i].size_bytes;
             size <= inputs[i].size_bytes; size++, runs++)
            run(inputs[i].data, size);
    for (unsigned long i = 0; i < count; i++, runs++) {
        const struct input *input = &inputs[test_random_below(&random, input_count)];
        size_t size = input->size_bytes;
        memcpy(data, input->data, size);
        for (uint64_t changes = 1 + test_random_below(&random, 4); changes > 0; changes--)
            size = mutate(&random, data, size);
        run(data, size);
    }
    printf("%u inputs, %lu runs\n", input_count, runs);
    return 0;
}
