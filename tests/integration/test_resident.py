"""The resident set in the report is the program's own: its true peak, without the memory that it shares with its collector."""

import subprocess
import sys

TOUCHED = 40_000_000
# Touches every page, frees it, and says what the kernel saw: far shorter than any sampling of it.
PROGRAM = f"""
block = bytearray({TOUCHED})
for at in range(0, len(block), 4096):
    block[at] = 1
del block
for i in range(300000):
    [None] * 50
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_peak_is_the_programs_own(record):
    bare = 1024 * int(subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True).stdout)
    run = record(sys.executable, "-c", PROGRAM)
    seen = 1024 * int(run.stdout)
    peak = run.report["peak_rss_bytes"]
    # The recorder's private pages in the target and its library come on top; the shared rings, which the kernel counts, don't: those
    # are taken off as large as they were when the set was at its highest, give or take their growth between two samples.
    assert TOUCHED < peak <= seen
    assert peak < bare + (6 << 20)
