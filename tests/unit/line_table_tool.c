/* Checks lib/analysis/line_table.c against what interpreters say themselves: tests/integration/test_line_tables.py feeds it.
 * Reads code objects on stdin, each: version, first line, bytes of the line table, number of instructions (four 32-bit numbers of
 * this machine), the line table, and the expected line of each instruction (32 bits; 0: none). Prints a summary; exit status 1 where a
 * line is wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "line_table.h"

struct head {
    uint32_t python_version;
    int32_t first_line;
    uint32_t table_bytes, instruction_count;
};

static void *read_bytes(size_t count)
{
    void *bytes = malloc(count ? count : 1);
    if (!bytes || fread(bytes, 1, count, stdin) != count) {
        fprintf(stderr, "the input ends too early\n");
        exit(2);
    }
    return bytes;
}

static unsigned long check_code(const struct head *head)
{
    uint8_t *bytes = read_bytes(head->table_bytes);
    int32_t *lines = read_bytes(head->instruction_count * sizeof *lines);
    struct line_table table = {bytes, head->table_bytes, head->python_version, head->first_line};
    struct line_cursor cursor, alone;
    unsigned long wrong = 0;
    line_cursor_begin(&cursor, &table);
    for (uint32_t i = 0; i < head->instruction_count; i++) {
        int32_t instruction = (int32_t)(head->python_version < 0x030a ? 2 * i : i);
        line_cursor_begin(&alone, &table);
        int32_t found = line_cursor_find(&alone, instruction), walked = line_cursor_find(&cursor, instruction);
        if ((found != lines[i] || walked != found) && !wrong++)
            printf("version %x, first line %d, instruction %d: line %d, expected %d\n", head->python_version, head->first_line, instruction,
                   found, lines[i]);
    }
    free(bytes);
    free(lines);
    return wrong;
}

int main(void)
{
    struct head head;
    unsigned long codes = 0, instructions = 0, wrong = 0;
    while (fread(&head, sizeof head, 1, stdin) == 1) {
        wrong += check_code(&head);
        instructions += head.instruction_count;
        codes++;
    }
    printf("%lu code objects, %lu instructions, %lu wrong\n", codes, instructions, wrong);
    return wrong != 0;
}
