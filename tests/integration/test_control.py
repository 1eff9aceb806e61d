"""What anybody of the same user may send to a collector's control socket: it answers or hangs up, and goes on recording."""

import array
import os
import pathlib
import random
import socket
import struct
import time

from marks import check_marks
from phases import Phases, program  # noqa: F401
from recording import SOURCES, target

MAGIC = 0x314C5443504C4548
ANSWER_BYTES = 8 + 4 + 4 + 4200 + 1024 + 8
DONE, ALREADY, UNKNOWN, REFUSED = 1, 2, 3, 4
START, STOP, FLUSH, STATUS, SNAPSHOT, OBJECTS, DETACH, ATTACH, SAMPLE = range(1, 10)


def address_of(pid):
    names = [line.split()[-1] for line in pathlib.Path("/proc/net/unix").read_text().splitlines() if f"@heapline-control-{pid}-" in line]
    (name,) = set(names)
    return b"\0" + name[1:].encode()


def send(address, message, files=()):
    """The answer's result and text; None: it hung up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(60)
        connection.connect(address)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            connection.sendmsg([message], ancillary)
            answer = connection.recv(2 * ANSWER_BYTES)
        except ConnectionError:
            return None
    if not answer:
        return None
    assert len(answer) == ANSWER_BYTES and struct.unpack_from("=Q", answer)[0] == MAGIC
    return struct.unpack_from("=I", answer, 8)[0], answer[16 + 4200:16 + 4200 + 1024].split(b"\0")[0].decode()


def request(verb, argument=b"", magic=MAGIC, length=None):
    return struct.pack("=QII", magic, verb, len(argument) if length is None else length) + argument


def descriptors_of(program):
    (collector,) = [path for path in pathlib.Path("/proc").glob("[0-9]*") if is_collector_of(path, program)]
    return len(os.listdir(collector / "fd"))


def check_descriptors(program, expected):
    """None was kept. The last connection is closed right after its answer."""
    deadline = time.monotonic() + 30
    while descriptors_of(program) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert descriptors_of(program) == expected


def is_collector_of(path, program):
    try:
        return (path / "comm").read_text().startswith("heapline-collec") and str(program.trace) in os.readlink(next(
            file for file in (path / "fd").iterdir() if str(program.trace) in os.readlink(file)))
    except (OSError, StopIteration):
        return False


def test_messages_that_make_no_sense(program):
    address, before = address_of(program.pid), descriptors_of(program)
    status = send(address, request(STATUS))
    assert status[0] == DONE and "recording=1" in status[1]
    for message in (b"x", b"GET /metrics HTTP/1.0\r\n\r\n", request(STATUS, magic=1), request(0), request(STATUS, length=1), request(STATUS, b"x", length=0),
                    request(SAMPLE, length=0xFFFFFFFF), request(STATUS)[:15], request(SAMPLE, b"5" * 5000), os.urandom(9000)):
        assert send(address, message) is None, message
    assert send(address, request(12345))[0] == UNKNOWN
    for wish in (b"", b"-1", b"5x", b"x", str(1 << 56).encode(), b"9" * 4096):
        assert send(address, request(SAMPLE, wish))[0] == UNKNOWN, wish
    # No file, one that can't be written, more of them than one.
    read_only = os.open("/dev/null", os.O_RDONLY)
    pair = os.pipe()
    for files in ((), (read_only,), pair, (*pair, read_only) * 20):
        assert send(address, request(SNAPSHOT), files)[0] == REFUSED
        assert send(address, request(STATUS), files)[0] == DONE
        assert send(address, b"nonsense", files) is None
    for file in (read_only, *pair):
        os.close(file)
    assert send(address, request(STATUS))[0] == DONE
    check_descriptors(program, before)
    program.ask("stop")
    run = program.finish()
    check_marks(run.lines, SOURCES / "phases.c", run.facts, groups=["first"])
    assert run.report["lost_events"] == 0 and run.report["complete"] is True


def test_messages_at_random(tmp_path):
    program = Phases(tmp_path, target("phases"), options=())
    address, chance = address_of(program.pid), random.Random(4711)
    before = descriptors_of(program)
    texts = (b"", b"begin\n", b"begin\ntype=dict\nmin_age=\n", b"poll", b"cancel", b"begin", b"0", b"524288", b"4096", b"\n", b"native\n/nowhere/at all")
    for _ in range(300):
        verb = chance.choice((FLUSH, STATUS, OBJECTS, SAMPLE, ATTACH, DETACH, chance.getrandbits(32)))
        argument = bytearray(chance.choice(texts))
        for _ in range(chance.randrange(3)):
            argument.insert(chance.randrange(len(argument) + 1), chance.randrange(256))
        answer = send(address, request(verb, bytes(argument)))
        assert answer and answer[0] in (DONE, ALREADY, UNKNOWN, REFUSED), (verb, argument)
    assert send(address, request(STATUS))[0] == DONE
    check_descriptors(program, before)
    run = program.finish()
    assert run.report["complete"] is True and run.report["allocations"] > 0
