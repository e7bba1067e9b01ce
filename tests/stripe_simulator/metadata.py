"""Stripe's metadata: 50 keys of 40 characters, values of 500, merged key by key.

Owns the merge and its limits, and nothing else.
"""

from __future__ import annotations

from typing import Any

from .errors import invalid

MAX_KEYS, MAX_KEY, MAX_VALUE = 50, 40, 500


def merge(old: dict[str, str], new: Any, *, param: str = "metadata") -> dict[str, str]:
    """The metadata after an update: "" unsets a key, "" for the whole clears it."""
    if new == "":
        return {}
    merged = dict(old)
    for key, value in new.items():
        if len(key) > MAX_KEY or "[" in key or "]" in key:
            raise invalid(
                f"Metadata keys can have up to {MAX_KEY} characters. Invalid key: {key}",
                param=param,
            )
        if len(value) > MAX_VALUE:
            raise invalid(
                f"Metadata values can have up to {MAX_VALUE} characters, but you passed in a value "
                f"that is {len(value)} characters. Invalid value: {value[:40]}...",
                param=f"{param}[{key}]",
            )
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    if len(merged) > MAX_KEYS:
        raise invalid(
            f"You can only have up to {MAX_KEYS} metadata keys, but you have {len(merged)}.",
            param=param,
        )
    return merged
