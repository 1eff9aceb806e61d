/* Finds the symbols of a trace and writes a copy that has them (symbol_bundle.h). */
#include <stdio.h>

#include "array.h"
#include "source_bundle.h"
#include "status.h"
#include "symbol_bundle.h"
#include "trace_reader.h"

/* A property's value; the longest that a trace takes is 1 MiB. */
#define TEXT_BYTES (512u << 10)

struct bundle_text {
    struct trace_property *properties;
    size_t property_count, property_capacity;
    FILE *stream; /* of the last property's value */
    char *value;
    size_t bytes;
};

static int read_definitions(const char *trace_path, struct definition_table *table, uint64_t *ret_start_ns, struct status_detail *detail)
{
    struct trace_reader *reader;
    struct trace_definition definition;
    struct status_detail damage;
    int status = trace_reader_open(trace_path, &reader, detail);
    if (status)
        return status;
    *ret_start_ns = trace_reader_overview(reader)->identity.start_realtime_ns;
    while (!status && trace_reader_next_block(reader, &damage) == STATUS_OK)
        while (!status && trace_reader_next_definition(reader, &definition, &damage) == STATUS_OK)
            status = definition_table_add(table, &definition);
    trace_reader_close(reader);
    return status;
}

/* ---- text ---- */

/* Returns 0 without memory. */
static int end_property(struct bundle_text *text)
{
    char *key = NULL;
    if (!text->stream)
        return 1;
    int enough = !fclose(text->stream) && text->value &&
                 ARRAY_RESERVE(text->properties, text->property_capacity, text->property_count + 1) &&
                 asprintf(&key, SYMBOL_BUNDLE_PREFIX "%zu", text->property_count) >= 0;
    text->stream = NULL;
    if (enough)
        text->properties[text->property_count++] = (struct trace_property){key, text->value};
    else
        free(text->value);
    text->value = NULL;
    return enough;
}

/* A property begins with its module. */
static int begin_place(struct bundle_text *text, uint32_t module_id, enum symbolizer_state state, int is_first)
{
    if (text->stream && (fflush(text->stream) || (text->bytes > TEXT_BYTES && !end_property(text))))
        return 0;
    if (text->stream && !is_first)
        return 1;
    if (!text->stream && !(text->stream = open_memstream(&text->value, &text->bytes)))
        return 0;
    fprintf(text->stream, "module %u %s\n", module_id, state == SYMBOLIZER_LINES ? "lines" : "functions");
    return 1;
}

/* Without what ends fields and lines. */
static void put_text(FILE *stream, const char *text)
{
    for (; text && *text; text++)
        fputc(*text == '\t' || *text == '\n' ? ' ' : *text, stream);
}

static void put_place(FILE *stream, const struct frame_table *frames, uint64_t address, uint32_t place_id)
{
    fprintf(stream, "%llx", (unsigned long long)address);
    for (; place_id; place_id = frames->outer_places[place_id]) {
        const struct frame *frame = &frames->frames[frames->place_frames[place_id]];
        fputc('\t', stream);
        put_text(stream, frame->function);
        fputc('\t', stream);
        put_text(stream, frame->file);
        fprintf(stream, "\t%d\n", frame->line);
    }
}

static int put_module(struct bundle_text *text, const struct definition_table *definitions, const struct frame_table *frames,
                      uint32_t module_id, struct symbol_bundle_figures *figures)
{
    int is_first = 1;
    for (uint32_t id = 1; id < definitions->places.place_count; id++) {
        const struct place *place = &definitions->places.places[id];
        if (place->kind != TRACE_FRAME_NATIVE || place->owner_id != module_id)
            continue;
        if (!begin_place(text, module_id, frames->module_states[module_id], is_first))
            return STATUS_NO_MEMORY;
        put_place(text->stream, frames, place->position, id);
        figures->places++;
        is_first = 0;
    }
    figures->modules += !is_first;
    return STATUS_OK;
}

static int put_modules(struct bundle_text *text, const struct definition_table *definitions, const struct frame_table *frames,
                       struct symbol_bundle_figures *figures)
{
    int status = STATUS_OK;
    for (uint32_t id = 1; id < definitions->module_count && !status; id++)
        if (frames->module_states[id] >= SYMBOLIZER_SYMBOLS)
            status = put_module(text, definitions, frames, id, figures);
    return status || end_property(text) ? status : STATUS_NO_MEMORY;
}

static void text_done(struct bundle_text *text)
{
    if (text->stream)
        fclose(text->stream);
    free(text->value);
    for (size_t i = 0; i < text->property_count; i++) {
        free((char *)text->properties[i].key);
        free((char *)text->properties[i].value);
    }
    free(text->properties);
}

/* ---- the whole ---- */

/* Behind the symbols, whose array then has them all. */
static int put_sources(struct bundle_text *text, const struct frame_table *frames, const struct source_origin *origin,
                       struct symbol_bundle_figures *figures)
{
    struct source_bundle bundle = {0};
    int status = source_bundle_collect(&bundle, frames, origin);
    if (!status && !ARRAY_RESERVE(text->properties, text->property_capacity, text->property_count + bundle.count))
        status = STATUS_NO_MEMORY;
    for (; !status && bundle.count; figures->sources++)
        text->properties[text->property_count++] = bundle.sources[--bundle.count];
    source_bundle_done(&bundle);
    return status;
}

/* `origin`: of source files; NULL: without. */
static int write_symbols(const char *trace_path, int to, const struct definition_table *definitions, const struct symbol_sources *sources,
                         const struct source_origin *origin, struct symbol_bundle_figures *ret_figures, struct status_detail *detail)
{
    struct symbol_sources files_first = *sources;
    struct symbol_bundle_figures figures = {0};
    struct bundle_text text = {0};
    struct frame_table frames;
    files_first.files_first = 1;
    int status = frame_table_build(&frames, definitions, 0, &files_first, NULL, NULL);
    if (status)
        return status;
    status = put_modules(&text, definitions, &frames, &figures);
    if (!status && origin)
        status = put_sources(&text, &frames, origin, &figures);
    if (!status)
        status = trace_insert_properties(trace_path, to, text.properties, text.property_count, detail);
    if (!status)
        *ret_figures = figures;
    text_done(&text);
    frame_table_done(&frames);
    return status;
}

int symbol_bundle_write(const char *trace_path, int to, const struct symbol_sources *sources, int without_sources,
                        struct symbol_bundle_figures *ret_figures, struct status_detail *detail)
{
    struct definition_table definitions;
    struct source_origin origin = {.sysroot = sources->sysroot};
    int status = definition_table_init(&definitions);
    if (status)
        return status;
    status = read_definitions(trace_path, &definitions, &origin.start_realtime_ns, detail);
    origin.directory = definition_table_property(&definitions, "directory");
    if (!status)
        status = write_symbols(trace_path, to, &definitions, sources, without_sources ? NULL : &origin, ret_figures, detail);
    definition_table_done(&definitions);
    return status;
}
