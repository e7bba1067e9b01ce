"""The embedded PostgreSQL starts once for everybody, and stops when the last one leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg
import pytest

from billing.config.launcher import postgres
from billing.config.launcher.cluster import locate

SPAWN = multiprocessing.get_context("spawn")


def opened(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    directory.chmod(0o711)
    return directory


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # A blank and more than 107 bytes: what a socket's path must survive.
    home = opened(Path(tempfile.mkdtemp(prefix="ledger with blanks ")))
    data_dir = opened(home / ("x" * 100))
    yield data_dir
    cluster = locate(data_dir)
    cluster.run("pg_ctl", "stop", "-D", cluster.directory, "-m", "immediate")
    postgres.remove(data_dir)
    home.rmdir()


def postmaster(data_dir: Path) -> int | None:
    """The process id of the running server; None if it has left its directory in order."""
    try:
        return int((locate(data_dir).directory / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return None


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def enter_together(data_dir: Path, barrier: Barrier) -> None:
    barrier.wait(60)
    with postgres.running(data_dir, durable=False) as url:
        assert ask(url, "SELECT 1") == 1
        barrier.wait(60)  # Both are in: neither was refused, neither stopped the other's server.


def test_racing_first_starts_share_one_server(data_dir: Path) -> None:
    barrier = SPAWN.Barrier(3)
    racers = [SPAWN.Process(target=enter_together, args=(data_dir, barrier)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(90)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert postmaster(data_dir) is None


def test_the_last_to_leave_stops_the_server(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False) as url:
        server = postmaster(data_dir)
        with postgres.running(data_dir, durable=False) as again:
            assert (again, postmaster(data_dir)) == (url, server)
        assert ask(url, "SELECT 1") == 1
    assert postmaster(data_dir) is None


def test_a_killed_server_is_started_again_with_what_was_committed(data_dir: Path) -> None:
    with postgres.running(data_dir) as url:
        assert ask(url, "SHOW fsync") == "on"
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (value int)")
            connection.execute("INSERT INTO kept VALUES (42)")
        server = postmaster(data_dir)
        assert server is not None
        os.kill(server, signal.SIGKILL)
    with postgres.running(data_dir) as url:
        assert postmaster(data_dir) != server
        assert ask(url, "SELECT value FROM kept") == 42


def hold_for_ever(data_dir: Path, inside: Barrier) -> None:
    with postgres.running(data_dir, durable=False):
        inside.wait(60)
        threading.Event().wait()


def test_a_killed_user_is_counted_no_more(data_dir: Path) -> None:
    inside = SPAWN.Barrier(2)
    user = SPAWN.Process(target=hold_for_ever, args=(data_dir, inside))
    user.start()
    inside.wait(60)
    user.kill()
    user.join(10)
    assert postmaster(data_dir) is not None
    with postgres.running(data_dir, durable=False) as url:
        assert ask(url, "SELECT 1") == 1
    assert postmaster(data_dir) is None


def test_only_its_owner_reaches_the_socket(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False) as url:
        assert ask(url, "SHOW listen_addresses") == ""
        assert locate(data_dir).socket_directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root's server runs as somebody else")
def test_root_may_keep_its_data_in_a_closed_directory(tmp_path: Path) -> None:
    assert tmp_path.parent.stat().st_mode & 0o077 == 0, "nobody else gets in here"
    with postgres.running(tmp_path, durable=False) as url:
        lies_in = Path(str(ask(url, "SHOW data_directory")))
        assert not lies_in.is_relative_to(tmp_path)
        assert lies_in.stat().st_mode & 0o077 == 0
    with postgres.running(tmp_path, durable=False) as again:
        assert again == url
    postgres.remove(tmp_path)
    assert not lies_in.parent.exists()


def test_what_a_killed_test_run_left_is_swept_up() -> None:
    old = time.time() - 3600
    with postgres.throwaway() as url:
        home = Path(str(ask(url, "SHOW data_directory"))).parent
        os.utime(home, (old, old))
        with postgres.throwaway():
            assert ask(url, "SELECT 1") == 1, "in use: not swept"
    assert not home.exists()

    left = Path(os.fsdecode(home))
    left.mkdir()
    (left / "postgres.users").touch()
    os.utime(left, (old, old))
    with postgres.throwaway():
        assert not left.exists()
