"""PostgreSQL's arrays as text, for parameters of thousands of values.

Adapting a list costs a call or two for each of its elements; one text costs one.
"""

from collections.abc import Iterable


def array_of(values: Iterable[object]) -> str:
    """An array of numbers, or of anything else that is quoted or needs no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


def quoted_array_of(values: Iterable[object]) -> str:
    """An array of anything, each value in quotes; None is NULL."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
