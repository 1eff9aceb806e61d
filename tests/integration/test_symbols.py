"""Functions, files and lines of native frames, in programs that are compiled here: inlined calls, both versions of DWARF, stripped programs,
and each place where debug information may be kept apart."""

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")

INLINED = """\
#include <cstdlib>
#include <vector>
static void *volatile kept[9];
__attribute__((always_inline)) static inline void innermost(int place, int bytes)
{
    kept[place] = std::malloc(bytes); // 6
}
namespace space {
__attribute__((always_inline)) inline void layer(int place, int bytes)
{
    innermost(place, bytes);         // 11
    innermost(place + 1, bytes + 1); // 12
}
}
__attribute__((noinline)) void outer(int place)
{
    space::layer(place, 81000); // 17
    std::vector<int> numbers(21000); // 18
    kept[place + 5] = numbers.data();
    asm volatile("" ::: "memory");
}
int main()
{
    outer(1); // 24
    asm volatile("" ::: "memory");
    return 0;
}
"""

PLAIN = """\
#include <stdlib.h>
static void *volatile kept;
__attribute__((noinline)) void made_here(int bytes)
{
    kept = malloc(bytes); /* 5 */
    __asm__ volatile("" ::: "memory");
}
int main(void)
{
    made_here(81000); /* 10 */
    __asm__ volatile("" ::: "memory");
    return 0;
}
"""


def compile_program(folder, name, text, *options):
    source, program = folder / name, folder / name.split(".")[0]
    source.write_text(text)
    compiler = "g++" if name.endswith(".cpp") else "gcc"
    subprocess.run([compiler, "-O2", *options, "-o", program, source], check=True)
    return program


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def frames_of(recording, allocated, *options):
    """Of the one stack that allocated so many bytes: (function, file, line) of the program's own frames, innermost first."""
    rows = recording.sql("SELECT stack_id FROM stack_use WHERE allocated_bytes = %d" % allocated)
    assert len(rows) == 1, rows
    frames, stack = [], rows[0]["stack_id"]
    while stack:
        (row,) = recording.sql("SELECT caller_id, function, file, line FROM stack JOIN frame USING (frame_id) WHERE stack_id = %d" % stack)
        frames.append((row["function"], row["file"], row["line"]))
        if row["function"] == "main" or len(frames) > 20:
            break
        stack = row["caller_id"]
    return frames


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("flags", [["-g"], ["-g", "-gsplit-dwarf"], ["-g", "-gz=zlib"]], ids=["whole", "split", "compressed"])
def test_inlined_calls(version, flags, record, tmp_path):
    program = compile_program(tmp_path, "inlined.cpp", INLINED, *flags, f"-gdwarf-{version}")
    recording = record(program, options=["--native"])
    source = str(tmp_path / "inlined.cpp")
    assert frames_of(recording, 81000) == [
        ("innermost", source, 6), ("space::layer(int, int)", source, 11), ("outer(int)", source, 17), ("main", source, 24)]
    assert frames_of(recording, 81001) == [
        ("innermost", source, 6), ("space::layer(int, int)", source, 12), ("outer(int)", source, 17), ("main", source, 24)]
    vector = frames_of(recording, 84000)
    assert vector[-2:] == [("outer(int)", source, 18), ("main", source, 24)]
    assert len(vector) > 4 and all("/include/c++/" in file for _, file, _ in vector[:-2])
    assert ("std::vector<int, std::allocator<int> >::vector(unsigned long, std::allocator<int> const&)" in
            [function for function, _, _ in vector])
    # The vector's memory is the line's that made the vector; inclusive sums hold each inlined caller.
    lines = {(row["function"], row["line"]): row["allocated_bytes"] for row in recording.lines if row["file"] == source}
    assert lines == {("innermost", 6): 162001, ("outer(int)", 18): 84000}
    inclusive = {(row["function"], row["line"]): row["allocated_bytes"]
                 for row in recording.json("lines", "--inclusive")["lines"] if row["file"] == source}
    assert inclusive == {("innermost", 6): 162001, ("space::layer(int, int)", 11): 81000, ("space::layer(int, int)", 12): 81001,
                         ("outer(int)", 17): 162001, ("outer(int)", 18): 84000, ("main", 24): 246001}
    (stack,) = [stack for stack in recording.json("peak")["stacks"] if stack["bytes"] == 81000]
    assert [(frame["function"], frame["line"]) for frame in stack["frames"]][:4] == [
        ("innermost", 6), ("space::layer(int, int)", 11), ("outer(int)", 17), ("main", 24)]
