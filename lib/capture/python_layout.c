/* Consumes what an interpreter says of itself (version text, published offsets), produces the layout to read it by, or a refusal.
 * Runs once per process, and once more when the first Python frame is seen. */
#include "python_layout.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define X(index, initializer) [index] = initializer,
const struct python_layout python_layouts[PYTHON_LAYOUT_COUNT] = {PYTHON_LAYOUTS(X)};
#undef X

#define MAX_CHECKED_FRAMES 64

/* Where _Py_DebugOffsets keeps what we need, in 64-bit words from its start: pycore_runtime.h (3.13), pycore_debug_offsets.h (3.14, 3.15).
 * The frame's words begin with size, previous, executable, instr_ptr, localsplus, owner;
 * the code's with size, filename, name, qualname, linetable, firstlineno, then three others, then co_code_adaptive. */
struct published_words {
    uint32_t version;
    uint8_t current_frame, thread_id, frame, code, ascii_bytes;
};

static const struct published_words published[] = {
    {0x030d, 23, 24, 28, 34, 70},
    {0x030e, 26, 27, 31, 39, 80},
    {0x030f, 26, 30, 39, 47, 92},
};

enum { WORD_VERSION = 1, WORD_FREE_THREADED = 2 };

static uint32_t parse_version(const char *text)
{
    uint32_t parts[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        for (; *text >= '0' && *text <= '9'; text++)
            parts[i] = parts[i] * 10 + (uint32_t)(*text - '0');
        if (i == 0 && *text++ != '.')
            return 0;
    }
    return parts[0] < 256 && parts[1] < 256 ? parts[0] << 8 | parts[1] : 0;
}

static const struct published_words *find_published(uint32_t version)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(published); i++)
        if (published[i].version == version)
            return &published[i];
    return NULL;
}

static int plausible(uint64_t offset)
{
    return offset < 4096;
}

/* Replaces what the interpreter publishes; the rest (widths and tags) belongs to the version. 0: it publishes nonsense. */
static int take_published(struct python_layout *layout, const uint64_t *words, const struct published_words *at)
{
    const uint64_t *frame = words + at->frame, *code = words + at->code;
    const uint64_t taken[] = {words[at->current_frame], words[at->thread_id], frame[1], frame[2], frame[3], frame[5],
                              code[1], code[3], code[4], code[5], code[9], words[at->ascii_bytes]};
    for (unsigned i = 0; i < ARRAY_LENGTH(taken); i++)
        if (!plausible(taken[i]))
            return 0;
    layout->state_frame = (int16_t)taken[0];
    layout->state_thread_id = (int16_t)taken[1];
    layout->frame_previous = (int16_t)taken[2];
    layout->frame_code = (int16_t)taken[3];
    layout->frame_instruction = (int16_t)taken[4];
    layout->frame_owner = (int16_t)taken[5];
    layout->code_file = (int16_t)taken[6];
    layout->code_name = (int16_t)taken[7];
    layout->code_table = (int16_t)taken[8];
    layout->code_first_line = (int16_t)taken[9];
    layout->code_units = (int16_t)taken[10];
    layout->text_ascii = (int16_t)taken[11];
    return 1;
}

enum python_layout_status python_layout_choose(const char *version_text, const void *runtime, uint32_t *ret_version,
                                               struct python_layout *ret_layout, unsigned *ret_index)
{
    uint32_t version = parse_version(version_text);
    unsigned index = 0;
    if (!version)
        return PYTHON_LAYOUT_UNKNOWN;
    *ret_version = version;
    if (strstr(version_text, "free-threading"))
        return PYTHON_LAYOUT_FREE_THREADED;
    while (index < PYTHON_LAYOUT_COUNT && python_layouts[index].version != version)
        index++;
    if (index == PYTHON_LAYOUT_COUNT)
        return PYTHON_LAYOUT_UNKNOWN;
    struct python_layout layout = python_layouts[index];
    const struct published_words *at = find_published(version);
    const uint64_t *words = runtime;
    if (at) {
        if (!words || memcmp(words, "xdebugpy", 8) || words[WORD_VERSION] >> 16 != version)
            return PYTHON_LAYOUT_UNKNOWN;
        if (words[WORD_FREE_THREADED])
            return PYTHON_LAYOUT_FREE_THREADED;
        if (!take_published(&layout, words, at))
            return PYTHON_LAYOUT_UNKNOWN;
    }
    *ret_index = memcmp(&layout, &python_layouts[index], sizeof layout) ? PYTHON_LAYOUT_OTHER : index;
    *ret_layout = layout;
    return PYTHON_LAYOUT_KNOWN;
}

/* 1: read; 0: not readable. Where the kernel forbids the call itself (seccomp) the address is trusted. */
static int read_safely(uint64_t address, void *to, size_t bytes)
{
    static int forbidden;
    struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)address, bytes};
    if (!forbidden) {
        long count = syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0);
        if (count == (long)bytes)
            return 1;
        uint64_t probe, source = 0;
        local = (struct iovec){&probe, sizeof probe};
        remote = (struct iovec){&source, sizeof source};
        if (syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0) == (long)sizeof probe)
            return 0;
        forbidden = 1;
    }
    memcpy(to, (const void *)(uintptr_t)address, bytes);
    return 1;
}

static int read_word(uint64_t object, int offset, uint64_t *ret_word)
{
    return read_safely(object + (uint64_t)offset, ret_word, sizeof *ret_word);
}

static int is_program_frame(const struct python_layout *layout, uint64_t frame, int *ret_answer)
{
    uint8_t owner = 0;
    if (layout->frame_owner != PYTHON_NONE && !read_safely(frame + (uint64_t)layout->frame_owner, &owner, 1))
        return 0;
    *ret_answer = owner < PYTHON_OWNER_INTERPRETER;
    return 1;
}

static int frame_fits(const struct python_layout *layout, uint64_t frame, uint64_t code_type)
{
    uint64_t code, type, name, file, table;
    int is_program;
    if (!is_program_frame(layout, frame, &is_program))
        return 0;
    if (!is_program)
        return 1;
    return read_word(frame, layout->frame_code, &code) && read_word(code & ~PYTHON_TAG_MASK, PYTHON_OBJECT_TYPE, &type) &&
           type == code_type && read_word(code & ~PYTHON_TAG_MASK, layout->code_name, &name) && read_word(name, 0, &name) &&
           read_word(code & ~PYTHON_TAG_MASK, layout->code_file, &file) && read_word(file, 0, &file) &&
           read_word(code & ~PYTHON_TAG_MASK, layout->code_table, &table) && read_word(table, 0, &table);
}

int python_layout_fits(const struct python_layout *layout, const void *state, const void *code_type)
{
    uint64_t frame;
    if (!read_word((uintptr_t)state, layout->state_frame, &frame))
        return 0;
    if (layout->cframe_frame != PYTHON_NONE && !read_word(frame, layout->cframe_frame, &frame))
        return 0;
    for (int i = 0; frame && i < MAX_CHECKED_FRAMES; i++)
        if (!frame_fits(layout, frame, (uintptr_t)code_type) || !read_word(frame, layout->frame_previous, &frame))
            return 0;
    return 1;
}
