"""A second reader of traces, written from docs/trace_format.md alone, to show that the document is enough. Slow and strict.
Only the standard library, and libzstd through ctypes."""

import ctypes
import ctypes.util
import math
import struct

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
OPS, STACKS, SIZES, CLASSES, DISTANCES, SLOTS, TIMES, MISC = range(1, 9)
RING_LENGTHS = {1: 1 << 16, 2: 1 << 20, 3: 1 << 20, 4: 1 << 20, 5: 1 << 20}
CLASS_COPY, CLASS_FREE, CLASS_FREE_REALLOC, CLASS_ALLOCATE = 1, 2, 3, 0x40


def crc32c(data):
    crc = M32
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ M32


def decompress(data, raw_bytes):
    library = ctypes.CDLL(ctypes.util.find_library("zstd"))
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    buffer = ctypes.create_string_buffer(raw_bytes)
    assert library.ZSTD_decompress(buffer, raw_bytes, data, len(data)) == raw_bytes
    return buffer.raw


class Column:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value & M64

    def signed(self):
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def double(self):
        return struct.unpack(">d", struct.pack("<Q", self.number()))[0]

    def text(self):
        count = self.number()
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count:self.at]


def unrotated(data):
    """The parts of a rotated file, by the index that holds."""
    indexes = [data[at:at + 4096] for at in (4096, 8192)]
    whole = [index for index in indexes if index[:4] == b"HLIX" and struct.unpack_from("<I", index, 4)[0] == crc32c(index[8:])]
    index = max(whole, key=lambda index: struct.unpack_from("<Q", index, 8))
    generation, extent_bytes, part_count = struct.unpack_from("<QII", index, 8)
    assert index is indexes[generation % 2] and extent_bytes >= 4096 and part_count <= 64
    heads = [struct.unpack_from("<QI", index, 32 + 16 * part) for part in range(part_count)]
    numbers = list(struct.unpack_from(f"<{sum(count for _, count in heads)}H", index, 32 + 16 * part_count))
    assert len(numbers) <= 1000 and len(set(numbers)) == len(numbers)
    parts = []
    for length, count in heads:
        extents = [data[12288 + extent_bytes * number:12288 + extent_bytes * (number + 1)] for number in numbers[:count]]
        del numbers[:count]
        parts.append(b"".join(extents)[:length])
        assert len(parts[-1]) == length # a trace that was not closed is not read here
    return parts


def probability(x):
    """1 - exp(-x), operation by operation as the document says."""
    def series(x):
        total = 1.0
        for term in range(24, 1, -1):
            total = 1 - x / term * total
        return x * total

    if x > 64:
        return 1.0
    halvings = int(x / 0.69314718055994531)
    rest = x - halvings * 0.69314718055994531
    return 1 - (1 - series(max(rest, 0.0))) * 0.5 ** halvings if halvings else series(x)


def random_fraction(state):
    z = state + 0x9E3779B97F4A7C15 & M64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return ((z ^ z >> 31) >> 11) * 2.0 ** -53


def count_variance(size, weight):
    """What a block or a copy of so many bytes adds to the variance of a count, by its weight in bytes."""
    if not size or weight <= size:
        return 0
    times = weight / size
    variance = times * (times - 1) + times % 1 * (1 - times % 1)
    return math.floor(variance * 1024 + 0.5) / 1024 if variance < 1024 else math.floor(variance + 0.5)


class Block:
    """One live block of memory."""

    def __init__(self, size, flags, stack, sequence):
        self.size, self.flags, self.stack, self.sequence = size, flags, stack, sequence
        self.bytes, self.count = size, 1  # what it counts as


class Trace:
    """definitions, events, end and totals of a trace, all checked against what the headers say."""

    def __init__(self, data):
        assert data[:8] == b"HEAPLINE"
        version, header_bytes = struct.unpack_from("<II", data, 8)
        assert version in RING_LENGTHS and header_bytes == 96
        self.reach = RING_LENGTHS[version]
        assert struct.unpack_from("<I", data, 92)[0] == crc32c(data[:92])
        names = ("session", "start_monotonic", "start_realtime", "sampling_interval", "copy_threshold", "pid", "parent_pid", "flags")
        self.identity = dict(zip(names, struct.unpack_from("<QQQQQIII", data, 16)))
        self.definitions, self.events, self.end = [], [], None
        self.tallies, self.segments = [], 0
        self.knows_errors, self.live_variances = True, {}
        self.counts = {0: 0, 1: 0, 2: 0, 3: 0}
        self.is_weighted = self.identity["flags"] & (8 | 32)
        self.reset()
        self.time, self.adding_up = 0, False
        self.level = {"outside": 0, "arena": 0, "objects": 0}
        self.totals = dict.fromkeys(("events", "allocated_bytes", "allocations", "copied_bytes", "copies", "lost", "unknown_frees",
                                     "peak_bytes", "peak_event", "peak_time", "peak_rss", "live_bytes"), 0)
        self.peak = (0, 0)
        self.big_copies = self.big_copied_bytes = 0
        parts = unrotated(data) if self.identity["flags"] & 8 else [data[96:]]
        for part in parts:
            at = sequence = 0
            while at < len(part):
                at = self.block(part, at, sequence)
                sequence += 1

    def reset(self):
        self.slots, self.free, self.ring, self.next_sequence = [], [], [None] * self.reach, 0
        self.thread, self.context, self.contexts = 0, 0, [0] * 64
        self.intervals, self.freed = {}, {}
        self.predictions, self.stacks = [None] * 16384, [(0, 0, 0)] * 4096
        self.last_stack = self.highest_stack = self.last_freed = self.last_stride = self.last_slot = 0

    # ---- blocks

    def block(self, data, at, number):
        header = data[at:at + 128]
        assert header[:4] == b"HLBK" and struct.unpack_from("<I", header, 124)[0] == crc32c(header[:124])
        kind, sequence, raw_bytes, stored_bytes, checksum, events, peak_event = struct.unpack_from("<7I", header, 4)
        first, start, end, peak_bytes, peak_objects, peak_time, *level = struct.unpack_from("<9Q", header, 32)
        payload = data[at + 128:at + 128 + stored_bytes]
        assert self.end is None and sequence == number and crc32c(payload) == checksum
        assert first == self.totals["events"] and start >= self.time
        if kind == 2:
            self.end_block(payload)
        elif kind == 3:
            assert events == peak_event == 0
            events, peak_event = struct.unpack_from("<2Q", header, 104)
            self.adding_up = True
            self.tally_block(decompress(payload, raw_bytes), start, end, level, events, (peak_bytes, peak_objects, peak_time, peak_event))
        elif kind == 5:
            assert events == peak_event == 0 and start == end and list(self.level.values()) == level
            self.segment_block(decompress(payload, raw_bytes))
            if self.adding_up and self.knows_errors:
                self.check_live_variances()
            self.time, self.adding_up = end, False
            self.segments += 1
        else:
            assert kind == 1 and not self.adding_up
            self.block_peak, self.block_peak_event, self.block_peak_time = (0, 0), 0, 0
            self.data_block(decompress(payload, raw_bytes))
            assert self.totals["events"] - first == events and self.time == end
            assert list(self.level.values()) == level
            assert (*self.block_peak, self.block_peak_time) == (peak_bytes, peak_objects, peak_time)
            assert (self.block_peak_event - first if self.block_peak_event else 0) == peak_event
        return at + 128 + stored_bytes

    def data_block(self, raw):
        lengths, at, columns = struct.unpack_from("<9I", raw), 36, []
        for length in lengths:
            columns.append(Column(raw[at:at + length]))
            at += length
        assert at == len(raw)
        while columns[0].left():
            self.define(columns[0])
        self.columns = columns
        while columns[OPS].left():
            op = columns[OPS].byte()
            if op >= 0x80:
                for _ in range((op & 0x7F) + 1):
                    self.predicted()
            elif op < 0x10:
                self.explicit_block(op)
            elif op < 0x18:
                self.explicit_free(op)
            else:
                self.other(op)
        assert not any(column.left() for column in columns)

    def tally_block(self, raw, start, end, level, events, header_peak):
        lengths, at, columns = struct.unpack_from("<4I", raw), 16, []
        for length in lengths:
            columns.append(Column(raw[at:at + length]))
            at += length
        assert at == len(raw)
        definitions, figures, moments, stacks = columns
        while definitions.left():
            self.define(definitions)
        peak_bytes, peak_objects, peak_time, peak_event = header_peak
        has_peak = (peak_bytes, peak_objects) > self.peak
        lost, unknown_frees, small_copies, small_copied_bytes, peak_rss = (figures.number() for _ in range(5))
        before, heap_before = self.level, self.totals["live_bytes"]
        self.level = dict(zip(("outside", "arena", "objects"), level))
        heap = self.level["outside"] + max(self.level["arena"], self.level["objects"])
        tally = {"start": start, "end": end, "events": events, "moments": [], "stacks": {}}
        if has_peak:
            outside, arena = figures.number(), figures.number()
            assert outside + max(arena, peak_objects) == peak_bytes and start <= peak_time <= end
            self.peak = (peak_bytes, peak_objects)
            self.totals.update(peak_bytes=peak_bytes, peak_event=self.totals["events"] + peak_event, peak_time=peak_time)
        if figures.left():
            tally["longest_interval"], *variances = figures.number(), figures.number(), figures.number(), figures.number()
            tally["variances"] = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in variances]
        has_errors = bool(figures.left()) and figures.number() == 1
        self.knows_errors &= has_errors or "variances" not in tally
        self.time = start
        while moments.left():
            self.time += moments.number()
            now = moments.number()
            tally["moments"].append((self.time, now, now + moments.number(), moments.number()))
        assert self.time == end and tally["moments"][-1][1] == heap
        assert max(moment[2] for moment in tally["moments"]) == max(heap_before, peak_bytes)
        following = 0
        while stacks.left():
            stack = following + stacks.number()
            following, parts = stack + 1, stacks.byte()
            assert stack <= self.counts[1] and (parts < 64 or has_errors) and (has_peak or not parts & 16)
            row = tally["stacks"][stack] = {}
            for bit, names, is_signed in ((1, ("live_bytes", "live"), True), (2, ("allocated_bytes", "allocations"), False),
                                          (4, ("temporary",), True), (8, ("copied_bytes", "copies"), False),
                                          (16, ("peak_bytes", "peak"), True), (32, ("oldest", "newest"), False)):
                for name in names if parts & bit else ():
                    row[name] = stacks.signed() if is_signed else stacks.number()
            for bit, names in ((64, ("live_variance", "variance", "peak_variance", "largest_block")), (128, ("copies_variance", "largest_copy"))):
                for name in names if parts & bit else ():
                    row[name] = stacks.double()
            self.live_variances[stack] = self.live_variances.get(stack, 0) + row.get("live_variance", 0)
            for birth in (row[name] for name in ("oldest", "newest") if name in row):
                assert birth >> 1 <= end if birth & 1 else self.slots[birth >> 1].stack == stack

        def total(name):
            return sum(row.get(name, 0) for row in tally["stacks"].values())

        held = before["outside"] + before["objects"]
        assert held + total("live_bytes") == self.level["outside"] + self.level["objects"]
        assert not has_peak or held + total("peak_bytes") == outside + peak_objects
        self.big_copies += total("copies")
        self.big_copied_bytes += total("copied_bytes")
        self.totals["events"] += events
        self.totals["allocated_bytes"] += total("allocated_bytes")
        self.totals["allocations"] += total("allocations")
        self.totals.update(copies=self.big_copies + small_copies, copied_bytes=self.big_copied_bytes + small_copied_bytes, lost=lost,
                           unknown_frees=unknown_frees, live_bytes=heap, peak_rss=max(self.totals["peak_rss"], peak_rss))
        assert not any(column.left() for column in columns)
        self.tallies.append(tally)

    def segment_block(self, raw):
        lengths, at, columns = struct.unpack_from("<7I", raw), 28, []
        for length in lengths:
            columns.append(Column(raw[at:at + length]))
            at += length
        assert at == len(raw)
        definitions, gaps, sizes, flags, stacks, births, latest = columns
        while definitions.left():
            self.define(definitions)
        self.reset()
        birth, live = 0, {"outside": 0, "arena": 0, "objects": 0}
        while gaps.left():
            gap = gaps.number()
            self.free += range(len(self.slots), len(self.slots) + gap)
            self.slots += [None] * gap
            size, flag = sizes.number(), flags.number()
            block = Block(size, flag & ~64, stacks.number(), self.next_sequence)
            if flag & 64:
                block.count, block.bytes = sizes.number(), sizes.number()
            assert block.size < 1 << 56 and block.flags <= 0x3F and block.stack <= self.counts[1]
            self.ring[self.next_sequence % self.reach] = len(self.slots)
            self.next_sequence += 1
            self.slots.append(block)
            live["arena" if block.flags & 4 else "objects" if block.flags & 2 else "outside"] += block.bytes
            birth += births.signed()
            assert 0 <= birth << 20 <= self.time
        self.free.reverse()
        assert live == self.level
        while latest.left():
            assert latest.number() <= self.counts[3] and self.slots[latest.number()] is not None
        assert not any(column.left() for column in columns)

    def check_live_variances(self):
        """Behind sums, what is live must have the variances that they led to."""
        found = {}
        for block in self.slots:
            if block is not None and (variance := count_variance(block.size, block.bytes)):
                found[block.stack] = found.get(block.stack, 0) + variance
        assert found == {stack: variance for stack, variance in self.live_variances.items() if variance}

    def end_block(self, payload):
        assert len(payload) == 120
        reason, status, zero, time, *totals = struct.unpack("<Ii14Q", payload)
        self.end = {"reason": reason, "status": status, "time": time}
        # The process's own account of its highest RSS may know more than the events do.
        self.totals["peak_rss"] = max(self.totals["peak_rss"], totals[10])
        assert totals == list(self.totals.values())

    # ---- definitions

    def define(self, column):
        kind = column.number()
        if kind == 0:
            self.counts[0] += 1
            fields = (self.counts[0], column.signed(), column.number(), column.text(), column.text(), column.text())
        elif kind == 1:
            self.counts[1] += 1
            frame = column.number()
            fields = (self.counts[1], self.counts[1] - 1 - column.number(), frame)
            assert fields[1] >= 0
            if frame == 0:
                fields += (column.number(), column.signed())
            elif frame == 1:
                fields += (column.number(), column.number())
        elif kind == 2:
            self.counts[2] += 1
            fields = (self.counts[2], column.number(), column.number(), column.number(), column.text(), column.text())
        elif kind == 3:
            fields = (column.number(), column.number(), column.text())
            self.counts[3] = max(self.counts[3], fields[0])
        else:
            assert kind == 4
            fields = (column.text(), column.text())
        self.definitions.append((kind, *fields))

    # ---- weights

    def weigh(self, size, flags):
        interval = self.intervals.get(self.thread, self.identity["sampling_interval"])
        if not self.is_weighted or not interval or not size or flags & (4 | 8) or (p := probability(size / interval)) >= 1:
            return size, 1
        fraction = random_fraction(self.totals["events"])
        return math.floor(size / p + fraction), math.floor(1 / p + fraction)

    # ---- accounting

    def change(self, flags, size, lives):
        self.totals["events"] += 1
        part = "arena" if flags & 4 else "objects" if flags & 2 else "outside"
        self.level[part] = self.level[part] + (size if lives else -size) & M64
        heap = self.level["outside"] + max(self.level["arena"], self.level["objects"]) & M64
        self.totals["live_bytes"] = heap
        if lives and (heap, self.level["objects"]) > self.block_peak:
            self.block_peak, self.block_peak_time = (heap, self.level["objects"]), self.time
            self.block_peak_event = self.totals["events"]
            if self.block_peak > self.peak:
                self.peak = self.block_peak
                self.totals.update(peak_bytes=heap, peak_event=self.block_peak_event, peak_time=self.time)

    def take_slot(self, size, flags, stack):
        assert size < 1 << 56 and flags <= 0x3F and stack <= self.counts[1]
        slot = self.free.pop() if self.free else len(self.slots)
        if slot == len(self.slots):
            self.slots.append(None)
        self.slots[slot] = Block(size, flags, stack, self.next_sequence)
        self.ring[self.next_sequence % self.reach] = slot
        self.next_sequence = self.next_sequence + 1 & M32
        return slot

    # ---- the model

    def prediction_index(self):
        return (self.context * 0x9E3779B97F4A7C15 & M64) >> 50

    def push(self, stack, kind):
        self.context = (self.context << 21 & M64) ^ (stack << 2 | kind)

    def by_sequence(self, sequence):
        assert self.next_sequence - sequence - 1 & M32 < self.reach
        slot = self.ring[sequence % self.reach]
        assert self.slots[slot] is not None and self.slots[slot].sequence == sequence
        return slot

    def sequence_of(self, figures, by_stride):
        distance, stride = figures
        return (self.last_freed + stride if by_stride else self.next_sequence - distance) & M32

    # ---- events

    def block_event(self, kind, stack, size):
        if kind == CLASS_COPY:
            copied, copies = self.weigh(size, 0)
            self.totals["events"] += 1
            self.big_copies += copies
            self.big_copied_bytes += copied
            self.totals["copies"] += copies
            self.totals["copied_bytes"] += copied
            self.events.append(("copy", size, stack))
            self.push(stack, 1)
            return
        flags = kind - CLASS_ALLOCATE
        slot = self.take_slot(size, flags, stack)
        block = self.slots[slot]
        block.bytes, block.count = self.weigh(size, flags)
        if not flags & (4 | 16):
            self.totals["allocations"] += block.count
            self.totals["allocated_bytes"] += block.bytes
        self.change(flags, block.bytes, True)
        self.events.append(("allocate", slot, size, stack, flags))
        self.push(stack, 0)

    def free_event(self, slot, kind):
        freed = self.slots[slot]
        self.events.append(("free", slot, kind == CLASS_FREE_REALLOC))
        self.slots[slot] = None
        self.free.append(slot)
        self.freed[self.thread] = freed
        self.change(freed.flags, freed.bytes, False)
        self.last_stride = freed.sequence - self.last_freed & M32
        self.last_freed = freed.sequence
        self.push(freed.stack, 2)

    def predicted(self):
        kind, *rest = self.predictions[self.prediction_index()]
        if kind in (CLASS_FREE, CLASS_FREE_REALLOC):
            figures, trust_stride = rest
            self.free_event(self.by_sequence(self.sequence_of(figures, trust_stride)), kind)
        else:
            self.block_event(kind, *rest)

    def explicit_block(self, op):
        index = self.prediction_index()
        if op & 3 == 0:
            assert self.predictions[index][0] not in (CLASS_FREE, CLASS_FREE_REALLOC)
            stack = self.predictions[index][1]
        elif op & 3 == 1:
            stack = self.highest_stack + 1
        elif op & 3 == 2:
            stack = self.stacks[self.last_stack % 4096][2]
        else:
            stack = self.columns[STACKS].number()
        size, kind, successor = self.stacks[stack % 4096]
        if op & 4:
            size = self.columns[SIZES].number()
        if op & 8:
            kind = self.columns[CLASSES].byte()
        self.predictions[index] = (kind, stack, size)
        self.stacks[stack % 4096] = (size, kind, successor)
        self.stacks[self.last_stack % 4096] = (*self.stacks[self.last_stack % 4096][:2], stack)
        self.last_stack, self.highest_stack = stack, max(self.highest_stack, stack)
        self.block_event(kind, stack, size)

    def explicit_free(self, op):
        index, kind, mode = self.prediction_index(), CLASS_FREE + (op & 1), op >> 1 & 3
        trust_stride = False
        if mode == 0:
            slot = self.by_sequence(self.next_sequence - 1 - self.columns[DISTANCES].number() & M32)
        elif mode == 1:
            slot, trust_stride = self.by_sequence(self.last_freed + self.last_stride & M32), True
        elif mode == 2:
            predicted_kind, figures, trusted = self.predictions[index]
            assert predicted_kind == kind
            trust_stride = not trusted
            slot = self.by_sequence(self.sequence_of(figures, trust_stride))
        else:
            slot = self.last_slot = self.last_slot + self.columns[SLOTS].signed() & M32
        sequence = self.slots[slot].sequence
        distance = self.next_sequence - sequence & M32
        if distance > self.reach or self.ring[sequence % self.reach] != slot:
            distance = 0
        self.predictions[index] = (kind, (distance, sequence - self.last_freed & M32), trust_stride)
        self.free_event(slot, kind)

    def other(self, op):
        misc = self.columns[MISC]
        if op == 0x20:
            slot, size = misc.number(), misc.number()
            self.slots[slot].size -= size
            self.slots[slot].bytes -= size
            assert self.slots[slot].size >= 0
            self.change(self.slots[slot].flags, size, False)
            self.events.append(("shrink", slot, size))
        elif op == 0x21:
            stack, size, flags = misc.number(), misc.number(), misc.number()
            slot = self.take_slot(size, flags, stack)
            block, freed = self.slots[slot], self.freed.pop(self.thread, None)
            is_same = freed and (freed.size, freed.stack) == (size, stack)
            block.bytes, block.count = (freed.bytes, freed.count) if is_same else self.weigh(size, flags)
            self.change(flags, block.bytes, True)
            self.events.append(("undo_free", slot, size, stack, flags))
        elif op == 0x22:
            self.time += self.columns[TIMES].number()
            self.events.append(("time", self.time))
        elif op == 0x23:
            self.contexts[self.thread % 64] = self.context
            self.thread = misc.number()
            self.context = self.contexts[self.thread % 64]
            assert self.thread <= self.counts[3]
            self.events.append(("thread", self.thread))
        elif op == 0x24:
            self.events.append(("rss", misc.number()))
            self.totals["peak_rss"] = max(self.totals["peak_rss"], self.events[-1][1])
        elif op == 0x25:
            self.totals["lost"] = misc.number()
            self.events.append(("lost", self.totals["lost"]))
        elif op == 0x26:
            copies, size = misc.number(), misc.number()
            self.totals.update(copies=self.big_copies + copies, copied_bytes=self.big_copied_bytes + size)
            self.events.append(("small_copies", copies, size))
        elif op == 0x27:
            self.totals["unknown_frees"] = misc.number()
            self.events.append(("unknown_frees", self.totals["unknown_frees"]))
        else:
            assert op == 0x28 and self.identity["flags"] & 16
            self.events.append(("sampling", misc.number()))
            self.intervals[self.thread] = self.events[-1][1]
            assert self.events[-1][1] < 1 << 56
