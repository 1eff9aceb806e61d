"""A recorded program that goes on when it is told to, and what commands say to its collector meanwhile."""

import subprocess

import pytest

from recording import HEAPLINE, Recording, clean_environment, heapline, read_facts, target


class Phases:
    """A program that goes on when it is told to."""

    def __init__(self, tmp_path, *command, options=("--paused",), cwd=None):
        self.trace, self.facts_path = tmp_path / "t.heapline", tmp_path / "facts"
        self.process = subprocess.Popen([HEAPLINE, "run", "--quiet", "-o", self.trace, *options, "--", *command],
                                        env=clean_environment(HEAPLINE_TEST_FACTS=self.facts_path),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd)
        self.phase = int(self.process.stdout.readline())

    @property
    def pid(self):
        facts = read_facts(self.facts_path)
        if "pid" in facts:
            return facts["pid"]
        (child,) = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()
        return int(child)

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.phase += 1
        assert not answer or int(answer) == self.phase
        return answer

    def ask(self, verb, *operands):
        result = heapline(verb, self.pid, *operands)
        assert result.returncode == 0, result.stderr
        return result.stdout.decode()

    def finish(self):
        while self.go_on():
            pass
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return Recording(self.trace, self.process, read_facts(self.facts_path))


@pytest.fixture
def program(tmp_path):
    """Waits with what the test's source says of phase 2."""
    program = Phases(tmp_path, target("phases"))
    program.go_on()
    program.ask("start")
    program.go_on()
    yield program
    program.process.kill()
    program.process.communicate()
