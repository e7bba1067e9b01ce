"""The simulator as a process: survives `kill -9` with its state, its keys and its outbox."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from .conftest import SECRET, Inbox, new_invoice

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(port: int, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.stripe_simulator", "--port", str(port)]
        command += ["--data", str(tmp_path / "stripe.sqlite3"), *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def control(port: int, path: str, body: Any = None) -> Any:
    """One call of a control endpoint."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_control/{path}", data) as reply:
        return json.load(reply)


def test_kill_and_restart(start: Start, inbox: Inbox) -> None:
    port = free_port()
    options = ("--webhook-url", inbox.url, "--webhook-secret", SECRET)
    process = start(port, *options)
    base = {"api": f"http://127.0.0.1:{port}"}
    client = stripe.StripeClient("sk_test_x", base_addresses=base, max_network_retries=0)  # type: ignore[arg-type]
    control(port, "webhooks", {"paused": True})
    control(port, "clock", {"advance_hours": 5})
    draft = new_invoice(client, 1_000)
    opened = client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin"})
    process.kill()
    process.wait()

    start(port, *options)
    assert client.v1.invoices.retrieve(draft.id).to_dict() == opened.to_dict()
    again = client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin"})
    assert again.number == opened.number
    assert control(port, "clock")["offset_seconds"] == 5 * 3600
    assert inbox.received == []
    control(port, "webhooks", {"paused": False})
    while any(row["state"] == "pending" for row in control(port, "deliveries")):
        time.sleep(0.02)
    assert inbox.types().count("invoice.finalized") == 1
    assert control(port, f"invoices/{draft.id}/pay", {})["status"] == "paid"
    assert control(port, "violations") == []
    assert {row["outcome"] for row in control(port, "log")} == {"executed", "replayed"}
    assert len(control(port, "objects/invoice")) == 1
    control(port, "reset", {})
    assert control(port, "objects/invoice") == []


def test_auto_pay_option(start: Start) -> None:
    port = free_port()
    start(port, "--auto-pay")
    base = {"api": f"http://127.0.0.1:{port}"}
    client = stripe.StripeClient("sk_test_x", base_addresses=base)  # type: ignore[arg-type]
    sent = client.v1.invoices.send_invoice(new_invoice(client, 1_000).id)
    while client.v1.invoices.retrieve(sent.id).status != "paid":
        time.sleep(0.02)
