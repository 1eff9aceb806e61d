"""What the commands print, character by character, for the database of hand_database.py; and that it fits terminals.

HEAPLINE_UPDATE_EXPECTED=1 writes the files in expected/ anew: read the difference before it is committed.
"""

import os
import pathlib
import re
import sqlite3

import pytest

import hand_database
from command import ON_DATABASE, environment, on_terminal, run
from text_columns import columns_of

EXPECTED = pathlib.Path(__file__).parent / "expected"

SCREENS = {
    "report": ["report"],
    "report_all_frames": ["report", "--all-frames", "--limit", "3"],
    "lines": ["lines"],
    "lines_inclusive": ["lines", "--inclusive", "--sort", "allocated"],
    "lines_by_function": ["lines", "--sort", "function", "--limit", "2"],
    "peak": ["peak"],
    "peak_limited": ["peak", "--limit", "2", "--all-frames"],
    "copies": ["copies"],
    "leaks": ["leaks"],
    "timeline": ["timeline"],
    "timeline_limited": ["timeline", "--limit", "4"],
    "sql": ["sql", "batch.heapline", "SELECT file, line, peak_bytes FROM line_use ORDER BY peak_bytes DESC LIMIT 3"],
    "sql_csv": ["sql", "--csv", "batch.heapline", "SELECT 'a,b' AS \"x\"\"y\", 1.5 AS n, NULL AS z UNION ALL SELECT 'c', 2, 'd\"e'"],
}


def with_trace(arguments):
    return arguments if "batch.heapline" in arguments else [*arguments, "batch.heapline"]


def check_expected(name, output):
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("HEAPLINE_UPDATE_EXPECTED"):
        path.write_text(output, newline="")
    assert output == path.read_bytes().decode()


@pytest.mark.parametrize("name", SCREENS)
def test_screen(hand, name):
    result = run(ON_DATABASE, *with_trace(SCREENS[name]), cwd=hand.parent)
    assert result.returncode == 0 and result.stderr == ""
    check_expected(name, result.stdout)


def test_screen_in_ascii(hand):
    """A locale without UTF-8 gets plain ASCII everywhere."""
    for command in ("report", "peak", "copies", "leaks", "timeline", "lines"):
        output = run(ON_DATABASE, command, "batch.heapline", cwd=hand.parent, env=environment(LC_ALL="C")).stdout
        assert output.isascii(), command
    check_expected("report_ascii", run(ON_DATABASE, "report", "batch.heapline", cwd=hand.parent, env=environment(LC_ALL="C")).stdout)


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("command", ["report", "lines", "peak", "copies", "leaks", "timeline"])
def test_fits_the_terminal(hand, command, columns):
    output = on_terminal(ON_DATABASE, command, hand.name, columns=columns, cwd=hand.parent)
    assert "\033[1m" in output
    lines = re.sub(r"\033\[[0-9;]*[mK]|\r", "", output).split("\n")
    assert len(lines) > 8
    too_wide = [line for line in lines if columns_of(line) > columns]
    assert not too_wide


def test_colours(hand):
    plain = run(ON_DATABASE, "report", hand).stdout
    assert "\033" not in plain
    coloured = run(ON_DATABASE, "report", "--color=always", hand).stdout
    assert "\033[1m" in coloured and re.sub(r"\033\[[0-9;]*m", "", coloured) == plain
    assert "\033[1m" not in on_terminal(ON_DATABASE, "report", hand, env=environment(NO_COLOR="1"))
    assert "\033[1m" not in on_terminal(ON_DATABASE, "report", "--color", "never", hand)
    assert "\033[1m" not in on_terminal(ON_DATABASE, "report", hand, env=environment(TERM="dumb"))


def test_warnings(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, complete=0, exit_kind="signal", exit_status=9, lost_events=12345, sampling_interval_bytes=524288,
                         peak_bytes_error=524288, allocated_bytes_error=3 << 20, properties=[("unsafe_stacks", "3")])
    output = run(ON_DATABASE, "report", path).stdout.splitlines()
    assert output[1] == "pid 4242 · SIGKILL · 10.0 s · 3.00k events"
    assert output[2:7] == [
        "! the program did not end by itself (SIGKILL): 'at the end' means its last event",
        "! 3 stacks could not be read and are cut or empty",
        "! 12.3k events lost: figures lack what they would have said",
        "! sampled, one allocation in 512 KiB on average: figures are estimates, with the interval of each",
        "  that holds the truth 19 times in 20; which allocations are temporary is not known",
    ]
    assert any(line.startswith("  peak ") and line.endswith("95 %: 39.0 to 41.9 MiB, at 6.00 s") for line in output)
    assert any(line.startswith("  allocated ") and "95 %: 125 to 138 MiB, in" in line for line in output)


def test_bounded_trace(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, stream_end_ns=3200000000)
    for command in ("report", "lines", "peak", "copies", "leaks", "timeline"):
        output = run(ON_DATABASE, command, path).stdout
        assert ("\n! the trace reached its size bound at 3.20 s: peak, totals, copies and what was live at the end are\n  exact, "
                "but what happened when is known only roughly from there on\n") in output, command


def test_bounded_from_the_beginning(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, stream_end_ns=0)
    output = " ".join(run(ON_DATABASE, "report", path).stdout.split())
    assert "! no event is listed one by one: from the beginning more was live than the trace's size bound has room for." in output
    assert "0 ns" not in output


def test_nothing_recorded(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, event_count=0)
    output = run(ON_DATABASE, "report", path).stdout
    assert "\n! no allocation was recorded: unless the program makes none, another allocator is linked into it\n  statically, or" in output


def test_damage_is_told(tmp_path):
    path = tmp_path / "t"
    hand_database.create(path, complete=0, exit_kind="unknown", exit_status=None, damage="the block at byte 4096 ends too early")
    output = run(ON_DATABASE, "peak", path).stdout.splitlines()
    assert output[2] == "! damaged trace (the block at byte 4096 ends too early): this is what its good part says"


def test_hostile_names(tmp_path):
    """A program's own words can't drive the terminal."""
    path = tmp_path / "t"
    hand_database.create(path, command="evil\033]0;title\a\nsecond line")
    output = run(ON_DATABASE, "report", path).stdout
    assert output.startswith("evil?]0;title??second line\n")


# ---- annotated source ----

SOURCE = [f"line {number}" for number in range(1, 42)]
SOURCE[11] = "    docs.append(json.loads(line))"
SOURCE[21] = "\tcache[key] = value"


@pytest.fixture
def with_source(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "batch.py").write_text("\n".join(SOURCE) + "\n")
    os.utime(home / "batch.py", (1600000000, 1600000000))
    hand_database.create(tmp_path / "batch.heapline", home=str(home))
    return tmp_path


@pytest.mark.parametrize("wanted", ["batch.py", "home/batch.py", None])
def test_source(with_source, wanted):
    wanted = wanted or with_source / "home" / "batch.py"
    result = run(ON_DATABASE, "lines", "--source", wanted, "batch.heapline", cwd=with_source)
    assert result.returncode == 0 and result.stderr == ""
    output = result.stdout.splitlines()
    assert output[0] == str(with_source / "home" / "batch.py")
    assert output[1] == "   peak   live  alloc copied      source"
    assert len([line for line in output if re.match(r"^[ 0-9.KMGT·]{28}  [ 0-9]{2}  line ", line)]) == 39
    assert output[1 + 22] == "   1.0M   2.0M   2.0M      ·  22          cache[key] = value"
    assert output[1 + 12] == " " * 28 + "  12      docs.append(json.loads(line))"
    assert output[1 + 42] == "   1.0M   2.0M   2.0M      ·      total of this file"


def test_source_inclusive(with_source):
    result = run(ON_DATABASE, "lines", "--inclusive", "--source", "batch.py", "batch.heapline", cwd=with_source)
    output = result.stdout.splitlines()
    assert output[1 + 12] == "    24M      ·    96M   8.0M  12      docs.append(json.loads(line))"
    assert "total of this file" not in result.stdout


def test_source_around_the_largest(with_source):
    result = run(ON_DATABASE, "lines", "--source", "batch.py", "--limit", "1", "batch.heapline", cwd=with_source)
    numbers = [int(match[1]) for match in re.finditer(r"^[ 0-9.KMGT·]{28}  ([ 0-9][0-9])  ", result.stdout, re.M)]
    assert numbers == list(range(19, 26))


def test_source_that_changed(with_source):
    os.utime(with_source / "home" / "batch.py")
    result = run(ON_DATABASE, "lines", "--source", "batch.py", "batch.heapline", cwd=with_source)
    assert result.returncode == 0 and "has changed since the program was recorded" in result.stderr


def test_source_that_is_gone(with_source):
    (with_source / "home" / "batch.py").unlink()
    result = run(ON_DATABASE, "lines", "--source", "batch.py", "batch.heapline", cwd=with_source)
    assert result.returncode == 0
    assert "cannot be read (No such file or directory)" in result.stderr
    assert "   1.0M   2.0M   2.0M      ·  22\n" in result.stdout


def test_source_nobody_knows(with_source):
    result = run(ON_DATABASE, "lines", "--source", "absent.py", "batch.heapline", cwd=with_source)
    assert result.returncode == 2 and result.stdout == "" and "absent.py" in result.stderr


# ---- help ----

@pytest.mark.parametrize("command", ["run", "report", "lines", "peak", "copies", "leaks", "timeline", "sql", "dump"])
def test_help(command):
    by_option, by_command = run(ON_DATABASE, command, "--help"), run(ON_DATABASE, "help", command)
    assert by_option.returncode == 0 and by_option.stderr == ""
    assert by_option.stdout == by_command.stdout == run(ON_DATABASE, command, "-h").stdout
    assert by_option.stdout.startswith(f"heapline {command} ")
    for title in ("Options", "Examples", "Exit status"):
        assert f"\n{title}\n" in by_option.stdout
    assert max(len(line) for line in by_option.stdout.splitlines()) <= 100


def test_program_help():
    result = run(ON_DATABASE, "--help")
    assert result.returncode == 0
    check_expected("help", result.stdout)
    assert run(ON_DATABASE, "help").stdout == result.stdout


def test_version():
    result = run(ON_DATABASE, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"heapline \d+\.\d+\.\d+\n", result.stdout)


def test_next_of_functions_without_lines(tmp_path):
    """An allocator's wrapper holds the most: who called it is the next question."""
    path = tmp_path / "app.heapline"
    hand_database.create(path)
    plain = run(ON_DATABASE, "report", path).stdout
    with sqlite3.connect(path) as database:
        database.execute("UPDATE line_use SET kind = 'native', origin = 'native', line = NULL, file = '/opt/app', function = 'zmalloc' WHERE line = 353")
    hint = f"      heapline tree --bottom-up {path}"
    assert hint in run(ON_DATABASE, "report", path).stdout and hint not in plain
