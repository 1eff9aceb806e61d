/* What the numbers in a trace's events mean, gathered from the definitions of all its blocks: code objects with their line
 * tables, stack nodes, modules, threads, properties. Strings are interned. Everything is indexed by the trace's own ids;
 * entry 0 of each array is unused (node 0: the empty stack). One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_DEFINITION_TABLE_H
#define HEAPLINE_ANALYSIS_DEFINITION_TABLE_H

#include "place_table.h"
#include "string_pool.h"
#include "trace_event.h"

struct code_definition {
    const char *file, *name;
    const uint8_t *line_table;
    uint32_t line_table_bytes;
    int32_t first_line;
    uint32_t python_version;
};

struct node_definition {
    uint32_t caller_id;
    uint32_t place_id;  /* its kind, owner and position: place_table.h */
};

struct module_definition {
    const char *path;
    const char *build_id; /* lower-case hex digits; "" where it has none */
    uint64_t load_bias;
};

struct thread_definition {
    const char *name; /* NULL: this number was never defined */
    uint32_t kernel_id;
};

struct property_definition {
    const char *key, *value;
};

struct definition_table {
    struct string_pool strings;
    struct place_table places;
    struct code_definition *codes;
    struct node_definition *nodes;
    struct module_definition *modules;
    struct thread_definition *threads;
    struct property_definition *properties;
    /* ids from 1: one more than the highest id; properties: how many */
    uint32_t code_count, node_count, module_count, thread_count, property_count;
    size_t code_capacity, node_capacity, module_capacity, thread_capacity, property_capacity;
};

/* Returns 0 or STATUS_NO_MEMORY. */
int definition_table_init(struct definition_table *table);
void definition_table_done(struct definition_table *table);

/* Keep a definition. Returns 0, STATUS_NO_MEMORY, or STATUS_CORRUPT for numbers out of order. A property that is given again
 * replaces the first one. */
int definition_table_add(struct definition_table *table, const struct trace_definition *definition);

/* The value of a property, NULL: absent. */
const char *definition_table_property(const struct definition_table *table, const char *key);

#endif
