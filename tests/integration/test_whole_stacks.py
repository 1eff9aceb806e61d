"""Stacks that are hard to find, each compared with the whole of what it is: programs that are compiled here, recorded with --native, and of which
every stack is also compared with libunwind's."""

import shutil
import subprocess

import pytest

from interpreters import DEFAULT
from recording import TIMEOUT

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")

CUT = "(cut)"
START = ["libc", "_start"]
THREAD = ["libc"]

# Calls that no compiler turns into jumps.
HEADER = """\
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NOINLINE __attribute__((noinline, noclone))
#define END __asm__ volatile("" ::: "memory")
static void *volatile kept;
static NOINLINE void allocate(size_t bytes) { kept = malloc(bytes); END; }
"""


def build(folder, name, text, *options, header=HEADER):
    """An executable, or with -shared a library, or with -c an object."""
    source, made = folder / name, folder / name.rpartition(".")[0]
    source.write_text(header + text)
    compiler = "g++" if name.endswith(".cpp") else "gcc"
    subprocess.run([compiler, "-g", "-O2", "-o", made, source, *options, "-pthread", "-ldl"], check=True, timeout=TIMEOUT)
    return made


def checked(record, program, *arguments, **more):
    """Recorded; each native stack compared."""
    run = record(program, *arguments, options=["--native", "--check-native", "1"], **more)
    assert run.returncode == 0, run.stderr.decode()
    assert run.report["native_checks"] > 0 and run.report["native_differences"] == 0
    return run


def place(frame):
    """Its function; the system's libraries by their name alone, as their symbols need not be installed."""
    module = (frame["module"] or "").rpartition("/")[2]
    if frame["kind"] == "cut":
        return CUT
    for name in ("libc", "ld-linux", "libstdc++", "libgcc_s"):
        if module.startswith(name):
            return name
    return frame["function"]


def stacks(run, size):
    """Those that allocated blocks of this size: {names of the frames, innermost first: allocations}; what lies in one library is one name."""
    nodes = {row["stack_id"]: row for row in run.sql("SELECT stack_id, caller_id, kind, function, module FROM stack JOIN frame USING (frame_id)")}
    found = {}
    for use in run.sql(f"SELECT stack_id, allocations FROM stack_use WHERE allocations > 0 AND allocated_bytes = {size} * allocations"):
        names, stack = [], use["stack_id"]
        while stack:
            name = place(nodes[stack])
            if not (names and names[-1] == name and name.startswith(("lib", "ld-"))):
                names.append(name)
            stack = nodes[stack]["caller_id"]
        found[tuple(names)] = found.get(tuple(names), 0) + use["allocations"]
    return found


def one(*names, allocations=1):
    return {tuple(names): allocations}


# ---- code without frame pointers, without unwind information, without names ----

OTHER = "__attribute__((noinline)) void second(void (*call)(unsigned long), int bytes) { volatile char b[bytes]; b[0] = 1; call(81000); b[1] = 2; }\n" \
        "__attribute__((noinline)) void first(void (*call)(unsigned long)) { second(call, 300); __asm__ volatile(\"\"); }\n"
CALLER = "void first(void (*)(unsigned long));\nint main(void) { first(allocate); END; return 0; }\n"


@pytest.mark.parametrize("tables", [True, False], ids=["with_tables", "without_tables"])
def test_omitted_frame_pointers(tables, record, tmp_path):
    none = [] if tables else ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    other = build(tmp_path, "other.c", OTHER, "-c", "-fomit-frame-pointer", *none, header="")
    run = checked(record, build(tmp_path, "program.c", CALLER, "-fomit-frame-pointer", "-x", "none", other))
    assert stacks(run, 81000) == (one("allocate", "second", "first", "main", *START) if tables else one("allocate", "second", CUT))


def test_stripped(record, tmp_path):
    program = build(tmp_path, "program.c", OTHER + CALLER)
    symbols = {line.split()[2]: int(line.split()[0], 16) for line in
               subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines() if line.split()[1] in "tT"}
    subprocess.run(["strip", program], check=True)
    ((names, _),) = stacks(checked(record, program), 81000).items()
    assert len(names) == 6 and names[4] == "libc"
    # A function is named by module and offset: it lies where the symbol table had it.
    order = sorted(symbols.values()) + [1 << 62]
    for name, function in zip(names[:4] + names[5:], ["allocate", "second", "first", "main", "_start"]):
        module, _, offset = name.partition("+0x")
        start = symbols[function]
        assert module == "program" and start < int(offset, 16) < order[order.index(start) + 1], (name, function)


# ---- libraries that go and come at the same address ----

# Of a program whose libraries use what is kept, and of those.
SHOWN = HEADER.replace("static void *volatile kept", "void *volatile kept")
SHARED = HEADER.replace("static void *volatile kept", "extern void *volatile kept").replace("static NOINLINE void", "static inline void")
LIBRARY = "NOINLINE void NAME(void) { %s allocate(BYTES); END; }\nNOINLINE void entry(void) { NAME(); END; }\n"
LOADER = """
#include <dlfcn.h>
#include <stdint.h>
static NOINLINE uintptr_t use(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    void (*entry)(void) = (void (*)(void))dlsym(library, "entry");
    for (int i = 0; i < 50; i++) { entry(); free(kept); }
    dlclose(library);
    return (uintptr_t)entry;
}
int main(int argc, char **argv)
{
    int same = 0;
    for (int i = 0; i < 20; i++)
        same += use(argv[1]) == use(argv[2]);
    printf("%d", same);
    return 0;
}
"""


def test_another_library_at_the_same_address(record, tmp_path):
    """What the stacks before name is the old library, with the same code and other names, or with frames of another size."""
    loader = build(tmp_path, "loader.c", LOADER, "-rdynamic", header=SHOWN)
    for name, size, frame in (("first", 81000, ""), ("second", 82000, ""), ("third", 83000, "volatile char room[200]; room[0] = 1;")):
        build(tmp_path, f"{name}.so.c", LIBRARY % frame, "-shared", "-fPIC", f"-DNAME=in_{name}", f"-DBYTES={size}", header=SHARED)
    same = 0
    for other, size in (("second", 82000), ("third", 83000)):
        run = checked(record, loader, tmp_path / "first.so", tmp_path / f"{other}.so")
        same += int(run.stdout)
        assert stacks(run, 81000) == one("allocate", "in_first", "entry", "use", "main", *START, allocations=1000)
        assert stacks(run, size) == one("allocate", f"in_{other}", "entry", "use", "main", *START, allocations=1000)
    assert same > 0, "the system never reused the address"


CLOSED_BY_LIBC = """
#include <dlfcn.h>
#include <iconv.h>
#include <stdint.h>
static uintptr_t find(const char *name)
{
    char line[4096];
    uintptr_t address = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (!address && fgets(line, sizeof line, maps)) if (strstr(line, name)) address = strtoul(line, NULL, 16);
    fclose(maps);
    return address;
}
int main(int argc, char **argv)
{
    iconv_t conversion = iconv_open("UTF-16", "UTF-8");
    uintptr_t before = find("/UTF-16.so");
    iconv_close(conversion);
    for (int i = 0; i < 5; i++) { iconv_close(iconv_open("UTF-32", "UTF-8")); iconv_close(iconv_open("UTF-7", "UTF-8")); }
    int is_gone = before && !find("/UTF-16.so");
    void *library = dlopen(argv[1], RTLD_NOW);
    ((void (*)(void))dlsym(library, "entry"))();
    uintptr_t now = find("/first.so");
    printf("%d", is_gone && now < before + 16384 && before < now + 16384);
    return 0;
}
"""


def test_another_library_where_libc_had_closed_its_own(record, tmp_path):
    """It loads and closes libraries of character sets without a dlclose that anybody sees."""
    program = build(tmp_path, "program.c", CLOSED_BY_LIBC, "-rdynamic", header=SHOWN)
    library = build(tmp_path, "first.so.c", LIBRARY % "", "-shared", "-fPIC", "-DNAME=in_first", "-DBYTES=81000", header=SHARED)
    run = checked(record, program, library)
    if run.stdout != b"1":
        pytest.skip("libc kept its library, or the system did not reuse the address")
    assert stacks(run, 81000) == one("allocate", "in_first", "entry", "main", *START)


# ---- stacks that are left, changed, or not the thread's own ----

def test_signal_handlers_on_alternate_stacks(record, tmp_path):
    run = checked(record, build(tmp_path, "program.c", """
#include <signal.h>
static NOINLINE void inner(int number) { allocate(82000); END; }
static NOINLINE void outer(int number) { allocate(81000); raise(SIGUSR2); allocate(83000); END; }
static NOINLINE void interrupted(int depth) { if (depth) interrupted(depth - 1); else raise(SIGUSR1); END; }
int main(void)
{
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = outer, .sa_flags = SA_ONSTACK}, second = {.sa_handler = inner};
    sigaltstack(&stack, NULL); sigaction(SIGUSR1, &action, NULL); sigaction(SIGUSR2, &second, NULL);
    for (int i = 0; i < 5; i++) interrupted(2);
    allocate(84000); END;
    return 0;
}
"""))
    below = ["outer", "libc", "interrupted", "interrupted", "interrupted", "main", *START]
    assert stacks(run, 81000) == stacks(run, 83000) == one("allocate", *below, allocations=5)
    assert stacks(run, 82000) == one("allocate", "inner", "libc", *below, allocations=5)
    assert stacks(run, 84000) == one("allocate", "main", *START)


def test_coroutines(record, tmp_path):
    """A coroutine's stack ends where the coroutine begins: what libc keeps there (uc_link) is no caller."""
    run = checked(record, build(tmp_path, "program.c", """
#include <ucontext.h>
static ucontext_t own, other[2];
static NOINLINE void work(int number, int depth)
{
    if (depth) { work(number, depth - 1); END; return; }
    for (int i = 0; i < 5; i++) { allocate(81000 + 1000 * number); swapcontext(&other[number], &own); }
}
static void body(int number) { work(number, 2 * number); END; }
int main(void)
{
    static char room[65536];
    for (int i = 0; i < 2; i++) {
        getcontext(&other[i]);
        other[i].uc_stack.ss_sp = i ? room : malloc(65536);
        other[i].uc_stack.ss_size = 65536;
        other[i].uc_link = &own;
        makecontext(&other[i], (void (*)(void))body, 1, i);
    }
    for (int i = 0; i < 5; i++) { swapcontext(&own, &other[i % 2]); allocate(84000); swapcontext(&own, &other[1 - i % 2]); }
    return 0;
}
"""))
    assert stacks(run, 81000) == one("allocate", "work", "body", "libc", CUT, allocations=5)
    assert stacks(run, 82000) == one("allocate", "work", "work", "work", "body", "libc", CUT, allocations=5)
    assert stacks(run, 84000) == one("allocate", "main", *START, allocations=5)


def test_jumps(record, tmp_path):
    run = checked(record, build(tmp_path, "program.c", """
#include <setjmp.h>
static jmp_buf out;
static NOINLINE void dive(int depth) { allocate(81000); if (!depth) longjmp(out, 1); dive(depth - 1); END; }
int main(void)
{
    for (volatile int i = 0; i < 7; i++) { if (!setjmp(out)) dive(3); allocate(82000); }
    return 0;
}
"""))
    assert stacks(run, 81000) == {("allocate", *["dive"] * depth, "main", *START): 7 for depth in (1, 2, 3, 4)}
    assert stacks(run, 82000) == one("allocate", "main", *START, allocations=7)


def test_exceptions(record, tmp_path):
    """While they pass: by those that throw, by destructors on the way, by who catches."""
    if not shutil.which("g++"):
        pytest.skip("no g++ here")
    run = checked(record, build(tmp_path, "program.cpp", """
struct Large { char bytes[82000]; };
struct Guard { ~Guard(); };
NOINLINE Guard::~Guard() { allocate(81000); END; }
static NOINLINE int fall(int depth) { Guard guard; if (!depth) throw Large(); int n = fall(depth - 1); END; return n + 1; }
int main()
{
    for (int i = 0; i < 5; i++) {
        try { fall(30); } catch (const Large &) { allocate(83000); }
    }
    return 0;
}
""", "-fno-reorder-blocks-and-partition"))
    assert stacks(run, 81000) == {("allocate(unsigned long)", "Guard::~Guard()", *["fall(int)"] * depth, "main", *START): 5 for depth in range(1, 32)}
    # The exception's header is the library's own size.
    (header,) = run.sql("SELECT allocated_bytes / allocations AS size FROM stack_use WHERE allocations = 5 AND allocated_bytes / 5 BETWEEN 82001 AND 82999")
    assert stacks(run, header["size"]) == one("libstdc++", *["fall(int)"] * 31, "main", *START, allocations=5)
    assert stacks(run, 83000) == one("allocate(unsigned long)", "main", *START, allocations=5)


def test_deep_recursion(record, tmp_path):
    run = record(build(tmp_path, "program.c", "static NOINLINE void descend(int depth) { if (depth) descend(depth - 1); else allocate(81000); END; }\n"
                                              "int main(void) { descend(9999); END; return 0; }\n"), options=["--native"])
    assert stacks(run, 81000) == one("allocate", *["descend"] * 10000, "main", *START)


# ---- code and threads that nobody announced ----

def test_machine_code_without_information(record, tmp_path):
    """It calls malloc itself: the stack has its address, and says that nothing is known from there on."""
    run = record(build(tmp_path, "program.c", """
#include <sys/mman.h>
static NOINLINE void compiled(void *code) { kept = ((void *(*)(void))code)(); END; }
int main(void)
{
#if defined(__x86_64__)
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const unsigned char body[] = {0x48, 0x83, 0xec, 0x08, 0xbf, 0x68, 0x3c, 0x01, 0x00,       /* sub $8, %rsp; mov $81000, %edi */
                                         0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0,             /* mov $malloc, %rax; call *%rax */
                                         0x48, 0x83, 0xc4, 0x08, 0xc3};                              /* add $8, %rsp; ret */
    void *(*target)(size_t) = malloc;
    memcpy(code, body, sizeof body);
    memcpy(code + 11, &target, sizeof target);
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    for (int i = 0; i < 5; i++) { compiled(code); allocate(82000); }
    return 0;
#else
    return 77;
#endif
}
"""), options=["--native", "--check-native", "1"])
    if run.returncode == 77:
        pytest.skip("no such code for this processor")
    assert run.report["native_differences"] == 0
    (names,) = stacks(run, 81000)
    assert len(names) == 2 and names[1] == CUT and stacks(run, 81000)[names] == 5
    (row,) = [row for row in run.lines if row["allocated_bytes"] == 405000]
    assert (row["file"], row["line"], row["kind"]) == (None, None, "native")
    assert stacks(run, 82000) == one("allocate", "main", *START, allocations=5)


THREADS = """
static NOINLINE void work(int depth) { if (depth) work(depth - 1); else { allocate(81000); free(kept); } END; }
static void *body(void *argument) { for (int i = 0; i < 5; i++) work(3); return NULL; }
void start(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) { pthread_create(&threads[i], NULL, body, NULL); pthread_join(threads[i], NULL); }
}
"""


def test_threads(record, tmp_path):
    run = checked(record, build(tmp_path, "program.c", THREADS + "int main(void) { start(); return 0; }\n"))
    assert stacks(run, 81000) == one("allocate", *["work"] * 4, "body", *THREAD, allocations=20)


@pytest.mark.skipif(not DEFAULT, reason="no Python here")
def test_threads_that_python_knows_nothing_of(record, tmp_path):
    library = build(tmp_path, "threads.so.c", THREADS, "-shared", "-fPIC")
    run = record(DEFAULT.path, "-c", f"import ctypes; ctypes.CDLL('{library}').start()", options=["--native", "--check-native", "20"])
    assert run.returncode == 0 and run.report["native_differences"] == 0
    assert stacks(run, 81000) == one("allocate", *["work"] * 4, "body", *THREAD, allocations=20)
