"""What may not stand in a committed file: where somebody's machine keeps or fetches things."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In pieces, so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    "|".join(
        [
            "py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.(org|com)", r"deb\." + "debian",
            "/" + "work/", "/" + "root/", "/" + "farm/", "/opt/" + "pypi", "/opt/" + "wheels",
            "/" + r"home/\w+/", "/" + r"Users/\w+/",
        ]
    )
)  # fmt: skip


def committed_text() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git work tree: there is nothing committed to look at")
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield name, (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # Binary, or deleted and not committed yet.


def test_no_registry_and_no_machine_is_named() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in committed_text()
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("*.lock")))
def test_every_locked_package_has_its_version_and_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.split(r"\n(?=\S)", text.strip())
    for package in packages:
        assert re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[\w.+!]+[ ;]", package), package[:80]
        assert "--hash=sha256:" in package, package[:80]
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_locks_agree_with_each_other() -> None:
    """The demo's and the tests' packages come on top of the service's own, never instead."""

    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([\w.\[\],-]+==[\w.]+)", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-demo.lock")
    assert pins("requirements-demo.lock") <= pins("requirements-dev.lock")
