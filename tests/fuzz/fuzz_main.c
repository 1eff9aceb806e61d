/* Runs a fuzz target without libFuzzer, so that every compiler can: over files, or over its seeds, which are mutated at random, the same way
 * every time.
 *
 *     fuzz_… FILE …                           each file once
 *     fuzz_… --mutate COUNT [SEED [FILE …]]   so many mutations of each seed; files are seeds as well
 *     fuzz_… --seeds DIRECTORY                write its own seeds, as a corpus for libFuzzer */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fuzz.h"

#define MAX_SEEDS 200

struct bytes {
    uint8_t *bytes;
    size_t count;
};

static struct bytes seeds[MAX_SEEDS];
static size_t seed_count;

void fuzz_add_seed(const uint8_t *bytes, size_t count)
{
    if (seed_count == MAX_SEEDS)
        return;
    struct bytes *seed = &seeds[seed_count++];
    seed->bytes = malloc(count + 1);
    CHECK(seed->bytes);
    memcpy(seed->bytes, bytes, count);
    seed->count = count;
}

static struct bytes read_all(int file)
{
    struct stat status;
    CHECK(fstat(file, &status) == 0);
    struct bytes all = {malloc((size_t)status.st_size + 1), (size_t)status.st_size};
    CHECK(all.bytes && pread(file, all.bytes, all.count, 0) == (ssize_t)all.count);
    return all;
}

static size_t mutate(uint8_t *bytes, size_t count, uint64_t *random)
{
    for (uint64_t rounds = 1 + check_random(random) % 4; rounds && count; rounds--) {
        size_t at = check_random(random) % count;
        switch (check_random(random) % 6) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << check_random(random) % 8);
            break;
        case 1:
            bytes[at] = (uint8_t)check_random(random);
            break;
        case 2:
            bytes[at] = check_random(random) & 1 ? 0xff : 0;
            break;
        case 3: /* a piece from elsewhere */
            memmove(bytes + at, bytes + check_random(random) % count / 2, (count - at) / 2);
            break;
        case 4: /* a piece is left out */
            memmove(bytes + at, bytes + at + 1, count - at - 1);
            count--;
            break;
        case 5:
            if (check_random(random) % 8 == 0)
                count = at;
            break;
        }
    }
    return count;
}

static void run_mutations(uint64_t count, uint64_t seed)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
    for (size_t i = 0; i < seed_count; i++) {
        LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].count);
        uint8_t *bytes = malloc(seeds[i].count + 1);
        CHECK(bytes);
        for (uint64_t round = 0; round < count; round++) {
            memcpy(bytes, seeds[i].bytes, seeds[i].count);
            LLVMFuzzerTestOneInput(bytes, mutate(bytes, seeds[i].count, &random));
        }
        free(bytes);
    }
}

static void write_seeds(const char *directory)
{
    for (size_t i = 0; i < seed_count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/seed-%03zu", directory, i);
        FILE *file = fopen(path, "wb");
        CHECK(file && fwrite(seeds[i].bytes, 1, seeds[i].count, file) == seeds[i].count && fclose(file) == 0);
    }
}

static void on_file(const char *path, int (*use)(const uint8_t *, size_t))
{
    FILE *file = fopen(path, "rb");
    CHECK(file);
    struct bytes all = read_all(fileno(file));
    use(all.bytes, all.count);
    free(all.bytes);
    fclose(file);
}

static int add_file(const uint8_t *bytes, size_t count)
{
    fuzz_add_seed(bytes, count);
    return 0;
}

int main(int count, char **arguments)
{
    if (count >= 3 && strcmp(arguments[1], "--mutate") == 0) {
        fuzz_make_seeds();
        for (int i = 4; i < count; i++)
            on_file(arguments[i], add_file);
        run_mutations(strtoull(arguments[2], NULL, 10), count > 3 ? strtoull(arguments[3], NULL, 10) : 1);
    } else if (count == 3 && strcmp(arguments[1], "--seeds") == 0) {
        fuzz_make_seeds();
        write_seeds(arguments[2]);
    } else {
        for (int i = 1; i < count; i++)
            on_file(arguments[i], LLVMFuzzerTestOneInput);
    }
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return 0;
}
