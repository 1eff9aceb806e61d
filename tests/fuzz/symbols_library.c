/* A small library with functions, inlined calls and lines: the seed of fuzz_symbols. */
int heapline_seed_one(int value);
int heapline_seed_two(int value);

static volatile int kept;

__attribute__((always_inline)) static inline int inlined(int value)
{
    for (int i = 0; i < value; i++)
        kept += i;
    return kept;
}

int heapline_seed_one(int value)
{
    return inlined(value) + inlined(value + 1);
}

int heapline_seed_two(int value)
{
    return heapline_seed_one(value) + inlined(2);
}
