/* Look-ups in one ELF file through elfutils' libdw (symbolize.h).
 *
 * libdwfl finds the separate debug file and merges the symbol tables. The compilation unit of an address is searched here, in the
 * units' own ranges: clang and rustc write no .debug_aranges, which libdw 0.188 needs. Inline frames are not taken apart:
 * the function is the one that the symbol table names, the line the innermost one that isn't in a header of the system. */
#include "symbolize.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
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

struct unit {
    Dwarf_Die die;
    struct inline_sites inlined;
    int inlined_known;
};

struct unit_range {
    uint64_t start, end;
    size_t unit;
};

struct symbolizer {
    enum symbolizer_state state;
    Dwfl *dwfl;
    Dwfl_Module *module;
    Dwarf_Addr dwarf_bias;
    struct unit *units;
    size_t unit_count, unit_capacity;
    struct unit_range *ranges; /* sorted by start */
    size_t range_count, range_capacity;
    struct function_table functions;
    char *function;            /* readable, of the latest look-up */
    char *file;                /* tidied, of the latest look-up */
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

static void add_unit(struct symbolizer *symbolizer, Dwarf_Die *die)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    if (!ARRAY_RESERVE(symbolizer->units, symbolizer->unit_capacity, symbolizer->unit_count + 1))
        return;
    symbolizer->units[symbolizer->unit_count] = (struct unit){.die = *die};
    while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0)
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
            add_unit(symbolizer, &die);
        else if (type == DW_UT_skeleton)
            add_unit(symbolizer, dwarf_tag(&subdie) == DW_TAG_compile_unit ? &subdie : &die);
    qsort(symbolizer->ranges, symbolizer->range_count, sizeof *symbolizer->ranges, compare_ranges);
}

static void open_module(struct symbolizer *symbolizer, const char *path, const char *build_id)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = debug_file_find,
        .section_address = dwfl_offline_section_address,
    };
    struct stat file;
    symbolizer->state = SYMBOLIZER_ABSENT;
    if (stat(path, &file) || !S_ISREG(file.st_mode) || !(symbolizer->dwfl = dwfl_begin(&callbacks)))
        return;
    dwfl_report_begin(symbolizer->dwfl);
    symbolizer->module = dwfl_report_elf(symbolizer->dwfl, path, path, -1, 0, true);
    dwfl_report_end(symbolizer->dwfl, NULL, NULL);
    if (!symbolizer->module)
        return;
    if (*build_id && !same_build_id(symbolizer->module, build_id)) {
        symbolizer->state = SYMBOLIZER_CHANGED;
        return;
    }
    symbolizer->state = SYMBOLIZER_SYMBOLS;
    function_table_collect(&symbolizer->functions, symbolizer->module);
    Dwarf *dwarf = dwfl_module_getdwarf(symbolizer->module, &symbolizer->dwarf_bias);
    if (dwarf)
        list_units(symbolizer, dwarf);
    if (symbolizer->range_count)
        symbolizer->state = SYMBOLIZER_LINES;
}

struct symbolizer *symbolizer_open(const char *path, const char *build_id)
{
    struct symbolizer *symbolizer = calloc(1, sizeof *symbolizer);
    if (symbolizer)
        open_module(symbolizer, path, build_id);
    return symbolizer;
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

/* Resolve "." and ".." in the text, as debuggers do: builds name their sources relative to the build folder. */
static char *tidy_path(const char *path)
{
    size_t length = strlen(path), used = 0;
    char *tidy = malloc(length + 2);
    if (!tidy)
        return NULL;
    for (const char *part = path; *part;) {
        size_t part_length = strcspn(part, "/");
        const char *next = part + part_length + (part[part_length] == '/');
        int is_parent = part_length == 2 && !memcmp(part, "..", 2);
        char *parent = used > 1 ? memrchr(tidy, '/', used - 1) : NULL;
        int parent_is_parent = parent && tidy + used - parent == 4 && !memcmp(parent, "/../", 4);
        if (!part_length && part != path) {
            /* a doubled slash */
        } else if (part_length == 1 && part[0] == '.') {
            /* here */
        } else if (is_parent && parent && !parent_is_parent) {
            used = (size_t)(parent - tidy) + 1;
        } else if (is_parent && used == 1 && tidy[0] == '/') {
            /* the root's parent is the root */
        } else {
            memcpy(tidy + used, part, (size_t)(next - part));
            used += (size_t)(next - part);
        }
        part = next;
    }
    tidy[used] = 0;
    return tidy;
}

/* The unit's source file, absolute where its folder is known. libdw joins the folder by itself, but not DWARF 5's relative ones. */
static char *source_path(Dwarf_Die *unit, const char *file)
{
    Dwarf_Attribute attribute;
    const char *folder = *file == '/' ? NULL : dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    char *joined = NULL;
    if (!folder || *folder != '/')
        return tidy_path(file);
    if (asprintf(&joined, "%s/%s", folder, file) < 0)
        return NULL;
    char *tidy = tidy_path(joined);
    free(joined);
    return tidy;
}

static int in_system_header(const char *path)
{
    return !strncmp(path, "/usr/include/", strlen("/usr/include/")) || !strncmp(path, "/usr/lib/gcc/", strlen("/usr/lib/gcc/")) ||
           !strncmp(path, "/usr/lib/llvm", strlen("/usr/lib/llvm"));
}

/* The system's headers put code into programs (fortified memcpy, std::vector): what the program can change is the line that called
 * it. Goes from call to call outward until it is in the program's own files; leaves file and line alone where it never is. */
static void leave_system_headers(struct symbolizer *symbolizer, struct unit *unit, uint64_t address, int *line)
{
    Dwarf_Files *files;
    size_t file_count;
    uint32_t depth = UINT32_MAX;
    const struct inline_site *site;
    if (!unit->inlined_known) {
        inline_sites_collect(&unit->inlined, &unit->die);
        unit->inlined_known = 1;
    }
    if (dwarf_getsrcfiles(&unit->die, &files, &file_count))
        return;
    while ((site = inline_sites_find(&unit->inlined, address, depth))) {
        const char *file = site->call_file < file_count ? dwarf_filesrc(files, site->call_file, NULL, NULL) : NULL;
        char *path = file ? source_path(&unit->die, file) : NULL;
        depth = site->depth;
        if (path && site->call_line && !in_system_header(path)) {
            free(symbolizer->file);
            symbolizer->file = path;
            *line = (int)site->call_line;
            return;
        }
        free(path);
    }
}

static void find_line(struct symbolizer *symbolizer, uint64_t address, struct symbol *symbol)
{
    int number = 0;
    uint64_t in_dwarf = address - symbolizer->dwarf_bias;
    struct unit *unit = find_unit(symbolizer, in_dwarf);
    Dwarf_Line *line = unit ? dwarf_getsrc_die(&unit->die, in_dwarf) : NULL;
    const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    /* Line 0 is what compilers give to code that belongs to no line. */
    if (!file || dwarf_lineno(line, &number) || number <= 0 || !(symbolizer->file = source_path(&unit->die, file)))
        return;
    if (in_system_header(symbolizer->file))
        leave_system_headers(symbolizer, unit, in_dwarf, &number);
    symbol->file = symbolizer->file;
    symbol->line = number;
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

struct symbol symbolizer_find(struct symbolizer *symbolizer, uint64_t address)
{
    struct symbol symbol = {0};
    free(symbolizer->function);
    free(symbolizer->file);
    symbolizer->function = symbolizer->file = NULL;
    if (symbolizer->state < SYMBOLIZER_SYMBOLS)
        return symbol;
    const char *name = function_table_find(&symbolizer->functions, address);
    symbol.function = symbolizer->function = name ? readable_name(name) : NULL;
    if (symbolizer->state == SYMBOLIZER_LINES)
        find_line(symbolizer, address, &symbol);
    return symbol;
}

void symbolizer_close(struct symbolizer *symbolizer)
{
    if (!symbolizer)
        return;
    if (symbolizer->dwfl)
        dwfl_end(symbolizer->dwfl);
    for (size_t i = 0; i < symbolizer->unit_count; i++)
        inline_sites_done(&symbolizer->units[i].inlined);
    function_table_done(&symbolizer->functions);
    free(symbolizer->units);
    free(symbolizer->ranges);
    free(symbolizer->function);
    free(symbolizer->file);
    free(symbolizer);
}
