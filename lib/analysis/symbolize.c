/* Look-ups in one ELF file through elfutils' libdw (symbolize.h).
 *
 * libdwfl finds the separate debug file and merges the symbol tables. The compilation unit of an address is searched here, in the
 * units' own ranges: clang and rustc write no .debug_aranges, which libdw 0.188 needs. */
#include "symbolize.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "debug_file.h"
#include "demangle.h"
#include "function_table.h"
#include "inline_sites.h"
#include "source_path.h"

struct unit {
    Dwarf_Die die;      /* of its functions */
    Dwarf_Die skeleton; /* of its lines and ranges: another one where the unit is split (-gsplit-dwarf) */
    struct unit_functions functions;
    int functions_known;
};

struct unit_range {
    uint64_t start, end;
    size_t unit;
};

struct symbolizer {
    enum symbolizer_state state;
    Dwfl_Callbacks callbacks;
    char *debug_path;
    Dwfl *dwfl;
    Dwfl_Module *module;
    Dwarf_Addr dwarf_bias;
    struct unit *units;
    size_t unit_count, unit_capacity;
    struct unit_range *ranges; /* sorted by start */
    size_t range_count, range_capacity;
    struct function_table functions;
    struct symbol symbols[INLINE_SITES_MAX + 1]; /* the latest answer; owns its strings */
    size_t symbol_count;
};

static int same_build_id(Dwfl_Module *module, const char *expected)
{
    char digits[2 * 64 + 1] = "";
    const void *bytes;
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(module, &bias);
    ssize_t count = elf ? dwelf_elf_gnu_build_id(elf, &bytes) : 0;
    for (ssize_t i = 0; i < count && i < 64; i++)
        snprintf(digits + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
    return !strcmp(digits, expected);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct unit_range *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

static void add_unit(struct symbolizer *symbolizer, Dwarf_Die *die, Dwarf_Die *skeleton)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    if (!ARRAY_RESERVE(symbolizer->units, symbolizer->unit_capacity, symbolizer->unit_count + 1))
        return;
    symbolizer->units[symbolizer->unit_count] = (struct unit){.die = *die, .skeleton = *skeleton};
    while ((offset = dwarf_ranges(skeleton, offset, &base, &start, &end)) > 0)
        if (start < end && ARRAY_RESERVE(symbolizer->ranges, symbolizer->range_capacity, symbolizer->range_count + 1))
            symbolizer->ranges[symbolizer->range_count++] = (struct unit_range){start, end, symbolizer->unit_count};
    symbolizer->unit_count++;
}

static void list_units(struct symbolizer *symbolizer, Dwarf *dwarf)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Half version;
    uint8_t type;
    Dwarf_Die die, subdie;
    while (!dwarf_get_units(dwarf, unit, &unit, &version, &type, &die, &subdie))
        if (type == DW_UT_compile)
            add_unit(symbolizer, &die, &die);
        else if (type == DW_UT_skeleton)
            add_unit(symbolizer, dwarf_tag(&subdie) == DW_TAG_compile_unit ? &subdie : &die, &die);
    if (symbolizer->range_count)
        qsort(symbolizer->ranges, symbolizer->range_count, sizeof *symbolizer->ranges, compare_ranges);
}

/* Report the file to libdwfl, which takes it (and the number of the open file). */
static int report_module(struct symbolizer *symbolizer, const char *path, int file)
{
    void **user_data;
    if (symbolizer->dwfl)
        dwfl_end(symbolizer->dwfl);
    symbolizer->module = NULL;
    symbolizer->dwfl = dwfl_begin(&symbolizer->callbacks);
    if (symbolizer->dwfl) {
        dwfl_report_begin(symbolizer->dwfl);
        symbolizer->module = dwfl_report_elf(symbolizer->dwfl, path, path, file, 0, true);
        dwfl_report_end(symbolizer->dwfl, NULL, NULL);
    }
    if (!symbolizer->module) {
        close(file);
        return 0;
    }
    dwfl_module_info(symbolizer->module, &user_data, NULL, NULL, NULL, NULL, NULL, NULL);
    *user_data = symbolizer->debug_path;
    return 1;
}

static int open_recorded(const char *path)
{
    struct stat status;
    if (!strcmp(path, "[vdso]"))
        return debug_file_open_vdso();
    return !stat(path, &status) && S_ISREG(status.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* The recorded file; where that isn't what ran, its debug file, or what a server has of it. */
static enum symbolizer_state find_module(struct symbolizer *symbolizer, const char *path, const char *build_id)
{
    enum symbolizer_state state = SYMBOLIZER_ABSENT;
    int file = open_recorded(path);
    if (file >= 0 && report_module(symbolizer, path, file)) {
        if (!*build_id || same_build_id(symbolizer->module, build_id))
            return SYMBOLIZER_SYMBOLS;
        state = SYMBOLIZER_CHANGED;
    }
    file = debug_file_open(symbolizer->debug_path, build_id);
    if (file < 0)
        file = debug_file_fetch(build_id);
    if (file >= 0 && report_module(symbolizer, path, file) && same_build_id(symbolizer->module, build_id))
        return SYMBOLIZER_SYMBOLS;
    return state;
}

static void open_module(struct symbolizer *symbolizer, const char *path, const char *build_id)
{
    symbolizer->state = find_module(symbolizer, path, build_id);
    if (symbolizer->state < SYMBOLIZER_SYMBOLS)
        return;
    function_table_collect(&symbolizer->functions, symbolizer->module);
    Dwarf *dwarf = dwfl_module_getdwarf(symbolizer->module, &symbolizer->dwarf_bias);
    if (dwarf)
        list_units(symbolizer, dwarf);
    if (symbolizer->range_count)
        symbolizer->state = SYMBOLIZER_LINES;
}

static int no_file(Dwfl_Module *module, void **user_data, const char *name, Dwarf_Addr base, char **ret_file_name, Elf **ret_elf)
{
    (void)module, (void)user_data, (void)name, (void)base, (void)ret_file_name, (void)ret_elf;
    return -1;
}

struct symbolizer *symbolizer_open(const char *path, const char *build_id, const struct symbol_sources *sources)
{
    static const struct symbol_sources here;
    struct symbolizer *symbolizer = calloc(1, sizeof *symbolizer);
    char *below = NULL;
    sources = sources ? sources : &here;
    if (!symbolizer)
        return NULL;
    symbolizer->debug_path = debug_file_path(sources);
    symbolizer->callbacks = (Dwfl_Callbacks){
        .find_elf = no_file,
        .find_debuginfo = debug_file_find,
        .section_address = dwfl_offline_section_address,
        .debuginfo_path = &symbolizer->debug_path,
    };
    int enough = symbolizer->debug_path && (!sources->sysroot || *path != '/' || asprintf(&below, "%s%s", sources->sysroot, path) >= 0);
    if (enough)
        open_module(symbolizer, below ? below : path, build_id);
    free(below);
    if (enough)
        return symbolizer;
    symbolizer_close(symbolizer);
    return NULL;
}

enum symbolizer_state symbolizer_state(const struct symbolizer *symbolizer)
{
    return symbolizer->state;
}

static struct unit *find_unit(struct symbolizer *symbolizer, uint64_t address)
{
    size_t low = 0, high = symbolizer->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbolizer->ranges[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < symbolizer->ranges[low - 1].end ? &symbolizer->units[symbolizer->ranges[low - 1].unit] : NULL;
}

/* ---- answers ---- */

static void forget_answer(struct symbolizer *symbolizer)
{
    for (size_t i = 0; i < symbolizer->symbol_count; i++) {
        free((char *)symbolizer->symbols[i].function);
        free((char *)symbolizer->symbols[i].file);
    }
    symbolizer->symbol_count = 0;
}

/* Takes both strings. */
static void add_symbol(struct symbolizer *symbolizer, char *function, char *file, int32_t line)
{
    symbolizer->symbols[symbolizer->symbol_count++] = (struct symbol){
        .function = function, .file = file, .line = file ? line : 0, .is_system = file && source_path_is_system(file)};
}

/* malloc@@GLIBC_2.2.5 is malloc. */
static char *readable_name(const char *name)
{
    char *plain = strndup(name, strcspn(name, "@"));
    char *demangled = plain ? demangle(plain) : NULL;
    if (!demangled)
        return plain;
    free(plain);
    return demangled;
}

static const char *text_of(Dwarf_Die *entry, unsigned attribute_name)
{
    Dwarf_Attribute attribute;
    return dwarf_formstring(dwarf_attr_integrate(entry, attribute_name, &attribute));
}

/* space::type::name. */
static char *scoped_name(const struct unit_functions *functions, uint32_t scope, const char *name)
{
    char *whole = strdup(name);
    for (; whole && scope; scope = functions->scopes[scope].parent) {
        Dwarf_Die *entry = &functions->scopes[scope].entry;
        const char *around = text_of(entry, DW_AT_name);
        char *inner = whole;
        if (!around)
            around = dwarf_tag(entry) == DW_TAG_namespace ? "(anonymous namespace)" : "(unnamed type)";
        if (asprintf(&whole, "%s::%s", around, inner) < 0)
            whole = NULL;
        free(inner);
    }
    return whole;
}

/* What a function's own entry calls it, or the one that it was made from. What no other file can call has no linkage name: then what it is
 * declared in is told by where. */
static char *name_of_entry(const struct unit_functions *functions, Dwarf_Die *entry)
{
    static const unsigned names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = text_of(entry, names[i]);
        if (name)
            return readable_name(name);
    }
    const char *name = text_of(entry, DW_AT_name);
    return name ? scoped_name(functions, unit_functions_scope(functions, entry), name) : NULL;
}

static char *file_of_number(struct unit *unit, uint32_t number)
{
    Dwarf_Files *files;
    size_t count;
    const char *file = dwarf_getsrcfiles(&unit->die, &files, &count) || number >= count ? NULL : dwarf_filesrc(files, number, NULL, NULL);
    return file ? source_path(&unit->skeleton, file) : NULL;
}

/* Line 0 is what compilers give to code that belongs to no line. */
static char *line_of_address(struct unit *unit, uint64_t address, int *ret_line)
{
    Dwarf_Line *line = dwarf_getsrc_die(&unit->skeleton, address);
    const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    return file && !dwarf_lineno(line, ret_line) && *ret_line > 0 ? source_path(&unit->skeleton, file) : NULL;
}

/* From the innermost inlined call outward; each one's line is where it called the one before. */
static void find_lines(struct symbolizer *symbolizer, struct unit *unit, uint64_t address, const char *name)
{
    struct inline_sites inlined;
    int line = 0;
    char *file = line_of_address(unit, address, &line);
    if (!unit->functions_known) {
        unit_functions_collect(&unit->functions, &unit->die);
        unit->functions_known = 1;
    }
    inline_sites_find(&unit->functions, address, &inlined);
    for (size_t i = inlined.count; i-- > 0;) {
        struct inline_site *site = &inlined.sites[i];
        add_symbol(symbolizer, name_of_entry(&unit->functions, &site->entry), file, line);
        file = site->call_line ? file_of_number(unit, site->call_file) : NULL;
        line = (int)site->call_line;
    }
    char *function = name ? readable_name(name) : inlined.has_function ? name_of_entry(&unit->functions, &inlined.function) : NULL;
    add_symbol(symbolizer, function, file, line);
}

size_t symbolizer_find(struct symbolizer *symbolizer, uint64_t address, const struct symbol **ret_symbols)
{
    forget_answer(symbolizer);
    *ret_symbols = symbolizer->symbols;
    if (symbolizer->state < SYMBOLIZER_SYMBOLS)
        return 0;
    const char *name = function_table_find(&symbolizer->functions, address);
    uint64_t in_dwarf = address - symbolizer->dwarf_bias;
    struct unit *unit = symbolizer->state == SYMBOLIZER_LINES ? find_unit(symbolizer, in_dwarf) : NULL;
    if (unit)
        find_lines(symbolizer, unit, in_dwarf, name);
    else if (name)
        add_symbol(symbolizer, readable_name(name), NULL, 0);
    return symbolizer->symbol_count;
}

void symbolizer_close(struct symbolizer *symbolizer)
{
    if (!symbolizer)
        return;
    if (symbolizer->dwfl)
        dwfl_end(symbolizer->dwfl);
    for (size_t i = 0; i < symbolizer->unit_count; i++)
        unit_functions_done(&symbolizer->units[i].functions);
    forget_answer(symbolizer);
    function_table_done(&symbolizer->functions);
    free(symbolizer->debug_path);
    free(symbolizer->units);
    free(symbolizer->ranges);
    free(symbolizer);
}
