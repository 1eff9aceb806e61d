/* Decoders of CPython's three line table formats (line_table.h). Each walks the table from its start, as the interpreter does. */
#include "line_table.h"

#define VERSION_3_10 0x030a
#define VERSION_3_11 0x030b

/* Lines are summed from untrusted differences: in 64 bits, and only sensible ones are given out. */
static int32_t valid_line(int64_t line)
{
    return line > 0 && line <= INT32_MAX ? (int32_t)line : 0;
}

/* Pairs (bytes of code, signed lines) added before the code they speak of: PyCode_Addr2Line up to 3.9. */
static void seek_in_lnotab(struct line_cursor *cursor, int32_t instruction)
{
    const struct line_table *table = cursor->table;
    while (cursor->position + 1 < table->byte_count && cursor->end + table->bytes[cursor->position] <= instruction) {
        cursor->end += table->bytes[cursor->position];
        cursor->line += (int8_t)table->bytes[cursor->position + 1];
        cursor->position += 2;
    }
    cursor->has_line = 1;
}

/* Pairs (bytes of code, signed lines) that apply to that stretch of code; -128: it has no line. */
static void seek_in_linetable(struct line_cursor *cursor, int32_t instruction)
{
    const struct line_table *table = cursor->table;
    int64_t wanted = (int64_t)instruction * 2;
    while (wanted >= cursor->end && cursor->position + 1 < table->byte_count) {
        int8_t difference = (int8_t)table->bytes[cursor->position + 1];
        cursor->has_line = difference != -128;
        cursor->line += cursor->has_line ? difference : 0;
        cursor->end += table->bytes[cursor->position];
        cursor->position += 2;
    }
    cursor->has_line &= wanted < cursor->end;
}

/* Six bits a byte, the least significant first; bit 6: more follow. */
static uint32_t read_varint(const struct line_table *table, size_t *position)
{
    uint32_t value = 0;
    unsigned shift = 0;
    while (*position < table->byte_count) {
        uint8_t byte = table->bytes[(*position)++];
        if (shift < 32)
            value |= (uint32_t)(byte & 63) << shift;
        shift += 6;
        if (!(byte & 64))
            break;
    }
    return value;
}

/* The sign is the lowest bit. */
static int64_t read_signed_varint(const struct line_table *table, size_t *position)
{
    uint32_t value = read_varint(table, position);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

enum location_code {
    LOCATION_ONE_LINE_0 = 10, /* 10 to 12: this many lines on, and two columns */
    LOCATION_NO_COLUMNS = 13,
    LOCATION_LONG = 14,
    LOCATION_NONE = 15,
};

/* Entries: a byte 1cccclll (code, length - 1 in code units), then what the code asks for. */
static void pass_location(struct line_cursor *cursor)
{
    const struct line_table *table = cursor->table;
    uint8_t head = table->bytes[cursor->position++];
    unsigned code = (head >> 3) & 15;
    cursor->end += (head & 7) + 1;
    cursor->has_line = code != LOCATION_NONE;
    if (code == LOCATION_LONG || code == LOCATION_NO_COLUMNS)
        cursor->line += read_signed_varint(table, &cursor->position);
    else if (code >= LOCATION_ONE_LINE_0 && code < LOCATION_NO_COLUMNS)
        cursor->line += code - LOCATION_ONE_LINE_0;
    if (code == LOCATION_LONG) {
        for (int column_field = 0; column_field < 3; column_field++)
            read_varint(table, &cursor->position);
    } else if (code < LOCATION_NO_COLUMNS) {
        cursor->position += code < LOCATION_ONE_LINE_0 ? 1 : 2;
    }
}

static void seek_in_location_table(struct line_cursor *cursor, int32_t instruction)
{
    while (instruction >= cursor->end && cursor->position < cursor->table->byte_count)
        pass_location(cursor);
    cursor->has_line &= instruction < cursor->end;
}

void line_cursor_begin(struct line_cursor *cursor, const struct line_table *table)
{
    *cursor = (struct line_cursor){.table = table, .line = table->first_line};
}

int32_t line_cursor_find(struct line_cursor *cursor, int32_t instruction)
{
    if (instruction < 0)
        return 0;
    if (cursor->table->python_version < VERSION_3_10)
        seek_in_lnotab(cursor, instruction);
    else if (cursor->table->python_version < VERSION_3_11)
        seek_in_linetable(cursor, instruction);
    else
        seek_in_location_table(cursor, instruction);
    return cursor->has_line ? valid_line(cursor->line) : 0;
}
