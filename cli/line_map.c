/* Finds lines again: see line_map.h. */
#include "line_map.h"

#include <stdlib.h>
#include <string.h>

#include "byte_hash.h"
#include "memory.h"

/* So many of a function's old lines tell how far it moved. */
#define SHIFT_LINES 64

struct text_line {
    const char *text;
    size_t bytes;
    uint64_t hash;
    uint32_t number; /* from 1 */
};

struct text_lines {
    struct text_line *lines; /* [0] is line 1 */
    uint32_t count;
};

static void split(const char *text, size_t bytes, struct text_lines *ret_lines)
{
    const char *end = text + bytes;
    size_t count = 1;
    for (const char *at = text; at < end; at++)
        count += *at == '\n';
    struct text_lines lines = {.lines = memory_new(count, sizeof *lines.lines)};
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const char *next = stop ? stop + 1 : end;
        size_t length = (size_t)((stop ? stop : end) - text);
        while (length && (text[length - 1] == '\r' || text[length - 1] == ' ' || text[length - 1] == '\t'))
            length--;
        lines.lines[lines.count] = (struct text_line){text, length, hash_bytes(HASH_BYTES_START, text, length), lines.count + 1};
        lines.count++;
        text = next;
    }
    *ret_lines = lines;
}

static int is_equal(const struct text_line *a, const struct text_line *b)
{
    return a->hash == b->hash && a->bytes == b->bytes && !memcmp(a->text, b->text, a->bytes);
}

static int compare_lines(const void *a, const void *b)
{
    const struct text_line *left = a, *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->number > right->number) - (left->number < right->number);
}

/* The lines that their file has once, in the order of hashes. Returns how many. */
static uint32_t find_unique(const struct text_lines *lines, struct text_line *ret_unique)
{
    uint32_t kept = 0;
    memcpy(ret_unique, lines->lines, lines->count * sizeof *ret_unique);
    if (lines->count)
        qsort(ret_unique, lines->count, sizeof *ret_unique, compare_lines);
    for (uint32_t i = 0, next; i < lines->count; i = next) {
        for (next = i + 1; next < lines->count && ret_unique[next].hash == ret_unique[i].hash; next++)
            ;
        if (next == i + 1 && ret_unique[i].bytes)
            ret_unique[kept++] = ret_unique[i];
    }
    return kept;
}

/* candidates[old line] = new line, for lines that both have once. */
static uint32_t *pair_unique(const struct text_lines *old_lines, const struct text_lines *new_lines)
{
    struct text_line *old_unique = memory_new(old_lines->count, sizeof *old_unique), *new_unique = memory_new(new_lines->count, sizeof *new_unique);
    uint32_t *candidates = memory_new(old_lines->count + 1u, sizeof *candidates);
    uint32_t old_count = find_unique(old_lines, old_unique), new_count = find_unique(new_lines, new_unique);
    for (uint32_t i = 0, j = 0; i < old_count && j < new_count;) {
        if (old_unique[i].hash == new_unique[j].hash) {
            if (is_equal(&old_unique[i], &new_unique[j]))
                candidates[old_unique[i].number] = new_unique[j].number;
            i++;
            j++;
        } else if (old_unique[i].hash < new_unique[j].hash) {
            i++;
        } else {
            j++;
        }
    }
    free(old_unique);
    free(new_unique);
    return candidates;
}

/* Of the candidates the longest run that rises in both files: the others are moved pieces. map: 0 where there is none. */
static void keep_rising(const uint32_t *candidates, uint32_t old_count, uint32_t *map)
{
    uint32_t *tails = memory_new(old_count + 1u, sizeof *tails), *before = memory_new(old_count + 1u, sizeof *before), length = 0;
    for (uint32_t line = 1; line <= old_count; line++) {
        uint32_t low = 0, high = length;
        if (!candidates[line])
            continue;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (candidates[tails[middle]] < candidates[line])
                low = middle + 1;
            else
                high = middle;
        }
        before[line] = low ? tails[low - 1] : 0;
        tails[low] = line;
        length += low == length;
    }
    for (uint32_t line = length ? tails[length - 1] : 0; line; line = before[line])
        map[line] = candidates[line];
    free(tails);
    free(before);
}

/* Between two anchors (or the ends): equal lines from both sides inward, then what is left if it is as many lines. All exclusive. */
static void fill_gap(const struct text_lines *old_lines, const struct text_lines *new_lines, uint32_t old_from, uint32_t old_to, uint32_t new_from,
                     uint32_t new_to, uint32_t *map)
{
    while (old_from + 1 < old_to && new_from + 1 < new_to && is_equal(&old_lines->lines[old_from], &new_lines->lines[new_from]))
        map[++old_from] = ++new_from;
    while (old_from + 1 < old_to && new_from + 1 < new_to && is_equal(&old_lines->lines[old_to - 2], &new_lines->lines[new_to - 2]))
        map[--old_to] = --new_to;
    if (old_to - old_from == new_to - new_from)
        while (old_from + 1 < old_to)
            map[++old_from] = ++new_from;
}

uint32_t *line_map_of_texts(const char *old_text, size_t old_bytes, const char *new_text, size_t new_bytes, uint32_t *ret_count)
{
    struct text_lines old_lines, new_lines;
    split(old_text, old_bytes, &old_lines);
    split(new_text, new_bytes, &new_lines);
    uint32_t *candidates = pair_unique(&old_lines, &new_lines), *map = memory_new(old_lines.count + 1u, sizeof *map);
    uint32_t old_from = 0, new_from = 0;
    keep_rising(candidates, old_lines.count, map);
    for (uint32_t line = 1; line <= old_lines.count + 1; line++) {
        uint32_t to = line <= old_lines.count ? map[line] : new_lines.count + 1;
        if (!to)
            continue;
        fill_gap(&old_lines, &new_lines, old_from, line, new_from, to, map);
        old_from = line;
        new_from = to;
    }
    *ret_count = old_lines.count + 1;
    free(candidates);
    free(old_lines.lines);
    free(new_lines.lines);
    return map;
}

static size_t count_common(const int64_t *old_lines, size_t old_count, const int64_t *new_lines, size_t new_count, int64_t shift)
{
    size_t common = 0;
    for (size_t i = 0, j = 0; i < old_count && j < new_count;) {
        int64_t moved = old_lines[i] + shift;
        common += moved == new_lines[j];
        i += moved <= new_lines[j];
        j += moved >= new_lines[j];
    }
    return common;
}

int64_t line_map_shift(const int64_t *old_lines, size_t old_count, const int64_t *new_lines, size_t new_count)
{
    size_t most = count_common(old_lines, old_count, new_lines, new_count, 0);
    int64_t best = 0;
    for (size_t i = 0; i < old_count && i < SHIFT_LINES; i++)
        for (size_t j = 0; j < new_count; j++) {
            int64_t shift = new_lines[j] - old_lines[i];
            size_t common = count_common(old_lines, old_count, new_lines, new_count, shift);
            if (common > most || (common == most && best && llabs(shift) < llabs(best))) {
                most = common;
                best = shift;
            }
        }
    return best;
}
