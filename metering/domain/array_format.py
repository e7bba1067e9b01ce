"""PostgreSQL's arrays as text, for parameters of thousands of values.

Adapting a list costs a call or two for each of its elements; one text costs one.
"""

from collections.abc import Iterable


def array_of(values: Iterable[object]) -> str:
    """An array of numbers, or of anything else that is quoted or needs no quotes."""
    return "{" + ",".join(map(str, values)) + "}"
