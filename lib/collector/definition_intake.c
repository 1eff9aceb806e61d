/* See definition_intake.h. */
#include "definition_intake.h"

#include <stdlib.h>
#include <string.h>

#include "futex.h"
#include "trace_format.h"

#define MAX_NUMBER (1u << 30)
/* Numbers count up. So many may be lost in a row, which is all the stacks that a target can keep; what lies further on is no number, but what
 * somebody wrote over one. */
#define MAX_GAP (8u << 20)
#define THREAD_NAME_BYTES 32

struct unfinished_code {
    struct unfinished_code *next;
    struct define_code define;
    uint32_t table_filled;
    uint8_t bytes[]; /* file, name, table */
};

struct known_thread {
    struct known_thread *next; /* of the same slot, an earlier generation */
    uint32_t generation;
    uint32_t trace_id, kernel_id;
    uint32_t name_bytes;
    char name[THREAD_NAME_BYTES];
};

void definition_intake_init(struct definition_intake *intake, struct trace_writer *writer)
{
    *intake = (struct definition_intake){.writer = writer};
}

static void forget_unfinished(struct definition_intake *intake)
{
    for (struct unfinished_code *next; intake->unfinished; intake->unfinished = next) {
        next = intake->unfinished->next;
        free(intake->unfinished);
    }
}

static void free_threads(struct known_thread *first)
{
    for (struct known_thread *next; first; first = next) {
        next = first->next;
        free(first);
    }
}

static void forget_threads(struct definition_intake *intake)
{
    for (uint32_t slot = 0; slot < SESSION_MAX_THREADS; slot++) {
        free_threads(intake->threads[slot]);
        intake->threads[slot] = NULL;
    }
}

void definition_intake_done(struct definition_intake *intake)
{
    forget_unfinished(intake);
    forget_threads(intake);
    free(intake->stacks.numbers);
    free(intake->codes.numbers);
    free(intake->modules.numbers);
    free(intake->load_bias);
}

void definition_intake_move(struct definition_intake *intake, struct trace_writer *writer)
{
    intake->writer = writer;
    /* Whoever was writing them is not in the child; and its slots begin anew. */
    forget_unfinished(intake);
    forget_threads(intake);
}

void definition_intake_continue(struct definition_intake *intake, struct trace_writer *writer)
{
    intake->writer = writer;
}

/* ---- numbers ---- */

static int map_set(struct number_map *map, uint32_t from, uint32_t to)
{
    if (from >= MAX_NUMBER || from > map->capacity + MAX_GAP)
        return 0;
    if (from >= map->capacity) {
        uint32_t capacity = map->capacity ? map->capacity : 256;
        while (capacity <= from)
            capacity *= 2;
        uint32_t *numbers = calloc(capacity, sizeof *numbers); /* large ones take memory only where something is set */
        if (!numbers)
            return 0;
        if (map->numbers)
            memcpy(numbers, map->numbers, (size_t)map->capacity * sizeof *numbers);
        free(map->numbers);
        map->numbers = numbers;
        map->capacity = capacity;
    }
    map->numbers[from] = to;
    return 1;
}

static uint32_t map_get(const struct number_map *map, uint32_t from)
{
    return from < map->capacity ? map->numbers[from] : 0;
}

uint32_t definition_intake_renumbered_stack(const struct definition_intake *intake, uint32_t stack_id)
{
    return intake->stacks_renumbered ? map_get(&intake->stacks, stack_id) : 0;
}

/* The session's number means the trace's newest stack. Without memory for the map it will mean the empty one. */
static void number_stack(struct definition_intake *intake, uint32_t node_id)
{
    uint32_t number = ++intake->stack_count;
    if (!intake->stacks_renumbered && node_id == number)
        return;
    if (!intake->stacks_renumbered) {
        intake->stacks_renumbered = 1;
        /* Highest first, so that the map grows once. */
        for (uint32_t same = number - 1; same > 0; same--)
            map_set(&intake->stacks, same, same);
    }
    map_set(&intake->stacks, node_id, number);
}

static int define_in_trace(struct definition_intake *intake, const struct trace_definition *definition)
{
    return trace_writer_define(intake->writer, definition) == 0;
}

/* ---- code objects ---- */

static void define_code(struct definition_intake *intake, const struct unfinished_code *code)
{
    const struct define_code *define = &code->define;
    struct trace_definition definition = {.kind = TRACE_DEFINE_CODE};
    definition.code.code_id = intake->code_count + 1;
    definition.code.first_line = define->first_line;
    definition.code.python_version = define->python_version;
    definition.code.file = (const char *)code->bytes;
    definition.code.file_bytes = define->file_bytes;
    definition.code.name = definition.code.file + define->file_bytes;
    definition.code.name_bytes = define->name_bytes;
    definition.code.line_table = code->bytes + define->file_bytes + define->name_bytes;
    definition.code.line_table_bytes = define->table_bytes;
    if (define_in_trace(intake, &definition))
        map_set(&intake->codes, define->code_id, ++intake->code_count);
}

static int take_code(struct definition_intake *intake, const struct define_code *define, size_t bytes)
{
    uint64_t text_bytes = (uint64_t)define->file_bytes + define->name_bytes;
    if (bytes < sizeof *define || text_bytes > bytes - sizeof *define)
        return 0;
    uint32_t table_bytes = define->table_bytes <= TRACE_MAX_TABLE_BYTES ? define->table_bytes : 0; /* the trace would leave it out */
    struct unfinished_code *code = calloc(1, sizeof *code + text_bytes + table_bytes);
    if (!code)
        return 0;
    code->define = *define;
    code->define.table_bytes = table_bytes;
    memcpy(code->bytes, define + 1, text_bytes);
    if (table_bytes == 0) {
        define_code(intake, code);
        free(code);
    } else {
        code->next = intake->unfinished;
        intake->unfinished = code;
    }
    return 1;
}

static int take_code_table(struct definition_intake *intake, const struct define_code_table *piece, size_t bytes)
{
    struct unfinished_code **link = &intake->unfinished;
    while (*link && (*link)->define.code_id != piece->code_id)
        link = &(*link)->next;
    struct unfinished_code *code = *link;
    if (!code || bytes < sizeof *piece)
        return 0;
    const struct define_code *define = &code->define;
    size_t piece_bytes = bytes - sizeof *piece;
    if (piece->offset > define->table_bytes || piece_bytes > define->table_bytes - piece->offset)
        return 0;
    memcpy(code->bytes + define->file_bytes + define->name_bytes + piece->offset, piece + 1, piece_bytes);
    code->table_filled += (uint32_t)piece_bytes;
    if (code->table_filled >= define->table_bytes) {
        *link = code->next;
        define_code(intake, code);
        free(code);
    }
    return 1;
}

/* ---- stacks and modules ---- */

static int take_node(struct definition_intake *intake, const struct define_node *node, size_t bytes)
{
    if (bytes < sizeof *node || node->node_id == 0)
        return 0;
    struct trace_definition definition = {.kind = TRACE_DEFINE_NODE};
    definition.node.caller_id = definition_intake_stack(intake, node->parent_id);
    if (node->code_id == DEFINE_NODE_CUT) {
        definition.node.frame_kind = TRACE_FRAME_CUT;
    } else if (node->code_id) {
        definition.node.code_id = map_get(&intake->codes, node->code_id);
        definition.node.frame_kind = definition.node.code_id ? TRACE_FRAME_PYTHON : TRACE_FRAME_CUT;
        definition.node.instruction = definition.node.code_id ? node->instruction : 0;
    } else {
        definition.node.frame_kind = TRACE_FRAME_NATIVE;
        definition.node.module_id = map_get(&intake->modules, node->module_id);
        definition.node.address = node->address - (definition.node.module_id ? intake->load_bias[definition.node.module_id] : 0);
    }
    definition.node.stack_id = intake->stack_count + 1;
    if (!define_in_trace(intake, &definition))
        return 0;
    number_stack(intake, node->node_id);
    return 1;
}

static int keep_load_bias(struct definition_intake *intake, uint32_t module_id, uint64_t load_bias)
{
    if (module_id >= intake->load_bias_capacity) {
        uint32_t capacity = intake->load_bias_capacity ? 2 * intake->load_bias_capacity : 64;
        uint64_t *grown = realloc(intake->load_bias, capacity * sizeof *grown);
        if (!grown)
            return 0;
        intake->load_bias = grown;
        intake->load_bias_capacity = capacity;
    }
    intake->load_bias[module_id] = load_bias;
    return 1;
}

static int take_module(struct definition_intake *intake, const struct define_module *module, size_t bytes)
{
    if (bytes < sizeof *module || (uint64_t)module->build_id_bytes + module->path_bytes > bytes - sizeof *module ||
        !keep_load_bias(intake, intake->module_count + 1, module->load_bias))
        return 0;
    struct trace_definition definition = {.kind = TRACE_DEFINE_MODULE};
    definition.module.module_id = intake->module_count + 1;
    definition.module.load_bias = module->load_bias;
    definition.module.start = module->start;
    definition.module.end = module->end;
    definition.module.build_id = (const uint8_t *)(module + 1);
    definition.module.build_id_bytes = module->build_id_bytes;
    definition.module.path = (const char *)(module + 1) + module->build_id_bytes;
    definition.module.path_bytes = module->path_bytes;
    return define_in_trace(intake, &definition) && map_set(&intake->modules, module->module_id, ++intake->module_count);
}

/* ---- threads ---- */

static int define_thread(struct definition_intake *intake, const struct known_thread *thread)
{
    struct trace_definition definition = {.kind = TRACE_DEFINE_THREAD};
    definition.thread.thread_id = thread->trace_id;
    definition.thread.kernel_id = thread->kernel_id;
    definition.thread.name = thread->name;
    definition.thread.name_bytes = thread->name_bytes;
    return define_in_trace(intake, &definition);
}

static void rename_thread(struct definition_intake *intake, struct known_thread *thread, const char *name, uint32_t name_bytes)
{
    if (name_bytes > THREAD_NAME_BYTES)
        name_bytes = THREAD_NAME_BYTES;
    if (thread->name_bytes == name_bytes && memcmp(thread->name, name, name_bytes) == 0)
        return;
    memcpy(thread->name, name, name_bytes);
    thread->name_bytes = name_bytes;
    define_thread(intake, thread);
}

/* Where the thread of this generation is linked, or is to be linked: generations go down along the list. */
static struct known_thread **thread_link(struct definition_intake *intake, uint32_t slot, uint32_t generation)
{
    struct known_thread **link = &intake->threads[slot];
    while (*link && (*link)->generation > generation)
        link = &(*link)->next;
    return link;
}

static struct known_thread *add_thread(struct definition_intake *intake, struct known_thread **link, const struct define_thread *define,
                                       const char *name)
{
    struct known_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return NULL;
    thread->generation = define->generation;
    thread->kernel_id = define->thread_id;
    thread->trace_id = intake->thread_count + 1;
    thread->name_bytes = define->name_bytes < THREAD_NAME_BYTES ? define->name_bytes : THREAD_NAME_BYTES;
    memcpy(thread->name, name, thread->name_bytes);
    if (!define_thread(intake, thread)) {
        free(thread);
        return NULL;
    }
    intake->thread_count++;
    intake->nameless_threads += thread->name_bytes == 0;
    thread->next = *link;
    *link = thread;
    return thread;
}

static int take_thread(struct definition_intake *intake, const struct define_thread *define, size_t bytes)
{
    if (bytes < sizeof *define || define->name_bytes > bytes - sizeof *define || define->slot >= SESSION_MAX_THREADS)
        return 0;
    const char *name = (const char *)(define + 1);
    struct known_thread **link = thread_link(intake, define->slot, define->generation);
    if (!*link || (*link)->generation != define->generation)
        return add_thread(intake, link, define, name) != NULL;
    rename_thread(intake, *link, name, define->name_bytes);
    return 1;
}

uint32_t definition_intake_thread(struct definition_intake *intake, uint32_t slot, uint32_t generation, uint32_t kernel_id)
{
    struct known_thread **link = thread_link(intake, slot, generation), *thread = *link;
    if (!thread || thread->generation != generation)
        thread = add_thread(intake, link, &(struct define_thread){.generation = generation, .thread_id = kernel_id}, "");
    if (!thread)
        return 0;
    /* Its first event is about to be taken: nobody will ask for those before it again. */
    free_threads(thread->next);
    thread->next = NULL;
    return thread->trace_id;
}

void definition_intake_rename(struct definition_intake *intake, uint32_t slot, uint32_t generation, const char *name, uint32_t name_bytes)
{
    if (intake->threads[slot] && intake->threads[slot]->generation == generation)
        rename_thread(intake, intake->threads[slot], name, name_bytes);
}

/* ---- the ring ---- */

static int take_record(struct definition_intake *intake, const struct definition *record)
{
    const void *fixed = record + 1;
    size_t bytes = record->bytes - sizeof *record;
    switch ((enum definition_type)record->type) {
    case DEFINE_PAD:
        return 1;
    case DEFINE_CODE:
        return take_code(intake, fixed, bytes);
    case DEFINE_CODE_TABLE:
        return take_code_table(intake, fixed, bytes);
    case DEFINE_NODE:
        return take_node(intake, fixed, bytes);
    case DEFINE_MODULE:
        return take_module(intake, fixed, bytes);
    case DEFINE_THREAD:
        return take_thread(intake, fixed, bytes);
    }
    return 0;
}

void definition_intake_take(struct definition_intake *intake, struct session_header *session, uint64_t head)
{
    const char *ring = (const char *)session + SESSION_DEFINITIONS_OFFSET;
    uint64_t tail = atomic_load_explicit(&session->definition_tail, memory_order_relaxed);
    if (tail == head)
        return;
    while (tail < head) {
        uint64_t offset = tail % SESSION_DEFINITION_BYTES;
        const struct definition *record = (const struct definition *)(ring + offset);
        uint64_t rounded = ((uint64_t)record->bytes + 7) & ~7ull;
        if (record->bytes < sizeof *record || rounded > SESSION_DEFINITION_BYTES - offset || rounded > head - tail) {
            intake->refused++; /* without its length there is no next record either */
            tail = head;
            break;
        }
        intake->refused += !take_record(intake, record);
        tail += rounded;
    }
    atomic_store_explicit(&session->definition_tail, tail, memory_order_release);
    atomic_fetch_add(&session->definition_futex, 1);
    futex_wake(&session->definition_futex, 64);
}
