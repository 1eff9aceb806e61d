"""The scratch environment under build/bench: a virtual environment with the workloads' packages and the peers, the native workloads compiled,
and what all of it is (versions, machine), for the tables."""

import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys

from .places import BENCH, HERE, ROOT, WORKLOADS, say

PACKAGES_SHOWN = ("memray", "scalene", "filprofiler", "numpy", "scipy", "scikit-learn", "pandas", "spacy", "Django", "pyperformance", "pyperf", "docutils")
NATIVE_SOURCES = ("cxx_tree.cpp", "churn.c", "threads.c", "deep_stacks.c")


@dataclasses.dataclass
class Context:
    """What a run needs to know to build its command lines."""

    python: pathlib.Path
    heapline: pathlib.Path
    heapline_options: list
    variables: dict
    cpu: int  # for runs on a single core


def install_debian_packages():
    subprocess.run([ROOT / "packaging" / "install-deps", "build", "benchmark"], check=True)


def build_heapline():
    if not (ROOT / "build" / "build.ninja").exists():
        subprocess.run(["meson", "setup", ROOT / "build", ROOT], check=True, stdout=sys.stderr)
    subprocess.run(["meson", "compile", "-C", ROOT / "build"], check=True, stdout=sys.stderr)


def make_python(python):
    """A virtual environment of this interpreter. The path of its python."""
    version = subprocess.run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], capture_output=True, text=True,
                             check=True).stdout.strip()
    folder = BENCH / f"python-{version}"
    if not (folder / "bin" / "python").exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def install_packages(python, group):
    """The packages of requirements/GROUP.txt. False, with a message, where they cannot be installed for this interpreter."""
    wanted = HERE / "requirements" / f"{group}.txt"
    marker = python.parent.parent / f"installed-{group}.txt"
    if marker.exists() and marker.read_text() == wanted.read_text():
        return True
    say(f"benchmarks: installing the packages of {wanted.relative_to(ROOT)} into {python.parent.parent}")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], stdout=sys.stderr)
    if done.returncode != 0:
        say(f"benchmarks: {wanted.relative_to(ROOT)} could not be installed; what needs it is left out")
        return False
    marker.write_text(wanted.read_text())
    return True


def compile_workloads():
    for source in NATIVE_SOURCES:
        path, program = WORKLOADS / source, BENCH / pathlib.Path(source).stem
        if not program.exists() or program.stat().st_mtime < path.stat().st_mtime:
            compiler = "c++" if path.suffix == ".cpp" else "cc"
            subprocess.run([compiler, "-O2", "-g", "-pthread", "-o", program, path], check=True)


def make_variables():
    """The environment of every run: the same hash order each time, numeric libraries with one thread."""
    return dict(os.environ, PYTHONHASHSEED="0", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def package_versions(python):
    code = ("import json; from importlib import metadata; "
            "print(json.dumps({d.metadata['Name']: d.version for d in metadata.distributions()}))")
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    versions = {name: found[name] for name in PACKAGES_SHOWN if name in found}
    others = {"heaptrack": ["heaptrack", "--version"], "sqlite3": ["sqlite3", "--version"], "gcc": ["gcc", "-dumpfullversion"]}
    versions.update({name: (first_line(command) or "absent").replace("heaptrack ", "").split()[0] for name, command in others.items()})
    return versions


def describe_machine(context):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory_kb = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal")))
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kb / 2**20, 1),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": first_line([context.python, "-VV"]),
        "packages": package_versions(context.python),
        "heapline": first_line([context.heapline, "--version"]),
        "heapline_commit": first_line(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"]),
        "load_at_start": round(os.getloadavg()[0], 2),
    }
