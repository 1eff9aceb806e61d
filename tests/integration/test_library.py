"""What the built libheapline.so shows to the program it is loaded into: our hooks, what heapline.h looks for, and nothing else."""

import re
import subprocess

import pytest

from recording import BUILD

LIBRARY = BUILD / "lib" / "capture" / "libheapline.so"

ALLOCATION = """malloc calloc realloc reallocarray free cfree free_sized free_aligned_sized posix_memalign aligned_alloc memalign valloc pvalloc
    malloc_usable_size mmap mmap64 munmap mremap brk sbrk"""
OPERATORS = """_Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t _ZnamSt11align_val_t
    _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvRKSt9nothrow_t
    _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t"""
COPIES = """memcpy memmove mempcpy __mempcpy __memcpy_chk __memmove_chk __mempcpy_chk strcpy stpcpy strncpy stpncpy strcat strncat
    __strcpy_chk __stpcpy_chk __strncpy_chk __stpncpy_chk __strcat_chk __strncat_chk"""
PROCESS = """fork execve execv execvp execvpe execl execlp execle fexecve execveat posix_spawn posix_spawnp _exit _Exit quick_exit dlsym
    dlclose pthread_setname_np"""
CLIENTS = "heapline_recorder heapline_attach heapline_detach"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_exports_are_the_hooks():
    # What the linker itself defines (_etext) may stand in the table, as a local symbol that nobody is bound to.
    defined = [line.split() for line in run("nm", "-D", "--defined-only", LIBRARY).splitlines()]
    shown = {name for _, kind, name in defined if kind != "t"}
    assert shown == set(f"{ALLOCATION} {OPERATORS} {COPIES} {PROCESS} {CLIENTS}".split())


def test_needs_only_libc():
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", LIBRARY))
    assert {name for name in needed if not name.startswith("ld-linux")} == {"libc.so.6"}


@pytest.mark.parametrize("name", ["je_", "mallctl", "ZSTD_", "sqlite3_", "unw_", "backtrace"])
def test_no_other_library_inside(name):
    assert not [symbol for symbol in run("nm", "-D", LIBRARY).split() if symbol.startswith(name)]


def test_static_tls_is_small_enough_for_a_late_dlopen():
    row = [line.split() for line in run("readelf", "-lW", LIBRARY).splitlines() if line.split()[:1] == ["TLS"]]
    assert sum(int(fields[5], 16) for fields in row) <= 100


def test_no_text_relocations_and_no_executable_stack():
    assert "TEXTREL" not in run("readelf", "-d", LIBRARY)
    stack = next(line for line in run("readelf", "-lW", LIBRARY).splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack
