/* Numbers places and stacks of two traces alike: see diff_match.h. */
#include "diff_match.h"

#include <stdlib.h>
#include <string.h>

#include "diff_files.h"
#include "line_map.h"
#include "memory.h"

/* ---- files ---- */

/* What a frame lies in: its source file, else its module; NULL: nothing is known (arena slack, unknown). */
static const char *container_of(const struct set_frame *frame, enum set_key by)
{
    return by == SET_BY_MODULE ? frame->module ? frame->module : frame->file : frame->file ? frame->file : frame->module;
}

/* One frame on its way to a number. */
struct place {
    const char *function, *kind, *path;
    int64_t line;         /* of the new side; of an old line that is gone the number below 0; 0: none */
    uint32_t file_id, frame, file;
    uint8_t side, is_module;
};

/* The frames of one file on one side, sorted by function and line; or of a function of it. */
struct range {
    struct place *places;
    uint32_t count;
};

struct matching {
    const struct diff_side *sides;
    enum set_key by;
    struct place *places; /* frames of the old side, then of the new */
    uint32_t counts[2], count;
    struct diff_files files[2];
    struct range *ranges[2]; /* by file */
    int64_t edited_files;
};

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_paths(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    int order = left->side - right->side;
    order = order ? order : left->is_module - right->is_module;
    order = order ? order : compare_text(left->path, right->path);
    order = order ? order : compare_text(left->function, right->function);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static void list_frames(struct matching *matching)
{
    uint32_t total = matching->sides[0].set.frame_count + matching->sides[1].set.frame_count;
    matching->places = memory_new(total, sizeof *matching->places);
    for (int side = 0; side < 2; side++) {
        const struct stack_set *set = &matching->sides[side].set;
        for (uint32_t i = 1; i < set->frame_count; i++) {
            const struct set_frame *frame = &set->frames[i];
            matching->places[matching->count++] = (struct place){
                .function = matching->by == SET_BY_MODULE && container_of(frame, matching->by) ? NULL : frame->function,
                .kind = matching->by == SET_BY_MODULE ? NULL : frame->kind,
                .path = container_of(frame, matching->by),
                .line = matching->by == SET_BY_LINE ? frame->line : 0,
                .frame = i,
                .side = (uint8_t)side,
                .is_module = matching->by == SET_BY_MODULE ? frame->module != NULL : !frame->file,
            };
        }
        matching->counts[side] = matching->count - (side ? matching->counts[0] : 0);
    }
    qsort(matching->places, matching->count, sizeof *matching->places, compare_paths);
}

/* Places are sorted by side and path. */
static void list_files(struct matching *matching)
{
    for (int side = 0; side < 2; side++) {
        struct diff_files *files = &matching->files[side];
        uint32_t begin = side ? matching->counts[0] : 0;
        *files = (struct diff_files){.files = memory_new(matching->counts[side], sizeof *files->files), .directory = matching->sides[side].reading.directory};
        matching->ranges[side] = memory_new(matching->counts[side], sizeof *matching->ranges[side]);
        for (uint32_t i = begin; i < begin + matching->counts[side]; i++) {
            struct place *place = &matching->places[i];
            const struct diff_file *last = files->count ? &files->files[files->count - 1] : NULL;
            if (!place->path)
                continue;
            if (!last || last->is_module != place->is_module || strcmp(last->path, place->path)) {
                files->files[files->count] = (struct diff_file){.path = place->path, .is_module = place->is_module};
                matching->ranges[side][files->count++] = (struct range){place, 0};
            }
            place->file = files->count - 1;
            matching->ranges[side][place->file].count++;
        }
    }
    diff_files_match(&matching->files[0], &matching->files[1]);
    for (uint32_t i = 0; i < matching->count; i++)
        if (matching->places[i].path)
            matching->places[i].file_id = matching->files[matching->places[i].side].files[matching->places[i].file].id;
}

/* ---- lines that moved ---- */

static struct range function_range(struct range file, uint32_t from)
{
    uint32_t end = from + 1;
    while (end < file.count && !compare_text(file.places[end].function, file.places[from].function))
        end++;
    return (struct range){file.places + from, end - from};
}

static int has_line(struct range range, int64_t line)
{
    for (uint32_t i = 0; i < range.count; i++)
        if (range.places[i].line == line)
            return 1;
    return 0;
}

static int same_lines(struct range old_range, struct range new_range)
{
    if (old_range.count != new_range.count)
        return 0;
    for (uint32_t i = 0; i < old_range.count; i++)
        if (old_range.places[i].line != new_range.places[i].line || compare_text(old_range.places[i].function, new_range.places[i].function))
            return 0;
    return 1;
}

static void map_by_texts(struct range old_file, const char *old_text, size_t old_bytes, const char *new_text, size_t new_bytes)
{
    uint32_t count, *map = line_map_of_texts(old_text, old_bytes, new_text, new_bytes, &count);
    for (uint32_t i = 0; i < old_file.count; i++) {
        int64_t line = old_file.places[i].line;
        if (line > 0)
            old_file.places[i].line = line < count && map[line] ? map[line] : -line;
    }
    free(map);
}

static int64_t *lines_of(struct range range)
{
    int64_t *lines = memory_new(range.count, sizeof *lines);
    for (uint32_t i = 0; i < range.count; i++)
        lines[i] = range.places[i].line;
    return lines;
}

/* One function whose old text is gone. `edited`: the file surely was; else lines that both runs know stay where they are. */
static void shift_function(struct range old_function, struct range new_function, int edited)
{
    int64_t *old_lines = lines_of(old_function), *new_lines = lines_of(new_function);
    int any_stays = 0;
    for (uint32_t i = 0; i < old_function.count; i++)
        any_stays |= has_line(new_function, old_lines[i]);
    int64_t shift = edited || !any_stays ? line_map_shift(old_lines, old_function.count, new_lines, new_function.count) : 0;
    for (uint32_t i = 0; i < old_function.count; i++) {
        struct place *place = &old_function.places[i];
        if (place->line > 0)
            place->line = has_line(new_function, place->line + shift) ? place->line + shift : -place->line;
    }
    free(old_lines);
    free(new_lines);
}

static void map_by_functions(struct range old_file, struct range new_file, int edited)
{
    for (uint32_t i = 0, j = 0; i < old_file.count && j < new_file.count;) {
        struct range old_function = function_range(old_file, i), new_function = function_range(new_file, j);
        int order = compare_text(old_function.places->function, new_function.places->function);
        if (!order)
            shift_function(old_function, new_function, edited);
        i += order <= 0 ? old_function.count : 0;
        j += order >= 0 ? new_function.count : 0;
    }
}

/* Where exactly one line of a function is left on both sides, it is the same one, rewritten. */
static void pair_last_lines(struct range old_file, struct range new_file)
{
    for (uint32_t i = 0, j = 0; i < old_file.count && j < new_file.count;) {
        struct range old_function = function_range(old_file, i), new_function = function_range(new_file, j);
        int order = compare_text(old_function.places->function, new_function.places->function);
        struct place *gone = NULL, *added = NULL;
        uint32_t gone_count = 0, added_count = 0;
        for (uint32_t k = 0; !order && k < old_function.count; k++)
            if (!has_line(new_function, old_function.places[k].line)) {
                gone = &old_function.places[k];
                gone_count++;
            }
        for (uint32_t k = 0; !order && k < new_function.count; k++)
            if (!has_line(old_function, new_function.places[k].line)) {
                added = &new_function.places[k];
                added_count++;
            }
        if (gone_count == 1 && added_count == 1)
            gone->line = added->line;
        i += order <= 0 ? old_function.count : 0;
        j += order >= 0 ? new_function.count : 0;
    }
}

/* A pair of files. Lines of an unchanged file are themselves. */
static void match_lines(struct matching *matching, struct range old_file, struct range new_file)
{
    const char *old_path = old_file.places->path, *new_path = new_file.places->path;
    const struct diff_side *old_side = &matching->sides[0], *new_side = &matching->sides[1];
    size_t old_bytes = 0, new_bytes = 0;
    int is_same = !strcmp(old_path, new_path), unchanged = is_same ? diff_side_is_unchanged(old_side, old_path) : -1;
    if (old_path[0] == '<' || unchanged == 1)
        return;
    char *old_text = diff_side_source(old_side, old_path, &old_bytes), *new_text = diff_side_source(new_side, new_path, &new_bytes);
    int equal = old_text && new_text && old_bytes == new_bytes && !memcmp(old_text, new_text, old_bytes);
    int both = old_text && new_text;
    if (!equal && (both || !same_lines(old_file, new_file))) {
        matching->edited_files += both || unchanged == 0;
        if (both)
            map_by_texts(old_file, old_text, old_bytes, new_text, new_bytes);
        else
            map_by_functions(old_file, new_file, unchanged == 0);
        pair_last_lines(old_file, new_file);
    }
    free(old_text);
    free(new_text);
}

static void match_files(struct matching *matching)
{
    for (uint32_t i = 0; i < matching->files[0].count; i++) {
        const struct diff_file *file = &matching->files[0].files[i];
        if (file->partner == DIFF_NO_FILE || file->is_module)
            continue;
        match_lines(matching, matching->ranges[0][i], matching->ranges[1][file->partner]);
    }
}

/* ---- numbers ---- */

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->file_id != right->file_id)
        return left->file_id < right->file_id ? -1 : 1;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    int order = compare_text(left->function, right->function);
    return order ? order : compare_text(left->kind, right->kind);
}

static void number_places(const struct matching *matching, struct diff_match *match)
{
    qsort(matching->places, matching->count, sizeof *matching->places, compare_places);
    for (int side = 0; side < 2; side++)
        match->places[side] = memory_new(matching->sides[side].set.frame_count, sizeof *match->places[side]);
    for (uint32_t i = 0; i < matching->count; i++) {
        const struct place *place = &matching->places[i];
        if (!i || compare_places(place - 1, place))
            match->place_count++;
        match->places[place->side][place->frame] = match->place_count;
    }
    match->place_count++;
}

void diff_match_make(const struct diff_side *sides, enum set_key by, struct diff_match *ret_match)
{
    struct matching matching = {.sides = sides, .by = by};
    *ret_match = (struct diff_match){0};
    list_frames(&matching);
    list_files(&matching);
    if (by == SET_BY_LINE)
        match_files(&matching);
    number_places(&matching, ret_match);
    ret_match->edited_files = matching.edited_files;
    for (int side = 0; side < 2; side++) {
        diff_files_free(&matching.files[side]);
        free(matching.ranges[side]);
    }
    free(matching.places);
}

void diff_match_free(struct diff_match *match)
{
    free(match->places[0]);
    free(match->places[1]);
}

/* ---- stacks ---- */

/* From (number of the caller's stack, place) to the number of the stack: open addressing. */
struct stack_numbers {
    struct stack_number {
        uint32_t caller, place, number; /* number 0: free */
    } *slots;
    uint32_t mask, next;
};

static uint32_t number_of(struct stack_numbers *numbers, uint32_t caller, uint32_t place)
{
    uint64_t hash = ((uint64_t)caller << 32 | place) * 0x9e3779b97f4a7c15u;
    for (uint32_t i = (uint32_t)(hash >> 32);; i++) {
        struct stack_number *slot = &numbers->slots[i & numbers->mask];
        if (!slot->number)
            *slot = (struct stack_number){caller, place, numbers->next++};
        if (slot->caller == caller && slot->place == place)
            return slot->number;
    }
}

uint32_t diff_match_stacks(const struct diff_side *sides, const struct diff_match *match, uint32_t *ret_stacks[2])
{
    uint64_t most = (uint64_t)sides[0].set.stack_count + sides[1].set.stack_count, capacity = 64;
    while (capacity < 2 * most)
        capacity *= 2;
    struct stack_numbers numbers = {.slots = memory_new(capacity, sizeof *numbers.slots), .mask = (uint32_t)(capacity - 1), .next = SET_EMPTY + 1};
    for (int side = 0; side < 2; side++) {
        const struct stack_set *set = &sides[side].set;
        ret_stacks[side] = memory_new(set->stack_count, sizeof **ret_stacks);
        for (uint32_t i = 0; i < set->stack_count; i++)
            ret_stacks[side][i] = i <= SET_EMPTY ? i : number_of(&numbers, ret_stacks[side][set->stacks[i].caller], match->places[side][set->stacks[i].frame]);
    }
    free(numbers.slots);
    return numbers.next;
}
