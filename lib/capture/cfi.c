/* See cfi.h. The interpreter of call frame instructions keeps the three rules that a row can hold; everything else is beyond rows. */
#include "cfi.h"

#include <dlfcn.h>
#include <string.h>

#include "compiler.h"
#include "native_machine.h"

#if NATIVE_MACHINE_HAS_ROWS && defined(DLFO_STRUCT_HAS_EH_DBASE)

enum { REGISTER_RBP = 6, REGISTER_RSP = 7, REGISTER_RETURN = 16 };
enum { STATE_STACK_DEPTH = 8 };

enum register_rule { RULE_SAME, RULE_OFFSET, RULE_AT_FRAME_POINTER, RULE_UNDEFINED, RULE_OTHER };

struct frame_rules {
    uint64_t cfa_register;
    int64_t cfa_offset;
    const uint8_t *cfa_expression; /* NULL: register and offset */
    uint64_t cfa_expression_bytes;
    enum register_rule frame_pointer, return_address;
    int64_t frame_pointer_offset, return_address_offset;
};

/* A common information entry, as far as it matters here. */
struct cie {
    uint64_t code_factor;
    int64_t data_factor;
    uint8_t pointer_encoding;
    int is_signal, has_augmentation;
    const uint8_t *instructions, *end;
};

/* ---- encoded numbers; every reader stops at `end` ---- */

struct reader {
    const uint8_t *at, *end;
};

static uint64_t read_fixed(struct reader *reader, unsigned bytes)
{
    uint64_t value = 0;
    if ((uint64_t)(reader->end - reader->at) < bytes) {
        reader->at = reader->end;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)reader->at[i] << 8 * i;
    reader->at += bytes;
    return value;
}

static uint64_t read_uleb(struct reader *reader)
{
    uint64_t value = 0;
    unsigned shift = 0;
    while (reader->at < reader->end) {
        uint8_t byte = *reader->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

static int64_t read_sleb(struct reader *reader)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0;
    while (reader->at < reader->end) {
        byte = *reader->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80))
            break;
    }
    if (shift < 64 && (byte & 0x40))
        value |= ~0ull << shift;
    return (int64_t)value;
}

/* DW_EH_PE_*: format in the low four bits, what it is relative to in the next three. */
static uint64_t read_encoded(struct reader *reader, uint8_t encoding, uint64_t data_base)
{
    uint64_t place = (uintptr_t)reader->at, value;
    if (encoding == 0xff)
        return 0;
    switch (encoding & 0x0f) {
    case 0x00: case 0x04: case 0x0c: value = read_fixed(reader, 8); break;
    case 0x01: value = read_uleb(reader); break;
    case 0x02: value = read_fixed(reader, 2); break;
    case 0x03: value = read_fixed(reader, 4); break;
    case 0x09: value = (uint64_t)read_sleb(reader); break;
    case 0x0a: value = (uint64_t)(int64_t)(int16_t)read_fixed(reader, 2); break;
    case 0x0b: value = (uint64_t)(int64_t)(int32_t)read_fixed(reader, 4); break;
    default: return 0;
    }
    if (!value)
        return 0;
    switch (encoding & 0x70) {
    case 0x10: return value + place;
    case 0x30: return value + data_base;
    default: return value;
    }
}

/* ---- entries ---- */

/* The entry that begins here: its contents after the length. Empty where the length is the 64-bit escape, which linkers don't make. */
static struct reader open_entry(const uint8_t *entry)
{
    uint32_t bytes;
    memcpy(&bytes, entry, 4);
    if (bytes == 0xffffffff)
        bytes = 0;
    return (struct reader){entry + 4, entry + 4 + bytes};
}

static int read_cie(const uint8_t *entry, struct cie *cie)
{
    struct reader reader = open_entry(entry);
    read_fixed(&reader, 4);
    uint64_t version = read_fixed(&reader, 1);
    const char *augmentation = (const char *)reader.at;
    reader.at += strnlen(augmentation, (size_t)(reader.end - reader.at)) + 1;
    if ((version != 1 && version != 3) || reader.at >= reader.end)
        return 0;
    *cie = (struct cie){.code_factor = read_uleb(&reader), .end = reader.end};
    cie->data_factor = read_sleb(&reader);
    if ((version == 1 ? read_fixed(&reader, 1) : read_uleb(&reader)) != REGISTER_RETURN)
        return 0;
    cie->instructions = reader.at;
    if (*augmentation != 'z')
        return *augmentation == 0;
    cie->has_augmentation = 1;
    uint64_t bytes = read_uleb(&reader);
    cie->instructions = reader.at + bytes;
    for (const char *letter = augmentation + 1; *letter; letter++)
        switch (*letter) {
        case 'R': cie->pointer_encoding = (uint8_t)read_fixed(&reader, 1); break;
        case 'L': read_fixed(&reader, 1); break;
        case 'P': read_encoded(&reader, (uint8_t)read_fixed(&reader, 1), 0); break;
        case 'S': cie->is_signal = 1; break;
        default: return cie->instructions <= cie->end;
        }
    return cie->instructions <= cie->end;
}

/* ---- call frame instructions ---- */

static void set_rule(struct frame_rules *rules, uint64_t which, enum register_rule rule, int64_t offset)
{
    if (which == REGISTER_RBP) {
        rules->frame_pointer = rule;
        rules->frame_pointer_offset = offset;
    } else if (which == REGISTER_RETURN) {
        rules->return_address = rule;
        rules->return_address_offset = offset;
    }
}

static void restore_rule(struct frame_rules *rules, const struct frame_rules *initial, uint64_t which)
{
    if (which == REGISTER_RBP)
        set_rule(rules, which, initial->frame_pointer, initial->frame_pointer_offset);
    else if (which == REGISTER_RETURN)
        set_rule(rules, which, initial->return_address, initial->return_address_offset);
}

/* DW_CFA_expression: DW_OP_breg6 0 is how gcc says "where the frame pointer points to", in functions that realign the stack. */
static void set_expression(struct frame_rules *rules, struct reader *reader, uint64_t which)
{
    uint64_t bytes = read_uleb(reader);
    if (bytes > (uint64_t)(reader->end - reader->at))
        bytes = (uint64_t)(reader->end - reader->at);
    int at_frame_pointer = bytes == 2 && reader->at[0] == 0x76 && reader->at[1] == 0;
    set_rule(rules, which, at_frame_pointer ? RULE_AT_FRAME_POINTER : RULE_OTHER, 0);
    reader->at += bytes;
}

static void skip_block(struct reader *reader)
{
    uint64_t bytes = read_uleb(reader);
    reader->at = bytes > (uint64_t)(reader->end - reader->at) ? reader->end : reader->at + bytes;
}

static void set_cfa(struct frame_rules *rules, uint64_t which, int64_t offset)
{
    rules->cfa_register = which;
    rules->cfa_offset = offset;
    rules->cfa_expression = NULL;
}

struct cfi_machine {
    struct frame_rules rules, initial, saved[STATE_STACK_DEPTH];
    unsigned saved_count;
    uint64_t location;
};

/* Instructions without an operand in their opcode. 0: one that we don't know. */
static int run_extended(struct cfi_machine *machine, struct reader *reader, const struct cie *cie, uint8_t opcode)
{
    struct frame_rules *rules = &machine->rules;
    uint64_t which;
    switch (opcode) {
    case 0x00: return 1; /* nop */
    case 0x01: machine->location = read_encoded(reader, cie->pointer_encoding, 0); return 1;
    case 0x02: machine->location += read_fixed(reader, 1) * cie->code_factor; return 1;
    case 0x03: machine->location += read_fixed(reader, 2) * cie->code_factor; return 1;
    case 0x04: machine->location += read_fixed(reader, 4) * cie->code_factor; return 1;
    case 0x05: which = read_uleb(reader); set_rule(rules, which, RULE_OFFSET, (int64_t)read_uleb(reader) * cie->data_factor); return 1;
    case 0x06: restore_rule(rules, &machine->initial, read_uleb(reader)); return 1;
    case 0x07: set_rule(rules, read_uleb(reader), RULE_UNDEFINED, 0); return 1;
    case 0x08: set_rule(rules, read_uleb(reader), RULE_SAME, 0); return 1;
    case 0x09: which = read_uleb(reader); read_uleb(reader); set_rule(rules, which, RULE_OTHER, 0); return 1;
    case 0x0a:
        if (machine->saved_count < STATE_STACK_DEPTH)
            machine->saved[machine->saved_count++] = *rules;
        return 1;
    case 0x0b:
        if (machine->saved_count > 0)
            *rules = machine->saved[--machine->saved_count];
        return 1;
    case 0x0c: which = read_uleb(reader); set_cfa(rules, which, (int64_t)read_uleb(reader)); return 1;
    case 0x0d: set_cfa(rules, read_uleb(reader), rules->cfa_offset); return 1;
    case 0x0e: set_cfa(rules, rules->cfa_register, (int64_t)read_uleb(reader)); return 1;
    case 0x0f:
        rules->cfa_expression_bytes = read_uleb(reader);
        rules->cfa_expression = reader->at;
        if (rules->cfa_expression_bytes > (uint64_t)(reader->end - reader->at))
            return 0;
        reader->at += rules->cfa_expression_bytes;
        return 1;
    case 0x10: set_expression(rules, reader, read_uleb(reader)); return 1;
    case 0x11: which = read_uleb(reader); set_rule(rules, which, RULE_OFFSET, read_sleb(reader) * cie->data_factor); return 1;
    case 0x12: which = read_uleb(reader); set_cfa(rules, which, read_sleb(reader) * cie->data_factor); return 1;
    case 0x13: set_cfa(rules, rules->cfa_register, read_sleb(reader) * cie->data_factor); return 1;
    case 0x14: which = read_uleb(reader); read_uleb(reader); set_rule(rules, which, RULE_OTHER, 0); return 1;
    case 0x15: which = read_uleb(reader); read_sleb(reader); set_rule(rules, which, RULE_OTHER, 0); return 1;
    case 0x16: which = read_uleb(reader); skip_block(reader); set_rule(rules, which, RULE_OTHER, 0); return 1;
    case 0x2e: read_uleb(reader); return 1; /* GNU_args_size */
    default: return 0;
    }
}

/* Run until the location passes the address. */
static int run(struct cfi_machine *machine, struct reader reader, const struct cie *cie, uint64_t address)
{
    while (reader.at < reader.end && machine->location <= address) {
        uint8_t opcode = *reader.at++, operand = opcode & 0x3f;
        struct frame_rules before = machine->rules;
        switch (opcode & 0xc0) {
        case 0x40: machine->location += operand * cie->code_factor; break;
        case 0x80: set_rule(&machine->rules, operand, RULE_OFFSET, (int64_t)read_uleb(&reader) * cie->data_factor); break;
        case 0xc0: restore_rule(&machine->rules, &machine->initial, operand); break;
        default:
            if (!run_extended(machine, &reader, cie, opcode))
                return 0;
        }
        if (machine->location > address)
            machine->rules = before;
    }
    return 1;
}

/* ---- rules to a row ---- */

/* The linker's PLT: rsp + 8 + ((rip & 15) >= limit) * 8. */
static int is_plt_expression(const struct frame_rules *rules)
{
    const uint8_t *bytes = rules->cfa_expression;
    return rules->cfa_expression_bytes == 11 && bytes[0] == 0x77 && bytes[1] == 8 && bytes[2] == 0x80;
}

/* 0: the numbers don't fit a row. */
static int set_row(struct cfi_row *row, enum cfi_kind kind, int64_t offset, int64_t frame_pointer_offset)
{
    if (offset & CFI_KIND_MASK || offset != (int32_t)offset || frame_pointer_offset != (int16_t)frame_pointer_offset)
        return 0;
    row->rule = CFI_RULE(kind, offset);
    row->frame_pointer_offset = (int16_t)frame_pointer_offset;
    return 1;
}

/* What is saved lies between where the offset begins and the return address: who steps by such a row need not check that. */
static int set_plain_row(struct cfi_row *row, enum cfi_kind kind, int64_t offset, int64_t frame_pointer_offset)
{
    if (offset < 8 || (frame_pointer_offset && (frame_pointer_offset < -offset || frame_pointer_offset > -16)))
        return 0;
    return set_row(row, kind, offset, frame_pointer_offset);
}

static int expression_to_row(const struct frame_rules *rules, struct cfi_row *row)
{
    struct reader reader = {rules->cfa_expression, rules->cfa_expression + rules->cfa_expression_bytes};
    if (is_plt_expression(rules))
        return set_row(row, CFI_PLT, (rules->cfa_expression[6] & 0x1f) * 8, 0);
    if (read_fixed(&reader, 1) != 0x76) /* DW_OP_breg6 */
        return 0;
    int64_t offset = read_sleb(&reader);
    if (reader.end - reader.at != 1 || *reader.at != 0x06) /* DW_OP_deref */
        return 0;
    switch (rules->frame_pointer) {
    case RULE_AT_FRAME_POINTER: return set_row(row, CFI_FROM_MEMORY, offset, CFI_FRAME_POINTER_AT_ITSELF);
    case RULE_OFFSET: return set_row(row, CFI_FROM_MEMORY, offset, rules->frame_pointer_offset);
    default: return set_row(row, CFI_FROM_MEMORY, offset, 0);
    }
}

static int rules_to_row(const struct frame_rules *rules, struct cfi_row *row)
{
    if (rules->return_address == RULE_UNDEFINED)
        return set_row(row, CFI_OUTERMOST, 0, 0);
    int plain_return = rules->return_address == RULE_SAME || (rules->return_address == RULE_OFFSET && rules->return_address_offset == -8);
    if (!plain_return || rules->frame_pointer == RULE_OTHER || rules->frame_pointer == RULE_UNDEFINED)
        return 0;
    if (rules->cfa_expression)
        return expression_to_row(rules, row);
    if (rules->frame_pointer == RULE_AT_FRAME_POINTER || (rules->cfa_register != REGISTER_RSP && rules->cfa_register != REGISTER_RBP))
        return 0;
    return set_plain_row(row, rules->cfa_register == REGISTER_RSP ? CFI_FROM_STACK : CFI_FROM_FRAME, rules->cfa_offset,
                         rules->frame_pointer == RULE_OFFSET ? rules->frame_pointer_offset : 0);
}

static void entry_to_row(const uint8_t *entry, uint64_t address, struct cfi_row *row)
{
    struct reader reader = open_entry(entry);
    const uint8_t *cie_pointer = reader.at;
    uint64_t back = read_fixed(&reader, 4);
    struct cie cie;
    if (!back || !read_cie(cie_pointer - back, &cie))
        return;
    uint64_t start = read_encoded(&reader, cie.pointer_encoding, 0);
    uint64_t bytes = read_encoded(&reader, cie.pointer_encoding & 0x0f, 0);
    if (address - start >= bytes)
        return;
    row->rule = CFI_RULE(CFI_BEYOND_ROWS, 0);
    if (cie.has_augmentation)
        skip_block(&reader);
    if (cie.is_signal) {
        set_row(row, CFI_SIGNAL, 0, 0);
        return;
    }
    struct cfi_machine machine = {.location = start};
    if (!run(&machine, (struct reader){cie.instructions, cie.end}, &cie, ~0ull))
        return;
    machine.initial = machine.rules;
    machine.location = start;
    if (run(&machine, reader, &cie, address))
        rules_to_row(&machine.rules, row);
}

/* The binary search table of .eh_frame_hdr: pairs of (start, entry), relative to the header, four bytes each. */
static const uint8_t *find_entry(const uint8_t *header, uint64_t address)
{
    if (header[0] != 1 || header[3] != 0x3b)
        return NULL;
    struct reader reader = {header + 4, header + 32};
    read_encoded(&reader, header[1], (uintptr_t)header);
    uint64_t count = read_encoded(&reader, header[2], (uintptr_t)header);
    const int32_t *table = (const int32_t *)reader.at;
    int64_t wanted = (int64_t)(address - (uintptr_t)header);
    if (!count || wanted < table[0])
        return NULL;
    uint64_t low = 0, high = count;
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        if (table[2 * middle] <= wanted)
            low = middle;
        else
            high = middle;
    }
    return header + table[2 * low + 1];
}

void cfi_find(uint64_t return_address, struct cfi_row *row)
{
    struct dl_find_object object;
    *row = (struct cfi_row){.rule = CFI_RULE(CFI_UNKNOWN, 0)};
    /* A call may be the last instruction of its function: look where the call is, not where it returns to. */
    if (_dl_find_object((void *)(uintptr_t)(return_address - 1), &object) != 0 || !object.dlfo_eh_frame)
        return;
    const uint8_t *entry = find_entry(object.dlfo_eh_frame, return_address - 1);
    if (entry)
        entry_to_row(entry, return_address - 1, row);
}

#else

void cfi_find(uint64_t return_address, struct cfi_row *row)
{
    *row = (struct cfi_row){.rule = CFI_RULE(CFI_UNKNOWN, 0)};
}

#endif
