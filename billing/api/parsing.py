"""Bodies: JSON as RFC 8259 has it, and nothing that two readers could understand differently.

A name that comes twice, half of a surrogate pair, NaN, or a nest deeper than any body of ours is
a malformed body (400), found before anything is looked at.
"""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 32  # The deepest that our addresses take is 3.


class StrictJSONParser(JSONParser):
    """Parses application/json; raises ParseError for what is not plainly one value."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            said = json.loads(
                stream.read().decode(), parse_constant=_refuse, object_pairs_hook=_once_each
            )
            if _is_deeper_than(MAX_DEPTH, said):
                raise RecursionError
            # JSON may write half a surrogate pair, which no database and no answer can hold.
            json.dumps(said, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not JSON in UTF-8: {_why(error)}") from error
        return said


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found


def _is_deeper_than(depth: int, value: Any) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper_than(depth - 1, part) for part in parts)


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeError):
        return "a character that is none"
    return str(error)
