"""Stripe's form encoding: `lines[0][amount]=5` to nested values, typed by the schema.

Owns decoding and the refusals that come from it (unknown, missing, malformed parameters). All of
these are raised before execution begins, so they are never kept for an idempotency key.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from .errors import StripeFailure, invalid, missing

Json = dict[str, Any]
SEGMENT = re.compile(r"\[([^\]]*)\]")
WHOLE_NUMBER = re.compile(r"-?\d{1,18}")
NEVER_EMPTY = {"customer", "invoice", "currency", "id", "number", "type", "url"}


def parse(encoded: str) -> Json:
    """The nested, untyped values of an encoded query or body."""
    root: Json = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        head, *rest = [key.split("[", 1)[0], *SEGMENT.findall(key)]
        place, path = root, [head, *rest]
        for name in path[:-1]:
            inner = place.setdefault(slot(place, name), {})
            if not isinstance(inner, dict):
                raise invalid(f"Invalid parameter: {key}", param=key)
            place = inner
        place[slot(place, path[-1])] = value
    return root


def slot(place: Json, name: str) -> str:
    """The key to use for a segment; `[]` takes the next free index."""
    return name if name != "" else str(len(place))


def decode(raw: Json, schema: Json) -> Json:
    """The typed parameters, or Stripe's refusal."""
    typed: Json = coerce_object(raw, schema, "")
    return typed


def coerce(value: Any, schema: Json, path: str) -> Any:
    """One value typed by its schema."""
    if "anyOf" in schema:
        return coerce_choice(value, schema["anyOf"], path)
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=path)
        return coerce_object(value, schema, path)
    if kind == "array":
        return coerce_array(value, schema, path)
    if not isinstance(value, str):
        raise invalid(f"Invalid {kind}: {value}", param=path)
    return coerce_scalar(value, schema, path)


def coerce_choice(value: Any, branches: list[Json], path: str) -> Any:
    """The first branch of an `anyOf` that accepts the value; the last refusal otherwise."""
    if value == "" and any(branch.get("enum") == [""] for branch in branches):
        return ""
    refusal: StripeFailure | None = None
    for branch in branches:
        if branch.get("enum") == [""]:
            continue
        shaped = branch.get("type") in ("object", "array")
        if shaped != isinstance(value, dict) and len(branches) > 1 and refusal is not None:
            continue
        try:
            return coerce(value, branch, path)
        except StripeFailure as failure:
            if refusal is None or shaped == isinstance(value, dict):
                refusal = failure
    raise refusal or invalid("Invalid value", param=path)


def coerce_object(value: Json, schema: Json, path: str) -> Json:
    """An object: every key known, every required key there."""
    known: Json = schema.get("properties", {})
    others = schema.get("additionalProperties")
    out: Json = {}
    unknown = []
    for name, inner in value.items():
        inner_path = f"{path}[{name}]" if path else name
        if name in known:
            out[name] = coerce(inner, known[name], inner_path)
        elif isinstance(others, dict):
            if not isinstance(inner, str):
                raise invalid("Invalid string: must be a string", param=inner_path)
            out[name] = inner
        else:
            unknown.append(inner_path)
    if unknown:
        noun = "parameter" if len(unknown) == 1 else "parameters"
        raise invalid(
            f"Received unknown {noun}: {', '.join(unknown)}",
            param=unknown[0],
            code="parameter_unknown",
        )
    for name in schema.get("required", []):
        if name not in out:
            raise missing(f"{path}[{name}]" if path else name)
    return out


def coerce_array(value: Any, schema: Json, path: str) -> list[Any]:
    """An array, sent with indexes or with empty brackets."""
    if not isinstance(value, dict) or not all(key.isdigit() for key in value):
        raise invalid("Invalid array", param=path)
    ordered = [value[key] for key in sorted(value, key=int)]
    return [
        coerce(inner, schema["items"], f"{path}[{index}]") for index, inner in enumerate(ordered)
    ]


def coerce_scalar(value: str, schema: Json, path: str) -> Any:
    """A string, integer, number or boolean."""
    kind = schema.get("type")
    if value == "" and (kind != "string" or path in NEVER_EMPTY):
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{path}' cannot be unset. You should remove '{path}' from "
            "your request or supply a non-empty value.",
            param=path,
            code="parameter_invalid_empty",
        )
    if kind == "integer":
        if not WHOLE_NUMBER.fullmatch(value):
            raise invalid(f"Invalid integer: {value}", param=path, code="parameter_invalid_integer")
        return int(value)
    if kind == "number":
        try:
            return float(value)
        except ValueError:
            raise invalid(f"Invalid number: {value}", param=path) from None
    if kind == "boolean":
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=path)
        return value == "true"
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        name = re.split(r"[\[\]]+", path.rstrip("]"))[-1]
        choices = ", ".join(str(choice) for choice in allowed[:40])
        raise invalid(f"Invalid {name}: must be one of {choices}", param=path)
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        raise invalid(
            f"Invalid string: {value[:20]}...; must be at most {longest} characters", param=path
        )
    return value
