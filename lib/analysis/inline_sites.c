/* Finds the function of an address and the calls inlined there (inline_sites.h). */
#include "inline_sites.h"

#include <dwarf.h>

#include "array.h"

/* Limits against debugging information that was made up or damaged: sibling references may run in circles. */
#define MAX_DEPTH 512
#define MAX_ENTRIES 50000000u
#define MAX_ENTRIES_OF_ADDRESS 1000000u

/* ---- the functions of a unit ---- */

static void add_function(struct unit_functions *functions, Dwarf_Die *entry)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    while ((offset = dwarf_ranges(entry, offset, &base, &start, &end)) > 0)
        if (start < end && ARRAY_RESERVE(functions->functions, functions->capacity, functions->count + 1))
            functions->functions[functions->count++] = (struct unit_function){start, end, *entry};
}

/* What can contain functions: rustc puts them into namespaces, clang sometimes into types. */
static int holds_functions(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
           tag == DW_TAG_subprogram;
}

/* The number of a new scope in this one. */
static uint32_t add_scope(struct unit_functions *functions, Dwarf_Die *entry, uint32_t parent)
{
    if (!functions->scope_count)
        functions->scope_count = 1;
    if (!ARRAY_RESERVE(functions->scopes, functions->scope_capacity, functions->scope_count + 1))
        return parent;
    functions->scopes[functions->scope_count] = (struct unit_scope){*entry, parent};
    return (uint32_t)functions->scope_count++;
}

/* Entries come by rising offsets. */
static void note_scope(struct unit_functions *functions, Dwarf_Die *entry, uint32_t scope)
{
    if (scope && !dwarf_hasattr(entry, DW_AT_linkage_name) && !dwarf_hasattr(entry, DW_AT_abstract_origin) &&
        ARRAY_RESERVE(functions->scoped, functions->scoped_capacity, functions->scoped_count + 1))
        functions->scoped[functions->scoped_count++] = (struct scoped_function){dwarf_dieoffset(entry), scope};
}

static void collect(struct unit_functions *functions, Dwarf_Die *parent, uint32_t scope, uint32_t depth, uint32_t *entries)
{
    Dwarf_Die entry;
    if (depth > MAX_DEPTH || dwarf_child(parent, &entry))
        return;
    do {
        int tag = dwarf_tag(&entry);
        if (tag == DW_TAG_subprogram) {
            add_function(functions, &entry);
            note_scope(functions, &entry, scope);
            collect(functions, &entry, scope, depth + 1, entries);
        } else if (holds_functions(tag)) {
            collect(functions, &entry, add_scope(functions, &entry, scope), depth + 1, entries);
        }
    } while ((*entries)++ < MAX_ENTRIES && !dwarf_siblingof(&entry, &entry));
}

static int compare_functions(const void *a, const void *b)
{
    const struct unit_function *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

void unit_functions_collect(struct unit_functions *functions, Dwarf_Die *unit)
{
    uint32_t entries = 0;
    *functions = (struct unit_functions){0};
    collect(functions, unit, 0, 1, &entries);
    if (functions->count)
        qsort(functions->functions, functions->count, sizeof *functions->functions, compare_functions);
}

void unit_functions_done(struct unit_functions *functions)
{
    free(functions->functions);
    free(functions->scopes);
    free(functions->scoped);
    *functions = (struct unit_functions){0};
}

/* A call leads to the function that it was made from, that to its declaration. */
static int go_to_origin(Dwarf_Die *entry)
{
    Dwarf_Attribute attribute;
    Dwarf_Attribute *origin = dwarf_attr(entry, DW_AT_abstract_origin, &attribute);
    if (!origin)
        origin = dwarf_attr(entry, DW_AT_specification, &attribute);
    return origin && dwarf_formref_die(origin, entry);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct scoped_function *left = a, *right = b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

uint32_t unit_functions_scope(const struct unit_functions *functions, Dwarf_Die *entry)
{
    Dwarf_Die at = *entry;
    const struct scoped_function *found = NULL;
    for (int steps = 0; functions->scoped_count && steps < 4 && !found; steps++) {
        struct scoped_function wanted = {.offset = dwarf_dieoffset(&at)};
        found = bsearch(&wanted, functions->scoped, functions->scoped_count, sizeof wanted, compare_offsets);
        if (!found && !go_to_origin(&at))
            break;
    }
    return found ? found->scope : 0;
}

static const struct unit_function *find_function(const struct unit_functions *functions, uint64_t address)
{
    size_t low = 0, high = functions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (functions->functions[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < functions->functions[low - 1].end ? &functions->functions[low - 1] : NULL;
}

/* ---- the calls inlined at an address ---- */

static uint32_t attribute_number(Dwarf_Die *entry, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_formudata(dwarf_attr(entry, name, &attribute), &value) == 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* The entry below `parent` that holds the address and may hold inlined calls. Returns 0: none. */
static int find_scope(Dwarf_Die *parent, uint64_t address, uint32_t *entries, Dwarf_Die *ret_scope)
{
    Dwarf_Die entry;
    if (dwarf_child(parent, &entry))
        return 0;
    do {
        int tag = dwarf_tag(&entry);
        if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
            dwarf_haspc(&entry, address) > 0) {
            *ret_scope = entry;
            return 1;
        }
    } while ((*entries)++ < MAX_ENTRIES_OF_ADDRESS && !dwarf_siblingof(&entry, &entry));
    return 0;
}

void inline_sites_find(const struct unit_functions *functions, uint64_t address, struct inline_sites *ret_sites)
{
    const struct unit_function *function = find_function(functions, address);
    uint32_t entries = 0;
    ret_sites->has_function = function != NULL;
    ret_sites->count = 0;
    if (!function)
        return;
    ret_sites->function = function->entry;
    Dwarf_Die scope = function->entry;
    for (int depth = 0; depth < MAX_DEPTH && ret_sites->count < INLINE_SITES_MAX; depth++) {
        Dwarf_Die parent = scope;
        if (!find_scope(&parent, address, &entries, &scope))
            break;
        if (dwarf_tag(&scope) == DW_TAG_inlined_subroutine)
            ret_sites->sites[ret_sites->count++] = (struct inline_site){
                scope, attribute_number(&scope, DW_AT_call_file), attribute_number(&scope, DW_AT_call_line)};
    }
}
