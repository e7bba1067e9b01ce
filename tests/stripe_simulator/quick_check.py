"""A quick yes or no for the JSON Schema that Stripe's document uses, ten times jsonschema's speed.

Owns no verdict in words: what it does not accept is shown to jsonschema, which names the problems.
A keyword that it does not know is an error when the schema is compiled, never ignored; a test holds
the two against each other on damaged objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Accepts = Callable[[Any], bool]
KNOWN = {
    "$ref", "additionalProperties", "anyOf", "definitions", "enum", "items", "maxLength",
    "properties", "required", "type",
}  # fmt: skip
TYPES: dict[str, Accepts] = {
    "array": lambda value: type(value) is list,
    "boolean": lambda value: type(value) is bool,
    "integer": lambda value: type(value) is int,
    "null": lambda value: value is None,
    "number": lambda value: type(value) in (int, float),
    "object": lambda value: type(value) is dict,
    "string": lambda value: type(value) is str,
}


def compile_check(root: Json) -> Accepts:
    """What accepts the values that the schema (Draft 7, with its `definitions`) accepts."""
    definitions: Json = root.get("definitions", {})
    compiled: dict[str, Accepts] = {}

    def referenced(name: str) -> Accepts:
        def accepts(value: Any) -> bool:
            if name not in compiled:
                compiled[name] = compiled_schema(definitions[name])
            return compiled[name](value)

        return accepts

    def compiled_schema(schema: Json) -> Accepts:
        unknown = set(schema) - KNOWN
        if unknown:
            raise ValueError(f"schema keywords that are not checked: {sorted(unknown)}")
        if "$ref" in schema:
            return referenced(schema["$ref"].rsplit("/", 1)[1])
        checks: list[Accepts] = []
        if "type" in schema:
            checks.append(type_check(schema["type"]))
        if "enum" in schema:
            checks.append(schema["enum"].__contains__)
        if "anyOf" in schema:
            checks.append(any_check([compiled_schema(branch) for branch in schema["anyOf"]]))
        if "maxLength" in schema:
            checks.append(length_check(schema["maxLength"]))
        if "items" in schema:
            checks.append(items_check(compiled_schema(schema["items"])))
        if {"properties", "required", "additionalProperties"} & set(schema):
            others = schema.get("additionalProperties", True)
            checks.append(
                object_check(
                    {name: compiled_schema(s) for name, s in schema.get("properties", {}).items()},
                    schema.get("required", []),
                    compiled_schema(others) if isinstance(others, dict) else None,
                    closed=others is False,
                )
            )
        return checks[0] if len(checks) == 1 else all_check(checks)

    return compiled_schema(root)


def type_check(wanted: str | list[str]) -> Accepts:
    """One of the named types."""
    checks = [TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
    return checks[0] if len(checks) == 1 else any_check(checks)


def any_check(checks: list[Accepts]) -> Accepts:
    """At least one accepts."""

    def accepts(value: Any) -> bool:
        for check in checks:  # noqa: SIM110 - a generator here costs a third of the whole
            if check(value):
                return True
        return False

    return accepts


def all_check(checks: list[Accepts]) -> Accepts:
    """Every one accepts."""

    def accepts(value: Any) -> bool:
        for check in checks:  # noqa: SIM110
            if not check(value):
                return False
        return True

    return accepts


def length_check(longest: int) -> Accepts:
    """A string of at most so many characters; other types are not meant."""
    return lambda value: type(value) is not str or len(value) <= longest


def items_check(check: Accepts) -> Accepts:
    """Every item is accepted; other types are not meant."""
    return lambda value: type(value) is not list or all(map(check, value))


def object_check(
    known: dict[str, Accepts], required: list[str], others: Accepts | None, *, closed: bool
) -> Accepts:
    """An object's properties; other types are not meant."""

    def accepts(value: Any) -> bool:
        if type(value) is not dict:
            return True
        for name in required:
            if name not in value:
                return False
        for name, inner in value.items():
            check = known.get(name, others)
            if check is None:
                if closed:
                    return False
            elif not check(inner):
                return False
        return True

    return accepts
