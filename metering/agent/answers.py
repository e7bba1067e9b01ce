"""What an answer of the service means: settled, to be split, or to be asked again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from metering.agent.client import Answer

TOO_LARGE, MALFORMED = 413, 400


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event of a request that the service will never take."""

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The service has every event of the request but the refused ones."""

    accepted: int
    duplicates: int
    refused: tuple[Refusal, ...]


def read_answer(answer: Answer, sent: int) -> Settled | Answer | str:
    """What an answer means; a text says why it is to be asked again.

    A 400 or 413 counts only with the service's own problem document: a proxy on the way that
    answers so must not bring sound events to the dead letters.
    """
    told = decoded(answer)
    if answer.status in (200, 207, 422) and isinstance(told, dict) and "refused" in told:
        return _settled(told, sent) or f"the answer {answer.status} does not add up"
    if answer.status in (TOO_LARGE, MALFORMED, 422):
        if isinstance(told, dict) and isinstance(told.get("code"), str):
            return answer
        if answer.status == TOO_LARGE and sent > 1:
            return answer
    return f"answered {answer.status}{'' if told is not None else ', and no JSON'}"


def _settled(told: dict[str, Any], sent: int) -> Settled | None:
    """The counts of an answer, if they account for every event that was sent."""
    refused = []
    if not isinstance(told["refused"], list):
        return None
    for one in told["refused"]:
        index = one.get("index") if isinstance(one, dict) else None
        if not isinstance(index, int) or not 0 <= index < sent:
            return None
        refused.append(Refusal(index, str(one.get("code")), str(one.get("detail"))))
    accepted, duplicates = told.get("accepted"), told.get("duplicates")
    if not isinstance(accepted, int) or not isinstance(duplicates, int):
        return None
    distinct = {one.index for one in refused}
    if len(distinct) < len(refused) or accepted + duplicates + len(refused) != sent:
        return None
    return Settled(accepted, duplicates, tuple(refused))


def state_of(status: int) -> tuple[str, bool]:
    """The state that a failure puts the agent in, and whether a person has to help."""
    if status in (401, 403):
        return "denied", True
    if status in (408, 425, 429) or status >= 500 or status < 300:
        return "retrying", False
    return "misdirected", True


def problem_of(answer: Answer) -> tuple[str, str]:
    """Why the service will not take an event that it was sent alone: (code, detail)."""
    told = decoded(answer)
    if isinstance(told, dict) and isinstance(told.get("code"), str):
        return told["code"], str(told.get("detail", ""))
    return f"http_{answer.status}", ""


def decoded(answer: Answer) -> Any:
    """The JSON of an answer; None if it is none."""
    try:
        return json.loads(answer.body) if answer.is_json else None
    except (ValueError, RecursionError):
        return None
