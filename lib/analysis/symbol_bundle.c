/* Reads bundled symbols (symbol_bundle.h). */
#include "symbol_bundle.h"

#include <stdio.h>

#include "array.h"
#include "source_path.h"
#include "status.h"
#include "text_field.h"

struct parse {
    struct symbol_bundle *bundle;
    uint32_t module_count;
    uint32_t module_id; /* 0: what follows is of no module */
    int has_place;
    int failed;         /* no memory */
};

static void begin_module(struct parse *parse, char *line)
{
    char *id = text_field_next(&line, ' ');
    unsigned long number = strtoul(id, NULL, 10);
    parse->module_id = number < parse->module_count ? (uint32_t)number : 0;
    parse->bundle->module_states[parse->module_id] = strcmp(line, "lines") ? SYMBOLIZER_SYMBOLS : SYMBOLIZER_LINES;
    parse->has_place = 0;
}

static void add_symbol(struct parse *parse, char *line)
{
    struct symbol_bundle *bundle = parse->bundle;
    char *function = text_field_next(&line, '\t'), *file = text_field_next(&line, '\t');
    long number = strtol(line, NULL, 10);
    if (!ARRAY_RESERVE(bundle->symbols, bundle->symbol_capacity, bundle->symbol_count + 1)) {
        parse->failed = 1;
        return;
    }
    bundle->symbols[bundle->symbol_count++] = (struct symbol){
        .function = *function ? function : NULL,
        .file = *file ? file : NULL,
        .line = *file && number > 0 && number < INT32_MAX ? (int32_t)number : 0,
        .is_system = source_path_is_system(file),
    };
    bundle->places[bundle->place_count - 1].count++;
}

static void add_place(struct parse *parse, const char *address)
{
    struct symbol_bundle *bundle = parse->bundle;
    if (!ARRAY_RESERVE(bundle->places, bundle->place_capacity, bundle->place_count + 1)) {
        parse->failed = 1;
        return;
    }
    bundle->places[bundle->place_count++] = (struct bundled_place){
        .address = strtoull(address, NULL, 16), .module_id = parse->module_id, .first = (uint32_t)bundle->symbol_count};
    parse->has_place = 1;
}

static void parse_line(struct parse *parse, char *line)
{
    if (!strncmp(line, "module ", strlen("module "))) {
        begin_module(parse, line + strlen("module "));
        return;
    }
    char *address = text_field_next(&line, '\t');
    if (parse->module_id && *address)
        add_place(parse, address);
    if (parse->module_id && parse->has_place && !parse->failed)
        add_symbol(parse, line);
}

static void parse_text(struct parse *parse, char *text)
{
    parse->module_id = 0;
    parse->has_place = 0;
    while (*text && !parse->failed) {
        char *line = text_field_next(&text, '\n');
        parse_line(parse, line);
    }
}

static int compare_places(const void *a, const void *b)
{
    const struct bundled_place *left = a, *right = b;
    if (left->module_id != right->module_id)
        return left->module_id < right->module_id ? -1 : 1;
    return left->address < right->address ? -1 : left->address > right->address;
}

int symbol_bundle_read(struct symbol_bundle *bundle, const struct definition_table *definitions)
{
    *bundle = (struct symbol_bundle){.module_states = calloc(definitions->module_count, sizeof *bundle->module_states)};
    struct parse parse = {.bundle = bundle, .module_count = definitions->module_count, .failed = !bundle->module_states};
    for (uint32_t i = 0; i < definitions->property_count && !parse.failed; i++) {
        const struct property_definition *property = &definitions->properties[i];
        if (strncmp(property->key, SYMBOL_BUNDLE_PREFIX, strlen(SYMBOL_BUNDLE_PREFIX)))
            continue;
        char *text = strdup(property->value);
        if (!text || !ARRAY_RESERVE(bundle->texts, bundle->text_capacity, bundle->text_count + 1)) {
            free(text);
            parse.failed = 1;
            break;
        }
        bundle->texts[bundle->text_count++] = text;
        parse_text(&parse, text);
    }
    if (parse.failed) {
        symbol_bundle_done(bundle);
        return STATUS_NO_MEMORY;
    }
    bundle->module_states[0] = SYMBOLIZER_UNUSED;
    if (bundle->place_count)
        qsort(bundle->places, bundle->place_count, sizeof *bundle->places, compare_places);
    return STATUS_OK;
}

void symbol_bundle_done(struct symbol_bundle *bundle)
{
    for (size_t i = 0; i < bundle->text_count; i++)
        free(bundle->texts[i]);
    free(bundle->texts);
    free(bundle->places);
    free(bundle->symbols);
    free(bundle->module_states);
    *bundle = (struct symbol_bundle){0};
}

size_t symbol_bundle_find(const struct symbol_bundle *bundle, uint32_t module_id, uint64_t address, const struct symbol **ret_symbols)
{
    const struct bundled_place wanted = {.module_id = module_id, .address = address};
    const struct bundled_place *found =
        bundle->place_count ? bsearch(&wanted, bundle->places, bundle->place_count, sizeof wanted, compare_places) : NULL;
    if (!found || !found->count)
        return 0;
    *ret_symbols = bundle->symbols + found->first;
    return found->count;
}
