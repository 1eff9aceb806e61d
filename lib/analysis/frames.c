/* From places to frames (frames.h).
 *
 * Places are sorted by owner first: native modules are then opened one after the other, each for all its addresses, so that only one
 * module's debug information is in memory at a time. */
#include "frames.h"

#include <stdio.h>

#include "array.h"
#include "line_table.h"
#include "status.h"
#include "symbol_bundle.h"
#include "tag_file.h"

struct owned_place {
    uint64_t position;
    uint32_t owner_id, place_id;
};

static int same_frame(const struct frame *a, const struct frame *b)
{
    return a->function == b->function && a->file == b->file && a->module == b->module && a->line == b->line && a->kind == b->kind;
}

static uint64_t hash_frame(const struct frame *frame)
{
    uint64_t hash = hash_number((uintptr_t)frame->function);
    hash = hash_combine(hash, (uintptr_t)frame->file);
    hash = hash_combine(hash, (uintptr_t)frame->module);
    return hash_combine(hash, (uint64_t)(uint32_t)frame->line << 8 | frame->kind);
}

static int grow_index(struct frame_table *table)
{
    size_t capacity = table->index_capacity ? table->index_capacity * 2 : 1024;
    uint32_t *index = calloc(capacity, sizeof *index);
    if (!index)
        return 0;
    for (uint32_t id = 1; id < table->frame_count; id++) {
        size_t place = hash_frame(&table->frames[id]) & (capacity - 1);
        while (index[place])
            place = (place + 1) & (capacity - 1);
        index[place] = id;
    }
    free(table->index);
    table->index = index;
    table->index_capacity = capacity;
    return 1;
}

/* The number of a frame whose strings are interned. 0 without memory. */
static uint32_t intern_frame(struct frame_table *table, const struct frame *frame)
{
    if ((size_t)table->frame_count * 2 >= table->index_capacity && !grow_index(table))
        return 0;
    size_t mask = table->index_capacity - 1, place = hash_frame(frame) & mask;
    for (; table->index[place]; place = (place + 1) & mask)
        if (same_frame(&table->frames[table->index[place]], frame))
            return table->index[place];
    if (!ARRAY_RESERVE(table->frames, table->frame_capacity, table->frame_count + (size_t)1))
        return 0;
    table->frames[table->frame_count] = *frame;
    return table->index[place] = table->frame_count++;
}

static const char *intern_text(struct frame_table *table, const char *text)
{
    return string_pool_intern(&table->strings, text, strlen(text));
}

static uint32_t intern_label(struct frame_table *table, const char *label, enum trace_frame_kind kind)
{
    struct frame frame = {.function = intern_text(table, label), .kind = (uint8_t)kind, .origin = FRAME_SYSTEM};
    return frame.function ? intern_frame(table, &frame) : 0;
}

/* From 3.13 on, calls of a class run below a frame of the interpreter's own making, which has no source. */
static int is_interpreter_shim(const struct code_definition *code, int32_t line)
{
    return !line && !strcmp(code->file, "__init__") && !strcmp(code->name, "__init__");
}

static int is_tag(const struct code_definition *code)
{
    return !code->python_version && !strcmp(code->file, TAG_FILE);
}

/* By path; what looks like the user's own may have been installed. */
static uint8_t origin_of(struct frame_table *table, enum frame_origin judged, const char *path)
{
    int is_own = judged == FRAME_USER || judged == FRAME_OF_NATIVE;
    return (uint8_t)(is_own && installed_packages_have(&table->installed, table->sysroot, path) ? FRAME_PACKAGE : judged);
}

/* `label`: what a function without a name is called. 0 without memory. */
static uint32_t native_frame(struct frame_table *table, const struct symbol *symbol, const char *module_path, const char *label)
{
    struct frame frame = {
        .function = intern_text(table, symbol->function ? symbol->function : label),
        .file = symbol->file ? intern_text(table, symbol->file) : NULL,
        .module = module_path ? intern_text(table, module_path) : NULL,
        .line = symbol->line,
        .kind = TRACE_FRAME_NATIVE,
        .origin = symbol->is_system ? FRAME_SYSTEM : module_path ? origin_of(table, frame_origin_of_module(module_path), module_path) : FRAME_OF_NATIVE,
    };
    if (!frame.function || (module_path && !frame.module) || (symbol->file && !frame.file))
        return 0;
    return intern_frame(table, &frame);
}

/* A place that only inlining knows. */
static uint32_t add_place(struct frame_table *table, uint32_t frame_id)
{
    size_t frame_capacity = table->place_capacity, outer_capacity = table->place_capacity, needed = table->place_count + (size_t)1;
    int enough = ARRAY_RESERVE(table->place_frames, frame_capacity, needed) && ARRAY_RESERVE(table->outer_places, outer_capacity, needed);
    if (!enough)
        return 0;
    table->place_capacity = frame_capacity;
    table->place_frames[table->place_count] = frame_id;
    return table->place_count++;
}

/* Where a module's symbols come from: what the trace brings along, or its files. */
struct module_symbols {
    const struct symbol_bundle *bundle; /* NULL: not from there */
    struct symbolizer *symbolizer;      /* NULL: not from there either */
};

static size_t find_symbols(const struct module_symbols *from, const struct owned_place *place, const struct symbol **ret_symbols)
{
    if (from->bundle)
        return symbol_bundle_find(from->bundle, place->owner_id, place->position, ret_symbols);
    return from->symbolizer ? symbolizer_find(from->symbolizer, place->position ? place->position - 1 : 0, ret_symbols) : 0;
}

/* Of the functions that an address is in, the one to show where there is room for one. */
static const struct symbol *single_symbol(const struct symbol *symbols, size_t count)
{
    size_t i = 0;
    while (i + 1 < count && symbols[i].is_system)
        i++;
    return &symbols[i];
}

/* The frames of a native place: its own, and of those that it was inlined into a place each. */
static int resolve_address(struct frame_table *table, const struct module_symbols *from, const char *module_path,
                           const struct owned_place *place)
{
    static const struct symbol nothing;
    const struct symbol *symbols = &nothing;
    const char *slash = module_path ? strrchr(module_path, '/') : NULL;
    uint32_t inner_id = place->place_id;
    char label[512];
    size_t count = find_symbols(from, place, &symbols);
    if (!count) {
        symbols = &nothing;
        count = 1;
    } else if (table->is_growing) {
        symbols = single_symbol(symbols, count);
        count = 1;
    }
    snprintf(label, sizeof label, "%.400s+0x%llx", slash ? slash + 1 : module_path ? module_path : "unknown module",
             (unsigned long long)place->position);
    for (size_t i = 0; i < count; i++) {
        uint32_t frame_id = native_frame(table, &symbols[i], module_path, label), place_id = inner_id;
        if (!frame_id || (i && !(place_id = add_place(table, frame_id))))
            return STATUS_NO_MEMORY;
        if (i)
            table->outer_places[inner_id] = place_id;
        table->place_frames[place_id] = frame_id;
        inner_id = place_id;
    }
    return STATUS_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct owned_place *left = a, *right = b;
    if (left->owner_id != right->owner_id)
        return left->owner_id < right->owner_id ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

/* All places of a kind from `first_id` on, sorted by owner and position. */
static int list_places(const struct place_table *table, uint32_t first_id, enum trace_frame_kind kind, struct owned_place **ret_places,
                       size_t *ret_count)
{
    size_t count = 0;
    struct owned_place *places = malloc((table->place_count - first_id + 1) * sizeof *places);
    if (!places)
        return STATUS_NO_MEMORY;
    for (uint32_t id = first_id; id < table->place_count; id++)
        if (table->places[id].kind == kind)
            places[count++] = (struct owned_place){table->places[id].position, table->places[id].owner_id, id};
    qsort(places, count, sizeof *places, compare_places);
    *ret_places = places;
    *ret_count = count;
    return STATUS_OK;
}

/* All places of one code object; `places` begins with its first. */
static int resolve_code(struct frame_table *table, const struct code_definition *code, const struct owned_place *places, size_t count)
{
    struct line_table lines = {code->line_table, code->line_table_bytes, code->python_version, code->first_line};
    struct line_cursor cursor;
    struct frame frame = {
        .function = intern_text(table, code->name),
        .file = intern_text(table, code->file),
        .kind = TRACE_FRAME_PYTHON,
        .origin = origin_of(table, frame_origin_of_python(code->file), code->file),
    };
    if (!frame.function || !frame.file)
        return STATUS_NO_MEMORY;
    if (is_tag(code)) {
        frame.kind = FRAME_KIND_TAG;
        frame.file = NULL;
        frame.origin = FRAME_SYSTEM;
    }
    line_cursor_begin(&cursor, &lines);
    for (size_t i = 0; i < count; i++) {
        uint32_t *frame_id = &table->place_frames[places[i].place_id];
        int32_t line = line_cursor_find(&cursor, (int32_t)places[i].position);
        if (is_interpreter_shim(code, line)) {
            *frame_id = FRAME_HIDDEN;
            continue;
        }
        frame.line = line ? line : code->first_line > 0 ? code->first_line : 0;
        if (!(*frame_id = intern_frame(table, &frame)))
            return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static size_t end_of_owner(const struct owned_place *places, size_t start, size_t count)
{
    size_t end = start;
    while (end < count && places[end].owner_id == places[start].owner_id)
        end++;
    return end;
}

static int resolve_python(struct frame_table *table, const struct definition_table *definitions)
{
    struct owned_place *places;
    size_t count, end;
    int status = list_places(&definitions->places, table->resolved_count, TRACE_FRAME_PYTHON, &places, &count);
    if (status)
        return status;
    for (size_t start = 0; start < count && !status; start = end) {
        end = end_of_owner(places, start, count);
        status = resolve_code(table, &definitions->codes[places[start].owner_id], places + start, end - start);
    }
    free(places);
    return status;
}

struct native_sources {
    const struct definition_table *definitions;
    const struct symbol_sources *sources;
    struct symbol_bundle bundle;
};

/* Returns 0 or STATUS_NO_MEMORY. */
static int open_module_symbols(struct frame_table *table, const struct native_sources *native, uint32_t module_id, struct module_symbols *from)
{
    const struct module_definition *module = &native->definitions->modules[module_id];
    enum symbolizer_state bundled = native->bundle.module_states[module_id], *state = &table->module_states[module_id];
    int files_first = native->sources && native->sources->files_first;
    *from = (struct module_symbols){0};
    *state = bundled;
    if (bundled == SYMBOLIZER_UNUSED || files_first) {
        from->symbolizer = symbolizer_open(module->path, module->build_id, native->sources);
        if (!from->symbolizer)
            return STATUS_NO_MEMORY;
        *state = symbolizer_state(from->symbolizer);
    }
    if (bundled != SYMBOLIZER_UNUSED && (!files_first || *state < SYMBOLIZER_SYMBOLS)) {
        from->bundle = &native->bundle;
        *state = bundled;
    }
    return STATUS_OK;
}

/* All places of one module; `places` begins with its first. */
static int resolve_module(struct frame_table *table, const struct native_sources *native, const struct owned_place *places, size_t count)
{
    uint32_t module_id = places->owner_id;
    const char *path = module_id ? native->definitions->modules[module_id].path : NULL;
    struct module_symbols from = {0};
    int status = module_id ? open_module_symbols(table, native, module_id, &from) : STATUS_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = resolve_address(table, &from, path, &places[i]);
    symbolizer_close(from.symbolizer);
    return status;
}

static int resolve_native(struct frame_table *table, const struct definition_table *definitions, const struct symbol_sources *sources,
                          frames_progress *progress, void *context)
{
    struct native_sources native = {.definitions = definitions, .sources = sources};
    struct owned_place *places;
    size_t count, end;
    int status = list_places(&definitions->places, table->resolved_count, TRACE_FRAME_NATIVE, &places, &count);
    if (status)
        return status;
    if (count)
        status = symbol_bundle_read(&native.bundle, definitions);
    for (size_t start = 0; start < count && !status; start = end) {
        end = end_of_owner(places, start, count);
        status = resolve_module(table, &native, places + start, end - start);
        if (progress)
            progress(context, (double)end / (double)count);
    }
    if (count)
        symbol_bundle_done(&native.bundle);
    free(places);
    return status;
}

/* What is no place. */
static int intern_labels(struct frame_table *table, uint64_t copy_threshold_bytes)
{
    char label[64];
    table->cut_frame = intern_label(table, "unknown callers", TRACE_FRAME_CUT);
    snprintf(label, sizeof label, "copies below %llu bytes", (unsigned long long)copy_threshold_bytes);
    table->small_copies_frame = intern_label(table, label, TRACE_FRAME_NATIVE);
    table->slack_frame = intern_label(table, "arena slack", TRACE_FRAME_NATIVE);
    table->unknown_frame = intern_label(table, "unknown", TRACE_FRAME_NATIVE);
    return table->cut_frame && table->small_copies_frame && table->slack_frame && table->unknown_frame ? STATUS_OK : STATUS_NO_MEMORY;
}

static void resolve_cuts(struct frame_table *table, const struct definition_table *definitions)
{
    for (uint32_t id = table->resolved_count; id < definitions->places.place_count; id++)
        if (definitions->places.places[id].kind == TRACE_FRAME_CUT)
            table->place_frames[id] = table->cut_frame;
}

static int reserve_places(struct frame_table *table, const struct definition_table *definitions)
{
    size_t frame_capacity = table->place_capacity, outer_capacity = table->place_capacity, needed = definitions->places.place_count;
    if (!ARRAY_RESERVE(table->place_frames, frame_capacity, needed) || !ARRAY_RESERVE(table->outer_places, outer_capacity, needed) ||
        !ARRAY_RESERVE(table->module_states, table->module_capacity, definitions->module_count))
        return STATUS_NO_MEMORY;
    table->place_capacity = frame_capacity;
    table->place_count = definitions->places.place_count;
    return STATUS_OK;
}

static int resolve(struct frame_table *table, const struct definition_table *definitions, const struct symbol_sources *sources,
                   frames_progress *progress, void *context)
{
    int status = reserve_places(table, definitions);
    if (status)
        return status;
    table->sysroot = sources ? sources->sysroot : NULL;
    resolve_cuts(table, definitions);
    status = resolve_python(table, definitions);
    if (!status)
        status = resolve_native(table, definitions, sources, progress, context);
    if (!status)
        table->resolved_count = definitions->places.place_count;
    return status;
}

static int begin(struct frame_table *table, uint64_t copy_threshold_bytes, int is_growing)
{
    *table = (struct frame_table){.frame_count = 1, .resolved_count = 1, .is_growing = is_growing};
    string_pool_init(&table->strings);
    int status = intern_labels(table, copy_threshold_bytes);
    if (status)
        frame_table_done(table);
    return status;
}

int frame_table_build(struct frame_table *table, const struct definition_table *definitions, uint64_t copy_threshold_bytes,
                      const struct symbol_sources *sources, frames_progress *progress, void *context)
{
    int status = begin(table, copy_threshold_bytes, 0);
    if (status)
        return status;
    status = resolve(table, definitions, sources, progress, context);
    if (status)
        frame_table_done(table);
    return status;
}

int frame_table_begin(struct frame_table *table, uint64_t copy_threshold_bytes)
{
    return begin(table, copy_threshold_bytes, 1);
}

int frame_table_extend(struct frame_table *table, const struct definition_table *definitions, const struct symbol_sources *sources,
                       frames_progress *progress, void *context)
{
    if (table->resolved_count >= definitions->places.place_count)
        return STATUS_OK;
    return resolve(table, definitions, sources, progress, context);
}

void frame_table_done(struct frame_table *table)
{
    string_pool_done(&table->strings);
    installed_packages_done(&table->installed);
    free(table->frames);
    free(table->index);
    free(table->place_frames);
    free(table->outer_places);
    free(table->module_states);
    *table = (struct frame_table){0};
}
