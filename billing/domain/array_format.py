"""PostgreSQL's arrays as text, for parameters of thousands of values.

Adapting a list costs a call or two for each of its elements; one text costs one. It is spelled as
JSON, in one call for the whole list: what differs between the two in numbers, dates, UUIDs, nulls
and texts is only how a text is escaped, and that is looked after here.
"""

from collections.abc import Iterable, Sequence

import msgspec

_spell = msgspec.json.Encoder().encode


def array_of(values: Iterable[object]) -> str:
    """An array of numbers, dates, instants, UUIDs, or of texts; None is NULL."""
    known = list(values)
    spelled = _spell(known)
    if b"\\" in spelled:
        # JSON escapes more than quotes and backslashes, and PostgreSQL does not know how.
        return "{" + ",".join(map(_quoted, known)) + "}"
    return "{" + spelled[1:-1].decode() + "}"


def array_of_json(texts: Sequence[str | None]) -> str:
    """An array of texts that are JSON; None is NULL. Only quotes and backslashes in them have to
    be escaped, which both do alike: all that is not printable is escaped already."""
    return "{" + _spell(texts)[1:-1].decode() + "}"


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
