"""The agent as it is run: killed, stopped, fed by a pipe, and never showing its key."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.agent.running import KEY, ROOT, a_process, letters, settings, until
from tests.agent.samples import own
from tests.agent.service import FakeService, Reply, a_service
from tests.scenarios.world import free_port


def lines(*numbers: int) -> bytes:
    return "".join(json.dumps(own(n)) + "\n" for n in numbers).encode()


def numbers(service: FakeService) -> list[int]:
    return sorted(int(one["id"].removeprefix("req-")) for one in list(service.events.values()))


def test_killed_in_mid_flow_again_and_again(service: FakeService, tmp_path: Path) -> None:
    """A file that grows and is rotated, a port that is posted to, and kill -9 at random moments."""
    rng = random.Random(4)  # noqa: S311 - for when to kill
    path, port = tmp_path / "usage.jsonl", free_port()
    made = settings(
        service.url, tmp_path, files=[str(path)], listen=f"127.0.0.1:{port}", batch_events=50
    )
    agent = a_process(made, tmp_path)
    agent.start()
    acknowledged: list[int] = []
    ended = threading.Event()

    def post() -> None:
        for number in range(100_000, 200_000):
            while not ended.is_set():
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/", json.dumps(own(number)).encode()
                )
                try:
                    with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                        acknowledged.append(number)
                        break
                except (OSError, urllib.error.URLError):
                    time.sleep(0.02)

    poster = threading.Thread(target=post)
    poster.start()
    written = 0
    for turn in range(6):
        until_ = time.monotonic() + rng.uniform(0.5, 0.9)
        while time.monotonic() < until_:
            with path.open("ab") as stream:
                stream.write(lines(*range(written, written + 20)))
            written += 20
            time.sleep(0.005)
        if turn % 2:
            path.rename(tmp_path / f"usage.jsonl.{turn}")
        agent.kill()
        agent.start()
    ended.set()
    poster.join()
    expected = set(range(written)) | set(acknowledged)
    until(lambda: expected <= set(numbers(service)), 30)
    assert set(numbers(service)) - expected <= {(acknowledged or [99_999])[-1] + 1}
    assert len(acknowledged) > 5
    assert letters(made) == []
    assert agent.stop() == 0


def test_an_outage_of_the_service_and_a_clean_stop_in_it(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "usage.jsonl"
    path.write_bytes(lines(*range(500)))
    made = settings(f"http://127.0.0.1:{port}", tmp_path, files=[str(path)], listen="")
    agent = a_process(made, tmp_path)
    agent.start()
    until(lambda: (made.state_dir / "state.json").exists() and "retrying" in (
        made.state_dir / "state.json").read_text())  # fmt: skip
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 8
    assert "500 events wait on disk" in agent.said()
    with a_service(port) as service:
        agent.start()
        until(lambda: len(service.events) == 500)
        assert agent.stop() == 0
        assert "all is delivered" in agent.said()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_delivers_what_is_in_hand(
    service: FakeService, tmp_path: Path, how: signal.Signals
) -> None:
    made = settings(service.url, tmp_path, listen="", stdin=True, batch_seconds=30.0)
    agent = a_process(made, tmp_path)
    child = agent.start(stdin=subprocess.PIPE)
    assert child.stdin
    child.stdin.write(lines(1, 2, 3))
    child.stdin.flush()
    state = made.state_dir / "state.json"
    until(lambda: state.exists() and '"undelivered_events": 3' in state.read_text())
    assert service.events == {}, "the batch is still waiting for more"
    child.send_signal(how)
    assert child.wait(20) == 0
    assert numbers(service) == [1, 2, 3]


def test_a_pipe_is_delivered_to_its_end_and_then_it_ends(
    service: FakeService, tmp_path: Path
) -> None:
    service.replies += [Reply(503), Reply(200, sent_bytes=3, accepts=True)]
    made = settings(service.url, tmp_path, listen="", stdin=True)
    agent = a_process(made, tmp_path)
    child = agent.start(stdin=subprocess.PIPE)
    child.communicate(lines(*range(2000)) + b"not json\n" + lines(3000).rstrip(), timeout=30)
    assert child.returncode == 0, agent.said()
    assert numbers(service) == [*range(2000), 3000]
    assert [one["code"] for one in letters(made)] == ["no_json"]


def test_a_second_agent_on_the_same_state_is_refused(service: FakeService, tmp_path: Path) -> None:
    made = settings(service.url, tmp_path)
    agent = a_process(made, tmp_path)
    agent.start()
    until(lambda: (made.state_dir / "state.json").exists())
    twin = subprocess.run(agent.command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert twin.returncode == 2
    assert "another agent is running" in twin.stderr
    assert agent.stop() == 0


def test_the_key_is_never_shown(service: FakeService, tmp_path: Path) -> None:
    service.replies += [Reply(401, f"no: {KEY}"), Reply(500)]
    made = settings(service.url, tmp_path, listen="", stdin=True, log_level="DEBUG")
    agent = a_process(made, tmp_path)
    child = agent.start(stdin=subprocess.PIPE)
    if Path("/proc").exists():
        assert KEY not in Path(f"/proc/{child.pid}/cmdline").read_text()
    child.communicate(lines(1), timeout=30)
    assert KEY not in agent.said()
    kept = [path.read_bytes() for path in made.state_dir.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in kept)


def test_it_needs_no_django_and_nothing_else_of_ours(tmp_path: Path) -> None:
    """Alone in a directory, with nothing but the standard library to be found."""
    alone = tmp_path / "metering"
    alone.mkdir()
    (alone / "agent").symlink_to(ROOT / "metering" / "agent")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import metering.agent.__main__; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('django','billing','commits','msgspec') or m.startswith('metering.') and "
        "not m.startswith('metering.agent')])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_what_is_installed_apart_is_whole() -> None:
    """`pip install ./metering/agent` takes the packages that its pyproject lists: all there are."""
    home = ROOT / "metering" / "agent"
    told = tomllib.loads((home / "pyproject.toml").read_text())
    found = {
        ".".join(("metering.agent", *path.parent.relative_to(home).parts))
        for path in home.rglob("__init__.py")
        if "build" not in path.parts
    }
    assert set(told["tool"]["setuptools"]["packages"]) == found
    assert set(told["tool"]["setuptools"]["package-dir"]) == found
    assert "dependencies" not in told["project"]
