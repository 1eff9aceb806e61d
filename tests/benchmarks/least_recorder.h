/* What the least recorder (pass_through.c) notes of an event. Python stacks of CPython 3.11 only: in another interpreter it notes none. */
#include <stdint.h>

#define BUFFER_WORDS 4096u /* 32 KiB: stays in the innermost cache */
#define STACK_BITS 16

/* Of a program without Python: to know that a stack is the one it was, each of its return addresses must be looked at. As many words as the
 * stacks of the sqlite3 shell and of the C++ trees have frames, at a fixed distance: where the return addresses really are is another question. */
#define NATIVE_FRAMES 16
#define NATIVE_FRAME_WORDS 8

/* Of programs whose threads allocate side by side each event's time, without which nobody could tell what came first, and so no peak. A deallocation's
 * is read in order: else it may be earlier than that of the block's allocation by another thread. */
#define THREAD_CHANGES 100 /* so many until they are taken for such */

static __thread __attribute__((tls_model("initial-exec"))) struct {
    uint64_t words[BUFFER_WORDS];
    unsigned position;
} noted;

static uint64_t noted_stacks[1 << STACK_BITS];

static void *last_thread = ""; /* its `noted`; NULL: threads allocate side by side */
static unsigned thread_changes;

static void *(*current_state)(void); /* NULL: no interpreter, or another one */

static inline uint64_t read_word(uint64_t from, unsigned offset)
{
    return *(const uint64_t __attribute__((may_alias)) *)(from + offset);
}

static inline void note_word(uint64_t word)
{
    noted.words[noted.position] = word;
    noted.position = (noted.position + 2) & (BUFFER_WORDS - 2);
}

/* Not among those that were noted lately? */
static inline int is_new_stack(uint64_t sum)
{
    uint64_t *slot = &noted_stacks[sum * 0x9E3779B97F4A7C15ull >> (64 - STACK_BITS)];
    int is_new = *slot != sum;
    *slot = sum;
    return is_new;
}

static inline uint32_t python_stack(void)
{
    uint64_t state = current_state ? (uint64_t)current_state() : 0, sum = 0;
    for (uint64_t frame = state ? read_word(read_word(state, 56), 8) : 0; frame; frame = read_word(frame, 48))
        sum += read_word(frame, 56);
    if (state && is_new_stack(sum))
        for (uint64_t frame = read_word(read_word(state, 56), 8); frame; frame = read_word(frame, 48))
            note_word(read_word(frame, 56));
    return (uint32_t)sum;
}

static inline uint32_t native_stack(const uint64_t *frame)
{
    uint64_t sum = 0;
    if (current_state)
        return 0;
    for (int i = 0; i < NATIVE_FRAMES; i++)
        sum += frame[1 + i * NATIVE_FRAME_WORDS];
    if (is_new_stack(sum))
        for (int i = 0; i < NATIVE_FRAMES; i++)
            note_word(frame[1 + i * NATIVE_FRAME_WORDS]);
    return (uint32_t)sum;
}

static __attribute__((noinline)) void note_time(int is_in_order)
{
    void *last = last_thread;
    if (last)
        last_thread = ++thread_changes < THREAD_CHANGES ? (void *)&noted : NULL;
    if (is_in_order)
        __builtin_ia32_lfence();
    noted.words[noted.position] = __builtin_ia32_rdtsc();
    noted.position = (noted.position + 2) & (BUFFER_WORDS - 2);
}

static inline void note_order(int is_in_order)
{
    if (last_thread != (void *)&noted)
        note_time(is_in_order);
}

static inline void note_allocation(const void *block, uint64_t bytes, uint32_t stack)
{
    note_order(0);
    uint64_t *words = &noted.words[noted.position];
    words[0] = (uint64_t)block;
    words[1] = bytes << 32 | stack;
    noted.position = (noted.position + 2) & (BUFFER_WORDS - 2);
}

static inline void note_deallocation(const void *block)
{
    note_order(1);
    note_word((uint64_t)block);
}

static inline void note_copy(uint64_t bytes)
{
    if (bytes < 32)
        return;
    note_order(0);
    note_word(bytes);
}

static void find_frames(void)
{
    const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "Py_GetVersion");
    if (version && !strncmp(version(), "3.11.", 5))
        current_state = (void *(*)(void))dlsym(RTLD_DEFAULT, "_PyThreadState_UncheckedGet");
}
