/* See parquet_column.h. One data page a chunk, and one of its dictionary before it. */
#include "parquet_column.h"

#include <string.h>
#include <zstd.h>

#include "thrift_compact.h"

enum page_type { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum encoding { ENCODING_PLAIN = 0, ENCODING_RLE = 3, ENCODING_RLE_DICTIONARY = 8 };
enum page_header_field { PAGE_HEADER_TYPE = 1, PAGE_HEADER_UNCOMPRESSED, PAGE_HEADER_COMPRESSED, PAGE_HEADER_DATA = 5, PAGE_HEADER_DICTIONARY = 7 };
enum data_page_field { DATA_PAGE_COUNT = 1, DATA_PAGE_ENCODING, DATA_PAGE_DEFINITIONS, DATA_PAGE_REPETITIONS };
enum dictionary_page_field { DICTIONARY_PAGE_COUNT = 1, DICTIONARY_PAGE_ENCODING };

#define ZSTD_LEVEL 3
#define GROUP 8 /* values that are packed together */

void parquet_chunk_append(struct parquet_chunk *chunk, const void *value, size_t bytes, int definition, int repetition)
{
    if (chunk->max_definition)
        output_buffer_append_byte(&chunk->definitions, (uint8_t)definition);
    if (chunk->max_repetition)
        output_buffer_append_byte(&chunk->repetitions, (uint8_t)repetition);
    if (value)
        output_buffer_append(&chunk->values, value, bytes);
    chunk->level_count++;
}

/* One run of bit-packed groups (the encoding named RLE, bit width 1 or 2): zstd finds the repetitions. */
static void append_packed_bits(struct output_buffer *out, const uint8_t *values, size_t count, unsigned width)
{
    size_t group_count = (count + GROUP - 1) / GROUP;
    output_buffer_append_varint(out, group_count << 1 | 1);
    for (size_t group = 0; group < group_count; group++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < GROUP && group * GROUP + i < count; i++)
            bits |= (uint64_t)values[group * GROUP + i] << i * width;
        output_buffer_append_number(out, bits, width); /* 8 values of `width` bits are that many bytes */
    }
}

static void append_levels(struct output_buffer *out, const struct output_buffer *levels, int max_level)
{
    if (!max_level)
        return;
    struct output_buffer packed = {0};
    append_packed_bits(&packed, levels->bytes, levels->count, max_level > 1 ? 2 : 1);
    output_buffer_append_number(out, packed.count, 4);
    output_buffer_append(out, packed.bytes, packed.count);
    out->has_failed |= packed.has_failed;
    output_buffer_free(&packed);
}

/* Numbers in the dictionary: whole bytes wide, in which zstd finds more than in odd numbers of bits. */
static void append_indexes(struct output_buffer *out, const struct parquet_chunk *chunk)
{
    size_t count = chunk->values.count / sizeof(uint32_t), bytes = 1, group_count = (count + GROUP - 1) / GROUP;
    while (bytes < sizeof(uint32_t) && chunk->dictionary.count > (size_t)1 << 8 * bytes)
        bytes++;
    output_buffer_append_byte(out, (uint8_t)(8 * bytes));
    output_buffer_append_varint(out, group_count << 1 | 1);
    for (size_t i = 0; i < group_count * GROUP; i++) {
        uint32_t index = 0;
        if (i < count)
            memcpy(&index, chunk->values.bytes + i * sizeof index, sizeof index);
        output_buffer_append_number(out, index, bytes);
    }
}

static void append_values(struct output_buffer *out, const struct parquet_chunk *chunk)
{
    if (chunk->column->type == PARQUET_TEXT)
        append_indexes(out, chunk);
    else if (chunk->column->type != PARQUET_BOOLEAN)
        output_buffer_append(out, chunk->values.bytes, chunk->values.count);
    else
        for (size_t i = 0; i < chunk->values.count; i += GROUP) {
            uint8_t bits = 0;
            for (size_t bit = 0; bit < GROUP && i + bit < chunk->values.count; bit++)
                bits |= (uint8_t)(chunk->values.bytes[i + bit] << bit);
            output_buffer_append_byte(out, bits);
        }
}

static void append_header(struct output_buffer *out, const struct parquet_chunk *chunk, enum page_type type, size_t uncompressed, size_t compressed)
{
    struct thrift_writer header = {.out = out};
    thrift_i32(&header, PAGE_HEADER_TYPE, type);
    thrift_i32(&header, PAGE_HEADER_UNCOMPRESSED, (int32_t)uncompressed);
    thrift_i32(&header, PAGE_HEADER_COMPRESSED, (int32_t)compressed);
    if (type == PAGE_DICTIONARY) {
        thrift_begin(&header, PAGE_HEADER_DICTIONARY);
        thrift_i32(&header, DICTIONARY_PAGE_COUNT, (int32_t)chunk->dictionary.count);
        thrift_i32(&header, DICTIONARY_PAGE_ENCODING, ENCODING_PLAIN);
    } else {
        thrift_begin(&header, PAGE_HEADER_DATA);
        thrift_i32(&header, DATA_PAGE_COUNT, (int32_t)chunk->level_count);
        thrift_i32(&header, DATA_PAGE_ENCODING, chunk->column->type == PARQUET_TEXT ? ENCODING_RLE_DICTIONARY : ENCODING_PLAIN);
        thrift_i32(&header, DATA_PAGE_DEFINITIONS, ENCODING_RLE);
        thrift_i32(&header, DATA_PAGE_REPETITIONS, ENCODING_RLE);
    }
    thrift_end(&header);
    thrift_end(&header);
}

/* Header and compressed contents. Returns the bytes that they would take uncompressed, or a negative status. */
static int64_t append_page(struct output_buffer *out, const struct parquet_chunk *chunk, enum page_type type, const struct output_buffer *page)
{
    struct output_buffer compressed = {0};
    size_t bound = ZSTD_compressBound(page->count), start = out->count;
    void *room = output_buffer_extend(&compressed, bound);
    size_t bytes = room ? ZSTD_compress(room, bound, page->bytes, page->count, ZSTD_LEVEL) : 0;
    int has_failed = !room || ZSTD_isError(bytes) || page->has_failed;
    if (!has_failed) {
        append_header(out, chunk, type, page->count, bytes);
        start = out->count - start;
        output_buffer_append(out, room, bytes);
    }
    output_buffer_free(&compressed);
    return has_failed || out->has_failed ? STATUS_NO_MEMORY : (int64_t)(start + page->count);
}

static int64_t append_dictionary(struct output_buffer *out, const struct parquet_chunk *chunk)
{
    struct output_buffer page = {0};
    for (size_t i = 0; i < chunk->dictionary.count; i++) {
        size_t length = strlen(chunk->dictionary.texts[i]);
        output_buffer_append_number(&page, length, 4);
        output_buffer_append(&page, chunk->dictionary.texts[i], length);
    }
    int64_t bytes = append_page(out, chunk, PAGE_DICTIONARY, &page);
    output_buffer_free(&page);
    return bytes;
}

static int64_t append_data(struct output_buffer *out, const struct parquet_chunk *chunk)
{
    struct output_buffer page = {0};
    append_levels(&page, &chunk->repetitions, chunk->max_repetition);
    append_levels(&page, &chunk->definitions, chunk->max_definition);
    append_values(&page, chunk);
    int64_t bytes = append_page(out, chunk, PAGE_DATA, &page);
    output_buffer_free(&page);
    return bytes;
}

static void empty_chunk(struct parquet_chunk *chunk)
{
    output_buffer_clear(&chunk->values);
    output_buffer_clear(&chunk->definitions);
    output_buffer_clear(&chunk->repetitions);
    text_index_free(&chunk->dictionary);
    chunk->level_count = 0;
}

int parquet_chunk_write(struct parquet_chunk *chunk, int64_t file_offset, struct output_buffer *out, struct parquet_chunk_place *ret_place)
{
    size_t start = out->count;
    int64_t dictionary_bytes = 0;
    struct parquet_chunk_place place = {.first_offset = file_offset + (int64_t)start, .level_count = (int64_t)chunk->level_count};
    if (chunk->values.has_failed || chunk->definitions.has_failed || chunk->repetitions.has_failed || chunk->dictionary.has_failed)
        return STATUS_NO_MEMORY;
    if (chunk->column->type == PARQUET_TEXT && (dictionary_bytes = append_dictionary(out, chunk)) < 0)
        return (int)dictionary_bytes;
    place.has_dictionary = chunk->column->type == PARQUET_TEXT;
    place.data_offset = file_offset + (int64_t)out->count;
    int64_t data_bytes = append_data(out, chunk);
    if (data_bytes < 0)
        return (int)data_bytes;
    place.uncompressed_bytes = dictionary_bytes + data_bytes;
    place.compressed_bytes = (int64_t)(out->count - start);
    *ret_place = place;
    empty_chunk(chunk);
    return STATUS_OK;
}

void parquet_chunk_free(struct parquet_chunk *chunk)
{
    output_buffer_free(&chunk->values);
    output_buffer_free(&chunk->definitions);
    output_buffer_free(&chunk->repetitions);
    text_index_free(&chunk->dictionary);
}
