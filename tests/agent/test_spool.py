"""What the spool has acknowledged is there after any crash, in order; its size is bounded."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.agent.clock import Clock
from metering.agent.segments import Place
from metering.agent.spool import Spool, SpoolFull


def a_spool(home: Path, most: int = 2**20, segment: int = 4096) -> Spool:
    return Spool(home, most_bytes=most, segment_bytes=segment, clock=Clock())


def read_all(spool: Spool, after: Place | None = None, most: int = 7) -> list[bytes]:
    """Everything behind a place, in batches as they come."""
    place, found = after or Place(), list[bytes]()
    while (batch := spool.read(place, most, 2**20)).events:
        found += batch.events
        place = batch.end
    return found


def test_events_come_back_in_order_over_many_segments(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    sent = [b'{"n":%d,"pad":"%s"}' % (n, b"x" * 300) for n in range(100)]
    for start in range(0, 100, 5):
        spool.append(sent[start : start + 5])
    assert len(list(tmp_path.glob("*.spool"))) > 5
    assert read_all(spool) == sent
    assert spool.count_after(Place()) == 100


def test_a_batch_keeps_to_its_size_but_never_splits_a_frame(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    for _ in range(3):
        spool.append([b"1", b"2", b"3"])
    assert len(spool.read(Place(), 7, 2**20).events) == 6
    assert len(spool.read(Place(), 2, 2**20).events) == 3
    assert len(spool.read(Place(), 100, 1).events) == 3


def test_a_full_spool_takes_nothing_until_segments_are_forgotten(tmp_path: Path) -> None:
    spool = a_spool(tmp_path, most=20_000)
    taken = 0
    with pytest.raises(SpoolFull):
        while True:
            spool.append([b"x" * 500])
            taken += 1
    assert spool.bytes_held <= 20_000
    assert len(read_all(spool)) == taken > 20, "what was refused has left nothing behind"
    batch = spool.read(Place(), taken // 2, 2**20)
    spool.forget_before(batch.end)
    spool.append([b"y"])
    assert read_all(spool, batch.end)[-1] == b"y"


def test_a_disk_without_room_is_a_full_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = a_spool(tmp_path)
    spool.append([b"before"])
    write = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[: len(content) // 2])

    monkeypatch.setattr("metering.agent.frames.os.write", half)
    with pytest.raises(SpoolFull):
        spool.append([b"lost"])
    monkeypatch.undo()
    spool.append([b"after"])
    assert read_all(spool) == [b"before", b"after"]


def test_positions_and_events_of_one_append_are_there_together(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    for n in range(200):
        spool.append([b"x" * 50], {"file": {"offset": n}})
    spool.append([], {"other": {"offset": 1}})
    spool.append([], {"other": None})
    spool.close()
    again = a_spool(tmp_path)
    assert again.positions == {"file": {"offset": 199}}
    again.forget_before(again.read(Place(), 10**6, 2**30).end)
    again.close()
    assert a_spool(tmp_path).positions == {"file": {"offset": 199}}, "a segment tells them all"


def test_threads_share_the_disk_and_lose_nothing(tmp_path: Path) -> None:
    spool = a_spool(tmp_path, segment=8192)

    def work(name: int) -> None:
        for n in range(60):
            spool.append([b"%d-%d" % (name, n)])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_all(spool)) == sorted(b"%d-%d" % (a, b) for a in range(6) for b in range(60))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=25),
    torn=st.integers(0, 400),
    garbage=st.binary(max_size=120),
)
def test_a_torn_end_costs_nothing_that_was_acknowledged(
    sizes: list[int], torn: int, garbage: bytes
) -> None:
    """The last append was under way: cut anywhere, or overwritten with whatever the disk held."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        spool = a_spool(home)
        sent = [b"%d:" % n + b"x" * size for n, size in enumerate(sizes)]
        for one in sent:
            spool.append([one], {"f": {"offset": len(one)}})
        last = max(home.glob("*.spool"))
        acknowledged = last.stat().st_size
        spool.append([b"in flight" * 40], {"f": {"offset": -1}})
        spool.close()
        newest = max(home.glob("*.spool"))
        content = newest.read_bytes()
        kept = acknowledged if newest == last else 0
        cut = min(kept + torn, len(content))
        newest.write_bytes(content[:cut] + garbage)

        again = a_spool(home)
        found = read_all(again)
        assert found[: len(sent)] == sent
        assert found[len(sent) :] in ([], [b"in flight" * 40])
        again.append([b"new"])
        assert read_all(again)[-1] == b"new"
        if cut < len(content) and newest == last:
            assert again.positions["f"] == {"offset": len(sent[-1])}
        again.close()


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 10**6), flipped=st.integers(1, 255))
def test_a_rotten_byte_costs_one_frame_and_the_segment_is_kept(place: int, flipped: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        spool = a_spool(home, segment=10**6)
        sent = [b"%d" % n * 20 for n in range(30)]
        for one in sent:
            spool.append([one])
        spool.close()
        path = min(home.glob("*.spool"))
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= flipped
        path.write_bytes(content)

        again = a_spool(home)
        batch = again.read(Place(), 10**6, 2**30)
        missing = [one for one in sent if one not in batch.events]
        assert len(missing) <= 1
        assert [one for one in batch.events if one in sent] == [x for x in sent if x not in missing]
        again.forget_before(batch.end)
        assert [one.suffix for one in home.glob("0*1.*")] == [".damaged"]
        again.close()
