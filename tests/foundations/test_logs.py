"""No secret reaches a log line, wherever in it the secret stands."""

from __future__ import annotations

import json
import logging
import logging.config

import pytest
import structlog

from billing.config import logs

KEY = "agent_" + "Zk3" * 12


@pytest.mark.parametrize(
    "value",
    [
        f"key {KEY} refused",
        {"headers": {"Authorization": "anything at all: hunter2"}},
        {"deep": [{"password": "hunter2"}, (f"Bearer {KEY}",)]},
        "sk_live_hunter2", "rk_test_hunter2", "whsec_hunter2",
        "postgresql://ledger:hunter2@db/ledger",
        b"Basic hunter2==",
    ],
)  # fmt: skip
def test_secrets_are_taken_out(value: object) -> None:
    clean = repr(logs.redacted(value))
    assert "hunter2" not in clean
    assert KEY not in clean


def test_ordinary_words_stay() -> None:
    line = {"input_tokens": 1200, "customer": "acme", "key": "agent_name", "note": "the task_id"}
    assert logs.redacted(line) == line


def test_a_traceback_is_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logging.config.dictConfig(logs.configuration("INFO"))
        try:
            raise ValueError(f"no such key: {KEY}")
        except ValueError:
            structlog.get_logger("test").exception("key.refused", customer="acme")
        line = json.loads(capsys.readouterr().err)
    finally:
        root.handlers[:], root.level = before
    assert (line["event"], line["customer"]) == ("key.refused", "acme")
    assert "ValueError: no such key: agent_[redacted]" in line["exception"]
