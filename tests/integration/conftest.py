"""Fixtures of the integration tests. Every recording of a finished program is checked for the rule that the rows of each
report add up to its total."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
pytest.register_assert_rewrite("marks", "recording")

from recording import HEAPLINE, TIMEOUT, Recording, clean_environment, heapline, read_facts  # noqa: E402


def pytest_report_header(config):
    return f"heapline: {HEAPLINE}"


@pytest.fixture
def record(tmp_path):
    """record(program, *arguments, options=[…], environment={…}, check=True, …) -> Recording.

    check: the program must have left a whole trace in which nothing was lost; all sums are verified (`stacks`: check_sums)."""
    count = 0

    def run(program, *arguments, options=(), environment=None, check=True, stacks=True, timeout=TIMEOUT, **more):
        nonlocal count
        count += 1
        trace, facts = tmp_path / f"{count}.heapline", tmp_path / f"{count}.facts"
        settings = clean_environment(HEAPLINE_TEST_FACTS=facts, **(environment or {}))
        result = heapline("run", "--quiet", "-o", trace, *options, "--", program, *arguments,
                          timeout=timeout, environment=settings, **more)
        recording = Recording(trace, result, read_facts(facts))
        if check:
            assert trace.exists(), f"no trace: status {result.returncode}, {result.stderr!r}"
            assert recording.report["lost_events"] == 0
            assert recording.report["sampling_interval_bytes"] == 0
            recording.check_sums(stacks)
        return recording

    return run
