/* What the least sampler (pass_through.c) does at an event: counts down what is asked for to the next sampling point, and asks at an end whether the
 * block may be a sampled one. Nothing is ever noted: that costs next to nothing, as it happens once in half a megabyte. */
#include <stdint.h>

#define SAMPLING_BYTES (512u << 10)
#define FILTER_BITS 15 /* 4 KiB: stays in the innermost cache */

static __thread __attribute__((tls_model("initial-exec"))) struct {
    uint64_t block_bytes, copy_bytes; /* to the next points */
} left_to;

static volatile uint32_t filter[(1 << FILTER_BITS) / 32];
static volatile unsigned samples, ends;

static __attribute__((noinline)) void sample(uint64_t *left)
{
    samples++;
    *left = SAMPLING_BYTES;
}

static inline void count_down(uint64_t *left, uint64_t bytes)
{
    if (__builtin_expect(bytes < *left, 1))
        *left -= bytes;
    else
        sample(left);
}

static __attribute__((noinline)) void end_sampled(void)
{
    ends++;
}

#define note_request(bytes) count_down(&left_to.block_bytes, bytes)
#define note_copy(bytes) count_down(&left_to.copy_bytes, bytes)

static inline void note_deallocation(const void *block)
{
    uint32_t bit = (uint32_t)((uint64_t)block >> 4) & ((1u << FILTER_BITS) - 1);
    if (__builtin_expect(filter[bit / 32] >> bit % 32 & 1, 0))
        end_sampled();
}
