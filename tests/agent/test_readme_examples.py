"""The examples of the README, run as they stand there against a real agent's port.

LiteLLM and OpenAI's client are stood in for by objects of their shape: neither is a dependency.
"""

from __future__ import annotations

import asyncio
import copy
import re
import sys
import types
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.agent.running import ROOT, an_agent, settings, until
from tests.agent.samples import CHAT, LITELLM, RESPONSE
from tests.agent.service import FakeService

README = ROOT / "metering" / "agent" / "README.md"


def example(word: str, port: int) -> str:
    """The block of code that has this word in it, for an agent on that port."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    assert len([line for line in found.splitlines() if line.strip()]) <= 10, "ten lines"
    return str(found).replace(":4319", f":{port}")


class Answer:
    """A pydantic model's shape: all that the example asks of the client's answers."""

    def __init__(self, held: dict[str, Any]) -> None:
        self._held = held

    def model_dump(self, *, mode: str, include: set[str]) -> dict[str, Any]:
        assert mode == "json"
        return {name: copy.deepcopy(one) for name, one in self._held.items() if name in include}


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of these names, with what the examples import from them."""
    logger = types.ModuleType("litellm.integrations.custom_logger")
    logger.CustomLogger = type("CustomLogger", (), {})  # type: ignore[attr-defined]
    client = types.ModuleType("openai")
    client.OpenAI = lambda: SimpleNamespace(  # type: ignore[attr-defined]
        chat=SimpleNamespace(completions=SimpleNamespace(create=lambda **asked: Answer(CHAT))),
        responses=SimpleNamespace(create=lambda **asked: Answer(RESPONSE)),
    )
    monkeypatch.setitem(sys.modules, "litellm", types.ModuleType("litellm"))
    monkeypatch.setitem(sys.modules, "litellm.integrations", types.ModuleType("integrations"))
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    monkeypatch.setitem(sys.modules, "openai", client)
    yield


def test_the_litellm_callback(service: FakeService, tmp_path: Path, stand_ins: None) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:
        made: dict[str, Any] = {}
        exec(example("litellm", agent.ports[0].place[1]), made)  # noqa: S102
        now = datetime.now()  # noqa: DTZ005 - as LiteLLM calls it
        payload = {**LITELLM, "startTime": now, "endTime": 1770112800.125}
        kwargs = {"model": "x", "standard_logging_object": payload}
        made["metering"].log_success_event(kwargs, None, now, now)
        other = {"standard_logging_object": {**payload, "id": "chatcmpl-2"}}
        asyncio.run(made["metering"].async_log_success_event(other, None, now, now))
        until(lambda: len(service.events) == 2)
    data = [event["data"] for event in service.events.values()]
    assert [one["cached_input_tokens"] for one in data] == [800, 800]
    assert {key[0] for key in service.events} == {"team-acme"}


def test_the_openai_client(service: FakeService, tmp_path: Path, stand_ins: None) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:
        exec(example("OpenAI()", agent.ports[0].place[1]), {})  # noqa: S102
        until(lambda: len(service.events) == 2)
    assert {key[2] for key in service.events} == {CHAT["id"], RESPONSE["id"]}
    tokens = [event["data"]["reasoning_tokens"] for event in service.events.values()]
    assert tokens == [192, 20]
