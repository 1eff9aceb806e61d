/* Collects a unit's inlined subroutines (inline_sites.h). A unit is read once, when the first of its addresses asks. */
#include "inline_sites.h"

#include <dwarf.h>

#include "array.h"

/* Limits against debugging information that was made up or damaged: sibling references may run in circles. */
#define MAX_DEPTH 512
#define MAX_ENTRIES 50000000u

struct collector {
    struct inline_sites *sites;
    uint32_t entries;
};

static uint32_t attribute_number(Dwarf_Die *entry, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_formudata(dwarf_attr(entry, name, &attribute), &value) == 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static void add_site(struct inline_sites *sites, Dwarf_Die *entry, uint32_t depth)
{
    uint32_t call_file = attribute_number(entry, DW_AT_call_file), call_line = attribute_number(entry, DW_AT_call_line);
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    while ((offset = dwarf_ranges(entry, offset, &base, &start, &end)) > 0)
        if (start < end && ARRAY_RESERVE(sites->sites, sites->capacity, sites->count + 1))
            sites->sites[sites->count++] = (struct inline_site){start, end, call_file, call_line, depth};
}

/* What can contain inlined code. */
static int is_scope(int tag)
{
    return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
           tag == DW_TAG_namespace || tag == DW_TAG_try_block || tag == DW_TAG_catch_block || tag == DW_TAG_module;
}

static void collect(struct collector *collector, Dwarf_Die *parent, uint32_t depth)
{
    Dwarf_Die entry;
    if (depth > MAX_DEPTH || dwarf_child(parent, &entry))
        return;
    do {
        int tag = dwarf_tag(&entry);
        if (tag == DW_TAG_inlined_subroutine)
            add_site(collector->sites, &entry, depth);
        if (is_scope(tag))
            collect(collector, &entry, depth + 1);
    } while (collector->entries++ < MAX_ENTRIES && !dwarf_siblingof(&entry, &entry));
}

void inline_sites_collect(struct inline_sites *sites, Dwarf_Die *unit)
{
    struct collector collector = {.sites = sites};
    *sites = (struct inline_sites){0};
    collect(&collector, unit, 1);
}

void inline_sites_done(struct inline_sites *sites)
{
    free(sites->sites);
    *sites = (struct inline_sites){0};
}

const struct inline_site *inline_sites_find(const struct inline_sites *sites, uint64_t address, uint32_t below)
{
    const struct inline_site *found = NULL;
    for (size_t i = 0; i < sites->count; i++) {
        const struct inline_site *site = &sites->sites[i];
        if (site->start <= address && address < site->end && site->depth < below && (!found || site->depth > found->depth))
            found = site;
    }
    return found;
}
