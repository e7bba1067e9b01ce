"""PostgreSQL's arrays as text, for parameters of thousands of values.

Adapting a list costs a call or two for each of its elements; one text costs one.
"""

from collections.abc import Iterable, Sequence


def array_of(values: Iterable[object]) -> str:
    """An array of numbers, or of anything else that needs no quotes; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def quoted_array_of(values: Iterable[object]) -> str:
    """An array of anything, each value in quotes; None is NULL."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def text_array_of(values: Sequence[str]) -> str:
    """An array of texts, none of them NULL. Nearly always nothing in them has to be escaped."""
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        return quoted_array_of(values)
    return '{"' + joined + '"}' if values else "{}"


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
