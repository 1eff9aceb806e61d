"""Fixtures of the command line's tests."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import hand_database  # noqa: E402


@pytest.fixture(scope="session")
def hand(tmp_path_factory):
    """The database of hand_database.py, in the place of a trace."""
    path = tmp_path_factory.mktemp("hand") / "batch.heapline"
    hand_database.create(path)
    return path
