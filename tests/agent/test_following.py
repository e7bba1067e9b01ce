"""Lines of followed files: each is taken in once, whatever happens to the file's name."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metering.agent import following
from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLetters
from metering.agent.following import Following
from metering.agent.intake import Intake
from metering.agent.rules import Rules
from metering.agent.segments import Place
from metering.agent.spool import Spool, SpoolFull
from tests.agent.samples import own


class Follower:
    """A spool and what follows one path into it; `again` is a new start."""

    def __init__(self, home: Path, most_bytes: int = 2**24) -> None:
        self.home, self.most_bytes = home, most_bytes
        self.path = home / "usage.jsonl"
        self.begin()

    def begin(self) -> None:
        self.spool = Spool(
            self.home / "spool", most_bytes=self.most_bytes, segment_bytes=65_536, clock=Clock()
        )
        self.counts = Counts()
        self.letters = DeadLetters(self.home / "letters.jsonl", most_bytes=2**20)
        intake = Intake(Rules(), self.spool, self.letters, self.counts, Clock())
        self.following = Following(
            (str(self.path),), self.spool.positions, intake, self.counts, Clock()
        )

    def end(self) -> None:
        self.following.close()
        self.spool.close()

    def again(self) -> None:
        self.end()
        self.begin()

    def poll(self) -> None:
        """Until there is nothing new."""
        while self.following.poll():
            pass

    def write(self, *numbers: int, end: str = "\n") -> None:
        with self.path.open("a") as stream:
            stream.write("\n".join(json.dumps(own(n)) for n in numbers) + end)

    def numbers(self) -> list[int]:
        """The events in the spool, in order."""
        events = self.spool.read(Place(), 10**6, 2**30).events
        return [int(json.loads(one)["id"].removeprefix("req-")) for one in events]


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    monkeypatch.setattr(following, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(following, "ENDED_SECONDS", 0.05)
    made = Follower(tmp_path)
    yield made
    made.end()


@contextmanager
def away(follower: Follower) -> Iterator[None]:
    """What happens in the block happens while no agent is running."""
    follower.end()
    yield
    follower.begin()


def test_lines_are_taken_as_they_come_and_only_whole_ones(follower: Follower) -> None:
    follower.poll()
    follower.write(1, 2)
    follower.poll()
    follower.write(3, end="")
    follower.poll()
    assert follower.numbers() == [1, 2]
    follower.path.open("a").write("\n")
    follower.poll()
    assert follower.numbers() == [1, 2, 3]


def test_a_new_start_goes_on_where_the_last_one_was(follower: Follower) -> None:
    follower.write(1, 2)
    follower.poll()
    with away(follower):
        follower.write(3)
    follower.poll()
    assert follower.numbers() == [1, 2, 3]


def rename(follower: Follower) -> None:
    """As logrotate does it: .1 becomes .2, the file becomes .1."""
    older = follower.home / "usage.jsonl.1"
    if older.exists():
        older.rename(follower.home / "usage.jsonl.2")
    follower.path.rename(older)


def copy_and_truncate(follower: Follower) -> None:
    older = follower.home / "usage.jsonl.1"
    if older.exists():
        older.rename(follower.home / "usage.jsonl.2")
    shutil.copyfile(follower.path, older)
    os.truncate(follower.path, 0)


def rename_with_a_date(follower: Follower) -> None:
    follower.path.rename(follower.home / f"usage.jsonl-{time.time_ns()}")


ROTATIONS = pytest.mark.parametrize("rotate", [rename, copy_and_truncate, rename_with_a_date])
Rotate = Callable[[Follower], None]


@ROTATIONS
def test_rotation_while_running(follower: Follower, rotate: Rotate) -> None:
    follower.write(1)
    follower.poll()
    follower.write(2)
    rotate(follower)
    follower.write(3)
    follower.poll()
    rotate(follower)
    follower.write(4, 5, 6)
    follower.poll()
    assert sorted(follower.numbers()) == [1, 2, 3, 4, 5, 6]


@ROTATIONS
@pytest.mark.parametrize("begun", [True, False])
def test_two_rotations_while_no_agent_runs(follower: Follower, rotate: Rotate, begun: bool) -> None:
    """The second generation was never seen by any agent."""
    follower.write(1, *([2] if begun else []))
    follower.poll()
    with away(follower):
        follower.write(3)
        rotate(follower)
        follower.write(4, 5)
        rotate(follower)
        follower.write(6)
    follower.poll()
    follower.again()
    follower.poll()
    found = follower.numbers()
    assert sorted(set(found)) == [1, *([2] if begun else []), 3, 4, 5, 6]
    assert len(found) == len(set(found)), "nothing needed to be read twice"


def test_a_writer_that_keeps_the_renamed_file_open(follower: Follower) -> None:
    with follower.path.open("a") as late:
        late.write(json.dumps(own(1)) + "\n")
        late.flush()
        follower.poll()
        rename(follower)
        follower.write(2)
        follower.poll()
        late.write(json.dumps(own(3)) + "\n")
        late.flush()
        follower.poll()
    assert follower.numbers() == [1, 2, 3]


def test_a_truncated_file_that_has_grown_past_the_old_place(follower: Follower) -> None:
    follower.write(1, 2)
    follower.poll()
    os.truncate(follower.path, 0)
    follower.write(3, 4, 5, 6)
    follower.poll()
    assert follower.numbers() == [1, 2, 3, 4, 5, 6]


def test_a_file_that_is_removed_is_still_read_to_its_end(follower: Follower) -> None:
    follower.write(1)
    follower.poll()
    follower.write(2)
    follower.path.unlink()
    follower.poll()
    assert follower.numbers() == [1, 2]


def test_what_was_rotated_before_the_agent_ever_came_is_not_reported(follower: Follower) -> None:
    follower.write(1)
    rename(follower)
    follower.write(2)
    follower.poll()
    rename(follower)
    follower.again()
    follower.poll()
    assert follower.numbers() == [2]


def test_a_rotated_file_whose_last_line_has_no_end(follower: Follower) -> None:
    follower.write(1)
    follower.write(2, end="")
    follower.poll()
    rename(follower)
    follower.poll()
    assert follower.numbers() == [1]
    time.sleep(0.06)
    follower.poll()
    assert follower.numbers() == [1, 2]


def test_a_file_that_was_gone_before_it_was_seen_again_is_said(follower: Follower) -> None:
    follower.write(1)
    follower.poll()
    with away(follower):
        follower.path.unlink()
    follower.poll()
    assert follower.counts.of("vanished_files") == 1
    follower.again()
    follower.poll()
    assert follower.counts.of("vanished_files") == 0, "once is enough"


def test_a_full_spool_stops_the_reading_and_nothing_is_passed(tmp_path: Path) -> None:
    follower = Follower(tmp_path, most_bytes=30_000)
    follower.write(*range(500))
    with pytest.raises(SpoolFull):
        follower.poll()
    taken = len(follower.numbers())
    follower.following.close()
    follower.spool.close()
    follower.most_bytes = 2**24
    follower.begin()
    follower.poll()
    assert follower.numbers() == list(range(500))
    assert taken < 500
    follower.end()


def test_lines_that_are_no_records_go_to_the_dead_letters(follower: Follower) -> None:
    follower.path.write_bytes(b'{"half": \n\n\xff\xfe\n[1, 2\r3]\n' + b"x" * 2_500_000 + b"\n")
    follower.write(7)
    follower.poll()
    codes = [json.loads(line)["code"] for line in follower.letters.path.open()]
    assert codes == ["no_json", "no_json", "no_json", "no_json"]
    assert follower.numbers() == [7]


def test_records_without_an_id_get_the_same_one_when_they_are_read_again(
    follower: Follower,
) -> None:
    """Both copies of a file, and a file read from its start, come to the same ids; two equal lines
    do not."""
    line = '{"model":"m","customer":"acme","time":1770112800,"prompt_tokens":5}\n'
    follower.path.write_text(line * 2)
    follower.poll()
    ids = [json.loads(one)["id"] for one in follower.spool.read(Place(), 99, 2**20).events]
    assert len(set(ids)) == 2
    follower.end()
    shutil.rmtree(follower.home / "spool")
    follower.begin()
    follower.poll()
    again = [json.loads(one)["id"] for one in follower.spool.read(Place(), 99, 2**20).events]
    assert again == ids


def test_a_line_without_a_time_is_not_guessed(follower: Follower) -> None:
    follower.path.write_text('{"id":"a","model":"m","customer":"acme","prompt_tokens":5}\n')
    follower.poll()
    assert json.loads(follower.letters.path.read_text())["code"] == "no_time"


def test_a_log_that_is_named_outright_is_no_rotated_one(tmp_path: Path) -> None:
    """`gateway-2` beside `gateway`: two logs, both followed from their start."""
    follower = Follower(tmp_path)
    other = tmp_path / "usage.jsonl-2"
    patterns = (str(follower.path), str(other))
    intake = follower.following._intake
    follower.following = Following(patterns, {}, intake, follower.counts, Clock())
    follower.write(1)
    other.write_text(json.dumps(own(2)) + "\n")
    follower.poll()
    assert sorted(follower.numbers()) == [1, 2]
    follower.end()


def test_a_file_that_cannot_be_read_is_said_once_and_the_others_are_read(
    follower: Follower, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    follower.write(1)
    follower.poll()
    bad = follower.home / "usage.jsonl.1"
    opened = os.open

    def refusing(path: str, *rest: int) -> int:
        if path == str(bad):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr("metering.agent.following.os.open", refusing)
    bad.write_text(json.dumps(own(3)) + "\n")
    for n in (4, 5):
        follower.write(n)
        follower.poll()
    assert follower.numbers() == [1, 4, 5]
    assert len([one for one in caplog.messages if "cannot be read" in one]) == 1
    monkeypatch.undo()
    monkeypatch.setattr(following, "SETTLED_SECONDS", 0.0)
    follower.poll()
    assert follower.numbers() == [1, 4, 5, 3]
