"""packaging/install-deps: its lists name what there is."""

import collections
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "packaging" / "install-deps").read_text()
GROUPS = {name: entries.split() for name, entries in re.findall(r"^(\w+)='([^'\n]+)'", TEXT, re.MULTILINE)}


def is_installed(package):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True)
    return status.returncode == 0 and status.stdout == "installed"


def test_groups():
    assert set(GROUPS) == {"build", "viewer", "example", "test", "cross", "benchmark"}
    for entries in GROUPS.values():
        packages = collections.Counter(entry.partition(":")[0] for entry in entries)
        assert max(packages.values()) == 1, packages


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian here")
@pytest.mark.parametrize("group", GROUPS)
def test_commands_come_with_their_packages(group):
    for entry in GROUPS[group]:
        package, _, command = entry.partition(":")
        if command and is_installed(package):
            assert shutil.which(command), entry


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian here")
def test_what_is_there_is_not_missing():
    """Asked twice, it installs nothing the second time."""
    missing = subprocess.run([ROOT / "packaging" / "install-deps", "--missing", *GROUPS], capture_output=True, text=True, check=True).stdout.split()
    assert not [package for package in missing if is_installed(package)]
