"""Whose usage it was, in which mode, from which source: the configuration's rules, and the event.

A rule looks at named fields of a record, takes the first text it finds there and may map it to
another. The event that comes of it is in the service's own form, with an id that stays the same
however often the record is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from metering.agent.forms.fields import Unusable, Usage, look_up

LONGEST_ID = 200
LABELS = ("endpoint", "project", "region")
CUSTOMER_FIELDS = (
    "customer",
    "metadata.customer",
    "header.x-customer",
    "customer.id",
    "metadata.user_api_key_team_id",
    "metadata.user_api_key_user_id",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Where one part of an event comes from.

    Of the fields `paths` the first that holds text counts. With a `names` table the text is looked
    up in it, as it is or as `sha256:` and its hash (so that keys need not stand in the
    configuration). What the table does not know is kept if `keep_unknown`, else as if not there.
    """

    paths: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    keep_unknown: bool = False

    def of(self, fields: Mapping[str, Any]) -> str:
        """The part's value, or the default; "" if there is neither."""
        for path in self.paths:
            found = look_up(fields, path)
            if isinstance(found, int) and not isinstance(found, bool):
                found = str(found)
            if not isinstance(found, str) or not found:
                continue
            named = self._named(found)
            if named:
                return named
        return self.default

    def _named(self, found: str) -> str:
        if not self.names:
            return found
        plain = found.removeprefix("Bearer ")
        digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
        for key in (found, plain, f"sha256:{digest}"):
            if key in self.names:
                return self.names[key]
        return found if self.keep_unknown else ""


@dataclass(frozen=True, slots=True)
class Rules:
    """All parts of an event that a record does not say by itself."""

    customer: Rule = Rule(CUSTOMER_FIELDS)
    mode: Rule = Rule(("mode", "metadata.mode"), default="serverless")
    source: Rule = Rule((), default="metering-agent")
    model: Rule = Rule((), keep_unknown=True)
    endpoint: Rule = Rule(("endpoint", "metadata.endpoint"))
    project: Rule = Rule(("project", "metadata.project"))
    region: Rule = Rule(("region", "metadata.region"))

    def event(
        self, usage: Usage, headers: Mapping[str, str], anchor: str, received_at: datetime | None
    ) -> dict[str, Any] | Unusable:
        """The event of a usage, or why there can be none.

        `anchor` identifies the record where it has no id of its own: "" if nothing can.
        `received_at` is its time where it has none; None if it must have one.
        """
        fields = {**usage.fields, "header": headers, "model": usage.model}
        customer = self.customer.of(fields)
        if not customer:
            return Unusable("no_customer", "no field that names a known customer")
        model = self._model(usage, fields)
        if not model:
            return Unusable("no_model", "the record names no model")
        identity = usage.id or (f"at-{anchor}" if anchor else "")
        if not identity:
            return Unusable("no_id", "the record has no id, and its request no Idempotency-Key")
        time = usage.time or received_at
        if time is None:
            return Unusable("no_time", "the record does not say when it was")
        data: dict[str, Any] = {
            "model": model,
            "mode": self.mode.of(fields),
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
        for label in LABELS:
            rule: Rule = getattr(self, label)
            value = rule.of(fields)
            if value:
                data[label] = value
        return {
            "specversion": "1.0",
            "id": short_id(identity),
            "source": self.source.of(fields),
            "subject": customer,
            "time": time.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "type": "inference.tokens",
            "data": data,
        }

    def _model(self, usage: Usage, fields: Mapping[str, Any]) -> str:
        if self.model.paths:
            return self.model.of(fields) or usage.model
        return self.model.names.get(usage.model, usage.model)


def short_id(identity: str) -> str:
    """The id itself, or its hash where it is longer than the service takes."""
    if len(identity) <= LONGEST_ID:
        return identity
    return "sha256-" + hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
