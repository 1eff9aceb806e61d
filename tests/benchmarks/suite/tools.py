"""The runs that are compared: the bare program, heapline in each mode, and its peers. How each is called and what it leaves behind."""

import dataclasses
import pathlib
import shutil
import tempfile

from .measure import RunFailed, measure
from .places import BENCH, say

TRACE = "trace.heapline"
SAMPLING = "512K"


@dataclasses.dataclass(frozen=True)
class Tool:
    name: str
    title: str  # the head of its column
    command: object  # (context, program) -> command line
    kinds: tuple = ("python", "native")
    trace: object = None  # (folder) -> bytes it left on disk
    slow: bool = False  # takes --peer-rounds rounds
    packages: str = "workloads"  # its group of requirements
    helpers: tuple = ()  # its own processes within the command's tree, as the kernel cuts their names

    @property
    def is_heapline(self):
        return self.name.startswith("heapline")


@dataclasses.dataclass(frozen=True)
class Program:
    """What is run: `arguments` begin with a Python script, or with an executable."""

    kind: str
    arguments: tuple
    wrapped: tuple = ()  # a compiler driver's arguments that put a tool (WRAPPER) around the programs it starts
    prefix: tuple = ()  # in front of everything, as `taskset -c 1`


def files_bytes(folder, wanted):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and wanted(file.name))


def heapline_files(folder):
    return [file for file in folder.iterdir() if file.name.startswith(TRACE) and not file.name.endswith((".report", ".lock"))]


def bare(context, program):
    interpreter = [context.python] if program.kind == "python" else []
    return [*program.prefix, *interpreter, *program.arguments]


def heapline(*mode, native_stacks=False):
    """`heapline run` in this mode; with native_stacks, C programs with theirs."""
    def command(context, program):
        stacks = ("--native",) if native_stacks and program.kind == "native" else ()
        own = [*program.prefix, context.heapline, "run", "--quiet", "-o", TRACE, *mode, *stacks, *context.heapline_options, "--"]
        return own + bare(context, dataclasses.replace(program, prefix=()))

    return command


def heapline_tool(name, title, *mode, native_stacks=False):
    return Tool(name, title, heapline(*mode, native_stacks=native_stacks), trace=lambda folder: sum(file.stat().st_size for file in heapline_files(folder)))


def in_python(*options, before_arguments=()):
    """A profiler that is called as `python OPTIONS script.py ARGUMENTS`."""
    def command(context, program):
        script, *arguments = program.arguments
        return [*program.prefix, context.python, *options, script, *(before_arguments if arguments else ()), *arguments]

    return command


def floor(name):
    """A floor: the recorder's hooks with next to nothing in them (pass_through.c)."""
    def command(context, program):
        library = context.heapline.parent.parent / "tests" / "benchmarks" / f"lib{name}.so"
        return [*program.prefix, "env", f"LD_PRELOAD={library}", *bare(context, dataclasses.replace(program, prefix=()))]

    return command


def heaptrack(context, program):
    if program.wrapped:
        return [*program.prefix, *("heaptrack" if part == "WRAPPER" else part for part in program.wrapped)]
    return [*program.prefix, "heaptrack", "-o", "trace", *program.arguments]


def memray(name, title, *options, slow=False):
    return Tool(name, title, in_python("-m", "memray", "run", "--quiet", *options, "-o", "trace.bin"), ("python",),
                trace=lambda folder: files_bytes(folder, "trace.bin".__eq__), slow=slow)


TOOLS = [
    Tool("bare", "bare", bare),
    Tool("pass-through", "empty hooks", floor("pass_through")),
    Tool("least-recorder", "least recorder", floor("least_recorder")),
    Tool("least-sampler", "least sampler", floor("least_sampler")),
    heapline_tool("heapline", "heapline"),
    heapline_tool("heapline-native", "heapline --native", "--native"),
    heapline_tool("heapline-paused", "heapline --paused", "--paused", native_stacks=True),
    heapline_tool("heapline-sampled", f"heapline --sample {SAMPLING}", "--sample", SAMPLING, native_stacks=True),
    memray("memray", "memray", "--trace-python-allocators"),
    memray("memray-native", "memray --native", "--trace-python-allocators", "--native", slow=True),
    Tool("scalene", "scalene", in_python("-m", "scalene", "run", "-o", "trace.json", before_arguments=("---",)), ("python",),
         trace=lambda folder: files_bytes(folder, "trace.json".__eq__), slow=True, packages="peers"),
    Tool("fil", "fil", in_python("-m", "filprofiler", "--no-browser", "-o", "fil", "run"), ("python",), slow=True, packages="peers"),
    Tool("tracemalloc", "tracemalloc", in_python("-X", "tracemalloc=25"), ("python",), slow=True),
    Tool("heaptrack", "heaptrack", heaptrack, ("native",), trace=lambda folder: files_bytes(folder, lambda name: name.endswith((".zst", ".gz"))),
         helpers=("heaptrack_inter", "zstd", "gzip")),
]
BY_NAME = {tool.name: tool for tool in TOOLS}


def try_out(tool, context):
    """Does this tool run at all? None, or why not."""
    BENCH.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="probe-", dir=BENCH))
    try:
        script = folder / "nothing.py"
        script.write_text("import sys\nprint(sys.argv)\n")
        program = Program("python", (script, "1")) if "python" in tool.kinds else Program("native", ("/bin/true",))
        measure(tool.command(context, program), folder, context.variables, timeout_s=120)
    except (RunFailed, OSError) as error:
        return str(error).strip()
    finally:
        shutil.rmtree(folder)
    return None


def usable(tools, context):
    """Those of the tools that run here; a message about each of the others."""
    found = []
    for tool in tools:
        reason = try_out(tool, context)
        if reason is None:
            found.append(tool)
        else:
            say(f"benchmarks: {tool.name} is left out: it {' / '.join(reason.splitlines()[:3])}")
    return found
