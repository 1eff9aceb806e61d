/* Fills b-trees from the left to the right, from the leaves to the root (btree_writer.h). */
#include "btree_writer.h"

#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "record.h"
#include "status.h"

/* An interior page's kind is its leaf's without this bit. */
#define LEAF_BIT 8
#define LEAF_HEADER_BYTES 8
#define INTERIOR_HEADER_BYTES 12
#define RIGHTMOST_CHILD 8     /* offset in an interior page */
#define MAX_CELL_HEAD_BYTES 18 /* two varints, or a child and a varint */

static uint32_t header_bytes(unsigned level)
{
    return level ? INTERIOR_HEADER_BYTES : LEAF_HEADER_BYTES;
}

void btree_begin(struct btree_writer *tree, struct page_file *pages, enum btree_kind kind, uint32_t root_page)
{
    *tree = (struct btree_writer){.pages = pages, .kind = kind, .root_page = root_page, .last_row_id = INT64_MIN};
}

/* ---- pages ---- */

static void clear_page(struct btree_writer *tree, struct btree_page *page)
{
    page->cell_count = 0;
    page->content_start = tree->pages->page_bytes;
}

COLD static int begin_level(struct btree_writer *tree, unsigned level)
{
    struct btree_page *page = &tree->levels[level];
    if (level < BTREE_MAX_LEVELS - 1)
        page->bytes = calloc(1, tree->pages->page_bytes);
    if (!page->bytes) {
        tree->failed = STATUS_NO_MEMORY;
        return 0;
    }
    clear_page(tree, page);
    return 1;
}

/* Room for a cell, its place in the page's list made. NULL: the page is full. */
HOT_INLINE uint8_t *take_cell(struct btree_page *page, unsigned level, uint32_t bytes)
{
    uint32_t list = header_bytes(level) + 2 * page->cell_count;
    if (page->content_start < list + 2 + bytes)
        return NULL;
    page->content_start -= bytes;
    page_put_u16(page->bytes + list, page->content_start);
    page->cell_count++;
    return page->bytes + page->content_start;
}

/* Take the page's last cell out again; its bytes stay where they are until the next one is added. */
static const uint8_t *drop_cell(struct btree_writer *tree, struct btree_page *page, unsigned level, uint32_t *ret_bytes)
{
    uint32_t list = header_bytes(level) + 2 * --page->cell_count, start = page_get_u16(page->bytes + list);
    uint32_t end = page->cell_count ? page_get_u16(page->bytes + list - 2) : tree->pages->page_bytes;
    page->content_start = end;
    *ret_bytes = end - start;
    return page->bytes + start;
}

/* Fill in the header, and zero what no cell uses. */
static void seal_page(struct btree_writer *tree, unsigned level)
{
    struct btree_page *page = &tree->levels[level];
    uint32_t list_end = header_bytes(level) + 2 * page->cell_count;
    page->bytes[0] = (uint8_t)(level ? tree->kind - LEAF_BIT : tree->kind);
    memset(page->bytes + 1, 0, 2);
    page_put_u16(page->bytes + 3, page->cell_count);
    page_put_u16(page->bytes + 5, page->content_start); /* 65536 is written as 0 */
    page->bytes[7] = 0;
    memset(page->bytes + list_end, 0, page->content_start - list_end);
}

/* ---- interior pages ---- */

static void add_child(struct btree_writer *tree, unsigned level, uint32_t child, const uint8_t *key, uint32_t key_bytes);

/* The page is full: its last cell's child becomes the rightmost one, and its key the one above. */
static void close_interior(struct btree_writer *tree, unsigned level)
{
    struct btree_page *page = &tree->levels[level];
    uint8_t key[128];
    uint32_t cell_bytes;
    const uint8_t *cell = drop_cell(tree, page, level, &cell_bytes);
    memcpy(key, cell + 4, cell_bytes - 4);
    memcpy(page->bytes + RIGHTMOST_CHILD, cell, 4);
    seal_page(tree, level);
    add_child(tree, level + 1, page_file_append(tree->pages, page->bytes), key, cell_bytes - 4);
    clear_page(tree, page);
}

static void add_child(struct btree_writer *tree, unsigned level, uint32_t child, const uint8_t *key, uint32_t key_bytes)
{
    struct btree_page *page = &tree->levels[level];
    if (!page->bytes && !begin_level(tree, level))
        return;
    uint8_t *cell = take_cell(page, level, 4 + key_bytes);
    if (!cell) {
        close_interior(tree, level);
        cell = take_cell(page, level, 4 + key_bytes);
    }
    page_put_u32(cell, child);
    memcpy(cell + 4, key, key_bytes);
}

/* ---- leaves ---- */

/* The leaf is full: it becomes a child. */
static void close_leaf(struct btree_writer *tree)
{
    struct btree_page *leaf = &tree->levels[0];
    uint8_t key[128];
    uint32_t key_bytes;
    if (tree->kind == BTREE_TABLE) {
        key_bytes = (uint32_t)(record_put_varint(key, (uint64_t)tree->last_row_id) - key);
    } else {
        const uint8_t *cell = drop_cell(tree, leaf, 0, &key_bytes);
        memcpy(key, cell, key_bytes);
    }
    seal_page(tree, 0);
    add_child(tree, 1, page_file_append(tree->pages, leaf->bytes), key, key_bytes);
    clear_page(tree, leaf);
}

static uint8_t *take_leaf_cell(struct btree_writer *tree, uint32_t bytes)
{
    struct btree_page *leaf = &tree->levels[0];
    if (unlikely(!leaf->bytes) && !begin_level(tree, 0))
        return NULL;
    uint8_t *cell = take_cell(leaf, 0, bytes);
    if (likely(cell != NULL))
        return cell;
    close_leaf(tree);
    return take_cell(leaf, 0, bytes);
}

/* The part of a long row that stays in the leaf (fileformat.html, 1.6: U, P, X, M and K). */
static size_t local_bytes(uint32_t usable, size_t bytes)
{
    size_t most = usable - 35, least = (usable - 12) * 32 / 255 - 23;
    if (bytes <= most)
        return bytes;
    size_t kept = least + (bytes - least) % (usable - 4);
    return kept <= most ? kept : least;
}

/* The rest goes into a chain of pages. Returns the number of the first. */
COLD static uint32_t append_overflow(struct btree_writer *tree, const uint8_t *rest, size_t bytes)
{
    uint32_t usable = tree->pages->page_bytes, first = 0;
    uint8_t *page = malloc(usable);
    if (!page) {
        tree->failed = STATUS_NO_MEMORY;
        return 0;
    }
    while (bytes) {
        size_t here = bytes < usable - 4 ? bytes : usable - 4;
        uint32_t number = page_file_next(tree->pages);
        memcpy(page + 4, rest, here);
        memset(page + 4 + here, 0, usable - 4 - here);
        rest += here;
        bytes -= here;
        page_put_u32(page, bytes ? page_file_after(tree->pages, number) : 0);
        page_file_append(tree->pages, page);
        first = first ? first : number;
    }
    free(page);
    return first;
}

void btree_add_row(struct btree_writer *tree, int64_t row_id, const uint8_t *record, size_t bytes)
{
    uint8_t head[MAX_CELL_HEAD_BYTES];
    if (unlikely(tree->failed))
        return;
    if (unlikely(row_id <= tree->last_row_id)) {
        tree->failed = STATUS_CORRUPT;
        return;
    }
    uint32_t head_bytes = (uint32_t)(record_put_varint(record_put_varint(head, bytes), (uint64_t)row_id) - head);
    size_t local = local_bytes(tree->pages->page_bytes, bytes);
    uint32_t overflow = unlikely(local < bytes) ? append_overflow(tree, record + local, bytes - local) : 0;
    uint8_t *cell = take_leaf_cell(tree, head_bytes + (uint32_t)local + (overflow ? 4 : 0));
    if (unlikely(!cell))
        return;
    memcpy(cell, head, head_bytes);
    memcpy(cell + head_bytes, record, local);
    if (overflow)
        page_put_u32(cell + head_bytes + local, overflow);
    tree->last_row_id = row_id;
}

void btree_add_key(struct btree_writer *tree, const uint8_t *record, size_t bytes)
{
    uint8_t *cell = tree->failed ? NULL : take_leaf_cell(tree, 1 + (uint32_t)bytes);
    if (!cell)
        return;
    *cell = (uint8_t)bytes;
    memcpy(cell + 1, record, bytes);
}

/* Each level's last page becomes the rightmost child of the one above; the highest is the root. */
static void close_levels(struct btree_writer *tree)
{
    for (unsigned level = 0; tree->levels[level].bytes && !tree->failed; level++) {
        struct btree_page *above = &tree->levels[level + 1];
        seal_page(tree, level);
        if (above->bytes)
            page_put_u32(above->bytes + RIGHTMOST_CHILD, page_file_append(tree->pages, tree->levels[level].bytes));
        else
            page_file_replace(tree->pages, tree->root_page, tree->levels[level].bytes);
    }
}

int btree_end(struct btree_writer *tree)
{
    close_levels(tree);
    for (unsigned level = 0; level < BTREE_MAX_LEVELS; level++)
        free(tree->levels[level].bytes);
    return tree->failed;
}
