/* Decoders of CPython's three line table formats (line_table.h). Each walks the table from its start, as the interpreter does:
 * a table is looked up once for each distinct instruction that ever allocated, so no index is worth keeping. */
#include "line_table.h"

#define VERSION_3_10 0x030a
#define VERSION_3_11 0x030b

/* Lines are summed from untrusted differences: in 64 bits, and only sensible ones are given out. */
static int32_t valid_line(int64_t line)
{
    return line > 0 && line <= INT32_MAX ? (int32_t)line : 0;
}

/* Pairs (bytes of code, signed lines) added before the code they speak of: PyCode_Addr2Line up to 3.9. */
static int32_t find_in_lnotab(const struct line_table *table, int32_t instruction)
{
    int64_t line = table->first_line, address = 0;
    for (size_t i = 0; i + 1 < table->byte_count; i += 2) {
        address += table->bytes[i];
        if (address > instruction)
            break;
        line += (int8_t)table->bytes[i + 1];
    }
    return valid_line(line);
}

/* Pairs (bytes of code, signed lines) that apply to that stretch of code; -128: it has no line. */
static int32_t find_in_linetable(const struct line_table *table, int32_t instruction)
{
    int64_t line = table->first_line, end = 0, wanted = (int64_t)instruction * 2;
    for (size_t i = 0; i + 1 < table->byte_count; i += 2) {
        int8_t difference = (int8_t)table->bytes[i + 1];
        if (difference != -128)
            line += difference;
        end += table->bytes[i];
        if (wanted < end)
            return difference == -128 ? 0 : valid_line(line);
    }
    return 0;
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
static int32_t find_in_location_table(const struct line_table *table, int32_t instruction)
{
    int64_t line = table->first_line, end = 0;
    for (size_t position = 0; position < table->byte_count;) {
        uint8_t head = table->bytes[position++];
        unsigned code = (head >> 3) & 15;
        end += (head & 7) + 1;
        if (code == LOCATION_LONG || code == LOCATION_NO_COLUMNS)
            line += read_signed_varint(table, &position);
        else if (code >= LOCATION_ONE_LINE_0 && code < LOCATION_NO_COLUMNS)
            line += code - LOCATION_ONE_LINE_0;
        if (instruction < end)
            return code == LOCATION_NONE ? 0 : valid_line(line);
        if (code == LOCATION_LONG) {
            for (int column_field = 0; column_field < 3; column_field++)
                read_varint(table, &position);
        } else if (code < LOCATION_NO_COLUMNS) {
            position += code < LOCATION_ONE_LINE_0 ? 1 : 2;
        }
    }
    return 0;
}

int32_t line_table_find(const struct line_table *table, int32_t instruction)
{
    if (instruction < 0)
        return 0;
    if (table->python_version < VERSION_3_10)
        return find_in_lnotab(table, instruction);
    if (table->python_version < VERSION_3_11)
        return find_in_linetable(table, instruction);
    return find_in_location_table(table, instruction);
}
