"""Files of the data directory that several processes share: locks, and secrets made once."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_directory() -> Path:
    """DATA_DIR, made absolute; by default `.data` beside manage.py."""
    given = os.environ.get("DATA_DIR", "").strip()
    return Path(given or Path(__file__).parents[3] / ".data").expanduser().absolute()


def prepare(data_dir: Path) -> None:
    """Make the directory. Others may pass through it (the database server runs as another user
    where we are root), but not list it; every secret in it is 0600."""
    data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)


@contextmanager
def locked(path: Path, operation: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Hold a flock on the file; the kernel lets go of it if we die."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock exclusively."""
    if not path.exists():
        return False
    try:
        with locked(path, fcntl.LOCK_SH | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


def secret(data_dir: Path, name: str, *, prefix: str = "") -> str:
    """A random secret kept in the directory with mode 0600; made at the first call.

    Two racing first calls agree: the file appears whole, under its name, once.
    """
    path = data_dir / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        prepare(data_dir)
    draft = data_dir / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(prefix + secrets.token_urlsafe(48))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # The other one was first: its secret counts.
    finally:
        draft.unlink()
    return path.read_text().strip()
