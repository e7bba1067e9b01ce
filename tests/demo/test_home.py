"""The demo replaces only a directory that carries its mark."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from billing.config.launcher import files
from billing.config.launcher.environment import SERVICE_LOCK
from tests.demo import home


def test_a_directory_of_the_demo_is_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    assert home.prepare(directory) is False
    home.mark(directory)
    (directory / "old").write_text("of the last run")
    assert home.prepare(directory) is True
    assert list(directory.iterdir()) == []


def test_any_other_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "books").write_text("somebody's")
    assert home.prepare(tmp_path) is False
    assert (tmp_path / "books").read_text() == "somebody's"


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    home.mark(tmp_path)
    with files.locked(tmp_path / SERVICE_LOCK, fcntl.LOCK_EX), pytest.raises(home.HomeRefused):
        home.prepare(tmp_path)
    assert (tmp_path / home.MARK).exists()
