"""Copies of known volume from Python: each marked line's copied bytes are exact."""

import array
import ctypes
import io
import pickle
import sys

from marks_of import end, fact

SIZE = 200_000
kept = []
source = bytes(range(256)) * 1000
piece = source[:SIZE]
data_address = ctypes.pythonapi.PyByteArray_AsString
data_address.restype = ctypes.c_void_p
data_address.argtypes = [ctypes.py_object]


def bytes_copies():
    joined = piece + piece  # ALLOC concatenation copied=400000 copies=2 live=? peak=?
    part = joined[1000:151_000]  # ALLOC slice copied=150000 copies=1 live=?
    mutable = bytearray(part)  # ALLOC bytearray copied=150000 copies=1 live=?
    again = bytes(mutable)  # ALLOC from_bytearray copied=150000 copies=1 live=?
    view = memoryview(again)
    flat = view.tobytes()  # ALLOC tobytes copied=150000 copies=1 live=?
    sliced = bytes(view[50_000:])  # ALLOC view_slice copied=100000 copies=1 live=?
    repeated = piece * 3  # ALLOC repeat copied=600000 live=?
    together = b"".join([piece, joined, part])  # ALLOC join copied=750000 copies=3 live=?
    kept.append((joined, part, mutable, again, flat, sliced, repeated, together))


def bytearray_copies():
    target = bytearray(2 * SIZE)
    # CPython makes a bytearray of the right side first.
    target[:SIZE] = piece  # ALLOC slice_assignment copied=400000 copies=2 live=? peak=?
    view = memoryview(target)
    view[SIZE:] = piece  # ALLOC view_assignment copied=200000 copies=1 live=?
    kept.append(target)


def bytearray_growth():
    """A block that moves when it grows is copied: as many bytes as it held. A moved block shows by its address."""
    grown = bytearray()
    moved = allocated = count = 0
    address, size = None, sys.getsizeof(grown)
    empty = size
    for _ in range(300):
        grown += piece  # ALLOC growth bytes=growth_bytes count=growth_count live=growth_live live_count=1 copied=300*200000+growth_moved
        now = sys.getsizeof(grown)
        if now != size:
            where = data_address(grown)
            if address is not None and where != address:
                moved += size - empty
            allocated += now - empty
            count += 1
            address, size = where, now
    fact("growth_bytes", allocated)
    fact("growth_count", count)
    fact("growth_live", size - empty)
    fact("growth_moved", moved)
    kept.append(grown)


def string_copies():
    text = "y" * SIZE
    longer = text + text  # ALLOC str_concatenation copied=400000 copies=2 live=?
    part = longer[500:100_500]  # ALLOC str_slice copied=100000 copies=1 live=?
    raw = text.encode("latin-1")  # ALLOC encode copied=200000 copies=1 live=?
    wide = "\u20ac" * SIZE
    wider = wide + wide  # ALLOC wide_concatenation copied=800000 copies=2 live=?
    kept.append((text, longer, part, raw, wide, wider))


def stream_copies():
    stream = io.BytesIO()
    stream.write(piece)  # ALLOC stream_write copied=200000 copies=1 live=?
    stream.seek(0)
    got = stream.read(150_000)  # ALLOC stream_read copied=150000 copies=1 live=?
    kept.append((stream, got))


def array_copies():
    numbers = array.array("q", bytes(160_000))
    twin = numbers[:]  # ALLOC array_slice copied=160000 copies=1 live=?
    both = numbers + twin  # ALLOC array_concatenation copied=? live=?  (Debian's interpreter copies inline here: not seen)
    raw = numbers.tobytes()  # ALLOC array_tobytes copied=160000 copies=1 live=?
    kept.append((numbers, twin, both, raw))


def foreign_copies():
    memmove = ctypes.memmove
    buffer = ctypes.create_string_buffer(SIZE)
    memmove(buffer, piece, SIZE)  # ALLOC ctypes_memmove copied=200000 copies=1 live=?
    kept.append(buffer)


def pickled():
    whole = pickle.dumps(piece, protocol=4)
    back = pickle.loads(whole)  # ALLOC unpickle copied=unpickled live=?
    fact("unpickled", SIZE)
    kept.append((whole, back))


for function in (bytes_copies, bytearray_copies, bytearray_growth, string_copies, stream_copies, array_copies, foreign_copies, pickled):
    function()
end()
