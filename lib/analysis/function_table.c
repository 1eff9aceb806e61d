/* See function_table.h. */
#include "function_table.h"

#include <stdlib.h>

#include "array.h"

static uint32_t binding_rank(const GElf_Sym *symbol)
{
    int binding = GELF_ST_BIND(symbol->st_info);
    return binding == STB_GLOBAL || binding == STB_GNU_UNIQUE ? 2 : binding == STB_WEAK;
}

static int is_function(const GElf_Sym *symbol, GElf_Word section)
{
    int type = GELF_ST_TYPE(symbol->st_info);
    return section != SHN_UNDEF && section != SHN_ABS && (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static int compare_symbols(const void *a, const void *b)
{
    const struct function_symbol *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    int left_sized = left->end > left->start, right_sized = right->end > right->start;
    if (left_sized != right_sized)
        return left_sized - right_sized;
    if (left->binding != right->binding)
        return left->binding < right->binding ? -1 : 1;
    return left->index > right->index ? -1 : left->index < right->index;
}

void function_table_collect(struct function_table *table, Dwfl_Module *module)
{
    int count = dwfl_module_getsymtab(module);
    for (int i = 1; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr start;
        GElf_Word section;
        const char *name = dwfl_module_getsym_info(module, i, &symbol, &start, &section, NULL, NULL);
        if (!name || !*name || !is_function(&symbol, section) || !ARRAY_RESERVE(table->symbols, table->capacity, table->count + 1))
            continue;
        table->symbols[table->count++] = (struct function_symbol){
            .start = start, .end = start + symbol.st_size, .name = name, .index = (uint32_t)i, .binding = binding_rank(&symbol)};
    }
    if (table->count)
        qsort(table->symbols, table->count, sizeof *table->symbols, compare_symbols);
    uint64_t reach = 0;
    for (size_t i = 0; i < table->count; i++)
        table->symbols[i].reach = reach = table->symbols[i].end > reach ? table->symbols[i].end : reach;
}

void function_table_done(struct function_table *table)
{
    free(table->symbols);
    *table = (struct function_table){0};
}

const char *function_table_find(const struct function_table *table, uint64_t address)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i > 0 && table->symbols[i - 1].reach > address; i--)
        if (table->symbols[i - 1].end > address)
            return table->symbols[i - 1].name;
    const struct function_symbol *label = low ? &table->symbols[low - 1] : NULL;
    return label && label->start == label->end ? label->name : NULL;
}
