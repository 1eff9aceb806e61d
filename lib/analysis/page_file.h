/* Pages behind the end of a closed SQLite database file: how large tables get in without one INSERT a row.
 *
 * Consumes finished b-tree pages (btree_writer.h), in any number; gives each the next free number, and at the end tells the file's
 * header how many there are now. https://www.sqlite.org/fileformat.html, section 1. Errors stick: page_file_close tells of them.
 * Nobody else may have the file open. One thread; allocates a buffer. */
#ifndef HEAPLINE_ANALYSIS_PAGE_FILE_H
#define HEAPLINE_ANALYSIS_PAGE_FILE_H

#include <stdint.h>

struct page_file {
    int file;
    int failed;
    uint32_t page_bytes;
    uint32_t next_page;      /* numbers begin at 1 */
    uint8_t *buffer;         /* pages that are not written yet, the last one being next_page - 1 */
    uint32_t buffered_pages;
};

/* Returns 0, STATUS_SYSTEM, STATUS_NO_MEMORY, or STATUS_DATABASE: a file that this writer doesn't suit (auto-vacuum, reserved bytes). */
int page_file_open(struct page_file *pages, const char *path);
/* Whatever happened, the file is closed and the buffer freed. Returns 0 or STATUS_SYSTEM. */
int page_file_close(struct page_file *pages);

/* The number that the next appended page will get, and the one after the page of a given number. */
uint32_t page_file_next(const struct page_file *pages);
uint32_t page_file_after(const struct page_file *pages, uint32_t number);
/* Append a page of page_bytes. Returns its number. */
uint32_t page_file_append(struct page_file *pages, const uint8_t *page);
/* Replace a page that was there when the file was opened. */
void page_file_replace(struct page_file *pages, uint32_t number, const uint8_t *page);

static inline void page_put_u16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static inline void page_put_u32(uint8_t *to, uint32_t value)
{
    page_put_u16(to, value >> 16);
    page_put_u16(to + 2, value);
}

static inline uint32_t page_get_u16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}

static inline uint32_t page_get_u32(const uint8_t *from)
{
    return page_get_u16(from) << 16 | page_get_u16(from + 2);
}

#endif
