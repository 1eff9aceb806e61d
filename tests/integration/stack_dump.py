"""Reads what tests/tools/stack_probe.c writes: events, and the definitions that explain their stacks."""

import pathlib
import struct

DEFINE_CODE, DEFINE_CODE_TABLE, DEFINE_NODE, DEFINE_MODULE, DEFINE_THREAD = 2, 3, 4, 5, 6
EVENT_ALLOCATE, EVENT_ALLOCATE_OBJECT, EVENT_FREE = 6, 8, 10
NODE_CUT = 0xFFFFFFFF
CUT = ("<cut>", "", None)


def lines_before_3_10(table, first_line):
    """co_lnotab: pairs of (bytes of code, lines); Objects/lnotab_notes.txt."""
    def line_of(instruction):
        line, address = first_line, 0
        for code_bytes, line_delta in zip(table[::2], table[1::2]):
            address += code_bytes
            if address > instruction:
                break
            line += line_delta - 256 if line_delta >= 128 else line_delta
        return line
    return line_of


def lines_3_10(table, first_line):
    """co_linetable of PEP 626: pairs of (bytes of code, lines), -128: no line."""
    def line_of(instruction):
        line, end = first_line, 0
        for code_bytes, line_delta in zip(table[::2], table[1::2]):
            line_delta = line_delta - 256 if line_delta >= 128 else line_delta
            start, end = end, end + code_bytes
            if line_delta != -128:
                line += line_delta
            if start <= 2 * instruction < end:
                return None if line_delta == -128 else line
        return first_line
    return line_of


def lines_from_3_11(table, first_line):
    """The location table; Objects/locations.md (3.11), InternalDocs/code_objects.md (3.14)."""
    rows, position, unit, line = [], 0, 0, first_line

    def variable():
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = table[position]
            position += 1
            value |= (byte & 63) << shift
            shift += 6
            if not byte & 64:
                return value

    def signed():
        value = variable()
        return -(value >> 1) if value & 1 else value >> 1

    while position < len(table):
        byte = table[position]
        position += 1
        kind, units = byte >> 3 & 15, (byte & 7) + 1
        if kind == 14:
            line += signed()
            variable(), variable(), variable()
        elif kind == 13:
            line += signed()
        elif kind == 15:
            pass
        elif kind >= 10:
            line += kind - 10
            position += 2
        else:
            position += 1
        rows.append((unit, unit + units, None if kind == 15 else line))
        unit += units

    def line_of(instruction):
        return next((line for start, end, line in rows if start <= instruction < end), first_line)
    return line_of


def line_reader(version):
    return lines_before_3_10 if version < 0x030A else lines_3_10 if version < 0x030B else lines_from_3_11


class Dump:
    """prefix: $STACK_PROBE_OUTPUT. A forked child's dump builds on its parent's definitions."""

    def __init__(self, prefix, parent=None):
        prefix = str(prefix)
        self.codes = dict(parent.codes) if parent else {}
        self.nodes = dict(parent.nodes) if parent else {}
        self.modules = dict(parent.modules) if parent else {}
        self.stacks = {0: ()}
        self.read_definitions(pathlib.Path(prefix + ".definitions").read_bytes())
        self.events = list(struct.iter_unpack("<QQII", pathlib.Path(prefix + ".events").read_bytes()))
        facts = pathlib.Path(prefix + ".facts")
        self.facts = {}
        if facts.exists():
            self.facts = {key: int(value) for key, value in (line.split() for line in facts.read_text().splitlines())}

    def read_definitions(self, data):
        tables, offset = {}, 0
        while offset < len(data):
            size, kind = struct.unpack_from("<II", data, offset)
            body = data[offset + 8:offset + size]
            if kind == DEFINE_CODE:
                code_id, first_line, file_bytes, name_bytes, table_bytes, version = struct.unpack_from("<IiIIII", body)
                assert code_id not in self.codes and len(body) == 24 + file_bytes + name_bytes
                text = body[24:]
                tables[code_id] = bytearray()
                self.codes[code_id] = [text[file_bytes:].decode(), text[:file_bytes].decode(), first_line, version, tables[code_id]]
                self.codes[code_id].append(table_bytes)
            elif kind == DEFINE_CODE_TABLE:
                code_id, start = struct.unpack_from("<II", body)
                assert start == len(tables[code_id]) and len(body) <= 8 + (64 << 10)
                tables[code_id] += body[8:]
            elif kind == DEFINE_NODE:
                node_id, parent, code_id, instruction, address, module, _ = struct.unpack("<IIIiQII", body)
                assert node_id == len(self.nodes) + 1 and parent < node_id
                self.nodes[node_id] = (parent, code_id, instruction, address, module)
            elif kind == DEFINE_MODULE:
                module, id_bytes, path_bytes, _, bias, start, end = struct.unpack_from("<IIIIQQQ", body)
                assert module == len(self.modules) + 1
                text = body[40:]
                self.modules[module] = (text[id_bytes:].decode(), text[:id_bytes].hex(), bias, start, end)
            offset += (size + 7) & ~7
        for code in self.codes.values():
            if len(code) == 6:
                assert len(code[4]) == code.pop()
                code.append(line_reader(code[3])(bytes(code[4]), code[2]))

    def frame(self, node):
        _, code_id, instruction, address, module = self.nodes[node]
        if code_id == NODE_CUT:
            return CUT
        if code_id == 0:
            return ("<native>", self.modules[module][0] if module else "", address)
        name, file, _, _, _, line_of = self.codes[code_id]
        return (name, file, line_of(instruction))

    def stack(self, node):
        """Frames, innermost first, each (function, file, line)."""
        frames = []
        while node:
            frames.append(self.frame(node))
            node = self.nodes[node][0]
        return frames

    def allocations(self):
        """(opcode, size, stack id) of each allocation, the _BIG opcodes folded in."""
        for word, size, stack, _ in self.events:
            opcode = word >> 56
            if opcode in (EVENT_ALLOCATE, EVENT_ALLOCATE + 1):
                yield EVENT_ALLOCATE, size, stack
            elif opcode in (EVENT_ALLOCATE_OBJECT, EVENT_ALLOCATE_OBJECT + 1):
                yield EVENT_ALLOCATE_OBJECT, size, stack
