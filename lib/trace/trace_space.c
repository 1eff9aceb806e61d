/* See trace_space.h. */
#include "trace_space.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "checksum.h"
#include "file_write.h"
#include "trace_block.h"

#define INDEX_SYNC 0x58494c48u /* "HLIX" */
#define INDEX_PARTS 32u        /* where the list of parts begins; that of extents follows it */
#define INDEX_PART_BYTES 16u

_Static_assert(INDEX_PARTS + SPACE_MAX_PARTS * INDEX_PART_BYTES + SPACE_MAX_EXTENTS * 2 <= SPACE_INDEX_BYTES, "an index has its place");

static uint64_t extent_offset(const struct trace_space *space, uint32_t extent)
{
    return SPACE_FIRST_EXTENT + (uint64_t)extent * space->extent_bytes;
}

/* ---- writing ---- */

void trace_space_init(struct trace_space *space, uint64_t file_bytes)
{
    uint64_t bytes = file_bytes - SPACE_FIRST_EXTENT, extent_bytes = (bytes / SPACE_MAX_EXTENTS + 4096) & ~4095ull;
    *space = (struct trace_space){.extent_bytes = (uint32_t)extent_bytes, .extent_count = (uint32_t)(bytes / extent_bytes)};
}

uint64_t trace_space_free_bytes(const struct trace_space *space)
{
    return (uint64_t)(space->extent_count - space->used_count) * space->extent_bytes;
}

static int grow_part(struct trace_space *space, struct space_part *part, uint64_t bytes)
{
    while ((uint64_t)part->extent_count * space->extent_bytes < bytes) {
        uint32_t extent = 0;
        while (extent < space->extent_count && space->used[extent])
            extent++;
        if (extent == space->extent_count)
            return ENOSPC;
        if (!part->extents && !(part->extents = calloc(SPACE_MAX_EXTENTS, sizeof *part->extents)))
            return ENOMEM;
        space->used[extent] = 1;
        space->used_count++;
        part->extents[part->extent_count++] = (uint16_t)extent;
    }
    return 0;
}

int trace_space_append(struct trace_space *space, int file, struct space_part *part, const uint8_t *bytes, size_t count, int *ret_grown)
{
    uint32_t extents_before = part->extent_count;
    uint64_t begin = part->bytes, end = begin + count;
    int error = grow_part(space, part, end);
    *ret_grown = part->extent_count != extents_before;
    /* The last piece first: a block whose header is there is there whole. */
    while (!error && end > begin) {
        uint64_t piece = (end - 1) / space->extent_bytes * space->extent_bytes;
        if (piece < begin)
            piece = begin;
        uint64_t offset = extent_offset(space, part->extents[piece / space->extent_bytes]) + piece % space->extent_bytes;
        error = file_write_at(file, bytes + (piece - begin), end - piece, offset);
        if (!error && offset + (end - piece) > space->end_bytes)
            space->end_bytes = offset + (end - piece);
        end = piece;
    }
    if (!error)
        part->bytes += count;
    return error;
}

void trace_space_release(struct trace_space *space, struct space_part *part)
{
    for (uint32_t i = 0; i < part->extent_count; i++)
        space->used[part->extents[i]] = 0;
    space->used_count -= part->extent_count;
    free(part->extents);
    *part = (struct space_part){0};
}

int trace_space_commit(struct trace_space *space, int file, const struct space_part *const *parts, uint32_t part_count, int is_open)
{
    uint8_t index[SPACE_INDEX_BYTES] = {0}, *extent = index + INDEX_PARTS + part_count * INDEX_PART_BYTES;
    space->generation++;
    put_u32(index, INDEX_SYNC);
    put_u64(index + 8, space->generation);
    put_u32(index + 16, space->extent_bytes);
    put_u32(index + 20, part_count);
    for (uint32_t i = 0; i < part_count; i++) {
        uint8_t *entry = index + INDEX_PARTS + i * INDEX_PART_BYTES;
        put_u64(entry, is_open && i == part_count - 1 ? SPACE_PART_OPEN : parts[i]->bytes);
        put_u32(entry + 8, parts[i]->extent_count);
        for (uint32_t j = 0; j < parts[i]->extent_count; j++, extent += 2) {
            extent[0] = (uint8_t)parts[i]->extents[j];
            extent[1] = (uint8_t)(parts[i]->extents[j] >> 8);
        }
    }
    put_u32(index + 4, checksum_crc32c(index + 8, SPACE_INDEX_BYTES - 8));
    return file_write_at(file, index, sizeof index, SPACE_FIRST_INDEX + space->generation % 2 * SPACE_INDEX_BYTES);
}

/* ---- reading ---- */

static int read_index(int file, uint64_t offset, uint8_t *index)
{
    size_t done = 0;
    while (done < SPACE_INDEX_BYTES) {
        ssize_t count = pread(file, index + done, SPACE_INDEX_BYTES - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count ? -1 : 0;
        done += (size_t)count;
    }
    return get_u32(index) == INDEX_SYNC && get_u32(index + 4) == checksum_crc32c(index + 8, SPACE_INDEX_BYTES - 8);
}

/* Returns NULL or what is wrong with it. */
static const char *parse_part(struct trace_space *space, struct space_part *part, const uint8_t *entry, const uint8_t *extents, int is_last)
{
    uint64_t all_bytes = (uint64_t)get_u32(entry + 8) * space->extent_bytes;
    part->bytes = get_u64(entry);
    if (part->bytes == SPACE_PART_OPEN && is_last) {
        space->is_open = 1;
        part->bytes = all_bytes;
    }
    if (part->bytes > all_bytes)
        return "a part is longer than its extents";
    part->extents = calloc(SPACE_MAX_EXTENTS, sizeof *part->extents);
    if (!part->extents)
        return "out of memory";
    part->extent_count = get_u32(entry + 8);
    for (uint32_t i = 0; i < part->extent_count; i++) {
        part->extents[i] = (uint16_t)(extents[2 * i] | extents[2 * i + 1] << 8);
        if (part->extents[i] >= space->extent_count || space->used[part->extents[i]])
            return "an extent is out of bounds, or stands in it twice";
        space->used[part->extents[i]] = 1;
    }
    return NULL;
}

static const char *parse_index(struct trace_space *space, const uint8_t *index, uint64_t file_bytes)
{
    uint32_t part_count = get_u32(index + 20), listed = 0;
    space->generation = get_u64(index + 8);
    space->extent_bytes = get_u32(index + 16);
    if (part_count > SPACE_MAX_PARTS || space->extent_bytes < 4096 || file_bytes < SPACE_FIRST_EXTENT)
        return "its figures are out of bounds";
    /* The last extent may not be filled. */
    uint64_t extents = (file_bytes - SPACE_FIRST_EXTENT + space->extent_bytes - 1) / space->extent_bytes;
    space->extent_count = extents < SPACE_MAX_EXTENTS ? (uint32_t)extents : SPACE_MAX_EXTENTS;
    /* One that was given its place, but nothing was written in it yet. */
    space->extent_count += space->extent_count < SPACE_MAX_EXTENTS;
    for (uint32_t i = 0; i < part_count; i++) {
        const uint8_t *entry = index + INDEX_PARTS + i * INDEX_PART_BYTES;
        uint32_t count = get_u32(entry + 8);
        if (count > SPACE_MAX_EXTENTS - listed)
            return "it lists too many extents";
        space->part_count++;
        const char *problem = parse_part(space, &space->parts[i], entry, index + INDEX_PARTS + part_count * INDEX_PART_BYTES + 2 * listed,
                                         i == part_count - 1);
        if (problem)
            return problem;
        listed += count;
    }
    return NULL;
}

int trace_space_load(struct trace_space *space, int file, uint64_t file_bytes, struct status_detail *detail)
{
    uint8_t index[2][SPACE_INDEX_BYTES];
    int newest = -1;
    *space = (struct trace_space){0};
    if (file_bytes <= TRACE_FILE_HEADER_BYTES)
        return 0; /* its writer was killed at once */
    for (int i = 0; i < 2; i++) {
        int whole = read_index(file, SPACE_FIRST_INDEX + (uint64_t)i * SPACE_INDEX_BYTES, index[i]);
        if (whole < 0)
            return trace_fail(detail, STATUS_SYSTEM, SPACE_FIRST_INDEX, "cannot read the file");
        if (whole && (newest < 0 || get_u64(index[i] + 8) > get_u64(index[newest] + 8)))
            newest = i;
    }
    if (newest < 0)
        return trace_fail(detail, STATUS_CORRUPT, SPACE_FIRST_INDEX, "neither index of the file's parts is whole");
    const char *problem = parse_index(space, index[newest], file_bytes);
    if (problem) {
        trace_space_done(space);
        return trace_fail(detail, STATUS_CORRUPT, SPACE_FIRST_INDEX, "the index of the file's parts is damaged: %s", problem);
    }
    return 0;
}

void trace_space_done(struct trace_space *space)
{
    for (uint32_t i = 0; i < space->part_count; i++)
        free(space->parts[i].extents);
    space->part_count = 0;
}

uint64_t trace_space_end(const struct trace_space *space)
{
    uint64_t end = TRACE_FILE_HEADER_BYTES;
    for (uint32_t i = 0; i < space->part_count; i++)
        end += space->parts[i].bytes;
    return end;
}

int trace_space_continues(const struct trace_space *before, const struct trace_space *now)
{
    if (now->part_count < before->part_count)
        return 0;
    for (uint32_t i = 0; i < before->part_count; i++) {
        const struct space_part *old = &before->parts[i], *new = &now->parts[i];
        int is_growing = i == before->part_count - 1;
        if (is_growing ? new->extent_count < old->extent_count : new->extent_count != old->extent_count || new->bytes != old->bytes)
            return 0;
        if (old->extent_count && memcmp(old->extents, new->extents, old->extent_count * sizeof *old->extents))
            return 0;
    }
    return 1;
}

int trace_space_is_part_start(const struct trace_space *space, uint64_t stream_offset)
{
    uint64_t start = TRACE_FILE_HEADER_BYTES;
    for (uint32_t i = 0; i < space->part_count && start <= stream_offset; start += space->parts[i++].bytes)
        if (start == stream_offset && space->parts[i].bytes)
            return 1;
    return 0;
}

uint64_t trace_space_locate(const struct trace_space *space, uint64_t stream_offset, uint64_t *ret_file_offset)
{
    uint64_t start = TRACE_FILE_HEADER_BYTES;
    for (uint32_t i = 0; i < space->part_count; start += space->parts[i++].bytes) {
        const struct space_part *part = &space->parts[i];
        uint64_t within = stream_offset - start;
        if (within >= part->bytes)
            continue;
        uint64_t in_extent = within % space->extent_bytes, left = space->extent_bytes - in_extent;
        *ret_file_offset = extent_offset(space, part->extents[within / space->extent_bytes]) + in_extent;
        return left < part->bytes - within ? left : part->bytes - within;
    }
    return 0;
}
