"""Functions, files and lines of native frames, in programs that are compiled here: inlined calls, both versions of DWARF, stripped programs,
and each place where debug information may be kept apart."""

import http.server
import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from interpreters import DEFAULT
from recording import Trace, clean_environment, heapline

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


LOCAL = """\
#include <cstdlib>
static void *volatile kept;
#define INLINED __attribute__((always_inline)) inline
namespace space { namespace {
struct Maker { INLINED void make(int bytes) { kept = std::malloc(bytes); } }; // 5
INLINED void hidden(int bytes) { Maker().make(bytes); } // 6
}
INLINED static void layer(int bytes) { hidden(bytes); } // 8
}
INLINED static void plain(int bytes) { space::layer(bytes); } // 10
__attribute__((noinline)) void outer(int bytes) { plain(bytes); asm volatile("" ::: "memory"); } // 11
int main() { outer(81000); asm volatile("" ::: "memory"); return 0; } // 12
"""


@pytest.mark.parametrize("flags", [["-g"], ["-g", "-gsplit-dwarf"]], ids=["whole", "split"])
def test_inlined_functions_that_no_other_file_sees(flags, record, tmp_path):
    """Their entries have no name but a plain one; the namespaces and types that they lie in are told all the same."""
    recording = record(compile_program(tmp_path, "local.cpp", LOCAL, *flags), options=["--native"])
    assert [(function.partition("(int)")[0], line) for function, _, line in frames_of(recording, 81000)] == [
        ("space::(anonymous namespace)::Maker::make", 5), ("space::(anonymous namespace)::hidden", 6), ("space::layer", 8), ("plain", 10), ("outer", 11),
        ("main", 12)]


# ---- debug information kept apart ----

def places(trace, *options, environment=None):
    """Of the two frames of PLAIN's allocation: function, file's name, line."""
    result = heapline("sql", "--json", "--no-cache", *options, trace,
                      "SELECT function, file, line FROM stack_use JOIN stack USING (stack_id) JOIN frame USING (frame_id) "
                      "WHERE allocated_bytes = 81000 UNION ALL SELECT function, file, line FROM stack_use AS u JOIN stack AS s USING (stack_id) "
                      "JOIN stack AS c ON c.stack_id = s.caller_id JOIN frame AS f ON f.frame_id = c.frame_id WHERE allocated_bytes = 81000", environment=environment)
    assert result.returncode == 0, result.stderr.decode()
    return [(row["function"], row["file"], row["line"]) for row in json.loads(result.stdout)["rows"]]


def module_state(trace, name, *options):
    result = heapline("sql", "--json", "--no-cache", *options, trace, f"SELECT symbols FROM module WHERE path LIKE '%/{name}'")
    return json.loads(result.stdout)["rows"][0]["symbols"]


class Split:
    """PLAIN, recorded stripped, and its debug information in a file of its own."""

    def __init__(self, folder, record, *options, link=None, strip=("--strip-all",)):
        self.program = compile_program(folder, "plain.c", PLAIN, "-g", *options)
        self.debug = folder / "kept" / "plain.debug"
        self.debug.parent.mkdir()
        run("objcopy", "--only-keep-debug", self.program, self.debug)
        run("objcopy", *strip, *([f"--add-gnu-debuglink={self.debug}"] if link else []), self.program)
        self.trace = record(self.program, options=["--native"]).path
        self.found = [("made_here", str(folder / "plain.c"), 5), ("main", str(folder / "plain.c"), 10)]

    def build_id(self):
        notes = subprocess.run(["readelf", "-n", self.program], capture_output=True, text=True).stdout
        return notes.split("Build ID: ")[1].split()[0]

    def is_nameless(self, *options):
        names = [function for function, _, _ in places(self.trace, *options)]
        return all(name.startswith("plain+0x") for name in names) and len(names) == 2


def put(source, target):
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)


def test_debug_file_by_build_id(record, tmp_path):
    split = Split(tmp_path, record)
    assert split.is_nameless() and module_state(split.trace, "plain") == "functions"
    build_id, folder = split.build_id(), tmp_path / "debug"
    put(split.debug, folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug")
    assert places(split.trace, "--debug-dir", folder) == split.found
    assert module_state(split.trace, "plain", "--debug-dir", folder) == "lines"
    # It is enough on its own, and where the program is another one by now.
    split.program.rename(tmp_path / "elsewhere")
    assert module_state(split.trace, "plain") == "absent"
    assert places(split.trace, "--debug-dir", folder) == split.found
    compile_program(tmp_path, "plain.c", PLAIN.replace("81000", "82000"), "-g")
    assert module_state(split.trace, "plain") == "changed" and split.is_nameless()
    text = heapline("report", "--no-cache", split.trace).stdout.decode()
    assert text.replace("\n  ", " ").count(f"{split.program} is another build by now than the one that ran") == 1
    assert json.loads(heapline("report", "--json", "--no-cache", split.trace).stdout)["changed_modules"] == [str(split.program)]
    assert places(split.trace, "--debug-dir", folder) == split.found


def test_debug_file_of_another_build_is_not_used(record, tmp_path):
    split = Split(tmp_path, record, link=True)
    other = compile_program(tmp_path / "kept", "plain.c", "\n\n" + PLAIN, "-g")
    build_id, folder = split.build_id(), tmp_path / "debug"
    put(other, folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug")
    put(other, tmp_path / ".debug" / "plain.debug")
    assert split.is_nameless("--debug-dir", folder)
    split.program.rename(tmp_path / "elsewhere")
    assert split.is_nameless("--debug-dir", folder)


@pytest.mark.parametrize("place", ["plain.debug", ".debug/plain.debug"])
def test_debug_file_by_link(place, record, tmp_path):
    split = Split(tmp_path, record, "-Wl,--build-id=none", link=True)
    assert split.is_nameless()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    shutil.copy(split.debug, tmp_path / place)
    assert places(split.trace) == split.found
    # Its checksum must be that of the link.
    with open(tmp_path / place, "ab") as debug:
        debug.write(b"\0")
    assert split.is_nameless()


def test_debug_file_by_path(record, tmp_path):
    split = Split(tmp_path, record, link=True)
    folder = tmp_path / "debug"
    put(split.debug, folder / str(tmp_path)[1:] / "plain.debug")
    assert places(split.trace, "--debug-dir", folder) == split.found
    assert split.is_nameless()


def test_sysroot(record, tmp_path):
    """The recorded system's files, brought to another machine."""
    split = Split(tmp_path, record, link=True)
    root = tmp_path / "root"
    put(split.program, root / str(split.program)[1:])
    split.program.unlink()
    assert module_state(split.trace, "plain") == "absent"
    assert module_state(split.trace, "plain", "--sysroot", root) == "functions"
    put(split.debug, root / "usr/lib/debug" / str(tmp_path)[1:] / "plain.debug")
    assert places(split.trace, "--sysroot", root) == split.found
    assert module_state(split.trace, "libc.so.6", "--sysroot", root) == "absent"
    result = heapline("report", "--sysroot", tmp_path / "nowhere", split.trace)
    assert result.returncode == 2 and b"--sysroot" in result.stderr


def test_a_kept_report_is_of_its_sources(record, tmp_path):
    split = Split(tmp_path, record)
    build_id, folder = split.build_id(), tmp_path / "debug"
    put(split.debug, folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug")
    functions = [{row["function"] for row in json.loads(heapline("lines", "--json", *options, split.trace).stdout)["lines"]}
                 for options in ([], ["--debug-dir", folder], [])]
    assert "made_here" in functions[1] and "made_here" not in functions[0] | functions[2]


def test_mini_debug_info(record, tmp_path):
    if not shutil.which("xz"):
        pytest.skip("no xz here")
    program, mini = compile_program(tmp_path, "plain.c", PLAIN, "-g"), tmp_path / "mini"
    run("objcopy", "--strip-debug", program, mini)
    run("xz", "-k", mini)
    run("objcopy", "--strip-all", "--add-section", f".gnu_debugdata={mini}.xz", program)
    assert not subprocess.run(["nm", program], capture_output=True).stdout
    trace = record(program, options=["--native"]).path
    assert places(trace) == [("made_here", None, None), ("main", None, None)]


@pytest.mark.parametrize("strip, options", [("--strip-debug", ()), ("--strip-all", ["-rdynamic"])], ids=["symtab", "dynsym"])
def test_symbol_tables(strip, options, record, tmp_path):
    split = Split(tmp_path, record, *options, strip=[strip])
    assert places(split.trace) == [("made_here", None, None), ("main", None, None)]
    assert module_state(split.trace, "plain") == "functions"


# ---- bundled symbols ----

def bundle(trace, *options):
    result = heapline("bundle", *options, trace)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def what_must_agree(document):
    """Of two reports of the same run."""
    return {key: value for key, value in document.items() if key not in ("processes", "changed_modules")}


def test_bundle(record, tmp_path):
    """The same report with and without the recorded files, inlined calls included."""
    program = compile_program(tmp_path, "inlined.cpp", INLINED, "-g")
    recording = record(program, options=["--native"])
    whole = {command: recording.json(command) for command in ("report", "lines", "peak")}
    elsewhere = tmp_path / "elsewhere" / "inlined.heapline"
    elsewhere.parent.mkdir()
    assert bundle(recording.path, "-o", elsewhere).startswith(f"{elsewhere}: ")
    program.rename(tmp_path / "gone")
    bundled = Trace(elsewhere)
    for command, document in whole.items():
        assert what_must_agree(bundled.json(command)) == what_must_agree(document)
    source = str(tmp_path / "inlined.cpp")
    assert frames_of(bundled, 81001) == [
        ("innermost", source, 6), ("space::layer(int, int)", source, 12), ("outer(int)", source, 17), ("main", source, 24)]
    assert module_state(elsewhere, "inlined") == "lines" and module_state(recording.path, "inlined") == "absent"
    assert not bundled.sql("SELECT key FROM property WHERE key LIKE 'symbols%'")
    dump = json.loads(heapline("dump", "--json", elsewhere).stdout)
    assert dump["records"]


def test_bundle_brings_source_files(record, tmp_path):
    """As they were; and only those, of native and of Python lines, that are what they were when the program ran."""
    program = compile_program(tmp_path, "plain.c", PLAIN, "-g")
    script, changed = tmp_path / "script.py", tmp_path / "changed.py"
    changed.write_text("def early():\n    return bytearray(81000)\n")
    script.write_text("import changed\ndef late():\n    return bytearray(82000)\nkept = [changed.early(), late()]\n")
    native, python = record(program, options=["--native"]), record(DEFAULT.path, "script.py", cwd=tmp_path)
    future = time.time() + 1000
    os.utime(changed, (future, future))
    paths = [str(tmp_path / "native"), str(tmp_path / "python"), str(tmp_path / "without")]
    said = [bundle(recording.path, "-o", path, *options) for recording, path, options in
            ((native, paths[0], []), (python, paths[1], []), (python, paths[2], ["--no-sources"]))]
    assert "source file" in said[0] and "no source files" in said[2]
    for file in (tmp_path / "plain.c", script, changed):
        file.unlink()

    def texts(trace, source):
        result = heapline("lines", "--json", "--source", source, trace)
        assert result.returncode == 0
        return {row["line"]: row["text"] for row in json.loads(result.stdout)["lines"] if row["allocated_bytes"] > 80000}, result.stderr.decode()
    assert texts(paths[0], "plain.c") == ({5: "    kept = malloc(bytes); /* 5 */"}, "")
    assert texts(paths[1], "script.py") == ({3: "    return bytearray(82000)"}, "")
    missing, warning = texts(paths[1], "changed.py")
    assert missing == {2: None} and "cannot be read" in warning
    missing, warning = texts(paths[2], "script.py")
    assert missing == {3: None} and "cannot be read" in warning
    # The texts are a table of their own, and stay when the trace is bundled again where the files are not.
    assert Trace(paths[0]).sql("SELECT text FROM source WHERE file LIKE '%/plain.c'") == [{"text": PLAIN}]
    assert not Trace(paths[0]).sql("SELECT key FROM property WHERE key LIKE 'source%'")
    bundle(paths[0])
    assert texts(paths[0], "plain.c")[0] == {5: "    kept = malloc(bytes); /* 5 */"}


def test_bundle_in_place_and_again(record, tmp_path):
    split = Split(tmp_path, record, link=True)
    folder = tmp_path / "debug"
    put(split.debug, folder / str(tmp_path)[1:] / "plain.debug")
    bundle(split.trace, "--debug-dir", folder)
    assert places(split.trace) == split.found
    # What can't be found any more is kept; what is found anew comes in its place.
    split.program.rename(tmp_path / "gone")
    bundle(split.trace)
    assert places(split.trace) == split.found
    (tmp_path / "gone").rename(split.program)
    bundle(split.trace)
    assert split.is_nameless()
    # Named explicitly, files come first.
    assert places(split.trace, "--debug-dir", folder) == split.found


def test_bundle_of_a_bounded_trace(record, tmp_path):
    """Tallies stay the last blocks before the end."""
    text = PLAIN.replace("return 0;", "static void *blocks[4096]; unsigned x = 1; for (int i = 0; i < 600000; i++) { x = x * 1664525u + 1013904223u; "
                         "free(blocks[x >> 20]); blocks[x >> 20] = malloc(1 + (x >> 8) % 7919); } return 0;")
    program = compile_program(tmp_path, "plain.c", text, "-g", "-fno-builtin")
    recording = record(program, options=["--native", "--max-trace-size", "1M"])
    whole = recording.report
    assert whole["stream_truncated"]
    bundle(recording.path)
    again = Trace(recording.path)
    assert {**again.report, "processes": 0} == {**whole, "processes": 0}
    assert [row["function"] for row in again.lines if row["allocated_bytes"] == 81000] == ["made_here"]


def test_bundle_of_a_killed_programs_trace(record, tmp_path):
    """There is no end block to stand before."""
    program = compile_program(tmp_path, "plain.c", PLAIN, "-g")
    recording = record(program, options=["--native"])
    cut = tmp_path / "cut.heapline"
    cut.write_bytes(recording.path.read_bytes()[:-248])
    assert places(cut)[0][0] == "made_here"
    bundle(cut)
    program.unlink()
    assert places(cut)[0] == ("made_here", str(tmp_path / "plain.c"), 5)
    report = Trace(cut).report
    assert report["damage"] is None and not report["complete"] and report["allocated_bytes"] == recording.report["allocated_bytes"]


def test_bundle_refuses_what_is_no_trace(tmp_path):
    other = tmp_path / "other"
    other.write_text("text")
    assert heapline("bundle", other).returncode == 3
    assert heapline("bundle", tmp_path / "none").returncode == 3
    assert other.read_text() == "text" and list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("mangling", ["default", "v0"])
def test_rust(mangling, record, tmp_path):
    if not shutil.which("rustc"):
        pytest.skip("no rustc here")
    source, program = tmp_path / "crusty.rs", tmp_path / "crusty"
    source.write_text("mod deep {\n    #[inline(never)]\n    pub fn make(bytes: usize) -> Vec<u8> {\n        Vec::with_capacity(bytes) // 4\n    }\n"
                      "}\nfn main() {\n    std::hint::black_box(deep::make(81000)); // 8\n}\n")
    options = ["-C", "symbol-mangling-version=v0"] if mangling == "v0" else []
    built = subprocess.run(["rustc", "-g", "-O", *options, "-o", program, source], capture_output=True)
    if built.returncode:
        pytest.skip("this rustc does not build here")
    frames = [(function, line) for function, file, line in frames_of(record(program, options=["--native"]), 81000) if file == str(source)]
    assert frames[0] == ("crusty::deep::make", 4) and frames[1] == ("crusty::main", 8)


# ---- debuginfod ----

class DebugServer(http.server.BaseHTTPRequestHandler):
    """Serves one debug file by build id, and notes what it was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.path == f"/buildid/{self.server.build_id}/{self.server.kind}"
        self.send_response(200 if found else 404)
        body = self.server.file.read_bytes() if found else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def test_debuginfod(record, tmp_path):
    """Servers are asked only when that was asked for, by option or environment."""
    split = Split(tmp_path, record)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DebugServer)
    server.asked, server.build_id, server.kind, server.file = [], split.build_id(), "debuginfo", split.debug
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(*options, **more):
        settings = clean_environment(DEBUGINFOD_URLS=f"http://127.0.0.1:{server.server_port}/", DEBUGINFOD_CACHE_PATH=tmp_path / "cache",
                                     DEBUGINFOD_TIMEOUT=20, **more)
        return places(split.trace, *options, environment=settings)

    try:
        nameless = ask()
        assert nameless[0][0].startswith("plain+0x") and server.asked == []
        if ask("--debuginfod") != split.found:
            assert not server.asked, "what the server sent was not used"
            pytest.skip("elfutils has no client of debuginfod here")
        assert server.asked and ask(HEAPLINE_DEBUGINFOD="1") == split.found
        assert ask(HEAPLINE_DEBUGINFOD="0") == nameless
        # Also of programs that aren't here (any more): the debug file, or the program itself.
        split.program.rename(tmp_path / "gone")
        assert ask("--debuginfod") == split.found and ask() == nameless
        shutil.rmtree(tmp_path / "cache")
        server.kind, server.file = "executable", tmp_path / "gone"
        assert ask("--debuginfod") == nameless
        server.file = tmp_path / "symbols"
        run("objcopy", "--strip-debug", compile_program(tmp_path, "plain.c", PLAIN, "-g"), server.file)
        split.program.unlink()
        shutil.rmtree(tmp_path / "cache")
        assert ask("--debuginfod") == [(function, None, None) for function, _, _ in split.found]
    finally:
        server.shutdown()
        server.server_close()
