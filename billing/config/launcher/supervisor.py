"""`make serve`: the whole service in the foreground, on one machine, from one command.

Order of birth: the data directory's lock, PostgreSQL, the schema and the queue, the Stripe
simulator (where no Stripe key is set), then web, worker and beat. `ready` is printed once the web
part answers. Ctrl-C or SIGTERM ends them in the opposite order.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from billing.config.launcher import files
from billing.config.launcher.children import Child, run, say, stop_together
from billing.config.launcher.cluster import PostgresFailed
from billing.config.launcher.environment import (
    SERVICE_LOCK,
    SERVICE_STATE,
    WEB_MEMORY,
    is_set,
    local_environment,
)

READY_SECONDS = 120.0
TICK_SECONDS = 0.2
SIMULATOR = "stripe simulator"


class Refused(Exception):
    """The service cannot be started; the message is for the person at the terminal."""


class StopAsked(BaseException):
    """SIGTERM or Ctrl-C. Not an Exception: no `except Exception` on its way may keep it."""


def serve() -> int:
    """Run the service until it is asked to stop; the exit status."""
    signal.signal(signal.SIGTERM, _ask_to_stop)
    signal.signal(signal.SIGINT, _ask_to_stop)
    data_dir = files.data_directory()
    try:
        files.prepare(data_dir)
        with ExitStack() as resources:
            port = _free_port_or_refusal()
            resources.enter_context(_alone_on(data_dir))
            environment = resources.enter_context(local_environment())
            environment |= {"DJANGO_SETTINGS_MODULE": "billing.config.settings"}
            children = resources.enter_context(_children(data_dir, port, environment))
            _wait_until_it_answers(port, children)
            say(f"serving http://127.0.0.1:{port}/ with its data in {data_dir}")
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            while True:
                time.sleep(TICK_SECONDS)
                for child in children:
                    child.keep_alive()
    except StopAsked:
        say("stopped")
        return 0
    except (Refused, PostgresFailed) as error:
        say(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        say(f"{' '.join(map(str, error.cmd))} failed: see above")
        return 1


def _ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
    # Once is enough: a second one must not interrupt the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say("stopping")
    raise StopAsked


@contextmanager
def _alone_on(data_dir: Path) -> Iterator[None]:
    """One service for a data directory: two would run every job of the day twice."""
    deadline = time.monotonic() + 2
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(
                    files.locked(data_dir / SERVICE_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
                )
                break
            except BlockingIOError:
                # A `make manage` that only asks whether a service runs lets go at once.
                if time.monotonic() > deadline:
                    raise Refused(
                        f"another service is running on {data_dir}: stop it, or set another "
                        "DATA_DIR and PORT"
                    ) from None
                time.sleep(0.1)
        (data_dir / SERVICE_STATE).unlink(missing_ok=True)
        try:
            yield
        finally:
            (data_dir / SERVICE_STATE).unlink(missing_ok=True)


def _free_port_or_refusal() -> int:
    given = os.environ.get("PORT", "").strip() or "8000"
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 65536:
        raise Refused(f"PORT must be from 1 to 65535, but is {given!r}")
    try:
        _bind(int(given))
    except OSError:
        raise Refused(f"port {given} is taken: set another PORT") from None
    return int(given)


def _bind(port: int) -> int:
    """Whether the port is free; 0 asks for any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


@contextmanager
def _children(data_dir: Path, port: int, environment: dict[str, str]) -> Iterator[list[Child]]:
    run(["manage.py", "migrate", "--noinput", "--verbosity", "0"], environment)
    run(["-m", "billing.config.queue"], environment)
    children: list[Child] = []
    try:
        if not is_set("STRIPE_API_KEY"):
            children.append(_simulator(data_dir, port, environment))
        _write_state(data_dir, port, environment)
        children += _service(data_dir, environment)
        for child in children:
            child.start()
        yield children
    finally:
        # The simulator last: the worker may be in the middle of a call to it.
        stop_together([child for child in children if child.name != SIMULATOR])
        stop_together([child for child in children if child.name == SIMULATOR])


def _simulator(data_dir: Path, port: int, environment: dict[str, str]) -> Child:
    """The simulator; puts its address and secrets into the environment of the others."""
    stripe_port = _bind(0)
    webhook_secret = files.secret(data_dir, "stripe_webhook_secret", prefix="whsec_")
    environment |= {
        "STRIPE_API_KEY": "sk_test_simulator",
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_port}",
        "STRIPE_WEBHOOK_SECRET": webhook_secret,
    }
    return Child(
        SIMULATOR,
        ["-m", "tests.stripe_simulator", "--port", str(stripe_port),
         "--data", str(data_dir / "stripe.sqlite3"),
         "--webhook-url", f"http://127.0.0.1:{port}/api/v1/webhooks/stripe",
         "--webhook-secret", webhook_secret],
        environment,
    )  # fmt: skip


def _service(data_dir: Path, environment: dict[str, str]) -> list[Child]:
    celery = ["-m", "celery", "-A", "billing.config.celery"]
    schedule = str(data_dir / "celerybeat-schedule")
    worker = ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [
        Child(
            "web",
            ["-m", "gunicorn", "-c", "python:billing.config.gunicorn"],
            {**WEB_MEMORY, **environment},
        ),
        Child("worker", [*celery, *worker], environment),
        Child("beat", [*celery, "beat", "--schedule", schedule, "--pidfile", ""], environment),
    ]


def _write_state(data_dir: Path, port: int, environment: dict[str, str]) -> None:
    """Tell `make manage` what the running service was given (it holds a secret: 0600)."""
    shared = {name: value for name, value in environment.items() if name.startswith("STRIPE_")}
    shared["SANDBOX"] = environment.get("SANDBOX") or os.environ.get("SANDBOX") or "0"
    draft = data_dir / f".{SERVICE_STATE}"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"pid": os.getpid(), "port": port, "environment": shared}))
    draft.rename(data_dir / SERVICE_STATE)


def _wait_until_it_answers(port: int, children: list[Child]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(TICK_SECONDS)
        for child in children:
            child.keep_alive()
            # Later it would be tried for ever; now somebody waits, and can read why.
            if child.is_hopeless:
                raise Refused(f"{child.name} does not start: see above")
    raise Refused(f"the service does not answer on port {port} after {READY_SECONDS:g} s")
