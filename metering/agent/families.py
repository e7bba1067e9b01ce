"""Which files are followed: each path of the settings, and what was rotated away from it.

Looks at directories only, never into files.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a family as its directory lists it; `changed_at` in seconds since 1970."""

    path: str
    device: int
    inode: int
    size: int
    changed_at: float

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


class Families:
    """The families that some patterns stand for."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [os.path.abspath(one) for one in patterns]
        # What is named outright is a path of its own, whatever its name looks like.
        self._named = {one for one in self._patterns if not glob.has_magic(one)}

    def paths(self, known: Iterable[str]) -> list[str]:
        """The followed paths that there are, and those known before that are still asked for:
        between two steps of a rotation a name is missing for a moment."""
        found = {
            one
            for one in known
            if any(fnmatch.fnmatchcase(one, pattern) for pattern in self._patterns)
        }
        for pattern in self._patterns:
            found.update(glob.glob(pattern))
        return sorted(one for one in found if not any(self._is_rotated(one, of) for of in found))

    def members(self, path: str) -> Iterator[Member]:
        """The files of a family: those that were rotated away first, the current one last."""
        directory, name = os.path.split(path)
        try:
            entries = [one for one in os.scandir(directory) if one.name.startswith(name)]
        except OSError:
            return
        for entry in sorted(entries, key=lambda one: (one.name == name, one.name)):
            if entry.name != name and not self._is_rotated(entry.path, path):
                continue
            try:
                found = entry.stat()
            except OSError:
                continue  # Renamed or removed since.
            if stat.S_ISREG(found.st_mode):
                changed_at = max(found.st_mtime, found.st_ctime)
                yield Member(entry.path, found.st_dev, found.st_ino, found.st_size, changed_at)

    def _is_rotated(self, path: str, of: str) -> bool:
        """Whether a path is that of a file rotated away from another."""
        return (
            path.startswith((f"{of}.", f"{of}-"))
            and "/" not in path[len(of) :]
            and not path.endswith(COMPRESSED)
            and path not in self._named
        )
