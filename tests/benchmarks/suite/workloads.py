"""What is run: programs by group, each with its size and a small size that only shows that it works (--quick)."""

import dataclasses

from .inputs import c_source, sqlite_script, write_input
from .places import BENCH, WORKLOADS
from .tools import Program


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    group: str
    kind: str  # 'python' or 'native'
    size: int
    quick_size: int
    make: object  # (context, size) -> Program
    family: str = ""  # of a curve
    parameter: float = 0  # its place on the curve
    memory: bool = False  # a run for memory by kind is of interest


def script(name, *arguments):
    return lambda context, size: Program("python", (WORKLOADS / f"{name}.py", *arguments, str(size)))


def executable(name, *arguments):
    return lambda context, size: Program("native", (BENCH / name, *arguments, str(size)))


def sqlite_shell(context, size):
    return Program("native", ("sqlite3", "-batch", ":memory:", f".read {write_input('purchases.sql', sqlite_script, size)}"))


def gcc_compile(context, size):
    """The driver starts cc1 and as: the whole tree is recorded. heaptrack records one program, so the driver starts it around each."""
    arguments = ("-O2", "-c", "-o", "functions.o", str(write_input("functions.c", c_source, size)))
    return Program("native", ("gcc", *arguments), ("gcc", "-wrapper", "WRAPPER", *arguments))


def on_one_core(workload):
    """The same program, the tool and its collector on a single core."""
    def make(context, size):
        return dataclasses.replace(workload.make(context, size), prefix=("taskset", "-c", str(context.cpu)))

    return dataclasses.replace(workload, name=f"one_core-{workload.name}", group="single-core", make=make, memory=False)


PYTHON = [
    Workload("json_records", "python", "python", 280_000, 4_000, script("json_records"), memory=True),
    Workload("tfidf_svd", "python", "python", 18_000, 500, script("tfidf_svd"), memory=True),
    Workload("spacy_tokenizer", "python", "python", 10_000, 200, script("spacy_tokenizer"), memory=True),
    Workload("django_requests", "python", "python", 5_000, 100, script("django_requests"), memory=True),
    Workload("asyncio_tree", "python", "python", 14, 8, script("asyncio_tree"), memory=True),
    Workload("pandas_joins", "python", "python", 700_000, 20_000, script("pandas_joins"), memory=True),
]
NATIVE = [
    Workload("sqlite_shell", "native", "native", 300_000, 5_000, sqlite_shell, memory=True),
    Workload("gcc_compile", "native", "native", 300, 20, gcc_compile, memory=True),
    Workload("cxx_tree", "native", "native", 24_000_000, 200_000, executable("cxx_tree"), memory=True),
]
SINGLE_CORE = [on_one_core(workload) for workload in PYTHON + NATIVE if workload.name in ("json_records", "asyncio_tree", "gcc_compile", "cxx_tree")]
SINGLE_CORE.append(on_one_core(Workload("threads", "", "native", 20_000_000, 200_000, executable("threads", "8"))))
