/* See parquet_writer.h. Values go straight into their columns' chunks; places of written chunks are kept for the footer. */
#include "parquet_writer.h"

#include <stdlib.h>
#include <string.h>

#include "parquet_column.h"
#include "thrift_compact.h"

#define MAGIC "PAR1"
#define MAGIC_BYTES 4
#define MAX_LEVELS (1u << 20) /* of a group's longest column */
#define FORMAT_VERSION 1

/* Numbers of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift */
enum physical_type { PHYSICAL_BOOLEAN = 0, PHYSICAL_INT64 = 2, PHYSICAL_DOUBLE = 5, PHYSICAL_BYTE_ARRAY = 6 };
enum repetition { REPETITION_REQUIRED = 0, REPETITION_OPTIONAL, REPETITION_REPEATED };
enum converted_type { CONVERTED_UTF8 = 0, CONVERTED_LIST = 3, CONVERTED_TIMESTAMP_MICROS = 10 };
enum logical_type { LOGICAL_STRING = 1, LOGICAL_LIST = 3, LOGICAL_TIMESTAMP = 8 };
enum encoding { ENCODING_PLAIN = 0, ENCODING_RLE = 3, ENCODING_RLE_DICTIONARY = 8 };
enum { CODEC_ZSTD = 6, TIMESTAMP_IS_UTC = 1, TIMESTAMP_UNIT = 2, UNIT_MICROS = 2 };
enum schema_element_field { ELEMENT_TYPE = 1, ELEMENT_REPETITION = 3, ELEMENT_NAME, ELEMENT_CHILD_COUNT, ELEMENT_CONVERTED_TYPE, ELEMENT_LOGICAL_TYPE = 10 };
enum file_field { FILE_VERSION = 1, FILE_SCHEMA, FILE_ROW_COUNT, FILE_ROW_GROUPS, FILE_NOTES, FILE_CREATED_BY };
enum key_value_field { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE };
enum row_group_field { ROW_GROUP_COLUMNS = 1, ROW_GROUP_BYTES, ROW_GROUP_ROW_COUNT };
enum column_chunk_field { COLUMN_CHUNK_OFFSET = 2, COLUMN_CHUNK_METADATA };
enum column_metadata_field {
    COLUMN_TYPE = 1, COLUMN_ENCODINGS, COLUMN_PATH, COLUMN_CODEC, COLUMN_VALUE_COUNT, COLUMN_UNCOMPRESSED, COLUMN_COMPRESSED,
    COLUMN_DATA_OFFSET = 9, COLUMN_DICTIONARY_OFFSET = 11,
};

struct row_group {
    int64_t row_count;
    struct parquet_chunk_place *places; /* by column */
};

struct parquet_writer {
    const struct parquet_schema *schema;
    struct parquet_chunk *chunks; /* flat ones, then the list's */
    size_t chunk_count;
    size_t element_count;         /* of the row that is being made */
    int64_t group_row_count, row_count, file_bytes;
    struct row_group *groups;
    size_t group_count;
    struct text_index notes;      /* key, value, key, value … */
    struct output_buffer note_numbers; /* 32 bits each */
};

static int is_in_list(const struct parquet_writer *writer, size_t column)
{
    return column >= writer->schema->column_count;
}

struct parquet_writer *parquet_writer_new(const struct parquet_schema *schema)
{
    struct parquet_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return NULL;
    writer->schema = schema;
    writer->chunk_count = schema->column_count + schema->list_column_count;
    writer->chunks = calloc(writer->chunk_count, sizeof *writer->chunks);
    if (!writer->chunks) {
        free(writer);
        return NULL;
    }
    for (size_t i = 0; i < writer->chunk_count; i++) {
        struct parquet_chunk *chunk = &writer->chunks[i];
        int in_list = is_in_list(writer, i);
        chunk->column = in_list ? &schema->list_columns[i - schema->column_count] : &schema->columns[i];
        chunk->max_repetition = in_list;
        chunk->max_definition = in_list + chunk->column->is_optional;
    }
    return writer;
}

void parquet_writer_free(struct parquet_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->chunk_count; i++)
        parquet_chunk_free(&writer->chunks[i]);
    for (size_t i = 0; i < writer->group_count; i++)
        free(writer->groups[i].places);
    free(writer->groups);
    free(writer->chunks);
    text_index_free(&writer->notes);
    output_buffer_free(&writer->note_numbers);
    free(writer);
}

/* ---- rows ---- */

static void append(struct parquet_writer *writer, size_t column, const void *value, size_t bytes)
{
    struct parquet_chunk *chunk = &writer->chunks[column];
    parquet_chunk_append(chunk, value, bytes, value ? chunk->max_definition : chunk->max_definition - 1,
                         is_in_list(writer, column) && writer->element_count > 0);
}

void parquet_writer_integer(struct parquet_writer *writer, size_t column, int64_t value)
{
    uint8_t truth = value != 0;
    if (writer->chunks[column].column->type == PARQUET_BOOLEAN)
        append(writer, column, &truth, sizeof truth);
    else
        append(writer, column, &value, sizeof value); /* low byte first, as all machines that this runs on have it */
}

void parquet_writer_real(struct parquet_writer *writer, size_t column, double value)
{
    append(writer, column, &value, sizeof value);
}

void parquet_writer_null(struct parquet_writer *writer, size_t column)
{
    append(writer, column, NULL, 0);
}

void parquet_writer_text(struct parquet_writer *writer, size_t column, const char *text)
{
    if (!text && writer->chunks[column].column->is_optional) {
        parquet_writer_null(writer, column);
        return;
    }
    uint32_t number = text_index_of(&writer->chunks[column].dictionary, text);
    append(writer, column, &number, sizeof number);
}

void parquet_writer_element_end(struct parquet_writer *writer)
{
    writer->element_count++;
}

void parquet_writer_row_end(struct parquet_writer *writer)
{
    for (size_t i = writer->schema->column_count; i < writer->chunk_count && !writer->element_count; i++)
        parquet_chunk_append(&writer->chunks[i], NULL, 0, 0, 0); /* an empty list */
    writer->element_count = 0;
    writer->group_row_count++;
}

void parquet_writer_note(struct parquet_writer *writer, const char *key, const char *value)
{
    uint32_t numbers[] = {text_index_of(&writer->notes, key), text_index_of(&writer->notes, value)};
    output_buffer_append(&writer->note_numbers, numbers, sizeof numbers);
}

/* ---- groups ---- */

int parquet_writer_is_full(const struct parquet_writer *writer)
{
    for (size_t i = 0; i < writer->chunk_count; i++)
        if (writer->chunks[i].level_count >= MAX_LEVELS)
            return 1;
    return 0;
}

static struct row_group *add_group(struct parquet_writer *writer)
{
    struct row_group *groups = reallocarray(writer->groups, writer->group_count + 1, sizeof *groups);
    if (!groups)
        return NULL;
    writer->groups = groups;
    groups[writer->group_count] = (struct row_group){writer->group_row_count, calloc(writer->chunk_count, sizeof *groups->places)};
    return groups[writer->group_count].places ? &groups[writer->group_count++] : NULL;
}

static int write_group(struct parquet_writer *writer, int64_t file_offset, struct output_buffer *out)
{
    struct row_group *group = add_group(writer);
    int status = group ? STATUS_OK : STATUS_NO_MEMORY;
    for (size_t i = 0; i < writer->chunk_count && !status; i++)
        status = parquet_chunk_write(&writer->chunks[i], file_offset, out, &group->places[i]);
    writer->row_count += writer->group_row_count;
    writer->group_row_count = 0;
    return status;
}

int parquet_writer_flush(struct parquet_writer *writer, struct output_buffer *out)
{
    size_t start = out->count;
    int status = STATUS_OK;
    if (!writer->file_bytes)
        output_buffer_append(out, MAGIC, MAGIC_BYTES);
    if (writer->group_row_count)
        status = write_group(writer, writer->file_bytes - (int64_t)start, out);
    writer->file_bytes += (int64_t)(out->count - start);
    return out->has_failed ? STATUS_NO_MEMORY : status;
}

/* ---- the footer ---- */

static void write_group_node(struct thrift_writer *footer, const char *name, int repetition, int32_t child_count, int is_list)
{
    thrift_element_begin(footer);
    if (repetition >= 0)
        thrift_i32(footer, ELEMENT_REPETITION, repetition);
    thrift_text(footer, ELEMENT_NAME, name);
    thrift_i32(footer, ELEMENT_CHILD_COUNT, child_count);
    if (is_list) {
        thrift_i32(footer, ELEMENT_CONVERTED_TYPE, CONVERTED_LIST);
        thrift_begin(footer, ELEMENT_LOGICAL_TYPE);
        thrift_begin(footer, LOGICAL_LIST);
        thrift_end(footer);
        thrift_end(footer);
    }
    thrift_end(footer);
}

static int physical_type(enum parquet_type type)
{
    switch (type) {
    case PARQUET_TEXT: return PHYSICAL_BYTE_ARRAY;
    case PARQUET_BOOLEAN: return PHYSICAL_BOOLEAN;
    case PARQUET_REAL: return PHYSICAL_DOUBLE;
    default: return PHYSICAL_INT64;
    }
}

static void write_timestamp_type(struct thrift_writer *footer)
{
    thrift_i32(footer, ELEMENT_CONVERTED_TYPE, CONVERTED_TIMESTAMP_MICROS);
    thrift_begin(footer, ELEMENT_LOGICAL_TYPE);
    thrift_begin(footer, LOGICAL_TIMESTAMP);
    thrift_boolean(footer, TIMESTAMP_IS_UTC, 1);
    thrift_begin(footer, TIMESTAMP_UNIT);
    thrift_begin(footer, UNIT_MICROS);
    for (int i = 0; i < 4; i++)
        thrift_end(footer);
}

static void write_text_type(struct thrift_writer *footer)
{
    thrift_i32(footer, ELEMENT_CONVERTED_TYPE, CONVERTED_UTF8);
    thrift_begin(footer, ELEMENT_LOGICAL_TYPE);
    thrift_begin(footer, LOGICAL_STRING);
    thrift_end(footer);
    thrift_end(footer);
}

static void write_leaf_node(struct thrift_writer *footer, const struct parquet_column *column)
{
    thrift_element_begin(footer);
    thrift_i32(footer, ELEMENT_TYPE, physical_type(column->type));
    thrift_i32(footer, ELEMENT_REPETITION, column->is_optional ? REPETITION_OPTIONAL : REPETITION_REQUIRED);
    thrift_text(footer, ELEMENT_NAME, column->name);
    if (column->type == PARQUET_TEXT)
        write_text_type(footer);
    if (column->type == PARQUET_TIME_MICROSECONDS)
        write_timestamp_type(footer);
    thrift_end(footer);
}

/* The tree of columns, depth first. */
static void write_schema(struct thrift_writer *footer, const struct parquet_schema *schema)
{
    size_t list_nodes = schema->list_name ? 3 : 0;
    thrift_list(footer, FILE_SCHEMA, THRIFT_STRUCT, 1 + schema->column_count + list_nodes + schema->list_column_count);
    write_group_node(footer, "schema", -1, (int32_t)(schema->column_count + (schema->list_name != NULL)), 0);
    for (size_t i = 0; i < schema->column_count; i++)
        write_leaf_node(footer, &schema->columns[i]);
    if (!schema->list_name)
        return;
    write_group_node(footer, schema->list_name, REPETITION_REQUIRED, 1, 1);
    write_group_node(footer, "list", REPETITION_REPEATED, 1, 0);
    write_group_node(footer, "element", REPETITION_REQUIRED, (int32_t)schema->list_column_count, 0);
    for (size_t i = 0; i < schema->list_column_count; i++)
        write_leaf_node(footer, &schema->list_columns[i]);
}

static void write_path(struct thrift_writer *footer, const struct parquet_writer *writer, size_t column)
{
    thrift_list(footer, COLUMN_PATH, THRIFT_BINARY, is_in_list(writer, column) ? 4 : 1);
    if (is_in_list(writer, column)) {
        thrift_element_text(footer, writer->schema->list_name);
        thrift_element_text(footer, "list");
        thrift_element_text(footer, "element");
    }
    thrift_element_text(footer, writer->chunks[column].column->name);
}

static void write_chunk(struct thrift_writer *footer, const struct parquet_writer *writer, size_t column, const struct parquet_chunk_place *place)
{
    thrift_element_begin(footer);
    thrift_i64(footer, COLUMN_CHUNK_OFFSET, place->first_offset);
    thrift_begin(footer, COLUMN_CHUNK_METADATA);
    thrift_i32(footer, COLUMN_TYPE, physical_type(writer->chunks[column].column->type));
    thrift_list(footer, COLUMN_ENCODINGS, THRIFT_I32, place->has_dictionary ? 3 : 2);
    thrift_element_i32(footer, ENCODING_PLAIN);
    thrift_element_i32(footer, ENCODING_RLE);
    if (place->has_dictionary)
        thrift_element_i32(footer, ENCODING_RLE_DICTIONARY);
    write_path(footer, writer, column);
    thrift_i32(footer, COLUMN_CODEC, CODEC_ZSTD);
    thrift_i64(footer, COLUMN_VALUE_COUNT, place->level_count);
    thrift_i64(footer, COLUMN_UNCOMPRESSED, place->uncompressed_bytes);
    thrift_i64(footer, COLUMN_COMPRESSED, place->compressed_bytes);
    thrift_i64(footer, COLUMN_DATA_OFFSET, place->data_offset);
    if (place->has_dictionary)
        thrift_i64(footer, COLUMN_DICTIONARY_OFFSET, place->first_offset);
    thrift_end(footer);
    thrift_end(footer);
}

static void write_groups(struct thrift_writer *footer, const struct parquet_writer *writer)
{
    thrift_list(footer, FILE_ROW_GROUPS, THRIFT_STRUCT, writer->group_count);
    for (size_t i = 0; i < writer->group_count; i++) {
        const struct row_group *group = &writer->groups[i];
        int64_t bytes = 0;
        thrift_element_begin(footer);
        thrift_list(footer, ROW_GROUP_COLUMNS, THRIFT_STRUCT, writer->chunk_count);
        for (size_t column = 0; column < writer->chunk_count; column++) {
            write_chunk(footer, writer, column, &group->places[column]);
            bytes += group->places[column].uncompressed_bytes;
        }
        thrift_i64(footer, ROW_GROUP_BYTES, bytes);
        thrift_i64(footer, ROW_GROUP_ROW_COUNT, group->row_count);
        thrift_end(footer);
    }
}

static void write_notes(struct thrift_writer *footer, const struct parquet_writer *writer)
{
    size_t count = writer->note_numbers.count / (2 * sizeof(uint32_t));
    thrift_list(footer, FILE_NOTES, THRIFT_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t numbers[2];
        memcpy(numbers, writer->note_numbers.bytes + i * sizeof numbers, sizeof numbers);
        thrift_element_begin(footer);
        thrift_text(footer, KEY_VALUE_KEY, writer->notes.texts[numbers[0]]);
        thrift_text(footer, KEY_VALUE_VALUE, writer->notes.texts[numbers[1]]);
        thrift_end(footer);
    }
}

int parquet_writer_finish(struct parquet_writer *writer, struct output_buffer *out, const char *created_by)
{
    int status = parquet_writer_flush(writer, out);
    size_t start = out->count;
    struct thrift_writer footer = {.out = out};
    if (status || writer->notes.has_failed || writer->note_numbers.has_failed)
        return STATUS_NO_MEMORY;
    thrift_i32(&footer, FILE_VERSION, FORMAT_VERSION);
    write_schema(&footer, writer->schema);
    thrift_i64(&footer, FILE_ROW_COUNT, writer->row_count);
    write_groups(&footer, writer);
    write_notes(&footer, writer);
    thrift_text(&footer, FILE_CREATED_BY, created_by);
    thrift_end(&footer);
    output_buffer_append_number(out, out->count - start, 4);
    output_buffer_append(out, MAGIC, MAGIC_BYTES);
    return out->has_failed ? STATUS_NO_MEMORY : STATUS_OK;
}
