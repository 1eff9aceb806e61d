"""Objects of the built-in types on marked lines, each in a function's own frame.

A free list, an argument tuple or an over-allocated container would blur a line's figures: each is drained or warmed up before on an
unmarked line. sys.getsizeof counts an object's GC header and its separate parts, all of which it asked the allocator for."""

import gc
import sys

from marks_of import end, fact

MIB = 1 << 20
TEN_MIB = 10 * MIB
TOP = 200 * MIB
kept = []
drained = []


def drain():
    """Empty the free lists: hold more lists, dictionaries and floats than any version keeps of them."""
    drained.append([[[None] for _ in range(100)], [{} for _ in range(100)], [{"a": None} for _ in range(100)],
                    [i / 3 for i in range(120)]])


def make_bytearray():
    bytearray(10)
    block = bytearray(100_000)  # ALLOC bytearray bytes=bytearray count=2 live=bytearray live_count=2 peak=bytearray
    fact("bytearray", sys.getsizeof(block))
    kept.append(block)


def make_bytes():
    bytes(10)
    block = bytes(50_000)  # ALLOC bytes bytes=bytes count=1 live=bytes live_count=1 peak=bytes
    fact("bytes", sys.getsizeof(block))
    kept.append(block)


def make_big_bytes():
    block = bytes(TEN_MIB)  # ALLOC big_bytes bytes=big_bytes count=1 live=big_bytes live_count=1 peak=big_bytes
    fact("big_bytes", sys.getsizeof(block))
    kept.append(block)


def make_str():
    narrow = "x" * 70_000  # ALLOC str_narrow bytes=str_narrow count=1 live=str_narrow live_count=1
    fact("str_narrow", sys.getsizeof(narrow))
    wide = "\u20ac" * 30_000  # ALLOC str_wide bytes=str_wide count=1 live=str_wide live_count=1
    fact("str_wide", sys.getsizeof(wide))
    widest = "\U0001f40d" * 20_000  # ALLOC str_widest bytes=str_widest count=1 live=str_widest live_count=1
    fact("str_widest", sys.getsizeof(widest))
    kept.append((narrow, wide, widest))


def make_list():
    one = [None]
    drain()
    block = one * 1000  # ALLOC list bytes=list count=2 live=list live_count=2 peak=list
    fact("list", sys.getsizeof(block))
    kept.append(block)


def append_to_list():
    drain()
    items = []
    sizes = []
    add = items.append
    size = sys.getsizeof(items)
    numbers = (None,) * 3000
    measure = sys.getsizeof
    for _ in numbers:
        add(None)  # ALLOC append bytes=append_bytes count=append_count live=append_live live_count=1 copied=?
        now = measure(items)
        if now != size:
            size = now
            sizes.append(now)
    empty = sys.getsizeof([])
    fact("append_bytes", sum(sizes) - empty * len(sizes))
    fact("append_count", len(sizes))
    fact("append_live", size - empty)
    kept.append(items)


def fill_preallocated():
    items = [None] * 2000
    for i in range(200):
        items[i] = object()  # ALLOC object bytes=200*object count=200 live=200*object live_count=200 peak=200*object
    fact("object", sys.getsizeof(items[0]))
    kept.append(items)


class Slotted:
    __slots__ = ("left", "right")


def make_slotted():
    items = [None] * 1000
    Slotted()
    for i in range(1000):
        items[i] = Slotted()  # ALLOC slotted bytes=1000*slotted count=1000 live=1000*slotted live_count=1000 peak=1000*slotted
    fact("slotted", sys.getsizeof(items[0]))
    kept.append(items)


def make_tuples():
    # From 3.12 on a repetition is filled by copies that double: some of them are large enough to count.
    pair = (None, None)
    items = [None] * 500
    for i in range(500):
        items[i] = pair * 15  # ALLOC tuple bytes=500*tuple count=500 live=500*tuple live_count=500 copied=?
    fact("tuple", sys.getsizeof(items[0]))
    kept.append(items)


def make_floats():
    halves = [i / 2 for i in range(1000)]
    items = [None] * 1000
    drain()
    for i, half in enumerate(halves):
        items[i] = half * 3.0  # ALLOC float bytes=1000*float count=1000 live=1000*float live_count=1000
    fact("float", sys.getsizeof(items[0]))
    kept.append((halves, items))


def make_dict():
    keys = tuple("key%d" % i for i in range(1000))
    original = dict.fromkeys(keys)
    drain()
    mapping = original.copy()  # ALLOC dict bytes=dict count=2 live=dict live_count=2 peak=dict copied=?
    fact("dict", sys.getsizeof(mapping))
    kept.append((keys, original, mapping))


def grow_dict():
    keys = tuple("k%d" % i for i in range(2000))
    drain()
    mapping = {}
    for key in keys:
        # The keys of the first eight entries stay in a free list when the table grows.
        mapping[key] = None  # ALLOC dict_growth bytes=? live=dict_growth live_count=2 peak=dict_growth copied=?
    fact("dict_growth", sys.getsizeof(mapping) - sys.getsizeof({}) + sys.getsizeof({"a": None}) - sys.getsizeof({}))
    kept.append((keys, mapping))


def make_set():
    keys = tuple(range(1000))
    set(keys)
    members = set(keys)  # ALLOC set bytes=? live=set live_count=2 peak=set
    fact("set", sys.getsizeof(members))
    kept.append((keys, members))


def comprehensions():
    nothing = (None,) * 5000
    drain()
    values = [None for _ in nothing]  # ALLOC comprehension bytes=? live=comprehension live_count=2 peak=comprehension copied=?
    fact("comprehension", sys.getsizeof(values))
    blocks = list(
        bytearray(size)  # ALLOC generator_lines live=generator_lines live_count=40
        for size in (500,) * 20
    )
    fact("generator_lines", sum(sys.getsizeof(block) for block in blocks))
    kept.append((values, blocks))


def freed():
    bytearray(10)
    for _ in range(50):
        bytearray(30_000)  # ALLOC freed bytes=50*(freed) count=100 live_count=0 peak=0
    fact("freed", sys.getsizeof(bytearray(30_000)))


def sawtooth():
    bytearray(10)
    for height in (3, 9, 5, 12, 7, 11):
        teeth = [None] * height
        for i in range(height):
            teeth[i] = bytearray(MIB)  # ALLOC sawtooth bytes=47*tooth count=94 live_count=0 peak=0
        del teeth
    fact("tooth", sys.getsizeof(bytearray(MIB)))


def multi_line_call():
    bytearray(10)
    pair = max(
        bytearray(11_000),  # ALLOC first_argument bytes=first_argument count=2 live_count=0 peak=0
        bytearray(
            22_000  # The call's line is that of its beginning.
        ),
        bytearray(12_000),  # ALLOC third_argument bytes=third_argument count=2 live=third_argument live_count=2
        key=last_byte_then_size
    )
    fact("first_argument", sys.getsizeof(bytearray(11_000)))
    fact("third_argument", sys.getsizeof(pair))
    kept.append(pair)


def last_byte_then_size(block):
    return len(block) == 12_000


def recurse(depth):
    if depth:
        block = bytearray(2000)  # ALLOC recursion bytes=100*recursion count=200 live=100*recursion live_count=200
        kept.append(block)
        recurse(depth - 1)
        fact("recursion", sys.getsizeof(block)) if depth == 1 else None


def callbacks():
    """C functions that call back into Python."""
    kept.append(list(map(make_mapped, range(30))))
    kept.append(sorted(range(20), key=make_key))


def make_mapped(number):
    block = bytearray(3000)  # ALLOC mapped bytes=30*mapped count=60 live=30*mapped live_count=60
    if number == 0:
        fact("mapped", sys.getsizeof(block))
    return block


def make_key(number):
    block = bytes(TEN_MIB)  # ALLOC sort_key bytes=20*big_bytes count=20 live_count=0
    return -number


class Finalized:
    def __del__(self):
        block = bytearray(6500)  # ALLOC finalizer bytes=finalizer count=2 live=finalizer live_count=2 peak=finalizer
        kept.append(block)


def finalizers():
    made = Finalized()
    del made
    fact("finalizer", sys.getsizeof(kept[-1]))


def generated_code():
    source = "\n\n\nblock = bytearray(7700)\nfact('generated', getsizeof(block))\n"
    names = {"fact": fact, "getsizeof": sys.getsizeof}
    exec(compile(source, "generated_code.py", "exec"), names)
    kept.append(names)


def at_the_peak():
    """Everything marked so far is live; then comes the largest block."""
    bytearray(10)
    top = bytearray(TOP)  # ALLOC peak bytes=top count=2 live_count=0 peak=top peak_count=2
    fact("top", sys.getsizeof(top))
    del top


def after_the_peak():
    late = bytearray(9000)  # ALLOC after_peak bytes=late count=2 live=late live_count=2 peak=0
    fact("late", sys.getsizeof(late))
    kept.append(late)


def warm_frames(depth):
    """Up to 3.10 a frame is an object with a free list of its own: fill it with frames that are large enough for any function here."""
    a = b = c = d = e = f = g = h = i = j = k = l = m = n = o = p = q = r = s = t = depth  # noqa: E741, F841
    return depth and warm_frames(depth - 1)


# From 3.12 on a collection runs, and allocates, on whatever line reaches the next jump.
gc.disable()
warm_frames(150)
# Calls pack their arguments into tuples, which come from a free list of their own: it must not be empty.
spare = [(number,) for number in range(100)]
del spare
for _ in range(2):
    # The interpreter's own first-time work happens on these unmarked calls.
    bytearray(1), bytes(1), set(()), dict.fromkeys(()), sorted(()), list(map(None, ()))

for function in (make_bytearray, make_bytes, make_big_bytes, make_str, make_list, append_to_list, fill_preallocated, make_slotted,
                 make_tuples, make_floats, make_dict, grow_dict, make_set, comprehensions, freed, sawtooth, multi_line_call, callbacks,
                 finalizers, generated_code):
    function()
recurse(100)
at_the_peak()
after_the_peak()
end()
