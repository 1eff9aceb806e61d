/* Appends pages to a database file (page_file.h). */
#include "page_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_write.h"
#include "status.h"

#define BUFFER_BYTES (256u << 10)
/* SQLite locks bytes from here on, and keeps nothing in the page that holds them (fileformat.html, 1.4). */
#define LOCK_BYTE 0x40000000u

/* Offsets in the file's header (fileformat.html, 1.3). */
enum { HEADER_PAGE_BYTES = 16, HEADER_RESERVED = 20, HEADER_PAGE_COUNT = 28, HEADER_AUTO_VACUUM = 52, HEADER_LENGTH = 100 };

static int read_header(struct page_file *pages)
{
    uint8_t header[HEADER_LENGTH];
    if (pread(pages->file, header, sizeof header, 0) != (ssize_t)sizeof header)
        return STATUS_SYSTEM;
    uint32_t page_bytes = page_get_u16(header + HEADER_PAGE_BYTES);
    pages->page_bytes = page_bytes == 1 ? 65536 : page_bytes;
    pages->next_page = page_get_u32(header + HEADER_PAGE_COUNT) + 1;
    int suits = pages->page_bytes >= 512 && !header[HEADER_RESERVED] && !page_get_u32(header + HEADER_AUTO_VACUUM);
    return suits ? STATUS_OK : STATUS_DATABASE;
}

int page_file_open(struct page_file *pages, const char *path)
{
    *pages = (struct page_file){.file = open(path, O_RDWR | O_CLOEXEC)};
    if (pages->file < 0)
        return STATUS_SYSTEM;
    int status = read_header(pages);
    if (!status && !(pages->buffer = malloc(BUFFER_BYTES)))
        status = STATUS_NO_MEMORY;
    if (status)
        close(pages->file);
    return status;
}

static void flush(struct page_file *pages)
{
    uint64_t first = pages->next_page - 1 - pages->buffered_pages;
    if (file_write_at(pages->file, pages->buffer, (size_t)pages->buffered_pages * pages->page_bytes, first * pages->page_bytes))
        pages->failed = 1;
    pages->buffered_pages = 0;
}

int page_file_close(struct page_file *pages)
{
    uint8_t count[4];
    flush(pages);
    page_put_u32(count, pages->next_page - 1);
    if (file_write_at(pages->file, count, sizeof count, HEADER_PAGE_COUNT))
        pages->failed = 1;
    if (close(pages->file))
        pages->failed = 1;
    free(pages->buffer);
    return pages->failed ? STATUS_SYSTEM : STATUS_OK;
}

static int holds_lock_byte(const struct page_file *pages, uint32_t number)
{
    return number == LOCK_BYTE / pages->page_bytes + 1;
}

uint32_t page_file_after(const struct page_file *pages, uint32_t number)
{
    return number + 1 + (uint32_t)holds_lock_byte(pages, number + 1);
}

uint32_t page_file_next(const struct page_file *pages)
{
    return page_file_after(pages, pages->next_page - 1);
}

static void append(struct page_file *pages, const uint8_t *page)
{
    if ((pages->buffered_pages + 1) * pages->page_bytes > BUFFER_BYTES)
        flush(pages);
    uint8_t *to = pages->buffer + (size_t)pages->buffered_pages++ * pages->page_bytes;
    if (page)
        memcpy(to, page, pages->page_bytes);
    else
        memset(to, 0, pages->page_bytes);
    pages->next_page++;
}

uint32_t page_file_append(struct page_file *pages, const uint8_t *page)
{
    if (holds_lock_byte(pages, pages->next_page))
        append(pages, NULL);
    append(pages, page);
    return pages->next_page - 1;
}

void page_file_replace(struct page_file *pages, uint32_t number, const uint8_t *page)
{
    if (file_write_at(pages->file, page, pages->page_bytes, (uint64_t)(number - 1) * pages->page_bytes))
        pages->failed = 1;
}
