"""Starts and stops the embedded PostgreSQL: real PostgreSQL, no installation, no container.

`running(data_dir)` may be entered by any number of processes at once; the first starts the
server, the last one to leave stops it. Two locks see to that: `postgres.lock` is held while the
server is started or stopped, `postgres.users` is held shared for as long as it is used. The kernel
drops both when a process is killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from billing.config.launcher import files
from billing.config.launcher.cluster import DATABASE, SUPERUSER, Cluster, PostgresFailed, locate

START_SECONDS = 30.0
THROWAWAY_PREFIX = "ledger-test-"


def _share_of_memory(parts: int, *, least: int, most: int) -> int:
    """One of so many parts of the machine's memory, in megabytes, within bounds."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return max(least, min(most, whole // parts))


# For a machine of a few cores that is shared with others. What is not listed is PostgreSQL's
# default; durability (fsync, synchronous_commit, full_page_writes) above all.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # The index of the event keys is hit all over: what of it does not fit is read again and again.
    "shared_buffers": f"{_share_of_memory(8, least=256, most=2048)}MB",
    "effective_cache_size": f"{_share_of_memory(2, least=1024, most=65536)}MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # Compiling costs more than our short queries take.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# Only for clusters that are thrown away with the test run that made them.
WITHOUT_DURABILITY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}


@contextmanager
def running(data_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """Keep the data directory's server running, and give its DATABASE_URL.

    Raises PostgresFailed if it cannot be started within half a minute.
    """
    files.prepare(data_dir)
    users = os.open(data_dir / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with files.locked(data_dir / "postgres.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            cluster = locate(data_dir)
            try:
                _start(cluster, durable=durable)
            except BaseException:
                _leave(users, cluster)
                raise
        try:
            yield cluster.url()
        finally:
            with files.locked(data_dir / "postgres.lock"):
                _leave(users, cluster)
    finally:
        os.close(users)


def _leave(users: int, cluster: Cluster) -> None:
    """Stop the server unless somebody else uses it. The caller holds `postgres.lock`."""
    # Unlocked by word, not by closing: a forked child may hold the same open file.
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    cluster.run("pg_ctl", "stop", "-D", cluster.directory, "-m", "fast", "-w", "-t", "60")


@contextmanager
def throwaway() -> Iterator[str]:
    """A server for one test run, without durability; gone afterwards."""
    _sweep_throwaways()
    home = Path(tempfile.mkdtemp(prefix=THROWAWAY_PREFIX))
    home.chmod(0o711)
    try:
        with running(home, durable=False) as url:
            yield url
    finally:
        remove(home)


def remove(data_dir: Path) -> None:
    """Remove a data directory whose server is stopped, and what of it lies elsewhere."""
    cluster = locate(data_dir)
    for directory in (cluster.directory, cluster.socket_directory, data_dir):
        shutil.rmtree(directory, ignore_errors=True)
    if cluster.directory.parent != data_dir:
        shutil.rmtree(cluster.directory.parent, ignore_errors=True)


def _sweep_throwaways() -> None:
    """Stop and remove what killed test runs of ours left behind."""
    for home in Path(tempfile.gettempdir()).glob(f"{THROWAWAY_PREFIX}*"):
        users = home / "postgres.users"
        try:
            if home.lstat().st_uid != os.getuid() or time.time() - home.stat().st_mtime < 60:
                continue
            with files.locked(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                cluster = locate(home)
                cluster.run("pg_ctl", "stop", "-D", cluster.directory, "-m", "immediate")
            remove(home)
        except OSError:
            continue  # In use, or swept by another run at this moment.


def _start(cluster: Cluster, *, durable: bool) -> None:
    """Make the cluster if it is missing and start its server. The caller holds `postgres.lock`."""
    _initialize(cluster)
    _write_settings(cluster, SETTINGS if durable else SETTINGS | WITHOUT_DURABILITY)
    cluster.make_private(cluster.socket_directory)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(cluster):
        # After a kill -9 the old server's processes and shared memory linger for some seconds,
        # and a start is refused as long: try again until they are gone.
        start = cluster.run(
            "pg_ctl", "start", "-D", cluster.directory, "-l", cluster.log, "-w", "-t", "20"
        )
        if start.returncode == 0:
            continue
        if time.monotonic() > deadline:
            tail = "".join(cluster.log.read_text(errors="replace").splitlines(True)[-15:])
            raise PostgresFailed(f"PostgreSQL in {cluster.directory} does not start:\n{tail}")
        time.sleep(0.5)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if known.fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _initialize(cluster: Cluster) -> None:
    """initdb, beside its final place: a cluster that is there is whole."""
    built_for = cluster.directory / "PG_VERSION"
    if built_for.exists():
        have = cluster.run("postgres", "--version").stdout.split()[-1].partition(".")[0]
        if built_for.read_text().strip() != have:
            raise PostgresFailed(
                f"{cluster.directory} was made by PostgreSQL {built_for.read_text().strip()}, "
                f"this is {have}: dump it with the old version and restore it"
            )
        return
    draft = cluster.directory.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    cluster.make_private(draft)
    # No ICU in these binaries: the built-in C.UTF-8 sorts the same on every machine.
    made = cluster.run(
        "initdb", "-D", draft, "-U", SUPERUSER, "-E", "UTF8", "--locale=C",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
        "--auth-local=trust", "--auth-host=reject",
    )  # fmt: skip
    if made.returncode != 0:
        raise PostgresFailed(f"initdb in {draft} failed:\n{made.stdout}")
    with (draft / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude 'ledger.conf'  # written anew at every start\n")
    draft.rename(cluster.directory)


def _write_settings(cluster: Cluster, settings: dict[str, str]) -> None:
    lines = {**settings, "unix_socket_directories": _one_directory(cluster.socket_directory)}
    quoted = {name: value.replace("'", "''") for name, value in lines.items()}
    text = "".join(f"{name} = '{value}'\n" for name, value in quoted.items())
    conf = cluster.directory / "ledger.conf"
    conf.write_text(text)
    conf.chmod(0o644)  # Root writes it, the server's user reads it; no secret in it.


def _one_directory(path: Path) -> str:
    """The setting is a list separated by commas: quote what would split it."""
    return '"' + str(path).replace('"', '""') + '"'


def _answers(cluster: Cluster) -> bool:
    try:
        psycopg.connect(cluster.url("postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
